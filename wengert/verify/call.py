"""One op on concrete arrays, as a function of its differentiable inputs, with references for its derivatives.

A call has twins: the same values in another dtype or memory layout. Twins share directions and references, so that
what differs between two of them is the rule's doing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from wengert.core.aval import COMPLEX, FLOAT, is_inexact
from wengert.core.op import Op, Sample
from wengert.core.tensor import Array
from wengert.transforms.reverse import vjp_flat
from wengert.verify.reference import Slope, directional

Layout = Literal["contiguous", "strided"]
NARROW = {"float64": "float32", "complex128": "complex64"}
MOVE = 2.0**-20  # relative change of the inputs by which conditioning is measured


def random_like(rng: np.random.Generator, x: Array) -> Array:
    """A standard normal array of the shape and dtype of `x`."""
    v = rng.normal(size=np.shape(x))
    if x.dtype.kind == "c":
        v = v + 1j * rng.normal(size=np.shape(x))
    return np.asarray(v).astype(x.dtype)[()]


def dtypes_of(op: Op, sample: Sample) -> list[str]:
    """The double-precision dtypes to run a sample in: float64, and complex128 where both admit it."""
    return ["float64", "complex128"] if COMPLEX in op.accepts and not sample.real_only else ["float64"]


def strided(x: Any) -> Any:
    """The values of an array in memory of negative, wide strides."""
    if not isinstance(x, np.ndarray) or x.ndim == 0:
        return x
    room = np.zeros([2 * d for d in x.shape], x.dtype)
    view = room[(slice(None, None, -2),) * x.ndim]
    view[...] = x
    return view


class Call:
    """`call(*primals)` evaluates the op at other values of its differentiable inputs; `call.primals` are those given.

    dtype
        Inexact arrays are drawn in it.
    seed
        Of the arrays that the sample leaves open, and of the directions.
    """

    def __init__(self, op: Op, sample: Sample, dtype: str = "float64", seed: int = 0) -> None:
        self.op, self.sample, self.dtype, self.seed = op, sample, np.dtype(dtype), seed
        self.layout: Layout = "contiguous"
        self.rng = np.random.default_rng(seed)
        self.args = sample.build(self.rng, dtype)
        self.diff = sample.diff
        self.shared: dict[Any, Any] = {}  # what twins have in common

    @property
    def primals(self) -> list[Array]:
        return [self.args[i] for i in self.diff]

    def twin(self, dtype: str | None = None, layout: Layout = "contiguous") -> Call:
        """The same values in a dtype no narrower, or in another layout."""
        other = object.__new__(type(self))
        vars(other).update(vars(self))
        other.rng = np.random.default_rng([self.seed, 1])
        if dtype is not None:
            other.dtype = np.dtype(dtype)
            other.args = [self.widened(a, other.dtype) for a in self.args]
        other.layout = layout
        if layout == "strided":
            other.args = [strided(a) for a in other.args]
        return other

    def widened(self, a: Any, dtype: np.dtype) -> Any:
        """An array of this call's dtype in another; the rest (indices, masks) as it is."""
        return a.astype(dtype)[()] if isinstance(a, (np.ndarray, np.generic)) and a.dtype == self.dtype else a

    @property
    def wide(self) -> Call:
        """The twin in double precision."""
        if self.dtype.itemsize == np.dtype(np.complex128 if self.dtype.kind == "c" else np.float64).itemsize:
            return self if self.layout == "contiguous" else self.once("wide", lambda: self.twin(str(self.dtype)))
        return self.once("wide", lambda: self.twin("complex128" if self.dtype.kind == "c" else "float64"))

    def once(self, key: Any, make: Callable[[], Any]) -> Any:
        """A value that all twins share."""
        if key not in self.shared:
            self.shared[key] = make()
        return self.shared[key]

    # ── the function ──

    def all_outs(self, *primals: Array) -> list[Array]:
        """Every output."""
        args = list(self.args)
        for i, p in zip(self.diff, primals, strict=True):
            args[i] = p
        out = self.op(*args, **self.sample.params)
        return list(out) if self.op.multi else [out]

    def __call__(self, *primals: Array) -> list[Array]:
        """The inexact outputs."""
        outs = self.all_outs(*primals)
        return [o for o in outs if is_inexact(o.dtype if hasattr(o, "dtype") else np.asarray(o).dtype)]

    # ── directions and references ──

    def tangents(self, which: int = 0) -> list[Array]:
        """Random tangents of the primals."""
        return self._directions(("tangents", which), [self.seed, 2, which], self.primals)

    def cotangents(self) -> list[Array]:
        """Random cotangents of the inexact outputs; 0 where an output is not finite, and so has no derivative."""
        outs = self(*self.primals)
        found = self._directions("cotangents", [self.seed, 3], outs)
        return [
            u if np.isfinite(o).all() else np.where(np.isfinite(o), u, 0).astype(u.dtype)[()]
            for u, o in zip(found, outs, strict=True)
        ]

    def _directions(self, key: Any, seed: Sequence[int], likes: Sequence[Array]) -> list[Array]:
        """Shared directions, rounded so that every twin can hold them, in this twin's dtypes and layout."""

        def draw() -> list[Array]:
            rng = np.random.default_rng(seed)
            kinds = [np.dtype(NARROW.get(str(np.asarray(x).dtype), np.asarray(x).dtype)) for x in likes]
            return [random_like(rng, np.empty(np.shape(x), d)) for x, d in zip(likes, kinds, strict=True)]

        base = self.once(key, draw)
        out = [np.asarray(a).astype(np.asarray(x).dtype)[()] for a, x in zip(base, likes, strict=True)]
        return [strided(a) for a in out] if self.layout == "strided" else out

    def reference(self) -> Slope:
        """∂call·tangents(), from values of the op alone."""
        wide = self.wide
        return self.once("reference", lambda: directional(wide, wide.primals, wide.tangents()))

    def gradient(self, *primals: Array) -> list[Array]:
        """The pullback of `cotangents()`, as a function of the primals."""
        return vjp_flat(self, primals)[1](self.cotangents_at(primals))

    def cotangents_at(self, primals: Sequence[Array]) -> list[Array]:
        """The cotangents, in the dtypes that outputs have for these primals (a reference may ask in wider ones)."""
        cts = self.once(("cotangents", self.dtype, self.layout), self.cotangents)
        dtype = np.result_type(*[getattr(p, "dtype", np.float64) for p in primals])
        if dtype == self.dtype:
            return cts
        real = np.longdouble if dtype in (np.longdouble, np.clongdouble) else np.float64
        extended = np.clongdouble if real is np.longdouble else np.complex128
        wanted = extended if dtype.kind == "c" and self.dtype.kind != "c" else real
        return [np.asarray(c).astype(extended if np.asarray(c).dtype.kind == "c" else wanted)[()] for c in cts]

    def second_reference(self) -> Slope:
        """∂gradient·tangents(1), from values of the pullback, which `reference` vouches for."""
        wide = self.wide
        return self.once("second", lambda: directional(wide.gradient, wide.primals, wide.tangents(1), rtol=1e-8))

    def sensitivity(self, order: int) -> list[np.ndarray]:
        """How far a reference moves when the inputs change by one part in 2²⁰, per output, in units of that part.

        Times a dtype's eps, it is the error which rounding the inputs alone would cause: the conditioning of the derivative.
        """

        def find() -> list[np.ndarray]:
            wide, rng = self.wide, np.random.default_rng([self.seed, 4])
            moved = [p * (1 + MOVE * rng.choice([-1.0, 1.0], size=np.shape(p))) for p in wide.primals]
            fun, direction = (wide, wide.tangents()) if order == 1 else (wide.gradient, wide.tangents(1))
            there = directional(fun, moved, direction, method="differences", rtol=1e-6)
            here = self.reference() if order == 1 else self.second_reference()
            return [
                np.abs(a - b) / MOVE if np.shape(a) == np.shape(b) else np.full(np.shape(b), np.nan)
                for a, b in zip(there.value, here.value, strict=True)
            ]

        return self.once(("sensitivity", order), find)

    # ── words ──

    def fail(self, what: str, why: object) -> AssertionError:
        return AssertionError(f"{self.op.name} {self.sample!r} {self.dtype}, {self.layout}: {what}: {why}")

    def close(self, what: str, got: Any, want: Any, rtol: float, atol: float) -> None:
        """Raise unless each array of `got` is close to that of `want`."""
        try:
            for g, w in zip(got, want, strict=True):
                np.testing.assert_allclose(np.asarray(g), np.asarray(w), rtol=rtol, atol=atol)
        except AssertionError as error:
            raise self.fail(what, error) from None


def dtypes_accepted(op: Op, sample: Sample) -> list[str]:
    """All dtypes of derivatives that a sample of an op runs in."""
    if FLOAT not in op.accepts:
        return []
    return [n for wide in dtypes_of(op, sample) for n in (NARROW[wide], wide)]
