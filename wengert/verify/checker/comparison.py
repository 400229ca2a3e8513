"""Ours against a reference, elementwise, with three possible answers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wengert.core.aval import is_inexact
from wengert.verify.checker.subject import pair, weight
from wengert.verify.reference import Slope

DOUBT = 4.0  # how many times its own estimated error a reference may be wrong
COARSE = 1e-3  # a reference that knows less than three digits decides nothing
ROUNDING = 256.0  # units in which sums of ordinary length round


def epsilon(arrays: Sequence[Any]) -> float:
    """The coarsest rounding unit among arrays."""
    units = []
    for a in arrays:
        dtype = np.asarray(a).dtype
        if dtype.kind in "fc":
            units.append(float(np.finfo(dtype).eps))
        elif is_inexact(dtype):
            import ml_dtypes

            units.append(float(ml_dtypes.finfo(dtype).eps))
    return max(units, default=float(np.finfo(np.float64).eps))


@dataclass
class Tolerance:
    """What ours may differ by. By default it follows from the rounding unit `eps` of the computation:
    eps^⅔ of each element, and 256 eps of the largest one; a user's own `rtol` and `atol` replace these.
    """

    eps: float
    rtol: float | None = None
    atol: float | None = None

    def limit(self, reference: np.ndarray, scale: float) -> np.ndarray:
        """Elementwise, without the reference's own error."""
        rtol = self.eps ** (2 / 3) if self.rtol is None else self.rtol
        atol = ROUNDING * self.eps * scale if self.atol is None else self.atol
        return np.asarray(rtol * np.abs(reference) + atol)


@dataclass
class Gap:
    """Ours and the reference's along one direction: one array per output, or one number in reverse mode."""

    ours: list[np.ndarray]
    reference: list[np.ndarray]
    error: list[np.ndarray]
    limit: list[np.ndarray]
    coarse: list[np.ndarray]  # where the reference is too uncertain

    def bad(self) -> list[np.ndarray]:
        """Where ours is off by more than the limit and the reference's error allow; NaN against a number is."""
        found = []
        for ours, ref, error, limit in zip(self.ours, self.reference, self.error, self.limit, strict=True):
            with np.errstate(all="ignore"):
                near = np.abs(ours - ref) <= limit + DOUBT * error
            found.append(~near & np.isfinite(ref) & np.isfinite(error))
        return found

    def off(self) -> list[np.ndarray]:
        """The differences."""
        with np.errstate(all="ignore"):
            return [np.abs(o - r) for o, r in zip(self.ours, self.reference, strict=True)]

    def wrong(self) -> bool:
        return any(np.any(b) for b in self.bad())

    def undecided(self) -> bool:
        return any(np.any(c) for c in self.coarse)

    def relative(self) -> float:
        """The largest difference, relative to the largest slope of its output."""
        return _relative(self.off(), self.reference)

    def resolution(self) -> float:
        """The reference's own largest error, likewise."""
        return _relative(self.error, self.reference)


def largest(x: Any) -> float:
    """The largest finite magnitude in an array; 0 if there is none."""
    size = np.abs(np.asarray(x, dtype=np.result_type(x, np.float64)))
    return float(np.max(size, initial=0.0, where=np.isfinite(size)))


def _relative(differences: Sequence[np.ndarray], references: Sequence[np.ndarray]) -> float:
    worst = 0.0
    for d, r in zip(differences, references, strict=True):
        scale = largest(r)
        top = float(np.max(d, initial=0.0)) if not np.any(np.isnan(d)) else np.nan
        worst = max(worst, top / scale if scale else top, key=lambda v: np.inf if np.isnan(v) else v)
    return worst


def forward_gap(dots: Sequence[np.ndarray], slope: Slope, values: Sequence[Any], tolerance: Tolerance) -> Gap:
    """Tangents of the outputs against a reference."""
    gap = Gap(list(dots), slope.value, slope.error, [], [])
    for ref, error, value in zip(slope.value, slope.error, values, strict=True):
        scale = largest(ref)
        gap.limit.append(tolerance.limit(np.where(np.isfinite(ref), ref, 0), scale))
        gap.coarse.append(~(error <= max(COARSE * scale, 1e-9 * largest(value))))
    return gap


def reverse_gap(
    cts: Sequence[np.ndarray],
    vs: Sequence[Any],
    us: Sequence[Any],
    slope: Slope,
    values: Sequence[Any],
    tolerance: Tolerance,
) -> Gap:
    """⟨Jᵀu, v⟩ against ⟨u, reference⟩."""
    ours, reference = np.asarray(pair(cts, vs)), np.asarray(pair(us, slope.value))
    error = np.asarray(weight(us, slope.error))
    scale = max(weight(us, slope.value), weight(cts, vs))
    coarse = ~(error <= max(COARSE * scale, 1e-9 * weight(us, values)))
    return Gap([ours], [reference], [error], [tolerance.limit(reference, scale)], [np.asarray(coarse)])
