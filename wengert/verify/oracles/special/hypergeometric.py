"""Hypergeometric functions and orthogonal polynomials."""

from __future__ import annotations

from mpmath import mp

import wengert.scipy.special as ours
from wengert.verify.oracles.special import oracle
from wengert.verify.oracles.special.grids import line, product

# ── hypergeometric functions ──────────────────────────────────────────────────

oracle(
    "special.hyp0f1",
    "b z",
    mp.hyp0f1,
    product([0.5, 1.5, 3.0, 12.0], [-300.0, -20.0, -0.3, 1e-9, 0.7, 3.0, 50.0, 1e3]),
    wanted=[1],
    scaled=True,
)
oracle(
    "special.hyp1f1",
    "a b z",
    mp.hyp1f1,
    product([-2.0, 0.7, 1.0, 5.5], [0.5, 1.5, 9.0], [-50.0, -5.0, -0.3, 1e-9, 0.7, 5.0, 50.0]),
    wanted=[2],
    scaled=True,
)
oracle(
    "special.hyp2f1",
    "a b c z",
    mp.hyp2f1,
    product([-2.0, 0.5, 1.7], [1.5, 0.3], [2.2, 4.1], [-20.0, -1.1, -0.5, 1e-9, 0.3, 0.7, 0.89, 0.91, 0.95, 0.999]),
    wanted=[3],
    scaled=True,
)
oracle(
    "special.hyperu",
    "a b x",
    mp.hyperu,
    product([0.5, 1.7, 4.0], [0.3, 1.2, 2.0], [1e-3, 0.1, 1.0, 5.0, 30.0, 300.0]),
    wanted=[2],
    scaled=True,
)


def wright(a, b, x):
    total, k = mp.mpf(0), 0
    power = mp.mpf(1)
    while True:
        term = power * mp.rgamma(a * k + b)
        total += term
        if k > 20 and abs(term) < mp.mpf(10) ** (-mp.dps - 5) * abs(total):
            return total
        k += 1
        power = power * x / k


_WRIGHT = product([0.3, 1.0, 2.5], [0.2, 1.2, 4.0], [1e-6, 0.1, 1.0, 4.9, 12.0, 40.0])
oracle("special.wright_bessel", "a b x", wright, _WRIGHT, wanted=[2])
oracle("special.log_wright_bessel", "a b x", lambda a, b, x: mp.log(wright(a, b, x)), _WRIGHT, wanted=[2])

# ── orthogonal polynomials ────────────────────────────────────────────────────

_N, _INSIDE = [0.0, 1.0, 2.0, 3.0, 7.0, 20.0, 2.5], [-0.999, -0.52, -1e-6, 0.0, 0.3, 0.7, 0.95, 0.9999]
_UNIT, _HALF_LINE = [1e-6, 0.1, 0.37, 0.52, 0.8, 0.999], [1e-6, 0.3, 1.1, 3.7, 9.0, 30.0]
_ENDS = [((1.0, 1.0), 1, 1.0), ((0.0, 0.3), 1, 0.0)]
_PLAIN = [(n, x) for n, x in product(_N, _INSIDE)]


def shifted(f):
    return lambda n, x: f(n, 2 * x - 1)


