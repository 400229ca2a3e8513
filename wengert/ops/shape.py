"""Movement ops: the same elements in other places. All are linear, and views where NumPy makes views."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.core.abstract import is_array
from wengert.core.aval import ANY, Aval
from wengert.core.errors import ShapeError
from wengert.core.form import Assemble, Move, Unsupported, Via
from wengert.core.op import Op, Sample
from wengert.core.source import describe, here
from wengert.core.tensor import Array, raw
from wengert.graph.program import Vars
from wengert.ops import places
from wengert.ops.basis import add, all_batched, broadcast_to, check_axes, fit, linear, reduce_sum, reshape, transpose
from wengert.ops.index import index, scatter_add

# ── flip ──────────────────────────────────────────────────────────────────────


flip = linear(
    "flip",
    accepts=ANY,
    shape=lambda x, *, axes: x,
    eval=lambda x, *, axes: np.flip(x, axes),
    transpose=lambda ct, var, *, axes: flip(ct, axes=axes),
    batch=lambda xs, batched, size, *, axes: flip(xs[0], axes=tuple(a + 1 for a in axes)),
    put=lambda x, y, *, axes: flip(y, axes=axes),
    samples=(Sample((3, 4), axes=(0,)), Sample((2, 3), axes=(0, 1)), Sample((0,), axes=(0,)), Sample((), axes=())),
    lower=Move(places.flipped),
)

# ── concatenate, stack ────────────────────────────────────────────────────────


def _concatenate_shape(*xs: Aval, axis: int, sizes: tuple[int, ...]) -> Aval:
    first = xs[0].shape
    for x in xs:
        if x.ndim != len(first) or any(
            d != e for i, (d, e) in enumerate(zip(x.shape, first, strict=True)) if i != axis
        ):
            raise ShapeError(
                "concatenate",
                got=f"{', '.join(map(str, xs))} along axis {axis}",
                want="shapes that agree on every other axis",
                fix="reshape the operands, or stack them",
                at=describe(here(2)),
            )
    if not 0 <= axis < len(first) or sizes != tuple(x.shape[axis] for x in xs):
        raise ShapeError(
            "concatenate",
            got=f"{', '.join(map(str, xs))} along axis {axis} with sizes {sizes}",
            want="an axis of the operands, and their sizes along it",
            fix="renumber the axis",
            at=describe(here(2)),
        )
    return Aval((*first[:axis], sum(sizes), *first[axis + 1 :]), np.result_type(*(x.dtype for x in xs)))


def _concatenate_jvp(xs: Sequence[Array], dxs: Sequence[Array], out: Array, *, axis: int, sizes: tuple[int, ...]):
    parts = [np.zeros(x.shape, out.dtype) if dx is None else dx for x, dx in zip(xs, dxs, strict=True)]
    return concatenate(*parts, axis=axis, sizes=sizes)


def _concatenate_vjp(
    ct: Array, ins: Vars, xs: Sequence[Array], out: Array, *, axis: int, sizes: tuple[int, ...]
) -> tuple[Array | None, ...]:
    lead = (slice(None),) * axis
    return tuple(
        None if var is None else fit(index(ct, spec=(*lead, piece)), var)
        for var, piece in zip(ins, places.pieces(sizes), strict=True)
    )


concatenate = Op(
    name="concatenate",
    accepts=ANY,
    shape=_concatenate_shape,
    eval=lambda *xs, axis, sizes: np.concatenate(xs, axis),
    jvp=_concatenate_jvp,
    vjp=_concatenate_vjp,
    saves=(),
    batch=lambda xs, batched, size, *, axis, sizes: concatenate(
        *all_batched(xs, batched, size), axis=axis + 1, sizes=sizes
    ),
    samples=(
        Sample((2, 3), (1, 3), axis=0, sizes=(2, 1)),
        Sample((2, 0), (2, 3), (2, 2), axis=1, sizes=(0, 3, 2)),
        Sample((4,), axis=0, sizes=(4,)),
    ),
    rejects=(Sample((2, 3), (2, 2), axis=0, sizes=(2, 2), raises=ShapeError),),
    lower=Assemble(places.side_by_side),
)


def _stack_shape(*xs: Aval, axis: int) -> Aval:
    if any(x.shape != xs[0].shape for x in xs):
        raise ShapeError(
            "stack", got=", ".join(map(str, xs)), want="equal shapes", fix="broadcast them first", at=describe(here(2))
        )
    shape = xs[0].shape
    if not 0 <= axis <= len(shape):
        raise ShapeError(
            "stack",
            got=f"axis={axis} on {xs[0]}",
            want=f"an axis in [0, {len(shape)}]",
            fix="renumber the axis",
            at=describe(here(2)),
        )
    return Aval((*shape[:axis], len(xs), *shape[axis:]), np.result_type(*(x.dtype for x in xs)))


def _stack_eval(*xs: Array, axis: int) -> np.ndarray:
    if all([getattr(x, "shape", ()) == () for x in xs]):  # noqa: C419 - scalars: a generator costs a third of it all
        return np.array(xs)  # ten times faster than np.stack
    return np.stack(xs, axis)


def _stacked(*xs: Array, axis: int) -> Array:
    shape = tuple(getattr(xs[0], "shape", ()))
    each = (*shape[:axis], 1, *shape[axis:])
    parts = [reshape(x, shape=each) if getattr(x, "shape", ()) else broadcast_to(x, shape=(1,)) for x in xs]
    return concatenate(*parts, axis=axis, sizes=(1,) * len(xs))


stack = Op(
    name="stack",
    accepts=ANY,
    shape=_stack_shape,
    eval=_stack_eval,
    jvp=lambda xs, dxs, out, *, axis: stack(
        *(np.zeros(out.shape[:axis] + out.shape[axis + 1 :], out.dtype) if dx is None else dx for dx in dxs), axis=axis
    ),
    vjp=lambda ct, ins, xs, out, *, axis: tuple(
        None if var is None else fit(index(ct, spec=(*(slice(None),) * axis, i)), var) for i, var in enumerate(ins)
    ),
    saves=(),
    batch=lambda xs, batched, size, *, axis: stack(*all_batched(xs, batched, size), axis=axis + 1),
    samples=(Sample((2, 3), (2, 3), axis=1), Sample((), (), (), axis=0), Sample((3,), axis=0)),
    rejects=(Sample((2,), (3,), axis=0, raises=ShapeError),),
    lower=Via(_stacked),
)


# ── split ─────────────────────────────────────────────────────────────────────


def _split_shape(x: Aval, *, axis: int, sizes: tuple[int, ...]) -> tuple[Aval, ...]:
    check_axes("split", (axis,), x)
    if sum(sizes) != x.shape[axis]:
        raise ShapeError(
            "split",
            got=f"sizes={sizes} on axis {axis} of {x}",
            want=f"sizes that add up to {x.shape[axis]}",
            fix="check the sizes",
            at=describe(here(2)),
        )
    return tuple(x.with_shape((*x.shape[:axis], size, *x.shape[axis + 1 :])) for size in sizes)


def _split_eval(x: Array, *, axis: int, sizes: tuple[int, ...]) -> tuple[np.ndarray, ...]:
    lead = (slice(None),) * axis
    return tuple(x[(*lead, piece)] for piece in places.pieces(sizes))


def _split_vjp(
    cts: list[Array | None], ins: Vars, xs: Sequence[Array], out: Any, *, axis: int, sizes: tuple[int, ...]
) -> tuple[Array]:
    (x,) = ins
    parts = []
    for ct, size in zip(cts, sizes, strict=True):
        parts.append(np.zeros((*x.shape[:axis], size, *x.shape[axis + 1 :]), x.dtype) if ct is None else ct)  # type: ignore[union-attr]
    return (concatenate(*parts, axis=axis, sizes=sizes),)


split = Op(
    name="split",
    accepts=ANY,
    shape=_split_shape,
    eval=_split_eval,
    jvp=lambda xs, dxs, out, *, axis, sizes: split(dxs[0], axis=axis, sizes=sizes),
    vjp=_split_vjp,
    saves=(),
    batch=lambda xs, batched, size, *, axis, sizes: split(xs[0], axis=axis + 1, sizes=sizes),
    multi=True,
    samples=(
        Sample((5, 2), axis=0, sizes=(2, 3)),
        Sample((2, 4), axis=1, sizes=(1, 0, 3)),
        Sample((0,), axis=0, sizes=(0,)),
    ),
    rejects=(Sample((5,), axis=0, sizes=(2, 2), raises=ShapeError), Sample((), axis=0, sizes=(1,), raises=ShapeError)),
    lower=places.split,
)

# ── contiguous ────────────────────────────────────────────────────────────────

contiguous = linear(
    "contiguous",
    accepts=ANY,
    shape=lambda x: x,
    eval=lambda x: np.array(x, order="C", copy=None),
    transpose=lambda ct, var: ct,
    batch=lambda xs, batched, size: contiguous(xs[0]),
    samples=(Sample((3, 4)), Sample(()), Sample((0, 2))),
    note="the same array in C order in memory, which decides where NumPy makes views of it",
    lower=Via(lambda x: x),
)


def in_order(x: Array, axes: Sequence[int]) -> Array:
    """`x`, without gaps in memory, where its axes follow each other in the order `axes` (outermost first)."""
    axes = tuple(axes)
    if axes == tuple(range(len(axes))):
        return contiguous(x)
    back = tuple(int(i) for i in np.argsort(axes))
    return transpose(contiguous(transpose(x, axes=axes)), axes=back)


def is_compact(x: Array, axes: Sequence[int]) -> bool:
    """Whether `x` (under vmap, each example) already is as `in_order(x, axes)` would make it."""
    bottom = raw(x)
    if not is_array(bottom):
        return True
    lead = bottom.ndim - x.ndim  # batch axes
    dims, strides = bottom.shape[lead:], bottom.strides[lead:]
    expected = bottom.itemsize
    for i in reversed(axes):
        if dims[i] > 1 and strides[i] != expected:
            return 0 in dims
        expected *= dims[i]
    return True


def laid_out(x: Array, like: np.ndarray) -> Array:
    """`x` in the memory layout of `like`, an ndarray of x's shape behind any batch axes."""
    if not is_array(raw(x)):
        x = contiguous(x)  # a scalar becomes an array without axes
    axes = memory_order(like.strides[like.ndim - x.ndim :])
    return x if is_compact(x, axes) else in_order(x, axes)


