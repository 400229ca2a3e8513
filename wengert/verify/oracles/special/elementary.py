"""NumPy's elementary functions."""

from __future__ import annotations

import math

from mpmath import mp

from wengert.verify.oracles.special import oracle
from wengert.verify.oracles.special.grids import INSIDE, POSITIVE, UNIT, WHOLE, about, line, mirrored, product, within

INF = math.inf
ROUND = [*within(WHOLE, -1e20, 1e20), *about(math.pi / 2, math.pi, 10 * math.pi)]
TINY, HUGE = within(POSITIVE, 0, 1), within(POSITIVE, 1, INF)

# ── exponentials and logarithms ───────────────────────────────────────────────

oracle("exp", "x", mp.exp, line(within(WHOLE, -740, 709.7)))
oracle("exp2", "x", lambda x: mp.mpf(2) ** x, line(within(WHOLE, -1070, 1023)))
oracle("expm1", "x", mp.expm1, line(within(WHOLE, -740, 709.7)), slope={0: mp.exp})
oracle("log", "x", mp.log, line(POSITIVE), edges=[((0.0,), 0, INF)])
oracle("log2", "x", lambda x: mp.log(x, 2), line(POSITIVE), edges=[((0.0,), 0, INF)])
oracle("log10", "x", mp.log10, line(POSITIVE), edges=[((0.0,), 0, INF)])
oracle("log1p", "x", mp.log1p, line([-x for x in UNIT], [0.0], POSITIVE), edges=[((-1.0,), 0, INF)])

_PAIRS = [
    *product([-700.0, -30.0, -1.0, 0.0, 1e-3, 2.5, 40.0, 1e3], [-710.0, -33.0, -1.1, 0.0, 1e-8, 2.5, 37.0, 1003.0])
]
_EQUAL = [
    ((INF, INF), 0, 0.5),
    ((-INF, -INF), 1, 0.5),
    ((-INF, 1.0), 0, 0.0),
    ((-INF, 1.0), 1, 1.0),
    ((1.0, INF), 0, 0.0),
]


def share(x: object, y: object) -> object:
    """exp(x) / (exp(x) + exp(y))."""
    return 1 / (1 + mp.exp(y - x))  # type: ignore[operator]


oracle(
    "logaddexp",
    "x y",
    lambda x, y: max(x, y) + mp.log1p(mp.exp(-abs(x - y))),
    _PAIRS,
    slope={0: share, 1: lambda x, y: share(y, x)},
    edges=_EQUAL,
    scaled=True,
)
oracle(
    "logaddexp2",
    "x y",
    lambda x, y: max(x, y) + mp.log1p(mp.mpf(2) ** -abs(x - y)) / mp.log(2),
    _PAIRS,
    slope={0: lambda x, y: share(x * mp.log(2), y * mp.log(2)), 1: lambda x, y: share(y * mp.log(2), x * mp.log(2))},
    edges=_EQUAL,
    scaled=True,
)

# ── powers ────────────────────────────────────────────────────────────────────

oracle("sqrt", "x", mp.sqrt, line(POSITIVE), edges=[((0.0,), 0, INF)])
oracle("cbrt", "x", lambda x: mp.sign(x) * mp.cbrt(abs(x)), line(mirrored(POSITIVE)), edges=[((0.0,), 0, INF)])
oracle("square", "x", lambda x: x * x, line(within(WHOLE, -1e150, 1e150)))
oracle("reciprocal", "x", lambda x: 1 / x, line(mirrored(POSITIVE)), edges=[((0.0,), 0, -INF)])
oracle("abs", "x", abs, line(mirrored(POSITIVE)), edges=[((0.0,), 0, 0.0)])
oracle("multiply", "x y", lambda x, y: x * y, product([-1e100, -1.3, 0.0, 1e-8, 3.0], [-7.0, 0.0, 1e-100, 0.3, 1e20]))
_BASES = [1e-300, 1e-8, 0.1, 0.9, 0.999, 1.0, 1.001, 2.0, 7.0, 1e4, 1e100]
_EXPONENTS = [-3.0, -2.5, -1.0, -1e-8, 0.0, 1e-300, 1e-3, 0.5, 1.0, 2.0, 2.7]
_BEND = [
    ((0.0, 2.0), 0, 0.0), ((0.0, 1.0), 0, 1.0), ((0.0, 0.5), 0, INF), ((0.0, 0.0), 0, 0.0), ((0.0, 0.0), 1, 0.0),
    ((0.0, 2.0), 1, 0.0), ((-2.0, 3.0), 0, 12.0), ((-2.0, -1.0), 0, -0.25), ((-2.0, 2.0), 1, math.nan),
]  # fmt: skip
for _name in ("power", "float_power"):
    oracle(
        _name,
        "x y",
        lambda x, y: x**y,
        product(_BASES, _EXPONENTS),
        edges=_BEND,
    )
