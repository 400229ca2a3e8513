"""Checkpointing: trade the residuals of a function for running it twice.

Forward, the function runs with recording off; one equation remembers its inputs, among
them every Tensor of the tape that it closes over. Backward, it runs again on a tape of its
own, which is swept at once and dropped.

Memory  The inputs of the function, and during its own backward pass its residuals.
Cost    One more forward evaluation. Forward mode and plain calls cost nothing extra.
Source  Griewank & Walther (2008), ch. 12.
"""

from __future__ import annotations

import functools
import math
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np

from wengert.core.abstract import Abstract
from wengert.core.aval import INEXACT, is_inexact
from wengert.core.errors import TapeError, WengertError
from wengert.core.op import Op
from wengert.core.source import describe, here
from wengert.core.tensor import Array, Tensor, Trace, active, constant, held, raw, running
from wengert.core.tree import flatten, unflatten
from wengert.graph.program import Eqn, Var, Vars
from wengert.trace.adopt import adopt as adopt_function
from wengert.trace.stage import Stage
from wengert.trace.tape import ReplayableTape, Tape
from wengert.transforms.batch import Batch
from wengert.transforms.call import call
from wengert.transforms.control.functions import Body, leaf
from wengert.transforms.forward import Jvp
from wengert.transforms.reverse import sweep

Flat = Callable[..., list[Array]]


def checkpoint(fun: Callable[..., Any], *, adopt: bool = True) -> Callable[..., Any]:
    """`fun`, whose intermediate values are recomputed in the backward pass instead of being kept.

    Takes and returns any pytrees; may close over differentiated values; nests, and composes with every transform.
    It must give the same result when it runs again, and must not write into arrays from outside.
    """

    @functools.wraps(fun)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        traces = active()
        run = adopt_function(fun) if adopt and traces else fun
        if traces and type(traces[-1]) is Stage and traces[-1].keeps:
            return _staged(run, args, kwargs)
        if not any(type(t) is Tape for t in traces):
            return run(*args, **kwargs)
        leaves, in_tree = flatten((args, kwargs))
        out_tree: Any = None

        def flat(*leaves: Array) -> list[Array]:
            nonlocal out_tree
            positional, keywords = unflatten(in_tree, leaves)
            outs, out_tree = flatten(run(*positional, **keywords))
            return outs

        outs = _call(flat, leaves, traces)
        return unflatten(out_tree, outs)

    return wrapped


