"""Arrays that a backward pass still needs, and the ways a program may write into them: right, or an error."""

from __future__ import annotations

import gc
import itertools

import numpy as np
import pytest

import wengert as wg
from wengert.core.tensor import active

READ_ONLY = "read-only"
X = np.array([1.0, 2.0])


# ── values handed out ─────────────────────────────────────────────────────────


def test_the_output_of_vjp_may_be_written():
    out, pull = wg.vjp(np.exp, np.zeros(2))  # the rule of exp saves its output
    out -= 5.0
    np.testing.assert_array_equal(pull(np.ones(2))[0], 1.0)
    (out, aux), pull, _ = wg.vjp(lambda x: ((np.exp(x), np.tanh(x)), np.exp(x)), np.zeros(2), has_aux=True)
    out *= 0
    aux += 7
    np.testing.assert_array_equal(pull((np.ones(2), np.ones(2)))[0], 2.0)


def test_the_output_of_vjp_within_a_gradient_may_be_written():
    def f(x):
        out, pull = wg.vjp(np.exp, x)
        out[0] = 0.0
        return np.sum(pull(np.ones(2))[0])

    np.testing.assert_allclose(wg.grad(f)(X), np.exp(X))


def test_stop_gradient_gives_a_value_that_cannot_spoil_the_tape():
    def f(x):
        y = np.exp(x)
        mask = wg.stop_gradient(y)
        mask[mask < 2] = 0
        return np.sum(y * mask)

    with pytest.raises(ValueError, match=READ_ONLY):
        wg.grad(f)(np.zeros(2))

    def copied(x):
        y = np.exp(x)
        mask = wg.stop_gradient(y).copy()
        mask[0] = 0
        return np.sum(y * mask)

    np.testing.assert_array_equal(wg.grad(copied)(np.zeros(2)), [0.0, 1.0])


def test_asarray_of_a_finished_tape():
    with wg.GradientTape() as tape:
        x = tape.watch(np.zeros(2))
        y = np.exp(x)
    a = np.asarray(y)
    with pytest.raises(ValueError, match=READ_ONLY):
        a[0] = 5
    np.testing.assert_array_equal(tape.gradient(y, x), 1.0)
    del tape, x, y
    a[0] = 5


# ── arrays captured ───────────────────────────────────────────────────────────


def test_what_a_broadcast_view_shows_is_protected():
    a = np.array([2.0, 3.0])
    b = np.broadcast_to(a, (2, 2))

    def f(x):
        y = np.sum(x * b)
        a[:] = 0
        return y

    with pytest.raises(ValueError, match=READ_ONLY):
        wg.grad(f)(np.ones((2, 2)))
    a[:] = 1
    assert not b.flags.writeable


def test_views_and_bases_are_given_back_in_any_order():
    a = np.zeros(4)
    v = a[:2]
    wg.grad(lambda x: np.sum(x * a) + np.sum(x[:2] * v))(np.ones(4))
    assert a.flags.writeable
    assert v.flags.writeable
    wg.grad(lambda x: np.sum(x[:2] * v) + np.sum(x * a))(np.ones(4))
    assert a.flags.writeable
    assert v.flags.writeable


@pytest.mark.parametrize("how", ["captured", "argument", "unused by ops"])
def test_checkpoint_sees_the_same_constants_twice(how):
    c = np.ones(3)

    def f(x):
        if how == "captured":
            y = wg.checkpoint(lambda x: np.sin(x * c))(x)
        elif how == "argument":
            y = wg.checkpoint(lambda x, c: np.sin(x * c))(x, c)
        else:
            y = wg.checkpoint(lambda x: np.sin(x * (c + 1)))(x)
        c[:] = 5
        return np.sum(y)

    with pytest.raises((ValueError, wg.errors.TapeError), match=f"{READ_ONLY}|another result"):
        wg.grad(f)(np.ones(3))
    assert c.flags.writeable


def test_checkpoint_of_a_function_that_changes_raises():
    calls = itertools.count()
    with pytest.raises(wg.errors.TapeError, match="another result") as error:
        wg.grad(lambda x: np.sum(wg.checkpoint(lambda x: x * next(calls))(x)))(np.ones(3))
    assert "fix:" in str(error.value)


# ── cells of outer traces ─────────────────────────────────────────────────────


def test_a_write_to_an_outer_array_does_not_reach_an_inner_residual():
    def f(x):
        w = x * 1.0

        def inner(y):
            z = np.sum(y * w)
            w[0] = 100.0
            return z

        return np.sum(wg.grad(inner)(x))

    value, gradient = wg.value_and_grad(f)(X)
    assert value == 3.0
    np.testing.assert_array_equal(gradient, 1.0)


