"""Adoption: run a user's function with its names for NumPy, SciPy and math bound to ours.

Functions that take no Tensor (`np.zeros(n)`, `np.linspace(0, 1)`) or cannot dispatch (`np.array([x, y])`,
`math.sin(x)`) lose derivatives, or raise, on Tensors. In an adopted function these names mean ours. The
user's modules are not patched: functions are rebuilt over substituted globals, and so is what they reach: helpers
in other modules, closures, classes, instances, partials, decorated and cached functions, lists of callables.

What is adopted
    Code of the user's own. Libraries (the standard library, site-packages, wengert) are left alone, unless
    `adopt(module)` asks for one. Functions written in C, exceptions, enums, classes with a metaclass, and instances of
    classes that extend list, dict or another type of C are left alone too. So is all that reaches nothing
    to replace: it keeps its identity.
What is seen
    Globals, closures, attributes and containers are read again by every outermost `adopt`; what changes
    in them while adopted code runs, it sees if it made the change itself, through names, attributes or items.
    Globals it assigns reach the user's module when the assigning function returns. Attributes that it assigns, and
    changes that it makes to lists, dicts and sets, reach the user's objects at once.
Cost
    An adopted function runs as fast as the original: its globals are a plain dict. Adopting it again costs some
    30 ns per name read and 0.1 µs per function reached; the first time, 0.1 ms per function.
"""

from __future__ import annotations

import types
from typing import Any, TypeVar

# Each module registers its kinds of objects.
from wengert.trace.adoption import classes, containers, functions, instances, wrappers  # noqa: F401
from wengert.trace.adoption.bindings import BOUND, bind, bind_later
from wengert.trace.adoption.counterparts import original_of
from wengert.trace.adoption.scopes import is_adopted, scope_of
from wengert.trace.adoption.survey import KINDS, Parts, adopt_now
from wengert.trace.adoption.territory import is_users, mark

__all__ = ["adopt", "bind", "bind_later", "original_of", "rebuild"]

T = TypeVar("T")


def adopt(obj: T) -> T:
    """The adopted counterpart of a function, method, partial, class, instance, module, or container of these.

    The same original gives the same counterpart, brought up to date. What needs no adoption, and
    whatever cannot be adopted, is returned as it is. A library's module is adopted from then on, with all
    its submodules, wherever the user's code refers to it.
    """
    if type(obj) is types.FunctionType:
        return obj if is_adopted(obj) else adopt_now(obj, always=is_users(obj.__globals__))  # type: ignore[return-value]
    if type(obj) is types.ModuleType and id(obj) not in BOUND:
        if not is_users(vars(obj)):
            mark(obj.__name__)
        return scope_of(vars(obj), adopt_now)  # type: ignore[return-value]
    if type(obj) is types.MethodType:  # made anew by each `model.loss`: its parts are what is remembered
        owner, function = adopt_now(obj.__self__), adopt_now(obj.__func__)
        same = owner is obj.__self__ and function is obj.__func__
        return obj if same else types.MethodType(function, owner)  # type: ignore[return-value]
    return adopt_now(obj)


def rebuild(cls: type, parts: Any, build: Any) -> None:
    """Let adoption replace instances of a library's class that holds functions.

    `parts(obj)` are what it holds, and `build(obj, *new parts)` makes the counterpart.
    """
    KINDS[cls] = Parts(parts, build)
