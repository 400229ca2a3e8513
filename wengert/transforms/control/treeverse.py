"""Loops that Python runs, in bounded memory: checkpoints within checkpoints, in the order that costs the fewest trips.

With s carries kept and no trip run more than r times before the run that is recorded, C(s + r, s) trips are possible. The loop is
cut where the first part is the longest of which s carries and r - 1 runs suffice, the second that of s - 1 carries and r
runs: the first is checkpointed, the second is what is run next, and each is cut in turn.

Source  Griewank (1992), Achieving logarithmic growth of temporal and spatial complexity in reverse automatic differentiation;
        Griewank & Walther (2000), Algorithm 799: Revolve.
"""

from __future__ import annotations

from collections.abc import Callable
from math import comb, isqrt
from typing import Any

import numpy as np

from wengert.core.tensor import Array, Tensor, active, constant, held
from wengert.core.tree import flatten, unflatten
from wengert.ops.basis import reshape
from wengert.ops.index import index
from wengert.ops.shape import concatenate, stack
from wengert.trace.tape import Tape
from wengert.transforms.batch import Batch
from wengert.transforms.checkpoint import Scratch
from wengert.transforms.checkpoint import checkpoint as checkpointed
from wengert.transforms.control.functions import adopted, as_dtype, own
from wengert.transforms.control.leaves import checked, described, element, finished, pair_of, truth
from wengert.transforms.forward import Jvp

MOST = 64
Leaves = list[Array]
Step = Callable[[Leaves, Leaves, int], tuple[Leaves, Leaves]]


def repeats(n: int, slots: int) -> int:
    """How often some trip of `n` is run before the run that is recorded, with so many carries kept."""
    r = 0
    while comb(slots + r, slots) < n:
        r += 1
    return r


def advances(n: int, slots: int) -> int:
    """Trips that are run without being recorded, in all: the fewest possible (Griewank & Walther 2000, prop. 1)."""
    r = repeats(n, slots)
    return r * n - comb(slots + r, r - 1) if r else 0


def cut(n: int, slots: int) -> int:
    """The trips of the first part."""
    if slots == 1:
        return n - 1
    r = repeats(n, slots)
    return min(comb(slots + r - 1, slots), n - comb(slots + r - 2, slots - 1))


