"""Sets of values. Values come out by index, so that each keeps its derivative; of equal values the first occurrence."""

from __future__ import annotations

from typing import Any

import numpy as np

from wengert.core.tensor import Array
from wengert.numpy.arrays import lift, promoted
from wengert.numpy.registry import constant, values
from wengert.numpy.selecting import flat
from wengert.numpy.traced import when_traced
from wengert.ops.index import ARRAY, index
from wengert.ops.shape import concatenate

constant("isin", "membership is true or false")
constant("in1d", "membership is true or false")


def _joined(ar1: Any, ar2: Any) -> tuple[Array, np.ndarray, int]:
    """Both arrays in one axis; its values; the length of the first."""
    one, two = promoted([flat(lift(ar1)), flat(lift(ar2))])
    both = concatenate(one, two, axis=0, sizes=(one.size, two.size))
    return both, np.asarray(values(both)), one.size


def _picked(x: Array, at: np.ndarray) -> Array:
    return index(x, at, spec=(ARRAY,))


@when_traced("intersect1d")
def intersect1d(ar1: Any, ar2: Any, assume_unique: bool = False, return_indices: bool = False) -> Any:
    """`numpy.intersect1d`: the common values, taken from the first array."""
    both, known, n = _joined(ar1, ar2)
    _, i, j = np.intersect1d(known[:n], known[n:], assume_unique=assume_unique, return_indices=True)
    common = _picked(both, i)
    return (common, i, j) if return_indices else common


@when_traced("union1d")
def union1d(ar1: Any, ar2: Any) -> Array:
    """`numpy.union1d`: the sorted values of either array."""
    both, known, _ = _joined(ar1, ar2)
    return _picked(both, np.unique(known, return_index=True)[1])


@when_traced("setdiff1d")
def setdiff1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Array:
    """`numpy.setdiff1d`: the values of the first array that the second lacks."""
    one = flat(lift(ar1))
    known = np.asarray(values(one))
    at = np.arange(one.size) if assume_unique else np.unique(known, return_index=True)[1]
    return _picked(one, at[~np.isin(known[at], np.asarray(values(lift(ar2))))])


@when_traced("setxor1d")
def setxor1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> Array:
    """`numpy.setxor1d`: the sorted values that one array has and the other lacks."""
    both, known, n = _joined(ar1, ar2)
    if assume_unique:
        at = np.arange(known.size)
    else:
        first, second = (np.unique(part, return_index=True)[1] for part in (known[:n], known[n:]))
        at = np.concatenate([first, second + n])
    at = at[np.argsort(known[at], kind="stable")]
    sorted_values = known[at]
    change = np.concatenate([[True], sorted_values[1:] != sorted_values[:-1], [True]])
    return _picked(both, at[change[1:] & change[:-1]])
