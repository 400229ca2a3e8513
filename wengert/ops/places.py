"""Where the elements of moved arrays come from: the index functions and regions of `Move` and `Assemble` forms.

`at` holds index expressions of the result's axes, `shape` is the operand's; see `core/form.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.core.aval import Aval
from wengert.core.form import Move, Region

Spec = Any
Widths = tuple[tuple[int, int], ...]


def broadcast(at: Sequence[Any], of: tuple[int, ...], *, shape: tuple[int, ...]) -> list[Any]:
    """An operand broadcast to `shape`."""
    return [0 if n == 1 else i for n, i in zip(of, at[len(shape) - len(of) :], strict=True)]


def flipped(at: Sequence[Any], shape: Sequence[int], *, axes: tuple[int, ...]) -> list[Any]:
    """An operand backwards along `axes`."""
    return [i * -1 + (n - 1) if a in axes else i for a, (i, n) in enumerate(zip(at, shape, strict=True))]


def pieces(sizes: Sequence[int]) -> list[slice]:
    """The slices of neighbours of these sizes."""
    ends = np.cumsum(sizes).tolist()
    return [slice(end - size, end) for end, size in zip(ends, sizes, strict=True)]


def side_by_side(
    shapes: Sequence[tuple[int, ...]], out_shape: tuple[int, ...], *, axis: int, sizes: tuple[int, ...]
) -> list[Region]:
    """Operands one after the other along `axis`."""
    ones, regions = (1,) * len(out_shape), []
    for i, (shape, piece) in enumerate(zip(shapes, pieces(sizes), strict=True)):
        start = tuple(piece.start if a == axis else 0 for a in range(len(out_shape)))
        regions.append(Region(i, start, ones, tuple(shape)))
    return regions


def split(ins: Sequence[Aval], params: dict[str, Any]) -> tuple[Move, ...]:
    """The form of `split`: a slice for each result."""

    def piece(start: int) -> Move:
        def moved(at: Sequence[Any], shape: Sequence[int], *, axis: int, sizes: tuple[int, ...]) -> list[Any]:
            return [i + start if a == axis else i for a, i in enumerate(at)]

        return Move(moved)

    return tuple(piece(p.start) for p in pieces(params["sizes"]))


def padded(
    shapes: Sequence[tuple[int, ...]], out_shape: tuple[int, ...], *, widths: Widths, value: Any = 0
) -> list[Region]:
    """An operand within a frame of `value`."""
    ones = (1,) * len(out_shape)
    whole = Region(None, (0,) * len(out_shape), ones, tuple(out_shape), value)
    return [whole, Region(0, tuple(lo for lo, _ in widths), ones, tuple(shapes[0]))]


def diagonal(at: Sequence[Any], shape: Sequence[int], *, offset: int, axis1: int, axis2: int) -> list[Any]:
    """The elements of a diagonal, along the last axis."""
    along, others = at[-1], iter(at[:-1])
    own = {axis1: along + max(-offset, 0), axis2: along + max(offset, 0)}
    return [own[a] if a in own else next(others) for a in range(len(shape))]


def windows(at: Sequence[Any], shape: Sequence[int], *, sizes: tuple[int, ...], axes: tuple[int, ...]) -> list[Any]:
    """Every window; the windows' own axes come last."""
    index = list(at[: len(shape)])
    for axis, within in zip(axes, at[len(shape) :], strict=True):
        index[axis] = index[axis] + within
    return index


def entries(spec: Spec, ndim: int) -> list[Any]:
    """The entries of a spec without arrays, with a slice for every axis that it leaves out."""
    given = list(spec) if isinstance(spec, tuple) else [spec]
    named = sum(e is not None and e is not Ellipsis for e in given)
    at = next((i for i, e in enumerate(given) if e is Ellipsis), len(given))
    return [*given[:at], *[slice(None)] * (ndim - named), *given[at + 1 :]]


def sliced(at: Sequence[Any], shape: Sequence[int], *, spec: Spec, unique: bool = False) -> list[Any]:
    """A basic index: numbers, slices, None and Ellipsis."""
    axis, places, out = 0, iter(at), []
    for entry in entries(spec, len(shape)):
        if entry is None:
            next(places)
            continue
        n = shape[axis]
        if isinstance(entry, slice):
            start, _, step = entry.indices(n)
            out.append(next(places) * step + start)
        else:
            out.append(int(entry) % n)
        axis += 1
    return out


def regular(spec: Spec, shape: Sequence[int]) -> tuple[list[slice], tuple[int, ...], tuple[int, ...]]:
    """A basic spec as one slice with a positive step for each axis of `shape`; the shape of what they select;
    and the axes along which it then runs backwards."""
    slices, selected, backward = [], [], []
    for entry in entries(spec, len(shape)):
        if entry is None:
            continue
        axis = len(slices)
        n = shape[axis]
        if isinstance(entry, slice):
            places = range(*entry.indices(n))
            if places.step < 0:
                places = places[::-1]
                backward.append(axis)
        else:
            places = range(int(entry) % n, int(entry) % n + 1)
        slices.append(slice(places.start, places.stop, places.step) if places else slice(0, 0, 1))
        selected.append(len(places))
    return slices, tuple(selected), tuple(backward)


def is_regular(spec: Spec, shape: Sequence[int]) -> bool:
    """Whether a basic spec is of slices with positive steps alone."""
    found = entries(spec, len(shape))
    return all(isinstance(e, slice) and (e.step is None or e.step > 0) for e in found)


def region(operand: int, spec: Spec, shape: Sequence[int]) -> Region:
    """Where a regular spec of an array of `shape` puts operand number `operand`."""
    slices, selected, _ = regular(spec, shape)
    return Region(operand, tuple(s.start for s in slices), tuple(s.step for s in slices), selected)


def has_booleans(spec: Spec) -> bool:
    """Whether a spec has True or False, which are masks."""
    return any(isinstance(e, (bool, np.bool_)) for e in (spec if isinstance(spec, tuple) else (spec,)))


def scattered(
    shapes: Sequence[tuple[int, ...]], out_shape: tuple[int, ...], *, spec: Spec, shape: Any, unique: bool = False
) -> list[Region]:
    """An operand at the places of a regular spec, among zeros."""
    ndim = len(out_shape)
    return [Region(None, (0,) * ndim, (1,) * ndim, tuple(out_shape)), region(0, spec, out_shape)]


def assigned(shapes: Sequence[tuple[int, ...]], out_shape: tuple[int, ...], *, spec: Spec) -> list[Region]:
    """An operand, and another one over it at the places of a regular spec."""
    ndim = len(out_shape)
    return [Region(0, (0,) * ndim, (1,) * ndim, tuple(out_shape)), region(1, spec, out_shape)]
