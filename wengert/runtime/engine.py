"""Programs become functions: lowered, compiled, loaded, and called on ndarrays."""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.core.aval import Aval
from wengert.core.errors import CompileError
from wengert.core.source import describe
from wengert.graph.program import Program
from wengert.lowering.lowered import Lowered
from wengert.runtime import native
from wengert.runtime.hostcall import HostCalls

_HOST = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_int64, ctypes.c_void_p)
_RUN = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p)


def compile(
    program: Program | Lowered, *, donated: frozenset[int] = frozenset(), name: str = "", tier: str | None = None
) -> Executable:
    """Machine code for a program.

    donated : operands whose memory results may take over
    tier : "fast" or "full"
    Cost: about a millisecond per loop nest in the fast tier, some tens of milliseconds in the full one.
    """
    seconds: dict[str, float] = {}
    if isinstance(program, Program):
        from wengert.lowering.lower import lower

        start = time.perf_counter()
        program = lower(program, donated=donated)
        seconds["lower"] = time.perf_counter() - start
    return Executable(program, native.TIERS[tier or "full"], name, seconds)


class Executable:
    """A compiled program.

    seconds : what each stage of compiling took
    nbytes : of object code
    """

    def __init__(self, lowered: Lowered, tier: native.Tier, name: str, seconds: dict[str, float]) -> None:
        self.lowered, self.tier, self.name, self.seconds = lowered, tier, name, seconds
        native.require(lowered.symbols)
        code, stages = native.assemble(lowered.text, tier)
        seconds.update(stages)
        start = time.perf_counter()
        self._code = native.Code(code)
        self._run = _RUN(self._code.address("run"))
        seconds["load"] = time.perf_counter() - start
        self.nbytes = len(code)
        self._constants = [np.ascontiguousarray(c) for c in lowered.constants]
        self._host = HostCalls(lowered.host_calls)
        self._failed = threading.local()
        self._callback = _HOST(self._serve)
        self._context = (ctypes.c_void_p * 4)(ctypes.cast(self._callback, ctypes.c_void_p).value, None, None, None)

    def __call__(self, *operands: Any) -> list[np.ndarray]:
        """Results for operands of the avals that were compiled for: arrays in any layout, or scalars. 0-d results are 0-d arrays."""
        lowered = self.lowered
        ins = [_operand(x, aval) for x, aval in zip(operands, lowered.ins, strict=True)]
        taken = lowered.inplace
        new = [
            np.empty(out.aval.shape, out.aval.dtype) if i not in taken else _taken(ins, taken[i], out.aval)
            for i, out in enumerate(lowered.outs)
            if out.kind == "new"
        ]
        work = np.empty(lowered.workspace + 64, np.uint8)
        arrays = [*ins, *new, *self._constants]
        frame = (ctypes.c_void_p * (len(arrays) + 2))(
            ctypes.addressof(self._context), *(a.ctypes.data for a in arrays), (work.ctypes.data + 63) & ~63
        )
        self._check(self._run(ctypes.addressof(frame)))
        fresh = iter(new)
        results: list[np.ndarray] = []
        for out in lowered.outs:
            match out.kind:
                case "new":
                    results.append(next(fresh))
                case "input":
                    results.append(ins[out.index].copy())
                case "constant":
                    results.append(self._constants[out.index].copy())
                case "same":
                    results.append(results[out.index].copy())
        return results

    def _serve(self, _: int, number: int, pointers: int) -> int:
        try:
            self._host(number, pointers)
        except BaseException as error:
            self._failed.error = error
            return 1
        return 0

    def _check(self, code: int) -> None:
        """Raise what has gone wrong in a call that returned `code`."""
        if code > 0:
            kind, message, source = self.lowered.failures[code - 1]
            error = kind(message)
            if where := describe(source):
                error.add_note(f"  at:   {where}")
            raise error
        if code < 0:
            error, self._failed.error = self._failed.error, None
            raise error

    def llvm(self, optimised: bool = False) -> str:
        """The text that was compiled, before or after LLVM's passes."""
        return native.show(self.lowered.text, self.tier, "llvm") if optimised else self.lowered.text

    @property
    def asm(self) -> str:
        """The machine code as assembly."""
        return native.show(self.lowered.text, self.tier, "asm")


def _operand(x: Any, aval: Aval) -> np.ndarray:
    """`x` as compiled code wants it: contiguous and aligned."""
    array = np.require(x, aval.dtype if aval.weak else None, ["C", "A"])
    if array.shape != aval.shape or array.dtype != aval.dtype:
        raise CompileError(
            "compiled code was given an operand that it was not compiled for",
            got=f"{array.dtype}{list(array.shape)}",
            want=str(aval),
        )
    return array


def _taken(ins: Sequence[np.ndarray], index: int, aval: Aval) -> np.ndarray:
    """The memory of donated operand `index` as a result of `aval`; a copy if it cannot be written."""
    if not ins[index].flags.writeable:
        ins[index] = ins[index].copy()  # type: ignore[index]
    return ins[index].view(aval.dtype).reshape(aval.shape)
