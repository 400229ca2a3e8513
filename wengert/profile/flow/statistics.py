"""What is remembered of arrays: their size, their zeros, what in them is not a number; and how that went over the steps."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Summary:
    """One array. `rms` is of its finite elements; fractions are of all elements."""

    rms: float
    largest: float
    zeros: float
    nonfinite: float
    size: int

    @classmethod
    def of(cls, array: Any) -> Summary:
        x = np.abs(np.asarray(array)).ravel()
        n = x.size
        if not n:
            return cls(0.0, 0.0, 0.0, 0.0, 0)
        with np.errstate(all="ignore"):
            largest = float(x.max())
            bad = 0.0
            if not math.isfinite(largest):
                finite = x[np.isfinite(x)]
                bad = 1.0 - finite.size / n
                x, largest = finite, float(finite.max(initial=0.0))
            zeros = 1.0 - np.count_nonzero(x) / n - bad
            scale = largest or 1.0  # squares of float32 overflow at 1e19
            rms = scale * math.sqrt(float(np.mean(np.square(x / scale), dtype=float))) if x.size else 0.0
        return cls(rms, largest, float(zeros), bad, n)


@dataclass
class Course:
    """Summaries of one thing over the steps in which it was seen."""

    steps: list[int] = field(default_factory=list)
    rms: list[float] = field(default_factory=list)
    zeros: list[float] = field(default_factory=list)
    nonfinite: list[float] = field(default_factory=list)

    def add(self, step: int, found: Summary) -> None:
        """One more summary; of several in one step the largest counts."""
        if self.steps and self.steps[-1] == step:
            self.rms[-1] = max(self.rms[-1], found.rms)
            self.zeros[-1] = min(self.zeros[-1], found.zeros)
            self.nonfinite[-1] = max(self.nonfinite[-1], found.nonfinite)
            return
        self.steps.append(step)
        self.rms.append(found.rms)
        self.zeros.append(found.zeros)
        self.nonfinite.append(found.nonfinite)

    @property
    def typical(self) -> float:
        """The median of the root mean squares."""
        return float(np.median(self.rms)) if self.rms else 0.0

    @property
    def typical_zeros(self) -> float:
        return float(np.median(self.zeros)) if self.zeros else 0.0

    @property
    def worst_nonfinite(self) -> float:
        return max(self.nonfinite, default=0.0)


class Signal:
    """Signal and noise of a gradient over the steps: the mean gradient against its scatter. Memory: one array of its size.

    Source  McCandlish et al. (2018), "An empirical model of large-batch training", for the noise scale tr(Σ)/|G|².
    """

    def __init__(self) -> None:
        self.total: np.ndarray | None = None
        self.squares = 0.0
        self.steps = 0

    def add(self, gradient: np.ndarray) -> None:
        """One step's gradient; those that are not finite are left out, for they would hide all others."""
        if not np.isfinite(gradient).all():
            return
        self.total = (
            gradient.astype(complex if gradient.dtype.kind == "c" else float)
            if self.total is None
            else self.total + gradient
        )
        self.squares += float(np.sum(np.abs(gradient) ** 2, dtype=float))
        self.steps += 1

    @property
    def to_noise(self) -> float | None:
        """‖mean‖ / √trace of the covariance, the mean's own scatter taken off; None for fewer than three steps."""
        if self.steps < 3 or self.total is None:
            return None
        n = self.steps
        mean = float(np.sum(np.abs(self.total / n) ** 2))
        scatter = max((self.squares / n - mean) * n / (n - 1), 0.0)
        if scatter == 0.0:
            return math.inf if mean else 0.0
        return math.sqrt(max(mean - scatter / n, 0.0) / scatter)
