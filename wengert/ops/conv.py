"""Convolution (cross-correlation) in any number of dimensions, with its two adjoints.

One trilinear form stands behind three ops, so their rules close:

    T(x, w, y) = Σ y[n,g,o,p] · x[n,g,c, s·p + d·k - lo] · w[g,o,c,k]

    conv(x, w) = ∂T/∂y        conv_input(y, w) = ∂T/∂x        conv_kernel(x, y) = ∂T/∂w

Shapes  x (N, G, C, *S), w (G, O, C, *K), y (N, G, O, *P): N examples, G groups, C channels in and O
        channels out of each group; S, K, P spatial, P = (S + lo + hi - d(K - 1) - 1) // s + 1.
        Positions outside S count as zero. Negative padding crops.
Cost    2·N·G·O·C·|K|·|P| flops in matrix products over columns ("im2col"; Chellapilla et al. 2006). The columns
        are made for a few examples at a time in one buffer of `BUFFER` bytes, which stays in cache.
Batch   A vmap axis joins an axis that the other operand lacks; where both operands have it, it joins the groups.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import as_strided

from wengert.core.aval import INEXACT, Aval, promote
from wengert.core.errors import ShapeError
from wengert.core.form import Library
from wengert.core.op import Op, Rule, Sample
from wengert.core.source import describe, here
from wengert.core.tensor import Array
from wengert.graph.program import Vars
from wengert.ops.basis import add, fit, fit_tangent, reshape, transpose
from wengert.ops.contract import strong_product

BUFFER = 1 << 20  # bytes of columns at a time; measured best between 2^18 and 2^21
Dims = tuple[int, ...]
Padding = tuple[tuple[int, int], ...]
Strong = tuple[bool, bool]

# ── geometry ──────────────────────────────────────────────────────────────────


def positions(size: Dims, kernel: Dims, strides: Dims, padding: Padding, dilation: Dims) -> Dims:
    """How many places a window takes along each spatial axis; 0 or less where it does not fit."""
    return tuple(
        (n + lo + hi - d * (k - 1) - 1) // s + 1
        for n, k, s, (lo, hi), d in zip(size, kernel, strides, padding, dilation, strict=True)
    )


def padded(x: np.ndarray, padding: Padding, fill: float = 0.0) -> np.ndarray:
    """`x` with its last axes padded, or cropped where the padding is negative."""
    if all(lo <= 0 and hi <= 0 for lo, hi in padding):
        return x[(..., *(slice(-lo, n + hi) for (lo, hi), n in zip(padding, x.shape[-len(padding) :], strict=True)))]
    lead = x.ndim - len(padding)
    out = np.full(
        (*x.shape[:lead], *(n + lo + hi for n, (lo, hi) in zip(x.shape[lead:], padding, strict=True))), fill, x.dtype
    )
    inner = tuple(
        (slice(max(lo, 0), n + lo + min(hi, 0)), slice(max(-lo, 0), n + min(hi, 0)))
        for n, (lo, hi) in zip(x.shape[lead:], padding, strict=True)
    )
    out[(..., *(i for i, _ in inner))] = x[(..., *(j for _, j in inner))]
    return out


def unpadded(x: np.ndarray, padding: Padding) -> np.ndarray:
    """The inverse of `padded` (its transpose)."""
    return padded(x, tuple((-lo, -hi) for lo, hi in padding))


def windows(x: np.ndarray, kernel: Dims, places: Dims, strides: Dims, dilation: Dims) -> np.ndarray:
    """The (…, *kernel, *places) view of a padded (…, *size): which element each kernel position sees at each place."""
    lead = x.ndim - len(kernel)
    steps = x.strides[lead:]
    return as_strided(
        x,
        (*x.shape[:lead], *kernel, *places),
        (
            *x.strides[:lead],
            *(t * d for t, d in zip(steps, dilation, strict=True)),
            *(t * s for t, s in zip(steps, strides, strict=True)),
        ),
        writeable=False,
    )


def taps(kernel: Dims, places: Dims, strides: Dims, dilation: Dims) -> list[tuple[Dims, tuple[slice, ...]]]:
    """For each kernel position, the slices of a padded operand that it sees."""
    return [
        (
            k,
            tuple(
                slice(d * i, d * i + s * (p - 1) + 1, s)
                for i, d, s, p in zip(k, dilation, strides, places, strict=True)
            ),
        )
        for k in np.ndindex(*kernel)
    ]


def _column_blocks(x: np.ndarray, kernel: Dims, places: Dims, strides: Dims, dilation: Dims) -> Any:
    """(first, last, columns) for blocks of examples; columns are (n, G, C·|K|, |P|) in a reused buffer."""
    n, g, c = x.shape[:3]
    rows, length = c * math.prod(kernel), math.prod(places)
    if math.prod(kernel) == 1 and set(strides) <= {1}:
        yield 0, n, x.reshape(n, g, c, length)
        return
    seen = windows(x, kernel, places, strides, dilation)
    block = max(1, min(n, BUFFER // max(1, g * rows * length * x.itemsize)))
    buffer = np.empty((block, *seen.shape[1:]), x.dtype)
    for first in range(0, n, block):
        last = min(first + block, n)
        part = buffer[: last - first]
        np.copyto(part, seen[first:last])
        yield first, last, part.reshape(last - first, g, rows, length)


# ── values ────────────────────────────────────────────────────────────────────


def _conv_eval(x: np.ndarray, w: np.ndarray, *, strides: Dims, padding: Padding, dilation: Dims) -> np.ndarray:
    n, g = x.shape[:2]
    o, kernel = w.shape[1], w.shape[3:]
    places = positions(x.shape[3:], kernel, strides, padding, dilation)
    out = np.empty((n, g, o, math.prod(places)), np.result_type(x, w))
    if not w.size or not x.size:
        out[...] = 0
    elif out.size:
        rows = np.ascontiguousarray(w).reshape(g, o, -1)
        for first, last, columns in _column_blocks(padded(x, padding), kernel, places, strides, dilation):
            np.matmul(rows, columns, out=out[first:last])
    return out.reshape(n, g, o, *places)


def _input_eval(
    y: np.ndarray, w: np.ndarray, *, extent: Dims, strides: Dims, padding: Padding, dilation: Dims
) -> np.ndarray:
    kernel, places = w.shape[3:], y.shape[3:]
    if not w.size or not y.size:
        return np.zeros((y.shape[0], w.shape[0], w.shape[2], *extent), np.result_type(y, w))
    if set(strides) <= {1}:  # a convolution with the mirrored kernel: faster than adding up columns
        mirrored = w[(..., *(slice(None, None, -1),) * len(kernel))].swapaxes(1, 2)
        reach = [d * (k - 1) for d, k in zip(dilation, kernel, strict=True)]
        around = tuple((r - lo, n - p + lo) for r, (lo, _), n, p in zip(reach, padding, extent, places, strict=True))
        return _conv_eval(y, mirrored, strides=strides, padding=around, dilation=dilation)
    return _add_up_columns(y, w, extent, strides, padding, dilation)


def _add_up_columns(
    y: np.ndarray, w: np.ndarray, extent: Dims, strides: Dims, padding: Padding, dilation: Dims
) -> np.ndarray:
    n, g, o = y.shape[:3]
    c, kernel, places = w.shape[2], w.shape[3:], y.shape[3:]
    dtype = np.result_type(y, w)
    out = np.zeros((n, g, c, *(m + lo + hi for m, (lo, hi) in zip(extent, padding, strict=True))), dtype)
    columns_of = np.ascontiguousarray(w.reshape(g, o, -1).swapaxes(1, 2))
    flat = y.reshape(n, g, o, -1)
    block = max(1, min(n, BUFFER // max(1, g * columns_of.shape[1] * flat.shape[3] * dtype.itemsize)))
    slices = taps(kernel, places, strides, dilation)
    for first in range(0, n, block):
        columns = np.matmul(columns_of, flat[first : first + block])
        columns = columns.reshape(-1, g, c, *kernel, *places)
        for k, at in slices:
            out[(slice(first, first + block), slice(None), slice(None), *at)] += columns[(slice(None),) * 3 + k]
    return np.ascontiguousarray(unpadded(out, padding))


def _kernel_eval(
    x: np.ndarray, y: np.ndarray, *, kernel: Dims, strides: Dims, padding: Padding, dilation: Dims
) -> np.ndarray:
    n, g, c = x.shape[:3]
    o, places = y.shape[2], y.shape[3:]
    dtype = np.result_type(x, y)
    total = np.zeros((g, o, c * math.prod(kernel)), dtype)
    if x.size and y.size:
        flat = y.reshape(n, g, o, -1)
        for first, last, columns in _column_blocks(padded(x, padding), kernel, places, strides, dilation):
            product = np.matmul(flat[first:last], columns.swapaxes(2, 3))
            total += product[0] if last - first == 1 else np.add.reduce(product, axis=0)
    return total.reshape(g, o, c, *kernel)


# ── shapes ────────────────────────────────────────────────────────────────────


def _agree(name: str, a: Aval, b: Aval, ok: bool, want: str) -> None:
    if not ok:
        raise ShapeError(
            name, got=f"{a} and {b}", want=want, fix="check channels, groups and kernel size", at=describe(here(2))
        )


def _conv_shape(
    x: Aval, w: Aval, *, strides: Dims, padding: Padding, dilation: Dims, strong: Strong | None = None
) -> Aval:
    ok = x.ndim == w.ndim > 2 and x.shape[1] == w.shape[0] and x.shape[2] == w.shape[2]
    _agree("conv", x, w, ok, "(N, G, C, *S) and (G, O, C, *K)")
    places = positions(x.shape[3:], w.shape[3:], strides, padding, dilation)
    _agree("conv", x, w, all(p > 0 for p in places), "a kernel no longer than the padded operand")
    return Aval((x.shape[0], x.shape[1], w.shape[1], *places), promote(x, w))


def _input_shape(
    y: Aval, w: Aval, *, extent: Dims, strides: Dims, padding: Padding, dilation: Dims, strong: Strong | None = None
) -> Aval:
    ok = y.ndim == w.ndim > 2 and y.shape[1] == w.shape[0] and y.shape[2] == w.shape[1]
    _agree("conv_input", y, w, ok, "(N, G, O, *P) and (G, O, C, *K)")
    fits = positions(extent, w.shape[3:], strides, padding, dilation) == y.shape[3:] and min(y.shape[3:]) > 0
    _agree("conv_input", y, w, fits, f"the places of a kernel on extent {extent}")
    return Aval((y.shape[0], y.shape[1], w.shape[2], *extent), promote(y, w))


def _kernel_shape(
    x: Aval, y: Aval, *, kernel: Dims, strides: Dims, padding: Padding, dilation: Dims, strong: Strong | None = None
) -> Aval:
    ok = x.ndim == y.ndim > 2 and x.shape[:2] == y.shape[:2]
    _agree("conv_kernel", x, y, ok, "(N, G, C, *S) and (N, G, O, *P)")
    fits = positions(x.shape[3:], kernel, strides, padding, dilation) == y.shape[3:]
    _agree("conv_kernel", x, y, fits, f"the places of kernel {kernel}")
    return Aval((x.shape[1], y.shape[2], x.shape[2], *kernel), promote(x, y))


# ── rules shared by the three ─────────────────────────────────────────────────

LABELS = {"x": "NGC", "w": "GOC", "y": "NGO"}


def _merge(a: Array, axis: int) -> Array:
    """A batch axis, at 0, merged into what is axis `axis` of one example."""
    axes = (*range(1, axis + 1), 0, *range(axis + 1, a.ndim))
    a = transpose(a, axes=axes) if axis else a
    return reshape(a, shape=(*a.shape[:axis], a.shape[axis] * a.shape[axis + 1], *a.shape[axis + 2 :]))


def _split(a: Array, axis: int, size: int) -> Array:
    """The inverse of `_merge`."""
    a = reshape(a, shape=(*a.shape[:axis], size, a.shape[axis] // size, *a.shape[axis + 1 :]))
    return transpose(a, axes=(axis, *range(axis), *range(axis + 1, a.ndim))) if axis else a


def _batch(op: Callable[[], Op], first: str, second: str, out: str) -> Rule:
    """Batch rule of an op from the roles of its operands and result."""
    a, b, c = LABELS[first], LABELS[second], LABELS[out]

    def batch(xs: Sequence[Array], batched: Sequence[bool], size: int, **params: Any) -> Array:
        if all(batched):
            letter = "G"
        else:
            mine, other = (a, b) if batched[0] else (b, a)
            letter = next(i for i in mine if i in c and i not in other)
        merged = [
            _merge(x, labels.index(letter)) if flag else x for x, labels, flag in zip(xs, (a, b), batched, strict=True)
        ]
        return _split(op()(*merged, **params), c.index(letter), size)

    return batch


def _bilinear(op: Callable[[], Op], evaluate: Rule, transpose_first: Rule, transpose_second: Rule) -> dict[str, Any]:
    """eval, jvp, vjp and saves of a bilinear op from its two transposes `(ct, other, var, other is strong, **params)`.

    `strong` marks the operands that are cotangents or tangents, whose zeros annihilate infinities and NaNs.
    """

    def eval(a: Array, b: Array, *, strong: Strong | None = None, **params: Any) -> Array:
        if strong is None:
            return evaluate(a, b, **params)
        return strong_product(lambda x, y: evaluate(x, y, **params), a, b, strong)

    def jvp(
        xs: Sequence[Array], dxs: Sequence[Array], out: Array, *, strong: Strong | None = None, **params: Any
    ) -> Array:
        s, t = strong or (False, False)
        first = None if dxs[0] is None else op()(dxs[0], xs[1], strong=(True, t), **params)
        second = None if dxs[1] is None else op()(xs[0], dxs[1], strong=(s, True), **params)
        return fit_tangent(first if second is None else second if first is None else add(first, second), out)

    def vjp(
        ct: Array, ins: Vars, xs: Sequence[Array], out: Array, *, strong: Strong | None = None, **params: Any
    ) -> tuple[Array | None, ...]:
        a, b = ins
        s, t = strong or (False, False)
        return (
            None if a is None else fit(transpose_first(ct, xs[1], a, t, **params), a),
            None if b is None else fit(transpose_second(ct, xs[0], b, s, **params), b),
        )

    return {"eval": eval, "jvp": jvp, "vjp": vjp, "saves": {0: (1,), 1: (0,)}}


def _window(**params: Any) -> dict[str, Any]:
    """The parameters that all three share."""
    return {k: params[k] for k in ("strides", "padding", "dilation")}


def _parameters(**given: Any) -> dict[str, Any]:
    """Sample parameters of one spatial axis unless given."""
    return {"strides": (1,), "padding": ((0, 0),), "dilation": (1,), **given}


_PLANE = {"strides": (2, 1), "padding": ((1, 0), (0, 2)), "dilation": (1, 2)}

# ── conv ──────────────────────────────────────────────────────────────────────

conv = Op(
    name="conv",
    accepts=INEXACT,
    shape=_conv_shape,
    **_bilinear(
        lambda: conv,
        _conv_eval,
        lambda ct, w, var, s, **p: conv_input(ct, w, extent=var.shape[3:], strong=(True, s), **p),
        lambda ct, x, var, s, **p: conv_kernel(x, ct, kernel=var.shape[3:], strong=(s, True), **p),
    ),
    batch=_batch(lambda: conv, "x", "w", "y"),
    samples=(
        Sample((2, 1, 3, 5), (1, 2, 3, 2), **_parameters()),
        Sample((1, 2, 1, 6), (2, 2, 1, 3), **_parameters(strides=(2,), padding=((1, 2),))),
        Sample((2, 2, 1, 5, 4), (2, 3, 1, 2, 2), **_PLANE),
        Sample((1, 1, 2, 3, 3, 2), (1, 2, 2, 2, 1, 2), strides=(1,) * 3, padding=((0, 0),) * 3, dilation=(1,) * 3),
        Sample((1, 1, 1, 4), (1, 1, 1, 2), **_parameters(padding=((-1, 1),), dilation=(2,))),
        Sample((2, 1, 2, 3), (1, 2, 2, 1), **_parameters()),
        Sample((0, 1, 2, 4), (1, 2, 2, 2), **_parameters()),
        Sample((2, 1, 0, 4), (1, 2, 0, 2), **_parameters()),
    ),
    rejects=(
        Sample((2, 1, 3, 5), (1, 2, 2, 2), **_parameters(), raises=ShapeError),
        Sample((2, 1, 3, 1), (1, 2, 3, 2), **_parameters(), raises=ShapeError),
    ),
    lower=Library("conv"),
)

# ── conv_input ────────────────────────────────────────────────────────────────


conv_input = Op(
    name="conv_input",
    accepts=INEXACT,
    shape=_input_shape,
    **_bilinear(
        lambda: conv_input,
        _input_eval,
        lambda ct, w, var, s, **p: conv(ct, w, strong=(True, s), **_window(**p)),
        lambda ct, y, var, s, **p: conv_kernel(ct, y, kernel=var.shape[3:], strong=(True, s), **_window(**p)),
    ),
    batch=_batch(lambda: conv_input, "y", "w", "x"),
    samples=(
        Sample((2, 1, 2, 4), (1, 2, 3, 2), extent=(5,), **_parameters()),
        Sample((1, 2, 2, 4), (2, 2, 1, 3), extent=(6,), **_parameters(strides=(2,), padding=((1, 2),))),
        Sample((2, 2, 3, 3, 4), (2, 3, 1, 2, 2), extent=(5, 4), **_PLANE),
        Sample((1, 1, 1, 2), (1, 1, 1, 2), extent=(4,), **_parameters(padding=((-1, 1),), dilation=(2,))),
        Sample((1, 1, 1, 2), (1, 1, 1, 2), extent=(6,), **_parameters(strides=(3,), padding=((0, -1),))),
        Sample((2, 1, 0, 3), (1, 0, 2, 2), extent=(4,), **_parameters()),
    ),
    rejects=(Sample((2, 1, 2, 4), (1, 2, 3, 2), extent=(7,), **_parameters(), raises=ShapeError),),
    note="the transpose of conv in its first operand: PyTorch's transposed convolution",
    lower=Library("conv_input"),
)

# ── conv_kernel ───────────────────────────────────────────────────────────────

conv_kernel = Op(
    name="conv_kernel",
    accepts=INEXACT,
    shape=_kernel_shape,
    **_bilinear(
        lambda: conv_kernel,
        _kernel_eval,
        lambda ct, y, var, s, **p: conv_input(y, ct, extent=var.shape[3:], strong=(s, True), **_window(**p)),
        lambda ct, x, var, s, **p: conv(x, ct, strong=(s, True), **_window(**p)),
    ),
    batch=_batch(lambda: conv_kernel, "x", "y", "w"),
    samples=(
        Sample((2, 1, 3, 5), (2, 1, 2, 4), kernel=(2,), **_parameters()),
        Sample((1, 2, 1, 6), (1, 2, 2, 4), kernel=(3,), **_parameters(strides=(2,), padding=((1, 2),))),
        Sample((2, 2, 1, 5, 4), (2, 2, 3, 3, 4), kernel=(2, 2), **_PLANE),
        Sample((0, 1, 2, 4), (0, 1, 2, 3), kernel=(2,), **_parameters()),
    ),
    rejects=(Sample((2, 1, 3, 5), (2, 1, 2, 4), kernel=(3,), **_parameters(), raises=ShapeError),),
    note="the transpose of conv in its kernel",
    lower=Library("conv_kernel"),
)
