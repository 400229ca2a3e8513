"""Linear algebra of matrices from 5 × 5 to 16 × 16, eight at a time: one matrix per lane, elements in scratch memory.

The loops are those of `elimination`, over cells instead of registers. A stack is done in blocks of eight, of which
the last begins where eight matrices are left.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from wengert.lowering.emission import Emission, Operand
from wengert.lowering.library import elimination
from wengert.lowering.library.axes import Axis
from wengert.lowering.library.lanes import Lanes
from wengert.lowering.library.stacks import Flag, over
from wengert.lowering.library.strided import moved, offset
from wengert.lowering.text import I64, Value

WIDTH = 8
LARGEST = 16
Index = Value | int


def serves(axes: Sequence[Axis], n: int, counts: tuple[int, int, int]) -> bool:
    """Whether the last axis of a stack is a dense one of eight matrices or more."""
    if not axes or n > LARGEST or axes[-1].size < WIDTH:
        return False
    last = axes[-1]
    return last.x == counts[0] and last.y in (0, counts[1]) and last.out == counts[2] and counts[1] <= LARGEST**2


class Cells:
    """`rows` × `columns` cells, each of which holds one element of eight matrices."""

    def __init__(self, e: Emission, v: Lanes, rows: int, columns: int) -> None:
        self.v, self.b, self.rows, self.columns = v, v.b, rows, columns
        self.pointer = e.scratch(max(1, rows * columns) * WIDTH * v.dtype.itemsize)

    def _at(self, i: Index, j: Index) -> Value:
        place = offset(self.b, [i, j], [self.columns * WIDTH, WIDTH])
        return moved(self.b, self.pointer, place, self.v.dtype)

    def get(self, i: Index, j: Index) -> Value:
        return self.v.v.load(self._at(i, j), WIDTH, WIDTH)

    def set(self, i: Index, j: Index, x: Value) -> None:
        self.v.v.store(x, self._at(i, j), WIDTH, WIDTH)

    def read(self, source: Value, step: int) -> None:
        """From eight matrices, `step` elements apart."""
        b, v, count = self.b, self.v, self.rows * self.columns
        whole = count // WIDTH * WIDTH
        lanes = [moved(b, source, lane * step, v.dtype) for lane in range(WIDTH)]
        if whole:
            with b.loop(0, whole, WIDTH) as q:
                rows = [v.v.load(b.at(lane, q, v.dtype), WIDTH, WIDTH) for lane in lanes]
                v.v.store(v.transposed(rows), self._cell(q), WIDTH * WIDTH, WIDTH * WIDTH)
        if count > whole:
            with b.loop(whole, count) as q:
                for i, lane in enumerate(lanes):
                    x = b.load(b.at(lane, q, v.dtype), v.dtype)
                    b.store(x, b.at(self._cell(q), i, v.dtype))

    def write(self, target: Value, step: int) -> None:
        """To eight matrices."""
        b, v, count = self.b, self.v, self.rows * self.columns
        whole = count // WIDTH * WIDTH
        lanes = [moved(b, target, lane * step, v.dtype) for lane in range(WIDTH)]
        if whole:
            with b.loop(0, whole, WIDTH) as q:
                rows = v.load(self._cell(q), WIDTH)  # every eighth element: one lane of eight cells
                for lane, x in zip(lanes, rows, strict=True):
                    v.v.store(x, b.at(lane, q, v.dtype), WIDTH, WIDTH)
        if count > whole:
            with b.loop(whole, count) as q:
                for i, lane in enumerate(lanes):
                    b.store(b.load(b.at(self._cell(q), i, v.dtype), v.dtype), b.at(lane, q, v.dtype))

    def _cell(self, q: Value) -> Value:
        return self.b.at(self.pointer, self.b.mul(q, self.b.const(WIDTH, I64)), self.v.dtype)


def in_blocks(
    e: Emission,
    axes: Sequence[Axis],
    first: Operand,
    second: Operand,
    out: Operand,
    body: Callable[[Lanes, Value, Value, Value], None],
) -> None:
    """`body(lanes, addresses in the first, the second and the result)` for every eight matrices."""
    b, dtype = e.b, out.dtype
    v, last = Lanes(b, dtype, WIDTH), axes[-1]
    with over(e, axes[:-1], (first, "x"), (second, "y"), (out, "out")) as (x, y, z), b.loop(0, last.size, WIDTH) as i:
        start, limit = i, b.const(last.size - WIDTH, I64)
        if last.size % WIDTH:
            start = b.select(b.compare("lt", i, limit), i, limit)
        steps = ((x, last.x), (y, last.y), (z, last.out))
        body(v, *(moved(b, p, offset(b, [start], [t]), dtype) for p, t in steps))


class Elimination:
    """Gaussian elimination of `a`, with what is done to its rows done to `right`."""

    def __init__(self, e: Emission, v: Lanes, a: Cells, right: Cells | None, singular: Flag | None) -> None:
        self.v, self.b, self.a, self.right, self.n = v, v.b, a, right, a.rows
        self.inverse, self.sign, self.good = (Cells(e, v, k, 1) for k in (self.n, 1, 1))
        self.singular = singular

    def run(self) -> None:
        b, v, n, one = self.b, self.v, self.n, self.b.const(1, I64)
        zero = v.constant(0.0)
        self.sign.set(0, 0, v.constant(1.0))
        self.good.set(0, 0, v.constant(1.0))
        with b.loop(0, n) as k:
            following = b.add(k, one)
            with b.loop(following, n) as i:
                self._pivot(k, i)
            pivot = self.a.get(k, k)
            none = v.compare("oeq", pivot, zero)
            if self.singular is not None:
                self.singular.set_if(v.any(none))
            self.good.set(0, 0, v.select(none, zero, self.good.get(0, 0)))
            inverse = v.select(none, zero, v.div(v.constant(1.0), pivot))
            self.inverse.set(k, 0, inverse)
            with b.loop(following, n) as i:
                factor = v.mul(self.a.get(i, k), inverse)
                for cells, low in self._parts(following):
                    with b.loop(low, cells.columns) as j:
                        cells.set(i, j, v.sub(cells.get(i, j), v.mul(factor, cells.get(k, j))))

    def _parts(self, low: Index) -> list[tuple[Cells, Index]]:
        return [(self.a, low), *([(self.right, 0)] if self.right else [])]

    def _pivot(self, k: Value, i: Value) -> None:
        """The larger of two rows' elements comes first."""
        b, v = self.b, self.v
        larger = v.compare("ogt", v.abs(self.a.get(i, k)), v.abs(self.a.get(k, k)))
        with b.when(v.any(larger)):
            sign = self.sign.get(0, 0)
            self.sign.set(0, 0, v.select(larger, v.neg(sign), sign))
            for cells, low in self._parts(k):
                with b.loop(low, cells.columns) as j:
                    x, y = cells.get(k, j), cells.get(i, j)
                    cells.set(k, j, v.select(larger, y, x))
                    cells.set(i, j, v.select(larger, x, y))

    def solved(self) -> None:
        """`right` becomes the solution."""
        assert self.right is not None
        substituted(self.v, self.a, self.right, self.inverse, lower=False)

    def pivots(self) -> elimination.Eliminated:
        """As `product_of_pivots` wants them."""
        v, n = self.v, self.n
        rows = [[self.a.get(i, i) if i == j else v.constant(0.0) for j in range(n)] for i in range(n)]
        odd = v.compare("olt", self.sign.get(0, 0), v.constant(0.0))
        return elimination.Eliminated(rows, [], [], "", odd)


