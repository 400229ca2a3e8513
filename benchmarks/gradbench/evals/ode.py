"""y₀' = x₀, yᵢ' = xᵢ yᵢ₋₁ from zero to time 2 by s steps of Runge and Kutta; the gradient of the last component."""

import numpy as np

import wengert as wg

from ..function import Function, Input

END = 2.0


def slope(x, y):
    return np.concatenate([x[:1], x[1:] * y[:-1]])


def solution(x, s):
    h = END / s

    def step(y, _):
        k1 = slope(x, y)
        k2 = slope(x, y + h / 2 * k1)
        k3 = slope(x, y + h / 2 * k2)
        k4 = slope(x, y + h * k3)
        return y + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4), None

    return wg.scan(step, np.zeros_like(x), length=s)[0]


def last(x, s):
    return solution(x, s)[-1]


def prepare(input: Input):
    return np.asarray(input["x"], float), input["s"]


FUNCTIONS = {
    "primal": Function(prepare, wg.jit(solution, static_argnums=1)),
    "gradient": Function(prepare, wg.jit(wg.grad(last), static_argnums=1)),
}
