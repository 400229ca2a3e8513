"""Error functions, their inverses and relatives, and the normal distribution.

The scaled ones decay algebraically, while their textbook derivatives are differences of
terms that grow: erfcx' = 2x erfcx - 2/√π loses x² units in the last place. Here the n-th
derivative is an op of its own, which sums an asymptotic series where that is exact.

Source  DLMF ch. 7; Abrarov & Quine (2011) for the Voigt profile's place in the family.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import scipy.special as sp

from wengert.core.aval import ANY
from wengert.core.tensor import Array
from wengert.ops import scalars
from wengert.ops.basis import add, imag, neg, real, scale
from wengert.ops.elementwise import cos, div, exp, mul, reciprocal, sin, square
from wengert.ops.select import where
from wengert.ops.special import PI, SQRT_2PI, SQRT_PI, in_double, predicate, special

SQRT_2 = math.sqrt(2.0)


def _within(low: float, high: float) -> Any:
    """Whether low < x < high."""

    def scalar(b: Any, x: Any) -> Any:
        x = x if x.dtype.kind == "f" else b.cast(x, np.dtype(float))
        return b.and_(b.compare("gt", x, b.like(low, x)), b.compare("lt", x, b.like(high, x)))

    return scalar


# ── erf, erfc, erfi ───────────────────────────────────────────────────────────


def _gauss(x: Array, factor: float) -> Array:
    return scale(exp(neg(square(x))), factor)


erf = special(
    "erf",
    "x",
    lambda x: _gauss(x, 2 / SQRT_PI),
    lower=scalars.mathematical("erf"),
)
erfc = special(
    "erfc",
    "x",
    lambda x: _gauss(x, -2 / SQRT_PI),
    lower=scalars.mathematical("erfc", 40),
)
erfi = special("erfi", "x", lambda x: scale(exp(square(x)), 2 / SQRT_PI))
erfinv = special("erfinv", "x", lambda out: scale(exp(square(out)), SQRT_PI / 2), domain=((-0.8, 0.8),))


def _erfcinv_slope(x: Array, out: Array) -> Array:
    """-√π/2 exp(out²): for small x as erfcx(out) / x, which does not square the rounding of out."""
    small = _below_one(x)
    far = div(erfcx(where(small, out, 0.0)), where(small, x, 1.0))
    return scale(where(small, far, exp(square(where(small, 0.0, out)))), -SQRT_PI / 2)


_below_one = predicate(
    "erfc_below_one",
    lambda x: (x > 0) & (x < 1),
    (0.2, 1.8),
    lower=scalars.tested(_within(0.0, 1.0), 3),
)

erfcinv = special("erfcinv", "x", _erfcinv_slope, domain=((0.2, 1.8),))

# ── erfcx and its derivatives ─────────────────────────────────────────────────

FAR = 7.0  # from here on the asymptotic series reaches double precision


def _asymptotic(z: np.ndarray, n: int) -> np.ndarray:
    """The n-th derivative of erfcx by its series in 1/z, for |z| > 7 and |arg z| < 3π/4."""
    term = math.factorial(n) * (-2.0) ** n * 2 / SQRT_PI / (2 * z) ** (n + 1)
    total = np.array(term)
    for k in range(1, 40):
        term = -term * (n + 2 * k) * (n + 2 * k - 1) / (k * 4 * z * z)
        total = total + np.where(np.abs(term) < np.abs(total), term, 0.0)
    return total


def _erfcx(z: np.ndarray, *, n: int) -> np.ndarray:
    """The n-th derivative of erfcx."""
    low, here = 0.0 * z, sp.erfcx(z)
    for k in range(n):
        low, here = here, 2 * (z * here + k * low) - (2 / SQRT_PI if k == 0 else 0.0)
    far = (np.abs(z) > FAR) & (np.real(z) > -0.5 * np.abs(z))
    return np.where(far, _asymptotic(np.where(far, z, FAR), n), here)


_erfcx.complex = True  # type: ignore[attr-defined]

erfcx_derivative = special(
    "erfcx_derivative", "x", lambda x, *, n: erfcx_derivative(x, n=n + 1), fn=in_double(_erfcx), params={"n": 1}
)
erfcx = special(
    "erfcx",
    "x",
    lambda x: erfcx_derivative(x, n=1),
    lower=scalars.mathematical("erfcx", 50),
)


def faddeeva(z: Array, n: int) -> Array:
    """The n-th derivative of w(z) = erfcx(-iz)."""
    return mul(erfcx_derivative(mul(z, -1j), n=n), (-1j) ** n)


wofz = special("wofz", "z", lambda z: faddeeva(z, 1))

# ── dawsn ─────────────────────────────────────────────────────────────────────


def _dawsn(z: np.ndarray, *, n: int) -> np.ndarray:
    """The n-th derivative of Dawson's function, n ≥ 1."""
    if z.dtype.kind != "c":
        return SQRT_PI / 2 * ((-1j) ** n * _erfcx(-1j * z, n=n)).imag
    low, here = sp.dawsn(z), 1 - 2 * z * sp.dawsn(z)
    for k in range(1, n):
        low, here = here, -2 * (z * here + k * low)
    # F(z) = i√π/2 (exp(-z²) - w(z)), in the upper half plane, where w is small; F is odd.
    flip = np.where(np.imag(z) < 0, -1.0, 1.0)
    up = z * flip
    below, hermite = 0.0, 1.0 + 0 * z
    for k in range(n):
        below, hermite = hermite, 2 * up * hermite - 2 * k * below
    w = (-1j) ** n * _asymptotic(np.where(np.abs(up) > FAR, -1j * up, FAR), n)
    far = 0.5j * SQRT_PI * ((-1.0) ** n * hermite * np.exp(-up * up) - w) * flip ** (n + 1)
    return np.where(np.abs(z) > FAR, far, here)


