"""The public strategies: what they promise, how they shrink, what they print."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st

import wengert as wg
from wengert.core.errors import WengertError
from wengert.verify import strategies as wst
from wengert.verify.catalog import load_ops
from wengert.verify.generate.consistency import check_call

OPS = load_ops()
repeatable = settings(derandomize=True, deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))


@repeatable
@given(wst.shapes(min_dims=1, max_dims=2, min_side=1, max_side=3))
def test_shapes(shape):
    assert 1 <= len(shape) <= 2 and all(1 <= d <= 3 for d in shape)


@repeatable
@given(wst.broadcastable(3))
def test_broadcastable(shapes):
    assert len(shapes) == 3
    np.broadcast_shapes(*shapes)


@repeatable
@given(wst.arrays("complex64", shape=wst.shapes(min_side=1), low=0.5, high=3.0))
def test_arrays(x):
    assert x.dtype == np.complex64
    for part in (x.real, x.imag):
        assert np.all((part >= 0.5) & (part <= 3.0))


@repeatable
@given(st.data(), wst.shapes())
def test_arrays_of_a_given_shape(data, shape):
    x = data.draw(wst.arrays(st.sampled_from(["float32", "float64"]), shape=shape, values="any", layouts=False))
    assert np.shape(x) == shape and x.dtype.kind == "f"
    assert not shape or x.flags.c_contiguous


@pytest.mark.parametrize(
    "seen",
    [
        lambda x: x.ndim == 2 and x.strides[0] < 0,
        lambda x: x.ndim == 2 and x.flags.f_contiguous and not x.flags.c_contiguous,
        lambda x: x.ndim > 0 and 0 in x.strides and x.size > 1,
        lambda x: not getattr(x, "flags", np.ones(1).flags).aligned,
        lambda x: x.size == 0,
        lambda x: x.ndim == 0 and type(x) is np.float64,
        lambda x: x.ndim == 0 and type(x) is np.ndarray,
        lambda x: bool(np.any((x == 0) & np.signbit(x))),
        lambda x: bool(np.isinf(x).any()),
        lambda x: x.size > 2 and len(np.unique(x)) < x.size,
    ],
)
def test_everything_promised_is_found(seen):
    few = st.sampled_from([(), (0,), (2,), (3,), (2, 3)])
    unshrunk = settings(repeatable, max_examples=3000, phases=[Phase.generate])
    assert seen(find(wst.arrays(shape=few, values="any"), seen, settings=unshrunk))


def test_shrinks_to_simple_arrays():
    found = find(wst.arrays(), lambda x: x.size > 1 and x.sum() > 0.5, settings=settings(repeatable, max_examples=2000))
    assert found.size == 2 and found.flags.c_contiguous and found.dtype == np.float64


def test_bad_requests():
    with pytest.raises(ValueError, match="carries no derivative"):
        find(wst.arrays("int64"), lambda x: True)
    with pytest.raises(WengertError, match="no name of an op"):
        wst.op_calls("no such op")
    with pytest.raises(WengertError, match="an op without samples"):
        wst.op_calls("checkpoint_call")


# ── calls and programs ────────────────────────────────────────────────────────


@settings(repeatable, max_examples=80)
@given(wst.op_calls())
def test_any_op(call):
    check_call(call)


@repeatable
@given(wst.op_calls("matmul", dtype="float32", values="edge"))
def test_one_op(call):
    assert call.op.name == "matmul"
    check_call(call)


def test_a_wrong_rule_shrinks_to_a_short_program(monkeypatch):
    """Only where its operand is negative is the rule wrong; the counter-example says so, and runs."""
    right = OPS["cos"].pullback

    def rule(ct, ins, xs, out, **params):
        (back,) = right(ct, ins, xs, out, **params)
        return (np.where(xs[0] < -0.5, -back, back)[()].astype(back.dtype),)

    monkeypatch.setattr(OPS["cos"], "pullback", rule)

    def fails(call):
        try:
            check_call(call)
        except AssertionError:
            return True
        return False

    found = find(wst.op_calls("cos"), fails, settings=settings(repeatable, max_examples=2000))
    (x,) = found.args
    assert found.values == "smooth" and found.dtype == np.float64 and found.laid[0].layout == "contiguous"
    assert np.any(x < -0.5)
    code = repr(found)
    assert len(code) < 600
    with pytest.raises(AssertionError, match="cos"):
        exec(code, {})
    monkeypatch.undo()
    exec(code, {})  # right again


@settings(repeatable, max_examples=15)
@given(wst.programs())
def test_programs(program):
    assert "def f(" in program.source


# ── for other libraries ───────────────────────────────────────────────────────


@settings(repeatable, max_examples=10)
@given(wst.broadcastable(2, min_side=1).flatmap(lambda s: st.tuples(*(wst.arrays(shape=x) for x in s))))
def test_a_function_of_ones_own(xy):
    wg.verify.check_grads(lambda x, y: np.sum(np.tanh(x * y)), *xy, order=1)


def test_counter_examples_are_printed_with_their_memory(capsys):
    @settings(repeatable, max_examples=500, database=None)
    @given(wst.arrays(shape=(2, 2)))
    def claims_contiguous(x):
        assert x.flags.c_contiguous

    with pytest.raises(AssertionError) as caught:
        claims_contiguous()
    notes = "\n".join(getattr(caught.value, "__notes__", []))
    assert "np.flip(np.flip(" in notes or "np.repeat(" in notes or "asfortranarray" in notes or "broadcast_to" in notes
