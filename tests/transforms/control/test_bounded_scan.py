"""`scan` and `fori_loop` with `checkpoint=`: the derivatives of the loop without, in less memory and no more runs than promised."""

import gc
import tracemalloc
from math import comb

import numpy as np
import pytest

import wengert as wg
from wengert.core.errors import ShapeError
from wengert.transforms.control.segments import kept, lengths_of
from wengert.transforms.control.treeverse import advances, cut

WAYS = ("sqrt", "binomial", 1, 2, 5)
LENGTHS = (0, 1, 2, 3, 4, 5, 7, 8, 16, 27, 31, 64)


def rolled(w, start, xs, checkpoint, reverse=False):
    """All that a scan has: a const, two carries of which one is an integer, xs, and ys of two shapes."""

    def body(carry, x):
        h, i = carry
        new = np.tanh(w @ h + x) + 0.01 * i
        return (new, i + 1), (np.sum(new * x), 0.5 * new)

    (h, _), (a, b) = wg.scan(body, (start, 0), xs, reverse=reverse, checkpoint=checkpoint)
    return np.sum(h * h) + a @ np.sin(np.arange(len(xs)) + 1.0) + np.sum(b**3)


def data(n, size=2):
    rng = np.random.default_rng(n)
    return rng.normal(size=(size, size)), rng.normal(size=size), rng.normal(size=(n, size))