def memory_order(strides: Sequence[int]) -> list[int]:
    """Axes by falling stride: how NumPy's order="K" lays out a copy."""
    return sorted(range(len(strides)), key=lambda i: -abs(strides[i]))


# ── pad_constant ──────────────────────────────────────────────────────────────

Widths = tuple[tuple[int, int], ...]


def _pad_shape(x: Aval, *, widths: Widths, value: Any = 0) -> Aval:
    if len(widths) != x.ndim or any(w < 0 for pair in widths for w in pair):
        raise ShapeError(
            "pad_constant",
            got=f"widths={widths} on {x}",
            want=f"{x.ndim} pairs of widths ≥ 0",
            fix="give (before, after) for each axis",
            at=describe(here(2)),
        )
    return x.with_shape(tuple(lo + d + hi for d, (lo, hi) in zip(x.shape, widths, strict=True)))


def _inner(shape: Sequence[int], widths: Widths) -> tuple[slice, ...]:
    return tuple(slice(lo, lo + d) for d, (lo, _) in zip(shape, widths, strict=True))


def _pad_eval(x: Array, *, widths: Widths, value: Any = 0) -> np.ndarray:
    shape = tuple(lo + d + hi for d, (lo, hi) in zip(x.shape, widths, strict=True))
    out = np.full(shape, value, x.dtype)
    out[_inner(x.shape, widths)] = x
    return out


