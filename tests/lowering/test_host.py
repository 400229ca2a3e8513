"""What calls back to `eval` take from NumPy."""

from __future__ import annotations

import numpy as np

import wengert as wg
from wengert.lowering.host import host_bytes


def test_results_of_calls_are_held_twice():
    lowered = wg.jit(lambda x: np.sort(np.exp(x))).lower(np.ones(1000)).executable().lowered
    found = host_bytes(lowered)
    assert len(found) == len(lowered.kernels)
    assert max(found) == 8000
    assert sum(b > 0 for b in found) == len(lowered.host_calls) == 1


def test_within_a_loop():
    def f(x):
        return wg.scan(lambda c, _: (np.sort(c * 2), None), x, None, length=5)[0]

    lowered = wg.jit(f).lower(np.ones(1000)).executable().lowered
    assert max(host_bytes(lowered)) == 8000
