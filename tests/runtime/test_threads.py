"""Chunks on several threads: all of them once, the same bits, whoever runs them."""

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from wengert.runtime import engine, objects, threads
from wengert.runtime.support import support

pytestmark = pytest.mark.skipif(os.name != "posix" or bool(objects.supported()), reason="POSIX threads")


def refused(*args):
    raise AssertionError(args)


def sums(made, n, chunks, rounds=1):
    """p2[chunk] = Σ over the chunk of p1, `rounds` times; p3[0] counts the runs."""
    size = n // chunks
    text = f"""
define void @kernel(ptr %frame, i64 %chunk) {{
entry:
  %in.at = getelementptr ptr, ptr %frame, i64 1
  %in = load ptr, ptr %in.at
  %out.at = getelementptr ptr, ptr %frame, i64 2
  %out = load ptr, ptr %out.at
  %count.at = getelementptr ptr, ptr %frame, i64 3
  %count = load ptr, ptr %count.at
  %runs.at = getelementptr i64, ptr %count, i64 %chunk
  %runs = load i64, ptr %runs.at
  %more = add i64 %runs, 1
  store i64 %more, ptr %runs.at
  %first = mul i64 %chunk, {size}
  %mine = getelementptr double, ptr %in, i64 %first
  br label %loop
loop:
  %i = phi i64 [0, %entry], [%next, %loop]
  %sum = phi double [0.0, %entry], [%total, %loop]
  %x.at = getelementptr double, ptr %mine, i64 %i
  %x = load double, ptr %x.at
  %total = fadd reassoc double %sum, %x
  %next = add i64 %i, 1
  %go = icmp ult i64 %next, {size}
  br i1 %go, label %loop, label %done
done:
  %y.at = getelementptr double, ptr %out, i64 %chunk
  store double %total, ptr %y.at
  ret void
}}
"""
    body = f"""  %parallel.at = getelementptr i8, ptr %p0, i64 8
  %parallel = load ptr, ptr %parallel.at
  %self.at = getelementptr i8, ptr %p0, i64 16
  %self = load ptr, ptr %self.at
  call void @llvm.memset.p0.i64(ptr %p3, i8 0, i64 {8 * chunks}, i1 false)
  br label %again
again:
  %k = phi i64 [0, %entry], [%k.next, %again]
  call void %parallel(ptr %self, ptr @kernel, ptr %frame, i64 {chunks})
  %k.next = add i64 %k, 1
  %on = icmp ult i64 %k.next, {rounds}
  br i1 %on, label %again, label %end
end:
  ret i32 0"""
    declared = "declare void @llvm.memset.p0.i64(ptr, i8, i64, i1)\n"
    outs = [made.aval(chunks), made.aval(chunks, dtype=np.int64)]
    low = made.lowered(declared + text + made.run_text(4, body), [made.aval(n)], outs, kernels=[made.work(1.0)])
    return engine.compile(low)


@pytest.fixture(autouse=True)
def restored():
    before = threads.get_threads()
    yield
    threads.set_threads(before)


@pytest.mark.parametrize("chunks", [1, 2, 3, 64])
def test_the_same_bits(made, chunks):
    exe = sums(made, 64 * 300, chunks)
    x = np.random.default_rng(0).normal(size=64 * 300)
    results = {}
    for n in (1, 2, 4):
        threads.set_threads(n)
        for f in (exe.entry(refused, "tuple"), exe):
            for _ in range(20):
                y, runs = f(x)
                assert (runs == 1).all()
                results.setdefault("y", y)
                assert y.tobytes() == results["y"].tobytes()
    np.testing.assert_allclose(y, x.reshape(chunks, -1).sum(1), rtol=1e-10)


def test_many_loops_in_turn(made):
    """Hundred thousand loops of small chunks, so that claims and new loops meet in every order."""
    threads.set_threads(4)
    f = sums(made, 64, 16, rounds=100_000).entry(refused, "tuple")
    _, runs = f(np.ones(64))
    assert (runs == 100_000).all()


