"""Errors in ulps, and derivatives by the public functions."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from wengert.transforms.forward import jvp_flat
from wengert.transforms.reverse import vjp_flat
from wengert.verify.oracles.special import Oracle, Point

DTYPES = ("float64", "float32")
MODES = ("forward", "reverse")

# ── errors ────────────────────────────────────────────────────────────────────


def error(got: Any, true: Any, size: Any, dtype: np.dtype) -> float:
    """|got - true| in ulps of `size` in the (real) `dtype`; `true` and `size` are mpmath's, or floats at a boundary."""
    import mpmath

    limits = np.finfo(dtype)
    top, bottom = float(limits.max), float(limits.tiny)
    true = mpmath.mpmathify(true)
    if mpmath.isnan(true) or mpmath.isinf(true):
        same = (np.isnan(got) and mpmath.isnan(true)) or (not np.isnan(got) and mpmath.mpmathify(_plain(got)) == true)
        return 0.0 if same else math.inf
    here = abs(true)
    if here > top * 0.999 and (not np.isfinite(got) if np.iscomplexobj(got) else abs(got) > top * 0.998):
        return 0.0
    if not np.isfinite(got):
        return math.inf
    got = mpmath.mpmathify(_plain(got))
    if here < bottom and abs(got) <= bottom:
        return 0.0
    unit = np.spacing(dtype.type(min(max(mpmath.mpf(size), bottom), top / 2)))
    return float(abs(got - true) / mpmath.mpf(float(unit)))


def _plain(x: Any) -> complex | float:
    return complex(x) if np.iscomplexobj(x) else float(x)


# ── what is measured ──────────────────────────────────────────────────────────


def function(oracle: Oracle) -> Callable[..., Any]:
    """The public function that an oracle is about."""
    if oracle.call is not None:
        return oracle.call
    room, _, name = oracle.name.rpartition(".")
    if room == "special":
        import scipy.special

        found = getattr(scipy.special, name)
        if isinstance(found, np.ufunc):
            return found
    module = {"": "numpy", "special": "wengert.scipy.special", "nn": "wengert.nn"}[room]
    return getattr(importlib.import_module(module), name)


def columns(points: Sequence[Point], dtype: np.dtype) -> list[np.ndarray]:
    """The points as one array per parameter; integers stay integers."""
    made = []
    for column in zip(*points, strict=True):
        if all(isinstance(x, int) for x in column):
            made.append(np.array(column, np.int64))
        else:
            made.append(np.array(column, np.result_type(dtype, np.complex64) if _complex(column) else dtype))
    return made


def _complex(values: Iterable[Any]) -> bool:
    return any(isinstance(x, complex) for x in values)


def representable(point: Point, dtype: np.dtype) -> bool:
    """Whether `dtype` holds every coordinate exactly."""
    with np.errstate(all="ignore"):
        return all(
            isinstance(x, int) or all(float(dtype.type(part)) == part or math.isnan(part) for part in (x.real, x.imag))
            for x in point
        )


def bounded(values: Sequence[Any], dtype: np.dtype) -> bool:
    """Whether no value overflows: a function that does has no derivative to speak of."""
    return all(v is None or abs(v) < float(np.finfo(dtype).max) for v in values)


def derivatives(call: Callable[..., Any], args: Sequence[np.ndarray], i: int, mode: str) -> list[np.ndarray]:
    """The derivative of each output in argument `i`, elementwise, through the public function."""

    def fun(x: Any) -> list[Any]:
        out = call(*(x if j == i else a for j, a in enumerate(args)))
        return list(out) if isinstance(out, tuple) else [out]

    x = args[i]
    if mode == "forward":
        return [np.asarray(d) for d in jvp_flat(fun, [x], [np.ones_like(x)])[1]]
    outs, pullback, _ = vjp_flat(fun, [x])
    zeros = [np.zeros_like(o) for o in outs]
    found = []
    for k, out in enumerate(outs):
        seeds = [np.ones_like(out)]
        if np.iscomplexobj(out) and not np.iscomplexobj(x):
            seeds.append(np.full_like(out, -1j))  # Re(-i f') is the imaginary part
        parts = [np.asarray(pullback([*zeros[:k], s, *zeros[k + 1 :]])[0]) for s in seeds]
        found.append(parts[0] if len(parts) == 1 else parts[0] + 1j * parts[1])
    return found
