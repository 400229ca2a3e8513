"""Compiled programs under a memory budget: the search of `passes/budget/`, with the lowering's own plan of memory as its measure."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from wengert.graph.program import Program
from wengert.lowering.lowered import Lowered
from wengert.passes.budget.obedience import obeying
from wengert.passes.budget.report import Report, report
from wengert.passes.budget.search import Search, Variant

KEPT = 4  # searches, for other budgets of the same programs
_searches: OrderedDict[Any, Search] = OrderedDict()
_lock = threading.RLock()

Compile = Callable[[Program], Any]


def compiled_within(
    program: Program, donated: frozenset[int], budget: int, name: str, compile: Compile
) -> tuple[Any, Report]:
    """What `compile` makes of an optimised program, in the cheapest form whose calls take at most `budget` bytes beyond their
    arguments; and what was done to it. Raises BudgetError where there is none.

    Cost: a search, 5 to 10 ms for each ten equations, and one to four plans of memory.
    """
    with _lock:
        search = _search(program, donated)
        while True:
            choice = obeying(search, budget, name)
            executable = compile(choice.program())
            taken = peak(executable.lowered)
            if taken <= budget:
                return executable, report(search, choice)
            choice.measured = taken  # more than was planned: a form has declined what it was thought to serve


def _search(program: Program, donated: frozenset[int]) -> Search:
    from wengert.lowering.footprint import Planner

    lines = tuple(row[6:8] for row in program.eqns)
    key = program, lines, donated
    found = _searches.pop(key, None) or Search([Variant(program, Planner(donated))])
    _searches[key] = found
    while len(_searches) > KEPT:
        _searches.popitem(last=False)
    return found


def peak(lowered: Lowered) -> int:
    """Bytes that a call takes beyond its arguments: results that take over no operand's memory, and the workspace."""
    results = sum(
        out.aval.size * out.aval.dtype.itemsize for i, out in enumerate(lowered.outs) if i not in lowered.inplace
    )
    return results + lowered.workspace
