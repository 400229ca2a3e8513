"""One cluster as a loop nest: the order of its loops, its tiles and its chunks. `kernel.py` writes its text.

Order    Rows outermost. Innermost the axis along which most arrays are read with unit stride. Neighbouring loops over
         which every address is linear in one variable become one loop.
Chunks   The outermost loop is cut into a number of chunks that follows from the shape alone; what reductions
         over it find per chunk is combined in order afterwards. So results do not depend on who runs which chunk.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from wengert.graph.program import Var
from wengert.lowering.affine import Expression
from wengert.lowering.clusters import Cluster, Member
from wengert.lowering.statements import affine_part
from wengert.lowering.values import Gather

WORK = 2_000_000  # additions' worth of work that a chunk should have, about 50 µs
CHUNKS = 32
PARTIALS = 1 << 20  # bytes of partial results at most
LINE = 8  # elements of a cache line
TILE = (32, 256)  # rows and columns of a tile where an operand is transposed


@dataclass(slots=True)
class Loop:
    """One loop over neighbouring axes; addresses move by the stride of the last of them.

    With `step`, the loop goes over the starts of blocks, and a later loop over the same axes stays within one.
    """

    axes: tuple[int, ...]
    extent: int
    step: int = 1


@dataclass(slots=True)
class Nest:
    cluster: Cluster
    loops: list[Loop]
    rows: int  # loops that are outer
    chunks: int
    number: int
    partial: dict[Var, int] = field(default_factory=dict)  # elements per chunk
    scratch: dict[Var, int] = field(default_factory=dict)  # elements per chunk: rows that later phases read
    where: dict[Any, int] = field(default_factory=dict)  # offsets of both in the workspace


def addresses(cluster: Cluster) -> list[Expression]:
    """Every address that the nest reads or writes, once."""
    n = len(cluster.extents)
    found = {item.key[1] for m in cluster.members for item in m.body if item.point is None}
    for m in cluster.members:
        for item in m.body:
            if isinstance(item.point, Gather):
                found.add(affine_part(item.point.places, item.key[1], n))
    return [*found, *(m.address for m in cluster.members)]


def plan(cluster: Cluster, memory: set[Var], number: int) -> Nest:
    """Loops and chunks. `memory` has the values that others than this cluster read."""
    used = addresses(cluster)
    n = len(cluster.extents)
    order = [*_order(cluster, used, range(cluster.rows)), *_order(cluster, used, range(cluster.rows, n))]
    loops: list[Loop] = []
    for place, axis in enumerate(order):
        extent = cluster.extents[axis]
        if loops and place != cluster.rows and _mergeable(cluster, used, loops[-1], axis):
            loops[-1] = Loop((*loops[-1].axes, axis), loops[-1].extent * extent)
        else:
            loops.append(Loop((axis,), extent))
    rows = sum(1 for loop in loops if loop.axes[0] < cluster.rows)
    if not rows:
        loops = _tiled(loops, used)
    nest = Nest(cluster, loops, rows, 1, number)
    if loops:
        nest.chunks = _chunks(nest)
    for m in cluster.members:
        if nest.chunks > 1 and m.reduced and set(loops[0].axes) <= m.reduced:
            nest.partial[m.statement.target] = _kept_size(m)
        if m.statement.target not in memory and not m.row and not m.reduced and rows and _read_later(cluster, m):
            nest.scratch[m.statement.target] = math.prod(loop.extent for loop in loops[rows:])
    return nest


def _kept_size(m: Member) -> int:
    """Elements of a reduction's result."""
    s = m.statement
    return math.prod(e for i, e in enumerate(s.extents) if i not in s.reduced)


def _read_later(cluster: Cluster, m: Member) -> bool:
    target = m.statement.target
    return any(
        other.phase > m.phase and any(i.point is None and i.key[0] is target for i in other.body)
        for other in cluster.members
    )


def _order(cluster: Cluster, used: Sequence[Expression], axes: Sequence[int]) -> list[int]:
    """Axes as they are, but with the one innermost that most arrays are contiguous along."""
    axes = list(axes)
    if len(axes) < 2:
        return axes

    def cost(axis: int) -> tuple[float, int]:
        strides = [abs(e[axis + 1]) for e in used]
        total = sum(0.1 if s == 0 else min(s, LINE) for s in strides)
        extent = cluster.extents[axis]
        return total * (1 + 1 / max(extent, 1)), -axis

    last = min(axes, key=cost)
    rest = [a for a in axes if a != last]
    crossed = _crossing(used, rest, last)
    if crossed is not None:
        return [*(a for a in rest if a != crossed), crossed, last]
    if any(abs(e[rest[-1] + 1]) > abs(e[rest[0] + 1]) for e in used) and len(rest) > 1:
        big = max(used, key=lambda e: sum(map(abs, e[1:])))
        rest.sort(key=lambda a: -abs(big[a + 1]))
    return [*rest, last]


def _crossing(used: Sequence[Expression], axes: Sequence[int], last: int) -> int | None:
    """An axis along which an array is contiguous that is strided along `last`: a transposed operand.

    The plane of the two goes innermost, so that the lines fetched for one row serve the next rows too.
    """
    for axis in axes:
        if any(abs(e[axis + 1]) == 1 and abs(e[last + 1]) >= LINE for e in used):
            return axis
    return None


def _tiled(loops: list[Loop], used: Sequence[Expression]) -> list[Loop]:
    """Where a transposed operand meets long rows: the plane in tiles, whose lines stay in the first cache."""
    if len(loops) < 2:
        return loops
    *outer, across, last = loops
    if last.extent <= 2 * TILE[1] or _crossing(used, [across.axes[-1]], last.axes[-1]) is None:
        return loops
    blocks = [Loop(across.axes, across.extent, TILE[0]), Loop(last.axes, last.extent, TILE[1])]
    return [*outer, *blocks, across, last]


def _mergeable(cluster: Cluster, used: Sequence[Expression], loop: Loop, axis: int) -> bool:
    extent, last = cluster.extents[axis], loop.axes[-1]
    if any(e[last + 1] != e[axis + 1] * extent for e in used):
        return False
    return all((last in m.reduced) == (axis in m.reduced) for m in cluster.members)


def _chunks(nest: Nest) -> int:
    cluster = nest.cluster
    if any(m.statement.scatter is not None for m in cluster.members):
        return 1  # two chunks might add to one element
    cost = sum(m.statement.cost for m in cluster.members)
    first = nest.loops[0]
    chunks = min(CHUNKS, int(cluster.size * max(cost, 1) // WORK), -(-first.extent // first.step))
    for m in cluster.members:
        if set(nest.loops[0].axes) <= m.reduced:
            bytes_ = _kept_size(m) * m.statement.target.dtype.itemsize
            chunks = min(chunks, max(1, PARTIALS // max(bytes_, 1)))
    return max(chunks, 1)
