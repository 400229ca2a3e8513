"""Discrete convolution along the last axis; other axes broadcast.

In a pullback the cotangent is strong: a zero of it annihilates infinities and NaNs (see `contract`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.core.aval import ANY, Aval, promote
from wengert.core.errors import ShapeError
from wengert.core.op import Op, Sample
from wengert.core.source import describe, here
from wengert.core.tensor import Array
from wengert.graph.program import Vars
from wengert.ops.basis import add, broadcast_shapes, fit, fit_tangent, reshape
from wengert.ops.contract import Strong, strong_product
from wengert.ops.shape import flip

# ── convolve ──────────────────────────────────────────────────────────────────


def _length(n: int, m: int, mode: str) -> int:
    return n + m - 1 if mode == "full" else n - m + 1


def _convolve_shape(x: Aval, y: Aval, *, mode: str, strong: Strong | None = None) -> Aval:
    if x.ndim < 1 or y.ndim < 1 or 0 in (x.shape[-1], y.shape[-1]) or (mode == "valid" and x.shape[-1] < y.shape[-1]):
        raise ShapeError(
            "convolve",
            got=f"{x} and {y} with mode={mode!r}",
            want="arrays of at least one element along the last axis, for 'valid' the longer one first",
            fix="exchange the operands, or add an axis",
            at=describe(here(2)),
        )
    lead = broadcast_shapes("convolve", x.shape[:-1], y.shape[:-1])
    return Aval((*lead, _length(x.shape[-1], y.shape[-1], mode)), promote(x, y))


def _convolve_eval(x: np.ndarray, y: np.ndarray, *, mode: Any, strong: Strong | None = None) -> np.ndarray:
    if strong is None:
        return _convolved(x, y, mode)
    return strong_product(lambda a, b: _convolved(a, b, mode), x, y, strong)


def _convolved(x: np.ndarray, y: np.ndarray, mode: Any) -> np.ndarray:
    if x.ndim == y.ndim == 1:
        return np.convolve(x, y, mode)
    if mode == "full":
        if x.shape[-1] < y.shape[-1]:
            x, y = y, x
        if not (np.isfinite(x).all() and np.isfinite(y).all()):
            return _shifted_sum(x, y)  # which has no products with zeros outside x
        edge = (y.shape[-1] - 1,) * 2
        x = np.pad(x, [(0, 0)] * (x.ndim - 1) + [edge])
    windows = np.lib.stride_tricks.sliding_window_view(x, y.shape[-1], axis=-1)
    return (windows @ y[..., ::-1, None])[..., 0].astype(np.result_type(x, y), copy=False)


def _shifted_sum(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    lead, n, taps = np.broadcast_shapes(x.shape[:-1], y.shape[:-1]), x.shape[-1], y.shape[-1]
    out = np.zeros((*lead, n + taps - 1), np.result_type(x, y))
    for k in range(taps):
        out[..., k : k + n] += x * y[..., k : k + 1]
    return out


def _last(x: Array) -> Array:
    return flip(x, axes=(len(x.shape) - 1,))


def _convolve_jvp(
    xs: Sequence[Array], dxs: Sequence[Array], out: Array, *, mode: str, strong: Strong | None = None
) -> Array:
    sx, sy = strong or (False, False)
    dx = None if dxs[0] is None else convolve(dxs[0], xs[1], mode=mode, strong=(True, sy))
    dy = None if dxs[1] is None else convolve(xs[0], dxs[1], mode=mode, strong=(sx, True))
    return fit_tangent(dx if dy is None else dy if dx is None else add(dx, dy), out)


def _convolve_vjp(
    ct: Array, ins: Vars, xs: Sequence[Array], out: Array, *, mode: str, strong: Strong | None = None
) -> tuple[Array | None, ...]:
    sx, sy = strong or (False, False)
    x, y = ins
    dx = dy = None
    if x is not None:
        dx = fit(convolve(ct, _last(xs[1]), mode="valid" if mode == "full" else "full", strong=(True, sy)), x)
    if y is not None and mode == "full":
        dy = fit(convolve(ct, _last(xs[0]), mode="valid", strong=(True, sx)), y)
    elif y is not None:
        dy = fit(convolve(_last(xs[0]), ct, mode="valid", strong=(sx, True)), y)
    return dx, dy


def _convolve_batch(
    xs: Sequence[Array], batched: Sequence[bool], size: int, *, mode: str, strong: Strong | None = None
) -> Array:
    rank = max(x.ndim - b for x, b in zip(xs, batched, strict=True))
    aligned = [
        reshape(x, shape=(size, *(1,) * (rank - x.ndim + 1), *x.shape[1:])) if b else x
        for x, b in zip(xs, batched, strict=True)
    ]
    return convolve(*aligned, mode=mode, strong=strong)


convolve = Op(
    name="convolve",
    accepts=ANY,
    shape=_convolve_shape,
    eval=_convolve_eval,
    jvp=_convolve_jvp,
    vjp=_convolve_vjp,
    saves={0: (1,), 1: (0,)},
    batch=_convolve_batch,
    samples=(
        Sample((4,), (3,), mode="full"),
        Sample((2,), (5,), mode="full"),
        Sample((5,), (3,), mode="valid"),
        Sample((3,), (3,), mode="valid"),
        Sample((1,), (1,), mode="full"),
        Sample((2, 4), (3,), mode="full"),
        Sample((3,), (2, 1, 5), mode="full"),
        Sample((2, 4), (3, 1, 2), mode="valid"),
        Sample((0, 4), (3,), mode="full"),
        Sample((4,), (3,), mode="full", strong=(True, False)),
        Sample((4,), (3,), mode="valid", strong=(False, True)),
    ),
    rejects=(
        Sample((0,), (2,), mode="full", raises=ShapeError),
        Sample((2,), (3,), mode="valid", raises=ShapeError),
        Sample((2, 3), (3, 2), mode="full", raises=ShapeError),
    ),
)
