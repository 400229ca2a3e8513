"""Loops, branches and calls as compiled code, against the evaluation of the ops."""

import numpy as np
import pytest

import wengert as wg
from wengert.core.aval import Aval, aval_of
from wengert.graph.program import Program
from wengert.lowering.lower import lower
from wengert.lowering.straight import STRAIGHT
from wengert.ops.index import ARRAY, index, index_put, scatter_add
from wengert.runtime import engine
from wengert.trace.stage import stage
from wengert.transforms.call import call
from wengert.transforms.control.scan import scan
from wengert.transforms.control.switch import switch
from wengert.transforms.control.while_loop import while_loop, while_pullback

RNG = np.random.default_rng(3)
F8, F4, I8 = np.dtype("f8"), np.dtype("f4"), np.dtype("i8")


@pytest.fixture(autouse=True, params=["structural", "any"])
def ways(request, monkeypatch):
    """Bodies as functions, and as whatever is chosen."""
    if request.param == "structural":
        for kind in list(STRAIGHT):
            monkeypatch.delitem(STRAIGHT, kind)
    engine.forget()
    yield
    engine.forget()


def avals(*xs):
    return [x if isinstance(x, Aval) else Aval(np.shape(x), np.asarray(x).dtype) for x in xs]


def staged(fun, *xs) -> Program:
    """A Program of flat operands."""
    program, captured = stage(fun, avals(*xs))
    assert not captured
    return program


def body(fun, *xs):
    """As a list of arrays."""
    return staged(lambda *v: tuple(fun(*v)), *xs)


def agree(program, *xs, hosts=0, donated=frozenset(), rtol=1e-12):
    """Compiled code gives what the ops' own evaluation gives; the executable."""
    want = program.run(*xs)
    with wg.config.override(disk_cache=False):
        executable = engine.compile(program, tier="fast", donated=donated)
    assert len(executable.lowered.host_calls) == hosts, executable.lowered.host_calls
    for _ in range(2):
        got = executable(*[np.array(x) for x in xs])
        for g, w in zip(got, want, strict=True):
            assert (g.shape, g.dtype) == (np.shape(w), np.asarray(w).dtype)
            np.testing.assert_allclose(g, w, rtol=rtol, atol=rtol)
    return executable


def scanned(fun, consts, carries, xs, *, length=None, reverse=False):
    """`scan` of `fun(*consts, *carries, *xs) → (*carries, *ys)` as a Program."""
    inner = body(fun, *consts, *carries, *[x[0] if len(x) else np.zeros(x.shape[1:], x.dtype) for x in xs])
    n = length if length is not None else len(xs[0])
    return staged(
        lambda *v: scan(
            *v, body=inner, consts=len(consts), carries=len(carries), length=n, reverse=reverse, unroll=1
        ),
        *consts, *carries, *xs,
    )  # fmt: skip


def looped(cond, fun, consts, carries):
    test, inner = body(lambda *v: [cond(*v)], *consts, *carries), body(fun, *consts, *carries)
    return staged(lambda *v: while_loop(*v, cond=test, body=inner, consts=len(consts)), *consts, *carries)


def normal(*shape, dtype=F8):
    return np.asarray(RNG.normal(size=shape).astype(dtype))


SIZES = [(), (3,), (40,), (7, 5)]


# ── scan ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("n", [0, 1, 2, 7])
@pytest.mark.parametrize("shape", SIZES)
def test_scan(shape, n, reverse):
    a, c, xs = normal(*shape), normal(*shape), normal(n, *shape)
    program = scanned(lambda a, c, x: (np.tanh(a * c) + x, c - x), [a], [c], [xs], reverse=reverse)
    agree(program, a, c, xs)


@pytest.mark.parametrize("n", [1, 2, 5])
@pytest.mark.parametrize("shape", SIZES)
def test_carries_that_change_places(shape, n):
    a, b = normal(*shape), normal(*shape)
    agree(scanned(lambda a, b: (b, a + b), [], [a, b], [], length=n), a, b)
    agree(scanned(lambda a, b: (b, a), [], [a, b], [], length=n), a, b)
    agree(scanned(lambda a, b: (b, b), [], [a, b], [], length=n), a, b)
    agree(scanned(lambda a, b: (a * b, a * b), [], [a, b], [], length=n), a, b)


@pytest.mark.parametrize("shape", SIZES)
def test_results_that_are_operands_and_literals(shape):
    k, a, b, xs = normal(*shape), normal(*shape), normal(*shape), normal(4, *shape)

    def trip(k, a, b, x):
        return k, b, k, x, a, np.full(shape, 2.5), a * 0 + 1

    agree(scanned(trip, [k], [a, b], [xs]), k, a, b, xs)


