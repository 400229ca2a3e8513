"""Linear recurrences yᵢ = aᵢ yᵢ₋₁ + bᵢ along an axis, in exact serial order.

Rows that lie one behind the other advance together, eight at a time, since a single chain waits for each of its steps.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from wengert.core.aval import Aval
from wengert.lowering.emission import Emission, Emitter, Operand, Work
from wengert.lowering.library.strided import nest, offset
from wengert.lowering.text import I64, Builder, Value

TOGETHER = 8


class Recurrence(Emitter):
    def supports(self, ins: Sequence[Aval], outs: Sequence[Aval], params: dict[str, Any]) -> bool:
        return ins[0].dtype == ins[1].dtype == outs[0].dtype and outs[0].dtype.char in "fd"

    def emit(self, e: Emission, ins: Sequence[Operand], outs: Sequence[Operand], params: dict[str, Any]) -> Work:
        (out,), axis = outs, params["axis"]
        if not out.size:
            return Work(0)
        n, inner = out.shape[axis], math.prod(out.shape[axis + 1 :])
        outer = out.size // (n * inner)
        if inner == 1:
            _chains(e.b, ins[0], ins[1], out, outer, n, params.get("reverse", False))
        else:
            _rows(e.b, ins[0], ins[1], out, (outer, n, inner), params.get("reverse", False))
        return Work(2.0 * out.size, "rows" if inner > 1 else "chains")


def _next(b: Builder, a: Value, y: Value, x: Value) -> Value:
    """a · y + x, in which a zero y annihilates infinities."""
    zero = b.like(0, y)
    return b.add(b.select(b.compare("eq", y, zero), zero, b.mul(a, y)), x)


def _rows(b: Builder, a: Operand, x: Operand, out: Operand, shape: tuple[int, int, int], reverse: bool) -> None:
    outer, n, inner = shape
    dtype = out.dtype
    first, back = ((n - 1) * inner, inner) if reverse else (0, -inner)
    with nest(b, [outer]) as (i,):
        start = offset(b, [i], [n * inner], first)
        with b.loop(0, inner) as j:
            at = offset(b, [j], [1], start)
            b.store(b.load(b.at(x.pointer, at, dtype), dtype), b.at(out.pointer, at, dtype))
        if n == 1:
            return
        with b.loop(1, n) as k:
            row = offset(b, [k], [-back], start)
            with b.loop(0, inner) as j:
                at = offset(b, [j], [1], row)
                before = b.load(b.at(b.at(out.pointer, at, dtype), back, dtype), dtype)
                new = _next(b, _at(b, a, at), before, _at(b, x, at))
                b.store(new, b.at(out.pointer, at, dtype))


def _at(b: Builder, v: Operand, place: Value | int) -> Value:
    return b.load(b.at(v.pointer, place, v.dtype), v.dtype)


def _chains(b: Builder, a: Operand, x: Operand, out: Operand, outer: int, n: int, reverse: bool) -> None:
    whole = outer // TOGETHER * TOGETHER
    if whole:
        with b.loop(0, whole, TOGETHER) as i:
            _advance(b, a, x, out, i, TOGETHER, n, reverse)
    if outer > whole:
        _advance(b, a, x, out, b.const(whole, I64), outer - whole, n, reverse)


def _advance(b: Builder, a: Operand, x: Operand, out: Operand, row: Value, count: int, n: int, reverse: bool) -> None:
    """`count` rows from `row` on."""
    dtype, step = out.dtype, -1 if reverse else 1
    start = n - 1 if reverse else 0
    bases = [offset(b, [row], [n], r * n + start) for r in range(count)]
    ys = [_at(b, x, base) for base in bases]
    for y, base in zip(ys, bases, strict=True):
        b.store(y, b.at(out.pointer, base, dtype))
    if n == 1:
        return
    before, body, done = b.block, b.label("step"), b.label("done")
    b.branch(body)
    b.start(body)
    i, close = b.phi(I64, b.const(1, I64), before)
    carried = [b.phi(dtype, y, before) for y in ys]
    for (y, again), base in zip(carried, bases, strict=True):
        place = offset(b, [i], [step], base)
        new = _next(b, _at(b, a, place), y, _at(b, x, place))
        b.store(new, b.at(out.pointer, place, dtype))
        again(new, body)
    following = b.add(i, b.const(1, I64))
    close(following, b.block)
    b.branch_if(b.compare("lt", following, b.const(n, I64)), body, done)
    b.start(done)
