"""Exponential, sine and cosine integrals, dilogarithm, Lambert's and Wright's functions."""

from __future__ import annotations

import math

from mpmath import mp

import wengert.scipy.special as ours
from wengert.verify.oracles.special import oracle
from wengert.verify.oracles.special.grids import POSITIVE, WHOLE, about, line, product, within

INF = math.inf
_RIGHT = line(within(POSITIVE, 1e-150, 700))

oracle("special.exp1", "x", mp.e1, _RIGHT, edges=[((0.0,), 0, -INF)])
oracle("special.expi", "x", lambda x: mp.ei(x).real, line([x for x in within(WHOLE, -700, 700) if abs(x) > 1e-150]))
oracle(
    "special.expn",
    "n x",
    mp.expint,
    product([0, 1, 2, 9, 60], [1e-8, 1e-3, 0.3, 0.99, 1.01, 2.7, 8.0, 33.0, 250.0, 600.0]),
    wanted=[1],
)
oracle("special.sici", "x", lambda x: (mp.si(x), mp.re(mp.ci(x))), line(within(POSITIVE, 1e-20, 1e6)), scaled=True)
oracle("special.shichi", "x", lambda x: (mp.shi(x), mp.re(mp.chi(x))), line(within(POSITIVE, 1e-20, 700)))
oracle(
    "special.spence",
    "z",
    lambda z: mp.re(mp.polylog(2, 1 - z)),
    line([1e-300, 1e-30], within(POSITIVE, 1e-12, 1e8), about(1.0, 0.5, 1.5)),
    slope={0: lambda z: -mp.log(z) / (z - 1) if z != 1 else mp.mpf(-1)},
    edges=[((1.0,), 0, -1.0), ((0.0,), 0, -INF)],
)
E1 = math.exp(-1)
oracle(
    "special.lambertw",
    "z",
    mp.lambertw,
    line([-E1 + 1e-6, -0.36, -0.3, -0.1, -1e-9, -1e-100, 0.0], within(POSITIVE, 1e-100, 1e300)),
    call=lambda z: ours.lambertw(z),
    scaled=True,
)
oracle(
    "special.lambertw",
    "z",
    lambda z: mp.lambertw(z, -1),
    line([-E1 + 1e-6, -0.36, -0.3, -0.1, -1e-3, -1e-9, -1e-100]),
    call=lambda z: ours.lambertw(z, -1),
    case="(branch -1)",
    scaled=True,
)


def omega(z):
    """W(exp z), by Newton's method on w + log w = z; beyond the reach of exp too."""
    if z < 1e4:
        return mp.lambertw(mp.exp(z))
    w = z - mp.log(z)
    for _ in range(60):
        step = (w + mp.log(w) - z) * w / (1 + w)
        w -= step
        if abs(step) < mp.mpf(10) ** (-mp.dps) * abs(w):
            break
    return w


oracle("special.wrightomega", "z", omega, line(within(WHOLE, -700, 1e100), about(-1.0, 0.5)))
