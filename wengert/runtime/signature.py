"""What one compilation of a jitted function is for: the arguments' structure, avals and static values; and their names."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import optree

from wengert.core.aval import Aval
from wengert.core.config import config
from wengert.core.errors import DTypeError
from wengert.core.source import describe, here
from wengert.core.tree import NAMESPACE, TreeDef

Statics = tuple[tuple[int | str, Any], ...]  # (position or name, value) of each static argument


class Signature:
    """Structure, avals and static values of the arguments, and the settings that change results.

    arrays : of the leaves without axes those that are arrays, which can be written, and no NumPy scalars
    """

    __slots__ = ("_hash", "arrays", "avals", "key", "settings", "statics", "tree")

    def __init__(
        self, tree: TreeDef, avals: tuple[Aval, ...], statics: Statics, arrays: frozenset[int] = frozenset()
    ) -> None:
        self.tree, self.avals, self.statics, self.arrays = tree, avals, statics, arrays
        self.settings = config.complex_convention, config.compile, config.watches_values
        self.key = tree, avals, typed(statics), self.settings, arrays
        self._hash = hash(self.key)

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Signature) and self.key == other.key


def arrays_of(found: Sequence[tuple[Any, Aval]]) -> frozenset[int]:
    """Which of the admitted leaves are arrays without axes."""
    return frozenset([i for i, (x, aval) in enumerate(found) if aval.shape == () and isinstance(x, np.ndarray)])


def typed(statics: Statics) -> tuple[Any, ...]:
    """Static values as keys."""
    return tuple([(where, *_exact(value)) for where, value in statics])


def _exact(value: Any) -> tuple[type, Any]:
    """A value with its type, since 1, 1.0 and True are equal, in tuples too; and so are 0.0 and -0.0."""
    if isinstance(value, (float, complex, np.inexact)):
        return type(value), repr(value)
    if isinstance(value, (tuple, frozenset)):
        return type(value), (tuple if isinstance(value, tuple) else frozenset)(map(_exact, value))
    return type(value), value


class Parameters:
    """A function's parameters: which of them are static, and what they are called."""

    def __init__(self, fun: Callable[..., Any], argnums: tuple[int, ...], argnames: tuple[str, ...]) -> None:
        self.fun = fun
        self.name = getattr(fun, "__qualname__", None) or getattr(fun, "__name__", type(fun).__name__)
        self.nums, self.names = _both(self, argnums, argnames)
        self.static = bool(self.nums or self.names)

    def signature(self) -> list[inspect.Parameter] | None:
        """The parameters; None for a function that does not tell them."""
        try:
            return list(inspect.signature(self.fun).parameters.values())
        except (TypeError, ValueError):
            return None

    def split(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Statics, tuple[Any, ...], dict[str, Any]]:
        """The static arguments, the others by position, and the others by name."""
        nums = {i % len(args) if i < 0 and args else i for i in self.nums}
        statics = [(i, a) for i, a in enumerate(args) if i in nums]
        statics += [(k, kwargs[k]) for k in sorted(kwargs) if k in self.names]
        for where, value in statics:
            try:
                hash(value)
            except TypeError:
                raise DTypeError(
                    f"jit of {self.name}: static argument {self._called(where)}",
                    got=f"a {type(value).__name__}, which cannot be hashed",
                    want="a hashable value: a number, string, tuple, function, frozen dataclass",
                    fix="pass a tuple for a list; arrays cannot be static",
                    at=describe(here(3)),
                ) from None
        rest = tuple([a for i, a in enumerate(args) if i not in nums])
        return tuple(statics), rest, {k: v for k, v in kwargs.items() if k not in self.names}

    def place(self, statics: Statics) -> Callable[[Any], tuple[Any, Any]]:
        """A function that puts static arguments back among the others."""
        by_position = {k: v for k, v in statics if isinstance(k, int)}
        by_name = {k: v for k, v in statics if not isinstance(k, int)}

        def place(both: Any) -> tuple[Any, Any]:
            dynamic, named = both
            rest = iter(dynamic)
            n = len(dynamic) + len(by_position)
            return tuple([by_position[i] if i in by_position else next(rest) for i in range(n)]), {**named, **by_name}

        return place

    def leaf(self, number: int, tree: TreeDef) -> str:
        """What the user calls leaf `number` of the arguments, which have the structure `tree`."""
        part, first, *rest = optree.treespec_paths(tree)[number]
        inner = "".join(f"[{p!r}]" for p in rest)
        return f"{first if part == 1 else self._called(self._position(first))}{inner}"

    def leaves(self, argnums: tuple[int, ...], tree: TreeDef) -> frozenset[int]:
        """The leaves of these positional arguments."""
        paths = optree.treespec_paths(tree)
        return frozenset(i for i, p in enumerate(paths) if p[0] == 0 and self._position(p[1]) in argnums)

    def _position(self, dynamic: int) -> int:
        """The position of dynamic argument number `dynamic` among all."""
        return [i for i in range(dynamic + len(self.nums) + 1) if i not in self.nums][dynamic]

    def _called(self, where: int | str) -> str:
        if isinstance(where, str):
            return repr(where)
        names = [p.name for p in self.signature() or () if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
        return f"{where}" if where >= len(names) else f"{where} ({names[where]!r})"

    def cause(self, known: list[Signature], new: Signature) -> str:
        """Why `new` is compiled: what distinguishes it from the most similar of those that are known, the latest of equals."""
        if not known:
            return "first call"

        def unlike(old: Signature) -> int:
            if old.tree != new.tree:
                return 1_000_000
            return sum(a != b for a, b in zip(old.avals, new.avals, strict=True)) + sum(
                a != b for a, b in zip(typed(old.statics), typed(new.statics), strict=False)
            )

        return self.difference(min(reversed(known), key=unlike), new)

    def difference(self, old: Signature, new: Signature) -> str:
        """Why `new` needs another compilation than `old`."""
        if old.tree != new.tree:
            return f"the arguments' structure changed from {_plain(old.tree)} to {_plain(new.tree)}"
        changes = [
            f"argument {self.leaf(i, new.tree)} changed from {_shown(a)} to {_shown(b)}"
            for i, (a, b) in enumerate(zip(old.avals, new.avals, strict=True))
            if a != b
        ]
        before = dict(old.statics)
        changes += [
            f"static argument {self._called(k)} changed from {before.get(k)!r} to {v!r}"
            for k, v in new.statics
            if _exact(before.get(k)) != _exact(v)
        ]
        return "; ".join(changes) or f"settings changed from {old.settings} to {new.settings}"


def _plain(tree: TreeDef) -> str:
    return str(tree).replace(f", namespace={NAMESPACE!r}", "").removeprefix("PyTreeSpec")


def _shown(aval: Aval) -> str:
    return f"{aval}{' (a Python number)' if aval.weak else ''}"


def _both(
    known: Parameters, argnums: tuple[int, ...], argnames: tuple[str, ...]
) -> tuple[tuple[int, ...], tuple[str, ...]]:
    """Static arguments by position and by name: each named in one way is static in the other too."""
    parameters = known.signature() if argnums or argnames else None
    if parameters is None:
        return argnums, argnames
    positional = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    more = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    missing = [n for n in argnames if n not in {p.name for p in parameters}]
    if missing and not any(p.kind is p.VAR_KEYWORD for p in parameters):
        raise ValueError(f"static_argnames={missing}: {known.name} has no such parameters")
    nums = {i + len(positional) if i < 0 and not more else i for i in argnums}
    if not more and any(not 0 <= i < len(positional) for i in nums):
        raise ValueError(f"static_argnums={argnums}: {known.name} has {len(positional)} positional parameters")
    nums |= {positional.index(n) for n in argnames if n in positional}
    names = {*argnames, *(positional[i] for i in nums if 0 <= i < len(positional))}
    return tuple(sorted(nums)), tuple(sorted(names))
