"""Policies in every mode and order: the same derivatives as without a checkpoint, and as finite differences."""

from __future__ import annotations

import numpy as np
import pytest

import wengert as wg

P = wg.policies
rng = np.random.default_rng(0)
X = rng.normal(size=(3, 4))
W = rng.normal(size=(4, 4))
V = rng.normal(size=(3, 4))

POLICIES = {
    "nothing": {},
    "everything": {"policy": P.everything},
    "contractions": {"policy": P.contractions},
    "names": {"policy": P.names("inner")},
    "combined": {"policy": P.cheaper_than(1) & ~P.names("inner")},
    "callable": {"policy": lambda value: value.nbytes < 100},
    "budget": {"budget": 200},
}


def step(carry, x):
    return np.tanh(carry @ W + x) * wg.name(np.sin(carry), "inner"), np.sum(carry)


def plain(wrap):
    return lambda x: np.sum(wrap(lambda x: np.exp(0.1 * wg.name(np.tanh(x @ W), "inner") @ W))(x) ** 2)


def nested(wrap):
    def f(x):
        inner = wrap(lambda x: wg.name(np.tanh(x @ W), "inner"))
        return np.sum(wg.checkpoint(lambda x: inner(inner(x)) * np.sin(x), policy=P.contractions)(x) ** 2)

    return f


def closure(wrap):
    def f(x):
        w = wg.name(np.sin(x), "inner")
        return np.sum(wrap(lambda y: np.tanh(y * w) @ W)(x) * w)

    return f


def extrema(wrap):
    """Pullbacks that compare values for equality, which rounding must not keep apart."""
    return lambda x: np.sum(wrap(lambda x: np.max(np.maximum(x @ W, np.sin(x)), axis=1) * np.linalg.norm(x))(x) ** 2)


def scanned(wrap):
    def f(x):
        carry, ys = wg.scan(wrap(step), x[0] * 1.0, x)
        return np.sum(carry**2) + np.sum(ys)

    return f


def looped(wrap):
    def f(x):
        g = wrap(lambda c: wg.name(np.tanh(c @ W), "inner") + 0.1 * c)
        return np.sum(wg.while_loop(lambda s: s[1] < 3, lambda s: (g(s[0]), s[1] + 1), (x, 0))[0] ** 2)

    return f


def branched(wrap):
    true, false = (lambda x: np.tanh(x @ W)), (lambda x: np.sin(x @ W))
    return lambda x: np.sum(wg.cond(np.sum(x) > 0, wrap(true), wrap(false), x) ** 2)


def called(wrap):
    return lambda x: np.sum(wg.call(wrap(lambda x: np.tanh(x @ W) * np.sin(x)), x) ** 2)


def vectors(f, *rest):
    return lambda x: np.sum(f(x) * V)


FIRST = {
    "grad": lambda f: wg.grad(f)(X),
    "jit of grad": lambda f: wg.jit(wg.grad(f))(X),
    "grad of jit": lambda f: wg.grad(wg.jit(f))(X),
    "vmap of grad": lambda f: wg.vmap(wg.grad(f))(np.stack([2 * X, X]))[1],
    "grad of vmap": lambda f: wg.grad(lambda x: np.sum(wg.vmap(f)(x)))(np.stack([2 * X, X]))[1],
    "jit of vmap of grad": lambda f: wg.jit(wg.vmap(wg.grad(f)))(np.stack([2 * X, X]))[1],
    "grad of jit of vmap": lambda f: wg.grad(lambda x: np.sum(wg.jit(wg.vmap(f))(x)))(np.stack([2 * X, X]))[1],
}
SECOND = {
    "jvp of grad": lambda f: wg.jvp(wg.grad(f), (X,), (V,))[1],
    "jit of jvp of grad": lambda f: wg.jit(lambda x: wg.jvp(wg.grad(f), (x,), (V,))[1])(X),
    "grad of jvp": lambda f: wg.grad(lambda x: wg.jvp(f, (x,), (V,))[1])(X),
    "grad of grad": lambda f: wg.grad(vectors(wg.grad(f)))(X),
    "jit of grad of grad": lambda f: wg.jit(wg.grad(vectors(wg.grad(f))))(X),
    "grad of jit of grad": lambda f: wg.grad(vectors(wg.jit(wg.grad(f))))(X),
}
EAGER = ("plain", "nested", "closure", "extrema")
FUNCTIONS = {f.__name__: f for f in (plain, nested, closure, extrema, scanned, looped, branched, called)}


def differences(f, direction, h=1e-5):
    return (f(X + h * direction) - f(X - h * direction)) / (2 * h)


def plainly(f):
    return f


REFERENCES: dict[str, tuple[np.ndarray, np.ndarray]] = {}


