"""Calculus on samples: differences, gradients, integrals, interpolation, convolution, cross products."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.core.abstract import no_value
from wengert.core.errors import ConcretizationError
from wengert.core.source import describe, here
from wengert.core.tensor import Array, Tensor, staged
from wengert.numpy.arrays import ARRAYS, astype, axis_of, lift, operand, promoted, result_type
from wengert.numpy.registry import values
from wengert.numpy.selecting import flat
from wengert.numpy.traced import served, value_of, when_traced
from wengert.ops.basis import add, broadcast_to, conj, neg, reduce_sum, reshape, scale
from wengert.ops.convolve import convolve as convolve_op
from wengert.ops.elementwise import div, mul, sub
from wengert.ops.index import ARRAY, index
from wengert.ops.sampled import bracket, turns
from wengert.ops.select import where as select
from wengert.ops.shape import concatenate, flip, stack


def at(x: Array, axis: int, key: Any) -> Array:
    """`x[..., key, ...]`, with the key on one axis (non-negative)."""
    return index(x, spec=(*(slice(None),) * axis, key))


def joined(parts: Sequence[Array], axis: int = 0) -> Array:
    """Arrays end to end, in their common dtype."""
    if len(parts) == 1:
        return parts[0]
    parts = promoted(parts)
    return concatenate(*parts, axis=axis, sizes=tuple(p.shape[axis] for p in parts))


def floating(x: Array) -> Array:
    """Integers and booleans as float64, as NumPy's numerical functions take them."""
    return x if x.dtype.kind in "fc" else astype(x, np.float64)


def on_axis(v: Array, axis: int, ndim: int) -> Array:
    """A vector, shaped to broadcast along one axis."""
    return reshape(v, shape=tuple(v.size if i == axis else 1 for i in range(ndim)))


# ── differences ───────────────────────────────────────────────────────────────

_MISSING = np._NoValue


@when_traced("diff")
def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = _MISSING, append: Any = _MISSING) -> Array:
    """`numpy.diff`: the n-th difference along an axis."""
    if n == 0:
        return a
    if n < 0:
        raise ValueError(f"order must be non-negative but got {n!r}")
    x = lift(a)
    if x.ndim == 0:
        raise ValueError("diff requires input that is at least one dimensional")
    axis = axis_of(axis, x.ndim)
    parts = [x if p is x else _edge(p, x, axis) for p in (prepend, x, append) if p is not _MISSING]
    x = joined(parts, axis)
    if x.dtype.kind == "b":
        return np.diff(values(x), n, axis)
    for _ in range(n):
        x = sub(at(x, axis, slice(1, None)), at(x, axis, slice(None, -1)))
    return x


def _edge(value: Any, x: Array, axis: int) -> Array:
    """What is put before or after, broadcast to one slice of `x` if it is a scalar."""
    value = lift(value)
    if value.ndim:
        return value
    return broadcast_to(value, shape=(*x.shape[:axis], 1, *x.shape[axis + 1 :]))


@when_traced("ediff1d")
def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> Array:
    """`numpy.ediff1d`: differences of the flattened array, with something before and after."""
    x = flat(lift(ary))
    middle = sub(index(x, spec=slice(1, None)), index(x, spec=slice(None, -1)))
    parts = []
    for name, value in (("to_begin", to_begin), ("", middle), ("to_end", to_end)):
        if value is None:
            continue
        value = flat(lift(value))
        if not np.can_cast(value.dtype, x.dtype, casting="same_kind"):
            raise TypeError(f"dtype of `{name}` must be compatible with input `ary` under the `same_kind` rule.")
        parts.append(astype(value, x.dtype))
    return joined(parts)


@when_traced("gradient")
def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """`numpy.gradient`: central differences inside, one-sided at the ends; differentiable in f and in the spacings.

    A spacing that is an array of coordinates takes the formula for uneven samples, also where they
    happen to be even (NumPy then takes the other one, of the same value but with a derivative of
    one number).
    """
    x = floating(lift(f))
    axes = (
        tuple(range(x.ndim))
        if axis is None
        else tuple(axis_of(i, x.ndim) for i in (axis if isinstance(axis, tuple) else (axis,)))
    )
    spacings = _spacings(varargs, axes, x)
    if edge_order > 2:
        raise ValueError("'edge_order' greater than 2 not supported")
    outs = []
    for i, h in zip(axes, spacings, strict=True):
        if x.shape[i] < edge_order + 1:
            raise ValueError(
                "Shape of array too small to calculate a numerical gradient,"
                " at least (edge_order + 1) elements are required."
            )
        outs.append(astype(_gradient_along(x, h, i, edge_order), x.dtype))
    return outs[0] if len(outs) == 1 else tuple(outs)


