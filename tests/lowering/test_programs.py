"""Compiled programs against eager ones: random programs, well-known functions, and what fuzzing has found."""

from collections import Counter

import numpy as np
import pytest

import wengert as wg
from wengert.verify.compilation import WAYS, Refused, check_jit
from wengert.verify.generate.choices import RandomChoices
from wengert.verify.generate.programs import VARIED, Program, program
from wengert.verify.programs import check_program
from wengert.verify.trial import Run


def outcomes(seeds, **options):
    found = []
    for seed in seeds:
        with np.errstate(all="ignore"):
            made = program(RandomChoices(seed), **options)
        found += [(seed, made, o) for o in check_program(made, ("jit",)) if o.check == "jit"]
    return found


@pytest.mark.parametrize("first", range(0, 40, 10))
def test_random_programs(first):
    found = outcomes(range(first, first + 10))
    wrong = [f"seed {seed}: {o.detail}\n{made.source}" for seed, made, o in found if o.status == "mismatch"]
    assert not wrong, "\n\n".join(wrong)
    assert sum(o.status == "pass" for _, _, o in found) >= 6, Counter((o.status, o.detail) for _, _, o in found)


@pytest.mark.parametrize("first", range(0, 30, 10))
def test_random_programs_of_longer_arrays(first):
    found = outcomes(range(first, first + 10), longest=15, extents=VARIED)
    wrong = [f"seed {seed}: {o.detail}\n{made.source}" for seed, made, o in found if o.status == "mismatch"]
    assert not wrong, "\n\n".join(wrong)
    assert sum(o.status == "pass" for _, _, o in found) >= 6, Counter((o.status, o.detail) for _, _, o in found)
    assert max(a.size for _, made, _ in found for a in made.args) > 100


SOURCE = """
def f(x, y):
    v = np.tanh(x @ y)
    v[0] = v[1] * 2.0
    return np.sum(v**2) + np.max(x)
"""


def trial(source=SOURCE, *shapes):
    rng = np.random.default_rng(0)
    return Run(Program(source, tuple(rng.normal(size=s) for s in shapes or ((4, 5), (5, 3)))))


@pytest.mark.parametrize("way", WAYS, ids=lambda w: w.__name__)
def test_every_way_to_compile(way):
    way(trial())


def test_a_wrong_kernel_is_found(monkeypatch):
    """The oracle is eager evaluation, which does not use what is compiled."""
    from wengert.core.form import Map
    from wengert.core.op import OPS

    monkeypatch.setattr(OPS["tanh"], "lower", Map(lambda b, x: b.mul(x, x), cost=2))
    with pytest.raises(AssertionError, match="jit of value_and_grad"):
        check_jit(trial())


def test_a_wrong_pass_is_found(monkeypatch):
    from wengert.passes import pipeline

    def careless(program, notes):
        changed = type(program)()
        changed.ins, changed.outs = program.ins, [program.outs[0], program.outs[0], *program.outs[2:]]
        changed.eqns = program.eqns
        return changed

    monkeypatch.setattr(pipeline, "PHASES", ((1, (careless,)),))
    monkeypatch.setattr(pipeline.optimise, "__defaults__", (pipeline.PHASES,))
    with pytest.raises(AssertionError):
        check_jit(trial("def f(x, y):\n    return np.sum(np.sin(x) * y)\n", (3,), (3,)))


def test_what_depends_on_values_is_refused_with_its_reason():
    source = "def f(x):\n    return np.sum(x) if x[0] > 0 else np.sum(np.cos(x))\n"
    with pytest.raises(Refused, match="bool"):
        check_jit(trial(source, (3,)))
    (outcome,) = check_program(trial(source, (3,)).program, ("jit",))
    assert outcome.status == "refused" and "not staged" in outcome.detail


# ── what fuzzing has found ────────────────────────────────────────────────────


def test_a_complex_constant_of_one_element_as_a_result():
    gradient = wg.grad(lambda y: np.sum((y * (0.6 - 0.8j)).imag))
    y = np.array([1 + 2j])
    got = wg.jit(gradient)(y)
    assert got.shape == (1,) and np.array_equal(got, gradient(y))


def test_a_checkpoint_within_a_jitted_function_that_is_differentiated():
    def f(x):
        return wg.checkpoint(lambda y: np.sum(np.sin(y) * y))(x)

    x = np.arange(3.0)
    np.testing.assert_allclose(wg.grad(wg.jit(f))(x), wg.grad(f)(x), rtol=1e-14)
    mapped = wg.jit(lambda x: np.sum(wg.vmap(wg.checkpoint(np.sin))(x)))
    np.testing.assert_allclose(wg.grad(mapped)(x), np.cos(x), rtol=1e-14)