def references(name):
    """Gradient and Hessian product without any checkpoint, which finite differences must confirm."""
    if name not in REFERENCES:
        f = FUNCTIONS[name](plainly)
        gradient, product = wg.grad(f)(X), wg.jvp(wg.grad(f), (X,), (V,))[1]
        np.testing.assert_allclose(np.sum(gradient * V), differences(f, V), rtol=1e-6)
        np.testing.assert_allclose(product, differences(wg.grad(f), V), rtol=1e-5, atol=1e-7)
        REFERENCES[name] = gradient, product
    return REFERENCES[name]


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_gradients_are_those_without_a_checkpoint(name, policy):
    f = FUNCTIONS[name](lambda g: wg.checkpoint(g, **POLICIES[policy]))
    want, _ = references(name)
    for mode, of in FIRST.items():
        if name in EAGER or policy in ("nothing", "contractions", "names") or mode in ("grad", "jit of grad"):
            np.testing.assert_allclose(of(f), want, rtol=1e-9, atol=1e-11, err_msg=mode)


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_second_derivatives_are_those_without_a_checkpoint(name, policy):
    f = FUNCTIONS[name](lambda g: wg.checkpoint(g, **POLICIES[policy]))
    _, want = references(name)
    for mode, of in SECOND.items():
        if name in ("plain", "nested") or (
            policy in ("nothing", "names") and mode in ("grad of jvp", "jit of grad of grad")
        ):
            np.testing.assert_allclose(of(f), want, rtol=1e-8, atol=1e-10, err_msg=mode)


def test_third_derivatives():
    f = wg.checkpoint(lambda x: np.sin(x * np.exp(np.sin(x))), policy=P.names("never") | P.cheaper_than(2))
    third = wg.grad(wg.grad(wg.grad(f)))
    want = wg.grad(wg.grad(wg.grad(lambda x: np.sin(x * np.exp(np.sin(x))))))(0.7)
    assert third(0.7) == pytest.approx(want, rel=1e-12)
    assert wg.jit(third)(0.7) == pytest.approx(want, rel=1e-10)


def test_cotangents_that_are_constants():
    """The barriers of a derivative's derivative may stand before a seed, which is 1."""

    def f(x):
        return np.sum(wg.grad(wg.checkpoint(lambda a: np.mean(np.sin(a))))(x) ** 2)

    np.testing.assert_allclose(wg.jit(wg.grad(f))(X), wg.grad(f)(X), rtol=1e-12)


def test_scalars():
    """What is computed again may start from an argument without axes."""
    t = np.linspace(0, 1, 50_000)

    def f(wrap):
        def run(s):
            for _ in range(4):
                s = wrap(lambda s: np.mean(np.exp(-s * t) * np.sin(s * t)))(s)
            return s

        return wg.jit(wg.value_and_grad(run))

    checkpointed, plain = f(wg.checkpoint), f(lambda g: g)
    np.testing.assert_allclose(checkpointed(0.3), plain(0.3), rtol=1e-12)
    least, most = (g.lower(0.3).memory_analysis()["workspace"] for g in (checkpointed, plain))
    assert least < 0.5 * most


def test_a_value_knows_what_a_policy_may_ask():
    seen = []

    def look(value):
        seen.append((value.op, value.shape, value.dtype, value.nbytes, value.flops, value.names, value.line))
        return False

    wg.grad(lambda x: np.sum(wg.checkpoint(lambda x: wg.name(np.exp(x @ W), "e"), policy=look)(x)))(X)
    (product, exp, named) = seen
    assert product[:5] == ("matmul", (3, 4), np.dtype(float), 96, 2 * 3 * 4 * 4)
    assert exp[0] == "exp" and exp[4] > 5 * 12 and exp[5] == ()
    assert named[0] == "exp" and named[5] == ("e",)
    assert "test_policies.py" in exp[6] and "np.exp(x @ W)" in exp[6]


def test_costs_of_contractions():
    """Flops of products are 2 m n k, whatever the op that makes them."""
    found = {}

    def look(value):
        found[value.op] = value.flops
        return False

    def f(x):
        y = np.einsum("bij,bjk->bik", x, x)
        z = wg.nn.conv1d(y, np.ones((5, 4, 3)))
        return np.sum(z)

    wg.grad(wg.checkpoint(f, policy=look))(np.ones((2, 4, 4)))
    assert found["contract"] == 2 * 2 * 4**3
    assert found["conv"] == 2 * (2 * 5 * 2) * 4 * 3


def test_contractions_without_batch():
    kept = []

    def f(x, w):
        return np.sum(np.exp(np.einsum("bij,bjk->bik", x, x)) @ w)

    def watch(value):
        if P.contractions_without_batch(value):
            kept.append(value.shape)
        return False

    wg.grad(wg.checkpoint(f, policy=watch))(np.ones((2, 3, 3)), np.ones((3, 5)))
    assert kept == [(2, 3, 5)]


def test_refusals():
    with pytest.raises(wg.errors.WengertError, match="checkpoint policy"):
        wg.checkpoint(np.sin, policy="contractions")
    with pytest.raises(wg.errors.WengertError, match="True, to keep"):
        wg.grad(lambda x: np.sum(wg.checkpoint(np.sin, policy=lambda value: None)(x)))(X)
    with pytest.raises(wg.errors.WengertError, match="a policy and a budget"):
        wg.checkpoint(np.sin, policy=P.everything, budget=1)
    with pytest.raises(ValueError, match="number of bytes"):
        wg.checkpoint(np.sin, budget="many")
    with pytest.raises(wg.errors.WengertError, match="one label"):
        P.names()
    with pytest.raises(wg.errors.WengertError, match="flops per byte"):
        P.cheaper_than(-1)
    with pytest.raises(wg.errors.WengertError, match="label"):
        wg.name(X, "")


def test_policies_print_as_they_are_written():
    policy = (P.names("b", "a") | P.contractions) & ~P.cheaper_than(2)
    assert repr(policy) == "both(either(names('a', 'b'), contractions), but_not(cheaper_than(2)))"
