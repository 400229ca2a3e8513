"""The report as data, as text, as an exception and as a warning."""

import io
import json
import pickle
import subprocess
import sys

import numpy as np
import pytest
from rich.console import Console

import wengert as wg
from wengert.verify import GradientCheckError, GradientCheckWarning, Report, check_grads

WRONG = wg.custom_vjp(lambda x: np.sum(x**2))
WRONG.defvjp(lambda x: (np.sum(x**2), x), lambda x, ct: (ct * x,))
X = np.array([1.0, -2.0])


def test_error_carries_the_report_and_shows_it():
    with pytest.raises(AssertionError) as caught:
        check_grads(WRONG, X)
    assert isinstance(caught.value, (GradientCheckError, wg.errors.WengertError))
    report = caught.value.report
    assert isinstance(report, Report) and not report and report.verdict == "wrong"
    text = str(caught.value)
    assert text == str(report)
    assert text.startswith("WRONG  derivatives of") and "factor  (order 1, forward and reverse)" in text
    assert "\x1b" not in text, "plain text: pytest shows it as it is"
    assert pickle.loads(pickle.dumps(caught.value)).report.verdict == "wrong"


def test_warning_where_undecided():
    with pytest.warns(GradientCheckWarning, match="UNDECIDED") as caught:
        report = check_grads(np.abs, np.zeros(2))
    assert report.verdict == "undecided" and not report
    assert caught[0].filename == __file__


def test_data_is_json():
    report = check_grads(lambda x: np.sum(np.sqrt(x)), np.array([0.0, 1.0]), raise_exception=False)
    data = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert data["verdict"] == "undecided"
    assert data["findings"][0]["kind"] == "vertical"
    assert {"order", "mode", "reference", "error", "resolution", "status"} == set(data["comparisons"][0])
    assert data["evaluations"] == report.evaluations > 20


def test_terminal():
    report = check_grads(WRONG, X, raise_exception=False)
    console = Console(width=70, record=True, file=io.StringIO())
    console.print(report)
    shown = console.export_text()
    assert "x[1]" in shown and "½ times" in shown
    assert max(map(len, shown.splitlines())) <= 70


def test_names_of_nested_arguments():
    def f(params, *rest):
        return {"a": params["w"][0] @ rest[0], "b": rest[1] * 2}

    fun = wg.custom_vjp(f)
    fun.defvjp(
        lambda *a: (f(*a), a),
        lambda a, ct: ({"w": (np.outer(ct["a"], a[1]) * 3,)}, a[0]["w"][0].T @ ct["a"], 2 * ct["b"]),
    )
    report = check_grads(fun, {"w": (np.ones((2, 2)),)}, X, 3.0, order=1, raise_exception=False)
    assert report.arguments == "params['w'][0]: float64[2, 2], rest[0]: float64[2], rest[1]: float64[]"
    assert [f.kind for f in report.findings] == ["wrong rule", "factor"]
    finding = report.findings[1]
    assert finding.entries[0].output.startswith("output['a'][")
    assert finding.entries[0].input.startswith("params['w'][0][")


def test_importing_the_room_is_cheap():
    """Names load on first use: nothing of the checks, of rich or of mpmath comes with `import wengert.verify`."""
    code = (
        "import sys, wengert, wengert.verify; print([m for m in sys.modules if m.startswith('wengert.verify.') or m in ('rich', 'mpmath')])"
        "; wengert.verify.check_grads; print('wengert.verify.checker.check' in sys.modules, 'mpmath' in sys.modules)"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split("\n")
    assert out[:2] == ["[]", "True False"]


def test_public_names():
    assert set(wg.verify.__all__) <= set(dir(wg.verify))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = wg.verify.nothing
