"""Arrays read and written by index within loops: a step must cost the same whatever the length of the array."""

from __future__ import annotations

import numpy as npy

from control.workload import Computation, Library, workload

GROUP = "elements"
SIZES = [(1000,), (10_000,), (100_000,)]


def in_reach(n: int) -> bool:
    """JAX's gradients of loops that write take time like n²."""
    return n <= 10_000


@workload(
    "out[i] = … in a loop, {} elements", GROUP, sizes=SIZES, small=(20,), trips=lambda n: n, series="out[i] = …",
    jax=in_reach,
)  # fmt: skip
def written(lib: Library, n: int) -> Computation:
    np, loops = lib.np, lib.loops

    def run(a, x):
        def body(i, state):
            y, out = state
            y = a * y + np.sin(x)
            return y, lib.put(out, i, y)

        return np.sum(loops.fori_loop(0, n, body, (1.0 * x, np.zeros(n)))[1] ** 2) / n

    return Computation(run, lib.grad(run, (0, 1)), (npy.array(0.9), npy.array(0.3)))


@workload(
    "out[i] from out[i - 1], {} elements", GROUP, sizes=SIZES, small=(20,), trips=lambda n: n,
    series="out[i] from out[i - 1]", jax=in_reach,
)  # fmt: skip
def recurrence(lib: Library, n: int) -> Computation:
    np, loops = lib.np, lib.loops

    def run(a, xs):
        def body(i, out):
            return lib.put(out, i, a * out[i - 1] + xs[i])

        return np.sum(loops.fori_loop(1, n, body, np.zeros(n)) ** 2) / n

    return Computation(run, lib.grad(run, (0, 1)), (npy.array(0.9), npy.random.default_rng(0).normal(size=n)))


@workload(
    "xs[i] read in a loop, {} elements", GROUP, sizes=SIZES, small=(20,), trips=lambda n: n, series="xs[i]",
)  # fmt: skip
def read(lib: Library, n: int) -> Computation:
    np, loops = lib.np, lib.loops

    def run(xs):
        return loops.fori_loop(0, n, lambda i, y: np.sin(y) + xs[i], 0.0)

    return Computation(run, lib.grad(run), (npy.random.default_rng(0).normal(size=n),))


@workload(
    "xs[order[i]] read in a loop, {} elements", GROUP, sizes=SIZES, small=(20,), trips=lambda n: n,
    series="xs[order[i]]",
)  # fmt: skip
def gathered(lib: Library, n: int) -> Computation:
    np, loops = lib.np, lib.loops

    def run(xs, order):
        return loops.scan(lambda y, j: (np.sin(y) + xs[j], None), 0.0, order)[0]

    rng = npy.random.default_rng(0)
    return Computation(run, lib.grad(run), (rng.normal(size=n), rng.integers(0, n, n)))
