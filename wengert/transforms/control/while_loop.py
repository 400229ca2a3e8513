"""`while_loop`: a Program run as long as another one says so; and its pullback."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.core.aval import ANY, Aval
from wengert.core.form import Control
from wengert.core.op import Op, Refuse
from wengert.core.tensor import Array
from wengert.graph.program import Program


def _shape(*avals: Aval, body: Program, **_: Any) -> tuple[Aval, ...]:
    return tuple(Aval(atom.aval.shape, atom.aval.dtype) for atom in body.outs)


def _eval(*operands: Array, cond: Program, body: Program, consts: int) -> tuple[Array, ...]:
    fixed, carry = operands[:consts], list(operands[consts:])
    while cond.run(*fixed, *carry)[0]:
        carry = body.run(*fixed, *carry)
    return tuple(np.array(c, atom.aval.dtype)[()] for c, atom in zip(carry, body.outs, strict=True))


while_loop = Op(
    name="while_loop",
    accepts=ANY,
    shape=_shape,
    eval=_eval,
    jvp=Refuse("to be written"),
    vjp=Refuse("to be written"),
    saves=(slice(None),),
    batch=Refuse("to be written"),
    lower=Control("while_loop"),
    multi=True,
    samples=(),
    note="a Program as long as another one says so",
)


def _pullback_shape(*avals: Aval, backward: Program, **_: Any) -> tuple[Aval, ...]:
    return tuple(Aval(atom.aval.shape, atom.aval.dtype) for atom in backward.outs)


def _pullback_eval(
    *operands: Array, cond: Program, forward: Program, backward: Program, consts: int, carries: int, **_: Any
) -> tuple[Array, ...]:
    fixed, carry = operands[:consts], list(operands[consts : consts + carries])
    cts = list(operands[consts + carries :])
    stack: list[list[Array]] = []
    while cond.run(*fixed, *carry)[0]:
        outs = forward.run(*fixed, *carry)
        carry = outs[:carries]
        stack.append(outs[carries:])
    found = [*cts, *(np.zeros(a.aval.shape, a.aval.dtype)[()] for a in backward.outs[len(cts) :])]
    while stack:
        found = backward.run(*fixed, *found, *stack.pop())
    return tuple(np.array(c, atom.aval.dtype)[()] for c, atom in zip(found, backward.outs, strict=True))


while_pullback = Op(
    name="while_pullback",
    accepts=ANY,
    shape=_pullback_shape,
    eval=_pullback_eval,
    jvp=Refuse("to be written"),
    vjp=Refuse("to be written"),
    saves=(slice(None),),
    batch=Refuse("to be written"),
    lower=Control("while_pullback"),
    multi=True,
    samples=(),
    note="the pullback of a while_loop: forwards with a stack of residuals, and backwards",
)
