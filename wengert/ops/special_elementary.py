"""Elementary special functions: logistic, entropies, robust losses, Box-Cox, angles in degrees.

Differences that cancel where their parameter is small are moments of an exponential, or of a
reciprocal: ops of their own, each of which is the derivative of the one before.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy.special as sp

from wengert.core.aval import FLOAT, Aval
from wengert.core.form import Map, Unsupported, Via
from wengert.core.op import Sample
from wengert.core.tensor import Array
from wengert.ops import scalars
from wengert.ops.basis import add, neg, reshape, scale
from wengert.ops.elementwise import (
    abs_,
    cbrt,
    div,
    exp,
    exp2,
    expm1,
    hypot,
    log,
    log1p,
    mul,
    pow_,
    reciprocal,
    sign,
    sin,
    square,
    sub,
    unscale,
)
from wengert.ops.family import piecewise_constant
from wengert.ops.logic import isfinite
from wengert.ops.reduce import reduce_max
from wengert.ops.select import where
from wengert.ops.special import PI, SPECIAL, in_double, is_zero, predicate, special, widened

LN10 = math.log(10.0)

# ── logistic functions ────────────────────────────────────────────────────────


def _log_expit_scalar(b: Any, x: Any) -> Any:
    return b.neg(b.math("softplus", b.neg(x)))


def _logit_scalar(b: Any, x: Any) -> Any:
    far = b.math("log", b.div(x, b.sub(b.like(1, x), x)))
    s = scalars.times(b, 2, b.sub(x, b.like(0.5, x)))  # exact near 1/2, where the quotient cancels
    near = b.sub(b.math("log1p", s), b.math("log1p", b.neg(s)))
    close = b.and_(b.compare("gt", x, b.like(0.3, x)), b.compare("lt", x, b.like(0.65, x)))
    return b.select(close, near, far)


expit = special(
    "expit",
    "x",
    lambda x, out: mul(out, expit(neg(x))),
    lower=scalars.mathematical("sigmoid", 35),
)
log_expit = special(
    "log_expit",
    "x",
    lambda x: expit(neg(x)),
    lower=Map(_log_expit_scalar, cost=50),
)
logit = special(
    "logit",
    "x",
    lambda x: reciprocal(mul(x, sub(1, x))),
    domain=((0.1, 0.9),),
    note="infinite slope at 0 and 1",
    lower=Map(_logit_scalar, cost=70),
)
softplus = special(
    "softplus",
    "x",
    lambda x: expit(x),
    fn=in_double(lambda x: np.logaddexp(0.0, x)),
    lower=scalars.mathematical("softplus", 50),
)

# ── x·log y, entropies ────────────────────────────────────────────────────────


def _log_ratio(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    ratio = x / y
    gap = x - y
    far = np.where((ratio > 1e-290) & (ratio < 1e290), np.log(ratio), np.log(x) - np.log(y))
    out = np.where(np.abs(gap) < 0.5 * np.abs(y), np.log1p(gap / y), far)
    return np.where((x == 0) & (y == 0), 0.0, out)


def _log_ratio_scalar(b: Any, x: Any, y: Any) -> Any:
    ratio, gap, zero = b.div(x, y), b.sub(x, y), b.like(0, x)
    within = b.and_(b.compare("gt", ratio, b.like(1e-290, x)), b.compare("lt", ratio, b.like(1e290, x)))
    far = b.select(within, b.math("log", ratio), b.sub(b.math("log", x), b.math("log", y)))
    near = b.compare("lt", b.abs(gap), scalars.times(b, 0.5, b.abs(y)))
    out = b.select(near, b.math("log1p", b.div(gap, y)), far)
    return b.select(b.and_(b.compare("eq", x, zero), b.compare("eq", y, zero)), zero, out)


def _xlogy_scalar(name: str) -> Any:
    def scalar(b: Any, x: Any, y: Any) -> Any:
        product = b.mul(x, b.math(name, y))
        return b.select(b.and_(scalars.is_zero(b, x), b.not_(b.isnan(y))), b.like(0, x), product)

    return scalar


def _entr_scalar(b: Any, x: Any) -> Any:
    outside = b.select(scalars.is_zero(b, x), b.like(0, x), b.like(-math.inf, x))
    inside = b.neg(b.mul(x, b.math("log", x)))
    return b.select(b.compare("gt", x, b.like(0, x)), inside, b.select(b.isnan(x), x, outside))


def _entropy_scalar(b: Any, x: Any, y: Any, inside: Any, at_zero: Any) -> Any:
    """`inside` for positive operands, `at_zero` for x = 0 ≤ y, infinity elsewhere."""
    zero = b.like(0, x)
    both = b.and_(b.compare("gt", x, zero), b.compare("gt", y, zero))
    edge = b.and_(b.compare("eq", x, zero), b.compare("ge", y, zero))
    missing = b.or_(b.isnan(x), b.isnan(y))
    outside = b.select(missing, b.like(math.nan, x), b.like(math.inf, x))
    return b.select(both, inside, b.select(edge, at_zero, outside))


def _rel_entr_scalar(b: Any, x: Any, y: Any) -> Any:
    return _entropy_scalar(b, x, y, b.mul(x, _log_ratio_scalar(b, x, y)), b.like(0, x))


def _kl_div_scalar(b: Any, x: Any, y: Any) -> Any:
    inside = b.add(b.sub(b.mul(x, b.math("log", b.div(x, y))), x), y)
    return _entropy_scalar(b, x, y, inside, y)


log_ratio = special(
    "log_ratio",
    "x y",
    lambda x: reciprocal(x),
    lambda y: neg(reciprocal(y)),
    fn=in_double(_log_ratio),
    domain=((0.3, 2.0), (0.3, 2.0)),
    note="log(x / y) to full relative precision near 1, without overflow; 0 at (0, 0)",
    lower=widened(_log_ratio_scalar),
)

xlogy = special(
    "xlogy",
    "x y",
    lambda y: log(y),
    lambda x, y: unscale(x, y),
    domain=((-2.0, 2.0), (0.3, 2.0)),
    note="∂/∂y is 0 at x = 0, whatever y; ∂/∂x is -inf at y = 0, as is the one-sided derivative",
    lower=Map(_xlogy_scalar("log"), cost=30),
)
xlog1py = special(
    "xlog1py",
    "x y",
    lambda y: log1p(y),
    lambda x, y: unscale(x, add(1, y)),
    domain=((-2.0, 2.0), (-0.7, 2.0)),
    note="∂/∂y is 0 at x = 0, whatever y; ∂/∂x is -inf at y = -1, as is the one-sided derivative",
    lower=Map(_xlogy_scalar("log1p"), cost=30),
)
entr = special(
    "entr",
    "x",
    lambda x: neg(add(log(x), 1)),
    domain=((0.2, 2.0),),
    note="the slope at 0 is +inf, as is the one-sided derivative; a zero cotangent stays zero",
    lower=Map(_entr_scalar, cost=30),
)
rel_entr = special(
    "rel_entr",
    "x y",
    lambda x, y: add(log_ratio(x, y), 1),
    lambda x, y: neg(unscale(x, y)),
    domain=((0.2, 2.0), (0.2, 2.0)),
    note="∂/∂y is 0 at x = 0, whatever y; ∂/∂x is -inf at x = 0 < y, and at (0, 0) that of y = x is taken, 1",
    lower=widened(_rel_entr_scalar),
)
kl_div = special(
    "kl_div",
    "x y",
    lambda x, y: log_ratio(x, y),
    lambda x, y: where(is_zero(x), 1.0, unscale(sub(y, x), y)),
    domain=((0.2, 2.0), (0.2, 2.0)),
    note="∂/∂y is 1 at x = 0; ∂/∂x is -inf at x = 0 < y, and at (0, 0) that of y = x is taken, 0",
    lower=widened(_kl_div_scalar),
)

# ── robust losses ─────────────────────────────────────────────────────────────


def _huber_scalar(b: Any, delta: Any, r: Any) -> Any:
    size = b.abs(r)
    inner = scalars.times(b, 0.5, b.mul(r, r))
    outer = b.mul(delta, b.sub(size, scalars.times(b, 0.5, delta)))
    out = b.select(b.compare("le", size, delta), inner, outer)
    return b.select(b.compare("lt", delta, b.like(0, r)), b.like(math.inf, r), out)


def _pseudo_huber_scalar(b: Any, delta: Any, r: Any) -> Any:
    v, zero = b.div(r, delta), b.like(0, r)
    out = b.mul(b.mul(delta, delta), b.math("expm1", scalars.times(b, 0.5, b.math("log1p", b.mul(v, v)))))
    out = b.select(b.or_(scalars.is_zero(b, delta), scalars.is_zero(b, r)), zero, out)
    return b.select(b.compare("lt", delta, zero), b.like(math.inf, r), out)


_within = predicate(
    "huber_within",
    lambda d, r: np.abs(r) <= d,
    (0.5, 1.0),
    (-2.0, 2.0),
    lower=Map(lambda b, d, r: b.compare("le", b.abs(r), d), "joint"),
)

huber = special(
    "huber",
    "delta r",
    lambda delta, r: where(_within(delta, r), 0.0, sub(abs_(r), delta)),
    lambda delta, r: where(_within(delta, r), r, mul(delta, sign(r))),
    domain=((0.5, 1.0), (-2.0, 2.0)),
    note="the second derivative jumps at |r| = delta, where that of the parabola is taken",
    lower=Map(_huber_scalar, cost=8),
)


def _pseudo_huber_delta(delta: Array, r: Array) -> Array:
    """δ (s - 1)² / s with s = √(1 + u²), u = r/δ: nothing is squared that might overflow."""
    u = div(r, delta)
    s = hypot(u, 1.0)
    w = div(u, add(s, 1))
    return mul(mul(r, w), mul(w, div(u, s)))


pseudo_huber = special(
    "pseudo_huber",
    "delta r",
    _pseudo_huber_delta,
    lambda delta, r: mul(abs_(delta), div(r, hypot(delta, r))),
    domain=((0.5, 2.0), (-2.0, 2.0)),
    lower=widened(_pseudo_huber_scalar),
)

# ── moments of an exponential and of a reciprocal ─────────────────────────────


def _exponential_moment(t: np.ndarray, *, n: int) -> np.ndarray:
    """∫₀¹ sⁿ exp(ts) ds."""
    near, down = np.abs(t) < n + 2, t < 0
    series = np.zeros(t.shape)
    term = np.ones(t.shape)
    safe = np.where(near, t, 0.0)
    for k in range(60):
        series += term / (k + n + 1)
        term = term * safe / (k + 1)
    left = sp.gammainc(n + 1, -t) * math.factorial(n) / (-t) ** (n + 1)
    right = np.expm1(t) / t
    for k in range(1, n + 1):
        right = (np.exp(t) - k * right) / t
    return np.where(near, series, np.where(down, left, right))


exponential_moment = special(
    "exponential_moment",
    "t",
    lambda t, *, n: exponential_moment(t, n=n + 1),
    fn=in_double(_exponential_moment),
    domain=((-9.0, 9.0),),
    params={"n": 1},
    note="∫₀¹ sⁿ exp(ts) ds: (exp(t) - 1) / t and its derivatives, without cancellation at 0",
)


def _reciprocal_moment(z: np.ndarray, *, n: int) -> np.ndarray:
    """∫₀¹ sⁿ (1 + ts)⁻ⁿ⁻¹ ds at t = z - 1."""
    t = z - 1
    near = np.abs(t) < 0.5
    series = np.zeros(t.shape, t.dtype)
    term = np.ones(t.shape, t.dtype)
    safe = np.where(near, t, 0.0)
    for k in range(75):
        series += term / (n + k + 1)
        term = -term * safe * (n + k + 1) / (k + 1)
    far = np.log(z) / t
    for k in range(1, n + 1):
        far = (far - z ** (-float(k)) / k) / t
    return np.where(near, series, far)


_reciprocal_moment.complex = True  # type: ignore[attr-defined]

reciprocal_moment = special(
    "reciprocal_moment",
    "z",
    lambda z, *, n: scale(reciprocal_moment(z, n=n + 1), -(n + 1.0)),
    fn=in_double(_reciprocal_moment),
    domain=((0.1, 4.0),),
    params={"n": 0},
    note="∫₀¹ sⁿ (1 + ts)⁻ⁿ⁻¹ ds at t = z - 1: log(z) / (z - 1) and its derivatives, without cancellation at 1",
)


def _exprel_scalar(b: Any, x: Any) -> Any:
    out = b.div(b.math("expm1", x), x)
    near = b.compare("lt", b.abs(x), b.like(1e-16, x))
    far = b.compare("gt", x, b.like(717, x))
    return b.select(near, b.like(1, x), b.select(far, b.like(math.inf, x), out))


exprel = special(
    "exprel",
    "x",
    lambda x: exponential_moment(x, n=1),
    lower=widened(_exprel_scalar, 45),
)

# ── Box-Cox transforms ────────────────────────────────────────────────────────


def _power_moment(log_x: Array, lmbda: Array) -> Array:
    """∂/∂λ of (exp(λL) - 1) / λ."""
    moment = mul(square(log_x), exponential_moment(mul(lmbda, log_x), n=1))
    return where(_bottom(log_x, lmbda), reciprocal(square(lmbda)), moment)


def _bottom_scalar(b: Any, x: Any, lmbda: Any) -> Any:
    return b.and_(scalars.is_infinity(-1)(b, x), b.compare("gt", lmbda, b.like(0, lmbda)))


_bottom = predicate(
    "power_bottom",
    lambda x, lmbda: np.isneginf(x) & np.greater(lmbda, 0),
    (-2.0, 2.0),
    (0.1, 1.0),
    lower=Map(_bottom_scalar, "joint", 3),
)


LARGEST = 709.78  # whose exponential is finite


def _box(b: Any, log_x: Any, lmbda: Any) -> Any:
    """(exp(λL) - 1) / λ."""
    product = b.mul(lmbda, log_x)
    plain = b.div(b.math("expm1", product), lmbda)
    grown = b.math("exp", b.sub(product, b.math("log", b.abs(lmbda))))
    grown = b.sub(b.copysign(grown, lmbda), b.div(b.like(1, lmbda), lmbda))
    out = b.select(b.compare("lt", product, b.like(LARGEST, product)), plain, grown)
    return b.select(b.compare("lt", b.abs(lmbda), b.like(1e-19, lmbda)), log_x, out)


def _box_root(b: Any, x: Any, lmbda: Any) -> Any:
    """log(1 + λx) / λ."""
    product = b.mul(lmbda, x)
    plain = b.div(b.math("log1p", product), lmbda)
    sized = b.copysign(b.add(x, b.div(b.like(1, x), lmbda)), product)
    grown = b.div(b.add(b.math("log", b.abs(sized)), b.math("log", b.abs(lmbda))), lmbda)
    out = b.select(b.compare("lt", product, b.like(1.79e308, product)), plain, grown)
    return b.select(scalars.is_zero(b, lmbda), x, out)


boxcox = special(
    "boxcox",
    "x lmbda",
    lambda x, lmbda: pow_(x, sub(lmbda, 1)),
    lambda x, lmbda: _power_moment(log(x), lmbda),
    domain=((0.3, 2.0), (-1.5, 1.5)),
    lower=widened(lambda b, x, lmbda: _box(b, b.math("log", x), lmbda)),
)
boxcox1p = special(
    "boxcox1p",
    "x lmbda",
    lambda x, lmbda: exp(mul(sub(lmbda, 1), log1p(x))),
    lambda x, lmbda: _power_moment(log1p(x), lmbda),
    domain=((-0.7, 2.0), (-1.5, 1.5)),
    lower=widened(lambda b, x, lmbda: _box(b, b.math("log1p", x), lmbda)),
)


def _root_moment(x: Array, lmbda: Array) -> Array:
    """∂/∂λ of log(1 + λx) / λ."""
    return neg(mul(square(x), reciprocal_moment(add(1, mul(lmbda, x)), n=1)))


def _inv_boxcox1p_scalar(b: Any, x: Any, lmbda: Any) -> Any:
    out = b.math("expm1", _box_root(b, x, lmbda))
    tiny = b.compare("lt", b.abs(b.mul(lmbda, x)), b.like(1e-154, x))  # where SciPy gives x
    return b.select(b.and_(tiny, b.not_(scalars.is_zero(b, lmbda))), x, out)


inv_boxcox = special(
    "inv_boxcox",
    "x lmbda",
    lambda x, lmbda, out: div(out, add(1, mul(lmbda, x))),
    lambda x, lmbda, out: mul(out, _root_moment(x, lmbda)),
    domain=((-0.6, 1.0), (-0.9, 0.9)),
    lower=widened(lambda b, x, lmbda: b.math("exp", _box_root(b, x, lmbda))),
)
inv_boxcox1p = special(
    "inv_boxcox1p",
    "x lmbda",
    lambda x, lmbda, out: div(add(out, 1), add(1, mul(lmbda, x))),
    lambda x, lmbda, out: mul(add(out, 1), _root_moment(x, lmbda)),
    domain=((-0.6, 1.0), (-0.9, 0.9)),
    lower=widened(_inv_boxcox1p_scalar),
)

# ── powers, roots, exponentials ───────────────────────────────────────────────


def _cosm1_scalar(b: Any, x: Any) -> Any:
    return scalars.times(b, -2, scalars.square(b, b.math("sin", scalars.times(b, 0.5, x))))


def _log1mexp_scalar(b: Any, x: Any) -> Any:
    low = b.math("log1p", b.neg(b.math("exp", x)))
    high = b.math("log", b.neg(b.math("expm1", x)))
    return b.select(b.compare("lt", x, b.like(-math.log(2.0), x)), low, high)


powm1 = special(
    "powm1",
    "x y",
    lambda x, y: scale(y, pow_(x, sub(y, 1))),
    lambda x, y: scale(pow_(x, y), log(x)),
    domain=((0.3, 2.0), (-2.0, 2.0)),
)
exp10 = special(
    "exp10",
    "x",
    lambda out: scale(out, LN10),
    lower=Map(lambda b, x: b.math("pow", b.like(10, x), x), cost=60),
)
SPECIAL.update(exp2=exp2, expm1=expm1, log1p=log1p, cbrt=cbrt)
cosm1 = special(
    "cosm1",
    "x",
    lambda x: neg(sin(x)),
    lower=Map(_cosm1_scalar, cost=30),
)
log1pmx = special("_log1pmx", "x", lambda x: neg(div(x, add(1, x))), domain=((-0.7, 2.0),))
log1mexp = special(
    "_log1mexp",
    "x",
    lambda x: neg(reciprocal(expm1(neg(x)))),
    domain=((-3.0, -0.1),),
    lower=Map(_log1mexp_scalar, cost=90),
)

# ── angles ────────────────────────────────────────────────────────────────────

DEGREE = PI / 180

sindg = special("sindg", "x", lambda x: scale(cosdg(x), DEGREE), domain=((-200.0, 200.0),))
cosdg = special("cosdg", "x", lambda x: scale(sindg(x), -DEGREE), domain=((-200.0, 200.0),))
# Not 1 + out²: near their poles SciPy's tandg and cotdg lose the digits that its sindg and cosdg keep.
tandg = special("tandg", "x", lambda x: div(DEGREE, square(cosdg(x))), domain=((-80.0, 80.0),))
cotdg = special("cotdg", "x", lambda x: div(-DEGREE, square(sindg(x))), domain=((20.0, 160.0),))


def _turned(b: Any, x: Any) -> Any:
    """`x` less whole turns (2), exactly."""
    return b.sub(x, scalars.times(b, 2, b.rint(scalars.times(b, 0.5, x))))


def _sinpi_scalar(b: Any, x: Any) -> Any:
    r = _turned(b, x)
    folded = b.sub(b.copysign(b.like(1, x), r), r)
    r = b.select(b.compare("gt", b.abs(r), b.like(0.5, r)), folded, r)
    return b.math("sin", scalars.times(b, PI, r))


def _cospi_scalar(b: Any, x: Any) -> Any:
    return b.math("sin", scalars.times(b, PI, b.sub(b.like(0.5, x), b.abs(_turned(b, x)))))


def _radian_scalar(b: Any, d: Any, m: Any, s: Any) -> Any:
    seconds = b.add(scalars.times(b, 60, b.add(scalars.times(b, 60, d), m)), s)
    return scalars.times(b, DEGREE / 3600, seconds)


sinpi = special(
    "_sinpi",
    "x",
    lambda x: scale(cospi(x), PI),
    lower=Map(_sinpi_scalar, cost=35),
)
cospi = special(
    "_cospi",
    "x",
    lambda x: scale(sinpi(x), -PI),
    lower=Map(_cospi_scalar, cost=35),
)
radian = special(
    "radian",
    "d m s",
    lambda: np.float64(DEGREE),
    lambda: np.float64(DEGREE / 60),
    lambda: np.float64(DEGREE / 3600),
    domain=((0.0, 90.0),) * 3,
    lower=Map(_radian_scalar, cost=5),
)

# ── rounding ──────────────────────────────────────────────────────────────────

SPECIAL["round"] = piecewise_constant(
    "special_round",
    sp.round,
    "constant between half-integers",
    accepts=FLOAT,
    lower=scalars.lifted("rint"),
)

# ── log Σ b exp(a) ────────────────────────────────────────────────────────────


def _finite_max(x: np.ndarray, *, axes: tuple[int, ...]) -> np.ndarray:
    top = np.max(np.real(x), axis=axes, keepdims=True, initial=-np.inf)
    return np.where(np.isfinite(top), top, 0).astype(np.real(x).dtype, copy=False)


def _top(x: Array, *, axes: tuple[int, ...]) -> Array:
    if 0 in x.shape:
        raise Unsupported("no elements")
    kept = tuple(1 if i in axes else d for i, d in enumerate(x.shape))
    top = reshape(reduce_max(x, axes=axes), shape=kept)
    return where(isfinite(top), top, np.zeros((), x.dtype))


finite_max = piecewise_constant(
    "finite_max",
    _finite_max,
    "a shift that the result does not depend on",
    shape=lambda x, *, axes: Aval(
        tuple(1 if i in axes else d for i, d in enumerate(x.shape)), np.zeros((), x.dtype).real.dtype
    ),
    batch=lambda xs, batched, size, *, axes: finite_max(xs[0], axes=tuple(a + 1 for a in axes)),
    samples=(Sample((3, 4), axes=(0,)), Sample((3, 4), axes=(0, 1)), Sample((2, 0), axes=(1,))),
    cut=True,
    lower=Via(_top),
)
