"""A Program made to obey a budget: the door to this folder."""

from __future__ import annotations

from wengert.core.errors import BudgetError
from wengert.core.sizes import shown
from wengert.passes.budget.report import blame
from wengert.passes.budget.search import Choice, Search


def obeying(search: Search, budget: int, name: str) -> Choice:
    """The cheapest way to run a program in `budget` bytes beyond its arguments. Raises BudgetError where there is none."""
    choice = search.within(budget)
    if choice is None:
        smallest = search.smallest()
        least = search.within(smallest)
        assert least is not None
        raise BudgetError(
            f"memory budget of {name}",
            got=f"{budget} bytes ({shown(budget)})",
            want=f"at least {smallest} bytes ({shown(smallest)}), of which results take {shown(least.variant.problem.given)}",
            fix=f"memory_budget={smallest}, or less memory where it is at its peak",
            at=blame(least),
            smallest=smallest,
        )
    return choice
