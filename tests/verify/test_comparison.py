"""Which differences between two matrices are regressions."""

import copy
import io
import json

import pytest
from rich.console import Console

from wengert.core.errors import WengertError
from wengert.verify.matrix.comparison import compare

KEY = "reverse|float64|contiguous"


def passed(**other):
    return {"status": "pass", "error": 1e-12, "limit": 1e-9, "sample": 0, "reason": "", **other}


def an_op(name, **cells):
    return {
        "name": name,
        "family": "sort",
        "samples": ["((5,))"],
        "cells": cells or {KEY: passed(), "vmap|float64|empty": passed()},
    }


@pytest.fixture
def old():
    return {
        "schema": 1,
        "versions": {"wengert": "0.1.0", "numpy": "2.4.0", "scipy": "1.17.0"},
        "date": "2026-11-22",
        "quick": False,
        "ops": [an_op("sort"), an_op("median"), an_op("round", **{KEY: {"status": "constant", "reason": "steps"}})],
        "names": [
            {"name": "solve", "space": "numpy.linalg", "status": "differentiable", "reason": "", "failures": []},
            {"name": "floor", "space": "numpy", "status": "constant", "reason": "", "failures": []},
            {"name": "asmatrix", "space": "numpy", "status": "refused", "reason": "", "failures": []},
        ],
        "accuracy": [
            {
                "name": "special.jv",
                "parameter": 1,
                "worst_ulp": 10.0,
                "median_ulp": 1.0,
                "bound": 50.0,
                "points": 40,
                "where": [1.0],
                "note": "",
            }
        ],
        "mutants": {
            "seeds": 3,
            "tried": 20,
            "caught": 20,
            "kinds": {"sign": [10, 10], "factor 2": [10, 10]},
            "survivors": [],
        },
    }


@pytest.fixture
def new(old):
    return copy.deepcopy(old)


def changed(old, new):
    """(part, name, after) of each regression, and of each improvement."""
    found = compare(old, new)
    assert found.regressed == bool(found.regressions)
    return tuple([(c.part, c.name, c.after) for c in changes] for changes in (found.regressions, found.improvements))


def cell_of(data, name, key=KEY):
    return next(op for op in data["ops"] if op["name"] == name)["cells"][key]


def test_nothing_changed(old, new):
    found = compare(old, new)
    assert (found.regressions, found.improvements, found.new, found.notes, found.regressed) == ([], [], [], [], False)


@pytest.mark.parametrize("status", ["fail", "refused", "undecided", "absent"])
def test_a_pass_that_is_none_any_more(old, new, status):
    cell_of(new, "sort").update(status=status, reason="why")
    assert changed(old, new) == ([("ops", "sort", status)], [])
    assert changed(new, old) == ([], [("ops", "sort", "pass")])


def test_a_derivative_declared_zero(old, new):
    cell_of(new, "sort").update(status="constant")
    assert changed(old, new) == ([("ops", "sort", "constant")], [])


@pytest.mark.parametrize("status", ["undecided", "refused", "absent"])
def test_what_did_not_pass_and_fails_now(old, new, status):
    cell_of(old, "sort").update(status=status)
    cell_of(new, "sort").update(status="fail")
    assert changed(old, new)[0] == [("ops", "sort", "fail")]


def test_still_failing_is_no_regression(old, new):
    for data in (old, new):
        cell_of(data, "sort").update(status="fail")
    assert changed(old, new) == ([], [])


def test_a_constant_that_fails(old, new):
    cell_of(new, "round").update(status="fail", reason="the derivative is 1")
    assert changed(old, new)[0] == [("ops", "round", "fail")]


def test_an_op_is_gone_even_in_a_quick_run(old, new):
    new["quick"] = True
    del new["ops"][0]
    assert changed(old, new)[0] == [("ops", "sort", "gone")]


def test_a_cell_is_gone(old, new):
    del new["ops"][0]["cells"]["vmap|float64|empty"]
    assert changed(old, new)[0] == [("ops", "sort", "gone")]
    new["quick"] = True
    found = compare(old, new)
    assert not found.regressed and "1 cells" in found.notes[0]


def test_a_new_op(old, new):
    new["ops"].append(an_op("sinc"))
    found = compare(old, new)
    assert (found.new, found.regressed) == (["sinc"], False)
    new["ops"][-1]["cells"][KEY]["status"] = "fail"
    assert changed(old, new)[0] == [("ops", "sinc", "fail")]


