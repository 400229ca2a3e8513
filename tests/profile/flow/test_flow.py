"""`GradientFlow` on networks whose illness is known, and its figures against NumPy's own."""

import json
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

import wengert as wg
from wengert import nn
from wengert.core import events
from wengert.profile.flow.statistics import Signal, Summary

RNG = np.random.default_rng(0)
DEPTH, WIDTH = 10, 24


def net(scale):
    return {
        "w": [scale * RNG.normal(size=(WIDTH, WIDTH)) / np.sqrt(WIDTH) for _ in range(DEPTH)],
        "out": RNG.normal(size=(WIDTH, 1)),
    }


def loss_of(activation):
    def loss(p, x, y):
        h = x
        for w in p["w"]:
            h = activation(h @ w)
        return np.mean((h @ p["out"] - y) ** 2)

    return loss


def watched(p, loss, *, steps=6, rate=1e-3, wrap=lambda f: f, **how):
    gradient = wrap(wg.value_and_grad(loss))
    flow = wg.profile.GradientFlow(p, **how)
    rng = np.random.default_rng(1)
    for _ in range(steps):
        x = rng.normal(size=(40, WIDTH))
        with flow:
            _, g = gradient(p, x, np.sin(x.sum(1, keepdims=True)))
        p = {"w": [w - rate * d for w, d in zip(p["w"], g["w"], strict=True)], "out": p["out"] - rate * g["out"]}
    return flow.report(), g


def kinds(report):
    return {f.kind for f in report.findings}


# ── figures ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("wrap", [lambda f: f, wg.jit])
def test_gradients_are_those_the_loop_saw(wrap):
    report, last = watched(net(1.0), loss_of(np.tanh), wrap=wrap)
    assert report.steps == 6
    by_name = {p.name: p for p in report.parameters}
    assert list(by_name) == ["params['out']", *(f"params['w'][{i}]" for i in range(DEPTH))]
    for i, g in enumerate(last["w"]):
        assert by_name[f"params['w'][{i}]"].course[-1] == pytest.approx(np.sqrt(np.mean(g**2)), rel=1e-9)
    assert all(0 < p.update < 1e-2 for p in report.parameters)
    assert not kinds(report) & {"vanishing", "exploding", "dead", "disconnected", "nonfinite"}


def test_ops_have_values_cotangents_and_what_they_read():
    x = np.linspace(-2.0, 2.0, 7)

    def f(x):
        y = np.sin(x)
        return np.sum(y * y)

    flow = wg.profile.GradientFlow(x)
    with flow:
        wg.grad(f)(x)
    sine, square, total = flow.report().ops
    assert [op.op for op in (sine, square, total)] == ["sin", "mul", "reduce_sum"]
    assert sine.forward == pytest.approx(np.sqrt(np.mean(np.sin(x) ** 2)))
    assert sine.backward == pytest.approx(np.sqrt(np.mean((2 * np.sin(x)) ** 2)))
    assert square.backward == 1.0
    assert sine.reads == ["params"] and square.reads == [sine.number] and total.reads == [square.number]
    assert sine.line.function == "f" and "np.sin" in sine.line.text


def test_a_parameter_used_twice_has_the_sum():
    w = np.array([1.0, 2.0, 3.0])
    flow = wg.profile.GradientFlow({"w": w})
    with flow:
        g = wg.grad(lambda p: np.sum(p["w"] ** 3) + np.sum(5.0 * p["w"]))({"w": w})["w"]
    assert flow.report().parameters[0].gradient == pytest.approx(np.sqrt(np.mean((3 * w**2 + 5) ** 2)))
    np.testing.assert_allclose(g, 3 * w**2 + 5)


def test_tapes_and_whole_loops_count_their_sweeps():
    x = np.ones(3)
    flow = wg.profile.GradientFlow()
    with flow:
        for _ in range(3):
            with wg.GradientTape() as tape:
                t = tape.watch(x)
                y = np.sum(t * t)
            tape.gradient(y, t)
            with wg.GradientTape() as tape:
                t = tape.watch(x)
                tape.gradient(np.sum(t * t), t)
    report = flow.report()
    assert report.steps == 6 and report.parameters[0].name == "input 0"


