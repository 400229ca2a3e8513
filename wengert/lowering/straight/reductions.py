"""Reductions of registers: sums, products, extrema, running ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.core.form import Unsupported
from wengert.lowering.straight.cells import object_array
from wengert.lowering.text import BOOL, Builder, Value

KINDS = frozenset({"add", "mul", "max", "min", "fmax", "fmin", "any", "all"})
_START: dict[str, Any] = {"add": 0, "mul": 1, "any": False, "all": True}


def _of_nothing(kind: str, dtype: np.dtype) -> Any:
    if kind not in _START:
        raise Unsupported("an extremum of nothing")
    return _START[kind]


def combined(b: Builder, kind: str, x: Value, y: Value) -> Value:
    """One step of a reduction."""
    boolean, floating = x.dtype.kind == "b", x.dtype.kind == "f"
    if kind == "add":
        return b.add(x, y)
    if kind == "mul":
        return b.mul(x, y)
    if kind in ("any", "all"):
        return b.or_(x, y) if kind == "any" else b.and_(x, y)
    large = kind in ("max", "fmax")
    if boolean:
        return b.or_(x, y) if large else b.and_(x, y)
    if not floating:
        return b.maximum(x, y) if large else b.minimum(x, y)
    if kind in ("max", "min"):
        return b.maximum(x, y) if large else b.minimum(x, y)
    return b.intrinsic("maxnum" if large else "minnum", x, y, flags="nsz ")


def tree(b: Builder, kind: str, values: Sequence[Value]) -> Value:
    """All of them, pair by pair: few wait for each other."""
    while len(values) > 1:
        rest = [values[-1]] if len(values) % 2 else []
        values = [combined(b, kind, x, y) for x, y in zip(values[:-1:2], values[1::2], strict=False)] + rest
    return values[0]


def reduced(b: Builder, kind: str, values: np.ndarray, axes: Sequence[int], dtype: np.dtype) -> np.ndarray:
    """A reduction over `axes`."""
    kept = [a for a in range(values.ndim) if a not in axes]
    shape = tuple(values.shape[a] for a in kept)
    rows = values.transpose([*kept, *axes]).reshape((math.prod(shape), -1 if values.size else 0))
    inner = BOOL if kind in ("any", "all") else dtype
    out = []
    for row in rows:
        each = [b.cast(v, inner) for v in row]
        found = tree(b, kind, each) if each else b.const(_of_nothing(kind, inner), inner)
        out.append(b.cast(found, dtype))
    return object_array(shape, out)


def running(b: Builder, kind: str, values: np.ndarray, axis: int, backwards: bool, dtype: np.dtype) -> np.ndarray:
    """A running reduction along `axis`."""
    out = np.empty(values.shape, object)
    ahead, places = np.moveaxis(out, axis, 0), np.moveaxis(values, axis, 0)
    n = values.shape[axis]
    for at in np.ndindex(places.shape[1:]):
        total: Value | None = None
        for i in reversed(range(n)) if backwards else range(n):
            x = b.cast(places[(i, *at)], dtype)
            total = x if total is None else combined(b, kind, total, x)
            ahead[(i, *at)] = total
    return out
