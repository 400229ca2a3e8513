"""Basic indexing (integers and slices) of what was just put together, and scatters that are no more than placements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.graph.program import Literal, Var
from wengert.ops.basis import broadcast_to
from wengert.ops.index import ARRAY, index, index_put, scatter_add
from wengert.ops.shape import concatenate, stack
from wengert.passes.rewriter import Atom, Rewriter, aval, shape, strong
from wengert.passes.rules.table import rule

Ins = Sequence[Any]
Params = dict[str, Any]
Places = list[int | range]


def places(spec: Any, of: tuple[int, ...]) -> Places | None:
    """Per axis of an array of shape `of` the places that a basic spec names; None for specs with new axes or arrays."""
    entries = list(spec) if type(spec) is tuple else [spec]
    if Ellipsis in entries:
        at = entries.index(Ellipsis)
        entries[at : at + 1] = [slice(None)] * (len(of) - len(entries) + 1)
    entries += [slice(None)] * (len(of) - len(entries))
    found: Places = []
    for entry, n in zip(entries, of, strict=False):
        if isinstance(entry, slice):
            found.append(range(*entry.indices(n)))
        elif isinstance(entry, int) and not isinstance(entry, bool) and -n <= entry < n:
            found.append(entry % n)
        else:
            return None
    return found if len(entries) == len(of) else None


def as_spec(at: Sequence[int | range]) -> tuple[Any, ...]:
    """The spec that names these places."""
    return tuple(p if isinstance(p, int) else _slice(p) for p in at)


def _slice(p: range) -> slice:
    stop = p.stop if p.stop >= 0 else None
    return slice(p.start, stop, p.step) if len(p) else slice(0, 0, 1)


def are_apart(a: Places, b: Places) -> bool:
    """Whether no element is among both."""
    for p, q in zip(a, b, strict=True):
        one, other = _span(p), _span(q)
        if not one or not other or one[-1] < other[0] or other[-1] < one[0]:
            return True
        if one.step == other.step and (one.start - other.start) % one.step:
            return True
    return False


def _span(p: int | range) -> range:
    if isinstance(p, int):
        return range(p, p + 1)
    return p if p.step > 0 else p[::-1]


def _is_whole(at: Places, of: tuple[int, ...]) -> bool:
    return all(p == range(n) for p, n in zip(at, of, strict=True))


def _basic(r: Rewriter, ins: Ins, params: Params) -> tuple[Any, Places] | None:
    """The indexed array, and the places, of an index by a basic spec."""
    if len(ins) != 1 or type(ins[0]) is Literal:
        return None
    at = places(params["spec"], ins[0].shape)
    return None if at is None else (ins[0], at)


# ── index ─────────────────────────────────────────────────────────────────────


@rule("indices that name everything", index)
def _whole(r: Rewriter, ins: Ins, out: Var, params: Params) -> Atom | None:
    found = _basic(r, ins, params)
    return found[0] if found is not None and _is_whole(found[1], found[0].shape) else None


@rule("elements read where they were written", index)
def _of_put(r: Rewriter, ins: Ins, out: Var, params: Params) -> Atom | None:
    found = _basic(r, ins, params)
    if found is None or (row := r.producer(found[0], index_put)) is None or len(row[1]) != 2:
        return None
    written = places(row[3]["spec"], found[0].shape)
    if written is None:
        return None
    if written == found[1]:
        value = strong(row[1][1], out.dtype)
        return value if aval(value).dtype == out.dtype and not aval(value).weak else None
    if are_apart(written, found[1]) and type(row[1][0]) is not Literal:
        return r.emit(index, row[1][0], spec=params["spec"])
    return None


@rule("elements read where they were written", index)
def _of_scatter(r: Rewriter, ins: Ins, out: Var, params: Params) -> Atom | None:
    found = _basic(r, ins, params)
    if found is None or (row := r.producer(found[0], scatter_add)) is None or len(row[1]) != 1:
        return None
    written = places(row[3]["spec"], found[0].shape)
    if written is None:
        return None
    if written == found[1]:
        return row[1][0]
    return r.full(0, out) if are_apart(written, found[1]) else None


@rule("indices of stacks and concatenations", index)
def _of_stack(r: Rewriter, ins: Ins, out: Var, params: Params) -> Atom | None:
    found = _basic(r, ins, params)
    if found is None or (row := r.producer(found[0], stack)) is None:
        return None
    axis, at = row[3]["axis"], found[1]
    if not isinstance(at[axis], int):
        return None
    return _part(r, row[1][at[axis]], at[:axis] + at[axis + 1 :], out)


@rule("indices of stacks and concatenations", index)
def _of_concatenation(r: Rewriter, ins: Ins, out: Var, params: Params) -> Atom | None:
    found = _basic(r, ins, params)
    if found is None or (row := r.producer(found[0], concatenate)) is None or 0 in out.shape:
        return None
    axis, at, begin = row[3]["axis"], found[1], 0
    span = _span(at[axis])
    for piece, size in zip(row[1], row[3]["sizes"], strict=True):
        if begin <= span[0] and span[-1] < begin + size:
            p = at[axis]
            moved = p - begin if isinstance(p, int) else range(p.start - begin, p.stop - begin, p.step)
            return _part(r, piece, [*at[:axis], moved, *at[axis + 1 :]], out)
        begin += size
    return None


def _part(r: Rewriter, x: Any, at: Sequence[int | range], out: Var) -> Atom | None:
    x = strong(x, out.dtype) if type(x) is Literal else x
    if aval(x).dtype != out.dtype:
        return None
    if _is_whole(list(at), shape(x)):
        return x
    return r.emit(index, x, spec=as_spec(at))


@rule("indices of broadcasts", index)
def _of_broadcast(r: Rewriter, ins: Ins, out: Var, params: Params) -> Atom | None:
    found = _basic(r, ins, params)
    if found is None or (row := r.producer(found[0], broadcast_to)) is None or 0 in out.shape:
        return None
    x, at = found
    core = strong(row[1][0], out.dtype)
    inner = shape(core)
    lead = len(x.shape) - len(inner)
    near = [
        p if n == d else 0 if isinstance(p, int) else range(1)
        for p, n, d in zip(at[lead:], inner, x.shape[lead:], strict=True)
    ]
    return _part(r, core, near, out)  # what is left of its axes are the last ones of the result


@rule("indices one after the other", index)
def _of_index(r: Rewriter, ins: Ins, out: Var, params: Params) -> Atom | None:
    """x[i][j] → x[i, j], where the first is of integers and slices."""
    found = _basic(r, ins, params)
    if found is None or (row := r.producer(found[0], index)) is None or len(row[1]) != 1:
        return None
    first = places(row[3]["spec"], shape(row[1][0]))
    if first is None:
        return None
    rest = iter(found[1])
    at: Places = []
    for p in first:
        at.append(p if isinstance(p, int) else _narrowed(p, next(rest)))
    return r.emit(index, row[1][0], spec=as_spec(at))


def _narrowed(outer: range, inner: int | range) -> int | range:
    return (
        outer[inner]
        if isinstance(inner, int)
        else outer[inner.start : inner.stop if inner.stop >= 0 else None : inner.step]
    )


@rule("gathers of evenly spaced places → slices", index, scatter_add)
def _regular_gather(r: Rewriter, ins: Ins, out: Var, params: Params) -> Atom | None:
    """One literal array of indices, in arithmetic progression."""
    spec = params["spec"]
    if len(ins) != 2 or type(ins[1]) is not Literal or type(spec) is not tuple:
        return None
    at = np.asarray(ins[1].value)
    if at.ndim != 1 or at.size < 2 or at.dtype.kind not in "iu" or None in spec or Ellipsis in spec:
        return None
    of = params["shape"] if "shape" in params else shape(ins[0])
    n = of[spec.index(ARRAY)]
    at = np.where(at < 0, at.astype(np.int64) + n, at)
    step = int(at[1] - at[0])
    if step == 0 or at.min() < 0 or at.max() >= n or (np.diff(at) != step).any():
        return None
    named = _slice(range(int(at[0]), int(at[-1]) + (1 if step > 0 else -1), step))
    plain = tuple(named if s is ARRAY else s for s in spec)
    if "shape" in params:
        return r.emit(scatter_add, ins[0], spec=plain, shape=params["shape"])
    return r.emit(index, ins[0], spec=plain)


# ── scatter_add ───────────────────────────────────────────────────────────────


@rule("scatters of everything, or of zeros", scatter_add)
def _placed(r: Rewriter, ins: Ins, out: Var, params: Params) -> Atom | None:
    y = ins[0]
    if (value := r.uniform(y)) is not None and value == 0 and (out.dtype.kind != "f" or not np.signbit(value)):
        return r.full(0, out)
    if len(ins) != 1 or type(y) is Literal:
        return None
    at = places(params["spec"], out.shape)
    return y if at is not None and _is_whole(at, out.shape) and y.shape == out.shape else None
