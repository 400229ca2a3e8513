"""Eager mode against its peers and its bars: one run, interleaved, medians of per-round ratios.

    python benchmarks/eager.py [--rounds N] [--json FILE]

Each row times our code and the peers' in turn, round after round, so that whatever else the
machine does falls on all of them alike. Peers that are not installed are left out. One thread.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import statistics
import subprocess
import sys
import tempfile
import tracemalloc
from collections.abc import Callable

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np

import wengert as wg
from wengert.profile.statistics.sampling import interleaved

Runs = dict[str, Callable[[], object]]
CHAIN = 1000


def peers() -> dict[str, object]:
    found: dict[str, object] = {}
    with contextlib.suppress(ImportError):
        import torch

        torch.set_num_threads(1)
        found["torch"] = torch
    with contextlib.suppress(ImportError):
        import autograd

        found["autograd"] = autograd
    return found


# ── chain of small ops ────────────────────────────────────────────────────────


def chain(found: dict) -> tuple[Runs, float]:
    """y ← y·w, y ← y + w on ten elements: the cost of an op, not of its arithmetic."""
    x0, w = np.ones(10), np.full(10, 1.0001)

    def run(x, w=w, total=np.sum):
        y = x
        for _ in range(CHAIN // 2):
            y = y * w
            y = y + w
        return total(y)

    gradient = wg.grad(run)
    runs: Runs = {"wengert": lambda: gradient(x0)}
    if torch := found.get("torch"):
        tx = torch.ones(10, dtype=torch.float64, requires_grad=True)
        tw = torch.full((10,), 1.0001, dtype=torch.float64)
        runs["torch"] = lambda: torch.autograd.grad(run(tx, tw, torch.sum), tx)
    if autograd := found.get("autograd"):
        import autograd.numpy as anp

        theirs = autograd.grad(lambda x: run(x, total=anp.sum))
        runs["autograd"] = lambda: theirs(x0)
    return runs, 1e6 / CHAIN


# ── large arrays ──────────────────────────────────────────────────────────────


def formula(x, np=np):
    return np.sum(np.tanh(x * 2.0 + 1.0) * np.exp(-(x * x)))


def large_forward(found: dict) -> tuple[Runs, float]:
    """The forward pass alone on 1e6 elements, recorded, against NumPy that keeps the same two residuals
    (fresh memory costs page faults, which no recorder can avoid), and against NumPy that drops everything."""
    x = np.random.default_rng(0).normal(size=1_000_000)

    def recorded():
        with wg.GradientTape() as tape:
            return formula(tape.watch(x))

    def keeping():
        t, e = np.tanh(x * 2.0 + 1.0), np.exp(-(x * x))
        kept = (t, e)
        return np.sum(t * e), kept

    return {"wengert": recorded, "numpy keeping residuals": keeping, "numpy": lambda: formula(x)}, 1e3


def large_gradient(found: dict) -> tuple[Runs, float]:
    """Forward and backward of the same on 1e6 elements."""
    x = np.random.default_rng(0).normal(size=1_000_000)
    gradient = wg.grad(formula)
    runs: Runs = {"wengert": lambda: gradient(x)}
    if torch := found.get("torch"):
        tx = torch.tensor(x, requires_grad=True)
        runs["torch"] = lambda: torch.autograd.grad(formula(tx, torch), tx)
    return runs, 1e3


# ── one training step ─────────────────────────────────────────────────────────


def mlp_loss(params, x, y):
    w1, b1, w2, b2 = params
    hidden = np.maximum(x @ w1 + b1, 0.0)
    logits = hidden @ w2 + b2
    shifted = logits - np.max(logits, axis=1, keepdims=True)
    log_z = np.log(np.sum(np.exp(shifted), axis=1))
    return np.mean(log_z - shifted[np.arange(len(y)), y])


def mlp_data(dtype: str):
    rng = np.random.default_rng(0)
    sizes = [(784, 256), (256,), (256, 10), (10,)]
    params = [rng.normal(size=s).astype(dtype) * 0.05 for s in sizes]
    return params, rng.normal(size=(128, 784)).astype(dtype), rng.integers(0, 10, 128)


def by_hand(params, x, y):
    """The same value and gradient as one would write them out, reusing what can be reused."""
    w1, b1, w2, b2 = params
    hidden = x @ w1
    hidden += b1
    np.maximum(hidden, 0, out=hidden)
    p = hidden @ w2
    p += b2
    p -= p.max(1, keepdims=True)
    log_p = p[np.arange(len(y)), y]
    np.exp(p, out=p)
    z = p.sum(1)
    loss = np.mean(np.log(z) - log_p)
    p /= z[:, None]
    p[np.arange(len(y)), y] -= 1
    p /= len(y)
    gw2, gb2 = hidden.T @ p, p.sum(0)
    gh = p @ w2.T
    gh *= hidden > 0
    return loss, (x.T @ gh, gh.sum(0), gw2, gb2)


def mlp(found: dict, dtype: str) -> tuple[Runs, float]:
    """Value and gradient of a 784-256-10 classifier on a batch of 128, written in plain NumPy."""
    params, x, y = mlp_data(dtype)
    step = wg.value_and_grad(mlp_loss)
    runs: Runs = {"wengert": lambda: step(params, x, y), "numpy by hand": lambda: by_hand(params, x, y)}
    if torch := found.get("torch"):
        tp = [torch.tensor(p, requires_grad=True) for p in params]
        tx, ty = torch.tensor(x), torch.tensor(y)

        def theirs():
            w1, b1, w2, b2 = tp
            logits = torch.relu(tx @ w1 + b1) @ w2 + b2
            return torch.autograd.grad(torch.nn.functional.cross_entropy(logits, ty), tp)

        runs["torch"] = theirs
    return runs, 1e3


def mlp_memory(dtype: str) -> dict[str, float]:
    """Peak of the step against what the same step written out by hand in NumPy needs."""
    params, x, y = mlp_data(dtype)
    step = wg.value_and_grad(mlp_loss)
    step(params, x, y)

    peaks = {}
    for name, run in (("by hand", lambda: by_hand(params, x, y)), ("wengert", lambda: step(params, x, y))):
        gc.collect()
        tracemalloc.start()
        run()
        peaks[name] = tracemalloc.get_traced_memory()[1] / 2**20
        tracemalloc.stop()
    with wg.GradientTape() as tape:
        mlp_loss(tape.watch(params), x, y)
    peaks["declared residuals"] = tape.program.residual_bytes() / 2**20
    return peaks


def import_ms() -> tuple[float, bool]:
    """Milliseconds that `import wengert` takes beyond numpy, in a fresh interpreter with bytecode cached (minimum of
    several), and whether it loads scipy."""
    code = (
        "import time, numpy; t = time.perf_counter(); import wengert; "
        "import sys; print((time.perf_counter() - t) * 1e3, 'scipy' in sys.modules)"
    )
    times = []
    with tempfile.TemporaryDirectory() as cache:
        env = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"} | {"PYTHONPYCACHEPREFIX": cache}
        for _ in range(8):
            run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
            out = run.stdout.split()
            times.append(float(out[0]))
    return min(times), out[1] == "True"


BENCHES = {
    "chain of 10-element ops, forward + backward (µs/op)": (chain, {"torch": 0.6, "autograd": 0.3}),
    "forward on 1e6 elements, recorded (ms)": (large_forward, {"numpy keeping residuals": 1.05}),
    "forward + backward on 1e6 elements (ms)": (large_gradient, {}),
    "MLP step, float32 (ms)": (lambda found: mlp(found, "float32"), {"torch": 1.0}),
    "MLP step, float64 (ms)": (lambda found: mlp(found, "float64"), {"torch": 1.0}),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--json", metavar="FILE")
    args = parser.parse_args()
    found, report = peers(), {}
    print(f"{'':54s} {'wengert':>9s}   peers: time, ratio ours/theirs (bar)")
    for title, (make, bars) in BENCHES.items():
        runs, unit = make(found)
        times = {name: samples.wall for name, samples in interleaved(runs, rounds=args.rounds, seconds=None).items()}
        ours = times["wengert"]
        cells, row = [], {"wengert": min(ours) * unit}
        for peer, theirs in times.items():
            if peer != "wengert":
                ratio = statistics.median(a / b for a, b in zip(ours, theirs, strict=True))
                bar = f" (≤ {bars[peer]})" if peer in bars else ""
                cells.append(f"{peer} {min(theirs) * unit:.2f}, {ratio:.2f}×{bar}")
                row[peer] = {"time": min(theirs) * unit, "ratio": ratio, "bar": bars.get(peer)}
        print(f"{title:54s} {min(ours) * unit:9.2f}   {'; '.join(cells)}")
        report[title] = row
    for dtype in ("float32", "float64"):
        peaks = mlp_memory(dtype)
        print(
            f"{f'MLP step, {dtype}: peak memory (MiB)':54s} {peaks['wengert']:9.2f}   by hand in NumPy {peaks['by hand']:.2f}, "
            f"declared residuals {peaks['declared residuals']:.2f}"
        )
        report[f"memory {dtype}"] = peaks
    ms, loads_scipy = import_ms()
    print(f"{'import wengert, beyond numpy (ms)':54s} {ms:9.1f}   (≤ 60){'; loads scipy!' if loads_scipy else ''}")
    report["import_ms"] = ms
    if args.json:
        with open(args.json, "w") as file:
            json.dump(report, file, indent=1)


if __name__ == "__main__":
    main()
