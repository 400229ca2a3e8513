"""Distribution functions and their inverses: incomplete gamma and beta functions in other letters, and series."""

from __future__ import annotations

import math

from mpmath import mp

from wengert.verify.oracles.special import oracle
from wengert.verify.oracles.special.grids import line, mirrored, product
from wengert.verify.oracles.special.implicit import implicit
from wengert.verify.oracles.special.incomplete import (
    below,
    beta_lower,
    beta_twin,
    beta_upper,
    lower,
    lower_twin,
    upper,
)

DF, P = [0.5, 1.0, 2.5, 7.0, 40.0], [1e-9, 1e-3, 0.2, 0.5, 0.8, 0.99]
X = [1e-6, 0.05, 0.4, 1.0, 2.3, 9.0, 60.0]

# ── χ², gamma, Poisson ────────────────────────────────────────────────────────

oracle(
    "special.chdtr",
    "v x",
    lambda v, x: lower(v / 2, x / 2),
    product(DF, X),
    twin=lambda v, x: lower_twin(v / 2, x / 2),
    scaled=True,
)
oracle(
    "special.chdtrc",
    "v x",
    lambda v, x: upper(v / 2, x / 2),
    product(DF, X),
    twin=lambda v, x: -lower_twin(v / 2, x / 2),
    scaled=True,
)
implicit(
    "special.chdtri", "v p", below(lambda v, x: upper(v / 2, x / 2), lambda v, x: lower(v / 2, x / 2)), product(DF, P)
)
implicit(
    "special.chdtriv",
    "p x",
    lambda p, x, v: lower(v / 2, x / 2) - p,
    product([1e-3, 0.2, 0.5, 0.8, 0.99], [0.05, 0.4, 1.0, 2.3, 9.0]),
)

_RATE, _SHAPE = [0.3, 1.0, 5.0], [0.4, 1.0, 3.5, 30.0]
_GAMMAS = product(_RATE, _SHAPE, [1e-5, 0.3, 1.0, 4.0, 20.0])
oracle(
    "special.gdtr",
    "a b x",
    lambda a, b, x: lower(b, a * x),
    _GAMMAS,
    twin=lambda a, b, x: lower_twin(b, a * x),
    scaled=True,
)
oracle(
    "special.gdtrc",
    "a b x",
    lambda a, b, x: upper(b, a * x),
    _GAMMAS,
    twin=lambda a, b, x: -lower_twin(b, a * x),
    scaled=True,
)
implicit(
    "special.gdtria",
    "p b x",
    lambda p, b, x, a: lower(b, a * x) - p,
    product([0.01, 0.3, 0.9], _SHAPE, [0.3, 1.0, 4.0]),
)
implicit(
    "special.gdtrib", "a p x", lambda a, p, x, b: lower(b, a * x) - p, product(_RATE, [0.01, 0.3, 0.9], [0.3, 1.0, 4.0])
)
implicit(
    "special.gdtrix", "a b p", lambda a, b, p, x: lower(b, a * x) - p, product(_RATE, _SHAPE, [1e-5, 0.01, 0.3, 0.9])
)

_COUNTS, _MEANS = [0.0, 1.0, 2.5, 7.0, 60.0], [1e-6, 0.1, 1.0, 3.3, 12.0, 50.0]
oracle("special.pdtr", "k m", lambda k, m: upper(mp.floor(k) + 1, m), product(_COUNTS, _MEANS), wanted=[1],
       twin=lambda k, m: -lower_twin(mp.floor(k) + 1, m), scaled=True)  # fmt: skip
oracle("special.pdtrc", "k m", lambda k, m: lower(mp.floor(k) + 1, m), product(_COUNTS, _MEANS), wanted=[1],
       twin=lambda k, m: lower_twin(mp.floor(k) + 1, m), scaled=True)  # fmt: skip
