"""Convolutions and their adjoints: direct kernels, and products of columns ("im2col") by BLAS.

conv, and conv_input with unit strides (a convolution with mirrored kernels), are computed directly from padded images;
conv_kernel, and conv_input with other strides, by BLAS on columns, one image at a time.
Source  Chellapilla, Puri & Simard (2006), High performance convolutional neural networks for document processing;
        Zhang, Franchetti & Low (2018), High performance zero-memory overhead direct convolutions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.core.aval import Aval
from wengert.lowering.emission import Emission, Emitter, Operand, Work, row_major
from wengert.lowering.library import blas
from wengert.lowering.library.annihilation import Convolved, annihilate
from wengert.lowering.library.image import Geometry, Image, offsets
from wengert.lowering.library.strided import copy_into, memory_clear, moved, nest, offset
from wengert.lowering.library.windows import Weights, convolve
from wengert.lowering.text import I64, Value


class Convolution(Emitter):
    """What the three ops share."""

    def supports(self, ins: Sequence[Aval], outs: Sequence[Aval], params: dict[str, Any]) -> bool:
        sizes = [d for v in (*ins, *outs) for d in v.shape]
        same = ins[0].dtype == ins[1].dtype == outs[0].dtype and ins[0].dtype.char in "fd"
        return same and math.prod(d for d in sizes if d) ** (1 / 2) < 2**62 and max(sizes) <= blas.LIMIT

    def emit(self, e: Emission, ins: Sequence[Operand], outs: Sequence[Operand], params: dict[str, Any]) -> Work:
        (out,) = outs
        if not out.size:
            return Work(0)
        if not all(v.size for v in ins):
            memory_clear(e.b, out.pointer, out.size * out.dtype.itemsize)
            return Work(0)
        g, form = self.form(ins, outs, params)
        note = self.write(e, ins[0], ins[1], out, g)
        if params.get("strong") and any(params["strong"]):
            annihilate(e, form, params["strong"], ins, out)
        n, groups, rows = form.examples, form.groups, form.rows
        flops = 2.0 * n * groups * rows * g.channels * math.prod(g.kernel) * math.prod(g.places)
        return Work(flops, note)

    def form(
        self, ins: Sequence[Operand], outs: Sequence[Operand], params: dict[str, Any]
    ) -> tuple[Geometry, Convolved]:
        """The window over x, whichever of x, w, y is the result."""
        x, w, y = self.roles(ins, outs)
        g = Geometry.of(x.shape[2], x.shape[3:], w.shape[3:], y.shape[3:], params)
        return g, Convolved(g, x.shape[0], x.shape[1], w.shape[1], self.result)

    result = "y"

    def roles(self, ins: Sequence[Operand], outs: Sequence[Operand]) -> tuple[Operand, Operand, Operand]:
        """x, w and y."""
        raise NotImplementedError

    def write(self, e: Emission, first: Operand, second: Operand, out: Operand, g: Geometry) -> str:
        """Write the kernel, and say which it is."""
        raise NotImplementedError


class Conv(Convolution):
    def roles(self, ins: Sequence[Operand], outs: Sequence[Operand]) -> tuple[Operand, Operand, Operand]:
        return ins[0], ins[1], outs[0]

    def write(self, e: Emission, first: Operand, second: Operand, out: Operand, g: Geometry) -> str:
        x, w = first, second
        groups, rows = w.shape[:2]
        window = g.channels * math.prod(g.kernel)
        weights = Weights(e, x.dtype, groups, rows, window)
        b = e.b
        weights.pack(w.pointer, lambda i, r, k: offset(b, [i, r, k], [rows * window, window, 1]))
        _direct(e, g, weights, x, out)
        return "direct"


def _direct(e: Emission, g: Geometry, weights: Weights, x: Operand, out: Operand) -> None:
    """All images of all groups."""
    b, dtype = e.b, x.dtype
    n, groups = x.shape[:2]
    table = offsets(e, g)
    image = None if g.is_plain else Image(e, g, dtype)
    if image is not None:
        image.clear()
    one, result = math.prod(x.shape[2:]), math.prod(out.shape[2:])
    with nest(b, [n, groups]) as (i, j):
        source = moved(b, x.pointer, offset(b, [i, j], [groups * one, one]), dtype)
        if image is not None:
            image.read(source)
            source = image.pointer
        target = moved(b, out.pointer, offset(b, [i, j], [groups * result, result]), dtype)
        convolve(e, g, weights, table, j, source, target)


class ConvInput(Convolution):
    result = "x"

    def roles(self, ins: Sequence[Operand], outs: Sequence[Operand]) -> tuple[Operand, Operand, Operand]:
        return outs[0], ins[1], ins[0]

    def write(self, e: Emission, first: Operand, second: Operand, out: Operand, g: Geometry) -> str:
        y, w = first, second
        if set(g.strides) <= {1}:
            self._mirrored(e, g, y, w, out)
            return "direct, mirrored kernel"
        self._added(e, g, y, w, out)
        return "columns by BLAS gemm, added up"

    def _mirrored(self, e: Emission, g: Geometry, y: Operand, w: Operand, out: Operand) -> None:
        b, (groups, rows) = e.b, w.shape[:2]
        k = math.prod(g.kernel)
        reach = [d * (n - 1) for d, n in zip(g.dilation, g.kernel, strict=True)]
        around = tuple(
            (r - lo, n - p + lo) for r, (lo, _), n, p in zip(reach, g.padding, g.extent, g.places, strict=True)
        )
        back = Geometry(rows, g.places, g.kernel, g.extent, g.strides, around, g.dilation)
        weights = Weights(e, y.dtype, groups, g.channels, rows * k)

        def element(i: Value | int, c: Value | int, place: Value | int) -> Value | int:
            # the place is (o, mirrored element), and w is (group, o, c, element)
            steps = [rows * g.channels * k, k]
            if k == 1:
                return offset(b, [i, c, place], [*steps, g.channels])
            if isinstance(place, int):
                o, at = divmod(place, k)
                return offset(b, [i, c], steps, o * g.channels * k + k - 1 - at)
            size = b.const(k, np.int64)
            o, at = b.quotient(place, size), b.remainder(place, size)
            return offset(b, [i, c, o, at], [*steps, g.channels * k, -1], k - 1)

        weights.pack(w.pointer, element)
        _direct(e, back, weights, y, out)

    def _added(self, e: Emission, g: Geometry, y: Operand, w: Operand, out: Operand) -> None:
        b, dtype = e.b, y.dtype
        n, groups, rows = y.shape[:3]
        window, size = g.channels * math.prod(g.kernel), math.prod(g.places)
        image, columns = Image(e, g, dtype), e.scratch(window * size * dtype.itemsize)
        table = offsets(e, g)
        one, result = rows * size, g.channels * math.prod(g.extent)
        if any(lo < 0 or hi < 0 for lo, hi in g.padding):
            memory_clear(b, out.pointer, out.size * dtype.itemsize)
        with nest(b, [n, groups]) as (i, j):
            source = moved(b, y.pointer, offset(b, [i, j], [groups * one, one]), dtype)
            kernels = moved(b, w.pointer, offset(b, [j], [rows * window]), dtype)
            blas.gemm(e, dtype, "NT", (size, window, rows), (source, size), (kernels, window), (columns, size))
            image.clear()
            _over_columns(e, g, table, image.pointer, columns, dtype, added=True)
            image.write(moved(b, out.pointer, offset(b, [i, j], [groups * result, result]), dtype))


class ConvKernel(Convolution):
    result = "w"

    def roles(self, ins: Sequence[Operand], outs: Sequence[Operand]) -> tuple[Operand, Operand, Operand]:
        return ins[0], outs[0], ins[1]

    def write(self, e: Emission, first: Operand, second: Operand, out: Operand, g: Geometry) -> str:
        b, x, y, dtype = e.b, first, second, first.dtype
        n, groups = x.shape[:2]
        rows = y.shape[2]
        window, size = g.channels * math.prod(g.kernel), math.prod(g.places)
        is_columns = g.is_plain and g.places == g.extent  # the image is its columns
        image = None if g.is_plain else Image(e, g, dtype)
        columns = None if is_columns else e.scratch(window * size * dtype.itemsize)
        table = columns and offsets(e, g)
        if image is not None:
            image.clear()
        memory_clear(b, out.pointer, out.size * dtype.itemsize)
        one, other = math.prod(x.shape[2:]), rows * size
        with nest(b, [n, groups]) as (i, j):
            source = moved(b, x.pointer, offset(b, [i, j], [groups * one, one]), dtype)
            if columns is not None and table is not None:
                if image is not None:
                    image.read(source)
                    source = image.pointer
                _over_columns(e, g, table, source, columns, dtype, added=False)
                source = columns
            beside = moved(b, y.pointer, offset(b, [i, j], [groups * other, other]), dtype)
            total = moved(b, out.pointer, offset(b, [j], [rows * window]), dtype)
            sizes = (window, rows, size)
            blas.gemm(e, dtype, "TN", sizes, (source, size), (beside, size), (total, window), beta=1.0)
        return "columns by BLAS gemm"


def _over_columns(
    e: Emission, g: Geometry, table: Value, image: Value, columns: Value, dtype: np.dtype, added: bool
) -> None:
    """Columns (window, places) from an image, or added up into it."""
    b, size = e.b, math.prod(g.places)
    inside, beside = g.place(g.places), row_major(g.places)
    with b.loop(0, g.channels * math.prod(g.kernel)) as i:
        there = b.at(image, b.load(b.at(table, i, I64), I64), dtype)
        here = b.at(columns, b.mul(i, b.const(size, I64)), dtype)
        if not added:
            copy_into(b, here, beside, there, inside, g.places, dtype)
        else:
            with nest(b, g.places) as at:
                to = moved(b, there, offset(b, at, inside), dtype)
                x = b.load(moved(b, here, offset(b, at, beside), dtype), dtype)
                b.store(b.add(b.load(to, dtype), x), to)
