"""The benchmark of loops computes what it says: small instances, compiled, against plain Python loops and against JAX."""

import importlib
import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.insert(0, str(FOLDER))
workload, measure, timing, loops = map(
    importlib.import_module, ("control.workload", "control.measure", "workloads.timing", "loops")
)
WORKS = workload.load()
SMALL = list({w.make: w for w in WORKS}.values())


@pytest.mark.parametrize("work", SMALL, ids=lambda w: w.name)
def test_compiled_is_what_python_loops_give(work):
    computation = work.make(workload.ours(), *work.small)
    wanted = measure.eager(computation)
    for what, call in measure.calls(workload.ours(), computation).items():
        assert timing.disagreement(call(), wanted[what], work.tolerance) == ""
        assert all(np.all(np.isfinite(a)) for a in timing.leaves(wanted[what]))


@pytest.mark.parametrize("work", SMALL, ids=lambda w: w.name)
def test_jax_computes_the_same(work):
    if importlib.util.find_spec("jax") is None:
        pytest.skip("jax is not installed: pip install 'wengert[peers]'")
    ours, jax = workload.ours(), workload.with_jax()
    mine = measure.calls(ours, work.make(ours, *work.small))
    theirs = measure.calls(jax, work.make(jax, *work.small))
    for what, call in mine.items():
        assert timing.disagreement(call(), theirs[what](), work.tolerance) == ""


@pytest.mark.parametrize("work", [w for w in SMALL if w.torch], ids=lambda w: w.name)
def test_torch_computes_the_same(work):
    if importlib.util.find_spec("torch") is None:
        pytest.skip("torch is not installed: pip install 'wengert[peers]'")
    mine = measure.calls(workload.ours(), work.make(workload.ours(), *work.small))
    for what, call in zip(measure.WHAT, work.torch(*work.small), strict=True):
        assert timing.disagreement(mine[what](), call(), work.tolerance) == ""


def test_names_are_different():
    assert len({w.name for w in WORKS}) == len(WORKS)
    assert set(loops.LONG) <= {w.name for w in WORKS}
    assert any(w.quick for w in WORKS)


def test_a_step_that_grows_is_noticed():
    def rows(*ns):
        return [
            {"series": "s", "trips": 10 * (i + 1), "seconds": {"ours value": {"min": t}, "ours slope": {"min": t}}}
            for i, t in enumerate(ns)
        ]

    assert all(g["passed"] for g in loops.growth(rows(1e-6, 2e-6), "min"))
    assert not any(g["passed"] for g in loops.growth(rows(1e-6, 4e-6), "min"))


def test_bars_are_missed_by_less():
    work = next(w for w in WORKS if w.bars.trip)
    row = {"trips": 100, "seconds": {"ours value": {"min": 1e-7}, "ours slope": {"min": 1e-6}}, "ratios": {}}
    found = measure.verdicts(work, row, "min")
    assert not found["ns a trip"]["passed"] and not found["derivative / value"]["passed"]
    row["seconds"]["ours slope"]["min"] = 2e-7
    assert all(bar["passed"] for bar in measure.verdicts(work, row, "min").values())
