"""Derivatives that no rule of ours has touched: from values of the function alone, with a bound on their own error.

    differences    central differences at h, h/2, h/4, …, extrapolated (Neville's table, as in Ridders 1982);
                   each element takes the entry of least estimated error, which counts the function's noise
    extended       the same in np.longdouble, where the function keeps that precision
    complex step   Im f(x + ihv)/h (Squire & Trapp 1998), where the function is analytic and says so by agreeing
                   with the differences
    mpmath         differences in 50 digits, where the function is made of NumPy's arithmetic and elementary functions

A reference is a directional derivative: ∂f·v for one direction v, all outputs at once.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from wengert.core.errors import WengertError
from wengert.verify.reference import noise

Arrays = Sequence[Any]
Function = Callable[..., Sequence[Any]]
Method = Literal["auto", "differences", "extended", "complex step", "mpmath"]

LEVELS = 28  # halvings of the step, at most
ENOUGH = 5  # and at least
COLUMNS = 9  # of Neville's table
SMALL = 64  # elements, in and out, up to which "auto" tries mpmath

# What a function may raise where a step takes it out of its domain.
OUTSIDE = (ValueError, ArithmeticError, np.linalg.LinAlgError)


class NoReference(WengertError, ValueError):
    """The method that was asked for does not work on this function."""


@dataclass
class Slope:
    """A directional derivative of each output, and a bound on its error that is meant to hold, elementwise.

    `evaluations` counts calls of the function. `jump` is the right slope minus the left one, with its own error, if it
    was asked for; it is zero where the function is smooth.
    """

    value: list[np.ndarray]
    error: list[np.ndarray]
    method: str
    evaluations: int = 0
    tried: list[str] = field(default_factory=list)  # why sharper methods did not apply
    jump: list[np.ndarray] = field(default_factory=list)
    jump_error: list[np.ndarray] = field(default_factory=list)
    noise: list[np.ndarray] = field(default_factory=list)  # of the function's values, one standard deviation
    raised: str = ""  # what the function raised at some of the steps

    def resolution(self) -> float:
        """The largest error, relative to the largest slope of its output."""
        worst = 0.0
        for value, error in zip(self.value, self.error, strict=True):
            if value.size:
                scale = np.max(np.abs(value), initial=0.0)
                worst = max(worst, float(np.max(error) / scale) if scale else float(np.max(error)))
        return worst


def directional(
    fun: Function,
    primals: Arrays,
    tangents: Arrays,
    *,
    method: Method = "auto",
    step: float = 1e-2,
    rtol: float = 1e-10,
    jumps: bool = False,
) -> Slope:
    """∂f(primals)·tangents, by the sharpest method that `fun` admits.

    `fun` takes arrays and returns a list of inexact arrays. `step` is the first step in units of the tangents; halving goes on
    until every element's estimated error is below `rtol` of its output's largest slope, or noise forbids more. `jumps` asks
    for the difference of the one-sided slopes too, at no cost.
    Cost: 16 to 62 evaluations (about 20 for a smooth function), one more for the complex step, as many again in extended
    precision, 5 in mpmath's.
    """
    if method == "extended":
        return _insist(extended(fun, primals, tangents, step, rtol), "does not work in extended precision")
    coarse = differences(lambda t: fun(*along(primals, tangents, t)), step, rtol, jumps=jumps)
    if method == "mpmath":
        return _sharpened(
            _insist(multiprecise(fun, primals, tangents, coarse), "does not run on mpmath's numbers"), coarse
        )
    if method == "differences":
        return coarse
    sharp, why = complex_step(fun, primals, tangents, coarse)
    if sharp is not None or method == "complex step":
        return _insist((sharp, why), "does not admit a complex step")
    coarse.tried.append(f"complex step: {why}")
    if coarse.resolution() > 1e-13:
        sharp, why = extended(fun, primals, tangents, step, 1e-14)
        if sharp is not None and sharp.resolution() < coarse.resolution() and agree(sharp, coarse):
            doubt(sharp, coarse)
            return _sharpened(sharp, coarse)
        coarse.tried.append(f"extended: {why or 'no sharper'}")
    if coarse.resolution() > 1e-8 and sum(np.size(a) for a in [*primals, *coarse.value]) <= SMALL:
        sharp, why = multiprecise(fun, primals, tangents, coarse)
        if sharp is not None:
            return _sharpened(sharp, coarse)
        coarse.tried.append(f"mpmath: {why}")
    return coarse


def _insist(found: tuple[Slope | None, str], complaint: str) -> Slope:
    if found[0] is None:
        raise NoReference(f"the function {complaint}: {found[1]}", fix="method='auto' takes what it admits")
    return found[0]


def _sharpened(sharp: Slope, coarse: Slope) -> Slope:
    """`sharp`, with what only the differences know."""
    sharp.tried, sharp.evaluations = coarse.tried, sharp.evaluations + coarse.evaluations
    sharp.jump, sharp.jump_error, sharp.noise, sharp.raised = (
        coarse.jump, coarse.jump_error, coarse.noise, coarse.raised,
    )  # fmt: skip
    return sharp


def along(primals: Arrays, tangents: Arrays, t: Any) -> list[Any]:
    """primals + t·tangents, in the primals' dtypes or wider."""
    return [p if v is None else p + t * v for p, v in zip(primals, tangents, strict=True)]


