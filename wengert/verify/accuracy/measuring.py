"""Measure the derivatives of all functions that have an oracle."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from wengert.verify.accuracy.errors import (
    DTYPES,
    MODES,
    bounded,
    columns,
    derivatives,
    error,
    function,
    representable,
)
from wengert.verify.oracles import special
from wengert.verify.oracles.special import Edge, Oracle, Point, bounds
from wengert.verify.workers import available, single_threaded

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class Accuracy:
    """The errors of one derivative: a function (and case) in one parameter, in both modes, over all outputs.

    The errors are those in double precision (`dtype`); `single_ulp`, `single_value_ulp` and `single_bound` those in single.
    `worst_ulp` was met at `where`, in `mode` ("both" where they agree), at output `output`. It is infinite where a
    finite derivative came out as NaN or infinity, or a boundary came out otherwise than documented. `value_ulp` is the worst
    error of the function's value at the same points, None where there is no formula for it. `undecided` counts
    points at which the reference did not settle, `invalid` those that are left out since SciPy's value there is
    NaN or infinite, and should not be. `measure` says what the ulp is taken of.
    """

    name: str
    parameter: int
    argument: str
    points: int
    undecided: int
    invalid: int
    worst_ulp: float
    where: tuple[Any, ...]
    output: int
    mode: str
    dtype: str
    median_ulp: float
    value_ulp: float | None
    bound: float
    single_ulp: float | None
    single_value_ulp: float | None
    single_bound: float
    measure: str
    note: str

    @property
    def ok(self) -> bool:
        """Whether both precisions are within their bounds, at every point."""
        single = self.single_ulp is None or self.single_ulp <= self.single_bound
        return self.worst_ulp <= self.bound and single and not self.undecided

    def record(self) -> dict[str, Any]:
        """As JSON; an infinite error is 1e308, for JSON has no infinity."""
        row = asdict(self)
        for key, value in row.items():
            if isinstance(value, float) and not math.isfinite(value):
                row[key] = 1e308
        where = [x if isinstance(x, (int, float)) and math.isfinite(x) else str(x) for x in self.where]
        return row | {"where": where, "ok": self.ok}


@dataclass(frozen=True)
class Errors:
    """Of one output in one mode and dtype, with the points that they were met at."""

    output: int
    mode: str
    found: list[tuple[float, Point]]
    values: list[float]
    invalid: int

    def worst(self) -> tuple[float, Point]:
        return max(self.found, key=lambda e: e[0], default=(0.0, ()))


def truths(oracle: Oracle, points: Sequence[Point], i: int) -> list[Any]:
    """The reference at each point."""
    from wengert.verify.oracles.special.slopes import by_formula, differentiate, exact

    found = []
    for point in points:
        at = tuple(map(exact, point))

        def along(fun: Callable[..., Any], at: tuple[Any, ...] = at) -> Callable[[Any], Any]:
            return lambda t: fun(*at[:i], t, *at[i + 1 :])

        if i in oracle.slope:
            try:
                found.append(by_formula(along(oracle.value), along(oracle.slope[i]), at[i], oracle.scaled))
            except ValueError:  # mpmath's series did not converge
                found.append(None)
            continue
        truth = differentiate(along(oracle.twin or oracle.value), at[i])
        if truth is not None and oracle.twin:
            truth.values = by_formula(along(oracle.value), along(oracle.value), at[i], False).values
        found.append(truth)
    return found


def rows(oracle: Oracle, thin: int = 1) -> list[Accuracy]:
    """One row per parameter; `thin` keeps every such point alone, and the extreme ones."""
    from wengert.verify.oracles.special.grids import thinned

    points = thinned(oracle.points, thin)
    found = []
    for i in oracle.wanted:
        known = [(p, t) for p, t in zip(points, truths(oracle, points, i), strict=True) if t is not None]
        edges = [e for e in oracle.edges if e.parameter == i]
        double, single = (_errors(oracle, i, known, edges, np.dtype(d)) for d in DTYPES)
        found.append(_row(oracle, i, double, single, len(points) - len(known)))
    return found


def _row(oracle: Oracle, i: int, double: list[Errors], single: list[Errors], undecided: int) -> Accuracy:
    worst = max(double, key=lambda e: e.worst()[0])
    same = len({max((e.worst()[0] for e in double if e.mode == m), default=0.0) for m in MODES}) == 1
    bound, single_bound, note = bounds.bound_of(oracle.key, oracle.parameters[i])
    return Accuracy(
        name=oracle.key,
        parameter=i,
        argument=oracle.parameters[i],
        points=max(len(e.found) for e in double),
        undecided=undecided,
        invalid=max(e.invalid for e in double + single),
        worst_ulp=_digits(worst.worst()[0]),
        where=tuple(worst.worst()[1]),
        output=worst.output,
        mode="both" if same else worst.mode,
        dtype=DTYPES[0],
        median_ulp=_digits(statistics.median(e for errors in double for e, _ in errors.found)),
        value_ulp=_largest(v for e in double for v in e.values),
        bound=bound,
        single_ulp=_largest(x for errors in single for x, _ in errors.found),
        single_value_ulp=_largest(v for e in single for v in e.values),
        single_bound=single_bound,
        measure=oracle.measure or ("ulp, scaled" if oracle.scaled else "ulp"),
        note=note,
    )


def _errors(oracle: Oracle, i: int, known: list[tuple[Point, Any]], edges: list[Edge], dtype: np.dtype) -> list[Errors]:
    """Per output and mode; none where no point is representable, or the function has no loop of this dtype."""
    chosen = [(p, t) for p, t in known if representable(p, dtype) and bounded(t.values, dtype)]
    edges = [e for e in edges if representable(e.point, dtype)]
    if not chosen and not edges:
        return []
    call = function(oracle)
    args = columns([p for p, _ in chosen] + [e.point for e in edges], dtype)
    with np.errstate(all="ignore"):
        values = call(*args)
        values = [np.asarray(v) for v in (values if isinstance(values, tuple) else (values,))]
        slopes = {mode: derivatives(call, args, i, mode) for mode in MODES}
    found = []
    for k, out in enumerate(values):
        if np.finfo(out.dtype).dtype != dtype:
            continue  # integers beside single precision make it double
        cases = [Case(oracle, i, k, n, p, t) for n, (p, t) in enumerate(chosen)]
        valid = [c for c in cases if c.true is None or np.isfinite(out[c.n])]
        value_errors = [c.value_error(out[c.n], dtype) for c in valid if c.true is not None]
        for mode in MODES:
            got = slopes[mode][k]
            errors = [(c.slope_error(got[c.n], dtype), c.point) for c in valid]
            for n, edge in enumerate(edges, len(chosen)):
                want = edge.want[k if len(edge.want) > 1 else 0]
                errors.append((error(got[n], want, abs(want), dtype), edge.point))
            if errors:
                found.append(Errors(k, mode, errors, value_errors, len(cases) - len(valid)))
    return found


class Case:
    """One output at one point: what is true there, and the size that errors are measured by."""

    def __init__(self, oracle: Oracle, i: int, k: int, n: int, point: Point, truth: Any) -> None:
        self.n, self.point = n, point
        self.true, self.slope = truth.values[k], truth.slopes[k]
        reach = max(abs(point[i]), oracle.length) if oracle.scaled else 0.0
        self.value_size = None if self.true is None else max(abs(self.true), abs(self.slope * _mp(reach)))
        self.size = max(abs(self.slope), abs(truth.bends[k] * _mp(reach))) if oracle.scaled else abs(self.slope)
        if oracle.size is not None:
            self.size = max(self.size, abs(oracle.size(*map(_mp, point))))

    def value_error(self, got: Any, dtype: np.dtype) -> float:
        return error(got, self.true, self.value_size, dtype)

    def slope_error(self, got: Any, dtype: np.dtype) -> float:
        return error(got, self.slope, self.size, dtype)


def _mp(x: Any) -> Any:
    import mpmath

    return x if isinstance(x, int) else mpmath.mpmathify(x)


def _digits(x: float) -> float:
    return float(f"{x:.3g}")


def _largest(values: Iterable[float]) -> float | None:
    found = max(values, default=None)
    return None if found is None else _digits(found)


# ── all of them ───────────────────────────────────────────────────────────────


def measure(
    match: str = "", progress: Progress | None = None, jobs: int | None = None, thin: int = 1
) -> list[Accuracy]:
    """Measure every function whose name contains `match`.

    Parameters
    ----------
    progress : called with (done, total, name) as functions are finished
    jobs : processes; by default the CPUs that this process may use
    thin : keep every such point alone, and the extreme ones

    Raises MissingExtra without mpmath. Cost: about three minutes of CPU time for all functions.
    """
    keys = [k for k in special.load() if match in k]
    found: dict[str, list[Accuracy]] = {}
    jobs = jobs or available()
    if jobs == 1 or len(keys) < 3:
        for done, key in enumerate(keys, 1):
            found[key] = _task(key, thin)
            if progress:
                progress(done, len(keys), key)
    else:
        with ProcessPoolExecutor(jobs, initializer=single_threaded) as pool:
            pending = {pool.submit(_task, key, thin): key for key in sorted(keys, key=_cost, reverse=True)}
            for done, future in enumerate(as_completed(pending), 1):
                found[pending[future]] = future.result()
                if progress:
                    progress(done, len(keys), pending[future])
    return [row for key in keys for row in found[key]]


def _cost(key: str) -> int:
    oracle = special.TABLE[key]
    return len(oracle.points) * len(oracle.wanted)


def _task(key: str, thin: int) -> list[Accuracy]:
    return rows(special.load()[key], thin)
