"""Control flow by Python's own loops and branches, with the signatures of `wengert.scan` and its kin.

An oracle: it knows nothing of Programs and their rules. What it runs is recorded, differentiated and batched op by op.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wengert.core.tree import flatten, unflatten
from wengert.ops.index import index
from wengert.ops.shape import stack


def scan(
    f: Callable[..., Any], init: Any, xs: Any = None, length: int | None = None, reverse: bool = False, unroll: int = 1
) -> tuple[Any, Any]:
    leaves, tree = flatten(xs)
    n = leaves[0].shape[0] if leaves else length or 0
    carry, rows, y_tree = init, [], flatten(None)[1]
    for i in reversed(range(n)) if reverse else range(n):
        carry, y = f(carry, unflatten(tree, [index(x, spec=(i,)) for x in leaves]))
        y_leaves, y_tree = flatten(y)
        rows.append(y_leaves)
    if not n:
        raise ValueError("what a trip gives is not known without one")
    ordered = rows[::-1] if reverse else rows
    return carry, unflatten(y_tree, [stack(*column, axis=0) for column in zip(*ordered, strict=True)])


def while_loop(cond: Callable[[Any], Any], body: Callable[[Any], Any], init: Any) -> Any:
    value = init
    while cond(value):
        value = body(value)
    return value


def fori_loop(lower: Any, upper: Any, body: Callable[[Any, Any], Any], init: Any, *, unroll: int = 1) -> Any:
    value = init
    for i in range(int(lower), int(upper)):
        value = body(i, value)
    return value


def map(f: Callable[[Any], Any], xs: Any, *, batch_size: int | None = None) -> Any:
    return scan(lambda _, x: (None, f(x)), None, xs)[1]


def cond(pred: Any, true_fn: Callable[..., Any], false_fn: Callable[..., Any], *operands: Any) -> Any:
    return true_fn(*operands) if pred else false_fn(*operands)


def switch(index: Any, branches: Sequence[Callable[..., Any]], *operands: Any) -> Any:
    return branches[int(np.clip(int(index), 0, len(branches) - 1))](*operands)


def associative_scan(fn: Callable[[Any, Any], Any], elems: Any, reverse: bool = False, axis: int = 0) -> Any:
    def step(carry: Any, x: Any) -> tuple[Any, Any]:
        carry = x if carry is None else fn(carry, x)
        return carry, carry

    return scan(step, None, elems, reverse=reverse)[1]


def call(fun: Callable[..., Any], *args: Any) -> Any:
    return fun(*args)
