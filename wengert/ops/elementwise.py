"""Elementwise ops: arithmetic, powers, exponentials, trigonometry.

Operands broadcast as in NumPy, and Python scalars are weak (NEP 50). Each op is its
partial derivatives (see `family.py`). Subgradients at kinks are given in `note`.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence

import numpy as np

from wengert.core.aval import FLOAT, INEXACT
from wengert.core.op import Op, Sample
from wengert.core.tensor import Array
from wengert.graph.program import Vars
from wengert.ops.basis import (
    BINARY_SAMPLES,
    add,
    arithmetic_shape,
    batch_elementwise,
    conj,
    fit,
    fit_tangent,
    neg,
    real,
    real_dtype,
    scale,
    strong_zero,
)
from wengert.ops.family import SHAPES_1, SHAPES_2, binary, elementwise_shape, piecewise_constant, unary

LN2, LN10 = math.log(2.0), math.log(10.0)
AWAY = (0.3, 2.0)  # a domain away from zero

# ── sub, mul ──────────────────────────────────────────────────────────────────


def _sub_jvp(xs: Sequence[Array], dxs: Sequence[Array], out: Array) -> Array:
    dx, dy = dxs
    return fit_tangent(dx if dy is None else neg(dy) if dx is None else sub(dx, dy), out)


def _sub_vjp(ct: Array, ins: Vars, xs: Sequence[Array], out: Array) -> tuple[Array | None, ...]:
    x, y = ins
    return None if x is None else fit(ct, x), None if y is None else fit(neg(ct), y)


sub = Op(
    name="sub",
    accepts=INEXACT,
    shape=arithmetic_shape("sub"),
    eval=operator.sub,
    jvp=_sub_jvp,
    vjp=_sub_vjp,
    saves=(),
    batch=batch_elementwise(lambda: sub),
    samples=BINARY_SAMPLES,
)


def _mul_jvp(xs: Sequence[Array], dxs: Sequence[Array], out: Array) -> Array:
    dx, dy = dxs
    if dy is None:
        return fit_tangent(scale(dx, xs[1]), out)
    if dx is None:
        return fit_tangent(scale(dy, xs[0]), out)
    return add(scale(dx, xs[1]), scale(dy, xs[0]))


def _mul_vjp(ct: Array, ins: Vars, xs: Sequence[Array], out: Array) -> tuple[Array | None, ...]:
    x, y = ins
    return (
        None if x is None else fit(scale(ct, xs[1]), x),
        None if y is None else fit(scale(ct, xs[0]), y),
    )


mul = Op(
    name="mul",
    accepts=INEXACT,
    shape=arithmetic_shape("mul"),
    eval=operator.mul,
    jvp=_mul_jvp,
    vjp=_mul_vjp,
    saves={0: (1,), 1: (0,)},
    batch=batch_elementwise(lambda: mul),
    samples=BINARY_SAMPLES,
)

# ── div, unscale ──────────────────────────────────────────────────────────────


def _div_jvp(xs: Sequence[Array], dxs: Sequence[Array], out: Array) -> Array:
    dx, dy = dxs
    total = None if dx is None else unscale(dx, xs[1])
    if dy is not None:
        term = neg(scale(dy, unscale(out, xs[1])))
        total = term if total is None else add(total, term)
    return fit_tangent(total, out)


def _div_vjp(ct: Array, ins: Vars, xs: Sequence[Array], out: Array) -> tuple[Array | None, ...]:
    x, y = ins
    dx = unscale(ct, xs[1])
    return (
        None if x is None else fit(dx, x),
        None if y is None else fit(neg(scale(dx, out)), y),
    )


_DIV_SAMPLES = tuple(Sample(*s, domain=((-2.0, 2.0), AWAY)) for s in SHAPES_2)

unscale = Op(
    name="unscale",
    accepts=INEXACT,
    shape=elementwise_shape("unscale", np.true_divide),
    eval=lambda x, y: strong_zero(np.true_divide(x, y), x),
    jvp=_div_jvp,
    vjp=_div_vjp,
    saves={0: (1,), 1: (1, "out")},
    batch=batch_elementwise(lambda: unscale),
    samples=_DIV_SAMPLES,
    note="the strong quotient x / y: where x is zero the result is zero, even if y is zero or NaN",
)

div = Op(
    name="div",
    accepts=INEXACT,
    shape=elementwise_shape("div", np.true_divide),
    eval=operator.truediv,
    jvp=_div_jvp,
    vjp=_div_vjp,
    saves={0: (1,), 1: (1, "out")},
    batch=batch_elementwise(lambda: div),
    samples=_DIV_SAMPLES,
)

# ── abs, sign ─────────────────────────────────────────────────────────────────

sign = piecewise_constant("sign", np.sign, "sign is constant on each side of zero")


def _abs_slope(x: Array) -> Array:
    # A complex modulus has the conjugate phase for slope; 0/0 at the origin is a strong zero.
    return unscale(conj(x), abs_(x)) if x.dtype.kind == "c" else sign(x)


abs_ = Op(
    name="abs",
    accepts=INEXACT,
    shape=lambda x: x.with_dtype(real_dtype(x.dtype)),
    eval=operator.abs,
    jvp=lambda xs, dxs, out: real(scale(dxs[0], _abs_slope(xs[0]))),
    vjp=lambda ct, ins, xs, out: (fit(scale(ct, _abs_slope(xs[0])), ins[0]),),
    saves=(0,),
    batch=batch_elementwise(lambda: abs_),
    samples=tuple(Sample(s, domain=AWAY) for s in SHAPES_1),
    note="at 0 the subgradient 0 is taken",
)

# ── powers and roots ──────────────────────────────────────────────────────────

reciprocal = unary("reciprocal", np.reciprocal, lambda r: neg(square(r.out)), ("out",), domain=AWAY)
square = unary("square", np.square, lambda r: mul(2, r.x), ("x",))
sqrt = unary("sqrt", np.sqrt, lambda r: div(0.5, r.out), ("out",), domain=AWAY, note="infinite slope at 0")
cbrt = unary(
    "cbrt",
    np.cbrt,
    lambda r: reciprocal(mul(3, square(r.out))),
    ("out",),
    domain=AWAY,
    accepts=FLOAT,
)
pow_ = binary(
    "pow",
    np.power,
    # Strong in the exponent: x**0 has slope 0 even at 0, and in the power: 0**y has ∂/∂y 0.
    lambda r: scale(r.y, pow_(r.x, sub(r.y, 1))),
    lambda r: scale(r.out, log(r.x)),
    ("x", "y"),
    ("x", "out"),
    domain=AWAY,
    note="∂/∂y at x = 0 is 0 for y > 0; it is NaN for x < 0, where x**y is defined at isolated y alone",
)

# ── exponentials and logarithms ───────────────────────────────────────────────

exp = unary("exp", np.exp, lambda r: r.out, ("out",))
exp2 = unary("exp2", np.exp2, lambda r: mul(LN2, r.out), ("out",))
expm1 = unary("expm1", np.expm1, lambda r: add(r.out, 1), ("out",))
log = unary("log", np.log, lambda r: reciprocal(r.x), ("x",), domain=AWAY)
log2 = unary("log2", np.log2, lambda r: div(1 / LN2, r.x), ("x",), domain=AWAY)
log10 = unary("log10", np.log10, lambda r: div(1 / LN10, r.x), ("x",), domain=AWAY)
log1p = unary("log1p", np.log1p, lambda r: reciprocal(add(r.x, 1)), ("x",), domain=(-0.5, 2.0))

# ── trigonometry ──────────────────────────────────────────────────────────────

INSIDE = (-0.8, 0.8)

sin = unary("sin", np.sin, lambda r: cos(r.x), ("x",))
cos = unary("cos", np.cos, lambda r: neg(sin(r.x)), ("x",))
tan = unary("tan", np.tan, lambda r: add(square(r.out), 1), ("out",), domain=(-1.0, 1.0))
arcsin = unary("arcsin", np.arcsin, lambda r: reciprocal(sqrt(_one_minus_square(r.x))), ("x",), domain=INSIDE)
arccos = unary("arccos", np.arccos, lambda r: neg(reciprocal(sqrt(_one_minus_square(r.x)))), ("x",), domain=INSIDE)
arctan = unary("arctan", np.arctan, lambda r: reciprocal(add(square(r.x), 1)), ("x",))
sinh = unary("sinh", np.sinh, lambda r: cosh(r.x), ("x",))
cosh = unary("cosh", np.cosh, lambda r: sinh(r.x), ("x",))
tanh = unary("tanh", np.tanh, lambda r: sub(1, square(r.out)), ("out",))
arcsinh = unary("arcsinh", np.arcsinh, lambda r: reciprocal(sqrt(add(square(r.x), 1))), ("x",))
arccosh = unary(
    "arccosh",
    np.arccosh,
    lambda r: reciprocal(mul(sqrt(sub(r.x, 1)), sqrt(add(r.x, 1)))),  # two roots: right on both complex sheets
    ("x",),
    domain=(1.3, 3.0),
)
arctanh = unary("arctanh", np.arctanh, lambda r: reciprocal(_one_minus_square(r.x)), ("x",), domain=INSIDE)


def _one_minus_square(x: Array) -> Array:
    """1 - x², without cancellation near ±1."""
    return mul(sub(1, x), add(1, x))

