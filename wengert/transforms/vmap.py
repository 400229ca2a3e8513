"""`vmap`: a function of one example becomes a function of many, and per-example gradients."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from wengert.core.errors import ShapeError
from wengert.core.source import describe, here
from wengert.core.tensor import Array
from wengert.core.tree import flatten, prefix_leaves, unflatten
from wengert.ops.basis import broadcast_to, transpose
from wengert.trace.adopt import adopt as adopt_function
from wengert.transforms.batch import apart, batch_flat
from wengert.transforms.control.functions import staging
from wengert.transforms.control.rows import in_rows
from wengert.transforms.entry import adopted, entry
from wengert.transforms.gradients import ArgNums, grad, positions


def vmap(
    fun: Callable[..., Any], in_axes: Any = 0, out_axes: Any = 0, *, axis_size: int | None = None, adopt: bool = True
) -> Callable[..., Any]:
    """`fun` on every example along an axis, in one vectorised run.

    Parameters
    ----------
    in_axes : int, None, or a sequence (one per positional argument) of these or of pytree prefixes
        The axis that counts examples; None for an argument that all examples share.
        Keyword arguments are mapped along axis 0.
    out_axes : int, None, or a pytree prefix of the output
        Where the axis goes in the output; None for an output that is the same for all examples.
    axis_size : int
        The number of examples, if no argument tells.

    A branch on a value differs between examples, so `if x > 0` raises ConcretizationError: use `numpy.where`.
    Cost: one batched op per op.
    """

    @entry
    @functools.wraps(fun)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        axes = tuple(in_axes) if isinstance(in_axes, (tuple, list)) else (in_axes,) * len(args)
        if len(axes) != len(args):
            raise ShapeError(
                "vmap",
                got=f"in_axes for {len(axes)} arguments",
                want=f"one for each of the {len(args)}",
                at=describe(here(2)),
            )
        run, args = (adopt_function(fun), tuple(adopted(args))) if adopt else (fun, args)
        leaves, in_tree = flatten((args, kwargs))
        leaf_axes = prefix_leaves(axes, args) + [0] * len(flatten(kwargs)[0])
        size = _size(leaves, leaf_axes, axis_size)
        moved = [x if axis is None else _to_front(x, axis) for x, axis in zip(leaves, leaf_axes, strict=True)]
        out_tree: Any = None

        def flat(*values: Array) -> list[Array]:
            nonlocal out_tree
            positional, keywords = unflatten(in_tree, values)
            outs, out_tree = flatten(run(*positional, **keywords))
            return outs

        flags = [a is not None for a in leaf_axes]
        small = in_rows(flat, moved, flags, size) if staging() else None
        if small is not None:
            outs, batched = small, [True] * len(small)
        else:
            outs, batched = batch_flat(flat, moved, flags, size)
        out_leaf_axes = prefix_leaves(out_axes, unflatten(out_tree, outs))
        placed = [_place(o, b, axis, size) for o, b, axis in zip(outs, batched, out_leaf_axes, strict=True)]
        return unflatten(out_tree, placed)

    return wrapped


def _size(leaves: Sequence[Any], axes: Sequence[int | None], axis_size: int | None) -> int:
    sizes = {} if axis_size is None else {axis_size: "axis_size"}
    for x, axis in zip(leaves, axes, strict=True):
        if axis is not None:
            shape = getattr(x, "shape", ())
            if not -len(shape) <= axis < len(shape):
                raise ShapeError(
                    "vmap",
                    got=f"axis {axis} of an argument of shape {tuple(shape)}",
                    want="an axis it has",
                    fix="pass in_axes=None for what all examples share",
                    at=describe(here(3)),
                )
            sizes.setdefault(shape[axis], f"an argument of shape {tuple(shape)}")
    if len(sizes) != 1:
        raise ShapeError(
            "vmap",
            got="different numbers of examples: " + ", ".join(f"{n} ({what})" for n, what in sizes.items())
            if sizes
            else "no mapped argument",
            want="one number of examples",
            fix="check in_axes, or pass axis_size",
            at=describe(here(3)),
        )
    return next(iter(sizes))


def _to_front(x: Array, axis: int) -> Array:
    """`x` with `axis` first."""
    axis %= x.ndim
    return apart(x if axis == 0 else transpose(x, axes=(axis, *(i for i in range(x.ndim) if i != axis))))


def _place(out: Array, batched: bool, axis: int | None, size: int) -> Array:
    if axis is None:
        if batched:
            raise ShapeError(
                "vmap",
                got="out_axes=None for an output that differs between examples",
                want="an axis",
                at=describe(here(3)),
            )
        return out
    if not batched:
        out = broadcast_to(out, shape=(size, *getattr(out, "shape", ())))
    place = axis % out.ndim
    order = [*range(1, out.ndim)]
    order.insert(place, 0)
    return out if place == 0 else transpose(out, axes=tuple(order))


def per_example_grad(
    fun: Callable[..., Any], argnums: ArgNums = 0, *, in_axes: Sequence[Any] | None = None, adopt: bool = True
) -> Callable[..., Any]:
    """The gradient of a loss for each example separately, in one vectorised run.

    `fun(params, *example)` is the loss of one example. By default the differentiated arguments
    are shared, and every other one carries examples along axis 0; the result does too.
    """
    gradient = grad(fun, argnums, adopt=adopt)

    @entry
    @functools.wraps(fun)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        shared = positions(argnums, args)
        axes = tuple(None if i in shared else 0 for i in range(len(args))) if in_axes is None else tuple(in_axes)
        return vmap(gradient, axes, adopt=False)(*args, **kwargs)

    return wrapped
