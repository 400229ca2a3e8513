"""One workload: is it right, and what does it take."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np
from workloads.libraries import interpreted, leaves, mapped
from workloads.timing import disagreement, figures, ratio, sampled

from control.workload import Computation, Library, Workload
from wengert.profile.statistics.sampling import Samples, once

Call = Callable[[], Any]


class Ready:
    """A compiled function of a library, with its arguments; what it gives is waited for."""

    def __init__(self, lib: Library, function: Callable[..., Any], args: Any) -> None:
        self.step, self.args, self.wait = lib.jit(function), args, lib.wait

    def __call__(self) -> Any:
        return self.wait(self.step(*self.args))


WHAT = ("value", "slope")


def calls(lib: Library, computation: Computation) -> dict[str, Ready]:
    """The function and its derivative, compiled when first called, of arrays that the library takes as they are."""
    args = mapped(lib.array, computation.args)
    functions = {"value": computation.run, "slope": computation.slope}
    return {what: Ready(lib, f, args) for what, f in functions.items() if f is not None}


def eager(computation: Computation) -> dict[str, Any]:
    """Results of ours without a compiler: loops are Python's, trip by trip."""
    functions = {"value": computation.run, "slope": computation.slope}
    return {what: f(*computation.args) for what, f in functions.items() if f is not None}


def first(call: Call, clock: str) -> tuple[Any, float]:
    kept = []
    wall, cpu = once(lambda: kept.append(call()))
    return kept[0], wall if clock == "wall" else cpu


class Measured:
    """What a run has found out about one workload."""

    def __init__(self, work: Workload, libraries: list[Library], asked: Any) -> None:
        self.work, self.asked = work, asked
        self.row: dict[str, Any] = {"name": work.name, "group": work.group, "trips": work.trips, "series": work.series}
        self.row["wrong"] = {}
        self.libraries = [lib for lib in libraries if lib.ours or work.jax]

    def run(self) -> dict[str, Any]:
        try:
            if self.small():
                self.large()
        except Exception as error:  # shown as a row that is wrong; the others still count
            self.row["wrong"]["raised"] = f"{type(error).__name__}: {error}".splitlines()[0]
        if "seconds" in self.row:
            self.row["bars"] = verdicts(self.work, self.row, "min" if self.asked.clock == "wall" else "cpu min")
        self.row["passed"] = not self.row["wrong"] and all(b["passed"] for b in self.row.get("bars", {}).values())
        return self.row

    def small(self) -> bool:
        """A small instance against plain Python loops; and whether the one asked for is within reach."""
        ours = next(lib for lib in self.libraries if lib.ours)
        computation = self.work.make(ours, *self.work.small)
        wanted, ready = eager(computation), calls(ours, computation)
        seconds = 0.0
        for what, call in ready.items():
            gap = disagreement(call(), wanted[what], self.work.tolerance)
            if gap:
                self.row["wrong"][f"{what} of a small instance, against eager"] = gap
            seconds = max(seconds, min(first(call, "wall")[1] for _ in range(3)))
        expected = seconds * self.work.trips / max(self.work.few, 1)
        if expected > self.asked.patience:
            self.row["wrong"]["too slow"] = f"about {expected:.0f} s a call"
        return not self.row["wrong"]

    def large(self) -> None:
        found: dict[str, Any] = {}
        timed: dict[str, Call] = {}
        starts: dict[str, float] = {}
        for lib in self.libraries:
            for what, call in calls(lib, self.work.make(lib, *self.work.size)).items():
                key = f"{lib.name} {what}"
                found[key], starts[key] = first(call, self.asked.clock)
                timed[key] = call
                if lib.ours and interpreted(call.step):
                    self.row["wrong"][what] = "not compiled: run by NumPy, op by op"
        if self.asked.torch and self.work.torch:
            for what, call in zip(WHAT, self.work.torch(*self.work.size), strict=True):
                if call is None:
                    continue
                timed[f"torch {what}"] = call
                found[f"torch {what}"] = call()
        for key, result in found.items():
            library, what = key.split(" ")
            if library != "ours" and (gap := disagreement(found[f"ours {what}"], result, self.work.tolerance)):
                self.row["wrong"][key] = gap
        self.row["first"] = starts
        self.row["finite"] = all(np.all(np.isfinite(a)) for r in found.values() for a in leaves(r))
        del found
        if not self.row["wrong"]:
            settle(timed)
            self.times = timings(timed, self.asked)
            self.row["seconds"] = {key: figures(t) for key, t in self.times.items()}
            self.row["ratios"] = {
                key: ratio(t, self.times[f"ours {key.split()[1]}"], self.asked.clock)
                for key, t in self.times.items()
                if not key.startswith("ours")
            }


def settle(timed: dict[str, Call]) -> None:
    """Let what was compiled quickly be compiled well."""
    from wengert.runtime import tiers

    for key, call in timed.items():
        if key.startswith("ours"):
            start = time.perf_counter()
            for _ in range(tiers.CALLS + 1):
                call()
                if time.perf_counter() - start > 2.0:
                    break
    tiers.drain()


def timings(timed: dict[str, Call], asked: Any) -> dict[str, Samples]:
    """Interleaved; what takes seconds is timed on its own, once."""
    times, quick = {}, {}
    for key, call in timed.items():
        wall, cpu = once(call)
        if wall > asked.budget / 4:
            times[key] = Samples([wall], [cpu])
        else:
            quick[key] = call
    times |= sampled(quick, asked.rounds, asked.budget) if quick else {}
    shortest = min(len(t.wall) for t in times.values())
    for t in times.values():  # the same number of rounds for all, the best of them
        if len(t.wall) != shortest:
            t.wall, t.cpu = sorted(t.wall)[:shortest], sorted(t.cpu)[:shortest]
    return {key: times[key] for key in timed}


def verdicts(work: Workload, row: dict[str, Any], key: str) -> dict[str, dict[str, Any]]:
    seconds, bars = {name: s[key] for name, s in row["seconds"].items()}, work.bars
    found = {}

    def bar(name: str, value: float | None, limit: float | None, *, least: bool) -> None:
        if limit is not None and value is not None:
            passed = value >= limit if least else value <= limit
            found[name] = {"value": value, "limit": limit, "least": least, "passed": passed}

    def times(what: str) -> float | None:
        return row["ratios"].get(f"jax {what}", {}).get("min")

    slope, value = seconds.get("ours slope"), seconds["ours value"]
    bar("value, × JAX", times("value"), bars.value, least=True)
    bar("derivative, × JAX", times("slope"), bars.jax, least=True)
    bar("derivative / value", slope and slope / value, bars.ratio, least=False)
    bar("ns a trip", slope and slope / row["trips"] * 1e9, bars.trip, least=False)
    return found
