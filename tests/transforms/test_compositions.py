"""Compositions of transforms that random programs have found wrong or refused, each in its smallest form."""

import gc

import numpy as np
import pytest

import wengert as wg

X = np.arange(1.0, 4.0)


def test_a_checkpoint_under_vmap_may_close_over_differentiated_values():
    def f(x):
        return np.sum(wg.vmap(wg.checkpoint(lambda a: a + x * x))(x * X))

    assert wg.grad(f)(1.6) == pytest.approx(6.0 + 2 * 3 * 1.6)
    assert wg.grad(wg.grad(f))(1.6) == pytest.approx(6.0)
    np.testing.assert_allclose(wg.vmap(wg.grad(f))(X), 6.0 + 6.0 * X)


def test_a_checkpoint_under_jvp_may_close_over_differentiated_values():
    def f(x):
        return wg.jvp(wg.checkpoint(lambda a: a**2 * x**3), (x,), (1.0,))[1]

    assert wg.grad(f)(2.0) == pytest.approx(2 * 4 * 8.0)


def test_two_checkpoints_under_one_vmap():
    def f(x):
        def g(a):
            b = wg.checkpoint(np.sin)(a)
            return wg.checkpoint(lambda c: c * x)(b) + np.sum(np.zeros(2) + b)

        return np.sum(wg.vmap(g)(X * x))

    expected = np.sum(np.sin(X * 0.7) + 0.7 * X * np.cos(0.7 * X) + 2 * X * np.cos(0.7 * X))
    assert wg.grad(f)(0.7) == pytest.approx(expected)


def test_nested_checkpoints_within_vmap_within_a_checkpoint():
    def f(x):
        inner = wg.checkpoint(lambda a: np.sin(a * x))
        outer = wg.checkpoint(lambda y: np.sum(wg.vmap(wg.checkpoint(lambda a: inner(a) * x))(y)))
        return outer(X * x)

    plain = wg.grad(lambda x: np.sum(np.sin(X * x * x) * x))
    assert wg.grad(f)(0.7) == pytest.approx(plain(0.7))
    assert wg.grad(wg.grad(f))(0.7) == pytest.approx(wg.grad(plain)(0.7))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_what_vmap_computes_is_a_view_where_it_is_one_in_an_example(axis):
    def f(x):
        y = np.sin(x)
        flat = y.reshape(-1)
        y[1] = 0.3
        return np.sum(flat * X[:2].repeat(3))

    many = np.linspace(-1.0, 1.0, 24).reshape(4, 2, 3)
    want = [f(x) for x in many]
    np.testing.assert_allclose(wg.vmap(f, in_axes=axis)(np.moveaxis(many, 0, axis).copy()), want)


def test_vmap_of_grad_adds_to_elements_at_each_example_s_own_places():
    def f(x):
        ordered = np.sort(x)
        return np.sum(x.take(1, axis=1)) + np.sum(ordered * X)

    many = np.array([[[3.0, 1.0, 2.0]], [[0.5, 0.7, -1.0]]])
    np.testing.assert_allclose(wg.vmap(wg.grad(f))(many), [wg.grad(f)(x) for x in many])


def test_jacfwd_of_a_function_that_writes_into_a_copy_of_one_argument():
    def f(x, y):
        z = y.copy()
        z[0] += x
        return z * z

    for one, other in zip(wg.jacfwd(f, argnums=(0, 1))(2.0, X), wg.jacrev(f, argnums=(0, 1))(2.0, X), strict=True):
        np.testing.assert_allclose(one, other)


def test_a_tape_and_a_target_of_an_outer_transform():
    def f(x):
        with wg.GradientTape() as tape:
            a = tape.watch(np.ones(2))
        return x**2 + np.sum(tape.gradient(x, a, unconnected="zero"))

    assert wg.grad(f)(3.0) == 6.0
    assert wg.grad(wg.checkpoint(f))(3.0) == 6.0
    assert wg.jvp(f, (3.0,), (1.0,))[1] == 6.0


def test_a_checkpointed_function_that_refers_to_itself_gives_the_arguments_back():
    def f(x):
        def folded(x):
            def power(n):
                return x if n == 0 else power(n - 1) * x

            return power(3)

        return np.sum(wg.checkpoint(folded)(x))

    x = np.ones(3)
    gc.disable()
    try:
        np.testing.assert_array_equal(wg.grad(f)(x), 4.0)
        assert x.flags.writeable
        wg.hvp(f, (x,), (np.ones(3),))
        assert x.flags.writeable
    finally:
        gc.enable()


