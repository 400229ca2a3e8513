"""Lists, dicts, sets and tuples that hold something to adopt.

The counterpart of a mutable container holds the adopted items, and passes on every change: what
adopted code appends arrives in the user's list at once. A container of data is left as it is.
"""

from __future__ import annotations

import types
from collections.abc import Iterable
from typing import Any

from wengert.trace.adoption.counterparts import SOURCE, counterpart, original_of
from wengert.trace.adoption.survey import ATOMIC, FALLBACKS, KINDS, LIMIT, Kind, Survey


def passing_on(name: str, base: type) -> Any:
    """The method `name` of `base`, done to the container and to the one that it stands for."""
    inner = getattr(base, name)

    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        out = inner(self, *args, **kwargs)
        source = getattr(self, SOURCE, None)  # none, if adopted code made it with type(x)()
        if source is not None:
            inner(source, *map(plain, args), **{k: plain(v) for k, v in kwargs.items()})
        return self if out is not None and name.startswith("__i") else out

    method.__name__ = name
    return method


def plain(value: Any) -> Any:
    """The argument of a change, as the user's own container takes it."""
    if type(value) in (list, tuple, set):
        return type(value)(map(original_of, value))
    if type(value) is dict:
        return {original_of(k): original_of(v) for k, v in value.items()}
    return original_of(value)


def once(name: str, base: type) -> Any:
    """As `passing_on`, for a change whose argument can be read once only (an iterator)."""
    both = passing_on(name, base)
    return lambda self, *args, **kwargs: both(self, *(list(a) if hasattr(a, "__next__") else a for a in args), **kwargs)


def mirror(base: type, changes: str, streams: str) -> type:
    """A subclass of `base` that passes changes on to `__wengert_source__`."""
    namespace: dict[str, Any] = {name: passing_on(name, base) for name in changes.split()}
    namespace |= {name: once(name, base) for name in streams.split()}
    namespace["__reduce_ex__"] = lambda self, protocol: (base, (base(self),))
    namespace["__slots__"] = (SOURCE,) if base.__weakrefoffset__ else ("__weakref__", SOURCE)
    namespace["__module__"] = __name__
    return type(f"Adopted{base.__name__.capitalize()}", (base,), namespace)


AdoptedList: Any = mirror(
    list, "append insert pop remove clear reverse __delitem__ __imul__", "extend __iadd__ __setitem__"
)
AdoptedDict: Any = mirror(dict, "__setitem__ __delitem__ clear popitem setdefault", "update __ior__")
AdoptedSet: Any = mirror(
    set,
    "add remove discard clear __iand__ __ior__ __isub__ __ixor__",
    "update difference_update intersection_update symmetric_difference_update",
)


def _sort(self: Any, **kwargs: Any) -> None:
    list.sort(self, **kwargs)
    getattr(self, SOURCE, [])[:] = map(original_of, self)


def _pop(self: Any, key: Any, *default: Any) -> Any:
    out = dict.pop(self, key, *default)
    getattr(self, SOURCE, {}).pop(original_of(key), None)
    return out


def _pop_any(self: Any) -> Any:
    out = set.pop(self)
    getattr(self, SOURCE, set()).discard(original_of(out))
    return out


AdoptedList.sort = _sort
AdoptedDict.pop = _pop
AdoptedSet.pop = _pop_any


class ContainerKind(Kind):
    """A mutable container.

    Parameters
    ----------
    mirror : the class of its counterpart
    items : `container → what it holds`, keys of dicts included
    renew : `(counterpart, container, substitute)`: fill it again
    """

    def __init__(self, mirror: Any, items: Any, renew: Any) -> None:
        self.mirror, self.items, self.renew = mirror, items, renew

    def children(self, obj: Any, survey: Survey) -> Iterable[Any]:
        if len(obj) > LIMIT:
            return ()
        items = self.items
        if ATOMIC.issuperset(map(type, items(obj))):
            # Its items may change freely; what is watched is that all are data.
            survey.watch(lambda: (len(obj) > LIMIT or ATOMIC.issuperset(map(type, items(obj))),))
            return ()
        return survey.watch(lambda: items(obj))

    def make(self, obj: Any, survey: Survey) -> Any:
        made = counterpart(obj)
        if made is None:
            made = self.mirror()
            made.__wengert_source__ = obj
        return made

    def fill(self, obj: Any, made: Any, survey: Survey) -> None:
        self.renew(made, obj, survey.substitute)


def _renew_list(made: Any, obj: list[Any], substitute: Any) -> None:
    list.__setitem__(made, slice(None), list(map(substitute, obj)))


def renew_dict(made: Any, obj: dict[Any, Any], substitute: Any) -> None:
    new = {substitute(k): substitute(v) for k, v in obj.items()}
    if list(made) != list(new):  # never empty it for a moment while its keys are right: another thread may be reading
        dict.clear(made)
    dict.update(made, new)


def _renew_set(made: Any, obj: set[Any], substitute: Any) -> None:
    new = set(map(substitute, obj))
    set.intersection_update(made, new)
    set.update(made, new)


def dict_items(obj: dict[Any, Any]) -> Iterable[Any]:
    """Keys and values."""
    return (*obj, *obj.values())


KINDS[list] = ContainerKind(AdoptedList, list, _renew_list)
KINDS[dict] = ContainerKind(AdoptedDict, dict_items, renew_dict)
KINDS[set] = ContainerKind(AdoptedSet, list, _renew_set)


# ── immutable ones ────────────────────────────────────────────────────────────


class FrozenKind(Kind):
    """A tuple or frozenset: a new one."""

    def children(self, obj: Any, survey: Survey) -> Iterable[Any]:
        return () if len(obj) > LIMIT else obj

    def make(self, obj: Any, survey: Survey) -> Any:
        return type(obj)(map(survey.substitute, obj))


KINDS[tuple] = KINDS[frozenset] = FrozenKind()


class NamedTupleKind(Kind):
    """An instance of a user's NamedTuple: of the adopted class, if that has methods to adopt."""

    def children(self, obj: Any, survey: Survey) -> Iterable[Any]:
        return (type(obj), *obj)

    def make(self, obj: Any, survey: Survey) -> Any:
        return tuple.__new__(survey.substitute(type(obj)), map(survey.substitute, obj))


def _is_named_tuple(obj: Any) -> bool:
    return issubclass(type(obj), tuple) and hasattr(type(obj), "_fields") and type(obj).__new__ is not tuple.__new__


FALLBACKS.append((_is_named_tuple, NamedTupleKind()))


# ── types.SimpleNamespace ─────────────────────────────────────────────────────


class AdoptedNamespace(types.SimpleNamespace):
    """A namespace of adopted values, which passes assignments on."""

    __slots__ = (SOURCE,)

    def __setattr__(self, name: str, value: Any) -> None:
        super().__setattr__(name, value)
        setattr(getattr(self, SOURCE), name, original_of(value))

    def __delattr__(self, name: str) -> None:
        super().__delattr__(name)
        delattr(getattr(self, SOURCE), name)


class NamespaceKind(Kind):
    def children(self, obj: Any, survey: Survey) -> Iterable[Any]:
        return survey.watch(vars(obj).values)

    def make(self, obj: Any, survey: Survey) -> Any:
        made = counterpart(obj)
        if made is None:
            made = AdoptedNamespace()
            types.SimpleNamespace.__setattr__(made, SOURCE, obj)
        return made

    def fill(self, obj: Any, made: Any, survey: Survey) -> None:
        vars(made).clear()
        vars(made).update({k: survey.substitute(v) for k, v in vars(obj).items()})


KINDS[types.SimpleNamespace] = NamespaceKind()
