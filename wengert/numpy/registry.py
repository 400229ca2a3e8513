"""What becomes of each of NumPy's public names: the one table behind dispatch, namespace and coverage.

    @implements("trapezoid")                 a differentiable function of NumPy's signature
    constant("argmax", "an index", fun)      piecewise constant; `fun` handles Tensors (or is made from an op)
    refuse("histogram", reason, remedy)      raises NotDifferentiable with both, when given a Tensor

Names are dotted below numpy: "linalg.solve", "fft.rfft". A name may be filled once.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

import numpy as np

from wengert.core.errors import NotDifferentiable
from wengert.core.source import describe, here
from wengert.core.tensor import Tensor, raw
from wengert.core.tree import leaves
from wengert.numpy.values import concrete

F = TypeVar("F", bound=Callable[..., Any])
Status = Literal["differentiable", "constant", "refused"]


@dataclass(frozen=True)
class Entry:
    """How one of NumPy's names is served."""

    name: str
    status: Status
    function: Any
    reason: str = ""
    remedy: str = ""


NAMES: dict[str, Entry] = {}
TRACED: dict[str, Any] = {}  # name → what to call when an argument is known to be a Tensor
FUNCTIONS: dict[Any, Any] = {}  # NumPy's function → the same, for __array_function__
ON_FIRST_USE: list[str] = []  # modules of higher rooms with more ufuncs, named by `wengert.api`
EXTENSIONS: dict[str, str] = {}  # attributes of the namespace that are modules of higher rooms, named by `wengert.api`
UFUNCS: dict[np.ufunc, Any] = {}  # NumPy's ufunc → our Ufunc, for __array_ufunc__


def theirs(name: str) -> Any:
    """NumPy's object of that dotted name; None where this NumPy has none."""
    found: Any = np
    for part in name.split("."):
        found = getattr(found, part, None)
    return found


def enter(name: str, status: Status, function: Any, reason: str = "", remedy: str = "", *, traced: Any = None) -> None:
    """Fill one row of the table; `traced` is `function` without its search for a Tensor among the arguments."""
    if name in NAMES:
        raise ValueError(f"numpy.{name} is filled twice")
    NAMES[name] = Entry(name, status, function, reason, remedy)
    TRACED[name] = function if traced is None else traced
    original = theirs(name)
    if isinstance(original, np.ufunc):
        UFUNCS[original] = function
    elif original is not None:
        FUNCTIONS.setdefault(original, TRACED[name])


def implements(*names: str) -> Callable[[F], F]:
    """Serve NumPy's functions of these names with the decorated one, which takes the same arguments."""

    def decorate(function: F) -> F:
        for name in names:
            enter(name, "differentiable", function)
        return function

    return decorate


def on_values(name: str) -> Callable[..., Any]:
    """NumPy's function on the values of Tensors: for results that carry no derivative and need none."""
    original = theirs(name)

    @functools.wraps(original)
    def function(*args: Any, **kwargs: Any) -> Any:
        return original(*values(args), **values(kwargs))

    return function


def values(tree: Any) -> Any:
    """`tree` (tuples, lists and dicts of arguments) with each Tensor replaced by its value."""
    if type(tree) is Tensor:
        return concrete(tree)
    if type(tree) in (tuple, list):
        return type(tree)(map(values, tree))
    if type(tree) is dict:
        return {k: values(v) for k, v in tree.items()}
    return tree


def constant(name: str, reason: str, function: Callable[..., Any] | None = None) -> None:
    """NumPy's function `name` has results without derivative, for this reason."""
    if theirs(name) is not None:
        enter(name, "constant", function or on_values(name), reason)


def refuse(name: str, reason: str, remedy: str) -> None:
    """NumPy's function `name` raises on Tensors, with the reason and the remedy."""
    original = theirs(name)
    if original is None:
        return

    @functools.wraps(original)
    def function(*args: Any, **kwargs: Any) -> Any:
        if any(type(leaf) is Tensor for leaf in leaves((args, kwargs))):
            raise NotDifferentiable(f"numpy.{name}: {reason}", fix=remedy, at=describe(here(2)))
        return original(*args, **kwargs)

    enter(name, "refused", function, reason, remedy)


__all__ = ["FUNCTIONS", "NAMES", "UFUNCS", "Entry", "constant", "implements", "on_values", "raw", "refuse", "values"]
