"""Where Python and NumPy keep what compiled entries read: fields of their objects, and their C functions.

Offsets are not taken for granted: each is looked for in, or checked against, objects whose contents are known. Where one is not
found, there are no compiled entries (`supported()` gives the reason), and calls take the way through Python.
"""

from __future__ import annotations

import ctypes
import functools
import sys
import sysconfig
from typing import Any

import numpy as np

ALIGNED, C_CONTIGUOUS, WRITEABLE = 0x100, 0x1, 0x400  # flags of NumPy's arrays
_SLOTS = {
    "np.NewFromDescr": 94,
    "np.Scalar": 60,
    "np.SetHandler": 304,
    "np.GetHandler": 305,
    "np.SetBaseObject": 282,
}  # in NumPy's table of C functions
_ABI = 0x02000000  # of NumPy 2


class Unknown(Exception):
    """An object does not look as expected."""


def address(symbol: str) -> int:
    """The address of a function of Python's C interface."""
    return ctypes.cast(getattr(ctypes.pythonapi, symbol), ctypes.c_void_p).value or 0


@functools.cache
def offsets() -> dict[str, int]:
    """Offsets of `type` in objects, and of `data`, `nd`, `dims`, `descr`, `flags` in arrays; raises `Unknown`."""
    samples = [np.zeros((3, 5), np.float32), np.zeros((7, 2, 9))[:, :1], np.zeros((4,), np.int16)]
    found = {"type": _word(samples, lambda a: id(type(a)))}
    data = _word(samples, lambda a: a.ctypes.data)
    # fields after `data` follow in an order that NumPy's binary interface fixes
    found |= {
        "data": data,
        "nd": data + 8,
        "dims": data + 16,
        "base": data + 32,
        "descr": data + 40,
        "flags": data + 48,
    }
    for a in samples:
        at = id(a)
        flags = C_CONTIGUOUS * a.flags.c_contiguous | ALIGNED | WRITEABLE
        mask = C_CONTIGUOUS | ALIGNED | WRITEABLE
        fits = (
            _read(at + found["nd"], ctypes.c_int) == a.ndim
            and _read(at + found["descr"], ctypes.c_size_t) == id(a.dtype)
            and _read(at + found["base"], ctypes.c_size_t) == (0 if a.base is None else id(a.base))
            and _read(at + found["flags"], ctypes.c_int) & mask == flags
        )
        if not fits or tuple(_dims(at + found["dims"], a.ndim)) != a.shape:
            raise Unknown("NumPy's arrays are laid out in another way")
    return found


def _dims(at: int, ndim: int) -> Any:
    return (ctypes.c_ssize_t * ndim).from_address(_read(at, ctypes.c_size_t))


def _read(at: int, kind: Any) -> int:
    return kind.from_address(at).value


def _word(objects: list[Any], value: Any) -> int:
    """The one offset at which each object holds `value(object)`."""
    size = min(type(o).__basicsize__ for o in objects)
    hits = [at for at in range(0, size - 7, 8) if all(_read(id(o) + at, ctypes.c_size_t) == value(o) for o in objects)]
    if len(hits) != 1:
        raise Unknown("a field of Python's or NumPy's objects is not where it was looked for")
    return hits[0]


@functools.cache
def value_offset(kind: type, dtype: np.dtype) -> int:
    """Where scalars of class `kind` (`float`, `complex`, NumPy's) keep their value, of `dtype`; raises `Unknown`."""
    if dtype.kind == "b":
        samples: list[Any] = [kind(False), kind(True)]
    else:
        samples = [kind(n) for n in ((67, 105) if dtype.itemsize == 1 else (12345, 23456))]
    hits = None
    for sample in samples:
        size = type(sample).__basicsize__
        memory = ctypes.string_at(id(sample), size)
        wanted = np.array(sample, dtype).tobytes()
        here = {
            at
            for at in range(0, size - len(wanted) + 1, min(8, len(wanted)))
            if memory[at : at + len(wanted)] == wanted
        }
        hits = here if hits is None else hits & here
    head = object.__basicsize__
    if not hits or head not in hits:
        raise Unknown(f"scalars of {kind.__name__} are laid out in another way")
    return head


@functools.cache
def functions() -> dict[str, int]:
    """Addresses of NumPy's types and C functions, and of Python's types, by the names they have in IR; raises `Unknown`."""
    capsule = np._core._multiarray_umath._ARRAY_API  # type: ignore[attr-defined]
    pointer_of = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)(address("PyCapsule_GetPointer"))
    table = ctypes.cast(pointer_of(capsule, None), ctypes.POINTER(ctypes.c_void_p))
    abi = ctypes.PYFUNCTYPE(ctypes.c_uint)(table[0])()
    if abi != _ABI or table[2] != id(np.ndarray):
        raise Unknown("NumPy has another binary interface")
    found = {name: table[slot] or 0 for name, slot in _SLOTS.items()}
    found |= {"np.ndarray": id(np.ndarray), "py.int": id(int), "py.true": id(True), "py.false": id(False)}
    return found


def own(array: np.ndarray) -> None:
    """Give an array over borrowed memory a copy of its elements to live on. Views of it that somebody holds are not reached."""
    if supported():
        return
    kept = array.copy()
    set_base = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, ctypes.py_object)(functions()["np.SetBaseObject"])
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(kept))  # which NumPy takes over
    if set_base(array, kept) == 0:
        ctypes.c_size_t.from_address(id(array) + offsets()["data"]).value = kept.ctypes.data


@functools.cache
def supported() -> str:
    """Why there can be no compiled entries here; empty if they can be."""
    if sys.implementation.name != "cpython":
        return f"they need CPython, and this is {sys.implementation.name}"
    if sysconfig.get_config_var("Py_GIL_DISABLED"):
        return "they need the global interpreter lock, and this Python has none"
    if ctypes.sizeof(ctypes.c_void_p) != 8:
        return "they need addresses of 64 bits"
    try:
        offsets()
        functions()
    except Unknown as error:
        return str(error)
    return ""
