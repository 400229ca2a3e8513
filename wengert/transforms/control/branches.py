"""`cond` and `switch`: Python's own branches where the choice is known, and one op where it is not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wengert.core.aval import Aval
from wengert.core.errors import DTypeError, ShapeError
from wengert.core.source import describe, here
from wengert.core.tensor import Array, Tensor
from wengert.core.tree import flatten, unflatten
from wengert.ops.dtype import truncate
from wengert.ops.logic import not_equal
from wengert.transforms.control.functions import Body, adapts, adopted, converted, known, leaf, own, same_structure
from wengert.transforms.control.switch import switch as switch_op
from wengert.transforms.entry import entry

_INT = np.dtype(np.int64)


@entry
def cond(pred: Any, true_fn: Callable[..., Any], false_fn: Callable[..., Any], *operands: Any) -> Any:
    """`true_fn(*operands)` if `pred`, else `false_fn(*operands)`.

    Parameters
    ----------
    pred : one boolean (or a number, of which zero is false)
    true_fn, false_fn : give results of one structure, with the same shapes and dtypes

    Where `pred` has no value yet (within `jit`) both are staged, and compiled code runs one. Where it differs between the
    examples of a `vmap`, both run, and each example takes its own.
    """
    _scalar(pred, "cond", "a predicate", "one boolean: np.any(…), np.all(…), or numpy.where for a choice by element")
    if known(pred):
        return own(adopted(true_fn if pred else false_fn)(*own(operands)))
    index = truncate(_as_number(pred), dtype=_INT)
    return _chosen("cond", index, (false_fn, true_fn), operands)


@entry
def switch(index: Any, branches: Sequence[Callable[..., Any]], *operands: Any) -> Any:
    """`branches[index](*operands)`; an index out of range is the nearest one.

    `index` is one integer. The branches give results of one structure, with the same shapes and dtypes. See `cond`.
    """
    _scalar(index, "switch", "an index", "one integer")
    if not branches:
        raise ValueError("switch: no branches")
    dtype = index.dtype if hasattr(index, "dtype") else np.asarray(index).dtype
    if dtype.kind not in "iu":
        raise DTypeError("switch", got=f"an index of dtype {dtype}", want="an integer", at=describe(here(2)))
    if known(index):
        return own(adopted(branches[min(max(int(index), 0), len(branches) - 1)])(*own(operands)))
    return _chosen("switch", index, tuple(branches), operands)


def _scalar(x: Any, what: str, got: str, want: str) -> None:
    if getattr(x, "shape", ()) != ():
        raise ShapeError(what, got=f"{got} of shape {tuple(x.shape)}", want=want, at=describe(here(3)))


def _as_number(pred: Array) -> Array:
    """A predicate as 0 or 1."""
    return pred if pred.dtype.kind == "b" else not_equal(pred, 0)


def _chosen(what: str, index: Array, functions: Sequence[Callable[..., Any]], operands: tuple[Any, ...]) -> Any:
    leaves, tree = flatten(operands)
    pairs = [leaf(x, f"leaf {i} of the operands of {what}") for i, x in enumerate(leaves)]
    avals = [aval for _, aval in pairs]
    bodies = [Body(lambda args, f=f: f(*args), (tree,), (avals,)) for f in functions]
    for body in bodies[1:]:
        same_structure(what, body.tree, bodies[0].tree)
    wanted = [_joint(what, i, [body.outs[i] for body in bodies]) for i in range(len(bodies[0].outs))]
    captured: list[Tensor] = []
    for body in bodies:
        captured += [t for t in body.captured if not any(t is s for s in captured)]
    programs = tuple(converted(body.with_consts(captured), wanted) for body in bodies)
    found = switch_op(index, *captured, *(x for x, _ in pairs), branches=programs)
    return unflatten(bodies[0].tree, found)


def _joint(what: str, number: int, avals: Sequence[Aval]) -> Aval:
    """What a result is, whichever branch gives it: Python numbers take the dtype of the others."""
    strong = [a for a in avals if not a.weak] or list(avals)
    first = strong[0]
    dtype = first.dtype if len(strong) < len(avals) or not first.weak else np.result_type(*(a.dtype for a in avals))
    for a in avals:
        fits = a.dtype == dtype or adapts(a, dtype)
        if a.shape != first.shape or not fits:
            raise (ShapeError if a.shape != first.shape else DTypeError)(
                what,
                got=f"branches whose result {number} is " + " and ".join(f"{a.dtype}{list(a.shape)}" for a in avals),
                want="the same shape and dtype from every branch",
                fix="broadcast or convert: np.broadcast_to(x, shape), x.astype(dtype)",
                at=describe(here(4)),
            )
    return Aval(first.shape, dtype)
