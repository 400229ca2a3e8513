"""Reductions: extrema, products, means, moments, and the constant ones (any, all, argmax, counts).

Convention  `axes` are sorted and non-negative; the reduced axes go. `reduce_sum` is in `basis`.

Memory  Extrema keep their operand and their result, not a mask: both exist anyway (a mask would be new
        memory, and its making would double the time of the forward pass).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wengert.core.aval import ANY, FLOAT, INEXACT, INT, Aval, is_inexact
from wengert.core.errors import ShapeError
from wengert.core.form import Map, Reduce, Unsupported, Via
from wengert.core.op import Op, Rule, Sample
from wengert.core.source import describe, here
from wengert.core.tensor import Array
from wengert.ops import scalars
from wengert.ops.basis import (
    add,
    all_batched,
    check_axes,
    conj,
    expand_to,
    fit,
    fit_tangent,
    has_nan,
    inexact_dtype,
    linear,
    real,
    real_dtype,
    reduce_sum,
    reshape,
    scale,
    transpose,
)
from wengert.ops.dtype import truncate
from wengert.ops.elementwise import div, exp, log, mul, sqrt, square, sub, unscale
from wengert.ops.family import piecewise_constant
from wengert.ops.logic import equal, isfinite, isnan, isneginf, logical_and, logical_or
from wengert.ops.scan import exclusive_product
from wengert.ops.select import where

Axes = tuple[int, ...]

# ── helpers ───────────────────────────────────────────────────────────────────


def count_of(shape: Sequence[int], axes: Sequence[int]) -> int:
    """How many elements a reduction over `axes` puts together."""
    return math.prod(shape[a] for a in axes)


def kept_shape(shape: Sequence[int], axes: Axes) -> tuple[int, ...]:
    """`shape` with the reduced axes of length one."""
    return tuple(1 if i in axes else d for i, d in enumerate(shape))


def keep(out: Array, shape: Sequence[int], axes: Axes) -> Array:
    """A reduction's result with its axes back, of length one."""
    return reshape(out, shape=kept_shape(shape, axes)) if axes else out


def _reduced_shape(name: str, dtype: Any = None, *, empty: bool = True) -> Rule:
    """Shape rule of a reduction; `empty=False` for those without a value on no elements."""

    def shape(x: Aval, *, axes: Axes, **params: Any) -> Aval:
        check_axes(name, axes, x)
        if not empty and count_of(x.shape, axes) == 0 and count_of(x.without(axes).shape, range(x.ndim - len(axes))):
            raise ShapeError(
                name,
                got=f"{x}, with no elements along axes={axes}",
                want="at least one element",
                fix="pass initial=, or leave out the empty case",
                at=describe(here(2)),
            )
        out = x.without(axes)
        return out if dtype is None else out.with_dtype(np.dtype(dtype) if isinstance(dtype, type) else dtype(x.dtype))

    return shape


def _reduced_batch(op: Any) -> Rule:
    return lambda xs, batched, size, *, axes, **params: op()(xs[0], axes=tuple(a + 1 for a in axes), **params)


AXES_SAMPLES = (
    Sample((3, 4), axes=(0,)),
    Sample((3, 4), axes=(0, 1)),
    Sample((2, 3, 4), axes=(0, 2)),
    Sample((0, 3), axes=(1,)),
    Sample((3,), axes=()),
    Sample((), axes=()),
)
EMPTY_SAMPLES = (Sample((2, 0, 5), axes=(1,)),)
AXES_REJECTS = (Sample((3,), axes=(1,), raises=ShapeError),)

# ── constants: any, all, argmax, argmin, count_nonzero ────────────────────────


def _count_eval(x: Array, *, axes: Axes) -> Any:
    if len(axes) == np.ndim(x):
        return np.intp(np.count_nonzero(x))
    return np.count_nonzero(x, axis=axes)


def _count_nonzero(x: Array, *, axes: Axes) -> Array:
    counted = truncate(truncate(x, dtype=np.dtype(bool)), dtype=np.dtype(np.intp))
    return reduce_sum(counted, axes=axes)


def _constant_reduction(name: str, fn: Rule, dtype: Any, reason: str, lower: Any) -> Op:
    op = piecewise_constant(
        name,
        fn,
        reason,
        shape=_reduced_shape(name, dtype),
        batch=_reduced_batch(lambda: op),
        samples=(*AXES_SAMPLES, *EMPTY_SAMPLES),
        lower=lower,
    )
    return op


