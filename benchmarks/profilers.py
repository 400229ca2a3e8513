"""What profilers cost: a step of training an MLP, with and without a profiler at work, in turn.

    python benchmarks/profilers.py [--rounds 40] [--batch 256] [--width 512] [--json]

Each round takes the step some times without, then some times with the profiler; the ratio is that of the medians of all steps, and the
spread that of the ratios of rounds. Rows "off" leave the profiler off in both halves: what differs there is noise. The bar is 10 %
with the profiler at work. Times are those of the processor, which other processes disturb less; --wall takes the clock's.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
from collections.abc import Callable
from time import perf_counter, process_time
from typing import Any

import numpy as np

import wengert as wg

BAR = 1.10
LAYERS = 3


def step_of(batch: int, width: int) -> tuple[Callable[..., Any], tuple[Any, ...]]:
    """Value and gradient of an MLP's loss, and what it is called with."""
    rng = np.random.default_rng(0)
    params = [(rng.normal(size=(width, width)) / width**0.5, np.zeros(width)) for _ in range(LAYERS)]

    def loss(params: Any, x: Any, y: Any) -> Any:
        for w, b in params:
            x = np.tanh(x @ w + b)
        return ((x - y) ** 2).mean()

    return wg.value_and_grad(loss), (params, rng.normal(size=(batch, width)), rng.normal(size=(batch, width)))


def half(step: Callable[[], Any], steps: int, profiler: Callable[[], Any], clock: Callable[[], float]) -> list[float]:
    """Seconds of each of some steps, with a profiler at work; the first, which may make variants of programs, is left out."""
    times = []
    with profiler():
        step()
        for _ in range(steps):
            start = clock()
            step()
            times.append(clock() - start)
    return times


def ratio(
    step: Callable[[], Any], profiler: Callable[[], Any], rounds: int, steps: int, clock: Callable[[], float]
) -> tuple[float, float, float, float]:
    """The ratio of medians, the quartiles of rounds' ratios, and the seconds of a step without."""
    off: list[float] = []
    on: list[float] = []
    each = []
    for _ in range(rounds):
        a, b = half(step, steps, contextlib.nullcontext, clock), half(step, steps, profiler, clock)
        off, on = off + a, on + b
        each.append(statistics.median(b) / statistics.median(a))
    low, _, high = statistics.quantiles(each, n=4)
    return statistics.median(on) / statistics.median(off), low, high, statistics.median(off)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--wall", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    clock = perf_counter if options.wall else process_time
    step, args = step_of(options.batch, options.width)
    compiled = wg.jit(step)
    profilers: dict[str, Callable[[], Any]] = {
        "time": lambda: wg.profile.TimeProfiler(machine=False),
        "time, without cpu": lambda: wg.profile.TimeProfiler(cpu=False, machine=False),
        "off": contextlib.nullcontext,
    }
    rows = []
    with wg.config.override(compiled_backward=False):  # the eager step stays what it is while it is measured
        for mode, run in (("eager", lambda: step(*args)), ("jit", lambda: compiled(*args))):
            run()
            for name, profiler in profilers.items():
                found, low, high, seconds = ratio(run, profiler, options.rounds, options.steps, clock)
                rows.append({"mode": mode, "profiler": name, "ratio": found, "low": low, "high": high, "step": seconds})
                if not options.json:
                    print(
                        f"{mode:6} {name:18} {found:6.3f}  quartiles {low:.3f} … {high:.3f}   step {1e3 * seconds:.2f} ms"
                    )
    if options.json:
        print(json.dumps(rows, indent=1))
    return int(any(row["ratio"] > BAR for row in rows))


if __name__ == "__main__":
    raise SystemExit(main())
