"""`scan`: a Program run for each element along axis 0, with values carried from one run to the next."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.core.aval import ANY, Aval
from wengert.core.form import Control
from wengert.core.op import Op, Refuse
from wengert.core.tensor import Array
from wengert.graph.program import Program


def _shape(*avals: Aval, body: Program, consts: int, carries: int, length: int, **_: Any) -> tuple[Aval, ...]:
    outs = [atom.aval for atom in body.outs]
    kept = [Aval(a.shape, a.dtype) for a in outs[:carries]]
    return (*kept, *(Aval((length, *a.shape), a.dtype) for a in outs[carries:]))


def _eval(
    *operands: Array, body: Program, consts: int, carries: int, length: int, reverse: bool, **_: Any
) -> tuple[Array, ...]:
    fixed, carry, xs = operands[:consts], list(operands[consts : consts + carries]), operands[consts + carries :]
    ys = [np.empty((length, *atom.aval.shape), atom.aval.dtype) for atom in body.outs[carries:]]
    for i in reversed(range(length)) if reverse else range(length):
        outs = body.run(*fixed, *carry, *(x[i] for x in xs))
        carry = outs[:carries]
        for y, value in zip(ys, outs[carries:], strict=True):
            y[i] = value
    kept = [np.array(c, atom.aval.dtype)[()] for c, atom in zip(carry, body.outs, strict=False)]
    return (*kept, *ys)


scan = Op(
    name="scan",
    accepts=ANY,
    shape=_shape,
    eval=_eval,
    jvp=Refuse("to be written"),
    vjp=Refuse("to be written"),
    saves=(slice(None), "out"),
    batch=Refuse("to be written"),
    lower=Control("scan"),
    multi=True,
    samples=(),
    note="a Program for each element along axis 0, with values carried along",
)
