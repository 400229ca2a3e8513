"""Incomplete gamma and beta functions, differentiable in the argument and in the parameters.

The derivative in a parameter is an integral of the density times a polynomial in log t, cut where
the integrand changes sign, so that nothing cancels. A power series gives it near the origin, and
elsewhere the trapezoidal rule after a double exponential change of variable, scaled to the
integrand's width (about 150 nodes; the cost of a derivative in a parameter is that many
evaluations of the density). Measured against mpmath: tests/scipy/test_special.py.

Source  Moore (1982), AS 187, for the derivative of the series; Takahasi & Mori (1974) for the
        quadrature; Loader (2000) for the densities.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.special as sp

from wengert.core.errors import NotDifferentiable
from wengert.core.tensor import Array
from wengert.ops import scalars
from wengert.ops.basis import add, neg, scale
from wengert.ops.elementwise import div, exp, log, mul, pow_, reciprocal, square, sub
from wengert.ops.select import where
from wengert.ops.special import SQRT_2PI, blocks, in_double, predicate, special
from wengert.ops.special_gamma import at_pole, digamma_difference, polygamma, psi, rgamma_slope

SHAPE, POINT, UNIT = (0.5, 4.0), (0.2, 5.0), (0.15, 0.85)

# ── quadrature ────────────────────────────────────────────────────────────────

_STEP = 0.06
_S = np.arange(-3.9, 6.0, _STEP)
_NODES = np.exp(_S - np.exp(-_S))
_WEIGHTS = _STEP * _NODES * (1 + np.exp(-_S))


def _decaying(integrand: Callable[[np.ndarray], np.ndarray], slope: np.ndarray, bend: np.ndarray) -> np.ndarray:
    """∫₀^∞ of an integrand that decays as exp(-slope·y - bend·y²/2), or faster."""
    width = 2 / (slope + np.sqrt(slope**2 + 2 * np.maximum(bend, 0)))
    total = np.zeros(width.shape)
    for node, weight in zip(blocks(_NODES, width), blocks(_WEIGHTS, width), strict=True):
        term = weight * integrand(node * width)
        total += np.where(np.isfinite(term), term, 0.0).sum(axis=0)
    return width * total


def _branches(
    out: np.ndarray, masks: list[np.ndarray], rules: list[Callable[..., np.ndarray]], *xs: np.ndarray
) -> np.ndarray:
    """Each rule on the elements of its mask."""
    for mask, rule in zip(masks, rules, strict=True):
        if mask.any():
            out[mask] = rule(*(x[mask] for x in xs))
    return out


# ── the gamma density ─────────────────────────────────────────────────────────


def _log_minus(r: np.ndarray, t: np.ndarray) -> np.ndarray:
    """log(r) - t, where t = r - 1 exactly."""
    near = np.abs(t) < 0.25
    s = np.where(near, t, 0.0)
    series = np.zeros(t.shape)
    for k in range(26, 1, -1):
        series = series * s + (-1.0) ** (k + 1) / k
    return np.where(near, series * s * s, np.log(r) - t)


def _stirling_error(a: np.ndarray) -> np.ndarray:
    """log Γ(a) less Stirling's leading terms, for a ≥ 10."""
    b = a * a
    return (1 / 12 - (1 / 360 - (1 / 1260 - (1 / 1680 - (1 / 1188 - 691 / 360360 / b) / b) / b) / b) / b) / a


def _gamma_density(a: np.ndarray, x: np.ndarray) -> np.ndarray:
    small = sp.rgamma(a) * np.exp(sp.xlogy(a - 1, x) - x)
    b = np.where(a >= 10, a, 10.0)
    large = np.sqrt(b) / SQRT_2PI * np.exp(b * _log_minus(x / b, (x - b) / b) - _stirling_error(b)) / x
    return np.where(x < 0, np.nan, np.where(a < 10, small, np.where(x == 0, 0.0, large)))


def _density_in_a(a: Array, x: Array, out: Array) -> Array:
    at_zero = mul(mul(pow_(x, sub(a, 1)), exp(neg(x))), rgamma_slope(a))
    return where(at_pole(a), at_zero, scale(out, sub(log(x), psi(a))))


gamma_density = special(
    "gamma_density",
    "a x",
    _density_in_a,
    # Not out·((a - 1)/x - 1), which is 0·∞ at x = 0.
    lambda a, x: sub(gamma_density(sub(a, 1), x), gamma_density(a, x)),
    fn=in_double(_gamma_density),
    domain=((1.2, 4.0), POINT),
    note="x^(a-1) exp(-x) / Γ(a), also for a ≤ 0",
)

