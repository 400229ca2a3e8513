"""Listens to the bus, and keeps what it hears in arrays of numbers: some microseconds an event, 36 bytes each."""

from __future__ import annotations

import math
import threading
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np

from wengert.core.aval import Aval
from wengert.core.events import subscribe
from wengert.core.op import Op
from wengert.core.source import Source
from wengert.core.tensor import Tensor, active, raw
from wengert.runtime import timing
from wengert.runtime.engine import Executable
from wengert.runtime.timing import Reading, Variant
from wengert.trace.stage import Stage

EVENTS = 1 << 21  # that are kept one by one


@dataclass
class Subject:
    """What events are of: an op with such operands at a line, a pullback, a stage of compiling, a sweep.

    data : what `costs` needs to count flops: avals and parameters, no arrays
    nbytes : of operands and results
    late : events that there was no room for, and their seconds
    """

    kind: str  #: "forward", "backward", "stage", "sweep"
    name: str
    source: Source | None = None
    op: Op | None = None
    data: Any = None
    nbytes: float = 0.0
    dtype: str = "float64"
    dense: float = 1.0  #: the part of its results that was computed, where the rest is broadcast
    late: list[float] = field(default_factory=lambda: [0, 0.0])


@dataclass
class _Thread:
    """What one thread is at."""

    number: int
    row: Any = None  # what it has recorded last
    busy: list[float] = field(default_factory=list)  # processor time at the beginning of the ops it is within


class Recorder:
    """What happened between `start` and `stop`.

    cpu : whether to read the processor's time for each op: half a microsecond twice
    subjects, about, began, ended, cpu_seconds, thread : of each event what it is of, and its times (`time.perf_counter`); cpu is
        negative where it was not read
    """

    def __init__(self, cpu: bool = True, room: int = EVENTS) -> None:
        self.cpu, self.room = cpu, room
        self.subjects: list[Subject] = []
        self.about, self.thread = array("i"), array("i")
        self.began, self.ended, self.cpu_seconds = array("d"), array("d"), array("d")
        self.threads: dict[int, _Thread] = {}
        self.names: dict[int, str] = {}
        self.programs: list[tuple[Executable, Variant, Reading, Any]] = []  # with what was counted, and the calls
        self._known: dict[Any, int] = {}
        self._lock = threading.Lock()
        self._ends: list[Callable[[], None]] = []

    # ── from when to when ─────────────────────────────────────────────────────

    def start(self) -> None:
        listeners: dict[str, Callable[..., None]] = {
            "recorded": self._recorded, "executed": self._executed, "cotangent": self._cotangent,
            "swept": self._swept, "built": self._built,
        }  # fmt: skip
        if self.cpu:
            listeners |= {"executing": self._begins, "pulling": self._begins}
        timing.start()
        try:
            for kind, listener in listeners.items():
                self._ends.append(subscribe(kind, listener))
            self._before = {id(variant): variant.reading() for _, variant in timing.variants()}
            self._offset = perf_counter() - time.clock_gettime(timing.WALL) if hasattr(time, "clock_gettime") else 0.0
            self.cpu_began, self.wall_began = time.process_time(), perf_counter()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        self.wall_ended, self.cpu_ended = perf_counter(), time.process_time()
        for end in reversed(self._ends):
            end()
        self._ends.clear()
        for executable, variant in timing.variants():
            before = self._before.get(id(variant))
            found = variant.reading().since(before)
            if found.used:
                calls = variant.calls(0 if before is None else before.used).astype(float)
                calls[:, 1:] = np.where(calls[:, 1:] > 0, calls[:, 1:] * 1e-9 + self._offset, 0.0)
                self.programs.append((executable, variant, found, calls))
        timing.stop()

    def thread_of(self, ident: int) -> int:
        """The number of a thread that may have run nothing but machine code."""
        return self._at(ident).number

    # ── events ────────────────────────────────────────────────────────────────

    def _at(self, ident: int) -> _Thread:
        found = self.threads.get(ident)
        if found is None:
            with self._lock:
                found = self.threads.setdefault(ident, _Thread(len(self.threads)))
            named = next((t.name for t in threading.enumerate() if t.ident == ident), f"thread {ident}")
            self.names[found.number] = named
        return found

    def _begins(self, *what: Any) -> None:
        self._at(threading.get_ident()).busy.append(time.process_time())

    def _took(self, thread: _Thread) -> float:
        return time.process_time() - thread.busy.pop() if self.cpu and thread.busy else -1.0

    def _add(self, about: int, began: float, ended: float, cpu: float, thread: int) -> None:
        with self._lock:
            if len(self.about) >= self.room:
                late = self.subjects[about].late
                late[0] += 1
                late[1] += ended - began
                return
            self.about.append(about)
            self.began.append(began)
            self.ended.append(ended)
            self.cpu_seconds.append(cpu)
            self.thread.append(thread)

    def _subject(self, key: Any, make: Callable[[], Subject]) -> int:
        found = self._known.get(key)
        if found is None:
            made = make()
            with self._lock:
                found = self._known.setdefault(key, len(self.subjects))
                if found == len(self.subjects):
                    self.subjects.append(made)
        return found

    def _recorded(self, tape: Any, row: Any, out: Any) -> None:
        self._at(threading.get_ident()).row = row[0], row[3]

    def _executed(self, op: Op, args: Any, out: Any, began: float, ended: float, source: Source | None) -> None:
        thread = self._at(threading.get_ident())
        cpu = self._took(thread)
        row, thread.row = thread.row, None
        if _staging():
            return
        code, lasti = source or (None, 0)
        key = "forward", id(op), id(code), lasti, tuple([_shape(a) for a in args])

        def make() -> Subject:
            params = row[1] if row is not None and row[0] is op else None
            avals = [_aval(a) for a in args]
            outs = list(map(_aval, out if op.multi else (out,)))
            results = out if op.multi else (out,)
            nbytes, dtype = _memory(args, results), str(outs[0].dtype) if outs else "float64"
            return Subject("forward", op.name, source, op, (avals, params), nbytes, dtype, _dense(results))

        self._add(self._subject(key, make), began, ended, cpu, thread.number)

    def _cotangent(self, row: Any, ct: Any, cts: Any, began: float, ended: float) -> None:
        thread = self._at(threading.get_ident())
        cpu = self._took(thread)
        op, ins, _, params, xs, out, code, lasti = row
        if _staging():
            return
        shapes = tuple([None if v is None else v.shape for v in ins])
        key = "backward", id(op), id(code), lasti, shapes, tuple([v is None for v in ins])

        def make() -> Subject:
            avals = [None if v is None else Aval(v.shape, v.dtype) for v in ins]
            given = [None if x is None else _aval(x) for x in xs]
            kept = None if out is None else tuple(map(_aval, out)) if op.multi else _aval(out)
            cotangents = tuple([None if c is None else _aval(c) for c in ct]) if op.multi else _aval(ct)
            data = [v is not None for v in ins], avals, given, kept, cotangents, params
            came, left = (ct, out) if op.multi else ((ct,), (out,))
            found = [c for c, v in zip(cts, ins) if v is not None]
            nbytes = _memory([*came, *xs, *(left or ())], found)
            dtype = str(next((v.dtype for v in ins if v is not None), "float64"))
            source = None if code is None else (code, lasti)
            return Subject("backward", op.name, source, op, data, nbytes, dtype, _dense(found))

        self._add(self._subject(key, make), began, ended, cpu, thread.number)

    def _swept(self, program: Any, began: float, ended: float) -> None:
        about = self._subject("sweep", lambda: Subject("sweep", "sweep"))
        self._add(about, began, ended, -1.0, self._at(threading.get_ident()).number)

    def _built(self, name: str, stage: str, began: float, ended: float) -> None:
        about = self._subject((name, stage), lambda: Subject("stage", name, data=stage))
        self._add(about, began, ended, -1.0, self._at(threading.get_ident()).number)


