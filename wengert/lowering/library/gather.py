"""Indexing with integer arrays, its adjoint, and assignment.

Rows behind the index arrays move as blocks. Sums into elements that are named twice are made in the arrays' order,
one after the other, so that results do not depend on anything else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.core.aval import Aval
from wengert.lowering.emission import Emission, Emitter, Operand, Work, row_major
from wengert.lowering.library.selection import Selection, Walk, selection
from wengert.lowering.library.strided import copy_into, memory_clear, memory_move, moved, nest, offset
from wengert.lowering.library.vector import Vectors, lanes, pieces
from wengert.lowering.text import NATIVE, Value

BLOCK = 512  # single elements are gathered in blocks of this length, into memory that nothing else can overlap


class Indexing(Emitter):
    """Ops with a `spec` and index arrays as their last operands."""

    arrays_from = 1

    def whole(self, ins: Sequence[Aval], outs: Sequence[Aval]) -> Aval:
        """The array that is indexed."""
        raise NotImplementedError

    def part(self, ins: Sequence[Aval], outs: Sequence[Aval]) -> Aval:
        """What stands beside it in the selection's shape, or broadcasts to it."""
        raise NotImplementedError

    def supports(self, ins: Sequence[Aval], outs: Sequence[Aval], params: dict[str, Any]) -> bool:
        arrays = ins[self.arrays_from :]
        whole, part = self.whole(ins, outs), self.part(ins, outs)
        if not arrays or any(a.dtype.kind not in "iu" or a.dtype.char not in NATIVE for a in arrays):
            return False
        if whole.dtype.char not in NATIVE or part.dtype.char not in NATIVE:
            return False
        spec = params["spec"]
        entries = spec if isinstance(spec, tuple) else (spec,)
        if any(not (s is None or isinstance(s, slice) or type(s).__name__ == "_Array") for s in entries):
            return False
        got = selection(spec, whole.shape, row_major(whole.shape), [a.shape for a in arrays])
        if not all(got.result) or not all(whole.shape):  # NumPy's own rules on checking indices into nothing
            return False
        return part.ndim <= len(got.result) and np.broadcast_shapes(part.shape, got.result) == got.result

    def takes(self, i: int, strides: tuple[int, ...], ins: Sequence[Aval], params: dict[str, Any]) -> bool:
        return True

    def select(self, whole: Operand, ins: Sequence[Operand], params: dict[str, Any]) -> Selection:
        shapes = [a.shape for a in ins[self.arrays_from :]]
        return selection(params["spec"], whole.shape, whole.strides, shapes)


class Index(Indexing):
    def whole(self, ins: Sequence[Aval], outs: Sequence[Aval]) -> Aval:
        return ins[0]

    def part(self, ins: Sequence[Aval], outs: Sequence[Aval]) -> Aval:
        return outs[0]

    def emit(self, e: Emission, ins: Sequence[Operand], outs: Sequence[Operand], params: dict[str, Any]) -> Work:
        (x, *arrays), (out,) = ins, outs
        w = Walk(e, self.select(x, ins, params), x.pointer, x.dtype, out, arrays)
        with w.slices() as (source, to):
            if w.inner[0]:
                _rows(w, source, to)
            else:
                _elements(w, source, to)
        w.refuse()
        return Work(0, "rows" if w.inner[0] else "elements")


def _rows(w: Walk, source: Value, to: Value) -> None:
    b, dtype = w.e.b, w.dtype
    sizes, (steps, beside) = w.inner
    run = sizes[-1] if steps[-1] == beside[-1] == 1 else 1
    with nest(b, w.middle[0]) as at:
        row = w.place(at, source)
        target = moved(b, to, offset(b, at, w.middle[1][0]), dtype)
        if run > 1:
            with nest(b, sizes[:-1]) as j:
                u = moved(b, row, offset(b, j, steps[:-1]), dtype)
                v = moved(b, target, offset(b, j, beside[:-1]), dtype)
                memory_move(b, v, u, run * dtype.itemsize)
        else:
            copy_into(b, target, beside, row, steps, sizes, dtype)


def _elements(w: Walk, source: Value, to: Value) -> None:
    b, dtype = w.e.b, w.dtype
    sizes, (beside, *_) = w.middle
    n = sizes[-1] if sizes else 1
    with nest(b, sizes[:-1]) as at:
        target = moved(b, to, offset(b, at, beside[:-1]), dtype)
        if n < 64:
            with nest(b, [n]) as j:
                value = b.load(w.place([*at, *j][: len(sizes)], source), dtype)
                b.store(value, moved(b, target, offset(b, j[: len(sizes)], beside[-1:]), dtype))
            return
        buffer = b.allocate(dtype, BLOCK)

        def block(first: Value | int, count: int) -> None:
            with b.loop(0, count) as j:
                i = j if isinstance(first, int) and first == 0 else b.add(j, _value(w, first))
                b.store(b.load(w.place([*at, i], source), dtype), b.at(buffer, j, dtype))
            memory_move(b, moved(b, target, first, dtype), buffer, count * dtype.itemsize)

        whole = n // BLOCK * BLOCK
        if whole:
            with b.loop(0, whole, BLOCK) as first:
                block(first, BLOCK)
        if n > whole:
            block(whole, n - whole)


