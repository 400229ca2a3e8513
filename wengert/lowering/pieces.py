"""Arrays that are put together and taken apart again within a loop's body: what is computed with them element by
element is computed with their pieces, so that one loop nest does it all and no array is made in between.

    k = concatenate([f(y[0]), g(y[1])]);  z = y + h k;  … z[0] …    becomes    z₀ = y[0] + h f(y[0]);  …
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from wengert.core.form import Map
from wengert.core.op import OPS
from wengert.graph.program import Literal, Program, Var
from wengert.ops import index as _index  # noqa: F401 - registers `index`
from wengert.ops import shape as _shape  # noqa: F401 - registers `concatenate`

MANY = 8  # pieces
LONG = 64  # elements of one piece at least: short arrays are one vector
GROWTH = 4  # times as many equations at most


@dataclass(frozen=True)
class Split:
    """An array as its pieces along one axis."""

    axis: int
    pieces: tuple[Any, ...]
    shape: tuple[int, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        return tuple(p.shape[self.axis] for p in self.pieces)

    @property
    def bounds(self) -> list[int]:
        """Where pieces begin, and the end."""
        found = [0]
        for size in self.sizes:
            found.append(found[-1] + size)
        return found


def in_pieces(program: Program) -> Program:
    """`program`, which computes the same."""
    if not any(eqn.op.name == "concatenate" for eqn in program.equations()):
        return program
    found = _Pieces(program).run()
    return program if found is None else found.pruned()


class _Pieces:
    def __init__(self, program: Program) -> None:
        self.program = program
        self.rows: list[Any] = []
        self.split: dict[Var, Split] = {}
        self.same: dict[Var, Any] = {}  # a value that is one piece of another
        self.made: set[Var] = set()  # split ones that have been put together after all
        self.cut: dict[Any, Var] = {}
        self.used = False

    def run(self) -> Program | None:
        most = GROWTH * len(self.program.eqns) + 64
        for row in self.program.eqns:
            op, ins, outs, params = row[0], [self._atom(a) for a in row[1]], row[2], row[3]
            self.where = row[6], row[7]
            kind = "" if op.multi else op.name
            done = False
            if kind == "concatenate":
                done = self._concatenate(ins, outs, params)
            elif kind == "index" and len(ins) == 1 and ins[0] in self.split:
                done = self._taken(self.split[ins[0]], outs, params["spec"])
            elif kind and any(isinstance(a, Var) and a in self.split for a in ins):
                done = self._elementwise(op, ins, outs, params)
            if not done:
                self._whole(ins)
                self.rows.append((op, ins, outs, params, (), None, *self.where))
            if len(self.rows) > most:
                return None
        outs = [self._atom(a) for a in self.program.outs]
        self._whole(outs)
        return Program(self.program.ins, self.rows, outs) if self.used else None

    def _atom(self, atom: Any) -> Any:
        return self.same.get(atom, atom) if isinstance(atom, Var) else atom

    def _emit(self, name: str, ins: Sequence[Any], out: Var, params: dict[str, Any]) -> Var:
        self.rows.append((OPS[name], list(ins), out, params, (), None, *self.where))
        return out

    def _whole(self, atoms: Sequence[Any]) -> None:
        """Put together those that are split."""
        for atom in atoms:
            if isinstance(atom, Var) and atom in self.split and atom not in self.made:
                self.made.add(atom)
                split = self.split[atom]
                self._emit("concatenate", split.pieces, atom, {"axis": split.axis, "sizes": split.sizes})

    def _concatenate(self, ins: Sequence[Any], out: Var, params: dict[str, Any]) -> bool:
        axis, pieces = params["axis"], []
        for atom in ins:
            split = self.split.get(atom) if isinstance(atom, Var) else None
            if split is not None and split.axis == axis and atom not in self.made:
                pieces += split.pieces
            else:
                self._whole([atom])
                pieces.append(atom)
        pieces = [p for p in pieces if not isinstance(p, Var) or p.shape[axis]]
        if len(pieces) > MANY or not all(isinstance(p, Var) for p in pieces) or len(pieces) < 2:
            return False
        if max(math.prod(p.shape) for p in pieces) < LONG or any(p.dtype != out.dtype for p in pieces):
            return False
        self.split[out] = Split(axis, tuple(pieces), out.shape)
        return True

    def _elementwise(self, op: Any, ins: Sequence[Any], out: Var, params: dict[str, Any]) -> bool:
        form = op.lower
        if not isinstance(form, Map) or any(name in params for name in ("shape", "axis", "axes")):
            return False
        splits = [self.split[a] for a in ins if isinstance(a, Var) and a in self.split]
        axis = splits[0].axis
        if any(s.shape != out.shape or s.axis != axis for s in splits):
            return False
        bounds = sorted({b for s in splits for b in s.bounds})
        if len(bounds) > MANY + 1:
            return False
        pieces = []
        for low, high in itertools.pairwise(bounds):
            shape = (*out.shape[:axis], high - low, *out.shape[axis + 1 :])
            piece = Var(shape, out.dtype)
            parts = [self._part(a, axis - len(out.shape), low, high) for a in ins]
            self.rows.append((op, parts, piece, params, (), None, *self.where))
            pieces.append(piece)
        self.split[out] = Split(axis, tuple(pieces), out.shape)
        self.used = True
        return True

    def _part(self, atom: Any, axis: int, low: int, high: int) -> Any:
        """What an operand gives to elements from `low` to `high` along an axis, which is counted from the last."""
        shape = getattr(atom, "shape", None) if isinstance(atom, Var) else getattr(atom.value, "shape", ())
        if shape is None or len(shape) < -axis or shape[axis] == 1:
            return atom
        if isinstance(atom, Literal):
            spec = (slice(None),) * (len(shape) + axis) + (slice(low, high),)
            return Literal(atom.value[spec])
        split = self.split.get(atom)
        if split is None:
            return self._cut(atom, len(shape) + axis, low, high)
        bounds = split.bounds
        at = max(i for i, b in enumerate(bounds[:-1]) if b <= low)
        return self._cut(split.pieces[at], split.axis, low - bounds[at], high - bounds[at])

    def _cut(self, var: Var, axis: int, low: int, high: int) -> Var:
        if (low, high) == (0, var.shape[axis]):
            return var
        key = var, axis, low, high
        if key not in self.cut:
            spec = (slice(None),) * axis + (slice(low, high),)
            out = Var((*var.shape[:axis], high - low, *var.shape[axis + 1 :]), var.dtype)
            self.cut[key] = self._emit("index", [var], out, {"spec": spec, "unique": False})
        return self.cut[key]

    def _taken(self, split: Split, out: Var, spec: Any) -> bool:
        """Basic indexing, with whole numbers and slices of step 1 along the axis of the pieces."""
        entries = list(spec) if isinstance(spec, tuple) else [spec]
        n = len(split.shape)
        if len(entries) > n or not all(isinstance(e, (int, slice)) and not isinstance(e, bool) for e in entries):
            return False
        entries += [slice(None)] * (n - len(entries))
        mine, bounds = entries[split.axis], split.bounds
        if isinstance(mine, slice):
            low, high, step = mine.indices(split.shape[split.axis])
            if step != 1 or high <= low:
                return False
        else:
            low = mine % split.shape[split.axis]
            high = low + 1
        pieces = []
        for piece, first, last in zip(split.pieces, bounds[:-1], bounds[1:], strict=True):
            a, b = max(low, first), min(high, last)
            if a < b:
                pieces.append(self._cut(piece, split.axis, a - first, b - first))
        self.used = True
        last_step = [
            *entries[: split.axis],
            0 if not isinstance(mine, slice) else slice(None),
            *entries[split.axis + 1 :],
        ]
        plain = all(e == slice(None) for e in last_step)
        if len(pieces) == 1:
            if plain:
                self.same[out] = pieces[0]
            else:
                self._emit("index", pieces, out, {"spec": tuple(last_step), "unique": False})
            return True
        axis = split.axis - sum(isinstance(e, int) for e in entries[: split.axis])
        if not plain:
            shapes = [(*out.shape[:axis], p.shape[split.axis], *out.shape[axis + 1 :]) for p in pieces]
            pieces = [
                self._emit("index", [p], Var(shape, out.dtype), {"spec": tuple(last_step), "unique": False})
                for p, shape in zip(pieces, shapes, strict=True)
            ]
        self.split[out] = Split(axis, tuple(pieces), out.shape)
        return True
