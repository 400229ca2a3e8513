"""Exact counts of the memory that arrays and compiled programs hold, while somebody measures.

While a meter is on, NumPy asks a handler of ours for memory (NEP 49), which asks the one that was in force, and counts; blocks of
large results, workspaces of compiled programs, and what their loops keep are counted by the same counters
(`runtime/support/meter.ll`).
What was taken before does not count, and is not subtracted when it goes. With no meter on, nothing is counted.

NumPy keeps its handler per thread and context: a meter counts in the one that starts it, and in others from the moment on at which
it is told of them (`here`). Where there are no compiled entries, `Traced` takes tracemalloc's word instead.

Cost: some 50 ns a piece of memory, 0.5 µs for one of 4 KiB or more, whose stack is noted.
"""

from __future__ import annotations

import ctypes
import functools
import mmap
import struct
import threading
import tracemalloc
import weakref
from collections.abc import Callable
from types import CodeType
from typing import Any, NamedTuple

import numpy as np

from wengert.core.events import allocated, freed, tell
from wengert.runtime import objects
from wengert.runtime.blocks import blocks
from wengert.runtime.support import Handler, support

EPOCH, LIVE, PEAK, TAKEN, BYTES, GIVEN, REUSED, HEAD, TAIL, LOST = range(10)  # words of `@meter`
NUMPY, WORKSPACE, BLOCK, STACK, AGAIN = 0, 1, 2, 3, 16  # what an entry of the log is about
KINDS = ("numpy", "workspace", "block", "stack")
PLACES, WORDS = 1 << 19, 12
ROW = struct.Struct(f"<{WORDS}q")
WRAPPED = 128  # where what a handler does begins in NumPy's `PyDataMem_Handler`; its version is the byte before


class Entry(NamedTuple):
    """Memory was taken, or given back.

    size : bytes; negative where they were given back
    what : NUMPY, WORKSPACE, BLOCK or STACK; with AGAIN in memory of a dead block
    when : nanoseconds of a clock that runs on
    spec : address of the compiled entry that took it, or 0
    frames : up to three of who took it, innermost first; empty for small pieces
    """

    size: int
    address: int
    what: int
    when: int
    spec: int
    frames: tuple[tuple[CodeType, int], ...]


