"""Segments made one ahead of the way back: the same results, whatever the loop holds."""

import numpy as np
import pytest

import wengert as wg
from wengert.graph.spec import check
from wengert.passes.control import overlap as module
from wengert.passes.control import speculation as trying
from wengert.passes.control.overlap import overlap
from wengert.passes.pipeline import optimise
from wengert.runtime.engine import compile
from wengert.trace.stage import infer


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """Short segments are pipelined too, and tried with plain products."""
    monkeypatch.setattr(module, "TRIPS", 3)
    monkeypatch.setattr(module, "SEGMENTS", 2)
    monkeypatch.setattr(trying, "LONG", 3)


def prepared(fun, args):
    program = wg.trace(fun, *args)
    return optimise(getattr(program, "program", program))[0]


def close(got, want):
    for a, b in zip(got, want, strict=True):
        assert np.allclose(a, b, rtol=1e-9, atol=1e-12)


def same(fun, args, least=1):
    """Whether the pass changes nothing, run by NumPy and compiled, with strong products and with plain ones."""
    program = prepared(fun, args)
    want, notes = program.run(*args), module.Counter()
    new = overlap(program, notes)
    assert sum(notes.values()) >= least
    check(new, "overlap", infer)
    close(new.run(*args), want)
    close(compile(new)(*args), want)
    tried = trying.speculation(new)
    check(tried, "speculation", infer)
    close(tried.run(*args), want)
    close(compile(tried)(*args), want)


def rolled(reverse, checkpoint="sqrt", keeps=True):
    def run(w, start, xs):
        def body(carry, x):
            h, i = carry
            new = np.tanh(w * h[::-1] + x) + 0.01 * i
            return (new, i + 1), (np.sum(new * x) if keeps else None)

        (h, _), ys = wg.scan(body, (start, 0), xs, reverse=reverse, checkpoint=checkpoint)
        return np.sum(h * h) + (ys @ np.sin(np.arange(len(xs)) + 1.0) if keeps else 0.0)

    return run


def data(n):
    rng = np.random.default_rng(n)
    return rng.normal(size=2), rng.normal(size=2), rng.normal(size=(n, 2))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("keeps", [False, True])
@pytest.mark.parametrize("n", [36, 83, 100])
def test_scans(n, keeps, reverse):
    for wanted in ((0, 1, 2), (1,), (0, 1)):
        same(wg.grad(rolled(reverse, keeps=keeps), wanted), data(n))


def test_without_xs():
    step = lambda y, p: y + 0.01 * p[0] * y * (1.0 - y / p[1])
    run = lambda p: wg.scan(lambda y, _: (step(y, p), None), 0.1, None, length=49, checkpoint="sqrt")[0]
    same(wg.grad(run), (np.array([1.3, 10.0]),))


def test_slopes_that_are_not_selected():
    """With plain products they give NaN, and strong ones are tried."""
    x = np.linspace(0.1, 1.0, 49)
    x[::5] = 0.0

    def run(a, x):
        def step(c, x):
            root = np.sqrt(np.maximum(x, 0.0))
            return 0.9 * c * np.where(x > 0, root, a) + a, None

        return wg.scan(step, a * 2, x, checkpoint="sqrt")[0]

    program = prepared(wg.grad(run, (0, 1)), (0.7, x))
    want = wg.grad(run, (0, 1))(0.7, x)
    assert np.isfinite(want[0]) and np.isfinite(want[1]).all()
    new = trying.speculation(overlap(program))
    close(compile(new)(0.7, x), want)


def test_higher_orders_and_batches():
    args = data(36)
    f = rolled(False)
    grad = wg.grad(f, (0, 1))
    orders = {
        "jvp of grad": lambda w, h: wg.jvp(lambda w, h: grad(w, h, args[2]), (w, h), (w, h))[1],
        "grad of grad": wg.grad(lambda w, h: sum(np.sum(np.sin(g)) for g in grad(w, h, args[2])), (0, 1)),
        "vmap": lambda w, h: wg.vmap(lambda h: grad(w, h, args[2])[0])(np.stack([h, 2 * h])),
    }
    for fun in orders.values():
        close(np.ravel(wg.jit(fun)(*args[:2])), np.ravel(fun(*args[:2])))


def test_loops_that_wait_for_what_the_way_back_finds_stay():
    """Each trip takes a gradient at the value that the last has found: nothing can be made ahead."""

    def loss(h, x):
        return np.sum(wg.scan(lambda h, _: (np.sin(h) * 1.1 + 0.1 * x, None), h, None, length=24)[0] ** 2)

    def descend(h, xs):
        return wg.scan(lambda h, x: (h - 0.1 * wg.grad(loss)(h, x), None), h, xs)[0]

    program = prepared(descend, (np.ones(3) * 0.2, np.linspace(0, 1, 9)))
    assert overlap(program) is program


UNARY = (np.sin, np.tanh, np.cos, lambda x: x * x * 0.3, np.abs, lambda x: np.exp(-x * x))


@pytest.mark.parametrize("seed", range(16))
def test_random_bodies(seed):
    rng = np.random.default_rng(seed)
    fs = [UNARY[i] for i in rng.integers(0, len(UNARY), size=int(rng.integers(1, 4)))]
    n, reverse, keeps = int(rng.integers(12, 80)), bool(rng.integers(2)), bool(rng.integers(2))

    def run(w, a, b, xs):
        def body(carry, x):
            a, b, i = carry
            for f in fs:
                a = f(w * a + x) * 0.9 + 0.1 * b
            return (a, np.where(a > b, a, 0.5 * b + 0.01 * i), i + 1), (a * x if keeps else None)

        (a, b, _), ys = wg.scan(body, (a, b, 0), xs, reverse=reverse, checkpoint="sqrt")
        return np.sum(a * b) + (np.sum(np.cos(ys)) if keeps else 0.0)

    args = rng.normal(size=2), rng.normal(size=2), rng.normal(size=2), rng.normal(size=(n, 2)) * 0.3
    same(wg.grad(run, (0, 1, 2, 3)), args, least=0)


def test_long_loops_as_they_are():
    """The sizes at which it is done without being asked to."""
    module.TRIPS, module.SEGMENTS = 64, 8
    args = data(5041)
    for reverse in (False, True):
        plain = wg.jit(wg.grad(rolled(reverse, None), (0, 1, 2)))(*args)
        program = prepared(wg.grad(rolled(reverse), (0, 1, 2)), args)
        assert overlap(program) is not program
        close(wg.jit(wg.grad(rolled(reverse), (0, 1, 2)))(*args), plain)