# ── incomplete gamma, differentiated in its parameter ─────────────────────────


def _moment(n: int, log_: np.ndarray, psi1: np.ndarray, psi2: np.ndarray) -> np.ndarray:
    """The n-th derivative in a of t^a / Γ(a), over t^a / Γ(a); log_ = log t - ψ(a)."""
    if n == 1:
        return log_
    if n == 2:
        return log_**2 - psi1
    return log_**3 - 3 * log_ * psi1 - psi2


def _polygammas(a: np.ndarray) -> list[np.ndarray]:
    return [sp.psi(a), sp.polygamma(1, a), sp.polygamma(2, a)]


def _gammainc_series(n: int) -> Callable[..., np.ndarray]:
    def rule(a: np.ndarray, x: np.ndarray) -> np.ndarray:
        psi0, psi1, psi2 = _polygammas(a + 1)
        term, total, c = _gamma_density(a + 1, x), np.zeros(x.shape), a + 1
        for k in range(400):
            more = term * _moment(n, np.log(x) - psi0, psi1, psi2)
            total += more
            if k > 10 and (np.abs(more) <= 1e-18 * np.abs(total)).all():
                break
            psi0, psi1, psi2 = psi0 + 1 / c, psi1 - 1 / c**2, psi2 + 2 / c**3
            term, c = term * x / c, c + 1
        return total

    return rule


def _gammainc_lower(n: int) -> Callable[..., np.ndarray]:
    def rule(a: np.ndarray, x: np.ndarray) -> np.ndarray:  # t = x exp(-y)
        psi0, *rest = _polygammas(a)

        def integrand(y: np.ndarray) -> np.ndarray:
            return np.exp(-a * y - x * np.expm1(-y)) * _moment(n, np.log(x) - psi0 - y, *rest)

        return x * _gamma_density(a, x) * _decaying(integrand, a - x, x)

    return rule


def _gammainc_upper(n: int) -> Callable[..., np.ndarray]:
    def rule(a: np.ndarray, x: np.ndarray) -> np.ndarray:  # t = x + u
        psi0, *rest = _polygammas(a)

        def integrand(u: np.ndarray) -> np.ndarray:
            rise = np.log1p(u / x)
            return np.exp((a - 1) * rise - u) * _moment(n, np.log(x) - psi0 + rise, *rest)

        return -_gamma_density(a, x) * _decaying(integrand, 1 - (a - 1) / x, (a - 1) / x**2)

    return rule


def _gammainc_in_a(a: np.ndarray, x: np.ndarray, *, n: int) -> np.ndarray:
    valid = (a > 0) & (x > 0) & np.isfinite(a) & np.isfinite(x)
    upper = valid & (x > np.maximum(a, 1.5))
    series = valid & ~upper & (a <= 50)
    out = np.where((a > 0) & ((x == 0) | (x == np.inf)), 0.0, np.full(x.shape, np.nan))
    rules = [_gammainc_upper(n), _gammainc_series(n), _gammainc_lower(n)]
    return _branches(out, [upper, series, valid & ~upper & ~series], rules, a, x)


def _next_in_a(a: Array, x: Array, *, n: int) -> Array:
    if n == 3:
        raise NotDifferentiable(
            "gammainc: the fourth derivative in the parameter a is not known",
            fix="keep a constant (wengert.stop_gradient) for one of the four",
        )
    return gammainc_in_a(a, x, n=n + 1)


def _density_moment(a: Array, x: Array, *, n: int) -> Array:
    """The n-th derivative in a of the density."""
    log_ = sub(log(x), psi(a))
    moment = log_
    if n >= 2:
        moment = sub(square(log_), polygamma(1, a))
    if n == 3:
        moment = sub(mul(log_, sub(square(log_), scale(polygamma(1, a), 3.0))), polygamma(2, a))
    return scale(gamma_density(a, x), moment)


gammainc_in_a = special(
    "gammainc_in_a",
    "a x",
    _next_in_a,
    _density_moment,
    fn=in_double(_gammainc_in_a),
    domain=(SHAPE, POINT),
    params={"n": 1},
    note="the n-th derivative of gammainc in a, n = 1, 2, 3",
)

gammainc = special(
    "gammainc",
    "a x",
    lambda a, x: gammainc_in_a(a, x, n=1),
    lambda a, x: gamma_density(a, x),
    domain=(SHAPE, POINT),
)
gammaincc = special(
    "gammaincc",
    "a x",
    lambda a, x: neg(gammainc_in_a(a, x, n=1)),
    lambda a, x: neg(gamma_density(a, x)),
    domain=(SHAPE, POINT),
)


