"""Measured reports: every byte has a line, an op, a role and a time; what is measured is what would have run."""

import threading
import time

import numpy as np
import pytest

import wengert as wg
from wengert.profile.footprint import attribution
from wengert.profile.footprint.meter import unavailable

pytestmark = pytest.mark.skipif(bool(unavailable()), reason=unavailable())
N = 128
SIZE = 8 * N * N


def line_of(text):
    """The number of the line of this file that has `text`."""
    with open(__file__) as file:
        return next(i for i, line in enumerate(file, 1) if text in line and "line_of" not in line)


def network(w, x):
    h = np.tanh(x @ w)  # hidden
    return (h * h).sum()  # loss


def arrays():
    rng = np.random.default_rng(0)
    return rng.normal(size=(N, N)) / N, rng.normal(size=(N, N))


def found(report, **what):
    return [h for h in report.holdings if all(getattr(h, k) == v for k, v in what.items())]


def test_an_eager_gradient():
    w, x = arrays()
    gradient = wg.value_and_grad(network)
    expected = gradient(w, x)
    report = wg.profile.memory(gradient)(w, x)
    assert report.kind == "measured" and report.mode == "eager" and report.name
    np.testing.assert_array_equal(report.result[1], expected[1])
    # matmul's result dies; tanh's is kept, for its own pullback and for that of the product
    (hidden,) = found(report, role="residual", op="tanh")
    assert hidden.nbytes == SIZE and hidden.shape == (N, N) and hidden.dtype == "float64"
    assert hidden.line.number == line_of("# hidden") and hidden.line.function == "network"
    assert "tanh" in hidden.why and "mul" in hidden.why
    (value,) = found(report, role="value", op="matmul")
    assert value.died is not None and value.used is not None and value.used < value.died
    assert not report.timeline[hidden.born].phase.startswith("backward")
    (result,) = found(report, role="result")
    assert result.shape == (N, N) and result.phase == "backward" and result.died is None
    assert {h.nbytes for h in found(report, role="argument")} == {SIZE} and report.arguments == 2 * SIZE
    assert report.end == SIZE and report.begin == 0


@pytest.mark.parametrize("compiled", [False, True])
def test_the_peak_is_made_of_holdings(compiled):
    w, x = arrays()
    f = wg.value_and_grad(network)
    f = wg.jit(f) if compiled else f
    f(w, x)
    report = wg.profile.memory(f)(w, x)
    assert report.mode == ("jit" if compiled else "eager")
    assert sum(h.nbytes for h in report.at_peak()) == report.peak == max(p.top for p in report.timeline)
    assert report.timeline[report.peak_at].top == report.peak
    assert report.allocated >= report.peak > 2 * SIZE
    for i, point in enumerate(report.timeline):  # at every point, not at the peak alone
        alive = sum(h.nbytes for h in report.holdings if h.role not in ("argument", "constant") and h.alive(i))
        assert alive == point.live, (i, point)


def test_a_compiled_call_is_what_its_workspace_holds():
    w, x = arrays()
    f = wg.jit(wg.value_and_grad(network))
    f(w, x)
    report = wg.profile.memory(f)(w, x)
    inside = [h for h in report.holdings if h.within]
    assert {h.within for h in inside} == {"network"}
    parts = [h for h in inside if h.role not in ("result", "workspace")]
    assert parts and {h.line.number for h in parts} <= {line_of("# hidden"), line_of("# loss")}
    assert all(h.why for h in parts if h.role == "residual")
    (result,) = [h for h in inside if h.role == "result" and h.shape]
    assert result.shape == (N, N) and result.nbytes == SIZE
    workspace = next(iter(f._known.values())).executable.lowered.workspace
    assert report.peak == workspace + SIZE == sum(h.nbytes for h in inside)


