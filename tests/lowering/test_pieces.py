"""Arrays put together and taken apart within loops: the same results, in fewer loop nests."""

import numpy as np
import pytest

import wengert as wg
from wengert.core.aval import Aval
from wengert.lowering.pieces import in_pieces
from wengert.lowering.straight import STRAIGHT
from wengert.trace.stage import stage

F8 = np.dtype(float)


def staged(fun, *shapes):
    return stage(lambda *v: tuple(fun(*v)), [Aval(s, F8) for s in shapes])[0]


def lorenz(s):
    x, y, z = s
    return np.stack([10.0 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z])


def chain(s):
    return np.concatenate([s[:1], s[1:] * s[:-1]])


def runge_kutta(slope, s, h=0.01):
    k1 = slope(s)
    k2 = slope(s + h / 2 * k1)
    k3 = slope(s + h / 2 * k2)
    return s + h / 6 * (k1 + 2 * k2 + 2 * k3 + slope(s + h * k3))


@pytest.mark.parametrize(("slope", "shape"), [(lorenz, (3, 100)), (chain, (200,)), (lorenz, (3, 9, 11))])
@pytest.mark.parametrize("grad", [False, True])
def test_integrators(slope, shape, grad, monkeypatch):
    for emitter in STRAIGHT.values():
        monkeypatch.setattr(emitter, "supports", lambda *_: False)

    def end(s):
        return np.sum(wg.scan(lambda s, _: (runge_kutta(slope, s), None), s, length=4)[0] ** 2)

    fun = wg.grad(end) if grad else end
    s = np.random.default_rng(0).normal(size=shape)
    with wg.config.override(debug_passes=True, disk_cache=False):
        compiled = wg.jit(fun)
        np.testing.assert_allclose(compiled(s), fun(s), rtol=1e-10)
    if slope is lorenz and not grad:
        assert "1 kernel a trip" in compiled.explain(s)


def random_program(seed):
    rng = np.random.default_rng(seed)

    def fun(x, y):
        pool = [x, y]
        for _ in range(rng.integers(3, 12)):
            a, b = (pool[i] for i in rng.integers(len(pool), size=2))
            kind = rng.choice(["join", "columns", "slice", "row", "add", "sin", "scale", "sum", "where"])
            if kind == "join" and a.shape[1] == b.shape[1]:
                pool.append(np.concatenate([a, np.cos(b), a * b if a.shape == b.shape else a], axis=0))
            elif kind == "columns" and len(a) == len(b):
                pool.append(np.concatenate([a[:, :30], b], axis=1))
            elif kind == "slice":
                low = rng.integers(0, len(a))
                wide = rng.integers(2)
                pool.append(a[low : low + rng.integers(1, 5), wide : a.shape[1] - wide])
            elif kind == "row":
                pool.append(a[rng.integers(len(a))][None])
            elif kind == "add" and len(a) == len(b):
                width = min(a.shape[1], b.shape[1])
                pool.append(a[:, :width] - 0.5 * b[:, :width])
            elif kind == "sin":
                pool.append(np.sin(a))
            elif kind == "scale":
                pool.append(a * rng.normal(size=(1, a.shape[1])) + rng.normal(size=(len(a), 1)))
            elif kind == "sum":
                pool.append(np.sum(a, axis=0)[None] * b[:1, :1])
            elif kind == "where":
                pool.append(np.where(a > 0, a, 2.0))
        return pool[-3:]

    return staged(fun, (3, 80), (2, 80))


@pytest.mark.parametrize("first", range(0, 100, 25))
def test_random_programs_compute_the_same(first):
    changed = 0
    for seed in range(first, first + 25):
        program = random_program(seed)
        new = in_pieces(program)
        changed += new is not program
        rng = np.random.default_rng(seed)
        xs = rng.normal(size=(3, 80)), rng.normal(size=(2, 80))
        for got, want in zip(new.run(*xs), program.run(*xs), strict=True):
            np.testing.assert_array_equal(got, want, err_msg=f"seed {seed}")
    assert changed > 3
