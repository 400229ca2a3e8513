"""Loops and branches that are none: no trips or one, a few short ones, a branch known beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wengert.core.form import Map
from wengert.graph.program import Literal
from wengert.ops.basis import broadcast_to, cast
from wengert.ops.dtype import truncate
from wengert.ops.index import index
from wengert.ops.logic import greater
from wengert.ops.select import where
from wengert.ops.shape import stack
from wengert.passes.control.sites import Site, kind_of
from wengert.passes.rewriter import aval, strong

FEW, SHORT = 4, 64  # trips, and equations altogether, up to which a loop is written out
LONG = 20_000  # equations to which a loop may grow that its user wants unrolled
PLAIN, COST = 16, 24  # elements of a result, and cost of all branches, up to which all are computed and one is selected


def straightened(r: Any, site: Site) -> Sequence[Any] | None:
    """The results, if the site needs no loop or branch."""
    if site.kind == "scan":
        return _scan(r, site)
    if site.kind == "switch":
        return _switch(r, site)
    if site.kind == "while_loop":
        verdict = site.trips[0].ys[0]
        return site.inits if type(verdict) is Literal and not verdict.value else None
    return None


def _scan(r: Any, site: Site) -> Sequence[Any] | None:
    length, (trip,) = site.params["length"], site.trips
    if length == 0:
        return [*site.inits, *(r.full(0, v) for v in site.stacks)]
    weight = length * sum(SHORT if kind_of(row[0]) else 1 for row in trip.rows)
    few = length <= FEW and weight <= SHORT and bool(site.inits)
    if not (length == 1 or few or (site.params.get("unroll", 1) >= length and weight <= LONG)):
        return None
    if any(var.weak and type(x) is not Literal for x, var in zip(site.xs, trip.xs, strict=True)):
        return None
    program, carry, ys = trip.program(), list(site.inits), []
    count = len(carry)
    places = range(length)[::-1] if site.params["reverse"] else range(length)
    for i in places:
        xs = [_element(r, x, i, var) for x, var in zip(site.xs, trip.xs, strict=True)]
        outs = r.played(program, [*site.consts, *carry, *xs])
        carry = outs[:count]
        ys.append(outs[count:])
    if site.params["reverse"]:
        ys.reverse()
    return [*carry, *(_stacked(r, [y[k] for y in ys], v) for k, v in enumerate(site.stacks))]


def _element(r: Any, x: Any, i: int, var: Any) -> Any:
    if type(x) is Literal:
        return Literal(x.value[i].item() if var.weak else x.value[i])
    if x.shape[0] == 1:
        return r.reshaped(x, x.shape[1:])
    return r.emit(index, x, spec=(i, *[slice(None)] * (len(x.shape) - 1)))


def _stacked(r: Any, ys: Sequence[Any], var: Any) -> Any:
    ys = [strong(y, var.dtype) for y in ys]
    if len(ys) == 1 and type(ys[0]) is not Literal:
        return r.reshaped(ys[0], var.shape)
    return r.emit(stack, *ys, axis=0) if len(ys) > 1 else r.emit(broadcast_to, ys[0], shape=var.shape)


def _switch(r: Any, site: Site) -> Sequence[Any] | None:
    (at,) = site.first
    programs = [trip.program() for trip in site.trips]
    if type(at) is Literal:
        number = min(max(int(at.value), 0), len(programs) - 1)
        return r.played(programs[number], site.consts)
    if all(program == programs[0] for program in programs[1:]):
        return r.played(programs[0], site.consts)
    if at.weak or not _selectable(site):
        return None
    found = r.played(programs[0], site.consts)
    for i, program in enumerate(programs[1:], 1):
        later = _chosen(r, at, i)
        new = r.played(program, site.consts)
        found = [
            r.emit(where, later, strong(b, v.dtype), strong(a, v.dtype))
            for a, b, v in zip(found, new, site.stacks, strict=True)
        ]
    return found


def _chosen(r: Any, at: Any, i: int) -> Any:
    """Whether the index is `i` or beyond."""
    row = r.producer(at, cast) or r.producer(at, truncate)
    if row is not None and i == 1 and aval(row[1][0]).dtype.kind == "b":
        return row[1][0]
    return r.emit(greater, at, Literal(at.dtype.type(i - 1)))


def _selectable(site: Site) -> bool:
    """Whether all branches are cheap, and small, and raise nothing."""
    if any(v.aval.size > PLAIN or v.dtype.kind not in "biuf" for v in site.stacks):
        return False
    cost = 0
    for trip in site.trips:
        for row in trip.rows:
            if row[0].multi or row[2].aval.size > PLAIN or row[2].weak:
                return False
            if row[0] is broadcast_to:
                continue
            form = row[0].lower
            if type(form) is not Map:
                return False
            cost += form.cost
    return cost <= COST
