"""Functions to profile."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import wengert as wg
from wengert.core import events
from wengert.runtime import engine, timing


@pytest.fixture
def operands():
    rng = np.random.default_rng(0)
    return rng.normal(size=(64, 64)), rng.normal(size=64), rng.normal(size=(32, 64)), rng.normal(size=(32, 64))


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """No profiler is at work before or after a test."""
    before = {kind: list(listeners) for kind, listeners in events.KINDS.items()}
    yield
    assert {kind: list(listeners) for kind, listeners in events.KINDS.items()} == before
    assert not timing.active() and engine.instead is None and not timing.variants()
    assert all(executable._instead is None for executable in list(engine.made))


@pytest.fixture
def machine():
    """Peaks that nobody has to measure."""
    from wengert.profile.clock.machine import Machine

    flops = {"float64": {"blas": 5e10, "fma": 4e10}, "float32": {"blas": 1e11, "fma": 9e10}}
    return Machine("test", 1, flops, 1e10, "made up")


@pytest.fixture
def plain_backward() -> Iterator[None]:
    """Backward passes stay op by op, however often they come."""
    with wg.config.override(compiled_backward=False):
        yield
