"""The ops that other ops' rules are made of: sum, product, and the linear changes of shape and dtype.

Every pullback must bring a cotangent back to its operand's shape and dtype (`fit`),
add up contributions (`add`) and multiply by a slope (`scale`). These few ops are
written out in full; everything above them is made by the helpers of `family.py`.

Convention  Arrays are positional; static metadata is keyword-only. `axes` are sorted
            and non-negative (wengert.numpy normalises what users write). Batch axis: 0.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from sys import getrefcount
from typing import Any

import numpy as np

from wengert.core.aval import ANY, FLOAT, INEXACT, Aval, is_inexact, promote
from wengert.core.errors import ShapeError
from wengert.core.form import Map, Move, Reduce, Reshape, Via
from wengert.core.op import Op, Rule, Sample
from wengert.core.source import describe, here
from wengert.core.tensor import Array, Tensor
from wengert.graph.program import Var, Vars
from wengert.ops import places, scalars

# ── helpers shared by all families ────────────────────────────────────────────


def broadcast_shapes(name: str, *shapes: tuple[int, ...]) -> tuple[int, ...]:
    """NumPy's broadcast of shapes, or ShapeError."""
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        raise ShapeError(
            name,
            got=f"shapes {' and '.join(map(str, shapes))}",
            want="shapes that broadcast together (equal, or 1, from the last axis on)",
            fix="reshape, or insert an axis with x[:, None]",
            at=describe(here(2)),
        ) from None


def check_axes(name: str, axes: tuple[int, ...], x: Aval) -> None:
    """ShapeError unless every axis lies in [0, x.ndim) and none repeats."""
    if any(not 0 <= a < x.ndim for a in axes) or len(set(axes)) != len(axes):
        raise ShapeError(
            name,
            got=f"axes={axes} on {x}",
            want=f"distinct axes in [0, {x.ndim})",
            fix="drop or renumber the axis",
            at=describe(here(2)),
        )


def linear(
    name: str,
    *,
    eval: Rule,
    shape: Rule,
    transpose: Callable[..., Array],
    batch: Rule,
    samples: Sequence[Sample],
    **rest: Any,
) -> Op:
    """An op that is linear in its only operand: `transpose(ct, var, **params)` gives both derivatives."""
    op: Op

    def jvp(xs: Sequence[Array], dxs: Sequence[Array], out: Array, **params: Any) -> Array:
        return op(dxs[0], **params)

    def vjp(ct: Array, ins: Vars, xs: Sequence[Array], out: Array, **params: Any) -> tuple[Array]:
        return (transpose(ct, ins[0], **params),)

    op = Op(
        name=name,
        accepts=rest.pop("accepts", INEXACT),
        shape=shape,
        eval=eval,
        jvp=jvp,
        vjp=vjp,
        saves=(),
        batch=batch,
        samples=tuple(samples),
        **rest,
    )
    return op


def batch_elementwise(op: Callable[[], Op]) -> Rule:
    """Batch rule of a broadcasting op: operands of lower rank get axes after the batch axis."""

    def batch(xs: Sequence[Array], batched: Sequence[bool], size: int, **params: Any) -> Array:
        if len(xs) == 1:
            return op()(xs[0], **params)
        ranks = [getattr(x, "ndim", 0) - b for x, b in zip(xs, batched, strict=True)]
        ndim = max(ranks)
        aligned = [
            reshape(x, shape=(size, *(1,) * (ndim - rank), *x.shape[1:])) if b and rank < ndim else x
            for x, b, rank in zip(xs, batched, ranks, strict=True)
        ]
        return op()(*aligned, **params)

    return batch


def all_batched(xs: Sequence[Array], batched: Sequence[bool], size: int) -> list[Array]:
    """Every operand with the batch axis first, broadcast where it lacked one."""
    return [
        x if b else broadcast_to(x, shape=(size, *getattr(x, "shape", ()))) for x, b in zip(xs, batched, strict=True)
    ]


