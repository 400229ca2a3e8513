"""What calls back to `eval` take from NumPy, besides the memory that is planned."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wengert.core.aval import Aval
from wengert.core.op import Op
from wengert.lowering.lowered import Kernel, Lowered
from wengert.ops.temporaries import nbytes_of, temporaries


def call_bytes(op: Op, ins: Sequence[Aval], outs: Sequence[Aval], params: dict[str, Any]) -> int:
    """Bytes that one call holds at its worst: its results, before they are copied to where they were planned, and what it takes in
    passing."""
    return sum(map(nbytes_of, outs)) + temporaries(op, ins, outs, params)


def host_bytes(lowered: Lowered) -> list[int]:
    """The same for each step of a lowered program; 0 for steps that are machine code."""
    own = [_is_host(kernel) for kernel in lowered.kernels]
    every = [call_bytes(call.op, call.ins, call.outs, call.params) for call in lowered.host_calls]
    split = len(every) - sum(own)  # those of bodies come first
    inner, mine = max(every[:split], default=0), iter(every[split:])
    return [
        next(mine) if host else inner if any(map(_is_host, kernel.within())) else 0
        for host, kernel in zip(own, lowered.kernels, strict=True)
    ]


def _is_host(kernel: Kernel) -> bool:
    return kernel.note.startswith("host call")
