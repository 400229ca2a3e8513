"""Strong products and quotients become plain ones where that is no difference; selections that decide nothing go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.graph.program import Literal, Var
from wengert.ops.basis import scale, strong_mul
from wengert.ops.elementwise import div, mul, unscale
from wengert.ops.logic import logical_and, logical_not, logical_or
from wengert.ops.select import maximum, minimum, where
from wengert.passes.ranges import is_product, is_quotient, range_of
from wengert.passes.rewriter import Atom, Rewriter, aval, is_real
from wengert.passes.rules.table import rule

Ins = Sequence[Any]
Params = dict[str, Any]

# ── strong zeros ──────────────────────────────────────────────────────────────


def _strong_nothing(r: Rewriter, atom: Any, out: Var) -> Atom | None:
    """Zeros in the shape of `out`, if `atom` is zero everywhere."""
    value = r.uniform(atom)
    return r.full(0, out) if value is not None and value == 0 else None


@rule("strong zeros of constants", scale, unscale)
def _zero_scaled(r: Rewriter, ins: Ins, out: Var, params: Params) -> Atom | None:
    return _strong_nothing(r, ins[0], out) if is_real(out.dtype) else None


@rule("strong zeros of constants", strong_mul)
def _zero_product(r: Rewriter, ins: Ins, out: Var, params: Params) -> Atom | None:
    if not is_real(out.dtype):
        return None
    zero = _strong_nothing(r, ins[0], out)
    return _strong_nothing(r, ins[1], out) if zero is None else zero


@rule("scale → mul", scale)
def _plain_product(r: Rewriter, ins: Ins, out: Var, params: Params) -> Atom | None:
    return r.emit(mul, *ins) if is_real(out.dtype) and is_product(r, *ins) else None


@rule("strong_mul → scale", strong_mul)
def _half_strong(r: Rewriter, ins: Ins, out: Var, params: Params) -> Atom | None:
    """A finite operand's partner need not be strong, nor an operand that is never zero."""
    if not is_real(out.dtype):
        return None
    x, y = ins
    for a, b in ((x, y), (y, x)):
        known = range_of(r, a)
        if known.finite:
            return r.emit(scale, a, b)
        if known.nonzero:
            return r.emit(scale, b, a)
    return None


@rule("unscale → div", unscale)
def _plain_quotient(r: Rewriter, ins: Ins, out: Var, params: Params) -> Atom | None:
    return r.emit(div, *ins) if is_real(out.dtype) and is_quotient(r, *ins) else None


# ── selections ────────────────────────────────────────────────────────────────


@rule("where that decides nothing", where)
def _idle_selection(r: Rewriter, ins: Ins, out: Var, params: Params) -> Atom | None:
    c, x, y = ins
    if x is y:
        return x
    value = r.uniform(c)
    if value is not None:
        return x if value else y
    if (
        type(x) is Literal
        and type(y) is Literal
        and (a := r.uniform(x)) is not None
        and (b := r.uniform(y)) is not None
    ):
        same = a == b and type(a) is type(b) and (not isinstance(a, float) or np.signbit(a) == np.signbit(b))
        return x if same else None
    return None


@rule("where of a negated or repeated condition", where)
def _nested_selection(r: Rewriter, ins: Ins, out: Var, params: Params) -> Atom | None:
    c, x, y = ins
    if (row := r.producer(c, logical_not)) is not None and aval(row[1][0]).dtype.kind == "b":
        return r.emit(where, row[1][0], y, x)
    row = r.producer(x, where)
    if row is not None and row[1][0] is c and aval(row[1][1]).dtype == out.dtype:
        return r.emit(where, c, row[1][1], y)
    row = r.producer(y, where)
    if row is not None and row[1][0] is c and aval(row[1][2]).dtype == out.dtype:
        return r.emit(where, c, x, row[1][2])
    return None


@rule("maximum and minimum of x and x", maximum, minimum)
def _same_operands(r: Rewriter, ins: Ins, out: Var, params: Params) -> Atom | None:
    return ins[0] if ins[0] is ins[1] else None


@rule("logic of constants and of one operand twice", logical_and, logical_or)
def _idle_logic(r: Rewriter, ins: Ins, out: Var, params: Params) -> Atom | None:
    x, y = ins
    return x if x is y and aval(x).dtype.kind == "b" else None


@rule("¬¬x → x", logical_not)
def _double_not(r: Rewriter, ins: Ins, out: Var, params: Params) -> Atom | None:
    row = r.producer(ins[0], logical_not)
    return row[1][0] if row is not None and aval(row[1][0]).dtype.kind == "b" else None
