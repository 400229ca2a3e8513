"""Vector norms over any axes, with the subgradient 0 at the origin, and no NaN there at any order."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.core.aval import FLOAT, INEXACT, Aval
from wengert.core.errors import ShapeError
from wengert.core.form import Map, Via
from wengert.core.op import Op, Sample
from wengert.core.tensor import Array
from wengert.graph.program import Vars
from wengert.ops import scalars
from wengert.ops.basis import check_axes, fit, fit_tangent, real, reduce_sum, reshape, scale
from wengert.ops.elementwise import abs_, mul, phase, pow_, sqrt, square
from wengert.ops.family import elementwise
from wengert.ops.matrix import c, real_of
from wengert.ops.spectrum import inverse_or_zero

# ── power_or_zero ─────────────────────────────────────────────────────────────


def _power_eval(x: Array, *, p: float) -> Array:
    return np.power(x, p, out=np.zeros_like(x), where=x != 0)[()]


def _power_scalar(b: Any, x: Any, *, p: float) -> Any:
    power = b.sqrt(x) if p == 0.5 else b.math("pow", x, b.like(p, x))
    return b.select(scalars.is_zero(b, x), b.like(0, x), power)


power_or_zero = elementwise(
    "power_or_zero",
    np.positive,
    [lambda r, *, p: mul(p, power_or_zero(r.x, p=p - 1))],
    [("x",)],
    eval=_power_eval,
    accepts=FLOAT,
    samples=[Sample(s, p=p, domain=(0.3, 2.0)) for s, p in (((3, 4), 1.5), ((), -0.5), ((0,), 2.0))],
    note="xᵖ for x > 0, and 0 with all derivatives at 0",
    lower=Map(_power_scalar, cost=60),
)

# ── norms ─────────────────────────────────────────────────────────────────────


def _over(value: Array, x: Array, axes: tuple[int, ...]) -> Array:
    """A reduced value against the axes it was reduced over."""
    return reshape(value, shape=tuple(1 if i in axes else d for i, d in enumerate(x.shape)))


def _norm_shape(name: str) -> Any:
    def shape(x: Aval, *, axes: tuple[int, ...], **params: Any) -> Aval:
        check_axes(name, axes, x)
        return x.without(axes).with_dtype(real_of(x.dtype))

    return shape


def _slope2(x: Array, out: Array, axes: tuple[int, ...]) -> Array:
    return mul(c(x), _over(inverse_or_zero(out), x, axes))


def _norm2_eval(x: Array, *, axes: tuple[int, ...]) -> Array:
    if axes == tuple(range(x.ndim)):
        flat = x.ravel(order="K")
        if flat.dtype.kind == "c":  # part by part: a complex product makes NaN of an infinite element
            return np.sqrt(flat.real.dot(flat.real) + flat.imag.dot(flat.imag))
        return np.sqrt(flat.dot(flat))
    return np.sqrt(np.add.reduce((x.conj() * x).real, axis=axes))


def _norm2(x: Array, *, axes: tuple[int, ...]) -> Array:
    return sqrt(reduce_sum(square(x), axes=axes))


norm2 = Op(
    name="norm2",
    accepts=INEXACT,
    shape=_norm_shape("norm2"),
    eval=_norm2_eval,
    jvp=lambda xs, dxs, out, *, axes: fit_tangent(
        real(reduce_sum(scale(dxs[0], _slope2(xs[0], out, axes)), axes=axes)), out
    ),
    vjp=lambda ct, ins, xs, out, *, axes: (fit(scale(_over(ct, xs[0], axes), _slope2(xs[0], out, axes)), ins[0]),),
    saves=(0, "out"),
    batch=lambda xs, batched, size, *, axes: norm2(xs[0], axes=tuple(a + 1 for a in axes)),
    samples=(
        Sample((3, 4), axes=(0, 1)),
        Sample((3, 4), axes=(1,)),
        Sample((2, 3, 4), axes=(0, 2)),
        Sample((), axes=(), domain=(0.3, 2.0)),
        Sample((0,), axes=(0,)),
    ),
    rejects=(Sample((3,), axes=(1,), raises=ShapeError),),
    note="the Euclidean norm; at 0 the subgradient 0 is taken",
    lower=Via(_norm2),
)


def _slope_p(x: Array, out: Array, axes: tuple[int, ...], p: float) -> Array:
    share = mul(abs_(x), _over(inverse_or_zero(out), x, axes))
    return mul(c(phase(x)), power_or_zero(share, p=p - 1))


def _norm_p_eval(x: Array, *, axes: tuple[int, ...], p: float) -> Array:
    return np.power(np.add.reduce(np.abs(x) ** p, axis=axes), 1 / p)


def _norm_p_vjp(
    ct: Array, ins: Vars, xs: Sequence[Array], out: Array, *, axes: tuple[int, ...], p: float
) -> tuple[Array]:
    return (fit(scale(_over(ct, xs[0], axes), _slope_p(xs[0], out, axes, p)), ins[0]),)


def _norm_p(x: Array, *, axes: tuple[int, ...], p: float) -> Array:
    return pow_(reduce_sum(pow_(abs_(x), p), axes=axes), 1 / p)


norm_p = Op(
    name="norm_p",
    accepts=INEXACT,
    shape=_norm_shape("norm_p"),
    eval=_norm_p_eval,
    jvp=lambda xs, dxs, out, *, axes, p: fit_tangent(
        real(reduce_sum(scale(dxs[0], _slope_p(xs[0], out, axes, p)), axes=axes)), out
    ),
    vjp=_norm_p_vjp,
    saves=(0, "out"),
    batch=lambda xs, batched, size, *, axes, p: norm_p(xs[0], axes=tuple(a + 1 for a in axes), p=p),
    samples=(
        Sample((3, 4), axes=(1,), p=3.0, domain=(0.3, 2.0)),
        Sample((3, 4), axes=(0,), p=1.5, domain=(0.3, 2.0)),
        Sample((3, 4), axes=(0, 1), p=-2.0, domain=(0.3, 2.0)),
    ),
    rejects=(Sample((3,), axes=(1,), p=3.0, raises=ShapeError),),
    note="(Σ|x|ᵖ)^(1/p); where an element is 0 its subgradient 0 is taken",
    lower=Via(_norm_p),
)

__all__ = ["norm2", "norm_p", "power_or_zero"]
