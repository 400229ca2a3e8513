"""What the time profiler finds: names, lines, phases, sums."""

from __future__ import annotations

import threading
from time import perf_counter, sleep

import numpy as np
import pytest

import wengert as wg
from wengert.core import events
from wengert.core.errors import WengertError
from wengert.profile import TimeProfiler, time
from wengert.profile.clock import costs
from wengert.profile.clock.recorder import _aval

RNG = np.random.default_rng(2)
W, B, X, Y = (RNG.normal(size=s) for s in ((200, 200), 200, (150, 200), (150, 200)))


def loss(w, b, x, y):
    h = np.tanh(x @ w + b)  # line one
    return ((h - y) ** 2).mean()  # line two


LINE = loss.__code__.co_firstlineno + 1
gradient = wg.grad(loss, argnums=(0, 1))
pytestmark = pytest.mark.usefixtures("plain_backward")


def found(report, name, phase):
    return [row for row in report.rows if (row.name, row.phase) == (name, phase)]


def test_ops_have_names_lines_phases_and_counts():
    report = time(gradient, calls=3, machine=False)(W, B, X, Y)
    for name, number in (("matmul", LINE), ("add", LINE), ("tanh", LINE), ("sub", LINE + 1), ("square", LINE + 1)):
        for phase in ("forward", "backward"):
            (row,) = found(report, name, phase)
            assert row.line.number == number and row.line.function == "loss" and row.line.file == __file__
            assert row.calls == 3 and row.seconds > 0 and row.mean == row.seconds / 3
    assert "line two" in found(report, "square", "forward")[0].line.text
    assert all(np.array_equal(a, b) for a, b in zip(report.result, gradient(W, B, X, Y), strict=True))


def test_flops_and_bytes_are_those_of_the_definition():
    report = time(gradient, calls=1, machine=False)(W, B, X, Y)
    (forward,), (backward,) = found(report, "matmul", "forward"), found(report, "matmul", "backward")
    assert forward.flops == 2 * 150 * 200 * 200
    assert forward.bytes == 8 * (150 * 200 + 200 * 200 + 150 * 200)
    assert backward.flops == forward.flops  # x is no variable: one product
    (add,) = found(report, "add", "forward")
    assert add.flops == 150 * 200 and add.bytes == 8 * (2 * 150 * 200 + 200)
    (sub,) = found(report, "sub", "backward")
    assert sub.bytes == 0  # the cotangent goes on as it is


def test_flops_of_single_ops():
    from wengert.core.op import OPS

    a, b = _aval(np.ones((30, 40))), _aval(np.ones((40, 50)))
    assert costs.flops(OPS["matmul"], [a, b], {}) == 2 * 30 * 40 * 50
    assert costs.flops(OPS["add"], [a, a], {}) == 30 * 40
    assert costs.flops(OPS["reduce_sum"], [a], {"axes": (0,)}) == 30 * 40


def test_the_parts_are_the_whole():
    report = time(gradient, calls=5, machine=False)(W, B, X, Y)
    parts = report.parts
    assert sum(parts.values()) == pytest.approx(report.wall)
    assert parts["ops, forward"] + parts["ops, backward"] > 0.3 * report.wall
    assert set(parts) == {
        "ops, forward", "ops, backward", "walking tapes", "compiled programs", "compiling", "profiler", "elsewhere",
    }  # fmt: skip
    by_phase = report.by(lambda row: row.phase)
    assert by_phase["forward"] == pytest.approx(parts["ops, forward"])


def test_sleep_is_elsewhere_and_takes_no_processor():
    def napping(x):
        sleep(0.1)
        return (x * 2.0).sum()

    report = time(wg.grad(napping), calls=1, machine=False)(np.ones(10))
    assert report.parts["elsewhere"] >= 0.09
    assert report.cpu < report.wall - 0.05


