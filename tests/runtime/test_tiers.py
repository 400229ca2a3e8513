"""Large programs begin as quickly made code, and become well-made code when they are called again."""

import os
import subprocess
import sys
import threading

import numpy as np
import pytest

import wengert as wg
from wengert.core.config import config
from wengert.runtime import engine, native, tiers


@pytest.fixture(autouse=True)
def fresh(monkeypatch, tmp_path):
    monkeypatch.setattr(config, "cache_dir", str(tmp_path))
    monkeypatch.setattr(config, "tiered", True)
    monkeypatch.setattr(tiers, "LARGE", 100)


def refused(*args):
    raise AssertionError(args)


def test_called_again(made):
    exe = engine.compile(made.twice(100))
    assert exe.tier is native.FIRST
    f, g = exe.entry(refused), exe.entry(refused)
    x = np.arange(100.0)
    np.testing.assert_array_equal(exe(x)[0], 2 * x)  # as `jit` runs a new signature
    tiers.drain()
    assert exe.tier is native.FIRST
    np.testing.assert_array_equal(f(x), 2 * x)
    tiers.drain()
    assert exe.tier is native.FULL and "full optimise" in exe.seconds
    for h in (f, g, exe.entry(refused)):
        for _ in range(5):
            np.testing.assert_array_equal(h(x), 2 * x)
    np.testing.assert_array_equal(exe(x)[0], 2 * x)


def test_the_code_is_another(made, monkeypatch):
    """Both entries run what was compiled last."""
    exe = engine.compile(made.twice(10))
    f, g = exe.entry(refused), exe.entry(refused)
    real = native.assemble
    monkeypatch.setattr(native, "assemble", lambda text, tier: real(text.replace("2.0", "3.0"), tier))
    x = np.ones(10)
    assert f(x)[0] == 2.0
    tiers.drain()
    assert f(x)[0] == g(x)[0] == exe(x)[0][0] == 3.0


def test_the_way_through_python_counts_too(made):
    exe = engine.compile(made.twice(10))
    for _ in range(2):
        exe(np.ones(10))
    tiers.drain()
    assert exe.tier is native.FULL


def test_while_it_runs(made):
    exe = engine.compile(made.twice(100))
    f = exe.entry(refused)
    x = np.arange(100.0)
    wrong = []

    def call():
        for _ in range(5000):
            if not (f(x) == 2 * x).all():
                wrong.append(1)

    callers = [threading.Thread(target=call) for _ in range(3)]
    for c in callers:
        c.start()
    for c in callers:
        c.join()
    tiers.drain()
    assert not wrong and exe.tier is native.FULL


def test_which_begin_in_the_full_tier(made, monkeypatch):
    assert engine.compile(made.twice(10), tier="full").tier is native.FULL
    assert engine.compile(made.twice(10), tier="first").tier is native.FIRST
    busy = made.twice(10, kernels=[made.work(10.0)])
    assert engine.compile(busy).tier is native.FULL
    monkeypatch.setattr(tiers, "LARGE", 100_000)
    assert engine.compile(made.twice(10)).tier is native.FULL
    monkeypatch.setattr(config, "tiered", "always")
    assert engine.compile(made.twice(11)).tier is native.FIRST
    monkeypatch.setattr(config, "tiered", True)
    monkeypatch.setattr(tiers, "LARGE", 100)
    monkeypatch.setattr(config, "tiered", False)
    assert engine.compile(made.twice(10)).tier is native.FULL


def test_equal_kernels_count_once(made, monkeypatch):
    kernel = "define internal void @{}(ptr %x) {{\nentry:\n  store double 1.0, ptr %x\n  ret void\n}}\n"
    text = "".join(kernel.format(f"k{i}") for i in range(100)) + made.doubled(10)
    monkeypatch.setattr(tiers, "LARGE", 2000)
    assert engine.compile(made.lowered(text, [made.aval(10)], [made.aval(10)])).tier is native.FULL
    text = text.replace("store double 1.0", "store double {}.0")
    for i in range(100):
        text = text.replace("{}", str(i), 1)
    assert engine.compile(made.lowered(text, [made.aval(10)], [made.aval(10)])).tier is native.FIRST


def test_a_tier_asked_for_stays(made):
    exe = engine.compile(made.twice(10), tier="first")
    for _ in range(5):
        exe(np.ones(10))
    tiers.drain()
    assert exe.tier is native.FIRST


def test_the_cache_has_the_full_one(made):
    exe = engine.compile(made.twice(10))
    exe.recompile(native.FULL)
    again = engine.compile(made.twice(10))
    assert again.tier is native.FULL and "cached" in again.seconds


def test_a_failure_in_the_background(made, monkeypatch, caplog):
    exe = engine.compile(made.twice(10))
    f = exe.entry(refused)

    def broken(*args):
        raise wg.errors.CompileError("no")

    with monkeypatch.context() as m:
        m.setattr(native, "assemble", broken)
        for _ in range(3):
            f(np.ones(10))
        tiers.drain()
    assert exe.tier is native.FIRST and f(np.ones(10))[0] == 2.0
    assert "the full tier failed" in caplog.text


def test_the_end_of_the_process_in_the_middle():
    """A process may end while the background compiles."""
    script = (
        "import numpy as np, wengert as wg\n"
        "from wengert.runtime import tiers\n"
        "tiers.LARGE = 100\n"
        "def f(x):\n"
        "    for i in range(30): x = np.tanh(x * (1 + 0.1 * i)) + 0.1\n"
        "    return np.sum(x)\n"
        "g = wg.jit(wg.value_and_grad(f))\n"
        "for _ in range(3): g(np.ones(50))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not hasattr(os, "fork"), reason="fork")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning", "ignore:.*fork:RuntimeWarning")
def test_fork_in_the_middle(made):
    """The child can compile, and promote, while its parent's background was at work."""

    def large(factor):
        def f(x):
            for i in range(20):
                x = np.tanh(x * (factor + 0.1 * i)) + 0.1
            return x

        return engine.compile(wg.trace(f, np.ones(50)))

    exe = large(1.5)
    for _ in range(2):
        exe(np.ones(50))
    child = os.fork()
    if child == 0:
        try:
            new = large(2.5)
            for _ in range(3):
                new(np.ones(50))
            tiers.drain()
            os._exit(0 if new.tier is native.FULL else 1)
        finally:
            os._exit(2)
    import time

    for _ in range(3000):
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            assert os.waitstatus_to_exitcode(status) == 0
            break
        time.sleep(0.01)
    else:
        os.kill(child, 9)
        os.waitpid(child, 0)
        pytest.fail("the child hangs")
    tiers.drain()
