"""Loops over time: a known number of steps, with a state carried along."""

from __future__ import annotations

from typing import Any

import numpy as npy

from control.workload import Bars, Computation, Library, workload

GROUP = "recurrences"
FAST = Bars(jax=5.0, ratio=3.0)


def runge_kutta(slope: Any, y: Any, h: float) -> Any:
    k1 = slope(y)
    k2 = slope(y + h / 2 * k1)
    k3 = slope(y + h / 2 * k2)
    k4 = slope(y + h * k3)
    return y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)


@workload(
    "RK4, logistic growth of 10, {} steps", GROUP, sizes=[(10_000,), (100_000,), (1_000_000,)], small=(100,),
    trips=lambda n: n, bars=FAST, quick=lambda n: n == 10_000,
)  # fmt: skip
def logistic(lib: Library, steps: int) -> Computation:
    np, scan, h = lib.np, lib.loops.scan, 2.0 / steps

    def run(rate, start):
        def step(y, _):
            return runge_kutta(lambda y: rate * y * (1 - y), y, h), None

        return np.sum(scan(step, start, None, length=steps)[0] ** 2)

    return Computation(run, lib.grad(run, (0, 1)), (npy.linspace(0.5, 2.0, 10), npy.linspace(0.1, 0.6, 10)))


@workload(
    "RK4, 10 species in competition, {} steps", GROUP, sizes=[(10_000,)], small=(100,), trips=lambda n: n, bars=FAST,
)  # fmt: skip
def competition(lib: Library, steps: int) -> Computation:
    np, scan, h = lib.np, lib.loops.scan, 2.0 / steps
    rng = npy.random.default_rng(0)

    def run(rate, against, start):
        def step(y, _):
            return runge_kutta(lambda y: rate * y * (1 - against @ y), y, h), None

        return np.sum(scan(step, start, None, length=steps)[0] ** 2)

    args = (npy.linspace(0.5, 2.0, 10), npy.eye(10) + 0.05 * rng.random((10, 10)), npy.linspace(0.1, 0.6, 10))
    return Computation(run, lib.grad(run, (0, 1)), args)


def torch_rnn(hidden: int, steps: int) -> Any:
    import torch

    weights = [torch.tensor(a, requires_grad=True) for a in rnn_weights(hidden)]
    xs = torch.tensor(sequence(hidden, steps))

    def run():
        w, u, b = weights
        h = torch.zeros(hidden, dtype=torch.float64)
        for x in xs:
            h = torch.tanh(w @ h + u @ x + b)
        return (h * h).sum()

    return run, lambda: torch.autograd.grad(run(), weights)


def rnn_weights(hidden: int) -> tuple[Any, ...]:
    rng = npy.random.default_rng(0)
    w, u = (rng.normal(size=(hidden, hidden)) * 0.9 * hidden**-0.5 for _ in range(2))
    return w, u, 0.1 * rng.normal(size=hidden)


def sequence(hidden: int, steps: int) -> Any:
    return npy.random.default_rng(1).normal(size=(steps, hidden))


@workload(
    "tanh RNN, hidden {}, {} steps", GROUP, sizes=[(14, 1024), (64, 256), (64, 1024)], small=(14, 16),
    trips=lambda d, n: n, bars=FAST, quick=lambda d, n: n == 1024 or d == 14, torch=torch_rnn,
)  # fmt: skip
def rnn(lib: Library, hidden: int, steps: int) -> Computation:
    np, scan = lib.np, lib.loops.scan

    def run(weights, xs):
        w, u, b = weights

        def step(h, x):
            return np.tanh(w @ h + u @ x + b), None

        return np.sum(scan(step, np.zeros(hidden), xs)[0] ** 2)

    return Computation(run, lib.grad(run), (rnn_weights(hidden), sequence(hidden, steps)))


def lstm_weights(hidden: int) -> tuple[Any, ...]:
    rng = npy.random.default_rng(0)
    return rng.normal(size=(4 * hidden, 2 * hidden)) * 0.5 * hidden**-0.5, 0.1 * rng.normal(size=4 * hidden)


