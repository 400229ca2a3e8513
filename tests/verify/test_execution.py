"""The matrix as it is executed: what a cell says, and that it can say no."""

import json
from pathlib import Path

import numpy as np
import pytest

import wengert.ops
from wengert.core.form import HostCall, Map
from wengert.core.op import OPS, Constant, Refuse
from wengert.verify import matrix
from wengert.verify.catalog import family, load_ops
from wengert.verify.matrix.baseline import LETTERS
from wengert.verify.matrix.execution import DTYPES, LAYOUTS, MODES, keys, op_record
from wengert.verify.matrix.summary import compiled
from wengert.verify.measure import SECOND
from wengert.verify.mutants.hunting import injected

load_ops()


def cells(name, *, mode=None, status=None, **changed):
    with injected(OPS[name], changed):
        found = op_record(name)["cells"]
    return {
        key: c
        for key, c in found.items()
        if (mode is None or key.startswith(f"{mode}|")) and (status is None or c["status"] == status)
    }


def test_every_cell_is_there_with_its_evidence():
    found = cells("cumsum")
    assert set(found) == {"|".join(key) for key in keys()} and len(found) == len(MODES) * len(DTYPES) * len(LAYOUTS)
    passed = [c for c in found.values() if c["status"] == "pass"]
    assert len(passed) > 60 and all(0 <= c["error"] <= c["limit"] and c["oracle"] for c in passed)
    assert all(c["reason"] for c in found.values() if c["status"] in ("refused", "absent"))
    assert found["reverse|float64|0-d"]["status"] == "refused" and "axis" in found["reverse|float64|0-d"]["reason"]


def test_a_wrong_pullback_fails_where_it_is_used_and_nowhere_else():
    right = OPS["cumsum"].vjp
    wrong = lambda ct, ins, xs, out, **params: tuple(-c for c in right(ct, ins, xs, out, **params))
    failing = {key.split("|")[0] for key in cells("cumsum", status="fail", vjp=wrong)}
    assert failing - set(SECOND) == {
        "reverse",
        "checkpoint",
        "jit",
    }  # compiled, it is as wrong as eagerly: against the reference
    assert {key.split("|")[1] for key in cells("cumsum", mode="reverse", status="fail", vjp=wrong)} == set(DTYPES[:4])


def test_a_declaration_of_constancy_is_put_to_the_test():
    rules = {"vjp": Constant("it is not"), "jvp": Constant("it is not")}
    op = OPS["square"]
    with injected(op, rules):
        before, op.constant = op.constant, True
        try:
            found = op_record("square")["cells"]["forward|float64|contiguous"]
        finally:
            op.constant = before
    assert found["status"] == "fail" and "constant" in found["reason"]


def test_a_refusal_keeps_its_words():
    found = cells("square", mode="forward", jvp=Refuse("nobody has written it", "write it"))
    cell = found["forward|float64|contiguous"]
    assert (cell["status"], cell["reason"]) == ("refused", "nobody has written it")


def test_noise_leaves_a_cell_undecided(monkeypatch):
    op, rng = OPS["square"], np.random.default_rng(0)
    monkeypatch.setattr(op, "eval", lambda x: np.square(x) + rng.normal(size=np.shape(x)))
    assert op_record("square", quick=True)["cells"]["forward|float64|contiguous"]["status"] == "undecided"


def test_a_snippet_repeats_its_cell(capsys):
    data = matrix.run("cumsum", quick=True, jobs=1)
    cell = data["ops"][0]["cells"]["reverse|float32|strided"]
    code = data["snippet"].format(
        name="cumsum", sample=cell["sample"], mode="reverse", dtype="float32", layout="strided"
    )
    exec(code, {})
    assert f"error={cell['error']!r}" in capsys.readouterr().out


def test_reproducing_what_is_not_there_says_why():
    with pytest.raises(ValueError, match="refused"):
        matrix.reproduce("cumsum", sample=0, mode="reverse", dtype="float64", layout="0-d")


def test_workers_give_what_one_process_gives():
    def lean(data):
        return [{k: (c["status"], c.get("error")) for k, c in op["cells"].items()} for op in data["ops"]]

    match = "cum"
    assert len([n for n in OPS if match in n]) >= 4
    assert lean(matrix.run(match, quick=True, jobs=2)) == lean(matrix.run(match, quick=True, jobs=1))


def test_a_baseline_keeps_every_status():
    data = matrix.run("cumsum", quick=True, jobs=1)
    kept = matrix.expand(json.loads(matrix.compact(data)))
    for old, new in zip(data["ops"], kept["ops"], strict=True):
        assert {k: c["status"] for k, c in old["cells"].items()} == {k: c["status"] for k, c in new["cells"].items()}
    assert set(LETTERS) >= {c["status"] for op in data["ops"] for c in op["cells"].values()}
    assert not matrix.compare(kept, data).regressed
    data["ops"][0]["cells"]["jit|float64|contiguous"]["status"] = "fail"
    assert matrix.compare(kept, data).regressed


def test_every_op_has_a_family():
    files = {path.stem for path in Path(wengert.ops.__path__[0]).glob("*.py")}
    assert {family(op) for op in OPS.values() if op.samples and ".ops" in op.shape.__module__} <= files - {"family"}


def test_a_wrong_kernel_fails_under_jit_alone():
    wrong = Map(lambda b, x: b.add(x, b.like(1e-9, x)), cost=1)
    assert {key.split("|")[0] for key in cells("square", status="fail", lower=wrong)} == {"jit"}


def test_a_kernel_that_loses_nan_fails():
    wrong = Map(lambda b, x: b.select(b.isnan(x), b.like(0, x), b.mul(x, x)), cost=2)
    found = cells("square", mode="jit", status="fail", lower=wrong)
    assert "NaN" in found["jit|float64|contiguous"]["reason"]


def test_a_cell_says_whether_it_is_machine_code():
    native, host = cells("square", mode="jit"), cells("square", mode="jit", lower=HostCall("nobody has written it"))
    assert compiled(native) == "native" and compiled(host) == "host"
    assert "nobody has written it" in host["jit|float32|strided"]["reason"]
    assert native["jit|complex128|contiguous"]["compiled"] == "host"
    assert "eager, " in native["jit|float64|contiguous"]["oracle"]
