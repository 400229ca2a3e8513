"""`while_loop`: a Program run as long as another one says so; and its pullback.

    while_loop(*consts, *carries; cond, body, consts) → (*carries)
    while_pullback(*consts, *carries, *cts, *along; cond, body, forward, backward, …) → (*cts, *along, *const cotangents)

Nobody knows the number of trips beforehand, so what the way back needs of each trip goes on a stack that grows. The pullback
runs the loop once more to fill it, and needs of the loop itself its operands alone.

Let J be the derivative of the loop, and v, c tangents and cotangents. Then ⟨v, Jᵀc⟩ = ⟨Jv, c⟩ says what the derivatives of the
pullback are: its tangents, and its own pullback, are pullbacks of the loop that carries tangents along. So all orders are
made of these two ops.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.core.aval import ANY, Aval
from wengert.core.form import Control
from wengert.core.tensor import Array
from wengert.graph.program import Program, Vars
from wengert.ops.basis import add, all_batched, reshape
from wengert.ops.reduce import reduce_any
from wengert.ops.select import where
from wengert.transforms.control.bodies import (
    Mask,
    Structured,
    batched_body,
    chosen,
    filled,
    followed,
    made,
    pulled,
    pushed,
    reached,
    run_backward,
    settled,
    spread,
    widened,
    zero,
)
from wengert.transforms.control.guards import endless, lent
from wengert.transforms.derived import derived, replay


def _shape(*avals: Aval, body: Program, **rest: Any) -> tuple[Aval, ...]:
    return tuple(Aval(atom.aval.shape, atom.aval.dtype) for atom in body.outs)


def _eval(*operands: Array, cond: Program, body: Program, consts: int) -> tuple[Array, ...]:
    fixed, carry = operands[:consts], list(operands[consts:])
    while cond.run(*fixed, *carry)[0]:
        carry = body.run(*fixed, *carry)
    return tuple(np.array(c, atom.aval.dtype)[()] for c, atom in zip(carry, body.outs, strict=True))


def _pullback_shape(*avals: Aval, backward: Program, **rest: Any) -> tuple[Aval, ...]:
    return tuple(Aval(atom.aval.shape, atom.aval.dtype) for atom in backward.outs)


def _pullback_eval(
    *operands: Array, cond: Program, forward: Program, backward: Program, consts: int, carries: int, **rest: Any
) -> tuple[Array, ...]:
    fixed, carry = operands[:consts], list(operands[consts : consts + carries])
    starts = operands[consts + carries :]
    stack: list[list[Array]] = []
    while cond.run(*fixed, *carry)[0]:
        outs = forward.run(*fixed, *carry)
        carry = outs[:carries]
        stack.append(outs[carries:])
    found = [*starts, *(zero(atom) for atom in backward.outs[len(starts) :])]
    while stack:
        found = backward.run(*fixed, *found, *stack.pop())
    return tuple(np.array(c, atom.aval.dtype)[()] for c, atom in zip(found, backward.outs, strict=True))


# ── forward mode ──────────────────────────────────────────────────────────────


class _Tangents:
    """The loop that carries tangents along: of the consts in `of_consts`, and of the carries that move with them."""

    def __init__(self, cond: Program, body: Program, of_consts: Mask, moved: Mask) -> None:
        consts, carries = len(of_consts), len(moved)
        ins, dots, eqns, outs, d_outs = pushed(body, (*of_consts, *moved), moved)
        first = sum(of_consts)
        arranged = [*ins[:consts], *dots[:first], *ins[consts:], *dots[first:]]
        self.of_consts, self.moved = of_consts, moved
        self.consts = consts + first
        self.body = Program(arranged, eqns, [*outs, *d_outs])
        avals = [v.aval for v in arranged]

        def asked(*xs: Array) -> list[Array]:
            return replay(cond, None)(*xs[:consts], *xs[self.consts : self.consts + carries])

        self.cond = made(asked, avals)

    def operands(
        self, xs: Sequence[Array], d_consts: Sequence[Array | None], d_carries: Sequence[Array | None], atoms: Any
    ) -> list[Array]:
        n = len(self.of_consts)
        return [*xs[:n], *chosen(d_consts, self.of_consts), *xs[n:], *filled(d_carries, self.moved, atoms)]


def with_tangents(cond: Program, body: Program, consts: int, mask: Sequence[bool]) -> _Tangents:
    of_consts = tuple(mask[:consts])
    moved = settled(body, of_consts, mask[consts:], ())
    return derived(body, ("while tangents", cond, of_consts, moved), lambda: _Tangents(cond, body, of_consts, moved))


def _both(
    xs: Sequence[Array], dxs: Sequence[Array | None], *, cond: Program, body: Program, consts: int
) -> tuple[tuple[Array, ...], tuple[Array | None, ...]]:
    new = with_tangents(cond, body, consts, [d is not None for d in dxs])
    operands = new.operands(xs, dxs[:consts], dxs[consts:], body.outs)
    found = while_loop(*operands, cond=new.cond, body=new.body, consts=new.consts)
    dots = iter(found[len(body.outs) :])
    return tuple(found[: len(body.outs)]), tuple(next(dots) if m else None for m in new.moved)


def _jvp(xs: Sequence[Array], dxs: Sequence[Array | None], out: Any, **params: Any) -> tuple[Array | None, ...]:
    return _both(xs, dxs, **params)[1]


# ── reverse mode ──────────────────────────────────────────────────────────────


class _Way:
    """The loop there and back: `forward` with residuals, `backward` from (consts, cotangents of the moved carries, values
    carried along, sums of the cotangents of the wanted consts, residuals)."""

    def __init__(self, body: Program, consts: int, of_consts: Mask, moved: Mask, want_consts: tuple[int, ...]) -> None:
        carries = len(moved)
        plan = pulled(body, (*of_consts, *moved), tuple(i < consts for i in range(consts + carries)))
        ends, program = plan.ends, plan.both.forward
        entering = [i for kind, i in ends if kind == "in" and i >= consts]
        leaving = [i for kind, i in ends if kind == "out"]
        self.along = [k for k in leaving if consts + k in entering]
        stacked = [k for k in leaving if k not in self.along]
        residuals = [*plan.extras, *(program.ins[i] for i in entering), *(program.outs[k] for k in stacked)]
        self.forward = Program(program.ins, program.eqns, [*program.outs[:carries], *residuals])
        backward, live = plan.backward, [k for k in range(carries) if moved[k]]
        place = {("extra", k): k for k in range(len(plan.extras))}
        place |= {("in", i): len(plan.extras) + n for n, i in enumerate(entering)}
        place |= {("out", k): len(plan.extras) + len(entering) + n for n, k in enumerate(stacked)}
        wanted = [i for i in backward.wanted if i in want_consts or i >= consts]
        groups = [
            [v.aval for v in body.ins[:consts]],
            [body.outs[k].aval for k in live],
            [body.outs[k].aval for k in self.along],
            [body.ins[i].aval for i in want_consts],
            [atom.aval for atom in residuals],
        ]

        def run(*flat: Array) -> list[Array]:
            given = iter(flat)
            fixed, cts, along, sums, kept = ([next(given) for _ in group] for group in groups)
            values = []
            for end in ends:
                kind, i = end
                if kind == "in" and i < consts:
                    values.append(fixed[i])
                elif kind == "out" and i in self.along:
                    values.append(along[self.along.index(i)])
                else:
                    values.append(kept[place[end]])
            ct_of = dict(zip(live, cts, strict=True))
            seeds = [ct_of[j] if j in ct_of else zero(body.outs[j]) for j in backward.seeded]
            got = run_backward(backward, wanted, values, seeds)
            return [
                *(got[consts + k] for k in live),
                *(kept[place["in", consts + k]] for k in self.along),
                *(add(s, got[i]) for i, s in zip(want_consts, sums, strict=True)),
            ]

        self.backward = made(run, [Aval(a.shape, a.dtype) for group in groups for a in group])


def pull_back(
    xs: Sequence[Array], out: Sequence[Array] | None, cts: Sequence[Array | None], wanted: Sequence[bool], *,
    cond: Program, body: Program, consts: int,
) -> list[Array | None]:  # fmt: skip
    """The cotangents of the operands `wanted`; the loop's results, if they are known, need not be found again."""
    carries = len(body.outs)
    of_consts = tuple(wanted[:consts])
    moved = settled(body, of_consts, wanted[consts:], ())
    want = tuple(i for i in range(consts) if of_consts[i])
    way = derived(
        body, ("there and back", consts, of_consts, moved), lambda: _Way(body, consts, of_consts, moved, want)
    )
    starts = [zero(body.outs[k]) if cts[k] is None else cts[k] for k in range(carries) if moved[k]]
    if way.along and out is None:
        out = while_loop(*xs, cond=cond, body=body, consts=consts)
    along = [out[k] for k in way.along] if out is not None else []
    found = iter(
        while_pullback(
            *xs, *starts, *along, cond=cond, body=body, forward=way.forward, backward=way.backward,
            consts=consts, carries=carries, moved=moved, wanted=want, along=len(along),
        )
    )  # fmt: skip
    result: list[Array | None] = [None] * len(wanted)
    for k in range(carries):
        if moved[k]:
            result[consts + k] = next(found)
    for _ in along:
        next(found)
    for i in want:
        result[i] = next(found)
    return [ct if w else None for ct, w in zip(result, wanted, strict=True)]