oracle(
    "special.eval_legendre",
    "n x",
    mp.legendre,
    _PLAIN,
    wanted=[1],
    scaled=True,
    length=0.1,
    edges=[*_ENDS, ((7.0, 1.0), 1, 28.0), ((7.0, -1.0), 1, 28.0)],
)
oracle(
    "special.eval_chebyt",
    "n x",
    mp.chebyt,
    _PLAIN,
    wanted=[1],
    scaled=True,
    length=0.1,
    edges=[*_ENDS, ((7.0, 1.0), 1, 49.0)],
)
oracle(
    "special.eval_chebyu",
    "n x",
    mp.chebyu,
    _PLAIN,
    wanted=[1],
    scaled=True,
    length=0.1,
    edges=[((1.0, 1.0), 1, 2.0), ((2.0, 1.0), 1, 8.0)],
)
oracle("special.eval_chebyc", "n x", lambda n, x: 2 * mp.chebyt(n, x / 2), _PLAIN, wanted=[1], scaled=True, length=0.1)
oracle("special.eval_chebys", "n x", lambda n, x: mp.chebyu(n, x / 2), _PLAIN, wanted=[1], scaled=True, length=0.1)
oracle("special.eval_sh_legendre", "n x", shifted(mp.legendre), product(_N, _UNIT), wanted=[1], scaled=True, length=0.1)
oracle("special.eval_sh_chebyt", "n x", shifted(mp.chebyt), product(_N, _UNIT), wanted=[1], scaled=True, length=0.1)
oracle("special.eval_sh_chebyu", "n x", shifted(mp.chebyu), product(_N, _UNIT), wanted=[1], scaled=True, length=0.1)
oracle(
    "special.eval_laguerre",
    "n x",
    lambda n, x: mp.laguerre(n, 0, x),
    product(_N, _HALF_LINE),
    wanted=[1],
    scaled=True,
    length=0.1,
)
oracle(
    "special.eval_hermite",
    "n x",
    mp.hermite,
    product([0, 1, 2, 7, 20], [-5.0, -0.6, 0.0, 1e-6, 0.4, 2.2, 9.0]),
    wanted=[1],
    scaled=True,
    length=0.1,
)
oracle(
    "special.eval_hermitenorm",
    "n x",
    lambda n, x: mp.mpf(2) ** (-mp.mpf(n) / 2) * mp.hermite(n, x / mp.sqrt(2)),
    product([0, 1, 2, 7, 20], [-5.0, -0.6, 0.0, 1e-6, 0.4, 2.2, 9.0]),
    wanted=[1],
    scaled=True,
)
oracle(
    "special.eval_gegenbauer",
    "n a x",
    mp.gegenbauer,
    product(_N, [0.5, 1.5, 4.0], _INSIDE[::2]),
    wanted=[2],
    scaled=True,
    length=0.1,
)
oracle(
    "special.eval_genlaguerre",
    "n a x",
    mp.laguerre,
    product(_N, [0.5, 1.5, 4.0], _HALF_LINE),
    wanted=[2],
    scaled=True,
    length=0.1,
)
oracle("special.assoc_laguerre", "x n k", lambda x, n, k: mp.laguerre(n, k, x), product(_HALF_LINE, [0.0, 1.0, 7.0], [0.5, 1.5]),
       wanted=[0], scaled=True, call=lambda x, n, k: ours.assoc_laguerre(x, n, k))  # fmt: skip
oracle(
    "special.eval_jacobi",
    "n a b x",
    mp.jacobi,
    product(_N, [0.5, 1.5], [0.3, 2.0], _INSIDE[::2]),
    wanted=[3],
    scaled=True,
    length=0.1,
)


def shifted_jacobi(n, p, q, x):
    return mp.jacobi(n, p - q, q - 1, 2 * x - 1) / mp.binomial(2 * n + p - 1, n)


oracle(
    "special.eval_sh_jacobi",
    "n a b x",
    shifted_jacobi,
    product([0.0, 1.0, 3.0, 7.0], [2.5, 3.0], [0.5, 2.0], _UNIT),
    wanted=[3],
    scaled=True,
    length=0.1,
)


def associated(m, v, x):
    """Ferrers' function with Condon and Shortley's phase, for integer m ≥ 0: the m-th derivative of P_v."""
    m = int(m)
    front = (1 - x * x) ** (mp.mpf(m) / 2) * mp.rf(-v, m) * mp.rf(v + 1, m) / (2**m * mp.factorial(m))
    return front * mp.hyp2f1(m - v, m + v + 1, 1 + m, (1 - x) / 2)


oracle(
    "special.lpmv",
    "m v x",
    associated,
    product([0.0, 1.0, 2.0], [2.0, 3.0, 7.0, 3.5], [-0.95, -0.5, -1e-6, 0.3, 0.7, 0.9999]),
    wanted=[2],
    scaled=True,
    length=0.1,
)


def harmonic(n, m, theta, phi):
    return mp.spherharm(n, m, theta, phi)


oracle(
    "special.sph_harm_y",
    "n m theta phi",
    harmonic,
    product([1, 3, 6], [-1, 0, 1], [1e-3, 0.4, 1.5, 3.0], [-2.0, 0.3]),
    wanted=[2, 3],
    scaled=True,
    call=lambda n, m, theta, phi: ours.sph_harm_y(n, m, theta, phi),
)
oracle(
    "special.diric",
    "x",
    lambda x: mp.sin(7 * x / 2) / (7 * mp.sin(x / 2)),
    line([-9.0, -3.1, -0.4, 1e-8, 1e-3, 0.7, 2.0, 3.1, 6.2, 20.0]),
    scaled=True,
    call=lambda x: ours.diric(x, 7),
    edges=[((0.0,), 0, 0.0)],
)