def test_every_so_many_blocks_are_looked_at():
    report, _ = watched(net(1.0), loss_of(np.tanh), steps=7, every=3)
    assert report.steps == 3


def test_summary_of_arrays():
    x = np.array([0.0, 3.0, -4.0, np.nan, np.inf])
    found = Summary.of(x)
    assert found.rms == pytest.approx(np.sqrt(25 / 3)) and found.largest == 4.0
    assert found.zeros == pytest.approx(0.2) and found.nonfinite == pytest.approx(0.4)
    assert Summary.of(np.full(4, 1e30, np.float32)).rms == pytest.approx(1e30)
    assert Summary.of(np.zeros((0, 3))).size == 0


def test_signal_to_noise_of_known_noise():
    rng, signal = np.random.default_rng(2), Signal()
    mean = np.full(400, 0.5)
    for _ in range(400):
        signal.add(mean + rng.normal(size=400))
    assert signal.to_noise == pytest.approx(0.5, rel=0.05)  # ‖mean‖ = 0.5·20 over √trace = 20
    noise = Signal()
    for _ in range(400):
        noise.add(rng.normal(size=400))
    assert noise.to_noise < 0.02


# ── findings ──────────────────────────────────────────────────────────────────


def finding(report, kind):
    return next(f for f in report.findings if f.kind == kind)


def test_vanishing_with_depth():
    report, _ = watched(net(0.2), loss_of(np.tanh))
    found = finding(report, "vanishing")
    assert found.severity == "major" and f"{DEPTH} runs" in found.where and "normalise" in found.advice


def test_exploding_with_depth():
    report, _ = watched(net(8.0), loss_of(lambda h: 1.0 * h), rate=0.0)
    assert finding(report, "exploding").severity in ("major", "minor")


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_steps_that_are_too_long():
    report, _ = watched(net(1.0), loss_of(lambda h: 1.1 * h), rate=0.5, steps=12)
    assert kinds(report) & {"exploding", "nonfinite"}
    assert report.findings[0].severity == "critical"


def test_saturated():
    report, _ = watched(net(200.0), loss_of(np.tanh), rate=0.0)
    found = finding(report, "saturated")
    assert found.severity == "major" and "tanh" in found.where and found.also


def test_dead_units():
    report, _ = watched(net(1.0), loss_of(lambda h: nn.relu(h - 3.0)), rate=0.0)
    assert any("units were 0" in f.what for f in report.findings if f.kind == "dead")
    alive, _ = watched(net(0.3), loss_of(lambda h: nn.relu(h + 1.0)), rate=0.0)
    assert "dead" not in kinds(alive)


def test_disconnected():
    p = {"used": np.ones(3), "unused": np.ones(2)}
    flow = wg.profile.GradientFlow(p)
    with flow:
        wg.grad(lambda p: np.sum(p["used"] ** 2) + np.sum(wg.stop_gradient(p["unused"])))(p)
    found = finding(flow.report(), "disconnected")
    assert found.where == "params['unused']" and found.severity == "major"


def test_nonfinite_names_the_line_that_came_first():
    def f(x):
        y = np.log(x)
        return np.sum(y * 2.0)

    flow = wg.profile.GradientFlow()
    with flow, np.errstate(all="ignore"):
        wg.grad(f)(np.array([1.0, -1.0]))
    found = flow.report().findings[0]
    assert found.severity == "critical" and found.where.startswith("log at") and "detect_anomaly" in found.advice


def test_a_healthy_network_has_no_findings_but_small_ones():
    report, _ = watched(net(1.0), loss_of(lambda h: h + 0.1 * np.tanh(h)), rate=1e-3)
    assert not [f for f in report.findings if f.severity in ("critical", "major")], str(report)


