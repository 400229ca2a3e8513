"""Sums, products, extrema, moments and their running and NaN-skipping variants.

NaN-skipping functions give NaNs a derivative of zero. `where=` leaves elements out of value and
derivative alike: a NaN among them does no harm. Ties of extrema share equally.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from wengert.core.op import Op
from wengert.core.tensor import Array, Tensor
from wengert.numpy.arrays import astype, axes_of, axis_of, kept, lift, reduced_axes, takes, writes_out
from wengert.numpy.traced import value_of, when_traced
from wengert.ops import reduce as ops
from wengert.ops import scan
from wengert.ops.basis import add, broadcast_to, cast, conj, real, real_dtype, reduce_sum, reshape
from wengert.ops.dtype import truncate
from wengert.ops.elementwise import div, mul, sqrt, square, sub
from wengert.ops.logic import isnan
from wengert.ops.select import where as select
from wengert.ops.shape import concatenate, stack

BOOL = np.dtype(bool)
Axes = tuple[int, ...]
MOMENTS = frozenset({ops.reduce_mean, ops.reduce_var, ops.reduce_std})  # no ufunc's reductions

# ── helpers ───────────────────────────────────────────────────────────────────


def reduced(op: Op, x: Array, axis: Any, keepdims: bool, **params: Any) -> Array:
    """A reduction over NumPy's `axis`."""
    axes = (axes_of if op in MOMENTS else reduced_axes)(axis, x.ndim)
    out = op(x, axes=axes, **params)
    return kept(out, x.shape, axes) if keepdims else out


def truthy(x: Array) -> Array:
    """`x` as booleans."""
    if x.dtype == BOOL:
        return x
    return truncate(x, dtype=BOOL) if type(x) is Tensor else x.astype(bool)


def typed(x: Array, dtype: Any) -> Array:
    """`x` in the dtype that a reduction is asked to use."""
    return x if dtype is None else astype(x, dtype)


def inexact(x: Array) -> Array:
    """`x`, integers as float64."""
    return astype(x, float) if x.dtype.kind in "iub" else x


def masked(x: Array, where: Any, fill: Any) -> Array:
    """`x` with `fill` outside the mask."""
    return x if where is True else select(truthy(lift(where)), x, fill)


def _is(value: Any, identity: int) -> bool:
    return value is None or (isinstance(value, (int, float)) and value == identity)


def unmasked(x: Array) -> Array:
    """The mask of the elements that are not NaN."""
    return select(isnan(x), False, True)


def within(where: Any, valid: Array) -> Array:
    """Both masks."""
    return valid if where is True else select(valid, truthy(lift(where)), False)


def counts(x: Array, where: Any, axis: Any, keepdims: bool) -> Array:
    """How many elements a reduction with this mask takes, in x's real dtype; a Python int without a mask."""
    if where is True:
        return ops.count_of(x.shape, reduced_axes(axis, x.ndim))
    mask = broadcast_to(truthy(lift(where)), shape=x.shape)
    return cast(reduced(ops.count_nonzero, mask, axis, keepdims), dtype=real_dtype(x.dtype))


# ── sums, products ────────────────────────────────────────────────────────────


@when_traced("sum")
def sum(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = True,
) -> Array:
    """`numpy.sum`."""
    if type(a) is Tensor and dtype is None and out is None and initial is None and where is True:
        return reduced(reduce_sum, a, axis, keepdims)  # the common call: the general one costs 0.6 µs more
    total = reduced(reduce_sum, masked(typed(lift(a), dtype), where, 0), axis, keepdims)
    return writes_out(total if _is(initial, 0) else add(total, initial), out)


@when_traced("prod")
def prod(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: bool = False,
    initial: Any = 1,
    where: Any = True,
) -> Array:
    """`numpy.prod`; its derivative is exact with any number of zeros."""
    total = reduced(ops.reduce_prod, masked(typed(lift(a), dtype), where, 1), axis, keepdims)
    return writes_out(total if _is(initial, 1) else mul(total, initial), out)


@when_traced("nansum")
def nansum(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: bool = False,
    initial: Any = 0,
    where: Any = True,
) -> Array:
    """`numpy.nansum`."""
    x = lift(a)
    return sum(masked(x, unmasked(x), 0), axis, dtype, out, keepdims, initial, where)


@when_traced("nanprod")
def nanprod(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    keepdims: bool = False,
    initial: Any = 1,
    where: Any = True,
) -> Array:
    """`numpy.nanprod`."""
    x = lift(a)
    return prod(masked(x, unmasked(x), 1), axis, dtype, out, keepdims, initial, where)


# ── running sums, products ────────────────────────────────────────────────────


