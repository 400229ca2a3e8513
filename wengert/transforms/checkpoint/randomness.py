"""Random numbers of a function that runs again: the generators it can reach are set back, and left as they were.

A generator is found if the function is given it, closes over it, has it among its globals or defaults, or reaches it through
attributes and containers of the user's objects; functions that it calls are looked through as well. The global states of
`np.random` and of `random` are among them. One that is found nowhere draws other numbers the second time, and the checkpoint says
that the function gave another result.

Cost    A walk over what the function reaches, some 0.2 µs an object, and some µs a generator.
"""

from __future__ import annotations

import functools
import random
import types
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from wengert.core.source import LIBRARY
from wengert.core.tensor import Tensor
from wengert.trace.adoption.footprint import footprint
from wengert.trace.adoption.territory import is_users, is_users_module

LIMIT = 4096  # elements; a longer container is taken for data
BUDGET = 20_000  # objects; what lies beyond is not looked at
_DATA = frozenset({
    type(None), bool, int, float, complex, str, bytes, bytearray, range, slice, np.ndarray, np.dtype, Tensor, types.CodeType,
    np.float64, np.float32, np.int64, np.bool_, np.ufunc,
})  # fmt: skip
_CONTAINERS = (list, tuple, set, frozenset, deque)
_OF_NUMPY: Any = np.random.normal.__self__  # type: ignore[attr-defined]  # the generator behind `np.random`
_OF_PYTHON: Any = random.random.__self__  # type: ignore[attr-defined]


class Draws:
    """The generators that one call of a function may draw from. `replayed` is a run: in the first one the states at its
    beginning are noted, in the others each generator starts from there, and is left as it was."""

    def __init__(self, *roots: Any) -> None:
        self._sources: list[Any] | None = list(generators(roots))
        self._states: list[tuple[Any, Any]] = []

    @contextmanager
    def replayed(self) -> Iterator[None]:
        if self._sources is None:
            with _set(self._states):
                yield
            return
        sources, self._sources = self._sources, None
        before = [(source, _state(source)) for source in sources]
        yield
        self._states = [(source, state) for source, state in before if not _equal(state, _state(source))]


@contextmanager
def _set(states: list[tuple[Any, Any]]) -> Iterator[None]:
    now = [(source, _state(source)) for source, _ in states]
    for source, state in states:
        _restore(source, state)
    try:
        yield
    finally:
        for source, state in now:
            _restore(source, state)


def _state(source: Any) -> Any:
    if isinstance(source, np.random.RandomState):
        return source.get_state(legacy=False)
    return source.getstate() if isinstance(source, random.Random) else source.state


def _restore(source: Any, state: Any) -> None:
    if isinstance(source, np.random.RandomState):
        source.set_state(state)
    elif isinstance(source, random.Random):
        source.setstate(state)
    else:
        source.state = state


def _equal(x: Any, y: Any) -> bool:
    if isinstance(x, dict):
        return x.keys() == y.keys() and all(_equal(v, y[k]) for k, v in x.items())
    return np.array_equal(x, y) if isinstance(x, np.ndarray) else x == y


# ── which there are ───────────────────────────────────────────────────────────


def generators(roots: Iterable[Any]) -> Iterable[Any]:
    """What the objects reach that random numbers come from: BitGenerators, RandomStates, and `random.Random`s."""
    found: dict[int, Any] = {id(_OF_NUMPY): _OF_NUMPY}
    seen: dict[int, Any] = {}
    pending = list(roots)
    while pending and len(seen) < BUDGET:
        obj = pending.pop()
        if type(obj) in _DATA or id(obj) in seen:
            continue
        seen[id(obj)] = obj
        if isinstance(obj, np.random.Generator):
            found[id(obj.bit_generator)] = obj.bit_generator
        elif isinstance(obj, np.random.BitGenerator | np.random.RandomState):
            found[id(obj)] = obj
        elif isinstance(obj, random.Random):
            if not isinstance(obj, random.SystemRandom):
                found[id(obj)] = obj
        else:
            pending.extend(_reached(obj))
    return found.values()


def _reached(obj: Any) -> Iterable[Any]:
    """What `obj` may use when it is called, or hold."""
    kind = type(obj)
    if kind is types.FunctionType:
        return _of_function(obj)
    if kind is dict:
        return obj.values() if len(obj) <= LIMIT else ()
    if kind in _CONTAINERS:
        return obj if len(obj) <= LIMIT else ()
    if kind is types.MethodType:
        return (obj.__self__, obj.__func__)
    if kind is types.ModuleType:
        return (_OF_PYTHON,) if obj is random else ()
    if isinstance(obj, functools.partial):
        return (obj.func, *obj.args, *obj.keywords.values())
    if isinstance(obj, type):
        return _of_class(obj)
    if kind is types.BuiltinFunctionType or hasattr(obj, "__wrapped__"):
        return [x for x in (getattr(obj, "__self__", None), getattr(obj, "__wrapped__", None)) if x is not None]
    return _of_instance(obj)


def _of_function(f: types.FunctionType) -> list[Any]:
    held = [x for cell in f.__closure__ or () for x in _contents(cell)]
    held += [*(f.__defaults__ or ()), *(f.__kwdefaults__ or {}).values()]
    if (wrapped := getattr(f, "__wrapped__", None)) is not None:
        held.append(wrapped)
    if f.__code__.co_filename.startswith(LIBRARY) or not is_users(f.__globals__):
        return held
    facts = footprint(f.__code__)
    for name in facts.reads:
        value = f.__globals__.get(name)
        if isinstance(value, types.ModuleType) and value is not random:
            if is_users(vars(value)):
                held += [vars(value)[a] for a in facts.attributes if a in vars(value)]
        elif value is not None:
            held.append(value)
    return held


def _contents(cell: types.CellType) -> list[Any]:
    try:
        return [cell.cell_contents]
    except ValueError:  # it is yet to be filled
        return []


@functools.lru_cache(maxsize=1024)
def _methods(cls: type) -> tuple[Any, ...]:
    return tuple(
        getattr(v, "__func__", v)
        for base in cls.__mro__
        if is_users_module(base.__module__)
        for v in vars(base).values()
    )


def _of_class(cls: type) -> Iterable[Any]:
    return _methods(cls) if is_users_module(cls.__module__) else ()


def _of_instance(obj: Any) -> list[Any]:
    cls = type(obj)
    own = getattr(obj, "__dict__", None)
    held = list(own.values()) if isinstance(own, dict) else []  # objects of extension modules say what they like
    if is_users_module(cls.__module__):
        held += _methods(cls)
        for base in cls.__mro__:
            names = base.__dict__.get("__slots__", ())
            for name in (names,) if isinstance(names, str) else names:
                value = getattr(obj, name, None)
                if value is not None:
                    held.append(value)
    return held
