"""One compiled object while it is written: what the Programs in it share."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np

from wengert.core.source import Source
from wengert.graph.program import Var
from wengert.lowering.buffers import Buffers
from wengert.lowering.lowered import HostReference
from wengert.lowering.text import Builder, Module, Value
from wengert.lowering.values import Place
from wengert.lowering.vecmath import definition


class Unit:
    """Text, host calls and failures of one compiled object, and the bodies that its Programs call."""

    def __init__(self, inline_math: bool) -> None:
        self.inline_math = inline_math
        self.module = Module(definition)
        self.hosts: list[HostReference] = []
        self.failures: list[tuple[type[Exception], str, Source | None]] = []
        self.math_calls = 0
        self.stops = False  # whether anything in it can set the code that `run` returns
        self.bodies: dict[Any, Any] = {}
        self.count = 0

    def failure(self, error: type[Exception], message: str, source: Source | None) -> int:
        """The code that `run` returns for a failure."""
        self.stops = True
        one = (error, message, source)
        if one not in self.failures:
            self.failures.append(one)
        return 1 + self.failures.index(one)

    def name(self) -> str:
        """A fresh name for a body."""
        self.count += 1
        return f"b{self.count}"

    def mark(self) -> Callable[[], None]:
        """What undoes all that is written from now on."""
        functions, hosts, bodies = len(self.module.functions), len(self.hosts), len(self.bodies)

        def undo() -> None:
            del self.module.functions[functions:], self.hosts[hosts:]
            for key in list(self.bodies)[bodies:]:
                del self.bodies[key]

        return undo

    def constant(self, value: np.ndarray) -> Value:
        """An array within the code."""
        data = np.ascontiguousarray(value).tobytes()
        name = f"wg.constant.{hashlib.blake2s(data, digest_size=12).hexdigest()}.{len(data)}"
        text = "".join(f"\\{byte:02X}" for byte in data)
        kind = f'[{len(data)} x i8] c"{text}"' if data else "[1 x i8] zeroinitializer"
        self.module.define(name, f"@{name} = private unnamed_addr constant {kind}, align 64")
        return Value(f"@{name}", None)


class Site:
    """Where a kernel is called from: pointers to all that its Program has in memory."""

    def __init__(self, b: Builder, buffers: Buffers) -> None:
        self.b, self.buffers = b, buffers
        self._known: dict[Any, Value] = {}

    def pointer(self, var: Var) -> Value:
        """The memory of a value."""
        slot, offset = self.buffers.place(var)
        return self.work(offset) if slot is None else self._once(("slot", slot), lambda: self._slot(slot, var))

    def work(self, offset: int) -> Value:
        """The workspace from `offset` on."""
        start = self.workspace
        if not offset:
            return start
        text = f"getelementptr inbounds i8, ptr {start.ref}, i64 {offset}"
        return self._once(("work", offset), lambda: self.b.emit(text, None))

    @property
    def workspace(self) -> Value:
        raise NotImplementedError

    @property
    def code(self) -> Value:
        """Where `run` keeps the code that it returns."""
        raise NotImplementedError

    @property
    def context(self) -> Value:
        raise NotImplementedError

    def _slot(self, slot: int, var: Var) -> Value:
        raise NotImplementedError

    def _once(self, key: Any, make: Callable[[], Value]) -> Value:
        if key not in self._known:
            self._known[key] = make()
        return self._known[key]


class Frame(Site):
    """In a function of the frame of `run`."""

    def _slot(self, slot: int, var: Var | None = None) -> Value:
        return self.b.load(self.b.at(Value("%frame", None), slot, None), None)

    @property
    def workspace(self) -> Value:
        return self._once("workspace", lambda: self._slot(self.buffers.last))

    @property
    def code(self) -> Value:
        return self.workspace

    @property
    def context(self) -> Value:
        return self._once("context", lambda: self._slot(0))


class Arguments(Site):
    """In a body's function, whose arguments are pointers."""

    workspace, code, context = Value("%work", None), Value("%code", None), Value("%context", None)  # type: ignore

    def __init__(self, b: Builder, buffers: Buffers, unit: Unit) -> None:
        super().__init__(b, buffers)
        self._unit = unit

    def _slot(self, slot: int, var: Var) -> Value:
        n_in, n_out = self.buffers.n_in, self.buffers.n_out
        if slot <= n_in:
            return Value(f"%i{slot - 1}", None)
        if slot <= n_in + n_out:
            return Value(f"%o{slot - 1 - n_in}", None)
        place = self.buffers.values.definitions[self.buffers.home(var)]
        assert isinstance(place, Place)
        return self._unit.constant(self.buffers.values.constants[place.index])
