"""The passes in their order, each until nothing changes, timed and counted for `explain()`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter

from wengert.core.config import config
from wengert.graph.program import Program
from wengert.graph.spec import check
from wengert.passes.contraction import contraction
from wengert.passes.cse import cse
from wengert.passes.dce import dce
from wengert.passes.fold import fold
from wengert.passes.inline import inline
from wengert.passes.placement import placement
from wengert.passes.reciprocals import reciprocals
from wengert.passes.rewriter import Notes
from wengert.passes.schedule import schedule
from wengert.passes.simplify import simplify
from wengert.trace.stage import infer

Pass = Callable[[Program, Notes], Program]
Phase = tuple[int, tuple[Pass, ...]]

#: passes that make work for each other, and how many times they are run at most, unless nothing changes before
PHASES: tuple[Phase, ...] = (
    (1, (dce, fold, simplify, cse)),
    (1, (placement, contraction, dce, inline)),
    (3, (fold, simplify, cse, reciprocals, dce)),
    (1, (schedule,)),
)


@dataclass
class PassReport:
    """What one pass did: all its runs together."""

    name: str
    seconds: float
    before: int  #: equations when it first ran
    after: int  #: equations when it last had run
    notes: list[str] = field(default_factory=list)  #: "12 × scale → mul"

    def __str__(self) -> str:
        did = "; ".join(self.notes) or "nothing to do"
        return f"{self.name:<10} {1e3 * self.seconds:7.2f} ms  {self.before:5d} → {self.after:5d} equations  {did}"


def optimise(program: Program, phases: Sequence[Phase] = PHASES) -> tuple[Program, list[PassReport]]:
    """`program` after all passes, and what each of them did. Cost: about 30 µs an equation."""
    seconds: dict[str, float] = {}
    sizes: dict[str, tuple[int, int]] = {}
    notes: dict[str, Notes] = {}
    for rounds, passes in phases:
        for _ in range(rounds):
            start = program
            for run in passes:
                name = run.__name__
                before, began = len(program.eqns), perf_counter()
                program = run(program, notes.setdefault(name, Counter()))
                seconds[name] = seconds.get(name, 0.0) + perf_counter() - began
                sizes[name] = (sizes.get(name, (before,))[0], len(program.eqns))
                if config.debug_passes:
                    check(program, name, infer)
            if program is start:
                break
    told = {name: [f"{n} × {what}" for what, n in did.items() if n] for name, did in notes.items()}
    return program, [PassReport(name, seconds[name], *sizes[name], told[name]) for name in sizes]
