"""Random programs with loops and branches, nested, and with much in them that passes should find: the same values afterwards."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest

from wengert.core.aval import Aval
from wengert.core.config import config
from wengert.graph.program import Literal, Program
from wengert.graph.spec import check
from wengert.ops import basis, elementwise, index, logic, select
from wengert.ops.contract import contract, matmul
from wengert.ops.dtype import truncate
from wengert.passes.control import products, sums
from wengert.passes.pipeline import optimise
from wengert.runtime.engine import compile
from wengert.trace.stage import infer, stage
from wengert.transforms.control.scan import scan
from wengert.transforms.control.switch import switch
from wengert.transforms.control.while_loop import while_loop, while_pullback
from wengert.transforms.reverse import vjp_flat

FLOAT, INT = np.dtype(float), np.dtype(int)
SHAPES = [(), (3,), (3, 3), (1, 3)]
UNARY = [elementwise.tanh, elementwise.sin, elementwise.cos, basis.neg]
BINARY = [basis.add, elementwise.sub, elementwise.mul, basis.scale, select.maximum]


def avals(xs: Any) -> list[Aval]:
    return [Aval(tuple(getattr(x, "shape", ())), x.dtype) for x in xs]


class Loops:
    """Equations on what there is so far, chosen at random, up to `depth` loops within loops."""

    def __init__(self, rng: np.random.Generator, values: list[Any], depth: int) -> None:
        self.rng, self.values, self.depth = rng, values, depth

    def pick(self, among: Any) -> Any:
        return among[self.rng.integers(len(among))]

    def some(self, low: int, high: int) -> list[Any]:
        return [self.pick(self.values) for _ in range(self.rng.integers(low, high + 1))]

    def of(self, shape: tuple[int, ...]) -> Any:
        """A value of this shape, bounded."""
        fits = [x for x in self.values if x.shape == shape]
        if fits and self.rng.random() < 0.8:
            return self.pick(fits)
        return basis.broadcast_to(basis.reduce_sum(x := self.pick(self.values), axes=tuple(range(x.ndim))), shape=shape)

    def small(self) -> Any:
        rng, kind = self.rng, self.rng.integers(10)
        x = self.pick(self.values)
        if kind < 3:
            return elementwise.tanh(self.pick(BINARY)(x, self.of(x.shape)))
        if kind == 3:
            return self.pick(UNARY)(x)
        if kind == 4:
            return elementwise.mul(self.of((3,)), np.linspace(-1.0, 1.0, 6).reshape(2, 3)[self.pick([0, 1])])
        if kind == 5:
            return matmul(self.of((3, 3)), self.of((3,)))
        if kind == 6:
            return contract(self.of((3,)), self.of((3,)), subscripts="a,b->ab")
        if kind in (7, 8):
            table = np.cos(np.arange(60.0)).reshape(20, 3)
            return index.index(basis.add(self.of((3,)), table), spec=int(rng.integers(20)))
        return basis.reduce_sum(x, axes=(0,)) if x.ndim else basis.broadcast_to(x, shape=(3,))

    def make(self, count: int) -> None:
        for _ in range(count):
            if self.depth and self.rng.random() < 0.35:
                self.values += self.pick([self.scan, self.scan, self.while_loop, self.switch])()
            else:
                self.values.append(self.small())

    def inner(self, given: list[Any], wanted: list[tuple[int, ...]], extra: int) -> Any:
        """A function that makes values of these shapes, and `extra` more of any."""
        seed = int(self.rng.integers(1 << 30))

        def run(*xs: Any) -> list[Any]:
            maker = Loops(np.random.default_rng(seed), [x for x in xs if x.dtype == FLOAT], self.depth - 1)
            maker.make(4)
            first = [maker.of(s) for s in wanted]
            return [elementwise.tanh(f) for f in first] + [maker.pick(maker.values) for _ in range(extra)]

        return run

    def scan(self) -> list[Any]:
        rng = self.rng
        consts, carries = self.some(1, 3), self.some(0, 3)
        if rng.random() < 0.3:
            consts.append(consts[0])
        if carries and rng.random() < 0.3:
            carries.append(carries[0])
        length = int(self.pick([0, 1, 2, 3, 6, 6, 6]))
        xs = [self.stacked(length) for _ in range(rng.integers(0, 3))]
        slices = [Aval(x.shape[1:], x.dtype) for x in xs]
        inner = self.inner(consts, [c.shape for c in carries], int(rng.integers(1, 4)))
        keep = [rng.random() < 0.2 for _ in carries]
        give = rng.random() < 0.3 and bool(xs)

        def run(*args: Any) -> list[Any]:
            outs = inner(*args)
            given = args[len(consts) :]
            outs[: len(carries)] = [g if k else o for g, o, k in zip(given, outs, keep, strict=False)]
            return [*outs, given[len(carries)], args[0]] if give else outs

        body, _ = stage(run, [*avals(consts), *avals(carries), *slices])
        return list(
            scan(
                *consts, *carries, *xs, body=body, consts=len(consts), carries=len(carries), length=length,
                reverse=bool(rng.random() < 0.3), unroll=int(self.pick([1, 1, 1, 8])),
            )
        )  # fmt: skip

    def stacked(self, length: int) -> Any:
        x = self.pick(self.values)
        wide = basis.broadcast_to(x, shape=(length, *x.shape))
        ramp = np.linspace(0.5, 1.5, length).reshape(length, *[1] * x.ndim)
        return wide if self.rng.random() < 0.3 else elementwise.mul(wide, ramp)

    def while_loop(self) -> list[Any]:
        consts, carries = self.some(1, 2), self.some(1, 3)
        inner = self.inner(consts, [c.shape for c in carries], 0)
        keep = [self.rng.random() < 0.2 for _ in carries]
        limit = int(self.rng.integers(0, 5))

        def run(*args: Any) -> list[Any]:
            outs = inner(*args[:-1])
            given = args[len(consts) : -1]
            return [*(g if k else o for g, o, k in zip(given, outs, keep, strict=True)), basis.add(args[-1], 1)]

        def asked(*args: Any) -> list[Any]:
            bound = elementwise.mul(basis.reduce_sum(args[0], axes=tuple(range(args[0].ndim))), 0.0)
            return [logic.less(basis.add(args[-1], bound), float(limit))]

        of = [*avals(consts), *avals(carries), Aval((), INT)]
        body, cond = stage(run, of)[0], stage(asked, of)[0]
        return list(while_loop(*consts, *carries, np.int64(0), cond=cond, body=body, consts=len(consts)))[:-1]

    def switch(self) -> list[Any]:
        operands = self.some(1, 3)
        shapes = [x.shape for x in self.some(1, 2)]
        count = int(self.rng.integers(2, 4))
        branches = tuple(stage(self.inner(operands, shapes, 0), avals(operands))[0] for _ in range(count))
        if self.rng.random() < 0.2:
            branches = (branches[0],) * count
        number: Any = int(self.rng.integers(-1, count + 1))
        if self.rng.random() < 0.7:
            number = truncate(logic.less(self.of(()), 0.3), dtype=INT)
        return list(switch(number, *operands, branches=branches))


def random_loops(seed: int, depth: int = 2, count: int = 6) -> Program:
    rng = np.random.default_rng(seed)

    def fun(*xs: Any) -> list[Any]:
        maker = Loops(rng, list(xs), depth)
        maker.make(count)
        return maker.values[-4:]

    return stage(fun, [Aval(s, FLOAT) for s in SHAPES])[0]


def inputs(program: Program, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(size=v.shape)[()] for v in program.ins]


@pytest.fixture(autouse=True)
def checked(monkeypatch):
    monkeypatch.setattr(config, "debug_passes", True)


def agree(old: Any, new: Any) -> None:
    for a, b in zip(old, new, strict=True):
        a, b = np.asarray(a), np.asarray(b)
        assert a.shape == b.shape and a.dtype == b.dtype
        np.testing.assert_allclose(b, a, rtol=1e-9, atol=1e-11)


def legal(program: Program) -> None:
    """That no body, at whatever depth, holds an array, and that operands, inputs and outputs of bodies agree."""
    for op, ins, outs, params, *_ in program.eqns:
        bodies = [p for v in params.values() for p in (v if type(v) is tuple else (v,)) if isinstance(p, Program)]
        for body in bodies:
            held = [a for row in body.eqns for a in row[1]] + body.outs
            assert all(np.size(a.value) <= 16 for a in held if isinstance(a, Literal))
            check(body, infer=infer)
            legal(body)
        if op is switch:
            assert all([v.aval for v in b.ins] == [a.aval for a in ins[1:]] for b in bodies)
            assert all([o.aval for o in b.outs] == [o.aval for o in outs] for b in bodies)
        elif op is while_loop or op is while_pullback:
            n = params["consts"] + params.get("carries", len(outs))
            taken = [(v.shape, v.dtype) for v in bodies[0].ins]
            assert taken == [(a.aval.shape, a.aval.dtype) for a in ins[:n]]
            assert [v.aval for v in params["cond"].ins] == [v.aval for v in params.get("forward", bodies[-1]).ins]


@pytest.mark.parametrize("seed", range(40))
def test_values_stay(seed):
    program = random_loops(seed)
    after, _ = optimise(program)
    legal(after)
    xs = inputs(program, seed)
    agree(program.run(*xs), after.run(*xs))


@pytest.mark.parametrize("seed", range(100, 125))
def test_values_of_gradients_stay(seed, monkeypatch):
    if seed % 2:  # small arrays are as good as large ones
        monkeypatch.setattr(sums, "LEAST", 1)
        monkeypatch.setattr(products, "LEAST", 1)
    program = with_gradient(random_loops(seed, count=5))
    after, _ = optimise(program)
    legal(after)
    xs = inputs(program, seed)
    agree(program.run(*xs), after.run(*xs))


@pytest.mark.parametrize("seed", range(200, 206))
def test_compiled_values_stay(seed):
    program = with_gradient(random_loops(seed, count=4))
    xs = inputs(program, seed)
    agree(program.run(*xs), compile(optimise(program)[0], tier="first")(*xs))


def with_gradient(program: Program) -> Program:
    def both(*xs: Any) -> list[Any]:
        values, pullback, outs = vjp_flat(program.run, xs)
        cts = [None if v is None else np.cos(np.arange(np.prod(v.shape, dtype=int))).reshape(v.shape) for v in outs]
        return [*values, *pullback(cts)]

    return stage(both, [v.aval for v in program.ins])[0]


def test_the_programs_have_what_is_looked_for():
    """Or the tests above would show nothing."""
    told = Counter()
    for seed in range(25):
        for report in optimise(with_gradient(random_loops(seed, count=5)))[1]:
            told.update(note.partition(" × ")[2] for note in report.notes if report.name == "control")
    for what in ("equations moved out of scan", "equations moved out of while_loop", "equations moved out of while_pullback",
                 "unchanged carries of scan", "unchanged carries of while_loop", "scan written out", "switch written out",
                 "arrays moved out of scan", "results known without scan",
                 "duplicates among operands and results of scan", "operands the same for each trip of scan"):  # fmt: skip
        assert told[what] >= 1, what
