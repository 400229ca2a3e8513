"""Compiled backward passes of eager gradients, on and off: one run, interleaved, medians of per-round ratios.

    python benchmarks/backward.py [--seconds N] [--json FILE]

Rows of the first table are gradients that come again: after compiling, whole gradients (the forward pass is eager in both)
with `config.compiled_backward` and without; what compiling took, and after how many gradients it is paid back. Rows of the second never
come again in the same form, and cannot win: they show what looking for that costs. One thread.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(variable, "1")

import numpy as np

import wengert as wg
from wengert.runtime import backward

Gradient = Callable[[], Any]
RNG = np.random.default_rng(0)


# ── gradients that come again ─────────────────────────────────────────────────


def chain(n: int, size: int = 10) -> Gradient:
    """y ← y·w, y ← y + w: the cost of an op, not of its arithmetic."""
    x, w = np.ones(size), np.full(size, 1.0001)

    def f(x):
        y = x
        for _ in range(n // 2):
            y = y * w
            y = y + w
        return np.sum(y)

    gradient = wg.grad(f)
    return lambda: gradient(x)


def formula(n: int) -> Gradient:
    x = RNG.normal(size=n)
    gradient = wg.grad(lambda x: np.sum(np.tanh(1.5 * x + 0.3) * np.exp(-(x**2)) + np.log1p(np.exp(x))))
    return lambda: gradient(x)


def perceptron(batch: int, *sizes: int, dtype: Any = np.float64) -> Gradient:
    """One step of training a classifier."""
    x = RNG.normal(size=(batch, sizes[0])).astype(dtype)
    labels = RNG.integers(0, sizes[-1], batch)
    parameters = [
        (RNG.normal(size=(m, n)).astype(dtype) * dtype(m**-0.5), np.zeros(n, dtype))
        for m, n in itertools.pairwise(sizes)
    ]

    def loss(parameters):
        h = x
        for i, (w, b) in enumerate(parameters):
            h = (np.maximum(h, 0) if i else h) @ w + b
        h = h - np.max(h, axis=1, keepdims=True)
        return np.mean(np.log(np.sum(np.exp(h), axis=1)) - h[np.arange(batch), labels])

    gradient = wg.grad(loss)
    return lambda: gradient(parameters)


def pendulum(steps: int) -> Gradient:
    """A loop over scalars."""

    def f(x):
        angle, speed = x[0], x[1]
        for _ in range(steps):
            speed = speed - 0.01 * np.sin(angle)
            angle = angle + 0.01 * speed
        return angle * angle

    x, gradient = np.array([1.0, 0.0]), wg.grad(f)
    return lambda: gradient(x)


def runge_kutta(steps: int) -> Gradient:
    x, a, h = RNG.normal(size=10), 0.1 * RNG.normal(size=(10, 10)), 0.01

    def slope(y):
        return np.tanh(a @ y)

    def f(x):
        for _ in range(steps):
            k1 = slope(x)
            k2 = slope(x + h / 2 * k1)
            k3 = slope(x + h / 2 * k2)
            k4 = slope(x + h * k3)
            x = x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        return np.sum(x * x)

    gradient = wg.grad(f)
    return lambda: gradient(x)


def normalised(rows: int, columns: int) -> Gradient:
    """Layer norm and GELU."""
    x, scale = RNG.normal(size=(rows, columns)), np.ones(columns)

    def f(x, scale):
        c = x - x.mean(-1, keepdims=True)
        y = c / np.sqrt((c * c).mean(-1, keepdims=True) + 1e-5) * scale
        return np.sum(y * 0.5 * (1 + np.tanh(0.8 * (y + 0.04 * y**3))))

    gradient = wg.grad(f, (0, 1))
    return lambda: gradient(x, scale)


def process(n: int) -> Gradient:
    """The likelihood of a Gaussian process."""
    x, y = RNG.normal(size=(n, 3)), RNG.normal(size=n)

    def f(scale):
        k = np.exp(-0.5 * ((x[:, None] - x[None]) ** 2 / scale**2).sum(-1)) + 0.1 * np.eye(n)
        return 0.5 * y @ np.linalg.solve(k, y) + np.sum(np.log(np.diag(np.linalg.cholesky(k))))

    gradient = wg.grad(f)
    return lambda: gradient(np.ones(3))


AGAIN: dict[str, Callable[[], Gradient]] = {
    "chain of 10 ops, 10 elements": lambda: chain(10),
    "chain of 40 ops": lambda: chain(40),
    "chain of 1000 ops": lambda: chain(1000),
    "formula, 10 elements": lambda: formula(10),
    "formula, 1e3": lambda: formula(1000),
    "formula, 1e5": lambda: formula(100_000),
    "formula, 1e6": lambda: formula(1_000_000),
    "perceptron 16, 4-8-8-3": lambda: perceptron(16, 4, 8, 8, 3),
    "perceptron 128, 784-256-10, f32": lambda: perceptron(128, 784, 256, 10, dtype=np.float32),
    "pendulum, 300 steps": lambda: pendulum(300),
    "Runge-Kutta, 75 steps": lambda: runge_kutta(75),
    "layer norm and GELU, 256 x 512": lambda: normalised(256, 512),
    "Gaussian process, 100 points": lambda: process(100),
}


# ── gradients that do not ─────────────────────────────────────────────────────


def twice(values: Sequence[Any]) -> Iterator[Any]:
    """Each value for a gradient without compiled sweeps, and for one with them; over and over."""
    return (value for value in itertools.cycle(values) for _ in range(2))


def lengths(longest: int) -> Gradient:
    """A loop of another length each time."""
    x, w = np.ones(10), np.full(10, 1.0001)

    def f(x, n):
        y = x
        for _ in range(n):
            y = y * w + w
        return np.sum(y)

    gradient = wg.grad(f)
    numbers = twice(RNG.permutation(np.arange(longest // 2, longest)).tolist())
    return lambda: gradient(x, next(numbers))


def branches(n: int) -> Gradient:
    """As many ops each time, and another choice of them."""
    x, w = np.ones(10), np.full(10, 1.0001)

    def f(x, choice):
        y = x
        for bit in choice:
            y = y * w if bit else np.sin(y)
        return np.sum(y)

    gradient = wg.grad(f)
    choices = twice((RNG.random((5000, n)) < 0.5).tolist())
    return lambda: gradient(x, next(choices))


def shapes(n: int) -> Gradient:
    """Arrays of another length each time."""

    def f(x):
        for _ in range(n):
            x = np.sin(x) * 1.1
        return np.sum(x)

    gradient = wg.grad(f)
    arrays = twice([np.ones(m) for m in RNG.permutation(np.arange(5, 500))])
    return lambda: gradient(next(arrays))


NEVER: dict[str, Callable[[], Gradient]] = {
    "loops of other lengths, 500 to 1000 ops": lambda: lengths(500),
    "other branches, 5 ops": lambda: branches(5),
    "other branches, 100 ops": lambda: branches(100),
    "other shapes, 40 ops": lambda: shapes(20),
}


# ── measuring ─────────────────────────────────────────────────────────────────


def compiled(gradient: Gradient) -> tuple[bool, float]:
    """Have the backward pass compiled, however few gradients there have been: whether it is, and in what time."""
    cost, slowest = backward._cost, 0.0
    backward._cost = lambda length: 0.0
    try:
        for _ in range(12):
            start = time.perf_counter()
            gradient()
            slowest = max(slowest, time.perf_counter() - start)
    finally:
        backward._cost = cost
    return any(known.entry for site in backward.remembered() for known in site.forms), slowest


def interleaved(gradient: Gradient, seconds: float) -> tuple[float, float, float]:
    """Medians without and with, and of the ratio of neighbours."""
    times: tuple[list[float], list[float]] = [], []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for on in (0, 1):
            wg.config.compiled_backward = bool(on)
            start = time.perf_counter()
            gradient()
            times[on].append(time.perf_counter() - start)
    ratios = [off / on for off, on in zip(*times, strict=True)]
    return statistics.median(times[0]), statistics.median(times[1]), statistics.median(ratios)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=2.0, help="per row")
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    rows: list[dict[str, Any]] = []
    wg.config.disk_cache = False
    wg.jit(lambda x: x + 1)(1.0)  # which loads LLVM
    print(f"{'comes again':42}{'off, µs':>10}{'on, µs':>10}{'off/on':>8}{'compiling':>11}{'paid back after':>17}")
    for name, make in AGAIN.items():
        backward.forget()
        wg.config.compiled_backward = True
        gradient = make()
        done, slowest = compiled(gradient)
        off, on, ratio = interleaved(gradient, options.seconds)
        back = slowest / (off - on) if off > on else float("inf")
        rows.append({"row": name, "off": off, "on": on, "ratio": ratio, "compiled": done, "compiling": slowest})
        print(f"{name:42}{off * 1e6:10.1f}{on * 1e6:10.1f}{ratio:7.2f}x{slowest * 1e3:8.0f} ms{back:17.0f}", flush=True)
    print(f"\n{'never comes again':42}{'off, µs':>10}{'on, µs':>10}{'off/on':>8}")
    for name, make in NEVER.items():
        backward.forget()
        off, on, ratio = interleaved(make(), options.seconds)
        rows.append({"row": name, "off": off, "on": on, "ratio": ratio})
        print(f"{name:42}{off * 1e6:10.1f}{on * 1e6:10.1f}{ratio:7.3f}x", flush=True)
    if options.json:
        with open(options.json, "w") as file:
            json.dump(rows, file, indent=1)


if __name__ == "__main__":
    main()
