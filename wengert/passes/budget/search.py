"""The cheapest way to run a program within a budget: plans for a fixed series of budgets, tried in the order of their cost.

What is tried does not depend on the budget asked for. The plan taken is the first, from where the model says that one
might fit, whose memory as compiled code will have it fits in fact. So a smaller budget never gets a cheaper plan.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

from wengert.graph.program import Program, Var
from wengert.passes.budget.eviction import Plan, plan
from wengert.passes.budget.problem import problem_of
from wengert.passes.budget.rewriting import rewritten

STEP = 0.87  # each coarse budget is so many times the one before
FINER = 3  # budgets between two coarse ones
COARSE = 48  # of them, at most
TAIL = 4  # plans of the smallest memory of which the smallest possible budget is found
ROOM, SHARE = 1024, 256  # bytes that a call leaves for small things of its caller's, and the share of a small budget
SLACK = 1.03  # how far what the model expects may lie above a budget that is to be tried


class Memory(Protocol):
    """What `lowering.footprint.Footprint` tells."""

    @property
    def peak(self) -> int: ...

    @property
    def homes(self) -> Mapping[Var, Var]: ...

    @property
    def scratch(self) -> Mapping[Var, int]: ...


Measure = Callable[[Program], Memory]


class Variant:
    """One form of the program, with what it costs beyond the first: other loops give other forms."""

    def __init__(self, program: Program, measure: Measure, extra: float = 0.0, notes: Sequence[str] = ()) -> None:
        self.program, self.measure, self.extra, self.notes = program, measure, extra, notes
        self.memory = measure(program)
        self.problem = problem_of(program, self.memory.homes, self.memory.scratch)
        free = plan(self.problem, 1 << 60)
        assert free is not None
        self.free: Plan = free
        self.seconds = sum(node.cost for node in self.problem.nodes)
        gap = self.memory.peak - free.peak  # what the model does not see
        self._gaps = [(free.peak, gap), (0, gap)]

    def calibrate(self, peak: int, measured: int) -> None:
        """A plan of this peak by the model was found to take `measured` bytes."""
        self._gaps[1] = (peak, measured - peak)

    def expected(self, peak: int) -> int:
        """Bytes that a plan of this peak by the model is likely to take."""
        (high, gap), (low, other) = self._gaps
        share = min(max((peak - low) / max(high - low, 1), 0.0), 1.0)
        return peak + int(share * gap + (1 - share) * other)


@dataclass(eq=False)
class Choice:
    """A variant run by a plan; `measured` is the peak of compiled code, once it is known."""

    variant: Variant
    plan: Plan
    measured: int | None = None
    made: Program | None = None

    @property
    def peak(self) -> int:
        """Bytes, as the model expects them."""
        return self.variant.expected(self.plan.peak)

    @property
    def extra(self) -> float:
        """Seconds beyond the program without a budget, by the model."""
        return self.plan.extra + self.variant.extra

    def program(self) -> Program:
        if self.made is None:
            variant = self.variant
            whole = self.plan is variant.free
            self.made = variant.program if whole else rewritten(variant.program, variant.problem, self.plan).pruned()
        return self.made

    def fits(self, budget: int) -> bool:
        """Whether compiled code obeys `budget`, by its own plan of memory."""
        if self.measured is None:
            self.measured = self.variant.measure(self.program()).peak
        return self.measured <= budget


class Search:
    """All choices for a program, made once for all budgets.

    first : the program as it is
    others : makes its other forms, when it is known that they are needed
    """

    def __init__(self, first: Variant, others: Callable[[], Iterator[Variant]] = lambda: iter(())) -> None:
        self.variant, self.others = first, others
        self.first = Choice(first, first.free, first.memory.peak)
        self._between: dict[int, list[Choice]] = {}

    @cached_property
    def coarse(self) -> list[Choice]:
        """The front of the plans for the coarse budgets, of all variants."""
        found = self._coarse(self.variant)
        for variant in self.others():
            found += [Choice(variant, variant.free, variant.memory.peak), *self._coarse(variant)]
        return [self.first, *_front(found, self.first.peak, self.first.extra)]

    def _coarse(self, variant: Variant) -> list[Choice]:
        """Choices from the whole memory down to the least, of which the last is measured."""
        budget, tight = float(variant.free.peak), 0
        found: list[Choice] = []
        while len(found) < COARSE and tight < 2:  # no room any more: once more, and no further
            budget *= STEP
            one = plan(variant.problem, int(budget))
            if one is None:
                break
            found.append(Choice(variant, one))
            tight += one.peak > 1.02 * budget
        if found:
            last = min(found, key=lambda c: (c.plan.peak, c.extra))
            last.fits(0)
            assert last.measured is not None
            variant.calibrate(last.plan.peak, last.measured)
        return found

    def _finer(self, i: int) -> list[Choice]:
        """Choices between two coarse ones, in cost too."""
        known = self._between.get(i)
        if known is None:
            above, below = self.coarse[i - 1], self.coarse[i]
            variant, step = below.variant, (above.peak - below.peak) / (FINER + 1)
            plans = [plan(variant.problem, int(below.plan.peak + k * step)) for k in range(FINER, 0, -1)]
            found = [Choice(variant, p) for p in plans if p is not None]
            inside = [c for c in found if above.extra < c.extra < below.extra and below.peak < c.peak < above.peak]
            known = self._between[i] = _front(inside, above.peak, above.extra)
        return known

    def _from(self, budget: int) -> Iterator[Choice]:
        """Choices in the order of their cost, from the first that might fit."""
        start = next((i for i, c in enumerate(self.coarse) if c.peak <= SLACK * budget), len(self.coarse))
        for i in range(start, len(self.coarse)):
            yield from (c for c in (self._finer(i) if i else ()) if c.peak <= SLACK * budget)
            yield self.coarse[i]

    def within(self, budget: int) -> Choice | None:
        """The cheapest choice that fits."""
        if self.first.fits(budget):
            return self.first
        budget -= min(budget // SHARE, ROOM)
        return next((c for c in self._from(budget) if c.fits(budget)), None)

    def smallest(self) -> int:
        """The smallest budget that `within` is known to find something for."""
        tail = self.coarse[-TAIL:]
        for choice in tail:
            choice.fits(0)
        peaks = sorted(c.measured for c in tail if c.measured is not None)
        budgets = [peak + min(peak // (SHARE - 1) + 1, ROOM) for peak in peaks]
        return next((budget for budget in budgets if self.within(budget) is not None), self.variant.memory.peak)


def _front(found: Sequence[Choice], peak: float, extra: float) -> list[Choice]:
    """Those of which none other is both smaller and cheaper, by cost; all smaller than `peak` and dearer than `extra`."""
    front: list[Choice] = []
    for choice in sorted(found, key=lambda c: (c.extra, c.peak)):
        if choice.peak < peak and choice.extra >= extra:
            front.append(choice)
            peak = choice.peak
    return front
