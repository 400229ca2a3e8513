"""Loops backwards with plain products, and once more with strong ones if anything came out NaN.

A strong product is zero where its cotangent is, whatever the slope. To select that zero is most of what a trip of a small loop
waits for. A plain product is the same, or NaN. So the loop runs with plain products; if no result is NaN, no NaN has been
in anything that results depend on, and they are what strong products give (signs of zeros aside). Otherwise the loop runs as
it was, and tells which NaNs are real.

That holds as long as a NaN spoils whatever is made of it, unless it is dropped by a selection that does not depend on it. So only
loops are taken in which values that come from strong products meet arithmetic, sums and movements alone: no comparison, no
conversion to integers.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.core.op import OPS
from wengert.graph.program import Program, Var
from wengert.ops.basis import add, broadcast_to, cast, neg, reduce_sum, reshape, scale, strong_mul, transpose
from wengert.ops.contract import contract, matmul
from wengert.ops.dtype import truncate
from wengert.ops.elementwise import div, mul, reciprocal, square, sub, unscale
from wengert.ops.index import index, index_put, scatter_add
from wengert.ops.logic import isnan, logical_or
from wengert.ops.reduce import reduce_any
from wengert.ops.select import where
from wengert.ops.shape import concatenate, flip
from wengert.passes.rewriter import Notes, is_real

PLAIN = {scale: mul, strong_mul: mul, unscale: div}
SPREADING = frozenset({
    add, sub, neg, mul, div, scale, unscale, strong_mul, reciprocal, square, cast, reduce_sum, broadcast_to, reshape, transpose, flip,
    concatenate, contract, matmul,
})  # fmt: skip
VALUES = {where: (1, 2), index: (0,), scatter_add: (0,), index_put: (0, 1)}  # the operands of which a NaN spreads
LARGEST = 1000  # elements that a trip computes: larger bodies wait for memory
LONG = 64  # trips of a loop within a loop, beside which a look at its results is nothing
STACKED = 8  # elements that a trip may leave in results, for they are looked at, and perhaps copied


def speculation(program: Program, notes: Notes | None = None) -> Program:
    """`program`, with loops that are worth it run with plain products first."""
    rows: list[Any] = []
    count = 0
    for row in program.eqns:
        inner = _within(row)
        if inner is not row:
            rows.append(inner)
            count += 1
            continue
        plain = _plain(row)
        if plain is None:
            rows.append(row)
        else:
            rows += _tried(row, *plain, rows)
            count += 1
    if not count:
        return program
    if notes is not None:
        notes["loops tried with plain products first"] += count
    return Program(program.ins, rows, program.outs)


def _within(row: Any) -> Any:
    """A loop whose body holds long loops, each of which is tried by itself."""
    op, params = row[0], row[3]
    if op.name not in ("scan", "while_loop"):
        return row
    body = params["body"]
    rows: list[Any] = []
    for inner in body.eqns:
        new = _within(inner)
        long = inner[0].name == "scan" and inner[3]["length"] >= LONG
        plain = _plain(inner) if new is inner and long else None
        rows += [new] if plain is None else _tried(inner, *plain, rows)
    if len(rows) == len(body.eqns) and all(map(operator.is_, rows, body.eqns)):
        return row
    body = Program(body.ins, rows, body.outs, body.written_out)
    return (op, row[1], row[2], {**params, "body": body}, *row[4:])


def _plain(row: Any) -> tuple[dict[str, Any], list[bool]] | None:
    """The loop's parameters with plain products, and which results may be NaN for that; None if it is not to be tried."""
    op, params = row[0], row[3]
    if op.name == "scan" and params["carries"]:
        name, first, carries = "body", params["consts"], params["carries"]
    elif op.name == "while_pullback":
        name, first = "backward", params["consts"]
        carries = len(params["backward"].outs)
    else:
        return None
    body = params[name]
    if sum(v.aval.size for r in body.eqns for v in (r[2] if r[0].multi else (r[2],))) > LARGEST:
        return None
    if not any(r[0] in PLAIN and is_real(r[2].dtype) for r in body.eqns):
        return None
    spoilt = _spoilt(body, first, carries)
    if (
        spoilt is None
        or sum(a.aval.size for a, s in zip(body.outs[carries:], spoilt[carries:], strict=True) if s) > STACKED
    ):
        return None
    eqns = [
        (PLAIN[r[0]], *r[1:]) if r[0] in PLAIN and is_real(r[2].dtype) else r for r in body.eqns
    ]  # fmt: skip
    return {**params, name: Program(body.ins, eqns, body.outs, body.written_out)}, spoilt


