"""Loops and branches, within each other."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from wengert.graph.program import Program
from wengert.lowering.straight.body import Body
from wengert.lowering.straight.carried import Carried, stores
from wengert.lowering.straight.cells import (
    LARGEST,
    Cells,
    Constant,
    Held,
    Memory,
    cells,
    checked,
    loaded,
    object_array,
)
from wengert.lowering.straight.indexing import settled, spilled
from wengert.lowering.straight.stack import Stack
from wengert.lowering.straight.weights import weight
from wengert.lowering.straight.writer import Writer
from wengert.lowering.text import BOOL, I64, Value

ASKED = 1 << 22  # additions between two looks for signals
LONG = 1e7  # additions in a loop of known length, from which on it looks for them
UNROLLED = 4  # trips that are written one after the other
BRIEF = 128  # elements of all equations in such loops
CHEAP = 24  # additions of branches that are both computed

Into = Sequence[Memory] | None


class Loops:
    """Writes equations whose form is `Control`."""

    def __init__(self, w: Writer) -> None:
        self.w, self.b = w, w.b
        self.body = Body(w, self)
        self.depth = 0

    def control(self, kind: str, ins: Sequence[Held], params: dict[str, Any], into: Into = None) -> list[Held]:
        """The results of a loop or branch. Large ones are in `into`, where there is such memory."""
        self.depth += 1
        try:
            return getattr(self, kind)([self._near(x) for x in ins], params, into)
        finally:
            self.depth -= 1

    def _near(self, x: Held) -> Held:
        """Small arrays in memory are loaded once, before the loop."""
        x = settled(self.w, x)
        if isinstance(x, Memory) and x.room is None and x.known is None and x.size <= LARGEST:
            return replace(x, known=loaded(self.b, x))
        return x

    # ── branches ──────────────────────────────────────────────────────────────

    def call(self, ins: Sequence[Held], params: dict[str, Any], into: Into) -> list[Held]:
        return self.body.run(params["program"], ins)

    def switch(self, ins: Sequence[Held], params: dict[str, Any], into: Into) -> list[Held]:
        b, branches = self.b, params["branches"]
        (which,) = cells(b, ins[0]).ravel()
        if len(branches) == 1:
            return self.body.run(branches[0], ins[1:])
        costs = [weight(branch) for branch in branches]
        if len(branches) == 2 and sum(c.cost for c in costs) <= CHEAP and not any(c.involved for c in costs):
            first, second = (self._results(branch, ins[1:]) for branch in branches)
            chosen = self._positive(which)
            merged = [b.select(chosen, y, x) for x, y in zip(first, second, strict=True)]
            return self._shaped(branches[0], merged)
        return self._branches(which, branches, ins[1:])

    def _positive(self, which: Value) -> Value:
        b = self.b
        return which if which.dtype.kind == "b" else b.compare("gt", which, b.like(0, which))

    def _results(self, branch: Program, ins: Sequence[Held]) -> list[Value]:
        """Registers of a branch's results."""
        return [
            v
            for x, atom in zip(self.body.run(branch, ins), branch.outs, strict=True)
            for v in cells(self.b, settled(self.w, x), atom.aval.dtype).ravel()
        ]

    def _shaped(self, program: Program, flat: Sequence[Value]) -> list[Held]:
        found: list[Held] = []
        at = 0
        for atom in program.outs:
            n = math.prod(atom.aval.shape)
            found.append(Cells(object_array(atom.aval.shape, flat[at : at + n]), atom.aval.dtype))
            at += n
        return found

    def _branches(self, which: Value, branches: Sequence[Program], ins: Sequence[Held]) -> list[Held]:
        b = self.b
        labels, done = [b.label("branch") for _ in branches], b.label("done")
        if len(branches) == 2:
            b.branch_if(self._positive(which), labels[1], labels[0])
        else:
            which = self._clamped(which, len(branches))
            cases = " ".join(f"i64 {i}, label %{label}" for i, label in enumerate(labels[:-1]))
            b.effect(f"switch {which}, label %{labels[-1]} [ {cases} ]")
        found: list[list[Value]] = []
        ends = []
        for label, branch in zip(labels, branches, strict=True):
            b.start(label)
            found.append(self._results(branch, ins))
            ends.append(b.block)
            b.branch(done)
        b.start(done)
        merged = []
        for values in zip(*found, strict=True):
            ways = ", ".join(f"[{v.ref}, %{end}]" for v, end in zip(values, ends, strict=True))
            merged.append(b.emit(f"phi {values[0].type} {ways}", values[0].dtype))
        return self._shaped(branches[0], merged)

    def _clamped(self, which: Value, n: int) -> Value:
        b = self.b
        last = b.like(n - 1, which)
        which = b.minimum(which, last)
        return b.cast(which if which.dtype.kind == "u" else b.maximum(which, b.like(0, which)), I64)

    # ── loops of known length ─────────────────────────────────────────────────

    def counted(
        self,
        low: Value | int,
        high: Value | int,
        start: Sequence[Value],
        trip: Callable[[Value, list[Value]], list[Value]],
    ) -> list[Value]:
        """`trip(i, carried) → carried` for i from `low` on below `high`, at least once."""
        b, w = self.b, self.w
        first, last = w.number(low), w.number(high)
        body, done, before = b.label("trip"), b.label("done"), b.block
        b.branch(body)
        b.start(body)
        i, close = b.phi(I64, first, before)
        phis = [b.phi(v.dtype, v, before) for v in start]
        new = trip(i, [p for p, _ in phis])
        following = b.emit(f"add nuw nsw i64 {i.ref}, 1", I64)
        close(following, b.block)
        for (_, again), v in zip(phis, new, strict=True):
            again(v, b.block)
        b.branch_if(b.compare("lt", following, last), body, done)
        b.start(done)
        return new

    def scan(self, ins: Sequence[Held], params: dict[str, Any], into: Into) -> list[Held]:
        body, length, reverse = params["body"], params["length"], params["reverse"]
        n_consts, n_carries = params["consts"], params["carries"]
        consts, init, xs = ins[:n_consts], ins[n_consts : n_consts + n_carries], ins[n_consts + n_carries :]
        unrolled = self._unrolled(body, length)
        carried = Carried(self.w, body, n_consts, init, None if into is None else into[:n_carries])
        ys = self._ys(body.outs[n_carries:], length, into, n_carries)
        if length == 0:
            return [*carried.held(carried.start), *ys]
        if not unrolled:
            xs = [self._addressed(x) for x in xs]

        def trip(i: Value | int, flat: Sequence[Value]) -> list[Value]:
            if reverse and n_carries:
                i = length - 1 - i if isinstance(i, int) else self.b.sub(self.b.const(length - 1, I64), i)
            outs = self.body.run(carried.program, [*consts, *carried.held(flat), *(self._slice(x, i) for x in xs)])
            for y, out in zip(ys, outs[n_carries:], strict=True):
                stores(self.w, out, self._row(y, i))
            return carried.flat(outs[:n_carries])

        if unrolled:
            flat = carried.start
            for i in range(length):
                flat = trip(i, flat)
        else:
            flat = self._trips(length, weight(body).cost, carried.start, trip)
        return [*carried.held(flat), *ys]

    def _unrolled(self, body: Program, length: int) -> bool:
        """Whether the trips are written one after the other: few short ones, and more within a loop whose own trips are to be
        run side by side, since LLVM does that with innermost loops alone."""
        elements = length * sum(math.prod(v.shape) for eqn in body.equations() for v in eqn.results)
        if self.w.side_by_side and self.depth > 1:
            return length <= 4 * UNROLLED and elements <= 8 * BRIEF
        return length <= UNROLLED and elements <= BRIEF

    def _trips(
        self, length: int, cost: float, start: Sequence[Value], trip: Callable[[Value, list[Value]], list[Value]]
    ) -> list[Value]:
        """All trips; long loops look for signals between blocks of them."""
        b, w = self.b, self.w
        block = max(int(ASKED / cost), 1)
        if length * cost < (LONG if self.depth == 1 else ASKED * 32) or length <= block:
            return self.counted(0, length, start, trip)

        def part(k: Value, flat: list[Value]) -> list[Value]:
            w.ask()
            low = b.mul(k, b.const(block, I64))
            high = b.minimum(b.add(low, b.const(block, I64)), b.const(length, I64))
            return self.counted(low, high, flat, trip)

        return self.counted(0, -(-length // block), start, part)

    def _ys(self, atoms: Sequence[Any], length: int, into: Into, first: int) -> list[Memory]:
        if into is not None:
            return list(into[first:])
        return [self.w.array((length, *atom.aval.shape), atom.aval.dtype) for atom in atoms]

    def _addressed(self, x: Held) -> Held:
        """Elements that are named by a number that only the run knows are in memory."""
        return x if isinstance(x, Memory) and x.room is None else spilled(self.w, x)

    def _slice(self, x: Held, i: Any) -> Held:
        if isinstance(x, Constant):
            return Constant(np.asarray(x.array[i]))
        if isinstance(x, Cells):
            values: Any = x.values[i]
            return Cells(values if isinstance(values, np.ndarray) else object_array((), [values]), x.dtype)
        assert isinstance(x, Memory)
        row = self._row(x, i)
        if isinstance(i, int) and x.known is not None:
            known: Any = x.known[i]
            return replace(row, known=known if isinstance(known, np.ndarray) else object_array((), [known]))
        return self._near(row)

    def _row(self, x: Memory, i: Value | int) -> Memory:
        checked(x)
        step = self.w.scaled(i, x.strides[0])
        if isinstance(step, int):
            return Memory(x.pointer, x.shape[1:], x.strides[1:], x.dtype, x.offset + step)
        pointer = self.b.at(x.pointer, self.w.total(step, x.offset), x.dtype)
        return Memory(pointer, x.shape[1:], x.strides[1:], x.dtype)

    # ── loops of unknown length ───────────────────────────────────────────────

    def repeated(
        self,
        start: Sequence[Value],
        going: Callable[[list[Value]], Value],
        trip: Callable[[list[Value]], list[Value]],
        cost: float,
    ) -> list[Value]:
        """`trip(carried) → carried` as long as `going(carried)`; looks for signals now and then."""
        b, w = self.b, self.w
        head, body, latch, done, before = (*(b.label(k) for k in ("head", "trip", "latch", "done")), b.block)
        b.branch(head)
        b.start(head)
        phis = [b.phi(v.dtype, v, before) for v in start]
        count, close = b.phi(I64, b.const(0, I64), before)
        carried, failures = [p for p, _ in phis], w.flags.count
        b.branch_if(going(carried), body, done)
        b.start(body)
        new = trip(carried)
        following = b.emit(f"add i64 {count.ref}, 1", I64)
        every = 1 << max(int(math.log2(max(ASKED / cost, 1))), 0)
        late = b.compare("eq", b.and_(following, b.const(every - 1, I64)), b.const(0, I64))
        with w.rarely(late):
            w.ask()
        if w.flags.count > failures:  # with a wrong index there is no telling how long the loop would go on
            b.branch_if(w.expected(w.flags.any(), False), done, latch)
        else:
            b.branch(latch)
        b.start(latch)
        for (_, again), v in zip(phis, new, strict=True):
            again(v, latch)
        close(following, latch)
        b.branch(head)
        b.start(done)
        return carried

    def _going(self, cond: Program, consts: Sequence[Held], carried: Carried) -> Callable[[list[Value]], Value]:
        def going(flat: list[Value]) -> Value:
            (found,) = self.body.run(cond, [*consts, *carried.held(flat)])
            (value,) = cells(self.b, found, BOOL).ravel()
            return value

        return going

    def while_loop(self, ins: Sequence[Held], params: dict[str, Any], into: Into) -> list[Held]:
        body, n = params["body"], params["consts"]
        consts, carried = ins[:n], Carried(self.w, body, n, ins[n:], into)

        def trip(flat: list[Value]) -> list[Value]:
            return carried.flat(self.body.run(carried.program, [*consts, *carried.held(flat)]))

        cost = weight(body).cost + weight(params["cond"]).cost
        with self.b.unfused():  # so that it ends when NumPy's loop does, and the pullback's
            return carried.held(self.repeated(carried.start, self._going(params["cond"], consts, carried), trip, cost))

    def while_pullback(self, ins: Sequence[Held], params: dict[str, Any], into: Into) -> list[Held]:
        forward, backward, n, m = params["forward"], params["backward"], params["consts"], params["carries"]
        consts, init, cts = ins[:n], ins[n : n + m], ins[n + m :]
        carried = Carried(self.w, forward, n, init, None)
        atoms = forward.outs[m:]
        stacked = [i for i, atom in enumerate(atoms) if self._varies(forward, n, atom)]
        stack = Stack(self.w, [atoms[i].aval for i in stacked])

        def onwards(flat: list[Value]) -> list[Value]:
            outs = self.body.run(carried.program, [*consts, *carried.held(flat)])
            stack.push([outs[m + i] for i in stacked])
            return carried.flat(outs[:m])

        cost = weight(forward).cost + weight(params["cond"]).cost
        stack.begin()
        with self.b.unfused():
            self.repeated(carried.start, self._going(params["cond"], consts, carried), onwards, cost)

        fixed = dict(zip(forward.ins[:n], consts, strict=True))
        zeros = [Constant(np.broadcast_to(np.zeros((), a.aval.dtype), a.aval.shape)) for a in backward.outs[len(cts) :]]
        found = Carried(self.w, backward, n, [*cts, *zeros], into)

        def back(flat: list[Value]) -> list[Value]:
            popped = dict(zip(stacked, stack.pop(), strict=True))
            residuals = [popped[i] if i in popped else self._fixed(atom, fixed) for i, atom in enumerate(atoms)]
            return found.flat(self.body.run(found.program, [*consts, *found.held(flat), *residuals]))

        new = self.repeated(found.start, lambda _: stack.left(), back, weight(backward).cost)
        stack.end()
        return found.held(new)

    def _varies(self, forward: Program, n: int, atom: Any) -> bool:
        """Whether a residual is another one in each trip."""
        return not hasattr(atom, "value") and atom not in forward.ins[:n]

    def _fixed(self, atom: Any, fixed: dict[Any, Held]) -> Held:
        return Constant(np.asarray(atom.value)) if hasattr(atom, "value") else fixed[atom]
