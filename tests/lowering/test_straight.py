"""Loops and branches with small bodies as compiled straight-line code, against the ops' own evaluation."""

import signal
import subprocess
import sys

import numpy as np
import pytest

import wengert as wg
from wengert.core.aval import Aval
from wengert.passes.pipeline import optimise
from wengert.runtime.engine import compile
from wengert.trace.stage import stage
from wengert.transforms.control.scan import scan
from wengert.transforms.control.switch import switch
from wengert.transforms.control.while_loop import while_loop, while_pullback

rng = np.random.default_rng(7)


def aval(shape=(), dtype="f8"):
    return Aval(shape, np.dtype(dtype))


def program(f, *args):
    """`f` on arrays like `args` (or avals), as a body."""
    avals = [a if isinstance(a, Aval) else aval(np.shape(a), np.asarray(a).dtype) for a in args]

    def flat(*xs):
        out = f(*xs)
        return out if isinstance(out, tuple) else (out,)

    return optimise(stage(flat, avals)[0])[0]


def compiled(f, *args):
    """`f(*args)` as machine code, which must be one kernel of straight-line code, equal to evaluation."""
    whole, _ = stage(f, [aval(np.shape(a), np.asarray(a).dtype) for a in args])
    executable = compile(whole)
    notes = [k.note for k in executable.lowered.kernels]
    assert "straight-line code" in notes and not any("host" in n for n in notes), notes
    want, got = whole.run(*args), executable(*args)
    for w, g in zip(want, got, strict=True):
        assert g.dtype == np.asarray(w).dtype and g.shape == np.shape(w)
        tolerance = 1e-5 if g.dtype == np.float32 else 1e-12
        np.testing.assert_allclose(g, w, rtol=tolerance, atol=tolerance)
    return got


def looped(f, consts, carries, xs, length=None, reverse=False):
    """A scan of `f` over `xs`, checked."""
    length = len(xs[0]) if length is None else length
    body = program(f, *consts, *carries, *(aval(x.shape[1:], x.dtype) for x in xs))
    how = {
        "body": body,
        "consts": len(consts),
        "carries": len(carries),
        "length": length,
        "reverse": reverse,
        "unroll": 1,
    }
    return compiled(lambda *a: scan(*a, **how), *consts, *carries, *xs)


def while_(cond, f, consts, carries):
    """A while loop, checked."""
    c, body = program(cond, *consts, *carries), program(f, *consts, *carries)
    return compiled(lambda *a: while_loop(*a, cond=c, body=body, consts=len(consts)), *consts, *carries)


# ── scan ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("length", [0, 1, 3, 4, 5, 50])
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_recurrence(length, reverse, dtype):
    xs, a, c = rng.normal(size=(length, 3)).astype(dtype), np.full(3, 0.5, dtype), np.ones(3, dtype)
    got = looped(lambda a, c, x: (a * c + x, c), [a], [c], [xs], length, reverse)
    carry, ys = c, np.empty_like(xs)
    for i in reversed(range(length)) if reverse else range(length):
        carry, ys[i] = a * carry + xs[i], carry
    np.testing.assert_allclose(got[0], carry, rtol=1e-5)
    np.testing.assert_allclose(got[1], ys, rtol=1e-5)


def test_carries_that_change_places():
    a, b = looped(lambda a, b: (b, a + b), [], [np.int64(0), np.int64(1)], [], 30)
    assert (a, b) == (832040, 1346269)


def test_carries_that_are_never_read_and_results_that_are_operands():
    xs = rng.normal(size=(9, 2))
    got = looped(lambda k, c, d, x: (k, x, k, 3.0 * k, x), [np.float64(2.0)], [np.float64(1.0), np.zeros(2)], [xs])
    np.testing.assert_array_equal(got[1], xs[-1])
    np.testing.assert_array_equal(got[2], np.full(9, 2.0))


def test_literal_results():
    one = np.float64(1.0)
    got = looped(lambda c, x: (one, np.arange(3.0)), [], [np.float64(0.0)], [np.zeros((4, 2))])
    np.testing.assert_array_equal(got[1], np.tile(np.arange(3.0), (4, 1)))


