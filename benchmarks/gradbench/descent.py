"""The suite's gradient descent, as its particle and saddle evals prescribe it, in loops that can be differentiated."""

import numpy as np

import wengert as wg

TINY = 1e-5


def length(x):
    return np.sqrt(x @ x)


def argmin(f, gradient, start):
    """Where descent from `start` ends: steps of `eta` times the gradient, with `eta` doubled after ten that lowered f,
    and halved after one that did not. It ends where the gradient or the step is tiny."""

    def step(x, fx, gx, eta, good):
        ahead = x - eta * gx
        arrived = length(x - ahead) <= TINY

        def look():
            value = f(ahead)
            return wg.cond(
                value < fx,
                lambda: (ahead, value, gradient(ahead), eta, good + 1, False),
                lambda: (x, fx, gx, eta / 2, 0, False),
            )

        return wg.cond(arrived, lambda: (x, fx, gx, eta, good, True), look)

    def body(found):
        x, fx, gx, eta, good, _ = found
        return wg.cond(good == 10, lambda: (x, fx, gx, eta * 2, 0, False), lambda: step(x, fx, gx, eta, good))

    def searching(found):
        _, _, gx, _, _, arrived = found
        return ~arrived & (length(gx) > TINY)

    return wg.while_loop(searching, body, (start, f(start), gradient(start), 1e-5, 0, False))[0]


def argmax(f, gradient, start):
    return argmin(lambda x: -f(x), lambda x: -gradient(x), start)


def forward(f):
    """The gradient by forward mode: one derivative along each axis."""
    return wg.jacfwd(f)


def reverse(f):
    return wg.grad(f)


MODES = {"f": forward, "r": reverse}
