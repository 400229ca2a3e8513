"""From what was heard to a report: each event's own time, without what ran within it, and what it was of."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from wengert.core.source import Source, is_backward
from wengert.lowering.lowered import Kernel
from wengert.profile.clock import costs
from wengert.profile.clock.recorder import Recorder, Subject
from wengert.profile.clock.report import TimeReport
from wengert.profile.clock.rows import ProgramTime, Row, Span, StageTime
from wengert.profile.footprint.report import Line
from wengert.runtime.timing import Reading, Variant

SPANS = 300_000  # that are kept for traces


@dataclass(slots=True)
class _Event:
    """One event in its place: `index` into the recorder's events, or -1 - the number of a compiled call."""

    thread: int
    began: float
    ended: float
    index: int
    own: float
    cpu: float
    holds: bool = False  # a compiled program, whose kernels count flops and bytes


def analysed(recorder: Recorder, name: str) -> TimeReport:
    """The report of a recorder that has stopped."""
    wall, cpu = recorder.wall_ended - recorder.wall_began, recorder.cpu_ended - recorder.cpu_began
    report = TimeReport(name, wall, cpu)
    events = _own(sorted(_events(recorder), key=lambda e: (e.thread, e.began, -e.ended)))
    _rows(recorder, events, report)
    for _, variant, reading, calls in recorder.programs:
        report.programs.append(_program(variant, reading, calls))
        if variant.made[1] >= recorder.wall_began:
            report.profiling += variant.seconds
    report.programs = sorted(report.programs, key=lambda p: -p.seconds)
    _notes(recorder, report)
    report.spans = sorted(_spans(recorder, events), key=lambda span: span.began)[:SPANS]
    report.threads = dict(recorder.names)
    return report


# ── events within events ──────────────────────────────────────────────────────


def _events(recorder: Recorder) -> Iterator[_Event]:
    for i in range(len(recorder.about)):
        began, ended, cpu = recorder.began[i], recorder.ended[i], recorder.cpu_seconds[i]
        yield _Event(recorder.thread[i], began, ended, i, ended - began, cpu)
    number = 0
    for _, variant, _, calls in recorder.programs:
        ident, began, ended = variant.made
        if began >= recorder.wall_began:  # it was made within the call that comes first
            yield _Event(recorder.thread_of(ident), began, ended, _MADE, ended - began, -1.0)
        for call in calls:
            number += 1
            ended = float(call[1:].max())
            yield _Event(recorder.thread_of(int(call[0])), call[1], ended, -number, ended - call[1], -1.0)


_MADE = -(1 << 60)


def _own(events: list[_Event]) -> list[_Event]:
    """Take from each event's own time that of the events directly within it."""
    stack: list[_Event] = []
    for event in events:
        while stack and (stack[-1].thread != event.thread or stack[-1].ended <= event.began):
            stack.pop()
        if stack:
            took = event.ended - event.began
            stack[-1].own -= took
            stack[-1].holds |= event.index < 0
            if stack[-1].cpu >= 0:
                stack[-1].cpu = max(0.0, stack[-1].cpu - (event.cpu if event.cpu >= 0 else took))
        stack.append(event)
    return events


# ── ops ───────────────────────────────────────────────────────────────────────


def _rows(recorder: Recorder, events: Sequence[_Event], report: TimeReport) -> None:
    seconds: defaultdict[int, float] = defaultdict(float)
    cpu: defaultdict[int, float] = defaultdict(float)
    calls, holders = Counter[int](), set[int]()
    for event in events:
        if event.index >= 0:
            about = recorder.about[event.index]
            seconds[about] += max(0.0, event.own)
            cpu[about] += event.cpu
            calls[about] += 1
            if event.holds:
                holders.add(about)
    rows: dict[Any, Row] = {}
    for i, subject in enumerate(recorder.subjects):
        late, more = subject.late
        n, took = calls[i] + int(late), seconds[i] + more
        if subject.kind == "sweep":
            report.walking += took
        elif subject.kind == "stage":
            report.stages.append(StageTime(subject.name, subject.data, took, n))
        else:
            measured = recorder.cpu and not late and cpu[i] >= 0
            _merge(rows, subject, n, took, cpu[i] if measured else None, i not in holders)
    report.rows = sorted(rows.values(), key=lambda row: -row.seconds)


def _merge(
    rows: dict[Any, Row], subject: Subject, calls: int, seconds: float, cpu: float | None, counted: bool
) -> None:
    line, flops = Line.of(subject.source), _flops(subject) if counted else None
    flops = None if flops is None else flops * calls * subject.dense
    nbytes = subject.nbytes * calls if counted else None
    key = subject.kind, subject.name, line.file, line.number, subject.dtype
    row = rows.get(key)
    if row is None:
        rows[key] = Row(
            "op", subject.name, subject.kind, [line] if line.file else [], calls, seconds, cpu, flops,
            nbytes, subject.dtype,
        )  # fmt: skip
        return
    row.calls, row.seconds = row.calls + calls, row.seconds + seconds
    row.cpu = None if row.cpu is None or cpu is None else row.cpu + cpu
    row.flops = None if row.flops is None or flops is None else row.flops + flops
    row.bytes = None if row.bytes is None or nbytes is None else row.bytes + nbytes


