"""Rank that rounding has lost: where a derivative needs a regular matrix, and would be made of rounding errors, these say so.

They are ops, so that a rule can call them on values, on Tensors and on batches; what they return tells nothing.
"""

from __future__ import annotations

import numpy as np

from wengert.core.op import Sample
from wengert.core.tensor import Array
from wengert.ops.family import piecewise_constant
from wengert.ops.matrix import regular

ASSERTION = "an assertion"


def _eps(x: np.ndarray) -> float:
    return float(np.finfo(x.dtype).eps)


def _resolved_eval(pivots: Array, sizes: Array) -> np.ndarray:
    n = pivots.shape[-1] if pivots.ndim else 1
    if np.any(np.abs(pivots) <= n * _eps(sizes) * sizes):
        raise np.linalg.LinAlgError("Singular matrix, to working precision")
    return np.ones(np.broadcast_shapes(pivots.shape, sizes.shape), bool)


resolved = piecewise_constant(
    "resolved",
    _resolved_eval,
    ASSERTION,
    arity=2,
    samples=[Sample(s, s, domain=(0.3, 2.0), real_only=True) for s in ((3,), (2, 3), (0,))],
)
resolved.note = "raises LinAlgError where a pivot is no more than the rounding of the numbers it was computed from"


def _full_rank_eval(a: Array) -> np.ndarray:
    if a.size:
        s = np.linalg.svd(a, compute_uv=False)
        if np.any(s[..., -1] <= s.shape[-1] * _eps(s) * s[..., 0]):
            raise np.linalg.LinAlgError(
                "Singular matrix, to working precision, where this derivative needs a regular one"
            )
    return np.ones(a.shape[:-2], bool)


full_rank = piecewise_constant(
    "full_rank",
    _full_rank_eval,
    ASSERTION,
    shape=lambda a: a.with_shape(a.shape[:-2]).with_dtype(bool),
    batch=lambda xs, batched, size: full_rank(xs[0]),
    samples=[Sample(s, domain=regular) for s in ((3, 3), (2, 3, 3), (0, 0))],
)
full_rank.note = "raises LinAlgError where the smallest singular value is no more than rounding of the largest"


def singular(a: np.ndarray) -> np.ndarray:
    """Which matrices of a stack are singular to working precision. A triangular one is judged by its diagonal alone, since
    rounding does not mix its scales."""
    diagonal = np.abs(np.diagonal(a, axis1=-2, axis2=-1))
    if not a.size:
        return np.zeros(a.shape[:-2], bool)
    with np.errstate(all="ignore"):
        finite = np.asarray(np.isfinite(a).all((-2, -1)))
        s = np.linalg.svd(np.where(finite[..., None, None], a, 0), compute_uv=False)
    low = s[..., -1] <= a.shape[-1] * _eps(s) * s[..., 0]
    triangular = ~np.any(np.tril(a, -1), (-2, -1)) | ~np.any(np.triu(a, 1), (-2, -1))
    return np.where(triangular, diagonal.min(-1) == 0, low) & finite


__all__ = ["full_rank", "resolved", "singular"]
