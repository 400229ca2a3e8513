"""What a Program takes in memory when it is compiled: everything is planned as it will be, and no code is kept.

Planning is the smaller part of lowering; the text of library kernels, whose scratch memory is known only when they are
written, is written once for equal operands.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from wengert.core.source import Source
from wengert.graph.program import Program, Var
from wengert.lowering.buffers import HEAD, nbytes_of
from wengert.lowering.emission import row_major
from wengert.lowering.host import call_bytes
from wengert.lowering.lower import Bodies
from wengert.lowering.nest import Nest
from wengert.lowering.steps import Declined, Steps
from wengert.lowering.text import Builder
from wengert.lowering.unit import Frame, Site, Unit
from wengert.lowering.values import Opaque, Place


@dataclass(frozen=True)
class Footprint:
    """The memory of a call beyond its arguments, in bytes, and where values lie in it.

    results : of all results that take over no operand's memory
    workspace : of everything else, as far as it is alive at once
    homes : for each variable in memory the one whose memory that is; what is not here is computed where it is read
    scratch : bytes that a kernel needs while it runs, by a variable that it makes
    host : bytes that NumPy takes for the host call that takes most of them
    """

    results: int
    workspace: int
    homes: Mapping[Var, Var]
    scratch: Mapping[Var, int]
    host: int = 0

    @property
    def peak(self) -> int:
        return self.results + self.workspace + self.host


class Planner:
    """Plans Programs that resemble each other, such as one Program and what becomes of it under various budgets."""

    def __init__(self, donated: frozenset[int] = frozenset()) -> None:
        self.donated = donated
        self._unit = Unit(True)
        self._bodies = Bodies(self._unit)
        self._known: dict[Any, list[int]] = {}

    def __call__(self, program: Program) -> Footprint:
        """Cost: about 0.1 ms an equation."""
        program = program.pruned()
        refused: list[int] = []
        while True:
            try:
                planned = _Planned(self._unit, program, self.donated, True, refused, self._bodies)
                return planned.footprint(self._known)
            except Declined as declined:
                refused.append(declined.number)


class _Planned(Steps):
    """`run`, without its text."""

    head = HEAD

    def footprint(self, known: dict[Any, list[int]]) -> Footprint:
        self.known = known
        self.at: dict[int, int] = {}  # bytes of scratch memory by step
        self.makers: dict[Var, int] = {}
        self.host = 0
        self.plan()
        values = self.values
        memory = {values.base(v) for v in self.buffers.memory}
        memory = {v for v in memory if not isinstance(values.definitions[v], Place)}
        homes = {v: home for v in values.definitions if (home := values.base(v)) in memory}
        results = sum(nbytes_of(v) for i, v in enumerate(self.outs) if i not in self.inplace)
        scratch = {v: self.at[i] for v, i in self.makers.items() if i in self.at}
        return Footprint(results, self.buffers.workspace, homes, scratch, self.host)

    def site(self) -> Site:
        return Frame(Builder(self.module), self.buffers)

    def seal(self, site: Site, name: str) -> None:
        pass

    def _nest(self, nest: Nest, memory: set[Var]) -> list[str]:
        own = [(*nest.partial.items(), *nest.scratch.items())]
        if any(own):
            self.at[nest.number] = sum(size * nest.chunks * v.dtype.itemsize for group in own for v, size in group)
            self.makers.update((v, nest.number) for v in nest.cluster.made)
        return []

    def _opaque(self, number: int, step: Opaque) -> list[str]:
        self.makers.update((v, number) for v in step.outs)
        if not step.control and step.emitter is None:
            avals = [a.aval for a in step.operands], [v.aval for v in step.outs]
            self.host = max(self.host, call_bytes(step.eqn.op, *avals, step.params))
            return []
        key = _key(step)
        if key in self.known:
            for size in self.known[key]:
                self._allocated(number, size)
        else:
            self.written: list[int] = []
            functions = len(self.module.functions)
            super()._opaque(number, step)
            self.known[key] = self.written
            del self.module.functions[functions:]
        if step.control:  # of all bodies that were planned, as which ones are within each other is not kept
            calls = (call_bytes(call.op, call.ins, call.outs, call.params) for call in self.unit.hosts)
            self.host = max(self.host, max(calls, default=0))
        return []

    def _scratch(self, number: int, site: Site, given: Any) -> Any:
        def scratch(size: int) -> Any:
            self.written.append(size)
            return given(site.work(self._allocated(number, size)))

        return scratch

    def _allocated(self, number: int, size: int) -> int:
        self.at[number] = self.at.get(number, 0) + size
        return self.buffers.scratch(number, size)

    def _failure(self, error: type[Exception], message: str, source: Source | None) -> int:
        return 1


def _key(step: Opaque) -> Any:
    """What decides how much scratch memory a kernel needs."""
    operands: list[Any] = []
    for i, a in enumerate(step.operands):
        strides = step.strided[i][2] if i in step.strided else row_major(a.shape) if isinstance(a, Var) else ()
        operands.append((a.aval, strides))
    same = tuple([next(j for j, b in enumerate(step.operands) if b is a) for a in step.operands])
    return step.control or id(step.emitter), _frozen(step.params), tuple(operands), same


def _frozen(value: Any) -> Any:
    if isinstance(value, dict):
        return tuple((k, _frozen(v)) for k, v in value.items())
    if isinstance(value, (tuple, list)):
        return tuple(map(_frozen, value))
    try:
        hash(value)
    except TypeError:
        return id(value)
    return value
