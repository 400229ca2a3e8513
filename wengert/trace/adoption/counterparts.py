"""What stands for what: weak tables between originals and adopted objects.

An adopted object may well lead back to its original (a closure cell, an attribute), and a table that
held it would then hold the original for ever. The tables are weak, therefore: an adopted object lives as long as
something uses it, say the adopted globals of its module. Only where a survey has found that nothing leads
back (`hold`) does it live as long as its original.
"""

from __future__ import annotations

import weakref
from typing import Any

from wengert.trace.adoption.bindings import unbound

SOURCE = "__wengert_source__"  #: attribute of an adopted object whose original takes no weak reference


class Counterpart(weakref.ref):  # type: ignore[type-arg]
    """A weak reference to an adopted object, which knows its original, and the plan by which it was made."""

    __slots__ = ("held", "plan", "source")
    held: Any
    plan: Any
    source: Any

    def original(self) -> Any:
        """The original; None if it is gone."""
        if self.source is not None:
            return self.source()
        made = self()
        return None if made is None else getattr(made, SOURCE, None)


ADOPTED: dict[Any, Counterpart] = {}  # id(original) → its counterpart
_ORIGINALS: dict[int, Counterpart] = {}  # id(adopted) → the same


def remember(original: Any, made: Any) -> None:
    """Enter a pair."""
    key, made_key = id(original), id(made)

    # Bound to the tables, since it may run at exit; found in them, since a closure over the entry would be a cycle.
    def forget(ref: Any, adopted: Any = ADOPTED, originals: Any = _ORIGINALS) -> None:
        entry = adopted.get(key)
        if entry is not None and (ref is entry or ref is entry.source):
            del adopted[key]
            entry.held = entry.plan = entry.source = None
        if originals.get(made_key) is ref:
            del originals[made_key]
            ref.held = ref.plan = ref.source = None

    try:
        entry = Counterpart(made, forget)
    except TypeError:
        return
    try:
        entry.source = weakref.ref(original, forget)
    except TypeError:
        entry.source = None
    entry.held = entry.plan = None
    ADOPTED[key] = _ORIGINALS[made_key] = entry


def hold(original: Any) -> None:
    """Let the counterpart of `original` live as long as `original`. It must not lead back to it."""
    entry = ADOPTED.get(id(original))
    if entry is not None and entry.source is not None and entry.source() is original:
        entry.held = entry()


def counterpart(original: Any) -> Any:
    """The adopted object made earlier for `original`; None if there is none alive."""
    entry = ADOPTED.get(id(original))
    return entry() if entry is not None and entry.original() is original else None


def original_of(made: Any) -> Any:
    """What `made` was adopted from; itself, if it was not."""
    entry = _ORIGINALS.get(id(made))
    if entry is not None and entry() is made:
        original = entry.original()
        return made if original is None else original
    return unbound(made)
