"""Instances of users' classes: a shadow of the adopted class.

A shadow shares its original's `__dict__`, at no cost. Where an attribute must itself be replaced
(a layer in a model, a list of layers), the shadow has a dict of its own with the adopted values, and
attributes that are assigned are passed on. Slots are copied, and passed on likewise.

Left alone: instances of classes that extend a type written in C (list, dict, ndarray, …).
"""

from __future__ import annotations

import functools
import types
from collections.abc import Iterable
from typing import Any

from wengert.trace.adoption.classes import INSTALLED, adoptable
from wengert.trace.adoption.containers import AdoptedDict, renew_dict
from wengert.trace.adoption.counterparts import SOURCE, counterpart, original_of
from wengert.trace.adoption.scopes import MISSING
from wengert.trace.adoption.survey import FALLBACKS, Kind, Survey

_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE


def _plain_layout(cls: type) -> bool:
    """Whether instances of `cls` are a dict and slots, and nothing else."""
    return all(c is object or c.__flags__ & _HEAP_TYPE for c in cls.__mro__)


def _slots(cls: type) -> dict[str, Any]:
    """The slots of `cls`, by name."""
    return {
        name: member
        for c in cls.__mro__
        if vars(c).get("__slots__")
        for name, member in vars(c).items()
        if isinstance(member, types.MemberDescriptorType)
    }


def _slot(obj: Any, member: Any) -> Any:
    try:
        return member.__get__(obj)
    except AttributeError:
        return MISSING


class InstanceKind(Kind):
    def takes(self, obj: Any) -> bool:
        cls = type(obj)
        return adoptable(cls) and _plain_layout(cls)

    def children(self, obj: Any, survey: Survey) -> Iterable[Any]:
        yield type(obj)
        survey.tie(obj, type(obj))  # a shadow needs an adopted class, whatever made it one
        attributes, slots = _dict_of(obj), _slots(type(obj))
        if attributes is not None:
            yield from survey.watch(attributes.values)
        if slots:
            yield from survey.watch(lambda: [_slot(obj, member) for member in slots.values()])

    def make(self, obj: Any, survey: Survey) -> Any:
        cls = survey.substitute(type(obj))
        made = counterpart(obj)
        if type(made) is cls:
            return made
        if cls is type(obj):
            return obj  # its class turned out not to be extensible
        made = object.__new__(cls)
        if hasattr(cls, "__del__"):
            _without_finalizer(made)
        attributes = _dict_of(obj)
        if attributes is None:
            object.__setattr__(made, "__dict__", {SOURCE: obj})
        else:
            object.__setattr__(made, "__dict__", attributes)
        return made

    def fill(self, obj: Any, made: Any, survey: Survey) -> None:
        attributes, slots = _dict_of(obj), _slots(type(obj))
        if attributes is not None and any(map(survey.needs, attributes.values())):
            mine = _dict_of(made)
            if type(mine) is not AdoptedDict:
                mine = AdoptedDict()
                setattr(mine, SOURCE, attributes)
                object.__setattr__(made, "__dict__", mine)
                pass_on(type(made))
            renew_dict(mine, attributes, survey.substitute)
        elif attributes is not None and _dict_of(made) is not attributes:
            object.__setattr__(made, "__dict__", attributes)
        if slots:
            pass_on(type(made))
            for member in slots.values():
                value = _slot(obj, member)
                if value is not MISSING:
                    member.__set__(made, survey.substitute(value))
                elif _slot(made, member) is not MISSING:
                    member.__delete__(made)


def _dict_of(obj: Any) -> dict[str, Any] | None:
    try:
        found = object.__getattribute__(obj, "__dict__")
    except AttributeError:
        return None
    return found if isinstance(found, dict) else None


# ── assignments to attributes ─────────────────────────────────────────────────


def pass_on(cls: Any) -> None:
    """Make instances of an adopted class carry attributes that are assigned over to their originals."""
    slots = _slots(cls)
    for name in ("__setattr__", "__delattr__"):
        if INSTALLED not in getattr(vars(cls).get(name), "__dict__", ()):
            type.__setattr__(cls, name, _passing(getattr(cls, name), slots))


def _passing(inner: Any, slots: dict[str, Any]) -> Any:
    @functools.wraps(inner)
    def method(self: Any, name: str, *value: Any) -> None:
        inner(self, name, *value)
        original = original_of(self)
        if original is self:
            return  # made by adopted code
        if name in slots:
            new = _slot(self, slots[name])
            if new is not MISSING:
                slots[name].__set__(original, original_of(new))
            elif _slot(original, slots[name]) is not MISSING:
                slots[name].__delete__(original)
            return
        mine: Any = _dict_of(self)
        if type(mine) is AdoptedDict:
            theirs = getattr(mine, SOURCE)
            if name in mine:
                theirs[name] = original_of(mine[name])
            else:
                theirs.pop(name, None)

    setattr(method, INSTALLED, True)
    return method


# ── finalizers ────────────────────────────────────────────────────────────────

_unfinalized: set[int] = set()  # ids of shadows, which own nothing that a `__del__` should release


def _without_finalizer(shadow: Any) -> None:
    cls: Any = type(shadow)
    _unfinalized.add(id(shadow))
    if INSTALLED in getattr(vars(cls).get("__del__"), "__dict__", ()):
        return
    inner = cls.__del__

    @functools.wraps(inner)
    def finalize(self: Any) -> None:
        if id(self) in _unfinalized:
            _unfinalized.discard(id(self))
        else:
            inner(self)

    setattr(finalize, INSTALLED, True)
    type.__setattr__(cls, "__del__", finalize)


FALLBACKS.append((lambda obj: True, InstanceKind()))
