"""Logistic functions, entropies, robust losses, Box-Cox transforms, angles in degrees."""

from __future__ import annotations

import math

import numpy as np
from mpmath import mp

import wengert.scipy.special as ours
from wengert.verify.oracles.special import oracle
from wengert.verify.oracles.special.activations import sigmoid, sigmoid_slope, soft_plus
from wengert.verify.oracles.special.grids import (
    POSITIVE,
    UNIT,
    WHOLE,
    about,
    line,
    mirrored,
    points,
    product,
    within,
)

INF = math.inf
LOGISTIC = line(within(WHOLE, -1e4, 1e4))

# ── logistic functions ────────────────────────────────────────────────────────

oracle("special.expit", "x", sigmoid, LOGISTIC, slope={0: sigmoid_slope})
oracle("special.log_expit", "x", lambda x: -soft_plus(-x), LOGISTIC, slope={0: lambda x: sigmoid(-x)})
oracle("special.softplus", "x", soft_plus, LOGISTIC, slope={0: sigmoid})
oracle(
    "special.logit",
    "x",
    lambda x: mp.log(x / (1 - x)),
    line(UNIT),
    edges=[((0.0,), 0, INF), ((1.0,), 0, INF)],
)

_LOGITS = product([-700.0, -1.0, 0.0, 2.5, 40.0, 1e3], [-710.0, -1.1, 0.0, 1e-8, 37.0, 1003.0])


def _pair(function):
    return lambda x, y: function(np.stack(np.broadcast_arrays(x, y)), axis=0)


def _first(function):
    return lambda x, y: _pair(function)(x, y)[0]


oracle(
    "special.logsumexp",
    "x y",
    lambda x, y: max(x, y) + mp.log1p(mp.exp(-abs(x - y))),
    _LOGITS,
    slope={0: lambda x, y: sigmoid(x - y), 1: lambda x, y: sigmoid(y - x)},
    scaled=True,
    call=lambda x, y: ours.logsumexp(np.stack([x, y]), axis=0),
)
oracle(
    "special.softmax",
    "x y",
    lambda x, y: sigmoid(x - y),
    _LOGITS,
    slope={0: lambda x, y: sigmoid_slope(x - y), 1: lambda x, y: -sigmoid_slope(x - y)},
    scaled=True,
    size=lambda x, y: sigmoid(x - y),
    measure="ulp of the probability",
    call=lambda x, y: ours.softmax(np.stack([x, y]), axis=0)[0],
)
oracle(
    "special.log_softmax",
    "x y",
    lambda x, y: -soft_plus(y - x),
    _LOGITS,
    slope={0: lambda x, y: sigmoid(y - x), 1: lambda x, y: -sigmoid(y - x)},
    scaled=True,
    size=lambda x, y: 1,
    measure="ulp of 1",
    call=lambda x, y: ours.log_softmax(np.stack([x, y]), axis=0)[0],
)

# ── x·log y, entropies ────────────────────────────────────────────────────────

_X = [*mirrored([1e-300, 1e-8, 0.3, 1.0, 33.0, 1e200])]
_Y = [1e-300, 1e-8, 0.3, 0.999, 1.0, 1.0001, 2.7, 1e8, 1e300]
oracle(
    "special.xlogy",
    "x y",
    lambda x, y: x * mp.log(y),
    product(_X, _Y),
    edges=[
        ((0.0, 0.0), 1, 0.0),
        ((0.0, math.nan), 1, 0.0),
        ((2.0, 0.0), 0, -INF),
        ((2.0, 0.0), 1, INF),
        ((0.0, 2.0), 1, 0.0),
    ],
)
oracle(
    "special.xlog1py",
    "x y",
    lambda x, y: x * mp.log1p(y),
    product(_X, [-1 + 1e-12, -0.999, -0.5, -1e-9, 1e-300, 1e-9, 1.7, 1e8]),
    edges=[((0.0, -1.0), 1, 0.0), ((2.0, -1.0), 0, -INF), ((2.0, -1.0), 1, INF)],
)
oracle(
    "special.entr",
    "x",
    lambda x: -x * mp.log(x),
    line(POSITIVE, about(math.exp(-1))),
    scaled=True,
    edges=[((0.0,), 0, INF)],
)
_RATIOS = [
    *product([1e-300, 1e-8, 0.3, 1.0, 33.0, 1e200], [1e-300, 1e-8, 0.30001, 1.0, 1 + 1e-9, 2.7, 1e200]),
    *points((1e200, 1e-200), (1.0, math.exp(1))),
]
oracle(
    "special.rel_entr",
    "x y",
    lambda x, y: x * mp.log(x / y),
    _RATIOS,
    scaled=True,
    edges=[((0.0, 0.0), 1, 0.0), ((0.0, 0.5), 1, 0.0), ((0.0, 0.5), 0, -INF), ((0.0, 0.0), 0, 1.0)],
)
oracle(
    "special.kl_div",
    "x y",
    lambda x, y: x * mp.log(x / y) - x + y,
    _RATIOS,
    slope={0: lambda x, y: mp.log(x / y), 1: lambda x, y: 1 - x / y},
    edges=[((0.0, 0.0), 1, 1.0), ((0.0, 0.5), 1, 1.0), ((0.0, 0.5), 0, -INF), ((0.0, 0.0), 0, 0.0)],
)

# ── robust losses ─────────────────────────────────────────────────────────────

