"""A charge falls through the field of two others; where one of them must be for the fall to end at the origin.

The force is a gradient, by forward or reverse mode, within the steps of Euler's method, of which nobody knows the
number; and the search for the place follows the gradient of the whole fall, by forward or reverse mode.
"""

from functools import partial

import numpy as np

import wengert as wg

from ..descent import MODES, argmin
from ..function import Function, Input

STEP = 0.1


def potential(charges, x):
    return np.sum(1 / np.sqrt(np.sum((charges - x) ** 2, axis=1)))


def miss(mode, w):
    """The square of the place where the x-axis is crossed."""
    w = w[0]
    charges = np.array([[10.0, 10.0 - w], [10.0, 0.0]])
    slope = MODES[mode](partial(potential, charges))

    def falling(state):
        x, v = state
        return (x + STEP * v)[1] > 0

    def step(state):
        x, v = state
        return x + STEP * v, v - STEP * slope(x)

    x, v = wg.while_loop(falling, step, (np.array([0.0, 8.0]), np.array([0.75, 0.0])))
    x = x + STEP * v
    return (x[0] - x[1] / v[1] * v[0]) ** 2


def place(outer, inner, w):
    f = partial(miss, inner)
    return argmin(f, MODES[outer](f), w)[0]


def prepare(input: Input):
    return (np.array([input["w"]], float),)


FUNCTIONS = {
    outer + inner: Function(prepare, wg.jit(partial(place, outer, inner)), float) for outer in "fr" for inner in "fr"
}
