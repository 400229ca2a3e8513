"""Sorting and searching. Sorted values are differentiable, permutations and places are constant.

Each sorted element carries its derivative from where it came from. Of equal elements, which one
comes first decides whose derivative is whose: any choice is a subgradient.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from wengert.core.tensor import Array
from wengert.numpy.arrays import astype, axis_of, has_tensor, lift, takes
from wengert.numpy.protocols import concrete
from wengert.numpy.registry import enter, implements
from wengert.numpy.traced import value_of, when_traced
from wengert.ops import sort as ops
from wengert.ops.basis import reshape
from wengert.ops.elementwise import sub
from wengert.ops.index import ARRAY, index
from wengert.ops.shape import flip

PLACE = "an index: it jumps where two elements change order, and is constant elsewhere"

# ── helpers ───────────────────────────────────────────────────────────────────


def along(x: Array, axis: Any) -> tuple[Array, int]:
    """`x` and the axis to sort along; None ravels."""
    if axis is None:
        return reshape(x, shape=(x.size,)), 0
    return x, axis_of(axis, x.ndim)


def order_along(x: Array, axis: Any) -> tuple[Array, int]:
    """`along`, for what gives an order: NumPy has one, [0], of an array without axes too."""
    return along(x, None if not x.ndim and takes(axis) else axis)


def _kind(kind: Any, order: Any, stable: Any) -> Any:
    if order is not None:
        raise ValueError("Cannot specify order when the array has no fields.")
    return _stability(kind, stable)


def _stability(kind: Any, stable: Any) -> Any:
    """NumPy's `kind`. The array API standard's default is stable, which NumPy's contract allows."""
    if kind is not None and stable is not None:
        raise ValueError("`kind` and `stable` parameters can't be provided at the same time. Use only one of them.")
    return "stable" if stable or (kind is None and stable is None) else kind


def _kth(kth: Any, n: int) -> tuple[int, ...]:
    ks = np.atleast_1d(np.asarray(kth))
    if ks.dtype.kind not in "iu":
        raise TypeError("Partition index must be integer")
    for k in ks.tolist():
        if not -n <= k < n:
            raise ValueError(f"kth(={k}) out of bounds ({n})")
    return tuple(k + n if k < 0 else k for k in ks.tolist())


# ── sorting ───────────────────────────────────────────────────────────────────


@implements("sort")
def sort(
    a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, descending: bool = False, stable: Any = None
) -> Array:
    """`numpy.sort`, with `descending` of the array API standard: NaNs come first then."""
    if has_tensor(a):
        x, axis = along(lift(a), axis)
        at = ops.argsort(x, axis=axis, kind=_kind(kind, order, stable), descending=bool(descending))
        return ops.take_along(x, at, axis, unique=True)
    if descending:
        _kind(kind, order, stable)
    out = np.sort(a, axis=axis, kind=kind, order=order, stable=stable)
    return np.flip(out, -1 if axis is None else axis) if descending else out


def argsort(
    a: Any, axis: Any = -1, kind: Any = None, order: Any = None, *, descending: bool = False, stable: Any = None
) -> Array:
    """`numpy.argsort`, with `descending` of the array API standard: NaNs come first then.

    The standard's default is a stable order, descending too; NumPy's leaves the order of equal elements open.
    """
    if not has_tensor(a) and not descending:
        return np.argsort(a, axis=axis, kind=_stability(kind, stable), order=order)
    x, axis = order_along(lift(a), axis)
    return ops.argsort(x, axis=axis, kind=_kind(kind, order, stable), descending=bool(descending))


enter("argsort", "constant", argsort, PLACE)


@when_traced("partition")
def partition(a: Any, kth: Any, axis: Any = -1, kind: str = "introselect", order: Any = None) -> Array:
    """`numpy.partition`, also in the order within its parts."""
    _kind(None, order, None)
    x, axis = along(lift(a), axis)
    at = ops.partition_order(x, kth=_kth(kth, x.shape[axis]), axis=axis)
    return ops.take_along(x, at, axis, unique=True)


@when_traced("argpartition", constant=PLACE)
def argpartition(a: Any, kth: Any, axis: Any = -1, kind: str = "introselect", order: Any = None) -> Array:
    """`numpy.argpartition`."""
    _kind(None, order, None)
    x, axis = order_along(lift(a), axis)
    return ops.argpartition(x, kth=_kth(kth, x.shape[axis]), axis=axis)