_DIVISORS = mirrored([1e-100, 1e-8, 0.3, 7.0, 1e100])
oracle("divide", "x y", lambda x, y: x / y, product([-1e100, -1.3, 0.0, 1e-8, 3.0, 1e20], _DIVISORS))
oracle(
    "hypot",
    "x y",
    mp.hypot,
    product([-1e200, -1.0, -1e-200, 1e-9, 3.0, 1e100], [-3.0, 1e-250, 1e-9, 0.5, 1e160]),
    edges=[((0.0, 0.0), 0, 0.0), ((0.0, 0.0), 1, 0.0), ((0.0, -2.0), 1, -1.0), ((0.0, -2.0), 0, 0.0)],
)

# ── trigonometry ──────────────────────────────────────────────────────────────

oracle("sin", "x", mp.sin, line(ROUND))
oracle("cos", "x", mp.cos, line(ROUND))
oracle("tan", "x", mp.tan, line(ROUND))
oracle("arcsin", "x", mp.asin, line(INSIDE), edges=[((1.0,), 0, INF), ((-1.0,), 0, INF)])
oracle("arccos", "x", mp.acos, line(INSIDE), edges=[((1.0,), 0, -INF), ((-1.0,), 0, -INF)])
oracle("arctan", "x", mp.atan, line(WHOLE), slope={0: lambda x: 1 / (1 + x * x)})
_PLANE = [-1e200, -3.0, -1e-8, 1e-200, 0.7, 1e9]
_ORIGIN = [
    ((0.0, 0.0), 0, 0.0),
    ((0.0, 0.0), 1, 0.0),
    ((0.0, -2.0), 0, -0.5),
    ((0.0, -2.0), 1, 0.0),
    ((2.0, 0.0), 1, -0.5),
]
oracle(
    "arctan2",
    "y x",
    mp.atan2,
    product(_PLANE, _PLANE),
    slope={0: lambda y, x: x / (x * x + y * y), 1: lambda y, x: -y / (x * x + y * y)},
    edges=_ORIGIN,
)
oracle("sinh", "x", mp.sinh, line(within(WHOLE, -700, 700)))
oracle("cosh", "x", mp.cosh, line(within(WHOLE, -700, 700)))
oracle(
    "tanh",
    "x",
    mp.tanh,
    line(WHOLE),
    slope={0: lambda x: mp.sech(x) ** 2 if abs(x) < 1e4 else mp.mpf(0)},
    size=lambda x: mp.mpf(1),
    measure="ulp of 1: read off the output",
)
oracle("arcsinh", "x", mp.asinh, line(WHOLE))
oracle(
    "arccosh",
    "x",
    mp.acosh,
    line([1 + 1e-12, 1 + 1e-7, 1 + 1e-3], within(POSITIVE, 1.001, INF)),
    edges=[((1.0,), 0, INF)],
)
oracle("arctanh", "x", mp.atanh, line(INSIDE), edges=[((1.0,), 0, INF), ((-1.0,), 0, INF)])
oracle("sinc", "x", lambda x: mp.sinc(mp.pi * x), line(within(WHOLE, -1e8, 1e8), about(1.0, 2.0, 0.4)), scaled=True)
oracle("deg2rad", "x", mp.radians, line([-400.0, 0.0, 1e-300, 57.3, 1e300]))
oracle("rad2deg", "x", mp.degrees, line([-400.0, 0.0, 1e-300, 57.3, 1e300]))
oracle("i0", "x", lambda x: mp.besseli(0, x), line(within(WHOLE, -700, 700)))
oracle(
    "remainder",
    "x y",
    lambda x, y: x - y * mp.floor(x / y),
    product([-7.3, -0.2, 1e-8, 2.0, 1e6], [-2.9, 0.7, 3.1]),
)
oracle(
    "fmod",
    "x y",
    lambda x, y: mp.fmod(abs(x), abs(y)) * mp.sign(x),
    product([-7.3, -0.2, 1e-8, 2.0, 1e6], [-2.9, 0.7, 3.1]),
)
oracle("ldexp", "x n", lambda x, n: x * mp.mpf(2) ** n, product([-7.3, 1e-8, 2.0], [-3, 0, 40]), wanted=[0])
oracle(
    "maximum",
    "x y",
    max,
    product([-2.0, 0.5, 3.0], [-1.0, 0.4, 7.0]),
    edges=[((1.0, 1.0), 0, 0.5), ((1.0, 1.0), 1, 0.5)],
)
oracle("copysign", "x y", lambda x, y: abs(x) * mp.sign(y), product([-2.0, 0.5, 3.0], [-1.0, 0.4, 7.0]), wanted=[0])
