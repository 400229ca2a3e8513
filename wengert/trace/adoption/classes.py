"""Classes: a subclass of the user's class with rebuilt methods.

It is a subclass for the sake of its layout and of `isinstance`; in its method resolution order
the originals come last, behind `object`, so that `super()` walks the adopted bases in the original order, and
behind a wall, so that it finds nothing more where the original finds nothing:

    (B′, A′, object, wall, B, A)      for   class B(A)

The metaclass makes `isinstance(x, B′)` true for instances of B. No `__init_subclass__` and no
`__set_name__` runs when B′ is made. Class attributes that adopted code assigns reach B.

Left alone: exceptions, classes with metaclasses of their own (enums among them), and all none of whose
code, attributes or bases needs adoption.
"""

from __future__ import annotations

import abc
import threading
from collections.abc import Iterable
from typing import Any, Protocol

from wengert.trace.adoption.counterparts import counterpart, original_of
from wengert.trace.adoption.scopes import MISSING
from wengert.trace.adoption.survey import FALLBACKS, KINDS, Kind, Parts, Survey
from wengert.trace.adoption.territory import is_users_module

ORDER = "__wengert_order__"  #: in an adopted class: what follows it in its method resolution order

INSTALLED = "__wengert_installed__"  #: marks methods that adopted classes have and their originals lack

# Python's own bookkeeping: types and texts, not code that runs.
_DECLARATIONS = frozenset(
    {"__annotations__", "__annotations_cache__", "__annotate__", "__annotate_func__", "__doc__", "__module__"}
    | {"__qualname__", "__orig_bases__", "__parameters__", "__type_params__", "__match_args__", "__firstlineno__"}
    | {"__dataclass_params__", "__dataclass_fields__", "__static_attributes__", "__protocol_attrs__"}
    | {"__non_callable_proto_members__"}
)
_LAYOUT = frozenset({"__dict__", "__weakref__", "__slots__", "__abstractmethods__", "_abc_impl"})


class _Making(threading.local):
    """Whether this thread is making an adopted class."""

    now = False


_making = _Making()


class _Quiet:
    """Second in the resolution order while a class is made: the user's `__init_subclass__` has run for the original."""

    __slots__ = ()

    def __init_subclass__(cls, **kwargs: Any) -> None:
        pass


class _Hidden:
    """An attribute of the wall: there is none."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        raise AttributeError(f"'super' object has no attribute {self.name!r}")


def _wall(originals: list[type]) -> type:
    """A class that hides from `super()` what the classes behind it define."""
    made = type("wall", (), {"__slots__": ()})
    _raise_wall(made, originals)
    return made


def _raise_wall(wall: type, originals: Iterable[type]) -> None:
    have = vars(wall)
    for name in {n for c in originals for n in vars(c)}.difference(have, _LAYOUT, vars(object), _DECLARATIONS):
        setattr(wall, name, _Hidden(name))


class _Adopted(type):
    """What the metaclasses of adopted classes share. Classes that adopted code derives from them are ordinary."""

    def mro(cls) -> list[type]:
        order = vars(cls).get(ORDER)
        if order is None:
            return super().mro()
        return [cls, *([_Quiet] if _making.now else []), *order]

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, cls.__bases__[0]) if ORDER in vars(cls) else super().__instancecheck__(instance)

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, cls.__bases__[0]) if ORDER in vars(cls) else super().__subclasscheck__(subclass)

    def __setattr__(cls, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        if ORDER in vars(cls) and not name.startswith("__"):
            setattr(cls.__bases__[0], name, original_of(value))

    def __delattr__(cls, name: str) -> None:
        super().__delattr__(name)
        if ORDER in vars(cls) and not name.startswith("__"):
            delattr(cls.__bases__[0], name)


_METACLASSES: dict[type, type] = {
    kind: type(kind.__name__, (_Adopted, kind) if kind is not type else (_Adopted,), {"__module__": kind.__module__})
    for kind in (type, abc.ABCMeta, type(Protocol))
}


def adoptable(obj: Any) -> bool:
    """Whether `obj` is a class that can be adopted."""
    return type(obj) in _METACLASSES and not issubclass(obj, BaseException) and is_users_module(obj.__module__)


class ClassKind(Kind):
    leads_back = True

    def takes(self, obj: type) -> bool:
        return adoptable(obj)

    def children(self, obj: type, survey: Survey) -> Iterable[Any]:
        if counterpart(obj) is not None:
            survey.force(obj)  # once adopted, adopted for all: type(x) is C must not depend on who asks
        survey.watch(lambda: vars(obj).values())
        yield from obj.__mro__[1:]
        yield from (v for k, v in vars(obj).items() if k not in _DECLARATIONS and k not in _LAYOUT)

    def make(self, obj: type, survey: Survey) -> type:
        made = counterpart(obj)
        if made is not None:
            return made
        order = [survey.substitute(c) for c in obj.__mro__[1:]]
        originals = [c for c in obj.__mro__ if c not in order]
        order += [_wall(originals), *originals]
        namespace = {k: vars(obj)[k] for k in ("__module__", "__doc__") if k in vars(obj)}
        namespace |= {"__qualname__": obj.__qualname__, ORDER: tuple(order)}
        _making.now = True
        try:
            # The adopted bases are there so that Python's caches hear of changes to them.
            bases = [b for b in map(survey.substitute, obj.__bases__) if b not in obj.__bases__]
            made = _METACLASSES[type(obj)](obj.__name__, (obj, *bases), namespace)
        except TypeError:  # a base that cannot be derived from
            return obj
        finally:
            _making.now = False
        type.__setattr__(made, "__bases__", made.__bases__)  # computes the order again, without _Quiet
        return made

    def fill(self, obj: type, made: type, survey: Survey) -> None:
        have = vars(made)
        originals = have[ORDER][have[ORDER].index(obj) :]
        _raise_wall(have[ORDER][-len(originals) - 1], originals)
        for name, value in list(vars(obj).items()):
            if name in _LAYOUT:
                continue
            old, kind = have.get(name, MISSING), KINDS.get(type(value))
            if isinstance(kind, Parts) and survey.needs(value) and kind.current(value, old, survey):
                continue  # every assignment to a class costs Python its caches
            new = value if name in _DECLARATIONS else survey.substitute(value)
            if old is not new and not (INSTALLED in getattr(old, "__dict__", ()) and old.__wrapped__ is new):
                type.__setattr__(made, name, new)
        for name in set(have).difference(vars(obj), _LAYOUT, _DECLARATIONS, {ORDER}):
            if INSTALLED not in getattr(have[name], "__dict__", ()):
                type.__delattr__(made, name)
        abstract = getattr(obj, "__abstractmethods__", None)
        if abstract is not None and abstract != getattr(made, "__abstractmethods__", None):
            type.__setattr__(made, "__abstractmethods__", abstract)


FALLBACKS.append((lambda obj: issubclass(type(obj), type), ClassKind()))
