"""custom_vjp, custom_jvp, checkpoint: both modes, orders, vmap, closures, and refusals."""

import gc

import numpy as np
import pytest

import wengert as wg
from wengert.core.config import config

X = np.array([0.3, -1.2, 2.0])


@wg.custom_vjp
def product(x, y):
    return np.sin(x) * y


def _fwd(x, y):
    return np.sin(x) * y, (np.cos(x), np.sin(x), y)


def _bwd(res, ct):
    cos, sin, y = res
    return ct * cos * y, ct * sin


product.defvjp(_fwd, _bwd)


@wg.custom_jvp
def doubled(x):
    return np.exp(x)


@doubled.defjvp
def _(primals, tangents):
    (x,), (t,) = primals, tangents
    return np.exp(x), 2 * np.exp(x) * t


def plain(x, y):
    return np.sin(x) * y


@pytest.mark.parametrize(
    "use",
    [
        lambda f: wg.grad(lambda x: np.sum(f(x, x)))(X),
        lambda f: wg.jvp(lambda x: f(x, 2 * x), (X,), (np.ones(3),))[1],
        lambda f: wg.hessian(lambda x: np.sum(f(x, 3 * x)))(X),
        lambda f: wg.vmap(wg.grad(f), (0, None))(X, 2.0),
        lambda f: wg.vmap(wg.grad(f, argnums=1), (0, None))(X, 2.0),
        lambda f: wg.grad(lambda y: np.sum(wg.vmap(f, (0, None))(X, y)))(2.0),
        lambda f: wg.grad(lambda x: np.sum(wg.grad(lambda z: np.sum(f(z, z * z)))(x)))(X),
    ],
)
def test_custom_vjp_like_the_plain_function(use):
    np.testing.assert_allclose(use(product), use(plain), rtol=1e-12, atol=1e-14)


def test_custom_rule_is_the_one_used():
    np.testing.assert_allclose(wg.grad(lambda x: np.sum(doubled(x)))(X), 2 * np.exp(X))
    np.testing.assert_allclose(wg.jvp(doubled, (X,), (np.ones(3),))[1], 2 * np.exp(X))
    np.testing.assert_allclose(wg.vmap(wg.grad(doubled))(X), 2 * np.exp(X))
    np.testing.assert_allclose(wg.grad(wg.grad(doubled))(0.5), 2 * np.exp(0.5))
    np.testing.assert_allclose(doubled(X), np.exp(X))


def test_pytrees_nondiff_and_none():
    @wg.custom_vjp
    def f(p, scale):
        return {"out": p["a"] * scale}

    f.defvjp(
        lambda p, scale: (f(p, scale), scale), lambda scale, ct: ({"a": ct["out"] * scale, "b": np.zeros(3)}, None)
    )
    g = wg.grad(lambda p: np.sum(f(p, 3.0)["out"]))({"a": X, "b": X})
    np.testing.assert_allclose(g["a"], 3.0)
    np.testing.assert_allclose(g["b"], 0.0)


def test_nondiff_argnums():
    class Power:
        def __init__(self, n):
            self.n = n

    def raised(p, x):
        return x**p.n

    f = wg.custom_vjp(raised, nondiff_argnums=(0,))
    f.defvjp(lambda p, x: (x**p.n, x), lambda p, x, ct: (ct * p.n * x ** (p.n - 1),))
    np.testing.assert_allclose(wg.grad(lambda x: np.sum(f(Power(3), x)))(X), 3 * X**2)


def test_refusals():
    @wg.custom_vjp
    def f(x):
        return x

    with pytest.raises(wg.errors.WengertError, match="no rule"):
        wg.grad(lambda x: np.sum(f(x)))(X)
    f.defvjp(lambda x: (x, None), lambda res, ct: ct)
    with pytest.raises(wg.errors.WengertError, match="tuple of 1 cotangents"):
        wg.grad(lambda x: np.sum(f(x)))(X)
    f.defvjp(lambda x: (x, None), lambda res, ct: (ct[:2],))
    with pytest.raises(wg.errors.ShapeError, match=r"\(2,\)"):
        wg.grad(lambda x: np.sum(f(x)))(X)


def test_closing_over_a_traced_value_is_loud():
    def bad(x):
        w = x * 3

        @wg.custom_vjp
        def f(y):
            return y * w

        f.defvjp(lambda y: (y * w, None), lambda res, ct: (ct,))
        return np.sum(f(x))

    with pytest.raises(wg.errors.TracerLeak, match="closes over"):
        wg.grad(bad)(X)


# ── checkpoint ──


def deep(x):
    for _ in range(4):
        x = np.sin(x) * x + 1.0
    return x


@pytest.mark.parametrize(
    "use",
    [
        lambda f: wg.grad(lambda x: np.sum(f(x) ** 2))(X),
        lambda f: wg.hessian(lambda x: np.sum(f(x) ** 2))(X),
        lambda f: wg.vmap(wg.grad(f))(X),
        lambda f: wg.grad(lambda x: np.sum(wg.vmap(f)(x) ** 2))(X),
        lambda f: wg.grad(lambda x: np.sum(wg.jvp(f, (x,), (np.ones(3),))[1]))(X),
        lambda f: wg.jvp(wg.grad(lambda x: np.sum(f(x))), (X,), (np.ones(3),))[1],
        lambda f: wg.grad(lambda x: np.sum(wg.grad(lambda y: np.sum(f(y) ** 2))(x) ** 2))(X),
        lambda f: wg.grad(lambda x: np.sum(f(f(x))))(X),
    ],
)
def test_checkpoint_changes_nothing_but_memory(use):
    np.testing.assert_allclose(use(wg.checkpoint(deep)), use(deep), rtol=1e-12)
    np.testing.assert_allclose(use(wg.checkpoint(lambda x: wg.checkpoint(deep)(x))), use(deep), rtol=1e-12)


def test_checkpoint_closes_over_traced_values():
    def with_closure(wrap):
        def outer(x):
            w = x * 3
            return np.sum(wrap(lambda y: np.sin(y) * w)(x) * w)

        return wg.grad(outer)(X)

    np.testing.assert_allclose(with_closure(wg.checkpoint), with_closure(lambda f: f), rtol=1e-13)


def test_checkpoint_keeps_less():
    def held(f):
        with wg.GradientTape() as tape:
            x = tape.watch(np.ones(1000))
            f(x)
        return tape.program.residual_bytes()

    assert held(wg.checkpoint(deep)) == 8000
    assert held(deep) >= 5 * 8000


def test_checkpoint_refuses_writes_from_inside():
    def bad(x):
        y = x * 2

        def inner(z):
            z[0] = 0.0
            return z * 2

        return np.sum(wg.checkpoint(inner)(y))

    with pytest.raises(wg.errors.TapeError, match="writes into an array from outside"):
        wg.grad(bad)(X)


def test_no_reference_cycles(monkeypatch):
    monkeypatch.setattr(
        config, "compiled_backward", False
    )  # compiling, once in a while, leaves cycles of LLVM's bindings
    for _ in range(3):  # what tests before have left may take more than one
        gc.collect()
    gc.disable()
    try:
        gc.set_debug(0)
        before = len(gc.get_objects())
        for _ in range(3):
            wg.grad(lambda x: np.sum(deep(x) ** 2))(X)
            wg.hessian(lambda x: np.sum(deep(x)))(X)
            wg.vjp(deep, X)[1](np.ones(3))
            wg.grad(lambda x: np.sum(product(x, x)))(X)
        assert gc.collect() == 0
        assert len(gc.get_objects()) - before < 200
    finally:
        gc.enable()
