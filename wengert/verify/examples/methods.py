"""Methods and attributes of ndarray, as a Tensor has them."""

import numpy

from wengert.core.tensor import Tensor
from wengert.verify.examples import example

AT = numpy.array([2, 0, 2])


def array(x):
    """A scalar as an array: NumPy's scalars lack some methods."""
    return x if type(x) is Tensor else numpy.asarray(x)


def filled(np, x, v):
    y = x + 0 * v
    y.fill(v)
    return y * x


def put(np, x, v):
    y = x + 0 * np.sum(v)
    y.put([0, 3], v)
    return y


def flat_written(np, x, v):
    y = x + 0 * np.sum(v)
    y.flat[1:3] = v
    return y


def real_written(np, x, v):
    y = x + 0 * v + 0j
    y.real = v
    y.imag[1] = 2.0
    return y


def seen_through(np, x, v):
    y = x + 0 * np.sum(v)
    y.view()[1] = v
    return y * x


def pairs_written(np, x, v):
    z = x + 1j * x + 0 * np.sum(v)
    z.view(numpy.float64 if z.dtype == numpy.complex128 else numpy.float32)[2:4] = v
    return z


def complexes_written(np, x, v):
    y = x + 0 * np.sum(v)
    y.view(numpy.result_type(y.dtype, numpy.complex64))[1:] = v + 2j * v
    return y


def as_reals(np, z):
    return z.view(numpy.real(numpy.empty(0, z.dtype)).dtype)


def as_complexes(np, x):
    return x.view(numpy.result_type(x.dtype, numpy.complex64))


example("ndarray.view", lambda np, x: x.view() * x, (2, 3), complex=True)
example("ndarray.view", lambda np, x: x.view(numpy.ndarray) * x, (2, 3))
example("ndarray.view", lambda np, x: x.view(x.dtype) * x, (3,))
example("ndarray.view", lambda np, x: array(x).view(type=numpy.ndarray) * x, ())
example("ndarray.view", seen_through, (3, 2), (2,))
example("ndarray.view", lambda np, x: as_reals(np, x + 1j * x * x), (2, 3))
example("ndarray.view", lambda np, x: as_reals(np, (x + 0j) * (1 + 2j)), (3,), complex=True)
example("ndarray.view", lambda np, x: as_complexes(np, x) ** 2, (2, 4))
example("ndarray.view", pairs_written, (3,), (2,))
example("ndarray.view", complexes_written, (6,), (2,))
example("ndarray.T", lambda np, x: x.T, (2, 3), complex=True)
example("ndarray.mT", lambda np, x: x.mT, (2, 3, 4))
example("ndarray.flat", lambda np, x: array(x).flat[2:5] * 2, (2, 3), complex=True)
example("ndarray.flat", flat_written, (2, 3), (2,))
example("ndarray.flat", lambda np, x: sum(v * v for v in x.flat), (2, 3))
example("ndarray.real", lambda np, x: x.real, (2, 3), complex=True)
example("ndarray.real", real_written, (3,), (3,))
example("ndarray.imag", lambda np, x: x.imag, (2, 3), complex=True)
example("ndarray.astype", lambda np, x: x.astype(complex), (2, 3), complex=True)
example("ndarray.copy", lambda np, x: x.copy() * x, (2, 3), complex=True)
example("ndarray.fill", filled, (2, 3), ())
example("ndarray.item", lambda np, x: x.item(4) * x, (2, 3))
example("ndarray.item", lambda np, x: x.item(1, 2) * x, (2, 3))
example("ndarray.tolist", lambda np, x: x.tolist()[1][0] * x, (2, 3))
example("ndarray.flatten", lambda np, x: x.flatten(), (2, 3), complex=True)
example("ndarray.to_device", lambda np, x: array(x).to_device("cpu"), (2, 3))
example("ndarray.put", put, (2, 3), (2,))
example("ndarray.reshape", lambda np, x: x.reshape(3, -1), (2, 3), complex=True)
example("ndarray.reshape", lambda np, x: x.reshape((6,)), (2, 3))
example("ndarray.transpose", lambda np, x: x.transpose(1, 0, 2), (2, 3, 4))
example("ndarray.transpose", lambda np, x: x.transpose((1, 0)), (2, 3))
example("ndarray.sum", lambda np, x: x.sum(axis=0, keepdims=True), (2, 3), complex=True)
example("ndarray.mean", lambda np, x: x.mean(), (2, 3))
example("ndarray.take", lambda np, x: x.take(AT, axis=1), (2, 3))
example("ndarray.choose", lambda np, x: array(np.array([1, 0, 1])).choose([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]) * x, (3,))
example("ndarray.compress", lambda np, x: x.compress([True, False, True], axis=1), (2, 3))
