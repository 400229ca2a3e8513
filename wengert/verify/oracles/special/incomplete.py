"""Incomplete gamma and beta functions and their inverses."""

from __future__ import annotations

from mpmath import mp

from wengert.verify.oracles.special import oracle
from wengert.verify.oracles.special.grids import points, product
from wengert.verify.oracles.special.implicit import implicit


def lower(a, x):
    return mp.gammainc(a, 0, x, regularized=True)


def upper(a, x):
    return mp.gammainc(a, x, mp.inf, regularized=True)


def lower_twin(a, x):
    """The smaller tail, negative where it is the upper one: the same derivatives, with all digits."""
    return lower(a, x) if x < a + mp.mpf(1.0123) else -upper(a, x)


def beta_lower(a, b, x):
    return mp.betainc(a, b, 0, x, regularized=True)


def beta_twin(a, b, x):
    return beta_lower(a, b, x) if x * (a + b) < 1.0123 * a else -mp.betainc(b, a, 0, 1 - x, regularized=True)


# ── gamma ─────────────────────────────────────────────────────────────────────

_A = [1e-3, 0.1, 0.5, 1.0, 1.5, 2.5, 9.9, 10.1, 49.9, 50.1]
_RELATIVE = [1e-8, 1e-3, 0.3, 0.9, 0.99, 1.0, 1.01, 1.1, 2.0, 6.0]
GAMMA = [
    *points(*((a, a * r) for a in _A for r in _RELATIVE)),
    *product([0.05, 1.0, 3.0], [1e-30, 1e-6, 1.4, 1.6, 33.0, 250.0]),
    *points((1e3, 800.0), (1e3, 999.0), (1e3, 1e3), (1e3, 1003.0), (1e3, 1300.0), (1e4, 9.9e3), (1e4, 1.02e4)),
]
_AT_ZERO = [((2.5, 0.0), 0, 0.0), ((2.5, 0.0), 1, 0.0), ((1.0, 0.0), 1, 1.0), ((0.5, 0.0), 1, float("inf"))]
oracle("special.gammainc", "a x", lower, GAMMA, twin=lower_twin, scaled=True, edges=_AT_ZERO)
oracle(
    "special.gammaincc",
    "a x",
    upper,
    GAMMA,
    twin=lambda a, x: -lower_twin(a, x),
    scaled=True,
    edges=[(p, i, -w if w else w) for p, i, w in _AT_ZERO],
)
_P = [1e-30, 1e-8, 1e-3, 0.2, 0.5, 0.9, 1 - 1e-9]
_INVERTED = [(a, p) for a, p in product([0.05, 0.5, 1.0, 2.5, 11.0, 60.0, 1e3], _P) if p ** (1 / a) > 1e-290]


def below(forward, complement):
    """forward - p, or p's complement less forward's, whichever keeps its digits."""

    def residual(*args):
        *rest, p, x = args
        found = forward(*rest, x)
        return found - p if found < 0.9 else (1 - p) - complement(*rest, x)

    return residual


implicit("special.gammaincinv", "a p", below(lower, upper), _INVERTED)
implicit("special.gammainccinv", "a p", below(upper, lower), _INVERTED)

# ── beta ──────────────────────────────────────────────────────────────────────

_SHAPES = [0.05, 0.5, 1.0, 3.0, 9.9, 20.0]
BETA = [
    *product(_SHAPES, [0.3, 1.0, 4.0, 10.1], [1e-9, 1e-3, 0.3, 0.5, 0.501, 0.9, 1 - 1e-6]),
    *points((0.01, 0.01, 0.5), (0.01, 30.0, 1e-6), (2.5, 300.0, 0.008), (2.5, 300.0, 0.03), (500.0, 20.0, 0.96)),
    *points((400.0, 300.0, 0.57), (400.0, 300.0, 0.5), (400.0, 300.0, 0.62), (1e3, 1e3, 0.5), (1e-3, 1e3, 1e-5)),
]
_ENDS = [
    ((2.5, 1.5, 0.0), 0, 0.0), ((2.5, 1.5, 0.0), 2, 0.0), ((2.5, 1.5, 1.0), 1, 0.0), ((2.5, 1.5, 1.0), 2, 0.0),
    ((1.0, 2.0, 0.0), 2, 2.0), ((0.5, 2.0, 0.0), 2, float("inf")),
]  # fmt: skip
oracle("special.betainc", "a b x", beta_lower, BETA, twin=beta_twin, scaled=True, edges=_ENDS)
oracle(
    "special.betaincc",
    "a b x",
    lambda a, b, x: mp.betainc(b, a, 0, 1 - x, regularized=True),
    BETA,
    twin=lambda a, b, x: -beta_twin(a, b, x),
    scaled=True,
    edges=[(p, i, -w if w else w) for p, i, w in _ENDS],
)


def beta_upper(a, b, x):
    return mp.betainc(b, a, 0, 1 - x, regularized=True)


_INVERTED = product([0.3, 1.0, 2.5, 20.0], [0.5, 1.3, 40.0], [1e-8, 1e-3, 0.3, 0.5, 0.97])
implicit("special.betaincinv", "a b p", below(beta_lower, beta_upper), _INVERTED)
_MIRRORED = [(a, b, p) for a, b, p in _INVERTED if p ** (1 / b) > 1e-12]  # otherwise x rounds to 1
implicit("special.betainccinv", "a b p", below(beta_upper, beta_lower), _MIRRORED)
implicit(
    "special.btdtria",
    "p b x",
    lambda p, b, x, a: beta_lower(a, b, x) - p,
    product([1e-3, 0.2, 0.6, 0.95], [0.5, 1.3, 9.0], [0.01, 0.3, 0.8]),
)
implicit(
    "special.btdtrib",
    "a p x",
    lambda a, p, x, b: beta_lower(a, b, x) - p,
    product([0.5, 1.3, 9.0], [1e-3, 0.2, 0.6, 0.95], [0.01, 0.3, 0.8]),
)
