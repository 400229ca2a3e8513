"""Leaks: what is alive after a step that was not before it, who made it, and who keeps it.

The meter (`meter.py`) says exactly which pieces of memory were taken and not given back; the garbage collector which arrays lie in
them, and who refers to those (`keepers.py`); tracemalloc at which of the user's lines they were made. What is kept for the next call
(compiled code and its constants, caches of this library's and of others') is told apart: by who keeps it, and in `leaks`
by growing in every repetition.
"""

from __future__ import annotations

import functools
import gc
import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

import numpy as np

from wengert.core.errors import LeakError
from wengert.core.sizes import shown
from wengert.core.source import LIBRARY
from wengert.core.tensor import CONSTANTS, Tensor
from wengert.profile.footprint.calls import NUMERIC, user_of
from wengert.profile.footprint.keepers import PLAIN, Keeper, Search, locals_of, running, within_reach
from wengert.profile.footprint.meter import Entry, Meter, meter, root_of
from wengert.profile.footprint.report import Line
from wengert.trace.tape import Tape

FRAMES = 12  # of tracemalloc's
GROUPS = 12  # leaks that are traced back to their keepers


@dataclass
class Leak:
    """Things of one kind from one line that are still there.

    kind : "array", "tensor", "tape", or "buffer" (memory of which no array was found)
    count, nbytes : of all of them, in the steps that were looked at
    line : the user's, at which they were made
    keeper : who keeps the last of them
    per_step : how many each step left behind
    """

    kind: str
    count: int
    nbytes: int
    line: Line
    keeper: Keeper
    per_step: Sequence[int] = ()

    def __str__(self) -> str:
        many = f"{self.count} {self.kind}s" if self.count > 1 else f"1 {self.kind}"
        size = f", {shown(self.nbytes)}" if self.nbytes else ""
        where = f"{Path(self.line.file).name}:{self.line.number}: {self.line.text}" if self.line.file else "(no line)"
        return f"{many}{size}, made at {where}\n      kept by: {self.keeper.words}"


@dataclass
class LeakReport:
    """What a step leaves behind: `leaks`, empty if nothing; `kept` is there on purpose, or does not grow.

    live : bytes held after each repetition; cyclic : bytes that waited for the garbage collector
    """

    name: str
    leaks: list[Leak] = field(default_factory=list)
    kept: list[Leak] = field(default_factory=list)
    live: list[int] = field(default_factory=list)
    cyclic: int = 0
    notes: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.leaks)

    @property
    def nbytes(self) -> int:
        """Bytes of all leaks."""
        return sum(leak.nbytes for leak in self.leaks)

    def __str__(self) -> str:
        lines = [f"{self.name}: {self._verdict()}"]
        lines += [f"  {i}. {leak}\n      fix:     {leak.keeper.fix}" for i, leak in enumerate(self.leaks, 1)]
        if self.kept:
            lines.append(f"  not leaks ({shown(sum(k.nbytes for k in self.kept))}: caches, or what does not grow):")
            lines += [f"     {leak}" for leak in self.kept]
        if self.cyclic:
            lines.append(f"  {shown(self.cyclic)} waited for the garbage collector, in reference cycles")
        return "\n".join([*lines, *(f"  {note}" for note in self.notes)])

    def _verdict(self) -> str:
        if not self.leaks:
            return "nothing leaks"
        number = sum(leak.count for leak in self.leaks)
        return f"{number} things are still alive, {shown(self.nbytes)}"

    def check(self) -> None:
        """Raise LeakError if anything leaks."""
        if self.leaks:
            raise LeakError(
                self.name,
                got="\n".join([self._verdict(), *(f"    {i}. {leak}" for i, leak in enumerate(self.leaks, 1))]),
                want="nothing alive afterwards that was not before, but caches",
                fix="; ".join(dict.fromkeys(leak.keeper.fix for leak in self.leaks if leak.keeper.fix)),
            )


# ── what is alive ─────────────────────────────────────────────────────────────


