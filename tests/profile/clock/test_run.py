"""`wengert profile run`."""

from __future__ import annotations

import json

import pytest

from wengert.cli import main
from wengert.profile import TimeReport

SCRIPT = """
import sys
import numpy as np
import wengert as wg

def loss(w, x):
    return (np.tanh(x @ w) ** 2).sum()

if __name__ == "__main__":
    w, x = np.ones((int(sys.argv[1]), 30)), np.ones((20, int(sys.argv[1])))
    step = wg.jit(wg.grad(loss))
    for _ in range(3):
        wg.grad(loss)(w, x)
        step(w, x)
    print("arguments", sys.argv[1:])
    if "--fail" in sys.argv:
        raise SystemExit(7)
"""


@pytest.fixture
def script(tmp_path):
    path = tmp_path / "train.py"
    path.write_text(SCRIPT, encoding="utf-8")
    return path


def test_a_report_and_files(script, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["profile", "run", str(script), "40", "--out", str(out), "--no-peaks"]) == 0
    shown = capsys.readouterr().out
    assert "arguments ['40']" in shown and "matmul" in shown and "train.py" in shown
    report = TimeReport.load(out / "train.time.json")
    assert report.name == "train.py" and {row.name for row in report.rows} >= {"matmul", "tanh"}
    assert [program.calls for program in report.programs] == [3]
    assert json.loads((out / "train.trace.json").read_text())["traceEvents"]
    assert (out / "train.time.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_the_status_and_arguments_are_the_scripts(script, capsys):
    assert main(["profile", "run", str(script), "--no-peaks", "--json", "--", "25", "--fail"]) == 7
    shown = capsys.readouterr().out
    assert "arguments ['25', '--fail']" in shown
    data = json.loads(shown[shown.index("{") :])
    assert data["schema"] == 1 and any("status 7" in note for note in data["notes"])


def test_memory_too(script, tmp_path, capsys):
    trace = tmp_path / "trace.json"
    assert main(["profile", "run", str(script), "30", "--memory", "--no-peaks", "--trace", str(trace)]) == 0
    counters = [e for e in json.loads(trace.read_text())["traceEvents"] if e["ph"] == "C"]
    assert counters and max(e["args"]["bytes"] for e in counters) >= 30 * 30 * 8
    assert "peak" in capsys.readouterr().out


def test_a_script_that_is_not_there(tmp_path, capsys):
    assert main(["profile", "run", str(tmp_path / "none.py"), "--no-peaks"]) == 2
    assert "none.py" in capsys.readouterr().err
