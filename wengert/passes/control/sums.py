"""Sums over trips: carries of the form acc' = acc + v that nothing else in the body reads.

The gradient of a matrix that a loop multiplies vectors by is a sum of outer products, one for each trip. Each of them is as large
as the matrix; their factors are vectors. So the factors are stacked, and contracted once, after the loop. Sums that are
added up after the loop are one sum.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np

from wengert.graph.program import Literal, Var
from wengert.ops.basis import add
from wengert.ops.contract import LABELS, contract, matmul
from wengert.ops.elementwise import sub
from wengert.passes.contraction import named
from wengert.passes.control.sites import Site, Trip, fresh, without
from wengert.passes.rewriter import Row, aval

LEAST = 64  # elements of a sum from which its terms are looked at; smaller ones may stay in registers


def split(r: Any, site: Site) -> int:
    """Sums of products that are larger than their factors: the factors are stacked, the sum is made afterwards."""
    if site.kind != "scan" or not site.runs:
        return 0
    (trip,) = site.trips
    gone = set()
    for k, (plus, term) in found(trip).items():
        row = term
        if row is None or trip.carries[k].aval.size < LEAST or row[0] not in (contract, matmul):
            continue
        names = named(row[1], row[2], row[3])
        if names is None or not _pays(site, trip, row):
            continue
        operands = [stacked(site, trip, a) for a in row[1]]
        label = next(c for c in LABELS if c not in "".join(names))
        strong = {"strong": row[3]["strong"]} if row[3].get("strong") is not None else {}
        subscripts = f"{label}{names[0]},{label}{names[1]}->{names[2]}"

        def later(
            plus: Any = plus, init: Any = site.inits[k], operands: Any = operands, subscripts: Any = subscripts,
            strong: Any = strong,
        ) -> Any:  # fmt: skip
            total = r.emit(contract, *(r.env.get(a, a) for a in operands), subscripts=subscripts, **strong)
            return total if plus is add and is_zero(r, init) else r.emit(plus, r.env.get(init, init), total)

        site.later.append((site.finals[k], later))
        gone.add(k)
    if gone:
        drop(site, trip, gone)
    return len(gone)


def found(trip: Trip) -> dict[int, tuple[Any, Row | None]]:
    """Of each carry that only adds up: the op, and the equation that makes the term if only the sum reads it."""
    uses = Counter(a for row in trip.rows for a in row[1] if type(a) is not Literal)
    uses.update(a for a in trip.outs if type(a) is not Literal)
    made = {row[2]: row for row in trip.rows if not row[0].multi}
    sums: dict[int, tuple[Any, Row | None]] = {}
    for k, (var, out) in enumerate(zip(trip.carries, trip.nexts, strict=True)):
        row = made.get(out)
        if row is None or row[0] not in (add, sub) or uses[var] != 1 or uses[out] != 1 or var not in row[1]:
            continue
        x, y = row[1]
        if row[0] is sub and x is not var:
            continue
        term = y if x is var else x
        if aval(term) == var.aval:
            sums[k] = row[0], made.get(term) if uses[term] == 1 else None
    return sums


def _pays(site: Site, trip: Trip, row: Row) -> bool:
    """Whether the factors that must be stacked are smaller than the product; they may not be the same in all trips."""
    size = 0
    known = [*trip.xs, *trip.ys]
    for a in row[1]:
        if type(a) is Literal or a in trip.consts or a.weak:
            return False
        size += 0 if a in known else a.aval.size
    return row[2].aval.size > size


def stacked(site: Site, trip: Trip, atom: Any) -> Any:
    """The values of `atom` in all trips."""
    if atom in trip.xs:
        return site.xs[trip.xs.index(atom)]
    if atom in trip.ys:
        var = site.stacks[trip.ys.index(atom)]
    else:
        var = Var((site.params["length"], *atom.shape), atom.dtype)
        trip.ys.append(atom)
        site.stacks.append(var)
    site.uses[var] += 1
    return var


def drop(site: Site, trip: Trip, gone: set[int]) -> None:
    site.inits, site.finals = without(site.inits, gone), without(site.finals, gone)
    trip.carries, trip.nexts = without(trip.carries, gone), without(trip.nexts, gone)
    trip.prune()


# ── sums of sums ──────────────────────────────────────────────────────────────


def joined(r: Any, site: Site) -> int:
    """Sums whose results nobody reads but one larger sum are carried as one."""
    if site.kind not in ("scan", "while_pullback") or len(site.finals) < 2:
        return 0
    trip = site.trips[-1]
    sums = {site.finals[k]: k for k, (plus, _) in found(trip).items() if plus is add}
    groups: dict[Any, list[int]] = {}
    for var, k in sums.items():
        if site.uses[var] == 1 and (root := r.root_of(var)) is not None:
            groups.setdefault((root, var.aval), []).append(k)
    begins = site.inits if site.kind == "scan" else site.xs
    starts = len(begins)
    made = {row[2]: i for i, row in enumerate(trip.rows) if not row[0].multi}
    gone = set()
    for group in groups.values():
        first, *rest = group
        zero = [k for k in rest if k >= starts or is_zero(r, begins[k])]
        for k in zero:
            here, there = made[trip.nexts[k]], made[trip.nexts[first]]
            term = next(a for a in trip.rows[here][1] if a is not trip.carries[k])
            at = max(here, there)
            old = trip.nexts[first]
            new = fresh(old)
            trip.rows.insert(at + 1, (add, [old, term], new, {}, (), None, *trip.rows[here][6:8]))
            trip.nexts[first] = new
            made = {row[2]: i for i, row in enumerate(trip.rows) if not row[0].multi}
            site.give(site.finals[k], r.full(-0.0, site.finals[k]))
            gone.add(k)
    if gone:
        if site.kind == "scan":
            drop(site, trip, gone)
        else:
            site.xs, site.finals = without(site.xs, gone), without(site.finals, gone)
            trip.carries, trip.nexts = without(trip.carries, gone), without(trip.nexts, gone)
            trip.prune()
    return len(gone)


def is_zero(r: Any, atom: Any) -> bool:
    return (
        not atom.value.any() if type(atom) is Literal and isinstance(atom.value, np.ndarray) else r.uniform(atom) == 0
    )
