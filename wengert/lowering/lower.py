"""From a Program to LLVM text: `run`, which calls the kernels of `steps.py` in order, and the bodies of loops and branches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from wengert.graph.program import Program
from wengert.lowering.buffers import HEAD
from wengert.lowering.control.bodies import Body
from wengert.lowering.lowered import Lowered, Out
from wengert.lowering.pieces import in_pieces
from wengert.lowering.steps import Declined, Steps
from wengert.lowering.text import I32, Builder, Value
from wengert.lowering.unit import Arguments, Frame, Site, Unit

LONG = 5e6  # flops and bytes of a kernel, some milliseconds, after which a call asks whether it is interrupted


def lower(program: Program, *, donated: frozenset[int] = frozenset(), inline_math: bool = True) -> Lowered:
    """Compile `program` to text.

    Parameters
    ----------
    donated : inputs whose memory results may take over
    inline_math : put vector math into the loops that call it, so that they are vectorised
    """
    program = program.pruned()  # what nobody reads has no memory to go to
    refused: list[int] = []
    while True:
        unit = Unit(inline_math)
        try:
            return _Whole(unit, program, donated, True, refused, _Bodies(unit)).run()
        except Declined as declined:
            refused.append(declined.number)


class _Bodies:
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

    def run(self) -> Lowered:
        calls = self.plan()
        return Lowered(
            self._run_text(calls),
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
        )

    def site(self) -> Site:
        return Frame(Builder(self.module), self.buffers)

    def seal(self, site: Site, name: str) -> None:
        head = f"define internal void @{name}(ptr %frame, i64 %chunk) #0"
        self.module.functions.append(site.b.function(head))

    def _run_text(self, calls: Sequence[Sequence[str]]) -> str:
        b = Builder(self.module)
        frame = Value("%frame", None)
        ws = b.load(b.at(frame, self.buffers.last, None), None)
        if self.unit.stops:
            b.effect(f"store i32 0, ptr {ws.ref}")
        parallel = any(n != "1" for line in calls for n in line[1::2])
        context = b.load(b.at(frame, 0, None), None)
        long = [k.flops + k.bytes > LONG for k in self.kernels]
        if parallel or any(long):
            own = b.load(b.emit(f"getelementptr i8, ptr {context.ref}, i64 16", None), None)
        if any(long):
            interrupted = b.load(b.emit(f"getelementptr i8, ptr {context.ref}, i64 24", None), None)
        if parallel:
            pool = b.load(b.emit(f"getelementptr i8, ptr {context.ref}, i64 8", None), None)
            serial = b.emit(f"icmp eq ptr {pool.ref}, null", np.dtype(bool))
        for number, line in enumerate(calls):
            if number and long[number - 1]:
                _stop_if(b, b.emit(f"call i32 {interrupted.ref}(ptr {own.ref})", I32))
            for name, how in zip(line[::2], line[1::2], strict=True):
                if how == "1":
                    b.effect(f"call void @{name}(ptr %frame, i64 0)")
                    if name in self.stoppable:
                        _stop_if(b, b.load(ws, I32), kept=False)
                else:
                    one, many, done = b.label("one"), b.label("many"), b.label("done")
                    b.branch_if(serial, one, many)
                    b.start(one)
                    with b.loop(0, int(how)) as chunk:
                        b.effect(f"call void @{name}(ptr %frame, i64 {chunk.ref})")
                    b.branch(done)
                    b.start(many)
                    b.effect(f"call void {pool.ref}(ptr {own.ref}, ptr @{name}, ptr %frame, i64 {how})")
                    b.branch(done)
                    b.start(done)
        code = b.load(ws, I32) if self.unit.stops else b.const(0, I32)
        self.module.functions.append(b.function("define i32 @run(ptr %frame) #0", f"ret {code}"))
        return self.module.text()


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


def _stop_if(b: Builder, code: Value, kept: bool = True) -> None:
    """Leave `run` if `code` is not 0: Python has an exception (`kept`), or the code says what is the matter."""
    stop, go = b.label("stop"), b.label("go")
    b.branch_if(b.compare("ne", code, b.like(0, code)), stop, go)
    b.start(stop)
    b.effect("ret i32 -1" if kept else f"ret {code}")
    b.start(go)
