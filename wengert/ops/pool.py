"""Pooling windows over the last axes: sums, and maxima with their positions; leading axes are free.

A loop over the positions inside the window, each step vectorised over all places: no columns are made.

Parameters  window, strides, dilation: one integer per spatial axis; padding: a (low, high) pair for each, of zeros
            for sums and of -inf for maxima; extent: the spatial shape of what a transposed op gives back.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wengert.core.aval import FLOAT, INEXACT, Aval
from wengert.core.errors import ShapeError
from wengert.core.form import Unsupported, Via
from wengert.core.op import Op, Rule, Sample
from wengert.core.source import describe, here
from wengert.core.tensor import Array
from wengert.graph.program import Vars
from wengert.ops import scalars
from wengert.ops.basis import add, all_batched, linear
from wengert.ops.conv import Dims, Padding, padded, positions, taps, unpadded
from wengert.ops.index import index, scatter_add
from wengert.ops.logic import equal, less_equal, logical_not
from wengert.ops.select import maximum, where
from wengert.ops.shape import pad_constant


def _places(name: str, x: Aval, window: Dims, strides: Dims, padding: Padding, dilation: Dims) -> Dims:
    if x.ndim < len(window):
        places: Dims = (0,)
    else:
        places = positions(x.shape[x.ndim - len(window) :], window, strides, padding, dilation)
    if any(p < 1 for p in places):
        raise ShapeError(
            name,
            got=f"window {window} on {x} with padding {padding}",
            want="a window no longer than the padded operand, over its last axes",
            fix="use a smaller window, or more padding",
            at=describe(here(2)),
        )
    return places


def _pooled_shape(name: str) -> Rule:
    def shape(x: Aval, *, window: Dims, strides: Dims, padding: Padding, dilation: Dims) -> Aval:
        places = _places(name, x, window, strides, padding, dilation)
        return x.with_shape((*x.shape[: x.ndim - len(window)], *places))

    return shape


def _spread_shape(
    name: str, x: Aval, *, extent: Dims, window: Dims, strides: Dims, padding: Padding, dilation: Dims
) -> Aval:
    lead = x.ndim - len(window)
    out = x.with_shape((*x.shape[: max(lead, 0)], *extent))
    places = _places(name, out, window, strides, padding, dilation)
    if x.shape[max(lead, 0) :] != places:
        raise ShapeError(
            name,
            got=f"{x} for the places {places} of windows {window} on {extent}",
            want="one element for each place",
            fix="check extent, strides and padding",
            at=describe(here(2)),
        )
    return out


def _take_shape(x: Aval, at: Aval, **params: Any) -> Aval:
    out = _pooled_shape("window_take")(x, **params)
    _check_positions("window_take", out, at)
    return out


def _put_shape(y: Aval, at: Aval, **params: Any) -> Aval:
    _check_positions("window_put", y, at)
    return _spread_shape("window_put", y, **params)


def _check_positions(name: str, places: Aval, at: Aval) -> None:
    if places.shape != at.shape:
        raise ShapeError(
            name,
            got=f"positions {at} for places {places}",
            want="one position in the window for each place",
            fix="take the positions that window_max gives for these parameters",
            at=describe(here(2)),
        )


def _padded_zeros(y: np.ndarray, extent: Dims, padding: Padding) -> np.ndarray:
    lead = y.shape[: y.ndim - len(extent)]
    return np.zeros((*lead, *(n + lo + hi for n, (lo, hi) in zip(extent, padding, strict=True))), y.dtype)


def _geometry(params: dict[str, Any]) -> dict[str, Any]:
    """The parameters that all pooling ops share."""
    return {k: v for k, v in params.items() if k != "extent"}


_LINE = {"window": (2,), "strides": (2,), "padding": ((0, 0),), "dilation": (1,)}
_OVERLAP = {"window": (3,), "strides": (1,), "padding": ((1, 2),), "dilation": (2,)}
_PLANE = {"window": (2, 3), "strides": (2, 1), "padding": ((0, 1), (1, 1)), "dilation": (1, 1)}

# ── in ops ──

FEW = 25  # positions in a window that a composition may be written out in


def _resized(x: Array, padding: Padding, fill: float = 0.0) -> Array:
    """`padded` in ops."""
    lead = x.ndim - len(padding)
    if any(lo < 0 or hi < 0 for lo, hi in padding):
        inner = [slice(max(-lo, 0), n + min(hi, 0)) for n, (lo, hi) in zip(x.shape[lead:], padding, strict=True)]
        x = index(x, spec=(*(slice(None),) * lead, *inner))
    if any(lo > 0 or hi > 0 for lo, hi in padding):
        widths = tuple((max(lo, 0), max(hi, 0)) for lo, hi in padding)
        x = pad_constant(x, widths=(*((0, 0),) * lead, *widths), value=fill)
    return x


def _seen(x: Array, window: Dims, places: Dims, strides: Dims, dilation: Dims) -> list[Array]:
    """For each position in the window, what is seen there of a padded operand at each place."""
    if math.prod(window) > FEW:
        raise Unsupported(f"windows of more than {FEW} elements")
    lead = (slice(None),) * (x.ndim - len(window))
    return [index(x, spec=(*lead, *at)) for _, at in taps(window, places, strides, dilation)]


def _scattered(y: Array, extent: Dims, window: Dims, strides: Dims, padding: Padding, dilation: Dims) -> list[Array]:
    """For each position in the window, `y` at the elements (of a padded array) that are seen there, zero elsewhere.

    `y` is put once among zeros, `strides` apart; each position sees that from elsewhere."""
    if math.prod(window) > FEW:
        raise Unsupported(f"windows of more than {FEW} elements")
    lead = y.ndim - len(window)
    whole = [n + lo + hi for n, (lo, hi) in zip(extent, padding, strict=True)]
    reach = [d * (k - 1) for k, d in zip(window, dilation, strict=True)]
    apart = tuple(slice(r, r + s * (p - 1) + 1, s) for r, s, p in zip(reach, strides, y.shape[lead:], strict=True))
    free = (slice(None),) * lead
    room = (*y.shape[:lead], *(n + r for n, r in zip(whole, reach, strict=True)))
    spread = scatter_add(y, spec=(*free, *apart), shape=room)
    return [
        index(
            spread,
            spec=(
                *free,
                *(slice(r - d * i, r - d * i + n) for r, d, i, n in zip(reach, dilation, at, whole, strict=True)),
            ),
        )
        for at in np.ndindex(*window)
    ]


def _total(terms: Sequence[Array]) -> Array:
    total = terms[0]
    for term in terms[1:]:
        total = add(total, term)
    return total


def _cropped(x: Array, padding: Padding) -> Array:
    return _resized(x, tuple((-lo, -hi) for lo, hi in padding))


def _sum_of_taps(x: Array, *, window: Dims, strides: Dims, padding: Padding, dilation: Dims) -> Array:
    places = positions(x.shape[x.ndim - len(window) :], window, strides, padding, dilation)
    return _total(_seen(_resized(x, padding), window, places, strides, dilation))


def _spread_of_taps(y: Array, *, extent: Dims, window: Dims, strides: Dims, padding: Padding, dilation: Dims) -> Array:
    return _cropped(_total(_scattered(y, extent, window, strides, padding, dilation)), padding)


def _taken(x: Array, at: Array, *, window: Dims, strides: Dims, padding: Padding, dilation: Dims) -> Array:
    places = at.shape[at.ndim - len(window) :]
    out: Array = np.zeros((), x.dtype)
    for k, seen in enumerate(_seen(_resized(x, padding), window, places, strides, dilation)):
        out = where(equal(at, k), seen, out)
    return out


def _put(y: Array, at: Array, *, extent: Dims, window: Dims, strides: Dims, padding: Padding, dilation: Dims) -> Array:
    values = _scattered(y, extent, window, strides, padding, dilation)
    numbers = _scattered(add(at, 1), extent, window, strides, padding, dilation)  # 0 where there is no place
    zero = np.zeros((), y.dtype)
    hits = [where(equal(n, k + 1), v, zero) for k, (n, v) in enumerate(zip(numbers, values, strict=True))]
    return _cropped(_total(hits), padding)


def _maximum_of_taps(x: Array, *, window: Dims, strides: Dims, padding: Padding, dilation: Dims) -> tuple[Array, Array]:
    places = positions(x.shape[x.ndim - len(window) :], window, strides, padding, dilation)
    best: Array = np.full((), -np.inf, x.dtype)
    at: Array = np.zeros((), np.int32)
    for k, seen in enumerate(_seen(_resized(x, padding, -np.inf), window, places, strides, dilation)):
        better = logical_not(less_equal(seen, best))
        at = where(better, np.full((), k, np.int32), at)
        best = maximum(best, seen)
    return best, at


# ── window_sum, window_spread ─────────────────────────────────────────────────


def _sum_eval(x: np.ndarray, *, window: Dims, strides: Dims, padding: Padding, dilation: Dims) -> np.ndarray:
    lead = x.ndim - len(window)
    places = positions(x.shape[lead:], window, strides, padding, dilation)
    x = padded(x, padding)
    total = np.zeros((*x.shape[:lead], *places), x.dtype)
    for _, at in taps(window, places, strides, dilation):
        total += x[(..., *at)]
    return total


def _spread_eval(
    y: np.ndarray, *, extent: Dims, window: Dims, strides: Dims, padding: Padding, dilation: Dims
) -> np.ndarray:
    out = _padded_zeros(y, extent, padding)
    for _, at in taps(window, y.shape[y.ndim - len(window) :], strides, dilation):
        out[(..., *at)] += y
    return unpadded(out, padding)


window_sum = linear(
    "window_sum",
    shape=_pooled_shape("window_sum"),
    eval=_sum_eval,
    transpose=lambda ct, var, **p: window_spread(ct, extent=var.shape[len(var.shape) - len(p["window"]) :], **p),
    batch=lambda xs, batched, size, **params: window_sum(xs[0], **params),
    samples=(
        Sample((2, 5), **_LINE),
        Sample((6,), **_OVERLAP),
        Sample((2, 4, 4), **_PLANE),
        Sample((0, 4), **_LINE),
    ),
    rejects=(Sample((2, 1), **_LINE, raises=ShapeError), Sample((), **_LINE, raises=ShapeError)),
    lower=Via(_sum_of_taps),
)

window_spread = linear(
    "window_spread",
    shape=lambda x, **params: _spread_shape("window_spread", x, **params),
    eval=_spread_eval,
    transpose=lambda ct, var, **p: window_sum(ct, **_geometry(p)),
    batch=lambda xs, batched, size, **params: window_spread(xs[0], **params),
    samples=(
        Sample((2, 2), extent=(5,), **_LINE),
        Sample((5,), extent=(6,), **_OVERLAP),
        Sample((2, 2, 4), extent=(4, 4), **_PLANE),
    ),
    note="the transpose of window_sum",
    lower=Via(_spread_of_taps),
)

# ── window_take, window_put ───────────────────────────────────────────────────


def _take_eval(
    x: np.ndarray, at: np.ndarray, *, window: Dims, strides: Dims, padding: Padding, dilation: Dims
) -> np.ndarray:
    places = at.shape[at.ndim - len(window) :]
    x = padded(x, padding)
    out = np.zeros(at.shape, x.dtype)
    for k, (_, slices) in enumerate(taps(window, places, strides, dilation)):
        np.copyto(out, x[(..., *slices)], where=at == k)
    return out


def _put_eval(
    y: np.ndarray,
    at: np.ndarray,
    *,
    extent: Dims,
    window: Dims,
    strides: Dims,
    padding: Padding,
    dilation: Dims,
) -> np.ndarray:
    out = _padded_zeros(y, extent, padding)
    finite = bool(np.isfinite(y).all())  # then a product selects as `where` does, in a fraction of the time
    for k, (_, slices) in enumerate(taps(window, y.shape[y.ndim - len(window) :], strides, dilation)):
        hit = at == k
        out[(..., *slices)] += y * hit if finite else np.where(hit, y, y.dtype.type(0))
    return unpadded(out, padding)


def _selection(
    name: str, shape: Rule, evaluate: Rule, back: Callable[..., Array], samples: Sequence[Sample], lower: Via
) -> Op:
    """An op that is linear in its first operand, and constant in the window positions, its second."""
    op: Op

    def jvp(xs: Sequence[Array], dxs: Sequence[Array], out: Array, **params: Any) -> Array:
        return op(dxs[0], xs[1], **params)

    def vjp(ct: Array, ins: Vars, xs: Sequence[Array], out: Array, **params: Any) -> tuple[Array | None, None]:
        return back(ct, xs[1], ins[0], **params), None

    op = Op(
        name=name,
        accepts=INEXACT,
        shape=shape,
        eval=evaluate,
        jvp=jvp,
        vjp=vjp,
        saves={0: (1,), 1: ()},
        batch=lambda xs, batched, size, **params: op(*all_batched(xs, batched, size), **params),
        samples=tuple(samples),
        lower=lower,
    )
    return op


_AT_LINE = np.array([[0, 1], [1, 1]])
_AT_OVERLAP = np.array([1, 2, 0, 1, 1])
_AT_PLANE = np.array([[[3, 4, 5, 0], [2, 1, 1, 1]], [[3, 1, 1, 1], [1, 2, 0, 1]]])

window_take = _selection(
    "window_take",
    _take_shape,
    _take_eval,
    lambda ct, at, var, **p: window_put(ct, at, extent=var.shape[len(var.shape) - len(p["window"]) :], **p),
    (
        Sample((2, 5), _AT_LINE, **_LINE),
        Sample((6,), _AT_OVERLAP, **_OVERLAP),
        Sample((2, 4, 4), _AT_PLANE, **_PLANE),
    ),
    lower=Via(_taken),
)
window_put = _selection(
    "window_put",
    _put_shape,
    _put_eval,
    lambda ct, at, var, **p: window_take(ct, at, **_geometry(p)),
    (
        Sample((2, 2), _AT_LINE, extent=(5,), **_LINE),
        Sample((5,), _AT_OVERLAP, extent=(6,), **_OVERLAP),
        Sample((2, 2, 4), _AT_PLANE, extent=(4, 4), **_PLANE),
    ),
    lower=Via(_put),
)

# ── window_max ────────────────────────────────────────────────────────────────


def _max_eval(
    x: np.ndarray, *, window: Dims, strides: Dims, padding: Padding, dilation: Dims
) -> tuple[np.ndarray, np.ndarray]:
    lead = x.ndim - len(window)
    places = positions(x.shape[lead:], window, strides, padding, dilation)
    x = padded(x, padding, -np.inf)
    best = np.full((*x.shape[:lead], *places), -np.inf, x.dtype)
    at = np.zeros(best.shape, np.int32)
    for k, (_, slices) in enumerate(taps(window, places, strides, dilation)):
        seen = x[(..., *slices)]
        better = ~(seen <= best)  # a NaN is better than everything
        at *= ~better
        at += better * np.int32(k)
        np.maximum(best, seen, out=best)
    return best, at


def _max_shape(x: Aval, **params: Any) -> tuple[Aval, Aval]:
    out = _pooled_shape("window_max")(x, **params)
    return out, out.with_dtype(np.int32)


window_max = Op(
    name="window_max",
    accepts=FLOAT,
    multi=True,
    shape=_max_shape,
    eval=_max_eval,
    jvp=lambda xs, dxs, out, **params: (window_take(dxs[0], out[1], **params), None),
    vjp=lambda ct, ins, xs, out, **p: (
        window_put(ct[0], out[1], extent=ins[0].shape[len(ins[0].shape) - len(p["window"]) :], **p),
    ),
    saves=("out",),
    batch=lambda xs, batched, size, **params: window_max(xs[0], **params),
    samples=(
        Sample((2, 5), **_LINE),
        Sample((6,), **_OVERLAP),
        Sample((2, 4, 4), **_PLANE),
        Sample((0, 4), **_LINE),
    ),
    rejects=(Sample((2, 1), **_LINE, raises=ShapeError),),
    note="(maximum, its position in the window); of equal elements the first is taken, as in PyTorch",
    lower=scalars.for_floats(Via(_maximum_of_taps)),
)
