"""Elliptic integrals, Jacobi's functions, and the arithmetic-geometric mean."""

from __future__ import annotations

import math

from mpmath import mp

from wengert.verify.oracles.special import oracle
from wengert.verify.oracles.special.grids import line, points, product

INF = math.inf
_M = [
    *(-1e10, -1e4, -50.0, -3.0, -1.0, -0.3, -1e-3, -1e-9, 0.0, 1e-300, 1e-9, 1e-3, 0.2, 0.5, 0.7, 0.9, 0.99, 0.999),
    *(1 - 1e-5, 1 - 1e-9, 1 - 1e-14),
]


def real(z):
    return mp.re(z)


oracle("special.ellipk", "m", lambda m: real(mp.ellipk(m)), line(_M), edges=[((1.0,), 0, INF)])
oracle("special.ellipe", "m", lambda m: real(mp.ellipe(m)), line(_M), edges=[((1.0,), 0, -INF)])
oracle(
    "special.ellipkm1",
    "p",
    lambda p: real(mp.ellipk(1 - p)),
    line([1e-300, 1e-100, 1e-30, 1e-12, 1e-5, 0.01, 0.1, 0.3, 0.5, 0.8, 0.999, 1.0, 1.001, 1.5, 1.9, 10.0, 1e5]),
    edges=[((0.0,), 0, -INF)],
)
_PHI = [-7.0, -1.571, -1.0, 1e-8, 1e-3, 0.4, 1.3, 1.57, 1.58, 3.0, 20.0]
_INCOMPLETE = product(_PHI, [-30.0, -1.0, -1e-9, 1e-9, 0.3, 0.9, 0.999])
oracle(
    "special.ellipkinc",
    "phi m",
    lambda f, m: real(mp.ellipf(f, m)),
    _INCOMPLETE,
    scaled=True,
    edges=[((0.0, 0.5), 1, 0.0), ((0.7, 0.0), 0, 1.0)],
)
oracle(
    "special.ellipeinc",
    "phi m",
    lambda f, m: real(mp.ellipe(f, m)),
    _INCOMPLETE,
    scaled=True,
    edges=[((0.0, 0.5), 1, 0.0), ((0.7, 0.0), 0, 1.0)],
)


def jacobi(u, m):
    sn, cn, dn = (mp.re(mp.ellipfun(k, u=u, m=m)) for k in ("sn", "cn", "dn"))
    # The amplitude, continuous in u: at the middle of each half period it is known.
    turns = mp.floor(u / (2 * mp.ellipk(m)) + mp.mpf(0.5))
    return sn, cn, dn, mp.asin(sn) * (-1) ** int(turns) + turns * mp.pi


_U = [-4.1, -2.0, -0.3, 1e-8, 0.7, 1.6, 3.0, 5.0, 12.3]
oracle("special.ellipj", "u m", jacobi, product(_U, [1e-12, 1e-3, 0.2, 0.5, 0.8, 0.99, 1 - 1e-6]), scaled=True)

# ── Carlson's ─────────────────────────────────────────────────────────────────

_THREE = [
    *product([1e-6, 0.1, 1.0, 7.0], [0.3, 1.0, 40.0], [1e-3, 1.0, 1.5, 200.0]),
    *points((1e-20, 1.0, 1.5), (1e8, 3.0, 0.2), (1e-100, 2e-100, 3e-100), (1e100, 2e100, 3e100), (1.0, 1.0, 1.0)),
]
oracle(
    "special.elliprf", "x y z", lambda x, y, z: real(mp.elliprf(x, y, z)), _THREE, edges=[((0.0, 1.0, 2.0), 0, -INF)]
)
oracle(
    "special.elliprd", "x y z", lambda x, y, z: real(mp.elliprd(x, y, z)), _THREE, edges=[((0.0, 1.0, 2.0), 0, -INF)]
)
oracle("special.elliprg", "x y z", lambda x, y, z: real(mp.elliprg(x, y, z)), _THREE)
oracle(
    "special.elliprj",
    "x y z p",
    lambda x, y, z, p: real(mp.elliprj(x, y, z, p)),
    product([1e-3, 1.0, 7.0], [0.3, 1.0], [1.5, 20.0], [0.2, 1.0, 30.0]),
)
oracle(
    "special.elliprc",
    "x y",
    lambda x, y: real(mp.elliprc(x, y)),
    [*product([1e-6, 0.1, 1.0, 30.0, 1e6], [1e-3, 0.3, 1.0, 1.0001, 40.0, 1e5]), *points((1e-50, 1e50), (1e80, 2e80))],
    edges=[((0.0, 2.0), 0, -INF)],
)
oracle(
    "special.agm",
    "a b",
    mp.agm,
    [*product([1e-6, 0.3, 1.0, 7.0, 1e5], [1e-3, 0.31, 1.0, 6.9999, 200.0]), *points((1e-100, 3e-100), (1e150, 1e149))],
)
