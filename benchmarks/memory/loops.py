"""Gradients of long loops: what they hold, and what they take of the time of the loop itself, with and without `checkpoint=`.

    python benchmarks/memory/loops.py [--trips N] [--rounds N] [--json FILE] [--only NAME]

Whole gradient over value, compiled, timed in turn in one process, minima of processor time. Bytes are what the meter counts at the
peak of a call beyond its arguments: results, workspace, stacks. Derivatives are compared with those without `checkpoint=`.
Bar, for a million trips: at most 64 MiB, and 3.5 times the loop itself, for `checkpoint="sqrt"`.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path
from time import process_time
from typing import Any

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np

import wengert as wg
from wengert.core.sizes import shown

TRIPS = 1_000_000
BYTES, RATIO = 64 << 20, 3.5
WAYS = (None, "sqrt", "binomial")
Loss = Callable[..., Any]  # (parameters, *data, checkpoint, trips)


def _runge_kutta(f: Callable[[Any, Any], Any], h: float) -> Callable[[Any, Any], Any]:
    def step(y: Any, p: Any) -> Any:
        k1 = f(y, p)
        k2 = f(y + 0.5 * h * k1, p)
        k3 = f(y + 0.5 * h * k2, p)
        k4 = f(y + h * k3, p)
        return y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)

    return step


def _solved(f: Callable[[Any, Any], Any], start: Any) -> Loss:
    step = _runge_kutta(f, 1e-5)

    def loss(p: Any, checkpoint: Any, trips: int) -> Any:
        return np.sum(wg.scan(lambda y, _: (step(y, p), None), start, None, length=trips, checkpoint=checkpoint)[0])

    return loss


def _network(w: Any, xs: Any, u: Any, checkpoint: Any, trips: int) -> Any:
    body = lambda h, x: (np.tanh(w @ h + u * x), None)
    return np.sum(wg.scan(body, np.zeros(14), xs, checkpoint=checkpoint)[0])


def _map(p: Any, xs: Any, checkpoint: Any, trips: int) -> Any:
    def body(y: Any, x: Any) -> Any:
        y = p[0] * y * (1.0 - y) + p[1] * x
        return y, y

    return np.mean(wg.scan(body, 0.3, xs, checkpoint=checkpoint)[1])


def _until(p: Any, checkpoint: Any, trips: int) -> Any:
    step = _runge_kutta(_logistic, 1e-5)
    going = lambda s: (s[1] < trips) & (s[0] < 9.9999)
    return wg.while_loop(going, lambda s: (step(s[0], p), s[1] + 1), (0.1, 0), checkpoint=checkpoint)[0]


def _logistic(y: Any, p: Any) -> Any:
    return p[0] * y * (1.0 - y / p[1])


def _pendulum(y: Any, p: Any) -> Any:
    return np.stack([y[1], -p[0] * np.sin(y[0]) - p[1] * y[1]])


def _species(y: Any, p: Any) -> Any:
    return np.stack([p[0] * y[0] - p[1] * y[0] * y[1], -p[2] * y[1] + p[3] * y[0] * y[1]])


def cases(trips: int) -> dict[str, tuple[Loss, tuple[Any, ...], bool]]:
    """Losses with their arguments, and whether the bar is meant for them."""
    rng = np.random.default_rng(0)
    signal = rng.normal(size=trips)
    weights = rng.normal(size=(14, 14)) * 0.13
    return {
        "Runge-Kutta, logistic growth": (_solved(_logistic, 0.1), (np.array([1.3, 10.0]),), True),
        "Runge-Kutta, pendulum": (_solved(_pendulum, np.array([1.0, 0.0])), (np.array([9.81, 0.1]),), True),
        "Runge-Kutta, two species": (
            _solved(_species, np.array([1.0, 1.0])), (np.array([1.5, 1.0, 3.0, 1.0]),), True,
        ),
        "tanh network, 14 units": (_network, (weights, signal, rng.normal(size=14)), True),
        "logistic map, an x per trip": (_map, (np.array([2.9, 0.1]), 0.01 * signal), True),
        "while_loop, logistic growth": (_until, (np.array([1.3, 10.0]),), False),
    }  # fmt: skip


def rows(trips: int = TRIPS, rounds: int = 7, only: str = "") -> list[dict[str, Any]]:
    """A row for each loop and way: bytes at the peak, seconds, and their ratio to the loop's own."""
    wg.config.disk_cache = False
    found = []
    for name, (loss, args, barred) in cases(trips).items():
        if only.lower() in name.lower():
            found += _measured(name, loss, args, barred and trips >= TRIPS, trips, rounds)
    return found


def _measured(
    name: str, loss: Loss, args: tuple[Any, ...], barred: bool, trips: int, rounds: int
) -> list[dict[str, Any]]:
    runs: dict[Any, Any] = {"value": wg.jit(lambda *a: loss(*a, checkpoint=None, trips=trips))}
    for way in WAYS:
        runs[way] = wg.jit(wg.grad(lambda *a, way=way: loss(*a, checkpoint=way, trips=trips)))
    want = runs[None](*args)
    scale = np.max(np.abs(want))
    for way in WAYS:
        error = np.max(np.abs(runs[way](*args) - want)) / scale
        if not error < 1e-9:
            raise AssertionError(
                f"{name}: with checkpoint={way!r} the gradient is off by {error:.1e} of its largest part"
            )
    runs["value"](*args)
    peaks = {way: wg.profile.memory(runs[way])(*args).peak for way in WAYS}
    for way in WAYS:  # a small workspace is kept from call to call, so that the meter does not see it come
        peaks[way] = max(peaks[way], runs[way].lower(*args).compile().memory_analysis()["workspace"])
    seconds = dict.fromkeys(runs, float("inf"))
    for _ in range(rounds):
        for key, run in runs.items():
            began = process_time()
            run(*args)
            seconds[key] = min(seconds[key], process_time() - began)
    found = []
    for way in WAYS:
        ratio = seconds[way] / seconds["value"]
        ok = not barred or way != "sqrt" or (peaks[way] <= BYTES and ratio <= RATIO)
        found.append(
            {
                "name": name, "checkpoint": way, "trips": trips, "bytes": peaks[way], "seconds": seconds[way],
                "value_seconds": seconds["value"], "ratio": ratio, "ok": ok,
            }
        )  # fmt: skip
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trips", type=int, default=TRIPS)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--only", default="", help="part of a name")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = rows(options.trips, options.rounds, options.only)
    print(f"{'loop':30} {'checkpoint':>10} {'peak':>10} {'value':>9} {'gradient':>9} {'ratio':>6}")
    for row in found:
        times = f"{1e3 * row['value_seconds']:6.1f} ms {1e3 * row['seconds']:6.1f} ms {row['ratio']:6.2f}"
        mark = "" if row["ok"] else "   misses the bar"
        print(f"{row['name']:30} {row['checkpoint']!s:>10} {shown(row['bytes']):>10} {times}{mark}")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))
    return 0 if all(row["ok"] for row in found) else 1


if __name__ == "__main__":
    raise SystemExit(main())
