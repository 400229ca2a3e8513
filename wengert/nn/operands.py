"""What neural functions accept, brought to what ops take; and the reductions that losses share."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, Literal

from wengert.core.errors import ShapeError
from wengert.core.source import describe, here
from wengert.core.tensor import Array
from wengert.numpy.arrays import astype, axes_of, lift
from wengert.ops.basis import reduce_sum
from wengert.ops.elementwise import div
from wengert.ops.reduce import reduce_mean

Reduction = Literal["mean", "sum", "none"]
Axis = int | Sequence[int] | None


def inexact(x: Any) -> Array:
    """An array, a Tensor, a number or a list of them; integers and booleans become float64."""
    x = lift(x)
    return astype(x, float) if x.dtype.kind in "iub" else x


def axes(axis: Axis, x: Array) -> tuple[int, ...]:
    """`axis` as sorted, non-negative axes; None for all."""
    return axes_of(axis, x.ndim)


def repeated(value: Any, n: int, what: str) -> tuple[int, ...]:
    """One integer for each of `n` spatial axes, from one for all of them or a sequence."""
    given = tuple(map(operator.index, value)) if isinstance(value, (tuple, list)) else (operator.index(value),) * n
    if len(given) != n:
        raise ShapeError(
            what,
            got=str(value),
            want=f"an integer, or {n} of them",
            fix="one for each spatial axis",
            at=describe(here(2)),
        )
    return given


def reduced(loss: Array, reduction: str) -> Array:
    """A loss by element as "mean", "sum" or "none" asks for it."""
    if reduction == "none":
        return loss
    every = tuple(range(loss.ndim))
    if reduction == "mean":
        return reduce_mean(loss, axes=every)
    if reduction == "sum":
        return reduce_sum(loss, axes=every)
    raise ValueError(f"reduction={reduction!r}: want 'mean', 'sum' or 'none'")


def weighted(loss: Array, weight: Array, reduction: str) -> Array:
    """`reduced`, where "mean" divides by the sum of the weights that `loss` has been multiplied with."""
    if reduction != "mean":
        return reduced(loss, reduction)
    return div(reduced(loss, "sum"), reduced(weight, "sum"))
