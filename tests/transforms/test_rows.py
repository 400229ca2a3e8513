"""`vmap` of small functions, staged: one loop over the examples, or batched ops; what loops keep for the way back."""

from __future__ import annotations

import numpy as np
import pytest

import wengert as wg
from wengert.transforms.control.rows import FEWEST, together

RNG = np.random.default_rng(7)
N = 40
TABLE = RNG.normal(size=(9, 4))
PLACES = RNG.integers(-9, 9, N)
X = RNG.normal(size=(N, 3))


def scans(program):
    return [eqn for eqn in program.equations() if eqn.op.name == "scan"]


def turned(axis, x):
    """Rodrigues' formula."""
    angle = np.sqrt(axis @ axis)
    k = axis / angle
    return x * np.cos(angle) + np.cross(k, x) * np.sin(angle) + k * (k @ x) * (1 - np.cos(angle))


def looked_up(table, place, x):
    row = table[place]
    return turned(row[:3], x) * row[3]


def one_by_one(fun, *batched):
    found = [fun(*example) for example in zip(*batched, strict=True)]
    return (
        found[0].__class__(map(np.stack, zip(*found, strict=True))) if isinstance(found[0], tuple) else np.stack(found)
    )


def test_small_functions_become_one_loop():
    program = wg.trace(lambda t, i, x: wg.vmap(lambda i, x: looked_up(t, i, x))(i, x), TABLE, PLACES, X)
    (scan,) = scans(program)
    assert scan.params["carries"] == 0 and scan.params["length"] == N and len(program.eqns) == 1


WIDE = np.arange(30.0)


@pytest.mark.parametrize(
    ("fun", "x"),
    [(lambda x: x**2 + 1, X[:, 0]), (lambda x: np.fft.fft(x), X), (lambda x: np.tanh(np.outer(WIDE, WIDE) * x[0]), X)],
    ids=["scalars", "host", "wide"],
)
def test_others_are_batched_op_by_op(fun, x):
    assert not scans(wg.trace(wg.vmap(fun), x))


@pytest.mark.parametrize("n", [1, FEWEST - 1, FEWEST, FEWEST + 1])
def test_values_and_axes(n):
    f = wg.vmap(lambda x, w: (turned(x, w), x @ w), in_axes=(1, None), out_axes=(1, 0))
    x, w = RNG.normal(size=(3, n)), RNG.normal(size=3)
    for got, want in zip(wg.jit(f)(x, w), f(x, w), strict=True):
        assert got.shape == want.shape
        np.testing.assert_allclose(got, want, rtol=1e-12)


def test_gradients_reach_what_examples_share():
    def loss(table, x):
        return np.sum(wg.vmap(lambda i, x: looked_up(table, i, x))(PLACES, x) ** 2)

    def by_hand(table, x):
        return sum(np.sum(looked_up(table, PLACES[i], x[i]) ** 2) for i in range(N))

    for got, want in zip(wg.jit(wg.grad(loss, (0, 1)))(TABLE, X), wg.grad(by_hand, (0, 1))(TABLE, X), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-10, atol=1e-12)


def test_jacobians_and_hessians_of_examples():
    jacobian = wg.vmap(lambda i, x: wg.jacrev(looked_up, (0, 2))(TABLE, i, x)[1])
    want = one_by_one(lambda i, x: wg.jacrev(looked_up, 2)(TABLE, i, x), PLACES, X)
    np.testing.assert_allclose(wg.jit(jacobian)(PLACES, X), want, rtol=1e-10, atol=1e-12)
    hessian = wg.vmap(wg.hessian(lambda x: np.sum(turned(x, X[0]) ** 3)))
    np.testing.assert_allclose(wg.jit(hessian)(X), hessian(X), rtol=1e-9, atol=1e-10)


def test_each_example_loops_for_itself():
    def root(a):
        return wg.while_loop(lambda x: np.abs(x * x - a) > 1e-12 * a, lambda x: 0.5 * (x + a / x), a + 0.0)

    a = np.geomspace(2e-3, 1e6, N)
    f = wg.jit(wg.vmap(root))
    np.testing.assert_allclose(f(a), np.sqrt(a), rtol=1e-11)
    np.testing.assert_allclose(wg.jit(wg.vmap(wg.grad(root)))(a), 0.5 / np.sqrt(a), rtol=1e-9)
    np.testing.assert_allclose(wg.jit(wg.grad(lambda a: np.sum(wg.vmap(root)(a))))(a), 0.5 / np.sqrt(a), rtol=1e-9)


