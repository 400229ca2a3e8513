"""`scan`, `while_loop`, `fori_loop`, `map`: loops that are Python's own where values are known, and one op where they are not.

With the signatures of `jax.lax`. Outside of a staged program the body runs trip by trip: values print, debuggers
stop. Within one (`jit`, `trace`) it is staged once, and compiled to a native loop. Both give the same results, and
the same derivatives in every mode and order.
"""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from wengert.core.aval import Aval
from wengert.core.errors import DTypeError, ShapeError
from wengert.core.source import describe, here
from wengert.core.tensor import Array, Tensor, held
from wengert.core.tree import flatten, unflatten
from wengert.ops.basis import reshape
from wengert.ops.dtype import truncate
from wengert.ops.index import index
from wengert.ops.shape import concatenate, stack
from wengert.transforms.control.functions import (
    Body,
    adapts,
    adopted,
    as_dtype,
    carried,
    converted,
    known,
    leaf,
    mismatch,
    own,
    same_structure,
    staging,
    start,
)
from wengert.transforms.control.scan import scan as scan_op
from wengert.transforms.control.while_loop import while_loop as while_op
from wengert.transforms.entry import entry
from wengert.transforms.vmap import vmap

NUMBERED = 10_000_000  # trips of a staged `fori_loop` whose numbers are an array; of more they are counted
_COUNTER = Aval((), np.dtype(np.int64), True)


@entry
def scan(
    f: Callable[[Any, Any], tuple[Any, Any]],
    init: Any,
    xs: Any = None,
    length: int | None = None,
    reverse: bool = False,
    unroll: int = 1,
) -> tuple[Any, Any]:
    """Run `f` for each element along axis 0 of `xs`, with a value carried from one call to the next.

    Parameters
    ----------
    f : `f(carry, x) → (carry, y)`; the carry keeps its structure, shapes and dtypes
    init : the first carry, a pytree of arrays and numbers
    xs : a pytree of arrays with the same number of elements along axis 0; None for none, with `length`
    length : the number of calls, if no array tells
    reverse : from the last element to the first; `ys` stay in the order of `xs`
    unroll : how many calls to write out in compiled code

    Returns
    -------
    (carry, ys) : the last carry, and the ys stacked along axis 0

    Cost: compiled, one native loop. Reverse mode keeps what the pullback of `f` needs of each call.
    """
    x_leaves, x_tree = flatten(xs)
    n = _length(x_leaves, length)
    if staging():
        return _staged_scan(f, init, x_leaves, x_tree, n, reverse, unroll)
    carry, run = own(init), adopted(f)
    before, carry_tree = _described(carry)
    rows: list[list[Array]] = [[] for _ in range(n)]
    y_tree: Any = None
    changed = False
    for i in reversed(range(n)) if reverse else range(n):
        out = _pair(run(carry, unflatten(x_tree, [_element(x, i) for x in x_leaves])))
        was = before
        carry, before = _checked("scan", out[0], before, carry_tree)
        rows[i], y_tree = flatten(own(out[1]))
        changed = changed or before != was
    if not n:
        return _no_trips(f, init, x_leaves, x_tree)
    if changed and n > 1:  # the first trip was given Python numbers where the others had NumPy's
        first, other = (-1, -2) if reverse else (0, 1)
        rows[first] = [as_dtype(y, leaf(z, "y")[1].dtype) for y, z in zip(rows[first], rows[other], strict=True)]
    ys = [stack(*column, axis=0) for column in zip(*rows, strict=True)]
    return _finished(carry), unflatten(y_tree, ys)


@entry
def while_loop(cond: Callable[[Any], Any], body: Callable[[Any], Any], init: Any) -> Any:
    """`body` of a value again and again, while `cond` of it is true.

    Parameters
    ----------
    cond : `cond(value)` → one boolean
    body : `body(value)` → the next value, of the same structure, shapes and dtypes
    init : the first value, a pytree of arrays and numbers

    Returns
    -------
    The first value of which `cond` is false.

    Reverse mode needs no bound on the number of trips: compiled, what it keeps of each goes on a stack that grows, and is freed.
    """
    if staging():
        return _staged_while(cond, body, init)
    value, asked, run = own(init), adopted(cond), adopted(body)
    before, tree = _described(value)
    for trip in itertools.count():
        go = asked(value)
        if not known(go):
            return _staged_while(cond, body, value)
        if not _truth(go):
            return _finished(value) if trip else _unmoved(value, "while_loop", partial(_trip_of_while, body))
        value, before = _checked("while_loop", run(value), before, tree)


