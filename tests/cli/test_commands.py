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
    assert main(["coverage", "--api", "--json", "--only", "refused", "--match", "frompyfunc"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["rows"]
    assert row["status"] == "refused" and row["remedy"]
    assert main(["coverage", "--api", "--only", "blank"]) == 0


def test_coverage_runs_examples(capsys):
    assert main(["coverage", "--api", "--run", "--json", "--match", "fft.rfft2"]) == 0
    assert json.loads(capsys.readouterr().out)["failures"] == {}


def test_coverage_writes_the_matrix_and_compares_it(tmp_path, capsys):
    old, new = tmp_path / "old.json", tmp_path / "new.json"
    pages = ["--html", str(tmp_path / "page.html"), "--markdown", str(tmp_path / "page.md")]
    assert main(["coverage", "--quick", "--match", "cumsum", "--jobs", "1", "--json", str(old), *pages]) == 0
    assert "</html>" in (tmp_path / "page.html").read_text() and "| scan |" in (tmp_path / "page.md").read_text()
    data = json.loads(old.read_text())
    (record,) = [op for op in data["ops"] if op["name"] == "cumsum"]
    assert record["cells"]["reverse|float64|contiguous"]["status"] == "pass"
    data["ops"].append({**record, "name": "cumsum_of_old"})  # as if an earlier version had had it
    new.write_text(json.dumps(data))
    again = ["coverage", "--quick", "--match", "cumsum", "--jobs", "1", "--against"]
    assert main([*again, str(old)]) == 0
    assert main([*again, str(new)]) == 1
    assert "cumsum_of_old" in capsys.readouterr().out


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
