"""The full check: a Jacobian column by column, for when a random projection has raised a suspicion.

Everything is seen as a real matrix. A column is a direction along one element of an argument (of its real or imaginary
part), a row a cotangent: one element of an output, or a random combination of all where there are too many.
With more columns than the cap, blocks of columns are searched for those that are off.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

from wengert.core.config import config
from wengert.verify.checker.comparison import DOUBT, Tolerance, epsilon, largest
from wengert.verify.checker.subject import Level, element, pair
from wengert.verify.reference import Method, Slope, directional, imaginary, imaginary_error

CAP = 128  # columns looked at
ROWS = 64  # outputs (real and imaginary parts) looked at one by one
SECONDS = 60.0  # after which no more columns are taken
FANOUT, KEPT = 16, 2  # of the search


@dataclass(frozen=True)
class Place:
    """One real number within a list of arrays."""

    leaf: int
    index: tuple[int, ...]
    imaginary: bool = False

    def label(self, names: Sequence[str]) -> str:
        text = element(names[self.leaf], self.index)
        return f"Im {text}" if self.imaginary else text

    def unit(self, arrays: Sequence[Any], size: float = 1.0) -> list[np.ndarray]:
        out = [np.zeros(np.shape(a), np.asarray(a).dtype) for a in arrays]
        out[self.leaf][self.index] = size * (1j if self.imaginary else 1.0)
        return out

    def read(self, arrays: Sequence[Any]) -> float:
        """The number at this place. (A product with a unit would make NaN of an infinity elsewhere.)"""
        x = np.asarray(arrays[self.leaf])[self.index]
        return float(x.imag if self.imaginary else x.real)

    def slope(self, gradients: Sequence[Any]) -> float:
        """The derivative by the number at this place, from gradients in the user's complex convention."""
        sign = -1.0 if self.imaginary and config.complex_convention == "jax" else 1.0
        return sign * self.read(gradients)


def places(arrays: Sequence[Any]) -> list[Place]:
    """Every real number in `arrays`."""
    found = []
    for leaf, a in enumerate(arrays):
        for part in (False, True) if np.iscomplexobj(a) else (False,):
            found += [Place(leaf, index, part) for index in np.ndindex(*np.shape(a))]
    return found


def count(arrays: Sequence[Any]) -> int:
    """How many real numbers there are."""
    return sum(np.size(a) * (2 if np.iscomplexobj(a) else 1) for a in arrays)


@dataclass
class Matrix:
    """Ours and the reference's derivatives, rows by columns; `ours` has an array for each mode."""

    rows: list[Place | None]  # None for a random combination of all outputs
    cotangents: list[list[np.ndarray]]
    columns: list[Place]
    ours: dict[str, np.ndarray]
    reference: np.ndarray
    error: np.ndarray
    jump: np.ndarray
    jump_error: np.ndarray
    sizes: np.ndarray  # of the function's values, over the size of a change of the argument
    methods: list[str]
    total: int  # columns that there are
    stopped: str = ""  # why not all of them were looked at

    def cut(self, n: int, why: str) -> None:
        """Keep the first `n` columns."""
        self.columns, self.stopped = self.columns[:n], why
        self.ours = {mode: a[:, :n] for mode, a in self.ours.items()}
        self.reference, self.error, self.jump, self.jump_error, self.sizes = (
            a[:, :n] for a in (self.reference, self.error, self.jump, self.jump_error, self.sizes)
        )

    def bad(self, mode: str, tolerance: Tolerance) -> np.ndarray:
        """Where ours is off. The limit counts what is lost to rounding beside the largest entry of the same row and argument."""
        limit = np.zeros(self.reference.shape)
        leaf = np.array([c.leaf for c in self.columns])
        for k in set(leaf.tolist()):
            part = np.where(np.isfinite(self.reference[:, leaf == k]), self.reference[:, leaf == k], 0)
            scale = np.max(np.abs(part), axis=1, initial=0.0)[:, None]
            limit[:, leaf == k] = tolerance.limit(part, 1.0) - tolerance.limit(np.zeros(1), 1.0)
            limit[:, leaf == k] += [tolerance.limit(np.zeros(1), float(s)) for s in scale[:, 0]]
        with np.errstate(all="ignore"):
            near = np.abs(self.ours[mode] - self.reference) <= limit + DOUBT * self.error
        return ~near & np.isfinite(self.reference) & np.isfinite(self.error)

    def kinked(self) -> np.ndarray:
        """Where the one-sided slopes differ, or may."""
        scale = np.max(np.abs(self.reference), initial=0.0, where=np.isfinite(self.reference))
        with np.errstate(all="ignore"):
            jumps = np.abs(self.jump) > DOUBT * self.jump_error + 1e-6 * scale + 1e-9 * self.sizes
            return jumps | ~(self.jump_error <= 0.05 * scale + 1e-7 * self.sizes + 1e-300)

    def row_label(self, r: int, names: Sequence[str]) -> str:
        row = self.rows[r]
        return "⟨u, outputs⟩" if row is None else row.label(names)


