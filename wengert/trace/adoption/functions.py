"""Functions: the same code over adopted globals, closure cells and defaults.

A cell is replaced only if what it holds is: cells of plain data stay shared, so that `nonlocal`
reaches the user's closure, and a cell not yet filled will be seen when it is. The counterpart shares
the original's `__dict__`. Functions of libraries keep their own globals; only what the user's code has put
into their closures (a decorated function) is replaced.
"""

from __future__ import annotations

import functools
import inspect
import sys
import types
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from wengert.core.source import LIBRARY
from wengert.core.tensor import Tensor, is_scalar
from wengert.trace.adoption.bindings import BOUND
from wengert.trace.adoption.counterparts import counterpart
from wengert.trace.adoption.footprint import footprint
from wengert.trace.adoption.scopes import MISSING, Scope, is_adopted, scope_of
from wengert.trace.adoption.survey import FALLBACKS, KINDS, Kind, Survey, adopt_now, module_is_users
from wengert.trace.adoption.territory import is_users

_SUSPENDED = inspect.CO_GENERATOR | inspect.CO_COROUTINE | inspect.CO_ASYNC_GENERATOR
# The factory's copy would carry the annotations over, which 3.14 evaluates on demand.
_ANNOTATIONS = "__annotate__" if sys.version_info >= (3, 14) else "__annotations__"
_COPIED = ("__kwdefaults__", "__module__", "__qualname__", "__doc__", _ANNOTATIONS, "__type_params__")


def content(cell: types.CellType) -> Any:
    """What a cell holds; MISSING if it is not filled yet."""
    try:
        return cell.cell_contents
    except ValueError:
        return MISSING


class FunctionKind(Kind):
    def takes(self, obj: types.FunctionType) -> bool:
        if is_adopted(obj):
            return False
        if is_users(obj.__globals__):
            return True
        return bool(obj.__closure__) and not obj.__code__.co_filename.startswith(LIBRARY)

    def children(self, obj: types.FunctionType, survey: Survey) -> Iterable[Any]:
        survey.functions.append(obj)
        if is_users(obj.__globals__):
            facts = footprint(obj.__code__)
            names: Iterable[str] = facts.reads
            if facts.dynamic:
                names = dict.fromkeys((*names, *(n for n in obj.__globals__ if not n.startswith("__"))))
            if facts.imports or facts.writes:
                survey.force(obj)
            if facts.writes:
                scope_of(obj.__globals__, adopt_now).wengert_watch(facts.writes)
            yield from survey.read(obj.__globals__, names, facts)
            yield from obj.__defaults__ or ()
            yield from (obj.__kwdefaults__ or {}).values()
            yield from (v for k, v in vars(obj).items() if k != "__wrapped__")
        cells = obj.__closure__ or ()
        if cells:
            yield from filter(_open(obj), survey.watch(lambda: map(content, cells)))

    def make(self, obj: types.FunctionType, survey: Survey) -> types.FunctionType:
        scope = scope_of(obj.__globals__, adopt_now) if is_users(obj.__globals__) else None
        replaced = [_open(obj)(x) and survey.needs(x) for x in map(content, obj.__closure__ or ())]
        prior = counterpart(obj)
        if prior is not None and _fits(_rebuilt(prior), obj, replaced, survey):
            return prior
        cells = None
        if obj.__closure__:
            cells = tuple(
                survey.cells.setdefault(id(c), types.CellType()) if new else c
                for c, new in zip(obj.__closure__, replaced, strict=True)
            )
        namespace = obj.__globals__ if scope is None else vars(scope)
        made = types.FunctionType(obj.__code__, namespace, obj.__name__, obj.__defaults__, cells)
        for name in _COPIED:
            if (value := getattr(obj, name, None)) is not None:
                setattr(made, name, value)
        made.__dict__ = obj.__dict__
        if scope is not None:
            written = footprint(obj.__code__).writes
            if written and not obj.__code__.co_flags & _SUSPENDED:
                made = _carrying(made, scope, tuple(written))
            if scope.wengert_real.get(obj.__name__) is obj and scope.wengert_module is not None:
                scope.wengert_kept[obj.__name__] = made
        return made

    def fill(self, obj: types.FunctionType, made: types.FunctionType, survey: Survey) -> None:
        inner = _rebuilt(made)
        users = is_users(obj.__globals__)
        for theirs, ours in zip(obj.__closure__ or (), inner.__closure__ or (), strict=True):
            if theirs is not ours:
                new = survey.substitute(theirs.cell_contents)
                if content(ours) is not new:
                    ours.cell_contents = new
        inner.__defaults__ = obj.__defaults__
        if not users:
            return
        if any(map(survey.needs, obj.__defaults__ or ())):
            inner.__defaults__ = tuple(map(survey.substitute, obj.__defaults__ or ()))
        if any(map(survey.needs, (obj.__kwdefaults__ or {}).values())):
            inner.__kwdefaults__ = {k: survey.substitute(v) for k, v in (obj.__kwdefaults__ or {}).items()}
        if any(survey.needs(v) for k, v in vars(obj).items() if k != "__wrapped__"):
            inner.__dict__ = {k: survey.substitute(v) for k, v in vars(obj).items()}


