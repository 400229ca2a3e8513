"""Averages with weights, medians, quantiles, covariance.

A quantile is a weighted mean of two elements: it has the derivative of these, and, by the methods that
interpolate, one in q too (piecewise constant; at an element it is that of the interval to its right).
The other methods jump from element to element: they are constant in q. Weights of a quantile choose the
element, hence are constant too. Of equal elements one stands for all.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from wengert.core.tensor import Array, Tensor
from wengert.numpy.arrays import astype, axes_of, lift, result_type, writes_out
from wengert.numpy.reductions import inexact, root
from wengert.numpy.registry import theirs, values
from wengert.numpy.traced import value_of, when_traced
from wengert.numpy.values import seen
from wengert.ops import sort as ops
from wengert.ops.basis import add, broadcast_to, conj, real, real_dtype, reduce_sum, reshape, transpose
from wengert.ops.contract import matmul
from wengert.ops.elementwise import div, mul, sub
from wengert.ops.index import ARRAY, index
from wengert.ops.logic import greater, greater_equal, less
from wengert.ops.reduce import count_of, keep, kept_shape, reduce_mean
from wengert.ops.select import where as select
from wengert.ops.shape import concatenate

Axes = tuple[int, ...]

# ── helpers ───────────────────────────────────────────────────────────────────


def rows_of(x: Array, axes: Axes) -> Array:
    """`x` with `axes` merged into one, which comes last."""
    others = [i for i in range(x.ndim) if i not in axes]
    order = (*others, *axes)
    if order != tuple(range(x.ndim)):
        x = transpose(x, axes=order)
    return reshape(x, shape=(*x.shape[: len(others)], count_of(x.shape, range(len(others), x.ndim))))


def weights_for(a: Array, weights: Any, axis: Any) -> Array:
    """Weights of a's shape, or of the shape of the averaged axes, in a shape that broadcasts against `a`."""
    w = lift(weights)
    if a.shape == w.shape:
        return w
    if axis is None:
        raise TypeError("Axis must be specified when shapes of a and weights differ.")
    given = [axis] if not isinstance(axis, (tuple, list)) else list(axis)
    given = [i + a.ndim if i < 0 else i for i in given]
    if w.shape != tuple(a.shape[i] for i in given):
        raise ValueError("Shape of weights must be consistent with shape of a along specified axis.")
    order = tuple(int(i) for i in np.argsort(given))
    return reshape(transpose(w, axes=order), shape=tuple(d if i in given else 1 for i, d in enumerate(a.shape)))


# ── average ───────────────────────────────────────────────────────────────────


@when_traced("average")
def average(a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: bool = False) -> Any:
    """`numpy.average`, differentiable in the weights too."""
    x = lift(a)
    axes = axes_of(axis, x.ndim)
    if weights is None:
        mean = reduce_mean(inexact(x), axes=axes)
        total: Any = mean.dtype.type(count_of(x.shape, axes))
    else:
        w = weights_for(x, weights, axis)
        dtype = result_type(x, w, *([np.float64] if x.dtype.kind in "iub" else []))
        x, w = astype(x, dtype), astype(w, dtype)
        total = reduce_sum(w, axes=axes)  # w has the averaged axes in full
        if (known := seen(total)) is not None and np.any(known == 0):
            raise ZeroDivisionError("Weights sum to zero, can't be normalized")
        mean = div(reduce_sum(mul(x, w), axes=axes), total)
    if returned and getattr(total, "shape", ()) != mean.shape:
        total = broadcast_to(total, shape=mean.shape)
    if keepdims:
        mean = keep(mean, x.shape, axes)
        total = keep(total, x.shape, axes) if returned else total
    return (mean, total) if returned else mean


# ── medians ───────────────────────────────────────────────────────────────────


def _median(a: Any, axis: Any, out: Any, keepdims: bool, skip_nan: bool) -> Array:
    x = inexact(lift(a))
    axes = axes_of(axis, x.ndim)
    rows = rows_of(x, axes)
    last, n = rows.ndim - 1, rows.shape[-1]
    if n == 0:
        name = "nanmedian" if skip_nan else "median"
        return writes_out(theirs(name)(values(x), axis=axis, keepdims=keepdims), out)
    half = np.full(1, 0.5, real_dtype(x.dtype))
    low, high, _, _ = ops.quantile_plan(rows, half, method="median", skip_nan=skip_nan)
    middle = ops.take_along(rows, low, last)
    if skip_nan or n % 2 == 0:
        middle = div(add(middle, ops.take_along(rows, high, last)), 2)
    shape = kept_shape(x.shape, axes) if keepdims else rows.shape[:-1]
    return writes_out(reshape(middle, shape=shape), out)


