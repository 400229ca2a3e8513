"""Casts: those that do nothing, chains of them, and narrowing ones moved to where their operands come from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.graph.program import Literal, Var
from wengert.ops.basis import add, broadcast_to, cast, conj, neg, real, reshape, transpose
from wengert.ops.dtype import truncate
from wengert.ops.elementwise import abs_, fabs, mul, positive, sqrt, sub
from wengert.ops.select import maximum, minimum
from wengert.ops.shape import contiguous
from wengert.passes.rewriter import Atom, Rewriter, aval
from wengert.passes.rules.table import rule

Ins = Sequence[Any]
Params = dict[str, Any]

DOUBLE, SINGLE = np.dtype(np.float64), np.dtype(np.float32)
# A result of these in double precision, of single operands, rounds to what single precision gives at once: for sums and
# roots since 53 ≥ 2 · 24 + 2 (Figueroa 1995), while products are exact, and the others do not round.
INNOCUOUS = frozenset({add, sub, mul, sqrt, neg, abs_, fabs, maximum, minimum})


@rule(
    "casts to the same dtype, and what changes complex numbers alone", cast, truncate, real, conj, positive, contiguous
)
def _idle(r: Rewriter, ins: Ins, out: Var, params: Params) -> Atom | None:
    (x,) = ins
    return x if type(x) is not Literal and x.dtype == out.dtype and not x.weak and x.dtype.kind in "biuf" else None


@rule("chains of casts", cast, truncate)
def _chain(r: Rewriter, ins: Ins, out: Var, params: Params) -> Atom | None:
    """The first of two casts does nothing if every number of its operand's dtype is one of its result's."""
    row = r.producer(ins[0], cast) or r.producer(ins[0], truncate)
    if row is None:
        return None
    x = row[1][0]
    before, between = aval(x), ins[0].dtype
    if before.weak or not _holds(between, before.dtype):
        return None
    if before.dtype == out.dtype:
        return x
    return r.emit(cast if out.dtype.kind in "fc" else truncate, x, dtype=out.dtype)


def _holds(wide: np.dtype, narrow: np.dtype) -> bool:
    """Whether every number of `narrow` is one of `wide`, exactly."""
    if narrow.kind not in "biuf" or wide.kind not in "iuf" or not np.can_cast(narrow, wide, "safe"):
        return False
    return not (narrow.kind in "iu" and wide.kind == "f") or 8 * narrow.itemsize <= np.finfo(wide).nmant


@rule("narrowing casts moved before movements", cast)
def _of_movement(r: Rewriter, ins: Ins, out: Var, params: Params) -> Atom | None:
    row = r.made.get(ins[0])
    if row is None or row[0] not in (reshape, transpose, broadcast_to) or r.is_shared(ins[0]):
        return None
    x = row[1][0]
    if (
        type(x) is Literal
        or x.weak
        or x.dtype.kind != "f"
        or out.dtype.itemsize >= x.dtype.itemsize
        or out.dtype.kind != "f"
    ):
        return None
    return r.emit(row[0], r.emit(cast, x, dtype=out.dtype), **row[3])


@rule("double precision between single operands and a single result → single", cast)
def _of_arithmetic(r: Rewriter, ins: Ins, out: Var, params: Params) -> Atom | None:
    row = r.made.get(ins[0])
    if row is None or out.dtype != SINGLE or ins[0].dtype != DOUBLE or row[0] not in INNOCUOUS or r.is_shared(ins[0]):
        return None
    narrow = [a for a in (_in_single(r, atom) for atom in row[1]) if a is not None]
    return r.emit(row[0], *narrow) if len(narrow) == len(row[1]) else None


def _in_single(r: Rewriter, atom: Any) -> Atom | None:
    """What `atom` is a cast of, or a literal that single precision holds exactly."""
    if type(atom) is Literal:
        value = atom.value
        if isinstance(value, (float, np.float64)):
            with np.errstate(over="ignore"):
                return Literal(np.float32(value)) if np.float32(value) == value else None
        return None
    row = r.producer(atom, cast)
    return row[1][0] if row is not None and aval(row[1][0]).dtype == SINGLE else None
