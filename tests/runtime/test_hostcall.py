"""Ops run by `eval` from compiled code: their operands, results, errors and warnings are those of eager evaluation."""

import os
import signal
import sys
import threading
import time
import warnings

import numpy as np
import pytest

import wengert as wg
from wengert.core.op import OPS
from wengert.core.source import describe
from wengert.lowering.lowered import HostReference
from wengert.runtime import engine, objects


def refused(*args):
    raise AssertionError(args)


class Probe:
    """An op of which only `eval` is asked for."""

    name = "probe"

    def __init__(self, eval, multi=False):
        self.eval, self.multi = eval, multi


def here():
    frame = sys._getframe(1)
    return frame.f_code, frame.f_lasti


def called(made, op, ins, outs, source=None, **params):
    call = HostReference(op, params, tuple(ins), tuple(outs), source, "")
    return engine.compile(made.lowered(made.host, ins, outs, host_calls=[call]))


def ways(exe):
    yield exe.entry(refused, "tuple")
    yield exe


def test_values(made):
    exe = called(made, OPS["cumsum"], [made.aval(5)], [made.aval(5)], axis=0)
    for f in ways(exe):
        np.testing.assert_array_equal(f(np.arange(5.0))[0], [0, 1, 3, 6, 10])


def test_what_eval_is_given(made):
    seen = []

    def eval(*xs):
        seen[:] = xs
        return xs[0]

    ins = [
        made.aval(2, 3), made.aval(), made.aval(weak=True), made.aval(weak=True, dtype=int), made.aval(dtype=np.float32),
        made.aval(weak=True, dtype=bool), made.aval(weak=True, dtype=complex), made.aval(0, 3),
    ]  # fmt: skip
    args = np.ones((2, 3)), np.float64(1.5), 2.5, 3, np.float32(4.5), True, 1j, np.ones((0, 3))
    for f in ways(called(made, Probe(eval), ins, [made.aval(2, 3)])):
        np.testing.assert_array_equal(f(*args)[0], np.ones((2, 3)))
        kinds = [np.ndarray, np.float64, float, int, np.float32, bool, complex, np.ndarray]
        assert [type(x) for x in seen] == kinds
        assert seen[1:7] == list(args[1:7])
        assert not seen[0].flags.writeable and seen[0].flags.aligned and seen[7].shape == (0, 3)


def test_several_results(made):
    op = Probe(lambda x: (x.sum(), np.sort(x), x > 1), multi=True)
    outs = [made.aval(), made.aval(3), made.aval(3, dtype=bool)]
    for f in ways(called(made, op, [made.aval(3)], outs)):
        total, ordered, large = f(np.array([3.0, 1.0, 2.0]))
        assert total == 6.0
        np.testing.assert_array_equal(ordered, [1, 2, 3])
        np.testing.assert_array_equal(large, [True, False, True])


def test_errors_have_the_users_line(made):
    def eval(x):
        raise np.linalg.LinAlgError("singular")

    where = here()
    for f in ways(called(made, Probe(eval), [made.aval(3)], [made.aval(3)], source=where)):
        with pytest.raises(np.linalg.LinAlgError, match="singular") as caught:
            f(np.ones(3))
        assert describe(where) in caught.value.__notes__[0] and "test_hostcall.py" in describe(where)
        names = [entry.name for entry in caught.traceback]
        assert names[-1] == "eval"


def test_errors_of_this_library_too(made):
    def eval(x):
        raise wg.errors.ShapeError("probe: no")

    for f in ways(called(made, Probe(eval), [made.aval(3)], [made.aval(3)], source=here())):
        with pytest.raises(wg.errors.ShapeError, match=r"probe: no\n  at: .*test_hostcall.py"):
            f(np.ones(3))


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_other_exceptions_pass(made, error):
    def eval(x):
        raise error

    for f in ways(called(made, Probe(eval), [made.aval(3)], [made.aval(3)])):
        with pytest.raises(error):
            f(np.ones(3))


@pytest.mark.parametrize("wrong", [np.ones(4), np.ones(3, np.float32), np.ones((3, 1)), 1.0, np.ones(3, complex)])
def test_a_result_of_another_shape_or_dtype(made, wrong):
    for f in ways(called(made, Probe(lambda x: wrong), [made.aval(3)], [made.aval(3)])):
        with pytest.raises(wg.errors.CompileError, match=r"want: float64\[3\]"):
            f(np.ones(3))


