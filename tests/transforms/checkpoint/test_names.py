"""`wg.name` costs nothing, changes nothing, and may stand anywhere; and values that are written to in place."""

from __future__ import annotations

import numpy as np
import pytest

import wengert as wg

P = wg.policies
X = np.random.default_rng(0).normal(size=(4, 6))


def test_outside_of_transforms_it_is_the_thing_itself():
    tree = {"a": X, "b": [1.0, "text", None]}
    assert wg.name(tree, "t")["a"] is X
    assert wg.name(2.5, "n") == 2.5


def test_it_is_no_op_for_values_and_derivatives():
    f = lambda x: np.sum(np.exp(x) * x[0])
    g = lambda x: np.sum(wg.name(np.exp(wg.name(x, "in")), "e") * wg.name(x, "in")[0])
    for mode in (
        lambda f: wg.grad(f)(X),
        lambda f: wg.jit(wg.grad(f))(X),
        lambda f: wg.hessian(f)(X),
        lambda f: wg.vmap(wg.grad(f))(np.stack([X, X])),
        lambda f: wg.jvp(f, (X,), (X,))[1],
        lambda f: wg.linearize(f, X)[1](X),
    ):
        np.testing.assert_allclose(mode(g), mode(f), rtol=1e-12)


def test_compiled_programs_do_not_hold_it():
    for f in (
        lambda x: np.sum(wg.name(np.exp(wg.name(x * 1j, "c")), "e").real),
        wg.grad(lambda x: np.sum(wg.name(np.exp(x), "e"))),
    ):
        lowered = wg.jit(f).lower(X)
        assert "= name(" in str(lowered.program) and "= name(" not in lowered.as_text()


def test_a_python_number_stays_one_to_promotion():
    f = wg.jit(lambda x, s: x * wg.name(s, "s"))
    assert f(np.ones(3, np.float32), 2.0).dtype == np.float32


@pytest.mark.parametrize("jit", [False, True])
def test_writes_are_seen_through_it(jit):
    """As through any other name of the same array."""

    def f(x):
        y = x * 2
        z = wg.name(y, "z")
        z[0] = 3.0
        y[1] = x[1] ** 2
        return np.sum(z * y)

    def g(x):
        y = x * 2
        y[0] = 3.0
        y[1] = x[1] ** 2
        return np.sum(y * y)

    wrap = wg.jit if jit else lambda f: f
    np.testing.assert_allclose(wrap(wg.grad(f))(X), wg.grad(g)(X), rtol=1e-12)


def test_it_may_be_used_in_loops_and_branches():
    def f(x):
        c, _ = wg.scan(lambda c, _: (wg.name(np.sin(c), "c"), None), x, None, length=3)
        return np.sum(wg.cond(np.sum(c) > 0, lambda c: wg.name(c * 2, "t"), lambda c: c, c))

    np.testing.assert_allclose(wg.jit(wg.grad(f))(X), wg.grad(f)(X), rtol=1e-12)


POLICIES = [None, P.everything, P.names("v"), P.names("y"), P.contractions, ~P.names("v")]


@pytest.mark.parametrize("policy", POLICIES)
def test_kept_values_that_are_written_to_and_viewed(policy):
    """A value that is handed out is seen through its views, and not written over, as one that is computed."""

    def f(x):
        y = wg.name(np.tanh(x @ x.T), "y")
        v = wg.name(y.reshape(-1)[2:10], "v")
        v[1:3] = np.sin(v[3:5])
        w = y.T
        y[0, 0] = v[0] * 2
        w += 1.0
        return np.sum(y**2 * np.exp(w)) + np.sum(v)

    want = wg.grad(f)(X)
    np.testing.assert_array_equal(wg.grad(wg.checkpoint(f, policy=policy))(X), want)
    np.testing.assert_array_equal(wg.grad(wg.checkpoint(wg.checkpoint(f, policy=policy), policy=P.names("y")))(X), want)
    np.testing.assert_allclose(wg.jit(wg.grad(wg.checkpoint(f, policy=policy)))(X), want, rtol=1e-10)


@pytest.mark.parametrize("policy", POLICIES)
def test_results_of_several_kinds(policy):
    """Ops of several results, integers, masks, Python numbers, and what is no array."""

    def f(x):
        u, s, vt = np.linalg.svd(x, full_matrices=False)
        q, r = np.linalg.qr(wg.name(u * s, "y"))
        order = np.argsort(x[0])
        parts = np.split(x[:, order], 2, axis=1)
        mask = x > 0
        return (
            {"a": np.where(mask, parts[0] @ parts[1].T @ x, 0.0), "n": 3, "text": "t", "s": wg.name(s, "v")},
            (vt, q @ r),
            order,
        )

    def loss(wrap):
        def run(x):
            found, (vt, qr), order = wrap(f)(x)
            assert found["n"] == 3 and found["text"] == "t" and order.dtype.kind == "i"
            return np.sum(found["a"]) + np.sum(found["s"] ** 2) + np.sum(vt**3) + np.sum(qr**2)

        return run

    want = wg.grad(loss(lambda f: f))(X)
    np.testing.assert_allclose(wg.grad(loss(lambda f: wg.checkpoint(f, policy=policy)))(X), want, rtol=1e-12)


@pytest.mark.parametrize("policy", POLICIES)
def test_parts_that_are_views_of_what_was_not_kept(policy):
    """`np.split` gives views: a write to the whole is seen in the parts, in the second run too."""

    def f(x):
        y = wg.name(np.exp(x), "v")
        top, bottom = np.split(y, 2)
        y[:, 1:] = y[:, :-1] * 2
        return np.sum(top**2) + np.sum(np.sin(bottom) * top)

    np.testing.assert_array_equal(wg.grad(wg.checkpoint(f, policy=policy))(X), wg.grad(f)(X))
    split = wg.checkpoint(f, policy=lambda value: value.op != "exp")
    np.testing.assert_array_equal(wg.grad(split)(X), wg.grad(f)(X))


def test_what_no_derivative_reads_may_be_anything():
    """The elements of `np.empty` before they are written, which are others each time."""
    first = [1.0, 2.0]

    def f(x):
        out = np.full(3, first.pop())
        for i in range(3):
            out[i] = x[0, i] ** 2
        return np.sum(np.exp(out))

    want = wg.grad(lambda x: np.sum(np.exp(x[0, :3] ** 2)))(X)
    np.testing.assert_allclose(wg.grad(wg.checkpoint(f, policy=P.everything))(X), want, rtol=1e-12)


@pytest.mark.parametrize("policy", POLICIES)
def test_rules_of_the_users_and_jitted_functions_within(policy):
    @wg.custom_vjp
    def clipped(x):
        return np.minimum(x, 1.0)

    clipped.defvjp(lambda x: (np.minimum(x, 1.0), x), lambda x, ct: (ct * (x < 2.0),))
    inner = wg.jit(lambda x: np.tanh(x) * wg.name(np.sin(x), "v"))

    def f(x):
        return np.sum(clipped(inner(x) + wg.name(inner(x * 2), "y")) ** 2)

    want = wg.grad(f)(X)
    np.testing.assert_allclose(wg.grad(wg.checkpoint(f, policy=policy))(X), want, rtol=1e-12)
    np.testing.assert_allclose(wg.jit(wg.grad(wg.checkpoint(f, policy=policy)))(X), want, rtol=1e-10)
    np.testing.assert_allclose(wg.grad(wg.jit(wg.checkpoint(f, policy=policy)))(X), want, rtol=1e-10)
