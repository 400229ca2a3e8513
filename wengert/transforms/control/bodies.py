"""What the rules of loops and branches share: which values depend on which, and bodies made of bodies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wengert.core.aval import Aval, is_inexact
from wengert.core.op import Op, Rule
from wengert.core.tensor import Array, Tensor, active, held
from wengert.graph.program import Program, Var, Vars
from wengert.ops.basis import broadcast_to
from wengert.trace.stage import Stage, stage
from wengert.trace.tape import Tape, apply_watched
from wengert.transforms.batch import batch_flat
from wengert.transforms.derived import Backward, Split, derived, pushforward, replay, split, trace_of

Mask = tuple[bool, ...]
RECORDING = (None, apply_watched)  # the modes of a tape that records
Ends = list[tuple[str, int]]


@dataclass(eq=False, kw_only=True, slots=True)
class Structured(Op):
    """An op of Programs, of which a tape records another one: the op that also gives what the way back needs.

    record
        `record(mask, avals, **params) → (params, count)`: the op with these parameters has the op's results first, `count`
        of them, and after them the residuals. `mask` says which operands the tape follows.
    """

    record: Rule | None = None

    def __call__(self, *args: Array, **params: Any) -> Any:
        params.pop("pulled", None)  # what a tape above has recorded concerns that tape alone
        innermost: Any = None
        for a in args:
            if type(a) is Tensor:
                if a._view is not None:
                    a._sync()
                if innermost is None or a._trace.level > innermost.level:
                    innermost = a._trace
        if innermost is None:
            stages = [t for t in active() if type(t) is Stage]
            return stages[-1].apply(self, args, params) if stages else self.eval(*args, **params)
        if isinstance(innermost, Tape) and innermost.mode in RECORDING and self.record is not None:
            mask = tuple(type(a) is Tensor and a._trace is innermost and is_inexact(a.dtype) for a in args)
            if any(mask):
                params, count = self.record(mask, args, **params)
                return innermost.apply(self, args, params)[:count]
        return innermost.apply(self, args, params)


# ── what depends on what ──────────────────────────────────────────────────────


def reached(program: Program, mask: Sequence[bool], *, derivatives: bool = True) -> list[bool]:
    """The outputs that depend on the inputs in `mask`; of `derivatives`, those that may vary smoothly with them."""
    live = {var for var, m in zip(program.ins, mask, strict=True) if m}
    for row in program.eqns:
        op, ins, outs = row[:3]
        if (derivatives and op.constant) or live.isdisjoint(a for a in ins if isinstance(a, Var)):
            continue
        live.update(v for v in (outs if op.multi else (outs,)) if not derivatives or is_inexact(v.dtype))
    return [isinstance(atom, Var) and atom in live for atom in program.outs]


def settled(
    body: Program, consts: Sequence[bool], carry: Sequence[bool], xs: Sequence[bool], *, derivatives: bool = True
) -> Mask:
    """The carries that depend on the consts, carries and xs given, whatever the number of trips."""
    carry = list(carry)
    while True:
        found = reached(body, (*consts, *carry, *xs), derivatives=derivatives)[: len(carry)]
        new = [a or b for a, b in zip(carry, found, strict=True)]
        if new == carry:
            return tuple(carry)
        carry = new


def followed(ins: Vars) -> Mask:
    """The operands whose cotangents are wanted, and may be other than zero."""
    return tuple(v is not None and is_inexact(v.dtype) for v in ins)


def zero(atom: Any) -> Array:
    """A zero of an atom's aval."""
    return np.zeros(atom.aval.shape, atom.aval.dtype)[()]


def chosen(items: Sequence[Any], mask: Sequence[bool]) -> list[Any]:
    return [item for item, m in zip(items, mask, strict=True) if m]


def filled(tangents: Sequence[Array | None], mask: Sequence[bool], atoms: Sequence[Any]) -> list[Array]:
    """The tangents of what is in `mask`, zero where there is none."""
    return [
        zero(atom) if d is None else d for d, m, atom in zip(tangents, mask, atoms, strict=True) if m
    ]  # fmt: skip


# ── tangents ──────────────────────────────────────────────────────────────────


def pushed(body: Program, mask: Mask, wanted: Mask) -> tuple[list[Var], list[Var], list[Any], list[Any], list[Any]]:
    """`body` with tangents: (inputs, tangents of those in `mask`, equations, outputs, tangents of those `wanted`)."""
    both = pushforward(body, mask, primals=True)
    n, m = len(body.ins), len(body.outs)
    dots = dict(zip([i for i, o in enumerate(body.outs) if is_inexact(o.aval.dtype)], both.outs[m:], strict=True))
    return both.ins[:n], both.ins[n:], both.eqns, both.outs[:m], [dots[i] for i, w in enumerate(wanted) if w]


# ── cotangents ────────────────────────────────────────────────────────────────


@dataclass
class Pulled:
    """How one trip is run backwards.

    both : the body's pullback, split
    ends : where each residual comes from: ("in", i) or ("out", j) of the body, or ("extra", k)
    extras : what the forward body gives besides
    """

    both: Split
    ends: Ends
    extras: list[Any]

    @property
    def backward(self) -> Backward:
        return self.both.backward


def pulled(body: Program, mask: Mask, free: Mask) -> Pulled:
    """The pullback of one trip to the inputs in `mask`; those in `free` need not be kept for it."""

    def make() -> Pulled:
        both = split(body, mask, free)
        count = both.count
        ends = [
            ("extra", i - count) if kind == "out" and i >= count else (kind, i) for kind, i in both.backward.sources
        ]
        return Pulled(both, ends, list(both.forward.outs[count:]))

    return derived(body, ("pulled", mask, free), make)


def run_backward(
    back: Backward, wanted: Sequence[int], residuals: Sequence[Array], seeds: Sequence[Array]
) -> dict[int, Array]:
    """The cotangents of the inputs `wanted`."""
    program = back.of(tuple(wanted))
    return dict(zip(wanted, replay(program, None)(*residuals, *seeds), strict=True))


# ── batches ───────────────────────────────────────────────────────────────────


def batched_body(program: Program, flags: Mask, outs: Mask, size: int) -> Program:
    """`program` on `size` examples: the inputs in `flags` and the outputs in `outs` have them along axis 0, and no others."""

    def make() -> Program:
        def run(*args: Tensor) -> list[Array]:
            found, have = batch_flat(replay(program, trace_of(args)), args, flags, size)
            for has, wanted in zip(have, outs, strict=True):
                if has and not wanted:
                    raise RuntimeError("an output is batched that depends on no batched input")
            return [
                spread(x, size) if wanted and not has else x for x, has, wanted in zip(found, have, outs, strict=True)
            ]

        return stage(
            run, [widened(v.aval, flag, size) for v, flag in zip(program.ins, flags, strict=True)], keeps=True
        )[0].pruned()

    return derived(program, ("batched body", flags, outs, size), make)


def spread(x: Array, size: int) -> Array:
    """`x` for each of `size` examples."""
    return broadcast_to(x, shape=(size, *getattr(x, "shape", ())))


def widened(aval: Aval, flag: bool, size: int) -> Aval:
    return Aval((size, *aval.shape), aval.dtype) if flag else aval


def made(fun: Callable[..., Sequence[Array]], avals: Sequence[Aval]) -> Program:
    """A Program of a flat function that closes over nothing traced."""
    program, captured = stage(lambda *xs: fun(*map(held, xs)), avals, keeps=True)
    if captured:
        raise RuntimeError("a body closes over a traced value")
    return program.pruned()
