"""Contractions: BLAS where matrices are large, kernels of our own where a call would cost more than it saves.

Every contraction is loops over four kinds of axes: batch (of both operands and the result), left (of x and the result),
right (of y and the result), inner (summed). Axes of one kind that lie one behind the other are one axis.
The operands are exchanged where that makes the result's unit step a right axis, so that results are written by rows.

Source  Van Zee & van de Geijn (2015), BLIS: register tiles of a matrix product; Matthews (2016), tensor contractions
        without transposing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from wengert.core.aval import Aval
from wengert.lowering.emission import Emission, Emitter, Operand, Work
from wengert.lowering.library import blas, subnormals
from wengert.lowering.library.axes import BATCH, INNER, LEFT, RIGHT, Axis, axes_of, grouped, merged
from wengert.lowering.library.product import Product, fill_zero, outer, sums
from wengert.lowering.library.tile import tiles
from wengert.lowering.library.vector import WIDE
from wengert.ops.contract import LABELS, places

# measured: up to so many multiplications per matrix, and bytes of three matrices, tiles are faster than BLAS
SMALL = 320**3 if WIDE else 64**3
BYTES = 1 << 22
TRANSPOSED = 40**3  # multiplications, where the second operand has to be transposed for few rows of the first


class Contraction(Emitter):
    """What `contract` and `matmul` share."""

    def labels(self, ins: Sequence[Aval], params: dict[str, Any]) -> tuple[str, str, str]:
        """The names of the axes of both operands and of the result."""
        raise NotImplementedError

    def supports(self, ins: Sequence[Aval], outs: Sequence[Aval], params: dict[str, Any]) -> bool:
        x, y = ins
        sizes: dict[str, int] = {}
        for names, v in zip(self.labels(ins, params), (x, y, outs[0]), strict=True):
            for name, n in zip(names, v.shape, strict=True):
                sizes[name] = max(n, sizes.get(name, 1))
        return (
            x.dtype == y.dtype == outs[0].dtype
            and x.dtype.char in "fd"
            and math.prod(sizes.values()) < 2**62
            and max(sizes.values(), default=0) <= blas.LIMIT
        )

    def takes(self, i: int, strides: tuple[int, ...], ins: Sequence[Aval], params: dict[str, Any]) -> bool:
        return all(abs(s) <= blas.LIMIT for s in strides)

    def emit(self, e: Emission, ins: Sequence[Operand], outs: Sequence[Operand], params: dict[str, Any]) -> Work:
        x, y = ins
        (out,) = outs
        axes = axes_of(x, y, out, self.labels([Aval(v.shape, v.dtype) for v in ins], params))
        total = math.prod(a.size for a in axes)
        if not out.size:
            return Work(0)
        if not total:
            fill_zero(e.b, out)
            return Work(0)
        product = Product(e, x.dtype, x.pointer, y.pointer, out.pointer, params.get("strong"), grouped(axes))
        note = contract(product)
        return Work(2.0 * total if product.axes[INNER] else total, note)


class Contract(Contraction):
    def labels(self, ins: Sequence[Aval], params: dict[str, Any]) -> tuple[str, str, str]:
        return places(params["subscripts"])


class MatMul(Contraction):
    def labels(self, ins: Sequence[Aval], params: dict[str, Any]) -> tuple[str, str, str]:
        x, y = ins
        lead = max(x.ndim, y.ndim, 2) - 2
        batch = LABELS[3 : 3 + lead]
        a, b = ("ab" if x.ndim > 1 else "b"), ("bc" if y.ndim > 1 else "b")
        return batch[lead - max(x.ndim - 2, 0) :] + a, batch[lead - max(y.ndim - 2, 0) :] + b, batch + a[:-1] + b[1:]


# ── choices ───────────────────────────────────────────────────────────────────


def contract(p: Product) -> str:
    """Write the loops of a contraction, and say which way was taken."""
    if not p.axes[INNER]:
        outer(p)
        return "outer product"
    unit = next((a for kind in (BATCH, LEFT, RIGHT) for a in p.axes[kind] if a.out == 1), None)
    if unit is not None and unit.kind == LEFT:
        p = p.swapped()
    note = _choose(p, unit is not None and unit.kind == BATCH)
    p.annihilate()
    return note


def _choose(p: Product, interleaved: bool) -> str:
    left, right = p.axes[LEFT], p.axes[RIGHT]
    per = [math.prod(a.size for a in p.axes[k]) for k in (LEFT, RIGHT, INNER)]
    if not right or interleaved:
        if left and right and math.prod(per) > SMALL:
            return _interleaved(p)
        sums(p)
        return "sums"
    if not left:
        return _matrix_vector(p)
    return _small(p) if _is_small(p, *per) else _matrices(p)


def _is_small(p: Product, m: int, n: int, k: int) -> bool:
    nbytes = (m * n + m * k + n * k) * p.dtype.itemsize
    limit = SMALL if p.axes[RIGHT][-1].y == 1 or m >= 16 else TRANSPOSED
    return m * n * k <= limit and nbytes <= BYTES


def _matrix_vector(p: Product) -> str:
    """out[n] = Σ x[k] y[k, n]."""
    p = p.with_one_inner()
    (k,), n = p.axes[INNER], p.axes[RIGHT][-1]
    rest = [*p.axes[BATCH], *p.axes[RIGHT][:-1]]
    if k.size * n.size <= VECTOR or k.x <= 0 or not _blas_ready(k.y, n.y, k.size, n.size):
        if n.y == 1 and n.out == 1:
            tiles(p)
            return "register tiles"
        sums(p)
        return "sums"
    with p.over(rest) as (x, y, out):
        if n.y == 1:
            blas.gemv(p.e, p.dtype, "N", (n.size, k.size), (y, max(k.y, n.size)), (x, k.x), (out, n.out))
        else:
            blas.gemv(p.e, p.dtype, "T", (k.size, n.size), (y, max(n.y, k.size)), (x, k.x), (out, n.out))
    return "BLAS gemv"


VECTOR = 96 * 96


def _blas_ready(first: int, second: int, n_first: int, n_second: int) -> bool:
    """Whether a matrix with these steps is one of BLAS's, in one order or the other."""
    return (second == 1 and (first >= n_second or n_first == 1)) or (
        first == 1 and (second >= n_first or n_second == 1)
    )


