"""Train a small classifier on handwritten digits, in plain NumPy, with Adam written out."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import wengert.api as wg
from wengert.demo.extras import load_digits, matplotlib_figure

Params = list[tuple[np.ndarray, np.ndarray]]


# ── the user's program ────────────────────────────────────────────────────────


def forward(params, x):
    for w, b in params[:-1]:
        x = np.maximum(x @ w + b, 0.0)
    w, b = params[-1]
    return x @ w + b


def cross_entropy(params, x, labels):
    logits = forward(params, x)
    shifted = logits - np.max(logits, axis=1, keepdims=True)
    log_p = shifted - np.log(np.sum(np.exp(shifted), axis=1, keepdims=True))
    return -np.mean(log_p[np.arange(len(labels)), labels])


def accuracy(params, x, labels):
    return float(np.mean(np.argmax(forward(params, x), axis=1) == labels))


# ── training ──────────────────────────────────────────────────────────────────


@dataclass
class Training:
    """What the demo reports."""

    test_accuracy: float
    losses: list[float]
    seconds: float
    steps: int
    tape_bytes: int
    params: Params


def initial(rng: np.random.Generator, sizes: tuple[int, ...] = (64, 64, 10)) -> Params:
    """He initialisation (He et al. 2015)."""
    return [(rng.normal(size=(n, m)) * np.sqrt(2 / n), np.zeros(m)) for n, m in itertools.pairwise(sizes)]


def split(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Training images and labels, test images and labels (a fifth)."""
    data = load_digits()
    x, labels = data.data / 16.0, data.target
    order = np.random.default_rng(seed).permutation(len(x))
    n = len(x) * 4 // 5
    return x[order[:n]], labels[order[:n]], x[order[n:]], labels[order[n:]]


def train(
    epochs: int = 30, batch: int = 64, rate: float = 3e-3, tick: Callable[[float], None] = lambda loss: None
) -> Training:
    """Adam (Kingma & Ba 2015) on minibatches; `tick(loss)` is called after every step."""
    x, labels, x_test, labels_test = split()
    rng = np.random.default_rng(1)
    params = initial(rng)
    value_and_grad = wg.value_and_grad(
        wg.adopt(sys.modules[__name__]).cross_entropy
    )  # this module counts as the user's
    flat = [a for layer in params for a in layer]
    first, second = [np.zeros_like(a) for a in flat], [np.zeros_like(a) for a in flat]
    losses: list[float] = []
    start, step = time.perf_counter(), 0
    for _ in range(epochs):
        order = rng.permutation(len(x))
        for i in range(0, len(x), batch):
            rows = order[i : i + batch]
            value, gradient = value_and_grad(params, x[rows], labels[rows])
            step += 1
            for a, g, m, v in zip(flat, [g for layer in gradient for g in layer], first, second, strict=True):
                m += 0.1 * (g - m)
                v += 0.001 * (g * g - v)
                a -= rate * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.999**step)) + 1e-8)
            losses.append(float(value))
            tick(losses[-1])
    seconds = time.perf_counter() - start
    with wg.GradientTape() as tape:
        cross_entropy(tape.watch(params), x[:batch], labels[:batch])
    return Training(accuracy(params, x_test, labels_test), losses, seconds, step, tape.program.residual_bytes(), params)


def plot(result: Training, path: Path) -> Path:
    """Draw the loss over steps."""
    figure, axes = matplotlib_figure(figsize=(7, 4))
    axes.semilogy(result.losses, color="#2f6690", lw=0.8)
    axes.set(
        xlabel="step", ylabel="cross-entropy", title=f"Handwritten digits: test accuracy {result.test_accuracy:.1%}"
    )
    figure.tight_layout()
    figure.savefig(path, dpi=150)
    return path
