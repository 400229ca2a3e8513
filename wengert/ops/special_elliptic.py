"""Elliptic integrals, Jacobi's functions, and the arithmetic-geometric mean.

Derivatives in the parameter are Carlson's R_D, in which nothing cancels at m → 0; those of R_D, R_G
and R_J themselves are the same integral with other exponents, by the trapezoidal rule in log t.

Source  Carlson (1995); DLMF 19.18, 19.25, 22.20; Trefethen & Weideman (2014) for the rule.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from wengert.core.aval import INEXACT, Aval, promote
from wengert.core.form import Map
from wengert.core.op import Op, Sample
from wengert.core.tensor import Array
from wengert.graph.program import Vars
from wengert.ops.basis import add, batch_elementwise, broadcast_shapes, fit, fit_tangent, neg, scale
from wengert.ops.elementwise import cos, div, mul, reciprocal, sin, sqrt, square, sub
from wengert.ops.special import PI, blocks, predicate, special

RIGHT, MODULUS = (0.3, 3.0), (-0.8, 0.8)

# ── ∫ t^k Π (t + xᵢ)^(-pᵢ/2) dt ────────────────────────────────────────────────

_HALVES = 2.0  # nodes per factor of two


def _nodes(low: float) -> np.ndarray:
    """√2 to the powers …, -1, 0, 1, …, exact to the last place, from `low` (a power of two) up to 2¹²²."""
    whole = np.ldexp(1.0, np.arange(int(low), 122))
    return np.sort(np.concatenate([whole, whole * math.sqrt(2)]))


def _carlson_eval(*xs: Array, powers: tuple[int, ...], rise: int) -> Array:
    """The trapezoidal rule in log t, with error exp(-4π²/log 2); inf and NaN outside x > 0.

    The nodes of each element are scaled by its own largest operand; they reach below the smallest one of all.
    """
    dtype = np.result_type(*xs)
    wide = [np.asarray(x, complex if dtype.kind == "c" else float) for x in np.broadcast_arrays(*xs)]
    total: np.ndarray = np.zeros(wide[0].shape, np.result_type(*wide))
    with np.errstate(all="ignore"):
        size = np.max(np.abs(wide), axis=0)
        size = np.where((size > 0) & np.isfinite(size), np.exp2(np.floor(np.log2(size))), 1.0)
        scaled = [x / size for x in wide]
        least = min((float(np.min(np.abs(x), where=x != 0, initial=1.0)) for x in scaled), default=1.0)
        for t in blocks(_nodes(max(math.log2(least), -900.0) - 60), total):
            term: np.ndarray = math.log(2) / _HALVES * t ** (rise + 1) * np.ones((), total.dtype)
            for x, p in zip(scaled, powers, strict=True):
                term = term * (t + x) ** (-p / 2)
            total = total + term.sum(axis=0)
        zeros = sum(p * (np.equal(x, 0)) for x, p in zip(wide, powers, strict=True))
        total = np.where(np.asarray(zeros) >= 2 * rise + 2, np.inf, total * size ** (rise + 1 - sum(powers) / 2))
        if dtype.kind != "c":
            bad = np.logical_or.reduce([~(x >= 0) for x in wide])
            total = np.where(bad, np.nan, total)
    return np.asarray(total).astype(dtype)[()]


def _raised(powers: tuple[int, ...], i: int) -> tuple[int, ...]:
    return tuple(p + 2 * (j == i) for j, p in enumerate(powers))


def _carlson_slope(xs: Sequence[Array], i: int, powers: tuple[int, ...], rise: int) -> Array:
    return scale(carlson(*xs, powers=_raised(powers, i), rise=rise), -powers[i] / 2)


def _carlson_jvp(xs: Sequence[Array], dxs: Sequence[Array], out: Array, *, powers: tuple[int, ...], rise: int) -> Array:
    total = None
    for i, dx in enumerate(dxs):
        if dx is not None:
            term = scale(dx, _carlson_slope(xs, i, powers, rise))
            total = term if total is None else add(total, term)
    return fit_tangent(total, out)


def _carlson_vjp(
    ct: Array, ins: Vars, xs: Sequence[Array], out: Array, *, powers: tuple[int, ...], rise: int
) -> tuple[Array | None, ...]:
    return tuple(
        None if var is None else fit(scale(ct, _carlson_slope(xs, i, powers, rise)), var) for i, var in enumerate(ins)
    )


carlson = Op(
    name="carlson",
    accepts=INEXACT,
    shape=lambda *xs, powers, rise: Aval(broadcast_shapes("carlson", *(x.shape for x in xs)), promote(*xs)),
    eval=_carlson_eval,
    jvp=_carlson_jvp,
    vjp=_carlson_vjp,
    saves=(slice(None),),
    batch=batch_elementwise(lambda: carlson),
    samples=(
        Sample((3,), (3,), (3,), domain=RIGHT, powers=(1, 1, 3), rise=0),
        Sample((2, 1), (3,), domain=RIGHT, powers=(1, 2), rise=0),
        Sample((), (), (), (), domain=RIGHT, powers=(3, 1, 1, 2), rise=1),
    ),
    note="∫₀^∞ t^rise Π (t + xᵢ)^(-powersᵢ/2) dt; NaN where a real xᵢ is negative",
    source="DLMF 19.16",
)

# ── Carlson's symmetric integrals ─────────────────────────────────────────────


def _others(i: int, xs: Sequence[Array]) -> list[Array]:
    return [x for j, x in enumerate(xs) if j != i]


elliprf = special(
    "elliprf",
    "x y z",
    lambda x, y, z: scale(elliprd(y, z, x), -1 / 6),
    lambda x, y, z: scale(elliprd(x, z, y), -1 / 6),
    lambda x, y, z: scale(elliprd(x, y, z), -1 / 6),
    domain=(RIGHT,) * 3,
)
elliprd = special(
    "elliprd",
    "x y z",
    lambda x, y, z: scale(carlson(x, y, z, powers=(3, 1, 3), rise=0), -0.75),
    lambda x, y, z: scale(carlson(x, y, z, powers=(1, 3, 3), rise=0), -0.75),
    lambda x, y, z: scale(carlson(x, y, z, powers=(1, 1, 5), rise=0), -2.25),
    domain=(RIGHT,) * 3,
)
elliprg = special(
    "elliprg",
    "x y z",
    lambda x, y, z: scale(carlson(x, y, z, powers=(3, 1, 1), rise=1), 0.125),
    lambda x, y, z: scale(carlson(x, y, z, powers=(1, 3, 1), rise=1), 0.125),
    lambda x, y, z: scale(carlson(x, y, z, powers=(1, 1, 3), rise=1), 0.125),
    domain=(RIGHT,) * 3,
)
elliprj = special(
    "elliprj",
    "x y z p",
    lambda x, y, z, p: scale(carlson(x, y, z, p, powers=(3, 1, 1, 2), rise=0), -0.75),
    lambda x, y, z, p: scale(carlson(x, y, z, p, powers=(1, 3, 1, 2), rise=0), -0.75),
    lambda x, y, z, p: scale(carlson(x, y, z, p, powers=(1, 1, 3, 2), rise=0), -0.75),
    lambda x, y, z, p: scale(carlson(x, y, z, p, powers=(1, 1, 1, 4), rise=0), -1.5),
    domain=(RIGHT,) * 4,
    note="NaN slopes where p < 0, the Cauchy principal value",
)
elliprc = special(
    "elliprc",
    "x y",
    lambda x, y: scale(carlson(x, y, powers=(3, 2), rise=0), -0.25),
    lambda x, y: scale(carlson(x, y, powers=(1, 4), rise=0), -0.5),
    domain=(RIGHT,) * 2,
    note="NaN slopes where y < 0, the Cauchy principal value",
)

# ── complete integrals ────────────────────────────────────────────────────────

ellipk = special("ellipk", "m", lambda m: _k_slope(sub(1, m)), domain=(MODULUS,))
ellipkm1 = special("ellipkm1", "p", lambda p: neg(_k_slope(p)), domain=((0.2, 1.8),))
ellipe = special("ellipe", "m", lambda m: _e_slope(sub(1, m)), domain=(MODULUS,))


def _k_slope(p: Array) -> Array:
    """dK/dm at m = 1 - p."""
    return scale(elliprd(0.0, 1.0, p), 1 / 6)


def _e_slope(p: Array) -> Array:
    """dE/dm at m = 1 - p."""
    return scale(elliprd(0.0, p, 1.0), -1 / 6)


# ── incomplete integrals ──────────────────────────────────────────────────────

half_turns = predicate(
    "half_turns",
    lambda phi: np.round(np.divide(phi, PI)),
    (-9.0, 9.0),
    lower=Map(lambda b, phi: b.rint(b.div(phi, b.like(PI, phi))), cost=12),
)


def _incomplete_in_m(phi: Array, m: Array, first: bool) -> Array:
    """∂F/∂m or ∂E/∂m: Carlson's form on |φ| ≤ π/2, and twice the complete one per half turn."""
    turns = half_turns(phi)
    rest = sub(phi, scale(turns, PI))
    s, c2 = sin(rest), square(cos(rest))
    d2 = sub(1, mul(m, square(s)))
    part = elliprd(c2, 1.0, d2) if first else neg(elliprd(c2, d2, 1.0))
    whole = _k_slope(sub(1, m)) if first else _e_slope(sub(1, m))
    return add(scale(mul(mul(square(s), s), part), 1 / 6), scale(scale(turns, 2.0), whole))


