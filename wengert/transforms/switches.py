"""Cutting derivatives on purpose: `stop_gradient`, `no_grad`, `enable_grad`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from wengert.core.tensor import CONSTANTS, Array, Tensor, active, paused, protect
from wengert.core.tree import map_tree
from wengert.trace.stage import Stage


def stop_gradient(tree: Any) -> Any:
    """`tree` with every Tensor replaced by its value: a constant for all derivatives. Batch axes stay.

    The value is the array that the tape may need for its backward pass, so it is read-only while the tape
    lives: take a copy to write into.
    """
    return map_tree(_cut, tree)


def _cut(x: Array) -> Array:
    if type(x) is not Tensor:
        return x
    if x._view is not None:
        x._sync()
    if type(x._trace) is Stage:
        return Tensor(x._value, x._trace.cut(x._node), x._trace)
    if x._trace is CONSTANTS or x._trace.differentiates:
        protect(x)
        return _cut(x._value)
    return Tensor(_cut(x._value), x._node, x._trace)


@contextlib.contextmanager
def no_grad() -> Iterator[None]:
    """Within the block, ops are constants for every gradient that is being computed. Also a decorator."""
    traces = [t for t in active() if t.differentiates]
    modes = [t.mode for t in traces]
    for trace in traces:
        trace.mode = paused
    try:
        with _cutting(True):
            yield
    finally:
        for trace, mode in zip(traces, modes, strict=True):
            trace.mode = mode


@contextlib.contextmanager
def _cutting(cut: bool) -> Iterator[None]:
    """Have programs that are being staged record that what follows has no derivative, or has one again."""
    stages = [t for t in active() if type(t) is Stage]
    before = [t.cutting for t in stages]
    for stage in stages:
        stage.cutting = cut
    try:
        yield
    finally:
        for stage, was in zip(stages, before, strict=True):
            stage.cutting = was


@contextlib.contextmanager
def enable_grad() -> Iterator[None]:
    """Within a `no_grad` block, derive again for the length of this block."""
    traces = [t for t in active() if t.mode is paused]
    for trace in traces:
        trace.mode = None
    try:
        with _cutting(False):
            yield
    finally:
        for trace in traces:
            trace.mode = paused
