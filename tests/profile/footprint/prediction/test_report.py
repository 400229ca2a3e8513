"""What a prediction tells besides the peak, and that it runs nothing."""

from __future__ import annotations

import time

import numpy as np
import pytest

import wengert as wg
from wengert.core import events
from wengert.core.aval import INEXACT
from wengert.core.errors import ConcretizationError, TracerLeak
from wengert.core.form import HostCall
from wengert.core.op import OPS, Op
from wengert.core.tensor import active
from wengert.profile import predict_memory


def loss(w, x):
    h = np.tanh(x @ w)  # kept
    return (h**2).sum()


def deep(w, x):
    g = np.tanh(x @ w)  # kept for its own pullback, past a product
    return (np.tanh(g @ MIX) ** 2).sum()


W, X, MIX = np.ones((50, 40)), np.ones((300, 50)), np.random.default_rng(0).normal(size=(40, 40))


def line(text):
    return next(i for i, row in enumerate(open(__file__), 1) if row.strip().startswith(text))


@pytest.fixture(params=["eager", "jit", "mixed"])
def report(request):
    ways = {"eager": wg.grad(loss), "jit": wg.jit(wg.grad(loss)), "mixed": wg.grad(wg.jit(loss))}
    found = predict_memory(ways[request.param], W, X)
    assert found.kind == "predicted"
    assert found.mode == request.param
    return found


def test_what_is_held_at_the_peak_adds_up(report):
    assert sum(h.nbytes for h in report.at_peak()) == report.peak
    assert report.peak == max(p.top for p in report.timeline)
    assert report.timeline[report.peak_at].top == report.peak
    assert report.arguments == W.nbytes + X.nbytes
    assert sum(h.nbytes for h in report.holdings if h.role == "argument") == report.arguments


def test_results_are_what_is_left(report):
    (result,) = [h for h in report.holdings if h.role == "result"]
    assert (result.shape, result.dtype, result.nbytes) == (W.shape, "float64", W.nbytes)
    assert report.end == W.nbytes


def test_it_can_be_saved(report, tmp_path):
    report.save(tmp_path / "a.json")
    assert wg.profile.MemoryReport.load(tmp_path / "a.json") == report


@pytest.mark.parametrize("way", [wg.grad(deep), wg.jit(wg.grad(deep))], ids=["eager", "jit"])
def test_a_residual_has_its_line_and_its_reader(way):
    found = predict_memory(way, W, X)
    kept = [h for h in found.holdings if h.role == "residual"]
    (h,) = [h for h in kept if h.line.number == line("g = np.tanh")]
    assert h.op == "tanh"
    assert h.phase == "forward"
    assert h.shape == (300, 40)
    assert "kept for the pullback of" in h.why
    assert "test_report.py:" in h.why
    assert any(h.role == "cotangent" and h.phase == "backward" for h in found.holdings)


def test_cotangents_and_temporaries_are_told_apart():
    found = predict_memory(wg.grad(loss), W, X)
    roles = {h.role for h in found.holdings}
    assert {"argument", "residual", "cotangent", "temporary", "result"} <= roles
    assert {p.phase for p in found.timeline} == {"forward", "backward"}
    assert all(h.phase == "backward" for h in found.holdings if h.role == "cotangent")


def test_shapes_do_as_well_as_arrays():
    shapes = wg.ShapeDtype(W.shape), wg.ShapeDtype(X.shape)
    for way in (loss, wg.grad(loss), wg.jit(wg.grad(loss))):
        assert predict_memory(way, *shapes).peak == predict_memory(way, W, X).peak


def test_pytrees_and_keywords():
    found = predict_memory(wg.grad(lambda p, *, x: loss(p["w"], x)), {"w": W}, x=wg.ShapeDtype(X.shape))
    assert found.peak == predict_memory(wg.grad(loss), W, X).peak


# ── nothing runs ──────────────────────────────────────────────────────────────


