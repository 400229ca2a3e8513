"""The passes in their order, each until nothing changes, timed and counted for `explain()`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter

from wengert.core.config import config
from wengert.graph.program import Program
from wengert.passes.cse import cse
from wengert.passes.dce import dce
from wengert.passes.fold import fold
from wengert.passes.inline import inline
from wengert.passes.placement import placement
from wengert.passes.rewriter import Notes
from wengert.passes.simplify import simplify

Pass = Callable[[Program, Notes], Program]
ROUNDS = 4  # of a group of passes that make work for each other

GROUPS: tuple[tuple[Pass, ...], ...] = (
    (dce, fold, simplify, cse),
    (placement,),
    (dce,),
    (inline,),
    (dce, fold, simplify, cse),
    (dce,),
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


def optimise(program: Program, groups: Sequence[Sequence[Pass]] = GROUPS) -> tuple[Program, list[PassReport]]:
    """`program` after all passes, and what each of them did. Cost: about 30 µs an equation."""
    seconds: dict[str, float] = {}
    sizes: dict[str, tuple[int, int]] = {}
    notes: dict[str, Notes] = {}
    for group in groups:
        for _ in range(ROUNDS):
            start = program
            for run in group:
                name = run.__name__
                before, began = len(program.eqns), perf_counter()
                program = run(program, notes.setdefault(name, Counter()))
                seconds[name] = seconds.get(name, 0.0) + perf_counter() - began
                sizes[name] = (sizes.get(name, (before,))[0], len(program.eqns))
                if config.debug_passes:
                    _check(program, name)
            if program is start or len(group) == 1:
                break
    told = {name: [f"{n} × {what}" for what, n in did.items() if n] for name, did in notes.items()}
    return program, [PassReport(name, seconds[name], *sizes[name], told[name]) for name in sizes]


def _check(program: Program, name: str) -> None:
    """Every variable is made once, before it is read."""
    made = set(program.ins)
    for eqn in program.equations():
        for atom in eqn.ins:
            if hasattr(atom, "shape") and atom not in made:
                raise AssertionError(f"after {name}: {eqn.op.name} reads a variable that nothing has made\n{program}")
        for var in eqn.outs if eqn.op.multi else (eqn.outs,):
            if var in made:
                raise AssertionError(f"after {name}: {eqn.op.name} makes a variable a second time\n{program}")
            made.add(var)