@pytest.mark.parametrize("dtype", ["f4", "i4", "u1", "?", "i8"])
def test_dtypes(dtype):
    dtype = np.dtype(dtype)
    c, xs = np.ones(50, dtype), RNG.integers(0, 2, (6, 50)).astype(dtype)
    agree(scanned(lambda c, x: (c & x if dtype.kind == "b" else c + x, c == x), [], [c], [xs]), c, xs, rtol=1e-5)


def test_trips_without_carries():
    a, xs = normal(4, 4), normal(9, 4)
    agree(scanned(lambda a, x: (a @ x, np.sum(x)), [a], [], [xs]), a, xs)


def test_matrices_that_change_places():
    for n in (3, 4):
        a, c = normal(20, 20), normal(20, 20)
        agree(scanned(lambda a, c: (0.2 * (a @ c), c[0]), [a], [c], [], length=n), a, c, rtol=1e-10)


# ── what is changed in place ──────────────────────────────────────────────────


def places(executable):
    return [k.note for k in executable.lowered.kernels if "in place" in k.note]


def test_elements_are_put_in_place(ways):
    out, xs, at = np.zeros(5000), normal(6), np.array([3, 9, 9, -1, 0, 4999])
    program = scanned(lambda o, x, i: (index_put(o, x * x, i, spec=(ARRAY,)),), [], [out], [xs, at])
    executable = agree(program, out, xs, at)
    assert executable.lowered.workspace < 5000
    assert [k for k in executable.lowered.kernels if "in place" in k.note or k.note != "library"]


def test_elements_that_depend_on_those_before():
    out, at = np.concatenate([[1.0, 1.0], np.zeros(4000)]), np.arange(2, 60)

    def trip(o, i):
        x = index(o, i - 1, spec=(ARRAY,)) + 0.5 * index(o, i - 2, spec=(ARRAY,))
        return (index_put(o, x, i, spec=(ARRAY,)),)

    agree(scanned(trip, [], [out], [at]), out, at)


def test_rows_that_depend_on_rows():
    out, at = normal(300, 40), np.arange(1, 60)

    def trip(o, i):
        row = index(o, i - 1, spec=(ARRAY, slice(None)))
        return (index_put(o, row[::-1] * 0.9, i, spec=(ARRAY, slice(None))),)

    agree(scanned(trip, [], [out], [at]), out, at)

    def same(o, i):
        row = index(o, i, spec=(ARRAY, slice(None)))
        return (index_put(o, row[::-1] * 0.9, i, spec=(ARRAY, slice(None))),)

    agree(scanned(same, [], [out], [at]), out, at)


def test_what_was_there_is_read_after_the_change():
    out, at = normal(300), np.arange(1, 9)

    def trip(o, i):
        new = index_put(o, 5.0, i, spec=(ARRAY,))
        return new, np.sum(o), np.sum(new), index(o, i, spec=(ARRAY,))

    agree(scanned(trip, [], [out], [at]), out, at)


def test_sums_into_parts():
    acc, xs, at = normal(2000), normal(8, 3), RNG.integers(0, 2000, (8, 3))

    def trip(a, x, i):
        part = scatter_add(x, i, spec=(ARRAY,), shape=(2000,))
        return (a + part,)

    agree(scanned(trip, [], [acc], [xs, at]), acc, xs, at)

    def own(a, x, i):
        return (a + scatter_add(index(a, i, spec=(ARRAY,)) * x, i, spec=(ARRAY,), shape=(2000,)),)

    agree(scanned(own, [], [acc], [xs, at]), acc, xs, at)


def test_fixed_parts():
    acc, xs = normal(2000), normal(8, 10)

    def trip(a, x):
        return (a + scatter_add(x * 2, spec=(slice(5, 15),), shape=(2000,)),)

    agree(scanned(trip, [], [acc], [xs]), acc, xs)

    def put(a, x):
        a = index_put(a, x * 2, spec=(slice(5, 15),))
        return (index_put(a, a[7:17] + x, spec=(slice(6, 16),)),)

    agree(scanned(put, [], [acc], [xs]), acc, xs)


