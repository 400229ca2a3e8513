"""Ops that compiled code runs by their `eval`."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wengert.core.aval import Aval
from wengert.core.errors import CompileError, WengertError
from wengert.core.source import describe
from wengert.lowering.lowered import HostReference


class HostCalls:
    """The host calls of one program: `self(number, address)` runs one, on arrays whose pointers lie at `address`."""

    def __init__(self, references: Sequence[HostReference]) -> None:
        self._runs = [_runner(reference) for reference in references]
        self._over = [[_viewer(a) for a in (*reference.ins, *reference.outs)] for reference in references]
        self._counts = [len(reference.ins) for reference in references]

    def __call__(self, number: int, address: int) -> None:
        over = self._over[number]
        pointers = (ctypes.c_void_p * len(over)).from_address(address)
        arrays = [view(pointer) for view, pointer in zip(over, pointers, strict=True)]
        for operand in arrays[: self._counts[number]]:
            operand.flags.writeable = False
        self._runs[number](*arrays)


def _viewer(aval: Aval) -> Callable[[int | None], np.ndarray]:
    """Makes an array of `aval` over memory at an address."""
    shape, dtype = aval.shape, aval.dtype
    nbytes = aval.size * dtype.itemsize
    memory = ctypes.c_char * nbytes
    if nbytes == 0:
        return lambda address: np.empty(shape, dtype)
    return lambda address: np.ndarray(shape, dtype, memory.from_address(address or 0))


def _runner(reference: HostReference) -> Callable[..., None]:
    """Runs `reference` on arrays over its operands and results."""
    op, params, ins, outs = reference.op, reference.params, reference.ins, reference.outs
    n = len(ins)
    scalars = [(i, a.weak) for i, a in enumerate(ins) if a.shape == ()]

    def run(*arrays: np.ndarray) -> None:
        operands: list[Any] = list(arrays[:n])
        for i, weak in scalars:  # as eager evaluation has them: NumPy scalars, and Python's own where weak
            operands[i] = operands[i].item() if weak else operands[i][()]
        try:
            results = op.eval(*operands, **params)
        except Exception as error:
            raise _located(error, reference) from None
        for aval, result, memory in zip(outs, results if op.multi else (results,), arrays[n:], strict=True):
            _check(reference, aval, result)
            np.copyto(memory, result)

    return run


def _located(error: Exception, reference: HostReference) -> Exception:
    """`error`, with the user's line where it had none."""
    where = describe(reference.source)
    if not where:
        return error
    if isinstance(error, WengertError):
        return error.located(where)
    if not any("at:" in note for note in getattr(error, "__notes__", ())):
        error.add_note(f"  at:   {where}")
    return error


def _check(reference: HostReference, aval: Aval, result: Any) -> None:
    if np.shape(result) != aval.shape or np.result_type(result) != aval.dtype:
        raise CompileError(
            f"{reference.op.name}: `eval` and the declared result differ",
            got=f"{np.result_type(result)}{list(np.shape(result))}",
            want=str(aval),
            at=describe(reference.source),
        )
