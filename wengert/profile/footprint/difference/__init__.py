"""Two memory reports side by side: where bytes at the peak were saved or added, where the peak went, and a verdict.

before = wg.profile.memory(step)(params, batch)
after = wg.profile.memory(new_step)(params, batch)
print(before.diff(after))                       # worse if the peak grew by more than 5 %
before.diff(after, threshold="1 MiB").save("diff.json")
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Console, ConsoleOptions, RenderableType

from wengert.core.sizes import bytes_of, shown
from wengert.profile.footprint import breakdown
from wengert.profile.footprint.difference import page as pages
from wengert.profile.footprint.difference.matching import matched
from wengert.profile.footprint.difference.terminal import terminal
from wengert.profile.footprint.terminal import place, text

if TYPE_CHECKING:
    from wengert.profile.footprint.report import Line, MemoryReport

SCHEMA = 1
THRESHOLD = "5%"
MAJOR = 0.25  # of the earlier peak: growth beyond this is major
Verdict = Literal["better", "same", "worse"]


@dataclass(frozen=True)
class Change:
    """Bytes at the peak of one line, op, phase or role, before and after.

    how : for lines: "same", "moved", "renamed file", "edited", "gone", "new"; empty for others
    before_at, after_at : for lines: file, number and function, as shown
    """

    name: str
    before: int
    after: int
    how: str = ""
    before_at: str = ""
    after_at: str = ""

    @property
    def by(self) -> int:
        """Bytes added; negative: saved."""
        return self.after - self.before


@dataclass(frozen=True)
class Side:
    """The figures of one of the two reports."""

    name: str
    kind: str
    mode: str
    peak: int
    at: str
    text: str
    op: str
    phase: str
    kept: int  #: held at the end beyond the beginning
    allocated: int
    tensors: int
    arguments: int
    seconds: float
    efficiency: float


@dataclass
class MemoryDiff:
    """What changed from one report to another; `verdict` is about the peak, by `threshold`.

    verdict : "worse" if the peak grew by more than the threshold, "better" if it shrank by more, else "same"
    severity : of a growth: "minor", or "major" beyond a quarter of the earlier peak; else empty
    """

    before: Side
    after: Side
    threshold: str
    verdict: Verdict
    severity: str
    lines: list[Change] = field(default_factory=list)
    ops: list[Change] = field(default_factory=list)
    phases: list[Change] = field(default_factory=list)
    roles: list[Change] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    reports: tuple[MemoryReport, MemoryReport] | None = field(default=None, repr=False, compare=False)

    @property
    def by(self) -> int:
        """Bytes by which the peak grew; negative: shrank."""
        return self.after.peak - self.before.peak

    @property
    def worse(self) -> bool:
        return self.verdict == "worse"

    @property
    def moved(self) -> bool:
        """Whether the peak is at another line, op or phase than before."""
        a, b = self.before, self.after
        return (a.text or a.at, a.op, a.phase) != (b.text or b.at, b.op, b.phase)

    def __str__(self) -> str:
        return text(terminal(self))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        yield terminal(self)

    def show(self) -> None:
        """Print it, in colour where the terminal has any."""
        Console().print(self)

    def to_dict(self) -> dict[str, Any]:
        """For JSON: stable keys, sizes in bytes, times in seconds."""
        sides = {"before": asdict(self.before), "after": asdict(self.after)}
        rows = {k: [asdict(c) | {"by": c.by} for c in getattr(self, k)] for k in ("lines", "ops", "phases", "roles")}
        head = {"schema": SCHEMA, "verdict": self.verdict, "severity": self.severity, "by": self.by}
        return {**head, "threshold": self.threshold, "moved": self.moved, **sides, **rows, "notes": self.notes}

    def save(self, path: str | Path) -> None:
        """Write it as JSON."""
        Path(path).write_text(json.dumps(self.to_dict(), indent=1), encoding="utf-8")

    def html(self, path: str | Path) -> None:
        """Write it as one self-contained page."""
        Path(path).write_text(pages.page(self), encoding="utf-8")


def difference(before: MemoryReport, after: MemoryReport, threshold: str | int | float = THRESHOLD) -> MemoryDiff:
    """What changed from `before` to `after`.

    threshold : by how much the peak may grow: "5%" of the earlier one, or bytes: "1 MiB", 4096

    Raises ValueError for other thresholds.
    """
    verdict, severity = _judged(before.peak, after.peak, allowed(threshold, before.peak))
    was, now = breakdown.parts(before), breakdown.parts(after)
    rows = {k: _changes(was[k], now[k]) for k in ("op", "phase", "role")}
    found = MemoryDiff(_side(before), _side(after), _said(threshold), verdict, severity, _lines(before, after))
    found.ops, found.phases, found.roles = rows["op"], rows["phase"], rows["role"]
    found.notes, found.reports = list(_notes(before, after)), (before, after)
    return found


def allowed(threshold: str | int | float, peak: int) -> int:
    """The bytes by which a peak may grow."""
    if isinstance(threshold, str) and threshold.strip().endswith("%"):
        try:
            part = float(threshold.strip()[:-1])
        except ValueError:
            part = -1.0
        if not 0 <= part < float("inf"):
            raise ValueError(f"threshold: got {threshold!r}, want a percentage such as '5%' or bytes such as '1 MiB'")
        return int(peak * part / 100)
    try:
        return bytes_of(threshold)
    except ValueError:
        raise ValueError(
            f"threshold: got {threshold!r}, want a percentage such as '5%' or bytes such as '1 MiB'"
        ) from None


def _said(threshold: str | int | float) -> str:
    return threshold if isinstance(threshold, str) else shown(threshold)


def _judged(before: int, after: int, most: int) -> tuple[Verdict, str]:
    if after - before > most:
        return "worse", "major" if after - before > MAJOR * before else "minor"
    return ("better" if before - after > most else "same"), ""


def _side(report: MemoryReport) -> Side:
    at = report.timeline[report.peak_at] if report.timeline else None
    return Side(
        report.name, report.kind, report.mode, report.peak, place(at.line) if at and at.line.file else "",
        at.line.text if at else "", at.op if at else "", at.phase if at else "", report.end - report.begin,
        report.allocated, report.tensors, report.arguments, report.seconds, report.efficiency,
    )  # fmt: skip


def _changes(before: dict[str, int], after: dict[str, int]) -> list[Change]:
    """One of each name, the largest change first."""
    names = dict.fromkeys([*before, *after])
    return sorted((Change(n, before.get(n, 0), after.get(n, 0)) for n in names), key=_weight)


def _weight(change: Change) -> tuple[int, int]:
    return -abs(change.by), -change.after


def _lines(before: MemoryReport, after: MemoryReport) -> list[Change]:
    was: dict[Line, int] = before.by(lambda h: h.line)
    now: dict[Line, int] = after.by(lambda h: h.line)
    found = []
    for a, b, how in matched(was, now):
        line = b if b is not None else a
        assert line is not None
        found.append(
            Change(
                line.text or place(line), was[a] if a is not None else 0, now[b] if b is not None else 0, how,
                place(a) if a is not None else "", place(b) if b is not None else "",
            )
        )  # fmt: skip
    rests = [max(r.peak - breakdown.explained(r), 0) for r in (before, after)]
    if any(rests):
        found.append(Change("within the op, or belonging to no array seen", rests[0], rests[1]))
    return sorted(found, key=_weight)


def _notes(before: MemoryReport, after: MemoryReport) -> Iterator[str]:
    if before.kind != after.kind:
        yield f"one report was {before.kind}, the other {after.kind}: predictions are some per cent off"
    if before.arguments != after.arguments:
        yield (
            f"the arguments are not the same size ({shown(before.arguments)}, then {shown(after.arguments)}): "
            "the two may not have done the same work"
        )
    for which, report, other in (("before", before, after), ("after", after, before)):
        yield from (f"{which}: {note}" for note in report.notes if note not in other.notes)
