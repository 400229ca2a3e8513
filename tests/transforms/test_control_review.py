"""Bodies and what is around them: writes, closures, branches that are not taken, examples in rows."""

import numpy as np
import pytest

import wengert as wg
from wengert.core.errors import TracerLeak

# ── what a body may not do, and what it does not do unless it runs ────────────


def write_in_branch(m, p):
    m = m * 1.0

    def written():
        m[0] = 100.0
        return 1.0

    return wg.cond(p > 0, written, lambda: 2.0), m


def write_in_loop(m, _):
    m = m * 1.0

    def body(i, c):
        m[0] += 1.0
        return c + 1.0

    return wg.fori_loop(0, 5, body, 0.0), m


def write_in_view(m, _):
    m = m * 1.0
    part = m[1:]

    def body(c):
        part[0] = c
        return c + 1.0

    return wg.while_loop(lambda c: c < 3.0, body, 0.0), m


@pytest.mark.parametrize("fun", [write_in_branch, write_in_loop, write_in_view])
def test_writes_to_arrays_from_outside_are_refused(fun):
    fun(np.zeros(3), -1.0)
    with pytest.raises(TracerLeak):
        wg.jit(fun)(np.zeros(3), -1.0)


def test_a_branch_that_is_not_taken_does_nothing():
    def endless(x):
        y = x * 1.0
        return wg.cond(
            x > 0, lambda: wg.while_loop(lambda s: s < 100.0, lambda s: s * (1.0 + y), 1.0 + y), lambda: 0.0 * x
        )

    def beyond(x, i, p):
        return wg.cond(p > 0, lambda: x[i], lambda: x[0] * 2.0)

    def places(x, i):
        return wg.switch(i, [lambda: x[i + 5], lambda: x[i - 1], lambda: x[0]])

    def root(x):
        return wg.cond(np.all(x > 0), lambda: np.linalg.cholesky(np.diag(x))[0, 0], lambda: x[0])

    assert wg.jit(endless)(-1.0) == 0.0
    assert wg.jit(wg.grad(endless))(-1.0) == 0.0
    for n in (4, 100):
        x = np.arange(1.0, n + 1)
        assert wg.jit(beyond)(x, n + 5, -1.0) == 2.0
        assert wg.jit(wg.grad(beyond))(x, n + 5, -1.0)[0] == 2.0
        with pytest.raises(IndexError):
            wg.jit(beyond)(x, n + 5, 1.0)
        assert wg.jit(places)(x, 1) == 1.0
        assert wg.jit(root)(-x) == -1.0


def test_a_loop_without_trips_does_nothing():
    def run(x, xs):
        return wg.scan(lambda c, t: (c + np.linalg.cholesky(x)[0, 0] * t, None), 0.0, xs)[0]

    assert wg.jit(run)(-np.eye(3), np.zeros(0)) == 0.0
    assert not wg.jit(wg.grad(run))(-np.eye(3), np.zeros(0)).any()


# ── rows ──────────────────────────────────────────────────────────────────────

N = 40
RNG = np.random.default_rng(0)
XS, TABLE, P = RNG.normal(size=(N, 3)), RNG.normal(size=(50, 4)), RNG.normal(size=(4, 3))
AT, TRIPS, PLACES = RNG.integers(-50, 50, N), RNG.integers(0, 9, N), RNG.integers(0, 3, N)


def test_closures_over_values_that_are_differentiated():
    def together(p, table):
        return np.sum(wg.vmap(lambda x, i: np.tanh(p @ x) * np.take(table, i, axis=0) * np.sum(p))(XS, AT) ** 2)

    def apart(p, table):
        return sum(np.sum((np.tanh(p @ x) * table[int(i)] * np.sum(p)) ** 2) for x, i in zip(XS, AT, strict=True))

    for transform in (lambda f: wg.grad(f, (0, 1)), lambda f: lambda p, t: wg.jvp(f, (p, t), (p * 2, t + 1))):
        for got, want in zip(wg.jit(transform(together))(P, TABLE), transform(apart)(P, TABLE), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9)