implicit(
    "special.pdtri",
    "k y",
    lambda k, y, m: upper(mp.floor(k) + 1, m) - y,
    product([0.0, 1.0, 3.0, 20.0], [1e-6, 0.01, 0.3, 0.9]),
    wanted=[1],
)
implicit(
    "special.pdtrik",
    "p m",
    lambda p, m, k: upper(k + 1, m) - p,
    product([0.5, 0.7, 0.9, 0.999], [0.7, 1.0, 3.3, 12.0, 50.0]),
)

# ── binomial and negative binomial ────────────────────────────────────────────


def binomial(k, n, p):
    return beta_upper(k + 1, n - k, p)


def binomial_twin(k, n, p):
    return -beta_twin(k + 1, n - k, p)


def negative(k, n, p):
    return beta_lower(n, k + 1, p)


def negative_twin(k, n, p):
    return beta_twin(n, k + 1, p)


_TRIALS, _CHANCES = [5, 9, 40], [1e-6, 0.05, 0.3, 0.5, 0.9, 0.999]
_BINOMIAL = product([0.0, 2.0, 3.5], _TRIALS, _CHANCES)
_NEGATIVE = product([0, 2, 30], [1, 4, 25], _CHANCES)
oracle("special.bdtr", "k n p", lambda k, n, p: binomial(mp.floor(k), n, p), _BINOMIAL, wanted=[2],
       twin=lambda k, n, p: binomial_twin(mp.floor(k), n, p), scaled=True)  # fmt: skip
oracle("special.bdtrc", "k n p", lambda k, n, p: beta_lower(mp.floor(k) + 1, n - mp.floor(k), p), _BINOMIAL, wanted=[2],
       twin=lambda k, n, p: -binomial_twin(mp.floor(k), n, p), scaled=True)  # fmt: skip
implicit(
    "special.bdtri",
    "k n y",
    lambda k, n, y, p: binomial(mp.floor(k), n, p) - y,
    product([0.0, 2.0, 3.5], _TRIALS, [1e-4, 0.3, 0.8]),
    wanted=[2],
)
implicit(
    "special.bdtrik",
    "y n p",
    lambda y, n, p, k: binomial(k, n, p) - y,
    product([0.5, 0.8, 0.97], [6.0, 9.5, 40.0], [0.3, 0.5, 0.8]),
)
implicit(
    "special.bdtrin",
    "k y p",
    lambda k, y, p, n: binomial(k, n, p) - y,
    product([1.0, 2.5, 7.0], [0.1, 0.5, 0.8], [0.1, 0.3, 0.6]),
)
oracle("special.nbdtr", "k n p", negative, _NEGATIVE, wanted=[2], twin=negative_twin, scaled=True)
oracle("special.nbdtrc", "k n p", lambda k, n, p: beta_upper(n, k + 1, p), _NEGATIVE, wanted=[2],
       twin=lambda k, n, p: -negative_twin(k, n, p), scaled=True)  # fmt: skip
implicit(
    "special.nbdtri",
    "k n y",
    lambda k, n, y, p: negative(k, n, p) - y,
    product([0, 2, 30], [1, 4, 25], [1e-4, 0.3, 0.8]),
    wanted=[2],
)
implicit(
    "special.nbdtrik",
    "y n p",
    lambda y, n, p, k: negative(k, n, p) - y,
    product([0.5, 0.8, 0.97], [2.0, 6.5, 20.0], [0.2, 0.3, 0.5]),
)
implicit(
    "special.nbdtrin",
    "k y p",
    lambda k, y, p, n: negative(k, n, p) - y,
    product([1.0, 2.5, 7.0], [0.1, 0.5, 0.8], [0.1, 0.3, 0.6]),
)

# ── F and Student's t ─────────────────────────────────────────────────────────


def f_lower(m, n, x):
    return beta_lower(m / 2, n / 2, m * x / (n + m * x))


def f_upper(m, n, x):
    return beta_lower(n / 2, m / 2, n / (n + m * x))


def f_twin(m, n, x):
    return f_lower(m, n, x) if x < 1.0123 else -f_upper(m, n, x)