@when_traced("lexsort", constant=PLACE)
def lexsort(keys: Any, axis: Any = -1) -> Array:
    """`numpy.lexsort`."""
    k = lift(keys)
    return ops.lexsort(k, axis=axis_of(axis, k.ndim - 1))


@when_traced("sort_complex")
def sort_complex(a: Any) -> Array:
    """`numpy.sort_complex`."""
    x = sort(lift(a))
    if x.dtype.kind == "c":
        return x
    return astype(x, {"b": "F", "h": "F", "B": "F", "H": "F", "g": "G"}.get(x.dtype.char, "D"))


# ── searching ─────────────────────────────────────────────────────────────────


@when_traced("searchsorted", constant="a place in a sorted array: it jumps where v passes an element of a")
def searchsorted(a: Any, v: Any, side: str = "left", sorter: Any = None) -> Array:
    """`numpy.searchsorted`."""
    a = lift(a)
    if side not in ("left", "right"):
        raise ValueError(f"search side must be 'left' or 'right' (got '{side}')")
    if sorter is not None:
        a = index(a, lift(sorter), spec=(ARRAY,), unique=True)
    return ops.searchsorted(a, lift(v), side=side)


@when_traced("digitize", constant="the number of a bin: it jumps where an element passes an edge")
def digitize(x: Any, bins: Any, right: bool = False) -> Array:
    """`numpy.digitize`; bins that a vmap batches must increase."""
    bins = lift(bins)
    side = "left" if right else "right"
    known = value_of(bins)
    steps = np.diff(known) if known is not None else np.zeros(0)
    if not ((steps >= 0).all() or (steps <= 0).all()):
        raise ValueError("bins must be monotonically increasing or decreasing")
    if (steps >= 0).all():
        return searchsorted(bins, x, side)
    return sub(bins.shape[0], searchsorted(flip(bins, axes=(0,)), x, side))


# ── distinct elements ─────────────────────────────────────────────────────────


def places(known: np.ndarray, found: np.ndarray) -> np.ndarray:
    """Where each of the distinct elements `found` stands first in `known`; several NaNs take one each."""
    order = np.argsort(known, kind="stable")
    at = np.searchsorted(known[order], found)
    nans = found != found
    at[nans] += np.arange(np.count_nonzero(nans))
    return order[at]


def distinct(x: Array, found: np.ndarray) -> Array:
    """The values `found` in x, with their derivative."""
    flat = reshape(x, shape=(x.size,))
    return index(flat, places(np.ravel(concrete(x)), found), spec=(ARRAY,), unique=True)


@when_traced("unique")
def unique(
    ar: Any,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: Any = None,
    *,
    equal_nan: bool = True,
    sorted: bool = True,
) -> Any:
    """`numpy.unique`: each distinct value has the derivative of its first occurrence; the rest is constant."""
    x = lift(ar)
    _, first, *rest = np.unique(concrete(x), True, return_inverse, return_counts, axis, equal_nan=equal_nan)
    flat, axis = along(x, axis)
    values = index(flat, first, spec=(*(slice(None),) * axis, ARRAY), unique=True)
    out = (values, *([first] if return_index else []), *rest)
    return out if len(out) > 1 else values


@when_traced("unique_all")
def unique_all(x: Any) -> Any:
    """`numpy.unique_all`: `values` are differentiable, the rest is constant."""
    x = lift(x)
    found = np.unique_all(concrete(x))
    return found._replace(values=index(reshape(x, shape=(x.size,)), found.indices, spec=(ARRAY,), unique=True))


@when_traced("unique_counts")
def unique_counts(x: Any) -> Any:
    """`numpy.unique_counts`: `values` are differentiable, the rest is constant."""
    x = lift(x)
    found = np.unique_counts(concrete(x))
    return found._replace(values=distinct(x, found.values))


@when_traced("unique_inverse")
def unique_inverse(x: Any) -> Any:
    """`numpy.unique_inverse`: `values` are differentiable, the rest is constant."""
    x = lift(x)
    found = np.unique_inverse(concrete(x))
    return found._replace(values=distinct(x, found.values))


@when_traced("unique_values")
def unique_values(x: Any) -> Array:
    """`numpy.unique_values`: each has the derivative of its first occurrence."""
    x = lift(x)
    return distinct(x, np.unique_values(concrete(x)))
