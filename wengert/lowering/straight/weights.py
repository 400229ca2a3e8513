"""What Programs cost."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from wengert.core.aval import Aval
from wengert.core.form import Control, Library, Map
from wengert.graph.program import Eqn, Program
from wengert.lowering.straight.cells import LARGEST

FUNCTION = 15  # additions: what costs more is vector math
FEWEST = 3  # elements of a value for which vector math is called together
WHILE = 16  # trips that a loop of unknown length is taken to have


def form_of(eqn: Eqn) -> Any:
    """The form that serves an equation."""
    form = eqn.op.lower
    return form(tuple(avals(eqn)), eqn.params) if callable(form) else form


def avals(eqn: Eqn) -> list[Aval]:
    """Those of the operands, all of which are recorded."""
    return [a.aval for a in eqn.ins if a is not None]


class Part(NamedTuple):
    """A Program of a loop or branch, and how often it runs."""

    program: Program
    times: int

    @staticmethod
    def of(kind: str, p: dict[str, Any]) -> list[Part]:
        """The parts of an op of this kind with these parameters."""
        match kind:
            case "scan":
                return [Part(p["body"], p["length"])]
            case "while_loop":
                return [Part(p["cond"], WHILE), Part(p["body"], WHILE)]
            case "while_pullback":
                return [Part(p[k], WHILE) for k in ("cond", "forward", "backward")]
            case "switch":
                return [Part(branch, 1) for branch in p["branches"]]
        return [Part(p["program"], 1)]


class Weight(NamedTuple):
    """What a run of a Program costs."""

    cost: float  #: additions
    calls: int  #: calls of vector math that are written, one for each element
    single: int  #: those of them that stand alone or in twos
    involved: bool  #: whether there is a loop or a kernel


def weight(program: Program) -> Weight:
    """What a run of `program` costs."""
    if ("straight", "weight") not in program.derived:
        program.derived["straight", "weight"] = _weight(program)
    return program.derived["straight", "weight"]


def _weight(program: Program) -> Weight:
    cost, calls, single, involved = 1.0, 0, 0, False
    for eqn in program.equations():
        form = form_of(eqn)
        size = max((math.prod(v.shape) for v in eqn.results), default=1)
        if (
            isinstance(form, Map) and size > LARGEST
        ):  # of which some elements are changed, or none in straight-line code
            cost += form.cost
        elif isinstance(form, Map):
            cost += form.cost * size
            if form.cost >= FUNCTION:
                calls, single = calls + size, single + (size if size < FEWEST else 0)
        elif isinstance(form, Control):
            involved = involved or form.kind != "call"
            for inner, times in Part.of(form.kind, eqn.params):
                more = weight(inner)
                cost, calls, single = cost + times * more.cost, calls + more.calls, single + more.single
        elif isinstance(form, Library):
            involved = involved or form.name not in ("contract", "matmul")
            cost += _of_kernel(form.name, size, avals(eqn))
        else:
            cost += sum(a.size for a in avals(eqn) if a.size <= LARGEST)
    return Weight(cost, calls, single, involved)


def _of_kernel(name: str, size: int, ins: list[Aval]) -> float:
    if name in ("index", "index_put", "scatter_add"):  # what is large lies in memory
        return min([a.size for a in ins] + [size])
    return size * max((max(a.shape, default=1) for a in ins), default=1)
