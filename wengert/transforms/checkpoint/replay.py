"""What the first run of a checkpointed function keeps, and how the second one is handed it.

The two runs do the same ops in the same order. So a value is known by its number: the how-many-th op of the run made it. The second
run checks, at each op, that it is the one that the first run did there, with the same parameters; and for each value that it is
handed, that the operands are the same too, by a few of their elements.
"""

from __future__ import annotations

import heapq
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wengert.core.abstract import Abstract, share_memory
from wengert.core.aval import aval_of, is_inexact
from wengert.core.errors import TapeError
from wengert.core.events import recorded, tell
from wengert.core.op import Op
from wengert.core.source import Source, describe, here
from wengert.core.tensor import CONSTANTS, Array, Tensor, constant, held, raw
from wengert.graph.program import Var
from wengert.graph.residuals import Origin
from wengert.trace.tape import NOWHERE, Tape
from wengert.transforms.checkpoint.offload import Page
from wengert.transforms.checkpoint.policies import Policy, Value, asked

SAMPLE = 32  # elements by which to know an array again


def sampled(out: Array) -> np.ndarray:
    """A few elements of `out`, by which to know it again."""
    bottom = raw(out)
    if type(bottom) is Abstract:  # nothing to know it by
        return np.empty(0)
    array = np.asarray(bottom)
    return array.flat[:: max(1, array.size // SAMPLE)]  # a copy, of these elements alone


def same(again: np.ndarray, before: np.ndarray) -> bool:
    """Whether two runs agree, up to the rounding of sums that threads share out differently."""
    if again.shape != before.shape:
        return False
    if again.dtype == before.dtype and again.tobytes() == before.tobytes():
        return True
    tolerance = np.sqrt(np.finfo(before.dtype).eps) if before.dtype.kind in "fc" else 0.0
    scale = np.abs(before[np.isfinite(before)]).max(initial=0.0)
    return np.allclose(again, before, rtol=tolerance, atol=tolerance * scale, equal_nan=True)


def differs(how: str, source: Source | None = None) -> TapeError:
    """The error for a second run that is not the first one over again."""
    return TapeError(
        "checkpoint",
        got=f"a function that {how} when it ran again for its derivative",
        want="the same result from the same arguments",
        fix="read files, clocks, counters and changing variables outside, and pass in what they say; random numbers come again if"
        " they are drawn from a Generator that the function is given or closes over, or from np.random",
        at=describe(source),
    )


@dataclass(slots=True)
class Call:
    """One op of the first run."""

    op: Op
    root: int | None  #: the op that made the array which this one shows a view of
    value: Value | None = None
    slot: slice | None = None  #: where what is kept of it lies
    samples: Sequence[np.ndarray | None] = ()  #: of the operands
    params: dict[str, Any] | None = None


class Keeper:
    """Of the first run: what its ops were, and those of their values that the policy keeps."""

    def __init__(self, policy: Callable[[Value], bool], budget: int | None = None) -> None:
        self.policy, self.budget = policy, budget
        self.calls: list[Call] = []
        self.values: dict[int, Any] = {}  # by number
        # What may still get a name, by number, while anybody holds it.
        self._made: dict[int, list[Callable[[], Any]]] = {}
        self._bytes = 0
        self._dearest: list[tuple[float, int]] = []  # (price per byte, number) of what is kept under a budget

    def offer(
        self, op: Op, nodes: Sequence[Any], xs: Sequence[Array], params: dict[str, Any], out: Any, source: Source | None
    ) -> int:
        """An op has been run: note it, and keep its value if that is the policy. Its number."""
        number = len(self.calls)
        shown = _shown(op, xs, out)
        root = number if shown is None else None if nodes[shown] is None else self.calls[nodes[shown]].root
        call = Call(op, root, params=params if keepable(op, out) else None)
        self.calls.append(call)
        if op.name == "name" and root is not None:
            self._named(root, params["label"])
        elif root == number and keepable(op, out):
            results = [aval_of(o) for o in (out if op.multi else (out,))]
            call.value = Value(op, [aval_of(x) for x in xs], results, params, source)
            call.samples = _known_by(op, xs)
            self._made[number] = [_weakly(o) for o in (out if op.multi else (out,))]
            if asked(self.policy, call.value):
                self._keep(number, out)
        return number

    def _named(self, root: int, label: str) -> None:
        """A value has been given a name: the policy decides again."""
        call = self.calls[root]
        if call.value is None or label in call.value.names:
            return
        call.value.names = (*call.value.names, label)
        keeps = asked(self.policy, call.value)
        if keeps and root not in self.values:
            parts = [part() for part in self._made[root]]
            if all(part is not None for part in parts):
                self._keep(root, tuple(parts) if call.op.multi else parts[0])
        elif not keeps:
            self._drop(root)

    def _keep(self, number: int, out: Any) -> None:
        value = self.calls[number].value
        assert value is not None
        if self.budget is not None and not self._afford(number, value):
            return
        disk = self.policy.disk(value) if isinstance(self.policy, Policy) else None
        put = held if disk is None else disk.put
        self.values[number] = tuple(map(put, out)) if self.calls[number].op.multi else put(out)

    def _drop(self, number: int) -> None:
        if self.values.pop(number, None) is not None:
            value = self.calls[number].value
            assert value is not None
            self._bytes -= value.nbytes

    def _afford(self, number: int, value: Value) -> bool:
        """Whether `value` fits in the budget, with what is cheaper to compute again given up for it."""
        assert self.budget is not None
        if value.nbytes > self.budget:
            return False
        price = value.flops / max(1, value.nbytes)
        given_up = []
        while self._bytes + value.nbytes > self.budget and self._dearest and self._dearest[0][0] < price:
            entry = heapq.heappop(self._dearest)
            if entry[1] in self.values:
                given_up.append(entry)
                self._drop(entry[1])
        if self._bytes + value.nbytes > self.budget:
            return False
        self._bytes += value.nbytes
        heapq.heappush(self._dearest, (price, number))
        return True

    def finish(self) -> tuple[list[Call], tuple[Any, ...] | None, list[Origin]]:
        """The run is over: its ops, what is kept, and where that comes from."""
        kept: list[Any] = []
        origins: list[Origin] = []
        for number, call in enumerate(self.calls):
            value = call.value
            if number in self.values and value is not None:
                found = self.values[number]
                parts = found if call.op.multi else (found,)
                call.slot = slice(len(kept), len(kept) + len(parts))
                kept += parts
                origins += [Origin(value.op, value._source, value.names[-1] if value.names else None)] * len(parts)
            else:
                call.samples = ()
            call.value = None
        self._made = {}
        return self.calls, tuple(kept) if kept else None, origins


def keepable(op: Op, out: Any) -> bool:
    """Whether the value of `op` can be handed to another run: not that of a rule of the user's, which remembers its own first run,
    nor of a loop, which records more when it is recorded."""
    return (
        not op.transparent
        and not hasattr(op, "record")
        and all(hasattr(o, "dtype") for o in (out if op.multi else (out,)))
    )


def _shown(op: Op, xs: Sequence[Array], out: Any) -> int | None:
    """The operand that a result is, or is a view of; through that it may be written to, and it is not kept by itself."""
    if op.name == "name":
        return 0
    for o in map(raw, out if op.multi else (out,)):
        for i, x in enumerate(xs):
            x = raw(x)
            if o is x or (getattr(o, "base", None) is not None and share_memory(o, x)):
                return i
    return None


def _known_by(op: Op, xs: Sequence[Array]) -> list[np.ndarray | None]:
    """A few elements of each operand, by which the second run is known to be the first one again. What an array held before it is
    written to is no matter, and may be anything (`np.empty` of a library)."""
    return [None if i == 0 and op.name == "index_put" else sampled(x) for i, x in enumerate(xs)]


def _weakly(value: Any) -> Callable[[], Any]:
    try:
        return weakref.ref(value)
    except TypeError:  # a scalar
        return lambda: value


class Playback:
    """Of the second run: it goes through the calls of the first one, and hands out what was kept."""

    def __init__(self, calls: Sequence[Call], kept: Sequence[Any] | None) -> None:
        self.calls, self.kept = calls, kept or ()
        self.number = 0

    def next(self, op: Op, xs: Sequence[Array], params: dict[str, Any], source: Source | None) -> Any:
        """The value of the next op, if it was kept; None otherwise. It must be the op of the first run."""
        if self.number == len(self.calls) or self.calls[self.number].op is not op:
            raise differs("did other things", source)
        call = self.calls[self.number]
        self.number += 1
        if call.params is not None and not _alike(params, call.params):
            raise differs("did other things", source)
        if call.slot is None:
            return None
        if len(xs) != len(call.samples):
            raise differs("did other things", source)
        if not all(s is None or same(sampled(x), s) for x, s in zip(xs, call.samples, strict=True)):
            raise differs("gave another result", source)
        found = tuple(map(_fetched, self.kept[call.slot]))
        return found if op.multi else found[0]


def _fetched(value: Any) -> Array:
    return value.fetch() if type(value) is Page else value


def _alike(given: dict[str, Any], before: dict[str, Any]) -> bool:
    if given is before:
        return True
    if given.keys() != before.keys():
        return False
    for key, value in given.items():
        old = before[key]
        if callable(value) or value is old:
            continue
        try:
            if not np.array_equal(value, old) if isinstance(value, np.ndarray) else value != old:
                return False
        except (TypeError, ValueError):  # of arrays within: the operands and results are looked at too
            continue
    return True


class Again(Tape):
    """The tape of a second run: it records values that it is handed as if it had computed them."""

    __slots__ = ("playback",)

    def __init__(self, playback: Playback) -> None:
        super().__init__()
        self.playback = playback

    def apply(self, op: Op, args: tuple[Array, ...], params: dict[str, Any]) -> Any:
        if self.mode is not None:
            return self.mode(self, op, args, params)
        out = self.playback.next(op, [self.lower(a) for a in args], params, here(3))
        return super().apply(op, args, params) if out is None else self._recorded(op, args, params, out)

    def view(self, op: Op, x: Tensor, params: dict[str, Any]) -> Array:
        return super(Tape, self).view(op, x, params)  # not the short way, which does not ask

    def _recorded(self, op: Op, args: Sequence[Array], params: dict[str, Any], out: Any) -> Any:
        """The equation of a value that was kept."""
        if op.constant:
            return tuple(map(constant, out)) if op.multi else constant(out)
        mine = [self.owns(a) for a in args]
        ins = [a._node if m else None for a, m in zip(args, mine, strict=True)]
        xs: list[Any] = [
            a._value if m or (type(a) is Tensor and a._trace is CONSTANTS) else held(a)
            for a, m in zip(args, mine, strict=True)
        ]
        drop, captured, saves_out = op.dropped(sum(m << i for i, m in enumerate(mine)), len(xs))
        for i in captured:
            if type(xs[i]) is np.ndarray:
                self.guard.add(xs[i])
        for i in drop:
            xs[i] = None
        parts = out if op.multi else (out,)
        vars_ = tuple(Var(o.shape, o.dtype) if is_inexact(o.dtype) else None for o in parts)
        row = (op, ins, vars_ if op.multi else vars_[0], params, xs, out if saves_out else None, *(here(3) or NOWHERE))
        self.append(row)
        if recorded:
            tell(recorded, self, row, out)
        found = tuple(o if v is None else Tensor(o, v, self) for o, v in zip(parts, vars_, strict=True))
        return found if op.multi else found[0]
