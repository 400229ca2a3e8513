"""Matrix products by BLAS whose operands may hold subnormal numbers.

Weights that underflow (of a softmax, of a mixture) are such numbers. Each instruction that meets one takes a hundred cycles
more, and a product meets every element many times over: 3 % of them made one five times slower. So where samples find
subnormal numbers, the operand is multiplied by 2⁶⁴ in a copy, block by block, which is exact, and the product by 2⁻⁶⁴, which
is exact where it is not subnormal itself. A block that overflows so is multiplied as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from wengert.lowering.library import blas
from wengert.lowering.library.axes import Axis
from wengert.lowering.library.product import Pointers, Product
from wengert.lowering.library.strided import moved, nest, offset
from wengert.lowering.text import BOOL, I64, Builder, Value

WORTH = 1 << 23  # multiplications from which an operand is sampled
SAMPLES = 256
BLOCK = 1 << 21  # bytes of a block's copy
RISE = 64  # the exponent of what subnormal numbers are multiplied by


@dataclass(frozen=True)
class Factor:
    """One operand: `size` lines (rows of x, columns of y), and the steps from line to line and along a line."""

    pointer: Value
    size: int
    line: int
    along: int
    to: int  #: from line to line in the result


@dataclass(frozen=True)
class Matrices:
    """out = x y, of one dtype; the columns of the result lie side by side."""

    p: Product
    x: Factor
    y: Factor
    inner: int
    out: Value

    def emit(self, exponent: int = 0) -> None:
        """The call, with a product that is multiplied by a power of two."""
        # by columns: outᵀ (n × m) = yᵀ (n × k) xᵀ (k × m)
        x, y, k = self.x, self.y, self.inner
        a = ("N", max(y.along, y.size)) if y.line == 1 else ("T", max(y.line, k))
        b = ("N", max(x.line, k)) if x.along == 1 else ("T", max(x.along, x.size))
        blas.gemm(
            self.p.e,
            self.p.dtype,
            a[0] + b[0],
            (y.size, x.size, k),
            (y.pointer, a[1]),
            (x.pointer, b[1]),
            (self.out, max(x.to, y.size)),
            alpha=2.0**exponent,
        )


def multiply(p: Product, m: Axis, n: Axis, k: Axis, pointers: Pointers) -> None:
    """One product of two matrices, by BLAS."""
    x, y, out = pointers
    left, right = Factor(x, m.size, m.x, k.x, m.out), Factor(y, n.size, n.y, k.y, 1)
    product, b = Matrices(p, left, right, k.size, out), p.e.b
    if m.size * n.size * k.size < WORTH or min(m.size, n.size) < 8 or k.size * p.dtype.itemsize * 8 > BLOCK:
        product.emit()
        return
    in_x, in_y = (_sampled(b, f, k.size, p.dtype) for f in (left, right))
    with b.when(in_x):
        _lifted(product, left=True)
    with b.when(b.and_(in_y, b.xor(in_x, b.const(True, BOOL)))):
        _lifted(product, left=False)
    with b.when(b.xor(b.or_(in_x, in_y), b.const(True, BOOL))):
        product.emit()


def _sampled(b: Builder, f: Factor, inner: int, dtype: np.dtype) -> Value:
    """Whether one of a few elements is subnormal."""
    found = b.allocate(BOOL)
    b.store(b.const(False, BOOL), found)
    with b.loop(0, SAMPLES) as i:
        line = b.quotient(b.mul(i, b.const(f.size, I64)), b.const(SAMPLES, I64))
        place = b.remainder(b.mul(i, b.const(7919, I64)), b.const(inner, I64))
        v = b.load(b.at(f.pointer, offset(b, [line, place], [f.line, f.along]), dtype), dtype)
        exponent, fraction = _parts(b, v)
        small = b.and_(b.compare("eq", exponent, b.like(0, exponent)), b.compare("ne", fraction, b.like(0, fraction)))
        b.store(b.or_(b.load(found, BOOL), small), found)
    return b.load(found, BOOL)


def _parts(b: Builder, v: Value) -> tuple[Value, Value]:
    """The bits of the exponent and of the fraction."""
    bits = b.bits(v)
    digits = np.finfo(v.dtype).nmant
    exponents = (1 << (8 * v.dtype.itemsize - 1)) - (1 << digits)
    return b.and_(bits, b.like(exponents, bits)), b.and_(bits, b.like((1 << digits) - 1, bits))


def _lifted(whole: Matrices, left: bool) -> None:
    """The product, one operand multiplied by 2⁶⁴ on the way."""
    b, dtype = whole.p.e.b, whole.p.dtype
    f = whole.x if left else whole.y
    size = min(f.size, BLOCK // (whole.inner * dtype.itemsize) // 8 * 8)
    scratch = whole.p.e.scratch(size * whole.inner * dtype.itemsize)

    with b.loop(0, f.size, size) as first:
        # the last block begins where as many lines are left
        limit = b.const(f.size - size, I64)
        start = b.select(b.compare("lt", first, limit), first, limit) if f.size % size else first
        here = replace(f, pointer=moved(b, f.pointer, offset(b, [start], [f.line]), dtype), size=size)
        out = moved(b, whole.out, offset(b, [start], [f.to]), dtype)
        plain = replace(whole, x=here if left else whole.x, y=whole.y if left else here, out=out)
        copy = _copied(b, here, whole.inner, scratch, dtype)
        replace(plain, x=copy if left else plain.x, y=plain.y if left else copy).emit(-RISE)
        with b.when(b.isnan(_probe(b, out, (plain.x.size, plain.y.size), whole.x.to, dtype))):
            plain.emit()


def _copied(b: Builder, f: Factor, inner: int, scratch: Value, dtype: np.dtype) -> Factor:
    """2⁶⁴ times the lines, side by side as they are."""
    line, along = (inner, 1) if f.along == 1 else (1, f.size)
    extents, steps, to = [(f.size, inner), (f.line, f.along), (line, along)]
    if line == 1:
        extents, steps, to = extents[::-1], steps[::-1], to[::-1]
    with nest(b, extents) as at:
        v = b.load(b.at(f.pointer, offset(b, at, steps), dtype), dtype)
        b.store(_risen(b, v), b.at(scratch, offset(b, at, to), dtype))
    return replace(f, pointer=scratch, line=line, along=along)


def _risen(b: Builder, v: Value) -> Value:
    """2⁶⁴ v, without arithmetic on subnormal numbers: the fraction of one is an integer that counts the least of them."""
    exponent, fraction = _parts(b, v)
    none = b.compare("eq", exponent, b.like(0, exponent))
    least = float(np.finfo(v.dtype).smallest_subnormal) * 2.0**RISE
    small = b.copysign(b.mul(b.cast(fraction, v.dtype), b.like(least, v)), v)
    return b.select(none, small, b.mul(b.select(none, b.like(0, v), v), b.like(2.0**RISE, v)))


def _probe(b: Builder, out: Value, extents: Sequence[int], step: int, dtype: np.dtype) -> Value:
    """NaN if the result is not finite somewhere."""
    total, zero = b.allocate(dtype), b.const(0, dtype)
    b.store(zero, total)
    with nest(b, extents) as at:
        term = b.mul(b.load(b.at(out, offset(b, at, [step, 1]), dtype), dtype), zero)
        b.store(b.accumulate(b.load(total, dtype), term), total)
    return b.load(total, dtype)


__all__ = ["multiply"]
