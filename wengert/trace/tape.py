"""The eager recorder: run each op at once, and append an equation.

This path is hot. An op costs one call of `Op.__call__`, one of `Tape.apply` and three
small objects; shapes are not checked again, since `eval` has just checked them.

Memory  A tape holds its equations, and the values that ops declare in `saves` and that a
        wanted cotangent needs; nothing refers back to the tape's Tensors, so all of it is freed
        by reference counting the moment the last handle goes.
"""

from __future__ import annotations

import dis
import operator
import sys
from types import FrameType
from typing import Any

import numpy as np

from wengert.core.aval import is_inexact
from wengert.core.config import config
from wengert.core.errors import DTypeError, NonFinite, TracerLeak
from wengert.core.op import Op
from wengert.core.protect import Guard
from wengert.core.source import describe, here
from wengert.core.tensor import CONSTANTS, Array, Tensor, Trace, constant, raw
from wengert.graph.program import Literal, Program, Var


class Tape(Trace):
    """A trace that records.

    Parameters
    ----------
    replayable : bool
        Keep constant operands, so that `program.run` works (linearize). A gradient tape
        keeps residuals only.
    """

    __slots__ = ("append", "guard", "guarded", "program", "replayable")

    def __init__(self, *, replayable: bool = False) -> None:
        super().__init__()
        self.program = Program()
        self.append: Any = self.program.eqns.append  # rows of Eqn's fields
        self.guard = Guard()
        self.guarded: np.ndarray | None = None  # the last array guarded: loops meet one again and again
        self.replayable = replayable
        if config.debug_nans:
            self.mode = apply_checked

    def watch(self, value: Array) -> Tensor:
        """A Tensor that stands for `value` on this tape; `value` is inexact and of an outer trace, or of none."""
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
        return Tensor(value, var, self)

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
            if type(a) is Tensor:
                trace = a._trace
                if trace is self:
                    a, node = a._value, a._node
                    ins.append(node)
                    mask |= bit
                else:
                    if trace is CONSTANTS:
                        a = a._value
                    ins.append(None)
                if type(a) is Tensor:
                    nested = True
            else:
                ins.append(None)
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
        drop, captured, saves_out = op.dropped(mask, len(xs))
        for i in captured:
            if type(x := xs[i]) is np.ndarray:
                self.guard.add(x)
        for i in drop:
            xs[i] = None
        if op.multi:
            if any(type(o) is Tensor and o._trace.level >= self.level for o in out):
                raise closed_over(op)
            outs = tuple(Var(o.shape, o.dtype) if is_inexact(o.dtype) else None for o in out)
            self.append((op, ins, outs, params, xs, out if saves_out else None, *source()))
            return tuple(o if v is None else Tensor(o, v, self) for o, v in zip(out, outs, strict=True))
        var = Var(out.shape, out.dtype)
        self.append((op, ins, var, params, xs, out if saves_out else None, *source()))
        return Tensor(out, var, self)

    def var(self, tensor: Array) -> Var | None:
        """The variable that `tensor`, or what it stands for on outer traces, has on this tape."""
        while type(tensor) is Tensor:
            if tensor._view is not None:
                tensor._sync()
            if tensor._trace is self:
                return tensor._node
            tensor = tensor._value
        return None


def closed_over(op: Op) -> TracerLeak:
    """The error for a function op (custom rule) whose function closes over a Tensor of the tape that records it."""
    return TracerLeak(
        op.name,
        got="a function that closes over a Tensor of the running tape",
        want="every differentiated value as an argument, for the custom rule to see it",
        fix="pass it as an argument (or wengert.stop_gradient(x) if its derivative is not wanted)",
        at=describe(here(4)),
    )


def source() -> tuple[Any, int]:
    """The user's code object and instruction offset, seen from `Tape.apply`."""
    return here(4) or (None, 0)


