"""Ops that compiled code runs by their `eval`."""

from __future__ import annotations

from collections.abc import Callable
from sys import getrefcount
from typing import Any

import numpy as np

from wengert.core.aval import Aval
from wengert.core.errors import CompileError, WengertError
from wengert.core.source import Source, describe
from wengert.lowering.lowered import HostReference
from wengert.runtime import objects


def _count(*objects: object) -> int:
    for one in objects:
        return getrefcount(one)
    return 0


HELD = _count(object()) + 1  # references to an array that nobody keeps, as `run` counts them: one is the entry's


def runner(reference: HostReference) -> Callable[..., None]:
    """Runs `reference` on arrays over the memory of its operands (read-only) and of its results, which it fills.

    That memory is the compiled program's. Where somebody has kept one of the arrays, a traceback's frames for one, it is given
    memory of its own before the program goes on.
    """
    op, params, ins, outs = reference.op, reference.params, reference.ins, reference.outs
    n = len(ins)
    scalars = [(i, a.weak) for i, a in enumerate(ins) if a.shape == ()]

    def run(*arrays: np.ndarray) -> None:
        operands: list[Any] = list(arrays[:n])
        for i, weak in scalars:  # as eager evaluation has them: NumPy scalars, and Python's own where weak
            operands[i] = operands[i].item() if weak else operands[i][()]
        results: Any = None
        try:
            results = op.eval(*operands, **params)
            for aval, result, memory in zip(outs, results if op.multi else (results,), arrays[n:], strict=True):
                if type(result) is not np.ndarray or result.shape != aval.shape or result.dtype != aval.dtype:
                    _check(reference, aval, result)
                memory[...] = result
        except Exception as error:
            raise located(error, reference.source) from None
        finally:
            del operands[:]
            results = result = memory = None
            for array in arrays:
                if getrefcount(array) > HELD:
                    objects.own(array)

    return run


def located(error: Exception, source: Source | None) -> Exception:
    """`error`, with the user's line where it had none."""
    where = describe(source)
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
