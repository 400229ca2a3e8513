"""`while_kept`: a `while_loop` that keeps no more than so many of its carries for the way back, though nobody knows its length.

    while_kept(*consts, *carries; cond, body, consts, slots, levels) → (*carries)

It runs in segments of equally many trips, and keeps the carry that each begins with. When all slots are taken, every other one
is dropped, and segments are twice as long from then on. Backwards, each segment is run again, from the last to the first, with a
stack; with `levels` above one it is itself run in segments. Trips are counted on the way there, and not decided upon again
on the way back.

To whatever does not run backwards it is a `while_loop`. What a tape records of it is written in ops, three loops in each other,
so that its derivatives are theirs.

Source  Wang, Moin & Iaccarino (2009), Minimal repetition dynamic checkpointing; Stumm & Walther (2010), New algorithms for
        optimal online checkpointing. Both keep checkpoints at unequal distances, which saves some repetitions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.core.aval import ANY, Aval
from wengert.core.form import Via
from wengert.core.tensor import Array
from wengert.graph.program import Program, Vars
from wengert.ops.basis import add, all_batched, broadcast_to
from wengert.ops.index import ARRAY, index, index_put
from wengert.ops.select import where
from wengert.ops.shape import concatenate
from wengert.transforms.control.bodies import Mask, Structured, followed, made, settled, spread, zero
from wengert.transforms.control.while_loop import of_batch, pull_back, while_loop, with_tangents
from wengert.transforms.derived import derived, replay

FIRST = 8  # trips of a segment at the beginning
INT, BOOL = Aval((), np.dtype(np.int64)), Aval((), np.dtype(bool))
ONE = np.int64(1)


class Kept(Structured):
    """The op. With `keeps`, as a tape records it, it gives slots too, and is written in ops wherever it is met."""

    __slots__ = ()

    def __call__(self, *args: Array, **params: Any) -> Any:
        if params.pop("keeps", False):
            return written(*args, **params)
        return super().__call__(*args, **params)  # pyright: ignore


def _shape(*avals: Aval, body: Program, **rest: Any) -> tuple[Aval, ...]:
    return tuple(Aval(atom.aval.shape, atom.aval.dtype) for atom in body.outs)


def _plain(*operands: Array, cond: Program, body: Program, consts: int, **rest: Any) -> tuple[Array, ...]:
    return while_loop(*operands, cond=cond, body=body, consts=consts)


def _eval(*operands: Array, keeps: bool = False, **params: Any) -> tuple[Array, ...]:
    return written(*operands, **params) if keeps else _plain(*operands, **params)


def _record(mask: Mask, operands: Sequence[Array], **params: Any) -> tuple[dict[str, Any], int]:
    return {**params, "keeps": True}, len(params["body"].outs)


# ── there ─────────────────────────────────────────────────────────────────────


class _There:
    """The three loops: of trips within a segment, of segments until all slots are taken, and of both until the end."""

    def __init__(self, cond: Program, body: Program, consts: int, slots: int) -> None:
        fixed = [Aval(v.shape, v.dtype) for v in body.ins[:consts]]
        carry = [Aval(v.shape, v.dtype) for v in body.ins[consts:]]
        kept = [Aval((slots, *a.shape), a.dtype) for a in carry]
        c, n = consts, len(carry)

        def step(*xs: Array) -> list[Array]:
            new = replay(body, None)(*xs[:c], *xs[c + 3 :])
            return [*replay(cond, None)(*xs[:c], *new), xs[c + 2] + ONE, *new]

        avals = [*fixed, INT, BOOL, INT, *carry]  # stride; going, trips of this segment
        self.step = made(step, avals)
        self.on = made(lambda *xs: [xs[c + 1] & (xs[c + 2] < xs[c])], avals)

        def segment(*xs: Array) -> list[Array]:
            going, k, now = xs[c + 1], xs[c + 2], xs[c + 4 : c + 4 + n]
            places = [index_put(slot, x, k, spec=(ARRAY,)) for slot, x in zip(xs[c + 4 + n :], now, strict=True)]
            on, trips, *new = while_loop(
                *xs[: c + 1], going, np.int64(0), *now, cond=self.on, body=self.step, consts=c + 1
            )
            return [on, k + ONE, trips, *new, *places]

        avals = [*fixed, INT, BOOL, INT, INT, *carry, *kept]  # stride; going, slots taken, trips of the last segment
        self.segment = made(segment, avals)
        self.room = made(lambda *xs: [xs[c + 1] & (xs[c + 2] < np.int64(slots))], avals)

        def filled(*xs: Array) -> list[Array]:
            going, k, stride, last = xs[c : c + 4]
            going, k, last, *rest = while_loop(
                *xs[:c], stride, going, k, last, *xs[c + 4 :], cond=self.room, body=self.segment, consts=c + 1
            )
            half = [where(going, thinned(x), x) for x in rest[n:]]  # going on, all slots are taken
            k, stride = where(going, np.int64(slots // 2), k), where(going, stride + stride, stride)
            return [going, k, stride, last, *rest[:n], *half]

        def thinned(x: Array) -> Array:
            every, rest = index(x, spec=(slice(None, None, 2),)), index(x, spec=(slice(slots // 2, None),))
            return concatenate(every, rest, axis=0, sizes=(slots // 2, slots - slots // 2))

        avals = [*fixed, BOOL, INT, INT, INT, *carry, *kept]  # going, slots taken, stride, trips of the last segment
        self.filled = made(filled, avals)
        self.going = made(lambda *xs: [xs[c]], avals)
        self.kept = kept


def written(*operands: Array, cond: Program, body: Program, consts: int, slots: int, levels: int) -> tuple[Array, ...]:
    """(carries, slots of each carry, slots taken, trips of a segment, trips of the last)."""
    key = ("kept there", cond, consts, slots)
    there = derived(body, key, lambda: _There(cond, body, consts, slots))
    (going,) = replay(cond, None)(*operands)
    empty = [broadcast_to(np.zeros((), a.dtype)[()], shape=a.shape) for a in there.kept]
    none = np.int64(0)
    found = while_loop(
        *operands[:consts], going, none, np.int64(FIRST), none, *operands[consts:], *empty,
        cond=there.going, body=there.filled, consts=consts,
    )  # fmt: skip
    return (*found[4:], *found[1:4])


# ── and back ──────────────────────────────────────────────────────────────────


class _Counted:
    """The loop as one of so many trips: (consts, limit; trips, carries)."""

    def __init__(self, body: Program, consts: int) -> None:
        avals = [Aval(v.shape, v.dtype) for v in body.ins]
        avals = [*avals[:consts], INT, INT, *avals[consts:]]
        self.body = made(
            lambda *xs: [xs[consts + 1] + ONE, *replay(body, None)(*xs[:consts], *xs[consts + 2 :])], avals
        )
        self.cond = made(lambda *xs: [xs[consts + 1] < xs[consts]], avals)


def _vjp(
    ct: Sequence[Array | None], ins: Vars, xs: Sequence[Array], out: Sequence[Array], *, keeps: bool = True,
    **params: Any,
) -> tuple[Array | None, ...]:  # fmt: skip
    return tuple(back(xs, out, ct[: len(params["body"].outs)], followed(ins), **params))


def back(
    xs: Sequence[Array], out: Sequence[Array], cts: Sequence[Array | None], wanted: Sequence[bool], *,
    cond: Program, body: Program, consts: int, slots: int, levels: int,
) -> list[Array | None]:  # fmt: skip
    """The cotangents of the operands `wanted`; `out` is what `written` has given."""
    n = len(body.outs)
    of_consts = tuple(wanted[:consts])
    moved = settled(body, of_consts, wanted[consts:], ())
    key = ("kept back", cond, consts, slots, levels, of_consts, moved)
    program = derived(body, key, lambda: _segment_back(body, consts, of_consts, moved, slots, levels))
    starts = [zero(body.outs[k]) if cts[k] is None else cts[k] for k in range(n) if moved[k]]
    sums = [np.zeros(xs[i].shape, xs[i].dtype)[()] for i in range(consts) if of_consts[i]]
    fixed = [*xs[:consts], *out[n:]]
    taken = out[2 * n]
    found = while_loop(
        *fixed, taken, *starts, *sums, *out[:n],
        cond=_left(program, len(fixed)), body=program, consts=len(fixed),
    )  # fmt: skip
    given = iter(found[1:])
    result: list[Array | None] = [None] * len(wanted)
    for k in range(n):
        if moved[k]:
            result[consts + k] = next(given)
    for i in range(consts):
        if of_consts[i]:
            result[i] = next(given)
    return [c if w else None for c, w in zip(result, wanted, strict=True)]


def _left(program: Program, consts: int) -> Program:
    avals = [Aval(v.shape, v.dtype) for v in program.ins]
    return derived(program, "left", lambda: made(lambda *xs: [xs[consts] > np.int64(0)], avals))


def _segment_back(body: Program, consts: int, of_consts: Mask, moved: Mask, slots: int, levels: int) -> Program:
    """(consts, slots of each carry, slots taken, stride, trips of the last; segments left, cotangents, sums, carries after)."""
    fixed = [Aval(v.shape, v.dtype) for v in body.ins[:consts]]
    carry = [Aval(v.shape, v.dtype) for v in body.ins[consts:]]
    kept = [Aval((slots, *a.shape), a.dtype) for a in carry]
    groups = [
        fixed, kept, [INT] * 3, [INT],
        [a for a, m in zip(carry, moved, strict=True) if m],
        [a for a, w in zip(fixed, of_consts, strict=True) if w],
        carry,
    ]  # fmt: skip
    counted = derived(body, ("counted", consts), lambda: _Counted(body, consts))
    loop: dict[str, Any] = {"cond": counted.cond, "body": counted.body, "consts": consts + 1}
    want = [*of_consts, False, False, *moved]

    def run(*flat: Array) -> list[Array]:
        given = iter(flat)
        xs, places, (taken, stride, last), (left,), cts, sums, after = ([next(given) for _ in g] for g in groups)
        at = left - ONE
        limit = where(left == taken, last, stride)  # type: ignore[operator]
        start = [index(slot, at, spec=(ARRAY,)) for slot in places]
        seeds = iter(cts)
        all_cts = [None, *(next(seeds) if m else None for m in moved)]
        operands = [*xs, limit, np.int64(0), *start]
        if levels > 1:
            more: dict[str, Any] = {**loop, "slots": slots, "levels": levels - 1}
            got = back(operands, written(*operands, **more), all_cts, want, **more)
        else:
            got = pull_back(operands, [limit, *after], all_cts, want, **loop)
        of_carry = [g for g, m in zip(got[consts + 2 :], moved, strict=True) if m]
        of_sums = [g for g, w in zip(got, of_consts, strict=False) if w]
        return [at, *of_carry, *(add(s, g) for s, g in zip(sums, of_sums, strict=True)), *start]

    return made(run, [a for group in groups for a in group])


# ── the other modes: those of the loop itself ─────────────────────────────────


def _both(
    xs: Sequence[Array], dxs: Sequence[Array | None], *, cond: Program, body: Program, consts: int, **how: Any
) -> tuple[tuple[Array, ...], tuple[Array | None, ...]]:
    new = with_tangents(cond, body, consts, [d is not None for d in dxs])
    operands = new.operands(xs, dxs[:consts], dxs[consts:], body.outs)
    found = while_kept(*operands, cond=new.cond, body=new.body, consts=new.consts, **how)
    dots = iter(found[len(body.outs) :])
    return tuple(found[: len(body.outs)]), tuple(next(dots) if m else None for m in new.moved)


def _jvp(xs: Sequence[Array], dxs: Sequence[Array | None], out: Any, **params: Any) -> tuple[Array | None, ...]:
    return _both(xs, dxs, **params)[1]


def _batch(
    xs: Sequence[Array], flags: Sequence[bool], size: int, *, cond: Program, body: Program, consts: int, **how: Any
) -> tuple[Array, ...]:
    new = of_batch(cond, body, flags, consts, size)
    starts = [
        spread(x, size) if m and not f else x for x, m, f in zip(xs[consts:], new.many, flags[consts:], strict=True)
    ]
    found = while_kept(*xs[:consts], *starts, cond=new.cond, body=new.body, consts=consts, **how)
    return tuple(all_batched(found, new.many, size))


while_kept = Kept(
    name="while_kept",
    accepts=ANY,
    shape=_shape,
    eval=_eval,
    jvp=_jvp,
    vjp=_vjp,
    saves=(slice(None), "out"),
    batch=_batch,
    lower=Via(_plain),
    multi=True,
    samples=(),
    note="a while_loop of which few carries are kept for the way back",
    both=_both,
    record=_record,
)
