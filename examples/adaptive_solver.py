"""Sensitivity of an oscillator: an ODE solver that chooses its own steps, differentiated as it stands.

The number of steps depends on the values, and some are rejected: a `while_loop` with a `cond` in it. Compiled, forward and
backward, it is one native loop each; under `vmap` each oscillator takes as many steps as it needs.

    python examples/adaptive_solver.py
"""

import numpy as np

import wengert as wg

END, TOLERANCE = 3.0, 1e-8


def slope(y, mu):
    """Van der Pol's oscillator."""
    return np.array([y[1], mu * (1 - y[0] ** 2) * y[1] - y[0]])


def solution(mu, start):
    """The state at END, and the number of steps tried, by the method of Bogacki and Shampine (1989)."""

    def going(state):
        return state["t"] < END

    def step(state):
        y, t = state["y"], state["t"]
        h = np.minimum(state["h"], END - t)
        k1 = slope(y, mu)
        k2 = slope(y + h / 2 * k1, mu)
        k3 = slope(y + 3 / 4 * h * k2, mu)
        after = y + h / 9 * (2 * k1 + 3 * k2 + 4 * k3)
        k4 = slope(after, mu)
        error = h * (-5 / 72 * k1 + k2 / 12 + k3 / 9 - k4 / 8)
        size = np.sqrt(np.sum(error**2)) / TOLERANCE
        y, t = wg.cond(size < 1, lambda: (after, t + h), lambda: (y, t))
        change = np.clip(0.9 * (size + 1e-12) ** (-1 / 3), 0.2, 5.0)
        # The steps are not part of the problem: their sizes carry no derivative.
        return {"y": y, "t": t, "h": h * wg.stop_gradient(change), "tried": state["tried"] + 1}

    found = wg.while_loop(going, step, {"y": start, "t": 0.0, "h": 0.01, "tried": 0})
    return found["y"], found["tried"]


def main():
    start = np.array([2.0, 0.0])

    def place(mu):
        return solution(mu, start)[0][0]

    fast = wg.jit(wg.value_and_grad(place))
    value, sensitivity = fast(1.5)
    steps = wg.jit(solution)(1.5, start)[1]
    difference = (place(1.5 + 1e-5) - place(1.5 - 1e-5)) / 2e-5
    print(f"x({END}) = {value:.6f} after {steps} steps")
    print(f"dx/dμ = {sensitivity:.6f}, by a difference {difference:.6f}")
    assert abs(sensitivity - difference) < 1e-4 * abs(difference)

    many = np.linspace(0.5, 3.0, 40)
    values, sensitivities = wg.jit(wg.vmap(wg.value_and_grad(place)))(many)
    assert np.allclose(sensitivities, [fast(mu)[1] for mu in many], rtol=1e-6)
    slopes = np.gradient(values, many)
    assert np.allclose(sensitivities[1:-1], slopes[1:-1], rtol=0.02, atol=0.02)
    print("dx/dμ from μ = 0.5 to 3:", np.array2string(sensitivities[::8], precision=3))


if __name__ == "__main__":
    main()
