"""Random programs give the same values after each pass, at ordinary points and at the ends of the floating-point range."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from wengert.core.aval import Aval
from wengert.graph.program import Program
from wengert.graph.spec import check
from wengert.ops import basis, elementwise, index, logic, reduce, select, shape
from wengert.ops.contract import contract, matmul
from wengert.passes.contraction import contraction
from wengert.passes.cse import cse
from wengert.passes.dce import dce
from wengert.passes.fold import fold
from wengert.passes.inline import inline
from wengert.passes.pipeline import optimise
from wengert.passes.placement import placement
from wengert.passes.reciprocals import reciprocals
from wengert.passes.schedule import _ordered
from wengert.passes.simplify import simplify
from wengert.trace.stage import infer, stage
from wengert.transforms.reverse import vjp_flat

PASSES: dict[str, Callable[[Program], Program]] = {
    "dce": dce,
    "cse": cse,
    "fold": fold,
    "simplify": simplify,
    "inline": inline,
    "placement": placement,
    "contraction": contraction,
    "reciprocals": reciprocals,
    "order": lambda p: Program(p.ins, _ordered(p), p.outs),
    "all": lambda p: optimise(p)[0],
}

UNARY = [
    basis.neg, elementwise.exp, elementwise.tanh, elementwise.sin, elementwise.cos, elementwise.square, elementwise.abs_,
    elementwise.sqrt, elementwise.reciprocal, elementwise.log1p, elementwise.sign, elementwise.positive, elementwise.expm1,
]  # fmt: skip
BINARY = [
    basis.add, elementwise.sub, elementwise.mul, elementwise.div, basis.scale, basis.strong_mul, elementwise.unscale,
    select.maximum, select.minimum, select.larger_share,
]  # fmt: skip
COMPARISONS = [logic.less, logic.equal, logic.greater_equal, logic.not_equal]
CONSTANTS = [0.0, -0.0, 1.0, -1.0, 2.0, 0.5, -3.0, 4, 1, 0, np.float64(2.5), np.inf, np.nan]
POWERS = [0, 1, 2, 3, 4, -1, -2, 0.5, 1.5, -0.5, -1.5, 2.5]
SHAPES = [(), (3,), (1, 3), (2, 3), (3, 2), (2, 1, 3), (3, 3)]
SPECIAL = np.array([0.0, -0.0, 1.0, -1.0, 0.3, -2.5, 7.0, np.inf, -np.inf, np.nan, 1e-310, -5e-324, 1e154, -3e-160])
UNSIGNED = {"scale", "strong_mul", "unscale", "reduce_sum", "reduce_mean", "matmul", "contract"}


def joint(*xs: Any) -> tuple[int, ...] | None:
    try:
        return np.broadcast_shapes(*(np.shape(x) for x in xs))
    except ValueError:
        return None


class Maker:
    """Ops on what there is so far, chosen at random; each returns None where the choice is not legal."""

    def __init__(self, rng: np.random.Generator, values: list[Any]) -> None:
        self.rng, self.values = rng, values

    def pick(self, among: Any) -> Any:
        return among[self.rng.integers(len(among))]

    def any(self) -> Any:
        late = self.values[-4:] if self.rng.random() < 0.6 else self.values
        return self.pick(late)

    def floats(self) -> Any:
        x = self.any()
        return x if x.dtype.kind == "f" else basis.cast(x, dtype=np.dtype(float)) if x.dtype.kind == "c" else None

    def unary(self) -> Any:
        x = self.floats()
        return None if x is None else self.pick(UNARY)(x)

    def binary(self) -> Any:
        x, y = self.floats(), self.floats()
        if self.rng.random() < 0.3:
            y = self.pick(CONSTANTS)
        elif x is not None and y is not None and self.rng.random() < 0.3:
            y = x
        if x is None or y is None or (to := joint(x, y)) is None or len(to) > 3:
            return None
        op, pair = self.pick(BINARY), (x, y) if self.rng.random() < 0.7 else (y, x)
        return elementwise.mul(op(*pair), op(*pair)) if self.rng.random() < 0.15 else op(*pair)

    def power(self) -> Any:
        x = self.floats()
        return None if x is None else elementwise.pow_(x, self.pick(POWERS))

    def choice(self) -> Any:
        x, y, z = self.floats(), self.floats(), self.floats()
        if x is None or y is None or z is None or joint(x, y, z) is None:
            return None
        c = self.pick(COMPARISONS)(x, y)
        return select.where(logic.logical_not(c) if self.rng.random() < 0.3 else c, x, z)

    def movement(self) -> Any:
        x = self.any()
        n = len(x.shape)
        kind = self.rng.integers(4)
        if kind == 0:
            return basis.transpose(x, axes=tuple(int(i) for i in self.rng.permutation(n)))
        if kind == 1:
            fits = [
                s
                for s in (*SHAPES, (x.shape + (1,)), (1, *x.shape), (int(np.prod(x.shape)),))
                if np.prod(s) == np.prod(x.shape)
            ]
            return basis.reshape(x, shape=tuple(int(d) for d in self.pick(fits)))
        if kind == 2:
            wider = [s for s in (*SHAPES, (2, *x.shape)) if len(s) <= 3 and joint(x, np.empty(s)) == s]
            return basis.broadcast_to(x, shape=self.pick(wider)) if wider else None
        return (
            basis.cast(basis.cast(x, dtype=np.dtype("f4")), dtype=np.dtype(float))
            if x.dtype.kind == "f" and self.rng.random() < 0.2
            else None
        )

    def reduction(self) -> Any:
        x = self.floats()
        if x is None or not x.shape:
            return None
        axes = tuple(
            sorted(int(a) for a in self.rng.permutation(len(x.shape))[: self.rng.integers(1, len(x.shape) + 1)])
        )
        return self.pick([basis.reduce_sum, reduce.reduce_max, reduce.reduce_min, reduce.reduce_mean])(x, axes=axes)

    def part(self) -> Any:
        x = self.any()
        if not x.shape:
            return None
        spec = [self.pick([slice(None), 0, -1, slice(0, 1), slice(None, None, -1)]) for _ in x.shape]
        if self.rng.random() < 0.3:
            spec.insert(int(self.rng.integers(len(spec) + 1)), None)
        part = index.index(x, spec=tuple(spec))
        if x.dtype.kind != "f" or self.rng.random() < 0.4:
            return part
        if self.rng.random() < 0.5:
            return index.scatter_add(part, spec=tuple(spec), shape=x.shape)
        return index.index_put(x, self.pick([0.0, part]), spec=tuple(spec))

    def joined(self) -> Any:
        x, y = self.floats(), self.floats()
        if x is None or y is None or x.shape != y.shape:
            return None
        if not x.shape or self.rng.random() < 0.5:
            return shape.stack(x, y, axis=0) if len(x.shape) < 3 else None
        return shape.concatenate(x, y, axis=0, sizes=(x.shape[0], y.shape[0]))

    def product(self) -> Any:
        x, y = self.floats(), self.floats()
        if x is None or y is None or len(x.shape) != 2 or len(y.shape) != 2:
            return None
        if x.shape[1] == y.shape[0]:
            strong = self.pick([None, (True, False)])
            return matmul(x, y) if strong is None else matmul(x, y, strong=strong)
        if x.shape[1] != y.shape[1]:
            return None
        if self.rng.random() < 0.3:
            return contract(x, y, subscripts="ab,cb->ac")
        return basis.transpose(matmul(x, basis.transpose(y, axes=(1, 0))), axes=(1, 0))

    def make(self, count: int) -> None:
        makers = [
            self.unary,
            self.binary,
            self.binary,
            self.power,
            self.choice,
            self.movement,
            self.reduction,
            self.part,
            self.joined,
            self.product,
            self.product,
        ]
        while count:
            out = self.pick(makers)()
            if out is not None and np.prod(out.shape) <= 60:
                self.values.append(out)
                count -= 1


def random_program(seed: int, count: int) -> Program:
    rng = np.random.default_rng(seed)
    shapes = [SHAPES[rng.integers(len(SHAPES))] for _ in range(3)]

    def fun(*xs: Any) -> Any:
        maker = Maker(rng, list(xs))
        maker.make(count)
        return maker.values[-4:]

    return stage(fun, [Aval(s, np.dtype(float)) for s in shapes])[0]


def rounded_otherwise(x: Any, rng: np.random.Generator) -> Any:
    """`x` with its last bits changed, where it is neither zero nor infinite."""
    there = np.isfinite(x)
    known = np.where(there, x, 0.0)
    step = np.where((abs(known) < 1e-300) & (abs(known) > 1e-320), known * 1e-12, known * 4e-16)
    return np.where(there, known + step * rng.choice([-1.0, 1.0], x.shape), x)[()]


def agree(before: Program, after: Program, xs: list[Any], rng: np.random.Generator) -> None:
    """The values of `after` are those of `before`, as far as these are determined: where rounding the operands otherwise
    changes them, by as much; and where it changes what is finite, not at all. The sign of a zero is free where strong
    zeros or sums make it, and so is that of an infinity made of it."""
    free = bool(UNSIGNED & {e.op.name for e in before.equations()})
    near = [[rounded_otherwise(x, rng) for x in xs] for _ in range(4)]
    with np.errstate(all="ignore"):
        old, new, others = before.run(*xs), after.run(*xs), [before.run(*n) for n in near]
    for i, (a, b) in enumerate(zip(old, new, strict=True)):
        a, b = np.asarray(a), np.asarray(b)
        assert a.shape == b.shape and a.dtype == b.dtype
        a, b = a.astype(float), b.astype(float)
        with np.errstate(all="ignore"):
            moves = np.max([abs(np.asarray(o[i]).astype(float) - a) for o in others], axis=0)
            close = abs(b - a) <= 1e-12 * abs(a) + 30 * moves + 1e-300
        still = [(a == o) | (np.isnan(a) & np.isnan(o)) for o in (np.asarray(o[i]).astype(float) for o in others)]
        determined = (np.isfinite(a) & np.isfinite(moves)) | np.logical_and.reduce(still)
        same = close | (a == b) | (np.isnan(a) & np.isnan(b)) | (free & np.isinf(a) & np.isinf(b))
        assert (same | ~determined).all(), f"{a}\n{b}\n{before}\n{after}\n{xs}"


@pytest.mark.parametrize("name", PASSES)
def test_values_at_ordinary_points(name):
    for seed in range(40):
        before = random_program(seed, 14)
        after = PASSES[name](before)
        check(after, name, infer)
        rng = np.random.default_rng(seed)
        agree(before, after, [rng.normal(size=v.shape) for v in before.ins], rng)


@pytest.mark.parametrize("name", PASSES)
def test_values_at_the_ends_of_the_range(name):
    for seed in range(80):
        before = random_program(1000 + seed, 5)
        after = PASSES[name](before)
        rng = np.random.default_rng(seed)
        for _ in range(4):
            agree(before, after, [rng.choice(SPECIAL, v.shape) for v in before.ins], rng)


def test_gradients():
    """Programs with adjoints, at the ends of the range too: strong zeros stay zeros."""
    for seed in range(50):
        rng = np.random.default_rng(seed)
        shapes = [SHAPES[rng.integers(len(SHAPES))] for _ in range(3)]

        def fun(*xs: Any) -> Any:
            maker = Maker(rng, list(xs))  # noqa: B023 - staged at once
            maker.make(6)
            return maker.values[-3:]

        def both(*xs: Any) -> Any:
            values, pullback, outs = vjp_flat(fun, xs)
            return [*values, *pullback([None if v is None else weights(v.shape) for v in outs])]

        before = stage(both, [Aval(s, np.dtype(float)) for s in shapes])[0]
        after, _ = optimise(before)
        for k in range(4):
            agree(before, after, [rng.choice(SPECIAL, s) if k else rng.normal(size=s) for s in shapes], rng)


def weights(shape: tuple[int, ...]) -> Any:
    return np.cos(1.3 * np.arange(np.prod(shape, dtype=int))).reshape(shape)


def test_passes_change_random_programs():
    """Or the tests above would show nothing."""
    for name in ("dce", "cse", "simplify", "inline", "contraction", "all"):
        assert sum(PASSES[name](p := random_program(seed, 14)) is not p for seed in range(60)) >= 5, name
