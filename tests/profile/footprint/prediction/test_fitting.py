"""The largest problem that fits a budget."""

from __future__ import annotations

import numpy as np
import pytest

import wengert as wg
from wengert.core.errors import BudgetError
from wengert.profile import largest, predict_memory


def loss(w, x):
    return (np.tanh(x @ w) ** 2).mean()


def arguments(n):
    return wg.ShapeDtype((64, 32)), wg.ShapeDtype((n, 64))


@pytest.mark.parametrize("way", [wg.grad(loss), wg.jit(wg.grad(loss))], ids=["eager", "jit"])
def test_the_next_one_does_not_fit(way):
    n = largest(way, "1 MiB", arguments)
    assert n > 100
    assert predict_memory(way, *arguments(n)).peak <= 1 << 20 < predict_memory(way, *arguments(n + 1)).peak


def test_everything_fits():
    assert largest(wg.grad(loss), "1 TB", arguments, least=3, most=100) == 100
    assert largest(wg.grad(loss), "1 TB", arguments, least=7, most=7) == 7


def test_nothing_fits():
    with pytest.raises(BudgetError, match="which n=10 takes") as caught:
        largest(wg.grad(loss), 1000, arguments, least=10)
    assert caught.value.smallest == predict_memory(wg.grad(loss), *arguments(10)).peak


def test_bounds():
    with pytest.raises(ValueError, match="0 < least <= most"):
        largest(loss, 1000, arguments, least=5, most=4)
