"""Gradients under memory budgets: measured memory and time against the same without a budget, and against JAX's policies.

    python benchmarks/memory/budgets.py [--quick] [--only NAME]... [--json FILE] [--no-jax]

Memory is what a call holds at its peak beyond its arguments, as wengert's meter counts it: arrays of NumPy's, workspaces and
stacks of compiled code. JAX's is what XLA plans: temporaries and results. Budgets are parts of what is held without one. Times
are minima over interleaved rounds, on one core. JAX's best is the fastest of its configurations that takes no more memory than
the budget (see policies.py), and × is its time over ours.

Bars: memory ≤ budget at every point; at half of the residuals ≤ 1.35 × the time without a budget; 3 × less memory at ≤ 1.5 × the
time; at every budget at least as fast as JAX's best.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
sys.path.insert(0, str(Path(__file__).resolve().parent))
from workloads import environment

environment.pin(1)

import numpy as np
from networks import NETWORKS, Network

import wengert as wg
from wengert.core.sizes import shown
from wengert.core.tree import flatten
from wengert.profile.footprint.meter import meter

PARTS = (0.9, 0.75, 0.5, 0.4, 0.33, 0.25, 0.2, 0.15, 0.1, 0.05, 0.02)
QUICK = (0.75, 0.5, 0.33, 0.2, 0.05)
HALF, THIRD = 1.35, 1.5


@dataclass
class Row:
    """One budget: bytes, seconds of the first call, and seconds of a call; `peer` is JAX's best of no more memory."""

    network: str
    budget: int | None
    held: int
    first: float
    seconds: float
    error: float
    peer: str = ""
    peer_seconds: float | None = None


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer budgets, fewer rounds")
    parser.add_argument("--only", action="append", default=[], metavar="NAME", help=", ".join(NETWORKS))
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--no-jax", dest="jax", action="store_false")
    return parser.parse_args()


def held(call: Callable[[], Any]) -> int:
    """Bytes at the peak of a call, beyond what there was."""
    watch = meter()
    watch.start()
    try:
        result = call()
        return watch.peak()
    finally:
        watch.stop()
        del result


def fastest(calls: dict[str, Callable[[], Any]], rounds: int, limit: float) -> dict[str, float]:
    """The least seconds of each call, in interleaved rounds: three at least, no more once `limit` seconds have passed."""
    best = dict.fromkeys(calls, float("inf"))
    began = perf_counter()
    for number in range(rounds):
        if number > 2 and perf_counter() - began > limit:
            break
        for name, call in calls.items():
            start = perf_counter()
            call()
            best[name] = min(best[name], perf_counter() - start)
    return best


def run(network: Network, quick: bool, jax: bool) -> list[Row]:
    args = network.args
    loss = network.make(np, wg.scan, None, 1)
    rows: list[Row] = []
    calls: dict[str, Callable[[], Any]] = {}
    want: list[Any] = []

    def add(budget: int | None) -> None:
        gradient = wg.jit(wg.grad(loss), memory_budget=budget)
        start = perf_counter()
        got = flatten(gradient(*args))[0]
        first = perf_counter() - start
        want.extend([] if want else got)
        error = max(float(np.abs(g - w).max() / (np.abs(w).max() + 1e-30)) for g, w in zip(got, want, strict=True))
        del got
        call = gradient.lower(*args).compile()
        call(*args)
        rows.append(Row(network.name, budget, held(lambda: call(*args)), first, 0.0, error))
        calls[str(budget)] = lambda: call(*args)

    add(None)
    whole = rows[0].held
    for part in QUICK if quick else PARTS:
        try:
            add(int(part * whole))
        except wg.errors.BudgetError as error:
            add(error.smallest)
            break
    others = []
    if jax:
        from policies import peers

        others = list(peers(network, quick))
        calls |= {peer.name: peer.call for peer in others}
    for call in calls.values():
        call()
    best = fastest(calls, *(7, 10.0) if quick else (30, 60.0))
    for row in rows:
        row.seconds = best[str(row.budget)]
        fitting = [peer for peer in others if row.budget is None or peer.nbytes <= row.budget]
        if fitting:
            peer = min(fitting, key=lambda p: best[p.name])
            row.peer, row.peer_seconds = peer.name, best[peer.name]
    for peer in others:
        print(f"  JAX, {peer.name}: {shown(peer.nbytes)}, {1e3 * best[peer.name]:.1f} ms")
    return rows


def table(rows: list[Row]) -> list[str]:
    free = rows[0]
    lines = [
        f"{'budget':>10} {'held':>10} {'of it':>6} {'less':>6} {'ms':>8} {'time':>6} {'first s':>8} {'error':>8} {'×':>6}  JAX's best"
    ]
    for row in rows:
        limit = free.held if row.budget is None else row.budget
        ratio = "" if row.peer_seconds is None else f"{row.peer_seconds / row.seconds:.2f}"
        lines.append(
            f"{shown(limit):>10} {shown(row.held):>10} {row.held / limit:6.3f} {free.held / row.held:6.2f} {1e3 * row.seconds:8.2f}"
            f" {row.seconds / free.seconds:6.2f} {row.first:8.2f} {row.error:8.1e} {ratio:>6}  {row.peer}"
        )
    return lines


def bars(rows: list[Row]) -> list[str]:
    """The bars, and whether they are met."""
    free, *budgets = rows
    half = [r for r in budgets if r.budget is not None and r.budget >= 0.5 * free.held and r.held <= 0.5 * free.held]
    less = [r.seconds / free.seconds for r in budgets if 3 * r.held <= free.held]
    peers = [r for r in budgets if r.peer_seconds is not None]
    found = [
        ("memory ≤ budget at every point", all(r.budget is None or r.held <= r.budget for r in budgets)),
        (f"half of the memory at ≤ {HALF} × the time", any(r.seconds <= HALF * free.seconds for r in half)),
        (f"3 × less memory at ≤ {THIRD} × the time", bool(less) and min(less) <= THIRD),
    ]
    if peers:
        found.append(("at least as fast as JAX's best", all((r.peer_seconds or 0) >= r.seconds for r in peers)))
    return [f"  {'met   ' if met else 'MISSED'} {what}" for what, met in found]


def main() -> None:
    asked = options()
    everything: list[Row] = []
    for name, make in NETWORKS.items():
        if asked.only and not any(part in name for part in asked.only):
            continue
        network = make()
        print(network.name)
        rows = run(network, asked.quick, asked.jax)
        everything += rows
        print("\n".join([*table(rows), *bars(rows), ""]))
    if asked.json:
        Path(asked.json).write_text(json.dumps([asdict(row) for row in everything], indent=1))


if __name__ == "__main__":
    main()
