"""`Ufunc`: NumPy's ufunc interface over an op: `out=`, `where=`, `dtype=`, and the five methods."""

from __future__ import annotations

from typing import Any

import numpy as np

from wengert.core.errors import NotDifferentiable
from wengert.core.op import Op
from wengert.core.source import describe, here
from wengert.core.tensor import Array, Tensor
from wengert.numpy.arrays import astype, has_tensor, lift, operand, writes_out
from wengert.numpy.registry import enter
from wengert.ops.basis import reshape
from wengert.ops.select import where as select


class Ufunc:
    """A drop-in for a NumPy or SciPy ufunc whose values come from `op`.

    Called on arrays without a Tensor among them it is the original. `reduce`, `accumulate` and the like are
    given to the few ufuncs that have a differentiable one with `Ufunc.method`.
    """

    def __init__(self, original: np.ufunc, op: Op | Any) -> None:
        self.original = original
        self.op = op
        self.__name__ = original.__name__
        self.__doc__ = original.__doc__
        self.methods: dict[str, Any] = {}

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        plain = True
        for a in args:
            if type(a) is Tensor or (type(a) in (list, tuple) and has_tensor(a)):
                plain = False
        if not kwargs:
            return self.original(*args) if plain else self.op(*map(operand, args))
        if plain and not has_tensor(list(kwargs.values())) and not has_tensor(kwargs.get("out")):
            return self.original(*args, **kwargs)
        return self.with_options(*args, **kwargs)

    def with_options(
        self,
        *args: Any,
        out: Any = None,
        where: Any = True,
        dtype: Any = None,
        casting: str = "same_kind",
        order: str = "K",
        subok: bool = True,
    ) -> Any:
        n = self.original.nin
        if len(args) > n:  # positional out
            args, out = args[:n], args[n:]
        xs = [operand(a) for a in args]
        if dtype is not None:
            xs = [astype(lift(x), dtype) for x in xs]
        result = self.op(*xs)
        target = out[0] if isinstance(out, tuple) and len(out) == 1 else out
        if where is not True:
            result = select(where, result, np.zeros((), result.dtype) if target is None else target)
        if self.original.nout > 1 and target is not None:
            return tuple(writes_out(r, o) for r, o in zip(result, target, strict=True))
        return writes_out(result, target)

    def __getattr__(self, name: str) -> Any:  # nin, nout, types, …
        return getattr(self.original, name)

    def method(self, function: Any) -> Any:
        """Decorator: serve the ufunc method of this function's name (`reduce`, `at`, …)."""
        self.methods[function.__name__] = function
        return function

    def _method(self, name: str, *args: Any, **kwargs: Any) -> Any:
        if not has_tensor(list(args)) and not has_tensor(list(kwargs.values())):
            return getattr(self.original, name)(*args, **kwargs)
        if name not in self.methods:
            raise NotDifferentiable(
                f"numpy.{self.__name__}.{name}: no derivative rule",
                fix="write the loop in Python, or use the function of NumPy that exists for it (sum, cumsum, prod, …)",
                at=describe(here(3)),
            )
        return self.methods[name](*args, **kwargs)

    def reduce(self, *args: Any, **kwargs: Any) -> Array:
        return self._method("reduce", *args, **kwargs)

    def accumulate(self, *args: Any, **kwargs: Any) -> Array:
        return self._method("accumulate", *args, **kwargs)

    def reduceat(self, *args: Any, **kwargs: Any) -> Array:
        return self._method("reduceat", *args, **kwargs)

    def at(self, *args: Any, **kwargs: Any) -> None:
        return self._method("at", *args, **kwargs)

    def outer(self, a: Any, b: Any, **kwargs: Any) -> Array:
        a, b = lift(a), lift(b)
        return self(reshape(a, shape=(*a.shape, *(1,) * b.ndim)), b, **kwargs)

    def __repr__(self) -> str:
        return f"<ufunc {self.__name__!r} of wengert.numpy>"


def ufunc(name: str, op: Any, reason: str = "") -> Ufunc:
    """Serve NumPy's ufunc `name` with `op`; a constant op enters as constant, for its own reason."""
    made = Ufunc(getattr(np, name), op)
    is_constant = isinstance(op, Op) and op.constant
    stated = reason or (op.vjp.reason if is_constant else "")  # type: ignore[union-attr]
    enter(name, "constant" if is_constant else "differentiable", made, stated)
    return made