def _spoilt(body: Program, first: int, carries: int) -> list[bool] | None:
    """The outputs that a NaN of a product may reach; None if it may also reach a decision."""
    mask = [False] * carries
    while True:
        live = {v for v, m in zip(body.ins[first : first + carries], mask, strict=True) if m}
        for row in body.eqns:
            op, ins, outs = row[:3]
            at = [i for i, a in enumerate(ins) if isinstance(a, Var) and a in live]
            if at and op not in SPREADING and any(i not in VALUES.get(op, ()) for i in at):
                return None
            if at or (op in PLAIN and is_real(outs.dtype)):
                live.update(outs if op.multi else (outs,))
        found = [isinstance(a, Var) and a in live for a in body.outs]
        new = [a or b for a, b in zip(mask, found, strict=False)]
        if new == mask:
            return found
        mask = new


def _tried(row: Any, params: dict[str, Any], spoilt: Sequence[bool], before: Sequence[Any]) -> list[Any]:
    """The plain loop, the look at its results, and the switch to the strong one. Arrays that are read from their end are turned
    within the switch, since it would be given copies."""
    op, ins, outs, own, _, _, code, lasti = row
    turned = {r[2]: r for r in before if r[0] is flip}
    line = ((), None, code, lasti)
    plain = tuple(type(v)(v.shape, v.dtype) if s else v for v, s in zip(outs, spoilt, strict=True))
    rows: list[Any] = [(op, ins, plain, params, *line)]
    bad: Any = None
    for v, s in zip(plain, spoilt, strict=True):
        if not s or not v.aval.size:
            continue
        one = Var(v.shape, np.dtype(bool))
        rows.append((isnan, [v], one, {}, *line))
        if v.shape:
            all_, one = one, Var((), np.dtype(bool))
            rows.append((reduce_any, [all_], one, {"axes": tuple(range(len(v.shape)))}, *line))
        if bad is not None:
            both = Var((), np.dtype(bool))
            rows.append((logical_or, [bad, one], both, {}, *line))
            one = both
        bad = one
    number = Var((), np.dtype(np.int64))
    rows.append((truncate, [bad], number, {"dtype": number.dtype}, *line))
    sources = [turned[a][1][0] if a in turned else a for a in ins]
    given = [Var(a.aval.shape, a.aval.dtype) for a in sources]
    read, first = list(given), []
    for i, a in enumerate(ins):
        if a in turned:
            read[i] = Var(a.shape, a.dtype)
            first.append((flip, [given[i]], read[i], turned[a][3], *line))
    again = tuple(Var(v.shape, v.dtype) for v in outs)
    kept = [Var(v.shape, v.dtype) for v, s in zip(outs, spoilt, strict=True) if s]
    branches = (
        Program([*kept, *given], [], list(kept)),
        Program(
            [*kept, *given],
            [*first, (op, read, again, own, *line)],
            [v for v, s in zip(again, spoilt, strict=True) if s],
        ),
    )
    doubtful = [v for v, s in zip(plain, spoilt, strict=True) if s]
    results = tuple(v for v, s in zip(outs, spoilt, strict=True) if s)
    rows.append((OPS["switch"], [number, *doubtful, *sources], results, {"branches": branches}, *line))
    return rows
