"""Statements: what has to be computed into memory, each with its own loop variables and a straight-line body.

A body is a list of items in order of evaluation. An item is named by its key: `(var, index)` for a scalar
function of other items, `(base, address)` for an element of memory, both over the statement's loop variables.
Two statements whose variables have been made the same share every item of equal key.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from wengert.core.form import Region
from wengert.graph.program import Literal, Var
from wengert.lowering.affine import Expression, Index, broadcast, compose, constant, weighted
from wengert.lowering.emission import row_major
from wengert.lowering.order import awaited
from wengert.lowering.values import Accumulation, Assembly, Gather, Places, Point, Reduction, Scatter, Values, View

TOUCH = 8  # what a read or a write of an element costs, in additions

Key = tuple[Var, Any]  # (var, index) of a point; (base, address) of an element in memory


@dataclass(slots=True)
class Item:
    """`point` with the keys of its operands (Literals stand for themselves), or a load where it is None.

    A gather's operands are the keys of its index arrays.
    """

    key: Key
    point: Point | Gather | None
    operands: Sequence[Any]
    dtype: Any


@dataclass(slots=True)
class Statement:
    """`target[address] = result`, or combined into it over the loop variables in `reduced`."""

    target: Var  #: the value in whose memory the result lies
    extents: tuple[int, ...]
    body: list[Item]
    result: Any  #: a key, or a Literal
    address: Expression  #: where in the target, in elements
    kind: str  #: "point", "into" (added to what is there), "scatter", or the kind of reduction
    reduced: frozenset[int]
    name: str
    cost: float
    alone: bool = False  #: writes over what earlier statements wrote: must not share their loop
    part: bool = False  #: one of several that write the target, none where another does
    whole: frozenset[Var] = frozenset()  #: what it reads at places known only when it runs
    scatter: Scatter | None = None  #: adds the result at places given by `arrays`, besides `address`
    arrays: Sequence[Any] = ()  #: keys, or Literals
    fresh: bool = True  #: a scatter's target begins with zeros
    after: frozenset[Var] = frozenset()  #: what must exist before it runs, besides what it reads

    @property
    def size(self) -> int:
        return math.prod(self.extents)

    def loads(self) -> list[Key]:
        return [item.key for item in self.body if item.point is None]


def axes_index(shape: Sequence[int]) -> tuple[tuple[int, ...], Index]:
    """Loop variables for the axes with more than one element (or none), and the index they make."""
    kept = [i for i, d in enumerate(shape) if d != 1]
    n = len(kept)
    place = {axis: j for j, axis in enumerate(kept)}
    zero = constant(0, n)
    index = tuple(zero if i not in place else (0, *(int(j == place[i]) for j in range(n))) for i in range(len(shape)))
    return tuple(shape[i] for i in kept), index


def body_of(
    values: Values, root: Var, index: Index, n: int, *, through: bool, places: Places | None = None
) -> tuple[list[Item], Key, Sequence[Any], frozenset[Var]]:
    """The items that give `root[index]`, the key of the last, the keys of the index arrays in `places`, and what barriers on
    the way have named.

    `through`: `root` is what is being stored, so it is computed although it has memory."""
    items: list[Item] = []
    done: set[Key] = set()
    names: dict[tuple[Var, Index], Key] = {}
    definitions, stored = values.definitions, values.stored
    passed: set[Var] = set()  # barriers

    def name(var: Var, idx: Index) -> Key:
        """Follow views down to something computed or in memory."""
        known = names.get((var, idx))
        if known is not None:
            return known
        at, where = var, idx
        while True:
            if values.after and (found := values.barriers(at)):
                passed.update(found)
            if at in stored and not (through and at is root):
                key = (values.base(at), weighted(where, row_major(at.shape), n))
                break
            d = definitions[at]
            if isinstance(d, View):
                at, where = d.operand, compose(d.index, where, n)
                continue
            key = (at, where)
            break
        names[var, idx] = key
        return key

    def operands_of(key: Key) -> list[Any]:
        var, idx = key
        point = definitions[var]
        if isinstance(point, Gather):
            return array_keys(point.places, idx)
        assert isinstance(point, Point)
        return [a if isinstance(a, Literal) else name(a, broadcast(idx, a.shape, n)) for a in point.operands]

    def array_keys(places: Places, idx: Index) -> list[Any]:
        of_arrays = tuple(idx[a] for a in places.axes)
        return [a if isinstance(a, Literal) else name(a, broadcast(of_arrays, a.shape, n)) for a in places.arrays]

    result = name(root, index)
    extra = () if places is None else array_keys(places, index)
    stack: list[tuple[Key, list[Any] | None]] = [(result, None)]
    stack.extend((key, None) for key in extra if not isinstance(key, Literal))
    while stack:
        key, operands = stack.pop()
        if key in done:
            continue
        var, where = key
        if where and isinstance(where[0], int):
            done.add(key)
            items.append(Item(key, None, (), var.dtype))
            continue
        if operands is None:
            operands = operands_of(key)
            stack.append((key, operands))
            stack.extend((o, None) for o in operands if not isinstance(o, Literal) and o not in done)
            continue
        done.add(key)
        point = definitions[var]
        assert isinstance(point, (Point, Gather))
        items.append(Item(key, point, operands, var.dtype))
    return items, result, extra, awaited(values, passed) if passed else frozenset()


def statements_of(values: Values, var: Var) -> list[Statement]:
    """The statements that compute a stored value."""
    d = values.definitions[var]
    base = values.base(var)
    if isinstance(d, (Point, View, Gather)):
        extents, index = axes_index(var.shape)
        n = len(extents)
        items, result, _, after = body_of(values, var, index, n, through=True)
        address = weighted(index, row_major(var.shape), n)
        return [_statement(base, extents, items, result, address, "point", (), var, after=after)]
    if isinstance(d, Reduction):
        extents, index = axes_index(d.operand.shape)
        n = len(extents)
        items, result, _, after = body_of(values, d.operand, index, n, through=False)
        kept = tuple(e for i, e in enumerate(index) if i not in d.axes)
        shape = tuple(s for i, s in enumerate(d.operand.shape) if i not in d.axes)
        reduced = frozenset(e.index(1) - 1 for i, e in enumerate(index) if i in d.axes and 1 in e)
        return [
            _statement(
                base,
                extents,
                items,
                result,
                weighted(kept, row_major(shape), n),
                d.kind,
                reduced,
                var,
                d.op.name,
                after,
            )
        ]
    if isinstance(d, Assembly):
        return _assembly(values, var, base, d)
    if isinstance(d, Accumulation):
        return _accumulation(values, var, base, d)
    if isinstance(d, Scatter):
        return [_scattered(values, var, base, d)]
    raise TypeError(f"{type(d).__name__} is no statement")


def affine_part(places: Places, index: Index, n: int) -> Expression:
    """The part of an indexed element's address that the loop variables give."""
    steps = row_major(places.shape)
    total = constant(0, n)
    for step, entry in zip(steps, places.entries, strict=True):
        if not isinstance(entry, int):
            axis, start, stride = entry
            more = weighted((index[axis],), (step * stride,), n, step * start)
            total = tuple(a + b for a, b in zip(total, more, strict=True))
    return total


