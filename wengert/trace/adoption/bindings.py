"""What replaces what: a table filled from above, since this room knows neither NumPy's names nor SciPy's.

bind(numpy, namespace)                 one object for another; compared by identity
bind_later("scipy", load)              `load("scipy.special")` runs when something of that module is first met
"""

from __future__ import annotations

import itertools
import sys
import types
from collections.abc import Callable
from typing import Any

import numpy as np

_epochs = itertools.count(1)
epoch = 0  #: grows whenever the meaning of adoption changes; plans made before are void

BOUND: dict[int, tuple[Any, Any]] = {}  # id(original) → original (kept, so that the id stays its own), replacement
_ORIGINALS: dict[int, Any] = {}  # id(replacement) → original
_later: dict[str, Callable[[str], None]] = {}
_met: set[str] = set()


def advance() -> None:
    """Void every plan made so far."""
    global epoch
    epoch = next(_epochs)


def bind(original: Any, replacement: Any) -> None:
    """In adopted code, `replacement` stands where the user's code has `original`."""
    if original is replacement:
        return
    BOUND[id(original)] = (original, replacement)
    _ORIGINALS.setdefault(id(replacement), original)
    advance()


def bind_later(package: str, load: Callable[[str], None]) -> None:
    """Call `load(module)` for each module of `package` that adoption meets (its dotted name), so that it can `bind`."""
    _later[package] = load


def unbound(replacement: Any) -> Any:
    """What `replacement` stands for; itself, if it is none."""
    return _ORIGINALS.get(id(replacement), replacement)


def meet(obj: Any) -> None:
    """Load the replacements of the module that `obj` is, or comes from."""
    home = obj.__name__ if isinstance(obj, types.ModuleType) else getattr(obj, "__module__", None)
    if home is None and isinstance(obj, np.ufunc) and id(obj) not in BOUND:  # SciPy's do not say where they come from
        for package, load in _later.items():
            if package in sys.modules:
                load(package)
    if not isinstance(home, str) or home in _met:
        return
    load = _later.get(home.partition(".")[0])
    if load is not None:
        _met.add(home)
        load(home)
