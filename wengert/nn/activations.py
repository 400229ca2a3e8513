"""Activation functions, elementwise unless they take `axis`.

At kinks the derivative is PyTorch's: that of the side named in the op's note (0 for relu at 0).
"""

from __future__ import annotations

from typing import Any

from wengert.core.errors import ShapeError
from wengert.core.source import describe, here
from wengert.core.tensor import Array
from wengert.nn.operands import Axis, axes, inexact
from wengert.numpy.arrays import axis_of
from wengert.ops import activation as ops
from wengert.ops.basis import neg, reshape
from wengert.ops.elementwise import div, mul
from wengert.ops.elementwise import tanh as tanh_op
from wengert.ops.index import index
from wengert.ops.reduce import keep, reduce_logsumexp, reduce_max
from wengert.ops.select import where
from wengert.ops.softmax import log_softmax as log_softmax_op
from wengert.ops.softmax import softmax as softmax_op

SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805  # Klambauer et al. (2017), fixed point (0, 1)


def relu(x: Any) -> Array:
    """max(x, 0). The derivative at 0 is 0."""
    return ops.relu(inexact(x))


def relu6(x: Any) -> Array:
    """min(max(x, 0), 6)."""
    return ops.hard_tanh(inexact(x), low=0.0, high=6.0)


def leaky_relu(x: Any, negative_slope: float = 0.01) -> Array:
    """x where positive, `negative_slope`·x elsewhere."""
    return ops.leaky_relu(inexact(x), slope=float(negative_slope))


def prelu(x: Any, weight: Any) -> Array:
    """x where positive, weight·x elsewhere; the weight is learned.

    A weight of shape (C,) goes with axis 1 of x (axis 0 of a vector), as in PyTorch; one of any other rank
    broadcasts as it is.
    """
    x, weight = inexact(x), inexact(weight)
    if weight.ndim == 1 and x.ndim > 1 and weight.shape[0] > 1:
        weight = reshape(weight, shape=(weight.shape[0], *(1,) * (x.ndim - 2)))
    return where(ops.is_positive(x), x, mul(weight, x))


def elu(x: Any, alpha: float = 1.0) -> Array:
    """x where positive, alpha·(exp(x) - 1) elsewhere."""
    return ops.elu(inexact(x), alpha=float(alpha))


def selu(x: Any) -> Array:
    """The scaled elu that keeps mean 0 and variance 1 (Klambauer et al. 2017)."""
    return mul(SELU_SCALE, ops.elu(inexact(x), alpha=SELU_ALPHA))


def celu(x: Any, alpha: float = 1.0) -> Array:
    """x where positive, alpha·(exp(x/alpha) - 1) elsewhere: continuously differentiable for every alpha."""
    return mul(alpha, ops.elu(div(inexact(x), alpha), alpha=1.0))


def gelu(x: Any, approximate: str = "none") -> Array:
    """x·Φ(x) with the normal distribution function; `approximate="tanh"` for the usual approximation."""
    if approximate not in ("none", "tanh"):
        raise ValueError(f"approximate={approximate!r}: want 'none' or 'tanh'")
    x = inexact(x)
    return ops.gelu(x)[0] if approximate == "none" else ops.gelu_tanh(x)


def silu(x: Any) -> Array:
    """x·sigmoid(x), also known as swish."""
    return ops.silu(inexact(x))


swish = silu


def mish(x: Any) -> Array:
    """x·tanh(softplus(x)) (Misra 2019)."""
    x = inexact(x)
    return mul(x, tanh_op(ops.soft_plus(x)))


def softplus(x: Any, beta: float = 1.0) -> Array:
    """log(1 + exp(beta·x)) / beta, without overflow."""
    x = inexact(x)
    return ops.soft_plus(x) if beta == 1 else div(ops.soft_plus(mul(beta, x)), beta)


def softsign(x: Any) -> Array:
    """x / (1 + |x|)."""
    return ops.softsign(inexact(x))


def sigmoid(x: Any) -> Array:
    """1 / (1 + exp(-x))."""
    return ops.sigmoid(inexact(x))


