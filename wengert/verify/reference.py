"""Derivatives that no rule of ours has touched: from values of the function alone, with an estimate of their error.

    differences    central differences at h, h/2, h/4, …, extrapolated (Neville's table, as in Ridders 1982);
                   each element takes the entry of least estimated error
    extended       the same in np.longdouble, where the function keeps that precision
    complex step   Im f(x + ihv)/h (Squire & Trapp 1998), where the function is analytic and says so by agreeing
                   with the differences

A reference is a directional derivative: ∂f·v for one direction v, all outputs at once.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

Arrays = Sequence[Any]
Function = Callable[..., Sequence[Any]]
Method = Literal["auto", "differences", "extended", "complex step"]

LEVELS = 14  # halvings of the step, at most
ENOUGH = 5  # and at least


@dataclass
class Slope:
    """A directional derivative of each output, and a bound on its error that is meant to hold, elementwise.

    `evaluations` counts calls of the function.
    """

    value: list[np.ndarray]
    error: list[np.ndarray]
    method: str
    evaluations: int = 0
    tried: list[str] = field(default_factory=list)  # why sharper methods did not apply

    def resolution(self) -> float:
        """The largest error, relative to the largest slope of its output."""
        worst = 0.0
        for value, error in zip(self.value, self.error, strict=True):
            if value.size:
                scale = np.max(np.abs(value), initial=0.0)
                worst = max(worst, float(np.max(error) / scale) if scale else float(np.max(error)))
        return worst


def directional(
    fun: Function, primals: Arrays, tangents: Arrays, *, method: Method = "auto", step: float = 1e-2, rtol: float = 1e-10
) -> Slope:
    """∂f(primals)·tangents, by the sharpest method that `fun` admits.

    `fun` takes arrays and returns a list of inexact arrays. `step` is the first step in units of the tangents; halving goes on
    until every element's estimated error is below `rtol` of its output's largest slope.
    Cost: 10 to 28 evaluations, one more for the complex step, as many again in extended precision.
    """
    if method == "extended":
        found, why = extended(fun, primals, tangents, step, rtol)
        if found is None:
            raise ValueError(f"the function does not work in extended precision: {why}")
        return found
    coarse = differences(lambda t: fun(*along(primals, tangents, t)), step, rtol)
    if method == "differences":
        return coarse
    sharp, why = complex_step(fun, primals, tangents, coarse)
    if sharp is not None:
        return sharp
    if method == "complex step":
        raise ValueError(f"the function does not admit a complex step: {why}")
    coarse.tried.append(f"complex step: {why}")
    if coarse.resolution() > 1e-13:
        sharp, why = extended(fun, primals, tangents, step, 1e-14)
        if sharp is not None and sharp.resolution() < coarse.resolution() and agree(sharp, coarse):
            sharp.tried, sharp.evaluations = coarse.tried, sharp.evaluations + coarse.evaluations
            return sharp
        coarse.tried.append(f"extended: {why or 'no sharper'}")
    return coarse


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


def differences(fun: Callable[[Any], Sequence[Any]], step: float = 1e-2, rtol: float = 1e-10, eps: Any = None) -> Slope:
    """d/dt fun(t) at 0 by extrapolated central differences. `fun(0)` is never asked for."""
    number = np.float64 if eps is None else np.longdouble
    table: list[list[np.ndarray]] = []  # the last row of Neville's table, per output
    best: list[np.ndarray] = []
    error: list[np.ndarray] = []
    for k in range(LEVELS):
        h = number(step) / 2**k
        with np.errstate(all="ignore"):
            pairs = [(np.asarray(a), np.asarray(b)) for a, b in zip(fun(h), fun(-h), strict=True)]
            for i, (up, down) in enumerate(pairs):
                unit = np.finfo(up.dtype).eps if eps is None else eps
                noise = 4 * unit * np.maximum(np.abs(up), np.abs(down)) / h
                row = [(up - down) / (2 * h)]
                if k == 0:
                    table.append(row)
                    best.append(row[0])
                    error.append(np.full(up.shape, np.inf))
                    continue
                for m, older in enumerate(table[i]):
                    row.append(row[m] + (row[m] - older) / (4 ** (m + 1) - 1))
                    guess = np.maximum(np.abs(row[m + 1] - row[m]), np.abs(row[m + 1] - older)) + noise
                    better = guess < error[i]  # False for NaN, where a step has left the domain
                    best[i] = np.where(better, row[m + 1], best[i])
                    error[i] = np.where(better, guess, error[i])
                table[i] = row
        if k + 1 >= ENOUGH and all(
            np.all(e <= rtol * np.max(np.abs(b), initial=1e-30)) for b, e in zip(best, error, strict=True)
        ):
            break
    return Slope(best, error, "differences", 2 * (k + 1))


def complex_step(fun: Function, primals: Arrays, tangents: Arrays, check: Slope) -> tuple[Slope | None, str]:
    """Im f(x + ihv)/h, if that agrees with `check`; else None, and why."""
    if any(np.asarray(p).dtype.kind == "c" for p in primals):
        return None, "the arguments are complex"
    if any(np.asarray(o).dtype.kind == "c" for o in check.value):
        return None, "the outputs are complex"
    h = 1e-30
    try:
        with np.errstate(all="ignore"), warnings.catch_warnings():
            warnings.simplefilter("error", np.exceptions.ComplexWarning)
            outs = [np.asarray(o) for o in fun(*along(primals, tangents, 1j * h))]
    except Exception as error:  # any refusal means that the function is not meant for complex arguments
        return None, f"{type(error).__name__}: {error}".splitlines()[0][:200]
    if len(outs) != len(check.value) or any(o.shape != c.shape for o, c in zip(outs, check.value, strict=True)):
        return None, "complex arguments give other outputs"
    value = [o.imag / h if o.dtype.kind == "c" else np.zeros(o.shape) for o in outs]
    eps = np.finfo(np.float64).eps
    error = [np.full(v.shape, 16 * eps * np.max(np.abs(v), initial=0.0)) for v in value]
    found = Slope(value, error, "complex step", check.evaluations + 1)
    if not all(np.all(np.isfinite(v)) for v in value) or not agree(found, check):
        return None, "it is not analytic: the complex step disagrees with the differences"
    return found, ""


def extended(fun: Function, primals: Arrays, tangents: Arrays, step: float, rtol: float) -> tuple[Slope | None, str]:
    """Differences in np.longdouble, if the outputs keep it; else None, and why."""
    wide = np.finfo(np.longdouble)
    if wide.eps >= np.finfo(np.float64).eps:
        return None, "np.longdouble is no wider than float64 here"

    def widen(x: Any) -> Any:
        x = np.asarray(x)
        return x.astype(np.clongdouble if x.dtype.kind == "c" else np.longdouble)[()] if x.dtype.kind in "fc" else x

    many = [widen(p) for p in primals]
    dots = [None if v is None else widen(v) for v in tangents]
    try:
        with np.errstate(all="ignore"):
            outs = [np.asarray(o) for o in fun(*many)]
        if any(o.dtype not in (np.longdouble, np.clongdouble) for o in outs):
            return None, f"it returns {', '.join(str(o.dtype) for o in outs)} for longdouble arguments"
        found = differences(lambda t: fun(*along(many, dots, t)), step, rtol, eps=wide.eps)
    except Exception as error:  # as above
        return None, f"{type(error).__name__}: {error}".splitlines()[0][:200]
    narrow = [np.complex128 if v.dtype.kind == "c" else np.float64 for v in found.value]
    value = [v.astype(d) for v, d in zip(found.value, narrow, strict=True)]
    error = [
        e.astype(np.float64) + np.finfo(np.float64).eps * np.abs(v) for v, e in zip(value, found.error, strict=True)
    ]
    return Slope(value, error, "extended differences", found.evaluations), ""