@pytest.mark.parametrize("transform", ["tape", "pullback", "jvp", "vmap"])
def test_a_write_to_what_was_watched_comes_too_late(transform):
    def f(x):
        w = x * 1.0
        if transform == "tape":
            with wg.GradientTape() as tape:
                y = tape.watch(w)
                z = np.sum(y * y)
            w[0] = 100.0
            return np.sum(tape.gradient(z, y))
        if transform == "pullback":
            _, pull = wg.vjp(lambda y: y * y, w)
            w[0] = 100.0
            return np.sum(pull(np.ones(2))[0])

        def inner(y):
            w[0] = 100.0
            return y * y

        if transform == "jvp":
            return np.sum(wg.jvp(inner, (w,), (np.ones(2),))[1])
        return np.sum(wg.vmap(inner)(w)) + 1.0

    value, gradient = wg.value_and_grad(f)(X)
    assert value == 6.0
    np.testing.assert_array_equal(gradient, 2 * X if transform == "vmap" else 2.0)


def test_gradients_within_a_gradient_are_apart():
    def f(x):
        _, pull = wg.vjp(lambda a, b: a + b, x, x)
        ct = x * 1.0
        ga, gb = pull(ct)
        ga *= 10.0
        return np.sum(gb) + np.sum(ct)

    value, gradient = wg.value_and_grad(f)(X)
    assert value == 6.0
    np.testing.assert_array_equal(gradient, 2.0)


# ── rules of the user's own ───────────────────────────────────────────────────


def identity(forward, backward):
    f = wg.custom_vjp(lambda x: x * 1.0)
    f.defvjp(forward, backward)
    return f


def test_a_rule_cannot_write_into_a_shared_cotangent():
    def backward(residuals, ct):
        ct *= 2
        return (ct,)

    f = identity(lambda x: (x * 1.0, None), backward)
    with pytest.raises(ValueError, match=READ_ONLY):
        wg.grad(lambda x: np.sum((x + f(x)) * X))(X)


def test_a_rule_cannot_write_into_an_operand_or_a_residual():
    def forward(x):
        x[0] = 100.0
        return x * 1.0, None

    f = identity(forward, lambda residuals, ct: (ct,))
    with pytest.raises(ValueError, match=READ_ONLY):
        wg.grad(lambda x: np.sum(f(np.exp(x))))(X)

    def backward(residual, ct):
        residual *= 2
        return (residual * ct,)

    f = identity(lambda x: (x * x, x * 1.0), backward)
    _, pull = wg.vjp(f, X)
    with pytest.raises(ValueError, match=READ_ONLY):
        pull(np.ones(2))


def test_a_cotangent_that_is_the_residual_stays_the_tapes_own():
    f = identity(lambda x: (x * 1.0, x * 3.0), lambda residual, ct: (residual,))
    _, pull = wg.vjp(f, X)
    (first,) = pull(np.ones(2))
    first *= 0
    np.testing.assert_array_equal(pull(np.ones(2))[0], 3 * X)


# ── tapes against their nesting ───────────────────────────────────────────────


@pytest.mark.parametrize(
    "transform",
    [lambda h: wg.jvp(h, (3.0,), (1.0,)), lambda h: wg.vmap(h)(np.array([1.0, 2.0])), lambda h: wg.grad(h)(2.0)],
)
def test_a_tape_outside_a_transform_gives_no_gradient_within(transform):
    with wg.GradientTape(persistent=True) as tape:
        x = tape.watch(2.0)

        def h(t):
            z = t * x * x
            with tape.stop_recording():
                return tape.gradient(z, x)

        with pytest.raises(wg.errors.TapeError, match="runs within the tape"):
            transform(h)


def test_a_recording_persistent_tape_gives_no_gradient():
    with wg.GradientTape(persistent=True) as tape:
        x = tape.watch(2.0)
        y = x**3
        with pytest.raises(wg.errors.TapeError, match="nest two tapes"):
            tape.gradient(y, x)
        with tape.stop_recording():
            assert tape.gradient(y, x) == 12.0


def test_a_source_that_was_written_raises():
    with wg.GradientTape(persistent=True) as tape:
        x = tape.watch(X)
        z = np.sum(x**2)
        x[0] = 5.0
    with pytest.raises(wg.errors.TapeError, match="written to in place"):
        tape.gradient(z, x)


def test_tapes_may_end_in_any_order():
    a, b = wg.GradientTape(), wg.GradientTape()
    with a:
        b.__enter__()
    assert len(active()) == 1
    b.__exit__(None, None, None)
    assert active() == ()

    def generator():
        with wg.GradientTape() as tape:
            yield tape

    running = generator()
    next(running)
    assert len(active()) == 1
    running.close()
    assert active() == ()


def test_an_argument_named_twice_raises():
    with pytest.raises(ValueError, match="twice"):
        wg.grad(lambda x, y: x * y, argnums=(0, -2))(2.0, 3.0)