def _spacings(varargs: Sequence[Any], axes: Sequence[int], x: Array) -> list[Any]:
    """Per axis a distance, or the distances between neighbours."""
    if not varargs:
        return [1.0] * len(axes)
    given = [operand(v) for v in varargs]
    if len(given) == 1 and not getattr(given[0], "shape", ()):
        return given * len(axes)
    if len(given) != len(axes):
        raise TypeError("invalid number of arguments")
    out = []
    for i, h in zip(axes, given, strict=True):
        if not getattr(h, "shape", ()):
            out.append(h)
            continue
        if h.ndim != 1:
            raise ValueError("distances must be either scalars or 1d")
        if h.shape[0] != x.shape[i]:
            raise ValueError("when 1d, distances must match the length of the corresponding dimension")
        out.append(diff(floating(h)))
    return out


def _gradient_along(x: Array, h: Any, axis: int, edge_order: int) -> Array:
    ends = _even_ends if not getattr(h, "shape", ()) else _uneven_ends
    if x.shape[axis] == 2:
        inside = []
    elif not getattr(h, "shape", ()):
        inside = [div(sub(at(x, axis, slice(2, None)), at(x, axis, slice(None, -2))), mul(2.0, h))]
    else:
        d1, d2 = (on_axis(index(h, spec=s), axis, x.ndim) for s in (slice(None, -1), slice(1, None)))
        both = add(d1, d2)
        inside = [
            weighted(
                x,
                axis,
                (slice(None, -2), slice(1, -1), slice(2, None)),
                (neg(div(d2, mul(d1, both))), div(sub(d2, d1), mul(d1, d2)), div(d1, mul(d2, both))),
            )
        ]
    first, last = ends(x, h, axis, edge_order)
    return joined([first, *inside, last], axis)


def weighted(x: Array, axis: int, keys: Sequence[slice], weights: Sequence[Any]) -> Array:
    """Σ weight · x[key] along an axis."""
    total: Any = None
    for key, w in zip(keys, weights, strict=True):
        term = mul(w, at(x, axis, key))
        total = term if total is None else add(total, term)
    return total


_FIRST = (slice(0, 1), slice(1, 2), slice(2, 3))


def _last_three(n: int) -> tuple[slice, ...]:
    return slice(n - 3, n - 2), slice(n - 2, n - 1), slice(n - 1, n)


def _step(x: Array, axis: int, h: Any, at_end: bool) -> Array:
    n = x.shape[axis]
    a, b = (slice(n - 2, n - 1), slice(n - 1, n)) if at_end else (slice(0, 1), slice(1, 2))
    return div(sub(at(x, axis, b), at(x, axis, a)), h)


def _ratio(c: float, h: Any) -> Any:
    return div(c, h) if type(h) is Tensor else c / h


def _even_ends(x: Array, h: Any, axis: int, edge_order: int) -> tuple[Array, Array]:
    if edge_order == 1:
        return _step(x, axis, h, False), _step(x, axis, h, True)
    first = weighted(x, axis, _FIRST, [_ratio(c, h) for c in (-1.5, 2.0, -0.5)])
    last = weighted(
        x,
        axis,
        _last_three(x.shape[axis]),
        [_ratio(c, h) for c in (0.5, -2.0, 1.5)],
    )
    return first, last


def _uneven_ends(x: Array, h: Array, axis: int, edge_order: int) -> tuple[Array, Array]:
    if edge_order == 1:
        return _step(x, axis, index(h, spec=0), False), _step(x, axis, index(h, spec=-1), True)
    a, b = index(h, spec=0), index(h, spec=1)
    both = add(a, b)
    first = weighted(
        x,
        axis,
        _FIRST,
        (neg(div(add(mul(2.0, a), b), mul(a, both))), div(both, mul(a, b)), neg(div(a, mul(b, both)))),
    )
    a, b = index(h, spec=-2), index(h, spec=-1)
    both = add(a, b)
    last = weighted(
        x,
        axis,
        _last_three(x.shape[axis]),
        (div(b, mul(a, both)), neg(div(both, mul(a, b))), div(add(mul(2.0, b), a), mul(b, both))),
    )
    return first, last


