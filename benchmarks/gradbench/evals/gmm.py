"""Log posterior of a Gaussian mixture with a Wishart prior, and its gradient.

Each component has a precision matrix Qᵀ Q, where Q is lower triangular: exp(q) on the diagonal, l below it, column by
column.
"""

import numpy as np
from scipy.special import logsumexp, multigammaln

import wengert as wg

from ..function import Function, Input


def factors(q, below):
    k, d = q.shape
    columns, rows = np.triu_indices(d, 1)
    Q = np.zeros((k, d, d))
    Q[:, rows, columns] = below
    Q[:, np.arange(d), np.arange(d)] = np.exp(q)
    return Q


def log_likelihood(alpha, mu, q, Q, x):
    (n, d), k = x.shape, len(alpha)
    y = (x @ Q.reshape(k * d, d).T).reshape(n, k, d) - np.einsum("kij,kj->ki", Q, mu)
    beta = alpha + np.sum(q, axis=1) - 0.5 * np.sum(y**2, axis=2)
    return np.sum(logsumexp(beta, axis=1)) - n * (logsumexp(alpha) + d / 2 * np.log(2 * np.pi))


def log_prior(q, Q, m, gamma):
    k, d = q.shape
    n = d + m + 1
    constant = n * d * np.log(gamma / np.sqrt(2)) - multigammaln(n / 2, d)
    return k * constant - gamma**2 / 2 * np.sum(Q**2) + m * np.sum(q)


def log_posterior(parameters, x, m, gamma):
    alpha, mu, q, below = (parameters[name] for name in ("alpha", "mu", "q", "l"))
    Q = factors(q, below)
    return log_likelihood(alpha, mu, q, Q, x) + log_prior(q, Q, m, gamma)


def prepare(input: Input):
    d, k = input["d"], input["k"]
    shapes = {"alpha": (k,), "mu": (k, d), "q": (k, d), "l": (k, d * (d - 1) // 2)}
    parameters = {name: np.asarray(input[name], float).reshape(shape) for name, shape in shapes.items()}
    return parameters, np.asarray(input["x"], float), input["m"], input["gamma"]


def answer(gradient):
    return {name: values.tolist() for name, values in gradient.items()}


FUNCTIONS = {
    "objective": Function(prepare, wg.jit(log_posterior, static_argnums=(2, 3))),
    "jacobian": Function(prepare, wg.jit(wg.grad(log_posterior), static_argnums=(2, 3)), answer),
}
