"""The stack on which a loop of unknown length keeps what its way back needs: one record a trip.

It begins in the kernel's own frame, and moves to the heap when it has outgrown that; its size doubles.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from wengert.core.aval import Aval
from wengert.core.form import Unsupported
from wengert.lowering.straight.cells import LARGEST, Cells, Held, cells, object_array
from wengert.lowering.straight.indexing import settled
from wengert.lowering.straight.writer import Writer
from wengert.lowering.text import I8, I64, Value

OWN = 4096  # bytes in the frame, unless one record is larger


class Stack:
    """Records of values of these avals. `push` and `pop` are written within loops; `begin` and `end` around them."""

    def __init__(self, w: Writer, avals: Sequence[Aval]) -> None:
        self.w, self.b, self.avals = w, w.b, avals
        if any(a.size > LARGEST for a in avals):
            raise Unsupported("a large residual of a small loop")
        self.offsets, size = {}, 0
        for i in sorted(range(len(avals)), key=lambda i: -avals[i].dtype.itemsize):
            self.offsets[i] = size
            size += avals[i].size * avals[i].dtype.itemsize
        self.size = -(-size // 8) * 8
        self.capacity = max(OWN // max(self.size, 1), 1) * self.size
        self.own = self.b.allocate(I8, max(self.capacity, 1))
        self.base, self.top, self.limit = (self.b.allocate(None) for _ in range(3))
        self.trips = self.b.allocate(I64)

    def begin(self) -> None:
        b = self.b
        b.store(self.own, self.base)
        b.store(self.own, self.top)
        b.store(self._moved(self.own, self.capacity), self.limit)
        b.store(b.const(0, I64), self.trips)
        self.w.leaving.append(self._release)

    def end(self) -> None:
        self.w.leaving.remove(self._release)
        self._release()

    def _moved(self, pointer: Value, nbytes: int | Value) -> Value:
        return self.b.emit(f"getelementptr i8, ptr {pointer.ref}, i64 {getattr(nbytes, 'ref', nbytes)}", None)

    def _same(self, x: Value, y: Value) -> Value:
        return self.b.emit(f"icmp eq ptr {x.ref}, {y.ref}", np.dtype(bool))

    def _release(self) -> None:
        b = self.b
        base = b.load(self.base, None)
        b.module.declare("stack_free", "declare void @stack_free(ptr)", external=True)
        with b.when(b.not_(self._same(base, self.own))):
            b.effect(f"call void @stack_free(ptr {base.ref})")

    def push(self, values: Sequence[Held]) -> None:
        """One trip's residuals."""
        b = self.b
        if not self.size:
            b.store(b.add(b.load(self.trips, I64), b.const(1, I64)), self.trips)
            return
        full = self._same(b.load(self.top, None), b.load(self.limit, None))
        with self.w.rarely(full):
            self._grow()
        top = b.load(self.top, None)
        for i, x in enumerate(values):
            aval = self.avals[i]
            start = self._moved(top, self.offsets[i])
            for k, v in enumerate(cells(b, settled(self.w, x), aval.dtype).ravel()):
                b.store(v, b.at(start, k, aval.dtype))
        b.store(self._moved(top, self.size), self.top)

    def _grow(self) -> None:
        b, module = self.b, self.b.module
        module.declare("stack_malloc", "declare noalias ptr @stack_malloc(i64)", external=True)
        module.declare("stack_realloc", "declare noalias ptr @stack_realloc(ptr, i64)", external=True)
        module.declare("llvm.memcpy.p0.p0.i64", "declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)")
        base, top = b.load(self.base, None), b.load(self.top, None)
        ends = [b.emit(f"ptrtoint ptr {p.ref} to i64", I64) for p in (top, base)]
        used = b.sub(*ends)
        wanted = b.shl(used, b.const(1, I64))
        first, again, done = b.label("first"), b.label("again"), b.label("grown")
        b.branch_if(self._same(base, self.own), first, again)
        b.start(first)
        wide = b.shl(used, b.const(4, I64))
        made = b.emit(f"call ptr @stack_malloc(i64 {wide.ref})", None)
        self._unless(made)
        b.effect(f"call void @llvm.memcpy.p0.p0.i64(ptr {made.ref}, ptr {base.ref}, i64 {used.ref}, i1 false)")
        first = b.block
        b.branch(done)
        b.start(again)
        moved = b.emit(f"call ptr @stack_realloc(ptr {base.ref}, i64 {wanted.ref})", None)
        self._unless(moved)
        again = b.block
        b.branch(done)
        b.start(done)
        new = b.emit(f"phi ptr [{made.ref}, %{first}], [{moved.ref}, %{again}]", None)
        room = b.emit(f"phi i64 [{wide.ref}, %{first}], [{wanted.ref}, %{again}]", I64)
        b.store(new, self.base)
        b.store(self._moved(new, used), self.top)
        b.store(self._moved(new, room), self.limit)

    def _unless(self, pointer: Value) -> None:
        """Leave if there is no memory."""
        w, b = self.w, self.b
        none = b.emit(f"icmp eq ptr {pointer.ref}, null", np.dtype(bool))
        message = "no memory for what the way back through a while loop needs"
        w.leave_if(none, lambda: w.e.fail_if(b.like(True, none), MemoryError, message))

    def left(self) -> Value:
        """Whether there are trips left."""
        b = self.b
        if not self.size:
            return b.compare("gt", b.load(self.trips, I64), b.const(0, I64))
        return b.not_(self._same(b.load(self.top, None), b.load(self.base, None)))

    def pop(self) -> list[Held]:
        """The residuals of the last trip that is left."""
        b = self.b
        if not self.size:
            b.store(b.sub(b.load(self.trips, I64), b.const(1, I64)), self.trips)
            return [Cells(object_array(a.shape, []), a.dtype) for a in self.avals]
        top = self._moved(b.load(self.top, None), -self.size)
        b.store(top, self.top)
        found: list[Held] = []
        for i, aval in enumerate(self.avals):
            start = self._moved(top, self.offsets[i])
            each = [b.load(b.at(start, k, aval.dtype), aval.dtype) for k in range(math.prod(aval.shape))]
            found.append(Cells(object_array(aval.shape, each), aval.dtype))
        return found
