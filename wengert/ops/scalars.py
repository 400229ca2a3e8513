"""Scalar functions of `Map` forms that several families share, written against a scalar builder (`b`).

A builder has arithmetic, comparisons, `select` and functions on values of one dtype; see `core/form.py`.

Zeros  Where an op's `eval` makes a strong zero, its sign tells nothing: eager evaluation itself gives either.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wengert.core.aval import Aval
from wengert.core.form import HostCall, Map, Unsupported, Via

Scalar = Callable[..., Any]

EXPENSIVE = 25  # of a transcendental function, in additions
DIVISION = 10

# ── makers of forms ───────────────────────────────────────────────────────────


def lifted(method: str, compute: Any = "out", cost: int = 1) -> Map:
    """The builder's own method of that name."""

    def scalar(b: Any, *xs: Any) -> Any:
        return getattr(b, method)(*xs)

    return Map(scalar, compute, cost)


def mathematical(name: str, cost: int = EXPENSIVE) -> Map:
    """A function of vector math, on floats."""

    def scalar(b: Any, *xs: Any) -> Any:
        floating(xs[0])
        return b.math(name, *xs)

    return Map(scalar, "out", cost)


def compared(which: str) -> Map:
    """A comparison of operands in the dtype that they promote to."""
    return Map(lambda b, x, y: b.compare(which, x, y), "joint")


def tested(scalar: Scalar, cost: int = 2) -> Map:
    """A property of each element, as it is."""
    return Map(scalar, "none", cost)


def for_floats(form: Map | Via) -> Callable[..., Any]:
    """`form` for float operands; integers, which `eval` computes with as such, are left to it."""

    def chosen(ins: Sequence[Aval], params: dict[str, Any]) -> Any:
        return form if all(a.dtype.kind == "f" for a in ins) else HostCall("operands that are not floats")

    return chosen


# ── guards ────────────────────────────────────────────────────────────────────


def is_float(x: Any) -> bool:
    """Whether a value is a float."""
    return x.dtype.kind == "f"


def floating(x: Any) -> None:
    """Unsupported unless `x` is a float."""
    if not is_float(x):
        raise Unsupported(f"{x.dtype}, where this function is written for floats")


# ── tests of elements ─────────────────────────────────────────────────────────


def never(b: Any) -> Any:
    """False."""
    return b.const(False, np.dtype(bool))


def isnan(b: Any, x: Any) -> Any:
    """Whether `x` is NaN, which only a float can be."""
    return b.isnan(x) if is_float(x) else never(b)


def isinf(b: Any, x: Any) -> Any:
    """Whether `x` is infinite."""
    return b.compare("eq", b.abs(x), b.like(math.inf, x)) if is_float(x) else never(b)


def isfinite(b: Any, x: Any) -> Any:
    """Whether `x` is neither infinite nor NaN."""
    return b.compare("lt", b.abs(x), b.like(math.inf, x)) if is_float(x) else b.not_(never(b))


def is_infinity(sign: int) -> Scalar:
    """Whether `x` is the infinity of that sign."""

    def scalar(b: Any, x: Any) -> Any:
        return b.compare("eq", x, b.like(sign * math.inf, x)) if is_float(x) else never(b)

    return scalar


def against(which: str, bound: float) -> Map:
    """`x` compared with a constant that every dtype has."""
    return tested(lambda b, x: b.compare(which, x, b.like(bound, x)))


def is_zero(b: Any, x: Any) -> Any:
    """Whether `x` is zero, of either sign."""
    return b.compare("eq", x, b.like(0, x))


# ── strong products ───────────────────────────────────────────────────────────


def strong(b: Any, product: Any, *factors: Any) -> Any:
    """`product`, and zero where one of `factors` is: so it is never NaN there, without a look at it. (Evaluation by NumPy may give
    such a zero the other sign.)"""
    if not is_float(product):
        return product
    zero = is_zero(b, factors[0])
    for x in factors[1:]:
        zero = b.or_(zero, is_zero(b, x))
    return b.select(zero, b.like(0, product), product)


def scale(b: Any, x: Any, slope: Any) -> Any:
    """x·slope, zero where x is."""
    return strong(b, b.mul(x, slope), x)


def strong_mul(b: Any, x: Any, y: Any) -> Any:
    """x·y, zero where either is."""
    return strong(b, b.mul(x, y), x, y)


