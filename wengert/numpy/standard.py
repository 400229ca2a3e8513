"""Where the namespace follows the array API standard 2024.12 beyond NumPy.

`wengert.numpy` is what `x.__array_namespace__()` returns, so these are attributes of the namespace, and no rows of
the registry: `numpy.meshgrid` on Tensors, by dispatch or in an adopted function, is NumPy's and gives a tuple.

Source: https://data-apis.org/array-api/2024.12/API_specification/
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from wengert.core.tensor import Array
from wengert.numpy.arrays import ARRAYS
from wengert.numpy.registry import NAMES
from wengert.numpy.rest import GuardedClass


def _as_list(name: str) -> Callable[..., list[Array]]:
    """The function that serves `name`, whose tuple of arrays becomes the list that the standard asks for."""
    served = NAMES[name].function

    @functools.wraps(served)
    def function(*args: Any, **kwargs: Any) -> list[Array]:
        return list(served(*args, **kwargs))

    return function


meshgrid = _as_list("meshgrid")
broadcast_arrays = _as_list("broadcast_arrays")


def _limits(original: type) -> Any:
    """`numpy.finfo` or `numpy.iinfo`, which takes arrays too."""

    def create(type_or_array: Any, /) -> Any:
        is_array = type(type_or_array) in ARRAYS or isinstance(type_or_array, np.generic)
        return original(type_or_array.dtype if is_array else type_or_array)

    made = GuardedClass(original.__name__, (), {"original": original, "create": staticmethod(create)})
    made.__doc__ = original.__doc__
    return made


finfo = _limits(np.finfo)
iinfo = _limits(np.iinfo)

__all__ = ["broadcast_arrays", "finfo", "iinfo", "meshgrid"]