def _scattered(values: Values, var: Var, base: Var, d: Scatter) -> Statement:
    extents, index = axes_index(d.operand.shape)
    n = len(extents)
    items, result, arrays, after = body_of(values, d.operand, index, n, through=False, places=d.places)
    address = affine_part(d.places, index, n)
    one = _statement(base, extents, items, result, address, "scatter", (), var, d.op.name, after)
    one.scatter, one.arrays = d, arrays
    return one


def _accumulation(values: Values, var: Var, base: Var, d: Accumulation) -> list[Statement]:
    extents, index = axes_index(var.shape)
    n = len(extents)
    if isinstance(d.start, Var):
        items, result, _, after = body_of(values, d.start, broadcast(index, d.start.shape, n), n, through=False)
    else:
        items, result, after = [], Literal(0) if d.start is None else d.start, frozenset()
    address = weighted(index, row_major(var.shape), n)
    made = [_statement(base, extents, items, result, address, "point", (), var, d.op.name, after)]
    for region, operand in d.regions:
        if isinstance(region, Scatter):
            one = _scattered(values, var, base, region)
            one.alone, one.fresh = True, False
            made.append(one)
        elif 0 not in region.shape:
            one = _of_region(values, var, base, region, operand, d.op.name)
            one.kind, one.alone = "into", True
            made.append(one)
    return made


def _assembly(values: Values, var: Var, base: Var, d: Assembly) -> list[Statement]:
    made = []
    for number, region in enumerate(d.regions):
        if 0 in region.shape:
            continue
        operand = Literal(region.fill) if region.operand is None else d.operands[region.operand]
        one = _of_region(values, var, base, region, operand, d.op.name)
        one.alone = any(_meet(region, other) for other in d.regions[:number])
        one.part = not one.alone
        made.append(one)
    return made


def _of_region(values: Values, var: Var, base: Var, region: Region, operand: Any, name: str) -> Statement:
    """`operand` written to a region of `var`."""
    extents, index = axes_index(region.shape)
    n = len(extents)
    placed = [
        tuple(s * c + (a if i == 0 else 0) for i, c in enumerate(e))
        for e, a, s in zip(index, region.start, region.step, strict=True)
    ]
    address = weighted(tuple(placed), row_major(var.shape), n)
    if not isinstance(operand, Var):
        return _statement(base, extents, [], operand, address, "point", (), var, name)
    items, result, _, after = body_of(values, operand, broadcast(index, operand.shape, n), n, through=False)
    return _statement(base, extents, items, result, address, "point", (), var, name, after)


def _meet(x: Any, y: Any) -> bool:
    """Whether two regions may have an element in common."""
    for a, s, m, b, t, n in zip(x.start, x.step, x.shape, y.start, y.step, y.shape, strict=True):
        if m == 0 or n == 0:
            return False
        x_low, x_high = min(a, a + s * (m - 1)), max(a, a + s * (m - 1))
        y_low, y_high = min(b, b + t * (n - 1)), max(b, b + t * (n - 1))
        if x_high < y_low or y_high < x_low:
            return False
    return True


def _statement(
    base: Var,
    extents: tuple[int, ...],
    items: list[Item],
    result: Any,
    address: Expression,
    kind: str,
    reduced: Any,
    var: Var,
    name: str = "",
    after: frozenset[Var] = frozenset(),
) -> Statement:
    cost = TOUCH + sum(item.point.form.cost if isinstance(item.point, Point) else TOUCH for item in items)
    whole = frozenset(item.point.operand for item in items if isinstance(item.point, Gather))
    return Statement(
        base, extents, items, result, address, kind, frozenset(reduced), name, cost, whole=whole, after=after
    )