def close(got, want):
    for x, y in zip(got, want, strict=True):
        assert np.shape(x) == np.shape(y)
        assert np.allclose(x, y, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("n", LENGTHS)
def test_value_and_gradient(n, reverse):
    args = data(n)
    want = wg.value_and_grad(lambda *a: rolled(*a, None, reverse), (0, 1, 2))(*args)
    for way in WAYS:
        both = wg.value_and_grad(lambda *a, way=way: rolled(*a, way, reverse), (0, 1, 2))
        for run in (both, wg.jit(both)):
            value, gradient = run(*args)
            close([value, *gradient], [want[0], *want[1]])


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("n", [6, 13])
def test_higher_orders(n, way):
    args = data(n)
    push = data(n + 100)[:2]

    def orders(way):
        f = lambda w, h: rolled(w, h, args[2], way)
        grad = wg.grad(f, (0, 1))
        return {
            "jvp of grad": lambda w, h: wg.jvp(grad, (w, h), (push[0], push[1]))[1],
            "grad of jvp": wg.grad(lambda w, h: wg.jvp(f, (w, h), (push[0], push[1]))[1], (0, 1)),
            "grad of grad": wg.grad(lambda w, h: sum(np.sum(np.sin(g)) for g in grad(w, h)), (0, 1)),
        }

    plain = orders(None)
    for name, fun in orders(way).items():
        want = plain[name](*args[:2])
        close(fun(*args[:2]), want)
        close(wg.jit(fun)(*args[:2]), want)


@pytest.mark.parametrize("way", WAYS)
def test_batches(way):
    w, _, xs = data(11)
    starts = np.random.default_rng(0).normal(size=(3, 2))
    one = lambda h, way: wg.grad(lambda w, h: rolled(w, h, xs, way), (0, 1))(w, h)
    want = [np.stack(column) for column in zip(*(one(h, None) for h in starts), strict=True)]
    over = wg.vmap(lambda h: one(h, way))
    close(over(starts), want)
    close(wg.jit(over)(starts), want)
    inner = wg.grad(lambda hs: np.sum(wg.vmap(lambda h: rolled(w, h, xs, way))(hs)))
    close([inner(starts), wg.jit(inner)(starts)], [want[1], want[1]])


def test_against_jax():
    jax = pytest.importorskip("jax")
    jax.config.update("jax_enable_x64", True)
    jnp = jax.numpy
    w, h, xs = data(37)

    def theirs(w, h, xs):
        def body(h, x):
            new = jnp.tanh(w @ h + x)
            return new, jnp.sum(new * x)

        h, ys = jax.lax.scan(body, h, xs)
        return jnp.sum(h * h) + jnp.sum(jnp.cos(ys))

    def ours(w, h, xs, way):
        def body(h, x):
            new = np.tanh(w @ h + x)
            return new, np.sum(new * x)

        h, ys = wg.scan(body, h, xs, checkpoint=way)
        return np.sum(h * h) + np.sum(np.cos(ys))

    want = jax.grad(theirs, (0, 1, 2))(w, h, xs)
    for way in WAYS:
        fun = wg.grad(lambda *a, way=way: ours(*a, way), (0, 1, 2))
        close(fun(w, h, xs), want)
        close(wg.jit(fun)(w, h, xs), want)


def test_against_finite_differences():
    w, h, xs = data(17)
    for way in WAYS:
        gw, gh = wg.grad(lambda w, h, way=way: rolled(w, h, xs, way), (0, 1))(w, h)
        for i in range(2):
            step = np.eye(2)[i] * 1e-6
            slope = (rolled(w, h + step, xs, None) - rolled(w, h - step, xs, None)) / 2e-6
            assert np.isclose(gh[i], slope, rtol=1e-6, atol=1e-8)
            slope = (rolled(w + step, h, xs, None) - rolled(w - step, h, xs, None)) / 2e-6  # row by row
            assert np.isclose(gw[:, i].sum(), slope, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("way", WAYS)
def test_loops_in_loops(way):
    """A bounded loop as the body of another one, and of a `wg.checkpoint`."""

    def inner(c, way):
        return wg.fori_loop(0, 9, lambda i, c: np.sin(c) * 1.1 + 0.01 * i, c, checkpoint=way)

    def outer(c, way, mark=lambda f: f):
        return wg.scan(mark(lambda c, x: (inner(c, way) + x, c)), c, np.linspace(0, 1, 12), checkpoint=way)[0]

    want = wg.grad(lambda c: outer(c, None))(0.4)
    for fun in (
        lambda c: outer(c, way),
        lambda c: outer(c, way, wg.checkpoint),
        wg.checkpoint(lambda c: outer(c, way)),
    ):
        close([wg.grad(fun)(0.4), wg.jit(wg.grad(fun))(0.4)], [want, want])


@pytest.mark.parametrize("way", ["sqrt", 2])
def test_python_numbers_take_the_dtype_of_the_loop(way):
    def run(x, way):
        c, ys = wg.scan(lambda c, _: (c * x, c), 1, None, length=9, checkpoint=way)
        return c + np.sum(ys)

    want = wg.value_and_grad(lambda x: run(x, None))(np.float32(0.5))
    for fun in (wg.value_and_grad(lambda x: run(x, way)), wg.jit(wg.value_and_grad(lambda x: run(x, way)))):
        got = fun(np.float32(0.5))
        assert [g.dtype for g in got] == [np.float32] * 2
        assert np.allclose(got, want)


@pytest.mark.parametrize("way", ["sqrt", 2])
def test_bodies_that_write_into_their_carry(way):
    def run(x, way):
        def body(i, out):
            out[i] = np.sin(out[i - 1]) * x
            return out

        return np.sum(wg.fori_loop(1, 12, body, np.ones(12), checkpoint=way) ** 2)

    want = wg.grad(lambda x: run(x, None))(0.9)
    fun = wg.grad(lambda x: run(x, way))
    close([fun(0.9), wg.jit(fun)(0.9)], [want, want])


def test_bodies_without_carry():
    fun = lambda xs, way: np.sum(wg.scan(lambda _, x: (None, np.exp(np.sin(x))), None, xs, checkpoint=way)[1] ** 2)
    xs = np.linspace(0, 2, 30)
    want = wg.grad(lambda xs: fun(xs, None))(xs)
    for way in WAYS:
        grad = wg.grad(lambda xs, way=way: fun(xs, way))
        close([grad(xs), wg.jit(grad)(xs)], [want, want])


# ── counts ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("slots", [1, 2, 3, 5, 9])
@pytest.mark.parametrize("n", [4, 5, 10, 20, 21, 55, 100])
def test_runs_are_the_binomial_optimum(n, slots):
    if comb(slots + 64, slots) < n:
        pytest.skip("runs would be nested too deep: more carries are kept")
    count = 0

    def body(c, _):
        nonlocal count
        count += 1
        return np.sin(c), None

    run = wg.grad(lambda x: wg.scan(body, x, None, length=n, checkpoint=slots)[0])
    assert np.isclose(run(0.7), wg.grad(lambda x: wg.scan(body, x, None, length=n)[0])(0.7))
    r = next(r for r in range(n) if comb(slots + r, slots) >= n)
    assert count - n == n + r * n - comb(slots + r, r - 1)


def fewest(n, slots, known={}):  # noqa: B006 - a cache
    """The fewest trips by trying all cuts, which is what the formula is to be."""
    if n == 1:
        return 0
    if slots == 1:
        return n * (n - 1) // 2
    if (n, slots) not in known:
        known[n, slots] = min(m + fewest(m, slots) + fewest(n - m, slots - 1) for m in range(1, n))
    return known[n, slots]


def test_cuts_are_optimal():
    for slots in (1, 2, 3, 4, 7):
        for n in range(2, 40):
            m = cut(n, slots)
            assert fewest(n, slots) == advances(n, slots)
            rest = fewest(n - m, slots - 1) if slots > 1 else 0
            assert m + fewest(m, slots) + rest == advances(n, slots)


@pytest.mark.parametrize("n", [10, 97, 1000, 99991, 10**6])
def test_compiled_segments_keep_what_is_said(n):
    assert kept(n, lengths_of(n, "sqrt")) <= 2.2 * np.sqrt(n) + 2
    assert kept(n, lengths_of(n, "binomial")) <= 16 * np.log(n) / np.log(8)
    for rows in (60, 200, 1000):
        assert kept(n, lengths_of(n, rows)) <= rows


# ── memory ────────────────────────────────────────────────────────────────────


def peak(run):
    run()
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        tracemalloc.reset_peak()
        run()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("way", "carries"), [(3, 18), ("binomial", 20), ("sqrt", 40), (None, 150)])
def test_memory_of_loops_in_python(way, carries):
    x = np.linspace(0, 1, 1 << 13)
    body = lambda c, _: (np.sin(c) * np.exp(-c), None)
    run = wg.grad(lambda x: np.sum(wg.scan(body, x, None, length=64, checkpoint=way)[0]))
    found = peak(lambda: run(x)) / x.nbytes
    assert (found < carries) if way is not None else (found > carries)


def workspace(fun, *args):
    return wg.jit(wg.grad(fun)).lower(*args).compile().memory_analysis()["workspace"]


def test_memory_of_compiled_loops():
    def body(c, x):
        return np.tanh(c * 1.01 + x), None

    fun = lambda c, xs, way: np.sum(wg.scan(body, c, xs, checkpoint=way)[0])
    c, xs = np.ones(4), np.zeros((100_000, 4))
    row, plain = c.nbytes, workspace(lambda c, xs: fun(c, xs, None), c, xs)
    assert plain >= 100_000 * row
    assert workspace(lambda c, xs: fun(c, xs, "sqrt"), c, xs) < 4 * 650 * row
    assert workspace(lambda c, xs: fun(c, xs, 100), c, xs) < 150 * row


def test_arrays_are_read_where_they_lie():
    """Neither a length that divides, nor one that does not, makes a copy of xs."""
    fun = lambda c, xs: np.sum(wg.scan(lambda c, x: (np.tanh(c + x), None), c, xs, checkpoint="sqrt")[0])
    for n in (10_000, 10_007):
        xs = np.zeros((n, 8))
        assert wg.jit(wg.grad(fun)).lower(np.ones(8), xs).compile().memory_analysis()["workspace"] < xs.nbytes / 4


# ── what goes wrong ───────────────────────────────────────────────────────────


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("at", [3, 60, 90])
def test_errors_leave_nothing_behind(at, error):
    x, count = np.ones(1 << 13), 0

    def body(c, _):
        nonlocal count
        count += 1
        if count == at:
            raise error("enough")
        return np.sin(c), None

    run = wg.grad(lambda x: np.sum(wg.scan(body, x, None, length=50, checkpoint=3)[0]))
    gc.collect()
    tracemalloc.start()
    try:
        with pytest.raises(error):
            run(x)
        assert count == at
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] < 2 * x.nbytes
    finally:
        tracemalloc.stop()
    count = -1000
    assert run(x).shape == x.shape


