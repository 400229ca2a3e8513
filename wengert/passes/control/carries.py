"""Carries, results and residuals that nobody needs, that never change, or that are there twice."""

from __future__ import annotations

from typing import Any

from wengert.graph.program import Literal, Program
from wengert.ops.basis import broadcast_to
from wengert.passes.control.sites import Site, literal, without
from wengert.passes.cse import cse, literal_key
from wengert.passes.rewriter import Rewriter, aval, strong


def dropped(site: Site) -> int:
    """Results that nobody reads, and carries that only they and other such carries depend on."""
    if site.kind == "while_pullback":
        return _dropped_pullback(site)
    count = _dropped_stacks(site)
    return count + _dropped_carries(site)


def _dropped_stacks(site: Site) -> int:
    gone = {i for i, var in enumerate(site.stacks) if not site.uses[var]}
    if not gone or (len(gone) == len(site.stacks) and not site.finals):
        return 0  # an equation that nobody needs goes as a whole
    site.stacks = without(site.stacks, gone)
    for trip in site.trips:
        trip.ys = without(trip.ys, gone)
    return len(gone)


def _dropped_carries(site: Site) -> int:
    if not site.inits:
        return 0
    live = {k for k, var in enumerate(site.finals) if site.uses[var]}
    if not live and not any(site.uses[var] for var in site.stacks):
        return 0
    while True:
        needed: set[Any] = set()
        for trip in site.trips:
            needed |= trip.needed([*(trip.nexts[k] for k in live if trip.nexts), *trip.ys])
        new = {k for k in range(len(site.inits)) if k in live or any(trip.carries[k] in needed for trip in site.trips)}
        if new == live:
            break
        live = new
    gone = set(range(len(site.inits))) - live
    if not gone:
        return 0
    site.inits, site.finals = without(site.inits, gone), without(site.finals, gone)
    for trip in site.trips:
        trip.carries = without(trip.carries, gone)
        trip.nexts = without(trip.nexts, gone)
        trip.prune()
    return len(gone)


def _dropped_pullback(site: Site) -> int:
    """Cotangents, then residuals, then carries of the way forwards."""
    cond, forward, backward = site.trips
    live = {k for k, var in enumerate(site.finals) if site.uses[var]}
    if not live:
        return 0
    while True:
        needed = backward.needed(backward.nexts[k] for k in live)
        new = live | {k for k, var in enumerate(backward.carries) if var in needed}
        if new == live:
            break
        live = new
    gone = set(range(len(backward.carries))) - live
    total = len(gone)
    if gone:
        site.xs = without(site.xs, gone)  # those of carries; accumulators, which have no operand, come after them
        site.finals = without(site.finals, gone)
        backward.carries, backward.nexts = without(backward.carries, gone), without(backward.nexts, gone)
        backward.prune()
    read = backward.reads()
    spare = {i for i, var in enumerate(backward.xs) if var not in read}
    if spare:
        forward.ys, backward.xs = without(forward.ys, spare), without(backward.xs, spare)
        total += len(spare)
    kept: set[int] = set()
    while True:
        needed = cond.needed(cond.ys) | forward.needed([*forward.ys, *(forward.nexts[k] for k in kept)])
        new = kept | {k for k in range(len(site.inits)) if cond.carries[k] in needed or forward.carries[k] in needed}
        if new == kept:
            break
        kept = new
    gone = set(range(len(site.inits))) - kept
    if gone:
        site.inits = without(site.inits, gone)
        cond.carries, forward.carries = without(cond.carries, gone), without(forward.carries, gone)
        forward.nexts = without(forward.nexts, gone)
    forward.prune()
    return total + len(gone)


# ── unchanged ─────────────────────────────────────────────────────────────────


def unchanged(site: Site) -> int:
    """Carries that each trip returns as they came are consts, and results are what they began as."""
    if not site.inits:
        return 0
    trip = next(trip for trip in site.trips if trip.nexts)
    gone = {}
    for k, var in enumerate(trip.carries):
        if trip.nexts[k] is var:
            init = site.inits[k]
            init = init if type(init) is not Literal else strong(init, var.dtype)
            if aval(init) == var.aval:
                gone[k] = init
    if not gone:
        return 0
    forwards = site.trips[:2]  # of a pullback, the last one is the way back, which has other carries
    if site.kind != "while_pullback":
        for k, init in gone.items():
            site.give(site.finals[k], init)
        site.finals = without(site.finals, gone)
    for k, init in gone.items():
        site.insert(init, [t.carries[k] if i < 2 else None for i, t in enumerate(site.trips)])
    site.inits = without(site.inits, gone)
    for t in forwards:
        t.carries = without(t.carries, gone)
        t.nexts = without(t.nexts, gone)
    return len(gone)


# ── twice ─────────────────────────────────────────────────────────────────────


def twins(site: Site) -> int:
    """Carries that begin as the same and stay so; ys that are the same."""
    return _twin_stacks(site) + (_twin_carries(site) if site.kind in ("scan", "while_loop") else 0)


