"""Inverses, determinants, solutions and Cholesky factors: small matrices in lanes, large ones by LAPACK."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wengert.core.aval import Aval
from wengert.lowering.emission import Emission, Emitter, Operand, Work, row_major
from wengert.lowering.library import blas, blocks, elimination, lapack
from wengert.lowering.library.axes import Axis
from wengert.lowering.library.lanes import Lanes
from wengert.lowering.library.stacks import Flag, batch_axes, in_lanes, number
from wengert.lowering.text import Value

UNROLLED = 4  # matrices up to this size are unrolled
SINGULAR = "Singular matrix"
REFUSED = "Singular matrix, to working precision, where this derivative needs a regular one"


class Algebra(Emitter):
    """Ops on stacks of matrices of one float dtype."""

    def supports(self, ins: Sequence[Aval], outs: Sequence[Aval], params: dict[str, Any]) -> bool:
        sizes = [d for v in (*ins, *outs) for d in v.shape]
        same = len({v.dtype for v in ins}) == 1 and ins[0].dtype.char in "fd"
        if any(v.size for v in outs) and not all(v.size for v in ins):  # the determinant of nothing
            return False
        return same and max(sizes, default=0) <= blas.LIMIT and outs[0].dtype == ins[0].dtype


class Inv(Algebra):
    def emit(self, e: Emission, ins: Sequence[Operand], outs: Sequence[Operand], params: dict[str, Any]) -> Work:
        (a,), (out,) = ins, outs
        n, mode = a.shape[-1], params.get("singular", "raise")
        if not out.size:
            return Work(0)
        singular, refused = Flag(e), Flag(e)
        axes = batch_axes(2, a, None, out)
        note = "LAPACK getrf, getri"
        if n <= UNROLLED:
            note = "unrolled"

            def body(v: Lanes, values: list[Value], _: list[Value]) -> list[Value]:
                rows = elimination.matrix(values, n)
                done = elimination.eliminated(v, rows, elimination.identity(v, n))
                inverse = elimination.back_substituted(v, done)
                if mode == "infinite":
                    inverse = [[v.select(done.singular, v.constant(np.inf), c) for c in r] for r in inverse]
                else:
                    singular.set_if(v.any(done.singular))
                if mode == "refuse":
                    eps = v.constant(float(np.finfo(a.dtype).eps))
                    loss = v.mul(elimination.condition(v, rows, inverse), eps)
                    refused.set_if(v.any(v.compare("uge", loss, v.constant(1e-3))))
                return [c for r in inverse for c in r]

            in_lanes(e, axes, a, None, out, (n * n, 0, n * n), body)
        elif blocks.serves(axes, n, (n * n, 0, n * n)):
            note = "eight at a time"
            _invert_blocks(e, axes, a, out, mode, singular, refused)
        else:
            lapack.invert(e, a, out, mode, singular, refused)
        if mode != "infinite":
            e.fail_if(singular.read(), np.linalg.LinAlgError, SINGULAR)
        if mode == "refuse":
            e.fail_if(refused.read(), np.linalg.LinAlgError, REFUSED)
        return Work(2.0 * number(a, 2) * n**3, note)


def _invert_blocks(
    e: Emission, axes: Sequence[Axis], a: Operand, out: Operand, mode: str, singular: Flag, refused: Flag
) -> None:
    n = a.shape[-1]

    def body(v: Lanes, x: Value, _: Value, z: Value) -> None:
        rows, inverse = blocks.Cells(e, v, n, n), blocks.Cells(e, v, n, n)
        rows.read(x, n * n)
        size = blocks.norm(e, v, rows) if mode == "refuse" else None
        blocks.set_identity(v, inverse)
        done = blocks.Elimination(e, v, rows, inverse, None if mode == "infinite" else singular)
        done.run()
        done.solved()
        if size is not None:
            loss = v.mul(v.mul(size, blocks.norm(e, v, inverse)), v.constant(float(np.finfo(a.dtype).eps)))
            refused.set_if(v.any(v.compare("uge", loss, v.constant(1e-3))))
        if mode == "infinite":
            none = v.compare("oeq", done.good.get(0, 0), v.constant(0.0))
            with e.b.loop(0, n) as i, e.b.loop(0, n) as j:
                inverse.set(i, j, v.select(none, v.constant(np.inf), inverse.get(i, j)))
        inverse.write(z, n * n)

    blocks.in_blocks(e, axes, a, a, out, body)


def _pivots_in_blocks(
    e: Emission, axes: Sequence[Axis], a: Operand, out: Operand, results: Callable[[Lanes, Value, str], list[Value]]
) -> None:
    """`results(lanes, m, k)` of determinants m · 2ᵏ go to `out`."""
    n = a.shape[-1]

    def body(v: Lanes, x: Value, _: Value, z: Value) -> None:
        rows = blocks.Cells(e, v, n, n)
        rows.read(x, n * n)
        done = blocks.Elimination(e, v, rows, None, None)
        done.run()
        v.store(results(v, *elimination.product_of_pivots(v, done.pivots())), z)

    blocks.in_blocks(e, axes, a, a, out, body)


class Det(Algebra):
    def emit(self, e: Emission, ins: Sequence[Operand], outs: Sequence[Operand], params: dict[str, Any]) -> Work:
        (a,), (out,) = ins, outs
        n = a.shape[-1]
        if not out.size:
            return Work(0)
        axes, note = batch_axes(2, a, None, out, 0), "unrolled" if n <= UNROLLED else "LAPACK getrf"
        if n <= UNROLLED:

            def body(v: Lanes, values: list[Value], _: list[Value]) -> list[Value]:
                done = elimination.eliminated(v, elimination.matrix(values, n), [[]] * n)
                return [elimination.scaled(v, *elimination.product_of_pivots(v, done))]

            in_lanes(e, axes, a, None, out, (n * n, 0, 1), body)
        elif blocks.serves(axes, n, (n * n, 0, 1)):
            note = "eight at a time"
            _pivots_in_blocks(e, axes, a, out, lambda v, m, k: [elimination.scaled(v, m, k)])
        else:
            lapack.determinants(e, a, out, None)
        return Work(2 / 3 * number(a, 2) * n**3, note)


class DetCofactor(Algebra):
    """Minors, which need no regular matrix; larger ones need singular values where they are singular."""

    def supports(self, ins: Sequence[Aval], outs: Sequence[Aval], params: dict[str, Any]) -> bool:
        return ins[0].shape[-1] <= UNROLLED and super().supports(ins, outs, params)

    def emit(self, e: Emission, ins: Sequence[Operand], outs: Sequence[Operand], params: dict[str, Any]) -> Work:
        (a,), (out,) = ins, outs
        n = a.shape[-1]

        def body(v: Lanes, values: list[Value], _: list[Value]) -> list[Value]:
            return elimination.cofactors(v, elimination.matrix(values, n))

        if out.size:
            in_lanes(e, batch_axes(2, a, None, out), a, None, out, (n * n, 0, n * n), body)
        return Work(2.0 * number(a, 2) * n**3, "unrolled")


class SlogDet(Algebra):
    def emit(self, e: Emission, ins: Sequence[Operand], outs: Sequence[Operand], params: dict[str, Any]) -> Work:
        (a,), (sign, log) = ins, outs
        n = a.shape[-1]
        if not sign.size:
            return Work(0)
        rest = Operand(e.scratch(log.size * log.dtype.itemsize), log.shape, log.strides, log.dtype)
        shape = (*log.shape, 2)
        pairs = Operand(e.scratch(2 * log.size * log.dtype.itemsize), shape, row_major(shape), log.dtype)
        axes, note = batch_axes(2, a, None, pairs, 1), "unrolled"
        if n <= UNROLLED:

            def body(v: Lanes, values: list[Value], _: list[Value]) -> list[Value]:
                done = elimination.eliminated(v, elimination.matrix(values, n), [[]] * n)
                return lapack.moderate(v, *elimination.product_of_pivots(v, done))

            in_lanes(e, axes, a, None, pairs, (n * n, 0, 2), body)
            self._parted(e, pairs, log, rest)
        elif blocks.serves(axes, n, (n * n, 0, 2)):
            note = "eight at a time"
            _pivots_in_blocks(e, axes, a, pairs, lapack.moderate)
            self._parted(e, pairs, log, rest)
        else:
            note = "LAPACK getrf"
            lapack.determinants(e, a, log, rest)
        self._logarithms(e, sign, log, rest)
        return Work(2 / 3 * number(a, 2) * n**3, note)

    def _parted(self, e: Emission, pairs: Operand, log: Operand, rest: Operand) -> None:
        b = e.b
        with b.loop(0, log.size) as i:
            for k, to in ((0, log), (1, rest)):
                at = b.add(b.mul(i, b.const(2, np.int64)), b.const(k, np.int64))
                b.store(b.load(b.at(pairs.pointer, at, log.dtype), log.dtype), b.at(to.pointer, i, log.dtype))

    def _logarithms(self, e: Emission, sign: Operand, log: Operand, rest: Operand) -> None:
        """`log` holds numbers of which, times 2 to `rest`, the logarithms are wanted."""
        b, dtype = e.b, log.dtype
        with b.loop(0, log.size) as i:
            to = b.at(log.pointer, i, dtype)
            m, k = b.load(to, dtype), b.load(b.at(rest.pointer, i, dtype), dtype)
            zero = b.const(0, dtype)
            one = b.copysign(b.const(1, dtype), m)
            flat = b.select(b.compare("eq", m, zero), zero, b.select(b.isnan(m), b.const(1, dtype), one))
            b.store(flat, b.at(sign.pointer, i, dtype))
            b.store(b.add(b.math("log", b.abs(m)), b.mul(k, b.const(np.log(2), dtype))), to)


class Solve(Algebra):
    def emit(self, e: Emission, ins: Sequence[Operand], outs: Sequence[Operand], params: dict[str, Any]) -> Work:
        (a, right), (out,) = ins, outs
        n, k = right.shape[-2:]
        if not out.size:
            return Work(0)
        singular = Flag(e)
        axes = batch_axes(2, a, right, out)
        small = n <= UNROLLED and n * k <= 16
        note = "unrolled" if small else "LAPACK getrf, getrs"
        if small:

            def body(v: Lanes, values: list[Value], others: list[Value]) -> list[Value]:
                done = elimination.eliminated(v, elimination.matrix(values, n), elimination.matrix(others, k))
                singular.set_if(v.any(done.singular))
                return [c for r in elimination.back_substituted(v, done) for c in r]

            in_lanes(e, axes, a, right, out, (n * n, n * k, n * k), body)
        elif blocks.serves(axes, n, (n * n, n * k, n * k)):

            def block(v: Lanes, x: Value, y: Value, z: Value) -> None:
                rows, columns = blocks.Cells(e, v, n, n), blocks.Cells(e, v, n, k)
                rows.read(x, n * n)
                columns.read(y, n * k if axes[-1].y else 0)
                done = blocks.Elimination(e, v, rows, columns, singular)
                done.run()
                done.solved()
                columns.write(z, n * k)

            note = "eight at a time"
            blocks.in_blocks(e, axes, a, right, out, block)
        else:
            lapack.solve(e, axes, a, right, out, singular)
        e.fail_if(singular.read(), np.linalg.LinAlgError, SINGULAR)
        return Work(number(out, 2) * (2 / 3 * n**3 + 2.0 * n * n * k), note)


class SolveTriangular(Algebra):
    def emit(self, e: Emission, ins: Sequence[Operand], outs: Sequence[Operand], params: dict[str, Any]) -> Work:
        (a, right), (out,) = ins, outs
        n, k = right.shape[-2:]
        lower, unit = params["lower"], params.get("unit", False)
        if not out.size:
            return Work(0)
        axes = batch_axes(2, a, right, out)
        stacked = len(a.shape) > 2 or len(right.shape) > 2
        small = n <= UNROLLED and n * k <= 16
        note = "unrolled" if small else "BLAS trsm"
        if small and (stacked or unit):
            singular = Flag(e)

            def body(v: Lanes, values: list[Value], others: list[Value]) -> list[Value]:
                rows, columns = elimination.matrix(values, n), elimination.matrix(others, k)
                x, bad = elimination.triangular_solved(v, rows, columns, lower, unit)
                singular.set_if(v.any(bad))
                return [c for r in x for c in r]

            in_lanes(e, axes, a, right, out, (n * n, n * k, n * k), body)
            e.fail_if(singular.read(), np.linalg.LinAlgError, SINGULAR)
        elif blocks.serves(axes, n, (n * n, n * k, n * k)):
            note = "eight at a time"
            singular = Flag(e)
            blocks.in_blocks(e, axes, a, right, out, _triangular_block(e, n, k, lower, unit, axes[-1], singular))
            e.fail_if(singular.read(), np.linalg.LinAlgError, SINGULAR)
        else:
            lapack.solve_triangular(e, axes, a, right, out, lower, unit, stacked)
        return Work(number(out, 2) * float(n * n * k), note)


def _triangular_block(
    e: Emission, n: int, k: int, lower: bool, unit: bool, last: Axis, singular: Flag
) -> Callable[[Lanes, Value, Value, Value], None]:
    def block(v: Lanes, x: Value, y: Value, z: Value) -> None:
        rows, columns, inverse = (blocks.Cells(e, v, n, m) for m in (n, k, 1))
        rows.read(x, n * n)
        columns.read(y, n * k if last.y else 0)
        if not unit:
            with e.b.loop(0, n) as i:
                pivot = rows.get(i, i)
                singular.set_if(v.any(v.compare("oeq", pivot, v.constant(0.0))))
                inverse.set(i, 0, v.div(v.constant(1.0), pivot))
        blocks.substituted(v, rows, columns, None if unit else inverse, lower)
        columns.write(z, n * k)

    return block


class Cholesky(Algebra):
    def emit(self, e: Emission, ins: Sequence[Operand], outs: Sequence[Operand], params: dict[str, Any]) -> Work:
        (a,), (out,) = ins, outs
        n = a.shape[-1]
        if not out.size:
            return Work(0)
        indefinite = Flag(e)
        axes, note = batch_axes(2, a, None, out), "unrolled" if n <= UNROLLED else "LAPACK potrf"
        if n <= UNROLLED:

            def body(v: Lanes, values: list[Value], _: list[Value]) -> list[Value]:
                factor, bad = elimination.cholesky_factor(v, elimination.matrix(values, n))
                indefinite.set_if(v.any(bad))
                return [c for r in factor for c in r]

            in_lanes(e, axes, a, None, out, (n * n, 0, n * n), body)
        elif blocks.serves(axes, n, (n * n, 0, n * n)):

            def block(v: Lanes, x: Value, _: Value, z: Value) -> None:
                rows = blocks.Cells(e, v, n, n)
                rows.read(x, n * n)
                blocks.cholesky_factor(e, v, rows, indefinite)
                rows.write(z, n * n)

            note = "eight at a time"
            blocks.in_blocks(e, axes, a, a, out, block)
        else:
            lapack.cholesky(e, a, out, indefinite)
        e.fail_if(indefinite.read(), np.linalg.LinAlgError, "Matrix is not positive definite")
        return Work(number(a, 2) * n**3 / 3, note)


class LU(Algebra):
    def emit(self, e: Emission, ins: Sequence[Operand], outs: Sequence[Operand], params: dict[str, Any]) -> Work:
        (a,) = ins
        if a.size:
            lapack.lu(e, a, *outs)
        return Work(2 / 3 * number(a, 2) * a.shape[-1] ** 3, "LAPACK getrf")
