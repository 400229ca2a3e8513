"""Where every value lies: in the frame (operands, results, constants), or in the workspace, whose parts are reused.

A value lives from the step that makes it to the last step that reads it; two values whose lives do not meet
may share memory. So may a value and one that is computed from it, element by element, in its last step; and a result's
memory serves until the result is made. Partial results, rows and scratch memory live for one step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from wengert.graph.program import Var
from wengert.lowering.clusters import Cluster
from wengert.lowering.donation import overwrites
from wengert.lowering.nest import Nest
from wengert.lowering.values import Place, Values

ALIGNMENT = 64
MANY = 128  # places from which on they are looked through as an array
HEAD = 64  # bytes at the start of the workspace: the code of a failure
Lives = dict[Var, int]


def aligned(nbytes: int) -> int:
    return -(-nbytes // ALIGNMENT) * ALIGNMENT


class Buffers:
    """The plan. `place(var)` is (slot in the frame, 0) or (None, offset in the workspace)."""

    def __init__(
        self, values: Values, outs: Sequence[Var], memory: set[Var], made_in: Mapping[Var, Var], head: int
    ) -> None:
        self.values, self.memory, self.made_in = values, memory, made_in
        self.n_in, self.n_out = len(values.program.ins), len(outs)
        self.slots = {self.home(v): 1 + self.n_in + i for i, v in enumerate(outs)}
        self.offsets: dict[Var, int] = {}
        self.live: list[tuple[int, int, int, int]] = []  # first step, last step, offset, bytes
        self.head = self.workspace = head
        self._table, self._known = np.empty((0, 4), np.int64), 0  # `live` as an array, and how much of it
        self.over: dict[Var, Var] = {}  # a value that is written over → what is written, in one loop nest
        self.begin: Lives = {}  # the steps in which each value is touched for the first and for the last time
        self.end: Lives = {}
        self.groups = 0  # how many places in `live` are those of values; the others are scratch memory

    @property
    def last(self) -> int:
        """The frame's slot of the workspace."""
        return 1 + self.n_in + self.n_out + len(self.values.constants)

    def home(self, var: Var) -> Var:
        """The value whose memory `var` lies in, or was made in."""
        base = self.values.base(var)
        while base in self.made_in:
            base = self.values.base(self.made_in[base])
        return base

    def place(self, var: Var) -> tuple[int | None, int]:
        base = self.home(var)
        d = self.values.definitions[base]
        if isinstance(d, Place):
            return (1 if d.kind == "input" else 1 + self.n_in + self.n_out) + d.index, 0
        if base in self.slots:
            return self.slots[base], 0
        return None, self.offsets[base]

    def allocate(self, nbytes: int, first: int, last: int) -> int:
        """The lowest offset that is free from step `first` to step `last`."""
        nbytes = max(aligned(nbytes), ALIGNMENT)
        at = (self._gap if len(self.live) < MANY else self._gap_among_many)(nbytes, first, last)
        self.live.append((first, last, at, nbytes))
        self.workspace = max(self.workspace, at + nbytes)
        return at

    def _gap(self, nbytes: int, first: int, last: int) -> int:
        at = self.head
        for offset, size in sorted((o, n) for f, t, o, n in self.live if f <= last and first <= t):
            if at + nbytes <= offset:
                break
            at = max(at, offset + size)
        return at

    def _gap_among_many(self, nbytes: int, first: int, last: int) -> int:
        """The same for programs of thousands of values."""
        count = len(self.live)
        if count > len(self._table):
            self._table = np.concatenate([self._table, np.empty((max(count, MANY), 4), np.int64)])
        self._table[self._known : count] = self.live[self._known :]
        self._known = count
        live = self._table[:count]
        live = live[(live[:, 0] <= last) & (live[:, 1] >= first)]
        live = live[np.argsort(live[:, 2], kind="stable")]
        ends = np.maximum.accumulate(np.concatenate([[self.head], live[:, 2] + live[:, 3]]))
        fits = np.flatnonzero(ends[:-1] + nbytes <= live[:, 2])
        return int(ends[fits[0]] if fits.size else ends[-1])

    def scratch(self, step: int, nbytes: int) -> int:
        """Memory for one step."""
        return self.allocate(nbytes, step, step)


