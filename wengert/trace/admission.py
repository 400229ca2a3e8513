"""What a trace takes in, and what it looks for in it: inexact values, without NaN when asked."""

from __future__ import annotations

from typing import Any

import numpy as np

from wengert.core.abstract import Abstract
from wengert.core.aval import is_inexact
from wengert.core.errors import DTypeError, NonFinite
from wengert.core.source import describe, here
from wengert.core.tensor import Array, Tensor, active, raw


def check_nan(value: Array, what: str, source: Any) -> None:
    """Raise NonFinite where `value` holds a NaN."""
    bottom = raw(value)
    if type(bottom) is Abstract:  # looked at when it runs
        return
    if is_inexact(bottom.dtype) and np.isnan(bottom).any():
        where = np.argwhere(np.isnan(np.atleast_1d(bottom)))[0]
        raise NonFinite(
            what,
            got=f"a NaN, first at index {tuple(map(int, where))} of {bottom.dtype}{list(bottom.shape)}",
            want="finite values (config.debug_nans is on)",
            fix="look at this op's inputs; guard a division or a logarithm with numpy.where",
            at=describe(source),
        )


def plain(x: np.ndarray, what: str) -> np.ndarray:
    """An instance of a subclass of ndarray as an ndarray, sharing its memory; refused where it computes in its own way."""
    kind = type(x)
    own = [name for name in ("__array_ufunc__", "__mul__") if getattr(kind, name) is not getattr(np.ndarray, name)]
    if own:
        raise DTypeError(
            what,
            got=f"a {kind.__module__}.{kind.__qualname__}, a subclass of ndarray with arithmetic of its own ({own[0]})",
            want="an ndarray",
            fix="pass numpy.asarray(x) for its plain values; for masked arrays the data and the mask (numpy.where(mask, 0, data))",
            at=describe(here(3)),
        )
    for trace in active():
        if trace.guard is not None:
            trace.guard.add(x)  # a write through `x` itself would pass its new view by
    return x.view(np.ndarray)


def inexact(value: Array, what: str) -> Array:
    """`value` as something that can be watched: a Python float becomes float64; integers are refused."""
    if type(value) is Tensor or type(value) is np.ndarray:
        pass
    elif isinstance(value, float):
        value = np.float64(value) if type(value) is float else value
    elif isinstance(value, complex):
        value = np.complex128(value) if type(value) is complex else value
    elif isinstance(value, np.ndarray):
        value = value if type(value) is np.ndarray else plain(value, what)
    elif not isinstance(value, np.generic):
        if isinstance(value, (bool, int)):
            value = np.asarray(value)[()]
        elif hasattr(value, "__array__"):
            value = np.asarray(value)
        else:
            raise DTypeError(
                what,
                got=f"{type(value).__name__}",
                want="arrays or numbers, in any pytree",
                fix="pass other arguments by position outside argnums, or close over them",
                at=describe(here(3)),
            )
    if not is_inexact(value.dtype):
        raise DTypeError(
            what,
            got=f"{value.dtype} input of shape {tuple(value.shape)}",
            want="float or complex: an integer or boolean has no derivative",
            fix="pass x.astype(float) (or 2.0 for 2)",
            at=describe(here(3)),
        )
    return value
