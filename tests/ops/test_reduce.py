"""Reductions and scans where the generated matrix does not look: zeros, ties, NaNs, kinks, memory."""

import itertools

import numpy as np
import pytest
import scipy.special

from wengert.ops import reduce, scan
from wengert.ops.basis import reduce_sum
from wengert.ops.elementwise import mul
from wengert.transforms.forward import jvp_flat
from wengert.transforms.reverse import record, vjp_flat

X = {
    0: np.array([1.5, -2.0, 0.5, 3.0]),
    1: np.array([1.5, 0.0, 0.5, 3.0]),
    2: np.array([0.0, -2.0, 0.0, 3.0]),
    3: np.array([0.0, 0.0, 0.5, 0.0]),
}


def gradient(f, x, ct=1.0):
    values, pullback, _ = vjp_flat(lambda x: [f(x)], [x])
    return pullback([np.asarray(ct, values[0].dtype) * np.ones_like(values[0])])[0]


def hessian_vector(f, x, v):
    return jvp_flat(lambda x: [gradient(f, x)], [x], [v])[1][0]


def product_without(x, *left_out):
    return np.prod([value for i, value in enumerate(x) if i not in left_out])


# ── products through zeros ────────────────────────────────────────────────────


@pytest.mark.parametrize("zeros", X)
def test_prod_through_zeros(zeros):
    x = X[zeros]
    n = len(x)
    f = lambda x: reduce.reduce_prod(x, axes=(0,))
    np.testing.assert_array_equal(gradient(f, x), [product_without(x, i) for i in range(n)])
    hessian = np.stack([hessian_vector(f, x, e) for e in np.eye(n)])
    want = [[0.0 if i == j else product_without(x, i, j) for j in range(n)] for i in range(n)]
    np.testing.assert_array_equal(hessian, want)
    third = jvp_flat(lambda x: [hessian_vector(f, x, np.eye(n)[0])], [x], [np.eye(n)[1]])[1][0]
    np.testing.assert_array_equal(third, [0, 0, *(product_without(x, 0, 1, k) for k in (2, 3))])


@pytest.mark.parametrize("zeros, reverse", list(itertools.product(X, (False, True))))
def test_cumprod_through_zeros(zeros, reverse):
    x = X[zeros]
    n = len(x)

    def entry(i, *left_out):  # ∂yᵢ/∂x…: zero unless all the left-out elements enter yᵢ
        members = range(i, n) if reverse else range(i + 1)
        if any(j not in members for j in left_out):
            return 0.0
        return np.prod([x[k] for k in members if k not in left_out])

    f = lambda x: scan.cumprod(x, axis=0, reverse=reverse)
    for e, i in zip(np.eye(n), range(n), strict=True):
        np.testing.assert_allclose(gradient(f, x, e), [entry(i, j) for j in range(n)], rtol=1e-15)
        weighted = lambda x, e=e: reduce_sum(mul(f(x), e), axes=(0,))
        for j in range(n):
            want = [0.0 if j == k else entry(i, j, k) for k in range(n)]
            np.testing.assert_allclose(hessian_vector(weighted, x, np.eye(n)[j]), want, rtol=1e-15)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128", "longdouble"])
@pytest.mark.parametrize("shape, axis", [((50,), 0), ((2, 40), 1), ((3, 40, 2), 1), ((4, 30), 0)])
def test_recurrence_by_blas_and_by_steps(dtype, shape, axis):
    rng = np.random.default_rng(0)
    a, b = (rng.uniform(-1, 1, shape).astype(dtype) for _ in range(2))
    for reverse in (False, True):
        got = scan.recurrence(a, b, axis=axis, reverse=reverse)
        rows = np.moveaxis(got, axis, 0)[:: -1 if reverse else 1]
        ra, rb = (np.moveaxis(v, axis, 0)[:: -1 if reverse else 1] for v in (a, b))
        assert got.dtype == np.dtype(dtype)
        np.testing.assert_allclose(rows[0], rb[0])
        eps = 50 * float(np.finfo(dtype).eps)
        np.testing.assert_allclose(rows[1:], ra[1:] * rows[:-1] + rb[1:], rtol=eps, atol=eps)


# ── extrema ───────────────────────────────────────────────────────────────────


def test_ties_share_equally():
    x = np.array([[1.0, 3.0, 3.0, 2.0], [5.0, 5.0, 5.0, 0.0]])
    want = [[0, 0.5, 0.5, 0], [1 / 3, 1 / 3, 1 / 3, 0]]
    np.testing.assert_allclose(gradient(lambda x: reduce.reduce_max(x, axes=(1,)), x), want)
    np.testing.assert_allclose(gradient(lambda x: reduce.reduce_min(x, axes=(1,)), -x), want)
    v = np.arange(8.0).reshape(2, 4)
    _, (dot,) = jvp_flat(lambda x: [reduce.reduce_max(x, axes=(1,))], [x], [v])
    np.testing.assert_allclose(dot, np.sum(want * v, axis=1))


