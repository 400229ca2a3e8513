"""`wengert profile`, as a shell calls it: scripts, functions, comparisons, and exit codes that CI can rely on."""

import json
import subprocess
import sys

import numpy as np
import pytest

from wengert.cli import main
from wengert.profile.footprint.report import MemoryReport

SCRIPT = '''
"""A script."""
import pathlib
import pickle
import sys

import numpy as np
import wengert as wg

LAYERS = int(sys.argv[1]) if len(sys.argv) > 1 else 4


class Model:
    def loss(self, w, x):
        """The loss."""
        for _ in range(LAYERS):
            x = np.tanh(x * w)
        return np.sum(x)


def step(w, x):
    """One step."""
    return w - 0.1 * wg.grad(Model().loss)(w, x)


if __name__ == "__main__":
    assert pickle.loads(pickle.dumps(Model())).loss(1.0, 0.0) == 0.0  # classes of __main__ are found
    assert pathlib.Path(__file__).parent == pathlib.Path(sys.path[0])
    for n in (10_000, 20_000, 5_000):
        step(np.ones(n), np.full(n, 0.5))
    print("done", sys.argv[1:])
'''
MODEL = "import numpy as np\n\ndef loss(w, x, p=2):\n    return np.sum(np.tanh(x * w) ** p)\n"
FAILING = "import numpy as np\nkept = np.ones(50_000)\nraise ZeroDivisionError('on purpose')\n"
ENDING = "import sys, numpy as np\nkept = np.ones(50_000)\nsys.exit({!r})\n"


@pytest.fixture
def mine(tmp_path, monkeypatch):
    (tmp_path / "train.py").write_text(SCRIPT)
    (tmp_path / "failing.py").write_text(FAILING)
    (tmp_path / "model.py").write_text(MODEL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield tmp_path
    sys.modules.pop("train", None)


def test_a_script_is_run_and_measured(mine, capsys):
    before = sys.argv, sys.modules["__main__"], list(sys.path)
    assert main(["profile", "memory", "train.py", "--save", "a.json", "--html", "a.html", "--", "7", "--x"]) == 0
    out = capsys.readouterr()
    assert "done ['7', '--x']" in out.out and "memory of train.py" in out.out and "wrote a.json" in out.err
    assert "x = np.tanh(x * w)" in out.out and "train.py:17 in loss" in out.out
    report = MemoryReport.load("a.json")
    assert report.peak > 7 * 20_000 * 8 and (mine / "a.html").read_text().endswith("</html>\n")
    assert (sys.argv, sys.modules["__main__"], list(sys.path)) == before


def test_the_calls_of_one_function(mine, capsys):
    assert main(["profile", "memory", "train.py", "--function", "step", "--json"]) == 0
    data = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert data["name"] == "step" and "the one of 3 calls of step with the highest peak" in data["notes"]
    whole = data["peak"]
    assert 4 * 160_000 <= whole < 8 * 160_000  # of the call with 20,000
    assert main(["profile", "memory", "train.py", "--function", "Model.loss", "--save", "m.json"]) == 0
    assert 0 < MemoryReport.load("m.json").peak <= whole


def test_a_script_that_fails(mine, capsys):
    assert main(["profile", "memory", "failing.py"]) == 1
    out = capsys.readouterr()
    assert (
        'failing.py", line 3' in out.err and "on purpose" in out.err and "wengert" not in out.err.split("failing.py")[0]
    )
    assert "the script ended with status 1" in out.out and "390.6 KiB" in out.out


@pytest.mark.parametrize("code, status", [(0, 0), (None, 0), (3, 3), ("gone wrong", 1)])
def test_a_script_that_exits(mine, capsys, code, status):
    (mine / "ending.py").write_text(ENDING.format(code))
    assert main(["profile", "memory", "ending.py"]) == status
    assert ("gone wrong" in capsys.readouterr().err) == (code == "gone wrong")


def test_a_function_and_its_gradient(mine, capsys):
    shapes = ["--shapes", "100,100", "100,100"]
    assert main(["profile", "memory", "model.py:loss", *shapes, "--save", "g.json"]) == 0
    assert "memory of value_and_grad(loss), eager" in capsys.readouterr().out
    assert (
        main(["profile", "memory", "model.py:loss", *shapes, "--of", "value", "--kwargs", "p=3", "--save", "v.json"])
        == 0
    )
    assert main(["profile", "memory", "model.py:loss", *shapes, "--jit", "--save", "j.json"]) == 0
    assert "jit(value_and_grad(loss))" in capsys.readouterr().out
    gradient, value, jitted = (MemoryReport.load(f"{n}.json") for n in "gvj")
    assert gradient.arguments == 160_000 and gradient.peak > value.peak >= 160_000 / 2 and jitted.peak < gradient.peak


# ── diff ──────────────────────────────────────────────────────────────────────


@pytest.fixture
def saved(mine, capsys):
    for name, layers in (("few", "4"), ("many", "9"), ("again", "4")):
        assert main(["profile", "memory", "train.py", "--save", f"{name}.json", "--", layers]) == 0
    capsys.readouterr()


@pytest.mark.parametrize(
    "before, after, options, status, word",
    [
        ("few", "again", [], 0, "SAME"),
        ("few", "many", [], 1, "MAJOR REGRESSION"),
        ("few", "many", ["--threshold", "10MiB"], 0, "SAME"),
        ("few", "many", ["--threshold", "500%"], 0, "SAME"),
        ("many", "few", [], 0, "BETTER"),
    ],
)
def test_exit_codes_of_diff(saved, capsys, before, after, options, status, word):
    assert main(["profile", "diff", f"{before}.json", f"{after}.json", *options]) == status
    assert capsys.readouterr().out.startswith(word)


def test_diff_as_data_and_page(saved, capsys, mine):
    assert main(["profile", "diff", "few.json", "many.json", "--json", "--html", "d.html", "--save", "d.json"]) == 1
    data = json.loads(capsys.readouterr().out)
    assert data == json.loads((mine / "d.json").read_text())
    assert data["verdict"] == "worse" and data["lines"][0]["name"] == "x = np.tanh(x * w)"
    assert data["by"] == pytest.approx(5 * 20_000 * 8, rel=0.01)  # a residual more for each layer more
    assert "major regression" in (mine / "d.html").read_text()


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["memory", "nothing.py"], ["script nothing.py", "No such file"]),
        (["memory", "train"], ["target: got 'train'", "path/to/script.py"]),
        (["memory", "train.py", "--function", "nope"], ["no such function", "it has Model.loss, step"]),
        (["memory", "failing.py", "--function", "f"], ["it has none"]),
        (["memory", "model.py:loss", "--shapes", "3"], ["arguments of model.py:loss"]),
        (["memory", "model.py:loss", "--function", "loss"], ["want: a script"]),
        (["memory", "broken.py"], ["script broken.py", "SyntaxError"]),
        (["diff", "no.json", "few.json"], ["report no.json", "No such file"]),
        (["diff", "few.json", "few.json", "--threshold", "much"], ["threshold: got 'much'"]),
        (["diff", "few.json", "broken.py"], ["report broken.py", "no memory report"]),
        (["diff", "few.json", "other.json"], ["schema 99"]),
        (["diff", "few.json", "list.json"], ["no memory report"]),
    ],
)
def test_usage_errors(saved, mine, capsys, arguments, words):
    (mine / "broken.py").write_text("def (:\n")
    (mine / "other.json").write_text('{"schema": 99}')
    (mine / "list.json").write_text("[1, 2]")
    assert main(["profile", *arguments]) == 2
    said = capsys.readouterr().err
    assert all(word in said for word in words), said


