"""erf, erfc, erfcx and the normal distribution.

Near 0, erf(x) = x + x·P(x²). Elsewhere erfc(x) = e^−x² g(t) / (1 + 2x), where g is nearly constant in
t = (x − c) / (x + c) (Shepherd and Laframboise).
"""

from __future__ import annotations

from typing import Any

from wengert.lowering.vecmath import exponential, logarithm
from wengert.lowering.vecmath.writer import Term, Writer

NEAR = 0.75  # below it, erfc(x) is taken from erf(x)


def near(w: Writer, x: Term) -> tuple[Term, Term]:
    """erf(x) for |x| ≤ 1, as a pair."""
    return x, x * w.horner(x * x, w.table("ERF"))


def scaled_erfc(w: Writer, a: Term, less: Any = None) -> Term:
    """e^a² erfc(a), for a ≥ 1/2; of `less`, up to the last place of `a`, the divisor alone is told."""
    center = w.pick(3.0, 2.0)
    coefficients = w.table(f"ERFCX_{center:.0f}")
    t = (a - center) / (a + center)
    part = w.horner(t, coefficients[1:]) * t
    high, low = w.quick_sum(coefficients[0], part)
    divisor, rest = w.quick_sum(a + a, 1.0)
    if less is not None:
        rest = w.fma(less, 2.0, rest)
    return w.quotient(high, low, divisor, rest)


def far_pair(w: Writer, a: Term, less: Any = None) -> tuple[Term, Term]:
    """erfc(a + less) as a pair, for a ≥ 1/2; `less` is up to the last place of `a`."""
    a = w.least(a, w.pick(27.5, 10.2))
    g = scaled_erfc(w, a, less)
    y = -(a * a)
    low = w.fma(-a, a, -y)
    if less is not None:
        low = w.fma(a * -2.0, less, low)
    k, r, rest = exponential.reduced(w, y)
    high, low = exponential.exponential_of_rest(w, r, rest + low)
    p, rest = w.two_product(high, g)
    p, rest = w.quick_sum(p, w.fma(low, g, rest))
    tiny = y < w.pick(-600.0, -75.0)
    return exponential.scaled(w, y, k, p), w.where(tiny, 0.0, rest * w.power_of_two(k))


def far(w: Writer, a: Term, less: Any = None) -> Term:
    return far_pair(w, a, less)[0]


def erf(w: Writer, x: Term) -> Term:
    """Beyond 1, where erfc(x) < 0.16, its own errors hardly show in 1 − erfc(x): one division serves both quotients."""
    a = w.abs(x)
    b = w.least(a, w.pick(6.0, 4.0))
    center = w.pick(3.0, 2.0)
    over, divisor = b + center, w.fma(b, 2.0, 1.0)
    inverse = 1.0 / (over * divisor)
    g = w.horner((b - center) * (divisor * inverse), w.table("ERF_FAR" if w.double else "ERF_FAR_SHORT"))
    k, r, _ = exponential.reduced(w, -(b * b))
    p = 1.0 + w.fma(r * r, w.horner(r, w.table("EXP")), r)
    far_value = w.fma(p * w.power_of_two(k) * g, -(over * inverse), 1.0)
    high, low = near(w, x)
    value = w.where(a < 1.0, high + low, w.copysign(far_value, x))
    return w.where(w.isnan(x), x, value)


def erfc(w: Writer, x: Term) -> Term:
    a = w.abs(x)
    high, low = near(w, x)
    tail = far(w, a)
    main, less = w.quick_sum(1.0, -high)
    value = w.where(a < NEAR, main + (less - low), w.where(x < 0.0, 2.0 - tail, tail))
    return w.where(w.isnan(x), x, value)


def large_erfcx(w: Writer, a: Term) -> Term:
    """The asymptotic series Σ (−1)^n (2n − 1)!! / (2a²)^n / (a√π), for a above 28 (float32: 10)."""
    v = 0.5 / a / a
    series = w.horner(v, (-1.0, 3.0, -15.0, 105.0, -945.0, 10395.0) if w.double else (-1.0, 3.0, -15.0, 105.0))
    high, low = w.table("ROOT_INV_PI")
    return (high + w.fma(high, v * series, low)) / a


def any_erfcx(w: Writer, a: Term) -> Term:
    """e^a² erfc(a), for all a ≥ 1/2."""
    bound = w.pick(28.0, 10.0)
    return w.where(a < bound, scaled_erfc(w, w.least(a, bound)), large_erfcx(w, a))


def erfcx(w: Writer, x: Term) -> Term:
    """e^x² erfc(x); for negative x, 2e^x² − erfcx(−x)."""
    a = w.abs(x)
    high, low = near(w, x)
    b = w.least(a, w.pick(28.0, 10.0))
    square, rest = w.two_product(b, b)
    growth = exponential.exp_of_pair(w, square, rest)
    slow = any_erfcx(w, a)
    main, less = w.quick_sum(1.0, -high)
    close = w.fma(growth, main, growth * (less - low))
    value = w.where(a < 0.5, close, w.where(x < 0.0, w.fma(2.0, growth, -slow), slow))
    return w.where(w.isnan(x), x, value)


def over_root_two(w: Writer, x: Term) -> tuple[Term, Term]:
    """x / √2 as a pair."""
    high, low = w.table("ROOT_HALF")
    y, rest = w.two_product(x, high)
    return y, w.fma(x, low, rest)


def ndtr(w: Writer, x: Term) -> Term:
    """erfc(−x/√2) / 2, the normal distribution function."""
    y, rest = over_root_two(w, w.least(w.most(x, -40.0), 40.0))
    turn = w.where(y < 0.0, w.term(-1.0), 1.0)
    a = w.abs(y)
    tail = far(w, a, rest * turn) * 0.5
    high, low = near(w, y)
    value = w.where(a < NEAR, w.fma(high + (low + rest), 0.5, 0.5), w.where(y < 0.0, tail, 1.0 - tail))
    return w.where(w.isnan(x), x, value)


def log_ndtr(w: Writer, x: Term) -> Term:
    """−x²/2 + log(erfcx(−x/√2) / 2) to the left; near 0 the logarithm of ndtr as a pair; log1p(−ndtr(−x)) to the right."""
    a = w.abs(w.most(x, w.pick(-(2.0**500), -(2.0**60))))
    y, _ = over_root_two(w, a)
    square, low = w.two_product(a, a)
    g = any_erfcx(w, w.most(y, 0.5)) * 0.5
    left = w.fma(square, -0.5, w.fma(low, -0.5, logarithm.logarithm(w, g)))
    y, rest = over_root_two(w, w.least(w.most(x, -2.0), 40.0))
    high, low = near(w, y)
    high, low = w.quick_sum(high, low)
    tail, tail_low = far_pair(w, w.most(y, 0.5), rest)
    middle = y < NEAR
    u, lost = w.quick_sum(w.where(middle, w.term(0.5), 1.0), w.where(middle, high, -tail) * 0.5)
    lost = w.fma(w.where(middle, low + rest, -tail_low), 0.5, lost)
    right = logarithm.logarithm(w, u, lost)
    right = w.where(w.negate(middle) & (tail < w.pick(2.0**-54, 2.0**-25)), tail * -0.5, right)
    value = w.where(y < -0.5, left, right)
    value = w.where(x < w.pick(-(2.0**500), -(2.0**60)), x * 0.5 * w.abs(x), value)
    return w.where(w.isnan(x), x, value)
