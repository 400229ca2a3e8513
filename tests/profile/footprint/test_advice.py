"""Advice is applied, and measured again: what was promised is what is saved, within the tolerance that is stated."""

import re
import tracemalloc

import numpy as np
import pytest

import wengert as wg
from wengert.core.sizes import bytes_of
from wengert.profile.footprint import breakdown
from wengert.profile.footprint.advice import TOLERANCE, sources, trips
from wengert.profile.footprint.recommendation import remedy
from wengert.profile.footprint.report import Holding, Line, MemoryReport, Point

LAYERS, N, D = 12, 512, 64


def parameters(dtype=np.float64, layers=LAYERS):
    rng = np.random.default_rng(0)
    made = [(rng.normal(size=(D, D)) / 8, rng.normal(size=D)) for _ in range(layers)]
    return [(w.astype(dtype), b.astype(dtype)) for w, b in made], rng.normal(size=(N, D)).astype(dtype)


def measured(f, *args):
    """The report, and the peak as tracemalloc has it, in two runs: each is blind to what the other costs."""
    f(*args)
    tracemalloc.start()
    try:
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        f(*args)
        peak = tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()
    return wg.profile.memory(f)(*args), peak


def only(report, kind):
    found = [a for a in report.advice() if a.kind == kind]
    assert len(found) == 1, [a.what for a in report.advice()]
    return found[0]


def held_to(promised, before, after):
    """What was saved, by the profiler and by tracemalloc, is what was promised."""
    assert before[0].peak - after[0].peak == pytest.approx(promised, rel=TOLERANCE)
    assert before[1] - after[1] == pytest.approx(promised, rel=TOLERANCE)


# ── checkpoints ───────────────────────────────────────────────────────────────


def block(h, w, b):
    a = h @ w + b
    g = np.tanh(a)
    return h + g * np.sin(a)


def network(params, x, layer=block):
    h = x
    for w, b in params:
        h = layer(h, w, b)
    return np.mean(h**2)


def test_a_checkpoint_saves_what_was_promised():
    args = parameters()
    before = measured(wg.value_and_grad(network), *args)
    advice = only(before[0], "checkpoint")
    assert "`block`" in advice.what and "12 calls" in advice.why and advice.severity == "major"
    assert 0 < advice.time < 1 and advice.how.startswith("@wg.checkpoint\ndef block")
    after = measured(wg.value_and_grad(lambda p, x: network(p, x, wg.checkpoint(block))), *args)
    held_to(advice.saves, before, after)
    assert "checkpoint `block`" in str(before[0]) and "saves about" in str(before[0])


def test_each_residual_is_told_what_would_free_it():
    report = wg.profile.memory(wg.value_and_grad(network))(*parameters())
    advice = report.advice()
    told = {
        g.like.line.text: remedy(g.like, advice)
        for g in breakdown.groups(report.at_peak())
        if g.like.role == "residual"
    }
    assert told["g = np.tanh(a)"].startswith("checkpoint `block`") and told["a = h @ w + b"] == told["g = np.tanh(a)"]
    kept = next(
        g.like for g in breakdown.groups(report.at_peak()) if g.like.op == "add" and "return" in g.like.line.text
    )
    assert remedy(kept, advice) == ""  # the result of a block is what a checkpoint of the next one keeps
    assert str(report).count("→ checkpoint `block`") == 3


def split(h, w):
    return [np.tanh(h @ part) for part in np.split(w, 2, axis=1)]


def attention(h, w):
    a, b = split(h, w)
    s = np.exp(a @ b.T / 8.0)
    return s / np.sum(s, axis=1, keepdims=True)


def layer(h, w, b):
    h = attention(h, w) @ h + b
    return h + np.sin(h)


def test_what_a_function_calls_is_freed_with_it():
    """Residuals of functions within, and of comprehensions, whose lines say nothing of who called them."""
    args = parameters(layers=6)
    before = measured(wg.value_and_grad(lambda p, x: network(p, x, layer)), *args)
    advice = {re.search("`(.*)`", a.what)[1]: a for a in before[0].advice() if a.kind == "checkpoint"}
    assert advice["layer"].saves > advice["attention"].saves
    after = measured(wg.value_and_grad(lambda p, x: network(p, x, wg.checkpoint(layer))), *args)
    held_to(advice["layer"].saves, before, after)
    inner = wg.checkpoint(attention)

    def outer(h, w, b):
        h = inner(h, w) @ h + b
        return h + np.sin(h)

    after = measured(wg.value_and_grad(lambda p, x: network(p, x, outer)), *args)
    held_to(advice["attention"].saves, before, after)


def unrolled(params, x):
    h = x
    for w, b in params:
        a = h @ w + b
        g = np.tanh(a)
        h = h + g * np.sin(a)
    return np.mean(h**2)


