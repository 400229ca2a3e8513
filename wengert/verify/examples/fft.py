"""Fourier transforms: lengths, axes, norms."""

import numpy

from wengert.verify.examples import example

for _name in ("fft", "ifft"):

    def _one(name=_name):
        def call(fun, *args, **options):
            example(f"fft.{name}", fun, *args, complex=True, **options)

        call(lambda np, x: getattr(np.fft, name)(x), (5,))
        call(lambda np, x: getattr(np.fft, name)(x, 3), (2, 4))
        call(lambda np, x: getattr(np.fft, name)(x, n=6, axis=0, norm="ortho"), (4, 3))
        call(lambda np, x: getattr(np.fft, name)(x, axis=-2, norm="forward"), (3, 2))

    _one()

for _name in ("fft2", "ifft2"):

    def _two(name=_name):
        def call(fun, *args, **options):
            example(f"fft.{name}", fun, *args, complex=True, **options)

        call(lambda np, x: getattr(np.fft, name)(x), (2, 3, 4))
        call(lambda np, x: getattr(np.fft, name)(x, s=(2, 5), axes=(1, 0)), (3, 4))
        call(lambda np, x: getattr(np.fft, name)(x, norm="ortho", axes=(0, -1)), (3, 2, 2))

    _two()

for _name in ("fftn", "ifftn"):

    def _many(name=_name):
        def call(fun, *args, **options):
            example(f"fft.{name}", fun, *args, complex=True, **options)

        call(lambda np, x: getattr(np.fft, name)(x), (2, 3, 2))
        call(lambda np, x: getattr(np.fft, name)(x, s=(4, -1), axes=(0, 1), norm="forward"), (3, 4))
        call(lambda np, x: getattr(np.fft, name)(x, axes=(0, 1, 0)), (3, 2))
        call(lambda np, x: getattr(np.fft, name)(x, s=(2, 3, 4), axes=(0, 1, 0)), (3, 2))
        call(lambda np, x: getattr(np.fft, name)(x, axes=()), (3,))

    _many()

for _norm in ("backward", "ortho", "forward", None):
    for _n in (None, 1, 2, 5, 6):

        def _half(norm=_norm, n=_n):
            example("fft.rfft", lambda np, x: np.fft.rfft(x, n, norm=norm), (2, 5))
            example("fft.irfft", lambda np, x: np.fft.irfft(x, n, norm=norm), (2, 4), complex=True)
            example("fft.hfft", lambda np, x: np.fft.hfft(x, n, axis=0, norm=norm), (4, 2), complex=True)
            example("fft.ihfft", lambda np, x: np.fft.ihfft(x, n, axis=0, norm=norm), (5, 2))

        _half()

example("fft.rfft2", lambda np, x: np.fft.rfft2(x), (2, 3, 4))
example("fft.rfft2", lambda np, x: np.fft.rfft2(x, s=(3, 3), norm="ortho"), (4, 2))
example("fft.rfftn", lambda np, x: np.fft.rfftn(x), (2, 3, 4))
example("fft.rfftn", lambda np, x: np.fft.rfftn(x, s=(3, 5), axes=(2, 0), norm="forward"), (2, 3, 4))
example("fft.rfftn", lambda np, x: np.fft.rfftn(x, axes=(0, 0, 1)), (2, 3))
example("fft.irfft2", lambda np, x: np.fft.irfft2(x), (2, 3, 4), complex=True)
example("fft.irfft2", lambda np, x: np.fft.irfft2(x, s=(3, 3), norm="ortho"), (4, 2), complex=True)
example("fft.irfftn", lambda np, x: np.fft.irfftn(x), (2, 3, 4), complex=True)
example("fft.irfftn", lambda np, x: np.fft.irfftn(x, s=(3, 5), axes=(2, 0), norm="forward"), (3, 3, 4), complex=True)
example("fft.irfftn", lambda np, x: np.fft.irfftn(x, s=(2, 3, 4), axes=(0, 0, 1)), (3, 3), complex=True)

example("fft.fftfreq", lambda np, d: np.fft.fftfreq(5) * d, ())
example("fft.rfftfreq", lambda np, d: np.fft.rfftfreq(6, 0.1) * d, ())
for _name in ("fftfreq", "rfftfreq"):
    example(
        f"fft.{_name}",
        lambda np, d, name=_name: getattr(np.fft, name)(5, d, **({} if np is numpy else {"dtype": d.dtype})),
        (),
        domain=((0.5, 2.0),),
    )
for _name in ("fftshift", "ifftshift"):

    def _shift(name=_name):
        example(f"fft.{name}", lambda np, x: getattr(np.fft, name)(x), (3, 4), complex=True)
        example(f"fft.{name}", lambda np, x: getattr(np.fft, name)(x, axes=-1), (2, 5), complex=True)
        example(f"fft.{name}", lambda np, x: getattr(np.fft, name)(x, axes=(0, 2)), (3, 2, 5), complex=True)

    _shift()
