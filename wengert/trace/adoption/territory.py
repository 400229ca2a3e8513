"""Whose code it is: the user's is adopted, a library's is left alone unless asked.

A module is the user's unless its file lies in the standard library, in a site-packages folder or in
this package. Code without a file (a notebook, a console, `exec`) is the user's.
"""

from __future__ import annotations

import functools
import os
import sys
import sysconfig
from typing import Any

from wengert.core.source import LIBRARY
from wengert.trace.adoption.bindings import advance

_STANDARD = tuple(os.path.join(sysconfig.get_path(p), "") for p in ("stdlib", "platstdlib"))
_INSTALLED = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")
_marked: set[str] = set()


def mark(module: str) -> None:
    """Take the module of that dotted name, and all below it, as user code from now on."""
    _marked.add(module)
    advance()


def is_users(namespace: dict[str, Any]) -> bool:
    """Whether the module with these globals is user code."""
    name = namespace.get("__name__")
    name = name if isinstance(name, str) else ""
    if _marked and any(name == m or name.startswith(m + ".") for m in _marked):
        return True
    file = namespace.get("__file__")
    if isinstance(file, str):
        return _outside(file)
    origin = getattr(namespace.get("__spec__"), "origin", None)
    if origin is not None:
        return _outside(origin) if os.sep in origin else False  # "built-in", "frozen"
    return name.partition(".")[0] not in sys.stdlib_module_names


def is_users_module(name: Any) -> bool:
    """As `is_users`, of a module's name: what a class knows of its home."""
    module = sys.modules.get(name) if isinstance(name, str) else None
    return is_users({"__name__": name} if module is None else vars(module))


@functools.lru_cache(maxsize=1024)
def _outside(file: str) -> bool:
    path = os.path.abspath(file)
    return not (path.startswith((*_STANDARD, LIBRARY)) or any(part in path for part in _INSTALLED))
