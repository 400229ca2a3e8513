"""LLVM IR as text: a module, and builders that write the instructions of its functions.

Text is written directly: 1.4 µs an instruction, where llvmlite's builder and its printer took 5.6 on the same two.
Scalar instructions only: LLVM's vectoriser makes vectors of loops.

Types   A `Value` has a NumPy dtype, or None for a pointer. Booleans are i1 in registers and one byte in memory.
Floats  Arithmetic is `contract` (a product and a sum may become one fused instruction) and nothing more,
        so infinities, NaNs and signed zeros are IEEE's. Accumulators may be reassociated, where asked.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from wengert.core.form import Unsupported

BOOL, I8, I32, I64 = np.dtype(bool), np.dtype(np.int8), np.dtype(np.int32), np.dtype(np.int64)
F32, F64 = np.dtype(np.float32), np.dtype(np.float64)
NATIVE = frozenset("?bhilqBHILQfd")  # dtype.char of what compiled code computes with


def llvm_type(dtype: np.dtype | None) -> str:
    """The LLVM type of a value in a register."""
    if dtype is None:
        return "ptr"
    if dtype.kind == "b":
        return "i1"
    if dtype.kind == "f":
        return "double" if dtype.itemsize == 8 else "float"
    return f"i{8 * dtype.itemsize}"


def memory_type(dtype: np.dtype) -> str:
    """The LLVM type of an element in memory."""
    return "i8" if dtype.kind == "b" else llvm_type(dtype)


def hexadecimal(x: float) -> str:
    """A double as LLVM writes it exactly (also for `float`, whose value must be representable)."""
    return "0x" + struct.pack(">d", x).hex().upper()


class Value:
    """Something in a register: its name or literal in the text, and its dtype; `known` is a literal's number."""

    __slots__ = ("dtype", "known", "ref")

    def __init__(self, ref: str, dtype: np.dtype | None, known: Any = None) -> None:
        self.ref = ref
        self.dtype: Any = dtype
        self.known = known

    @property
    def type(self) -> str:
        return llvm_type(self.dtype)

    def __str__(self) -> str:
        return f"{llvm_type(self.dtype)} {self.ref}"


ATTRIBUTES = 'attributes #0 = { nounwind "prefer-vector-width"="512" }'  # of all functions that the lowering writes


class Module:
    """Functions, declarations and definitions of one compiled object.

    `math` gives the text of vector math: name, dtype → (text of the definition, names of others that it calls).
    """

    def __init__(self, math: Callable[[str, np.dtype], tuple[str, Sequence[tuple[str, np.dtype]]]]) -> None:
        self.functions: list[str] = []
        self.declarations: dict[str, str] = {}
        self.definitions: dict[str, str] = {}
        self.symbols: set[str] = set()  # external functions that the loader must resolve
        self.metadata: list[str] = []
        self._math = math

    def declare(self, name: str, text: str, *, external: bool = False) -> None:
        """Declare a function once; `external` ones are listed in `symbols`."""
        self.declarations[name] = text
        if external:
            self.symbols.add(name)

    def define(self, name: str, text: str) -> None:
        """Put the text of a function into the module once."""
        self.definitions.setdefault(name, text)

    def require(self, name: str, dtype: np.dtype) -> str:
        """The symbol of a function of vector math, which is put into the module on first use."""
        symbol = f"wg.{name}.{dtype.char}"
        if symbol not in self.definitions:
            try:
                text, needs = self._math(name, dtype)
            except KeyError:
                raise Unsupported(f"vector math has no {name} of {dtype}") from None
            self.definitions[symbol] = text
            for needed, kind in needs:
                self.require(needed, kind)
        return symbol

    def scalar_loop(self) -> str:
        """A mark for the branch of a loop that is not to become one of vectors itself."""
        number = len(self.metadata)
        self.metadata.append(f"!{number} = distinct !{{!{number}, !{number + 1}}}")
        self.metadata.append(f'!{number + 1} = !{{!"llvm.loop.vectorize.enable", i1 false}}')
        return f", !llvm.loop !{number}"

    def text(self) -> str:
        """The whole module."""
        lines = "\n".join((*self.declarations.values(), *self.definitions.values(), *self.functions))
        # what vector math declares for itself may repeat
        seen: set[str] = set()
        kept: list[str] = []
        for line in lines.split("\n"):
            if line.startswith("declare "):
                if line in seen:
                    continue
                seen.add(line)
            kept.append(line)
        return "\n".join((*kept, ATTRIBUTES, *self.metadata, ""))


