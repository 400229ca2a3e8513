"""Scaled dot-product attention."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from wengert.core.errors import ShapeError
from wengert.core.source import describe, here
from wengert.core.tensor import Array
from wengert.nn.dropout import Seed, dropout
from wengert.nn.operands import inexact
from wengert.numpy.arrays import lift
from wengert.ops.basis import add, transpose
from wengert.ops.contract import matmul
from wengert.ops.elementwise import mul
from wengert.ops.select import where
from wengert.ops.softmax import softmax


def scaled_dot_product_attention(
    query: Any,
    key: Any,
    value: Any,
    mask: Any = None,
    *,
    causal: bool = False,
    scale: float | None = None,
    dropout_rate: float = 0.0,
    rng: Seed | None = None,
) -> Array:
    """softmax(query keyᵀ · scale + mask) value, over the last two axes; leading axes (batch, heads) broadcast.

    Shapes: query (…, L, E), key (…, S, E), value (…, S, V); result (…, L, V).

    Parameters
    ----------
    mask : boolean (…, L, S), True where a query may see a key; or numbers that are added to the scores
    causal : a query sees keys up to its own position
    scale : default 1/√E
    dropout_rate, rng : as in `dropout`, on the attention weights

    A query that may see no key gets zeros, and has derivative zero. Source: Vaswani et al. (2017).
    """
    query, key, value = inexact(query), inexact(key), inexact(value)
    if (
        min(query.ndim, key.ndim, value.ndim) < 2
        or query.shape[-1] != key.shape[-1]
        or key.shape[-2] != value.shape[-2]
    ):
        raise ShapeError(
            "scaled_dot_product_attention",
            got=f"query {tuple(query.shape)}, key {tuple(key.shape)}, value {tuple(value.shape)}",
            want="(…, L, E), (…, S, E), (…, S, V)",
            at=describe(here(1)),
        )
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    swapped = (*range(key.ndim - 2), key.ndim - 1, key.ndim - 2)
    scores = matmul(mul(query, scale), transpose(key, axes=swapped))
    if causal:
        scores = where(np.tri(query.shape[-2], key.shape[-2], dtype=bool), scores, -np.inf)
    if mask is not None:
        mask = lift(mask)
        scores = where(mask, scores, -np.inf) if mask.dtype.kind == "b" else add(scores, mask)
    weights = softmax(scores, axes=(scores.ndim - 1,))
    if dropout_rate:
        weights = dropout(weights, dropout_rate, rng)
    return matmul(weights, value)
