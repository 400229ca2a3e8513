"""Mistakes that people make in derivative rules, applied to any op's rule from outside.

Each takes the rule and gives a wrong one, for reverse mode (`vjp`), forward mode (`jvp`), both at once (so that they still
agree with each other), or batching. Wrong rules are written in ops, as right ones are, so that they run at any order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from wengert.core.op import Op, Rule
from wengert.core.tensor import Array
from wengert.ops.basis import add, conj, neg
from wengert.ops.index import index
from wengert.ops.shape import concatenate

Change = Callable[[Array, Any], Array]  # (cotangent or tangent, its rule's input) → a wrong one


def negated(ct: Array, given: Any) -> Array:
    return neg(ct)


def doubled(ct: Array, given: Any) -> Array:
    return add(ct, ct)


def conjugated(ct: Array, given: Any) -> Array:
    return conj(ct)


def shifted(ct: Array, given: Any) -> Array:
    """Rolled by one along its longest axis: right numbers in wrong places."""
    if not ct.shape or max(ct.shape) < 2:
        return ct
    axis = int(np.argmax(ct.shape))
    lead = (slice(None),) * axis
    rest, first = index(ct, spec=(*lead, slice(1, None))), index(ct, spec=(*lead, slice(None, 1)))
    return concatenate(rest, first, axis=axis, sizes=(ct.shape[axis] - 1, 1))


def averaged(ct: Array, given: Any) -> Array:
    """As if a broadcast were undone by a mean in place of a sum (or a reduction by the reverse)."""
    have, got = int(np.prod(ct.shape)), int(np.prod(np.shape(given)))
    if have == got or not have or not got:
        return ct
    from wengert.ops.basis import scale

    return scale(ct, np.asarray(have / got, ct.dtype)[()])


def identity(ct: Array, given: Any) -> Array:
    """The incoming derivative passed on, where shape and dtype let it."""
    return given if given is not None and given.shape == ct.shape and given.dtype == ct.dtype else ct


CHANGES: dict[str, Change] = {
    "sign": negated,
    "factor two": doubled,
    "conjugate": conjugated,
    "wrong axis": shifted,
    "wrong broadcast reduction": averaged,
    "identity": identity,
}


def _first(cts: Any) -> Any:
    return next((c for c in cts if c is not None), None) if isinstance(cts, (list, tuple)) else cts


def wrong_vjp(rule: Rule, change: Change, i: int) -> Rule:
    """`rule` with cotangent i changed."""

    def vjp(ct: Any, ins: Any, xs: Any, out: Any, **params: Any) -> Any:
        back = list(rule(ct, ins, xs, out, **params))
        if back[i] is not None:
            back[i] = change(back[i], _first(ct))
        return tuple(back)

    return vjp


def wrong_jvp(rule: Rule, change: Change, k: int) -> Rule:
    """`rule` with the tangent of output k changed."""

    def jvp(xs: Any, dxs: Any, out: Any, **params: Any) -> Any:
        dots = rule(xs, dxs, out, **params)
        if not isinstance(dots, (list, tuple)):
            return change(dots, _first(dxs))
        return tuple(change(d, _first(dxs)) if j == k and d is not None else d for j, d in enumerate(dots))

    return jvp


def dropped_vjp(rule: Rule, i: int) -> Rule:
    """`rule` that forgets operand i."""

    def vjp(ct: Any, ins: Any, xs: Any, out: Any, **params: Any) -> Any:
        back = list(rule(ct, ins, xs, out, **params))
        if back[i] is not None:
            back[i] = np.zeros(ins[i].shape, ins[i].dtype)[()]
        return tuple(back)

    return vjp


def dropped_jvp(rule: Rule, i: int) -> Rule:
    """`rule` that forgets the tangent of operand i."""

    def jvp(xs: Any, dxs: Any, out: Any, **params: Any) -> Any:
        left = [None if j == i else d for j, d in enumerate(dxs)]
        if dxs[i] is None:
            return rule(xs, dxs, out, **params)
        if all(d is None for d in left):
            outs = out if isinstance(out, (list, tuple)) else [out]
            zeros = tuple(np.zeros(o.shape, o.dtype)[()] for o in outs)
            return zeros if isinstance(out, (list, tuple)) else zeros[0]
        return rule(xs, left, out, **params)

    return jvp


def stale(x: Any) -> Any:
    """A residual as it might have been before somebody wrote into the array."""
    if not hasattr(x, "dtype") or x.dtype.kind not in "fc":
        return x
    return add(x, np.asarray(0.125, x.dtype)[()])


def stale_vjp(rule: Rule, i: int) -> Rule:
    """`rule` that reads an old value of operand i (i < 0: of the output)."""

    def vjp(ct: Any, ins: Any, xs: Any, out: Any, **params: Any) -> Any:
        if i < 0:
            out = tuple(map(stale, out)) if isinstance(out, (list, tuple)) else stale(out)
        else:
            xs = [stale(x) if j == i else x for j, x in enumerate(xs)]
        return rule(ct, ins, xs, out, **params)

    return vjp


def first_example(rule: Rule) -> Rule:
    """A batch rule that gives all examples the first one's result."""

    def batch(xs: Any, batched: Any, size: int, **params: Any) -> Any:
        def spread(out: Array) -> Array:
            return np.repeat(np.asarray(out)[:1], size, axis=0) if type(out) is np.ndarray else out

        outs = rule(xs, batched, size, **params)
        return tuple(map(spread, outs)) if isinstance(outs, (list, tuple)) else spread(outs)

    return batch


def _unsaved(op: Op) -> list[int] | None:
    """All operands of the first sample, if the op declares fewer for every selection of them."""
    n = len(op.samples[0].args)
    drop, _, out = op.dropped(sum(1 << i for i in op.samples[0].diff), n)
    return list(range(n)) if drop and not out else None


def mistakes(op: Op) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """(kind, where, rules to put in) for an op; most kinds apply once for each operand or output."""
    vjp, jvp = op.vjp, op.jvp
    operands = sorted({i for s in op.samples for i in s.diff})[:3]
    if callable(vjp):
        for i in operands:
            for kind, change in CHANGES.items():
                yield kind, f"vjp of operand {i}", {"vjp": wrong_vjp(vjp, change, i)}
            yield "dropped term", f"vjp of operand {i}", {"vjp": dropped_vjp(vjp, i)}
            yield "stale residual", f"vjp, operand {i}", {"vjp": stale_vjp(vjp, i)}
        yield "stale residual", "vjp, output", {"vjp": stale_vjp(vjp, -1)}
    if callable(jvp):
        for kind, change in CHANGES.items():
            yield kind, "jvp", {"jvp": wrong_jvp(jvp, change, 0)}
        for i in operands:
            yield "dropped term", f"jvp of operand {i}", {"jvp": dropped_jvp(jvp, i)}
    if callable(vjp) and callable(jvp) and len(operands) == 1 and not op.multi:
        for kind in ("sign", "factor two"):
            change = CHANGES[kind]
            both = {"vjp": wrong_vjp(vjp, change, operands[0]), "jvp": wrong_jvp(jvp, change, 0)}
            yield kind, "vjp and jvp alike", both
    if callable(vjp) and (any(op.saves.values()) if isinstance(op.saves, Mapping) else op.saves):
        yield "undeclared residual", "saves", {"saves": ()}
    if callable(vjp) and _unsaved(op) is not None:
        yield "needless residual", "saves", {"saves": tuple(_unsaved(op) or ())}
    if callable(op.batch):
        yield "one example for all", "batch", {"batch": first_example(op.batch)}
