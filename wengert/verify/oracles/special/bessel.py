"""Bessel functions and their kin."""

from __future__ import annotations

import math

from mpmath import mp

import wengert.scipy.special as ours
from wengert.verify.oracles.special import oracle
from wengert.verify.oracles.special.grids import POSITIVE, WHOLE, line, mirrored, product, within

INF, NAN = math.inf, math.nan

# ── of order 0 and 1 ──────────────────────────────────────────────────────────

_X = line(within(WHOLE, -1e4, 1e4))
_RIGHT = line(within(POSITIVE, 1e-150, 1e4))
_DAMPED = line(within(POSITIVE, 1e-150, 700))
for _n in (0, 1):
    oracle(f"special.j{_n}", "x", lambda x, n=_n: mp.besselj(n, x), _X, scaled=True)
    oracle(
        f"special.y{_n}",
        "x",
        lambda x, n=_n: mp.bessely(n, x),
        _RIGHT,
        scaled=True,
        edges=[((0.0,), 0, NAN if _n else INF)],
    )
    oracle(f"special.i{_n}", "x", lambda x, n=_n: mp.besseli(n, x), line(within(WHOLE, -700, 700)))
    oracle(f"special.k{_n}", "x", lambda x, n=_n: mp.besselk(n, x), _DAMPED, edges=[((0.0,), 0, -INF)])
    oracle(
        f"special.i{_n}e",
        "x",
        lambda x, n=_n: mp.exp(-abs(x)) * mp.besseli(n, x),
        line([x for x in within(WHOLE, -1e4, 1e4) if x]),
    )
    oracle(f"special.k{_n}e", "x", lambda x, n=_n: mp.exp(x) * mp.besselk(n, x), _RIGHT, edges=[((0.0,), 0, NAN)])

# ── of any order ──────────────────────────────────────────────────────────────

_ORDERS = [0.0, 0.5, 1.0, 2.5, 10.0, 40.3]
_Z = [1e-8, 1e-3, 0.3, 1.0, 2.7, 8.0, 24.9, 33.0, 250.0]
_MILD = product(_ORDERS, _Z)
oracle("special.jv", "v z", mp.besselj, [*_MILD, *product([0.0, 1.0, 3.0], [-7.0, -0.3, 1e4])], wanted=[1], scaled=True)
oracle("special.jn", "v z", mp.besselj, product([0.0, 1.0, 3.0], [-7.0, -0.3, 1e-9, 5.0, 1e4]), wanted=[1], scaled=True)
oracle("special.yv", "v z", mp.bessely, [p for p in _MILD if p[0] < 40 or p[1] > 1e-3], wanted=[1], scaled=True)
oracle("special.yn", "n x", mp.bessely, product([0, 1, 5], _Z), wanted=[1], scaled=True)
oracle("special.iv", "v z", mp.besseli, _MILD, wanted=[1])
oracle("special.kv", "v z", mp.besselk, [p for p in _MILD if p[0] < 40 or p[1] > 1e-3], wanted=[1])
oracle("special.kn", "n x", mp.besselk, product([0, 1, 5], _Z), wanted=[1])
oracle("special.ive", "v z", lambda v, z: mp.exp(-z) * mp.besseli(v, z), _MILD, wanted=[1], scaled=True)
oracle(
    "special.kve",
    "v z",
    lambda v, z: mp.exp(z) * mp.besselk(v, z),
    [p for p in _MILD if p[0] < 40 or p[1] > 1e-3],
    wanted=[1],
)
oracle("special.jve", "v z", mp.besselj, _MILD, wanted=[1], scaled=True)
oracle("special.yve", "v z", mp.bessely, [p for p in _MILD if p[0] < 40 or p[1] > 1e-3], wanted=[1], scaled=True)

_HANKEL = [p for p in product([0.0, 1.0, 2.5, 10.0], _Z) if p[0] < 10 or p[1] > 1e-3]
oracle("special.hankel1", "v z", mp.hankel1, _HANKEL, wanted=[1], scaled=True)
oracle("special.hankel2", "v z", mp.hankel2, _HANKEL, wanted=[1], scaled=True)
oracle("special.hankel1e", "v z", lambda v, z: mp.hankel1(v, z) * mp.expj(-z), _HANKEL, wanted=[1], scaled=True)
oracle("special.hankel2e", "v z", lambda v, z: mp.hankel2(v, z) * mp.expj(z), _HANKEL, wanted=[1], scaled=True)

# ── derivatives of given order ────────────────────────────────────────────────


def cylinder_slope(f, plus, sign=1):
    return lambda v, z: sign * (f(v - 1, z) + plus * f(v + 1, z)) / 2


_FEW = product([0.0, 1.0, 2.5], [1e-3, 0.3, 1.0, 2.7, 8.0, 33.0])
for _name, _f, _plus, _sign in (
    ("jvp", mp.besselj, -1, 1), ("yvp", mp.bessely, -1, 1), ("ivp", mp.besseli, 1, 1), ("kvp", mp.besselk, 1, -1),
    ("h1vp", mp.hankel1, -1, 1), ("h2vp", mp.hankel2, -1, 1),
):  # fmt: skip
    oracle(
        f"special.{_name}",
        "v z",
        cylinder_slope(_f, _plus, _sign),
        _FEW,
        wanted=[1],
        scaled=True,
        call=lambda v, z, function=getattr(ours, _name): function(v, z, 1),
    )

# ── spherical ─────────────────────────────────────────────────────────────────


def spherical(f, factor=1):
    return lambda n, z: factor * mp.sqrt(mp.pi / (2 * z)) * f(n + mp.mpf(0.5), z)


