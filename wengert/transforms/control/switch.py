"""`switch`: one of several Programs, by number.

    switch(index, *operands; branches) → results

`index` is clamped to the branches there are. For the way back, the recorded op also gives the residuals of the branch that
ran, in slots that the branches share where their residuals are of one shape and dtype.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.core.aval import ANY, Aval
from wengert.core.form import Control
from wengert.core.tensor import Array
from wengert.graph.program import Program, Vars
from wengert.ops.basis import broadcast_to, reshape
from wengert.ops.dtype import truncate
from wengert.ops.logic import equal
from wengert.ops.reduce import reduce_any
from wengert.ops.select import maximum, minimum, where
from wengert.transforms.control.bodies import (
    Mask,
    Pulled,
    Structured,
    batched_body,
    followed,
    made,
    pulled,
    pushed,
    reached,
    run_backward,
    zero,
)
from wengert.transforms.control.guards import INT, endless, lent
from wengert.transforms.derived import derived

Branches = tuple[Program, ...]


def _shape(*avals: Aval, branches: Branches, **_: Any) -> tuple[Aval, ...]:
    return tuple(Aval(atom.aval.shape, atom.aval.dtype) for atom in branches[0].outs)


def _eval(index: Array, *operands: Array, branches: Branches, **_: Any) -> tuple[Array, ...]:
    chosen = branches[min(max(int(index), 0), len(branches) - 1)]
    return tuple(np.array(o, atom.aval.dtype)[()] for o, atom in zip(chosen.run(*operands), chosen.outs, strict=True))


# ── forward mode ──────────────────────────────────────────────────────────────


def _both(
    xs: Sequence[Array], dxs: Sequence[Array | None], *, branches: Branches
) -> tuple[tuple[Array, ...], tuple[Array | None, ...]]:
    mask = tuple(d is not None for d in dxs[1:])
    wanted = tuple(map(any, zip(*(reached(b, mask) for b in branches), strict=True)))

    def make(branch: Program) -> Program:
        ins, dots, eqns, outs, d_outs = pushed(branch, mask, wanted)
        return Program([*ins, *dots], eqns, [*outs, *d_outs])

    new = tuple(derived(b, ("switch pushed", mask, wanted), lambda b=b: make(b)) for b in branches)
    found = switch(*xs, *(d for d in dxs[1:] if d is not None), branches=new)
    n = len(wanted)
    dots = iter(found[n:])
    return tuple(found[:n]), tuple(next(dots) if w else None for w in wanted)


def _jvp(xs: Sequence[Array], dxs: Sequence[Array | None], out: Any, **params: Any) -> tuple[Array | None, ...]:
    return _both(xs, dxs, **params)[1]


# ── reverse mode ──────────────────────────────────────────────────────────────


class _Plan:
    """The branches' pullbacks, and which slot each of their residuals is kept in."""

    def __init__(self, branches: Branches, mask: Mask) -> None:
        self.branches = branches
        self.count = len(branches[0].outs)
        self.pulled: list[Pulled] = [pulled(b, mask, (True,) * len(mask)) for b in branches]
        self.slots: list[Aval] = []
        self.placed: list[list[int]] = []  # per branch, the slot of each extra residual
        for one in self.pulled:
            free = list(range(len(self.slots)))
            self.placed.append([self._slot(Aval(a.aval.shape, a.aval.dtype), free) for a in one.extras])

    def _slot(self, aval: Aval, free: list[int]) -> int:
        for slot in free:
            if self.slots[slot] == aval:
                free.remove(slot)
                return slot
        self.slots.append(aval)
        return len(self.slots) - 1

    def forward(self) -> Branches:
        return tuple(self._forward(one, placed) for one, placed in zip(self.pulled, self.placed, strict=True))

    def _forward(self, one: Pulled, placed: Sequence[int]) -> Program:
        """A branch that also gives the slots; those that are not its own are zero."""
        program = one.both.forward

        def run(*xs: Array) -> list[Array]:
            found = program.run(*xs)
            slots: list[Any] = [None] * len(self.slots)
            for slot, value in zip(placed, found[self.count :], strict=True):
                slots[slot] = value
            empty = [np.zeros(a.shape, a.dtype)[()] for a in self.slots]
            return [*found[: self.count], *(e if s is None else s for s, e in zip(slots, empty, strict=True))]

        return made(run, [v.aval for v in program.ins])

    def backward(self, wanted: tuple[int, ...], given: Mask) -> Branches:
        """(operands, results, slots, cotangents of the results in `given`) → cotangents of the operands `wanted`."""
        return tuple(
            self._backward(one, placed, wanted, given) for one, placed in zip(self.pulled, self.placed, strict=True)
        )

    def _backward(self, one: Pulled, placed: Sequence[int], wanted: tuple[int, ...], given: Mask) -> Program:
        branch = self.branches[0]
        program = one.both.forward
        groups = [
            [v.aval for v in program.ins],
            [atom.aval for atom in branch.outs],
            self.slots,
            [atom.aval for atom, g in zip(branch.outs, given, strict=True) if g],
        ]

        def run(*flat: Array) -> list[Array]:
            it = iter(flat)
            operands, results, slots, cts = ([next(it) for _ in group] for group in groups)
            of = {"in": operands, "out": results, "extra": [slots[i] for i in placed]}
            values = [of[kind][i] for kind, i in one.ends]
            arrived = iter(cts)
            ct = [next(arrived) if g else None for g in given]
            seeds = [zero(branch.outs[j]) if (c := ct[j]) is None else c for j in one.backward.seeded]
            return list(run_backward(one.backward, wanted, values, seeds).values())

        return made(run, [Aval(a.shape, a.dtype) for group in groups for a in group])


