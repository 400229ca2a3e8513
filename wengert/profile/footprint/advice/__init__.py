"""What would make a peak lower, found in a memory report, with the bytes that it would save.

    for advice in report.advice():
        print(advice.what, advice.saves)

Each promise is made by taking away from the timeline what would not have been held. Tests apply each kind of advice to programs,
measure again, and hold the saving against the promise: within `TOLERANCE` of it. Several are not additive.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wengert.profile.footprint.advice import arrays, checkpoints, compiled
from wengert.profile.footprint.recommendation import Advice

if TYPE_CHECKING:
    from wengert.profile.footprint.report import MemoryReport

__all__ = ["TOLERANCE", "Advice", "advise"]

TOLERANCE = 0.2  # of what is promised
LEAST, FLOOR = 0.05, 16 * 1024  # of the peak, and in bytes: what saves less is not said
KINDS = (
    checkpoints.checkpoints, compiled.stacks, compiled.budget, arrays.precision, arrays.variables, arrays.tapes,
)  # fmt: skip


def advise(report: MemoryReport, compiled_report: MemoryReport | None = None) -> list[Advice]:
    """All advice, what saves most first. With the report of the compiled function, also what compiling saves."""
    if not report.timeline or report.peak <= 0:
        return []
    found = [advice for kind in KINDS for advice in kind(report)] + list(compiled.jit(report, compiled_report))
    kept = [a for a in found if a.saves >= max(LEAST * report.peak, FLOOR) or a.kind == "tape"]
    return sorted(kept, key=lambda a: (-a.saves, a.what))
