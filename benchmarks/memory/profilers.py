"""What memory profiling costs: steps of training with a `MemoryProfiler` on and without, interleaved, medians of per-round ratios.

    python benchmarks/memory/profilers.py [--rounds N] [--json FILE]

"on" is a step under a profiler that is on, against the steps before and after it. "off" compares processes that take turns: the
quickest step after a profiler has ended, against the quickest in a process that has not loaded one; the noise of that is what two
processes without one differ by. Making the report, which is done after the run, is in its own column.
Bars: on ≤ 1.10; off 1.00 within noise.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np

import wengert as wg

RNG = np.random.default_rng(0)
ON, OFF = 1.10, 0.03  # bars; what is noise anyway


def perceptron(batch: int, width: int, depth: int = 3) -> tuple[Callable[..., Any], Any]:
    sizes = [width] * (depth + 1)
    params = [(RNG.normal(size=(m, n)) / np.sqrt(m), np.zeros(n)) for m, n in itertools.pairwise(sizes)]
    x, y = RNG.normal(size=(batch, width)), RNG.normal(size=(batch, width))

    def loss(params: Any, x: np.ndarray, y: np.ndarray) -> Any:
        h: Any = x
        for w, b in params:
            h = np.tanh(h @ w + b)
        return ((h - y) ** 2).mean()

    return wg.value_and_grad(loss), (params, x, y)


def seconds(call: Callable[[], Any]) -> float:
    start = perf_counter()
    call()
    return perf_counter() - start


def measured(call: Callable[[], Any], rounds: int) -> dict[str, float]:
    for _ in range(3):
        call()
    steps, on, reports = [], [], []
    for _ in range(rounds):
        first = seconds(call)
        with wg.profile.MemoryProfiler() as prof:
            call()  # the first step of a profiler makes pages of its log
            during = seconds(call)
        second = seconds(call)
        reports.append(seconds(lambda prof=prof: prof.report))
        steps.append(first)
        on.append(2 * during / (first + second))
    return {"step": statistics.median(steps), "on": statistics.median(on), "report": statistics.median(reports)}


def quickest(mode: str, batch: int, width: int, profiled: bool, rounds: int) -> float:
    """The quickest step in this process, seconds."""
    step, args = perceptron(batch, width)
    f = step if mode == "eager" else wg.jit(step)
    f(*args)
    if profiled:
        with wg.profile.MemoryProfiler():
            f(*args)
    return min(seconds(lambda: f(*args)) for _ in range(rounds))


def turns(mode: str, batch: int, width: int, rounds: int, processes: int = 5) -> tuple[float, float]:
    """Quickest steps of processes with a profiler that has ended ÷ those of processes without one; and the noise of that."""
    found: dict[bool, list[float]] = {True: [], False: []}
    for i in range(3 * processes):
        profiled = i % 3 == 1
        told = [mode, str(batch), str(width), str(int(profiled)), str(rounds)]
        done = subprocess.run([sys.executable, __file__, "--one", *told], capture_output=True, text=True, check=True)
        found[profiled].append(float(done.stdout))
    without = found[False]
    noise = abs(min(without[::2]) / min(without[1::2]) - 1)
    return min(found[True]) / min(without), noise


def rows(rounds: int = 30) -> list[dict[str, Any]]:
    """One row a workload."""
    found = []
    for batch, width in ((256, 512), (32, 64)):
        step, args = perceptron(batch, width)
        for mode, f in (("eager", step), ("jit", wg.jit(step))):
            row: dict[str, Any] = measured(lambda f=f, args=args: f(*args), rounds)
            row["off"], row["noise"] = turns(mode, batch, width, rounds)
            bar = width == 512  # the bar's workload; the small one shows what an op costs
            row |= {"name": f"{mode}, batch {batch}, width {width}", "bar": bar}
            row["ok"] = not bar or (row["on"] <= ON and row["off"] <= 1 + max(OFF, row["noise"]))
            found.append(row)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--one", nargs=5, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        mode, *numbers = options.one
        batch, width, profiled, rounds = map(int, numbers)
        print(quickest(mode, batch, width, bool(profiled), rounds))
        return 0
    found = rows(options.rounds)
    print(f"{'step of training':30} {'ms':>8} {'on':>6} {'off':>6} {'noise':>6} {'report, ms':>11}")
    for row in found:
        mark = "" if row["ok"] else "   above the bar"
        print(
            f"{row['name']:30} {row['step'] * 1e3:8.3f} {row['on']:6.3f} {row['off']:6.3f} {row['noise']:6.3f}"
            f" {row['report'] * 1e3:11.2f}{mark}"
        )
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))
    return 0 if all(row["ok"] for row in found) else 1


if __name__ == "__main__":
    raise SystemExit(main())
