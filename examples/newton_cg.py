"""Newton's method for a function of 500 variables, without ever forming its 500 × 500 Hessian.

Each step solves H d = -g by conjugate gradients, which needs products H v only: `wg.hvp` gives one at the
cost of a small multiple of a gradient. The function is a lattice of coupled double wells, which is not convex:
directions of negative curvature end the inner iteration (Nocedal & Wright, Numerical Optimization, alg. 7.1).
"""

import numpy as np
from scipy.optimize import minimize

import wengert as wg


def energy(x, field):
    """A chain of double wells (x² - 1)²/4, coupled to their neighbours, in an external field."""
    wells = 0.25 * np.sum((x**2 - 1.0) ** 2)
    springs = 0.5 * np.sum(np.diff(x) ** 2)
    return wells + springs - np.sum(field * x)


def newton_direction(x, g, field):
    d, r = np.zeros_like(x), g.copy()
    p = -r
    tolerance = min(0.5, np.sqrt(np.linalg.norm(g))) * np.linalg.norm(g)
    for products in range(1, 201):
        hp = wg.hvp(lambda x: energy(x, field), (x,), (p,))
        curvature = p @ hp
        if curvature <= 0:
            return (-g if products == 1 else d), products
        alpha = (r @ r) / curvature
        d = d + alpha * p
        r_new = r + alpha * hp
        if np.linalg.norm(r_new) < tolerance:
            return d, products
        p = -r_new + (r_new @ r_new) / (r @ r) * p
        r = r_new
    return d, products


def main():
    rng = np.random.default_rng(1)
    n = 500
    field = 0.2 * rng.normal(size=n)
    x = rng.normal(size=n)
    value_and_grad = wg.value_and_grad(energy)

    v = rng.normal(size=n)
    h = 1e-5
    gradient = wg.grad(energy)
    differences = (gradient(x + h * v, field) - gradient(x - h * v, field)) / (2 * h)
    error = np.abs(wg.hvp(lambda x: energy(x, field), (x,), (v,)) - differences).max()
    print(f"Hessian-vector product: largest deviation from differences of gradients {error:.1e}")
    assert error < 1e-5

    products = 0
    for iteration in range(60):
        value, g = value_and_grad(x, field)
        norm = np.linalg.norm(g)
        if iteration % 3 == 0 or norm < 1e-10:
            print(f"iteration {iteration:2d}   energy {value:12.8f}   |gradient| {norm:.1e}")
        if norm < 1e-10:
            break
        d, used = newton_direction(x, g, field)
        products += used
        step = 1.0
        while energy(x + step * d, field) > value + 1e-4 * step * (g @ d) and step > 1e-10:
            step /= 2
        x = x + step * d
    print(f"{products} Hessian-vector products in all")
    assert norm < 1e-10

    found = minimize(
        energy, x + 0.01 * rng.normal(size=n), args=(field,), method="trust-ncg", jac=gradient,
        hessp=lambda x, v, field: wg.hvp(lambda x: energy(x, field), (x,), (v,)), options={"gtol": 1e-9},
    )  # fmt: skip
    print(f"scipy's trust-ncg from nearby: energy {found.fun:.8f}")
    assert abs(found.fun - value) < 1e-8


if __name__ == "__main__":
    main()
