"""The commands as a shell calls them."""

import json

import pytest

from wengert.cli import main


def test_doctor_finds_everything_working(capsys):
    assert main(["doctor", "--json"]) in (0, 1)
    findings = {f["topic"]: f for f in json.loads(capsys.readouterr().out)}
    for capability in ("reverse mode", "forward mode", "second order", "vmap", "linear algebra", "special functions"):
        assert findings[capability]["state"] == "ok"
    main(["doctor"])
    shown = capsys.readouterr().out
    assert "numpy" in shown and ("wengert[" in shown or "–" not in shown)  # extras keep their brackets


def test_coverage_as_a_table_and_as_data(capsys):
    assert main(["coverage", "--api", "--match", "trapezoid"]) == 0
    assert "differentiable" in capsys.readouterr().out
    assert main(["coverage", "--json", "--only", "refused", "--match", "frompyfunc"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert row["status"] == "refused" and row["remedy"]
    assert main(["coverage", "--only", "blank"]) == 0


def test_coverage_runs_examples(capsys):
    assert main(["coverage", "--run", "--json", "--match", "fft.rfft2"]) == 0
    assert json.loads(capsys.readouterr().out)["failures"] == {}


def test_demo_writes_what_it_names(tmp_path, capsys, monkeypatch):
    pytest.importorskip("matplotlib", reason="the demo's plots are in the extra `demo`")
    pytest.importorskip("sklearn", reason="the demo's digits are in the extra `demo`")
    from wengert.cli import demo

    monkeypatch.setattr(demo, "EPOCHS", 3)
    assert main(["demo", "--json", "--out", str(tmp_path)]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["lynx_hare"]["gradient_error"] < 1e-7
    assert report["lynx_hare"]["loss"] < 0.05
    assert report["digits"]["test_accuracy"] > 0.9
    assert all((tmp_path / name).stat().st_size > 5000 for name in ("lynx_hare.png", "digits_loss.png"))