pad_constant = Op(
    name="pad_constant",
    accepts=ANY,
    shape=_pad_shape,
    eval=_pad_eval,
    jvp=lambda xs, dxs, out, *, widths, value=0: pad_constant(dxs[0], widths=widths),
    vjp=lambda ct, ins, xs, out, *, widths, value=0: (index(ct, spec=_inner(ins[0].shape, widths)),),
    saves=(),
    batch=lambda xs, batched, size, *, widths, value=0: pad_constant(xs[0], widths=((0, 0), *widths), value=value),
    samples=(
        Sample((3,), widths=((1, 2),)),
        Sample((2, 3), widths=((0, 1), (2, 0)), value=1.5),
        Sample((0, 2), widths=((1, 1), (0, 0))),
        Sample((), widths=()),
    ),
    rejects=(
        Sample((3,), widths=((1, -1),), raises=ShapeError),
        Sample((3, 2), widths=((1, 1),), raises=ShapeError),
    ),
    lower=Assemble(places.padded),
)

# ── repeat ────────────────────────────────────────────────────────────────────


def _repeat_shape(x: Aval, *, count: int, axis: int) -> Aval:
    check_axes("repeat", (axis,), x)
    return x.with_shape((*x.shape[:axis], x.shape[axis] * count, *x.shape[axis + 1 :]))


