"""What all of a kernel's loops write with: the builder, failures that are seen in loops, memory, and ways out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from wengert.core.form import Unsupported
from wengert.core.source import Source
from wengert.graph.program import Var
from wengert.lowering.emission import Emission, row_major
from wengert.lowering.straight.cells import Memory
from wengert.lowering.text import BOOL, I8, I64, Builder, Module, Value
from wengert.lowering.vecmath import definition

INSTRUCTIONS = 4000  # of a kernel, inlined vector math included: LLVM takes some 30 µs for each
MATH = 40  # instructions of a function of vector math
INLINED = 16  # calls of vector math; the code of more of them is shared
TANGLED = 24
STACK = 1 << 15  # bytes of arrays on the stack


class Flags:
    """Failures within loops: each is a byte that is set on the way, and looked at when the kernel ends."""

    def __init__(self, e: Emission) -> None:
        self.e, self.b = e, e.b
        self.known: dict[tuple[type[Exception], str, Source | None], Value] = {}
        self.source: Source | None = None  # the line of what is being written
        self.count = 0

    def set_if(self, condition: Value, error: type[Exception], message: str) -> None:
        """Have the call raise `error(message)` if `condition` holds."""
        b, key = self.b, (error, message, self.source)
        if key not in self.known:
            self.known[key] = b.allocate(I8)
            b.entry.append(f"  store i8 0, ptr {self.known[key].ref}")
        self.count += 1
        flag = self.known[key]
        b.store(b.or_(b.load(flag, I8), b.cast(condition, I8)), flag)

    def any(self) -> Value:
        """Whether one is set."""
        b = self.b
        total = b.const(0, I8)
        for flag in self.known.values():
            total = b.or_(total, b.load(flag, I8))
        return b.compare("ne", total, b.const(0, I8))

    def report(self) -> None:
        for (error, message, source), flag in self.known.items():
            raised = self.b.compare("ne", self.b.load(flag, I8), self.b.const(0, I8))
            self.e.fail_if(raised, error, message, source)


class Inner(Emission):
    """What a library kernel writes into within a loop: `close` when it has."""

    def __init__(self, w: Writer) -> None:
        super().__init__(w.b, w.e.scratch, w.e._fail, w.e.source)
        self.code, self.w = w.e.code, w
        self.entry, self.start = len(w.b.entry), len(w.b.lines)

    def close(self) -> None:
        """What the kernel sets in the function's first block is set in each trip, so that trips have nothing in common."""
        b, kept = self.b, {f"  store i8 0, ptr {flag.ref}" for flag in self.w.flags.known.values()}
        new = b.entry[self.entry :]
        again = [line for line in new if line.startswith("  store") and line not in kept]
        b.entry[self.entry :] = [line for line in new if line not in again]
        b.lines[self.start : self.start] = again

    def fail_if(self, condition: Value, error: type[Exception], message: str, source: Source | None = None) -> None:
        self.w.flags.set_if(condition, error, message)