def unscale(b: Any, x: Any, y: Any) -> Any:
    """x / y, zero where x is."""
    return strong(b, b.div(x, y), x)


# ── extrema ───────────────────────────────────────────────────────────────────


def number_extremum(method: str) -> Scalar:
    """As `maximum` or `minimum`, but the number where one operand is NaN."""

    def scalar(b: Any, x: Any, y: Any) -> Any:
        out = getattr(b, method)(x, y)
        if not is_float(x):
            return out
        return b.select(b.isnan(x), y, b.select(b.isnan(y), x, out))

    return scalar


def share_dtype(x: Any) -> np.dtype:
    """The dtype in which a share of `x` is written before it becomes the result's."""
    return x.dtype if is_float(x) else np.dtype(float)


def share(b: Any, x: Any, y: Any) -> Any:
    """x's share in the larger of x and y: 1, 0, and 1/2 at a tie or where either is NaN."""
    one, half, nothing = (b.const(v, share_dtype(x)) for v in (1.0, 0.5, 0.0))
    return b.select(b.compare("gt", x, y), one, b.select(b.compare("lt", x, y), nothing, half))


def number_share(b: Any, part: Any, x: Any, y: Any) -> Any:
    """`part` of x, with the whole of it to a number where the other is NaN."""
    if not is_float(x):
        return part
    one, nothing = b.like(1.0, part), b.like(0.0, part)
    missing_x, missing_y = b.isnan(x), b.isnan(y)
    alone = b.select(missing_y, one, nothing)
    return b.select(b.xor(missing_x, missing_y), alone, part)


# ── signs, powers ─────────────────────────────────────────────────────────────


def sign(b: Any, x: Any) -> Any:
    """-1, 0, 1, or NaN."""
    zero, one = b.like(0, x), b.like(1, x)
    if x.dtype.kind == "b":
        raise Unsupported("the sign of a boolean")
    above = b.compare("gt", x, zero)
    if x.dtype.kind == "u":
        return b.select(above, one, zero)
    out = b.select(above, one, b.select(b.compare("lt", x, zero), b.like(-1, x), zero))
    return b.select(b.isnan(x), x, out) if is_float(x) else out


def square(b: Any, x: Any) -> Any:
    """x·x."""
    return b.mul(x, x)


def power(b: Any, x: Any, y: Any) -> Any:
    """x to the y. A literal whole exponent takes products that carry their rounding errors along: within 1 ulp."""
    floating(x)
    n = getattr(y, "known", None)
    if n is None or not n.is_integer() or not 3 <= abs(n) <= 64:
        return b.math("pow", x, y)
    high, low = x, b.like(0, x)
    if n < 0:
        high = b.div(b.like(1, x), x)
        low = b.mul(b.fma(b.neg(x), high, b.like(1, x)), high)
        low = b.select(b.compare("eq", low, low), low, b.like(0, x))
    bits = bin(int(abs(n)))[3:]
    total = (high, low)
    for bit in bits:
        total = _product(b, total, total)
        if bit == "1":
            total = _product(b, total, (high, low))
    rounded = b.add(*total)
    kept = b.and_(b.compare("eq", rounded, rounded), b.compare("ne", total[0], b.like(0, x)))  # zeros have signs
    return b.select(kept, rounded, total[0])


def _product(b: Any, x: tuple[Any, Any], y: tuple[Any, Any]) -> tuple[Any, Any]:
    """The product of two numbers in two parts each."""
    high = b.mul(x[0], y[0])
    low = b.fma(x[0], y[0], b.neg(high))
    return high, b.fma(x[0], y[1], b.fma(x[1], y[0], low))


def whole_power(b: Any, x: Any, n: int) -> Any:
    """xⁿ by multiplication, for a small n ≥ 1."""
    out = x
    for _ in range(n - 1):
        out = b.mul(out, x)
    return out


def times(b: Any, factor: float, x: Any) -> Any:
    """x by a number."""
    return b.mul(b.like(factor, x), x)


def plus(b: Any, term: float, x: Any) -> Any:
    """x and a number."""
    return b.add(b.like(term, x), x)


def reciprocal(b: Any, x: Any) -> Any:
    """1 / x."""
    floating(x)
    return b.div(b.like(1, x), x)


def exp(b: Any, x: Any) -> Any:
    """eˣ."""
    return b.math("exp", x)


