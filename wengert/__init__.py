"""wengert: automatic differentiation of your own NumPy and SciPy code.

    import numpy as np, wengert as wg

    def loss(p, t, y):
        return np.mean((p[0] * np.exp(-p[1] * t) - y) ** 2)

    wg.grad(loss)(p, t, y)

Submodules `wengert.numpy`, `wengert.nn`, `wengert.scipy`, `wengert.profile`, `wengert.verify` load on first use.
"""

from __future__ import annotations

import importlib as _importlib
from typing import Any

from wengert import api as _api
from wengert.api import *  # noqa: F403

__version__ = "0.1.0"
__all__ = ["__version__"]
__all__ += _api.__all__

_FUNCTIONS = {"benchmark": "wengert.profile.statistics.benchmark"}  # of rooms that load on first use
_LAZY = ("cli", "nn", "profile", "scipy", "verify")


def __getattr__(name: str) -> Any:
    if name in _LAZY:
        return _importlib.import_module(f"wengert.{name}")
    if name in _FUNCTIONS:
        return getattr(_importlib.import_module(_FUNCTIONS[name]), name)
    raise AttributeError(f"module 'wengert' has no attribute {name!r}")