@when_traced("unwrap")
def unwrap(p: Any, discont: float | None = None, axis: int = -1, *, period: Any = 2 * math.pi) -> Array:
    """`numpy.unwrap`: phases moved by whole periods, so the derivative in p is the identity between jumps."""
    x = lift(p)
    if staged(period):
        raise no_value("the period of numpy.unwrap", f"{period.dtype}{list(period.shape)}")
    known = value_of(operand(period))
    if known is None:
        raise ConcretizationError(
            "numpy.unwrap",
            got="a period that differs between the examples of a vmap",
            want="one period",
            fix="close over the period, or loop over the examples",
            at=describe(here(2)),
        )
    if discont is not None:
        discont = float(values(discont))
    count = turns(x, period=float(known), discont=discont, axis=axis_of(axis, x.ndim))
    dtype = result_type(x, period)
    return astype(add(x, mul(count, operand(period))), dtype)


# ── integrals ─────────────────────────────────────────────────────────────────


@when_traced("trapezoid", "trapz")
def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> Array:
    """`numpy.trapezoid`: differentiable in y, in x and in dx."""
    y = lift(y)
    axis = axis_of(axis, y.ndim)
    if x is None:
        d = operand(dx)
    else:
        x = lift(x)
        d = on_axis(diff(x), axis, y.ndim) if x.ndim == 1 else diff(x, axis=axis - y.ndim)
    pairs = add(at(y, axis, slice(1, None)), at(y, axis, slice(None, -1)))
    return reduce_sum(div(mul(d, pairs), 2.0), axes=(axis,))


# ── interpolation ─────────────────────────────────────────────────────────────


@when_traced("interp")
def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> Array:
    """`numpy.interp`: piecewise linear, differentiable in x, xp, fp, left, right and period.

    At a sample the slope in x is that of the segment to its right, at the last sample that of
    the last segment. Outside, the result is `left` or `right`, and its slope in x is zero.
    """
    x, xp, fp = lift(x), astype(lift(xp), np.float64), lift(fp)
    fp = astype(fp, np.complex128 if fp.dtype.kind == "c" else np.float64)
    if x.dtype.kind == "c":
        raise TypeError(
            "Cannot cast array data from dtype('complex128') to dtype('float64') according to the rule 'safe'"
        )
    x = astype(x, np.float64)
    if xp.ndim != 1 or fp.ndim != 1:
        raise ValueError(
            "Data points must be 1-D sequences" if period is not None else "object too deep for desired array"
        )
    if xp.shape[0] != fp.shape[0]:
        raise ValueError("fp and xp are not of the same length.")
    if xp.shape[0] == 0:
        raise ValueError("array of sample points is empty")
    if period is not None:
        left = right = None
        x, xp, fp = _periodic(x, xp, fp, period)
    return _interp(x, xp, fp, left, right)


def _periodic(x: Array, xp: Array, fp: Array, period: Any) -> tuple[Array, Array, Array]:
    """Samples in one period, in order, with one more at each end."""
    if type(period) not in ARRAYS and period == 0:
        raise ValueError("period must be a non-zero value")
    period = served("absolute")(operand(period))
    remainder = served("remainder")
    x, xp = remainder(x, period), remainder(xp, period)
    order = served("argsort")(xp)
    xp, fp = index(xp, order, spec=(ARRAY,), unique=True), index(fp, order, spec=(ARRAY,), unique=True)
    first, last = slice(0, 1), slice(-1, None)
    xp = joined([sub(index(xp, spec=last), period), xp, add(index(xp, spec=first), period)])
    fp = joined([index(fp, spec=last), fp, index(fp, spec=first)])
    return x, xp, fp


def _interp(x: Array, xp: Array, fp: Array, left: Any, right: Any) -> Array:
    anchor, segment, before, after = bracket(x, xp)

    def take(v: Array, i: Array) -> Array:
        return index(v, i, spec=(ARRAY,))

    out = take(fp, anchor)
    if xp.shape[0] > 1:
        with np.errstate(all="ignore"):  # samples of one abscissa have an infinite slope between them
            slopes = div(
                sub(index(fp, spec=slice(1, None)), index(fp, spec=slice(None, -1))),
                sub(index(xp, spec=slice(1, None)), index(xp, spec=slice(None, -1))),
            )
        # Strong in the distance: at a sample an infinite slope leaves the sample's value.
        out = add(out, scale(sub(x, take(xp, anchor)), take(slopes, segment)))
    left = index(fp, spec=0) if left is None else operand(left)
    right = index(fp, spec=-1) if right is None else operand(right)
    return astype(select(before, left, select(after, right, out)), fp.dtype)


