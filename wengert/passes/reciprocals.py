"""Reciprocals: where several arrays are divided by one smaller array (a norm per row, say), it is inverted once; and what has
been inverted anyway is not divided by again.

a · (1 / d) rounds twice, which is within 1.5 units in the last place of a / d, provided that 1 / d neither overflows nor
loses digits: so d must be a square root, or be known to be larger than the smallest numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from wengert.graph.program import Literal, Program, Var
from wengert.ops.basis import broadcast_to, reshape, scale, transpose
from wengert.ops.elementwise import div, mul, reciprocal, sqrt, unscale
from wengert.passes.ranges import range_of
from wengert.passes.rewriter import Notes, Rewriter, is_real
from wengert.passes.rules.table import Table

MOVED = frozenset({reshape, transpose, broadcast_to})


def reciprocals(program: Program, notes: Notes | None = None) -> Program:
    """`program` with divisors inverted once that two or more larger arrays share."""
    shared: Counter[Any] = Counter()
    for op, ins, out, *_ in program.eqns:
        if (op is div or op is unscale) and type(ins[1]) is not Literal and is_real(out.dtype):
            if ins[1].dtype == out.dtype and ins[1].aval.size < out.aval.size:
                shared[ins[1]] += 1
    shared = Counter({d: n for d, n in shared.items() if n > 1})
    there = {row[1][0] for row in program.eqns if row[0] is reciprocal}
    if not shared and not there:
        return program
    inverses: dict[Any, Any] = {}

    def found(r: Rewriter, ins: Sequence[Any], out: Var, params: Any) -> None:
        inverses.setdefault(ins[0], out)

    def inverted(r: Rewriter, ins: Sequence[Any], out: Var, plain: bool) -> Any:
        x, d = ins
        if d not in inverses and (d not in shared or out.aval.size <= d.aval.size):
            return None
        if not is_real(out.dtype) or d.dtype != out.dtype or not inverts_exactly(r, d):
            return None
        if d not in inverses:
            inverses[d] = r.emit(reciprocal, d)
        return r.emit(mul if plain else scale, x, inverses[d])

    table = Table()
    table.own[reciprocal] = [("", found)]
    table.own[div] = [
        ("divisions by a shared divisor → products", lambda r, ins, out, params: inverted(r, ins, out, True))
    ]
    table.own[unscale] = [
        ("divisions by a shared divisor → products", lambda r, ins, out, params: inverted(r, ins, out, False))
    ]
    return Rewriter(table, notes).run(program)


def inverts_exactly(r: Rewriter, d: Any) -> bool:
    """Whether 1 / d is precise, or d is zero, infinite or NaN."""
    row = r.made.get(d)
    while row is not None and row[0] in MOVED:
        d = row[1][0]
        row = r.made.get(d)
    if row is not None and row[0] is sqrt:
        return True
    return range_of(r, d).nonzero  # the reciprocal of the largest number is denormal, and lacks two bits
