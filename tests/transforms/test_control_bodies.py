"""Bodies: what they may do, what is refused and how, what is kept of them, and how often they run."""

import numpy as np
import pytest

import wengert as wg
from wengert.core.errors import ConcretizationError, DTypeError, ShapeError, TracerLeak

A, H, X = np.eye(3) * 0.5, np.array([1.0, 2.0, 3.0]), np.arange(12.0).reshape(4, 3) / 12


def staged(f):
    def run(*args):
        with wg.config.override(compile=False, disk_cache=False):
            return wg.jit(f)(*args)

    return run


def same(f, *args):
    want, got = f(*args), staged(f)(*args)
    for g, w in zip(*([*o] if isinstance(o, tuple) else [o] for o in (got, want)), strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-12)
    return want


# ── writes ────────────────────────────────────────────────────────────────────


def write(x):
    x[0] = 9.0
    x *= 2
    return x


WRITES = {
    "scan": lambda h, xs: wg.scan(lambda c, x: (write(c) + write(x), c), h, xs),
    "fori_loop": lambda h, xs: wg.fori_loop(0, 3, lambda i, c: write(c), h),
    "while_loop": lambda h, xs: wg.while_loop(lambda c: c.sum() < 300, write, h),
    "cond": lambda h, xs: wg.cond(h[0] > 0, write, lambda h: h, h),
    "switch": lambda h, xs: wg.switch(1, [lambda h: h, write], h),
    "call": lambda h, xs: wg.call(write, h),
    "map": lambda h, xs: wg.map(write, xs),
}


@pytest.mark.parametrize("name", WRITES)
def test_a_body_may_write_into_what_it_is_given_and_nobody_else_sees_it(name):
    def f(h, xs):
        h, xs = h * 1, xs * 1
        found = WRITES[name](h, xs)
        return *(found if isinstance(found, tuple) else (found,)), h, xs

    h, xs = H.copy(), X.copy()
    WRITES[name](h, xs)
    np.testing.assert_array_equal(h, H)
    np.testing.assert_array_equal(xs, X)
    same(f, H, X)
    same(wg.grad(lambda h, xs: sum(o.sum() for o in f(h, xs)), (0, 1)), H, X)


def test_an_element_of_a_result_keeps_its_value_when_the_carry_is_written_later():
    def f(h):
        def step(c, _):
            y = c[:2]
            c[0] += 1
            return c, (c, y)

        last, (whole, part) = wg.scan(step, h, None, length=3)
        return last, whole, part

    same(f, H)
    np.testing.assert_array_equal(f(H)[1][:, 0], [2.0, 3.0, 4.0])
    same(wg.grad(lambda h: (f(h)[1] * X[:3]).sum()), H)


@pytest.mark.parametrize("zeros", [lambda h: h * 0, lambda h: np.zeros(3)])
def test_a_staged_body_cannot_write_into_what_it_closes_over(zeros):
    def f(h):
        out = zeros(h)

        def step(i, c):
            out[i] = c.sum()
            return c * 2

        return wg.fori_loop(0, 3, step, h), out

    with pytest.raises(TracerLeak):
        staged(f)(H)


# ── errors ────────────────────────────────────────────────────────────────────

