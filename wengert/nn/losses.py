"""Losses. `reduction` is "mean" (default), "sum" or "none"; predictions and targets broadcast as in NumPy.

Zero targets are strong: 0·log 0 is 0, in value and in derivative.
"""

from __future__ import annotations

import math
from typing import Any

from wengert.core.tensor import Array
from wengert.nn.normalization import norm
from wengert.nn.operands import inexact, reduced
from wengert.numpy.arrays import axis_of
from wengert.ops.activation import log_sigmoid, relu, soft_plus
from wengert.ops.basis import add, neg, reduce_sum, reshape, scale
from wengert.ops.elementwise import abs_, div, exp, log, log1p, mul, square, sub
from wengert.ops.logic import equal, greater, less
from wengert.ops.select import maximum, minimum, where

# ── regression ────────────────────────────────────────────────────────────────


def mse_loss(x: Any, target: Any, reduction: str = "mean") -> Array:
    """(x - target)²."""
    return reduced(square(sub(inexact(x), inexact(target))), reduction)


def l1_loss(x: Any, target: Any, reduction: str = "mean") -> Array:
    """|x - target|; derivative 0 where they are equal."""
    return reduced(abs_(sub(inexact(x), inexact(target))), reduction)


def huber_loss(x: Any, target: Any, delta: float = 1.0, reduction: str = "mean") -> Array:
    """(x - target)²/2 within delta of the target, delta·(|x - target| - delta/2) beyond (Huber 1964)."""
    distance = abs_(sub(inexact(x), inexact(target)))
    near = minimum(distance, delta)
    return reduced(mul(near, sub(distance, mul(0.5, near))), reduction)


def smooth_l1_loss(x: Any, target: Any, beta: float = 1.0, reduction: str = "mean") -> Array:
    """`huber_loss` with delta=beta, divided by beta; `l1_loss` for beta=0."""
    if beta == 0:
        return l1_loss(x, target, reduction)
    return div(huber_loss(x, target, beta, reduction), beta)


def poisson_nll_loss(
    x: Any, target: Any, log_input: bool = True, full: bool = False, eps: float = 1e-8, reduction: str = "mean"
) -> Array:
    """Negative log likelihood of Poisson counts: exp(x) - target·x, or x - target·log(x + eps) if not `log_input`.

    full : add Stirling's approximation of log(target!) where target > 1
    """
    x, target = inexact(x), inexact(target)
    loss = sub(exp(x), mul(target, x)) if log_input else sub(x, scale(target, log(add(x, eps))))
    if full:
        many = greater(target, 1)
        safe = where(many, target, 2.0)
        stirling = add(sub(mul(safe, log(safe)), safe), mul(0.5, log(mul(2 * math.pi, safe))))
        loss = add(loss, where(many, stirling, 0.0))
    return reduced(loss, reduction)


def gaussian_nll_loss(
    x: Any, target: Any, var: Any, full: bool = False, eps: float = 1e-6, reduction: str = "mean"
) -> Array:
    """(log var + (x - target)²/var)/2, with var at least eps; `full` adds log(2π)/2.

    var has x's shape, or lacks the last axis, or has length one there. Below eps its derivative is that of eps: 0.
    """
    x, target, var = inexact(x), inexact(target), inexact(var)
    if var.ndim and var.ndim == x.ndim - 1 and tuple(var.shape) == tuple(x.shape[:-1]):
        var = reshape(var, shape=(*var.shape, 1))
    var = where(less(var, eps), eps, var)
    loss = mul(0.5, add(log(var), div(square(sub(x, target)), var)))
    return reduced(add(loss, 0.5 * math.log(2 * math.pi)) if full else loss, reduction)


# ── probabilities ─────────────────────────────────────────────────────────────


def binary_cross_entropy(p: Any, target: Any, weight: Any = None, reduction: str = "mean") -> Array:
    """-(target·log p + (1 - target)·log(1 - p)): p a probability. Infinite for a certainty that is wrong.

    From logits, use `binary_cross_entropy_with_logits`, which does not cancel.
    """
    p, target = inexact(p), inexact(target)
    loss = neg(add(scale(target, log(p)), scale(sub(1, target), log1p(neg(p)))))
    return reduced(loss if weight is None else mul(loss, inexact(weight)), reduction)


def binary_cross_entropy_with_logits(
    x: Any, target: Any, weight: Any = None, pos_weight: Any = None, reduction: str = "mean"
) -> Array:
    """`binary_cross_entropy(sigmoid(x), target)` without overflow or cancellation.

    pos_weight : multiplies the loss of positive targets
    """
    x, target = inexact(x), inexact(target)
    if pos_weight is None:
        loss = sub(soft_plus(x), mul(target, x))
    else:
        positive = mul(target, inexact(pos_weight))
        loss = neg(add(mul(positive, log_sigmoid(x)), mul(sub(1, target), log_sigmoid(neg(x)))))
    return reduced(loss if weight is None else mul(loss, inexact(weight)), reduction)


