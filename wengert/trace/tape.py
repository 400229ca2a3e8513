"""The eager recorder: run each op at once, and append an equation.

This path is hot. An op costs one call of `Op.__call__`, one of `Tape.apply` and three
small objects; shapes are not checked again, since `eval` has just checked them.

Memory  A tape holds its equations, and the values that ops declare in `saves` and that a
        wanted cotangent needs; nothing refers back to the tape's Tensors, so all of it is freed
        by reference counting the moment the last handle goes.
"""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable
from opcode import opmap
from types import CodeType, FrameType
from typing import Any

import numpy as np

from wengert.core.aval import is_inexact
from wengert.core.config import config
from wengert.core.errors import DTypeError, NonFinite, TracerLeak
from wengert.core.op import Op
from wengert.core.protect import Guard
from wengert.core.source import describe, here
from wengert.core.tensor import CONSTANTS, Array, Tensor, Trace, View, active, constant, held, raw
from wengert.graph.program import Literal, Program, Var


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
        if config.debug_nans:
            self.mode = apply_checked

    def watch(self, value: Array) -> Tensor:
        """A Tensor that stands for `value` on this tape; `value` is inexact and of an outer trace, or of none."""
        if type(value) is np.ndarray:
            self.guard.add(value)
            return Tensor(value, Var(value.shape, value.dtype), self)
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
            return tuple(o if v is None else Tensor(o, v, self) for o, v in zip(out, outs, strict=True))
        if out.dtype.kind == "O":
            raise objects(op)
        var = Var(out.shape, out.dtype)
        self.append((op, ins, var, params, xs, out if saves_out else None, *(here(3) or NOWHERE)))
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


def plain(x: np.ndarray, what: str) -> np.ndarray:
    """An instance of a subclass of ndarray as an ndarray, sharing its memory; refused where it computes in its own way."""
    kind = type(x)
    own = [name for name in ("__array_ufunc__", "__mul__") if getattr(kind, name) is not getattr(np.ndarray, name)]
    if own:
        raise DTypeError(
            what,
            got=f"a {kind.__module__}.{kind.__qualname__}, a subclass of ndarray with arithmetic of its own ({own[0]})",
            want="an ndarray",
            fix="pass numpy.asarray(x) for its plain values; for masked arrays the data and the mask (numpy.where(mask, 0, data))",
            at=describe(here(3)),
        )
    for trace in active():
        if trace.guard is not None:
            trace.guard.add(x)  # a write through `x` itself would pass its new view by
    return x.view(np.ndarray)


def inexact(value: Array, what: str) -> Array:
    """`value` as something that can be watched: a Python float becomes float64; integers are refused."""
    if type(value) is Tensor or type(value) is np.ndarray:
        pass
    elif isinstance(value, float):
        value = np.float64(value) if type(value) is float else value
    elif isinstance(value, complex):
        value = np.complex128(value) if type(value) is complex else value
    elif isinstance(value, np.ndarray):
        value = value if type(value) is np.ndarray else plain(value, what)
    elif not isinstance(value, np.generic):
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
    node, traced = None, False
    if type(value) is Tensor:
        if value._view is not None:
            value._sync()
        if value._trace is not CONSTANTS:
            if trace is not CONSTANTS and trace is not value._trace:
                return False
            trace, node, traced = value._trace, value._node, True
        value = value._value
    if cell._view is not None or trace.mode is not None or type(value) is Tensor:
        return False
    if not alone(_references(cell), cell._value):
        return False
    if type(trace) is Tape:
        cell._value[spec] = value
        var = Var(cell._value.shape, cell._value.dtype)
        code, lasti = here(3) or NOWHERE
        trace.append((put, (cell._node, node), var, {"spec": spec}, (None, None), None, code, lasti))
        cell._node, cell._trace = var, trace
        return True
    if trace is CONSTANTS:
        cell._value[spec] = value
        return True
    return cell._trace is trace and trace.write(cell, spec, value, node, traced)


def alone(references: int, array: Any) -> bool:
    """Whether `array`, which so many references hold, is an ndarray with memory of its own, held by one cell alone."""
    return type(array) is np.ndarray and references == _ALONE and array.base is None and array.flags.writeable


def element(cell: Tensor, spec: Any, index: Op) -> Tensor | None:
    """`cell[spec]`, for a `spec` without arrays, of an array on a lone tape, in one frame; None if it is anything else.

    It takes 1.3 µs, and 1.6 where it makes a view; `index` as an op, and `view`, 2.2 and 3.5.
    """
    tape, value = cell._trace, cell._value
    if type(tape) is not Tape or tape.mode is not None or cell._view is not None or type(value) is not np.ndarray:
        return None
    out = value[spec]
    params = {"spec": spec}
    var = Var(out.shape, out.dtype)
    tape.append((index, (cell._node,), var, params, (None,), None, *(here(3) or NOWHERE)))
    tensor = Tensor(out, var, tape)
    if type(out) is np.ndarray:
        tensor._view = View(cell, index, params)
    return tensor


