"""What the memory of a compiled program is made of: each value that has memory, where it lies, in which steps, and why.

Nothing of a plan is kept with compiled code. It is made again when somebody asks, by lowering the program once more, and
is then remembered with the `Lowered`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from wengert.core.op import Op
from wengert.core.source import Source, is_backward
from wengert.graph.program import Program, Var
from wengert.lowering.buffers import Buffers, nbytes_of
from wengert.lowering.lowered import Kernel, Lowered
from wengert.lowering.values import Values

Role = Literal["value", "residual", "cotangent", "temporary", "result"]


@dataclass(frozen=True)
class Piece:
    """Some bytes for some steps. No two pieces share bytes in a step.

    offset : in the workspace; None for a result, which lies in an array of its own
    first, last : steps, both included; a result is there from the first step to the last
    made : the step that makes it (a result's memory is there before)
    role : a value made and read on the way forward; a residual, made forward and read backward; a cotangent, made
        backward; a temporary, for one step alone; a result
    source : the user's line; marked for pullbacks
    reader : of a residual, the op and line whose pullback reads it last
    """

    nbytes: int
    offset: int | None
    first: int
    last: int
    made: int
    role: Role
    op: str
    source: Source | None
    shape: tuple[int, ...] = ()
    dtype: str = ""
    reader: tuple[str, Source | None] | None = None


@dataclass(frozen=True)
class Composition:
    """The pieces, the steps' kernels, and how much memory there is.

    results : bytes of the result arrays that a call makes
    fullest : the step in which the pieces of the workspace are most
    hosted : values that lie in the memory of a result which is made later, and so take none
    """

    pieces: Sequence[Piece]
    kernels: Sequence[Kernel]
    workspace: int
    results: int
    fullest: int
    hosted: int

    @property
    def total(self) -> int:
        return self.workspace + self.results

    def at(self, step: int) -> list[Piece]:
        """What is in memory during a step, largest first."""
        return sorted((p for p in self.pieces if p.first <= step <= p.last), key=lambda p: -p.nbytes)

    def filled(self, step: int) -> int:
        """Bytes of the workspace that hold something in a step."""
        return sum(p.nbytes for p in self.pieces if p.offset is not None and p.first <= step <= p.last)


def composition(lowered: Lowered) -> Composition:
    """The composition of a lowered program, which is lowered again for it (some milliseconds for each kernel, once)."""
    from wengert.lowering.lower import planned

    if lowered.known is None:
        steps = planned(lowered)
        lowered.known = _composed(steps.values, steps.buffers, steps.kernels, steps.outs, lowered)
    return lowered.known


def _composed(
    values: Values, buffers: Buffers, kernels: Sequence[Kernel], outs: Sequence[Var], lowered: Lowered
) -> Composition:
    reasons, end = Reasons(values.program), max(len(kernels) - 1, 0)
    pieces = [_result(reasons, buffers, v, end) for i, v in enumerate(outs) if i not in lowered.inplace]
    for var in buffers.offsets:
        pieces.append(_piece(reasons, buffers, var))
    pieces += _scratch(buffers, kernels)
    steps = range(len(kernels)) or range(1)
    results = sum(p.nbytes for p in pieces if p.offset is None)
    homes = {buffers.home(v) for v in outs}
    hosted = sum(v not in homes and v in buffers.begin for v in buffers.slots)
    found = Composition(pieces, kernels, lowered.workspace, results, 0, hosted)
    return Composition(pieces, kernels, lowered.workspace, results, max(steps, key=found.filled), hosted)


def _result(reasons: Reasons, buffers: Buffers, out: Var, end: int) -> Piece:
    base = buffers.home(out)
    op, source = reasons.maker(out if reasons.maker(out)[0] else base)
    made = buffers.begin.get(base, 0)
    return Piece(nbytes_of(base), None, 0, end, made, "result", op, source, out.shape, out.dtype.name)


def _piece(reasons: Reasons, buffers: Buffers, var: Var) -> Piece:
    (op, source), first, last = reasons.maker(var), buffers.begin[var], buffers.end[var]
    if var in buffers.over and first < last:
        last -= 1  # in its last step it is written over, and what is written counts
    role, reader = reasons.role(var)
    nbytes = 0 if var in buffers.over and first == buffers.end[var] else nbytes_of(var)
    where = buffers.offsets[var]
    return Piece(nbytes, where, first, last, first, role, op, source, var.shape, var.dtype.name, reader)


def _scratch(buffers: Buffers, kernels: Sequence[Kernel]) -> Iterator[Piece]:
    for first, last, offset, nbytes in buffers.live[buffers.groups :]:
        kernel = kernels[first]
        sources = [s for _, s in kernel.sources if s is not None]
        name = kernel.ops[0] if kernel.ops else kernel.name
        yield Piece(nbytes, offset, first, last, first, "temporary", name, sources[0] if sources else None)


class Reasons:
    """Who makes each value of a Program, and for whom it is kept."""

    def __init__(self, program: Program) -> None:
        self.made: dict[Var, tuple[Op, Source | None]] = {}
        self.readers: dict[Var, list[tuple[Op, Source | None, tuple[Var, ...]]]] = {}
        for eqn in program.equations():
            results = eqn.results
            for var in results:
                self.made[var] = eqn.op, eqn.source
            for atom in eqn.ins:
                if isinstance(atom, Var):
                    self.readers.setdefault(atom, []).append((eqn.op, eqn.source, results))

    def maker(self, var: Var) -> tuple[str, Source | None]:
        """The name of the op that makes it, and the line."""
        found = self.made.get(var)
        return ("", None) if found is None else (found[0].name, found[1])

    def role(self, var: Var) -> tuple[Role, tuple[str, Source | None] | None]:
        """What a value in the workspace is there for, and, of a residual, the pullback that reads it last."""
        if is_backward(self.maker(var)[1]):
            return "cotangent", None
        found = None
        for op, source, _ in self._read(var):
            if is_backward(source):
                found = op.name, source
        return ("value", None) if found is None else ("residual", found)

    def _read(self, var: Var) -> Iterator[tuple[Op, Source | None, tuple[Var, ...]]]:
        """Its readers, and those of the views of it: one and the same memory."""
        todo = [var]
        while todo:
            for reader in self.readers.get(todo.pop(), ()):
                yield reader
                if reader[0].put is not None or reader[0].name in VIEWS:
                    todo += reader[2]


VIEWS = frozenset("reshape transpose broadcast_to flip diagonal barrier real imag".split())
