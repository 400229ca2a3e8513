"""Passes one by one: what each makes of a small program, as text."""

import numpy as np
import pytest

import wengert as wg
from wengert.core.config import config
from wengert.graph.program import Literal, Program
from wengert.graph.spec import IllegalProgram
from wengert.ops.basis import add, broadcast_to, neg, reduce_sum, scale, transpose
from wengert.ops.contract import contract, matmul
from wengert.ops.elementwise import div, exp, mul, sin, sqrt, unscale
from wengert.ops.index import index, index_put, scatter_add
from wengert.ops.reduce import reduce_mean
from wengert.ops.shape import pad_constant, split, stack
from wengert.ops.softmax import log_softmax
from wengert.passes.contraction import contraction
from wengert.passes.cse import cse
from wengert.passes.dce import dce
from wengert.passes.fold import fold
from wengert.passes.inline import inline
from wengert.passes.pipeline import optimise
from wengert.passes.placement import placement
from wengert.passes.reciprocals import reciprocals
from wengert.passes.schedule import peak_bytes, schedule
from wengert.transforms.call import call

# ── dce ───────────────────────────────────────────────────────────────────────


def test_unused_equations_go(program_of, lines):
    def fun(x):
        sin(x)
        return exp(x)

    assert lines(dce(program_of(fun, (3,)))) == ["v1 = exp(v0)", "return v1"]


def test_an_equation_of_several_results_stays_for_one(program_of, lines):
    program = program_of(lambda x: split(x, axis=0, sizes=(1, 2))[1], (3,))
    assert dce(program) is program


# ── cse ───────────────────────────────────────────────────────────────────────


def test_equal_equations_are_one(program_of, lines):
    program = program_of(lambda x, y: mul(add(x, y), add(y, x)), (3,), (3,))
    assert lines(cse(program)) == ["v2 = add(v0, v1)", "v3 = mul(v2, v2)", "return v3"]


def test_equal_arrays_are_one(program_of, lines):
    a, b = np.arange(3.0), np.arange(3.0)
    program = program_of(lambda x: add(mul(x, a), mul(x, b)), (3,))
    assert lines(cse(program)) == ["v1 = mul(v0, ‹float64[3]›)", "v2 = add(v1, v1)", "return v2"]


@pytest.mark.parametrize(
    "fun",
    [
        lambda x: (div(x, 0.0), div(x, -0.0)),
        lambda x: (mul(x, 1), mul(x, np.float32(1))),
        lambda x: (pad_constant(x, widths=((1, 1),), value=0.0), pad_constant(x, widths=((1, 1),), value=-0.0)),
        lambda x: (index(x, spec=(slice(0, 2),)), index(x, spec=(slice(1, 3),))),
        lambda x: (mul(x, np.zeros(3)), mul(x, -np.zeros(3))),
        lambda x: (div(x, 2.0), div(2.0, x)),
    ],
)
def test_different_equations_stay_two(program_of, fun):
    program = program_of(fun, (3,))
    assert cse(program) is program


# ── fold ──────────────────────────────────────────────────────────────────────


def constants(*eqns, out):
    return Program([], list(eqns), [out])


def row(op, ins, out, **params):
    return (op, ins, out, params, (), None, None, -1)


def test_constants_are_computed(program_of):
    from wengert.graph.program import Var

    v = [Var((3,), np.dtype(float)) for _ in range(2)]
    a = Literal(np.array([1.0, 2.0, 3.0]))
    folded = fold(constants(row(add, (a, Literal(1.0)), v[0]), row(mul, (v[0], v[0]), v[1]), out=v[1]))
    assert not folded.eqns
    np.testing.assert_array_equal(folded.outs[0].value, [4.0, 9.0, 16.0])


def test_what_grows_or_raises_is_left(program_of):
    from wengert.graph.program import Var

    wide, x = Var((1000, 1000), np.dtype(float)), Literal(np.arange(1000.0))
    program = constants(row(broadcast_to, (x,), wide, shape=(1000, 1000)), out=wide)
    assert fold(program) is program
    outer = constants(row(contract, (x, x), wide, subscripts="a,b->ab"), out=wide)
    assert fold(outer) is outer
    bad = constants(row(index, (x, Literal(np.array([2000]))), Var((1,), np.dtype(float)), spec=(slice,)), out=wide)
    assert fold(bad) is bad


