"""Reductions: over axes that hold one element, of what was broadcast or moved before, and of other reductions.

Sums may be put together in another order, as everywhere in compiled programs.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from wengert.core.op import Op
from wengert.graph.program import Literal, Var
from wengert.ops.basis import broadcast_to, reduce_sum, reshape, transpose
from wengert.ops.elementwise import mul
from wengert.ops.reduce import (
    reduce_all,
    reduce_any,
    reduce_fmax,
    reduce_fmin,
    reduce_max,
    reduce_mean,
    reduce_min,
    reduce_prod,
)
from wengert.passes.rewriter import Atom, Rewriter, aval, is_real, is_scalar, shape, strong
from wengert.passes.rules.movement import is_weak, padded
from wengert.passes.rules.table import rule, rule_of

Ins = Sequence[Any]
Params = dict[str, Any]

EXTREMA = frozenset({reduce_max, reduce_min, reduce_fmax, reduce_fmin, reduce_any, reduce_all})  # repeats do not matter
MERGING = EXTREMA | {reduce_sum, reduce_prod}  # two after each other are one
REDUCTIONS = MERGING | {reduce_mean}


@rule_of("reductions of single elements", REDUCTIONS.__contains__)
def _of_ones(op: Op, r: Rewriter, ins: Ins, out: Var, params: Params) -> Atom | None:
    (x,) = ins
    if type(x) is Literal or x.dtype != out.dtype or any(x.shape[a] != 1 for a in params["axes"]):
        return None
    return r.reshaped(x, out.shape)


@rule_of("reductions of broadcasts", (EXTREMA | {reduce_sum, reduce_mean}).__contains__)
def _of_broadcast(op: Op, r: Rewriter, ins: Ins, out: Var, params: Params) -> Atom | None:
    """Along axes that a broadcast has made, a sum is a product with their length."""
    row = r.producer(ins[0], broadcast_to)
    wide = shape(ins[0])
    if row is None or ins[0].dtype != out.dtype or 0 in wide or out.dtype.kind not in "biuf":
        return None
    axes = params["axes"]
    core = strong(row[1][0], out.dtype)
    inner = padded(shape(core), len(wide))
    made = [a for a in axes if inner[a] == 1 and wide[a] != 1]
    if not made:
        return None
    narrow = tuple(1 if a in made else d for a, d in enumerate(wide))
    kept = r.emit(broadcast_to, r.reshaped(core, inner), shape=narrow) if inner != narrow else r.reshaped(core, inner)
    total = r.emit(op, kept, axes=axes)
    count = math.prod(wide[a] for a in made)
    return r.emit(mul, total, Literal(float(count) if out.dtype.kind == "f" else count)) if op is reduce_sum else total


@rule_of("reductions of reductions", MERGING.__contains__)
def _of_reduction(op: Op, r: Rewriter, ins: Ins, out: Var, params: Params) -> Atom | None:
    row = r.producer(ins[0], op)
    if row is None or aval(row[1][0]).dtype != out.dtype or r.is_shared(ins[0]):
        return None
    x, inner = row[1][0], row[3]["axes"]
    rest = [a for a in range(len(shape(x))) if a not in inner]
    return r.emit(op, x, axes=tuple(sorted((*inner, *(rest[a] for a in params["axes"])))))


@rule_of("reductions of transposes", REDUCTIONS.__contains__)
def _of_transpose(op: Op, r: Rewriter, ins: Ins, out: Var, params: Params) -> Atom | None:
    row = r.producer(ins[0], transpose)
    if row is None:
        return None
    order, axes = row[3]["axes"], params["axes"]
    total = r.emit(op, row[1][0], axes=tuple(sorted(order[a] for a in axes)))
    left = [order[a] for a in range(len(order)) if a not in axes]
    if left == sorted(left):
        return total
    ranked = sorted(left)
    return r.emit(transpose, total, axes=tuple(ranked.index(a) for a in left))


@rule_of("reductions of reshapes", REDUCTIONS.__contains__)
def _of_reshape(op: Op, r: Rewriter, ins: Ins, out: Var, params: Params) -> Atom | None:
    """Where the reshape only adds or drops axes of length one, or all elements are reduced."""
    row = r.producer(ins[0], reshape)
    if row is None or is_weak(row[1][0]):
        return None
    x, seen, axes = row[1][0], shape(ins[0]), params["axes"]
    of = shape(x)
    if all(d == 1 or a in axes for a, d in enumerate(seen)):
        return r.reshaped(r.emit(op, x, axes=tuple(range(len(of)))), out.shape)
    there, here = [a for a, d in enumerate(of) if d != 1], [a for a, d in enumerate(seen) if d != 1]
    if [of[a] for a in there] != [seen[a] for a in here]:
        return None
    reduced = tuple(a for a, b in zip(there, here, strict=True) if b in axes)
    return r.reshaped(r.emit(op, x, axes=reduced), out.shape) if reduced else None


@rule("Σ x · c → c · Σ x", reduce_sum)
def _of_multiple(r: Rewriter, ins: Ins, out: Var, params: Params) -> Atom | None:
    """For a positive constant of moderate size; others could change zeros' signs or meet the ends of the range."""
    row = r.producer(ins[0], mul)
    if row is None or not is_real(out.dtype) or not params["axes"] or r.is_shared(ins[0]):
        return None
    for x, c in (row[1], row[1][::-1]):
        if is_scalar(c) and type(x) is not Literal and x.shape == ins[0].shape and x.dtype == out.dtype:
            if 1e-6 < c.value < 1e6:
                return r.emit(mul, r.emit(reduce_sum, x, axes=params["axes"]), c)
    return None