@dataclass
class _Found:
    """One thing that is alive: an object (None of a buffer that nobody was found to hold), and the step that made it."""

    kind: str
    nbytes: int
    step: int
    thing: Any
    line: Line
    address: int = 0


class _Watch:
    """A stretch of the program, in steps, with what is alive at the end of it."""

    def __init__(self) -> None:
        self.meter: Meter = meter()
        self.marks: list[int] = []
        self.live: list[int] = []
        self.cyclic = 0
        self.tracing = not tracemalloc.is_tracing()
        self.before: set[int] = set()
        self.steps: dict[int, int] = {}  # ids of Tensors and tapes → the step that made them
        self.old: set[int] = set()  # addresses of arrays that were there, where nothing counts memory
        self.seen: dict[int, int] = {}  # of others → the step that made them

    def start(self) -> None:
        gc.collect()
        self.before = _ids()
        if self.tracing:
            tracemalloc.start(FRAMES)
        elif not self.meter.exact:
            self.old = set(self._alive())
        self.meter.start()

    def step(self) -> None:
        """A step is over."""
        waiting = self.meter.live()
        gc.collect()
        self.live.append(self.meter.live())
        self.cyclic = max(self.cyclic, waiting - self.live[-1])
        self.marks.append(self.meter.mark())
        for one in _ids() - self.before - set(self.steps):
            self.steps[one] = len(self.marks) - 1
        if not self.meter.exact:
            alive = self._alive()
            self.seen = {at: self.seen.get(at, len(self.marks) - 1) for at in alive if at not in self.old}

    @staticmethod
    def _alive() -> dict[int, Any]:
        """By address, the arrays that are alive and were made since tracemalloc was started."""
        frames = [locals_of(frame) for frame in running([__file__])]
        arrays = (x for x in within_reach(frames) if isinstance(x, np.ndarray))
        return {_root(x): x for x in arrays if tracemalloc.get_object_traceback(x) is not None}

    def stop(self) -> None:
        self.meter.stop()

    def end(self) -> None:
        if self.tracing:
            tracemalloc.stop()

    def found(self) -> list[_Found]:
        """All that is alive and was not before: the objects, each buffer once."""
        pieces: dict[int, tuple[Entry, int]] = {}
        step = 0
        for i, entry in enumerate(self.meter.log):
            while step < len(self.marks) - 1 and i >= self.marks[step]:
                step += 1
            if entry.size > 0:
                pieces[entry.address] = entry, step
            else:
                pieces.pop(entry.address, None)
        if not self.meter.exact:
            alive = self._alive()
            pieces = {at: (Entry(alive[at].nbytes, at, 0, 0, 0, ()), n) for at, n in self.seen.items() if at in alive}
        arrays = _arrays_in(pieces) if pieces else {}
        found = []
        for address, (entry, at) in pieces.items():
            array = arrays.get(address)
            if array is None:
                source = user_of(entry)[0]
                found.append(_Found("buffer", entry.size, at, None, Line.of(source), address))
            else:
                found.append(_Found("array", entry.size, at, array, _line_of(array, entry), address))
        for x in _traced():
            if id(x) in self.steps:
                kind = "tensor" if isinstance(x, Tensor) else "tape"
                found.append(_Found(kind, 0, self.steps[id(x)], x, _line_of(x)))
        return found


def _traced() -> list[Any]:
    """The Tensors of traces, and the tapes, that there are."""
    found = []
    for x in gc.get_objects():
        kind = type(x)
        if (kind is Tensor and x._trace is not CONSTANTS) or kind is Tape or issubclass(kind, Tape):
            found.append(x)
    return found


def _ids() -> set[int]:
    return {id(x) for x in _traced()}


def _arrays_in(addresses: Any) -> dict[int, Any]:
    """Arrays over memory at these addresses, of those that anything the garbage collector knows, or a local variable, holds."""
    found: dict[int, Any] = {}
    frames = [locals_of(frame) for frame in running([__file__])]
    for x in within_reach(frames):
        if isinstance(x, np.ndarray) and (at := _root(x)) in addresses and at not in found:
            found[at] = x
    return found


