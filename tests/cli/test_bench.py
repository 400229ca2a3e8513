"""`wengert bench`: measurements, baselines, and the exit status by which a build can be stopped."""

import json

import pytest

from wengert.cli import main

CODE = """
import numpy as np
import time

PAUSE = {pause}

def f(x, y):
    time.sleep(PAUSE)
    return np.sum(np.sin(x) * y)
"""


@pytest.fixture
def script(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def write(pause):
        (tmp_path / "mine.py").write_text(CODE.format(pause=pause))
        return "mine.py:f"

    return write


def bench(*words):
    return main(["bench", *words, "--shapes", "8", "8", "--rounds", "10"])


def test_modes_beside_each_other(script, capsys):
    assert bench(script(0), "--modes", "value,grad", "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in report["rows"]] == ["f", "grad of f"]
    assert report["comparisons"]["grad of f"]["verdict"] == "faster"


def test_a_baseline_is_written_then_held_to(script, capsys):
    assert bench(script(0.001), "--baseline") == 0
    assert "baseline written" in capsys.readouterr().out
    assert bench(script(0.001), "--baseline", "--threshold", "0.5") == 0
    assert bench(script(0.004), "--baseline") == 1
    assert "severe" in capsys.readouterr().out
    assert bench(script(0.004), "--baseline", "--update") == 0
    assert bench(script(0.004), "--baseline", "--threshold", "0.5") == 0


def test_unknown_modes_are_refused(script, capsys):
    assert bench(script(0), "--modes", "value,sideways") == 2
    assert "sideways" in capsys.readouterr().err
