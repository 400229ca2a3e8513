"""One piece of advice."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from wengert.profile.footprint.report import Line, MemoryReport

MAJOR, MINOR = 0.25, 0.05  # of the peak
Severity = Literal["major", "minor", "hint"]


@dataclass(frozen=True)
class Advice:
    """Something that would make the peak lower, or free memory earlier.

    kind : "checkpoint", "loop", "scan", "budget", "jit", "precision", "variable", "tape"
    what : what to do, in a line
    why : what was seen
    how : code, as an example
    saves : bytes by which the peak is expected to be lower; 0 where nothing can be said, or the peak is elsewhere
    severity : "major" from a quarter of the peak, "minor" from 5 %, else "hint"
    time : what it costs, as a part of the time of the run; None where it costs nothing, or nothing can be said
    """

    kind: str
    what: str
    why: str
    how: str
    saves: int
    severity: Severity
    time: float | None = None
    line: Line | None = None

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def severity(saves: int, report: MemoryReport) -> Severity:
    part = saves / report.peak if report.peak else 0.0
    return "major" if part >= MAJOR else "minor" if part >= MINOR else "hint"