_dawsn.complex = True  # type: ignore[attr-defined]

dawsn_derivative = special(
    "dawsn_derivative", "x", lambda x, *, n: dawsn_derivative(x, n=n + 1), fn=in_double(_dawsn), params={"n": 1}
)
dawsn = special("dawsn", "x", lambda x: dawsn_derivative(x, n=1))

# ── Voigt profile ─────────────────────────────────────────────────────────────


def _voigt(x: Array, sigma: Array, gamma: Array, n: int) -> Array:
    """w⁽ⁿ⁾ at (x + iγ) / (σ√2), over 2σ²√π."""
    z = div(add(x, mul(gamma, 1j)), scale(sigma, SQRT_2))
    return div(faddeeva(z, n), mul(2 * SQRT_PI, square(sigma)))


voigt_profile = special(
    "voigt_profile",
    "x sigma gamma",
    lambda x, sigma, gamma: real(_voigt(x, sigma, gamma, 1)),
    # The heat equation: ∂V/∂σ = σ ∂²V/∂x². Differentiating the formula instead cancels in the wings.
    lambda x, sigma, gamma: scale(real(_voigt(x, sigma, gamma, 2)), 1 / SQRT_2),
    lambda x, sigma, gamma: neg(imag(_voigt(x, sigma, gamma, 1))),
    domain=((-2.0, 2.0), (0.5, 2.0), (0.2, 1.5)),
    note="σ = 0 gives NaN slopes",
)

# ── Fresnel integrals ─────────────────────────────────────────────────────────


def _quarter(x: Array) -> Array:
    return mul(PI / 2, square(x))


fresnel = special("fresnel", "x", lambda x: (sin(_quarter(x)), cos(_quarter(x))))


def _modified(s: int) -> object:
    """F(x) = ∫ₓ^∞ exp(±it²) dt and K(x) = exp(∓i(x² + π/4)) F(x) / √π."""
    turn = complex(np.exp(-0.25j * s * PI))

    def slope(x: Array) -> tuple[Array, Array]:
        # K(x) = erfcx(x exp(∓iπ/4)) / 2; by its definition K' would be a difference of terms x² times larger.
        return neg(exp(mul(square(x), 1j * s))), scale(erfcx_derivative(mul(x, turn), n=1), 0.5 * turn)

    return slope


