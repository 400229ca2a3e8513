"""What memory profiling costs: steps of training with a `MemoryProfiler` on and without, interleaved, medians of per-round ratios.

    python benchmarks/memory/profilers.py [--rounds N] [--json FILE]

"on" is a step under a profiler that is on. "off" is a step after a profiler has ended against another such step (what noise is);
"after" against steps before the first profiler of the process. Making the report, which is done after the run, is in its own column.
Bars: on ≤ 1.10, off and after 1.00 within noise.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np

import wengert as wg

RNG = np.random.default_rng(0)
ON, OFF = 1.10, 0.03


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
    before = [seconds(call) for _ in range(rounds)]
    on, off, after, reports = [], [], [], []
    for _ in range(rounds):
        first = seconds(call)
        with wg.profile.MemoryProfiler() as prof:
            call()  # the first step of a profiler makes pages of its log
            during = seconds(call)
        second = seconds(call)
        reports.append(seconds(lambda prof=prof: prof.report))
        on.append(2 * during / (first + second))
        off.append(second / first)
        after.append(min(first, second))
    return {
        "step": statistics.median(before),
        "on": statistics.median(on),
        "off": statistics.median(off),
        "after": min(after) / min(before),
        "report": statistics.median(reports),
    }


def rows(rounds: int = 30) -> list[dict[str, Any]]:
    """One row a workload."""
    found = []
    for batch, width in ((256, 512), (32, 64)):
        step, args = perceptron(batch, width)
        for mode, f in (("eager", step), ("jit", wg.jit(step))):
            row: dict[str, Any] = measured(lambda f=f, args=args: f(*args), rounds)
            bar = width == 512  # the bar's workload; the small one shows what an op costs
            row |= {"name": f"{mode}, batch {batch}, width {width}", "bar": bar}
            row["ok"] = not bar or (row["on"] <= ON and abs(row["off"] - 1) <= OFF and row["after"] <= 1 + OFF)
            found.append(row)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = rows(options.rounds)
    print(f"{'step of training':30} {'ms':>8} {'on':>6} {'off':>6} {'after':>6} {'report, ms':>11}")
    for row in found:
        mark = "" if row["ok"] else "   above the bar"
        print(
            f"{row['name']:30} {row['step'] * 1e3:8.3f} {row['on']:6.3f} {row['off']:6.3f} {row['after']:6.3f}"
            f" {row['report'] * 1e3:11.2f}{mark}"
        )
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))
    return 0 if all(row["ok"] for row in found) else 1


if __name__ == "__main__":
    raise SystemExit(main())
