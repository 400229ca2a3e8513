"""Sums and what is made of them."""

from __future__ import annotations

from typing import Any

from wengert.core.tensor import Array
from wengert.numpy.arrays import astype, axes_of, kept, lift, writes_out
from wengert.numpy.registry import implements
from wengert.numpy.ufuncs import add
from wengert.ops.basis import reduce_sum
from wengert.ops.elementwise import div
from wengert.ops.select import where as select


@implements("sum")
def sum(
    a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False, initial: Any = 0, where: Any = True
) -> Array:
    """`numpy.sum`."""
    x = lift(a)
    if dtype is not None:
        x = astype(x, dtype)
    if where is not True:
        x = select(where, x, 0.0)
    axes = axes_of(axis, x.ndim)
    total = reduce_sum(x, axes=axes)
    if keepdims:
        total = kept(total, x.shape, axes)
    if not (isinstance(initial, (int, float)) and initial == 0):
        total = total + initial
    return writes_out(total, out)


@add.method
def reduce(
    array: Any, axis: Any = 0, dtype: Any = None, out: Any = None, keepdims: bool = False, initial: Any = 0, where: Any = True
) -> Array:
    """`numpy.add.reduce`."""
    return sum(array, axis, dtype, out, keepdims, initial, where)


@implements("mean")
def mean(a: Any, axis: Any = None, dtype: Any = None, out: Any = None, keepdims: bool = False, *, where: Any = True) -> Array:
    """`numpy.mean`."""
    x = lift(a)
    if dtype is not None:
        x = astype(x, dtype)
    axes = axes_of(axis, x.ndim)
    count: Any = 1
    for i in axes:
        count *= x.shape[i]
    if where is not True:
        count = sum(select(where, x * 0 + 1, 0.0), axis=axes, keepdims=keepdims)
    return writes_out(div(sum(x, axis=axes, keepdims=keepdims, where=where), count), out)
