"""Exponentially scaled Bessel and Airy functions far from the origin, by their asymptotic series.

They decay as a power, while their textbook derivatives are differences of terms that do not: I₀' - I₀ loses x units in
the last place. Term by term the series has derivatives of every order without cancellation.

Source  DLMF 10.40, 9.7.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from wengert.core.aval import ANY
from wengert.core.form import Map
from wengert.core.tensor import Array
from wengert.ops import scalars
from wengert.ops.basis import scale
from wengert.ops.select import where
from wengert.ops.special import ORDER, in_double, predicate, special

TERMS = 40


def _falling(exponent: float, n: int) -> float:
    """e (e - 1) … (e - n + 1)."""
    return math.prod(exponent - i for i in range(n))


def _cylinder(v: np.ndarray, x: np.ndarray, *, second: bool, n: int) -> np.ndarray:
    """The n-th derivative of exp(-x) I_v(x), or if `second` of exp(x) K_v(x)."""
    front = np.sqrt(np.pi / 2 / x) if second else 1 / np.sqrt(2 * np.pi * x)
    total, term = np.zeros_like(x), np.ones_like(x)
    last = np.full(x.shape, np.inf)
    for k in range(TERMS):
        total = total + term * _falling(-0.5 - k, n)
        factor = (4 * v * v - (2 * k + 1) ** 2) / (8 * (k + 1) * x)
        term = term * (factor if second else -factor)
        size = np.abs(term)
        term = np.where(size < last, term, 0.0)  # the series diverges in the end
        last = np.minimum(size, last)
    return front * total / x**n


_cylinder.complex = True  # type: ignore[attr-defined]

cylinder_far = special(
    "cylinder_far",
    "v x",
    ORDER,
    lambda v, x, *, second, n: cylinder_far(v, x, second=second, n=n + 1),
    fn=in_double(_cylinder),
    domain=([0.0, 1.0, 2.5], (30.0, 60.0)),
    params={"second": True, "n": 1},
    note="the n-th derivative of exp(-x) I_v(x) or exp(x) K_v(x), for |x| > max(30, v²)",
)


def _far_scalar(b: Any, v: Any, x: Any) -> Any:
    size = b.abs(x)
    return b.and_(b.compare("gt", size, b.like(30, x)), b.compare("gt", size, b.mul(v, v)))


is_far = predicate(
    "cylinder_is_far",
    lambda v, x: (np.abs(x) > 30) & (np.abs(x) > np.square(v)),
    [0.0, 1.0, 2.5],
    (25.0, 35.0),
    accepts=ANY,
    lower=Map(_far_scalar, "joint", 4),
)


def far_or(near: Array, v: Array, x: Array, second: bool, factor: complex | Array = 1.0) -> Array:
    """`near`, and far out factor · d/dx of the scaled function."""
    mask = is_far(v, x)
    slope = cylinder_far(v, where(mask, x, 1e3), second=second, n=1)
    return where(mask, scale(slope, factor), near)


# ── Airy ──────────────────────────────────────────────────────────────────────


def _airy_coefficients() -> tuple[np.ndarray, np.ndarray]:
    u = [1.0]
    for k in range(1, TERMS):
        u.append(u[-1] * (6 * k - 5) * (6 * k - 3) * (6 * k - 1) / ((2 * k - 1) * 216 * k))
    v = [c * (6 * k + 1) / (1 - 6 * k) for k, c in enumerate(u)]
    return np.array(u), np.array(v)


_U, _V = _airy_coefficients()


def _airy(z: np.ndarray, *, which: int, n: int) -> np.ndarray:
    """The n-th derivative of output `which` of airye."""
    prime, second = which % 2, which >= 2
    zeta = 2 / 3 * z**1.5
    total, last = np.zeros_like(z), np.full(z.shape, np.inf)
    for k, c in enumerate(_V if prime else _U):
        term = c * (1.0 if second else (-1.0) ** k) / zeta**k
        size = np.abs(term)
        total = total + np.where(size < last, term * _falling((0.25 if prime else -0.25) - 1.5 * k, n), 0.0)
        last = np.minimum(size, last)
    front = (1 if second else -0.5 if prime else 0.5) / np.sqrt(np.pi)
    return front * total * z ** ((0.25 if prime else -0.25) - n)


airye_far = special(
    "airye_far",
    "z",
    lambda z, *, which, n: airye_far(z, which=which, n=n + 1),
    fn=in_double(_airy),
    domain=((13.0, 30.0),),
    params={"which": 1, "n": 1},
    note="the n-th derivative of output `which` of airye, for z > 12",
)
airy_is_far = predicate(
    "airy_is_far",
    lambda z: np.greater(np.real(z), 12),
    (10.0, 14.0),
    accepts=ANY,
    lower=scalars.against("gt", 12),
)
