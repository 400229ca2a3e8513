"""Integer ops behind the calculus on samples: between which samples a point lies, how many periods a phase has jumped.

They are constant between jumps. The functions that use them are piecewise linear, and their
derivative at a jump is that of the piece which the integers name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.core.aval import FLOAT, INT, Aval
from wengert.core.errors import ShapeError
from wengert.core.form import Unsupported, Via
from wengert.core.op import Constant, Op, Sample
from wengert.core.source import describe, here
from wengert.core.tensor import Array
from wengert.ops.basis import broadcast_to
from wengert.ops.elementwise import sub
from wengert.ops.family import piecewise_constant
from wengert.ops.index import index
from wengert.ops.logic import equal, greater
from wengert.ops.select import maximum, minimum
from wengert.ops.sort import searchsorted

# ── bracket ───────────────────────────────────────────────────────────────────

_INT, _BOOL = np.dtype(np.intp), np.dtype(bool)


def _bracket_eval(x: Array, xp: Array) -> tuple[Any, ...]:
    lead, n = xp.shape[:-1], xp.shape[-1]
    if not lead:
        found = np.searchsorted(xp, x, "right")
        last = xp[-1]
    else:  # one row of samples per example
        found = np.zeros(x.shape, _INT)
        for i in np.ndindex(*lead):
            found[i] = np.searchsorted(xp[i], x[i], "right")
        last = xp[..., -1].reshape(*lead, *(1,) * (x.ndim - len(lead)))
    anchor = np.maximum(found - 1, 0)
    return anchor, np.clip(anchor, 0, max(n - 2, 0)), (found == 0)[()], (x > last)[()]


def _bracket_batch(xs: Sequence[Array], batched: Sequence[bool], size: int) -> Any:
    x, xp = xs
    if batched[1] and not batched[0]:
        x = broadcast_to(x, shape=(size, *getattr(x, "shape", ())))
    if batched[0] and not batched[1] and xp.ndim > 1:  # rows of an outer batch
        xp = broadcast_to(xp, shape=(size, *xp.shape))
    return bracket(x, xp)


def _bracket_shape(x: Aval, xp: Aval) -> tuple[Aval, ...]:
    lead = xp.shape[:-1]
    if not xp.ndim or not xp.shape[-1] or x.shape[: len(lead)] != lead:
        raise ShapeError(
            "bracket",
            got=f"points {x} among samples {xp}",
            want="at least one sample, and one row of them for each example",
            fix="give one-dimensional samples",
            at=describe(here(2)),
        )
    return x.with_dtype(_INT), x.with_dtype(_INT), x.with_dtype(_BOOL), x.with_dtype(_BOOL)


def _bracketed(x: Array, xp: Array) -> tuple[Array, ...]:
    if len(xp.shape) != 1:
        raise Unsupported("a row of samples for each example")
    n = xp.shape[0]
    found = searchsorted(xp, x, side="right")
    zero = np.zeros((), _INT)
    anchor = maximum(sub(found, np.ones((), _INT)), zero)
    segment = minimum(anchor, np.full((), max(n - 2, 0), _INT))
    return anchor, segment, equal(found, zero), greater(x, index(xp, spec=(n - 1,)))


bracket = Op(
    name="bracket",
    accepts=FLOAT | INT,
    shape=_bracket_shape,
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
        Sample((2, 3), np.array([[-1.0, 0.0], [0.0, 1.0]])),
    ),
    lower=Via(_bracketed),
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