def test_integers_and_booleans():
    xs, flags = rng.integers(-9, 9, (20, 4)), rng.integers(0, 2, (20, 4)).astype(bool)

    def f(total, seen, x, flag):
        seen = np.logical_or(seen, flag)
        return total + np.where(flag, x, 0), seen, np.logical_and(flag, x > 2), (x % 3).astype(np.int8)

    looped(f, [], [np.zeros(4, np.int64), np.zeros(4, bool)], [xs, flags])


@pytest.mark.parametrize("dtype", ["i1", "u1", "i4", "u4", "u8"])
def test_other_integers(dtype):
    xs = rng.integers(0, 100, (20, 3)).astype(dtype)
    looped(lambda c, x: (np.maximum(c, x), c * x, x > c, x.sum()), [], [xs[0]], [xs])


def test_movements_reductions_products():
    a, xs = rng.normal(size=(3, 3)), rng.normal(size=(6, 3, 3))

    def f(a, c, x):
        y = a @ x + c.T
        z = np.concatenate([y[0], y[::-1, 1], x.reshape(9)[2:5]])
        return (
            y / (1 + abs(y).max()),
            z.sum(),
            np.cumsum(z),
            np.einsum("ij,jk->ki", a, x),
            y.max(axis=0),
            np.stack([z, z]),
        )

    looped(f, [a], [np.eye(3)], [xs])


def test_linear_algebra():
    xs = rng.normal(size=(40, 3, 3)) + 3 * np.eye(3)
    got = looped(lambda x: (np.linalg.inv(x), np.linalg.det(x), np.linalg.solve(x, x[0])), [], [], [xs])
    np.testing.assert_allclose(got[0], np.linalg.inv(xs), rtol=1e-9)
    with pytest.raises(np.linalg.LinAlgError, match="Singular"):
        looped(lambda x: np.linalg.inv(x), [], [], [np.zeros((7, 2, 2))])


@pytest.mark.parametrize("length", [1, 7, 16, 33])
def test_independent_rows(length):
    xs = rng.normal(size=(length, 3))
    looped(lambda x: (np.sin(x).sum(), np.outer(x, np.exp(x)), x[::-1] * x), [], [], [xs])


@pytest.mark.parametrize("reverse", [False, True])
def test_sums_over_independent_rows(reverse):
    xs, w = rng.normal(size=(1003, 3)), rng.normal(size=3)

    def f(w, total, count, x):
        y = np.exp(-((w * x).sum() ** 2)) * x
        return total + y, count + (y[0] > 0.0) + 1, np.stack([y, 0.0 * y, np.zeros(3)])

    looped(f, [w], [np.zeros(3), np.int64(0)], [xs], reverse=reverse)


def test_matrices_by_rows():
    a = rng.normal(size=(50, 3, 3))
    looped(lambda a: (np.linalg.cholesky(a @ a.T + np.eye(3)), np.linalg.slogdet(a)[1]), [], [], [a])


def test_vectors_are_not_looked_for_where_that_takes_long():
    def f(c):
        for _ in range(4):
            c = c.reshape(2, -1).T.ravel() * c + c.sum() * 1e-3
        return c

    body = program(f, np.ones(60))
    how = {"body": body, "consts": 0, "carries": 1, "length": 9, "reverse": False, "unroll": 1}
    executable = compile(stage(lambda c: scan(c, **how), [aval((60,))])[0])
    assert "noimplicitfloat" in executable.lowered.text
    looped(f, [], [np.full(60, 0.1)], [], 9)
    looped(lambda c: np.sin(f(c)), [], [np.full(12, 0.1)], [], 9)


def test_loops_within_loops():
    xs = rng.normal(size=(5, 7, 2))
    inner = program(lambda k, c, x: (c * k + x, c), np.float64(0.5), np.zeros(2), np.zeros(2))
    how = {"body": inner, "consts": 1, "carries": 1, "length": 7, "unroll": 1}

    def f(k, c, x):
        a, ys = scan(k, c, x, reverse=False, **how)
        b, zs = scan(k, a, ys, reverse=True, **how)
        return b, zs.sum(axis=0), ys[3]

    looped(f, [np.float64(0.3)], [np.zeros(2)], [xs])