_DEGREES = [0, 1, 2, 7]
_AT_0 = [((0, 0.0), 1, 0.0), ((1, 0.0), 1, 1 / 3), ((2, 0.0), 1, 0.0)]
oracle(
    "special.spherical_jn", "n z", spherical(mp.besselj), product(_DEGREES, _Z), wanted=[1], scaled=True, edges=_AT_0
)
oracle("special.spherical_yn", "n z", spherical(mp.bessely), product(_DEGREES, _Z[1:]), wanted=[1], scaled=True)
oracle(
    "special.spherical_in", "n z", spherical(mp.besseli), product(_DEGREES, _Z), wanted=[1], scaled=True, edges=_AT_0
)
oracle("special.spherical_kn", "n z", spherical(mp.besselk), product(_DEGREES, _Z[1:]), wanted=[1])

# ── Airy ──────────────────────────────────────────────────────────────────────


def airy(x):
    return mp.airyai(x), mp.airyai(x, derivative=1), mp.airybi(x), mp.airybi(x, derivative=1)


def airye(x):
    zeta = 2 * x * mp.sqrt(x) / 3
    ai, aip, bi, bip = airy(x)
    return mp.exp(zeta) * ai, mp.exp(zeta) * aip, mp.exp(-zeta) * bi, mp.exp(-zeta) * bip


oracle(
    "special.airy",
    "z",
    airy,
    line([x for x in within(WHOLE, -250, 60) if x]),
    scaled=True,
    edges=[((0.0,), 0, (-0.25881940379280678, 0.0, 0.44828835735382633, 0.0))],
)
oracle("special.airye", "z", airye, line(within(POSITIVE, 1e-8, 1e4)), scaled=True)

# ── Kelvin ────────────────────────────────────────────────────────────────────


def _turned(quarters):
    return mp.expj(quarters * mp.pi / 4)


def be(x):
    return mp.besselj(0, x * _turned(3))


def bep(x):
    return -_turned(3) * mp.besselj(1, x * _turned(3))


def ke(x):
    return mp.besselk(0, x * _turned(1))


def kep(x):
    return -_turned(1) * mp.besselk(1, x * _turned(1))


_BE = line(mirrored([1e-8, 1e-3, 0.3, 1.0, 2.7, 5.0, 9.0, 9.99]), [10.01, 15.0, 20.0])
_KE = line([1e-8, 1e-3, 0.3, 1.0, 1.7, 2.7, 5.0, 9.0, 9.99, 10.01, 15.0, 20.0])
oracle("special.ber", "x", lambda x: be(x).real, _BE, scaled=True, edges=[((0.0,), 0, 0.0)])
oracle("special.bei", "x", lambda x: be(x).imag, _BE, scaled=True, edges=[((0.0,), 0, 0.0)])
oracle("special.berp", "x", lambda x: bep(x).real, _BE, scaled=True, edges=[((0.0,), 0, 0.0)])
oracle("special.beip", "x", lambda x: bep(x).imag, _BE, scaled=True, edges=[((0.0,), 0, 0.5)])
oracle("special.ker", "x", lambda x: ke(x).real, _KE, scaled=True)
oracle("special.kei", "x", lambda x: ke(x).imag, _KE, scaled=True)
oracle("special.kerp", "x", lambda x: kep(x).real, _KE, scaled=True)
oracle("special.keip", "x", lambda x: kep(x).imag, _KE, scaled=True)
oracle("special.kelvin", "x", lambda x: (be(x), ke(x), bep(x), kep(x)), _KE, scaled=True)

# ── Struve, parabolic cylinder ────────────────────────────────────────────────

oracle("special.struve", "v x", mp.struveh, product([0.0, 1.0, 2.5, 7.0], _Z), wanted=[1], scaled=True)
oracle("special.modstruve", "v x", mp.struvel, product([0.0, 1.0, 2.5, 7.0], _Z[:-1]), wanted=[1], scaled=True)


def numeric(f):
    """The derivative of f by differences; one that differences may be taken of again."""

    def at(v, x):
        with mp.workdps(2 * mp.dps):
            h = mp.mpf(10) ** (-mp.dps // 3)
            return (f(v, x + h) - f(v, x - h)) / (2 * h)

    return at


def weber(f):
    """Value and derivative, and their derivatives by the equation y'' = (x²/4 - v - 1/2) y."""
    slope = numeric(f)
    return (
        lambda v, x: (f(v, x), slope(v, x)),
        {1: lambda v, x: (slope(v, x), (x * x / 4 - v - mp.mpf(0.5)) * f(v, x))},
    )


_WEBER = product([-0.5, 0.0, 1.0, 2.5, 6.0], [-4.0, -0.3, 1e-3, 0.7, 2.0, 4.9, 5.1, 8.0])
_value, _slope = weber(mp.pcfd)
oracle("special.pbdv", "v x", _value, _WEBER, wanted=[1], slope=_slope, scaled=True)
_value, _slope = weber(lambda v, x: mp.pcfv(-v - mp.mpf(0.5), x))
oracle("special.pbvv", "v x", _value, _WEBER, wanted=[1], slope=_slope, scaled=True)
_w = numeric(lambda a, x: mp.pcfw(a, x).real)
oracle(
    "special.pbwa",
    "a x",
    lambda a, x: (mp.pcfw(a, x).real, _w(a, x)),
    product([-3.0, 0.5, 2.0], [-3.0, -0.4, 0.1, 1.0, 4.5]),
    wanted=[1],
    slope={1: lambda a, x: (_w(a, x), (a - x * x / 4) * mp.pcfw(a, x).real)},
    scaled=True,
)
