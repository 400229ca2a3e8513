"""sqrt, rsqrt, pow."""

from __future__ import annotations

from math import inf, nan

from wengert.lowering.vecmath import exponential, logarithm
from wengert.lowering.vecmath.writer import Term, Writer


def sqrt(w: Writer, x: Term) -> Term:
    return w.sqrt(x)


def rsqrt(w: Writer, x: Term) -> Term:
    return 1.0 / w.sqrt(x)


def logarithm_pair(w: Writer, u: Term, tiny: Term, lift: float) -> tuple[Term, Term]:
    """log(u) as a pair with about 64 bits, for normal positive u, which is 2^lift too large where it was `tiny`."""
    k, one_f, _ = logarithm.split(w, u)
    k = k - w.where(tiny, lift, 0.0)
    f = one_f - 1.0
    d, d_low = w.quick_sum(2.0, f)
    inverse = 1.0 / d
    s = f * inverse
    s_low = w.fma(-s, d_low, w.fma(-s, d, f)) * inverse
    z, z_low = w.two_product(s, s)
    z_low = w.fma(s + s, s_low, z_low)
    third, third_low = 2.0 / 3.0, 3.700743415417188e-17  # 2/3, and what is missing of it
    p, p_low = w.quick_sum(third, z * w.horner(z, w.table("LOG_2")))
    t, t_low = w.two_product(z, p)
    t_low = w.fma(z, p_low + third_low, w.fma(z_low, p, t_low))
    v, v_low = w.quick_sum(2.0, t)
    v_low = v_low + t_low
    high, low = w.two_product(s, v)
    low = w.fma(s, v_low, w.fma(s_low, v, low))
    octave, rest = w.table("LN2_SPLIT")
    high, lost = w.quick_sum(k * octave, high)
    return w.quick_sum(high, lost + w.fma(k, rest, low))


def magnitude(w: Writer, a: Term, y: Term) -> Term:
    """a^y for a ≥ 0, where neither is NaN, y is not 0 and a is not 1."""
    u, tiny, lift = logarithm.normal(w, a)
    if w.medium:
        high, low = logarithm.logarithm(w, u, None, lift, tiny), w.term(0.0)
    else:
        high, low = logarithm_pair(w, u, tiny, lift)
    high = w.where(a == 0.0, -inf, w.where(a < inf, high, inf))
    product = y * high
    if w.medium:
        return exponential.exp(w, product)
    rest = w.fma(y, low, w.fma(y, high, -product))
    return exponential.exp_of_pair(w, product, w.where(w.abs(product) < 1000.0, rest, 0.0))


def power(w: Writer, x: Term, y: Term) -> Term:
    value = magnitude(w, w.abs(x), y)
    half = y * 0.5
    whole = w.floor(y) == y
    odd = whole & (w.floor(half) != half)
    top = 63 if w.double else 31
    sign = (w.bits(x) >> top) << top
    value = w.float(w.bits(value) | w.where(odd, sign, w.term(0, "i")))
    value = w.where((x < 0.0) & (x > -inf) & w.negate(whole), nan, value)
    value = w.where(w.unordered(x, y), x + y, value)
    minus_one_to_infinity = (x == -1.0) & (w.abs(y) == inf)
    return w.where((y == 0.0) | (x == 1.0) | minus_one_to_infinity, 1.0, value)


def pow(w: Writer, x: Term, y: Term) -> Term:
    if w.double:
        return power(w, x, y)
    wide, (x, y) = w.widened(x, y)
    return w.narrowed(power(wide, x, y))


def cbrt(w: Writer, x: Term) -> Term:
    """x = ±m·2^(3q + r), r in −1, 0, 1: a polynomial for ∛m, and one of Halley's steps with the residual in a pair."""
    u, tiny, lift = logarithm.normal(w, w.abs(x))
    k, m, _ = logarithm.split(w, u)
    k = k - w.where(tiny, lift, 0.0)
    q, bits = w.nearest(k, 1.0 / 3.0)
    r = w.fma(q, -3.0, k)
    up, down = r > 0.5, r < -0.5
    root = w.horner(m, w.table("CBRT"))
    root = root * w.where(up, 2.0 ** (1 / 3), w.where(down, 0.5 ** (1 / 3), 1.0))
    m = m * w.where(up, 2.0, w.where(down, 0.5, 1.0))
    square, low = w.two_product(root, root)
    left = w.fma(-low, root, w.fma(-square, root, m))
    root = w.fma(root, left / w.fma(square * 2.0, root, m), root)
    value = w.copysign(root * w.power_of_two(bits), x)
    return w.where((u > 0.0) & (u < inf), value, x)


def hypot(w: Writer, x: Term, y: Term) -> Term:
    a, b = w.abs(x), w.abs(y)
    steep = a > b
    large, small = w.where(steep, a, b), w.where(steep, b, a)
    high, low, by = w.pick(2.0**500, 2.0**60), w.pick(2.0**-450, 2.0**-55), w.pick(2.0**600, 2.0**75)
    big, little = large > high, large < low
    scale = w.where(big, 1.0 / by, w.where(little, by, 1.0))
    back = w.where(big, by, w.where(little, 1.0 / by, 1.0))
    large, small = large * scale, small * scale
    square, rest = w.two_product(large, large)
    root = w.sqrt(w.fma(small, small, square) + rest) * back
    root = w.where(w.unordered(x, y), x + y, root)
    return w.where((a == inf) | (b == inf), inf, root)
