"""Loops over strided arrays: addresses, nests of loops, and copies into scratch memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager

import numpy as np

from wengert.lowering.emission import Emission, row_major
from wengert.lowering.text import I64, Builder, Value


def offset(b: Builder, indices: Sequence[Value | int], strides: Sequence[int], start: Value | int = 0) -> Value | int:
    """Σ index · stride, in elements."""
    total = start
    for i, stride in zip(indices, strides, strict=True):
        if stride == 0 or (isinstance(i, int) and i == 0):
            continue
        if isinstance(i, int):
            term: Value | int = i * stride
        else:
            term = i if stride == 1 else b.mul(i, b.const(stride, I64))
        if isinstance(term, int) and isinstance(total, int):
            total = total + term
        elif isinstance(total, int) and total == 0:
            total = term
        else:
            total = b.add(value(b, total), value(b, term))
    return total


def value(b: Builder, x: Value | int) -> Value:
    """An index as a value."""
    return x if isinstance(x, Value) else b.const(x, I64)


def moved(b: Builder, pointer: Value, by: Value | int, dtype: np.dtype) -> Value:
    """The address `by` elements further."""
    return pointer if isinstance(by, int) and by == 0 else b.at(pointer, by, dtype)


@contextmanager
def nest(b: Builder, sizes: Sequence[int]) -> Iterator[list[Value | int]]:
    """Nested loops, the last axis innermost; axes of length 1 have the index 0 and no loop. No axis may be empty."""
    with ExitStack() as stack:
        yield [stack.enter_context(b.loop(0, n)) if n != 1 else 0 for n in sizes]


def copy(e: Emission, pointer: Value, shape: Sequence[int], strides: Sequence[int], dtype: np.dtype) -> Value:
    """The elements of a strided array in row-major order, in scratch memory."""
    size = 1
    for n in shape:
        size *= n
    out = e.scratch(max(size, 1) * dtype.itemsize)
    copy_into(e.b, out, row_major(shape), pointer, strides, shape, dtype)
    return out


def copy_into(
    b: Builder,
    out: Value,
    to: Sequence[int],
    pointer: Value,
    strides: Sequence[int],
    shape: Sequence[int],
    dtype: np.dtype,
) -> None:
    """out[i · to] = pointer[i · strides]; the innermost loop is the axis with the shortest steps."""
    axes = [i for i in range(len(shape)) if shape[i] != 1]
    axes.sort(key=lambda i: (-abs(to[i]), -abs(strides[i])))
    run = 1
    while axes and to[axes[-1]] == strides[axes[-1]] == run:  # what lies in one piece on both sides
        run *= shape[axes.pop()]
    if run > 1:
        with nest(b, [shape[i] for i in axes]) as at:
            source = moved(b, pointer, offset(b, at, [strides[i] for i in axes]), dtype)
            target = moved(b, out, offset(b, at, [to[i] for i in axes]), dtype)
            memory_move(b, target, source, run * dtype.itemsize)
        return
    with nest(b, [shape[i] for i in axes]) as at:
        source = b.at(pointer, offset(b, at, [strides[i] for i in axes]), dtype)
        target = b.at(out, offset(b, at, [to[i] for i in axes]), dtype)
        b.store(b.load(source, dtype), target)


def memory_move(b: Builder, to: Value, source: Value, nbytes: int) -> None:
    """Copy bytes; LLVM makes moves of registers of short ones."""
    name = "llvm.memcpy.p0.p0.i64"
    b.module.declare(name, f"declare void @{name}(ptr, ptr, i64, i1)")
    b.effect(f"call void @{name}(ptr {to.ref}, ptr {source.ref}, i64 {nbytes}, i1 false)")


def memory_clear(b: Builder, to: Value, nbytes: int) -> None:
    """Zeros."""
    name = "llvm.memset.p0.i64"
    b.module.declare(name, f"declare void @{name}(ptr, i8, i64, i1)")
    b.effect(f"call void @{name}(ptr {to.ref}, i8 0, i64 {nbytes}, i1 false)")


def fill(b: Builder, pointer: Value, size: int, x: Value) -> None:
    """`size` elements become `x`."""
    if size:
        with b.loop(0, size) as i:
            b.store(x, b.at(pointer, i, x.dtype))
