"""Every way to get a plain number out of a Tensor, or to lose one on the way: right, or an error."""

from __future__ import annotations

import array
import copy
import ctypes
import decimal
import fractions
import functools
import itertools
import json
import math
import operator
import pickle
import statistics
import struct

import numpy as np
import pytest

import wengert as wg
from wengert.core.tensor import CONSTANTS, Tensor

X = np.array([1.6, 2.7, 3.9])


def into(x, write):
    a = np.ones(3)
    write(a, x)
    return np.sum(a) * x[0]


RAISES = {
    "float": lambda x: float(x[0]) * x[1],
    "complex": lambda x: complex(x[0]).real * x[1],
    "math.sin": lambda x: math.sin(x[0]) * x[1],
    "math.fsum": lambda x: math.fsum(x),
    "math.hypot": lambda x: math.hypot(*x),
    "float64": lambda x: np.float64(x[0]),
    "asarray": lambda x: np.sum(np.asarray(x)),
    "array": lambda x: np.sum(np.array(x, copy=True)),
    "array of list": lambda x: np.sum(np.array([x[0], x[1]])),
    "array of objects": lambda x: np.sum(np.array([x[0], x[1]], dtype=object)),
    "fromiter": lambda x: np.sum(np.fromiter(x, float)),
    "memoryview": lambda x: memoryview(x)[0] * x[0],
    "array.array": lambda x: array.array("d", x)[0] * x[0],
    "ctypes": lambda x: ctypes.c_double(x[0]).value * x[0],
    "struct": lambda x: struct.unpack("d", struct.pack("d", x[0]))[0] * x[0],
    "json": lambda x: json.loads(json.dumps(x.tolist()))[0] * x[0],
    "pickle": lambda x: np.sum(pickle.loads(pickle.dumps(x))) * x[0],
    "pickle 0": lambda x: np.sum(pickle.loads(pickle.dumps(x, 0))) * x[0],
    "decimal": lambda x: float(decimal.Decimal(x[0])) * x[0],
    "fraction": lambda x: float(fractions.Fraction(x[0])) * x[0],
    "statistics.fmean": lambda x: statistics.fmean(x),
    "statistics.stdev": lambda x: statistics.stdev(x),
    "vectorize": lambda x: np.sum(np.vectorize(lambda v: v * v)(x)),
    "frompyfunc": lambda x: np.sum(np.frompyfunc(lambda v: v * v, 1, 1)(x)),
    "random": lambda x: np.random.default_rng(0).normal(x[0], 1.0) * x[0],
    "astype object": lambda x: np.sum(x.astype(object)) * x[0],
    "astype str": lambda x: np.sum(x.astype(str).astype(float)) * x[0],
    "masked": lambda x: np.ma.array(x, mask=[0, 1, 0]).sum(),
    "times masked": lambda x: np.sum(x * np.ma.array(X, mask=[0, 1, 0])),
    "multiply masked": lambda x: np.sum(np.multiply(x, np.ma.array(X, mask=[0, 1, 0]))),
    "times matrix": lambda x: np.sum(x[:, None] * x * np.matrix(np.eye(3))),
    "matrix times": lambda x: np.sum(np.matrix(np.eye(3)) * (x[:, None] * x)),
    "times objects": lambda x: np.sum(x * np.array([1.0, 2.0, 3.0], dtype=object)),
    "objects plus": lambda x: np.sum(np.array([1.0, 2.0, 3.0], dtype=object) + x),
    "tobytes": lambda x: np.frombuffer(x.tobytes())[0] * x[0],
    "a[0] = t": lambda x: into(x, lambda a, x: operator.setitem(a, 0, x[0])),
    "a[:] = t": lambda x: into(x, lambda a, x: operator.setitem(a, slice(None), x)),
    "a[mask] = t": lambda x: into(x, lambda a, x: operator.setitem(a, a > 0, x)),
    "a += t": lambda x: into(x, operator.iadd),
    "a *= t[0]": lambda x: into(x, lambda a, x: operator.imul(a, x[0])),
    "a **= t": lambda x: into(x, operator.ipow),
    "a.fill": lambda x: into(x, lambda a, x: a.fill(x[0])),
    "a.flat": lambda x: into(x, lambda a, x: operator.setitem(a.flat, 0, x[0])),
    "add out": lambda x: into(x, lambda a, x: np.add(a, x, out=a)),
    "add at": lambda x: into(x, lambda a, x: np.add.at(a, [0, 0], x[0])),
    "copyto": lambda x: into(x, np.copyto),
    "put": lambda x: into(x, lambda a, x: np.put(a, [0], x[0])),
    "cumsum out": lambda x: into(x, lambda a, x: np.cumsum(x, out=a)),
    "clip out": lambda x: into(x, lambda a, x: np.clip(x, 0, 2, out=a)),
    "a.dot(t)": lambda x: np.eye(3).dot(x)[0],
    "a.choose(t)": lambda x: np.array([0, 1, 0]).choose([x, x * 2])[0],
    "a.sum(initial=t)": lambda x: np.ones(3).sum(initial=x[0]),
}


@pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
@pytest.mark.parametrize("name", RAISES)
def test_raises(name):
    with pytest.raises(Exception) as error:
        wg.grad(RAISES[name], adopt=False)(X)
    if isinstance(error.value, wg.errors.WengertError):
        for part in ("got", "want:", "fix:", "at:"):
            if not isinstance(error.value, wg.errors.NotDifferentiable):
                assert part in str(error.value)


RIGHT = {
    "int": lambda x: int(x[0]) * x[1],
    "round": lambda x: round(x[0]) * x[1],
    "divmod": lambda x: divmod(x[0], 1.0)[1] * x[1],
    "sum": lambda x: sum(x, x[0]),
    "max": lambda x: max(x) * x[0],
    "sorted": lambda x: sorted(x, key=lambda v: -v)[0] * x[0],
    "reduce": lambda x: functools.reduce(operator.mul, x),
    "accumulate": lambda x: list(itertools.accumulate(x))[-1] * x[0],
    "unpack": lambda x: (lambda a, b, c: a * b + c)(*x),
    "median": lambda x: statistics.median(x) * x[0],
    "copy": lambda x: np.sum(copy.copy(x)) * copy.deepcopy([x, [x]])[1][0][1],
    "format": lambda x: x[0] * len(f"{x[0]:.1f}"),
    "index": lambda x: X[x.argmax()] * x[0],
    "branch": lambda x: (x[0] if x[0] > 1 else x[1]) * x[2],
    "objects of Tensors": lambda x: np.sum(objects(x)) * x[0],
    "@": lambda x: (np.eye(3) @ x)[0] * x[1],
}


def objects(x):
    a = np.empty(2, object)
    a[0], a[1] = x[0], x[1] * 2
    return a


@pytest.mark.parametrize("name", RIGHT)
def test_right(name):
    f = RIGHT[name]
    h = 1e-6
    numeric = [float(f(X + h * e) - f(X - h * e)) / (2 * h) for e in np.eye(3)]
    np.testing.assert_allclose(wg.grad(f)(X), numeric, atol=1e-6)


def test_a_temporary_in_an_array_of_objects_is_not_written_over():
    """NumPy's loop over objects calls our operator from C: the Tensor has one reference there, and does not die."""

    def f(x):
        a = np.empty(1, object)
        a[0] = x + 2.0
        _ = a + 3.0
        _ = -a
        return np.sum(a[0] * 1.0)

    assert wg.value_and_grad(f)(np.ones(100_000))[0] == 300_000.0


def test_temporaries_of_expressions_are_written_over():
    x = np.ones(100_000)
    reused = []

    class Watching:
        def __radd__(self, t):
            reused.append(t._value)
            return t

    def f(x):
        y = (x + 1.0) + Watching()
        z = (x + 1.0) * 2.0 - 3.0
        w = -((x + 1.0) + 2.0 * (x if len(reused) else y))
        return np.sum(y) + np.sum(z) + np.sum(w)

    value, gradient = wg.value_and_grad(f)(x)
    assert value == 1e5 * (2 + 1 - 4)
    np.testing.assert_array_equal(gradient, 1 + 2 - 3)


def test_constants_pickle_and_tapes_do_not():
    cell = Tensor(np.ones(3), None, CONSTANTS)
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(cell)), 1.0)
    with wg.GradientTape() as tape:
        tape.watch(X)
    for clone in (pickle.dumps, copy.deepcopy):
        with pytest.raises(TypeError, match="cannot"):
            clone(tape)


def test_subclasses_of_ndarray_without_arithmetic_of_their_own(tmp_path):
    a = np.memmap(tmp_path / "a", dtype=float, shape=3, mode="w+")
    a[:] = X
    np.testing.assert_array_equal(wg.grad(lambda x: np.sum(x * a))(np.ones(3)), X)
    np.testing.assert_array_equal(wg.grad(lambda x: np.sum(x * x))(a), 2 * X)

    class Mine(np.ndarray):
        pass

    b = X.copy().view(Mine)

    def f(x):
        y = np.sum(x * b)
        b[:] = 0
        return y

    with pytest.raises(ValueError, match="read-only"):
        wg.grad(f)(np.ones(3))
    b[:] = 0
