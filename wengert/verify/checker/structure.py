"""Identities that right derivatives satisfy exactly, whatever the function: no reference is needed, only rounding is allowed.

forward = reverse     ⟨u, Jv⟩ = ⟨Jᵀu, v⟩
linear                a pullback of a·u + b·w is a times that of u plus b times that of w; pushforwards likewise
symmetric             ⟨v, Hw⟩ = ⟨w, Hv⟩ for the second derivative H of ⟨u, f⟩
vmap, checkpoint, jit give what a loop, a plain pullback, an eager run give
values                under a transform are the plain ones, and arguments are left as they were
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

import wengert.api as api
from wengert.verify.checker.columns import narrow, wide
from wengert.verify.checker.comparison import Tolerance, largest
from wengert.verify.checker.report import Finding, Property
from wengert.verify.checker.subject import Arrays, Level, like, pair, weight

EXAMPLES = 3  # that vmap is tried on
ILL = 64.0  # how many times its own sensitivity to rounding a result may be off

Sides = Callable[[Arrays], tuple[Arrays, Arrays, list[float]]]


@dataclass
class Structure:
    """The checks of one level along the directions `v`, `w` and the cotangents `u`, `t`."""

    level: Level
    modes: Sequence[str]
    tolerance: Tolerance
    v: Arrays
    w: Arrays
    u: Arrays
    t: Arrays

    def __post_init__(self) -> None:
        self.properties: list[Property] = []
        self.findings: list[Finding] = []

    def first(self) -> None:
        """All that concerns first derivatives."""
        both = len(self.modes) == 2
        if both:
            self.judge("forward = reverse", self._adjoint, "adjoint", ADJOINT)
        self.attempt("vmap = loop", self._vmap, "vmap", BATCH)
        if "reverse" in self.modes:
            self.attempt("checkpoint = plain", self._checkpoint, "checkpoint", AGAIN)
        if hasattr(api, "jit"):
            self.attempt(
                "jit = eager",
                self._jit,
                "jit",
                "Compare the two programs; wengert.jit's explain() shows what was compiled.",
            )

    def linear(self) -> None:
        """That the derivative is linear in its direction."""
        if "reverse" in self.modes:
            self.judge("pullback linear", self._linear_back, "not linear", LINEAR.format("pullback", "cotangents"))
        if "forward" in self.modes:
            self.judge("pushforward linear", self._linear_on, "not linear", LINEAR.format("tangent rule", "tangents"))

    def second(self) -> None:
        """The symmetry of the second derivative."""
        self.judge("Hessian symmetric", self._symmetric, "not symmetric", SYMMETRIC, order=2)

    def values(self, got: Sequence[np.ndarray], what: str) -> None:
        """Outputs under a transform against the plain ones."""
        want = self.level.centre
        if any(f.kind == "values" for f in self.findings):
            return
        self.judge(
            "values unchanged", lambda leaves: (list(got), list(want), [largest(x) for x in want]), "values",
            f"The function gives other values under {what} than plainly: it asks for types (isinstance, hasattr), or a name of"
            " NumPy's behaves otherwise here. The derivative is that of another function.",
        )  # fmt: skip

    # ── how identities are judged ──

    def attempt(self, name: str, sides: Sides, kind: str, advice: str) -> None:
        """As `judge`, for what a function may refuse."""
        try:
            self.judge(name, sides, kind, advice)
        except Exception as error:  # whatever it is, the property cannot be looked at
            self.properties.append(
                Property(name, self.level.order, "left out", note=f"{type(error).__name__}: {error}".splitlines()[0])
            )

    def judge(self, name: str, sides: Sides, kind: str, advice: str, order: int | None = None) -> None:
        """Both sides of an identity at the point; where they differ, whether rounding explains it."""
        order = order or self.level.order
        error, limit = self._miss(sides, self.level.leaves)
        status, note = "right", ""
        if not error <= limit:
            # Rounding inside, beside constants, moves with no argument; but no mistake is as small as that.
            small = error <= self.tolerance.eps ** (2 / 5)
            status = "undecided" if small or self._rounding(sides, error) else "wrong"
            note = f"missed by {error:.1g}: rounding is amplified at this point"
        if status == "wrong":
            self.findings.append(Finding(
                kind, "wrong", f"{name} does not hold: the two sides differ by {error:.2g} of their terms, rounding by {limit:.1g}",
                advice, order, numbers={"difference": error, "limit": limit},
            ))  # fmt: skip
        known = [p for p in self.properties if p.name == name and p.order == order]
        if known:
            known[0].error = max(known[0].error, error)
        else:
            self.properties.append(Property(name, order, status, error, note if status == "undecided" else ""))  # type: ignore[arg-type]

    def _miss(self, sides: Sides, leaves: Arrays) -> tuple[float, float]:
        left, right, scales = sides(leaves)
        worst = 0.0
        for a, b, scale in zip(left, right, scales, strict=True):
            a, b = np.asarray(a), np.asarray(b)
            if a.shape != b.shape:
                return np.inf, 0.0
            with np.errstate(all="ignore"):
                both = np.isfinite(a) & np.isfinite(b)
                off = np.where(both, np.abs(a - b), np.where(np.isfinite(a) == np.isfinite(b), 0.0, np.inf))
            top = float(np.max(off, initial=0.0)) if np.isfinite(scale) else 0.0  # no finite derivative, no identity
            worst = max(worst, top / scale if scale else top, key=lambda x: np.inf if np.isnan(x) else x)
        return worst, max(self.tolerance.eps ** (2 / 3), 0.0)

    def _rounding(self, sides: Sides, error: float) -> bool:
        """Whether a difference is of the size that rounding the arguments makes, or vanishes in float64."""
        if not np.isfinite(error):
            return False
        leaves = self.level.leaves
        if self.tolerance.eps > np.finfo(np.float64).eps:
            again, _ = self._miss(sides, [wide(x) for x in leaves])
            if again <= np.finfo(np.float64).eps ** (2 / 3):
                return True
        left, _, scales = sides(leaves)
        spread = 0.0
        for k in range(3):
            moved, _, _ = sides(nudged(leaves, k))
            for a, b, scale in zip(left, moved, scales, strict=True):
                spread = max(spread, largest(np.asarray(a) - np.asarray(b)) / (scale or 1.0))
        return bool(error <= ILL * spread)

    # ── the identities ──

    def _adjoint(self, leaves: Arrays) -> tuple[Arrays, Arrays, list[float]]:
        v = narrow(self.v, leaves)
        _, dots = self.level.forward(leaves, v)
        _, pullback = self.level.reverse(leaves)
        cts = pullback(self.u)
        scale = max(weight(self.u, dots), weight(cts, v))
        return [np.asarray(pair(self.u, dots))], [np.asarray(pair(cts, v))], [scale]

    def _linear_back(self, leaves: Arrays) -> tuple[Arrays, Arrays, list[float]]:
        _, pullback = self.level.reverse(leaves)
        one, two = pullback(self.u), pullback(self.t)
        both = pullback([0.75 * a - 1.5 * b for a, b in zip(self.u, self.t, strict=True)])
        want = [0.75 * a - 1.5 * b for a, b in zip(one, two, strict=True)]
        return both, want, [largest(a) + largest(b) for a, b in zip(one, two, strict=True)]

    def _linear_on(self, leaves: Arrays) -> tuple[Arrays, Arrays, list[float]]:
        def push(v: Arrays) -> Arrays:
            return self.level.forward(leaves, narrow(v, leaves))[1]

        one, two = push(self.v), push(self.w)
        both = push([0.75 * a - 1.5 * b for a, b in zip(self.v, self.w, strict=True)])
        want = [0.75 * a - 1.5 * b for a, b in zip(one, two, strict=True)]
        return both, want, [largest(a) + largest(b) for a, b in zip(one, two, strict=True)]

    def _symmetric(self, leaves: Arrays) -> tuple[Arrays, Arrays, list[float]]:
        v, w = narrow(self.v, leaves), narrow(self.w, leaves)
        if "reverse" in self.modes:
            gradient = self.level.derived("reverse", self.v, self.u)
            if "forward" in self.modes:
                hw, hv = gradient.forward(leaves, w)[1], gradient.forward(leaves, v)[1]
            else:
                _, pullback = gradient.reverse(leaves)
                hw, hv = pullback(w), pullback(v)
            scale = max(weight(v, hw), weight(w, hv))
            return [np.asarray(pair(v, hw))], [np.asarray(pair(w, hv))], [scale]
        one = self.level.derived("forward", self.v, self.u).forward(leaves, w)[1]
        two = self.level.derived("forward", self.w, self.u).forward(leaves, v)[1]
        return one, two, [largest(x) for x in one]

    def _vmap(self, leaves: Arrays) -> tuple[Arrays, Arrays, list[float]]:
        points = [leaves, *(nudged(leaves, k, 2.0**-9) for k in range(EXAMPLES - 1))]
        stacked = [np.stack([np.asarray(p[i]) for p in points]) for i in range(len(leaves))]

        def function(*some: Any) -> Arrays:
            outs = self.level.traced(*some)
            if "reverse" not in self.modes:
                return outs
            _, pullback = api.vjp(self.level.traced, *some, adopt=False)
            return [*outs, *pullback([like(c, o) for c, o in zip(self.u, outs, strict=True)])]

        self.level.counts[0] += 2
        with np.errstate(all="ignore"):
            got = [np.asarray(o) for o in api.vmap(function, adopt=False)(*stacked)]
        want = []
        for point in points:
            outs = [np.asarray(o) for o in self.level.plain(*point)]
            want.append([*outs, *self.level.reverse(point)[1](self.u)] if "reverse" in self.modes else outs)
        loop = [np.stack(parts) for parts in zip(*want, strict=True)]
        return got, loop, [largest(x) for x in loop]

    def _checkpoint(self, leaves: Arrays) -> tuple[Arrays, Arrays, list[float]]:
        again = Level(
            self.level.plain, api.checkpoint(self.level.traced, adopt=False), leaves, self.level.names, self.level.outputs,
            self.level.centre, self.level.path, self.level.counts,
        )  # fmt: skip
        got, want = again.reverse(leaves)[1](self.u), self.level.reverse(leaves)[1](self.u)
        return got, want, [largest(x) for x in want]

    def _jit(self, leaves: Arrays) -> tuple[Arrays, Arrays, list[float]]:
        got = [np.asarray(o) for o in getattr(api, "jit")(self.level.traced)(*leaves)]  # noqa: B009  # not in every version
        return got, list(self.level.centre), [largest(x) for x in self.level.centre]


ADJOINT = (
    "One of the two modes is wrong (the table tells which): a rule's jvp and vjp are not transposes of each other."
)
LINEAR = "A {0} must be linear in its {1}: look for one that is squared, clipped, compared, or used in a condition."
SYMMETRIC = (
    "The order of differentiation must not matter where second derivatives are continuous. A rule that is right at first order uses"
    " what no derivative flows through: a residual that was detached, stop_gradient, a NumPy copy."
)
BATCH = "The function gives other results for many examples at once: an axis is written into it, or a batching rule is wrong."
AGAIN = "The function gives other derivatives when it runs a second time: it depends on something that changes between the runs."


def nudged(leaves: Sequence[Any], seed: int, size: float | None = None) -> Arrays:
    """The point moved by a few rounding units (or by `size`, relatively), each element by its own random amount."""
    rng = np.random.default_rng(seed)
    moved = []
    for x in leaves:
        x = np.asarray(x)
        unit = size or 4 * (np.finfo(x.dtype).eps if x.dtype.kind in "fc" else 2.0**-7)
        moved.append((x * (1 + unit * rng.choice([-1.0, 1.0], x.shape))).astype(x.dtype)[()])
    return moved
