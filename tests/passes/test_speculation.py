"""Loops backwards with plain products first: what they give, and that NaNs send them to the strong ones."""

from __future__ import annotations

import numpy as np
import pytest

import wengert as wg
from wengert.core.config import config
from wengert.passes.control.speculation import speculation
from wengert.passes.pipeline import optimise

N = 25


def recurrence(a, x):
    """One trip in five has an infinite slope that is not selected."""

    def step(c, x):
        root = np.sqrt(np.maximum(x, 0.0))
        return c * np.where(x > 0, root, a) * 0.9 + a, c

    c, ys = wg.scan(step, a * 2, x)
    return c**2 + np.sum(ys)


def decay(a, x):
    _, c = wg.while_loop(lambda s: s[0] < N, lambda s: (s[0] + 1, s[1] * np.where(x[0] > 0, np.sqrt(x[0]), a)), (0, a))
    return c


def tried(fun, *args):
    program, _ = optimise(wg.trace(wg.grad(fun, (0, 1)), *args))
    new = speculation(program)
    return program, new


X = np.linspace(0.1, 1.4, N)
MASKED = np.where(np.arange(N) % 5 == 0, 0.0, X)


@pytest.mark.parametrize("fun", [recurrence, decay])
@pytest.mark.parametrize("x", [X, MASKED], ids=["finite", "masked"])
def test_gradients_are_those_of_strong_products(fun, x):
    config.debug_passes = True
    try:
        program, new = tried(fun, 0.7, x)
        assert [e.op.name for e in new.equations()].count("switch") == 1
        want = wg.grad(fun, (0, 1))(0.7, x)
        assert np.isfinite(want[0]) and np.isfinite(want[1]).all()
        for got in (new.run(0.7, x), program.run(0.7, x), wg.jit(wg.grad(fun, (0, 1)))(0.7, x)):
            for g, w in zip(got, want, strict=True):
                np.testing.assert_allclose(g, w, rtol=1e-11, atol=1e-14)
    finally:
        config.debug_passes = False


def test_real_nans_stay():
    x = X.copy()
    x[3] = np.nan
    for g, w in zip(wg.jit(wg.grad(recurrence, (0, 1)))(0.7, x), wg.grad(recurrence, (0, 1))(0.7, x), strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-11)


def test_loops_that_decide_by_cotangents_are_left_alone():
    @wg.custom_vjp
    def clipped(x):
        return x * 1.5

    clipped.defvjp(lambda x: (x * 1.5, x), lambda x, ct: (np.where(ct * x > 1.0, 1.0, ct * x),))

    def f(a, x):
        return wg.scan(lambda c, x: (clipped(c) * np.sqrt(x), None), a, x)[0]

    _, new = tried(f, 0.7, X)
    assert "switch" not in [e.op.name for e in new.equations()]


def test_large_bodies_are_left_alone():
    def f(a, x):
        return np.sum(wg.scan(lambda c, x: (np.sqrt(c) * x, None), a, x)[0])

    _, new = tried(f, np.ones(1000), X)
    assert "switch" not in [e.op.name for e in new.equations()]


@pytest.mark.parametrize("masked", [False, True])
def test_loops_within_loops_are_tried_one_by_one(masked):
    """Segments of a scan, each long enough to be worth a look at what it gives."""
    n = 100 * 80
    x = np.linspace(0.1, 1.0, n)
    if masked:
        x[::777] = 0.0

    def rolled(a, x, checkpoint=None):
        def step(c, x):
            root = np.sqrt(np.maximum(x, 0.0))
            return 0.9 * c * np.where(x > 0, root, a) + a, None

        return wg.scan(step, a * 2, x, checkpoint=checkpoint)[0]

    def switches(program):
        inner = [p for e in program.equations() for p in e.params.values() if hasattr(p, "eqns")]
        return sum(e.op.name == "switch" for e in program.equations()) + sum(map(switches, inner))

    both = wg.grad(lambda a, x: rolled(a, x, "sqrt"), (0, 1))
    _, new = tried(lambda a, x: rolled(a, x, "sqrt"), 0.7, x)
    assert switches(new) == 1
    want = wg.grad(rolled, (0, 1))(0.7, x)
    assert np.isfinite(want[0]) and np.isfinite(want[1]).all()
    for got, w in zip(wg.jit(both)(0.7, x), want, strict=True):
        np.testing.assert_allclose(got, w, rtol=1e-9, atol=1e-14)