def sigmoid(b: Any, x: Any) -> Any:
    """1 / (1 + e⁻ˣ) by these very operations, in half the time of vector math's, whose last digit is better."""
    return reciprocal(b, plus(b, 1, exp(b, b.neg(x))))


def horner(b: Any, coefficients: tuple[float, ...], x: Any) -> Any:
    """A polynomial, coefficients from the lowest power."""
    total = b.like(coefficients[-1], x)
    for c in reversed(coefficients[:-1]):
        total = b.add(b.mul(total, x), b.like(c, x))
    return total


# ── quotients and remainders of floats ──


def _turned(b: Any, rest: Any, y: Any) -> Any:
    """Whether a remainder towards zero has the other sign than the divisor."""
    zero = b.like(0, y)
    apart = b.xor(b.compare("lt", rest, zero), b.compare("lt", y, zero))
    return b.and_(b.compare("ne", rest, zero), apart)


def float_floor_divide(b: Any, x: Any, y: Any) -> Any:
    """⌊x / y⌋ by way of the exact remainder; x / y where y is 0."""
    rest, whole, one = b.fmod(x, y), b.div(x, y), b.like(1, x)
    quotient = b.div(b.sub(x, rest), y)
    quotient = b.select(_turned(b, rest, y), b.sub(quotient, one), quotient)
    out = b.floor(quotient)
    out = b.select(b.compare("gt", b.sub(quotient, out), b.like(0.5, x)), b.add(out, one), out)
    out = b.select(is_zero(b, quotient), b.copysign(b.like(0, x), whole), out)
    return b.select(is_zero(b, y), whole, out)


def float_remainder(b: Any, x: Any, y: Any) -> Any:
    """x - y·⌊x / y⌋, exact, with the sign of y."""
    rest = b.fmod(x, y)
    out = b.select(_turned(b, rest, y), b.add(rest, y), rest)
    return b.select(is_zero(b, rest), b.copysign(b.like(0, x), y), out)


def floor_divide(b: Any, x: Any, y: Any) -> Any:
    """⌊x / y⌋."""
    return (float_floor_divide if is_float(x) else integer_floor_divide)(b, x, y)


def remainder(b: Any, x: Any, y: Any) -> Any:
    """x - y·⌊x / y⌋."""
    return (float_remainder if is_float(x) else integer_remainder)(b, x, y)


def fmod(b: Any, x: Any, y: Any) -> Any:
    """What the quotient towards zero leaves; 0 where integers are divided by 0."""
    if is_float(x):
        return b.fmod(x, y)
    _integral(x)
    zero, minus, safe = _guarded(b, y)
    return b.select(zero if minus is None else b.or_(zero, minus), b.like(0, x), b.remainder(x, safe))


# ── integers ──────────────────────────────────────────────────────────────────


def _integral(x: Any) -> None:
    if x.dtype.kind not in "iu":
        raise Unsupported(f"{x.dtype}, where this function is written for integers")


def _guarded(b: Any, y: Any) -> tuple[Any, Any, Any]:
    """Whether `y` is 0, whether it is -1 (whose quotients may overflow), and a divisor without either."""
    zero = is_zero(b, y)
    if y.dtype.kind == "u":
        return zero, None, b.select(zero, b.like(1, y), y)
    minus = b.compare("eq", y, b.like(-1, y))
    return zero, minus, b.select(b.or_(zero, minus), b.like(1, y), y)


def integer_floor_divide(b: Any, x: Any, y: Any) -> Any:
    """⌊x / y⌋, and 0 where y is."""
    _integral(x)
    zero, minus, safe = _guarded(b, y)
    out = b.quotient(x, safe)
    if minus is not None:
        down = _turned(b, b.remainder(x, safe), safe)
        out = b.select(minus, b.neg(x), b.select(down, b.sub(out, b.like(1, out)), out))
    return b.select(zero, b.like(0, out), out)


def integer_remainder(b: Any, x: Any, y: Any) -> Any:
    """x - y·⌊x / y⌋, and 0 where y is 0."""
    _integral(x)
    zero, minus, safe = _guarded(b, y)
    out = b.remainder(x, safe)
    if minus is not None:
        out = b.select(_turned(b, out, safe), b.add(out, safe), out)
        zero = b.or_(zero, minus)
    return b.select(zero, b.like(0, out), out)
