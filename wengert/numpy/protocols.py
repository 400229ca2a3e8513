"""Tensor as a NumPy citizen: `__array_ufunc__`, `__array_function__`, and loud refusals of silent exits.

`__array__` and `float` would hand out a number without its derivative; a result built on
it would have a gradient of zero and nobody would know. They raise, and name the fix.
A constant cell, which depends on nothing, converts freely.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from wengert.core.abstract import no_value
from wengert.core.errors import NotDifferentiable
from wengert.core.source import describe, here
from wengert.core.tensor import Tensor, carries, constant, protect, raw, staged
from wengert.numpy.registry import FUNCTIONS, ON_FIRST_USE, UFUNCS
from wengert.numpy.values import concrete, lost

PLACE = (
    "for an element of a plain array at a computed place, np.take(table, i, axis=0), or make the array an argument of the"
    " function; elsewhere functions of NumPy that dispatch"
)


def array(self: Tensor, dtype: Any = None, copy: Any = None) -> np.ndarray:
    """`__array__`: for constant cells, and integer or boolean results."""
    if staged(self):
        raise no_value(
            "numpy.asarray of a staged Tensor",
            f"{self.dtype}{list(self.shape)}",
            3,
            PLACE
            if self.dtype.kind in "iu"
            else "use functions of NumPy that dispatch (x.astype(dtype) for numpy.float64(x)), or let wengert adopt the function"
            " that does this (wengert.adopt)",
        )
    if carries(self):
        raise lost(
            "numpy.asarray of a Tensor",
            f"{self.dtype}{list(self.shape)} under a running trace",
            "use functions of NumPy that dispatch (docs/errors), let wengert adopt the function that does this"
            " (wengert.adopt), or cut the derivative on purpose with wengert.stop_gradient(x)",
        )
    value = concrete(self)
    if copy:
        return np.array(value, dtype=dtype)
    inner: Any = self
    while type(inner) is Tensor:
        protect(inner)
        inner = inner._value
    return np.asarray(value, dtype=dtype, copy=copy)


def scalar(kind: type) -> Any:
    """`__float__` and `__complex__`."""

    def method(self: Tensor) -> Any:
        if staged(self):
            raise no_value(f"{kind.__name__}() of a staged Tensor", f"{self.dtype}{list(self.shape)}", 3)
        if carries(self):
            raise lost(
                f"{kind.__name__}() of a Tensor",
                f"{self.dtype}{list(self.shape)} under a running trace",
                f"drop the {kind.__name__}(); for math.* let wengert adopt the function, or use numpy's;"
                " to cut the derivative on purpose: wengert.stop_gradient(x).item()",
            )
        return kind(concrete(self))

    return method


def plain(self: Tensor, what: str) -> Any:
    """The value of `self`; `what` says what it is for, where a staged Tensor has none."""
    if staged(self):
        raise no_value(what, f"a staged {self.dtype}{list(self.shape)}", 4)
    return concrete(self)


def array_ufunc(self: Tensor, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
    """NumPy and SciPy ufuncs on Tensors."""
    ours = UFUNCS.get(ufunc)
    if ours is None:
        ours = unknown(ufunc)
    if method != "__call__":
        return getattr(ours, method)(*inputs, **kwargs)
    return ours(*inputs, **kwargs) if kwargs else getattr(ours, "traced", ours)(*inputs)


def unknown(ufunc: np.ufunc) -> Any:
    """A ufunc of a room that is loaded on first use, or NotDifferentiable."""
    for module in ON_FIRST_USE:
        importlib.import_module(module)  # registers its ufuncs
    ours = UFUNCS.get(ufunc)
    if ours is None:
        raise NotDifferentiable(
            f"{ufunc.__name__}: no derivative is known to wengert",
            fix="give it one with wengert.custom_jvp or wengert.custom_vjp",
            at=describe(here(3)),
        )
    return ours


def array_function(self: Tensor, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
    """NumPy functions on Tensors."""
    ours = FUNCTIONS.get(func)
    if ours is None:
        raise NotDifferentiable(
            f"{func.__module__}.{func.__name__}: not served by wengert",
            fix="see `wengert coverage --api` for what is; compose it from those, or use wengert.custom_vjp",
            at=describe(here(2)),
        )
    out = ours(*args, **kwargs)
    return out if type(out) is not np.ndarray or "out" in kwargs else constant(out)  # made of scalars, maybe


def attach() -> None:
    """Give Tensor its protocols."""
    Tensor.__array__ = array  # type: ignore[attr-defined]
    Tensor.__float__ = scalar(float)  # type: ignore[attr-defined]
    Tensor.__complex__ = scalar(complex)  # type: ignore[attr-defined]
    Tensor.__bool__ = lambda self: bool(plain(self, "bool() of a Tensor, as by `if`, `while`, `and`, `or`"))  # type: ignore[attr-defined]
    Tensor.__int__ = lambda self: int(plain(self, "int() of a Tensor"))  # type: ignore[attr-defined]
    Tensor.__index__ = lambda self: plain(self, "a Tensor as a size, a position or a count").__index__()  # type: ignore[attr-defined]
    Tensor.__array_ufunc__ = array_ufunc  # type: ignore[attr-defined]
    Tensor.__array_function__ = array_function  # type: ignore[attr-defined]


__all__ = ["array_function", "array_ufunc", "attach", "concrete", "lost", "raw"]
