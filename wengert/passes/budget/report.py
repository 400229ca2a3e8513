"""What a budget did to a program, in words."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

from wengert.core.sizes import shown
from wengert.core.source import describe, is_backward
from wengert.passes.budget.problem import Problem
from wengert.passes.budget.search import Choice, Search

LINES = 12  # of a list

Lines = list[tuple[int, int, str, str]]


@dataclass(frozen=True)
class Report:
    """The peaks planned with a budget and without, and the share of the time without it that recomputation adds, by the model.

    kept : values made forward and read backward, as (how many, bytes, op, the user's line)
    recomputed : the same of values that are made again, once for each time
    """

    peak: int
    before: int
    extra: float
    kept: Lines
    recomputed: Lines
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [
            f"planned peak {shown(self.peak)}, without a budget {shown(self.before)}",
            f"  recomputation adds {100 * self.extra:.1f} % to the time, by the model",
            *(f"  {note}" for note in self.notes),
        ]
        for title, rows in (("kept for the way back", self.kept), ("recomputed", self.recomputed)):
            if rows:
                lines.append(f"  {title}: {shown(sum(size for _, size, *_ in rows))}")
                lines += [f"    {n:4d} × {op:<14} {shown(size):>10}  {line}" for n, size, op, line in rows[:LINES]]
            if len(rows) > LINES:
                lines.append(f"    and {len(rows) - LINES} lines more, of {shown(sum(row[1] for row in rows[LINES:]))}")
        return "\n".join(lines)


def report(search: Search, choice: Choice) -> Report:
    """What `choice` does."""
    variant, first = choice.variant, search.variant
    problem, rows = variant.problem, variant.program.eqns
    times = Counter(choice.plan.runs)
    again: dict[tuple[str, str], list[int]] = {}
    kept: dict[tuple[str, str], list[int]] = {}
    for number, node in enumerate(problem.nodes):
        row, size = rows[node.row], sum(problem.size[v] for v in node.outs)
        if (more := times[number] - 1) > 0:
            _count(again, row, more, size * more)
        elif not is_backward(row[6:8]) and any(_is_residual(problem, rows, v) for v in node.outs):
            _count(kept, row, 1, size)
    peak = choice.measured or choice.peak
    extra = choice.extra / max(first.seconds, 1e-12)
    return Report(peak, first.memory.peak, extra, _listed(kept), _listed(again), tuple(variant.notes))


def _is_residual(problem: Problem, rows: Any, v: int) -> bool:
    return any(is_backward(rows[problem.nodes[u].row][6:8]) for u in problem.uses[v] if u < len(problem.nodes))


def _count(table: dict[tuple[str, str], list[int]], row: Any, times: int, size: int) -> None:
    entry = table.setdefault((row[0].name, describe((row[6], row[7]))), [0, 0])
    entry[0] += times
    entry[1] += size


def _listed(table: dict[tuple[str, str], list[int]]) -> Lines:
    found = [(n, size, op, line) for (op, line), (n, size) in table.items()]
    return sorted(found, key=lambda row: -row[1])


def blame(choice: Choice) -> str:
    """The user's line that runs when memory is at its peak."""
    problem, rows = choice.variant.problem, choice.variant.program.eqns
    if not problem.nodes:
        return ""
    row = rows[problem.nodes[choice.plan.top].row]
    return describe((row[6], row[7]))