class Reversible:
    """A loop of `n` trips `step(carry, x, i) → (carry, y)`, of which no more than `slots` carries are kept for the way back.

    Leaves are flat lists. `segments`: how long the parts are that are recorded at once, of trips.
    """

    def __init__(self, step: Step, n: int, slots: int, segments: int = 1, reverse: bool = False) -> None:
        self.step, self.n, self.slots, self.reverse, self.segments = step, n, slots, reverse, segments

    def __call__(self, carry: Leaves, xs: Leaves, start: int = 0) -> tuple[Leaves, Leaves]:
        """All trips from number `start` on: the last carry, and the ys of each trip, stacked."""
        return self._run(carry, xs, start, self.n, self.slots)

    def _run(self, carry: Leaves, xs: Leaves, start: int, stop: int, slots: int) -> tuple[Leaves, Leaves]:
        if not recording():
            return self._trips(carry, xs, start, stop)
        pieces: list[Leaves] = []
        while stop - start > self.segments:
            parts = -(-(stop - start) // self.segments)
            middle = start + cut(parts, slots) * self.segments
            head, xs = self._parted(xs, middle - start)
            carry, ys = self._kept(start, middle, slots)(carry, head)
            pieces.append(ys)
            start, slots = middle, slots - 1
        carry, ys = self._trips(carry, xs, start, stop)
        return carry, self._joined([*pieces, ys])

    def _kept(self, start: int, stop: int, slots: int) -> Callable[[Leaves, Leaves], tuple[Leaves, Leaves]]:
        return checkpointed(lambda carry, xs: self._run(carry, xs, start, stop, slots), adopt=False)

    def _trips(self, carry: Leaves, xs: Leaves, start: int, stop: int) -> tuple[Leaves, Leaves]:
        carry = fresh(carry)
        rows: list[Leaves] = []
        for i in range(start, stop):
            at = stop - 1 - i if self.reverse else i - start
            carry, ys = self.step(carry, [element(x, at) for x in xs], self.n - 1 - i if self.reverse else i)
            rows.append(ys)
        if self.reverse:
            rows.reverse()
        return carry, [stack(*column, axis=0) for column in zip(*rows, strict=True)]

    def _parted(self, xs: Leaves, first: int) -> tuple[Leaves, Leaves]:
        """The elements of the trips that come first, and of those after."""
        if not self.reverse:
            return [_part(x, slice(0, first)) for x in xs], [_part(x, slice(first, None)) for x in xs]
        return [_part(x, slice(x.shape[0] - first, None)) for x in xs], [
            _part(x, slice(0, x.shape[0] - first)) for x in xs
        ]

    def _joined(self, pieces: list[Leaves]) -> Leaves:
        if self.reverse:
            pieces = pieces[::-1]
        if len(pieces) == 1:
            return pieces[0]
        return [
            concatenate(*column, axis=0, sizes=tuple(y.shape[0] for y in column))
            for column in zip(*pieces, strict=True)
        ]


def fresh(leaves: Leaves) -> Leaves:
    """Cells and arrays into which a body may write."""
    return [constant(x.copy()) if type(x) is np.ndarray else held(x) for x in leaves]


def _part(x: Array, rows: slice) -> Array:
    return index(x, spec=(rows,)) if type(x) is Tensor else x[rows]


def recording() -> bool:
    """Whether a tape records now, through whatever runs above it."""
    for trace in reversed(active()):
        if type(trace) not in (Batch, Jvp):
            return type(trace) is not Scratch
    return False


# ── as users call it ──────────────────────────────────────────────────────────


def differentiating() -> bool:
    """Whether a tape is running."""
    return any(isinstance(trace, Tape) for trace in active())


def bounded(
    what: str, f: Callable[..., Any], init: Any, xs: Leaves, x_tree: Any, n: int, reverse: bool, checkpoint: Any
) -> tuple[Any, Any]:
    """`scan` as a loop of Python's that keeps what `checkpoint` says; `n` is more than 1."""
    run, carry = adopted(f), own(init)
    y_tree: Any = None
    before, tree = described(carry)

    def step(carry: Leaves, x: Leaves, _: int) -> tuple[Leaves, Leaves]:
        nonlocal before, y_tree
        out = pair_of(run(unflatten(tree, carry), unflatten(x_tree, x)))
        new, before = checked(what, out[0], before, tree)
        ys, y_tree = flatten(own(out[1]))
        return flatten(new)[0], ys

    first: Leaves | None = None
    leaves, start = flatten(carry)[0], 0
    if any(aval.weak for aval in before):  # Python numbers, of which the first trip may make others
        leaves, first = step(leaves, [element(x, -1 if reverse else 0) for x in xs], 0)
        xs, start = [_part(x, slice(0, -1) if reverse else slice(1, None)) for x in xs], 1
    leaves, ys = Reversible(step, n, *_sizes(n - start, checkpoint), reverse)(leaves, xs, start)
    if first is not None:
        one = [reshape(as_dtype(y, z.dtype), shape=(1, *z.shape[1:])) for y, z in zip(first, ys, strict=True)]
        pairs = [(z, y) if reverse else (y, z) for y, z in zip(one, ys, strict=True)]
        ys = [concatenate(*pair, axis=0, sizes=(pair[0].shape[0], pair[1].shape[0])) for pair in pairs]
    return finished(unflatten(tree, leaves)), unflatten(y_tree, ys)


def until(cond: Callable[..., Any], body: Callable[..., Any], init: Any, checkpoint: Any) -> tuple[Any] | None:
    """`while_loop` as a loop of Python's that keeps what `checkpoint` says: it is run once to count its trips. None if it makes
    no trip."""
    asked, run, value = adopted(cond), adopted(body), own(init)
    before, tree = described(value)
    n: int | None = None

    def going(leaves: Leaves) -> bool:
        return truth(asked(unflatten(tree, leaves)))

    def step(leaves: Leaves, x: Leaves, i: int) -> tuple[Leaves, Leaves]:
        nonlocal before
        new, before = checked("while_loop", run(unflatten(tree, leaves)), before, tree)
        return flatten(new)[0], []

    def whole(leaves: Leaves) -> Leaves:
        nonlocal n
        if n is not None:
            return Reversible(step, n, *_sizes(n, checkpoint))(leaves, [])[0]
        leaves, n = fresh(leaves), 0
        while going(leaves):
            leaves, n = step(leaves, [], n)[0], n + 1
        return leaves

    leaves = flatten(value)[0]
    if not going(leaves):
        return None
    if any(aval.weak for aval in before):  # Python numbers, of which the first trip may make others
        leaves, _ = step(leaves, [], 0)
    leaves = checkpointed(whole, adopt=False)(leaves)
    return (finished(unflatten(tree, leaves)),)


def _sizes(n: int, checkpoint: Any) -> tuple[int, int]:
    """Carries to keep, and trips that are recorded at once. No trip is to be run more than `MOST` times: runs are nested so deep."""
    if checkpoint == "sqrt":
        trips = isqrt(max(n - 1, 0)) + 1
        return -(-n // trips), trips
    slots = checkpoint if isinstance(checkpoint, int) else max(n - 1, 1).bit_length() + 1
    while comb(slots + MOST, slots) < n:
        slots += 1
    return slots, 1