def test_places_out_of_bounds_raise():
    f = wg.jit(wg.vmap(looked_up, in_axes=(None, 0, 0)))
    f(TABLE, PLACES, X)
    with pytest.raises(IndexError):
        f(TABLE, np.where(np.arange(N) == 5, 9, PLACES), X)


def test_what_is_not_served_becomes_batched_ops():
    def loss(table, w):
        rows = wg.vmap(lambda i, x: looked_up(table, i, x * w))(PLACES, X)
        return np.sum(rows**2)

    program = wg.trace(wg.grad(loss, (0, 1)), TABLE, np.ones(3))
    batched = together(program, lambda *_: False)
    assert scans(program) and not scans(batched)
    for got, want in zip(batched.run(TABLE, np.ones(3)), program.run(TABLE, np.ones(3)), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-12)


def test_rows_within_loops_become_batched_ops():
    def f(w):
        def step(c, _):
            moved = wg.vmap(lambda x: turned(x, w + c))(X)
            return np.mean(moved, axis=0), np.sum(moved**2)

        c, ys = wg.scan(step, np.zeros(3), length=4)
        return np.sum(c) + np.sum(ys)

    w = np.array([0.3, -0.2, 0.5])
    program = wg.trace(wg.grad(f), w)
    batched = together(program, lambda *_: False)
    assert "unroll=0" in str(program) and "unroll=0" not in str(batched)
    np.testing.assert_allclose(batched.run(w)[0], wg.grad(f)(w), rtol=1e-10)
    np.testing.assert_allclose(wg.jit(wg.grad(f))(w), wg.grad(f)(w), rtol=1e-10)


# ── what the way back keeps ───────────────────────────────────────────────────


def kept(body, carry, n=20):
    """Shapes of what the forward scan of a gradient stacks."""
    program = wg.trace(wg.grad(lambda c: np.sum(wg.scan(body, c, None, length=n)[0])), carry)
    forward = scans(program)[0]
    return [v.shape for v in forward.outs[forward.params["carries"] :]]


A = RNG.normal(size=(5, 5))


def test_a_linear_body_keeps_nothing():
    assert kept(lambda c, _: (A @ c, None), np.ones(5)) == []


def test_one_array_serves_a_recurrence():
    """tanh' is of its result, which is the next trip's carry; A @ c needs c."""
    assert kept(lambda c, _: (np.tanh(A @ c), None), np.ones(5)) == [(20, 5)]


def test_cheap_arithmetic_is_done_again():
    def runge_kutta(y, _):
        def slope(y):
            return y * (1 - y)

        a = slope(y)
        b = slope(y + 0.05 * a)
        c = slope(y + 0.05 * b)
        d = slope(y + 0.1 * c)
        return y + 0.1 / 6 * (a + 2 * b + 2 * c + d), None

    assert kept(runge_kutta, np.full(10, 0.2)) == [(20, 10)]


def test_a_checkpoint_keeps_the_carry():
    def body(c, _):
        for _ in range(4):
            c = np.sin(np.exp(-c * c))
        return c, None

    assert len(kept(body, np.ones(3))) > 1
    assert kept(wg.checkpoint(body), np.ones(3)) == [(20, 3)]
    f = lambda b: wg.grad(lambda c: np.sum(wg.scan(b, c, None, length=20)[0]))
    x = np.array([0.1, 0.5, 0.9])
    np.testing.assert_allclose(wg.jit(f(wg.checkpoint(body)))(x), f(body)(x), rtol=1e-12)


def test_rules_of_the_users_hold_within_bodies():
    @wg.custom_vjp
    def square(x):
        return x * x

    square.defvjp(lambda x: (x * x, x), lambda x, ct: (7 * ct * x,))

    def f(x):
        c, ys = wg.scan(lambda c, t: (0.5 * square(c) + t, c), x, np.arange(3.0))
        return np.sum(c * c) + np.sum(ys)

    x = np.array([0.3, 0.4])
    for g in (wg.grad(f), wg.grad(lambda x: np.sum(wg.grad(f)(x)))):
        np.testing.assert_allclose(wg.jit(g)(x), g(x), rtol=1e-12)
    np.testing.assert_allclose(wg.grad(wg.jit(f))(x), wg.grad(f)(x), rtol=1e-12)
