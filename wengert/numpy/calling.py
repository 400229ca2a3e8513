"""Functions that call a Python function once per element, or per line, and iteration over elements."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from wengert.core.errors import NotDifferentiable
from wengert.core.source import describe, here
from wengert.core.tensor import Array, active, carries
from wengert.numpy.arrays import astype, axis_of, has_tensor, lift
from wengert.numpy.registry import enter, implements, theirs
from wengert.ops.basis import broadcast_to, reshape, transpose
from wengert.ops.index import index
from wengert.ops.shape import stack


@implements("apply_along_axis")
def apply_along_axis(func1d: Callable[..., Any], axis: int, arr: Any, *args: Any, **kwargs: Any) -> Array:
    """`numpy.apply_along_axis`: `func1d` on each line along an axis. Cost: one Python call per line."""
    if not has_tensor([arr, list(args)]) and not has_tensor(list(kwargs.values())) and not active():
        return theirs("apply_along_axis")(func1d, axis, arr, *args, **kwargs)
    x = lift(arr)
    axis = axis_of(axis, x.ndim)
    around = (*x.shape[:axis], *x.shape[axis + 1 :])
    if 0 in around:
        raise ValueError("Cannot apply_along_axis when any iteration dimensions are 0")
    rows = [
        lift(func1d(index(x, spec=(*at[:axis], slice(None), *at[axis:])), *args, **kwargs)) for at in np.ndindex(around)
    ]
    _check_first("numpy.apply_along_axis", rows)
    each = rows[0].shape
    table = reshape(stack(*(astype(r, rows[0].dtype) for r in rows), axis=0), shape=(*around, *each))
    k = len(around)
    order = (*range(axis), *range(k, k + len(each)), *range(axis, k))
    return transpose(table, axes=order)


def _check_first(name: str, outs: list[Array]) -> None:
    """NumPy gives all results the dtype of the first, which must not cut a derivative off."""
    first = outs[0].dtype
    if any(carries(o) and (first.kind not in "fc" or (o.dtype.kind == "c" and first.kind != "c")) for o in outs):
        raise NotDifferentiable(
            name,
            got=f"a first result of dtype {first}, to which NumPy casts all others, and others that carry a derivative",
            want="results of one dtype",
            fix="return 0.0 for 0 (or name otypes=[float])",
            at=describe(here(3)),
        )


class vectorize:  # NumPy's name
    """`numpy.vectorize`: a Python function of numbers, called once per element; differentiable since it sees Tensors.

    Cost: one Python call, and one recorded index, per element. `wengert.vmap` batches instead.
    Write `wengert.numpy.vectorize` (or let the function be adopted): NumPy's own class takes
    ndarrays only, and raises on a Tensor.
    """

    def __init__(
        self,
        pyfunc: Any = None,
        otypes: Any = None,
        doc: str | None = None,
        excluded: Iterable[Any] | None = None,
        cache: bool = False,
        signature: str | None = None,
    ) -> None:
        self.options = {"otypes": otypes, "doc": doc, "excluded": excluded, "cache": cache, "signature": signature}
        self.pyfunc = pyfunc
        self.original: Any = None if pyfunc is None else np.vectorize(pyfunc, **self.options)
        self.__doc__ = doc if doc is not None else getattr(pyfunc, "__doc__", None)
        self.__name__ = getattr(pyfunc, "__name__", "vectorize")

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self.pyfunc is None:  # @vectorize(otypes=…)
            return vectorize(args[0], **self.options)
        if not has_tensor(args) and not has_tensor(tuple(kwargs.values())) and not active():
            return self.original(*args, **kwargs)
        if self.options["signature"] is not None:
            raise NotDifferentiable(
                "numpy.vectorize",
                got=f"signature={self.options['signature']!r} and Tensors",
                want="a function of numbers",
                fix="use wengert.vmap, which batches functions of arrays, once per batch axis",
                at=describe(here(2)),
            )
        excluded = set(self.options["excluded"] or ())
        keys: list[Any] = [i for i in range(len(args)) if i not in excluded] + [k for k in kwargs if k not in excluded]
        arrays = [lift(args[k] if isinstance(k, int) else kwargs[k]) for k in keys]
        shape = np.broadcast_shapes(*(a.shape for a in arrays))
        arrays = [a if a.shape == shape else broadcast_to(a, shape=shape) for a in arrays]
        results = []
        for at in np.ndindex(shape):
            each: list[Any] = list(args)
            named = dict(kwargs)
            for k, a in zip(keys, arrays, strict=True):
                where_to: Any = each if isinstance(k, int) else named
                where_to[k] = index(a, spec=at) if at else a
            results.append(self.pyfunc(*each, **named))
        return self._collect(results, shape)

    def _collect(self, results: list[Any], shape: tuple[int, ...]) -> Any:
        otypes = self.options["otypes"]
        if not results:
            return self.original(np.zeros(shape)) if otypes is not None else _no_results()
        if not isinstance(results[0], tuple):
            return self._column(results, shape, otypes[0] if otypes else None)
        columns = zip(*results, strict=True)
        return tuple(self._column(list(c), shape, otypes[k] if otypes else None) for k, c in enumerate(columns))

    def _column(self, outs: list[Any], shape: tuple[int, ...], otype: Any) -> Array:
        arrays = [lift(o) for o in outs]
        if otype is None:
            _check_first("numpy.vectorize", arrays)
            dtype = arrays[0].dtype
        else:
            dtype = np.dtype(otype)
        return reshape(stack(*(astype(a, dtype) for a in arrays), axis=0), shape=shape)

    def __repr__(self) -> str:
        return f"<vectorize of wengert.numpy: {self.__name__}>"


def _no_results() -> Any:
    raise ValueError("cannot call `vectorize` on size 0 inputs unless `otypes` is set")


enter("vectorize", "differentiable", vectorize)


class ndenumerate:  # NumPy's name
    """`numpy.ndenumerate`: pairs (index, element), the elements with their derivatives."""

    def __new__(cls, arr: Any) -> Any:
        return super().__new__(cls) if has_tensor(arr) else np.ndenumerate(arr)

    def __init__(self, arr: Any) -> None:
        self.arr = lift(arr)
        self.places = iter(np.ndindex(self.arr.shape))

    def __next__(self) -> tuple[tuple[int, ...], Array]:
        at = next(self.places)
        return at, index(self.arr, spec=at)

    def __iter__(self) -> ndenumerate:
        return self


enter("ndenumerate", "differentiable", ndenumerate)
