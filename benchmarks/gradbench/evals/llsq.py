"""Least squares of a polynomial against the sign of t, on n points of [-1, 1]; the gradient in the coefficients."""

import numpy as np

import wengert as wg

from ..function import Function, Input


def loss(x, i):
    """`i` counts the points: as an argument, since powers of a grid known to the compiler would be constants."""
    t = -1 + i * 2 / (len(i) - 1)
    residuals = np.sign(t) - np.vander(t, len(x), increasing=True) @ x
    return np.sum(residuals**2) / 2


def prepare(input: Input):
    return np.asarray(input["x"], float), np.arange(input["n"], dtype=float)


FUNCTIONS = {
    "primal": Function(prepare, wg.jit(loss)),
    "gradient": Function(prepare, wg.jit(wg.grad(loss))),
}