def closes_over_what_is_written_later(start):
    def f(x, y):
        kept = start(y)
        out = wg.checkpoint(lambda a: np.sum(np.sin(kept * a) + kept))(x)
        kept[0] = 5.0
        kept *= x
        return out * np.sum(kept)

    def plain(x, y):
        kept = start(y)
        out = np.sum(np.sin(kept * x) + kept)
        return out * (5.0 + kept[1]) * x

    return f, plain


@pytest.mark.parametrize("start", [lambda y: np.stack([y, y * y]), lambda y: np.ones(2), lambda y: np.ones(2) * y])
def test_what_a_checkpoint_closes_over_may_be_written_after_it_has_run(start):
    f, plain = closes_over_what_is_written_later(start)
    both = (0, 1)
    np.testing.assert_allclose(wg.grad(f, both)(0.7, 1.3), wg.grad(plain, both)(0.7, 1.3))
    np.testing.assert_allclose(wg.hvp(f, (0.7, 1.3), (1.0, 2.0)), wg.hvp(plain, (0.7, 1.3), (1.0, 2.0)))
    twice = (wg.grad(lambda x, y, f=f: wg.grad(f, both)(x, y)[0], both)(0.7, 1.3) for f in (f, plain))
    np.testing.assert_allclose(*twice)
    many = X, X**2
    np.testing.assert_allclose(wg.vmap(wg.grad(f, both))(*many), wg.vmap(wg.grad(plain, both))(*many))
    mapped, loop = (wg.grad(lambda x, y, f=f: np.sum(wg.vmap(f)(x, y)), both)(*many) for f in (f, plain))
    np.testing.assert_allclose(mapped, loop)
    pushed, want = (wg.grad(lambda x, y, f=f: wg.jvp(f, (x, y), (y, x))[1], both)(0.7, 1.3) for f in (f, plain))
    np.testing.assert_allclose(pushed, want)


def test_a_checkpointed_function_is_adopted_without_a_tape_too():
    def f(x):
        return np.sum(np.array([x, x * x, 0.5]))

    np.testing.assert_allclose(wg.vmap(wg.checkpoint(f))(X), X + X**2 + 0.5)
    assert wg.jvp(wg.checkpoint(f), (2.0,), (1.0,)) == (6.5, 5.0)


def test_a_checkpointed_function_may_write_into_a_copy_of_what_it_closes_over():
    def f(x, within=wg.checkpoint):
        y = np.sin(x)

        def g(a):
            c = y.copy()
            before = np.sum(c * c)
            c[0] = a[0] ** 2
            d = y.copy()[::-1]
            d *= a
            return c * before + d, c

        one, other = within(g)(x * 2.0)
        return np.sum(one * other)

    def h(x):
        return f(x, lambda g: g)

    np.testing.assert_allclose(wg.grad(f)(X), wg.grad(h)(X))
    np.testing.assert_allclose(wg.hvp(f, (X,), (X,)), wg.hvp(h, (X,), (X,)))
    with pytest.raises(wg.errors.TapeError, match="writes into an array from outside"):
        wg.grad(lambda x: np.sum(wg.checkpoint(lambda a, y=x * 1.0: y.fill(2.0) or y * a)(x)))(X)


@pytest.mark.parametrize(
    "make",
    [
        lambda x: x[:, [2, 0, 1]],
        lambda x: np.block([[x[[0, 1]]], [x]]),
        lambda x: np.ones((3, 3)) @ x.T,
        lambda x: np.einsum("ij,kj->ki", np.ones((2, 3)), np.concatenate([np.ones((1, 3)), x])),
    ],
)
def test_examples_lie_apart_in_memory(make):
    def f(x):
        y = make(x)
        flat, turned = y.reshape(-1), y.T.reshape(-1)
        flat[1] = 0.3
        turned[2] *= 0.5
        return np.sum(y * y)

    many = np.linspace(-1.0, 2.0, 24).reshape(4, 2, 3)
    want = [f(x) for x in many]
    np.testing.assert_allclose(wg.vmap(f)(many), want)
    turned = np.asfortranarray(many)
    np.testing.assert_allclose(wg.vmap(f)(turned), [f(x) for x in turned])
    gradient = wg.grad(lambda many: np.sum(wg.vmap(f)(many)))(many)
    np.testing.assert_allclose(gradient, [wg.grad(f)(x) for x in many])
