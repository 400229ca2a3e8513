"""What Programs cost, and which arrays they update in place."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from wengert.core.aval import Aval
from wengert.core.form import Control, Library, Map
from wengert.core.op import OPS
from wengert.graph.program import Eqn, Program, Var
from wengert.ops import basis, index  # noqa: F401 - registers `add` and indexing

FUNCTION = 15  # additions: what costs more is vector math
FEWEST = 3  # elements of a value for which vector math is called together
WHILE = 16  # trips that a loop of unknown length is taken to have

ADD, INDEX, PUT, SCATTER = OPS["add"], OPS["index"], OPS["index_put"], OPS["scatter_add"]


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
    cost, calls, single, involved = 1.0, 0, 0, False
    for eqn in program.equations():
        form = form_of(eqn)
        size = max((math.prod(v.shape) for v in eqn.results), default=1)
        if isinstance(form, Map):
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
            cost += size * max((max(a.shape, default=1) for a in avals(eqn)), default=1)
        else:
            cost += max((a.size for a in avals(eqn)), default=0)
    return Weight(cost, calls, single, involved)


# ── updates in place ──────────────────────────────────────────────────────────


def in_place(program: Program, var: Var, out: Any) -> tuple[list[Var] | None, bool]:
    """The states of a carry, from the input `var` to the output `out`, if it can be one array that is written over; and
    whether some of its elements are named by numbers that only the run knows."""
    eqns = list(program.equations())
    users: dict[Any, list[int]] = {}
    makers: dict[Any, Eqn] = {}
    for number, eqn in enumerate(eqns):
        for atom in set(eqn.ins):
            users.setdefault(atom, []).append(number)
        makers.update((v, eqn) for v in eqn.results)
    at, dynamic = var, False
    states: list[Var] = []
    while at is not out:
        if at in program.outs or not users.get(at):
            return None, False
        eqn = eqns[users[at][-1]]
        dynamic = dynamic or any(eqns[n].op is INDEX and len(eqns[n].ins) > 1 for n in users[at])
        after = _written(eqn, at, makers)
        if after is None:
            return None, False
        at, indexed = after
        states.append(at)
        dynamic = dynamic or indexed
    dynamic = dynamic or any(eqns[n].op is INDEX and len(eqns[n].ins) > 1 for n in users.get(at, ()))
    return (states if program.outs.count(at) == 1 else None), dynamic


def _written(eqn: Eqn, at: Var, makers: dict[Any, Eqn]) -> tuple[Var, bool] | None:
    """What an equation makes of an array in its place, if it only updates some elements."""
    if list(eqn.ins).count(at) != 1:
        return None
    if eqn.op is ADD and eqn.outs.aval == at.aval:
        (other,) = (a for a in eqn.ins if a is not at)
        maker: Any = makers.get(other)
        if maker is not None and maker.op is ADD:  # of two patches
            maker = makers.get(maker.ins[0])
        if maker is not None and maker.op is SCATTER and maker.outs.shape == at.shape:
            return eqn.outs, len(maker.ins) > 1
    if eqn.op is PUT and eqn.ins[0] is at:
        return eqn.outs, len(eqn.ins) > 2
    return _through(eqn, at)


def _through(eqn: Eqn, at: Var) -> tuple[Var, bool] | None:
    """The same of a loop within, which carries the array along."""
    form = eqn.op.lower
    if not isinstance(form, Control) or form.kind not in ("scan", "while_loop"):
        return None
    body, consts = eqn.params["body"], eqn.params["consts"]
    carries = eqn.params["carries"] if form.kind == "scan" else len(eqn.ins) - consts
    k = list(eqn.ins).index(at) - consts
    if not 0 <= k < carries or eqn.outs[k] is None:
        return None
    kept, dynamic = in_place(body, body.ins[consts + k], body.outs[k])
    return (eqn.outs[k], dynamic) if kept is not None else None
