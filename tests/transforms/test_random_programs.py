"""Random programs of NumPy under every transform: a seeded run of `wengert.verify.generate.programs`.

Run more of them with `WENGERT_SEEDS=5000 pytest tests/transforms/test_random_programs.py`, others with
`WENGERT_FIRST_SEED`, or for some minutes with `wengert fuzz`.
"""

import os

import numpy as np
import pytest

from wengert.verify.generate.choices import RandomChoices
from wengert.verify.generate.programs import program
from wengert.verify.programs import CHECKS, check_program

SEEDS = int(os.environ.get("WENGERT_SEEDS", "48"))
FIRST = int(os.environ.get("WENGERT_FIRST_SEED", "0"))


def refuted(made, checks):
    outcomes = check_program(made, checks)
    wrong = [f"{o.check}: {o.detail}" for o in outcomes if o.status == "mismatch"]
    return "\n\n".join([*wrong, made.script()]) if wrong else ""


@pytest.mark.parametrize("seed", range(FIRST, FIRST + SEEDS))
def test_no_check_refutes_it(seed):
    made = program(RandomChoices(np.random.default_rng([1, seed])))
    if found := refuted(made, [c for c in CHECKS if c != "peer"]):
        pytest.fail(found, pytrace=False)


@pytest.mark.parametrize("seed", range(FIRST, FIRST + max(3, SEEDS // 16)))
def test_jax_does_not_refute_it(seed):
    pytest.importorskip("jax", reason="a peer to compare with")
    made = program(RandomChoices(np.random.default_rng([2, seed])), only=frozenset(), longest=10)
    if found := refuted(made, ["peer"]):
        pytest.fail(found, pytrace=False)