@pytest.mark.parametrize("dtype", ["f8", "f4"])
@pytest.mark.parametrize("n", [2, 3, 5, 10, 17, 20])
def test_functions_of_several_elements(n, dtype):
    def f(c, x):
        y = np.sin(c) + np.arctan2(c, x)
        return y, np.exp(-abs(y)).sum(), np.power(2.0 + np.tanh(y), x[0])

    looped(f, [], [np.ones(n, dtype)], [rng.normal(size=(6, n)).astype(dtype)])


# ── indices ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("n", [5, 100])
def test_gathers(n):
    table, at = rng.normal(size=(n, 3)), rng.integers(-5, 5, 30)
    got = looped(lambda t, c, i: (c + t[i], t[i, 1], t[[0, -1], i % 3]), [table], [np.zeros(3)], [at])
    np.testing.assert_allclose(got[0], table[at].sum(0))


def test_gathers_from_carries():
    at = rng.integers(-5, 5, 30)
    looped(lambda c, i: (c[::-1] + 1.0, c[i], c[np.stack([i, i])]), [], [np.arange(5.0)], [at])
    looped(lambda c, i: (c[::-1] + 1.0, c[i]), [], [np.arange(25.0)], [at])


@pytest.mark.parametrize("wrong", [5, -6])
@pytest.mark.parametrize("carries", [0, 1])
def test_indices_out_of_bounds(wrong, carries):
    at = np.array([1, 2, wrong, 0, 3, 3])
    body = program(lambda t, *rest: (*rest[:-1], t[rest[-1]]), np.zeros(5), *[np.float64(0)] * carries, np.int64(0))
    how = {"body": body, "consts": 1, "carries": carries, "length": 6, "reverse": False, "unroll": 1}
    args = [np.arange(5.0), *[np.float64(0)] * carries, at]
    whole, _ = stage(lambda *a: scan(*a, **how), [aval(np.shape(a), np.asarray(a).dtype) for a in args])
    executable = compile(whole)
    with pytest.raises(IndexError, match="out of bounds for axis 0 with size 5"):
        executable(*args)
    with pytest.raises(IndexError) as caught:
        executable(*args)
    assert any("body = program(lambda t, *rest" in note for note in caught.value.__notes__)
    args[-1] = at % 5
    np.testing.assert_array_equal(executable(*args)[-1], at % 5)


def test_a_loop_with_a_wrong_index_ends():
    c = program(lambda t, i: t[i] < 10.0, np.zeros(4), np.int64(0))
    body = program(lambda t, i: i + 1, np.zeros(4), np.int64(0))
    whole, _ = stage(lambda *a: while_loop(*a, cond=c, body=body, consts=1), [aval((4,)), aval((), "i8")])
    with pytest.raises(IndexError):
        compile(whole)(np.zeros(4), np.int64(0))


@pytest.mark.parametrize("n", [4, 20, 300])
def test_accumulators(n):
    at, xs = rng.integers(0, n, 50), rng.normal(size=50)

    def f(total, other, i, x):
        patch = wg.vjp(lambda t: t[i], total)[1](x)[0]
        return total + patch, other + x * x

    got = looped(f, [], [np.ones(n), np.float64(0)], [at, xs])
    want = np.ones(n)
    np.add.at(want, at, xs)
    np.testing.assert_allclose(got[0], want)


def test_rows_of_large_accumulators():
    at, xs = rng.integers(0, 2000, 50), rng.normal(size=(50, 4))

    def f(total, i, x):
        return total + wg.vjp(lambda t: t[i], total)[1](x)[0]

    looped(f, [], [np.ones((2000, 4))], [at, xs])


@pytest.mark.parametrize("n", [4, 20, 300])
def test_regions_of_accumulators(n):
    xs = rng.normal(size=(50, 2))

    def f(total, x):
        patch = wg.vjp(lambda t: t[1:3], total)[1](x)[0]
        return total + patch, total[2]

    looped(f, [], [np.ones(n)], [xs])


@pytest.mark.parametrize("n", [4, 20, 300])
def test_assignments_in_tables(n):
    at = rng.integers(-n, n, 60)

    def f(table, i):
        new = table.copy()
        new[i] = new[i - 1] + 1.0
        new[1] = 0.5 * table[0]
        return new, table[i], new[2]

    looped(f, [], [rng.normal(size=n)], [np.maximum(at, 1 - n)])


