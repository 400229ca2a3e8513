"""The meter's counts against NumPy's own sizes, tracemalloc's NumPy domain and the process's resident memory."""

import os
import subprocess
import sys
import threading
import tracemalloc

import numpy as np
import pytest

import wengert as wg
from wengert.core.events import listening
from wengert.profile.footprint.meter import STACK, Counted, Traced, meter, root_of, unavailable

exact = pytest.mark.skipif(bool(unavailable()), reason=unavailable())
TOLERANCE = 4096  # bytes by which tracemalloc, which sees NumPy's own small pieces too, may differ


@pytest.fixture
def counting():
    m = Counted()
    m.start()
    yield m
    if m.running:
        m.stop()


@exact
def test_every_piece_is_counted_and_given_back(counting):
    m = counting
    a = np.zeros((100, 100))
    assert m.live() == a.nbytes
    b = np.empty(3, "f4")
    view = a[::2]
    assert m.live() == a.nbytes + b.nbytes  # a view is no memory of its own
    del a
    assert m.live() == 80_000 + 12
    del view, b
    assert m.live() == 0 and m.peak() == 80_012
    number, nbytes, reused = m.taken()
    assert (number, nbytes, reused) == (2, 80_012, 0)


@exact
@pytest.mark.parametrize(
    "make",
    [
        lambda: np.empty((0, 5)),
        lambda: np.array(3.0),
        lambda: np.array(["ab", "cdef"]),
        lambda: np.array([None, "x"], object),
        lambda: np.fromiter(range(5000), int),
        lambda: np.loadtxt(["1 2", "3 4"]),
        lambda: np.sort(np.random.default_rng(0).random(5000)),
        lambda: np.zeros(3, [("a", "i4"), ("b", "f8", (2, 2))]),
        lambda: np.concatenate([np.ones(1000), np.ones(10)])[::3].copy(),
    ],
)
def test_nothing_is_left_of_any_kind_of_array(make):
    make()  # what NumPy keeps of the first call
    m = Counted()
    m.start()
    array = make()
    assert m.live() >= array.nbytes
    del array
    m.stop()
    assert m.live() == 0


@exact
def test_resize_moves_what_is_counted(counting):
    a = np.arange(10.0)
    a.resize(10_000, refcheck=False)
    assert counting.live() == 80_000 and a[9] == 9 and a[10] == 0
    a.resize(5, refcheck=False)
    assert counting.live() == 40 and list(a) == [0, 1, 2, 3, 4]


@exact
def test_arrays_outlive_meters_and_the_next_meter_does_not_know_them():
    m = Counted()
    m.start()
    a = np.ones(1000)
    m.stop()
    assert m.live() == 8000
    n = Counted()
    n.start()
    del a
    assert n.live() == 0
    b = np.ones(10)
    n.stop()
    assert n.live() == b.nbytes and b.sum() == 10


@exact
def test_meters_nest():
    outer = Counted()
    outer.start()
    a = np.empty(1000)
    big = np.empty(100_000)
    del big
    inner = Counted()
    inner.start()
    b = np.empty(2000)
    assert (inner.live(), outer.live()) == (16_000, 24_000)
    inner.stop()
    assert inner.peak() == 16_000
    outer.stop()
    assert outer.peak() == 808_000 and outer.live() == a.nbytes + b.nbytes


@exact
def test_the_handler_in_force_is_wrapped_and_put_back():
    from wengert.profile.footprint.meter import session

    before = session().get_handler()
    m = Counted()
    m.start()
    assert session().get_handler() is not before
    m.stop()
    assert session().get_handler() is before


@exact
def test_agrees_with_tracemalloc():
    domain = np.lib.tracemalloc_domain
    rng = np.random.default_rng(0)
    held = []
    tracemalloc.start()
    try:
        m = Counted()
        m.start()
        for i in range(300):
            held.append(rng.random(int(rng.integers(1, 5000))) + 1)
            if i % 3:
                held.pop(int(rng.integers(len(held))))
        traced = sum(t.size for t in tracemalloc.take_snapshot().traces if t.domain == domain)
        live = m.live()
        m.stop()
    finally:
        tracemalloc.stop()
    assert live == sum(a.nbytes for a in held)
    assert abs(traced - live) <= TOLERANCE


