"""What tracemalloc sees of compiled programs: results by NumPy's own hooks, workspaces by ours."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

import wengert as wg
from wengert.runtime import engine
from wengert.runtime.support import DOMAIN


@pytest.fixture
def traced():
    tracemalloc.start()
    yield
    tracemalloc.stop()


def held(domain):
    snapshot = tracemalloc.take_snapshot().filter_traces([tracemalloc.DomainFilter(True, domain)])
    return sum(trace.size for trace in snapshot.traces)


def test_large_results_are_there(traced):
    compiled = wg.jit(lambda x: x * 2.0 + 0.15625)
    x = np.ones(2_000_000)
    compiled(x)
    before = held(np.lib.tracemalloc_domain)
    y = compiled(x)
    assert held(np.lib.tracemalloc_domain) - before == y.nbytes
    del y
    assert held(np.lib.tracemalloc_domain) == before


def test_workspaces_are_in_the_peak_and_nothing_is_left(traced):
    compiled = wg.jit(lambda x: (np.linalg.inv(x @ x + np.eye(300) * 1e3) @ x).sum())
    x = np.ones((300, 300))
    compiled(x)
    workspace = next(e.lowered.workspace for e in list(engine.made) if [a.shape for a in e.lowered.ins] == [(300, 300)])
    assert workspace > 16384
    tracemalloc.reset_peak()
    before, _ = tracemalloc.get_traced_memory()
    compiled(x)
    _, peak = tracemalloc.get_traced_memory()
    assert peak - before >= workspace
    assert held(DOMAIN) == 0


def test_nothing_happens_without_tracemalloc():
    assert not tracemalloc.is_tracing()
    compiled = wg.jit(lambda x: (x @ x) @ x + 0.25)
    x = np.ones((100, 100))
    assert compiled(x).tobytes() == compiled(x).tobytes()
    tracemalloc.start()
    try:
        assert held(DOMAIN) == 0
    finally:
        tracemalloc.stop()