@pytest.mark.parametrize("n", [20, 300])
def test_tables_of_loops_within_loops(n):
    def put(table, k, i):
        table = table.copy()
        table[i] = table[i] * 0.5 + k
        return table

    def inner(k, table, i):
        return (put(table, k, i),)

    body = program(inner, np.float64(0), np.zeros(n), np.int64(0))
    at = rng.integers(0, n, (5, 6))

    def f(table, row):
        how = {"body": body, "consts": 1, "carries": 1, "length": 6, "reverse": False, "unroll": 1}
        (table,) = scan(np.float64(2.0), put(table, 1.0, 3), row, **how)
        return put(table, table[0], 1), table[1]

    looped(f, [], [np.zeros(n)], [at])


def test_sums_of_sums_of_the_same_terms():
    def f(total, x):
        for _ in range(60):
            x = x + x
        return total + x * 2.0**-60, total + x

    looped(f, [], [np.ones(3)], [rng.normal(size=(9, 3))])


# ── while ─────────────────────────────────────────────────────────────────────


def test_while():
    got = while_(
        lambda t, x, n: x > t, lambda t, x, n: (x * 0.9, n + 1), [np.float64(0.1)], [np.float64(1), np.int64(0)]
    )
    assert got[1] == 22


def test_no_trips():
    got = while_(lambda x: x > 2.0, lambda x: x * 2.0, [], [np.float64(1)])
    assert got[0] == 1


def test_collatz():
    def f(n, steps):
        return np.where(n % 2 == 0, n // 2, 3 * n + 1), steps + 1

    assert while_(lambda n, s: n != 1, f, [], [np.int64(27), np.int64(0)])[1] == 111


def test_newton_of_a_vector():
    a = np.array([2.0, 3.0, 5.0])
    got = while_(
        lambda a, x: abs(x * x - a).max() > 1e-9, lambda a, x: 0.5 * (x + a / x), [a], [np.ones(3)]
    )  # fmt: skip
    np.testing.assert_allclose(got[0], np.sqrt(a))


def test_while_within_while():
    c = program(lambda x: x > 1.0, np.float64(0))
    body = program(lambda x: x / 3.0, np.float64(0))

    def f(k, total):
        (x,) = while_loop(k, cond=c, body=body, consts=0)
        return k + 1.0, total + x

    while_(lambda k, t: k < 20.0, f, [], [np.float64(1), np.float64(0)])


# ── pullbacks of while loops ──────────────────────────────────────────────────


def pullback(cond, forward, backward, consts, carries, cts, found):
    """A while_pullback, checked; `found` are the shapes of accumulators."""
    c, f = program(cond, *consts, *carries), program(forward, *consts, *carries)
    residuals = [atom.aval for atom in f.outs[len(carries) :]]
    back = program(backward, *consts, *cts, *found, *residuals)
    how = {"cond": c, "forward": f, "backward": back, "consts": len(consts), "carries": len(carries)}
    return compiled(lambda *a: while_pullback(*a, **how), *consts, *carries, *cts)


@pytest.mark.parametrize("end", [2.0, 1e-1, 1e-3, 1e-40])
def test_pullback(end):
    c = np.float64(0.9)
    dx, dc, _ = pullback(
        lambda c, end, x: x > end,
        lambda c, end, x: (c * x, x, c),
        lambda c, end, ct, dc, dend, x, factor: (ct * factor, dc + ct * x, dend),
        [c, np.float64(end)],
        [np.float64(1)],
        [np.float64(1)],
        [np.float64(0), np.float64(0)],
    )
    n = 0
    x = 1.0
    while x > end:
        x, n = x * 0.9, n + 1
    np.testing.assert_allclose([dx, dc], [0.9**n, n * 0.9 ** (n - 1) if n else 0.0], rtol=1e-9)


def test_pullback_with_a_large_accumulator_and_mixed_residuals():
    table = rng.normal(size=100)

    def forward(t, i, x):
        return i + 1, x + t[i % 100], i % 100, np.stack([x, x]), x > 0.0, x.astype(np.float32)

    def backward(t, ct, dt, i, xs, positive, single):
        ct = ct + np.where(positive, xs.sum() * 1e-3, 0.0) + single
        return ct, dt + wg.vjp(lambda t: t[i], dt)[1](ct)[0]

    pullback(
        lambda t, i, x: i < 250, forward, backward,
        [table], [np.int64(0), np.float64(0)], [np.float64(1)], [table],
    )  # fmt: skip


def test_pullback_without_residuals():
    pullback(
        lambda x: x < 100.0, lambda x: 2.0 * x, lambda ct: 2.0 * ct, [], [np.float64(1)], [np.float64(1)], []
    )  # fmt: skip


# ── branches ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("which", [-3, 0, 1, 2, 7])
@pytest.mark.parametrize("dtype", ["i8", "i4", "u1"])
def test_switch(which, dtype):
    branches = (
        program(lambda x: (x * 2.0, x.sum()), np.zeros(3)),
        program(lambda x: (np.sin(np.exp(np.cos(x))), x[1]), np.zeros(3)),
        program(lambda x: (x[::-1], np.float64(3.0)), np.zeros(3)),
    )
    which = np.array(which % 256 if dtype == "u1" else which).astype(dtype)[()]
    compiled(lambda i, x: switch(i, x, branches=branches), which, np.arange(3.0))


@pytest.mark.parametrize("heavy", [False, True])
def test_branches_within_loops(heavy):
    f = (lambda c: np.tanh(np.exp(c)) + np.exp(np.sin(c))) if heavy else (lambda c: c * 0.5)
    branches = (
        program(lambda c, x: c + x, np.zeros(2), np.zeros(2)),
        program(lambda c, x: f(c), np.zeros(2), np.zeros(2)),
    )

    def step(c, x):
        (c,) = switch((c.sum() > 1.0).astype(np.int64), c, x, branches=branches)
        return c, c

    looped(step, [], [np.zeros(2)], [rng.normal(size=(40, 2))])


# ── ways out ──────────────────────────────────────────────────────────────────


class Ended(Exception):
    pass


def interrupted(executable, *args):
    """Run what would take very long; a signal ends it."""

    def handler(*_):
        raise Ended

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.1)
    try:
        with pytest.raises(Ended):
            executable(*args)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers here")
