"""What is kept of each op and each parameter while gradients are looked at."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from wengert.profile.flow.statistics import Course, Signal
from wengert.profile.footprint.report import Line


@dataclass
class Node:
    """One op at one line of the user's, the `turn`-th time that it runs within a step.

    forward, backward : its value, and the cotangent that arrives at it
    closed : fraction of elements through which less than a thousandth of the cotangent passes (ops of one operand, element by element)
    dead : units (along the last axis) that were 0 in every example and every step; None where that was not looked at
    reads : numbers of the nodes, or names of the parameters, that it computes from
    """

    number: int
    op: str
    line: Line
    turn: int
    shape: tuple[int, ...] = ()
    forward: Course = field(default_factory=Course)
    backward: Course = field(default_factory=Course)
    closed: list[float] = field(default_factory=list)
    silent: np.ndarray | None = None
    reads: list[int | str] = field(default_factory=list)

    @property
    def dead(self) -> int | None:
        return None if self.silent is None else int(np.count_nonzero(self.silent))


@dataclass
class Parameter:
    """An array that a gradient is taken with respect to. `updates` are rms(change) / rms(value) from each step to the next."""

    name: str
    shape: tuple[int, ...]
    value: Course = field(default_factory=Course)
    gradient: Course = field(default_factory=Course)
    signal: Signal = field(default_factory=Signal)
    updates: list[float] = field(default_factory=list)
    unreached: int = 0  #: steps in which nothing reached it
    last: np.ndarray | None = None
