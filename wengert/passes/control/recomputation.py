"""What the way back can compute again for less than it costs to keep.

A loop forwards stacks what its pullback, a loop backwards, needs of each trip. Of these residuals some are cheap functions of
others, of consts and of xs: these are computed again in the trip backwards. So are residuals that are cheap functions of the
carries that a trip begins with, if these are stacked instead and are smaller.

Source  Griewank & Walther (2008), Evaluating Derivatives, ch. 12, for the trade; the choice here is a greedy one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wengert.core.form import Map, Move, Reshape
from wengert.graph.program import Literal, Var
from wengert.ops.basis import broadcast_to, reshape, scale, transpose
from wengert.ops.dtype import truncate
from wengert.ops.elementwise import div, mul, reciprocal, unscale
from wengert.ops.index import index
from wengert.ops.shape import concatenate
from wengert.passes.control.sites import Site, Trip, fresh, kind_of, opened, without
from wengert.passes.cse import frozen, literal_key
from wengert.passes.reciprocals import inverts_exactly
from wengert.passes.rewriter import Rewriter, Row, aval, is_real

CHEAP = 5  # additions that one equation may cost for an element
WORTH = 6  # additions for an element that need not be kept, all in all
MOVES = frozenset({broadcast_to, reshape, transpose})


def recomputed(r: Any, site: Site) -> int:
    """Residuals that the site, if it is a way back, computes again; how many."""
    if site.kind == "while_pullback":
        return _of_pullback(site)
    if site.kind != "scan" or not site.runs:
        return 0
    count = 0
    for row in {id(row): row for atom in site.xs if (row := r.made.get(atom)) is not None}.values():
        if kind_of(row[0]) == "scan" and row[3]["length"] == site.params["length"] and row[2] != tuple(site.results):
            count += _of_scan(r, site, row)
    return count


def _of_scan(r: Any, site: Site, row: Row) -> int:
    """For what another scan has stacked."""
    source = opened(row[0], row[1], row[2], row[3])
    (forward,), (trip,) = source.trips, site.trips
    atoms = dict(zip(source.stacks, forward.ys, strict=True))
    read = {atoms[x]: i for i, x in enumerate(site.xs) if x in atoms}
    kept = {y: trip.xs[i] for y, i in read.items()}
    if site.params["reverse"] != source.params["reverse"]:
        kept |= _along(source, site, kept)
    count = _inverted(forward, trip, kept)
    compared = _compared(trip)
    own = {y for x, y in atoms.items() if r.uses[x] == 1 and (y not in read or trip.xs[read[y]] not in compared)}
    plan = _planned(forward, [y for y in read if y in own and type(y) is Var], [y for y in read if y not in own])
    if plan is None:
        return count
    gone, extra, rows = plan
    env: dict[Any, Any] = {y: trip.xs[i] for y, i in read.items() if y not in gone}
    if extra:
        for var, stack in zip(extra, r.extended(row, extra), strict=True):
            env[var] = _appended(site, trip, stack, var)
    for var, x in zip(forward.xs, source.xs, strict=True):
        if _is_read(rows, var) and var not in env:
            env[var] = _appended(site, trip, x, var)
    for var, atom in zip(forward.consts, source.consts, strict=True):
        if _is_read(rows, var):
            site.insert(atom, [None])
            env[var] = trip.consts[-1]
    _computed(trip, rows, env, {y: trip.xs[read[y]] for y in gone})
    numbers = {read[y] for y in gone}
    site.xs, trip.xs = without(site.xs, numbers), without(trip.xs, numbers)
    return count + len(gone)


def _compared(trip: Trip) -> set[Any]:
    """What is compared for equality, and what that is a movement of: it must be what it was, to the last bit."""
    found: set[Any] = set()
    for row in reversed(trip.rows):
        moved_on = not row[0].multi and row[2] in found and _cost(row) == 0
        found.update(a for a in (row[1] if moved_on else [row[1][i] for i in row[0].exact]) if type(a) is Var)
    return found


def _along(source: Site, site: Site, kept: dict[Any, Var]) -> dict[Any, Var]:
    """Carries as they left a trip of `source`, which the way back carries from the trip that came after."""
    (forward,), (trip,) = source.trips, site.trips
    found = {}
    for init, var, after in zip(site.inits, trip.carries, trip.nexts, strict=True):
        if type(init) is not Literal and init in source.finals:
            k = source.finals.index(init)
            if after is kept.get(forward.carries[k]):
                found[forward.nexts[k]] = var
    return found


def _appended(site: Site, trip: Trip, atom: Any, like: Var) -> Var:
    site.xs.append(atom)
    trip.xs.append(fresh(like))
    return trip.xs[-1]


def _of_pullback(site: Site) -> int:
    _, forward, backward = site.trips
    first = {y: i for i, y in reversed(list(enumerate(forward.ys)))}
    count = _inverted(forward, backward, {y: backward.xs[i] for y, i in first.items()})
    compared = _compared(backward)
    loose = [y for y in first if type(y) is Var and backward.xs[first[y]] not in compared]
    plan = _planned(forward, loose, [y for y in first if y not in loose])
    if plan is None:
        return count
    gone, extra, rows = plan
    env: dict[Any, Any] = {y: backward.xs[i] for y, i in first.items() if y not in gone}
    env.update(zip(forward.consts, backward.consts, strict=True))
    for var in extra:
        forward.ys.append(var)
        backward.xs.append(fresh(var))
        env[var] = backward.xs[-1]
    _computed(backward, rows, env, {y: backward.xs[first[y]] for y in gone})
    numbers = {i for y, i in first.items() if y in gone}
    forward.ys, backward.xs = without(forward.ys, numbers), without(backward.xs, numbers)
    return count + len(gone)


def _is_read(rows: Sequence[Row], var: Var) -> bool:
    return any(a is var for row in rows for a in row[1])


def _computed(trip: Trip, rows: Sequence[Row], env: dict[Any, Any], wanted: dict[Any, Var]) -> None:
    """Begin `trip` with these equations, which make what the variables `wanted` stood for."""
    new = []
    for row in rows:
        env[row[2]] = out = wanted.get(row[2]) or fresh(row[2])
        new.append((row[0], [env.get(a, a) for a in row[1]], out, row[3], (), None, *row[6:8]))
    trip.rows = [*new, *trip.rows]


def _inverted(forward: Trip, backward: Trip, kept: dict[Any, Var]) -> int:
    """Divisions become products where the reciprocal of the divisor is a residual."""
    facts = Rewriter({})
    facts.rows = forward.rows
    facts.made = {row[2]: row for row in forward.rows if not row[0].multi}
    inverses = [row for row in forward.rows if row[0] is reciprocal and row[2] in kept and is_real(row[2].dtype)]
    inverses = [row for row in inverses if inverts_exactly(facts, row[1][0])]
    if not inverses:
        return 0
    there = facts.made
    here = {row[2]: row for row in backward.rows if not row[0].multi}

    def is_same(a: Any, b: Any) -> bool:
        """Whether `a` of the way back is `b` of the way forwards, both made in one way of residuals and literals."""
        if b in kept:
            return a is kept[b]
        if type(a) is Literal and type(b) is Literal:
            return literal_key(a.value) == literal_key(b.value)
        x, y = here.get(a), there.get(b)
        if x is None or y is None or x[0] is not y[0] or len(x[1]) != len(y[1]) or frozen(x[3]) != frozen(y[3]):
            return False
        return all(map(is_same, x[1], y[1]))

    count = 0
    for i, row in enumerate(backward.rows):
        if row[0] in (div, unscale):
            inverse = next((kept[r[2]] for r in inverses if is_same(row[1][1], r[1][0])), None)
            if inverse is not None and inverse.dtype == row[2].dtype:
                op = mul if row[0] is div else scale
                backward.rows[i] = (op, [row[1][0], inverse], row[2], {}, (), None, *row[6:8])
                count += 1
    return count


# ── the choice ────────────────────────────────────────────────────────────────


def _planned(trip: Trip, wanted: Sequence[Var], others: Sequence[Any]) -> tuple[set[Any], list[Var], list[Row]] | None:
    """Of the residuals `wanted` those to compute again, carries to keep for it, and the equations in order; None for nothing.

    `others` are there in any case.
    """
    made = {row[2]: row for row in trip.rows if not row[0].multi}
    kept = set(others)
    slices: dict[Any, tuple[set[int], set[Var]] | None] = {}
    leaves = {*trip.consts, *trip.xs}
    order = {id(row): i for i, row in enumerate(trip.rows)}

    def of(atom: Any) -> tuple[set[int], set[Var]] | None:
        """The equations and carries that `atom` is made of, unless it takes more than cheap ones."""
        if type(atom) is Literal or atom in leaves or atom in kept:
            return set(), set()
        if atom not in slices:
            slices[atom] = _sliced(atom)
        return slices[atom]

    def _sliced(atom: Any) -> tuple[set[int], set[Var]] | None:
        row = made.get(atom)
        if row is None:
            return (set(), {atom}) if atom in trip.carries else None
        if _cost(row) is None:
            return None
        rows, carries = {order[id(row)]}, set()
        for a in row[1]:
            if (part := of(a)) is None:
                return None
            rows |= part[0]
            carries |= part[1]
        return rows, carries

    for y in sorted(wanted, key=lambda y: order[id(made[y])] if y in made else -1):
        if y not in made or of(y) is None:
            kept.add(y)  # which what is made of it may read
            slices.clear()
    free = {y for y in wanted if y not in kept and not of(y)[1]}  # type: ignore[index]
    free = {y for y in free if _total(trip, of(y)[0]) <= WORTH * y.aval.size}  # type: ignore[index]
    rest = {y for y in wanted if y not in kept and y not in free and of(y)[1]}  # type: ignore[index]
    extra = {v for y in rest for v in of(y)[1]}  # type: ignore[index]
    rows = {i for y in rest for i in of(y)[0]}  # type: ignore[index]
    saved = sum(y.aval.size for y in rest) - sum(v.aval.size for v in extra)
    if saved <= 0 or _total(trip, rows) > WORTH * saved:
        rest, extra, rows = set(), set(), set()
    gone = free | rest
    for y in free:
        rows |= of(y)[0]  # type: ignore[index]
    if not gone:
        return None
    return gone, [v for v in trip.carries if v in extra], [trip.rows[i] for i in sorted(rows)]


def _total(trip: Trip, rows: set[int]) -> int:
    return sum((_cost(trip.rows[i]) or 0) * trip.rows[i][2].aval.size for i in rows)


def _decides(row: Row) -> bool:
    """Whether it is a decision (a comparison, a floor) about floats: made a second time it might fall otherwise."""
    op, ins, out = row[:3]
    return (
        op.constant
        and (op is not truncate or out.dtype.kind not in "fc")
        and any(aval(a).dtype.kind in "fc" for a in ins)
    )


def _cost(row: Row) -> int | None:
    """Additions for an element of the result; None if it is not cheap."""
    op, ins, out = row[:3]
    form = op.lower
    if op.multi or out.weak or _decides(row):
        return None
    if op in MOVES or type(form) in (Move, Reshape):
        return 0
    if op is index:
        return 0 if len(ins) == 1 else None
    if op is concatenate:
        return 1
    return form.cost if type(form) is Map and form.cost <= CHEAP else None
