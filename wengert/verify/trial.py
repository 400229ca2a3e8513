"""A trial of a program: its function and arguments with random directions, and comparisons that know what they can decide."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

import wengert.api as wg
from wengert.verify import reference
from wengert.verify.generate.programs import Program


class Undecided(Exception):
    """The reference cannot tell: noise, a kink, ill-conditioning."""


class Inapplicable(Exception):
    """The check has no meaning for this program, or the peer cannot run it."""


class Run:
    """A program with random directions, and the precision that may be asked of it."""

    def __init__(self, program: Program, seed: int = 0) -> None:
        self.program, self.f = program, program.f
        self.single = "float32" in program.traits
        self.rtol = 3e-4 if self.single else 1e-8
        self.rng = np.random.default_rng(seed)
        self.argnums = tuple(range(len(program.args)))
        self.v, self.w = self._direction(), self._direction()

    @property
    def args(self) -> list[np.ndarray]:
        """Copies of the arguments."""
        return [a.copy() for a in self.program.args]

    def _direction(self) -> list[np.ndarray]:
        """Random tangents, together of length one."""
        drawn = [draw(self.rng, a) for a in self.program.args]
        length = np.sqrt(sum(np.sum(np.abs(d) ** 2) for d in drawn))
        return [np.asarray(d / length, a.dtype) for d, a in zip(drawn, self.program.args, strict=True)]

    def double(self) -> Run:
        """The same in double precision."""
        return Run(self.program.double())

    def gradient(self, *args: Any) -> list[np.ndarray]:
        """With respect to all arguments."""
        return list(wg.grad(self.f, argnums=self.argnums)(*args))

    def product(self, *args: Any) -> list[np.ndarray]:
        """The Hessian times v."""
        return self.hessian_times(self.v, args)

    def hessian_times(self, tangents: Sequence[np.ndarray], args: Sequence[Any]) -> list[np.ndarray]:
        """Forward over reverse."""
        found = wg.hvp(self.f, tuple(args), tuple(tangents))
        return list(found) if len(self.argnums) > 1 else [found]

    def arrays(self, fun: Callable[..., Sequence[Any]]) -> Callable[..., Sequence[Any]]:
        """`fun`, given arrays where arithmetic has made NumPy scalars of them."""
        return lambda *args: fun(*(np.asarray(a, b.dtype) for a, b in zip(args, self.program.args, strict=True)))

    def close(
        self, what: str, got: Sequence[Any], fun: Callable[..., Sequence[Any]], rtol: float | None = None
    ) -> None:
        """`got` and `fun(*args)` agree to rounding. Where `fun` moves as much when the arguments change in
        their last digits, nothing is said."""
        want = fun(*self.args)
        gap, size = distance(got, want)
        if gap <= (rtol or self.rtol) * size:
            return
        detail = f"{what}: {gap:.3g} apart where values are about {size:.3g}\n  got  {shown(got)}\n  want {shown(want)}"
        noise = self._noise(fun, want)
        if not gap > 100 * noise:
            raise Undecided(f"{detail}\n  they move by {noise:.3g} when the arguments' last digits change")
        raise AssertionError(detail)

    def _noise(self, fun: Callable[..., Sequence[Any]], at: Sequence[Any]) -> float:
        eps = 4 * np.finfo(np.float32 if self.single else np.float64).eps
        worst = 0.0
        for _ in range(3):
            moved = [np.asarray(a * (1 + eps * self.rng.normal(size=a.shape)), a.dtype) for a in self.args]
            worst = max(worst, distance(fun(*moved), at)[0])
        return worst


def draw(rng: np.random.Generator, like: np.ndarray) -> np.ndarray:
    """Standard normal values in the shape of `like`, complex if that is."""
    value = rng.normal(size=like.shape)
    return np.asarray(value + 1j * rng.normal(size=like.shape) if like.dtype.kind == "c" else value)


def distance(got: Sequence[Any], want: Sequence[Any]) -> tuple[float, float]:
    """The largest difference between two lists of arrays (infinite where only one is NaN), and their size."""
    gap, size = 0.0, 1e-3
    for g, w in zip(got, want, strict=True):
        g, w = np.asarray(g), np.asarray(w)
        if g.shape != w.shape:
            return np.inf, size
        same = (g == w) | (np.isnan(g) & np.isnan(w))
        off = np.where(same, 0.0, np.abs(g - w))
        gap = max(gap, float(np.max(np.where(np.isnan(off), np.inf, off), initial=0.0)))
        size = max(size, float(np.max(np.abs(w), initial=0.0, where=np.isfinite(w))))
    return gap, size


def shown(arrays: Sequence[Any]) -> str:
    return ", ".join(np.array2string(np.asarray(a), precision=9, threshold=20).replace("\n", "") for a in arrays)[:600]


def dot(gradient: Sequence[Any], tangents: Sequence[Any]) -> float:
    """The slope along `tangents`, of gradients in the default complex convention."""
    return float(sum(np.sum(np.conj(g) * v).real for g, v in zip(gradient, tangents, strict=True)))


def weight(gradient: Sequence[Any], tangents: Sequence[Any]) -> float:
    """The slope if nothing cancelled: what rounding errors in it are relative to."""
    return float(sum(np.sum(np.abs(g * v)) for g, v in zip(gradient, tangents, strict=True)))


def known(arrays: Sequence[Any], what: str) -> float:
    """The largest absolute value; Undecided if there is an infinite one."""
    if not all(np.all(np.isfinite(a)) for a in arrays):
        raise Undecided(f"the {what} is not finite")
    return max(float(np.max(np.abs(a), initial=0.0)) for a in arrays)


def check_slope(what: str, got: Sequence[Any], fun: Callable[..., Sequence[Any]], run: Run) -> None:
    """`got`, the derivative of `fun` along v, against differences.

    A mismatch is one that two references of different steps agree on, at a point without a kink.
    """
    wrong = []
    best = np.inf
    for step in (1e-2, 1e-3, 1e-4):
        slope = reference.directional(run.arrays(fun), run.args, run.v, method="differences", step=step)
        size = max(distance(got, slope.value)[1], known(got, what))
        best = min(best, max(float(np.max(e, initial=0.0)) for e in slope.error) / size)
        if not all(np.all(e <= 1e-4 * size) for e in slope.error):
            continue
        pairs = zip(got, slope.value, slope.error, strict=True)
        if all(np.all(np.abs(g - w) <= 4 * e + 1e-6 * size) for g, w, e in pairs):
            return
        wrong.append(slope)
    if len(wrong) < 2 or distance(wrong[0].value, wrong[1].value)[0] > 1e-3 * distance(wrong[0].value, got)[0]:
        raise Undecided(f"differences resolve the {what} to {best:.1e} only")
    if (jump := _kink(fun, run)) > 1e-3:
        raise Undecided(f"one-sided slopes of the {what} differ by {jump:.1e}: a kink")
    raise AssertionError(f"{what}:\n  got  {shown(got)}\n  want {shown(wrong[1].value)} (differences)")


def _kink(fun: Callable[..., Sequence[Any]], run: Run) -> float:
    """By how much slopes to the left and to the right differ, relative to their size, as the step goes to 0."""
    fun = run.arrays(fun)
    at = fun(*run.args)
    found = []
    for h in (1e-5, 1e-6):
        up, down = (fun(*reference.along(run.args, run.v, t)) for t in (h, -h))
        right = [(np.asarray(u) - a) / h for u, a in zip(up, at, strict=True)]
        left = [(a - np.asarray(d)) / h for d, a in zip(down, at, strict=True)]
        gap, size = distance(left, right)
        found.append(gap / size)
    return min(found)