def substituted(v: Lanes, a: Cells, x: Cells, inverse: Cells | None, lower: bool) -> None:
    """Forward or back substitution, with a triangle whose diagonal has these inverses (or is of ones)."""
    b, n, one = v.b, a.rows, v.b.const(1, I64)
    with b.loop(0, n) as step:
        k = step if lower else b.sub(b.const(n - 1, I64), step)
        if inverse is not None:
            scale = inverse.get(k, 0)
            with b.loop(0, x.columns) as j:
                x.set(k, j, v.mul(x.get(k, j), scale))
        with b.loop(b.add(k, one) if lower else 0, n if lower else k) as i:
            factor = a.get(i, k)
            with b.loop(0, x.columns) as j:
                x.set(i, j, v.sub(x.get(i, j), v.mul(factor, x.get(k, j))))


def set_identity(v: Lanes, x: Cells) -> None:
    """Ones on the diagonal, zeros elsewhere."""
    b = v.b
    with b.loop(0, x.rows) as i:
        with b.loop(0, x.columns) as j:
            x.set(i, j, v.constant(0.0))
        x.set(i, i, v.constant(1.0))


def cholesky_factor(e: Emission, v: Lanes, a: Cells, indefinite: Flag) -> None:
    """`a` becomes the lower factor of its symmetric part."""
    b, n, one = v.b, a.rows, v.b.const(1, I64)
    half, zero = v.constant(0.5), v.constant(0.0)
    with b.loop(0, n) as i, b.loop(0, i) as j:
        a.set(i, j, v.mul(v.add(a.get(i, j), a.get(j, i)), half))
        a.set(j, i, zero)
    with b.loop(0, n) as j:
        pivot = a.get(j, j)
        indefinite.set_if(v.any(v.compare("ole", pivot, zero)))
        root = v.sqrt(pivot)
        a.set(j, j, root)
        inverse = v.div(v.constant(1.0), root)
        with b.loop(b.add(j, one), n) as i:
            a.set(i, j, v.mul(a.get(i, j), inverse))
        with b.loop(b.add(j, one), n) as i:
            factor = a.get(i, j)
            with b.loop(b.add(j, one), b.add(i, one)) as k:
                a.set(i, k, v.sub(a.get(i, k), v.mul(factor, a.get(k, j))))


def norm(e: Emission, v: Lanes, a: Cells) -> Value:
    """The 1-norm; a NaN stays."""
    b = v.b
    largest, total = Cells(e, v, 1, 1), Cells(e, v, 1, 1)
    largest.set(0, 0, v.constant(0.0))
    with b.loop(0, a.columns) as j:
        total.set(0, 0, v.constant(0.0))
        with b.loop(0, a.rows) as i:
            total.set(0, 0, v.add(total.get(0, 0), v.abs(a.get(i, j))))
        old, new = largest.get(0, 0), total.get(0, 0)
        keep = v.either(v.compare("ogt", old, new), v.compare("uno", old, old))
        largest.set(0, 0, v.select(keep, old, new))
    return largest.get(0, 0)
