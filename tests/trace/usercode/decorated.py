import contextlib
import functools
import math
import operator

import numpy as np


def scaled(factor):
    def decorate(function):
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            wrapper.calls += 1
            return function(*args, **kwargs) * math.sqrt(factor)

        wrapper.calls = 0
        return wrapper

    return decorate


@scaled(4.0)
def loss(x):
    """Documented."""
    return math.exp(x[0]) + x[1]


@functools.lru_cache(maxsize=100)
def fibonacci(n):
    return np.zeros(2) + n if n < 2 else fibonacci(n - 1) + fibonacci(n - 2)


@functools.cache
def weight(x):
    return math.sin(x)


def cached(x):
    return weight(x[0]) * weight(x[0]) + 1e-6 * fibonacci(30)[0] * x[1]


power = functools.partial(math.pow, 2.0)


def partial(x):
    return power(x[0]) * functools.reduce(operator.mul, map(math.exp, x))


@functools.singledispatch
def size(x):
    return math.exp(x)


@size.register
def _(x: np.ndarray):
    return math.exp(x[0]) + x[1]


@size.register
def _(x: str):
    return len(x)


def dispatched(x):
    return size(x) + size(x[2]) + size("abc")


@contextlib.contextmanager
def bracket(x):
    yield np.array([math.sin(x[0]), x[1]])


def managed(x):
    with bracket(x) as pair:
        return pair.prod()


@np.vectorize
def kink(v):
    return math.sin(v) if v > 0 else 0.0


def vectorized(x):
    return np.sum(kink(x))


def defaults(x, f=math.sin, *, g=np.tanh):
    return f(x[0]) * g(x[1])


adding = np.add.reduce


def bound_method(x):
    return adding(np.array([x[0], math.exp(x[1])]))