def test_predictions_are_near_what_is_measured(mine, capsys):
    for extra, within in (([], 0.1), (["--jit"], 0.03)):
        for command in ("predict", "memory"):
            arguments = ["model.py:loss", "--shapes", "300,300", "300,300", *extra, "--save", f"{command}.json"]
            assert main(["profile", command, *arguments]) == 0
        predicted, measured = (MemoryReport.load(f"{n}.json") for n in ("predict", "memory"))
        assert (predicted.kind, measured.kind) == ("predicted", "measured") and predicted.name == measured.name
        assert predicted.peak == pytest.approx(measured.peak, rel=within)
    shown = capsys.readouterr().out
    assert "value_and_grad(loss), eager, predicted" in shown and "jit(value_and_grad(loss)), jit, predicted" in shown


def test_folders_are_made_before_anything_runs(mine, capsys):
    assert main(["profile", "memory", "train.py", "--save", "out/a/r.json", "--html", "out/b/r.html"]) == 0
    assert (mine / "out/a/r.json").exists() and (mine / "out/b/r.html").exists()
    assert main(["profile", "memory", "train.py", "--save", "train.py/r.json"]) == 2
    said = capsys.readouterr()
    assert "file train.py/r.json" in said.err and said.out.count("done") == 1


def test_a_function_that_is_never_called(mine, capsys):
    (mine / "idle.py").write_text("def f():\n    pass\n")
    assert main(["profile", "memory", "idle.py", "--function", "f"]) == 2
    assert "no call of it while idle.py ran" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["profile"], ["profile", "nothing"], ["profile", "diff", "a.json"]])
def test_what_argparse_refuses(arguments):
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2


def test_a_process_of_its_own(mine):
    command = [sys.executable, "-m", "wengert", "profile", "memory", "train.py", "--json", "--", "2"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["peak"] > 0 and np.array_equal(
        done.stdout.splitlines()[0], "done ['2']"
    )
