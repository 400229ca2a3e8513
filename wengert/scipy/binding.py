"""What adopted code sees instead of SciPy's modules.

They are bound when adoption first meets one, so that a program without SciPy does not load it.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys

from wengert.trace.adopt import bind


def bind_scipy(module: str) -> None:
    """Bind the public module of SciPy's in which `module` lies, and what it serves."""
    parts = module.split(".")
    names = (
        [parts[1]]
        if len(parts) > 1
        else [m.split(".")[1] for m in list(sys.modules) if m.count(".") == 1 and m.startswith("scipy.")]
    )
    ours = importlib.import_module("wengert.scipy")
    bind(sys.modules["scipy"], ours)
    for name in names:
        original = sys.modules.get(f"scipy.{name}")
        if name.startswith("_") or original is None or importlib.util.find_spec(f"wengert.scipy.{name}") is None:
            continue
        made = importlib.import_module(f"wengert.scipy.{name}")
        bind(original, made)
        for public in dir(original):
            if not public.startswith("_"):
                value, replacement = getattr(original, public), getattr(made, public, None)
                if callable(value) and replacement is not None and replacement is not value:
                    bind(value, replacement)
