"""Quantiles, covariance, sorting, histograms: degenerate data, weights, and the derivative in q."""

import numpy as np
import pytest

from wengert.core.errors import ConcretizationError
from wengert.transforms.batch import batch_flat
from wengert.transforms.reverse import vjp_flat


def gradients(f, *xs):
    (value,), pullback, _ = vjp_flat(lambda *xs: [f(*xs)], xs)
    return pullback([np.ones_like(value)])


X = np.array([4.0, 1.0, 3.0, 9.0, 2.0])  # sorted: 1 2 3 4 9

# ── quantiles ─────────────────────────────────────────────────────────────────


def test_linear_quantile_in_data_and_in_q():
    # at 4·0.7 = 2.8, between 3 and 4
    dx, dq = gradients(np.quantile, X, np.float64(0.7))
    np.testing.assert_allclose(dx, [0.8, 0, 0.2, 0, 0], atol=1e-15)
    np.testing.assert_allclose(dq, 4 * (4 - 3))
    np.testing.assert_allclose(gradients(np.percentile, X, np.float64(70.0))[1], 0.04)


@pytest.mark.parametrize("method", ["inverted_cdf", "closest_observation", "lower", "higher", "nearest", "midpoint"])
def test_methods_that_jump_are_constant_in_q(method):
    dx, dq = gradients(lambda x, q: np.quantile(x, q, method=method), X, np.float64(0.7))
    assert dq == 0
    np.testing.assert_allclose(dx.sum(), 1)


def test_quantile_at_the_ends():
    for q, i in ((0.0, 1), (1.0, 3)):
        for method in ("linear", "hazen", "weibull", "inverted_cdf"):
            dx, dq = gradients(lambda x, q, m=method: np.quantile(x, q, method=m), X, np.float64(q))
            np.testing.assert_allclose(dx, np.eye(5)[i], atol=1e-15)
            assert np.isfinite(dq)


def test_quantile_of_a_batch_of_qs():
    qs = np.array([0.1, 0.7, 0.9])
    outs, _ = batch_flat(lambda q: [np.quantile(X, q)], [qs], [True], 3)
    np.testing.assert_allclose(outs[0], np.quantile(X, qs))


def test_a_nan_spoils_a_quantile_and_takes_its_derivative():
    x = np.array([[1.0, np.nan, 2.0], [1.0, 5.0, 2.0]])
    for f in (lambda x: np.median(x, axis=1), lambda x: np.quantile(x, 0.5, axis=1)):
        (value,), pullback, _ = vjp_flat(lambda x, f=f: [f(x)], [x])
        np.testing.assert_array_equal(value, [np.nan, 2])
        np.testing.assert_array_equal(pullback([np.array([0.0, 1.0])])[0], [[0, 0, 0], [0, 0, 1]])


def test_weighted_quantile_is_the_element_with_its_share():
    w = np.array([1.0, 0.0, 1.0, 0.1, 5.0])
    dx, dw = gradients(lambda x, w: np.quantile(x, 0.5, weights=w, method="inverted_cdf"), X, w)
    np.testing.assert_array_equal(dx, [0, 0, 0, 0, 1])
    np.testing.assert_array_equal(dw, 0)


@pytest.mark.parametrize(
    "f, text",
    [
        (lambda x: np.quantile(x, 1.2), r"range \[0, 1\]"),
        (lambda x: np.percentile(x, -1), r"range \[0, 100\]"),
        (lambda x: np.quantile(x, 0.5, method="cubic"), "not a valid method"),
        (lambda x: np.quantile(x, 0.5, weights=np.ones(5)), "inverted_cdf"),
        (lambda x: np.quantile(x, 0.5, weights=-np.ones(5), method="inverted_cdf"), "non-negative"),
        (lambda x: np.partition(x, 7), "out of bounds"),
        (lambda x: np.sort(x, order="f"), "fields"),
        (lambda x: np.histogram(x, np.array([1.0, 0.0])), "monotonically"),
        (lambda x: np.histogram(x, 3, range=(1, 0)), "larger than min"),
        (lambda x: np.digitize(x, np.array([0.0, 2.0, 1.0])), "monotonically"),
        (lambda x: np.bincount(np.array([0, 1]), weights=x), "same length"),
    ],
)
def test_numpys_errors(f, text):
    with pytest.raises(ValueError, match=text):
        vjp_flat(lambda x: [f(x)], [X])
    with pytest.raises(ValueError):
        f(X)


