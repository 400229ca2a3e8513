"""Predicted peaks against measured ones, and what a prediction costs.

    python benchmarks/memory/predictions.py [--json FILE]

For each program its gradient, eagerly and compiled: the peak that `wg.profile.predict_memory` tells from shapes, the peak that NumPy's memory
handler and compiled code count in a run (`footprint/meter.py`), the difference, and the seconds that the prediction took beside those
of the run. The second table is of one program in growing sizes, up to ones that fit no memory. Bars: within 10 % eagerly, 3 % compiled.
One thread. Exits with 1 where a bar is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np

import wengert as wg
from wengert.core.sizes import shown
from wengert.profile import predict_memory
from wengert.profile.footprint.meter import meter

RNG = np.random.default_rng(0)
BARS = {"eager": 0.10, "jit": 0.03}


def drawn(*shape: int) -> np.ndarray:
    return 0.1 * RNG.standard_normal(shape)


def mlp(ws, x, y):
    for w in ws[:-1]:
        x = np.tanh(x @ w)
    return ((x @ ws[-1] - y) ** 2).mean()


def attention(ws, x):
    b, n, d = x.shape
    for wq, wk, wv, wo in ws:
        q, k, v = ((x @ w).reshape(b, n, 8, d // 8).transpose(0, 2, 1, 3) for w in (wq, wk, wv))
        a = wg.nn.softmax(q @ k.transpose(0, 1, 3, 2) / np.sqrt(d // 8), axis=-1)
        x = x + (a @ v).transpose(0, 2, 1, 3).reshape(b, n, d) @ wo
    return (x**2).mean()


def checkpointed(ws, x):
    block = wg.checkpoint(lambda w, x: np.tanh(np.sin(x @ w) * x))
    for w in ws:
        x = block(w, x)
    return (x**2).mean()


def convnet(kernels, x):
    for k in kernels:
        x = wg.nn.relu(wg.nn.conv2d(x, k, padding=1))
    return wg.nn.max_pool2d(x, 2).mean()


def lstm(w, xs):
    h = c = np.zeros((64, 128))
    for x in xs:
        i, f, g, o = np.split(np.concatenate([x, h], axis=1) @ w, 4, axis=1)
        c = wg.nn.sigmoid(f) * c + wg.nn.sigmoid(i) * np.tanh(g)
        h = wg.nn.sigmoid(o) * np.tanh(c)
    return (h**2).sum()


def rk4(y):
    def rate(y):
        return np.sin(y) * y

    for _ in range(20):
        a = rate(y)
        b = rate(y + 0.05 * a)
        c = rate(y + 0.05 * b)
        y = y + 0.1 / 6 * (a + 2 * b + 2 * c + rate(y + 0.1 * c))
    return y.sum()


def scan(c, xs):
    c, ys = wg.scan(lambda c, x: (np.tanh(c * x), (c**2).sum()), c, xs)
    return c.sum() + ys.sum()


def loop(x):
    return wg.while_loop(lambda c: c[0] < 30, lambda c: (c[0] + 1, np.sin(c[1]) * c[1]), (0, x))[1].sum()


def writes(x):
    out = np.zeros((20, x.size))
    for i in range(20):
        out[i] = x * i
    return (out**2).sum()


def gather(table):
    return np.tanh(table[np.arange(20_000) * 7 % 5000]).sum()


def spectrum(x):
    return np.abs(np.fft.rfft(x)).sum()


def gaussian(a):
    s = a @ a.T + 10 * np.eye(len(a))
    chol = np.linalg.cholesky(s)
    return np.log(np.diag(chol)).sum() + np.linalg.solve(s, a).sum()


def order(x):
    return np.cumsum(np.sort(x, axis=0), axis=1).mean()


def second_order(x):
    return (wg.grad(lambda x: (np.sin(x) * np.exp(x)).sum())(x) ** 2).sum()


PROGRAMS: dict[Callable[..., Any], tuple[Any, ...]] = {
    mlp: ([drawn(256, 256) for _ in range(8)], drawn(2048, 256), drawn(2048, 256)),
    attention: ([[drawn(128, 128) for _ in range(4)] for _ in range(3)], drawn(8, 128, 128)),
    checkpointed: ([drawn(200, 200) for _ in range(6)], drawn(2000, 200)),
    convnet: ([drawn(16, 3, 3, 3), drawn(16, 16, 3, 3), drawn(16, 16, 3, 3)], drawn(8, 3, 48, 48)),
    lstm: (drawn(192, 512), drawn(30, 64, 64)),
    rk4: (drawn(200_000),),
    scan: (drawn(50_000), drawn(60)),
    loop: (drawn(50_000),),
    writes: (drawn(100_000),),
    gather: (drawn(5000, 64),),
    spectrum: (drawn(400_000),),
    gaussian: (drawn(400, 400),),
    order: (drawn(2000, 300),),
    second_order: (drawn(300_000),),
}


def row(name: str, mode: str, f: Callable[..., Any], args: tuple[Any, ...]) -> dict[str, Any]:
    began = time.perf_counter()
    predicted = predict_memory(f, *args).peak
    took = time.perf_counter() - began
    if mode == "jit":
        f(*args)
    m, began = meter(), time.perf_counter()
    m.start()
    result = f(*args)
    m.stop()
    ran = time.perf_counter() - began
    del result
    error = predicted / m.peak() - 1
    return {
        "program": name, "mode": mode, "predicted": predicted, "measured": m.peak(), "error": error, "seconds": took, "run": ran,
        "met": abs(error) <= BARS[mode],
    }  # fmt: skip


def accuracy() -> list[dict[str, Any]]:
    rows = []
    print(
        f"{'gradient of':14} {'mode':6} {'predicted':>10} {'measured':>10} {'error':>8} {'predicting':>11} {'running':>9}"
    )
    for f, args in PROGRAMS.items():
        for mode, way in (("eager", wg.grad(f)), ("jit", wg.jit(wg.grad(f)))):
            found = row(f.__name__, mode, way, args)
            rows.append(found)
            print(
                f"{found['program']:14} {mode:6} {shown(found['predicted']):>10} {shown(found['measured']):>10} {found['error']:8.2%}"
                f" {found['seconds'] * 1e3:8.1f} ms {found['run'] * 1e3:6.1f} ms{'' if found['met'] else '  MISSED'}"
            )
    return rows


def sizes() -> list[dict[str, Any]]:
    rows = []
    print(f"\n{'mlp, batch of':14} {'eager':>12} {'jit':>12} {'predicting both':>16}")
    for batch in (1000, 100_000, 10_000_000, 1_000_000_000):
        shapes = [wg.ShapeDtype((256, 256))] * 8, *[wg.ShapeDtype((batch, 256))] * 2
        began = time.perf_counter()
        eager, jit = predict_memory(wg.grad(mlp), *shapes).peak, predict_memory(wg.jit(wg.grad(mlp)), *shapes).peak
        took = time.perf_counter() - began
        rows.append({"batch": batch, "eager": eager, "jit": jit, "seconds": took})
        print(f"{batch:14} {shown(eager):>12} {shown(jit):>12} {took * 1e3:13.1f} ms")
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", help="write the rows to this file")
    asked = parser.parse_args()
    with wg.config.override(compiled_backward=False):
        rows = accuracy()
    found = {"accuracy": rows, "sizes": sizes()}
    for mode in BARS:
        errors = sorted(abs(r["error"]) for r in rows if r["mode"] == mode)
        print(f"{mode}: median {errors[len(errors) // 2]:.2%}, largest {errors[-1]:.2%}, bar {BARS[mode]:.0%}")
    if asked.json:
        with open(asked.json, "w", encoding="utf-8") as file:
            json.dump(found, file)
    return int(not all(r["met"] for r in rows))


if __name__ == "__main__":
    sys.exit(main())
