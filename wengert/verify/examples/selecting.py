"""Selection by index, condition and value."""

from typing import Any

import numpy

import wengert.numpy
from wengert.core.tensor import Tensor, active
from wengert.verify.examples import example

AT = numpy.array([2, 0, 2])
J = numpy.array([[1, 0, 3], [0, 0, 1], [2, 3, 3]])
M = numpy.array([[True, False, True, True], [False, False, True, False], [True, True, False, True]])


def written(name: str, *args: Any) -> Any:
    """A function that writes in place, on a copy: `fun(np, x, value)`."""

    def fun(np: Any, x: Any, value: Any) -> Any:
        y = x + 0 * np.sum(value)  # a copy, which is a Tensor if either is
        getattr(np, name)(y, *[value if a is VALUE else a for a in args])
        return y

    return fun


def ours(np: Any, *args: Any) -> Any:
    """`np` as an adopted function sees it, for what NumPy does not dispatch: its classes, and lists of Tensors."""
    return wengert.numpy if active() or any(type(a) is Tensor for a in args) else np


VALUE = object()

example("take", lambda np, x: np.take(x, AT, axis=0), (3, 4), complex=True)
example("take", lambda np, x: np.take(x, AT), (3, 4))
example("take", lambda np, x: np.take(x, [5, -2], axis=1, mode="wrap"), (3, 4))
example("take", lambda np, x: np.take(x, [[5, -2]], axis=-1, mode="clip"), (2, 3, 4))
example("take", lambda np, x: np.take(x, 1), (3, 4))
example("take", lambda np, x, i: np.take(x, i, axis=1), (3, 4), AT)
example("take", lambda np, x, i: np.take(x, i, axis=1, mode="wrap"), (3, 4), AT + 2)
example("take", lambda np, x: ours(np, x).take([x, 2 * x], 1, axis=0), ())
example("take_along_axis", lambda np, x: np.take_along_axis(x, J, axis=1), (3, 4), complex=True)
example("take_along_axis", lambda np, x, j: np.take_along_axis(x, j, axis=-1), (3, 4), J)
example("take_along_axis", lambda np, x: np.take_along_axis(x, J[:1], axis=1), (3, 4))
example("take_along_axis", lambda np, x: np.take_along_axis(x, AT, axis=None), (3, 4))
example("put", written("put", [0, -2], VALUE), (3, 4), (2,))
example("put", written("put", [0, 14, 5], VALUE, "wrap"), (3, 4), (2,), complex=True)
example("put", written("put", [0, 14, -5], VALUE, "clip"), (3, 4), ())
example("put", written("put", [3, 1, 3], VALUE), (3, 4), (3,))
example("putmask", written("putmask", M, VALUE), (3, 4), (3, 4))
example("putmask", written("putmask", M, VALUE), (3, 4), (5,), complex=True)
example("place", written("place", M, VALUE), (3, 4), (3,), complex=True)
example("place", written("place", M, VALUE), (3, 4), (20,))
example("put_along_axis", written("put_along_axis", J[:, :1], VALUE, 1), (3, 4), (3, 1), complex=True)
example("put_along_axis", written("put_along_axis", AT, VALUE, None), (3, 4), (3,))
example("where", lambda np, x, y: np.where(M, x, y), (3, 4), (4,), complex=True)
example("where", lambda np, x: np.where(x, x, 3.0), (3, 4))
example("where", lambda np, x, c: np.where(c, 0.0, x), (3, 4), M)
example("where", lambda np, x: np.where([[1], [0], [2]], x, 1), (4,))
example("where", lambda np, x: np.where(x > 0, np.sqrt(np.where(x > 0, x, 1)), 0.0), (3, 4))
example("where", lambda np, x: x[np.where(x)], (3, 4), batch=False)
example("select", lambda np, x, y: np.select([x > 0.5, x > -0.5], [x**2, y], 7.0), (3, 4), (4,))
example("select", lambda np, x, y: np.select([M, ~M], [x, y], y * 2), (3, 4), (3, 4), complex=True)
example("choose", lambda np, x, y: np.choose(M.astype(int), [x, y]), (3, 4), (4,), complex=True)
example("choose", lambda np, x: np.choose([3, -1, 1], [x, 2 * x, -x], mode="wrap"), (3,))
example("choose", lambda np, x: np.choose([3, -1, 1], [x, 2 * x, -x], mode="clip"), (2, 3))
example("choose", lambda np, x: np.choose(1, [x, 2 * x]), ())
example("compress", lambda np, x: np.compress([True, False, True], x, axis=0), (3, 4), complex=True)
example("compress", lambda np, x: np.compress([0, 1, 1], x), (3, 4))
example("extract", lambda np, x: np.extract(M, x), (3, 4), complex=True)
example("extract", lambda np, x: np.extract(x > 0, x), (3, 4), batch=False)
example("piecewise", lambda np, x: np.piecewise(x, [x < -0.5, x > 0.5], [lambda v: v**2, lambda v: v * 3, 1.0]), (3, 4))
example("piecewise", lambda np, x, y: np.piecewise(x, [x < 0, x >= 0], [lambda v, k: k * v, y], 3.0), (5,), ())
example("piecewise", lambda np, x: np.piecewise(x, x > 0, [lambda v: v**2, lambda v: -v]), (4,))
example("piecewise", lambda np, x: np.piecewise(x, [x > 0], [lambda v: v**2, lambda v: -v]), ())
example("intersect1d", lambda np, x: np.intersect1d(x, x[1:3]), (4,), batch=False)
example(
    "intersect1d",
    lambda np, x: np.intersect1d(x, x[::-1], assume_unique=True, return_indices=True)[0],
    (4,),
    batch=False,
)
example("union1d", lambda np, x, y: np.union1d(x, y), (3,), (2, 2), batch=False)
example("setdiff1d", lambda np, x: np.setdiff1d(x, x[:2]), (4,), batch=False)
example("setdiff1d", lambda np, x, y: np.setdiff1d(x, y, assume_unique=True), (4,), (2,), batch=False)
example("setxor1d", lambda np, x, y: np.setxor1d(x, y), (4,), (2,), batch=False)
example("setxor1d", lambda np, x: np.setxor1d(x, x[2:], assume_unique=True), (4,), batch=False)
example("apply_along_axis", lambda np, x: np.apply_along_axis(lambda v: v**2 / np.sum(v**2), 0, x), (3, 4))
example(
    "apply_along_axis",
    lambda np, x: np.apply_along_axis(lambda v, k: np.sum(v) * k, -1, x, 2.0),
    (2, 3, 4),
    complex=True,
)
example(
    "apply_along_axis", lambda np, x: np.apply_along_axis(lambda v: np.where(M[:2, :3], v[0], v), 1, x), (2, 3, 2)[:2]
)


example(
    "vectorize",
    lambda np, x, y: ours(np, x, y).vectorize(lambda a, b: a * b if a > b else a + b)(x, y),
    (3, 2),
    (2,),
    batch=False,
)
example("vectorize", lambda np, x: ours(np, x).vectorize(lambda a: a * a)(x), (3,), complex=True)
example(
    "vectorize",
    lambda np, x: ours(np, x).vectorize(lambda a, k: (a * k[0], k[1]), excluded={1}, otypes=[complex, float])(
        x, [3.0, 4]
    )[0],
    (3,),
)
example(
    "ndenumerate",
    lambda np, x: sum(v * v * (i + 2 * j) for (i, j), v in ours(np, x).ndenumerate(x)),
    (3, 2),
    complex=True,
)
example("apply_over_axes", lambda np, x: np.apply_over_axes(np.sum, x, [0, -1]), (2, 3, 4), complex=True)
example(
    "apply_over_axes", lambda np, x: np.apply_over_axes(lambda a, axis: np.mean(a, axis, keepdims=True), x, 1), (2, 3)
)
example("require", lambda np, x: ours(np, x).require(x, dtype=complex, requirements=["C"]), (2, 3))
