"""Pooling over windows of the last one, two or three axes; leading axes are free: (N, C, *S), (C, *S) or (*S).

Maxima are routed to the first of equal elements, as in PyTorch. Padding is -inf for maxima, 0 for averages.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from wengert.core.errors import ShapeError
from wengert.core.source import describe, here
from wengert.core.tensor import Array
from wengert.nn.convolution import Ints, Pads, check_fit, pads
from wengert.nn.operands import inexact, repeated
from wengert.ops.basis import transpose
from wengert.ops.contract import matmul
from wengert.ops.conv import Dims, Padding, positions
from wengert.ops.elementwise import div, pow_
from wengert.ops.index import ARRAY, index
from wengert.ops.pool import window_max, window_sum


def _geometry(
    name: str, n: int, x: Any, window: Ints, stride: Ints, padding: Pads, dilation: Ints, ceil_mode: bool
) -> tuple[Array, Padding, dict[str, Any]]:
    """The operand, the padding asked for, and the parameters of a window op (whose padding may be more: ceil_mode)."""
    x = inexact(x)
    if x.ndim < n:
        raise ShapeError(
            name, got=f"shape {tuple(x.shape)}", want=f"at least {n} axes: (…, {n} spatial axes)", at=describe(here(2))
        )
    window = repeated(window, n, "window")
    strides = window if stride is None else repeated(stride, n, "stride")
    steps = repeated(dilation, n, "dilation")
    size = x.shape[x.ndim - n :]
    given = pads(padding, size, window, strides, steps)
    used = _ceiled(size, window, strides, given, steps) if ceil_mode else given
    check_fit(name, size, window, strides, used, steps)
    return x, given, {"window": window, "strides": strides, "padding": used, "dilation": steps}


def _ceiled(size: Dims, window: Dims, strides: Dims, padding: Padding, dilation: Dims) -> Padding:
    """More padding behind, so that a last window fits that starts within the operand or its low padding."""
    more = []
    for n, k, s, (lo, hi), d in zip(size, window, strides, padding, dilation, strict=True):
        reach = d * (k - 1) + 1
        places = -(-(n + lo + hi - reach) // s) + 1
        if (places - 1) * s >= n + lo:
            places -= 1
        more.append((lo, max(hi, (places - 1) * s + reach - n - lo)))
    return tuple(more)


# ── maximum ───────────────────────────────────────────────────────────────────


def _max_pool(
    n: int, x: Any, window: Ints, stride: Ints, padding: Pads, dilation: Ints, ceil_mode: bool, name: str
) -> Array:
    x, _, params = _geometry(name, n, x, window, stride, padding, dilation, ceil_mode)
    return window_max(x, **params)[0]


def max_pool1d(
    x: Any, window: Ints, stride: Ints = None, padding: Pads = 0, dilation: Ints = 1, ceil_mode: bool = False
) -> Array:
    """The maximum over windows of the last axis.

    Parameters
    ----------
    window : length, or one for each spatial axis
    stride : default: the window
    padding : as in `conv1d`
    ceil_mode : also take a last window that is cut off by the end
    """
    return _max_pool(1, x, window, stride, padding, dilation, ceil_mode, "max_pool1d")


def max_pool2d(
    x: Any, window: Ints, stride: Ints = None, padding: Pads = 0, dilation: Ints = 1, ceil_mode: bool = False
) -> Array:
    """As `max_pool1d`, over the last two axes."""
    return _max_pool(2, x, window, stride, padding, dilation, ceil_mode, "max_pool2d")


def max_pool3d(
    x: Any, window: Ints, stride: Ints = None, padding: Pads = 0, dilation: Ints = 1, ceil_mode: bool = False
) -> Array:
    """As `max_pool1d`, over the last three axes."""
    return _max_pool(3, x, window, stride, padding, dilation, ceil_mode, "max_pool3d")


# ── average ───────────────────────────────────────────────────────────────────


def _counts(size: Dims, given: Padding, params: dict[str, Any], include: bool) -> np.ndarray:
    """How many elements each window averages: those of the operand, and with `include` of the padding asked for."""
    counts = np.ones(())
    places = positions(size, params["window"], params["strides"], params["padding"], params["dilation"])
    for n, k, s, (lo, hi), p in zip(size, params["window"], params["strides"], given, places, strict=True):
        start = np.arange(p) * s - lo
        end = start + k
        low, high = (-lo, n + hi) if include else (0, n)
        counts = np.multiply.outer(counts, np.minimum(end, high) - np.maximum(start, low))
    return counts


def _avg_pool(
    n: int, x: Any, window: Ints, stride: Ints, padding: Pads, ceil_mode: bool, count_include_pad: bool,
    divisor_override: int | None,
) -> Array:  # fmt: skip
    x, given, params = _geometry(f"avg_pool{n}d", n, x, window, stride, padding, 1, ceil_mode)
    total = window_sum(x, **params)
    if divisor_override is not None:
        return div(total, divisor_override)
    counts = _counts(x.shape[x.ndim - n :], given, params, count_include_pad)
    if counts.size and (counts == counts.flat[0]).all():
        return div(total, float(counts.flat[0]))
    return div(total, counts.astype(x.dtype))


def avg_pool1d(
    x: Any,
    window: Ints,
    stride: Ints = None,
    padding: Pads = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """The mean over windows of the last axis; parameters as in `max_pool1d`.

    count_include_pad : count padding zeros as elements
    divisor_override : divide by this instead of by the number of elements
    """
    return _avg_pool(1, x, window, stride, padding, ceil_mode, count_include_pad, divisor_override)


def avg_pool2d(
    x: Any,
    window: Ints,
    stride: Ints = None,
    padding: Pads = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """As `avg_pool1d`, over the last two axes."""
    return _avg_pool(2, x, window, stride, padding, ceil_mode, count_include_pad, divisor_override)


def avg_pool3d(
    x: Any,
    window: Ints,
    stride: Ints = None,
    padding: Pads = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: int | None = None,
) -> Array:
    """As `avg_pool1d`, over the last three axes."""
    return _avg_pool(3, x, window, stride, padding, ceil_mode, count_include_pad, divisor_override)


# ── power ─────────────────────────────────────────────────────────────────────


def _lp_pool(n: int, x: Any, p: float, window: Ints, stride: Ints, ceil_mode: bool) -> Array:
    x, _, params = _geometry(f"lp_pool{n}d", n, x, window, stride, 0, 1, ceil_mode)
    return pow_(window_sum(pow_(x, p), **params), 1.0 / p)


def lp_pool1d(x: Any, p: float, window: Ints, stride: Ints = None, ceil_mode: bool = False) -> Array:
    """(Σ x^p)^(1/p) over windows of the last axis; p = 1 sums."""
    return _lp_pool(1, x, p, window, stride, ceil_mode)


def lp_pool2d(x: Any, p: float, window: Ints, stride: Ints = None, ceil_mode: bool = False) -> Array:
    """As `lp_pool1d`, over the last two axes."""
    return _lp_pool(2, x, p, window, stride, ceil_mode)


# ── to a given size ───────────────────────────────────────────────────────────


def _bounds(n: int, out: int) -> tuple[np.ndarray, np.ndarray]:
    """First and last+1 element of each of `out` windows that cover n elements (they may overlap by one)."""
    i = np.arange(out)
    return i * n // out, -(-(i + 1) * n // out)


def _target(name: str, n: int, x: Any, output_size: Any) -> tuple[Array, Dims]:
    x = inexact(x)
    if x.ndim < n:
        raise ShapeError(name, got=f"shape {tuple(x.shape)}", want=f"at least {n} axes", at=describe(here(2)))
    size = x.shape[x.ndim - n :]
    asked = output_size if isinstance(output_size, (tuple, list)) else (output_size,) * n
    return x, repeated([m if a is None else a for a, m in zip(asked, size, strict=True)], n, "output_size")


def _moved(x: Array, axis: int) -> Array:
    """`axis` and the last axis exchanged."""
    order = list(range(x.ndim))
    order[axis], order[-1] = order[-1], order[axis]
    return x if axis == x.ndim - 1 else transpose(x, axes=tuple(order))


def _adaptive_avg(n: int, x: Any, output_size: Any) -> Array:
    x, out = _target(f"adaptive_avg_pool{n}d", n, x, output_size)
    size = x.shape[x.ndim - n :]
    if all(not s % o for s, o in zip(size, out, strict=True)):
        return _avg_pool(n, x, [s // o for s, o in zip(size, out, strict=True)], None, 0, False, True, None)
    for axis, (s, o) in enumerate(zip(size, out, strict=True), x.ndim - n):
        first, end = _bounds(s, o)
        element = np.arange(s)[:, None]
        average = ((element >= first) & (element < end)) / (end - first)
        x = _moved(matmul(_moved(x, axis), average.astype(x.dtype)), axis)
    return x


def _adaptive_max(n: int, x: Any, output_size: Any) -> Array:
    x, out = _target(f"adaptive_max_pool{n}d", n, x, output_size)
    size = x.shape[x.ndim - n :]
    if all(not s % o for s, o in zip(size, out, strict=True)):
        return _max_pool(n, x, [s // o for s, o in zip(size, out, strict=True)], None, 0, 1, False, "adaptive_max_pool")
    for axis, (s, o) in enumerate(zip(size, out, strict=True), x.ndim - n):
        first, end = _bounds(s, o)
        longest = int((end - first).max())
        # Ragged windows in one length: the last element again, which a first-of-equals maximum never takes.
        seen = np.minimum(first[:, None] + np.arange(longest), end[:, None] - 1).reshape(-1)
        x = index(x, seen, spec=(*(slice(None),) * axis, ARRAY))
        x = _moved(_max_pool(1, _moved(x, axis), longest, None, 0, 1, False, "adaptive_max_pool"), axis)
    return x


def adaptive_avg_pool1d(x: Any, output_size: int) -> Array:
    """The means of `output_size` windows that cover the last axis."""
    return _adaptive_avg(1, x, output_size)


def adaptive_avg_pool2d(x: Any, output_size: Any) -> Array:
    """As `adaptive_avg_pool1d`, over the last two axes; None keeps an axis as it is."""
    return _adaptive_avg(2, x, output_size)


def adaptive_avg_pool3d(x: Any, output_size: Any) -> Array:
    """As `adaptive_avg_pool2d`, over the last three axes."""
    return _adaptive_avg(3, x, output_size)


def adaptive_max_pool1d(x: Any, output_size: int) -> Array:
    """The maxima of `output_size` windows that cover the last axis."""
    return _adaptive_max(1, x, output_size)


def adaptive_max_pool2d(x: Any, output_size: Any) -> Array:
    """As `adaptive_max_pool1d`, over the last two axes; None keeps an axis as it is."""
    return _adaptive_max(2, x, output_size)


def adaptive_max_pool3d(x: Any, output_size: Any) -> Array:
    """As `adaptive_max_pool2d`, over the last three axes."""
    return _adaptive_max(3, x, output_size)
