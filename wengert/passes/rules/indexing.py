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


# ── index ─────────────────────────────────────────────────────────────────────


@rule("new axes by reshapes", index)
def _new_axes(r: Rewriter, ins: Ins, out: Var, params: Params) -> Atom | None:
    plain = _without_new_axes(params["spec"])
    if plain is None or len(ins) != 1 or type(ins[0]) is Literal:
        return None
    return r.reshaped(r.emit(index, ins[0], spec=plain), out.shape)


def _without_new_axes(spec: Any) -> Any:
    """A spec without its `None`s; None if it has none."""
    entries = spec if type(spec) is tuple else (spec,)
    kept = tuple([e for e in entries if e is not None])
    return kept if len(kept) < len(entries) else None


@rule("indices of what was just put together", index)
def _basic(r: Rewriter, ins: Ins, out: Var, params: Params) -> Atom | None:
    """An index by a basic spec, of what some other op has made."""
    if len(ins) != 1 or type(ins[0]) is Literal:
        return None
    (x,) = ins
    row = r.made.get(x)
    of = _OF.get(row[0]) if row is not None else None
    at = places(params["spec"], x.shape)
    if at is None:
        return None
    if all(p == range(n) or (n == 1 and p == 0) for p, n in zip(at, x.shape, strict=True)):
        return r.reshaped(x, out.shape)
    return of(r, row, x, at, out) if of is not None and 0 not in out.shape else None


def _of_put(r: Rewriter, row: Any, x: Var, at: Places, out: Var) -> Atom | None:
    written = places(row[3]["spec"], x.shape) if len(row[1]) == 2 else None
    if written is None:
        return None
    if written == at:
        value = strong(row[1][1], out.dtype)
        return value if aval(value).dtype == out.dtype and not aval(value).weak else None
    if are_apart(written, at) and type(row[1][0]) is not Literal:
        return r.emit(index, row[1][0], spec=as_spec(at))
    return None


def _of_scatter(r: Rewriter, row: Any, x: Var, at: Places, out: Var) -> Atom | None:
    written = places(row[3]["spec"], x.shape) if len(row[1]) == 1 else None
    if written is None:
        return None
    if written == at:
        return row[1][0]
    return r.full(0, out) if are_apart(written, at) else None


def _of_stack(r: Rewriter, row: Any, x: Var, at: Places, out: Var) -> Atom | None:
    axis = row[3]["axis"]
    p = at[axis]
    return _part(r, row[1][p], at[:axis] + at[axis + 1 :], out) if isinstance(p, int) else None


def _of_concatenation(r: Rewriter, row: Any, x: Var, at: Places, out: Var) -> Atom | None:
    axis, begin = row[3]["axis"], 0
    p = at[axis]
    span = _span(p)
    for piece, size in zip(row[1], row[3]["sizes"], strict=True):
        if begin <= span[0] and span[-1] < begin + size:
            moved = p - begin if isinstance(p, int) else range(p.start - begin, p.stop - begin, p.step)
            return _part(r, piece, [*at[:axis], moved, *at[axis + 1 :]], out)
        begin += size
    return None


def _of_broadcast(r: Rewriter, row: Any, x: Var, at: Places, out: Var) -> Atom | None:
    core = strong(row[1][0], out.dtype)
    inner = shape(core)
    lead = len(x.shape) - len(inner)
    near = []
    for p, n, d in zip(at[lead:], inner, x.shape[lead:], strict=True):
        near.append(p if n == d else 0 if isinstance(p, int) else range(1))
    return _part(r, core, near, out)  # what is left of its axes are the last ones of the result


def _of_index(r: Rewriter, row: Any, x: Var, at: Places, out: Var) -> Atom | None:
    """x[i][j] → x[i, j]."""
    first = places(row[3]["spec"], shape(row[1][0])) if len(row[1]) == 1 else None
    if first is None:
        return None
    rest = iter(at)
    both: Places = [p if isinstance(p, int) else _narrowed(p, next(rest)) for p in first]
    return r.emit(index, row[1][0], spec=as_spec(both))


def _narrowed(outer: range, inner: int | range) -> int | range:
    if isinstance(inner, int):
        return outer[inner]
    return outer[inner.start : inner.stop if inner.stop >= 0 else None : inner.step]


def _part(r: Rewriter, x: Any, at: Sequence[int | range], out: Var) -> Atom | None:
    x = strong(x, out.dtype)
    if aval(x).dtype != out.dtype:
        return None
    return x if _is_whole(list(at), shape(x)) else r.emit(index, x, spec=as_spec(at))


_OF = {
    index_put: _of_put,
    scatter_add: _of_scatter,
    stack: _of_stack,
    concatenate: _of_concatenation,
    broadcast_to: _of_broadcast,
    index: _of_index,
}


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
    plain = _without_new_axes(params["spec"])
    at = places(params["spec"] if plain is None else plain, out.shape)
    if at is None:
        return None
    if all(p == range(n) or (n == 1 and p == 0) for p, n in zip(at, out.shape, strict=True)):
        return r.reshaped(y, out.shape)
    if plain is None:
        return None
    kept = tuple(len(p) for p in at if not isinstance(p, int))
    return r.emit(scatter_add, r.reshaped(y, kept), spec=plain, shape=out.shape)
