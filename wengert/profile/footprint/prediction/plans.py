"""What would be compiled for a Program, up to the plan of its memory. No machine code is made."""

from __future__ import annotations

from wengert.graph.program import Program
from wengert.lowering.host import host_bytes
from wengert.lowering.lowered import Lowered
from wengert.runtime.preparation import prepared


def lowered(program: Program, donated: frozenset[int] = frozenset(), budget: int | None = None) -> Lowered:
    """What would be compiled for a staged program, in at most `budget` bytes. Raises BudgetError where that cannot be."""
    from wengert.lowering.lower import lower

    optimised, _ = prepared(program)
    if budget is not None:
        from wengert.passes.budget.obedience import obeying
        from wengert.runtime.budget import _search

        optimised = obeying(_search(program, optimised, donated), budget, "").program()
    return lower(optimised, donated=donated)


def passing(program: Program, budget: int | None = None) -> int:
    """What a call of a program takes beyond its arguments and results, while it runs."""
    found = program.derived.get(("passing", budget))
    if found is None:
        plan = lowered(program, budget=budget)
        found = program.derived["passing", budget] = plan.workspace + max(host_bytes(plan), default=0)
    return found
