"""Functions that move elements, or show them in another shape: views wherever NumPy makes views."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.core.abstract import share_memory
from wengert.core.errors import NotDifferentiable
from wengert.core.source import describe, here
from wengert.core.tensor import Array, Tensor, raw, view
from wengert.numpy.arrays import astype, axes_of, axis_of, has_tensor, lift, reduced_axes, shape_of, writes_out
from wengert.numpy.layout import arranged, as_array, copied, is_c, is_fortran, own, reading_axes
from wengert.numpy.registry import constant, refuse
from wengert.numpy.traced import when_traced, write_elements
from wengert.numpy.values import concrete
from wengert.ops import basis
from wengert.ops import shape as ops
from wengert.ops.index import ARRAY, index, index_put
from wengert.ops.select import where as select

# ── shapes ────────────────────────────────────────────────────────────────────


def moved(op: Any, x: Array, **params: Any) -> Array:
    """A movement op, as a view where NumPy makes one."""
    return view(op, x, **params) if type(x) is Tensor else op(x, **params)


def sizes_of(shape: Any) -> tuple[int, ...]:
    """A shape argument: an int, or any sequence of ints."""
    if isinstance(shape, (int, np.integer)):
        return (int(shape),)
    return tuple(operator.index(d) for d in shape)


@when_traced("reshape")
def reshape(a: Any, /, shape: Any = None, order: str = "C", *, newshape: Any = None, copy: Any = None) -> Array:
    """`numpy.reshape`."""
    x = lift(a)
    shape = shape_of(sizes_of(newshape if shape is None else shape), x.size)
    if order == "A":
        order = "F" if is_fortran(x) else "C"
    if order not in ("C", "F"):
        raise ValueError(f"order must be one of 'C', 'F', or 'A' (got {order!r})")
    if copy:
        x = copied(x, order)
    out = moved(basis.reshape, x, shape=shape) if order == "C" else _reshape_fortran(x, shape)
    if copy is False and not share_memory(raw(out), raw(x)):
        raise ValueError("Unable to avoid creating a copy while reshaping.")
    return own(out) if copy else out


def _reshape_fortran(x: Array, shape: tuple[int, ...]) -> Array:
    return transpose(moved(basis.reshape, transpose(x), shape=shape[::-1]))


@when_traced("ravel")
def ravel(a: Any, order: str = "C") -> Array:
    """`numpy.ravel`: a view where the elements lie in that order already."""
    x = as_array(lift(a))
    axes = reading_axes(x, order)
    if axes != tuple(range(x.ndim)):
        x = moved(basis.transpose, x, axes=axes)
    if is_c(x):
        return moved(basis.reshape, x, shape=(x.size,))
    return own(basis.reshape(arranged(x, "C"), shape=(x.size,)))


@when_traced("squeeze")
def squeeze(a: Any, axis: Any = None) -> Array:
    """`numpy.squeeze`."""
    x = lift(a)
    axes = [i for i, d in enumerate(x.shape) if d == 1] if axis is None else reduced_axes(axis, x.ndim)
    if any(x.shape[i] != 1 for i in axes):
        raise ValueError("cannot select an axis to squeeze out which has size not equal to one")
    return moved(basis.reshape, x, shape=tuple(d for i, d in enumerate(x.shape) if i not in axes))


@when_traced("expand_dims")
def expand_dims(a: Any, axis: Any) -> Array:
    """`numpy.expand_dims`."""
    x = lift(a)
    axes = axis if isinstance(axis, (tuple, list)) else (axis,)
    ndim = x.ndim + len(axes)
    new = axes_of(tuple(axes), ndim)
    dims = iter(x.shape)
    return moved(basis.reshape, x, shape=tuple(1 if i in new else next(dims) for i in range(ndim)))


def _at_least(name: str, ndim: int, shape: Any) -> Any:
    """`atleast_1d` and its kin; `shape(dims)` is the new shape of a smaller array."""

    @when_traced(name)
    def function(*arys: Any) -> Any:
        arrays = [as_array(lift(a)) for a in arys]
        out = [x if x.ndim >= ndim else moved(basis.reshape, x, shape=shape(x.shape)) for x in arrays]
        return out[0] if len(out) == 1 else tuple(out)

    function.__name__, function.__doc__ = name, f"`numpy.{name}`."
    return function


atleast_1d = _at_least("atleast_1d", 1, lambda d: (1,))
atleast_2d = _at_least("atleast_2d", 2, lambda d: (1, *d) if d else (1, 1))
atleast_3d = _at_least("atleast_3d", 3, lambda d: {0: (1, 1, 1), 1: (1, *d, 1), 2: (*d, 1)}[len(d)])


@when_traced("broadcast_to")
def broadcast_to(array: Any, shape: Any, subok: bool = False) -> Array:
    """`numpy.broadcast_to`: a read-only view."""
    return moved(basis.broadcast_to, as_array(lift(array)), shape=sizes_of(shape))


@when_traced("broadcast_arrays")
def broadcast_arrays(*args: Any, subok: bool = False) -> tuple[Array, ...]:
    """`numpy.broadcast_arrays`; what it broadcasts is read-only."""
    arrays = [as_array(lift(a)) for a in args]
    shape = np.broadcast_shapes(*(x.shape for x in arrays))
    return tuple(x if x.shape == shape else moved(basis.broadcast_to, x, shape=shape) for x in arrays)


def _size(a: Any, axis: Any = None) -> int:
    x = lift(a)
    size = 1
    for i in axes_of(axis, x.ndim):
        size *= x.shape[i]
    return size


constant("shape", "a shape is made of integers", lambda a: tuple(lift(a).shape))
constant("ndim", "a count", lambda a: lift(a).ndim)
constant("size", "a count", _size)
constant("broadcast_shapes", "shapes are made of integers")

# ── order of axes and elements ────────────────────────────────────────────────


@when_traced("transpose", "permute_dims")
def transpose(a: Any, axes: Any = None) -> Array:
    """`numpy.transpose`."""
    x = lift(a)
    axes = range(x.ndim)[::-1] if axes is None else [axis_of(i, x.ndim) for i in axes]
    return moved(basis.transpose, x, axes=tuple(axes))


@when_traced("matrix_transpose")
def matrix_transpose(x: Any, /) -> Array:
    """`numpy.matrix_transpose`: the last two axes swapped."""
    x = lift(x)
    if x.ndim < 2:
        raise ValueError(f"Input array must be at least 2-dimensional, but it is {x.ndim}")
    return swapaxes(x, -1, -2)


@when_traced("swapaxes")
def swapaxes(a: Any, axis1: int, axis2: int) -> Array:
    """`numpy.swapaxes`."""
    x = lift(a)
    axes = list(range(x.ndim))
    i, j = axis_of(axis1, x.ndim), axis_of(axis2, x.ndim)
    axes[i], axes[j] = axes[j], axes[i]
    return moved(basis.transpose, x, axes=tuple(axes))


def _in_given_order(axis: Any, ndim: int, what: str) -> list[int]:
    axes = [axis_of(i, ndim) for i in (axis if isinstance(axis, (tuple, list)) else (axis,))]
    if len(set(axes)) != len(axes):
        raise ValueError(f"repeated axis in `{what}` argument")
    return axes


@when_traced("moveaxis")
def moveaxis(a: Any, source: Any, destination: Any) -> Array:
    """`numpy.moveaxis`."""
    x = lift(a)
    here_, there = _in_given_order(source, x.ndim, "source"), _in_given_order(destination, x.ndim, "destination")
    if len(here_) != len(there):
        raise ValueError("`source` and `destination` arguments must have the same number of elements")
    axes = [i for i in range(x.ndim) if i not in here_]
    for target, axis in sorted(zip(there, here_, strict=True)):
        axes.insert(target, axis)
    return moved(basis.transpose, x, axes=tuple(axes))


@when_traced("rollaxis")
def rollaxis(a: Any, axis: int, start: int = 0) -> Array:
    """`numpy.rollaxis`."""
    x = lift(a)
    axis = axis_of(axis, x.ndim)
    start = axis_of(start, x.ndim + 1) if start >= 0 else start + x.ndim
    axes = [i for i in range(x.ndim) if i != axis]
    axes.insert(start - (axis < start), axis)
    return moved(basis.transpose, x, axes=tuple(axes))


@when_traced("flip")
def flip(m: Any, axis: Any = None) -> Array:
    """`numpy.flip`."""
    x = lift(m)
    axes = axes_of(axis, x.ndim)
    if not x.ndim:
        return index(x, spec=())  # NumPy's m[()], a scalar
    return moved(ops.flip, x, axes=axes)


@when_traced("fliplr")
def fliplr(m: Any) -> Array:
    """`numpy.fliplr`."""
    x = lift(m)
    if x.ndim < 2:
        raise ValueError("Input must be >= 2-d.")
    return flip(x, 1)


@when_traced("flipud")
def flipud(m: Any) -> Array:
    """`numpy.flipud`."""
    x = lift(m)
    if x.ndim < 1:
        raise ValueError("Input must be >= 1-d.")
    return flip(x, 0)


@when_traced("rot90")
def rot90(m: Any, k: int = 1, axes: Sequence[int] = (0, 1)) -> Array:
    """`numpy.rot90`."""
    x = lift(m)
    first, second = (axis_of(i, x.ndim) for i in axes)
    if first == second:
        raise ValueError("Axes must be different.")
    match k % 4:
        case 0:
            return moved(basis.reshape, x, shape=x.shape)
        case 1:
            return swapaxes(flip(x, second), first, second)
        case 2:
            return flip(x, (first, second))
        case _:
            return flip(swapaxes(x, first, second), second)


@when_traced("roll")
def roll(a: Any, shift: Any, axis: Any = None) -> Array:
    """`numpy.roll`."""
    x = lift(a)
    if axis is None:
        return as_array(basis.reshape(roll(basis.reshape(x, shape=(x.size,)), shift, 0), shape=x.shape))
    pairs = np.broadcast(concrete(shift) if type(shift) is Tensor else shift, axis)
    if pairs.ndim > 1:
        raise ValueError("'shift' and 'axis' should be scalars or 1D sequences")
    moves = [(int(by), axis_of(int(i), x.ndim)) for by, i in pairs]
    return ops.roll(x, shifts=tuple(by for by, _ in moves), axes=tuple(i for _, i in moves))


# ── diagonals and triangles ───────────────────────────────────────────────────


@when_traced("diagonal")
def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Array:
    """`numpy.diagonal`: a read-only view."""
    x = lift(a)
    if x.ndim < 2:
        raise ValueError("diag requires an array of at least two dimensions")
    i, j = axis_of(axis1, x.ndim), axis_of(axis2, x.ndim)
    if i == j:
        raise ValueError("axis1 and axis2 cannot be the same")
    return moved(ops.diagonal, x, offset=operator.index(offset), axis1=i, axis2=j)


@when_traced("diag")
def diag(v: Any, k: int = 0) -> Array:
    """`numpy.diag`."""
    x = lift(v)
    if x.ndim == 2:
        return diagonal(x, k)
    if x.ndim != 1:
        raise ValueError("Input must be 1- or 2-d.")
    n = x.size + abs(k)
    return ops.diagonal_embed(x, offset=k, axis1=0, axis2=1, shape=(n, n))


@when_traced("diagflat")
def diagflat(v: Any, k: int = 0) -> Array:
    """`numpy.diagflat`."""
    return diag(ravel(v), k)


@when_traced("trace")
def trace(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: Any = None) -> Array:
    """`numpy.trace`."""
    x = lift(a)
    if dtype is not None:
        x = astype(x, dtype)
    on = diagonal(x, offset, axis1, axis2)
    return writes_out(basis.reduce_sum(on, axes=(on.ndim - 1,)), out)


@when_traced("tril")
def tril(m: Any, k: int = 0) -> Array:
    """`numpy.tril`."""
    x = lift(m)
    return select(np.tri(*x.shape[-2:], k=k, dtype=bool), x, np.zeros((), x.dtype))


@when_traced("triu")
def triu(m: Any, k: int = 0) -> Array:
    """`numpy.triu`."""
    x = lift(m)
    return select(np.tri(*x.shape[-2:], k=k - 1, dtype=bool), np.zeros((), x.dtype), x)


@when_traced("fill_diagonal")
def fill_diagonal(a: Any, val: Any, wrap: bool = False) -> None:
    """`numpy.fill_diagonal`, in place."""
    shape = a.shape
    if len(shape) < 2:
        raise ValueError("array must be at least 2-d")
    if len(shape) > 2 and len(set(shape)) > 1:
        raise ValueError("All dimensions of input must be of equal length")
    step = 1 + sum(int(np.prod(shape[i + 1 :])) for i in range(len(shape) - 1)) if len(shape) > 2 else shape[1] + 1
    end = None if wrap or len(shape) > 2 else shape[1] * shape[1]
    where = slice(None, end, step)
    values = ravel(lift(val)) if has_tensor(val) else np.ravel(val)
    n = len(range(*where.indices(a.size)))
    values = values if values.size == 1 else index(values, np.arange(n) % values.size, spec=(ARRAY,))

    def new(x: Array) -> Array:
        flat = basis.reshape(x, shape=(x.size,))
        return basis.reshape(index_put(flat, values, spec=(where,)), shape=x.shape)

    write_elements("fill_diagonal", a, new, values)


@when_traced("copyto")
def copyto(dst: Any, src: Any, casting: str = "same_kind", where: Any = True) -> None:
    """`numpy.copyto`, in place."""
    value = lift(src)
    weak = isinstance(src, (bool, int, float, complex))
    if not weak and not np.can_cast(value.dtype, dst.dtype, casting):  # type: ignore[arg-type]
        raise TypeError(
            f"Cannot cast array data from {value.dtype!r} to {dst.dtype!r} according to the rule '{casting}'"
        )

    def new(x: Array) -> Array:
        whole = index_put(x, value, spec=(Ellipsis,))
        return whole if where is True else select(lift(where), whole, x)

    write_elements("copyto", dst, new, value)


# ── windows ───────────────────────────────────────────────────────────────────


@when_traced("lib.stride_tricks.sliding_window_view")
def sliding_window_view(
    x: Any, window_shape: Any, axis: Any = None, *, subok: bool = False, writeable: bool = False
) -> Array:
    """`numpy.lib.stride_tricks.sliding_window_view`, read-only."""
    x = lift(x)
    sizes = sizes_of(window_shape)
    if writeable:
        raise NotDifferentiable(
            "sliding_window_view",
            got="writeable=True on a Tensor: one write would reach several windows",
            want="a read-only view",
            fix="write into the array itself, then take its windows",
            at=describe(here(2)),
        )
    if any(size < 0 for size in sizes):
        raise ValueError("`window_shape` cannot contain negative values")
    if axis is None:
        axes = tuple(range(x.ndim))
    else:
        axes = tuple(axis_of(i, x.ndim) for i in (axis if isinstance(axis, (tuple, list)) else (axis,)))
    if len(sizes) != len(axes):
        raise ValueError(f"window_shape {sizes} and axis {axes} must have the same length")
    return moved(ops.windows, x, sizes=sizes, axes=axes)


refuse(
    "lib.stride_tricks.as_strided",
    "it reads memory by address, which a traced array does not promise",
    "use sliding_window_view, reshape, broadcast_to, or indexing",
)
