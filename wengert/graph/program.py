"""`Program`: the record of elementary operations that every recorder writes and every transform reads.

An eager tape fills in `xs` and `out` (the residuals that each op declares) and drops
constant operands it need not keep. A full record, from which the program can be run
again, keeps every operand as a `Var` or a `Literal`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from types import CodeType
from typing import Any, NamedTuple

import numpy as np

from wengert.core.aval import Aval
from wengert.core.op import Op
from wengert.core.source import Source, describe
from wengert.core.tensor import Array


class Var:
    """One SSA value: what a Tensor's cell held at one time."""

    __slots__ = ("dtype", "shape")

    weak = False  # whether it stands for a Python scalar, which adapts to its partners' dtype

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype) -> None:
        self.shape = shape
        self.dtype = dtype

    @property
    def aval(self) -> Aval:
        return Aval(self.shape, self.dtype, self.weak)


class WeakVar(Var):
    """The value of a Python scalar in a staged program."""

    __slots__ = ()

    weak = True


Vars = Sequence[Any]  # per operand a Var, or None for a constant, whose cotangent nobody wants


class Literal:
    """A constant operand, kept so that the program can be run again."""

    __slots__ = ("value",)

    def __init__(self, value: Array) -> None:
        self.value = value


class Eqn(NamedTuple):
    """`outs = op(*ins, **params)`, with the residuals its pullback needs.

    The tape's hot path appends plain tuples in this order, at a third of the cost:
    unpack equations, or read a program through `Program.equations`.
    """

    op: Op
    ins: Sequence[Var | Literal | None]  #: None: a constant operand that was not kept
    outs: Any  #: Var; with `op.multi` a tuple of Var, or None for an integer or boolean output
    params: dict[str, Any]
    xs: Sequence[Array]  #: saved operands, None where not declared in `op.saves`
    out: Array  #: the saved output, a tuple with `op.multi`, or None
    code: CodeType | None  #: the user's line: code object and
    lasti: int  #: instruction offset

    @property
    def source(self) -> Source | None:
        return None if self.code is None else (self.code, self.lasti)


@dataclass
class Program:
    """Inputs, equations in execution order, outputs. An output is a Var, or a Literal that depends on no input."""

    ins: list[Var] = field(default_factory=list)
    eqns: list[Any] = field(default_factory=list)  # rows of Eqn's fields
    outs: list[Any] = field(default_factory=list)

    def equations(self) -> Iterator[Eqn]:
        """The equations in execution order, with named fields."""
        return map(Eqn._make, self.eqns)

    def run(self, *args: Array) -> list[Array]:
        """Execute a full record on new inputs; through ops, so it can itself be traced."""
        env: dict[Var, Array] = dict(zip(self.ins, args, strict=True))

        def read(atom: Any) -> Array:
            return atom.value if type(atom) is Literal else env[atom]

        for eqn in self.equations():
            out = eqn.op(*map(read, eqn.ins), **eqn.params)
            if eqn.op.multi:
                env.update((var, value) for var, value in zip(eqn.outs, out, strict=True) if var is not None)
            else:
                env[eqn.outs] = out
        return [read(atom) for atom in self.outs]

    def residual_bytes(self) -> int:
        """Bytes of the ndarrays held for the backward pass; each buffer counted once, whatever views there are."""
        held: dict[int, int] = {}
        for eqn in self.equations():
            saved = eqn.out if isinstance(eqn.out, tuple) else (eqn.out,)
            for value in (*eqn.xs, *saved):
                while isinstance(base := getattr(value, "base", None), np.ndarray):
                    value = base
                if isinstance(value, np.ndarray):
                    held[id(value)] = value.nbytes
        return sum(held.values())

    def __str__(self) -> str:
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

        lines = [f"program({', '.join(map(typed, self.ins))})"]
        for eqn in self.equations():
            outs = [v for v in (eqn.outs if eqn.op.multi else (eqn.outs,)) if v is not None]
            params = "".join(f" {k}={v!r}" for k, v in eqn.params.items())
            where = f"  # {describe(eqn.source).rpartition(': ')[2]}" if eqn.source else ""
            lines.append(
                f"  {', '.join(map(typed, outs))} = {eqn.op.name}({', '.join(map(name, eqn.ins))}){params}{where}"
            )
        lines.append(f"  return {', '.join(map(name, self.outs))}")
        return "\n".join(lines)
