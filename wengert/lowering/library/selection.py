"""What an index with integer arrays selects: loops over the selection, and addresses in the array that is indexed.

NumPy puts the axes of the index arrays in place of the first of them, or in front where something stands between them.
In loops the slices before the arrays come first, then the arrays' axes in order, then the slices behind.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from wengert.lowering.emission import Emission, Operand
from wengert.lowering.library.stacks import Flag
from wengert.lowering.library.strided import moved, nest, offset
from wengert.lowering.text import I64, Value
from wengert.ops.index import ARRAY


@dataclass(frozen=True)
class Slice:
    """An axis of the selection that a slice gives: `step` elements of the indexed array at a time."""

    size: int
    step: int


@dataclass(frozen=True)
class Selection:
    """Axes of a selection, in the order of its result."""

    before: tuple[Slice, ...]
    shape: tuple[int, ...]  # of the index arrays together
    after: tuple[Slice, ...]
    start: int  # where the slices begin
    bounds: tuple[tuple[int, int, int], ...]  # of each array: axis, size, elements a step

    @property
    def result(self) -> tuple[int, ...]:
        return (*(s.size for s in self.before), *self.shape, *(s.size for s in self.after))


def selection(spec: Any, shape: Sequence[int], strides: Sequence[int], arrays: Sequence[Sequence[int]]) -> Selection:
    """Of an array of this shape and these strides; `arrays` are the shapes of the index arrays."""
    entries = list(spec) if isinstance(spec, tuple) else [spec]
    used = sum(s is not None for s in entries)
    entries += [slice(None)] * (len(shape) - used)
    places = [i for i, s in enumerate(entries) if s is ARRAY]
    apart = any(s is not ARRAY for s in entries[places[0] : places[-1]])
    axis, start = 0, 0
    before: list[Slice] = []
    after: list[Slice] = []
    bounds = []
    for i, s in enumerate(entries):
        target = after if apart or i > places[0] else before
        if s is None:
            target.append(Slice(1, 0))
            continue
        n, step = shape[axis], strides[axis]
        if s is ARRAY:
            bounds.append((axis, n, step))
        else:
            first, last, by = s.indices(n)
            target.append(Slice(len(range(first, last, by)), by * step))
            start += first * step
        axis += 1
    return Selection(tuple(before), np.broadcast_shapes(*arrays), tuple(after), start, tuple(bounds))


def joined(shape: Sequence[int], strides: Sequence[Sequence[int]]) -> tuple[list[int], list[list[int]]]:
    """The axes of several arrays, in order, as few as possible; without those of length 1."""
    sizes: list[int] = []
    kept: list[list[int]] = [[] for _ in strides]
    for i, n in enumerate(shape):
        if n == 1:
            continue
        now = [s[i] for s in strides]
        if sizes and all(k[-1] == t * n for k, t in zip(kept, now, strict=True)):
            sizes[-1] *= n
            for k, t in zip(kept, now, strict=True):
                k[-1] = t
        else:
            sizes.append(n)
            for k, t in zip(kept, now, strict=True):
                k.append(t)
    return sizes, kept


class Walk:
    """The loops over a selection in an array at `pointer`, beside an array `values` of the selection's shape."""

    def __init__(
        self, e: Emission, of: Selection, pointer: Value, dtype: np.dtype, values: Operand, arrays: Sequence[Operand]
    ) -> None:
        self.e, self.of, self.dtype, self.values, self.arrays = e, of, dtype, values, arrays
        self.pointer = moved(e.b, pointer, of.start, dtype)
        self.flags = [Flag(e) for _ in arrays]
        lead = len(values.shape)
        aligned = (0,) * (len(of.result) - lead) + tuple(
            t if n != 1 else 0 for n, t in zip(values.shape, values.strides, strict=True)
        )
        n, m = len(of.before), len(of.before) + len(of.shape)
        self.outer = joined(of.result[:n], [[s.step for s in of.before], aligned[:n]])
        own = [self._aligned(a) for a in arrays]
        self.middle = joined(of.shape, [aligned[n:m], *own])
        self.inner = joined(of.result[m:], [[s.step for s in of.after], aligned[m:]])

    def _aligned(self, a: Operand) -> tuple[int, ...]:
        strides = tuple(t if n != 1 else 0 for n, t in zip(a.shape, a.strides, strict=True))
        return (0,) * (len(self.of.shape) - len(strides)) + strides

    @contextmanager
    def slices(self) -> Iterator[tuple[Value, Value]]:
        """Loops over what comes before the arrays: addresses in the array and in the values."""
        b = self.e.b
        sizes, (steps, beside) = self.outer
        with nest(b, sizes) as at:
            yield (
                moved(b, self.pointer, offset(b, at, steps), self.dtype),
                moved(b, self.values.pointer, offset(b, at, beside), self.values.dtype),
            )

    def place(self, at: Sequence[Value | int], pointer: Value) -> Value:
        """The address that the index arrays name at `at` of their axes."""
        b = self.e.b
        total: Value | None = None
        for a, strides, flag, (_, n, step) in zip(
            self.arrays, self.middle[1][1:], self.flags, self.of.bounds, strict=True
        ):
            i = b.cast(b.load(moved(b, a.pointer, offset(b, at, strides), a.dtype), a.dtype), I64)
            term = b.mul(self._checked(i, n, flag, a.dtype), b.const(step, I64))
            total = term if total is None else b.add(total, term)
        return pointer if total is None else b.at(pointer, total, self.dtype)

    def _checked(self, i: Value, n: int, flag: Flag, dtype: np.dtype) -> Value:
        """The index within bounds; those that are not raise the flag, and become 0."""
        b, size, zero = self.e.b, self.e.b.const(n, I64), self.e.b.const(0, I64)
        if dtype.kind == "i":
            i = b.select(b.compare("lt", i, zero), b.add(i, size), i)
        wrong = b.emit(f"icmp uge i64 {i.ref}, {n}", np.dtype(bool))
        flag.set_if(wrong)
        return b.select(wrong, zero, i)

    def refuse(self) -> None:
        """Errors of indices that were out of bounds."""
        for flag, (axis, n, _) in zip(self.flags, self.of.bounds, strict=True):
            message = f"index is out of bounds for axis {axis} with size {n}"
            self.e.fail_if(flag.read(), IndexError, message)
