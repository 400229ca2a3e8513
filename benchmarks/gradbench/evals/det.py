"""The determinant by expansion by minors along first rows, and its gradient.

Every minor is computed where it occurs, as often as it occurs: about e·n! products, which is what the eval is for.
"""

import numpy as np

import wengert as wg

from ..function import Function, Input

ALL_AT_ONCE = 6  # below, all minors of a matrix at once; above, one after another, which needs less memory


def determinant(A):
    n = len(A)
    if n == 1:
        return A[0, 0]
    columns = np.array([[j for j in range(n) if j != left_out] for left_out in range(n)])
    minors = A[1:, columns].transpose(1, 0, 2)
    each = wg.vmap(determinant)(minors) if n <= ALL_AT_ONCE else wg.map(wg.checkpoint(determinant), minors)
    return (A[0] * (-1.0) ** np.arange(n)) @ each


def prepare(input: Input):
    n = input["ell"]
    return (np.asarray(input["A"], float).reshape(n, n),)


FUNCTIONS = {
    "primal": Function(prepare, wg.jit(determinant)),
    "gradient": Function(prepare, wg.jit(wg.grad(determinant)), lambda gradient: gradient.ravel().tolist()),
}
