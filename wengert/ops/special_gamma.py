"""Gamma and beta functions, their logarithms and ratios, and the zeta function.

Ratios are differentiated through ψ(x + d) - ψ(x), an op which keeps its precision where the
two nearly agree, and the reciprocal gamma function through its own slope at the poles of ψ.

Source  DLMF ch. 5 and 25; Johansson (2015) for Euler-Maclaurin with Taylor arithmetic in s.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy.special as sp

from wengert.core.aval import ANY, FLOAT
from wengert.core.form import Map
from wengert.core.op import Sample
from wengert.core.tensor import Array
from wengert.ops import scalars
from wengert.ops.basis import add, cast, neg, scale
from wengert.ops.elementwise import cos, exp, mul, sin, square, sub
from wengert.ops.family import piecewise_constant
from wengert.ops.select import where
from wengert.ops.special import INTEGER, PI, SPECIAL, in_double, predicate, special

BERNOULLI = [float(b) for b in sp.bernoulli(40)]  # B₀, B₁, …
POSITIVE = (0.3, 4.0)

# ── polygamma ─────────────────────────────────────────────────────────────────


def _polygamma(n: np.ndarray, z: np.ndarray) -> np.ndarray:
    """ψ⁽ⁿ⁾: SciPy's on the reals; in the complex plane by recurrence to Re z > 15 and Stirling's series."""
    if z.dtype.kind != "c":
        return np.where(n >= 0, sp.polygamma(np.real(n), z), np.nan)
    out = np.empty(z.shape, complex)
    for order in np.unique(np.real(n)):
        at = np.real(n) == order
        out[at] = sp.psi(z[at]) if order == 0 else _polygamma_complex(int(order), z[at])
    return out


def _polygamma_complex(n: int, z: np.ndarray) -> np.ndarray:
    sign, total, here = (-1.0) ** (n + 1), np.zeros(z.shape, complex), np.array(z)
    while (left := np.real(here) < 15 + n).any():
        total += np.where(left, math.factorial(n) / here ** (n + 1), 0.0)
        here = here + left
    series = math.factorial(n - 1) / here**n + math.factorial(n) / (2 * here ** (n + 1))
    for k in range(1, 16):
        series = series + BERNOULLI[2 * k] * math.factorial(2 * k + n - 1) / math.factorial(2 * k) / here ** (2 * k + n)
    return sign * (total + series)


_polygamma.complex = True  # type: ignore[attr-defined]

polygamma = special(
    "polygamma",
    "n x",
    INTEGER,
    lambda n, x: polygamma(add(n, 1), x),
    fn=in_double(_polygamma),
    domain=([0, 1, 3], POSITIVE),
)
psi = special(
    "psi",
    "x",
    lambda x: polygamma(1, x),
    domain=(POSITIVE,),
    lower=scalars.mathematical("digamma", 60),
)
SPECIAL["digamma"] = psi

# ── gamma, rgamma, gammaln, loggamma ──────────────────────────────────────────


def _pole_scalar(b: Any, x: Any) -> Any:
    low = b.compare("le", x, b.like(0, x))
    return b.and_(low, b.compare("eq", x, b.rint(x))) if scalars.is_float(x) else low


def _loggamma_scalar(b: Any, x: Any) -> Any:
    return b.select(b.compare("lt", x, b.like(0, x)), b.like(math.nan, x), b.math("lgamma", x))


def _reflects_scalar(b: Any, x: Any) -> Any:
    x = x if scalars.is_float(x) else b.cast(x, np.dtype(float))
    return b.and_(b.compare("lt", x, b.like(0.5, x)), b.compare("gt", x, b.like(-170, x)))


def _outside_scalar(b: Any, u: Any, v: Any) -> Any:
    return b.or_(_pole_scalar(b, u), _pole_scalar(b, v))


def _poch_scalar(b: Any, z: Any, m: Any) -> Any:
    return b.and_(_pole_scalar(b, z), b.not_(_pole_scalar(b, b.add(z, m))))


def _countable_scalar(b: Any, n: Any, k: Any) -> Any:
    zero = b.like(0, n)
    positive = b.and_(b.compare("ge", n, zero), b.compare("ge", k, zero))
    return b.and_(b.compare("le", k, n), positive)


def _nothing_scalar(b: Any, n: Any, k: Any) -> Any:
    return b.and_(scalars.is_zero(b, k), b.compare("ge", n, b.like(0, n)))


def _left_scalar(b: Any, s: Any) -> Any:
    s = s if scalars.is_float(s) else b.cast(s, np.dtype(float))
    return b.compare("lt", s, b.like(-0.5, s))


at_pole = predicate(
    "gamma_pole",
    lambda x: np.equal(x, np.round(np.real(x))) & np.less_equal(np.real(x), 0),
    accepts=ANY,
    lower=scalars.tested(_pole_scalar, 3),
)

gamma = special("gamma", "x", lambda x, out: mul(out, psi(x)), domain=(POSITIVE,))
gammaln = special(
    "gammaln",
    "x",
    lambda x: psi(x),
    domain=(POSITIVE,),
    lower=scalars.mathematical("lgamma", 80),
)
loggamma = special(
    "loggamma",
    "x",
    lambda x: psi(x),
    domain=(POSITIVE,),
    lower=Map(_loggamma_scalar, cost=80),
)
lgam1p = special("_lgam1p", "x", lambda x: psi(add(x, 1)), domain=((-0.5, 0.5),))
gammasgn = SPECIAL["gammasgn"] = piecewise_constant(
    "gammasgn", sp.gammasgn, "constant between the poles", accepts=FLOAT
)


_reflects = predicate(
    "rgamma_reflects",
    lambda x: (np.real(x) < 0.5) & (np.real(x) > -170),
    accepts=ANY,
    lower=scalars.tested(_reflects_scalar, 3),
)


def _pole_slope(x: np.ndarray) -> np.ndarray:
    """The derivative of 1/Γ at 0, -1, -2, …"""
    m = np.where(at_pole.eval(x), -np.real(x), 0.0)
    return np.where(m % 2 == 0, 1.0, -1.0) * sp.gamma(m + 1)


def _rgamma_bend(x: Array) -> Array:
    """(1/Γ)''. Left of 1/2 by 1/Γ(x) = sin(πx) Γ(1 - x) / π, in which nothing cancels near the poles of Γ."""
    regular = mul(rgamma(x), sub(square(psi(x)), polygamma(1, x)))
    y, angle = sub(1.0, x), mul(PI, x)
    p, s = psi(y), mul(1 / PI, sin(angle))
    reflected = sub(mul(s, add(sub(square(p), PI**2), polygamma(1, y))), mul(2.0, mul(cos(angle), p)))
    return where(_reflects(x), mul(gamma(y), reflected), regular)


def _rgamma_slope(x: np.ndarray) -> np.ndarray:
    regular = -sp.rgamma(x) * sp.psi(x)
    if x.dtype.kind != "c":  # near the poles of ψ by reflection, 1/Γ(x) = sin(πx) Γ(1 - x) / π
        left = (x < 0.5) & (x > -160)
        y, gap = np.where(left, 1 - x, 1.0), np.pi * (x - 2 * np.round(x / 2))
        regular = np.where(left, sp.gamma(y) * (np.cos(gap) - np.sin(gap) / np.pi * sp.psi(y)), regular)
    return np.where(at_pole.eval(x), _pole_slope(x), regular)


_rgamma_slope.complex = True  # type: ignore[attr-defined]

rgamma_slope = special("rgamma_slope", "x", _rgamma_bend, fn=in_double(_rgamma_slope), domain=(POSITIVE,))
rgamma = special(
    "rgamma", "x", lambda x: rgamma_slope(x), domain=(POSITIVE,), note="differentiable at the poles of Γ too"
)

# ── ψ(x + d) - ψ(x) ───────────────────────────────────────────────────────────


def _digamma_difference(x: np.ndarray, d: np.ndarray) -> np.ndarray:
    """Shift both arguments up, where each term of the difference is a product; then Stirling's series."""
    y = x + d
    right = (x > 0) & (y > 0)
    a, b = np.where(right, x, 1.0), np.where(right, y, 1.0)
    total = np.zeros(x.shape)
    while (low := np.minimum(a, b) < 12).any():
        total += np.where(low, d / (a * b), 0.0)
        a, b = a + low, b + low
    ratio = np.log1p(d / a)
    total += ratio + d / (2 * a * b)
    for k in range(1, 9):
        total -= BERNOULLI[2 * k] / (2 * k) * a ** (-2 * k) * np.expm1(-2 * k * ratio)
    # Left of the poles: ψ(x) = ψ(1 - x) - π cot πx, whose last terms cancel at integer d.
    turned = sp.psi(1 - y) - sp.psi(1 - x)
    integers = (x == np.round(x)) & (y == np.round(y)) & (x <= 0) & (y <= 0)
    return np.where(right, total, np.where(integers, turned, sp.psi(y) - sp.psi(x)))