class _Session:
    """The counters, which all meters that are on at the same time share."""

    def __init__(self) -> None:
        code = support()
        self.lock = threading.RLock()
        self.meters: list[Counted] = []
        self.handlers: dict[int, Any] = {}  # by the id of what they wrap
        self.ours: set[int] = set()
        self.entries: list[Entry] = []
        self.codes: dict[int, CodeType] = {}
        self.epoch = 0
        self.memory: mmap.mmap | None = None
        self.words = memoryview((ctypes.c_int64 * 16).from_address(code.address("meter"))).cast("B").cast("q")
        self.functions = [code.address(f"meter_{name}") for name in ("malloc", "calloc", "realloc", "free")]
        self.now = code.function("meter_now", ctypes.c_int64)
        numpy = objects.functions()
        self.set_handler = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.py_object)(numpy["np.SetHandler"])
        self.get_handler = ctypes.PYFUNCTYPE(ctypes.py_object)(numpy["np.GetHandler"])

    # ── the handler ───────────────────────────────────────────────────────────

    def install(self) -> Any:
        """Have NumPy's memory counted in this thread and context; what `restore` needs, None if it is counted already."""
        before = self.get_handler()
        if id(before) in self.ours:
            return None
        self.set_handler(self.handler(before))
        return before

    def restore(self, before: Any) -> None:
        """Undo `install`, unless somebody else has put another handler there since."""
        if before is not None and id(self.get_handler()) in self.ours:
            self.set_handler(before)

    def handler(self, wrapped: Any) -> Any:
        """A handler that counts, and hands on to `wrapped`; kept for ever, as arrays may live as long."""
        with self.lock:
            known = self.handlers.get(id(wrapped))
            if known is None:
                at = _pointer(wrapped)
                table = Handler(b"wengert meter", 1, at + WRAPPED, *self.functions)
                name = ctypes.create_string_buffer(b"mem_handler")
                make = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
                known = make(objects.address("PyCapsule_New"))(ctypes.addressof(table), ctypes.addressof(name), None)
                for kept in (wrapped, table, name, known):
                    ctypes.pythonapi.Py_IncRef(ctypes.py_object(kept))
                self.handlers[id(wrapped)] = known
                self.ours.add(id(known))
            return known

    # ── meters come and go ────────────────────────────────────────────────────

    def enter(self, meter: Counted) -> None:
        with self.lock:
            if not self.meters:
                self._begin()
            else:
                self.settle()
                self.words[PEAK] = self.words[LIVE]
            meter.base, meter.first, meter.most = self.words[LIVE], self.mark(), 0
            self.meters.append(meter)

    def _begin(self) -> None:
        if self.memory is None:
            self.memory = mmap.mmap(-1, PLACES * ROW.size)
        self.entries, self.codes = [], {}
        for word in range(1, 16):
            self.words[word] = 0
        code = support()
        code.set("meter_places", PLACES)
        code.set("meter_log", ctypes.addressof(ctypes.c_char.from_buffer(self.memory)))
        self.epoch += 1
        self.words[EPOCH] = self.epoch

    def leave(self, meter: Counted) -> None:
        with self.lock:
            self.drain()
            self.settle()
            self.meters.remove(meter)
            meter.log = self.entries[meter.first :]
            meter.lost = self.words[LOST]
            if not self.meters:
                self.words[EPOCH] = 0
                support().set("meter_log", 0)
                self.entries, self.codes = [], {}

    def settle(self) -> None:
        """Tell every meter the peak so far, before it begins anew for one of them."""
        for meter in self.meters:
            meter.most = max(meter.most, self.words[PEAK] - meter.base)

    # ── the log ───────────────────────────────────────────────────────────────

    def mark(self) -> int:
        """How many entries there are."""
        words = self.words
        head = words[HEAD]
        if head - words[TAIL] > PLACES // 2:
            self.drain()
        return head

    def drain(self) -> None:
        """Read the log."""
        with self.lock:
            memory, words = self.memory, self.words
            if memory is None:
                return
            fresh = len(self.entries)
            while (count := min(words[HEAD] - words[TAIL], PLACES)) > 0:
                start = words[TAIL] % PLACES
                count = min(count, PLACES - start)
                rows = memory[start * ROW.size : (start + count) * ROW.size]
                written = self._read(rows)
                memory[start * ROW.size : (start + written) * ROW.size] = bytes(written * ROW.size)
                words[TAIL] += written
                if written < count:  # a row that another thread is writing, or the end of a log that is full
                    break
            if allocated or freed:
                for entry in self.entries[fresh:]:
                    tell(allocated if entry.size > 0 else freed, abs(entry.size), entry.address, KINDS[entry.what & 15])

    def _read(self, rows: bytes) -> int:
        written, entries = 0, self.entries
        for size, address, what, when, spec, *frames, _ in ROW.iter_unpack(rows):
            if not size:
                break
            written += 1
            seen = tuple([(self._code(frames[i]), frames[i + 1]) for i in (0, 2, 4) if frames[i]])
            entries.append(Entry(size, address, what, when, spec, seen))
        return written

    def _code(self, address: int) -> CodeType:
        """The code object at `address`, to which the log holds a reference."""
        known = self.codes.get(address)
        if known is None:
            known = self.codes[address] = ctypes.cast(address, ctypes.py_object).value
        ctypes.pythonapi.Py_DecRef(ctypes.py_object(known))
        return known


def _pointer(handler: Any) -> int:
    pointer_of = ctypes.PYFUNCTYPE(ctypes.c_void_p, ctypes.py_object, ctypes.c_char_p)
    return pointer_of(objects.address("PyCapsule_GetPointer"))(handler, b"mem_handler") or 0


@functools.cache
def session() -> _Session:
    return _Session()


class Counted:
    """Counts by our own handler. All figures are those since `start`, in bytes."""

    note = "counted by a memory handler of NumPy's (NEP 49), and in wengert's own machine code"
    exact = True

    def __init__(self) -> None:
        self.base = self.first = self.most = self.lost = 0
        self.log: list[Entry] = []
        self.running = False
        self._session = session()
        self._before: list[tuple[int, Any]] = []  # by thread
        self._threads: set[int] = set()
        self._ended = 0, 0, 0, 0

    def start(self) -> None:
        """Begin; this thread's memory counts from here on."""
        self._session.enter(self)
        self.running = True
        self._began = self._now()
        self.here()

    def here(self) -> None:
        """Count what NumPy takes in the thread that calls, too."""
        me = threading.get_ident()
        if me not in self._threads:
            self._threads.add(me)
            self._before.append((me, self._session.install()))

    def stop(self) -> None:
        """End. Handlers in other threads stay, and count for nobody."""
        me = threading.get_ident()
        for thread, before in self._before:
            if thread == me:
                self._session.restore(before)
        self._ended = self._now()
        self._session.leave(self)
        self.running = False

    def _now(self) -> tuple[int, int, int, int]:
        words = self._session.words
        return words[LIVE] - self.base, words[TAKEN], words[BYTES], words[REUSED]

    def live(self) -> int:
        """Bytes held that were taken since the start."""
        return self._session.words[LIVE] - self.base if self.running else self._ended[0]

    def peak(self) -> int:
        """The most of them so far."""
        return max(self.most, self._session.words[PEAK] - self.base) if self.running else self.most

    def taken(self) -> tuple[int, int, int]:
        """The number of pieces taken since the start, their bytes, and those in memory of dead blocks."""
        then, now = self._began, self._now() if self.running else self._ended
        return now[1] - then[1], now[2] - then[2], now[3] - then[3]

    def mark(self) -> int:
        """The number of entries of the log since the start."""
        return self._session.mark() - self.first

    def seen(self, array: np.ndarray, address: int) -> None:
        """An array that the log knows anyway."""

    def threads(self) -> int:
        """In how many threads it counts."""
        return len(self._threads)

    @staticmethod
    def held() -> int:
        """Bytes of dead blocks that are kept for reuse; they are not live."""
        return blocks().held


