"""What a function does on either side of a point: one-sided slopes, and how they grow where there are none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from wengert.verify.reference import OUTSIDE, Neville, along
from wengert.verify.reference.noise import POINTS, SAFETY, measure

LEVELS = 30
LAST = 8  # steps that tell how slopes grow

Kind = Literal["smooth", "kink", "discontinuity", "vertical", "edge", "unclear"]


@dataclass
class Side:
    """Slopes towards one side, with errors; `growth` is p where they grow like h⁻ᵖ, 0 where they settle."""

    value: list[np.ndarray]
    error: list[np.ndarray]
    growth: list[np.ndarray]
    exists: list[np.ndarray]  # whether the function has finite values close by


@dataclass
class Sides:
    """Both."""

    right: Side
    left: Side

    def kind(self, output: int, index: Any, scale: float) -> Kind:
        """What the function does along this direction, at one element of an output. `scale` is that of its slopes."""
        right, left = ((s.value[output][index], s.error[output][index]) for s in (self.right, self.left))
        exists = [bool(s.exists[output][index]) for s in (self.right, self.left)]
        growth = [
            float(s.growth[output][index]) for s, there in zip((self.right, self.left), exists, strict=True) if there
        ]
        if not any(exists):
            return "unclear"
        if max(growth) > 0.9:
            return "discontinuity"
        if max(growth) > 0.1:
            return "vertical"
        if not all(exists):
            return "edge"
        gap, error = float(abs(right[0] - left[0])), float(right[1] + left[1])
        if gap > 2 * error + 1e-6 * scale:
            return "kink"
        return "smooth" if error < 1e-2 * max(scale, float(abs(right[0]))) else "unclear"


def sides(
    fun: Callable[..., Sequence[Any]],
    primals: Sequence[Any],
    tangents: Sequence[Any],
    centre: Sequence[Any],
    sigma: Sequence[np.ndarray],
    step: float = 1e-2,
) -> Sides:
    """One-sided slopes of `fun` along `tangents`; `sigma` is the noise of its values. Cost: 60 evaluations."""
    return Sides(*(_side(fun, primals, tangents, centre, sigma, s * step) for s in (1, -1)))


def _side(fun: Any, primals: Any, tangents: Any, centre: Any, sigma: Any, step: float) -> Side:
    tables = [Neville(2, 2) for _ in centre]
    last: list[list[np.ndarray]] = [[] for _ in centre]
    tiny = step / 2**LEVELS
    sigma = _noise(fun, primals, tangents, tiny, sigma)
    exists = [np.zeros(np.shape(c), bool) for c in centre]
    with np.errstate(all="ignore"):
        for k in range(LEVELS):
            h = step / 2**k
            try:
                outs = [np.asarray(o) for o in fun(*along(primals, tangents, h))]
            except OUTSIDE:
                continue
            if [o.shape for o in outs] != [e.shape for e in exists]:
                continue
            for i, (o, c) in enumerate(zip(outs, centre, strict=True)):
                noise = SAFETY * sigma[i] / abs(h)
                tables[i].add((o - c) / h, noise)
                last[i].append(np.where(np.abs(o - c) > 20 * sigma[i], np.abs((o - c) / h), np.nan))
                exists[i] = np.isfinite(o)
    shapes = [np.shape(c) for c in centre]
    found = [
        (t.best, t.error) if t.row else (np.full(s, np.nan), np.full(s, np.inf))
        for t, s in zip(tables, shapes, strict=True)
    ]
    return Side(
        [f[0] for f in found], [f[1] for f in found], [_growth(x, s) for x, s in zip(last, shapes, strict=True)], exists
    )


def _noise(fun: Any, primals: Any, tangents: Any, tiny: float, known: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The noise at the smallest steps of all: next to a singularity the values at larger ones look rough, but are not."""
    try:
        rows = [[np.asarray(o) for o in fun(*along(primals, tangents, k * tiny))] for k in range(1, 1 + POINTS)]
        found = [measure([r[i] for r in rows], float(np.finfo(rows[0][i].dtype).eps)) for i in range(len(known))]
        return [np.minimum(f, k) if f.shape == np.shape(k) else k for f, k in zip(found, known, strict=True)]
    except OUTSIDE:
        return list(known)


def _growth(slopes: list[np.ndarray], shape: tuple[int, ...]) -> np.ndarray:
    """The common log₂ of the ratios of the last slopes, where the values stand out of the noise to the end."""
    out = np.zeros(shape)
    if len(slopes) < 3:
        return out
    rows = np.stack(slopes)
    for index in np.ndindex(*shape):
        known = rows[(slice(None), *index)]
        known = known[-LAST:]
        if len(known) >= 3 and np.all(np.isfinite(known) & (known > 0)):
            powers = np.log2(known[1:] / known[:-1])
            middle = float(np.median(powers))
            out[index] = max(0.0, middle) if np.all(np.abs(powers - middle) < 0.2) else 0.0
    return out
