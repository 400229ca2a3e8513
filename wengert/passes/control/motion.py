"""What every trip would compute anew is computed once, in front of the loop.

Movements and broadcasts stay: within a body they cost nothing, and outside they would be arrays. So do equations whose result
is far larger than what it is made of, if they are cheap.
"""

from __future__ import annotations

import math
from typing import Any

from wengert.core.form import Control, Move, Reduce, Reshape, Scan
from wengert.graph.program import Literal
from wengert.ops.basis import broadcast_to, reshape, transpose
from wengert.ops.contract import contract, matmul
from wengert.ops.index import index
from wengert.passes.control.sites import Site, Trip
from wengert.passes.rewriter import Row, aval, elementwise, shape

GROWTH, CHEAP = (
    4,
    12,
)  # a result so many times larger than its operands is recomputed, if an element costs no more than this
SPECULATED = 1 << 20  # multiplications that are risked in front of a loop that may not run at all
MOVES = frozenset({broadcast_to, reshape, transpose, index})


def hoisted(r: Any, site: Site) -> int:
    """Equations of the site's bodies that depend on consts alone, computed outside. A switch's stay, as one branch runs."""
    if site.kind == "switch":
        return 0
    count = 0
    for i, trip in enumerate(site.trips):
        certain = site.runs if site.kind == "scan" else i == 0
        if site.kind != "scan" or certain:
            count += _hoisted(r, site, trip, certain)
    return count


def _hoisted(r: Any, site: Site, trip: Trip, certain: bool) -> int:
    candidates = _invariant(trip)
    if not candidates:
        return 0
    chosen = [row for row in candidates.values() if _worthy(row, certain)]
    if site.kind in ("scan", "while_pullback"):
        chosen += [candidates[y] for y in trip.ys if y in candidates]
    if not certain:
        chosen = [row for row in chosen if all(map(_is_total, _closure([row], candidates).values()))]
    moved = _closure(chosen, candidates)
    if not moved:
        return 0
    atoms: dict[Any, Any] = dict(zip(trip.consts, site.consts, strict=True))
    for row in trip.rows:
        if id(row) in moved:
            atoms.update(zip(_outs(row), r.again(row, [atoms.get(a, a) for a in row[1]]), strict=True))
    kept = _kept(trip, moved)
    read = {a for row in kept for a in row[1]} | set(trip.outs)
    made = {v for row in kept for v in _outs(row)}
    trip.rows = kept
    for row in moved.values():
        for var in _outs(row):
            if var in read and var not in made:
                site.insert(atoms[var], [var if t is trip else None for t in site.trips])
    return len(moved)


def _outs(row: Row) -> tuple[Any, ...]:
    return row[2] if row[0].multi else (row[2],)


def _invariant(trip: Trip) -> dict[Any, Row]:
    """For each variable that depends on consts alone the equation that makes it."""
    known, found = set(trip.consts), {}
    for row in trip.rows:
        if all(type(a) is Literal or a in known for a in row[1]):
            for var in _outs(row):
                known.add(var)
                found[var] = row
    return found


def _closure(chosen: list[Row], candidates: dict[Any, Row]) -> dict[int, Row]:
    """These equations and those that they need, in any order."""
    found: dict[int, Row] = {}
    stack = list(chosen)
    while stack:
        row = stack.pop()
        if id(row) not in found:
            found[id(row)] = row
            stack += [candidates[a] for a in row[1] if type(a) is not Literal and a in candidates]
    return found


def _kept(trip: Trip, moved: dict[int, Row]) -> list[Row]:
    """The equations that stay: those not moved, and movements that these read, which are made twice."""
    read = set(trip.outs)
    kept = []
    for row in reversed(trip.rows):
        if id(row) not in moved or (row[0] in MOVES and row[2] in read and row[2] not in trip.outs and row[1]):
            kept.append(row)
            read.update(a for a in row[1] if type(a) is not Literal)
    return kept[::-1]


def _worthy(row: Row, certain: bool) -> bool:
    """Whether an invariant equation is better computed once."""
    op, ins = row[:2]
    outs = _outs(row)
    if all(type(a) is Literal for a in ins) and type(op.lower) is not Control:
        return False
    form = op.lower
    if (op in MOVES and not (op is index and len(ins) > 1)) or type(form) in (Move, Reshape):
        return False
    size = sum(v.aval.size for v in outs)
    if elementwise(op) and size > GROWTH * sum(aval(a).size for a in ins) and getattr(form, "cost", 1) <= CHEAP:
        return False
    return certain or (_is_total(row) and _work(row) <= SPECULATED)


def _is_total(row: Row) -> bool:
    """Whether an equation gives a result for all operands, without an error."""
    op = row[0]
    if op in MOVES or op is contract or op is matmul or elementwise(op):
        return op is not index or len(row[1]) == 1
    return type(op.lower) in (Reduce, Scan, Move, Reshape)


def _work(row: Row) -> int:
    """Multiplications, about."""
    op, ins, out, params = row[:4]
    size = out.aval.size
    if op is matmul:
        return size * shape(ins[0])[-1]
    if op is contract:
        x, y = params["subscripts"].partition("->")[0].split(",")
        sizes = dict(zip(x + y, (*shape(ins[0]), *shape(ins[1])), strict=False))
        return math.prod(sizes.get(c, 1) for c in set(x.replace(",", "") + y))
    return max(size, *(aval(a).size for a in ins)) if ins else size
