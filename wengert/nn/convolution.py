"""Convolution as neural networks have it (no flip of the kernel), and its transpose.

Layout  Channels first, as in PyTorch: x (N, C, *S) or, for one example, (C, *S); weights (O, C/groups, *K);
        for the transposed form (C, O/groups, *K). Bias (O,).
Cost    One matrix product over columns that stay in cache; see `wengert.ops.conv`.
"""

from __future__ import annotations

from typing import Any

from wengert.core.errors import ShapeError
from wengert.core.source import describe, here
from wengert.core.tensor import Array
from wengert.nn.operands import inexact, repeated
from wengert.ops.basis import add, reshape
from wengert.ops.conv import Dims, Padding, conv, conv_input, positions

Ints = Any  # an integer, or one for each spatial axis
Pads = Any  # as Ints, or (low, high) pairs, or "same", or "valid"


def pads(padding: Pads, size: Dims, kernel: Dims, strides: Dims, dilation: Dims) -> Padding:
    """`padding` as (low, high) pairs.

    "valid" is none; "same" gives ceil(size / stride) places, an odd row going to the high side.
    """
    if padding == "valid":
        return ((0, 0),) * len(size)
    if padding == "same":
        total = [
            max((-(-n // s) - 1) * s + d * (k - 1) + 1 - n, 0)
            for n, k, s, d in zip(size, kernel, strides, dilation, strict=True)
        ]
        return tuple((t // 2, t - t // 2) for t in total)
    if isinstance(padding, str):
        raise ValueError(f"padding={padding!r}: want integers, pairs, 'same' or 'valid'")
    if isinstance(padding, (tuple, list)) and any(isinstance(p, (tuple, list)) for p in padding):
        pairs = tuple(repeated(p, 2, "padding") for p in padding)
        repeated([0] * len(pairs), len(size), "padding")
        return pairs  # type: ignore[return-value]
    return tuple((p, p) for p in repeated(padding, len(size), "padding"))


def check_fit(name: str, size: Dims, window: Dims, strides: Dims, padding: Padding, dilation: Dims) -> None:
    """ShapeError unless the window fits into the padded operand at least once along each axis."""
    if any(p < 1 for p in positions(size, window, strides, padding, dilation)):
        raise ShapeError(
            name,
            got=f"a window of {window} with dilation {dilation} on {tuple(size)} padded by {padding}",
            want="a window no longer than the padded operand",
            fix="use a smaller window, or more padding",
            at=describe(here(2)),
        )


def _grouped(name: str, n: int, x: Any, weight: Any, groups: int) -> tuple[Array, Array, bool]:
    """x as (N, G, C/G, *S), the weights with their first axis split into groups, and whether x was one example."""
    x, weight = inexact(x), inexact(weight)
    single = x.ndim == n + 1
    if single:
        x = reshape(x, shape=(1, *x.shape))
    fits = x.ndim == weight.ndim == n + 2 and not x.shape[1] % groups and not weight.shape[0] % groups
    across = weight.ndim > 1 and weight.shape[0 if "transpose" in name else 1]
    if not fits or x.shape[1] != (across if "transpose" in name else across * groups):
        raise ShapeError(
            name,
            got=f"x {tuple(x.shape)} and weight {tuple(weight.shape)} in {groups} groups",
            want=f"x (N, C, {n} spatial axes) and weight "
            + ("(C, O/groups, kernel)" if "transpose" in name else "(O, C/groups, kernel)"),
            fix="channels come first; both channel counts must be multiples of groups",
            at=describe(here(2)),
        )
    x = reshape(x, shape=(x.shape[0], groups, x.shape[1] // groups, *x.shape[2:]))
    weight = reshape(weight, shape=(groups, weight.shape[0] // groups, *weight.shape[1:]))
    return x, weight, single


def _finished(y: Array, bias: Any, single: bool) -> Array:
    """(N, G, O/G, *P) as (N, O, *P), with the bias; without N for one example."""
    channels = y.shape[1] * y.shape[2]
    y = reshape(y, shape=(*(() if single else y.shape[:1]), channels, *y.shape[3:]))
    if bias is None:
        return y
    return add(y, reshape(inexact(bias), shape=(channels, *(1,) * (y.ndim - (1 if single else 2)))))


def _conv(n: int, x: Any, weight: Any, bias: Any, stride: Ints, padding: Pads, dilation: Ints, groups: int) -> Array:
    x, weight, single = _grouped(f"conv{n}d", n, x, weight, groups)
    strides, dilation = repeated(stride, n, "stride"), repeated(dilation, n, "dilation")
    around = pads(padding, x.shape[3:], weight.shape[3:], strides, dilation)
    check_fit(f"conv{n}d", x.shape[3:], weight.shape[3:], strides, around, dilation)
    return _finished(conv(x, weight, strides=strides, padding=around, dilation=dilation), bias, single)


def _conv_transpose(
    n: int,
    x: Any,
    weight: Any,
    bias: Any,
    stride: Ints,
    padding: Pads,
    output_padding: Ints,
    groups: int,
    dilation: Ints,
) -> Array:
    x, weight, single = _grouped(f"conv_transpose{n}d", n, x, weight, groups)
    strides, dilation = repeated(stride, n, "stride"), repeated(dilation, n, "dilation")
    places, kernel = x.shape[3:], weight.shape[3:]
    if isinstance(padding, str) and padding != "valid":
        raise ValueError(f"padding={padding!r}: want integers, pairs or 'valid'")
    # What the output has beyond the last place is padding that the forward convolution lacks.
    around = tuple(
        (lo, hi - extra)
        for (lo, hi), extra in zip(
            pads(padding, places, kernel, strides, dilation), repeated(output_padding, n, "output_padding"), strict=True
        )
    )
    extent = tuple(
        (p - 1) * s + d * (k - 1) + 1 - lo - hi
        for p, s, d, k, (lo, hi) in zip(places, strides, dilation, kernel, around, strict=True)
    )
    if any(e < 1 for e in extent):
        raise ShapeError(
            f"conv_transpose{n}d", got=f"an output of shape {extent}", want="at least one element", fix="less padding",
            at=describe(here(2)),
        )  # fmt: skip
    y = conv_input(x, weight, extent=extent, strides=strides, padding=around, dilation=dilation)
    return _finished(y, bias, single)


def conv1d(
    x: Any, weight: Any, bias: Any = None, stride: Ints = 1, padding: Pads = 0, dilation: Ints = 1, groups: int = 1
) -> Array:
    """Cross-correlation of x (N, C, L) with weight (O, C/groups, K): (N, O, L').

    Parameters
    ----------
    stride, dilation : int, or one for each spatial axis
    padding : int, one for each axis, (low, high) pairs, "valid" (none), or "same": ceil(L / stride) places
    groups : channels in and out fall into this many groups that do not mix

    L' = (L + low + high - dilation·(K - 1) - 1) // stride + 1.
    """
    return _conv(1, x, weight, bias, stride, padding, dilation, groups)


def conv2d(
    x: Any, weight: Any, bias: Any = None, stride: Ints = 1, padding: Pads = 0, dilation: Ints = 1, groups: int = 1
) -> Array:
    """As `conv1d`, for x (N, C, H, W) and weight (O, C/groups, KH, KW)."""
    return _conv(2, x, weight, bias, stride, padding, dilation, groups)


def conv3d(
    x: Any, weight: Any, bias: Any = None, stride: Ints = 1, padding: Pads = 0, dilation: Ints = 1, groups: int = 1
) -> Array:
    """As `conv1d`, for x (N, C, D, H, W) and weight (O, C/groups, KD, KH, KW)."""
    return _conv(3, x, weight, bias, stride, padding, dilation, groups)


def conv_transpose1d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Ints = 1,
    padding: Pads = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Array:
    """The transpose of `conv1d` in its first operand: x (N, C, L) and weight (C, O/groups, K) to (N, O, L').

    L' = (L - 1)·stride - low - high + dilation·(K - 1) + output_padding + 1.
    """
    return _conv_transpose(1, x, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Ints = 1,
    padding: Pads = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Array:
    """As `conv_transpose1d`, in two dimensions."""
    return _conv_transpose(2, x, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose3d(
    x: Any,
    weight: Any,
    bias: Any = None,
    stride: Ints = 1,
    padding: Pads = 0,
    output_padding: Ints = 0,
    groups: int = 1,
    dilation: Ints = 1,
) -> Array:
    """As `conv_transpose1d`, in three dimensions."""
    return _conv_transpose(3, x, weight, bias, stride, padding, output_padding, groups, dilation)
