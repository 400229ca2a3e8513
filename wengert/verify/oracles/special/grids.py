"""The points: rules that make fixed grids. No chance is involved."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from wengert.verify.oracles.special import Point


def short(x: Any) -> Any:
    """The single precision number next to `x`, unless that is 0, infinite or a half-integer that `x` is not."""
    if not isinstance(x, float) or x == 0 or not math.isfinite(x):
        return x
    with np.errstate(over="ignore"):
        y = float(np.float32(x))
    if not math.isfinite(y) or abs(y) < float(np.finfo(np.float32).tiny):
        return x
    return x if y != x and 2 * y == round(2 * y) and abs(y) < 1e4 else y


def points(*rows: Sequence[Any]) -> list[Point]:
    """The points as listed, the first, third, … in numbers of single precision; none twice."""
    found: dict[Point, None] = {}
    for n, row in enumerate(dict.fromkeys(map(tuple, rows))):
        near = tuple(map(short, row))
        found[row if n % 2 or near in found else near] = None
    return list(found)


def line(*columns: Iterable[Any]) -> list[Point]:
    """Points of one coordinate."""
    return points(*((x,) for x in itertools.chain(*columns)))


def product(*columns: Iterable[Any]) -> list[Point]:
    """Every combination."""
    return points(*itertools.product(*columns))


def mirrored(xs: Iterable[float]) -> list[float]:
    """Both signs of each."""
    xs = [x for x in xs if x != 0]
    return [-x for x in reversed(xs)] + xs


def within(xs: Iterable[float], low: float, high: float) -> list[float]:
    return [x for x in xs if low <= x <= high]


def about(*centres: float, gaps: Sequence[float] = (1e-12, 1e-7, 1e-3)) -> list[float]:
    """Points close to each centre, on both sides."""
    return [c + s * g for c in centres for g in gaps for s in (-1, 1)]


POSITIVE = [
    *(1e-300, 1e-150, 1e-30, 1e-12, 1e-8, 1e-5, 1e-3, 0.02, 0.1, 0.25, 0.4, 0.6, 0.75, 0.9, 0.99, 1.0, 1.01, 1.2, 1.5),
    *(
        2.0,
        2.3,
        2.7,
        3.2,
        4.1,
        5.0,
        5.9,
        6.9,
        7.1,
        8.3,
        9.7,
        11.9,
        12.1,
        15.0,
        18.0,
        21.0,
        24.9,
        25.1,
        30.0,
        37.0,
        50.0,
    ),
    *(70.0, 88.0, 120.0, 250.0, 500.0, 700.0, 1e3, 1e4, 1e6, 1e8, 1e12, 1e20, 1e100, 1e300),
]
WHOLE = [*mirrored(POSITIVE)[: len(POSITIVE)], 0.0, *POSITIVE]
UNIT = [
    *(1e-300, 1e-30, 1e-12, 1e-8, 1e-5, 1e-3, 0.01, 0.05, 0.1, 0.2, 0.3, 0.4, 0.45, 0.49, 0.5, 0.51, 0.55, 0.6, 0.7),
    *(0.8, 0.9, 0.95, 0.99, 0.999, 1 - 1e-5, 1 - 1e-8, 1 - 1e-12),
]
INSIDE = [*mirrored(UNIT)[: len(UNIT)], 0.0, *UNIT]


def thinned(rows: Sequence[Point], step: int) -> list[Point]:
    """Every `step`-th point, and those where a coordinate is the least or the greatest of its column."""
    if step <= 1 or len(rows) <= 8:
        return list(rows)
    keep = set(range(0, len(rows), step))
    for column in zip(*rows, strict=True):
        if all(isinstance(x, (int, float)) for x in column):
            keep |= {min(range(len(rows)), key=column.__getitem__), max(range(len(rows)), key=column.__getitem__)}
    return [rows[i] for i in sorted(keep)]