digamma_difference = special(
    "digamma_difference",
    "x d",
    lambda x, d: sub(polygamma(1, add(x, d)), polygamma(1, x)),
    lambda x, d: polygamma(1, add(x, d)),
    fn=in_double(_digamma_difference),
    domain=(POSITIVE, POSITIVE),
)

# ── beta, binom, poch ─────────────────────────────────────────────────────────

beta = special(
    "beta",
    "a b",
    lambda a, b, out: neg(mul(out, digamma_difference(a, b))),
    lambda a, b, out: neg(mul(out, digamma_difference(b, a))),
    domain=(POSITIVE, POSITIVE),
)
betaln = special(
    "betaln",
    "a b",
    lambda a, b: neg(digamma_difference(a, b)),
    lambda a, b: neg(digamma_difference(b, a)),
    domain=(POSITIVE, POSITIVE),
)


def _binom_factors(n: Array, k: Array) -> tuple[Array, Array]:
    return add(k, 1), add(sub(n, k), 1)


_outside = predicate(
    "binom_outside",
    lambda u, v: at_pole.eval(u) | at_pole.eval(v),
    (0.0, 2.0),
    (0.0, 2.0),
    lower=Map(_outside_scalar, "joint", 6),
)


def _in_double(x: Array) -> Array:
    """For products of Γ, which overflow single precision before their result does."""
    return cast(x, dtype=np.float64) if getattr(x, "dtype", None) == np.float32 else x


