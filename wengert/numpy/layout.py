"""The order of an array's elements in memory. It decides what NumPy makes a view and what a copy of.

A Tensor's value is laid out as NumPy would lay out the array it stands for, so that `ravel` or
`reshape` gives a view, through which writes reach the base, exactly where NumPy gives one.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from wengert.core.abstract import Abstract, share_memory
from wengert.core.tensor import CONSTANTS, Array, Tensor, held, is_scalar, raw, view
from wengert.ops.basis import reshape
from wengert.ops.index import ARRAY, index
from wengert.ops.shape import contiguous, in_order, is_compact, laid_out, memory_order


def example(x: Array) -> np.ndarray:
    """The ndarray that `x` is; under vmap, one example. For its flags and as a prototype, not for its values."""
    bottom = raw(x)
    bottom = bottom.prototype() if type(bottom) is Abstract else np.asarray(bottom)
    lead = bottom.ndim - x.ndim
    return bottom[(0,) * lead + (...,)] if 0 not in bottom.shape[:lead] else np.empty(bottom.shape[lead:], bottom.dtype)


def strides(x: Array) -> tuple[int, ...]:
    """The strides of `x`; under vmap, of one example."""
    bottom = raw(x)
    return bottom.strides[bottom.ndim - x.ndim :]


def is_fortran(x: Array) -> bool:
    """Whether `x` is contiguous in Fortran's order and not in C's: what order="A" asks."""
    return np.isfortran(example(x))


def is_c(x: Array) -> bool:
    """Whether `x` is contiguous in C's order."""
    return example(x).flags.c_contiguous


def axes_of_order(x: Array, order: str | None) -> tuple[int, ...]:
    """The axes of `x`, outermost first, in the order that NumPy's order="C", "F", "A" or "K" names."""
    n = x.ndim
    match order:
        case "C":
            return tuple(range(n))
        case "F":
            return tuple(range(n))[::-1]
        case "A":
            return axes_of_order(x, "F" if is_fortran(x) else "C")
        case "K" | None:
            return tuple(memory_order(strides(x)))
    raise ValueError(f"order must be one of 'C', 'F', 'A', or 'K' (got {order!r})")


def reading_axes(x: Array, order: str | None) -> tuple[int, ...]:
    """As `axes_of_order`, for reading elements: an axis of stride 0 keeps its place (NumPy's iterator)."""
    if order not in ("K", None):
        return axes_of_order(x, order)
    steps = strides(x)

    def compare(i: int, j: int) -> int:
        a, b = abs(steps[i]), abs(steps[j])
        return i - j if a == b or not a or not b else b - a

    return tuple(sorted(range(x.ndim), key=functools.cmp_to_key(compare)))


def arranged(x: Array, order: str | None) -> Array:
    """`x` in a memory order, without gaps: itself where it is so already."""
    axes = axes_of_order(x, order)
    return x if is_compact(x, axes) else in_order(x, axes)


def copied(x: Array, order: str | None = "K") -> Array:
    """A cell of its own with the value and derivative of `x`, in memory as NumPy's copy would be."""
    if type(x) is not Tensor:
        return np.array(x, order=order, copy=True)  # type: ignore[call-overload]
    x._sync()
    if x._trace is CONSTANTS:
        return Tensor(np.array(x._value, order=order, copy=True), None, CONSTANTS)  # type: ignore[call-overload]
    made = arranged(x, order)
    copy = made._trace.copied(made) if share_memory(raw(made), raw(x)) else own(made)
    return copy if x.ndim or is_scalar(x) else as_array(copy)


def gathered(x: Array, at: Array, axis: int, unique: bool = False) -> Array:
    """The elements at `at` along an axis, in C's order as `numpy.take` has them (an index gives another order)."""
    return arranged(index(x, at, spec=(*(slice(None),) * axis, ARRAY), unique=unique), "C")


def own(x: Array) -> Array:
    """`x` in a cell that nothing else writes to."""
    return held(x)


def as_array(x: Any) -> Array:
    """A scalar as an array without axes, which can be written in place; an array as it is."""
    if type(x) is not Tensor:
        return np.asarray(x)
    if not is_scalar(x):
        return x
    x = own(contiguous(x))
    return view(reshape, own(reshape(x, shape=(1,))), shape=()) if is_scalar(x) else x  # under vmap a view is an array


def conformed(new: Array, old: np.ndarray) -> Array:
    """What is written over a cell, in memory as the cell's value `old` was."""
    x = laid_out(new, old)
    return x if x.ndim else as_array(x)