COMPARE = {
    "lt": ("olt", "slt", "ult"),
    "le": ("ole", "sle", "ule"),
    "gt": ("ogt", "sgt", "ugt"),
    "ge": ("oge", "sge", "uge"),
    "eq": ("oeq", "eq", "eq"),
    "ne": ("une", "ne", "ne"),
}


class Builder:
    """Writes the instructions of one function, in order.

    Arithmetic wants operands of one dtype, and gives it; `cast` first.
    """

    def __init__(self, module: Module) -> None:
        self.module = module
        self.lines: list[str] = []
        self.entry: list[str] = []  # allocations, which belong to the first block
        self.count = 0
        self.block = "entry"
        self.inline = True  # whether calls of vector math are inlined
        self.fuses = True  # whether a product and a sum may become one fused instruction, which rounds once
        self.math_calls = 0

    # ── writing ───────────────────────────────────────────────────────────────

    def emit(self, text: str, dtype: np.dtype | None) -> Value:
        """One instruction with a result."""
        self.count += 1
        ref = f"%t{self.count}"
        self.lines.append(f"  {ref} = {text}")
        return Value(ref, dtype)

    def effect(self, text: str) -> None:
        """One instruction without a result."""
        self.lines.append("  " + text)

    def label(self, hint: str = "b") -> str:
        """A fresh name for a block."""
        self.count += 1
        return f"{hint}{self.count}"

    def start(self, label: str) -> None:
        """Begin the block `label`; the block before must have ended in a branch."""
        self.lines.append(f"{label}:")
        self.block = label

    def branch(self, label: str) -> None:
        """End the block by going to `label`."""
        self.effect(f"br label %{label}")

    def branch_if(self, condition: Value, then: str, otherwise: str) -> None:
        """End the block by going to one of two."""
        self.effect(f"br i1 {condition.ref}, label %{then}, label %{otherwise}")

    def phi(self, dtype: np.dtype | None, first: Value, first_block: str) -> tuple[Value, Callable[[Value, str], None]]:
        """A loop-carried value: what it is when `first_block` enters, and how to say what comes around."""
        at = len(self.lines)
        value = self.emit("", dtype)
        kind = llvm_type(dtype)

        def close(again: Value, block: str) -> None:
            self.lines[at] = f"  {value.ref} = phi {kind} [{first.ref}, %{first_block}], [{again.ref}, %{block}]"

        return value, close

    @contextmanager
    def loop(
        self, low: int | Value, high: int | Value, step: int = 1, *, nonempty: bool = False, scalar: bool = False
    ) -> Iterator[Value]:
        """The block runs for i = low, low + step, … < high. `nonempty` says that it runs at least once, `scalar` that no
        vectors are made of its turns (but of what is within it)."""
        first = low if isinstance(low, Value) else self.const(low, I64)
        last = high if isinstance(high, Value) else self.const(high, I64)
        if isinstance(low, int) and isinstance(high, int):
            nonempty = low < high
        body, done = self.label("loop"), self.label("done")
        before = self.block
        if nonempty:
            self.branch(body)
        else:
            self.branch_if(self.compare("lt", first, last), body, done)
        self.start(body)
        i, close = self.phi(I64, first, before)
        yield i
        following = self.emit(f"add nuw nsw i64 {i.ref}, {step}", I64)
        close(following, self.block)
        self.branch_if(self.compare("lt", following, last), body, done)
        if scalar:
            self.lines[-1] += self.module.scalar_loop()
        self.start(done)

    @contextmanager
    def when(self, condition: Value) -> Iterator[None]:
        """The block runs if `condition` holds."""
        then, done = self.label("then"), self.label("done")
        self.branch_if(condition, then, done)
        self.start(then)
        yield
        self.branch(done)
        self.start(done)

    def allocate(self, dtype: np.dtype | None, count: int = 1) -> Value:
        """Memory on the stack, made once per call of the function; keep it small."""
        self.count += 1
        ref = f"%a{self.count}"
        kind = "ptr" if dtype is None else memory_type(dtype)
        self.entry.append(f"  {ref} = alloca {kind}, i64 {count}, align 64")
        return Value(ref, None)

    # ── memory ────────────────────────────────────────────────────────────────

    def at(self, pointer: Value, index: Value | int, dtype: np.dtype | None) -> Value:
        """The address of element `index`."""
        kind = "ptr" if dtype is None else memory_type(dtype)
        ref = index.ref if isinstance(index, Value) else index
        return self.emit(f"getelementptr inbounds {kind}, ptr {pointer.ref}, i64 {ref}", None)

    def load(self, pointer: Value, dtype: np.dtype | None, note: str = "") -> Value:
        """The element at an address; `note` is metadata to append."""
        if dtype is None:
            return self.emit(f"load ptr, ptr {pointer.ref}{note}", None)
        if dtype.kind == "b":
            byte = self.emit(f"load i8, ptr {pointer.ref}{note}", I8)
            return self.emit(f"icmp ne i8 {byte.ref}, 0", BOOL)
        return self.emit(f"load {llvm_type(dtype)}, ptr {pointer.ref}, align {dtype.itemsize}{note}", dtype)

    def store(self, value: Value, pointer: Value, note: str = "") -> None:
        """Write an element."""
        if value.dtype is not None and value.dtype.kind == "b":
            value = self.emit(f"zext i1 {value.ref} to i8", I8)
        self.effect(f"store {value}, ptr {pointer.ref}{note}")

    # ── constants and conversions ─────────────────────────────────────────────

    def const(self, x: Any, dtype: Any) -> Value:
        """A literal."""
        dtype = np.dtype(dtype)
        if dtype.kind == "f":
            with np.errstate(over="ignore"):
                return Value(hexadecimal(float(dtype.type(x))), dtype, float(dtype.type(x)))
        if dtype.kind == "b":
            return Value("true" if x else "false", dtype)
        return Value(str(int(x)), dtype)

    def like(self, x: Any, value: Value) -> Value:
        """A literal of the dtype of `value`."""
        return self.const(x, value.dtype)

    def cast(self, x: Value, dtype: Any) -> Value:
        """`x.astype(dtype)`; floats beyond an integer's range give what the hardware gives, as in NumPy."""
        dtype = np.dtype(dtype)
        old = x.dtype
        if old == dtype:
            return x
        to, unsigned = llvm_type(dtype), old.kind in "ub"
        if dtype.kind == "b":
            return self.compare("ne", x, self.like(0, x))
        if dtype.kind == "f":
            if old.kind == "f":
                what = "fpext" if dtype.itemsize > old.itemsize else "fptrunc"
            else:
                what = "uitofp" if unsigned else "sitofp"
        elif old.kind == "f":
            if dtype == np.uint64:
                return self._to_uint64(x)
            # as C compilers do it, since NumPy's results for what does not fit come from there
            wide = I32 if dtype.itemsize < 4 or dtype == I32 else I64
            found = self.emit(f"fptosi {x} to {llvm_type(wide)}", wide)
            return self.cast(self.emit(f"freeze {found}", wide), dtype)
        elif dtype.itemsize == old.itemsize and old.kind != "b":
            return Value(x.ref, dtype)
        elif dtype.itemsize < old.itemsize:
            what = "trunc"
        else:
            what = "zext" if unsigned else "sext"
        return self.emit(f"{what} {x} to {to}", dtype)

    def _to_uint64(self, x: Value) -> Value:
        """Floats from 2⁶³ on by way of what they exceed it by."""
        half = self.like(2.0**63, x)
        large = self.compare("ge", x, half)
        low = self.emit(f"fptosi {self.select(large, self.sub(x, half), x)} to i64", I64)
        low = self.emit(f"freeze {low}", I64)
        return Value(self.select(large, self.xor(low, self.const(-(2**63), I64)), low).ref, np.dtype(np.uint64))

    def bits(self, x: Value) -> Value:
        """A float's bits as a signed integer of its width."""
        kind = np.dtype(f"i{x.dtype.itemsize}")
        return self.emit(f"bitcast {x} to {llvm_type(kind)}", kind)

    def from_bits(self, x: Value, dtype: Any) -> Value:
        """The float with these bits."""
        dtype = np.dtype(dtype)
        return self.emit(f"bitcast {x} to {llvm_type(dtype)}", dtype)

    # ── arithmetic ────────────────────────────────────────────────────────────

    def _binary(self, floating: str, integer: str, x: Value, y: Value, flags: str = "contract ") -> Value:
        kind = llvm_type(x.dtype)
        if not self.fuses:
            flags = flags.replace("contract ", "")
        what = f"{floating} {flags}" if x.dtype.kind == "f" else f"{integer} "
        return self.emit(f"{what}{kind} {x.ref}, {y.ref}", x.dtype)

    @contextmanager
    def unfused(self) -> Iterator[None]:
        """Sums and products rounded one by one, as NumPy rounds them: for what must come out the same elsewhere."""
        before, self.fuses = self.fuses, False
        try:
            yield
        finally:
            self.fuses = before

    def add(self, x: Value, y: Value) -> Value:
        return self._binary("fadd", "or" if x.dtype.kind == "b" else "add", x, y)

    def sub(self, x: Value, y: Value) -> Value:
        return self._binary("fsub", "sub", x, y)

    def mul(self, x: Value, y: Value) -> Value:
        return self._binary("fmul", "and" if x.dtype.kind == "b" else "mul", x, y)

    def div(self, x: Value, y: Value) -> Value:
        """The quotient of floats."""
        return self._binary("fdiv", "", x, y, "")

    def accumulate(self, total: Value, x: Value) -> Value:
        """A sum whose order may be changed: for accumulators alone."""
        return self._binary("fadd", "add", total, x, "reassoc contract ")

    def multiply(self, total: Value, x: Value) -> Value:
        """A product whose order may be changed, likewise."""
        return self._binary("fmul", "and" if x.dtype.kind == "b" else "mul", total, x, "reassoc contract ")

    def neg(self, x: Value) -> Value:
        if x.dtype.kind == "f":
            return self.emit(f"fneg {x}", x.dtype)
        return self.emit(f"sub {x.type} 0, {x.ref}", x.dtype)

    def fma(self, x: Value, y: Value, z: Value) -> Value:
        """x·y + z, rounded once."""
        return self.intrinsic("fma", x, y, z)

    def quotient(self, x: Value, y: Value) -> Value:
        """Integers' quotient towards zero; `y` must not be 0 (nor -1 where `x` is the least integer)."""
        return self.emit(f"{'udiv' if x.dtype.kind == 'u' else 'sdiv'} {x}, {y.ref}", x.dtype)

    def remainder(self, x: Value, y: Value) -> Value:
        """What `quotient` leaves."""
        return self.emit(f"{'urem' if x.dtype.kind == 'u' else 'srem'} {x}, {y.ref}", x.dtype)

    def and_(self, x: Value, y: Value) -> Value:
        return self.emit(f"and {x}, {y.ref}", x.dtype)

    def or_(self, x: Value, y: Value) -> Value:
        return self.emit(f"or {x}, {y.ref}", x.dtype)

    def xor(self, x: Value, y: Value) -> Value:
        return self.emit(f"xor {x}, {y.ref}", x.dtype)

    def not_(self, x: Value) -> Value:
        return self.emit(f"xor {x}, {'true' if x.dtype.kind == 'b' else -1}", x.dtype)

    def shl(self, x: Value, y: Value) -> Value:
        return self.emit(f"shl {x}, {y.ref}", x.dtype)

    def shr(self, x: Value, y: Value) -> Value:
        """Shift right: arithmetic for signed integers, logical for unsigned ones."""
        return self.emit(f"{'lshr' if x.dtype.kind == 'u' else 'ashr'} {x}, {y.ref}", x.dtype)

    def compare(self, which: str, x: Value, y: Value) -> Value:
        """lt, le, gt, ge, eq, ne; a NaN is unequal to everything, and in no order."""
        floating, signed, unsigned = COMPARE[which]
        if x.dtype.kind == "f":
            return self.emit(f"fcmp {floating} {x}, {y.ref}", BOOL)
        return self.emit(f"icmp {unsigned if x.dtype.kind in 'ub' else signed} {x}, {y.ref}", BOOL)

    def select(self, condition: Value, x: Value, y: Value) -> Value:
        """`x` where `condition` holds, `y` elsewhere; neither is looked at where not chosen."""
        return self.emit(f"select i1 {condition.ref}, {x}, {y}", x.dtype)

    def isnan(self, x: Value) -> Value:
        return self.emit(f"fcmp uno {x}, {x.ref}", BOOL)

    # ── functions ─────────────────────────────────────────────────────────────

    def intrinsic(self, name: str, x: Value, *rest: Value, flags: str = "") -> Value:
        """`llvm.name` on operands of one float or integer type."""
        suffix = ("f" if x.dtype.kind == "f" else "i") + str(8 * x.dtype.itemsize)
        args = (x, *rest)
        full = f"llvm.{name}.{suffix}"
        self.module.declare(full, f"declare {x.type} @{full}({', '.join([x.type] * len(args))})")
        return self.emit(f"call {flags}{x.type} @{full}({', '.join(map(str, args))})", x.dtype)

    def sqrt(self, x: Value) -> Value:
        return self.intrinsic("sqrt", x)

    def abs(self, x: Value) -> Value:
        if x.dtype.kind == "f":
            return self.intrinsic("fabs", x)
        return x if x.dtype.kind in "ub" else self.select(self.compare("lt", x, self.like(0, x)), self.neg(x), x)

    def floor(self, x: Value) -> Value:
        return self.intrinsic("floor", x)

    def ceil(self, x: Value) -> Value:
        return self.intrinsic("ceil", x)

    def trunc(self, x: Value) -> Value:
        return self.intrinsic("trunc", x)

    def rint(self, x: Value) -> Value:
        """To the nearest integer, halves to even."""
        return self.intrinsic("rint", x)

    def fmod(self, x: Value, y: Value) -> Value:
        """What the quotient of floats towards zero leaves, exactly: a call of the C library for each element."""
        return self.emit(f"frem {x}, {y.ref}", x.dtype)

    def copysign(self, x: Value, y: Value) -> Value:
        return self.intrinsic("copysign", x, y)

    def maximum(self, x: Value, y: Value) -> Value:
        """The larger, or NaN if either is."""
        if x.dtype.kind == "f":
            return self.intrinsic("maximum", x, y, flags="nsz ")
        return self.select(self.compare("gt", x, y), x, y)

    def minimum(self, x: Value, y: Value) -> Value:
        """The smaller, or NaN if either is."""
        if x.dtype.kind == "f":
            return self.intrinsic("minimum", x, y, flags="nsz ")
        return self.select(self.compare("lt", x, y), x, y)

    def math(self, name: str, *xs: Value) -> Value:
        """A function of vector math (`lowering/vecmath`) on floats of one dtype."""
        symbol = self.module.require(name, xs[0].dtype)
        self.math_calls += 1
        how = "alwaysinline" if self.inline else "noinline"
        return self.emit(f"call {xs[0].type} @{symbol}({', '.join(map(str, xs))}) {how}", xs[0].dtype)

    # ── the function ──────────────────────────────────────────────────────────

    def function(self, head: str, tail: str = "ret void") -> str:
        """The finished text: `head` is everything before the brace, `tail` the last instruction."""
        lines = [f"{head} {{", "entry:", *self.entry, *self.lines]
        if tail:
            lines.append("  " + tail)
        return "\n".join([*lines, "}"])
