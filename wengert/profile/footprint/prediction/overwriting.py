"""Where an op of an eager run has its result: in memory of its own, in its operand's, or in that of an operand that dies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wengert.core.abstract import Abstract
from wengert.core.op import Op
from wengert.core.source import Source
from wengert.core.tensor import active
from wengert.profile.footprint.prediction.record import Block
from wengert.trace import temporaries as dying

OPERATORS = frozenset({"add", "sub", "mul", "div", "neg"})
OTHERWISE = frozenset({"svd", "eigh", "eig", "cholesky", "lu", "qr"})  # ops that are not as NumPy's functions
ELIDED = 1 << 18  # bytes from which on NumPy writes over temporaries


def alias(op: Op, layouts: Sequence[Any], shape: tuple[int, ...]) -> Abstract | None:
    """The result of an op that gives its operand, or one number in every place; None for others."""
    x = layouts[0] if layouts else None
    if type(x) is not Abstract:
        return None
    if op.name in ("barrier", "name"):
        return Abstract(x.shape, x.dtype, x.strides, x.scalar, x.root)
    if op.name == "broadcast_to" and x.scalar and shape:
        return Abstract(shape, x.dtype, (0,) * len(shape), base=x)
    return None


def dying_operands(
    op: Op, reads: Sequence[Block | None], out: Block, source: Source, taped: bool
) -> Sequence[Block | None]:
    """The operands that an operator of the user's may write its result over: under a tape by `trace/temporaries.py`, without
    one by NumPy itself."""
    if op.name not in OPERATORS:
        return ()
    if taped:
        fits = out.nbytes >= dying.LARGE and out.dtype.kind in "fc" and dying._computed(*source)
        return reads[:1] if fits else ()
    code, lasti = source
    if out.nbytes < ELIDED or len(active()) > 1 or code.co_code[lasti] not in dying.INSTRUCTIONS:
        return ()
    return reads if op.name in ("add", "mul") else reads[:1]
