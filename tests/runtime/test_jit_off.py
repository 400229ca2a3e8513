"""`config.jit` off: jitted functions are run as they are written."""

import numpy as np
import pytest

import wengert as wg


@pytest.mark.parametrize("wrap", [lambda f: wg.jit(f), lambda f: wg.jit(wg.grad(f)), lambda f: wg.grad(wg.jit(f))])
def test_the_function_itself_runs_every_time(wrap):
    calls = []

    def f(x):
        calls.append(type(x))
        return np.sum(np.sin(x) * x)

    g, x = wrap(f), np.linspace(0.0, 1.0, 5)
    compiled = g(x), g(x), g(x)
    staged = len(calls)
    with wg.config.override(jit=False):
        direct = g(x), g(x)
        assert len(calls) == staged + 2
    again = g(x)
    assert len(calls) == staged + 2
    for value in (*direct, again):
        np.testing.assert_allclose(value, compiled[0], rtol=1e-14)


def test_branches_on_values_run_then():
    @wg.jit
    def f(x):
        return x * 2 if x > 0 else x * 3

    with pytest.raises(wg.errors.ConcretizationError):
        f(1.0)
    with wg.config.override(jit=False):
        assert f(-1.0) == -3.0
