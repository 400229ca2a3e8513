"""The square of a number, and its derivative."""

import wengert as wg

from ..function import Function, Input


def square(x):
    return x * x


def prepare(input: Input):
    return (float(input),)  # type: ignore[arg-type]


FUNCTIONS = {
    "square": Function(prepare, wg.jit(square), float),
    "double": Function(prepare, wg.jit(wg.grad(square)), float),
}