@entry
def fori_loop(lower: Any, upper: Any, body: Callable[[Any, Any], Any], init: Any, *, unroll: int = 1) -> Any:
    """`value = body(i, value)` for `i` from `lower` to `upper - 1`, beginning with `init`.

    Bounds that are known are a `scan`, others a `while_loop`. `i` is a Python number to what it meets: it changes no dtype.
    """
    low, high = _bound(lower), _bound(upper)
    if low is not None and high is not None and (high - low <= NUMBERED or not staging()):
        if staging():
            return _counted(low, max(high - low, 0), body, init, unroll)
        value, run = own(init), adopted(body)
        before, tree = _described(value)
        if low >= high:
            return _unmoved(value, "fori_loop", partial(_trip_of_count, body))
        for i in range(low, high):
            value, before = _checked("fori_loop", run(i, value), before, tree)
        return _finished(value)
    end = _integer(upper)
    return _staged_while(
        lambda pair: pair[0] < end, lambda pair: (pair[0] + 1, body(pair[0], pair[1])), (_integer(lower), init), True
    )[1]


@entry
def map(f: Callable[[Any], Any], xs: Any, *, batch_size: int | None = None) -> Any:
    """`f` of each element along axis 0 of `xs`, one after the other; the results stacked along axis 0.

    As `vmap`, in the memory of one call: `batch_size` elements at once are a `vmap` of so many.
    """
    leaves, tree = flatten(xs)
    n = _length(leaves, None)
    if batch_size is None or n == 0:
        return scan(lambda _, x: (None, f(x)), None, xs)[1]
    whole = n // batch_size * batch_size
    parts = []
    if whole:
        rows = [_reshaped(x, (whole // batch_size, batch_size), slice(0, whole)) for x in leaves]
        found, out_tree = flatten(scan(lambda _, x: (None, vmap(f)(x)), None, unflatten(tree, rows))[1])
        parts.append([_reshaped(y, (whole,), slice(None), 2) for y in found])
    if whole < n:
        found, out_tree = flatten(vmap(f)(unflatten(tree, [index(x, spec=(slice(whole, n),)) for x in leaves])))
        parts.append(found)
    ys = [
        column[0] if len(column) == 1 else concatenate(*column, axis=0, sizes=tuple(c.shape[0] for c in column))
        for column in zip(*parts, strict=True)
    ]
    return unflatten(out_tree, ys)


def _reshaped(x: Array, lead: tuple[int, ...], rows: slice, drop: int = 1) -> Array:
    part = x if rows == slice(None) else index(x, spec=(rows,))
    return reshape(part, shape=(*lead, *x.shape[drop:]))


# ── as ops ────────────────────────────────────────────────────────────────────


def _staged_scan(
    f: Callable[..., Any], init: Any, x_leaves: list[Any], x_tree: Any, n: int, reverse: bool, unroll: int
) -> tuple[Any, Any]:
    pairs, tree = _leaves_of(init, "init of scan")
    xs = [leaf(x, f"leaf {i} of xs of scan") for i, x in enumerate(x_leaves)]
    body, avals = _trip_of_scan(f, pairs, tree, [aval for _, aval in xs], x_tree)
    count, y_tree = len(avals), _two(body.tree)[1]
    starts = [start(x, aval) for (x, _), aval in zip(pairs, avals, strict=True)]
    found = scan_op(
        *body.captured, *starts, *(x for x, _ in xs), body=body.giving(avals), consts=len(body.captured), carries=count,
        length=n, reverse=bool(reverse), unroll=int(unroll),
    )  # fmt: skip
    return unflatten(tree, found[:count]), unflatten(y_tree, found[count:])


def _counted(low: int, n: int, body: Callable[..., Any], init: Any, unroll: int) -> Any:
    """A loop over known numbers."""
    pairs, tree = _leaves_of(init, "init of fori_loop")
    staged, avals = _trip_of_count(body, pairs, tree)
    starts = [start(x, aval) for (x, _), aval in zip(pairs, avals, strict=True)]
    found = scan_op(
        *staged.captured, *starts, np.arange(low, low + n), body=staged.giving(avals), consts=len(staged.captured),
        carries=len(avals), length=n, reverse=False, unroll=int(unroll),
    )  # fmt: skip
    return unflatten(tree, found)


def _staged_while(cond: Callable[..., Any], body: Callable[..., Any], init: Any, counted: bool = False) -> Any:
    """`counted`: the first leaf is a counter, and a Python number to the body."""
    pairs, tree = _leaves_of(init, "init of while_loop")
    if counted:
        pairs[0] = pairs[0][0], _COUNTER
    step, avals = _trip_of_while(body, pairs, tree)
    asked = Body(cond, (tree,), (avals,))
    if len(asked.outs) != 1 or asked.outs[0].shape != ():
        raise ShapeError(
            "while_loop",
            got="a predicate that gives "
            + (f"an array of shape {asked.outs[0].shape}" if len(asked.outs) == 1 else f"{len(asked.outs)} results"),
            want="one boolean",
            fix="reduce it: np.any(…) or np.all(…)",
            at=describe(here(4)),
        )
    held_too = [t for t in asked.captured if not any(t is s for s in step.captured)]
    consts = [*step.captured, *held_too]
    starts = [start(x, aval) for (x, _), aval in zip(pairs, avals, strict=True)]
    found = while_op(
        *consts,
        *starts,
        cond=asked.with_consts(consts),
        body=converted(step.with_consts(consts), avals),
        consts=len(consts),
    )
    return unflatten(tree, found)


# ── one trip ──────────────────────────────────────────────────────────────────

Pairs = list[tuple[Array, Aval]]


def _settled(
    what: str, make: Callable[[list[Aval]], Body], pairs: Pairs, tree: Any, part: Callable[[Any], Any] = lambda t: t
) -> tuple[Body, list[Aval]]:
    """The body, and the avals of the carry, which Python numbers take from what the body makes of them. `part` is what
    of the body's result is the next carry."""
    avals = [aval for _, aval in pairs]
    weak = [aval.weak for aval in avals]
    while True:
        body = make(avals)
        same_structure(what, part(body.tree), tree)
        new = carried(what, avals, body.outs[: len(avals)], weak)
        if new is None:
            return body, avals
        avals = new


def _trip_of_scan(
    f: Callable[..., Any], pairs: Pairs, tree: Any, xs: Sequence[Aval], x_tree: Any
) -> tuple[Body, list[Aval]]:
    x_avals = [Aval(aval.shape[1:], aval.dtype) for aval in xs]
    return _settled(
        "scan", lambda avals: Body(lambda c, x: _pair(f(c, x)), (tree, x_tree), (avals, x_avals)), pairs, tree,
        lambda pair: _two(pair)[0],
    )  # fmt: skip


def _trip_of_count(body: Callable[..., Any], pairs: Pairs, tree: Any) -> tuple[Body, list[Aval]]:
    """The counter is weak within the body, as Python's is."""
    counter = flatten(0)[1]
    return _settled(
        "fori_loop",
        lambda avals: Body(lambda value, i: body(i, value), (tree, counter), (avals, [_COUNTER])),
        pairs,
        tree,
    )


def _trip_of_while(body: Callable[..., Any], pairs: Pairs, tree: Any) -> tuple[Body, list[Aval]]:
    return _settled("while_loop", lambda avals: Body(body, (tree,), (avals,)), pairs, tree)


def _unmoved(init: Any, what: str, trip: Callable[[Pairs, Any], tuple[Body, list[Aval]]]) -> Any:
    """The first carry as the last one: Python numbers in it have the dtype that a trip would give them."""
    pairs, tree = _leaves_of(init, f"init of {what}")
    if any(aval.weak for _, aval in pairs):
        try:
            _, avals = trip(pairs, tree)
        except Exception:  # a body that cannot be staged, or that raises on values it closes over: it is not run
            return _finished(init)
        pairs = [(start(x, aval), aval) for (x, _), aval in zip(pairs, avals, strict=True)]
    return unflatten(tree, [x for x, _ in pairs])


# ── leaves ────────────────────────────────────────────────────────────────────


def _leaves_of(tree: Any, what: str) -> tuple[list[tuple[Array, Aval]], Any]:
    leaves, structure = flatten(tree)
    return [leaf(x, f"leaf {i} of {what}") for i, x in enumerate(leaves)], structure


def _length(leaves: Sequence[Any], length: int | None) -> int:
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


def _element(x: Array, i: int) -> Array:
    return index(x, spec=(i,)) if type(x) is Tensor else np.array(np.asarray(x)[i])[()]


def _finished(tree: Any) -> Any:
    """The last carry: Python numbers as NumPy's, as a compiled loop gives them."""
    leaves, structure = flatten(tree)
    return unflatten(
        structure, [np.asarray(x)[()] if isinstance(x, (bool, int, float, complex)) else x for x in leaves]
    )


def _described(tree: Any) -> tuple[list[Aval], Any]:
    leaves, structure = flatten(tree)
    return [leaf(x, f"leaf {i} of init")[1] for i, x in enumerate(leaves)], structure


def _checked(what: str, tree: Any, before: list[Aval], structure: Any) -> tuple[Any, list[Aval]]:
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


def _pair(out: Any) -> tuple[Any, Any]:
    if not isinstance(out, (tuple, list)) or len(out) != 2:
        raise TypeError(f"scan: the body is to return (carry, y); got {type(out).__name__}; at: {describe(here(3))}")
    return out[0], out[1]


def _two(tree: Any) -> tuple[Any, Any]:
    first, second = tree.children()
    return first, second


def _no_trips(f: Callable[..., Any], init: Any, x_leaves: Sequence[Any], x_tree: Any) -> tuple[Any, Any]:
    """A scan of nothing: the carry as it is, and ys of the shape that the body would give."""
    pairs, tree = _leaves_of(init, "init of scan")
    xs = [leaf(x, f"leaf {i} of xs of scan")[1] for i, x in enumerate(x_leaves)]
    body, avals = _trip_of_scan(f, pairs, tree, xs, x_tree)
    kept = [start(x, aval) for (x, _), aval in zip(pairs, avals, strict=True)]
    ys = [np.zeros((0, *aval.shape), aval.dtype) for aval in body.outs[len(pairs) :]]
    return unflatten(tree, kept), unflatten(_two(body.tree)[1], ys)


def _truth(go: Any) -> bool:
    shape = getattr(go, "shape", None)
    if isinstance(go, (tuple, list, dict, type(None))) or shape not in ((), None):
        got = f"type {type(go).__name__}" if shape is None else f"shape {tuple(shape)}"
        raise ShapeError(
            "while_loop", got=f"a predicate of {got}", want="one boolean",
            fix="reduce it: np.any(…) or np.all(…)", at=describe(here(3)),
        )  # fmt: skip
    return bool(go)


def _bound(x: Any) -> int | None:
    """A bound of a loop that is known now."""
    if type(x) is Tensor:
        return int(x) if known(x) and x.dtype.kind in "iu" else None
    try:
        return operator.index(x)
    except TypeError:
        raise DTypeError(
            "fori_loop", got=f"a bound of type {type(x).__name__}", want="an integer", at=describe(here(3))
        ) from None


def _integer(x: Any) -> Any:
    if type(x) is Tensor and x.dtype.kind not in "iu":
        raise DTypeError("fori_loop", got=f"a bound of dtype {x.dtype}", want="an integer", at=describe(here(3)))
    return truncate(x, dtype=_COUNTER.dtype) if type(x) is Tensor and x.dtype != _COUNTER.dtype else x
