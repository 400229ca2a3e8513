"""Linear algebra where it is hard: repeated and nearly repeated eigenvalues, singular, defective, ill-conditioned matrices.

Each case is run in double precision through our rules, and in 80 digits by mpmath from the definition, with differences
of mpmath's values as the derivative. The error is held against what a backward stable algorithm may lose: `SLACK`·n·eps·κ,
where κ is measured in mpmath as well: the relative change of the derivative under relative changes of the matrix.
A program that goes through eigenvectors may lose 1/gap on top, by its own choice of way: such a case states that factor.

Outcomes
    right    the error is within the bound
    loud     NaN, an infinity, or an exception: nobody mistakes it for a derivative
    beyond   the bound is above 1: κ exceeds 1/eps, and no digit can be asked for
    WRONG    finite, and off by more than the bound
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.console import Group
from rich.markup import escape
from rich.table import Table

from wengert.core.errors import MissingExtra, WengertError
from wengert.transforms.forward import jvp_flat
from wengert.transforms.reverse import vjp_flat
from wengert.verify.oracles.degenerate_cases import Case, cases

DIGITS = 80
SLACK = {"forward": 100, "reverse": 100, "second": 1000}  # of n·eps·κ
EPS = float(np.finfo(float).eps)
DIRECTIONS = 2
DELTA = 1e-18
MODES = ("forward", "reverse", "second")


@dataclass(frozen=True)
class Row:
    """One case in one mode. `error` and `bound` are relative to the size of the derivative; `why` names what was raised."""

    name: str
    case: str
    mode: str
    kappa: float
    error: float
    bound: float
    outcome: str
    why: str = ""


def measure(match: str = "", progress: Callable[[str], None] | None = None) -> list[Row]:
    """Run every case whose name contains `match`. Cost: about 20 s for all."""
    found: list[Row] = []
    for case in cases():
        if match in case.name:
            if progress is not None:
                progress(f"{case.name} {case.label}")
            found += _rows(case)
    return found


def _mp() -> Any:
    try:
        import mpmath
    except ImportError:
        raise MissingExtra("mpmath", "verify", "derivatives in 80 digits") from None
    return mpmath.mp


def _rows(case: Case) -> Iterator[Row]:
    mp = _mp()
    with mp.workdps(DIGITS):
        oracle: _Exact | None = None
        for mode in MODES[: 3 if case.order > 1 else 2]:
            expected = case.second if mode == "second" else case.expect
            if expected == "loud":
                yield _loud(case, mode)
                continue
            oracle = oracle or _Exact(mp, case)
            want, scale = oracle.derivative(mode)
            kappa = oracle.condition(mode) * case.extra[mode == "second"]
            bound = SLACK[mode] * max(np.shape(a)[-1] if np.ndim(a) else 1 for a in case.args) * EPS * kappa
            got, why = _ours(case, mode, oracle.tangents, oracle.cotangent)
            if got is None or not np.all(np.isfinite(got)):
                yield Row(case.name, case.label, mode, kappa, np.nan, bound, "loud", why or "not finite")
                continue
            error = float(np.max(np.abs(got - want))) / scale
            outcome = "WRONG" if not error <= bound else "right" if bound < 1 else "beyond"
            yield Row(case.name, case.label, mode, kappa, error, bound, outcome)


def _loud(case: Case, mode: str) -> Row:
    """A case without a derivative: anything finite is wrong."""
    rng = np.random.default_rng(1)
    tangents = [[_like(rng, a) for a in case.args]]
    try:
        with np.errstate(all="ignore"):
            cotangent = [np.random.default_rng(2).normal(size=np.shape(o)) for o in _smooth(case)(*case.args)]
    except (np.linalg.LinAlgError, ValueError) as error:
        return Row(case.name, case.label, mode, np.inf, np.nan, np.nan, "loud", f"{type(error).__name__}: {error}")
    got, why = _ours(case, mode, tangents, cotangent)
    loud = got is None or not np.all(np.isfinite(got))
    return Row(case.name, case.label, mode, np.inf, np.nan, np.nan, "loud" if loud else "WRONG", why or "not finite")


def _smooth(case: Case) -> Callable[..., list[Any]]:
    def call(*xs: Any) -> list[Any]:
        out = case.ours(*xs)
        return list(out) if isinstance(out, tuple | list) else [out]

    return call


def _like(rng: np.random.Generator, a: Any) -> np.ndarray:
    v = rng.normal(size=np.shape(a))
    return v + 1j * rng.normal(size=np.shape(a)) if np.iscomplexobj(a) else v


def _ours(
    case: Case, mode: str, tangents: Sequence[Sequence[np.ndarray]], cotangent: Sequence[np.ndarray]
) -> tuple[np.ndarray | None, str]:
    """What our rules say: J V (forward), ⟨Jᵀu, V⟩ (reverse) or the second derivative of ⟨u, f⟩ along V."""
    fun = _smooth(case)
    args = list(case.args)
    parts: list[Any] = []
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for vs in tangents:
                if mode == "forward":
                    outs, dots = jvp_flat(fun, args, vs)
                    filled = [
                        np.zeros(np.shape(o)) if d is None else np.asarray(d) for d, o in zip(dots, outs, strict=True)
                    ]
                    parts += [d.ravel() for d in filled]
                    continue

                def gradient(*xs: Any) -> Sequence[Any]:
                    return vjp_flat(fun, xs)[1](cotangent)

                back: Sequence[Any] = gradient(*args)
                if mode == "second":
                    slopes = jvp_flat(gradient, args, vs)[1]
                    back = [np.zeros(np.shape(a)) if d is None else d for d, a in zip(slopes, args, strict=True)]
                parts.append(np.atleast_1d(sum(np.sum(np.asarray(g) * v).real for g, v in zip(back, vs, strict=True))))
    except (np.linalg.LinAlgError, WengertError, ValueError) as error:
        return None, f"{type(error).__name__}: {str(error).splitlines()[0]}"
    return np.concatenate(parts), ""


class _Exact:
    """Derivatives of a case in mpmath, and how much they change when the matrix does."""

    def __init__(self, mp: Any, case: Case) -> None:
        self.mp, self.case = mp, case
        self.matrices = [_matrix(mp, a) for a in case.args]
        rng = np.random.default_rng(3)
        self.tangents = list(case.directions) or [[_like(rng, a) for a in case.args] for _ in range(DIRECTIONS)]
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            outs = _smooth(case)(*case.args)
        self.cotangent = [np.random.default_rng(4).normal(size=np.shape(o)) for o in outs]
        self.weights = [mp.mpf(float(w)) for u in self.cotangent for w in np.ravel(u)]
        self.step = mp.mpf(10) ** -18
        self.base = self._derivatives(self.matrices)
        self.moved = [] if case.curve is not None else [self._derivatives(self._near(seed)) for seed in (10, 11)]

    def derivative(self, mode: str) -> tuple[np.ndarray, float]:
        """The derivative in a mode as doubles, and its size."""
        parts, size = self.base[mode]
        kind = complex if any(isinstance(p, self.mp.mpc) for p in parts) else float
        return np.array([kind(p) for p in parts]), max(float(size), self.case.floor) or 1.0

    def condition(self, mode: str) -> float:
        """max |Δ derivative| / (δ |derivative|) for random changes of relative size δ of the matrices; at least 1."""
        if self.case.curve is not None:
            return float(np.linalg.cond(self.case.args[0][:, : np.linalg.matrix_rank(self.case.args[0])])) ** 2
        parts, size = self.base[mode]
        worst = max(self.mp.fabs(p - q) for moved in self.moved for p, q in zip(moved[mode][0], parts, strict=True))
        return max(1.0, float(worst / DELTA) / (max(float(size), self.case.floor) or 1.0))

    def _near(self, seed: int) -> list[Any]:
        """The matrices, changed by δ of their largest element (or of each element, if graded)."""
        rng, moved = np.random.default_rng(seed), []
        for a, m in zip(self.case.args, self.matrices, strict=True):
            size = np.abs(a) if self.case.graded else np.full(np.shape(a), np.max(np.abs(a), initial=0.0) or 1.0)
            moved.append(m + self.mp.mpf(DELTA) * _matrix(self.mp, size * rng.normal(size=np.shape(a))))
        return moved

    def _derivatives(self, matrices: Sequence[Any]) -> dict[str, tuple[list[Any], Any]]:
        """Per mode: its numbers, and their size."""
        mp, h = self.mp, self.step
        middle = self._at(matrices, None, 0) if self.case.order > 1 else None
        found: dict[str, tuple[list[Any], Any]] = {}
        parts: dict[str, list[Any]] = {mode: [] for mode in MODES}
        sizes: dict[str, list[Any]] = {mode: [mp.mpf(0)] for mode in MODES}
        for vs in self.tangents:
            up, down = self._at(matrices, vs, h), self._at(matrices, vs, -h)
            slope = [(a - b) / (2 * h) for a, b in zip(up, down, strict=True)]
            parts["forward"] += slope
            sizes["forward"].append(max(mp.fabs(s) for s in slope))
            curves = {"reverse": slope}
            if middle is not None:
                curves["second"] = [(a - 2 * m + b) / h**2 for a, m, b in zip(up, middle, down, strict=True)]
            for mode, numbers in curves.items():
                terms = [w * s for w, s in zip(self.weights, numbers, strict=True)]
                parts[mode].append(mp.re(mp.fsum(terms)))
                sizes[mode].append(mp.fsum([mp.fabs(t) for t in terms]))
        for mode in MODES:
            found[mode] = parts[mode], max(sizes[mode])
        return found

    def _at(self, matrices: Sequence[Any], vs: Sequence[np.ndarray] | None, t: Any) -> Sequence[Any]:
        mp = self.mp
        if self.case.curve is not None:
            return self.case.exact(mp, *self.case.curve(mp, t, *matrices))
        if vs is None:
            return self.case.exact(mp, *matrices)
        return self.case.exact(mp, *[a + t * _matrix(mp, v) for a, v in zip(matrices, vs, strict=True)])


def _matrix(mp: Any, a: Any) -> Any:
    """An ndarray as mpmath's matrix, exactly; vectors are columns."""
    a = np.asarray(a)
    convert = mp.mpc if np.iscomplexobj(a) else mp.mpf
    rows = a.reshape(len(a), -1) if a.ndim else a.reshape(1, 1)
    return mp.matrix([[convert(complex(v)) if np.iscomplexobj(a) else convert(float(v)) for v in row] for row in rows])


def terminal(rows: Sequence[Row]) -> Group:
    """A table for rich, and how many cases came out how."""
    table = Table("name", "case", "mode", "κ", "error", "bound", "outcome", "why")
    styles = {"WRONG": "bold red", "loud": "yellow", "beyond": "dim"}
    for row in rows:
        numbers = [f"{x:.1e}" if np.isfinite(x) else "" for x in (row.kappa, row.error, row.bound)]
        why = escape(row.why.partition("\n")[0])
        table.add_row(
            row.name, escape(row.case), row.mode, *numbers, row.outcome, why, style=styles.get(row.outcome, "")
        )
    counts = Counter(row.outcome for row in rows)
    return Group(table, ", ".join(f"{n} {outcome}" for outcome, n in counts.most_common()))