def test_several_callers_at_once(made):
    threads.set_threads(3)
    f = sums(made, 64 * 100, 64, rounds=50).entry(refused, "tuple")
    x = np.random.default_rng(1).normal(size=(4, 64 * 100))
    wanted = [f(row)[0].tobytes() for row in x]
    wrong = []

    def call(i):
        for _ in range(200):
            y, runs = f(x[i])
            if y.tobytes() != wanted[i] or (runs != 50).any():
                wrong.append(i)

    callers = [threading.Thread(target=call, args=(i,)) for i in range(4)]
    for c in callers:
        c.start()
    for c in callers:
        c.join()
    assert not wrong


def test_workers_are_as_many_as_asked_for(made):
    threads.set_threads(3)
    f = sums(made, 64 * 1000, 64).entry(refused, "tuple")
    f(np.ones(64 * 1000))
    assert support().get("workers") >= 2


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning", "ignore:.*fork:RuntimeWarning")
def test_fork(made):
    """A child has no workers; it starts its own, and gets the same bits."""
    threads.set_threads(2)
    f = sums(made, 64 * 1000, 64).entry(refused, "tuple")
    x = np.random.default_rng(2).normal(size=64 * 1000)
    wanted = f(x)[0].tobytes()
    stop = threading.Event()

    def busy():  # forks happen in the middle of loops
        while not stop.is_set():
            f(x)

    other = threading.Thread(target=busy)
    other.start()
    try:
        for _ in range(5):
            child = os.fork()
            if child == 0:
                try:
                    fine = all(f(x)[0].tobytes() == wanted for _ in range(50)) and support().get("workers") == 1
                    new = engine.compile(made.twice(5))(np.ones(5))[0][0] == 2.0
                    os._exit(0 if fine and new else 1)
                finally:
                    os._exit(2)
            assert _exit_status(child) == 0
    finally:
        stop.set()
        other.join()


def _exit_status(child):
    for _ in range(1000):
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.01)
    os.kill(child, 9)
    os.waitpid(child, 0)
    return "hangs"


def test_the_interpreter_lock_is_released(made):
    """Another thread of Python runs while compiled code does."""
    threads.set_threads(1)
    f = sums(made, 64 * 5000, 64, rounds=2000).entry(refused, "tuple")
    x = np.ones(64 * 5000)
    counted = [0]
    stop = threading.Event()

    def count():
        while not stop.is_set():
            counted[0] += 1

    other = threading.Thread(target=count)
    other.start()
    before = counted[0]
    start = time.perf_counter()
    f(x)
    took, during = time.perf_counter() - start, counted[0] - before
    stop.set()
    other.join()
    assert took > 0.02 and during > 1000 * took


@pytest.mark.parametrize(("value", "wanted"), [("3", 3), ("2,4", 2), ("", None), ("many", None), ("0", None)])
def test_default(monkeypatch, value, wanted):
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    if wanted is None:
        wanted = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    assert threads.default() == wanted


def test_what_set_threads_takes():
    threads.set_threads(np.int64(2))
    assert threads.get_threads() == 2
    with pytest.raises(ValueError, match="at least 1"):
        threads.set_threads(0)
    with pytest.raises(TypeError):
        threads.set_threads(1.5)


def test_the_end_of_the_process(made):
    """Parked workers neither hold up the end of a process nor crash it."""
    script = (
        "import numpy as np, importlib.util, sys\n"
        f"spec = importlib.util.spec_from_file_location('made', {os.path.join(os.path.dirname(__file__), 'conftest.py')!r})\n"
        "m = importlib.util.module_from_spec(spec); spec.loader.exec_module(m)\n"
        f"spec = importlib.util.spec_from_file_location('t', {__file__!r})\n"
        "t = importlib.util.module_from_spec(spec); spec.loader.exec_module(t)\n"
        "t.threads.set_threads(2)\n"
        "f = t.sums(m.Handmade, 6400, 64).entry(t.refused, 'tuple')\n"
        "kept = f(np.ones(6400))\n"
        "assert t.support().get('workers') == 1\n"
        "sys.exit(7)\n"
    )
    assert subprocess.run([sys.executable, "-c", script], timeout=60).returncode == 7
