"""Loops over stacks of matrices, whose leading axes broadcast."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from wengert.lowering.emission import Emission, Operand
from wengert.lowering.library.axes import BATCH, Axis, merged, sizes, steps
from wengert.lowering.library.lanes import Lanes, over_stack
from wengert.lowering.library.strided import moved, nest, offset
from wengert.lowering.library.vector import lanes
from wengert.lowering.text import I8, Value


class Flag:
    """A boolean that is set in loops and read behind them: whether any matrix was singular."""

    def __init__(self, e: Emission) -> None:
        self.b = e.b
        self.memory = e.b.allocate(I8)
        self.b.entry.append(f"  store i8 0, ptr {self.memory.ref}")

    def set_if(self, condition: Value) -> None:
        """Raise it where `condition` holds."""
        b = self.b
        byte = b.cast(condition, I8)
        b.store(b.or_(b.load(self.memory, I8), byte), self.memory)

    def read(self) -> Value:
        b = self.b
        return b.compare("ne", b.load(self.memory, I8), b.const(0, I8))


def batch_axes(
    core: int, first: Operand, second: Operand | None, out: Operand, out_core: int | None = None
) -> list[Axis]:
    """The leading axes of one or two operands and a result, merged; each lacks the axes along which it broadcasts.

    `core` is how many trailing axes belong to a matrix (`out_core` in the result, if not as many)."""
    lead = out.shape[: len(out.shape) - (core if out_core is None else out_core)]

    def along(v: Operand | None, own: int) -> list[int]:
        if v is None:
            return [0] * len(lead)
        n = len(v.shape) - own
        strides = [s if d != 1 else 0 for s, d in zip(v.strides[:n], v.shape[:n], strict=True)]
        return [0] * (len(lead) - n) + strides

    places = zip(
        lead, along(first, core), along(second, core), along(out, core if out_core is None else out_core), strict=True
    )
    return merged([Axis(d, x, y, o, BATCH) for d, x, y, o in places if d != 1])


@contextmanager
def over(e: Emission, axes: Sequence[Axis], *arrays: tuple[Operand, str]) -> Iterator[list[Value]]:
    """Loops over axes; the address in each array, given with the field of `Axis` that has its steps."""
    with nest(e.b, sizes(axes)) as at:
        yield [moved(e.b, v.pointer, offset(e.b, at, steps(axes, which)), v.dtype) for v, which in arrays]


def in_lanes(
    e: Emission,
    axes: Sequence[Axis],
    first: Operand,
    second: Operand | None,
    out: Operand,
    counts: tuple[int, int, int],
    body: Callable[[Lanes, list[Value], list[Value]], list[Value]],
) -> None:
    """`body(lanes, elements of the first, of the second) → elements of the result`, for all matrices of a stack.

    `counts` are the numbers of elements of one matrix of each."""
    b, dtype = e.b, out.dtype
    last = axes[-1] if axes else Axis(1, 0, 0, 0, BATCH)
    dense = last.x in (0, counts[0]) and last.y in (0, counts[1]) and last.out == counts[2]
    width = lanes(dtype) if max(counts) * lanes(dtype) <= 160 else lanes(dtype) // 2
    second = second or first
    with over(e, axes[:-1], (first, "x"), (second, "y"), (out, "out")) as (x, y, to):

        def one(v: Lanes, i: Value | int) -> None:
            u, w, target = (
                moved(b, p, offset(b, [i], [step]), dtype) for p, step in ((x, last.x), (y, last.y), (to, last.out))
            )
            left = v.load(u, counts[0], same=last.x == 0)
            right = v.load(w, counts[1], same=last.y == 0) if counts[1] else []
            v.store(body(v, left, right), target)

        over_stack(b, last.size, width if dense else 1, dtype, one)


def number(v: Operand, core: int) -> int:
    """How many matrices there are."""
    return math.prod(v.shape[: len(v.shape) - core])
