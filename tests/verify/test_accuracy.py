"""Derivatives of elementary and special functions are as accurate as the published table says."""

import json
import math

import numpy as np
import pytest
import scipy.special as sp
from rich.console import Console

import wengert.scipy.special as ours
from wengert.ops.special import ARGUMENTS
from wengert.verify import accuracy

pytest.importorskip("mpmath", reason="mpmath is the reference")

from wengert.verify.accuracy.errors import derivatives, error
from wengert.verify.oracles import special
from wengert.verify.oracles.special import bounds, slopes
from wengert.verify.oracles.special.elsewhere import ELSEWHERE
from wengert.verify.oracles.special.grids import short, thinned

TABLE = special.load()
THIN = 7


@pytest.mark.parametrize("key", TABLE)
def test_within_the_bound(key):
    """Every seventh point, the extreme ones, and all boundaries; `wengert coverage --accuracy` takes all."""
    for row in accuracy.rows(TABLE[key], THIN):
        assert row.undecided == 0, f"{row.name} in {row.argument}: the reference did not settle"
        assert row.worst_ulp <= row.bound, f"{row.name} in {row.argument}: {row.worst_ulp} ulp at {row.where}"
        if row.single_ulp is not None:
            assert row.single_ulp <= row.single_bound, (
                f"{row.name} in {row.argument}: single precision, {row.single_ulp} ulp"
            )


@pytest.mark.parametrize("name", ELSEWHERE)
def test_what_mpmath_cannot_express(name):
    assert ELSEWHERE[name].worst(derivatives) < ELSEWHERE[name].tolerance


def test_every_differentiable_function_is_measured_or_says_why_not():
    measured = {o.name for o in TABLE.values()} | set(ELSEWHERE)
    wanted = {f"special.{name}" for name, entry in ours.NAMES.items() if entry.status == "differentiable"}
    assert not wanted - measured
    for name, entry in ELSEWHERE.items():
        assert entry.reason and entry.instead, name


@pytest.mark.parametrize(
    "name", [n for n, e in ours.NAMES.items() if e.status == "differentiable" and isinstance(getattr(sp, n), np.ufunc)]
)
def test_every_differentiable_argument_is_measured(name):
    arguments = ARGUMENTS.get(name) or {}
    wanted = {i for i, refusal in enumerate(arguments.values()) if refusal is None}
    measured = {i for o in TABLE.values() if o.name == f"special.{name}" for i in o.wanted}
    measured |= {e.wanted for e in ELSEWHERE.values() if e.name == f"special.{name}"}
    assert wanted <= measured


def test_every_exception_is_about_a_measured_derivative_and_has_a_reason():
    measured = {(key, oracle.parameters[i]) for key, oracle in TABLE.items() for i in oracle.wanted}
    listed = [(name, a) for functions in bounds.EXCEPTIONS.values() for name, args in functions.items() for a in args]
    assert len(listed) == len(set(listed))
    assert set(listed) <= measured
    assert all(bounds.EXCEPTIONS)


# ── the measure itself ────────────────────────────────────────────────────────


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_one_ulp_is_one(dtype):
    import mpmath

    kind = np.dtype(dtype)
    x = kind.type(1.5)
    assert error(x, mpmath.mpf(1.5), 1.5, kind) == 0
    assert error(np.nextafter(x, kind.type(2)), mpmath.mpf(1.5), 1.5, kind) == 1
    assert error(-x, mpmath.mpf(1.5), 1.5, kind) == 3 / float(np.spacing(x))


def test_infinities_and_nans_are_errors_unless_they_are_right():
    import mpmath

    kind = np.dtype(float)
    assert error(np.inf, math.inf, math.inf, kind) == 0
    assert error(-np.inf, math.inf, math.inf, kind) == math.inf
    assert error(np.nan, math.inf, math.inf, kind) == math.inf
    assert error(np.nan, math.nan, math.nan, kind) == 0
    assert error(np.nan, mpmath.mpf(1), 1, kind) == math.inf
    assert error(np.inf, mpmath.mpf(1), 1, kind) == math.inf
    assert error(np.inf, mpmath.mpf(10) ** 309, 1e308, kind) == 0  # overflow
    assert error(1e300, mpmath.mpf(10) ** 309, 1e308, kind) > 1e10
    assert error(0.0, mpmath.mpf(10) ** -320, 1e-320, kind) == 0  # underflow


@pytest.mark.parametrize(
    "wrong", [lambda d: -d, lambda d: 2 * d, lambda d: d * (1 + 1e-13), lambda d: d * 0, lambda d: d * math.nan]
)
def test_a_wrong_derivative_is_caught(monkeypatch, wrong):
    from wengert.verify.accuracy import measuring

    right = measuring.derivatives
    monkeypatch.setattr(measuring, "derivatives", lambda *a: [wrong(d) for d in right(*a)])
    (row,) = accuracy.rows(TABLE["exp"])
    assert not row.ok


def test_differences_find_what_digits_hide():
    import mpmath

    found = slopes.differentiate(mpmath.erf, mpmath.mpf(10))
    want = 2 / mpmath.sqrt(mpmath.pi) * mpmath.exp(-100)
    assert found is not None
    assert abs(found.slopes[0] / want - 1) < 1e-20
    flat = slopes.differentiate(mpmath.cos, mpmath.mpf(10) ** -200)
    assert flat is not None
    assert abs(flat.slopes[0] / mpmath.mpf(10) ** -200 + 1) < 1e-20
    assert slopes.differentiate(lambda x: abs(x - 1), mpmath.mpf(1)) is not None  # by symmetry: 0
    assert slopes.differentiate(lambda x: x * mpmath.mpf(x > 1), mpmath.mpf(1)) is None  # a jump has no slope


def test_points_do_not_move_onto_boundaries():
    assert short(0.3) == float(np.float32(0.3))
    assert short(1 - 1e-12) == 1 - 1e-12
    assert short(0.5 + 1e-12) == 0.5 + 1e-12
    assert short(1e-300) == 1e-300
    assert short(3) == 3
    rows = [(float(i), -float(i)) for i in range(100)]
    assert {(0.0, 0.0), (99.0, -99.0)} <= set(thinned(rows, 7))
    for key, oracle in TABLE.items():
        assert len(set(oracle.points)) == len(oracle.points), key


# ── what is shown ─────────────────────────────────────────────────────────────


def test_the_table_in_every_form():
    seen = []
    rows = accuracy.measure("special.gammaln", progress=lambda *step: seen.append(step), jobs=1)
    assert seen == [(1, 1, "special.gammaln")]
    assert json.loads(json.dumps([row.record() for row in rows]))[0]["name"] == "special.gammaln"
    page = accuracy.markdown(rows)
    assert "| `special.gammaln` | x |" in page
    assert "all within their bounds" in page
    console = Console(record=True, width=200)
    console.print(accuracy.terminal(rows))
    assert "special.gammaln" in console.export_text()


def test_processes_give_the_same():
    assert accuracy.measure("arc", jobs=2, thin=9) == accuracy.measure("arc", jobs=1, thin=9)
