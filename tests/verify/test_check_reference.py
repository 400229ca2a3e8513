"""References against derivatives known in closed form: the value, and that the stated error covers the true one."""

import math

import numpy as np
import pytest

from wengert.verify.reference import NoReference, differences, directional, noise
from wengert.verify.reference.sides import sides

X = np.random.default_rng(0).normal(size=2000)

FUNCTIONS = {
    "sin": (np.sin, np.cos),
    "exp": (np.exp, np.exp),
    "steep": (lambda x: np.tanh(300 * x), lambda x: 300 * (1 - np.tanh(300 * x) ** 2)),
    "wave": (lambda x: np.sin(1e4 * x), lambda x: 1e4 * np.cos(1e4 * x)),  # the first steps are many periods
    "pole": (lambda x: 1 / (1e-4 + x * x), lambda x: -2 * x / (1e-4 + x * x) ** 2),
    "offset": (lambda x: 1e6 + np.sin(x), np.cos),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_error_covers_smooth_functions(name):
    fun, slope = FUNCTIONS[name]
    found = differences(lambda t: [fun(X + t)])
    off = np.abs(found.value[0] - slope(X))
    assert np.all(off <= found.error[0] + 1e-15 * np.abs(slope(X)))
    assert np.median(off) < 1e-6 * np.max(np.abs(slope(X))), "the reference resolves the slope"


@pytest.mark.parametrize("level", [1e-14, 1e-12, 1e-10, 1e-8, 1e-6, 1e-4])
def test_error_covers_noise(level):
    """Noise of a known size on every value: choosing the entry of least estimated error must not choose by luck."""
    rng = np.random.default_rng(1)
    found = differences(lambda t: [np.sin(X + t) * (1 + level * rng.normal(size=X.shape))])
    off = np.abs(found.value[0] - np.cos(X))
    assert np.mean(off > found.error[0]) < 2e-3
    assert np.max(off / found.error[0]) < 3
    assert np.median(found.error[0]) < 40 * np.median(off), "and the estimate is no wild exaggeration"


def test_error_covers_noise_of_scalars():
    """The same where there are no other elements to learn the noise from."""
    ratios = []
    for seed in range(500):
        rng = np.random.default_rng(seed)
        found = differences(lambda t, rng=rng: [np.sin(0.7 + t) * (1 + 1e-8 * rng.normal())])
        ratios.append(abs(found.value[0] - np.cos(0.7)) / found.error[0])
    assert np.mean(np.array(ratios) > 1) < 0.01


def test_single_precision_inside_is_noticed():
    found = differences(lambda t: [np.sin((X + t).astype(np.float32)).astype(float)])
    off = np.abs(found.value[0] - np.cos(X))
    assert np.all(off <= found.error[0])
    assert np.median(found.error[0]) > 1e-6, "it cannot know more than float32 does"


def test_noise_is_measured():
    rng = np.random.default_rng(2)
    values = [1.0 + 1e-6 * rng.normal(size=5000) + 1e-4 * k for k in range(noise.POINTS)]
    sigma = noise.measure(values, np.finfo(float).eps)
    assert 0.7e-6 < np.median(sigma) < 2e-6
    exact = [np.full(3, 0.1 * k) for k in range(noise.POINTS)]
    assert np.all(noise.measure(exact, np.finfo(float).eps) < 1e-15)


METHODS = {"complex step": 1e-14, "extended": 1e-13, "mpmath": 1e-14, "differences": 1e-9, "auto": 1e-13}


@pytest.mark.parametrize("method", METHODS)
def test_methods_agree_with_a_closed_form(method):
    x, v = np.array([0.3, -0.4, 1.2]), np.array([1.0, -0.5, 2.0])
    found = directional(lambda x: [np.sum(np.exp(-x * x) * np.tanh(x)), x**3], [x], [v], method=method)
    slope = np.exp(-x * x) * (1 / np.cosh(x) ** 2 - 2 * x * np.tanh(x))
    for got, error, want in zip(found.value, found.error, [np.sum(slope * v), 3 * x * x * v], strict=True):
        np.testing.assert_allclose(got, want, rtol=METHODS[method], atol=METHODS[method])
        assert np.all(np.abs(got - want) <= error + 1e-15)


def test_auto_says_why_no_sharper_method():
    found = directional(lambda x: [np.abs(np.sort(x)) ** 1.5], [np.array([0.3, -2.0])], [np.ones(2)])
    assert found.method == "extended differences"
    assert "not analytic" in found.tried[0]


@pytest.mark.parametrize(
    "method, fun, why",
    [
        ("complex step", lambda x: [np.abs(x)], "not analytic"),
        ("mpmath", lambda x: [np.array([math.exp(v) for v in x])], "50 digits"),
        ("mpmath", lambda x: [np.linalg.inv(np.outer(x, x) + np.eye(2))], "inv"),
        ("extended", lambda x: [np.linalg.inv(np.outer(x, x) + np.eye(2))], "float"),
    ],
)
def test_a_method_that_does_not_apply_says_why(method, fun, why):
    with pytest.raises(NoReference, match=why):
        directional(fun, [np.array([0.3, -2.0])], [np.ones(2)], method=method)


def test_mpmath_survives_cancellation():
    """(1 - cos x)/x² at 1e-8: float64 has no digit of it, 50 digits have all."""
    found = directional(lambda x: [(1 - np.cos(x)) / x**2], [np.float64(1e-8)], [np.float64(1.0)], method="mpmath")
    np.testing.assert_allclose(found.value[0], -1e-8 / 12, rtol=1e-10)


def test_mpmath_takes_what_numpy_does_with_objects():
    def fun(x, a):
        y = np.zeros_like(x)
        y[1:] = np.hypot(x[1:], a) + np.arctan2(a, x[1:]) - np.square(x[:-1])
        return [y, np.mean(np.where(x > 0, x, -x)), np.maximum(x, 0.1), x @ x, np.log2(a) + np.cbrt(a)]

    args, tangents = [np.array([0.3, -0.4, 1.2]), np.float64(0.7)], [np.ones(3), np.float64(-0.5)]
    sharp, coarse = (directional(fun, args, tangents, method=m) for m in ("mpmath", "differences"))
    for a, b in zip(sharp.value, coarse.value, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-11)


def test_jump_of_the_slope():
    x = np.array([0.0, 1.0, -2.0])
    found = directional(lambda x: [np.abs(x) + x**2], [x], [np.ones(3)], jumps=True)
    np.testing.assert_allclose(found.jump[0], [2.0, 0.0, 0.0], atol=1e-9)
    assert np.all(np.abs(found.jump[0] - [2.0, 0.0, 0.0]) <= found.jump_error[0] + 1e-12)


@pytest.mark.parametrize(
    "fun, kind",
    [
        (np.abs, "kink"),
        (np.sin, "smooth"),
        (lambda x: np.floor(x) + x, "discontinuity"),
        (np.cbrt, "vertical"),
        (np.sqrt, "vertical"),
        (lambda x: np.sqrt(x) ** 3 + x, "edge"),
        (lambda x: x / np.sqrt(-1.0 - x * x), "unclear"),
    ],
)
def test_what_lies_on_either_side(fun, kind):
    with np.errstate(all="ignore"):
        zero = np.zeros(1)
        found = sides(lambda x: [fun(x)], [zero], [np.ones(1)], [fun(zero)], [np.zeros(1)])
    assert found.kind(0, 0, 1.0) == kind


def test_steps_that_leave_the_domain_are_left_out():
    """A Cholesky factor exists only near the point: large steps raise, small ones do."""
    a = np.array([[1.0, 0.999], [0.999, 1.0]])
    found = directional(lambda x: [np.linalg.cholesky(x)[1, 1]], [a], [np.array([[0.0, 1.0], [1.0, 0.0]])])
    np.testing.assert_allclose(found.value[0], -0.999 / np.sqrt(1 - 0.999**2), rtol=1e-6)
    assert "LinAlgError" in found.raised


def test_a_function_that_always_fails_raises():
    def fun(x):
        raise ValueError("never")

    with pytest.raises(ValueError, match="never"):
        directional(fun, [np.ones(2)], [np.ones(2)])