def _twin_stacks(site: Site) -> int:
    """Results of scans and switches, and residuals of pullbacks."""
    if site.kind == "while_pullback":
        _, forward, backward = site.trips
        keys = [(_key(a),) for a in forward.ys]
    elif site.kind in ("scan", "switch"):
        keys = [tuple(map(_key, ys)) for ys in zip(*(trip.ys for trip in site.trips), strict=True)]
    else:
        return 0
    first: dict[Any, int] = {}
    of = [first.setdefault(key, i) for i, key in enumerate(keys)]
    gone = {i for i, j in enumerate(of) if i != j}
    if not gone:
        return 0
    if site.kind == "while_pullback":
        backward.put({backward.xs[i]: backward.xs[of[i]] for i in gone})
        forward.ys, backward.xs = without(forward.ys, gone), without(backward.xs, gone)
    else:
        for i in gone:
            site.give(site.stacks[i], site.stacks[of[i]])
        site.stacks = without(site.stacks, gone)
        for trip in site.trips:
            trip.ys = without(trip.ys, gone)
    return len(gone)


def _key(atom: Any) -> Any:
    return ("literal", literal_key(atom.value)) if type(atom) is Literal else id(atom)


def _twin_carries(site: Site) -> int:
    groups: dict[Any, list[int]] = {}
    for k, init in enumerate(site.inits):
        groups.setdefault((_key(init), site.trips[-1].carries[k].aval), []).append(k)
    groups = {key: group for key, group in groups.items() if len(group) > 1}
    trip = site.trips[-1]
    while groups:
        env = {trip.carries[k]: trip.carries[group[0]] for group in groups.values() for k in group[1:]}
        rows = [(row[0], [env.get(a, a) for a in row[1]], *row[2:]) for row in trip.rows]
        outs = cse(Program(trip.ins, rows, [env.get(a, a) for a in trip.nexts])).outs
        split: dict[Any, list[int]] = {}
        for key, group in groups.items():
            for k in group:
                split.setdefault((key, _key(outs[k])), []).append(k)
        split = {key: group for key, group in split.items() if len(group) > 1}
        if sorted(map(tuple, split.values())) == sorted(map(tuple, groups.values())):
            break
        groups = split
    gone = {k: group[0] for group in groups.values() for k in group[1:]}
    if not gone:
        return 0
    for t in site.trips:
        t.put({t.carries[k]: t.carries[of] for k, of in gone.items()})
        t.carries, t.nexts = without(t.carries, gone), without(t.nexts, gone)
    for k, of in gone.items():
        site.give(site.finals[k], site.finals[of])
    site.inits, site.finals = without(site.inits, gone), without(site.finals, gone)
    return len(gone)


# ── ys that need no loop ──────────────────────────────────────────────────────


def known(r: Rewriter, site: Site) -> int:
    """Of a scan: ys that are an x, a const or a literal in every trip are not written by it; and so for other ops."""
    if site.kind == "switch":
        return _known_of_switch(site)
    if site.kind == "while_pullback":
        return _known_residuals(site)
    if site.kind != "scan":
        return 0
    (trip,) = site.trips
    of_x: dict[Any, Any] = dict(zip(trip.xs, site.xs, strict=True))
    of_const: dict[Any, Any] = dict(zip(trip.consts, site.consts, strict=True))
    gone = set()
    for i, (y, var) in enumerate(zip(trip.ys, site.stacks, strict=True)):
        if y in of_x:
            atom = of_x[y] if type(of_x[y]) is not Literal else literal(of_x[y], var)
        elif type(y) is Literal or y in of_const:
            one = strong(of_const.get(y, y), var.dtype)
            if aval(one).weak or aval(one).dtype != var.dtype:
                continue
            atom = r.emit(broadcast_to, one, shape=var.shape)
        else:
            continue
        if atom is None or aval(atom) != var.aval:
            continue
        site.give(var, atom)
        gone.add(i)
    site.stacks, trip.ys = without(site.stacks, gone), without(trip.ys, gone)
    return len(gone)


def _known_residuals(site: Site) -> int:
    """Residuals that are a const or a literal in every trip are not put on the stack."""
    _, forward, backward = site.trips
    env: dict[Any, Any] = {}
    gone = set()
    for i, (y, var) in enumerate(zip(forward.ys, backward.xs, strict=True)):
        one = literal(y, var) if type(y) is Literal else None
        if y in forward.consts:
            one = backward.consts[forward.consts.index(y)]
        if one is not None and one.aval == var.aval:
            env[var] = one
            gone.add(i)
    backward.put(env)
    forward.ys, backward.xs = without(forward.ys, gone), without(backward.xs, gone)
    return len(gone)


def _known_of_switch(site: Site) -> int:
    """Results that are the same operand, or the same literal, in every branch."""
    gone = set()
    for i, var in enumerate(site.stacks):
        found = [_outside(site, trip, trip.ys[i]) for trip in site.trips]
        if any(atom is None for atom in found) or len({_key(atom) for atom in found}) > 1:
            continue
        atom = found[0] if type(found[0]) is not Literal else strong(found[0], var.dtype)
        if aval(atom) == var.aval:
            site.give(var, atom)
            gone.add(i)
    if gone:
        site.stacks = without(site.stacks, gone)
        for trip in site.trips:
            trip.ys = without(trip.ys, gone)
    return len(gone)


def _outside(site: Site, trip: Any, y: Any) -> Any:
    if type(y) is Literal:
        return y
    return next((atom for atom, var in zip(site.consts, trip.consts, strict=True) if var is y), None)