class Writer:
    """The kernel being written."""

    def __init__(self, e: Emission) -> None:
        self.e, self.b = e, e.b
        self.flags = Flags(e)
        self.leaving: list[Callable[[], None]] = []  # what is to be done before the kernel is left early
        self.stacked = 0
        self.elsewhere = 0  # instructions of functions that the kernel calls
        self.packed = False  # whether there are values of which LLVM makes vectors
        self.tangled = 0  # sixths of sums, and elements of transposed values, over which it takes very long
        self.side_by_side = False  # whether trips are independent, and LLVM is to run several at once
        self.sums: set[Var] = set()  # values whose terms may be added in any order
        self._veiled: dict[tuple[str, str], Value] = {}
        self.updates: set[Var] = set()  # states of arrays that are written over

    # ── limits ────────────────────────────────────────────────────────────────

    def limit(self, coming: int = 0) -> None:
        """Unsupported if the kernel gets too long."""
        b = self.b
        if b.count + self.elsewhere + coming + MATH * (min(b.math_calls, INLINED) if b.inline else 0) > INSTRUCTIONS:
            raise Unsupported("a loop whose body is too long for straight-line code")

    @property
    def vectors(self) -> bool:
        """Whether LLVM is to look for vectors in straight-line code: it takes seconds for some, and gains up to four times."""
        return self.side_by_side or (self.packed and self.tangled <= TANGLED)

    # ── memory ────────────────────────────────────────────────────────────────

    def array(self, shape: tuple[int, ...], dtype: np.dtype) -> Memory:
        """A small uninitialised array on the stack."""
        size = int(np.prod(shape, dtype=np.int64))
        self.stacked += size * dtype.itemsize
        if self.stacked > STACK:
            raise Unsupported("too large arrays within a small loop")
        return Memory(self.b.allocate(dtype, max(size, 1)), shape, row_major(shape), dtype)

    def veiled(self, value: Value) -> Value:
        """A literal of which LLVM does not know that it is one: it would make one `memset` of neighbouring stores of zeros, and
        a loop with that is not run side by side."""
        b, dtype = self.b, value.dtype
        if not self.side_by_side or value.ref.startswith("%") or dtype.itemsize < 4:
            return value
        key = (value.ref, dtype.char)
        if key not in self._veiled:
            b.count += 1
            ref, kind = f"%v{b.count}", f"i{8 * dtype.itemsize}"
            bits = f"bitcast ({value} to {kind})" if dtype.kind == "f" else value.ref
            b.entry.append(f'  {ref} = call {kind} asm "", "=r,0"({kind} {bits})')
            if dtype.kind == "f":
                b.entry.append(f"  {ref}.f = bitcast {kind} {ref} to {value.type}")
                ref += ".f"
            self._veiled[key] = Value(ref, dtype)
        return self._veiled[key]

    # ── branches ──────────────────────────────────────────────────────────────

    def expected(self, condition: Value, value: bool) -> Value:
        """`condition`, which nearly always is `value`."""
        self.b.module.declare("llvm.expect.i1", "declare i1 @llvm.expect.i1(i1, i1)")
        wanted = "true" if value else "false"
        return self.b.emit(f"call i1 @llvm.expect.i1(i1 {condition.ref}, i1 {wanted})", BOOL)

    @contextmanager
    def rarely(self, condition: Value) -> Iterator[None]:
        """The block runs if `condition` holds, which is rare."""
        with self.b.when(self.expected(condition, False)):
            yield

    def leave_if(self, condition: Value, before: Callable[[], None]) -> None:
        """Leave the kernel; `before` writes what is to be done besides letting go of memory."""
        b = self.b
        out, go = b.label("leave"), b.label("go")
        b.branch_if(self.expected(condition, False), out, go)
        b.start(out)
        before()
        for one in reversed(self.leaving):
            one()
        b.effect("ret void")
        b.start(go)

    def ask(self) -> None:
        """Leave if a signal's handler has raised."""
        self.leave_if(self.e.interrupted(), self.e.stop)

    # ── numbers ───────────────────────────────────────────────────────────────

    def scaled(self, i: Value | int, step: int) -> Value | int:
        """i · step."""
        if isinstance(i, int):
            return i * step
        if step == 1:
            return i
        return self.b.mul(i, self.b.const(step, I64))

    def total(self, x: Value | int, y: Value | int) -> Value | int:
        """x + y."""
        if isinstance(x, int) and isinstance(y, int):
            return x + y
        if isinstance(x, int):
            x, y = y, x
        assert isinstance(x, Value)
        if isinstance(y, int):
            return self.b.add(x, self.b.const(y, I64)) if y else x
        return self.b.add(x, y)

    def number(self, x: Value | int) -> Value:
        return x if isinstance(x, Value) else self.b.const(x, I64)


def trial() -> tuple[Emission, Callable[[], Value]]:
    """An emission that goes nowhere, to find out whether something can be written; and a source of pointers for it."""
    b = Builder(Module(definition))

    def pointer(_: Any = None) -> Value:
        b.count += 1
        return Value(f"%q{b.count}", None)

    e = Emission(b, pointer, lambda *_: 1, None)
    e.code = pointer()
    e.interruption = lambda: (pointer(), pointer())
    return e, pointer