def f_size(m, n, x):
    """F's own size beside its derivatives: for m = 2 and x → 0 that in n is a power of x smaller."""
    return min(f_lower(m, n, x), f_upper(m, n, x)) / n


_F = product([0.7, 2.0, 9.0], [0.7, 3.0, 30.0], [1e-6, 0.1, 0.9, 1.0, 1.7, 30.0])
oracle("special.fdtr", "m n x", f_lower, _F, twin=f_twin, size=f_size, measure="ulp, scaled, or of F/n", scaled=True)
oracle(
    "special.fdtrc",
    "m n x",
    f_upper,
    _F,
    twin=lambda m, n, x: -f_twin(m, n, x),
    size=f_size,
    measure="ulp, scaled, or of F/n",
    scaled=True,
)
implicit(
    "special.fdtri",
    "m n p",
    lambda m, n, p, x: f_lower(m, n, x) - p,
    product([0.7, 2.0, 9.0], [0.7, 3.0, 30.0], [1e-4, 0.1, 0.5, 0.97]),
    size=lambda m, n, p: p / n,
    measure="ulp, or of p/n",
)
implicit(
    "special.fdtridfd",
    "m p x",
    lambda m, p, x, n: f_lower(m, n, x) - p,
    product([2.0, 2.5, 3.0], [0.35, 0.4, 0.45], [0.9, 0.95, 1.0]),
)


def t_tail(df, t):
    """P(T < -|t|)."""
    return beta_lower(df / 2, mp.mpf(0.5), df / (df + t * t)) / 2


def t_lower(df, t):
    return t_tail(df, t) if t < 0 else 1 - t_tail(df, t)


def t_twin(df, t):
    return t_tail(df, t) if t < 0 else -t_tail(df, t)


oracle(
    "special.stdtr",
    "df t",
    t_lower,
    product([0.6, 1.0, 2.5, 8.0, 100.0], mirrored([1e-6, 0.1, 0.9, 2.7, 30.0])),
    twin=t_twin,
    scaled=True,
    edges=[((3.0, 0.0), 0, 0.0)],
)
implicit(
    "special.stdtrit",
    "df p",
    lambda df, p, t: t_lower(df, t) - p,
    product([0.6, 1.0, 2.5, 8.0, 100.0], [1e-4, 0.1, 0.4, 0.7, 0.97]),
)
implicit("special.stdtridf", "p t", lambda p, t, df: t_lower(df, t) - p, product([0.81, 0.82, 0.83], [1.12, 1.2, 1.25]))

# ── non-central χ² ────────────────────────────────────────────────────────────


def noncentral(x, df, nc):
    """Poisson's mixture of central ones, whose neighbours differ by a density."""
    half = nc / 2
    weight, total = mp.exp(-half), mp.mpf(0)
    central = lower(df / 2, x / 2)
    step = (x / 2) ** (df / 2) * mp.exp(-x / 2) / mp.gamma(df / 2 + 1)
    for j in range(100_000):
        total += weight * central
        if j > half and weight < mp.mpf(10) ** (-mp.dps - 10):
            break
        weight = weight * half / (j + 1)
        central -= step
        step = step * (x / 2) / (df / 2 + j + 1)
    return total


_NONCENTRAL = product([0.1, 1.0, 4.0, 20.0], [0.7, 2.0, 5.0, 11.0], [1e-6, 0.3, 3.0, 15.0])
oracle("special.chndtr", "x df nc", noncentral, _NONCENTRAL, wanted=[0, 2], scaled=True)
implicit(
    "special.chndtrix",
    "p df nc",
    lambda p, df, nc, x: noncentral(x, df, nc) - p,
    product([0.01, 0.3, 0.9], [0.7, 2.0, 5.0], [0.3, 3.0, 15.0]),
    wanted=[0, 2],
)
implicit(
    "special.chndtrinc",
    "x df p",
    lambda x, df, p, nc: noncentral(x, df, nc) - p,
    product([4.0, 5.0, 9.0], [2.5, 3.0, 2.0], [0.1, 0.3, 0.4]),
    wanted=[0, 2],
)

