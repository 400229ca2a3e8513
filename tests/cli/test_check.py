"""`wengert check`, as a shell calls it."""

import json
import sys

import pytest

from wengert.cli import main

MODULE = """
import numpy as np
import wengert as wg

SIZE = 3

def good(x, y=2.0):
    return np.sum(np.sin(x) * y)

@wg.custom_vjp
def bad(x):
    return np.sum(x**2)

bad.defvjp(lambda x: (bad(x), x), lambda x, ct: (ct * x,))

def kink(x):
    return np.abs(x).sum()

class Model:
    @staticmethod
    def loss(x):
        return np.sum(x**2)

number = 3
"""


@pytest.fixture
def mine(tmp_path, monkeypatch):
    (tmp_path / "checked_module.py").write_text(MODULE)
    (tmp_path / "broken_module.py").write_text("import nothing_of_this_name")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield "checked_module"
    sys.modules.pop("checked_module", None)


@pytest.mark.parametrize(
    "arguments, status, shown",
    [
        (["checked_module:good", "--shapes", "3"], 0, "RIGHT  derivatives of good(x: float64[3])"),
        (["checked_module.py:good", "--args", "np.ones(SIZE)", "2.0", "--order", "1"], 0, "y: float64[]"),
        (["checked_module:good", "--shapes", "3,4", "()"], 0, "x: float64[3, 4], y: float64[]"),
        (["checked_module:good", "--args", "np.ones(2)", "--kwargs", "y=3"], 0, "(x: float64[2])"),
        (["checked_module:Model.loss", "--shapes", "2", "--modes", "rev", "--method", "mpmath"], 0, "mpmath"),
        (["numpy:linalg.norm", "--shapes", "3"], 0, "derivatives of norm"),
        (["checked_module:bad", "--shapes", "3,2"], 1, "½ times"),
        (["checked_module:kink", "--args", "np.zeros(2)"], 3, "kink"),
    ],
)
def test_verdicts(mine, capsys, arguments, status, shown):
    assert main(["check", *arguments]) == status
    assert shown in capsys.readouterr().out


def test_json(mine, capsys):
    assert main(["check", "checked_module:bad", "--shapes", "3", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["verdict"] == "wrong" and [f["kind"] for f in report["findings"]] == ["wrong rule", "factor"]


def test_seed(mine, capsys):
    errors = []
    for seed in ("1", "1", "2"):
        main(["check", "checked_module:good", "--shapes", "3", "--json", "--seed", seed, "--method", "differences"])
        errors.append([c["error"] for c in json.loads(capsys.readouterr().out)["comparisons"]])
    assert errors[0] == errors[1] != errors[2]


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["good"], "package.module:function"),
        (["nothing_of_this_name:f"], "ModuleNotFoundError"),
        (["broken_module:f"], "cannot load broken_module"),
        (["nothing.py:f"], "no such file"),
        (["checked_module:nope"], "it has good, bad, kink"),
        (["checked_module:number"], "something that can be called"),
        (["checked_module:good"], "missing a required argument: 'x'"),
        (["checked_module:good", "--shapes", "1", "2", "3"], "too many positional arguments"),
        (["checked_module:good", "--args", "np.ones(", "1"], "SyntaxError"),
        (["checked_module:good", "--args", "foo"], "NameError"),
        (["checked_module:good", "--shapes", "a"], "lengths with commas"),
        (["checked_module:good", "--shapes", "3", "--args", "1.0"], "one of them"),
        (["checked_module:good", "--shapes", "3", "--kwargs", "3"], "NAME=EXPRESSION"),
        (["checked_module:good", "--shapes", "3", "--modes", "sideways"], "sideways"),
        (["checked_module:good", "--shapes", "3", "--order", "0"], "order"),
        (["checked_module:good", "--shapes", "3", "--method", "guess"], "complex step"),
        (["checked_module:good", "--args", "np.arange(3)"], "int64"),
        (["checked_module:good", "--args", "'text'"], "a float or complex argument"),
        (["checked_module:kink", "--shapes", "3", "--method", "complex step"], "does not admit a complex step"),
        (["checked_module:Model.loss", "--args", "{'a': 1.0}"], "fails at these arguments"),
    ],
)
def test_usage_errors(mine, capsys, arguments, words):
    assert main(["check", *arguments]) == 2
    said = capsys.readouterr()
    assert words in said.err and not said.out
    assert "Traceback" not in said.err