EVERYWHERE = {
    "carry of another shape": (ShapeError, "leaf 0 of the new carry", lambda h: wg.scan(lambda c, x: (c[:2], x), h, X)),
    "carry of another dtype": (
        DTypeError,
        "float32",
        lambda h: wg.scan(lambda c, x: (c.astype(np.float32), x), h, X),
    ),
    "carry of another structure": (ShapeError, "structure", lambda h: wg.scan(lambda c, x: ((c, c), x), h, X)),
    "carry that is no array": (DTypeError, "str", lambda h: wg.scan(lambda c, x: ("a", x), h, X)),
    "no pair": (TypeError, "carry, y", lambda h: wg.scan(lambda c, x: c, h, X)),
    "lengths": (ShapeError, "numbers of trips", lambda h: wg.scan(lambda c, x: (c, x), h, (X, X[:3]))),
    "length": (ShapeError, "numbers of trips", lambda h: wg.scan(lambda c, x: (c, x), h, X, length=3)),
    "no length": (ShapeError, "neither xs nor length", lambda h: wg.scan(lambda c, x: (c, x), h)),
    "an array as a predicate": (ShapeError, "one boolean", lambda h: wg.while_loop(lambda c: c < 3, lambda c: c, h)),
    "a pair as a predicate": (
        ShapeError,
        "one boolean",
        lambda h: wg.while_loop(lambda c: (c.sum() < 3, 1), lambda c: c, h),
    ),
    "a predicate of each": (ShapeError, "one boolean", lambda h: wg.cond(h > 0, lambda: h, lambda: h)),
    "a float as an index": (DTypeError, "an integer", lambda h: wg.switch(h[0], [lambda: h, lambda: h])),
    "a float as a bound": (DTypeError, "an integer", lambda h: wg.fori_loop(0, h[0], lambda i, c: c, h)),
    "a float as the other bound": (DTypeError, "an integer", lambda h: wg.fori_loop(h[0], 9, lambda i, c: c, h)),
}
STAGED = {
    "branches of two shapes": (ShapeError, "every branch", lambda h: wg.cond(h[0] > 0, lambda: h, lambda: h[:2])),
    "branches of two structures": (ShapeError, "structure", lambda h: wg.cond(h[0] > 0, lambda: h, lambda: (h, h))),
    "branches of two dtypes": (
        DTypeError,
        "every branch",
        lambda h: wg.cond(h[0] > 0, lambda: h, lambda: h.astype(np.float32)),
    ),
    "if": (ConcretizationError, "wengert.cond", lambda h: wg.fori_loop(0, 3, lambda i, c: c if c[0] > 0 else -c, h)),
}


@pytest.mark.parametrize("name", [*EVERYWHERE, *STAGED])
def test_errors_name_what_is_wrong_and_the_line(name):
    kind, words, f = (EVERYWHERE | STAGED)[name]
    for run in (staged(f), *([f] if name in EVERYWHERE else [])):
        with pytest.raises(kind, match=words) as caught:
            run(H)
        assert "test_control_bodies.py" in str(caught.value)


# ── memory ────────────────────────────────────────────────────────────────────


def stacked(f, *args, wrt):
    """Shapes of what the forward loops of a gradient give: results, and what is kept for the way back."""
    program = wg.trace(wg.grad(f, wrt), *args)
    forward = next(e for e in program.equations() if e.op.name == "scan")
    return [v.shape for v in forward.outs]


def recurrence(g):
    return lambda a, h, xs: wg.scan(lambda c, x: (g(a @ c + x), None), h, xs)[0].sum()


KEPT = {
    "tanh": (recurrence(np.tanh), 1, [(3,), (4, 3)]),
    "tanh, all": (recurrence(np.tanh), (0, 1, 2), [(3,), (4, 3)]),
    "linear": (recurrence(lambda v: v), 1, [(3,)]),
    "linear in xs": (recurrence(lambda v: v), 2, [(3,)]),
    "linear, by the matrix": (recurrence(lambda v: v), 0, [(3,), (4, 3)]),
    "residual that is an x": (lambda a, h, xs: wg.map(np.sin, xs).sum(), 2, [(4, 3)]),
    "residual that is a y": (lambda a, h, xs: wg.map(np.exp, xs).sum(), 2, [(4, 3)]),
    "checkpoint": (recurrence(wg.checkpoint(lambda v: np.sin(np.tanh(np.sin(v))))), 1, [(3,), (4, 3)]),
}


@pytest.mark.parametrize("name", KEPT)
def test_what_is_kept_of_each_trip(name):
    f, wrt, shapes = KEPT[name]
    assert stacked(f, A, H, X, wrt=wrt) == shapes


# ── runs ──────────────────────────────────────────────────────────────────────


def test_a_staged_body_runs_once():
    ran = []

    def step(c, x):
        ran.append(type(c))
        return np.sin(c) * x, c

    staged(lambda h: wg.scan(step, h, X))(H)
    assert len(ran) == 1
    staged(wg.grad(lambda h: wg.scan(step, h, X)[0].sum()))(H)
    assert len(ran) == 2
    wg.scan(step, H, X)
    assert len(ran) == 2 + len(X)


def programs(program, found):
    for eqn in program.equations():
        for value in eqn.params.values():
            for inner in value if isinstance(value, tuple) else (value,):
                if isinstance(inner, wg.Program) and inner not in found:
                    found.append(inner)
                    programs(inner, found)
    return found