def test_small_changes_cost_little():
    """Of a large array, in a loop and in a loop within."""
    import time

    n = 1 << 20
    out, at = np.zeros(n), np.arange(3000)

    def trip(o, i):
        return (index_put(o, 1.0, i, spec=(ARRAY,)),)

    executable = agree(scanned(trip, [], [out], [at]), out, at)
    inner = body(trip, out, at[0])

    def outer(a, o, i):
        return scan(o, i + a, body=inner, consts=0, carries=1, length=3, reverse=False, unroll=1)

    rows = at.reshape(1000, 3)
    nested = agree(scanned(outer, [np.int64(1)], [out], [rows]), np.int64(1), out, rows)
    for one, xs in ((executable, (out, at)), (nested, (np.int64(1), out, rows))):
        start = time.perf_counter()
        one(*xs)
        assert time.perf_counter() - start < 0.3  # 3000 copies are 5 s


# ── while ─────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("n", [0, 1, 2, 9])
@pytest.mark.parametrize("shape", SIZES)
def test_while(shape, n):
    k, a, b = normal(*shape), normal(*shape), normal(*shape)
    program = looped(
        lambda k, n, i, a, b: i < n, lambda k, n, i, a, b: (i + 1, b, np.tanh(a + k)), [k, np.int64(n)],
        [np.int64(0), a, b],
    )  # fmt: skip
    agree(program, k, np.int64(n), np.int64(0), a, b)


