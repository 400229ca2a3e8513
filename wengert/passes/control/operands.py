"""Consts: what a body may know better itself, operands that are there twice or not read, and arrays that bodies hold."""

from __future__ import annotations

from typing import Any

import numpy as np

from wengert.graph.program import Literal, Var
from wengert.ops.basis import broadcast_to
from wengert.passes.control.sites import Site, Trip, fresh, literal, without
from wengert.passes.cse import literal_key
from wengert.passes.rewriter import Rewriter, aval, shape, strong

SMALL = 16  # elements of an array that a body may hold


# ── into the body ─────────────────────────────────────────────────────────────


def sunk(r: Rewriter, site: Site) -> int:
    """Small literals are read in the body itself; what is broadcast is broadcast there, where it takes no memory."""
    count, gone = 0, set()
    for i, atom in enumerate(site.consts):
        variables = [trip.consts[i] for trip in site.trips]
        if type(atom) is Literal:
            known = [literal(atom, var) for var in variables]
            if np.size(atom.value) > SMALL or None in known:
                continue
            for trip, var, value in zip(site.trips, variables, known, strict=True):
                trip.put({var: value})  # type: ignore[dict-item]
            gone.add(i)
        elif (row := r.producer(atom, broadcast_to)) is not None:
            core = strong(row[1][0], atom.dtype)
            if aval(core).size >= atom.aval.size or aval(core).weak:
                continue
            site.consts[i] = core
            for trip, var in zip(site.trips, variables, strict=True):
                trip.consts[i] = inner = fresh(core)
                trip.rows.insert(0, (broadcast_to, (inner,), var, {"shape": var.shape}, (), None, None, -1))
        else:
            continue
        count += 1
    site.without_consts(gone)
    return count


def spread(r: Rewriter, site: Site) -> int:
    """Of a scan: xs whose elements are all the same become consts."""
    if site.kind != "scan" or not site.runs:
        return 0
    (trip,) = site.trips
    gone = set()
    for i, (atom, var) in enumerate(zip(site.xs, trip.xs, strict=True)):
        core: Any = None
        if type(atom) is not Literal and (row := r.producer(atom, broadcast_to)) is not None:
            core = strong(row[1][0], atom.dtype)
        if core is None or var.weak or aval(core).weak or aval(core).dtype != var.dtype:
            continue
        of = shape(core)
        if len(of) == 1 + len(var.shape):
            if of[0] != 1:
                continue
            core = r.reshaped(core, of[1:]) if type(core) is not Literal else Literal(core.value.reshape(of[1:])[()])
        if shape(core) == var.shape:
            site.insert(core, [var])
        else:
            inner = fresh(core)
            site.insert(core, [inner])
            trip.rows.insert(0, (broadcast_to, (inner,), var, {"shape": var.shape}, (), None, None, -1))
        gone.add(i)
    site.xs, trip.xs = without(site.xs, gone), without(trip.xs, gone)
    return len(gone)


# ── twice, or not at all ──────────────────────────────────────────────────────


def merged(site: Site) -> int:
    """Consts and xs that are there twice."""
    count = _twins(site.consts, [trip.consts for trip in site.trips], site.trips)
    gone = {i for i, of in enumerate(count) if of != i}
    site.without_consts(gone)
    total = len(gone)
    if site.kind == "scan":
        (trip,) = site.trips
        count = _twins(site.xs, [trip.xs], site.trips)
        gone = {i for i, of in enumerate(count) if of != i}
        site.xs, trip.xs = without(site.xs, gone), without(trip.xs, gone)
        total += len(gone)
    return total


def _twins(atoms: list[Any], variables: list[list[Var]], trips: list[Trip]) -> list[int]:
    """For each operand the first that is the same, which is read in its place from now on."""
    first: dict[Any, int] = {}
    found = []
    for i, atom in enumerate(atoms):
        key = ("literal", literal_key(atom.value)) if type(atom) is Literal else id(atom)
        found.append(first.setdefault((key, variables[0][i].aval), i))
    for i, of in enumerate(found):
        if of != i:
            for trip, vars_ in zip(trips, variables, strict=True):
                trip.put({vars_[i]: vars_[of]})
    return found


def unread(site: Site) -> int:
    """Consts and xs that no equation reads."""
    reads = [trip.reads() for trip in site.trips]
    gone = {
        i for i in range(len(site.consts))
        if not any(trip.consts[i] in read for trip, read in zip(site.trips, reads, strict=True))
    }  # fmt: skip
    site.without_consts(gone)
    total = len(gone)
    if site.kind == "scan":
        (trip,), (read,) = site.trips, reads
        gone = {i for i, var in enumerate(trip.xs) if var not in read}
        site.xs, trip.xs = without(site.xs, gone), without(trip.xs, gone)
        total += len(gone)
    return total


# ── out of the body ───────────────────────────────────────────────────────────


def lifted(site: Site) -> int:
    """Arrays that the bodies hold become consts, each once."""
    held: dict[Any, Literal] = {}
    keys: dict[Literal, Any] = {}

    def look(atom: Any) -> None:
        if type(atom) is Literal and atom not in keys and np.size(atom.value) > SMALL:
            keys[atom] = key = literal_key(atom.value)
            held.setdefault(key, atom)

    for trip in site.trips:
        for row in trip.rows:
            for atom in row[1]:
                look(atom)
        for atom in trip.outs:
            look(atom)
    for key, atom in held.items():
        site.insert(atom, [None] * len(site.trips))
        for trip in site.trips:
            trip.put({other: trip.consts[-1] for other, of in keys.items() if of == key})
    return len(held)