# ── convolution ───────────────────────────────────────────────────────────────

_MODES = ("valid", "same", "full")


def _sequences(a: Any, v: Any) -> list[Array]:
    out = []
    for label, x in (("a", a), ("v", v)):
        x = lift(x)
        x = reshape(x, shape=(1,)) if x.ndim == 0 else x
        if x.ndim != 1:
            raise ValueError("object too deep for desired array")
        if x.shape[0] == 0:
            raise ValueError(f"{label} cannot be empty")
        out.append(x)
    return promoted(out)


def _mode_of(mode: Any) -> Any:
    if isinstance(mode, (int, np.integer)) and 0 <= mode <= 2:
        return _MODES[mode]
    if mode in _MODES:
        return mode
    raise ValueError(f"mode must be one of 'valid', 'same', or 'full' (got {mode!r})")


@when_traced("convolve")
def convolve(a: Any, v: Any, mode: Any = "full") -> Array:
    """`numpy.convolve`, differentiable in both sequences."""
    x, y = _sequences(a, v)
    if y.shape[0] > x.shape[0]:
        x, y = y, x
    mode = _mode_of(mode)
    if mode != "same":
        return convolve_op(x, y, mode=mode)
    start = (y.shape[0] - 1) // 2
    return index(convolve_op(x, y, mode="full"), spec=slice(start, start + x.shape[0]))


@when_traced("correlate")
def correlate(a: Any, v: Any, mode: Any = "valid") -> Array:
    """`numpy.correlate`: c[k] = Σₙ a[n+k] · conj(v[n]), differentiable in both sequences."""
    x, y = _sequences(a, v)
    mode = _mode_of(mode)
    if y.dtype.kind == "c":
        y = conj(y)
    y = flip(y, axes=(0,))
    n, m = x.shape[0], y.shape[0]
    if mode == "full":
        return convolve_op(x, y, mode="full")
    if mode == "valid":
        return convolve_op(x, y, mode="valid") if n >= m else convolve_op(y, x, mode="valid")
    start = (m - 1) // 2 if n >= m else n // 2
    return index(convolve_op(x, y, mode="full"), spec=slice(start, start + max(n, m)))


# ── cross product ─────────────────────────────────────────────────────────────


@when_traced("cross")
def cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> Array:
    """`numpy.cross` of vectors of 3 components (or 2, which NumPy 2 deprecates)."""
    if axis is not None:
        axisa = axisb = axisc = axis
    x, y = promoted([lift(a), lift(b)])
    if x.ndim < 1 or y.ndim < 1:
        raise ValueError("At least one array has zero dimension")
    axisa, axisb = axis_of(axisa, x.ndim), axis_of(axisb, y.ndim)
    if x.shape[axisa] not in (2, 3) or y.shape[axisb] not in (2, 3):
        raise ValueError("incompatible dimensions for cross product\n(dimension must be 2 or 3)")
    if 2 in (x.shape[axisa], y.shape[axisb]):
        warnings.warn(
            "Arrays of 2-dimensional vectors are deprecated. Use arrays of 3-dimensional vectors instead."
            " (deprecated in NumPy 2.0)",
            DeprecationWarning,
            stacklevel=3,
        )
    p = [at(x, axisa, i) for i in range(x.shape[axisa])]
    q = [at(y, axisb, i) for i in range(y.shape[axisb])]
    third = sub(mul(p[0], q[1]), mul(p[1], q[0]))
    if len(p) == len(q) == 2:
        return third
    if len(p) == 2:
        parts = [mul(p[1], q[2]), neg(mul(p[0], q[2])), third]
    elif len(q) == 2:
        parts = [neg(mul(p[2], q[1])), mul(p[2], q[0]), third]
    else:
        parts = [sub(mul(p[1], q[2]), mul(p[2], q[1])), sub(mul(p[2], q[0]), mul(p[0], q[2])), third]
    return stack(*parts, axis=axis_of(axisc, third.ndim + 1))


@when_traced("linalg.cross")
def linalg_cross(x1: Any, x2: Any, /, *, axis: int = -1) -> Array:
    """`numpy.linalg.cross`: vectors of 3 components alone."""
    x, y = lift(x1), lift(x2)
    if x.shape[axis] != 3 or y.shape[axis] != 3:
        raise ValueError(
            "Both input arrays must be (arrays of) 3-dimensional vectors,"
            f" but they are {x.shape[axis]} and {y.shape[axis]} dimensional instead."
        )
    return cross(x, y, axis=axis)
