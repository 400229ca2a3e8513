"""A time report as data, in a terminal and as a page."""

from __future__ import annotations

import io
import json
import re

import numpy as np
import pytest
from rich.console import Console

import wengert as wg
from wengert.profile import TimeReport, time
from wengert.profile.clock.report import Row
from wengert.profile.clock.roofline import picture
from wengert.profile.footprint.report import Line
from wengert.runtime import engine


def loss(w, x):
    return (np.tanh(x @ w) ** 2).sum()


@pytest.fixture
def reports(machine):
    w, x = np.ones((80, 80)) / 80, np.ones((50, 80))
    engine.forget()
    with wg.config.override(compiled_backward=False):
        return [time(f, calls=3, machine=machine)(w, x) for f in (wg.grad(loss), wg.jit(wg.grad(loss)))]


def test_saved_and_read_again(reports, tmp_path):
    for report in reports:
        report.save(tmp_path / "a.json")
        again = TimeReport.load(tmp_path / "a.json")
        assert again.to_dict() == report.to_dict()
        assert str(again) == str(report)


def test_the_json_has_what_it_promises(reports):
    data = json.loads(json.dumps(reports[1].to_dict()))
    assert {"schema", "name", "wall", "cpu", "calls", "parts", "rows", "programs", "stages", "machine", "first"} <= set(
        data
    )
    (program,) = data["programs"]
    kernel = program["kernels"][0]
    assert {"kind", "name", "phase", "lines", "calls", "seconds", "mean", "cpu", "flops", "bytes", "gflops", "gbytes",
            "intensity", "fraction", "bound", "ops", "first"} <= set(kernel)  # fmt: skip
    assert kernel["lines"][0]["function"] == "loss"
    assert data["first"]["stages"] and data["parts"].keys() == reports[1].parts.keys()
    with pytest.raises(ValueError, match="schema"):
        TimeReport.from_dict({**data, "schema": 99})


def test_the_roofline(machine):
    row = Row("op", "f", "forward", [], 2, 1.0, flops=2e10, bytes=1e9)
    assert row.gflops == 20 and row.gbytes == 1 and row.intensity == 20
    assert machine.peak() == 5e10 and machine.ridge() == 5
    assert row.fraction(machine) == pytest.approx(0.4) and row.bound(machine) == "flops"
    poor = Row("op", "f", "forward", [], 1, 1.0, flops=1e9, bytes=2e9)
    assert poor.fraction(machine) == pytest.approx(0.2) and poor.bound(machine) == "memory"
    single = Row("op", "f", "forward", [], 1, 1.0, flops=5e10, bytes=1e9, dtype="float32")
    assert single.fraction(machine) == pytest.approx(0.5)
    unknown = Row("op", "f", "forward", [], 1, 1.0, flops=None, bytes=1e9)
    assert unknown.fraction(machine) is None and unknown.bound(machine) == "" and row.fraction(None) is None


@pytest.mark.parametrize("width", [80, 100, 125, 200])
def test_in_a_terminal_nothing_is_wider_than_it(reports, width):
    for report in reports:
        out = io.StringIO()
        Console(file=out, width=width, color_system=None).print(report)
        lines = out.getvalue().split("\n")
        assert max(map(len, lines)) <= width
        assert "test_report.py" in out.getvalue() or width < 125


def test_the_text_names_ops_lines_and_peaks(reports):
    eager, jit = map(str, reports)
    line = loss.__code__.co_firstlineno + 1
    for name in ("matmul", "tanh", f"test_report.py:{line} in loss", "backward", "first call", "GFLOP/s", "made up"):
        assert name in eager
    assert re.search(r"k\d+ .*library call: matmul", jit) and "in machine code" in jit and "lower" in jit


def test_the_page_is_self_contained(reports, tmp_path):
    for report in reports:
        report.html(tmp_path / "a.html")
        page = (tmp_path / "a.html").read_text(encoding="utf-8")
        assert page.startswith("<!doctype html>") and "<svg" in page and "matmul" in page
        assert not re.search(r"(src|href)=|https?://(?!www\.w3\.org/2000/svg)|<script", page)
        assert page.count("<tr>") == page.count("</tr>") and page.count("<td") == page.count("</td>")


def test_names_are_escaped(machine, tmp_path):
    line = Line("<b>.py", 3, "<lambda>", "x < y & z")
    row = Row("op", "<script>", "forward", [line], 1, 1.0, flops=1e9, bytes=1e9)
    report = TimeReport("<lambda>", 1.0, 1.0, [row], machine=machine)
    report.html(tmp_path / "a.html")
    page = (tmp_path / "a.html").read_text(encoding="utf-8")
    assert "<script>" not in page and "&lt;lambda&gt;" in page and "x &lt; y &amp; z" in page
    assert "<lambda>" in str(report)


def test_points_of_the_picture_lie_under_its_roof(machine):
    rows = [
        Row("op", f"f{i}", "forward", [], 1, 1.0, flops=g * 1e9, bytes=g * 1e9 / x)
        for i, (g, x) in enumerate([(5, 1), (50, 20), (1, 0.25)])
    ]
    drawn = picture(TimeReport("r", 3.0, 3.0, rows, machine=machine))
    points = [
        (float(m[1]), float(m[2]))
        for m in re.finditer(r'<circle cx="([\d.]+)" cy="([\d.]+)" r="[\d.]+" fill="var', drawn)
        if float(m[2]) > 40
    ]
    (path,) = re.findall(r'<polyline points="([^"]+)"', drawn)
    roof = [tuple(map(float, p.split(","))) for p in path.split()]
    for x, y in points:
        assert y >= np.interp(x, [p[0] for p in roof], [p[1] for p in roof]) - 0.2
    assert picture(TimeReport("r", 3.0, 3.0, rows)) == ""
