"""Arrays that a loop reads element by element, and that are cheaply made of others: the loop makes each element itself.

Otherwise they are written and read again, which for a small body takes longer than everything that it does.
"""

from __future__ import annotations

from typing import Any

from wengert.core.form import Map
from wengert.graph.program import Literal, Var
from wengert.passes.control.sites import Site, Trip, without
from wengert.passes.rewriter import Row, aval, elementwise, shape

CHEAP = 5  # additions that an element may cost; what costs more is better made many at a time


def streamed(r: Any, site: Site) -> int:
    """Of a scan: xs that a cheap elementwise op has made, for this loop alone, and that it does arithmetic with alone."""
    if site.kind != "scan" or not site.runs or not site.inits:
        return 0
    (trip,) = site.trips
    gone, first = set(), []
    for i, (atom, var) in enumerate(list(zip(site.xs, trip.xs, strict=True))):
        row = None if type(atom) is Literal else r.made.get(atom)
        if row is None or var.weak or r.uses[atom] != 1 or not _is_cheap(row) or not _in_arithmetic(trip, var):
            continue
        if not all(_fits(a, atom) for a in row[1]):
            continue
        ins = [_element(site, trip, a) for a in row[1]]
        first.append((row[0], ins, var, row[3], (), None, *row[6:8]))
        gone.add(i)
    site.xs, trip.xs = without(site.xs, gone), without(trip.xs, gone)
    trip.rows = [*first, *trip.rows]
    return len(gone)


def _is_cheap(row: Row) -> bool:
    form = row[0].lower
    return elementwise(row[0]) and type(form) is Map and form.cost <= CHEAP and not row[0].multi


def _in_arithmetic(trip: Trip, var: Var) -> bool:
    """Whether elementwise ops alone read it."""
    return var not in trip.outs and all(elementwise(row[0]) for row in trip.rows if var in row[1])


def _fits(a: Any, whole: Any) -> bool:
    """Whether an operand is a number, or has an element for each trip."""
    of = shape(a)
    if aval(a).weak:
        return type(a) is Literal
    return of == () or (len(of) == len(whole.shape) and of[0] == whole.shape[0])


def _element(site: Site, trip: Trip, a: Any) -> Any:
    if shape(a) == ():
        if type(a) is Literal:
            return a
        site.insert(a, [None])
        return trip.consts[-1]
    site.xs.append(a)  # whose reader it was, and is no more, so that it is read as often as before
    trip.xs.append(Var(shape(a)[1:], aval(a).dtype))
    return trip.xs[-1]
