"""Products, reductions of transposed arrays, sorting."""

from __future__ import annotations

import numpy as np

from workloads.case import BOTH, Bar, Problem, jnp, torch, workload


@workload(
    "matmul",
    group="matmul",
    sizes=[(64,), (256,), (1024,)],
    small=(5,),
    dtypes=BOTH,
    bar=lambda dtype, n: Bar(jax=2.0 if n == 64 else 0.95),
    label=lambda n: f"({n}, {n})",
)
def product(dtype: str, n: int) -> Problem:
    a, b = np.random.default_rng(0).normal(size=(2, n, n)).astype(dtype)
    matmul = lambda a, b: a @ b
    return Problem((a, b), matmul, matmul, matmul, wrt=(), by_hand=matmul)


# ── reductions ────────────────────────────────────────────────────────────────

AXES = {0: (0,), 1: (1,), 2: (0, 2)}


def reduced(axes):
    return lambda a, b, w: np.sum(w * np.sum(np.exp(a * b.T), axis=axes))


def jax_reduced(axes):
    return lambda a, b, w: jnp.sum(w * jnp.sum(jnp.exp(a * b.T), axis=axes))


def torch_reduced(axes):
    return lambda a, b, w: torch.sum(w * torch.sum(torch.exp(a * b.permute(2, 1, 0)), dim=axes))


def reduced_by_hand(axes):
    def run(a, b, w):
        e = np.exp(a * b.T)
        value = np.sum(w * e.sum(axes))
        e *= np.expand_dims(w, axes)
        return value, (e * b.T, (e * a).T)

    return run


@workload(
    "sum exp(a·bᵀ) over",
    sizes=[(100, 200, 300, which) for which in AXES],
    small=(3, 4, 5, 2),
    label=lambda i, j, k, which: f"axes {AXES[which]} of ({i}, {j}, {k})",
)
def reductions(dtype: str, i: int, j: int, k: int, which: int) -> Problem:
    axes = AXES[which]
    rng = np.random.default_rng(0)
    a, b = (0.5 * rng.normal(size=s) for s in ((i, j, k), (k, j, i)))
    w = rng.normal(size=[n for axis, n in enumerate((i, j, k)) if axis not in axes])
    args = (a.astype(dtype), b.astype(dtype), w.astype(dtype))
    return Problem(
        args, reduced(axes), jax_reduced(axes), torch_reduced(axes), wrt=(0, 1), by_hand=reduced_by_hand(axes)
    )


@workload("sort", sizes=[(1_000_000,)], small=(9,), label=lambda n: f"{n:,} numbers")
def sort(dtype: str, n: int) -> Problem:
    x = np.random.default_rng(0).normal(size=n).astype(dtype)
    theirs = lambda x: torch.sort(x)[0]
    return Problem((x,), lambda x: np.sort(x), lambda x: jnp.sort(x), theirs, wrt=(), by_hand=np.sort)
