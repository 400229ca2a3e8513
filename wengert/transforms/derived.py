"""Programs made of Programs: tangents, pullbacks, batches; each made once, and kept with the program it was made of.

A pullback comes as one program that runs everything, or split in two: a *forward* program, which gives the results and after
them the residuals, and a *backward* one, which takes the residuals and the results' cotangents.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from wengert.core.aval import Aval, is_inexact
from wengert.core.errors import NotDifferentiable
from wengert.core.source import describe, here
from wengert.core.tensor import Array, Tensor, active, running
from wengert.graph.program import Literal, Program, Var
from wengert.ops.barrier import barrier
from wengert.ops.basis import all_batched
from wengert.trace.stage import Stage, stage
from wengert.trace.tape import Tape
from wengert.transforms.batch import batch_flat
from wengert.transforms.costs import flops
from wengert.transforms.forward import jvp_flat
from wengert.transforms.gradients import zero_tangent
from wengert.transforms.residuals import fewest, marked, moved, within
from wengert.transforms.reverse import vjp_flat

T = TypeVar("T")
Mask = tuple[bool, ...]
Halves = tuple[
    Sequence[Any], Sequence[Any], Sequence[Any], Sequence[Var]
]  # equations forward and backward, results, seeds

_lock = threading.RLock()


def derived(program: Program, key: Any, make: Callable[[], T]) -> T:
    """What `make` makes of `program`, made once."""
    found = program.derived.get(key)
    if found is None:
        with _lock:
            found = program.derived.get(key)
            if found is None:
                found = program.derived[key] = make()
    return found


def replay(program: Program, trace: Stage | None) -> Callable[..., list[Array]]:
    """The program as a function of flat arrays; what `trace` records for it keeps its lines."""

    def run(*args: Array) -> list[Array]:
        if trace is None:
            return program.run(*args)
        tape = next((t for t in reversed(active()) if isinstance(t, Tape) and t.level > trace.level), None)
        marks: list[tuple[int, Any]] = []  # how many equations the tape had, and the line of what comes next

        def at(source: Any) -> None:
            trace.where = source  # type: ignore[union-attr]
            if tape is not None:
                marks.append((len(tape.program.eqns), source))

        try:
            return program.run(*args, at=at)
        finally:
            trace.where = None
            if tape is not None and marks:
                _relocated(tape.program, marks)

    return run


def _relocated(program: Program, marks: Sequence[tuple[int, Any]]) -> None:
    """Give the equations of a tape the lines of those that were replayed on it, for its sweep to go by."""
    eqns = program.eqns
    ends = [start for start, _ in marks[1:]] + [len(eqns)]
    for (start, source), end in zip(marks, ends, strict=True):
        if source is not None:
            for i in range(start, end):
                eqns[i] = (*eqns[i][:6], *source)


def trace_of(cells: Sequence[Tensor]) -> Stage | None:
    """The staged trace of an input, if there are inputs."""
    return cells[0]._trace if cells else None  # type: ignore[return-value]


def some_of(fun: Callable[..., list[Array]], args: Sequence[Array], mask: Mask) -> Callable[..., list[Array]]:
    """`fun` as a function of the arguments in `mask`, the others held fixed."""

    def run(*some: Array) -> list[Array]:
        given = iter(some)
        return fun(*[next(given) if m else a for a, m in zip(args, mask, strict=True)])

    return run


def need_rules(program: Program) -> None:
    """Refuse a program in which functions with custom rules were written out: its derivative would be another than theirs."""
    if program.written_out:
        raise NotDifferentiable(
            "derivative of a Program that was staged from a function with custom rules: the Program holds what the function does,"
            " and not the rules",
            fix="differentiate the function, and stage that: wengert.trace(wengert.grad(f), x), wengert.jit(wengert.grad(f))",
            at=describe(here(3)),
        )


def _avals(vars_: Sequence[Any]) -> list[Aval]:
    return [v.aval for v in vars_]


def differentiable(program: Program) -> Mask:
    """The inputs that have derivatives."""
    return tuple(is_inexact(v.dtype) for v in program.ins)


# ── forward ───────────────────────────────────────────────────────────────────


def pushforward(program: Program, mask: Mask, *, primals: bool = False) -> Program:
    """(inputs, tangents of those in `mask`) → tangents of the outputs that have any, after the outputs if `primals`."""
    return derived(program, ("pushforward", mask, primals), lambda: _pushforward(program, mask, primals))


def _pushforward(program: Program, mask: Mask, primals: bool) -> Program:
    need_rules(program)
    n = len(program.ins)
    moves = [is_inexact(atom.aval.dtype) for atom in program.outs]

    def run(*args: Tensor) -> list[Array]:
        dots = iter(args[n:])
        tangents = [next(dots) if m else None for m in mask]
        outs, douts = jvp_flat(replay(program, trace_of(args)), args[:n], tangents)
        filled = [zero_tangent(o) if d is None else d for o, d, m in zip(outs, douts, moves, strict=True) if m]
        return [*outs, *filled] if primals else filled

    wanted = [v.aval for v, m in zip(program.ins, mask, strict=True) if m]
    return stage(run, [*_avals(program.ins), *wanted], keeps=True)[0].pruned()


# ── reverse ───────────────────────────────────────────────────────────────────


@dataclass
class Backward:
    """The second half of a split pullback.

    sources : where each of the program's first inputs comes from: ("in" or "out", number) of the forward program
    seeded : the outputs whose cotangents are the inputs after these
    wanted : the inputs of the forward program whose cotangents it gives
    """

    program: Program
    sources: list[tuple[str, int]]
    seeded: list[int]
    wanted: list[int]

    def of(self, inputs: tuple[int, ...]) -> Program:
        """The program for the cotangents of these inputs alone."""
        if list(inputs) == self.wanted:
            return self.program
        outs = [self.program.outs[self.wanted.index(i)] for i in inputs]
        return derived(
            self.program, ("of", inputs), lambda: Program(self.program.ins, self.program.eqns, outs).pruned()
        )


@dataclass
class Split:
    """`forward` gives `count` results and then residuals, `backward` the cotangents."""

    forward: Program
    count: int
    backward: Backward

    @property
    def kept(self) -> int:
        """Bytes of the residuals."""
        avals = [atom.aval for atom in self.forward.outs[self.count :]]
        return sum(aval.size * aval.dtype.itemsize for aval in avals)


def split(program: Program, mask: Mask, free: Mask | None = None) -> Split:
    """The pullback to the inputs in `mask`, as two programs.

    free : the inputs that the backward one can have at no cost; given these, as few bytes as possible are kept beside them
    """

    def choose(halves: Halves, ins: Sequence[Var]) -> tuple[list[Var], list[Any]]:
        return moved(*halves) if free is None else fewest(*halves, {v for v, f in zip(ins, free, strict=True) if f})

    return derived(program, ("split", mask, free), lambda: _split(program, mask, choose))


def recomputing(program: Program, mask: Mask, budget: int | None = None) -> Split:
    """As `split`, where the backward program begins with what it needs of the forward one, computed again from the inputs and
    from what is marked to be kept, or, under a budget, from that many bytes.

    What it is computed from passes a barrier that waits for the cotangents, so that it is neither shared with the forward program
    where both become part of one, nor made before the way back has come so far.
    """

    def choose(halves: Halves, ins: Sequence[Var]) -> tuple[list[Var], list[Any]]:
        return marked(*halves, set(ins)) if budget is None else within(*halves, set(ins), budget, cost_of)

    return derived(program, ("recomputing", mask, budget), lambda: _split(program, mask, choose, apart=True))


def cost_of(row: Any) -> float:
    """The additions that an equation costs."""
    outs = [v.aval for v in (row[2] if row[0].multi else (row[2],)) if v is not None]
    return flops(row[0], [atom.aval for atom in row[1]], outs, row[3])


def _apart(residuals: Sequence[Var], repeated: Sequence[Any], seeds: Sequence[Var]) -> list[Any]:
    """The equations `repeated`, of residuals behind barriers."""
    marks = [row for row in repeated if row[0].name == "name" and row[1][0] in residuals]
    env: dict[Any, Any] = {}
    rows: list[Any] = list(marks)  # the way back reads what was kept as it is
    whole = {row[2]: row[1][0] for row in marks}
    rest = [row for row in repeated if row[2] not in whole] if whole else repeated
    used = {whole.get(a, a) for row in rest for a in row[1] if type(a) is not Literal}
    for var in residuals:
        if var in used and not var.weak:
            env[var] = Var(var.shape, var.dtype)
            rows.append((barrier, [var, *seeds], env[var], {}, (), None, None, 0))
    env.update({mark: env[var] for mark, var in whole.items() if var in env})
    for op, ins, outs, params, _, _, code, lasti in rest:
        if code is not None and lasti >= 0:
            lasti = ~lasti
        rows.append((op, [env.get(a, a) for a in ins], outs, params, (), None, code, lasti))
    return rows


def _split(program: Program, mask: Mask, choose: Callable[..., Any], *, apart: bool = False) -> Split:
    need_rules(program)
    trace = Stage(keeps=True)
    with running(trace):
        cells = [trace.input(v.aval) for v in program.ins]
        some = [c for c, m in zip(cells, mask, strict=True) if m]
        outs, pullback, out_vars = vjp_flat(some_of(replay(program, trace), cells, mask), some)
        results = [trace.atom(o) for o in outs]
        cut = len(trace.program.eqns)
        ins = list(trace.program.ins)
        seeded = [i for i, v in enumerate(out_vars) if v is not None]
        cts: list[Any] = [None] * len(outs)
        for i in seeded:
            cts[i] = trace.input(Aval(tuple(outs[i].shape), outs[i].dtype))
        seeds = trace.program.ins[len(ins) :]
        found = [trace.atom(ct) for ct in pullback(cts)]
        trace.close("a staged function")
    eqns = trace.program.eqns
    residuals, repeated = choose((eqns[:cut], eqns[cut:], found, seeds), ins)
    again = _apart(residuals, repeated, seeds) if apart else repeated
    sources: list[tuple[str, int]] = []
    extras: list[Var] = []
    for var in residuals:
        if var in ins:
            sources.append(("in", ins.index(var)))
        elif var in results:
            sources.append(("out", results.index(var)))
        else:
            sources.append(("out", len(results) + len(extras)))
            extras.append(var)
    forward = Program(ins, eqns[:cut], [*results, *extras]).pruned()
    backward = Program([*residuals, *seeds], [*again, *eqns[cut:]], found).pruned()
    found_for = [i for i, m in enumerate(mask) if m]
    made = Split(forward, len(results), Backward(backward, sources, seeded, found_for))
    forward.derived["split"] = made
    return made


def pullback(program: Program, mask: Mask) -> tuple[Program, list[int]]:
    """(inputs, cotangents of the outputs listed) → cotangents of the inputs in `mask`: forward and backward in one."""
    return derived(program, ("pullback", mask), lambda: _pullback(program, mask))


def _pullback(program: Program, mask: Mask) -> tuple[Program, list[int]]:
    both = split(program, mask)
    forward, back = both.forward, both.backward
    given = {"in": forward.ins, "out": forward.outs}
    known = {var: given[kind][i] for var, (kind, i) in zip(back.program.ins, back.sources, strict=False)}
    # The two halves were recorded as one, so that a residual is the same variable in both.
    assert all(var is atom for var, atom in known.items())
    seeds = back.program.ins[len(back.sources) :]
    whole = Program([*forward.ins, *seeds], [*forward.eqns, *_new(back.program.eqns, forward.eqns)], back.program.outs)
    return whole.pruned(), back.seeded


def _new(eqns: Sequence[Any], known: Sequence[Any]) -> list[Any]:
    ids = set(map(id, known))
    return [eqn for eqn in eqns if id(eqn) not in ids]


# ── batches ───────────────────────────────────────────────────────────────────


def batched(program: Program, flags: Mask, size: int) -> Program:
    """The program on `size` examples at once: inputs with a flag, and all outputs, have them along axis 0."""
    return derived(program, ("batched", flags, size), lambda: _batched(program, flags, size))


def _batched(program: Program, flags: Mask, size: int) -> Program:
    def run(*args: Tensor) -> list[Array]:
        outs, have = batch_flat(replay(program, trace_of(args)), args, flags, size)
        return all_batched(outs, have, size)

    ins = [Aval((size, *v.shape), v.dtype) if flag else v.aval for v, flag in zip(program.ins, flags, strict=True)]
    return stage(run, ins, keeps=True)[0].pruned()
