"""What an eager tape holds for one step of training, against what PyTorch saves for the same step.

    python benchmarks/memory/eager.py [--json FILE]

The same networks, the same arithmetic, the same dtypes. PyTorch's bytes are those of the storages that its autograd packs
(`torch.autograd.graph.saved_tensors_hooks`), each once. Ours are those of the buffers that the tape's rows hold, each once; and, as
measured by the meter, the most that the forward pass and the whole step held at once, gradients included. Parameters and
batches, which both hold anyway, are left out. Bar: ours ≤ PyTorch's.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np

import wengert as wg
from wengert.core.sizes import shown
from wengert.graph.residuals import residuals_of

RNG = np.random.default_rng(0)
BATCH, WIDTH, DEPTH, CLASSES = 256, 512, 3, 10


def parameters(dtype: Any, last: int) -> list[np.ndarray]:
    sizes = [WIDTH] * DEPTH + [last]
    found = []
    for m, n in itertools.pairwise(sizes):
        found += [(RNG.normal(size=(m, n)) / np.sqrt(m)).astype(dtype), np.zeros(n, dtype)]
    return found


def ours(activation: str, loss: str) -> Callable[..., Any]:
    kinds = {"tanh": np.tanh, "relu": wg.nn.relu, "clip": lambda x: np.maximum(x, 0), "sigmoid": wg.nn.sigmoid}
    act: Any = kinds[activation]

    def step(params: Any, x: np.ndarray, y: np.ndarray) -> Any:
        h: Any = x
        for i in range(0, len(params), 2):
            h = h @ params[i] + params[i + 1]
            if i < len(params) - 2:
                h = act(h)
        if loss == "squares":
            return ((h - y) ** 2).mean()
        return -wg.nn.log_softmax(h)[np.arange(len(y)), y].mean()

    return step


def theirs(activation: str, loss: str) -> Callable[..., Any]:
    import torch

    kinds = {"tanh": torch.tanh, "relu": torch.relu, "clip": lambda x: x.clamp(min=0), "sigmoid": torch.sigmoid}
    act: Any = kinds[activation]

    def step(params: Any, x: Any, y: Any) -> Any:
        h = x
        for i in range(0, len(params), 2):
            h = h @ params[i] + params[i + 1]
            if i < len(params) - 2:
                h = act(h)
        if loss == "squares":
            return ((h - y) ** 2).mean()
        return torch.nn.functional.cross_entropy(h, y)

    return step


def saved_by_torch(step: Callable[..., Any], params: Any, x: np.ndarray, y: np.ndarray) -> int:
    import torch

    ps = [torch.tensor(p, requires_grad=True) for p in params]
    tx, ty = torch.tensor(x), torch.tensor(y)
    given = {t.untyped_storage().data_ptr() for t in (*ps, tx, ty)}
    found: dict[int, int] = {}

    def pack(t: Any) -> Any:
        storage = t.untyped_storage()
        if storage.data_ptr() not in given:
            found[storage.data_ptr()] = storage.nbytes()
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        loss = step(ps, tx, ty)
    total = sum(found.values())  # while the graph holds them
    loss.backward()
    return total


def held_by_us(step: Callable[..., Any], params: Any, x: np.ndarray, y: np.ndarray) -> tuple[int, int, int, list[str]]:
    """Residuals; the most held in the forward pass, and in the whole step; and what the residuals are."""
    with wg.profile.MemoryProfiler("forward") as prof, wg.GradientTape() as tape:
        loss = step([tape.watch(p) for p in params], x, y)
    rows = [r for r in residuals_of(tape.program) if r.kind != "argument" and not _given(r, x, y)]
    forward = prof.report.peak
    what = [f"{shown(r.nbytes)} {r.op}: {r.why}" for r in rows]
    del loss
    whole = wg.profile.memory(wg.value_and_grad(step))(params, x, y)
    return sum(r.nbytes for r in rows), forward, whole.peak, what


def _given(residual: Any, *arrays: np.ndarray) -> bool:
    """Whether it is the batch, which the step did not make."""
    return residual.kind == "constant" and any(residual.shape == a.shape and residual.dtype == a.dtype for a in arrays)


def rows() -> list[dict[str, Any]]:
    """One row a network: bytes, and the ratio to PyTorch's."""
    found = []
    for dtype in ("float32", "float64"):
        for activation in ("tanh", "relu", "clip", "sigmoid"):
            for loss, last in (("squares", WIDTH), ("classes", CLASSES)):
                params = parameters(dtype, last)
                x = RNG.normal(size=(BATCH, WIDTH)).astype(dtype)
                y = RNG.normal(size=(BATCH, last)).astype(dtype) if loss == "squares" else RNG.integers(0, last, BATCH)
                torch_bytes = saved_by_torch(theirs(activation, loss), params, x, y)
                mine, forward, whole, what = held_by_us(ours(activation, loss), params, x, y)
                found.append(
                    {
                        "name": f"{DEPTH}×{WIDTH} {activation}, {loss}, {dtype}",
                        "residuals": mine,
                        "torch": torch_bytes,
                        "ratio": mine / torch_bytes,
                        "forward_peak": forward,
                        "step_peak": whole,
                        "holds": what,
                        "ok": mine <= torch_bytes,
                    }
                )
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--holds", action="store_true", help="list what the tape holds")
    options = parser.parse_args()
    found = rows()
    print(
        f"{'network, batch 256':36} {'tape holds':>12} {'PyTorch saves':>14} {'ratio':>6} {'forward peak':>13} {'step peak':>10}"
    )
    for row in found:
        sizes = [shown(row[key]) for key in ("residuals", "torch", "forward_peak", "step_peak")]
        mark = "" if row["ok"] else "   above PyTorch's"
        print(f"{row['name']:36} {sizes[0]:>12} {sizes[1]:>14} {row['ratio']:6.2f} {sizes[2]:>13} {sizes[3]:>10}{mark}")
        if options.holds:
            print("".join(f"    {line}\n" for line in row["holds"]), end="")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))
    return 0 if all(row["ok"] for row in found) else 1


if __name__ == "__main__":
    raise SystemExit(main())
