"""A workload: one computation written as a user of each library would, at several sizes, with the bars it has to clear."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any


class Late:
    """A module that is imported when first used, so that a file may name peers that are not installed."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, item: str) -> Any:
        found = getattr(importlib.import_module(self._name), item)
        setattr(self, item, found)
        return found


jax, jnp, torch = Late("jax"), Late("jax.numpy"), Late("torch")


@dataclass(frozen=True)
class Problem:
    """One computation on given arrays.

    `numpy`, `jax` and `torch` are the same function of `args`; with `wrt`, a step is its value and its gradients with
    respect to those arguments, without, the function itself. With `rate`, a step returns the value and argument 0 moved
    down its gradient. `by_hand`: the step as one would write it out in NumPy.
    """

    args: tuple[Any, ...]
    numpy: Callable[..., Any]
    jax: Callable[..., Any] | None = None
    torch: Callable[..., Any] | None = None
    wrt: tuple[int, ...] = (0,)
    rate: float = 0.0
    by_hand: Callable[..., Any] | None = None
    tolerance: dict[str, float] = field(default_factory=lambda: {"float64": 1e-9, "float32": 2e-3})


@dataclass(frozen=True)
class Bar:
    """How many times faster than `than` ours has to be; how many microseconds it may take."""

    jax: float | None = None
    native: float | None = None
    microseconds: float | None = None


@dataclass(frozen=True)
class Case:
    """A workload at one size and dtype."""

    workload: str
    group: str
    make: Callable[..., Problem]
    dtype: str
    size: tuple[int, ...]
    bar: Bar
    quick: bool
    label: str = ""

    @property
    def name(self) -> str:
        return f"{self.workload}{f' {self.label}' if self.label else ''}, {self.dtype}"

    def problem(self) -> Problem:
        return self.make(self.dtype, *self.size)


@dataclass(frozen=True)
class Small:
    """A workload small enough for a test."""

    workload: str
    make: Callable[..., Problem]
    size: tuple[int, ...]

    def problem(self, dtype: str) -> Problem:
        return self.make(dtype, *self.size)


CASES: list[Case] = []
SMALL: list[Small] = []
F64, F32, BOTH = ("float64",), ("float32",), ("float64", "float32")


def workload(
    name: str,
    *,
    group: str = "workloads",
    sizes: Sequence[tuple[int, ...]],
    small: tuple[int, ...],
    dtypes: Sequence[str] = F64,
    bar: Callable[..., Bar] | Bar = Bar(jax=1.0),
    label: Callable[..., str] | None = None,
    quick: Callable[..., bool] = lambda *size: True,
) -> Callable[[Callable[..., Problem]], Callable[..., Problem]]:
    """Register `make(dtype, *size) -> Problem` at every size and dtype. `bar(dtype, *size)` may depend on both."""

    def register(make: Callable[..., Problem]) -> Callable[..., Problem]:
        SMALL.append(Small(name, make, small))
        for i, dtype in enumerate(dtypes):
            for size in sizes:
                bars = bar(dtype, *size) if callable(bar) else bar
                text = label(*size) if label else ""
                CASES.append(Case(name, group, make, dtype, size, bars, i == 0 and quick(*size), text))
        return make

    return register


def load() -> list[Case]:
    """All cases, in the order of the table."""
    for name in ("formulas", "particles", "networks", "likelihoods", "arrays"):
        importlib.import_module(f"workloads.{name}")
    return CASES


def case(name: str) -> Case:
    return next(c for c in load() if c.name == name)
