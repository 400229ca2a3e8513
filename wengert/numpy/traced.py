"""Choosing between NumPy's own function and ours, and reading the values that choose shapes."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from wengert.core.aval import is_inexact
from wengert.core.errors import ConcretizationError, DTypeError, NotDifferentiable
from wengert.core.source import describe, here
from wengert.core.tensor import Array, Tensor, carries
from wengert.core.tensor import constant as cell
from wengert.numpy.arrays import has_tensor
from wengert.numpy.registry import NAMES, enter, theirs
from wengert.numpy.values import concrete, lost

F = TypeVar("F", bound=Callable[..., Any])


def when_traced(*names: str, constant: str = "") -> Callable[[F], F]:
    """As `implements`, for a function that is run only if an argument is, or holds, a Tensor.

    Otherwise NumPy's own function runs. Names that this NumPy lacks are left out. `constant` says why
    the result has no derivative, for one that has none.
    """

    def decorate(function: F) -> F:
        present = [name for name in names if theirs(name) is not None]
        original = theirs(present[0]) if present else None

        @functools.wraps(function)
        def choose(*args: Any, **kwargs: Any) -> Any:
            if (
                (args and type(args[0]) is Tensor)
                or original is None
                or has_tensor(args)
                or (kwargs and has_tensor(tuple(kwargs.values())))
            ):
                out = function(*args, **kwargs)
                return out if type(out) is not np.ndarray or "out" in kwargs else cell(out)
            return original(*args, **kwargs)

        for name in present:
            enter(name, "constant" if constant else "differentiable", choose, constant, traced=function)
        return choose  # type: ignore[return-value]

    return decorate


def served(name: str) -> Callable[..., Any]:
    """The function that serves NumPy's `name`, whichever family it comes from."""
    return NAMES[name].function


def value_of(x: Array) -> Any:
    """The value of `x` where it is known; None where `x` stands for many examples of a vmap."""
    if type(x) is not Tensor:
        return x
    try:
        return concrete(x)
    except ConcretizationError:
        return None


def write_elements(name: str, a: Any, new: Callable[[Array], Array], value: Array) -> None:
    """Replace the contents of `a`, for a function that writes elements of its argument in place.

    `new(a)` is what `a` becomes; `value` is what is written, and decides whether `a` can hold it.
    """
    if type(a) is not Tensor:
        if type(value) is Tensor and carries(value):
            raise lost(
                f"numpy.{name}",
                "an ndarray to write into, and values that carry a derivative",
                "write into a Tensor: make the array with wengert.numpy (numpy.zeros in an adopted function)",
            )
        a[...] = concrete(new(a)) if type(value) is Tensor else new(a)
        return
    if value.dtype.kind == "c" and a.dtype.kind != "c":
        raise DTypeError(
            f"numpy.{name}",
            got=f"complex values for a {a.dtype} array",
            want="real values, or a complex array",
            fix="write the values' real part, or make the array with dtype=complex",
            at=describe(here(2)),
        )
    if carries(value) and not is_inexact(a.dtype):
        raise NotDifferentiable(
            f"numpy.{name}",
            got=f"values that carry a derivative, for a {a.dtype} array",
            want="an array of floats",
            fix="make the array with dtype=float",
            at=describe(here(2)),
        )
    a._write(new(a))


__all__ = ["served", "value_of", "when_traced", "write_elements"]
