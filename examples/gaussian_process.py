"""Hyperparameters of a Gaussian process by maximum marginal likelihood, through a Cholesky factorization.

Rasmussen & Williams (2006), eq. 2.30. The gradient passes through the covariance, its Cholesky factor and two
triangular solves; the Hessian at the optimum gives error bars of the hyperparameters (Laplace).
"""

import numpy as np
from scipy.optimize import minimize

import wengert as wg


def covariance(log_theta, a, b):
    amplitude, length = np.exp(log_theta[:2])
    distance2 = (a[:, None] - b[None, :]) ** 2
    return amplitude**2 * np.exp(-0.5 * distance2 / length**2)


def negative_log_likelihood(log_theta, x, y):
    noise = np.exp(log_theta[2])
    k = covariance(log_theta, x, x) + noise**2 * np.eye(len(x))
    factor = np.linalg.cholesky(k)
    whitened = np.linalg.solve(factor, y)
    return 0.5 * whitened @ whitened + np.sum(np.log(np.diag(factor))) + 0.5 * len(x) * np.log(2 * np.pi)


def predict(log_theta, x, y, x_new):
    k = covariance(log_theta, x, x) + np.exp(2 * log_theta[2]) * np.eye(len(x))
    return covariance(log_theta, x_new, x) @ np.linalg.solve(k, y)


def main():
    rng = np.random.default_rng(3)
    x = np.sort(rng.uniform(-4.0, 4.0, size=60))
    y = np.sin(1.5 * x) + 0.15 * rng.normal(size=x.size)
    start = np.log([0.5, 1.0, 0.5])

    value_and_grad = wg.value_and_grad(negative_log_likelihood)
    gradient = value_and_grad(start, x, y)[1]
    h = 1e-6
    differences = [
        (negative_log_likelihood(start + e, x, y) - negative_log_likelihood(start - e, x, y)) / (2 * h)
        for e in h * np.eye(3)
    ]
    error = np.abs(gradient - differences).max() / np.abs(gradient).max()
    print(f"gradient: relative deviation from central differences {error:.1e}")
    assert error < 1e-6

    found = minimize(value_and_grad, start, args=(x, y), jac=True, method="BFGS")
    hessian = wg.hessian(negative_log_likelihood)(found.x, x, y)
    spread = np.sqrt(np.diag(np.linalg.inv(hessian)))
    print(f"-log p(y) {value_and_grad(start, x, y)[0]:.3f} → {found.fun:.3f} in {found.nfev} evaluations")
    for name, mean, s in zip(("amplitude", "length", "noise"), found.x, spread, strict=True):
        print(f"  {name:10s} {np.exp(mean):.3f}   (68 %: {np.exp(mean - s):.3f} … {np.exp(mean + s):.3f})")
    grid = np.linspace(-3.5, 3.5, 50)
    rms = np.sqrt(np.mean((predict(found.x, x, y, grid) - np.sin(1.5 * grid)) ** 2))
    print(f"rms error of the prediction {rms:.3f}, with noise of 0.15 in the data")
    assert rms < 0.1 and 0.1 < np.exp(found.x[2]) < 0.2


if __name__ == "__main__":
    main()
