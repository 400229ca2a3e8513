"""The ends of a loop: what only its first trip is given, and what only its last trip gives.

A result that is the last of the ys has a cotangent that is zero but in one trip, the first one backwards: it is added to the
carry that the loop begins with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.graph.program import Literal, Var
from wengert.ops.basis import add
from wengert.ops.index import index, scatter_add
from wengert.passes.control.sites import Site, Trip, kind_of, without
from wengert.passes.rewriter import Atom, Rewriter, Row, aval
from wengert.passes.rules.indexing import as_spec, places
from wengert.passes.rules.table import rule


def begun(r: Any, site: Site) -> int:
    """Of a scan: xs that are zero in all trips but the first, and are added to a carry, are added before."""
    if site.kind != "scan" or not site.runs or not site.inits:
        return 0
    (trip,) = site.trips
    uses = Counter(a for row in trip.rows for a in row[1] if type(a) is not Literal)
    uses.update(a for a in trip.outs if type(a) is not Literal)
    first = site.params["length"] - 1 if site.params["reverse"] else 0
    gone = set()
    for i, (atom, var) in enumerate(zip(site.xs, trip.xs, strict=True)):
        row = _addition(trip, var, uses)
        if row is None or (value := _only(r, atom, first)) is None:
            continue
        carry = row[1][0] if row[1][1] is var else row[1][1]
        k = trip.carries.index(carry)
        total = r.emit(add, site.inits[k], value)
        if aval(total) != carry.aval:
            continue
        site.inits[k] = total
        trip.rows = [other for other in trip.rows if other is not row]
        trip.put({row[2]: carry})
        gone.add(i)
    site.xs, trip.xs = without(site.xs, gone), without(trip.xs, gone)
    return len(gone)


def _addition(trip: Trip, var: Var, uses: Counter[Any]) -> Row | None:
    """The equation that adds `var` to a carry, if nothing else reads either."""
    if uses[var] != 1:
        return None
    for row in trip.rows:
        if row[0] is add and (row[1][0] is var or row[1][1] is var):
            other = row[1][0] if row[1][1] is var else row[1][1]
            fits = type(other) is not Literal and other in trip.carries and uses[other] == 1
            return row if fits and other.aval == var.aval == row[2].aval else None
    return None


def _only(r: Any, atom: Any, first: int) -> Any:
    """The element of a stack that is zero everywhere else; None if it is not."""
    if type(atom) is Literal:
        value = np.asarray(atom.value)
        return Literal(value[first]) if np.count_nonzero(value) == np.count_nonzero(value[first]) else None
    row = r.producer(atom, scatter_add)
    if row is None or len(row[1]) != 1:
        return None
    at = places(row[3]["spec"], atom.shape)
    if at is None or at[0] not in (first, range(first, first + 1)):
        return None
    kept = tuple(len(p) for p in at[1:] if not isinstance(p, int))
    piece = r.reshaped(row[1][0], kept)
    if all(p == range(n) for p, n in zip(at[1:], atom.shape[1:], strict=True)):
        return piece
    return r.emit(scatter_add, piece, spec=as_spec(at[1:]), shape=atom.shape[1:])


@rule("last elements of what a loop stacks", index)
def _last(r: Rewriter, ins: Sequence[Any], out: Var, params: dict[str, Any]) -> Atom | None:
    """The last of the ys, where that is a carry too."""
    row = r.made.get(ins[0]) if len(ins) == 1 else None
    if row is None or kind_of(row[0]) != "scan":
        return None
    body, carries, length = row[3]["body"], row[3]["carries"], row[3]["length"]
    at = places(params["spec"], ins[0].shape)
    if at is None or not length or at[0] != (0 if row[3]["reverse"] else length - 1):
        return None
    y = body.outs[row[2].index(ins[0])]
    k = next((k for k in range(carries) if body.outs[k] is y and row[2].index(ins[0]) >= carries), None)
    if k is None:
        return None
    if all(p == range(n) for p, n in zip(at[1:], out.shape, strict=False)) and len(at) == len(out.shape) + 1:
        return row[2][k]
    return r.emit(index, row[2][k], spec=as_spec(at[1:]))