def _record(mask: Mask, operands: Sequence[Array], *, branches: Branches) -> tuple[dict[str, Any], int]:
    key = ("switch plan", branches, mask[1:])
    plan = derived(branches[0], key, lambda: _Plan(branches, mask[1:]))
    forward = derived(branches[0], (*key, "forward"), plan.forward)
    return {"branches": forward, "pulled": plan}, plan.count


def _vjp(
    ct: Sequence[Array | None],
    ins: Vars,
    xs: Sequence[Array],
    out: Sequence[Array],
    *,
    branches: Branches,
    pulled: _Plan,
) -> tuple[Array | None, ...]:
    wanted = tuple(i - 1 for i, v in enumerate(followed(ins)) if v)
    given = tuple(c is not None for c in ct[: pulled.count])
    key = ("switch backward", pulled.branches, wanted, given)
    back = derived(pulled.branches[0], key, lambda: pulled.backward(wanted, given))
    found = switch(*xs, *out, *(c for c in ct[: pulled.count] if c is not None), branches=back)
    result: list[Array | None] = [None] * len(ins)
    for i, value in zip(wanted, found, strict=True):
        result[i + 1] = value
    return tuple(result)


# ── batches ───────────────────────────────────────────────────────────────────


def _batch(xs: Sequence[Array], flags: Sequence[bool], size: int, *, branches: Branches) -> tuple[Array, ...]:
    """Examples that choose alike run their branch together; otherwise all branches run, and each example takes its own."""
    mask = tuple(flags[1:])
    outs = (True,) * len(branches[0].outs)
    new = tuple(batched_body(b, mask, outs, size) for b in branches)
    index, operands = xs[0], xs[1:]
    if not flags[0]:
        return tuple(switch(index, *operands, branches=new))
    last = len(branches) - 1
    number = minimum(maximum(index, 0), last)
    results = [
        _guarded(b, equal(number, i), operands, mask, size) if endless(b) else b.run(*operands)
        for i, b in enumerate(new)
    ]
    chosen = list(results[last])
    for i in range(last - 1, -1, -1):
        mine = equal(number, i)
        chosen = [
            where(reshape(mine, shape=(size, *(1,) * (len(x.shape) - 1))), x, y)
            for x, y in zip(results[i], chosen, strict=True)
        ]
    return tuple(
        broadcast_to(x, shape=(size, *atom.aval.shape)) for x, atom in zip(chosen, branches[0].outs, strict=True)
    )


def _guarded(branch: Program, mine: Array, operands: Sequence[Array], mask: Mask, size: int) -> Sequence[Array]:
    """The results of a branch that might not end for examples that have not chosen it: these get the values of one that
    has, and where none has, the branch does not run."""
    nothing = made(lambda *_: [zero(atom) for atom in branch.outs], [v.aval for v in branch.ins])
    return switch(
        truncate(reduce_any(mine, axes=(0,)), dtype=INT), *lent(operands, mask, mine, size), branches=(nothing, branch)
    )


switch = Structured(
    name="switch",
    accepts=ANY,
    shape=_shape,
    eval=_eval,
    jvp=_jvp,
    vjp=_vjp,
    saves=(slice(None), "out"),
    batch=_batch,
    lower=Control("switch"),
    multi=True,
    samples=(),
    note="one of several Programs, by number",
    both=_both,
    record=_record,
)