# ── temporaries that die ──────────────────────────────────────────────────────

LARGE = 1 << 15  # bytes from which fresh memory costs more (cache misses, then page faults) than to find out
UFUNC_OF = {operator.add: np.add, operator.sub: np.subtract, operator.mul: np.multiply, operator.truediv: np.true_divide}
INSTRUCTIONS = frozenset({opmap["BINARY_OP"], opmap["UNARY_NEGATIVE"]})


class _Probe:
    def __mul__(self, other: Any) -> int:
        return sys.getrefcount(self)

    def __neg__(self) -> int:
        return sys.getrefcount(self)


def _counts_of_a_temporary() -> tuple[int, int]:
    """References to the (left) operand within a binary and a unary operator when nobody else holds it;
    0 where that cannot be told."""
    held: Any = _Probe()
    binary: Any = _Probe() * None
    unary: Any = -_Probe()
    return binary if binary < held * None else 0, unary if unary < -held else 0


TEMPORARY, TEMPORARY_ALONE = _counts_of_a_temporary()


def into_dying(evaluate: Any, x: np.ndarray, b: Any, frame: FrameType) -> np.ndarray:
    """`evaluate(x, b)`, written over `x`, the value of a temporary Tensor, if nothing else holds it: NumPy's own
    elision of temporaries. `b` is None for -x."""
    fits = (
        b.dtype == x.dtype and b.shape in ((), x.shape) if type(b) is np.ndarray else b is None or type(b) in (float, int)
    )
    if (
        fits
        and x.base is None
        and x.flags.writeable
        and x.dtype.kind in "fc"
        and sys.getrefcount(x) <= ALONE_AS_ARGUMENT
        and _computed(frame.f_code, frame.f_lasti)
    ):
        return np.negative(x, out=x) if b is None else UFUNC_OF[evaluate](x, b, out=x)
    return evaluate(x) if b is None else evaluate(x, b)


_known: dict[tuple[CodeType, int], bool] = {}


def _computed(code: CodeType, lasti: int) -> bool:
    """Whether the instruction is an operator, whose (left) operand another operator in the same line has just made.

    Only then is an operand with one reference sure to die. Anything else may be an array of objects which holds
    the Tensor, and hands it to our operator from C.
    """
    known = _known.get((code, lasti))
    if known is None:
        known = _known[code, lasti] = _find_operand(code, lasti)
    return known


def _find_operand(code: CodeType, lasti: int) -> bool:
    import dis

    *before, operator_ = (i for i in dis.get_instructions(code) if i.offset <= lasti)
    if operator_.opcode not in INSTRUCTIONS:
        return False
    above = operator_.opname == "BINARY_OP"  # values on the stack above the operand
    pushed = 0
    for i in reversed(before):
        if pushed == above:
            return i.opcode in INSTRUCTIONS
        if i.is_jump_target or i.opcode in dis.hasjrel or i.opcode in dis.hasjabs:
            return False
        pushed += dis.stack_effect(i.opcode, i.arg)
    return False


def _count_as_argument() -> int:
    def callee(_: Any, x: np.ndarray) -> int:
        return sys.getrefcount(x)

    def caller(a: Tensor) -> int:
        x = a._value
        return callee(None, x)

    return caller(Tensor(np.zeros(1), None, CONSTANTS))


ALONE_AS_ARGUMENT = _count_as_argument()

# ── recorders: one op in a single Python frame ────────────────────────────────

NO_PARAMS: dict[str, Any] = {}
NOTHING = (None, None)  # operands saved for the backward pass
NUMBERS = frozenset({float, int, bool, complex, np.float64, np.float32, np.complex128, np.int64})
FIRST = (NUMBERS | {np.ndarray}) - {complex}  # left operands; 1j * np.float64(2) is Python's complex, which is no array


