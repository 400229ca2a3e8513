"""Linear algebra by LAPACK, matrix by matrix.

LAPACK reads columns: a matrix that lies in rows is its transpose to LAPACK. Inverses and determinants do not mind,
the upper factor of Cholesky is our lower one, and systems are solved with the transposed factors.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wengert.lowering.emission import Emission, Operand, row_major
from wengert.lowering.library import elimination
from wengert.lowering.library.axes import Axis
from wengert.lowering.library.blas import call, flag, integer, letter, real
from wengert.lowering.library.lanes import Lanes
from wengert.lowering.library.stacks import Flag, batch_axes, over
from wengert.lowering.library.strided import copy_into, value
from wengert.lowering.text import I32, I64, Value


def _failed(e: Emission, info: Value) -> Value:
    return e.b.compare("ne", e.b.load(info, I32), e.b.const(0, I32))


def _copied(e: Emission, to: Value, source: Value, n: int, dtype: np.dtype) -> None:
    copy_into(e.b, to, (1,), source, (1,), (n,), dtype)


def _getrf(e: Emission, n: int, a: Value, pivots: Value, info: Value, dtype: np.dtype) -> None:
    size = integer(e, n)
    call(e, f"lapack.{letter(dtype)}getrf", size, size, a, size, pivots, info)


def invert(e: Emission, a: Operand, out: Operand, mode: str, singular: Flag, refused: Flag) -> None:
    """inv, as `Inv` describes it."""
    b, n, dtype = e.b, a.shape[-1], a.dtype
    pivots, info, work = e.scratch(4 * n), b.allocate(I32), e.scratch(64 * n * dtype.itemsize)
    with over(e, batch_axes(2, a, None, out), (a, "x"), (out, "out")) as (x, y):
        _copied(e, y, x, n * n, dtype)
        _getrf(e, n, y, pivots, info, dtype)
        failed = _failed(e, info)
        good, bad, done = b.label("regular"), b.label("singular"), b.label("done")
        b.branch_if(failed, bad, good)
        b.start(good)
        size = integer(e, n)
        call(e, f"lapack.{letter(dtype)}getri", size, y, size, pivots, work, integer(e, 64 * n), info)
        if mode == "refuse":
            loss = b.mul(b.mul(_norm(e, x, n, dtype), _norm(e, y, n, dtype)), b.const(np.finfo(dtype).eps, dtype))
            refused.set_if(b.not_(b.compare("lt", loss, b.const(1e-3, dtype))))
        b.branch(done)
        b.start(bad)
        if mode == "infinite":
            with b.loop(0, n * n) as i:
                b.store(b.const(np.inf, dtype), b.at(y, i, dtype))
        else:
            singular.set_if(b.const(True, bool))
        b.branch(done)
        b.start(done)


def _norm(e: Emission, a: Value, n: int, dtype: np.dtype) -> Value:
    """The 1-norm of a matrix that lies in rows."""
    b = e.b
    largest, total = b.allocate(dtype), b.allocate(dtype)
    b.store(b.const(0, dtype), largest)
    with b.loop(0, n) as j:
        b.store(b.const(0, dtype), total)
        with b.loop(0, n) as i:
            at = b.add(b.mul(i, b.const(n, I64)), j)
            b.store(b.add(b.load(total, dtype), b.abs(b.load(b.at(a, at, dtype), dtype))), total)
        b.store(b.maximum(b.load(largest, dtype), b.load(total, dtype)), largest)
    return b.load(largest, dtype)


def moderate(v: Lanes, m: Value, k: str) -> list[Value]:
    """(x, r) with m · 2ᵏ = x · 2ʳ, where r is 0 unless x would not be a normal number."""
    bound = 900 if v.bits == 64 else 90
    near = elimination.clamped(v, k, bound)
    rest = v.integer("sub", k, near)
    r = v.b.emit(f"sitofp {v.integers()} {rest} to {v.kind}", v.dtype)
    return [v.mul(m, elimination.power_of_two(v, near)), r]


def determinants(e: Emission, a: Operand, out: Operand, rest: Operand | None) -> None:
    """det into `out`; or, if `rest` is given, numbers which times 2 to `rest` are the determinants."""
    b, n, dtype = e.b, a.shape[-1], a.dtype
    factors, pivots, info = e.scratch(n * n * dtype.itemsize), e.scratch(4 * n), b.allocate(I32)
    v = Lanes(b, dtype, 1)
    word = np.dtype(f"i{dtype.itemsize}")
    mantissa, power = b.allocate(dtype), b.allocate(word)
    arrays = [(a, "x"), (out, "out"), (rest or out, "out")]
    with over(e, batch_axes(2, a, None, out, 0), *arrays) as (x, y, z):
        _copied(e, factors, x, n * n, dtype)
        _getrf(e, n, factors, pivots, info, dtype)
        b.store(b.const(1, dtype), mantissa)
        b.store(b.const(0, word), power)
        with b.loop(0, n) as i:
            pivot = b.load(b.at(factors, b.mul(i, b.const(n + 1, I64)), dtype), dtype)
            p = b.load(b.at(pivots, i, I32), I32)
            moved = b.compare("ne", b.cast(p, I64), b.add(i, b.const(1, I64)))
            pivot = b.select(moved, b.neg(pivot), pivot)
            # the product so far stays between 1 and 2
            kept = elimination.Eliminated([[pivot]], [], [], "", "false")
            m, k = elimination.product_of_pivots(v, kept)
            product = elimination.Eliminated([[b.mul(b.load(mantissa, dtype), m)]], [], [], "", "false")
            m, again = elimination.product_of_pivots(v, product)
            b.store(m, mantissa)
            b.store(b.add(b.load(power, word), b.add(Value(k, word), Value(again, word))), power)
        m, k = b.load(mantissa, dtype), b.load(power, word)
        if rest is None:
            b.store(elimination.scaled(v, m, k.ref), y)
        else:
            number, exponent = moderate(v, m, k.ref)
            b.store(number, y)
            b.store(exponent, z)


def solve(e: Emission, axes: Sequence[Axis], a: Operand, right: Operand, out: Operand, singular: Flag) -> None:
    """A⁻¹ B; a matrix is factored once for all right-hand sides that it broadcasts to."""
    b, dtype = e.b, a.dtype
    n, k = out.shape[-2:]
    factors, pivots, info = e.scratch(n * n * dtype.itemsize), e.scratch(4 * n), b.allocate(I32)
    columns = e.scratch(n * k * dtype.itemsize)
    own, shared = [x for x in axes if x.x], [x for x in axes if not x.x]
    with over(e, own, (a, "x"), (right, "y"), (out, "out")) as (x, y, z):
        _copied(e, factors, x, n * n, dtype)
        _getrf(e, n, factors, pivots, info, dtype)
        singular.set_if(_failed(e, info))
        inner = (Operand(y, right.shape, right.strides, dtype), "y"), (Operand(z, out.shape, out.strides, dtype), "out")
        with over(e, shared, *inner) as (source, target):
            place = target if k == 1 else columns
            copy_into(b, place, (1, n), source, (k, 1), (n, k), dtype)
            size = integer(e, n)
            args = (flag(e, "T"), size, integer(e, k), factors, size, pivots, place, size, info)
            call(e, f"lapack.{letter(dtype)}getrs", *args)
            if k != 1:
                copy_into(b, target, (k, 1), columns, (1, n), (n, k), dtype)


def solve_triangular(
    e: Emission,
    axes: Sequence[Axis],
    a: Operand,
    right: Operand,
    out: Operand,
    lower: bool,
    unit: bool,
    stacked: bool,
) -> None:
    """A⁻¹ B by trsm: in columns, Xᵀ Aᵀ = Bᵀ."""
    b, dtype = e.b, a.dtype
    n, k = out.shape[-2:]
    singular = Flag(e)
    with over(e, axes, (a, "x"), (right, "y"), (out, "out")) as (x, y, z):
        if not unit:
            if stacked or n > 64:
                with b.loop(0, n) as i:
                    singular.set_if(_zero_at(e, x, b.mul(i, b.const(n + 1, I64)), dtype))
            else:
                for i in range(n):
                    message = f"singular matrix: the diagonal is zero at {i}"
                    e.fail_if(_zero_at(e, x, i * (n + 1), dtype), np.linalg.LinAlgError, message)
        _copied(e, z, y, n * k, dtype)
        flags = [flag(e, c) for c in ("R", "U" if lower else "L", "N", "U" if unit else "N")]
        rows, size = integer(e, k), integer(e, n)
        call(e, f"blas.{letter(dtype)}trsm", *flags, rows, size, real(e, 1.0, dtype), x, size, z, rows)
    message = "Singular matrix" if stacked else "singular matrix: the diagonal has a zero"
    e.fail_if(singular.read(), np.linalg.LinAlgError, message)


def _zero_at(e: Emission, a: Value, place: Value | int, dtype: np.dtype) -> Value:
    return e.b.compare("eq", e.b.load(e.b.at(a, place, dtype), dtype), e.b.const(0, dtype))


def cholesky(e: Emission, a: Operand, out: Operand, indefinite: Flag) -> None:
    """The lower factor of the symmetric part: LAPACK's upper one."""
    b, n, dtype = e.b, a.shape[-1], a.dtype
    info = b.allocate(I32)
    size = integer(e, n)
    with over(e, batch_axes(2, a, None, out), (a, "x"), (out, "out")) as (x, y):
        with b.loop(0, n) as i, b.loop(0, n) as j:
            ij, ji = _at(e, i, j, n), _at(e, j, i, n)
            total = b.add(b.load(b.at(x, ij, dtype), dtype), b.load(b.at(x, ji, dtype), dtype))
            b.store(b.mul(total, b.const(0.5, dtype)), b.at(y, ij, dtype))
        call(e, f"lapack.{letter(dtype)}potrf", flag(e, "U"), size, y, size, info)
        indefinite.set_if(_failed(e, info))
        with b.loop(0, n) as i, b.loop(b.add(i, b.const(1, I64)), n) as j:
            b.store(b.const(0, dtype), b.at(y, _at(e, i, j, n), dtype))


