"""What keeps a batch from running for ever where each example on its own would end.

Examples that are done, or have chosen another branch, run along with the others. A loop that ends when its values say so may
never end on values that it was not meant for; such examples are given those of one that it is meant for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from wengert.core.aval import is_inexact
from wengert.core.tensor import Array
from wengert.graph.program import Program
from wengert.ops.basis import reshape
from wengert.ops.dtype import truncate
from wengert.ops.index import ARRAY, index
from wengert.ops.reduce import argmax
from wengert.ops.select import where

INT = np.dtype(np.int64)
ENDLESS = frozenset({"while_loop", "while_pullback"})


def endless(program: Program) -> bool:
    """Whether a program holds a loop that ends when its values say so."""
    return any(row[0].name in ENDLESS or any(map(endless, _inner(row[3].values()))) for row in program.eqns)


def _inner(values: Iterable[object]) -> list[Program]:
    flat = [v for value in values for v in (value if type(value) is tuple else (value,))]
    return [v for v in flat if type(v) is Program]


def lent(operands: Sequence[Array], mask: Sequence[bool], meant: Array, size: int) -> list[Array]:
    """`operands`, of which those in `mask` are batched, with the values of one example that is `meant` for all that are not."""
    first = argmax(truncate(meant, dtype=INT), axis=0)

    def safe(x: Array) -> Array:
        other = index(x, first, spec=(ARRAY,))
        other = truncate(other, dtype=x.dtype) if is_inexact(x.dtype) else other  # nothing that matters depends on it
        return where(reshape(meant, shape=(size, *(1,) * (len(x.shape) - 1))), x, other)

    return [safe(x) if m else x for x, m in zip(operands, mask, strict=True)]
