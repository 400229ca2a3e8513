"""What an eager tape holds for its backward pass, value by value: how large, who made it, and which pullbacks need it.

The one place where reasons are found: `wengert.saved_residuals` prints them, memory reports show them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from wengert.core.source import Source, describe
from wengert.core.tensor import Tensor
from wengert.graph.atoms import Away, Var
from wengert.graph.program import Program


class Origin(NamedTuple):
    """Who made a value: an op, at a line; and the name that the user gave it."""

    op: str | None
    source: Source | None
    name: str | None


NOBODY = Origin(None, None, None)
AGAIN = ("checkpoint_call", "barrier")  # ops that stand before what is computed again


@dataclass
class Residual:
    """One buffer that is held for a backward pass.

    nbytes : of the whole buffer, if what is held is a view of a larger one
    shape, dtype : of what is held (of the largest view, if there are several)
    kind : "argument" of the function; "constant", an array from outside; "result" of an op; "kept" by a checkpoint's policy
    op, source : the op that made it, and the user's line; None of what no op on the tape has made
    name : the user's, from `wengert.name`
    readers : the ops whose pullbacks need it, with the user's lines
    """

    nbytes: int
    shape: tuple[int, ...]
    dtype: np.dtype
    kind: str
    op: str | None = None
    source: Source | None = None
    name: str | None = None
    readers: list[tuple[str, Source | None]] = field(default_factory=list)

    @property
    def line(self) -> str:
        """Where it was made: `model.py:12 in f: h = np.tanh(x @ w)`."""
        return describe(self.source)

    @property
    def why(self) -> str:
        """Why it is held, in one line."""
        if self.kind == "kept":
            return "the checkpoint's policy keeps it"
        first = dict.fromkeys(op for op, _ in self.readers)
        named = " and ".join("what runs again" if op in AGAIN else f"the pullback of {op}" for op in list(first)[:3])
        return f"needed by {named}{' and others' if len(first) > 3 else ''}"


def arrays_of(saved: Any) -> list[np.ndarray]:
    """The ndarrays at the bottom of what a row holds."""
    found = []
    for value in saved if isinstance(saved, tuple | list) else (saved,):
        if isinstance(value, Away):
            value = value.present
        while type(value) is Tensor:
            value = value._value
        if isinstance(value, np.ndarray):
            found.append(value)
    return found


def root(array: np.ndarray) -> Any:
    """The array whose memory `array` shows."""
    while isinstance(base := getattr(array, "base", None), np.ndarray):
        array = base
    return array


def residuals_of(program: Program) -> list[Residual]:
    """What the equations of an eager tape hold, each buffer once, the largest first. Its bytes add up to `residual_bytes`.

    Cost: some 2 µs an equation.
    """
    made: dict[Var, Origin] = {}
    shown: dict[Var, Var] = {}  # what may be a view, and of what
    names: dict[Var, str] = {}
    for eqn in program.equations():
        for var in eqn.results:
            made[var] = Origin(eqn.op.name, eqn.source, None)
        if eqn.op.put is not None and isinstance(eqn.ins[0], Var):
            shown[eqn.results[0]] = eqn.ins[0]
            if eqn.op.name == "name":
                names[eqn.ins[0]] = eqn.params["label"]
    found: dict[int, Residual] = {}

    def note(value: Any, kind: str, origin: Origin, reader: tuple[str, Source | None]) -> None:
        if not isinstance(value, np.ndarray):
            return
        whole = root(value)
        entry = found.get(id(whole))
        if entry is None:
            entry = found[id(whole)] = Residual(whole.nbytes, value.shape, value.dtype, kind, *origin)
        elif entry.kind == "constant" and kind != "constant":
            entry.kind, (entry.op, entry.source, entry.name) = kind, origin
        entry.name = entry.name or origin.name
        if reader not in entry.readers:
            entry.readers.append(reader)

    def whose(var: Any, value: Any) -> tuple[str, Origin]:
        if not isinstance(var, Var):
            return "constant", NOBODY
        name = names.get(var)
        while var in shown and (made[var].op == "name" or getattr(value, "base", None) is not None):
            var = shown[var]
            name = name or names.get(var)
        origin = made.get(var)
        return ("argument", NOBODY._replace(name=name)) if origin is None else ("result", origin._replace(name=name))

    for eqn in program.equations():
        reader = (eqn.op.name, eqn.source)
        for var, value in zip(_padded(eqn.ins, eqn.xs), eqn.xs, strict=True):
            note(value, *whose(var, value), reader)
        origins: Sequence[Origin] | None = eqn.params.get("origins")
        saved = eqn.out if isinstance(eqn.out, tuple) else (eqn.out,)
        for i, value in enumerate(saved):
            if origins is not None and value is not None:
                note(value, "kept", origins[i], reader)
            else:
                note(value, "result", Origin(eqn.op.name, eqn.source, _name(names, eqn, i)), reader)
    return sorted(found.values(), key=lambda r: -r.nbytes)


def _padded(ins: Sequence[Any], xs: Sequence[Any]) -> Sequence[Any]:
    return [*ins, *(None,) * (len(xs) - len(ins))]


def _name(names: dict[Var, str], eqn: Any, number: int) -> str | None:
    outs = eqn.outs if isinstance(eqn.outs, tuple) else (eqn.outs,)
    var = outs[number] if number < len(outs) else None
    return names.get(var) if var is not None else None
