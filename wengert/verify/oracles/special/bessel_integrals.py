"""Integrals of Bessel functions: values as hypergeometric functions, slopes the integrands."""

from __future__ import annotations

from mpmath import mp

from wengert.verify.oracles.special import oracle
from wengert.verify.oracles.special.grids import line, product

_X = line([1e-8, 1e-3, 0.1, 0.4, 0.9, 0.99, 1.01, 1.5, 2.7, 5.0, 7.9, 8.1, 11.9, 12.1, 15.0, 17.9, 18.1, 21.0, 30.0])
HALF = mp.mpf(0.5)


def integral_j0(x):
    return x * mp.hyper([HALF], [1, 3 * HALF], -x * x / 4)


def integral_y0(x):
    """DLMF 10.22.2."""
    bend = mp.struveh(0, x) * mp.bessely(1, x) + mp.struveh(-1, x) * mp.bessely(0, x)
    return x * mp.pi / 2 * bend


def integral_i0(x):
    return x * mp.hyper([HALF], [1, 3 * HALF], x * x / 4)


def integral_k0(x):
    """DLMF 10.43.2."""
    return x * mp.pi / 2 * (mp.besselk(0, x) * mp.struvel(-1, x) + mp.besselk(1, x) * mp.struvel(0, x))


oracle(
    "special.itj0y0",
    "x",
    lambda x: (integral_j0(x), integral_y0(x)),
    _X,
    slope={0: lambda x: (mp.besselj(0, x), mp.bessely(0, x))},
    scaled=True,
)
oracle(
    "special.iti0k0",
    "x",
    lambda x: (integral_i0(x), integral_k0(x)),
    _X,
    slope={0: lambda x: (mp.besseli(0, x), mp.besselk(0, x))},
)
oracle(
    "special.it2j0y0",
    "x",
    lambda x: (x * x / 8 * mp.hyper([1, 1], [2, 2, 2], -x * x / 4), None),
    _X,
    slope={0: lambda x: ((1 - mp.besselj(0, x)) / x, -mp.bessely(0, x) / x)},
    scaled=True,
)
oracle(
    "special.it2i0k0",
    "x",
    lambda x: (x * x / 8 * mp.hyper([1, 1], [2, 2, 2], x * x / 4), None),
    _X,
    slope={0: lambda x: ((mp.besseli(0, x) - 1) / x, -mp.besselk(0, x) / x)},
)


def integral_airy(x):
    return (
        mp.airyai(x, derivative=-1),
        mp.airybi(x, derivative=-1),
        -mp.airyai(-x, derivative=-1),
        -mp.airybi(-x, derivative=-1),
    )


oracle(
    "special.itairy",
    "x",
    integral_airy,
    line([-5.0, -1.2, -0.1, 1e-8, 0.3, 1.0, 2.7, 5.0, 9.24, 9.26, 12.0]),
    slope={0: lambda x: (mp.airyai(x), mp.airybi(x), mp.airyai(-x), mp.airybi(-x))},
    scaled=True,
)


def besselpoly(a, k, v):
    """∫₀¹ xᵏ J_v(2ax) dx."""
    s = (k + v + 1) / 2
    return a**v * mp.rgamma(v + 1) / (2 * s) * mp.hyper([s], [s + 1, v + 1], -a * a)


oracle(
    "special.besselpoly",
    "a lmb nu",
    besselpoly,
    product([0.01, 0.3, 1.0, 2.7, 6.0, 9.0], [0.0, 1.0, 0.5, 3.0], [1.0, 2.0, 2.5]),
    wanted=[0],
    scaled=True,
)


def integral_struve(x, sign):
    return x * x / mp.pi * mp.hyper([1, 1], [2, 3 * HALF, 3 * HALF], sign * x * x / 4)


oracle(
    "special.itstruve0", "x", lambda x: integral_struve(x, -1), _X, slope={0: lambda x: mp.struveh(0, x)}, scaled=True
)
oracle(
    "special.itmodstruve0", "x", lambda x: integral_struve(x, 1), _X, slope={0: lambda x: mp.struvel(0, x)}, scaled=True
)
oracle(
    "special.it2struve0",
    "x",
    lambda x: mp.pi / 2 - 2 * x / mp.pi * mp.hyper([1, HALF], [3 * HALF] * 3, -x * x / 4),
    _X,
    slope={0: lambda x: -mp.struveh(0, x) / x},
    scaled=True,
)
