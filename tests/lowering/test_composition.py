"""What the memory of compiled programs is made of."""

from __future__ import annotations

import numpy as np
import pytest

import wengert as wg
from wengert.lowering.composition import composition
from wengert.verify.generate.choices import RandomChoices
from wengert.verify.generate.programs import VARIED, program


def mlp(ws, x):
    for w in ws[:-1]:
        x = np.tanh(x @ w)
    return ((x @ ws[-1]) ** 2).mean()


WS, X = [np.ones((30, 30))] * 4, np.ones((200, 30))


def plan(f, *args):
    return wg.jit(f).lower(*args).executable().lowered


def check(lowered):
    """No two pieces share a byte in any step; none lies outside of the workspace."""
    found = composition(lowered)
    for step in range(len(found.kernels)):
        end = 0
        placed = sorted((p for p in found.at(step) if p.offset is not None), key=lambda p: p.offset)
        for p in placed:
            assert p.offset >= end or not p.nbytes, (step, p)
            end = p.offset + p.nbytes
        assert end <= lowered.workspace
        assert found.filled(step) <= found.filled(found.fullest) <= lowered.workspace
    assert found.workspace == lowered.workspace
    return found


def test_pieces_of_a_gradient():
    found = check(plan(wg.grad(mlp), WS, X))
    assert found.results == sum(w.nbytes for w in WS)
    roles = {p.role for p in found.pieces}
    assert {"residual", "cotangent", "result"} <= roles
    kept = [p for p in found.pieces if p.role == "residual" and p.op == "tanh"]
    assert len(kept) == 3
    assert all(p.reader is not None and p.shape == (200, 30) for p in kept)
    assert found.filled(found.fullest) >= 0.8 * found.workspace


def test_it_is_made_on_demand_and_once():
    lowered = plan(wg.grad(mlp), WS, X)
    lowered.known = None
    assert composition(lowered) is composition(lowered)


def test_a_donated_result_takes_no_memory():
    def step(w, x):
        return w - 0.1 * wg.grad(lambda w: ((x @ w) ** 2).sum())(w)

    plain = composition(plan(step, WS[0], X))
    given = wg.jit(step, donate_argnums=0).lower(WS[0], X).executable().lowered
    assert plain.results == WS[0].nbytes
    assert composition(given).results == 0


@pytest.mark.parametrize("seed", range(12))
def test_random_programs(seed):
    with np.errstate(all="ignore"):
        made = program(RandomChoices(seed), longest=15, extents=VARIED)
        try:
            lowered = plan(wg.grad(made.f, argnums=tuple(range(len(made.args)))), *made.args)
        except wg.errors.ConcretizationError:
            pytest.skip("asks for a value")
    check(lowered)
