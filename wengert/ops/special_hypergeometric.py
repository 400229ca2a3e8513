"""Hypergeometric functions and orthogonal polynomials, in their argument.

A derivative is the same function with its parameters raised by one. Derivatives in the parameters
have no closed form and are refused, each by name.

Source  DLMF 15.5, 16.3, 18.9.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from wengert.core.op import Refuse
from wengert.core.tensor import Array
from wengert.ops.basis import add, cast, neg, scale
from wengert.ops.elementwise import div, exp, mul, square, sub
from wengert.ops.select import where
from wengert.ops.special import INTEGER, ORDER, PARAMETER, in_double, is_zero, special

INSIDE, UNIT = (-0.8, 0.8), (0.1, 0.9)
DEGREES, DEGREES_REAL = [0, 1, 4], [0.0, 3.0, 2.5]

# ── hypergeometric functions ──────────────────────────────────────────────────

hyp0f1 = special(
    "hyp0f1", "b z", PARAMETER, lambda b, z: div(hyp0f1(add(b, 1), z), b), domain=([0.5, 1.5, 3.0], (-2.0, 2.0))
)
hyp1f1 = special(
    "hyp1f1",
    "a b z",
    PARAMETER,
    PARAMETER,
    lambda a, b, z: mul(div(a, b), hyp1f1(add(a, 1), add(b, 1), z)),
    domain=([0.5, 1.5, -2.0], [1.2, 2.5, 0.7], (-2.0, 2.0)),
)
hyp2f1 = special(
    "hyp2f1",
    "a b c z",
    PARAMETER,
    PARAMETER,
    PARAMETER,
    lambda a, b, c, z: mul(div(mul(a, b), c), hyp2f1(add(a, 1), add(b, 1), add(c, 1), z)),
    domain=([0.5, 1.5, -2.0], [1.2, 0.3, 0.7], [2.2, 1.7, 0.6], (-0.6, 0.6)),
)
hyperu = special(
    "hyperu",
    "a b x",
    PARAMETER,
    PARAMETER,
    lambda a, b, x: neg(mul(a, hyperu(add(a, 1), add(b, 1), x))),
    domain=([0.5, 1.5, 2.0], [1.2, 0.3, 0.7], (0.5, 3.0)),
)
wright_bessel = special(
    "wright_bessel",
    "a b x",
    PARAMETER,
    PARAMETER,
    lambda a, b, x: wright_bessel(a, add(a, b), x),
    domain=([0.5, 1.5, 1.0], [1.2, 0.3, 0.7], (0.2, 2.0)),
)
log_wright_bessel = special(
    "log_wright_bessel",
    "a b x",
    PARAMETER,
    PARAMETER,
    lambda a, b, x, out: exp(sub(log_wright_bessel(a, add(a, b), x), out)),
    domain=([0.5, 1.5, 1.0], [1.2, 0.3, 0.7], (0.2, 2.0)),
)

# ── orthogonal polynomials ────────────────────────────────────────────────────


def _lowered(rule: Callable[..., Array]) -> Callable[..., Array]:
    """`rule(n - 1, n, *rest)` with zero at n = 0, where SciPy has no function of degree -1."""

    def slope(n: Array, *rest: Array) -> Array:
        none = is_zero(n)
        return where(none, 0.0, rule(where(none, n, sub(n, 1)), n, *rest))

    return slope


def _polynomial(name: str, rule: Callable[..., Array], degrees: list[Any] = DEGREES_REAL) -> Any:
    slope = _lowered(rule)
    return special(name, "n x", ORDER, lambda n, x: slope(n, x), domain=(degrees, UNIT if "_sh_" in name else INSIDE))


def _parametric(name: str, arguments: str, rule: Callable[..., Array], *parameters: list[float]) -> Any:
    slope = _lowered(rule)
    refusals: list[Refuse] = [ORDER] + [PARAMETER] * len(parameters)
    domain = (DEGREES_REAL, *parameters, UNIT if "_sh_" in name else INSIDE)
    if len(parameters) == 1:
        return special(name, arguments, *refusals, lambda n, a, x: slope(n, a, x), domain=domain)
    return special(name, arguments, *refusals, lambda n, a, b, x: slope(n, a, b, x), domain=domain)


def _raised_jacobi(k: Array, n: Array, alpha: Array, beta: Array, x: Array) -> Array:
    return scale(eval_jacobi(k, add(alpha, 1), add(beta, 1), x), scale(add(add(add(n, alpha), beta), 1), 0.5))


def _affine(x: Array) -> Array:
    """2x - 1, in double precision: the polynomials of real degree are singular at -1."""
    return sub(scale(cast(x, dtype=np.float64) if x.dtype == np.float32 else x, 2.0), 1)


eval_jacobi = _parametric("eval_jacobi", "n a b x", _raised_jacobi, [0.5, 1.5, 0.0], [0.3, 1.0, 2.0])
eval_sh_jacobi = _parametric(
    "eval_sh_jacobi",
    "n a b x",
    lambda k, n, p, q, x: scale(eval_sh_jacobi(k, add(p, 2), add(q, 1), x), mul(n, 1.0)),
    [2.5, 1.5, 3.0],
    [0.5, 1.0, 2.0],
)
eval_gegenbauer = _parametric(
    "eval_gegenbauer",
    "n a x",
    lambda k, n, alpha, x: mul(scale(alpha, 2.0), eval_gegenbauer(k, add(alpha, 1), x)),
    [0.5, 1.5, 2.0],
)
eval_genlaguerre = _parametric(
    "eval_genlaguerre", "n a x", lambda k, n, alpha, x: neg(eval_genlaguerre(k, add(alpha, 1), x)), [0.5, 1.5, 2.0]
)
eval_laguerre = _polynomial("eval_laguerre", lambda k, n, x: neg(eval_genlaguerre(k, 1.0, x)))
eval_legendre = _polynomial("eval_legendre", lambda k, n, x: scale(eval_jacobi(k, 1.0, 1.0, x), scale(add(n, 1), 0.5)))
eval_sh_legendre = _polynomial(
    "eval_sh_legendre", lambda k, n, x: scale(eval_jacobi(k, 1.0, 1.0, _affine(x)), add(n, 1.0))
)
eval_chebyt = _polynomial("eval_chebyt", lambda k, n, x: scale(eval_chebyu(k, x), mul(n, 1.0)))
eval_chebyu = _polynomial("eval_chebyu", lambda k, n, x: scale(eval_gegenbauer(k, 2.0, x), 2.0))
eval_chebyc = _polynomial("eval_chebyc", lambda k, n, x: scale(eval_chebys(k, x), mul(n, 1.0)))
eval_chebys = _polynomial("eval_chebys", lambda k, n, x: eval_gegenbauer(k, 2.0, scale(x, 0.5)))
eval_sh_chebyt = _polynomial("eval_sh_chebyt", lambda k, n, x: scale(eval_sh_chebyu(k, x), mul(n, 2.0)))
eval_sh_chebyu = _polynomial("eval_sh_chebyu", lambda k, n, x: scale(eval_gegenbauer(k, 2.0, _affine(x)), 4.0))
eval_hermite = _polynomial("eval_hermite", lambda k, n, x: scale(eval_hermite(k, x), mul(n, 2.0)), DEGREES)
eval_hermitenorm = _polynomial("eval_hermitenorm", lambda k, n, x: scale(eval_hermitenorm(k, x), mul(n, 1.0)), DEGREES)


def _associated(m: Array, v: Array, x: Array, out: Array) -> Array:
    """(x² - 1) P' = v x P_v - (v + m) P_(v-1), with P_(-1) = P_0."""
    rest = scale(lpmv(m, sub(v, 1), x), add(v, m))
    return div(sub(mul(mul(v, x), out), rest), sub(square(x), 1))