def test_rows_that_write_in_place():
    def row(x, j):
        u = np.zeros(5) + x[0]
        u[j] = x[1]
        u[j + 1] += x[2] * 2.0
        u[-1 - j] *= x[0]
        u[1:3] += x[:2]
        return wg.fori_loop(0, 6, _filled(x), u)

    def _filled(x):
        def body(i, c):
            c[i % 5] = c[i % 5 - 1] * x[i % 3] + c[2]
            return c

        return body

    together = wg.grad(lambda xs: np.sum(np.sin(wg.vmap(row)(xs, PLACES))))
    apart = wg.grad(lambda xs: sum(np.sum(np.sin(row(xs[k], int(PLACES[k])))) for k in range(N)))
    np.testing.assert_allclose(wg.jit(together)(XS), apart(XS), rtol=1e-9, atol=1e-9)


def test_rows_with_loops_of_their_own_length():
    def row(x, n):
        return wg.fori_loop(0, n, lambda i, c: np.sin(c) * x + i * 0.1, x)

    def together(xs):
        return np.sum(wg.vmap(row)(xs, TRIPS) ** 2)

    def apart(xs):
        return sum(np.sum(row(xs[k], int(TRIPS[k])) ** 2) for k in range(N))

    np.testing.assert_allclose(wg.jit(wg.grad(together))(XS), wg.grad(apart)(XS), rtol=1e-9, atol=1e-9)
    v = (XS * 0.3 + 1.0,)
    got, want = wg.jit(lambda xs: wg.hvp(together, (xs,), v))(XS), wg.hvp(apart, (XS,), v)
    for g, w in zip(*(x if isinstance(x, tuple) else (x,) for x in (got, want)), strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("n", [1, 15, 16, 17])
@pytest.mark.parametrize("axes", [(0, None), (1, None), (0, 0), (0, 2)])
def test_axes_and_numbers_of_rows(n, axes):
    xs = RNG.normal(size=(n, 3))
    ps = np.linspace(1.0, 2.0, n)[:, None, None] * P
    a = xs.T.copy() if axes[0] == 1 else xs
    b = P if axes[1] is None else np.moveaxis(ps, 0, axes[1])

    def fun(x, p):
        return wg.cond(x[0] > 0, lambda: np.log(np.abs(x[0]) + x * x), lambda: p[1] * x)

    def together(a, b):
        return np.sum(np.sin(wg.vmap(fun, in_axes=axes)(a, b)))

    def apart(a, b):
        rows = (a[:, k] if axes[0] == 1 else a[k] for k in range(n))
        others = (b if axes[1] is None else b[k] if axes[1] == 0 else b[:, :, k] for k in range(n))
        return sum(np.sum(np.sin(fun(x, p))) for x, p in zip(rows, others, strict=True))

    for got, want in zip(wg.jit(wg.grad(together, (0, 1)))(a, b), wg.grad(apart, (0, 1))(a, b), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9)


# ── one array in two places, and functions that change between stagings ───────


@pytest.mark.parametrize("twice", [lambda v: (v, v), lambda v: (v, v[::-1])])
def test_carries_that_were_one_array_are_apart_in_the_next_trip(twice):
    def run(x):
        def body(i, c):
            u, v = c
            u[0] += 1.0
            return twice(v)

        return wg.fori_loop(0, 3, body, (x, x * 2.0))

    for got, want in zip(wg.jit(run)(np.arange(1.0, 4.0)), run(np.arange(1.0, 4.0)), strict=True):
        np.testing.assert_array_equal(got, want)


def test_a_shared_call_is_staged_anew_by_each_staging():
    factor = [2.0]

    def scaled(x):
        return x * factor[0]

    assert wg.jit(lambda x: wg.call(scaled, x))(1.5) == 3.0
    factor[0] = 5.0
    assert wg.jit(lambda x: wg.call(scaled, x))(1.5) == 7.5
