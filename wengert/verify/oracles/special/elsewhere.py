"""Functions that mpmath cannot express: the reason, and what their derivatives are compared with instead."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from wengert.verify.oracles.special import Point
from wengert.verify.oracles.special.grids import product


@dataclass(frozen=True)
class Elsewhere:
    """A function without an oracle in mpmath.

    `instead` says what its derivative in argument `wanted` is compared with, `tolerance` how closely (relative to
    the largest derivative of that output).
    """

    name: str
    points: tuple[Point, ...]
    wanted: int
    reason: str
    instead: str
    tolerance: float

    def worst(self, derivatives: Callable[..., list[np.ndarray]]) -> float:
        """The worst disagreement with differences of the values."""
        import scipy.special

        from wengert.verify.reference import directional

        function = getattr(scipy.special, self.name.removeprefix("special."))
        args = [np.array(column) for column in zip(*self.points, strict=True)]
        i, worst = self.wanted, 0.0

        def along(x: Any) -> list[Any]:
            return list(function(*(x if j == i else a for j, a in enumerate(args))))

        slope = directional(along, [args[i]], [np.ones_like(args[i])], method="differences")
        for mode in ("forward", "reverse"):
            for got, want in zip(derivatives(function, args, i, mode), slope.value, strict=True):
                worst = max(worst, float(np.max(np.abs(got - want)) / np.max(np.abs(want))))
        return worst


SPHEROIDAL = "mpmath has no spheroidal wave functions, and their normalization is SciPy's own"
DIFFERENCES = "extrapolated differences of SciPy's values and of its first derivative"

_MODES = [(0.0, 0.0, 0.7), (0.0, 1.0, 0.5), (1.0, 1.0, 1.0), (1.0, 2.0, 1.5), (2.0, 3.0, 3.0)]
_GRIDS = {
    "pro_ang1": [0.05, 0.2, 0.5, 0.8, 0.95],
    "obl_ang1": [0.05, 0.2, 0.5, 0.8, 0.95],
    "pro_rad1": [1.05, 1.3, 2.0, 3.0, 6.0],
    "obl_rad1": [0.1, 0.3, 1.0, 2.0, 5.0],
}


def _entries() -> dict[str, Elsewhere]:
    import scipy.special

    found = {}
    for name, grid in _GRIDS.items():
        value = scipy.special.pro_cv if name.startswith("pro") else scipy.special.obl_cv
        rows = [(*mode, x) for mode, (x,) in ((m, p) for m in _MODES for p in product(grid))]
        found[name] = Elsewhere(f"special.{name}", tuple(rows), 3, SPHEROIDAL, DIFFERENCES, 1e-10)
        known = [(m, n, c, float(value(m, n, c)), x) for m, n, c, x in rows]
        found[f"{name}_cv"] = Elsewhere(f"special.{name}_cv", tuple(known), 4, SPHEROIDAL, DIFFERENCES, 1e-10)
    return found


ELSEWHERE: dict[str, Elsewhere] = {e.name: e for e in _entries().values()}
