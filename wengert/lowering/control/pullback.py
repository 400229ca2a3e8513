"""`while_pullback`: the loop once more, with residuals on a stack that grows, and the way back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wengert.core.aval import Aval
from wengert.graph.program import Program
from wengert.lowering.control.bodies import Account, Flow, Lower, Plan, agree
from wengert.lowering.control.carries import Carried, Trips
from wengert.lowering.control.loops import ASSUMED, account, looped, tested
from wengert.lowering.text import BOOL, I64, Value

BEGIN = 1 << 14  # bytes of the stack at first
DROP = """define internal void @wg.drop(ptr %slot) alwaysinline nounwind {
  %p = load ptr, ptr %slot
  call void @stack_free(ptr %p)
  ret void
}"""


class PullbackPlan(Plan):
    def __init__(self, lower: Lower, operands: Sequence[Aval], params: dict[str, Any]) -> None:
        forward: Program = params["forward"]
        backward: Program = params["backward"]
        self.consts, carries = params["consts"], params["carries"]
        split = self.consts + carries
        self.given = len(operands) - split
        agree(operands[:split], forward.ins)
        agree([*operands[: self.consts], *operands[split:]], backward.ins[: self.consts + self.given])
        self.there = Carried(lower, forward, self.consts, carries)
        self.cond = lower(params["cond"], {})
        self.back = Carried(lower, backward, self.consts, len(backward.outs))
        self.residuals = [atom.aval for atom in forward.outs[carries:]]
        agree(self.residuals, backward.ins[self.consts + len(backward.outs) :])
        self.over = {k: split + k for k in self.back.lasting if k < self.given}
        self.offsets, self.record = [], 0
        for aval in self.residuals:
            size = aval.size * aval.dtype.itemsize
            step = min(aval.dtype.itemsize, 16) if size < 64 else 16
            self.record = -(-self.record // step) * step
            self.offsets.append(self.record)
            self.record += size
        self.record = -(-self.record // 16) * 16 if self.record > 8 else self.record

    def emit(self, flow: Flow) -> Account:
        b, there, back = flow.b, self.there, self.back
        split = self.consts + there.count
        fixed = flow.ins[: self.consts]
        work = flow.work(there.body, back.body, self.cond)
        ends = [flow.scratch(there.nbytes(k)) for k in range(there.count)]
        trips = Trips(flow, there, flow.ins[self.consts : split], ends, None)
        stack = Stack(flow, self.record)
        test = tested(flow, self.cond, work, lambda: [*fixed, *trips.ins()])
        with looped(flow, [trips], test) as total:
            i = total
            flow.ask(i, there.body.cost + self.cond.cost)
            kept = self._pieces(flow, stack.push(i))
            flow.call(there.body, work, [*fixed, *trips.ins()], [*trips.outs(), *kept])
        starts: list[Value | None] = [*flow.ins[split:]]
        starts += [None] * (back.count - self.given)
        found = Trips(flow, back, starts, flow.outs, None)
        with looped(flow, [found], lambda i: b.compare("lt", i, total)) as i:
            flow.ask(i, back.body.cost)
            kept = self._pieces(flow, stack.at(b.sub(b.sub(total, b.const(1, I64)), i)))
            flow.call(back.body, work, [*fixed, *found.ins(), *kept], found.outs())
        stack.free()
        note = f"; {self.record} bytes of residuals a trip; as many trips as it takes, {ASSUMED} assumed"
        return account((), ASSUMED, [there.body, self.cond, back.body], note)

    def _pieces(self, flow: Flow, record: Value) -> list[Value]:
        return [
            flow.b.emit(f"getelementptr inbounds i8, ptr {record.ref}, i64 {offset}", None) for offset in self.offsets
        ]


class Stack:
    """Records of one size, in memory that doubles when it is full, and that is freed however the kernel is left."""

    def __init__(self, flow: Flow, record: int) -> None:
        self.flow, self.record = flow, record
        if not record:
            return
        b = flow.b
        for name, types in (("stack_malloc", "i64"), ("stack_realloc", "ptr, i64"), ("stack_free", "ptr")):
            result = "void" if name == "stack_free" else "ptr"
            b.module.declare(name, f"declare {result} @{name}({types})", external=True)
        self.memory, self.room = b.allocate(None), b.allocate(I64)
        room = max(4, BEGIN // record)
        b.store(b.const(room, I64), self.room)
        first = b.emit(f"call ptr @stack_malloc(i64 {room * record})", None)
        b.store(first, self.memory)
        self._refuse(first)

    def _refuse(self, memory: Value) -> None:
        flow = self.flow
        code = flow.unit.failure(MemoryError, "no memory for the residuals of a while_loop", flow.source)
        flow.leave_if(flow.b.emit(f"icmp eq ptr {memory.ref}, null", BOOL), code)
        if not flow.cleanup:
            # the slot keeps what is to be freed, since a block that leaves may lie anywhere
            flow.cleanup = [f"call void @wg.drop(ptr {self.memory.ref})"]
            flow.b.module.define("wg.drop", DROP)

    def push(self, i: Value) -> Value:
        """The record of trip `i`, to be written."""
        if not self.record:
            return Value("null", None)
        b = self.flow.b
        full = b.emit(f"icmp eq i64 {i.ref}, {b.load(self.room, I64).ref}", BOOL)
        with b.when(full):
            room = b.mul(b.load(self.room, I64), b.const(2, I64))
            size = b.mul(room, b.const(self.record, I64))
            more = b.emit(f"call ptr @stack_realloc(ptr {b.load(self.memory, None).ref}, i64 {size.ref})", None)
            self._refuse(more)
            b.store(more, self.memory)
            b.store(room, self.room)
        return self.at(i)

    def at(self, i: Value) -> Value:
        """The record of trip `i`."""
        b = self.flow.b
        if not self.record:
            return Value("null", None)
        offset = b.mul(i, b.const(self.record, I64))
        return b.emit(f"getelementptr inbounds i8, ptr {b.load(self.memory, None).ref}, i64 {offset.ref}", None)

    def free(self) -> None:
        if self.record:
            self.flow.b.effect(self.flow.cleanup[0])
            self.flow.cleanup = []