def agree(a: Slope, b: Slope, rtol: float = 1e-7) -> bool:
    """Whether two references differ by no more than their errors."""
    for x, y, ex, ey in zip(a.value, b.value, a.error, b.error, strict=True):
        scale = np.max(np.abs(y), initial=0.0, where=np.isfinite(y))
        if not np.all((np.abs(x - y) <= 4 * (ex + ey) + rtol * scale) | ~np.isfinite(y)):
            return False
    return True


def doubt(sharp: Slope, coarse: Slope) -> None:
    """Where the two differ by more than their errors, that difference is an error too.

    An ill-conditioned function rounds otherwise in complex or in extended arithmetic, alike at every step, so that
    neither reference shows it as noise.
    """
    for i, (x, y, ex, ey) in enumerate(zip(sharp.value, coarse.value, sharp.error, coarse.error, strict=True)):
        gap = np.abs(x - y)
        sharp.error[i] = np.where((gap > ex + 4 * ey) & np.isfinite(gap), gap, ex)


# ── differences ───────────────────────────────────────────────────────────────


class Neville:
    """Values that tend to a limit as a power series in the step, halved each time; the limit, and how well it is known.

    `base` is the factor by which the first term shrinks: 4 for series in h², 2 for series in h.
    """

    def __init__(self, base: int, step: int) -> None:
        self.base, self.step = base, step
        self.row: list[np.ndarray] = []
        self.best: np.ndarray = np.zeros(0)
        self.error: np.ndarray = np.zeros(0)

    def add(self, value: np.ndarray, noise: np.ndarray) -> None:
        """The value at the next step, whose own error is `noise`."""
        old, row = self.row, [value]
        if not old:
            self.best, self.error = value, np.full(value.shape, np.inf)
        for m, older in enumerate(old[: COLUMNS - 1]):
            row.append(row[m] + (row[m] - older) / (self.base * self.step**m - 1))
            # An entry's three neighbours are hardly ever all close to it by chance.
            guess = np.maximum(np.abs(row[m + 1] - row[m]), np.abs(row[m + 1] - older))
            if m + 1 < len(old):
                guess = np.maximum(guess, np.abs(row[m + 1] - old[m + 1]))
            guess = guess + noise
            better = guess < self.error  # False for NaN, where a step has left the domain
            self.best = np.where(better, row[m + 1], self.best)
            self.error = np.where(better, guess, self.error)
        self.row = row

    def forget(self, crude: np.ndarray, noise: np.ndarray) -> bool:
        """Drop what is not even near `crude`; whether there was any."""
        off = np.abs(self.best - crude) > 0.1 * np.abs(crude) + self.error + noise
        self.error = np.where(off, np.inf, self.error)
        return bool(np.any(off))


