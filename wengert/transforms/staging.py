"""Staging: a user's function of pytrees as a Program of flat arrays; `trace`, and graph-mode derivatives of Programs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wengert.core.aval import Aval, is_inexact
from wengert.core.errors import DTypeError, TracerLeak
from wengert.core.source import describe, here
from wengert.core.tensor import Array, Tensor
from wengert.core.tree import TreeDef, flatten, unflatten
from wengert.graph.identity import MARKERS
from wengert.graph.program import Program
from wengert.ops.index import ARRAY
from wengert.trace.admission import plain
from wengert.trace.adopt import adopt as adopt_function
from wengert.trace.stage import Stage, stage
from wengert.transforms.entry import adopted, entry

MARKERS["ARRAY"] = ARRAY
WEAK = {bool: np.dtype(bool), int: np.dtype(int), float: np.dtype(float), complex: np.dtype(complex)}


@dataclass(frozen=True)
class ShapeDtype:
    """An argument of which only shape and dtype are known. `weak` stands for a Python number."""

    shape: tuple[int, ...]
    dtype: Any = float
    weak: bool = False

    def __post_init__(self) -> None:
        shape = (self.shape,) if isinstance(self.shape, int) else tuple(map(int, self.shape))
        object.__setattr__(self, "shape", shape)
        object.__setattr__(self, "dtype", np.dtype(self.dtype))


def admitted(value: Any, what: Callable[[], str]) -> tuple[Any, Aval]:
    """An argument's leaf as an ndarray, scalar or Tensor, and its aval; `what` names it in an error."""
    kind = type(value)
    if kind is np.ndarray:
        pass
    elif kind in WEAK:
        return value, Aval((), WEAK[kind], weak=True)
    elif kind is Tensor or isinstance(value, np.generic):
        pass
    elif isinstance(value, ShapeDtype):
        return value, Aval(value.shape, value.dtype, value.weak)
    elif isinstance(value, np.ndarray):
        value = plain(value, "jit")
    elif hasattr(value, "__array__"):
        value = np.asarray(value)
    elif isinstance(value, (int, float, complex)):
        return admitted(np.asarray(value)[()].item(), what)
    else:
        raise DTypeError(
            what(),
            got=f"{type(value).__module__}.{type(value).__qualname__}",
            want="arrays, numbers, and pytrees of these",
            fix="make it a static argument (static_argnums or static_argnames), close over it, or register its class as a pytree",
            at=describe(here(3)),
        )
    dtype = value.dtype
    if dtype.kind not in "biufc" and not is_inexact(dtype):
        raise DTypeError(
            what(), got=f"an array of dtype {dtype}", want="numbers or booleans", fix="make it a static argument, or close over it",
            at=describe(here(3)),
        )  # fmt: skip
    return value, Aval(tuple(value.shape), dtype)


class Staged:
    """A function that has been staged: its Program, and how results go back into the user's structure."""

    __slots__ = ("captured", "n_out", "out_tree", "program", "written")

    def __init__(self, program: Program, out_tree: TreeDef, written: Sequence[int], captured: Sequence[Tensor]) -> None:
        self.program, self.out_tree = program, out_tree
        self.written = tuple(written)  #: inputs that the function writes into; their new values follow the results
        self.captured = captured  #: Tensors of outer traces that the function closes over
        self.n_out = len(program.outs) - len(self.written)


def stage_call(
    fun: Callable[..., Any], tree: TreeDef, avals: Sequence[Aval], place: Callable[[Any], tuple[Any, Any]], adopt: bool
) -> Staged:
    """Stage `fun`, called as `place(unflatten(tree, leaves))` says: (args, kwargs) with the static ones put in."""
    known: dict[str, Any] = {}
    if adopt:
        fun = adopt_function(fun)

    def flat(*cells: Tensor) -> list[Array]:
        vars_ = [c._node for c in cells]
        args, kwargs = place(unflatten(tree, cells))
        if adopt:
            args = adopted(args)
            kwargs = dict(zip(kwargs, adopted(tuple(kwargs.values())), strict=True)) if kwargs else kwargs
        outs, known["tree"] = flatten(fun(*args, **kwargs))
        for out in outs:
            _check_result(out)
        for cell in cells:
            if cell._view is not None:
                cell._sync()
        known["written"] = [i for i, (c, v) in enumerate(zip(cells, vars_, strict=True)) if c._node is not v]
        return [*outs, *(cells[i] for i in known["written"])]

    program, captured = stage(flat, avals)
    return Staged(program, known["tree"], known["written"], captured)


def _check_result(out: Any) -> None:
    if type(out) is Tensor or isinstance(out, (np.ndarray, np.generic, bool, int, float, complex)):
        return
    raise DTypeError(
        "a staged function",
        got=f"a result of type {type(out).__module__}.{type(out).__qualname__}",
        want="arrays, numbers, and pytrees of these",
        fix="return arrays alone; what is no array is known before the call",
        at=describe(here(4)),
    )


@entry
def trace(fun: Callable[..., Any], *args: Any, adopt: bool = True, **kwargs: Any) -> Program:
    """`fun` as a Program: the list of operations that it does to arrays of these shapes and dtypes.

    Parameters
    ----------
    args, kwargs : arrays, Python numbers, `ShapeDtype(shape, dtype)`, and pytrees of these. Of arrays, shape and
        dtype alone matter; Python numbers stay weak (NEP 50).
    adopt : bind the `np`, `scipy` and `math` of `fun` to wengert's

    Returns
    -------
    Program, with one input per leaf and one output per leaf of the result.

    Raises
    ------
    ConcretizationError : `fun` asks for a value (`if x > 0`, `float(x)`, a shape that depends on elements).
    """
    leaves, tree = flatten((args, kwargs))
    avals = [admitted(x, lambda i=i: f"trace: leaf {i} of the arguments")[1] for i, x in enumerate(leaves)]
    staged = stage_call(fun, tree, avals, lambda both: both, adopt)
    if staged.captured:
        raise TracerLeak(
            "trace",
            got="a function that closes over a Tensor of a running transform",
            want="a Program, which outlives the transform",
            fix="make it an argument",
            at=describe(here(2)),
        )
    return staged.program


def replay(program: Program, stage: Stage) -> Callable[..., list[Array]]:
    """The Program as a function of flat arrays; equations that `stage` records for it keep their lines."""

    def at(source: Any) -> None:
        stage.where = source

    def run(*args: Array) -> list[Array]:
        try:
            return program.run(*args, at=at)
        finally:
            stage.where = None

    return run