def _staged(fun: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """Within the body of a loop or branch: a call, which is run again for its derivative."""
    leaves, tree = flatten((args, kwargs))
    pairs = [leaf(x, f"leaf {i} of the arguments of a checkpoint") for i, x in enumerate(leaves)]
    body = Body(lambda both: fun(*both[0], **both[1]), (tree,), ([aval for _, aval in pairs],))
    outs = call(*body.captured, *(x for x, _ in pairs), program=body.program, recompute=True)
    return unflatten(body.tree, outs)


def _call(fun: Flat, args: Sequence[Any], traces: Sequence[Trace]) -> list[Any]:
    """`fun(*args)` checkpointed on the innermost tape; traces within it become part of `fun`."""
    if not traces:
        return fun(*args)
    *outer, top = traces
    if type(top) in (Scratch, ReplayableTape, Stage):
        # Within another checkpoint, which keeps nothing either; or recorded to run again as a whole; or staged, while the tape
        # that is to save memory is outside and sees one call.
        return fun(*args)
    if type(top) is Tape:
        return _record(top, fun, args) if top.mode is None else fun(*args)
    if type(top) is Batch:
        flags = [top.owns(a) for a in args]
        batched_out: list[bool] = []
        cells = Surroundings()

        def batched(*values: Array) -> list[Array]:
            with reopened(top), cells.seen(top):
                outs = fun(*(Tensor(v, None, top) if f else v for v, f in zip(values, flags, strict=True)))
                batched_out[:] = [top.owns(o) for o in outs]
                return [top.lower(o) for o in outs]

        outs = _call(batched, [top.lower(a) for a in args], outer)
        return [Tensor(o, None, top) if f else o for o, f in zip(outs, batched_out, strict=True)]
    if type(top) is Jvp:
        has_dot = [top.owns(a) for a in args]
        out_dot: list[bool] = []
        cells = Surroundings()

        def dual(*values: Array) -> list[Array]:
            given = iter(values)
            with reopened(top), cells.seen(top):
                outs = fun(*(Tensor(next(given), next(given), top) if d else next(given) for d in has_dot))
                out_dot[:] = [top.owns(o) for o in outs]
                return [
                    v
                    for o, d in zip(outs, out_dot, strict=True)
                    for v in ((o._value, o._node) if d else (top.lower(o),))
                ]

        values = [
            v for a, d in zip(args, has_dot, strict=True) for v in ((a._value, a._node) if d else (top.lower(a),))
        ]
        found = iter(_call(dual, values, outer))
        return [Tensor(next(found), next(found), top) if d else next(found) for d in out_dot]
    raise WengertError("checkpoint", got=f"a {type(top).__name__} trace", want="tapes, jvp and vmap")


@contextmanager
def reopened(trace: Trace) -> Iterator[None]:
    """Let a trace that may have ended interpret ops again, for a second run of what it interpreted first."""
    mode, trace.mode = trace.mode, None
    try:
        with running(trace):
            yield
    finally:
        trace.mode = mode


class Surroundings:
    """The Tensors that a function meets on its first run, with what they held: the user may write to them
    before it runs again. Those that it made itself fall out as they die.
    """

    def __init__(self) -> None:
        self._met: dict[int, tuple[weakref.ref[Tensor], tuple[Any, ...]]] = {}
        self._kept: list[tuple[Tensor, tuple[Any, ...]]] | None = None

    def note(self, cell: Tensor) -> None:
        """`cell` is used."""
        key = id(cell)
        if key not in self._met:
            dies = weakref.ref(cell, lambda _: self._met.pop(key, None))
            self._met[key] = dies, (cell._value, cell._node, cell._trace, None)

    @contextmanager
    def seen(self, trace: Trace) -> Iterator[None]:
        """A run: the first one is watched (through `trace.met`), in the others everything is as it was then."""
        if self._kept is not None:
            with self.restored():
                yield
            return
        before = trace.met

        def met(cell: Tensor) -> None:
            self.note(cell)
            if before is not None:
                before(cell)

        trace.met = met
        try:
            yield
        finally:
            trace.met = before
            self.keep()

    def keep(self) -> list[tuple[Tensor, tuple[Any, ...]]]:
        """The first run is over: what is left, with (value, node, trace, None) of each."""
        found = [(dies(), then) for dies, then in self._met.values()]
        self._kept = [(cell, then) for cell, then in found if cell is not None]
        self._met = {}
        return self._kept

    @contextmanager
    def restored(self) -> Iterator[None]:
        """Every Tensor as it was when it was met."""
        kept = self._kept or []
        now = [(c._value, c._node, c._trace, c._view) for c, _ in kept]
        for cell, then in kept:
            cell._value, cell._node, cell._trace, cell._view = then
        try:
            yield
        finally:
            for (cell, _), then in zip(kept, now, strict=True):
                cell._value, cell._node, cell._trace, cell._view = then


# ── on a tape ─────────────────────────────────────────────────────────────────


def within(tape: Tape) -> float:
    """A level for what stands in for `tape` while a checkpointed function runs: above it, and below the traces that
    started later, which may be part of that function."""
    return (tape.level + math.floor(tape.level) + 1) / 2


class Scratch(Trace):
    """The forward run: computes on values of `tape` without recording, and notes which of its Tensors are met."""

    __slots__ = ("cells", "others", "tape")

    def __init__(self, tape: Tape) -> None:
        super().__init__()
        self.level = within(tape)
        self.tape = tape
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
        xs = []
        for a in args:
            if self.tape.owns(a):
                self.meet(a)
                xs.append(a._value)
            else:
                if type(a) is Tensor and a._trace is not self:
                    self.others.note(a)
                xs.append(x := self.lower(a))
                if type(x) is np.ndarray and not self.owns(a):
                    self.tape.guard.add(x)  # the second run must find what the first one found
        out = (op.eval if op.transparent else op)(*xs, **params)
        if op.constant:
            return tuple(map(constant, out)) if op.multi else constant(out)
        outs = tuple(Tensor(o, None, self) if is_inexact(o.dtype) else o for o in (out if op.multi else (out,)))
        return outs if op.multi else outs[0]


class Cell:
    """A Tensor the function closes over, with what it held at the time; `bound` lends it another identity."""

    def __init__(self, tensor: Tensor, value: Array, var: Var) -> None:
        self.tensor, self.value, self.var = tensor, value, var

    @contextmanager
    def bound(self, other: Tensor) -> Iterator[None]:
        cell = self.tensor
        before = cell._value, cell._node, cell._trace, cell._view
        cell._value, cell._node, cell._trace, cell._view = other._value, other._node, other._trace, None
        try:
            yield
        finally:
            if cell._value is not other._value:
                raise TapeError(
                    "checkpoint",
                    got="a function that writes into an array from outside",
                    want="one that returns its results",
                    fix="pass the array in, and return the new one",
                )
            cell._value, cell._node, cell._trace, cell._view = before


def _record(tape: Tape, fun: Flat, args: Sequence[Any]) -> list[Any]:
    """Run `fun` unrecorded, and append one equation that can run it again."""
    mine = [tape.owns(a) for a in args]
    scratch = Scratch(tape)
    for a in args:
        if type(a) is np.ndarray:
            tape.guard.add(a)
    inputs = [Tensor(a._value, None, scratch) if m else a for a, m in zip(args, mine, strict=True)]
    before = [(t, t._value) for t, m in zip(inputs, mine, strict=True) if m]
    tape.mode, tape.met = lambda _, op, operands, params: scratch.apply(op, operands, params), scratch.meet
    try:
        with running(scratch):
            outs = fun(*inputs)
    finally:
        tape.mode = tape.met = None
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
            tape.guard.add(value)
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
    }
    where = here(4) or (None, 0)
    tape.append(Eqn(checkpoint_call, ins, out_vars, params, values, None, *where))
    found = list(outs)
    for i, var in zip(connected, out_vars, strict=True):
        found[i] = Tensor(outs[i], var, tape)
    return found