# ── reshape ───────────────────────────────────────────────────────────────────


def _reshape_shape(x: Aval, *, shape: tuple[int, ...]) -> Aval:
    if math.prod(shape) != x.size:
        raise ShapeError(
            "reshape",
            got=f"shape={shape} for {x} of {x.size} elements",
            want=f"a shape of {x.size} elements",
            fix="check the sizes, or use -1 for one of them",
            at=describe(here(2)),
        )
    return x.with_shape(shape)


reshape = linear(
    "reshape",
    accepts=ANY,
    shape=_reshape_shape,
    eval=lambda x, *, shape: x.reshape(shape),
    transpose=lambda ct, var, *, shape: reshape(ct, shape=var.shape),
    batch=lambda xs, batched, size, *, shape: reshape(xs[0], shape=(size, *shape)),
    put=lambda x, y, *, shape: reshape(y, shape=x.shape),
    samples=(
        Sample((3, 4), shape=(2, 6)),
        Sample((), shape=(1, 1)),
        Sample((0, 3), shape=(0,)),
        Sample((2, 1, 3), shape=(6,)),
    ),
    rejects=(Sample((3, 4), shape=(5,), raises=ShapeError),),
    lower=Reshape(),
)


# ── transpose ─────────────────────────────────────────────────────────────────