def _at(e: Emission, i: Value | int, j: Value | int, n: int) -> Value:
    b = e.b
    return b.add(b.mul(value(b, i), b.const(n, I64)), value(b, j))


def lu(e: Emission, a: Operand, packed: Operand, pivots: Operand, order: Operand) -> None:
    """The packed factors, the pivots from 0, and the order of the rows."""
    b, n, dtype = e.b, a.shape[-1], a.dtype
    factors, found, info = e.scratch(n * n * dtype.itemsize), e.scratch(4 * n), b.allocate(I32)
    which = order.dtype
    stack = batch_axes(2, a, pivots_as_matrices(pivots), packed)
    with over(e, stack, (a, "x"), (pivots, "y"), (packed, "out"), (order, "y")) as (x, p, out, rows):
        copy_into(b, factors, (1, n), x, (n, 1), (n, n), dtype)
        _getrf(e, n, factors, found, info, dtype)
        copy_into(b, out, (n, 1), factors, (1, n), (n, n), dtype)
        with b.loop(0, n) as i:
            b.store(b.cast(i, which), b.at(rows, i, which))
        with b.loop(0, n) as i:
            k = b.sub(b.load(b.at(found, i, I32), I32), b.const(1, I32))
            b.store(k, b.at(p, i, I32))
            here, there = b.at(rows, i, which), b.at(rows, b.cast(k, I64), which)
            old, new = b.load(here, which), b.load(there, which)
            b.store(new, here)
            b.store(old, there)


def pivots_as_matrices(v: Operand) -> Operand:
    """With a last axis of length 1, so that stacks of vectors are stacks of matrices."""
    shape = (*v.shape, 1)
    return Operand(v.pointer, shape, row_major(shape), v.dtype)
