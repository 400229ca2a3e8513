"""Functions that move elements without changing them."""

from __future__ import annotations

from typing import Any

from wengert.core.tensor import Array, Tensor, view
from wengert.numpy.arrays import axis_of, lift, shape_of
from wengert.numpy.registry import implements
from wengert.ops.basis import reshape as reshape_op
from wengert.ops.basis import transpose as transpose_op


def moved(op: Any, x: Array, **params: Any) -> Array:
    """A movement op, as a view where NumPy makes one."""
    return view(op, x, **params) if type(x) is Tensor else op(x, **params)


@implements("reshape")
def reshape(a: Any, /, shape: Any = None, order: str = "C", *, newshape: Any = None, copy: Any = None) -> Array:
    """`numpy.reshape`."""
    x = lift(a)
    shape = shape_of(newshape if shape is None else shape, x.size)
    if order == "F":
        return transpose(moved(reshape_op, transpose(x), shape=shape[::-1]))
    return moved(reshape_op, x, shape=shape)


@implements("transpose", "permute_dims")
def transpose(a: Any, axes: Any = None) -> Array:
    """`numpy.transpose`."""
    x = lift(a)
    axes = range(x.ndim)[::-1] if axes is None else [axis_of(i, x.ndim) for i in axes]
    return moved(transpose_op, x, axes=tuple(axes))
