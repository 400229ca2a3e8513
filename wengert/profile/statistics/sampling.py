"""Samples of how long calls take: in turn, in random order, round after round, so that what else a machine does falls on all alike."""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from wengert.core.tree import flatten

Call = Callable[[], Any]
LEAST = 3e-4  # seconds of one sample: a thousand times what a clock resolves, and what a call of it costs
FEWEST = 10  # rounds, however slow the calls are


@dataclass
class Samples:
    """Seconds of one call, one entry per round.

    wall, cpu : by the clock on the wall, and of processor time of the whole process, all threads added up
    loops : how many calls one sample took
    first : seconds of the very first call, compilation included
    """

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    loops: int = 1
    first: float = float("nan")

    def by(self, clock: str) -> np.ndarray:
        return np.array(self.wall if clock == "wall" else self.cpu)


def finished(result: Any) -> Any:
    """`result`, once it is there: results of libraries that compute behind the caller's back are waited for."""
    for leaf in flatten(result)[0]:
        wait = getattr(leaf, "block_until_ready", None)
        if wait is not None:
            wait()
    return result


def interleaved(
    calls: Mapping[str, Call],
    *,
    seconds: float | None = 1.0,
    rounds: int | None = None,
    fewest: int = FEWEST,
    seed: int = 0,
    watch: Callable[[int, int], None] | None = None,
) -> dict[str, Samples]:
    """Samples of every call, aligned by rounds.

    Parameters
    ----------
    seconds : of measuring per call, about; a round is never cut short, and there are `fewest` at least. None: no limit
    rounds : that many at most
    watch : told of (rounds done, rounds expected) now and then: for progress bars

    The garbage collector runs before, and not during, the measurement.
    """
    samples = {name: Samples() for name in calls}
    for name, call in calls.items():
        samples[name].first = once(call)[0]
    total = sum(_calibrated(call, samples[name]) for name, call in calls.items())
    limit = float("inf") if seconds is None else seconds * len(calls)
    expected = rounds or max(fewest, int(min(limit / max(total, 1e-9), 1e6)))
    order, rng = list(calls), np.random.default_rng(seed)
    enabled = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        end = time.perf_counter() + limit
        for done in range(expected):
            for i in rng.permutation(len(order)):
                _sample(calls[order[i]], samples[order[i]])
            if watch is not None:
                watch(done + 1, expected)
            if done + 1 >= fewest and time.perf_counter() > end:
                break
    finally:
        if enabled:
            gc.enable()
    return samples


def once(call: Call, loops: int = 1) -> tuple[float, float]:
    """Seconds of one of `loops` calls, by the clock on the wall and of processor time."""
    turns = range(loops)
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in turns:
        call()
    wall = time.perf_counter() - wall
    return wall / loops, (time.process_time() - cpu) / loops


def _calibrated(call: Call, samples: Samples) -> float:
    """Set how many calls make a sample; gives the seconds that one takes."""
    took = min(once(call)[0] for _ in range(3))
    samples.loops = max(1, int(np.ceil(LEAST / max(took, 1e-8))))
    return took * samples.loops


def _sample(call: Call, samples: Samples) -> None:
    wall, cpu = once(call, samples.loops)
    samples.wall.append(wall)
    samples.cpu.append(cpu)
