"""Fit a sum of two exponentials to noisy counts, with SciPy's optimizers and our derivatives.

The model is an ordinary loop that fills an array and calls `math.exp` on single numbers.
`least_squares` gets the Jacobian of the residuals, `minimize` the gradient of their sum of squares;
both must find the same minimum. At it, the Gauss-Newton matrix gives the standard errors.
"""

import math

import numpy as np
from scipy.optimize import least_squares, minimize

import wengert as wg


def model(p, t):
    out = np.zeros(len(t))
    for i in range(len(t)):
        out[i] = p[0] * math.exp(-p[1] * t[i]) + p[2] * math.exp(-p[3] * t[i])
    return out


def residuals(p, t, y, sigma):
    return (model(p, t) - y) / sigma


def half_chi_square(p, t, y, sigma):
    return 0.5 * np.sum(residuals(p, t, y, sigma) ** 2)


def main():
    rng = np.random.default_rng(0)
    true = np.array([10.0, 1.8, 4.0, 0.3])
    t = np.linspace(0.0, 8.0, 60)
    sigma = 0.1
    y = model(true, t) + sigma * rng.normal(size=t.size)
    start = np.array([5.0, 3.0, 5.0, 0.1])

    jacobian = wg.jacobian(residuals)
    exact = jacobian(start, t, y, sigma)
    h = 1e-6
    differences = np.stack(
        [(residuals(start + e, t, y, sigma) - residuals(start - e, t, y, sigma)) / (2 * h) for e in h * np.eye(4)],
        axis=1,
    )
    error = np.abs(exact - differences).max()
    print(f"Jacobian {exact.shape}: largest deviation from central differences {error:.1e}")
    assert error < 1e-6

    by_rows = least_squares(residuals, start, jac=jacobian, args=(t, y, sigma))
    by_gradient = minimize(wg.value_and_grad(half_chi_square), start, args=(t, y, sigma), jac=True, method="BFGS")
    standard_errors = np.sqrt(np.diag(np.linalg.inv(by_rows.jac.T @ by_rows.jac)))
    print(f"least_squares: {by_rows.nfev} evaluations, BFGS: {by_gradient.nfev}")
    for name, value, s, truth in zip(("A", "k", "B", "l"), by_rows.x, standard_errors, true, strict=True):
        print(f"  {name} = {value:7.4f} ± {s:.4f}   (true {truth})")
    print(f"minimum {by_rows.cost:.8f} and {by_gradient.fun:.8f} (the order of the two terms is arbitrary)")
    assert abs(by_rows.cost - by_gradient.fun) < 1e-6
    assert np.all(np.abs(by_rows.x - true) < 5 * standard_errors)


if __name__ == "__main__":
    main()
