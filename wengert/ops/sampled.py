"""Integer ops behind the calculus on samples: between which samples a point lies, how many periods a phase has jumped.

They are constant between jumps. The functions that use them are piecewise linear, and their
derivative at a jump is that of the piece which the integers name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.core.aval import FLOAT, INT, Aval
from wengert.core.op import Constant, Op, Sample
from wengert.core.tensor import Array
from wengert.ops.basis import broadcast_to
from wengert.ops.family import piecewise_constant

# ── bracket ───────────────────────────────────────────────────────────────────

_INT, _BOOL = np.dtype(np.intp), np.dtype(bool)


def _bracket_eval(x: Array, xp: Array) -> tuple[Any, ...]:
    if xp.ndim == 1:
        found = np.searchsorted(xp, x, "right")
        last = xp[-1]
    else:  # one row of samples per example
        found = np.stack([np.searchsorted(row, points, "right") for row, points in zip(xp, x, strict=True)])
        last = xp[:, -1].reshape(-1, *(1,) * (x.ndim - 1))
    n = xp.shape[-1]
    anchor = np.maximum(found - 1, 0)
    return anchor, np.clip(anchor, 0, max(n - 2, 0)), (found == 0)[()], (x > last)[()]


def _bracket_batch(xs: Sequence[Array], batched: Sequence[bool], size: int) -> Any:
    x, xp = xs
    if batched[1] and not batched[0]:
        x = broadcast_to(x, shape=(size, *getattr(x, "shape", ())))
    return bracket(x, xp)


bracket = Op(
    name="bracket",
    accepts=FLOAT | INT,
    shape=lambda x, xp: (Aval(x.shape, _INT), Aval(x.shape, _INT), Aval(x.shape, _BOOL), Aval(x.shape, _BOOL)),
    eval=_bracket_eval,
    jvp=Constant("which samples a point lies between is constant from one sample to the next"),
    vjp=Constant("which samples a point lies between is constant from one sample to the next"),
    saves=(),
    batch=_bracket_batch,
    multi=True,
    samples=(
        Sample((3, 4), np.linspace(-1.5, 1.5, 5)),
        Sample((), np.array([-1.0, 0.0, 1.0])),
        Sample((3,), np.array([0.5])),
        Sample((0,), np.array([0.0, 0.5])),
    ),
    note="the sample at or left of x, its segment (the last one for the last sample), left of all, right of all",
)

# ── turns ─────────────────────────────────────────────────────────────────────


def _turns_eval(p: Array, *, period: float, discont: float | None, axis: int) -> np.ndarray:
    """By how many periods `numpy.unwrap` moves each element."""
    p = np.asarray(p, float)
    return np.rint((np.unwrap(p, discont, axis, period=period) - p) / period).astype(np.intp)


turns = piecewise_constant(
    "turns",
    _turns_eval,
    "a whole number of periods",
    shape=lambda p, *, period, discont, axis: Aval(p.shape, _INT),
    batch=lambda xs, batched, size, *, period, discont, axis: turns(
        xs[0], period=period, discont=discont, axis=axis + 1 if axis >= 0 else axis
    ),
    accepts=FLOAT | INT,
    samples=(
        Sample((6,), domain=(-9.0, 9.0), period=2 * np.pi, discont=None, axis=0),
        Sample((3, 4), domain=(-9.0, 9.0), period=3.0, discont=2.5, axis=1),
        Sample((3, 4), domain=(-9.0, 9.0), period=3.0, discont=None, axis=0),
    ),
)
