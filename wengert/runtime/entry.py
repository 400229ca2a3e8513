"""Callables of Python over compiled programs: `support/entry.ll`, and the tables that tell it what one program takes and gives."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from wengert.core.aval import Aval
from wengert.lowering.lowered import HostReference, Lowered, Out
from wengert.runtime import objects
from wengert.runtime.objects import ALIGNED, C_CONTIGUOUS, WRITEABLE, Unknown
from wengert.runtime.support import support

Wrap = Literal["array", "tuple"] | Callable[..., Any]

_ARRAY, _SCALAR, _INT, _BOOL = range(4)  # kinds of operands
_NEW, _NEW_SCALAR, _INPUT, _CONSTANT, _SAME, _TAKEN = range(6)  # kinds of results
_COPIED = {"input": _INPUT, "constant": _CONSTANT, "same": _SAME}
_FASTCALL = 0x0080
_BOXED = {"d": 1, np.dtype(int).char: 2, "?": 3, "D": 4}  # Python's scalars, as `entry.ll` numbers them
_PYTHON_SCALARS: dict[str, type] = {"f": float, "c": complex}


RUN, OPERANDS = 0, 5  # words of a spec that change
CONTEXT = 112  # where the Context begins in a spec, in bytes


class Spec:
    """One entry's words, as `%spec` in `entry.ll` has them."""

    def __init__(self, words: np.ndarray) -> None:
        self.words, self.address = words, words.ctypes.data


class Tables:
    """What `entry.ll` reads of one program.

    unsupported : why calls must take the way through Python, or empty
    """

    def __init__(self, lowered: Lowered, constants: Sequence[np.ndarray], host: Sequence[Callable[..., None]]) -> None:
        self._kept: list[Any] = [constants, host]  # everything that the tables point to
        self.unsupported = ""
        self.lowered = lowered
        taken = set(lowered.inplace.values())
        rows = [self._operand(aval, i in taken) for i, aval in enumerate(lowered.ins)]
        self.operands = self._table(rows, 8)
        self.results = self._table([self._result(i, out) for i, out in enumerate(lowered.outs)], 7)
        self.constants = self._table([[c.ctypes.data] for c in constants], 1)
        calls = [self._hosted(reference, run) for reference, run in zip(lowered.host_calls, host, strict=True)]
        self.hosted = self._table(calls, 3)

    def _table(self, rows: Sequence[Sequence[int]], width: int) -> int:
        table = np.array(rows, np.int64).reshape(len(rows), width)
        self._kept.append(table)
        return table.ctypes.data

    def _dims(self, shape: tuple[int, ...]) -> int:
        return self._table([[d] for d in shape], 1)

    def _descr(self, dtype: np.dtype) -> int:
        one = np.dtype(dtype.type) if dtype.type is not np.void else dtype
        self._kept.append(one)
        return id(one if one == dtype else dtype)

    def _operand(self, aval: Aval, taken: bool) -> list[int]:
        descr, dims = self._descr(aval.dtype), self._dims(aval.shape)
        flags, nbytes = C_CONTIGUOUS | ALIGNED | (WRITEABLE if taken else 0), aval.size * aval.dtype.itemsize
        if aval.weak and aval.dtype.kind in "bi":
            return [_BOOL if aval.dtype.kind == "b" else _INT, 0, 0, 0, 0, 0, 0, 0]
        if aval.shape:
            return [_ARRAY, 0, 0, descr, aval.ndim, dims, flags, nbytes]
        kind = _PYTHON_SCALARS[aval.dtype.kind] if aval.weak else aval.dtype.type
        try:
            offset = objects.value_offset(kind, aval.dtype)
        except Unknown as error:
            self.unsupported = str(error)
            offset = 0
        self._kept.append(kind)
        return [_SCALAR, id(kind), offset, 0 if aval.weak else descr, 0, dims, flags, nbytes]

    def _result(self, number: int, out: Out) -> list[int]:
        aval, index = out.aval, out.index
        if out.kind != "new":
            kind = _COPIED[out.kind]
        elif number in self.lowered.inplace:
            kind, index = _TAKEN, self.lowered.inplace[number]
            if self.lowered.ins[index] != aval or not aval.shape:
                self.unsupported = "a result takes over the memory of an operand of another shape or dtype"
        else:
            kind = _NEW if aval.shape else _NEW_SCALAR
        boxed = _BOXED.get(aval.dtype.char, 0) if aval.weak or self._weak(number) else 0
        nbytes = aval.size * aval.dtype.itemsize
        return [kind, self._descr(aval.dtype), aval.ndim, self._dims(aval.shape), index, nbytes, boxed]

    def _weak(self, number: int) -> bool:
        """Whether a result is a Python number: memory does not know, but the program does."""
        outs = self.lowered.program.outs
        return number < len(outs) and outs[number].aval.weak

    def _hosted(self, reference: HostReference, run: Callable[..., None]) -> list[int]:
        arrays = [(aval, 0) for aval in reference.ins] + [(aval, WRITEABLE) for aval in reference.outs]
        table = [
            [self._descr(a.dtype), a.ndim, self._dims(a.shape), C_CONTIGUOUS | ALIGNED | flag] for a, flag in arrays
        ]
        return [id(run), len(arrays), self._table(table, 4)]

    def spec(
        self,
        run: int,
        *,
        long: bool,
        slow: Any = None,
        fail: Any = None,
        wrap: Wrap = "tuple",
        calls: int = 0,
        hot: Any = None,
    ) -> Spec:
        """One entry. What it points to must be kept by the caller, but for the tables."""
        lowered, code = self.lowered, support()
        form = {"array": 0, "tuple": 1}.get(wrap, 2) if isinstance(wrap, str) else 2
        words = np.array(
            [
                run,
                id(slow),
                id(fail),
                id(wrap),
                form,
                len(lowered.ins),
                len(lowered.outs),
                len(lowered.constants),
                self.operands,
                self.results,
                self.constants,
                lowered.workspace,
                long,
                self.hosted,
                code.host,
                code.parallel,
                0,
                code.interrupted,
                calls,
                id(hot),
            ],
            np.int64,
        )
        words[16] = words.ctypes.data
        return Spec(words)


class _MethodDef(ctypes.Structure):
    _fields_ = (
        ("name", ctypes.c_char_p),
        ("function", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    )


def builtin(spec: Spec, name: str, keep: tuple[Any, ...]) -> Callable[..., Any]:
    """A built-in function that enters by `spec`; `keep` lives as long as it does, and is known to the garbage collector."""
    definition = _MethodDef(name.encode(), support().enter, _FASTCALL, None)
    make = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p)
    new = make(objects.address("PyCFunction_NewEx"))
    return new(ctypes.addressof(definition), (spec.address, spec, definition, *keep), None)