def _binom_n(n: Array, k: Array, out: Array) -> Array:
    n, k = _in_double(n), _in_double(k)
    u, v = _binom_factors(n, k)
    zero = mul(mul(gamma(add(n, 1)), rgamma(u)), rgamma_slope(v))
    return where(_outside(u, v), zero, mul(out, digamma_difference(v, k)))


def _binom_k(n: Array, k: Array, out: Array) -> Array:
    n, k = _in_double(n), _in_double(k)
    u, v = _binom_factors(n, k)
    zero = mul(gamma(add(n, 1)), sub(mul(rgamma_slope(u), rgamma(v)), mul(rgamma(u), rgamma_slope(v))))
    return where(_outside(u, v), zero, mul(out, digamma_difference(u, sub(v, u))))


binom = special(
    "binom",
    "n k",
    _binom_n,
    _binom_k,
    domain=((3.0, 6.0), (0.5, 2.5)),
    note="where a factorial has a pole (k < 0 or k > n, integers) the value is 0 and the slopes are not",
)


def _poch_z(z: Array, m: Array, out: Array) -> Array:
    z, m = _in_double(z), _in_double(m)
    zero = mul(gamma(add(z, m)), rgamma_slope(z))
    return where(_poch_zero(z, m), zero, mul(out, digamma_difference(z, m)))


_poch_zero = predicate(
    "poch_zero",
    lambda z, m: at_pole.eval(z) & ~at_pole.eval(np.add(z, m)),
    (0.0, 2.0),
    (0.0, 2.0),
    lower=Map(_poch_scalar, "joint", 6),
)
poch = special(
    "poch",
    "z m",
    _poch_z,
    lambda z, m, out: mul(out, psi(add(z, m))),
    domain=(POSITIVE, POSITIVE),
)
factorial = special("_factorial", "n", lambda n, out: mul(out, psi(add(n, 1))), domain=(POSITIVE,))

# Where `comb`, `perm` and `factorial` count something.
_ANY = (0.0, 4.0)
countable = predicate(
    "countable",
    lambda n, k: np.less_equal(k, n) & np.greater_equal(n, 0) & np.greater_equal(k, 0),
    _ANY,
    _ANY,
    lower=Map(_countable_scalar, "joint", 4),
)
is_negative = predicate(
    "is_negative",
    lambda n: np.less(n, 0),
    lower=scalars.against("lt", 0),
)
nothing_chosen = predicate(
    "nothing_chosen",
    lambda n, k: np.equal(k, 0) & np.greater_equal(n, 0),
    _ANY,
    _ANY,
    lower=Map(_nothing_scalar, "joint", 3),
)

# ── zeta ──────────────────────────────────────────────────────────────────────

TERMS, CORRECTIONS = 20, 14


def _taylor_product(a: list[np.ndarray], b: list[np.ndarray]) -> list[np.ndarray]:
    return [sum((a[j] * b[i - j] for j in range(i + 1)), np.zeros(())) for i in range(len(a))]  # type: ignore[misc]


def _power_taylor(w: np.ndarray, s: np.ndarray, n: int) -> list[np.ndarray]:
    """Taylor coefficients in δ of w^-(s + δ)."""
    return [w**-s * (-np.log(w)) ** j / math.factorial(j) for j in range(n + 1)]


