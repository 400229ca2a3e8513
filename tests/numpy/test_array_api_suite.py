"""`tests/array_api/run.py`, on a suite of a few tests which stands in for the official one."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parents[1] / "array_api"
spec = importlib.util.spec_from_file_location("array_api_run", HERE / "run.py")
script = importlib.util.module_from_spec(spec)
sys.modules["array_api_run"] = script  # dataclasses look their module up
spec.loader.exec_module(script)

CONFTEST = """
def pytest_addoption(parser):
    for name in ("--max-examples", "--xfails-file"):
        parser.addoption(name)
    for name in ("--disable-deadline", "--derandomize"):
        parser.addoption(name, action="store_true")
"""
INIT = """
import importlib, os
name = os.environ["ARRAY_API_TESTS_MODULE"]
scope = {}
exec(name[6:-2] if name.startswith("exec(") else f"import {name} as xp", scope)
xp = scope["xp"]
"""
TESTS = """
import statistics
import pytest
from hypothesis import given, settings, strategies as st
from array_api_tests import xp


@given(st.integers(0, 3), st.data())
@settings(max_examples=5, deadline=None)
def test_sum(n, data):
    x = xp.asarray([data.draw(st.floats(0, 1)) for _ in range(n)], dtype=xp.float64)
    assert 0 <= float(xp.sum(x)) <= n


@pytest.mark.parametrize("shape", [(), (0,), (1, 2)])
def test_sine(shape):
    assert xp.sin(xp.ones(shape)).shape == shape


def test_integers():
    assert int(xp.sum(xp.asarray([1, 2]))) == 3


def test_that_fails():
    assert float(xp.ones(3)[0]) == 2.0


def test_looks():
    x = xp.asarray(0.5)
    assert float(x) == 0.5
    if type(x).__name__ == "Tensor":
        with pytest.raises(Exception, match="float"):
            statistics.fmean([x])  # code that is not the suite's


def test_skipped():
    pytest.skip("not here")
