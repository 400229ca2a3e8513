"""Ten programs of 10 to 1000 operations, for compile times. One text each for NumPy and `jax.numpy`, bound when made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy

Make = Callable[[Any], Callable[..., Any]]


def formula(np):
    return lambda x: np.sum(np.tanh(0.7 * x + 0.1) * np.exp(-(x**2)) + np.log1p(np.exp(x)))


def rosenbrock(np):
    def f(x):
        left, right = x[:-1], x[1:]
        valley = np.sum(100.0 * (right - left**2) ** 2 + (1 - left) ** 2)
        barrier = np.sum(np.log(1 + np.exp(-3 * x)) + np.sqrt(1 + x**2))
        return valley + 0.1 * barrier + np.mean(np.sin(x) * np.cos(2 * x))

    return f


def perceptron(np):
    def f(x):
        w1, w2, h = x[:256].reshape(16, 16), x[256:512].reshape(16, 16), x[512:768].reshape(16, 16)
        for w in (w1, w2):
            h = np.maximum(h @ w + 0.1, 0)
            h = (h - np.mean(h, axis=1, keepdims=True)) / np.sqrt(np.var(h, axis=1, keepdims=True) + 1e-5)
        shifted = h - np.max(h, axis=1, keepdims=True)
        return np.mean(np.log(np.sum(np.exp(shifted), axis=1)) - shifted[:, 0])

    return f


def chain(np, n):
    """n elementwise operations, one after another."""

    def f(x):
        y = x
        for i in range(n // 6):
            y = np.tanh(0.9 * y + 0.1) * (1.1 - 0.001 * i) + 0.2 * x
        return np.sum(y)

    return f


def network(np, depth):
    """Dense layers with softmax-like gates and skips."""

    def f(x):
        h, w = x[:256].reshape(16, 16), x[256:512].reshape(16, 16)
        for _ in range(depth):
            gate = 1 / (1 + np.exp(-(h @ w)))
            z = gate * np.tanh(w @ h) + (1 - gate) * h
            h = z - np.mean(z, axis=0)
        return np.sum(h**2)

    return f


def orbit(np, steps):
    """Runge–Kutta steps of three attracting bodies in the plane, unrolled."""

    def rate(position, velocity):
        d = position[None] - position[:, None]
        inverse = (np.sum(d**2, axis=2) + 0.1) ** -1.5
        return velocity, np.sum(d * inverse[:, :, None], axis=1)

    def f(x):
        p, v = x[:6].reshape(3, 2), x[6:12].reshape(3, 2)
        h = 0.01
        for _ in range(steps):
            p1, v1 = rate(p, v)
            p2, v2 = rate(p + 0.5 * h * p1, v + 0.5 * h * v1)
            p, v = p + h * p2, v + h * v2
        return np.sum(p**2) + np.sum(v * v)

    return f


def recurrent(np, steps):
    """A gated recurrence over a sequence, unrolled, with a readout at each step."""

    def f(x):
        w, u = x[:256].reshape(16, 16), x[256:512].reshape(16, 16)
        h, loss = np.tanh(x[512:528]), 0.0
        for t in range(steps):
            z = 1 / (1 + np.exp(-(w @ h + x[t % 16])))
            h = z * np.tanh(u @ h) + (1 - z) * h
            loss = loss + np.log(1 + np.sum(h**2))
        return loss

    return f


def scalars(np, n):
    """n operations on single numbers: a continued fraction."""

    def f(x):
        y = x[0]
        for i in range(n // 6):
            y = x[i % 16] ** 2 + 1 / (1.5 + np.abs(y))
        return y

    return f


#: name → (function of the namespace, length of the argument); by number of operations, forward alone
PROGRAMS: dict[str, tuple[Make, int]] = {
    "formula": (formula, 1000),
    "Rosenbrock with barriers": (rosenbrock, 1000),
    "two dense layers, softmax": (perceptron, 768),
    "60 elementwise": (lambda np: chain(np, 60), 1000),
    "network of 10 gated layers": (lambda np: network(np, 10), 512),
    "orbit, 5 steps": (lambda np: orbit(np, 5), 12),
    "recurrence, 25 steps": (lambda np: recurrent(np, 25), 528),
    "orbit, 20 steps": (lambda np: orbit(np, 20), 12),
    "600 on scalars": (lambda np: scalars(np, 600), 16),
    "1000 elementwise, unrolled": (lambda np: chain(np, 1000), 1000),
}
LONGEST = "1000 elementwise, unrolled"


def argument(name: str) -> numpy.ndarray:
    return 0.3 * numpy.random.default_rng(0).normal(size=PROGRAMS[name][1])
