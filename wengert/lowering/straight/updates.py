"""Arrays that a loop carries along and only changes in some elements: they are one array in memory, which is written over.

Whoever reads a state of such an array must do so before it is written over, so equations are put in another order if need be.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from wengert.core.form import Control
from wengert.core.op import OPS
from wengert.graph.program import Eqn, Program, Var
from wengert.lowering.straight.cells import LARGEST
from wengert.ops import basis, index  # noqa: F401 - registers `add` and indexing

CHOSEN = 8  # elements among which selects choose; where numbers that only the run knows name more of them, they are in memory

ADD, INDEX, PUT, SCATTER = OPS["add"], OPS["index"], OPS["index_put"], OPS["scatter_add"]


@dataclass
class Updates:
    """`program` with its equations in a good order, and the states of the carries that are updated in place."""

    program: Program
    states: dict[int, list[Var]] = field(default_factory=dict)


class Cycle(Exception):
    """An order that there is not."""


def updates(program: Program, first: int, carries: int) -> Updates:
    """Which of the inputs from number `first` on, which become the first outputs, are updated in place."""
    key = ("straight", "updates", first, carries)
    if key not in program.derived:
        program.derived[key] = _updates(program, first, carries)
    return program.derived[key]


def _updates(program: Program, first: int, carries: int) -> Updates:
    if all(var.aval.size <= CHOSEN for var in program.ins[first : first + carries]):
        return Updates(program)
    graph = _Graph(program)
    found = Updates(program)
    for k, var in enumerate(program.ins[first : first + carries]):
        size = math.prod(var.shape)
        if size <= CHOSEN:
            continue
        chain = graph.chain(var, program.outs[k])
        if chain is None or not (size > LARGEST or any(graph.indexes(state) for state in chain)):
            continue
        try:
            found.program = graph.ordered({**found.states, k: chain})
        except Cycle:
            continue
        found.states[k] = chain
    return found


def sums(program: Program, first: int, carries: int) -> set[Var] | None:
    """The states of the carries, if all that happens to these is that something is added: then trips may be run in any
    order. None if there is another carry."""
    graph, states = _Graph(program), set()
    for k, var in enumerate(program.ins[first : first + carries]):
        at: Any = program.outs[k]
        while at is not var:
            eqn = graph.eqns[graph.makers[at]] if at in graph.makers else None
            if eqn is None or eqn.op is not ADD or program.outs.count(at) != (at is program.outs[k]):
                return None
            states.add(at)
            at = next((a for a in eqn.ins if graph.sum_of(a, var)), None)
            if at is None or len(graph.users[at]) != 1 or at.aval != var.aval or list(eqn.ins).count(at) != 1:
                return None
    return states


class _Graph:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.eqns = list(program.equations())
        self.users: dict[Any, list[int]] = {}
        self.makers: dict[Any, int] = {}
        self.known: dict[Any, bool] = {}  # of sums, whose terms may be sums of the same terms
        for number, eqn in enumerate(self.eqns):
            for atom in set(eqn.ins):
                self.users.setdefault(atom, []).append(number)
            self.makers.update((v, number) for v in eqn.results)

    def sum_of(self, atom: Any, var: Var) -> bool:
        """Whether an atom is `var`, or something added to it."""
        if atom is var:
            return True
        eqn = self.eqns[self.makers[atom]] if atom in self.makers else None
        if eqn is None or eqn.op is not ADD:
            return False
        key = (atom, var)
        if key not in self.known:
            self.known[key] = any(self.sum_of(a, var) for a in eqn.ins)
        return self.known[key]

    def chain(self, var: Var, out: Any) -> list[Var] | None:
        """The states of a carry, from `var` to `out`, each made of the one before by an update."""
        states = [out]
        while states[-1] is not var:
            number = self.makers.get(states[-1])
            before = None if number is None else self._before(self.eqns[number], states[-1])
            if before is None:
                return None
            states.append(before)
        if any(self.program.outs.count(state) != (state is out) for state in states):
            return None
        return states[::-1]

    def indexes(self, state: Any) -> bool:
        """Whether elements of a state are named by numbers that only the run knows, where it is read or made."""
        eqns = [self.eqns[n] for n in self.users.get(state, ())]
        read = any(e.op is INDEX and len(e.ins) > 1 and e.ins[0] is state for e in eqns)
        maker = self.makers.get(state)
        if maker is None:
            return read
        eqn = self.eqns[maker]
        put = eqn.op is PUT and len(eqn.ins) > 2
        return read or put or isinstance(eqn.op.lower, Control) or any(self._patches(a, True) for a in eqn.ins)

    def _patches(self, atom: Any, dynamic: bool) -> bool:
        """Whether a value is zero but for some elements (that only the run knows)."""
        eqn = self.eqns[self.makers[atom]] if atom in self.makers else None
        if eqn is None or eqn.op is not ADD:
            return eqn is not None and eqn.op is SCATTER and (len(eqn.ins) > 1 or not dynamic)
        key = (atom, dynamic)
        if key not in self.known:
            self.known[key] = all(self._patches(a, dynamic) for a in eqn.ins)
        return self.known[key]

    def _before(self, eqn: Eqn, state: Var) -> Var | None:
        """The state of which an equation makes this one."""
        before: Any = None
        if eqn.op is ADD:
            x, y = eqn.ins
            before = x if self._patches(y, False) else y if self._patches(x, False) else None
        elif eqn.op is PUT:
            before = eqn.ins[0]
        elif isinstance(eqn.op.lower, Control) and eqn.op.lower.kind in ("scan", "while_loop"):
            body, consts, k = eqn.params["body"], eqn.params["consts"], list(eqn.outs).index(state)
            carries = eqn.params.get("carries", len(eqn.ins) - consts)
            if k < carries and k in updates(body, consts, carries).states:
                before = eqn.ins[consts + k]
        if not isinstance(before, Var) or before.aval != state.aval or list(eqn.ins).count(before) != 1:
            return None
        return before

    def ordered(self, states: dict[int, list[Var]]) -> Program:
        """The equations in an order in which every state is read before it is written over; `Cycle` if there is none."""
        earlier: dict[int, list[int]] = {}
        for chain in states.values():
            for before, after in itertools.pairwise(chain):
                writer = self.makers[after]
                earlier.setdefault(writer, []).extend(n for n in self.users[before] if n != writer)
        done: dict[int, bool] = {}
        order: list[int] = []

        def visit(numbers: Iterable[int]) -> None:
            for number in numbers:
                if number in done:
                    if not done[number]:
                        raise Cycle
                    continue
                done[number] = False
                visit(self.makers[a] for a in self.eqns[number].ins if a in self.makers)
                visit(earlier.get(number, ()))
                done[number] = True
                order.append(number)

        visit(range(len(self.eqns)))
        return Program(self.program.ins, [self.program.eqns[n] for n in order], self.program.outs)
