"""Compiling: once per program, in whatever thread; errors of LLVM; what can be read of the result."""

import gc
import threading
import weakref

import numpy as np
import pytest

import wengert as wg
from wengert.runtime import engine, native


def program(factor):
    return wg.trace(lambda x: np.sin(x) * factor + np.cumsum(x), np.ones(8))


@pytest.fixture
def counted(monkeypatch):
    """Executables as they are made."""
    seen = []
    real = engine._compiled

    def compiled(*args):
        seen.append(args)
        return real(*args)

    monkeypatch.setattr(engine, "_compiled", compiled)
    return seen


def test_equal_programs_share(counted):
    p = program(1.25)
    first = engine.compile(p)
    assert engine.compile(p) is first
    assert engine.compile(p, tier="fast") is not first
    assert engine.compile(program(1.5)) is not first
    assert len(counted) == 3
    x = np.arange(8.0)
    np.testing.assert_allclose(first(x)[0], np.sin(x) * 1.25 + np.cumsum(x), rtol=1e-13)


def test_forgotten_programs(counted):
    p = program(8.5)
    first = engine.compile(p)
    engine.forget()
    assert engine.compile(p) is not first and len(counted) == 2


def test_code_goes_with_its_last_entry(made):
    exe = engine.compile(made.twice(5))
    code = weakref.ref(exe._codes[0])
    f = exe.entry(print)
    del exe
    gc.collect()
    assert f(np.ones(5))[0] == 2.0 and code() is not None
    del f
    gc.collect()
    assert code() is None


def test_memory_stays_where_it_is(made):
    """A thousand calls with a large workspace and large results, through both ways."""
    resource = pytest.importorskip("resource")
    n = 1 << 20
    low = made.lowered(made.doubled(n), [made.aval(n)], [made.aval(n)], workspace=1 << 22)
    exe = engine.compile(low)
    f, x = exe.entry(print), np.ones(n)
    for _ in range(20):
        f(x), exe(x)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(300):
        f(x), exe(x)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown * 1024 < 40 << 20


def test_lines_of_errors_are_not_shared(counted):
    first = wg.trace(lambda x: np.sin(x) * 1.75, np.ones(8))
    second = wg.trace(lambda x: np.sin(x) * 1.75, np.ones(8))
    assert first == second
    assert engine.compile(first) is not engine.compile(second)


def test_threads_that_want_one_program_compile_it_once(counted):
    p = program(2.25)
    found = []
    start = threading.Barrier(6)

    def ask():
        start.wait()
        found.append(engine.compile(p))

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(counted) == 1 and len(set(map(id, found))) == 1


def test_threads_that_compile_different_programs():
    found = {}

    def ask(i):
        found[i] = engine.compile(program(3.0 + i))

    threads = [threading.Thread(target=ask, args=(i,)) for i in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    x = np.arange(8.0)
    for i, exe in found.items():
        np.testing.assert_allclose(exe(x)[0], np.sin(x) * (3.0 + i) + np.cumsum(x), rtol=1e-13)


def test_first_calls_of_jit_at_once():
    f = wg.jit(wg.value_and_grad(lambda x: np.sum(np.tanh(x) * 1.125)))
    x = np.linspace(-1, 1, 9)
    results = []
    start = threading.Barrier(4)

    def call():
        start.wait()
        results.append(f(x))

    threads = [threading.Thread(target=call) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(results) == 4
    for value, gradient in results:
        np.testing.assert_allclose(value, np.sum(np.tanh(x)) * 1.125, atol=1e-14)
        np.testing.assert_allclose(gradient, 1.125 / np.cosh(x) ** 2, rtol=1e-13)


def test_a_failed_compilation_can_be_tried_again(monkeypatch):
    p = program(7.0)
    with monkeypatch.context() as m:
        m.setattr(engine, "_compiled", lambda *args: 1 / 0)
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                engine.compile(p)
    assert engine.compile(p)(np.ones(8))[0].shape == (8,)
    assert not engine._running


def test_text_that_llvm_refuses(made):
    low = made.lowered("define i32 @run(ptr %frame) {\n  %x = fadd double 1.0, %y\n  ret i32 0\n}", [], [])
    with pytest.raises(wg.errors.CompileError, match=r"(?s)undefined value.*%x = fadd"):
        engine.compile(low)


def test_symbols(made):
    """A function of BLAS by SciPy's name; one that is not there is an error, and not the end of the process."""
    text = (
        'declare double @"blas.ddot"(ptr, ptr, ptr, ptr, ptr)\n@n = constant i32 4\n@one = constant i32 1\n'
        + made.run_text(
            5,
            '  %dot = call double @"blas.ddot"(ptr @n, ptr %p1, ptr @one, ptr %p2, ptr @one)\n'
            "  store double %dot, ptr %p3\n  ret i32 0",
        )
    )
    low = made.lowered(text, [made.aval(4), made.aval(4)], [made.aval()], symbols=frozenset({"blas.ddot"}))
    f = engine.compile(low).entry(print)
    assert f(np.arange(4.0), np.full(4, 2.0)) == 12.0
    for symbol in ("blas.nosuch", "lapack.nosuch", "nosuch_function"):
        low = made.lowered(made.doubled(4), [made.aval(4)], [made.aval(4)], symbols=frozenset({symbol}))
        with pytest.raises(wg.errors.CompileError, match=symbol):
            engine.compile(low)


def test_objects_are_refused(made):
    low = made.lowered(made.doubled(4), [made.aval(4, dtype=object)], [made.aval(4)])
    with pytest.raises(wg.errors.CompileError, match="Python objects"):
        engine.compile(low)


def test_what_can_be_read(made):
    exe = engine.compile(made.twice(4000), name="twice")
    assert exe.nbytes > 100 and set(exe.seconds) >= {"load"}
    assert exe.llvm() == exe.lowered.text
    assert "define" in exe.llvm(optimised=True) and exe.llvm(optimised=True) != exe.llvm()
    assert "run:" in exe.asm
    assert "twice" in repr(exe.entry(print))


def test_wide_vectors(made):
    if "+avx512f" not in native.cpu()[1]:
        pytest.skip("no AVX-512 here")
    assert "zmm" in engine.compile(made.twice(4000)).asm


def test_llvm_is_not_loaded_before_it_is_needed():
    import subprocess
    import sys

    script = "import sys, wengert as wg; wg.set_threads(2); wg.jit(len); assert 'llvmlite' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)