def test_arrays_of_one_value_become_broadcasts(lines):
    from wengert.graph.program import Var

    x, out = Var((3,), np.dtype(float)), Var((3,), np.dtype(float))
    ones = Program([x], [row(mul, (x, Literal(np.ones(3))), out)], [out])
    assert lines(fold(ones)) == ["v1 = broadcast_to(np.float64(1.0)) shape=(3,)", "v2 = mul(v0, v1)", "return v2"]
    mixed = Program([x], [row(mul, (x, Literal(np.array([0.0, -0.0, 0.0]))), out)], [out])
    assert fold(mixed) is mixed


# ── inline ────────────────────────────────────────────────────────────────────


def test_compositions_are_written_out(program_of, lines):
    program = program_of(lambda x: reduce_mean(x, axes=(0,)), (4,))
    assert lines(inline(program)) == ["v1 = reduce_sum(v0) axes=(0,)", "v2 = div(v1, 4)", "return v2"]


def test_a_body_is_recorded_once_and_renamed(program_of):
    program = program_of(lambda x, y: add(log_softmax(x, axes=(0,)), log_softmax(y, axes=(0,))), (4,), (4,))
    written = inline(program)
    made = [v for e in written.equations() for v in e.results]
    assert len(made) == len(set(made)) and all(e.op is not log_softmax for e in written.equations())
    x, y = np.random.default_rng(0).normal(size=(2, 4))
    np.testing.assert_allclose(written.run(x, y)[0], program.run(x, y)[0], rtol=1e-14)


def test_written_out_equations_keep_the_users_line(program_of):
    program = program_of(lambda x: reduce_mean(x, axes=(0,)), (4,))
    assert {e.source for e in inline(program).equations()} == {e.source for e in program.equations()}


def test_calls_are_spliced_in(program_of, lines):
    inner = program_of(lambda x, y: (mul(x, y), x), (3,), ())
    program = program_of(lambda x, y: add(*call(x, y, program=inner)), (3,), ())
    assert lines(inline(program)) == ["v2 = mul(v0, v1)", "v3 = add(v2, v0)", "return v3"]
    other = program_of(lambda x, y: add(*call(y, x, program=inner)), (), (3,))
    assert len(inline(other).eqns) == 2


def test_complex_programs_stay(program_of):
    program = program_of(lambda x: reduce_mean(x, axes=(0,)), ((4,), "c16"))
    assert inline(program) is program


# ── placement ─────────────────────────────────────────────────────────────────


def test_sums_of_pieces_are_concatenated(program_of, lines):
    def fun(x, y, z):
        parts = [scatter_add(v, spec=(i,), shape=(4,)) for i, v in ((2, x), (0, y), (1, z))]
        return add(add(parts[0], parts[1]), parts[2])

    assert lines(dce(placement(program_of(fun, (), (), ()))))[-4:] == [
        "v6 = broadcast_to(np.float64(0.0)) shape=(1,)",
        "v7 = concatenate(v4, v5, v3, v6) axis=0 sizes=(1, 1, 1, 1)",
        "v8 = add(v7, 0.0)",
        "return v8",
    ]


def test_overlapping_pieces_are_concatenated_in_layers(program_of):
    def fun(x):
        total = scatter_add(index(x, spec=(slice(0, 3),)), spec=(slice(0, 3),), shape=(6,))
        for i in (0, 1, 2, 1, 5):
            total = add(total, scatter_add(index(x, spec=(i,)), spec=(i,), shape=(6,)))
        return total

    program = program_of(fun, (6,))
    placed = dce(placement(program))
    names = [e.op.name for e in placed.equations()]
    assert names.count("concatenate") == 1 and names.count("scatter_add") == 2
    x = np.arange(6.0)
    np.testing.assert_array_equal(placed.run(x)[0], program.run(x)[0])