def test_cummax_ties_share_equally():
    x = np.array([1.0, 1.0, 0.0, 3.0, 3.0, 2.0, 3.0])
    # outputs 1 1 1 3 3 3 3; rows: the shares of each output
    want = np.zeros((7, 7))
    want[0, 0] = 1
    want[1, :2] = want[2, :2] = 1 / 2
    want[3, 3] = 1
    want[4, [3, 4]] = want[5, [3, 4]] = 1 / 2
    want[6, [3, 4, 6]] = 1 / 3
    got = np.stack([gradient(lambda x: scan.cummax(x, axis=0), x, e) for e in np.eye(7)])
    np.testing.assert_allclose(got, want)
    columns = [jvp_flat(lambda x: [scan.cummax(x, axis=0)], [x], [e])[1][0] for e in np.eye(7)]
    np.testing.assert_allclose(np.stack(columns, axis=1), want)


def test_a_nan_takes_the_derivative_of_a_maximum_that_is_nan():
    x = np.array([[1.0, np.nan, 2.0], [1.0, 4.0, 2.0]])
    np.testing.assert_array_equal(gradient(lambda x: reduce.reduce_max(x, axes=(1,)), x), [[0, 1, 0], [0, 1, 0]])
    np.testing.assert_array_equal(gradient(lambda x: reduce.reduce_fmax(x, axes=(1,)), x), [[0, 0, 1], [0, 1, 0]])


def test_running_maximum_of_nans():
    x = np.array([1.0, np.nan, 5.0])
    np.testing.assert_array_equal(gradient(lambda x: scan.cummax(x, axis=0), x), [1, 2, 0])


@pytest.mark.parametrize("op", [reduce.reduce_max, reduce.reduce_min, reduce.reduce_fmax])
def test_what_is_not_selected_gets_nothing_even_of_an_infinite_cotangent(op):
    x = np.array([1.0, 2.0, 3.0])
    got = gradient(lambda x: op(x, axes=(0,)), x, np.inf)
    assert sorted(got) == [0.0, 0.0, np.inf]
    v = np.where(got == 0, np.nan, 1.0)
    assert jvp_flat(lambda x: [op(x, axes=(0,))], [x], [v])[1][0] == 1.0


# ── kinks ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("x", [np.zeros(3), np.full(3, 0.1), np.full(5, 1e8 + 0.3), np.full(3, 0.1 + 0.2j)])
def test_standard_deviation_of_equal_elements_has_subgradient_zero(x):
    f = lambda x: reduce.reduce_std(x, axes=(0,), ddof=0)
    np.testing.assert_allclose(gradient(f, x), 0, atol=1e-7)
    v = np.arange(1.0, len(x) + 1).astype(x.dtype)
    np.testing.assert_allclose(jvp_flat(lambda x: [f(x)], [x], [v])[1][0], 0, atol=1e-6)


def test_standard_deviation_of_zeros_has_no_nan_at_second_order():
    f = lambda x: reduce.reduce_std(x, axes=(0,), ddof=0)
    np.testing.assert_array_equal(hessian_vector(f, np.zeros(3), np.array([1.0, 2.0, 3.0])), 0)


def test_variance_without_degrees_of_freedom_is_nan_as_in_numpy():
    with pytest.warns(RuntimeWarning):
        assert np.isnan(reduce.reduce_var(np.array([1.0]), axes=(0,), ddof=1))


def test_logsumexp():
    x = np.array([[1000.0, 999.0, -np.inf], [-np.inf, -np.inf, -np.inf], [1.0, 2.0, 3.0]])
    f = lambda x: reduce.reduce_logsumexp(x, axes=(1,))
    np.testing.assert_allclose(f(x), scipy.special.logsumexp(x, axis=1))
    want = np.vstack([scipy.special.softmax(x[0]), np.zeros(3), scipy.special.softmax(x[2])])
    np.testing.assert_allclose(gradient(f, x), want)


# ── memory ────────────────────────────────────────────────────────────────────


def test_linear_reductions_keep_nothing_and_extrema_nothing_new():
    x = np.arange(12.0).reshape(3, 4)
    for f in (
        lambda x: reduce_sum(x, axes=(0,)),
        lambda x: reduce.reduce_mean(x, axes=(0, 1)),
        lambda x: scan.cumsum(x, axis=0),
    ):
        _, tape = record(lambda x, f=f: [f(x)], [x])
        assert len(tape.program.eqns) == 1
        assert tape.program.residual_bytes() == 0
    (out,), tape = record(lambda x: [reduce.reduce_max(x, axes=(1,))], [x])
    assert tape.program.residual_bytes() == x.nbytes + out.nbytes


@pytest.mark.parametrize("op", [reduce.reduce_var, reduce.reduce_std])
def test_spread_without_freedom_keeps_strong_zeros(op):
    # One element and ddof=1: no spread, no derivative; a cotangent of zero still gives a gradient of zero.
    x = np.array([2.0])
    with np.errstate(all="ignore"):
        (back,) = vjp_flat(lambda x: [op(x, axes=(0,), ddof=1)], [x])[1]([np.float64(0.0)])
    np.testing.assert_array_equal(back, [0.0])