def differences(
    fun: Callable[[Any], Sequence[Any]],
    step: float = 1e-2,
    rtol: float = 1e-10,
    eps: Any = None,
    jumps: bool = False,
) -> Slope:
    """d/dt fun(t) at 0 by extrapolated central differences. `fun(0)` is never asked for."""
    number = np.float64 if eps is None else np.longdouble
    asked = _Asked(fun)
    close = [asked(number(step) / 2**13 * k) for k in range(1, 1 + noise.POINTS)]
    sigma: list[np.ndarray] = []
    slopes: list[Neville] = []
    sides: list[Neville] = []
    before: list[tuple[np.ndarray, np.ndarray]] = []
    crude: list[np.ndarray] = []
    with np.errstate(all="ignore"):
        for k in range(LEVELS):
            h = number(step) / 2**k
            up, down = asked(h), asked(-h)
            if up is None or down is None:
                continue
            if not slopes:
                slopes = [Neville(4, 4) for _ in up]
                sides = [Neville(2, 2) for _ in up] if jumps else []
                sigma = [_noise([c[i] for c in close if c is not None], o, eps) for i, o in enumerate(up)]
            for table, s, a, b in zip(slopes, sigma, up, down, strict=True):
                table.add((a - b) / (2 * h), noise.SAFETY * s / h)
            # One-sided slopes between steps: the value at the point itself may be rounded in another way than all others.
            for table, s, a, b, (c, d) in zip(sides, sigma, up, down, before):
                table.add((c + d - a - b) / h, 4 * noise.SAFETY * s / h)
            before = list(zip(up, down, strict=True))
            if k + 1 >= ENOUGH and all(_done(t, s, h, rtol) for t, s in zip(slopes, sigma, strict=True)):
                tiny = min(number(step) / 2**11, h)
                crude = [t.row[0] for t in slopes] if tiny == h else crude or _crude(asked, tiny)
                # Large steps can agree on something that is not the slope, as they do where they are periods of a wave.
                dropped = [t.forget(c, noise.SAFETY * s / tiny) for t, c, s in zip(slopes, crude, sigma)]
                if not any(dropped):
                    break
    if not slopes:
        raise asked.error or ValueError("the function has no value at any step")
    return Slope(
        [t.best for t in slopes], [t.error for t in slopes], "differences", asked.count,
        jump=[t.best for t in sides], jump_error=[t.error for t in sides], noise=sigma,
        raised=f"{type(asked.error).__name__}: {asked.error}".splitlines()[0] if asked.error else "",
    )  # fmt: skip


def _crude(asked: _Asked, h: Any) -> list[np.ndarray]:
    """The slope by one central difference at a very small step; empty where it cannot be had."""
    up, down = asked(h), asked(-h)
    return [] if up is None or down is None else [(a - b) / (2 * h) for a, b in zip(up, down, strict=True)]


def _done(table: Neville, sigma: np.ndarray, h: Any, rtol: float) -> bool:
    """Whether smaller steps are not needed, or could not be better."""
    goal = rtol * np.max(np.abs(table.best), initial=1e-30)
    return bool(np.all((table.error <= goal) | (table.error <= noise.SAFETY * sigma / h)))


def _noise(close: list[np.ndarray], like: np.ndarray, eps: Any) -> np.ndarray:
    unit = np.finfo(like.dtype).eps if eps is None else eps
    if len(close) < noise.POINTS:
        return unit * np.abs(like)
    return noise.measure(close, unit)


class _Asked:
    """A function that is counted, and whose failures at single steps are remembered instead of raised."""

    def __init__(self, fun: Callable[[Any], Sequence[Any]]) -> None:
        self.fun, self.count = fun, 0
        self.error: Exception | None = None
        self.shapes: list[tuple[int, ...]] | None = None

    def __call__(self, t: Any) -> list[np.ndarray] | None:
        self.count += 1
        try:
            with np.errstate(all="ignore"):
                outs = [np.asarray(o) for o in self.fun(t)]
        except OUTSIDE as error:
            self.error = error
            return None
        shapes = [o.shape for o in outs]
        self.shapes = self.shapes or shapes
        if shapes != self.shapes:
            self.error = ValueError(f"the outputs' shapes vary with the arguments' values: {self.shapes}, {shapes}")
            return None
        return outs


# ── sharper methods ───────────────────────────────────────────────────────────


def complex_step(fun: Function, primals: Arrays, tangents: Arrays, check: Slope) -> tuple[Slope | None, str]:
    """Im f(x + ihv)/h, if that agrees with `check`; else None, and why."""
    if any(np.asarray(p).dtype.kind == "c" for p in primals):
        return None, "the arguments are complex"
    if any(np.asarray(o).dtype.kind == "c" for o in check.value):
        return None, "the outputs are complex"
    value, why = imaginary(fun, primals, tangents)
    if value is None:
        return None, why
    if [v.shape for v in value] != [v.shape for v in check.value]:
        return None, "complex arguments give other outputs"
    found = Slope(value, imaginary_error(value, check), "complex step", check.evaluations + 1)
    if not all(np.all(np.isfinite(v)) for v in value) or not agree(found, check):
        return None, "it is not analytic: the complex step disagrees with the differences"
    if check.resolution() > 1e-2:
        return None, "the differences are too coarse to confirm it"
    doubt(found, check)
    return _sharpened(
        found, Slope([], [], "", 0, check.tried, check.jump, check.jump_error, check.noise, check.raised)
    ), ""