def apply_checked(tape: Tape, op: Op, args: tuple[Array, ...], params: dict[str, Any]) -> Any:
    """`debug_nans`: record, then look at the result."""
    tape.mode = None
    try:
        out = tape.apply(op, args, params)
    finally:
        tape.mode = apply_checked
    for o in out if op.multi else (out,):
        check_nan(o, op.name, here(3))
    return out


def check_nan(value: Array, what: str, source: Any) -> None:
    """Raise NonFinite where `value` holds a NaN."""
    bottom = raw(value)
    if is_inexact(bottom.dtype) and np.isnan(bottom).any():
        where = np.argwhere(np.isnan(np.atleast_1d(bottom)))[0]
        raise NonFinite(
            what,
            got=f"a NaN, first at index {tuple(map(int, where))} of {bottom.dtype}{list(bottom.shape)}",
            want="finite values (config.debug_nans is on)",
            fix="look at this op's inputs; guard a division or a logarithm with numpy.where",
            at=describe(source),
        )


def inexact(value: Array, what: str) -> Array:
    """`value` as something that can be watched: a Python float becomes float64; integers are refused."""
    if type(value) is Tensor:
        pass
    elif isinstance(value, float):
        value = np.float64(value) if type(value) is float else value
    elif isinstance(value, complex):
        value = np.complex128(value) if type(value) is complex else value
    elif not isinstance(value, (np.ndarray, np.generic)):
        if isinstance(value, (bool, int)):
            value = np.asarray(value)[()]
        elif hasattr(value, "__array__"):
            value = np.asarray(value)
        else:
            raise DTypeError(
                what,
                got=f"{type(value).__name__}",
                want="arrays or numbers, in any pytree",
                fix="pass other arguments by position outside argnums, or close over them",
                at=describe(here(3)),
            )
    if not is_inexact(value.dtype):
        raise DTypeError(
            what,
            got=f"{value.dtype} input of shape {tuple(value.shape)}",
            want="float or complex: an integer or boolean has no derivative",
            fix="pass x.astype(float) (or 2.0 for 2)",
            at=describe(here(3)),
        )
    return value


# ── writes into a cell's own buffer ───────────────────────────────────────────


def _references(cell: Tensor) -> int:
    return sys.getrefcount(cell._value)


_ALONE = _references(Tensor(np.zeros(1), None, CONSTANTS))


def write_in_place(cell: Tensor, spec: Any, value: Array, put: Op) -> bool:
    """`cell[spec] = value` in the cell's own buffer, if nothing else holds it; False if something does.

    The count of references tells: a residual, a view, or another name of the value would hold the array.
    This makes a loop that fills an array linear in its length. `put` is the assignment to record.
    """
    trace: Trace = cell._trace
    node = None
    if type(value) is Tensor:
        if value._view is not None:
            value._sync()
        if value._trace is not CONSTANTS:
            if trace is not CONSTANTS and trace is not value._trace:
                return False
            trace, node = value._trace, value._node
        value = value._value
    if trace is not CONSTANTS and (type(trace) is not Tape or trace.mode is not None or trace.replayable):
        return False
    if cell._view is not None or type(cell._value) is not np.ndarray or type(value) is Tensor:
        return False
    if cell._value.base is not None or not cell._value.flags.writeable or _references(cell) != _ALONE:
        return False
    cell._value[spec] = value
    if trace is not CONSTANTS:
        var = Var(cell._value.shape, cell._value.dtype)
        code, lasti = here(3) or (None, 0)
        trace.append((put, (cell._node, node), var, {"spec": spec}, (None, None), None, code, lasti))  # type: ignore[union-attr]
        cell._node, cell._trace = var, trace
    return True


NO_PARAMS: dict[str, Any] = {}
NUMBERS = frozenset({float, int, bool, complex, np.float64, np.float32, np.complex128, np.int64})


LARGE = 1 << 18  # bytes from which a fresh buffer costs page faults; NumPy elides temporaries from here on
BINARY_OP = dis.opmap["BINARY_OP"]
UFUNC_OF = {operator.add: np.add, operator.sub: np.subtract, operator.mul: np.multiply, operator.truediv: np.true_divide}


