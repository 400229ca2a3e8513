"""Loops, branches and calls as kernels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wengert.core.aval import Aval
from wengert.core.form import Unsupported
from wengert.graph.program import Var
from wengert.lowering.emission import Emission, Emitter, Operand, Work, row_major
from wengert.lowering.straight.carried import put
from wengert.lowering.straight.cells import Memory
from wengert.lowering.straight.loops import Loops
from wengert.lowering.straight.updates import sums, updates
from wengert.lowering.straight.weights import Part, weight
from wengert.lowering.straight.writer import INLINED, Writer, trial

ROWS = 48  # calls of vector math that are inlined where trips are independent, and may run side by side
SCALAR = "noinline noimplicitfloat"  # LLVM looks for no vectors in such a function
HEAVY = 4000  # additions of one trip, from which on vector code in loops over elements is worth more


class Straight(Emitter):
    """A loop whose bodies are written as straight-line code."""

    apart = True
    turns = True

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def supports(self, ins: Sequence[Aval], outs: Sequence[Aval], params: dict[str, Any]) -> bool:
        if any(not a.size for a in (*ins, *outs)) and self.kind != "scan":
            return False
        try:
            if max(weight(program).cost for program, _ in self._bodies(params)) > HEAVY:
                return False
            e, pointer = trial()
            operands = [Operand(pointer(), a.shape, row_major(a.shape), a.dtype) for a in ins]
            results = [Operand(pointer(), a.shape, row_major(a.shape), a.dtype) for a in outs]
            self.emit(e, operands, results, params)
        except (Unsupported, RecursionError):
            return False
        return True

    def takes(self, i: int, strides: tuple[int, ...], ins: Sequence[Aval], params: dict[str, Any]) -> bool:
        return True

    def emit(self, e: Emission, ins: Sequence[Operand], outs: Sequence[Operand], params: dict[str, Any]) -> Work:
        w = Writer(e)
        sums_alone = self._sums(params)
        e.b.inline = self._inlines(params, sums_alone is not None)
        if sums_alone is not None and e.b.inline:
            w.side_by_side, w.sums = True, sums_alone
        held = [Memory(o.pointer, o.shape, o.strides, o.dtype) for o in ins]
        into = [Memory(o.pointer, o.shape, o.strides, o.dtype) for o in outs]
        found = Loops(w).control(self.kind, held, params, into)
        for value, m in zip(found, into, strict=True):
            if not (isinstance(value, Memory) and value.pointer is m.pointer):
                put(w, value, m)
        w.flags.report()
        flops = sum(times * weight(program).cost for program, times in self._bodies(params))
        return Work(flops, "straight-line code", "" if w.vectors else SCALAR)

    def _sums(self, params: dict[str, Any]) -> set[Var] | None:
        """The sums that a loop of independent trips makes; None of another loop."""
        if self.kind != "scan":
            return None
        carried = params["body"], params["consts"], params["carries"]
        return None if updates(*carried).states else sums(*carried)

    def _bodies(self, params: dict[str, Any]) -> list[Part]:
        return Part.of(self.kind, params)

    def _inlines(self, params: dict[str, Any], side_by_side: bool) -> bool:
        weights = [weight(program) for program, _ in self._bodies(params)]
        if side_by_side:
            return sum(x.calls for x in weights) <= ROWS
        return sum(x.single for x in weights) <= INLINED
