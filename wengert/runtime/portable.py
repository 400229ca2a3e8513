"""Calls of compiled programs through ctypes alone, where `objects.supported()` says that there are no compiled entries."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wengert.core.aval import Aval
from wengert.lowering.lowered import HostReference

_HOST = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p)
_RUN = ctypes.PYFUNCTYPE(ctypes.c_int32, ctypes.c_void_p)  # with Python's lock, which signals' handlers need


class Caller:
    """Runs one program on frames; its chunks run one after the other."""

    def __init__(self, references: Sequence[HostReference], host: Sequence[Callable[..., None]]) -> None:
        self._host = host
        self._over = [[_viewer(a, i < len(r.ins)) for i, a in enumerate((*r.ins, *r.outs))] for r in references]
        self._failed = threading.local()
        self._callback = _HOST(self._serve)
        functions: list[Any] = [self._callback, ctypes.pythonapi.PyErr_CheckSignals]
        serve, ask = (ctypes.cast(f, ctypes.c_void_p).value for f in functions)
        self._context = (ctypes.c_void_p * 4)(serve, None, None, ask)
        self.context = ctypes.addressof(self._context)

    def __call__(self, run: int, frame: int) -> int:
        """What `run` returns; raises what a host call has raised."""
        code = _RUN(run)(frame)
        if code < 0:
            error, self._failed.error = self._failed.error, None
            raise error
        return code

    def _serve(self, _: int, number: int, address: int) -> int:
        over = self._over[number]
        pointers = (ctypes.c_void_p * len(over)).from_address(address)
        try:
            self._host[number](*(view(pointer) for view, pointer in zip(over, pointers, strict=True)))
        except BaseException as error:
            self._failed.error = error
            return 1
        return 0


def _viewer(aval: Aval, operand: bool) -> Callable[[int | None], np.ndarray]:
    """Makes an array of `aval` over memory at an address."""
    shape, dtype = aval.shape, aval.dtype
    memory: Any = ctypes.c_char * max(1, aval.size * dtype.itemsize)

    def view(address: int | None) -> np.ndarray:
        array = np.ndarray(shape, dtype, memory.from_address(address or 0)) if aval.size else np.empty(shape, dtype)
        array.flags.writeable = not operand
        return array

    return view
