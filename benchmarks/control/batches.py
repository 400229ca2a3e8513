"""Small programs on many examples."""

from __future__ import annotations

from typing import Any

import numpy as npy

from control.workload import Bars, Computation, Library, workload

GROUP = "batches"
JACOBIAN = Bars(jax=1.0, value=1.0)


def matrices(n: int) -> Any:
    return npy.random.default_rng(0).normal(size=(n, 3, 3)) + 3 * npy.eye(3)


def torch_inverses(n: int) -> Any:
    import torch

    a = torch.tensor(matrices(n), requires_grad=True)
    run = lambda: (torch.linalg.inv(a) ** 2).sum() + torch.linalg.slogdet(a)[1].sum()
    return run, lambda: torch.autograd.grad(run(), a)


@workload(
    "inverse and log-determinant of {} 3×3 matrices", GROUP, sizes=[(10_000,)], small=(5,), trips=lambda n: n,
    torch=torch_inverses,
)  # fmt: skip
def inverses(lib: Library, n: int) -> Computation:
    np = lib.np

    def one(a):
        return np.sum(np.linalg.inv(a) ** 2) + np.linalg.slogdet(a)[1]

    def run(a):
        return np.sum(lib.vmap(one)(a))

    return Computation(run, lib.grad(run), (matrices(n),))


def projection(np: Any) -> Any:
    """A point as a camera sees it: turned about an axis, moved, and distorted by the lens."""

    def project(camera, point):
        turn, centre, focal, middle, lens = camera[:3], camera[3:6], camera[6], camera[7:9], camera[9:11]
        angle = np.sqrt(np.sum(turn * turn))
        axis, p = turn / angle, point - centre
        c, s = np.cos(angle), np.sin(angle)
        q = p * c + np.cross(axis, p) * s + axis * (np.sum(axis * p) * (1 - c))
        flat = q[:2] / q[2]
        r = np.sum(flat * flat)
        return focal * (1 + lens[0] * r + lens[1] * r * r) * flat + middle

    return project


def views(n: int) -> tuple[Any, ...]:
    rng = npy.random.default_rng(0)
    return 0.1 + 0.5 * rng.random((n, 11)), rng.normal(size=(n, 3)) + npy.array([0, 0, 5.0])


def torch_cameras(n: int) -> Any:
    import torch

    cameras, points = map(torch.tensor, views(n))

    def project(camera, point):
        turn, centre, focal, middle, lens = camera[:3], camera[3:6], camera[6], camera[7:9], camera[9:11]
        angle = torch.sqrt(torch.sum(turn * turn))
        axis, p = turn / angle, point - centre
        c, s = torch.cos(angle), torch.sin(angle)
        q = p * c + torch.linalg.cross(axis, p) * s + axis * (torch.sum(axis * p) * (1 - c))
        flat = q[:2] / q[2]
        r = torch.sum(flat * flat)
        return focal * (1 + lens[0] * r + lens[1] * r * r) * flat + middle

    run, slope = torch.vmap(project), torch.vmap(torch.func.jacrev(project, (0, 1)))
    return lambda: run(cameras, points), lambda: slope(cameras, points)


@workload(
    "camera projection, {} views: Jacobians 2×14", GROUP, sizes=[(31_843,)], small=(5,), trips=lambda n: n,
    bars=JACOBIAN, torch=torch_cameras,
)  # fmt: skip
def cameras(lib: Library, n: int) -> Computation:
    project = projection(lib.np)
    return Computation(lib.vmap(project), lib.vmap(lib.jacobian(project, (0, 1))), views(n))


def perceptron(n: int) -> tuple[Any, ...]:
    rng = npy.random.default_rng(0)
    weights = (rng.normal(size=(8, 4)), rng.normal(size=8), rng.normal(size=(1, 8)), rng.normal(size=1))
    return weights, rng.normal(size=(n, 4)), rng.normal(size=n)


def torch_perceptron(n: int) -> Any:
    import torch

    weights, xs, ys = perceptron(n)
    w, xs, ys = tuple(map(torch.tensor, weights)), torch.tensor(xs), torch.tensor(ys)

    def loss(weights, x, y):
        w1, b1, w2, b2 = weights
        return (((w2 @ torch.tanh(w1 @ x + b1) + b2)[0] - y) ** 2) / 2

    run, slope = torch.vmap(loss, (None, 0, 0)), torch.vmap(torch.func.grad(loss), (None, 0, 0))
    return lambda: run(w, xs, ys), lambda: slope(w, xs, ys)


@workload(
    "MLP 4-8-1, a gradient for each of {} examples", GROUP, sizes=[(10_000,)], small=(5,), trips=lambda n: n,
    torch=torch_perceptron,
)  # fmt: skip
def per_example(lib: Library, n: int) -> Computation:
    np = lib.np

    def loss(weights, x, y):
        w1, b1, w2, b2 = weights
        return ((w2 @ np.tanh(w1 @ x + b1) + b2)[0] - y) ** 2 / 2

    axes = (None, 0, 0)
    return Computation(lib.vmap(loss, axes), lib.vmap(lib.grad(loss), axes), perceptron(n))


@workload(
    "Lorenz system from {} starts, 100 steps of RK4", GROUP, sizes=[(1000,)], small=(3,), trips=lambda n: 100 * n,
    bars=JACOBIAN,
)  # fmt: skip
def ensemble(lib: Library, n: int) -> Computation:
    """A loop within a batch: how each end depends on its start."""
    from control.recurrences import runge_kutta

    np, loops = lib.np, lib.loops

    def slope(p):
        x, y, z = p[0], p[1], p[2]
        return np.stack([10.0 * (y - x), x * (28.0 - z) - y, x * y - 8.0 / 3.0 * z])

    def end(start):
        return loops.fori_loop(0, 100, lambda _, p: runge_kutta(slope, p, 0.01), start)

    starts = npy.random.default_rng(0).normal(size=(n, 3)) + npy.array([1.0, 1.0, 20.0])
    return Computation(lib.vmap(end), lib.vmap(lib.jacobian(end)), (starts,))
