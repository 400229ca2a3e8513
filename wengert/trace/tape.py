"""The eager recorder: run each op at once, and append an equation.

This path is hot. An op costs one call of `Op.__call__`, one of `Tape.apply` and three
small objects; shapes are not checked again, since `eval` has just checked them.

Memory  A tape holds its equations, and the values that ops declare in `saves` and that a
        wanted cotangent needs; nothing refers back to the tape's Tensors, so all of it is freed
        by reference counting the moment the last handle goes.
"""

from __future__ import annotations

from time import perf_counter
from typing import Any

import numpy as np

from wengert.core.aval import is_inexact
from wengert.core.config import config
from wengert.core.errors import DTypeError, TracerLeak
from wengert.core.events import executed, executing, recorded, tell, watched
from wengert.core.op import Op
from wengert.core.protect import Guard
from wengert.core.source import describe, here
from wengert.core.tensor import CONSTANTS, Array, Tensor, Trace, View, constant, held, raw
from wengert.graph.program import Literal, Program, Var
from wengert.trace.anomaly import check_result


class Tape(Trace):
    """A trace that records, and keeps what the backward pass needs."""

    __slots__ = ("append", "guard", "guarded", "met", "program")

    replayable = False  # whether constant operands are kept

    def __init__(self) -> None:
        super().__init__()
        self.program = Program()
        self.append: Any = self.program.eqns.append  # rows of Eqn's fields
        self.guard = Guard()
        self.met: Any = None
        self.guarded: np.ndarray | None = None  # the last array guarded: loops meet one again and again
        if config.watches_values or executed:
            self.mode = apply_watched

    def watch(self, value: Array) -> Tensor:
        """A Tensor that stands for `value` on this tape; `value` is inexact and of an outer trace, or of none."""
        if type(value) is np.ndarray:
            self.guard.add(value)
            var = Var(value.shape, value.dtype)
            if watched:
                tell(watched, self, var, value)
            return Tensor(value, var, self)
        bottom = raw(value)
        if type(value) is Tensor:
            if value._trace is CONSTANTS:
                value = value._value
            elif value._trace.level > self.level:
                raise TracerLeak(
                    "watch",
                    got="a Tensor of a tape that started later than this one",
                    want="a value from outside, or a Tensor of an outer (earlier) tape",
                    fix="watch on the outer tape first, then watch the result on the inner tape",
                    at=describe(here(2)),
                )
        if type(bottom) is np.ndarray:
            self.guard.add(bottom)
        var = Var(value.shape, value.dtype)
        if watched:
            tell(watched, self, var, value)
        return Tensor(held(value), var, self)

    def input(self, value: Array) -> Tensor:
        """`watch`, and make the variable an input of the program."""
        tensor = self.watch(value)
        self.program.ins.append(tensor._node)
        return tensor

    def apply(self, op: Op, args: tuple[Array, ...], params: dict[str, Any]) -> Any:
        if self.mode is not None:
            return self.mode(self, op, args, params)
        ins: list[Any] = []
        xs: list[Array] = []
        mask, bit, nested = 0, 1, False
        for a in args:
            node = None
            if type(a) is Tensor:
                trace = a._trace
                if trace is self:
                    a, node = a._value, a._node
                    mask |= bit
                elif trace is CONSTANTS:
                    a = a._value
                if type(a) is Tensor:
                    nested = True
                    if node is None:
                        a = held(a)
            ins.append(node)
            xs.append(a)
            bit += bit
        out = (op if nested and not op.transparent else op.eval)(*xs, **params)
        if op.constant:
            return tuple(map(constant, out)) if op.multi else constant(out)
        if self.replayable:
            for i, var in enumerate(ins):
                if var is None:
                    ins[i] = Literal(x := xs[i])
                    if type(x) is np.ndarray:
                        self.guard.add(x)
        drop, captured, saves_out = op._dropped.get((mask, len(xs))) or op.dropped(mask, len(xs))
        for i in captured:
            if type(x := xs[i]) is np.ndarray:
                self.guard.add(x)
        for i in drop:
            xs[i] = None
        if op.multi:
            if any(type(o) is Tensor and o._trace.level >= self.level for o in out):
                raise closed_over(op)
            outs = tuple(Var(o.shape, o.dtype) if is_inexact(o.dtype) else None for o in out)
            self.append((op, ins, outs, params, xs, out if saves_out else None, *(here(3) or NOWHERE)))
            if recorded:
                tell(recorded, self, self.program.eqns[-1], out)
            return tuple(o if v is None else Tensor(o, v, self) for o, v in zip(out, outs, strict=True))
        if out.dtype.kind == "O":
            raise objects(op)
        var = Var(out.shape, out.dtype)
        self.append((op, ins, var, params, xs, out if saves_out else None, *(here(3) or NOWHERE)))
        if recorded:
            tell(recorded, self, self.program.eqns[-1], out)
        return Tensor(out, var, self)

    def view(self, op: Op, x: Tensor, params: dict[str, Any]) -> Array:
        """In one frame where that is simple: 1.2 µs instead of 3."""
        value = x._value
        if self.mode is not None or type(value) is not np.ndarray:
            return super().view(op, x, params)
        out = op.eval(value, **params)
        drop, _, saves_out = op._dropped.get((1, 1)) or op.dropped(1, 1)
        var = Var(out.shape, out.dtype)
        xs = (None,) if drop else (value,)
        self.append((op, (x._node,), var, params, xs, out if saves_out else None, *(here(3) or NOWHERE)))
        if recorded:
            tell(recorded, self, self.program.eqns[-1], out)
        tensor = Tensor(out, var, self)
        if type(out) is np.ndarray and (out.base is value or np.may_share_memory(out, value)):
            tensor._view = View(x, op, params)
        return tensor

    def var(self, tensor: Array) -> Var | None:
        """The variable that `tensor`, or what it stands for on outer traces, has on this tape."""
        while type(tensor) is Tensor:
            if tensor._view is not None:
                tensor._sync()
            if tensor._trace is self:
                return tensor._node
            tensor = tensor._value
        return None


