"""Arrays that a loop fills: writes in the cell's own memory, in every mode, give what copies give."""

import numpy as np
import pytest

import wengert as wg
import wengert.numpy as wnp
from wengert.core.tensor import raw

X = np.array([0.3, 0.7, 1.1])


def recurrence(x, n=6):
    out = wnp.zeros(n)
    out[0] = x[0]
    for i in range(1, n):
        out[i] = np.sin(out[i - 1]) * x[1] + x[2]
    return out


def kept(x):
    """Values read before a write stay as they were; views see it."""
    out = wnp.zeros((3, 2))
    out[0] = x[:2]
    before = out * 1.0
    row = out[0]
    alias = out
    out[1, 0] = x[2] * 2
    out[0, 1] = x[0] * x[1]
    alias[2] = 7.0
    out[:, 0] = out[:, 0] * x[1]
    return np.sum(before) * np.sum(row * out) + np.sum(np.sin(out))


def rows(x):
    out = wnp.ones((4, 3)) * x
    out[0] = 2.0
    out[1:3] = x * x
    out[..., -1] = np.sum(x)
    out[3, :2] = np.array([1.0, 2.0])
    out[None, 2:3] = x[None, None]
    return out


def constant_after_trace(x):
    out = wnp.zeros(3)
    out[0] = x[0]
    out[0] = 4.0
    out[1] = out[0] * x[1]
    return out


PROGRAMS = [recurrence, kept, rows, constant_after_trace]


def differences(f, x, v, h=1e-5):
    return (np.asarray(f(x + h * v)) - np.asarray(f(x - h * v))) / (2 * h)


@pytest.mark.parametrize("f", PROGRAMS)
def test_jvp(f):
    v = np.array([0.5, -1.0, 2.0])
    out, dot = wg.jvp(f, (X,), (v,))
    np.testing.assert_allclose(out, f(X))
    np.testing.assert_allclose(dot, differences(f, X, v), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("f", PROGRAMS)
def test_jvp_of_jvp(f):
    v, w = np.array([0.5, -1.0, 2.0]), np.array([-0.3, 0.8, 0.1])
    inner = lambda x: wg.jvp(f, (x,), (v,))[1]
    _, second = wg.jvp(inner, (X,), (w,))
    np.testing.assert_allclose(second, differences(inner, X, w), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("f", PROGRAMS)
def test_vmap(f):
    xs = X + np.arange(5.0)[:, None] / 7
    np.testing.assert_allclose(wg.vmap(f)(xs), np.stack([np.asarray(f(x)) for x in xs]))


@pytest.mark.parametrize("f", PROGRAMS)
def test_vmap_of_gradient_and_of_jvp(f):
    xs = X + np.arange(3.0)[:, None] / 7
    gradient = wg.grad(lambda x: np.sum(np.cos(f(x))))
    np.testing.assert_allclose(wg.vmap(gradient)(xs), np.stack([gradient(x) for x in xs]))
    push = lambda x: wg.jvp(f, (x,), (x * 0.5,))[1]
    np.testing.assert_allclose(wg.vmap(push)(xs), np.stack([np.asarray(push(x)) for x in xs]))


@pytest.mark.parametrize("f", PROGRAMS)
def test_jvp_of_gradient(f):
    v = np.array([0.5, -1.0, 2.0])
    gradient = wg.grad(lambda x: np.sum(np.cos(f(x))))
    _, dot = wg.jvp(gradient, (X,), (v,))
    np.testing.assert_allclose(dot, differences(gradient, X, v), rtol=1e-6, atol=1e-8)


def test_tangents_of_the_caller_are_not_written():
    v = np.ones(3)

    def f(x):
        x[0] = x[1] * 2
        x[1] = 5.0
        return x * 1.0

    _, dot = wg.jvp(f, (X.copy(),), (v,))
    np.testing.assert_array_equal(dot, [2.0, 0.0, 1.0])
    np.testing.assert_array_equal(v, 1.0)


def test_vmap_refuses_a_value_of_too_many_axes():
    def f(x):
        out = wnp.zeros(3) + x
        out[0] = x[0]
        out[1:] = np.ones((4, 2))  # as many rows as there are examples
        return out

    with pytest.raises(ValueError, match=r"broadcast|shape"):
        wg.vmap(f)(np.ones((4, 3)))


@pytest.mark.parametrize("transform", ["grad", "jvp", "vmap"])
def test_filling_stays_in_one_buffer(transform):
    """Were the array copied at every write, its address would change while the old one is alive."""
    addresses = set()

    def f(x):
        out = wnp.zeros(2000)
        out[0] = x
        for i in range(1, 9):
            out[i] = x * i
            addresses.add(raw(out).__array_interface__["data"][0])
        return np.sum(out)

    if transform == "grad":
        wg.grad(f)(1.0)
    elif transform == "jvp":
        wg.jvp(f, (1.0,), (1.0,))
    else:
        wg.vmap(f)(np.ones(20))
    assert len(addresses) == 1


@pytest.mark.parametrize("shape", [(1, 2), (1, 1, 2), (2,), ()])
@pytest.mark.parametrize("traced", [False, True])
def test_vmap_drops_leading_axes_of_length_one_as_numpy_does(shape, traced):
    def f(x):
        value = np.ones(shape) * (x[0] if traced else 3.0)
        out = wnp.zeros(3) + x
        out[1:] = value
        table = wnp.zeros((2, 3)) + x
        table[np.array([1, 0]), 1] = value
        return out, table

    xs = np.arange(12.0).reshape(4, 3)
    for got, want in zip(wg.vmap(f)(xs), zip(*map(f, xs), strict=True), strict=True):
        np.testing.assert_array_equal(got, np.stack([np.asarray(w) for w in want]))
