"""Every op × sample × dtype, in every mode, generated from the records; `wengert coverage` adds memory layouts."""

import warnings

import numpy as np
import pytest

from wengert.core.op import OPS
from wengert.verify import rules
from wengert.verify.call import NARROW, Call, dtypes_of
from wengert.verify.catalog import load_ops

load_ops()
CASES = [
    pytest.param(op, sample, dtype, id=f"{op.name}-{i}-{dtype}")
    for op in OPS.values()
    for i, sample in enumerate(op.samples)
    for dtype in dtypes_of(op, sample)
]


@pytest.mark.parametrize("op, sample, dtype", CASES)
def test_rules(op, sample, dtype):
    call = Call(op, sample, dtype)
    undecided = []
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # SciPy's remarks on its own accuracy
        for which in (*rules.CHECKS, "jit"):
            try:
                rules.check_call(call, which)
            except rules.Undecided as words:
                undecided.append(str(words))
        if call.diff:
            narrow = Call(op, sample, NARROW[dtype])
            for which in ("forward", "reverse", "vmap", "jit"):
                rules.check_call(narrow, which)
    assert not undecided, "\n".join(undecided)


@pytest.mark.parametrize(
    "op, sample", [pytest.param(op, s, id=f"{op.name}-{i}") for op in OPS.values() for i, s in enumerate(op.rejects)]
)
def test_rejects(op, sample):
    rules.check_rejects(op, sample)


@pytest.mark.parametrize(
    "op, sample", [pytest.param(op, s, id=f"{op.name}-{i}") for op in OPS.values() for i, s in enumerate(op.rejects)]
)
def test_rejects_when_staged(op, sample):
    rules.check_rejects_staged(op, sample)
