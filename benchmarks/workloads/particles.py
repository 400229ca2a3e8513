"""Pairs and sparse pairs: Lennard-Jones, matrix factorisation."""

from __future__ import annotations

import numpy as np

from workloads.case import BOTH, Problem, jnp, torch, workload


def energy(p, same):
    d = p[:, None] - p[None]
    inverse = (1 / np.where(same, 1e30, np.sum(d * d, axis=2))) ** 3
    return 2 * np.sum(inverse * inverse - inverse)


def jax_energy(p, same):
    d = p[:, None] - p[None]
    inverse = (1 / jnp.where(same, 1e30, jnp.sum(d * d, axis=2))) ** 3
    return 2 * jnp.sum(inverse * inverse - inverse)


def torch_energy(p, same):
    d = p[:, None] - p[None]
    inverse = (1 / torch.where(same, 1e30, torch.sum(d * d, dim=2))) ** 3
    return 2 * torch.sum(inverse * inverse - inverse)


def forces_by_hand(p, same):
    d = p[:, None] - p[None]
    s = 1 / np.where(same, 1e30, np.einsum("ijk,ijk->ij", d, d))
    inverse = s * s * s
    return 2 * np.sum(inverse * inverse - inverse), (
        4 * np.einsum("ijk,ij->ik", d, s * (6 * inverse - 12 * inverse**2)),
    )


@workload("Lennard-Jones energy and forces", sizes=[(500,)], small=(9,), dtypes=BOTH, label=lambda n: f"N = {n}")
def lennard_jones(dtype: str, n: int) -> Problem:
    side = int(np.ceil(n ** (1 / 3)))
    grid = np.stack(np.meshgrid(*[np.arange(side)] * 3), -1).reshape(-1, 3)[:n] * 1.12
    p = (grid + np.random.default_rng(0).normal(size=(n, 3)) * 0.05).astype(dtype)
    return Problem((p, np.eye(n, dtype=bool)), energy, jax_energy, torch_energy, by_hand=forces_by_hand)


# ── matrix factorisation ──────────────────────────────────────────────────────


def misfit(users, items, user, item, rating):
    return np.sum((rating - np.sum(users[user] * items[item], axis=1)) ** 2)


def jax_misfit(users, items, user, item, rating):
    return jnp.sum((rating - jnp.sum(users[user] * items[item], axis=1)) ** 2)


def torch_misfit(users, items, user, item, rating):
    return torch.sum((rating - torch.sum(users[user] * items[item], dim=1)) ** 2)


def misfit_by_hand(users, items, user, item, rating):
    u, v = users[user], items[item]
    left = rating - np.einsum("ij,ij->i", u, v)
    g = (-2 * left)[:, None]
    du, dv = np.zeros_like(users), np.zeros_like(items)
    np.add.at(du, user, g * v)
    np.add.at(dv, item, g * u)
    return np.dot(left, left), (du, dv)


@workload(
    "matrix factorisation",
    sizes=[(1_000_000, 20_000, 5_000, 16)],
    small=(40, 7, 5, 3),
    dtypes=BOTH,
    label=lambda n, *rest: f"{n:,} ratings",
)
def matrix_factorisation(dtype: str, ratings: int, users: int, items: int, rank: int) -> Problem:
    rng = np.random.default_rng(0)
    factors = [(0.3 * rng.normal(size=(n, rank))).astype(dtype) for n in (users, items)]
    pairs = [rng.integers(0, n, ratings) for n in (users, items)]
    args = (*factors, *pairs, rng.normal(size=ratings).astype(dtype))
    return Problem(args, misfit, jax_misfit, torch_misfit, wrt=(0, 1), by_hand=misfit_by_hand)
