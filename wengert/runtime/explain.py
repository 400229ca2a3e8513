"""`jit(f).explain(*args)`: what became of a function, in words and numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from wengert.core.sizes import shown
from wengert.core.source import describe


def explain(name: str, executable: Any, equations: int, budget: int | None = None) -> str:
    """Passes, kernels, host calls, memory and compile time of an executable, as text; and what a memory budget did."""
    lowered = executable.lowered
    parts = [
        f"{name}: {equations} operations recorded, {len(lowered.program.eqns)} after the passes,"
        f" {_count(len(lowered.kernels), 'kernel')}, {_count(len(lowered.host_calls), 'host call')}",
        _passes(getattr(executable, "reports", ())),
        _kernels(lowered.kernels),
        _hosted(lowered.host_calls),
        _memory(executable),
        "" if budget is None else _budget(executable, budget),
        _seconds(executable.seconds),
    ]
    return "\n\n".join(part for part in parts if part)


def _count(n: int, what: str) -> str:
    return f"{n} {what}{'' if n == 1 else 's'}"


def _passes(reports: Sequence[Any]) -> str:
    return "\n".join(["passes", *(f"  {report}" for report in reports)]) if reports else ""


def _kernels(kernels: Sequence[Any]) -> str:
    if not kernels:
        return ""
    lines = ["kernels           domain        flops        bytes  ops"]
    for k in kernels:
        domain = "×".join(map(str, k.domain)) or "1"
        ops = ", ".join(f"{op} ×{n}" if n > 1 else op for op, n in Counter(k.ops).items())
        note = f"   [{k.note}]" if k.note else ""
        chunks = f"   {k.chunks} chunks" if k.chunks > 1 else ""
        lines.append(f"  {k.name:<14} {domain:>10} {k.flops:12.4g} {k.bytes:12d}  {ops}{chunks}{note}")
    return "\n".join(lines)


def _hosted(calls: Sequence[Any]) -> str:
    if not calls:
        return ""
    lines = ["host calls: run by NumPy or SciPy from the compiled code"]
    for call in calls:
        shapes = ", ".join(map(str, call.ins))
        where = describe(call.source)
        lines.append(f"  {call.op.name}({shapes}): {call.reason}{f' ({where})' if where else ''}")
    return "\n".join(lines)


def _memory(executable: Any) -> str:
    lowered = executable.lowered
    return (
        f"memory: workspace {lowered.workspace} bytes, constants {sum(c.nbytes for c in lowered.constants)} bytes,"
        f" code {executable.nbytes} bytes"
    )


def _budget(executable: Any, budget: int) -> str:
    told = getattr(executable, "obeys", None)
    return f"memory budget {shown(budget)}: {told or 'not obeyed, as nothing was compiled'}"


def _seconds(seconds: dict[str, float]) -> str:
    total = sum(seconds.values())
    each = ", ".join(f"{stage} {1e3 * s:.1f}" for stage, s in seconds.items())
    return f"compiled in {1e3 * total:.1f} ms ({each})"