def _inverse(axes: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(int(i) for i in np.argsort(axes))


def _transpose_shape(x: Aval, *, axes: tuple[int, ...]) -> Aval:
    if sorted(axes) != list(range(x.ndim)):
        raise ShapeError(
            "transpose",
            got=f"axes={axes} on {x}",
            want=f"a permutation of {tuple(range(x.ndim))}",
            fix="name each axis once",
            at=describe(here(2)),
        )
    return x.with_shape(tuple(x.shape[a] for a in axes))


transpose = linear(
    "transpose",
    accepts=ANY,
    shape=_transpose_shape,
    eval=lambda x, *, axes: x.transpose(axes),
    transpose=lambda ct, var, *, axes: transpose(ct, axes=_inverse(axes)),
    batch=lambda xs, batched, size, *, axes: transpose(xs[0], axes=(0, *(a + 1 for a in axes))),
    put=lambda x, y, *, axes: transpose(y, axes=_inverse(axes)),
    samples=(Sample((3, 4), axes=(1, 0)), Sample((2, 3, 4), axes=(2, 0, 1)), Sample((), axes=())),
    rejects=(Sample((3, 4), axes=(0, 0), raises=ShapeError),),
    lower=Move(lambda at, shape, *, axes: [at[i] for i in _inverse(axes)]),
)

# ── broadcast_to ──────────────────────────────────────────────────────────────


def _broadcast_shape(x: Aval, *, shape: tuple[int, ...]) -> Aval:
    if broadcast_shapes("broadcast_to", x.shape, shape) != tuple(shape):
        raise ShapeError(
            "broadcast_to",
            got=f"{x} to shape={shape}",
            want="a shape that x broadcasts to",
            fix="check the shapes from the last axis on",
            at=describe(here(2)),
        )
    return x.with_shape(shape)


def _broadcast_eval(x: Array, *, shape: tuple[int, ...]) -> np.ndarray:
    # The pullback of every sum comes here. np.broadcast_to costs 3 µs; to say where the elements lie, 0.5 to 1.
    if not isinstance(x, (np.ndarray, np.generic)):
        x = np.asarray(x)
    lead = len(shape) - x.ndim
    if not x.ndim:
        strides = (0,) * lead
    elif (
        lead < 0 or not x.flags.c_contiguous or any(n not in (1, d) for n, d in zip(x.shape, shape[lead:], strict=True))
    ):
        return np.broadcast_to(x, shape)
    else:
        kept = zip(x.strides, x.shape, shape[lead:], strict=True)
        strides = (*(0,) * lead, *[s if n == d else 0 for s, n, d in kept])
    out = np.ndarray(shape, x.dtype, x, 0, strides)
    out.flags.writeable = False
    return out


def _broadcast_batch(xs: Sequence[Array], batched: Sequence[bool], size: int, *, shape: tuple[int, ...]) -> Array:
    (x,) = xs
    x = reshape(x, shape=(size, *(1,) * (len(shape) - x.ndim + 1), *x.shape[1:]))
    return broadcast_to(x, shape=(size, *shape))


broadcast_to = linear(
    "broadcast_to",
    accepts=ANY,
    shape=_broadcast_shape,
    eval=_broadcast_eval,
    transpose=lambda ct, var, *, shape: sum_to(ct, var.shape),
    batch=_broadcast_batch,
    samples=(
        Sample((4,), shape=(3, 4)),
        Sample((), shape=(2, 3)),
        Sample((3, 1), shape=(2, 3, 4)),
        Sample((1, 0), shape=(2, 0)),
        Sample((), shape=()),
    ),
    rejects=(Sample((3,), shape=(4,), raises=ShapeError), Sample((2, 3), shape=(3,), raises=ShapeError)),
    lower=Move(places.broadcast),
)


# ── reduce_sum ────────────────────────────────────────────────────────────────


def _sum_shape(x: Aval, *, axes: tuple[int, ...]) -> Aval:
    check_axes("reduce_sum", axes, x)
    return x.without(axes)


def expand_to(ct: Array, shape: tuple[int, ...], axes: tuple[int, ...]) -> Array:
    """`ct`, which lacks `axes`, repeated along them to `shape`: the transpose of a sum over `axes`."""
    if len(axes) != len(shape) and ct.shape != ():
        ct = reshape(ct, shape=tuple(1 if i in axes else d for i, d in enumerate(shape)))
    return broadcast_to(ct, shape=shape)


reduce_sum = linear(
    "reduce_sum",
    shape=_sum_shape,
    eval=lambda x, *, axes: np.add.reduce(x, axis=axes),
    transpose=lambda ct, var, *, axes: expand_to(ct, var.shape, axes),
    batch=lambda xs, batched, size, *, axes: reduce_sum(xs[0], axes=tuple(a + 1 for a in axes)),
    samples=(
        Sample((3, 4), axes=(0,)),
        Sample((3, 4), axes=(0, 1)),
        Sample((2, 0, 5), axes=(1,)),
        Sample((2, 3, 4), axes=(0, 2)),
        Sample((3,), axes=()),
        Sample((), axes=()),
    ),
    rejects=(Sample((3,), axes=(1,), raises=ShapeError),),
    lower=Reduce("add"),
)


# ── cast, real ────────────────────────────────────────────────────────────────


def real_dtype(dtype: np.dtype) -> np.dtype:
    return dtype if dtype.kind == "f" else np.real(np.empty(0, dtype)).dtype


def inexact_dtype(dtype: np.dtype) -> np.dtype:
    """`dtype`, or the float that integers of it compute in; ml_dtypes' halves, which NumPy's float16 will not join, stay."""
    return dtype if is_inexact(dtype) else np.result_type(dtype, np.float16)


cast = linear(
    "cast",
    shape=lambda x, *, dtype: x.with_dtype(dtype),
    eval=lambda x, *, dtype: (x if hasattr(x, "astype") else np.asarray(x)[()]).astype(dtype),
    transpose=lambda ct, var, *, dtype: cast_ct(ct, var.dtype),
    batch=lambda xs, batched, size, *, dtype: cast(xs[0], dtype=dtype),
    samples=(
        Sample((3,), dtype=np.dtype("complex128"), real_only=True),
        Sample((2, 2), dtype=np.dtype("complex128")),
        Sample((), dtype=np.dtype("float64"), real_only=True),
    ),
    note="between inexact dtypes; a cast to integers is `truncate`, which is constant",
    lower=Map(lambda b, x, *, dtype: b.cast(x, dtype), "none"),
)

real = linear(
    "real",
    shape=lambda x: x.with_dtype(real_dtype(x.dtype)),
    eval=np.real,
    transpose=lambda ct, var: fit(ct, var),
    batch=lambda xs, batched, size: real(xs[0]),
    put=lambda x, y: from_parts(y, imag(x)),
    samples=(Sample((3,)), Sample(()), Sample((0, 2))),
    lower=Via(lambda x: x),
)


imag = linear(
    "imag",
    shape=lambda x: x.with_dtype(real_dtype(x.dtype)),
    eval=np.imag,
    # Re(ct · Im(v)) = Re(-i ct · v)
    transpose=lambda ct, var: fit(scale(ct, -1j), var) if var.dtype.kind == "c" else fit(scale(ct, 0.0), var),
    batch=lambda xs, batched, size: imag(xs[0]),
    put=lambda x, y: from_parts(real(x), y),
    samples=(Sample((3,)), Sample(()), Sample((0, 2))),
    lower=Map(lambda b, x: b.like(0, x)),
)


def _parts_shape(x: Aval, y: Aval) -> Aval:
    return Aval(broadcast_shapes("from_parts", x.shape, y.shape), np.result_type(promote(x, y), np.complex64))


def _parts_eval(x: Array, y: Array) -> Array:
    out = np.empty(np.broadcast_shapes(np.shape(x), np.shape(y)), np.result_type(x, y, np.complex64))
    out.real, out.imag = x, y
    return out if out.ndim else out[()]


def _parts_jvp(xs: Sequence[Array], dxs: Sequence[Array], out: Array) -> Array:
    dx, dy = (np.zeros((), real_dtype(out.dtype)) if d is None else d for d in dxs)
    return fit_tangent(from_parts(dx, dy), out)


def _parts_vjp(ct: Array, ins: Vars, xs: Sequence[Array], out: Array) -> tuple[Array | None, ...]:
    x, y = ins
    # Re(ct · (dx + i dy)) = Re(ct) dx - Im(ct) dy
    return None if x is None else fit(real(ct), x), None if y is None else fit(neg(imag(ct)), y)


from_parts = Op(
    name="from_parts",
    accepts=FLOAT,
    shape=_parts_shape,
    eval=_parts_eval,
    jvp=_parts_jvp,
    vjp=_parts_vjp,
    saves=(),
    batch=batch_elementwise(lambda: from_parts),
    samples=(Sample((3, 4), (3, 4)), Sample((), ()), Sample((0, 2), (0, 2)), Sample((2, 1), (3,))),
    rejects=(Sample((3,), (4,), raises=ShapeError),),
    note="x + iy without arithmetic, so that an infinite part does not make the other one NaN",
)

conj = linear(
    "conj",
    shape=lambda x: x,
    eval=np.conjugate,
    transpose=lambda ct, var: conj(ct),
    batch=lambda xs, batched, size: conj(xs[0]),
    samples=(Sample((3,)), Sample(()), Sample((0, 2))),
    lower=scalars.for_floats(Via(lambda x: x)),
)


# ── neg, add, scale ───────────────────────────────────────────────────────────

neg = linear(
    "neg",
    shape=lambda x: x,
    eval=operator.neg,
    transpose=lambda ct, var: neg(ct),
    batch=lambda xs, batched, size: neg(xs[0]),
    samples=(Sample((3, 4)), Sample(()), Sample((0,))),
    lower=scalars.lifted("neg"),
)


def _add_jvp(xs: Sequence[Array], dxs: Sequence[Array], out: Array) -> Array:
    dx, dy = dxs
    return fit_tangent(dx if dy is None else dy if dx is None else add(dx, dy), out)


def _add_vjp(ct: Array, ins: Vars, xs: Sequence[Array], out: Array) -> tuple[Array | None, ...]:
    x, y = ins
    return None if x is None else fit(ct, x), None if y is None else fit(ct, y)


def arithmetic_shape(name: str) -> Rule:
    return lambda x, y: Aval(broadcast_shapes(name, x.shape, y.shape), promote(x, y))


BINARY_SAMPLES = (
    Sample((3, 4), (3, 4)),
    Sample((3, 1), (4,)),
    Sample((), (2,)),
    Sample((0, 2), (2,)),
    Sample((), ()),
)

add = Op(
    name="add",
    accepts=INEXACT,
    shape=arithmetic_shape("add"),
    eval=operator.add,
    jvp=_add_jvp,
    vjp=_add_vjp,
    saves=(),
    batch=batch_elementwise(lambda: add),
    samples=BINARY_SAMPLES,
    rejects=(Sample((3,), (4,), raises=ShapeError),),
    lower=scalars.lifted("add"),
)


def _scale_eval(x: Array, slope: Array) -> Array:
    return strong_zero(x * slope, x)


def times(ct: Array, slope: Array, var: Var) -> Array:
    """`fit(scale(ct, slope), var)` in one frame where both are plain: for the hottest pullbacks."""
    if type(ct) is Tensor or type(slope) is Tensor:
        return fit(scale(ct, slope), var)
    product = ct * slope
    if type(product) is not np.ndarray:
        if product != product:
            product = strong_zero(product, ct)
    elif type(slope) in REALS:
        if slope - slope != 0:  # only where the slope is infinite or NaN can zeros have become NaNs
            product = strong_zero(product, ct)
    elif product.ndim != 1 or (norm := product.dot(product)) != norm:
        product = strong_zero(product, ct)
    return product if product.shape == var.shape and product.dtype is var.dtype else fit(product, var)


def times_over(ct: Array, slope: Array, var: Var) -> Array:
    """`times` with a slope made for it: a large one that nobody else holds is written over, since fresh memory
    costs cache misses and page faults."""
    if (
        type(slope) is np.ndarray
        and slope.nbytes >= LARGE
        and getrefcount(slope) == ALONE
        and type(ct) is np.ndarray
        and ct.shape == slope.shape == var.shape
        and ct.dtype == slope.dtype == var.dtype
        and slope.base is None
        and slope.flags.writeable
    ):
        return strong_zero(np.multiply(ct, slope, out=slope), ct)
    return times(ct, slope, var)


REALS = frozenset({float, int, np.float64, np.float32})
LARGE = 1 << 15  # bytes from which fresh memory costs more than to find out
ALONE = (lambda x: getrefcount(x))(np.zeros(1))  # references to an argument that only its function holds


def has_nan(x: np.ndarray | np.generic) -> bool:
    """Whether a NaN is among the elements. That there is none, a dot product with itself shows in one read."""
    if type(x) is not np.ndarray:
        return bool(x != x)
    flat = x if x.ndim == 1 else x.ravel(order="K")
    return (norm := flat.dot(flat)) != norm and bool(np.isnan(flat).any())


def strong_zero(product: Array, x: Array) -> Array:
    """`product` with zeros wherever `x` is zero, should it contain a NaN."""
    return np.where(x == 0, np.zeros((), product.dtype), product)[()] if has_nan(product) else product


def _scale_jvp(xs: Sequence[Array], dxs: Sequence[Array], out: Array) -> Array:
    dx = None if dxs[0] is None else scale(dxs[0], xs[1])
    dy = None if dxs[1] is None else strong_mul(xs[0], dxs[1])
    return _add_jvp(xs, (dx, dy), out)


def _scale_vjp(ct: Array, ins: Vars, xs: Sequence[Array], out: Array) -> tuple[Array | None, ...]:
    x, y = ins
    # The derivative with respect to the slope is x itself: it stays strong in x, and ct is a cotangent.
    return None if x is None else fit(scale(ct, xs[1]), x), None if y is None else fit(strong_mul(xs[0], ct), y)


scale = Op(
    name="scale",
    accepts=INEXACT,
    shape=arithmetic_shape("scale"),
    eval=_scale_eval,
    jvp=_scale_jvp,
    vjp=_scale_vjp,
    saves={0: (1,), 1: (0,)},
    batch=batch_elementwise(lambda: scale),
    samples=BINARY_SAMPLES,
    note="the strong product x·slope: where x is zero the result is zero, even if the slope is infinite or NaN",
    lower=Map(scalars.scale, cost=4),
)


# ── strong_mul ────────────────────────────────────────────────────────────────


def _strong_mul_eval(x: Array, y: Array) -> Array:
    product = x * y
    if not has_nan(product):
        return product
    return np.where(np.equal(x, 0) | np.equal(y, 0), np.zeros((), product.dtype), product)[()]


def _strong_mul_jvp(xs: Sequence[Array], dxs: Sequence[Array], out: Array) -> Array:
    dx = None if dxs[0] is None else strong_mul(dxs[0], xs[1])
    dy = None if dxs[1] is None else strong_mul(xs[0], dxs[1])
    return _add_jvp(xs, (dx, dy), out)


def _strong_mul_vjp(ct: Array, ins: Vars, xs: Sequence[Array], out: Array) -> tuple[Array | None, ...]:
    x, y = ins
    return None if x is None else fit(strong_mul(ct, xs[1]), x), None if y is None else fit(strong_mul(ct, xs[0]), y)


strong_mul = Op(
    name="strong_mul",
    accepts=INEXACT,
    shape=arithmetic_shape("strong_mul"),
    eval=_strong_mul_eval,
    jvp=_strong_mul_jvp,
    vjp=_strong_mul_vjp,
    saves={0: (1,), 1: (0,)},
    batch=batch_elementwise(lambda: strong_mul),
    samples=BINARY_SAMPLES,
    note="the product of two cotangents or tangents: zero where either is, even if the other is infinite or NaN",
    lower=Map(scalars.strong_mul, cost=5),
)


# ── fitting cotangents and tangents ───────────────────────────────────────────


def fit(ct: Array, var: Var) -> Array:
    """Bring a cotangent to its variable's shape (summing what was broadcast) and dtype."""
    if ct.shape != var.shape:
        ct = sum_to(ct, var.shape)
    if ct.dtype is not var.dtype and ct.dtype != var.dtype:
        ct = cast_ct(ct, var.dtype)
    return ct


def sum_to(ct: Array, shape: tuple[int, ...]) -> Array:
    """The transpose of broadcasting `shape` to `ct.shape`; a `ct` of lower rank is broadcast first."""
    if len(ct.shape) < len(shape) or any(
        d == 1 and s != 1 for d, s in zip(reversed(ct.shape), reversed(shape), strict=False)
    ):
        ct = broadcast_to(ct, shape=np.broadcast_shapes(ct.shape, shape))
    lead = len(ct.shape) - len(shape)
    axes = tuple(range(lead)) + tuple(i + lead for i, d in enumerate(shape) if d == 1 and ct.shape[i + lead] != 1)
    if axes:
        ct = reduce_sum(ct, axes=axes)
    return ct if ct.shape == shape else reshape(ct, shape=shape)


def cast_ct(ct: Array, dtype: np.dtype) -> Array:
    """The transpose of promoting `dtype`: a real variable takes a complex cotangent's real part."""
    if ct.dtype.kind == "c" and dtype.kind != "c":
        ct = real(ct)
    return ct if ct.dtype == dtype else cast(ct, dtype=dtype)


def fit_tangent(dx: Array, out: Array) -> Array:
    """Bring a tangent to its output's shape and dtype (an operand that was broadcast or promoted)."""
    if dx.dtype != out.dtype:
        dx = cast_ct(dx, out.dtype)
    return dx if dx.shape == out.shape else broadcast_to(dx, shape=out.shape)
