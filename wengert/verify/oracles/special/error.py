"""Error functions and the normal distribution."""

from __future__ import annotations

import math

from mpmath import mp

from wengert.verify.oracles.special import oracle
from wengert.verify.oracles.special.grids import INSIDE, POSITIVE, UNIT, WHOLE, about, line, points, product, within
from wengert.verify.oracles.special.implicit import implicit

INF = math.inf
SQRT2 = math.sqrt(2)


def gauss(x):
    return 2 / mp.sqrt(mp.pi) * mp.exp(-x * x)


def density(x):
    return mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)


def erfcx(x):
    """exp(x²) erfc(x); far out by the asymptotic series."""
    if x < 1e6:
        return mp.exp(x * x) * mp.erfc(x)
    total = term = 1 / (x * mp.sqrt(mp.pi))
    for k in range(1, 60):
        term = -term * (2 * k - 1) / (2 * x * x)
        total += term
    return total


def dawson(x):
    if abs(x) < 1e4:
        return mp.sqrt(mp.pi) / 2 * mp.exp(-x * x) * mp.erfi(x)
    total = term = 1 / (2 * x)
    for k in range(1, 100):
        term = term * (2 * k - 1) / (2 * x * x)
        total += term
    return total


def ndtr(x):
    return mp.erfc(-x / mp.sqrt(2)) / 2


def log_ndtr(x):
    return mp.log1p(-mp.erfc(x / mp.sqrt(2)) / 2) if x > 0 else mp.log(ndtr(x))


def ndtri(p):
    with mp.workdps(mp.dps + 30 + int(-min(0, float(mp.log10(p))))):
        return mp.sqrt(2) * mp.erfinv(2 * p - 1)


def wofz(z):
    return mp.exp(-z * z) * mp.erfc(-1j * z)


BELL = line(within(WHOLE, -38, 38))
oracle("special.erf", "x", mp.erf, BELL, slope={0: gauss})
oracle("special.erfc", "x", mp.erfc, BELL, slope={0: lambda x: -gauss(x)})
oracle("special.erfcx", "x", erfcx, line(within(WHOLE, -26, 1e300), about(7.0, 6.99, 50.0)))
oracle("special.erfi", "x", mp.erfi, line(within(WHOLE, -26, 26)))
oracle("special.dawsn", "x", dawson, line(WHOLE, about(7.0, -7.0, 0.9241388730)), scaled=True)
_OUT = [((1.0,), 0, INF), ((-1.0,), 0, INF)]
implicit("special.erfinv", "x", lambda y, x: mp.erf(x) - y, line(INSIDE), edges=_OUT)
implicit(
    "special.erfcinv",
    "x",
    lambda y, x: mp.erfc(x) - y,
    line(UNIT, [1.0, 1.0001, 1.4, 1.9, 1.999, 2 - 1e-9]),
    edges=[((0.0,), 0, -INF), ((2.0,), 0, -INF)],
)

# ── the normal distribution ───────────────────────────────────────────────────

oracle("special.ndtr", "x", ndtr, BELL, slope={0: density})
oracle(
    "special.log_ndtr",
    "x",
    log_ndtr,
    line(within(WHOLE, -1e8, 38)),
    slope={0: lambda x: density(x) / ndtr(x)},
)
implicit("special.ndtri", "p", lambda p, x: ndtr(x) - p, line(UNIT), edges=[((0.0,), 0, INF), ((1.0,), 0, INF)])
implicit(
    "special.ndtri_exp",
    "y",
    lambda y, x: log_ndtr(x) - y,
    line([-x for x in within(POSITIVE, 1e-30, 1e6)]),
)
_CHANCES = [1e-12, 1e-3, 0.2, 0.5, 0.7, 0.999]
oracle(
    "special.nrdtrimn",
    "p std x",
    lambda p, s, x: x - s * ndtri(p),
    product(_CHANCES, [1e-3, 1.0, 20.0], [-3.0, 0.4, 1e3]),
    scaled=True,
)
oracle(
    "special.nrdtrisd",
    "mn p x",
    lambda m, p, x: (x - m) / ndtri(p),
    [
        (m, p, x)
        for m, p, x in product([-3.0, 0.4, 1e3], [c for c in _CHANCES if c != 0.5], [-2.0, 7.0, 2e3])
        if (x > m) == (p > 0.5)
    ],
)

# ── Owen's function, Voigt's profile, Faddeeva's function ─────────────────────


def owens_t(h, a):
    return mp.quad(lambda x: mp.exp(-h * h * (1 + x * x) / 2) / (1 + x * x), [0, a]) / (2 * mp.pi)


oracle(
    "special.owens_t",
    "h a",
    owens_t,
    product([-3.0, -0.6, 1e-8, 0.1, 1.0, 2.5, 6.0], [-2.0, 1e-8, 0.5, 0.99, 1.0, 1.7]),
    slope={0: lambda h, a: -density(h) * mp.erf(a * h / mp.sqrt(2)) / 2},
    edges=[((0.0, 0.7), 0, 0.0)],
)


def voigt(x, s, g):
    z = (x + 1j * g) / (s * mp.sqrt(2))
    return wofz(z).real / (s * mp.sqrt(2 * mp.pi))


oracle(
    "special.voigt_profile",
    "x sigma gamma",
    voigt,
    [
        *product([-3.0, 0.0, 0.5, 7.9, 80.0], [0.3, 1.0, 4.0], [1e-5, 0.3, 2.0]),
        *points((1e3, 1.0, 0.5), (30.0, 1.0, 1e-9), (5.0, 1.0, 1e-3)),
    ],
    scaled=True,
)

# ── Fresnel integrals ─────────────────────────────────────────────────────────

oracle(
    "special.fresnel",
    "x",
    lambda x: (mp.fresnels(x), mp.fresnelc(x)),
    line(within(WHOLE, -1e2, 1e2)),
    slope={0: lambda x: (mp.sin(mp.pi * x * x / 2), mp.cos(mp.pi * x * x / 2))},
    scaled=True,
)


def modified(s):
    """∫ₓ^∞ exp(±it²) dt, and the same times exp(∓i(x² + π/4)) / √π."""

    def value(x):
        turn = mp.expj(s * mp.pi / 4)
        integral = mp.sqrt(mp.pi) / 2 * turn * mp.erfc(x / turn)
        return integral, mp.expj(-s * (x * x + mp.pi / 4)) * integral / mp.sqrt(mp.pi)

    return value


_FORWARD = line(within(POSITIVE, 1e-8, 1e3), [0.0])
oracle("special.modfresnelp", "x", modified(1), _FORWARD)
oracle("special.modfresnelm", "x", modified(-1), _FORWARD)