class Traced:
    """What tracemalloc tells of NumPy's domain, at each `mark`: for Pythons and NumPys that `Counted` does not know.

    Its log is made of the arrays that it is shown, and of one entry for all others.
    """

    note = "taken from tracemalloc's NumPy domain at every event: without what compiled programs take themselves, and peaks between"
    exact = False

    def __init__(self) -> None:
        self.log: list[Entry] = []
        self.lost, self.running = 0, False
        self._base = self._live = self._peak = self._known = self._other = 0
        self._pieces: dict[int, tuple[weakref.ref[np.ndarray], int]] = {}
        self._mine = False

    def start(self) -> None:
        self._mine = not tracemalloc.is_tracing()
        if self._mine:
            tracemalloc.start()
        self.running = True
        self._base = _in_domain()

    def here(self) -> None:
        """tracemalloc sees all threads."""

    def stop(self) -> None:
        self._look()
        self.running = False
        if self._mine:
            tracemalloc.stop()

    def _look(self) -> None:
        if self.running:
            self._live = _in_domain() - self._base
            self._peak = max(self._peak, self._live)

    def live(self) -> int:
        self._look()
        return self._live

    def peak(self) -> int:
        self._look()
        return self._peak

    def taken(self) -> tuple[int, int, int]:
        made = [e.size for e in self.log if e.size > 0]
        return len(made), sum(made), 0

    def mark(self) -> int:
        self._look()
        if (other := self._live - self._known) != self._other:
            self._enter(-self._other, 1)
            self._other = max(other, 0)
            self._enter(self._other, 1)
        return len(self.log)

    def seen(self, array: np.ndarray, address: int) -> None:
        """An array: its memory counts as its own from here on."""
        while isinstance(array.base, np.ndarray):
            array = array.base
        if address in self._pieces or not array.flags.owndata:
            return

        def dies(_: Any, size: int = array.nbytes) -> None:
            if self._pieces.pop(address, None) is not None:
                self._known -= size
                self._enter(-size, address)

        self._pieces[address] = weakref.ref(array, dies), array.nbytes
        self._known += array.nbytes
        self._enter(array.nbytes, address)

    def _enter(self, size: int, address: int) -> None:
        from time import perf_counter_ns

        if size and self.running:
            self.log.append(Entry(size, address, NUMPY, perf_counter_ns(), 0, ()))

    def threads(self) -> int:
        return 1

    @staticmethod
    def held() -> int:
        return 0


def _in_domain() -> int:
    """Bytes that tracemalloc knows of in NumPy's domain."""
    domain = np.lib.tracemalloc_domain
    return sum(trace.size for trace in tracemalloc.take_snapshot().traces if trace.domain == domain)


Meter = Counted | Traced


@functools.cache
def unavailable() -> str:
    """Why memory cannot be counted exactly here; empty if it can be."""
    reason = objects.supported()
    if reason:
        return reason
    try:
        at = _pointer(session().get_handler())
    except Exception as error:  # another build of NumPy
        return f"NumPy's memory handler is not to be had: {error}"
    return (
        "" if at and ctypes.string_at(at + WRAPPED - 1, 1) == b"\1" else "NumPy has another version of memory handlers"
    )


def meter() -> Meter:
    """The best there is here."""
    return Traced() if unavailable() else Counted()


@functools.cache
def root_of() -> Callable[[Any], int]:
    """A function that gives the address of the memory of an ndarray, or of what it is a view of; 0 for other objects."""
    if unavailable():
        return _root_of
    code = support()
    definition = (ctypes.c_void_p * 4)()
    name = ctypes.create_string_buffer(b"root_of")
    definition[0], definition[1] = ctypes.addressof(name), code.address("root_of")
    definition[2] = METH_O
    make = ctypes.PYFUNCTYPE(ctypes.py_object, ctypes.c_void_p, ctypes.py_object, ctypes.c_void_p)
    function = make(objects.address("PyCFunction_NewEx"))(ctypes.addressof(definition), None, None)
    for kept in (name, definition):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(kept))
    return function


METH_O = 0x0008


def _root_of(x: Any) -> int:
    if not isinstance(x, np.ndarray):
        return 0
    while isinstance(x.base, np.ndarray):
        x = x.base
    return x.__array_interface__["data"][0]
