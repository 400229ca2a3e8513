"""`while_loop` with `checkpoint=`: the derivatives of the loop without, though only few values of it are kept."""

import gc
import signal
import tracemalloc

import numpy as np
import pytest

import wengert as wg
from wengert.profile.footprint.meter import meter

WAYS = (1, 2, 4, 10, "sqrt", "binomial")
CASES = {0.001: 1, 0.5: 10, 0.9: 48, 0.97: 143}  # factor, about how many trips


def decayed(x, c, way, tolerance=1e-3):
    def body(state):
        x, i = state
        return c * np.sin(x) + 0.1 * x * x * c, i + 1

    going = lambda state: (state[0] > tolerance) & (state[1] < 5000)
    x, n = wg.while_loop(going, body, (x, 0), checkpoint=way)
    return 10.0 * x * x + np.sin(x) + 0.0 * n


def orders(way):
    f = lambda x, c: decayed(x, c, way)
    grad = wg.grad(f, (0, 1))
    return {
        "value": f,
        "grad": grad,
        "jvp of grad": lambda x, c: wg.jvp(grad, (x, c), (1.0, 0.5))[1],
        "grad of jvp": wg.grad(lambda x, c: wg.jvp(f, (x, c), (1.0, 0.5))[1], (0, 1)),
        "grad of grad": wg.grad(lambda x, c: wg.grad(f, 1)(x, c), (0, 1)),
    }


@pytest.mark.parametrize(("c", "way"), [(0.001, 2), (0.5, 4), (0.9, 2), (0.9, "sqrt"), (0.9, "binomial"), (0.97, 10)])
def test_all_orders(c, way):
    plain = orders(None)
    for name, fun in orders(way).items():
        want = np.array(wg.jit(plain[name])(0.9, c))
        assert np.allclose(wg.jit(fun)(0.9, c), want, rtol=1e-9)
        if CASES[c] < 100:
            assert np.allclose(plain[name](0.9, c), want, rtol=1e-9)
            assert np.allclose(fun(0.9, c), want, rtol=1e-9)


@pytest.mark.parametrize("way", WAYS)
def test_against_differences(way):
    for c in CASES:
        slope = (decayed(0.9, c + 1e-7, None) - decayed(0.9, c - 1e-7, None)) / 2e-7
        assert np.isclose(wg.jit(wg.grad(lambda x, c: decayed(x, c, way), 1))(0.9, c), slope, rtol=1e-5)


@pytest.mark.parametrize("way", [2, 10, "binomial"])
def test_batches(way):
    cs = np.array([0.3, 0.9, 0.001, 0.6])
    grad = lambda c: wg.grad(lambda c: decayed(0.9, c, way))(c)
    want = [wg.grad(lambda c: decayed(0.9, c, None))(c) for c in cs]
    assert np.allclose(wg.vmap(grad)(cs), want, rtol=1e-9)
    assert np.allclose(wg.jit(wg.vmap(grad))(cs), want, rtol=1e-9)
    inner = wg.grad(lambda cs: np.sum(wg.vmap(lambda c: decayed(0.9, c, way))(cs)))
    assert np.allclose(inner(cs), want, rtol=1e-9)
    assert np.allclose(wg.jit(inner)(cs), want, rtol=1e-9)


@pytest.mark.parametrize("way", WAYS)
def test_no_trip_and_one(way):
    for x in (1e-5, 1.1e-3):
        want = wg.grad(lambda x, c: decayed(x, c, None), (0, 1))(x, 0.5)
        grad = wg.grad(lambda x, c: decayed(x, c, way), (0, 1))
        assert np.allclose(grad(x, 0.5), want, rtol=1e-12)
        assert np.allclose(wg.jit(grad)(x, 0.5), want, rtol=1e-12)


@pytest.mark.parametrize("way", WAYS)
def test_numbers_of_trips(way):
    """Around the places where a segment ends and where slots are given up; n is an argument."""

    def run(x, w, n):
        body = lambda i, x: np.tanh(w @ x) + 0.1 * i / (i + 1)
        return np.sum(wg.fori_loop(0, n, body, x, checkpoint=way) ** 2)

    w, x = np.random.default_rng(1).normal(size=(3, 3)), np.ones(3)

    def rolled(x, w, n):
        for i in range(n):
            x = np.tanh(w @ x) + 0.1 * i / (i + 1)
        return np.sum(x**2)

    grad = wg.jit(lambda x, w, n: wg.grad(lambda x, w: run(x, w, n), (0, 1))(x, w))
    for n in (0, 1, 7, 8, 9, 16, 17, 33, 64, 65, 257):
        want = wg.grad(lambda x, w, n=n: rolled(x, w, n), (0, 1))(x, w)
        for a, b in zip(grad(x, w, n), want, strict=True):
            assert np.allclose(a, b, rtol=1e-9, atol=1e-13)


def test_trips_are_counted_and_not_decided_again():
    """A predicate that holds at a value but for its last bits: the way back makes as many trips as the way there."""

    def run(x, way):
        body = lambda s: (s[0] * 0.1 + s[0] * 0.9 + 0.1, s[1] * 1.01)
        return wg.while_loop(lambda s: s[0] < 3.0, body, (x, x), checkpoint=way)[1]

    for x in np.linspace(0.0, 1.0, 41)[1:]:
        value, slope = wg.jit(wg.value_and_grad(lambda x: run(x, 4)))(x)
        assert np.isclose(slope, value / x, rtol=1e-12)


