"""exp, exp2, expm1, and what is made of them: sigmoid, sinh, cosh, tanh.

x = k ln 2 + r with |r| ≤ ln 2 / 2, and e^r = 1 + r + r²q(r). The remainder r is kept as a pair of floats
where one rounding more would show in the result.
"""

from __future__ import annotations

from math import inf
from typing import Any

from wengert.lowering.vecmath.writer import Term, Writer


def reduced(w: Writer, x: Term) -> tuple[Term, Term, Term]:
    """k (in the low bits of an integer), and r as a pair."""
    high, low = w.table("LN2_SPLIT")
    k, bits = w.nearest(x, w.table("INV_LN2")[0])
    start = w.fma(k, -high, x)
    r = w.fma(k, -low, start)
    return bits, r, w.fma(k, -low, start - r)


def exponential_of_rest(w: Writer, r: Term, rest: Any) -> tuple[Term, Term]:
    """e^(r + rest) as a pair, for |r| ≤ ln 2 / 2."""
    square, q = r * r, w.horner(r, w.table("EXP"))
    t = w.fma(square, q, r)
    high, low = w.quick_sum(1.0, t)
    return high, low + w.fma(high, rest, w.fma(square, q, r - t))


def scaled(w: Writer, x: Term, k: Term, p: Term, double: int = 0) -> Term:
    """p·2^k, where x ≈ k ln 2 says how large that is; rounded once where it is subnormal.

    With `double` = 1, the last factor of two is a multiplication: what overflows becomes infinite.
    """
    low, lift = (-600.0, 128) if w.double else (-75.0, 64)
    tiny = x < low
    k = k + w.where(tiny, w.term(lift, "i"), w.term(-double, "i"))
    return w.float(w.bits(p) + (k << w.bits_of_mantissa)) * w.where(tiny, 2.0**-lift, 2.0**double)


def limits(w: Writer) -> tuple[float, float]:
    """Below the first, e^x is 0; above the second, it overflows."""
    return (-746.0, 709.782712893384) if w.double else (-104.0, 88.72283172607422)


def exp(w: Writer, x: Term) -> Term:
    least, most = limits(w)
    y = w.most(x, least)
    k, r, _ = reduced(w, y)
    p = 1.0 + w.fma(r * r, w.horner(r, w.table("EXP")), r)
    return w.where(x <= most, scaled(w, y, k, p), x + inf)


def exp_of_pair(w: Writer, x: Term, rest: Term) -> Term:
    """e^(x + rest), for a small rest; the caller sees to NaN."""
    least, most = limits(w)
    x = w.least(w.most(x, least), most + 0.5)
    k, r, low = reduced(w, x)
    high, low = exponential_of_rest(w, r, low + rest)
    return w.where(x > most + 0.25, inf, scaled(w, x, k, high + low, 1))


def exp2(w: Writer, x: Term) -> Term:
    least, most = w.pick(-1080.0, -155.0), w.pick(1024.0, 128.0)
    y = w.most(x, least)
    k, bits = w.nearest(y, 1.0)
    rest = y - k
    high, low = w.table("LN2")
    r = rest * high
    low = w.fma(rest, low, w.fma(rest, high, -r))
    p = 1.0 + w.fma(r * r, w.horner(r, w.table("EXP")), r + low)
    tiny, lift = y < w.pick(-900.0, -110.0), 128 if w.double else 64
    bits = bits + w.where(tiny, w.term(lift, "i"), w.term(0, "i"))
    value = w.float(w.bits(p) + (bits << w.bits_of_mantissa)) * w.where(tiny, 2.0**-lift, 1.0)
    return w.where(x < most, value, x + inf)


def expm1_pair(w: Writer, x: Term, shift: int) -> tuple[Term, Term]:
    """(e^x − 1)·2^−shift as a pair, for x above -40 or so and where that does not overflow."""
    k, r, rest = reduced(w, x)
    square, q = r * r, w.horner(r, w.table("EXP"))
    t = w.power_of_two(k, -shift)
    high, low = w.quick_sum(t - 2.0**-shift, t * r)
    return high, low + t * w.fma(square, q, rest)


def expm1(w: Writer, x: Term) -> Term:
    y = w.least(w.most(x, w.pick(-40.0, -20.0)), w.pick(710.0, 89.0))
    high, low = expm1_pair(w, y, 1)
    value = (high + low) * 2.0
    return w.where(w.abs(x) < w.pick(2.0**-54, 2.0**-25), x, value)


def exp_of_minus(w: Writer, a: Term) -> tuple[Term, Term]:
    """e^−a as a pair, for a ≥ 0."""
    least, _ = limits(w)
    y = w.most(-a, least)
    k, r, rest = reduced(w, y)
    high, low = w.quick_sum(*exponential_of_rest(w, r, rest))
    return scaled(w, y, k, high), w.where(y < w.pick(-600.0, -75.0), 0.0, low * w.power_of_two(k))


def sigmoid(w: Writer, x: Term) -> Term:
    """1 / (1 + e^−x), from e^−|x|."""
    least, _ = limits(w)
    y = w.most(-w.abs(x), least)
    k, r, _ = reduced(w, y)
    e = scaled(w, y, k, 1.0 + w.fma(r * r, w.horner(r, w.table("EXP")), r))
    divisor, lost = w.quick_sum(1.0, e)
    value = w.quotient(w.where(x >= 0.0, 1.0, e), None, divisor, lost)
    return w.where(w.isnan(x), x, value)


def tanh(w: Writer, x: Term) -> Term:
    """1 − 2 / (e^2|x| + 1); below 0.55, where that would cancel, a polynomial."""
    a = w.abs(x)
    y = w.least(a + a, w.pick(44.0, 20.0))
    k, r, _ = reduced(w, y)
    p = 1.0 + w.fma(r * r, w.horner(r, w.table("EXP")), r)
    large = 1.0 - 2.0 / w.fma(p, w.power_of_two(k), 1.0)
    z = x * x
    small = w.fma(a * z, w.horner(z, w.table("TANH")), a)
    return w.where(w.isnan(x), x, w.copysign(w.where(a < 0.55, small, large), x))


def sinh(w: Writer, x: Term) -> Term:
    """With E = e^|x| − 1: (E + E / (E + 1)) / 2, in quarters, so that nothing overflows before the result."""
    a = w.abs(x)
    y = w.least(a, w.pick(710.6, 89.5))
    high, low = expm1_pair(w, y, 2)
    high, low = w.quick_sum(high, low)
    other = high / w.fma(high, 4.0, 1.0)
    total, rest = w.two_sum(high, other)
    value = (total + (rest + low)) * 2.0
    return w.where(a < w.pick(2.0**-28, 2.0**-13), x, w.copysign(value, x))


def cosh(w: Writer, x: Term) -> Term:
    """(e^|x| + e^−|x|) / 2, from e^|x| / 4."""
    a = w.abs(x)
    y = w.least(a, w.pick(710.6, 89.5))
    k, r, rest = reduced(w, y)
    high, low = exponential_of_rest(w, r, rest)
    t = w.power_of_two(k, -2)
    high, low = high * t, low * t
    total, rest = w.quick_sum(high, 0.0625 / high)
    return (total + (rest + low)) * 2.0
