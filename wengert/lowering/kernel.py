"""The text of one loop nest.

Sums     Accumulators live in registers over the reduced loops that are innermost, and are added up in double
         precision, block by block; over outer loops the result's memory accumulates.
Phases   What a phase has found for a row is kept in registers; elements that a later phase reads are in the value's memory,
         or in a row of scratch memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wengert.graph.program import Literal, Var
from wengert.lowering.affine import Expression
from wengert.lowering.clusters import Member
from wengert.lowering.emission import row_major
from wengert.lowering.nest import Loop, Nest
from wengert.lowering.statements import Item, affine_part
from wengert.lowering.text import BOOL, F32, F64, I32, I64, Builder, Value
from wengert.lowering.values import Gather, Places, Point, Scatter, contents

BLOCK = 4096  # elements that one accumulator takes before it is added to the total

SHORT = 15  # turns of a loop that may be written out
FILLED = 0.7  # how full its vectors are otherwise, at most
COPIES = 32  # calls of vector math that this may make
BYTES = 64  # of the widest vector
DEAR = 15  # additions: what costs more is vector math
ROLLED = 24  # turns of a loop that LLVM may unroll

IDENTITY = {"add": 0, "mul": 1, "any": False, "all": True}


def identity_of(kind: str, dtype: np.dtype) -> Any:
    """What a reduction starts from."""
    if kind in IDENTITY:
        return IDENTITY[kind]
    if dtype.kind == "f":
        return {"max": -math.inf, "min": math.inf, "fmax": math.nan, "fmin": math.nan}[kind]
    if dtype.kind == "b":
        return kind in ("min", "fmin")
    info = np.iinfo(dtype)
    return info.min if kind in ("max", "fmax") else info.max


def combine(b: Builder, kind: str, total: Value, x: Value) -> Value:
    """One step of a reduction."""
    if kind in ("add", "into"):
        return b.accumulate(total, x)
    if kind == "mul":
        return b.multiply(total, x)
    if kind in ("any", "all"):
        return b.or_(total, x) if kind == "any" else b.and_(total, x)
    if total.dtype.kind == "b":
        return b.or_(total, x) if kind in ("max", "fmax") else b.and_(total, x)
    if total.dtype.kind != "f":
        return b.maximum(total, x) if kind in ("max", "fmax") else b.minimum(total, x)
    name = {"max": "maximum", "min": "minimum", "fmax": "maxnum", "fmin": "minnum"}[kind]
    return b.intrinsic(name, total, x, flags="reassoc nsz ")


class Kernel:
    """Writes one nest. `pointers` gives the name of each value's memory among the function's parameters."""

    def __init__(
        self,
        nest: Nest,
        b: Builder,
        pointers: dict[Any, Value],
        memory: set[Var],
        chunk: Value,
        constants: Callable[[Any], np.ndarray | None],
        fail: Callable[[type[Exception], str, Any], int],
    ) -> None:
        self.nest, self.b, self.pointers, self.memory, self.chunk = nest, b, pointers, memory, chunk
        self.constants, self.fail = constants, fail
        self.flags: list[tuple[Value, int]] = []  # raised by indices out of bounds, and the failure that each means
        self.loops = nest.loops
        self.at: dict[int, Value] = {}  # loop → its variable
        self.bounds: dict[int, tuple[Any, Any]] = {}
        self.row_memo: dict[Any, Value] = {}
        self.accumulators: dict[Var, tuple[Value, Value | None]] = {}

    # ── the nest ──────────────────────────────────────────────────────────────

    def write(self) -> None:
        nest = self.nest
        if self.loops:
            first = self.loops[0]
            self.bounds[0] = (0, first.extent) if nest.chunks == 1 else self._chunk_bounds(first, nest.chunks)
        for m in nest.cluster.members:
            if m.reduced and self._in_memory(m):
                self._initialise(m)
            elif m.statement.scatter is not None and m.statement.fresh:
                self._zeros(m.statement.target)
        self._rows(0)
        for flag, code in self.flags:
            with self.b.when(self.b.load(flag, BOOL)):
                self.b.store(self.b.const(code, I32), self.pointers["failure"])

    def _zeros(self, target: Var) -> None:
        b = self.b
        with b.loop(0, target.aval.size) as i:
            b.store(b.const(0, target.dtype), b.at(self.pointers[target], i, target.dtype))

    def _chunk_bounds(self, loop: Loop, chunks: int) -> tuple[Value, Value]:
        b = self.b
        following = b.add(self.chunk, b.const(1, I64))
        n, k = b.const(-(-loop.extent // loop.step), I64), b.const(chunks, I64)
        low, high = b.quotient(b.mul(self.chunk, n), k), b.quotient(b.mul(following, n), k)
        if loop.step == 1:
            return low, high
        step, extent = b.const(loop.step, I64), b.const(loop.extent, I64)
        high = b.mul(high, step)
        return b.mul(low, step), b.select(b.compare("lt", high, extent), high, extent)

    def _bounds(self, depth: int) -> tuple[Any, Any]:
        """Where the loop at `depth` begins and ends: all, this chunk's, or the current block's."""
        loop, b = self.loops[depth], self.b
        for before in range(depth):
            block = self.loops[before]
            if block.axes == loop.axes:
                start = self.at[before]
                stop, extent = b.add(start, b.const(block.step, I64)), b.const(loop.extent, I64)
                return start, b.select(b.compare("lt", stop, extent), stop, extent)
        return self.bounds.get(depth, (0, loop.extent))

    def _rows(self, depth: int) -> None:
        if depth < self.nest.rows:
            low, high = self._bounds(depth)
            with self.b.loop(low, high, self.loops[depth].step) as i:
                self.at[depth] = i
                self._rows(depth + 1)
            return
        self.row_memo = {}
        for phase in range(self.nest.cluster.phases):
            inner = [m for m in self.nest.cluster.members if not m.row and m.phase == phase]
            if inner:
                self._inner(inner, depth)
            memo = self.row_memo
            for m in self.nest.cluster.members:
                if m.row and m.phase == phase:
                    self._statement(m, memo, self.nest.rows)

    def _inner(self, members: list[Member], depth: int) -> None:
        """Loops from `depth` on, with accumulators begun and ended around those that each member reduces over."""
        b = self.b
        if depth == len(self.loops):
            memo = dict(self.row_memo)
            for m in members:
                self._statement(m, memo, depth)
            return
        begun = [m for m in members if m.reduced and self._start(m) == depth]
        for m in begun:
            self._begin(m)
        low, high = self._bounds(depth)
        last = depth == len(self.loops) - 1
        sums = [
            m for m in members if m.reduced and self._start(m) <= depth and self.accumulators[m.statement.target][1]
        ]
        if last and sums:
            self._blocked(members, sums, depth, low, high)
        elif last and self._written_out(members, depth):
            for i in range(self.loops[depth].extent):
                self.at[depth] = b.const(i, I64)
                self._inner(members, depth + 1)
        else:
            with b.loop(low, high, self.loops[depth].step, scalar=self._is_scalar(members, depth)) as i:
                self.at[depth] = i
                self._inner(members, depth + 1)
        for m in begun:
            self._end(m)

    def _written_out(self, members: Sequence[Member], depth: int) -> bool:
        """Whether the innermost loop has no turns but copies of its body, so that the loop around it becomes the one of
        vectors: where rows are short, what does not fill a vector is scalar code, slow if it is vector math."""
        if depth == 0 or self.loops[depth].extent > SHORT or self.loops[depth].step > 1:
            return False
        extent, around = self.loops[depth].extent, self.loops[depth - 1].extent
        lanes = BYTES // max(m.statement.target.dtype.itemsize for m in members)
        points = [item.point for m in members for item in m.body if isinstance(item.point, Point)]
        calls = sum(point.form.cost >= DEAR for point in points)
        loose = extent < FILLED * lanes * -(-extent // lanes)
        return loose and around >= 4 * lanes and 0 < calls * extent <= COPIES

    def _is_scalar(self, members: Sequence[Member], depth: int) -> bool:
        """Whether to keep LLVM from making vectors across rows, once it has unrolled the short loop within this one:
        it would gather and scatter what lies side by side."""
        if depth != len(self.loops) - 2 or self.loops[-1].extent > ROLLED:
            return False
        return not any(m.reduced & set(self.loops[-1].axes) for m in members) and not self._written_out(
            members, depth + 1
        )

    def _blocked(self, members: list[Member], sums: list[Member], depth: int, low: Any, high: Any) -> None:
        """The innermost loop, in blocks whose sums are added to a total."""
        b = self.b
        if isinstance(high, int) and high - low <= BLOCK:
            self._block(members, sums, depth, low, high)
            return
        first = low if isinstance(low, Value) else b.const(low, I64)
        end = high if isinstance(high, Value) else b.const(high, I64)
        with b.loop(first, end, BLOCK) as start:
            stop = b.add(start, b.const(BLOCK, I64))
            self._block(members, sums, depth, start, b.select(b.compare("lt", stop, end), stop, end))

    def _block(self, members: list[Member], sums: list[Member], depth: int, low: Any, high: Any) -> None:
        b = self.b
        for m in sums:
            acc, _ = self.accumulators[m.statement.target]
            b.store(b.const(0, m.statement.target.dtype), acc)
        with b.loop(low, high) as i:
            self.at[depth] = i
            self._inner(members, depth + 1)
        for m in sums:
            acc, total = self.accumulators[m.statement.target]
            assert total is not None
            found = b.cast(b.load(acc, m.statement.target.dtype), F64)
            b.store(b.add(b.load(total, F64), found), total)

    # ── reductions ────────────────────────────────────────────────────────────

    def _start(self, m: Member) -> int:
        """The loop from which on all loops are reduced over."""
        depth = len(self.loops)
        first = self.nest.rows
        while depth > first and set(self.loops[depth - 1].axes) <= m.reduced:
            depth -= 1
        return depth

    def _in_memory(self, m: Member) -> bool:
        """Whether the result's memory accumulates, since an outer loop is reduced over."""
        if m.row:
            return True
        start = self._start(m)
        return start == len(self.loops) or any(set(loop.axes) <= m.reduced for loop in self.loops[:start])

    def _begin(self, m: Member) -> None:
        target = m.statement.target
        b, dtype = self.b, target.dtype
        if target not in self.accumulators:
            trailing = self.loops[self._start(m) :]
            blocks = m.statement.kind == "add" and dtype.kind == "f"
            blocks = blocks and (len(trailing) > 1 or trailing[0].extent > BLOCK)
            self.accumulators[target] = b.allocate(dtype), b.allocate(F64) if blocks else None
        acc, total = self.accumulators[target]
        if total is not None:
            b.store(b.const(0, F64), total)
        else:
            b.store(b.const(identity_of(m.statement.kind, dtype), dtype), acc)

    def _end(self, m: Member) -> None:
        target = m.statement.target
        b, (acc, total) = self.b, self.accumulators[target]
        value = b.load(acc, target.dtype) if total is None else b.cast(b.load(total, F64), target.dtype)
        if self._in_memory(m):
            self._combine(m, value)
            return
        if target in self.memory or target in self.nest.partial:
            b.store(value, self._result(m))
        self.row_memo[target, m.address] = value

    def _initialise(self, m: Member, depth: int = 0) -> None:
        b, target = self.b, m.statement.target
        while depth < len(self.loops) and set(self.loops[depth].axes) <= m.reduced:
            depth += 1
        if depth == len(self.loops):
            b.store(b.const(identity_of(m.statement.kind, target.dtype), target.dtype), self._result(m))
            return
        low, high = self._bounds(depth)
        with b.loop(low, high, self.loops[depth].step) as i:
            self.at[depth] = i
            self._initialise(m, depth + 1)

    def _combine(self, m: Member, value: Value) -> None:
        b, place = self.b, self._result(m)
        old = b.load(place, m.statement.target.dtype)
        b.store(combine(b, m.statement.kind, old, value), place)

    def _result(self, m: Member) -> Value:
        """Where the result goes: its memory, or this chunk's part of the partial results."""
        target = m.statement.target
        size = self.nest.partial.get(target)
        if size is None:
            return self._element(self.pointers[target], m.address, target.dtype)
        offset = self.b.mul(self.chunk, self.b.const(size, I64))
        base = self.b.at(self.pointers["partial", target], offset, target.dtype)
        return self._element(base, m.address, target.dtype)

    # ── statements ────────────────────────────────────────────────────────────

    def _statement(self, m: Member, memo: dict[Any, Value], depth: int) -> None:
        b, s = self.b, m.statement
        target = s.target
        for item in m.body:
            if item.key not in memo:
                memo[item.key] = self._item(item, memo)
        value = b.const(contents(m.result), target.dtype) if isinstance(m.result, Literal) else memo[m.result]
        if s.kind in ("any", "all") or target.dtype.kind == "b":
            value = b.cast(value, BOOL)
        value = b.cast(value, target.dtype)
        if s.kind == "into":
            self._combine(m, value)
            return
        if s.scatter is not None:
            self._add_at(m, s.scatter, value, memo)
            return
        if m.reduced:
            if m.row or self._start(m) == len(self.loops):
                self._combine(m, value)
            else:
                acc, _ = self.accumulators[target]
                b.store(combine(b, s.kind, b.load(acc, target.dtype), value), acc)
            return
        memo[target, m.address] = value
        if target in self.memory:
            b.store(value, self._element(self.pointers[target], m.address, target.dtype))
        elif target in self.nest.scratch:
            b.store(value, self._scratch(target))

    def _item(self, item: Item, memo: dict[Any, Value]) -> Value:
        if item.point is None:
            return self._load(item)
        return self._gather(item, item.point, memo) if isinstance(item.point, Gather) else self._point(item, memo)

    def _gather(self, item: Item, d: Gather, memo: dict[Any, Value]) -> Value:
        b, index = self.b, item.key[1]
        address = affine_part(d.places, index, len(self.nest.cluster.extents))
        at = self._indexed(d.places, address, item.operands, d.source, memo)
        return b.load(b.at(self.pointers[d.operand], at, item.dtype), item.dtype)

    def _add_at(self, m: Member, d: Scatter, value: Value, memo: dict[Any, Value]) -> None:
        b, target = self.b, m.statement.target
        at = self._indexed(d.places, m.address, m.arrays, d.source, memo)
        place = b.at(self.pointers[target], at, target.dtype)
        b.store(b.add(b.load(place, target.dtype), value), place)

    def _indexed(
        self, places: Places, address: Expression, arrays: Sequence[Any], source: Any, memo: dict[Any, Value]
    ) -> Value:
        """The address that index arrays and loop variables give together; an index out of bounds raises a flag."""
        b = self.b
        total = self._offset(address)
        for axis, (entry, step) in enumerate(zip(places.entries, row_major(places.shape), strict=True)):
            if not isinstance(entry, int):
                continue
            array, extent = arrays[entry], places.shape[axis]
            if isinstance(array, Literal):
                i = b.const(contents(array), I64)
                known = np.asarray(contents(array))
            else:
                i = b.cast(memo[array], I64)
                known = self.constants(array)
            if known is None or (known.size and (known.min() < 0 or known.max() >= extent)):
                i = self._checked(i, axis, extent, source)
            term = i if step == 1 else b.mul(i, b.const(step, I64))
            total = term if total is None else b.add(total, term)
        return b.const(0, I64) if total is None else total

    def _checked(self, i: Value, axis: int, extent: int, source: Any) -> Value:
        b = self.b
        n, zero = b.const(extent, I64), b.const(0, I64)
        i = b.select(b.compare("lt", i, zero), b.add(i, n), i)
        outside = b.emit(f"icmp uge i64 {i.ref}, {extent}", BOOL)
        flag = self._flag(axis, extent, source)
        b.store(b.or_(b.load(flag, BOOL), outside), flag)
        return b.select(outside, zero, i)

    def _flag(self, axis: int, extent: int, source: Any) -> Value:
        code = self.fail(IndexError, f"index is out of bounds for axis {axis} with size {extent}", source)
        for flag, known in self.flags:
            if known == code:
                return flag
        flag = self.b.allocate(BOOL)
        self.b.entry.append(f"  store i8 0, ptr {flag.ref}")
        self.flags.append((flag, code))
        return flag

    def _load(self, item: Item) -> Value:
        base, address = item.key
        if base in self.nest.scratch:
            return self.b.load(self._scratch(base), base.dtype)
        return self.b.load(self._element(self.pointers[base], address, base.dtype), base.dtype)

    def _scratch(self, target: Var) -> Value:
        """The element of this row: the inner loops in row-major order."""
        b, size = self.b, self.nest.scratch[target]
        index = b.mul(self.chunk, b.const(size, I64))
        stride = 1
        for depth in range(len(self.loops) - 1, self.nest.rows - 1, -1):
            step = self.at[depth] if stride == 1 else b.mul(self.at[depth], b.const(stride, I64))
            index = b.add(index, step)
            stride *= self.loops[depth].extent
        return b.at(self.pointers["scratch", target], index, target.dtype)

    def _point(self, item: Item, memo: dict[Any, Value]) -> Value:
        b, point = self.b, item.point
        assert isinstance(point, Point)
        xs = []
        for operand in item.operands:
            if isinstance(operand, Literal):
                x = contents(operand)
                xs.append(b.const(x, point.compute or np.asarray(x).dtype))
            else:
                x = memo[operand]
                xs.append(x if point.compute is None else b.cast(x, point.compute))
        return b.cast(point.form.scalar(b, *xs, **point.params), item.dtype)

    def _element(self, base: Value, address: Expression, dtype: Any) -> Value:
        index = self._offset(address)
        return base if index is None else self.b.at(base, index, dtype)

    def _offset(self, address: Expression) -> Value | None:
        """An address as a number, or None for 0."""
        b = self.b
        index: Value | None = None
        for depth, loop in enumerate(self.loops):
            c = address[loop.axes[-1] + 1]
            if c and loop.step == 1:
                i = self.at[depth]
                term = i if c == 1 else b.mul(i, b.const(c, I64))
                index = term if index is None else b.add(index, term)
        if index is None:
            return None if address[0] == 0 else b.const(address[0], I64)
        return b.add(index, b.const(address[0], I64)) if address[0] else index


def join(nest: Nest, b: Builder, pointers: dict[Any, Value]) -> None:
    """Combine what chunks have found, in order."""
    for m in nest.cluster.members:
        target = m.statement.target
        size = nest.partial.get(target)
        if size is None:
            continue
        kind, dtype = m.statement.kind, target.dtype
        wide = F64 if kind == "add" and dtype == F32 else dtype
        acc = b.allocate(wide)
        with b.loop(0, size) as j:
            source = pointers["partial", target]
            b.store(b.cast(b.load(b.at(source, j, dtype), dtype), wide), acc)
            with b.loop(1, nest.chunks) as c:
                at = b.add(b.mul(c, b.const(size, I64)), j)
                x = b.cast(b.load(b.at(source, at, dtype), dtype), wide)
                old = b.load(acc, wide)
                b.store(b.add(old, x) if kind == "add" else combine(b, kind, old, x), acc)
            b.store(b.cast(b.load(acc, wide), dtype), b.at(pointers[target], j, dtype))
