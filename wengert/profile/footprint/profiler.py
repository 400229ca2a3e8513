"""`MemoryProfiler` and `memory`: run something, and see every byte of it by line, op, role and phase.

While a profiler is on, it keeps numbers alone: addresses, sizes and lines, and no array, so that memory that would have been freed
or written over still is. What they mean is found out afterwards (`attribution.py`). Compiled programs and compiled sweeps run as
ever: their memory is in the meter's log.
"""

from __future__ import annotations

import contextlib
import functools
import operator
import threading
from collections.abc import Callable, Iterator
from time import perf_counter
from typing import Any

import numpy as np

from wengert.core import events
from wengert.core.abstract import Abstract
from wengert.core.op import Op
from wengert.core.sizes import shown
from wengert.core.source import Source, here
from wengert.core.tensor import Tensor
from wengert.core.tree import flatten
from wengert.graph.atoms import Away
from wengert.profile.footprint.attribution import Attribution
from wengert.profile.footprint.calls import Note, Outside
from wengert.profile.footprint.meter import meter, root_of, session, unavailable
from wengert.profile.footprint.report import MemoryReport

WRITTEN_OVER = frozenset({operator.add, operator.sub, operator.mul, operator.truediv, operator.neg})
_running: list[MemoryProfiler] = []
_phases = threading.local()


@contextlib.contextmanager
def phase(name: str) -> Iterator[None]:
    """What runs in this block belongs to phase `name` in memory reports; pullbacks of its ops to "name, backward".

    Phases nest: the innermost counts.
    """
    before = getattr(_phases, "name", "")
    _turn(name)
    try:
        yield
    finally:
        _turn(before)


def _turn(name: str) -> None:
    for profiler in tuple(_running):
        profiler._changed_phase()
    _phases.name = name