"""
ALL = """test_sum test_sine[shape0] test_sine[shape1] test_sine[shape2] test_integers test_that_fails
test_looks test_skipped""".split()


def name(test):
    return f"array_api_tests/test_small.py::{test}"


@pytest.fixture(scope="module")
def suite(tmp_path_factory):
    folder = tmp_path_factory.mktemp("suite")
    files = {
        "conftest.py": CONFTEST,
        "pytest.ini": "[pytest]\n",
        "array_api_tests/__init__.py": INIT,
        "array_api_tests/test_small.py": TESTS,
        "array-api/spec/2024.12/x": "",
        "array-api/src/array_api_stubs/x": "",
    }
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


def ran(mode, suite, *more):
    return script.run(mode, suite, script.parser().parse_args(["--suite", str(suite), *more]))


@pytest.mark.parametrize("mode", ["plain", "grad", "jvp"])
def test_a_run_tells_what_became_of_each_test(mode, suite):
    seen = ran(mode, suite)
    assert set(seen.outcomes) == set(map(name, ALL))
    assert seen.of("failed") == [name("test_that_fails")]
    assert seen.of("skipped") == [name("test_skipped")]
    assert "not here" in seen.outcomes[name("test_skipped")]["reason"]
    if mode == "plain":
        assert not seen.counts
    else:  # pullbacks and tangents of what the tests call
        assert seen.counts[f"{mode} sin"] == 3
        assert seen.counts[f"{mode} reduce_sum"] >= 2


def test_a_run_that_cannot_start_says_what_pytest_says(suite):
    with pytest.raises(script.Unready, match="Wrong expression"):
        script.run("plain", suite, script.parser().parse_args(["--suite", str(suite), "--select", "("]))


def test_wrong_rules_fail_the_run(suite, tmp_path, monkeypatch):
    """A pullback that is broken in the process of the suite makes tests fail inside gradients, and there alone."""
    (tmp_path / "sitecustomize.py").write_text(
        "import wengert.numpy\n"
        "from wengert.core.op import OPS\n"
        "OPS['sin'].pullback = lambda ct, ins, xs, out: (ct.sum(),)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    assert ran("plain", suite).of("failed") == [name("test_that_fails")]
    seen = ran("grad", suite)
    wrong = [name(f"test_sine[shape{i}]") for i in (1, 2)]
    assert seen.of("failed") == [*wrong, name("test_that_fails")]
    assert "cotangent of sin: float64[], and not float64[1, 2]" in seen.outcomes[wrong[1]]["reason"]


# ── what is said of the runs ──────────────────────────────────────────────────


def verdict(listed=(), **failed):
    tests = ("a", "b", "c")
    return script.Verdict(
        {
            mode: script.Run(mode, {t: {"outcome": "failed" if t in lost else "passed", "reason": "x"} for t in tests})
            for mode, lost in failed.items()
        },
        list(listed),
    )


def test_failures_are_held_against_the_list_and_the_peer():
    found = verdict("b", peer="a", plain="ab", grad="abc")
    assert (found.unexpected("plain"), found.unexpected("grad"), found.unexpected("peer")) == (["a"], ["a", "c"], [])
    assert (found.beyond_peer("plain"), found.beyond_peer("grad")) == (["b"], ["b", "c"])
    assert not found.good
    assert not found.stale()
    assert verdict("ab", peer="", plain="ab").good
    assert verdict("ab", plain="ab").beyond_peer("plain") == []


def test_listed_tests_that_pass_are_stale():
    assert verdict("ab", plain="a", grad="").stale() == ["b"]
    assert verdict("ab", plain="a", grad="b").stale() == []
    assert verdict(["gone"], plain="").stale() == ["gone"]
    assert verdict("a", plain="").good  # said, and no failure


def test_tests_that_one_mode_did_not_run_are_missed():
    found = verdict(plain="", grad="")
    del found.runs["grad"].outcomes["b"]
    assert found.missing() == {"grad": ["b"]}
    assert not found.good


def test_the_data_are_json():
    data = json.loads(json.dumps(verdict("b", peer="a", plain="ab").data()))
    assert data["modes"]["plain"]["unexpected"] == ["a"]
    assert data["modes"]["plain"]["failed"] == {"a": "x", "b": "x"}


def test_the_list_of_exceptions_is_read():
    listed = script.read_exceptions(script.EXCEPTIONS)
    assert len(listed) == len(set(listed)) > 0
    assert all(t.startswith("array_api_tests/test_") and "::" in t for t in listed)


# ── what a run needs ──────────────────────────────────────────────────────────


def test_an_incomplete_checkout_is_explained(suite, tmp_path):
    script.check_checkout(suite, "2024.12")
    with pytest.raises(script.Unready, match="git clone"):
        script.check_checkout(tmp_path, "2024.12")
    (tmp_path / "array_api_tests").mkdir()
    (tmp_path / "array_api_tests" / "__init__.py").touch()
    with pytest.raises(script.Unready, match="submodule update --init"):
        script.check_checkout(tmp_path, "2024.12")
    with pytest.raises(script.Unready, match=r"2031\.12 of the standard, only 2024\.12"):
        script.check_checkout(suite, "2031.12")


def test_missing_requirements_are_named(monkeypatch):
    monkeypatch.setattr(script.importlib.util, "find_spec", lambda module: None)
    with pytest.raises(
        script.Unready, match=r"pip install pytest hypothesis ndindex pytest-json-report array-api-compat$"
    ):
        script.check_requirements(["peer"], 1)
    with pytest.raises(script.Unready, match=r"pytest-json-report pytest-xdist$"):
        script.check_requirements(["plain"], 2)


def test_the_command_ends_with_status_2_where_it_cannot_run(tmp_path, capsys):
    assert script.main(["--suite", str(tmp_path)]) == 2
    assert "no checkout of array-api-tests" in capsys.readouterr().err


def test_the_command_prints_failures_and_writes_json(suite, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(script, "check_requirements", lambda modes, jobs: None)
    out = tmp_path / "out.json"
    assert (
        script.main(["--suite", str(suite), "--mode", "grad", "--select", "that_fails or sine", "--json", str(out)])
        == 1
    )
    shown = capsys.readouterr().out
    assert "FAILED grad array_api_tests/test_small.py::test_that_fails" in shown
    assert json.loads(out.read_text())["modes"]["grad"]["tests"] == 4
