"""softmax, log_softmax, and the cross-entropy of class labels: rows of logits to probabilities.

Masked  A logit of -inf is an impossible class: probability 0, derivative 0. A row of nothing else has no class to
        choose from, and its probabilities are all 0 (where 0/0 would be NaN, and spread through the pullback).
Source  Bridle (1990) for softmax and its Jacobian, diag(p) - p pᵀ.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.core.aval import ANY, FLOAT, Aval
from wengert.core.errors import ShapeError
from wengert.core.form import Unsupported, Via
from wengert.core.op import Op, Sample
from wengert.core.source import describe, here
from wengert.core.tensor import Array
from wengert.graph.program import Vars
from wengert.ops import scalars
from wengert.ops.basis import (
    add,
    all_batched,
    broadcast_to,
    check_axes,
    fit,
    fit_tangent,
    reduce_sum,
    reshape,
    scale,
    strong_zero,
)
from wengert.ops.dtype import truncate
from wengert.ops.elementwise import div, exp, log, sub
from wengert.ops.family import piecewise_constant
from wengert.ops.index import ARRAY, index, scatter_add
from wengert.ops.logic import equal, isneginf, less
from wengert.ops.reduce import reduce_max
from wengert.ops.select import where

Axes = tuple[int, ...]

_SAMPLES = (
    Sample((3, 4), axes=(1,)),
    Sample((3, 4), axes=(0, 1)),
    Sample((2, 3, 2), axes=(1,)),
    Sample((), axes=()),
    Sample((0, 3), axes=(1,)),
    Sample((2, 0), axes=(1,)),
)


def _checked(name: str) -> Any:
    def shape(x: Aval, *, axes: Axes) -> Aval:
        check_axes(name, axes, x)
        return x

    return shape


def _total(x: Array, axes: Axes) -> Array:
    """The sum over `axes`, which stay with length one."""
    shape = tuple(1 if i in axes else d for i, d in enumerate(x.shape))
    return reshape(reduce_sum(x, axes=axes), shape=shape)


def _exponentials(x: np.ndarray, axes: Axes) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`x` less its maximum over `axes`, the exponentials of that, and their sum (at least 1, of length one).

    In a slice of nothing but -inf the differences are -inf, their exponentials 0, and the sum 1.
    """
    if not x.size:
        x = np.asarray(x)
        return x, x, np.ones(tuple(1 if i in axes else d for i, d in enumerate(x.shape)), x.dtype)
    with np.errstate(invalid="ignore"):
        top = np.maximum.reduce(x, axis=axes, keepdims=True)
        shifted = np.asarray(x - top)
    p = np.asarray(np.exp(shifted))
    total = np.asarray(np.add.reduce(p, axis=axes, keepdims=True))
    flat = total.reshape(-1)
    if (norm := flat.dot(flat)) == norm:  # no NaN: the common case, found in one short read
        return shifted, p, total
    masked = np.isneginf(top)
    shifted = np.where(masked, x, shifted)
    return shifted, np.where(masked, x.dtype.type(0), p), np.where(masked, x.dtype.type(1), total)


def _parts(x: Array, axes: Axes) -> tuple[Array, Array, Array, Array]:
    """`_exponentials` in ops, and what was subtracted."""
    kept = tuple(1 if i in axes else d for i, d in enumerate(x.shape))
    top = reshape(reduce_max(x, axes=axes), shape=kept)
    masked = isneginf(top)
    top = where(masked, 0.0, top)
    shifted = sub(x, top)
    p = exp(shifted)
    return shifted, p, where(masked, 1.0, _total(p, axes)), top


# ── softmax ───────────────────────────────────────────────────────────────────


def _softmax_eval(x: Array, *, axes: Axes) -> Array:
    _, p, total = _exponentials(x, axes)
    p = p / total if p is x else np.divide(p, total, out=p)
    return p if p.ndim else p[()]


