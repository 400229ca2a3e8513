"""The saddle point of a quadratic by descent within descent: min over x of max over y, with the gradient of each by
forward or reverse mode. The outer gradient is that of the whole inner search."""

from functools import partial

import numpy as np

import wengert as wg

from ..descent import MODES, argmax, argmin
from ..function import Function, Input


def height(x, y):
    return x @ x - y @ y


def saddle(outer, inner, start):
    """The modes are those of the search for x, and of the search for y within it."""

    def highest(x):
        f = partial(height, x)
        return f(argmax(f, MODES[inner](f), start))

    x = argmin(highest, MODES[outer](highest), start)
    f = partial(height, x)
    return np.concatenate([x, argmax(f, MODES[inner](f), start)])


def prepare(input: Input):
    return (np.asarray(input["start"], float),)


FUNCTIONS = {
    outer + inner: Function(prepare, wg.jit(partial(saddle, outer, inner))) for outer in "fr" for inner in "fr"
}