@pytest.mark.parametrize("way", [0, -3, True, "all", 2.0])
def test_what_cannot_be_asked(way):
    for call in (
        lambda: wg.scan(lambda c, _: (c, None), 1.0, None, length=3, checkpoint=way),
        lambda: wg.fori_loop(0, 3, lambda i, c: c, 1.0, checkpoint=way),
        lambda: wg.while_loop(lambda c: c < 1, lambda c: c + 1.0, 0.0, checkpoint=way),
    ):
        with pytest.raises(ShapeError, match="checkpoint="):
            call()


# ── random bodies ─────────────────────────────────────────────────────────────

UNARY = (np.sin, np.tanh, np.cos, lambda x: x * x, lambda x: np.exp(-x * x), lambda x: x / (1.0 + x * x), np.abs)


def random_case(seed):
    rng = np.random.default_rng(seed)
    n, count, size = int(rng.integers(1, 40)), int(rng.integers(1, 4)), int(rng.integers(1, 4))
    steps = [tuple(rng.integers(0, k) for k in (len(UNARY), count, count, 3)) for _ in range(int(rng.integers(1, 6)))]
    reverse, keeps = bool(rng.integers(2)), bool(rng.integers(2))
    args = rng.normal(size=size) * 0.5, tuple(rng.normal(size=(count, size))), rng.normal(size=(n, size)) * 0.3
    way = ("sqrt", "binomial", int(rng.integers(1, 8)))[int(rng.integers(3))]

    def run(w, carry, xs, way):
        def body(carry, x):
            carry = list(carry)
            for f, a, b, how in steps:
                new = UNARY[f](carry[a] * w + x)
                carry[b] = (0.5 * new + 0.4 * carry[b], new * 0.7, np.where(carry[a] > 0, new, 0.3 * carry[b]))[how]
            return tuple(carry), carry[0] * x if keeps else None

        last, ys = wg.scan(body, carry, xs, reverse=reverse, checkpoint=way)
        return sum(np.sum(c * c) for c in last) + (np.sum(np.sin(ys)) if keeps else 0.0)

    return run, args, way


@pytest.mark.parametrize("seed", range(25))
def test_random_bodies(seed):
    run, args, way = random_case(seed)
    flat = lambda g: [g[0], *g[1], g[2]]
    want = flat(wg.grad(lambda *a: run(*a, None), (0, 1, 2))(*args))
    bounded = wg.grad(lambda *a: run(*a, way), (0, 1, 2))
    close(flat(bounded(*args)), want)
    close(flat(wg.jit(bounded)(*args)), want)
