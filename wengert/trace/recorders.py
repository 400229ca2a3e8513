"""Recorders: an op on the tape in a single Python frame, for operators and called ufuncs."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from wengert.core.events import recorded, tell
from wengert.core.op import Op, named
from wengert.core.source import here
from wengert.core.tensor import Tensor, constant
from wengert.graph.program import Var
from wengert.trace.tape import FLOAT64, NOWHERE, Tape, objects
from wengert.trace.temporaries import LARGE, TEMPORARY, TEMPORARY_ALONE, UFUNC_OF, into_dying

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
        tape.append(
            (op, (a._node,), var, NO_PARAMS, (None,) if drop else (x,), out if saves_out else None, code, lasti)
        )
        if recorded:
            tell(recorded, tape, tape.program.eqns[-1], out)
        return Tensor(out, var, tape)

    return named(method, op.name)


def recording_binary(
    op: Op, general: Callable[[Any, Any], Any], *, as_operator: bool = False
) -> Callable[[Any, Any], Any]:
    """`op` on two operands, without parameters, of which one at least is a Tensor.

    `general(a, b)` takes what is no array or number, and the cases below do not. `as_operator` says that the
    caller is the user's own operator, with the Tensor on the left.

    The common case is one outermost tape that records, and for the other operand a number, an ndarray, or
    a Tensor of that tape. Its cost is 0.65 µs on top of NumPy's; `Op.__call__` and `Tape.apply`, which take
    everything else, need 1.9.
    """
    evaluate, is_constant, getframe, getrefcount, new = (
        op.eval,
        op.constant,
        sys._getframe,
        sys.getrefcount,
        object.__new__,
    )
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
        if recorded:
            tell(recorded, tape, tape.program.eqns[-1], out)
        tensor = new(Tensor)
        tensor._value, tensor._node, tensor._trace, tensor._view = out, var, tape, None
        return tensor

    return named(method, op.name)