def test_collatz():
    program = looped(
        lambda n, steps: n != 1, lambda n, steps: (np.where(n % 2 == 0, n // 2, 3 * n + 1), steps + 1), [],
        [np.int64(27), np.int64(0)],
    )  # fmt: skip
    assert agree(program, np.int64(27), np.int64(0))(np.int64(97), np.int64(0))[1] == 118


@pytest.mark.parametrize("n", [0, 1, 5, 3000])
@pytest.mark.parametrize("shape", [(), (3,), (40,)])
def test_pullback(shape, n):
    k, a, ct = normal(*shape) * 0.1, normal(*shape), normal(*shape)
    zero = np.int64(0)
    test = body(lambda k, n, i, a: [i < n], k, np.int64(n), zero, a)
    forward = body(lambda k, n, i, a: (i + 1, np.sin(a + k), a, i * 2.0), k, np.int64(n), zero, a)
    backward = body(
        lambda k, n, ca, ck, a, two: ((d := ca * np.cos(a + k)), ck + d * (1 + 0 * two)),
        k, np.int64(n), ct, k, a, np.float64(0),
    )  # fmt: skip
    program = staged(
        lambda *v: while_pullback(
            *v, cond=test, body=forward, forward=forward, backward=backward, consts=2, carries=2
        ),
        k, np.int64(n), zero, a, ct,
    )  # fmt: skip
    agree(program, k, np.int64(n), zero, a, ct, rtol=1e-10)


# ── branches and calls ────────────────────────────────────────────────────────


@pytest.mark.parametrize("dtype", ["i8", "u1", "?", "i4", "u8"])
def test_switch(dtype):
    x, y = normal(30), normal(30)
    branches = (
        body(lambda x, y: (x + y, x, np.float64(1)), x, y),
        body(lambda x, y: (x, y, np.sum(x)), x, y),
        body(lambda x, y: (y, x, np.prod(x)), x, y),
    )
    program = staged(lambda i, x, y: switch(i, x, y, branches=branches), np.zeros((), dtype), x, y)
    for i in (0, 1) if dtype == "?" else (0, 1, 2, 3, 100) if dtype[0] == "u" else (-5, 0, 1, 2, 3):
        agree(program, np.array(i, dtype), x, y)
    if dtype == "u8":
        agree(program, np.array(2**64 - 1, dtype), x, y)


def test_a_branch_that_leaves_an_array_alone():
    out, xs, at = normal(3000), normal(9), np.arange(9)
    put = body(lambda o, x, i: (index_put(o, x, i, spec=(ARRAY,)),), out, xs[0], at[0])
    leave = body(lambda o, x, i: (o,), out, xs[0], at[0])

    def trip(o, x, i):
        return switch(x > 0, o, x, i, branches=(leave, put))

    agree(scanned(trip, [], [out], [xs, at]), out, xs, at)


def test_calls_share_a_body():
    x = normal(6, 6)
    program = staged(lambda x: (np.tanh(x) @ x,), x)
    outer = staged(lambda x: call(call(call(x, program=program)[0], program=program)[0], program=program), x)
    executable = agree(outer, x, rtol=1e-9)
    assert executable.lowered.text.count("define internal void @b") < 8


# ── nesting ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("shape", [(), (30,)])
def test_loops_within_loops(shape):
    k, c = normal(*shape), normal(*shape)
    three = body(lambda k, c, x: (np.cos(c) * k + x, c), k, c, c)

    def middle(k, c, x):
        c, ys = scan(k, c, x, body=three, consts=1, carries=1, length=3, reverse=True, unroll=1)
        return c, np.sum(ys, axis=0)

    xs = normal(4, 2, 3, *shape)
    two = body(middle, k, c, xs[0, 0])

    def outer(k, c, x):
        c, ys = scan(k, c, x, body=two, consts=1, carries=1, length=2, reverse=False, unroll=1)
        return c, ys

    agree(scanned(outer, [k], [c], [xs]), k, c, xs)


def test_a_loop_within_a_branch_within_a_loop():
    x = normal(20)
    test = body(lambda x: [np.sum(x * x) > 1], x)
    half = body(lambda x: (x * 0.5,), x)
    shrink = body(lambda x: while_loop(x, cond=test, body=half, consts=0), x)
    grow = body(lambda x: (x * 3 + 1,), x)

    def trip(x, i):
        (x,) = switch(i % 2, x, branches=(shrink, grow))
        return x, np.max(x)

    at = np.arange(7)
    agree(scanned(trip, [], [x], [at]), x, at)


# ── the host, failures, memory ────────────────────────────────────────────────


def test_host_calls_within():
    c, xs = normal(4, 4), normal(5, 4, 4)
    program = scanned(lambda c, x: (c * 0.1 + np.linalg.qr(x)[0], np.linalg.svd(c)[1]), [], [c], [xs])
    agree(program, c, xs, hosts=2, rtol=1e-8)


def test_errors_of_host_calls_end_the_loop():
    zero = np.int64(0)
    c = normal(4, 4)
    test = body(lambda i, c: [i < 10**9], zero, c)
    forward = body(lambda i, c: (i + 1, np.linalg.eigh(c * np.where(i < 3, 1.0, np.nan))[1], c), zero, c)
    backward = body(lambda ct, c: (ct + c,), c, c)
    program = staged(
        lambda *v: while_pullback(
            *v, cond=test, body=forward, forward=forward, backward=backward, consts=0, carries=2
        ),
        zero, c, c,
    )  # fmt: skip
    executable = engine.compile(program, tier="fast")
    for _ in range(3):
        with pytest.raises(np.linalg.LinAlgError):
            executable(zero, c, c)


def test_indices_out_of_bounds():
    x, i = normal(10), np.int64(0)
    program = looped(
        lambda x, i, s: s < 1e300, lambda x, i, s: (i + 1, s + 0 * index(x, i, spec=(ARRAY,))), [x], [i, np.float64(0)]
    )
    executable = engine.compile(program, tier="fast")
    with pytest.raises(IndexError, match="axis 0 with size 10"):
        executable(x, i, np.float64(0))


def test_donated_operands():
    c, xs = normal(3000), normal(5, 3000)
    program = scanned(lambda c, x: (c * 0.5 + x,), [], [c], [xs])
    executable = agree(program, c, xs, donated=frozenset({0}))
    assert executable.lowered.inplace == {0: 0}


def test_a_million_trips():
    program = scanned(lambda c, x: (c * 0.999 + x,), [], [normal(40)], [], length=1) if False else None
    c = normal(40)
    inner = body(lambda c: (c * 0.999 + 1,), c)
    program = staged(lambda c: scan(c, body=inner, consts=0, carries=1, length=10**6, reverse=False, unroll=1), c)
    with wg.config.override(disk_cache=False):
        executable = engine.compile(program, tier="fast")
    np.testing.assert_allclose(executable(c)[0], np.full(40, 1000.0), rtol=1e-9)


def test_workspace_of_nested_calls_adds_up():
    x = normal(100)
    program = staged(lambda x: (np.sum(np.cumsum(np.cumsum(x)[::-1])),), x)
    inner = lower(program).workspace
    outer = lower(staged(lambda x: call(np.cumsum(x), program=program), x)).workspace
    assert inner < outer < inner + 64 + 2 * 1024
    assert aval_of(x).size == 100


def test_what_is_written_over_is_read_before_where_a_later_writer_needs_it_too():
    """Each step needs the last one's rows and those of the array that the first wrote over."""

    def f(x):
        rows = placed = x * 1.5
        for k in (np.array([1, 2]), np.array([3, 4]), np.array([5, 6])):
            placed = placed.copy()
            placed[k] = placed[k - 2] @ rows[k]
        return placed

    x = np.random.default_rng(0).random((7, 4, 4))
    np.testing.assert_allclose(wg.jit(f)(x), f(x), rtol=1e-14)
