"""A checkpointed function on an eager tape: one equation, whose pullback runs the function again.

The first run is not recorded; the equation remembers the function's inputs, among them every Tensor of the tape that it closes
over, and what its policy keeps. Backward, it runs again on a tape of its own, which is swept at once and dropped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np

from wengert.core.aval import INEXACT, is_inexact
from wengert.core.errors import TapeError, WengertError
from wengert.core.events import evaluated, recorded, tell
from wengert.core.op import Op
from wengert.core.source import describe, here
from wengert.core.tensor import Array, Tensor, Trace, constant, held, running, staged
from wengert.graph.program import Eqn, Var, Vars
from wengert.graph.residuals import Origin
from wengert.ops.barrier import barrier
from wengert.trace.rows import start
from wengert.trace.tape import NOWHERE, Tape
from wengert.transforms.checkpoint.policies import Value
from wengert.transforms.checkpoint.replay import Again, Call, Keeper, Playback, differs, same, sampled
from wengert.transforms.checkpoint.surroundings import Cell, Surroundings
from wengert.transforms.reverse import sweep

Flat = Callable[..., list[Array]]


@dataclass(frozen=True)
class Rule:
    """What a checkpoint keeps. policy : None for nothing; budget : bytes at most"""

    policy: Callable[[Value], bool] | None = None
    budget: int | None = None


def within(tape: Tape) -> float:
    """A level for what stands in for `tape` while a checkpointed function runs: above it, and below the traces that
    started later, which may be part of that function."""
    return (tape.level + math.floor(tape.level) + 1) / 2


class Scratch(Trace):
    """The forward run: computes on values of `tape` without recording, and notes which of its Tensors are met."""

    __slots__ = ("cells", "keeper", "others", "playback", "tape")

    rehearses = True  # what runs here runs again, on a tape

    def __init__(self, tape: Tape, rule: Rule) -> None:
        super().__init__()
        self.level = within(tape)
        self.tape = tape
        self.keeper = None if rule.policy is None else Keeper(rule.policy, rule.budget)
        self.playback = tape.playback if type(tape) is Again else None  # this is part of a second run itself
        self.others = Surroundings()
        self.cells = Surroundings()  # of the tape

    @property
    def guard(self) -> Any:  # type: ignore[override]
        return self.tape.guard

    def meet(self, cell: Tensor) -> None:
        """`cell` is used: the second run must find in it what the first one did."""
        self.cells.note(cell)

    def apply(self, op: Op, args: tuple[Array, ...], params: dict[str, Any]) -> Any:
        if self.mode is not None:
            return self.mode(self, op, args, params)
        xs: list[Any] = []
        nodes: list[Any] = []
        for a in args:
            nodes.append(a._node if type(a) is Tensor and self.owns(a) else None)
            if self.tape.owns(a):
                self.meet(a)
                xs.append(a._value)
            else:
                if type(a) is Tensor and a._trace is not self:
                    self.others.note(a)
                xs.append(x := self.lower(a))
                if type(x) is np.ndarray and not self.owns(a):
                    self.tape.guard.while_alive(x)  # the second run must find what the first one found
        out = self.playback.next(op, xs, params, here(3)) if self.playback is not None else None
        if out is None:
            out = (op.eval if op.transparent else op)(*xs, **params)
        if evaluated:
            tell(evaluated, op, here(3), xs, out)
        number = self.keeper.offer(op, nodes, xs, params, out, here(3)) if self.keeper is not None else None
        if op.constant:
            return tuple(map(constant, out)) if op.multi else constant(out)
        outs = tuple(Tensor(o, number, self) if is_inexact(o.dtype) else o for o in (out if op.multi else (out,)))
        return outs if op.multi else outs[0]


def record(tape: Tape, fun: Flat, args: Sequence[Any], rule: Rule) -> list[Any]:
    """Run `fun` unrecorded, and append one equation that can run it again."""
    mine = [tape.owns(a) for a in args]
    scratch = Scratch(tape, rule)
    for a in args:
        if type(a) is np.ndarray:
            tape.guard.add(a)
    inputs = [Tensor(a._value, None, scratch) if m else a for a, m in zip(args, mine, strict=True)]
    before = [(t, t._value) for t, m in zip(inputs, mine, strict=True) if m]
    mode, met = tape.mode, tape.met
    tape.mode, tape.met = lambda _, op, operands, params: scratch.apply(op, operands, params), scratch.meet
    try:
        with running(scratch):
            outs = fun(*inputs)
    finally:
        tape.mode, tape.met = mode, met
    connected = [i for i, o in enumerate(outs) if scratch.owns(o)]
    captured = [Cell(tensor, then[0], then[1]) for tensor, then in scratch.cells.keep()]
    written = [t for t, value in before if t._value is not value]
    written += [c for c in captured if c.tensor._trace is scratch and not any(c.tensor is o for o in outs)]
    outs = [scratch.lower(o) for o in outs]
    scratch.close("a finished checkpoint")
    if written:
        raise TapeError(
            "checkpoint",
            got="a function that writes into an array from outside (an argument, or one it closes over)",
            want="one that returns its results",
            fix="copy the array first (x = x.copy()), and return it",
            at=describe(here(3)),
        )
    scratch.others.keep()
    if not connected:
        return outs
    constants = [held(tape.lower(a)) if not m else None for a, m in zip(args, mine, strict=True)]
    values = [a._value for a, m in zip(args, mine, strict=True) if m] + [c.value for c in captured]
    ins = [a._node for a, m in zip(args, mine, strict=True) if m] + [c.var for c in captured]
    for value in values:
        if type(value) is np.ndarray:
            tape.guard.while_alive(value)  # the equation holds it until it has been swept
    calls, kept, origins = scratch.keeper.finish() if scratch.keeper is not None else (None, None, [])
    out_vars = tuple(Var(outs[i].shape, outs[i].dtype) for i in connected)
    params = {
        "fun": fun,
        "mine": mine,
        "constants": constants,
        "captured": captured,
        "connected": connected,
        "seen": [sampled(outs[i]) for i in connected],
        "others": scratch.others,
        "level": scratch.level,
        "calls": calls,
        "origins": origins,
    }
    row = Eqn(checkpoint_call, ins, out_vars, params, values, kept, *(here(4) or NOWHERE))
    tape.append(row)
    if recorded:
        tell(recorded, tape, row, tuple(outs[i] for i in connected))
    found = list(outs)
    for i, var in zip(connected, out_vars, strict=True):
        found[i] = Tensor(outs[i], var, tape)
    return found


def _recompute(
    ct: Sequence[Array | None],
    ins: Vars,
    xs: Sequence[Array],
    out: Sequence[Any] | None,
    *,
    fun: Flat,
    mine: list[bool],
    constants: list[Any],
    captured: list[Cell],
    connected: list[int],
    seen: list[np.ndarray],
    others: Surroundings,
    level: float,
    calls: list[Call] | None,
    origins: list[Origin],
) -> tuple[Array | None, ...]:
    tape = start() if calls is None else Again(Playback(calls, out))
    tape.level = level
    after = [c for c in ct if c is not None]
    watched = [tape.watch(barrier(x, *after) if staged(x) else x) for x in xs]
    given = iter(watched)
    args = [next(given) if m else c for m, c in zip(mine, constants, strict=True)]
    try:
        with ExitStack() as stack:
            stack.enter_context(running(tape))
            stack.enter_context(others.restored())
            for cell, tensor in zip(captured, given, strict=True):
                stack.enter_context(cell.bound(tensor))
            vars_ = [t._node for t in watched]
            outs = fun(*args)
            if len(outs) <= max(connected) or not all(
                same(sampled(outs[i]), s) for i, s in zip(connected, seen, strict=True)
            ):
                raise differs("gave another result")
            seeds = [(tape.var(outs[i]), c) for i, c in zip(connected, ct, strict=True) if c is not None]
            del outs, args, watched, given, ct, after  # what the sweep need not keep
        return tuple(sweep(tape.program, [(v, c) for v, c in seeds if v is not None], vars_, consume=True))
    finally:
        tape.guard.release()  # at once: the function may have left the tape in a circle of references


def _never(*args: Any, **params: Any) -> Any:
    raise WengertError("checkpoint_call", got="a call", want="an equation of a tape: it is only swept")


checkpoint_call = Op(
    name="checkpoint_call",
    accepts=INEXACT,
    shape=_never,
    eval=_never,
    jvp=_never,
    vjp=_recompute,
    saves=(slice(None),),
    batch=_never,
    multi=True,
    samples=(),
    note="a function that runs again when its cotangent arrives",
)
