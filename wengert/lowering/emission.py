"""What an emitter of `lowering/library` writes into: one kernel function, its operands, scratch memory and failures."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wengert.core.aval import Aval
from wengert.core.source import Source
from wengert.lowering.text import Builder, Value


@dataclass(frozen=True)
class Operand:
    """An array in memory: a pointer to its first element, and strides in elements (contiguous ones for results)."""

    pointer: Value
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    dtype: np.dtype

    @property
    def size(self) -> int:
        return math.prod(self.shape)


def row_major(shape: Sequence[int]) -> tuple[int, ...]:
    """The strides, in elements, of a C-contiguous array."""
    strides, step = [], 1
    for d in reversed(shape):
        strides.append(step)
        step *= d
    return tuple(reversed(strides))


class Emission:
    """The kernel being written.

    b : the builder of the kernel's body, which is in its first block
    """

    def __init__(
        self,
        b: Builder,
        scratch: Callable[[int], Value],
        fail: Callable[..., int],
        source: Source | None,
    ) -> None:
        self.b, self._scratch, self._fail, self.source = b, scratch, fail, source
        self.code: Value | None = None  # where the kernel keeps its failure
        self.interruption: Callable[[], tuple[Value, Value]] | None = None  # the runtime's function, and its argument
        self._asked: tuple[Value, Value] | None = None

    def scratch(self, nbytes: int) -> Value:
        """Uninitialised memory for the length of this kernel, aligned to 64 bytes."""
        return self._scratch(nbytes)

    def fail_if(self, condition: Value, error: type[Exception], message: str, source: Source | None = None) -> None:
        """Have the call raise `error(message)` once this kernel has ended, if `condition` held; execution goes on.

        `source` is the line to name, where it is not the op's own."""
        b, code = self.b, self._fail(error, message, *([] if source is None else [source]))
        if self.code is None:
            raise RuntimeError("this kernel cannot fail")
        old = b.load(self.code, np.dtype(np.int32))
        free = b.compare("eq", old, b.like(0, old))
        b.store(b.select(b.and_(condition, free), b.like(code, old), old), self.code)

    def interrupted(self) -> Value:
        """Ask whether a signal's handler has raised, in about 30 ns. Where it has, the kernel leaves at once, with `stop`."""
        if self.interruption is None:
            raise RuntimeError("this kernel cannot be interrupted")
        if self._asked is None:
            self._asked = self.interruption()
        ask, own = self._asked
        answer = self.b.emit(f"call i32 {ask.ref}(ptr {own.ref})", np.dtype(np.int32))
        return self.b.compare("ne", answer, self.b.like(0, answer))

    def stop(self) -> None:
        """Say that Python has an exception: `run` leaves when this kernel has."""
        assert self.code is not None
        self.b.effect(f"store i32 -1, ptr {self.code.ref}")

    def external(self, symbol: str, result: str, types: Sequence[str]) -> Callable[..., str]:
        """A function of BLAS or LAPACK, named as SciPy exports it ("blas.dgemm"): call the returned function with
        operands as LLVM text ("ptr %x") to write a call; it gives the text of the call instruction."""
        self.b.module.declare(symbol, f'declare {result} @"{symbol}"({", ".join(types)})', external=True)
        return lambda *args: f'call {result} @"{symbol}"({", ".join(args)})'


@dataclass(frozen=True)
class Work:
    """What a library kernel does, for `explain()`."""

    flops: float
    note: str = ""
    attributes: str = ""  #: that the kernel's function gets, in LLVM's words


class Emitter:
    """One way to compute an op. Subclasses are registered under the name that the op's `Library` form gives."""

    apart = False  #: whether LLVM is promised that the kernel's arrays lie apart, those aside that are only read
    turns = False  #: whether operands may be read from their end: strides below 0

    def supports(self, ins: Sequence[Aval], outs: Sequence[Aval], params: dict[str, Any]) -> bool:
        """Whether `emit` can serve these avals (native dtypes) and parameters."""
        raise NotImplementedError

    def takes(self, i: int, strides: tuple[int, ...], ins: Sequence[Aval], params: dict[str, Any]) -> bool:
        """Whether operand `i` may have these strides (in elements; 0 where it is broadcast); it is copied otherwise."""
        return strides == row_major(ins[i].shape)

    def emit(self, e: Emission, ins: Sequence[Operand], outs: Sequence[Operand], params: dict[str, Any]) -> Work:
        """Write the kernel. Results are uninitialised memory, disjoint from the operands."""
        raise NotImplementedError
