"""The largest problem that fits a budget, found by predictions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from wengert.core.errors import BudgetError
from wengert.core.sizes import bytes_of, shown
from wengert.core.source import describe, here
from wengert.profile.footprint.prediction.predict import predict_memory


def largest(
    f: Callable[..., Any],
    budget: int | float | str,
    make_args: Callable[[int], Sequence[Any]],
    *,
    least: int = 1,
    most: int = 1 << 40,
) -> int:
    """The largest n for which a call `f(*make_args(n))` is predicted to hold at most `budget` bytes beyond its arguments.

        n = wg.profile.largest(wg.grad(loss), "2 GiB", lambda n: (params, wg.ShapeDtype((n, 784))))

    Parameters
    ----------
    f : as for `predict_memory`
    budget : bytes, or "64 MiB"
    make_args : n → the arguments, of which shapes alone matter; memory must not shrink as n grows
    least, most : the n to look between

    Nothing is run. Cost: about 2 log₂(n / least) predictions.

    Raises
    ------
    BudgetError : not even `least` fits; it names the bytes that it takes.
    """
    limit = bytes_of(budget)

    def taken(n: int) -> int:
        return predict_memory(f, *make_args(n)).peak

    if not 0 < least <= most:
        raise ValueError(f"least={least}, most={most}: want 0 < least <= most")
    first = taken(least)
    if first > limit:
        raise BudgetError(
            "largest",
            got=f"{limit} bytes ({shown(limit)})",
            want=f"at least {first} bytes ({shown(first)}), which n={least} takes",
            fix="a larger budget, or a smaller `least`",
            at=describe(here(2)),
            smallest=first,
        )
    fits, over = least, min(2 * least, most)
    while fits < most and taken(over) <= limit:
        fits, over = over, min(2 * over, most)
    while over - fits > 1:
        middle = (fits + over) // 2
        fits, over = (middle, over) if taken(middle) <= limit else (fits, middle)
    return fits