# ── nothing stays behind ──────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "transform",
    [wg.grad, wg.jacrev, wg.jacfwd, wg.hessian, wg.vmap, wg.checkpoint, lambda f: lambda x: wg.linearize(f, x)],
)
@pytest.mark.parametrize("error", [KeyError, KeyboardInterrupt])
def test_an_error_leaves_no_state(transform, error):
    x, c = np.ones(3), np.ones(3)
    settings = np.geterr()

    def f(x):
        np.sum(x * c)
        raise error("stop")

    gc.disable()
    try:
        gc.collect()
        with pytest.raises(error):
            transform(f)(x)
    finally:
        gc.enable()
    assert active() == ()
    assert np.geterr() == settings
    assert x.flags.writeable
    assert c.flags.writeable


# ── views that catch up late ──────────────────────────────────────────────────


def test_a_view_that_catches_up_within_no_grad_keeps_its_derivative():
    def f(x):
        w = x * 1.0
        v = w[1:]
        w *= 3.0
        with wg.no_grad():
            assert v[0] == 6.0  # the view is read anew here
        return np.sum(v)

    np.testing.assert_array_equal(wg.grad(f)(X), [0.0, 3.0])
    with wg.GradientTape() as tape:
        x = tape.watch(X)
        w = x * 1.0
        v = w[1:]
        w *= 3.0
        with tape.stop_recording():
            str(v)
        z = np.sum(v)
    np.testing.assert_array_equal(tape.gradient(z, x), [0.0, 3.0])


def test_a_view_that_catches_up_within_a_checkpoint():
    def f(x):
        w = x * 1.0
        v = w[1:]
        w *= 3.0
        y = wg.checkpoint(lambda x: x * v)(x)
        return np.sum(y) + np.sum(v)

    np.testing.assert_array_equal(wg.grad(f)(X), [6.0, 6.0 + 3.0 + 3.0 + 6.0])


def test_a_checkpoint_finds_copies_and_values_as_they_were():
    def check(inner, want):
        def f(x):
            w = x * 1.0
            y = wg.checkpoint(lambda y: y * inner(w))(x)
            w[:] = -7.0
            return np.sum(y)

        np.testing.assert_allclose(wg.grad(f)(X), want)

    check(lambda w: w.copy(), 2 * X)
    check(wg.stop_gradient, X)
    check(lambda w: 2.0 if w[0] > 0 else 3.0, 2.0)
    check(wg.grad(lambda v: np.sum(v**3)), 9 * X**2)
    check(wg.vmap(lambda v: v**3), 4 * X**3)
    check(lambda w: wg.jvp(lambda v: v**3, (w,), (np.ones(2),))[1], 9 * X**2)


def test_linearize_of_a_checkpoint_within_a_gradient():
    def f(x):
        return np.sum(wg.linearize(wg.checkpoint(lambda x: np.sin(x) * x), x)[1](x))

    np.testing.assert_allclose(wg.grad(f)(X), 2 * X * np.cos(X) - X**2 * np.sin(X) + np.sin(X) + X * np.cos(X))


def closing(x):
    """A checkpoint and a view, which close over Tensors of the tape that records them."""
    w = x * 2.0
    v = w[1:]
    y = wg.checkpoint(lambda x: np.sin(x * w) * v)(x)
    return np.sum(wg.checkpoint(lambda y: wg.checkpoint(lambda z: z * w)(y) * w)(y))


def pulled(x):
    _, pull = wg.vjp(closing, x)
    pull(1.0)
    pull(1.0)


def taped(x, persistent):
    with wg.GradientTape(persistent=persistent) as tape:
        y = tape.watch(x)
        z = closing(y)
    tape.gradient(z, y)


@pytest.mark.parametrize(
    "run",
    [
        pulled,
        wg.grad(closing),
        wg.grad(lambda x: np.sum(wg.grad(closing)(x))),
        lambda x: wg.vjp(closing, x),
        lambda x: wg.jacrev(lambda x: x * closing(x))(x),
        wg.jacfwd(closing),
        wg.hessian(closing),
        lambda x: wg.hvp(closing, (x,), (x,)),
        lambda x: wg.vmap(wg.grad(closing))(np.stack([x, x])),
        lambda x: wg.linearize(closing, x)[1](x),
        lambda x: taped(x, True),
        lambda x: taped(x, False),
    ],
)
def test_no_reference_cycles(run):
    x = X.copy()
    run(x)
    gc.collect()
    gc.disable()
    try:
        run(x)
        assert x.flags.writeable
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_under_vmap_an_indexed_array_lies_in_memory_as_numpys():
    """`ravel` gives a view or a copy by the layout, and so decides where a write goes."""

    def f(x):
        y = x[np.array([-1, 0, 0])]
        y.ravel()[::-1].fill(0.3)
        z = x[np.array([True, False]), :]
        z.reshape(-1)[0] = 9.0
        return y, z

    many = np.arange(12.0).reshape(3, 2, 2)
    for found, want in zip(wg.vmap(f)(many), zip(*map(f, many), strict=True), strict=True):
        np.testing.assert_array_equal(found, want)