class Columns:
    """The full check of one level.

    `known` is the reference along a random direction. Where that was a complex step, and there was no sign of a kink, one
    complex evaluation per column is enough.
    """

    def __init__(
        self, level: Level, modes: Sequence[str], tolerance: Tolerance, method: Method, step: float,
        rng: np.random.Generator, known: Slope | None, floor: float,
    ) -> None:  # fmt: skip
        self.known = known if known is not None and known.method == "complex step" else None
        self.level, self.modes, self.tolerance = level, modes, tolerance
        self.method: Method = method
        self.step, self.rng = step, rng
        self.wide = [wide(x) for x in level.leaves]
        self.centre = [np.asarray(o) for o in level.plain(*self.wide)]
        self.sizes = [scales(x, floor) for x in level.leaves]

    def slope(self, direction: Sequence[np.ndarray]) -> Slope:
        """The reference along one direction."""
        if self.known is not None:
            value, _ = imaginary(self.level.plain, self.wide, direction)
            if value is not None and all(np.all(np.isfinite(v)) for v in value):
                none = [np.zeros(v.shape) for v in value]
                return Slope(
                    value,
                    imaginary_error(value, self.known),
                    "complex step",
                    1,
                    jump=none,
                    jump_error=none,
                    noise=self.known.noise,
                )
        return directional(self.level.plain, self.wide, direction, method=self.method, step=self.step, jumps=True)

    def matrix(self, worst_outputs: Sequence[Place], us: list[np.ndarray]) -> Matrix:
        """Ours and reference. `worst_outputs` are looked at first; `us` is the cotangent of the fast check."""
        rows = self._rows(worst_outputs)
        cotangents = [us if r is None else r.unit(self.level.centre, self._sign(r)) for r in rows]
        pulled = self._pulled(cotangents) if "reverse" in self.modes else None
        with progress(f"looking for the wrong elements of {self.level.outputs[0]}") as report:
            columns, stopped = self._chosen(us, pulled[rows.index(None)] if pulled and None in rows else None, report)
            return self._filled(rows, cotangents, columns, pulled, stopped, report)

    def _rows(self, worst: Sequence[Place]) -> list[Place | None]:
        if count(self.level.centre) <= ROWS:
            return list(places(self.level.centre))
        return [None, *worst]

    @staticmethod
    def _sign(row: Place) -> float:
        return -1.0 if row.imaginary and config.complex_convention == "jax" else 1.0

    def _pulled(self, cotangents: Sequence[list[np.ndarray]]) -> list[list[np.ndarray]]:
        _, pullback = self.level.reverse(self.level.leaves)
        return [pullback(c) for c in cotangents]

    def direction(self, place: Place) -> tuple[list[np.ndarray], float]:
        """A change of one number, of its natural size; and that size."""
        size = float(self.sizes[place.leaf][place.index])
        return place.unit(self.wide, size), size

    # ── which columns ──

    def _chosen(self, us: list[np.ndarray], grads: list[np.ndarray] | None, report: Any) -> tuple[list[Place], str]:
        total = count(self.level.leaves)
        if total <= CAP:
            return places(self.level.leaves), ""
        found = self._search(us, grads, report)
        how = f"{len(found)} of {total} elements of the arguments were looked at"
        return found, how

    def _search(self, us: list[np.ndarray], grads: list[np.ndarray] | None, report: Any) -> list[Place]:
        """Columns from the blocks that are off, found by halving them in 16; a random choice where all are."""
        sizes = [np.size(x) * (2 if np.iscomplexobj(x) else 1) for x in self.level.leaves]
        start = np.concatenate([[0], np.cumsum(sizes)])
        blocks = [np.arange(start[-1])]
        deadline = time.monotonic() + SECONDS / 2
        while max(map(len, blocks)) > CAP // (2 * KEPT) and time.monotonic() < deadline:
            parts = [p for b in blocks for p in np.array_split(b, min(FANOUT, len(b)))]
            report(None, len(parts))
            scored = []
            for part in parts:
                scored.append(self._suspicion(self._direction(part, start), us, grads))
                report(1, None)
            scores = np.array(scored)
            if np.mean(scores > 1) > 0.5:
                break
            order = np.argsort(-scores)[:KEPT]
            blocks = [parts[i] for i in order if scores[i] > 1] or [parts[order[0]]]
        chosen = np.concatenate(blocks)
        if len(chosen) > CAP:
            chosen = np.sort(self.rng.choice(chosen, CAP, replace=False))
        return [self._place(int(i), start) for i in chosen]

    def _place(self, flat: int, start: np.ndarray) -> Place:
        leaf = int(np.searchsorted(start, flat, side="right")) - 1
        x = self.level.leaves[leaf]
        imaginary, within = divmod(flat - int(start[leaf]), max(np.size(x), 1))
        return Place(leaf, tuple(map(int, np.unravel_index(within, np.shape(x)))), bool(imaginary))

    def _direction(self, part: np.ndarray, start: np.ndarray) -> list[np.ndarray]:
        out = [np.zeros(np.shape(x), np.asarray(x).dtype) for x in self.wide]
        for leaf, x in enumerate(self.wide):
            inside = part[(part >= start[leaf]) & (part < start[leaf + 1])] - start[leaf]
            sign = self.rng.choice([-1.0, 1.0], inside.shape)
            flat = out[leaf].reshape(-1)
            where = inside % max(np.size(x), 1)
            change = sign * self.sizes[leaf].reshape(-1)[where]
            np.add.at(flat, where, change * np.where(inside >= np.size(x), 1j, 1.0) if np.iscomplexobj(x) else change)
            out[leaf] = flat.reshape(np.shape(x))
        return out

    def _suspicion(self, direction: list[np.ndarray], us: list[np.ndarray], grads: list[np.ndarray] | None) -> float:
        """How many times the allowed difference there is along a block; above 1 for kinks, too."""
        slope = self.slope(direction)
        score = 0.0
        with np.errstate(all="ignore"):
            for ref, jump, error in zip(slope.value, slope.jump, slope.jump_error, strict=True):
                score = max(
                    score, float(np.max(np.abs(jump) / (DOUBT * error + 1e-6 * largest(ref) + 1e-300), initial=0.0))
                )
            pairs = []
            if grads:
                pairs.append(
                    (
                        np.asarray(pair(grads, direction)),
                        np.asarray(pair(us, slope.value)),
                        np.asarray(weigh(us, slope.error)),
                    )
                )
            if "forward" in self.modes:
                dots = self.level.forward(self.level.leaves, narrow(direction, self.level.leaves))[1]
                pairs += list(zip(dots, slope.value, slope.error, strict=True))
            for ours, ref, error in pairs:
                allowed = self.tolerance.limit(ref, largest(ref)) + DOUBT * error + 1e-300
                off = np.abs(ours - ref) / allowed
                score = max(score, float(np.max(np.where(np.isnan(off), np.inf, off), initial=0.0)))
        return score

    # ── the matrix ──

    def renew(self, matrix: Matrix, c: int) -> None:
        """Column `c` again, by differences too, which would see a kink that one complex evaluation passes by."""
        known, self.known = self.known, None
        direction, size = self.direction(matrix.columns[c])
        self._enter(matrix, c, self.slope(direction), size)
        self.known = known

    @staticmethod
    def _enter(matrix: Matrix, c: int, slope: Slope, size: float) -> None:
        """What a reference says, into column `c`."""
        both = list(enumerate(zip(matrix.rows, matrix.cotangents, strict=True)))
        for into, arrays in ((matrix.reference, slope.value), (matrix.jump, slope.jump)):
            for r, (p, u) in both:
                into[r, c] = (p.read(arrays) if p else pair(u, arrays)) / size
        for into, arrays in ((matrix.error, slope.error), (matrix.jump_error, slope.jump_error)):
            for r, (p, u) in both:
                into[r, c] = (_at(p, arrays) if p else weigh(u, arrays)) / size

    def _filled(
        self, rows: list[Place | None], cotangents: list[list[np.ndarray]], columns: list[Place],
        pulled: list[list[np.ndarray]] | None, stopped: str, report: Any,
    ) -> Matrix:  # fmt: skip
        shape = len(rows), len(columns)
        matrix = Matrix(
            rows, cotangents, columns, {mode: np.zeros(shape) for mode in self.modes}, np.zeros(shape), np.zeros(shape),
            np.zeros(shape), np.zeros(shape), np.zeros(shape), [], count(self.level.leaves), stopped,
        )  # fmt: skip
        heights = [np.full(o.shape, largest(o)) for o in self.centre]
        methods: dict[str, None] = {}
        began = time.monotonic()
        report(None, len(columns))
        for c, place in enumerate(columns):
            direction, size = self.direction(place)
            slope = self.slope(direction)
            methods[slope.method] = None
            self._enter(matrix, c, slope, size)
            matrix.sizes[:, c] = [
                (_at(p, heights) if p else weigh(u, heights)) / size for p, u in zip(rows, cotangents, strict=True)
            ]
            if "forward" in self.modes:
                dots = self.level.forward(self.level.leaves, narrow(direction, self.level.leaves))[1]
                pairs = zip(rows, cotangents, strict=True)
                matrix.ours["forward"][:, c] = [(p.read(dots) if p else pair(u, dots)) / size for p, u in pairs]
            if pulled is not None:
                matrix.ours["reverse"][:, c] = [place.slope(g) for g in pulled]
            report(1, None)
            if time.monotonic() - began > SECONDS:
                matrix.cut(c + 1, f"{c + 1} of {matrix.total} elements were looked at, for {SECONDS:.0f} s")
                break
        matrix.methods = list(methods)
        return matrix


