"""Forward mode: push tangents through a program as it runs.

Shapes  A tangent has exactly the shape and dtype of its primal.
Cost    One jvp rule per op with a traced operand; nothing is stored.
Errors  NotDifferentiable, naming the op, its stated reason and the user's line.
Source  Griewank & Walther (2008), ch. 3.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

from wengert.core.aval import is_inexact
from wengert.core.config import config
from wengert.core.errors import NotDifferentiable
from wengert.core.events import evaluated, tell
from wengert.core.op import Op
from wengert.core.quiet import quietly
from wengert.core.source import describe, here
from wengert.core.tensor import CONSTANTS, Array, Tensor, Trace, constant, held, running
from wengert.trace.admission import inexact
from wengert.trace.anomaly import check_result, check_tangent
from wengert.trace.cells import alone
from wengert.trace.tape import objects


class Jvp(Trace):
    """A trace whose Tensors carry (primal, tangent) as (value, node)."""

    __slots__ = ("met",)

    def __init__(self) -> None:
        super().__init__()
        self.met: Any = None

    def apply(self, op: Op, args: tuple[Array, ...], params: dict[str, Any]) -> Any:
        if self.mode is not None:
            return self.mode(self, op, args, params)
        xs: list[Array] = []
        dxs: list[Array | None] = []
        nested = False
        for a in args:
            dx = None
            if type(a) is Tensor:
                if self.met is not None and a._trace in (self, CONSTANTS):
                    self.met(a)
                if a._trace is self:
                    a, dx = a._value, a._node
                elif a._trace is CONSTANTS:
                    a = a._value
                nested = nested or type(a) is Tensor
            xs.append(a)
            dxs.append(dx)
        if op.both is not None:
            return self._both(op, xs, dxs, params)
        out = (op if nested and not op.transparent else op.eval)(*xs, **params)
        if op.constant:
            return tuple(map(constant, out)) if op.multi else constant(out)
        if not op.multi and out.dtype.kind in "iub":  # of an op that waits for values with tangents, and reads none
            return constant(out)
        if not op.multi and out.dtype.kind == "O":
            raise objects(op)
        try:
            dout = quietly(op.pushforward, xs, dxs, out, **params)
        except NotDifferentiable as error:
            raise error.located(describe(here(3))) from None
        if evaluated:
            tell(evaluated, op, here(3), args, (*out, *dout) if op.multi else (out, dout))
        if op.multi:
            return tuple(
                o if do is None or not is_inexact(o.dtype) else Tensor(o, do, self)
                for o, do in zip(out, dout, strict=True)
            )
        if config.watches_values:
            check_result(op, xs, out, here(3), params)
            if dout is not None:
                check_tangent(op, [*xs, *dxs, out], dout, here(3))
        return Tensor(out, dout, self)

    def _both(self, op: Op, xs: list[Array], dxs: list[Array | None], params: dict[str, Any]) -> Any:
        """An op of several results that gives them and their tangents at once."""
        assert op.both is not None
        if all(d is None for d in dxs):
            return op(*xs, **params)
        try:
            outs, douts = quietly(op.both, xs, dxs, **params)
        except NotDifferentiable as error:
            raise error.located(describe(here(4))) from None
        if evaluated:
            tell(evaluated, op, here(4), xs, (*outs, *douts))
        return tuple(
            o if do is None or not is_inexact(o.dtype) else Tensor(o, do, self)
            for o, do in zip(outs, douts, strict=True)
        )

    def write(self, cell: Tensor, spec: Any, value: Array, node: Any, traced: bool) -> bool:
        if type(node) is Tensor or not alone(sys.getrefcount(cell._node), cell._node):
            return False
        cell._value[spec] = value
        cell._node[spec] = node if traced else 0
        return True


def jvp_flat(
    fun: Callable[..., Sequence[Array]], primals: Sequence[Array], tangents: Sequence[Array | None]
) -> tuple[list[Array], list[Array | None]]:
    """`fun` on flat lists: outputs and their tangents; a None tangent marks a constant, in and out."""
    trace = Jvp()
    with running(trace):
        outs = fun(
            *(
                p if t is None else Tensor(held(inexact(trace.lower(p), "jvp")), held(t), trace)
                for p, t in zip(primals, tangents, strict=True)
            )
        )
    values, dots = [], []
    for out in outs:
        dots.append(out._node if trace.owns(out) else None)
        values.append(trace.lower(out))
    trace.close("a finished jvp")
    return values, dots
