"""Users' functions as bodies: staged on what they are given and what they close over, with pytrees flattened.

A body is staged where a program is being staged, or where its values differ between examples of a vmap; everywhere else
loops are Python's own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wengert.core.aval import Aval, aval_of
from wengert.core.errors import DTypeError, ShapeError
from wengert.core.source import describe, here
from wengert.core.tensor import Array, Tensor, active, held, raw
from wengert.core.tree import TreeDef, flatten, unflatten
from wengert.graph.program import Program
from wengert.ops.basis import cast
from wengert.trace.adopt import adopt as adopt_function
from wengert.trace.stage import Stage, stage
from wengert.transforms.batch import Batch
from wengert.transforms.staging import admitted


def staging() -> bool:
    """Whether a program is being staged."""
    return any(type(trace) is Stage for trace in active())


def known(x: Array) -> bool:
    """Whether `x` has one value, now: it is neither staged nor different between examples."""
    while type(x) is Tensor:
        if type(x._trace) in (Batch, Stage):
            return False
        x = x._value
    return True


def adopted(fun: Callable[..., Any]) -> Callable[..., Any]:
    """`fun` with wengert's `np`, `math` and `scipy`, if a transform is running."""
    return adopt_function(fun) if active() else fun


def leaf(x: Any, what: str) -> tuple[Array, Aval]:
    """A leaf as an array or number, and its aval."""
    return admitted(held(x) if type(x) is Tensor else x, lambda: what)


class Body:
    """A function staged on leaves of the given avals.

    program : (what it closes over, leaves) → leaves of the result
    captured : Tensors of running transforms that it closes over
    """

    def __init__(self, fun: Callable[..., Any], trees: Sequence[TreeDef], avals: Sequence[Sequence[Aval]]) -> None:
        """`fun` takes one argument per tree."""
        self.tree: Any = None
        sizes = [len(group) for group in avals]

        def flat(*cells: Array) -> list[Array]:
            given = iter(cells)
            args = [unflatten(t, [next(given) for _ in range(n)]) for t, n in zip(trees, sizes, strict=True)]
            outs, self.tree = flatten(adopted(fun)(*args))
            return outs

        arrays = [aval for group in avals for aval in group]
        program, captured = stage(flat, arrays, keeps=True)
        n = len(arrays)
        self.program = Program(
            [*program.ins[n:], *program.ins[:n]], program.eqns, program.outs, program.written_out
        ).pruned()
        self.captured = captured
        self.outs = [atom.aval for atom in program.outs]

    def with_consts(self, captured: Sequence[Tensor]) -> Program:
        """The program as one that takes all of `captured`, of which its own are some."""
        own = dict(zip(map(id, self.captured), self.program.ins, strict=False))
        ins = []
        for tensor in captured:
            var = own.get(id(tensor))
            ins.append(type(self.program.ins[0])(tuple(tensor.shape), tensor.dtype) if var is None else var)
        ins += self.program.ins[len(self.captured) :]
        return Program(ins, self.program.eqns, self.program.outs, self.program.written_out)


def same_structure(what: str, got: Any, want: Any) -> None:
    """Refuse a result of another structure than is wanted."""
    if got != want:
        raise ShapeError(
            what,
            got=f"a result with the structure {got}",
            want=f"{want}",
            fix="return the same nesting of tuples, lists and dicts",
            at=describe(here(4)),
        )


def mismatch(what: str, number: int, got: Aval, want: Aval) -> Exception:
    kind = ShapeError if got.shape != want.shape else DTypeError
    return kind(
        what,
        got=f"leaf {number} of the new carry: {got.dtype}{list(got.shape)}",
        want=f"{want.dtype}{list(want.shape)}, as before the trip",
        fix="give the initial value the shape and dtype that the loop makes of it (np.zeros(n, dtype), float(x))",
        at=describe(here(4)),
    )


def start(value: Array, aval: Aval) -> Array:
    """An initial carry as an operand of this aval."""
    of = aval_of(raw(value)) if type(value) is not Tensor else None
    if of is not None and (of.weak or of.dtype != aval.dtype):
        return np.asarray(value, aval.dtype)[()]
    if type(value) is Tensor and value.dtype != aval.dtype:
        return cast(value, dtype=aval.dtype)
    return value


def carried(what: str, before: Sequence[Aval], after: Sequence[Aval], weak: Sequence[bool]) -> list[Aval] | None:
    """None if carries come out as they went in. Otherwise what Python numbers among them must be for that."""
    new, changed = list(before), False
    for i, (old, got) in enumerate(zip(before, after, strict=True)):
        if old.shape == got.shape and old.dtype == got.dtype and (old.weak == got.weak or not weak[i] or not old.weak):
            continue
        if not weak[i] or not old.weak:
            raise mismatch(what, i, got, old)
        new[i], changed = Aval(got.shape, got.dtype), True
    return new if changed else None
