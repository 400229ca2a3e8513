"""Elementwise functions that are not ufuncs."""

from __future__ import annotations

import numpy

from wengert.verify.examples import example

INF, NAN = numpy.inf, numpy.nan
BROKEN = numpy.array([1.0, NAN, INF, -INF])

example("clip", lambda np, x: np.clip(x, -1, 1), (3, 4))
example(
    "clip", lambda np, x, a, b: np.clip(x, a, b + 1), (3, 4), (4,), (3, 1), domain=((-2.0, 2.0), (-0.5, 0.0), (0.1, 1))
)
example("clip", lambda np, x: np.clip(x, 0.5, None), (3, 4))
example("clip", lambda np, x: np.clip(x, None, 0.5), (3, 4))
example("clip", lambda np, x: np.clip(x, min=0.5), (3, 4))
example("clip", lambda np, x: np.clip(x, max=0.5), (3, 4))
example("clip", lambda np, x: np.clip(x, a_min=-0.5, a_max=0.5), (3, 4))
example("clip", lambda np, x: np.clip(x, -0.5, a_max=0.5), (3, 4))
example("clip", lambda np, x: np.clip(x, -0.5, None) if np is numpy else np.clip(x, -0.5), (3, 4))
example("clip", lambda np, x, a: np.clip(x, None, a) if np is numpy else np.clip(x, max=a), (3, 4), (4,))
example("clip", lambda np, x: np.clip(numpy.arange(4.0), x, x + 1), (3, 1))
example("clip", lambda np, x: x.clip(-0.5, 0.5), (3, 4))
example("clip", lambda np, x: np.clip(x, 1, -1), (3, 4))
example("clip", lambda np, x: np.clip(x, -0.5, 0.5, out=x * 1), (3, 4))

for _name in ("round", "around"):
    example(_name, lambda np, x, name=_name: getattr(np, name)(x), (3, 4), complex=True)
    example(_name, lambda np, x, name=_name: getattr(np, name)(x, 1), (3,), domain=(1.21, 1.24), complex=True)
example("fix", lambda np, x: np.fix(x), (3, 4))

for _name in ("isposinf", "isneginf"):
    example(_name, lambda np, x, name=_name: getattr(np, name)(x * numpy.array([INF, 1.0])), (3, 2))
for _name in ("isreal", "iscomplex"):
    example(_name, lambda np, x, name=_name: getattr(np, name)(x), (3,), complex=True)
for _name in ("isrealobj", "iscomplexobj"):
    example(_name, lambda np, x, name=_name: getattr(np, name)(x), (3,), complex=True, batch=False)
example("isclose", lambda np, x, y: np.isclose(x, y, rtol=0.5), (3, 4), (4,), complex=True)
example("isclose", lambda np, x: np.isclose(x * BROKEN, BROKEN, atol=0.5, equal_nan=True), (3, 4))
for _name in ("allclose", "array_equal", "array_equiv"):
    example(_name, lambda np, x, y, name=_name: getattr(np, name)(x, y), (3,), (3,), complex=True, batch=False)
    example(_name, lambda np, x, name=_name: getattr(np, name)(x, x), (3,), complex=True, batch=False)
example("allclose", lambda np, x: np.allclose(x, x + 0.1, atol=0.2), (3,), batch=False)

example("real", lambda np, x: np.real(x), (3,), complex=True)
example("imag", lambda np, x: np.imag(x), (3,), complex=True)
example("angle", lambda np, x: np.angle(x), (3, 4), domain=(0.3, 2.0), complex=True)
example("angle", lambda np, x: np.angle(x, deg=True), (3,), domain=(0.3, 2.0), complex=True)
example("real_if_close", lambda np, x: np.real_if_close(x), (3,), complex=True, batch=False)
example("real_if_close", lambda np, x: np.real_if_close(np.real(x) + 0j), (3,), complex=True, batch=False)

example("nan_to_num", lambda np, x: np.nan_to_num(x), (3, 4), complex=True)
example(
    "nan_to_num", lambda np, x: np.nan_to_num(np.where(BROKEN == 1, x, BROKEN), nan=3.0, posinf=7, neginf=-7.0), (3, 4)
)
example(
    "nan_to_num",
    lambda np, x, y: np.nan_to_num(np.where(BROKEN == 1, x, BROKEN), nan=y, posinf=y, neginf=2 * y),
    (3, 4),
    (),
)
example("nan_to_num", lambda np, x: np.nan_to_num(x * 2, copy=False), (3,))
example("sinc", lambda np, x: np.sinc(x), (3, 4), complex=True)
example("sinc", lambda np, x: np.sinc(x * numpy.array([0.0, 1e-9, 0.3, 4.0])), (3, 4))
example("i0", lambda np, x: np.i0(x), (3, 4))
example("i0", lambda np, x: np.i0(x), (3,), domain=(7.0, 12.0))
