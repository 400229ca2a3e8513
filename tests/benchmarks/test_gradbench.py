"""The tool for the GradBench suite: its answers against the suite's and against oracles, its protocol, its table.

`gradbench.json` holds small inputs and what the suite itself gives for them: its C++ tool `manual`, and for particle and
saddle the numbers in its validators. The gradient of ode is a formula there, exact where ours is that of 300 steps.
"""

import copy
import importlib
import io
import json
import math
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
compare, evals, function, oracles, processes, suite, tool = (
    importlib.import_module(f"benchmarks.gradbench.{m}")
    for m in "compare evals function oracles processes suite tool".split()
)
CASES = json.loads(Path(__file__).with_name("gradbench.json").read_text())
TOLERANCE = {"particle": 1e-9, "saddle": 1e-9, "ode": 1e-8}


def name(case):
    sizes = {"det": "ell", "ht": "us"}.get(case["eval"])
    size = case["input"][sizes] if sizes else ""
    return f"{case['eval']}-{case['function']}-{len(size) if isinstance(size, list) else size}"


def numbers(output):
    if isinstance(output, dict):
        return np.concatenate([numbers(output[key]) for key in sorted(output)])
    return np.concatenate([numbers(o) for o in output]) if isinstance(output, list) else np.array([float(output)])


@pytest.fixture(scope="module")
def answers():
    """What our functions give, each computed once."""
    kept = {}

    def answer(i):
        if i not in kept:
            case = CASES[i]
            f = evals.functions(case["eval"])[case["function"]]
            kept[i] = json.loads(json.dumps(f.answer(f.run(*f.prepare(case["input"])))))
        return kept[i]

    return answer


@pytest.mark.parametrize("i", range(len(CASES)), ids=[name(c) for c in CASES])
def test_answers(i, answers):
    case, mine = CASES[i], answers(i)
    right, got = numbers(case["output"]), numbers(mine)
    assert got.shape == right.shape
    tolerance = TOLERANCE.get(case["eval"], 1e-11)
    assert np.all(np.abs(got - right) <= tolerance * (np.abs(right) + 1e-3 * np.max(np.abs(right))))
    oracles.check(case["eval"], case["function"], case["input"], mine)


def test_every_function_of_the_suite_is_there():
    expected = {
        "hello": "square double", "ba": "objective jacobian", "det": "primal gradient", "gmm": "objective jacobian",
        "ht": "objective jacobian", "kmeans": "cost dir", "llsq": "primal gradient", "lse": "primal gradient",
        "lstm": "objective jacobian", "ode": "primal gradient", "particle": "ff fr rf rr", "saddle": "ff fr rf rr",
    }  # fmt: skip
    assert {e: set(evals.functions(e)) for e in evals.NAMES} == {e: set(f.split()) for e, f in expected.items()}
    assert {(c["eval"], c["function"]) for c in CASES} == {(e, f) for e in expected for f in expected[e].split()}


def test_ode_gradient_that_does_not_vanish():
    """The suite's workloads have more components than order reached, so their gradients are zero."""
    f = evals.functions("ode")["gradient"]
    input = {"x": list(np.linspace(0.5, 2, 12)), "s": 9}
    gradient = f.answer(f.run(*f.prepare(input)))
    assert min(gradient) > 0
    oracles.check("ode", "gradient", input, gradient)


def test_a_mirrored_hand():
    """Where the suite's C++ tool forgets the mirror in its Jacobian."""
    input = copy.deepcopy(next(c["input"] for c in CASES if c["eval"] == "ht" and c["input"]["us"]))
    input["data"]["model"]["is_mirrored"] = True
    for name, f in evals.functions("ht").items():
        oracles.check("ht", name, input, f.answer(f.run(*f.prepare(input))))


# ── oracles ───────────────────────────────────────────────────────────────────


def floats(output, path=()):
    """The places of the numbers in an output."""
    if isinstance(output, dict):
        for key in output:
            yield from floats(output[key], (*path, key))
    elif isinstance(output, list):
        for i in range(len(output)):
            yield from floats(output[i], (*path, i))
    elif isinstance(output, float):
        yield path


def changed(output, path, change):
    if not path:
        return change(output)
    output = copy.deepcopy(output)
    inner = output
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = change(inner[path[-1]])
    return output


