"""scipy.linalg's bands and matrices of few numbers: against the dense forms, and what is refused."""

import numpy as np
import pytest
import scipy.linalg

import wengert as wg
import wengert.scipy
from wengert.core.errors import NotDifferentiable

ours = wengert.scipy.linalg
BAND = np.array([[4.0, 5.0, 6.0, 5.0], [1.0, -0.5, 0.3, 9.0], [0.2, 0.7, 9.0, 9.0]])  # 9: outside the matrix
B = np.array([1.0, -2.0, 0.5, 3.0])


def dense(band):
    """The symmetric matrix with these diagonals, in plain NumPy."""
    return sum(
        (np.diag(band[k, : 4 - k], -k) + np.diag(band[k, : 4 - k], k)) * (0.5 if k == 0 else 1.0) for k in range(3)
    )


@pytest.mark.parametrize(
    "banded, plain",
    [
        (lambda a: ours.solveh_banded(a, B, lower=True), lambda m: np.linalg.solve(m, B)),
        (
            lambda a: ours.cho_solve_banded((ours.cholesky_banded(a, lower=True), True), B),
            lambda m: np.linalg.solve(m, B),
        ),
        (lambda a: ours.eigvals_banded(a, lower=True), np.linalg.eigvalsh),
        (lambda a: np.log(ours.cholesky_banded(a, lower=True)[0]), lambda m: np.log(np.diag(np.linalg.cholesky(m)))),
    ],
)
def test_gradients_are_those_of_the_dense_matrix(banded, plain):
    weights = np.arange(1.0, 5.0)
    got = wg.grad(lambda a: np.sum(weights * banded(a)))(BAND)
    want = wg.grad(lambda a: np.sum(weights * plain(dense(a))))(BAND)
    np.testing.assert_allclose(got, want, rtol=1e-11, atol=1e-12)
    assert got[1, 3] == got[2, 2] == got[2, 3] == 0.0


def test_an_imaginary_part_of_the_diagonal_is_not_read():
    band = np.array([[3.0 + 1j, 4.0 - 2j], [0.5j, 0.0]])
    b = np.ones(2)
    want = scipy.linalg.solveh_banded(band.real + 1j * np.array([[0, 0], [0.5, 0]]), b, lower=True)
    x, gradient = wg.value_and_grad(lambda a: np.sum(np.abs(ours.solveh_banded(a, b, lower=True))))(band)
    np.testing.assert_allclose(x, np.sum(np.abs(want)))
    np.testing.assert_array_equal(gradient[0].imag, 0.0)


def test_adopted_code():
    def smooth(weight, y):
        n = len(y)
        ab = np.zeros((2, n))
        ab[1] = 1.0 + 2.0 * weight
        ab[0, 1:] = -weight
        return np.sum(scipy.linalg.solveh_banded(ab, y) ** 2)

    y = np.array([1.0, 3.0, 2.0, 5.0])
    h = 1e-6
    np.testing.assert_allclose(wg.grad(smooth)(0.7, y), (smooth(0.7 + h, y) - smooth(0.7 - h, y)) / (2 * h), rtol=1e-7)


@pytest.mark.parametrize(
    "call",
    [
        lambda f, x: f.eigvals_banded(x, select="v", select_range=(0, 1)),
        lambda f, x: f.eigvalsh_tridiagonal(x[0], x[1, 1:], select="v", select_range=(0, 1)),
        lambda f, x: f.solve_circulant(x[0], x[1], outaxis=-1),
        lambda f, x: f.solve_circulant(x[0] * 0 + 1.0, x[1], singular="lstsq"),
        lambda f, x: f.leslie(x, x[:, 1:]),
        lambda f, x: f.eigh_tridiagonal(x[0], x[1, 1:]),
        lambda f, x: f.eig_banded(x),
    ],
)
def test_what_is_refused_says_what_to_do(call):
    with pytest.raises(NotDifferentiable, match="fix:"):
        wg.grad(lambda x: np.sum(call(ours, x)))(BAND)


@pytest.mark.parametrize(
    "call, error",
    [
        (lambda f, x: f.companion(x[0] * [0.0, 1, 1, 1]), ValueError),
        (lambda f, x: f.companion(x[0, :1]), ValueError),
        (lambda f, x: f.leslie(x[0], x[1]), ValueError),
        (lambda f, x: f.convolution_matrix(x[0], 0), ValueError),
        (lambda f, x: f.convolution_matrix(x[0], 2, "no"), ValueError),
        (lambda f, x: f.diagsvd(x[0], 3, 3), ValueError),
        (lambda f, x: f.solve_banded((1, 2), x, B), ValueError),
        (lambda f, x: f.solve_circulant(x[0] * 0 + 1.0, x[1]), np.linalg.LinAlgError),
        (lambda f, x: f.eigvalsh_tridiagonal(x[0] + 1j, x[1, 1:]), TypeError),
        (lambda f, x: f.eigvalsh_tridiagonal(x[0], x[1]), ValueError),
        (lambda f, x: f.cholesky_banded(-x), np.linalg.LinAlgError),
    ],
)
def test_what_scipy_rejects(call, error):
    with pytest.raises(error):
        call(scipy.linalg, BAND)
    with pytest.raises(error):
        wg.grad(lambda x: np.sum(call(ours, x)).real)(BAND)


def test_fractional_powers_of_a_matrix():
    a = np.array([[3.0, 0.4], [0.2, 2.0]])
    half = wg.value_and_grad(lambda p: np.sum(ours.fractional_matrix_power(a, p)))
    value, slope = half(2.0)
    np.testing.assert_allclose(value, np.sum(a @ a), rtol=1e-12)
    np.testing.assert_allclose(slope, np.sum(a @ a @ scipy.linalg.logm(a)), rtol=1e-11)


def test_functions_of_integers_are_constant():
    def fun(x):
        return np.sum(ours.hilbert(3) @ x) + np.sum(ours.pascal(3) @ x)

    np.testing.assert_allclose(wg.grad(fun)(np.ones(3)), (scipy.linalg.hilbert(3) + scipy.linalg.pascal(3)).sum(0))
