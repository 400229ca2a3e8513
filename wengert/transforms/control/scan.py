"""`scan`: a Program run for each element along axis 0, with values carried from one run to the next.

    scan(*consts, *carries, *xs; body, consts, carries, length, reverse, unroll) → (*carries, *ys)

`body` takes consts, carries and one element of each of xs, and gives the new carries and one element of each of ys. Without
carries the trips do not depend on each other. `unroll` is how many trips are written out; 0 says that trips may run as one
batch, where the compiler has no better loop (see `rows.py`).

Backwards, a scan is a scan the other way: its carries are the cotangents of the carries and the sums of those of the consts,
its xs the residuals of each trip. A residual that is a const, an x or a y is not stored again; where a trip needs a carry
both as it came and as it went, the latter is carried along from the trip that came after.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.core.aval import ANY, Aval
from wengert.core.form import Control
from wengert.core.tensor import Array
from wengert.graph.program import Program, Vars
from wengert.ops.basis import add, transpose
from wengert.transforms.control.bodies import (
    Mask,
    Pulled,
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
    zero,
)
from wengert.transforms.derived import derived


def _shape(*avals: Aval, body: Program, carries: int, length: int, **_: Any) -> tuple[Aval, ...]:
    outs = [atom.aval for atom in body.outs]
    kept = [Aval(a.shape, a.dtype) for a in outs[:carries]]
    return (*kept, *(Aval((length, *a.shape), a.dtype) for a in outs[carries:]))


def _eval(
    *operands: Array, body: Program, consts: int, carries: int, length: int, reverse: bool, **_: Any
) -> tuple[Array, ...]:
    fixed, carry, xs = operands[:consts], list(operands[consts : consts + carries]), operands[consts + carries :]
    ys = [np.empty((length, *atom.aval.shape), atom.aval.dtype) for atom in body.outs[carries:]]
    for i in reversed(range(length)) if reverse else range(length):
        outs = body.run(*fixed, *carry, *(x[i] for x in xs))
        carry = outs[:carries]
        for y, value in zip(ys, outs[carries:], strict=True):
            y[i] = value
    kept = [np.array(c, atom.aval.dtype)[()] for c, atom in zip(carry, body.outs, strict=False)]
    return (*kept, *ys)


def _parts(items: Sequence[Any], consts: int, carries: int) -> tuple[list[Any], list[Any], list[Any]]:
    """Those of consts, carries, xs."""
    return list(items[:consts]), list(items[consts : consts + carries]), list(items[consts + carries :])


# ── forward mode ──────────────────────────────────────────────────────────────


def _both(
    xs: Sequence[Array], dxs: Sequence[Array | None], *, body: Program, consts: int, carries: int, **how: Any
) -> tuple[tuple[Array, ...], tuple[Array | None, ...]]:
    moving = [d is not None for d in dxs]
    of_consts, of_carries, of_xs = _parts(moving, consts, carries)
    moved = settled(body, of_consts, of_carries, of_xs)
    mask = (*of_consts, *moved, *of_xs)
    wanted = (*moved, *reached(body, mask)[carries:])
    new = derived(
        body, ("scan pushed", mask, wanted, consts, carries), lambda: _pushed(body, mask, wanted, consts, carries)
    )
    fixed, carry, rest = _parts(xs, consts, carries)
    d_fixed, d_carry, d_rest = _parts(dxs, consts, carries)
    starts = filled(d_carry, moved, body.outs[:carries])
    operands = [*fixed, *chosen(d_fixed, of_consts), *carry, *starts, *rest, *chosen(d_rest, of_xs)]
    found = scan(*operands, body=new, consts=consts + sum(of_consts), carries=carries + sum(moved), **how)
    kept, dots = found[:carries], iter(found[carries : carries + sum(moved)])
    ys = found[carries + sum(moved) :]
    plain = len(body.outs) - carries
    y_dots = iter(ys[plain:])
    tangents = [next(dots) if m else None for m in moved] + [next(y_dots) if w else None for w in wanted[carries:]]
    return (*kept, *ys[:plain]), tuple(tangents)


def _pushed(body: Program, mask: Mask, wanted: Mask, consts: int, carries: int) -> Program:
    ins, dots, eqns, outs, d_outs = pushed(body, mask, wanted)
    given = iter(dots)
    groups = [[next(given) for m in part if m] for part in _parts(mask, consts, carries)]
    arranged = [v for part, extra in zip(_parts(ins, consts, carries), groups, strict=True) for v in (*part, *extra)]
    moved = sum(wanted[:carries])
    return Program(arranged, eqns, [*outs[:carries], *d_outs[:moved], *outs[carries:], *d_outs[moved:]])


def _jvp(xs: Sequence[Array], dxs: Sequence[Array | None], out: Any, **params: Any) -> tuple[Array | None, ...]:
    return _both(xs, dxs, **params)[1]


# ── reverse mode ──────────────────────────────────────────────────────────────


class _Plan:
    """What of a scan's trips is kept for the way back, and where.

    ins, outs : carries whose values on entering, or on leaving, a trip are stacked
    along : carries whose value on leaving a trip is the one on entering the next, which is stacked already
    """

    def __init__(self, body: Program, mask: Mask, moved: Mask, consts: int, carries: int) -> None:
        self.pulled: Pulled = pulled(body, mask, tuple(not consts <= i < consts + carries for i in range(len(mask))))
        self.body, self.moved, self.consts, self.carries = body, moved, consts, carries
        ends = self.pulled.ends
        self.ins = [i - consts for kind, i in ends if kind == "in" and consts <= i < consts + carries]
        leaving = [i for kind, i in ends if kind == "out" and i < carries]
        self.along = [k for k in leaving if k in self.ins]
        self.outs = [k for k in leaving if k not in self.ins]
        self.count = len(body.outs)

    def forward(self) -> Program:
        """The body that also gives what is kept."""
        program = self.pulled.both.forward
        entering = [program.ins[self.consts + k] for k in self.ins]
        leaving = [program.outs[k] for k in self.outs]
        return Program(
            program.ins, program.eqns, [*program.outs[: self.count], *self.pulled.extras, *entering, *leaving]
        )

    def place(self, end: tuple[str, int]) -> tuple[str, int]:
        """Where the op that was recorded has a residual: ("const", i) and ("x", i) of its operands, ("y", i) of its
        results, ("along", i) of what the way back carries."""
        kind, i = end
        if kind == "in" and i < self.consts:
            return "const", i
        if kind == "in" and i >= self.consts + self.carries:
            return "x", i
        if kind == "extra":
            return "y", self.count + i
        first = self.count + len(self.pulled.extras)
        if kind == "in":
            return "y", first + self.ins.index(i - self.consts)
        if i >= self.carries:
            return "y", i
        if i in self.along:
            return "along", self.along.index(i)
        return "y", first + len(self.ins) + self.outs.index(i)


def _record(
    operand_mask: Mask, operands: Sequence[Array], *, body: Program, consts: int, carries: int, **how: Any
) -> tuple[dict[str, Any], int]:
    of_consts, of_carries, of_xs = _parts(operand_mask, consts, carries)
    moved = settled(body, of_consts, of_carries, of_xs)
    mask = (*of_consts, *moved, *of_xs)
    key = ("scan plan", mask, consts, carries)
    plan = derived(body, key, lambda: _Plan(body, mask, moved, consts, carries))
    forward = derived(body, (*key, "forward"), plan.forward)
    return dict(body=forward, consts=consts, carries=carries, pulled=plan, **how), plan.count


def _vjp(
    ct: Sequence[Array | None], ins: Vars, xs: Sequence[Array], out: Sequence[Array], *, length: int, reverse: bool,
    unroll: int, pulled: _Plan, body: Program, consts: int, carries: int,
) -> tuple[Array | None, ...]:  # fmt: skip
    plan, moved = pulled, pulled.moved
    n_carries = carries
    wanted = followed(ins)
    want_consts = tuple(i for i in range(consts) if wanted[i])
    want_xs = tuple(i for i in range(consts + carries, len(ins)) if wanted[i])
    given = tuple(c is not None for c in ct[: plan.count])
    places = [plan.place(end) for end in plan.pulled.ends]
    fixed = [xs[i] for kind, i in places if kind == "const"]
    stacked = [(xs if kind == "x" else out)[i] for kind, i in places if kind in "xy"]
    y_cts = [c for c in ct[n_carries : plan.count] if c is not None]
    starts = [
        zero(plan.body.outs[k]) if ct[k] is None else ct[k] for k in range(n_carries) if moved[k]
    ]  # fmt: skip
    along = [out[k] for k in plan.along]
    sums = [np.zeros(ins[i].shape, ins[i].dtype)[()] for i in want_consts]

    def make() -> Program:
        return _backward(plan, places, want_consts, want_xs, given)

    key = ("scan backward", consts, carries, tuple(plan.pulled.both.backward.wanted), want_consts, want_xs, given)
    new = derived(plan.body, key, make)
    found = scan(
        *fixed, *starts, *along, *sums, *stacked, *y_cts, body=new, consts=len(fixed),
        carries=len(starts) + len(along) + len(sums), length=length, reverse=not reverse, unroll=unroll,
    )  # fmt: skip
    result: list[Array | None] = [None] * len(ins)
    cts = iter(found)
    for k in range(n_carries):
        if moved[k]:
            value = next(cts)
            result[consts + k] = value if wanted[consts + k] else None
    for _ in along:
        next(cts)
    for i in (*want_consts, *want_xs):
        result[i] = next(cts)
    return tuple(result)


def _backward(
    plan: _Plan, places: Sequence[tuple[str, int]], want_consts: Sequence[int], want_xs: Sequence[int], given: Mask
) -> Program:
    """The body of the way back: (const residuals; cotangents of carries, carries along, sums; residuals, cotangents of ys)."""
    backward, body, consts, n = plan.pulled.backward, plan.body, plan.consts, plan.carries
    residuals = [v.aval for v in backward.program.ins[: len(places)]]
    moved = [k for k in range(n) if plan.moved[k]]
    groups = [
        [a for a, (kind, _) in zip(residuals, places, strict=True) if kind == "const"],
        [body.outs[k].aval for k in moved],
        [body.outs[k].aval for k in plan.along],
        [body.ins[i].aval for i in want_consts],
        [a for a, (kind, _) in zip(residuals, places, strict=True) if kind in "xy"],
        [body.outs[j].aval for j in range(n, plan.count) if given[j]],
    ]
    wanted = [i for i in backward.wanted if i in want_consts or i in want_xs or consts <= i < consts + n]

    def run(*flat: Array) -> list[Array]:
        given_to = iter(flat)
        fixed, cts, along, sums, stacked, y_cts = ([next(given_to) for _ in group] for group in groups)
        of_trip, of_all = iter(stacked), iter(fixed)
        values = [along[i] if kind == "along" else next(of_all if kind == "const" else of_trip) for kind, i in places]
        ct_of = dict(zip(moved, cts, strict=True))
        ct_of.update(zip([j for j in range(n, plan.count) if given[j]], y_cts, strict=True))
        seeds = [ct_of[j] if j in ct_of else zero(body.outs[j]) for j in backward.seeded]
        got = run_backward(backward, wanted, values, seeds)
        entering = {i - consts: v for (kind, i), v in zip(plan.pulled.ends, values, strict=True) if kind == "in"}
        return [
            *(got[consts + k] for k in moved),
            *(entering[k] for k in plan.along),
            *(add(s, got[i]) for i, s in zip(want_consts, sums, strict=True)),
            *(got[i] for i in want_xs),
        ]

    return made(run, [Aval(a.shape, a.dtype) for group in groups for a in group])


# ── batches ───────────────────────────────────────────────────────────────────


def _batch(
    xs: Sequence[Array], flags: Sequence[bool], size: int, *, body: Program, consts: int, carries: int, **how: Any
) -> tuple[Array, ...]:
    fixed, carry, rest = _parts(xs, consts, carries)
    of_consts, of_carries, of_xs = _parts(flags, consts, carries)
    many = settled(body, of_consts, of_carries, of_xs, derivatives=False)
    mask = (*of_consts, *many, *of_xs)
    outs = (*many, *reached(body, mask, derivatives=False)[carries:])
    new = batched_body(body, mask, outs, size)
    starts = [spread(c, size) if m and not f else c for c, m, f in zip(carry, many, of_carries, strict=True)]
    inner = [_swapped(x) if f else x for x, f in zip(rest, of_xs, strict=True)]
    found = scan(*fixed, *starts, *inner, body=new, consts=consts, carries=carries, **how)
    kept = [c if m else spread(c, size) for c, m in zip(found[:carries], many, strict=True)]
    ys = [_swapped(y) if m else spread(y, size) for y, m in zip(found[carries:], outs[carries:], strict=True)]
    return (*kept, *ys)


def _swapped(x: Array) -> Array:
    """`x` with its first two axes exchanged."""
    return transpose(x, axes=(1, 0, *range(2, x.ndim)))


scan = Structured(
    name="scan",
    accepts=ANY,
    shape=_shape,
    eval=_eval,
    jvp=_jvp,
    vjp=_vjp,
    saves=(slice(None), "out"),
    batch=_batch,
    lower=Control("scan"),
    multi=True,
    samples=(),
    note="a Program for each element along axis 0, with values carried along",
    both=_both,
    record=_record,
)
