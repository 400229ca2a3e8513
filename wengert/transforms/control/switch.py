"""`switch`: one of several Programs, by number."""

from __future__ import annotations

from typing import Any

import numpy as np

from wengert.core.aval import ANY, Aval
from wengert.core.form import Control
from wengert.core.op import Op, Refuse
from wengert.core.tensor import Array
from wengert.graph.program import Program


def _shape(*avals: Aval, branches: tuple[Program, ...]) -> tuple[Aval, ...]:
    return tuple(Aval(atom.aval.shape, atom.aval.dtype) for atom in branches[0].outs)


def _eval(index: Array, *operands: Array, branches: tuple[Program, ...]) -> tuple[Array, ...]:
    chosen = branches[min(max(int(index), 0), len(branches) - 1)]
    return tuple(
        np.array(o, atom.aval.dtype)[()] for o, atom in zip(chosen.run(*operands), chosen.outs, strict=True)
    )


switch = Op(
    name="switch",
    accepts=ANY,
    shape=_shape,
    eval=_eval,
    jvp=Refuse("to be written"),
    vjp=Refuse("to be written"),
    saves=(slice(None), "out"),
    batch=Refuse("to be written"),
    lower=Control("switch"),
    multi=True,
    samples=(),
    note="one of several Programs, by number",
)
