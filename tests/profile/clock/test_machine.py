"""Peaks: measured as stated, and once."""

from __future__ import annotations

import numpy as np
import pytest

from wengert.core.config import config
from wengert.profile.clock import machine as machines
from wengert.runtime.threads import get_threads


def test_peaks_are_plausible():
    found = machines.measure(1, size=256, array=4 << 20, turns=20_000)
    for kind in ("float64", "float32"):
        assert set(found.flops[kind]) == {"blas", "fma"}
        assert all(1e8 < rate < 1e13 for rate in found.flops[kind].values())
        assert found.peak(kind) == max(found.flops[kind].values())
    assert found.flops["float32"]["fma"] > 1.2 * found.flops["float64"]["fma"]  # twice as many in a vector
    assert 1e8 < found.bandwidth < 1e13
    assert found.peak("int64") == found.peak("float64")
    assert found.bound(1e9, 0) == pytest.approx(1e9 / found.peak())
    assert found.bound(0, 1e9) == pytest.approx(1e9 / found.bandwidth)
    assert "256×256" in found.method and "4 MiB" in found.method


def test_the_loops_compute_what_they_say():
    out = np.zeros(machines.CHAINS * machines._lanes("float64"))
    machines._loaded(machines._fma_text("float64"), "fma", machines.ctypes.c_void_p, machines.ctypes.c_int64)(
        out.ctypes.data, 200
    )
    assert np.allclose(out, 1.0)  # of x ← x/2 + 1/2
    a, b, c = np.zeros(100), np.arange(100.0), np.ones(100)
    triad = machines._loaded(machines._TRIAD, "triad", *[machines.ctypes.c_void_p] * 3, machines.ctypes.c_int64)
    triad(a.ctypes.data, b.ctypes.data, c.ctypes.data, 100)
    assert np.array_equal(a, b + 3.0)


def test_it_is_measured_once_and_kept(monkeypatch, tmp_path):
    calls = []
    real = machines.measure

    def measured(threads):
        calls.append(threads)
        return real(threads, size=64, array=1 << 16, turns=1000)

    monkeypatch.setattr(machines, "measure", measured)
    monkeypatch.setattr(machines, "_kept", {})
    with config.override(cache_dir=str(tmp_path), disk_cache=True):
        first = machines.machine()
        assert machines.machine() is first
        monkeypatch.setattr(machines, "_kept", {})
        again = machines.machine()
    assert calls == [get_threads()] and again == first and again is not first
