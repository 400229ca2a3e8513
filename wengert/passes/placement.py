"""Arrays that are put together piece by piece are put together at once.

The pullback of `x[i]` is an array of zeros but for one element, and what uses n elements adds up n such arrays; a loop
that writes `out[i]` makes n copies. Both take O(n²) time. Here sums of scatters, and chains of assignments, whose pieces
lie side by side along one axis become one concatenation.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from functools import reduce
from typing import Any

from wengert.graph.program import Literal, Program, Var
from wengert.ops.basis import add, broadcast_to
from wengert.ops.index import index, index_put, scatter_add
from wengert.ops.shape import concatenate
from wengert.passes.rewriter import Notes, Rewriter, aval, is_native, shape, strong
from wengert.passes.rules.indexing import Places, as_spec, places

FEW = 3  # pieces from which it is worth while


def placement(program: Program, notes: Notes | None = None) -> Program:
    """`program` with arrays of many pieces made by concatenation. Cost: linear in the equations."""
    if sum(row[0] is scatter_add or row[0] is index_put for row in program.eqns) < FEW:
        return program
    return _Placement(notes).run(program)


class _Placement(Rewriter):
    """Rewrites the last equation of each sum of scatters, and of each chain of assignments."""

    __slots__ = ()

    def __init__(self, notes: Notes | None) -> None:
        super().__init__({}, notes)

    def run(self, program: Program) -> Program:
        inner = _inner(program)
        roots = {row[2] for row in program.eqns if row[0] in (add, index_put) and row[2] not in inner}

        def of_sum(r: Rewriter, ins: Sequence[Any], out: Var, params: dict[str, Any]) -> Any:
            return self._sum(ins, out, inner) if out in roots else None

        def of_writes(r: Rewriter, ins: Sequence[Any], out: Var, params: dict[str, Any]) -> Any:
            return self._writes(ins, out, params, inner) if out in roots else None

        self.rules = _Only(
            {
                add: [("sums of pieces of an array → concatenations", of_sum)],
                index_put: [("assignments to pieces of an array → concatenations", of_writes)],
            }
        )
        return super().run(program)

    # ── sums of scatters ──────────────────────────────────────────────────────

    def _sum(self, ins: Sequence[Any], out: Var, inner: set[Any]) -> Any:
        if not is_native(out.dtype) or not out.shape:
            return None
        pieces: dict[Any, tuple[Places, Any]] = {}
        rest: list[Any] = []
        count = 0
        stack = list(reversed(ins))
        while stack:
            atom = stack.pop()
            row = self.made.get(atom)
            at = None
            if row is not None and atom in inner:
                if row[0] is add and row[2].shape == out.shape:
                    stack.extend(reversed(row[1]))
                    continue
                if row[0] is scatter_add and len(row[1]) == 1 and row[2].shape == out.shape:
                    at = places(row[3]["spec"], out.shape)
            if at is None:
                rest.append(atom)
                continue
            key = _key(at)
            count += 1
            assert row is not None
            y = self.reshaped(row[1][0], tuple(1 if isinstance(p, int) else len(p) for p in at))
            pieces[key] = (at, self.emit(add, pieces[key][1], y) if key in pieces else y)
        whole = None
        for layer in self._layers(out, list(pieces.values())):
            joined = self._joined(out, layer, None)
            whole = joined if whole is None else self.emit(add, whole, joined)
            for at, _ in layer:
                del pieces[_key(at)]
        if whole is None and count < len(pieces) + 2:
            return None
        parts = [
            self.emit(scatter_add, self._fitting(y, at), spec=as_spec(at), shape=out.shape) for at, y in pieces.values()
        ]
        if whole is not None:  # -0 plus the other pieces' zeros
            parts.insert(0, self.emit(add, whole, Literal(0.0 if out.dtype.kind == "f" else 0)))
        return reduce(lambda x, y: self.emit(add, x, y), [*parts, *rest])

    def _fitting(self, y: Any, at: Places) -> Any:
        return self.reshaped(y, tuple(len(p) for p in at if not isinstance(p, int)))

    def _layers(self, out: Var, pieces: list[tuple[Places, Any]]) -> list[list[tuple[Places, Any]]]:
        """Sets of pieces that lie side by side along one axis, and do not overlap; those of few pieces left out."""
        layers: list[list[tuple[Places, Any]]] = []
        open_layers: list[tuple[int, int, list[tuple[Places, Any]]]] = []
        located = [(axis, span, piece) for piece in pieces for axis, span in _located(piece[0], out.shape)]
        for axis, span, piece in sorted(located, key=lambda found: found[:1] + (found[1].start,)):
            for i, (of, end, layer) in enumerate(open_layers):
                if of == axis and end <= span.start:
                    layer.append(piece)
                    open_layers[i] = (of, span.stop, layer)
                    break
            else:
                layers.append([piece])
                open_layers.append((axis, span.stop, layers[-1]))
        return [layer for layer in layers if len(layer) >= FEW or (len(layer) > 1 and _covers(layer, out.shape))]

    # ── chains of assignments ─────────────────────────────────────────────────

    def _writes(self, ins: Sequence[Any], out: Var, params: dict[str, Any], inner: set[Any]) -> Any:
        if not is_native(out.dtype) or not out.shape:
            return None
        pieces: dict[Any, tuple[Places, Any]] = {}
        row: Any = (index_put, ins, out, params)
        while True:
            base, y = row[1][0], strong(row[1][1], out.dtype)
            at = places(row[3]["spec"], out.shape) if len(row[1]) == 2 else None
            if at is None or aval(y).dtype != out.dtype or aval(y).weak:
                return None
            key = _key(at)
            if key not in pieces:  # a later write hides an earlier one
                pieces[key] = (at, y)
            row = self.producer(base, index_put) if base in inner else None
            if row is None:
                break
        if len(pieces) < FEW:
            return None
        whole = []
        for at, y in pieces.values():
            kept = tuple(len(p) for p in at if not isinstance(p, int))
            y = y if shape(y) == kept else self.emit(broadcast_to, y, shape=kept)
            whole.append((at, self.reshaped(y, tuple(1 if isinstance(p, int) else len(p) for p in at))))
        return self._joined(out, whole, base)

    # ── side by side ──────────────────────────────────────────────────────────

    def _joined(self, out: Var, pieces: list[tuple[Places, Any]], base: Any) -> Any:
        """The pieces, and between them `base` (None: zeros), along the one axis that they do not cover; None if there
        is no such axis, or they overlap."""
        located = [(*found, y) for at, y in pieces for found in _located(at, out.shape)]
        if len(located) < len(pieces) or len({axis for axis, _, _ in located}) != 1:
            return None
        axis = located[0][0]
        spans = sorted(((span, y) for _, span, y in located), key=lambda s: s[0].start)
        parts, end = [], 0
        for span, y in spans:
            if span.start < end:
                return None
            if span.start > end:
                parts.append(self._gap(out, base, axis, end, span.start))
            parts.append(y)
            end = span.stop
        if end < out.shape[axis]:
            parts.append(self._gap(out, base, axis, end, out.shape[axis]))
        return self.emit(concatenate, *parts, axis=axis, sizes=tuple(shape(p)[axis] for p in parts))

    def _gap(self, out: Var, base: Any, axis: int, start: int, stop: int) -> Any:
        if base is None:
            to = tuple(stop - start if a == axis else n for a, n in enumerate(out.shape))
            return self.emit(broadcast_to, Literal(out.dtype.type(0)), shape=to)
        at = [range(start, stop) if a == axis else range(n) for a, n in enumerate(out.shape)]
        return self.emit(index, base, spec=as_spec(at))


class _Only(dict[Any, Any]):
    """Rules of some ops, and none of others."""

    def __missing__(self, op: Any) -> None:
        return None


def _span(p: int | range) -> range:
    return range(p, p + 1) if isinstance(p, int) else p


def _key(at: Places) -> Any:
    return tuple((p, p + 1, 1) if isinstance(p, int) else (p.start, p.stop, p.step) for p in at)


def _located(at: Places, of: tuple[int, ...]) -> list[tuple[int, range]]:
    """The axis along which a piece is not the whole array, and its places there; nothing if these are not one run of places."""
    found = [(axis, _span(p)) for axis, (p, n) in enumerate(zip(at, of, strict=True)) if p != range(n)]
    return found if len(found) == 1 and found[0][1].step == 1 and found[0][1] else []


def _covers(layer: list[tuple[Places, Any]], of: tuple[int, ...]) -> bool:
    """Whether pieces that lie apart are the whole array."""
    return sum(math.prod(len(_span(p)) for p in at) for at, _ in layer) == math.prod(of)


def _inner(program: Program) -> set[Any]:
    """Variables that are read once, by a sum or an assignment that may take them in."""
    uses = Counter(a for row in program.eqns for a in row[1])
    uses.update(program.outs)
    inner = set()
    for op, ins, *_ in program.eqns:
        taken = ins if op is add else ins[:1] if op is index_put else ()
        inner.update(a for a in taken if type(a) is not Literal and uses[a] == 1)
    return inner
