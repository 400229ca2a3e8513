"""Indexing: `x[spec]`, its adjoint, and assignment as a function.

A `spec` is what stands between the brackets: ints, slices, None, Ellipsis, with `ARRAY`
in the place of each integer index array. The index arrays are positional operands, since
their values may be traced (batched); they never carry a derivative. In a spec that has
arrays there is no Ellipsis and no int (both are resolved by `wengert.numpy`), and boolean
masks have become integer arrays. `unique` promises that no element is named twice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.core.aval import ANY, Aval
from wengert.core.errors import ShapeError
from wengert.core.form import Assemble, HostCall, Library, Move, Via
from wengert.core.op import Constant, Op, Sample
from wengert.core.source import describe, here
from wengert.core.tensor import Array
from wengert.graph.program import Vars
from wengert.ops import places
from wengert.ops.basis import broadcast_to, fit, fit_tangent, reshape, scale, transpose
from wengert.ops.logic import equal


class _Array:
    """Stands in a spec for an index array, which is an operand."""

    def __repr__(self) -> str:
        return "ARRAY"


ARRAY = _Array()
Spec = Any


def native(spec: Spec, arrays: Sequence[Array]) -> Any:
    """What NumPy takes between the brackets."""
    if not arrays:
        return spec
    if len(arrays) == len(spec):
        return tuple(arrays)
    rest = iter(arrays)
    return tuple(next(rest) if s is ARRAY else s for s in spec)


def _indexed_shape(name: str, x: Aval, arrays: Sequence[Aval], spec: Spec) -> tuple[int, ...]:
    wanted = sum(s is ARRAY for s in spec) if type(spec) is tuple else int(spec is ARRAY)
    if wanted != len(arrays):
        raise ShapeError(
            name,
            got=f"{len(arrays)} index arrays for {spec}",
            want=f"{wanted}, one for each ARRAY",
            fix="pass as many as the spec names",
            at=describe(here(2)),
        )
    probe = np.broadcast_to(np.empty(()), x.shape)  # no memory, whatever the shape
    try:
        return probe[native(spec, [np.zeros(a.shape, int) for a in arrays])].shape
    except IndexError as error:
        raise ShapeError(
            name,
            got=f"index {spec} into {x}",
            want="an index within the shape",
            fix=str(error),
            at=describe(here(2)),
        ) from None


# ── transposing between a batched index and the axes NumPy gives its result ───


def _batched_spec(
    spec: Spec, arrays: Sequence[Array], batched: Sequence[bool], x_batched: bool, x_ndim: int, size: int
) -> tuple[Spec, list[Array], tuple[int, ...] | None]:
    """The spec, arrays and axes with which `transpose(X[spec], axes)` indexes each example of X.

    `x_ndim` is the rank of one example. NumPy puts the axes of index arrays in front when a
    slice stands between them, which a leading batch axis may cause or follow; `axes` undoes it.
    """
    head = (slice(None),) if x_batched else ()
    entries = spec if isinstance(spec, tuple) else (spec,)
    if not arrays:
        return (*head, *entries), [], None
    first = entries.index(ARRAY)
    last = len(entries) - 1 - entries[::-1].index(ARRAY)
    separated = any(e is not ARRAY for e in entries[first:last])
    rank = max(a.ndim - b for a, b in zip(arrays, batched, strict=True))
    n_slices = sum(e is not ARRAY for e in entries) + x_ndim - sum(e is not None for e in entries)
    if not any(batched):
        if not separated:
            return (*head, *entries), list(arrays), None
        # NumPy gives (arrays, batch, slices)
        return (*head, *entries), list(arrays), (rank, *range(rank), *range(rank + 1, rank + 1 + n_slices))
    aligned = [
        reshape(a, shape=(size, *(1,) * (rank - a.ndim + 1), *a.shape[1:])) if b else a
        for a, b in zip(arrays, batched, strict=True)
    ]
    at = 0 if separated else first  # where one example's result has the arrays' axes
    if x_batched:
        each = np.arange(size).reshape(size, *(1,) * rank)
        spec = (ARRAY, *entries)
        # NumPy gives (batch, arrays, slices): the batch index stands apart unless an array comes first.
        axes = (0, *range(1 + rank, 1 + rank + at), *range(1, 1 + rank), *range(1 + rank + at, 1 + rank + n_slices))
        return spec, [each, *aligned], axes
    # NumPy gives (slices before, batch, arrays, slices after)
    return entries, aligned, (at, *range(at), *range(at + 1, 1 + rank + n_slices))


def _transposed(x: Array, axes: tuple[int, ...] | None) -> Array:
    return x if axes is None or axes == tuple(range(len(axes))) else transpose(x, axes=axes)


def _index_batch(xs: Sequence[Array], batched: Sequence[bool], size: int, *, spec: Spec, unique: bool = False) -> Array:
    x, *arrays = xs
    ndim = x.ndim - batched[0]
    spec, arrays, axes = _batched_spec(spec, arrays, batched[1:], batched[0], ndim, size)
    return _transposed(index(x, *arrays, spec=spec, unique=unique and batched[0]), axes)


# ── forms ──


def _aligned(y: Array, spec: Spec, shape: Sequence[int]) -> tuple[Array, tuple[slice, ...]]:
    """`y`, of the shape that `spec` selects, and a spec of slices alone that put it to the same places."""
    slices, selected, backward = places.regular(spec, shape)
    y = y if y.shape == selected else reshape(y, shape=selected)
    if backward:
        reverse = slice(None, None, -1)
        y = index(y, spec=tuple(reverse if a in backward else slice(None) for a in range(len(shape))))
    return y, tuple(slices)


def _index_form(ins: Sequence[Aval], params: dict[str, Any]) -> Any:
    if len(ins) > 1:
        return Library("index")
    return HostCall("a boolean index") if places.has_booleans(params["spec"]) else Move(places.sliced)


def _scattered(y: Array, *, spec: Spec, shape: tuple[int, ...], unique: bool = False) -> Array:
    y, slices = _aligned(y, spec, shape)
    return scatter_add(y, spec=slices, shape=shape)


def _scatter_form(ins: Sequence[Aval], params: dict[str, Any]) -> Any:
    if len(ins) > 1:
        return Library("scatter_add")
    if places.has_booleans(params["spec"]):
        return HostCall("a boolean index")
    return Assemble(places.scattered) if places.is_regular(params["spec"], params["shape"]) else Via(_scattered)


def _put(x: Array, y: Array, *, spec: Spec) -> Array:
    if getattr(y, "shape", ()):
        whole = _indexed_shape("index_put", Aval(x.shape, x.dtype), (), spec)
        y = y if y.shape == whole else broadcast_to(y, shape=whole)
        y, slices = _aligned(y, spec, x.shape)
    else:
        slices = tuple(places.regular(spec, x.shape)[0])
    return index_put(x, y, spec=slices)


def _put_form(ins: Sequence[Aval], params: dict[str, Any]) -> Any:
    if len(ins) > 2:
        return Library("index_put")
    if places.has_booleans(params["spec"]):
        return HostCall("a boolean index")
    return Assemble(places.assigned) if places.is_regular(params["spec"], ins[0].shape) else Via(_put)


# ── index ─────────────────────────────────────────────────────────────────────


def _index_accumulate(
    into: np.ndarray, ct: np.ndarray, xs: Sequence[Array], *, spec: Spec, unique: bool = False
) -> None:
    at = native(spec, xs[1:])
    if unique or len(xs) == 1:
        into[at] += ct
    else:
        np.add.at(into, at, ct)


_I = np.array([2, 0, 2])
_J = np.array([[1, 0, 3]])

index = Op(
    name="index",
    accepts=ANY,
    shape=lambda x, *arrays, spec, unique=False: x.with_shape(_indexed_shape("index", x, arrays, spec)),
    eval=lambda x, *arrays, spec, unique=False: x[native(spec, arrays)],
    jvp=lambda xs, dxs, out, *, spec, unique=False: index(dxs[0], *xs[1:], spec=spec, unique=unique),
    vjp=lambda ct, ins, xs, out, *, spec, unique=False: (
        scatter_add(ct, *xs[1:], spec=spec, shape=ins[0].shape, unique=unique),
        *(None,) * (len(xs) - 1),
    ),
    saves=(slice(1, None),),
    batch=_index_batch,
    put=lambda x, y, *, spec, unique=False: index_put(x, y, spec=spec),
    accumulate=_index_accumulate,
    samples=(
        Sample((3, 4), spec=1),
        Sample((3, 4), spec=(slice(None), slice(None, None, -2))),
        Sample((3, 4), spec=(None, Ellipsis, 0)),
        Sample((3,), spec=(0,)),
        Sample((3, 4), _I, spec=(ARRAY,)),
        Sample((3, 4), _I, _J, spec=(ARRAY, ARRAY)),
        Sample((2, 3, 4), _I, spec=(slice(None), ARRAY)),
        Sample((3, 2, 4), _I, _J, spec=(ARRAY, slice(None), ARRAY)),
        Sample((3, 0), _I, spec=(ARRAY, slice(None))),
    ),
    rejects=(Sample((3,), spec=(5,), raises=ShapeError),),
    lower=_index_form,
)


# ── scatter_add ───────────────────────────────────────────────────────────────


def _scatter_shape(y: Aval, *arrays: Aval, spec: Spec, shape: tuple[int, ...], unique: bool = False) -> Aval:
    whole = y.with_shape(shape)
    part = _indexed_shape("scatter_add", whole, arrays, spec)
    if y.shape != part:
        raise ShapeError(
            "scatter_add",
            got=f"{y} into {spec} of {shape}",
            want=f"shape {part}",
            fix="broadcast it",
            at=describe(here(2)),
        )
    return whole


def _scatter_eval(y: Array, *arrays: Array, spec: Spec, shape: tuple[int, ...], unique: bool = False) -> np.ndarray:
    out = np.zeros(shape, y.dtype)
    at = native(spec, arrays)
    if unique or not arrays:
        out[at] = y
    else:
        np.add.at(out, at, y)
    return out


def _scatter_batch(
    xs: Sequence[Array], batched: Sequence[bool], size: int, *, spec: Spec, shape: tuple[int, ...], unique: bool = False
) -> Array:
    y, *arrays = xs
    if not batched[0]:
        y = broadcast_to(y, shape=(size, *y.shape))
    spec, arrays, axes = _batched_spec(spec, arrays, batched[1:], True, len(shape), size)
    if axes is not None:
        y = _transposed(y, tuple(int(i) for i in np.argsort(axes)))
    return scatter_add(y, *arrays, spec=spec, shape=(size, *shape), unique=unique)


scatter_add = Op(
    name="scatter_add",
    accepts=ANY,
    shape=_scatter_shape,
    eval=_scatter_eval,
    jvp=lambda xs, dxs, out, **params: scatter_add(dxs[0], *xs[1:], **params),
    vjp=lambda ct, ins, xs, out, *, spec, shape, unique=False: (
        index(ct, *xs[1:], spec=spec, unique=unique),
        *(None,) * (len(xs) - 1),
    ),
    saves=(slice(1, None),),
    batch=_scatter_batch,
    samples=(
        Sample((4,), spec=1, shape=(3, 4)),
        Sample((3, 2), spec=(slice(None), slice(None, None, -2)), shape=(3, 4)),
        Sample((3, 4), _I, spec=(ARRAY,), shape=(3, 4)),
        Sample((1, 3), _I, _J, spec=(ARRAY, ARRAY), shape=(3, 4)),
        Sample((2, 3, 4), _I, spec=(slice(None), ARRAY), shape=(2, 3, 4)),
        Sample((1, 3, 2), _I, _J, spec=(ARRAY, slice(None), ARRAY), shape=(3, 2, 4)),
    ),
    lower=_scatter_form,
)


# ── index_put ─────────────────────────────────────────────────────────────────


def _put_eval(x: Array, y: Array, *arrays: Array, spec: Spec) -> np.ndarray:
    out = x.copy("K") if type(x) is np.ndarray else np.array(x)
    out[native(spec, arrays)] = y
    return out


def _put_shape(x: Aval, y: Aval, *arrays: Aval, spec: Spec) -> Aval:
    target = _indexed_shape("index_put", x, arrays, spec)
    try:
        fits = np.broadcast_shapes(y.shape, target) == target
    except ValueError:
        fits = False
    if not fits:
        raise ShapeError(
            "index_put",
            got=f"{y} assigned to x[{spec}] of shape {target}",
            want=f"a value that broadcasts to {target}",
            fix="reshape the value",
            at=describe(here(2)),
        )
    return x


def _put_jvp(xs: Sequence[Array], dxs: Sequence[Array], out: Array, *, spec: Spec) -> Array:
    dx = np.zeros(out.shape, out.dtype) if dxs[0] is None else dxs[0]
    dy = np.zeros((), out.dtype) if dxs[1] is None else dxs[1]
    return fit_tangent(index_put(dx, dy, *xs[2:], spec=spec), out)


def _put_vjp(ct: Array, ins: Vars, xs: Sequence[Array], out: Array, *, spec: Spec) -> tuple[Array | None, ...]:
    x, y = ins[:2]
    arrays = xs[2:]
    dx = None if x is None else fit(index_put(ct, 0.0, *arrays, spec=spec), x)
    dy = None
    if y is not None:
        dy = index(ct, *arrays, spec=spec)
        if any(getattr(a, "shape", ()) not in ((), (1,)) for a in arrays):  # a single place is not written twice
            dy = scale(dy, last_write(*arrays, spec=spec, shape=tuple(ct.shape)))
        dy = fit(dy, y)
    return (dx, dy, *(None,) * len(arrays))


def _put_overwrite(
    ct: np.ndarray, ins: Vars, xs: Sequence[Array], out: Array, *, spec: Spec
) -> tuple[Array | None, ...]:
    if len(xs) > 2 or (ins[0] is not None and ins[0].dtype != ct.dtype):
        return _put_vjp(ct, ins, xs, out, spec=spec)
    dy = None if ins[1] is None else fit(ct[spec].copy(), ins[1])
    ct[spec] = 0.0
    return None if ins[0] is None else ct, dy


def _put_batch(xs: Sequence[Array], batched: Sequence[bool], size: int, *, spec: Spec) -> Array:
    x, y, *arrays = xs
    if not batched[0]:
        x = broadcast_to(x, shape=(size, *x.shape))
    new_spec, new_arrays, axes = _batched_spec(spec, arrays, batched[2:], True, x.ndim - 1, size)
    if getattr(y, "ndim", 0) or axes is not None:
        examples = [_example(a, b) for a, b in zip(arrays, batched[2:], strict=True)]
        one = _indexed_shape("index_put", Aval(x.shape[1:], x.dtype), examples, spec)
        y = _without_leading_ones(y, batched[1], one)
    if batched[1] or axes is not None:
        if not batched[1]:
            y = broadcast_to(y, shape=(size, *getattr(y, "shape", ())))
        y = reshape(y, shape=(size, *(1,) * (len(one) - y.ndim + 1), *y.shape[1:])) if y.ndim <= len(one) else y
        if axes is not None:
            y = _transposed(broadcast_to(y, shape=(size, *one)), tuple(int(i) for i in np.argsort(axes)))
    return index_put(x, y, *new_arrays, spec=new_spec)


def _without_leading_ones(y: Array, batched: bool, target: tuple[int, ...]) -> Array:
    """`y` with no more axes than it is assigned to; NumPy allows more if they are of length one."""
    shape = tuple(getattr(y, "shape", ()))
    own = shape[batched:]
    extra = len(own) - len(target)
    if extra <= 0:
        return y
    if any(d != 1 for d in own[:extra]):
        raise ShapeError(
            "index_put",
            got=f"a value of shape {own} assigned to elements of shape {target}",
            want=f"a value that broadcasts to {target}",
            fix="reshape the value",
            at=describe(here(2)),
        )
    return reshape(y, shape=(*shape[:batched], *own[extra:]))


def _example(a: Array, batched: bool) -> Aval:
    return Aval(a.shape[1:] if batched else a.shape, a.dtype)


index_put = Op(
    name="index_put",
    accepts=ANY,
    shape=_put_shape,
    eval=_put_eval,
    jvp=_put_jvp,
    vjp=_put_vjp,
    saves=(slice(2, None),),
    overwrite=_put_overwrite,
    batch=_put_batch,
    samples=(
        Sample((3, 4), (4,), spec=1),
        Sample((3, 4), (), spec=(slice(None), slice(None, None, -2))),
        Sample((3, 4), (3, 4), _I, spec=(ARRAY,)),
        Sample((3, 4), (3,), _I, _J, spec=(ARRAY, ARRAY)),
        Sample((2, 3, 4), (3, 1), _I, spec=(slice(None), ARRAY)),
        Sample((3, 2, 4), (1, 3, 2), _I, _J, spec=(ARRAY, slice(None), ARRAY)),
    ),
    rejects=(Sample((3, 4), (3,), spec=1, raises=ShapeError),),
    note="where index arrays name an element twice, the last write counts, in value and in derivative",
    lower=_put_form,
)


# ── last_write ────────────────────────────────────────────────────────────────


def _last_eval(*arrays: Array, spec: Spec, shape: tuple[int, ...]) -> np.ndarray:
    at = native(spec, arrays)
    owner = np.zeros(shape, np.intp)
    number = np.arange(owner[at].size).reshape(owner[at].shape)
    owner[at] = number
    return owner[at] == number


def _last_batch(
    xs: Sequence[Array], batched: Sequence[bool], size: int, *, spec: Spec, shape: tuple[int, ...]
) -> Array:
    new_spec, arrays, axes = _batched_spec(spec, xs, batched, True, len(shape), size)
    return _transposed(last_write(*arrays, spec=new_spec, shape=(size, *shape)), axes)


def _survivors(*arrays: Array, spec: Spec, shape: tuple[int, ...]) -> Array:
    dtype = np.dtype(np.intp)
    part = _indexed_shape("last_write", Aval(shape, dtype), [Aval(a.shape, a.dtype) for a in arrays], spec)
    number = np.arange(math.prod(part)).reshape(part)
    owner = index_put(np.zeros(shape, dtype), number, *arrays, spec=spec)
    return equal(index(owner, *arrays, spec=spec), number)


last_write = Op(
    name="last_write",
    accepts=ANY,
    shape=lambda *arrays, spec, shape: Aval(
        _indexed_shape("last_write", Aval(shape, np.dtype(float)), arrays, spec), np.dtype(bool)
    ),
    eval=_last_eval,
    jvp=Constant("a boolean: which of the assigned elements survive"),
    vjp=Constant("a boolean: which of the assigned elements survive"),
    saves=(),
    batch=_last_batch,
    samples=(
        Sample(_I, spec=(ARRAY,), shape=(3, 4)),
        Sample(_I, _J, spec=(ARRAY, slice(None), ARRAY), shape=(3, 2, 4)),
    ),
    lower=Via(_survivors),
)