def _vjp(
    ct: Sequence[Array | None], ins: Vars, xs: Sequence[Array], out: Sequence[Array], **loop: Any
) -> tuple[Array | None, ...]:
    return tuple(pull_back(xs, out, ct, followed(ins), **loop))


# ── derivatives of the pullback ───────────────────────────────────────────────


def _pulled_apart(xs: Sequence[Any], consts: int, carries: int, moved: Mask) -> tuple[list[Any], list[Any], list[Any]]:
    """The loop's operands, cotangents of its results (None of those that do not move), and what is carried along."""
    given = iter(xs[consts + carries :])
    cts = [next(given) if m else None for m in moved]
    return list(xs[: consts + carries]), cts, list(given)


def _pullback_jvp(
    xs: Sequence[Array], dxs: Sequence[Array | None], out: Any, *, cond: Program, body: Program, consts: int,
    carries: int, moved: Mask, wanted: tuple[int, ...], along: int, **rest: Any,
) -> tuple[Array | None, ...]:  # fmt: skip
    """d(Jᵀc) = Jᵀdc + (dJ)ᵀc: the pullback, to the primals, of the loop with tangents, from cotangents (dc, c)."""
    loop, cts, _ = _pulled_apart(xs, consts, carries, moved)
    d_loop, d_cts, _ = _pulled_apart(dxs, consts, carries, moved)
    mask = tuple(i in wanted for i in range(consts)) + moved
    found: list[Array | None] = [None] * (consts + carries)
    if any(d is not None for d in d_loop):
        new = with_tangents(cond, body, consts, [d is not None for d in d_loop])
        operands = new.operands(loop, d_loop[:consts], d_loop[consts:], body.outs)
        both = [*d_cts, *(cts[k] if moved[k] else None for k in range(carries) if new.moved[k])]
        want = [*mask[:consts], *(False for _ in range(new.consts - consts)), *mask[consts:]]
        want += [False] * sum(new.moved)
        got = pull_back(operands, None, both, want, cond=new.cond, body=new.body, consts=new.consts)
        found = [*got[:consts], *got[new.consts : new.consts + carries]]
    elif any(d is not None for d in d_cts):
        found = pull_back(loop, None, d_cts, mask, cond=cond, body=body, consts=consts)
    return (*chosen(found[consts:], moved), *(None,) * along, *(found[i] for i in wanted))