def _softmax(x: Array, *, axes: Axes) -> Array:
    if 0 in x.shape:
        return x
    _, p, total, _ = _parts(x, axes)
    return div(p, total)


def softmax_slope(v: Array, p: Array, axes: Axes) -> Array:
    """(diag(p) - p pᵀ) v, a symmetric product: tangents and cotangents alike."""
    return scale(sub(v, _total(scale(v, p), axes)), p)


softmax = Op(
    name="softmax",
    accepts=FLOAT,
    shape=_checked("softmax"),
    eval=_softmax_eval,
    jvp=lambda xs, dxs, out, *, axes: softmax_slope(dxs[0], out, axes),
    vjp=lambda ct, ins, xs, out, *, axes: (softmax_slope(ct, out, axes),),
    saves=("out",),
    batch=lambda xs, batched, size, *, axes: softmax(xs[0], axes=tuple(a + 1 for a in axes)),
    samples=_SAMPLES,
    rejects=(Sample((3,), axes=(1,), raises=ShapeError),),
    note="a row of -inf gives zeros, with zero derivative",
    lower=scalars.for_floats(Via(_softmax)),
)

# ── log_softmax ───────────────────────────────────────────────────────────────


def _log_softmax_eval(x: Array, *, axes: Axes) -> Array:
    shifted, _, total = _exponentials(x, axes)
    out = shifted - np.log(total)
    return out if out.ndim else out[()]


def _log_softmax(x: Array, *, axes: Axes) -> Array:
    if 0 in x.shape:
        return x
    shifted, _, total, _ = _parts(x, axes)
    return sub(shifted, log(total))


log_softmax = Op(
    name="log_softmax",
    accepts=FLOAT,
    shape=_checked("log_softmax"),
    eval=_log_softmax_eval,
    jvp=lambda xs, dxs, out, *, axes: sub(dxs[0], _total(scale(dxs[0], exp(out)), axes)),
    vjp=lambda ct, ins, xs, out, *, axes: (sub(ct, scale(_total(ct, axes), exp(out))),),
    saves=("out",),
    batch=lambda xs, batched, size, *, axes: log_softmax(xs[0], axes=tuple(a + 1 for a in axes)),
    samples=_SAMPLES,
    rejects=(Sample((3,), axes=(1,), raises=ShapeError),),
    note="a row of -inf stays so",
    lower=scalars.for_floats(Via(_log_softmax)),
)

# ── pick: one element of each row ─────────────────────────────────────────────


def _rows(x: Array, labels: Array) -> tuple[Array, list[Array]]:
    """`x` as a matrix, and the index arrays that name element `labels[i]` of row i."""
    n = int(np.prod(labels.shape))
    flat = reshape(x, shape=(n, x.shape[-1]))
    return flat, [np.arange(n), reshape(labels, shape=(n,))]


def pick(x: Array, labels: Array) -> Array:
    """x[..., labels[...]]: one element of each row along the last axis."""
    flat, at = _rows(x, labels)
    return reshape(index(flat, *at, spec=(ARRAY, ARRAY), unique=True), shape=labels.shape)


def placed(y: Array, labels: Array, classes: int) -> Array:
    """The transpose of `pick`: zeros but for y[i] in column labels[i]."""
    n = int(np.prod(labels.shape))
    at = [np.arange(n), reshape(labels, shape=(n,))]
    flat = scatter_add(reshape(y, shape=(n,)), *at, spec=(ARRAY, ARRAY), shape=(n, classes), unique=True)
    return reshape(flat, shape=(*labels.shape, classes))


# ── cross_entropy ─────────────────────────────────────────────────────────────


def _entropy_shape(x: Aval, labels: Aval) -> tuple[Aval, Aval]:
    if not x.ndim or x.shape[:-1] != labels.shape or labels.dtype.kind not in "iu":
        raise ShapeError(
            "cross_entropy",
            got=f"logits {x} and labels {labels}",
            want="logits (…, classes) and integer labels (…)",
            fix="move the class axis last",
            at=describe(here(2)),
        )
    return x.with_shape(labels.shape), x


