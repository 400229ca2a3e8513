"""NumPy's objects to be indexed: `r_`, `c_`, `mgrid`, `ogrid`, `s_`, `index_exp`, `ix_`."""

from __future__ import annotations

from typing import Any

import numpy as np

from wengert.core.tensor import Array, Tensor
from wengert.numpy.arrays import astype, has_tensor, lift, result_type
from wengert.numpy.creation import arange, linspace
from wengert.numpy.joining import concatenate
from wengert.numpy.layout import as_array
from wengert.numpy.registry import constant, enter
from wengert.numpy.shaping import moved
from wengert.numpy.values import concrete
from wengert.ops import basis

NUMBER = (bool, int, float, complex, np.generic)


class AxisConcatenator:
    """`numpy.r_` and `numpy.c_`: concatenation between brackets.

    Each entry is an array, a number, or a slice: `start:stop:step` is an arange, `start:stop:5j` a linspace.
    A leading string "axis,ndmin,trans1d" sets the axis, the least rank, and where the axes of smaller arrays go.
    """

    def __init__(self, original: Any, axis: int = 0, ndmin: int = 1, trans1d: int = -1) -> None:
        self.original = original
        self.settings = axis, ndmin, trans1d

    def __getitem__(self, key: Any) -> Array:
        entries = list(key) if isinstance(key, tuple) else [key]
        if not any(map(_traced, entries)):
            return self.original[key]
        axis, ndmin, trans1d = self.settings
        if entries and isinstance(entries[0], str):
            axis, ndmin, trans1d = _directive(entries.pop(0), self.settings)
        items = [_entry(e, ndmin, trans1d) for e in entries]
        dtype = result_type(*(e if isinstance(e, NUMBER) else x for e, x in zip(entries, items, strict=True)))
        return concatenate([astype(x, dtype) for x in items], axis)

    def __len__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return repr(self.original)


def _traced(entry: Any) -> bool:
    return has_tensor([entry.start, entry.stop, entry.step] if isinstance(entry, slice) else entry)


def _directive(text: str, settings: tuple[int, int, int]) -> tuple[int, int, int]:
    try:
        given = [int(part) for part in text.split(",")]
    except ValueError:
        given = []
    if not 1 <= len(given) <= 3:
        raise ValueError(f"unknown special directive {text!r} ('r' and 'c' make matrices, which are not traced)")
    return (*given, *settings[len(given) :])  # type: ignore[return-value]


def _entry(entry: Any, ndmin: int, trans1d: int) -> Array:
    """One entry as an array of rank `ndmin` at least."""
    if isinstance(entry, slice):
        x, number = _ranged(entry), False
    elif isinstance(entry, str):
        raise ValueError("special directives must be the first entry.")
    else:
        x, number = as_array(lift(entry)), isinstance(entry, NUMBER)
    missing = ndmin - x.ndim
    if missing <= 0:
        return x
    ndim = x.ndim
    x = basis.reshape(x, shape=(1,) * missing + tuple(x.shape))
    if number or trans1d == -1:
        return x
    axes = list(range(ndmin))
    if isinstance(entry, slice):
        axes[-1], axes[trans1d] = axes[trans1d], axes[-1]
    else:
        first = trans1d if trans1d >= 0 else trans1d + missing + 1
        axes = axes[:first] + axes[missing:] + axes[first:missing]
    assert len(axes) == ndim + missing
    return basis.transpose(x, axes=tuple(axes))


def _ranged(entry: slice) -> Array:
    start = 0 if entry.start is None else entry.start
    step = 1 if entry.step is None else entry.step
    if isinstance(step, (complex, np.complexfloating)):
        return linspace(start, entry.stop, num=int(abs(step)))
    return arange(start, entry.stop, step)


class Grid:
    """`numpy.mgrid` and `numpy.ogrid`, on bounds that carry no derivative."""

    def __init__(self, original: Any) -> None:
        self.original = original

    def __getitem__(self, key: Any) -> Any:
        return self.original[tuple(map(_plain, key)) if isinstance(key, tuple) else _plain(key)]

    def __len__(self) -> int:
        return 0

    def __repr__(self) -> str:
        return repr(self.original)


def _plain(entry: Any) -> Any:
    """A slice whose bounds are numbers; raises where a bound carries a derivative."""
    if not isinstance(entry, slice):
        return entry
    return slice(*(float(v) if has_tensor(v) else v for v in (entry.start, entry.stop, entry.step)))


def _ix(*args: Any) -> tuple[Array, ...]:
    """`numpy.ix_`."""
    out = []
    for i, arg in enumerate(args):
        x = lift(arg)
        if x.ndim != 1:
            raise ValueError("Cross index must be 1 dimensional")
        if x.dtype == bool:
            (x,) = np.nonzero(concrete(x) if type(x) is Tensor else x)
        if x.size == 0 and type(x) is not Tensor:
            x = x.astype(np.intp)
        shape = (1,) * i + (x.size,) + (1,) * (len(args) - i - 1)
        out.append(moved(basis.reshape, x, shape=shape))
    return tuple(out)


r_ = AxisConcatenator(np.r_)
c_ = AxisConcatenator(np.c_, -1, 2, 0)
enter("r_", "differentiable", r_)
enter("c_", "differentiable", c_)
enter("mgrid", "constant", Grid(np.mgrid), "a grid of numbers; for traced bounds use linspace and meshgrid")
enter("ogrid", "constant", Grid(np.ogrid), "a grid of numbers; for traced bounds use linspace and meshgrid")
enter("s_", "constant", np.s_, "it makes a key")
enter("index_exp", "constant", np.index_exp, "it makes a key")
constant("ix_", "it makes indices, and only reshapes what it is given", _ix)
