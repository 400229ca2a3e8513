"""Where every value lies: in the frame (operands, results, constants), or in the workspace, whose parts are reused.

A value lives from the step that makes it to the last step that reads it; two values whose lives do not meet
may share memory. Partial results, rows and scratch memory live for one step.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wengert.graph.program import Var
from wengert.lowering.clusters import Cluster
from wengert.lowering.nest import Nest
from wengert.lowering.values import Place, Values

ALIGNMENT = 64
HEAD = 64  # bytes at the start of the workspace: the code of a failure


def aligned(nbytes: int) -> int:
    return -(-nbytes // ALIGNMENT) * ALIGNMENT


class Buffers:
    """The plan. `place(var)` is (slot in the frame, 0) or (None, offset in the workspace)."""

    def __init__(self, values: Values, outs: Sequence[Var], memory: set[Var]) -> None:
        self.values, self.memory = values, memory
        self.n_in, self.n_out = len(values.program.ins), len(outs)
        self.slots = {values.base(v): 1 + self.n_in + i for i, v in enumerate(outs)}
        self.offsets: dict[Var, int] = {}
        self.live: list[tuple[int, int, int, int]] = []  # first step, last step, offset, bytes
        self.workspace = HEAD

    @property
    def last(self) -> int:
        """The frame's slot of the workspace."""
        return 1 + self.n_in + self.n_out + len(self.values.constants)

    def place(self, var: Var) -> tuple[int | None, int]:
        base = self.values.base(var)
        d = self.values.definitions[base]
        if isinstance(d, Place):
            return (1 if d.kind == "input" else 1 + self.n_in + self.n_out) + d.index, 0
        if base in self.slots:
            return self.slots[base], 0
        return None, self.offsets[base]

    def allocate(self, nbytes: int, first: int, last: int) -> int:
        """The lowest offset that is free from step `first` to step `last`."""
        nbytes = max(aligned(nbytes), ALIGNMENT)
        taken = sorted((o, n) for f, t, o, n in self.live if f <= last and first <= t)
        at = HEAD
        for offset, size in taken:
            if at + nbytes <= offset:
                break
            at = max(at, offset + size)
        self.live.append((first, last, at, nbytes))
        self.workspace = max(self.workspace, at + nbytes)
        return at

    def scratch(self, step: int, nbytes: int) -> int:
        """Memory for one step."""
        return self.allocate(nbytes, step, step)


def plan_buffers(
    values: Values, steps: Sequence[Any], nests: dict[int, Nest], outs: Sequence[Var], memory: set[Var]
) -> Buffers:
    """Offsets for all values in `memory` that the frame does not hold, and for what kernels need besides."""
    buffers = Buffers(values, outs, memory)
    first: dict[Var, int] = {}
    last: dict[Var, int] = {}

    def touch(var: Var, step: int) -> None:
        base = values.base(var)
        first.setdefault(base, step)
        last[base] = step

    for i, step in enumerate(steps):
        if isinstance(step, Cluster):
            for m in step.members:
                touch(m.statement.target, i)
            for base in {base for base, _ in step.loads} | step.whole:
                touch(base, i)
        else:
            for j, atom in enumerate(step.operands):
                if isinstance(atom, Var):
                    touch(step.strided[j][0] if j in step.strided else atom, i)
            for out in step.outs:
                touch(out, i)
    wanted = [
        v for v in first if v in memory and v not in buffers.slots and not isinstance(values.definitions[v], Place)
    ]
    for var in sorted(wanted, key=lambda v: -v.aval.size * v.dtype.itemsize):
        buffers.offsets[var] = buffers.allocate(var.aval.size * var.dtype.itemsize, first[var], last[var])
    for i, nest in nests.items():
        for kind, sizes in (("partial", nest.partial), ("scratch", nest.scratch)):
            for var, size in sizes.items():
                nest.where[kind, var] = buffers.allocate(size * nest.chunks * var.dtype.itemsize, i, i)
    return buffers