class Lease:
    """Whoever may still ask a tape for a derivative holds a lease; when it goes, what the tape holds goes too.

    The tape alone would free itself, but for functions that its equations hold (checkpoints, custom rules): these may
    close over Tensors, which know their tape.
    """

    __slots__ = ("tape",)

    def __init__(self, tape: Tape) -> None:
        self.tape = tape

    def __del__(self) -> None:
        self.tape.program.eqns.clear()
        self.tape.program.hooks = None
        self.tape.guard.release()


FLOAT64 = np.dtype(float)


def objects(op: Op) -> DTypeError:
    """The error for an operand that is an array of Python objects: derivatives do not reach into it."""
    return DTypeError(
        op.name,
        got="a Tensor and an array of Python objects (dtype=object)",
        want="arrays of numbers",
        fix="join Tensors with numpy.stack, or keep them in a list",
        at=describe(here(3)),
    )


def closed_over(op: Op) -> TracerLeak:
    """The error for a function op (custom rule) whose function closes over a Tensor of the tape that records it."""
    return TracerLeak(
        op.name,
        got="a function that closes over a Tensor of the running tape",
        want="every differentiated value as an argument, for the custom rule to see it",
        fix="pass it as an argument (or wengert.stop_gradient(x) if its derivative is not wanted)",
        at=describe(here(4)),
    )


class ReplayableTape(Tape):
    """A tape that also keeps constant operands, so that `program.run` works (linearize)."""

    __slots__ = ()

    replayable = True


NOWHERE: tuple[Any, int] = (None, 0)  # in place of the user's line, where there is none


def apply_watched(tape: Tape, op: Op, args: tuple[Array, ...], params: dict[str, Any]) -> Any:
    """Record, tell how long it took, and look at the result where that was asked for."""
    if executing:
        tell(executing, op, args, here(3))
    tape.mode, began = None, perf_counter()
    try:
        out = tape.apply(op, args, params)
    finally:
        tape.mode = apply_watched
    if executed:
        tell(executed, op, args, out, began, perf_counter(), here(3))
    if config.watches_values:
        check_result(op, [tape.lower(a) for a in args], out, here(3))
    return out
