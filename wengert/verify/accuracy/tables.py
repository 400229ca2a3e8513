"""The measured errors as a terminal table, and as the page docs/accuracy.md."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.box import SIMPLE_HEAD
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from wengert.verify.accuracy.measuring import Accuracy

if TYPE_CHECKING:
    from wengert.verify.oracles.special.elsewhere import Elsewhere

STEPS = (1, 4, 16, 64, 1e3, 1e4, 1e6)

COMMAND = 'python -c "from wengert.verify import accuracy as a; print(a.markdown(a.measure()))" > docs/accuracy.md'


def brief(x: float | None) -> str:
    """1.2, 380, 3.4e+05, ∞; a dash for nothing."""
    if x is None:
        return "–"
    if x == float("inf"):
        return "∞"
    return f"{x:.0e}" if 0 < x < 0.005 else f"{x:.2g}" if x < 100 else f"{x:.0f}" if x < 1e4 else f"{x:.1e}"


def place(row: Accuracy) -> str:
    """The point of the worst error."""
    return ", ".join(f"{x:.6g}" for x in row.where)


def distribution(rows: Sequence[Accuracy]) -> list[tuple[str, int]]:
    """How many derivatives have their worst error in each range."""
    edges = (0.0, *STEPS, float("inf"))
    return [
        (
            f"up to {top:g}" if top < float("inf") else f"above {STEPS[-1]:g}",
            sum(low < row.worst_ulp <= top or (low == 0 == row.worst_ulp) for row in rows),
        )
        for low, top in itertools.pairwise(edges)
    ]


def summary(rows: Sequence[Accuracy]) -> str:
    """One line: how many, how good, and what is over its bound."""
    functions = len({row.name.split()[0] for row in rows})
    fine = sum(row.worst_ulp <= 16 for row in rows)
    over = [f"{row.name}[{row.argument}]" for row in rows if not row.ok]
    said = f"{len(rows)} derivatives of {functions} functions, {fine} within 16 ulps"
    return said + (f"; over their bounds: {', '.join(over)}" if over else "; all within their bounds")


# ── in the terminal ───────────────────────────────────────────────────────────


def terminal(rows: Sequence[Accuracy]) -> RenderableType:
    """A table for rich: a line per function and argument, those over their bound in red."""
    table = Table(header_style="bold", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("derivative of, in", no_wrap=True)
    for heading in ("worst ulp", "median", "value", "bound", "single"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("worst at")
    for row in rows:
        table.add_row(
            f"{row.name}, {row.argument}",
            brief(row.worst_ulp),
            brief(row.median_ulp),
            brief(row.value_ulp),
            brief(row.bound),
            brief(row.single_ulp),
            place(row),
            style="" if row.ok else "red",
        )
    return Group(table, Text(summary(rows)))


# ── as a page ─────────────────────────────────────────────────────────────────

INTRODUCTION = f"""\
# Accuracy

Derivatives of elementary and special functions against mpmath, in units in the last place (ulp). This page is written by

    {COMMAND}

and `wengert coverage --accuracy` shows the same in a terminal. The tests hold every row to its bound.

- The reference is the function itself in mpmath, differentiated by central differences in 50 to 800 digits, at two steps
  which agree to 22 digits; by a formula where the value next to a constant would hide the derivative; and for
  inverse functions by Newton's method and implicit differentiation.
- The points are fixed (`wengert/verify/oracles/special/`): ordinary ones, huge and tiny ones, both sides of branch points,
  zeros, poles and integer parameters, and the places where an algorithm gives way to another. Half of them are single
  precision numbers, for both precisions; half use all 53 bits.
- *worst* and *median* are over all outputs, in forward and in reverse mode, through NumPy's and SciPy's own names. *value* is
  the worst error of NumPy's or SciPy's value at the same points; most derivatives are made of such values.
- Where *of* says *scaled*, errors are in ulps of max(|f'|, |x f''|), which is what an error of half an ulp in the argument
  does to the derivative: near its zeros a derivative has no more digits than that. Otherwise they are in ulps
  of the derivative, or of what is named.
- Boundaries at which the derivative is infinite, or a subgradient is taken, are among the points, and must come out as
  documented.
- *single*: the same in single precision, with its own bound. A dash: SciPy has no such loop.
"""


def markdown(rows: Sequence[Accuracy]) -> str:
    """The page, as Markdown."""
    from wengert.verify.oracles.special.elsewhere import ELSEWHERE

    return "\n".join(
        [
            INTRODUCTION,
            "## In short",
            "",
            f"{summary(rows)}.",
            "",
            *_grid(["worst error in ulps", "derivatives"], [[f"{a}", str(n)] for a, n in distribution(rows)]),
            *_worst(rows),
            *_all(rows),
            *_reasons(rows),
            *_elsewhere(list(ELSEWHERE.values())),
        ]
    )


def _grid(head: Sequence[str], body: Sequence[Sequence[str]]) -> list[str]:
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return [*lines, *("| " + " | ".join(row) + " |" for row in body), ""]


def _worst(rows: Sequence[Accuracy]) -> list[str]:
    ranked = sorted(rows, key=lambda row: -row.worst_ulp)[:10]
    body = [
        [f"`{row.name}`", row.argument, brief(row.worst_ulp), brief(row.value_ulp), place(row), row.note]
        for row in ranked
    ]
    return ["## The worst ten", "", *_grid(["derivative of", "in", "worst", "value", "at", "why"], body)]


def _all(rows: Sequence[Accuracy]) -> list[str]:
    notes = list(dict.fromkeys(row.note for row in rows if row.note))
    body = [
        [
            f"`{row.name}`",
            row.argument,
            str(row.points),
            brief(row.worst_ulp),
            place(row),
            brief(row.median_ulp),
            brief(row.value_ulp),
            brief(row.bound),
            brief(row.single_ulp),
            brief(row.single_bound),
            row.measure.removeprefix("ulp").removeprefix(",").removeprefix(" of").strip(),
            f"{notes.index(row.note) + 1}" if row.note else "",
        ]
        for row in rows
    ]
    head = ["derivative of", "in", "points", "worst", "at", "median", "value", "bound", "single", "bound", "of", "note"]
    return ["## All", "", *_grid(head, body)]


def _reasons(rows: Sequence[Accuracy]) -> list[str]:
    notes = list(dict.fromkeys(row.note for row in rows if row.note))
    left = [f"`{row.name}` in {row.argument} ({row.invalid})" for row in rows if row.invalid]
    lines = ["### Notes", "", *(f"{n}. {note[0].upper()}{note[1:]}." for n, note in enumerate(notes, 1)), ""]
    if left:
        lines += [
            "Points that are left out, since SciPy's own value there (often in single precision alone) is NaN or infinite "
            f"and should not be: {', '.join(left)}.",
            "",
        ]
    return lines


def _elsewhere(entries: Sequence[Elsewhere]) -> list[str]:
    body = [[f"`{e.name}`", e.reason, e.instead, f"{e.tolerance:g}"] for e in entries]
    return ["## Without mpmath", "", *_grid(["function", "why", "compared with", "within"], body)]
