"""Products with a constant matrix that need not be made trip by trip.

What a loop multiplies a matrix by in each trip, and knows beforehand, is one product of matrices in front of the loop; what
nobody in the loop reads of such products is one after it. Each trip then touches vectors alone, where it read the matrix.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

from wengert.graph.program import Literal
from wengert.ops.contract import LABELS, contract, matmul
from wengert.passes.contraction import named
from wengert.passes.control.sites import Site, Trip, without
from wengert.passes.control.sums import stacked
from wengert.passes.rewriter import Row

LEAST = 256  # elements of the matrix; smaller ones may stay in registers
GROWTH = 4  # how many times larger than its factor a result may be, since it is stacked in its place


def ahead(r: Any, site: Site) -> int:
    """Products of a const and an x."""
    if site.kind != "scan" or not site.runs:
        return 0
    (trip,) = site.trips
    atoms: dict[Any, Any] = dict(zip(trip.consts, site.consts, strict=True))
    stacks = dict(zip(trip.xs, site.xs, strict=True))
    kept = []
    for row in trip.rows:
        found = factors(trip, row)
        if found is None or row[1][found] not in stacks:
            kept.append(row)
            continue
        r.code, r.lasti = row[6:8]
        operands = [stacks[a] if i == found else atoms[a] for i, a in enumerate(row[1])]
        site.xs.append(r.emit(contract, *operands, **_stacking(row, found)))
        trip.xs.append(row[2])
    count = len(trip.rows) - len(kept)
    trip.rows = kept
    return count


def afterwards(r: Any, site: Site) -> int:
    """Products of a const and anything, that are ys and nothing else."""
    if site.kind != "scan" or not site.runs:
        return 0
    (trip,) = site.trips
    uses = Counter(a for row in trip.rows for a in row[1] if type(a) is not Literal)
    uses.update(a for a in trip.outs if type(a) is not Literal)
    made = {row[2]: row for row in trip.rows if not row[0].multi}
    gone = set()
    for i, y in enumerate(trip.ys):
        row = made.get(y)
        if row is None or uses[y] != 1 or (found := factors(trip, row)) is None:
            continue
        const = site.consts[trip.consts.index(row[1][1 - found])]
        stack = stacked(site, trip, row[1][found])

        def later(stack: Any = stack, const: Any = const, found: int = found, how: Any = _stacking(row, found)) -> Any:
            operands = [r.env.get(a, a) for a in ((const, stack) if found else (stack, const))]
            return r.emit(contract, *operands, **how)

        site.later.append((site.stacks[i], later))
        gone.add(i)
    if gone:
        site.stacks, trip.ys = without(site.stacks, gone), without(trip.ys, gone)
        trip.prune()
    return len(gone)


def factors(trip: Trip, row: Row) -> int | None:
    """Which operand of a product is not the matrix; None if it is no product with a const."""
    if row[0] is not contract and row[0] is not matmul:
        return None
    for i in (0, 1):
        x, c = row[1][i], row[1][1 - i]
        if type(x) is Literal or x in trip.consts or c not in trip.consts or c.aval.size < LEAST:
            continue
        if row[2].aval.size <= GROWTH * x.aval.size <= c.aval.size and named(row[1], row[2], row[3]) is not None:
            return i
    return None


def _stacking(row: Row, number: int) -> dict[str, Any]:
    """The parameters of the product with a stack in the place of that operand."""
    names = named(row[1], row[2], row[3])
    assert names is not None
    label = next(c for c in LABELS if c not in "".join(names))
    x, y = (f"{label}{n}" if i == number else n for i, n in enumerate(names[:2]))
    how: dict[str, Any] = {"subscripts": f"{x},{y}->{label}{names[2]}"}
    return how | ({"strong": row[3]["strong"]} if row[3].get("strong") is not None else {})
