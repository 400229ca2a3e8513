"""All ops, loaded: op families are imported lazily, the matrix needs every one."""

from __future__ import annotations

import functools
import importlib
import inspect
import pkgutil
from types import ModuleType
from typing import Any

import wengert.ops
from wengert.core.form import Control
from wengert.core.op import OPS, Op


def load_ops() -> dict[str, Op]:
    """Import every module of `wengert.ops`; returns the registry."""
    _modules()
    return OPS


def load_rows() -> dict[str, Any]:
    """What the matrix has rows of: the ops, but for those whose parameters are Programs, and programs of these."""
    from wengert.verify.control.rows import rows

    ops = {name: op for name, op in load_ops().items() if type(op.lower) is not Control}
    return {**ops, **rows()}


@functools.cache
def _modules() -> list[ModuleType]:
    found = pkgutil.iter_modules(wengert.ops.__path__)
    return [importlib.import_module(f"wengert.ops.{module.name}") for module in found]


@functools.cache
def _home() -> dict[str, str]:
    """Module by op, where a module holds the op in a variable and spells its name."""
    found = {}
    for module in _modules():
        text = inspect.getsource(module)
        for value in vars(module).values():
            if isinstance(value, Op) and f'"{value.name}"' in text:
                found[value.name] = module.__name__
    return found


def family(op: Any) -> str:
    """The family of a row: of an op, the module that defines it."""
    if not isinstance(op, Op):
        return "control flow"
    home = _home().get(op.name)
    if home is None:  # made by a factory: where its rules were written
        rules = [rule for rule in (op.eval, op.jvp, op.vjp, op.shape, op.batch) if callable(rule)]
        modules = [getattr(rule, "__module__", None) or "" for rule in rules]
        ours = [m for m in modules if m.startswith("wengert.") and m != "wengert.ops.family"]
        home = ours[0] if ours else "wengert.ops.family"
    return home.rpartition(".")[2]
