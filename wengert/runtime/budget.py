"""Compiled programs under a memory budget: the search of `passes/budget/`, with the lowering's own plan of memory as its measure."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from functools import cached_property
from typing import Any

from wengert.core.errors import BudgetError
from wengert.core.sizes import shown
from wengert.graph.program import Program
from wengert.lowering.footprint import Planner
from wengert.lowering.host import host_bytes
from wengert.passes.budget.loops import forms
from wengert.passes.budget.obedience import obeying
from wengert.passes.budget.report import report
from wengert.passes.budget.search import Search, Variant
from wengert.passes.pipeline import PHASES, optimise
from wengert.runtime.engine import Executable, compile
from wengert.runtime.preparation import prepared
from wengert.transforms.derived import Split, derived, recomputing, split

SHARES = (0.85, 0.7, 0.55, 0.4, 0.3, 0.2, 0.1, 0.0)  # of the residuals of a split without a budget
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
            taken = executable.lowered.peak + max(host_bytes(executable.lowered), default=0)
            if taken <= budget:
                executable.obeys = report(search, choice)  # type: ignore[attr-defined]
                return executable
            choice.measured = taken  # more than was planned: a form has declined what it was thought to serve


def split_within(program: Program, mask: tuple[bool, ...], budget: int) -> Split:
    """The pullback of `program` in two halves: the most residuals are kept with which both can obey `budget`, results and
    residuals included. Raises BudgetError where there are none."""
    with _lock:
        halves = derived(program, ("halves", mask), lambda: _halves(program, mask))
        for half in halves:
            if half.fits(budget):
                return half.split
        smallest = min(half.smallest() for half in halves)
    raise BudgetError(
        "memory budget of a jitted function within a derivative",
        got=f"{budget} bytes ({shown(budget)})",
        want=f"at least {smallest} bytes ({shown(smallest)}) for its forward and its backward half",
        fix=f"memory_budget={smallest}, or jit(grad(f), memory_budget=...), which is planned as a whole",
        smallest=smallest,
    )


def _halves(program: Program, mask: tuple[bool, ...]) -> list[_Halves]:
    """Splits of fewer and fewer residuals."""
    found = [split(program, mask)]
    whole = found[0].kept
    for share in SHARES:
        both = recomputing(program, mask, int(share * whole))
        if both.kept < found[-1].kept:
            found.append(both)
    return [_Halves(both) for both in found]


class _Halves:
    """A split pullback, and what its halves can obey."""

    def __init__(self, split: Split) -> None:
        self.split = split

    @cached_property
    def searches(self) -> tuple[Search, Search]:
        programs = self.split.forward, self.split.backward.program
        forward, backward = (_search(half, prepared(half)[0], frozenset()) for half in programs)
        return forward, backward

    def fits(self, budget: int) -> bool:
        if self.split.kept > budget:
            return False
        forward, backward = self.searches
        return forward.within(budget) is not None and backward.within(budget - self.split.kept) is not None

    def smallest(self) -> int:
        forward, backward = self.searches
        return max(forward.smallest(), self.split.kept + backward.smallest())


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
