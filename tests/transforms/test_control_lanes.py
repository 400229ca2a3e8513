"""Examples of a batch that have come to their end, or have chosen another branch, do not disturb the others."""

import signal

import numpy as np
import pytest

import wengert as wg


@pytest.fixture(autouse=True)
def in_time():
    """A loop that never ends is a failure."""

    def late(*_):
        raise TimeoutError("a loop does not end")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(60)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def differences(f, x, step=1e-6):
    return (f(x + step) - f(x - step)) / (2 * step)


def staged(f):
    def run(*args):
        with wg.config.override(compile=False, disk_cache=False):
            return wg.jit(f)(*args)

    return run


def check(f, xs, derivatives):
    """Both orders of grad and vmap, both modes, eagerly and staged."""

    def total(xs):
        return wg.vmap(f)(xs).sum()

    def along(xs):
        return wg.jvp(wg.vmap(f), (xs,), (np.ones_like(xs),))[1]

    with np.errstate(all="ignore"):
        for way in (wg.vmap(wg.grad(f)), wg.grad(total), along):
            np.testing.assert_allclose(way(xs), derivatives, rtol=1e-7)
            np.testing.assert_allclose(staged(way)(xs), derivatives, rtol=1e-7)


def test_a_lane_that_has_ended_divides_by_zero_from_then_on():
    ends = np.array([1.0, 3.0, 2.0])
    xs = np.array([1.0, 2.0, 3.0])

    def f(x, n):
        def step(s):
            left = n - s[1]
            return s[0] / left + np.sqrt(left) * s[0], s[1] + 1

        return wg.while_loop(lambda s: s[1] < n, step, (x, 0))[0]

    want = [differences(lambda v, n=n: f(v, n), x) for x, n in zip(xs, ends, strict=True)]
    for way in (wg.vmap(wg.grad(f)), wg.grad(lambda x, n: wg.vmap(f)(x, n).sum())):
        with np.errstate(all="ignore"):
            np.testing.assert_allclose(way(xs, ends), want, rtol=1e-6)
            np.testing.assert_allclose(staged(way)(xs, ends), want, rtol=1e-6)


def test_what_ended_lanes_share_with_the_others_has_a_finite_gradient():
    ends, xs = np.array([1.0, 3.0, 2.0]), np.array([1.0, 2.0, 3.0])

    def f(c, x, n):
        return wg.while_loop(lambda s: s[1] < n, lambda s: (s[0] * c / (n - s[1]), s[1] + 1), (x, 0))[0]

    def total(c):
        return wg.vmap(f, (None, 0, 0))(c, xs, ends).sum()

    with np.errstate(all="ignore"):
        assert wg.grad(total)(1.5) == pytest.approx(7.75)
        assert staged(wg.grad(total))(1.5) == pytest.approx(7.75)


def test_a_branch_that_is_not_a_number_for_those_who_take_the_other():
    def f(x):
        return wg.cond(x > 0, lambda x: np.sqrt(x) * np.log(x), lambda x: x * 0.5, x)

    check(f, np.array([-1.0, 4.0, 0.0]), [0.5, np.log(4) / 4 + 0.5, 0.5])


def doubled(x):
    """Up to ten: for ever, if x is not positive."""
    return wg.while_loop(lambda s: s < 10, lambda s: s * 2, x)


@pytest.mark.parametrize("xs", [(-1.0, 3.0, 0.7), (-1.0, -2.0, 0.0), (1.0, 3.0, 0.7)])
def test_a_loop_in_a_branch_that_would_not_end_for_those_who_take_the_other(xs):
    xs = np.array(xs)

    def f(x):
        return wg.cond(x > 0, doubled, lambda x: x * x, x)

    slopes = [2.0 ** np.ceil(np.log2(10 / x)) if x > 0 else 2 * x for x in xs]
    check(f, xs, slopes)
    want = [[x * s if x > 0 else x * x for x, s in zip(row, slopes, strict=True)] for row in (xs, xs)]
    np.testing.assert_allclose(wg.vmap(lambda k: wg.vmap(f)(xs * k))(np.ones(2)), want)


def test_a_loop_in_a_loop_that_would_not_end_for_lanes_that_have():
    def f(x):
        def inner(c):
            return wg.while_loop(lambda s: s < 5, lambda s: s + c, 0.5 * c)  # for ever, if c is not positive

        return wg.while_loop(lambda t: t[0] > 0, lambda t: (t[0] - 1.5, t[1] + inner(t[0]) * t[1]), (x, x))[1]

    xs = np.array([1.0, 4.0, 2.5, -1.0])
    np.testing.assert_allclose(wg.vmap(f)(xs), [f(x) for x in xs])
    check(f, xs, [wg.grad(f)(x) for x in xs])


def test_a_predicate_that_is_the_same_for_all_examples_runs_one_branch():
    ran = []

    def branch(name):
        def run(x):
            ran.append(name)
            return x * 2.0

        return run

    xs = np.arange(3.0)
    got = wg.vmap(lambda x, p: wg.cond(p, branch("yes"), branch("no"), x), (0, None))(xs, True)
    np.testing.assert_array_equal(got, 2 * xs)
    assert ran == ["yes"]
