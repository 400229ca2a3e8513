"""Derivative rules run without floating-point warnings; the user's own code keeps its settings."""

import warnings

import numpy as np
import pytest

import wengert as wg
from wengert.core.quiet import quietly


def test_rules_are_quiet_and_settings_come_back():
    before = np.geterr()
    assert quietly(lambda x: x / 0.0, np.float64(1.0)) == np.inf
    assert np.geterr() == before
    with np.errstate(divide="raise"):
        quietly(lambda x: x / 0.0, np.ones(2))
        with pytest.raises(FloatingPointError):
            np.ones(2) / 0.0


def test_settings_come_back_after_an_error():
    before = np.geterr()
    with pytest.raises(KeyError):
        quietly({}.__getitem__, 1)
    assert np.geterr() == before


def test_parameters_of_any_name_reach_the_rule():
    assert quietly(lambda *, rule, args: (rule, args), rule=1, args=2) == (1, 2)


@pytest.mark.parametrize("transform", [lambda f, x: wg.jvp(f, (x,), (np.ones_like(x),)), lambda f, x: wg.grad(f)(x)])
def test_slopes_do_not_warn_and_values_do(transform):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        transform(lambda x: np.sum(np.sqrt(x)), np.zeros(3))  # an infinite slope at 0
        with pytest.raises(RuntimeWarning, match="divide by zero"):
            transform(lambda x: np.sum(np.log(x)), np.zeros(3))
