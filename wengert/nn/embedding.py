"""Linear maps of features and of integers: linear, bilinear, embedding, one_hot."""

from __future__ import annotations

from typing import Any

import numpy as np

from wengert.core.errors import DTypeError, ShapeError
from wengert.core.source import describe, here
from wengert.core.tensor import Array, Tensor
from wengert.nn.operands import inexact
from wengert.numpy.arrays import lift
from wengert.ops.basis import add, reduce_sum, reshape, transpose
from wengert.ops.contract import matmul
from wengert.ops.elementwise import mul
from wengert.ops.index import ARRAY, index
from wengert.ops.select import where
from wengert.ops.softmax import one_hot as one_hot_op
from wengert.transforms.switches import stop_gradient


def linear(x: Any, weight: Any, bias: Any = None) -> Array:
    """x @ weight.T + bias: x (…, in), weight (out, in) or (in,), bias (out,), as in PyTorch."""
    x, weight = inexact(x), inexact(weight)
    y = matmul(x, transpose(weight, axes=(1, 0)) if weight.ndim == 2 else weight)
    return y if bias is None else add(y, inexact(bias))


def bilinear(x: Any, y: Any, weight: Any, bias: Any = None) -> Array:
    """Σ x[i]·weight[o,i,j]·y[j] + bias[o]: x (…, I), y (…, J), weight (O, I, J)."""
    x, y, weight = inexact(x), inexact(y), inexact(weight)
    o, i, j = weight.shape
    inner = matmul(x, reshape(transpose(weight, axes=(1, 0, 2)), shape=(i, o * j)))
    inner = reshape(inner, shape=(*x.shape[:-1], o, j))
    out = reduce_sum(mul(inner, reshape(y, shape=(*y.shape[:-1], 1, j))), axes=(x.ndim,))
    return out if bias is None else add(out, inexact(bias))


def embedding(ids: Any, weight: Any, padding_idx: int | None = None) -> Array:
    """Rows of `weight` (n, …) by integer `ids`; the row `padding_idx` gets no derivative."""
    ids, weight = integers(ids, "embedding"), inexact(weight)
    if padding_idx is None:
        return index(weight, ids, spec=(ARRAY,))
    n = weight.shape[0]
    if not -n <= padding_idx < n:
        raise ShapeError("embedding", got=f"padding_idx={padding_idx}", want=f"one of {n} rows", at=describe(here(1)))
    row = np.arange(n) == padding_idx % n
    frozen = where(row.reshape(n, *(1,) * (weight.ndim - 1)), stop_gradient(weight), weight)
    return index(frozen, ids, spec=(ARRAY,))


def one_hot(labels: Any, classes: int | None = None, dtype: Any = float) -> Array:
    """Integers (…) as indicators (…, classes); an integer outside [0, classes) gives zeros.

    classes=None is the largest label plus one, for which the labels must be known (not under vmap).
    """
    labels = integers(labels, "one_hot")
    if classes is None:
        known = labels if type(labels) is not Tensor else np.asarray(labels)
        classes = int(np.max(known)) + 1 if known.size else 0
    return one_hot_op(labels, classes=int(classes), dtype=np.dtype(dtype))


def integers(x: Any, what: str) -> Array:
    """An array of integers, or DTypeError."""
    x = lift(x)
    if x.dtype.kind not in "iu":
        raise DTypeError(
            what,
            got=f"{x.dtype} of shape {tuple(x.shape)}",
            want="integers",
            fix="cast with .astype(int)",
            at=describe(here(2)),
        )
    return x


__all__ = ["bilinear", "embedding", "integers", "linear", "one_hot"]
