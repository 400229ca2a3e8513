"""What is known of the memory of one run: the data that profilers and predictions fill in, and that is shown, saved and compared.

Bytes are those of ndarrays' elements and of the blocks that compiled programs work in; views count as the array whose memory they
share. Arguments are listed, but count as held by the caller: `peak` is what the run held beyond them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from rich.console import Console, ConsoleOptions, RenderableType

from wengert.core.source import Source, describe, is_backward, lineno
from wengert.profile.footprint import page as pages
from wengert.profile.footprint import terminal
from wengert.profile.footprint.advice import Advice, advise
from wengert.profile.footprint.difference import THRESHOLD, MemoryDiff, difference

Role = Literal["argument", "constant", "value", "residual", "cotangent", "temporary", "workspace", "result", "other"]
SCHEMA = 1  # of the saved data: described in docs/memory.md


@dataclass(frozen=True)
class Line:
    """A line of the user's. `file` is empty where there is none."""

    file: str = ""
    number: int = 0
    function: str = ""
    text: str = ""

    @classmethod
    def of(cls, source: Source | None) -> Line:
        if source is None or source[0] is None:
            return cls()
        text = describe(source).partition(": ")[2]
        return cls(source[0].co_filename, lineno(source), source[0].co_name, text)

    def __str__(self) -> str:
        return f"{Path(self.file).name}:{self.number} in {self.function}" if self.file else "(no line)"


def phase_of(source: Source | None) -> str:
    """ "backward" or "forward", as the row of a staged program tells."""
    return "backward" if is_backward(source) else "forward"


@dataclass
class Holding:
    """One piece of memory: an array, or a block of a compiled program.

    role : as what it was held longest: a value computed on the way forward, a residual (kept for a pullback), a cotangent, a
        temporary (within one op), a program's workspace, a result, …
    born, died : indices into the timeline; `died` is None for what was still there at the end
    used : the last point at which something read it, as far as is known
    phase : in which it was made: "forward", "backward", or what the user called it
    why : for residuals: which pullback needs it ("kept for the pullback of mul at model.py:12")
    frees : what would free it, in words: advice, empty where there is none
    within : the name of the compiled program, empty for eager arrays
    """

    nbytes: int
    role: Role
    op: str = ""
    line: Line = field(default_factory=Line)
    phase: str = "forward"
    shape: tuple[int, ...] = ()
    dtype: str = ""
    born: int = 0
    died: int | None = None
    used: int | None = None
    why: str = ""
    frees: str = ""
    within: str = ""

    def alive(self, at: int) -> bool:
        """Whether it was there at this point of the timeline."""
        return self.born <= at and (self.died is None or at < self.died)


@dataclass
class Point:
    """One moment: after an op, a pullback, a compiled call or one of its steps.

    seconds : since the beginning; 0 in predictions
    live : bytes held beyond the arguments
    top : the most since the point before, temporaries within the op included
    """

    seconds: float
    live: int
    top: int
    op: str = ""
    phase: str = "forward"
    line: Line = field(default_factory=Line)


