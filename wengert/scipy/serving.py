"""Serving a name of SciPy's: SciPy's own function on plain arrays, ours on Tensors."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import scipy.linalg as _scipy

from wengert.core.errors import NotDifferentiable
from wengert.core.source import describe, here
from wengert.core.tensor import Array
from wengert.numpy.arrays import has_tensor
from wengert.numpy.registry import Entry
from wengert.ops.basis import reshape

F = TypeVar("F", bound=Callable[..., Any])
NAMES: dict[str, Entry] = {}  #: public name of scipy.linalg → how it is served


def serving(module: Any, names: dict[str, Entry]) -> Callable[[F], F]:
    """The decorator that serves functions of one of SciPy's modules, and enters them in `names`."""
    room = module.__name__.removeprefix("scipy.")

    def serves(function: F) -> F:
        """Serve SciPy's function of the same name when an argument is, or holds, a Tensor."""
        name = function.__name__
        original = getattr(module, name)

        @functools.wraps(original)
        def choose(*args: Any, **kwargs: Any) -> Any:
            if has_tensor(args) or has_tensor(tuple(kwargs.values())):
                return function(*args, **kwargs)
            return original(*args, **kwargs)

        names[name] = Entry(f"{room}.{name}", "differentiable", choose)
        return choose  # type: ignore[return-value]

    return serves


serves = serving(_scipy, NAMES)


def refused(what: str, reason: str, fix: str) -> NotDifferentiable:
    """The error for a function, or an argument, without derivative."""
    return NotDifferentiable(f"scipy.linalg.{what}: {reason}", fix=fix, at=describe(here(3)))


def as_matrix(b: Array) -> tuple[Array, bool]:
    """A right-hand side with columns, and whether it was a vector."""
    return (reshape(b, shape=(*b.shape, 1)), True) if b.ndim == 1 else (b, False)


def as_given(x: Array, vector: bool) -> Array:
    return reshape(x, shape=x.shape[:-1]) if vector else x
