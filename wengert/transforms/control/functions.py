"""Users' functions as bodies: staged on what they are given and what they close over, with pytrees flattened.

A body is staged where a program is being staged, or where its values differ between examples of a vmap; everywhere else
loops are Python's own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wengert.core.aval import Aval, is_inexact
from wengert.core.errors import DTypeError, ShapeError
from wengert.core.source import describe, here
from wengert.core.tensor import Array, Tensor, active, held
from wengert.core.tree import TreeDef, flatten, unflatten
from wengert.graph.program import Program, Var, WeakVar
from wengert.ops.basis import cast
from wengert.ops.dtype import truncate
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


def own(tree: Any) -> Any:
    """A pytree in cells and arrays of a body's own, for it may write into them."""
    leaves, structure = flatten(tree)
    return unflatten(structure, [x.copy() if type(x) is np.ndarray else _held(x) for x in leaves])


def _held(x: Any) -> Any:
    return x._trace.copied(held(x)) if type(x) is Tensor else x


def leaf(x: Any, what: str) -> tuple[Array, Aval]:
    """A leaf as an array or number, and its aval."""
    if type(x) is not Tensor:
        return admitted(x, lambda: what)
    value, aval = admitted(held(x), lambda: what)
    weak = type(x._trace) is Stage and isinstance(x._node, WeakVar)  # a Python number to what it meets in the body, too
    return value, Aval(aval.shape, aval.dtype, True) if weak else aval


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
            return [
                o if type(o) is Tensor else leaf(o, f"leaf {i} of the result of a body")[0] for i, o in enumerate(outs)
            ]

        arrays = [aval for group in avals for aval in group]
        program, captured = stage(flat, arrays, keeps=True, alone=True)
        n = len(arrays)
        self.program = Program(
            [*program.ins[n:], *program.ins[:n]], program.eqns, program.outs, program.written_out
        ).pruned()
        self.captured = captured
        self.outs = [atom.aval for atom in program.outs]

    def giving(self, carries: Sequence[Aval]) -> Program:
        """The program with first results of these avals."""
        return converted(self.program, [*carries, *self.outs[len(carries) :]])

    def with_consts(self, captured: Sequence[Tensor]) -> Program:
        """The program as one that takes all of `captured`, of which its own are some."""
        own = dict(zip(map(id, self.captured), self.program.ins, strict=False))
        ins = []
        for tensor in captured:
            var = own.get(id(tensor))
            ins.append(Var(tuple(tensor.shape), tensor.dtype) if var is None else var)
        ins += self.program.ins[len(self.captured) :]
        return Program(ins, self.program.eqns, self.program.outs, self.program.written_out)


def converted(program: Program, wanted: Sequence[Aval]) -> Program:
    """The program with results of these dtypes."""
    if all(atom.aval == aval for atom, aval in zip(program.outs, wanted, strict=True)):
        return program

    def run(*xs: Array) -> list[Array]:
        return [as_dtype(o, aval.dtype) for o, aval in zip(program.run(*xs), wanted, strict=True)]

    return stage(run, [v.aval for v in program.ins], keeps=True)[0]


def as_dtype(x: Array, dtype: np.dtype) -> Array:
    """`x` in a dtype; a Python number as NumPy's."""
    if type(x) is not Tensor:
        return x if getattr(x, "dtype", None) == dtype else np.asarray(x, dtype)[()]
    if x.dtype == dtype:
        return x
    return cast(x, dtype=dtype) if is_inexact(dtype) else truncate(x, dtype=dtype)


def adapts(aval: Aval, dtype: np.dtype) -> bool:
    """Whether a Python number becomes one of a dtype where it meets that."""
    return aval.weak and np.can_cast(aval.dtype, dtype, "same_kind")


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
    return as_dtype(value, aval.dtype)


def carried(what: str, before: Sequence[Aval], after: Sequence[Aval], weak: Sequence[bool]) -> list[Aval] | None:
    """None if carries come out as they went in, but for Python numbers that are to take the dtype of what was there.
    Otherwise what Python numbers among those that go in must be for that."""
    new, changed = list(before), False
    for i, (old, got) in enumerate(zip(before, after, strict=True)):
        if old.shape == got.shape and old.dtype == got.dtype and (old.weak == got.weak or not weak[i] or not old.weak):
            continue
        if old.shape == got.shape and not old.weak and adapts(got, old.dtype):
            continue
        if not weak[i] or not old.weak:
            raise mismatch(what, i, got, old)
        new[i], changed = Aval(got.shape, got.dtype), True
    return new if changed else None
