"""`numpy.fft`: transforms with their lengths, axes and norms; frequencies and shifts.

`n` and `s` crop the operand, or pad it with zeros, before a forward transform (the spectrum before an inverse one).
On plain arrays every function is NumPy's own.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np

from wengert.core.errors import DTypeError
from wengert.core.source import describe, here
from wengert.core.tensor import Array, Tensor
from wengert.numpy.arrays import astype, axis_of, has_tensor, lift, writes_out
from wengert.numpy.registry import NAMES, implements, theirs
from wengert.ops.basis import conj as conj_op
from wengert.ops.elementwise import div
from wengert.ops.fft import SWAPPED
from wengert.ops.fft import fft as fft_op
from wengert.ops.fft import irfft as irfft_op
from wengert.ops.fft import rfft as rfft_op
from wengert.ops.index import index, scatter_add

F = TypeVar("F", bound=Callable[..., Any])


def transform(name: str) -> Callable[[F], F]:
    """Serve `numpy.fft.<name>`: NumPy's own function where neither the operand nor `out` holds a Tensor."""

    def decorate(function: F) -> F:
        original = theirs(f"fft.{name}")

        @functools.wraps(original)
        def served(a: Any, *args: Any, **kwargs: Any) -> Array:
            if not has_tensor(a) and not has_tensor(kwargs.get("out")) and not has_tensor(args):
                return original(a, *args, **kwargs)
            return function(a, *args, **kwargs)

        return implements(f"fft.{name}")(served)  # type: ignore[return-value]

    return decorate


# ── lengths, axes, norms ──────────────────────────────────────────────────────


def normed(norm: str | None) -> str:
    """`norm` with its default, or NumPy's error."""
    norm = "backward" if norm is None else norm
    if norm not in SWAPPED:
        raise ValueError(f'Invalid norm value {norm}; should be "backward", "ortho" or "forward".')
    return norm


def inexact(a: Any) -> Array:
    """The operand; integers become float64, as NumPy has it."""
    x = lift(a)
    return astype(x, float) if x.dtype.kind in "iub" else x


def fitted(x: Array, axis: int, n: int) -> Array:
    """`x` cropped, or padded with zeros, to length n along `axis`."""
    length = x.shape[axis]
    if n < 1:
        raise ValueError(f"Invalid number of FFT data points ({n}) specified.")
    if length == n:
        return x
    spec = (*(slice(None),) * axis, slice(min(n, length)))
    if length > n:
        return index(x, spec=spec, unique=True)
    return scatter_add(x, spec=spec, shape=(*x.shape[:axis], n, *x.shape[axis + 1 :]), unique=True)


def lengths_axes(x: Array, s: Any, axes: Any, *, half: bool = False) -> tuple[list[int], list[int]]:
    """`s` and `axes` of an n-dimensional transform, one length for each axis; `half`: the last is of a half spectrum."""
    if axes is None:
        axes = range(x.ndim - (x.ndim if s is None else len(s)), x.ndim)
    axes = [axis_of(a, x.ndim) for a in axes]
    if s is None:
        s = [None] * len(axes)
    if len(s) != len(axes):
        raise ValueError("Shape and axes have different lengths.")
    lengths = [x.shape[a] if n is None or n == -1 else operator.index(n) for n, a in zip(s, axes, strict=True)]
    if half and (s[-1] is None):
        lengths[-1] = 2 * (x.shape[axes[-1]] - 1)
    return lengths, axes


def complex_transform(x: Array, lengths: Sequence[int], axes: Sequence[int], inverse: bool, norm: str) -> Array:
    """Crop or pad, and transform; an axis that is named again is transformed again, the last name first."""
    if len(set(axes)) == len(axes):
        for n, axis in zip(lengths, axes, strict=True):
            x = fitted(x, axis, n)
        return fft_op(x, axes=tuple(sorted(axes)), inverse=inverse, norm=norm) if axes else x
    for n, axis in zip(reversed(lengths), reversed(axes), strict=True):
        x = fft_op(fitted(x, axis, n), axes=(axis,), inverse=inverse, norm=norm)
    return x


def real_transform(x: Array, n: int | None, axis: int, norm: str) -> Array:
    """`rfft` with crop or pad."""
    if x.dtype.kind == "c":
        raise DTypeError(
            "numpy.fft.rfft",
            got=f"a {x.dtype} operand",
            want="a real one",
            fix="use fft, or x.real",
            at=describe(here(3)),
        )
    return rfft_op(fitted(x, axis, x.shape[axis] if n is None else operator.index(n)), axis=axis, norm=norm)