def test_the_profiler_measures_what_would_have_run():
    """The meter alone, which knows no events, sees the same peak: no array is held for the profiler."""
    from wengert.profile.footprint.meter import Counted

    w, x = arrays()

    def f(w, x):
        y = x * 2.0 + 1.0 - 0.5  # temporaries, written over
        return (np.tanh(y @ w) * y).sum()

    gradient = wg.grad(f)
    gradient(w, x)
    m = Counted()
    m.start()
    gradient(w, x)
    m.stop()
    report = wg.profile.memory(gradient)(w, x)
    assert abs(report.peak - m.peak()) < 200
    assert m.taken()[0] == pytest.approx(report.tensors, abs=2)


def test_elided_temporaries_are_reused_memory():
    w, _ = arrays()
    report = wg.profile.memory(wg.grad(lambda w: (w * 2.0 + 1.0 + 3.0).sum()))(w)
    assert report.reused >= 2 * SIZE
    (value,) = [h for h in found(report, role="value") if h.shape == (N, N)]
    assert value.op == "add"


def test_compiled_sweeps_still_serve():
    w, x = arrays()
    gradient = wg.grad(network)
    for _ in range(200):
        gradient(w[:4, :4], x[:4, :4])
    from wengert.runtime import backward

    served = [s for s in backward.remembered() if s.serves]
    report = wg.profile.memory(gradient)(w[:4, :4], x[:4, :4])
    if served:
        assert not [h for h in report.holdings if h.role == "cotangent" and not h.within]
    assert report.mode == "eager"


def test_plain_numpy_of_the_users_is_other_at_its_line():
    w, x = arrays()

    def f(w):
        mask = np.less(x, 0.1).astype(float)  # plain
        return (w * mask).sum()

    report = wg.profile.memory(wg.grad(f))(w)
    masks = [h for h in report.holdings if h.line.number == line_of("# plain")]
    assert {h.nbytes for h in masks} >= {SIZE}
    assert all(h.role in ("other", "constant") for h in masks)


def test_phases():
    w, x = arrays()

    def f(w):
        with wg.profile.phase("first"):
            h = np.tanh(x @ w)
        return np.exp(h).sum()

    report = wg.profile.memory(wg.grad(f))(w)
    phases = {h.op: h.phase for h in report.holdings if h.role in ("value", "residual")}
    assert phases["tanh"] == "first" and phases["exp"] == "forward"
    assert {p.phase for p in report.timeline} >= {"first", "forward", "backward", "first, backward"}


def test_a_block_in_mixed_modes():
    w, x = arrays()
    f, g = wg.jit(lambda w: np.tanh(w) @ w), wg.grad(network)
    f(w)
    with wg.profile.MemoryProfiler("both") as prof:
        a = f(w)
        assert prof.live() == a.nbytes and prof.peak() >= prof.live()
        b = g(w, x)
        with pytest.raises(RuntimeError):
            str(prof.report)
    assert prof.live() == a.nbytes + b.nbytes
    report = prof.report
    assert (report.name, report.mode) == ("both", "mixed") and report.end == 2 * SIZE and report.peak == prof.peak()


def test_a_profiler_measures_once():
    prof = wg.profile.MemoryProfiler()
    with prof:
        pass
    with pytest.raises(RuntimeError, match="once"), prof:
        pass


def test_checkpoints_hold_less():
    w, x = arrays()

    def deep(w, x):
        for _ in range(6):
            x = np.tanh(x @ w)
        return x

    plain = wg.profile.memory(wg.grad(lambda w: deep(w, x).sum()))(w)
    kept = wg.profile.memory(wg.grad(lambda w: wg.checkpoint(deep)(wg.checkpoint(deep)(w, x), x).sum()))(w)
    double = wg.profile.memory(wg.grad(lambda w: deep(deep(w, x), x).sum()))(w)
    assert kept.peak < double.peak and plain.peak < double.peak


def test_forward_mode_has_values_and_tangents():
    w, _ = arrays()
    report = wg.profile.memory(lambda w: wg.jvp(lambda w: np.tanh(w) * 2.0, (w,), (w,)))(w)
    assert {h.op for h in report.holdings if h.role in ("value", "result") and h.nbytes == SIZE} >= {"tanh", "mul"}