reduce_any = _constant_reduction(
    "reduce_any",
    lambda x, *, axes: np.logical_or.reduce(x, axis=axes),
    bool,
    "a boolean",
    lower=Reduce("any"),
)
reduce_all = _constant_reduction(
    "reduce_all",
    lambda x, *, axes: np.logical_and.reduce(x, axis=axes),
    bool,
    "a boolean",
    lower=Reduce("all"),
)
count_nonzero = _constant_reduction(
    "count_nonzero",
    _count_eval,
    np.intp,
    "a count",
    lower=Via(_count_nonzero),
)


def _first(extremum: Callable[[], Op]) -> Via:
    """The place of an extremum as the least index at which it is met; a NaN is met by a NaN."""

    def ops(x: Array, *, axis: int) -> Array:
        n = x.shape[axis]
        if n == 0:
            raise Unsupported
        best = reshape(extremum()(x, axes=(axis,)), shape=kept_shape(x.shape, (axis,)))
        met = equal(x, best)
        if is_inexact(x.dtype):
            met = logical_or(met, isnan(x))  # if there is one, it is the extremum
        places = np.arange(n).reshape([n if i == axis else 1 for i in range(len(x.shape))])
        return reduce_min(where(met, places, n), axes=(axis,))

    return Via(ops)


def _index_reduction(name: str, fn: Any, lower: Via) -> Op:
    def shape(x: Aval, *, axis: int) -> Aval:
        check_axes(name, (axis,), x)
        return x.without((axis,)).with_dtype(np.intp)

    op = piecewise_constant(
        name,
        lambda x, *, axis: fn(x, axis=axis),
        "an index: it jumps where two elements change order, and is constant elsewhere",
        shape=shape,
        batch=lambda xs, batched, size, *, axis: op(xs[0], axis=axis + 1),
        samples=(Sample((4,), axis=0), Sample((3, 4), axis=1), Sample((2, 3, 4), axis=1)),
        lower=lower,
    )
    return op


argmax = _index_reduction(
    "argmax",
    np.argmax,
    lower=_first(lambda: reduce_max),
)
argmin = _index_reduction(
    "argmin",
    np.argmin,
    lower=_first(lambda: reduce_min),
)

# ── reduce_max, reduce_min, and without NaN: reduce_fmax, reduce_fmin ─────────


def _tied(x: Array, out: Array, axes: Axes, nan: bool) -> tuple[np.ndarray, np.ndarray | None]:
    """Which elements equal the extremum `out` of their slice, and how many do in each; None for one each."""
    mask = np.equal(x, out.reshape(kept_shape(x.shape, axes)))
    if np.count_nonzero(mask) == out.size == np.count_nonzero(np.logical_or.reduce(mask, axis=axes)):
        return mask, None  # no NaN, since that equals nothing; counting slice by slice costs more than all else here
    if nan and is_inexact(x.dtype) and has_nan(out):
        mask = mask | np.isnan(x)  # no other slice has a NaN
    # A slice of NaNs alone may have no tie, and its extremum no derivative: any count will do.
    return mask, np.maximum(_count_eval(mask, axes=axes), 1).astype(inexact_dtype(real_dtype(x.dtype)))


def _tied_share_eval(ct: Array, x: Array, out: Array, *, axes: Axes, nan: bool) -> np.ndarray:
    mask, count = _tied(x, out, axes, nan)
    each = ct if count is None else (ct / count).astype(ct.dtype, copy=False)
    return np.where(mask, each.reshape(kept_shape(x.shape, axes)), 0)


def _tied_mean_eval(dx: Array, x: Array, out: Array, *, axes: Axes, nan: bool) -> Array:
    mask, count = _tied(x, out, axes, nan)
    total = np.add.reduce(np.where(mask, dx, 0), axis=axes)
    return (total if count is None else total / count).astype(dx.dtype, copy=False)


def _ties(x: Array, out: Array, axes: Axes, nan: bool) -> tuple[Array, Array]:
    """`_tied` in ops."""
    out = keep(out, x.shape, axes)
    mask = equal(x, out)
    if nan and x.dtype.kind == "f":
        mask = logical_or(mask, logical_and(isnan(x), isnan(out)))
    dtype = inexact_dtype(real_dtype(x.dtype))
    return mask, truncate(at_least(count_nonzero(mask, axes=axes), least=1), dtype=dtype)


