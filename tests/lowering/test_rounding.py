"""What must come out the same to the last bit wherever it is computed: what is compared for equality, and what ends loops."""

from __future__ import annotations

import numpy as np
import pytest

import wengert as wg

RNG = np.random.default_rng(3)


@pytest.mark.parametrize("n", [2, 5, 40, 300])
def test_extrema_of_what_loops_compute_again(n):
    """The place of a maximum is found by equality: what is compared is not rounded otherwise on the way back."""
    a, b, w = RNG.normal(size=(3, n))

    def f(a, b):
        def step(c, i):
            u, v, s = c
            x = u * 0.8 + 0.1 * (v + 0.01 * i)
            s = s * 0.3 - 0.1 * np.max(x) + 0.2 * np.min(u * w + v)
            return (np.tanh(x * 0.55 + 0.3 * v), v * 0.9 + 0.05 * u, s), np.max(x * x - u)

        (u, v, s), ys = wg.scan(step, (a, b, 0.3), np.arange(4))
        return np.sum(u * v) + s + np.sum(ys)

    for g in (wg.grad(f, (0, 1)), wg.grad(lambda a, b: np.sum(wg.grad(f)(a, b)), (0, 1))):
        for got, want in zip(wg.jit(g)(a, b), g(a, b), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-11)


def test_extrema_of_sums_of_products():
    x, y, z = RNG.normal(size=(3, 1000))

    def f(x, y):
        p = x * y + z * x
        return np.max(p) * 2 + np.min(p) + np.sum(np.sort(p)[-3:])

    for got, want in zip(wg.jit(wg.grad(f, (0, 1)))(x, y), wg.grad(f, (0, 1))(x, y), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-11)


def test_loops_end_where_numpy_ends_them():
    """Steps that add up to the end exactly, or fall short of it by a rounding: one trip more or less."""

    def trips(h, end):
        return wg.while_loop(lambda s: s[0] < end, lambda s: (s[0] + h * 0.5 + h * 0.5, s[1] + 1), (h * 0.0, 0))[1]

    compiled = wg.jit(trips)
    for k in range(1, 60):
        h = 1.0 / k
        for m in (1, 2, 3):
            assert compiled(h, m * 1.0) == trips(h, m * 1.0)


def test_decisions_are_made_once():
    """A floor of what a loop computes is not made again on the way back, where it might fall otherwise."""
    grid = np.linspace(0.0, 1.0, 11)

    def f(x, a):
        def step(c, t):
            place = a * t + c * 0.1
            cell = np.floor(place * 10.0)
            return c * 0.5 + (place - cell / 10.0) * t + np.where(cell > 3, c * a, 0.0), cell

        c, cells = wg.scan(step, x, grid)
        return c + np.sum(cells) * x

    for a in (0.3, 0.7, 1.0):
        want = wg.grad(f, (0, 1))(0.1, a)
        for got, one in zip(wg.jit(wg.grad(f, (0, 1)))(0.1, a), want, strict=True):
            np.testing.assert_allclose(got, one, rtol=1e-10)
