"""Passes over loops and branches: what each makes of a small one, and that values stay."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import wengert as wg
from wengert.core.aval import Aval
from wengert.core.config import config
from wengert.graph.program import Literal, Program
from wengert.ops import basis, elementwise, logic
from wengert.ops.contract import matmul
from wengert.ops.dtype import truncate
from wengert.ops.factor import cholesky
from wengert.ops.index import index
from wengert.passes.pipeline import optimise
from wengert.trace.stage import stage
from wengert.transforms.call import call
from wengert.transforms.control.scan import scan
from wengert.transforms.control.switch import switch
from wengert.transforms.control.while_loop import while_loop

FLOAT, INT = np.dtype(float), np.dtype(int)
HOW: dict[str, Any] = {"length": 6, "reverse": False, "unroll": 1}


@pytest.fixture(autouse=True)
def checked(monkeypatch):
    monkeypatch.setattr(config, "debug_passes", True)


def of(*shapes: Any) -> list[Aval]:
    return [s if isinstance(s, Aval) else Aval(s, FLOAT) for s in shapes]


def staged(fun: Any, *shapes: Any) -> Program:
    return stage(lambda *xs: list(fun(*xs)), of(*shapes))[0]


def names(program: Program) -> list[str]:
    return [e.op.name for e in program.equations()]


def the(name: str, program: Program) -> Any:
    (found,) = [e for e in program.equations() if e.op.name == name]
    return found


def optimised(program: Program, seed: int = 0) -> Program:
    """After all passes, with the same values."""
    after = optimise(program)[0]
    rng = np.random.default_rng(seed)
    xs = [rng.normal(size=v.shape)[()] if v.dtype == FLOAT else v.dtype.type(rng.integers(3)) for v in program.ins]
    for a, b in zip(program.run(*xs), after.run(*xs), strict=True):
        assert np.shape(a) == np.shape(b)
        np.testing.assert_allclose(b, a, rtol=1e-12, atol=1e-12)
    return after


def looped(body: Any, consts: list[Any], carries: list[Any], xs: list[Any], **how: Any) -> Program:
    """A scan of this body as a program of its operands' shapes."""
    how = HOW | how
    inner = staged(body, *consts, *carries, *xs)
    stacked = [(how["length"], *x) for x in xs]

    def run(*operands: Any) -> Any:
        return scan(*operands, body=inner, consts=len(consts), carries=len(carries), **how)

    return staged(run, *consts, *carries, *stacked)


# ── what does not depend on the trip ──────────────────────────────────────────


def test_invariants_move_out():
    after = optimised(
        looped(lambda w, c, x: [elementwise.tanh(basis.add(elementwise.exp(w), c)), x], [(3,)], [(3,)], [(3,)])
    )
    assert names(after) == ["exp", "scan"]
    assert names(the("scan", after).params["body"]) == ["add", "tanh"]


def test_movements_stay():
    after = optimised(looped(lambda w, c: [basis.add(c, basis.broadcast_to(w, shape=(50, 3)))], [(3,)], [(50, 3)], []))
    assert names(after) == ["scan"]


def test_a_movement_goes_with_what_needs_it():
    def body(w: Any, c: Any) -> Any:
        return [elementwise.tanh(matmul(elementwise.exp(basis.transpose(w, axes=(1, 0))), c))]

    after = optimised(looped(body, [(3, 3)], [(3,)], []))
    assert names(the("scan", after).params["body"]) == ["matmul", "tanh"]


def test_large_results_of_little_stay():
    def body(u: Any, v: Any, c: Any) -> Any:
        return [elementwise.tanh(basis.add(c, basis.add(basis.reshape(u, shape=(40, 1)), v)))]

    after = optimised(looped(body, [(40,), (40,)], [(40, 40)], []))
    assert "add" not in names(after)


def test_invariants_move_out_of_all_depths():
    inner = staged(lambda w, c: [elementwise.sin(basis.add(elementwise.exp(w), c))], (3,), (3,))

    def body(w: Any, c: Any) -> Any:
        return scan(w, c, body=inner, consts=1, carries=1, **(HOW | {"length": 9}))

    after = optimised(looped(body, [(3,)], [(3,)], []))
    assert names(after) == ["exp", "scan"]