def test_writes_into_an_array_are_concatenated(program_of, lines):
    def fun(x, y):
        out = y
        for i in (3, 1, 1, 2):
            out = index_put(out, mul(x, float(i)), spec=(i,))
        return out

    program = program_of(fun, (), (5,))
    placed = dce(placement(program))
    assert all(e.op is not index_put for e in placed.equations())
    xs = np.float64(2.0), np.arange(5.0)
    np.testing.assert_array_equal(placed.run(*xs)[0], program.run(*xs)[0])


def test_an_array_that_is_read_between_writes_stays(program_of):
    def fun(x, y):
        one = index_put(y, x, spec=(0,))
        two = index_put(one, x, spec=(1,))
        three = index_put(two, x, spec=(2,))
        return add(add(one, two), three)

    program = program_of(fun, (), (5,))
    assert placement(program) is program


# ── contraction ───────────────────────────────────────────────────────────────


def swapped(x):
    return transpose(x, axes=(1, 0))


@pytest.mark.parametrize(
    ("fun", "shapes", "want"),
    [
        (lambda x, y: matmul(swapped(x), y), [(3, 4), (3, 5)], ["v2 = contract(v0, v1) subscripts='ba,bc->ac'"]),
        (
            lambda x, y: swapped(matmul(x, swapped(y))),
            [(3, 4), (5, 4)],
            ["v2 = contract(v0, v1) subscripts='ab,cb->ca'"],
        ),
        (
            lambda x, y: matmul(x, swapped(y), strong=(True, False)),
            [(3, 4), (5, 4)],
            ["v2 = contract(v0, v1) subscripts='ab,cb->ac' strong=(True, False)"],
        ),
        (lambda x, y: matmul(x, swapped(y)), [(4,), (5, 4)], ["v2 = contract(v0, v1) subscripts='b,cb->c'"]),
        (
            lambda x, y, z: matmul(matmul(x, y), z),
            [(50, 60), (60, 70), (70,)],
            ["v3 = matmul(v1, v2)", "v4 = matmul(v0, v3)"],
        ),
        (
            lambda x, y, z: matmul(matmul(x, y), z),
            [(5, 60), (60, 70), (70, 3)],
            ["v3 = matmul(v0, v1)", "v4 = matmul(v3, v2)"],
        ),
        (lambda x, y: matmul(mul(x, 0.5), y), [(30, 40), (40, 2)], ["v2 = matmul(v0, v1)", "v3 = mul(v2, 0.5)"]),
        (lambda x, y: matmul(mul(0.5, x), y), [(90, 8), (8, 10)], ["v2 = mul(v1, 0.5)", "v3 = matmul(v0, v2)"]),
        (lambda x, y: matmul(x, mul(y, 0.5)), [(8, 10), (10, 90)], ["v2 = mul(v0, 0.5)", "v3 = matmul(v2, v1)"]),
    ],
)
def test_contractions(program_of, lines, fun, shapes, want):
    program = program_of(fun, *shapes)
    after = dce(contraction(program))
    assert lines(after)[:-1] == want
    rng = np.random.default_rng(0)
    xs = [rng.normal(size=s) for s in shapes]
    np.testing.assert_allclose(after.run(*xs)[0], program.run(*xs)[0], rtol=1e-11, atol=1e-12)


def test_an_intermediate_that_is_needed_is_not_multiplied_otherwise(program_of):
    def fun(x, y, z):
        xy = matmul(x, y)
        return xy, matmul(xy, z)

    program = program_of(fun, (50, 60), (60, 70), (70,))
    assert contraction(program) is program


# ── reciprocals ───────────────────────────────────────────────────────────────


def test_shared_divisors_are_inverted_once(program_of, lines):
    program = program_of(lambda x, y, z: (div(x, sqrt(z)), unscale(y, sqrt(z))), (6, 4), (6, 4), (6, 1))
    after = reciprocals(cse(program))
    assert lines(after)[1:-1] == ["v4 = reciprocal(v3)", "v5 = mul(v0, v4)", "v6 = scale(v1, v4)"]
    x, y, z = np.random.default_rng(0).normal(size=(3, 6, 4))
    z = np.array([0.0, -0.0, np.inf, np.nan, 5e-324, 1.7e308])[:, None]
    x[:, 0], x[:, 1], y[:, 2] = 0.0, np.inf, 0.0
    with np.errstate(all="ignore"):
        for old, new in zip(program.run(x, y, z), after.run(x, y, z), strict=True):
            np.testing.assert_allclose(new, old, rtol=4e-16)


