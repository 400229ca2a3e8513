"""From a Program to LLVM text: `run`, which calls the kernels of `steps.py` in order, and the bodies of loops and branches."""

from __future__ import annotations

from collections.abc import Mapping

from wengert.graph.program import Program
from wengert.lowering.buffers import HEAD
from wengert.lowering.control.bodies import Body
from wengert.lowering.lowered import Calls, Lowered, Out
from wengert.lowering.pieces import in_pieces
from wengert.lowering.run import LONG, run
from wengert.lowering.steps import Declined, Steps
from wengert.lowering.text import I32, Builder
from wengert.lowering.unit import Arguments, Frame, Site, Unit


def lower(program: Program, *, donated: frozenset[int] = frozenset(), inline_math: bool = True) -> Lowered:
    """Compile `program` to text.

    Parameters
    ----------
    donated : inputs whose memory results may take over
    inline_math : put vector math into the loops that call it, so that they are vectorised
    """
    return _whole(program.pruned(), donated, inline_math)[1]  # what nobody reads has no memory to go to


def planned(lowered: Lowered) -> Steps:
    """The plan that `lowered` was made by, made once more."""
    return _whole(lowered.program, lowered.donated, lowered.inline_math)[0]


def _whole(program: Program, donated: frozenset[int], inline_math: bool) -> tuple[_Whole, Lowered]:
    refused: list[int] = []
    while True:
        unit = Unit(inline_math)
        try:
            whole = _Whole(unit, program, donated, True, refused, Bodies(unit))
            return whole, whole.run(donated)
        except Declined as declined:
            refused.append(declined.number)


class Bodies:
    """Makes the bodies of one object, equal ones once."""

    def __init__(self, unit: Unit) -> None:
        self.unit = unit

    def __call__(self, program: Program, pairs: Mapping[int, int], elementwise: bool = True) -> Body:
        program = in_pieces(program.pruned())
        lines = tuple(eqn[6:8] for eqn in program.eqns)
        key = program, lines, tuple(pairs.items()), elementwise
        found = self.unit.bodies.get(key)
        if found is None:
            found = self._lowered(program, pairs, elementwise)
            self.unit.bodies[key] = found
        return found

    def _lowered(self, program: Program, pairs: Mapping[int, int], elementwise: bool) -> Body:
        refused: list[int] = []
        while True:
            undo = self.unit.mark()
            try:
                return _Nested(self.unit, program, pairs, elementwise, refused, self).run()
            except Declined as declined:
                undo()
                refused.append(declined.number)


class _Whole(Steps):
    """What `run` does."""

    head, prefix, chunk = HEAD, "", "i64 %chunk"

    def run(self, donated: frozenset[int]) -> Lowered:
        steps = [list(zip(line[::2], map(int, line[1::2]), strict=True)) for line in self.plan()]
        long = [k.flops + k.bytes > LONG for k in self.kernels]
        calls = Calls(steps, self.buffers.last, self.unit.stops, frozenset(self.stoppable), long)
        self.module.functions.append(run(calls))
        return Lowered(
            self.module.text(),
            frozenset(self.module.symbols),
            [v.aval for v in self.program.ins],
            [Out("new", v.aval) for v in self.outs],
            self.values.constants,
            self.unit.hosts,
            self.unit.failures,
            self.buffers.workspace,
            self.kernels,
            self.program,
            self.inplace,
            calls,
            donated,
            self.unit.inline_math,
        )

    def site(self) -> Site:
        return Frame(Builder(self.module), self.buffers)

    def seal(self, site: Site, name: str) -> None:
        head = f"define internal void @{name}(ptr %frame, i64 %chunk) #0"
        self.module.functions.append(site.b.function(head))


class _Nested(Steps):
    """A body: one function that calls the kernels of its steps, which LLVM takes into it where they are small."""

    chunked, chunk = False, "i64 0"

    def run(self) -> Body:
        name = self.unit.name()
        self.prefix = f"{name}."
        self.b = Builder(self.module)
        self.plan()
        params = ["ptr %context", "ptr %code", "ptr %work"]
        params += [f"ptr %i{i}" for i in range(len(self.program.ins))]
        params += [f"ptr %o{i}" for i in range(len(self.outs))]
        head = f"define internal void @{name}({', '.join(params)}) #0"
        self.module.functions.append(self.b.function(head))
        return Body(name, self.program, self.buffers.workspace, self.inplace, self.kernels, self.stops)

    def start(self) -> None:
        self._site = Arguments(self.b, self.buffers, self.unit)

    def site(self) -> Site:
        return self._site

    def seal(self, site: Site, name: str) -> None:
        if name in self.stoppable:
            code = self.b.load(site.code, I32)
            stop, go = self.b.label("stop"), self.b.label("go")
            self.b.branch_if(self.b.compare("ne", code, self.b.like(0, code)), stop, go)
            self.b.start(stop)
            self.b.effect("ret void")
            self.b.start(go)
