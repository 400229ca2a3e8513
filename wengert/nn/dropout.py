"""Dropout, with its randomness in the open: a seed, or a NumPy Generator that is asked for one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.core.tensor import Array
from wengert.nn.operands import inexact
from wengert.numpy.arrays import axes_of
from wengert.ops.dropout import dropout as dropout_op

Seed = int | np.random.Generator


def seed_of(rng: Seed) -> int:
    """A seed: the integer itself, or the Generator's next."""
    return int(rng.integers(2**63)) if isinstance(rng, np.random.Generator) else int(rng)


def dropout(
    x: Any, rate: float = 0.5, rng: Seed | None = None, *, training: bool = True, shared: int | Sequence[int] = ()
) -> Array:
    """Each element is zeroed with probability `rate`, and the rest divided by 1 - rate. Not in training: x itself.

    Parameters
    ----------
    rng : int or numpy.random.Generator
        An integer gives the same mask for ever: the pullback, and a replay under a checkpoint, draw it again, so it
        is never stored. A Generator gives one integer per call; checkpoints set it back when they run a function again.
    shared : axes along which one decision holds, such as (-2, -1) to drop whole channels of an image

    Under vmap all examples share one mask.
    """
    x = inexact(x)
    if not 0 <= rate <= 1:
        raise ValueError(f"dropout: got rate={rate}, want a probability between 0 and 1")
    if not training or rate == 0:
        return x
    if rng is None:
        raise ValueError("dropout in training needs rng: an integer, or a numpy.random.Generator")
    together = axes_of(tuple(shared) if isinstance(shared, (tuple, list)) else shared, x.ndim)
    shape = tuple(1 if i in together else d for i, d in enumerate(x.shape))
    return dropout_op(x, seed=seed_of(rng), rate=float(rate), shape=shape)
