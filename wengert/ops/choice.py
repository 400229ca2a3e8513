"""Integer ops behind selection by index: which element a position stands for."""

from __future__ import annotations

from typing import Any

import numpy as np

from wengert.core.aval import ANY, Aval
from wengert.core.form import Map, Unsupported
from wengert.core.op import Sample
from wengert.core.tensor import Array
from wengert.ops import scalars
from wengert.ops.family import piecewise_constant

# ── position ──────────────────────────────────────────────────────────────────


def _position(i: Array, *, length: int, mode: str) -> Any:
    i = np.asarray(i)
    if mode == "wrap":
        return np.remainder(i, length)[()] if length else i[()]
    if mode == "clip":
        return np.clip(i, 0, max(length - 1, 0))[()]
    if i.size and (i.min() < -length or i.max() >= length):
        bad = i[(i < -length) | (i >= length)].flat[0]
        raise IndexError(f"index {bad} is out of bounds for axis with size {length}")
    return np.where(i < 0, i + length, i)[()]


def _position_scalar(b: Any, i: Any, *, length: int, mode: str) -> Any:
    if mode == "clip":
        return b.minimum(b.maximum(i, b.like(0, i)), b.like(max(length - 1, 0), i))
    if mode == "wrap" and length:
        return scalars.integer_remainder(b, i, b.like(length, i))
    raise Unsupported("positions out of bounds raise IndexError")


position = piecewise_constant(
    "position",
    _position,
    "an index",
    shape=lambda i, *, length, mode: Aval(
        i.shape, np.result_type(i.dtype, np.intp if i.dtype.kind == "b" else i.dtype)
    ),
    accepts=ANY,
    samples=(
        Sample(np.array([[5, -1, 3]]), length=3, mode="wrap"),
        Sample(np.array([5, -1, 3]), length=3, mode="clip"),
        Sample(np.array([2, -1, 0]), length=3, mode="raise"),
    ),
    lower=Map(_position_scalar, cost=40),
)
