"""A staged Program made ready for lowering."""

from __future__ import annotations

from collections import Counter
from time import perf_counter

from wengert.graph.program import Program
from wengert.lowering.straight import STRAIGHT
from wengert.passes.control.overlap import overlap
from wengert.passes.control.speculation import speculation
from wengert.passes.pipeline import PassReport, optimise
from wengert.transforms.control.rows import together


def prepared(program: Program, ahead: bool = True) -> tuple[Program, list[PassReport]]:
    """`program` after everything that is done to it before it is lowered; and what was done.

    ahead : whether segments of a loop may be made one ahead of the way back, which takes the stacks of some more of them
    """
    optimised, reports = optimise(program)
    batched = together(optimised, STRAIGHT["scan"].supports)
    if batched is not optimised:
        optimised, reports = optimise(batched)
    for run in (overlap, speculation) if ahead else (speculation,):
        began, before, notes = perf_counter(), len(optimised.eqns), Counter[str]()
        optimised = run(optimised, notes)
        if notes:
            told = [f"{n} × {what}" for what, n in notes.items()]
            reports.append(PassReport(run.__name__, perf_counter() - began, before, len(optimised.eqns), told))
    return optimised, reports
