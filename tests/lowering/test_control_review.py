"""Compiled loops and branches where small differences would be silent: ties, divisors, lanes that ended, stacks, aliases, threads."""

import numpy as np
import pytest

import wengert as wg


def same(got, want, tol=1e-9):
    assert len(got) == len(want)
    for g, w in zip(got, want, strict=True):
        np.testing.assert_allclose(g, w, rtol=tol, atol=tol, equal_nan=True)


# ── ties: a value computed again is compared with one that was kept ───────────

TIES = {
    "max": lambda y, x: np.max(y),
    "min": lambda y, x: np.min(y) * x,
    "equal": lambda y, x: np.sum(np.where(y == np.max(y), y, 0.0)),
    "not less": lambda y, x: np.sum((y >= np.max(y)) * y),
    "argmax": lambda y, x: y[np.argmax(y)] * x,
    "median": lambda y, x: np.median(y),
    "maximum": lambda y, x: np.sum(np.maximum(y, y[0])),
    "sign": lambda y, x: np.sum(np.sign(y - np.max(y)) * y),
    "branch": lambda y, x: wg.cond(y[0] >= np.max(y), lambda: y[0], lambda: np.sum(y[1:])),
}


@pytest.mark.parametrize("n", [3, 70])
@pytest.mark.parametrize("kind", TIES)
def test_ties_of_values_computed_again(kind, n):
    rng = np.random.default_rng(n)
    c = rng.normal(size=2)

    def loss(a, b):
        def body(carry, x):
            a, b, s = carry
            y = a * c[0] + b * x + 0.1
            return (b * b * 0.5 + 0.1 * y, 0.3 * a * a + y * c[1] * x, s + TIES[kind](y, x)), None

        return wg.scan(body, (a, b, 0.0), np.linspace(0.1, 0.9, 7))[0][2]

    args = rng.normal(size=n) * 0.5, rng.normal(size=n) * 0.5
    gradient = wg.grad(loss, (0, 1))
    same(wg.jit(gradient)(*args), gradient(*args))


@pytest.mark.parametrize("seed", [21, 38])
def test_second_derivatives_of_ties(seed):
    rng = np.random.default_rng(seed)
    n, c = int(rng.choice([2, 3, 5, 8, 40, 200])), rng.normal(size=3)
    reduced = np.max if seed == 21 else np.min

    def loss(a, b):
        def body(carry, x):
            a, b, s = carry
            y = a * c[0] + b * x
            return (np.tanh(b) + 0.1 * y, np.cos(a), s + reduced(y) * (1.0 if seed == 21 else x)), None

        return wg.scan(body, (a, b, 0.0), np.linspace(0.1, 1.3, 7))[0][2]

    args = rng.normal(size=n), rng.normal(size=n)
    same([wg.jit(wg.hessian(loss))(*args)], [wg.hessian(loss)(*args)])


# ── numbers that quotients and products by kept reciprocals would get wrong ───


@pytest.mark.parametrize("divisor", [0.0, -0.0, np.inf, np.nan, 5e-324, 1e-310, 1e308, -3.0])
@pytest.mark.parametrize("n", [3, 70])
def test_divisors_that_all_trips_share(divisor, n):
    def loop(x, d):
        return np.sum(wg.scan(lambda c, t: (c / d, np.sin(c / d) + t / d), x, np.arange(3.0))[1])

    args = np.full(n, 0.7), np.full(n, divisor)
    with np.errstate(all="ignore"):
        same([wg.jit(loop)(*args)], [loop(*args)])
        gradient = wg.grad(loop, (0, 1))
        same(wg.jit(gradient)(*args), gradient(*args))


