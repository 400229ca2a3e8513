"""arctan, arctan2, arcsin, arccos."""

from __future__ import annotations

from wengert.lowering.vecmath.writer import Term, Writer


def arctan_rest(w: Writer, z: Term) -> Term:
    """arctan(z) − z, for |z| ≤ 1/2."""
    square = z * z
    return z * square * w.horner(square, w.table("ATAN"))


def arctan(w: Writer, x: Term) -> Term:
    """With a = |x|: of a, or π/4 + that of (a−1)/(a+1), or π/2 + that of −1/a."""
    a = w.abs(x)
    middle, large = a > 0.5, a > 2.0
    z = w.where(large, -1.0, w.where(middle, a - 1.0, a)) / w.where(large, a, w.where(middle, a + 1.0, 1.0))
    high, low = w.table("HALF_PI")
    base = w.where(large, high, w.where(middle, 0.5 * high, 0.0))
    rest = w.where(large, low, w.where(middle, 0.5 * low, 0.0))
    return w.copysign(base + (z + (arctan_rest(w, z) + rest)), x)


def arctan2(w: Writer, y: Term, x: Term) -> Term:
    """The arctangent of the smaller part over the larger, brought to its octant: n π/4 ± arctan(z)."""
    a, b = w.abs(y), w.abs(x)
    steep = a > b
    large, small = w.where(steep, a, b), w.where(steep, b, a)
    scale = w.where(large > w.pick(2.0**1021, 2.0**125), 0.25, 1.0)
    large, small = large * scale, small * scale
    same = small == large
    middle = ((small > large * 0.5) | same) & (large > 0.0)
    z = w.where(middle, small - large, small) / w.where(middle, small + large, large)
    z = w.where(same, 0.0, z)
    left = w.bits(x) < 0
    n = w.where(middle, w.term(1.0), 0.0)
    n = w.where(steep, 2.0 - n, n)
    n = w.where(left, 4.0 - n, n)
    turn = w.where(steep, w.term(-1.0), 1.0)
    turn = w.where(left, -turn, turn)
    high, low = w.table("HALF_PI")
    base = n * (0.5 * high)
    rest = w.fma(n, 0.5 * low, w.fma(n, 0.5 * high, -base))
    angle = base + w.fma(turn, z, w.fma(turn, arctan_rest(w, z), rest))
    return w.where(w.unordered(x, y), x + y, w.copysign(angle, y))


def arcsin_parts(w: Writer, x: Term) -> tuple[Term, Term, Term, Term]:
    """With a = |x|: whether a > 1/2; then s = √((1−a)/2), else a; and arcsin(s) as s + p + rest."""
    a = w.abs(x)
    large = a > 0.5
    z = w.where(large, (1.0 - a) * 0.5, a * a)
    s = w.where(large, w.sqrt(z), a)
    # 1/(2s), near enough where it matters
    rest = w.where(large, w.fma(-s, s, z) * w.fma(s, -3.8, 2.9), 0.0)
    return large, s, s * z * w.horner(z, w.table("ASIN")), rest


def arcsin(w: Writer, x: Term) -> Term:
    large, s, p, rest = arcsin_parts(w, x)
    high, low = w.table("HALF_PI")
    value = w.where(large, w.fma(s, -2.0, high) + w.fma(p + rest, -2.0, low), s + p)
    return w.copysign(value, x)


def arccos(w: Writer, x: Term) -> Term:
    large, s, p, rest = arcsin_parts(w, x)
    high, low = w.table("HALF_PI")
    whole, part = w.copysign(s, x), w.copysign(w.term(1.0), x) * (p + rest)
    middle = high - whole
    middle = middle + (((high - middle) - whole) + (low - part))
    doubled = (s + (p + rest)) * 2.0
    right = x > 0.0
    total, lost = w.quick_sum(2.0 * high, s * -2.0)
    left = total + (lost + w.fma(p + rest, -2.0, 2.0 * low))
    return w.where(large, w.where(right, doubled, left), middle)
