"""How often a staged loop goes round, where a counter decides that: the counter is followed, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from wengert.core.tensor import raw
from wengert.graph.program import Eqn, Literal, Program
from wengert.lowering.control.pullback import BEGIN
from wengert.lowering.lowered import Kernel, Lowered

MOST = 100_000  # trips that are followed
SMALL = 64  # elements of a value that is followed
_UNKNOWN: Any = object()


def stacks(plan: Lowered) -> Iterator[tuple[Kernel, int, int | None]]:
    """The kernels of loops that keep what their pullbacks need: (kernel, bytes a trip, trips if these are known)."""
    loops = [eqn for eqn in plan.program.equations() if eqn.op.name == "while_pullback"]
    for kernel in plan.kernels:
        if "bytes of residuals a trip" in kernel.note:
            each = int(kernel.note.partition("; ")[2].partition(" ")[0])
            mine = [eqn for eqn in loops if ("while_pullback", eqn.source) in kernel.sources]
            yield kernel, each, trips_of(mine[0]) if len(mine) == 1 else None


def stack_bytes(each: int, trips: int) -> int:
    """The memory of so many records, which begins with some and doubles."""
    room = max(4, BEGIN // each)
    while room < trips:
        room *= 2
    return room * each


def trips_of(loop: Eqn) -> int | None:
    """The number of trips of a `while_loop` or its pullback; None where it depends on what is not known."""
    cond, step = loop.params["cond"], loop.params["forward"]
    consts, carries = loop.params["consts"], loop.params["carries"]
    values = [_value(atom) for atom in loop.ins[: consts + carries]]
    for trip in range(MOST):
        (go,) = _run(cond, values)
        if go is _UNKNOWN:
            return None
        if not np.all(go):
            return trip
        values = [*values[:consts], *_run(step, values)[:carries]]
    return None


def _value(atom: Any) -> Any:
    return raw(atom.value) if isinstance(atom, Literal) and np.size(raw(atom.value)) <= SMALL else _UNKNOWN


def _run(program: Program, values: Sequence[Any]) -> list[Any]:
    """The program's results, as far as they follow from the values that are known."""
    known = dict(zip(program.ins, values, strict=True))

    def of(atom: Any) -> Any:
        return _value(atom) if isinstance(atom, Literal) else known.get(atom, _UNKNOWN)

    with np.errstate(all="ignore"):
        for eqn in program.equations():
            given = [of(atom) for atom in eqn.ins]
            small = all(var.aval.size <= SMALL for var in eqn.results)
            if small and given and not any(x is _UNKNOWN for x in given) and "body" not in eqn.params:
                outs = eqn.op.eval(*given, **eqn.params)
                known |= zip(eqn.outs, outs, strict=True) if eqn.op.multi else ((eqn.outs, outs),)
    return [of(atom) for atom in program.outs]