def _zeta(s: np.ndarray, q: np.ndarray, *, n: int) -> np.ndarray:
    """The n-th derivative of Hurwitz' ζ(s, q) in s, for q > 0: Euler and Maclaurin's formula on Taylor polynomials."""
    total = [np.zeros(s.shape) for _ in range(n + 1)]
    terms = TERMS + int(np.max(np.abs(np.imag(s)), initial=0.0))
    for k in range(terms):
        total = [t + p for t, p in zip(total, _power_taylor(q + k, s, n), strict=True)]
    w = q + terms
    tail = _power_taylor(w, s, n)
    pole = [w * (-1.0) ** j / (s - 1) ** (j + 1) for j in range(n + 1)]
    rising = [s, np.ones(s.shape)] + [np.zeros(s.shape)] * max(n - 1, 0)  # s, s(s+1)(s+2), …
    factor = [p + (0.5 if j == 0 else 0.0) for j, p in enumerate(pole)]
    rising = rising[: n + 1]
    for k in range(1, CORRECTIONS):
        weight = BERNOULLI[2 * k] / math.factorial(2 * k) * w ** (1.0 - 2 * k)
        factor = [f + weight * r for f, r in zip(factor, rising, strict=True)]
        for step in (2 * k - 1, 2 * k):
            line = ([s + step, np.ones(s.shape)] + [np.zeros(s.shape)] * n)[: n + 1]
            rising = _taylor_product(rising, line)
    total = [t + p for t, p in zip(total, _taylor_product(tail, factor), strict=True)]
    return np.where(np.real(q) > 0, total[n] * math.factorial(n), np.nan)


def _hurwitz_q(s: Array, q: Array, n: int) -> Array:
    """∂/∂q ζ(s, q) = -s ζ(s + 1, q), differentiated n times in s."""
    slope = mul(s, hurwitz_derivative(add(s, 1), q, n=n))
    if n:
        slope = add(slope, scale(hurwitz_derivative(add(s, 1), q, n=n - 1), float(n)))
    return neg(slope)


_zeta.complex = True  # type: ignore[attr-defined]

hurwitz_derivative = special(
    "hurwitz_derivative",
    "s q",
    lambda s, q, *, n: hurwitz_derivative(s, q, n=n + 1),
    lambda s, q, *, n: _hurwitz_q(s, q, n),
    fn=in_double(_zeta),
    domain=((1.5, 4.0), (0.5, 3.0)),
    params={"n": 1},
)
hurwitz = special(
    "_zeta",
    "s q",
    lambda s, q: hurwitz_derivative(s, q, n=1),
    lambda s, q: neg(mul(s, hurwitz(add(s, 1), q))),
    domain=((1.5, 4.0), (0.5, 3.0)),
    note="∂/∂s is NaN for q < 0",
)


def _reflected_slope(s: Array) -> Array:
    """ζ' left of 0, from ζ(s) = 2 (2π)^(s-1) sin(πs/2) Γ(1-s) ζ(1-s)."""
    t, angle = sub(1, s), scale(s, PI / 2)
    z, front = riemann_zeta(t), mul(_two_pi_power(s), gamma(t))
    straight = mul(sub(math.log(2 * PI), psi(t)), z)
    swing = sub(straight, hurwitz_derivative(t, 1.0, n=1))
    return mul(front, add(mul(sin(angle), swing), scale(mul(cos(angle), z), PI / 2)))


def _two_pi_power(s: Array) -> Array:
    """2 (2π)^(s-1)."""
    return scale(exp(scale(sub(s, 1), math.log(2 * PI))), 2.0)


_left = predicate(
    "zeta_left",
    lambda s: np.less(np.real(s), -0.5),
    accepts=ANY,
    lower=scalars.tested(_left_scalar),
)


def _zeta_slope(s: Array) -> Array:
    left = _left(s)
    here = hurwitz_derivative(where(left, 0.5, s), 1.0, n=1)
    return where(left, _reflected_slope(where(left, s, -1.0)), here)


riemann_zeta = special("_riemann_zeta", "s", _zeta_slope, domain=((1.5, 4.0),))
zetac = special("zetac", "s", _zeta_slope, domain=((1.5, 4.0),))

SAMPLES_LEFT = (Sample((3,), domain=(-4.0, -0.6)), Sample((3,), domain=(-0.4, 0.6)))
riemann_zeta.samples = (*riemann_zeta.samples, *SAMPLES_LEFT)
