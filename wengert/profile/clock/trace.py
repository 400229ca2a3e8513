"""A time report as a trace that Perfetto and chrome://tracing open: JSON of the "trace event" format.

One track a thread, with what happened nested as it was; a line of spans above the ops tells whose function of the user's they stand
in. Memory is a counter, where a memory report of the same run is given. Times are in microseconds since the beginning.
Source  Google, Trace Event Format (2016).
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from wengert.profile.clock.rows import Span

if TYPE_CHECKING:
    from wengert.profile.clock.report import TimeReport

CATEGORIES = {"forward": "op", "backward": "pullback", "sweep": "backward pass"}


def trace(report: TimeReport, memory: Any = None) -> dict[str, Any]:
    """The whole, to be written as JSON."""
    pid = os.getpid()
    events: list[dict[str, Any]] = [_meta("process_name", pid, 0, report.name or "wengert")]
    events += [_meta("thread_name", pid, number, name) for number, name in report.threads.items()]
    for thread in sorted({span.thread for span in report.spans}):
        spans = [span for span in report.spans if span.thread == thread]
        events += [_complete(span, pid) for span in nested([*spans, *visits(spans)])]
    if memory is not None:
        events += [_counter(pid, point.seconds, point.live) for point in memory.timeline]
    return {
        "traceEvents": events,
        "displayTimeUnit": "ms",
        "otherData": {"name": report.name, "wall": report.wall, "notes": report.notes},
    }


def _meta(kind: str, pid: int, tid: int, name: str) -> dict[str, Any]:
    return {"name": kind, "ph": "M", "pid": pid, "tid": tid, "args": {"name": name}}


def _complete(span: Span, pid: int) -> dict[str, Any]:
    line = {"line": str(span.line), "text": span.line.text} if span.line.file else {}
    return {
        "name": span.name, "cat": CATEGORIES.get(span.kind, span.kind), "ph": "X", "pid": pid, "tid": span.thread,
        "ts": round(span.began * 1e6, 3), "dur": round((span.ended - span.began) * 1e6, 3),
        "args": {**line, **span.notes},
    }  # fmt: skip


def _counter(pid: int, seconds: float, live: int) -> dict[str, Any]:
    return {
        "name": "memory", "ph": "C", "pid": pid, "tid": 0, "ts": round(seconds * 1e6, 3), "args": {"bytes": int(live)},
    }  # fmt: skip


def nested(spans: Iterable[Span]) -> Iterator[Span]:
    """The spans of one thread in order, each cut to end no later than the one that it began in: clocks are read apart, and
    nanoseconds overlap."""
    stack: list[float] = []
    for span in sorted(spans, key=lambda s: (s.began, -s.ended)):
        while stack and stack[-1] <= span.began:
            stack.pop()
        if stack and span.ended > stack[-1]:
            span = replace(span, ended=stack[-1])
        stack.append(span.ended)
        yield span


def visits(spans: Iterable[Span]) -> Iterator[Span]:
    """Spans of the user's functions: outermost ops one after the other that stand in the same one, with nothing else between."""
    current: Span | None = None
    end = 0.0
    for span in sorted(spans, key=lambda s: (s.began, -s.ended)):
        if span.began < end:  # within another
            continue
        end = span.ended
        name = span.line.function if span.kind == "forward" else ""
        if current is not None and current.name == name:
            current.ended = span.ended
            continue
        if current is not None:
            yield current
        current = Span(name, "function", span.thread, span.began, span.ended, span.line) if name else None
    if current is not None:
        yield current