def imaginary(fun: Function, primals: Arrays, tangents: Arrays) -> tuple[list[np.ndarray] | None, str]:
    """Im f(x + ihv)/h, unconfirmed; or None, and why."""
    h = 1e-30
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("error", np.exceptions.ComplexWarning)
            outs = [np.asarray(o) for o in fun(*along(primals, tangents, 1j * h))]
    except Exception as error:  # any refusal means that the function is not meant for complex arguments
        return None, f"{type(error).__name__}: {error}".splitlines()[0][:200]
    return [np.imag(o) / h if o.dtype.kind == "c" else np.zeros(o.shape) for o in outs], ""


def imaginary_error(value: Sequence[np.ndarray], check: Slope) -> list[np.ndarray]:
    """A bound for the rounding of `imaginary`: a derivative is computed about as well as the values are."""
    eps = np.finfo(np.float64).eps
    errors = []
    for i, v in enumerate(value):
        relative = eps
        if check.noise:
            # Values near zero by cancellation say little of the terms they came from, so no single element decides.
            quotient = check.noise[i] / np.maximum(
                np.abs(check.value[i]), np.max(np.abs(check.value[i]), initial=1e-300)
            )
            relative = max(eps, min(1e-6, float(np.max(quotient, initial=0.0))))
        if check.method == "complex step":
            top = np.max(np.abs(check.value[i]), initial=0.0)
            relative = max(relative, float(np.max(check.error[i], initial=0.0) / top / 16) if top else 0.0)
        errors.append(np.full(v.shape, 16 * relative * np.max(np.abs(v), initial=0.0)))
    return errors


def widened(x: Any) -> Any:
    """`x` in np.longdouble or np.clongdouble."""
    x = np.asarray(x)
    return x.astype(np.clongdouble if x.dtype.kind == "c" else np.longdouble)[()] if x.dtype.kind in "fc" else x


def extended(fun: Function, primals: Arrays, tangents: Arrays, step: float, rtol: float) -> tuple[Slope | None, str]:
    """Differences in np.longdouble, if the outputs keep it; else None, and why."""
    wide = np.finfo(np.longdouble)
    if wide.eps >= np.finfo(np.float64).eps:
        return None, "np.longdouble is no wider than float64 here"
    many = [widened(p) for p in primals]
    dots = [None if v is None else widened(v) for v in tangents]
    try:
        with np.errstate(all="ignore"):
            outs = [np.asarray(o) for o in fun(*many)]
        if any(o.dtype not in (np.longdouble, np.clongdouble) for o in outs):
            return None, f"it returns {', '.join(str(o.dtype) for o in outs)} for longdouble arguments"
        found = differences(lambda t: fun(*along(many, dots, t)), step, rtol, eps=wide.eps, jumps=True)
    except Exception as error:  # as above
        return None, f"{type(error).__name__}: {error}".splitlines()[0][:200]
    narrow = [np.complex128 if v.dtype.kind == "c" else np.float64 for v in found.value]
    value = [v.astype(d) for v, d in zip(found.value, narrow, strict=True)]
    error = [
        e.astype(np.float64) + np.finfo(np.float64).eps * np.abs(v) for v, e in zip(value, found.error, strict=True)
    ]
    found.value, found.error, found.method, found.evaluations = (
        value,
        error,
        "extended differences",
        found.evaluations + 1,
    )
    return found, ""


def multiprecise(fun: Function, primals: Arrays, tangents: Arrays, check: Slope) -> tuple[Slope | None, str]:
    """Differences in 50 digits, if the function runs on object arrays and agrees with `check`; else None, and why."""
    from wengert.verify.reference.multiprecision import slopes

    try:
        with np.errstate(all="ignore"):
            value, error = slopes(fun, primals, tangents)
    except ImportError:
        raise
    except Exception as problem:  # as above
        return None, f"{type(problem).__name__}: {problem}".splitlines()[0][:200]
    found = Slope(value, error, "mpmath", 5)
    if [v.shape for v in value] != [v.shape for v in check.value]:
        return None, "it gives other outputs for multiprecision numbers"
    if not all(np.all(np.isfinite(v)) for v in value) or not agree(found, check):
        return None, "it disagrees with the differences"
    return found, ""
