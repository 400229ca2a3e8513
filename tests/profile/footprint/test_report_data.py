"""Memory reports as data: written, read, and the same again; keys are stable."""

import json

import pytest

from wengert.profile.footprint.report import MemoryReport

KEYS = [
    "schema", "name", "kind", "mode", "peak", "peak_at", "begin", "end", "allocated", "reused", "tensors", "seconds", "arguments",
    "timeline", "holdings", "notes", "lines", "advice",
]  # fmt: skip


def test_what_is_read_is_what_was_written(made, tmp_path):
    report = made(8)
    report.save(tmp_path / "r.json")
    again = MemoryReport.load(tmp_path / "r.json")
    assert again == report and again.timeline[3].line == report.timeline[3].line and str(again) == str(report)
    assert [h.shape for h in again.holdings] == [h.shape for h in report.holdings]  # tuples again


def test_keys(made, tmp_path):
    report = made(8)
    report.save(tmp_path / "r.json")
    data = json.loads((tmp_path / "r.json").read_text())
    assert list(data) == KEYS
    assert set(data["timeline"][0]) == {"seconds", "live", "top", "op", "phase", "line"}
    assert set(data["holdings"][0]) == {
        "nbytes", "role", "op", "line", "phase", "shape", "dtype", "born", "died", "used", "why", "frees", "within",
    }  # fmt: skip
    assert {data["lines"][p["line"]]["text"] for p in data["timeline"]} == {p.line.text for p in report.timeline}
    assert len(data["lines"]) == len({x.line for x in [*report.timeline, *report.holdings]})


def test_other_schemas_are_refused(made):
    with pytest.raises(ValueError, match="got schema 7, want 1"):
        MemoryReport.from_dict(made(2).to_dict() | {"schema": 7})