def _root(x: np.ndarray) -> int:
    """The address of the memory that an array shows."""
    if at := root_of()(x):
        return at
    while isinstance(x.base, np.ndarray):
        x = x.base
    return x.__array_interface__["data"][0]


def _line_of(x: Any, entry: Entry | None = None) -> Line:
    """The user's line that made an object."""
    trace = tracemalloc.get_object_traceback(x)
    for frame in reversed(trace or ()):  # the innermost last
        if not frame.filename.startswith((LIBRARY, NUMERIC, "<")):
            import linecache

            return Line(frame.filename, frame.lineno, "", linecache.getline(frame.filename, frame.lineno).strip())
    return Line.of(user_of(entry)[0]) if entry else Line()


# ── what of it leaks ──────────────────────────────────────────────────────────


def _judged(found: list[_Found], steps: range | None, report: LeakReport) -> None:
    """Gather what is alive by line and kind; `steps` are those of which each must have left some for it to be a leak."""
    groups: dict[Any, list[_Found]] = {}
    for one in found:
        size = one.nbytes if not one.line.file else 0
        groups.setdefault((one.kind, one.line.file, one.line.number, size), []).append(one)
    ranked = sorted(groups.values(), key=lambda g: (-sum(x.nbytes for x in g), g[0].kind))
    search = Search([__file__])
    search.own |= {id(found), id(groups), id(ranked), *map(id, groups.values()), *(id(x) for x in found)}
    search.own |= {id(x.__dict__) for x in found}
    traced = 0
    for group in ranked:
        counts = [sum(x.step == s for x in group) for s in steps or ()]
        grows = steps is None or all(counts)
        last = group[-1]
        if traced >= GROUPS and grows:
            keeper = Keeper("not looked for: there are too many kinds of leaks", "", False, (), "")
        elif last.thing is None:
            keeper = Keeper("code that is not Python's, or an object that Python cannot see into", "", False, (), "")
        else:
            keeper = search.keeper(last.thing)
            traced += 1
        made = group if not grows or steps is None else [x for x in group if x.step in steps]
        leak = Leak(last.kind, len(made), sum(x.nbytes for x in made), last.line, keeper, counts)
        (report.leaks if grows and not keeper.cache else report.kept).append(leak)
    report.leaks = _merged(report.leaks)


def _merged(leaks: list[Leak]) -> list[Leak]:
    """Without Tensors and tapes on the way to arrays that are listed anyway, or of a tape that is named there."""
    arrays = [leak for leak in leaks if leak.kind == "array"]
    listed = {id(x) for leak in arrays for x in leak.keeper.objects if not isinstance(x, PLAIN)}
    kept = list(arrays)
    for leak in leaks:
        target: Any = leak.keeper.objects[-1] if leak.keeper.objects else None
        if leak.kind == "tensor" and (id(target) in listed or id(target._trace) in listed):
            continue
        if leak.kind == "tape" and (id(target) in listed or any(k.kind == "tensor" for k in leaks)):
            continue
        if leak.kind != "array":
            kept.append(leak)
    return kept


def leaks(
    step: Callable[..., Any], *args: Any, repeat: int = 3, warmup: int = 2, name: str = "", **kwargs: Any
) -> LeakReport:
    """Run `step(*args, **kwargs)` `warmup + repeat` times, and tell what every one of the last `repeat` has left behind.

    Results of `step` are dropped. What only the first calls leave (compiled code, caches), or what is replaced by the next step
    (`self.last = …`), is listed as kept, and is no leak.
    Cost: `step` runs at half its speed or less, under tracemalloc; the search for keepers takes some tenths of a second.
    """
    if repeat < 2:
        raise ValueError(f"leaks: got repeat={repeat}\n  want: at least 2, to tell growth from what is kept once")
    watch = _Watch()
    watch.start()
    try:
        for _ in range(warmup + repeat):
            step(*args, **kwargs)
            watch.step()
    finally:
        watch.stop()
    try:
        label = name or getattr(step, "__qualname__", "") or type(step).__name__
        report = LeakReport(label, live=watch.live, cyclic=watch.cyclic)
        _judged(watch.found(), range(warmup, warmup + repeat), report)
    finally:
        watch.end()
    return report


