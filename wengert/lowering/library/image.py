"""The geometry of a convolution, and its padded images in scratch memory.

An image is (C, *padded spatial axes) with the last axis cut into as many phases as its stride has steps: position j lies
in phase j % s at j // s. So the places of a window, one stride apart, are neighbours for every stride.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np

from wengert.lowering.emission import Emission, row_major
from wengert.lowering.library.strided import memory_clear, memory_move, offset
from wengert.lowering.text import I64, Value

Dims = tuple[int, ...]


@dataclass(frozen=True)
class Geometry:
    """How a window moves over an image, and where its elements lie."""

    channels: int
    extent: Dims  # of the image without padding
    kernel: Dims
    places: Dims
    strides: Dims
    padding: tuple[tuple[int, int], ...]
    dilation: Dims

    @staticmethod
    def of(channels: int, extent: Dims, kernel: Dims, places: Dims, params: dict[str, Any]) -> Geometry:
        return Geometry(channels, extent, kernel, places, params["strides"], params["padding"], params["dilation"])

    @property
    def size(self) -> Dims:
        """Of the padded image."""
        return tuple(n + lo + hi for n, (lo, hi) in zip(self.extent, self.padding, strict=True))

    @property
    def width(self) -> int:
        """Of a phase of the last axis."""
        return -(-self.size[-1] // self.strides[-1])

    @property
    def shape(self) -> Dims:
        """(C, *outer axes, phases, width)."""
        return (self.channels, *self.size[:-1], self.strides[-1], self.width)

    @property
    def elements(self) -> int:
        return math.prod(self.shape)

    @property
    def is_plain(self) -> bool:
        """Whether the image is as its operand stores it."""
        return self.strides[-1] == 1 and all(lo == hi == 0 for lo, hi in self.padding)

    def place(self, at: Sequence[int]) -> list[int]:
        """Steps in the image of one step along each axis of places."""
        steps = row_major(self.shape)[1:-2]
        return [*(s * t for s, t in zip(self.strides[:-1], steps, strict=True)), 1][: len(at)]

    def tap(self, k: Sequence[int]) -> int:
        """How far element `k` of the kernel lies from the window's first place."""
        steps = row_major(self.shape)[1:-2]
        outer = sum(d * i * t for d, i, t in zip(self.dilation[:-1], k[:-1], steps, strict=True))
        last = self.dilation[-1] * k[-1]
        return outer + last % self.strides[-1] * self.width + last // self.strides[-1]


class Image:
    """A padded image in scratch memory, whose border stays zero."""

    def __init__(self, e: Emission, g: Geometry, dtype: np.dtype) -> None:
        self.e, self.g, self.dtype = e, g, dtype
        self.pointer = e.scratch(max(1, g.elements) * dtype.itemsize)

    def clear(self) -> None:
        memory_clear(self.e.b, self.pointer, self.g.elements * self.dtype.itemsize)

    def read(self, source: Value) -> None:
        """The inside becomes the elements of (C, *extent) at `source`."""
        self._inside(lambda inside, outside: (outside, inside), source)

    def write(self, target: Value) -> None:
        """The inside goes to (C, *extent) at `target`; what was cropped there stays as it is."""
        self._inside(lambda inside, outside: (inside, outside), target)

    def _inside(self, direction: Any, other: Value) -> None:
        g, b, dtype = self.g, self.e.b, self.dtype
        mine, theirs = row_major(g.shape), row_major((g.channels, *g.extent))
        s = g.strides[-1]
        spans = [(max(0, lo), min(n + lo, n + lo + hi)) for n, (lo, hi) in zip(g.extent, g.padding, strict=True)]
        outer = [range(g.channels), *(range(a, z) for a, z in spans[:-1])]
        if not all(outer):
            return
        lows = [0, *(lo for lo, _ in g.padding)]
        for phase in range(s):
            first = -(-(max(0, spans[-1][0]) - phase) // s)
            last = -(-(spans[-1][1] - phase) // s)
            if first >= last:
                continue
            with ExitStack() as stack:
                at: list[Value | int] = [stack.enter_context(b.loop(r.start, r.stop)) for r in outer]
                at.append(first if s == 1 else stack.enter_context(b.loop(first, last)))
                # position j = i s + phase of the padded axis is element j - lo of the operand's
                inside = offset(b, at, [*mine[:-2], 1], phase * g.width)
                start = -sum(lo * t for lo, t in zip(lows[:-1], theirs[:-1], strict=True)) + phase - lows[-1]
                outside = offset(b, at, [*theirs[:-1], s], start)
                here, there = b.at(self.pointer, inside, dtype), b.at(other, outside, dtype)
                source, target = direction(here, there)
                if s == 1:
                    memory_move(b, target, source, (last - first) * dtype.itemsize)
                else:
                    b.store(b.load(source, dtype), target)


def offsets(e: Emission, g: Geometry) -> Value:
    """How far each (channel, element of the kernel) lies from the window's first place, in that order."""
    b = e.b
    taps = [g.tap(k) for k in np.ndindex(*g.kernel)]
    n, plane = len(taps), math.prod(g.shape[1:])
    name = "wg.taps." + hashlib.blake2s(repr(taps).encode(), digest_size=8).hexdigest()
    values = ", ".join(f"i64 {t}" for t in taps)
    b.module.define(name, f"@{name} = private unnamed_addr constant [{n} x i64] [{values}], align 8")
    table = e.scratch(8 * g.channels * n)
    with b.loop(0, g.channels) as c, b.loop(0, n) as k:
        tap = b.load(b.at(Value(f"@{name}", None), k, I64), I64)
        place = b.add(b.mul(c, b.const(n, I64)), k)
        b.store(b.add(tap, b.mul(c, b.const(plane, I64))), b.at(table, place, I64))
    return table
