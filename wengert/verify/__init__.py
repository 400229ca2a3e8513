"""Evidence for derivatives: checks of ops, of NumPy's names, and of users' own functions.

check_grads               the derivatives of a function of yours against its values, with a diagnosis
Report, Finding           what it returns
GradientCheckError        what it raises where a derivative is wrong
GradientCheckWarning      what it warns with where something cannot be decided
strategies                hypothesis strategies for calls of ops, and for random programs
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from wengert.verify.checker.check import check_grads
    from wengert.verify.checker.report import Finding, GradientCheckError, GradientCheckWarning, Report

__all__ = ["Finding", "GradientCheckError", "GradientCheckWarning", "Report", "check_grads"]

# Importing this room loads nothing until a name is asked for.
_HOME = {
    "check_grads": "checker.check",
    "Finding": "checker.report",
    "GradientCheckError": "checker.report",
    "GradientCheckWarning": "checker.report",
    "Report": "checker.report",
}
_MODULES = {"strategies"}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"wengert.verify.{_HOME[name]}"), name)
    if name in _MODULES:
        return importlib.import_module(f"wengert.verify.{name}")
    raise AttributeError(f"module 'wengert.verify' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})
