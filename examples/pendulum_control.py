"""Swing a pendulum up to its unstable equilibrium with as little torque as possible.

The path is integrated by the classical Runge-Kutta method in a loop that writes into an array, as one would
write it without any thought of derivatives; one backward sweep gives the gradient over all 30 torques.
"""

import math

import numpy as np
from scipy.optimize import minimize

import wengert as wg

STEP, STEPS = 0.1, 30
DAMPING = 0.1


def rates(state, torque):
    angle, velocity = state
    return np.array([velocity, -9.81 * math.sin(angle) - DAMPING * velocity + torque])


def simulate(torques):
    path = np.zeros((STEPS + 1, 2))  # angle 0: hanging at rest
    for i in range(STEPS):
        state, u = path[i], torques[i]
        k1 = rates(state, u)
        k2 = rates(state + STEP / 2 * k1, u)
        k3 = rates(state + STEP / 2 * k2, u)
        k4 = rates(state + STEP * k3, u)
        path[i + 1] = state + STEP / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return path


def cost(torques, weight):
    angle, velocity = simulate(torques)[-1]
    return STEP * np.sum(torques**2) + weight * ((angle - math.pi) ** 2 + velocity**2)


def main():
    rng = np.random.default_rng(0)
    torques = 0.1 * rng.normal(size=STEPS)
    value_and_grad = wg.value_and_grad(cost)

    gradient = value_and_grad(torques, 10.0)[1]
    direction, h = rng.normal(size=STEPS), 1e-6
    differences = (cost(torques + h * direction, 10.0) - cost(torques - h * direction, 10.0)) / (2 * h)
    error = abs(gradient @ direction - differences) / abs(differences)
    print(f"directional derivative {gradient @ direction:.6f}, relative deviation from differences {error:.1e}")
    assert error < 1e-6

    for weight in (10.0, 1e3):  # tighten the end condition step by step
        found = minimize(value_and_grad, torques, args=(weight,), jac=True, method="L-BFGS-B", options={"maxiter": 60})
        torques = found.x
        angle, velocity = simulate(torques)[-1]
        print(f"weight {weight:6.0f}: {found.nfev:3d} gradients, torque² {STEP * np.sum(torques**2):7.3f},"
              f" end angle {angle:.4f} (π = {math.pi:.4f}), end velocity {velocity:+.4f}")  # fmt: skip
    assert abs(angle - math.pi) < 0.05 and abs(velocity) < 0.1


if __name__ == "__main__":
    main()
