"""The passes in their order, each until nothing changes, timed and counted for `explain()`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from wengert.core.config import config
from wengert.graph.program import Program
from wengert.graph.spec import check
from wengert.passes.contraction import contraction
from wengert.passes.control.loops import control, has_control
from wengert.passes.cse import cse
from wengert.passes.dce import dce
from wengert.passes.fold import fold
from wengert.passes.inline import inline, unshared
from wengert.passes.placement import placement
from wengert.passes.reciprocals import reciprocals
from wengert.passes.rewriter import Notes
from wengert.passes.schedule import schedule
from wengert.passes.simplify import simplify
from wengert.trace.stage import infer

Pass = Callable[..., Program]
Phase = tuple[int, tuple[Pass, ...]]

#: passes that make work for each other, and how many times they are run at most, unless nothing changes before
PHASES: tuple[Phase, ...] = (
    (1, (dce, fold, simplify, cse)),
    (1, (placement, contraction, dce, inline)),
    (3, (fold, simplify, cse, reciprocals, dce)),
    (2, (control, inline, dce, fold, simplify, placement, contraction, cse, dce)),
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
    """`program` after all passes, and what each of them did. Cost: about 30 µs an equation, those of bodies among them."""
    run = _Run(program, phases)
    return run.through(program), run.reports()


class _Run:
    """One run of the passes over a program and the Programs in it, of which each is optimised once."""

    def __init__(self, program: Program, phases: Sequence[Phase]) -> None:
        self.phases = phases
        self.seconds: dict[str, float] = {}
        self.sizes: dict[str, tuple[int, int]] = {}
        self.notes: dict[str, Notes] = {}
        self.inner: Notes = Counter()  # what was done to bodies
        self.bodies: dict[Any, Program] = {}
        self.held: dict[int, tuple[Program, Program]] = {}  # a body by its identity, and what became of it
        self.depth = 0
        self.free = unshared(program)

    def through(self, program: Program) -> Program:
        for rounds, passes in self.phases:
            for _ in range(rounds):
                start = program
                if passes[0] is control and not has_control(program):
                    break
                for run in passes:
                    program = self._after(run, program)
                if program is start:
                    break
        return program

    def _after(self, run: Pass, program: Program) -> Program:
        name, before, began = run.__name__, len(program.eqns), perf_counter()
        notes = self.inner if self.depth else self.notes.setdefault(name, Counter())
        if run is control:
            program = run(program, notes, self.body)
        elif run is inline:
            program = run(program, notes, self.free)
        else:
            program = run(program, notes)
        if not self.depth:
            self.seconds[name] = self.seconds.get(name, 0.0) + perf_counter() - began
            self.sizes[name] = (self.sizes.get(name, (before,))[0], len(program.eqns))
        if config.debug_passes:
            check(program, name, infer)
        return program

    def body(self, program: Program) -> Program:
        """A body after all passes. Equal ones from the same lines of the user's are one from then on."""
        known = self.held.get(id(program))
        if known is not None:
            return known[1]
        key = program, tuple(row[6:8] for row in program.eqns)
        better = self.bodies.get(key)
        if better is None:
            self.depth += 1
            better = self.bodies[key] = self.through(program)
            self.depth -= 1
        self.held[id(program)] = program, better
        self.held[id(better)] = better, better
        return better

    def reports(self) -> list[PassReport]:
        if self.inner:
            self.notes["control"].update({f"in bodies: {what}": n for what, n in self.inner.items()})
        told = {name: [f"{n} × {what}" for what, n in did.items() if n] for name, did in self.notes.items()}
        return [PassReport(name, self.seconds[name], *self.sizes[name], told[name]) for name in self.sizes]