def assert_no_leaks(fun: Any = None, *, tolerance: int = 0) -> Any:
    """Raise `LeakError` if arrays, Tensors or tapes made in this block are alive after it: for tests; also a decorator.

        with wg.profile.assert_no_leaks():
            train(model, batch, steps=3)

        @wg.profile.assert_no_leaks
        def test_step(): ...

    Not counted are caches (compiled code and its constants), arrays that a local variable of the function with the block is bound
    to and nothing else holds (`grads = step(x)` is seen to hold them), and those that a decorated function returns. `tolerance` is
    a number of bytes that may stay. If the block raises, that is what leaves it.
    """
    return _Assertion(tolerance) if fun is None else _Assertion(tolerance)(fun)


class _Assertion:
    """What `assert_no_leaks` gives: a context manager, and a decorator."""

    def __init__(self, tolerance: int) -> None:
        self.tolerance = tolerance
        self.watch: _Watch | None = None

    def __call__(self, fun: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(fun)
        def checked(*args: Any, **kwargs: Any) -> Any:
            block = _Assertion(self.tolerance)
            block.__enter__()
            try:
                result = fun(*args, **kwargs)
            except BaseException:
                block.leave(None)
                raise
            block.leave(_arrays(result))
            return result

        return checked

    def __enter__(self) -> None:
        self.watch = _Watch()
        self.watch.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.leave(None if kind is not None else _bound(sys._getframe(1)))

    def leave(self, spared: set[int] | None) -> None:
        """End, and raise what there is to raise. Memory at `spared` may stay; None: nothing is to be looked for."""
        watch, self.watch = self.watch, None
        assert watch is not None
        if spared is not None:
            watch.step()
        watch.stop()
        try:
            found = watch.found() if spared is not None else []
            found = [x for x in found if not x.address or x.address not in (spared or ())]
            if found:
                report = LeakReport("assert_no_leaks", cyclic=watch.cyclic)
                _judged(found, None, report)
                del found
                if report.nbytes > self.tolerance or any(not leak.nbytes for leak in report.leaks):
                    report.check()
        finally:
            watch.end()


def _bound(frame: FrameType) -> set[int]:
    """Where arrays lie that local variables of a frame are bound to, alone or in tuples, and that nothing else holds."""
    local = locals_of(frame)
    names = Counter(map(id, local.values()))
    alone, again = _references()
    counts = {name: sys.getrefcount(local[name]) for name in local}
    spared: set[int] = set()
    for name, count in counts.items():
        value = local[name]
        if count <= alone + again * (names[id(value)] - 1):
            spared |= _arrays(value)
    return spared


@functools.cache
def _references() -> tuple[int, int]:
    """How many references a count of one local variable's value finds, and how many more with each further name."""

    def probe(once: Any, twice: Any) -> tuple[int, int]:
        other = twice
        local = locals_of(sys._getframe())
        counts = {name: sys.getrefcount(local[name]) for name in ("once", "twice")}
        del other
        return counts["once"], counts["twice"] - counts["once"]

    return probe(np.empty(1), np.empty(2))


def _arrays(value: Any) -> set[int]:
    """Where an array, or those that a tuple and nothing else holds, have their elements; not where another array shows them too."""
    if isinstance(value, tuple):
        return {one for i in range(len(value)) if sys.getrefcount(value[i]) <= _IN_A_TUPLE for one in _arrays(value[i])}
    if not isinstance(value, np.ndarray) or (value.base is not None and sys.getrefcount(value.base) > _AS_A_BASE):
        return set()
    return {_root(value)}


def _counts() -> tuple[int, int]:
    parts = (np.empty(1),)
    view = np.empty(1)[:]
    return sys.getrefcount(parts[0]), sys.getrefcount(view.base)


_IN_A_TUPLE, _AS_A_BASE = _counts()  # references to what nothing else holds
