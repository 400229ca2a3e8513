"""Elements that a loop reads and writes one after another, by a number that counts its trips: these are xs and ys.

`xs[i]` in a loop over i is an x, and the gradient of `xs`, a sum of arrays with one element each, is a y.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from wengert.graph.program import Literal
from wengert.ops.basis import add, cast
from wengert.ops.dtype import truncate
from wengert.ops.index import ARRAY, index, scatter_add
from wengert.passes.control import sums
from wengert.passes.control.sites import Site, Trip


def counted(r: Any, site: Site) -> int:
    """Of a scan: elements of consts, and of sums, in the order of the trips."""
    if site.kind != "scan" or not site.runs:
        return 0
    (trip,) = site.trips
    counters = _counters(site, trip)
    return _read(r, site, trip, counters) + _added(r, site, trip, counters) if counters else 0


def _counters(site: Site, trip: Trip) -> dict[Any, range]:
    """Variables that are the places from `start` on, one for each trip."""
    found: dict[Any, range] = {}
    for atom, var in zip(site.xs, trip.xs, strict=True):
        if type(atom) is Literal and var.shape == () and var.dtype.kind in "iu":
            at = np.asarray(atom.value)
            if at[0] >= 0 and (np.diff(at) == 1).all():
                found[var] = range(int(at[0]), int(at[-1]) + 1)
    for row in trip.rows:
        if row[0] in (truncate, cast) and row[1][0] in found and row[2].dtype.kind in "iu":
            if np.iinfo(row[2].dtype).max >= found[row[1][0]][-1]:
                found[row[2]] = found[row[1][0]]
    return found


def _is_first_axis(row: Any, counters: dict[Any, range], length: int) -> bool:
    """Whether a row indexes the first axis, of `length`, by a counter."""
    spec = row[3]["spec"]
    if len(row[1]) != 2 or row[1][1] not in counters or type(spec) is not tuple or counters[row[1][1]][-1] >= length:
        return False
    return spec[0] is ARRAY and all(isinstance(s, slice) and s == slice(None) for s in spec[1:])


def _read(r: Any, site: Site, trip: Trip, counters: dict[Any, range]) -> int:
    kept = []
    for row in trip.rows:
        const: Any = row[1][0] if row[1] else None
        if row[0] is index and const in trip.consts and _is_first_axis(row, counters, const.shape[0]):
            at = counters[row[1][1]]
            atom = site.consts[trip.consts.index(const)]
            whole = len(at) == const.shape[0]
            r.code, r.lasti = row[6:8]
            site.xs.append(atom if whole else r.emit(index, atom, spec=(slice(at.start, at.stop, 1),)))
            trip.xs.append(row[2])
        else:
            kept.append(row)
    count = len(trip.rows) - len(kept)
    trip.rows = kept
    return count


def _added(r: Any, site: Site, trip: Trip, counters: dict[Any, range]) -> int:
    gone = set()
    for k, (plus, row) in sums.found(trip).items():
        if plus is not add or row is None or row[0] is not scatter_add:
            continue
        of, value = trip.carries[k].shape, row[1][0]
        if type(value) is Literal or value in trip.consts or not _is_first_axis(row, counters, of[0]):
            continue
        at, stack = counters[row[1][1]], sums.stacked(site, trip, value)

        def later(init: Any = site.inits[k], of: Any = of, at: range = at, stack: Any = stack) -> Any:
            y = r.env.get(stack, stack)
            if len(at) < of[0]:
                y = r.emit(scatter_add, y, spec=(slice(at.start, at.stop, 1),), shape=of)
            return y if sums.is_zero(r, init) else r.emit(add, r.env.get(init, init), y)

        site.later.append((site.finals[k], later))
        gone.add(k)
    if gone:
        sums.drop(site, trip, gone)
    return len(gone)
