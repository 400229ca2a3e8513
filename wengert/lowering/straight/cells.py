"""Values of bodies: every element in a register, or arrays in memory that are read element by element.

Constant  known when the code is written
Cells     a register for each element
Memory    elements behind a pointer, by strides; those of loops' operands may lie in registers besides
Patch     zeros, to which elements are added at some places: what accumulators in memory are updated with
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wengert.core.form import Unsupported
from wengert.lowering.affine import Index, reshaped, weighted
from wengert.lowering.emission import row_major
from wengert.lowering.text import I64, Builder, Value

LARGEST = 64  # elements of a value in registers


@dataclass(frozen=True)
class Constant:
    array: np.ndarray

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def dtype(self) -> np.dtype:
        return self.array.dtype


@dataclass(frozen=True)
class Cells:
    values: np.ndarray  #: of `Value`s

    dtype: np.dtype

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape


class Room:
    """Memory that a loop writes over. `version` counts the writes: nobody may read an earlier one."""

    def __init__(self) -> None:
        self.version = 0


@dataclass(frozen=True)
class Memory:
    pointer: Value
    shape: tuple[int, ...]
    strides: tuple[int, ...]  #: in elements
    dtype: np.dtype
    offset: int = 0
    known: np.ndarray | None = None  #: the same elements in registers
    room: Room | None = None
    version: int = 0

    @property
    def size(self) -> int:
        return math.prod(self.shape)


@dataclass(frozen=True)
class Patch:
    shape: tuple[int, ...]
    dtype: np.dtype
    parts: tuple[tuple[Value | int, Value], ...]  #: (row-major place, what is added there)


Held = Constant | Cells | Memory | Patch


def object_array(shape: Sequence[int], values: Sequence[Any]) -> np.ndarray:
    """An array of objects."""
    made = np.empty(len(values), object)
    made[:] = values
    return made.reshape(tuple(shape))


def limited(shape: Sequence[int], limit: int = LARGEST) -> None:
    """Unsupported if so many elements do not go into registers."""
    if math.prod(shape) > limit:
        raise Unsupported(f"a value of {math.prod(shape)} elements in a small loop")


def address(b: Builder, m: Memory, place: Value | int) -> Value:
    """The pointer to an element, from its distance to the first one."""
    if isinstance(place, int):
        at = place + m.offset
        return b.at(m.pointer, at, m.dtype) if at else m.pointer
    return b.at(m.pointer, b.add(place, b.const(m.offset, I64)) if m.offset else place, m.dtype)


def checked(m: Memory) -> None:
    """Unsupported where memory was written over since."""
    if m.room is not None and m.version != m.room.version:
        raise Unsupported("an earlier state of an array that is updated in place")


def loaded(b: Builder, m: Memory, limit: int = LARGEST) -> np.ndarray:
    """All elements of an array in memory."""
    if m.known is not None:
        return m.known
    checked(m)
    limited(m.shape, limit)
    places = np.zeros(m.shape, np.int64)
    for axis, (n, step) in enumerate(zip(m.shape, m.strides, strict=True)):
        places += (np.arange(n) * step).reshape((n,) + (1,) * (len(m.shape) - axis - 1))
    seen: dict[int, Value] = {}
    values = []
    for place in places.ravel().tolist():
        if place not in seen:
            seen[place] = b.load(address(b, m, place), m.dtype)
        values.append(seen[place])
    return object_array(m.shape, values)


def cells(b: Builder, x: Held, dtype: np.dtype | None = None) -> np.ndarray:
    """The elements of a value in registers, converted to `dtype`."""
    if isinstance(x, Constant):
        limited(x.shape)
        kind = x.dtype if dtype is None else dtype
        return object_array(x.shape, [b.const(v, kind) for v in x.array.ravel().tolist()])
    if isinstance(x, Patch):
        raise Unsupported("a large array that is zero almost everywhere")
    values = x.values if isinstance(x, Cells) else loaded(b, x)
    if dtype is None or dtype == x.dtype:
        return values
    return object_array(values.shape, [b.cast(v, dtype) for v in values.ravel()])


def registers(b: Builder, x: Held) -> Cells:
    """The value, in registers alone."""
    return x if isinstance(x, Cells) else Cells(cells(b, x), x.dtype)


# ── movements ─────────────────────────────────────────────────────────────────


def moved(b: Builder, x: Held, index: Index, shape: tuple[int, ...]) -> Held:
    """`x[index]`: an index expression for each of its axes, in the indices of the result."""
    n = len(shape)
    if isinstance(x, Patch):
        raise Unsupported("a movement of a large array that is zero almost everywhere")
    if isinstance(x, Memory) and x.room is None:
        known = None if x.known is None else _taken(x.known, index, shape)
        place = weighted(index, x.strides, n, x.offset)
        return Memory(x.pointer, shape, place[1:], x.dtype, place[0], known)
    if isinstance(x, Constant):
        return Constant(_taken(x.array, index, shape))
    if isinstance(x, Memory):
        limited(shape)
        checked(x)
        place = weighted(index, x.strides, n, x.offset)
        return Cells(loaded(b, Memory(x.pointer, shape, place[1:], x.dtype, place[0])), x.dtype)
    limited(shape)
    return Cells(_taken(x.values, index, shape), x.dtype)


def _taken(array: np.ndarray, index: Index, shape: tuple[int, ...]) -> np.ndarray:
    if math.prod(shape) > 1 << 20:
        raise Unsupported("a large array among the constants of a small loop")
    places: Any = np.zeros(shape, np.int64)
    for e, step in zip(index, row_major(array.shape), strict=True):
        places = places + e[0] * step
        for axis, c in enumerate(e[1:]):
            if c:
                n = shape[axis]
                places = places + (np.arange(n) * (c * step)).reshape((n,) + (1,) * (len(shape) - axis - 1))
    return array.reshape(-1)[np.reshape(places, -1)].reshape(shape)


def reshape(b: Builder, x: Held, shape: tuple[int, ...]) -> Held:
    """The same elements in row-major order."""
    if isinstance(x, Constant):
        return Constant(x.array.reshape(shape))
    if isinstance(x, Cells):
        return Cells(x.values.reshape(shape), x.dtype)
    if isinstance(x, Patch):
        return Patch(shape, x.dtype, x.parts)
    if x.strides == row_major(x.shape):
        known = None if x.known is None else x.known.reshape(shape)
        return Memory(x.pointer, shape, row_major(shape), x.dtype, x.offset, known, x.room, x.version)
    index = reshaped(x.shape, shape)
    if index is None:
        return Cells(loaded(b, x).reshape(shape), x.dtype)
    return moved(b, x, index, shape)
