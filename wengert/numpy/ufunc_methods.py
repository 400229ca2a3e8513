"""The methods of ufuncs on Tensors: `reduce`, `accumulate`, `reduceat`, `at`.

Each takes the ufunc first. The common cases are one op: sums, products, extrema. The rest is
built from calls of the ufunc: an associative one folds in halves, with O(log n) ops, any other
from left to right, with n.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from wengert.core.errors import DTypeError
from wengert.core.op import Op
from wengert.core.source import describe, here
from wengert.core.tensor import Array, Tensor
from wengert.numpy.arrays import astype, axis_of, kept, lift, operand, reduced_axes, writes_out
from wengert.numpy.indexing import parse
from wengert.numpy.layout import axes_of_order
from wengert.numpy.registry import values
from wengert.numpy.values import lost
from wengert.ops.basis import add, broadcast_to, cast, neg, reduce_sum, reshape, transpose
from wengert.ops.dtype import truncate
from wengert.ops.index import ARRAY, index, index_put, native, scatter_add
from wengert.ops.reduce import (
    reduce_all,
    reduce_any,
    reduce_fmax,
    reduce_fmin,
    reduce_logsumexp,
    reduce_max,
    reduce_min,
    reduce_prod,
)
from wengert.ops.scan import cummax, cummin, cumprod, cumsum
from wengert.ops.select import where as select
from wengert.ops.shape import concatenate, is_compact, stack
from wengert.ops.shape import in_order as in_memory_order

Ufunc = Any  # the caller; this module is imported by the one that defines it

REDUCTIONS: dict[str, Op] = {
    "add": reduce_sum,
    "multiply": reduce_prod,
    "maximum": reduce_max,
    "minimum": reduce_min,
    "fmax": reduce_fmax,
    "fmin": reduce_fmin,
    "logaddexp": reduce_logsumexp,
    "logical_and": reduce_all,
    "logical_or": reduce_any,
}
LOGICAL = frozenset({"logical_and", "logical_or", "logical_xor"})
COMPARISONS = frozenset({"equal", "not_equal", "less", "less_equal", "greater", "greater_equal"})
SCANS: dict[str, Op] = {"add": cumsum, "multiply": cumprod, "maximum": cummax, "minimum": cummin}
ASSOCIATIVE = frozenset(
    {*REDUCTIONS, "logaddexp2", "hypot", "logical_xor", "bitwise_and", "bitwise_or", "bitwise_xor", "gcd", "lcm"}
)

# ── reduce ────────────────────────────────────────────────────────────────────


def reduce(
    u: Ufunc,
    array: Any,
    axis: Any = 0,
    dtype: Any = None,
    out: Any = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = True,
) -> Array:
    """`u.reduce`."""
    name = u.__name__
    x = prepared(u, array, dtype)
    axes = reduced_axes(axis, x.ndim)
    if name not in ASSOCIATIVE and len(axes) > 1:
        raise ValueError(f"reduction operation '{name}' is not reorderable, so at most one axis may be specified")
    if initial is np._NoValue:  # pyright: ignore[reportAttributeAccessIssue]
        initial = None
    identity = u.original.identity
    if where is not True:
        fill = identity if identity is not None else initial
        if fill is None:
            raise ValueError(
                f"reduction operation '{name}' does not have an identity,"
                " so to use a where mask one has to specify 'initial'"
            )
        if name in ASSOCIATIVE:
            x = select(where, x, fill if isinstance(fill, (int, float, bool)) else astype(lift(fill), x.dtype))
    if x.size == 0 or not axes:
        result = reduce_nothing(u, x, axes, identity if initial is None else initial)
        initial = None if x.size == 0 else initial
    elif name in REDUCTIONS:
        result = REDUCTIONS[name](x, axes=axes)
    elif name in ASSOCIATIVE:
        x_front = in_front(x, axes)
        result = halves(u.op, x_front)
        if x_front.shape[0] == 1 and identity is not None and initial is None:
            initial = identity  # NumPy starts from it, and hypot(0, x) is not x
    else:
        mask = True if where is True else in_front(broadcast_to(lift(where), shape=x.shape), axes)
        start = identity if initial is None and where is not True else initial
        result = left_to_right(u.op, in_front(x, axes), start, mask)
        initial = None
    if initial is not None:
        result = u.op(operand(initial), result)
    return writes_out(kept(result, x.shape, axes) if keepdims else result, out)


def prepared(u: Ufunc, array: Any, dtype: Any) -> Array:
    """The operand of a reduction or scan, in the dtype to compute in; small integers as wide as NumPy makes them."""
    x = lift(array)
    if u.__name__ in COMPARISONS:
        u.original.reduce(np.ones(1, x.dtype))  # raises NumPy's TypeError, but for booleans
    if u.__name__ in LOGICAL:
        return truncate(x, dtype=np.dtype(bool)) if type(x) is Tensor else x.astype(bool)
    if dtype is None and u.__name__ in ("add", "multiply") and x.dtype.kind in "bui":
        dtype = np.result_type(x.dtype, np.uint if x.dtype.kind == "u" else np.int_)
    return x if dtype is None else astype(x, dtype)


def reduce_nothing(u: Ufunc, x: Array, axes: tuple[int, ...], start: Any) -> Array:
    """A reduction over no axes, or of no elements."""
    if not axes:
        return u.op(0, x) if u.__name__ == "hypot" else x  # |x|: the identity of hypot is one up to the sign
    shape = tuple(d for i, d in enumerate(x.shape) if i not in axes)
    if start is None and 0 not in shape:
        raise ValueError(f"zero-size array to reduction operation {u.__name__} which has no identity")
    dtype = u.original.reduce(np.ones(1, x.dtype)).dtype
    return broadcast_to(astype(lift(0 if start is None else start), dtype), shape=shape)


def in_front(x: Array, axes: tuple[int, ...]) -> Array:
    """`x` with `axes` merged into a first one."""
    rest = tuple(i for i in range(x.ndim) if i not in axes)
    if axes != tuple(range(len(axes))):
        x = transpose(x, axes=(*axes, *rest))
    count = 1
    for d in x.shape[: len(axes)]:
        count *= d
    return x if len(axes) == 1 else reshape(x, shape=(count, *x.shape[len(axes) :]))


def halves(op: Callable[..., Array], x: Array) -> Array:
    """Fold the first axis, pairing its halves until one element is left."""
    while (n := x.shape[0]) > 1:
        half = n // 2
        merged = op(index(x, spec=slice(0, half)), index(x, spec=slice(half, 2 * half)))
        x = concatenate(merged, index(x, spec=slice(n - 1, n)), axis=0, sizes=(half, 1)) if n % 2 else merged
    return index(x, spec=0)


def left_to_right(op: Callable[..., Array], x: Array, start: Any, mask: Any = True) -> Array:
    """Fold the first axis in order, from `start` if there is one."""
    total, first = (index(x, spec=0), 1) if start is None else (operand(start), 0)
    for i in range(first, x.shape[0]):
        merged = op(total, index(x, spec=i))
        total = merged if mask is True else select(index(mask, spec=i), merged, total)
    return total


# ── accumulate, reduceat ──────────────────────────────────────────────────────


def accumulate(u: Ufunc, array: Any, axis: Any = 0, dtype: Any = None, out: Any = None) -> Array:
    """`u.accumulate`."""
    x = prepared(u, array, dtype)
    if x.ndim == 0:
        raise TypeError("cannot accumulate on a scalar")
    axis = axis_of(axis, x.ndim)
    if u.__name__ in SCANS:
        return writes_out(SCANS[u.__name__](x, axis=axis), out)
    operand_of = x
    x = in_front(x, (axis,))
    if x.shape[0] > 1:
        x = doubled(u.op, x) if u.__name__ in ASSOCIATIVE else in_order(u.op, x)
    return writes_out(
        kept_order(transpose(x, axes=(*range(1, axis + 1), 0, *range(axis + 1, x.ndim))), operand_of), out
    )


def kept_order(out: Array, x: Array) -> Array:
    """`out` with its axes in the order in memory that those of `x` have, as NumPy gives it."""
    axes = axes_of_order(x, "K")
    return out if is_compact(out, axes) else in_memory_order(out, axes)


def doubled(op: Callable[..., Array], x: Array) -> Array:
    """Every prefix of the first axis folded, by windows of 1, 2, 4, … (Hillis & Steele 1986)."""
    n, width = x.shape[0], 1
    while width < n:
        merged = op(index(x, spec=slice(0, n - width)), index(x, spec=slice(width, n)))
        head = index(x, spec=slice(0, width))
        if head.dtype != merged.dtype:
            head = astype(head, merged.dtype)
        x = concatenate(head, merged, axis=0, sizes=(width, n - width))
        width *= 2
    return x


def in_order(op: Callable[..., Array], x: Array) -> Array:
    """Every prefix of the first axis folded, one after the other."""
    prefixes = [index(x, spec=0)]
    for i in range(1, x.shape[0]):
        prefixes.append(op(prefixes[-1], index(x, spec=i)))
    return stack(*(astype(p, prefixes[-1].dtype) for p in prefixes), axis=0)


def reduceat(u: Ufunc, array: Any, indices: Any, axis: Any = 0, dtype: Any = None, out: Any = None) -> Array:
    """`u.reduceat`. The indices must be known: they decide which elements meet."""
    x = prepared(u, array, dtype)
    axis = axis_of(axis, x.ndim)
    starts = [operator.index(i) for i in np.asarray(values(indices)).tolist()]
    n = x.shape[axis]
    if any(not 0 <= i < n for i in starts):
        raise IndexError(
            f"index {next(i for i in starts if not 0 <= i < n)} out-of-bounds in {u.__name__}.reduceat [0, {n})"
        )
    spans = [range(i, max(i + 1, j)) for i, j in zip(starts, [*starts[1:], n], strict=True)]
    lead = (slice(None),) * axis
    if u.__name__ == "add":
        taken = index(x, np.array([k for span in spans for k in span], np.intp), spec=(*lead, ARRAY))
        owner = np.repeat(np.arange(len(spans)), [len(span) for span in spans])
        shape = (*x.shape[:axis], len(spans), *x.shape[axis + 1 :])
        return writes_out(kept_order(scatter_add(taken, owner, spec=(*lead, ARRAY), shape=shape), x), out)
    parts = [
        index(x, spec=(*lead, span.start))  # as it is: hypot of one element would drop its sign
        if len(span) == 1
        else reduce(u, index(x, spec=(*lead, slice(span.start, span.stop))), axis)
        for span in spans
    ]
    return writes_out(kept_order(stack(*parts, axis=axis), x), out)


# ── at ────────────────────────────────────────────────────────────────────────


def at(u: Ufunc, a: Any, indices: Any, b: Any = None, /) -> None:
    """`u.at`: in place, element by element, so that an index given twice counts twice."""
    if type(a) is not Tensor:
        raise lost(
            f"numpy.{u.__name__}.at",
            "an ndarray to write into, while the operand carries a derivative",
            "write into a Tensor: make the array with wengert.numpy (numpy.zeros in an adopted function)",
        )
    spec, arrays, unique = parse(indices, a.ndim)
    unique = unique or not arrays
    if u.original.nin == 2 and u.__name__ in ("add", "subtract"):
        b = operand(b)
        shape = index(np.broadcast_to(np.zeros(()), a.shape), *map(_shaped, arrays), spec=spec).shape
        term = broadcast_to(brought(u, b, a), shape=shape)
        term = neg(term) if u.__name__ == "subtract" else term
        a._write(add(a, scatter_add(term, *arrays, spec=spec, shape=a.shape, unique=unique)))
        return
    operands = () if u.original.nin == 1 else (operand(b),)
    if unique:
        a._write(index_put(a, brought(u, u.op(index(a, *arrays, spec=spec), *operands), a), *arrays, spec=spec))
        return
    places = np.arange(a.size).reshape(a.shape)[native(spec, values(arrays))]
    operands = tuple(reshape(broadcast_to(lift(o), shape=places.shape), shape=(places.size,)) for o in operands)
    flat = reshape(a, shape=(a.size,))
    for chosen in rounds(places.ravel()):
        at_places = places.ravel()[chosen]
        new = u.op(index(flat, at_places, spec=(ARRAY,)), *(index(o, chosen, spec=(ARRAY,)) for o in operands))
        flat = index_put(flat, brought(u, new, a), at_places, spec=(ARRAY,))
    a._write(reshape(flat, shape=a.shape))


def _shaped(i: Array) -> np.ndarray:
    return np.zeros(i.shape, np.intp)


def rounds(places: np.ndarray) -> list[np.ndarray]:
    """The positions in `places` by turn: first those that name an element first, then those that name it again, …"""
    order = np.argsort(places, kind="stable")
    ordered = places[order]
    starts = np.r_[True, ordered[1:] != ordered[:-1]]
    turn = np.arange(len(places)) - np.maximum.accumulate(np.where(starts, np.arange(len(places)), 0))
    return [np.sort(order[turn == k]) for k in range(turn.max(initial=-1) + 1)]


def brought(u: Ufunc, value: Array, a: Array) -> Array:
    """`value` in the dtype of `a`, which it is written into."""
    value = lift(value)
    if value.dtype == a.dtype:
        return value
    if not np.can_cast(value.dtype, a.dtype, "same_kind"):
        raise DTypeError(
            f"numpy.{u.__name__}.at",
            got=f"a {value.dtype} value for a {a.dtype} array",
            want="a value that casts to the array's dtype",
            fix=f"make the array with dtype={value.dtype}",
            at=describe(here(3)),
        )
    if type(value) is not Tensor:
        return value.astype(a.dtype)
    return cast(value, dtype=a.dtype) if value.dtype.kind in "fc" else truncate(value, dtype=a.dtype)


METHODS: dict[str, Callable[..., Any]] = {"reduce": reduce, "accumulate": accumulate, "reduceat": reduceat, "at": at}