lpmv = special(
    "lpmv",
    "m v x",
    INTEGER,
    ORDER,
    _associated,
    domain=([0.0, 1.0, 2.0], [2.0, 1.0, 3.5], INSIDE),
    note="infinite or NaN slope at ±1",
)


def _lpmv_angle(m: np.ndarray, n: np.ndarray, theta: np.ndarray) -> np.ndarray:
    """P_n^m(cos θ), with (1 - x²)^(m/2) read as sinᵐ θ, which keeps its digits at the poles; upwards in n."""
    x, s = np.cos(theta), np.sin(theta)
    low, here = np.zeros_like(x), np.ones_like(x)
    for k in range(int(np.max(m, initial=0))):
        here = np.where(k < m, -(2 * k + 1) * s * here, here)
    here = np.where(n < m, 0.0, here)
    for k in range(int(np.max(n - m, initial=0))):
        degree = m + k
        above = ((2 * degree + 1) * x * here - (degree + m) * low) / (k + 1)
        grow = degree < n
        low, here = np.where(grow, here, low), np.where(grow, above, here)
    return here


# Its derivative is regular at the poles, as that of lpmv is not.
lpmv_angle = special(
    "lpmv_angle",
    "m n theta",
    INTEGER,
    INTEGER,
    lambda m, n, theta: _angle_slope(m, n, theta),
    fn=in_double(_lpmv_angle),
    domain=([0, 1, 2], [2, 1, 3], (-2.5, 2.5)),
)


def _angle_slope(m: Array, n: Array, theta: Array) -> Array:
    """dP_n^m(cos θ)/dθ = (P_n^(m+1) - (n + m)(n - m + 1) P_n^(m-1)) / 2, with Condon and Shortley's phase."""
    flat = is_zero(m)
    below = lpmv_angle(where(flat, 1, sub(m, 1)), n, theta)
    weight = mul(add(n, m), add(sub(n, m), 1))
    # P_n^(-1) = -P_n^1 / (n (n + 1))
    below = where(flat, neg(below), scale(below, mul(weight, 1.0)))
    return scale(sub(lpmv_angle(add(m, 1), n, theta), below), 0.5)