def test_signals_end_loops():
    c, body = program(lambda x: x > 0.0, np.float64(0)), program(lambda x: 2.0 - x, np.float64(0))
    interrupted(compile(stage(lambda x: while_loop(x, cond=c, body=body, consts=0), [aval()])[0]), np.float64(1))
    step = program(lambda x: 1.0 / (1.0 + x), np.float64(0))
    how = {"body": step, "consts": 0, "carries": 1, "length": 10**11, "reverse": False, "unroll": 1}
    interrupted(compile(stage(lambda x: scan(x, **how), [aval()])[0]), np.float64(1))
    small = program(lambda x: 1.0 / (1.0 + x), np.float64(0))
    inner = {"body": small, "consts": 0, "carries": 1, "length": 1000, "reverse": False, "unroll": 1}
    step = program(lambda x: scan(x, **inner), np.float64(0))
    how = {"body": step, "consts": 0, "carries": 1, "length": 10**9, "reverse": False, "unroll": 1}
    interrupted(compile(stage(lambda x: scan(x, **how), [aval()])[0]), np.float64(1))


EXHAUSTED = """
import resource
import sys

import numpy as np

sys.path.insert(0, {folder!r})
from test_straight import aval, compile, program, stage, while_pullback

x = np.float64(1)
c, f = program(lambda x: x > 0.0, x), program(lambda x: (2.0 - x, x), x)
back = program(lambda ct, x: ct * x, x, x)
run = compile(stage(lambda *a: while_pullback(*a, cond=c, forward=f, backward=back, consts=0, carries=1), [aval()] * 2)[0])
_, hard = resource.getrlimit(resource.RLIMIT_AS)
now = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (now + (1 << 28), hard))
for _ in range(3):  # what there is of memory is given back each time
    try:
        run(x, x)
    except MemoryError as error:
        print(error)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a limit of memory, as Linux has it")
def test_no_memory_for_residuals():
    from pathlib import Path

    text = EXHAUSTED.format(folder=str(Path(__file__).parent))
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=120)
    assert done.stdout.count("no memory for what the way back through a while loop needs") == 3, done.stderr