# ── Kolmogorov and Smirnov ────────────────────────────────────────────────────


def kolmogorov_gap(x):
    """1 - K(x), by Jacobi's transform."""
    total, k = mp.mpf(0), 1
    while True:
        term = mp.exp(-(((2 * k - 1) * mp.pi / x) ** 2) / 8)
        total += term
        if term < mp.mpf(10) ** (-mp.dps - 5) * total:
            return mp.sqrt(2 * mp.pi) / x * total
        k += 1


def kolmogorov(x):
    if x < 0.7:
        return 1 - kolmogorov_gap(x)
    return kolmogorov_twin(x)


def kolmogorov_twin(x):
    if x < 0.7:
        return -kolmogorov_gap(x)
    total, k = mp.mpf(0), 1
    while True:
        term = 2 * mp.exp(-2 * (k * x) ** 2) * (-1) ** (k - 1)
        total += term
        if abs(term) < mp.mpf(10) ** (-mp.dps - 5) * abs(total):
            return total
        k += 1


_XS = [
    0.04,
    0.05,
    0.1,
    0.2,
    0.3,
    0.45,
    0.6,
    0.69,
    0.71,
    0.74,
    0.76,
    0.8,
    0.82,
    0.83,
    0.9,
    1.0,
    1.2,
    1.5,
    2.0,
    3.0,
    5.0,
    10.0,
    18.0,
]
oracle("special.kolmogorov", "x", kolmogorov, line(_XS), twin=kolmogorov_twin, scaled=True, edges=[((0.0,), 0, 0.0)])


def kolmogorov_residual(p, x):
    return kolmogorov_twin(x) - p if x >= 0.7 else (1 - p) - kolmogorov_gap(x)


implicit(
    "special.kolmogi",
    "p",
    kolmogorov_residual,
    line([1e-100, 1e-9, 1e-3, 0.05, 0.2, 0.4, 0.5, 0.6, 0.7, 0.8, 0.95, 0.999, 1 - 1e-9]),
)


def smirnov(n, d):
    total = mp.mpf(0)
    for j in range(int(mp.floor(n * (1 - d))) + 1):
        total += mp.binomial(n, j) * d * (d + mp.mpf(j) / n) ** (j - 1) * (1 - d - mp.mpf(j) / n) ** (n - j)
    return total


_SIZES = [2, 5, 11, 60]
oracle(
    "special.smirnov",
    "n d",
    smirnov,
    product(_SIZES, [1e-6, 0.01, 0.11, 0.17, 0.3, 0.42, 0.61, 0.83, 0.97]),
    wanted=[1],
    scaled=True,
)
implicit(
    "special.smirnovi",
    "n p",
    lambda n, p, d: smirnov(n, d) - p,
    product(_SIZES, [1e-6, 0.05, 0.3, 0.62, 0.9]),
    wanted=[1],
)

# ── Tukey's lambda distribution ───────────────────────────────────────────────


def tukey(p, k):
    return (mp.expm1(k * mp.log(p)) - mp.expm1(k * mp.log1p(-p))) / k if k else mp.log(p / (1 - p))


_TUKEY = product([-8.0, -1.5, -0.1, 1e-6, 0.6, 1.4, 5.0], [-2.0, -0.8, -1e-6, 0.1, 0.5])
implicit(
    "special.tklmbda",
    "x lmbda",
    lambda x, k, p: tukey(p, k) - x,
    [(x, k) for x, k in _TUKEY if abs(x * k) < 1],
    size=lambda x, k: 1 / (1 + mp.exp(abs(x))),
    measure="ulp, or of the probability",
    edges=[((3.0, 0.5), 0, 0.0), ((3.0, 0.5), 1, 0.0), ((1.0, 0.0), 0, math.e / (1 + math.e) ** 2)],
)
