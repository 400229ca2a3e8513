"""log, log2, log10, log1p, softplus, arcsinh, arccosh, arctanh: logarithms of floats, and of pairs of floats.

u = 2^k (1 + f) with √½ ≤ 1 + f < √2, and log(1 + f) = 2 atanh(s), s = f / (2 + f).
"""

from __future__ import annotations

from math import inf, nan, sqrt
from typing import Any

from wengert.lowering.vecmath import exponential
from wengert.lowering.vecmath.writer import Term, Writer


def split(w: Writer, u: Term) -> tuple[Term, Term, Term]:
    """k as a float, 1 + f, and the integer k << mantissa, for normal positive u."""
    m = w.bits_of_mantissa
    base = w.pattern(sqrt(0.5))
    shifted = w.bits(u) + (w.pattern(1.0) - base)
    mantissa = w.float((shifted & ((1 << m) - 1)) + base)
    exponent = (shifted >> m) | w.pattern(2.0**m)
    return w.float(exponent) - (2.0**m + w.bias), mantissa, shifted


def logarithm(w: Writer, u: Term, rest: Any = None, extra: float = 0.0, wide: Any = None) -> Term:
    """log(u + rest) for normal positive u; `rest` is up to its last place; `wide` says where u was 2^extra too large."""
    k, one_f, shifted = split(w, u)
    if wide is not None:
        k = k - w.where(wide, extra, 0.0)
    f = one_f - 1.0
    s = f / (f + 2.0)
    z = s * s
    tail = w.horner(z, w.table("LOG")) * z
    half = f * 0.5 * f
    high, low = w.table("LN2_SPLIT")
    small = k * low
    if rest is not None:
        # rest·2^−k / (1 + f), for which 1 − f + f² is near enough
        m = w.bits_of_mantissa
        inverse = w.float((2 * w.bias << m) - (shifted & (((1 << (64 if w.double else 32)) - 1) ^ ((1 << m) - 1))))
        small = w.fma(w.where(k < 100.0, rest * inverse, 0.0), w.fma(f, f - 1.0, 1.0), small)
    g = w.fma(s, half + tail, small)
    return w.fma(k, high, f - (half - g))


def normal(w: Writer, x: Term) -> tuple[Term, Term, float]:
    """x, lifted to the normal range where it is subnormal, where that is, and the exponent of the lift."""
    lift = w.pick(54.0, 25.0)
    tiny = x < w.pick(2.0**-1022, 2.0**-126)
    return x * w.where(tiny, 2.0**lift, 1.0), tiny, lift


def bounded(w: Writer, x: Term, value: Term) -> Term:
    """`value`, but what logarithms give for x that is zero, negative, infinite or NaN."""
    value = w.where(x < inf, value, x)
    return w.where(x > 0.0, value, w.where(x == 0.0, -inf, nan))


def log(w: Writer, x: Term) -> Term:
    u, tiny, lift = normal(w, x)
    return bounded(w, x, logarithm(w, u, None, lift, tiny))


def log_in_base(w: Writer, x: Term, inverse: tuple[float, float], per_octave: tuple[float, float]) -> Term:
    """log(1 + f)·inverse + k·per_octave, in pairs."""
    u, tiny, lift = normal(w, x)
    k, one_f, _ = split(w, u)
    k = k - w.where(tiny, lift, 0.0)
    f = one_f - 1.0
    s = f / (f + 2.0)
    z = s * s
    half = f * 0.5 * f
    tail = w.horner(z, w.table("LOG")) * z
    high, low = w.quick_sum(f, -half)
    low = low + w.fma(s, half + tail, -w.fma(f * 0.5, f, -half))
    high, low = w.quick_sum(high, low)
    product, rest = w.two_product(high, inverse[0])
    rest = rest + w.fma(high, inverse[1], low * inverse[0])
    if per_octave[0] == 1.0:
        total, lost = w.quick_sum(k, product)
    else:
        octaves, less = w.two_product(k, per_octave[0])
        total, lost = w.two_sum(octaves, product)
        lost = lost + w.fma(k, per_octave[1], less)
    return bounded(w, x, total + (lost + rest))


def log2(w: Writer, x: Term) -> Term:
    return log_in_base(w, x, w.table("INV_LN2"), (1.0, 0.0))  # type: ignore[arg-type]


def log10(w: Writer, x: Term) -> Term:
    return log_in_base(w, x, w.table("INV_LN10"), w.table("LOG10_2"))  # type: ignore[arg-type]


def log1p(w: Writer, x: Term) -> Term:
    u, rest = w.two_sum(x, 1.0)
    value = logarithm(w, u, rest)
    value = w.where(x < inf, value, x)
    value = w.where(x > -1.0, value, w.where(x == -1.0, -inf, nan))
    return w.where(w.abs(x) < w.pick(2.0**-54, 2.0**-25), x, value)


def softplus(w: Writer, x: Term) -> Term:
    """log(1 + e^x) = max(x, 0) + log1p(e^−|x|)."""
    e, rest = exponential.exp_of_minus(w, w.abs(x))
    u, lost = w.quick_sum(1.0, e)
    value = logarithm(w, u, lost + rest)
    value = w.where(e < w.pick(2.0**-54, 2.0**-25), e, value)
    return w.where(w.isnan(x), x, w.most(x, 0.0) + value)


def logaddexp(w: Writer, x: Term, y: Term) -> Term:
    """log(e^x + e^y) = max + log1p(e^−|x − y|)."""
    most = w.where(x > y, x, y)
    d, less = w.two_sum(most, -w.where(x > y, y, x))
    e, rest = exponential.exp_of_minus(w, d)
    rest = w.fma(-e, w.where(d < w.pick(746.0, 104.0), less, 0.0), rest)
    u, lost = w.quick_sum(1.0, e)
    value = logarithm(w, u, lost + rest)
    value = most + w.where(e < w.pick(2.0**-54, 2.0**-25), e, value)
    value = w.where(w.unordered(x, y), x + y, value)
    return w.where(x == y, x + w.table("LN2")[0], value)
