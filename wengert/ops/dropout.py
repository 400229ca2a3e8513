"""Dropout: elements zeroed at random, the rest scaled up to keep the mean.

The mask is a function of the seed, which is a parameter: the backward pass, and any later replay, draws the same
mask again, and nothing is stored.

Source  Srivastava et al. (2014).
"""

from __future__ import annotations

import numpy as np

from wengert.core.aval import INEXACT
from wengert.core.op import Sample
from wengert.core.tensor import Array
from wengert.ops.basis import linear, strong_zero


def keep_mask(seed: int, rate: float, shape: tuple[int, ...]) -> np.ndarray:
    """True with probability 1 - rate."""
    return np.random.default_rng(seed).random(shape, dtype=np.float32) >= np.float32(rate)


def _dropout_eval(x: Array, *, seed: int, rate: float, shape: tuple[int, ...]) -> Array:
    mask = keep_mask(seed, rate, shape)
    with np.errstate(invalid="ignore"):  # an infinity that is dropped
        kept = x * mask
    if rate < 1:
        kept *= x.dtype.type(1 / (1 - rate))
    return strong_zero(kept, mask)


dropout = linear(
    "dropout",
    accepts=INEXACT,
    shape=lambda x, *, seed, rate, shape: x,
    eval=_dropout_eval,
    transpose=lambda ct, var, **params: dropout(ct, **params),
    batch=lambda xs, batched, size, **params: dropout(xs[0], **params),
    samples=(
        Sample((3, 4), seed=0, rate=0.3, shape=(3, 4)),
        Sample((3, 4), seed=1, rate=0.5, shape=(1, 4)),
        Sample((), seed=2, rate=0.5, shape=()),
        Sample((0, 2), seed=2, rate=0.5, shape=(0, 2)),
        Sample((3,), seed=2, rate=1.0, shape=(3,)),
    ),
    note="`shape` is the mask's, which broadcasts to x: under vmap all examples share one mask",
)
