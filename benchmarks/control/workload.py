"""A workload of loops: one function, written once for NumPy with wengert and for JAX, whose functions have the same names and
signatures; and once more for PyTorch, where that is a loop of Python."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Computation:
    """One computation on given arrays.

    run : the function
    slope : its derivative, as a function of the same arguments; None for what has none
    args : NumPy arrays
    """

    run: Callable[..., Any]
    slope: Callable[..., Any] | None
    args: tuple[Any, ...]


Make = Callable[..., Computation]


@dataclass(frozen=True)
class Bars:
    """What a workload has to reach.

    jax : how many times faster than JAX's the derivative is
    value : the same of the function itself
    ratio : the time of the derivative over that of the function, at most
    trip : nanoseconds of the derivative per trip, at most
    """

    jax: float | None = None
    value: float | None = None
    ratio: float | None = None
    trip: float | None = None


@dataclass(frozen=True)
class Workload:
    """A computation at one size. `trips`: of all its loops together. `series`: rows whose time per trip must not grow."""

    name: str
    group: str
    make: Make
    size: tuple[Any, ...]
    small: tuple[Any, ...]
    trips: int
    few: int
    bars: Bars
    quick: bool
    series: str = ""
    jax: bool = True
    torch: Callable[..., tuple[Callable[[], Any], Callable[[], Any] | None]] | None = None
    tolerance: float = 1e-9


WORKLOADS: list[Workload] = []
#: the derivative must not take longer than JAX's, nor more than three times as long as the function
USUAL = Bars(jax=1.0, ratio=3.0)


def workload(
    name: str,
    group: str,
    *,
    sizes: Sequence[tuple[Any, ...]],
    small: tuple[Any, ...],
    trips: Callable[..., int],
    bars: Bars = USUAL,
    quick: Callable[..., bool] = lambda *size: True,
    jax: Callable[..., bool] = lambda *size: True,
    series: str = "",
    torch: Any = None,
    tolerance: float = 1e-9,
) -> Callable[[Make], Make]:
    """Register `make(lib, *size) → Computation` at every size; `name` is formatted with the size."""

    def register(make: Make) -> Make:
        for size in sizes:
            WORKLOADS.append(
                Workload(
                    name.format(*map(shown, size)), group, make, size, small, trips(*size), trips(*small), bars,
                    quick(*size), series, jax(*size), torch, tolerance,
                )
            )  # fmt: skip
        return make

    return register


def shown(n: Any) -> str:
    if isinstance(n, int) and n >= 1000 and str(n).strip("0") == "1":
        return f"1e{len(str(n)) - 1}"
    return f"{n:,}" if isinstance(n, int) else str(n)


def load() -> list[Workload]:
    """All workloads, in the order of the table."""
    for name in ("recurrences", "searches", "branches", "elements", "batches"):
        importlib.import_module(f"control.{name}")
    return WORKLOADS


# ── libraries ─────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Library:
    """The names that workloads are written with."""

    name: str
    np: Any
    loops: Any
    grad: Callable[..., Any]
    jacobian: Callable[..., Any]
    slope: Callable[..., Any]  # of functions with a while loop of scalars: JAX has it forwards alone
    vmap: Callable[..., Any]
    jit: Callable[..., Any]
    wait: Callable[[Any], Any]
    array: Callable[[Any], Any]
    extra: Any = field(default_factory=SimpleNamespace)

    @property
    def ours(self) -> bool:
        return self.name == "ours"

    def put(self, out: Any, i: Any, value: Any) -> Any:
        """`out[i] = value`, as each library writes it."""
        if not self.ours:
            return out.at[i].set(value)
        out[i] = value
        return out


def ours() -> Library:
    import wengert as wg

    return Library("ours", np, wg, wg.grad, wg.jacobian, wg.grad, wg.vmap, wg.jit, lambda x: x, lambda x: x)


def with_jax() -> Library:
    import jax

    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_platforms", "cpu")
    return Library(
        "jax", jax.numpy, jax.lax, jax.grad, jax.jacrev, jax.jacfwd, jax.vmap, jax.jit, jax.block_until_ready,
        jax.numpy.asarray,
    )  # fmt: skip
