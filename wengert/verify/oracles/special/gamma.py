"""Gamma and beta functions, and the zeta function."""

from __future__ import annotations

import math

from mpmath import mp

import wengert.scipy.special as ours
from wengert.verify.oracles.special import oracle
from wengert.verify.oracles.special.grids import POSITIVE, about, line, points, product, within

INF = math.inf
LEFT = [-200.3, -30.5, -8.3, -3.999, -3.7, -2.0001, -1.5, -1.0 + 1e-9, -0.5, -1e-3, -1e-9, -1e-100]
ZERO = 1.4616321449683622  # of ψ
GAMMAS = line([x for x in LEFT if x > -150], within(POSITIVE, 1e-150, 171), about(1.0, 2.0, ZERO))


def log_gamma(x):
    return mp.log(abs(mp.gamma(x))) if x < 0 else mp.loggamma(x).real


oracle("special.gamma", "x", mp.gamma, GAMMAS, scaled=True)
_LOGS = line(LEFT, within(POSITIVE, 0, 1e300), about(1.0, 2.0, ZERO))
oracle("special.gammaln", "x", log_gamma, _LOGS, scaled=True)
oracle(
    "special.loggamma",
    "x",
    lambda x: mp.loggamma(x),
    line(within(POSITIVE, 0, 1e300), about(1.0, 2.0, ZERO)),
    scaled=True,
)
oracle(
    "special.rgamma",
    "x",
    mp.rgamma,
    GAMMAS,
    scaled=True,
    edges=[((0.0,), 0, 1.0), ((-1.0,), 0, -1.0), ((-3.0,), 0, -6.0), ((-20.0,), 0, float(math.factorial(20)))],
)
for _name in ("psi", "digamma"):
    oracle(
        f"special.{_name}",
        "x",
        lambda x: mp.psi(0, x),
        line(LEFT, within(POSITIVE, 1e-150, 1e150), about(1.0, 2.0, ZERO)),
    )
oracle(
    "special.polygamma",
    "n x",
    mp.psi,
    product([0, 1, 2, 5], [*within(POSITIVE, 1e-20, 1e20)][::2]),
    wanted=[1],
)
oracle("special.multigammaln", "a", lambda a: 1.5 * mp.log(mp.pi) + sum(mp.loggamma(a - mp.mpf(j) / 2) for j in range(3)),
       line([1.001], within(POSITIVE, 1.2, 1e20)), call=lambda a: ours.multigammaln(a, 3), scaled=True)  # fmt: skip
oracle("special.factorial", "n", lambda n: mp.gamma(n + 1), line(within(POSITIVE, 0, 170)), scaled=True,
       edges=[((-0.5,), 0, 0.0)], call=lambda n: ours.factorial(n))  # fmt: skip

# ── beta, binom, poch ─────────────────────────────────────────────────────────

_SHAPES = [1e-12, 1e-3, 0.3, 1.0, 2.5, 11.9, 12.1, 80.0]
oracle(
    "special.beta",
    "a b",
    mp.beta,
    [*product(_SHAPES, _SHAPES), *points((1e3, 1e-6), (1e8, 3.0), (-0.5, 2.3), (1.5, -3.7))],
    scaled=True,
)
oracle(
    "special.betaln",
    "a b",
    lambda a, b: log_gamma(a) + log_gamma(b) - log_gamma(a + b),
    [*product(_SHAPES, _SHAPES), *points((1e8, 3.0), (1e8, 1e8), (1e300, 1e-300), (1e3, 1e-6), (0.5, 1e15))],
    scaled=True,
)


def binomial(n, k):
    return mp.gamma(n + 1) * mp.rgamma(k + 1) * mp.rgamma(n - k + 1)


oracle(
    "special.binom",
    "n k",
    binomial,
    [
        *product([0.3, 2.5, 3.0, 7.0, 40.0, 150.0], [-1.5, -1.0, 0.0, 1e-9, 0.7, 2.0, 2.5, 5.0, 30.5]),
        *points((1e9, 2.0), (1e5, 3.5), (-0.5, 2.3), (3.0, 5.0), (2.5, -1.0), (30.0, 15.0)),
    ],
    scaled=True,
)
oracle(
    "special.poch",
    "z m",
    mp.rf,
    [
        *product([0.3, 1e-9, 2.5, 3.0, 7.0, 40.0], [-0.2, 0.0, 1e-9, 0.7, 2.0, 5.0, 30.5]),
        *points((1e7, 3.0), (1e5, 3.5), (-0.5, 2.3), (-2.5, 1.2), (7.5, -3.2)),
    ],
    scaled=True,
)
oracle("special.poch", "z m", mp.rf, points((0.0, 2.0), (-2.0, 4.0), (-1.0, 3.0)), wanted=[0], case="(poles)")
_COUNTS = [p for p in product([3.0, 7.5, 40.0, 150.0], [0.0, 1e-9, 0.7, 2.0, 2.5, 5.0, 30.5]) if p[1] <= p[0]]
oracle(
    "special.comb",
    "N k",
    binomial,
    [p for p in _COUNTS if 0 < p[1] < p[0]],
    scaled=True,
    edges=[((3.0, 5.0), 0, 0.0), ((3.0, -1.0), 1, 0.0)],
    call=lambda n, k: ours.comb(n, k),
)
oracle(
    "special.perm",
    "N k",
    lambda n, k: mp.gamma(n + 1) * mp.rgamma(n - k + 1),
    [p for p in _COUNTS if 0 < p[1] < p[0]],
    scaled=True,
    edges=[((3.0, 5.0), 0, 0.0), ((3.0, -1.0), 1, 0.0)],
    call=lambda n, k: ours.perm(n, k),
)

# ── zeta ──────────────────────────────────────────────────────────────────────

_S = [
    *(
        -100.3,
        -31.7,
        -20.0,
        -7.3,
        -4.0,
        -3.0,
        -2.0 - 1e-7,
        -2.0,
        -1.0,
        -0.6,
        -0.5,
        -0.4,
        -1e-3,
        1e-9,
        0.0,
        0.3,
        0.9,
        1 - 1e-7,
    ),
    *(1 + 1e-7, 1.001, 1.1, 1.7, 2.0, 3.0, 7.5, 15.0, 30.0, 50.0, 300.0, 1e3),
]
oracle("special.zeta", "x", mp.zeta, line(_S), scaled=True)
oracle("special.zetac", "x", lambda s: mp.zeta(s) - 1, line(_S), scaled=True)


def hurwitz(s, q):
    """mp.zeta keeps its digits after the point, so small values need more of them."""
    with mp.workdps(mp.dps + int(max(0, s * mp.log10(q)))):
        return mp.zeta(s, q)


oracle(
    "special.zeta",
    "x q",
    hurwitz,
    product([1.001, 1.1, 2.0, 3.3, 7.5, 30.0], [1e-6, 0.01, 0.5, 1.0, 3.0, 19.5, 200.0, 1e5]),
    case="(Hurwitz)",
)