@when_traced("median")
def median(a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: bool = False) -> Array:
    """`numpy.median`; `a` is never overwritten."""
    return _median(a, axis, out, keepdims, False)


@when_traced("nanmedian")
def nanmedian(
    a: Any, axis: Any = None, out: Any = None, overwrite_input: bool = False, keepdims: bool = False
) -> Array:
    """`numpy.nanmedian`; `a` is never overwritten."""
    return _median(a, axis, out, keepdims, True)


# ── quantiles ─────────────────────────────────────────────────────────────────


def _lerp(left: Array, right: Array, gamma: Array) -> Array:
    """Between two elements, counted from the nearer one, as NumPy does."""
    step = sub(right, left)
    from_right = sub(right, mul(step, sub(1, gamma)))
    return select(greater_equal(gamma, 0.5), from_right, add(left, mul(step, gamma)))


def _between(rows: Array, q: Array, method: str, skip_nan: bool, weak: bool) -> Array:
    last = rows.ndim - 1
    if rows.dtype.kind in "iub" and method not in ops.STEPS:
        rows = astype(rows, float)
    low, high, slope, offset = ops.quantile_plan(rows, q, method=method, skip_nan=skip_nan)
    left = ops.take_along(rows, low, last)
    if method in ops.STEPS:
        return left
    gamma = add(mul(slope, q), offset)
    if weak:
        gamma = astype(gamma, rows.dtype)
    return _lerp(left, ops.take_along(rows, high, last), gamma)


def quantile_of(
    a: Any, q: Any, axis: Any, out: Any, method: str, keepdims: bool, weights: Any, skip_nan: bool, percent: bool
) -> Array:
    """All of NumPy's quantile functions."""
    x = lift(a)
    if x.dtype.kind == "c":
        raise TypeError("a must be an array of real numbers")
    weak = type(q) in (int, float)
    q = inexact(lift(q))
    if percent:
        q = div(q, 100)
    known = seen(q)
    if q.ndim > 2:
        raise ValueError("q must be a scalar or 1d")
    if known is not None and not np.all((known >= 0) & (known <= 1)):
        raise ValueError(
            "Percentiles must be in the range [0, 100]" if percent else "Quantiles must be in the range [0, 1]"
        )
    if method not in ops.METHODS:
        raise ValueError(f"{method!r} is not a valid method. Use one of: {', '.join(ops.METHODS)}")
    axes = axes_of(axis, x.ndim)
    rows, flat = rows_of(x, axes), reshape(q, shape=(q.size,))
    if rows.shape[-1] == 0 and not skip_nan:
        raise IndexError("cannot take a quantile of no elements")
    if weights is not None:
        if method != "inverted_cdf":
            raise ValueError(f"Only method 'inverted_cdf' supports weights. Got: {method}.")
        w = rows_of(broadcast_to(weights_for(x, weights, axis), shape=x.shape), axes)
        if (known := seen(w)) is not None and np.any(known < 0):
            raise ValueError("Weights must be non-negative.")
        found = ops.take_along(rows, ops.weighted_rank(rows, w, flat, skip_nan=skip_nan), rows.ndim - 1)
    elif rows.shape[-1] == 0:
        found = np.full((*rows.shape[:-1], flat.size), np.nan, x.dtype)
    else:
        found = _between(rows, flat, method, skip_nan, weak)
    last = rows.ndim - 1
    if q.ndim and last:
        found = transpose(found, axes=(last, *range(last)))
    return writes_out(
        reshape(found, shape=(*q.shape, *(kept_shape(x.shape, axes) if keepdims else rows.shape[:-1]))), out
    )


def _quantile_function(name: str, skip_nan: bool, percent: bool) -> Any:
    def function(
        a: Any,
        q: Any,
        axis: Any = None,
        out: Any = None,
        overwrite_input: bool = False,
        method: str = "linear",
        keepdims: bool = False,
        *,
        weights: Any = None,
        interpolation: Any = None,
    ) -> Array:
        return quantile_of(
            a, q, axis, out, method if interpolation is None else interpolation, keepdims, weights, skip_nan, percent
        )

    function.__name__ = name
    function.__doc__ = f"`numpy.{name}`: every method, differentiable in `a`, and in q where the method interpolates."
    return when_traced(name)(function)


quantile = _quantile_function("quantile", False, False)
percentile = _quantile_function("percentile", False, True)
nanquantile = _quantile_function("nanquantile", True, False)
nanpercentile = _quantile_function("nanpercentile", True, True)