def _at(place: Place, arrays: Sequence[Any]) -> float:
    return float(np.asarray(arrays[place.leaf])[place.index])


def weigh(us: Sequence[np.ndarray], errors: Sequence[np.ndarray]) -> float:
    """Σ|u|·error, with 0·∞ = 0."""
    total = 0.0
    for u, e in zip(us, errors, strict=True):
        u = np.abs(u)
        total += float(np.sum(np.where(u > 0, u * np.where(u > 0, e, 0), 0)))
    return total


def wide(x: Any) -> Any:
    """An array in double precision, for the reference."""
    x = np.asarray(x)
    if epsilon([x]) <= np.finfo(np.float64).eps:
        return x[()]
    return x.astype(np.complex128 if x.dtype.kind == "c" else np.float64)[()]


def narrow(direction: Sequence[Any], leaves: Sequence[Any]) -> list[Any]:
    """A direction in the leaves' dtypes."""
    return [np.asarray(d).astype(np.asarray(x).dtype)[()] for d, x in zip(direction, leaves, strict=True)]


def scales(x: Any, floor: float) -> np.ndarray:
    """A natural size of a change of each element: its own, but at least `floor` times that of its array.

    Zeros have no size of their own: a thousandth of the array's, or 1 in an array of zeros.
    """
    size = np.abs(np.asarray(x)).astype(np.float64)
    size = np.where(np.isfinite(size), size, 0.0)
    typical = float(np.sqrt(np.mean(size**2))) if size.size else 1.0
    found = (
        np.where(size > 0, np.maximum(size, floor * typical), 1e-3 * typical) if typical > 0 else np.ones(size.shape)
    )
    # A power of two is exact in every dtype, and so is the step along one element.
    return np.asarray(2.0 ** np.round(np.log2(found)))


@contextmanager
def progress(title: str) -> Iterator[Callable[[int | None, int | None], None]]:
    """A bar on standard error, if that is a terminal and the work takes longer than two seconds: `report(advance, more)`."""
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    bar = Progress(console=console, transient=True, disable=not console.is_terminal)
    began, total, done = time.monotonic(), 0, 0
    task: Any = None

    def report(advance: int | None, more: int | None) -> None:
        nonlocal total, done, task
        total, done = total + (more or 0), done + (advance or 0)
        if task is None and time.monotonic() - began > 2:
            bar.start()
            task = bar.add_task(title, total=total)
        if task is not None:
            bar.update(task, total=total, completed=done)

    try:
        yield report
    finally:
        if task is not None:
            bar.stop()
