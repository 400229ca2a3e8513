"""Small matrix products: tiles of the result in registers, rows × vectors of columns."""

from __future__ import annotations

import numpy as np

from wengert.lowering.library.axes import BATCH, INNER, LEFT, RIGHT, Axis
from wengert.lowering.library.product import Product
from wengert.lowering.library.strided import moved, offset
from wengert.lowering.library.vector import WIDE, Vectors, lanes, pieces
from wengert.lowering.text import I64, Value

REGISTERS = 24 if WIDE else 6  # accumulators of a tile
ROWS = 8
PANEL = 3 if WIDE else 1  # vectors of columns in a tile
UNROLLED = 16  # summed axes up to this length have no loop


def tiles(p: Product) -> None:
    """Steps along the last right axis must be 1 in y and in the result; one inner axis."""
    (k,) = p.axes[INNER]
    columns = p.axes[RIGHT][-1]
    rows = p.axes[LEFT][-1] if p.axes[LEFT] else Axis(1, 0, 0, 0, LEFT)
    rest = [*p.axes[BATCH], *p.axes[LEFT][:-1], *p.axes[RIGHT][:-1]]
    with p.over(rest) as (x, y, out):
        panel = PANEL * lanes(p.dtype)
        whole = columns.size // panel * panel
        if whole > panel:
            with p.e.b.loop(0, whole, panel) as j:
                _panel(p, k, rows, panel, x, moved(p.e.b, y, j, p.dtype), moved(p.e.b, out, j, p.dtype))
        elif whole:
            _panel(p, k, rows, panel, x, y, out)
        if columns.size > whole:
            y, out = moved(p.e.b, y, whole, p.dtype), moved(p.e.b, out, whole, p.dtype)
            _panel(p, k, rows, columns.size - whole, x, y, out)


def _panel(p: Product, k: Axis, rows: Axis, columns: int, x: Value, y: Value, out: Value) -> None:
    """All rows of a few columns."""
    b = p.e.b
    height = max(1, min(rows.size, ROWS, REGISTERS // len(pieces(columns, p.dtype))))
    whole = rows.size // height * height
    if whole > height:
        with b.loop(0, whole, height) as i:
            _tile(p, k, rows, height, columns, x, y, out, i)
    else:
        _tile(p, k, rows, height, columns, x, y, out, 0)
    if rows.size > whole:
        _tile(p, k, rows, rows.size - whole, columns, x, y, out, whole)


def _tile(
    p: Product, k: Axis, rows: Axis, height: int, columns: int, x: Value, y: Value, out: Value, first: Value | int
) -> None:
    b, v, dtype = p.e.b, Vectors(p.e.b, p.dtype), p.dtype
    parts = pieces(columns, dtype)
    starts = [moved(b, x, offset(b, [first], [rows.x], r * rows.x), dtype) for r in range(height)]

    def step(depth: Value | int, sums: list[list[Value | None]]) -> list[list[Value]]:
        row = moved(b, y, offset(b, [depth], [k.y]), dtype)
        ys = [v.load(moved(b, row, at, dtype), used, n) for at, used, n in parts]
        new = []
        for start, old in zip(starts, sums, strict=True):
            a = b.load(moved(b, start, offset(b, [depth], [k.x]), dtype), dtype)
            wide = {n: v.splat(a, n) for n in {n for _, _, n in parts}}
            new.append(
                [
                    v.binary("fmul", wide[n], c, n) if s is None else v.fma(wide[n], c, s, n)
                    for (_, _, n), c, s in zip(parts, ys, old, strict=True)
                ]
            )
        return new

    sums = step(0, [[None] * len(parts)] * height)
    if k.size * height * len(parts) <= UNROLLED * 4 and k.size <= UNROLLED:
        for depth in range(1, k.size):
            sums = step(depth, sums)  # type: ignore[arg-type]
    elif k.size > 1:
        before, body, done = b.block, b.label("sum"), b.label("done")
        b.branch(body)
        b.start(body)
        i, close = b.phi(I64, b.const(1, I64), before)
        carried = [[v.phi(s, before, n) for (_, _, n), s in zip(parts, row, strict=True)] for row in sums]
        sums = step(i, [[c[0] for c in row] for row in carried])
        following = b.add(i, b.const(1, np.int64))
        close(following, b.block)
        for row, news in zip(carried, sums, strict=True):
            for (_, again), new in zip(row, news, strict=True):
                again(new, b.block)
        b.branch_if(b.compare("lt", following, b.const(k.size, I64)), body, done)
        b.start(done)
    for r, row in enumerate(sums):
        target = moved(b, out, offset(b, [first], [rows.out], r * rows.out), dtype)
        for (at, used, n), s in zip(parts, row, strict=True):
            v.store(s, moved(b, target, at, dtype), used, n)
