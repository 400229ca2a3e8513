"""Gaps as a table for terminals, as data, and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy
from rich.console import Group
from rich.markup import escape
from rich.table import Table

from wengert.verify.gaps.ranking import Gap, Survey

COLOURS = {"refused": "yellow", "unserved": "red", "blank": "red"}


def terminal(found: Survey | Sequence[Gap], top: int | None = 60) -> Group:
    """What rich prints: the gaps, the next to add first; of a Survey also what was left out of the ranking, and why.

    top   rows to show of each table; None for all. What is not shown is counted.
    """
    if not isinstance(found, Survey):
        return Group(_ranked(found, top, "names without a derivative, by uses in other code"))
    parts = [_ranked(found.gaps, top, f"names without a derivative, by uses in {', '.join(found.packages)}")]
    if found.ambiguous:
        parts.append(_ranked(found.ambiguous, 10, "methods that other common types have too: an upper bound"))
    if found.limits:
        parts.append(_limits(found, 20))
    return Group(
        *parts, _totals(found), *(f"unreadable: {escape(p)}: {escape(w)}" for p, w in found.unreadable.items())
    )


def _ranked(gaps: Sequence[Gap], top: int | None, title: str) -> Table:
    packages = list(dict.fromkeys(p for g in gaps for p in g.by))
    table = Table(title=title, title_justify="left")
    table.add_column("name", no_wrap=True)
    for column in ("uses", *packages, "in tests", "own"):
        table.add_column(column, justify="right")
    table.add_column("status")
    table.add_column("reason", overflow="fold")
    for g in gaps[:top]:
        counts = (g.uses, *(g.by.get(p, 0) for p in packages), g.tests, g.own)
        status = f"[{COLOURS.get(g.status, 'white')}]{g.status}[/]"
        why = "" if g.status == "unserved" else g.reason + (f" (also of {g.also})" if g.also else "")
        table.add_row(escape(g.name), *(str(n or "") for n in counts), status, escape(why))
    if top is not None and len(gaps) > top:
        rest = gaps[top:]
        table.add_row(f"{len(rest)} more", str(sum(g.uses for g in rest)), *[""] * len(packages),
                      str(sum(g.tests for g in rest)), str(sum(g.own for g in rest)), "", "")  # fmt: skip
    return table


def _limits(found: Survey, top: int) -> Table:
    table = Table(
        "name", "uses of the name", "refused", "reason", title="what differentiable names refuse", title_justify="left"
    )
    for limit in found.limits[:top]:
        table.add_row(escape(limit.name), str(limit.uses or ""), escape(limit.what), escape(limit.reason))
    if len(found.limits) > top:
        table.add_row(f"{len(found.limits) - top} more", "", "", "")
    return table


def _totals(found: Survey) -> Table:
    table = Table("uses", "names", "what becomes of them", title=f"all {found.total} uses", title_justify="left")
    for uses, names, what in totals(found):
        table.add_row(str(uses), str(names), escape(what))
    return table


def totals(found: Survey) -> list[tuple[int, int, str]]:
    """(uses, names, what) of each part of a survey; the uses add up to `found.total`."""
    rows = []
    for status in ("differentiable", "constant"):
        some = [g for g in found.served if g.status == status]
        rows.append((sum(g.all for g in some), len(some), status))
    rows.append((sum(g.all for g in found.gaps), len(found.gaps), "gaps"))
    rows.append((sum(g.all for g in found.ambiguous), len(found.ambiguous), "gaps, if the receiver is an array"))
    return rows + [(a.uses, len(a.names), f"set aside: {a.reason}") for a in found.aside]


def data(gaps: Sequence[Gap]) -> list[dict[str, Any]]:
    """The gaps as in a matrix's JSON."""
    return [
        {
            "name": g.name,
            "space": g.space,
            "uses": g.uses,
            "by": g.by,
            "tests": g.tests,
            "own": g.own,
            "status": g.status,
            "reason": g.reason,
            "remedy": g.remedy,
        }
        for g in gaps
    ]


def markdown(found: Survey, top: int = 40) -> str:
    """A page: the next to add, what is missing per module, and what was set aside."""
    files = ", ".join(f"{p} ({n} files)" for p, n in found.files.items())
    lines = [
        "# What is missing",
        "",
        "<!-- made by `python -m wengert.verify.gaps --markdown docs/gaps.md`; do not edit -->",
        "",
        "Names of NumPy and SciPy that wengert does not differentiate, ranked by how often real code uses them: the sources and tests",
        f"of {files}, with NumPy {np.__version__} and SciPy {scipy.__version__}. The next to add is on top.",
        "*Uses* are those outside the part of NumPy or SciPy that the name is of; *own* those within it, its tests included.",
        "What counts as a use is stated in `wengert/verify/gaps/scan.py`; what is no gap, and why, in `wengert/verify/gaps/aside.py`.",
        "The page is made again by `python -m wengert.verify.gaps --markdown docs/gaps.md`.",
        "",
        *_lines(("name", "uses", "of them in tests", "own", "status", "reason"), [_cells(g) for g in found.gaps[:top]]),
        "",
        f"{len(found.gaps) - min(top, len(found.gaps))} more names have {sum(g.uses for g in found.gaps[top:])} uses together."
        " Per module, all of them:",
        "",
        *_lines(("module", "names", "uses", "own"), per_space(found.gaps)),
        "",
        f"## All {found.total} uses",
        "",
        *_lines(("uses", "names", "what becomes of them"), totals(found)),
    ]
    if found.unreadable:
        lines += ["", *(f"Unreadable: `{path}`: {why}" for path, why in found.unreadable.items())]
    return "\n".join(lines) + "\n"


def per_space(gaps: Sequence[Gap]) -> list[tuple[str, int, int, int]]:
    """(module, names, uses, own uses), the most used first."""
    spaces = dict.fromkeys(g.space for g in gaps)
    rows = []
    for space in spaces:
        some = [g for g in gaps if g.space == space]
        rows.append((space, len(some), sum(g.uses for g in some), sum(g.own for g in some)))
    return sorted(rows, key=lambda row: (-row[2], -row[3]))


def _cells(g: Gap) -> tuple[str, int, int, int, str, str]:
    return f"`{g.name}`", g.uses, g.tests, g.own, g.status, g.reason


def _lines(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    cells = [[str(c).replace("|", "\\|") for c in row] for row in (head, ["---"] * len(head), *rows)]
    return [f"| {' | '.join(row)} |" for row in cells]