def test_compiled_programs_by_kernel():
    step = wg.jit(gradient)
    report = time(step, calls=4, machine=False)(W, B, X, Y)
    (program,) = report.programs
    assert program.name.endswith("loss") and program.calls == 4
    assert sum(row.seconds for row in program.kernels) == pytest.approx(program.seconds)
    assert 0 < program.seconds <= report.wall
    assert program.first + 3 * program.steady == pytest.approx(program.seconds)
    products = [row for row in program.kernels if row.kind == "library call"]
    assert {row.flops for row in products} == {4 * 2 * 150 * 200 * 200}
    assert {row.phase for row in products} == {"forward", "backward"}
    assert {row.line.number for row in products} == {LINE}
    nests = [row for row in program.kernels if row.kind == "loop nest" and "tanh" in row.ops]
    assert nests and all(line.function == "loss" for row in nests for line in row.lines)
    assert not report.rows  # no op was run one by one


def test_the_first_call_is_apart_and_has_the_stages():
    def unseen(x):
        return np.cos(x * 1.5) @ x

    report = time(wg.jit(unseen), calls=2, machine=False)(RNG.normal(size=(31, 31)))
    assert report.first is not None and not report.stages
    stages = {stage.stage: stage for stage in report.first.stages}
    assert {"trace", "passes", "lower", "load"} < set(stages) and {"llvm", "cached"} & set(stages)
    assert all(s.program.endswith("unseen") and s.seconds > 0 and s.times == 1 for s in stages.values())
    assert report.first.profiling > 0 and report.profiling == 0
    assert report.first.wall > report.wall / report.calls
    assert sum(report.first.parts.values()) == pytest.approx(report.first.wall)


def test_staging_is_compiling_and_no_ops():
    with TimeProfiler(machine=False) as prof:
        wg.jit(wg.grad(lambda x: (np.sin(x) * 0.77).sum()))(np.ones(17))
    report = prof.report()
    assert not report.rows and report.programs


def test_a_compiled_function_within_a_gradient_is_counted_once():
    inner = wg.jit(lambda w: np.tanh(X @ w))
    with TimeProfiler(machine=False) as prof:
        for _ in range(3):
            wg.grad(lambda w: (inner(w) ** 2).sum())(W)
    report = prof.report()
    (call,) = found(report, "call", "forward")
    assert call.flops is None and call.bytes is None
    whole = sum(report.parts.values())
    assert whole == pytest.approx(report.wall, rel=1e-6)
    inside = sum(p.seconds for p in report.programs)
    assert inside > 0 and call.seconds < report.wall - inside


def test_higher_orders_are_counted_once():
    with TimeProfiler(machine=False) as prof:
        wg.grad(lambda x: wg.grad(lambda y: (np.sin(y) ** 3).sum())(x).sum())(np.ones(1000))
    report = prof.report()
    assert sum(report.parts.values()) == pytest.approx(report.wall)
    assert report.parts["ops, forward"] + report.parts["ops, backward"] < report.wall


def test_processor_time_is_near_the_clocks_on_one_thread():
    report = time(wg.grad(lambda x: np.sin(np.exp(x)).sum()), calls=5, machine=False)(RNG.normal(size=200_000))
    (row,) = found(report, "exp", "forward")
    assert row.cpu is not None and 0 < row.cpu < 3 * row.seconds + 1e-3
    quick = time(wg.grad(lambda x: np.sin(x).sum()), calls=1, cpu=False, machine=False)(np.ones(10))
    assert all(row.cpu is None for row in quick.rows)