def total(x):
    if x.shape[0] == 1:
        return np.sin(x[0])
    half = x.shape[0] // 2
    return wg.call(total, x[:half]) + wg.call(total, x[half:])


@pytest.mark.parametrize("n", [8, 64])
def test_code_of_recursion_does_not_follow_the_tree_of_calls(n):
    levels = n.bit_length()
    x = np.arange(float(n))
    assert len(programs(wg.trace(lambda x: wg.call(total, x), x), [])) == levels
    # forwards and backwards; calls that would hand up the residuals of all calls within run once more on the way back
    assert len(programs(wg.trace(wg.grad(lambda x: wg.call(total, x)), x), [])) <= 3 * levels
    np.testing.assert_allclose(staged(wg.grad(lambda x: wg.call(total, x)))(x), np.cos(x))


def test_functions_of_one_text_with_different_closures_are_different_calls():
    def times(k):
        return lambda x: x * k

    def f(x):
        y = x * 2.0

        def g(z):
            return z * y

        first = wg.call(g, x)
        y = y * 5.0
        return wg.call(times(2.0), x), wg.call(times(3.0), x), first, wg.call(g, x)

    same(f, 3.0)
    same(wg.grad(lambda x: sum(f(x))), 3.0)


def test_one_body_in_loops_of_which_other_operands_are_differentiated():
    def step(c, x):
        return np.tanh(A @ c + x), c

    program = wg.trace(lambda h, xs: wg.scan(step, h, xs)[0], H, X)

    def f(h, xs):
        ((a,), (b,), (c,)) = program.run(h, xs), program.run(H * 2, xs), program.run(h, X * 2)
        return (a + 2 * b + 3 * c).sum()

    def plain(h, xs):
        total = 0.0
        for k, start, rows in ((1, h, xs), (2, H * 2, xs), (3, h, X * 2)):
            c = start
            for x in rows:
                c = np.tanh(A @ c + x)
            total = total + k * c.sum()
        return total

    for wrt in (0, 1, (0, 1), 0):
        want = wg.grad(plain, wrt)(H, X)
        for way in (wg.grad(f, wrt), staged(wg.grad(f, wrt))):
            for g, w in zip(*(o if isinstance(o, tuple) else (o,) for o in (way(H, X), want)), strict=True):
                np.testing.assert_allclose(g, w, rtol=1e-12)


RULES = {
    "scan": lambda rule: lambda x: wg.scan(lambda c, _: (rule(c), c), x, None, length=2)[0],
    "while_loop": lambda rule: lambda x: wg.while_loop(lambda s: s[1] < 2, lambda s: (rule(s[0]), s[1] + 1), (x, 0))[0],
    "cond": lambda rule: lambda x: wg.cond(x > 0, lambda x: rule(rule(x)), lambda x: x, x),
    "call": lambda rule: lambda x: wg.call(lambda x: rule(rule(x)), x),
    "nest": lambda rule: (
        lambda x: wg.scan(lambda c, _: (wg.cond(c > 0, lambda x: rule(x), lambda x: x, c), c), x, None, length=2)[0]
    ),
}


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize("kind", ["vjp", "jvp"])
def test_custom_rules_within_bodies(name, kind):
    if kind == "vjp":
        rule = wg.custom_vjp(lambda a: np.sin(a))
        rule.defvjp(lambda a: (np.sin(a), a), lambda a, ct: (ct * 7.0,))
    else:
        rule = wg.custom_jvp(lambda a: np.sin(a))
        rule.defjvps(lambda dot, out, a: dot * 7.0)
    f = RULES[name](rule)
    assert wg.grad(f)(1.0) == staged(wg.grad(f))(1.0) == wg.grad(wg.jit(f))(1.0) == 49.0
    with wg.config.override(debug_passes=True):
        assert staged(f)(1.0) == np.sin(np.sin(1.0))
    xs = np.array([1.0, 0.5])
    np.testing.assert_array_equal(staged(wg.vmap(wg.grad(f)))(xs), 49.0)
    np.testing.assert_array_equal(staged(wg.grad(lambda xs: wg.vmap(f)(xs).sum()))(xs), 49.0)