def _repeat_transpose(ct: Array, var: Any, *, count: int, axis: int) -> Array:
    shape = var.shape
    grouped = reshape(ct, shape=(*shape[: axis + 1], count, *shape[axis + 1 :]))
    return reduce_sum(grouped, axes=(axis + 1,))


def _repeated(x: Array, *, count: int, axis: int) -> Array:
    before, n, after = x.shape[:axis], x.shape[axis], x.shape[axis + 1 :]
    apart = broadcast_to(reshape(x, shape=(*before, n, 1, *after)), shape=(*before, n, count, *after))
    return reshape(apart, shape=(*before, n * count, *after))


repeat = linear(
    "repeat",
    shape=_repeat_shape,
    eval=lambda x, *, count, axis: np.repeat(x, count, axis),
    transpose=_repeat_transpose,
    batch=lambda xs, batched, size, *, count, axis: repeat(xs[0], count=count, axis=axis + 1),
    accepts=ANY,
    samples=(
        Sample((3,), count=2, axis=0),
        Sample((2, 3), count=3, axis=1),
        Sample((2, 3), count=0, axis=0),
        Sample((0, 3), count=2, axis=0),
    ),
    rejects=(Sample((3,), count=2, axis=1, raises=ShapeError),),
    lower=Via(_repeated),
)

# ── roll ──────────────────────────────────────────────────────────────────────


def _roll_shape(x: Aval, *, shifts: tuple[int, ...], axes: tuple[int, ...]) -> Aval:
    check_axes("roll", tuple(dict.fromkeys(axes)), x)
    return x


def _rolled(x: Array, *, shifts: tuple[int, ...], axes: tuple[int, ...]) -> Array:
    for axis in dict.fromkeys(axes):
        n = x.shape[axis]
        shift = sum(int(s) for s, a in np.broadcast(shifts, axes) if a == axis) % max(n, 1)
        if shift:
            lead = (slice(None),) * axis
            tail, head = index(x, spec=(*lead, slice(n - shift, None))), index(x, spec=(*lead, slice(None, n - shift)))
            x = concatenate(tail, head, axis=axis, sizes=(shift, n - shift))
    return x


roll = linear(
    "roll",
    accepts=ANY,
    shape=_roll_shape,
    eval=lambda x, *, shifts, axes: np.roll(x, shifts, axes),
    transpose=lambda ct, var, *, shifts, axes: roll(ct, shifts=tuple(-s for s in shifts), axes=axes),
    batch=lambda xs, batched, size, *, shifts, axes: roll(xs[0], shifts=shifts, axes=tuple(a + 1 for a in axes)),
    samples=(
        Sample((5,), shifts=(2,), axes=(0,)),
        Sample((3, 4), shifts=(1, -7), axes=(0, 1)),
        Sample((4,), shifts=(1, 2), axes=(0, 0)),
        Sample((0,), shifts=(1,), axes=(0,)),
    ),
    rejects=(Sample((3,), shifts=(1,), axes=(1,), raises=ShapeError),),
    lower=Via(_rolled),
)

# ── diagonal, diagonal_embed ──────────────────────────────────────────────────


def diagonal_length(rows: int, columns: int, offset: int) -> int:
    """How many elements the diagonal at `offset` of a rows × columns matrix has."""
    return max(0, min(rows, columns - offset) if offset >= 0 else min(rows + offset, columns))


def _diagonal_shape(x: Aval, *, offset: int, axis1: int, axis2: int) -> Aval:
    check_axes("diagonal", (axis1, axis2), x)
    n = diagonal_length(x.shape[axis1], x.shape[axis2], offset)
    return x.with_shape((*x.without((axis1, axis2)).shape, n))