@pytest.mark.parametrize("way", [3, "sqrt"])
def test_loops_in_loops(way):
    def newton(a, way):
        off = lambda s: np.abs(s[0] - s[1]) > 1e-12
        return wg.while_loop(off, lambda s: (0.5 * (s[0] + a / s[0]), s[0]), (a, a + 1.0), checkpoint=way)[0]

    def run(a, way):
        return wg.scan(lambda c, x: (c + newton(a * x, way), None), 0.0, np.arange(1.0, 9.0), checkpoint=way)[0]

    want = 0.5 * np.sum(np.sqrt(np.arange(1.0, 9.0))) / np.sqrt(2.0)
    for grad in (wg.grad(lambda a: run(a, way)), wg.grad(wg.checkpoint(lambda a: run(a, way)))):
        assert np.isclose(grad(2.0), want)
        assert np.isclose(wg.jit(grad)(2.0), want)


# ── memory, errors ────────────────────────────────────────────────────────────


def grown(x, way, n=64):
    going = lambda s: s[1] < n
    return np.sum(wg.while_loop(going, lambda s: (np.sin(s[0]) * np.exp(-s[0]), s[1] + 1), (x, 0), checkpoint=way)[0])


@pytest.mark.parametrize(("way", "carries"), [(3, 20), ("binomial", 21), ("sqrt", 40), (None, 150)])
def test_memory_of_loops_in_python(way, carries):
    x = np.linspace(0, 1, 1 << 13)
    run = wg.grad(lambda x: grown(x, way))
    run(x)
    gc.collect()
    tracemalloc.start()
    try:
        run(x)
        found = tracemalloc.get_traced_memory()[1] / x.nbytes
    finally:
        tracemalloc.stop()
    assert (found < carries) if way is not None else (found > carries)


def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096


def test_memory_of_compiled_loops():
    """200 000 trips of 256 bytes of residuals: 51 MB on a stack, and next to nothing in segments."""
    x = np.ones(16) * 0.5
    bounded = wg.jit(wg.grad(lambda x: grown(x, 200, 200_000)))
    bounded(x)
    before = resident()
    for _ in range(3):
        bounded(x)
    assert resident() - before < 8 << 20
    assert bounded.lower(x).compile().memory_analysis()["workspace"] < 4 * 200 * x.nbytes


def test_interrupts_leave_compiled_loops():
    """A signal's handler that raises ends the loop on its way there and back; what it held is free."""
    x = np.ones(16) * 0.5
    bounded = wg.jit(wg.grad(lambda x: grown(x, 64, 8_000_000)))
    small = wg.jit(wg.grad(lambda x: grown(x, 64, 100)))
    small(x)

    def handler(*_):
        raise KeyboardInterrupt

    old = signal.signal(signal.SIGALRM, handler)
    counts = meter()
    counts.start()
    try:
        for after in (0.3, 0.05, 0.2, 0.6, 0.1, 0.4):
            signal.setitimer(signal.ITIMER_REAL, after)
            with pytest.raises(KeyboardInterrupt):
                bounded(x)
        gc.collect()
        assert counts.peak() > 64 * x.nbytes
        assert counts.live() < 1 << 16
    finally:
        counts.stop()
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, old)
    assert np.all(np.isfinite(small(x)))


@pytest.mark.parametrize("at", [5, 70, 100])
def test_errors_leave_nothing_behind(at):
    x, count = np.ones(1 << 13), 0

    def body(s):
        nonlocal count
        count += 1
        if count == at:
            raise ValueError("enough")
        return np.sin(s[0]), s[1] + 1

    run = wg.grad(lambda x: np.sum(wg.while_loop(lambda s: s[1] < 50, body, (x, 0), checkpoint=3)[0]))
    gc.collect()
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="enough"):
            run(x)
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] < 2 * x.nbytes
    finally:
        tracemalloc.stop()


# ── random bodies ─────────────────────────────────────────────────────────────


@pytest.mark.parametrize("seed", range(12))
def test_random_bodies(seed):
    rng = np.random.default_rng(seed)
    size, n = int(rng.integers(1, 4)), int(rng.integers(0, 60))
    unary = [(np.sin, np.tanh, np.cos, np.abs)[i] for i in rng.integers(0, 4, size=3)]
    way = (int(rng.integers(1, 9)), "sqrt", "binomial")[int(rng.integers(3))]
    w, x = rng.normal(size=(size, size)) * 0.6, rng.normal(size=size)

    def run(w, x, way):
        def body(s):
            x, y, i = s
            for f in unary:
                x = f(w @ x) + 0.1 * y
            return x, np.where(x > y, 0.9 * y, x * y), i + 1

        x, y, _ = wg.while_loop(lambda s: (s[2] < n) & (np.sum(s[0]) < 50.0), body, (x, x * 0.5, 0), checkpoint=way)
        return np.sum(x * x) + np.sum(y)

    want = wg.grad(lambda w, x: run(w, x, None), (0, 1))(w, x)
    grad = wg.grad(lambda w, x: run(w, x, way), (0, 1))
    for got in (grad(w, x), wg.jit(grad)(w, x)):
        for a, b in zip(got, want, strict=True):
            assert np.allclose(a, b, rtol=1e-9, atol=1e-12)
