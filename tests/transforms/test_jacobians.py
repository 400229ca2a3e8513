"""jacrev, jacfwd, jacobian, hessian, linearize against differences and closed forms."""

import numpy as np
import pytest

import wengert as wg

X = np.array([0.3, -1.2, 2.0])


def f(x):
    return np.stack([np.sin(x) * x[0], x * x])


def differences(fun, x, h=1e-6):
    columns = []
    for i in range(x.size):
        e = np.zeros_like(x)
        e.flat[i] = h
        columns.append((fun(x + e) - fun(x - e)) / (2 * h))
    return np.stack(columns, axis=-1).reshape(*np.shape(fun(x)), *x.shape)


@pytest.mark.parametrize("jacobian", [wg.jacrev, wg.jacfwd, wg.jacobian])
def test_shapes_and_values(jacobian):
    j = jacobian(f)(X)
    assert j.shape == (2, 3, 3)
    np.testing.assert_allclose(j, differences(f, X), rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("jacobian", [wg.jacrev, wg.jacfwd, wg.jacobian])
def test_pytrees(jacobian):
    j = jacobian(lambda p: {"s": p["a"].sum() * p["b"], "c": 1.0})({"a": X, "b": 2.0})
    np.testing.assert_allclose(j["s"]["a"], 2.0)
    assert j["s"]["b"] == pytest.approx(X.sum())
    np.testing.assert_array_equal(j["c"]["a"], np.zeros(3))


@pytest.mark.parametrize("jacobian", [wg.jacrev, wg.jacfwd])
def test_tuple_argnums_and_aux(jacobian):
    (ja, jb), aux = jacobian(lambda a, b: (a * b, "aux"), argnums=(0, 1), has_aux=True)(X, X)
    np.testing.assert_allclose(ja, np.diag(X))
    np.testing.assert_allclose(jb, np.diag(X))
    assert aux == "aux"


def test_complex_output_of_real_input():
    want = np.diag(1j * np.exp(1j * X))
    for jacobian in (wg.jacrev, wg.jacfwd):
        np.testing.assert_allclose(jacobian(lambda x: np.exp(1j * x))(X), want, atol=1e-14)


def test_holomorphic_and_its_refusal():
    z = np.array([1 + 1j, 2.0])
    for jacobian in (wg.jacrev, wg.jacfwd):
        np.testing.assert_allclose(jacobian(lambda z: z**2, holomorphic=True)(z), np.diag(2 * z))
        with pytest.raises(wg.errors.DTypeError, match="holomorphic"):
            jacobian(lambda z: z**2)(z)


def test_hessian_of_rosenbrock():
    def rosenbrock(x):
        return np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)

    from scipy.optimize import rosen_hess

    np.testing.assert_allclose(wg.hessian(rosenbrock)(X), rosen_hess(X), rtol=1e-12)


def test_hessian_of_a_linear_function_is_zero():
    np.testing.assert_array_equal(wg.hessian(lambda x: np.sum(3 * x))(X), np.zeros((3, 3)))


def test_hessian_over_a_pytree():
    h = wg.hessian(lambda p: p["a"] ** 2 * p["b"])({"a": 3.0, "b": 2.0})
    assert h["a"]["a"] == 4.0 and h["a"]["b"] == 6.0 and h["b"]["b"] == 0.0


def test_one_hot_seeds_and_infinite_slopes():
    j = wg.jacrev(np.sqrt)(np.array([0.0, 4.0]))
    np.testing.assert_array_equal(j, [[np.inf, 0.0], [0.0, 0.25]])


def test_linearize_runs_the_function_once():
    calls = []

    def g(x, s):
        calls.append(1)
        return {"y": np.tanh(x) * s}

    out, f_jvp = wg.linearize(g, X, 2.0)
    for seed in range(3):
        v = np.random.default_rng(seed).normal(size=3)
        np.testing.assert_allclose(f_jvp(v, 0.5)["y"], wg.jvp(g, (X, 2.0), (v, 0.5))[1]["y"], rtol=1e-14)
    assert len(calls) == 4  # one to linearize, three in the comparisons
    np.testing.assert_array_equal(out["y"], np.tanh(X) * 2)
    np.testing.assert_allclose(
        wg.vmap(lambda v: f_jvp(v, 0.0)["y"])(np.eye(3)), np.diag(2 / np.cosh(X) ** 2), rtol=1e-12
    )
    with pytest.raises(ValueError, match="shape"):
        f_jvp(np.ones(2), 0.0)