def running(op: Op, a: Any, axis: Any, dtype: Any, out: Any) -> Array:
    """A scan over NumPy's `axis`; None ravels."""
    x = typed(lift(a), dtype)
    if axis is None or (not x.ndim and takes(axis)):
        x, axis = reshape(x, shape=(x.size,)), 0
    return writes_out(op(x, axis=axis_of(axis, x.ndim)), out)


@when_traced("cumsum")
def cumsum(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Array:
    """`numpy.cumsum`."""
    return running(scan.cumsum, a, axis, dtype, out)


@when_traced("cumprod")
def cumprod(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Array:
    """`numpy.cumprod`; its derivative is exact with any number of zeros."""
    return running(scan.cumprod, a, axis, dtype, out)


@when_traced("nancumsum")
def nancumsum(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Array:
    """`numpy.nancumsum`."""
    x = lift(a)
    return cumsum(masked(x, unmasked(x), 0), axis, dtype, out)


@when_traced("nancumprod")
def nancumprod(a: Any, axis: Any = None, dtype: Any = None, out: Any = None) -> Array:
    """`numpy.nancumprod`."""
    x = lift(a)
    return cumprod(masked(x, unmasked(x), 1), axis, dtype, out)


def _cumulative(op: Op, x: Any, axis: Any, dtype: Any, out: Any, include_initial: bool, first: float) -> Array:
    x = typed(lift(x), dtype)
    if axis is None:
        if x.ndim > 1:
            raise ValueError("For arrays which have more than one dimension ``axis`` argument is required.")
        axis = 0
    x = reshape(x, shape=(1,)) if not x.ndim else x
    axis = axis_of(axis, x.ndim)
    total = op(x, axis=axis)
    if include_initial:
        start = np.full((*x.shape[:axis], 1, *x.shape[axis + 1 :]), first, total.dtype)
        total = concatenate(start, total, axis=axis, sizes=(1, x.shape[axis]))
    return writes_out(total, out)


@when_traced("cumulative_sum")
def cumulative_sum(
    x: Any, /, *, axis: Any = None, dtype: Any = None, out: Any = None, include_initial: bool = False
) -> Array:
    """`numpy.cumulative_sum`."""
    return _cumulative(scan.cumsum, x, axis, dtype, out, include_initial, 0)


@when_traced("cumulative_prod")
def cumulative_prod(
    x: Any, /, *, axis: Any = None, dtype: Any = None, out: Any = None, include_initial: bool = False
) -> Array:
    """`numpy.cumulative_prod`."""
    return _cumulative(scan.cumprod, x, axis, dtype, out, include_initial, 1)


# ── extrema ───────────────────────────────────────────────────────────────────


def _lowest(dtype: np.dtype, sign: int, initial: Any) -> Any:
    """What no element of `dtype` lies beyond; for complex numbers, which have no infinity to that side, `initial`."""
    match dtype.kind:
        case "f":
            return dtype.type(-sign * math.inf)
        case "c":
            return initial
        case "b":
            return np.bool_(sign < 0)
    bounds = np.iinfo(dtype)
    return dtype.type(bounds.min if sign > 0 else bounds.max)


def extremum(op: Op, sign: int, a: Any, axis: Any, out: Any, keepdims: bool, initial: Any, where: Any) -> Array:
    """The largest (`sign=1`) or smallest (-1) element; `initial` ties as one more element would."""
    x = lift(a)
    if initial is None:
        if where is not True:
            name = "maximum" if sign > 0 else "minimum"
            raise ValueError(
                f"reduction operation '{name}' does not have an identity,"
                " so to use a where mask one has to specify 'initial'"
            )
        return writes_out(reduced(op, x, axis, keepdims), out)
    start = typed(lift(initial), x.dtype)
    axes = reduced_axes(axis, x.ndim)
    shape = ops.kept_shape(x.shape, axes) if keepdims else tuple(d for i, d in enumerate(x.shape) if i not in axes)
    best = broadcast_to(start, shape=shape)
    if ops.count_of(x.shape, axes):
        found = reduced(op, masked(x, where, _lowest(x.dtype, sign, start)), axis, keepdims)
        best = op(stack(found, best, axis=0), axes=(0,))
    return writes_out(best, out)


@when_traced("max", "amax")
def max(
    a: Any, axis: Any = None, out: Any = None, keepdims: bool = False, initial: Any = None, where: Any = True
) -> Array:
    """`numpy.max`; elements that tie share the derivative equally."""
    if type(a) is Tensor and out is None and initial is None and where is True:
        return reduced(ops.reduce_max, a, axis, keepdims)
    return extremum(ops.reduce_max, 1, a, axis, out, keepdims, initial, where)


@when_traced("min", "amin")
def min(
    a: Any, axis: Any = None, out: Any = None, keepdims: bool = False, initial: Any = None, where: Any = True
) -> Array:
    """`numpy.min`; elements that tie share the derivative equally."""
    if type(a) is Tensor and out is None and initial is None and where is True:
        return reduced(ops.reduce_min, a, axis, keepdims)
    return extremum(ops.reduce_min, -1, a, axis, out, keepdims, initial, where)


@when_traced("nanmax")
def nanmax(
    a: Any, axis: Any = None, out: Any = None, keepdims: bool = False, initial: Any = None, where: Any = True
) -> Array:
    """`numpy.nanmax`."""
    return extremum(ops.reduce_fmax, 1, a, axis, out, keepdims, initial, where)


@when_traced("nanmin")
def nanmin(
    a: Any, axis: Any = None, out: Any = None, keepdims: bool = False, initial: Any = None, where: Any = True
) -> Array:
    """`numpy.nanmin`."""
    return extremum(ops.reduce_fmin, -1, a, axis, out, keepdims, initial, where)


@when_traced("ptp")
def ptp(a: Any, axis: Any = None, out: Any = None, keepdims: bool = False) -> Array:
    """`numpy.ptp`."""
    x = lift(a)
    return writes_out(sub(reduced(ops.reduce_max, x, axis, keepdims), reduced(ops.reduce_min, x, axis, keepdims)), out)


# ── means ─────────────────────────────────────────────────────────────────────


def average_of(x: Array, axis: Any, keepdims: bool, where: Any) -> Array:
    """The mean of the elements within the mask."""
    if where is True:
        return reduced(ops.reduce_mean, x, axis, keepdims)
    total = reduced(reduce_sum, masked(x, where, 0), axis, keepdims)
    return div(total, counts(x, where, axis, keepdims))


@when_traced("mean")
def mean(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False, *, where: Any = True
) -> Array:
    """`numpy.mean`."""
    if type(a) is Tensor and dtype is None and out is None and where is True and a.dtype.kind in "fc":
        return reduced(ops.reduce_mean, a, axis, keepdims)
    return writes_out(average_of(inexact(typed(lift(a), dtype)), axis, keepdims, where), out)


@when_traced("nanmean")
def nanmean(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False, *, where: Any = True
) -> Array:
    """`numpy.nanmean`."""
    x = inexact(typed(lift(a), dtype))
    return writes_out(average_of(x, axis, keepdims, within(where, unmasked(x))), out)


# ── variance, standard deviation ──────────────────────────────────────────────


def root(v: Array) -> Array:
    """The square root, with slope 0 at 0."""
    positive = truthy(v)
    return select(positive, sqrt(select(positive, v, 1.0)), 0.0)


def _corrected(ddof: Any, correction: Any) -> Any:
    if correction is None:
        return ddof
    if ddof != 0:
        raise ValueError("ddof and correction can't be provided simultaneously.")
    return correction


def spread(x: Array, axis: Any, ddof: Any, keepdims: bool, where: Any, centre: Any, *, strict: bool = False) -> Array:
    """The variance with a mask or a given mean; `strict` makes it NaN where no degree of freedom is left."""
    middle = average_of(x, axis, True, where) if centre is None else lift(centre)
    deviation = sub(x, middle)
    squares = real(mul(deviation, conj(deviation))) if x.dtype.kind == "c" else square(deviation)
    total = reduced(reduce_sum, masked(squares, where, 0), axis, keepdims)
    if where is True:
        n = counts(x, where, axis, keepdims) - ddof
        return div(total, n if n > 0 else 0)
    dof = ops.at_least(sub(counts(x, where, axis, keepdims), ddof), least=0)
    return div(total, select(truthy(dof), dof, math.nan) if strict else dof)


@when_traced("var")
def var(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    ddof: Any = 0,
    keepdims: bool = False,
    *,
    where: Any = True,
    mean: Any = None,
    correction: Any = None,
) -> Array:
    """`numpy.var`; for complex numbers the mean of |x - mean|², a real number."""
    x = inexact(typed(lift(a), dtype))
    ddof = _corrected(ddof, correction)
    if where is True and mean is None:
        return writes_out(reduced(ops.reduce_var, x, axis, keepdims, ddof=ddof), out)
    return writes_out(spread(x, axis, ddof, keepdims, where, mean), out)


@when_traced("std")
def std(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    ddof: Any = 0,
    keepdims: bool = False,
    *,
    where: Any = True,
    mean: Any = None,
    correction: Any = None,
) -> Array:
    """`numpy.std`; where all elements are equal, the subgradient 0 is taken."""
    x = inexact(typed(lift(a), dtype))
    ddof = _corrected(ddof, correction)
    if where is True and mean is None:
        return writes_out(reduced(ops.reduce_std, x, axis, keepdims, ddof=ddof), out)
    return writes_out(root(spread(x, axis, ddof, keepdims, where, mean)), out)


@when_traced("nanvar")
def nanvar(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    ddof: Any = 0,
    keepdims: bool = False,
    *,
    where: Any = True,
    mean: Any = None,
    correction: Any = None,
) -> Array:
    """`numpy.nanvar`."""
    x = inexact(typed(lift(a), dtype))
    mask = within(where, unmasked(x))
    return writes_out(spread(x, axis, _corrected(ddof, correction), keepdims, mask, mean, strict=True), out)


@when_traced("nanstd")
def nanstd(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: Any = None,
    ddof: Any = 0,
    keepdims: bool = False,
    *,
    where: Any = True,
    mean: Any = None,
    correction: Any = None,
) -> Array:
    """`numpy.nanstd`; where all elements are equal, the subgradient 0 is taken."""
    x = inexact(typed(lift(a), dtype))
    mask = within(where, unmasked(x))
    return writes_out(root(spread(x, axis, _corrected(ddof, correction), keepdims, mask, mean, strict=True)), out)


# ── constants: any, all, count_nonzero, argmax, argmin ────────────────────────

_TRUTH = "a boolean"
_PLACE = "an index: it jumps where two elements change order, and is constant elsewhere"


@when_traced("any", constant=_TRUTH)
def any(a: Any, axis: Any = None, out: Any = None, keepdims: bool = False, *, where: Any = True) -> Array:
    """`numpy.any`."""
    return writes_out(reduced(ops.reduce_any, masked(truthy(lift(a)), where, False), axis, keepdims), out)


@when_traced("all", constant=_TRUTH)
def all(a: Any, axis: Any = None, out: Any = None, keepdims: bool = False, *, where: Any = True) -> Array:
    """`numpy.all`."""
    return writes_out(reduced(ops.reduce_all, masked(truthy(lift(a)), where, True), axis, keepdims), out)


@when_traced("count_nonzero", constant="a count")
def count_nonzero(a: Any, axis: Any = None, *, keepdims: bool = False) -> Array:
    """`numpy.count_nonzero`."""
    return reduced(ops.count_nonzero, lift(a), axis, keepdims)


def _place(op: Op, x: Array, axis: Any, out: Any, keepdims: bool) -> Array:
    if axis is None or (not x.ndim and takes(axis)):
        found = op(reshape(x, shape=(x.size,)), axis=0)
        return writes_out(reshape(found, shape=(1,) * x.ndim) if keepdims else found, out)
    axis = axis_of(axis, x.ndim)
    found = op(x, axis=axis)
    return writes_out(kept(found, x.shape, (axis,)) if keepdims else found, out)


@when_traced("argmax", constant=_PLACE)
def argmax(a: Any, axis: Any = None, out: Any = None, *, keepdims: bool = False) -> Array:
    """`numpy.argmax`."""
    return _place(ops.argmax, lift(a), axis, out, keepdims)


@when_traced("argmin", constant=_PLACE)
def argmin(a: Any, axis: Any = None, out: Any = None, *, keepdims: bool = False) -> Array:
    """`numpy.argmin`."""
    return _place(ops.argmin, lift(a), axis, out, keepdims)


def _nan_place(op: Op, sign: int, a: Any, axis: Any, out: Any, keepdims: bool) -> Array:
    x = lift(a)
    valid = unmasked(x)
    alive = value_of(reduced(ops.reduce_any, valid, axis, False))
    if alive is not None and not np.all(alive):
        raise ValueError("All-NaN slice encountered")
    return _place(op, masked(x, valid, _lowest(real_dtype(x.dtype), sign, 0)), axis, out, keepdims)


@when_traced("nanargmax", constant=_PLACE)
def nanargmax(a: Any, axis: Any = None, out: Any = None, *, keepdims: bool = False) -> Array:
    """`numpy.nanargmax`; under vmap a slice of NaNs alone gives 0."""
    return _nan_place(ops.argmax, 1, a, axis, out, keepdims)


@when_traced("nanargmin", constant=_PLACE)
def nanargmin(a: Any, axis: Any = None, out: Any = None, *, keepdims: bool = False) -> Array:
    """`numpy.nanargmin`; under vmap a slice of NaNs alone gives 0."""
    return _nan_place(ops.argmin, -1, a, axis, out, keepdims)