def _quantile_in_a(a: Array, out: Array) -> Array:
    return neg(div(gammainc_in_a(a, out, n=1), gamma_density(a, out)))


gammaincinv = special(
    "gammaincinv",
    "a p",
    _quantile_in_a,
    lambda a, out: reciprocal(gamma_density(a, out)),
    domain=(SHAPE, UNIT),
)
gammainccinv = special(
    "gammainccinv",
    "a p",
    _quantile_in_a,
    lambda a, out: neg(reciprocal(gamma_density(a, out))),
    domain=(SHAPE, UNIT),
)

# ── the beta density ──────────────────────────────────────────────────────────


def _betaln(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """log B(a, b); SciPy's loses the digits of log Γ(b) where b is large and a small."""
    low, high = np.minimum(a, b), np.maximum(a, b)
    c, far = np.where(low > 0, low, 1.0), np.maximum(high, 10.0)
    ratio = np.log1p(c / far)
    step = c * np.log(far + c) - c + (far - 0.5) * ratio - _stirling_error(far) + _stirling_error(far + c)
    return np.where((high > 10) & (low > 0) & (low < 10), sp.gammaln(c) - step, sp.betaln(a, b))


def _beta_density(a: np.ndarray, b: np.ndarray, x: np.ndarray) -> np.ndarray:
    sign = sp.gammasgn(a) * sp.gammasgn(b) * sp.gammasgn(a + b)
    small = sign * np.exp(sp.xlogy(a - 1, x) + sp.xlog1py(b - 1, -x) - _betaln(a, b))
    c, d = np.maximum(a, 10.0), np.maximum(b, 10.0)
    n = c + d
    gap = x * d - c * (1 - x)  # n (x - c/n), from which both logarithms start
    deviance = c * _log_minus(x * n / c, gap / c) + d * _log_minus((1 - x) * n / d, -gap / d)
    error = _stirling_error(n) - _stirling_error(c) - _stirling_error(d)
    large = np.sqrt(c / n * d) / SQRT_2PI * np.exp(deviance + error) / (x * (1 - x))
    inside = (x >= 0) & (x <= 1)
    edge = (x == 0) | (x == 1)
    pole = at_pole.eval(a) | at_pole.eval(b)
    value = np.where((a < 10) | (b < 10) | edge, np.where(pole, 0.0, small), large)
    return np.where(inside, value, np.nan)


def _beta_slope(a: Array, b: Array, x: Array, out: Array) -> Array:
    inside = scale(out, sub(div(sub(a, 1), x), div(sub(b, 1), sub(1, x))))
    low, high = beta_density(sub(a, 1), b, x), beta_density(a, sub(b, 1), x)
    return where(_at_end(x), mul(sub(low, high), sub(add(a, b), 1)), inside)  # where the former is 0·∞


def _end_scalar(b: Any, x: Any) -> Any:
    return b.or_(scalars.is_zero(b, x), b.compare("eq", x, b.like(1, x)))


_at_end = predicate(
    "beta_end",
    lambda x: np.equal(x, 0) | np.equal(x, 1),
    lower=scalars.tested(_end_scalar),
)


beta_density = special(
    "beta_density",
    "a b x",
    lambda a, b, x, out: scale(out, add(log(x), digamma_difference(a, b))),
    lambda a, b, x, out: scale(out, add(log(sub(1, x)), digamma_difference(b, a))),
    _beta_slope,
    fn=in_double(_beta_density),
    domain=((1.2, 4.0), (1.2, 4.0), UNIT),
    note="x^(a-1) (1-x)^(b-1) / B(a, b)",
)

# ── incomplete beta, differentiated in its parameters ─────────────────────────


def _beta_moment(i: int, j: int, logs: list[np.ndarray], psi1: list[np.ndarray]) -> np.ndarray:
    """Derivative (i, j) in (a, b) of t^a (1-t)^b / B(a, b), over itself; psi1 at a, b, a + b."""
    la, lb = logs
    total = la**i * lb**j
    if i + j == 2:
        total = total + psi1[2] - (psi1[0] if i == 2 else psi1[1] if j == 2 else 0.0)
    return total


def _trigammas(a: np.ndarray, b: np.ndarray) -> list[np.ndarray]:
    return [sp.polygamma(1, c) for c in (a, b, a + b)]


def _betainc_series(i: int, j: int) -> Callable[..., np.ndarray]:
    """x^a/B(a, b) Σ (1-b)ₖ x^k / (k! (a + k)), differentiated term by term; for x ≤ 1/2, bx ≤ 1."""

    def rule(a: np.ndarray, b: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        sums = {(p, q): np.zeros(x.shape) for p in range(i + 1) for q in range(j + 1)}
        rising = [np.ones(x.shape), np.zeros(x.shape), np.zeros(x.shape)]  # (1-b)ₖ/k! x^k and its derivatives in b
        for k in range(120):
            for (p, q), total in sums.items():
                total += rising[q] * (-1.0) ** p * math.factorial(p) / (a + k) ** (p + 1)
            step, ratio = k + 1 - b, x / (k + 1)
            rising = [
                rising[0] * step * ratio,
                (rising[1] * step - rising[0]) * ratio,
                (rising[2] * step - 2 * rising[1]) * ratio,
            ]
        front = np.exp(a * np.log(x) - _betaln(a, b))
        logs = [np.log(x) + _digamma_gap(a, b), _digamma_gap(b, a)]
        psi1 = _trigammas(a, b)
        total = np.zeros(x.shape)
        for (p, q), s in sums.items():  # Leibniz' rule
            r, t = i - p, j - q
            weight = _beta_moment(r, t, logs, psi1) if r + t else 1.0
            total += math.comb(i, p) * math.comb(j, q) * weight * s
        return front * total

    return rule


def _digamma_gap(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """ψ(a + b) - ψ(a)."""
    return np.asarray(digamma_difference.eval(a, b))


def _betainc_quadrature(i: int, j: int, upper: bool) -> Callable[..., np.ndarray]:
    def rule(a: np.ndarray, b: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        if upper:  # 1 - t = (1 - x) exp(-s); otherwise t = x exp(-s)
            near, far, p, q = y, x, b, a
        else:
            near, far, p, q = x, y, a, b
        gap_a, gap_b, psi1 = _digamma_gap(a, b), _digamma_gap(b, a), _trigammas(a, b)

        def integrand(s: np.ndarray) -> np.ndarray:
            shrunk = near * np.exp(-s)
            grown = far - near * np.expm1(-s)
            logs = [np.log(shrunk), np.where(shrunk < 0.5, np.log1p(-shrunk), np.log(grown))]
            if upper:
                logs.reverse()
            moment = _beta_moment(i, j, [logs[0] + gap_a, logs[1] + gap_b], psi1)
            return np.exp(-p * s + (q - 1) * np.log1p(-near * np.expm1(-s) / far)) * moment

        integral = _decaying(integrand, np.maximum(p - (q - 1) * near / far, 0), (q - 1) * near / far**2)
        return (-1.0 if upper else 1.0) * near * _beta_density(a, b, x) * integral

    return rule


def _betainc_half(a: np.ndarray, b: np.ndarray, x: np.ndarray, y: np.ndarray, i: int, j: int) -> np.ndarray:
    """For x ≤ 1/2, with y = 1 - x."""
    series = b * x <= 1
    sign_a = np.log(x) + _digamma_gap(a, b) < 0
    lower = sign_a if i >= j else np.log(y) + _digamma_gap(b, a) > 0
    rules = [_betainc_series(i, j), _betainc_quadrature(i, j, False), _betainc_quadrature(i, j, True)]
    return _branches(np.zeros(x.shape), [series, ~series & lower, ~series & ~lower], rules, a, b, x, y)


def _betainc_in(a: np.ndarray, b: np.ndarray, x: np.ndarray, *, i: int, j: int) -> np.ndarray:
    valid = (a > 0) & (b > 0) & (x > 0) & (x < 1) & np.isfinite(a) & np.isfinite(b)
    out = np.where((a > 0) & (b > 0) & ((x == 0) | (x == 1)), 0.0, np.full(x.shape, np.nan))
    rules = [
        lambda a, b, x: _betainc_half(a, b, x, 1 - x, i, j),
        lambda a, b, x: -_betainc_half(b, a, 1 - x, x, j, i),
    ]
    return _branches(out, [valid & (x <= 0.5), valid & (x > 0.5)], rules, a, b, x)


def _betainc_more(a: Array, b: Array, x: Array, i: int, j: int) -> Array:
    if i + j > 2:
        raise NotDifferentiable(
            "betainc: third derivatives in the parameters are not known",
            fix="keep a parameter constant (wengert.stop_gradient) for one of the three",
        )
    return betainc_in(a, b, x, i=i, j=j)


def _beta_density_moment(a: Array, b: Array, x: Array, *, i: int, j: int) -> Array:
    la, lb = add(log(x), digamma_difference(a, b)), add(log(sub(1, x)), digamma_difference(b, a))
    moment = la if (i, j) == (1, 0) else lb
    if i + j == 2:
        moment = add(mul(la if i else lb, lb if j else la), polygamma(1, add(a, b)))
        if (i, j) != (1, 1):
            moment = sub(moment, polygamma(1, a if i else b))
    return scale(beta_density(a, b, x), moment)


betainc_in = special(
    "betainc_in",
    "a b x",
    lambda a, b, x, *, i, j: _betainc_more(a, b, x, i + 1, j),
    lambda a, b, x, *, i, j: _betainc_more(a, b, x, i, j + 1),
    _beta_density_moment,
    fn=in_double(_betainc_in),
    domain=(SHAPE, SHAPE, UNIT),
    params={"i": 1, "j": 0},
    order=1,
    note="derivative (i, j) of betainc in (a, b), i + j = 1, 2",
)

betainc = special(
    "betainc",
    "a b x",
    lambda a, b, x: betainc_in(a, b, x, i=1, j=0),
    lambda a, b, x: betainc_in(a, b, x, i=0, j=1),
    lambda a, b, x: beta_density(a, b, x),
    domain=(SHAPE, SHAPE, UNIT),
)
betaincc = special(
    "betaincc",
    "a b x",
    lambda a, b, x: neg(betainc_in(a, b, x, i=1, j=0)),
    lambda a, b, x: neg(betainc_in(a, b, x, i=0, j=1)),
    lambda a, b, x: neg(beta_density(a, b, x)),
    domain=(SHAPE, SHAPE, UNIT),
)


def _beta_quantile(sign: float, mirror: Callable[..., Array]) -> list[Callable[..., Array]]:
    """Slopes of the inverse in x of betainc (+1) or betaincc (-1).

    Above 1/2 they are read off y = 1 - x = mirror(b, a, p), which has digits that x has lost.
    """

    def slope(x_part: Callable[..., Array], y_part: Callable[..., Array]) -> Callable[..., Array]:
        def at(a: Array, b: Array, p: Array, out: Array) -> Array:
            high = _upper_half(out)
            x, y = where(high, 0.5, out), mirror(b, a, where(high, p, 0.5))
            above = div(y_part(b, a, y), beta_density(b, a, y))
            return where(high, above, div(x_part(a, b, x), beta_density(a, b, x)))

        return at

    return [
        slope(lambda a, b, x: neg(betainc_in(a, b, x, i=1, j=0)), lambda b, a, y: betainc_in(b, a, y, i=0, j=1)),
        slope(lambda a, b, x: neg(betainc_in(a, b, x, i=0, j=1)), lambda b, a, y: betainc_in(b, a, y, i=1, j=0)),
        slope(lambda a, b, x: sign, lambda b, a, y: sign),
    ]


_upper_half = predicate(
    "beta_upper_half",
    lambda x: np.greater(x, 0.5),
    UNIT,
    lower=scalars.for_floats(scalars.against("gt", 0.5)),
)

betaincinv = special(
    "betaincinv", "a b p", *_beta_quantile(1.0, lambda b, a, p: betainccinv(b, a, p)), domain=(SHAPE, SHAPE, UNIT)
)
betainccinv = special(
    "betainccinv", "a b p", *_beta_quantile(-1.0, lambda b, a, p: betaincinv(b, a, p)), domain=(SHAPE, SHAPE, UNIT)
)
btdtria = special(
    "btdtria",
    "p b x",
    lambda b, x, out: reciprocal(betainc_in(out, b, x, i=1, j=0)),
    lambda b, x, out: neg(div(betainc_in(out, b, x, i=0, j=1), betainc_in(out, b, x, i=1, j=0))),
    lambda b, x, out: neg(div(beta_density(out, b, x), betainc_in(out, b, x, i=1, j=0))),
    domain=((0.2, 0.8), SHAPE, (0.3, 0.7)),
)
btdtrib = special(
    "btdtrib",
    "a p x",
    lambda a, x, out: neg(div(betainc_in(a, out, x, i=1, j=0), betainc_in(a, out, x, i=0, j=1))),
    lambda a, x, out: reciprocal(betainc_in(a, out, x, i=0, j=1)),
    lambda a, x, out: neg(div(beta_density(a, out, x), betainc_in(a, out, x, i=0, j=1))),
    domain=(SHAPE, (0.2, 0.8), (0.3, 0.7)),
)
