"""A memory report as one HTML page that needs nothing else: no network, no fonts, no other file.

Python draws everything: the timeline as SVG, the flame graph and the tables as HTML, so that the page can be read without
JavaScript, printed, and sent by mail. The script adds what moves: what was held at the point under the pointer, zooming, the theme.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wengert.core.sizes import shown
from wengert.profile.footprint import breakdown
from wengert.profile.footprint.page import chart, flame, tables
from wengert.profile.footprint.terminal import figures, place, plural

if TYPE_CHECKING:
    from wengert.profile.footprint.advice import Advice
    from wengert.profile.footprint.report import MemoryReport


def page(report: MemoryReport, advice: Sequence[Advice] = ()) -> str:
    """The page; `advice` is what `report.advice()` gave."""
    sections = [
        section("timeline", "Timeline", chart.INTRO, chart.timeline(report)),
        section("flame", "Flame graph", flame.INTRO, flame.flame(report)),
        section("advice", "What would help", tables.ADVICE, tables.advice(advice, report.peak)),
        section("residuals", "Residuals", tables.RESIDUALS, tables.residuals(report, advice)),
        section("lines", "Lines", tables.LINES, tables.lines(report)),
        section("parts", "Roles, phases, ops", "", tables.parts(report)),
        section("holdings", "Arrays", tables.HOLDINGS, tables.holdings(report)),
    ]
    return framed(f"memory of {report.name}", opening(report), [s for s in sections if s], chart.data(report))


def framed(title: str, opening: str, sections: list[str], data: Any = None) -> str:
    """A page of these sections; each is HTML, the title is not."""
    titles = [re.search(r'<section id="(\w+)".*?<h2>(.*?)</h2>', s, re.DOTALL) for s in sections]
    parts = {
        "title": escape(title),
        "style": _file("page.css"),
        "script": _file("page.js"),
        "nav": "".join(f'<a href="#{m[1]}">{m[2]}</a>' for m in titles if m),
        "opening": opening,
        "sections": "\n".join(sections),
        # "<" would let a text of the user's end the script element.
        "data": json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c"),
    }
    return re.sub(r"<!-- (\w+) -->", lambda m: parts[m[1]], _file("page.html"))


def section(name: str, title: str, intro: str, body: str) -> str:
    """HTML of one section; empty if it has no body."""
    if not body:
        return ""
    said = f'<p class="intro">{intro}</p>' if intro else ""
    return f'<section id="{name}"><h2>{escape(title)}</h2>{said}{body}</section>'


def opening(report: MemoryReport) -> str:
    """The peak in large type, where it was, the other figures, the notes."""
    where = ""
    if report.timeline:
        at = report.timeline[report.peak_at]
        what = f"<code>{escape(at.op)}</code>, " if at.op else ""
        where = f"at point {report.peak_at + 1:,} of {len(report.timeline):,}: {what}{escape(at.phase)}"
        if at.line.file:
            where += f", {escape(place(at.line))}<code class='text'>{escape(at.line.text)}</code>"
    top = next(iter(breakdown.parts(report)["role"].items()), None) if report.peak else None
    most = f"<span><b>{top[1] / report.peak:.0%}</b> {escape(plural(top[0]))}</span>" if top else ""
    big = f"<span><b>{shown(report.peak)}</b> at the peak</span>{most}"
    big += f"<span><b>{report.efficiency:.0%}</b> of what was held was still to be used</span>"
    notes = "".join(f"<li>{escape(note)}</li>" for note in report.notes)
    return (
        f"<p class='kind'>{escape(report.mode)}, {escape(report.kind)}</p><p class='lede'>{big}</p>"
        f"<p class='where'>{where}</p><p class='figures'>{escape(figures(report))}</p>"
        + (f"<ul class='notes'>{notes}</ul>" if notes else "")
    )


def _file(name: str) -> str:
    return Path(__file__).with_name(name).read_text(encoding="utf-8")
