"""What a loop carries from trip to trip: registers, and arrays that are updated in place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from wengert.core.form import Unsupported
from wengert.graph.program import Program
from wengert.lowering.library.strided import copy_into
from wengert.lowering.straight.cells import (
    LARGEST,
    Cells,
    Constant,
    Held,
    Memory,
    Room,
    address,
    cells,
    checked,
    object_array,
)
from wengert.lowering.straight.indexing import settled
from wengert.lowering.straight.updates import updates
from wengert.lowering.straight.writer import Writer
from wengert.lowering.text import Value


class Carried:
    """The carries of one loop.

    program : the body, whose inputs from number `first` on are the carries, and whose first outputs are the new ones
    into : memory of the loop's results, where there is some

    The body is to be run as `program`, whose equations may be in another order.
    """

    def __init__(
        self, w: Writer, program: Program, first: int, init: Sequence[Held], into: Sequence[Memory] | None
    ) -> None:
        self.w, self.b = w, w.b
        kept = updates(program, first, len(init))
        self.program = kept.program
        self.vars = program.ins[first : first + len(init)]
        self.memory: dict[int, Memory] = {}
        self.start: list[Value] = []
        for k, (var, x) in enumerate(zip(self.vars, init, strict=True)):
            if k in kept.states:
                self.memory[k] = self._place(x, None if into is None else into[k])
                w.updates.update(kept.states[k])
            elif math.prod(var.shape) > LARGEST:
                raise Unsupported(f"a carry of {math.prod(var.shape)} elements that is not updated in place")
            else:
                self.start += cells(self.b, settled(w, x), var.dtype).ravel().tolist()

    def _place(self, x: Held, into: Memory | None) -> Memory:
        """The memory that a large carry lives in, with what it begins as."""
        if into is None and isinstance(x, Memory) and x.room is not None:
            checked(x)
            return x
        m = self.w.array(x.shape, x.dtype) if into is None else into
        put(self.w, x, m)
        return replace(m, room=Room(), version=0)

    def held(self, flat: Sequence[Value]) -> list[Held]:
        """The carries as values, of which `flat` are the registers."""
        found: list[Held] = []
        at = 0
        for k, var in enumerate(self.vars):
            if k in self.memory:
                found.append(self._now(k))
                continue
            n = math.prod(var.shape)
            found.append(Cells(object_array(var.shape, flat[at : at + n]), var.dtype))
            at += n
        return found

    def _now(self, k: int) -> Memory:
        m = self.memory[k]
        assert m.room is not None
        return replace(m, version=m.room.version)

    def flat(self, outs: Sequence[Held]) -> list[Value]:
        """The registers of new carries."""
        values: list[Value] = []
        for k, (var, x) in enumerate(zip(self.vars, outs, strict=True)):
            if k in self.memory:
                if not isinstance(x, Memory) or x.room is not self.memory[k].room:
                    raise Unsupported("a large carry that becomes another array")
                checked(x)
            else:
                values += cells(self.b, settled(self.w, x), var.dtype).ravel().tolist()
        return values


def put(w: Writer, x: Held, m: Memory) -> None:
    """The value goes to memory."""
    b = w.b
    x = settled(w, x)
    if isinstance(x, Memory) and x.size > LARGEST:
        checked(x)
        copy_into(b, address(b, m, 0), m.strides, address(b, x, 0), x.strides, x.shape, x.dtype)
        return
    if isinstance(x, Constant) and x.array.size > LARGEST:
        first = x.array.reshape(-1)[0]
        if x.array.tobytes() != first.tobytes() * x.array.size:
            raise Unsupported("a large constant of a small loop")
        value = b.const(first, x.dtype)
        with b.loop(0, x.array.size) as i:
            b.store(value, b.at(m.pointer, b.add(i, w.number(m.offset)), m.dtype))
        return
    stores(w, x, m)


def stores(w: Writer, x: Held, m: Memory) -> None:
    """The elements of a small value go to memory, by strides."""
    values = cells(w.b, settled(w, x), m.dtype)
    for at, value in zip(_places(m), values.ravel(), strict=True):
        w.b.store(w.veiled(value), address(w.b, m, at))


def _places(m: Memory) -> list[int]:
    places = [0]
    for n, step in zip(m.shape, m.strides, strict=True):
        places = [p + i * step for p in places for i in range(n)]
    return places
