"""A Program as a problem of memory: the values that lie in memory, what makes each of them, and when they are read.

What is computed where it is read (see lowering/values.py) has no memory: it belongs to whatever reads it. Decisions are the
exception: they are never made twice, so a decision is a value of its own, which takes memory once that from which it
could be made where it is read is gone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from wengert.graph.atoms import Literal, Var
from wengert.graph.decisions import compared, decides, results_of
from wengert.graph.program import Program
from wengert.ops.barrier import barrier
from wengert.passes.budget.costs import BYTES, START, arithmetic, nbytes
from wengert.passes.rewriter import elementwise


@dataclass(slots=True)
class Node:
    """The equation that makes a value (or several), with all that is computed on the way from values in memory.

    row : its number in the program
    again : whether it may run a second time
    work : bytes that it needs while it runs
    over : whether it may write over an operand that it reads last
    """

    row: int
    outs: list[int]
    reads: list[int]
    cost: float
    again: bool
    work: int = 0
    over: bool = False


@dataclass
class Problem:
    """Values are numbered. `maker`, `size` and `uses` (the nodes that read it, in order) are by value.

    results : values that stay
    pinned : by value the last node that compares it, until which it must be the very one
    sources : by decision the values from which it is made where it is read, as long as they are there
    """

    nodes: list[Node] = field(default_factory=list)
    variables: list[Var] = field(default_factory=list)
    size: list[int] = field(default_factory=list)
    maker: list[int] = field(default_factory=list)
    uses: list[list[int]] = field(default_factory=list)
    results: set[int] = field(default_factory=set)
    pinned: dict[int, int] = field(default_factory=dict)
    sources: dict[int, list[int]] = field(default_factory=dict)

    @property
    def given(self) -> int:
        """Bytes of the results."""
        return sum(self.size[v] for v in self.results)


def problem_of(program: Program, homes: Mapping[Var, Var], scratch: Mapping[Var, int]) -> Problem:
    """The problem of a program whose values lie in memory as `homes` says: see `lowering.footprint.Footprint`."""
    return _Reading(program, homes, scratch).problem


class _Reading:
    def __init__(self, program: Program, homes: Mapping[Var, Var], scratch: Mapping[Var, int]) -> None:
        self.program, self.homes, self.scratch = program, homes, scratch
        self.problem = Problem()
        self.makers = {v: i for i, row in enumerate(program.eqns) for v in results_of(row)}
        self.number: dict[Var, int] = {}
        self.decisions = _decisions(program, homes)
        for i, row in enumerate(program.eqns):
            outs = [v for v in results_of(row) if homes.get(v) is v or v in self.decisions]
            if outs:
                self._node(i, row, outs)
        self._results()

    def _node(self, i: int, row: Any, outs: list[Var]) -> None:
        problem = self.problem
        number = len(problem.nodes)
        reads, cone = self._walk(row[1])
        rows = [row, *(self.program.eqns[j] for j in cone)]
        values = [self._value(var, number) for var in outs]
        for v in reads:
            problem.uses[v].append(number)
        moved = sum(problem.size[v] for v in (*reads, *values))
        cost = START + sum(map(arithmetic, rows)) + moved / BYTES
        again = not any(decides(r) or r[0].transparent for r in rows)
        work = max((self.scratch.get(var, 0) for var in outs), default=0)
        problem.nodes.append(Node(i, values, sorted(reads), cost, again, work, elementwise(row[0])))
        exact = [var for each in rows for var in compared(each)]
        problem.pinned.update(dict.fromkeys(self._walk(exact)[0], number))
        if outs[0] in self.decisions:
            problem.sources[values[0]] = problem.nodes[-1].reads

    def _value(self, var: Var, maker: int) -> int:
        problem = self.problem
        self.number[var] = number = len(problem.variables)
        problem.variables.append(var)
        problem.size.append(nbytes(var))
        problem.maker.append(maker)
        problem.uses.append([])
        return number

    def _walk(self, atoms: Any) -> tuple[set[int], list[int]]:
        """Down from operands to values in memory; and the equations on the way."""
        reads: set[int] = set()
        cone: dict[int, None] = {}
        seen: set[Any] = set()
        stack = list(atoms)
        while stack:
            at = stack.pop()
            if type(at) is Literal or at in seen:
                continue
            seen.add(at)
            number = self.number.get(self.homes.get(at, at))
            if number is not None:
                reads.add(number)
            elif (row := self.makers.get(at)) is not None:
                cone[row] = None
                op, ins = self.program.eqns[row][:2]
                stack += ins[:1] if op is barrier else ins
        return reads, list(cone)

    def _results(self) -> None:
        """What the program returns stays; what a result is a copy of is read at the end."""
        problem = self.problem
        for atom in self.program.outs:
            if type(atom) is not Literal:
                value = self.number.get(self.homes.get(atom, atom))
                if value is not None and value not in problem.sources:
                    problem.results.add(value)
        for v in self._walk(self.program.outs)[0] - problem.results:
            problem.uses[v].append(len(problem.nodes))


def _decisions(program: Program, homes: Mapping[Var, Var]) -> set[Var]:
    """Booleans and integers that are not in memory, come of decisions, and are read by what gives no such thing."""
    decided: set[Var] = set()
    found: set[Var] = set()
    for row in program.eqns:
        read = [a for a in row[1] if type(a) is not Literal and a in decided]
        made = results_of(row)
        if len(made) == 1 and made[0].dtype.kind in "biu" and made[0] not in homes and (read or decides(row)):
            decided.add(made[0])
        else:
            found.update(read)
    found.update(a for a in program.outs if type(a) is not Literal and a in decided)
    return found
