"""Standardising: subtract the mean and divide by the standard deviation over some axes.

Layer, group, instance and batch normalisation are this op over different axes.

Source  Ba, Kiros & Hinton (2016); Ioffe & Szegedy (2015), whose backward pass is `standardize_adjoint`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.core.aval import FLOAT, Aval
from wengert.core.errors import ShapeError
from wengert.core.form import Via
from wengert.core.op import Op, Sample
from wengert.core.source import describe, here
from wengert.core.tensor import Array
from wengert.graph.program import Vars
from wengert.ops.basis import (
    add,
    all_batched,
    check_axes,
    expand_to,
    fit,
    fit_tangent,
    has_nan,
    neg,
    reduce_sum,
    reshape,
    scale,
    strong_zero,
)
from wengert.ops.elementwise import div, mul, reciprocal, sqrt, sub

Axes = tuple[int, ...]


def _count(shape: Sequence[int], axes: Axes) -> int:
    n = 1
    for a in axes:
        n *= shape[a]
    return n


def _kept(shape: Sequence[int], axes: Axes) -> tuple[int, ...]:
    return tuple(1 if i in axes else d for i, d in enumerate(shape))


def _mean(x: Array, axes: Axes) -> Array:
    """The mean over `axes`, which stay with length one."""
    total = div(reduce_sum(x, axes=axes), max(_count(x.shape, axes), 1))
    return reshape(total, shape=_kept(x.shape, axes))


# ── standardize ───────────────────────────────────────────────────────────────


def _standardize_shape(x: Aval, *, axes: Axes, eps: float) -> tuple[Aval, Aval, Aval]:
    check_axes("standardize", axes, x)
    return x, x.without(axes), x.without(axes)


def _standardize_eval(x: np.ndarray, *, axes: Axes, eps: float) -> tuple[Any, Any, Any]:
    n = max(_count(x.shape, axes), 1)
    mean = np.add.reduce(x, axis=axes, keepdims=True) / n
    z = np.asarray(x - mean)
    var = np.add.reduce(z * z, axis=axes, keepdims=True) / n
    z *= 1 / np.sqrt(var + eps)
    rest = tuple(d for i, d in enumerate(x.shape) if i not in axes)
    return z if z.ndim else z[()], np.reshape(mean, rest)[()], np.reshape(var, rest)[()]


def _spread(var: Array, shape: Sequence[int], axes: Axes, eps: float) -> Array:
    """The standard deviation, with the reduced axes of length one."""
    return reshape(sqrt(add(var, eps)), shape=_kept(shape, axes))


def _standardize_jvp(
    xs: Sequence[Array], dxs: Sequence[Array], out: Any, *, axes: Axes, eps: float
) -> tuple[Array, ...]:
    (dx,), (z, mean, var) = dxs, out
    std = _spread(var, z.shape, axes, eps)
    dvar = scale(mul(2, std), _mean(scale(dx, z), axes))  # zero where there is no spread, though z is NaN
    return (
        fit_tangent(standardize_adjoint(dx, z, reciprocal(std), axes=axes), z),
        fit_tangent(reshape(_mean(dx, axes), shape=mean.shape), mean),
        fit_tangent(reshape(dvar, shape=var.shape), var),
    )


def _standardize_vjp(ct: Any, ins: Vars, xs: Sequence[Array], out: Any, *, axes: Axes, eps: float) -> tuple[Array]:
    (ct_z, ct_mean, ct_var), (z, _, var) = ct, out
    shape = z.shape
    n = max(_count(shape, axes), 1)
    std = _spread(var, shape, axes, eps)
    parts = []
    if ct_z is not None:
        parts.append(standardize_adjoint(ct_z, z, reciprocal(std), axes=axes))
    if ct_mean is not None:
        parts.append(expand_to(div(ct_mean, n), shape, axes))
    if ct_var is not None:
        weight = scale(reshape(ct_var, shape=_kept(shape, axes)), mul(2 / n, std))
        parts.append(scale(weight, z))
    total = parts[0]
    for part in parts[1:]:
        total = add(total, part)
    return (fit(total, ins[0]),)  # type: ignore[arg-type]


def _standardized(x: Array, *, axes: Axes, eps: float) -> tuple[Array, Array, Array]:
    mean = _mean(x, axes)
    z = sub(x, mean)
    var = _mean(mul(z, z), axes)
    rest = tuple(d for i, d in enumerate(x.shape) if i not in axes)
    return mul(z, reciprocal(sqrt(add(var, eps)))), reshape(mean, shape=rest), reshape(var, shape=rest)


standardize = Op(
    name="standardize",
    accepts=FLOAT,
    multi=True,
    shape=_standardize_shape,
    eval=_standardize_eval,
    jvp=_standardize_jvp,
    vjp=_standardize_vjp,
    saves=("out",),
    batch=lambda xs, batched, size, *, axes, eps: standardize(xs[0], axes=tuple(a + 1 for a in axes), eps=eps),
    samples=(
        Sample((3, 4), axes=(1,), eps=1e-3),
        Sample((2, 3, 4), axes=(0, 2), eps=0.1),
        Sample((4,), axes=(0,), eps=0.0),
        Sample((0, 3), axes=(1,), eps=1e-3),
        Sample((2, 0), axes=(1,), eps=1e-3),
    ),
    rejects=(Sample((3,), axes=(1,), eps=0.0, raises=ShapeError),),
    note="(z, mean, variance) with z = (x - mean) / √(variance + eps); constant rows need eps > 0",
    lower=Via(_standardized),
)

# ── standardize_adjoint ───────────────────────────────────────────────────────


def _adjoint_shape(v: Aval, z: Aval, r: Aval, *, axes: Axes) -> Aval:
    check_axes("standardize_adjoint", axes, z)
    if v.shape != z.shape or r.shape != _kept(z.shape, axes):
        raise ShapeError(
            "standardize_adjoint",
            got=f"{v}, {z} and {r} over {axes}",
            want="two operands of one shape, and a third with one element for each mean",
            fix="keep the axes of the mean",
            at=describe(here(2)),
        )
    return v


def _adjoint_eval(v: np.ndarray, z: np.ndarray, r: np.ndarray, *, axes: Axes) -> Any:
    n = max(_count(z.shape, axes), 1)
    t = np.asarray(v * z)
    np.multiply(z, np.add.reduce(t, axis=axes, keepdims=True) / n, out=t)
    np.subtract(v, t, out=t)
    t -= np.add.reduce(v, axis=axes, keepdims=True) / n
    t *= r
    if has_nan(t):
        return _strong_adjoint(v, z, r, axes, n)
    return t if t.ndim else t[()]


def _strong_adjoint(v: np.ndarray, z: np.ndarray, r: np.ndarray, axes: Axes, n: int) -> Any:
    """The same where z is not finite or there is no spread, so that z is NaN and r infinite: zero where v is."""

    def mean(x: Any) -> Any:
        return np.add.reduce(x, axis=axes, keepdims=True) / n

    along = mean(strong_zero(np.multiply(v, z), v))
    t = np.subtract(v, strong_zero(np.multiply(z, along), along)) - mean(v)
    return strong_zero(np.multiply(t, r), t)


def _adjoint_jvp(xs: Sequence[Array], dxs: Sequence[Array], out: Array, *, axes: Axes) -> Array:
    (v, z, r), (dv, dz, dr) = xs, dxs
    total = None if dv is None else standardize_adjoint(dv, z, r, axes=axes)
    if dz is not None:
        term = neg(scale(add(scale(dz, _mean(scale(v, z), axes)), scale(_mean(scale(dz, v), axes), z)), r))
        total = term if total is None else add(total, term)
    if dr is not None:
        term = scale(dr, standardize_adjoint(v, z, _ones(r), axes=axes))
        total = term if total is None else add(total, term)
    return fit_tangent(total, out)


def _adjoint_vjp(u: Array, ins: Vars, xs: Sequence[Array], out: Array, *, axes: Axes) -> tuple[Array | None, ...]:
    (v, z, r), (dv, dz, dr) = xs, (None, None, None)
    if ins[0] is not None:
        dv = fit(standardize_adjoint(u, z, r, axes=axes), ins[0])
    if ins[1] is not None:
        ru = scale(u, r)
        total = add(scale(ru, _mean(scale(v, z), axes)), scale(_mean(scale(ru, z), axes), v))
        dz = fit(neg(total), ins[1])
    if ins[2] is not None:
        dr = fit(scale(u, standardize_adjoint(v, z, np.ones(ins[2].shape, ins[2].dtype), axes=axes)), ins[2])
    return dv, dz, dr


def _ones(r: Array) -> np.ndarray:
    return np.ones(r.shape, r.dtype)


def _adjoint(v: Array, z: Array, r: Array, *, axes: Axes) -> Array:
    t = sub(v, scale(_mean(scale(v, z), axes), z))
    return scale(sub(t, _mean(v, axes)), r)


standardize_adjoint = Op(
    name="standardize_adjoint",
    accepts=FLOAT,
    shape=_adjoint_shape,
    eval=_adjoint_eval,
    jvp=_adjoint_jvp,
    vjp=_adjoint_vjp,
    saves={0: (1, 2), 1: (0, 1, 2), 2: (0, 1)},
    batch=lambda xs, batched, size, *, axes: standardize_adjoint(
        *all_batched(xs, batched, size), axes=tuple(a + 1 for a in axes)
    ),
    samples=(
        Sample((3, 4), (3, 4), (3, 1), axes=(1,)),
        Sample((2, 3, 4), (2, 3, 4), (1, 3, 1), axes=(0, 2)),
        Sample((0, 3), (0, 3), (0, 1), axes=(1,)),
    ),
    note="r·(v - mean(v) - z·mean(v·z)): the derivative of standardising, its own transpose in v",
    lower=Via(_adjoint),
)
