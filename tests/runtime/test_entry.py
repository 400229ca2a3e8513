"""Entries from Python: what they take, what they hand on, what they give."""

import gc
import sys
import weakref

import numpy as np
import pytest

import wengert as wg
from wengert.core.op import OPS
from wengert.lowering.lowered import HostReference, Out
from wengert.runtime import engine, objects

pytestmark = pytest.mark.skipif(bool(objects.supported()), reason=objects.supported())


def refused(*args):
    return "slow", *args


def test_array(made):
    f = engine.compile(made.twice(5)).entry(refused)
    x = np.arange(5.0)
    y = f(x)
    assert type(y) is np.ndarray and y.base is None and y.flags.owndata
    np.testing.assert_array_equal(y, [0, 2, 4, 6, 8])


@pytest.mark.parametrize(
    "x",
    [
        np.arange(4.0),
        np.arange(10.0)[::2],
        np.arange(5, dtype=np.float32),
        np.arange(5.0).astype(">f8"),
        np.arange(5.0).reshape(5, 1),
        np.frombuffer(b"x" * 41, np.uint8)[1:].view(np.float64),
        np.arange(5.0).view(np.ma.MaskedArray),
        [0.0, 1.0, 2.0, 3.0, 4.0],
        None,
        2.0,
    ],
    ids=["shape", "strided", "dtype", "byteorder", "ndim", "unaligned", "subclass", "list", "none", "float"],
)
def test_what_was_not_compiled_for_is_handed_on(made, x):
    f = engine.compile(made.twice(5)).entry(refused)
    answer = f(x)
    assert answer[0] == "slow" and answer[1] is x


def test_another_number_of_arguments_is_handed_on(made):
    f = engine.compile(made.twice(5)).entry(refused)
    assert f() == ("slow",)
    assert len(f(1, 2, 3)) == 4


def test_entries_chain(made):
    first = engine.compile(made.twice(5)).entry(refused)
    both = engine.compile(made.twice(6)).entry(first)
    assert both(np.ones(5)).shape == (5,) and both(np.ones(6)).shape == (6,)
    assert both(np.ones(7))[0] == "slow"


def test_errors_of_the_slow_way_pass(made):
    def slow(*args):
        raise KeyError("slow")

    with pytest.raises(KeyError, match="slow"):
        engine.compile(made.twice(5)).entry(slow)(None)


SCALAR = "  %x = load double, ptr %p1\n  %y = fmul double %x, 2.0\n  store double %y, ptr %p2\n  ret i32 0"


def test_scalars(made):
    low = made.lowered(made.run_text(4, SCALAR), [made.aval()], [made.aval()])
    f = engine.compile(low).entry(refused)
    for x in (np.float64(1.5), np.array(1.5)):
        y = f(x)
        assert type(y) is np.float64 and y == 3.0
    assert f(1.5)[0] == "slow"  # a Python number is another signature
    assert f(np.float32(1.5))[0] == "slow"


def test_python_numbers(made):
    low = made.lowered(made.run_text(4, SCALAR), [made.aval(weak=True)], [made.aval(weak=True)])
    f = engine.compile(low).entry(refused)
    y = f(1.5)
    assert type(y) is float and y == 3.0
    assert f(np.float64(1.5))[0] == "slow" and f(1)[0] == "slow" and f(True)[0] == "slow"


def test_python_integers_and_booleans(made):
    body = """  %i = load i64, ptr %p1
  %j = mul i64 %i, 3
  store i64 %j, ptr %p3
  %b = load i8, ptr %p2
  %c = xor i8 %b, 1
  store i8 %c, ptr %p4
  ret i32 0"""
    avals = [made.aval(dtype=np.int64, weak=True), made.aval(dtype=bool, weak=True)]
    f = engine.compile(made.lowered(made.run_text(6, body), avals, avals)).entry(refused, "tuple")
    assert f(-7, True) == (-21, False) and [type(y) for y in f(-7, True)] == [int, bool]
    assert f(2**70, True)[0] == "slow" and f(1, 1)[0] == "slow" and f(True, True)[0] == "slow"


@pytest.mark.parametrize("dtype", "?bhilqBHILQfd")
def test_scalars_of_every_dtype(made, dtype):
    size = np.dtype(dtype).itemsize * 8
    body = f"  %x = load i{size}, ptr %p1\n  store i{size} %x, ptr %p2\n  ret i32 0"
    aval = made.aval(dtype=dtype)
    f = engine.compile(made.lowered(made.run_text(4, body), [aval], [aval])).entry(refused)
    x = np.dtype(dtype).type(1)
    assert type(f(x)) is type(x) and f(x) == x and f(np.array(x)) == x


def test_results_that_are_not_written(made):
    a = made.aval(5)
    constant = np.arange(3.0)
    outs = [
        Out("new", a), Out("input", a, 0), Out("constant", made.aval(3), 0), Out("same", a, 0),
        Out("constant", made.aval(), 1),
    ]  # fmt: skip
    low = made.lowered(made.doubled(5), [a], outs, constants=[constant, np.array(7.0)])
    exe = engine.compile(low)
    x = np.ones(5)
    for results in (exe.entry(refused, "tuple")(x), exe(x)):
        y, same_as_x, c, same_as_y, seven = results
        np.testing.assert_array_equal(y, 2 * x)
        np.testing.assert_array_equal(same_as_x, x)
        np.testing.assert_array_equal(c, constant)
        np.testing.assert_array_equal(same_as_y, y)
        assert seven == 7.0
        assert not any(np.shares_memory(a, b) for a in (y, same_as_x, c, same_as_y) for b in (x, constant))
        assert not np.shares_memory(y, same_as_y)