FEW = 64  # up to so many classes, reductions run faster down the columns of a transposed copy


def _entropy_eval(x: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    shape, classes = np.shape(labels), x.shape[-1]
    at = np.reshape(labels, -1)
    columns = x.reshape(len(at), classes).T
    if classes <= FEW:
        columns = np.ascontiguousarray(columns)
    shifted, p, total = _exponentials(columns, (0,))
    loss = np.log(total[0])
    loss -= shifted[at, np.arange(len(at))]
    return loss.reshape(shape)[()], np.divide(p, total).T.reshape(*shape, classes)


def _entropy_jvp(xs: Sequence[Array], dxs: Sequence[Array], out: Any) -> tuple[Array, Array]:
    (dx, _), labels, p = dxs, xs[1], out[1]
    axis = len(p.shape) - 1
    if dx is None:
        return np.zeros(out[0].shape, out[0].dtype)[()], np.zeros(p.shape, p.dtype)
    mean = reduce_sum(scale(dx, p), axes=(axis,))
    return sub(mean, pick(dx, labels)), softmax_slope(dx, p, (axis,))


def _entropy_vjp(ct: Any, ins: Vars, xs: Sequence[Array], out: Any) -> tuple[Array | None, None]:
    (ct_loss, ct_p), labels, p = ct, xs[1], out[1]
    total = None if ct_loss is None else entropy_adjoint(ct_loss, p, labels)
    if ct_p is not None:
        more = softmax_slope(ct_p, p, (len(p.shape) - 1,))
        total = more if total is None else add(total, more)
    return total, None


def _last_axis_batch(op: Any) -> Any:
    return lambda xs, batched, size: op()(*all_batched(xs, batched, size))


_LABELS = np.array([2, 0, 3])
_GRID = np.array([[1, 0], [2, 2]])


def _cross_entropy(x: Array, labels: Array) -> tuple[Array, Array]:
    if 0 in x.shape:
        raise Unsupported("no logits")
    _, p, total, top = _parts(x, (len(x.shape) - 1,))
    chosen = sub(pick(x, labels), reshape(top, shape=labels.shape))
    return sub(log(reshape(total, shape=labels.shape)), chosen), div(p, total)


cross_entropy = Op(
    name="cross_entropy",
    accepts=FLOAT,
    multi=True,
    shape=_entropy_shape,
    eval=_entropy_eval,
    jvp=_entropy_jvp,
    vjp=_entropy_vjp,
    saves={0: (1, "out"), 1: ()},
    batch=_last_axis_batch(lambda: cross_entropy),
    samples=(
        Sample((3, 4), _LABELS, diff=(0,)),
        Sample((2, 2, 3), _GRID, diff=(0,)),
        Sample((3,), np.array(1), diff=(0,)),
        Sample((0, 3), np.zeros(0, int), diff=(0,)),
    ),
    rejects=(Sample((3, 4), np.array([0, 1]), raises=ShapeError),),
    note="(-log softmax(x)[label], softmax(x)) along the last axis; the second result is the residual",
    lower=Via(_cross_entropy),
)


def _adjoint_shape(ct: Aval, p: Aval, labels: Aval) -> Aval:
    if ct.shape != labels.shape or not p.ndim or p.shape[:-1] != labels.shape:
        raise ShapeError(
            "entropy_adjoint",
            got=f"cotangents {ct}, probabilities {p} and labels {labels}",
            want="cotangents (…), probabilities (…, classes) and integer labels (…)",
            fix="move the class axis last",
            at=describe(here(2)),
        )
    return p


def _adjoint_eval(ct: Array, p: np.ndarray, labels: np.ndarray) -> np.ndarray:
    column = np.reshape(ct, (*np.shape(ct), 1))
    out = np.asarray(strong_zero(p * column, column))
    if out.ndim != 2:
        out = np.ascontiguousarray(out)  # so that the next line is a view
    flat = out.reshape(np.size(labels), out.shape[-1])
    flat[np.arange(len(flat)), np.reshape(labels, -1)] -= np.reshape(ct, -1)
    return out


def _adjoint_jvp(xs: Sequence[Array], dxs: Sequence[Array], out: Array) -> Array:
    ct, p, labels = xs
    first = None if dxs[0] is None else entropy_adjoint(dxs[0], p, labels)
    second = None if dxs[1] is None else scale(_column(ct), dxs[1])
    if first is None and second is None:
        return np.zeros(out.shape, out.dtype)
    return fit_tangent(first if second is None else second if first is None else add(first, second), out)


def _adjoint_vjp(u: Array, ins: Vars, xs: Sequence[Array], out: Array) -> tuple[Array | None, ...]:
    dct = dp = None
    if ins[0] is not None:
        p, labels = xs[1], xs[2]
        dct = fit(sub(reduce_sum(scale(u, p), axes=(len(p.shape) - 1,)), pick(u, labels)), ins[0])
    if ins[1] is not None:
        dp = fit(scale(u, broadcast_to(_column(xs[0]), shape=ins[1].shape)), ins[1])
    return dct, dp, None


def _column(ct: Array) -> Array:
    return reshape(ct, shape=(*ct.shape, 1))


def _indicators(labels: Array, classes: int) -> Array:
    """Whether a column is that of the label, which counts from the end where it is negative."""
    labels = truncate(_column(labels), dtype=np.dtype(np.intp))
    found = where(less(labels, 0), add(labels, classes), labels)
    return equal(found, np.arange(classes))


def _entropy_adjoint(ct: Array, p: Array, labels: Array) -> Array:
    column = _column(ct)
    chosen = where(_indicators(labels, p.shape[-1]), column, np.zeros((), ct.dtype))
    return sub(scale(column, p), chosen)


entropy_adjoint = Op(
    name="entropy_adjoint",
    accepts=FLOAT,
    shape=_adjoint_shape,
    eval=_adjoint_eval,
    jvp=_adjoint_jvp,
    vjp=_adjoint_vjp,
    saves={0: (1, 2), 1: (0,), 2: ()},
    batch=_last_axis_batch(lambda: entropy_adjoint),
    samples=(
        Sample((3,), (3, 4), _LABELS, diff=(0, 1)),
        Sample((2, 2), (2, 2, 3), _GRID, diff=(0, 1)),
        Sample((), (3,), np.array(1), diff=(0, 1)),
        Sample((0,), (0, 3), np.zeros(0, int), diff=(0, 1)),
    ),
    note="(p - onehot(label))·ct, row by row; a row whose ct is zero is zero, whatever its p",
    lower=Via(_entropy_adjoint),
)

# ── one_hot ───────────────────────────────────────────────────────────────────


def _one_hot_eval(labels: Array, *, classes: int, dtype: np.dtype) -> np.ndarray:
    return (np.asarray(labels)[..., None] == np.arange(classes)).astype(dtype)


def _one_hot(labels: Array, *, classes: int, dtype: np.dtype) -> Array:
    return truncate(equal(_column(labels), np.arange(classes)), dtype=np.dtype(dtype))


one_hot = piecewise_constant(
    "one_hot",
    _one_hot_eval,
    "indicators of integers",
    accepts=ANY,
    shape=lambda labels, *, classes, dtype: Aval((*labels.shape, classes), np.dtype(dtype)),
    batch=lambda xs, batched, size, **params: one_hot(xs[0], **params),
    samples=(
        Sample(_LABELS, classes=4, dtype=np.dtype(float)),
        Sample(_GRID, classes=3, dtype=np.dtype(int)),
        Sample(np.array(1), classes=2, dtype=np.dtype(float)),
    ),
    lower=Via(_one_hot),
)
