"""Order: permutations that sort, places in sorted arrays, ranks behind quantiles. All are integers, hence constant.

What is sorted is differentiable: it is `x` at these indices (`take_along`), so its cotangent goes
back to where each element came from. The residual is the permutation, not the values.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.core.aval import FLOAT, Aval, is_inexact
from wengert.core.errors import ShapeError
from wengert.core.form import Library, Via
from wengert.core.op import Constant, Op, Sample
from wengert.core.source import describe, here
from wengert.core.tensor import Array
from wengert.ops.basis import all_batched, broadcast_to, check_axes, reshape, transpose
from wengert.ops.elementwise import sub
from wengert.ops.family import piecewise_constant
from wengert.ops.index import ARRAY, index
from wengert.ops.logic import equal, greater_equal, less_equal, logical_and
from wengert.ops.select import where
from wengert.ops.shape import stack

ORDER = "an order: it jumps where two elements change places, and is constant elsewhere"

# ── helpers ───────────────────────────────────────────────────────────────────


def take_along(x: Array, indices: Array, axis: int, *, unique: bool = False) -> Array:
    """`x` at `indices` along `axis`, their other axes matching; `unique` promises that none repeats."""
    if x.ndim == 1:
        return index(x, indices, spec=(ARRAY,), unique=unique)
    grid = [
        indices if i == axis else np.arange(d).reshape(*(1,) * i, d, *(1,) * (x.ndim - 1 - i))
        for i, d in enumerate(x.shape)
    ]
    return index(x, *grid, spec=(ARRAY,) * x.ndim, unique=unique)


def _order_shape(name: str) -> Any:
    def shape(x: Aval, *, axis: int, **params: Any) -> Aval:
        check_axes(name, (axis,), x)
        return x.with_dtype(np.intp)

    return shape


MANY = 1024  # elements of a row

# ── argsort, argpartition, partition_order ────────────────────────────────────


def _argsort(x: Array, *, axis: int, kind: Any = None, descending: bool = False) -> np.ndarray:
    """Descending: the order of the reversed array, reversed, so that equal elements keep theirs."""
    if descending:
        return x.shape[axis] - 1 - np.flip(_argsort(np.flip(x, axis), axis=axis, kind=kind), axis)
    if kind == "stable" and x.dtype.char in "fd" and x.shape[axis] >= MANY:
        # NumPy sorts floats four times as fast where it may reorder equal ones; where there are none, that is the same
        order = np.argsort(x, axis=axis)
        rows = np.moveaxis(np.take_along_axis(x, order, axis), axis, -1)
        if np.all(rows[..., 1:] > rows[..., :-1]):
            return order
    return np.argsort(x, axis=axis, kind=kind)


argsort = piecewise_constant(
    "argsort",
    _argsort,
    ORDER,
    shape=_order_shape("argsort"),
    batch=lambda xs, batched, size, *, axis, **options: argsort(xs[0], axis=axis + 1, **options),
    samples=(
        Sample((5,), axis=0),
        Sample((3, 4), axis=0, kind="stable"),
        Sample((3, 4), axis=1, kind="stable", descending=True),
        Sample((2, 0), axis=1),
    ),
    lower=Library("argsort"),
)

argpartition = piecewise_constant(
    "argpartition",
    lambda x, *, kth, axis: np.argpartition(x, kth, axis=axis),
    ORDER,
    shape=_order_shape("argpartition"),
    batch=lambda xs, batched, size, *, kth, axis: argpartition(xs[0], kth=kth, axis=axis + 1),
    samples=(Sample((5,), kth=(2,), axis=0), Sample((3, 4), kth=(0, 1), axis=0)),
)


def _partition_order(x: Array, *, kth: tuple[int, ...], axis: int) -> np.ndarray:
    """A permutation that gives what `numpy.partition` gives; within the parts `argpartition` may have another order."""
    want = np.partition(x, kth, axis=axis)
    order = np.argpartition(x, kth, axis=axis)
    if not np.array_equal(np.take_along_axis(x, order, axis), want, equal_nan=is_inexact(x.dtype)):
        ranks = np.argsort(np.argsort(want, axis=axis, kind="stable"), axis=axis)
        order = np.take_along_axis(np.argsort(x, axis=axis, kind="stable"), ranks, axis)
    return order


partition_order = piecewise_constant(
    "partition_order",
    _partition_order,
    ORDER,
    shape=_order_shape("partition_order"),
    batch=lambda xs, batched, size, *, kth, axis: partition_order(xs[0], kth=kth, axis=axis + 1),
    samples=(Sample((9,), kth=(4,), axis=0), Sample((3, 4), kth=(0, 1), axis=0)),
)

# ── lexsort ───────────────────────────────────────────────────────────────────


def _lexsort_shape(keys: Aval, *, axis: int) -> Aval:
    if not 0 <= axis < keys.ndim - 1:
        raise ShapeError(
            "lexsort",
            got=f"axis={axis} for keys {keys}",
            want="an axis of one key",
            fix="renumber it",
            at=describe(here(2)),
        )
    return Aval(keys.shape[1:], np.dtype(np.intp))


def _lexsort_batch(xs: Sequence[Array], batched: Sequence[bool], size: int, *, axis: int) -> Array:
    (keys,) = xs
    return lexsort(transpose(keys, axes=(1, 0, *range(2, keys.ndim))), axis=axis + 1)


lexsort = piecewise_constant(
    "lexsort",
    lambda keys, *, axis: np.lexsort(tuple(keys), axis=axis),
    ORDER,
    shape=_lexsort_shape,
    batch=_lexsort_batch,
    samples=(Sample((2, 5), axis=0), Sample((3, 4, 2), axis=0)),
)

# ── searchsorted ──────────────────────────────────────────────────────────────


def _searchsorted_shape(a: Aval, v: Aval, *, side: str) -> Aval:
    if a.ndim != 1:
        raise ShapeError(
            "searchsorted", got=f"a of {a}", want="one axis", fix="search one row at a time", at=describe(here(2))
        )
    return Aval(v.shape, np.dtype(np.intp))


def _searchsorted_batch(xs: Sequence[Array], batched: Sequence[bool], size: int, *, side: str) -> Array:
    a, v = xs
    if not batched[0]:
        return searchsorted(a, v, side=side)
    # NumPy searches one sorted array at a time.
    rows = [searchsorted(index(a, spec=i), index(v, spec=i) if batched[1] else v, side=side) for i in range(size)]
    return stack(*rows, axis=0)


searchsorted = piecewise_constant(
    "searchsorted",
    lambda a, v, *, side: np.searchsorted(a, v, side=side),
    "a place in a sorted array: it jumps where v passes an element of a",
    shape=_searchsorted_shape,
    batch=_searchsorted_batch,
    samples=(
        Sample((5,), (3,), side="left", domain=(lambda rng, s: np.sort(rng.uniform(-2, 2, s)), (-2.0, 2.0))),
        Sample((5,), (), side="right", domain=(lambda rng, s: np.sort(rng.uniform(-2, 2, s)), (-2.0, 2.0))),
    ),
    lower=Library("searchsorted"),
)

# ── bin_index ─────────────────────────────────────────────────────────────────


def _bin_eval(x: Array, edges: Array) -> Any:
    n = len(edges) - 1
    at = np.searchsorted(edges, x, side="right") - 1
    at = np.where(x == edges[-1], n - 1, at)
    return np.where((x >= edges[0]) & (x <= edges[-1]), at, n)[()]


def _bin_batch(xs: Sequence[Array], batched: Sequence[bool], size: int) -> Array:
    x, edges = xs
    if not batched[1]:
        return bin_index(x, edges)
    rows = [bin_index(index(x, spec=i) if batched[0] else x, index(edges, spec=i)) for i in range(size)]
    return stack(*rows, axis=0)


def _binned(x: Array, edges: Array) -> Array:
    n = edges.shape[0] - 1
    first, last = index(edges, spec=(0,)), index(edges, spec=(n,))
    found = searchsorted(edges, x, side="right")
    at = sub(found, np.ones((), np.intp))
    at = where(equal(x, last), np.full((), n - 1, np.intp), at)
    return where(logical_and(greater_equal(x, first), less_equal(x, last)), at, np.full((), n, np.intp))


bin_index = piecewise_constant(
    "bin_index",
    _bin_eval,
    "the number of a bin: it jumps where an element passes an edge, and is constant elsewhere",
    accepts=FLOAT,
    shape=lambda x, edges: x.with_dtype(np.intp),
    batch=_bin_batch,
    samples=(
        Sample((6,), (4,), domain=((-2.0, 2.0), lambda rng, s: np.sort(rng.uniform(-2, 2, s)))),
        Sample((2, 3), (2,), domain=((-2.0, 2.0), lambda rng, s: np.sort(rng.uniform(-2, 2, s)))),
    ),
    lower=Via(_binned),
)

# ── quantile_plan ─────────────────────────────────────────────────────────────

# (α, β) of the continuous methods of Hyndman & Fan: the element of (fractional) number q·n + α + q·(1 - α - β) - 1
CONTINUOUS = {
    "linear": (1.0, 1.0),
    "interpolated_inverted_cdf": (0.0, 1.0),
    "hazen": (0.5, 0.5),
    "weibull": (0.0, 0.0),
    "median_unbiased": (1 / 3, 1 / 3),
    "normal_unbiased": (3 / 8, 3 / 8),
}
STEPS = ("inverted_cdf", "closest_observation", "lower", "higher", "nearest")
FIXED = ("averaged_inverted_cdf", "midpoint")
METHODS = (*CONTINUOUS, *STEPS, *FIXED)


def _virtual(method: str, n: Any, q: Any) -> Any:
    """The fractional number of the quantile among n sorted elements, as NumPy computes it."""
    if method == "linear" or method in ("lower", "higher", "nearest", "midpoint"):
        return (n - 1) * q
    if method in CONTINUOUS:
        alpha, beta = CONTINUOUS[method]
        return n * q + (alpha + q * (1 - alpha - beta)) - 1
    return n * q - 1 - (0.5 if method == "closest_observation" else 0)


def _ranks(method: str, n: Any, q: Any) -> tuple[Any, Any, Any, Any]:
    """Ranks of the two neighbours, and slope and offset of their weight: γ = slope·q + offset."""
    at = _virtual(method, n, q)
    zero = np.zeros_like(at)
    low = np.floor(at)
    if method in STEPS:
        match method:
            case "lower":
                rank = low
            case "higher":
                rank = np.ceil(at)
            case "nearest":
                rank = np.around(at)
            case "inverted_cdf":
                rank = np.where(at == low, low, low + 1)
            case _:
                rank = np.where((at == low) & (low % 2 == 1), low, low + 1)
        return rank, rank, zero, zero
    if method == "midpoint":
        at = 0.5 * (low + np.ceil(at))
    high = np.where(at >= n - 1, n - 1, np.where(at < 0, 0, low + 1))
    inner = np.where(at >= n - 1, n - 1, np.where(at < 0, 0, low))
    if method == "midpoint":
        return inner, high, zero, np.where(at % 1 == 0, 0.0, 0.5)
    if method == "averaged_inverted_cdf":
        return inner, high, zero, np.where(at == low, 0.5, 1.0)
    if method == "linear":
        return inner, high, n - 1 + zero, -low
    alpha, beta = CONTINUOUS[method]
    return inner, high, n + (1 - alpha - beta) + zero, alpha - 1 - low


def _plan_eval(x: Array, q: Array, *, method: str, skip_nan: bool = False) -> tuple[Any, ...]:
    """See `quantile_plan`."""
    x, q = np.asarray(x), np.asarray(q)
    last = x.shape[-1] - 1
    nans = np.isnan(x) if is_inexact(x.dtype) else None
    dtype = q.dtype if q.dtype.kind == "f" else np.dtype(float)
    if skip_nan and nans is not None:
        n = (last + 1 - np.count_nonzero(nans, axis=-1)).astype(dtype)[..., None]
    else:
        n = dtype.type(last + 1)
    if method == "median":
        half = (n - 1) / 2 + np.zeros(q.shape)
        low, high, slope, offset = np.floor(half), np.ceil(half), np.zeros_like(half), np.full(half.shape, 0.5)
    else:
        low, high, slope, offset = _ranks(method, n, q)
    shape = (*x.shape[:-1], q.shape[-1])
    low, high = (np.clip(r, 0, last).astype(np.intp) for r in (low, high))
    if low.ndim == 1 and low.size < 64:  # the same few ranks in every slice
        order = np.argpartition(x, np.unique(np.concatenate((low, high, [last]))), axis=-1)
        low, high = order[..., low], order[..., high]
    else:
        order = np.argsort(x, axis=-1)
        low, high = (np.take_along_axis(order, np.broadcast_to(r, shape), -1) for r in (low, high))
    if nans is not None and not skip_nan and (spoilt := nans.any(axis=-1)).any():
        low, high = (np.where(spoilt[..., None], order[..., -1:], r) for r in (low, high))
    return low, high, *(np.broadcast_to(w, shape).astype(dtype) for w in (slope, offset))


def _plan_shape(x: Aval, q: Aval, *, method: str, skip_nan: bool = False) -> tuple[Aval, ...]:
    shape = (*x.shape[:-1], q.shape[-1])
    ranks = Aval(shape, np.dtype(np.intp))
    weights = Aval(shape, q.dtype if q.dtype.kind == "f" else np.dtype(float))
    return ranks, ranks, weights, weights


def _plan_batch(xs: Sequence[Array], batched: Sequence[bool], size: int, **params: Any) -> tuple[Array, ...]:
    x, q = xs
    if not batched[0]:
        x = broadcast_to(x, shape=(size, *x.shape))
    if batched[1]:
        q = reshape(q, shape=(size, *(1,) * (x.ndim - q.ndim), *q.shape[1:]))
    return quantile_plan(x, q, **params)


quantile_plan = Op(
    name="quantile_plan",
    accepts=FLOAT,
    multi=True,
    shape=_plan_shape,
    eval=_plan_eval,
    jvp=Constant(ORDER),
    vjp=Constant(ORDER),
    saves=(),
    batch=_plan_batch,
    samples=tuple(
        Sample((3, 5), (4,), method=method, skip_nan=skip, domain=((-2.0, 2.0), (0.0, 1.0)))
        for method, skip in (("linear", False), ("hazen", True), ("inverted_cdf", False), ("midpoint", True))
    ),
    note="for quantiles q of x along its last axis: the indices of two neighbours, and slope and offset of the"
    " weight γ = slope·q + offset of the second one; a slice that has a NaN gives its index, or leaves it out",
    source="Hyndman & Fan (1996), Sample quantiles in statistical packages",
)

# ── weighted_rank ─────────────────────────────────────────────────────────────


def _weighted_eval(x: Array, weights: Array, q: Array, *, skip_nan: bool = False) -> np.ndarray:
    """See `weighted_rank`."""
    nans = np.isnan(x)
    if skip_nan:
        weights = np.where(nans, 0, weights)
    order = np.argsort(x, axis=-1)
    cdf = np.cumsum(np.take_along_axis(weights, order, -1), axis=-1, dtype=np.float64)
    with np.errstate(all="ignore"):
        cdf /= cdf[..., -1:]
    bad = np.isnan(cdf[..., -1])
    if (bad & ~nans.all(axis=-1) if skip_nan else bad).any():
        raise ValueError("Weights included NaN, inf or were all zero.")
    cdf = cdf.astype(q.dtype)
    cdf[cdf == 0] = -1  # q = 0 is the first element that weighs something
    shape = (*x.shape[:-1], q.shape[-1])
    q, rank = np.broadcast_to(q, shape), np.empty(shape, np.intp)
    for at in np.ndindex(shape[:-1]):
        rank[at] = np.searchsorted(cdf[at], q[at], side="left")
    rank = np.take_along_axis(order, np.minimum(rank, x.shape[-1] - 1), -1)
    return rank if skip_nan else np.where(nans.any(axis=-1, keepdims=True), order[..., -1:], rank)


def _weighted_batch(xs: Sequence[Array], batched: Sequence[bool], size: int, **params: Any) -> Array:
    x, weights = all_batched(xs[:2], batched[:2], size)
    q = xs[2]
    if batched[2]:
        q = reshape(q, shape=(size, *(1,) * (x.ndim - q.ndim), *q.shape[1:]))
    return weighted_rank(x, weights, q, **params)


weighted_rank = piecewise_constant(
    "weighted_rank",
    _weighted_eval,
    ORDER,
    arity=3,
    accepts=FLOAT,
    shape=lambda x, weights, q, *, skip_nan=False: Aval((*x.shape[:-1], q.shape[-1]), np.dtype(np.intp)),
    batch=_weighted_batch,
    samples=(Sample((3, 5), (3, 5), (4,), domain=((-2.0, 2.0), (0.1, 1.0), (0.0, 1.0))),),
)

__all__ = [
    "CONTINUOUS",
    "METHODS",
    "STEPS",
    "argpartition",
    "argsort",
    "bin_index",
    "lexsort",
    "partition_order",
    "quantile_plan",
    "searchsorted",
    "take_along",
    "weighted_rank",
]
