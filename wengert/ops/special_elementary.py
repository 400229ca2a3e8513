"""Elementary special functions: logistic, entropies, robust losses, Box-Cox, angles in degrees.

Differences that cancel where their parameter is small are moments of an exponential, or of a
reciprocal: ops of their own, each of which is the derivative of the one before.
"""

from __future__ import annotations

import math

import numpy as np
import scipy.special as sp

from wengert.core.aval import FLOAT, Aval
from wengert.core.op import Sample
from wengert.core.tensor import Array
from wengert.ops.basis import add, neg, scale
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
from wengert.ops.select import where
from wengert.ops.special import PI, SPECIAL, in_double, is_zero, predicate, special

LN10 = math.log(10.0)

# ── logistic functions ────────────────────────────────────────────────────────

expit = special("expit", "x", lambda x, out: mul(out, expit(neg(x))))
log_expit = special("log_expit", "x", lambda x: expit(neg(x)))
logit = special(
    "logit",
    "x",
    lambda x: reciprocal(mul(x, sub(1, x))),
    domain=((0.1, 0.9),),
    note="infinite slope at 0 and 1",
)
softplus = special(
    "softplus",
    "x",
    lambda x: expit(x),
    fn=in_double(lambda x: np.logaddexp(0.0, x)),
)

# ── x·log y, entropies ────────────────────────────────────────────────────────


