"""What is known of the time of a run: the data that profilers fill in, and that is shown and saved."""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from wengert.profile.clock import page as pages
from wengert.profile.clock import terminal
from wengert.profile.clock.machine import Machine
from wengert.profile.clock.rows import ProgramTime, Row, Span, StageTime
from wengert.profile.clock.trace import trace
from wengert.profile.footprint.report import Line

SCHEMA = 1


@dataclass
class TimeReport:
    """The time of a run.

    wall, cpu : seconds on the clock, and of the processor (all threads)
    rows : ops and pullbacks that were run one by one
    programs : compiled programs
    stages : of compiling
    walking : seconds of sweeps that went into no pullback
    calls : how often the function was called, where one was
    first : the first call, apart from the others, where `profile.time` made it
    spans : everything one by one, for `chrome_trace`; as much as there was room for
    result : what the function has returned last
    """

    name: str
    wall: float
    cpu: float
    rows: list[Row] = field(default_factory=list)
    programs: list[ProgramTime] = field(default_factory=list)
    stages: list[StageTime] = field(default_factory=list)
    walking: float = 0.0
    profiling: float = 0.0  #: seconds that the profiler took to make variants of programs
    calls: int = 1
    first: TimeReport | None = None
    machine: Machine | None = None
    notes: list[str] = field(default_factory=list)
    spans: list[Span] = field(default_factory=list, repr=False)
    threads: dict[int, str] = field(default_factory=dict, repr=False)
    result: Any = field(default=None, repr=False)

    @property
    def kernels(self) -> list[Row]:
        """The kernels of all programs, without those within loops."""
        return [row for program in self.programs for row in program.kernels if not row.within]

    @property
    def parts(self) -> dict[str, float]:
        """Seconds of each kind, which together are `wall` where one thread was at work."""
        found = {
            "ops, forward": sum(row.seconds for row in self.rows if row.phase == "forward"),
            "ops, backward": sum(row.seconds for row in self.rows if row.phase == "backward"),
            "walking tapes": self.walking,
            "compiled programs": sum(program.seconds for program in self.programs),
            "compiling": sum(stage.seconds for stage in self.stages),
            "profiler": self.profiling,
        }
        return found | {"elsewhere": max(0.0, self.wall - sum(found.values()))}

    def by(self, key: Callable[[Row], Hashable]) -> dict[Any, float]:
        """Seconds of ops and kernels added up by `key` (say, `lambda row: row.line`), most first."""
        sums: dict[Any, float] = {}
        for row in [*self.rows, *self.kernels]:
            sums[key(row)] = sums.get(key(row), 0.0) + row.seconds
        return dict(sorted(sums.items(), key=lambda item: -item[1]))

    # ── as data ───────────────────────────────────────────────────────────────

    def to_dict(self) -> dict[str, Any]:
        """Everything but the spans and the result."""
        found = {
            "schema": SCHEMA, "name": self.name, "wall": self.wall, "cpu": self.cpu, "calls": self.calls,
            "parts": self.parts, "walking": self.walking, "profiling": self.profiling,
            "rows": [self._row(row) for row in self.rows],
            "programs": [
                {**asdict(program), "kernels": [self._row(row) for row in program.kernels]} for program in self.programs
            ],
            "stages": [asdict(stage) for stage in self.stages],
            "machine": None if self.machine is None else self.machine.to_dict(),
            "notes": self.notes,
        }  # fmt: skip
        return found | {"first": None if self.first is None else self.first.to_dict()}

    def _row(self, row: Row) -> dict[str, Any]:
        more = {"mean": row.mean, "gflops": row.gflops, "gbytes": row.gbytes, "intensity": row.intensity}
        return {**asdict(row), **more, "fraction": row.fraction(self.machine), "bound": row.bound(self.machine)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> TimeReport:
        if data.get("schema") != SCHEMA:
            raise ValueError(
                f"a time report: got schema {data.get('schema')!r}, want {SCHEMA}: save it again with this version"
            )
        programs = [
            ProgramTime(**{**program, "kernels": [_read(row) for row in program["kernels"]]})
            for program in data["programs"]
        ]
        return cls(
            data["name"], data["wall"], data["cpu"], [_read(row) for row in data["rows"]], programs,
            [StageTime(**stage) for stage in data["stages"]], data["walking"], data["profiling"], data["calls"],
            None if data["first"] is None else cls.from_dict(data["first"]),
            None if data["machine"] is None else Machine(**data["machine"]), data["notes"],
        )  # fmt: skip

    def save(self, path: str | Path) -> None:
        """Write it as JSON."""
        Path(path).write_text(json.dumps(self.to_dict()), encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> TimeReport:
        """What `save` wrote."""
        return cls.from_dict(json.loads(Path(path).read_text(encoding="utf-8")))

    # ── shown ─────────────────────────────────────────────────────────────────

    def __str__(self) -> str:
        return terminal.text(self)

    def __rich_console__(self, console: Any, options: Any) -> Any:
        yield from terminal.parts(self, options.max_width)

    def html(self, path: str | Path) -> None:
        """Write it as one self-contained page, with the roofline as a picture."""
        Path(path).write_text(pages.page(self), encoding="utf-8")

    def chrome_trace(self, path: str | Path, memory: Any = None) -> None:
        """Write everything that happened, in order, for Perfetto (ui.perfetto.dev), chrome://tracing and the like.

        memory : a MemoryReport of the same run, whose timeline becomes a counter
        """
        Path(path).write_text(json.dumps(trace(self, memory)), encoding="utf-8")


def _read(row: dict[str, Any]) -> Row:
    known = {name: row[name] for name in Row.__dataclass_fields__}
    return Row(**{**known, "lines": [Line(**line) for line in row["lines"]]})
