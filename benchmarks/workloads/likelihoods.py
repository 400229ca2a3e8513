"""Log-likelihoods, and small linear algebra in batches."""

from __future__ import annotations

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import logsumexp

from workloads.case import BOTH, Problem, jax, jnp, torch, workload

# ── Gaussian mixture ──────────────────────────────────────────────────────────


def mixture(alphas, means, log_diagonals, lower, x):
    """Points x under a mixture whose precisions' square roots are lower triangular, one for each component."""
    d = x.shape[1]
    roots = np.tril(lower, -1) + np.exp(log_diagonals)[:, :, None] * np.eye(d, dtype=x.dtype)
    y = np.einsum("kij,nkj->nki", roots, x[:, None] - means)
    terms = alphas + np.sum(log_diagonals, axis=1) - 0.5 * np.sum(y**2, axis=2)
    return np.sum(logsumexp(terms, axis=1)) - len(x) * logsumexp(alphas)


def jax_mixture(alphas, means, log_diagonals, lower, x):
    logsumexp = jax.nn.logsumexp
    roots = jnp.tril(lower, -1) + jnp.exp(log_diagonals)[:, :, None] * jnp.eye(x.shape[1], dtype=x.dtype)
    y = jnp.einsum("kij,nkj->nki", roots, x[:, None] - means)
    terms = alphas + jnp.sum(log_diagonals, axis=1) - 0.5 * jnp.sum(y**2, axis=2)
    return jnp.sum(logsumexp(terms, axis=1)) - len(x) * logsumexp(alphas)


def torch_mixture(alphas, means, log_diagonals, lower, x):
    roots = torch.tril(lower, -1) + torch.exp(log_diagonals)[:, :, None] * torch.eye(x.shape[1], dtype=x.dtype)
    y = torch.einsum("kij,nkj->nki", roots, x[:, None] - means)
    terms = alphas + torch.sum(log_diagonals, dim=1) - 0.5 * torch.sum(y**2, dim=2)
    return torch.sum(torch.logsumexp(terms, dim=1)) - len(x) * torch.logsumexp(alphas, dim=0)


@workload(
    "GMM log-likelihood", sizes=[(1000, 10, 25)], small=(6, 3, 2), label=lambda n, d, k: f"n = {n}, d = {d}, k = {k}"
)
def gaussian_mixture(dtype: str, n: int, d: int, k: int) -> Problem:
    rng = np.random.default_rng(0)
    args = [rng.normal(size=s) * c for s, c in (((k,), 1), ((k, d), 1), ((k, d), 0.3), ((k, d, d), 0.3), ((n, d), 1))]
    return Problem(tuple(a.astype(dtype) for a in args), mixture, jax_mixture, torch_mixture, wrt=(0, 1, 2, 3))


# ── Gaussian process ──────────────────────────────────────────────────────────


def evidence(log_lengths, log_scale, log_noise, x, y):
    z = x / np.exp(log_lengths)
    square = np.sum((z[:, None] - z[None]) ** 2, axis=2)
    kernel = np.exp(2 * log_scale - 0.5 * square) + np.exp(2 * log_noise) * np.eye(len(x), dtype=x.dtype)
    root = np.linalg.cholesky(kernel)
    white = solve_triangular(root, y, lower=True)
    return -0.5 * np.sum(white**2) - np.sum(np.log(np.diagonal(root)))


def jax_evidence(log_lengths, log_scale, log_noise, x, y):
    z = x / jnp.exp(log_lengths)
    square = jnp.sum((z[:, None] - z[None]) ** 2, axis=2)
    kernel = jnp.exp(2 * log_scale - 0.5 * square) + jnp.exp(2 * log_noise) * jnp.eye(len(x), dtype=x.dtype)
    root = jnp.linalg.cholesky(kernel)
    white = jax.scipy.linalg.solve_triangular(root, y, lower=True)
    return -0.5 * jnp.sum(white**2) - jnp.sum(jnp.log(jnp.diagonal(root)))


def torch_evidence(log_lengths, log_scale, log_noise, x, y):
    z = x / torch.exp(log_lengths)
    square = torch.sum((z[:, None] - z[None]) ** 2, dim=2)
    kernel = torch.exp(2 * log_scale - 0.5 * square) + torch.exp(2 * log_noise) * torch.eye(len(x), dtype=x.dtype)
    root = torch.linalg.cholesky(kernel)
    white = torch.linalg.solve_triangular(root, y[:, None], upper=False)
    return -0.5 * torch.sum(white**2) - torch.sum(torch.log(torch.diagonal(root)))


@workload("GP log-likelihood", sizes=[(300, 5)], small=(8, 2), label=lambda n, d: f"n = {n}, d = {d}")
def gaussian_process(dtype: str, n: int, d: int) -> Problem:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, d))
    y = np.sin(x.sum(1)) + 0.1 * rng.normal(size=n)
    scalars = [np.dtype(dtype).type(v) for v in (0.1, -1.0)]
    args = (np.full(d, 0.5, dtype), *scalars, x.astype(dtype), y.astype(dtype))
    return Problem(args, evidence, jax_evidence, torch_evidence, wrt=(0, 1, 2))


# ── 3×3 inverses ──────────────────────────────────────────────────────────────


def inverses(a, c):
    return np.sum(c * np.linalg.inv(a)) + np.sum(np.linalg.slogdet(a)[1])


def jax_inverses(a, c):
    return jnp.sum(c * jnp.linalg.inv(a)) + jnp.sum(jnp.linalg.slogdet(a)[1])


def torch_inverses(a, c):
    return torch.sum(c * torch.linalg.inv(a)) + torch.sum(torch.linalg.slogdet(a)[1])


def inverses_by_hand(a, c):
    inverse = np.linalg.inv(a)
    flipped = np.swapaxes(inverse, 1, 2)
    return np.sum(c * inverse) + np.sum(np.linalg.slogdet(a)[1]), (flipped - flipped @ c @ flipped,)


@workload(
    "inverses and log-determinants", sizes=[(1000, 3)], small=(4, 3), dtypes=BOTH, label=lambda n, d: f"{n} × {d}×{d}"
)
def small_inverses(dtype: str, n: int, d: int) -> Problem:
    rng = np.random.default_rng(0)
    a, c = rng.normal(size=(n, d, d)) + 4 * np.eye(d), rng.normal(size=(n, d, d))
    return Problem((a.astype(dtype), c.astype(dtype)), inverses, jax_inverses, torch_inverses, by_hand=inverses_by_hand)
