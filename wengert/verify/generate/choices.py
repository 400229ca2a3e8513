"""Where generators get their choices from: a random stream (fuzzing), or hypothesis (shrinkable counter-examples).

A generator written against `Choices` serves both. It should ask for the simple alternative first (`pick` from a sequence
that begins with the plainest, `integer` from the smallest, `chance` for what complicates), because that is where
hypothesis shrinks to.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np

from wengert.core.errors import MissingExtra

T = TypeVar("T")
Shape = tuple[int, ...]


class Choices(Protocol):
    """Decisions of a generator."""

    def integer(self, low: int, high: int) -> int:
        """An integer from `low` to `high`, both included."""
        ...

    def pick(self, sequence: Sequence[T]) -> T:
        """One element of a non-empty sequence."""
        ...

    def chance(self, p: float) -> bool:
        """True with probability `p`."""
        ...

    def normal(self, shape: Shape) -> np.ndarray:
        """A float64 array of standard normal values."""
        ...

    def uniform(self, low: float, high: float, shape: Shape) -> np.ndarray:
        """A float64 array of values in [low, high]."""
        ...

    def generator(self) -> np.random.Generator:
        """A random stream of its own, for code that wants one (a sample's domain)."""
        ...


class RandomChoices:
    """Choices from a random stream: quick, and repeated by the same seed."""

    def __init__(self, rng: np.random.Generator | int) -> None:
        self.rng = np.random.default_rng(rng)

    def integer(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high, endpoint=True))

    def pick(self, sequence: Sequence[T]) -> T:
        return sequence[self.integer(0, len(sequence) - 1)]

    def chance(self, p: float) -> bool:
        return bool(self.rng.random() < p)

    def normal(self, shape: Shape) -> np.ndarray:
        return np.asarray(self.rng.normal(size=shape))

    def uniform(self, low: float, high: float, shape: Shape) -> np.ndarray:
        return np.asarray(self.rng.uniform(low, high, size=shape))

    def generator(self) -> np.random.Generator:
        return self.rng.spawn(1)[0]


class DrawnChoices:
    """Choices drawn by hypothesis, which shrinks them: integers toward 0 or their lower end, `pick` toward
    the first element, `chance` toward False, arrays toward few decimals and then toward 1, −2, 3, …
    (`normal`) or even steps (`uniform`).

    `draw` is what `hypothesis.strategies.composite` hands to its function.
    """

    def __init__(self, draw: Callable[[Any], Any]) -> None:
        try:
            from hypothesis import strategies
        except ImportError as error:
            raise MissingExtra("hypothesis", "verify", "drawing choices") from error
        self._draw, self._strategies = draw, strategies

    def integer(self, low: int, high: int) -> int:
        return self._draw(self._strategies.integers(low, high))

    def pick(self, sequence: Sequence[T]) -> T:
        return sequence[self.integer(0, len(sequence) - 1)]

    def chance(self, p: float) -> bool:
        return self.integer(0, 99) >= 100 - round(100 * p)

    def normal(self, shape: Shape) -> np.ndarray:
        seed = self._seed()
        if seed == 0:
            k = np.arange(1.0, np.prod(shape) + 1)
            return (k * (-1) ** (k + 1)).reshape(shape)
        return self._short(np.asarray(np.random.default_rng(seed).normal(size=shape)))

    def uniform(self, low: float, high: float, shape: Shape) -> np.ndarray:
        seed, size = self._seed(), int(np.prod(shape))
        if seed == 0:
            exact = low + (high - low) * (np.arange(1.0, size + 1) / (size + 1)).reshape(shape)
        else:
            exact = np.asarray(np.random.default_rng(seed).uniform(low, high, size=shape))
        short = self._short(exact)
        return np.where((short > low) & (short < high), short, exact)

    def generator(self) -> np.random.Generator:
        return np.random.default_rng(self._seed())

    def _seed(self) -> int:
        return self.integer(0, 2**16 - 1)

    def _short(self, x: np.ndarray) -> np.ndarray:
        """Values of two decimals, unless drawn to be exact."""
        return x if self.chance(0.5) else np.round(x, 2)
