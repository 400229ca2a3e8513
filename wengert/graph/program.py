"""`Program`: the record of elementary operations that every recorder writes and every transform reads.

An eager tape fills in `xs` and `out` (the residuals that each op declares) and drops
constant operands it need not keep. A full record, from which the program can be run
again, keeps every operand as a `Var` or a `Literal`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from wengert.core.source import describe
from wengert.core.tensor import Array
from wengert.graph.atoms import Away, Eqn, Literal, Var, Vars, WeakVar
from wengert.graph.identity import digest
from wengert.graph.serialisation import dump, load

__all__ = ["DERIVATIONS", "Away", "Eqn", "Literal", "Program", "Var", "Vars", "WeakVar"]

DERIVATIONS: dict[str, Callable[..., Any]] = {}  # what `Program.gradient` and its kin call; filled by higher rooms


@dataclass(eq=False)
class Program:
    """Inputs, equations in execution order, outputs. An output is a Var, or a Literal that depends on no input.

    A staged Program is a value: nobody changes it, and two are equal if they do the same operations.
    """

    ins: list[Var] = field(default_factory=list)
    eqns: list[Any] = field(default_factory=list)  # rows of Eqn's fields
    outs: list[Any] = field(default_factory=list)
    written_out: bool = False  # it holds the forward half of rules of the user's, without the rules
    derived: dict[Any, Any] = field(default_factory=dict, repr=False)  # what was made of this program, by what it is
    hooks: dict[Var, Any] | None = field(default=None, repr=False)  # whom a sweep tells of the cotangents of variables

    def equations(self) -> Iterator[Eqn]:
        """The equations in execution order, with named fields."""
        return map(Eqn._make, self.eqns)

    def run(self, *args: Array, at: Callable[[Any], None] | None = None) -> list[Array]:
        """Execute a full record on new inputs; through ops, so it can itself be traced.

        `at(source)` is told of each equation's line before it runs.
        """
        env: dict[Var, Array] = dict(zip(self.ins, args, strict=True))

        def read(atom: Any) -> Array:
            return atom.value if type(atom) is Literal else env[atom]

        with np.errstate(all="ignore"):  # a warning would name a line of ours
            for eqn in self.equations():
                if at is not None:
                    at(eqn.source)
                out = eqn.op(*map(read, eqn.ins), **eqn.params)
                if eqn.op.multi:
                    env.update((var, value) for var, value in zip(eqn.outs, out, strict=True) if var is not None)
                else:
                    env[eqn.outs] = out
        return [read(atom) for atom in self.outs]

    # ── what a staged program is ──────────────────────────────────────────────

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, Program) and self._digest()[0] == other._digest()[0])

    def __hash__(self) -> int:
        return int(self._digest()[0][:15], 16)

    def fingerprint(self) -> str | None:
        """A name for what the program computes, the same in every process: sha256 of its ops, parameters, literals and
        avals in hexadecimal. None if a parameter is a Python function, or another object without stable content."""
        name, stable = self._digest()
        return name if stable else None

    def _digest(self) -> tuple[str, bool]:
        known = self.derived.get("digest")
        if known is None:
            known = self.derived["digest"] = digest(self)
        return known

    def to_bytes(self) -> bytes:
        """The program as JSON and npy. Raises WengertError if a parameter is a function."""
        return dump(self)

    @classmethod
    def from_bytes(cls, data: bytes) -> Program:
        """What `to_bytes` wrote. Nothing in `data` is executed."""
        return load(data, cls)

    def __reduce__(self) -> Any:
        return Program.from_bytes, (self.to_bytes(),)

    def pruned(self) -> Program:
        """Without equations that no output needs; every input stays."""
        needed = {atom for atom in self.outs if type(atom) is not Literal}
        kept = []
        for eqn in reversed(self.eqns):
            outs = eqn[2] if eqn[0].multi else (eqn[2],)
            if any(out in needed for out in outs):
                kept.append(eqn)
                needed.update(atom for atom in eqn[1] if isinstance(atom, Var))
        return Program(self.ins, kept[::-1], self.outs, self.written_out)

    # ── derivatives, as programs ──────────────────────────────────────────────

    def gradient(self, outputs: Any = None, inputs: Any = None) -> Program:
        """The gradient as a Program; see `wengert.transforms.staging.gradient`."""
        return DERIVATIONS["gradient"](self, outputs, inputs)

    def pushforward(self, inputs: Any = None) -> Program:
        """The tangents as a Program; see `wengert.transforms.staging.pushforward`."""
        return DERIVATIONS["pushforward"](self, inputs)

    def residual_bytes(self) -> int:
        """Bytes of the ndarrays held for the backward pass; each buffer counted once, whatever views there are."""
        held: dict[int, int] = {}
        for eqn in self.equations():
            saved = eqn.out if isinstance(eqn.out, tuple) else (eqn.out,)
            for value in (*eqn.xs, *saved):
                if isinstance(value, Away):
                    value = value.present
                while isinstance(base := getattr(value, "base", None), np.ndarray):
                    value = base
                if isinstance(value, np.ndarray):
                    held[id(value)] = value.nbytes
        return sum(held.values())

    def __str__(self) -> str:
        inner: list[Program] = []  # programs among parameters, each shown once, after this one
        lines = _lines(self, inner)
        for i, program in enumerate(inner):  # which grows on the way
            lines.append(f"where program {i} is")
            lines += [f"  {line}" for line in _lines(program, inner)]
        return "\n".join(lines)


def _lines(program: Program, inner: list[Program]) -> list[str]:
    """The text of a program, without that of the programs in it."""
    names: dict[Var, str] = {}

    def name(atom: Any) -> str:
        if atom is None:
            return "·"
        if type(atom) is Literal:
            value = atom.value
            return repr(value) if np.ndim(value) == 0 else f"‹{value.dtype}{list(value.shape)}›"
        return names.setdefault(atom, f"v{len(names)}")

    def typed(var: Var) -> str:
        return f"{name(var)}:{var.aval}"

    lines = [f"program({', '.join(map(typed, program.ins))})"]
    for eqn in program.equations():
        outs = [v for v in (eqn.outs if eqn.op.multi else (eqn.outs,)) if v is not None]
        params = "".join(f" {k}={_shown(v, inner)}" for k, v in eqn.params.items())
        where = f"  # {describe(eqn.source).rpartition(': ')[2]}" if eqn.source else ""
        lines.append(f"  {', '.join(map(typed, outs))} = {eqn.op.name}({', '.join(map(name, eqn.ins))}){params}{where}")
    lines.append(f"  return {', '.join(map(name, program.outs))}")
    return lines


def _shown(value: Any, inner: list[Program]) -> str:
    """A parameter, on one line."""
    if isinstance(value, Program):
        number = next((i for i, program in enumerate(inner) if program is value), len(inner))
        if number == len(inner):
            inner.append(value)
        return f"‹program {number}›"
    if type(value) is tuple and any(isinstance(v, Program) for v in value):
        return f"({', '.join(_shown(v, inner) for v in value)})"
    if isinstance(value, np.ndarray) and value.ndim:
        return f"‹{value.dtype}{list(value.shape)}›"
    return repr(value)
