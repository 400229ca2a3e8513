"""Differentiate the solution of an equation, rather than the iteration that finds it: `custom_vjp`.

Kepler's equation E - e sin E = M gives the position of a planet. A root finder solves it to machine precision; by the
implicit function theorem ∂E/∂M = 1 / (1 - e cos E), so the pullback costs one line and remembers one array. Higher
orders and forward mode follow from the same two functions. The rule then serves a fit of an orbit to observations.
"""

import numpy as np
from scipy.optimize import least_squares

import wengert as wg


@wg.custom_vjp
def eccentric_anomaly(eccentricity, mean_anomaly):
    e = mean_anomaly + eccentricity * np.sin(mean_anomaly)
    for _ in range(50):
        step = (e - eccentricity * np.sin(e) - mean_anomaly) / (1 - eccentricity * np.cos(e))
        e = e - step
        if np.max(np.abs(step)) < 1e-15:
            break
    return e


def forward(eccentricity, mean_anomaly):
    e = eccentric_anomaly(eccentricity, mean_anomaly)
    return e, (eccentricity, e)


def backward(residuals, ct):
    eccentricity, e = residuals
    ct_mean = ct / (1 - eccentricity * np.cos(e))
    return np.sum(ct_mean * np.sin(e)), ct_mean


eccentric_anomaly.defvjp(forward, backward)


def radial_velocity(p, t):
    """Of a star with one companion: amplitude, period, eccentricity, argument and time of periastron."""
    amplitude, period, eccentricity, omega, t0 = p
    e = eccentric_anomaly(eccentricity, 2 * np.pi * (t - t0) / period)
    true_anomaly = 2 * np.arctan2(np.sqrt(1 + eccentricity) * np.sin(e / 2), np.sqrt(1 - eccentricity) * np.cos(e / 2))
    return amplitude * (np.cos(omega + true_anomaly) + eccentricity * np.cos(omega))


def main():
    eccentricity, m, h = 0.6, np.linspace(0.1, 6.0, 40), 1e-6

    def total(eccentricity):
        return np.sum(eccentric_anomaly(eccentricity, m))

    first, second = wg.grad(total)(eccentricity), wg.grad(wg.grad(total))(eccentricity)
    d1 = (total(eccentricity + h) - total(eccentricity - h)) / (2 * h)
    d2 = (wg.grad(total)(eccentricity + h) - wg.grad(total)(eccentricity - h)) / (2 * h)
    tangent = wg.jvp(total, (eccentricity,), (1.0,))[1]
    print(f"first derivative  {first:.8f}, forward mode {tangent:.8f}, differences {d1:.8f}")
    print(f"second derivative {second:.8f}, differences {d2:.8f}")
    assert abs(first - d1) < 1e-6 and abs(first - tangent) < 1e-10 and abs(second - d2) < 1e-5

    rng = np.random.default_rng(2)
    true = np.array([55.0, 4.23, 0.45, 0.9, 1.1])
    t = np.sort(rng.uniform(0.0, 30.0, size=40))
    velocity = radial_velocity(true, t) + rng.normal(size=t.size)

    def residuals(p):
        return radial_velocity(p, t) - velocity

    start = np.array([40.0, 4.24, 0.3, 0.7, 1.0])
    found = least_squares(residuals, start, jac=wg.jacobian(residuals), x_scale="jac")
    errors = np.sqrt(np.diag(np.linalg.inv(found.jac.T @ found.jac)))
    for name, value, s, truth in zip(
        ("amplitude", "period", "eccentricity", "omega", "t0"), found.x, errors, true, strict=True
    ):
        print(f"  {name:12s} {value:8.4f} ± {s:.4f}   (true {truth})")
    assert np.all(np.abs(found.x - true) < 5 * errors)


if __name__ == "__main__":
    main()
