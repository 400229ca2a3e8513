"""Vectors of floats in registers, for the few kernels in which LLVM's vectoriser does not find them."""

from __future__ import annotations

import importlib
from collections.abc import Callable

import numpy as np

from wengert.lowering.text import Builder, Value, llvm_type

BYTES = 64  # of the widest vector: LLVM splits what the CPU cannot hold in one register


def _has_wide_registers() -> bool:
    """Whether the CPU has 32 registers of 64 bytes; elsewhere a 64-byte vector takes two of 16, at best."""
    try:
        features = importlib.import_module("numpy._core._multiarray_umath").__cpu_features__
    except (ImportError, AttributeError):
        return False
    return bool(features.get("AVX512F"))


WIDE = _has_wide_registers()


def lanes(dtype: np.dtype) -> int:
    """How many elements the widest vector has."""
    return BYTES // dtype.itemsize


def pieces(n: int, dtype: np.dtype) -> list[tuple[int, int, int]]:
    """(first, lanes used, lanes) of vectors that cover `n` columns; what sticks out of the last is masked."""
    width, out = lanes(dtype), []
    for first in range(0, n, width):
        used = min(width, n - first)
        out.append((first, used, 1 << (used - 1).bit_length()))
    return out


class Vectors:
    """Instructions on vectors of one dtype. Values are `Value`s whose text is a vector's; keep them apart from scalars."""

    def __init__(self, b: Builder, dtype: np.dtype) -> None:
        self.b, self.dtype, self.element = b, dtype, llvm_type(dtype)

    def type(self, n: int) -> str:
        return self.element if n == 1 else f"<{n} x {self.element}>"

    def zero(self) -> Value:
        return Value("zeroinitializer", self.dtype)

    def load(self, pointer: Value, used: int, n: int) -> Value:
        """The `used` elements at an address; lanes beyond them are zero."""
        kind, align = self.type(n), self.dtype.itemsize
        if used == n:
            return self.b.emit(f"load {kind}, ptr {pointer.ref}, align {align}", self.dtype)
        self._declare("load", n)
        mask = self._mask(used, n)
        name = f"@llvm.masked.load.v{n}f{8 * align}.p0"
        return self.b.emit(
            f"call {kind} {name}(ptr {pointer.ref}, i32 {align}, {mask}, {kind} zeroinitializer)", self.dtype
        )

    def store(self, value: Value, pointer: Value, used: int, n: int) -> None:
        """The first `used` lanes go to an address."""
        kind, align = self.type(n), self.dtype.itemsize
        if used == n:
            self.b.effect(f"store {kind} {value.ref}, ptr {pointer.ref}, align {align}")
            return
        self._declare("store", n)
        name = f"@llvm.masked.store.v{n}f{8 * align}.p0"
        self.b.effect(f"call void {name}({kind} {value.ref}, ptr {pointer.ref}, i32 {align}, {self._mask(used, n)})")

    def _mask(self, used: int, n: int) -> str:
        bits = ", ".join(f"i1 {'true' if i < used else 'false'}" for i in range(n))
        return f"<{n} x i1> <{bits}>"

    def _declare(self, which: str, n: int) -> None:
        kind = self.type(n)
        full = f"llvm.masked.{which}.v{n}f{8 * self.dtype.itemsize}.p0"
        if which == "load":
            self.b.module.declare(full, f"declare {kind} @{full}(ptr, i32, <{n} x i1>, {kind})")
        else:
            self.b.module.declare(full, f"declare void @{full}({kind}, ptr, i32, <{n} x i1>)")

    def splat(self, x: Value, n: int) -> Value:
        """`x` in every lane."""
        if n == 1:
            return x
        kind = self.type(n)
        one = self.b.emit(f"insertelement {kind} poison, {self.element} {x.ref}, i64 0", self.dtype)
        return self.b.emit(f"shufflevector {kind} {one.ref}, {kind} poison, <{n} x i32> zeroinitializer", self.dtype)

    def fma(self, x: Value, y: Value, z: Value, n: int) -> Value:
        """x·y + z, in one rounding where the CPU has an instruction for that."""
        kind, bits = self.type(n), 8 * self.dtype.itemsize
        full = f"llvm.fmuladd.{'' if n == 1 else f'v{n}'}f{bits}"
        self.b.module.declare(full, f"declare {kind} @{full}({kind}, {kind}, {kind})")
        return self.b.emit(f"call {kind} @{full}({kind} {x.ref}, {kind} {y.ref}, {kind} {z.ref})", self.dtype)

    def binary(self, what: str, x: Value, y: Value, n: int) -> Value:
        """`fadd contract`, `fmul contract`, `fdiv` … of two vectors."""
        return self.b.emit(f"{what} {self.type(n)} {x.ref}, {y.ref}", self.dtype)

    def total(self, x: Value, n: int) -> Value:
        """The sum of the lanes, in any order."""
        if n == 1:
            return x
        full = f"llvm.vector.reduce.fadd.v{n}f{8 * self.dtype.itemsize}"
        kind = self.type(n)
        self.b.module.declare(full, f"declare {self.element} @{full}({self.element}, {kind})")
        return self.b.emit(
            f"call reassoc {self.element} @{full}({self.element} {Value('-0.0', None).ref}, {kind} {x.ref})", self.dtype
        )

    def phi(self, first: Value, block: str, n: int) -> tuple[Value, Callable[[Value, str], None]]:
        """As `Builder.phi`."""
        b, kind = self.b, self.type(n)
        at = len(b.lines)
        value = b.emit("", self.dtype)

        def close(again: Value, last: str) -> None:
            b.lines[at] = f"  {value.ref} = phi {kind} [{first.ref}, %{block}], [{again.ref}, %{last}]"

        return value, close
