"""What NumPy accepts as an array or an axis, brought to what ops take."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.core.aval import is_inexact
from wengert.core.errors import ShapeError
from wengert.core.source import describe, here
from wengert.core.tensor import Array, Tensor, carries, constant
from wengert.core.tensor import raw as raw
from wengert.numpy.values import lost
from wengert.ops.basis import cast, fit_tangent, reshape
from wengert.ops.dtype import truncate
from wengert.ops.shape import stack
from wengert.trace.admission import plain

ARRAYS = frozenset({Tensor, np.ndarray})


def lift(x: Any) -> Array:
    """`x` as something with `shape` and `dtype`: Tensors and ndarrays as they are, lists of Tensors stacked."""
    if type(x) in ARRAYS:
        return x
    if isinstance(x, (list, tuple)) and has_tensor(x):
        return stack_nested(x)
    if isinstance(x, np.generic):
        return x
    return plain(x, "wengert") if isinstance(x, np.ndarray) else np.asarray(x)[()]


def operand(x: Any) -> Array:
    """As `lift`, but Python scalars stay weak."""
    if type(x) in ARRAYS or isinstance(x, (int, float, complex, np.generic)):
        return x
    return lift(x)


def has_tensor(x: Any) -> bool:
    """Whether a nesting of lists and tuples holds a Tensor."""
    if type(x) is Tensor:
        return True
    if not isinstance(x, (list, tuple)):
        return False
    kinds = set(map(type, x))  # a list of a million floats costs 15 ms so, and 150 ms item by item
    return Tensor in kinds or (any(issubclass(k, (list, tuple)) for k in kinds) and any(map(has_tensor, x)))


def stack_nested(x: Any) -> Array:
    """`numpy.array` of a nesting of lists and tuples of Tensors, arrays and numbers."""
    if not isinstance(x, (list, tuple)):
        return lift(x)
    return stack_promoted([item if type(item) is Tensor else stack_nested(item) for item in x])


def stack_promoted(items: Sequence[Array], axis: int = 0) -> Array:
    """`stack` with NumPy's common dtype."""
    return stack(*promoted(items), axis=axis)


def promoted(items: Sequence[Array]) -> list[Array]:
    """Arrays cast to their common dtype."""
    kinds = {x.dtype for x in items}
    if len(kinds) == 1:  # numpy.result_type and a cast for each would cost twice as much as all else
        return list(items)
    dtype = result_type(*items)
    return [astype(x, dtype) for x in items]


def result_type(*xs: Any) -> np.dtype:
    """`numpy.result_type` of arrays, Tensors, dtypes and (weak) Python scalars."""
    return np.result_type(*(x.dtype if type(x) is Tensor else x for x in xs))


def astype(x: Array, dtype: Any) -> Array:
    """Cast, differentiably between inexact dtypes."""
    dtype = np.dtype(dtype)
    if x.dtype == dtype:
        return x
    if type(x) is not Tensor:
        return x.astype(dtype)
    if dtype.kind not in "biufcV" and carries(x):
        raise lost(
            f"astype({dtype})",
            f"{x.dtype}{list(x.shape)} under a running trace",
            "keep an array of floats, or a list of Tensors (x.tolist())",
        )
    if not is_inexact(dtype):
        return truncate(x, dtype=dtype)
    return cast(x, dtype=dtype)


def axis_of(axis: Any, ndim: int) -> int:
    """One axis, non-negative."""
    axis = operator.index(axis)
    if not -ndim <= axis < ndim:
        raise np.exceptions.AxisError(axis, ndim)
    return axis + ndim if axis < 0 else axis


def axes_of(axis: Any, ndim: int) -> tuple[int, ...]:
    """NumPy's `axis=None | int | tuple` as sorted, non-negative, distinct axes."""
    if axis is None:
        return tuple(range(ndim))
    if type(axis) is int and -ndim <= axis < ndim:
        return (axis % ndim,)
    if not isinstance(axis, (tuple, list)):
        return (axis_of(axis, ndim),)
    axes = sorted(axis_of(a, ndim) for a in axis)
    if len(set(axes)) != len(axes):
        raise ValueError("duplicate value in 'axis'")
    return tuple(axes)


def takes(axis: Any) -> bool:
    """Whether `axis` is 0 or -1: NumPy's ufunc reductions, and some more, take these of an array without axes too."""
    return isinstance(axis, (int, np.integer)) and axis in (0, -1)


def reduced_axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """`axes_of` for a ufunc's reduction, which reduces nothing along axis 0 or -1 of an array without axes."""
    return axes_of(axis, ndim) if ndim or not takes(axis) else ()


def kept(out: Array, shape: tuple[int, ...], axes: tuple[int, ...]) -> Array:
    """`keepdims=True`: a reduction's result with its axes back, of length one."""
    return constant(reshape(out, shape=tuple(1 if i in axes else d for i, d in enumerate(shape))))


def shape_of(shape: Any, size: int) -> tuple[int, ...]:
    """NumPy's `reshape` argument, with -1 resolved."""
    dims = [operator.index(shape)] if not isinstance(shape, (tuple, list)) else [operator.index(d) for d in shape]
    if dims.count(-1) == 1:
        known = 1
        for d in dims:
            known *= d if d != -1 else 1
        if known == 0 or size % known:
            raise ShapeError(
                "reshape",
                got=f"shape={tuple(dims)} for {size} elements",
                want="a size that divides",
                at=describe(here(2)),
            )
        dims[dims.index(-1)] = size // known
    return tuple(dims)


def writes_out(result: Array, out: Any) -> Array:
    """Deliver `result` to an `out=` argument, if there is one."""
    if isinstance(out, tuple):
        (out,) = out
    if out is None:
        return result
    if type(out) is not Tensor:
        if type(result) is not Tensor:
            out[...] = result
            return out
        raise lost("out=", "an ndarray for out=, while the result carries a derivative", "drop out=, or pass a Tensor")
    out._write(fit_tangent(result if type(result) is Tensor else np.asarray(result), out))
    return out
