"""Segments backwards: the trips of one run back in the same loop as those of the next are made again.

A loop over segments runs each of them forwards once more, with stacks, and then backwards. Both loops wait for their own chain of
operations, one trip for the other, and leave the processor idle. Since what makes a segment again does not depend on what the way back
has found, it can be done one segment ahead: one loop of both bodies takes the time of the slower one.

    for each segment:  stacks = forwards(segment); found = backwards(stacks, found)
    becomes            stacks = forwards(first)
                       for each segment:  stacks, found = both(forwards(next), backwards(stacks, found))

The segment after the last is made once for nothing. The stacks of two segments are there at a time in the place of one.

Source  modulo scheduling (Rau & Glaeser 1981; Lam 1988), by hand: the loop is pipelined in two stages.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from wengert.graph.program import Literal, Program, Var
from wengert.ops.index import ARRAY, index
from wengert.ops.shape import flip
from wengert.passes.control.sites import Site, fresh, kind_of, opened
from wengert.passes.rewriter import Notes, Row

SEGMENTS, TRIPS = 8, 64  # no fewer are worth it
SMALL = 1000  # elements that a trip of both bodies computes: larger ones wait for arithmetic, and not for each other
STACKS = 1 << 17  # bytes of stacks that are there twice
LINE = ((), None, None, -1)


def overlap(program: Program, notes: Notes | None = None) -> Program:
    """`program` with its loops over segments pipelined."""
    rows: list[Row] = []
    count = 0
    for row in program.eqns:
        found = _Segments.of(row)
        if found is None:
            rows.append(row)
        else:
            rows += found.rows()
            count += 1
    if not count:
        return program
    if notes is not None:
        notes["loops over segments pipelined"] += count
    return Program(program.ins, rows, program.outs, program.written_out)


class _Segments:
    """A scan over segments: `there` makes the stacks that `back` alone reads, from what the carries do not touch."""

    def __init__(self, row: Row, site: Site, there: Row, back: Row, ahead: list[Row]) -> None:
        self.row, self.site, self.there, self.back, self.ahead = row, site, there, back, ahead
        self.stacks = list(there[2][there[3]["carries"] :])
        self.length, self.count = there[3]["length"], site.params["length"]

    @classmethod
    def of(cls, row: Row) -> _Segments | None:
        if kind_of(row[0]) != "scan" or row[3]["length"] < SEGMENTS or not row[3]["carries"]:
            return None
        site = opened(row[0], row[1], row[2], row[3])
        (trip,) = site.trips
        loops = [r for r in trip.rows if kind_of(r[0]) is not None]
        if [kind_of(r[0]) for r in loops] != ["scan", "scan"]:
            return None
        there, back = loops
        if not _are_a_pair(there, back, trip.rows, trip.outs):
            return None
        ahead = _ahead(there, trip.rows, trip.carries)
        if ahead is None or any(v.weak for v in trip.ins):
            return None
        return cls(row, site, there, back, ahead)

    # ── outside ───────────────────────────────────────────────────────────────

    def rows(self) -> list[Row]:
        site, (trip,) = self.site, self.site.trips
        read = {a for r in (*self.ahead, self.there) for a in r[1] if type(a) is not Literal}
        slices = [(x, v) for x, v in zip(site.xs, trip.xs, strict=True) if v in read]
        first = self.count - 1 if site.params["reverse"] else 0
        rows: list[Row] = []
        env: dict[Any, Any] = dict(zip(trip.consts, site.consts, strict=True))
        for x, v in slices:
            env[v] = fresh(v)
            rows.append((index, [x], env[v], {"spec": (first,)}, *LINE))
        rows += _renamed([*self.ahead, self.there], env)
        begun = [env[v] for v in self.stacks]
        numbers = np.clip(np.arange(self.count) + (-1 if site.params["reverse"] else 1), 0, self.count - 1)
        body = self._body(slices)
        consts = [*site.consts, *(x for x, _ in slices)]
        inits, xs = [*site.inits, *begun], [*site.xs, Literal(numbers)]
        last = [fresh(v) for v in self.stacks]
        params = {**site.settings(), "body": body, "consts": len(consts), "carries": len(inits)}
        outs = (*site.finals, *last, *site.stacks)
        rows.append((self.row[0], [*consts, *inits, *xs], outs, params, *self.row[4:]))
        return rows

    # ── inside ────────────────────────────────────────────────────────────────

    def _body(self, slices: Sequence[tuple[Any, Var]]) -> Program:
        (trip,) = self.site.trips
        wholes = [fresh(x) for x, _ in slices]
        number = Var((), np.dtype(np.int64))
        held = [fresh(v) for v in self.stacks]
        env: dict[Any, Any] = {v: v for v in trip.consts}
        rows: list[Row] = []
        for whole, (_, v) in zip(wholes, slices, strict=True):
            env[v] = fresh(v)
            rows.append((index, [whole, number], env[v], {"spec": (ARRAY,)}, *LINE))
        rows += _renamed(self.ahead, env)
        operands = [env.get(a, a) for a in self.there[1]]
        made = [fresh(v) for v in self.stacks]
        for row in trip.rows:
            if row is self.back:
                rows += self._both(operands, dict(zip(self.stacks, held, strict=True)), made)
            elif row is not self.there:
                rows.append(row)
        ins = [*trip.consts, *wholes, *trip.carries, *held, *trip.xs, number]
        return Program(ins, rows, [*trip.nexts, *made, *trip.ys]).pruned()

    def _both(self, operands: Sequence[Any], held: Mapping[Any, Var], made: Sequence[Var]) -> list[Row]:
        """One loop of both bodies, in the order of `there`; what `back` reads of each trip it reads from the end."""
        one = opened(self.there[0], operands, self.there[2], self.there[3])
        two = opened(self.back[0], self.back[1], self.back[2], self.back[3])
        (a,), (b,) = one.trips, two.trips
        rows: list[Row] = []
        turned: dict[Any, Any] = {}
        for x in two.xs:
            if id(x) not in turned:
                turned[id(x)] = out = fresh(x)
                rows.append((flip, [held.get(x, x)], out, {"axes": (0,)}, *LINE))
        env: dict[Any, Any] = {v: fresh(v) for v in a.ins}
        body_rows = [*_renamed(a.rows, env), *b.rows]
        outs = [*(env.get(v, v) for v in a.nexts), *b.nexts, *(env.get(v, v) for v in a.ys), *b.ys]
        consts, carries, xs = ([env[v] for v in group] for group in (a.consts, a.carries, a.xs))
        ins = [*consts, *b.consts, *carries, *b.carries, *xs, *b.xs]
        body = Program(ins, body_rows, outs)
        back_stacks = [fresh(v) for v in two.stacks]
        results = (*(fresh(v) for v in one.finals), *two.finals, *made, *back_stacks)
        params = {
            **one.settings(), "body": body, "consts": len(a.consts) + len(b.consts),
            "carries": len(a.carries) + len(b.carries),
        }  # fmt: skip
        ins = [*one.consts, *two.consts, *one.inits, *two.inits, *one.xs, *(turned[id(x)] for x in two.xs)]
        rows.append((self.there[0], ins, results, params, *self.back[4:]))
        rows += [
            (flip, [new], old, {"axes": (0,)}, *LINE) for new, old in zip(back_stacks, two.stacks, strict=True)
        ]  # fmt: skip
        return rows


def _are_a_pair(there: Row, back: Row, rows: Sequence[Row], outs: Sequence[Any]) -> bool:
    """Whether `back` runs the other way, and reads the stacks of `there`, which nobody else does; and both are small."""
    one, two = there[3], back[3]
    if one["length"] != two["length"] or one["length"] < TRIPS or one["reverse"] == two["reverse"]:
        return False
    if not one["carries"] or not two["carries"]:
        return False
    uses = Counter(a for r in rows for a in r[1] if type(a) is not Literal)
    uses.update(a for a in outs if type(a) is not Literal)
    read = Counter(a for a in back[1][two["consts"] + two["carries"] :] if type(a) is not Literal)
    finals, stacks = there[2][: one["carries"]], there[2][one["carries"] :]
    if any(uses[v] for v in finals) or not stacks or any(uses[v] != read[v] or not read[v] for v in stacks):
        return False
    if sum(v.aval.size * v.dtype.itemsize for v in stacks) > STACKS:
        return False
    bodies = one["body"], two["body"]
    if any(v.weak for body in bodies for v in body.ins) or any(_branches(body) for body in bodies):
        return False
    return sum(v.aval.size for p in bodies for r in p.eqns for v in (r[2] if r[0].multi else (r[2],))) <= SMALL


def _branches(body: Program) -> bool:
    return any(kind_of(r[0]) is not None for r in body.eqns)


def _ahead(there: Row, rows: Sequence[Row], carries: Sequence[Var]) -> list[Row] | None:
    """The equations that `there` needs, without the barriers that let it wait for the carries; None if it needs these."""
    makers = {v: r for r in rows for v in (r[2] if r[0].multi else (r[2],))}
    needed: dict[int, Row] = {}
    blocked = set(carries)
    stack = [a for a in there[1] if type(a) is not Literal]
    while stack:
        a = stack.pop()
        if a in blocked:
            return None
        row = makers.get(a)
        if row is None or id(row) in needed:
            continue
        if kind_of(row[0]) is not None:
            return None
        needed[id(row)] = row
        operands = row[1][:1] if row[0].name == "barrier" else row[1]
        stack += [b for b in operands if type(b) is not Literal]
    return [r for r in rows if id(r) in needed]


def _renamed(rows: Sequence[Row], env: dict[Any, Any]) -> list[Row]:
    """Copies of equations on what `env` says, which learns of their results; of barriers, their operand remains."""
    found: list[Row] = []
    for row in rows:
        op, ins, outs, params = row[:4]
        ins = [env.get(a, a) for a in ins]
        if op.name == "barrier":
            env[outs] = ins[0]
            continue
        new: Any = tuple(fresh(v) for v in outs) if op.multi else fresh(outs)
        env.update(zip(outs, new, strict=True) if op.multi else [(outs, new)])
        found.append((op, ins, new, params, (), None, *row[6:8]))
    return found
