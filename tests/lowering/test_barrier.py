"""`barrier` in compiled code: what it keeps apart stays apart, in time too, and it costs no memory and no kernel."""

import numpy as np
import pytest

import wengert as wg
from wengert.lowering.lower import lower
from wengert.ops.barrier import barrier
from wengert.passes.pipeline import optimise

N = 4096


def within(got, want, bound):
    return np.max(np.abs(got - want)) <= bound * np.max(np.abs(want))


def optimised(f, *args):
    return optimise(wg.trace(f, *args))[0]


def lowered(f, *args):
    return lower(optimised(f, *args))


def ops_of(program):
    return [row[0].name for row in program.eqns]


@pytest.fixture
def x(rng):
    return rng.normal(size=N)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_equal_computations_on_its_two_sides_stay_two(x):
    def f(x):
        return wg.numpy.exp(x), wg.numpy.exp(barrier(x)) * 2

    assert ops_of(optimised(f, x)).count("exp") == 2
    assert ops_of(optimised(lambda x: (wg.numpy.exp(x), wg.numpy.exp(x) * 2), x)).count("exp") == 1


def test_equal_barriers_are_one(x):
    assert ops_of(optimised(lambda x: (barrier(x) + 1, barrier(x) + 2), x)).count("barrier") == 1


def test_what_follows_it_runs_after_what_it_names(x):
    def f(x, w, named):
        y = wg.numpy.sin(x)
        z = wg.numpy.tanh(w @ (w @ y))
        return z, wg.numpy.cos(barrier(x, z) if named else x) * 3

    w = np.eye(N // 64)
    small = x[: N // 64]
    kernels = lowered(lambda x, w: f(x, w, True), small, w).kernels
    first = {op: i for i, k in reversed(list(enumerate(kernels))) for op in k.ops}
    assert first["cos"] >= first["tanh"]
    kernels = lowered(lambda x, w: f(x, w, False), small, w).kernels
    first = {op: i for i, k in reversed(list(enumerate(kernels))) for op in k.ops}
    assert first["cos"] < first["tanh"]  # it joins the loop that reads x


def test_it_waits_through_views_and_gathers(rng):
    def f(x, w):
        z = wg.numpy.tanh(w @ (w @ wg.numpy.sin(x[0])))
        late = barrier(x, z)
        return z, wg.numpy.cos(late.T[:, 0]), wg.numpy.exp(late.reshape(-1)[np.array([0, 5, 2])])

    x, w = rng.normal(size=(4, 64)), np.eye(64)
    kernels = lowered(f, x, w).kernels
    first = {op: i for i, k in reversed(list(enumerate(kernels))) for op in k.ops}
    assert first["cos"] >= first["tanh"] and first["exp"] >= first["tanh"]
    for got, want in zip(wg.jit(f)(x, w), f(x, w), strict=True):
        assert within(got, want, 1e-12)


def test_it_costs_no_memory_and_no_kernel(x):
    plain = lowered(lambda x, y: (x * y).sum(), x, x)
    barred = lowered(lambda x, y: (barrier(x) * barrier(y)).sum(), x, x)
    assert [k.ops for k in plain.kernels] == [k.ops for k in barred.kernels]
    assert plain.workspace == barred.workspace


@pytest.mark.parametrize("dtype", ["float64", "float32", "complex128", "int64", "bool"])
def test_values(dtype):
    x = np.arange(6).reshape(2, 3).astype(dtype)
    run = wg.jit(lambda x: (barrier(x), barrier(x, x.sum()).T))
    same, moved = run(x)
    assert same.dtype == x.dtype and np.array_equal(same, x) and np.array_equal(moved, x.T)
    assert not np.may_share_memory(same, x)


def test_derivatives(x):
    def f(x, y):
        return (barrier(wg.numpy.sin(x), y) * y).sum()

    y = np.linspace(1, 2, N)
    for g in (wg.grad(f, (0, 1)), wg.jit(wg.grad(f, (0, 1))), wg.grad(wg.jit(f), (0, 1))):
        dx, dy = g(x, y)
        assert within(dx, np.cos(x) * y, 1e-14) and within(dy, np.sin(x), 1e-14)
    assert within(wg.jvp(f, (x, y), (x, y))[1], (np.cos(x) * x * y + np.sin(x) * y).sum(), 1e-12)
    assert wg.jvp(lambda y: barrier(x, y), (y,), (y,))[1].sum() == 0


def test_what_examples_share_stays_one_when_it_waits_for_what_they_do_not(rng):
    w, z = rng.normal(size=3), rng.normal(size=(5, 3))
    seen = []

    def f(w, z):
        late = barrier(w, z)
        seen.append(late)
        return late * z

    assert within(wg.vmap(f, in_axes=(None, 0))(w, z), w * z, 1e-15)
    assert type(seen[0]) is np.ndarray


def test_in_loops(rng):
    def f(x):
        def step(c, _):
            d = wg.numpy.sin(c)
            return barrier(d, c) * 1.5, None

        return wg.scan(step, x, None, length=7)[0].sum()

    for n in (3, 500):
        x = rng.normal(size=n)
        want = x
        for _ in range(7):
            want = np.sin(want) * 1.5
        assert within(wg.jit(f)(x), want.sum(), 1e-12)
        assert within(wg.jit(wg.grad(f))(x), wg.grad(f)(x), 1e-12)


def test_what_it_waits_for_is_made_even_if_nobody_reads_it(rng):
    x = rng.normal(size=(4, 8))

    def f(x):
        y = wg.numpy.exp(x).sum(axis=1)
        return barrier(x, y) * 2

    assert within(wg.jit(f)(x), 2 * x, 1e-15)


def test_of_a_literal(rng):
    def f(x):
        return barrier(np.ones(4), x.sum()) * x + barrier(np.arange(4.0), x) + barrier(np.full((), 2.0), x)

    x = rng.normal(size=4)
    assert within(wg.jit(f)(x), x + np.arange(4) + 2, 1e-15)
