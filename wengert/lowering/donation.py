"""Which arrays may be written over: donated operands, and values that are read for the last time.

It is safe where every element is read before it is written, which within a loop nest means: at the same address.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from wengert.graph.program import Var
from wengert.lowering.clusters import Cluster
from wengert.lowering.values import Place, Values

Allowed = frozenset[int] | Mapping[int, int]


def takeovers(
    values: Values, steps: Sequence[Any], outs: Sequence[Var], allowed: Allowed, made_in: Mapping[Var, Var], fresh: bool
) -> dict[int, int]:
    """Result → operand of its shape and dtype, whose memory it takes over.

    allowed : operands that are donated; or result → the operand that may be
    made_in : values that are made where another one lies, be it an operand
    fresh : whether also results that are written in full take over operands
    """
    found: dict[int, int] = {}
    for number, out in enumerate(outs):
        at = values.base(out)
        while at in made_in:
            at = values.base(made_in[at])
        place = values.definitions[at]
        if isinstance(place, Place) and place.kind == "input":
            found[number] = place.index
    if not allowed or not fresh:
        return found
    last: dict[Var, int] = {}
    writers: dict[Var, list[int]] = {}
    for i, step in enumerate(steps):
        if isinstance(step, Cluster):
            reads = {base for base, _ in step.loads} | step.whole
            made: Sequence[Var] = list(step.made)
        else:
            places = [step.strided[j][0] if j in step.strided else a for j, a in enumerate(step.operands)]
            reads = {values.base(a) for a in places if isinstance(a, Var)}
            made = step.outs
        last.update((base, i) for base in reads)
        for var in made:
            writers.setdefault(values.base(var), []).append(i)
    taken = set(found.values())
    for number, out in enumerate(outs):
        base = values.base(out)
        if len(writers.get(base, ())) != 1 or base in made_in or base in made_in.values():
            continue
        step = writers[base][0]
        for i in sorted(of(allowed, number) - taken):
            operand = values.program.ins[i]
            if operand.aval != base.aval or last.get(operand, -1) > step:
                continue
            if last.get(operand, -1) < step or overwrites(steps[step], base, operand):
                found[number] = i
                taken.add(i)
                break
    return found


def of(allowed: Allowed, number: int) -> set[int]:
    """The operands that result `number` may take over."""
    if isinstance(allowed, Mapping):
        return {allowed[number]} if number in allowed else set()
    return set(allowed)


def overwrites(step: Any, result: Var, operand: Var) -> bool:
    """Whether a cluster that reads `operand` reads each element before `result` is written in its place."""
    if not isinstance(step, Cluster) or operand in step.whole or operand in step.made:
        return False
    writer = step.made.get(result)
    if writer is None or writer.reduced or writer.row or writer.statement.kind != "point" or writer.statement.part:
        return False
    written = False
    for m in step.members:
        reads = [item.key[1] for item in m.body if item.point is None and item.key[0] is operand]
        late = m.phase > writer.phase or (m.phase == writer.phase and written)
        if any(address != writer.address for address in reads) or (reads and (late or m.row)):
            return False
        written = written or m is writer
    return True