def _delta(phi: Array, m: Array) -> Array:
    """√(1 - m sin²φ), as cos²φ + (1 - m) sin²φ."""
    return sqrt(add(square(cos(phi)), mul(sub(1, m), square(sin(phi)))))


ellipkinc = special(
    "ellipkinc",
    "phi m",
    lambda phi, m: reciprocal(_delta(phi, m)),
    lambda phi, m: _incomplete_in_m(phi, m, True),
    domain=((-4.0, 4.0), MODULUS),
)
ellipeinc = special(
    "ellipeinc",
    "phi m",
    lambda phi, m: _delta(phi, m),
    lambda phi, m: _incomplete_in_m(phi, m, False),
    domain=((-4.0, 4.0), MODULUS),
)

# ── Jacobi's elliptic functions ───────────────────────────────────────────────


def _ellipj_u(m: Array, out: Sequence[Array]) -> tuple[Array, ...]:
    sn, cn, dn, _ = out
    return mul(cn, dn), neg(mul(sn, dn)), neg(mul(m, mul(sn, cn))), dn


def _ellipj_m(m: Array, out: Sequence[Array]) -> tuple[Array, ...]:
    """Through the amplitude: F(φ, m) = u gives ∂φ/∂m = -dn ∂F/∂m."""
    sn, cn, dn, phi = out
    turn = neg(mul(dn, _incomplete_in_m(phi, m, True)))
    dn_m = neg(div(add(square(sn), mul(mul(m, turn), scale(mul(sn, cn), 2.0))), scale(dn, 2.0)))
    return mul(cn, turn), neg(mul(sn, turn)), dn_m, turn


ellipj = special("ellipj", "u m", _ellipj_u, _ellipj_m, domain=((-3.0, 3.0), (0.1, 0.9)))

# ── arithmetic-geometric mean ─────────────────────────────────────────────────


def _agm_slope(a: Array, b: Array, out: Array) -> Array:
    """∂/∂a, from M = π / (2 R_F(0, a², b²)); of degree 0, so that ratios serve, which do not overflow."""
    return scale(mul(square(div(out, a)), elliprd(0.0, square(div(b, a)), 1.0)), 2 / (3 * PI))


agm = special(
    "agm",
    "a b",
    lambda a, b, out: _agm_slope(a, b, out),
    lambda a, b, out: _agm_slope(b, a, out),
    domain=(RIGHT, RIGHT),
)