def test_divisors_whose_inverse_may_overflow_stay(program_of):
    program = program_of(lambda x, y, z: (div(x, z), div(y, z)), (6, 4), (6, 4), (6, 1))
    assert reciprocals(program) is program


# ── schedule ──────────────────────────────────────────────────────────────────


def test_peak_of_a_chain(program_of):
    program = program_of(lambda x: exp(sin(neg(x))), (1000,))
    assert peak_bytes(program) == 3 * 8000  # the input, which the caller keeps, and two at a time


def test_movements_take_no_memory(program_of):
    assert peak_bytes(program_of(lambda x: reduce_sum(swapped(x), axes=(0,)), (1000, 10))) == 80000 + 8000


def test_schedule_lowers_the_peak(program_of):
    def fun(x):
        waves = [sin(mul(x, float(i))) for i in range(8)]
        return [reduce_sum(w, axes=(0,)) for w in waves]

    program = program_of(fun, (1 << 18,))
    after = schedule(program)
    assert peak_bytes(program) > 16 << 20 and peak_bytes(after) <= (6 << 20) + 64
    assert sorted(map(id, after.eqns)) == sorted(map(id, program.eqns))
    x = np.linspace(0, 1, 1 << 18)
    assert after.run(x) == program.run(x)


def test_schedule_keeps_an_order_that_is_good(program_of):
    program = program_of(lambda x: exp(sin(neg(x))), (1 << 20,))
    assert schedule(program) is program


# ── pipeline ──────────────────────────────────────────────────────────────────


def regression(w, x, y):
    r = np.tanh(x @ w) - y
    return np.mean(r**2) + 0.1 * np.sum(w**2)


def test_pipeline_of_a_gradient(program_of):
    program = program_of(lambda w, x, y: wg.grad(regression)(w, x, y), (4,), (6, 4), (6,))
    with config.override(debug_passes=True):
        after, reports = optimise(program)
    assert len(after.eqns) < len(program.eqns)
    assert [r.name for r in reports if r.notes] and all(r.seconds >= 0 for r in reports)
    assert reports[0].before == len(program.eqns) and "scale → mul" in str(reports)
    rng = np.random.default_rng(0)
    args = [rng.normal(size=v.shape) for v in program.ins]
    np.testing.assert_allclose(after.run(*args)[0], program.run(*args)[0], rtol=1e-13)
    np.testing.assert_allclose(after.run(*args)[0], wg.grad(regression)(*args), rtol=1e-13)


def test_strong_zeros_survive(program_of):
    """What is not selected reaches no gradient, though its own slope is infinite or NaN."""

    def fun(x):
        return np.sum(np.where(x > 0, np.sqrt(np.where(x > 0, x, 0.0)) + np.tanh(x * np.inf), 0.0))

    program = program_of(lambda x: wg.grad(fun)(x), (4,))
    after, _ = optimise(program)
    x = np.array([4.0, -1.0, 0.0, np.nan])
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(after.run(x)[0], program.run(x)[0])


def test_debug_passes_finds_what_a_pass_breaks(program_of):
    program = program_of(lambda x: exp(sin(x)), (3,))

    def broken(p, notes):
        return Program(p.ins, p.eqns[1:], p.outs)

    with config.override(debug_passes=True), pytest.raises(IllegalProgram, match="broken"):
        optimise(program, [(1, (broken,))])


def test_stacked_elements_are_read_directly(program_of, lines):
    program = program_of(lambda x, y: scale(index(stack(x, y, axis=0), spec=(1,)), 2.0), (), ())
    assert lines(optimise(program)[0]) == ["v2 = mul(v1, 2.0)", "return v2"]
