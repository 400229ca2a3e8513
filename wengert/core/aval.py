"""Abstract values: what is known of an array before it has any elements."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any

import numpy as np


class Kind(enum.Flag):
    """Families of dtypes that an op accepts."""

    BOOL = enum.auto()
    INT = enum.auto()
    FLOAT = enum.auto()
    COMPLEX = enum.auto()


BOOL, INT, FLOAT, COMPLEX = Kind.BOOL, Kind.INT, Kind.FLOAT, Kind.COMPLEX
INEXACT = FLOAT | COMPLEX
NUMERIC = INT | INEXACT
ANY = BOOL | NUMERIC

# ml_dtypes' half types register with kind 'V'; they are floats all the same.
_HALF = {"bfloat16", "float8_e4m3fn", "float8_e5m2"}


def kind(dtype: np.dtype) -> Kind:
    """The family of `dtype`."""
    match dtype.kind:
        case "f":
            return FLOAT
        case "c":
            return COMPLEX
        case "i" | "u":
            return INT
        case "b":
            return BOOL
        case _ if dtype.name in _HALF:
            return FLOAT
        case _:
            raise TypeError(f"no derivative machinery for dtype {dtype}")


def is_inexact(dtype: np.dtype) -> bool:
    """Whether arrays of `dtype` can carry a derivative."""
    return dtype.kind in "fc" or dtype.name in _HALF


@dataclass(frozen=True, slots=True)
class Aval:
    """Shape and dtype of an array. `weak` marks a Python scalar, which NEP 50 lets adapt to its partner."""

    shape: tuple[int, ...]
    dtype: np.dtype
    weak: bool = False

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        n = 1
        for d in self.shape:
            n *= d
        return n

    def with_shape(self, shape: tuple[int, ...]) -> Aval:
        """The same dtype in another shape."""
        return Aval(tuple(shape), self.dtype)

    def with_dtype(self, dtype: Any) -> Aval:
        """The same shape in another dtype."""
        return Aval(self.shape, np.dtype(dtype))

    def without(self, axes: tuple[int, ...]) -> Aval:
        """The axes not in `axes` (which are non-negative)."""
        return Aval(tuple(d for i, d in enumerate(self.shape) if i not in axes), self.dtype)

    def __str__(self) -> str:
        return f"{self.dtype}[{','.join(map(str, self.shape))}]"


_WEAK = {bool: np.dtype(bool), int: np.dtype(int), float: np.dtype(float), complex: np.dtype(complex)}


def aval_of(value: Any) -> Aval:
    """The aval of an ndarray, NumPy scalar, Python scalar or Tensor."""
    weak = _WEAK.get(type(value))
    if weak is not None:
        return Aval((), weak, weak=True)
    return Aval(value.shape, value.dtype)


def promote(*avals: Aval) -> np.dtype:
    """NumPy 2's result dtype (NEP 50): Python scalars adapt to their partners."""
    return np.result_type(*(_weak_scalar(a) if a.weak else a.dtype for a in avals))


def _weak_scalar(aval: Aval) -> bool | int | float | complex:
    return {"b": False, "i": 0, "f": 0.0, "c": 0j}[aval.dtype.kind]  # result_type reads the Python type alone