def _open(obj: types.FunctionType) -> Callable[[Any], bool]:
    """Which contents of its cells may be replaced: in a library's function, only what is not the library's business."""
    if is_users(obj.__globals__):
        return lambda value: True
    return lambda value: id(value) not in BOUND and not isinstance(value, types.ModuleType)


def _fits(prior: types.FunctionType, obj: types.FunctionType, replaced: list[bool], survey: Survey) -> bool:
    """Whether an earlier counterpart can be filled again: the same code, and the same cells replaced."""
    if prior.__code__ is not obj.__code__:
        return False
    pairs = list(zip(obj.__closure__ or (), prior.__closure__ or (), replaced, strict=True))
    for theirs, ours, new in pairs:
        if new is (theirs is ours) or (new and survey.cells.get(id(theirs), ours) is not ours):
            return False
    survey.cells.update((id(theirs), ours) for theirs, ours, new in pairs if new)
    return True


# ── functions that assign globals ─────────────────────────────────────────────


def _carrying(inner: types.FunctionType, scope: Scope, names: tuple[str, ...]) -> types.FunctionType:
    """`inner`, whose assignments to globals reach the user's module when it returns."""

    @functools.wraps(inner)
    def call(*args: Any, **kwargs: Any) -> Any:
        scope.wengert_sync(names)
        try:
            return inner(*args, **kwargs)
        finally:
            scope.wengert_sync(names)

    return call  # type: ignore[return-value]


def _rebuilt(made: types.FunctionType) -> types.FunctionType:
    """The function with the user's code: `made`, or what `_carrying` has wrapped."""
    return made.__wrapped__ if made.__globals__ is globals() else made  # type: ignore[attr-defined]


# ── dispatch on the first argument's type ─────────────────────────────────────


def is_single_dispatch(obj: Any) -> bool:
    return type(obj) is types.FunctionType and obj.__globals__ is vars(functools) and hasattr(obj, "registry")


def stand_in(x: Any) -> type:
    """The type of the array or scalar that a Tensor stands for."""
    return (x.dtype.type if is_scalar(x) else np.ndarray) if type(x) is Tensor else type(x)


class SingleDispatchKind(Kind):
    """`functools.singledispatch`: a dispatcher of its own, which sees through Tensors."""

    leads_back = True

    def children(self, obj: Any, survey: Survey) -> Iterable[Any]:
        survey.watch(lambda: (*obj.registry, *obj.registry.values()))
        return (*(cls for cls in obj.registry if id(cls) not in BOUND), *obj.registry.values())

    def make(self, obj: Any, survey: Survey) -> Any:
        rows = [
            (cls if id(cls) in BOUND else survey.substitute(cls), survey.substitute(function))
            for cls, function in obj.registry.items()
        ]
        prior = counterpart(obj)
        if prior is not None and prior.rows == rows:
            return prior
        inner = functools.singledispatch(survey.substitute(obj.registry[object]))
        for row in rows:
            inner.register(*row)

        @functools.wraps(inner)
        def dispatched(*args: Any, **kwargs: Any) -> Any:
            return inner.dispatch(stand_in(args[0]))(*args, **kwargs) if args else inner(**kwargs)

        dispatched.rows = rows  # type: ignore[attr-defined]
        return dispatched


class AnyFunctionKind(FunctionKind):
    """Python functions: dispatchers, and the rest."""

    dispatcher = SingleDispatchKind()

    def takes(self, obj: types.FunctionType) -> bool:
        return is_single_dispatch(obj) or super().takes(obj)

    def children(self, obj: types.FunctionType, survey: Survey) -> Iterable[Any]:
        return self.dispatcher.children(obj, survey) if is_single_dispatch(obj) else super().children(obj, survey)

    def make(self, obj: types.FunctionType, survey: Survey) -> types.FunctionType:
        return self.dispatcher.make(obj, survey) if is_single_dispatch(obj) else super().make(obj, survey)

    def fill(self, obj: types.FunctionType, made: types.FunctionType, survey: Survey) -> None:
        if not is_single_dispatch(obj):
            super().fill(obj, made, survey)


KINDS[types.FunctionType] = AnyFunctionKind()


# ── modules ───────────────────────────────────────────────────────────────────


class ModuleKind(Kind):
    """A user's module, passed around as an object: its scope. Attributes are adopted as they are read."""

    needed = True

    def children(self, obj: types.ModuleType, survey: Survey) -> Iterable[Any]:
        return ()

    def make(self, obj: types.ModuleType, survey: Survey) -> Any:
        return scope_of(vars(obj), adopt_now)


FALLBACKS.append((module_is_users, ModuleKind()))
