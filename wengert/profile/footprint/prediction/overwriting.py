"""Where an op of an eager run has its result: in memory of its own, in its operand's, or in that of an operand that dies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wengert.core.abstract import Abstract
from wengert.core.aval import Aval
from wengert.core.op import Op
from wengert.core.source import Source
from wengert.core.tensor import active
from wengert.profile.footprint.prediction.record import Block
from wengert.trace import temporaries as dying

OPERATORS = frozenset({"add", "sub", "mul", "div", "neg"})
OTHERWISE = frozenset(
    {"svd", "eigh", "eig", "cholesky", "lu", "qr", "clip", "argsort"}
)  # ops that are not as NumPy's functions
ELIDED = 1 << 18  # bytes from which on NumPy writes over temporaries


def alias(op: Op, layouts: Sequence[Any], shape: tuple[int, ...]) -> Abstract | None:
    """The result of an op that gives its operand, or parts of it, or one number in every place; None for others."""
    x = layouts[0] if layouts else None
    if type(x) is not Abstract:
        return None
    if op.name in ("barrier", "name"):
        return Abstract(x.shape, x.dtype, x.strides, x.scalar, x.root)
    if op.name == "split" and len(active()) == 1:  # NumPy's own gives views
        return Abstract(shape, x.dtype, base=x.root)
    if op.name == "broadcast_to" and x.scalar and shape:
        return Abstract(shape, x.dtype, (0,) * len(shape), base=x)
    return None


def dying_operands(
    op: Op, args: Sequence[Any], avals: Sequence[Aval], reads: Sequence[Block | None], source: Source, taped: bool
) -> Sequence[Block | None]:
    """The operands that an operator of the user's may write its result over: under a tape by `trace/temporaries.py`, without
    one by NumPy itself."""
    if op.name not in OPERATORS:
        return ()
    fit = [_fits(args, avals, i, taped) for i in range(len(args))]
    if taped:
        return reads[:1] if fit[0] and dying._computed(*source) else ()
    code, lasti = source
    added_up = op.name == "add" and "sum" in code.co_names  # by Python's `sum`, which uses the operator
    if len(active()) > 1 or not (added_up or code.co_code[lasti] in dying.INSTRUCTIONS):
        return ()
    sides = len(args) if op.name in ("add", "mul") else 1
    return [block for block, fits in zip(reads[:sides], fit, strict=False) if fits]


def _fits(args: Sequence[Any], avals: Sequence[Aval], number: int, taped: bool) -> bool:
    """Whether an operand is large enough, and any other is of its shape or a number."""
    x = avals[number]
    nbytes = x.size * x.dtype.itemsize
    if nbytes < (dying.LARGE if taped else ELIDED) or x.dtype.kind not in "fc":
        return False
    if len(args) == 1:
        return True
    other, aval = args[1 - number], avals[1 - number]
    if aval.shape == ():
        return type(other) in (float, int) or not taped
    return aval.shape == x.shape and aval.dtype == x.dtype