def test_threads_are_told_apart():
    together = threading.Barrier(2)  # the system gives the number of a thread that has ended to the next

    def work():
        together.wait()
        wg.grad(loss)(W, B, X, Y)
        together.wait()

    with TimeProfiler(machine=False) as prof:
        threads = [threading.Thread(target=work, name=f"worker {i}") for i in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    report = prof.report()
    assert {"worker 0", "worker 1"} <= set(report.threads.values())
    assert {report.threads[span.thread] for span in report.spans} == {"worker 0", "worker 1"}
    assert found(report, "tanh", "forward")[0].calls == 2


def test_events_without_room_are_in_the_sums():
    x = np.ones(5)
    with TimeProfiler(machine=False, room=10) as prof:
        for _ in range(20):
            wg.grad(lambda x: np.sin(x).sum())(x)
    report = prof.report()
    assert found(report, "sin", "forward")[0].calls == 20
    assert len(report.spans) == 10 and any("no more room" in note for note in report.notes)


def test_nothing_stays_on_after_an_exception():
    with pytest.raises(ZeroDivisionError), TimeProfiler(machine=False) as prof:
        wg.grad(lambda x: np.sin(x).sum())(np.ones(3))
        1 / 0
    assert not any(events.KINDS.values())
    assert found(prof.report(), "sin", "forward")
    with pytest.raises(ValueError, match="wrong"):
        time(lambda: (_ for _ in ()).throw(ValueError("wrong")), machine=False)()


def test_an_op_that_raises_spoils_nothing():
    def bad(x):
        return (x @ np.ones((7, 7))).sum()

    with TimeProfiler(machine=False) as prof:
        with pytest.raises(ValueError):
            wg.grad(bad)(np.ones((3, 3)))
        wg.grad(lambda x: np.sin(x).sum())(np.ones(3))
    report = prof.report()
    (row,) = found(report, "sin", "forward")
    assert row.calls == 1 and sum(report.parts.values()) == pytest.approx(report.wall)


def test_profilers_within_profilers():
    x = np.ones(21)
    compiled = wg.jit(lambda x: np.sin(x) + 0.3125)
    compiled(x)
    with TimeProfiler(machine=False) as outer:
        compiled(x)
        with TimeProfiler(machine=False) as inner:
            compiled(x)
            wg.grad(lambda x: np.sin(x).sum())(x)
        compiled(x)
    assert [p.calls for p in inner.report().programs] == [1]
    assert [p.calls for p in outer.report().programs] == [3]
    assert found(inner.report(), "sin", "forward")[0].calls == found(outer.report(), "sin", "forward")[0].calls == 1


def test_a_profiler_is_for_one_block():
    prof = TimeProfiler()
    with pytest.raises(WengertError, match="not used"):
        prof.report()
    with prof, pytest.raises(WengertError, match="still at work"):
        prof.report()
    with pytest.raises(WengertError, match="second"):
        prof.__enter__()


def test_compiled_backward_sweeps_are_programs(monkeypatch):
    from wengert.runtime import backward

    monkeypatch.setattr(backward, "LOOK", 2)
    monkeypatch.setattr(backward, "_cost", lambda length: 0.0)
    monkeypatch.setattr(backward, "GAIN", float("inf"))

    def f(x):
        for _ in range(12):
            x = np.sin(x) * 1.01
        return x.sum()

    x, calls = np.ones(40), []
    with wg.config.override(compiled_backward=True):
        for _ in range(12):
            g = wg.grad(f)(x)
        with TimeProfiler(machine=False) as prof:
            again = wg.grad(f)(x)
        report = prof.report()
        assert [(p.name, p.calls) for p in report.programs] == [("backward", 1)]
        assert not [row for row in report.rows if row.phase == "backward"]
        assert again.tobytes() == g.tobytes()
        with events.listening(ran=lambda *what: calls.append(what)):
            assert wg.grad(f)(x).tobytes() == g.tobytes()
        assert len(calls) == 1
    backward.forget()


def test_the_clock_of_the_report_is_that_of_the_wall():
    began = perf_counter()
    with TimeProfiler(machine=False) as prof:
        sleep(0.05)
    assert 0.05 <= prof.report().wall <= perf_counter() - began


def test_other_profilers_see_ops_by_name():
    import cProfile
    import pstats

    x, program = np.ones(20), wg.jit(loss)
    program(W, B, X, Y)
    profile = cProfile.Profile()
    profile.enable()
    wg.grad(lambda x: (np.sinh(x) * x).sum())(x)
    program(W, B, X, Y)
    profile.disable()
    names = {name for _, _, name in pstats.Stats(profile).stats}  # type: ignore[attr-defined]
    assert {"sinh", "mul", "<built-in method loss>"} <= names
    assert any(name.startswith("sinh.") for name in names)