def test_wrapped_results(made):
    low = made.lowered(made.doubled(5), [made.aval(5)], [made.aval(5), Out("input", made.aval(5), 0)])
    f = engine.compile(low).entry(refused, lambda y, x: {"y": y, "x": x})
    assert set(f(np.ones(5))) == {"x", "y"}

    def broken(y, x):
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        engine.compile(low).entry(refused, broken)(np.ones(5))


def test_donation(made):
    low = made.lowered(made.doubled(5), [made.aval(5)], [made.aval(5)], inplace={0: 0})
    exe = engine.compile(low)
    x = np.ones(5)
    assert exe.entry(refused)(x) is x and x[0] == 2.0
    x.flags.writeable = False
    assert exe.entry(refused)(x)[0] == "slow"
    np.testing.assert_array_equal(exe(x)[0], np.full(5, 4.0))
    assert x[0] == 2.0


def test_failures_raise(made):
    body = "  ret i32 2"
    failures = [(ValueError, "one", None), (np.linalg.LinAlgError, "singular", (test_failures_raise.__code__, 0))]
    exe = engine.compile(made.lowered(made.run_text(3, body), [made.aval(2)], [made.aval(2)], failures=failures))
    for f in (exe.entry(refused), exe):
        with pytest.raises(np.linalg.LinAlgError, match="singular") as caught:
            f(np.ones(2))
        assert "test_entry.py" in caught.value.__notes__[0]


@pytest.mark.parametrize("size", [64, 20_000, 3_000_000])
def test_workspace_is_aligned_and_kept_apart(made, size):
    """The address of the workspace is the result; while it is in use, another call gets another one."""
    seen = []

    class Probe:
        multi = False

        @staticmethod
        def eval(x):
            if len(seen) < 3:
                seen.append(None)
                seen.append(int(f(np.zeros(1))[0]))
            return x

    body = f"""  %number = ptrtoint ptr %p3 to i64
  %value = sitofp i64 %number to double
  store double %value, ptr %p2
  %last = getelementptr i8, ptr %p3, i64 {size - 1}
  store i8 1, ptr %last
  %host = load ptr, ptr %p0
  %self.at = getelementptr i8, ptr %p0, i64 16
  %self = load ptr, ptr %self.at
  %spare = alloca [2 x ptr]
  store ptr %p2, ptr %spare
  %second = getelementptr ptr, ptr %spare, i64 1
  store ptr %p2, ptr %second
  %code = call i32 %host(ptr %self, i64 0, ptr %spare)
  ret i32 0"""
    a = made.aval(1)
    call = HostReference(Probe, {}, (a,), (a,), None, "")
    low = made.lowered(made.run_text(4, body), [a], [a], workspace=size, host_calls=[call])
    f = engine.compile(low).entry(refused)
    outer = int(f(np.zeros(1))[0])
    inner = [at for at in seen if at is not None]
    assert inner and all(at % 64 == 0 for at in (outer, *inner))
    assert len({outer, *inner}) == len(inner) + 1


def test_nothing_is_kept(made):
    exe = engine.compile(
        made.lowered(made.doubled(5), [made.aval(5)], [made.aval(5), made.aval(5), Out("input", made.aval(5))])
    )
    f = exe.entry(refused, "tuple")
    x, dtype = np.ones(5), np.dtype(np.float64)
    for _ in range(100):
        f(x)
    before = sys.getrefcount(x), sys.getrefcount(dtype), sys.getrefcount(f), sys.getallocatedblocks()
    for _ in range(100_000):
        f(x)
        f(None)
    after = sys.getrefcount(x), sys.getrefcount(dtype), sys.getrefcount(f), sys.getallocatedblocks()
    assert after[:3] == before[:3]
    assert after[3] - before[3] < 100


def test_cycles_are_collected(made):
    class Owner:
        pass

    def cycle():
        owner = Owner()
        owner.f = engine.compile(made.twice(5)).entry(lambda *args: owner)
        return weakref.ref(owner)

    gone = cycle()
    gc.collect()
    assert gone() is None


def test_the_way_through_python(made):
    exe = engine.compile(made.twice(6))
    x = np.arange(12.0)
    np.testing.assert_array_equal(exe(x[::2])[0], 2 * x[::2])
    np.testing.assert_array_equal(exe(x[:6][::-1])[0], 2 * x[:6][::-1])
    with pytest.raises(engine.CompileError, match=r"float64\[6\]"):
        exe(x)


def test_without_compiled_entries(made, monkeypatch):
    """As on a Python whose objects are laid out in another way."""
    monkeypatch.setattr(objects, "supported", lambda: "not here")
    exe = engine.compile(made.twice(5))
    assert exe.entry(refused) is refused and exe.unsupported == "not here"
    np.testing.assert_array_equal(exe(np.ones(5))[0], np.full(5, 2.0))
    a = made.aval(5)
    call = HostReference(OPS["cumsum"], {"axis": 0}, (a,), (a,), None, "")
    exe = engine.compile(made.lowered(made.host, [a], [a], host_calls=[call]))
    np.testing.assert_array_equal(exe(np.ones(5))[0], np.arange(1.0, 6.0))
    call = HostReference(OPS["cumsum"], {"axis": 9}, (a,), (a,), None, "")
    exe = engine.compile(made.lowered(made.host, [a], [a], host_calls=[call]))
    with pytest.raises(ValueError, match="axis"):
        exe(np.ones(5))


def test_python_numbers_through_jit():
    f = wg.jit(lambda x, a, n: (x * a, a, n * 2, a > 1.0))
    for _ in range(3):  # through Python first, then through the entry
        _, a, n, large = f(np.ones(3), 2.0, 3)
        assert (a, n, large) == (2.0, 6, True) and [type(v) for v in (a, n)] == [float, int]
