"""A drop-in `scipy`: the same names, differentiable where a rule is known.

    import wengert.scipy as scipy

Submodules with rules (`wengert.scipy.linalg`, …) are loaded on first use; the others are SciPy's
own, and refuse Tensors as loudly as `numpy.asarray` of one does.
"""

from __future__ import annotations

import importlib as _importlib
import importlib.util as _util
from typing import Any


def __getattr__(name: str) -> Any:
    if name.startswith("_"):
        raise AttributeError(name)
    if _util.find_spec(f"{__name__}.{name}") is not None:
        return _importlib.import_module(f"{__name__}.{name}")
    return getattr(_importlib.import_module("scipy"), name)
