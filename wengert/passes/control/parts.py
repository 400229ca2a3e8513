"""Products with a constant matrix of which a part is known beforehand, or needed afterwards, apart from the rest.

A cell that multiplies one matrix by its input and its state together, put side by side, has two products in it; so has the way
back, which takes the result apart again. One of the two can be made at once for all trips: see `products.py`.
"""

from __future__ import annotations

from typing import Any

from wengert.graph.program import Literal, Var
from wengert.ops.basis import add
from wengert.ops.contract import contract
from wengert.ops.index import index
from wengert.ops.shape import concatenate
from wengert.passes.contraction import named
from wengert.passes.control import products
from wengert.passes.control.sites import Site, Trip, fresh
from wengert.passes.rewriter import Row
from wengert.passes.rules.indexing import as_spec, places


def split(r: Any, site: Site) -> int:
    """Products of a const and parts side by side, some of them xs, and products that are read in parts."""
    if site.kind != "scan" or not site.runs:
        return 0
    (trip,) = site.trips
    made = {row[2]: row for row in trip.rows if not row[0].multi}
    rows, count = [], 0
    taken = _taken_apart(trip)
    for row in trip.rows:
        found = products.factors(trip, row)
        new = None
        if found is not None:
            joined = made.get(row[1][found])
            if joined is not None and joined[0] is concatenate and _pays(trip, row[1][1 - found], joined):
                new = _of_parts(r, site, trip, row, found, joined)
            elif row[2] in taken:
                new = _in_parts(r, site, trip, row, found, taken[row[2]])
        count += new is not None
        rows += [row] if new is None else new
    if count:
        done = {row[2] for row in rows if row[0] is contract}
        trip.rows = [row for row in rows if row[0] is not index or row[2] not in done]
    return count


def _slice(r: Any, site: Site, trip: Trip, row: Row, found: int, axis: int, part: slice) -> Any:
    """A part of the matrix, taken outside."""
    const = site.consts[trip.consts.index(row[1][1 - found])]
    spec = tuple(part if a == axis else slice(None) for a in range(row[1][1 - found].aval.ndim))
    r.code, r.lasti = row[6:8]
    return r.emit(index, const, spec=spec)


def _product(row: Row, found: int, names: tuple[str, str, str], matrix: Any, other: Any, out: Var) -> Row:
    strong = {"strong": row[3]["strong"]} if row[3].get("strong") is not None else {}
    ins = [matrix, other] if found else [other, matrix]
    params = {"subscripts": f"{names[0]},{names[1]}->{names[2]}", **strong}
    return (contract, ins, out, params, (), None, *row[6:8])


def _pays(trip: Trip, matrix: Var, joined: Row) -> bool:
    """Whether a part of the product, large enough, can be made beforehand."""
    parts = list(zip(joined[1], joined[3]["sizes"], strict=True))
    known = sum(size for a, size in parts if a in trip.xs)
    return known * matrix.aval.size >= products.LEAST * sum(size for _, size in parts)


def _of_parts(r: Any, site: Site, trip: Trip, row: Row, found: int, joined: Row) -> list[Row] | None:
    """One product for each part, and their sum."""
    names = named(row[1], row[2], row[3])
    assert names is not None
    label = names[found][joined[3]["axis"]]
    if label in names[2] or label not in names[1 - found]:
        return None
    axis, begin, terms, rows = names[1 - found].index(label), 0, [], []
    for atom, size in zip(joined[1], joined[3]["sizes"], strict=True):
        if type(atom) is Literal:
            return None
        cut = _slice(r, site, trip, row, found, axis, slice(begin, begin + size, 1))
        site.insert(cut, [None])
        terms.append(fresh(row[2]))
        rows.append(_product(row, found, names, trip.consts[-1], atom, terms[-1]))
        begin += size
    total = terms[0]
    for term in terms[1:]:
        out = row[2] if term is terms[-1] else fresh(row[2])
        rows.append((add, [total, term], out, {}, (), None, *row[6:8]))
        total = out
    return rows if len(terms) > 1 else None


def _taken_apart(trip: Trip) -> dict[Any, list[Row]]:
    """Of each variable that only equations read which take a part of it, these."""
    found: dict[Any, list[Row]] = {}
    whole = set(trip.outs)
    for row in trip.rows:
        for a in row[1]:
            if type(a) is Literal:
                continue
            if row[0] is index and len(row[1]) == 1:
                found.setdefault(a, []).append(row)
            else:
                whole.add(a)
    return {a: rows for a, rows in found.items() if a not in whole}


def _in_parts(r: Any, site: Site, trip: Trip, row: Row, found: int, readers: list[Row]) -> list[Row] | None:
    """One product for each part that is read, in the place of what takes it."""
    names = named(row[1], row[2], row[3])
    assert names is not None
    cuts = []
    for reader in readers:
        at = places(reader[3]["spec"], row[2].shape)
        if at is None or not all(isinstance(p, range) and p.step == 1 for p in at):
            return None
        partial = [a for a, (p, n) in enumerate(zip(at, row[2].shape, strict=True)) if p != range(n)]
        if len(partial) != 1 or (label := names[2][partial[0]]) not in names[1 - found] or label in names[found]:
            return None
        cuts.append((names[1 - found].index(label), as_spec(at)[partial[0]]))
    rows = []
    for reader, (axis, part) in zip(readers, cuts, strict=True):
        site.insert(_slice(r, site, trip, row, found, axis, part), [None])
        rows.append(_product(row, found, names, trip.consts[-1], row[1][found], reader[2]))
    return rows
