"""NumPy's reductions: equal bits, every keyword, NaNs that stay out, peers."""

import numpy as np
import pytest

import wengert.numpy as wnp
from wengert.core.errors import ConcretizationError
from wengert.transforms.batch import batch_flat
from wengert.transforms.forward import jvp_flat
from wengert.transforms.reverse import record, vjp_flat


def traced(f, *xs):
    """The value of f under a tape."""
    return vjp_flat(lambda *xs: [f(*xs)], xs)[0][0]


def gradient(f, x):
    (value,), pullback, _ = vjp_flat(lambda x: [f(x)], [x])
    return pullback([np.ones_like(value)])[0]


def tangent(f, x, v):
    return jvp_flat(lambda x: [f(x)], [x], [v])[1][0]


# ── equal bits ────────────────────────────────────────────────────────────────

SINGLE = [
    lambda x: np.sum(x),
    lambda x: np.sum(x, axis=0),
    lambda x: np.sum(x, axis=(0, 2)),
    lambda x: np.mean(x),
    lambda x: np.mean(x, axis=1, keepdims=True),
    lambda x: np.prod(x / 2, axis=-1),
    lambda x: np.max(x, axis=1),
    lambda x: np.min(x),
    lambda x: np.var(x),
    lambda x: np.var(x, axis=(0, 1), ddof=1),
    lambda x: np.std(x, axis=2),
    lambda x: np.cumsum(x),
    lambda x: np.cumsum(x, axis=1),
    lambda x: np.cumprod(x / 2, axis=0),
    lambda x: np.nansum(x, axis=0),
    lambda x: np.nanmax(x, axis=0),
    lambda x: np.sum(x, dtype=np.float64) if x.dtype.kind == "f" else np.sum(x),
    lambda x: x.sum(1),
    lambda x: x.mean(),
    lambda x: x.std(0),
]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64"])
@pytest.mark.parametrize("f", SINGLE, ids=range(len(SINGLE)))
def test_values_equal_numpys_bit_for_bit(f, dtype):
    x = np.random.default_rng(0).normal(size=(7, 65, 9)).astype(dtype)
    got, want = traced(f, x), f(x)
    assert got.dtype == want.dtype
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("name", ["sum", "prod", "max", "mean", "var", "any", "argmax", "cumsum", "median", "ptp"])
def test_plain_arguments_get_numpys_own_result(name):
    for a in ([3, 1, 2], np.arange(4, dtype=np.int8), np.array([True, False]), 2.5):
        if name == "ptp" and isinstance(a, np.ndarray) and a.dtype == bool:
            continue  # NumPy does not subtract booleans
        got, want = getattr(wnp, name)(a), getattr(np, name)(a)
        assert type(got) is type(want)
        np.testing.assert_array_equal(got, want)


def test_a_list_of_tensors_is_an_array():
    got = jvp_flat(lambda x: [wnp.sum([x, 2 * x]), wnp.max([x, 2 * x])], [np.float64(3.0)], [np.float64(1.0)])
    assert got == ([9.0, 6.0], [3.0, 2.0])


def test_mean_is_one_equation():
    _, tape = record(lambda x: [np.mean(x)], [np.arange(3.0)])
    assert [eqn.op.name for eqn in tape.program.equations()] == ["reduce_mean"]


# ── keywords ──────────────────────────────────────────────────────────────────


def test_out_writes_a_tensor():
    def f(x):
        out = x * 0
        np.sum(x[None] ** 2, axis=0, out=out)
        return out

    np.testing.assert_array_equal(gradient(f, np.array([1.0, 2.0])), [2.0, 4.0])


def test_out_refuses_an_ndarray_for_a_result_that_carries_a_derivative():
    with pytest.raises(ConcretizationError, match="out="):
        traced(lambda x: np.sum(x, axis=0, out=np.zeros(2)), np.ones((3, 2)))


@pytest.mark.parametrize(
    "f, error, text",
    [
        (lambda x: np.max(x, where=np.array([True, False])), ValueError, "initial"),
        (lambda x: np.var(x, ddof=1, correction=1), ValueError, "simultaneously"),
        (lambda x: np.sum(x, axis=2), np.exceptions.AxisError, "axis 2"),
        (lambda x: np.sum(x, axis=(0, 0)), ValueError, "duplicate"),
        (lambda x: np.nanargmax(x * np.nan), ValueError, "All-NaN"),
        (lambda x: np.max(x[:0]), ValueError, "zero-size|identity"),
        (lambda x: np.average(x, weights=np.array([1.0, -1.0])), ZeroDivisionError, "sum to zero"),
    ],
)
def test_numpys_errors(f, error, text):
    x = np.array([1.0, 2.0])
    with pytest.raises(error, match=text):
        traced(f, x)
    with pytest.raises(error):
        f(x)


def test_cumulative_sum_needs_an_axis():
    if not hasattr(np, "cumulative_sum"):
        pytest.skip("numpy < 2.1 has no cumulative_sum")
    with pytest.raises(ValueError, match="axis"):
        traced(lambda x: np.cumulative_sum(x), np.ones((2, 2)))


