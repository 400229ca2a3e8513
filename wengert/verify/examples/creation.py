"""Arrays from numbers, lists, ranges and other arrays."""

from typing import Any

import numpy

import wengert.numpy
from wengert.core.tensor import active
from wengert.verify.examples import example


def ours(np: Any) -> Any:
    """`np` as an adopted function sees it: what has no array argument cannot be dispatched by NumPy."""
    return wengert.numpy if active() else np


UP = ((0.5, 1.0), (2.0, 3.0))

example("array", lambda np, x: ours(np).array(x), (2, 3), complex=True)
example("array", lambda np, x: ours(np).array([x[0], 2 * x[1], 1, numpy.float64(3)]), (3,), complex=True)
example("array", lambda np, x: ours(np).array([[x[0], x[1]], (0.0, x[2])]), (3,), complex=True)
example("array", lambda np, x: ours(np).array([x, [1, 2, 3]], dtype=complex), (3,))
example("array", lambda np, x: ours(np).array(x, ndmin=3, order="F"), (2, 3))
example("array", lambda np, x, y: ours(np).array([x, y, 1.0]), (), ())
example("asarray", lambda np, x: ours(np).asarray([x, x]), (2,), complex=True)
example("asarray", lambda np, x: ours(np).asarray(x, dtype=complex), (2,))
example("asanyarray", lambda np, x: ours(np).asanyarray([x, x]), (2,), complex=True)
example("ascontiguousarray", lambda np, x: ours(np).ascontiguousarray(x), (), complex=True)
example("ascontiguousarray", lambda np, x: ours(np).ascontiguousarray(x.T), (2, 3))
example("asfortranarray", lambda np, x: ours(np).asfortranarray(x), (2, 3), complex=True)
example("asarray_chkfinite", lambda np, x: ours(np).asarray_chkfinite(x), (2, 3), complex=True, batch=False)
example("require", lambda np, x: ours(np).require(x, float, ["F", "W"]), (2, 3))
example("copy", lambda np, x: np.copy(x), (2, 3), complex=True)
example("copy", lambda np, x: np.copy(x.T, order="C"), (2, 3))
if hasattr(numpy, "astype"):
    example("astype", lambda np, x: np.astype(x, complex) if not active() else wengert.numpy.astype(x, complex), (2, 3))


def filled(np: Any, x: Any, name: str, *args: Any) -> Any:
    """A new array that traced values are written into, as programs do."""
    out = getattr(ours(np), name)(*args)
    out[1] = x
    return out


for _name in ("zeros", "ones"):
    example(_name, lambda np, x, _name=_name: filled(np, x, _name, 3), ())
    example(_name, lambda np, x, _name=_name: filled(np, x, _name, (3, 2)), (2,))
    example(_name, lambda np, x, _name=_name: filled(np, x, _name, (3, 2), complex), (2,), complex=True)


def empty(np: Any, x: Any) -> Any:
    out = ours(np).empty((2, *numpy.shape(x)), dtype=x.dtype)
    out[0], out[1] = x, x * x
    return out


def row_by_row(np: Any, x: Any, name: str) -> Any:
    out = getattr(np, name)(x)
    for i in range(len(x)):
        out[i] = x[i] ** 2
    return out


example("empty", empty, (3,), complex=True)
example("eye", lambda np, x: filled(np, x, "eye", 3, 4, 1), (4,))
example("identity", lambda np, x: filled(np, x, "identity", 3), (3,))
example("tri", lambda np, x: filled(np, x, "tri", 3), (3,))
for _name in ("zeros_like", "ones_like", "empty_like"):
    example(_name, lambda np, x, _name=_name: row_by_row(np, x, _name), (3, 2), complex=True)
example("zeros_like", lambda np, x: np.zeros_like(x, shape=(2,)) + x[0, 0], (3, 2))
example("full", lambda np, x: ours(np).full((2, 3), x), (), complex=True)
example("full", lambda np, x: ours(np).full((2, 3), x, dtype=complex), (3,))
example("full", lambda np, x: filled(np, x, "full", 3, 2.5), ())
example("full_like", lambda np, x, v: np.full_like(x, v), (2, 3), (), complex=True)
example("full_like", lambda np, x: ours(np).full_like(numpy.ones((2, 3)), x), (3,))
example("full_like", lambda np, x: x * np.full_like(x, 3), (3,))
example("arange", lambda np, x: ours(np).arange(x, 4, 0.5), (), domain=(0.1, 0.4), batch=False)
example("arange", lambda np, x, s: ours(np).arange(x, x + 2.1 * s, s), (), (), domain=UP, batch=False)
example("arange", lambda np, x: x * ours(np).arange(3.0), (3,))
example("linspace", lambda np, x, y: np.linspace(x, y), (), (), complex=True)
example("linspace", lambda np, x, y: np.linspace(x, y, 4, endpoint=False), (2,), (3, 1))
example("linspace", lambda np, x, y: np.linspace(x, y, num=3, axis=-1, retstep=True), (2,), (2,))
example("linspace", lambda np, x: np.linspace(x, 1, 1), (2,))
example("linspace", lambda np, x: np.linspace(0, x, 3, dtype=complex), (2,))
example("linspace", lambda np, x: np.linspace(x, 1, 0), (2,))
example("logspace", lambda np, x, y: np.logspace(x, y, 4), (), (), complex=True)
example("logspace", lambda np, x, y: np.logspace(x, y, 4, endpoint=False, base=2.0, axis=1), (2,), (2,))
example("logspace", lambda np, b: np.logspace(0, 2, 3, base=b), (2,), domain=(0.5, 2.0))
example("geomspace", lambda np, x, y: np.geomspace(x, y, 4), (), (), domain=UP, complex=True)
example("geomspace", lambda np, x, y: np.geomspace(-x, -y, 4, endpoint=False, axis=-1), (2,), (2,), domain=UP)
example("meshgrid", lambda np, x, y: np.meshgrid(x, y), (3,), (2,), complex=True)
example("meshgrid", lambda np, x, y: np.meshgrid(x, y, 1.0, indexing="ij", copy=False), (3,), (2,))
example("meshgrid", lambda np, x, y: np.meshgrid(x, y, sparse=True), (3,), (2,))
example("from_dlpack", lambda np, x: x * 1.0 if np is numpy else np.from_dlpack(x), (3, 2), complex=True)
example("from_dlpack", lambda np, x: x * 1.0 if np is numpy else np.from_dlpack(x, device="cpu", copy=True), (3,))
example("vander", lambda np, x: np.vander(x), (3,), complex=True)
example("vander", lambda np, x: np.vander(x, 4, increasing=True), (3,))
example("indices", lambda np, x: x * np.indices((2, 3))[1], (2, 3))
example("fromfunction", lambda np, x: np.fromfunction(lambda i, j: x[0] * i + x[1] * j, (2, 3)), (2,))
example("fromiter", lambda np, x: ours(np).fromiter((2 * v for v in x), dtype=x.dtype, count=2), (3,), complex=True)
example("mgrid", lambda np, x: x * np.mgrid[0:2, 0:3:0.5][0], (2, 6))
example("ogrid", lambda np, x: x * np.ogrid[0:2, 0:3][1], (2, 3))
example("s_", lambda np, x: x[np.s_[1:, ::2]], (2, 3))
example("index_exp", lambda np, x: x[np.index_exp[1:, ::2]], (2, 3))
