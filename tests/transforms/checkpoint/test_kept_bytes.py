"""Memory really drops: live bytes of a tape, the planned workspace of a compiled program, and bytes under a budget."""

from __future__ import annotations

import gc
import itertools
import tracemalloc

import numpy as np
import pytest

import wengert as wg

P = wg.policies
N, LAYERS = 128, 8
rng = np.random.default_rng(0)
WEIGHTS = [rng.normal(size=(N, N)) / np.sqrt(N) for _ in range(LAYERS)]
X = rng.normal(size=(512, N))
ARRAY = X.nbytes


def layer(w, h):
    a = h @ w
    return wg.name(np.tanh(a), "t") * np.sin(a) + np.cos(np.exp(-(a**2)))


def loss(wrap):
    def run(weights, x):
        for w in weights:
            x = wrap(layer)(w, x)
        return np.sum(x**2)

    return run


def held(f, *args):
    """Bytes that a tape holds after the forward run, without those of the arguments."""
    with wg.GradientTape() as tape:
        watched = tape.watch(args)
        f(*watched)
    arguments = sum(a.nbytes for a in [*WEIGHTS, X])
    return tape.program.residual_bytes() - arguments


def workspace(f, *args):
    return wg.jit(wg.value_and_grad(f)).lower(*args).memory_analysis()["workspace"]


def test_a_tape_holds_what_the_policy_says():
    per_layer = {
        "none": held(loss(lambda f: f), WEIGHTS, X) / ARRAY / LAYERS,
        "nothing": held(loss(wg.checkpoint), WEIGHTS, X) / ARRAY / LAYERS,
        "contractions": held(loss(lambda f: wg.checkpoint(f, policy=P.contractions)), WEIGHTS, X) / ARRAY / LAYERS,
        "names": held(loss(lambda f: wg.checkpoint(f, policy=P.names("t"))), WEIGHTS, X) / ARRAY / LAYERS,
        "both": held(loss(lambda f: wg.checkpoint(f, policy=P.names("t") | P.contractions)), WEIGHTS, X)
        / ARRAY
        / LAYERS,
    }
    assert per_layer["none"] >= 5
    assert per_layer["nothing"] == 1  # the input of each layer but the first, and of the square
    assert per_layer["contractions"] == per_layer["names"] == 2
    assert per_layer["both"] == 3


def test_memory_while_it_runs():
    """The peak that tracemalloc sees of NumPy's arrays, forward and backward."""

    def peak(f):
        gc.collect()
        tracemalloc.start()
        wg.grad(f)(WEIGHTS, X)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found / ARRAY

    with wg.config.override(compiled_backward=False):
        plain, checkpointed = peak(loss(lambda f: f)), peak(loss(wg.checkpoint))
    assert checkpointed < 0.5 * plain
    assert checkpointed < LAYERS + 14


def test_the_planned_workspace_shrinks():
    plain = workspace(loss(lambda f: f), WEIGHTS, X)
    nothing = workspace(loss(wg.checkpoint), WEIGHTS, X)
    contractions = workspace(loss(lambda f: wg.checkpoint(f, policy=P.contractions)), WEIGHTS, X)
    everything = workspace(loss(lambda f: wg.checkpoint(f, policy=P.everything)), WEIGHTS, X)
    assert nothing < 0.75 * plain
    assert nothing < contractions <= 1.1 * plain
    assert everything <= 1.1 * plain


def test_workspace_of_wide_functions_in_a_chain():
    """Many intermediate values each: of all but one, the input alone is there at any time."""

    def wide(x):
        return sum(np.tanh(np.exp(-((x @ w) ** 2)) @ WEIGHTS[0]) for w in WEIGHTS)

    def chain(wrap):
        return lambda x: np.sum(wrap(wide)(wrap(wide)(wrap(wide)(wrap(wide)(x)))) ** 2)

    plain, checkpointed = workspace(chain(lambda f: f), X), workspace(chain(wg.checkpoint), X)
    assert checkpointed < 0.45 * plain


@pytest.mark.parametrize("arrays", [0, 1, 2, 3, 8])
def test_a_budget_is_obeyed(arrays):
    budget = arrays * ARRAY
    wrap = lambda f: wg.checkpoint(f, budget=budget)
    assert held(loss(wrap), WEIGHTS, X) <= LAYERS * (ARRAY + budget)
    want = wg.grad(loss(lambda f: f))(WEIGHTS, X)
    for got in (wg.grad(loss(wrap))(WEIGHTS, X), wg.jit(wg.grad(loss(wrap)))(WEIGHTS, X)):
        for g, w in zip(got, want, strict=True):
            np.testing.assert_allclose(g, w, rtol=1e-8, atol=1e-9)
    forward = wg.saved_residuals(wrap(layer), WEIGHTS[0], X, mode="jit")
    assert forward.beyond_arguments <= budget


def test_a_budget_keeps_what_is_dearest():
    """With room for one value of a layer, eager and compiled, it is the product."""
    assert [
        r.op for r in wg.saved_residuals(wg.checkpoint(layer, budget=ARRAY), WEIGHTS[0], X) if r.kind == "kept"
    ] == ["matmul"]
    compiled = wg.saved_residuals(wg.checkpoint(layer, budget=ARRAY), WEIGHTS[0], X, mode="jit")
    assert [r.op for r in compiled if r.kind == "result"] == ["matmul"]


def test_more_budget_computes_less_again():
    costs = []
    for arrays in range(9):
        f = wg.checkpoint(layer, budget=arrays * ARRAY)
        run = wg.jit(wg.value_and_grad(lambda w, x, f=f: np.sum(f(w, x) ** 2), argnums=(0, 1)))
        costs.append(run.lower(WEIGHTS[0], X).cost_analysis()["flops"])
    plain = wg.jit(wg.value_and_grad(lambda w, x: np.sum(layer(w, x) ** 2), argnums=(0, 1))).lower(WEIGHTS[0], X)
    assert all(b <= a * 1.01 for a, b in itertools.pairwise(costs))
    assert costs[0] > costs[-1]
    assert costs[-1] <= 1.01 * plain.cost_analysis()["flops"]
