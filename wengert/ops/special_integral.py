"""Exponential, sine and cosine integrals, dilogarithm, Lambert's function, and wave functions.

Source  DLMF ch. 6, 25.12, 28, 30; Corless et al. (1996) for Lambert's W.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.core.tensor import Array
from wengert.ops import scalars
from wengert.ops.basis import add, neg, scale
from wengert.ops.elementwise import cos, cosh, div, exp, mul, reciprocal, square, sub
from wengert.ops.select import where
from wengert.ops.special import INTEGER, PARAMETER, PI, predicate, special
from wengert.ops.special_bessel import spherical_in, spherical_jn
from wengert.ops.special_elementary import reciprocal_moment

RIGHT = (0.4, 3.0)

# ── exponential, sine, cosine integrals ───────────────────────────────────────

exp1 = special("exp1", "x", lambda x: neg(div(exp(neg(x)), x)), domain=(RIGHT,))
expi = special("expi", "x", lambda x: div(exp(x), x), domain=(RIGHT,))
scaled_exp1 = special("_scaled_exp1", "x", lambda x, out: sub(mul(out, add(1, reciprocal(x))), 1), domain=(RIGHT,))
sici = special("sici", "x", lambda x: (spherical_jn(0, x), div(cos(x), x)), domain=(RIGHT,))
shichi = special("shichi", "x", lambda x: (spherical_in(0, x), div(cosh(x), x)), domain=(RIGHT,))

_below_one = predicate(
    "below_one",
    lambda n: np.less(n, 1),
    lower=scalars.against("lt", 1),
)


def _expn_slope(n: Array, x: Array, out: Array) -> Array:
    """-E_(n-1); SciPy has no E₋₁, which follows from the recurrence."""
    low = _below_one(n)
    return neg(where(low, div(add(exp(neg(x)), out), x), expn(where(low, n, sub(n, 1)), x)))


expn = special("expn", "n x", INTEGER, _expn_slope, domain=([0, 1, 4], RIGHT))

# ── dilogarithm, Lambert's and Wright's functions ─────────────────────────────

# -log(z)/(z - 1), which is -1 at 1.
spence = special("spence", "z", lambda z: neg(reciprocal_moment(z, n=0)), domain=(RIGHT,))
lambertw = special(
    "_lambertw",
    "z k tol",
    lambda out: reciprocal(mul(exp(out), add(out, 1))),  # not W/(z(1 + W)), which is 0/0 at 0
    INTEGER,
    PARAMETER,
    domain=(RIGHT, [0, 0, -1], [1e-12, 1e-12, 1e-12]),
    note="infinite slope at -1/e on the branches 0 and -1",
)
wrightomega = special("wrightomega", "z", lambda out: div(out, add(out, 1)))

# ── Mathieu functions ─────────────────────────────────────────────────────────

mathieu_a = special("mathieu_a", "m q", INTEGER, PARAMETER, domain=([1.0, 2.0, 3.0], [0.5, 1.0, 2.0]))
mathieu_b = special("mathieu_b", "m q", INTEGER, PARAMETER, domain=([1.0, 2.0, 3.0], [0.5, 1.0, 2.0]))

DEGREE = PI / 180


def _mathieu(name: str, characteristic: Any, radial: bool) -> Any:
    """(y, y') of y'' = ∓(a - 2q cos 2x) y; the angular ones take x in degrees, and y' is per radian."""

    def slope(m: Array, q: Array, x: Array, out: Sequence[Array]) -> tuple[Array, Array]:
        swing = cosh(scale(x, 2.0)) if radial else cos(scale(x, 2 * DEGREE))
        force = mul(sub(characteristic(m, q), scale(mul(q, swing), 2.0)), out[0])
        return (out[1], force) if radial else (scale(out[1], DEGREE), scale(force, -DEGREE))

    interval = (0.1, 1.2) if radial else (10.0, 80.0)
    return special(name, "m q x", INTEGER, PARAMETER, slope, domain=([1.0, 2.0, 3.0], [0.5, 1.0, 2.0], interval))


mathieu_cem = _mathieu("mathieu_cem", mathieu_a, False)
mathieu_sem = _mathieu("mathieu_sem", mathieu_b, False)
mathieu_modcem1 = _mathieu("mathieu_modcem1", mathieu_a, True)
mathieu_modcem2 = _mathieu("mathieu_modcem2", mathieu_a, True)
mathieu_modsem1 = _mathieu("mathieu_modsem1", mathieu_b, True)
mathieu_modsem2 = _mathieu("mathieu_modsem2", mathieu_b, True)

# ── spheroidal wave functions ─────────────────────────────────────────────────
# Those of the second kind are refused: SciPy's values of S and of S' disagree there.

_MNC = ([0.0, 1.0, 1.0], [1.0, 1.0, 2.0], [0.5, 1.0, 1.5])
pro_cv = special("pro_cv", "m n c", INTEGER, INTEGER, PARAMETER, domain=_MNC)
obl_cv = special("obl_cv", "m n c", INTEGER, INTEGER, PARAMETER, domain=_MNC)


def _spheroidal(name: str, oblate: bool, radial: bool) -> None:
    """(S, S') of ((1 - x²) S')' + (λ - c²x² - m²/(1 - x²)) S = 0, as it stands or with c, x turned imaginary.

    Prolate, radial: the same equation, read at x > 1. Oblate, angular: c² → -c². Oblate, radial: x → ix too.
    """

    def bend(cv: Array, m: Array, c: Array, x: Array, out: Sequence[Array]) -> Array:
        x2, turned = square(x), oblate and radial
        weight = add(1, x2) if turned else sub(1, x2)
        well = mul(square(c), x2)
        rest = add(cv, well) if oblate and not radial else sub(cv, well)
        centrifugal = div(square(m), weight)
        if turned:
            numerator = sub(mul(sub(rest, centrifugal), out[0]), scale(mul(x, out[1]), 2.0))
        else:
            numerator = sub(scale(mul(x, out[1]), 2.0), mul(sub(rest, centrifugal), out[0]))
        return div(numerator, weight)

    value = obl_cv if oblate else pro_cv
    interval = (0.2, 0.8) if not radial else (0.3, 2.0) if oblate else (1.3, 3.0)

    def slope(m: Array, n: Array, c: Array, x: Array, out: Sequence[Array]) -> tuple[Array, Array]:
        return out[1], bend(value(m, n, c), m, c, x, out)

    def slope_cv(m: Array, c: Array, cv: Array, x: Array, out: Sequence[Array]) -> tuple[Array, Array]:
        return out[1], bend(cv, m, c, x, out)

    special(name, "m n c x", INTEGER, INTEGER, PARAMETER, slope, domain=(*_MNC, interval))
    known = [float(v) for v in value.eval(*map(np.array, _MNC))]
    refusals = (INTEGER, INTEGER, PARAMETER, PARAMETER)
    special(f"{name}_cv", "m n c cv x", *refusals, slope_cv, domain=(*_MNC, known, interval), broadcast=False)


for _kind, _oblate in (("pro", False), ("obl", True)):
    _spheroidal(f"{_kind}_ang1", _oblate, False)
    _spheroidal(f"{_kind}_rad1", _oblate, True)
