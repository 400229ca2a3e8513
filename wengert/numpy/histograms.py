"""Histograms: linear in the weights, constant in what is counted; edges are differentiable in what sets them.

An element that crosses an edge changes two counts at once, so that counts are piecewise constant in the data,
and their derivative is zero. For a density that is smooth in the data, sum kernels instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.core.aval import is_inexact
from wengert.core.tensor import Array, Tensor
from wengert.numpy.arrays import astype, lift, result_type
from wengert.numpy.protocols import concrete
from wengert.numpy.registry import values
from wengert.numpy.traced import value_of, when_traced
from wengert.numpy.values import seen
from wengert.ops.basis import add, reduce_sum, reshape
from wengert.ops.elementwise import div, mul, sub
from wengert.ops.index import ARRAY, index, scatter_add
from wengert.ops.logic import equal
from wengert.ops.reduce import reduce_max, reduce_min
from wengert.ops.select import where as select
from wengert.ops.shape import concatenate
from wengert.ops.sort import bin_index

# ── helpers ───────────────────────────────────────────────────────────────────


def flat(x: Any) -> Array:
    x = lift(x)
    return reshape(x, shape=(x.size,))


def edges_of(x: Array, bins: Any, limits: Any, weights: Any = None) -> Array:
    """Edges of the bins along one axis: given, or evenly spaced between the limits (default: the extremes of `x`)."""
    if isinstance(bins, str):
        bins = len(np.histogram_bin_edges(values(x), bins, values(limits), values(weights))) - 1
    if not isinstance(bins, (int, np.integer)) and lift(bins).ndim == 1:
        edges = lift(bins)
        known = value_of(edges)
        if known is not None and np.any(known[:-1] > known[1:]):
            raise ValueError("`bins` must increase monotonically, when an array")
        return edges
    n = int(bins)
    if n < 1:
        raise ValueError("`bins` must be positive, when an integer")
    dtype = np.result_type(x.dtype, *(() if is_inexact(x.dtype) else (float,)))
    if limits is not None:
        low, high = (lift(v) for v in limits)
        least, most = seen(low), seen(high)
        if least is not None and most is not None and least.size == 1 and most.size == 1 and least > most:
            raise ValueError("max must be larger than min in range parameter.")
        dtype = result_type(*([float] if x.dtype.kind in "iub" else []), low, high, np.zeros((), x.dtype))
    elif x.size:
        low, high = reduce_min(x, axes=(0,)), reduce_max(x, axes=(0,))
    else:
        low, high = np.float64(0), np.float64(1)
    low, high = astype(low, dtype), astype(high, dtype)
    least, most = seen(low), seen(high)
    if not all(v is None or np.all(np.isfinite(v)) for v in (least, most)):
        raise ValueError(f"autodetected range of [{least}, {most}] is not finite")
    flat_range = equal(low, high)
    low, high = select(flat_range, sub(low, 0.5), low), select(flat_range, add(high, 0.5), high)
    step = div(sub(high, low), n)
    inner = add(mul(np.arange(n).astype(dtype), step), low)
    return concatenate(inner, reshape(high, shape=(1,)), axis=0, sizes=(n, 1))


def counted(places: Sequence[Array], edges: Sequence[Array], weights: Array) -> Array:
    """Weights summed by bin; the last bin along each axis takes what lies outside, and is dropped."""
    shape = tuple(e.shape[0] for e in edges)
    total = scatter_add(weights, *places, spec=(ARRAY,) * len(places), shape=shape)
    return index(total, spec=tuple(slice(n - 1) for n in shape))


def widths(edges: Array) -> Array:
    return sub(index(edges, spec=slice(1, None)), index(edges, spec=slice(None, -1)))


# ── one dimension ─────────────────────────────────────────────────────────────


@when_traced("bincount")
def bincount(x: Any, /, weights: Any = None, minlength: Any = 0) -> Array:
    """`numpy.bincount`: linear in the weights."""
    places = concrete(x) if type(x) is Tensor else np.asarray(x)
    if weights is None:
        return np.bincount(places, minlength=minlength)
    w = lift(weights)
    if w.dtype.kind == "c":
        raise TypeError("bincount: weights must be real; sum the real and imaginary parts separately")
    if w.shape != places.shape:
        raise ValueError("The weights and list don't have the same length.")
    n = len(np.bincount(places, minlength=minlength))  # checks `x` as NumPy does
    return scatter_add(astype(w, np.float64), places, spec=(ARRAY,), shape=(n,))


@when_traced("histogram_bin_edges")
def histogram_bin_edges(a: Any, bins: Any = 10, range: Any = None, weights: Any = None) -> Array:
    """`numpy.histogram_bin_edges`: differentiable in what sets the first and last edge."""
    return edges_of(flat(a), bins, range, weights)


@when_traced("histogram")
def histogram(
    a: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None
) -> tuple[Array, Array]:
    """`numpy.histogram`: counts are linear in the weights, and piecewise constant in `a`."""
    x = flat(a)
    if weights is not None and lift(weights).shape != lift(a).shape:
        raise ValueError("weights should have the same shape as a.")
    edges = edges_of(x, bins, range, weights)
    w = np.ones(x.size, np.intp) if weights is None else flat(weights)
    counts = counted([bin_index(x, edges)], [edges], w)
    if density:
        counts = densities(counts, [edges])
    return counts, edges


# ── several dimensions ────────────────────────────────────────────────────────


def columns_of(sample: Any) -> list[Array]:
    """The coordinates of a sample: an array of one row for each point, or a sequence of one array for each axis."""
    if isinstance(sample, (list, tuple)):
        return [flat(s) for s in sample] if lift(sample[0]).ndim else [flat(sample)]
    s = lift(sample)
    return [index(s, spec=(slice(None), i)) for i in range(s.shape[1])] if s.ndim == 2 else [flat(s)]


def densities(counts: Array, edges: Sequence[Array]) -> Array:
    """Counts over their sum and the volumes of the bins."""
    d = len(edges)
    total = reduce_sum(counts, axes=tuple(range(d)))
    for i, e in enumerate(edges):
        counts = div(counts, reshape(widths(e), shape=(e.shape[0] - 1, *(1,) * (d - 1 - i))))
    return div(counts, total)


@when_traced("histogramdd")
def histogramdd(
    sample: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None
) -> tuple[Array, tuple[Array, ...]]:
    """`numpy.histogramdd`: counts are linear in the weights, and piecewise constant in the sample."""
    columns = columns_of(sample)
    d = len(columns)
    per_axis = [bins] * d if isinstance(bins, (int, np.integer, str)) else list(bins)
    if len(per_axis) != d:
        raise ValueError("The dimension of bins must be equal to the dimension of the sample x.")
    limits = [None] * d if range is None else list(range)
    if len(limits) != d:
        raise ValueError("range argument must have one entry per dimension")
    edges = [edges_of(x, b, r) for x, b, r in zip(columns, per_axis, limits, strict=True)]
    w = np.ones(columns[0].size) if weights is None else astype(flat(weights), np.float64)
    counts = counted([bin_index(x, e) for x, e in zip(columns, edges, strict=True)], edges, w)
    if density:
        counts = densities(counts, edges)
    return counts, tuple(edges)


@when_traced("histogram2d")
def histogram2d(
    x: Any, y: Any, bins: Any = 10, range: Any = None, density: Any = None, weights: Any = None
) -> tuple[Array, Array, Array]:
    """`numpy.histogram2d`: counts are linear in the weights, and piecewise constant in `x` and `y`."""
    if len(lift(x)) != len(lift(y)):
        raise ValueError("x and y must have the same length.")
    if not isinstance(bins, (int, np.integer)):
        bins = list(bins) if len(bins) == 2 else [bins, bins] if len(bins) > 2 else [bins[0]] * 2
    counts, edges = histogramdd([x, y], bins, range, density, weights)
    return counts, edges[0], edges[1]
