"""Dead code: equations that no output depends on go."""

from __future__ import annotations

from wengert.graph.program import Literal, Program
from wengert.passes.rewriter import Notes


def dce(program: Program, notes: Notes | None = None) -> Program:
    """`program` without equations none of whose results is used. Ops have no effects, so nothing else is lost
    (but an error that an unused op would have raised is not raised)."""
    live = {o for o in program.outs if type(o) is not Literal}
    kept = []
    for row in reversed(program.eqns):
        outs = row[2]
        if (outs in live) if not row[0].multi else any(v in live for v in outs):
            kept.append(row)
            live.update([a for a in row[1] if type(a) is not Literal])
    dead = len(program.eqns) - len(kept)
    if not dead:
        return program
    if notes is not None:
        notes["unused equations dropped"] += dead
    kept.reverse()
    return Program(program.ins, kept, program.outs)