def test_ys_without_the_loop():
    after = optimised(looped(lambda w, c, x: [elementwise.sin(c), x, elementwise.exp(w), c], [(3,)], [(3,)], [(3,)]))
    scan_ = the("scan", after)
    assert len(scan_.outs) == 2
    assert after.outs[1] is after.ins[2]


def test_a_loop_that_may_not_run():
    """What may fail, or take long, is not moved in front of it."""
    cond = staged(lambda w, c: [logic.less(basis.reduce_sum(c, axes=(0,)), 0.0)], (3, 3), (3,))
    body = staged(lambda w, c: [basis.add(c, matmul(elementwise.exp(w), np.ones(3)))], (3, 3), (3,))
    program = staged(lambda w, c: while_loop(w, c, cond=cond, body=body, consts=1), (3, 3), (3,))
    after = optimised(program)
    assert "exp" in names(after) and names(the("while_loop", after).params["body"]) == ["add"]
    body = staged(lambda w, c: [basis.add(c, index(cholesky(w), spec=0))], (3, 3), (3,))
    risky = staged(lambda w, c: while_loop(w, c, cond=cond, body=body, consts=1), (3, 3), (3,))
    assert names(optimise(risky)[0]) == ["while_loop"]


# ── what nobody needs ─────────────────────────────────────────────────────────


def test_dead_carries_and_results():
    def body(w: Any, a: Any, b: Any, c: Any) -> Any:
        return [elementwise.sin(a), elementwise.cos(basis.add(b, c)), elementwise.mul(c, w), elementwise.exp(b)]

    program = looped(body, [(3,)], [(3,)] * 3, [])
    after = optimised(Program(program.ins, program.eqns, program.outs[:1]))
    scan_ = the("scan", after)
    assert len(scan_.ins) == 1 and scan_.params["consts"] == 0 and names(scan_.params["body"]) == ["sin"]


def test_unchanged_carries_are_consts():
    after = optimised(looped(lambda a, b, x: [elementwise.mul(a, basis.add(b, x)), b], [], [(3,), (3,)], [(3,)]))
    scan_ = the("scan", after)
    assert scan_.params["consts"] == 1 and scan_.params["carries"] == 1 and after.outs[1] is after.ins[1]


def test_twins_are_one():
    inner = staged(
        lambda u, v, a, b, x, y: [basis.add(elementwise.mul(a, u), x), basis.add(elementwise.mul(b, v), y)],
        *[(3,)] * 6,
    )
    program = staged(lambda w, c, x: scan(w, w, c, c, x, x, body=inner, consts=2, carries=2, **HOW), (3,), (3,), (6, 3))
    scan_ = the("scan", optimised(program))
    assert len(scan_.ins) == 3 and len(scan_.outs) == 1


def test_operands_that_are_the_same_for_each_trip():
    inner = staged(lambda c, x, y: [elementwise.mul(c, basis.add(x, y))], (3,), (3,), (3,))

    def run(c: Any, x: Any) -> Any:
        wide = basis.broadcast_to(x, shape=(6, 3))
        return scan(c, wide, np.full((6, 3), 2.0), body=inner, consts=0, carries=1, **HOW)

    scan_ = the("scan", optimised(staged(run, (3,), (3,))))
    assert [a.aval.shape for a in scan_.ins] == [(3,), (3,)]


# ── arrays in bodies ──────────────────────────────────────────────────────────


def test_arrays_are_lifted_from_all_depths():
    table = np.cos(np.arange(40.0)).reshape(8, 5)
    inner = staged(lambda c: [elementwise.sin(matmul(table, basis.reduce_sum(matmul(c, table), axes=()) * 1.0))], (8,))
    branch = staged(lambda c: [matmul(table, matmul(c, table))], (8,))

    def body(i: Any, c: Any) -> Any:
        return switch(i, *scan(c, body=inner, consts=0, carries=1, **(HOW | {"length": 9})), branches=(branch, inner))

    whole = looped(body, [Aval((), INT)], [(8,)], [])
    after = optimised(whole)

    def arrays(program: Program) -> int:
        inside = [p for e in program.equations() for v in e.params.values() for p in (v if type(v) is tuple else (v,))]
        own = sum(type(a) is Literal and np.size(a.value) > 16 for e in program.equations() for a in e.ins)
        return own + sum(arrays(p) for p in inside if isinstance(p, Program))

    assert arrays(after) == 1