def test_warnings_are_numpys(made):
    f = called(made, Probe(lambda x: np.log(x)), [made.aval(3)], [made.aval(3)]).entry(refused)
    with pytest.warns(RuntimeWarning, match="divide by zero"):
        f(np.zeros(3))
    with np.errstate(divide="ignore"), warnings.catch_warnings():
        warnings.simplefilter("error")
        assert f(np.zeros(3))[0] == -np.inf
    with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
        f(np.zeros(3))


@pytest.mark.skipif(bool(objects.supported()), reason=objects.supported())
def test_kept_operands_live_on(made):
    """An array that somebody keeps, or that hangs in a traceback, does not show memory of later calls."""
    kept = []

    def eval(x):
        kept.append(x)
        if x[0] < 0:
            raise ValueError("negative")
        return x + 0

    exe = called(made, Probe(eval), [made.aval(3)], [made.aval(3)])
    f = exe.entry(refused)
    x = np.array([1.0, 2.0, 3.0])
    f(x)
    y = np.array([-1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="negative"):
        f(y)
    x[:] = y[:] = 7.0
    np.testing.assert_array_equal(kept, [[1, 2, 3], [-1, 2, 3]])
    assert not any(np.shares_memory(k, other) for k in kept for other in (x, y))


def test_nothing_is_kept(made):
    exe = called(made, Probe(lambda x: x + 0), [made.aval(3)], [made.aval(3)])
    f = exe.entry(refused)
    x = np.ones(3)
    for _ in range(100):
        f(x)
    before = sys.getrefcount(x), sys.getrefcount(x.dtype), sys.getallocatedblocks()
    for _ in range(20_000):
        f(x)
    after = sys.getrefcount(x), sys.getrefcount(x.dtype), sys.getallocatedblocks()
    assert after[:2] == before[:2] and after[2] - before[2] < 100


@pytest.mark.parametrize("long", [False, True], ids=["lock held", "lock released"])
def test_from_several_threads(made, long):
    def eval(x):
        time.sleep(0.0005)
        if x[0] < 0:
            raise ValueError(int(x[0]))
        return x * 2

    a = made.aval(3)
    call = HostReference(Probe(eval), {}, (a,), (a,), None, "")
    kernels = [made.work(1.0)] if long else []
    f = engine.compile(made.lowered(made.host, [a], [a], host_calls=[call], kernels=kernels)).entry(refused)
    wrong = []

    def caller(i):
        for step in range(40):
            value = float(i * 100 + step)
            if not (f(np.full(3, value)) == 2 * value).all():
                wrong.append(value)
            try:
                f(np.full(3, -value - 1))
                wrong.append(-value)
            except ValueError as error:
                if error.args != (int(-value - 1),):
                    wrong.append(error)

    threads = [threading.Thread(target=caller, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_a_call_within_a_host_call(made):
    def eval(x):
        return f(x - 1)[0] + 1 if x[0] > 0 else x

    f = called(made, Probe(eval), [made.aval(2)], [made.aval(2)]).entry(refused, "tuple")
    np.testing.assert_array_equal(f(np.full(2, 20.0))[0], np.full(2, 20.0))


ENDLESS = """  %ask.at = getelementptr i8, ptr %p0, i64 24
  %ask = load ptr, ptr %ask.at
  %self.at = getelementptr i8, ptr %p0, i64 16
  %self = load ptr, ptr %self.at
  br label %loop
loop:
  %yes = call i32 %ask(ptr %self)
  %stop = icmp ne i32 %yes, 0
  br i1 %stop, label %out, label %loop
out:
  ret i32 -1"""


@pytest.mark.skipif(os.name != "posix" or bool(objects.supported()), reason="signals of POSIX")
@pytest.mark.parametrize("long", [False, True], ids=["lock held", "lock released"])
def test_interrupts(made, long):
    kernels = [made.work(1.0)] if long else []
    low = made.lowered(made.run_text(4, ENDLESS), [made.aval(1)], [made.aval(1)], kernels=kernels)
    exe = engine.compile(low)
    for f in (exe.entry(refused), exe):
        timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
        if not long:  # a timer's thread would wait for the lock
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            old = signal.signal(signal.SIGALRM, signal.default_int_handler)
        else:
            timer.start()
        start = time.perf_counter()
        try:
            with pytest.raises(KeyboardInterrupt):
                f(np.ones(1))
        finally:
            if not long:
                signal.signal(signal.SIGALRM, old)
        assert time.perf_counter() - start < 5
        timer.cancel()
