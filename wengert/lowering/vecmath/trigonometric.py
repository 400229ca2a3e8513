"""sin, cos, tan, and their inverses.

x = k π/2 + r with |r| ≤ π/4, r as a pair of floats. Up to `far.limit` the parts of π/2 (Cody and Waite) have exact
products with k. Beyond, `far` takes over: see there.
"""

from __future__ import annotations

from wengert.lowering.vecmath import far
from wengert.lowering.vecmath.writer import Term, Writer


def reduced(w: Writer, x: Term) -> tuple[Term, Term, Term]:
    """k (in the low bits of an integer) and r as a pair, for |x| up to the limit."""
    one, two, three, four = w.table("HALF_PI_PARTS")
    k, bits = w.nearest(x, w.table("TWO_OVER_PI")[0])
    a = w.fma(k, -one, x)
    part = k * two
    b = a - part
    c = w.fma(k, -three, (a - b) - part)  # if |a| < |part|, both are so small that b is exact
    high, low = w.quick_sum(b, c)
    return bits, high, w.fma(k, -four, low)


def sine_and_cosine(w: Writer, r: Term, low: Term) -> tuple[Term, Term, Term, Term]:
    """sin(r + low) and cos(r + low), each as a pair."""
    z = r * r
    half = z * 0.5
    most = 1.0 - half
    sine = w.fma(z * r, w.horner(z, w.table("SIN")), low * most)
    cosine = ((1.0 - most) - half) + w.fma(z * z, w.horner(z, w.table("COS")), -(r * low))
    return r, sine, most, cosine


def signed(w: Writer, value: Term, quadrant: Term) -> Term:
    """`value`, negated where bit 1 of `quadrant` is set."""
    top = 62 if w.double else 30
    return w.float(w.bits(value) ^ ((quadrant & 2) << top))


def sine(w: Writer, k: Term, r: Term, low: Term) -> Term:
    s, s_low, c, c_low = sine_and_cosine(w, r, low)
    return signed(w, w.where((k & 1) == 0, s + s_low, c + c_low), k)


def cosine(w: Writer, k: Term, r: Term, low: Term) -> Term:
    s, s_low, c, c_low = sine_and_cosine(w, r, low)
    return signed(w, w.where((k & 1) == 0, c + c_low, s + s_low), k + 1)


def tangent(w: Writer, k: Term, r: Term, low: Term) -> Term:
    s, s_low, c, c_low = sine_and_cosine(w, r, low)
    even = (k & 1) == 0
    s, s_low = w.quick_sum(s, s_low)
    c, c_low = w.quick_sum(c, c_low)
    return w.quotient(
        w.where(even, s, -c), w.where(even, s_low, -c_low), w.where(even, c, s), w.where(even, c_low, s_low)
    )


COMBINE = {"sin": sine, "cos": cosine, "tan": tangent}


def periodic(w: Writer, x: Term, name: str) -> Term:
    near = COMBINE[name](w, *reduced(w, x))
    return w.where(w.abs(x) > far.limit(w), far.call(w, name, x), near)


def sin(w: Writer, x: Term) -> Term:
    return w.where(w.abs(x) < w.pick(2.0**-27, 2.0**-13), x, periodic(w, x, "sin"))


def cos(w: Writer, x: Term) -> Term:
    return periodic(w, x, "cos")


def tan(w: Writer, x: Term) -> Term:
    return w.where(w.abs(x) < w.pick(2.0**-28, 2.0**-13), x, periodic(w, x, "tan"))