def _pullback_vjp(
    ct: Sequence[Array | None], ins: Vars, xs: Sequence[Array], out: Any, *, cond: Program, body: Program, consts: int,
    carries: int, moved: Mask, wanted: tuple[int, ...], along: int, **rest: Any,
) -> tuple[Array | None, ...]:  # fmt: skip
    """With v the cotangent of Jᵀc: that of c is Jv, that of the primals the pullback of the loop with tangents v from c."""
    loop, cts, _ = _pulled_apart(xs, consts, carries, moved)
    vs: list[Array | None] = [None] * (consts + carries)
    got = iter(ct)
    for k in range(carries):
        if moved[k]:
            vs[consts + k] = next(got)
    for _ in range(along):
        next(got)
    for i in wanted:
        vs[i] = next(got)
    new = with_tangents(cond, body, consts, [v is not None for v in vs])
    operands = new.operands(loop, vs[:consts], vs[consts:], body.outs)
    results = while_loop(*operands, cond=new.cond, body=new.body, consts=new.consts)
    dots = iter(results[carries:])
    d_outs = [next(dots) if m else None for m in new.moved]
    of_cts = [zero(body.outs[k]) if d_outs[k] is None else d_outs[k] for k in range(carries) if moved[k]]
    of_loop: list[Array | None] = [None] * (consts + carries)
    want = list(followed(ins)[: consts + carries])
    if any(want):
        both = [*(None,) * carries, *(cts[k] for k in range(carries) if new.moved[k])]
        asked = [*want[:consts], *(False for _ in range(new.consts - consts)), *want[consts:]]
        asked += [False] * sum(new.moved)
        pulled_back = pull_back(operands, results, both, asked, cond=new.cond, body=new.body, consts=new.consts)
        of_loop = [*pulled_back[:consts], *pulled_back[new.consts : new.consts + carries]]
    found = [*of_loop, *of_cts, *(None,) * along]
    return tuple(c if w else None for w, c in zip(followed(ins), found, strict=True))