def test_the_body_of_a_loop():
    args = parameters()
    before = measured(wg.value_and_grad(unrolled), *args)
    advice = only(before[0], "loop")
    assert "in `unrolled`" in advice.what and "12 trips of `for w, b in params:`" in advice.why
    after = measured(
        wg.value_and_grad(lambda p, x: network(p, x, wg.checkpoint(block))), *args
    )  # that body, as a function
    held_to(advice.saves, before, after)


def test_a_loop_over_a_compiled_function():
    layer = wg.jit(lambda h, w, b: h + np.tanh(h @ w + b) * np.sin(h @ w + b))

    def mixed(params, x, layer):
        for w, b in params:
            x = layer(x, w, b)
        return np.mean(x**2)

    args = parameters()
    f, g = (wg.value_and_grad(lambda p, x, h=h: mixed(p, x, h)) for h in (layer, wg.checkpoint(layer)))
    before, after = (wg.profile.memory(h)(*args) for h in (f, g) if h(*args))
    assert before.mode == "mixed" and not [a for a in before.advice() if a.kind == "budget"]
    assert before.peak - after.peak == pytest.approx(only(before, "loop").saves, rel=TOLERANCE)


def test_a_function_that_is_called_once_is_no_checkpoint():
    def once(x):
        return np.sum(np.tanh(np.sin(x) * np.cos(x)))

    report = wg.profile.memory(wg.value_and_grad(once))(np.ones(100_000))
    assert not [a for a in report.advice() if a.kind in ("checkpoint", "loop")]


def simulate(x, w, checkpoint=None):
    def step(c, _):
        c = np.tanh(w @ c) + 0.1 * c
        return c, None

    c, _ = wg.scan(step, x, None, length=400, checkpoint=checkpoint)
    return np.sum(c**2)


@pytest.mark.parametrize("compiled", [False, True])
def test_carries_of_a_scan(compiled):
    rng = np.random.default_rng(0)
    args = rng.normal(size=500), rng.normal(size=(500, 500)) / 25
    transform = (lambda f: wg.jit(wg.grad(f))) if compiled else wg.grad
    f, g = transform(simulate), transform(lambda x, w: simulate(x, w, "sqrt"))
    before, after = (wg.profile.memory(h)(*args) for h in (f, g) if h(*args) is not None)
    advice = only(before, "scan")
    assert 'checkpoint="sqrt"' in advice.how and ("400" in advice.why or "401" in advice.why)
    assert before.peak - after.peak == pytest.approx(advice.saves, rel=TOLERANCE)


def test_a_budget_for_a_compiled_program():
    args = parameters()
    f = wg.jit(wg.value_and_grad(network))
    f(*args)
    before = wg.profile.memory(f)(*args)
    advice = only(before, "budget")
    budget = re.search(r'memory_budget="([^"]+)"', advice.how)[1]
    g = wg.jit(wg.value_and_grad(network), memory_budget=budget)
    g(*args)
    after = wg.profile.memory(g)(*args)
    assert after.peak <= bytes_of(budget) and before.peak - after.peak >= advice.saves * (1 - TOLERANCE)


def elementwise(x):
    return np.sum(np.exp(-(x**2)) * np.sin(3.0 * x) / (1.0 + x * x))


def test_compiling_saves_what_was_predicted():
    x = np.linspace(0, 1, 200_000)
    f = wg.jit(wg.grad(elementwise))
    before = wg.profile.memory(wg.grad(elementwise))(x)
    assert not [a for a in before.advice() if a.kind == "jit"]  # nobody said what compiling would need
    (advice,) = (a for a in before.advice(wg.profile.predict_memory(f, x)) if a.kind == "jit")
    assert advice.severity == "major" and "predicted" in advice.why
    f(x)
    assert before.peak - wg.profile.memory(f)(x).peak == pytest.approx(advice.saves, rel=TOLERANCE)


# ── arrays ────────────────────────────────────────────────────────────────────

SCALE = np.linspace(0.5, 1.5, D)


def scaled(params, x, scale):
    h = x
    for w, b in params:
        h = np.tanh((h @ w + b) * scale)
    return np.mean(h**2)


def test_a_constant_that_widens():
    args = parameters(np.float32)
    before = measured(wg.value_and_grad(lambda p, x: scaled(p, x, SCALE)), *args)
    advice = only(before[0], "precision")
    assert "keep to float32: float64 begins at test_advice.py" in advice.what and "np.float32" in advice.how
    assert "scale" in advice.line.text
    after = measured(wg.value_and_grad(lambda p, x: scaled(p, x, SCALE.astype(np.float32))), *args)
    held_to(advice.saves, before, after)


def test_nothing_is_said_of_programs_in_one_precision():
    for dtype in (np.float32, np.float64):
        report = wg.profile.memory(wg.value_and_grad(lambda p, x: scaled(p, x, 2.0)))(*parameters(dtype))
        assert not [a for a in report.advice() if a.kind == "precision"]


