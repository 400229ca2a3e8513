"""Batching: one run of a function on many examples at once.

A batched Tensor holds its examples along axis 0 of its value, and shows the shape of
one of them. Every op's batch rule keeps the batch axis first (docs/adr/002).

Cost    One batched op per op. An op whose rule is `batch_by_loop` runs once per example.
Errors  ConcretizationError where a Python branch or a shape would depend on an example's value.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wengert.core.abstract import is_array
from wengert.core.errors import NotDifferentiable
from wengert.core.form import Barrier
from wengert.core.op import Op
from wengert.core.source import describe, here
from wengert.core.tensor import CONSTANTS, Array, Tensor, Trace, held, raw, running
from wengert.ops.shape import in_order


class Batch(Trace):
    """A trace whose Tensors hold `size` examples along axis 0."""

    __slots__ = ("met", "size")

    differentiates = False

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size
        self.met: Any = None

    def shape(self, value: Array) -> tuple[int, ...]:
        return value.shape[1:]

    def apply(self, op: Op, args: tuple[Array, ...], params: dict[str, Any]) -> Any:
        if self.mode is not None:
            return self.mode(self, op, args, params)
        xs: list[Array] = []
        batched: list[bool] = []
        for a in args:
            mine = type(a) is Tensor and a._trace is self
            batched.append(mine)
            if mine or (type(a) is Tensor and a._trace is CONSTANTS):
                if self.met is not None:
                    self.met(a)
                a = a._value
            xs.append(a)
        if type(op.lower) is Barrier and not batched[0]:
            return op(*xs, **params)  # one for all examples, after all of them
        try:
            out = op.batched(xs, batched, self.size, **params)
        except NotDifferentiable as error:
            raise error.located(describe(here(3))) from None
        if op.multi:
            return tuple(Tensor(apart(o), None, self) for o in out)
        return Tensor(out if op.put is not None and len(args) == 1 else apart(out), None, self)  # views stay views

    def write(self, cell: Tensor, spec: Any, value: Array, node: Any, traced: bool) -> bool:
        target = cell._value[(slice(None), *spec) if type(spec) is tuple else (slice(None), spec)]
        missing = target.ndim - np.ndim(value) - (not traced)
        if missing < 0:
            return False
        target[...] = value.reshape(self.size, *(1,) * missing, *value.shape[1:]) if traced and missing else value
        return True


def apart(x: Array) -> Array:
    """`x`, with the examples along axis 0 one after the other in memory.

    Then each lies as NumPy would lay it out alone, which decides what `reshape` and its kin give a view of.
    """
    bottom = raw(x)
    if not is_array(bottom) or bottom.flags.c_contiguous or x.ndim < 2:
        return x
    lead = bottom.ndim - x.ndim  # axes of outer batches
    steps = [abs(s) if d > 1 else 0 for s, d in zip(bottom.strides[lead:], bottom.shape[lead:])]
    if not steps[0] or steps[0] >= max(steps[1:]):
        return x
    return in_order(x, (0, *sorted(range(1, x.ndim), key=lambda i: -steps[i])))


def batch_flat(
    fun: Callable[..., Sequence[Array]], args: Sequence[Array], batched: Sequence[bool], size: int
) -> tuple[list[Array], list[bool]]:
    """`fun` on flat lists, batch axis 0 throughout: outputs, and which of them are batched."""
    trace = Batch(size)
    with running(trace):
        outs = fun(*(Tensor(held(trace.lower(a)), None, trace) if b else a for a, b in zip(args, batched, strict=True)))
    flags = [trace.owns(out) for out in outs]
    values = [trace.lower(out) for out in outs]
    trace.close("a finished vmap")
    return values, flags