def test_usage_while_it_runs():
    told = []
    ready = threading.Event()

    def note(live, peak):
        told.append((live, peak))
        if live > SIZE:
            ready.set()

    with wg.profile.MemoryProfiler(callback=note, interval=0.005):
        held = np.ones((2 * N, N))
        assert ready.wait(5)
        del held
        time.sleep(0.02)
    assert max(peak for _, peak in told) >= 2 * SIZE and told[-1][0] < SIZE


def test_live_display(capsys):
    with wg.profile.MemoryProfiler("training", live=True, interval=0.01):
        np.ones(1000)
        time.sleep(0.05)


def test_the_result_can_be_let_go():
    w, x = arrays()
    report = wg.profile.memory(network)(w, x)
    assert report.result == network(w, x)
    assert "result" not in report.to_dict()
    del report.result
    assert report.result is None


def test_an_error_leaves_everything_as_it_was():
    from wengert.core import events
    from wengert.profile.footprint.meter import session

    handler = session().get_handler()
    with pytest.raises(ZeroDivisionError), wg.profile.MemoryProfiler():
        raise ZeroDivisionError
    assert session().get_handler() is handler
    assert not any(events.KINDS.values())


def test_long_timelines_are_thinned(monkeypatch):
    monkeypatch.setattr(attribution, "POINTS", 20)

    def f(x):
        for _ in range(100):
            x = np.sin(x)
        return x.sum()

    report = wg.profile.memory(wg.grad(f))(np.ones(1000))
    assert len(report.timeline) <= 24 and any("points" in note for note in report.notes)
    assert report.timeline[report.peak_at].top == report.peak
    assert all(h.born < len(report.timeline) for h in report.holdings)


def test_small_pieces_are_counted_though_not_listed(monkeypatch):
    monkeypatch.setattr(attribution, "MOST", 10)
    report = wg.profile.memory(wg.grad(lambda x: sum(np.sin(x * i).sum() for i in range(50))))(np.ones(100))
    assert sum(h.nbytes for h in report.at_peak()) == report.peak and len(report.holdings) < report.tensors
    assert any("not listed" in note for note in report.notes) and report.tensors > 100


def test_without_a_handler_reports_are_made_all_the_same(monkeypatch):
    from wengert.profile.footprint import meter

    monkeypatch.setattr(meter, "unavailable", lambda: "another NumPy")
    w, x = arrays()
    report = wg.profile.memory(wg.grad(network))(w, x)
    assert report.peak >= 2 * SIZE and any("tracemalloc" in note for note in report.notes)
    assert found(report, role="residual", op="tanh")


def test_a_first_call_is_compiled_on_the_way():
    w, x = arrays()
    report = wg.profile.memory(wg.jit(wg.grad(lambda w: (np.tanh(w @ x) ** 2).sum())))(w)
    assert report.mode == "jit"
    assert "compiling" in {p.phase for p in report.timeline}
    assert {h.role for h in report.holdings if h.phase == "compiling" and h.nbytes == SIZE} <= {"constant", "temporary"}
    assert report.timeline[-1].live == report.end


def test_residuals_of_loops_belong_to_the_call():
    def f(x):
        return wg.while_loop(lambda c: c[0] < 2000, lambda c: (c[0] + 1, np.sin(c[1]) * 1.0001), (0, x))[1].sum()

    step = wg.jit(wg.grad(f))
    x = np.ones(64)
    step(x)
    report = wg.profile.memory(step)(x)
    stack = max((h for h in report.holdings if h.op == "while_loop"), key=lambda h: h.nbytes)
    assert stack.role == "residual" and stack.nbytes >= 2000 * 64 * 8 and stack.within and stack.why
    assert report.peak >= stack.nbytes and report.end == 512


def test_what_a_hook_keeps_in_memory_is_a_residual_still():
    w, x = arrays()
    with (
        wg.profile.MemoryProfiler() as prof,
        wg.saved_tensors_hooks(lambda a: a, lambda a: a),
        wg.GradientTape() as tape,
    ):
        t = tape.watch(w)
        value = network(t, x)
    assert value.shape == ()
    assert found(prof.report, role="residual", op="tanh")
