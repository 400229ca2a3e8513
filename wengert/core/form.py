"""Forms: what an op is to the compiler, as data on its record (`Op.lower`).

Ops never name a backend. A form says what kind of thing an op computes, in terms that every
lowering understands; an op without one is run by its `eval` (`HostCall`), from compiled code too.

    HostCall     compiled code calls `eval`
    Via          the op is a composition of other ops
    Map          one scalar function of the operands' elements, which broadcast
    Reduce       a sum, product, extremum … over `axes`
    Scan         a running sum, product … along `axis`
    Move         every element of the result is one element of the operand, elsewhere
    Assemble     every element of the result is one element of one of the operands, by regions
    Reshape      the same elements in row-major order
    Barrier      the first operand, once the others exist
    Library      a kernel of the lowering's own, by name (contractions, linear algebra, gathers)
    Control      a loop, a branch or a call of Programs

`Op.lower` is a form, a tuple with one for each result, or a function `(avals of the operands, params) → form`.
A form serves the avals it is asked for: `Map`'s function may raise `Unsupported`, and the op is run by `eval`.
Which dtypes a form serves is the lowering's affair: real floats, integers and booleans at present.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal


class Unsupported(Exception):
    """Raised by a form that does not serve these avals or parameters: the op is then run by its `eval`."""


@dataclass(frozen=True)
class HostCall:
    """Compiled code calls `eval`; `reason` tells readers of `explain()` why."""

    reason: str = "no native lowering"


BY_EVAL = HostCall()  # of ops that say nothing


@dataclass(frozen=True)
class Via:
    """A composition of other ops: `ops(*xs, **params)` calls ops, as rules do, and returns the op's result(s).

    It runs under a staged trace, so `xs` have shapes and dtypes, and no values. It may raise `Unsupported`.
    """

    ops: Callable[..., Any]


@dataclass(frozen=True)
class Map:
    """One scalar function of the operands' elements.

    `scalar(b, *xs, **params)` gets a scalar builder and one value per operand, and returns a value.
    `compute` says what the operands are converted to beforehand: "out", the result's dtype; "joint",
    the dtype that the operands promote to (comparisons); "none", as they are (`where`'s condition, shifts).
    The returned value is converted to the result's dtype.
    `cost` is in additions: 1 for arithmetic, about 10 for a division, 20–60 for transcendental functions.
    """

    scalar: Callable[..., Any]
    compute: Literal["out", "joint", "none"] = "out"
    cost: int = 1


@dataclass(frozen=True)
class Reduce:
    """A reduction over the parameter `axes` (non-negative, sorted). Integers and booleans reduce in the result's dtype.

    `kind`: add, mul, max, min (NaN wins, as in NumPy), fmax, fmin (NaN loses), any, all.
    """

    kind: str


@dataclass(frozen=True)
class Scan:
    """A running reduction along the parameter `axis`, first element first (last first if the parameter `reverse` is true),
    result of the operand's shape: add, mul, max, min."""

    kind: str


@dataclass(frozen=True)
class Move:
    """`index(at, shape, **params)` → for each axis of the operand (of `shape`) an expression in `at`, the result's indices.

    Elements of `at` support `+`, `-`, `*` by Python integers; an entry may also be a plain integer.
    The result shares no memory with the operand as far as users see. `reshape` is a form of its own: see `Reshape`.
    """

    index: Callable[..., Any]


@dataclass(frozen=True)
class Reshape:
    """The same elements in row-major order, in another shape."""


@dataclass(frozen=True)
class Assemble:
    """The result is put together from regions: `regions(shapes, out_shape, **params)` →
    list of `Region`s, applied in order, later ones over earlier ones; together they cover the result."""

    regions: Callable[..., Any]


@dataclass(frozen=True)
class Region:
    """Operand number `operand` (or the constant `fill` if None) goes to `start + i * step` along each axis of the result.

    `shape` is the region's: the operand broadcasts to it."""

    operand: int | None
    start: tuple[int, ...]
    step: tuple[int, ...]
    shape: tuple[int, ...]
    fill: Any = 0


@dataclass(frozen=True)
class Barrier:
    """The first operand's memory under another name, which nobody reads before the other operands exist. It costs nothing."""


@dataclass(frozen=True)
class Library:
    """An emitter of the lowering's own, looked up by `name`; it may decline, and the op is run by `eval`."""

    name: str


@dataclass(frozen=True)
class Control:
    """A loop, branch or call whose bodies are Programs among the op's parameters: compiled code has one too."""

    kind: Literal["scan", "while_loop", "while_pullback", "switch", "call"]
