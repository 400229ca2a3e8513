"""Which values of a forward half the backward half keeps, and which it computes again from those.

In general a value is kept, unless it is another one moved (a reshape, a broadcast). For bodies of loops, whose residuals
are stored at every trip, the fewest bytes are kept from which all that is needed can be computed by cheap arithmetic: a
minimum cut between what cannot be computed again and what is needed.

Arithmetic done again may round otherwise: compiled code fuses products and sums where it can. So what is compared for equality (the
places of a maximum) is kept, and so are decisions: a comparison, or a floor, is never made a second time.

Source  Jain et al. (2020), "Checkmate", for the question; Griewank & Walther (2008), ch. 12; the cut is that of max-flow (Dinic 1970).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any

import numpy as np

from wengert.core.form import Map, Move, Reshape
from wengert.graph.decisions import compared, decides, results_of
from wengert.graph.program import Literal, Var

RECOMPUTED = frozenset({"broadcast_to", "reshape", "transpose", "flip"})  # moved again rather than kept in memory
ARITHMETIC = 3  # additions: what costs no more is cheaper than a round trip to memory
ENDLESS = 2**30  # more than may flow anywhere
KEPT = " kept"  # the name of what a checkpoint's policy keeps


def moved(
    forward: Sequence[Any], backward: Sequence[Any], outs: Sequence[Any], seeds: Sequence[Var]
) -> tuple[list[Var], list[Any]]:
    """The variables that the backward half reads of the forward one, and the movements that it repeats."""
    of = {var: row for row in forward for var in results_of(row)}
    made = set(seeds)
    read: dict[Var, None] = {}
    repeated: dict[int, Any] = {}

    def need(atom: Any) -> None:
        if type(atom) is Literal or atom in made:
            return
        row = of.get(atom)
        if row is not None and (row[0].name in RECOMPUTED or all(type(a) is Literal for a in row[1])):
            for a in row[1]:
                need(a)
            if not row[0].multi:
                made.add(atom)
                repeated[id(row)] = row
                return
        read[atom] = None

    for row in backward:
        for atom in row[1]:
            need(atom)
        made.update(results_of(row))
    for atom in outs:
        need(atom)
    return list(read), list(repeated.values())


def fewest(
    forward: Sequence[Any], backward: Sequence[Any], outs: Sequence[Any], seeds: Sequence[Var], free: Collection[Var]
) -> tuple[list[Var], list[Any]]:
    """As `moved`, with the fewest bytes kept; those in `free` are there in any case."""
    needed = _needed(backward, outs, seeds)
    of = {var: row for row in forward for var in results_of(row)}
    kept = _cut(of, needed, set(free), exact((*forward, *backward)))
    return _repeating(forward, of, needed, kept, free)


def marked(
    forward: Sequence[Any], backward: Sequence[Any], outs: Sequence[Any], seeds: Sequence[Var], free: Collection[Var]
) -> tuple[list[Var], list[Any]]:
    """As `moved`, with what has a mark kept beside what is in `free`, and all else computed again.

    What is compared for equality is computed again even so, for all that it is compared with may be.
    """
    exactly = exact((*forward, *backward))
    kept = {row[1][0] for row in forward if row[0].name == "name" and row[3]["label"] == KEPT}
    of = {var: row for row in forward for var in results_of(row)}
    return _repeating(forward, of, _needed(backward, outs, seeds), {v for v in kept if v not in exactly}, free)


def within(
    forward: Sequence[Any],
    backward: Sequence[Any],
    outs: Sequence[Any],
    seeds: Sequence[Var],
    free: Collection[Var],
    budget: int,
    cost: Callable[[Any], float],
) -> tuple[list[Var], list[Any]]:
    """As `moved`, with at most `budget` bytes kept beside what is in `free`, so that what is computed again costs little.

    The price of a byte rises until what is worth its price fits: for each price the best choice is a minimum cut.
    """
    exactly = exact((*forward, *backward))
    needed = _needed(backward, outs, seeds)
    of = {var: row for row in forward for var in results_of(row)}
    costs = {id(row): cost(row) for row in forward}

    def kept_at(price: float) -> set[Var]:
        return _priced(of, needed, set(free), exactly, costs, price)

    low, high = 0.0, 1.0
    best = kept_at(0.0)
    if sum(map(_bytes, best)) > budget:
        while sum(map(_bytes, best := kept_at(high))) > budget and high < 1e12:
            low, high = high, 8 * high
        for _ in range(12):
            middle = (low + high) / 2
            found = kept_at(middle)
            if sum(map(_bytes, found)) > budget:
                low = middle
            else:
                high, best = middle, found
        if sum(map(_bytes, best)) > budget:
            best = set()
    return _repeating(forward, of, needed, best, free)


def _needed(backward: Sequence[Any], outs: Sequence[Any], seeds: Sequence[Var]) -> list[Var]:
    """What the backward half reads, and does not make."""
    made = set(seeds)
    for row in backward:
        made.update(results_of(row))
    read = [a for row in backward for a in row[1]]
    return list(dict.fromkeys(a for a in (*read, *outs) if type(a) is not Literal and a not in made))


def _repeating(
    forward: Sequence[Any], of: dict[Any, Any], needed: Sequence[Var], kept: Collection[Var], free: Collection[Var]
) -> tuple[list[Var], list[Any]]:
    """The variables that the backward half takes, of those kept and free, and the equations that it repeats."""
    repeated: dict[int, None] = {}
    seen: set[Any] = set()

    def compute(atom: Any) -> None:
        if type(atom) is Literal or atom in kept or atom in seen:
            return
        seen.add(atom)
        row = of.get(atom)
        if row is not None and atom not in free:
            repeated[id(row)] = None
            for a in row[1]:
                compute(a)

    for var in needed:
        compute(var)
    rows = [row for row in forward if id(row) in repeated]
    inputs = dict.fromkeys(a for row in rows for a in row[1] if type(a) is not Literal)
    computed = {var for row in rows for var in results_of(row)}
    return [v for v in dict.fromkeys((*needed, *inputs)) if v not in computed], rows


def exact(rows: Sequence[Any]) -> set[Any]:
    """The values that are compared for equality, and those that they are movements of."""
    found: set[Any] = set()
    for row in reversed(rows):
        moved_on = not row[0].multi and row[2] in found and moves(row)
        found.update([a for a in row[1] if type(a) is not Literal] if moved_on else compared(row))
    return found


def moves(row: Any) -> bool:
    return row[0].name in RECOMPUTED or isinstance(row[0].lower, (Move, Reshape))


def cheap(row: Any, exactly: Collection[Any]) -> bool:
    """Whether computing a value again costs no more than keeping it, and gives the same."""
    op, ins, _, params = row[:4]
    if op.multi or decides(row):
        return False
    if row[2] in exactly and not moves(row):
        return False
    if op.name in RECOMPUTED or all(type(a) is Literal for a in ins):
        return True
    form = op.lower
    if callable(form):
        try:
            form = form(tuple(a.aval for a in ins), params)
        except Exception:  # a form that does not serve this call
            return False
    return isinstance(form, (Move, Reshape)) or (isinstance(form, Map) and form.cost <= ARITHMETIC)


def _cut(of: dict[Any, Any], needed: Sequence[Var], free: set[Any], exactly: set[Any]) -> set[Var]:
    """The values to keep."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_flow

    number: dict[Any, int] = {}
    edges: list[tuple[int, int, int]] = []
    source, sink = 0, 1
    unit = max(1, max(map(_bytes, of), default=1) >> 14)
    todo = list(needed)
    while todo:
        var = todo.pop()
        if var in number or var in free:
            continue
        number[var] = n = 2 + 2 * len(number)  # where it is entered; it is left at n + 1
        row = of.get(var)
        edges.append((n, n + 1, 2 * -(-_bytes(var) // unit) + (row is not None)))  # of equals rather an input
        if row is None or not cheap(row, exactly):
            edges.append((source, n, ENDLESS))
        else:
            todo += [a for a in row[1] if type(a) is not Literal]
    for var, n in number.items():
        row = of.get(var)
        if row is not None and cheap(row, exactly):
            edges += [
                (number[a] + 1, n, ENDLESS) for a in dict.fromkeys(row[1]) if type(a) is not Literal and a in number
            ]
    edges += [(number[v] + 1, sink, ENDLESS) for v in needed if v in number]
    if not number:
        return set()
    size = 2 + 2 * len(number)
    starts, ends, room = (np.array(column, np.int32) for column in zip(*edges, strict=True))
    graph = csr_array((room, (starts, ends)), shape=(size, size), dtype=np.int32)
    left = graph - maximum_flow(graph, source, sink).flow
    reached = _reached(left, source)
    return {var for var, n in number.items() if n in reached and n + 1 not in reached}


def _priced(
    of: dict[Any, Any], needed: Sequence[Var], free: set[Any], exactly: set[Any], costs: dict[int, float], price: float
) -> set[Var]:
    """The values to keep where a byte costs `price` additions: either a value is kept, or it is computed again, from what is
    there in the same way."""
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_flow

    reached: dict[Any, None] = {}
    todo = list(needed)
    while todo:
        var = todo.pop()
        if var in reached or var in free:
            continue
        reached[var] = None
        if (row := of.get(var)) is not None:
            todo += [a for a in row[1] if type(a) is not Literal]
    if not reached:
        return set()
    largest = max([price * _bytes(v) for v in reached] + [costs[id(of[v])] for v in reached if v in of] + [1.0])
    unit = largest / 2**18
    number = {var: 2 + 2 * i for i, var in enumerate(reached)}
    edges: list[tuple[int, int, int]] = []
    for var, n in number.items():
        row = of.get(var)
        keeping = ENDLESS if var in exactly and row is not None else int(price * _bytes(var) / unit) + 1
        edges.append((n, n + 1, keeping))
        edges.append((0, n, ENDLESS if row is None else int(costs[id(row)] / unit) + 1))
        if row is not None:
            edges += [
                (number[a] + 1, n, ENDLESS) for a in dict.fromkeys(row[1]) if type(a) is not Literal and a in number
            ]
    edges += [(number[v] + 1, 1, ENDLESS) for v in needed if v in number]
    starts, ends, room = (np.array(column, np.int32) for column in zip(*edges, strict=True))
    size = 2 + 2 * len(number)
    graph = csr_array((room, (starts, ends)), shape=(size, size), dtype=np.int32)
    flows = _reached(graph - maximum_flow(graph, 0, 1).flow, 0)
    return {var for var, n in number.items() if n in flows and n + 1 not in flows}


def _bytes(var: Var) -> int:
    return max(var.aval.size * var.dtype.itemsize, 1)


def _reached(left: Any, source: int) -> set[int]:
    """The nodes to which more could flow."""
    seen, todo = {source}, [source]
    while todo:
        n = todo.pop()
        for k in range(left.indptr[n], left.indptr[n + 1]):
            m = int(left.indices[k])
            if left.data[k] > 0 and m not in seen:
                seen.add(m)
                todo.append(m)
    return seen