# ── covariance ────────────────────────────────────────────────────────────────


def _variables(m: Any, dtype: Any, rowvar: bool, *, first: bool) -> Array:
    """One row for each variable."""
    x = lift(m)
    x = astype(x, dtype)
    if x.ndim < 2:
        return reshape(x, shape=(1, x.size))
    keeps = x.shape[0] == 1 and not first  # NumPy leaves a single row of y as it is
    return x if rowvar or keeps else transpose(x, axes=(1, 0))


def _frequencies(name: str, w: Any, n: int) -> Array:
    w = astype(lift(w), float)
    known = seen(w)
    if known is not None and name == "fweights" and not np.all(known == np.around(known)):
        raise TypeError("fweights must be integer")
    if w.ndim > 1:
        raise RuntimeError(f"cannot handle multidimensional {name}")
    if w.shape[0] != n:
        raise RuntimeError(f"incompatible numbers of samples and {name}")
    if known is not None and np.any(known < 0):
        raise ValueError(f"{name} cannot be negative")
    return w


@when_traced("cov")
def cov(
    m: Any,
    y: Any = None,
    rowvar: bool = True,
    bias: bool = False,
    ddof: Any = None,
    fweights: Any = None,
    aweights: Any = None,
    *,
    dtype: Any = None,
) -> Array:
    """`numpy.cov`, differentiable in both variables and in the weights."""
    if ddof is not None and ddof != int(ddof):
        raise ValueError("ddof must be integer")
    m = lift(m)
    if m.ndim > 2:
        raise ValueError("m has more than 2 dimensions")
    dtype = dtype or result_type(m, *(() if y is None else (lift(y),)), np.float64)
    x = _variables(m, dtype, rowvar, first=True)
    if x.shape[0] == 0:
        return np.array([]).reshape(0, 0)
    if y is not None:
        y = lift(y)
        if y.ndim > 2:
            raise ValueError("y has more than 2 dimensions")
        other = _variables(y, dtype, rowvar, first=False)
        x = concatenate(x, other, axis=0, sizes=(x.shape[0], other.shape[0]))
    if ddof is None:
        ddof = 0 if bias else 1
    n = x.shape[1]
    w = None if fweights is None else _frequencies("fweights", fweights, n)
    if aweights is not None:
        aw = _frequencies("aweights", aweights, n)
        w = aw if w is None else mul(w, aw)
    if w is None:
        mean, freedom = reduce_mean(x, axes=(1,)), n - ddof
    else:
        mean, total = average(x, axis=1, weights=w, returned=True)
        total = index(total, spec=0)
        total = real(total) if total.dtype.kind == "c" else total
        used = mul(ddof, div(reduce_sum(mul(w, aw), axes=(0,)), total)) if aweights is not None else ddof
        freedom = total if ddof == 0 else sub(total, used)
    known = value_of(freedom)
    if known is not None and known <= 0:
        import warnings

        warnings.warn("Degrees of freedom <= 0 for slice", RuntimeWarning, stacklevel=2)
        freedom = 0.0
    centred = sub(x, reshape(mean, shape=(x.shape[0], 1)))
    weighted = centred if w is None else mul(centred, w)
    transposed = transpose(weighted, axes=(1, 0))
    c = matmul(centred, conj(transposed) if x.dtype.kind == "c" else transposed)
    with np.errstate(divide="ignore"):
        scale = div(1.0, freedom) if type(freedom) is Tensor else np.true_divide(1, freedom)
    c = mul(c, scale)
    return reshape(c, shape=tuple(d for d in c.shape if d != 1))


def _clipped(r: Array) -> Array:
    """Correlations within [-1, 1]: what rounding put beyond stands at an extremum, and has derivative zero."""
    if r.dtype.kind == "c":
        return add(_clipped(real(r)), mul(1j, _clipped(real(mul(-1j, r)))))
    return select(greater(r, 1.0), 1.0, select(less(r, -1.0), -1.0, r))


@when_traced("corrcoef")
def corrcoef(x: Any, y: Any = None, rowvar: bool = True, *, dtype: Any = None) -> Array:
    """`numpy.corrcoef`."""
    c = cov(x, y, rowvar, dtype=dtype)
    if not c.ndim:
        return div(c, c)
    at = np.arange(c.shape[0])
    variances = index(c, at, at, spec=(ARRAY, ARRAY), unique=True)
    deviations = root(real(variances) if c.dtype.kind == "c" else variances)
    c = div(c, reshape(deviations, shape=(c.shape[0], 1)))
    return _clipped(div(c, deviations))
