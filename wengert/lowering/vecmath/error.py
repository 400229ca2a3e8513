"""erf, erfc, erfcx and the normal distribution.

Near 0, erf(x) = x + x·P(x²). Elsewhere erfc(x) = e^−x² g(t) / (1 + 2x), where g is nearly constant in
t = (x − c) / (x + c) (Shepherd and Laframboise).
"""

from __future__ import annotations

from typing import Any

from wengert.lowering.vecmath import exponential
from wengert.lowering.vecmath.writer import Term, Writer


def near(w: Writer, x: Term) -> tuple[Term, Term]:
    """erf(x) for |x| ≤ 1, as a pair."""
    return x, x * w.horner(x * x, w.table("ERF"))


def scaled_erfc(w: Writer, a: Term) -> Term:
    """e^a² erfc(a), for a ≥ 1/2."""
    center = w.pick(3.0, 2.0)
    coefficients = w.table(f"ERFCX_{center:.0f}")
    t = (a - center) / (a + center)
    part = w.horner(t, coefficients[1:]) * t
    high, low = w.quick_sum(coefficients[0], part)
    divisor, rest = w.quick_sum(a + a, 1.0)
    return w.quotient(high, low, divisor, rest)


def far(w: Writer, a: Term, rest: Any = None) -> Term:
    """erfc(a), for a ≥ 1/2."""
    a = w.least(a, w.pick(27.5, 10.2))
    g = scaled_erfc(w, a)
    y = -(a * a)
    low = w.fma(-a, a, -y)
    k, r, less = exponential.reduced(w, y)
    high, low = exponential.exponential_of_rest(w, r, less + low)
    p = high * g
    p = p + w.fma(low, g, w.fma(high, g, -p))
    return exponential.scaled(w, y, k, p)


def erf(w: Writer, x: Term) -> Term:
    a = w.abs(x)
    high, low = near(w, x)
    value = w.where(a < 1.0, high + low, w.copysign(1.0 - far(w, a), x))
    return w.where(w.isnan(x), x, value)


def erfc(w: Writer, x: Term) -> Term:
    a = w.abs(x)
    high, low = near(w, x)
    tail = far(w, a)
    value = w.where(a < 0.5, (1.0 - high) - low, w.where(x < 0.0, 2.0 - tail, tail))
    return w.where(w.isnan(x), x, value)
