"""numpy.fft on Tensors: dtypes, lengths, Hermitian bins, out=, errors, and JAX as a second oracle."""

import numpy as np
import pytest

import wengert.numpy as wnp
from wengert.numpy.registry import NAMES
from wengert.transforms.batch import batch_flat
from wengert.transforms.forward import jvp_flat
from wengert.transforms.reverse import vjp_flat

COMPLEX = ("fft", "ifft", "fft2", "ifft2", "fftn", "ifftn")
ALL = (*COMPLEX, "rfft", "irfft", "rfft2", "irfft2", "rfftn", "irfftn", "hfft", "ihfft", "fftshift", "ifftshift")


def test_every_name_is_served():
    public = {n for n in dir(np.fft) if not n.startswith("_") and callable(getattr(np.fft, n))} - {"test"}
    assert len(public) == 18
    assert {n: NAMES[f"fft.{n}"].status for n in public} == dict.fromkeys(public, "differentiable")


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
def test_dtypes_are_numpys(name, dtype):
    if dtype.startswith("complex") and name in ("rfft", "rfft2", "rfftn", "ihfft"):
        pytest.skip("takes real operands")
    x = np.random.default_rng(0).normal(size=(4, 3)).astype(dtype)
    want = getattr(np.fft, name)(x)
    (out,), pullback, _ = vjp_flat(lambda x: [getattr(np.fft, name)(x)], [x])
    assert out.dtype == want.dtype and out.shape == want.shape
    np.testing.assert_allclose(out, want, rtol=1e-6, atol=1e-6)
    (back,) = pullback([np.ones_like(out)])
    assert back.dtype == x.dtype and back.shape == x.shape
    _, (dot,) = jvp_flat(lambda x: [getattr(np.fft, name)(x)], [x], [x])
    assert dot.dtype == want.dtype


@pytest.mark.parametrize("name", ALL)
def test_gradients_are_jaxs(name):
    jax = pytest.importorskip("jax", reason="JAX is the oracle")
    jax.config.update("jax_enable_x64", True)
    rng = np.random.default_rng(1)
    real = name in ("rfft", "rfft2", "rfftn", "ihfft")
    for n in (4, 5):
        x = rng.normal(size=(3, n))
        x = x if real else x + 1j * rng.normal(size=(3, n))
        want, theirs = jax.vjp(getattr(jax.numpy.fft, name), x)
        (out,), pullback, _ = vjp_flat(lambda x: [getattr(wnp.fft, name)(x)], [x])
        ct = rng.normal(size=out.shape)
        ct = ct if out.dtype.kind == "f" else ct + 1j * rng.normal(size=out.shape)
        np.testing.assert_allclose(out, want, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(pullback([ct])[0], theirs(jax.numpy.asarray(ct))[0], rtol=1e-10, atol=1e-12)


def test_ignored_imaginary_parts_have_zero_derivative():
    for n, ignored in ((6, [0, 3]), (5, [0])):
        _, pullback, _ = vjp_flat(lambda z, n=n: [wnp.fft.irfft(z, n)], [np.ones(n // 2 + 1, complex)])
        (back,) = pullback([np.random.default_rng(0).normal(size=n)])
        assert (back[ignored].imag == 0).all() and np.abs(np.delete(back.imag, ignored)).min() > 1e-3


def test_lists_of_tensors_and_integers():
    (out,), _, _ = vjp_flat(lambda x: [wnp.fft.fft([x, 2 * x, 1.0])], [np.float64(3.0)])
    np.testing.assert_allclose(out, np.fft.fft([3.0, 6.0, 1.0]))
    np.testing.assert_array_equal(wnp.fft.rfft([1, 2, 3]), np.fft.rfft([1, 2, 3]))
    (out,), _ = batch_flat(lambda i: [wnp.fft.fft(i)], [np.arange(6).reshape(2, 3)], [True], 2)
    np.testing.assert_allclose(out, np.fft.fft(np.arange(6.0).reshape(2, 3)))


def test_out_is_written():
    target = np.zeros(3, complex)
    assert wnp.fft.fft(np.ones(3), out=target) is target and target[0] == 3

    def fun(x):
        kept = x * (1 + 0j)
        result = np.fft.fft(x, out=kept)
        assert result is kept
        return [kept]

    (out,), _, _ = vjp_flat(fun, [np.arange(3.0)])
    np.testing.assert_allclose(out, np.fft.fft(np.arange(3.0)))


def test_frequencies_are_differentiable_in_the_spacing():
    for name in ("fftfreq", "rfftfreq"):
        (out,), pullback, _ = vjp_flat(lambda d, f=getattr(wnp.fft, name): [f(5, d)], [np.float64(0.5)])
        np.testing.assert_allclose(out, getattr(np.fft, name)(5, 0.5))
        np.testing.assert_allclose(pullback([np.ones(out.shape)])[0], -np.sum(out) / 0.5, atol=1e-15)


def test_no_axes_is_the_identity():
    x = np.ones(3)
    (out,), _, _ = vjp_flat(lambda x: [np.fft.fftn(x, axes=())], [x])
    assert out.dtype == np.fft.fftn(x, axes=()).dtype


@pytest.mark.parametrize(
    "call, match",
    [
        (lambda x: np.fft.fft(x, norm="unit"), "Invalid norm value unit"),
        (lambda x: np.fft.fft(x, 0), "Invalid number of FFT data points"),
        (lambda x: np.fft.irfft(x, 0), "Invalid number of FFT data points"),
        (lambda x: np.fft.fftn(x, s=(2, 2), axes=(0,)), "different lengths"),
        (lambda x: np.fft.fft(x, axis=3), "out of bounds"),
        (lambda x: np.fft.rfft(x * 1j), "a complex128 operand"),
    ],
)
def test_errors(call, match):
    with pytest.raises((ValueError, TypeError), match=match):
        vjp_flat(lambda x: [call(x)], [np.ones((2, 3))])