def test_an_error_that_grew_behind_a_wider_limit(old, new):
    cell_of(new, "sort").update(error=5e-9, limit=1e-8)
    assert changed(old, new)[0] == [("ops", "sort", "error 5.0e-9")]
    cell_of(new, "sort").update(error=5e-10)  # grown, but within what was allowed
    assert changed(old, new)[0] == []


@pytest.mark.parametrize(
    "before, after",
    [("differentiable", "refused"), ("differentiable", "constant"), ("constant", "refused"), ("refused", "blank")],
)
def test_a_name_loses_its_status(old, new, before, after):
    old["names"][0]["status"], new["names"][0]["status"] = before, after
    assert changed(old, new) == ([("names", "numpy.linalg: solve", after)], [])
    assert changed(new, old) == ([], [("names", "numpy.linalg: solve", before)])


def test_a_name_is_gone(old, new):
    del new["names"][0]
    assert changed(old, new)[0] == [("names", "numpy.linalg: solve", "gone")]
    new["versions"]["numpy"] = "2.5.0"  # NumPy may drop names of its own
    found = compare(old, new)
    assert not found.regressed and "2.5.0" in found.notes[0]


def test_an_example_of_a_name_fails(old, new):
    new["names"][0]["failures"] = ["reverse in float64: off by 2"]
    assert changed(old, new) == ([("names", "numpy.linalg: solve", "examples fail")], [])
    assert changed(new, old) == ([], [("names", "numpy.linalg: solve", "examples pass")])


@pytest.mark.parametrize(
    "was, now, regressed",
    [(10, 60, True), (40, 60, False), (10, 49, False), (10, float("nan"), True), (60, 100, False), (60, 130, True)],
)
def test_accuracy(old, new, was, now, regressed):
    old["accuracy"][0]["worst_ulp"], new["accuracy"][0]["worst_ulp"] = was, now
    assert compare(old, new).regressed == regressed


def test_a_wider_bound_hides_nothing(old, new):
    new["accuracy"][0].update(worst_ulp=60.0, bound=100.0)
    assert compare(old, new).regressed


def test_accuracy_measured_no_more(old, new):
    new["accuracy"] = []
    assert changed(old, new)[0] == [("accuracy", "special.jv, argument 1", "gone")]


def test_mutants(old, new):
    new["mutants"].update(
        caught=19, kinds={"sign": [9, 10], "factor 2": [10, 10]}, survivors=[{"op": "sort", "kind": "sign", "why": ""}]
    )
    found = compare(old, new)
    assert [(c.name, c.why) for c in found.regressions] == [
        ("all", "not caught in sort"),
        ("sign", "not caught in sort"),
    ]
    assert [c.name for c in compare(new, old).improvements] == ["all", "sign"]
    new["mutants"] = {**old["mutants"], "tried": 40, "caught": 40, "kinds": {"sign": [20, 20], "factor 2": [20, 20]}}
    assert changed(old, new) == ([], [])  # more were tried, as many were caught
    del new["mutants"]["kinds"]["sign"]
    assert changed(old, new)[0] == [("mutants", "sign", "gone")]


def test_a_part_that_the_newer_has_not(old, new):
    del new["mutants"]
    found = compare(old, new)
    assert not found.regressed and found.notes[0].startswith("mutants: not compared")


def test_some_ops_only(old, new):
    new["ops"] = [op for op in new["ops"] if "sort" in op["name"]]
    new["names"] = []
    found = compare(old, new, match="sort")
    assert not found.regressed and "'sort'" in found.notes[-1]


def test_another_schema(old, new):
    new["schema"] = 2
    with pytest.raises(WengertError, match="new matrix has schema 2"):
        compare(old, new)


def test_shown(old, new):
    cell_of(new, "sort").update(status="fail", reason="got [1] want [2]")
    cell_of(new, "sort", "vmap|float64|empty").update(status="fail", reason="got [1] want [2]")
    cell_of(old, "median").update(status="undecided")
    new["ops"].append(an_op("sinc"))
    found = compare(old, new)
    out = io.StringIO()
    Console(file=out, width=100).print(found)
    text = out.getvalue()
    for said in (
        "pass → fail  reverse, float64, contiguous and 1 more cell",
        "got [1] want [2]",
        "undecided → pass",
        "new ops: sinc",
        "2 regressions",
    ):
        assert said in text
    data = json.loads(json.dumps(found.data()))
    assert [c["where"] for c in data["regressions"]] == ["reverse, float64, contiguous", "vmap, float64, empty"]
    out = io.StringIO()
    Console(file=out).print(compare(old, old))
    assert "no regressions" in out.getvalue()