# ── manners ───────────────────────────────────────────────────────────────────


def test_nothing_stays_on_after_an_error():
    flow = wg.profile.GradientFlow()

    def fails(x):
        raise KeyError("mine")

    with pytest.raises(KeyError), flow:
        wg.grad(fails)(1.0)
    assert wg.config.jit and wg.config.compiled_backward
    assert not any(events.KINDS[kind] for kind in ("recorded", "cotangent", "swept", "watched"))
    with flow:
        wg.grad(np.sin)(1.0)
    assert flow.report().steps == 1


def test_gradients_are_not_changed_by_being_watched():
    p, x = net(1.0), RNG.normal(size=(40, WIDTH))
    gradient = wg.grad(loss_of(lambda h: nn.relu(h) + h * np.exp(-h * h)))
    with wg.config.override(compiled_backward=False):
        plain = gradient(p, x, np.ones((40, 1)))
    with wg.profile.GradientFlow(p):
        seen = gradient(p, x, np.ones((40, 1)))
    for a, b in zip([*plain["w"], plain["out"]], [*seen["w"], seen["out"]], strict=True):
        np.testing.assert_array_equal(a, b)


def test_second_derivatives_count_as_steps_and_what_is_within_is_told():
    flow = wg.profile.GradientFlow()
    with flow:
        h = wg.hessian(lambda x: np.sum(x**3))(np.array([1.0, 2.0]))
    np.testing.assert_allclose(h, np.diag([6.0, 12.0]))
    if not flow.steps:
        with pytest.warns(UserWarning, match="no backward pass"):
            flow.report()


def test_without_steps_it_says_so():
    with pytest.warns(UserWarning, match="no backward pass"):
        assert not wg.profile.GradientFlow().report().findings


# ── shown and saved ───────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def sick():
    return watched(net(0.2), loss_of(np.tanh))[0]


def test_text_and_json(sick, tmp_path):
    assert ("params['w'][3]" in str(sick) and "vanish" not in str(sick)) or "shrinks" in str(sick)
    sick.save(tmp_path / "flow.json")
    assert wg.profile.FlowReport.load(tmp_path / "flow.json") == sick
    with pytest.raises(ValueError, match="schema"):
        wg.profile.FlowReport.from_dict({**json.loads((tmp_path / "flow.json").read_text()), "schema": 7})


def test_the_picture_has_every_op_and_parameter(sick, tmp_path):
    root = ElementTree.fromstring(sick.svg(tmp_path / "flow.svg"))
    boxes = [g for g in root if g.tag.endswith("}g")]
    assert len(boxes) == len(sick.ops) + len(sick.parameters)
    edges = [p for p in root if p.tag.endswith("}path")]
    assert len(edges) == sum(len(set(op.reads)) for op in sick.ops)
    xs = [(r.get("x"), r.get("y")) for g in boxes for r in g if r.tag.endswith("rect")]
    assert len(set(xs)) == len(boxes)  # none lies on another


def test_long_programs_are_drawn_by_lines():
    def f(x):
        for _ in range(300):
            x = np.sin(x) * 1.01
        return np.sum(x)

    flow = wg.profile.GradientFlow()
    with flow:
        wg.grad(f)(np.ones(3))
    report = flow.report()
    assert len(report.ops) == 601
    root = ElementTree.fromstring(report.svg())
    assert len([g for g in root if g.tag.endswith("}g")]) < 10


def test_the_page_stands_alone_and_escapes(tmp_path):
    flow = wg.profile.GradientFlow({"<script>": np.ones(2)})
    with flow:
        wg.grad(lambda p: np.sum(p["<script>"] ** 2))({"<script>": np.ones(2)})
    flow.report().html(tmp_path / "flow.html")
    text = (tmp_path / "flow.html").read_text()
    assert "<script" not in text and "&lt;script&gt;" in text
    assert "http://www.w3.org/2000/svg" in text and text.count("http") == 1  # a namespace, no address
