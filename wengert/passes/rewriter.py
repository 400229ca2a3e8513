"""What passes that replace equations share: a program written anew, equation by equation.

Rules look at one equation whose operands are already rewritten, and at those that made the operands. They return
an atom (Var or Literal) that stands for the result from now on, or None. Equations that nobody reads any more
are left for `dce`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from wengert.core.aval import Aval, aval_of
from wengert.core.form import Map
from wengert.core.op import Op
from wengert.graph.program import Literal, Program, Var, WeakVar
from wengert.ops.basis import broadcast_to, cast, conj, neg, real, reshape
from wengert.ops.dtype import truncate
from wengert.ops.elementwise import positive
from wengert.trace.stage import infer

Atom = Var | Literal
Row = tuple[Any, ...]
Notes = Counter[str]
Rule = Callable[["Rewriter", Sequence[Any], Var, dict[str, Any]], Atom | None]
Rules = Mapping[Op, Sequence[tuple[str, Rule]] | None]

_LINEAR = frozenset({neg, cast, conj, positive, real, truncate})


def elementwise(op: Op) -> bool:
    """Whether each element of the result is a function of those elements of the operands that broadcast to its place."""
    return type(op.lower) is Map or op in _LINEAR


def aval(atom: Atom) -> Aval:
    return aval_of(atom.value) if type(atom) is Literal else atom.aval  # type: ignore[union-attr]


def shape(atom: Atom) -> tuple[int, ...]:
    return getattr(atom.value, "shape", ()) if type(atom) is Literal else atom.shape  # type: ignore[union-attr]


def is_scalar(atom: Atom) -> bool:
    return type(atom) is Literal and getattr(atom.value, "shape", ()) == ()


class Rewriter:
    """The new program: `rows` in order, and for each Var in `made` the row that makes it."""

    __slots__ = ("code", "env", "facts", "lasti", "looked", "made", "notes", "rows", "rules", "uses")

    def __init__(self, rules: Rules, notes: Notes | None = None) -> None:
        self.rules = rules
        self.notes: Notes = Counter() if notes is None else notes
        self.env: dict[Any, Atom] = {}  # variables of the old program that something else now stands for
        self.made: dict[Any, Row] = {}
        self.rows: list[Row] = []
        self.uses: Counter[Any] = Counter()  # how often the old program reads each of its variables
        self.facts: dict[Any, Any] = {}  # what `ranges` has found out
        self.looked = 0  # how many rows `ranges` has seen
        self.code: Any = None
        self.lasti = -1

    def run(self, program: Program) -> Program:
        """`program` with all rules applied; itself if none did."""
        env, made, rows = self.env, self.made, self.rows
        self.uses.update(a for row in program.eqns for a in row[1] if type(a) is not Literal)
        self.uses.update(o for o in program.outs if type(o) is not Literal)
        rules_of = self.rules.__getitem__
        for row in program.eqns:
            op, ins, outs, params, _, _, self.code, self.lasti = row
            if env:
                new = [env.get(a, a) for a in ins]
                if new != list(ins):
                    row = (op, new, outs, params, (), None, self.code, self.lasti)
                    ins = new
            rules = rules_of(op)
            if rules is not None:
                if op.multi:
                    atoms = self._apply_multi(rules, ins, outs, params)
                    if atoms is not None:
                        env.update((v, a) for v, a in zip(outs, atoms, strict=True) if v is not None)
                        continue
                elif not outs.weak:
                    atom = self._apply(rules, ins, outs, params)
                    if atom is not None:
                        env[outs] = atom
                        continue
            rows.append(row)
            if op.multi:
                for v in outs:
                    made[v] = row
            else:
                made[outs] = row
        if not env:
            return program
        return Program(program.ins, rows, [env.get(o, o) for o in program.outs])

    def _apply(self, rules: Any, ins: Sequence[Any], out: Var, params: dict[str, Any]) -> Atom | None:
        for label, rule in rules:
            atom = rule(self, ins, out, params)
            if atom is not None and (atom := self.fitted(atom, out)) is not None:
                self.notes[label] += 1
                return atom
        return None

    def _apply_multi(self, rules: Any, ins: Sequence[Any], outs: Any, params: dict[str, Any]) -> Any:
        for label, rule in rules:
            atoms = rule(self, ins, outs, params)
            if atoms is not None:
                fitted = [a if v is None else self.fitted(a, v) for a, v in zip(atoms, outs, strict=True)]
                if all(a is not None for a in fitted):
                    self.notes[label] += 1
                    return fitted
        return None

    def fitted(self, atom: Atom, out: Var) -> Atom | None:
        """`atom` in the shape of `out`, whose dtype it must have; None if it has another."""
        if type(atom) is Literal:
            atom = strong(atom, out.dtype)
        if atom.dtype != out.dtype if type(atom) is not Literal else atom.value.dtype != out.dtype:  # type: ignore[union-attr]
            return None
        if type(atom) is WeakVar:
            return None
        return atom if shape(atom) == out.shape else self.emit(broadcast_to, atom, shape=out.shape)

    def emit(self, op: Op, *ins: Atom, **params: Any) -> Atom:
        """The result of `op`, simplified by the rules in turn."""
        found = infer(op, [aval(a) for a in ins], params)
        out = WeakVar(found.shape, found.dtype) if found.weak else Var(found.shape, found.dtype)
        rules = self.rules[op]
        if rules is not None and not found.weak:
            atom = self._apply(rules, ins, out, params)
            if atom is not None:
                return atom
        row = (op, ins, out, params, (), None, self.code, self.lasti)
        self.rows.append(row)
        self.made[out] = row
        return out

    def producer(self, atom: Atom, op: Op) -> Row | None:
        """The equation that made `atom`, if that is of `op`."""
        row = self.made.get(atom)
        return row if row is not None and row[0] is op else None

    def is_shared(self, atom: Atom) -> bool:
        """Whether the program reads `atom` more than once, so that it is made in any case."""
        return self.uses[atom] > 1

    def uniform(self, atom: Atom) -> Any:
        """The real number that all elements of `atom` are, if that is known; otherwise None."""
        while type(atom) is not Literal:
            row = self.made.get(atom)
            if row is None or row[0] is not broadcast_to:
                return None
            atom = row[1][0]
        value = atom.value
        if isinstance(value, np.ndarray):
            if value.ndim:
                return None
            value = value[()]
        return None if isinstance(value, (complex, np.complexfloating)) else value

    def full(self, value: Any, out: Var) -> Atom:
        """`value` everywhere, in the shape and dtype of `out`: a scalar, broadcast."""
        scalar = Literal(out.dtype.type(value))
        return scalar if out.shape == () else self.emit(broadcast_to, scalar, shape=out.shape)

    def reshaped(self, atom: Atom, to: tuple[int, ...]) -> Atom:
        return atom if shape(atom) == to else self.emit(reshape, atom, shape=to)


def strong(atom: Any, dtype: np.dtype) -> Any:
    """A literal Python scalar as NumPy's of `dtype`; all else as it is."""
    if type(atom) is not Literal or hasattr(atom.value, "dtype"):
        return atom
    return Literal(dtype.type(atom.value))


def is_native(dtype: np.dtype) -> bool:
    """Whether the dtype is one that programs are compiled for."""
    return dtype.char in "df?" or dtype.kind in "iu"


def is_real(dtype: np.dtype) -> bool:
    return dtype.char == "d" or dtype.char == "f"
