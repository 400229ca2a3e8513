"""SciPy's Fourier, cosine and sine transforms. Like scipy.linalg, they do not dispatch: Tensors go to `wengert.scipy.fft`."""

import numpy
import scipy.fft

import wengert.scipy.fft
from wengert.core.tensor import Tensor
from wengert.verify.examples import example


def module(np, *xs):
    """SciPy's module for NumPy and plain arrays, ours otherwise."""
    return scipy.fft if np is numpy and not any(type(x) is Tensor for x in xs) else wengert.scipy.fft


def one(name, *args, call=lambda f, *xs: f(*xs), **options):
    example(f"scipy.fft.{name}", lambda np, *xs: call(getattr(module(np, *xs), name), *xs), *args, **options)


for _name in ("fft", "ifft", "irfft", "hfft"):
    one(_name, (2, 5), complex=True)
    one(_name, (4, 3), complex=True, call=lambda f, x: f(x, 6, axis=0, norm="ortho"))
for _name in ("rfft", "ihfft"):
    one(_name, (2, 5))
    one(_name, (4, 3), call=lambda f, x: f(x, 3, axis=0, norm="forward", workers=1, overwrite_x=True))
for _name in ("fft2", "ifft2", "irfft2", "hfft2", "fftn", "ifftn", "irfftn", "hfftn"):
    one(_name, (2, 3, 4), complex=True)
    one(_name, (2, 3, 3), complex=True, call=lambda f, x: f(x, s=(3, 4), axes=(2, 0), norm="ortho"))
for _name in ("rfft2", "ihfft2", "rfftn", "ihfftn"):
    one(_name, (2, 3, 4))
    one(_name, (2, 3, 3), call=lambda f, x: f(x, s=(3, 4), axes=(2, 0), norm="forward"))
one("fftn", (2, 3), complex=True, call=lambda f, x: f(x, s=4))
one("fftfreq", (), call=lambda f, d: f(5, d), domain=((0.5, 2.0),))
one("rfftfreq", (), call=lambda f, d: f(6, d), domain=((0.5, 2.0),))
for _name in ("fftshift", "ifftshift"):
    one(_name, (3, 4), complex=True)
    one(_name, (2, 5), call=lambda f, x: f(x, axes=-1))

for _name in ("dct", "idct", "dst", "idst"):
    one(_name, (2, 5), complex=True)
    for _type in (1, 2, 3, 4):
        for _norm in ("backward", "ortho", "forward"):
            one(_name, (4, 3), call=lambda f, x, t=_type, n=_norm: f(x, t, 5, axis=0, norm=n))
        one(_name, (2, 4), complex=True, call=lambda f, x, t=_type: f(x, t, 3, orthogonalize=True))
        one(_name, (4,), call=lambda f, x, t=_type: f(x, t, norm="ortho", orthogonalize=False))
for _name in ("dctn", "idctn", "dstn", "idstn"):
    one(_name, (2, 3, 4), complex=True)
    for _type in (1, 2, 3, 4):
        one(_name, (2, 3, 4), call=lambda f, x, t=_type: f(x, t, s=(3, 5), axes=(2, 0), norm="ortho"))
        one(_name, (3, 2), call=lambda f, x, t=_type: f(x, t, norm="forward", orthogonalize=True), complex=True)
