"""One level along one random direction: the fast check, and where it is suspicious, what explains that.

In this order: a dtype that is too low, a point where rounding is amplified, and the full check column by column.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wengert.verify.checker import diagnosis
from wengert.verify.checker.columns import ROWS, Columns, Place, count, narrow, scales, wide
from wengert.verify.checker.comparison import DOUBT, Gap, Tolerance, forward_gap, largest, reverse_gap
from wengert.verify.checker.report import Entry, Finding
from wengert.verify.checker.structure import Structure, nudged
from wengert.verify.checker.subject import Level
from wengert.verify.reference import Method, Slope, directional

WORST = 16  # outputs that the full check looks at one by one, of many
FLOORS = (
    1e-3,
    1e-12,
)  # the least change of an element, relative to its array; the second where the first finds no reference

CLOSE = 2.0**-12  # of the step, for a second look that kinks close by do not reach into


@dataclass
class Directions:
    """Random tangents and cotangents of a level, with elements of the size of what they go along with."""

    v: list[Any]
    w: list[Any]
    u: list[Any]
    t: list[Any]


def directions(level: Level, rng: np.random.Generator, floor: float) -> Directions:
    """Two of each."""

    def random(x: Any, size: Any) -> Any:
        # Magnitudes from ½ to 3⁄2: no element is passed over by chance.
        x = np.asarray(x)
        draws = [
            rng.choice([-1.0, 1.0], x.shape) * rng.uniform(0.5, 1.5, x.shape) * size
            for _ in range(1 + (x.dtype.kind == "c"))
        ]
        return np.asarray(draws[0] + 1j * draws[1] if len(draws) > 1 else draws[0]).astype(x.dtype)[()]

    v, w = ([random(x, scales(x, floor)) for x in level.leaves] for _ in "vw")
    u, t = ([random(x, 1.0) for x in level.centre] for _ in "ut")
    return Directions(v, w, u, t)


class Fast:
    """The fast check of a level: `slope` is the reference, `gaps` ours against it in each mode."""

    def __init__(
        self,
        level: Level,
        modes: Sequence[str],
        tolerance: Tolerance,
        method: Method,
        step: float,
        rng: np.random.Generator,
    ) -> None:
        # Object arrays are for functions of NumPy's alone: no transform runs on them.
        self.level, self.modes, self.tolerance = level, modes, tolerance
        self.method: Method = "auto" if method == "mpmath" and level.path else method
        self.step, self.rng = step, rng
        self._look(FLOORS[0])
        if self._lost() and any(np.any(scales(x, FLOORS[0]) != scales(x, FLOORS[1])) for x in level.leaves):
            self._look_again(FLOORS[1], 1.0, self._lost)
        if self._strange():
            self._look_again(self.floor, CLOSE, self._strange)

    def _look_again(self, floor: float, closer: float, still: Callable[[], bool]) -> None:
        """With other steps; what was seen before counts, if that is no better."""
        first = dict(vars(self))
        self._look(floor, closer)
        if still():
            vars(self).update(first)

    def _strange(self) -> bool:
        return self.kinked or any(g.wrong() or g.undecided() for g in self.gaps.values())

    def _look(self, floor: float, closer: float = 1.0) -> None:
        level = self.level
        self.floor, self.d = floor, directions(level, self.rng, floor)
        many = [wide(x) for x in level.leaves]
        self.slope = directional(
            level.plain, many, [wide(x) for x in self.d.v], method=self.method, step=closer * self.step, jumps=True
        )
        self.structure = Structure(level, self.modes, self.tolerance, self.d.v, self.d.w, self.d.u, self.d.t)
        self.gaps = self._gaps(level.leaves, self.d, self.tolerance, self.structure)
        self.kinked = kinked(self.slope, level.centre)

    def _lost(self) -> bool:
        """Whether the reference may have gone astray among arguments of very different sizes."""
        return self.kinked or any(g.undecided() for g in self.gaps.values()) or self.slope.resolution() > 1e-9

    def _gaps(
        self, leaves: list[Any], d: Directions, tolerance: Tolerance, structure: Structure | None
    ) -> dict[str, Gap]:
        gaps: dict[str, Gap] = {}
        if "forward" in self.modes:
            values, dots = self.level.forward(leaves, narrow(d.v, leaves))
            gaps["forward"] = forward_gap(dots, self.slope, values, tolerance)
            if structure:
                structure.values(values, "jvp")
        if "reverse" in self.modes:
            values, pullback = self.level.reverse(leaves)
            gaps["reverse"] = reverse_gap(pullback(d.u), d.v, d.u, self.slope, values, tolerance)
            if structure:
                structure.values(values, "vjp")
        return gaps

    def explained(self) -> list[Finding]:
        """Nothing where all is well; else what is the matter."""
        gaps = self.gaps.values()
        if not self._strange():
            return []
        found: list[Finding] = []
        if any(g.wrong() for g in gaps):
            if self.tolerance.eps > np.finfo(np.float64).eps:
                found = self._in_double()
            if not found and not self.kinked and not any(g.undecided() for g in gaps):
                found = self._ill_conditioned()
        if found:
            return found
        known = None if self.kinked else self.slope
        columns = Columns(
            self.level, list(self.gaps), self.tolerance, "auto" if self.level.path else self.method, self.step, self.rng,
            known, self.floor,
        )  # fmt: skip
        matrix = columns.matrix(self._worst(), self.d.u)
        found = diagnosis.examine(columns, matrix)
        if found or not any(g.wrong() or g.undecided() for g in gaps):
            return found
        if any(g.wrong() for g in gaps):
            return [self._unlocated(matrix.stopped)]
        return [diagnosis.noisy(self.level, [], max(g.resolution() for g in gaps))]

    def _worst(self) -> list[Place]:
        """The outputs that are furthest off, where there are too many to look at all."""
        if count(self.level.centre) <= ROWS or "forward" not in self.gaps:
            return []
        gap = self.gaps["forward"]
        return [Place(k, index) for k, index in diagnosis.worst_places(gap.bad(), gap.off(), WORST)]

    def _in_double(self) -> list[Finding]:
        """Whether ours is right in float64, so that only the dtype is too low."""
        level, d = self.level, self.d
        double = Tolerance(float(np.finfo(np.float64).eps), self.tolerance.rtol, self.tolerance.atol)
        wider = Directions(*([wide(x) for x in a] for a in (d.v, d.w, d.u, d.t)))
        again = self._gaps([wide(x) for x in level.leaves], wider, double, None)
        worst = max(g.relative() for g in self.gaps.values())
        better = max(g.relative() for g in again.values())
        # A badly conditioned point may ask too much of float64 too; an error that shrinks with the unit is rounding all the same.
        if not better <= 1e-3 * min(worst, 1.0) and any(g.wrong() or g.undecided() for g in again.values()):
            return []
        expected = max(self._spread(mode) for mode in self.gaps)
        names = ", ".join(sorted({str(np.asarray(x).dtype) for x in level.leaves}))
        return [Finding(
            "dtype", "undecided",
            f"the rules are right, {names} is too low: in float64 ours agrees with the reference to {better:.1g}, in {names} it is"
            f" off by {worst:.2g}; about {expected:.1g} is what rounding the arguments to it does to the derivative here",
            "Differentiate in float64 where this accuracy matters, or accumulate long sums in float64"
            + (f"; rtol={2 * worst:.0e} accepts it." if worst < 0.05 else "."),
            level.order, "", {"error": worst, "expected": expected, "in float64": better},
        )]  # fmt: skip

    def _spread(self, mode: str) -> float:
        """How much the derivative changes, relatively, when the arguments move by their rounding."""
        level = self.level

        def once(leaves: list[Any]) -> list[np.ndarray]:
            if mode == "forward":
                return level.forward(leaves, narrow(self.d.v, leaves))[1]
            return level.reverse(leaves)[1](self.d.u)

        here = once(level.leaves)
        worst = 0.0
        for k in range(3):
            for a, b in zip(here, once(nudged(level.leaves, k)), strict=True):
                worst = max(worst, largest(np.asarray(a) - np.asarray(b)) / (largest(a) or 1.0))
        return worst

    def _ill_conditioned(self) -> list[Finding]:
        """Whether ours is off by no more than rounding in the arguments makes of it."""
        worst = max(g.relative() for g in self.gaps.values())
        if not worst < 0.1 or self.tolerance.rtol is not None or self.tolerance.atol is not None:
            return []
        spread = max(self._spread(mode) for mode in self.gaps)
        if worst > 32 * spread:
            return []
        return [Finding(
            "ill-conditioned", "undecided",
            f"ours and the reference differ by {worst:.2g}, and rounding the arguments in their last digits changes the derivative by"
            f" {spread:.2g}: at this point no more digits can be had, and so no smaller mistake be seen",
            "Check at a better conditioned point, scale the arguments, or rewrite the function without the cancellation.",
            self.level.order, "", {"difference": worst, "sensitivity": spread},
        )]  # fmt: skip

    def _unlocated(self, stopped: str) -> Finding:
        modes = [m for m, g in self.gaps.items() if g.wrong()]
        gap, level = self.gaps[modes[0]], self.level
        (k, index), *_ = diagnosis.worst_places(gap.bad(), gap.off(), 1)
        name = level.outputs[k] if modes[0] == "forward" else "⟨u, outputs⟩"
        ours, reference = (float(np.real(a[k][index])) for a in (gap.ours, gap.reference))
        return Finding(
            "mismatch", "wrong",
            "along a random direction ours differs from the reference, and no single element that was looked at shows it"
            + (f" ({stopped})" if stopped else ""),
            "Check again with another rng, or a smaller function: the difference may be spread over many elements.",
            level.order, level.title(" and ".join(modes)), {"relative": gap.relative()},
            [Entry(name, "a random direction", ours, reference, float(gap.error[k][index]))],
        )  # fmt: skip


def kinked(slope: Slope, centre: Sequence[Any]) -> bool:
    """Whether one-sided slopes differ anywhere, or may."""
    for value, jump, error, at in zip(slope.value, slope.jump, slope.jump_error, centre, strict=True):
        if value.size:
            scale, height = largest(value), largest(at)
            with np.errstate(all="ignore"):
                jumps = np.abs(jump) > DOUBT * error + 1e-6 * scale + 1e-9 * height
                off = jumps | ~(error <= 0.05 * scale + 1e-7 * height + 1e-300)
            if np.any(off):
                return True
    return False