oracle(
    "special.huber",
    "delta r",
    lambda d, r: r * r / 2 if abs(r) <= d else d * (abs(r) - d / 2),
    product([0.5, 1.0, 7.0], [-1e5, -3.0, -0.7, 1e-9, 0.4, 2.0, 8.0, 1e100]),
    edges=[
        ((1.0, 1.0), 0, 0.0),
        ((1.0, 1.0), 1, 1.0),
        ((1.0, -1.0), 1, -1.0),
        ((1.0, 0.0), 1, 0.0),
        ((0.0, 2.0), 1, 0.0),
    ],
)
oracle(
    "special.pseudo_huber",
    "delta r",
    lambda d, r: d * d * (mp.sqrt(1 + (r / d) ** 2) - 1),
    product([1e-8, 0.5, 1.0, 7.0, 1e8], [-1e150, -1e5, -0.7, 1e-150, 1e-9, 0.4, 2.0, 8.0, 1e10]),
)

# ── Box-Cox transforms ────────────────────────────────────────────────────────

_EXPONENTS = [-2.0, -0.5, -1e-3, -1e-9, 1e-300, 1e-7, 0.3, 1.0, 2.0, 3.7]


def boxcox(log, k):
    return mp.expm1(k * log) / k if k else log


oracle(
    "special.boxcox",
    "x lmbda",
    lambda x, k: boxcox(mp.log(x), k),
    product([1e-100, 1e-3, 0.7, 0.999, 1.0, 1.001, 2.0, 40.0], _EXPONENTS),
    edges=[((0.0, 0.5), 0, INF), ((0.0, 0.5), 1, 4.0), ((0.0, 2.0), 0, 0.0), ((2.0, 0.0), 0, 0.5)],
)
oracle(
    "special.boxcox1p",
    "x lmbda",
    lambda x, k: boxcox(mp.log1p(x), k),
    product([-1 + 1e-12, -0.7, -1e-9, 1e-300, 1e-9, 0.4, 1.0, 40.0], _EXPONENTS),
    edges=[((-1.0, 0.5), 0, INF), ((-1.0, 0.5), 1, 4.0), ((2.0, 0.0), 0, 1 / 3)],
)
_UNBOXED = [p for p in product([-0.9, -0.3, -1e-9, 1e-300, 1e-9, 0.4, 2.0, 30.0], _EXPONENTS) if p[0] * p[1] > -1]
oracle("special.inv_boxcox", "x lmbda", lambda y, k: mp.exp(mp.log1p(k * y) / k), _UNBOXED)
oracle(
    "special.inv_boxcox1p",
    "x lmbda",
    lambda y, k: mp.expm1(mp.log1p(k * y) / k),
    [p for p in _UNBOXED if abs(p[0] * p[1]) > 1e-150],
)  # nearer to 0 SciPy returns y itself

# ── powers, roots, exponentials ───────────────────────────────────────────────

oracle(
    "special.exprel",
    "x",
    lambda x: mp.expm1(x) / x if x else mp.mpf(1),
    line(within(WHOLE, -1e8, 700), about(3.0, -3.0)),
)
oracle(
    "special.powm1",
    "x y",
    lambda x, y: x**y - 1,
    product([1e-100, 1e-3, 0.7, 0.999, 1.0, 1.001, 2.0, 40.0], _EXPONENTS),
    edges=[((0.0, 2.0), 0, 0.0), ((0.0, 2.0), 1, 0.0), ((0.0, 1.0), 0, 1.0), ((-2.0, 3.0), 0, 12.0)],
)
oracle("special.exp10", "x", lambda x: mp.mpf(10) ** x, line(within(WHOLE, -307, 308)))
oracle("special.exp2", "x", lambda x: mp.mpf(2) ** x, line(within(WHOLE, -1070, 1023)))
oracle("special.expm1", "x", mp.expm1, line(within(WHOLE, -740, 709.7)), slope={0: mp.exp})
oracle("special.log1p", "x", mp.log1p, line([-x for x in UNIT], [0.0], POSITIVE), edges=[((-1.0,), 0, INF)])
oracle("special.cbrt", "x", lambda x: mp.sign(x) * mp.cbrt(abs(x)), line(mirrored(POSITIVE)), edges=[((0.0,), 0, INF)])
oracle("special.cosm1", "x", lambda x: mp.cos(x) - 1, line(within(WHOLE, -1e8, 1e8)))
oracle(
    "special.sinc", "x", lambda x: mp.sinc(mp.pi * x), line(within(WHOLE, -1e4, 1e4), about(1.0, 2.0, 0.4)), scaled=True
)

# ── angles ────────────────────────────────────────────────────────────────────

_DEGREES = [
    *mirrored([1e-300, 1e-9, 1.0, 29.0, 45.0, 61.0, 89.999, 90.001, 120.0, 179.0, 200.0, 271.0, 359.0, 1e4]),
    0.0,
]
_RIGHT = [((90.0,), 0, 0.0), ((180.0,), 0, -math.pi / 180), ((-270.0,), 0, 0.0), ((360.0,), 0, math.pi / 180)]
oracle("special.sindg", "x", lambda x: mp.sin(mp.radians(x)), line(_DEGREES), edges=_RIGHT)
oracle(
    "special.cosdg", "x", lambda x: mp.cos(mp.radians(x)), line(_DEGREES), edges=[((180.0,), 0, 0.0), ((0.0,), 0, 0.0)]
)
oracle("special.tandg", "x", lambda x: mp.tan(mp.radians(x)), line(_DEGREES), edges=[((45.0,), 0, math.pi / 90)])
oracle(
    "special.cotdg",
    "x",
    lambda x: mp.cot(mp.radians(x)),
    line([x for x in _DEGREES if x]),
    edges=[((90.0,), 0, -math.pi / 180)],
)
oracle(
    "special.radian",
    "d m s",
    lambda d, m, s: mp.radians(d + m / 60 + s / 3600),
    product([-30.0, 0.0, 90.0], [0.0, 59.0], [0.0, 0.3, 59.9]),
)
