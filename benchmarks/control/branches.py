"""Branches within loops, and loops within loops."""

from __future__ import annotations

import numpy as npy

from control.workload import Computation, Library, workload

GROUP = "nested"


@workload("ball that bounces: cond in {} steps", GROUP, sizes=[(100_000,)], small=(100,), trips=lambda n: n)
def ball(lib: Library, steps: int) -> Computation:
    loops, h = lib.loops, 5.0 / steps

    def run(start, loss):
        def step(state, _):
            height, speed = state
            height, speed = height + h * speed, speed - 9.81 * h
            return loops.cond(height < 0, lambda: (-loss * height, -loss * speed), lambda: (height, speed)), None

        height, speed = loops.scan(step, (start, 0.0), None, length=steps)[0]
        return 9.81 * height + speed * speed / 2

    return Computation(run, lib.grad(run, (0, 1)), (npy.array(2.0), npy.array(0.8)))


@workload("little machine: switch of 4 in {} steps", GROUP, sizes=[(100_000,)], small=(100,), trips=lambda n: n)
def machine(lib: Library, steps: int) -> Computation:
    np, loops = lib.np, lib.loops

    def run(x, codes, numbers):
        def step(y, given):
            code, number = given
            branches = [
                lambda: y + 0.1 * number, lambda: y * (1 - 0.1 * number), lambda: np.sin(y), lambda: y / (1 + y * y)
            ]  # fmt: skip
            return loops.switch(code, branches), None

        return loops.scan(step, x, (codes, numbers))[0]

    rng = npy.random.default_rng(0)
    args = (npy.array(0.5), rng.integers(0, 4, steps), rng.random(steps))
    return Computation(run, lib.grad(run, (0, 2)), args)


@workload(
    "Mandelbrot set, {0} × {0}, a while loop for each", GROUP, sizes=[(128,)], small=(4,), trips=lambda n: 50 * n * n
)
def mandelbrot(lib: Library, n: int) -> Computation:
    """How long points stay, and how the last distance depends on them."""
    np, loops = lib.np, lib.loops

    def stays(x, y):
        def going(state):
            a, b, n = state
            return (a * a + b * b < 100.0) & (n < 200)

        def step(state):
            a, b, n = state
            return a * a - b * b + x, 2 * a * b + y, n + 1

        a, b, n = loops.while_loop(going, step, (0.0 * x, 0.0 * y, 0))
        return np.log(1 + a * a + b * b) / (1.0 + n)

    x, y = npy.meshgrid(npy.linspace(-2.0, 0.5, n), npy.linspace(-1.2, 1.2, n))
    return Computation(lib.vmap(stays), lib.vmap(lib.slope(stays, (0, 1))), (x.ravel(), y.ravel()))


@workload("200 records of a pendulum, {} steps for each", GROUP, sizes=[(100,)], small=(5,), trips=lambda n: 200 * n)
def records(lib: Library, steps: int) -> Computation:
    np, loops, h = lib.np, lib.loops, 0.1 / steps

    def run(start):
        def small(_, state):
            angle, speed = state
            speed = speed - h * np.sin(angle)
            return angle + h * speed, speed

        def record(state, _):
            state = loops.fori_loop(0, steps, small, state)
            return state, state[0]

        return np.sum(loops.scan(record, (start[0], start[1]), None, length=200)[1] ** 2)

    return Computation(run, lib.grad(run), (npy.array([1.0, 0.0]),))
