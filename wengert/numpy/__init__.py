"""A drop-in `numpy`: the same names, differentiable.

    import wengert.numpy as np

On plain arrays every function is NumPy's own. On Tensors each of NumPy's names is
differentiable, constant (with the reason), or refused (with a remedy): the table is in
`registry`, and `wengert coverage --api` prints it.
"""

from __future__ import annotations

import importlib as _importlib
from typing import Any

import numpy as _numpy

from wengert.numpy.registry import EXTENSIONS, NAMES

for _family in (
    "ufuncs",
    "elementwise",
    "reductions",
    "sorting",
    "statistics",
    "histograms",
    "shaping",
    "creation",
    "joining",
    "padding",
    "brackets",
    "fft",
    "selecting",
    "sets",
    "calling",
    "calculus",
    "polynomials",
    "contracting",
    "linalg",
):
    _importlib.import_module(f"wengert.numpy.{_family}")

from wengert.numpy import methods as _methods  # noqa: E402
from wengert.numpy import rest as _rest  # noqa: E402  # last: it fills what no family has

_methods.attach()
_rest.attach()

from wengert.numpy.standard import broadcast_arrays, finfo, iinfo, meshgrid  # noqa: E402, F401


def __getattr__(name: str) -> Any:
    entry = NAMES.get(name)
    if entry is not None:
        return entry.function
    if name in EXTENSIONS:
        return _importlib.import_module(EXTENSIONS[name])
    return getattr(_numpy, name)


def __dir__() -> list[str]:
    return sorted({*dir(_numpy), *(n for n in NAMES if "." not in n)})