def torch_lstm(hidden: int, steps: int) -> Any:
    import torch

    weights = [torch.tensor(a, requires_grad=True) for a in lstm_weights(hidden)]
    xs = torch.tensor(sequence(hidden, steps))

    def run():
        w, b = weights
        h = c = torch.zeros(hidden, dtype=torch.float64)
        total = h.sum()
        for x in xs:
            i, f, o, g = (w @ torch.cat([x, h]) + b).split(hidden)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
            total = total + (h * h).sum()
        return total

    return run, lambda: torch.autograd.grad(run(), weights)


@workload(
    "LSTM, hidden {}, {} steps", GROUP, sizes=[(14, 1024), (64, 256), (64, 1024)], small=(14, 16),
    trips=lambda d, n: n, bars=FAST, quick=lambda d, n: n == 1024 or d == 14, torch=torch_lstm,
)  # fmt: skip
def lstm(lib: Library, hidden: int, steps: int) -> Computation:
    np, scan = lib.np, lib.loops.scan

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    def run(weights, xs):
        w, b = weights

        def step(state, x):
            h, c = state
            i, f, o, g = np.split(w @ np.concatenate([x, h]) + b, 4)
            c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
            h = sigmoid(o) * np.tanh(c)
            return (h, c), np.sum(h * h)

        return np.sum(scan(step, (np.zeros(hidden), np.zeros(hidden)), xs)[1])

    return Computation(run, lib.grad(run), (lstm_weights(hidden), sequence(hidden, steps)))


@workload("Kalman filter, 4 states, {} observations", GROUP, sizes=[(1000,)], small=(20,), trips=lambda n: n)
def kalman(lib: Library, steps: int) -> Computation:
    """The likelihood of positions seen with noise, as a function of the noise."""
    np, scan, h = lib.np, lib.loops.scan, 0.1
    move = npy.eye(4) + h * npy.eye(4, k=2)
    see = npy.eye(2, 4)
    shake = npy.kron(npy.array([[h**3 / 3, h**2 / 2], [h**2 / 2, h]]), npy.eye(2))

    def run(noise, seen):
        q, r = np.exp(noise[0]) * shake, np.exp(noise[1]) * np.eye(2)

        def step(state, z):
            m, p = state
            m, p = move @ m, move @ p @ move.T + q
            s = see @ p @ see.T + r
            e = z - see @ m
            gain = np.linalg.solve(s, see @ p).T
            likelihood = -0.5 * (e @ np.linalg.solve(s, e) + np.linalg.slogdet(s)[1])
            return (m + gain @ e, p - gain @ see @ p), likelihood

        return np.sum(scan(step, (np.zeros(4), np.eye(4)), seen)[1])

    seen = npy.cumsum(npy.random.default_rng(0).normal(size=(steps, 2)), axis=0)
    return Computation(run, lib.grad(run), (npy.array([-1.0, -2.0]), seen))


@workload(
    "moving average of {} numbers", GROUP, sizes=[(1_000_000,)], small=(100,), trips=lambda n: n,
)  # fmt: skip
def average(lib: Library, n: int) -> Computation:
    """y ← a y + (1 - a) x, all ys given out: what a scan costs when its body costs nothing."""
    np, scan = lib.np, lib.loops.scan

    def run(a, xs):
        def step(y, x):
            y = a * y + (1 - a) * x
            return y, y

        return np.sum(scan(step, 0.0, xs)[1] ** 2) / n

    return Computation(run, lib.grad(run, (0, 1)), (npy.array(0.9), npy.random.default_rng(0).normal(size=n)))


@workload(
    "pendulum, {} steps", GROUP, sizes=[(1_000_000,)], small=(100,), trips=lambda n: n, quick=lambda n: False,
)  # fmt: skip
def pendulum(lib: Library, steps: int) -> Computation:
    np, scan, h = lib.np, lib.loops.scan, 10.0 / steps

    def run(start):
        def step(state, _):
            angle, speed = state
            speed = speed - h * np.sin(angle)
            return (angle + h * speed, speed), None

        return scan(step, (start[0], start[1]), None, length=steps)[0][0]

    return Computation(run, lib.grad(run), (npy.array([1.0, 0.0]),))