diagonal = linear(
    "diagonal",
    accepts=ANY,
    shape=_diagonal_shape,
    eval=lambda x, *, offset, axis1, axis2: x.diagonal(offset, axis1, axis2),
    transpose=lambda ct, var, *, offset, axis1, axis2: diagonal_embed(
        ct, offset=offset, axis1=axis1, axis2=axis2, shape=var.shape
    ),
    batch=lambda xs, batched, size, *, offset, axis1, axis2: diagonal(
        xs[0], offset=offset, axis1=axis1 + 1, axis2=axis2 + 1
    ),
    samples=(
        Sample((3, 3), offset=0, axis1=0, axis2=1),
        Sample((2, 4), offset=1, axis1=0, axis2=1),
        Sample((3, 2, 4), offset=-1, axis1=2, axis2=0),
        Sample((2, 3), offset=7, axis1=0, axis2=1),
        Sample((0, 3), offset=0, axis1=0, axis2=1),
    ),
    rejects=(
        Sample((3, 3), offset=0, axis1=1, axis2=1, raises=ShapeError),
        Sample((3,), offset=0, axis1=0, axis2=1, raises=ShapeError),
    ),
    lower=Move(places.diagonal),
)


def _embed_shape(y: Aval, *, offset: int, axis1: int, axis2: int, shape: tuple[int, ...]) -> Aval:
    want = _diagonal_shape(y.with_shape(shape), offset=offset, axis1=axis1, axis2=axis2)
    if want.shape != y.shape:
        raise ShapeError(
            "diagonal_embed",
            got=f"{y} for the diagonal {offset} of shape {shape}",
            want=str(want),
            fix="check the length of the diagonal",
            at=describe(here(2)),
        )
    return y.with_shape(shape)


def _embed_eval(y: Array, *, offset: int, axis1: int, axis2: int, shape: tuple[int, ...]) -> np.ndarray:
    out = np.zeros(shape, y.dtype)
    seen = out.diagonal(offset, axis1, axis2)
    seen.flags.writeable = True  # a view of an array that is ours
    seen[...] = y
    return out


def _embedded(y: Array, *, offset: int, axis1: int, axis2: int, shape: tuple[int, ...]) -> Array:
    """The diagonal of each matrix, in a row of its elements: every (columns + 1)-th."""
    rest = [a for a in range(len(shape)) if a not in (axis1, axis2)]
    rows, columns, n = shape[axis1], shape[axis2], y.shape[-1]
    lead = tuple(shape[a] for a in rest)
    first = offset if offset >= 0 else -offset * columns
    on = slice(first, first + (n - 1) * (columns + 1) + 1, columns + 1) if n else slice(0, 0)
    flat = scatter_add(y, spec=(*(slice(None),) * len(lead), on), shape=(*lead, rows * columns))
    order = (*rest, axis1, axis2)
    back = tuple(order.index(a) for a in range(len(shape)))
    out = reshape(flat, shape=(*lead, rows, columns))
    return out if back == tuple(range(len(shape))) else transpose(out, axes=back)


diagonal_embed = linear(
    "diagonal_embed",
    accepts=ANY,
    shape=_embed_shape,
    eval=_embed_eval,
    transpose=lambda ct, var, *, offset, axis1, axis2, shape: diagonal(ct, offset=offset, axis1=axis1, axis2=axis2),
    batch=lambda xs, batched, size, *, offset, axis1, axis2, shape: diagonal_embed(
        xs[0], offset=offset, axis1=axis1 + 1, axis2=axis2 + 1, shape=(size, *shape)
    ),
    samples=(
        Sample((3,), offset=0, axis1=0, axis2=1, shape=(3, 3)),
        Sample((2,), offset=-1, axis1=0, axis2=1, shape=(3, 3)),
        Sample((4, 2), offset=1, axis1=0, axis2=2, shape=(2, 4, 3)),
        Sample((0,), offset=0, axis1=0, axis2=1, shape=(0, 0)),
    ),
    rejects=(Sample((2,), offset=0, axis1=0, axis2=1, shape=(3, 3), raises=ShapeError),),
    note="zeros with y on a diagonal: the transpose of `diagonal`",
    lower=Via(_embedded),
)

# ── windows, overlap_add ──────────────────────────────────────────────────────


def _windowed(shape: Sequence[int], sizes: Sequence[int], axes: Sequence[int]) -> tuple[int, ...]:
    left = list(shape)
    for size, axis in zip(sizes, axes, strict=True):
        left[axis] -= size - 1
    return (*left, *sizes)


def _windows_shape(x: Aval, *, sizes: tuple[int, ...], axes: tuple[int, ...]) -> Aval:
    check_axes("windows", tuple(dict.fromkeys(axes)), x)
    shape = _windowed(x.shape, sizes, axes)
    if min(shape, default=0) < 0 or any(d <= 0 for d in shape[: x.ndim] if x.size):
        raise ShapeError(
            "windows",
            got=f"windows of {sizes} along axes {axes} of {x}",
            want="windows that are no larger than the array",
            fix="pad the array, or take smaller windows",
            at=describe(here(2)),
        )
    return x.with_shape(shape)


