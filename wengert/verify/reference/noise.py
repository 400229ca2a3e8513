"""How much of a function's value is noise: rounding, cancellation inside, an iteration that stops early.

A difference quotient divides that noise by the step, so an honest error estimate has to know it. The differences of
order k of values at equally spaced, very close points hold nothing of a smooth function but its noise.

Source  Moré & Wild, Estimating computational noise, SIAM J. Sci. Comput. 33 (2011); Hamming (1973), ch. 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import factorial

import numpy as np

POINTS = 6  # values that `measure` wants
SAFETY = 5.0  # standard deviations that a bound allows for


def measure(values: Sequence[np.ndarray], unit: float) -> np.ndarray:
    """The standard deviation of the noise of each element, given its values at `POINTS` equally spaced points.

    At least half a rounding unit of the element, and half the relative noise that is typical of its array: with six points
    alone, one element in some hundreds would look quiet by chance.
    """
    rows = np.stack(values)
    size = np.max(np.abs(rows), axis=0)
    floor = unit * size / 2
    if rows.dtype.kind in "fc" and _is_single(rows):
        floor = np.maximum(floor, np.finfo(np.float32).eps * size / 2)
    sigma = np.zeros(size.shape, size.dtype)
    difference = rows
    for k in range(1, POINTS):
        difference = np.diff(difference, axis=0)
        if k >= 3:
            norm = factorial(k) ** 2 / factorial(2 * k)
            sigma = np.maximum(sigma, np.sqrt(norm * np.mean(np.abs(difference) ** 2, axis=0)))
    sigma = np.where(np.isfinite(sigma), sigma, 0)
    if sigma.size > 1:
        some = np.isfinite(size) & (size > 0)
        typical = np.median(sigma[some] / size[some]) if np.any(some) else 0.0
        sigma = np.maximum(sigma, typical * size / 2)
    return np.maximum(sigma, floor)


def _is_single(rows: np.ndarray) -> bool:
    """Whether values that vary all happen to be numbers of single precision: they were rounded to it on the way."""
    if rows.dtype in (np.float32, np.complex64) or not rows.size or np.all(rows == rows[0]):
        return False
    narrow = np.complex64 if rows.dtype.kind == "c" else np.float32
    with np.errstate(all="ignore"):
        return bool(np.all(rows.astype(narrow) == rows))
