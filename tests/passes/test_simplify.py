"""Each rule of simplification: what it makes of a program, and that it changes no value."""

import numpy as np
import pytest

from wengert.ops.basis import add, broadcast_to, cast, neg, real, reduce_sum, reshape, scale, strong_mul, transpose
from wengert.ops.elementwise import abs_, cos, div, exp, mul, pow_, sinh, square, sub, tanh, unscale
from wengert.ops.index import ARRAY, index, index_put, scatter_add
from wengert.ops.logic import greater, logical_not
from wengert.ops.reduce import reduce_max
from wengert.ops.select import larger_share, maximum, where
from wengert.ops.shape import concatenate, stack
from wengert.passes.dce import dce
from wengert.passes.simplify import simplify

CASES = [
    (lambda x, y=None, z=None: mul(x, 1.0), [(3,)], ["return v0"]),
    (lambda x, y=None, z=None: mul(x, -1), [(3,)], ["v1 = neg(v0)", "return v1"]),
    (
        lambda x, y=None, z=None: mul(x, broadcast_to(np.float64(1.0), shape=(2, 3))),
        [(3,)],
        ["v1 = broadcast_to(v0) shape=(2, 3)", "return v1"],
    ),
    (lambda x, y=None, z=None: mul(x, 0.0), [(3,)], ["v1 = mul(v0, 0.0)", "return v1"]),
    (lambda x, y=None, z=None: mul(neg(x), neg(y)), [(3,), (3,)], ["v2 = mul(v0, v1)", "return v2"]),
    (lambda x, y=None, z=None: neg(neg(x)), [(3,)], ["return v0"]),
    (lambda x, y=None, z=None: neg(mul(x, 2.5)), [(3,)], ["v1 = mul(v0, -2.5)", "return v1"]),
    (lambda x, y=None, z=None: add(x, 0.0), [(3,)], ["v1 = add(v0, 0.0)", "return v1"]),
    (lambda x, y=None, z=None: add(x, -0.0), [(3,)], ["return v0"]),
    (lambda x, y=None, z=None: add(x, neg(y)), [(3,), (3,)], ["v2 = sub(v0, v1)", "return v2"]),
    (lambda x, y=None, z=None: sub(x, 0.0), [(3,)], ["return v0"]),
    (lambda x, y=None, z=None: sub(x, -0.0), [(3,)], ["v1 = sub(v0, -0.0)", "return v1"]),
    (lambda x, y=None, z=None: sub(x, neg(y)), [(3,), (3,)], ["v2 = add(v0, v1)", "return v2"]),
    (lambda x, y=None, z=None: div(x, 1), [(3,)], ["return v0"]),
    (lambda x, y=None, z=None: div(x, 4), [(3,)], ["v1 = mul(v0, 0.25)", "return v1"]),
    (lambda x, y=None, z=None: div(x, 3), [(3,)], ["v1 = div(v0, 3)", "return v1"]),
    (lambda x, y=None, z=None: div(1.0, x), [(3,)], ["v1 = reciprocal(v0)", "return v1"]),
    (lambda x, y=None, z=None: square(neg(x)), [(3,)], ["v1 = square(v0)", "return v1"]),
    (lambda x, y=None, z=None: cos(abs_(x)), [(3,)], ["v1 = cos(v0)", "return v1"]),
    (lambda x, y=None, z=None: abs_(square(x)), [(3,)], ["v1 = square(v0)", "return v1"]),
    (lambda x, y=None, z=None: mul(x, x), [(3,)], ["v1 = square(v0)", "return v1"]),
    (lambda x, y=None, z=None: pow_(x, 2), [(3,)], ["v1 = square(v0)", "return v1"]),
    (lambda x, y=None, z=None: pow_(x, 3), [(3,)], ["v1 = square(v0)", "v2 = mul(v1, v0)", "return v2"]),
    (lambda x, y=None, z=None: pow_(x, 4.0), [(3,)], ["v1 = square(v0)", "v2 = square(v1)", "return v2"]),
    (lambda x, y=None, z=None: pow_(x, 5), [(3,)], ["v1 = pow(v0, 5)", "return v1"]),
    (lambda x, y=None, z=None: pow_(x, -2), [(3,)], ["v1 = reciprocal(v0)", "v2 = square(v1)", "return v2"]),
    (lambda x, y=None, z=None: pow_(x, 0), [(3,)], ["v1 = broadcast_to(np.float64(1.0)) shape=(3,)", "return v1"]),
    (lambda x, y=None, z=None: pow_(x, 0.5), [(3,)], ["v1 = sqrt(v0)", "return v1"]),
    (
        lambda x, y=None, z=None: pow_(x, -0.5),
        [(3,)],
        [
            "v1 = add(v0, 0.0)",
            "v2 = sqrt(v1)",
            "v3 = reciprocal(v2)",
            "v4 = equal(v0, -inf)",
            "v5 = where(v4, 0.0, v3)",
            "return v5",
        ],
    ),
    (
        lambda x, y=None, z=None: pow_(square(x), 1.5),
        [(3,)],
        ["v1 = square(v0)", "v2 = add(v1, 0.0)", "v3 = sqrt(v2)", "v4 = mul(v3, v2)", "return v4"],
    ),
    (
        lambda x, y=None, z=None: pow_(square(x), -0.5),
        [(3,)],
        ["v1 = square(v0)", "v2 = add(v1, 0.0)", "v3 = sqrt(v2)", "v4 = reciprocal(v3)", "return v4"],
    ),
    (lambda x, y=None, z=None: scale(x, 2.0), [(3,)], ["v1 = mul(v0, 2.0)", "return v1"]),
    (lambda x, y=None, z=None: scale(x, np.inf), [(3,)], ["v1 = scale(v0, inf)", "return v1"]),
    (lambda x, y=None, z=None: scale(x, y), [(3,), (3,)], ["v2 = scale(v0, v1)", "return v2"]),
    (lambda x, y=None, z=None: scale(0.0, x), [(3,)], ["v1 = broadcast_to(np.float64(0.0)) shape=(3,)", "return v1"]),
    (lambda x, y=None, z=None: scale(3.0, x), [(3,)], ["v1 = mul(3.0, v0)", "return v1"]),
    (lambda x, y=None, z=None: scale(x, tanh(y)), [(3,), (3,)], ["v2 = tanh(v1)", "v3 = scale(v0, v2)", "return v3"]),
    (
        lambda x, y=None, z=None: scale(exp(x), tanh(x)),
        [(3,)],
        ["v1 = exp(v0)", "v2 = tanh(v0)", "v3 = mul(v1, v2)", "return v3"],
    ),
    (
        lambda x, y=None, z=None: scale(exp(x), sinh(x)),
        [(3,)],
        ["v1 = exp(v0)", "v2 = sinh(v0)", "v3 = scale(v1, v2)", "return v3"],
    ),
    (
        lambda x, y=None, z=None: scale(add(square(x), 1), y),
        [(3,), (3,)],
        ["v2 = square(v0)", "v3 = add(v2, 1)", "v4 = mul(v3, v1)", "return v4"],
    ),
    (
        lambda x, y=None, z=None: scale(x, larger_share(x, y)),
        [(3,), (3,)],
        ["v2 = larger_share(v0, v1)", "v3 = mul(v0, v2)", "return v3"],
    ),
    (
        lambda x, y=None, z=None: strong_mul(x, larger_share(x, y)),
        [(3,), (3,)],
        ["v2 = larger_share(v0, v1)", "v3 = scale(v2, v0)", "return v3"],
    ),
    (lambda x, y=None, z=None: strong_mul(x, y), [(3,), (3,)], ["v2 = strong_mul(v0, v1)", "return v2"]),
    (
        lambda x, y=None, z=None: strong_mul(x, 0.0),
        [(3,)],
        ["v1 = broadcast_to(np.float64(0.0)) shape=(3,)", "return v1"],
    ),
    (lambda x, y=None, z=None: unscale(x, y), [(3,), (3,)], ["v2 = unscale(v0, v1)", "return v2"]),
    (lambda x, y=None, z=None: unscale(x, 3), [(3,)], ["v1 = div(v0, 3)", "return v1"]),
    (
        lambda x, y=None, z=None: unscale(x, add(square(x), 1)),
        [(3,)],
        ["v1 = square(v0)", "v2 = add(v1, 1)", "v3 = div(v0, v2)", "return v3"],
    ),
    (lambda x, y=None, z=None: where(greater(x, 0), x, x), [(3,)], ["return v0"]),
    (lambda x, y=None, z=None: where(True, x, y), [(3,), (2, 3)], ["v2 = broadcast_to(v0) shape=(2, 3)", "return v2"]),
    (
        lambda x, y=None, z=None: where(logical_not(greater(x, 0)), x, y),
        [(3,), (3,)],
        ["v2 = greater(v0, 0)", "v3 = where(v2, v1, v0)", "return v3"],
    ),
    (
        lambda x, y=None, z=None: where(greater(x, 0), where(greater(x, 0), x, y), z),
        [(3,), (3,), (3,)],
        ["v3 = greater(v0, 0)", "v4 = greater(v0, 0)", "v5 = where(v4, v0, v1)", "v6 = where(v3, v5, v2)", "return v6"],
    ),
    (lambda x, y=None, z=None: maximum(x, x), [(3,)], ["return v0"]),
    (
        lambda x, y=None, z=None: cast(cast(x, dtype=np.dtype("f8")), dtype=np.dtype("f4")),
        [((3,), "f4")],
        ["return v0"],
    ),
    (
        lambda x, y=None, z=None: cast(cast(x, dtype=np.dtype("f4")), dtype=np.dtype("f8")),
        [(3,)],
        ["v1 = cast(v0) dtype=dtype('float32')", "v2 = cast(v1) dtype=dtype('float64')", "return v2"],
    ),
    (lambda x, y=None, z=None: real(x), [(3,)], ["return v0"]),
    (
        lambda x, y=None, z=None: reshape(reshape(x, shape=(6,)), shape=(3, 2)),
        [(2, 3)],
        ["v1 = reshape(v0) shape=(3, 2)", "return v1"],
    ),
    (lambda x, y=None, z=None: reshape(reshape(x, shape=(6,)), shape=(2, 3)), [(2, 3)], ["return v0"]),
    (
        lambda x, y=None, z=None: transpose(transpose(x, axes=(1, 2, 0)), axes=(1, 2, 0)),
        [(2, 3, 4)],
        ["v1 = transpose(v0) axes=(2, 0, 1)", "return v1"],
    ),
    (lambda x, y=None, z=None: transpose(transpose(x, axes=(1, 0)), axes=(1, 0)), [(2, 3)], ["return v0"]),
    (
        lambda x, y=None, z=None: transpose(x, axes=(1, 0, 2)),
        [(1, 3, 4)],
        ["v1 = reshape(v0) shape=(3, 1, 4)", "return v1"],
    ),
    (
        lambda x, y=None, z=None: broadcast_to(broadcast_to(x, shape=(2, 3)), shape=(4, 2, 3)),
        [(3,)],
        ["v1 = broadcast_to(v0) shape=(4, 2, 3)", "return v1"],
    ),
    (
        lambda x, y=None, z=None: reshape(broadcast_to(x, shape=(2, 3)), shape=(2, 1, 3)),
        [(3,)],
        ["v1 = reshape(v0) shape=(1, 1, 3)", "v2 = broadcast_to(v1) shape=(2, 1, 3)", "return v2"],
    ),
    (
        lambda x, y=None, z=None: transpose(broadcast_to(x, shape=(2, 3)), axes=(1, 0)),
        [(3,)],
        ["v1 = reshape(v0) shape=(3, 1)", "v2 = broadcast_to(v1) shape=(3, 2)", "return v2"],
    ),
    (
        lambda x, y=None, z=None: mul(broadcast_to(x, shape=(2, 3)), broadcast_to(y, shape=(2, 3))),
        [(3,), ()],
        ["v2 = mul(v0, v1)", "v3 = broadcast_to(v2) shape=(2, 3)", "return v3"],
    ),
    (
        lambda x, y=None, z=None: add(x, broadcast_to(y, shape=(2, 3))),
        [(2, 3), (3,)],
        ["v2 = add(v0, v1)", "return v2"],
    ),
    (
        lambda x, y=None, z=None: exp(broadcast_to(x, shape=(2, 3))),
        [(3,)],
        ["v1 = exp(v0)", "v2 = broadcast_to(v1) shape=(2, 3)", "return v2"],
    ),
    (lambda x, y=None, z=None: reduce_sum(x, axes=(0, 2)), [(1, 3, 1)], ["v1 = reshape(v0) shape=(3,)", "return v1"]),
    (
        lambda x, y=None, z=None: reduce_sum(broadcast_to(x, shape=(2, 3)), axes=(0,)),
        [(3,)],
        ["v1 = mul(v0, 2.0)", "return v1"],
    ),
    (
        lambda x, y=None, z=None: reduce_sum(broadcast_to(x, shape=(2, 3)), axes=(1,)),
        [(3,)],
        ["v1 = broadcast_to(v0) shape=(2, 3)", "v2 = reduce_sum(v1) axes=(1,)", "return v2"],
    ),
    (
        lambda x, y=None, z=None: reduce_sum(broadcast_to(x, shape=(2, 3)), axes=(0, 1)),
        [(3,)],
        ["v1 = reduce_sum(v0) axes=(0,)", "v2 = mul(v1, 2.0)", "return v2"],
    ),
    (
        lambda x, y=None, z=None: reduce_max(broadcast_to(x, shape=(2, 3)), axes=(0, 1)),
        [(3,)],
        ["v1 = reduce_max(v0) axes=(0,)", "return v1"],
    ),
    (
        lambda x, y=None, z=None: reduce_sum(reduce_sum(x, axes=(1,)), axes=(1,)),
        [(2, 3, 4)],
        ["v1 = reduce_sum(v0) axes=(1, 2)", "return v1"],
    ),
    (
        lambda x, y=None, z=None: reduce_sum(transpose(x, axes=(2, 0, 1)), axes=(2,)),
        [(2, 3, 4)],
        ["v1 = reduce_sum(v0) axes=(1,)", "v2 = transpose(v1) axes=(1, 0)", "return v2"],
    ),
    (
        lambda x, y=None, z=None: reduce_sum(transpose(x, axes=(1, 0)), axes=(0, 1)),
        [(2, 3)],
        ["v1 = reduce_sum(v0) axes=(0, 1)", "return v1"],
    ),
    (
        lambda x, y=None, z=None: reduce_sum(reshape(x, shape=(6,)), axes=(0,)),
        [(2, 3)],
        ["v1 = reduce_sum(v0) axes=(0, 1)", "return v1"],
    ),
    (
        lambda x, y=None, z=None: reduce_max(reshape(x, shape=(2, 1, 3)), axes=(2,)),
        [(2, 3)],
        ["v1 = reduce_max(v0) axes=(1,)", "v2 = reshape(v1) shape=(2, 1)", "return v2"],
    ),
    (
        lambda x, y=None, z=None: reduce_sum(mul(x, 0.5), axes=(1,)),
        [(2, 3)],
        ["v1 = reduce_sum(v0) axes=(1,)", "v2 = mul(v1, 0.5)", "return v2"],
    ),
    (
        lambda x, y=None, z=None: reduce_sum(mul(x, -0.5), axes=(1,)),
        [(2, 3)],
        ["v1 = mul(v0, -0.5)", "v2 = reduce_sum(v1) axes=(1,)", "return v2"],
    ),
    (lambda x, y=None, z=None: index(x, spec=(slice(None), slice(0, 3))), [(2, 3)], ["return v0"]),
    (lambda x, y=None, z=None: index(index_put(x, y, spec=(1,)), spec=(1,)), [(3,), ()], ["return v1"]),
    (
        lambda x, y=None, z=None: index(index_put(x, y, spec=(1,)), spec=(-1,)),
        [(3,), ()],
        ["v2 = index(v0) spec=(2,)", "return v2"],
    ),
    (
        lambda x, y=None, z=None: index(index_put(x, y, spec=(slice(0, 2),)), spec=(1,)),
        [(3,), ()],
        ["v2 = index_put(v0, v1) spec=(slice(0, 2, None),)", "v3 = index(v2) spec=(1,)", "return v3"],
    ),
    (lambda x, y=None, z=None: index(stack(x, y, axis=0), spec=(1,)), [(3,), (3,)], ["return v1"]),
    (
        lambda x, y=None, z=None: index(stack(x, y, axis=1), spec=(slice(0, 2), 0)),
        [(3,), (3,)],
        ["v2 = index(v0) spec=(slice(0, 2, 1),)", "return v2"],
    ),
    (
        lambda x, y=None, z=None: index(concatenate(x, y, axis=0, sizes=(3, 2)), spec=(slice(3, 5),)),
        [(3,), (2,)],
        ["return v1"],
    ),
    (
        lambda x, y=None, z=None: index(concatenate(x, y, axis=0, sizes=(3, 2)), spec=(slice(2, 4),)),
        [(3,), (2,)],
        ["v2 = concatenate(v0, v1) axis=0 sizes=(3, 2)", "v3 = index(v2) spec=(slice(2, 4, None),)", "return v3"],
    ),
    (lambda x, y=None, z=None: index(broadcast_to(x, shape=(2, 3)), spec=(1,)), [(3,)], ["return v0"]),
    (
        lambda x, y=None, z=None: index(broadcast_to(x, shape=(2, 3)), spec=(slice(None), slice(0, 2))),
        [(3,)],
        ["v1 = index(v0) spec=(slice(0, 2, 1),)", "v2 = broadcast_to(v1) shape=(2, 2)", "return v2"],
    ),
    (
        lambda x, y=None, z=None: index(index(x, spec=(1,)), spec=(slice(0, 2),)),
        [(2, 3)],
        ["v1 = index(v0) spec=(1, slice(0, 2, 1))", "return v1"],
    ),
    (
        lambda x, y=None, z=None: index(index(x, spec=(slice(1, 7, 2),)), spec=(slice(1, 3),)),
        [(8,)],
        ["v1 = index(v0) spec=(slice(3, 7, 2),)", "return v1"],
    ),
    (
        lambda x, y=None, z=None: index(x, np.array([1, 3, 5]), spec=(ARRAY,)),
        [(8,)],
        ["v1 = index(v0) spec=(slice(1, 6, 2),)", "return v1"],
    ),
    (
        lambda x, y=None, z=None: index(x, np.array([5, 3, 1]), spec=(slice(None), ARRAY)),
        [(2, 8)],
        ["v1 = index(v0) spec=(slice(None, None, None), slice(5, 0, -2))", "return v1"],
    ),
    (
        lambda x, y=None, z=None: index(x, np.array([1, 3, 4]), spec=(ARRAY,)),
        [(8,)],
        ["v1 = index(v0, ‹int64[3]›) spec=(ARRAY,)", "return v1"],
    ),
    (lambda x, y=None, z=None: scatter_add(x, spec=(slice(None),), shape=(3,)), [(3,)], ["return v0"]),
    (
        lambda x, y=None, z=None: index(scatter_add(x, spec=(slice(0, 2),), shape=(4,)), spec=(slice(2, 4),)),
        [(2,)],
        ["v1 = broadcast_to(np.float64(0.0)) shape=(2,)", "return v1"],
    ),
    (
        lambda x, y=None, z=None: cast(reshape(x, shape=(6,)), dtype=np.dtype("f4")),
        [(2, 3)],
        ["v1 = cast(v0) dtype=dtype('float32')", "v2 = reshape(v1) shape=(6,)", "return v2"],
    ),
    (
        lambda x, y=None, z=None: cast(
            mul(cast(x, dtype=np.dtype("f8")), cast(y, dtype=np.dtype("f8"))), dtype=np.dtype("f4")
        ),
        [((3,), "f4"), ((3,), "f4")],
        ["v2 = mul(v0, v1)", "return v2"],
    ),
    (
        lambda x, y=None, z=None: cast(add(cast(x, dtype=np.dtype("f8")), np.float64(0.5)), dtype=np.dtype("f4")),
        [((3,), "f4")],
        ["v1 = add(v0, np.float32(0.5))", "return v1"],
    ),
    (
        lambda x, y=None, z=None: cast(add(cast(x, dtype=np.dtype("f8")), np.float64(0.1)), dtype=np.dtype("f4")),
        [((3,), "f4")],
        [
            "v1 = cast(v0) dtype=dtype('float64')",
            "v2 = add(v1, np.float64(0.1))",
            "v3 = cast(v2) dtype=dtype('float32')",
            "return v3",
        ],
    ),
    (
        lambda x, y=None, z=None: cast(
            div(cast(x, dtype=np.dtype("f8")), cast(y, dtype=np.dtype("f8"))), dtype=np.dtype("f4")
        ),
        [((3,), "f4"), ((3,), "f4")],
        [
            "v2 = cast(v0) dtype=dtype('float64')",
            "v3 = cast(v1) dtype=dtype('float64')",
            "v4 = div(v2, v3)",
            "v5 = cast(v4) dtype=dtype('float32')",
            "return v5",
        ],
    ),
]
SPECIAL = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 5e-324, -1e-310, 1.0, -2.5, 1e155, -3e-160, 1.7e308, 0.3])