# ── loops that are none ───────────────────────────────────────────────────────


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(("length", "unroll"), [(0, 1), (1, 1), (3, 1), (9, 9)])
def test_short_loops_are_written_out(length, unroll, reverse):
    def body(w: Any, c: Any, x: Any) -> Any:
        return [elementwise.sin(basis.add(elementwise.mul(c, w), x)), elementwise.mul(c, x)]

    after = optimised(looped(body, [(3,)], [(3,)], [(3,)], length=length, unroll=unroll, reverse=reverse))
    assert "scan" not in names(after)


def test_counted_loops_are_written_out():
    program = wg.trace(lambda x: wg.fori_loop(0, 3, lambda i, c: c * (i + 1) + x, x), np.ones(3))
    after = optimise(program)[0]
    assert "scan" not in names(after)
    np.testing.assert_allclose(after.run(np.arange(3.0))[0], program.run(np.arange(3.0))[0])


def test_known_branches():
    branches = tuple(staged(lambda x, f=f: [f(x)], (30,)) for f in (elementwise.sin, elementwise.cos, elementwise.exp))
    for at, name in ((-4, "sin"), (1, "cos"), (7, "exp")):
        after = optimised(staged(lambda x, i=at: switch(i, x, branches=branches), (30,)))
        assert names(after) == [name]
    after = optimised(staged(lambda i, x: switch(i, x, branches=branches[:1] * 3), Aval((), INT), (30,)))
    assert names(after) == ["sin"]
    assert names(optimised(staged(lambda i, x: switch(i, x, branches=branches), Aval((), INT), (30,)))) == ["switch"]


def test_cheap_branches_are_selected():
    branches = staged(lambda x: [elementwise.mul(x, 2.0)], ()), staged(lambda x: [basis.add(x, 1.0)], ())
    program = staged(lambda x: switch(truncate(logic.less(x, 0.3), dtype=INT), x, branches=branches), ())
    assert sorted(names(optimised(program))) == ["add", "less", "mul", "where"]


def test_a_loop_that_never_runs():
    cond, body = staged(lambda c: [np.bool_(False)], (3,)), staged(lambda c: [elementwise.sin(c)], (3,))
    after = optimised(staged(lambda c: while_loop(c, cond=cond, body=body, consts=0), (3,)))
    assert not after.eqns


# ── sums over trips ───────────────────────────────────────────────────────────


def test_sums_of_outer_products_are_made_after_the_loop():
    def loss(w: Any, b: Any, xs: Any) -> Any:
        return np.sum(wg.scan(lambda h, x: (np.tanh(w @ h + b * x), None), b, xs)[0])

    rng = np.random.default_rng(1)
    args = rng.normal(size=(12, 12)), rng.normal(size=12), rng.normal(size=(20, 12))
    program = wg.trace(wg.grad(loss, argnums=(0, 1, 2)), *args)
    after, _ = optimise(program)
    for got, want in zip(after.run(*args), program.run(*args), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-11)
    for row in after.equations():
        if row.op is scan:
            assert all(v.aval.size < 144 for v in row.params["body"].ins[row.params["consts"] :])


def test_products_are_made_at_once():
    """Those of a matrix with what is known beforehand, or that nobody in the loop reads."""

    def body(w: Any, u: Any, h: Any, x: Any) -> Any:
        h = elementwise.tanh(basis.add(matmul(w, h), matmul(u, x)))
        return [h, matmul(h, u)]

    after = optimised(looped(body, [(20, 20), (20, 16)], [(20,)], [(16,)]))
    assert names(after) == ["contract", "scan", "contract"]
    assert names(the("scan", after).params["body"]) == ["matmul", "add", "tanh"]


def test_products_of_parts():
    """A cell whose matrix meets its input and its state put together."""

    def loss(w: Any, xs: Any) -> Any:
        return np.sum(wg.scan(lambda h, x: (np.tanh(w @ np.concatenate([x, h])), None), np.zeros(20), xs)[0])

    rng = np.random.default_rng(2)
    args = rng.normal(size=(20, 36)) / 6, rng.normal(size=(7, 16))
    program = wg.trace(wg.grad(loss, argnums=(0, 1)), *args)
    after, _ = optimise(program)
    for got, want in zip(after.run(*args), program.run(*args), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-11)
    for row in after.equations():
        if row.op is scan:
            matrices = [v.shape for v in row.params["body"].ins if len(v.shape) == 2]
            assert matrices == [(20, 20)]
            assert sum(name in ("contract", "matmul") for name in names(row.params["body"])) == 1


