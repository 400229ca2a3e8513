"""Running sums, products and extrema along one axis, in exact serial order.

Along an inner axis several rows advance together, since one row alone waits for each addition;
along an outer axis whole rows are combined with the row before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from wengert.core.aval import Aval
from wengert.lowering.emission import Emission, Emitter, Operand, Work
from wengert.lowering.text import I64, Builder, Value

TOGETHER = 8  # rows


class RunningReduction(Emitter):
    """`kind` add, mul, max or min; parameters `axis` and, where there is one, `reverse`."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def supports(self, ins: Sequence[Aval], outs: Sequence[Aval], params: dict[str, Any]) -> bool:
        return ins[0].ndim > 0 and ins[0].shape == outs[0].shape and set(params) <= {"axis", "reverse"}

    def emit(self, e: Emission, ins: Sequence[Operand], outs: Sequence[Operand], params: dict[str, Any]) -> Work:
        (x,), (out,) = ins, outs
        axis = params["axis"] % len(x.shape)
        n, inner = x.shape[axis], math.prod(x.shape[axis + 1 :])
        outer = math.prod(x.shape[:axis])
        if x.size == 0:
            return Work(0.0)
        backwards = bool(params.get("reverse", False))
        if inner == 1:
            self._rows(e.b, x, out, outer, n, backwards)
        else:
            self._columns(e.b, x, out, outer, n, inner, backwards)
        return Work(float(x.size), "scan")

    def _step(self, b: Builder, total: Value, x: Value) -> Value:
        if self.kind in ("add", "mul"):
            return b.add(total, x) if self.kind == "add" else b.mul(total, x)
        return b.maximum(total, x) if self.kind == "max" else b.minimum(total, x)

    def _rows(self, b: Builder, x: Operand, out: Operand, outer: int, n: int, backwards: bool) -> None:
        whole = outer // TOGETHER * TOGETHER
        if whole:
            with b.loop(0, whole, TOGETHER) as row:
                self._advance(b, x, out, row, TOGETHER, n, backwards)
        if outer > whole:
            self._advance(b, x, out, b.const(whole, I64), outer - whole, n, backwards)

    def _advance(self, b: Builder, x: Operand, out: Operand, row: Value, count: int, n: int, backwards: bool) -> None:
        totals = [b.allocate(out.dtype) for _ in range(count)]
        starts = [b.mul(b.add(row, b.const(r, I64)), b.const(n, I64)) for r in range(count)]
        begin = n - 1 if backwards else 0
        for start, total in zip(starts, totals, strict=True):
            at = b.add(start, b.const(begin, I64))
            first = b.cast(b.load(b.at(x.pointer, at, x.dtype), x.dtype), out.dtype)
            b.store(first, total)
            b.store(first, b.at(out.pointer, at, out.dtype))
        if n == 1:
            return
        with b.loop(1, n) as i:
            place = b.sub(b.const(n - 1, I64), i) if backwards else i
            for start, total in zip(starts, totals, strict=True):
                at = b.add(start, place)
                value = b.cast(b.load(b.at(x.pointer, at, x.dtype), x.dtype), out.dtype)
                found = self._step(b, b.load(total, out.dtype), value)
                b.store(found, total)
                b.store(found, b.at(out.pointer, at, out.dtype))

    def _columns(self, b: Builder, x: Operand, out: Operand, outer: int, n: int, inner: int, backwards: bool) -> None:
        size, step = n * inner, -inner if backwards else inner
        with b.loop(0, outer) as block:
            base = b.mul(block, b.const(size, I64))
            first = b.add(base, b.const((n - 1) * inner if backwards else 0, I64))
            with b.loop(0, inner) as j:
                at = b.add(first, j)
                value = b.cast(b.load(b.at(x.pointer, at, x.dtype), x.dtype), out.dtype)
                b.store(value, b.at(out.pointer, at, out.dtype))
            with b.loop(1, n) as i:
                row = b.add(first, b.mul(i, b.const(step, I64)))
                before = b.sub(row, b.const(step, I64))
                with b.loop(0, inner) as j:
                    value = b.cast(b.load(b.at(x.pointer, b.add(row, j), x.dtype), x.dtype), out.dtype)
                    old = b.load(b.at(out.pointer, b.add(before, j), out.dtype), out.dtype)
                    b.store(self._step(b, old, value), b.at(out.pointer, b.add(row, j), out.dtype))


SCANS: dict[str, Emitter] = {f"scan_{kind}": RunningReduction(kind) for kind in ("add", "mul", "max", "min")}
