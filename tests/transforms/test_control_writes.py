"""Writes in the bodies of loops and branches: what they may reach, and that eager and compiled loops agree."""

from __future__ import annotations

import numpy as np
import pytest

import wengert as wg
from wengert.core.errors import TracerLeak


def branch(m, p):
    m = m * 1.0

    def taken():
        m[0] = 100.0
        return 1.0

    return wg.cond(p > 0, taken, lambda: 2.0), m


def loop(m, p):
    m = m * 1.0

    def body(i, c):
        m[0] += 1.0
        return c + p

    return wg.fori_loop(0, 5, body, 0.0), m


def part(m, p):
    view = (m * 1.0)[1:]

    def body(i, c):
        view[0] = c
        return c + p

    return wg.fori_loop(0, 5, body, 0.0), view


@pytest.mark.parametrize("fun", [branch, loop, part])
def test_staged_bodies_do_not_write_to_what_is_outside(fun):
    with pytest.raises(TracerLeak, match="make the array part of the carry"):
        wg.jit(fun)(np.zeros(3), -1.0)


def test_bodies_write_to_what_they_make_and_are_given():
    def f(x):
        def body(i, c):
            own = np.zeros(3)
            own[i] = c[0]
            c[i] = own[i] * 2
            rest = c[1:]
            rest[0] += 1
            return c

        return wg.fori_loop(0, 3, body, x)

    x = np.ones(3)
    np.testing.assert_array_equal(wg.jit(f)(x), f(x))
    np.testing.assert_array_equal(x, np.ones(3))


def swapped(i, c):
    u, v = c
    u[0] += 1
    return v, v


def viewed(i, c):
    u, v = c
    u[0] += 1
    return v[::-1], v


@pytest.mark.parametrize("body", [swapped, viewed])
def test_carries_that_are_one_array_are_two_from_then_on(body):
    def f(x):
        return wg.fori_loop(0, 3, body, (x, 2 * x))

    for got, want in zip(wg.jit(f)(np.ones(3)), f(np.ones(3)), strict=True):
        np.testing.assert_array_equal(got, want)

    def loss(x):
        return np.sum(f(x)[0] * np.arange(3.0))

    np.testing.assert_array_equal(wg.jit(wg.grad(loss))(np.ones(3)), wg.grad(loss)(np.ones(3)))


# ── what bodies do to values from outside alone ───────────────────────────────


def test_branches_not_taken_do_nothing():
    def endless(x):
        y = x * 1.0
        loop = lambda: wg.while_loop(lambda s: s < 100.0, lambda s: s * (1.0 + y), 1.0 + y)
        return wg.cond(x > 0, loop, lambda: 0.0 * x)

    for x in (-1.0, 1.0):
        assert wg.jit(endless)(x) == endless(x)
        assert wg.jit(wg.grad(endless))(x) == wg.grad(endless)(x)


def test_places_out_of_bounds_in_branches_not_taken():
    def f(x, i, p):
        return wg.cond(p > 0, lambda: x[i], lambda: x[0] * 2)

    assert wg.jit(f)(np.ones(3), 7, -1.0) == 2.0
    np.testing.assert_array_equal(wg.jit(wg.grad(f))(np.ones(3), 7, -1.0), [2.0, 0.0, 0.0])
    with pytest.raises(IndexError):
        wg.jit(f)(np.ones(3), 7, 1.0)


def test_what_fails_in_branches_not_taken():
    def f(x):
        return wg.cond(np.all(x > 0), lambda: np.linalg.cholesky(np.diag(x)), lambda: np.diag(x) * 2)

    x = -np.ones(3)
    np.testing.assert_array_equal(wg.jit(f)(x), f(x))


def test_views_of_what_was_written_before():
    def f(x):
        x = x * 1.0
        rest = x[1:]
        x[1] = 5.0 * x[0]
        return wg.cond(x[0] > 0, lambda: np.sum(rest * 2), lambda: 0.0 * x[0]) + np.sum(rest)

    x = np.ones(3)
    assert wg.jit(f)(x) == f(x)
    np.testing.assert_array_equal(wg.jit(wg.grad(f))(x), wg.grad(f)(x))


def test_loops_of_no_trips_run_nothing():
    singular = np.zeros((3, 3))

    def f(n):
        return wg.fori_loop(0, n, lambda i, c: c + np.linalg.inv(singular)[0, 0], 0.0)

    assert f(0) == 0.0
