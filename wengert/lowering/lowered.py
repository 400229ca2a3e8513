"""What lowering hands to the runtime: text, and what the text needs around it.

The one function of the text is

    i32 @run(ptr %frame)

`%frame` is an array of pointers:

    [0]                    the `Context` of the call
    [1 … n]                the operands' elements, in order
    [n+1 … n+m]            the results' elements, in the order of `outs` that are of kind "new"
    [.. + len(constants)]  the constants' elements
    [last]                 the workspace: `workspace` bytes, aligned to 64

All arrays are C-contiguous and aligned to their items. `run` returns 0, or a nonzero number: -1 if a host
call has failed (and has kept the exception), otherwise 1 + the index in `failures` of what went wrong.

`Context` is a struct of the runtime's, of which compiled code reads

    offset 0   ptr   i32 host(ptr self, i64 number, ptr pointers)
                     run `host_calls[number]`: `pointers` are those of its operands' elements, then of its results'
    offset 8   ptr   void parallel(ptr self, ptr kernel, ptr frame, i64 chunks)
                     call `void kernel(ptr frame, i64 chunk)` for every chunk below `chunks`, in any order and on any
                     thread, and come back when all are done; null: the caller loops
    offset 16  ptr   self, passed to all of them
    offset 24  ptr   i32 interrupted(ptr self)
                     nonzero: a signal (Ctrl-C) was handled, and its handler has raised; `run` returns -1 at once. To be
                     called between kernels of long programs, and in long loops of small ones: about 30 ns

Results never depend on who runs which chunk.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from wengert.core.aval import Aval
from wengert.core.op import Op
from wengert.core.source import Source
from wengert.graph.program import Program


@dataclass(frozen=True)
class HostReference:
    """An op that compiled code runs by its `eval`. `ins` and `outs` describe the arrays behind the pointers."""

    op: Op
    params: dict[str, Any]
    ins: tuple[Aval, ...]  #: weak ones are Python scalars for `eval`
    outs: tuple[Aval, ...]
    source: Source | None
    reason: str


@dataclass(frozen=True)
class Out:
    """One result. new: written by `run`; input, constant: the array itself, copied; same: another result, copied."""

    kind: Literal["new", "input", "constant", "same"]
    aval: Aval
    index: int = 0  #: of the input, constant or result


@dataclass
class Kernel:
    """One loop nest or library call, for `explain()` and profilers.

    sources : the ops in it with the user's lines that they stand at; those of pullbacks are marked as `core.source` says
    inner : the kernels of the bodies of a loop, branch or call; their flops and bytes are those of one run
    dtype : of its first result
    """

    name: str
    ops: list[str]
    domain: tuple[int, ...]
    bytes: int
    flops: float
    chunks: int = 1
    note: str = ""
    sources: Sequence[tuple[str, Source | None]] = ()
    inner: Sequence[Kernel] = ()
    kind: Literal["loop nest", "library call", "control flow", "host call"] = "loop nest"
    dtype: str = "float64"

    def within(self) -> Iterator[Kernel]:
        """All kernels in `inner`, and in theirs."""
        for kernel in self.inner:
            yield kernel
            yield from kernel.within()


@dataclass(frozen=True)
class Calls:
    """What `run` does, in order.

    steps : of each step the functions and how many chunks each has
    last : the frame's slot of the workspace, where the code that `run` returns is kept
    stops : whether anything sets that
    stoppable : functions that may, and then `run` leaves
    long : steps after which it is asked whether the call is interrupted
    """

    steps: Sequence[Sequence[tuple[str, int]]]
    last: int
    stops: bool
    stoppable: frozenset[str]
    long: Sequence[bool]

    @property
    def parallel(self) -> bool:
        return any(chunks > 1 for step in self.steps for _, chunks in step)


@dataclass
class Lowered:
    """See the module's docstring."""

    text: str
    symbols: frozenset[
        str
    ]  #: external functions: names of BLAS and LAPACK as SciPy exports them ("blas.dgemm", "lapack.dpotrf")
    ins: Sequence[Aval]
    outs: Sequence[Out]
    constants: Sequence[np.ndarray]
    host_calls: Sequence[HostReference]
    failures: Sequence[tuple[type[Exception], str, Source | None]]
    workspace: int
    kernels: Sequence[Kernel]
    program: Program  #: what was lowered, after all passes
    inplace: dict[int, int] = field(default_factory=dict)  #: result → donated operand whose memory it takes over
    calls: Calls | None = None  #: what `run` calls; each step is one of `kernels`
    donated: frozenset[int] = frozenset()  #: the operands that might have been taken over
    inline_math: bool = True
    known: Any = field(default=None, repr=False, compare=False)  #: see `composition.py`

    @property
    def peak(self) -> int:
        """Bytes that a call takes beyond its arguments: results that take over no operand's memory, and the workspace."""
        new = [out.aval for i, out in enumerate(self.outs) if i not in self.inplace]
        return sum(aval.size * aval.dtype.itemsize for aval in new) + self.workspace

    @property
    def flops(self) -> float:
        return sum(k.flops for k in self.kernels)

    @property
    def chunks(self) -> int:
        """The largest number of chunks that can run at once."""
        return max((k.chunks for k in self.kernels), default=1)