@exact
@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="resident memory is read from /proc")
def test_agrees_with_resident_memory():
    """In a process of its own: a large one takes arrays from what it has had before."""
    subprocess.run([sys.executable, "-c", RESIDENT], check=True)


RESIDENT = """
import os, gc, numpy as np
from wengert.profile.footprint.meter import Counted

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

gc.collect()
m = Counted()
m.start()
before = resident()
arrays = [np.ones(1 << 21) for _ in range(6)]  # 16 MiB each
grown, live = resident() - before, m.live()
assert live == 6 << 24, live
assert abs(grown - live) < 0.05 * live, (grown, live)
del arrays
assert m.live() == 0 and before + 0.05 * live > resident()
m.stop()
"""


@exact
def test_threads_count_from_when_they_are_known(counting):
    sizes = []

    def work():
        counting.here()
        a = np.ones(5000)
        sizes.append(counting.live())
        del a

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert sizes == [40_000] and counting.live() == 0 and counting.threads() == 2


@exact
def test_a_workspace_and_large_results_count_while_they_are_held():
    n = 1 << 20
    f = wg.jit(lambda x: np.cumsum(np.sin(x)[::-1]) @ x)
    g = wg.jit(lambda x: x * 2 + 1)
    x = np.ones(n)
    f(x)
    g(x)
    m = Counted()
    m.start()
    f(x)
    assert m.peak() >= 8 * n and m.live() < 100
    y = g(x)
    assert 8 * n <= m.live() < 8 * n + 100
    del y
    assert m.live() < 100 and m.held() >= 8 * n  # the dead block is kept, and is not live
    g(x)
    m.stop()
    assert m.taken()[2] == 8 * n  # in memory of the dead block


@exact
def test_residuals_of_while_loops_count():
    def f(x):
        return wg.while_loop(lambda c: c[0] < 20_000, lambda c: (c[0] + 1, np.sin(c[1]) * 1.0001), (0, x))[1].sum()

    step = wg.jit(wg.grad(f))
    x = np.full(16, 0.5)
    step(x)
    m = Counted()
    m.start()
    step(x)
    m.stop()
    stacks = [e.size for e in m.log if e.what == STACK and e.size > 0]
    assert stacks and m.peak() >= max(stacks) >= 20_000 * 16 * 8
    assert m.live() < 1000


@exact
def test_events_of_memory():
    taken, given = [], []
    m = Counted()
    with listening(allocated=lambda *what: taken.append(what), freed=lambda *what: given.append(what)):
        m.start()
        a = np.ones(1000)
        at = root_of()(a)
        del a
        m.stop()
    assert (8000, at, "numpy") in taken
    assert (8000, at) in [(size, address) for size, address, _ in given]


def test_roots():
    root = root_of()
    a = np.zeros((4, 5))
    assert root(a) == a.ctypes.data == root(a[1:, ::2].T) and root(1.5) == root(None) == 0


def test_without_a_handler_tracemalloc_is_asked():
    m = Traced()
    m.start()
    a = np.ones(100_000)
    assert abs(m.live() - a.nbytes) < TOLERANCE
    m.seen(a, root_of()(a))
    m.mark()
    del a
    m.stop()
    assert m.live() < TOLERANCE and m.peak() >= 800_000
    assert [e.size for e in m.log if abs(e.size) == 800_000] == [800_000, -800_000]
    assert "tracemalloc" in m.note


def test_the_best_there_is_is_chosen(monkeypatch):
    from wengert.profile.footprint import meter as module

    assert isinstance(meter(), Counted) is not bool(unavailable())
    monkeypatch.setattr(module, "unavailable", lambda: "another NumPy")
    assert isinstance(meter(), Traced)