def _value(w: Walk, x: Value | int) -> Value:
    return x if isinstance(x, Value) else w.e.b.const(x, np.int64)


class ScatterAdd(Indexing):
    def whole(self, ins: Sequence[Aval], outs: Sequence[Aval]) -> Aval:
        return outs[0]

    def part(self, ins: Sequence[Aval], outs: Sequence[Aval]) -> Aval:
        return ins[0]

    def supports(self, ins: Sequence[Aval], outs: Sequence[Aval], params: dict[str, Any]) -> bool:
        return ins[0].dtype == outs[0].dtype and super().supports(ins, outs, params)

    def emit(self, e: Emission, ins: Sequence[Operand], outs: Sequence[Operand], params: dict[str, Any]) -> Work:
        (y, *arrays), (out,) = ins, outs
        memory_clear(e.b, out.pointer, out.size * out.dtype.itemsize)
        w = Walk(e, self.select(out, ins, params), out.pointer, out.dtype, y, arrays)
        _written(w, added=not params.get("unique", False))
        w.refuse()
        return Work(float(np.prod(w.of.result)), "rows" if w.inner[0] else "elements")


class IndexPut(Indexing):
    arrays_from = 2

    def whole(self, ins: Sequence[Aval], outs: Sequence[Aval]) -> Aval:
        return outs[0]

    def part(self, ins: Sequence[Aval], outs: Sequence[Aval]) -> Aval:
        return ins[1]

    def supports(self, ins: Sequence[Aval], outs: Sequence[Aval], params: dict[str, Any]) -> bool:
        same = ins[0].dtype == outs[0].dtype and (ins[1].dtype == outs[0].dtype or ins[1].weak)
        return same and super().supports(ins, outs, params)

    def emit(self, e: Emission, ins: Sequence[Operand], outs: Sequence[Operand], params: dict[str, Any]) -> Work:
        (x, y, *arrays), (out,) = ins, outs
        if x.strides == out.strides:
            memory_move(e.b, out.pointer, x.pointer, out.size * out.dtype.itemsize)
        else:
            copy_into(e.b, out.pointer, out.strides, x.pointer, x.strides, x.shape, x.dtype)
        w = Walk(e, self.select(out, ins, params), out.pointer, out.dtype, y, arrays)
        _written(w, added=False)
        w.refuse()
        return Work(0, "rows" if w.inner[0] else "elements")


def _written(w: Walk, added: bool) -> None:
    """The values go to the places that the arrays name, or are added there, in order."""
    b, dtype, own = w.e.b, w.dtype, w.values.dtype
    sizes, (steps, beside) = w.inner
    dense = bool(sizes) and steps[-1] == 1 and beside[-1] in (0, 1) and dtype == own and dtype.kind == "f"
    with w.slices() as (to, source), nest(b, w.middle[0]) as at:
        row = w.place(at, to)
        values = moved(b, source, offset(b, at, w.middle[1][0]), own)
        with nest(b, sizes[:-1] if dense else sizes) as j:
            target = moved(b, row, offset(b, j, steps[: len(j)]), dtype)
            value = moved(b, values, offset(b, j, beside[: len(j)]), own)
            if dense:
                _row(w, target, value, sizes[-1], beside[-1] == 0, added)
            else:
                new = b.cast(b.load(value, own), dtype)
                b.store(b.add(b.load(target, dtype), new) if added else new, target)


def _row(w: Walk, target: Value, value: Value, n: int, same: bool, added: bool) -> None:
    """A row in vectors: no promise that the arrays lie apart is needed."""
    b, dtype = w.e.b, w.dtype
    v = Vectors(b, dtype)
    one = b.load(value, dtype) if same else None
    panel = 4 * lanes(dtype)

    def part(first: Value | int, count: int) -> None:
        to, source = moved(b, target, first, dtype), moved(b, value, first, dtype)
        for at, used, width in pieces(count, dtype):
            place = moved(b, to, at, dtype)
            new = v.splat(one, width) if one else v.load(moved(b, source, at, dtype), used, width)
            if added:
                new = v.binary("fadd", v.load(place, used, width), new, width)
            v.store(new, place, used, width)

    whole = n // panel * panel
    if whole == panel:
        part(0, panel)
    elif whole:
        with b.loop(0, whole, panel) as first:
            part(first, panel)
    if n > whole:
        part(whole, n - whole)
