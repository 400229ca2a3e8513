"""What a function that will run again finds around it: traces that have ended, and Tensors as they were the first time."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from wengert.core.errors import TapeError
from wengert.core.tensor import Array, Tensor, Trace, running
from wengert.graph.program import Var


@contextmanager
def reopened(trace: Trace) -> Iterator[None]:
    """Let a trace that may have ended interpret ops again, for a second run of what it interpreted first."""
    mode, trace.mode = trace.mode, None
    try:
        with running(trace):
            yield
    finally:
        trace.mode = mode


class Surroundings:
    """The Tensors that a function meets on its first run, with what they held: the user may write to them
    before it runs again. Those that it made itself fall out as they die.
    """

    def __init__(self) -> None:
        self._met: dict[int, tuple[weakref.ref[Tensor], tuple[Any, ...]]] = {}
        self._kept: list[tuple[Tensor, tuple[Any, ...]]] | None = None

    def note(self, cell: Tensor) -> None:
        """`cell` is used."""
        key = id(cell)
        if key not in self._met:
            dies = weakref.ref(cell, lambda _: self._met.pop(key, None))
            self._met[key] = dies, (cell._value, cell._node, cell._trace, None)

    @contextmanager
    def seen(self, trace: Trace) -> Iterator[None]:
        """A run: the first one is watched (through `trace.met`), in the others everything is as it was then."""
        if self._kept is not None:
            with self.restored():
                yield
            return
        before = trace.met

        def met(cell: Tensor) -> None:
            self.note(cell)
            if before is not None:
                before(cell)

        trace.met = met
        try:
            yield
        finally:
            trace.met = before
            self.keep()

    def keep(self) -> list[tuple[Tensor, tuple[Any, ...]]]:
        """The first run is over: what is left, with (value, node, trace, None) of each."""
        found = [(dies(), then) for dies, then in self._met.values()]
        self._kept = [(cell, then) for cell, then in found if cell is not None]
        self._met = {}
        return self._kept

    @contextmanager
    def restored(self) -> Iterator[None]:
        """Every Tensor as it was when it was met."""
        kept = self._kept or []
        now = [(c._value, c._node, c._trace, c._view) for c, _ in kept]
        for cell, then in kept:
            cell._value, cell._node, cell._trace, cell._view = then
        try:
            yield
        finally:
            for (cell, _), then in zip(kept, now, strict=True):
                cell._value, cell._node, cell._trace, cell._view = then


class Cell:
    """A Tensor the function closes over, with what it held at the time; `bound` lends it another identity."""

    def __init__(self, tensor: Tensor, value: Array, var: Var) -> None:
        self.tensor, self.value, self.var = tensor, value, var

    @contextmanager
    def bound(self, other: Tensor) -> Iterator[None]:
        cell = self.tensor
        before = cell._value, cell._node, cell._trace, cell._view
        cell._value, cell._node, cell._trace, cell._view = other._value, other._node, other._trace, None
        try:
            yield
        finally:
            if cell._value is not other._value:
                raise TapeError(
                    "checkpoint",
                    got="a function that writes into an array from outside",
                    want="one that returns its results",
                    fix="pass the array in, and return the new one",
                )
            cell._value, cell._node, cell._trace, cell._view = before
