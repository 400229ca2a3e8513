"""Losses of classifiers: cross-entropy from logits, negative log likelihood from log probabilities.

The classes lie along `axis`: by default axis 1, (N, C, *S), or the only axis of a single example, as in PyTorch.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from wengert.core.errors import ShapeError
from wengert.core.source import describe, here
from wengert.core.tensor import Array, Tensor
from wengert.nn.embedding import integers
from wengert.nn.operands import inexact, reduced, weighted
from wengert.numpy.arrays import axis_of, lift
from wengert.ops.basis import add, broadcast_to, neg, reduce_sum, scale, transpose
from wengert.ops.dtype import truncate
from wengert.ops.elementwise import mul
from wengert.ops.index import ARRAY, index
from wengert.ops.logic import not_equal
from wengert.ops.reduce import reduce_mean
from wengert.ops.select import where
from wengert.ops.softmax import cross_entropy as cross_entropy_op
from wengert.ops.softmax import log_softmax, pick


def _classes_last(x: Array, axis: int | None) -> Array:
    """`x` with the class axis last."""
    at = axis_of(min(1, x.ndim - 1) if axis is None else axis, x.ndim)
    if at == x.ndim - 1:
        return x
    return transpose(x, axes=(*range(at), *range(at + 1, x.ndim), at))


def _check_labels(name: str, x: Array, labels: Array, ignore_index: int) -> None:
    classes = x.shape[-1] if x.ndim else 0
    if tuple(labels.shape) != tuple(x.shape[:-1]):
        raise ShapeError(
            name,
            got=f"labels {tuple(labels.shape)} for {classes} classes in rows {tuple(x.shape[:-1])}",
            want="one label for each row",
            fix="check `axis`: the classes are axis 1 unless given",
            at=describe(here(2)),
        )
    if type(labels) is Tensor or not labels.size:
        return
    if labels.min() >= 0 and labels.max() < classes:
        return
    wrong = np.asarray((labels != ignore_index) & ((labels < 0) | (labels >= classes)))
    if wrong.any():
        raise IndexError(f"{name}: label {int(np.asarray(labels)[wrong].flat[0])} is not one of {classes} classes")


def _known(labels: Array, ignore_index: int) -> tuple[Array, Array | None]:
    """Labels that can be looked up, and which of them count (None: all)."""
    if type(labels) is not Tensor and not np.any(labels == ignore_index):
        return labels, None
    counts = not_equal(labels, ignore_index)
    return truncate(where(counts, labels, 0), dtype=np.dtype(np.intp)), counts


def _by_label(loss: Array, labels: Array, counts: Array | None, weight: Array | None, reduction: str) -> Array:
    """Weigh each row's loss by its label's weight, leave out what does not count, and reduce."""
    if weight is None and counts is None:
        return reduced(loss, reduction)
    w = np.ones((), loss.dtype) if weight is None else index(weight, labels, spec=(ARRAY,))
    if counts is not None:
        w = where(counts, w, 0.0)
        loss = where(counts, loss, 0.0)
    return weighted(mul(w, loss), broadcast_to(w, shape=tuple(loss.shape)), reduction)


def nll_loss(
    log_p: Any,
    labels: Any,
    weight: Any = None,
    ignore_index: int = -100,
    reduction: str = "mean",
    axis: int | None = None,
) -> Array:
    """-log_p[label], by rows.

    Parameters
    ----------
    weight : (C,), by class; "mean" divides by the sum of the labels' weights
    ignore_index : rows of this label do not count
    """
    x = _classes_last(inexact(log_p), axis)
    labels = integers(labels, "nll_loss")
    _check_labels("nll_loss", x, labels, ignore_index)
    labels, counts = _known(labels, ignore_index)
    return _by_label(neg(pick(x, labels)), labels, counts, None if weight is None else inexact(weight), reduction)


def cross_entropy(
    logits: Any,
    target: Any,
    weight: Any = None,
    ignore_index: int = -100,
    label_smoothing: float = 0.0,
    reduction: str = "mean",
    axis: int | None = None,
) -> Array:
    """-Σ q·log softmax(logits), by rows, for labels (integers, without the class axis) or probabilities q.

    Parameters
    ----------
    weight : (C,), by class; with labels, "mean" divides by the sum of the labels' weights
    ignore_index : rows of this label do not count
    label_smoothing : the part of every target that is spread evenly over the classes (Szegedy et al. 2016)
    """
    x = _classes_last(inexact(logits), axis)
    weight = None if weight is None else inexact(weight)
    target = lift(target)
    if target.dtype.kind not in "iu":
        return _soft_cross_entropy(x, _classes_last(target, axis), weight, label_smoothing, reduction)
    _check_labels("cross_entropy", x, target, ignore_index)
    labels, counts = _known(target, ignore_index)
    if not label_smoothing:
        return _by_label(cross_entropy_op(x, labels)[0], labels, counts, weight, reduction)
    log_p = log_softmax(x, axes=(x.ndim - 1,))
    sharp = _by_label(neg(pick(log_p, labels)), labels, counts, weight, reduction)
    spread = neg(_row_means(log_p if weight is None else mul(weight, log_p)))
    if counts is not None:
        spread = where(counts, spread, 0.0)
    if reduction == "mean" and (weight is not None or counts is not None):
        ones = np.ones(tuple(spread.shape), x.dtype)
        w = ones if weight is None else index(weight, labels, spec=(ARRAY,))
        spread = weighted(spread, w if counts is None else where(counts, w, 0.0), "mean")
    else:
        spread = reduced(spread, reduction)
    return add(mul(1 - label_smoothing, sharp), mul(label_smoothing, spread))


def _row_means(x: Array) -> Array:
    return reduce_mean(x, axes=(x.ndim - 1,))


def _soft_cross_entropy(x: Array, q: Array, weight: Array | None, smoothing: float, reduction: str) -> Array:
    if tuple(x.shape) != tuple(q.shape):
        raise ShapeError(
            "cross_entropy", got=f"logits {tuple(x.shape)}, probabilities {tuple(q.shape)}", want="equal shapes",
            fix="give labels as integers", at=describe(here(2)),
        )  # fmt: skip
    if smoothing:
        q = add(mul(1 - smoothing, q), smoothing / x.shape[-1])
    log_p = log_softmax(x, axes=(x.ndim - 1,))
    terms = scale(q, log_p)
    if weight is not None:
        terms = mul(weight, terms)
    loss = neg(reduce_sum(terms, axes=(x.ndim - 1,)))
    return reduced(loss, reduction)