def _recompute(
    ct: Sequence[Array | None],
    ins: Vars,
    xs: Sequence[Array],
    out: None,
    *,
    fun: Flat,
    mine: list[bool],
    constants: list[Any],
    captured: list[Cell],
    connected: list[int],
    seen: list[np.ndarray],
    others: Surroundings,
    level: float,
) -> tuple[Array | None, ...]:
    tape = Tape()
    tape.level = level
    watched = [tape.watch(x) for x in xs]
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
                raise TapeError(
                    "checkpoint",
                    got="a function that gave another result when it ran again for its derivative",
                    want="the same result from the same arguments",
                    fix="draw random numbers, and read files, counters and changing variables, outside; pass them in as arguments",
                )
            seeds = [(tape.var(outs[i]), c) for i, c in zip(connected, ct, strict=True) if c is not None]
        return tuple(sweep(tape.program, [(v, c) for v, c in seeds if v is not None], vars_, consume=True))
    finally:
        tape.guard.release()  # at once: the function may have left the tape in a circle of references


def sampled(out: Array) -> np.ndarray:
    """A few elements of `out`, by which to know it again."""
    bottom = raw(out)
    if type(bottom) is Abstract:  # nothing to know it by
        return np.empty(0)
    flat = np.asarray(bottom).ravel()
    return flat[:: max(1, flat.size // 32)].copy()


def same(again: np.ndarray, before: np.ndarray) -> bool:
    """Whether two runs agree, up to the rounding of sums that threads share out differently."""
    if again.shape != before.shape:
        return False
    tolerance = np.sqrt(np.finfo(before.dtype).eps) if before.dtype.kind in "fc" else 0.0
    scale = np.abs(before[np.isfinite(before)]).max(initial=0.0)
    return np.allclose(again, before, rtol=tolerance, atol=tolerance * scale, equal_nan=True)


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
