"""`call`: a Program as one op. It is run compiled, and so are its derivatives, which are Programs too.

A jitted function that meets another transform becomes such an op, so that `grad(jit(f))` runs two compiled programs: one forward,
whose residuals are its last results, and one backward. With `shared`, compiled code keeps it a call: equal Programs are
one function. With `recompute`, its pullback runs it again, and keeps its operands and what is marked in the program; with a `budget`
too, that many bytes besides its operands, of what is dearest to compute again. With `memory`, it and its derivatives take at most
that many bytes beyond their operands, what the one keeps for the other included.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from wengert.core.aval import ANY, Aval, is_inexact
from wengert.core.form import Control
from wengert.core.tensor import Array
from wengert.graph.program import Program, Vars
from wengert.transforms.control.bodies import Mask, Structured, followed, zero
from wengert.transforms.derived import Split, batched, pullback, pushforward, recomputing, split

KEPT = 16  # residuals of a shared call: calls within calls would hand up those of the whole tree
EXECUTE: list[Callable[[Program, int | None], Callable[..., Any]]] = [
    lambda program, memory: program.run
]  # the last one makes what runs a Program, in so many bytes
SPLIT: list[
    Callable[[Program, Mask, int], Split]
] = []  # the last one splits a pullback so that both halves obey `memory`


def run(program: Program, *xs: Array, memory: int | None = None) -> list[Array]:
    """The program's outputs, under whatever traces its operands belong to."""
    return list(call(*xs, program=program) if memory is None else call(*xs, program=program, memory=memory))


def _shape(*avals: Aval, program: Program, **_: Any) -> tuple[Aval, ...]:
    return tuple(atom.aval for atom in program.outs)


def _eval(*xs: Array, program: Program, memory: int | None = None, **_: Any) -> tuple[Array, ...]:
    return tuple(EXECUTE[-1](program, memory)(*xs))


def _both(
    xs: Sequence[Array], dxs: Sequence[Array | None], *, program: Program, **how: Any
) -> tuple[tuple[Array, ...], tuple[Array | None, ...]]:
    mask = tuple(d is not None for d in dxs)
    new = pushforward(program, mask, primals=True)
    found = call(*xs, *(d for d in dxs if d is not None), program=new, **how)
    n = len(program.outs)
    dots = iter(found[n:])
    return tuple(found[:n]), tuple(next(dots) if is_inexact(atom.aval.dtype) else None for atom in program.outs)


def _jvp(
    xs: Sequence[Array], dxs: Sequence[Array | None], out: Sequence[Array], **params: Any
) -> tuple[Array | None, ...]:
    return _both(xs, dxs, **params)[1]


def _record(mask: Mask, operands: Sequence[Array], *, program: Program, **how: Any) -> tuple[dict[str, Any], int]:
    if how.get("recompute"):
        both = recomputing(program, mask, how.get("budget"))
        return dict(program=both.forward, pulled=both, **how), both.count
    both = split(program, mask) if "memory" not in how else SPLIT[-1](program, mask, how["memory"])
    if how.get("shared") and len(both.forward.outs) - both.count > KEPT:
        return dict(program=program, **how), len(program.outs)
    return dict(program=both.forward, pulled=both, **how), both.count


def _vjp(
    ct: Sequence[Array | None], ins: Vars, xs: Sequence[Array], out: Sequence[Array], *, program: Program,
    pulled: Split | None = None, **how: Any,
) -> tuple[Array | None, ...]:  # fmt: skip
    wanted = tuple(i for i, w in enumerate(followed(ins)) if w)
    if pulled is not None:
        back = pulled.backward
        given: dict[str, Sequence[Array]] = {"in": xs, "out": out}
        residuals = [given[kind][i] for kind, i in back.sources]
        if "memory" in how:
            how["memory"] -= pulled.kept
        found = call(*residuals, *_seeds(ct, back.seeded, program), program=back.of(wanted), **how)
    else:
        whole, seeded = pullback(program, tuple(i in wanted for i in range(len(ins))))
        found = call(*xs, *_seeds(ct, seeded, program), program=whole, **how)
    cts = dict(zip(wanted, found, strict=True))
    return tuple(cts.get(i) for i in range(len(ins)))


def _seeds(ct: Sequence[Array | None], seeded: Sequence[int], program: Program) -> list[Array]:
    """The cotangents of these outputs, zero where there is none."""
    return [zero(program.outs[i]) if (c := ct[i]) is None else c for i in seeded]


def _batch(xs: Sequence[Array], flags: Sequence[bool], size: int, *, program: Program, **how: Any) -> tuple[Array, ...]:
    return tuple(call(*xs, program=batched(program, tuple(flags), size), **how))


call = Structured(
    name="call",
    accepts=ANY,
    shape=_shape,
    eval=_eval,
    jvp=_jvp,
    vjp=_vjp,
    saves=(slice(None), "out"),
    batch=_batch,
    lower=Control("call"),
    multi=True,
    samples=(),
    note="a Program: what a jitted function does",
    both=_both,
    record=_record,
)