def _shared(ct: Array, x: Array, out: Array, *, axes: Axes, nan: bool) -> Array:
    mask, count = _ties(x, out, axes, nan)
    return where(mask, keep(fit_dtype(div(ct, count), ct.dtype), x.shape, axes), np.zeros((), ct.dtype))


def _averaged(dx: Array, x: Array, out: Array, *, axes: Axes, nan: bool) -> Array:
    mask, count = _ties(x, out, axes, nan)
    total = reduce_sum(where(mask, dx, np.zeros((), dx.dtype)), axes=axes)
    return fit_dtype(div(total, count), dx.dtype)


def fit_dtype(x: Array, dtype: np.dtype) -> Array:
    """`x` in `dtype`, if it has another."""
    return x if x.dtype == dtype else truncate(x, dtype=dtype)


def _check_ties(name: str, given: Aval, like: Aval, x: Aval, out: Aval, axes: Axes) -> None:
    check_axes(name, axes, x)
    if given.shape != like.shape or out.shape != x.without(axes).shape:
        raise ShapeError(
            name,
            got=f"{given} with x {x} and its extremum {out} over {axes}",
            want=f"the extremum of x over these axes, and a first operand of the shape {like.shape}",
            fix="reduce x over the same axes",
            at=describe(here(2)),
        )


def _share_shape(ct: Aval, x: Aval, out: Aval, *, axes: Axes, nan: bool) -> Aval:
    _check_ties("tied_share", ct, out, x, out, axes)
    return x.with_dtype(ct.dtype)


def _mean_shape(dx: Aval, x: Aval, out: Aval, *, axes: Axes, nan: bool) -> Aval:
    _check_ties("tied_mean", dx, x, x, out, axes)
    return out.with_dtype(dx.dtype)


def _of_ties(
    name: str, evaluate: Rule, transposed: Any, shape: Rule, samples: Sequence[Sample], note: str, lower: Via
) -> Op:
    """An op that is linear in its first operand, and piecewise constant in x and its extremum."""
    op: Op

    def jvp(xs: Sequence[Array], dxs: Sequence[Array], out: Array, **params: Any) -> Array:
        return np.zeros(out.shape, out.dtype)[()] if dxs[0] is None else op(dxs[0], *xs[1:], **params)

    def vjp(ct: Array, ins: Any, xs: Sequence[Array], out: Array, **params: Any) -> tuple[Array | None, ...]:
        return None if ins[0] is None else fit(transposed()(ct, *xs[1:], **params), ins[0]), None, None

    op = Op(
        name=name,
        accepts=ANY,
        shape=shape,
        eval=evaluate,
        jvp=jvp,
        vjp=vjp,
        saves={0: (1, 2), 1: (), 2: ()},
        batch=lambda xs, batched, size, *, axes, nan: op(
            *all_batched(xs, batched, size), axes=tuple(a + 1 for a in axes), nan=nan
        ),
        samples=tuple(samples),
        note=note,
        lower=lower,
        exact=(1, 2),
    )
    return op


_TIES = np.array([[1.0, 3.0, 3.0, 0.0], [2.0, 2.0, 2.0, 2.0], [0.0, 1.0, 2.0, 3.0]])
_MISSING = np.array([1.0, np.nan, np.nan])
_CUBE = np.arange(24.0).reshape(2, 3, 4)

tied_share = _of_ties(
    "tied_share",
    _tied_share_eval,
    lambda: tied_mean,
    _share_shape,
    (
        Sample((3,), _TIES, _TIES.max(1), diff=(0,), axes=(1,), nan=True),
        Sample((3,), _CUBE, _CUBE.max((0, 2)), diff=(0,), axes=(0, 2), nan=False),
        Sample((), _MISSING, np.array(np.nan), diff=(0,), axes=(0,), nan=True),
        Sample((), _MISSING, np.array(1.0), diff=(0,), axes=(0,), nan=False),
    ),
    "the cotangent of an extremum, shared among the elements of x that equal it",
    lower=Via(_shared),
)
tied_mean = _of_ties(
    "tied_mean",
    _tied_mean_eval,
    lambda: tied_share,
    _mean_shape,
    (
        Sample((3, 4), _TIES, _TIES.max(1), diff=(0,), axes=(1,), nan=True),
        Sample((2, 3, 4), _CUBE, _CUBE.max((0, 2)), diff=(0,), axes=(0, 2), nan=False),
        Sample((3,), _MISSING, np.array(np.nan), diff=(0,), axes=(0,), nan=True),
        Sample((3,), _MISSING, np.array(1.0), diff=(0,), axes=(0,), nan=False),
    ),
    "the tangent of an extremum: the mean of those of the elements of x that equal it",
    lower=Via(_averaged),
)


