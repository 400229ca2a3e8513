"""Interleaved rounds, and whether the libraries agree before they are timed."""

from __future__ import annotations

import gc
import statistics
import time
from dataclasses import dataclass, field

import numpy as np

from workloads.libraries import Call, leaves


@dataclass
class Times:
    """Seconds of one call, for each round: by the clock on the wall, and of processor time."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)

    def by(self, clock: str) -> list[float]:
        return self.wall if clock == "wall" else self.cpu

    def figures(self) -> dict[str, float]:
        return {
            "min": min(self.wall),
            "median": statistics.median(self.wall),
            "cpu min": min(self.cpu),
            "cpu median": statistics.median(self.cpu),
            "rounds": len(self.wall),
        }


def once(call: Call, count: int, times: Times) -> None:
    cpu, wall = time.process_time(), time.perf_counter()
    for _ in range(count):
        call()
    times.wall.append((time.perf_counter() - wall) / count)
    times.cpu.append((time.process_time() - cpu) / count)


def interleaved(calls: dict[str, Call], rounds: int, budget: float) -> dict[str, Times]:
    """Each call in turn, `rounds` times or as often as `budget` seconds allow, but three times at least. A turn takes
    2 ms at least, so that the clocks can tell."""
    counts = {}
    for name, call in calls.items():
        call()
        trial = Times()
        for _ in range(3):
            once(call, 1, trial)
        counts[name] = max(1, int(0.002 / max(min(trial.wall), 1e-7)))
    times = {name: Times() for name in calls}
    gc.collect()
    start = time.perf_counter()
    for turn in range(rounds):
        for name, call in calls.items():
            once(call, counts[name], times[name])
        if turn >= 2 and time.perf_counter() - start > budget:
            break
    return times


def ratio(theirs: Times, ours: Times, clock: str) -> dict[str, float]:
    """How many times longer theirs takes: of the minima, and the median over rounds."""
    pairs = zip(theirs.by(clock), ours.by(clock), strict=True)
    return {"min": min(theirs.by(clock)) / min(ours.by(clock)), "median": statistics.median(a / b for a, b in pairs)}


def disagreement(ours: object, theirs: object, tolerance: float) -> str:
    """How two results differ by more than `tolerance` of the largest entry; "" where they do not."""
    mine, other = leaves(ours), leaves(theirs)
    if len(mine) != len(other):
        return f"{len(mine)} results against {len(other)}"
    for i, (a, b) in enumerate(zip(mine, other, strict=True)):
        if a.shape != b.shape:
            return f"result {i} has shape {a.shape}, theirs {b.shape}"
        if not a.size:
            continue
        gap, scale = np.max(np.abs(a - b)), np.max(np.abs(b))
        if not gap <= tolerance * max(scale, np.finfo(b.dtype).tiny):
            return f"result {i} differs by {gap:.2g}, where the largest entry is {scale:.2g}"
    return ""