def name_of(case):
    return f"{case[2][-2:]}"


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_rule(program_of, lines, case):
    fun, shapes, want = case
    assert lines(dce(simplify(program_of(fun, *shapes)))) == want


@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_values(program_of, case):
    """To rounding, with signed zeros, infinities and NaNs; but signs are free for strong zeros and for sums that are
    zero, and sums may overflow, or not, in another order."""
    fun, shapes, _ = case
    before = program_of(fun, *shapes)
    after = dce(simplify(before))
    rng = np.random.default_rng(0)
    ops = {e.op for e in before.equations()}
    unsigned = bool(ops & {scale, strong_mul, unscale, reduce_sum})
    values = SPECIAL[np.isnan(SPECIAL) | (abs(SPECIAL) < 1e300)] if reduce_sum in ops else SPECIAL
    for _ in range(30):
        with np.errstate(all="ignore"):
            xs = [rng.choice(values, v.shape).astype(v.dtype) for v in before.ins]
            for old, new in zip(before.run(*xs), after.run(*xs), strict=True):
                old, new = np.asarray(old), np.asarray(new)
                assert old.dtype == new.dtype
                np.testing.assert_allclose(new, old, rtol=4e-15, atol=1e-323)
                ok = np.isnan(old) | (np.signbit(old) == np.signbit(new)) | (unsigned & (old == 0))
                assert ok.all(), (xs, old, new)


def test_program_without_a_rule_is_returned_itself(program_of):
    program = program_of(lambda x, y: exp(add(x, y)), (3,), (3,))
    assert simplify(program) is program
