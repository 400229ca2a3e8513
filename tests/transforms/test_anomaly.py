"""`detect_anomaly`: where a NaN or an infinity is made, forward and backward, and what helps."""

import re

import numpy as np
import pytest
import scipy.special

import wengert as wg

ZERO = np.array([0.0, 1.0, 4.0])


def root_at_zero(x):
    return np.sqrt(x).sum()  # the root


def norm_at_zero(x):
    return np.sqrt(((x - x) ** 2).sum())  # the norm


def power_at_zero(x):
    return (x**0.5).sum()  # the power


def logarithm(x):
    return np.log(x).sum()  # the logarithm


def quotient(x):
    return (x / (x * 0.0)).sum()  # the quotient


def overflow(x):
    return np.exp(x * 1000.0).sum()  # the overflow


def angle(x):
    return np.arccos(x / 4.0).sum()  # the angle


def negative_root(x):
    return np.sqrt(x - 2.0).sum()  # of a negative number


CASES = {
    root_at_zero: ("the root", "slope of sqrt at 0", "pullback of sqrt", "infinity"),
    norm_at_zero: ("the norm", "slope of sqrt at 0", "pullback of sqrt", "infinity"),
    power_at_zero: ("the power", r"slope of (x\*\*y|sqrt)", "pullback of", "infinity"),
    logarithm: ("the logarithm", "log of 0", "log", "infinity"),
    quotient: ("the quotient", "0/0", "div", "NaN"),
    overflow: ("the overflow", r"above 709\.8", "exp", "infinity"),
    angle: ("the angle", "arccos at -1 and 1", "pullback of arccos", "infinity"),
    negative_root: ("of a negative number", "square root of a negative", "sqrt", "NaN"),
}


def raised(f, *args):
    with np.errstate(all="ignore"), wg.detect_anomaly(), pytest.raises(wg.errors.NonFinite) as caught:
        f(*args)
    return str(caught.value)


@pytest.mark.parametrize("f", CASES, ids=lambda f: f.__name__)
def test_the_line_and_the_cause_are_named(f):
    line, cause, what, kind = CASES[f]
    text = raised(wg.grad(f), ZERO)  # started here
    assert text.startswith(what)
    assert f"the first {kind}" in text
    assert re.search(cause, text)
    assert f"# {line}" in text
    if what.startswith("pullback"):
        assert "(the op, forward)" in text
        assert "text = raised" in text or "f(*args)" in text  # where the backward pass was started
        assert "(where the backward pass was started)" in text


@pytest.mark.parametrize("f", CASES, ids=lambda f: f.__name__)
@pytest.mark.parametrize("order", ["jit of grad", "grad of jit"])
def test_jitted_functions_name_the_line(f, order):
    run = wg.jit(wg.grad(f)) if order == "jit of grad" else wg.grad(wg.jit(f))
    with np.errstate(all="ignore"):
        run(ZERO)  # compiled before
    assert f"# {CASES[f][0]}" in raised(run, ZERO)
    with np.errstate(all="ignore"):
        run(ZERO)  # and after


def test_operands_are_summarised():
    text = raised(wg.grad(root_at_zero), ZERO)
    assert "1 of 3 not finite, first at (0,)" in text
    assert "its result: float64[3], from 0 to 2" in text
    assert "its cotangent: float64[3], from 1 to 1" in text


def test_what_is_passed_on_is_left_alone():
    mask = np.array([0.0, -np.inf, 0.0])

    def attention(x):
        return (scipy.special.softmax(x + mask) * x).sum()

    def missing(x):
        return np.nansum(np.array([1.0, np.nan, 2.0]) * x)

    with wg.detect_anomaly():
        for f in (attention, missing):
            assert np.isfinite(wg.grad(f)(np.array([1.0, 2.0, 3.0]))).sum() >= 2


def test_nan_made_of_infinities_is_found():
    assert "the first NaN" in raised(wg.grad(lambda x: ((x + np.inf) - np.inf).sum()), ZERO)


def test_sums_of_contributions():
    def f(x):
        return (x * 1.5e308).sum() + (x * 1.5e308).sum()

    text = raised(wg.grad(f), np.array([1e-9, 1e-10]))
    assert "sum of cotangents" in text


def test_forward_mode():
    assert "the root" in raised(lambda x: wg.jvp(root_at_zero, (x,), (np.ones(3),)), ZERO)


def test_second_order():
    def f(x):
        return (x**1.5).sum()  # once is well

    with wg.detect_anomaly():
        np.testing.assert_allclose(wg.grad(f)(ZERO), 1.5 * ZERO**0.5)
    assert "once is well" in raised(wg.hessian(f), ZERO)


def test_a_block_within_the_function_sees_its_tape():
    def f(x):
        with wg.detect_anomaly():
            y = np.log(x)
        return y.sum()

    with np.errstate(all="ignore"), pytest.raises(wg.errors.NonFinite):
        wg.grad(f)(ZERO)


def test_a_checkpoint_runs_again_under_watch():
    assert "the root" in raised(wg.grad(wg.checkpoint(root_at_zero)), ZERO)


def test_afterwards_nothing_is_looked_at():
    with np.errstate(all="ignore"):
        with pytest.raises(wg.errors.NonFinite), wg.detect_anomaly():
            wg.grad(root_at_zero)(ZERO)
        assert not wg.config.detect_anomaly
        assert np.isinf(wg.grad(root_at_zero)(ZERO)[0])


def test_debug_nans_looks_for_nan_alone():
    with np.errstate(all="ignore"), wg.config.override(debug_nans=True):
        assert np.isinf(wg.grad(root_at_zero)(ZERO)[0])
        with pytest.raises(wg.errors.NonFinite, match="debug_nans"):
            wg.grad(quotient)(ZERO)