def _flops(subject: Subject) -> float | None:
    if subject.op is None:
        return None
    if subject.kind == "forward":
        avals, params = subject.data
        return None if params is None else costs.flops(subject.op, avals, params)
    return costs.pullback_flops(subject.op, *subject.data)


# ── compiled programs ─────────────────────────────────────────────────────────


def _program(variant: Variant, reading: Reading, calls: Any) -> ProgramTime:
    steps = sum(is_step for _, is_step, _ in variant.rows)
    times = int(reading.used // variant.record)
    total = float(reading.wall[:steps].sum()) * 1e-9
    first = float(calls[0, 1:].max() - calls[0, 1]) if len(calls) else 0.0
    kernels = []
    for i, (kernel, is_step, has_cpu) in enumerate(variant.rows):
        assert kernel is not None
        row = _kernel(kernel, variant.name, int(reading.runs[i]), reading.wall[i] * 1e-9, not is_step)
        row.cpu = float(reading.cpu[i]) * 1e-9 if has_cpu else None
        if is_step and len(calls) and calls[0, i + 2]:
            row.first = float(calls[0, i + 2] - calls[0, i + 1])
        kernels.append(row)
    steady = (total - first) / (times - 1) if times > 1 else None
    return ProgramTime(variant.name, times, total, first, steady, kernels, variant.tier.name)


def _kernel(kernel: Kernel, program: str, runs: int, seconds: float, within: bool) -> Row:
    return Row(
        kernel.kind, kernel.name, phase(kernel), lines(kernel), runs, float(seconds), None, float(kernel.flops) * runs,
        float(kernel.bytes) * runs, kernel.dtype, list(kernel.ops), program, within,
    )  # fmt: skip


def phase(kernel: Kernel) -> str:
    """ "forward", "backward", or "both" for a loop nest into which work of the two was fused."""
    found = {is_backward(source) for _, source in _placed(kernel)}
    return "both" if len(found) == 2 else "backward" if found == {True} else "forward"


def lines(kernel: Kernel) -> list[Line]:
    """The user's lines that a kernel computes, those with the most ops first."""
    counted = Counter(Line.of(source) for _, source in _placed(kernel))
    return [line for line, _ in counted.most_common()]


def _placed(kernel: Kernel) -> list[tuple[str, Source]]:
    found = [(op, source) for op, source in kernel.sources if source is not None]
    return found or [one for inner in kernel.inner for one in _placed(inner)]


# ── the rest ──────────────────────────────────────────────────────────────────


def _notes(recorder: Recorder, report: TimeReport) -> None:
    late = sum(int(subject.late[0]) for subject in recorder.subjects)
    if late:
        report.notes.append(
            f"{late} of {late + len(recorder.about)} events came when there was no more room for single ones: they are in the sums,"
            " with what ran within them, and not in the trace"
        )
    lost = 0
    for _, variant, reading, calls in recorder.programs:
        lost += int(reading.used // variant.record) - len(calls)
    if lost:
        report.notes.append(f"{lost} calls of compiled programs are in the sums, and not in the trace: no more room")
    if len(recorder.about) > SPANS:
        report.notes.append(f"the trace has the first {SPANS} things that happened")
    unknown = sum(row.flops is None and row.bytes is not None for row in report.rows)
    if unknown:
        report.notes.append(f"{unknown} ops have no count of flops: nothing is known of what NumPy or SciPy do there")


def _spans(recorder: Recorder, events: Sequence[_Event]) -> Iterator[Span]:
    zero = recorder.wall_began
    known: dict[int, Line] = {}
    for event in events:
        if event.index < 0:
            continue
        about = recorder.about[event.index]
        subject = recorder.subjects[about]
        line = known.setdefault(about, Line.of(subject.source))
        kind = "compiling" if subject.kind == "stage" else subject.kind
        name = f"{subject.data} {subject.name}" if subject.kind == "stage" else subject.name
        notes = {} if event.cpu < 0 else {"cpu µs": round(event.cpu * 1e6, 3)}
        yield Span(name, kind, event.thread, event.began - zero, event.ended - zero, line, notes)
    for _, variant, _, calls in recorder.programs:
        ident, began, ended = variant.made
        if began >= zero:
            thread = recorder.thread_of(ident)
            yield Span(f"timed variant of {variant.name}", "profiler", thread, began - zero, ended - zero)
        yield from _called(recorder, variant, calls)


def _called(recorder: Recorder, variant: Variant, calls: Any) -> Iterator[Span]:
    zero = recorder.wall_began
    steps = [kernel for kernel, is_step, _ in variant.rows if is_step and kernel is not None]
    about = [(lines(k) or [Line()], phase(k), f"{k.name} {'+'.join(k.ops[:4])}") for k in steps]
    for call in calls:
        thread, times = recorder.thread_of(int(call[0])), call[1:] - zero
        yield Span(variant.name, "program", thread, times[0], float(times.max()))
        for i, kernel in enumerate(steps):
            if call[i + 2]:
                notes = {"flops": kernel.flops, "bytes": kernel.bytes, "phase": about[i][1]}
                yield Span(about[i][2], "kernel", thread, times[i], times[i + 1], about[i][0][0], notes)
