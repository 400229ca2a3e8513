"""The flame graph of the bytes at the peak: file, function, line, op from above; widths are bytes."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from wengert.core.sizes import shown
from wengert.profile.footprint import breakdown
from wengert.profile.footprint.breakdown import Branch

if TYPE_CHECKING:
    from wengert.profile.footprint.report import MemoryReport

SMALLEST = 1 / 400  # of the peak; what is smaller is gathered
INTRO = (
    "The bytes at the peak by file, function, line and op. Widths are bytes: click a box to have it fill the width; the "
    "top row leads back. Colours of the lowest row are roles, as in the timeline."
)


def flame(report: MemoryReport) -> str:
    """HTML of the flame graph; empty if nothing was held."""
    if report.peak <= 0:
        return ""
    boxes: list[str] = []
    _lay(breakdown.tree(report), 0, 0.0, report.peak, boxes)
    rows = 1 + max(int(box.split('data-row="')[1].split('"')[0]) for box in boxes)
    return f'<div class="flame" id="flames" style="height:calc({rows} * var(--row))">{"".join(boxes)}</div>'


def _lay(branch: Branch, row: int, left: float, whole: int, boxes: list[str]) -> None:
    """`branch` at `left` (a part of the whole), and its parts below it."""
    boxes.append(_box(branch, row, left, branch.nbytes / whole, whole))
    small, at = [], left
    for part in branch.sorted():
        if part.nbytes < SMALLEST * whole:
            small.append(part)
            continue
        _lay(part, row + 1, at, whole, boxes)
        at += part.nbytes / whole
    if rest := sum(part.nbytes for part in small):
        count = sum(part.count for part in small)
        boxes.append(_box(Branch(f"{len(small)} more", "rest", rest, count), row + 1, at, rest / whole, whole))


def _box(branch: Branch, row: int, left: float, width: float, whole: int) -> str:
    said = f"{branch.text or branch.name}\n{shown(branch.nbytes)}, {branch.nbytes / whole:.1%} of the peak"
    said += f", {branch.count:,} arrays" if branch.count > 1 else ""
    look = f"role-{branch.role}" if branch.role else f"box-{branch.kind}"
    return (
        f'<button type="button" class="box {look}" data-row="{row}" data-left="{left:.6f}" data-width="{width:.6f}" '
        f'style="top:calc({row} * var(--row));left:{left:.4%};width:{width:.4%}" title="{escape(said)}">'
        f"{escape(branch.name)} <small>{shown(branch.nbytes)}</small></button>"
    )
