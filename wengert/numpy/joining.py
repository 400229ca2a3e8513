"""Functions that join arrays, take them apart, and put elements in or leave them out."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from wengert.core.abstract import share_memory
from wengert.core.tensor import Array, Tensor, View, raw
from wengert.numpy.arrays import astype, axis_of, lift, promoted, result_type, takes, writes_out
from wengert.numpy.layout import arranged, copied, gathered, own
from wengert.numpy.shaping import atleast_1d, atleast_2d, atleast_3d, moved, ravel, sizes_of
from wengert.numpy.traced import when_traced
from wengert.numpy.values import concrete
from wengert.ops import basis
from wengert.ops import shape as ops
from wengert.ops.index import ARRAY, index

# ── joining ───────────────────────────────────────────────────────────────────


def items_of(arrays: Any) -> list[Array]:
    """The arrays of a sequence; a Tensor is the sequence of its rows."""
    if type(arrays) is Tensor:
        return list(unstack(arrays))
    return [lift(a) for a in arrays]


def to_dtype(items: list[Array], dtype: Any, casting: str) -> list[Array]:
    """The items in their common dtype, or in `dtype`, if `casting` lets them."""
    if dtype is None:
        return promoted(items)
    dtype = np.dtype(dtype)
    common = result_type(*items)
    if not np.can_cast(common, dtype, casting):  # type: ignore[arg-type]
        raise TypeError(f"Cannot cast array data from {common!r} to {dtype!r} according to the rule '{casting}'")
    return [astype(x, dtype) for x in items]


@when_traced("concatenate", "concat")
def concatenate(
    arrays: Any, /, axis: Any = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind"
) -> Array:
    """`numpy.concatenate`."""
    items = items_of(arrays)
    if not items:
        raise ValueError("need at least one array to concatenate")
    if axis is None:
        items, axis = [ravel(x) for x in items], 0
    if any(x.ndim == 0 for x in items):
        raise ValueError("zero-dimensional arrays cannot be concatenated")
    if dtype is None and out is not None:
        dtype = out.dtype
    axis = axis_of(axis, items[0].ndim)
    for x in items:
        axis_of(axis, x.ndim)
    sizes = tuple(x.shape[axis] for x in items)
    return writes_out(ops.concatenate(*to_dtype(items, dtype, casting), axis=axis, sizes=sizes), out)


@when_traced("stack")
def stack(arrays: Any, axis: int = 0, out: Any = None, *, dtype: Any = None, casting: str = "same_kind") -> Array:
    """`numpy.stack`."""
    items = items_of(arrays)
    if not items:
        raise ValueError("need at least one array to stack")
    if len({tuple(x.shape) for x in items}) != 1:
        raise ValueError("all input arrays must have the same shape")
    if dtype is None and out is not None:
        dtype = out.dtype
    return writes_out(ops.stack(*to_dtype(items, dtype, casting), axis=axis_of(axis, items[0].ndim + 1)), out)


def _several(function: Any, arrays: Any) -> list[Array]:
    return [function(x) for x in items_of(arrays)]


@when_traced("vstack", "row_stack")
def vstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Array:
    """`numpy.vstack`."""
    return concatenate(_several(atleast_2d, tup), 0, dtype=dtype, casting=casting)


@when_traced("hstack")
def hstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> Array:
    """`numpy.hstack`."""
    items = _several(atleast_1d, tup)
    return concatenate(items, 0 if items and items[0].ndim == 1 else 1, dtype=dtype, casting=casting)


@when_traced("dstack")
def dstack(tup: Any) -> Array:
    """`numpy.dstack`."""
    return concatenate(_several(atleast_3d, tup), 2)


@when_traced("column_stack")
def column_stack(tup: Any) -> Array:
    """`numpy.column_stack`."""
    items = items_of(tup)
    return concatenate([x if x.ndim > 1 else moved(basis.reshape, x, shape=(x.size, 1)) for x in items], 1)


@when_traced("block")
def block(arrays: Any) -> Array:
    """`numpy.block`."""
    depth = _depth(arrays)
    leaves: list[Array] = []
    _collect(arrays, leaves)
    ndim = max(depth, *(x.ndim for x in leaves))

    def build(part: Any, level: int) -> Array:
        if level == depth:
            x = lift(part)
            return basis.reshape(x, shape=(*(1,) * (ndim - x.ndim), *x.shape))
        return concatenate([build(p, level + 1) for p in part], level - depth)

    return own(build(promote_leaves(arrays, result_type(*leaves)), 0))


def _depth(part: Any) -> int:
    if isinstance(part, tuple):
        raise TypeError("arrays is a tuple. Only lists can be used to arrange blocks")
    if not isinstance(part, list):
        return 0
    if not part:
        raise ValueError("List at arrays cannot be empty")
    depths = {_depth(p) for p in part}
    if len(depths) != 1:
        raise ValueError("List depths are mismatched")
    return 1 + depths.pop()


def _collect(part: Any, leaves: list[Array]) -> None:
    if isinstance(part, list):
        for p in part:
            _collect(p, leaves)
    else:
        leaves.append(lift(part))


def promote_leaves(part: Any, dtype: np.dtype) -> Any:
    """A nesting of lists of arrays with every leaf cast to `dtype`."""
    return [promote_leaves(p, dtype) for p in part] if isinstance(part, list) else astype(lift(part), dtype)


# ── taking apart ──────────────────────────────────────────────────────────────


def pieces(x: Array, axis: int, sizes: Sequence[int]) -> list[Array]:
    """`x` cut along an axis into views of these sizes: one op, whose pullback is one concatenation."""
    if type(x) is not Tensor:
        return list(ops.split(x, axis=axis, sizes=tuple(sizes)))
    parts = ops.split(x, axis=axis, sizes=tuple(sizes))
    lead = (slice(None),) * axis
    for part, end, size in zip(parts, accumulate(sizes), sizes, strict=True):
        if type(part) is Tensor and share_memory(raw(part), raw(x)):
            part._view = View(x, index, {"spec": (*lead, slice(end - size, end))})
    return list(parts)


def _cut(x: Array, cuts: Any, axis: int) -> list[Array]:
    """`numpy.array_split` on one axis: a number of sections, or indices to cut at."""
    n = x.shape[axis]
    cuts = concrete(cuts) if type(cuts) is Tensor else cuts
    try:
        bounds = [0, *(operator.index(c) for c in cuts), n]
    except TypeError:
        sections = int(cuts)
        if sections <= 0:
            raise ValueError("number sections must be larger than 0.") from None
        each, extra = divmod(n, sections)
        return pieces(x, axis, [each + 1] * extra + [each] * (sections - extra))
    if bounds == sorted(bounds):
        return pieces(x, axis, [b - a for a, b in pairwise(bounds)])
    lead = (slice(None),) * axis  # NumPy slices with whatever bounds it is given
    return [moved(index, x, spec=(*lead, slice(a, b))) for a, b in pairwise(bounds)]


@when_traced("array_split")
def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Array]:
    """`numpy.array_split`: views."""
    x = lift(ary)
    return _cut(x, indices_or_sections, axis_of(axis, x.ndim))


@when_traced("split")
def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[Array]:
    """`numpy.split`: views."""
    x = lift(ary)
    axis = axis_of(axis, x.ndim)
    if np.ndim(indices_or_sections) == 0 and x.shape[axis] % indices_or_sections:
        raise ValueError("array split does not result in an equal division")
    return _cut(x, indices_or_sections, axis)


@when_traced("hsplit")
def hsplit(ary: Any, indices_or_sections: Any) -> list[Array]:
    """`numpy.hsplit`."""
    x = lift(ary)
    if x.ndim == 0:
        raise ValueError("hsplit only works on arrays of 1 or more dimensions")
    return split(x, indices_or_sections, 1 if x.ndim > 1 else 0)


@when_traced("vsplit")
def vsplit(ary: Any, indices_or_sections: Any) -> list[Array]:
    """`numpy.vsplit`."""
    x = lift(ary)
    if x.ndim < 2:
        raise ValueError("vsplit only works on arrays of 2 or more dimensions")
    return split(x, indices_or_sections, 0)


@when_traced("dsplit")
def dsplit(ary: Any, indices_or_sections: Any) -> list[Array]:
    """`numpy.dsplit`."""
    x = lift(ary)
    if x.ndim < 3:
        raise ValueError("dsplit only works on arrays of 3 or more dimensions")
    return split(x, indices_or_sections, 2)


@when_traced("unstack")
def unstack(x: Any, /, *, axis: int = 0) -> tuple[Array, ...]:
    """`numpy.unstack`: views."""
    x = lift(x)
    if x.ndim == 0:
        raise ValueError("Input array must be at least 1-d.")
    axis = axis_of(axis, x.ndim)
    if x.shape[axis] == 0:
        return ()
    shape = (*x.shape[:axis], *x.shape[axis + 1 :])
    return tuple(moved(basis.reshape, part, shape=shape) for part in pieces(x, axis, [1] * x.shape[axis]))


@when_traced("trim_zeros")
def trim_zeros(filt: Any, trim: str = "fb", axis: Any = None) -> Array:
    """`numpy.trim_zeros`: a view; what is zero is read off the values."""
    x = lift(filt)
    sides = trim.lower()
    if set(sides) - {"f", "b"}:
        raise ValueError(f"unexpected character(s) in `trim`: {trim!r}")
    axes = range(x.ndim) if axis is None else [axis_of(i, x.ndim) for i in np.atleast_1d(axis)]
    found = np.nonzero(concrete(x) if type(x) is Tensor else x)
    spec = [slice(None)] * x.ndim
    for i in axes:
        first, last = (found[i].min(), found[i].max() + 1) if found[i].size else (x.shape[i], x.shape[i])
        spec[i] = slice(int(first) if "f" in sides else 0, int(last) if "b" in sides else x.shape[i])
        if not found[i].size:  # NumPy keeps nothing, from whichever side it trims
            spec[i] = slice(0, 0)
    return moved(index, x, spec=tuple(spec))


# ── repeating ─────────────────────────────────────────────────────────────────


@when_traced("tile")
def tile(A: Any, reps: Any) -> Array:
    """`numpy.tile`."""
    x = lift(A)
    counts = sizes_of(reps)
    counts = (1,) * (x.ndim - len(counts)) + counts
    shape = (1,) * (len(counts) - x.ndim) + tuple(x.shape)
    if all(c == 1 for c in counts):
        return own(basis.reshape(copied(x), shape=shape))
    x = basis.reshape(x, shape=tuple(d for n in shape for d in (1, n)))
    x = basis.broadcast_to(x, shape=tuple(d for c, n in zip(counts, shape, strict=True) for d in (c, n)))
    return arranged(basis.reshape(x, shape=tuple(c * n for c, n in zip(counts, shape, strict=True))), "C")


@when_traced("repeat")
def repeat(a: Any, repeats: Any, axis: Any = None) -> Array:
    """`numpy.repeat`."""
    x = lift(a)
    if axis is None or (not x.ndim and takes(axis)):
        x, axis = ravel(x), 0
    axis = axis_of(axis, x.ndim)
    counts = np.asarray(concrete(repeats) if type(repeats) is Tensor else repeats)
    if counts.size == 1:
        return ops.repeat(x, count=operator.index(counts.item()), axis=axis)
    return gathered(x, np.repeat(np.arange(x.shape[axis]), counts), axis)


@when_traced("resize")
def resize(a: Any, new_shape: Any) -> Array:
    """`numpy.resize`: the elements, over and over, in a new shape."""
    x = ravel(a)
    shape = sizes_of(new_shape)
    if any(d < 0 for d in shape):
        raise ValueError("all elements of `new_shape` must be non-negative")
    size = int(np.prod(shape))
    if not x.size or not size:
        return np.zeros(shape, x.dtype)
    if size > x.size:
        x = tile(x, -(-size // x.size))
    return own(basis.reshape(copied(index(x, spec=(slice(size),)), "C"), shape=shape))


# ── leaving out and putting in ────────────────────────────────────────────────


@when_traced("append")
def append(arr: Any, values: Any, axis: Any = None) -> Array:
    """`numpy.append`."""
    x, more = lift(arr), lift(values)
    if axis is None:
        x, more, axis = ravel(x), ravel(more), 0
    return concatenate((x, more), axis)


def _on_axis(arr: Any, axis: Any) -> tuple[Array, int]:
    x = lift(arr)
    if axis is None:
        x, axis = (ravel(x) if x.ndim != 1 else x), -1
    return x, axis_of(axis, x.ndim)


def _key(obj: Any) -> Any:
    return concrete(obj) if type(obj) is Tensor else obj


@when_traced("delete")
def delete(arr: Any, obj: Any, axis: Any = None) -> Array:
    """`numpy.delete`."""
    x, axis = _on_axis(arr, axis)
    kept = np.delete(np.arange(x.shape[axis]), _key(obj))
    out = index(x, kept, spec=(*(slice(None),) * axis, ARRAY), unique=True)
    return copied(out, "C") if type(out) is Tensor else out


@when_traced("insert")
def insert(arr: Any, obj: Any, values: Any, axis: Any = None) -> Array:
    """`numpy.insert`."""
    x, axis = _on_axis(arr, axis)
    key, n = _key(obj), x.shape[axis]
    new = astype(lift(values), x.dtype)
    new = basis.reshape(new, shape=(1,) * (x.ndim - new.ndim) + tuple(new.shape))
    where = np.arange(*key.indices(n)) if isinstance(key, slice) else np.asarray(key)
    if where.dtype == bool:
        where = np.flatnonzero(where)
    if where.size == 1:
        if where.ndim == 0:
            order = [*range(1, new.ndim)]
            order.insert(axis, 0)
            new = basis.transpose(new, axes=tuple(order))
        count = new.shape[axis]
    else:
        count = where.size
    new = basis.broadcast_to(new, shape=(*x.shape[:axis], count, *x.shape[axis + 1 :]))
    order = np.insert(np.arange(n), key, n + np.arange(count))
    both = ops.concatenate(x, new, axis=axis, sizes=(n, count))
    out = index(both, order, spec=(*(slice(None),) * axis, ARRAY), unique=True)
    return copied(out, "C") if type(out) is Tensor else out