def _extremum(name: str, ufunc: np.ufunc, *, nan: bool, lower: Reduce) -> Op:
    """`nan`: a NaN is the extremum of its slice, and takes the derivative; otherwise NaNs do not take part."""
    op: Op

    def jvp(xs: Sequence[Array], dxs: Sequence[Array], out: Array, *, axes: Axes) -> Array:
        return tied_mean(dxs[0], xs[0], out, axes=axes, nan=nan)

    def vjp(ct: Array, ins: Any, xs: Sequence[Array], out: Array, *, axes: Axes) -> tuple[Array]:
        return (fit(tied_share(ct, xs[0], out, axes=axes, nan=nan), ins[0]),)

    op = Op(
        name=name,
        accepts=ANY,
        shape=_reduced_shape(name, empty=False),
        eval=lambda x, *, axes: ufunc.reduce(x, axis=axes),
        jvp=jvp,
        vjp=vjp,
        saves=(0, "out"),
        batch=_reduced_batch(lambda: op),
        samples=AXES_SAMPLES,
        rejects=(*AXES_REJECTS, Sample((0,), axes=(0,), raises=ShapeError)),
        note="elements that tie share equally; complex numbers are ordered as NumPy orders them, real parts first",
        lower=lower,
    )
    return op


at_least = piecewise_constant(
    "at_least",
    lambda n, *, least: np.maximum(n, n.dtype.type(least)),
    "a count",
    accepts=FLOAT | INT,
    shape=lambda n, *, least: n,
    batch=lambda xs, batched, size, *, least: at_least(xs[0], least=least),
    samples=(Sample(np.array([[2.0, -1.0], [0.0, 3.0]]), least=0), Sample(np.array([0, 1, 3]), least=1)),
    lower=Map(lambda b, n, *, least: b.maximum(n, b.like(least, n))),
)

reduce_max = _extremum(
    "reduce_max",
    np.maximum,
    nan=True,
    lower=Reduce("max"),
)
reduce_min = _extremum(
    "reduce_min",
    np.minimum,
    nan=True,
    lower=Reduce("min"),
)
reduce_fmax = _extremum(
    "reduce_fmax",
    np.fmax,
    nan=False,
    lower=Reduce("fmax"),
)
reduce_fmin = _extremum(
    "reduce_fmin",
    np.fmin,
    nan=False,
    lower=Reduce("fmin"),
)

# ── reduce_prod ───────────────────────────────────────────────────────────────


def product_of_others(x: Array, axes: Axes) -> Array:
    """For each element, the product of all others that are reduced with it. No division: exact with zeros.

    Cost: two running products, and O(1) arrays of x's size. It is made of ops, so it has derivatives of its own.
    """
    others = tuple(i for i in range(x.ndim) if i not in axes)
    order = (*others, *axes)
    moved = x if order == tuple(range(x.ndim)) else transpose(x, axes=order)
    shape = moved.shape
    rows = reshape(moved, shape=(*(x.shape[i] for i in others), count_of(x.shape, axes)))
    last = len(others)
    rest = mul(exclusive_product(rows, last), exclusive_product(rows, last, reverse=True))
    rest = reshape(rest, shape=shape)
    return rest if moved is x else transpose(rest, axes=tuple(int(i) for i in np.argsort(order)))


reduce_prod = Op(
    name="reduce_prod",
    accepts=ANY,
    shape=_reduced_shape("reduce_prod", lambda dtype: np.multiply.reduce(np.empty(0, dtype)).dtype),
    eval=lambda x, *, axes: np.multiply.reduce(x, axis=axes),
    jvp=lambda xs, dxs, out, *, axes: reduce_sum(scale(dxs[0], product_of_others(xs[0], axes)), axes=axes),
    vjp=lambda ct, ins, xs, out, *, axes: (
        fit(scale(keep(ct, ins[0].shape, axes), product_of_others(xs[0], axes)), ins[0]),
    ),
    saves=(0,),
    batch=_reduced_batch(lambda: reduce_prod),
    samples=(
        *AXES_SAMPLES,
        *EMPTY_SAMPLES,
        Sample(np.array([[1.5, 0.0, 2.0], [0.0, 0.5, 0.0]]), axes=(1,), diff=(0,), real_only=True),
    ),
    rejects=AXES_REJECTS,
    lower=Reduce("mul"),
)

