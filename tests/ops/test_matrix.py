"""Every op × sample × dtype × rule, generated from the records."""

import pytest

from wengert.core.op import OPS
from wengert.verify import rules
from wengert.verify.catalog import load_ops

load_ops()
CASES = [
    pytest.param(op, sample, which, dtype, id=f"{op.name}-{i}-{which}-{dtype}")
    for op in OPS.values()
    for i, sample in enumerate(op.samples)
    for dtype in rules.dtypes_of(op, sample)
    for which in rules.CHECKS
]


@pytest.mark.parametrize("op, sample, which, dtype", CASES)
def test_rule(op, sample, which, dtype):
    rules.check(op, sample, which, dtype)


@pytest.mark.parametrize(
    "op, sample", [pytest.param(op, s, id=f"{op.name}-{i}") for op in OPS.values() for i, s in enumerate(op.rejects)]
)
def test_rejects(op, sample):
    rules.check_rejects(op, sample)
