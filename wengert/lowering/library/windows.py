"""Direct convolution: tiles of output channels × vectors of places, summed in registers over the window."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from wengert.lowering.emission import Emission
from wengert.lowering.library.image import Geometry
from wengert.lowering.library.strided import moved, nest, offset, value
from wengert.lowering.library.vector import WIDE, Vectors, lanes, pieces
from wengert.lowering.text import I64, Value

CHANNELS = 8 if WIDE else 6  # of a tile
REGISTERS = 24 if WIDE else 6  # accumulators of a tile
Part = tuple[int, int, int, int]  # start in the image, start in the result, lanes used, lanes


class Weights:
    """Kernels as (groups, blocks of output channels, window, channels of a block)."""

    def __init__(self, e: Emission, dtype: np.dtype, groups: int, rows: int, window: int) -> None:
        self.e, self.dtype, self.groups, self.rows, self.window = e, dtype, groups, rows, window
        self.pointer = e.scratch(groups * rows * window * dtype.itemsize)

    def pack(self, source: Value, element: Callable[[Value | int, Value | int, Value | int], Value | int]) -> None:
        """`element(group, row, place in the window)` says where an element lies in `source`."""
        b = self.e.b
        for first, height, count in self.runs():
            with nest(b, [self.groups, count, self.window, height]) as (g, block, w, r):
                row = offset(b, [block, r], [CHANNELS, 1], first)
                to = offset(b, [g, block, w, r], [self.rows * self.window, CHANNELS * self.window, height, 1])
                to = b.add(value(b, to), b.const(first * self.window, I64))
                x = b.load(b.at(source, element(g, row, w), self.dtype), self.dtype)
                b.store(x, b.at(self.pointer, to, self.dtype))

    def runs(self) -> list[tuple[int, int, int]]:
        """(first row, rows of a block, blocks) of whole blocks, and of what is left."""
        whole = self.rows // CHANNELS
        out = [(0, CHANNELS, whole)] if whole else []
        return [*out, (whole * CHANNELS, self.rows % CHANNELS, 1)] if self.rows % CHANNELS else out


def convolve(
    e: Emission,
    g: Geometry,
    weights: Weights,
    table: Value,
    group: Value | int,
    image: Value,
    out: Value,
) -> None:
    """One image of one group: out (rows, *places)."""
    b, dtype = e.b, weights.dtype
    size = math.prod(g.places)
    outer = g.places[:-1]
    lies = [math.prod(g.places[i + 1 :]) for i in range(len(g.places))]
    steps = g.place(g.places)
    last, width = g.places[-1], lanes(dtype)
    # short rows: a tile takes several
    vectors = min(8, REGISTERS // min(CHANNELS, weights.rows))
    together = max(1, min(outer[-1], vectors // -(-last // width))) if outer and last <= vectors * width else 1
    panel = last if last <= vectors * width else max(1, min(vectors, 4) // 2 * 2) * width
    kernels = moved(b, weights.pointer, offset(b, [group], [weights.rows * weights.window]), dtype)

    def tiles(image: Value, out: Value, count: int, n: int) -> None:
        """`count` rows of `n` places, for all channels: what they see of the image stays in the first cache."""
        parts = [
            (r * steps[-2] + at if r else at, r * lies[-2] + at if r else at, used, full)
            for r in range(count)
            for at, used, full in pieces(n, dtype)
        ]
        for first, height, blocks in weights.runs():
            with nest(b, [blocks]) as (i,):
                block = b.at(kernels, offset(b, [i], [CHANNELS * weights.window], first * weights.window), dtype)
                target = moved(b, out, offset(b, [i], [CHANNELS * size], first * size), dtype)
                _tile(e, dtype, image, target, parts, block, height, size, table, weights.window)

    def rows(image: Value, out: Value, count: int) -> None:
        """`count` rows of places."""
        whole = last // panel * panel
        if whole > panel:
            with b.loop(0, whole, panel) as first:
                tiles(b.at(image, first, dtype), b.at(out, first, dtype), count, panel)
        else:
            tiles(image, out, count, panel)
        if last > whole:
            tiles(moved(b, image, whole, dtype), moved(b, out, whole, dtype), count, last - whole)

    with nest(b, outer[:-1]) as at:
        target = moved(b, out, offset(b, at, lies[: len(at)]), dtype)
        source = moved(b, image, offset(b, at, steps[: len(at)]), dtype)
        if not outer:
            rows(source, target, 1)
            return
        n = outer[-1]
        whole = n // together * together
        with b.loop(0, whole, together) as j:
            rows(
                b.at(source, offset(b, [j], [steps[-2]]), dtype),
                b.at(target, offset(b, [j], [lies[-2]]), dtype),
                together,
            )
        if n > whole:
            rows(b.at(source, whole * steps[-2], dtype), b.at(target, whole * lies[-2], dtype), n - whole)


def _tile(
    e: Emission,
    dtype: np.dtype,
    image: Value,
    out: Value,
    parts: list[Part],
    block: Value,
    height: int,
    size: int,
    table: Value,
    window: int,
) -> None:
    b, v = e.b, Vectors(e.b, dtype)
    before, body, done = b.block, b.label("window"), b.label("done")
    b.branch(body)
    b.start(body)
    i, close = b.phi(I64, b.const(0, I64), before)
    zeros = {n: Value("zeroinitializer" if n > 1 else b.const(0, dtype).ref, dtype) for _, _, _, n in parts}
    sums = [[v.phi(zeros[n], before, n) for _, _, _, n in parts] for _ in range(height)]
    window_at = b.at(image, b.load(b.at(table, i, I64), I64), dtype)
    xs = [v.load(moved(b, window_at, at, dtype), used, n) for at, _, used, n in parts]
    kernels = b.at(block, offset(b, [i], [height]), dtype)
    new = []
    for r in range(height):
        w = b.load(moved(b, kernels, r, dtype), dtype)
        wide = {n: v.splat(w, n) for n in zeros}
        new.append([v.fma(x, wide[n], s, n) for x, (s, _), (_, _, _, n) in zip(xs, sums[r], parts, strict=True)])
    following = b.add(i, b.const(1, I64))
    close(following, b.block)
    for row, news in zip(sums, new, strict=True):
        for (_, again), x in zip(row, news, strict=True):
            again(x, b.block)
    b.branch_if(b.compare("lt", following, b.const(window, I64)), body, done)
    b.start(done)
    for r, row in enumerate(new):
        target = moved(b, out, r * size, dtype)
        for (_, at, used, n), x in zip(parts, row, strict=True):
            v.store(x, moved(b, target, at, dtype), used, n)