# ── reduce_mean ───────────────────────────────────────────────────────────────


def _mean_eval(x: Array, *, axes: Axes) -> Any:
    n = count_of(x.shape, axes)
    if n == 0 or x.dtype.itemsize == 2:  # NumPy's warning; NumPy's wider accumulator
        return np.mean(x, axis=axes)
    total = np.add.reduce(x, axis=axes)
    # NumPy's own division, by an integer of full width: equal to the last bit.
    if isinstance(total, np.ndarray):
        return np.true_divide(total, np.intp(n), out=total, casting="unsafe") if axes else total
    return total.dtype.type(total / np.intp(n))


def _mean(x: Array, *, axes: Axes) -> Array:
    return div(reduce_sum(x, axes=axes), count_of(x.shape, axes))


reduce_mean = linear(
    "reduce_mean",
    shape=_reduced_shape("reduce_mean"),
    eval=_mean_eval,
    transpose=lambda ct, var, *, axes: expand_to(div(ct, count_of(var.shape, axes)), var.shape, axes),
    batch=_reduced_batch(lambda: reduce_mean),
    samples=AXES_SAMPLES,
    rejects=AXES_REJECTS,
    lower=scalars.for_floats(Via(_mean)),
)

# ── reduce_var, reduce_std ────────────────────────────────────────────────────


def centred(x: Array, axes: Axes) -> Array:
    """`x` less its mean over `axes`."""
    return sub(x, keep(reduce_mean(x, axes=axes), x.shape, axes))


def _freedom(shape: Sequence[int], axes: Axes, ddof: float) -> float:
    return max(count_of(shape, axes) - ddof, 0)


def _var_eval(x: Array, *, axes: Axes, ddof: float) -> Any:
    return np.var(x, axis=axes, ddof=ddof)


def _deviation(x: Array, axes: Axes) -> Array:
    """∂(Σ|x - mean|²/2)/∂x. Deviations sum to zero, so that the mean's own derivative drops out."""
    return conj(centred(x, axes)) if x.dtype.kind == "c" else centred(x, axes)


def _var_weight(shape: Sequence[int], axes: Axes, ddof: float) -> float:
    freedom = _freedom(shape, axes, ddof)
    return 2 / freedom if freedom else math.inf


def _variance(x: Array, *, axes: Axes, ddof: float) -> Array:
    return div(reduce_sum(square(centred(x, axes)), axes=axes), _freedom(x.shape, axes, ddof))


def _deviation_of(x: Array, *, axes: Axes, ddof: float) -> Array:
    return sqrt(_variance(x, axes=axes, ddof=ddof))


def _real(x: Array) -> Array:
    return real(x) if x.dtype.kind == "c" else x


_MOMENT_SAMPLES = (
    Sample((3, 4), axes=(0,), ddof=0),
    Sample((3, 4), axes=(0, 1), ddof=1),
    Sample((2, 3, 4), axes=(0, 2), ddof=1.5),
    Sample((0, 3), axes=(1,), ddof=0),
)


def _var_jvp(xs: Sequence[Array], dxs: Sequence[Array], out: Array, *, axes: Axes, ddof: float) -> Array:
    total = reduce_sum(_real(scale(dxs[0], _deviation(xs[0], axes))), axes=axes)
    return fit_tangent(scale(total, _var_weight(xs[0].shape, axes, ddof)), out)


def _var_vjp(ct: Array, ins: Any, xs: Sequence[Array], out: Array, *, axes: Axes, ddof: float) -> tuple[Array]:
    (x,) = xs
    factor = scale(ct, _var_weight(x.shape, axes, ddof))
    return (fit(scale(keep(factor, x.shape, axes), _deviation(x, axes)), ins[0]),)