# ── batches ───────────────────────────────────────────────────────────────────


class _Batched:
    """The loop on `size` examples: those in `many` differ between them. If the predicate differs too, the loop runs until
    all have come to their end, and leaves those that have as they are."""

    def __init__(self, cond: Program, body: Program, flags: Mask, consts: int, size: int) -> None:
        many = settled(body, flags[:consts], flags[consts:], (), derivatives=False)
        masked = reached(cond, (*flags[:consts], *many), derivatives=False)[0]
        if masked:
            many = (True,) * len(body.outs)
        mask = (*flags[:consts], *many)
        self.many = many
        self.body = batched_body(body, mask, many, size)
        self.cond = batched_body(cond, mask, (masked,), size)
        if not masked:
            return
        going, step = self.cond, self.body
        avals = [widened(v.aval, m, size) for v, m in zip(body.ins, mask, strict=True)]

        wait = endless(body)

        def trip(*xs: Array) -> list[Array]:
            on = replay(going, None)(*xs)[0]
            new = replay(step, None)(*(lent(xs, mask, on, size) if wait else xs))
            return [
                where(reshape(on, shape=(size, *(1,) * (len(old.shape) - 1))), fresh, old)
                for fresh, old in zip(new, xs[consts:], strict=True)
            ]

        def asked(*xs: Array) -> list[Array]:
            return [reduce_any(replay(going, None)(*xs)[0], axes=(0,))]

        self.body, self.cond = made(trip, avals), made(asked, avals)


def of_batch(cond: Program, body: Program, flags: Sequence[bool], consts: int, size: int) -> _Batched:
    key = ("while batched", cond, tuple(flags), size)
    return derived(body, key, lambda: _Batched(cond, body, tuple(flags), consts, size))


def _batch(
    xs: Sequence[Array], flags: Sequence[bool], size: int, *, cond: Program, body: Program, consts: int
) -> tuple[Array, ...]:
    new = of_batch(cond, body, flags, consts, size)
    starts = [
        spread(x, size) if m and not f else x for x, m, f in zip(xs[consts:], new.many, flags[consts:], strict=True)
    ]
    found = while_loop(*xs[:consts], *starts, cond=new.cond, body=new.body, consts=consts)
    return tuple(all_batched(found, new.many, size))


def _pullback_batch(
    xs: Sequence[Array], flags: Sequence[bool], size: int, *, cond: Program, body: Program, consts: int, carries: int,
    moved: Mask, wanted: tuple[int, ...], along: int, **rest: Any,
) -> tuple[Array, ...]:  # fmt: skip
    """The pullback of the batched loop. Consts whose cotangents are wanted are batched, so that each example has its own."""
    whole = [
        x if f or not (i >= consts or i in wanted) else spread(x, size)
        for i, (x, f) in enumerate(zip(xs, flags, strict=True))
    ]
    loop, cts, _ = _pulled_apart(whole, consts, carries, moved)
    now = [f or i >= consts or i in wanted for i, f in enumerate(flags[: consts + carries])]
    new = of_batch(cond, body, now, consts, size)
    want = [i in wanted or (i >= consts and moved[i - consts]) for i in range(consts + carries)]
    got = pull_back(loop, None, cts, want, cond=new.cond, body=new.body, consts=consts)
    ignored = whole[len(whole) - along :]  # nobody reads what was carried along to help
    return (*chosen(got[consts:], moved), *ignored, *(got[i] for i in wanted))  # type: ignore[return-value]


while_loop = Structured(
    name="while_loop",
    accepts=ANY,
    shape=_shape,
    eval=_eval,
    jvp=_jvp,
    vjp=_vjp,
    saves=(slice(None), "out"),
    batch=_batch,
    lower=Control("while_loop"),
    multi=True,
    samples=(),
    note="a Program as long as another one says so",
    both=_both,
)

while_pullback = Structured(
    name="while_pullback",
    accepts=ANY,
    shape=_pullback_shape,
    eval=_pullback_eval,
    jvp=_pullback_jvp,
    vjp=_pullback_vjp,
    saves=(slice(None),),
    batch=_pullback_batch,
    lower=Control("while_pullback"),
    multi=True,
    samples=(),
    note="the pullback of a while_loop: forwards with a stack of residuals, and backwards",
)
