"""Temporaries that die: a large value that only the running expression holds is written over, as NumPy does."""

from __future__ import annotations

import operator
import sys
from opcode import opmap
from types import CodeType, FrameType
from typing import Any

import numpy as np

from wengert.core.tensor import CONSTANTS, Tensor

LARGE = 1 << 15  # bytes from which fresh memory costs more (cache misses, then page faults) than to find out
UFUNC_OF = {
    operator.add: np.add,
    operator.sub: np.subtract,
    operator.mul: np.multiply,
    operator.truediv: np.true_divide,
}
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
        b.dtype == x.dtype and b.shape in ((), x.shape)
        if type(b) is np.ndarray
        else b is None or type(b) in (float, int)
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
