"""LogSumExp of a vector, and its gradient."""

import numpy as np

import wengert as wg

from ..function import Function, Input


def logsumexp(x):
    largest = np.max(x)
    return largest + np.log(np.sum(np.exp(x - largest)))


def prepare(input: Input):
    return (np.asarray(input["x"], float),)


FUNCTIONS = {
    "primal": Function(prepare, wg.jit(logsumexp)),
    "gradient": Function(prepare, wg.jit(wg.grad(logsumexp))),
}
