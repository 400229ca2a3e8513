"""What loops carry and stack, as flat lists of leaves: what goes in, what must come out, and what it is called in errors."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.core.aval import Aval
from wengert.core.errors import ShapeError
from wengert.core.source import describe, here
from wengert.core.tensor import Array, Tensor, held
from wengert.core.tree import flatten, unflatten
from wengert.ops.index import index
from wengert.transforms.control.functions import adapts, as_dtype, leaf, mismatch, same_structure


def leaves_of(tree: Any, what: str) -> tuple[list[tuple[Array, Aval]], Any]:
    leaves, structure = flatten(tree)
    return [leaf(x, f"leaf {i} of {what}") for i, x in enumerate(leaves)], structure


def length_of(leaves: Sequence[Any], length: int | None) -> int:
    sizes = {} if length is None else {operator.index(length): "length"}
    if length is not None and length < 0:
        raise ShapeError("scan", got=f"length={length}", want="no fewer than 0 trips", at=describe(here(3)))
    for x in leaves:
        shape = tuple(getattr(x, "shape", ()))
        if not shape:
            raise ShapeError(
                "scan", got="an x without axes", want="arrays with the trips along axis 0",
                fix="close over what all trips share", at=describe(here(3)),
            )  # fmt: skip
        sizes.setdefault(shape[0], f"an x of shape {shape}")
    if len(sizes) != 1:
        got = ", ".join(f"{n} ({what})" for n, what in sizes.items())
        raise ShapeError(
            "scan",
            got=f"different numbers of trips: {got}" if sizes else "neither xs nor length",
            want="one number of trips",
            fix="give all xs the same length along axis 0, or pass length",
            at=describe(here(3)),
        )
    return next(iter(sizes))


def element(x: Array, i: int) -> Array:
    return index(x, spec=(i,)) if type(x) is Tensor else np.array(np.asarray(x)[i])[()]


def finished(tree: Any) -> Any:
    """The last carry: Python numbers as NumPy's, as a compiled loop gives them."""
    leaves, structure = flatten(tree)
    return unflatten(
        structure, [np.asarray(x)[()] if isinstance(x, (bool, int, float, complex)) else x for x in leaves]
    )


def described(tree: Any) -> tuple[list[Aval], Any]:
    leaves, structure = flatten(tree)
    return [leaf(x, f"leaf {i} of init")[1] for i, x in enumerate(leaves)], structure


def checked(what: str, tree: Any, before: list[Aval], structure: Any) -> tuple[Any, list[Aval]]:
    """A new carry and its avals, which must be those of the one before. Python numbers may become arrays, and arrays
    stay what they are where a Python number comes."""
    leaves, now = flatten(tree)
    same_structure(what, now, structure)
    after, kept = [], not _apart(leaves)
    for i, (x, old) in enumerate(zip(leaves, before, strict=True)):
        new = Aval(tuple(x.shape), x.dtype) if hasattr(x, "dtype") else leaf(x, f"leaf {i} of the new carry")[1]
        if not old.weak and (new.shape != old.shape or (new.dtype != old.dtype and not new.weak)):
            raise mismatch(what, i, new, old)
        if new.weak and not old.weak:
            if not adapts(new, old.dtype):
                raise mismatch(what, i, new, old)
            leaves[i], new, kept = as_dtype(x, old.dtype), old, False
        after.append(new)
    return (tree if kept else unflatten(structure, leaves)), after


def _apart(leaves: list[Any]) -> bool:
    """Give leaves that are one array, or views of one, memory of their own, since the next trip may write to each; tell if
    there were any."""
    found = False
    for i, x in enumerate(leaves):
        if type(x) is Tensor and (x._view is not None or any(x is y for y in leaves[:i])):
            leaves[i], found = held(x), True
        elif type(x) is np.ndarray and any(type(y) is np.ndarray and np.may_share_memory(x, y) for y in leaves[:i]):
            leaves[i], found = x.copy(), True
    return found


def pair_of(out: Any) -> tuple[Any, Any]:
    if not isinstance(out, (tuple, list)) or len(out) != 2:
        raise TypeError(f"scan: the body is to return (carry, y); got {type(out).__name__}; at: {describe(here(3))}")
    return out[0], out[1]


def two(tree: Any) -> tuple[Any, Any]:
    first, second = tree.children()
    return first, second


def truth(go: Any) -> bool:
    shape = getattr(go, "shape", None)
    if isinstance(go, (tuple, list, dict, type(None))) or shape not in ((), None):
        got = f"type {type(go).__name__}" if shape is None else f"shape {tuple(shape)}"
        raise ShapeError(
            "while_loop", got=f"a predicate of {got}", want="one boolean",
            fix="reduce it: np.any(…) or np.all(…)", at=describe(here(3)),
        )  # fmt: skip
    return bool(go)
