"""One piece of advice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from wengert.profile.footprint.breakdown import Like
    from wengert.profile.footprint.report import Holding, Line, MemoryReport

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
    line : where it begins
    frees : lines and ops of the residuals that would be gone
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
    frees: frozenset[tuple[Line, str]] = field(default=frozenset(), repr=False)

    def to_dict(self) -> dict[str, Any]:
        """For JSON; without `frees`."""
        return {k: v for k, v in asdict(self).items() if k != "frees"}


def remedy(like: Like, advice: Sequence[Advice]) -> str:
    """What would free arrays of this kind, in words; empty if none of the advice would."""
    return like.frees or next((a.what for a in advice if (like.line, like.op) in a.frees), "")


def severity(saves: int, report: MemoryReport) -> Severity:
    part = saves / report.peak if report.peak else 0.0
    return "major" if part >= MAJOR else "minor" if part >= MINOR else "hint"


def internal(h: Holding) -> bool:
    """Whether it was held within one call of a compiled program, and not beyond it."""
    return bool(h.within) and h.died is not None and h.died <= h.born + 1