BELOW_ZERO = "for x < 0 SciPy returns the wrong imaginary part of F; the slope is that of the integral"

modfresnelp = special("modfresnelp", "x", _modified(1), domain=((0.1, 2.0),), note=BELOW_ZERO)
modfresnelm = special("modfresnelm", "x", _modified(-1), domain=((0.1, 2.0),), note=BELOW_ZERO)

# ── normal distribution ───────────────────────────────────────────────────────


def normal_density(x: Array) -> Array:
    return scale(exp(scale(square(x), -0.5)), 1 / SQRT_2PI)


ndtr = special(
    "ndtr",
    "x",
    lambda x: normal_density(x),
    lower=scalars.mathematical("ndtr", 40),
)
_right = predicate(
    "right_of_five",
    lambda x: np.greater(np.real(x), 5),
    accepts=ANY,
    lower=scalars.against("gt", 5),
)


def _mills(x: Array) -> Array:
    """φ / Φ: √(2/π) / erfcx(-x/√2) has no 0/0, and on the right the ratio as it stands no derivative ∞/∞."""
    right = _right(x)
    plain = where(right, x, 5.0)
    ratio = div(math.sqrt(2 / PI), erfcx(scale(where(right, 5.0, x), -1 / SQRT_2)))
    return where(right, div(normal_density(plain), ndtr(plain)), ratio)


log_ndtr = special(
    "log_ndtr",
    "x",
    _mills,
    domain=((-3.0, 2.0),),
    lower=scalars.mathematical("log_ndtr", 90),
)


def _ndtri_slope(p: Array, out: Array) -> Array:
    """1/φ(out): for small p as Φ/φ(out) / p, which does not square the rounding of out."""
    small = _below_half(p)
    ratio = scale(erfcx(scale(where(small, out, 0.0), -1 / SQRT_2)), math.sqrt(PI / 2))
    return where(small, div(ratio, where(small, p, 1.0)), reciprocal(normal_density(where(small, 0.0, out))))


_below_half = predicate(
    "below_half",
    lambda p: (p > 0) & (p < 0.5),
    (0.1, 0.9),
    lower=scalars.tested(_within(0.0, 0.5), 3),
)

ndtri = special("ndtri", "p", _ndtri_slope, domain=((0.1, 0.9),))
ndtri_exp = special(
    "ndtri_exp", "y", lambda out: scale(erfcx(scale(out, -1 / SQRT_2)), math.sqrt(PI / 2)), domain=((-5.0, -0.1),)
)
# Through the quantile of p itself: (x - out)/std would cancel.
nrdtrimn = special(
    "nrdtrimn",
    "p std x",
    lambda p, std: neg(mul(std, _ndtri_slope(p, ndtri(p)))),
    lambda p: neg(ndtri(p)),
    lambda: np.float64(1.0),
    domain=((0.1, 0.9), (0.5, 2.0), (-2.0, 2.0)),
)
nrdtrisd = special(
    "nrdtrisd",
    "mn p x",
    lambda p: neg(reciprocal(ndtri(p))),
    lambda p, out: neg(mul(div(out, ndtri(p)), _ndtri_slope(p, ndtri(p)))),
    lambda p: reciprocal(ndtri(p)),
    domain=((-2.0, -1.0), (0.6, 0.9), (0.5, 2.0)),
)


def _owens_gap(h: Array, a: Array) -> Array:
    return div(exp(scale(mul(square(h), add(1, square(a))), -0.5)), scale(add(1, square(a)), 2 * PI))


owens_t = special(
    "owens_t",
    "h a",
    lambda h, a: scale(mul(normal_density(h), erf(scale(mul(a, h), 1 / SQRT_2))), -0.5),
    _owens_gap,
)
