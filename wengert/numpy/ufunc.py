"""`Ufunc`: NumPy's ufunc interface over an op: `out=`, `where=`, `dtype=`, and the five methods."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from wengert.core.errors import DTypeError, NotDifferentiable
from wengert.core.op import Op
from wengert.core.source import describe, here
from wengert.core.tensor import Array, Tensor
from wengert.numpy.arrays import astype, has_tensor, lift, operand, writes_out
from wengert.numpy.registry import enter
from wengert.numpy.ufunc_methods import METHODS
from wengert.ops.basis import reshape
from wengert.ops.select import where as select
from wengert.trace.recorders import recording_binary, recording_unary

_AS_THEY_ARE = frozenset({Tensor, np.ndarray, float, int, bool, np.float64, np.float32, np.int64, np.bool_})
_NUMBERS = frozenset({int, float, complex})


class Ufunc:
    """A drop-in for a NumPy or SciPy ufunc whose values come from `op`.

    Called on arrays without a Tensor among them it is the original. `op` is an Op, or a function
    written in ops. The methods `reduce`, `accumulate`, `reduceat` and `at` of `ufunc_methods` serve every
    ufunc that NumPy gives them to; `Ufunc.method` replaces one.
    """

    def __init__(self, original: np.ufunc, op: Op | Any) -> None:
        self.original = original
        self.op = op
        self.__name__ = original.__name__
        self.__doc__ = original.__doc__
        self.methods: dict[str, Any] = {}
        self.nin: int = original.nin
        self.traced: Callable[..., Any] = self.of_operands  # on `nin` operands, with a Tensor among them
        single = isinstance(op, Op) and not op.multi
        if single and self.nin == 1:
            self.traced = recording_unary(op)
        elif single and self.nin == 2:
            self.traced = recording_binary(op, self.of_operands)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not kwargs and len(args) == self.nin:
            for a in args:
                if type(a) is Tensor:
                    return self.traced(*args)
        if has_tensor(args) or (kwargs and has_tensor(list(kwargs.values()))):
            return self.with_options(*args, **kwargs)
        return self.original(*args, **kwargs)

    def of_operands(self, *args: Any) -> Any:
        """The ufunc of operands alone."""
        for a in args:
            if type(a) not in _AS_THEY_ARE:
                return self.with_options(*args)
        return self.op(*args)

    def with_options(
        self,
        *args: Any,
        out: Any = None,
        where: Any = True,
        dtype: Any = None,
        signature: Any = None,
        casting: Any = "same_kind",
        order: str = "K",
        subok: bool = True,
    ) -> Any:
        """The general call. Where `where` is False and there is no `out`, the result is zero (NumPy's is undefined)."""
        n = self.original.nin
        if len(args) > n:
            args, out = args[:n], args[n:]
        outs = out if isinstance(out, tuple) else (out,) * self.original.nout if out is None else (out,)
        xs = [operand(a) for a in args]
        loop = self.loop(xs, dtype, signature, casting)
        if loop is not None:
            xs = [astype(lift(x), d) for x, d in zip(xs, loop, strict=False)]
        if any(type(x) is complex for x in xs):  # 1j * np.float64(2) is Python's, and no array
            xs = [np.asarray(x, np.result_type(*xs_dtypes(xs)))[()] if type(x) is complex else x for x in xs]
        if where is not True:
            # Masked operands are replaced, so that what is not computed does not warn either.
            xs = [x if isinstance(x, (int, float)) else select(where, x, np.ones((), x.dtype)) for x in xs]
        result = self.op(*xs)
        results = result if self.original.nout > 1 else (result,)
        if loop is not None:
            results = [astype(lift(r), d) for r, d in zip(results, loop[n:], strict=True)]
        delivered = tuple(self.deliver(r, o, where, casting) for r, o in zip(results, outs, strict=True))
        return delivered if self.original.nout > 1 else delivered[0]

    def loop(self, xs: Sequence[Array], dtype: Any, signature: Any, casting: Any) -> tuple[np.dtype, ...] | None:
        """The dtypes, of operands and results, that `dtype=` or `signature=` asks for, by NumPy's own rules."""
        u = self.original
        if dtype is None and signature is None:
            return None
        if signature is None:
            signature = (*(None,) * u.nin, *(np.dtype(dtype),) * u.nout)
        elif isinstance(signature, str):
            signature = tuple(np.dtype(c) for c in signature.replace("->", ""))
        return u.resolve_dtypes((*xs_dtypes(xs), *(None,) * u.nout), signature=signature, casting=casting)

    def deliver(self, result: Array, out: Any, where: Any, casting: Any) -> Array:
        """A result, masked and written to its `out=`."""
        if out is not None and not np.can_cast(result.dtype, out.dtype, casting):
            raise DTypeError(
                f"numpy.{self.__name__}",
                got=f"a {result.dtype} result for out= of dtype {out.dtype}",
                want=f"dtypes that cast by the rule {casting!r}",
                fix="drop out=, or give it the result's dtype",
                at=describe(here(4)),
            )
        if where is not True:
            kept = np.zeros((), result.dtype) if out is None else astype(lift(out), result.dtype)
            result = select(where, result, kept)
        return writes_out(result, out)

    def __getattr__(self, name: str) -> Any:  # nin, nout, types, …
        if (name.startswith("__") and name != "__signature__") or name == "original":
            raise AttributeError(name)
        return getattr(self.original, name)

    def method(self, function: Any) -> Any:
        """Decorator: serve the ufunc method of this function's name (`reduce`, `at`, …)."""
        self.methods[function.__name__] = function
        return function

    def _method(self, name: str, *args: Any, **kwargs: Any) -> Any:
        original = getattr(self.original, name)
        if not has_tensor(args) and not has_tensor(list(kwargs.values())):
            return original(*args, **kwargs)
        if self.original.signature is not None or (name != "at" and (self.original.nin, self.original.nout) != (2, 1)):
            raise NotDifferentiable(
                f"numpy.{self.__name__}.{name}: NumPy gives this method to ufuncs of two operands and one result",
                fix="call the ufunc itself",
                at=describe(here(3)),
            )
        return self.methods.get(name, partial(METHODS[name], self))(*args, **kwargs)

    def reduce(self, *args: Any, **kwargs: Any) -> Array:
        return self._method("reduce", *args, **kwargs)

    def accumulate(self, *args: Any, **kwargs: Any) -> Array:
        return self._method("accumulate", *args, **kwargs)

    def reduceat(self, *args: Any, **kwargs: Any) -> Array:
        return self._method("reduceat", *args, **kwargs)

    def at(self, *args: Any, **kwargs: Any) -> None:
        return self._method("at", *args, **kwargs)

    def outer(self, a: Any, b: Any, /, **kwargs: Any) -> Array:
        a, b = lift(a), lift(b)
        return self(reshape(a, shape=(*a.shape, *(1,) * b.ndim)), b, **kwargs)

    def __repr__(self) -> str:
        return f"<ufunc {self.__name__!r} of wengert.numpy>"


def xs_dtypes(xs: Sequence[Array]) -> list[Any]:
    """Dtypes as NumPy's promotion takes them: Python numbers, which are weak, by their type."""
    return [np.dtype(bool) if type(x) is bool else type(x) if type(x) in _NUMBERS else x.dtype for x in xs]


def ufunc(name: str, op: Any, reason: str = "") -> Ufunc:
    """Serve NumPy's ufunc `name` with `op`; a constant op enters as constant, for its own reason."""
    made = Ufunc(getattr(np, name), op)
    is_constant = isinstance(op, Op) and op.constant
    stated = reason or (op.vjp.reason if is_constant else "")  # type: ignore[union-attr]
    enter(name, "constant" if is_constant or reason else "differentiable", made, stated)
    return made
