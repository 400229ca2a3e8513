"""How loops end before their time: signals, exceptions of host calls, failures; and that nothing is left behind."""

import os
import resource
import signal
import time

import numpy as np
import pytest

import wengert as wg
from wengert.lowering.straight import STRAIGHT
from wengert.runtime import engine, objects

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


@pytest.fixture(autouse=True, params=["structural", "any", "portable"])
def ways(request, monkeypatch):
    if request.param != "any":
        for emitter in STRAIGHT.values():
            monkeypatch.setattr(emitter, "supports", lambda *_: False)
    if request.param == "portable":
        monkeypatch.setattr(objects, "supported", lambda: "in this test")
    engine.forget()
    with wg.config.override(disk_cache=False, debug_passes=True):
        yield
    engine.forget()


def endless(x):
    return wg.while_loop(lambda s: np.sum(s) < 1e30, lambda s: s * 1.0 + 1e-9, x)


def long(x):
    return wg.scan(lambda s, _: (s * 0.5 + 1, None), x, length=10**10)[0]


def residuals(x):
    return np.sum(wg.while_loop(lambda s: np.sum(s) < 1e30, lambda s: np.sin(s) * s, x))


@pytest.mark.parametrize("size", [1, 40])
@pytest.mark.parametrize("fun", [endless, long, wg.grad(residuals)])
def test_loops_are_interrupted(fun, size):
    class Stop(Exception):
        pass

    def handle(*_):
        raise Stop

    compiled, x = wg.jit(fun), np.ones(size)
    before = signal.signal(signal.SIGALRM, handle)
    try:
        signal.setitimer(signal.ITIMER_REAL, 1.0)
        start = time.monotonic()
        with pytest.raises(Stop):
            compiled(x)
        assert time.monotonic() - start < 5
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_the_stack_is_freed_when_a_host_call_fails():
    def body(s):
        i, x, kept = s
        q = np.linalg.eigh(np.where(i < 200, 1.0, np.nan) * x)[1]
        return i + 1, q @ x, kept * np.sum(q) + kept**2

    def loss(x, kept):
        return np.sum(wg.while_loop(lambda s: s[0] < 10**6, body, (0, x, kept))[2])

    gradient = wg.jit(wg.grad(loss))
    x, kept = np.eye(3) + 0.1, np.ones(2000)

    def used():
        with open("/proc/self/statm") as file:
            return int(file.read().split()[1]) * resource.getpagesize()

    def run():
        with pytest.raises(np.linalg.LinAlgError):
            gradient(x, kept)

    run()
    if not os.path.exists("/proc/self/statm"):
        pytest.skip("no /proc")
    start = used()
    for _ in range(30):
        run()
    assert used() - start < 30e6  # a stack is 3 MB


def test_an_index_out_of_bounds_ends_a_loop():
    def find(x):
        return wg.while_loop(lambda i: x[i] != 0, lambda i: i + 1, 0)

    compiled = wg.jit(find)
    assert compiled(np.array([1.0, 2.0, 0.0, 1.0])) == 2
    with pytest.raises(IndexError):
        compiled(np.ones(4))
    assert compiled(np.array([1.0, 0.0, 0.0, 1.0])) == 1


def test_code_does_not_follow_the_tree_of_calls():
    def determinant(a):
        if len(a) == 1:
            return a[0, 0]
        total = 0.0
        for j in range(len(a)):
            rest = [k for k in range(len(a)) if k != j]
            total = total + (-1.0) ** j * a[0, j] * wg.call(determinant, a[1:, rest])
        return total

    compiled, sizes = wg.jit(determinant), []
    for n in (6, 8):
        a = np.random.default_rng(n).normal(size=(n, n))
        np.testing.assert_allclose(compiled(a), np.linalg.det(a), rtol=1e-9)
        sizes.append(len(compiled.lower(a).as_text("llvm")))
    assert sizes[1] < 4 * sizes[0]  # there are 56 times as many calls
