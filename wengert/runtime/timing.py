"""Compiled programs that keep the time of their parts: for profilers, while there are any.

`start` points the entries of all programs at a few instructions that ask Python, once per program, for a variant of its code with
clocks in it (`lowering/run.py`), and go there from then on; `stop` points them back. The code that runs otherwise is untouched.
Variants are kept with their programs. In the object cache they lie under names of their own.
"""

from __future__ import annotations

import ctypes
import functools
import logging
import os
import threading
import time
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wengert.lowering.lowered import Kernel
from wengert.lowering.run import timed
from wengert.runtime import cache, engine, native, objects, perf
from wengert.runtime.engine import Executable

ROOM = 1 << 17  # words for the calls of one program
MEMORY = 1 << 23  # words for those of all
WALL, CPU = getattr(time, "CLOCK_MONOTONIC", 1), getattr(time, "CLOCK_PROCESS_CPUTIME_ID", 2)
log = logging.getLogger("wengert")

_STUB = """
@arm = global ptr null
define i32 @untimed(ptr %frame) {
entry:
  %context = load ptr, ptr %frame
  %self.at = getelementptr i8, ptr %context, i64 16
  %self = load ptr, ptr %self.at
  %arm = load ptr, ptr @arm
  %run = call ptr %arm(ptr %self)
  %none = icmp eq ptr %run, null
  br i1 %none, label %lost, label %go
lost:
  ret i32 -1
go:
  %code = call i32 %run(ptr %frame)
  ret i32 %code
}
"""


@dataclass(frozen=True)
class Reading:
    """What a variant's clocks show, in nanoseconds.

    wall, cpu, runs : of each row
    used : words of the buffer of calls
    """

    wall: np.ndarray
    cpu: np.ndarray
    runs: np.ndarray
    used: int

    def since(self, before: Reading | None) -> Reading:
        """What has been added."""
        if before is None:
            return self
        return Reading(
            self.wall - before.wall, self.cpu - before.cpu, self.runs - before.runs, max(0, self.used - before.used)
        )


class Variant:
    """An executable's code with clocks in it.

    rows : what is timed: see `lowering.run.Timed`
    seconds : what making it took
    made : in which thread, from when to when (`time.perf_counter`)
    """

    def __init__(self, executable: Executable, room: int) -> None:
        start = time.perf_counter()
        self.name, self.lowered, self.tier = executable.name, executable.lowered, executable.tier
        self.program = weakref.ref(executable)
        written = timed(executable.lowered, WALL, CPU)
        self.rows: Sequence[tuple[Kernel | None, bool, bool]] = written.rows
        self.record = written.record
        native.provide({"PyThread_get_thread_ident": objects.address("PyThread_get_thread_ident")})
        native.require(["clock_gettime"])
        apart = perf.APART if perf.mapped() or perf.folder() else ""
        code, _ = cache.assembled(apart + written.text, executable.tier)
        self._code = native.Code(code, perf.Names(f"{executable.name} (timed)", executable.lowered))
        self.address = self._code.address("run")
        self._tables = [self._table(name, len(self.rows)) for name in ("wall", "cpu", "runs")]
        self._used = self._table("used", 1)
        self._buffer = np.zeros(max(room // self.record, 0) * self.record, np.int64)
        self._table("events", 1)[0] = self._buffer.ctypes.data
        self._table("capacity", 1)[0] = self._buffer.size
        self.seconds = time.perf_counter() - start
        self.made = threading.get_ident(), start, start + self.seconds

    def _table(self, name: str, words: int) -> np.ndarray:
        at = self._code.address(f"clock.{name}")
        return np.ctypeslib.as_array((ctypes.c_int64 * words).from_address(at))

    def reading(self) -> Reading:
        """What the clocks show now."""
        wall, cpu, runs = (table.copy() for table in self._tables)
        return Reading(wall, cpu, runs, int(self._used[0]))

    def calls(self, first: int = 0) -> np.ndarray:
        """The calls that there was room for, from word `first` of the buffer on: a row each of thread, beginning, and the
        time after each step."""
        end = min(int(self._used[0]), self._buffer.size)
        return self._buffer[min(first, end) : end].reshape(-1, self.record).copy()

    def rewind(self) -> None:
        """Set the clocks to 0, and let calls be kept from the start of the buffer again."""
        for table in (*self._tables, self._used):
            table[:] = 0


_lock = threading.RLock()
_running = 0
_seen: list[tuple[Executable, Variant]] = []  # since the first profiler started
_variants: weakref.WeakKeyDictionary[Executable, Variant] = weakref.WeakKeyDictionary()


def start() -> None:
    """Time all compiled programs from their next call on. To be stopped as often as it was started."""
    global _running
    with _lock:
        _running += 1
        if _running > 1:
            return
        _seen.clear()
        engine.instead = _stub()
        for executable in list(engine.made):
            if executable.lowered.calls is not None:
                executable.go(engine.instead)


def stop() -> None:
    """Whoever stops last has programs run as ever."""
    global _running
    with _lock:
        _running -= 1
        if _running:
            return
        _seen.clear()
        engine.instead = None
        for executable in list(engine.made):
            executable.go(None)


def active() -> bool:
    """Whether programs are timed."""
    return _running > 0


def variants() -> list[tuple[Executable, Variant]]:
    """The programs called since timing has started, with their variants; a program that has changed its tier, twice."""
    with _lock:
        return list(_seen)


def arm(executable: Executable) -> int:
    """Where a call of `executable` is to go: to its variant, made now if need be."""
    with _lock:
        if not _running or executable.lowered.calls is None:
            return executable._run
        found = _variants.get(executable)
        if found is None or found.tier is not executable.tier:
            left = MEMORY - sum(variant._buffer.size for variant in _variants.values())
            found = _variants[executable] = Variant(executable, min(ROOM, left))
        if not any(variant is found for _, variant in _seen):
            found.rewind()
            _seen.append((executable, found))
        executable.go(found.address)
        return found.address


def _forked() -> None:
    """Programs are timed in the child of a fork too, whatever other threads of its parent held."""
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


@functools.cache
def _stub() -> int:
    code, _ = cache.assembled(_STUB, native.FULL)
    loaded = native.Code(code)
    ctypes.c_void_p.from_address(loaded.address("arm")).value = ctypes.cast(_asked, ctypes.c_void_p).value
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(loaded))  # entries may be there when the process ends
    return loaded.address("untimed")


def _asked_by(spec: int) -> int:
    """`arm` for the program that enters by `spec`. It must not raise: machine code is waiting."""
    executable: Any = None
    try:
        executable = next(e for e in list(engine.made) if e.enters_by(spec))
        return arm(executable)
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            import _thread

            _thread.interrupt_main()
        else:
            log.warning(
                "%s is not timed: %s: %s", getattr(executable, "name", "a program"), type(error).__name__, error
            )
        return 0 if executable is None else executable._run


_asked = ctypes.CFUNCTYPE(ctypes.c_void_p, ctypes.c_void_p)(_asked_by)
