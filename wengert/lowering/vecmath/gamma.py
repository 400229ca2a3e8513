"""lgamma and digamma.

Above 5/2, Stirling's formula and its derivative, whose remainders times x are polynomials in 1/x right up to infinity.
Below, polynomials around the zeros at 1 and 2 (digamma: 1.46…), and one step of the recurrence.
Left of zero, the reflection formulas: there, errors are small beside the larger of their two terms.
"""

from __future__ import annotations

from math import inf, nan

from wengert.lowering.vecmath.logarithm import logarithm, normal
from wengert.lowering.vecmath.power import logarithm_pair
from wengert.lowering.vecmath.writer import Term, Writer


def to_nearest(w: Writer, x: Term) -> Term:
    """x − the nearest integer, exactly."""
    return x - w.intrinsic("rint", x)


def quotient_by_zero(w: Writer, t: Term, name: str) -> tuple[Term, Term]:
    """log Γ(n + t) / t as a pair, although the first two terms of its polynomial nearly cancel."""
    table = w.table(name)
    if w.medium:
        return w.horner(t, table), w.term(0.0)
    first, second = w.table(name + "_REST")
    linear, low = w.two_product(t, table[1])
    high, lost = w.quick_sum(table[0], linear)
    rest = w.fma(t, second, first) + (lost + low)
    return w.quick_sum(high, w.fma(t * t, w.horner(t, table[2:]), rest))


def lgamma_of_positive(w: Writer, x: Term) -> Term:
    """log Γ(x) for x ≥ −1/4."""
    a = w.abs(x)
    u, tiny, lift = normal(w, a)
    if w.medium:
        high, low = logarithm(w, u, None, lift, tiny), w.term(0.0)
    else:
        high, low = logarithm_pair(w, u, tiny, lift)
    second = ((x >= 0.5) & (x < 0.75)) | (x >= 1.5)
    t = x - w.where(x < 0.5, w.term(0.0), w.where(x < 1.5, w.term(1.0), 2.0))
    t = w.least(t, 0.5)
    one, one_low = quotient_by_zero(w, t, "LGAMMA_1")
    two, two_low = quotient_by_zero(w, t, "LGAMMA_2")
    p = w.fma(t, w.where(second, two, one), t * w.where(second, two_low, one_low))
    left, lost = w.two_sum(p, -high)
    left = left + (lost - low)
    m = x - 0.5
    s = 1.0 / w.most(x, 2.5)
    product, rest = w.two_product(m, high)
    rest = w.fma(m, low, rest)
    total, lost = w.two_sum(product, -x)
    constant, less = w.table("HALF_LOG_2PI")
    total, more = w.two_sum(total, constant)
    right = total + (more + (lost + (rest + w.fma(s, w.horner(s, w.table("STIRLING")), less))))
    right = w.where(product < inf, right, inf)
    return w.where(x < 2.5, w.where(x < 0.75, left, p), right)


def lgamma_of_double(w: Writer, x: Term) -> Term:
    a = w.abs(x)
    reflected = x < -0.25
    value = lgamma_of_positive(w, w.where(reflected, a, x))
    r = w.abs(to_nearest(w, w.most(a, 0.25)))
    sine = r * w.horner(r * r, w.table("SIN_PI"))
    other = logarithm(w, w.table("PI")[0] / (w.most(a, 0.25) * w.most(sine, 2.0**-60))) - value
    value = w.where(reflected, w.where(r == 0.0, inf, other), value)
    value = w.where(x == 0.0, inf, value)
    return w.where(a < inf, value, x)  # -inf at -inf, as SciPy has it


def digamma_of_double(w: Writer, x: Term) -> Term:
    """Of y = x or 1 − x, plus 1 if that is below 1."""
    reflected = (w.bits(x) < 0) & (x <= 0.0)
    y, lost = w.quick_sum(w.where(w.abs(x) < 1.0, w.term(1.0), -x), w.where(w.abs(x) < 1.0, -x, 1.0))
    y, lost = w.where(reflected, y, x), w.where(reflected, lost, 0.0)
    short = y < 1.0
    z, less = w.quick_sum(1.0, y)
    z, lost = w.where(short, z, y), w.where(short, less, lost)
    zero, rest = w.table("DIGAMMA_ZERO")
    c = w.least(z, 2.5)
    q, q_low = w.horner_pair(c - 1.75, w.table("DIGAMMA"))
    d = c - zero
    near = w.fma(d, q, w.fma(d, q_low, q * (lost - rest)))
    inverse = 1.0 / y
    near = near - w.where(short & (y > 1e-30), w.fma(-inverse, y, 1.0) * inverse, 0.0)
    near = near - w.where(short, inverse, 0.0)
    s = w.least(inverse, 0.4)
    far = logarithm(w, w.most(z, 2.5)) - s * w.horner(s, w.table("DIGAMMA_FAR"))
    value = w.where(z < 2.5, near, far)
    r = w.where(w.abs(x) < 0.5, x, to_nearest(w, x))
    value = w.where(reflected, value - w.horner(r * r, w.table("COT_PI")) / r, value)
    value = w.where(reflected & (r == 0.0) & (x < 0.0), nan, value)
    return w.where(short & (y == 0.0), -inf, w.where(x < inf, value, x))


def lgamma(w: Writer, x: Term) -> Term:
    if w.double:
        return lgamma_of_double(w, x)
    wide, (x,) = w.widened(x)
    return w.narrowed(lgamma_of_double(wide, x))


def digamma(w: Writer, x: Term) -> Term:
    if w.double:
        return digamma_of_double(w, x)
    wide, (x,) = w.widened(x)
    return w.narrowed(digamma_of_double(wide, x))
