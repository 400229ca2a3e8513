"""Least squares of a polynomial against the sign of t, on n points of [-1, 1]; the gradient in the coefficients."""

import numpy as np

import wengert as wg

from ..function import Function, Input


def loss(x, i):
    """`i` counts the points: as an argument, since a grid known to the compiler would be a constant."""
    t = -1 + i * 2 / (len(i) - 1)
    return np.sum((np.sign(t) - np.polyval(x[::-1], t)) ** 2) / 2


def prepare(input: Input):
    return np.asarray(input["x"], float), np.arange(input["n"], dtype=float)


FUNCTIONS = {
    "primal": Function(prepare, wg.jit(loss)),
    "gradient": Function(prepare, wg.jit(wg.grad(loss))),
}
