"""What a loop carries from one trip to the next, in memory.

fixed    returned as it came: nothing is done about it
small    a few bytes on the stack, copied after each trip, which LLVM may keep in registers
place    written over by the body, in the result's memory
swap     read from one buffer and written to another, which then change places; the result's memory is one of them
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wengert.graph.program import Program, Var
from wengert.lowering.control.bodies import Body, Flow, Lower
from wengert.lowering.library.strided import memory_clear, memory_move
from wengert.lowering.text import I64, Value

SMALL = 64  # bytes


class Carried:
    """The carries of one loop over `program`, whose operands they are from `first` on, and whose first results.

    body : the program, without the results that are fixed
    """

    def __init__(self, lower: Lower, program: Program, first: int, count: int) -> None:
        self.first, self.count = first, count
        outs = program.outs
        self.fixed = {k for k in range(count) if outs[k] is program.ins[first + k]}
        self.moving = [k for k in range(count) if k not in self.fixed]
        self.avals = [program.ins[first + k].aval for k in range(count)]
        reduced = Program(program.ins, program.eqns, [*(outs[k] for k in self.moving), *outs[count:]])
        pairs = {n: first + k for n, k in enumerate(self.moving) if isinstance(outs[k], Var)}
        self.body: Body = lower(reduced, pairs)
        self.place = {k for n, k in enumerate(self.moving) if n in self.body.inplace}
        self.small = {k for k in self.moving if self.nbytes(k) <= SMALL}
        self.swap = [k for k in self.moving if k not in self.place and k not in self.small]

    def nbytes(self, k: int) -> int:
        return self.avals[k].size * self.avals[k].dtype.itemsize

    @property
    def lasting(self) -> list[int]:
        """Carries whose result may lie where they begin."""
        return [k for k in range(self.count) if k in self.fixed or k in self.place]


@dataclass
class _Swap:
    now: Value
    following: Value
    other: Value
    close: Sequence[object] = ()


class Trips:
    """The carries of one loop while it is written: `begin`, a block in which `enter`, the trip, `turn`, and `end`.

    starts : memory with what they begin as, or None for zeros
    """

    def __init__(
        self, flow: Flow, carried: Carried, starts: Sequence[Value | None], results: Sequence[Value], trips: int | None
    ) -> None:
        self.flow, self.b, self.of, self.trips = flow, flow.b, carried, trips
        self.starts, self.results = starts, results
        self.read: dict[int, Value] = {}
        self.written: dict[int, Value] = {}
        self.swaps: dict[int, _Swap] = {}

    def begin(self) -> None:
        of, b = self.of, self.b
        for k in range(of.count):
            nbytes, start, result = of.nbytes(k), self.starts[k], self.results[k]
            if k in of.small:
                self.read[k] = b.allocate(I64, -(-max(nbytes, 1) // 8))
                self.written[k] = self.read[k] if k in of.place else b.allocate(I64, -(-max(nbytes, 1) // 8))
                self._fill(self.read[k], start, nbytes)
            elif k in of.place or k in of.fixed:
                self.read[k] = self.written[k] = result
                self._fill(result, start, nbytes)
            else:
                spare = self.flow.scratch(nbytes)
                if start is None:
                    start = spare
                    self._fill(spare, None, nbytes)
                even = self.trips is not None and self.trips % 2 == 0
                self.swaps[k] = _Swap(start, *((spare, result) if even and start is not spare else (result, spare)))

    def _fill(self, target: Value, start: Value | None, nbytes: int) -> None:
        if start is None:
            memory_clear(self.b, target, nbytes)
        elif start.ref != target.ref and nbytes:
            memory_move(self.b, target, start, nbytes)

    def enter(self, before: str) -> None:
        """At the start of the loop's first block, which is entered from `before`."""
        for k, s in self.swaps.items():
            phis = [self.b.phi(None, v, before) for v in (s.now, s.following, s.other)]
            s.now, s.following, s.other = (value for value, _ in phis)
            s.close = [close for _, close in phis]
            self.read[k], self.written[k] = s.now, s.following

    def ins(self) -> list[Value]:
        """What a trip reads."""
        return [self.read[k] for k in range(self.of.count)]

    def outs(self) -> list[Value]:
        """Where a trip's results go, those that are fixed aside."""
        return [self.written[k] for k in self.of.moving]

    def turn(self) -> None:
        """At the end of a trip, in the block from which the loop goes round."""
        for k in self.of.small - self.of.place:
            memory_move(self.b, self.read[k], self.written[k], self.of.nbytes(k))
        for s in self.swaps.values():
            for close, value in zip(s.close, (s.following, s.other, s.following), strict=True):
                close(value, self.b.block)  # type: ignore[operator]

    def end(self) -> None:
        """After the loop, where its first block is known to have been."""
        b = self.b
        for k in self.of.small:
            memory_move(b, self.results[k], self.read[k], self.of.nbytes(k))
        for k, s in self.swaps.items():
            nbytes, result = self.of.nbytes(k), self.results[k]
            if self.trips is None or not self.trips or self.starts[k] is None:
                away = b.emit(f"icmp ne ptr {s.now.ref}, {result.ref}", np.dtype(bool))
                with b.when(away):
                    memory_move(b, result, s.now, nbytes)
