"""`call`: a Program as one op. It is run compiled, and so are its derivatives, which are Programs too.

A jitted function that meets another transform becomes such an op, so that `grad(jit(f))` runs two compiled programs: one forward,
whose residuals are its last results, and one backward.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wengert.core.aval import ANY, Aval, is_inexact
from wengert.core.op import Op
from wengert.core.tensor import Array, Tensor, carries, paused
from wengert.graph.program import Program, Vars
from wengert.trace.tape import Tape
from wengert.transforms.derived import Backward, Split, batched, pullback, pushforward, split

EXECUTE: list[Callable[[Program], Callable[..., Any]]] = [
    lambda program: program.run
]  # the last one makes what runs a Program


def run(program: Program, *xs: Array) -> list[Array]:
    """The program's outputs, under whatever traces its operands belong to."""
    mask = tuple(carries(x) for x in xs)
    if any(mask) and any(map(_taped, xs)):
        both = split(program, mask)
        return list(call(*xs, program=both.forward))[: both.count]
    return list(call(*xs, program=program))


def _taped(x: Array) -> bool:
    """Whether a tape records what is done to `x`."""
    while type(x) is Tensor:
        if isinstance(x._trace, Tape) and x._trace.mode is not paused:
            return True
        x = x._value
    return False


def _shape(*avals: Aval, program: Program) -> tuple[Aval, ...]:
    return tuple(atom.aval for atom in program.outs)


def _eval(*xs: Array, program: Program) -> tuple[Array, ...]:
    return tuple(EXECUTE[-1](program)(*xs))


def _jvp(
    xs: Sequence[Array], dxs: Sequence[Array | None], out: Sequence[Array], *, program: Program
) -> tuple[Array | None, ...]:
    mask = tuple(d is not None for d in dxs)
    found = iter(run(pushforward(program, mask), *xs, *(d for d in dxs if d is not None)))
    return tuple(next(found) if is_inexact(atom.aval.dtype) else None for atom in program.outs)


def _vjp(
    ct: Sequence[Array | None], ins: Vars, xs: Sequence[Array], out: Sequence[Array], *, program: Program
) -> tuple[Array | None, ...]:
    wanted = tuple(i for i, var in enumerate(ins) if var is not None)
    both: Split | None = program.derived.get("split")
    if both is not None and all(c is None for c in ct[both.count :]) and set(wanted) <= set(both.backward.wanted):
        back: Backward = both.backward
        given: dict[str, Sequence[Array]] = {"in": xs, "out": out}
        residuals = [given[kind][i] for kind, i in back.sources]
        found = run(back.of(wanted), *residuals, *_seeds(ct, back.seeded, program))
    else:
        mask = tuple(i in wanted for i in range(len(ins)))
        whole, seeded = pullback(program, mask)
        found = run(whole, *xs, *_seeds(ct, seeded, program))
    cts = dict(zip(wanted, found, strict=True))
    return tuple(cts.get(i) for i in range(len(ins)))


def _seeds(ct: Sequence[Array | None], seeded: Sequence[int], program: Program) -> list[Array]:
    """The cotangents of these outputs, zero where there is none."""
    avals = [(ct[i], program.outs[i].aval) for i in seeded]
    return [np.zeros(aval.shape, aval.dtype)[()] if c is None else c for c, aval in avals]


def _batch(xs: Sequence[Array], flags: Sequence[bool], size: int, *, program: Program) -> tuple[Array, ...]:
    return tuple(run(batched(program, tuple(flags), size), *xs))


call = Op(
    name="call",
    accepts=ANY,
    shape=_shape,
    eval=_eval,
    jvp=_jvp,
    vjp=_vjp,
    saves=(slice(None), "out"),
    batch=_batch,
    multi=True,
    samples=(),
    note="a Program: what a jitted function does",
)
