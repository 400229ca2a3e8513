"""Loops that end when a predicate says so: nobody knows how many trips there will be."""

from __future__ import annotations

import numpy as npy

from control.workload import Bars, Computation, Library, workload

GROUP = "while"


@workload(
    "x ← c x while x > tol, {} trips", GROUP, sizes=[(1000,), (10_000,), (100_000,), (1_000_000,)], small=(50,),
    trips=lambda n: n, bars=Bars(ratio=3.0, trip=5.0), series="while",
)  # fmt: skip
def decay(lib: Library, trips: int) -> Computation:
    while_loop = lib.loops.while_loop

    def run(x, c):
        return while_loop(lambda x: x > 1e-6, lambda x: c * x, x)

    return Computation(run, lib.slope(run, (0, 1)), (npy.array(1.0), npy.array(1e-6 ** (1 / (trips - 0.5)))))


def kepler(lib: Library):
    """The eccentric anomaly, by Newton's method."""
    np, while_loop = lib.np, lib.loops.while_loop

    def solve(mean, eccentricity):
        def going(state):
            _, change, n = state
            return (np.abs(change) > 1e-12) & (n < 100)

        def newton(state):
            x, _, n = state
            change = (x - eccentricity * np.sin(x) - mean) / (1 - eccentricity * np.cos(x))
            return x - change, change, n + 1

        return while_loop(going, newton, (mean + eccentricity, 1.0, 0))[0]

    return solve


@workload("one root by Newton's method", GROUP, sizes=[()], small=(), trips=lambda: 5)
def root(lib: Library) -> Computation:
    solve = kepler(lib)
    return Computation(solve, lib.slope(solve, (0, 1)), (npy.array(0.3), npy.array(0.7)))


def orbits(n: int):
    """Eccentricities of which most are small and a few near 1."""
    rng = npy.random.default_rng(0)
    return rng.uniform(0.1, 3.0, n), 1 - rng.uniform(0.003, 1.0, n)


@workload(
    "Newton's method on {} rows, each with its trips", GROUP, sizes=[(10_000,)], small=(8,), trips=lambda n: 5 * n,
    bars=Bars(jax=1.0, value=1.0, ratio=3.0),
)  # fmt: skip
def roots(lib: Library, n: int) -> Computation:
    solve = kepler(lib)
    return Computation(lib.vmap(solve), lib.vmap(lib.slope(solve, (0, 1))), orbits(n))


@workload(
    "fixed-point iteration on {} rows, 2 to 1000 trips", GROUP, sizes=[(10_000,)], small=(8,), trips=lambda n: 30 * n,
)  # fmt: skip
def fixed_points(lib: Library, n: int) -> Computation:
    """x = M + e sin x, which converges as fast as e |cos x| is small."""
    np, while_loop = lib.np, lib.loops.while_loop

    def solve(mean, eccentricity):
        def going(state):
            x, before, n = state
            return (np.abs(x - before) > 1e-10) & (n < 1000)

        def again(state):
            x, _, n = state
            return mean + eccentricity * np.sin(x), x, n + 1

        return while_loop(going, again, (mean, mean + 1.0, 0))[0]

    mean, eccentricity = orbits(n)
    return Computation(lib.vmap(solve), lib.vmap(lib.slope(solve, (0, 1))), (0.3 * mean, eccentricity))


@workload(
    "gradient descent with a line search, 4 unknowns", GROUP, sizes=[()], small=(), trips=lambda: 100,
    bars=Bars(value=1.0), tolerance=1e-5,  # where it stops depends on the last digit
)  # fmt: skip
def line_search(lib: Library) -> Computation:
    """A while loop within a while loop, and a gradient in its body."""
    np, while_loop = lib.np, lib.loops.while_loop

    def run(scale):
        def loss(x):
            return np.sum(np.exp(x) - scale * x) + 0.1 * np.sum(x) ** 2

        def descend(state):
            x, n = state
            g = lib.grad(loss)(x)
            high = lambda t: loss(x - t * g) > loss(x) - 0.3 * t * np.sum(g * g)
            step = while_loop(high, lambda t: 0.5 * t, 4.0)
            return x - step * g, n + 1

        far = lambda state: (np.sum(lib.grad(loss)(state[0]) ** 2) > 1e-16) & (state[1] < 100)
        return np.sum(np.exp(while_loop(far, descend, (np.ones(4), 0))[0]))

    return Computation(run, lib.slope(run), (npy.array([1.0, 2.0, 3.0, 4.0]),))