@pytest.mark.parametrize(
    "change", [lambda v: math.nan, lambda v: math.inf, lambda v: v + 1e-3 * (1e-9 + abs(v)), lambda v: -v]
)
@pytest.mark.parametrize("i", range(len(CASES)), ids=[name(c) for c in CASES])
def test_oracles_notice(i, change):
    """Any one number changed by a thousandth. (A thousandth of the largest of all where it is smaller.)"""
    case = CASES[i]
    places = list(floats(case["output"]))
    largest = max(abs(v) for v in numbers(case["output"]))
    if case["eval"] == "ode" and case["function"] == "gradient":
        pytest.skip("the suite's number is that of another problem, the exact solution")
    for place in [places[0], places[len(places) // 2], places[-1]]:
        old = case["output"]
        for key in place:
            old = old[key]
        wrong = changed(case["output"], place, change)
        if change(old) == old or abs(change(old) - old) < 1e-7 * largest:
            continue
        with pytest.raises(oracles.Wrong):
            oracles.check(case["eval"], case["function"], case["input"], wrong)


@pytest.mark.parametrize("i", range(len(CASES)), ids=[name(c) for c in CASES])
def test_oracles_agree_with_the_suite(i):
    case = CASES[i]
    if case["eval"] == "ode" and case["function"] == "gradient":
        pytest.skip("the suite's number is that of another problem, the exact solution")
    oracles.check(case["eval"], case["function"], case["input"], case["output"])


def test_zeros_are_wrong_where_derivatives_are_tiny():
    x = list(np.random.default_rng(0).random(20_000))
    with pytest.raises(oracles.Wrong):
        oracles.check("lse", "gradient", {"x": x}, [0.0] * len(x))
    with pytest.raises(oracles.Wrong):
        oracles.check("ode", "gradient", {"x": [0.1] * 12, "s": 9}, [0.0] * 12)


# ── the protocol ──────────────────────────────────────────────────────────────


def conversation(*messages):
    out = io.StringIO()
    lines = [json.dumps({"id": i} | m) for i, m in enumerate(messages)]
    tool.Tool("wengert", evals.functions).serve(lines, out)
    return [json.loads(line) for line in out.getvalue().splitlines()]


def test_a_conversation():
    input = {"x": [1.0, 2.0, 3.0], "min_runs": 3, "min_seconds": 0}
    asked = {"kind": "evaluate", "module": "lse", "function": "gradient", "input": input}
    answers = conversation(
        {"kind": "start", "eval": "lse"}, {"kind": "define", "module": "lse"}, asked,
        {"kind": "analysis", "of": 2, "valid": True}, {"kind": "end"},
    )  # fmt: skip
    assert [a["id"] for a in answers] == [0, 1, 2, 3, 4]
    assert answers[0]["tool"] == "wengert" and answers[1]["success"]
    assert answers[2]["success"] and abs(sum(answers[2]["output"]) - 1) < 1e-12
    names = [t["name"] for t in answers[2]["timings"]]
    assert names == ["prepare", "compile", "evaluate", "evaluate", "evaluate"]
    assert all(isinstance(t["nanoseconds"], int) and t["nanoseconds"] > 0 for t in answers[2]["timings"])


def test_runs_fill_the_seconds_asked_for():
    (answer,) = conversation(
        {
            "kind": "evaluate",
            "module": "lse",
            "function": "primal",
            "input": {"x": [0.5], "min_runs": 1, "min_seconds": 0.02},
        }
    )
    took = [t["nanoseconds"] for t in answer["timings"] if t["name"] == "evaluate"]
    assert len(took) > 1 and sum(took) >= 0.02e9 > sum(took[:-1])


@pytest.mark.parametrize("message", [
    {"kind": "define", "module": "none"},
    {"kind": "evaluate", "module": "none", "function": "primal", "input": {}},
    {"kind": "evaluate", "module": "lse", "function": "none", "input": {"x": [1.0]}},
    {"kind": "evaluate", "module": "lse", "function": "primal", "input": {}},
])  # fmt: skip
def test_what_is_not_there_fails_and_says_so(message):
    (answer,) = conversation(message)
    assert answer["success"] is False and "KeyError" in answer["error"]


def test_as_a_process():
    import os

    env = os.environ | {"PYTHONPATH": str(ROOT)}
    core = min(os.sched_getaffinity(0))
    worker = processes.Worker([sys.executable, "-m", "benchmarks.gradbench"], env, core, 60.0)
    try:
        output, timings = worker.run(suite.Workload("hello", "double", "", 1.5, None), 0.0)
        assert output == 3.0 and timings[-1]["name"] == "evaluate"
        with pytest.raises(processes.Failed, match="no such eval"):
            worker.run(suite.Workload("none", "double", "", 1.5, None), 0.0)
    finally:
        worker.close()


# ── the table ─────────────────────────────────────────────────────────────────


def row(eval, function, **seconds):
    return compare.Row(suite.Workload(eval, function, "small", {}, None), seconds)


def test_table():
    rows = [
        row("ba", "jacobian", wengert=1e-3, manual=2e-3),
        row("lse", "gradient", wengert=8e-3, manual=4e-3, jax=16e-3),
    ]
    rows.append(row("ode", "gradient", wengert=1.0, manual=1e-6))
    text = compare.lines(rows, ["wengert", "manual", "jax"], markdown=True)
    assert text[2].split("|")[1:8] == [" ba jacobian small ", " 1 ", " 2 ", "  ", " 0.5 ", "  ", "  "]
    said = compare.summary(rows, ["manual", "jax"])
    assert "geometric mean 1 over 2 workloads; worst 2 (lse gradient small)" in said[0]  # ode's is a formula
    assert "geometric mean 0.5 over 1" in said[1]


def test_what_does_not_pass_is_said():
    wrong = suite.Workload("hello", "double", "", 1.5, lambda *_: SimpleNamespace(valid=True, error=None))
    assert compare.judged(ROOT, wrong, 3.0) == []
    assert "finite" in compare.judged(ROOT, wrong, math.nan)[0]
    refused = suite.Workload("hello", "double", "", 1.5, lambda *_: SimpleNamespace(valid=False, error="a\nb"))
    assert compare.judged(ROOT, refused, 3.0) == ["not valid: b"]


# ── a checkout ────────────────────────────────────────────────────────────────

RUN = """
import argparse
from gradbench.eval import SingleModuleValidatedEval
def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-n", type=int, default=2)
    n = parser.parse_args().n
    e = SingleModuleValidatedEval(module="lse", validator=lambda function, input, output: None)
    e.start(config={})
    if e.define().success:
        e.evaluate(function="primal", input={"x": [0.0] * n}, description=f"n={n}")
        e.evaluate(function="gradient", input={"x": [0.0] * n}, description=f"n={n}")
"""
PEER = """
from gradbench import wrap
@wrap.multiple_runs(pre=lambda input: input["x"], post=lambda y: [y])
def gradient(x):
    return sum(x)
"""
MANUAL = """#!/bin/sh
echo '[0.5, 0.5]'
echo '{"name": "prepare", "nanoseconds": 5}'
echo '{"name": "evaluate", "nanoseconds": 70}'
"""


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """As much of the suite as is needed: one eval, one tool in Python, one in C++."""
    package = tmp_path / "python" / "gradbench" / "gradbench"
    program = tmp_path / "tools" / "manual" / "bin" / "lse"
    for path, text in (
        (package / "evals" / "lse" / "run.py", RUN),
        (package / "tools" / "torch" / "lse.py", PEER),
        (package / "eval.py", "SingleModuleValidatedEval = None\n"),
        (package / "__init__.py", ""),
        (package / "wrap.py", ""),
        (program, MANUAL),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    program.chmod(0o755)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    for loaded in [m for m in sys.modules if m.split(".")[0] == "gradbench"]:
        del sys.modules[loaded]


def test_workloads_are_those_of_the_evals(checkout):
    where = Path.cwd()
    found = suite.workloads(checkout, "lse", ["-n", "3"])
    assert [w.name for w in found] == ["lse primal n=3", "lse gradient n=3"]
    assert found[0].input == {"x": [0.0, 0.0, 0.0]} and Path.cwd() == where


def test_a_checkout_that_is_not_one_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", [p for p in sys.path if "gradbench" not in p])
    with pytest.raises(suite.Incomplete, match="pydantic"):
        suite.workloads(tmp_path, "lse", [])


def test_programs_of_the_checkout(checkout):
    import os

    manual = processes.Manual(checkout, min(os.sched_getaffinity(0)), 10.0)
    output, timings = manual.run(suite.Workload("lse", "gradient", "", {"x": [0.0, 0.0]}, None), 0.0)
    assert output == [0.5, 0.5] and timings[1] == {"name": "evaluate", "nanoseconds": 70}
    with pytest.raises(processes.Failed, match="not there"):
        manual.run(suite.Workload("ba", "jacobian", "", {}, None), 0.0)


def test_peers_are_waited_for(checkout):
    peer = importlib.import_module("benchmarks.gradbench.peer")
    sys.path.insert(0, str(checkout / "python" / "gradbench"))
    waited = []
    peer.decorate(lambda result: waited.append(result) or result)
    functions = peer.load("torch", "lse")
    out = tool.measured(functions["gradient"], {"x": [1.0, 2.0], "min_runs": 2})
    assert out["output"] == [3.0] and waited == [3.0, 3.0, 3.0]
    assert [t["name"] for t in out["timings"]] == ["prepare", "compile", "evaluate", "evaluate"]
