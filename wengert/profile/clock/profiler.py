"""`time` and `TimeProfiler`."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any

from wengert.core.errors import WengertError
from wengert.profile.clock.analysis import analysed
from wengert.profile.clock.machine import Machine, machine
from wengert.profile.clock.recorder import EVENTS, Recorder
from wengert.profile.clock.report import TimeReport


class TimeProfiler:
    """Time everything that runs within a `with` block, in all threads.

        with wg.profile.TimeProfiler() as prof:
            train(steps)
        print(prof.report())

    Eager ops and pullbacks are timed one by one, from the next tape on; compiled programs by variants of theirs with clocks between
    their kernels, which are made when each is first called: the results are the same. Nothing of that is left when the block ends.

    Parameters
    ----------
    name : what the report is called
    cpu : whether to read the processor's time too, which takes half a microsecond twice for each op
    room : events that are kept one by one, 36 bytes each; those that come later are in sums alone
    machine : what to compare with; None: what is measured here, in two seconds, once; False: nothing
    """

    def __init__(
        self, name: str = "", *, cpu: bool = True, room: int = EVENTS, machine: Machine | bool | None = None
    ) -> None:
        self.name, self._cpu, self._room, self._machine = name, cpu, room, machine
        self._recorder: Recorder | None = None
        self._report: TimeReport | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> TimeProfiler:
        if self._recorder is not None:
            raise WengertError(
                "TimeProfiler", got="a second `with` of the same profiler", want="a profiler for each block",
                fix="make another TimeProfiler()",
            )  # fmt: skip
        recorder = Recorder(self._cpu, self._room)
        recorder.start()
        self._recorder = recorder
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self._recorder is not None
        self._recorder.stop()

    def report(self) -> TimeReport:
        """What was found, once the block has ended. Cost: about a millisecond for each op at each line, whose flops are counted."""
        recorder = self._recorder
        if recorder is None or not hasattr(recorder, "wall_ended"):
            raise WengertError(
                "TimeProfiler.report", got="a profiler that is still at work" if recorder else "one that was not used",
                want="one whose `with` block has ended", fix="call report() after the block",
            )  # fmt: skip
        with self._lock:
            if self._report is None:
                self._report = analysed(recorder, self.name)
                if self._machine is not False:
                    self._report.machine = self._machine if isinstance(self._machine, Machine) else machine()
        return self._report


def time(
    fun: Callable[..., Any], *, calls: int = 5, cpu: bool = True, machine: Machine | bool | None = None
) -> Callable[..., TimeReport]:
    """`fun` as a function that gives a report of where its time went.

        print(wg.profile.time(step)(params, batch))

    It is called once, which may compile (`report.first`), and then `calls` times (the report itself; with 0 the first call is the
    report). So what it changes is changed so often. `report.result` is what it has returned last.

    See `TimeProfiler` for `cpu` and `machine`, and for what is timed and how.
    """

    @functools.wraps(fun)
    def timed(*args: Any, **kwargs: Any) -> TimeReport:
        name = getattr(fun, "__qualname__", None) or type(fun).__name__
        with TimeProfiler(name, cpu=cpu, machine=machine) as prof:
            result = fun(*args, **kwargs)
        report = first = prof.report()
        if calls:
            with TimeProfiler(name, cpu=cpu, machine=machine) as prof:
                for _ in range(calls):
                    result = fun(*args, **kwargs)
            report = prof.report()
            report.calls, report.first = calls, first
        report.result = result
        return report

    return timed
