"""The matrix in a terminal: families by modes, whatever is not a pass, and the totals."""

from __future__ import annotations

from typing import Any

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from wengert.verify.matrix import wording
from wengert.verify.matrix.summary import (
    EXECUTED,
    Place,
    Summary,
    Tally,
    brief,
    counted,
    grouped,
    headline,
    provenance,
    summary,
)

LISTED = 30
MARKS = {"fail": ("×", "bold red"), "undecided": ("?", "yellow")}


def terminal(data: dict[str, Any]) -> RenderableType:
    """What `wengert coverage` prints for a matrix of schema 1; 80 columns suffice."""
    found = summary(data)
    parts: list[RenderableType] = [_families(data, found), _caption(data, found)]
    for status in ("fail", "undecided"):
        places = [p for p in found.troubles if p.cell["status"] == status]
        if places:
            parts += [Text(), *_places(status, places)]
    parts += [Text(), *_sections(data), _totals(data, found)]
    return Group(*parts)


def _families(data: dict[str, Any], found: Summary) -> Table:
    modes = found.present(data)
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="bold", show_footer=True)
    table.add_column("family", no_wrap=True, footer="all")
    table.add_column("ops", justify="right", min_width=len(str(found.ops)), footer=str(found.ops))
    table.add_column(
        "checks", justify="right", no_wrap=True, min_width=len(f"{found.executed:,}"), footer=f"{found.executed:,}"
    )
    for mode in modes:
        table.add_column(wording.short(mode), footer=_tally(found.modes[mode]), justify="right", no_wrap=True)
    for family, of in found.families.items():
        checks = sum(tally.counts[status] for tally in of.values() for status in EXECUTED)
        cells = (_tally(of.get(mode)) for mode in modes)
        table.add_row(escape(family), str(found.sizes[family]), f"{checks:,}" if checks else "", *cells)
    return table


def _tally(tally: Tally | None) -> Text:
    """`3e-12`, the largest error; or how many calls fail, or are undecided."""
    text = Text()
    if tally is None:
        return text
    counts = tally.counts
    bad = next((status for status in MARKS if counts[status]), None)
    if bad is not None:
        mark, style = MARKS[bad]
        text.append(f"{counts[bad]}{mark}", style)
    elif counts["pass"]:
        text.append(_power(tally.worst) if tally.worst is not None else "pass", "green")
    elif counts["constant"] or counts["refused"]:
        text.append("○" if counts["constant"] else "–", "dim")
    return text


def _power(value: float) -> str:
    return "0" if value == 0 else f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e+")


def _caption(data: dict[str, Any], found: Summary) -> Text:
    modes = found.present(data)
    shortened = ", ".join(f"{wording.short(m)} {m}" for m in modes if wording.short(m) != m)
    left = [m for m in data["modes"] if m not in modes]
    return Text(
        "The largest error among calls that pass in double precision; × calls that fail, or else ? undecided; ○ constant, – refused. "
        + shortened
        + ("." if shortened else "")
        + (f" Nothing was executed in: {', '.join(left)}." if left else ""),
        style="dim",
    )


def _places(status: str, places: list[Place]) -> list[RenderableType]:
    _, style = MARKS[status]
    title = (
        "Failures" if status == "fail" else f"Undecided: {wording.STATUSES['undecided'].removeprefix('Executed, but ')}"
    )
    parts: list[RenderableType] = [Text(f"{title}", style=style)]
    groups = grouped(places)
    for p, more in groups[:LISTED]:
        line = Text("  ").append(p.op, "bold").append(f"  {p.mode}, {p.dtype}, {p.layout}")
        if more:
            line.append(f" and {more} more")
        if p.cell.get("error") is not None:
            line.append(f"  error {brief(p.cell['error'])}, limit {brief(p.cell.get('limit'))}", "dim")
        parts.append(line)
        if p.cell.get("reason"):
            parts.append(Padding(Text(p.cell["reason"], style="dim"), (0, 0, 0, 4)))
    if len(groups) > LISTED:
        parts.append(Text(f"  … and {len(groups) - LISTED:,} more", style="dim"))
    return parts


def _sections(data: dict[str, Any]) -> list[RenderableType]:
    """A line for each of the other parts that the data have."""
    lines: list[RenderableType] = []
    if names := data.get("names"):
        kinds = {k: sum(n["status"] == k for n in names) for k in wording.NAMES}
        failing = [n["name"] for n in names if n.get("failures")]
        said = ", ".join(f"{n:,} {k}" for k, n in kinds.items() if n)
        lines.append(_line("names", said, f"failing examples: {', '.join(failing[:8])}" if failing else ""))
    if accuracy := data.get("accuracy"):
        over = [f"{a['name']}[{a['parameter']}]" for a in accuracy if a["worst_ulp"] > a["bound"]]
        worst = max(accuracy, key=lambda a: a["worst_ulp"])
        said = f"{len(accuracy):,} functions and arguments, worst {brief(worst['worst_ulp'])} ulp ({worst['name']})"
        lines.append(_line("accuracy", said, f"over the bound: {', '.join(over[:8])}" if over else ""))
    if mutants := data.get("mutants"):
        missed = mutants["tried"] - mutants["caught"]
        lines.append(
            _line(
                "wrong rules",
                f"{mutants['caught']:,} of {mutants['tried']:,} caught",
                f"{missed} missed" if missed else "",
            )
        )
    if gaps := data.get("gaps"):
        said = ", ".join(f"{g['name']} ({g['uses']:,})" for g in gaps[:5])
        lines.append(_line("gaps", f"{counted(len(gaps), 'name')}, most called: {said}", ""))
    return lines


def _line(topic: str, said: str, bad: str) -> Text:
    line = Text(f"{topic:<12}").append(said)
    return line.append("; " + bad, "bold red") if bad else line


def _totals(data: dict[str, Any], found: Summary) -> Group:
    counts = found.total.counts
    style = "bold red" if counts["fail"] else "bold green"
    left = ", ".join(f"{counts[s]:,} {s}" for s in ("constant", "refused", "absent") if counts[s])
    return Group(
        Text(" · ".join(headline(data, found)), style=style),
        Text(f"{provenance(data)} {counts['pass']:,} pass; {left}.", style="dim"),
    )
