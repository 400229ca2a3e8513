"""`scan` and `while_loop`: the trips of a body, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from wengert.core.aval import Aval
from wengert.graph.program import Program
from wengert.lowering.control.bodies import EVERY, Account, Body, Flow, Lower, Plan, agree
from wengert.lowering.control.carries import Carried, Trips
from wengert.lowering.text import BOOL, I64, Value

ASSUMED = 1000  # trips, where nobody knows


@contextmanager
def looped(flow: Flow, trips: Sequence[Trips], test: Callable[[Value], Value]) -> Iterator[Value]:
    """A loop whose block is the trip, as long as `test`, written into its first block, holds; gives the number of the trip."""
    b = flow.b
    for one in trips:
        one.begin()
    head, trip, done = b.label("head"), b.label("trip"), b.label("done")
    before = b.block
    b.branch(head)
    b.start(head)
    i, close = b.phi(I64, b.const(0, I64), before)
    for one in trips:
        one.enter(before)
    going = test(i)
    b.branch_if(going, trip, done)
    b.start(trip)
    yield i
    following = b.emit(f"add nuw nsw i64 {i.ref}, 1", I64)
    for one in trips:
        one.turn()
    close(following, b.block)
    b.branch(head)
    b.start(done)
    for one in trips:
        one.end()


def slices(flow: Flow, arrays: Sequence[Value], avals: Sequence[Aval], i: Value) -> list[Value]:
    """Element `i` along the first axis of each array; `avals` are those of the elements."""
    b, found = flow.b, []
    for pointer, aval in zip(arrays, avals, strict=True):
        at = b.mul(i, b.const(aval.size * aval.dtype.itemsize, I64))
        found.append(b.emit(f"getelementptr inbounds i8, ptr {pointer.ref}, i64 {at.ref}", None))
    return found


class ScanPlan(Plan):
    def __init__(self, lower: Lower, operands: Sequence[Aval], params: dict[str, Any]) -> None:
        body: Program = params["body"]
        self.consts, self.length, self.reverse = params["consts"], params["length"], params["reverse"]
        first = self.consts + params["carries"]
        agree([*operands[:first], *(Aval(a.shape[1:], a.dtype) for a in operands[first:])], body.ins)
        self.carried = Carried(lower, body, self.consts, params["carries"])
        self.xs = [v.aval for v in body.ins[first:]]
        self.ys = [atom.aval for atom in body.outs[params["carries"] :]]
        self.over = {k: self.consts + k for k in self.carried.lasting}

    def emit(self, flow: Flow) -> Account:
        b, of, body = flow.b, self.carried, self.carried.body
        first = self.consts + of.count
        trips = Trips(flow, of, flow.ins[self.consts : first], flow.outs[: of.count], self.length)
        work = flow.work(body)
        cost = body.cost
        with looped(flow, [trips], lambda i: b.compare("lt", i, b.const(self.length, I64))) as i:
            if cost * self.length > EVERY:
                flow.ask(i, cost)
            at = b.sub(b.const(self.length - 1, I64), i) if self.reverse else i
            xs = slices(flow, flow.ins[first:], self.xs, at)
            ys = slices(flow, flow.outs[of.count :], self.ys, at)
            flow.call(body, work, [*flow.ins[: self.consts], *trips.ins(), *xs], [*trips.outs(), *ys])
        return account((self.length,), self.length, [body], "")


class WhilePlan(Plan):
    def __init__(self, lower: Lower, operands: Sequence[Aval], params: dict[str, Any]) -> None:
        body: Program = params["body"]
        agree(operands, body.ins)
        self.consts = params["consts"]
        self.carried = Carried(lower, body, self.consts, len(body.outs))
        self.cond = lower(params["cond"], {})
        self.over = {k: self.consts + k for k in self.carried.lasting}

    def emit(self, flow: Flow) -> Account:
        of, body = self.carried, self.carried.body
        trips = Trips(flow, of, flow.ins[self.consts :], flow.outs, None)
        work = flow.work(body, self.cond)
        fixed = flow.ins[: self.consts]
        test = tested(flow, self.cond, work, lambda: [*fixed, *trips.ins()])
        with looped(flow, [trips], test) as i:
            flow.ask(i, body.cost + self.cond.cost)
            flow.call(body, work, [*fixed, *trips.ins()], trips.outs())
        return account((), ASSUMED, [body, self.cond], f"; as many trips as it takes, {ASSUMED} assumed")


def tested(flow: Flow, cond: Body, work: Value, operands: Callable[[], list[Value]]) -> Callable[[Value], Value]:
    """What asks the predicate of a loop."""
    answer = flow.b.allocate(BOOL)

    def test(_: Value) -> Value:
        flow.call(cond, work, operands(), [answer])
        return flow.b.load(answer, BOOL)

    return test


def account(domain: tuple[int, ...], trips: int, bodies: Sequence[Body], note: str) -> Account:
    """The account of `trips` runs of each body."""
    kernels = sum(len(body.kernels) for body in bodies)
    places = sum(len(body.inplace) for body in bodies)
    text = f"{kernels} kernel{'' if kernels == 1 else 's'} a trip{f', {places} in place' if places else ''}{note}"
    flops, nbytes = (trips * sum(getattr(body, what) for body in bodies) for what in ("flops", "bytes"))
    return Account(domain, flops, int(nbytes), text, bodies)