def log_sigmoid(x: Any) -> Array:
    """log(sigmoid(x)), without cancellation."""
    return ops.log_sigmoid(inexact(x))


def tanh(x: Any) -> Array:
    """The hyperbolic tangent."""
    return tanh_op(inexact(x))


def tanhshrink(x: Any) -> Array:
    """x - tanh(x), without cancellation near 0."""
    return ops.tanhshrink(inexact(x))


def hardtanh(x: Any, low: float = -1.0, high: float = 1.0) -> Array:
    """x clipped to [low, high]."""
    return ops.hard_tanh(inexact(x), low=float(low), high=float(high))


def hardsigmoid(x: Any) -> Array:
    """x/6 + 1/2, clipped to [0, 1]."""
    return ops.hard_sigmoid(inexact(x))


def hardswish(x: Any) -> Array:
    """x·hardsigmoid(x)."""
    x = inexact(x)
    return mul(x, ops.hard_sigmoid(x))


def hardshrink(x: Any, width: float = 0.5) -> Array:
    """x where |x| > width, 0 elsewhere."""
    return ops.hard_shrink(inexact(x), width=float(width))


def softshrink(x: Any, width: float = 0.5) -> Array:
    """x drawn towards 0 by `width`, 0 where |x| ≤ width."""
    return ops.soft_shrink(inexact(x), width=float(width))


def threshold(x: Any, at: float, value: float) -> Array:
    """x where x > at, `value` elsewhere."""
    return ops.threshold(inexact(x), at=float(at), value=float(value))


def glu(x: Any, axis: int = -1) -> Array:
    """a·sigmoid(b), with a and b the two halves of x along `axis` (Dauphin et al. 2017)."""
    x = inexact(x)
    axis = axis_of(axis, x.ndim)
    half, odd = divmod(x.shape[axis], 2)
    if odd:
        raise ShapeError(
            "glu",
            got=f"length {x.shape[axis]} along axis {axis}",
            want="an even length, to be halved",
            fix="name the axis of 2·n channels",
            at=describe(here(1)),
        )
    lead = (slice(None),) * axis
    return mul(index(x, spec=(*lead, slice(half))), ops.sigmoid(index(x, spec=(*lead, slice(half, None)))))


def maxout(x: Any, pieces: int, axis: int = -1) -> Array:
    """The maximum of each group of `pieces` neighbours along `axis` (Goodfellow et al. 2013). Ties share."""
    x = inexact(x)
    axis = axis_of(axis, x.ndim)
    count, rest = divmod(x.shape[axis], pieces)
    if rest:
        raise ShapeError(
            "maxout",
            got=f"length {x.shape[axis]} along axis {axis}",
            want=f"a multiple of {pieces}",
            at=describe(here(1)),
        )
    grouped = reshape(x, shape=(*x.shape[:axis], count, pieces, *x.shape[axis + 1 :]))
    return reduce_max(grouped, axes=(axis + 1,))


# ── along axes ────────────────────────────────────────────────────────────────


def softmax(x: Any, axis: Axis = -1) -> Array:
    """exp(x) / Σ exp(x) along `axis` (an int, a tuple, or None for all), without overflow.

    -inf masks an element: probability 0, derivative 0. A slice that is masked throughout gives zeros.
    """
    x = inexact(x)
    return softmax_op(x, axes=axes(axis, x))


def softmin(x: Any, axis: Axis = -1) -> Array:
    """softmax(-x)."""
    x = inexact(x)
    return softmax_op(neg(x), axes=axes(axis, x))


def log_softmax(x: Any, axis: Axis = -1) -> Array:
    """log(softmax(x)) along `axis`, without cancellation. -inf stays -inf."""
    x = inexact(x)
    return log_softmax_op(x, axes=axes(axis, x))


def logsumexp(x: Any, axis: Axis = None, keepdims: bool = False) -> Array:
    """log(Σ exp(x)) along `axis`, without overflow. Of nothing but -inf it is -inf, with derivative 0."""
    x = inexact(x)
    over = axes(axis, x)
    out = reduce_logsumexp(x, axes=over)
    return keep(out, x.shape, over) if keepdims else out
