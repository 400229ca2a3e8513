"""Plans on paper: what they take and cost, against schedules that are known to be the best, and what they must never do."""

from functools import cache

import pytest

from wengert.passes.budget.eviction import plan
from wengert.passes.budget.problem import Node, Problem

UNIT = 1 << 12


def problem(nodes, results=(), sizes=None):
    """From (outs, reads, cost, again)."""
    made = Problem(results=set(results))
    for i, (outs, reads, cost, again) in enumerate(nodes):
        made.nodes.append(Node(i, outs, sorted(reads), cost, again))
        for v in outs:
            made.variables.append(None)
            made.size.append(UNIT if sizes is None else sizes[v])
            made.maker.append(i)
            made.uses.append([])
        for v in reads:
            made.uses[v].append(i)
    return made


def chain(n):
    """n steps forward, of which each result is read once on the way back: node n + 1 + i undoes step n - 1 - i."""
    nodes = [([i], [i - 1] if i else [], 1.0, True) for i in range(n)]
    nodes.append(([n], [n - 1], 1.0, True))
    for k, i in enumerate(reversed(range(n))):
        nodes.append(([n + 1 + k], [n + k, i, *([i - 1] if i else [])], 2.0, True))
    return problem(nodes)


@cache
def binomial(length, slots):
    """The fewest additional forward steps that reverse a chain when its beginning and `slots` more states can be kept."""
    if length <= 1:
        return 0
    if not slots:
        return length * (length - 1) // 2
    return min(j + binomial(length - j, slots - 1) + binomial(j, slots) for j in range(1, length))


def replayed(p, runs):
    """The most bytes that the runs hold, if every value goes as soon as nobody reads it before it is made again; all of them
    must find what they read."""
    reads, last = {}, []
    for at, number in enumerate(runs):
        for v in p.nodes[number].reads:
            reads.setdefault(v, []).append(at)
    live, most = set(), 0
    for at, number in enumerate(runs):
        assert live.issuperset(p.nodes[number].reads)
        live.update(p.nodes[number].outs)
        most = max(most, sum(p.size[v] for v in live))
        for v in list(live):
            after = [r for r in reads.get(v, ()) if r > at]
            again = [k for k in range(at + 1, len(runs)) if v in p.nodes[runs[k]].outs]
            if v not in p.results and (not after or (again and again[0] < after[0])):
                live.discard(v)
        last.append(most)
    return most


def test_without_a_limit_nothing_runs_twice():
    p = chain(24)
    found = plan(p, 1 << 60)
    assert found.runs == list(range(len(p.nodes))) and found.extra == 0
    assert found.peak == replayed(p, found.runs)


@pytest.mark.parametrize("slots", range(5, 27))
def test_chains_obey_and_cost_little_more_than_the_best_schedule(slots):
    p = chain(24)
    found = plan(p, slots * UNIT)
    assert found.peak <= slots * UNIT
    assert replayed(p, found.runs) <= found.peak
    assert found.extra == sum(p.nodes[n].cost for n in found.runs) - sum(node.cost for node in p.nodes)
    # Three slots are taken by cotangents and by the state that is being undone; the beginning is free. In the best schedules
    # that keep all states of a segment nothing runs more than once in addition, while there are so many slots.
    unavoidable = max(26 - slots, 0)
    assert unavoidable <= found.extra <= max(unavoidable * 1.6, 1.15 * binomial(24, slots - 3)) + 1


def test_what_must_not_run_twice_does_not():
    n = 12
    p = chain(n)
    for i in (2, 5, 8):
        p.nodes[i].again = False
    found = plan(p, 7 * UNIT)
    assert all(found.runs.count(i) == 1 for i in (2, 5, 8))
    assert replayed(p, found.runs) <= found.peak


def test_results_stay():
    nodes = [([0], [], 1.0, True), ([1], [0], 1.0, True), ([2], [1], 1.0, True), ([3], [2, 0], 1.0, True)]
    p = problem(nodes, results=[1, 3])
    found = plan(p, 2 * UNIT)
    assert found.runs.count(1) == 1 and found.runs.count(3) == 1


def test_values_that_are_compared_stay_until_then():
    # value 0 is compared in node 6: until then it must be the very one, though bringing it back would cost nothing
    nodes = [([0], [], 1e-9, True), *(([i], [i - 1], 1.0, True) for i in range(1, 6)), ([6], [0, 5], 1.0, True)]
    p = problem(nodes)
    assert plan(p, 2 * UNIT).runs.count(0) == 2
    p.pinned = {0: 6}
    assert plan(p, 2 * UNIT).runs.count(0) == 1


def test_a_decision_takes_memory_once_what_it_was_made_from_is_gone():
    sizes = [UNIT, 64, UNIT, UNIT, UNIT, UNIT]
    nodes = [
        ([0], [], 1.0, True),
        ([1], [0], 1.0, False),  # a decision of value 0
        ([2], [0], 1.0, True),
        ([3], [2], 1.0, True),
        ([4], [3], 1.0, True),
        ([5], [4, 1, 0], 1.0, True),
    ]
    p = problem(nodes, sizes=sizes)
    p.sources = {1: [0]}
    free = plan(p, 1 << 60)
    assert free.kept == frozenset() and free.peak == 3 * UNIT
    tight = plan(p, 2 * UNIT + 64)
    assert tight.runs.count(1) == 1 and tight.runs.count(0) == 2 and tight.kept == {1}


def test_the_dearest_values_stay():
    # two values of equal size are read at the end: the one that costs more is kept
    nodes = [
        ([0], [], 1.0, True),
        ([1], [], 100.0, True),
        *(([i], [i - 1] if i > 2 else [], 1.0, True) for i in range(2, 8)),
        ([8], [0, 1, 7], 1.0, True),
    ]
    found = plan(problem(nodes), 4 * UNIT - 1)
    assert found.runs.count(0) == 2 and found.runs.count(1) == 1


def test_budgets_that_cannot_be_are_given_up_and_not_searched_for_ever():
    p = chain(200)
    found = plan(p, 1)
    assert found is None or found.peak > 1
