"""Movement ops: the same elements in other places. All are linear, and views where NumPy makes views."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wengert.core.aval import ANY, Aval
from wengert.core.errors import ShapeError
from wengert.core.op import Op, Sample
from wengert.core.source import describe, here
from wengert.core.tensor import Array
from wengert.graph.program import Vars
from wengert.ops.basis import all_batched, fit, linear
from wengert.ops.index import index

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
)

# ── concatenate, stack ────────────────────────────────────────────────────────


def _concatenate_shape(*xs: Aval, axis: int, sizes: tuple[int, ...]) -> Aval:
    first = xs[0].shape
    for x in xs:
        if x.ndim != len(first) or any(d != e for i, (d, e) in enumerate(zip(x.shape, first, strict=True)) if i != axis):
            raise ShapeError(
                "concatenate",
                got=f"{', '.join(map(str, xs))} along axis {axis}",
                want="shapes that agree on every other axis",
                fix="reshape the operands, or stack them",
                at=describe(here(2)),
            )
    return Aval((*first[:axis], sum(sizes), *first[axis + 1 :]), np.result_type(*(x.dtype for x in xs)))


def _pieces(sizes: Sequence[int]) -> list[slice]:
    ends = np.cumsum(sizes).tolist()
    return [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]


def _concatenate_jvp(xs: Sequence[Array], dxs: Sequence[Array], out: Array, *, axis: int, sizes: tuple[int, ...]):
    parts = [np.zeros(x.shape, out.dtype) if dx is None else dx for x, dx in zip(xs, dxs, strict=True)]
    return concatenate(*parts, axis=axis, sizes=sizes)


def _concatenate_vjp(ct: Array, ins: Vars, xs: Sequence[Array], out: Array, *, axis: int, sizes: tuple[int, ...]) -> tuple[Array | None, ...]:
    lead = (slice(None),) * axis
    return tuple(
        None if var is None else fit(index(ct, spec=(*lead, piece)), var)
        for var, piece in zip(ins, _pieces(sizes), strict=True)
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
)


def _stack_shape(*xs: Aval, axis: int) -> Aval:
    if any(x.shape != xs[0].shape for x in xs):
        raise ShapeError(
            "stack", got=", ".join(map(str, xs)), want="equal shapes", fix="broadcast them first", at=describe(here(2))
        )
    shape = xs[0].shape
    return Aval((*shape[:axis], len(xs), *shape[axis:]), np.result_type(*(x.dtype for x in xs)))


def _stack_eval(*xs: Array, axis: int) -> np.ndarray:
    if all(getattr(x, "shape", ()) == () for x in xs):
        return np.array(xs)  # scalars: ten times faster than np.stack
    return np.stack(xs, axis)


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
)