def lingering(x, let_go):
    table = np.outer(x, x) + 1.0
    total = np.sum(table, axis=0)
    if let_go:
        del table
    a = x[:, None] + total[None, :]
    return np.sum(a * 2.0 + a.T)


def test_a_variable_that_lives_too_long():
    x = np.linspace(0, 1, 600)
    before, after = (measured(wg.value_and_grad(lambda x, go=go: lingering(x, go)), x) for go in (False, True))
    advice = only(before[0], "variable")
    assert "`table`" in advice.what and advice.how.startswith("del table") and "np.sum(table" in advice.how
    held_to(advice.saves, before, after)


def reread(x):
    table = np.outer(x, x) + 1.0
    total = np.sum(table, axis=0)
    a = x[:, None] + total[None, :]
    b = np.sum(a * 2.0 + a.T)
    return b + 0.0 * np.linalg.norm(wg.stop_gradient(table))


def test_a_variable_that_the_source_reads_again_is_left_alone():
    report = wg.profile.memory(wg.value_and_grad(reread))(np.linspace(0, 1, 600))
    assert not [a for a in report.advice() if a.kind == "variable" and "`table`" in a.what]


def test_a_tape_that_lives_on():
    kept = []
    x = np.linspace(0, 1, 100_000)

    def run(persistent):
        with wg.GradientTape(persistent=persistent) as tape:
            t = tape.watch(x)
            y = np.sum(np.tanh(np.sin(t)))
        tape.gradient(y, t)
        kept.append(tape)

    before = wg.profile.memory(run)(True)
    advice = only(before, "tape")
    assert "at the end" in advice.what
    after = wg.profile.memory(run)(False)
    assert (before.end - before.begin) - (after.end - after.begin) > 0
    assert not [a for a in after.advice() if a.kind == "tape"]


# ── how calls are told apart ──────────────────────────────────────────────────


def residuals(*numbers):
    return [Holding(8, "residual", f"op{n}", Line("/m.py", n, "f", ""), born=i) for i, n in enumerate(numbers)]


@pytest.mark.parametrize(
    "lines, of",
    [
        ([1, 2, 3, 1, 2, 3], [[1, 2, 3], [1, 2, 3]]),
        ([1, 2, 3, 1, 2], [[1, 2, 3], [1, 2]]),
        ([1, 1, 2, 2, 1, 1, 2, 2], [[1, 1, 2, 2], [1, 1, 2, 2]]),  # two of an op on one line
        ([4, 2, 3, 4, 2, 3], [[4, 2, 3], [4, 2, 3]]),  # a line that is continued upwards
        ([7], [[7]]),
        ([7, 7, 7], [[7], [7], [7]]),
        ([1, 2, 3, 1, 3, 1, 2, 3], [[1, 2, 3], [1, 3], [1, 2, 3]]),  # with a branch
        ([1, 2, 1, 3, 1, 2, 1, 3], [[1, 2, 1, 3], [1, 2, 1, 3]]),
    ],
)
def test_calls(lines, of):
    assert [[h.line.number for h in call] for call in trips.calls(residuals(*lines))] == of


def test_loops_are_found_in_the_source(tmp_path):
    file = tmp_path / "m.py"
    file.write_text(
        "def f(xs):\n    y = 0\n    for x in xs:\n        while y < x:\n            y = y + x\n    def g(z):\n"
        "        return z\n    return sum(g(x) for x in xs)\n\nwg.scan(f, (a, (b)), xs)\nmap(g, xs)\n"
    )
    path = str(file)
    assert [sources.loop(path, "f", n) for n in range(1, 9)] == [0, 0, 3, 3, 3, 0, 0, 8]
    assert (
        sources.loop(path, "g", 7) == 0
        and sources.loop(path, "nothing", 5) == 0
        and sources.loop("/none.py", "f", 3) == 0
    )
    f = sources.reach(path, "f", 2, False)
    assert [Line(path, n, "f") in f for n in (0, 1, 8, 9, 10)] == [False, True, True, False, False]
    assert Line("/other.py", 3, "g") not in f and Line("/other.py", 3, "sum") in f  # `g` is in this file
    assert sources.reach(path, "f", 3, True).ranges == ((3, 5),)
    unknown = sources.reach("/none.py", "f", 1, False)
    assert Line("/none.py", 3, "f") in unknown and Line("/none.py", 3, "g") not in unknown
    assert sources.handed_to(path, "f") == "scan" and sources.handed_to(path, "g") == ""


def test_what_one_op_made_belongs_together():
    made = [Holding(8, "residual", "call", Line("/m.py", 1, "f", ""), born=i // 3) for i in range(12)]
    assert [len(call) for call in trips.calls(made)] == [3, 3, 3, 3]


def test_no_advice_without_anything_held():
    assert MemoryReport("f", "measured", "eager").advice() == []
    assert MemoryReport("f", "measured", "eager", 8, 0, timeline=[Point(0, 8, 8)]).advice() == []
