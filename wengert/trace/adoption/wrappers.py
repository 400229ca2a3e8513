"""Objects of the standard library that hold functions: partials, methods, descriptors, caches.

A cached function gets caches of its own, one per running trace, dropped when the trace ends, so that
no Tensor outlives its trace. Outside a trace it is the user's cached function itself.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Iterable
from typing import Any

import numpy as np

from wengert.core.tensor import Trace, active, when_ended
from wengert.trace.adoption.bindings import BOUND
from wengert.trace.adoption.counterparts import counterpart, original_of
from wengert.trace.adoption.functions import stand_in
from wengert.trace.adoption.survey import KINDS, Kind, Parts, Survey

# ── calls with some arguments given ───────────────────────────────────────────


def _partial_parts(obj: Any) -> tuple[Any, ...]:
    return (obj.func, *obj.args, *obj.keywords.values())


def _partial_build(obj: Any, func: Any, *values: Any) -> Any:
    n = len(obj.args)
    made = type(obj)(func, *values[:n], **dict(zip(obj.keywords, values[n:], strict=True)))
    if isinstance(obj, functools.partial):
        made.__dict__.update(vars(obj))
    return made


KINDS[functools.partial] = KINDS[functools.partialmethod] = Parts(_partial_parts, _partial_build)

# ── methods ───────────────────────────────────────────────────────────────────

KINDS[types.MethodType] = Parts(
    lambda m: (m.__self__, m.__func__), lambda m, owner, function: types.MethodType(function, owner)
)
KINDS[types.BuiltinFunctionType] = Parts(  # np.add.reduce
    lambda m: (m.__self__,),
    lambda m, owner: getattr(owner, m.__name__),
    takes=lambda m: isinstance(m.__self__, np.ufunc) and id(m.__self__) in BOUND,
)

# ── descriptors ───────────────────────────────────────────────────────────────

KINDS[staticmethod] = Parts(lambda d: (d.__func__,), lambda d, function: staticmethod(function))
KINDS[classmethod] = Parts(lambda d: (d.__func__,), lambda d, function: classmethod(function))
KINDS[property] = Parts(
    lambda d: (d.fget, d.fset, d.fdel), lambda d, get, set, delete: property(get, set, delete, d.__doc__)
)
KINDS[functools.singledispatchmethod] = Parts(
    lambda d: (d.dispatcher, d.func), lambda d, dispatcher, function: _dispatching(dispatcher, function)
)
KINDS[functools.cached_property] = Parts(lambda d: (d.func,), lambda d, function: _cached_property(d, function))


class _DispatchMethod(functools.singledispatchmethod):  # type: ignore[type-arg]
    """Dispatch that sees through Tensors."""

    def __get__(self, obj: Any, cls: Any = None) -> Any:
        def method(*args: Any, **kwargs: Any) -> Any:
            return self.dispatcher.dispatch(stand_in(args[0])).__get__(obj, cls)(*args, **kwargs)

        return functools.update_wrapper(method, self.func)


def _dispatching(dispatcher: Any, function: Any) -> _DispatchMethod:
    made = _DispatchMethod(function)
    made.dispatcher = dispatcher
    return made


def _cached_property(obj: functools.cached_property[Any], function: Any) -> functools.cached_property[Any]:
    made = functools.cached_property(function)
    made.attrname = obj.attrname
    return made


# ── cached functions ──────────────────────────────────────────────────────────

_caches: dict[Trace, list[dict[Trace, Any]]] = {}  # running trace → the tables that have a cache for it


class CachedKind(Kind):
    """`functools.lru_cache` and `functools.cache`."""

    leads_back = True

    def children(self, obj: Any, survey: Survey) -> Iterable[Any]:
        return (obj.__wrapped__, *vars(obj).values())

    def make(self, obj: Any, survey: Survey) -> Any:
        function = survey.substitute(obj.__wrapped__)
        prior = counterpart(obj)
        if prior is not None and prior.__wrapped__ is function:
            return prior
        tables: dict[Trace, Any] = {}

        @functools.wraps(obj)
        def cached(*args: Any, **kwargs: Any) -> Any:
            traces = active()
            if not traces:
                return obj(*map(original_of, args), **kwargs)
            table = tables.get(traces[-1])
            if table is None:
                table = tables[traces[-1]] = functools.lru_cache(**obj.cache_parameters())(function)
                _caches.setdefault(traces[-1], []).append(tables)
            return table(*args, **kwargs)

        cached.__wrapped__ = function  # type: ignore[attr-defined]
        cached.cache_info = obj.cache_info  # type: ignore[attr-defined]
        cached.cache_parameters = obj.cache_parameters  # type: ignore[attr-defined]
        cached.cache_clear = lambda: (obj.cache_clear(), tables.clear())[0]  # type: ignore[attr-defined]
        return cached


KINDS[type(functools.lru_cache(len))] = CachedKind()


def _ended(trace: Trace) -> None:
    for tables in _caches.pop(trace, ()):
        tables.pop(trace, None)


when_ended(_ended)
