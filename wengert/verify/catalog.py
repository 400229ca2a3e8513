"""All ops, loaded: op families are imported lazily, the matrix needs every one."""

from __future__ import annotations

import importlib
import pkgutil

import wengert.ops
from wengert.core.op import OPS, Op


def load_ops() -> dict[str, Op]:
    """Import every module of `wengert.ops`; returns the registry."""
    for module in pkgutil.iter_modules(wengert.ops.__path__):
        importlib.import_module(f"wengert.ops.{module.name}")
    return OPS
