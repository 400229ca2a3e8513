"""Sums, products, quotients and powers of real numbers.

x + 0 stays: it is +0 where x is -0. x · 0 stays: it is NaN where x is infinite or NaN.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.core.op import Op
from wengert.graph.program import Literal, Var
from wengert.ops.basis import add, neg
from wengert.ops.elementwise import abs_, cos, cosh, div, fabs, mul, pow_, reciprocal, sqrt, square, sub
from wengert.ops.logic import equal
from wengert.ops.select import where
from wengert.passes.ranges import range_of
from wengert.passes.rewriter import Atom, Rewriter, is_real, is_scalar
from wengert.passes.rules.table import rule

Ins = Sequence[Any]
Params = dict[str, Any]
FACTORS = 4  # powers of up to so many factors become products, which round to 1.5 ulp at most


def _inside(r: Rewriter, atom: Any, op: Op) -> Any:
    """What `op` was applied to, if that is how `atom` came about."""
    row = r.producer(atom, op)
    return row[1][0] if row is not None else None


def _number(r: Rewriter, atom: Any) -> Any:
    """The one number that `atom` holds everywhere, booleans aside."""
    value = r.uniform(atom)
    return None if isinstance(value, (bool, np.bool_)) else value


def _is_constant(atom: Any) -> bool:
    return is_scalar(atom) and isinstance(atom.value, (float, np.floating))


# ── products ──────────────────────────────────────────────────────────────────


@rule("x · 1 → x, x · -1 → -x", mul)
def _unit_factor(r: Rewriter, ins: Ins, out: Var, params: Params) -> Atom | None:
    if out.dtype.kind not in "iuf":
        return None
    for x, y in (ins, ins[::-1]):
        if type(x) is Literal or x.dtype != out.dtype or (c := _number(r, y)) is None:
            continue
        if c == 1:
            return x
        if c == -1 and out.dtype.kind == "f":
            return r.emit(neg, x)
    return None


@rule("-x · -y → x · y, -x · c → x · -c", mul)
def _negative_factors(r: Rewriter, ins: Ins, out: Var, params: Params) -> Atom | None:
    if not is_real(out.dtype):
        return None
    for x, y in (ins, ins[::-1]):
        if (a := _inside(r, x, neg)) is not None:
            if (b := _inside(r, y, neg)) is not None:
                return r.emit(mul, a, b)
            if _is_constant(y):
                return r.emit(mul, a, Literal(-y.value))
    return None


@rule("-(-x) → x, -(x · c) → x · -c", neg)
def _double_negation(r: Rewriter, ins: Ins, out: Var, params: Params) -> Atom | None:
    row = r.made.get(ins[0])
    if row is None or not is_real(out.dtype):
        return None
    if row[0] is neg:
        return row[1][0]
    if row[0] is mul:
        for x, c in (row[1], row[1][::-1]):
            if type(x) is not Literal and x.dtype == out.dtype and _is_constant(c):
                return r.emit(mul, x, Literal(-c.value))
    return None


# ── sums ──────────────────────────────────────────────────────────────────────


@rule("x + -0 → x, x + -y → x - y", add)
def _sums(r: Rewriter, ins: Ins, out: Var, params: Params) -> Atom | None:
    kind = out.dtype.kind
    for x, y in (ins, ins[::-1]):
        if type(x) is Literal or x.dtype != out.dtype:
            continue
        if (c := _number(r, y)) is not None and c == 0 and (kind in "iu" or (kind == "f" and _is_negative(c))):
            return x
        if kind == "f" and (b := _inside(r, y, neg)) is not None:
            return r.emit(sub, x, b)
    return None


@rule("x - 0 → x, x - -y → x + y", sub)
def _differences(r: Rewriter, ins: Ins, out: Var, params: Params) -> Atom | None:
    x, y = ins
    kind = out.dtype.kind
    if type(x) is not Literal and x.dtype == out.dtype and (c := _number(r, y)) is not None and c == 0:
        if kind in "iu" or (kind == "f" and not _is_negative(c)):
            return x
    if kind == "f" and (b := _inside(r, y, neg)) is not None:
        return r.emit(add, x, b)
    return None


def _is_negative(c: Any) -> bool:
    return math.copysign(1.0, float(c)) < 0


# ── quotients ─────────────────────────────────────────────────────────────────


@rule("x / 1 → x, x / 2ⁿ → x · 2⁻ⁿ", div)
def _exact_divisor(r: Rewriter, ins: Ins, out: Var, params: Params) -> Atom | None:
    x, y = ins
    if not is_real(out.dtype) or type(x) is Literal or x.dtype != out.dtype or (c := _number(r, y)) is None:
        return None
    c = float(c)
    if c == 1:
        return x
    if c == -1:
        return r.emit(neg, x)
    if abs(math.frexp(c)[0]) == 0.5 and 1e-30 < abs(c) < 1e30:
        return r.emit(mul, x, Literal(1 / c))
    return None


@rule("1 / x → reciprocal of x", div)
def _inverse(r: Rewriter, ins: Ins, out: Var, params: Params) -> Atom | None:
    x, y = ins
    if is_real(out.dtype) and type(y) is not Literal and y.dtype == out.dtype and _number(r, x) == 1:
        return r.emit(reciprocal, y)
    return None


@rule("-x / -y → x / y", div)
def _negative_quotient(r: Rewriter, ins: Ins, out: Var, params: Params) -> Atom | None:
    if is_real(out.dtype) and (a := _inside(r, ins[0], neg)) is not None:
        if (b := _inside(r, ins[1], neg)) is not None:
            return r.emit(div, a, b)
    return None


# ── even functions ────────────────────────────────────────────────────────────


def _even(op: Op, *inner: Op) -> None:
    @rule(f"{op.name} of -x → of x", op)
    def _of_negative(r: Rewriter, ins: Ins, out: Var, params: Params) -> Atom | None:
        if not is_real(out.dtype):
            return None
        row = r.made.get(ins[0])
        return r.emit(op, row[1][0]) if row is not None and row[0] in inner else None


for _op in (square, abs_, fabs, cos, cosh):
    _even(_op, neg, abs_, fabs)


@rule("|x²| → x²", abs_, fabs)
def _already_positive(r: Rewriter, ins: Ins, out: Var, params: Params) -> Atom | None:
    return ins[0] if is_real(out.dtype) and r.producer(ins[0], square) is not None else None


@rule("x · x → x²", mul)
def _square(r: Rewriter, ins: Ins, out: Var, params: Params) -> Atom | None:
    x, y = ins
    return (
        r.emit(square, x) if x is y and type(x) is not Literal and is_real(out.dtype) and x.dtype == out.dtype else None
    )


# ── powers ────────────────────────────────────────────────────────────────────


@rule("x ** c → products and roots", pow_)
def _powers(r: Rewriter, ins: Ins, out: Var, params: Params) -> Atom | None:
    x, y = ins
    if not is_real(out.dtype) or type(x) is Literal or x.dtype != out.dtype or (c := _number(r, y)) is None:
        return None
    if c == 0:
        return r.full(1, out)
    if c == 0.5 and is_scalar(y):
        return r.emit(sqrt, x)  # as NumPy does, though C's pow differs at -0 and -∞
    return _half_power(r, x, c) if c in (0.5, 1.5, -0.5, -1.5) else _whole_power(r, x, c)


def _whole_power(r: Rewriter, x: Any, c: Any) -> Atom | None:
    """x ** c by products. The inverse comes first, since that of a square that overflows is 0."""
    if c == 1:
        return x
    if c == -1 or c == -2:
        inverse = r.emit(reciprocal, x)
        return inverse if c == -1 else r.emit(square, inverse)
    if c not in (2, 3, FACTORS):
        return None
    two = r.emit(square, x)
    return two if c == 2 else r.emit(mul, two, x) if c == 3 else r.emit(square, two)


def _half_power(r: Rewriter, x: Any, c: Any) -> Atom:
    """x ** c for odd halves c by a square root, which differs from a power at -0 and -∞ alone."""
    plain = r.emit(add, x, Literal(0.0))  # -0 ** ½ is +0
    value = r.emit(sqrt, plain)
    if c < 0:
        value = r.emit(reciprocal, value)
    if abs(c) > 1:
        value = r.emit(mul if c > 0 else div, value, plain)
    if range_of(r, x).low > -math.inf:
        return value
    limit = 0.0 if c < 0 else math.inf
    return r.emit(where, r.emit(equal, x, Literal(-math.inf)), Literal(limit), value)