@pytest.mark.parametrize("n", [3, 20])
def test_lanes_that_ended_before_the_root_of_a_negative_number(n):
    def one(v):
        return wg.while_loop(lambda s: s[0] > 1.0, lambda s: np.sqrt(s - 1.0), v)

    first = np.linspace(0.1, 40.0, n)
    xs = np.stack([first, first + 1.5, first + 2.5], axis=1)
    together = wg.grad(lambda xs: np.sum(wg.vmap(one)(xs) ** 2))
    apart = wg.grad(lambda xs: sum(np.sum(one(x) ** 2) for x in xs))
    with np.errstate(all="ignore"):
        same([wg.jit(together)(xs)], [apart(xs)])
    assert np.isfinite(apart(xs)).all()


# ── stacks of the way back ────────────────────────────────────────────────────


@pytest.mark.parametrize("width", [1, 7, 33, 65])
def test_stacks_of_all_sizes(width):
    def step(x):
        return np.sin(x) * 1.01 + x * x * 0.01

    def counted(x, n):
        return np.sum(wg.while_loop(lambda s: s[1] < n, lambda s: (step(s[0]), s[1] + 1), (x, 0))[0])

    def known(x, n):
        return np.sum(wg.scan(lambda c, _: (step(c), None), x, None, length=n)[0])

    x, gradient = np.linspace(0.1, 1.0, width), wg.jit(wg.grad(counted))
    for n in (0, 1, 2, 7, 8, 9, 31, 32, 33, 63, 64, 65, 127, 128, 129):
        same([gradient(x, n)], [wg.grad(known)(x, n)])


# ── memory ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("donated", [(), (0,), (1,), (0, 1)])
@pytest.mark.parametrize("n", [4, 70, 5000])
def test_arguments_are_carries_xs_and_results_at_once(n, donated):
    def run(x, y):
        def body(i, c):
            c[i] = c[i - 1] + y[i]
            return c

        swapped = wg.while_loop(lambda s: s[0][1] < 5.0, lambda s: (s[1] + 1.0, s[0]), (x, y))
        return (
            wg.fori_loop(0, 3, body, x),
            x * 2.0,
            y,
            *swapped,
            *wg.scan(lambda c, t: (c + t, c[0] * t), x, np.stack([y, y])),
        )

    x, y = np.arange(float(n)), np.arange(float(n))[::-1].copy()
    want = run(x.copy(), y.copy())
    f = wg.jit(run, donate_argnums=donated)
    for _ in range(2):
        a, b = x.copy(), y.copy()
        same(f(a, b), want)
        if not donated:
            assert (a == x).all() and (b == y).all()


def test_failures_in_bodies_leave_the_next_call_right():
    def run(x, n):
        def body(s):
            return s[0] - 0.5 + np.linalg.cholesky(np.diag(s[0]))[0] * 0.0, s[1] + 1

        return np.sum(wg.while_loop(lambda s: s[1] < n, body, (x, 0))[0] ** 2)

    x = np.linspace(5.0, 9.0, 70)
    for f in (wg.jit(run), wg.jit(wg.grad(run))):
        want = f(x, 3)
        for _ in range(5):
            with pytest.raises(np.linalg.LinAlgError):
                f(x, 30)
            np.testing.assert_array_equal(f(x, 3), want)


def test_threads_give_the_same_bits():
    rng = np.random.default_rng(0)
    table, xs, p, at = (
        rng.normal(size=(300, 4)),
        rng.normal(size=(5000, 3)),
        rng.normal(size=(4, 3)),
        rng.integers(-300, 300, 5000),
    )

    def loss(table, p, xs):
        return np.sum(np.sin(wg.vmap(lambda x, i: np.tanh(p @ x) * np.take(table, i, axis=0))(xs, at)))

    f, before = wg.jit(wg.grad(loss, (0, 1, 2))), wg.get_threads()
    try:
        found = []
        for n in (1, 2, 1):
            wg.set_threads(n)
            found.append(f(table, p, xs))
    finally:
        wg.set_threads(before)
    for other in found[1:]:
        assert all((a == b).all() for a, b in zip(found[0], other, strict=True))
