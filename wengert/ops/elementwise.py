"""Elementwise ops: arithmetic, powers, exponentials, trigonometry, and functions of two variables.

Operands broadcast as in NumPy, and Python scalars are weak (NEP 50). Each op is its
partial derivatives (see `family.py`). Subgradients at kinks are given in `note`.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.core.aval import FLOAT, INEXACT, INT
from wengert.core.form import Map, Unsupported, Via
from wengert.core.op import Op, Sample
from wengert.core.tensor import Array
from wengert.graph.program import Var, Vars
from wengert.ops import scalars
from wengert.ops.basis import (
    BINARY_SAMPLES,
    add,
    arithmetic_shape,
    batch_elementwise,
    conj,
    fit,
    fit_tangent,
    imag,
    inexact_dtype,
    linear,
    neg,
    real,
    real_dtype,
    scale,
    strong_mul,
    strong_zero,
    times,
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
    lower=scalars.lifted("sub"),
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
        None if x is None else times(ct, xs[1], x),
        None if y is None else times(ct, xs[0], y),
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
    lower=scalars.lifted("mul"),
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


def _unscale_vjp(ct: Array, ins: Vars, xs: Sequence[Array], out: Array) -> tuple[Array | None, ...]:
    # ∂/∂y is strong in both factors: where the quotient is a strong zero, ct may well be infinite or NaN.
    x, y = ins
    return (
        None if x is None else fit(unscale(ct, xs[1]), x),
        None if y is None else fit(neg(strong_mul(ct, unscale(out, xs[1]))), y),
    )


def _unscale_jvp(xs: Sequence[Array], dxs: Sequence[Array], out: Array) -> Array:
    dx, dy = dxs
    total = None if dx is None else unscale(dx, xs[1])
    if dy is not None:
        term = neg(strong_mul(dy, unscale(out, xs[1])))
        total = term if total is None else add(total, term)
    return fit_tangent(total, out)


_DIV_SAMPLES = tuple(Sample(*s, domain=((-2.0, 2.0), AWAY)) for s in SHAPES_2)

unscale = Op(
    name="unscale",
    accepts=INEXACT,
    shape=elementwise_shape("unscale", np.true_divide),
    eval=lambda x, y: strong_zero(np.true_divide(x, y), x),
    jvp=_unscale_jvp,
    vjp=_unscale_vjp,
    saves={0: (1,), 1: (1, "out")},
    batch=batch_elementwise(lambda: unscale),
    samples=_DIV_SAMPLES,
    note="the strong quotient x / y: where x is zero the result is zero, even if y is zero or NaN",
    lower=Map(scalars.unscale, cost=14),
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
    lower=scalars.lifted("div", cost=scalars.DIVISION),
)

# ── sign, phase, abs ──────────────────────────────────────────────────────────

sign = piecewise_constant(
    "sign",
    np.sign,
    "sign is constant on each side of zero",
    accepts=INT | FLOAT,
    lower=Map(scalars.sign, cost=4),
)


def _phase_jvp(xs: Sequence[Array], dxs: Sequence[Array], out: Array) -> Array:
    turn = unscale(imag(mul(conj(out), dxs[0])), abs_(xs[0]))
    return fit_tangent(mul(mul(out, 1j), turn), out)


def _phase_vjp(ct: Array, ins: Sequence[Var], xs: Sequence[Array], out: Array) -> tuple[Array]:
    turn = unscale(imag(mul(out, ct)), abs_(xs[0]))
    return (fit(mul(mul(conj(out), 1j), turn), ins[0]),)


phase = Op(
    name="phase",
    accepts=INEXACT,
    shape=lambda x: x,
    eval=np.sign,
    jvp=_phase_jvp,
    vjp=_phase_vjp,
    saves=(0, "out"),
    batch=batch_elementwise(lambda: phase),
    samples=tuple(Sample(s, domain=AWAY) for s in SHAPES_1),
    note="z / |z|, the sign of a complex number: it moves along the unit circle. At 0 the subgradient 0 is taken",
    lower=Map(scalars.sign, cost=4),
)


def _abs_slope(x: Array) -> Array:
    return conj(phase(x)) if x.dtype.kind == "c" else sign(x)


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
    lower=scalars.lifted("abs"),
)

fabs = unary(
    "fabs",
    np.fabs,
    lambda r: sign(r.x),
    ("x",),
    accepts=FLOAT,
    domain=AWAY,
    note="at 0 the subgradient 0 is taken",
    lower=scalars.lifted("abs"),
)
positive = linear(
    "positive",
    shape=lambda x: x,
    eval=operator.pos,
    transpose=lambda ct, var: ct,
    batch=lambda xs, batched, size: positive(xs[0]),
    samples=(Sample((3, 4)), Sample(()), Sample((0,))),
    lower=Via(lambda x: x),
)

# ── powers and roots ──────────────────────────────────────────────────────────


def _sqrt_scalar(b: Any, x: Any) -> Any:
    scalars.floating(x)
    return b.sqrt(x)


reciprocal = unary(
    "reciprocal",
    np.reciprocal,
    lambda r: neg(square(r.out)),
    ("out",),
    domain=AWAY,
    lower=Map(scalars.reciprocal, cost=scalars.DIVISION),
)
square = unary(
    "square",
    np.square,
    lambda r: mul(2, r.x),
    ("x",),
    lower=Map(scalars.square),
)
sqrt = unary(
    "sqrt",
    np.sqrt,
    lambda r: div(0.5, r.out),
    ("out",),
    domain=AWAY,
    note="infinite slope at 0",
    lower=Map(_sqrt_scalar, cost=scalars.DIVISION),
)
cbrt = unary(
    "cbrt",
    np.cbrt,
    lambda r: reciprocal(mul(3, square(r.out))),
    ("out",),
    domain=AWAY,
    accepts=FLOAT,
    lower=scalars.mathematical("cbrt"),
)
pow_ = binary(
    "pow",
    np.power,
    lambda r: scale(r.y, pow_(r.x, sub(r.y, 1))),  # strong in the exponent: x**0 has slope 0 even at 0
    lambda r: pow_log(r.x, r.y, n=1),
    ("x", "y"),
    ("x", "y"),
    domain=AWAY,
    note="∂/∂y at x = 0 is 0 for y ≥ 0; it is NaN for x < 0, where x**y is defined at isolated y alone",
    lower=Map(scalars.power, cost=60),
)


def _pow_log_eval(x: Array, y: Array, *, n: int) -> Array:
    power = np.power(x, y)
    out = power * np.log(x) ** n
    return np.where((np.equal(x, 0)) & (np.real(y) >= 0), np.zeros((), out.dtype), out)[()]


def _pow_log_slope(x: Array, y: Array, n: int) -> Array:
    less = sub(y, 1)
    constant = pow_(x, less) if n == 1 else mul(n, pow_log(x, less, n=n - 1))
    return add(scale(y, pow_log(x, less, n=n)), constant)


def _pow_log_scalar(b: Any, x: Any, y: Any, *, n: int) -> Any:
    out = b.mul(b.math("pow", x, y), scalars.whole_power(b, b.math("log", x), n))
    end = b.and_(scalars.is_zero(b, x), b.compare("ge", y, b.like(0, y)))
    return b.select(end, b.like(0, out), out)


pow_log = binary(
    "pow_log",
    lambda x, y, n: np.power(x, y) * np.log(x),
    lambda r, n: _pow_log_slope(r.x, r.y, n),
    lambda r, n: pow_log(r.x, r.y, n=n + 1),
    ("x", "y"),
    ("x", "y"),
    eval=_pow_log_eval,
    samples=[Sample(*s, domain=AWAY, n=k) for s in SHAPES_2 for k in (1, 2)],
    note="x**y · log(x)**n, with 0 at x = 0 for y ≥ 0: the derivatives of a power in its exponent",
    lower=Map(_pow_log_scalar, cost=90),
)

# ── exponentials and logarithms ───────────────────────────────────────────────

exp = unary(
    "exp",
    np.exp,
    lambda r: r.out,
    ("out",),
    lower=scalars.mathematical("exp"),
)
exp2 = unary(
    "exp2",
    np.exp2,
    lambda r: mul(LN2, r.out),
    ("out",),
    lower=scalars.mathematical("exp2"),
)
expm1 = unary(
    "expm1",
    np.expm1,
    lambda r: exp(r.x),
    ("x",),
    lower=scalars.mathematical("expm1"),
)  # out + 1 has lost exp(x) where out is near -1
log = unary(
    "log",
    np.log,
    lambda r: reciprocal(r.x),
    ("x",),
    domain=AWAY,
    lower=scalars.mathematical("log"),
)
log2 = unary(
    "log2",
    np.log2,
    lambda r: div(1 / LN2, r.x),
    ("x",),
    domain=AWAY,
    lower=scalars.mathematical("log2"),
)
log10 = unary(
    "log10",
    np.log10,
    lambda r: div(1 / LN10, r.x),
    ("x",),
    domain=AWAY,
    lower=scalars.mathematical("log10"),
)
log1p = unary(
    "log1p",
    np.log1p,
    lambda r: reciprocal(add(r.x, 1)),
    ("x",),
    domain=(-0.5, 2.0),
    lower=scalars.mathematical("log1p"),
)


def _logistic_eval(x: Array, y: Array) -> Array:
    with np.errstate(all="ignore"):
        out = 1 / (1 + np.exp(np.subtract(y, x)))
    tie = np.isinf(x) & np.equal(x, y)
    return np.where(tie, np.full((), 0.5, out.dtype), out)[()] if tie.any() else out


def _logistic_scalar(b: Any, x: Any, y: Any) -> Any:
    share = scalars.sigmoid(b, b.sub(x, y))
    tie = b.and_(scalars.isinf(b, x), b.compare("eq", x, y))
    return b.select(tie, b.like(0.5, x), share)


def _logaddexp2_scalar(b: Any, x: Any, y: Any) -> Any:
    apart = scalars.times(b, 1 / LN2, b.math("log1p", b.math("exp2", b.neg(b.abs(b.sub(x, y))))))
    tie = b.compare("eq", x, y)
    return b.select(tie, scalars.plus(b, 1, x), b.add(b.maximum(x, y), apart))


logistic_share = binary(
    "logistic_share",
    _logistic_eval,
    lambda r: mul(r.out, logistic_share(r.y, r.x)),  # not 1 - out: each share has its own digits
    lambda r: neg(mul(r.out, logistic_share(r.y, r.x))),
    ("x", "y", "out"),
    ("x", "y", "out"),
    accepts=FLOAT,
    note="exp(x) / (exp(x) + exp(y)), and 1/2 where x and y are the same infinity",
    lower=Map(_logistic_scalar, cost=40),
)
logaddexp = binary(
    "logaddexp",
    np.logaddexp,
    lambda r: logistic_share(r.x, r.y),
    lambda r: logistic_share(r.y, r.x),
    ("x", "y"),
    ("x", "y"),
    accepts=FLOAT,
    note="equal infinities share the derivative equally",
    lower=scalars.mathematical("logaddexp", 50),
)
logaddexp2 = binary(
    "logaddexp2",
    np.logaddexp2,
    lambda r: logistic_share(mul(LN2, r.x), mul(LN2, r.y)),
    lambda r: logistic_share(mul(LN2, r.y), mul(LN2, r.x)),
    ("x", "y"),
    ("x", "y"),
    accepts=FLOAT,
    note="equal infinities share the derivative equally",
    lower=Map(_logaddexp2_scalar, cost=60),
)

# ── trigonometry ──────────────────────────────────────────────────────────────

INSIDE = (-0.8, 0.8)

sin = unary(
    "sin",
    np.sin,
    lambda r: cos(r.x),
    ("x",),
    lower=scalars.mathematical("sin"),
)
cos = unary(
    "cos",
    np.cos,
    lambda r: neg(sin(r.x)),
    ("x",),
    lower=scalars.mathematical("cos"),
)
tan = unary(
    "tan",
    np.tan,
    lambda r: add(square(r.out), 1),
    ("out",),
    domain=(-1.0, 1.0),
    lower=scalars.mathematical("tan"),
)
arcsin = unary(
    "arcsin",
    np.arcsin,
    lambda r: reciprocal(sqrt(_one_minus_square(r.x))),
    ("x",),
    domain=INSIDE,
    lower=scalars.mathematical("arcsin"),
)
arccos = unary(
    "arccos",
    np.arccos,
    lambda r: neg(reciprocal(sqrt(_one_minus_square(r.x)))),
    ("x",),
    domain=INSIDE,
    lower=scalars.mathematical("arccos"),
)
arctan = unary(
    "arctan",
    np.arctan,
    lambda r: reciprocal(add(square(r.x), 1)),
    ("x",),
    lower=scalars.mathematical("arctan"),
)
sinh = unary(
    "sinh",
    np.sinh,
    lambda r: cosh(r.x),
    ("x",),
    lower=scalars.mathematical("sinh"),
)
cosh = unary(
    "cosh",
    np.cosh,
    lambda r: sinh(r.x),
    ("x",),
    lower=scalars.mathematical("cosh"),
)
tanh = unary(
    "tanh",
    np.tanh,
    lambda r: sub(
        1, square(r.out)
    ),  # 1/cosh² keeps its digits where tanh saturates, and costs a residual and an exponential
    ("out",),
    note="1 - tanh(x)², read off the output: right to rounding of 1, so 0 where tanh(x) rounds to 1",
    lower=scalars.mathematical("tanh"),
)
arcsinh = unary(
    "arcsinh",
    np.arcsinh,
    lambda r: reciprocal(sqrt(add(square(r.x), 1)) if r.x.dtype.kind == "c" else hypot(r.x, 1.0)),
    ("x",),
    lower=scalars.mathematical("arcsinh"),
)
arccosh = unary(
    "arccosh",
    np.arccosh,
    lambda r: reciprocal(mul(sqrt(sub(r.x, 1)), sqrt(add(r.x, 1)))),  # two roots: right on both complex sheets
    ("x",),
    domain=(1.3, 3.0),
    lower=scalars.mathematical("arccosh"),
)
arctanh = unary(
    "arctanh",
    np.arctanh,
    lambda r: reciprocal(_one_minus_square(r.x)),
    ("x",),
    domain=INSIDE,
    lower=scalars.mathematical("arctanh"),
)


def _one_minus_square(x: Array) -> Array:
    """1 - x², without cancellation near ±1."""
    return mul(sub(1, x), add(1, x))


# ── angles and distances ──────────────────────────────────────────────────────

rad2deg = unary(
    "rad2deg",
    np.rad2deg,
    lambda r: 180 / math.pi,
    (),
    accepts=FLOAT,
    lower=Map(lambda b, x: scalars.times(b, 180 / math.pi, x)),
)
deg2rad = unary(
    "deg2rad",
    np.deg2rad,
    lambda r: math.pi / 180,
    (),
    accepts=FLOAT,
    lower=Map(lambda b, x: scalars.times(b, math.pi / 180, x)),
)


def _direction_scalar(b: Any, x: Any, y: Any) -> Any:
    return scalars.strong(b, b.div(x, b.math("hypot", x, y)), x)


def _inversion_scalar(b: Any, x: Any, y: Any) -> Any:
    distance = b.math("hypot", x, y)
    return scalars.strong(b, b.div(b.div(x, distance), distance), x)


direction = binary(
    "direction",
    lambda x, y: strong_zero(np.true_divide(x, np.hypot(x, y)), x),
    lambda r: unscale(square(direction(r.y, r.x)), hypot(r.x, r.y)),
    lambda r: neg(unscale(mul(r.out, direction(r.y, r.x)), hypot(r.x, r.y))),
    ("x", "y"),
    ("x", "y", "out"),
    domain=AWAY,
    accepts=FLOAT,
    note="x / hypot(x, y), the cosine of the angle of (x, y). At the origin it and all its derivatives are taken as 0",
    lower=Map(_direction_scalar, cost=50),
)
hypot = binary(
    "hypot",
    np.hypot,
    lambda r: direction(r.x, r.y),
    lambda r: direction(r.y, r.x),
    ("x", "y"),
    ("x", "y"),
    domain=AWAY,
    accepts=FLOAT,
    note="at the origin the subgradient 0 is taken",
    lower=scalars.mathematical("hypot"),
)
inversion = binary(
    "inversion",
    lambda x, y: strong_zero(np.true_divide(np.true_divide(x, np.hypot(x, y)), np.hypot(x, y)), x),
    lambda r: _inversion_slope(r.out, inversion(r.y, r.x)),
    lambda r: mul(-2, mul(r.out, inversion(r.y, r.x))),
    ("x", "y", "out"),
    ("x", "y", "out"),
    domain=AWAY,
    accepts=FLOAT,
    note="x / (x² + y²), without squares that overflow. At the origin it and all its derivatives are taken as 0",
    lower=Map(_inversion_scalar, cost=60),
)


def _inversion_slope(u: Array, v: Array) -> Array:
    """∂u/∂x = v² - u² where u = x / (x² + y²) and v = y / (x² + y²)."""
    return mul(sub(v, u), add(v, u))


arctan2 = binary(
    "arctan2",
    np.arctan2,
    lambda r: inversion(r.y, r.x),
    lambda r: neg(inversion(r.x, r.y)),
    ("x", "y"),
    ("x", "y"),
    domain=AWAY,
    accepts=FLOAT,
    note="at the origin, where no derivative exists, 0 is taken",
    lower=scalars.mathematical("arctan2"),
)

# ── sinc ──────────────────────────────────────────────────────────────────────


def _sinc_eval(x: Array, *, n: int = 0) -> Array:
    """The nth derivative of sin(πx) / (πx).

    With S(t) = sin(t) / t, the product rule on t·S = sin gives t·S⁽ⁿ⁾ + n·S⁽ⁿ⁻¹⁾ = sin⁽ⁿ⁾, which loses no
    digits for |t| > n; nearer to zero the power series converges fast.
    """
    if n == 0:
        return np.sinc(x)
    t = np.pi * np.asarray(x)
    near = abs(t) < max(1, n)
    far = np.where(near, np.ones((), t.dtype), t)
    turn = np.pi * (x - 2 * np.round(np.real(x) / 2))  # πx less whole turns, exactly
    sin, cos = np.sin(turn), np.cos(turn)
    value = sin / far
    for k in range(1, n + 1):
        value = ((sin, cos, -sin, -cos)[k % 4] - k * value) / far
    if near.any():
        value = np.where(near, _sinc_series(np.where(near, t, np.zeros((), t.dtype)), n), value)
    return (np.pi**n * value)[()]


def _sinc_coefficients(n: int) -> tuple[float, ...]:
    """Those of Σ (-1)ᵏ t²ᵏ⁻ⁿ / ((2k - n)! (2k + 1)) over 2k ≥ n, from the lowest power."""
    first = (n + 1) // 2
    return tuple([(-1) ** k / (math.factorial(2 * k - n) * (2 * k + 1)) for k in range(first, first + n + 13)])


def _sinc_series(t: np.ndarray, n: int) -> np.ndarray:
    total = np.zeros_like(t)
    for c in reversed(_sinc_coefficients(n)):  # Horner's scheme in t²
        total = total * t * t + c
    return total * t if n % 2 else total


def _sinc_scalar(b: Any, x: Any, *, n: int = 0) -> Any:
    t = scalars.times(b, math.pi, x)
    if n == 0:
        return b.select(scalars.is_zero(b, t), b.like(1, t), b.div(b.math("sin", t), t))
    if n > 4:
        raise Unsupported("a high derivative of sinc")
    turn = scalars.times(b, math.pi, b.sub(x, scalars.times(b, 2, b.rint(scalars.times(b, 0.5, x)))))
    sin, cos = b.math("sin", turn), b.math("cos", turn)
    value = b.div(sin, t)
    for k in range(1, n + 1):
        value = b.div(b.sub((sin, cos, b.neg(sin), b.neg(cos))[k % 4], scalars.times(b, k, value)), t)
    series = scalars.horner(b, _sinc_coefficients(n), b.mul(t, t))
    near = b.compare("lt", b.abs(t), b.like(max(1, n), t))
    return scalars.times(b, math.pi**n, b.select(near, b.mul(series, t) if n % 2 else series, value))


sinc = unary(
    "sinc",
    lambda x, n=0: np.sinc(x),
    lambda r, n=0: sinc(r.x, n=n + 1),
    ("x",),
    eval=_sinc_eval,
    samples=[Sample(s) for s in SHAPES_1] + [Sample((7,), n=k) for k in (1, 2, 3)],
    note="sinc(x, n=n) is the nth derivative; exact at 0, for every n",
    lower=Map(_sinc_scalar, cost=40),
)

# ── modified Bessel functions of the first kind ───────────────────────────────


def _bessel_i_eval(x: Array, *, n: int) -> Array:
    if n == 0:
        return np.i0(x).reshape(np.shape(x))[()]  # in float64, whatever x is
    from scipy.special import i1, iv

    return np.asarray(i1(x) if n == 1 else iv(n, x)).astype(inexact_dtype(np.result_type(x)), copy=False)[()]


bessel_i = unary(
    "bessel_i",
    lambda x, n: np.i0(x),
    lambda r, n: bessel_i(r.x, n=1) if n == 0 else mul(0.5, add(bessel_i(r.x, n=n - 1), bessel_i(r.x, n=n + 1))),
    ("x",),
    eval=_bessel_i_eval,
    accepts=FLOAT,
    samples=[Sample(s, n=k) for s in SHAPES_1 for k in (0, 1, 2)],
    note="I_n(x), for a static integer n ≥ 0",
    source="Abramowitz & Stegun (1964), 9.6.26",
)
