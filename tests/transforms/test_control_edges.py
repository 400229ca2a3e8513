"""Edges of control flow: nothing to run, odd indices and predicates, batches of bounds. Python's loops, run eagerly, are
the oracle of what is staged; a few values are spelled out."""

import numpy as np
import pytest

import wengert as wg

A = np.array([[0.5, 0.1], [-0.2, 0.4]])
X = np.arange(6.0).reshape(3, 2)
V = np.array([1.0, 2.0, 3.0])
N = np.array([0, 1, 4])


def shrinking(x):
    return wg.while_loop(
        lambda s: (s[0] ** 2).sum() > 0.1, lambda s: (np.sin(s[0]) * 0.5, s[1] + (s[0] ** 3).sum()), (x, 0.0)
    )[1]


def put(out, i, value):
    out[i] = value
    return out


def collatz(n):
    return wg.while_loop(
        lambda s: s[0] > 1, lambda s: (np.where(s[0] % 2 == 0, s[0] // 2, 3 * s[0] + 1), s[1] + 1), (n, 0)
    )[1]


def recurrent(a, x):
    return wg.scan(lambda c, _: (np.tanh(a @ c), c.sum()), x, None, length=5)[1].sum()


CASES = {
    "per_example_grad": (lambda a, xs: wg.per_example_grad(recurrent)(a, xs), A, X),
    "out_axes": (
        lambda xs: wg.vmap(lambda x: wg.scan(lambda c, r: (c + r, c * r), 0.0, x), in_axes=1, out_axes=(0, 1))(xs),
        X,
    ),
    "examples in a dict": (
        lambda xs: wg.vmap(lambda d: wg.cond(d["a"].sum() > 4, lambda d: d["a"] * 2, lambda d: d["a"] * 0, d))(
            {"a": xs}
        ),
        X,
    ),
    "indices out of range": (
        lambda xs, i: wg.vmap(lambda x, i: wg.switch(i, [lambda x: x, lambda x: x * 2, lambda x: x**2], x))(xs, i),
        X,
        np.array([-5, 1, 9], np.int32),
    ),
    "an upper bound for each": (
        lambda xs, n: wg.vmap(lambda x, n: wg.fori_loop(0, n, lambda i, c: c * 1.5 + i, x))(xs, n),
        X,
        N,
    ),
    "a lower bound for each": (
        lambda xs, n: wg.vmap(lambda x, n: wg.fori_loop(n, 5, lambda i, c: c * 1.5 + i, x))(xs, n),
        X.astype(np.float32),
        np.array([0, 1, 7]),
    ),
    "gradient with a bound for each": (
        lambda xs, n: wg.grad(
            lambda xs: (wg.vmap(lambda x, n: wg.fori_loop(0, n, lambda i, c: np.sin(c) + i, x))(xs, n) ** 2).sum()
        )(xs),
        X,
        N,
    ),
    "integers": (lambda n: wg.vmap(collatz)(n), np.array([6, 7, 1, 27])),
    "branches that only close over": (
        lambda xs: wg.vmap(lambda x: wg.cond(x[0] > 1, lambda: 1.0, lambda: x.sum()))(xs),
        X,
    ),
    "gradient of a constant branch": (
        lambda xs: wg.grad(lambda xs: wg.vmap(lambda x: wg.cond(x[0] > 1, lambda: 1.0, lambda: x.sum()))(xs).sum())(xs),
        X,
    ),
    "a batch of no trips": (lambda xs: wg.vmap(lambda x: wg.scan(lambda c, r: (c + r, c * r), 0.0, x[:0]))(xs), X),
    "gradient of no trips": (
        lambda xs: wg.grad(lambda xs: wg.scan(lambda c, r: (c + r.sum(), c * r), xs.sum(), xs[:0])[0])(xs),
        X,
    ),
    "gradient to no elements": (
        lambda xs: wg.grad(lambda xs: wg.scan(lambda c, r: (c + r.sum(), c * r), 1.0, xs)[0])(xs),
        X[:0],
    ),
    "a map of nothing": (lambda xs: wg.map(lambda x: x * 2, xs, batch_size=2), X[:0]),
    "an associative scan of nothing": (lambda xs: wg.associative_scan(np.add, xs), X[:0]),
    "along another axis": (lambda xs: wg.associative_scan(np.add, xs, reverse=True, axis=1), X),
    "along the last axis": (lambda xs: wg.associative_scan(np.multiply, xs, axis=-1), X),
    "maxima of integers": (lambda n: wg.associative_scan(np.maximum, n), np.array([3, 1, 4, 1, 5])),
    "a carry whose gradient is cut": (
        lambda xs: wg.grad(lambda xs: wg.scan(lambda c, r: (wg.stop_gradient(c) + r, c * r), xs[0], xs)[1].sum())(xs),
        X,
    ),
    "hessian of a while_loop": (lambda x: wg.hessian(shrinking)(x), V),
    "a number as a predicate": (lambda x: wg.cond(x[0], lambda: x, lambda: x * 2), V),
    "no number as a predicate": (lambda x: wg.cond(x[0] * np.nan, lambda: x, lambda: x * 2), V),
    "booleans as xs": (
        lambda x: wg.scan(lambda c, b: (wg.cond(b, lambda c: c * 2, lambda c: c + 1, c), c), x[0], x > 1.5),
        V,
    ),
    "a list that is carried": (lambda x: wg.scan(lambda c, b: ([c[1], c[0] * b], c[0]), [x[0], 1.0], x)[1], V),
    "indices from behind": (lambda x: wg.fori_loop(0, 3, lambda i, c: c + x[-1 - i] * x[i - 1], 0.0), V),
    "a window": (lambda x: wg.fori_loop(0, 2, lambda i, c: c + x[np.arange(2) + i], np.zeros(2)), V),
    "gradient through writes": (
        lambda x: wg.grad(lambda x: (wg.fori_loop(0, 3, lambda i, o: put(o, i, x[i] ** 2), np.zeros(3)) ** 2).sum())(x),
        V,
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_staged_as_eagerly(name):
    f, *args = CASES[name]
    want = f(*args)
    with wg.config.override(compile=False, disk_cache=False):
        got = wg.jit(f)(*args)
    for g, w in zip(*([*o] if isinstance(o, tuple) else [o] for o in (got, want)), strict=True):
        assert np.asarray(g).dtype == np.asarray(w).dtype
        np.testing.assert_allclose(g, w, rtol=1e-6 if np.asarray(w).dtype == np.float32 else 1e-12)


def test_values():
    f, n = CASES["integers"]
    np.testing.assert_array_equal(f(n), [8, 16, 0, 111])
    f, xs, i = CASES["indices out of range"]
    np.testing.assert_array_equal(f(xs, i), [X[0], X[1] * 2, X[2] ** 2])
    f, xs, n = CASES["an upper bound for each"]
    np.testing.assert_allclose(f(xs, n)[:2], [X[0], X[1] * 1.5])
    f, xs = CASES["gradient of no trips"]
    np.testing.assert_array_equal(f(xs), np.ones((3, 2)))
    f, x = CASES["gradient through writes"]
    np.testing.assert_allclose(f(x), 4 * V**3)
    f, xs = CASES["along another axis"]
    np.testing.assert_allclose(f(xs), np.cumsum(X[:, ::-1], axis=1)[:, ::-1])
