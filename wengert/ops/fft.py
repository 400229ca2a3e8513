"""Discrete Fourier transforms: complex over several axes, and real to half spectrum and back along one.

Under the pairing Re(Σ ct·t), without a conjugate, the DFT matrix is symmetric, so a complex transform is its
own transpose. The half-spectrum transforms count each interior bin once where the full spectrum has it twice:
that factor, and the imaginary parts that `irfft` ignores (bin 0, and bin n/2 for even n), are all there is to
their transposes. Lengths are those of the operand: cropping and zero padding are ops of their own.

`norm`  which direction carries the factor 1/n: "backward", "forward", or "ortho" for 1/√n in both.
Source  Cooley & Tukey (1965) for the transform; pocketfft, through `numpy.fft`, computes it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wengert.core.aval import FLOAT, INEXACT, Aval
from wengert.core.errors import ShapeError
from wengert.core.op import Sample
from wengert.core.source import describe, here
from wengert.core.tensor import Array
from wengert.graph.program import Var
from wengert.ops.basis import check_axes, conj, fit, linear, real_dtype, scale

SWAPPED = {"backward": "forward", "ortho": "ortho", "forward": "backward"}


def _complex(dtype: np.dtype) -> np.dtype:
    return np.result_type(dtype, 1j)


def _check_lengths(name: str, shape: Sequence[int], axes: Sequence[int]) -> None:
    if any(shape[a] < 1 for a in axes):
        raise ShapeError(
            name,
            got=f"axes {tuple(axes)} of shape {tuple(shape)}",
            want="at least one data point along each transformed axis",
            fix="give n (or s) to pad with zeros",
            at=describe(here(2)),
        )


# ── fft ───────────────────────────────────────────────────────────────────────


def _fft_shape(x: Aval, *, axes: tuple[int, ...], inverse: bool, norm: str) -> Aval:
    check_axes("fft", axes, x)
    _check_lengths("fft", x.shape, axes)
    return x.with_dtype(_complex(x.dtype))


def _fft_eval(x: Array, *, axes: tuple[int, ...], inverse: bool, norm: str) -> np.ndarray:
    if len(axes) == 1:
        return (np.fft.ifft if inverse else np.fft.fft)(x, axis=axes[0], norm=norm)  # type: ignore[arg-type]
    return (np.fft.ifftn if inverse else np.fft.fftn)(x, axes=axes, norm=norm)  # type: ignore[arg-type]


fft = linear(
    "fft",
    shape=_fft_shape,
    eval=_fft_eval,
    transpose=lambda ct, var, **params: fit(fft(ct, **params), var),
    batch=lambda xs, batched, size, *, axes, **params: fft(xs[0], axes=tuple(a + 1 for a in axes), **params),
    samples=(
        Sample((5,), axes=(0,), inverse=False, norm="backward"),
        Sample((3, 4), axes=(0,), inverse=True, norm="backward"),
        Sample((2, 3, 4), axes=(0, 2), inverse=False, norm="ortho"),
        Sample((3, 2), axes=(0, 1), inverse=True, norm="forward"),
        Sample((0, 2), axes=(1,), inverse=False, norm="forward"),
        Sample((1, 1), axes=(0, 1), inverse=True, norm="ortho"),
    ),
    rejects=(
        Sample((3,), axes=(1,), inverse=False, norm="backward", raises=ShapeError),
        Sample((0,), axes=(0,), inverse=False, norm="backward", raises=ShapeError),
    ),
    note="over several distinct axes at once; a real operand gives a complex result",
)

# ── rfft, irfft ───────────────────────────────────────────────────────────────


def _bins(n: int, interior: float, ndim: int, axis: int, dtype: np.dtype) -> np.ndarray:
    """1 for the bins of a length-n half spectrum that are their own mirror image, `interior` for the rest."""
    weights = np.ones(n // 2 + 1, real_dtype(dtype))
    weights[1 : (n + 1) // 2] = interior
    return weights.reshape((-1, *(1,) * (ndim - 1 - axis)))


def _rfft_shape(x: Aval, *, axis: int, norm: str) -> Aval:
    check_axes("rfft", (axis,), x)
    _check_lengths("rfft", x.shape, (axis,))
    return Aval((*x.shape[:axis], x.shape[axis] // 2 + 1, *x.shape[axis + 1 :]), _complex(x.dtype))


def _rfft_transpose(ct: Array, var: Var, *, axis: int, norm: str) -> Array:
    # Re Σₖ ctₖ e^(-2πijk/n) over the half spectrum: an inverse transform that must not count the interior twice.
    n = var.shape[axis]
    half = scale(conj(ct), _bins(n, 0.5, len(var.shape), axis, var.dtype))
    return fit(irfft(half, n=n, axis=axis, norm=SWAPPED[norm]), var)


rfft = linear(
    "rfft",
    accepts=FLOAT,
    shape=_rfft_shape,
    eval=lambda x, *, axis, norm: np.fft.rfft(x, axis=axis, norm=norm),
    transpose=_rfft_transpose,
    batch=lambda xs, batched, size, *, axis, norm: rfft(xs[0], axis=axis + 1, norm=norm),
    samples=(
        Sample((6,), axis=0, norm="backward"),
        Sample((5,), axis=0, norm="forward"),
        Sample((4, 3), axis=0, norm="ortho"),
        Sample((2, 1), axis=1, norm="backward"),
        Sample((2, 2), axis=1, norm="ortho"),
        Sample((0, 4), axis=1, norm="forward"),
    ),
    rejects=(Sample((0,), axis=0, norm="backward", raises=ShapeError),),
)


def _irfft_shape(x: Aval, *, n: int, axis: int, norm: str) -> Aval:
    check_axes("irfft", (axis,), x)
    if n < 1 or x.shape[axis] != n // 2 + 1:
        raise ShapeError(
            "irfft",
            got=f"{x.shape[axis]} bins for n={n}",
            want=f"n ≥ 1 and n//2 + 1 = {n // 2 + 1} bins",
            fix="crop or pad the spectrum",
            at=describe(here(2)),
        )
    real = np.result_type(real_dtype(x.dtype), 1.0)
    return Aval((*x.shape[:axis], n, *x.shape[axis + 1 :]), real)


def _irfft_transpose(ct: Array, var: Var, *, n: int, axis: int, norm: str) -> Array:
    bins = _bins(n, 2.0, len(var.shape), axis, var.dtype)
    return fit(scale(conj(rfft(ct, axis=axis, norm=SWAPPED[norm])), bins), var)


irfft = linear(
    "irfft",
    accepts=INEXACT,
    shape=_irfft_shape,
    eval=lambda x, *, n, axis, norm: np.fft.irfft(x, n=n, axis=axis, norm=norm),
    transpose=_irfft_transpose,
    batch=lambda xs, batched, size, *, n, axis, norm: irfft(xs[0], n=n, axis=axis + 1, norm=norm),
    samples=(
        Sample((4,), n=6, axis=0, norm="backward"),
        Sample((3,), n=5, axis=0, norm="forward"),
        Sample((3, 2), n=4, axis=0, norm="ortho"),
        Sample((2, 1), n=1, axis=1, norm="backward"),
        Sample((2, 2), n=2, axis=1, norm="ortho"),
        Sample((0, 3), n=4, axis=1, norm="forward"),
    ),
    rejects=(Sample((4,), n=5, axis=0, norm="backward", raises=ShapeError),),
    note="the imaginary parts of bin 0, and of bin n/2 for even n, are ignored, and have zero derivative",
)

__all__ = ["SWAPPED", "fft", "irfft", "rfft"]
