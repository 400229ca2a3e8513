"""Compiled programs under a memory budget: the search of `passes/budget/`, with the lowering's own plan of memory as its measure."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from typing import Any

from wengert.graph.program import Program
from wengert.lowering.footprint import Planner
from wengert.passes.budget.loops import forms
from wengert.passes.budget.obedience import obeying
from wengert.passes.budget.report import report
from wengert.passes.budget.search import Search, Variant
from wengert.passes.pipeline import PHASES, optimise
from wengert.runtime.engine import Executable, compile
from wengert.runtime.preparation import prepared

KEPT = 4  # searches, for other budgets of the same programs
_searches: OrderedDict[Any, Search] = OrderedDict()
_lock = threading.RLock()


def compiled_within(
    program: Program, optimised: Program, donated: frozenset[int], budget: int, name: str
) -> Executable:
    """`program`, which after the passes is `optimised`, compiled in the cheapest form found whose calls take at most `budget`
    bytes beyond their arguments. Its `obeys` is a Report. Raises BudgetError where there is none.

    Cost: a search of 5 to 10 ms for each ten equations, where the program does not obey as it is, and some plans of memory.
    """
    with _lock:
        search = _search(program, optimised, donated)
        while True:
            choice = obeying(search, budget, name)
            executable = compile(choice.program(), donated=donated, name=name)
            taken = executable.lowered.peak
            if taken <= budget:
                executable.obeys = report(search, choice)  # type: ignore[attr-defined]
                return executable
            choice.measured = taken  # more than was planned: a form has declined what it was thought to serve


def _search(program: Program, optimised: Program, donated: frozenset[int]) -> Search:
    lines = tuple(row[6:8] for row in optimised.eqns)
    key = optimised, lines, donated
    found = _searches.pop(key, None)
    if found is None:
        planner = Planner(donated)
        found = Search(Variant(optimised, planner), lambda: _variants(program, planner))
    _searches[key] = found
    while len(_searches) > KEPT:
        _searches.popitem(last=False)
    return found


def _variants(program: Program, planner: Planner) -> Iterator[Variant]:
    """Forms of the program with other loops."""
    early = optimise(program, PHASES[:3])[0]
    first = planner(prepared(early)[0]).peak
    for form, extra, notes in forms(early, first):
        yield Variant(prepared(form)[0], planner, extra, notes)