def _staging() -> bool:
    """Whether nothing is computed here, but a function staged."""
    return any(type(trace) is Stage for trace in active())


def _shape(a: Any) -> Any:
    """What tells an operand's size and kind: cheap, and to be compared."""
    a = raw(a) if type(a) is Tensor else a
    return (a.shape, a.dtype.char) if isinstance(a, (np.ndarray, np.generic)) else type(a)


def _aval(a: Any) -> Aval:
    a = raw(a) if type(a) is Tensor else a
    kinds = {bool: np.bool_, int: np.int64, float: np.float64, complex: np.complex128}
    if type(a) in kinds:
        return Aval((), np.dtype(kinds[type(a)]), weak=True)
    return Aval(np.shape(a), getattr(a, "dtype", np.dtype(object)))


def _memory(operands: Any, results: Any) -> float:
    """Bytes that were read and written: each operand and each result once, and nothing where all results are views of operands."""
    arrays = [a for a in map(raw, operands) if isinstance(a, np.ndarray)]
    found = [r for r in map(raw, results) if r is not None]
    made = [r for r in found if not any(np.may_share_memory(r, a) for a in arrays)]
    return sum(map(_extent, (*arrays, *made))) if made or not found else 0.0


def _extent(a: Any) -> float:
    """Bytes of an array's elements, each once where it is broadcast."""
    a = np.asarray(a)
    return float(a.itemsize * math.prod(n for n, step in zip(a.shape, a.strides, strict=True) if step))


def _dense(results: Any) -> float:
    """The part of the results' elements that are in memory, and not broadcast."""
    arrays = [np.asarray(r) for r in map(raw, results) if r is not None]
    whole = sum(a.size * a.itemsize for a in arrays)
    return min(1.0, sum(map(_extent, arrays)) / whole) if whole else 1.0
