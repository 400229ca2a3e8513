"""`saved_residuals`: what is kept, how large, by whom made, and why; eager and compiled."""

from __future__ import annotations

import numpy as np
import pytest

import wengert as wg

P = wg.policies
W = np.random.default_rng(0).normal(size=(30, 30))
X = np.random.default_rng(1).normal(size=(50, 30))
MASK = np.ones((50, 30))


def layer(params, x):
    h = np.tanh(x @ params["w"] + params["b"])  # made: tanh
    h = wg.name(h, "hidden")
    e = np.exp(h)  # made: exp
    return np.sum(e * MASK)  # read: mul


PARAMS = {"w": W, "b": np.zeros(30)}


def line_of(text):
    with open(__file__) as file:
        return next(i for i, line in enumerate(file, 1) if text in line)


def test_rows_of_an_eager_tape():
    found = wg.saved_residuals(layer, PARAMS, X)
    rows = {(r.kind, r.op): r for r in found}
    tanh, exp = rows["result", "tanh"], rows["result", "exp"]
    assert tanh.name == "hidden" and exp.name is None
    assert tanh.nbytes == exp.nbytes == 50 * 30 * 8
    assert (exp.shape, exp.dtype) == ((50, 30), np.dtype(float))
    assert f":{line_of('# made: tanh')} in layer" in tanh.line
    assert [op for op, _ in tanh.readers] == ["tanh"] and "the pullback of tanh" in tanh.why
    assert rows["constant", None].nbytes == MASK.nbytes
    assert {r.nbytes for r in found if r.kind == "argument"} == {W.nbytes, X.nbytes}
    assert [r.nbytes for r in found] == sorted((r.nbytes for r in found), reverse=True)


@pytest.mark.parametrize("policy", [None, P.everything, P.names("hidden"), P.contractions, P.nothing])
def test_the_total_is_what_the_tape_holds(policy):
    found = wg.saved_residuals(layer, PARAMS, X, policy=policy)
    f = wg.adopt(layer) if policy is None else wg.checkpoint(layer, policy=policy)
    with wg.GradientTape() as tape:
        params, x = tape.watch((PARAMS, X))
        f(params, x)
    assert found.total == tape.program.residual_bytes()
    assert found.beyond_arguments == found.total - sum(r.nbytes for r in found if r.kind == "argument")


def test_what_a_policy_keeps_is_said_to_be_kept():
    found = wg.saved_residuals(layer, PARAMS, X, policy=P.names("hidden") | P.contractions)
    kept = {r.op: r for r in found if r.kind == "kept"}
    assert set(kept) == {"matmul", "tanh"}
    assert kept["tanh"].name == "hidden" and "policy" in kept["tanh"].why
    assert f":{line_of('# made: tanh')}" in kept["tanh"].line


def test_a_buffer_is_counted_once_with_its_views():
    def f(x):
        y = np.exp(x)
        return np.sum(y.reshape(-1)[10:20] ** 2) + np.sum(np.sin(y.T) * y.T)

    found = wg.saved_residuals(f, X)
    ops = [(r.op, r.nbytes) for r in found if r.kind == "result"]
    assert ops.count(("exp", X.nbytes)) == 1
    assert sorted(op for op, _ in ops) == ["exp", "sin"]


def test_compiled_programs():
    """After the passes: the constant mask of ones is gone, and what is cheap to derive is derived."""
    found = wg.saved_residuals(layer, PARAMS, X, mode="jit")
    rows = {(r.kind, r.op): r for r in found}
    assert set(rows) <= {("result", "tanh"), ("result", "exp"), ("argument", None)}
    assert rows["result", "tanh"].name == "hidden"
    assert f":{line_of('# made: tanh')} in layer" in rows["result", "tanh"].line
    readers = {line for _, source in rows["result", "exp"].readers for line in [source and source[0].co_name]}
    assert readers == {"layer"}


def test_compiled_residuals_are_what_the_two_halves_hand_over():
    """Bytes of the outputs of the forward program, and arguments that the backward one reads."""
    jitted = wg.jit(lambda x: np.sum(np.tanh(np.sin(x) @ W) ** 2))
    with wg.GradientTape() as tape:
        jitted(tape.watch(X))
    found = wg.saved_residuals(lambda x: np.sum(np.tanh(np.sin(x) @ W) ** 2), X, mode="jit")
    assert found.beyond_arguments <= tape.program.residual_bytes() <= found.total + X.nbytes + 8


def test_policies_in_compiled_programs():
    plain = wg.saved_residuals(layer, PARAMS, X, mode="jit")
    nothing = wg.saved_residuals(layer, PARAMS, X, mode="jit", policy=P.nothing)
    hidden = wg.saved_residuals(layer, PARAMS, X, mode="jit", policy=P.names("hidden"))
    assert nothing.beyond_arguments == 0 < hidden.beyond_arguments == X.nbytes <= plain.beyond_arguments
    assert any("runs again" in r.why for r in nothing)


def test_the_table():
    text = str(wg.saved_residuals(layer, PARAMS, X))
    first, header, *rows = text.splitlines()
    assert "6 residuals" not in first and "residuals" in first and "eager" in first
    assert header.split() == ["bytes", "array", "what", "made", "at", "why"]
    assert any("tanh 'hidden'" in row and "11.7 KiB" in row and "test_saved_residuals.py:" in row for row in rows)
    assert str(wg.saved_residuals(lambda x: np.sum(x), X)).startswith("0 residuals")


def test_arrays_are_given_back():
    wg.saved_residuals(layer, PARAMS, X)
    assert W.flags.writeable and X.flags.writeable and MASK.flags.writeable


def test_refusals():
    with pytest.raises(wg.errors.WengertError, match="eager"):
        wg.saved_residuals(layer, PARAMS, X, mode="lazy")


def test_python_numbers_are_arguments():
    found = wg.saved_residuals(lambda k: np.sum(np.tanh(k * np.ones(5))), 0.5)
    assert [row.op for row in found if row.op] == ["tanh"]