def kl_div(log_p: Any, target: Any, log_target: bool = False, reduction: str = "mean") -> Array:
    """target·(log target - log_p), element by element: the divergence of log_p from target.

    reduction : "batchmean" divides the sum by the length of the first axis, which is the divergence itself
    """
    log_p, target = inexact(log_p), inexact(target)
    if log_target:
        loss = scale(exp(target), sub(target, log_p))
    else:
        loss = sub(_entropy_term(target), scale(target, log_p))
    if reduction == "batchmean":
        return div(reduced(loss, "sum"), loss.shape[0] if loss.ndim else 1)
    return reduced(loss, reduction)


def _entropy_term(target: Array) -> Array:
    """target·log target, 0 at 0 with derivative 0."""
    positive = greater(target, 0)
    return where(positive, mul(target, log(where(positive, target, 1.0))), scale(target, 0.0))


# ── margins ───────────────────────────────────────────────────────────────────


def hinge_embedding_loss(x: Any, target: Any, margin: float = 1.0, reduction: str = "mean") -> Array:
    """x where the target is 1, max(0, margin - x) where it is -1."""
    x, target = inexact(x), inexact(target)
    return reduced(where(equal(target, 1), x, relu(sub(margin, x))), reduction)


def hinge_loss(x: Any, target: Any, margin: float = 1.0, reduction: str = "mean") -> Array:
    """max(0, margin - target·x) for targets ±1: the support vector machine's."""
    return reduced(relu(sub(margin, mul(inexact(target), inexact(x)))), reduction)


def soft_margin_loss(x: Any, target: Any, reduction: str = "mean") -> Array:
    """log(1 + exp(-target·x)) for targets ±1."""
    return reduced(soft_plus(neg(mul(inexact(target), inexact(x)))), reduction)


def margin_ranking_loss(x: Any, y: Any, target: Any, margin: float = 0.0, reduction: str = "mean") -> Array:
    """max(0, margin - target·(x - y)): with target 1, x should rank above y."""
    return reduced(relu(sub(margin, mul(inexact(target), sub(inexact(x), inexact(y))))), reduction)


def cosine_similarity(x: Any, y: Any, axis: int = 1, eps: float = 1e-8) -> Array:
    """x·y / (max(‖x‖, eps)·max(‖y‖, eps)) along `axis`; x and y broadcast."""
    x, y = inexact(x), inexact(y)
    over = axis_of(axis, max(x.ndim, y.ndim))
    product = mul(x, y)
    unit_x, unit_y = (div(v, maximum(norm(v, 2, (over - product.ndim + v.ndim,)), eps)) for v in (x, y))
    return reduce_sum(mul(unit_x, unit_y), axes=(over,))


def cosine_embedding_loss(x: Any, y: Any, target: Any, margin: float = 0.0, reduction: str = "mean") -> Array:
    """1 - cos(x, y) where the target is 1, max(0, cos(x, y) - margin) where it is -1; vectors along the last axis."""
    x, y, target = inexact(x), inexact(y), inexact(target)
    cosine = cosine_similarity(x, y, axis=-1)
    return reduced(where(equal(target, 1), sub(1, cosine), relu(sub(cosine, margin))), reduction)


def pairwise_distance(x: Any, y: Any, p: float = 2.0, eps: float = 1e-6, keepdims: bool = False) -> Array:
    """‖x - y + eps‖ₚ along the last axis."""
    difference = add(sub(inexact(x), inexact(y)), eps)
    last = (difference.ndim - 1,)
    distance = norm(difference, p, last)
    return distance if keepdims else reduce_sum(distance, axes=last)


def triplet_margin_loss(
    anchor: Any,
    positive: Any,
    negative: Any,
    margin: float = 1.0,
    p: float = 2.0,
    eps: float = 1e-6,
    swap: bool = False,
    reduction: str = "mean",
) -> Array:
    """max(0, d(anchor, positive) - d(anchor, negative) + margin) (Balntas et al. 2016).

    swap : take d(positive, negative) for the second distance where that is smaller
    """
    near = pairwise_distance(anchor, positive, p, eps)
    far = pairwise_distance(anchor, negative, p, eps)
    if swap:
        far = minimum(far, pairwise_distance(positive, negative, p, eps))
    return reduced(relu(add(sub(near, far), margin)), reduction)


__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cosine_embedding_loss",
    "cosine_similarity",
    "gaussian_nll_loss",
    "hinge_embedding_loss",
    "hinge_loss",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "margin_ranking_loss",
    "mse_loss",
    "pairwise_distance",
    "poisson_nll_loss",
    "smooth_l1_loss",
    "soft_margin_loss",
    "triplet_margin_loss",
]
