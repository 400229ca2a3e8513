"""A contraction being written: its arrays, its axes, and what can be done to them before the loops."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from wengert.lowering.emission import Emission, Operand, row_major
from wengert.lowering.library.axes import BATCH, INNER, LEFT, RIGHT, Axis, grouped, sizes, steps
from wengert.lowering.library.strided import copy, copy_into, fill, moved, nest, offset
from wengert.lowering.text import Builder, Value

Pointers = tuple[Value, Value, Value]


@dataclass(frozen=True)
class Product:
    """out = Σ x · y over the inner axes."""

    e: Emission
    dtype: np.dtype
    x: Value
    y: Value
    out: Value
    strong: tuple[bool, bool] | None
    axes: dict[str, list[Axis]]
    source: Product | None = None  # before anything was copied

    def all(self) -> list[Axis]:
        return [a for kind in (BATCH, LEFT, RIGHT, INNER) for a in self.axes[kind]]

    def swapped(self) -> Product:
        """y · x."""
        axes = grouped([a.swapped() for a in self.all()])
        strong = None if self.strong is None else (self.strong[1], self.strong[0])
        return replace(self, x=self.y, y=self.x, axes=axes, strong=strong)

    def with_one_inner(self) -> Product:
        """The summed axes as one axis of both operands, by copies where they are not."""
        if len(self.axes[INNER]) == 1:
            return self
        inner = self.axes[INNER]  # in the order of x, if x has one
        alone = grouped([replace(a, y=0) for a in inner])[INNER]
        p = self
        if len(alone) > 1:
            p = p.packed_x([*p.axes[BATCH], *p.axes[LEFT], *inner])
        if len(p.axes[INNER]) > 1:
            p = p.packed_y([*p.axes[BATCH], *p.axes[INNER], *p.axes[RIGHT]])
        return p

    def packed_x(self, order: Sequence[Axis]) -> Product:
        """With a copy of x, whose axes lie in this order."""
        pointer, axes = self._packed("x", order)
        return replace(self, x=pointer, axes=axes)

    def packed_y(self, order: Sequence[Axis]) -> Product:
        """With a copy of y, whose axes lie in this order."""
        pointer, axes = self._packed("y", order)
        return replace(self, y=pointer, axes=axes)

    def _packed(self, which: str, order: Sequence[Axis]) -> tuple[Value, dict[str, list[Axis]]]:
        kinds = (BATCH, INNER, LEFT if which == "x" else RIGHT)
        order = [a for a in order if a.kind in kinds and (a.kind != BATCH or getattr(a, which))]
        old = self.x if which == "x" else self.y
        pointer = copy(self.e, old, sizes(order), steps(order, which), self.dtype)
        to = dict(zip(map(id, order), row_major(sizes(order)), strict=True))
        return pointer, grouped([replace(a, **{which: to.get(id(a), getattr(a, which))}) for a in self.all()])

    def into_scratch(self, order: Sequence[Axis]) -> tuple[Product, Callable[[], None]]:
        """With the result in scratch memory, its axes in this order, and how to move it to its place."""
        shape, places = sizes(order), steps(order, "out")
        lies = row_major(shape)
        scratch = self.e.scratch(math.prod(shape) * self.dtype.itemsize)
        to = dict(zip(map(id, order), lies, strict=True))
        axes = grouped([replace(a, out=to.get(id(a), a.out)) for a in self.all()])

        def put() -> None:
            copy_into(self.e.b, self.out, places, scratch, lies, shape, self.dtype)

        return replace(self, out=scratch, axes=axes), put

    @contextmanager
    def over(self, axes: Sequence[Axis]) -> Iterator[Pointers]:
        """Loops over axes, and where the arrays begin in each turn."""
        b = self.e.b
        with nest(b, sizes(axes)) as at:
            x, y, out = (
                moved(b, pointer, offset(b, at, steps(axes, which)), self.dtype)
                for pointer, which in ((self.x, "x"), (self.y, "y"), (self.out, "out"))
            )
            yield x, y, out

    def annihilate(self) -> None:
        """Where the result is NaN, zeros of strong operands annihilate infinities and NaNs of the other."""
        if not self.strong or not any(self.strong):
            return
        b = self.e.b
        kept = [a for a in self.all() if a.kind != INNER]
        with (
            b.when(b.isnan(self._probe(kept))),
            self.over(kept) as (x, y, out),
            b.when(b.isnan(b.load(out, self.dtype))),
        ):
            self._live_sum(x, y, out)

    def _probe(self, kept: Sequence[Axis]) -> Value:
        """NaN if the result has one."""
        b, size = self.e.b, math.prod(sizes(kept))
        total = b.allocate(self.dtype)
        zero = b.const(0, self.dtype)
        b.store(zero, total)
        with b.loop(0, size) as i:
            term = b.mul(b.load(b.at(self.out, i, self.dtype), self.dtype), zero)
            b.store(b.accumulate(b.load(total, self.dtype), term), total)
        return b.load(total, self.dtype)

    def _live_sum(self, x: Value, y: Value, out: Value) -> None:
        """The sum over terms without a strong zero, kept if they are finite."""
        b, inner = self.e.b, self.axes[INNER]
        total = b.allocate(self.dtype)
        b.store(b.const(0, self.dtype), total)
        with nest(b, sizes(inner)) as at:
            u = b.load(moved(b, x, offset(b, at, steps(inner, "x")), self.dtype), self.dtype)
            v = b.load(moved(b, y, offset(b, at, steps(inner, "y")), self.dtype), self.dtype)
            b.store(b.add(b.load(total, self.dtype), self.term(u, v)), total)
        got = b.load(total, self.dtype)
        finite = b.compare("eq", b.sub(got, got), b.const(0, self.dtype))
        with b.when(finite):
            b.store(got, out)

    def term(self, u: Value, v: Value) -> Value:
        """u · v, or 0 where a strong operand is zero."""
        b = self.e.b
        product, zero = b.mul(u, v), b.const(0, self.dtype)
        for strong, w in zip(self.strong or (False, False), (u, v), strict=True):
            if strong:
                product = b.select(b.compare("eq", w, zero), zero, product)
        return product


# ── scalar loops ──────────────────────────────────────────────────────────────


def fill_zero(b: Builder, out: Operand) -> None:
    """An empty sum."""
    fill(b, out.pointer, out.size, b.const(0, out.dtype))


def outer(p: Product) -> None:
    """No axis is summed."""
    b = p.e.b
    kept = sorted(p.all(), key=lambda a: -a.out)
    with p.over(kept) as (x, y, out):
        b.store(p.term(b.load(x, p.dtype), b.load(y, p.dtype)), out)


def sums(p: Product) -> None:
    """Scalar loops: the sum innermost, unless the result's unit step is one of the operands' too."""
    kept = sorted((a for a in p.all() if a.kind != INNER), key=lambda a: -a.out)
    inner = sorted(p.axes[INNER], key=lambda a: -max(abs(a.x), abs(a.y)))
    unit = kept[-1] if kept else None
    lies = inner[-1].x in (0, 1) and inner[-1].y in (0, 1)
    if unit is not None and unit.size >= 4 and unit.out == 1 and unit.x in (0, 1) and unit.y in (0, 1) and not lies:
        _added_rows(p, kept[:-1], inner, unit)
    else:
        _dots(p, kept, inner)


def _dots(p: Product, kept: Sequence[Axis], inner: Sequence[Axis]) -> None:
    b, dtype = p.e.b, p.dtype
    last = inner[-1]
    with p.over(kept) as (x, y, out):
        memory = b.allocate(dtype)
        b.store(b.const(0, dtype), memory)
        with nest(b, sizes(inner[:-1])) as at:
            u = moved(b, x, offset(b, at, steps(inner[:-1], "x")), dtype)
            v = moved(b, y, offset(b, at, steps(inner[:-1], "y")), dtype)
            before, body, done = b.block, b.label("dot"), b.label("done")
            first = b.load(memory, dtype)
            b.branch(body)
            b.start(body)
            i, close = b.phi(np.dtype(np.int64), b.const(0, np.int64), before)
            total, carry = b.phi(dtype, first, before)
            xi = b.load(b.at(u, offset(b, [i], [last.x]), dtype), dtype)
            yi = b.load(b.at(v, offset(b, [i], [last.y]), dtype), dtype)
            new = b.accumulate(total, b.mul(xi, yi))
            following = b.add(i, b.const(1, np.int64))
            close(following, b.block)
            carry(new, b.block)
            b.branch_if(b.compare("lt", following, b.const(last.size, np.int64)), body, done)
            b.start(done)
            b.store(new, memory)
        b.store(b.load(memory, dtype), out)


def _added_rows(p: Product, kept: Sequence[Axis], inner: Sequence[Axis], unit: Axis) -> None:
    b, dtype = p.e.b, p.dtype
    with p.over(kept) as (x, y, out):
        fill(b, out, unit.size, b.const(0, dtype))
        with nest(b, sizes(inner)) as at:
            u = moved(b, x, offset(b, at, steps(inner, "x")), dtype)
            v = moved(b, y, offset(b, at, steps(inner, "y")), dtype)
            # what does not move along the row is read before it, since the row might alias it for all LLVM knows
            fixed = [None if step else b.load(w, dtype) for w, step in ((u, unit.x), (v, unit.y))]
            with b.loop(0, unit.size) as j:
                a, c = (f or b.load(b.at(w, j, dtype), dtype) for f, w in zip(fixed, (u, v), strict=True))
                to = b.at(out, j, dtype)
                b.store(b.add(b.load(to, dtype), b.mul(a, c)), to)
