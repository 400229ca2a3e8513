"""arcsinh, arccosh, arctanh: logarithms of pairs."""

from __future__ import annotations

from math import inf, nan

from wengert.lowering.vecmath.logarithm import logarithm
from wengert.lowering.vecmath.writer import Term, Writer


def root(w: Writer, x: Term, sign: float) -> tuple[Term, Term]:
    """√(x² + sign) as a pair."""
    square, low = w.two_product(x, x)
    d, rest = w.two_sum(square, sign)
    d, rest = w.quick_sum(d, rest + low)
    s = w.sqrt(d)
    return s, w.where(s > 0.0, (w.fma(-s, s, d) + rest) * (0.5 / s), 0.0)


def arcsinh(w: Writer, x: Term) -> Term:
    a = w.abs(x)
    large = a > w.pick(2.0**28, 2.0**13)
    s, rest = root(w, w.where(large, 1.0, a), 1.0)
    u, lost = w.quick_sum(s, a)
    u, rest = w.where(large, a, u), w.where(large, 0.0, lost + rest)
    value = logarithm(w, u, rest, -1.0, large)
    value = w.where(a < inf, value, a)
    return w.where(a < w.pick(2.0**-28, 2.0**-13), x, w.copysign(value, x))


def arccosh(w: Writer, x: Term) -> Term:
    large = x > w.pick(2.0**28, 2.0**13)
    s, rest = root(w, w.where(large, 1.0, x), -1.0)
    u, lost = w.quick_sum(x, s)
    u, rest = w.where(large, x, u), w.where(large, 0.0, lost + rest)
    value = logarithm(w, u, rest, -1.0, large)
    value = w.where(x < inf, value, x)
    return w.where(x < 1.0, nan, value)


def arctanh(w: Writer, x: Term) -> Term:
    """log((1 + |x|) / (1 − |x|)) / 2."""
    a = w.abs(x)
    n, n_low = w.quick_sum(1.0, a)
    d, d_low = w.quick_sum(1.0, -a)
    inverse = 1.0 / d
    q = n * inverse
    rest = (w.fma(-q, d, n) + w.fma(-q, d_low, n_low)) * inverse
    value = logarithm(w, q, rest) * 0.5
    value = w.where(a < 1.0, value, w.where(a == 1.0, inf, nan))
    return w.where(a < w.pick(2.0**-28, 2.0**-13), x, w.copysign(value, x))
