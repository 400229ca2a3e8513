"""Indexing with integers that are known only when the code runs, and arrays put together from regions."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from wengert.core.form import Region, Unsupported
from wengert.lowering.emission import row_major
from wengert.lowering.library.selection import Selection, selection
from wengert.lowering.straight.cells import (
    LARGEST,
    Cells,
    Constant,
    Held,
    Memory,
    Patch,
    address,
    cells,
    checked,
    limited,
    object_array,
)
from wengert.lowering.straight.updates import CHOSEN
from wengert.lowering.straight.writer import Writer
from wengert.lowering.text import BOOL, I64, Value
from wengert.ops.index import ARRAY

# ── memory that is written over ───────────────────────────────────────────────


def writable(x: Held) -> Memory:
    """The memory of an array that is updated in place."""
    if not isinstance(x, Memory) or x.room is None:
        raise Unsupported("an update of an array that is not carried along in place")
    checked(x)
    return x


def written(m: Memory) -> Memory:
    """The same memory after a write."""
    assert m.room is not None
    m.room.version += 1
    return replace(m, version=m.room.version)


# ── places ────────────────────────────────────────────────────────────────────


def _selected(spec: Any, shape: Sequence[int], strides: Sequence[int], arrays: Sequence[Held]) -> Selection:
    entries = spec if isinstance(spec, tuple) else (spec,)
    if not arrays or any(not (s is None or isinstance(s, slice) or s is ARRAY) for s in entries):
        raise Unsupported("this kind of index")
    if any(a.dtype.kind not in "iu" for a in arrays) or 0 in shape:
        raise Unsupported("this kind of index")
    return selection(spec, shape, strides, [a.shape for a in arrays])


def places(w: Writer, chosen: Selection, arrays: Sequence[Held]) -> Iterator[Value | int]:
    """The address of each selected element, in the order of the result. Bounds are checked."""
    limited(chosen.result)
    terms = []
    for a, (axis, n, step) in zip(arrays, chosen.bounds, strict=True):
        each = [w.scaled(_within(w, i, axis, n), step) for i in _integers(w, a)]
        terms.append(np.broadcast_to(object_array(a.shape, each), chosen.shape))
    lead, core = len(chosen.before), len(chosen.shape)
    together: dict[tuple[int, ...], Value | int] = {}
    for at in np.ndindex(chosen.shape):
        found: Value | int = 0
        for t in terms:
            found = w.total(found, t[at])
        together[at] = found
    slices = (*chosen.before, *chosen.after)
    for at in np.ndindex(chosen.result):
        fixed = chosen.start
        for i, s in zip((*at[:lead], *at[lead + core :]), slices, strict=True):
            fixed += i * s.step
        yield w.total(together[at[lead : lead + core]], fixed)


def _integers(w: Writer, a: Held) -> list[Value | int]:
    if isinstance(a, Constant):
        limited(a.shape)
        return [int(i) for i in a.array.ravel()]
    return [w.b.cast(v, I64) for v in cells(w.b, a).ravel()]


def _within(w: Writer, i: Value | int, axis: int, n: int) -> Value | int:
    """An index from the front; one out of bounds raises a flag, and counts as 0."""
    b = w.b
    if isinstance(i, int):
        if -n <= i < n:
            return i % n
        i = b.const(i, I64)
    size, zero = b.const(n, I64), b.const(0, I64)
    i = b.select(b.compare("lt", i, zero), b.add(i, size), i)
    outside = b.emit(f"icmp uge i64 {i.ref}, {n}", BOOL)
    w.flags.set_if(outside, IndexError, f"index is out of bounds for axis {axis} with size {n}")
    return b.select(outside, zero, i)


# ── reading ───────────────────────────────────────────────────────────────────


def gathered(w: Writer, x: Held, arrays: Sequence[Held], spec: Any, shape: tuple[int, ...]) -> Held:
    """`x[spec]` with index arrays."""
    b = w.b
    if isinstance(x, Patch):
        raise Unsupported("an index into a large array that is zero almost everywhere")
    if isinstance(x, Memory):
        checked(x)
        found = list(places(w, _selected(spec, x.shape, x.strides, arrays), arrays))
        if x.known is not None and all(isinstance(p, int) for p in found):
            x = Cells(x.known, x.dtype)
        else:
            return Cells(object_array(shape, [b.load(address(b, x, p), x.dtype) for p in found]), x.dtype)
    found = list(places(w, _selected(spec, x.shape, row_major(x.shape), arrays), arrays))
    values: Any = cells(b, x).ravel()
    if all(isinstance(p, int) for p in found):
        return Cells(object_array(shape, [values[p] for p in found]), x.dtype)
    if len(values) <= CHOSEN:
        return Cells(object_array(shape, [_choice(w, values, p) for p in found]), x.dtype)
    m = spilled(w, x)
    return Cells(object_array(shape, [b.load(address(b, m, p), x.dtype) for p in found]), x.dtype)


def _choice(w: Writer, values: Any, place: Value | int) -> Value:
    if isinstance(place, int):
        return values[place]
    found = values[0]
    for i, v in enumerate(values[1:], 1):
        found = w.b.select(w.b.compare("eq", place, w.b.const(i, I64)), v, found)
    return found


def spilled(w: Writer, x: Held) -> Memory:
    """The value in contiguous memory."""
    if isinstance(x, Memory) and x.room is None and x.strides == row_major(x.shape):
        return x
    m = w.array(x.shape, x.dtype)
    for i, v in enumerate(cells(w.b, x).ravel()):
        w.b.store(v, address(w.b, m, i))
    return m


# ── writing ───────────────────────────────────────────────────────────────────


def scattered(w: Writer, y: Held, arrays: Sequence[Held], spec: Any, shape: tuple[int, ...], dtype: np.dtype) -> Held:
    """Zeros, to which the elements of `y` are added at the places of an index."""
    chosen = _selected(spec, shape, row_major(shape), arrays)
    found = list(places(w, chosen, arrays))
    values = np.broadcast_to(cells(w.b, y, dtype), chosen.result).ravel()
    return patched(w, shape, dtype, list(zip(found, values, strict=True)))


def patched(w: Writer, shape: tuple[int, ...], dtype: np.dtype, parts: Sequence[tuple[Value | int, Value]]) -> Held:
    """Zeros with something added at some places: a `Patch` where it is large, or where memory serves better."""
    size, b = math.prod(shape), w.b
    static = all(isinstance(p, int) for p, _ in parts)
    if size > (LARGEST if static else CHOSEN):
        return Patch(shape, dtype, tuple(parts))
    zero = b.const(0, dtype)
    out: list[Value] = [zero] * size
    for place, value in parts:
        if isinstance(place, int):
            out[place] = value if out[place] is zero else b.add(out[place], value)
            continue
        for i in range(size):
            part = b.select(b.compare("eq", place, b.const(i, I64)), value, zero)
            out[i] = part if out[i] is zero else b.add(out[i], part)
    return Cells(object_array(shape, out), dtype)


def settled(w: Writer, x: Held) -> Held:
    """A small `Patch` as cells."""
    if not isinstance(x, Patch) or math.prod(x.shape) > LARGEST:
        return x
    b, m = w.b, w.array(x.shape, x.dtype)
    for i in range(math.prod(x.shape)):
        b.store(b.const(0, x.dtype), address(b, m, i))
    for place, value in x.parts:
        at = address(b, m, place)
        b.store(b.add(b.load(at, x.dtype), value), at)
    return Cells(object_array(x.shape, [b.load(address(b, m, i), x.dtype) for i in range(math.prod(x.shape))]), x.dtype)


def put(w: Writer, x: Held, y: Held, arrays: Sequence[Held], spec: Any, dtype: np.dtype) -> Held:
    """`x` with the elements of `y` at the places of an index."""
    b = w.b
    owned = isinstance(x, Memory) and x.room is not None
    chosen = _selected(spec, x.shape, row_major(x.shape), arrays)
    found = list(places(w, chosen, arrays))
    values = np.broadcast_to(cells(b, y, dtype), chosen.result).ravel()
    if owned:
        m = writable(x)
        for place, value in zip(found, values, strict=True):
            b.store(value, address(b, m, place))
        return written(m)
    old = list(cells(b, x, dtype).ravel())
    if all(isinstance(p, int) for p in found) or len(old) <= CHOSEN:
        for place, value in zip(found, values, strict=True):
            if isinstance(place, int):
                old[place] = value
            else:
                old = [b.select(b.compare("eq", place, b.const(i, I64)), value, v) for i, v in enumerate(old)]
        return Cells(object_array(x.shape, old), dtype)
    m = w.array(x.shape, dtype)
    for i, v in enumerate(old):
        b.store(v, address(b, m, i))
    for place, value in zip(found, values, strict=True):
        b.store(value, address(b, m, place))
    return Cells(object_array(x.shape, [b.load(address(b, m, i), dtype) for i in range(len(old))]), dtype)


# ── regions ───────────────────────────────────────────────────────────────────


def _flat(region: Region, shape: tuple[int, ...]) -> np.ndarray:
    """The row-major places of a region's elements."""
    found: Any = np.zeros(region.shape, np.int64)
    for axis, (start, step, n, stride) in enumerate(
        zip(region.start, region.step, region.shape, row_major(shape), strict=True)
    ):
        found = found + ((start + step * np.arange(n)) * stride).reshape((n,) + (1,) * (len(shape) - axis - 1))
    return found


