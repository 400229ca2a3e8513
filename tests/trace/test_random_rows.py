"""Random programs with residuals put away: by hooks, and by a budget, which changes no bit."""

import os

import numpy as np
import pytest

import wengert as wg
from wengert.core.tree import flatten
from wengert.verify.generate.choices import RandomChoices
from wengert.verify.generate.programs import program

SEEDS = int(os.environ.get("WENGERT_SEEDS", "24"))


def gradient_of(seed):
    """A function that gives gradients of a random program; keywords go to `grad`."""
    made = program(RandomChoices(np.random.default_rng([9, seed])))
    run = wg.adopt(made.f)

    def loss(*args):
        outs = [o for o in flatten(run(*args))[0] if hasattr(o, "dtype") and o.dtype.kind in "fc"]
        return sum(((np.abs(o) ** 2).sum() for o in outs), 0.0)

    numbers = tuple(i for i, a in enumerate(made.args) if hasattr(a, "dtype") and a.dtype.kind in "fc")

    def gradient(**how):
        args = [np.array(a) if isinstance(a, np.ndarray) else a for a in made.args]
        with np.errstate(all="ignore"), wg.config.override(compiled_backward=False):
            return wg.grad(loss, numbers, **how)(*args)

    return gradient


def remade(kept):
    shape, dtype, data = kept
    return np.frombuffer(data, dtype).reshape(shape)


@pytest.mark.parametrize("seed", range(SEEDS))
def test_gradients_are_the_same(seed):
    gradient = gradient_of(seed)
    expected = gradient()
    with pytest.raises(wg.errors.BudgetError) as caught:
        gradient(memory_budget=1)
    least = caught.value.smallest or 0
    for factor in (1.0, 1.3):
        for g, e in zip(gradient(memory_budget=int(least * factor)), expected, strict=True):
            np.testing.assert_array_equal(g, e)
    with wg.saved_tensors_hooks(lambda a: (a.shape, a.dtype, a.tobytes()), remade):
        found = gradient()
    for g, e in zip(found, expected, strict=True):
        np.testing.assert_allclose(g, e, rtol=1e-9, atol=1e-12)
