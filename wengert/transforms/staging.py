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
from wengert.graph.program import DERIVATIONS, Program
from wengert.ops.index import ARRAY
from wengert.trace.admission import plain
from wengert.trace.adopt import adopt as adopt_function
from wengert.trace.stage import stage
from wengert.transforms.derived import need_rules, replay, some_of, trace_of
from wengert.transforms.derived import pushforward as push
from wengert.transforms.entry import adopted, entry, outward
from wengert.transforms.reverse import vjp_flat

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
    if not dtype.isnative:
        dtype = dtype.newbyteorder("=")
        value = value.astype(dtype)
    return value, Aval(tuple(value.shape), dtype)


class Staged:
    """A function that has been staged: its Program, and how results go back into the user's structure."""

    __slots__ = ("augmented", "captured", "n_out", "out_tree", "program", "written")

    def __init__(
        self,
        program: Program,
        out_tree: TreeDef,
        written: Sequence[int],
        captured: Sequence[Tensor],
        augmented: bool = False,
    ) -> None:
        self.program, self.out_tree = program, out_tree
        self.written = tuple(written)  #: inputs that the function writes into; their new values follow the results
        self.augmented = augmented  #: a scalar argument would be written if it were an array
        self.captured = captured  #: Tensors of outer traces that the function closes over
        self.n_out = len(program.outs) - len(self.written)


def stage_call(
    fun: Callable[..., Any],
    tree: TreeDef,
    avals: Sequence[Aval],
    place: Callable[[Any], tuple[Any, Any]],
    adopt: bool,
    arrays: frozenset[int] = frozenset(),
) -> Staged:
    """Stage `fun`, called as `place(unflatten(tree, leaves))` says: (args, kwargs) with the static ones put in.

    arrays : the leaves without axes that are arrays, and no scalars
    """
    known: dict[str, Any] = {}
    if adopt:
        fun = adopt_function(fun)

    def flat(*cells: Tensor) -> list[Array]:
        vars_, given = [c._node for c in cells], [c._value for c in cells]
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
        known["augmented"] = any(value.augmented for value in given)
        return [*outs, *(cells[i] for i in known["written"])]

    program, captured = stage(flat, avals, arrays)
    return Staged(program, known["tree"], known["written"], captured, known["augmented"])


def _check_result(out: Any) -> None:
    if type(out) is Tensor or isinstance(out, (np.ndarray, np.generic, bool, int, float, complex)):
        return
    if hasattr(out, "refused"):  # a selection by a mask
        raise out.refused("a result that is a selection by")
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


# ── derivatives of programs ───────────────────────────────────────────────────


def _chosen(given: Any, atoms: Sequence[Any], what: str) -> tuple[int, ...]:
    """Numbers of inputs or outputs: those given, or all that are floats or complex."""
    if given is None:
        return tuple(i for i, atom in enumerate(atoms) if is_inexact(atom.aval.dtype))
    numbers = (given,) if isinstance(given, int) else tuple(given)
    for i in numbers:
        if not -len(atoms) <= i < len(atoms):
            raise ValueError(f"{what} {i}: the program has {len(atoms)}")
        if not is_inexact(atoms[i].aval.dtype):
            raise DTypeError("a program's derivative", got=f"{what} {i} of dtype {atoms[i].aval.dtype}", want="floats")
    return tuple(i % len(atoms) for i in numbers)


def gradient(program: Program, outputs: Any = None, inputs: Any = None) -> Program:
    """The gradient of a Program, as a Program.

    Parameters
    ----------
    outputs, inputs : numbers of outputs to differentiate, and of inputs to differentiate in; default: all that are
        floats or complex

    Returns
    -------
    Program. Its inputs are the original's and one cotangent per chosen output, unless that is one real scalar, whose
    cotangent is 1. Its outputs are the chosen inputs' cotangents, in the convention of `config.complex_convention`.
    What they do not need of the original is left out.
    """
    need_rules(program)
    outs = _chosen(outputs, program.outs, "output")
    ins = _chosen(inputs, program.ins, "input")
    avals = [program.outs[i].aval for i in outs]
    seeded = len(outs) == 1 and avals[0].shape == () and avals[0].dtype.kind != "c"
    n = len(program.ins)

    def run(*args: Tensor) -> list[Array]:
        mask = tuple(i in ins for i in range(n))
        some = sorted(ins)
        fun = some_of(replay(program, trace_of(args)), args[:n], mask)
        values, pullback, _ = vjp_flat(fun, [args[i] for i in some], "Program.gradient")
        cts: list[Any] = [None] * len(values)
        for i, ct in zip(outs, [avals[0].dtype.type(1)] if seeded else map(outward, args[n:]), strict=True):
            cts[i] = ct if cts[i] is None else cts[i] + ct
        found = dict(zip(some, pullback(cts), strict=True))
        return [outward(found[i]) for i in ins]

    cts = [] if seeded else [Aval(a.shape, a.dtype) for a in avals]
    return stage(run, [*(v.aval for v in program.ins), *cts])[0].pruned()


def pushforward(program: Program, inputs: Any = None) -> Program:
    """A Program's outputs and their tangents, as a Program.

    Its inputs are the original's, and the tangents of the chosen ones (default: all that are floats or complex); its
    outputs the original's, and the tangents of those that are floats or complex.
    """
    ins = _chosen(inputs, program.ins, "input")
    if list(ins) != sorted(set(ins)):
        raise ValueError(f"inputs={inputs}: numbers in rising order, each once")
    return push(program, tuple(i in ins for i in range(len(program.ins))), primals=True)


DERIVATIONS.update(gradient=gradient, pushforward=pushforward)
