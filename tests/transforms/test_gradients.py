"""grad, value_and_grad, vjp, jvp, hvp: pytrees, aux, composition, conventions, and what they refuse."""

import numpy as np
import pytest

import wengert as wg


def f(x):
    return np.sum(np.sin(x) * x)


def df(x):
    return np.cos(x) * x + np.sin(x)


X = np.array([0.3, -1.2, 2.0])


def test_value_and_grad():
    value, gradient = wg.value_and_grad(f)(X)
    assert value == f(X)
    np.testing.assert_allclose(gradient, df(X), rtol=1e-14)
    assert type(gradient) is np.ndarray and gradient.flags.writeable


def test_argnums_tuple_and_negative():
    g = wg.grad(lambda a, b, c: a * b * c, argnums=(0, -1))(2.0, 3.0, 4.0)
    assert g == (12.0, 6.0)


def test_argnums_out_of_range():
    with pytest.raises(TypeError, match="called with 1 positional"):
        wg.grad(f, argnums=1)(X)


def test_pytrees_in_and_out():
    params = {"w": X, "b": [1.0, (2.0, None)]}
    g = wg.grad(lambda p: np.sum(p["w"]) * p["b"][0] * p["b"][1][0])(params)
    np.testing.assert_allclose(g["w"], 2.0)
    assert g["b"][0] == pytest.approx(2 * X.sum()) and g["b"][1][1] is None


def test_aux_comes_out_as_plain_values():
    (value, aux), g = wg.value_and_grad(lambda x: (f(x), {"sq": x * x, "name": "n"}), has_aux=True)(X)
    assert type(aux["sq"]) is np.ndarray and aux["name"] == "n" and value == f(X)
    g2, aux2 = wg.grad(lambda x: (f(x), 1), has_aux=True)(X)
    np.testing.assert_array_equal(g, g2)
    assert aux2 == 1


def test_float32_stays_float32():
    g = wg.grad(lambda x: np.sum(np.tanh(x) * 2.0))(X.astype(np.float32))
    assert g.dtype == np.float32


def test_higher_orders_of_a_power():
    def p(x):
        return x**5

    for order, want in enumerate([5 * 2.0**4, 20 * 2.0**3, 60 * 2.0**2, 120 * 2.0, 120.0, 0.0]):
        g = p
        for _ in range(order + 1):
            g = wg.grad(g)
        assert g(2.0) == pytest.approx(want)


def test_every_composition_of_two_agrees_with_differences():
    h = 1e-5
    v = np.array([1.0, 2.0, -1.0])
    want = (df(X + h * v) - df(X - h * v)) / (2 * h)
    np.testing.assert_allclose(wg.hvp(f, (X,), (v,)), want, rtol=1e-8)
    np.testing.assert_allclose(wg.jvp(wg.grad(f), (X,), (v,))[1], want, rtol=1e-8)
    np.testing.assert_allclose(wg.grad(lambda x: wg.jvp(f, (x,), (v,))[1])(X), want, rtol=1e-8)
    np.testing.assert_allclose(wg.grad(lambda x: np.dot(wg.grad(f)(x), v))(X), want, rtol=1e-8)
    np.testing.assert_allclose(wg.vjp(wg.grad(f), X)[1](v)[0], want, rtol=1e-8)
    np.testing.assert_allclose(wg.hessian(f)(X) @ v, want, rtol=1e-8)


def test_grad_of_vmap_of_jvp_of_grad():
    def inner(x, v):
        return wg.jvp(wg.grad(lambda z: np.sin(z) * z * z), (x,), (v,))[1]

    total = wg.grad(lambda x: np.sum(wg.vmap(inner)(x, np.ones(3))))(X)
    h = 1e-4

    def d2(x):  # second derivative of sin(x) x²
        return 2 * np.sin(x) + 4 * x * np.cos(x) - x * x * np.sin(x)

    np.testing.assert_allclose(total, (d2(X + h) - d2(X - h)) / (2 * h), rtol=1e-6)


def test_perturbations_are_not_confused():
    # d/dx (x · d/dy (x + y)) = 1, not 2 (Siskind & Pearlmutter 2005)
    assert wg.jvp(lambda x: x * wg.jvp(lambda y: x + y, (1.0,), (1.0,))[1], (1.0,), (1.0,))[1] == 1.0
    assert wg.grad(lambda x: x * wg.grad(lambda y: x + y)(1.0))(1.0) == 1.0
    assert wg.grad(lambda x: x * wg.jvp(lambda y: x * y, (1.0,), (1.0,))[1])(3.0) == 6.0


def test_vjp_pullback_many_times_and_its_structure():
    out, pullback = wg.vjp(lambda x, y: {"a": x * y, "b": x}, X, 2.0)
    assert set(out) == {"a", "b"}
    one = pullback({"a": np.ones(3), "b": np.zeros(3)})
    np.testing.assert_allclose(one[0], 2.0)
    assert one[1] == pytest.approx(X.sum())
    again = pullback({"a": np.zeros(3), "b": np.ones(3)})
    np.testing.assert_allclose(again[0], 1.0)
    assert again[1] == 0.0


def test_vjp_refuses_a_wrong_cotangent():
    _, pullback = wg.vjp(np.sin, X)
    with pytest.raises(wg.errors.ShapeError, match=r"shape \(2,\)"):
        pullback(np.ones(2))
    with pytest.raises(wg.errors.ShapeError, match="structure"):
        pullback((np.ones(3),))


def test_gradients_do_not_share_memory():
    a, b = wg.grad(lambda x, y: np.sum(x + y), argnums=(0, 1))(X, X.copy())
    a += 1
    np.testing.assert_array_equal(b, 1.0)
    seed = np.ones(3)
    (back,) = wg.vjp(lambda x: x + 0, X)[1](seed)
    back += 1
    np.testing.assert_array_equal(seed, 1.0)


