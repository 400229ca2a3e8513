"""The pass that cuts a scan and its way back in segments: the same results, in the bytes that it says."""

import numpy as np
import pytest

import wengert as wg
from wengert.graph.spec import check
from wengert.passes.control.segments import How, segmented, sites
from wengert.passes.pipeline import PHASES, optimise
from wengert.runtime.engine import compile
from wengert.trace.stage import infer

WAYS = [How((3,)), How((5, 2)), How((4, 2, 1)), How((3,), 2), How((100,))]


def prepared(fun, args):
    """The program of `fun` where pairs are looked for, and what it gives."""
    program = wg.trace(fun, *args)
    program = getattr(program, "program", program)
    return optimise(program, PHASES[:3])[0], program.run(*args)


def close(got, want):
    for a, b in zip(got, want, strict=True):
        assert np.allclose(a, b, rtol=1e-9, atol=1e-12)


def rolled(n, reverse):
    def run(w, start, xs):
        def body(h, x):
            new = np.tanh(w @ h + x)
            z = np.exp(-new * new) * x
            return new + 0.1 * np.sin(z), (np.sum(new * z), z)

        h, (a, b) = wg.scan(body, start, xs, reverse=reverse)
        return np.sum(h) + a @ np.sin(np.arange(n)) + np.sum(b * b)

    rng = np.random.default_rng(n)
    return wg.value_and_grad(run, (0, 1, 2)), (rng.normal(size=(2, 2)), rng.normal(size=2), rng.normal(size=(n, 2)))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("n", [2, 3, 7, 12, 101])
def test_all_ways_give_the_same(n, reverse):
    fun, args = rolled(n, reverse)
    program, want = prepared(fun, args)
    (pair,) = sites(program)
    assert (pair.length, pair.carried) == (n, 16)
    for how in [*WAYS, *(option.how for option in pair.options())]:
        new = segmented(program, pair, how)
        check(new, "segments", infer)
        close(new.run(*args), want)
        better, _ = optimise(new)
        close(better.run(*args), want)
        if n == 12:
            close(compile(better)(*args), want)


def test_options_are_in_order_and_true():
    fun, args = rolled(20_000, False)
    program, want = prepared(fun, args)
    (pair,) = sites(program)
    options = pair.options()
    assert len(options) > 3
    costs, sizes = [o.extra for o in options], [o.bytes for o in options]
    assert costs == sorted(costs)
    assert sizes == sorted(sizes, reverse=True) and sizes[0] < pair.bytes
    plain = compile(optimise(program)[0]).lowered.workspace
    for option in options[-2:]:
        compiled = compile(optimise(segmented(program, pair, option.how))[0])
        close(compiled(*args), want)
        users = 20_000 * 16  # z, which the sum of squares reads on both ways
        assert compiled.lowered.workspace < 2 * option.bytes + 2048 + users < plain - 0.9 * pair.bytes


def test_stacks_that_others_read_stay():
    def run(x):
        h, ys = wg.scan(lambda h, _: (np.sin(h) * 1.1, np.sin(h)), x, None, length=30)
        return h + np.sum(ys)

    program, _ = prepared(wg.value_and_grad(run), (0.3,))
    stacked = [pair.row for pair in sites(program)]

    def shown(x):
        return wg.vjp(lambda x: wg.scan(lambda h, _: (np.sin(h) * 1.1, np.sin(h)), x, None, length=30), x)

    both = lambda x: (lambda out, back: (out[1], back((1.0, np.ones(30)))))(*shown(x))
    program, want = prepared(both, (0.3,))
    for pair in sites(program):
        assert pair.row <= stacked[0]
        close(segmented(program, pair, How((5,))).run(0.3), want)


def test_pairs_within_bodies():
    """A loop of which each trip takes a gradient through a loop."""

    def loss(h, x):
        return np.sum(wg.scan(lambda h, _: (np.sin(h) * 1.1 + 0.1 * x, None), h, None, length=24)[0] ** 2)

    def descend(h, xs):
        return wg.scan(lambda h, x: (h - 0.1 * wg.grad(loss)(h, x), None), h, xs)[0]

    args = np.ones(3) * 0.2, np.linspace(0, 1, 5)
    program, want = prepared(descend, args)
    (pair,) = sites(program)
    assert pair.path and pair.length == 24
    for how in (How((6,)), How((8, 3)), How((5,))):
        new = segmented(program, pair, how)
        check(new, "segments", infer)
        close(new.run(*args), want)
        close(compile(optimise(new)[0])(*args), want)


def test_what_is_cut_has_pairs_again():
    fun, args = rolled(36, False)
    program, want = prepared(fun, args)
    once = segmented(program, sites(program)[0], How((12,)))
    (inner,) = [pair for pair in sites(once) if pair.path]
    assert inner.length == 12
    twice = segmented(once, inner, How((4,)))
    close(twice.run(*args), want)
    close(compile(optimise(twice)[0])(*args), want)


@pytest.mark.parametrize("seed", range(10))
def test_random_bodies(seed):
    rng = np.random.default_rng(seed)
    unary = [(np.sin, np.tanh, np.cos, lambda x: x * x * 0.3, np.abs)[i] for i in rng.integers(0, 5, size=3)]
    n, reverse, keeps = int(rng.integers(2, 40)), bool(rng.integers(2)), bool(rng.integers(2))

    def run(w, a, b, xs):
        def body(carry, x):
            a, b, i = carry
            for f in unary:
                a = f(w @ a + x) * 0.9 + 0.1 * b
            return (a, np.where(a > b, a, 0.5 * b + 0.01 * i), i + 1), (a * x if keeps else None)

        (a, b, _), ys = wg.scan(body, (a, b, 0), xs, reverse=reverse)
        return np.sum(a * b) + (np.sum(np.cos(ys)) if keeps else 0.0)

    args = rng.normal(size=(2, 2)), rng.normal(size=2), rng.normal(size=2), rng.normal(size=(n, 2))
    program, want = prepared(wg.grad(run, (0, 1, 2, 3)), args)
    for pair in sites(program):
        lengths = sorted(map(int, rng.integers(1, n + 1, size=int(rng.integers(1, 4)))), reverse=True)
        new = segmented(program, pair, How(tuple(lengths), int(rng.integers(0, n // 2 + 1))))
        check(new, "segments", infer)
        close(new.run(*args), want)
        close(compile(optimise(new)[0])(*args), want)
