"""Interleaved rounds, and whether the libraries agree before they are timed."""

from __future__ import annotations

import statistics

import numpy as np

from wengert.profile.statistics.sampling import Samples, interleaved
from workloads.libraries import Call, leaves


def figures(samples: Samples) -> dict[str, float]:
    """Of the seconds of a call."""
    return {
        "min": min(samples.wall),
        "median": statistics.median(samples.wall),
        "cpu min": min(samples.cpu),
        "cpu median": statistics.median(samples.cpu),
        "rounds": len(samples.wall),
    }


def sampled(calls: dict[str, Call], rounds: int, budget: float) -> dict[str, Samples]:
    """Each call in turn, `rounds` times or as often as `budget` seconds allow, but three times at least."""
    return interleaved(calls, rounds=rounds, seconds=budget / len(calls), fewest=3)


def ratio(theirs: Samples, ours: Samples, clock: str) -> dict[str, float]:
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