# ── covariance ────────────────────────────────────────────────────────────────


def test_correlation_of_what_is_perfectly_correlated():
    x = np.array([1.0, 2.0, 4.0])
    (g,) = gradients(lambda x: np.corrcoef(x, 3 * x)[0, 1], x)
    np.testing.assert_allclose(g, 0, atol=1e-15)


def test_covariance_without_degrees_of_freedom_warns():
    with pytest.warns(RuntimeWarning, match="Degrees of freedom"), np.errstate(invalid="ignore"):
        vjp_flat(lambda x: [np.cov(x)], [np.array([1.0])])


# ── sorting ───────────────────────────────────────────────────────────────────


def test_sorting_is_a_permutation_also_of_ties_and_nans():
    x = np.array([2.0, np.nan, 1.0, 2.0, 1.0])
    ct = np.arange(1.0, 6.0)
    for f in (np.sort, lambda x: np.partition(x, 2)):
        (value,), pullback, _ = vjp_flat(lambda x, f=f: [f(x)], [x])
        np.testing.assert_array_equal(value, f(x))
        (g,) = pullback([ct])
        assert sorted(g) == sorted(ct)
        # each element passed its cotangent to an element of the same value
        np.testing.assert_array_equal([x[list(g).index(c)] for c in ct], value)


@pytest.mark.parametrize("n, kth", [(1000, 400), (1000, (0, 10, -1)), (33, 16)])
def test_partition_gives_numpys_order(n, kth):
    x = np.random.default_rng(0).normal(size=n).round(2)
    (value,), _, _ = vjp_flat(lambda x: [np.partition(x, kth)], [x])
    np.testing.assert_array_equal(value, np.partition(x, kth))


def test_unique_with_nans_and_inverse():
    x = np.array([np.nan, 2.0, 1.0, 2.0, np.nan])
    for equal_nan in (True, False):
        (value,), pullback, _ = vjp_flat(lambda x, e=equal_nan: [np.unique(x, equal_nan=e)], [x])
        np.testing.assert_array_equal(value, np.unique(x, equal_nan=equal_nan))
        (g,) = pullback([np.arange(1.0, 1 + len(value))])
        np.testing.assert_array_equal(g[1:4], [2, 1, 0])
    (value,), pullback, _ = vjp_flat(lambda x: [np.unique_values(x)], [x])
    np.testing.assert_array_equal(value, np.unique_values(x))


def test_unique_has_no_shape_under_vmap():
    with pytest.raises(ConcretizationError, match="batched"):
        batch_flat(lambda x: [np.unique(x)], [np.ones((2, 3))], [True], 2)


# ── histograms ────────────────────────────────────────────────────────────────


def test_histogram_is_linear_in_the_weights_and_constant_in_the_data():
    x, w = np.array([0.1, 0.9, 0.4, 2.0]), np.array([1.0, 2.0, 3.0, 4.0])
    edges = np.array([0.0, 0.5, 1.0])
    (counts,), pullback, _ = vjp_flat(lambda x, w: [np.histogram(x, edges, weights=w)[0]], [x, w])
    np.testing.assert_array_equal(counts, [4, 2])
    dx, dw = pullback([np.array([10.0, 20.0])])
    np.testing.assert_array_equal(dx, 0)
    np.testing.assert_array_equal(dw, [10, 20, 10, 0])


def test_histogram_edges_follow_the_extremes():
    x = np.array([1.0, 5.0, 2.0])
    (edges,), pullback, _ = vjp_flat(lambda x: [np.histogram(x, 2)[1]], [x])
    np.testing.assert_array_equal(edges, [1, 3, 5])
    np.testing.assert_array_equal(pullback([np.array([0.0, 1.0, 0.0])])[0], [0.5, 0.5, 0])


def test_unweighted_histogram_of_tensors_counts_in_integers():
    outs, _, variables = vjp_flat(lambda x: [np.histogram(x, 3)[0]], [np.arange(5.0)])
    assert outs[0].dtype == np.intp
    assert variables == [None]


def test_bincount_adds_up_repeated_places():
    (g,) = gradients(lambda w: np.bincount([0, 2, 2], weights=w) * np.array([1.0, 10.0, 100.0]), np.ones(3))
    np.testing.assert_array_equal(g, [1, 100, 100])