def plan_buffers(
    values: Values,
    steps: Sequence[Any],
    nests: dict[int, Nest],
    outs: Sequence[Var],
    memory: set[Var],
    donated: set[Var],
    made_in: Mapping[Var, Var],
    head: int = HEAD,
) -> Buffers:
    """Offsets for all values in `memory` that the frame does not hold, and for what kernels need besides.

    donated : results that lie in an operand's memory, which is in use before they are made
    made_in : values that are made where another one lies
    head : bytes at the start of the workspace that are taken
    """
    buffers = Buffers(values, outs, memory, made_in, head)
    chained = {buffers.home(v) for v in made_in}
    first, last = buffers.begin, buffers.end

    def touch(var: Var, step: int) -> None:
        base = buffers.home(var)
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
    groups = _inherited(buffers, steps, [v for v in wanted if v not in chained], first, last)
    groups += [[v] for v in wanted if v in chained]
    hosts = [v for v in buffers.slots if v in first and v not in donated and v not in chained]
    groups = _hosted(buffers, steps, groups, hosts, first, last, chained)
    for group in sorted(groups, key=lambda g: -nbytes_of(g[0])):
        offset = buffers.allocate(nbytes_of(group[0]), first[group[0]], last[group[-1]])
        for var in group:
            buffers.offsets[var] = offset
    buffers.groups = len(buffers.live)
    for i, nest in nests.items():
        for kind, sizes in (("partial", nest.partial), ("scratch", nest.scratch)):
            for var, size in sizes.items():
                nest.where[kind, var] = buffers.allocate(size * nest.chunks * var.dtype.itemsize, i, i)
    return buffers


def nbytes_of(var: Var) -> int:
    return var.aval.size * var.dtype.itemsize


LEAST = 4096  # bytes that are worth a place in a result's memory


def _inherited(buffers: Buffers, steps: Sequence[Any], wanted: list[Var], first: Lives, last: Lives) -> list[list[Var]]:
    """Values in groups of which each is written over the one before."""
    groups: list[list[Var]] = []
    ending: dict[tuple[int, Any], list[list[Var]]] = {}
    for var in sorted(wanted, key=lambda v: first[v]):
        step = first[var]
        for group in ending.get((step, var.aval), ()):
            if last[group[-1]] == step and overwrites(steps[step], var, group[-1]):
                buffers.over[group[-1]] = var
                group.append(var)
                break
        else:
            group = [var]
            groups.append(group)
        ending.setdefault((last[var], var.aval), []).append(group)
    return groups


def _hosted(
    buffers: Buffers,
    steps: Sequence[Any],
    groups: list[list[Var]],
    results: list[Var],
    first: Lives,
    last: Lives,
    chained: set[Var],
) -> list[list[Var]]:
    """Put groups into the memory of results that are made later; those that remain are returned."""
    taken: dict[Var, list[tuple[int, int]]] = {}
    left = []
    for group in sorted(groups, key=lambda g: -nbytes_of(g[0])):
        begin, end, size = first[group[0]], last[group[-1]], nbytes_of(group[0])
        host = None
        for result in results if size >= LEAST else ():
            made = first[result]
            over = end == made and result.aval == group[-1].aval and group[-1] not in chained
            over = over and overwrites(steps[made], result, group[-1])
            free = all(t < begin or end < f for f, t in taken.get(result, ()))
            if nbytes_of(result) >= size and free and (end < made or over):
                host = result
                if over:
                    buffers.over[group[-1]] = result
                    break
        if host is None:
            left.append(group)
            continue
        if buffers.over.get(group[-1]) not in (None, host):
            del buffers.over[group[-1]]
        taken.setdefault(host, []).append((begin, end))
        for var in group:
            buffers.slots[var] = buffers.slots[host]
    return left