@dataclass
class MemoryReport:
    """The memory of one run, measured or predicted.

    peak : the most bytes held at once beyond the arguments, in `timeline[peak_at]`
    allocated : all bytes allocated on the way; `reused`: bytes that took memory of something that had died
    tensors : how many arrays were made
    begin, end : bytes held before and after, by the same count (end - begin: results, and what leaks)
    """

    name: str
    kind: Literal["measured", "predicted"]
    mode: str  #: "eager", "jit" or "mixed"
    peak: int = 0
    peak_at: int = 0
    begin: int = 0
    end: int = 0
    allocated: int = 0
    reused: int = 0
    tensors: int = 0
    seconds: float = 0.0
    arguments: int = 0  #: bytes of the arguments
    timeline: list[Point] = field(default_factory=list)
    holdings: list[Holding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  #: what could not be told, and why

    def at_peak(self) -> list[Holding]:
        """What was held at the peak, largest first; arguments are not among it."""
        found = [h for h in self.holdings if h.role != "argument" and h.alive(self.peak_at)]
        return sorted(found, key=lambda h: -h.nbytes)

    def by(self, key: Callable[[Holding], Hashable]) -> dict[Any, int]:
        """Bytes at the peak, added up by `key` (say, `lambda h: h.line`), largest first. What no holding explains is missing."""
        sums: dict[Any, int] = {}
        for h in self.at_peak():
            sums[key(h)] = sums.get(key(h), 0) + h.nbytes
        return dict(sorted(sums.items(), key=lambda item: -item[1]))

    @property
    def efficiency(self) -> float:
        """Of bytes × time held, the part between an array's making and its last known use (1.0 if nothing was held)."""
        held = useful = 0
        for h in self.holdings:
            end = len(self.timeline) if h.died is None else h.died
            held += h.nbytes * (end - h.born)
            useful += h.nbytes * ((end if h.used is None else min(h.used + 1, end)) - h.born)
        return useful / held if held else 1.0

    # ── as people see it ──────────────────────────────────────────────────────

    def __str__(self) -> str:
        return terminal.text(terminal.terminal(self, advice=self.advice()))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        yield terminal.terminal(self, advice=self.advice())

    def show(self, listed: int = terminal.LISTED) -> None:
        """Print it, in colour where the terminal has any; `listed` rows of each kind."""
        Console().print(terminal.terminal(self, listed, self.advice()))

    def html(self, path: str | Path) -> None:
        """Write it as one self-contained page: timeline, flame graph, residuals, tables. No network, no other file."""
        Path(path).write_text(pages.page(self, self.advice()), encoding="utf-8")

    def diff(self, after: MemoryReport, threshold: str | int | float = THRESHOLD) -> MemoryDiff:
        """What changed from this report to `after`, by line, op, phase and role, with a verdict on the peak.

        threshold : by how much the peak may grow before the verdict is "worse": "5%", "1 MiB", or bytes
        """
        return difference(self, after, threshold)

    @property
    def result(self) -> Any:
        """What the measured function returned, until it is deleted (`del report.result`); not part of what is saved."""
        return self.__dict__.get("_result")

    @result.setter
    def result(self, value: Any) -> None:
        self.__dict__["_result"] = value

    @result.deleter
    def result(self) -> None:
        self.__dict__.pop("_result", None)

    def advice(self, compiled: MemoryReport | None = None) -> list[Advice]:
        """What would make the peak lower, with the bytes that it would save, what saves most first.

        compiled : a report of the same function under `jit`, measured or predicted, to consider that too:
            `report.advice(wg.profile.predict_memory(wg.jit(f), *args))`
        """
        return advise(self, compiled)

    # ── as data ───────────────────────────────────────────────────────────────

    def to_dict(self) -> dict[str, Any]:
        """For JSON: the fields by name, and the advice; the `line` of a point or holding is an index into `lines`."""
        lines: dict[Line, int] = {}

        def row(of: Point | Holding) -> dict[str, Any]:
            return {**vars(of), "line": lines.setdefault(of.line, len(lines))}

        data = {f.name: getattr(self, f.name) for f in fields(self)}
        data |= {"timeline": [row(p) for p in self.timeline], "holdings": [row(h) for h in self.holdings]}
        advice = [a.to_dict() for a in self.advice()]
        return {"schema": SCHEMA, **data, "lines": [dict(vars(line)) for line in lines], "advice": advice}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> MemoryReport:
        """The report that `to_dict` gave. Raises ValueError for other schemas."""
        data = dict(data)
        if (schema := data.pop("schema", None)) != SCHEMA:
            raise ValueError(f"a memory report: got schema {schema!r}, want {SCHEMA}: save it again with this version")
        data.pop("advice")  # which follows from the rest
        lines = [Line(**line) for line in data.pop("lines")]
        data["timeline"] = [Point(**{**p, "line": lines[p["line"]]}) for p in data["timeline"]]
        data["holdings"] = [
            Holding(**{**h, "line": lines[h["line"]], "shape": tuple(h["shape"])}) for h in data["holdings"]
        ]
        return cls(**data)

    def save(self, path: str | Path) -> None:
        """Write it as JSON."""
        Path(path).write_text(json.dumps(self.to_dict()), encoding="utf-8")

    @classmethod
    def load(cls, path: str | Path) -> MemoryReport:
        """What `save` wrote."""
        return cls.from_dict(json.loads(Path(path).read_text(encoding="utf-8")))
