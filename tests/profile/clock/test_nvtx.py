"""NVTX ranges, by a module that notes what it is told."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest

import wengert as wg
from wengert.core.errors import MissingExtra


@pytest.fixture
def told(monkeypatch):
    found: list[str] = []
    module = types.ModuleType("nvtx")
    module.push_range = lambda message, color, domain: found.append(f"({message}")  # type: ignore[attr-defined]
    module.pop_range = lambda domain: found.append(")")  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "nvtx", module)
    return found


def loss(x):
    return np.sin(x).sum()


def test_ops_pullbacks_and_sweeps_nest(told):
    line = f"(test_nvtx.py:{loss.__code__.co_firstlineno + 1} in loss)"
    with wg.config.override(compiled_backward=False), wg.profile.nvtx():
        wg.grad(loss)(np.ones(3))
    assert told == [
        f"(sin {line}", ")", f"(reduce_sum {line}", ")",
        "(backward pass", f"(pullback of reduce_sum {line}", ")", f"(pullback of sin {line}", ")", ")",
    ]  # fmt: skip
    before = list(told)
    wg.grad(loss)(np.ones(3))
    assert told == before


def test_programs(told):
    compiled = wg.jit(loss)
    compiled(np.ones(4))
    with wg.profile.nvtx():
        assert compiled(np.ones(4)) == compiled(np.ones(4))
    assert told == ["(loss", ")"] * 2


def test_ranges_are_closed_after_an_error(told):
    with pytest.raises(ValueError), wg.profile.nvtx():
        wg.grad(lambda x: (x @ np.ones((9, 9))).sum())(np.ones((2, 2)))
    assert sum(t != ")" for t in told) == told.count(")") > 0


def test_without_the_package_it_is_loud(monkeypatch):
    monkeypatch.setitem(sys.modules, "nvtx", None)
    with pytest.raises(MissingExtra, match=r"wengert\[nvtx\]"), wg.profile.nvtx():
        pass