def test_sums_of_sums_are_one():
    def body(x: Any, a: Any, b: Any, c: Any) -> Any:
        return [basis.add(a, elementwise.sin(c)), basis.add(elementwise.cos(c), b), elementwise.mul(c, x)]

    inner = staged(body, *[(5,)] * 4)

    def run(x: Any, c: Any) -> Any:
        a, b, c = scan(x, np.zeros(5), np.zeros(5), c, body=inner, consts=1, carries=3, **HOW)
        return [basis.add(basis.add(x, a), b)]

    scan_ = the("scan", optimised(staged(run, (5,), (5,))))
    assert scan_.params["carries"] == 2


@pytest.mark.parametrize("reverse", [False, True])
def test_the_last_of_the_ys(reverse):
    """It is the last carry; and its cotangent the one that the way back begins with."""

    def loss(w: Any, xs: Any) -> Any:
        def step(h: Any, x: Any) -> Any:
            h = np.tanh(w * h + x)
            return h, h

        return np.sum(wg.scan(step, np.zeros(3), xs, reverse=reverse)[1][0 if reverse else -1] ** 2)

    rng = np.random.default_rng(3)
    args = rng.normal(size=3), rng.normal(size=(7, 3))
    program = wg.trace(wg.value_and_grad(loss), *args)
    after, _ = optimise(program)
    for got, want in zip(after.run(*args), program.run(*args), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12)
    scans = [e for e in after.equations() if e.op is scan]
    assert [len(e.ins) - e.params["consts"] - e.params["carries"] for e in scans] == [1, 1]
    assert not {"index", "scatter_add"} & set(names(after))


def test_operands_are_made_element_by_element():
    inner = staged(lambda w, c, x: [elementwise.sin(basis.add(c, elementwise.mul(w, x)))], (3,), (3,), (3,))

    def run(w: Any, c: Any, x: Any, y: Any, s: Any) -> Any:
        cheap = elementwise.mul(basis.add(x, y), s)
        return [*scan(w, c, cheap, body=inner, consts=1, carries=1, **HOW),
                *scan(w, c, elementwise.exp(x), body=inner, consts=1, carries=1, **HOW)]  # fmt: skip

    after = optimised(staged(run, (3,), (3,), (6, 3), (6, 3), ()))
    assert names(after) == ["scan", "exp", "scan"] or names(after) == ["exp", "scan", "scan"]


@pytest.mark.parametrize(("low", "high"), [(0, 9), (2, 7)])
def test_elements_in_the_order_of_trips(low, high):
    def loss(xs: Any) -> Any:
        return wg.fori_loop(low, high, lambda i, y: np.sin(y) * xs[i], 0.5)

    xs = np.linspace(0.2, 1.0, 9)
    program = wg.trace(wg.value_and_grad(loss), xs)
    after, _ = optimise(program)
    for got, want in zip(after.run(xs), program.run(xs), strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12)
    for row in after.equations():
        if row.op is scan:
            body = row.params["body"]
            assert not {"index", "scatter_add"} & set(names(body)) and all(v.shape == () for v in body.ins)


# ── calls ─────────────────────────────────────────────────────────────────────


def test_shared_programs_stay_calls():
    """If they are called more than once, and not tiny; their bodies are optimised once."""

    def fun(x: Any) -> Any:
        for _ in range(12):
            x = elementwise.sin(elementwise.mul(x, 1.0))
        return [x]

    program = staged(fun, (3,))
    twice = staged(lambda x: call(*call(x, program=program, shared=True), program=program, shared=True), (3,))
    after = optimised(twice)
    assert names(after) == ["call", "call"]
    assert after.eqns[0][3]["program"] is after.eqns[1][3]["program"]
    assert names(after.eqns[0][3]["program"]) == ["sin"] * 12
    once = staged(lambda x: call(x, program=program, shared=True), (3,))
    assert "call" not in names(optimised(once))
    assert "call" not in names(optimised(staged(lambda x: call(*call(x, program=program), program=program), (3,))))


