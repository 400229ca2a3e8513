"""Contractions: sums of products over shared axes. `matmul` is NumPy's; `contract` is the pairwise einsum
that every other contraction, and every pullback of one, is written in.

The subscripts of `contract` name each axis once per operand, and each name occurs in at least two
of the three places (two operands, result). Pullbacks permute the places, so that the set is
closed: whatever is derived from a contraction is one matrix product again, never a loop.

Cost    One BLAS product; operands are copied only if their axes cannot be grouped by a view.
Source  Giles (2008), "Collected matrix derivative results for forward and reverse mode AD".
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from wengert.core.aval import INEXACT, Aval, promote
from wengert.core.errors import ShapeError
from wengert.core.form import Library
from wengert.core.op import Op, Sample
from wengert.core.source import describe, here
from wengert.core.tensor import Array
from wengert.graph.program import Vars
from wengert.ops.basis import add, broadcast_shapes, fit, fit_tangent, reshape, transpose

LABELS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXY" + "".join(map(chr, range(0x3B1, 0x3B1 + 64)))
Strong = tuple[bool, bool]

# ── strong zeros ──────────────────────────────────────────────────────────────


def strong_product(product: Callable[[Any, Any], Any], x: Array, y: Array, strong: Strong) -> Array:
    """`product(x, y)`, in which zeros of the strong operands annihilate infinities and NaNs.

    Finding out that nothing needs to be done costs one read of the smallest array that shows it.
    """
    out = product(x, y)
    probe = out
    if not strong[1] and y.size < probe.size:
        probe = y
    if not strong[0] and x.size < probe.size:
        probe = x
    if probe.dtype.kind not in "fc" or all_finite(probe) or not np.isnan(out).any():
        return out
    x_ok, y_ok = np.isfinite(x), np.isfinite(y)
    x_live = x != 0 if strong[0] else np.ones_like(x_ok)
    y_live = y != 0 if strong[1] else np.ones_like(y_ok)

    def count(a: Array, b: Array) -> Array:
        return product(a.astype(float), b.astype(float))

    troubled = count(x_live, y_live & ~y_ok) + count(x_live & ~x_ok, y_live)
    return np.where(troubled == 0, product(np.where(x_ok, x, 0), np.where(y_ok, y, 0)), out).astype(out.dtype)[()]


def all_finite(x: Array) -> bool:
    """True only if no infinity and no NaN is among the elements; may be False where their squares overflow."""
    flat = x if x.ndim == 1 else x.ravel(order="K")
    norm = flat.dot(flat)
    return bool(norm - norm == 0)


# ── contract ──────────────────────────────────────────────────────────────────


def places(subscripts: str) -> tuple[str, str, str]:
    """The axis names of both operands and of the result."""
    operands, out = subscripts.split("->")
    x, y = operands.split(",")
    return x, y, out


class _Side(NamedTuple):
    """How an operand becomes a (stack of) matrices: transpose, group axes, and perhaps swap the last two."""

    axes: tuple[int, ...] | None
    swap: bool


class _Plan(NamedTuple):
    batch: str
    left: str
    inner: str
    right: str
    x: _Side
    y: _Side
    out: tuple[int, ...] | None


def _side(labels: str, batch: str, rows: str, columns: str) -> _Side:
    """Prefer a view: the axes as they lie, or as they lie with rows and columns exchanged."""
    if labels == batch + rows + columns:
        return _Side(None, False)
    order = batch + columns + rows
    if labels == order:
        return _Side(None, True)
    # One axis per group needs no copy, in any order.
    return _Side(tuple(labels.index(c) for c in batch + rows + columns), False)


@functools.lru_cache(maxsize=4096)
def _plan(subscripts: str, inner_of_x: bool) -> _Plan:
    a, b, c = places(subscripts)
    batch = "".join(i for i in c if i in a and i in b)
    inner = "".join(i for i in (a if inner_of_x else b) if i in a and i in b and i not in c)
    left = "".join(i for i in a if i in c and i not in b)
    right = "".join(i for i in b if i in c and i not in a)
    got = batch + left + right
    out = None if got == c else tuple(got.index(i) for i in c)
    return _Plan(batch, left, inner, right, _side(a, batch, left, inner), _side(b, batch, inner, right), out)


def _matrices(x: Array, side: _Side, batch: tuple[int, ...], rows: int, columns: int) -> Array:
    if side.axes is not None:
        x = x.transpose(side.axes)
    if side.swap:
        return x.reshape((*batch, columns, rows)).swapaxes(-1, -2)
    return x.reshape((*batch, rows, columns))


def _sizes(x: Any, y: Any, subscripts: str) -> dict[str, int]:
    a, b, _ = places(subscripts)
    return {**dict(zip(a, np.shape(x), strict=True)), **dict(zip(b, np.shape(y), strict=True))}


def _pairwise(x: Array, y: Array, subscripts: str) -> Array:
    plan = _plan(subscripts, np.size(x) >= np.size(y))
    if not plan.inner:
        return _outer(x, y, subscripts)
    sizes = _sizes(x, y, subscripts)
    batch, left, inner, right = (tuple(sizes[i] for i in group) for group in plan[:4])
    rows, depth, columns = math.prod(left), math.prod(inner), math.prod(right)
    xs = _matrices(x, plan.x, batch, rows, depth)
    ys = _matrices(y, plan.y, batch, depth, columns)
    out = np.matmul(xs, ys).reshape((*batch, *left, *right))
    return (out if plan.out is None else out.transpose(plan.out))[()]


def _outer(x: Array, y: Array, subscripts: str) -> Array:
    """No axis is summed: a broadcast product."""
    a, b, c = places(subscripts)
    aligned = []
    for v, labels in ((x, a), (y, b)):
        order = tuple(labels.index(i) for i in c if i in labels)
        spec = tuple(slice(None) if i in labels else None for i in c)
        aligned.append(v.transpose(order)[spec] if np.ndim(v) else v)
    return aligned[0] * aligned[1]


def _contract_eval(x: Array, y: Array, *, subscripts: str, strong: Strong | None = None) -> Array:
    if strong is None:
        return _pairwise(x, y, subscripts)
    return strong_product(lambda a, b: _pairwise(a, b, subscripts), x, y, strong)


def _contract_shape(x: Aval, y: Aval, *, subscripts: str, strong: Strong | None = None) -> Aval:
    a, b, c = places(subscripts)
    sizes: dict[str, int] = {}
    fits = len(a) == x.ndim and len(b) == y.ndim
    for label, size in (*zip(a, x.shape, strict=False), *zip(b, y.shape, strict=False)):
        fits = fits and sizes.setdefault(label, size) == size
    if not fits:
        raise ShapeError(
            "contract",
            got=f"{x} and {y} as {subscripts}",
            want="one name per axis, and axes of one name of one size",
            fix="check the subscripts against the shapes",
            at=describe(here(2)),
        )
    return Aval(tuple(sizes[i] for i in c), promote(x, y))


def _strong(strong: Strong | None) -> Strong:
    return strong or (False, False)


def _contract_jvp(
    xs: Sequence[Array], dxs: Sequence[Array], out: Array, *, subscripts: str, strong: Strong | None = None
) -> Array:
    sx, sy = _strong(strong)
    dx, dy = dxs
    total = None if dx is None else contract(dx, xs[1], subscripts=subscripts, strong=(True, sy))
    if dy is not None:
        term = contract(xs[0], dy, subscripts=subscripts, strong=(sx, True))
        total = term if total is None else add(total, term)
    return fit_tangent(total, out)


def _contract_vjp(
    ct: Array, ins: Vars, xs: Sequence[Array], out: Array, *, subscripts: str, strong: Strong | None = None
) -> tuple[Array | None, ...]:
    a, b, c = places(subscripts)
    sx, sy = _strong(strong)
    x, y = ins
    return (
        None if x is None else fit(contract(ct, xs[1], subscripts=f"{c},{b}->{a}", strong=(True, sy)), x),
        None if y is None else fit(contract(xs[0], ct, subscripts=f"{a},{c}->{b}", strong=(sx, True)), y),
    )


def _contract_batch(
    xs: Sequence[Array], batched: Sequence[bool], size: int, *, subscripts: str, strong: Strong | None = None
) -> Array:
    new = next(i for i in LABELS if i not in subscripts)
    a, b, c = places(subscripts)
    a, b = (new + a if batched[0] else a), (new + b if batched[1] else b)
    return contract(*xs, subscripts=f"{a},{b}->{new}{c}", strong=strong)


contract = Op(
    name="contract",
    accepts=INEXACT,
    shape=_contract_shape,
    eval=_contract_eval,
    jvp=_contract_jvp,
    vjp=_contract_vjp,
    saves={0: (1,), 1: (0,)},
    batch=_contract_batch,
    samples=(
        Sample((3, 4), (4, 2), subscripts="ij,jk->ik"),
        Sample((3, 4), (2, 4), subscripts="ij,kj->ki"),
        Sample((2, 3, 4), (4, 3, 5), subscripts="bij,jik->kb"),
        Sample((2, 3, 4), (2, 4, 5), subscripts="bij,bjk->bki"),
        Sample((3,), (3,), subscripts="i,i->"),
        Sample((3,), (2,), subscripts="i,j->ji"),
        Sample((3, 2), (2,), subscripts="ij,j->ji"),
        Sample((), (2,), subscripts=",i->i"),
        Sample((3, 0), (0, 2), subscripts="ij,jk->ik"),
        Sample((0, 2), (2, 3), subscripts="ij,jk->ki"),
        Sample((2, 2, 3), (3, 2, 2), subscripts="abc,cab->cb", strong=(True, False)),
        Sample((2, 3), (2, 3), subscripts="ab,ab->", strong=(True, True)),
    ),
    rejects=(
        Sample((3, 4), (3, 2), subscripts="ij,jk->ik", raises=ShapeError),
        Sample((3, 4), (4,), subscripts="ij,jk->ik", raises=ShapeError),
    ),
    note="`strong` operands are cotangents or tangents: their zeros annihilate infinities and NaNs of the other",
    lower=Library("contract"),
)


# ── matmul ────────────────────────────────────────────────────────────────────


def _matmul_shape(x: Aval, y: Aval, *, strong: Strong | None = None) -> Aval:
    if not x.ndim or not y.ndim or x.shape[-1] != y.shape[-2 if y.ndim > 1 else 0]:
        raise ShapeError(
            "matmul",
            got=f"{x} @ {y}",
            want="operands with axes, the last of x as long as the last but one of y",
            fix="transpose an operand, or multiply by a scalar with *",
            at=describe(here(2)),
        )
    batch = broadcast_shapes("matmul", x.shape[:-2], y.shape[:-2])
    return Aval((*batch, *x.shape[-2:-1], *(y.shape[-1:] if y.ndim > 1 else ())), promote(x, y))


def _matmul(x: Array, y: Array) -> Array:
    if y.ndim == 2 and x.ndim > 2 and x.flags.c_contiguous and x.size:  # one product instead of a stack of them
        return np.matmul(x.reshape(-1, x.shape[-1]), y).reshape((*x.shape[:-1], y.shape[1]))
    if x.ndim > 1 and y.ndim > 1:
        x, y = _for_blas(x), _for_blas(y)
    return np.matmul(x, y)


def _for_blas(x: Array) -> Array:
    """A copy of what BLAS cannot read (a broadcast cotangent, say), where older NumPy falls back to plain loops."""
    item, (step, last), (rows, columns) = x.itemsize, x.strides[-2:], x.shape[-2:]
    if (last == item and step >= item * columns) or (step == item and last >= item * rows):
        return x
    return np.ascontiguousarray(x)


def _matmul_eval(x: Array, y: Array, *, strong: Strong | None = None) -> Array:
    if strong is None:
        return _matmul(x, y)
    if strong[0] != strong[1] and x.ndim == 2 and y.ndim == 2 and x.size and y.size:
        # An infinity or NaN of the weak operand makes a whole row (or column) of the result infinite or NaN,
        # so one element of each tells. To read all would take a tenth of the time of a layer's pullback.
        out = np.matmul(x, y)
        if all_finite(out[0] if strong[0] else out[:, 0]):
            return out
    return strong_product(_matmul, x, y, strong)


def _matmul_jvp(xs: Sequence[Array], dxs: Sequence[Array], out: Array, *, strong: Strong | None = None) -> Array:
    sx, sy = _strong(strong)
    dx, dy = dxs
    total = None if dx is None else matmul(dx, xs[1], strong=(True, sy))
    if dy is not None:
        term = matmul(xs[0], dy, strong=(sx, True))
        total = term if total is None else add(total, term)
    return fit_tangent(total, out)


def _matmul_vjp(
    ct: Array, ins: Vars, xs: Sequence[Array], out: Array, *, strong: Strong | None = None
) -> tuple[Array | None, ...]:
    x, y = ins
    a, b = xs
    sx, sy = strong or (False, False)
    x_shape = a.shape if x is None else x.shape
    y_shape = b.shape if y is None else y.shape
    if len(x_shape) == 2 and len(y_shape) == 2:
        return (
            None if x is None else fit(matmul(ct, transpose(b, axes=(1, 0)), strong=(True, sy)), x),
            None if y is None else fit(matmul(transpose(a, axes=(1, 0)), ct, strong=(sx, True)), y),
        )
    u, v, w = _matmul_places(x_shape, y_shape)
    dx = dy = None
    if x is not None:
        dx = contract(ct, _without_ones(b, v), subscripts=f"{w},{_names(v)}->{_names(u)}", strong=(True, sy))
        dx = fit(reshape(dx, shape=x_shape), x)
    if y is not None:
        dy = contract(_without_ones(a, u), ct, subscripts=f"{_names(u)},{w}->{_names(v)}", strong=(sx, True))
        dy = fit(reshape(dy, shape=y_shape), y)
    return dx, dy


@functools.lru_cache(maxsize=1024)
def _matmul_places(x: tuple[int, ...], y: tuple[int, ...]) -> tuple[str, str, str]:
    """Axis names of `matmul` operands and result; "." marks an axis of length 1 that broadcasts."""
    lead = np.broadcast_shapes(x[:-2], y[:-2])
    batch = LABELS[3 : 3 + len(lead)]

    def named(shape: tuple[int, ...], matrix: str) -> str:
        own = shape[:-2]
        names = zip(batch[len(lead) - len(own) :], own, lead[len(lead) - len(own) :], strict=True)
        return "".join(i if d == n else "." for i, d, n in names) + matrix

    xm, ym = ("ab" if len(x) > 1 else "b"), ("bc" if len(y) > 1 else "b")
    return named(x, xm), named(y, ym), batch + xm[:-1] + ym[1:]


def _names(marked: str) -> str:
    return marked.replace(".", "")


def _without_ones(x: Array, marked: str) -> Array:
    if "." not in marked:
        return x
    return reshape(x, shape=tuple(d for d, i in zip(x.shape, marked, strict=True) if i != "."))


def _matmul_batch(xs: Sequence[Array], batched: Sequence[bool], size: int, *, strong: Strong | None = None) -> Array:
    x, y = xs
    x_ndim, y_ndim = x.ndim - batched[0], y.ndim - batched[1]
    if x_ndim == 1 or y_ndim == 1:
        u, v, w = _matmul_places(x.shape[batched[0] :], y.shape[batched[1] :])
        return _contract_batch(xs, batched, size, subscripts=f"{u},{v}->{w}", strong=strong)
    ndim = max(x_ndim, y_ndim)
    x, y = (
        reshape(a, shape=(size, *(1,) * (ndim - a.ndim + 1), *a.shape[1:])) if b and a.ndim <= ndim else a
        for a, b in zip(xs, batched, strict=True)
    )
    return matmul(x, y, strong=strong) if strong else matmul(x, y)


matmul = Op(
    name="matmul",
    accepts=INEXACT,
    shape=_matmul_shape,
    eval=_matmul_eval,
    jvp=_matmul_jvp,
    vjp=_matmul_vjp,
    saves={0: (1,), 1: (0,)},
    batch=_matmul_batch,
    samples=(
        Sample((3, 4), (4, 2)),
        Sample((4,), (4,)),
        Sample((4,), (4, 2)),
        Sample((3, 4), (4,)),
        Sample((4,), (2, 4, 3)),
        Sample((2, 3, 4), (4,)),
        Sample((2, 3, 4), (2, 4, 2)),
        Sample((2, 3, 4), (4, 2)),
        Sample((3, 4), (2, 4, 2)),
        Sample((2, 1, 3, 4), (5, 4, 2)),
        Sample((1, 3, 4), (1, 4, 2)),
        Sample((3, 0), (0, 2)),
        Sample((0, 4), (4, 2)),
        Sample((3, 4), (4, 2), strong=(True, False)),
    ),
    rejects=(
        Sample((3, 4), (3, 4), raises=ShapeError),
        Sample((), (3,), raises=ShapeError),
        Sample((2, 3, 4), (3, 4, 2), raises=ShapeError),
    ),
    note="`strong` as in `contract`",
    lower=Library("matmul"),
)

__all__ = ["LABELS", "contract", "matmul", "places", "strong_product"]
