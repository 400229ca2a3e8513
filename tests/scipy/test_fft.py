"""scipy.fft on Tensors: what examples do not show. Cosine and sine transforms against their definitions as matrices."""

import numpy as np
import pytest
import scipy.fft

import wengert as wg
import wengert.scipy
from wengert.core.errors import NotDifferentiable
from wengert.verify import api

ours = wengert.scipy.fft
X = np.random.default_rng(0).normal(size=(3, 4))


def test_every_public_name_is_served_constant_or_refused():
    assert set(ours.NAMES) == set(scipy.fft.__all__)
    assert {r.status for r in api.rows() if r.space == "scipy.fft"} == {"differentiable", "constant", "refused"}


@pytest.mark.parametrize("name", ["dct", "dst", "idct", "idst"])
@pytest.mark.parametrize("type", [1, 2, 3, 4])
@pytest.mark.parametrize("norm", [None, "ortho", "forward"])
@pytest.mark.parametrize("orthogonalize", [None, True, False])
def test_a_gradient_is_the_transposed_matrix(name, type, norm, orthogonalize):
    n, w = 5, np.arange(1.0, 6.0)
    options = {"type": type, "norm": norm, "orthogonalize": orthogonalize}
    matrix = np.stack([getattr(scipy.fft, name)(e, **options) for e in np.eye(n)], axis=1)
    x = np.linspace(-1.0, 2.0, n)
    value, gradient = wg.value_and_grad(lambda x: np.sum(w * getattr(ours, name)(x, **options)))(x)
    np.testing.assert_allclose(value, w @ matrix @ x, rtol=1e-12)
    np.testing.assert_allclose(gradient, matrix.T @ w, rtol=1e-12, atol=1e-13)


def test_adopted_code_needs_no_other_import():
    def energy(x):
        return np.sum(np.abs(scipy.fft.rfft(x)) ** 2) + np.sum(scipy.fft.dct(x, norm="ortho") ** 2)

    def parseval(x):
        return np.sum(np.abs(np.fft.rfft(x)) ** 2) + np.sum(x**2)

    x = X[0]
    np.testing.assert_allclose(wg.grad(energy)(x), wg.grad(parseval)(x), rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.complex64, np.complex128])
@pytest.mark.parametrize("name", ["fft", "irfft", "fftn", "dct", "dstn"])
def test_dtypes_are_scipys(name, dtype):
    x = X.astype(dtype)
    seen = []

    def fun(x):
        seen.append(getattr(ours, name)(x))
        return np.sum(np.abs(seen[0]))

    wg.grad(fun)(x)
    assert seen[0].dtype == getattr(scipy.fft, name)(x).dtype


@pytest.mark.parametrize(
    "call",
    [
        lambda f, x: f.fft(x, 0),
        lambda f, x: f.fft(x, norm="no"),
        lambda f, x: f.fftn(x, axes=(0, 0)),
        lambda f, x: f.fftn(x, s=(2,), axes=(0, 1)),
        lambda f, x: f.dct(x, 5),
        lambda f, x: f.dct(x[:, :1], 1),
        lambda f, x: f.dctn(x, axes=(1, 1)),
        lambda f, x: f.dst(x, n=0),
    ],
)
def test_what_scipy_rejects(call):
    with pytest.raises((ValueError, RuntimeError)) as theirs:  # RuntimeError from inside pocketfft
        call(scipy.fft, X)
    with pytest.raises(theirs.type):
        wg.grad(lambda x: np.sum(np.abs(call(ours, x))))(X)


def test_a_real_transform_of_complex_numbers_is_a_type_error():
    with pytest.raises(TypeError):
        scipy.fft.rfft(X + 1j)
    with pytest.raises(TypeError):
        wg.grad(lambda x: np.sum(np.abs(ours.rfft(x))))(X + 1j)


def test_hankel_transforms_are_refused():
    assert ours.fht(X[0], 0.1, 0.5).shape == (4,)
    with pytest.raises(NotDifferentiable, match="Hankel"):
        wg.grad(lambda x: np.sum(ours.fht(x, 0.1, 0.5)))(X[0])


def test_plain_arrays_are_scipys():
    np.testing.assert_array_equal(ours.dct(X), scipy.fft.dct(X))
    assert ours.next_fast_len(97) == scipy.fft.next_fast_len(97)
