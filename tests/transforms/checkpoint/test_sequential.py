"""`checkpoint_sequential`: segments, what they keep, pytrees, refusals."""

from __future__ import annotations

import numpy as np
import pytest

import wengert as wg

X = np.random.default_rng(0).normal(size=(16, 8))
WEIGHTS = [np.random.default_rng(i).normal(size=(8, 8)) / 3 for i in range(9)]


def layer(w):
    return lambda h: np.tanh(h @ w) * np.sin(h)


def plain(fs):
    def run(x):
        for f in fs:
            x = f(x)
        return x

    return run


@pytest.mark.parametrize("segments", [None, 1, 2, 3, 4, 9])
@pytest.mark.parametrize("jit", [False, True])
def test_gradients_to_inputs_and_parameters(segments, jit):
    def loss(make):
        return lambda x, ws: np.sum(make([layer(w) for w in ws])(x) ** 2)

    wrap = wg.jit if jit else lambda f: f
    got = wrap(wg.grad(loss(lambda fs: wg.checkpoint_sequential(fs, segments)), argnums=(0, 1)))(X, WEIGHTS)
    want = wg.grad(loss(plain), argnums=(0, 1))(X, WEIGHTS)
    np.testing.assert_allclose(got[0], want[0], rtol=1e-9, atol=1e-12)
    for g, w in zip(got[1], want[1], strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-9, atol=1e-12)


def test_memory_is_least_at_about_the_square_root():
    def held(segments):
        fs = [layer(w) for w in WEIGHTS]
        return wg.saved_residuals(lambda x: wg.checkpoint_sequential(fs, segments)(x), X).total

    assert held(None) == held(3)
    assert held(3) < held(1) / 1.5


def test_pytrees_and_several_arguments():
    fs = [
        lambda a, b: {"h": np.sin(a * b), "n": 2},
        lambda t: (t["h"] ** t["n"], t["h"]),
        lambda t: np.sum(t[0] * t[1]),
    ]
    got = wg.grad(wg.checkpoint_sequential(fs, 2), argnums=(0, 1))(X, X + 1)
    want = wg.grad(lambda a, b: np.sum(np.sin(a * b) ** 3), argnums=(0, 1))(X, X + 1)
    for g, w in zip(got, want, strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-12)


@pytest.mark.parametrize(
    "fs,segments,message",
    [
        ([], 1, "no functions"),
        ([np.sin, 3.0], 1, r"fs\[1\] = 3.0"),
        ([np.sin], 2, "an integer from 1 to 1"),
        ([np.sin], 0, "an integer from 1 to 1"),
        ([np.sin, np.cos], 1.5, "an integer from 1 to 2"),
    ],
)
def test_refusals(fs, segments, message):
    with pytest.raises(wg.errors.WengertError, match=message):
        wg.checkpoint_sequential(fs, segments)
