"""`x[mask]` while it is staged: how many elements a mask selects is not known then, so they stay in their places.

Elementwise functions, reductions over all of it, and assignment through the same mask (`x[mask] *= 2`,
`x[mask] = np.log(x[mask])`) need no more than that. They compute at every place, and choose: what is not selected
has a derivative of strong zero.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, NoReturn

import numpy as np

from wengert.core.abstract import no_value
from wengert.core.tensor import Array, Tensor
from wengert.numpy.arrays import lift
from wengert.numpy.registry import NAMES
from wengert.ops.basis import reshape
from wengert.ops.select import where as select


class Selected:
    """The elements of `full` where `mask` is true."""

    __array_priority__ = 2000.0

    def __init__(self, full: Array, mask: Tensor) -> None:
        self.full, self.mask = full, mask

    @property
    def dtype(self) -> np.dtype:
        return self.full.dtype

    @property
    def ndim(self) -> int:
        return 1 + self.full.ndim - self.mask.ndim

    def selects_as(self, other: Any) -> bool:
        """Whether another mask is this one: the same value of the same program."""
        mine, theirs = self.mask, other
        return type(theirs) is Tensor and mine._trace is theirs._trace and mine._node is theirs._node

    def places(self) -> Array:
        """The mask, in as many axes as the array has."""
        return reshape(self.mask, shape=(*self.mask.shape, *(1,) * (self.full.ndim - self.mask.ndim)))

    def of(self, function: Callable[..., Array], *others: Any) -> Selected:
        """An elementwise function of this and others: numbers, what broadcasts along the trailing axes, or selections by this mask."""
        return Selected(function(*(self.aligned(o) for o in others)), self.mask)

    def aligned(self, other: Any) -> Any:
        if isinstance(other, Selected):
            if not self.selects_as(other.mask):
                raise self.refused("selections by different masks, one of them")
            return other.full
        if not isinstance(other, (int, float, complex)) and lift(other).ndim > self.full.ndim - self.mask.ndim:
            raise self.refused(f"an array of shape {list(lift(other).shape)} together with a selection by")
        return other

    def refused(self, got: str) -> Exception:
        return no_value(
            "x[mask]",
            f"{got} a mask of shape {list(self.mask.shape)}",
            4,
            "compute at every place and choose with numpy.where(mask, ...), or give the mask as a constant",
        )

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        if method != "__call__" or kwargs or ufunc.nout != 1 or ufunc.signature is not None:
            raise self.refused(f"numpy.{ufunc.__name__} with a method or options, of a selection by")
        return self.of(NAMES[ufunc.__name__].function if ufunc.__name__ in NAMES else ufunc, *inputs)

    def __array_function__(self, func: Any, types: Any, args: Any, kwargs: Any) -> Any:
        method = _REDUCED.get(func)
        if method is None or len(args) != 1 or kwargs:
            raise self.refused(f"numpy.{func.__name__} of a selection by")
        return getattr(args[0], method)()

    def sum(self) -> Array:
        return NAMES["sum"].function(select(self.places(), self.full, np.zeros((), self.dtype)))

    def prod(self) -> Array:
        return NAMES["prod"].function(select(self.places(), self.full, np.ones((), self.dtype)))

    def mean(self) -> Array:
        each = self.full.size // max(self.mask.size, 1)
        return self.sum() / (NAMES["sum"].function(self.mask) * each)

    def any(self) -> Array:
        return NAMES["any"].function(NAMES["logical_and"].function(self.places(), self.full))

    def all(self) -> Array:
        return NAMES["all"].function(NAMES["logical_or"].function(~self.places(), self.full))

    def _unknown(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise self.refused("the shape or the elements of a selection by")

    __len__ = __iter__ = __getitem__ = __setitem__ = __array__ = __bool__ = __float__ = __int__ = _unknown

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        raise self.refused(f".{name} of a selection by")

    def __repr__(self) -> str:
        return f"Selected({self.dtype}, of {list(self.full.shape)})"


_REDUCED = {np.sum: "sum", np.prod: "prod", np.mean: "mean", np.any: "any", np.all: "all"}


def _attach() -> None:
    def binary(op: Callable[..., Any], swapped: bool) -> Any:
        if swapped:
            return lambda self, other: self.of(lambda a, b: op(b, a), self, other)
        return lambda self, other: self.of(op, self, other)

    names = "add sub mul truediv pow floordiv mod and or xor".split()
    functions = [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow, operator.floordiv, operator.mod,
                 operator.and_, operator.or_, operator.xor]  # fmt: skip
    for name, function in zip(names, functions, strict=True):
        setattr(Selected, f"__{name}__", binary(function, False))
        setattr(Selected, f"__r{name}__", binary(function, True))
    for name in ("lt", "le", "gt", "ge", "eq", "ne"):
        setattr(Selected, f"__{name}__", binary(getattr(operator, name), False))
    for name in ("neg", "pos", "abs", "invert"):
        function = getattr(operator, name)
        setattr(Selected, f"__{name}__", lambda self, f=function: self.of(f, self))


_attach()