reduce_var = Op(
    name="reduce_var",
    accepts=INEXACT,
    shape=_reduced_shape("reduce_var", real_dtype),
    eval=_var_eval,
    jvp=_var_jvp,
    vjp=_var_vjp,
    saves=(0,),
    batch=_reduced_batch(lambda: reduce_var),
    samples=_MOMENT_SAMPLES,
    rejects=(Sample((3,), axes=(1,), ddof=0, raises=ShapeError),),
    note="for complex x the mean of |x - mean|², a real number",
    lower=scalars.for_floats(Via(_variance)),
)


def _over_std(y: Array, out: Array, freedom: float) -> Array:
    """y / (freedom · std), and zero where the standard deviation is zero."""
    positive = truncate(out, dtype=np.dtype(bool))
    return where(positive, unscale(y, where(positive, mul(float(freedom), out), 1.0)), 0.0)


def _std_deviation(x: Array, axes: Axes) -> Array:
    # Centred twice: the rounding of the mean of equal elements would have a direction of its own.
    return _deviation(centred(x, axes), axes)


def _std_jvp(xs: Sequence[Array], dxs: Sequence[Array], out: Array, *, axes: Axes, ddof: float) -> Array:
    total = reduce_sum(_real(scale(dxs[0], _std_deviation(xs[0], axes))), axes=axes)
    return fit_tangent(_over_std(total, out, _freedom(xs[0].shape, axes, ddof)), out)


def _std_vjp(ct: Array, ins: Any, xs: Sequence[Array], out: Array, *, axes: Axes, ddof: float) -> tuple[Array]:
    (x,) = xs
    factor = _over_std(ct, out, _freedom(x.shape, axes, ddof))
    return (fit(scale(keep(factor, x.shape, axes), _std_deviation(x, axes)), ins[0]),)


reduce_std = Op(
    name="reduce_std",
    accepts=INEXACT,
    shape=_reduced_shape("reduce_std", real_dtype),
    eval=lambda x, *, axes, ddof: np.std(x, axis=axes, ddof=ddof),
    jvp=_std_jvp,
    vjp=_std_vjp,
    saves=(0, "out"),
    batch=_reduced_batch(lambda: reduce_std),
    samples=_MOMENT_SAMPLES,
    rejects=(Sample((3,), axes=(1,), ddof=0, raises=ShapeError),),
    note="where all elements are equal the subgradient 0 is taken, at every order",
    lower=scalars.for_floats(Via(_deviation_of)),
)

# ── reduce_logsumexp ──────────────────────────────────────────────────────────


def _logsumexp_eval(x: Array, *, axes: Axes) -> Any:
    top = np.max(x, axis=axes, keepdims=True, initial=-np.inf)
    top = np.where(np.isfinite(top), top, 0)
    with np.errstate(divide="ignore"):
        out = np.log(np.add.reduce(np.exp(x - top), axis=axes, keepdims=True)) + top
    return np.reshape(out.astype(x.dtype, copy=False), tuple(d for i, d in enumerate(x.shape) if i not in axes))[()]


def _logsumexp(x: Array, *, axes: Axes) -> Array:
    if not count_of(x.shape, axes):
        raise Unsupported("no elements to add up")
    top = reduce_max(x, axes=axes)
    top = where(isfinite(top), top, 0.0)
    return add(log(reduce_sum(exp(sub(x, keep(top, x.shape, axes))), axes=axes)), top)


def _softmax(x: Array, out: Array, axes: Axes) -> Array:
    out = keep(out, x.shape, axes)
    nothing = logical_and(equal(x, out), isneginf(x))
    return exp(where(nothing, -np.inf, sub(x, out)))


reduce_logsumexp = Op(
    name="reduce_logsumexp",
    accepts=FLOAT,
    shape=_reduced_shape("reduce_logsumexp"),
    eval=_logsumexp_eval,
    jvp=lambda xs, dxs, out, *, axes: fit_tangent(
        reduce_sum(scale(dxs[0], _softmax(xs[0], out, axes)), axes=axes), out
    ),
    vjp=lambda ct, ins, xs, out, *, axes: (
        fit(scale(keep(ct, ins[0].shape, axes), _softmax(xs[0], out, axes)), ins[0]),
    ),
    saves=(0, "out"),
    batch=_reduced_batch(lambda: reduce_logsumexp),
    samples=AXES_SAMPLES,
    rejects=AXES_REJECTS,
    note="where every element is -inf, so is the result, and its derivative is 0",
    lower=scalars.for_floats(Via(_logsumexp)),
)
