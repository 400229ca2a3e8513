"""What is computed again, counted: an op that counts its evaluations, eager and from compiled code."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest

import wengert as wg
from wengert.core.aval import INEXACT
from wengert.core.op import OPS, Op
from wengert.ops.elementwise import cos, mul

P = wg.policies
X = np.linspace(0.1, 1.0, 5)
COUNT = {"a": 0, "b": 0, "c": 0}


def _eval(x, *, which):
    COUNT[which] += 1
    return np.sin(x)


counted = Op(
    name="counted_sin",
    accepts=INEXACT,
    shape=lambda x, *, which: x,
    eval=_eval,
    jvp=lambda xs, dxs, out, *, which: mul(dxs[0], cos(xs[0])),
    vjp=lambda ct, ins, xs, out, *, which: (mul(ct, cos(xs[0])),),
    saves=(0,),
    batch=lambda xs, batched, size, *, which: counted(xs[0], which=which),
    samples=(),
)
del OPS["counted_sin"]  # the tests of all ops are none of its business


@contextlib.contextmanager
def counting():
    """The evaluations within the block."""
    before = dict(COUNT)
    found: dict[str, int] = {}
    yield found
    found.update({k: COUNT[k] - before[k] for k in COUNT})


def f(x):
    a = wg.name(counted(x, which="a"), "a")
    b = wg.name(counted(a, which="b"), "b")
    c = wg.name(counted(b, which="c"), "c")
    return np.sum(c * b)


CASES = [  # policy, evaluations of a, b, c in the eager gradient, and in the compiled one, where what nobody needs is left out
    (None, (2, 2, 2), (2, 2, 2)),
    (P.everything, (1, 1, 1), (1, 1, 1)),
    (P.names("a"), (1, 2, 2), (1, 2, 2)),
    (P.names("b"), (2, 1, 2), (2, 1, 2)),
    (P.names("a", "b"), (1, 1, 2), (1, 1, 2)),
    (P.names("a") | P.names("c"), (1, 2, 1), (1, 2, 1)),
    (~P.names("b"), (1, 2, 1), (1, 2, 1)),
    (P.everything & ~P.names("a", "c"), (2, 1, 2), (2, 1, 2)),
    (lambda value: value.op == "counted_sin", (1, 1, 1), (1, 1, 1)),
]


@pytest.mark.parametrize("policy,eager,compiled", CASES)
def test_what_is_not_kept_is_computed_again(policy, eager, compiled):
    want = wg.grad(f)(X)
    with counting() as count:
        got = wg.grad(wg.checkpoint(f, policy=policy))(X)
    np.testing.assert_array_equal(got, want)
    assert tuple(count.values()) == eager

    gradient = wg.jit(wg.value_and_grad(wg.checkpoint(f, policy=policy)))  # the value, or nothing need run forward
    gradient(X)
    with counting() as count:
        _, got = gradient(X)
    np.testing.assert_allclose(got, want, rtol=1e-12)
    assert tuple(count.values()) == compiled

    jitted = wg.jit(wg.checkpoint(f, policy=policy))
    wg.grad(jitted)(X)
    with counting() as count:
        wg.grad(jitted)(X)
    assert tuple(count.values()) == compiled


def test_without_a_checkpoint_nothing_is():
    gradient = wg.jit(wg.grad(f))
    gradient(X)
    with counting() as count:
        gradient(X)
        wg.grad(f)(X)
    assert count == {"a": 2, "b": 2, "c": 2}  # once each


def test_plain_calls_and_forward_mode_cost_nothing():
    c = wg.checkpoint(f, policy=P.names("b"))
    with counting() as count:
        c(X)
        wg.jvp(c, (X,), (X,))
    assert set(count.values()) == {2}


def test_nested_policies():
    """What the outer policy keeps is handed to the inner run; what the inner one keeps is handed to its second run."""

    def inner(x):
        return wg.name(counted(wg.name(counted(x, which="a"), "a"), which="b"), "b")

    def outer(x):
        return np.sum(counted(wg.checkpoint(inner, policy=P.names("b"))(x), which="c"))

    want = wg.grad(outer)(X)
    with counting() as count:
        got = wg.grad(wg.checkpoint(outer))(X)
    np.testing.assert_array_equal(got, want)
    # Forward; the outer second run, in which the inner function runs for the first time; and its own second run, with b handed.
    assert count == {"a": 3, "b": 2, "c": 2}
    with counting() as count:
        got = wg.grad(wg.checkpoint(outer, policy=P.names("a")))(X)
    np.testing.assert_array_equal(got, want)
    assert count == {"a": 2, "b": 2, "c": 2}


def test_in_loops_each_trip_is_computed_again():
    def body(c, _):
        return counted(wg.name(counted(c, which="a"), "a"), which="b"), None

    def g(wrap):
        return lambda x: np.sum(wg.scan(wrap(body), x, None, length=4)[0] ** 2)

    want = wg.grad(g(lambda b: b))(X)
    counts = {}
    for name, policy in (("nothing", None), ("a", P.names("a")), ("everything", P.everything)):
        gradient = wg.jit(wg.grad(g(lambda b, policy=policy: wg.checkpoint(b, policy=policy))))
        np.testing.assert_allclose(gradient(X), want, rtol=1e-12)
        with counting() as count:
            gradient(X)
        counts[name] = count["a"], count["b"]
    # The second op's own value is nobody's residual, so that even `nothing` needs the first op alone.
    assert counts == {"nothing": (8, 4), "a": (4, 4), "everything": (4, 4)}


def test_a_pullback_called_twice_runs_the_function_each_time():
    with wg.GradientTape(persistent=True) as tape:
        x = tape.watch(X)
        y = wg.checkpoint(f, policy=P.names("b"))(x)
    first = tape.gradient(y, x)
    with counting() as count:
        second = tape.gradient(y, x)
    np.testing.assert_array_equal(first, second)
    assert count == {"a": 1, "b": 0, "c": 1}