class _Probe:
    def __mul__(self, other: Any) -> int:
        return sys.getrefcount(self)


def _count_of_a_temporary() -> int:
    """References to the left operand within its operator when nobody else holds it; 0 where that cannot be told."""
    held = _Probe()
    temporary: Any = _Probe() * None
    return temporary if temporary < held * None else 0


TEMPORARY = _count_of_a_temporary()


def into_dying(evaluate: Any, x: np.ndarray, b: Any, frame: FrameType) -> np.ndarray:
    """`evaluate(x, b)`, written over `x`, the value of a temporary Tensor, if nothing else holds it: NumPy's own
    elision of temporaries. The caller's instruction must be the operator itself, since only then is
    an operand with one reference sure to die."""
    fits = b.dtype == x.dtype and b.shape in ((), x.shape) if type(b) is np.ndarray else type(b) in (float, int)
    if (
        fits
        and x.base is None
        and x.flags.writeable
        and x.dtype.kind in "fc"
        and sys.getrefcount(x) <= ALONE_AS_ARGUMENT
        and frame.f_code.co_code[frame.f_lasti] == BINARY_OP
    ):
        return UFUNC_OF[evaluate](x, b, out=x)
    return evaluate(x, b)


def _count_as_argument() -> int:
    def callee(_: Any, x: np.ndarray) -> int:
        return sys.getrefcount(x)

    def caller(a: Tensor) -> int:
        x = a._value
        return callee(None, x)

    return caller(Tensor(np.zeros(1), None, CONSTANTS))


ALONE_AS_ARGUMENT = _count_as_argument()


def recording_operator(op: Op, coerce: Any) -> Any:
    """The method `Tensor.__op__` of a binary op without parameters; `coerce` makes a foreign operand
    an array, or returns NotImplemented, so that Python asks the other type.

    The common case is one outermost tape that records, and for the other operand a number,
    an ndarray, or a Tensor of that tape. It is handled here in a single Python frame, at
    half the cost of `op(a, b)`, which takes everything else.
    """
    evaluate, getframe, getrefcount = op.eval, sys._getframe, sys.getrefcount
    keeps = {
        mask: (0 not in op.dropped(mask, 2)[0], 1 not in op.dropped(mask, 2)[0], op.dropped(mask, 2)[2])
        for mask in (1, 3)
    }
    (saves_x, saves_y, saves_out), both = keeps[1], keeps[3]
    largest = float("inf") if saves_x or evaluate not in UFUNC_OF else LARGE

    def method(a: Tensor, b: Any) -> Any:
        tape = a._trace
        x = a._value
        if type(tape) is not Tape or tape.mode is not None or a._view is not None or type(x) is Tensor:
            b = coerce(b)
            return b if b is NotImplemented else op(a, b)
        kind = type(b)
        if kind is Tensor:
            y = b._value
            if b._trace is not tape or b._view is not None or type(y) is Tensor:
                return op(a, b)
            out = evaluate(x, y)
            ins = (a._node, b._node)
            xs = (x if both[0] else None, y if both[1] else None)
            saved = out if both[2] else None
        elif kind is np.ndarray or kind in NUMBERS:
            if x.nbytes < largest or getrefcount(a) != TEMPORARY:
                out = evaluate(x, b)
            else:
                out = into_dying(evaluate, x, b, getframe(1))
            ins = (a._node, None)
            if saves_y:
                if kind is np.ndarray and b is not tape.guarded:
                    tape.guard.add(b)
                    tape.guarded = b
                xs = (x if saves_x else None, b)
            else:
                xs = (x,) if saves_x else ()
            saved = out if saves_out else None
        else:
            b = coerce(b)
            return b if b is NotImplemented else op(a, b)
        var = Var(out.shape, out.dtype)
        frame = getframe(1)  # operators are for users: the library's own code calls ops
        tape.append((op, ins, var, NO_PARAMS, xs, saved, frame.f_code, frame.f_lasti))
        return Tensor(out, var, tape)

    return method