def recording_unary(op: Op, *, as_operator: bool = False) -> Callable[[Tensor], Any]:
    """`op` on one Tensor, without parameters. `as_operator` says that the caller is the user's own operator.

    The common case is one outermost tape that records. Its cost is 0.9 µs on top of NumPy's; `Op.__call__` and
    `Tape.apply`, which take everything else, need 1.6.
    """
    evaluate, is_constant, getframe, getrefcount = op.eval, op.constant, sys._getframe, sys.getrefcount
    drop, _, saves_out = op.dropped(1, 1)
    largest = LARGE if as_operator and op.name == "neg" else float("inf")

    def method(a: Tensor) -> Any:
        tape, x = a._trace, a._value
        if type(tape) is not Tape or tape.mode is not None or a._view is not None or type(x) is Tensor:
            return op(a)
        if x.nbytes < largest or getrefcount(a) != TEMPORARY_ALONE:
            out = evaluate(x)
        else:
            out = into_dying(evaluate, x, None, getframe(1))
        if is_constant:
            return constant(out)
        var = Var(out.shape, out.dtype)
        code, lasti = here(2) or NOWHERE
        tape.append((op, (a._node,), var, NO_PARAMS, (None,) if drop else (x,), out if saves_out else None, code, lasti))
        return Tensor(out, var, tape)

    return method


def recording_binary(op: Op, general: Callable[[Any, Any], Any], *, as_operator: bool = False) -> Callable[[Any, Any], Any]:
    """`op` on two operands, without parameters, of which one at least is a Tensor.

    `general(a, b)` takes what is no array or number, and the cases below do not. `as_operator` says that the
    caller is the user's own operator, with the Tensor on the left.

    The common case is one outermost tape that records, and for the other operand a number, an ndarray, or
    a Tensor of that tape. Its cost is 0.65 µs on top of NumPy's; `Op.__call__` and `Tape.apply`, which take
    everything else, need 1.9.
    """
    evaluate, is_constant, getframe, getrefcount, new = op.eval, op.constant, sys._getframe, sys.getrefcount, object.__new__
    (left_x, left_y, left_out), (right_x, right_y, right_out), (both_x, both_y, both_out) = (
        (0 not in drop, 1 not in drop, saves_out) for drop, _, saves_out in (op.dropped(mask, 2) for mask in (1, 2, 3))
    )
    saves_both = both_x or both_y
    elides = as_operator and evaluate in UFUNC_OF
    largest = LARGE if elides and not left_x else float("inf")
    largest_of_both = LARGE if elides and not both_x else float("inf")

    def method(a: Any, b: Any) -> Any:
        kind = type(b)
        if type(a) is Tensor:
            tape, x = a._trace, a._value
            if type(tape) is not Tape or tape.mode is not None or a._view is not None or type(x) is Tensor:
                return general(a, b)
            if kind is Tensor:
                y = b._value
                if b._trace is not tape or b._view is not None or type(y) is Tensor:
                    return op(a, b)
                if getrefcount(a) != TEMPORARY or x.nbytes < largest_of_both:
                    out = evaluate(x, y)
                else:
                    out = into_dying(evaluate, x, y, getframe(1))
                ins = (a._node, b._node)
                xs = (x if both_x else None, y if both_y else None) if saves_both else NOTHING
                saved = out if both_out else None
            elif kind is np.ndarray or kind in NUMBERS:
                if getrefcount(a) != TEMPORARY or x.nbytes < largest:
                    out = evaluate(x, b)
                else:
                    out = into_dying(evaluate, x, b, getframe(1))
                ins = (a._node, None)
                if left_y:
                    if kind is np.ndarray and b is not tape.guarded:
                        tape.guard.add(b)
                        tape.guarded = b
                    xs = (x if left_x else None, b)
                else:
                    xs = (x, None) if left_x else NOTHING
                saved = out if left_out else None
            else:
                return general(a, b)
        elif kind is Tensor and type(a) in FIRST:
            tape, y = b._trace, b._value
            if type(tape) is not Tape or tape.mode is not None or b._view is not None or type(y) is Tensor:
                return op(a, b)
            out = evaluate(a, y)
            ins = (None, b._node)
            if right_x:
                if type(a) is np.ndarray and a is not tape.guarded:
                    tape.guard.add(a)
                    tape.guarded = a
                xs = (a, y if right_y else None)
            else:
                xs = (None, y if right_y else None)
            saved = out if right_out else None
        else:
            return general(a, b)
        if is_constant:
            return constant(out)
        dtype = out.dtype
        if dtype is not FLOAT64 and dtype.kind == "O":
            raise objects(op)
        var = new(Var)  # past `__init__`, here and below: 0.1 µs less
        var.shape, var.dtype = out.shape, dtype
        if as_operator:
            frame = getframe(1)
            tape.append((op, ins, var, NO_PARAMS, xs, saved, frame.f_code, frame.f_lasti))
        else:
            tape.append((op, ins, var, NO_PARAMS, xs, saved, *(here(2) or NOWHERE)))
        tensor = new(Tensor)
        tensor._value, tensor._node, tensor._trace, tensor._view = out, var, tape, None
        return tensor

    return method
