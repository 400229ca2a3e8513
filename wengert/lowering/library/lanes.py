"""Several small matrices at once, one in each lane of a vector: their elements are loaded by one wide load and shuffles.

With one lane the same instructions are scalar, for what is left of a stack and for single matrices.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from wengert.lowering.library.vector import Vectors
from wengert.lowering.text import Builder, Value, hexadecimal

Mask = str  # the text of a vector of booleans


class Lanes:
    """Arithmetic on `n` lanes. A struct is `count` elements one behind the other in memory, one struct per lane."""

    def __init__(self, b: Builder, dtype: np.dtype, n: int) -> None:
        self.b, self.dtype, self.n = b, dtype, n
        self.v = Vectors(b, dtype)
        self.kind = self.v.type(n)
        self.bits = 8 * dtype.itemsize

    # ── memory ────────────────────────────────────────────────────────────────

    def load(self, pointer: Value, count: int, same: bool = False) -> list[Value]:
        """The elements of the structs at an address; `same` says that there is one struct for all lanes."""
        b = self.b
        if self.n == 1 or same:
            each = [b.load(b.at(pointer, q, self.dtype), self.dtype) for q in range(count)]
            return [self.v.splat(x, self.n) for x in each]
        if count == 1:
            return [self.v.load(pointer, self.n, self.n)]
        wide = self.v.type(self.n * count)
        all_ = b.emit(f"load {wide}, ptr {pointer.ref}, align {self.dtype.itemsize}", self.dtype)
        return [self._shuffle(wide, all_.ref, "poison", [q + count * i for i in range(self.n)]) for q in range(count)]

    def store(self, values: Sequence[Value], pointer: Value) -> None:
        """The elements of the structs go to an address."""
        count = len(values)
        if self.n == 1:
            for q, x in enumerate(values):
                self.b.store(x, self.b.at(pointer, q, self.dtype))
            return
        joined = self._joined([(x.ref, self.n) for x in values])
        if count > 1:
            order = [q * self.n + i for i in range(self.n) for q in range(count)]
            joined = self._shuffle(self.v.type(self.n * count), joined, "poison", order).ref
        kind = self.v.type(self.n * count)
        self.b.effect(f"store {kind} {joined}, ptr {pointer.ref}, align {self.dtype.itemsize}")

    def transposed(self, rows: Sequence[Value]) -> Value:
        """The rows' elements column by column, as one vector."""
        joined = self._joined([(x.ref, self.n) for x in rows])
        order = [i * self.n + q for q in range(self.n) for i in range(len(rows))]
        return self._shuffle(self.v.type(self.n * len(rows)), joined, "poison", order)

    def _joined(self, parts: list[tuple[str, int]]) -> str:
        """One vector of all parts, by halves."""
        if len(parts) == 1:
            return parts[0][0]
        half = (len(parts) + 1) // 2
        first, second = self._joined(parts[:half]), self._joined(parts[half:])
        n, m = sum(k for _, k in parts[:half]), sum(k for _, k in parts[half:])
        if m < n:
            second = self._shuffle(self.v.type(m), second, "poison", [min(i, m - 1) for i in range(n)]).ref
        return self._shuffle(self.v.type(n), first, second, list(range(n + m))).ref

    def _shuffle(self, kind: str, first: str, second: str, order: Sequence[int]) -> Value:
        places = ", ".join(f"i32 {i}" for i in order)
        text = f"shufflevector {kind} {first}, {kind} {second}, <{len(order)} x i32> <{places}>"
        return self.b.emit(text, self.dtype)

    # ── arithmetic ────────────────────────────────────────────────────────────

    def constant(self, x: float) -> Value:
        text = hexadecimal(float(self.dtype.type(x)))
        if self.n > 1:
            text = "<" + ", ".join([f"{self.v.element} {text}"] * self.n) + ">"
        return Value(text, self.dtype)

    def _two(self, what: str, x: Value, y: Value) -> Value:
        return self.v.binary(what, x, y, self.n)

    def add(self, x: Value, y: Value) -> Value:
        return self._two("fadd contract", x, y)

    def sub(self, x: Value, y: Value) -> Value:
        return self._two("fsub contract", x, y)

    def mul(self, x: Value, y: Value) -> Value:
        return self._two("fmul contract", x, y)

    def div(self, x: Value, y: Value) -> Value:
        return self._two("fdiv", x, y)

    def neg(self, x: Value) -> Value:
        return self.b.emit(f"fneg {self.kind} {x.ref}", self.dtype)

    def _one(self, name: str, x: Value) -> Value:
        full = f"llvm.{name}.{'' if self.n == 1 else f'v{self.n}'}f{self.bits}"
        self.b.module.declare(full, f"declare {self.kind} @{full}({self.kind})")
        return self.b.emit(f"call {self.kind} @{full}({self.kind} {x.ref})", self.dtype)

    def abs(self, x: Value) -> Value:
        return self._one("fabs", x)

    def sqrt(self, x: Value) -> Value:
        return self._one("sqrt", x)

    # ── choices ───────────────────────────────────────────────────────────────

    def compare(self, which: str, x: Value, y: Value) -> Mask:
        """`ogt`, `oeq`, `ule` … of LLVM's fcmp."""
        return self.b.emit(f"fcmp {which} {self.kind} {x.ref}, {y.ref}", None).ref

    def select(self, mask: Mask, x: Value, y: Value) -> Value:
        return self.b.emit(f"select {self.mask_type} {mask}, {self.kind} {x.ref}, {self.kind} {y.ref}", self.dtype)

    @property
    def mask_type(self) -> str:
        return "i1" if self.n == 1 else f"<{self.n} x i1>"

    def either(self, x: Mask, y: Mask) -> Mask:
        return self.b.emit(f"or {self.mask_type} {x}, {y}", None).ref

    def any(self, mask: Mask) -> Value:
        """Whether a lane is set, as a boolean."""
        if self.n == 1:
            return Value(mask, np.dtype(bool))
        name = f"llvm.vector.reduce.or.v{self.n}i1"
        self.b.module.declare(name, f"declare i1 @{name}({self.mask_type})")
        return self.b.emit(f"call i1 @{name}({self.mask_type} {mask})", np.dtype(bool))

    # ── bits ──────────────────────────────────────────────────────────────────

    def integers(self) -> str:
        """The type of integers of the floats' width."""
        return f"i{self.bits}" if self.n == 1 else f"<{self.n} x i{self.bits}>"

    def integer(self, what: str, x: str, y: int | str) -> str:
        """`and`, `lshr`, `add` … of integers' texts."""
        other = self.integral(y) if isinstance(y, int) else y
        return self.b.emit(f"{what} {self.integers()} {x}, {other}", None).ref

    def integral(self, x: int) -> str:
        return str(x) if self.n == 1 else "<" + ", ".join([f"i{self.bits} {x}"] * self.n) + ">"

    def as_bits(self, x: Value) -> str:
        return self.b.emit(f"bitcast {self.kind} {x.ref} to {self.integers()}", None).ref

    def from_bits(self, x: str) -> Value:
        return self.b.emit(f"bitcast {self.integers()} {x} to {self.kind}", self.dtype)

    def choose(self, mask: Mask, x: str, y: str) -> str:
        """`select` for integers' texts."""
        kind = self.integers()
        return self.b.emit(f"select {self.mask_type} {mask}, {kind} {x}, {kind} {y}", None).ref


def over_stack(b: Builder, count: int, width: int, dtype: np.dtype, body: Callable[[Lanes, Value | int], None]) -> None:
    """`body(lanes, first)` for all of a stack of `count`: `width` at a time, and what is left one by one."""
    whole = count // width * width if width > 1 else 0
    if whole:
        with b.loop(0, whole, width) as i:
            body(Lanes(b, dtype, width), i)
    if count - whole == 1:
        body(Lanes(b, dtype, 1), whole)
    elif count > whole:
        with b.loop(whole, count) as i:
            body(Lanes(b, dtype, 1), i)
