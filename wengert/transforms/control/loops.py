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
from wengert.core.tensor import Array, Tensor, active
from wengert.core.tree import flatten, unflatten
from wengert.ops.basis import reshape
from wengert.ops.dtype import truncate
from wengert.ops.index import index
from wengert.ops.shape import concatenate, stack
from wengert.transforms.batch import Batch
from wengert.transforms.control.functions import (
    Body,
    adopted,
    as_dtype,
    carried,
    converted,
    known,
    leaf,
    own,
    same_structure,
    staging,
    start,
)
from wengert.transforms.control.leaves import (
    checked,
    described,
    element,
    finished,
    leaves_of,
    length_of,
    pair_of,
    truth,
    two,
)
from wengert.transforms.control.online import while_kept
from wengert.transforms.control.segments import Checkpoint, choice_of, in_segments, lengths_of, slots_of
from wengert.transforms.control.treeverse import bounded, differentiating, until
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
    *,
    checkpoint: Checkpoint = None,
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
    checkpoint : what reverse mode keeps of n calls; the rest is run again

        =============  ==========================  =======================================================
        None           n residuals                 no call is run again
        "sqrt"         of the order of √n carries  each is run once more
        "binomial"     of the order of log n       each is run about log₈ n times more; 6 of a million
        s, an integer  no more than s carries      the fewest calls for which that can be done (see below)
        =============  ==========================  =======================================================

    Returns
    -------
    (carry, ys) : the last carry, and the ys stacked along axis 0

    Cost: compiled, one native loop. Reverse mode keeps what the pullback of `f` needs of each call, unless `checkpoint` says
    otherwise. With s carries, loops that Python runs make r n - C(s + r, r - 1) calls more than without, where r is the smallest
    number with n ≤ C(s + r, s); that is optimal (Revolve). Compiled ones are cut in equal segments at k levels,
    which keep k n^(1/k) rows, one row being a carry or the residuals of a call, and make (k - 1) n calls more: k is the smallest
    with no more than s rows, or the one with the fewest if s is too small for any. Values and derivatives are those
    without `checkpoint`, up to rounding; it bounds reverse mode of any order, within `jvp` and `vmap` as well.
    """
    x_leaves, x_tree = flatten(xs)
    n = length_of(x_leaves, length)
    checkpoint = choice_of("scan", checkpoint)
    if staging():
        return _staged_scan(f, init, x_leaves, x_tree, n, reverse, unroll, checkpoint)
    if checkpoint is not None and n > 3 and differentiating():
        return bounded("scan", f, init, x_leaves, x_tree, n, reverse, checkpoint)
    carry, run = own(init), adopted(f)
    before, carry_tree = described(carry)
    rows: list[list[Array]] = [[] for _ in range(n)]
    y_tree: Any = None
    changed = False
    for i in reversed(range(n)) if reverse else range(n):
        out = pair_of(run(carry, unflatten(x_tree, [element(x, i) for x in x_leaves])))
        was = before
        carry, before = checked("scan", out[0], before, carry_tree)
        rows[i], y_tree = flatten(own(out[1]))
        changed = changed or before != was
    if not n:
        return _no_trips(f, init, x_leaves, x_tree)
    if changed and n > 1:  # the first trip was given Python numbers where the others had NumPy's
        first, other = (-1, -2) if reverse else (0, 1)
        rows[first] = [as_dtype(y, leaf(z, "y")[1].dtype) for y, z in zip(rows[first], rows[other], strict=True)]
    ys = [stack(*column, axis=0) for column in zip(*rows, strict=True)]
    return finished(carry), unflatten(y_tree, ys)


@entry
def while_loop(
    cond: Callable[[Any], Any], body: Callable[[Any], Any], init: Any, *, checkpoint: Checkpoint = None
) -> Any:
    """`body` of a value again and again, while `cond` of it is true.

    Parameters
    ----------
    cond : `cond(value)` → one boolean
    body : `body(value)` → the next value, of the same structure, shapes and dtypes
    init : the first value, a pytree of arrays and numbers
    checkpoint : what reverse mode keeps of n calls, though nobody knows n beforehand; the rest is run again

        =============  =====================================================  ======================================
        None           n residuals                                            `body` is run once more, compiled
        s, an integer  s values, and residuals of no more than 2 n / s calls  once more
        "sqrt"         as 1024                                                once more
        "binomial"     192 values, and residuals of n / 32768 calls           three times more
        =============  =====================================================  ======================================

    Returns
    -------
    The first value of which `cond` is false.

    Reverse mode needs no bound on the number of trips: compiled, what it keeps of each goes on a stack that grows, and is freed.
    With `checkpoint` it keeps values at equal distances, which double when there are too many, and the calls between two of
    them have such a stack in turn. A loop that Python runs is run once to count its calls, and then back as a `scan` of
    known length, with no more than s values.
    """
    checkpoint = choice_of("while_loop", checkpoint)
    if staging():
        return _staged_while(cond, body, init, checkpoint)
    if checkpoint is not None and differentiating():
        if any(type(trace) is Batch for trace in active()):
            return _staged_while(cond, body, init, checkpoint)
        if (found := until(cond, body, init, checkpoint)) is not None:
            return found[0]
    value, asked, run = own(init), adopted(cond), adopted(body)
    before, tree = described(value)
    for trip in itertools.count():
        go = asked(value)
        if not known(go):
            return _staged_while(cond, body, value, checkpoint)
        if not truth(go):
            return finished(value) if trip else _unmoved(value, "while_loop", partial(_trip_of_while, body))
        value, before = checked("while_loop", run(value), before, tree)


@entry
def fori_loop(
    lower: Any,
    upper: Any,
    body: Callable[[Any, Any], Any],
    init: Any,
    *,
    unroll: int = 1,
    checkpoint: Checkpoint = None,
) -> Any:
    """`value = body(i, value)` for `i` from `lower` to `upper - 1`, beginning with `init`.

    Bounds that are known are a `scan`, others a `while_loop`; `checkpoint` is theirs. `i` is a Python number to what it meets:
    it changes no dtype.
    """
    low, high = _bound(lower), _bound(upper)
    checkpoint = choice_of("fori_loop", checkpoint)
    if low is not None and high is not None and (high - low <= NUMBERED or not staging()):
        if staging():
            return _counted(low, max(high - low, 0), body, init, unroll, checkpoint)
        if checkpoint is not None and high - low > 3 and differentiating():
            numbers, tree = flatten(np.arange(low, high))
            trip = lambda value, i: (body(int(i), value), None)
            return bounded("fori_loop", trip, init, numbers, tree, high - low, False, checkpoint)[0]
        value, run = own(init), adopted(body)
        before, tree = described(value)
        if low >= high:
            return _unmoved(value, "fori_loop", partial(_trip_of_count, body))
        for i in range(low, high):
            value, before = checked("fori_loop", run(i, value), before, tree)
        return finished(value)
    end = _integer(upper)
    return _staged_while(
        lambda pair: pair[0] < end,
        lambda pair: (pair[0] + 1, body(pair[0], pair[1])),
        (_integer(lower), init),
        checkpoint,
        True,
    )[1]


@entry
def map(f: Callable[[Any], Any], xs: Any, *, batch_size: int | None = None) -> Any:
    """`f` of each element along axis 0 of `xs`, one after the other; the results stacked along axis 0.

    As `vmap`, in the memory of one call: `batch_size` elements at once are a `vmap` of so many.
    """
    leaves, tree = flatten(xs)
    n = length_of(leaves, None)
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
    f: Callable[..., Any], init: Any, x_leaves: list[Any], x_tree: Any, n: int, reverse: bool, unroll: int,
    checkpoint: Checkpoint,
) -> tuple[Any, Any]:  # fmt: skip
    pairs, tree = leaves_of(init, "init of scan")
    xs = [leaf(x, f"leaf {i} of xs of scan") for i, x in enumerate(x_leaves)]
    body, avals = _trip_of_scan(f, pairs, tree, [aval for _, aval in xs], x_tree)
    count, y_tree = len(avals), two(body.tree)[1]
    starts = [start(x, aval) for (x, _), aval in zip(pairs, avals, strict=True)]
    found = in_segments(
        [*body.captured, *starts, *(x for x, _ in xs)], lengths_of(n, checkpoint), body=body.giving(avals),
        consts=len(body.captured), carries=count, length=n, reverse=bool(reverse), unroll=int(unroll),
    )  # fmt: skip
    return unflatten(tree, found[:count]), unflatten(y_tree, found[count:])


def _counted(low: int, n: int, body: Callable[..., Any], init: Any, unroll: int, checkpoint: Checkpoint) -> Any:
    """A loop over known numbers."""
    pairs, tree = leaves_of(init, "init of fori_loop")
    staged, avals = _trip_of_count(body, pairs, tree)
    starts = [start(x, aval) for (x, _), aval in zip(pairs, avals, strict=True)]
    found = in_segments(
        [*staged.captured, *starts, np.arange(low, low + n)], lengths_of(n, checkpoint), body=staged.giving(avals),
        consts=len(staged.captured), carries=len(avals), length=n, reverse=False, unroll=int(unroll),
    )  # fmt: skip
    return unflatten(tree, found)


def _staged_while(
    cond: Callable[..., Any], body: Callable[..., Any], init: Any, checkpoint: Checkpoint, counted: bool = False
) -> Any:
    """`counted`: the first leaf is a counter, and a Python number to the body."""
    pairs, tree = leaves_of(init, "init of while_loop")
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
    loop: dict[str, Any] = {
        "cond": asked.with_consts(consts),
        "body": converted(step.with_consts(consts), avals),
        "consts": len(consts),
    }
    if checkpoint is None:
        found = while_op(*consts, *starts, **loop)
    else:
        slots, levels = slots_of(checkpoint)
        found = while_kept(*consts, *starts, **loop, slots=slots, levels=levels)
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
        "scan", lambda avals: Body(lambda c, x: pair_of(f(c, x)), (tree, x_tree), (avals, x_avals)), pairs, tree,
        lambda pair: two(pair)[0],
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
    pairs, tree = leaves_of(init, f"init of {what}")
    if any(aval.weak for _, aval in pairs):
        try:
            _, avals = trip(pairs, tree)
        except Exception:  # a body that cannot be staged, or that raises on values it closes over: it is not run
            return finished(init)
        pairs = [(start(x, aval), aval) for (x, _), aval in zip(pairs, avals, strict=True)]
    return unflatten(tree, [x for x, _ in pairs])


# ── what is known now ─────────────────────────────────────────────────────────


def _no_trips(f: Callable[..., Any], init: Any, x_leaves: Sequence[Any], x_tree: Any) -> tuple[Any, Any]:
    """A scan of nothing: the carry as it is, and ys of the shape that the body would give."""
    pairs, tree = leaves_of(init, "init of scan")
    xs = [leaf(x, f"leaf {i} of xs of scan")[1] for i, x in enumerate(x_leaves)]
    body, avals = _trip_of_scan(f, pairs, tree, xs, x_tree)
    kept = [start(x, aval) for (x, _), aval in zip(pairs, avals, strict=True)]
    ys = [np.zeros((0, *aval.shape), aval.dtype) for aval in body.outs[len(pairs) :]]
    return unflatten(tree, kept), unflatten(two(body.tree)[1], ys)


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
