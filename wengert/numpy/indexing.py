"""`x[key]` and `x[key] = value` with NumPy's keys: basic, integer arrays, boolean masks, and mixtures.

Basic indexing gives views: writes are seen on both sides, as in NumPy.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from wengert.core.abstract import no_value
from wengert.core.errors import DTypeError, NotDifferentiable
from wengert.core.source import describe, here
from wengert.core.tensor import Array, Tensor, held, raw, staged, view
from wengert.numpy.arrays import ARRAYS, astype, lift
from wengert.numpy.layout import as_array, example
from wengert.numpy.masked import Selected
from wengert.numpy.values import concrete
from wengert.ops.basis import reshape
from wengert.ops.index import ARRAY, index, index_put, native
from wengert.ops.select import where as select
from wengert.ops.shape import laid_out
from wengert.trace.cells import element, write_in_place

BASIC = frozenset({int, slice, type(None), type(Ellipsis)})
PLAIN = BASIC | {tuple}
INT, NDARRAY = {int}, {np.ndarray}


def parse(key: Any, ndim: int) -> tuple[Any, list[Array], bool]:
    """A key as (spec, index arrays, whether every element is named at most once); see `ops.index`."""
    kind = type(key)
    if kind in BASIC:
        return key, [], True
    if kind is tuple:  # the two common kinds of tuples, in a quarter of the time of what follows
        kinds = {*map(type, key)}
        if kinds == INT:
            return key, [], True
        if kinds == NDARRAY and all(k.dtype.kind == "i" and k.ndim for k in key):
            return (ARRAY,) * len(key), list(key), False
    entries = [_entry(k) for k in (key if kind is tuple else (key,))]
    if all(type(e) in BASIC for e in entries):
        return (tuple(entries) if kind is tuple else entries[0]), [], True
    return _advanced(entries, ndim)


def _entry(k: Any) -> Any:
    """One entry of a key: ints, slices, None and Ellipsis as they are, everything else an index array."""
    if type(k) in BASIC:
        return slice(*map(_bound, (k.start, k.stop, k.step))) if type(k) is slice else k
    if isinstance(k, (np.integer, int)) and not isinstance(k, bool):
        return int(k)
    array = lift(k)
    if isinstance(array, np.ndarray) and array.size == 0 and array.dtype.kind == "f":
        array = array.astype(np.intp)  # NumPy takes an empty list for an empty index
    if array.dtype.kind not in "iub":
        raise IndexError("arrays used as indices must be of integer (or boolean) type")
    if array.dtype.kind == "b":
        if array.ndim == 0:
            raise NotDifferentiable(
                "index",
                got="a boolean scalar among other keys",
                want="an array mask",
                fix="use `if`, or numpy.where",
                at=describe(here(3)),
            )
        return concrete(array) if type(array) is Tensor else array
    if array.ndim == 0 and type(array) is not Tensor:
        return int(array)
    return array


def _bound(k: Any) -> int | None:
    return None if k is None else k.__index__()


def _advanced(entries: list[Any], ndim: int) -> tuple[Any, list[Array], bool]:
    """Masks become integer arrays, an Ellipsis the slices it stands for, and ints 0-d arrays."""
    consumed = sum(e.ndim if _is_mask(e) else 1 for e in entries if e is not None and e is not Ellipsis)
    spec: list[Any] = []
    arrays: list[Array] = []
    masks = sum(map(_is_mask, entries))
    others = sum(not _is_mask(e) and type(e) not in (slice, type(None), type(Ellipsis)) for e in entries)
    for e in entries:
        if e is Ellipsis:
            spec += [slice(None)] * (ndim - consumed)
        elif e is None or type(e) is slice:
            spec.append(e)
        else:
            parts = e.nonzero() if _is_mask(e) else [np.asarray(e) if type(e) is int else e]
            spec += [ARRAY] * len(parts)
            arrays += parts
    return tuple(spec), arrays, masks == 1 and not others


def _is_mask(e: Any) -> bool:
    return isinstance(e, np.ndarray) and e.dtype.kind == "b"


def _is_boolean(key: Any) -> bool:
    """Whether a key is a boolean without axes, which adds an axis: of one element if it is true, of none if not."""
    return isinstance(key, (bool, np.bool_)) or (type(key) in ARRAYS and key.ndim == 0 and key.dtype.kind == "b")


def getitem(x: Tensor, key: Any) -> Array:
    """`x[key]`."""
    if type(key) not in PLAIN and _is_boolean(key):
        return index(reshape(x, shape=(1, *x.shape)), np.arange(int(key)), spec=(ARRAY,), unique=True)
    if type(key) is Tensor and key.dtype.kind == "b" and staged(key) and x.shape[: key.ndim] == key.shape:
        return Selected(held(x), held(key))
    spec, arrays, unique = parse(key, x.ndim)
    if arrays:
        out = index(x, *arrays, spec=spec, unique=unique)
        if type(out) is Tensor and out.ndim and raw(out).ndim > out.ndim:  # under vmap, each example in NumPy's layout
            return laid_out(out, example(x)[native(spec, list(map(example, arrays)))])
        return out
    if (found := element(x, spec, index)) is not None:
        return found
    if (type(spec) is int and x.ndim == 1) or (type(spec) is tuple and _names_element(spec, x.ndim)):
        return index(x, spec=spec)  # a scalar, which no later write changes
    return view(index, x if x.ndim else as_array(x), spec=spec)


def _names_element(spec: tuple[Any, ...], ndim: int) -> bool:
    return len(spec) == ndim and all(type(e) is int for e in spec)


def _set_if(x: Tensor, condition: bool, value: Any) -> None:
    """`x[True] = value` or `x[False] = value`."""
    if x.ndim:
        setitem(view(index, x, spec=(None,)), slice(0, int(condition)), value)
    elif condition:
        setitem(x, (), reshape(lift(value), shape=()))


def _set_where(x: Tensor, mask: Tensor, value: Any) -> None:
    """`x[mask] = value` for a mask without a value yet: the same value for every place, chosen by `where`."""
    if x.shape[: mask.ndim] != mask.shape:
        raise IndexError(f"boolean index of shape {mask.shape} does not match an array of shape {x.shape}")
    trailing = x.shape[mask.ndim :]
    if isinstance(value, Selected):
        if not value.selects_as(mask) or value.full.shape != x.shape:
            raise value.refused("an assignment of what another mask selects, to places of")
        return x._write(select(value.places(), astype(value.full, x.dtype), x))
    new = lift(value)
    if new.ndim > len(trailing):
        raise no_value(
            "x[mask] = values",
            f"a mask of shape {list(mask.shape)} for values of shape {list(new.shape)}",
            3,
            "give a value for every place, and choose: x = numpy.where(mask, new, x)",
        )
    chosen = select(reshape(mask, shape=(*mask.shape, *(1,) * len(trailing))), astype(new, x.dtype), x)
    x._write(chosen)


def setitem(x: Tensor, key: Any, value: Any) -> None:
    """`x[key] = value`."""
    if type(key) not in PLAIN and _is_boolean(key):
        return _set_if(x, bool(key), value)
    if type(key) is Tensor and key.dtype.kind == "b" and staged(key):
        return _set_where(x, key, value)
    spec, arrays, _ = parse(key, x.ndim)
    if type(value) is Tensor and (seen := value._view) is not None:
        # x[key] += y has written through the view x[key] already.
        if seen.base is x and seen.op is index and not arrays and seen.params["spec"] == spec and not seen.stale():
            return
    if isinstance(value, (list, tuple)):
        value = lift(value)
    if type(value) is Tensor and value.dtype.kind == "c" and x.dtype.kind != "c":
        raise DTypeError(
            "in-place write",
            got=f"a complex value into a {x.dtype} array",
            want="a real value, or a complex array",
            fix="write value.real, or make the array with dtype=complex",
            at=describe(here(2)),
        )
    if arrays or not write_in_place(x, spec, value, index_put):
        x._write(index_put(x, value, *arrays, spec=spec))
