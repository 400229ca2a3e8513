import math
from cmath import exp as cexp
from math import exp as e
from math import sin

import numpy as np
import numpy.linalg as la
from numpy import array, linspace, zeros
from numpy.linalg import norm

RATE = 3.0
TABLE = {"sin": math.sin, "tanh": np.tanh}
STEPS = [np.sin, math.exp]


def filled(x):
    out = zeros(3)
    for i in range(3):
        out[i] = sin(x[i]) * RATE
    return out.sum()


def stacked(x):
    return np.sum(array([x[0], x[0] * x[1], 2.0]) ** 2)


def line(x):
    return np.sum(linspace(x[0], x[1], 5) ** 2) + e(x[2])


def matrix(x):
    a = np.array([[2.0 + x[0], x[1]], [x[1], 3.0]])
    b = np.empty(2)
    b[:] = x[1:]
    return norm(la.solve(a, b)) + np.linalg.det(a)


def oscillation(x):
    return abs(cexp(1j * x[0]) * x[1] + 1.0) ** 2


def listed(x):
    return sum(f(x[0]) for f in STEPS) * TABLE["sin"](x[1]) * TABLE["tanh"](x[2])


def imported_inside(x):
    import math as m

    import numpy
    from numpy import ones

    from . import physics

    buffer = numpy.zeros(2)
    buffer[0] = m.cos(x[0]) * physics.MASS
    buffer[1] = x[1]
    return (buffer * ones(2)).sum()


def generated(x):
    def squares():
        for v in x:
            yield math.exp(v)

    return sum(squares()) + sum(map(math.sin, x)) + math.prod(v for v in x)


def recursive(x, n=3):
    return math.cos(x[0]) if n == 0 else math.sin(recursive(x, n - 1)) * x[1]


def is_even(x, n):
    return math.exp(x) if n == 0 else is_odd(x, n - 1)


def is_odd(x, n):
    return 0.0 if n == 0 else x * is_even(x, n - 1)


def mutual(x):
    return is_even(x[0], 4) * x[1]


def simulated(x):
    """Euler's method, as in a first course."""
    t = np.linspace(0, 1, 11)
    y = np.zeros((len(t), 2))
    y[0] = [x[0], x[1]]
    for i in range(1, len(t)):
        dt = t[i] - t[i - 1]
        y[i, 0] = y[i - 1, 0] + dt * y[i - 1, 1]
        y[i, 1] = y[i - 1, 1] - dt * x[2] * math.sin(y[i - 1, 0])
    return (y[:, 0] ** 2).mean()


def typed(x):
    assert isinstance(x, np.ndarray)
    assert not isinstance([1.0], np.ndarray)
    assert isinstance(np.zeros(2), np.ndarray)
    assert type(x) == np.ndarray  # noqa: E721
    assert np.float64(1.0).dtype == np.dtype(float) and issubclass(np.float64, np.floating)
    assert isinstance(np.float32(1), np.floating) and isinstance(np.random.default_rng(0), np.random.Generator)
    try:
        la.inv(np.zeros((2, 2)))
    except np.linalg.LinAlgError:
        return (x[:, np.newaxis] * np.pi).sum() * math.pi
    raise AssertionError
