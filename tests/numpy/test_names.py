"""Every example of a NumPy name: values, forward, reverse, second order, vmap."""

import pytest

from wengert.verify import examples, names

CASES = [
    pytest.param(e, which, dtype, id=f"{e.name}-{i}-{which}-{dtype}")
    for i, e in enumerate(examples.load())
    for dtype in names.dtypes_of(e)
    for which in names.CHECKS
]


@pytest.mark.parametrize("example, which, dtype", CASES)
def test_example(example, which, dtype):
    if reason := names.unavailable(example):
        pytest.skip(reason)
    names.check(example, which, dtype)
