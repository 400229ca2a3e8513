"""Normalisation: layer, batch, group, instance, root-mean-square, local response, and of single vectors.

Channels come first, (N, C, *S), where a function knows channels. `eps` keeps constant slices finite: they give 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.core.errors import ShapeError
from wengert.core.source import describe, here
from wengert.core.tensor import Array
from wengert.nn.operands import Axis, axes, inexact
from wengert.ops.activation import is_positive
from wengert.ops.basis import add, reduce_sum, reshape
from wengert.ops.elementwise import abs_, div, mul, pow_, reciprocal, sqrt, square, sub
from wengert.ops.pool import window_sum
from wengert.ops.reduce import keep, reduce_mean
from wengert.ops.select import maximum, where
from wengert.ops.standardize import standardize
from wengert.transforms.switches import stop_gradient


def _affine(z: Array, weight: Any, bias: Any, shape: tuple[int, ...]) -> Array:
    """weight·z + bias, with both reshaped to `shape`."""
    if weight is not None:
        z = mul(z, reshape(inexact(weight), shape=shape))
    return z if bias is None else add(z, reshape(inexact(bias), shape=shape))


def _channelled(x: Array) -> tuple[int, ...]:
    """The shape in which (C,) goes with axis 1 of x."""
    return (x.shape[1], *(1,) * (x.ndim - 2))


def _trailing(x: Array, shape: Sequence[int] | int | None, name: str) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The normalised shape (default: the last axis) and its axes."""
    wanted = x.shape[-1:] if shape is None else (shape,) if isinstance(shape, int) else tuple(shape)
    if not wanted or tuple(x.shape[x.ndim - len(wanted) :]) != wanted:
        raise ShapeError(
            name,
            got=f"shape={wanted} for x of shape {tuple(x.shape)}",
            want="the last axes of x",
            fix="give the shape of the axes to normalise over",
            at=describe(here(2)),
        )
    return wanted, tuple(range(x.ndim - len(wanted), x.ndim))


def layer_norm(
    x: Any, shape: Sequence[int] | int | None = None, weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Array:
    """Mean 0 and variance 1 over the last axes, whose `shape` is given (default: the last one); then weight and bias.

    Source: Ba, Kiros & Hinton (2016).
    """
    x = inexact(x)
    wanted, over = _trailing(x, shape, "layer_norm")
    return _affine(standardize(x, axes=over, eps=float(eps))[0], weight, bias, wanted)


def rms_norm(x: Any, shape: Sequence[int] | int | None = None, weight: Any = None, eps: float | None = None) -> Array:
    """x / √(mean(x²) + eps) over the last axes, then the weight (Zhang & Sennrich 2019).

    eps=None is the machine epsilon of x's dtype.
    """
    x = inexact(x)
    wanted, over = _trailing(x, shape, "rms_norm")
    if eps is None:
        eps = float(np.finfo(x.dtype).eps)
    mean = keep(reduce_mean(square(x), axes=over), x.shape, over)
    return _affine(mul(x, reciprocal(sqrt(add(mean, eps)))), weight, None, wanted)


def batch_norm(
    x: Any,
    running_mean: Any = None,
    running_var: Any = None,
    weight: Any = None,
    bias: Any = None,
    *,
    training: bool,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Any:
    """Normalise each channel of x (N, C, *S) over all other axes (Ioffe & Szegedy 2015).

    Training: by the batch's own statistics. Returns (y, running mean, running variance): the old ones moved by
    `momentum` towards the batch's (with the unbiased variance), as constants for derivatives; None stays None.
    Otherwise: by the running statistics, which are needed. Returns y alone.
    """
    x = inexact(x)
    if x.ndim < 2:
        raise ShapeError("batch_norm", got=f"shape {tuple(x.shape)}", want="(N, C, …)", at=describe(here(1)))
    if not training:
        if running_mean is None or running_var is None:
            raise ValueError("batch_norm with training=False needs running_mean and running_var")
        slope = reciprocal(sqrt(add(inexact(running_var), eps)))
        shape = _channelled(x)
        z = mul(sub(x, reshape(inexact(running_mean), shape=shape)), reshape(slope, shape=shape))
        return _affine(z, weight, bias, shape)
    over = (0, *range(2, x.ndim))
    z, mean, var = standardize(x, axes=over, eps=float(eps))
    count = x.size // max(x.shape[1], 1)
    if count < 2:
        raise ShapeError(
            "batch_norm",
            got=f"{count} value for each channel of x {tuple(x.shape)}",
            want="at least 2 in training, for a variance",
            fix="use a larger batch, or training=False",
            at=describe(here(1)),
        )
    unbiased = mul(var, count / (count - 1))
    new_mean, new_var = (
        None if old is None else add(mul(1 - momentum, inexact(old)), mul(momentum, stop_gradient(new)))
        for old, new in ((running_mean, mean), (running_var, unbiased))
    )
    return _affine(z, weight, bias, _channelled(x)), new_mean, new_var


def group_norm(x: Any, groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Array:
    """Normalise each example of x (N, C, *S) over groups of C/groups channels and all of S (Wu & He 2018)."""
    x = inexact(x)
    if x.ndim < 2 or x.shape[1] % groups:
        raise ShapeError(
            "group_norm", got=f"x {tuple(x.shape)} in {groups} groups", want="(N, C, …) with C a multiple of groups",
            at=describe(here(1)),
        )  # fmt: skip
    split = reshape(x, shape=(x.shape[0], groups, x.shape[1] // groups, *x.shape[2:]))
    z = standardize(split, axes=tuple(range(2, split.ndim)), eps=float(eps))[0]
    return _affine(reshape(z, shape=x.shape), weight, bias, _channelled(x))


def instance_norm(x: Any, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Array:
    """Normalise each channel of each example of x (N, C, *S) over S (Ulyanov et al. 2016)."""
    x = inexact(x)
    z = standardize(x, axes=tuple(range(2, x.ndim)), eps=float(eps))[0]
    return _affine(z, weight, bias, _channelled(x))


def local_response_norm(x: Any, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> Array:
    """x / (k + alpha·mean of squares over `size` neighbouring channels)^beta (Krizhevsky et al. 2012)."""
    x = inexact(x)
    n, c = x.shape[:2]
    rest = x.size // max(n * c, 1)
    squares = reshape(square(x), shape=(n, c, rest))
    near = window_sum(
        squares, window=(size, 1), strides=(1, 1), padding=((size // 2, (size - 1) // 2), (0, 0)), dilation=(1, 1)
    )
    return div(x, pow_(add(mul(alpha / size, reshape(near, shape=x.shape)), k), beta))


def norm(x: Array, p: float, over: tuple[int, ...]) -> Array:
    """The p-norm over axes, which stay with length one; its derivative at 0 is 0."""
    if p == 1:
        return keep(reduce_sum(abs_(x), axes=over), x.shape, over)
    powers = square(x) if p == 2 else pow_(abs_(x), p)
    total = keep(reduce_sum(powers, axes=over), x.shape, over)
    positive = is_positive(total)
    safe = where(positive, total, 1.0)
    return where(positive, sqrt(safe) if p == 2 else pow_(safe, 1.0 / p), 0.0)


def normalize(x: Any, p: float = 2.0, axis: Axis = 1, eps: float = 1e-12) -> Array:
    """x / max(‖x‖ₚ, eps) along `axis`."""
    x = inexact(x)
    over = axes(axis, x)
    return div(x, maximum(norm(x, p, over), eps))
