"""What adopted code sees instead of `numpy`, `math` and `cmath`.

`numpy` and its submodules become modules with NumPy's own public names, served from the registry's table;
`from numpy import zeros` is bound object by object. (SciPy's: `wengert.scipy.binding`.)
"""

from __future__ import annotations

import cmath
import math
import operator
import types
from typing import Any

import numpy as np

from wengert.core.tensor import Tensor, is_scalar
from wengert.numpy import stdcmath, stdmath
from wengert.numpy.registry import NAMES
from wengert.trace.adopt import bind, rebuild

SUBMODULES = ("linalg", "fft", "lib", "lib.stride_tricks")


class _ArrayType(type):
    """The type of `ndarray` below."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, np.ndarray) or (type(instance) is Tensor and not is_scalar(instance))

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, np.ndarray) or subclass is Tensor

    def __eq__(cls, other: object) -> bool:  # type(x) == np.ndarray
        return other is np.ndarray or other is Tensor or other is cls

    def __hash__(cls) -> int:
        return hash(np.ndarray)

    def __getattr__(cls, name: str) -> Any:
        return getattr(np.ndarray, name)

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        return np.ndarray(*args, **kwargs)


class ndarray(metaclass=_ArrayType):  # NumPy's name
    """`numpy.ndarray` for `isinstance`: ndarrays, and the Tensors that stand for them.

    A Tensor that stands for a NumPy scalar is no ndarray, as the scalar is none.
    """


def namespace(original: types.ModuleType, prefix: str = "") -> types.ModuleType:
    """A module with the names of `original`, those in the registry served by us."""
    made = types.ModuleType(original.__name__, original.__doc__)
    entries = vars(made)
    entries.update(vars(original))
    for name in list(entries):
        entry = NAMES.get(prefix + name)
        if entry is not None:
            entries[name] = entry.function
    # NumPy's lazily loaded names, and ours for what this NumPy lacks
    entries["__getattr__"] = lambda name: getattr(original, name)
    entries["__dir__"] = lambda: dir(original)
    return made


def bind_numpy() -> types.ModuleType:
    """Bind `numpy`, its submodules, and each object that is replaced in them; the module that stands for `numpy`."""
    top = namespace(np)
    for name in SUBMODULES:
        original: Any = operator.attrgetter(name)(np)
        made = namespace(original, name + ".")
        parent, _, last = name.rpartition(".")
        setattr(operator.attrgetter(parent)(top) if parent else top, last, made)
        bind(original, made)
        _bind_contents(original, made)
    top.ndarray = ndarray  # type: ignore[attr-defined]
    bind(np, top)
    _bind_contents(np, top)
    return top


def _bind_contents(original: types.ModuleType, made: types.ModuleType) -> None:
    ours = vars(made)
    for name, value in vars(original).items():
        replacement = ours.get(name, value)
        if replacement is not value and callable(value) and not name.startswith("__"):
            bind(value, replacement)


def _rebuilt_vectorize(obj: Any, function: Any) -> Any:
    return NAMES["vectorize"].function(
        function, otypes=obj.otypes, doc=obj.__doc__, excluded=obj.excluded, cache=obj.cache, signature=obj.signature
    )


bind_numpy()
for _original, _made in ((math, stdmath), (cmath, stdcmath)):
    bind(_original, _made)
    _bind_contents(_original, _made)
rebuild(np.vectorize, lambda obj: (obj.pyfunc,), _rebuilt_vectorize)
