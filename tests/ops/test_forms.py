"""The forms of ops say what `eval` computes.

Scalar functions run on a builder that works on NumPy arrays, compositions on ndarrays, index functions element by
element: none of it needs a compiler.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from wengert.core.aval import aval_of
from wengert.core.form import HostCall, Map, Unsupported, Via
from wengert.core.op import Op
from wengert.graph.program import Var
from wengert.trace.stage import stage


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "int32", "uint8", "bool"])
def test_scalar_functions_agree_with_eval_on_samples(forms: Any, dtype: str) -> None:
    checked = 0
    for op in forms.OPS.values():
        for sample in op.samples:
            checked += forms.check_map(op, forms.build(op, sample, dtype), sample.params, ulps=24)
    assert checked > {"f": 300, "i": 150, "u": 100, "b": 50}[np.dtype(dtype).kind]


@pytest.mark.parametrize("dtype", ["float64", "float32", "int32", "int8", "uint8", "bool"])
def test_scalar_functions_agree_with_eval_on_special_values(forms: Any, dtype: str) -> None:
    checked = set()
    for op in forms.OPS.values():
        for sample in op.samples:
            args = forms.specials(len(sample.args), dtype)
            if any(not isinstance(a, tuple) and not isinstance(a, float) for a in sample.args) and dtype[0] == "f":
                continue  # an operand that must be an integer
            if forms.check_map(op, args, sample.params, ulps=24):
                checked.add(op.name)
    assert len(checked) > {"f": 100, "i": 40, "u": 40, "b": 20}[np.dtype(dtype).kind]


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64", "bool"])
def test_the_other_forms_agree_with_eval_on_samples(forms: Any, dtype: str) -> None:
    found: dict[str, int] = {}
    for op in forms.OPS.values():
        for sample in op.samples:
            args = forms.build(op, sample, dtype)
            if np.dtype(dtype).kind != "f" and not forms.accepts(op, args):
                continue
            name = forms.check_other(op, args, sample.params, ulps=64)
            found[name] = found.get(name, 0) + 1
    assert found.keys() >= {"Via", "Move", "Assemble", "Reduce", "Scan", "Reshape"}, found


POOL = np.array([0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, 40.0, -40.0, 3.0, 0.25, np.nan, -np.inf, 1.0, 2.0])


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("values", [POOL[:4], POOL[:10], POOL, POOL[5:6]], ids=["ties", "infinities", "NaN", "-inf"])
def test_the_other_forms_agree_with_eval_on_special_values(forms: Any, dtype: str, values: np.ndarray) -> None:
    rng, checked = np.random.default_rng(3), 0
    for op in forms.OPS.values():
        for sample in op.samples:
            args = [
                rng.choice(values, np.shape(built)).astype(dtype)[()] if isinstance(given, tuple) else built
                for built, given in zip(forms.build(op, sample, dtype), sample.args, strict=True)
            ]
            checked += forms.check_other(op, args, sample.params, ulps=64) != ""
    assert checked > 150


SPECS = (
    *(0, -1, None, Ellipsis, slice(None), slice(1, None), slice(None, None, -1), slice(4, 0, -2), slice(5, 1)),
    *(
        (1, 2),
        (None, 0, slice(None, None, -3)),
        (Ellipsis, -1, None),
        (slice(0, 0), slice(None)),
        (slice(1, 9, 2), Ellipsis),
    ),
)


@pytest.mark.parametrize("spec", SPECS, ids=repr)
def test_basic_indexing_in_all_its_spellings(forms: Any, spec: Any) -> None:
    x = np.arange(20.0).reshape(5, 4)
    part = x[spec]
    assert forms.check_other(forms.OPS["index"], [x], {"spec": spec}, 0) == "Move"
    assert forms.check_other(forms.OPS["scatter_add"], [part + 1], {"spec": spec, "shape": (5, 4)}, 0)
    for y in (part + 1, np.float64(7), part.astype(np.float32) * 0.1, np.arange(part.shape[-1]) if part.ndim else part):
        assert forms.check_other(forms.OPS["index_put"], [x, y], {"spec": spec}, 0)


@pytest.mark.parametrize(
    "window, strides, padding, dilation",
    [
        ((2,), (2,), ((0, 0),), (1,)),
        ((3,), (2,), ((2, 1),), (1,)),
        ((2,), (3,), ((-1, 0),), (2,)),
        ((2, 2), (2, 1), ((0, 1), (1, 0)), (1, 2)),
    ],
)
def test_pooling_in_all_geometries(forms: Any, window: Any, strides: Any, padding: Any, dilation: Any) -> None:
    rng, n = np.random.default_rng(0), len(window)
    x = rng.normal(size=(2, 7, 6)[-n - 1 :])
    params = {"window": window, "strides": strides, "padding": padding, "dilation": dilation}
    best, at = forms.OPS["window_max"].eval(x, **params)
    extent = {"extent": x.shape[1:]}
    assert forms.check_other(forms.OPS["window_max"], [x], params, 0) == "Via"
    assert forms.check_other(forms.OPS["window_sum"], [x], params, 64) == "Via"
    assert forms.check_other(forms.OPS["window_take"], [x, at], params, 0) == "Via"
    assert forms.check_other(forms.OPS["window_put"], [best, at], params | extent, 64) == "Via"
    assert forms.check_other(forms.OPS["window_spread"], [best], params | extent, 64) == "Via"


@pytest.mark.parametrize("dtype", ["float64", "float32", "int64"])
def test_compositions_can_be_staged_and_give_what_the_op_says(forms: Any, dtype: str) -> None:
    staged = 0
    for op in forms.OPS.values():
        for sample in op.samples:
            args = forms.build(op, sample, dtype)
            if not forms.accepts(op, args):
                continue
            form = forms.form_of(op, args, sample.params)
            if not isinstance(form, Via):
                continue

            def run(*xs: Any, form: Via = form, op: Op = op, params: dict[str, Any] = sample.params) -> Any:
                out = form.ops(*xs, **params)
                return tuple(out) if op.multi else (out,)

            avals = [aval_of(a) for a in args]
            try:
                program, captured = stage(run, avals)
            except Unsupported:
                continue
            want = op.shape(*avals, **sample.params)
            for atom, aval in zip(program.outs, want if op.multi else (want,), strict=True):
                got = atom.aval if isinstance(atom, Var) else aval_of(atom.value)
                assert (got.shape, got.dtype) == (aval.shape, aval.dtype), f"{op.name}: {got} is not {aval}"
            assert not captured
            staged += 1
    assert staged > (80 if dtype != "int64" else 20)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "int64"])
@pytest.mark.parametrize("bound", [300, -1, 2**40, 5, 2.5, True])
def test_comparisons_with_python_numbers_are_exact(forms: Any, dtype: str, bound: Any) -> None:
    x = np.array([0, 1, 5, 100, 127]).astype(dtype)
    for name in ("less", "less_equal", "greater", "greater_equal", "equal", "not_equal"):
        assert forms.check_map(forms.OPS[name], [x, bound], {}, 0) and forms.check_map(
            forms.OPS[name], [bound, x], {}, 0
        )


def test_unsigned_integers_of_full_width_are_compared_by_numpy(forms: Any) -> None:
    x = np.array([2**63, 1], np.uint64)
    for y in (np.array([-1, 1]), -1, 7):
        assert isinstance(forms.form_of(forms.OPS["less"], [x, y], {}), HostCall)


def test_integer_quotients_of_all_signs_and_by_zero(forms: Any) -> None:
    low = np.iinfo(np.int64).min
    x = np.array([low, low + 1, -7, -1, 0, 1, 7, np.iinfo(np.int64).max])
    args: list[Any] = [g.ravel() for g in np.meshgrid(x, x)]
    for name in ("floor_divide", "remainder", "fmod"):
        assert forms.check_map(forms.OPS[name], args, {}, 0)


def test_signs_of_zeros(forms: Any) -> None:
    x = np.array([0.0, -0.0, -2.0, 2.0, -0.4, 0.4])
    pairs: list[Any] = [g.ravel() for g in np.meshgrid(x, x)]
    unary = (
        "neg",
        "positive",
        "square",
        "reciprocal",
        "floor",
        "ceil",
        "trunc",
        "rint",
        "fraction",
        "integral",
        "mantissa",
    )
    calls = [(n, [x]) for n in (*unary, "sin", "tan", "arctan", "sinh", "expm1", "log1p", "sign", "abs", "sqrt")]
    calls += [(n, pairs) for n in ("add", "sub", "mul", "div", "copysign", "remainder", "floor_divide", "fmod")]
    for name, args in calls:
        op = forms.OPS[name]
        args = [np.abs(a) for a in args] if name == "sqrt" else args
        form, out = forms.form_of(op, args, {}), op.shape(*map(aval_of, args))
        if isinstance(form, Map):
            got, want = forms.mapped(form, args, {}, out), forms.evaluated(op, args, {})[0]
            zero = want == 0
            np.testing.assert_array_equal(np.signbit(got[zero]), np.signbit(want[zero]), err_msg=name)