def assembled(
    w: Writer, regions: Sequence[Region], ins: Sequence[Held], shape: tuple[int, ...], dtype: np.dtype
) -> Held:
    """An array that is put together from regions."""
    b = w.b
    if math.prod(shape) > LARGEST or _updates(regions, ins, shape):
        return _update(w, regions, ins, shape, dtype)
    out = np.empty(math.prod(shape), object)
    for region in regions:
        if 0 in region.shape:
            continue
        if region.operand is None:
            out[_flat(region, shape)] = b.const(region.fill, dtype)
        else:
            values = cells(b, ins[region.operand], dtype)
            out[_flat(region, shape)] = np.broadcast_to(values, region.shape)
    return Cells(out.reshape(shape), dtype)


def _updates(regions: Sequence[Region], ins: Sequence[Held], shape: tuple[int, ...]) -> bool:
    first = None if regions[0].operand is None else ins[regions[0].operand]
    return isinstance(first, Memory) and first.room is not None and regions[0].shape == shape


def _update(w: Writer, regions: Sequence[Region], ins: Sequence[Held], shape: tuple[int, ...], dtype: np.dtype) -> Held:
    """A large array, of which regions are new: among zeros, or in an array that is updated in place."""
    b, (first, *rest) = w.b, regions
    if first.shape != shape or any(r.operand is None or math.prod(r.shape) > LARGEST for r in rest):
        raise Unsupported("a large array put together in a small loop")
    parts: list[tuple[int, Value]] = []
    for region in rest:
        assert region.operand is not None
        values = np.broadcast_to(cells(b, ins[region.operand], dtype), region.shape)
        parts += zip(_flat(region, shape).ravel().tolist(), values.ravel(), strict=True)
    if first.operand is None:
        if first.fill != 0 or len(rest) > 1:
            raise Unsupported("a large array put together in a small loop")
        return Patch(shape, dtype, tuple(parts))
    m = writable(ins[first.operand])
    for place, value in parts:
        b.store(value, address(b, m, place))
    return written(m)