def _log_ratio(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    ratio = x / y
    gap = x - y
    far = np.where((ratio > 1e-290) & (ratio < 1e290), np.log(ratio), np.log(x) - np.log(y))
    out = np.where(np.abs(gap) < 0.5 * np.abs(y), np.log1p(gap / y), far)
    return np.where((x == 0) & (y == 0), 0.0, out)


log_ratio = special(
    "log_ratio",
    "x y",
    lambda x: reciprocal(x),
    lambda y: neg(reciprocal(y)),
    fn=in_double(_log_ratio),
    domain=((0.3, 2.0), (0.3, 2.0)),
    note="log(x / y) to full relative precision near 1, without overflow; 0 at (0, 0)",
)

xlogy = special(
    "xlogy",
    "x y",
    lambda y: log(y),
    lambda x, y: unscale(x, y),
    domain=((-2.0, 2.0), (0.3, 2.0)),
    note="∂/∂y is 0 at x = 0, whatever y; ∂/∂x is -inf at y = 0, as is the one-sided derivative",
)
xlog1py = special(
    "xlog1py",
    "x y",
    lambda y: log1p(y),
    lambda x, y: unscale(x, add(1, y)),
    domain=((-2.0, 2.0), (-0.7, 2.0)),
    note="∂/∂y is 0 at x = 0, whatever y; ∂/∂x is -inf at y = -1, as is the one-sided derivative",
)
entr = special(
    "entr",
    "x",
    lambda x: neg(add(log(x), 1)),
    domain=((0.2, 2.0),),
    note="the slope at 0 is +inf, as is the one-sided derivative; a zero cotangent stays zero",
)
rel_entr = special(
    "rel_entr",
    "x y",
    lambda x, y: add(log_ratio(x, y), 1),
    lambda x, y: neg(unscale(x, y)),
    domain=((0.2, 2.0), (0.2, 2.0)),
    note="∂/∂y is 0 at x = 0, whatever y; ∂/∂x is -inf at x = 0 < y, and at (0, 0) that of y = x is taken, 1",
)
kl_div = special(
    "kl_div",
    "x y",
    lambda x, y: log_ratio(x, y),
    lambda x, y: where(is_zero(x), 1.0, unscale(sub(y, x), y)),
    domain=((0.2, 2.0), (0.2, 2.0)),
    note="∂/∂y is 1 at x = 0; ∂/∂x is -inf at x = 0 < y, and at (0, 0) that of y = x is taken, 0",
)

# ── robust losses ─────────────────────────────────────────────────────────────

_within = predicate("huber_within", lambda d, r: np.abs(r) <= d, (0.5, 1.0), (-2.0, 2.0))

huber = special(
    "huber",
    "delta r",
    lambda delta, r: where(_within(delta, r), 0.0, sub(abs_(r), delta)),
    lambda delta, r: where(_within(delta, r), r, mul(delta, sign(r))),
    domain=((0.5, 1.0), (-2.0, 2.0)),
    note="the second derivative jumps at |r| = delta, where that of the parabola is taken",
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

exprel = special("exprel", "x", lambda x: exponential_moment(x, n=1))

# ── Box-Cox transforms ────────────────────────────────────────────────────────


def _power_moment(log_x: Array, lmbda: Array) -> Array:
    """∂/∂λ of (exp(λL) - 1) / λ."""
    moment = mul(square(log_x), exponential_moment(mul(lmbda, log_x), n=1))
    return where(_bottom(log_x, lmbda), reciprocal(square(lmbda)), moment)


_bottom = predicate("power_bottom", lambda x, lmbda: np.isneginf(x) & np.greater(lmbda, 0), (-2.0, 2.0), (0.1, 1.0))

boxcox = special(
    "boxcox",
    "x lmbda",
    lambda x, lmbda: pow_(x, sub(lmbda, 1)),
    lambda x, lmbda: _power_moment(log(x), lmbda),
    domain=((0.3, 2.0), (-1.5, 1.5)),
)
boxcox1p = special(
    "boxcox1p",
    "x lmbda",
    lambda x, lmbda: exp(mul(sub(lmbda, 1), log1p(x))),
    lambda x, lmbda: _power_moment(log1p(x), lmbda),
    domain=((-0.7, 2.0), (-1.5, 1.5)),
)


def _root_moment(x: Array, lmbda: Array) -> Array:
    """∂/∂λ of log(1 + λx) / λ."""
    return neg(mul(square(x), reciprocal_moment(add(1, mul(lmbda, x)), n=1)))


inv_boxcox = special(
    "inv_boxcox",
    "x lmbda",
    lambda x, lmbda, out: div(out, add(1, mul(lmbda, x))),
    lambda x, lmbda, out: mul(out, _root_moment(x, lmbda)),
    domain=((-0.6, 1.0), (-0.9, 0.9)),
)
inv_boxcox1p = special(
    "inv_boxcox1p",
    "x lmbda",
    lambda x, lmbda, out: div(add(out, 1), add(1, mul(lmbda, x))),
    lambda x, lmbda, out: mul(add(out, 1), _root_moment(x, lmbda)),
    domain=((-0.6, 1.0), (-0.9, 0.9)),
)

# ── powers, roots, exponentials ───────────────────────────────────────────────

powm1 = special(
    "powm1",
    "x y",
    lambda x, y: scale(y, pow_(x, sub(y, 1))),
    lambda x, y: scale(pow_(x, y), log(x)),
    domain=((0.3, 2.0), (-2.0, 2.0)),
)
exp10 = special("exp10", "x", lambda out: scale(out, LN10))
SPECIAL.update(exp2=exp2, expm1=expm1, log1p=log1p, cbrt=cbrt)
cosm1 = special("cosm1", "x", lambda x: neg(sin(x)))
log1pmx = special("_log1pmx", "x", lambda x: neg(div(x, add(1, x))), domain=((-0.7, 2.0),))
log1mexp = special("_log1mexp", "x", lambda x: neg(reciprocal(expm1(neg(x)))), domain=((-3.0, -0.1),))

# ── angles ────────────────────────────────────────────────────────────────────

DEGREE = PI / 180

sindg = special("sindg", "x", lambda x: scale(cosdg(x), DEGREE), domain=((-200.0, 200.0),))
cosdg = special("cosdg", "x", lambda x: scale(sindg(x), -DEGREE), domain=((-200.0, 200.0),))
# Not 1 + out²: near their poles SciPy's tandg and cotdg lose the digits that its sindg and cosdg keep.
tandg = special("tandg", "x", lambda x: div(DEGREE, square(cosdg(x))), domain=((-80.0, 80.0),))
cotdg = special("cotdg", "x", lambda x: div(-DEGREE, square(sindg(x))), domain=((20.0, 160.0),))
sinpi = special("_sinpi", "x", lambda x: scale(cospi(x), PI))
cospi = special("_cospi", "x", lambda x: scale(sinpi(x), -PI))
radian = special(
    "radian",
    "d m s",
    lambda: np.float64(DEGREE),
    lambda: np.float64(DEGREE / 60),
    lambda: np.float64(DEGREE / 3600),
    domain=((0.0, 90.0),) * 3,
)

# ── rounding ──────────────────────────────────────────────────────────────────

SPECIAL["round"] = piecewise_constant("special_round", sp.round, "constant between half-integers", accepts=FLOAT)

# ── log Σ b exp(a) ────────────────────────────────────────────────────────────


def _finite_max(x: np.ndarray, *, axes: tuple[int, ...]) -> np.ndarray:
    top = np.max(np.real(x), axis=axes, keepdims=True, initial=-np.inf)
    return np.where(np.isfinite(top), top, 0).astype(np.real(x).dtype, copy=False)


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
)
