"""A difference of two memory reports as one HTML page, in the looks of a report's own."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from wengert.core.sizes import shown
from wengert.profile.footprint import breakdown
from wengert.profile.footprint.difference.terminal import change, figures, located, signed, where
from wengert.profile.footprint.page import chart, framed, section
from wengert.profile.footprint.page.tables import table

if TYPE_CHECKING:
    from wengert.profile.footprint.difference import Change, MemoryDiff
    from wengert.profile.footprint.report import MemoryReport

LINES = "Lines are recognised by function and text where their numbers differ."


def page(diff: MemoryDiff) -> str:
    """The page; the two timelines are there if the reports are."""
    parts = "".join(
        f"<div>{_table(title, [c for c in changes if c.by])}</div>"
        for title, changes in (("role", diff.roles), ("phase", diff.phases), ("op", diff.ops))
        if any(c.by for c in changes)
    )
    drawn = _timelines(*diff.reports) if diff.reports else ""
    intro = "The most bytes held, each run over its own length."
    sections = [
        section("timeline", "Timelines", intro, drawn),
        section("lines", "The peak, by line", LINES, _table("line", [c for c in diff.lines if c.by])),
        section("parts", "The peak, by role, phase and op", "", f'<div class="side">{parts}</div>' if parts else ""),
    ]
    title = f"memory of {diff.before.name} and {diff.after.name}"
    return framed(title, _opening(diff), [s for s in sections if s])


def _opening(diff: MemoryDiff) -> str:
    verdict = f"{diff.severity} regression" if diff.worse else diff.verdict
    look = {"worse": "bad", "better": "good"}.get(diff.verdict, "")
    by = change(diff.before.peak, diff.after.peak)
    lede = f'<span class="{look}"><b>{escape(verdict)}</b> by a threshold of {escape(diff.threshold)}</span>'
    lede += f"<span><b>{shown(diff.before.peak)} → {shown(diff.after.peak)}</b> at the peak ({by})</span>"
    if diff.moved:
        place = f"the peak was at {escape(where(diff.before))}<br>now at {escape(where(diff.after))}"
    else:
        place = escape(f"the peak is where it was: {where(diff.after)}")
    rows = "".join(
        f"<tr><td>{escape(name)}</td>" + "".join(f'<td class="number">{escape(cell)}</td>' for cell in cells) + "</tr>"
        for name, *cells in figures(diff)
    )
    titles = ("", f"before: {diff.before.name}", f"after: {diff.after.name}", "change")
    head = "".join(f"<th>{escape(title)}</th>" for title in titles)
    notes = "".join(f"<li>{escape(note)}</li>" for note in diff.notes)
    return (
        f'<p class="lede">{lede}</p><p class="where">{place}</p>'
        f'<div class="scroll"><table class="narrow"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>'
        + (f'<ul class="notes">{notes}</ul>' if notes else "")
    )


def _table(title: str, changes: list[Change]) -> str:
    rows = []
    for c in changes:
        look = "up" if c.by > 0 else "down"
        name = f"<code>{escape(c.name)}</code><br><small>{escape(located(c))}</small>" if c.how else escape(c.name)
        cells = [f'<td class="number {look}">{escape(signed(c.by))}</td>']
        cells += [f'<td class="number">{shown(n)}</td>' for n in (c.before, c.after)]
        rows.append((abs(c.by), [*cells, name]))
    return table(("change", "before", "after", title), rows, rest=False)


def _timelines(before: MemoryReport, after: MemoryReport) -> str:
    """Both curves of tops over one scale of bytes; each has the whole width."""
    if not before.timeline or not after.timeline:
        return ""
    scale = chart.ceiling(max(int(breakdown.tops(before).max()), int(breakdown.tops(after).max())))
    legend = '<span><i class="line"></i>before</span><span><i class="line after"></i>after</span>'
    sides = (("before", before), ("after", after))
    paths = "".join(f'<path class="top {name}" d="{chart.outline(report, scale)}"/>' for name, report in sides)
    return f'<div class="legend">{legend}</div>' + chart.plot(paths, scale, "both timelines")