@pytest.fixture
def unrunnable():
    def never(x):
        raise AssertionError("an op was evaluated")

    op = Op(
        name="never_to_be_run", accepts=INEXACT, shape=lambda x: x, eval=never, jvp=lambda xs, dxs, out: op(dxs[0]),
        vjp=lambda ct, ins, xs, out: (op(ct),), saves=(0,), batch=lambda xs, flags, size: op(xs[0]), samples=(),
        lower=HostCall("a test"),
    )  # fmt: skip
    yield op
    del OPS["never_to_be_run"]


@pytest.mark.parametrize("wrap", [lambda f: f, wg.grad, lambda f: wg.jit(wg.grad(f))], ids=["plain", "grad", "jit"])
def test_no_op_is_evaluated(unrunnable, wrap):
    found = predict_memory(wrap(lambda x: (unrunnable(np.sin(x)) ** 2).sum()), X)
    assert found.peak >= X.nbytes


def test_arrays_larger_than_any_memory():
    def f(w, x):
        parts = x.T.reshape(1000, 1000, -1).transpose(2, 0, 1).reshape(-1, 1000) @ w
        return (np.sin(parts[:, ::2]) * parts[:, 1::2]).mean()

    shapes = wg.ShapeDtype((1000, 1000)), wg.ShapeDtype((15_000, 1_000_000))
    for way in (f, wg.grad(f), wg.jit(wg.grad(f))):
        start = time.perf_counter()
        assert predict_memory(way, *shapes).peak > 100e9
        assert time.perf_counter() - start < 10


def test_large_integers_are_not_tried_out():
    def f(x, i):
        return (x[(i * 2 + 1) % 1000] ** 2).sum()

    found = predict_memory(wg.grad(f), wg.ShapeDtype((1000,)), wg.ShapeDtype((100_000_000,), int))
    assert 1.5e9 < found.peak < 5e9


# ── what cannot be predicted ──────────────────────────────────────────────────


def test_a_branch_on_a_value():
    def f(x):
        if x[0] > 0:
            return (x * 2).sum()
        return x.sum()

    for way in (f, wg.grad(f)):
        with pytest.raises(ConcretizationError) as caught:
            predict_memory(way, X[0])
        assert "wg.profile.memory(f)(*arrays) runs it, and measures" in str(caught.value.__notes__)


def test_within_a_transform():
    with pytest.raises(TracerLeak, match="a call of its own"):
        wg.grad(lambda x: predict_memory(np.sin, x).peak * x.sum())(X)


def test_trips_of_a_loop_are_noted():
    def f(x):
        return wg.while_loop(lambda c: c.sum() < 10, lambda c: np.exp(c) * c, x).sum()

    found = predict_memory(wg.jit(wg.grad(f)), X)
    assert any("bytes of residuals" in note and "not known before it runs" in note for note in found.notes)


def test_what_hooks_put_away_is_noted():
    def halved(w, x):
        with wg.saved_tensors_hooks(lambda a: a.astype(np.float32), lambda a: a.astype(np.float64)):
            return wg.grad(loss)(w, x)

    assert not predict_memory(wg.grad(loss), W, X).notes
    for way in (halved, wg.grad(loss, memory_budget="1 MiB")):
        assert any("put away" in note for note in predict_memory(way, W, X).notes)


def test_nothing_is_left_behind():
    def failing(x):
        np.exp(np.sin(x) * 2)
        raise KeyError("a mistake of the user's")

    with pytest.raises(KeyError, match="mistake"):
        predict_memory(wg.grad(failing), X)
    assert not active()
    assert not any(events.KINDS[kind] for kind in ("pulling", "cotangent", "recorded", "accumulated"))
    assert np.isfinite(wg.grad(lambda x: np.sin(x).sum())(X)).all()


def test_constants_of_a_compiled_function_are_told_and_not_counted():
    table = np.random.default_rng(0).normal(size=(500, 50))
    found = predict_memory(wg.jit(lambda x: x @ table), wg.ShapeDtype((3, 500)))
    (h,) = [h for h in found.holdings if h.role == "constant"]
    assert h.nbytes == table.nbytes
    assert found.peak < table.nbytes
    assert any("constants" in note for note in found.notes)