def test_initial_ties_and_may_be_differentiated():
    x = np.array([1.0, 3.0])
    np.testing.assert_array_equal(gradient(lambda x: np.max(x, initial=3.0), x), [0, 0.5])
    np.testing.assert_array_equal(gradient(lambda x: np.max(x[:0], initial=3.0), x), [0, 0])
    np.testing.assert_array_equal(gradient(lambda x: np.sum(x[:1], initial=x[1]), x), [1, 1])


def test_a_mask_may_depend_on_the_data():
    x = np.array([1.0, -2.0, 3.0])
    np.testing.assert_array_equal(gradient(lambda x: np.sum(x**2, where=x > 0), x), [2, 0, 6])
    outs, _ = batch_flat(lambda x: [np.mean(x, where=x > 0)], [np.stack([x, -x])], [True], 2)
    np.testing.assert_array_equal(outs[0], [2, 2])


def test_integers_under_vmap():
    x = np.array([[1.0, -2.0, 3.0], [1.0, 2.0, 3.0]])

    def f(x):
        n = np.count_nonzero(x > 0)
        return [n, np.sum(x > 0), np.max(np.argsort(x)), np.mean(x > 0), x[np.argmax(x)]]

    outs, flags = batch_flat(f, [x], [True], 2)
    assert all(flags)
    for got, want in zip(outs, ([2, 3], [2, 3], [2, 2], [2 / 3, 1.0], [3.0, 3.0]), strict=True):
        np.testing.assert_allclose(got, want)


# ── NaNs stay out ─────────────────────────────────────────────────────────────

X = np.array([[1.0, np.nan, 3.0], [np.nan, 5.0, 2.0]])
SKIP = [
    np.nansum,
    np.nanprod,
    np.nanmax,
    np.nanmin,
    np.nanmean,
    np.nanvar,
    np.nanstd,
    np.nanmedian,
    np.nancumsum,
    np.nancumprod,
]


@pytest.mark.parametrize("f", SKIP, ids=lambda f: f.__name__)
@pytest.mark.parametrize("axis", [None, 0, 1])
def test_nan_skipping_derivatives_are_finite_and_zero_at_nans(f, axis):
    g = gradient(lambda x: f(x, axis=axis), X)
    assert np.isfinite(g).all()
    np.testing.assert_array_equal(g[np.isnan(X)], 0)
    v = np.where(np.isnan(X), np.nan, 1.0)  # not even a NaN tangent gets through
    assert np.isfinite(tangent(lambda x: f(x, axis=axis), X, v)).all()


@pytest.mark.parametrize("f", [np.nanmax, np.nanmean, np.nanvar, np.nanstd, np.nanmedian], ids=lambda f: f.__name__)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_slices_of_nans_alone(f):
    x = np.array([[np.nan, np.nan], [1.0, 2.0]])
    np.testing.assert_array_equal(traced(lambda x: f(x, axis=1), x), f(x, axis=1))
    g = gradient(lambda x: np.nansum(f(x, axis=1)), x)
    assert np.isfinite(g).all()
    np.testing.assert_array_equal(g[0], 0)


@pytest.mark.parametrize("f", [np.sum, np.mean, np.var, np.std], ids=lambda f: f.__name__)
def test_masked_elements_do_no_harm(f):
    x = np.array([[1.0, np.nan, 3.0], [4.0, 5.0, np.inf]])
    mask = np.isfinite(x)
    for axis in (None, 1):
        g = gradient(lambda x, axis=axis: f(x, axis=axis, where=mask), x)
        assert np.isfinite(g).all()
        np.testing.assert_array_equal(g[~mask], 0)


def test_std_with_a_mask_over_equal_elements():
    x = np.array([2.0, 2.0, 7.0])
    np.testing.assert_array_equal(gradient(lambda x: np.std(x, where=np.array([True, True, False])), x), 0)


# ── peers ─────────────────────────────────────────────────────────────────────

PEERS = {
    "prod": lambda np, x: np.sum(np.prod(x, axis=1) ** 2),
    "cumprod": lambda np, x: np.sum(np.cumprod(x, axis=1) ** 2),
    "std": lambda np, x: np.sum(np.std(x, axis=0, ddof=1)),
    "max": lambda np, x: np.sum(np.max(x, axis=1) ** 2),
    "ptp": lambda np, x: np.ptp(x),
    "nanvar": lambda np, x: np.nanvar(x, axis=0).sum(),
    "average": lambda np, x: np.average(x[0], weights=x[1] ** 2),
    "median": lambda np, x: np.median(x, axis=1).sum(),
    "quantile": lambda np, x: np.quantile(x, np.array([0.1, 0.77]), axis=1).sum(),
    "cov": lambda np, x: (np.cov(x) ** 2).sum(),
    "corrcoef": lambda np, x: (np.corrcoef(x) ** 2).sum(),
    "sort": lambda np, x: (np.sort(x, axis=0) ** 3)[1].sum(),
}


@pytest.mark.parametrize("name", PEERS)
def test_against_jax(name):
    jax = pytest.importorskip("jax", reason="peer for gradients")
    f = PEERS[name]
    x = np.random.default_rng(3).normal(size=(4, 5))
    with jax.enable_x64(True):
        want = jax.grad(lambda x: f(jax.numpy, x))(x)
    np.testing.assert_allclose(gradient(lambda x: f(np, x), x), want, rtol=1e-9, atol=1e-12)
