"""A difference of two memory reports in a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from wengert.core.sizes import shown
from wengert.profile.footprint.terminal import seconds

if TYPE_CHECKING:
    from wengert.profile.footprint.difference import Change, MemoryDiff, Side

LISTED = 12
STYLES = {"better": "bold green", "same": "bold", "worse": "bold red"}


def terminal(diff: MemoryDiff, listed: int = LISTED) -> RenderableType:
    """What `print(diff)` shows; 80 columns suffice."""
    parts: list[RenderableType] = [headline(diff), Text(), _figures(diff), Text(), _peaks(diff)]
    for title, changes in (("role", diff.roles), ("phase", diff.phases), ("op", diff.ops)):
        if any(c.by for c in changes):
            parts += [Text(), *_changes(title, changes, listed)]
    if any(c.by for c in diff.lines):
        parts += [Text(), *_lines(diff.lines, listed)]
    parts += [Text(f"note: {note}", style="dim") for note in diff.notes]
    return Group(*parts)


def headline(diff: MemoryDiff) -> Text:
    verdict = f"{diff.severity} regression" if diff.worse else diff.verdict
    line = Text(verdict.upper(), style=STYLES[diff.verdict])
    line.append(f"  peak {shown(diff.before.peak)} → {shown(diff.after.peak)}", "default")
    line.append(f" ({change(diff.before.peak, diff.after.peak)})", "default")
    return line.append(f", threshold {diff.threshold}", "default not bold dim")


def change(before: float, after: float) -> str:
    """ "+12.5%", "−3.1%", "±0"."""
    if before == after:
        return "±0"
    if not before:
        return "new"
    said = f"{(after - before) / before:+.1%}".replace("-", "−")
    return "±0.0%" if said in ("+0.0%", "−0.0%") else said


def signed(nbytes: int) -> str:
    return "±0" if nbytes == 0 else f"{'+' if nbytes > 0 else '−'}{shown(abs(nbytes))}"


def figures(diff: MemoryDiff) -> list[tuple[str, str, str, str]]:
    """Title, before, after, and the change."""
    a, b = diff.before, diff.after
    rows = [
        (name, shown(getattr(a, key)), shown(getattr(b, key)), change(getattr(a, key), getattr(b, key)))
        for name, key in (("peak", "peak"), ("still held at the end", "kept"), ("allocated", "allocated"))
    ]
    rows.append(("arrays made", f"{a.tensors:,}", f"{b.tensors:,}", change(a.tensors, b.tensors)))
    rows.append(("efficiency", f"{a.efficiency:.0%}", f"{b.efficiency:.0%}", ""))
    if a.seconds and b.seconds:
        rows.append(("time", seconds(a.seconds), seconds(b.seconds), change(a.seconds, b.seconds)))
    return rows


def _figures(diff: MemoryDiff) -> RenderableType:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("")
    for title in (f"before: {diff.before.name}", f"after: {diff.after.name}", "change"):
        table.add_column(Text(title), justify="right", overflow="ellipsis", no_wrap=True, max_width=28)
    for row in figures(diff):
        table.add_row(*row)
    return table


def _peaks(diff: MemoryDiff) -> RenderableType:
    if not diff.moved:
        return Text("the peak is where it was: ", "dim").append(where(diff.after), "not dim")
    return Group(
        Text("the peak was at ", "dim").append(where(diff.before), "not dim"),
        Text("        now at ", "dim").append(where(diff.after), "not dim"),
    )


def where(side: Side) -> str:
    said = ", ".join(part for part in (side.op, side.phase, side.at) if part)
    return (said or "no point") + (f": {side.text}" if side.text else "")


def _changes(title: str, changes: list[Change], listed: int) -> Iterator[RenderableType]:
    yield Text(f"At the peak, by {title}", style="bold")
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False, pad_edge=False)
    for _ in range(3):
        table.add_column(justify="right", no_wrap=True, min_width=10)
    table.add_column(no_wrap=True, overflow="ellipsis")
    changed = [c for c in changes if c.by]
    for c in changed[:listed]:
        table.add_row(Text(signed(c.by), tint(c)), shown(c.before), shown(c.after), Text(c.name))
    _rest(table, changed[listed:])
    yield Padding(table, (0, 0, 0, 2))


def _lines(changes: list[Change], listed: int) -> Iterator[RenderableType]:
    yield Text("At the peak, by line", style="bold")
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False, pad_edge=False, expand=True)
    for _ in range(3):
        table.add_column(justify="right", no_wrap=True, width=10)
    table.add_column(overflow="ellipsis", no_wrap=True, ratio=1)
    changed = [c for c in changes if c.by]
    for c in changed[:listed]:
        table.add_row(Text(signed(c.by), tint(c)), shown(c.before), shown(c.after), Text(c.name))
        if said := located(c):
            table.add_row("", "", "", Text(said, style="dim"))
    _rest(table, changed[listed:])
    yield Padding(table, (0, 0, 0, 2))


def located(c: Change) -> str:
    """Where a line was and is: "model.py:38 in block; moved, was line 31"."""
    at = c.after_at or c.before_at
    was = ""
    if c.before_at and c.after_at and c.before_at != c.after_at:
        old, new = (place.partition(" in ") for place in (c.before_at, c.after_at))
        (file, _, number), (new_file, _, _) = old[0].rpartition(":"), new[0].rpartition(":")
        was = f"line {number}" if (file, old[2]) == (new_file, new[2]) else c.before_at
    said = c.how if c.how not in ("", "same") else ""
    tail = ", ".join(part for part in (said, f"was {was}" if was else "") if part)
    return f"{at}; {tail}" if tail else at


def tint(c: Change) -> str:
    return "red" if c.by > 0 else "green" if c.by < 0 else "dim"


def _rest(table: Table, changes: list[Change]) -> None:
    if changes:
        by = sum(c.by for c in changes)
        rest = shown(sum(c.before for c in changes)), shown(sum(c.after for c in changes))
        table.add_row(signed(by), *rest, Text(f"{len(changes)} more", style="dim"))