class MemoryProfiler:
    """Measures what is held while its `with` block runs.

        with wg.profile.MemoryProfiler() as prof:
            params = train_step(params, batch)
        print(prof.report)

    Parameters
    ----------
    name : shown in the report
    live : bool
        Show the usage in the terminal while the block runs.
    callback : called with (live, peak) in bytes every `interval` seconds, in a thread of its own

    `live()`, `peak()` and `pool()` may be read at any time, from any thread. Memory that NumPy takes in other threads counts from
    the first op of wengert's there on. Cost: some 3 µs, and half a kilobyte until the report is made, for each op.
    """

    def __init__(
        self,
        name: str = "",
        *,
        live: bool = False,
        callback: Callable[[int, int], None] | None = None,
        interval: float = 0.1,
    ) -> None:
        self.name, self.interval = name, interval
        self.callback = _Screen(name) if live else callback
        self._meter, self._root = meter(), root_of()
        self._caller = here(2)
        self._notes: list[Note] = []
        self._outside: dict[int, Outside] = {}
        self._made: set[int] = set()
        self._results: set[int] = set()
        self._report: MemoryReport | None = None
        self._began = self._seconds = 0.0
        self._stack = contextlib.ExitStack()
        self._watcher: _Watcher | None = None

    # ── while it runs ─────────────────────────────────────────────────────────

    def __enter__(self) -> MemoryProfiler:
        if self._began:
            raise RuntimeError("a MemoryProfiler measures once: make a new one")
        self._stack.enter_context(
            events.listening(
                recorded=self._recorded,
                cotangent=self._pulled,
                accumulated=self._accumulated,
                swept=self._swept,
                evaluated=self._evaluated,
                compiled=self._compiled,
            )
        )
        _running.append(self)
        if self.callback is not None:
            self._watcher = _Watcher(self, self.callback, self.interval)
        self._began = perf_counter()
        self._origin = session().now() if self._meter.exact else int(self._began * 1e9)
        self._meter.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._note("end")
        self._meter.stop()
        self._seconds = perf_counter() - self._began
        _running.remove(self)
        self._stack.close()
        if self._watcher is not None:
            self._watcher.stop()

    def live(self) -> int:
        """Bytes that are held now, and were taken since the block began."""
        return self._meter.live()

    def peak(self) -> int:
        """The most of them so far."""
        return self._meter.peak()

    def pool(self) -> int:
        """Bytes of dead blocks of large results, which the runtime keeps for the next ones."""
        return self._meter.held()

    def tensors(self) -> int:
        """How many arrays and workspaces were made so far."""
        return self._meter.taken()[0]

    # ── what is told ──────────────────────────────────────────────────────────

    def _note(self, kind: str, **what: Any) -> None:
        self._meter.here()
        seconds = perf_counter() - self._began
        self._notes.append(Note(kind, self._meter.mark(), seconds, getattr(_phases, "name", ""), **what))

    def _changed_phase(self) -> None:
        self._note("phase")

    def _recorded(self, tape: Any, row: Any, out: Any) -> None:
        op, ins, outs, _, xs, saved, code, lasti = row
        made, kept = self._roots(out), self._roots(saved)
        self._made.update(made)
        kept += self._operands(xs)
        fresh = op.eval in WRITTEN_OVER and getattr(out, "base", None) is None
        vars_ = outs if op.multi else (outs,)
        source = None if code is None else (code, lasti)
        self._note(
            "traced" if _staged(out) else "recorded",
            op=op,
            source=source,
            outs=made,
            kept=kept,
            ins=ins,
            vars=vars_,
            fresh=fresh,
        )

    def _evaluated(self, op: Op, where: Source | None, args: Any, out: Any) -> None:
        made = self._roots(out)
        self._made.update(made)
        self._note("evaluated", op=op, source=where, outs=made, read=self._operands(args))

    def _pulled(self, row: Any, ct: Any, cts: Any, began: float, ended: float) -> None:
        op, ins, outs, _, xs, saved, code, lasti = row
        given, made = self._roots(ct), self._roots(cts, holes=True)
        self._made.update(made)
        fresh = op.overwrite is not None and bool(made) and made[0] in given
        source = None if code is None else (code, lasti)
        vars_ = outs if op.multi else (outs,)
        read = [*given, *self._roots(saved), *self._roots(xs)]
        self._note(
            "traced" if _staged(ct) else "cotangent",
            op=op,
            source=source,
            outs=made,
            read=read,
            ins=ins,
            vars=vars_,
            fresh=fresh,
        )

    def _accumulated(self, *what: Any) -> None:
        made = self._roots(what[-1])  # the total
        self._made.update(made)
        self._note("accumulated", name="sum of cotangents", outs=made, fresh=True)

    def _swept(self, program: Any, began: float, ended: float) -> None:
        self._note("swept", name="backward pass", source=here(2))

    def _compiled(self, executable: Any, program: Any) -> None:
        self._note("compiled", name=executable.name)

    def _roots(self, x: Any, holes: bool = False) -> list[int]:
        """Addresses of the memory of arrays; `holes` keeps the place of what has none."""
        found = []
        for value in x if isinstance(x, tuple | list) else (x,):
            value = _bottom(value)
            if (at := self._root(value)) or holes:
                found.append(at)
                if at and not self._meter.exact:
                    self._meter.seen(value, at)
        return found

    def _operands(self, xs: Any) -> list[int]:
        """`_roots`, and a look at those that nobody is known to have made."""
        found = []
        for value in xs:
            value = _bottom(value)
            if at := self._root(value):
                found.append(at)
                if at not in self._made and at not in self._outside:
                    self._outside[at] = _described(value)
        return found

    # ── afterwards ────────────────────────────────────────────────────────────

    @property
    def report(self) -> MemoryReport:
        """What was measured; made on first use, after the block."""
        if self._report is None:
            if not self._seconds:
                raise RuntimeError("a MemoryProfiler has its report once its `with` block has ended")
            self._report = self._reported()
            self._notes, self._outside, self._made = [], {}, set()
        return self._report

    def _reported(self) -> MemoryReport:
        entries = self._meter.log
        inside = {e.address for e in entries}
        outside = {at: info for at, info in self._outside.items() if at not in inside}
        report = Attribution(entries, self._notes, outside, self._origin, self._caller).report(self.name, self._results)
        report.seconds = self._seconds
        report.notes.append(self._meter.note)
        if not self._meter.exact:
            report.notes.append(f"counts are not exact here: {unavailable()}")
        if self._meter.lost:
            report.notes.append("the log was full: what came later is in the peak, but has no line")
        report.peak = max(report.peak, self._meter.peak())
        if (held := self._meter.held()) > 0:
            report.notes.append(f"{shown(held)} lie in dead blocks, kept for the next large results; they are not held")
        if (n := self._meter.threads()) > 1:
            report.notes.append(f"{n} threads; NumPy's memory in others counts from their first op of wengert's on")
        return report


