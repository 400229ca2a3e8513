"""The benchmarks' workloads compute what they say: small instances against other libraries and against differences."""

import importlib
import importlib.util
import math
import sys
from pathlib import Path

import numpy as np
import pytest

import wengert as wg
from wengert.verify.reference import directional

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.insert(0, str(FOLDER))
case, libraries, programs, timing = (
    importlib.import_module(f"workloads.{m}") for m in "case libraries programs timing".split()
)
CASES = case.load()
SMALL = {small.workload: small for small in case.SMALL}
TOLERANCE = {"float64": 1e-11, "float32": 1e-4}


def results(call):
    return libraries.leaves(call())


def close(mine, theirs, tolerance):
    assert timing.disagreement(mine, theirs, tolerance) == ""


def require(name):
    if not libraries.installed(name):
        pytest.skip(f"{name} is not installed: pip install 'wengert[peers]'")


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("peer", ["jax", "torch"])
@pytest.mark.parametrize("name", SMALL)
def test_peers_compute_the_same(name, peer, dtype):
    require(peer)
    problem = SMALL[name].problem(dtype)
    theirs = {"jax": libraries.with_jax, "torch": libraries.with_torch}[peer](problem)
    mine = results(libraries.ours(problem))
    close(mine, results(theirs), TOLERANCE[dtype])
    assert {a.dtype.name for a in mine} == {dtype}


@pytest.mark.parametrize("name", SMALL)
def test_by_hand_computes_the_same(name):
    problem = SMALL[name].problem("float64")
    hand = libraries.by_hand(problem)
    if hand is None:
        pytest.skip("nobody would write this gradient by hand")
    close(results(libraries.ours(problem)), results(hand), TOLERANCE["float64"])


@pytest.mark.parametrize("name", [n for n, small in SMALL.items() if small.problem("float64").wrt])
def test_gradient_against_differences(name):
    """The function run by NumPy alone, along a random direction."""
    problem = SMALL[name].problem("float64")
    if problem.rate:
        problem = case.Problem(problem.args, problem.numpy, wrt=problem.wrt)
    value, gradients = libraries.ours(problem)()
    flat = [a for i in problem.wrt for a in libraries.leaves(problem.args[i])]
    rng = np.random.default_rng(1)
    directions = [np.asarray(rng.normal(size=a.shape)) for a in flat]

    def along(*arrays):
        left, args = list(arrays), list(problem.args)
        for i in problem.wrt:
            args[i] = [left.pop(0) for _ in args[i]] if isinstance(args[i], list) else left.pop(0)
        return [np.asarray(problem.numpy(*args))]

    slope = directional(along, flat, directions)
    mine = sum(np.sum(g * d) for g, d in zip(libraries.leaves(gradients), directions, strict=True))
    assert math.isclose(float(value), float(problem.numpy(*problem.args)), rel_tol=1e-12)
    assert abs(mine - slope.value[0]) <= slope.error[0] + 1e-9 * (1 + abs(mine)), (mine, slope)


@pytest.mark.parametrize("name", ["tiny formula of x,", "MLP step", "GMM log-likelihood"])
def test_a_wrong_result_is_noticed(name):
    problem = SMALL[name].problem("float64")
    mine = results(libraries.ours(problem))
    wrong = [a.copy() for a in mine]
    wrong[-1] = wrong[-1] * (1 + 1e-6)
    assert "differs" in timing.disagreement(mine, wrong, 1e-9)
    wrong[-1] = np.full_like(mine[-1], np.nan)
    assert "differs" in timing.disagreement(mine, wrong, 1e-9)
    assert "results against" in timing.disagreement(mine, mine[:-1], 1e-9)
    assert "shape" in timing.disagreement([np.ones(2)], [np.ones(3)], 1e-9)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_native_loop_computes_the_same(dtype):
    if not libraries.Native.present():
        pytest.skip("g++ is not installed")
    problem = SMALL["fused formula"].problem(dtype)
    close(results(libraries.ours(problem)), results(libraries.Native().formula(problem)), TOLERANCE[dtype])


def test_native_loop_leaves_subnormal_numbers_alone():
    if not libraries.Native.present():
        pytest.skip("g++ is not installed")
    libraries.Native()
    assert np.finfo(np.float64).tiny / 2 > 0
    assert np.asarray([np.finfo(np.float64).tiny]) / 2 > 0


@pytest.mark.parametrize("name", programs.PROGRAMS)
def test_programs_for_compile_times(name):
    """Of NumPy's and JAX's text, the same value; of ours, the derivative along a direction."""
    make, _ = programs.PROGRAMS[name]
    f, x = make(np), programs.argument(name)
    value, gradient = wg.value_and_grad(f)(x)
    assert math.isclose(float(value), float(f(x)), rel_tol=1e-12)
    direction = np.cos(np.arange(len(x)))
    slope = directional(lambda x: [np.asarray(f(x))], [x], [direction])
    mine = float(np.sum(gradient * direction))
    assert abs(mine - slope.value[0]) <= slope.error[0] + 1e-8 * (1 + abs(mine))
    if libraries.installed("jax"):
        jnp = libraries.import_jax().numpy
        assert math.isclose(float(value), float(make(jnp)(jnp.asarray(x))), rel_tol=1e-10)


def test_programs_have_from_ten_to_a_thousand_operations():
    counts = []
    for make, length in programs.PROGRAMS.values():
        with wg.GradientTape() as tape:
            make(np)(tape.watch(0.1 * np.ones(length)))
        counts.append(len(tape.program.eqns))
    assert len(counts) == 10
    assert 8 <= min(counts) <= 15 and 990 <= max(counts) <= 1010, counts
    assert counts == sorted(counts), counts


def test_every_case_has_a_name_of_its_own():
    names = [c.name for c in CASES]
    assert len(set(names)) == len(names)
    assert {c.group for c in CASES} == {"formula", "tiny", "matmul", "workloads"}
    assert all(case.case(name).make is c.make for name, c in zip(names, CASES, strict=True))