def _small(p: Product) -> str:
    """A stack of small products, by register tiles."""
    p = p.with_one_inner()
    n = p.axes[RIGHT][-1]
    if n.out != 1:
        sums(p)
        return "sums"
    if n.y != 1:
        p = p.packed_y([*p.axes[BATCH], *p.axes[RIGHT][:-1], *p.axes[INNER], n])
    tiles(p)
    return "register tiles"


def _matrices(p: Product) -> str:
    """A stack of products by BLAS."""
    p = p.with_one_inner()
    for kind in (LEFT, RIGHT):
        # axes that are one in the result become one in the operand too, by a copy
        if len(p.axes[kind]) > 1 and len(merged([_of_result(a) for a in p.axes[kind]])) == 1:
            order = [*p.axes[BATCH], *p.axes[kind], *p.axes[INNER]]
            p = p.packed_x(order) if kind == LEFT else p.packed_y(order)
    m, n = _largest(p.axes[LEFT]), _largest(p.axes[RIGHT])
    if n.out != 1:
        n = next((a for a in p.axes[RIGHT] if a.out == 1), n)
    (k,) = p.axes[INNER]
    if n.out != 1 or (m.out < n.size and m.size > 1):
        return _interleaved(p)
    if not _blas_ready(m.x, k.x, m.size, k.size):
        p = p.packed_x([*p.axes[BATCH], *p.axes[LEFT], k])
        return _matrices(p)
    if not _blas_ready(k.y, n.y, k.size, n.size):
        p = p.packed_y([*p.axes[BATCH], *p.axes[RIGHT], k])
        return _matrices(p)
    rest = [a for kind in (BATCH, LEFT, RIGHT) for a in p.axes[kind] if a is not m and a is not n]
    with p.over(rest) as pointers:
        subnormals.multiply(p, m, n, k, pointers)
    return "BLAS gemm"


def _of_result(a: Axis) -> Axis:
    return Axis(a.size, 0, 0, a.out, a.kind)


def _largest(axes: Sequence[Axis]) -> Axis:
    return max(axes, key=lambda a: a.size)


def _interleaved(p: Product) -> str:
    """No axis of either operand is the result's last: the product is computed in order, and then moved."""
    order = [*p.axes[BATCH], *p.axes[LEFT], *p.axes[RIGHT]]
    inside, put = p.into_scratch(order)
    note = _choose(inside, False)
    put()
    return note + ", transposed"


__all__ = ["Contract", "MatMul"]
