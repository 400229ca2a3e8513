"""`numpy.pad` in all its modes.

Modes that copy elements are gathers by the indices that NumPy itself pads an `arange` with. An odd reflection
is a gather too, of 2·edge - x. The cotangent of the border goes to the elements that it was made of.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from wengert.core.tensor import Array, Tensor, constant
from wengert.numpy.arrays import astype, axis_of, lift
from wengert.numpy.creation import linspace
from wengert.numpy.layout import gathered, own
from wengert.numpy.registry import NAMES
from wengert.numpy.shaping import moveaxis
from wengert.numpy.traced import when_traced
from wengert.ops.basis import add, broadcast_to, reshape, scale
from wengert.ops.elementwise import sub
from wengert.ops.index import index
from wengert.ops.shape import concatenate, pad_constant

Pair = tuple[Any, Any]
Border = Callable[..., tuple[Array, Array]]

OPTIONS = {
    "constant": {"constant_values"},
    "edge": set(),
    "empty": set(),
    "wrap": set(),
    "linear_ramp": {"end_values"},
    "maximum": {"stat_length"},
    "mean": {"stat_length"},
    "median": {"stat_length"},
    "minimum": {"stat_length"},
    "reflect": {"reflect_type"},
    "symmetric": {"reflect_type"},
}


@when_traced("pad")
def pad(array: Any, pad_width: Any, mode: Any = "constant", **kwargs: Any) -> Array:
    """`numpy.pad`.

    mode="empty" pads with zeros. A function as mode is called on every line of a padded cell, as NumPy does.
    """
    x = lift(array)
    widths = _widths(pad_width, x.ndim)
    if callable(mode):
        return _by_function(x, widths, mode, kwargs)
    if mode not in OPTIONS:
        raise ValueError(f"mode '{mode}' is not supported")
    if unknown := set(kwargs) - OPTIONS[mode]:
        raise ValueError(f"unsupported keyword arguments for mode '{mode}': {unknown}")
    if mode in ("constant", "empty"):
        return _constant(x, widths, kwargs.get("constant_values", 0))
    for axis, width in enumerate(widths):
        if width != (0, 0):
            if x.shape[axis] == 0:
                raise ValueError(f"can't extend empty axis {axis} using modes other than 'constant' or 'empty'")
            x = _along(x, axis, width, mode, kwargs)
    return own(x)


def _widths(pad_width: Any, ndim: int) -> list[tuple[int, int]]:
    if isinstance(pad_width, dict):
        pairs = np.zeros((ndim, 2), int)
        for axis, width in pad_width.items():
            pairs[axis_of(axis, ndim)] = width
    else:
        pairs = np.asarray(pad_width)
        if pairs.dtype.kind not in "iu":
            raise TypeError("`pad_width` must be of integral type.")
        pairs = np.broadcast_to(pairs, (ndim, 2))
    if (pairs < 0).any():
        raise ValueError("index can't contain negative values")
    return [(int(lo), int(hi)) for lo, hi in pairs]


def _pairs(values: Any, ndim: int) -> list[Pair]:
    """A value before and after for each axis, from a scalar, a pair, or a pair per axis (Tensors among them)."""
    given = lift(values)
    whole = broadcast_to(given, shape=(ndim, 2))
    if type(whole) is Tensor:
        return [(index(whole, spec=(i, 0)), index(whole, spec=(i, 1))) for i in range(ndim)]
    return [(lo, hi) for lo, hi in np.asarray(whole)]


def _along(x: Array, axis: int, width: tuple[int, int], mode: str, options: dict[str, Any]) -> Array:
    """`x` padded on one axis."""
    match mode:
        case "linear_ramp":
            lo, hi = _pairs(options.get("end_values", 0), x.ndim)[axis]
            return _joined(_ramp(x, axis, 0, width[0], lo), x, _ramp(x, axis, -1, width[1], hi), axis)
        case "maximum" | "minimum" | "mean" | "median":
            lo, hi = _statistics(x, axis, mode, options.get("stat_length"))
            return _joined(_repeated(lo, axis, width[0]), x, _repeated(hi, axis, width[1]), axis)
        case "reflect" | "symmetric" if options.get("reflect_type", "even") == "odd" and _reflects(x, axis, mode):
            return _odd(x, axis, width, mode == "symmetric")
    if mode in ("reflect", "symmetric") and options.get("reflect_type", "even") not in ("even", "odd"):
        raise ValueError("reflect_type must be 'even' or 'odd'")
    return gathered(x, np.pad(np.arange(x.shape[axis]), width, mode=mode), axis)  # type: ignore[call-overload]


def _reflects(x: Array, axis: int, mode: str) -> bool:
    return mode == "symmetric" or x.shape[axis] > 1  # NumPy reflects a single element as its edge


def _shown(x: Array, axis: int, part: slice) -> Array:
    return index(x, spec=(*(slice(None),) * axis, part))


def _joined(before: Array, x: Array, after: Array, axis: int) -> Array:
    parts = [astype(p, x.dtype) for p in (before, x, after)]
    return concatenate(*parts, axis=axis, sizes=tuple(p.shape[axis] for p in parts))


def _repeated(edge: Array, axis: int, width: int) -> Array:
    return broadcast_to(edge, shape=(*edge.shape[:axis], width, *edge.shape[axis + 1 :]))


def _constant(x: Array, widths: list[tuple[int, int]], values: Any) -> Array:
    pairs = _pairs(values, x.ndim)
    flat = [v for pair in pairs for v in pair]
    if not any(type(v) is Tensor for v in flat) and len({complex(v) for v in flat}) <= 1:
        value = np.asarray(flat[0] if flat else 0).astype(x.dtype)[()]
        return pad_constant(x, widths=tuple(widths), value=value)
    for axis, (width, pair) in enumerate(zip(widths, pairs, strict=True)):
        if width != (0, 0):
            before, after = (
                broadcast_to(v, shape=(*x.shape[:axis], w, *x.shape[axis + 1 :]))
                for v, w in zip(pair, width, strict=True)
            )
            x = _joined(before, x, after, axis)
    return own(x)


def _ramp(x: Array, axis: int, edge: int, width: int, end: Any) -> Array:
    """From `end`, outermost, to the edge, which is left out."""
    edge_values = _shown(x, axis, slice(0, 1) if edge == 0 else slice(x.shape[axis] - 1, None))
    line = reshape(edge_values, shape=(*x.shape[:axis], *x.shape[axis + 1 :]))
    ramp = linspace(end, line, num=width, endpoint=False, dtype=x.dtype, axis=axis)
    return ramp if edge == 0 else _shown(ramp, axis, slice(None, None, -1))


def _statistics(x: Array, axis: int, mode: str, lengths: Any) -> tuple[Array, Array]:
    statistic = NAMES[{"maximum": "max", "minimum": "min"}.get(mode, mode)].function
    n = x.shape[axis]
    if lengths is None:
        before = after = n
    else:
        before, after = (int(v) for v in np.broadcast_to(lengths, (x.ndim, 2))[axis])
        if min(before, after) < 0:
            raise ValueError("index can't contain negative values")
        before, after = min(before, n), min(after, n)
        if min(before, after) == 0 and mode in ("maximum", "minimum"):
            raise ValueError("stat_length of 0 yields no value for padding")
    lo = statistic(_shown(x, axis, slice(0, before)), axis=axis, keepdims=True)
    if before == after == n:
        return lo, lo
    return lo, statistic(_shown(x, axis, slice(n - after, n)), axis=axis, keepdims=True)


def _odd(x: Array, axis: int, width: tuple[int, int], symmetric: bool) -> Array:
    """Odd reflection at the edges, any number of times: f(edge ± i) = 2 f(edge) - f(edge ∓ i).

    With period p (n elements, or n - 1 where the edge is not repeated), two reflections add 2 (last - first).
    """
    n = x.shape[axis]
    period = n if symmetric else n - 1
    turns, at = np.divmod(np.arange(-width[0], n + width[1]), 2 * period)
    mirrored = at >= n
    at = np.where(mirrored, 2 * n - 1 - at if symmetric else 2 * period - at, at)
    sign = np.where(mirrored, -1, 1)
    shape = [1] * x.ndim
    shape[axis] = at.size

    def times(line: Array, counts: np.ndarray) -> Array:
        return scale(line, counts.reshape(shape).astype(x.dtype))

    first, last = _shown(x, axis, slice(0, 1)), _shown(x, axis, slice(n - 1, n))
    edges = sub(times(last, 2 * (turns + mirrored)), times(first, 2 * turns))
    return add(times(gathered(x, at, axis), sign), edges)


def _by_function(x: Array, widths: list[tuple[int, int]], function: Any, options: dict[str, Any]) -> Array:
    """NumPy's protocol: `function(line, width, axis, kwargs)` changes each line of the padded array in place."""
    padded = own(pad_constant(x, widths=tuple(widths)))
    if type(padded) is not Tensor:
        padded = constant(padded)
    for axis, width in enumerate(widths):
        lines = moveaxis(padded, axis, -1)
        for at in np.ndindex(*lines.shape[:-1]):
            function(lines[at] if at else lines[:], width, axis, options)
    return padded
