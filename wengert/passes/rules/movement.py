"""Movement: reshapes, transposes and broadcasts that cancel, merge, or come after arithmetic instead of before it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from wengert.core.op import Op
from wengert.graph.program import Literal, Var
from wengert.ops.barrier import barrier
from wengert.ops.basis import broadcast_to, reshape, transpose
from wengert.ops.name import name
from wengert.passes.rewriter import Atom, Rewriter, elementwise, shape, strong
from wengert.passes.rules.table import rule, rule_of

Ins = Sequence[Any]
Params = dict[str, Any]
Shape = tuple[int, ...]


def padded(inner: Shape, ndim: int) -> Shape:
    """`inner` with axes of length one in front, up to `ndim`."""
    return (1,) * (ndim - len(inner)) + inner


def solid(of: Shape) -> Shape:
    """The axes that are not of length one."""
    return tuple(d for d in of if d != 1)


# ── one movement after another ────────────────────────────────────────────────


@rule("movements that move nothing", reshape, transpose, broadcast_to)
def _idle(r: Rewriter, ins: Ins, out: Var, params: Params) -> Atom | None:
    (x,) = ins
    if type(x) is Literal or x.weak or x.shape != out.shape:
        return None
    axes = params.get("axes")
    return x if axes is None or axes == tuple(range(len(axes))) else None


@rule("names taken off", name)
def _named(r: Rewriter, ins: Ins, out: Var, params: Params) -> Atom | None:
    return ins[0] if type(ins[0]) is not Literal and ins[0].weak == out.weak else None


@rule("barriers before constants taken off", barrier)
def _constant_barrier(r: Rewriter, ins: Ins, out: Var, params: Params) -> Atom | None:
    return strong(ins[0], out.dtype) if type(ins[0]) is Literal and shape(ins[0]) == out.shape else None


@rule("chains of movements merged", reshape)
def _reshaped_twice(r: Rewriter, ins: Ins, out: Var, params: Params) -> Atom | None:
    row = r.producer(ins[0], reshape)
    return r.reshaped(row[1][0], out.shape) if row is not None and not is_weak(row[1][0]) else None


@rule("chains of movements merged", broadcast_to)
def _broadcast_twice(r: Rewriter, ins: Ins, out: Var, params: Params) -> Atom | None:
    row = r.producer(ins[0], broadcast_to)
    return r.emit(broadcast_to, strong(row[1][0], out.dtype), shape=out.shape) if row is not None else None


@rule("chains of movements merged", transpose)
def _transposed_twice(r: Rewriter, ins: Ins, out: Var, params: Params) -> Atom | None:
    row = r.producer(ins[0], transpose)
    if row is None:
        return None
    inner = row[3]["axes"]
    return r.emit(transpose, row[1][0], axes=tuple(inner[a] for a in params["axes"]))


@rule("transposes of axes of length one → reshapes", transpose)
def _transposed_ones(r: Rewriter, ins: Ins, out: Var, params: Params) -> Atom | None:
    (x,) = ins
    of = shape(x)
    order = [a for a in params["axes"] if of[a] != 1]
    return r.reshaped(x, out.shape) if order == sorted(order) and type(x) is not Literal else None


# ── broadcasts move outwards ──────────────────────────────────────────────────


@rule("broadcasts moved outwards", reshape)
def _reshaped_broadcast(r: Rewriter, ins: Ins, out: Var, params: Params) -> Atom | None:
    row = r.producer(ins[0], broadcast_to)
    if row is None:
        return None
    core = strong(row[1][0], out.dtype)
    wide, inner = ins[0].shape, shape(core)
    if math.prod(inner) == 1:
        return r.emit(broadcast_to, r.reshaped(core, ()), shape=out.shape)
    if solid(wide) != solid(out.shape):
        return None
    left = iter([c for c, d in zip(padded(inner, len(wide)), wide, strict=True) if d != 1])
    return r.emit(
        broadcast_to, r.reshaped(core, tuple(1 if d == 1 else next(left) for d in out.shape)), shape=out.shape
    )


@rule("broadcasts moved outwards", transpose)
def _transposed_broadcast(r: Rewriter, ins: Ins, out: Var, params: Params) -> Atom | None:
    row = r.producer(ins[0], broadcast_to)
    if row is None:
        return None
    core = strong(row[1][0], out.dtype)
    inner = padded(shape(core), len(out.shape))
    if math.prod(inner) == 1:
        return r.emit(broadcast_to, r.reshaped(core, ()), shape=out.shape)
    return r.emit(broadcast_to, r.emit(transpose, r.reshaped(core, inner), axes=params["axes"]), shape=out.shape)


@rule_of("broadcasts moved outwards", elementwise)
def _arithmetic_of_broadcasts(op: Op, r: Rewriter, ins: Ins, out: Var, params: Params) -> Atom | None:
    """An elementwise op of broadcasts is computed once per element that there is, and needs none beside a full operand."""
    cores, found = [], False
    for a in ins:
        row = r.made.get(a)
        if row is not None and row[0] is broadcast_to:
            found = True
            a = strong(row[1][0], a.dtype)
        cores.append(a)
    if not found or 0 in out.shape:
        return None
    return r.emit(op, *cores, **params)


def is_weak(atom: Any) -> bool:
    return not hasattr(atom.value, "dtype") if type(atom) is Literal else atom.weak