def _bottom(value: Any) -> Any:
    """The array that a Tensor, or what a hook has put away but not out of memory, stands for."""
    while type(value) is Tensor:
        value = value._value
    return value.present if isinstance(value, Away) else value


def _staged(out: Any) -> bool:
    """Whether it has no values: a function is being traced, to be compiled."""
    return any(type(_bottom(x)) is Abstract for x in (out if isinstance(out, tuple | list) else (out,)))


def _described(array: np.ndarray) -> Outside:
    whole = array
    while isinstance(whole.base, np.ndarray):
        whole = whole.base
    return Outside(whole.nbytes, whole.shape, str(whole.dtype))


def memory(
    fun: Callable[..., Any], *, name: str = "", live: bool = False, callback: Callable[[int, int], None] | None = None
) -> Callable[..., MemoryReport]:
    """A function that runs `fun` once, and returns what it held instead of its result.

        report = wg.profile.memory(wg.value_and_grad(loss))(params, batch)
        print(report)
        loss_, grads = report.result

    `report.result` is what `fun` returned; `del report.result` lets go of it. A jitted function that has not been called
    with such arguments is compiled on the way: call it before to leave that out. Parameters: see `MemoryProfiler`.
    """

    @functools.wraps(fun)
    def measured(*args: Any, **kwargs: Any) -> MemoryReport:
        label = name or getattr(fun, "__qualname__", "") or getattr(fun, "__name__", type(fun).__name__)
        profiler = MemoryProfiler(label, live=live, callback=callback)
        profiler._operands(_arrays((args, kwargs)))
        with profiler:
            result = fun(*args, **kwargs)
            profiler._results = set(profiler._roots(_arrays(result)))
        report = profiler.report
        report.result = result
        return report

    return measured


def _arrays(tree: Any) -> list[Any]:
    """The arrays in any nesting."""
    return flatten(tree)[0]


class _Watcher:
    """Calls somebody every so often from a thread of its own."""

    def __init__(self, profiler: MemoryProfiler, callback: Callable[[int, int], None], interval: float) -> None:
        self.profiler, self.callback, self.interval = profiler, callback, interval
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._run, name="wengert memory", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        with contextlib.ExitStack() as stack:
            if isinstance(self.callback, _Screen):
                stack.callback(self.callback.close)
            while not self.ended.wait(self.interval):
                self.callback(self.profiler.live(), self.profiler.peak())
            self.callback(self.profiler.live(), self.profiler.peak())

    def stop(self) -> None:
        self.ended.set()
        self.thread.join()


class _Screen:
    """The usage as a line in the terminal that is written anew."""

    def __init__(self, name: str) -> None:
        from rich.live import Live

        self.name, self.live = name or "memory", Live(transient=True)
        self.live.start()

    def __call__(self, live: int, peak: int) -> None:
        filled = round(30 * max(live, 0) / peak) if peak > 0 else 0
        self.live.update(f"{self.name}  {'█' * filled}{'·' * (30 - filled)}  {shown(live)} now, {shown(peak)} at most")

    def close(self) -> None:
        self.live.stop()
