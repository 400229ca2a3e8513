"""Programs rewritten for a budget: legal, of the same values, obedient by the lowering's own plan, and no cheaper in less memory."""

import itertools
from collections import Counter

import numpy as np
import pytest

import wengert as wg
from wengert.core.errors import BudgetError
from wengert.core.tree import flatten
from wengert.graph.decisions import decides
from wengert.graph.spec import check
from wengert.lowering.footprint import Planner
from wengert.lowering.lower import lower
from wengert.passes.budget.obedience import obeying
from wengert.passes.budget.report import report
from wengert.passes.budget.search import Search, Variant
from wengert.passes.pipeline import optimise
from wengert.trace.stage import infer

RNG = np.random.default_rng(1)


def perceptron(act=np.tanh, layers=10):
    def loss(ws, x):
        for w in ws:
            x = act(x @ w)
        return (x * x).sum()

    return loss, ([RNG.normal(size=(16, 16)) / 4 for _ in range(layers)], RNG.normal(size=(200, 16)))


def attention():
    def loss(ws, x):
        for q, k, v in ws:
            s = (x @ q) @ (x @ k).T
            e = np.exp(s - s.max(axis=-1, keepdims=True))
            x = x + (e / e.sum(axis=-1, keepdims=True)) @ (x @ v)
        return (x * x).mean()

    return loss, ([tuple(RNG.normal(size=(3, 8, 8)) / 4) for _ in range(6)], RNG.normal(size=(60, 8)))


def images():
    def loss(ws, x):
        for w in ws:
            x = wg.nn.relu(wg.nn.conv2d(x, w, padding="same"))
        return (x * x).mean()

    return loss, ([RNG.normal(size=(4, 4, 3, 3)) / 4 for _ in range(5)], RNG.normal(size=(2, 4, 12, 12)))


PROGRAMS = {
    "tanh": perceptron,
    "relu": lambda: perceptron(lambda x: np.maximum(x, 0)),
    "where": lambda: perceptron(lambda x: np.where(x > 0.1, np.sin(x), 0.2 * x)),
    "attention": attention,
    "images": images,
}


def searched(name):
    loss, args = PROGRAMS[name]()
    program = optimise(wg.trace(wg.value_and_grad(loss), *args))[0]
    return program, flatten(args)[0], Search(Variant(program, Planner()))


@pytest.fixture(scope="module", params=PROGRAMS)
def case(request):
    return searched(request.param)


def choices(search):
    return [c for c in search.coarse[1:] if c.fits(1 << 60)]


def test_there_is_something_to_choose(case):
    _, _, search = case
    assert len(search.coarse) > 3
    assert search.coarse[-1].fits(int(0.6 * search.variant.memory.peak))


def test_rewritten_programs_are_legal_and_give_the_same(case):
    program, args, search = case
    want = program.run(*args)
    for choice in choices(search):
        made = choice.program()
        check(made, "budget", infer)
        for got, expected in zip(made.run(*args), want, strict=True):
            assert np.max(np.abs(got - expected)) <= 1e-12 * np.max(np.abs(expected))


def test_no_decision_is_made_twice(case):
    program, _, search = case

    def made(p):
        return Counter(row[0].name for row in p.eqns if decides(row))

    for choice in choices(search):
        assert not made(choice.program()) - made(program)


def test_the_passes_leave_recomputations_alone(case):
    _, _, search = case
    made = search.coarse[-1].program()
    again = optimise(made)[0]

    def dear(p):
        return Counter(row[0].name for row in p.eqns if row[0].name in ("matmul", "contract", "exp", "tanh", "conv"))

    assert dear(again) == dear(made)


def test_plans_of_memory_are_those_of_lowering(case):
    program, _, search = case
    planner = Planner()
    for made in (program, *(c.program() for c in choices(search)[::3])):
        lowered = lower(made)
        assert planner(made).peak == lowered.peak
        assert planner(made).workspace == lowered.workspace


def test_a_smaller_budget_never_gets_a_cheaper_plan(case):
    _, _, search = case
    least, whole = search.smallest(), search.variant.memory.peak
    budgets = np.linspace(least, whole, 25).astype(int)
    costs = []
    for budget in budgets[::-1]:
        choice = search.within(int(budget))
        assert choice is not None and choice.measured <= budget
        costs.append(choice.extra)
    assert costs[0] == 0 and costs[-1] > 0
    assert all(a <= b for a, b in itertools.pairwise(costs))


def test_the_smallest_budget_works_and_one_byte_less_says_which_it_is(case):
    _, _, search = case
    least = search.smallest()
    assert obeying(search, least, "f").measured <= least
    with pytest.raises(BudgetError, match="memory budget of f") as caught:
        obeying(search, least // 2, "f")
    assert caught.value.smallest == least and "test_programs.py" in str(caught.value)


def test_with_enough_memory_the_program_is_what_it_was(case):
    program, _, search = case
    whole = search.variant.memory.peak
    assert obeying(search, whole, "f").program() is program
    assert obeying(search, whole - 1, "f").program() is not program


def test_the_report_names_lines_and_adds_up(case):
    _, _, search = case
    told = report(search, search.coarse[-1])
    assert told.recomputed and told.extra > 0 and told.peak < told.before
    assert all("test_programs.py" in line for *_, line in told.recomputed)
    assert "recomputed" in str(told)


def test_an_equality_is_decided_on_the_first_values():
    """The place of a maximum is found by equality: were its operand made again, rounded otherwise, nobody would be equal."""
    program, _, search = searched("attention")
    for choice in choices(search):
        made = choice.program()
        makers = {v: row for row in made.eqns for v in (row[2] if row[0].multi else (row[2],))}
        originals = {v for row in program.eqns for v in (row[2] if row[0].multi else (row[2],))}
        for row in made.eqns:
            if row[0].name == "equal":
                for atom in row[1]:
                    while atom in makers and makers[atom][0].name in ("reshape", "broadcast_to", "barrier"):
                        atom = makers[atom][1][0]
                    assert atom in originals
