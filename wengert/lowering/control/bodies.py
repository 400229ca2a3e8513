"""Programs that loops, branches and calls run: functions of pointers, which nobody else sees.

    void @body(ptr context, ptr code, ptr work, ptr operands…, ptr results…)

`code` is where `run` keeps what it returns: a body that has set it has given up, and so does who called it. `work` is
a piece of the caller's workspace.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from wengert.core.form import Unsupported
from wengert.core.source import Source
from wengert.graph.program import Program, Var
from wengert.lowering.lowered import Kernel
from wengert.lowering.text import BOOL, I32, Builder, Value
from wengert.lowering.unit import Unit


@dataclass(frozen=True)
class Body:
    """A Program as a function.

    inplace : result → operand in whose memory it is made: both pointers must be the same, and what the operand was is lost
    stops : whether it may set the code
    """

    name: str
    program: Program
    workspace: int
    inplace: Mapping[int, int]
    kernels: Sequence[Kernel]
    stops: bool

    @property
    def cost(self) -> float:
        """Flops and bytes of a run."""
        return 20 + sum(k.flops + k.bytes for k in self.kernels)

    @property
    def flops(self) -> float:
        return sum(k.flops for k in self.kernels)

    @property
    def bytes(self) -> int:
        return sum(k.bytes for k in self.kernels)


class Lower(Protocol):
    """Lowers a Program to a body of the same object; equal ones once.

    pairs : result → operand whose memory it may take over
    elementwise : also where that saves only memory, and not the time to copy what is not changed
    """

    def __call__(self, program: Program, pairs: Mapping[int, int], elementwise: bool = ...) -> Body: ...


@dataclass
class Flow:
    """The kernel function of a loop, branch or call, while it is written. Its own memory for the length of a run comes
    from `scratch`."""

    unit: Unit
    b: Builder
    context: Value
    code: Value
    ins: Sequence[Value]
    outs: Sequence[Value]
    scratch: Any
    source: Source | None
    cleanup: list[str] = field(default_factory=list)  # what is done before the kernel is left early
    stops: bool = False  # whether it may be

    def work(self, *bodies: Body) -> Value:
        """Workspace for bodies that do not run at the same time."""
        size = max(body.workspace for body in bodies)
        return self.scratch(size) if size else Value("null", None)

    def call(self, body: Body, work: Value, ins: Sequence[Value], outs: Sequence[Value]) -> None:
        """Run a body, and leave if it has given up."""
        args = (self.context, self.code, work, *ins, *outs)
        self.b.effect(f"call void @{body.name}({', '.join(map(str, args))})")
        if body.stops:
            code = self.b.load(self.code, I32)
            self.leave_if(self.b.compare("ne", code, self.b.like(0, code)))

    def leave_if(self, condition: Value, code: int | None = None) -> None:
        """Leave the kernel, with a code for `run` to return if it has none yet."""
        b, self.stops, self.unit.stops = self.b, True, True
        stop, go = b.label("stop"), b.label("go")
        b.branch_if(condition, stop, go)
        b.start(stop)
        if code is not None:
            b.effect(f"store i32 {code}, ptr {self.code.ref}")
        for line in self.cleanup:
            b.effect(line)
        b.effect("ret void")
        b.start(go)

    def ask(self, trip: Value, cost: float) -> None:
        """Ask now and then whether a signal's handler has raised, in a loop of which a trip costs so much."""
        b, mask = self.b, 1
        while 2 * mask * cost <= EVERY:
            mask *= 2
        now, asked, go = b.label("ask"), b.label("asked"), b.label("on")
        due = b.compare("eq", b.and_(trip, b.like(mask - 1, trip)), b.like(mask - 1, trip))
        own, function = (b.load(b.at(self.context, slot, None), None) for slot in (2, 3))
        there = b.emit(f"icmp ne ptr {function.ref}, null", BOOL)
        b.branch_if(b.and_(due, there), now, go)
        b.start(now)
        answer = b.emit(f"call i32 {function.ref}(ptr {own.ref})", I32)
        b.branch(asked)
        b.start(asked)
        self.leave_if(b.compare("ne", answer, b.like(0, answer)), -1)
        b.branch(go)
        b.start(go)


EVERY = 4e6  # flops and bytes, about a millisecond, between two questions whether there is an interruption


@dataclass(frozen=True)
class Account:
    """What a kernel of control flow does, for `explain()`."""

    domain: tuple[int, ...]
    flops: float
    bytes: int
    note: str
    bodies: Sequence[Body]


class Plan:
    """A loop, branch or call with its bodies lowered.

    over : result → operand whose memory it may take over, so that what is not changed is not copied
    """

    over: Mapping[int, int] = {}

    def emit(self, flow: Flow) -> Account:
        raise NotImplementedError


def agree(operands: Sequence[Any], ins: Sequence[Var]) -> None:
    """Raise Unsupported unless operands have the shapes and dtypes that a Program takes."""
    for aval, var in zip(operands, ins, strict=True):
        if (aval.shape, aval.dtype) != (var.shape, var.dtype):
            raise Unsupported(f"a Program that takes {var.aval} was given {aval}")