def half_inverse(x: Array, n: int | None, axis: int, norm: str) -> Array:
    """`irfft` with crop or pad of the half spectrum."""
    length = 2 * (x.shape[axis] - 1) if n is None else operator.index(n)
    if length < 1:
        raise ValueError(f"Invalid number of FFT data points ({length}) specified.")
    return irfft_op(fitted(x, axis, length // 2 + 1), n=length, axis=axis, norm=norm)


# ── one axis ──────────────────────────────────────────────────────────────────


@transform("fft")
def fft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Array:
    """`numpy.fft.fft`."""
    return fftn(a, None if n is None else (n,), (axis,), norm, out)


@transform("ifft")
def ifft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Array:
    """`numpy.fft.ifft`."""
    return ifftn(a, None if n is None else (n,), (axis,), norm, out)


@transform("rfft")
def rfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Array:
    """`numpy.fft.rfft`."""
    x = inexact(a)
    return writes_out(real_transform(x, n, axis_of(axis, x.ndim), normed(norm)), out)


@transform("irfft")
def irfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Array:
    """`numpy.fft.irfft`."""
    x = inexact(a)
    return writes_out(half_inverse(x, n, axis_of(axis, x.ndim), normed(norm)), out)


@transform("hfft")
def hfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Array:
    """`numpy.fft.hfft`: the transform of a signal with Hermitian symmetry."""
    x = inexact(a)
    result = half_inverse(conj_op(x), n, axis_of(axis, x.ndim), SWAPPED[normed(norm)])
    return writes_out(result, out)


@transform("ihfft")
def ihfft(a: Any, n: Any = None, axis: int = -1, norm: Any = None, out: Any = None) -> Array:
    """`numpy.fft.ihfft`."""
    x = inexact(a)
    return writes_out(conj_op(real_transform(x, n, axis_of(axis, x.ndim), SWAPPED[normed(norm)])), out)


# ── several axes ──────────────────────────────────────────────────────────────


@transform("fftn")
def fftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None, out: Any = None) -> Array:
    """`numpy.fft.fftn`."""
    x = inexact(a)
    return writes_out(complex_transform(x, *lengths_axes(x, s, axes), False, normed(norm)), out)


@transform("ifftn")
def ifftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None, out: Any = None) -> Array:
    """`numpy.fft.ifftn`."""
    x = inexact(a)
    return writes_out(complex_transform(x, *lengths_axes(x, s, axes), True, normed(norm)), out)


@transform("rfftn")
def rfftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None, out: Any = None) -> Array:
    """`numpy.fft.rfftn`: real along the last of `axes`, then complex along the others."""
    x = inexact(a)
    lengths, axes = lengths_axes(x, s, axes)
    norm = normed(norm)
    half = real_transform(x, lengths[-1], axes[-1], norm)
    return writes_out(complex_transform(half, lengths[:-1], axes[:-1], False, norm), out)


@transform("irfftn")
def irfftn(a: Any, s: Any = None, axes: Any = None, norm: Any = None, out: Any = None) -> Array:
    """`numpy.fft.irfftn`."""
    x = inexact(a)
    lengths, axes = lengths_axes(x, s, axes, half=True)
    norm = normed(norm)
    # NumPy takes the inverse's axes first to last; the order matters to axes that are named twice.
    half = complex_transform(x, lengths[-2::-1], axes[-2::-1], True, norm)
    return writes_out(half_inverse(half, lengths[-1], axes[-1], norm), out)


@transform("fft2")
def fft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None, out: Any = None) -> Array:
    """`numpy.fft.fft2`."""
    return fftn(a, s, axes, norm, out)


@transform("ifft2")
def ifft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None, out: Any = None) -> Array:
    """`numpy.fft.ifft2`."""
    return ifftn(a, s, axes, norm, out)


@transform("rfft2")
def rfft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None, out: Any = None) -> Array:
    """`numpy.fft.rfft2`."""
    return rfftn(a, s, axes, norm, out)


@transform("irfft2")
def irfft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: Any = None, out: Any = None) -> Array:
    """`numpy.fft.irfft2`."""
    return irfftn(a, s, axes, norm, out)


# ── frequencies, shifts ───────────────────────────────────────────────────────


def frequencies(name: str) -> Callable[..., Array]:
    """Serve `fftfreq` or `rfftfreq`, which are differentiable in the sample spacing `d`."""
    original = theirs(f"fft.{name}")

    def served(n: int, d: Any = 1.0, device: Any = None, *, dtype: Any = None) -> Array:
        if type(d) is not Tensor:
            out = original(n, d, device=device)
            return out if dtype is None else out.astype(dtype, copy=False)
        out = div(original(n, device=device), d)
        return out if dtype is None else astype(out, dtype)

    served.__name__ = served.__qualname__ = name
    served.__doc__ = original.__doc__
    return implements(f"fft.{name}")(served)


def shift(name: str, sign: int) -> Callable[..., Array]:
    """Serve `fftshift` or `ifftshift`: a roll by half of each length."""
    original = theirs(f"fft.{name}")

    @functools.wraps(original)
    def served(x: Any, axes: Any = None) -> Array:
        if not has_tensor(x):
            return original(x, axes)
        x = lift(x)
        axes = range(x.ndim) if axes is None else (axes,) if isinstance(axes, (int, np.integer)) else axes
        axes = tuple(axis_of(a, x.ndim) for a in axes)
        return NAMES["roll"].function(x, tuple(sign * (x.shape[a] // 2) for a in axes), axes)

    return implements(f"fft.{name}")(served)


fftfreq = frequencies("fftfreq")
rfftfreq = frequencies("rfftfreq")
fftshift = shift("fftshift", 1)
ifftshift = shift("ifftshift", -1)


def __getattr__(name: str) -> Any:
    entry = NAMES.get(f"fft.{name}")
    return getattr(np.fft, name) if entry is None else entry.function


__all__ = [
    "fft", "fft2", "fftfreq", "fftn", "fftshift", "hfft", "ifft", "ifft2", "ifftn", "ifftshift", "ihfft",
    "irfft", "irfft2", "irfftn", "rfft", "rfft2", "rfftfreq", "rfftn",
]  # fmt: skip
