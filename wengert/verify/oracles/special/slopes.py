"""Derivatives of functions over mpmath: central differences at two steps, in as many digits as they need.

With step h = 10⁻ᵏ·|x| the quotient errs by h², and rounding by 10⁻ᵈ⁺ᵏ in d digits. The quotients at h and 2h must
agree to 22 digits; where they do not, the step 10⁻ᵏ is tried (near the top of a parabola at 0, a step in
proportion to x shows nothing), and then more digits, up to 800. What still does not agree is undecided, and counted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import mpmath
from mpmath import mp
from mpmath.libmp import NoConvergence

STAGES = ((50, 16), (90, 30), (180, 60), (800, 250))  # digits, k
AGREE = mpmath.mpf(10) ** -22

Values = tuple[Any, ...]


@dataclass
class Slopes:
    """Value, derivative and second derivative of each output at one point; None where there is none."""

    values: Values
    slopes: Values
    bends: Values


def outputs(found: Any) -> Values:
    return tuple(found) if isinstance(found, (tuple, list)) else (found,)


def exact(x: Any) -> Any:
    """A Python number as mpmath's, exactly; integers stay as they are."""
    if isinstance(x, int):
        return x
    return mpmath.mpc(x) if isinstance(x, complex) else mpmath.mpf(x)


def differentiate(fun: Callable[[Any], Any], x: Any) -> Slopes | None:
    """Derivative of `fun` at `x`, an mpf or mpc; None where no number of digits settles it."""
    for digits, k in STAGES:
        with mp.workdps(digits + 15):
            here = None
            for size in (abs(x) or 1, max(abs(x), 1)):
                h = mpmath.mpf(10) ** -k * size
                last = digits == STAGES[-1][0]
                zero = x == 0 or (last and size >= 1)  # whether a slope of zero is to be believed
                try:
                    here = outputs(fun(x)) if here is None else here
                    around = [outputs(fun(x + s * h)) for s in (1, -1, 2, -2)]
                except (ValueError, TypeError, ZeroDivisionError, NoConvergence):
                    break
                found = [_quotient(parts, h, zero, last) for parts in zip(here, *around, strict=True)]
                if all(f is not None for f in found):
                    slopes, bends = zip(*found, strict=True)  # type: ignore[arg-type]
                    return Slopes(here, slopes, bends)
    return None


def _quotient(parts: tuple[Any, ...], h: Any, zero: bool, last: bool) -> tuple[Any, Any] | None:
    """First and second derivative of one output from its values at 0, ±h, ±2h; None if they are not settled."""
    here, up, down, up2, down2 = parts
    if here is None:
        return None, None
    near, far = (up - down) / (2 * h), (up2 - down2) / (4 * h)
    bend = (up - 2 * here + down) / h**2
    if zero and last and abs(near) < mpmath.mpf(10) ** -(STAGES[-1][0] - 30) * (abs(here) + 1) / h:
        return near * 0, bend  # a zero, under rounding
    if abs(near - far) > AGREE * abs(near):
        return None
    if near == 0 and not zero:  # perhaps so flat that the digits do not show it
        return None
    return near + (near - far) / 3, bend


def by_formula(value: Callable[[Any], Any], slope: Callable[[Any], Any], x: Any, bends: bool) -> Slopes:
    """The same from a formula for the derivative, in the digits that half as many more do not change."""
    digits, k = STAGES[0]
    for digits, k in STAGES:  # noqa: B007
        with mp.workdps(digits + 15):
            first = outputs(value(x)) + outputs(slope(x))
        with mp.workdps(digits * 3 // 2 + 20):
            values, slopes = outputs(value(x)), outputs(slope(x))
        if all(a is None or abs(a - b) <= AGREE * abs(a) for a, b in zip(values + slopes, first, strict=True)):
            break
    curves: Values = (None,) * len(values)
    if bends:
        with mp.workdps(digits * 2):
            h = mpmath.mpf(10) ** -k * (abs(x) or 1)
            curves = tuple((a - b) / (2 * h) for a, b in zip(outputs(slope(x + h)), outputs(slope(x - h)), strict=True))
    return Slopes(values, slopes, curves)
