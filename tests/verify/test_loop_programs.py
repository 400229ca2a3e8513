"""Random programs with loops and branches: what is generated, that mistakes in loops' rules are found, and shrunk."""

import ast
from collections import Counter

import numpy as np
import pytest

from wengert.core.op import OPS
from wengert.verify.generate.choices import RandomChoices
from wengert.verify.generate.programs import Program, program
from wengert.verify.programs import check_program
from wengert.verify.shrinking import shrink

CALLS = "scan fori_loop while_loop cond switch map associative_scan call".split()


def made(seed, *kinds, longest=10):
    return program(RandomChoices(seed), only=frozenset(("loops", *kinds)), longest=longest)


def test_programs_have_every_kind_of_loop_and_nest_them():
    sources = [made(seed, "transforms").source for seed in range(120)]
    counts = Counter(name for s in sources for name in CALLS if f"wg.{name}(" in s)
    assert min(counts[name] for name in CALLS) >= 5, counts
    assert sum("reverse=True" in s for s in sources) >= 5
    assert max(map(nesting, sources)) >= 3


def nesting(source):
    """How deep functions that call loops stand in each other."""

    def depth(node):
        below = max((depth(child) for child in ast.iter_child_nodes(node)), default=0)
        loops = isinstance(node, ast.FunctionDef) and any(
            isinstance(n, ast.Attribute) and n.attr in CALLS and isinstance(n.value, ast.Name) and n.value.id == "wg"
            for s in node.body
            if not isinstance(s, ast.FunctionDef)
            for n in ast.walk(s)
        )
        return below + loops

    return depth(ast.parse(source))


@pytest.mark.parametrize("seed", range(12))
def test_checks_of_programs_with_loops(seed):
    p = made(seed, *(["writes"] if seed % 2 else []), longest=7)
    outcomes = check_program(p, ("value", "modes", "first", "second", "vmap", "tape"))
    assert not [o for o in outcomes if o.status == "mismatch"], outcomes


@pytest.mark.parametrize("seed", [0, 3, 8])
def test_compiled_programs_with_loops(seed):
    outcomes = check_program(made(seed, longest=6), ("jit",))
    assert not [o for o in outcomes if o.status == "mismatch"], outcomes


LOOP = """
def f(x, y):
    u = np.sin(y) * 3.0
    def step(s):
        c, n = s
        d = np.cos(c) * 0.5
        return (np.tanh(c * d + u), n + 1)
    v = wg.while_loop(lambda s: s[1] < 3, step, (x, 0))[0]
    w = np.exp(-y)
    return np.sum(v) + np.mean(w)
"""


def test_shrinking_leaves_no_loop_without_an_end():
    whole = Program(LOOP, (np.array([0.3, 0.1]), np.array([0.5, 0.2])))
    small = shrink(whole, lambda p: "while_loop" in p.source, seconds=10.0)
    assert "while_loop" in small.source and "exp" not in small.source
    assert len(small.source) < len(LOOP)
    assert np.isfinite(small.f(*small.fresh_args()))


def test_a_wrong_rule_of_scan_is_found_and_shrunk(monkeypatch):
    scan = OPS["scan"]
    right = scan.vjp

    def wrong(*args, **params):
        return tuple(None if ct is None else 2 * ct for ct in right(*args, **params))

    monkeypatch.setattr(scan, "pullback", wrong)
    monkeypatch.setattr(scan, "vjp", wrong)
    source = """
def f(x):
    u = np.sin(x)
    v, w = wg.scan(lambda c, r: (np.tanh(c * 0.5 + r), c), u, np.arange(6.0))
    return np.sum(v * w) + np.mean(u)
"""
    p = Program(source, (np.array([0.3, 0.1]),))

    def fails(p):
        return any(o.status == "mismatch" for o in check_program(p, ("jit",)))

    assert fails(p)
    small = shrink(p, fails, seconds=8.0)
    assert "wg.scan" in small.source and "mean" not in small.source