windows = linear(
    "windows",
    accepts=ANY,
    shape=_windows_shape,
    eval=lambda x, *, sizes, axes: np.lib.stride_tricks.sliding_window_view(x, sizes, axes),
    transpose=lambda ct, var, *, sizes, axes: overlap_add(ct, sizes=sizes, axes=axes),
    batch=lambda xs, batched, size, *, sizes, axes: windows(xs[0], sizes=sizes, axes=tuple(a + 1 for a in axes)),
    samples=(
        Sample((5,), sizes=(3,), axes=(0,)),
        Sample((4, 3), sizes=(2, 2), axes=(1, 0)),
        Sample((2, 4), sizes=(4,), axes=(1,)),
        Sample((6,), sizes=(3, 2), axes=(0, 0)),
    ),
    rejects=(Sample((3,), sizes=(4,), axes=(0,), raises=ShapeError),),
    note="every window of the given sizes; the windows' own axes come last",
    lower=Move(places.windows),
)


FEW = 16  # terms that a sum may be written out in


def _overlapped(shape: Sequence[int], sizes: Sequence[int], axes: Sequence[int]) -> tuple[int, ...]:
    whole = list(shape[: len(shape) - len(sizes)])
    for size, axis in zip(sizes, axes, strict=True):
        whole[axis] += size - 1
    return tuple(whole)


def _overlap_shape(y: Aval, *, sizes: tuple[int, ...], axes: tuple[int, ...]) -> Aval:
    if y.shape[y.ndim - len(sizes) :] != sizes:
        raise ShapeError(
            "overlap_add",
            got=f"{y} of windows {sizes}",
            want="the windows' axes last",
            fix="move them",
            at=describe(here(2)),
        )
    whole = y.with_shape(_overlapped(y.shape, sizes, axes))
    _windows_shape(whole, sizes=sizes, axes=axes)  # no windows at all leave an array in which there is none
    return whole


def _overlap_eval(y: Array, *, sizes: tuple[int, ...], axes: tuple[int, ...]) -> np.ndarray:
    out = np.zeros(_overlapped(y.shape, sizes, axes), y.dtype)
    lengths = y.shape[: y.ndim - len(sizes)]
    for offset in np.ndindex(*sizes):
        start = [0] * len(lengths)
        for axis, shift in zip(axes, offset, strict=True):
            start[axis] += shift
        out[tuple(slice(s, s + n) for s, n in zip(start, lengths, strict=True))] += y[(..., *offset)]
    return out


def _overlapping_sum(y: Array, *, sizes: tuple[int, ...], axes: tuple[int, ...]) -> Array:
    whole, lengths = _overlapped(y.shape, sizes, axes), y.shape[: len(y.shape) - len(sizes)]
    if math.prod(sizes) > FEW:
        raise Unsupported(f"windows of more than {FEW} elements")
    total = None
    for offset in np.ndindex(*sizes):
        start = [0] * len(lengths)
        for axis, shift in zip(axes, offset, strict=True):
            start[axis] += shift
        part = index(y, spec=(*(slice(None),) * len(lengths), *offset))
        spread = pad_constant(part, widths=tuple((s, w - s - n) for s, w, n in zip(start, whole, lengths, strict=True)))
        total = spread if total is None else add(total, spread)
    return np.zeros(whole, y.dtype) if total is None else total


overlap_add = linear(
    "overlap_add",
    shape=_overlap_shape,
    eval=_overlap_eval,
    transpose=lambda ct, var, *, sizes, axes: windows(ct, sizes=sizes, axes=axes),
    batch=lambda xs, batched, size, *, sizes, axes: overlap_add(xs[0], sizes=sizes, axes=tuple(a + 1 for a in axes)),
    samples=(
        Sample((3, 3), sizes=(3,), axes=(0,)),
        Sample((3, 2, 2, 2), sizes=(2, 2), axes=(1, 0)),
        Sample((3, 3, 2), sizes=(3, 2), axes=(0, 0)),
    ),
    note="the sum of windows put back where they came from: the transpose of `windows`",
    lower=Via(_overlapping_sum),
)
