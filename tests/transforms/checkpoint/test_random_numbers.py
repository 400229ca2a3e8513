"""Random numbers come again in the second run, wherever they come from, and generators are left as the first run left them."""

from __future__ import annotations

import functools
import random

import numpy as np
import pytest

import wengert as wg

P = wg.policies
X = np.random.default_rng(0).normal(size=(8, 5))
GLOBAL = np.random.default_rng(1)


def dropout(x, rng, rate=0.5):
    """As a user of plain NumPy writes it."""
    return x * (rng.random(x.shape) >= rate) / (1 - rate)


def through_globals(x):
    return np.tanh(dropout(x, GLOBAL))


class Model:
    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)
        self.layers = [{"rate": 0.5}, {"rate": 0.2}]

    def __call__(self, x):
        for layer in self.layers:
            x = np.tanh(dropout(x, self.rng, layer["rate"]))
        return x


class Slotted:
    __slots__ = ("draw",)

    def __init__(self, seed):
        self.draw = np.random.default_rng(seed).standard_normal

    def apply(self, x):
        return np.sin(x) * self.draw(x.shape)


def closure(seed):
    rng = np.random.default_rng(seed)
    return lambda x: np.tanh(dropout(x, rng))


def in_a_container(seed):
    state = {"generators": [np.random.Generator(np.random.Philox(seed))]}
    return lambda x: np.tanh(dropout(x, state["generators"][0]))


def legacy(seed):
    np.random.seed(seed)
    return lambda x: np.tanh(x) * (np.random.rand(*x.shape) < 0.5)


def legacy_gauss(seed):
    """An odd number of draws leaves one behind, which is part of the state."""
    np.random.seed(seed)
    return lambda x: np.tanh(x) * np.random.randn(3)[0]


def of_python(seed):
    random.seed(seed)
    return lambda x: np.tanh(x) * random.random()


def default(seed):
    def f(x, rng=np.random.RandomState(seed)):
        return np.tanh(x) * rng.normal(size=x.shape)

    return f


def helper(seed):
    def inner(x):
        return dropout(x, GLOBAL)

    GLOBAL.bit_generator.state = np.random.default_rng(seed).bit_generator.state
    return lambda x: np.tanh(inner(x))


def neural(seed):
    rng = np.random.default_rng(seed)
    return lambda x: wg.nn.dropout(np.tanh(x), 0.5, rng)


MAKERS = {
    f.__name__: f for f in (closure, in_a_container, legacy, legacy_gauss, of_python, default, helper, neural, Model)
}
MAKERS["partial"] = lambda seed: functools.partial(dropout, rng=np.random.default_rng(seed))
MAKERS["method"] = lambda seed: Slotted(seed).apply


@pytest.mark.parametrize("policy", [None, P.everything, P.names("none")])
@pytest.mark.parametrize("maker", MAKERS)
def test_the_second_run_draws_the_same(maker, policy):
    def gradients(wrap):
        f = MAKERS[maker](3)
        g = wg.grad(lambda x: np.sum(wrap(f)(x) ** 2 + wrap(f)(x)))
        return g(X), g(X)  # the second call goes on from the state that the first one left

    for got, want in zip(gradients(lambda f: wg.checkpoint(f, policy=policy)), gradients(lambda f: f), strict=True):
        np.testing.assert_array_equal(got, want)


def test_a_generator_as_an_argument():
    f = lambda x, rng: np.sum(np.tanh(wg.checkpoint(dropout)(x, rng)))
    g = lambda x, rng: np.sum(np.tanh(dropout(x, rng)))
    a, b = np.random.default_rng(5), np.random.default_rng(5)
    np.testing.assert_array_equal(wg.grad(f)(X, a), wg.grad(g)(X, b))
    assert a.bit_generator.state == b.bit_generator.state


@pytest.mark.parametrize("segments", [1, 2, 3, 6])
def test_layers_that_share_a_generator(segments):
    """Their second runs come in the opposite order."""

    def run(sequential):
        rng = np.random.default_rng(2)
        fs = [lambda x: np.tanh(dropout(x, rng)) for _ in range(6)]

        def plain(x):
            for f in fs:
                x = f(x)
            return x

        return wg.grad(lambda x: np.sum((wg.checkpoint_sequential(fs, segments) if sequential else plain)(x) ** 2))(X)

    np.testing.assert_array_equal(run(True), run(False))


def test_nested_and_second_order():
    def value(wrap, outer):
        rng = np.random.default_rng(4)
        inner = wrap(lambda x: np.tanh(dropout(x, rng)))
        return outer(lambda x: np.sum(inner(inner(x)) ** 3))

    second = lambda f: wg.grad(lambda x: np.sum(wg.grad(f)(x) ** 2))(X)
    want = value(lambda f: f, second)
    np.testing.assert_allclose(value(wg.checkpoint, second), want, rtol=1e-12)
    np.testing.assert_allclose(value(wg.checkpoint, lambda f: second(wg.checkpoint(f))), want, rtol=1e-12)
    np.testing.assert_allclose(
        value(wg.checkpoint, lambda f: second(wg.checkpoint(f, policy=P.everything))), want, rtol=1e-12
    )


def test_under_vmap_and_jvp():
    def run(wrap, of):
        rng = np.random.default_rng(6)
        return of(wrap(lambda x: np.tanh(x * rng.random(5))))

    for of in (
        lambda f: wg.grad(lambda x: np.sum(wg.vmap(f)(x) ** 2))(X),
        lambda f: wg.vmap(wg.grad(lambda x: np.sum(f(x) ** 2)))(X),
        lambda f: wg.grad(lambda x: np.sum(wg.jvp(f, (x,), (x,))[1]))(X),
    ):
        np.testing.assert_array_equal(run(wg.checkpoint, of), run(lambda f: f, of))


@pytest.mark.parametrize("policy", [None, P.everything])
def test_what_cannot_be_set_back_is_told(policy):
    """A counter is no generator. With `everything` kept the result is the same again, and what went in is not."""
    state = {"n": 0}

    def f(x):
        state["n"] += 1
        return np.tanh(x * np.full(5, float(state["n"])))

    with pytest.raises(wg.errors.TapeError, match="another result"):
        wg.grad(lambda x: np.sum(wg.checkpoint(f, policy=policy)(x)))(X)


def test_another_sequence_of_ops_is_told():
    state = {"n": 0}

    def f(x):
        state["n"] += 1
        return np.tanh(x) if state["n"] == 1 else np.sinh(x)

    with pytest.raises(wg.errors.TapeError, match="other things"):
        wg.grad(lambda x: np.sum(wg.checkpoint(f, policy=P.everything)(x)))(X)


def test_an_index_that_changes_is_told():
    state = {"n": 0}

    def f(x):
        state["n"] += 1
        return np.exp(x[state["n"]])

    with pytest.raises(wg.errors.TapeError, match=r"other|another"):
        wg.grad(lambda x: np.sum(wg.checkpoint(f, policy=P.everything)(x)))(X)
