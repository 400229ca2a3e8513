"""`wg.benchmark`: how long functions take, beside each other, with the certainty that the samples give."""

from __future__ import annotations

import datetime
import gc
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np

from wengert.core import events
from wengert.core.tree import flatten
from wengert.profile.footprint.meter import meter
from wengert.profile.statistics.estimates import compare, median, outliers, steady_from
from wengert.profile.statistics.machine import load, machine
from wengert.profile.statistics.report import BenchmarkReport, Row
from wengert.profile.statistics.sampling import FEWEST, Call, Samples, finished, interleaved

Against = Callable[..., Any] | Sequence[Callable[..., Any]] | Mapping[str, Callable[..., Any]]
NOISY = 0.1  # relative spread of samples from which on a note is made of it


def benchmark(
    f: Callable[..., Any],
    *args: Any,
    against: Against = (),
    name: str = "",
    seconds: float = 1.0,
    rounds: int | None = None,
    clock: Literal["wall", "cpu"] = "wall",
    memory: bool = True,
    agree: float | None = 1e-6,
    threshold: float = 0.02,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
    **kwargs: Any,
) -> BenchmarkReport:
    """Time `f(*args, **kwargs)`, and other functions of the same arguments beside it.

        wg.benchmark(wg.jit(wg.grad(loss)), params, against={"eager": wg.grad(loss)})

    Rounds are interleaved: each calls every function, in random order, so that what else the machine does falls on all of them.
    Rounds of warm-up are found, and left out. Estimates are medians with 95 % intervals from a bootstrap of blocks; functions
    are compared by the median of the ratios within rounds, the Mann–Whitney test, and Cliff's δ.

    Parameters
    ----------
    against : a function, a sequence of them, or a mapping from names to functions
    name : of `f`, and of the report
    seconds : of measuring per function; there are ten rounds at least
    rounds : that many instead
    clock : "wall", or "cpu": processor time of the whole process, which other processes disturb less
    memory : also the peak bytes of one call beyond its arguments, measured in a call apart
    agree : relative tolerance within which results must agree with those of `f`; differences are notes. None: not looked at
    threshold : relative difference up to which two functions count as the same

    Results that are computed asynchronously are waited for. The first call of each function is timed apart, and in it the time
    that wengert took to compile.
    """
    functions = _named(name or _name(f), f, against)
    results: dict[str, Any] = {}
    compiling = dict.fromkeys(functions, 0.0)

    def call_of(label: str, function: Callable[..., Any]) -> Call:
        return lambda: finished(function(*args, **kwargs))

    calls = {label: call_of(label, function) for label, function in functions.items()}
    firsts: dict[str, float] = {}
    for label, call in calls.items():
        firsts[label], compiling[label], results[label] = _first_call(call)
    notes = _disagreements(results, agree)
    limit = seconds if rounds is None else None
    samples = interleaved(calls, seconds=limit, rounds=rounds, fewest=FEWEST, seed=seed, watch=progress)
    rng = np.random.default_rng(seed)
    start = max(steady_from(s.by(clock)) for s in samples.values())
    rows = [_row(label, samples[label], start, clock, rng) for label in functions]
    for row in rows:
        row.first, row.compiling = firsts[row.name], compiling[row.name]
        row.peak = _peak(calls[row.name]) if memory else None
    first, *others = (np.array(row.times) for row in rows)
    comparisons = {
        row.name: compare(first, times, rng, paired=True, threshold=threshold)
        for row, times in zip(rows[1:], others, strict=True)
    }
    date = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    report = BenchmarkReport(name or _name(f), clock, rows, comparisons, machine(), date, notes)
    report.notes += _doubts(report)
    return report


def _named(name: str, f: Callable[..., Any], against: Against) -> dict[str, Callable[..., Any]]:
    if isinstance(against, Mapping):
        named = list(against.items())
    else:
        named = [(_name(g), g) for g in ([against] if callable(against) else against)]
    functions = {name: f}
    for label, function in named:
        n, unique = 2, label
        while unique in functions:
            unique, n = f"{label} ({n})", n + 1
        functions[unique] = function
    return functions


def _name(f: Any) -> str:
    return getattr(f, "__qualname__", None) or getattr(f, "__name__", None) or type(f).__name__


def _first_call(call: Call) -> tuple[float, float, Any]:
    """Seconds of the first call, those of making machine code in it, and its result."""
    spent: list[float] = []
    with events.listening(compiled=lambda executable, program: spent.append(sum(executable.seconds.values()))):
        began = time.perf_counter()
        result = call()
        return time.perf_counter() - began, sum(spent), result


def _row(label: str, samples: Samples, start: int, clock: str, rng: np.random.Generator) -> Row:
    times = samples.by(clock)
    rest = times[start:]
    middle = median(rest, rng)
    mad = float(np.median(np.abs(rest - middle.value)))
    steady = steady_from(rest) == 0
    return Row(
        label, rest.tolist(), samples.loops, start, steady, middle, float(rest.min()), mad, outliers(rest), samples.first
    )  # fmt: skip


def _peak(call: Call) -> int:
    """Bytes that arrays and compiled programs held at most during one call."""
    gc.collect()
    counts = meter()
    counts.start()
    try:
        call()
        return counts.peak()
    finally:
        counts.stop()


def _disagreements(results: Mapping[str, Any], tolerance: float | None) -> list[str]:
    """Which functions give other results than the first: times of different things are not to be compared."""
    (first, mine), *others = results.items()
    if tolerance is None:
        return []
    notes = []
    for label, theirs in others:
        told = _disagreement(flatten(mine)[0], flatten(theirs)[0], tolerance)
        if told:
            notes.append(f"{label} does not agree with {first}: {told}")
    return notes


def _disagreement(mine: Sequence[Any], theirs: Sequence[Any], tolerance: float) -> str:
    if len(mine) != len(theirs):
        return f"{len(theirs)} arrays against {len(mine)}"
    for i, (a, b) in enumerate(zip(mine, theirs, strict=True)):
        try:
            a, b = np.asarray(a), np.asarray(b)
        except Exception as error:
            return f"array {i} cannot be read: {error}"
        if a.shape != b.shape:
            return f"array {i} has shape {b.shape} against {a.shape}"
        if a.dtype.kind not in "fciub" or not a.size:
            continue
        with np.errstate(all="ignore"):
            scale = np.max(np.abs(a[np.isfinite(a)]), initial=0.0)
            gap = np.max(np.abs(np.subtract(a, b, dtype=np.result_type(a, b, float))), initial=0.0)
        if not np.allclose(a, b, rtol=tolerance, atol=tolerance * float(scale), equal_nan=True):
            return f"array {i} differs by {gap:.2g}, where the largest entry is {scale:.2g}"
    return ""


def _doubts(report: BenchmarkReport) -> list[str]:
    """What makes the figures less sure than they look."""
    doubts = []
    busy = load()
    if busy is not None and busy > report.machine["cpus"]:
        doubts.append(f"the machine is busy: {busy:.1f} processes want {report.machine['cpus']} processors")
    for row in report.rows:
        if row.mad > NOISY * row.median.value:
            scatter = f"{row.name} scatters by {100 * row.mad / row.median.value:.0f} %"
            doubts.append(f"{scatter}: seconds= gives more rounds, clock='cpu' less noise")
        if not row.steady:
            doubts.append(f"{row.name} has not settled: seconds= gives more rounds")
    return doubts