def test_constant_output_has_zero_gradient_unless_told_to_raise():
    np.testing.assert_array_equal(wg.grad(lambda x: 3.0)(X), 0.0)
    with pytest.raises(wg.errors.Unconnected, match="does not depend on the differentiated arguments"):
        wg.grad(lambda x: 3.0, unconnected="raise")(X)


def test_non_scalar_output():
    with pytest.raises(wg.errors.ShapeError, match=r"output of shape \(3,\)(.|\n)*jacobian"):
        wg.grad(np.sin)(X)
    with pytest.raises(wg.errors.ShapeError, match="output of 2 arrays"):
        wg.grad(lambda x: (f(x), f(x)))(X)


def test_integer_input():
    with pytest.raises(wg.errors.DTypeError, match=r"int64 input(.|\n)*astype\(float\)"):
        wg.grad(f)(np.arange(3, dtype=np.int64))
    with pytest.raises(wg.errors.DTypeError, match="int"):
        wg.grad(lambda x: x * 2.0)(3)


def test_complex_steepest_ascent_and_switch():
    z = np.array([1.0 + 2.0j, -0.5j])
    want = np.array([2 * z[0], 2 * z[1]])  # gradient of |z|²
    np.testing.assert_allclose(wg.grad(lambda z: np.sum(np.abs(z) ** 2))(z), want)
    with wg.config.override(complex_convention="jax"):
        np.testing.assert_allclose(wg.grad(lambda z: np.sum(np.abs(z) ** 2))(z), want.conj())


def test_complex_convention_matches_peers():
    torch = pytest.importorskip("torch", reason="torch is in the extra `peers`")
    z = np.array([1.0 + 2.0j, 0.3 - 0.5j])
    t = torch.tensor(z, requires_grad=True)
    loss = (torch.exp(t) * t.conj()).real.sum()
    loss.backward()
    got = wg.grad(lambda z: np.sum(np.real(np.exp(z) * np.conj(z))))(z)
    np.testing.assert_allclose(got, t.grad.numpy(), rtol=1e-12)


def test_holomorphic():
    z = np.complex128(0.3 + 0.4j)
    assert wg.grad(np.sin, holomorphic=True)(z) == pytest.approx(np.cos(z))
    with pytest.raises(wg.errors.DTypeError, match="holomorphic=True"):
        wg.grad(lambda z: z * z)(z)
    with pytest.raises(wg.errors.DTypeError, match="complex arguments"):
        wg.grad(np.sin, holomorphic=True)(1.0)


def test_stop_gradient_and_no_grad():
    np.testing.assert_allclose(wg.grad(lambda x: np.sum(wg.stop_gradient(x) * x))(X), X)

    def partly(x):
        with wg.no_grad():
            c = x * x
            with wg.enable_grad():
                d = x * 2
        return np.sum(c * d)

    np.testing.assert_allclose(wg.grad(partly)(X), 2 * X * X)
    np.testing.assert_allclose(wg.jvp(partly, (X,), (np.ones(3),))[1], np.sum(2 * X * X))


def test_plain_python_control_flow():
    def g(x, n):
        if n == 0:
            return x
        return np.sin(g(x, n - 1)) if x > 0 else -g(x, n - 1)

    h = 1e-6
    for x in (0.7, -0.7):
        assert wg.grad(g)(x, 3) == pytest.approx((g(x + h, 3) - g(x - h, 3)) / (2 * h), rel=1e-7)


def test_kwargs_are_constants():
    assert wg.grad(lambda x, *, k: x * k)(2.0, k=5.0) == 5.0


def test_leaked_tensor():
    kept = []

    def leaky(x):
        kept.append(x)
        return np.sum(x)

    wg.grad(leaky)(X)
    with pytest.raises(wg.errors.TracerLeak, match=r"finished gradient(.|\n)*stop_gradient"):
        kept[0] * 2


def test_mutating_a_captured_array_raises_where_it_happens():
    c = np.ones(3)

    def bad(x):
        y = x * c
        c[0] = 5.0
        return np.sum(y)

    with pytest.raises(ValueError, match="read-only") as caught:
        wg.grad(bad)(X)
    assert any("backward pass" in note for note in caught.value.__notes__)
    c[0] = 2.0  # the gradient has ended: the array is the user's again
    _, pullback = wg.vjp(lambda x: x * c, X)
    with pytest.raises(ValueError, match="read-only"):
        c += 1
    del pullback
    c += 1


def test_debug_nans_names_op_and_line():
    with wg.config.override(debug_nans=True):
        with pytest.raises(wg.errors.NonFinite, match=r"log: got a NaN(.|\n)*np\.log\(x\)"), np.errstate(all="ignore"):
            wg.grad(lambda x: np.sum(np.log(x)))(-np.ones(2))
        with pytest.raises(wg.errors.NonFinite, match="pullback of"), np.errstate(all="ignore"):
            wg.grad(lambda y: np.sum(np.array([-2.0, 1.0]) ** y))(np.full(2, 2.0))


def test_tracebacks_show_the_users_frames_only():
    def user_function(x):
        return np.sum(x + np.ones(7))

    with pytest.raises(ValueError) as caught:
        wg.grad(user_function)(X)
    files = [e.path.name for e in caught.traceback]
    assert "test_gradients.py" in files and "tape.py" not in files and "op.py" not in files


def test_writing_into_an_array_from_outside_is_loud():
    buffer = np.zeros(3)

    def f(x):
        buffer[0] = x
        return buffer.sum()

    with pytest.raises((ValueError, TypeError)) as caught:
        wg.grad(f)(1.0)
    assert any("inside the differentiated function" in note for note in caught.value.__notes__)