def test_equal_bodies_are_optimised_once(monkeypatch):
    """However deep, and in however many equations."""
    program = staged(lambda x: [elementwise.sin(elementwise.mul(x, 1.0))] * 1, (3,))
    for _ in range(8):
        inner = program

        def run(x: Any, inner: Program = inner) -> Any:
            for k in range(5):
                (x,) = scan(elementwise.mul(x, k + 0.5), body=inner, consts=0, carries=1, **HOW)
            return [x]

        program = staged(run, (3,))
    before = config.debug_passes
    count = []
    monkeypatch.setattr("wengert.passes.pipeline.check", lambda *_: count.append(1))
    after, _ = optimise(program)
    assert before and len(count) < 1500
    assert names(after) == ["mul", "scan"] * 5


# ── residuals ─────────────────────────────────────────────────────────────────


def stacked_bytes(program: Program) -> int:
    """Bytes of the arrays that scans hand on to other scans."""
    made = {v: v.aval.size * v.dtype.itemsize for e in program.equations() if e.op is scan for v in e.outs}
    return sum({a: made.get(a, 0) for e in program.equations() if e.op is scan for a in e.ins if a in made}.values())


def there_and_back(body: Any, back: Any, residuals: int) -> Program:
    """A scan of (w, c) that gives residuals, and one of (c, residuals) in reverse."""
    forward = staged(body, (5,), (5,))
    backward = staged(back, *[(5,)] * (1 + residuals))

    def run(w: Any, c: Any) -> Any:
        last, *kept = scan(w, c, body=forward, consts=1, carries=1, **HOW)
        return scan(last, *kept, body=backward, consts=0, carries=1, **(HOW | {"reverse": True}))

    return staged(run, (5,), (5,))


def test_cheap_residuals_are_computed_again():
    def body(w: Any, c: Any) -> Any:
        a = basis.add(c, elementwise.mul(w, 0.1))
        b = elementwise.mul(a, basis.add(a, w))
        return [elementwise.tanh(b), a, b, basis.neg(b)]

    def back(c: Any, a: Any, b: Any, d: Any) -> Any:
        return [elementwise.mul(basis.add(c, a), elementwise.sin(elementwise.mul(b, d)))]

    program = there_and_back(body, back, 3)
    after = optimised(program)
    assert stacked_bytes(after) == 6 * 5 * 8 + 5 * 8 < stacked_bytes(program)
    forward, _ = [e for e in after.equations() if e.op is scan]
    assert len(forward.outs) == 2


def test_dear_residuals_are_kept():
    def loss(x: Any) -> Any:
        return np.sum(wg.scan(lambda y, _: (np.sin(x * y), None), np.ones(5), length=9)[0])

    x = np.linspace(0.1, 1.0, 5)
    program = wg.trace(wg.grad(loss), x)
    bodies = [e.params["body"] for e in optimise(program)[0].equations() if e.op is scan]
    assert "sin" not in names(bodies[1])


def test_divisions_by_what_was_inverted():
    """A logistic function keeps its value, by which the way back multiplies."""

    def loss(w: Any, x: Any) -> Any:
        return np.sum(wg.scan(lambda y, _: (1 / (1 + np.exp(-w * y)), None), x, length=9)[0])

    x = np.linspace(0.1, 1.0, 5)
    program = wg.trace(wg.grad(loss), x, x)
    after, _ = optimise(program)
    np.testing.assert_allclose(after.run(x, x)[0], program.run(x, x)[0], rtol=1e-13)
    bodies = [e.params["body"] for e in after.equations() if e.op is scan]
    assert not {"unscale", "div", "reciprocal"} & set(names(bodies[1]))


def test_residuals_of_loops_of_unknown_length():
    """The stack holds neither consts nor what is cheap."""

    def loss(x: Any) -> Any:
        def body(pair: Any) -> Any:
            y, i = pair
            return y + x * np.cos(x) * y * (1.0 + y), i + 1

        return wg.while_loop(lambda pair: pair[1] < 5, body, (x * 0.1, 0))[0]

    program = wg.trace(wg.grad(loss), 0.7)
    after, _ = optimise(program)
    for x in (0.7, -0.3):
        np.testing.assert_allclose(after.run(x)[0], program.run(x)[0], rtol=1e-12)
    params = the("while_pullback", after).params
    assert len(params["forward"].outs) - params["carries"] == 1
    assert "cos" not in names(params["forward"])
