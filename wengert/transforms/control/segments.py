"""Scans in segments: of each segment the carry that it begins with is kept, and the way back runs it once more.

    n = 1000, lengths (100, 10):  10 segments of 100 trips, each of which is 10 segments of 10 trips

What is kept at a time is a row for each segment of one level, at all levels, and what the way back needs of the trips of one
innermost segment. Each level costs one more evaluation of the loop.

Source  Griewank & Walther (2008), Evaluating Derivatives, ch. 12; Griewank (1992) for logarithmic growth of both.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from typing import Any, Literal

from wengert.core.aval import Aval
from wengert.core.errors import ShapeError
from wengert.core.source import describe, here
from wengert.core.tensor import Array
from wengert.graph.program import Program
from wengert.ops.basis import reshape
from wengert.ops.index import index
from wengert.ops.shape import concatenate
from wengert.transforms.call import call
from wengert.transforms.control.bodies import made
from wengert.transforms.control.scan import scan
from wengert.transforms.derived import derived

Checkpoint = int | Literal["sqrt", "binomial"] | None
Lengths = tuple[int, ...]
FACTOR = 8  # segments of a level where memory is to grow with the logarithm of the trips


def choice_of(what: str, checkpoint: Any) -> Checkpoint:
    """The argument, or an error that says what it may be."""
    if checkpoint is None or (isinstance(checkpoint, str) and checkpoint in ("sqrt", "binomial")):
        return checkpoint
    try:
        slots = 0 if isinstance(checkpoint, (bool, str)) else operator.index(checkpoint)
    except TypeError:
        slots = 0
    if slots < 1:
        raise ShapeError(
            what,
            got=f"checkpoint={checkpoint!r}",
            want='None, "sqrt", "binomial", or how many carries may be kept: an integer from 1 on',
            fix='checkpoint="sqrt" keeps about √n carries for one more evaluation of the loop',
            at=describe(here(3)),
        )
    return slots


def slots_of(checkpoint: int | str) -> tuple[int, int]:
    """Of a loop whose length nobody knows: carries to keep at each level, and levels."""
    if isinstance(checkpoint, int):
        return max(checkpoint - checkpoint % 2, 2), 1
    return (1024, 1) if checkpoint == "sqrt" else (64, 3)


def lengths_of(n: int, checkpoint: Checkpoint) -> Lengths:
    """The lengths of the segments at each level, the longest first."""
    if checkpoint is None or n < 4:
        return ()
    if checkpoint == "sqrt":
        return even(n, 2)
    if checkpoint == "binomial":
        return even(n, max(round(math.log(n, FACTOR)), 2))
    return within(n, checkpoint)


def even(n: int, levels: int) -> Lengths:
    """Lengths of which each is about the same multiple of the next; divisors where one is near."""
    found = []
    for left in range(levels, 1, -1):
        n = _part(n, round(n ** ((left - 1) / left)))
        found.append(n)
    return tuple(found)


def _part(n: int, about: int) -> int:
    """A length of segments of `n` trips: a divisor of `n` not far from `about`, or that itself."""
    about = min(max(about, 1), n)
    for d in range(about // 4 + 1):
        for length in (about + d, about - d):
            if n % length == 0:
                return length
    return about


def within(n: int, rows: int) -> Lengths:
    """The fewest levels for which no more than so many rows are kept; if there are none, those that keep the fewest."""
    if n <= rows:
        return ()
    levels = range(2, max(n.bit_length(), 2) + 1)
    plans = [even(n, k) for k in levels]
    for plan in plans:
        if kept(n, plan) <= rows:
            return plan
    return min(plans, key=lambda plan: kept(n, plan))


def kept(n: int, lengths: Lengths) -> int:
    """Rows that are kept at a time: carries, and what is kept of the trips of one innermost segment."""
    total = 0
    for length in lengths:
        total += n // length
        n = length
    return total + n


# ── staged ────────────────────────────────────────────────────────────────────


def in_segments(
    operands: Sequence[Array], lengths: Lengths, *, body: Program, consts: int, carries: int, length: int,
    reverse: bool, unroll: int,
) -> tuple[Array, ...]:  # fmt: skip
    """What `scan` gives, by segments of these lengths."""
    how: dict[str, Any] = {"body": body, "consts": consts, "carries": carries, "reverse": reverse, "unroll": unroll}
    lengths = tuple(k for k in lengths if 1 < k < length)
    if not lengths:
        return scan(*operands, length=length, **how)
    split = consts + carries
    fixed, carry, xs = list(operands[:consts]), list(operands[consts:split]), list(operands[split:])
    trips, count = lengths[0], length // lengths[0]
    whole = count * trips
    segment = derived(body, ("segment", lengths, *list(how.items())[1:]), lambda: _segment(lengths, how))
    rest = [x if whole == length else index(x, spec=(slice(whole, length),)) for x in xs]
    rows = [_rows(x, count, trips, length) for x in xs]

    def all_whole(carry: Sequence[Array]) -> tuple[Array, ...]:
        return scan(*fixed, *carry, *rows, length=count, **{**how, "body": segment, "unroll": 1})

    def the_rest(carry: Sequence[Array]) -> tuple[Array, ...]:
        """In a call too, so that nothing is kept of it while the others are run."""
        last = made(lambda *xs: in_segments(xs, lengths[1:], length=length - whole, **how), _avals(how, length - whole))
        return call(*fixed, *carry, *rest, program=last, recompute=True)

    order = (all_whole,) if whole == length else (the_rest, all_whole) if reverse else (all_whole, the_rest)
    parts: dict[Any, Sequence[Array]] = {}
    for part in order:
        found = part(carry)
        carry, parts[part] = list(found[:carries]), found[carries:]
    ys = [reshape(y, shape=(whole, *y.shape[2:])) for y in parts[all_whole]]
    if whole < length:
        ys = [
            concatenate(y, z, axis=0, sizes=(whole, length - whole)) for y, z in zip(ys, parts[the_rest], strict=True)
        ]
    return (*carry, *ys)


def _rows(x: Array, count: int, trips: int, length: int) -> Array:
    part = x if count * trips == length else index(x, spec=(slice(0, count * trips),))
    return reshape(part, shape=(count, trips, *x.shape[1:]))


def _segment(lengths: Lengths, how: dict[str, Any]) -> Program:
    """One segment as a trip: a call that is run again for its derivative."""
    avals = _avals(how, lengths[0])
    trips = made(lambda *xs: in_segments(xs, lengths[1:], length=lengths[0], **how), avals)
    return made(lambda *xs: call(*xs, program=trips, recompute=True), avals)


def _avals(how: dict[str, Any], length: int) -> list[Aval]:
    split = how["consts"] + how["carries"]
    avals = [Aval(v.shape, v.dtype) for v in how["body"].ins]
    return [*avals[:split], *(Aval((length, *a.shape), a.dtype) for a in avals[split:])]
