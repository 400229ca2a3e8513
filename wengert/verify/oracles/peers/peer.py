"""What a peer library has to offer, so that one text compares with either of them.

A peer's namespaces answer to NumPy's, SciPy's and our own names; a name that the peer lacks raises `Missing`.
Cotangents and gradients cross this border in our internal pairing Re Σ ct·t, without a conjugate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

Function = Callable[..., Sequence[Any]]
DERIVATIVES = ("jvp", "vjp", "hvp")


class Missing(Exception):
    """The peer has no counterpart of a name, or of the arguments it is called with; says which."""


@dataclass
class Derived:
    """What one call gives: a list of arrays per kind, None where the peer cannot say, and then why."""

    value: list[np.ndarray]
    jvp: list[np.ndarray] | None = None
    vjp: list[np.ndarray] | None = None
    hvp: list[np.ndarray] | None = None
    why: str = ""


class Peer(Protocol):
    """One peer. `numpy`, `special`, `linalg` and `nn` are its namespaces."""

    label: str
    version: str
    numpy: Any
    special: Any
    linalg: Any
    nn: Any

    def array(self, x: Any) -> Any:
        """The peer's array of an ndarray."""
        ...

    def derive(
        self,
        fun: Function,
        primals: Sequence[Any],
        tangents: Sequence[Any],
        cotangents: Sequence[Any],
        kinds: Sequence[str] = DERIVATIVES,
    ) -> Derived:
        """Value, J·t, Jᵀ·ct, and the derivative of Jᵀ·ct along t (of these three, `kinds`), for `fun` on the peer's arrays.

        One cotangent for each inexact output.
        """
        ...


class Names:
    """A namespace made of a table, with what is left to ask after it."""

    def __init__(self, label: str, table: dict[str, Any], *rest: Any, hidden: Sequence[str] = ()) -> None:
        self._label, self._table, self._rest, self._hidden = label, table, rest, frozenset(hidden)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found = self._table.get(name)
        if found is not None:
            return found
        if name not in self._hidden:
            for namespace in self._rest:
                found = getattr(namespace, name, None)
                if found is not None:
                    return found
        raise Missing(f"{self._label} has no {name}")
