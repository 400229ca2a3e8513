"""The text of `run`: its kernels, one after the other.

`timed` is another one, for profilers: it reads the clock between steps. All other functions of the module are the same in both,
so they compute the same. What is timed within loops' bodies are kernels of some length, whose calls are found in the text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wengert.lowering.lowered import Calls, Kernel, Lowered
from wengert.lowering.text import I32, I64, Builder, Module, Value
from wengert.lowering.vecmath import definition

LONG = 5e6  # flops and bytes of a kernel, some milliseconds, after which a call asks whether it is interrupted
HEAVY = 5e4  # the same, some ten microseconds, from which on a timed step reads its processor time too, in half of one
CLOCKED = 4e3  # the same, about a microsecond, from which on a kernel within a loop is timed
_HEAD = "define i32 @run(ptr %frame) #0"


class _Run:
    """Writes `run`. Subclasses do something `after` each step."""

    def __init__(self, calls: Calls) -> None:
        self.calls, self.b = calls, Builder(Module(definition))
        self.frame = Value("%frame", None)

    def text(self) -> str:
        b, calls = self.b, self.calls
        self.ws = b.load(b.at(self.frame, calls.last, None), None)
        if calls.stops:
            b.effect(f"store i32 0, ptr {self.ws.ref}")
        context = b.load(b.at(self.frame, 0, None), None)
        if calls.parallel or any(calls.long):
            self.own = b.load(b.emit(f"getelementptr i8, ptr {context.ref}, i64 16", None), None)
        if any(calls.long):
            self.interrupted = b.load(b.emit(f"getelementptr i8, ptr {context.ref}, i64 24", None), None)
        if calls.parallel:
            self.pool = b.load(b.emit(f"getelementptr i8, ptr {context.ref}, i64 8", None), None)
            self.serial = b.emit(f"icmp eq ptr {self.pool.ref}, null", np.dtype(bool))
        self.before()
        for number, step in enumerate(calls.steps):
            if number and calls.long[number - 1]:
                self._stop_if(b.emit(f"call i32 {self.interrupted.ref}(ptr {self.own.ref})", I32))
            for name, chunks in step:
                self._call(name, chunks)
            self.after(number)
        code = b.load(self.ws, I32) if calls.stops else b.const(0, I32)
        return b.function(_HEAD, f"ret {code}")

    def before(self) -> None:
        """Nothing has been done yet."""

    def after(self, number: int) -> None:
        """A step has been done."""

    def _call(self, name: str, chunks: int) -> None:
        b = self.b
        if chunks == 1:
            b.effect(f"call void @{name}(ptr %frame, i64 0)")
            if name in self.calls.stoppable:
                self._stop_if(b.load(self.ws, I32), kept=False)
            return
        one, many, done = b.label("one"), b.label("many"), b.label("done")
        b.branch_if(self.serial, one, many)
        b.start(one)
        with b.loop(0, chunks) as chunk:
            b.effect(f"call void @{name}(ptr %frame, i64 {chunk.ref})")
        b.branch(done)
        b.start(many)
        b.effect(f"call void {self.pool.ref}(ptr {self.own.ref}, ptr @{name}, ptr %frame, i64 {chunks})")
        b.branch(done)
        b.start(done)

    def _stop_if(self, code: Value, kept: bool = True) -> None:
        """Leave `run` if `code` is not 0: Python has an exception (`kept`), or the code says what is the matter."""
        b = self.b
        stop, go = b.label("stop"), b.label("go")
        b.branch_if(b.compare("ne", code, b.like(0, code)), stop, go)
        b.start(stop)
        b.effect("ret i32 -1" if kept else f"ret {code}")
        b.start(go)


def run(calls: Calls) -> str:
    """The function."""
    return _Run(calls).text()


# ── with a clock ──────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Timed:
    """The text of a module whose `run` keeps the time, and what its variables mean.

        clock.wall, clock.cpu, clock.runs   an i64 per row: nanoseconds on the clock, of processor time (of all threads), and how often
        clock.events, clock.capacity, clock.used   a buffer of the runtime's, its size and what of it is used, in words of 8 bytes

    A call takes `record` words of the buffer, if there are so many: its thread, then the time at the beginning and after each step;
    0 for steps that were not reached.

    rows : the steps, then the kernels within loops' bodies, as (kernel or None, whether it is a step, whether it has processor time)
    """

    text: str
    rows: Sequence[tuple[Kernel | None, bool, bool]]
    record: int


_CLOCK = """declare i32 @clock_gettime(i32, ptr)
declare i64 @PyThread_get_thread_ident()
@clock.wall = global [{n} x i64] zeroinitializer, align 64
@clock.cpu = global [{n} x i64] zeroinitializer, align 64
@clock.runs = global [{n} x i64] zeroinitializer, align 64
@clock.events = global ptr null, align 8
@clock.capacity = global i64 0, align 8
@clock.used = global i64 0, align 8
define internal i64 @clock.read(i32 %which) noinline nounwind {{
  %time = alloca [2 x i64], align 8
  %read = call i32 @clock_gettime(i32 %which, ptr %time)
  %s = load i64, ptr %time
  %ns.at = getelementptr i64, ptr %time, i64 1
  %ns = load i64, ptr %ns.at
  %s.ns = mul i64 %s, 1000000000
  %now = add i64 %s.ns, %ns
  ret i64 %now
}}
define internal void @clock.ran(i64 %row, i64 %began) alwaysinline nounwind {{
  %ended = call i64 @clock.read(i32 {wall})
  %took = sub i64 %ended, %began
  %total = getelementptr i64, ptr @clock.wall, i64 %row
  %a = atomicrmw add ptr %total, i64 %took monotonic
  %count = getelementptr i64, ptr @clock.runs, i64 %row
  %b = atomicrmw add ptr %count, i64 1 monotonic
  ret void
}}
"""


class _Timed(_Run):
    def __init__(self, calls: Calls, heavy: Sequence[bool], wall: int, cpu: int) -> None:
        super().__init__(calls)
        self.heavy, self.wall, self.cpu = heavy, wall, cpu

    def _now(self, which: int) -> Value:
        return self.b.emit(f"call i64 @clock.read(i32 {which})", I64)

    def before(self) -> None:
        b, words = self.b, len(self.calls.steps) + 2
        spare = b.allocate(I64, words)
        first = b.emit(f"atomicrmw add ptr @clock.used, i64 {words} monotonic", I64)
        end = b.add(first, b.const(words, I64))
        room = b.emit("load i64, ptr @clock.capacity", I64)
        events = b.load(Value("@clock.events", None), None)
        at = b.at(events, first, I64)
        fits = b.emit(f"icmp sle i64 {end.ref}, {room.ref}", np.dtype(bool))
        self.record = b.emit(f"select i1 {fits.ref}, ptr {at.ref}, ptr {spare.ref}", None)
        b.store(b.emit("call i64 @PyThread_get_thread_ident()", I64), self.record)
        self.busy = self._now(self.cpu) if any(self.heavy) else None
        self.time = self._now(self.wall)
        b.store(self.time, b.at(self.record, 1, I64))

    def after(self, number: int) -> None:
        b = self.b
        now = self._now(self.wall)
        b.store(now, b.at(self.record, number + 2, I64))
        self._add("wall", number, b.emit(f"sub i64 {now.ref}, {self.time.ref}", I64))
        self._add("runs", number, b.const(1, I64))
        self.time = now
        following = number + 1 < len(self.heavy) and self.heavy[number + 1]
        if self.heavy[number] or following:
            busy = self._now(self.cpu)
            if self.heavy[number] and self.busy is not None:
                self._add("cpu", number, b.emit(f"sub i64 {busy.ref}, {self.busy.ref}", I64))
            self.busy = busy

    def _add(self, table: str, row: int, n: Value) -> None:
        at = f"getelementptr inbounds (i64, ptr @clock.{table}, i64 {row})"
        self.b.effect(f"atomicrmw add ptr {at}, i64 {n.ref} monotonic")


_INNER = re.compile(r"^  call void @((?:b\d+\.)+k\d+)\.body\(.*$", re.MULTILINE)


def timed(lowered: Lowered, wall: int, cpu: int) -> Timed:
    """`lowered.text` with a `run` that keeps the time on two clocks of the system's, known to it by these numbers."""
    calls = lowered.calls
    if calls is None:
        raise ValueError("this text was not made by `lower`")
    heavy = [k.flops + k.bytes > HEAVY for k in lowered.kernels]
    inner = {k.name: k for kernel in lowered.kernels for k in kernel.within() if k.flops + k.bytes > CLOCKED}
    names: dict[str, int] = {}

    def clocked(found: re.Match[str]) -> str:
        if found[1] not in inner:
            return found[0]
        row = names.setdefault(found[1], len(calls.steps) + len(names))
        began = f"%clock.{found.start()}"
        return (
            f"  {began} = call i64 @clock.read(i32 {wall})\n{found[0]}\n  call void @clock.ran(i64 {row}, i64 {began})"
        )

    head, _, tail = lowered.text.partition(_HEAD)
    _, _, tail = tail.partition("\n}")
    head = _INNER.sub(clocked, head)
    text = _Timed(calls, heavy, wall, cpu).text()
    rows: list[tuple[Kernel | None, bool, bool]] = [(k, True, h) for k, h in zip(lowered.kernels, heavy, strict=True)]
    rows += [(inner[name], False, False) for name in names]
    clock = _CLOCK.format(n=max(len(rows), 1), wall=wall)
    return Timed(clock + _once(head) + text.removesuffix("\n") + tail, rows, len(calls.steps) + 2)


def _once(text: str) -> str:
    """Without a second declaration of what the clock declares."""
    return "\n".join(line for line in text.split("\n") if not line.startswith("declare i32 @clock_gettime("))
