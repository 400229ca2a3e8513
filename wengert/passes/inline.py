"""Inlining: ops that are compositions of other ops (`Via` forms), and calls of programs, give way to what they are made of.

Bodies are recorded once per op, parameters and operands' avals, and kept: long programs repeat few of them.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Sequence
from typing import Any

from wengert.core.aval import aval_of
from wengert.core.form import Unsupported, Via
from wengert.core.op import Op
from wengert.graph.program import Literal, Program, Var
from wengert.passes.cse import frozen
from wengert.passes.rewriter import Notes, is_native, strong
from wengert.trace.stage import infer, stage

KEPT = 4096  # bodies
LARGE, TINY = 2000, 8  # equations of a shared program that is never inlined, and one that always is
_bodies: OrderedDict[Any, Program | None] = OrderedDict()


def unshared(program: Program) -> frozenset[Program]:
    """The programs that are called by `program`, and the Programs in it, as if to be shared, but in one place only, or that
    are tiny."""
    calls: Counter[Program] = Counter()
    seen: set[int] = set()
    stack = [program]
    while stack:
        for op, _, _, params, *_ in stack.pop().eqns:
            for value in params.values():
                for inner in value if type(value) is tuple else (value,):
                    if not hasattr(inner, "eqns"):
                        continue
                    if op.name == "call" and params.get("shared"):
                        calls[inner] += 1
                    if id(inner) not in seen:
                        seen.add(id(inner))
                        stack.append(inner)
    return frozenset(p for p, n in calls.items() if len(p.eqns) <= (TINY if n > 1 else LARGE))


def inline(program: Program, notes: Notes | None = None, free: frozenset[Program] = frozenset()) -> Program:
    """`program` with compositions and calls spliced in, recursively; the equations keep the line of what they stand for.
    Calls that share their program stay, but for those of programs in `free`."""
    rows: list[Any] = []
    env: dict[Any, Any] = {}
    if not _splice(program, rows, env, None, {} if notes is None else notes, free, fresh=False):
        return program
    return Program(program.ins, rows, [env.get(o, o) for o in program.outs])


def _splice(
    program: Program,
    rows: list[Any],
    env: dict[Any, Any],
    line: Any,
    notes: Any,
    free: frozenset[Program],
    fresh: bool,
    back: bool = False,
) -> int:
    """Append the equations of `program`, with the atoms that `env` gives for its variables; how many were replaced.

    `line`: that of what the program stands for; None: its equations have lines of their own, as those of a call have. `fresh`: the
    program may be spliced in more than once, so that its variables get new ones in their place. `back`: it stands in a way back.
    """
    count = 0
    for row in program.eqns:
        op, ins, outs, params, _, _, code, lasti = row
        if env:
            ins = [env.get(a, a) for a in ins]
        if line is not None:
            code, lasti = line
        elif back and code is not None and lasti >= 0:
            lasti = ~lasti
        body = _body(op, ins, params, free)
        if body is None:
            if fresh:
                outs = _renamed(op, outs, env)
            elif ins == list(row[1]):
                rows.append(row)
                continue
            rows.append((op, ins, outs, params, (), None, code, lasti))
            continue
        count += 1
        notes[f"{op.name} written out"] = notes.get(f"{op.name} written out", 0) + 1
        inner = {v: a if v.weak else strong(a, v.dtype) for v, a in zip(body.ins, ins, strict=True)}
        own = line if op.name == "call" else (code, lasti)
        _splice(body, rows, inner, own, notes, free, fresh=True, back=code is not None and lasti < 0)
        for var, atom in zip(outs if op.multi else (outs,), body.outs, strict=True):
            if var is not None:
                atom = inner.get(atom, atom)
                env[var] = strong(atom, var.dtype) if type(atom) is Literal and not var.weak else atom
    return count


def _renamed(op: Op, outs: Any, env: dict[Any, Any]) -> Any:
    if not op.multi:
        env[outs] = new = type(outs)(outs.shape, outs.dtype)
        return new
    made = tuple(None if v is None else type(v)(v.shape, v.dtype) for v in outs)
    env.update(zip(outs, made, strict=True))
    return made


def _body(op: Op, ins: Sequence[Any], params: dict[str, Any], free: frozenset[Program]) -> Program | None:
    """What `op` is made of for these operands; None if it stays."""
    if op.name == "call":
        program = params["program"]
        if params.get("shared") and program not in free:
            return None
        return program if all(map(_suits, program.ins, ins)) else None
    if op.transparent:
        return _written_out(op, ins, params)
    form = op.lower
    if type(form) is not Via and not callable(form):
        return None
    avals = tuple([aval_of(a.value) if type(a) is Literal else a.aval for a in ins])
    if not all([is_native(a.dtype) for a in avals]):  # noqa: C419 - a list is half the cost
        return None
    key = (op, frozen(params) if params else None, avals)
    if key in _bodies:
        return _bodies[key]
    try:
        if callable(form):
            form = form(avals, params)
        body = _recorded(op, form, avals, params) if type(form) is Via else None
    except Unsupported:
        body = None
    _bodies[key] = body
    if len(_bodies) > KEPT:
        _bodies.popitem(last=False)
    return body


def _written_out(op: Op, ins: Sequence[Any], params: dict[str, Any]) -> Program | None:
    """What a function with a custom rule does; None if it closes over a traced value."""
    avals = [aval_of(a.value) if type(a) is Literal else a.aval for a in ins]
    program, captured = stage(lambda *xs: op.eval(*xs, **params), avals)
    return None if captured else program


def _suits(var: Var, atom: Any) -> bool:
    """Whether `atom` can stand for the input `var` of a program: a Python scalar may for an array that it can become."""
    of = aval_of(atom.value) if type(atom) is Literal else atom.aval
    return of.shape == var.shape and (of.dtype == var.dtype and (of.weak == var.weak or type(atom) is Literal))


def _recorded(op: Op, form: Via, avals: Sequence[Any], params: dict[str, Any]) -> Program:
    """`form.ops` as a program. Its results must have the avals that the op says it has."""

    def run(*xs: Any) -> Sequence[Any]:
        out = form.ops(*xs, **params)
        return tuple(out) if op.multi else (out,)

    program, captured = stage(run, avals)
    if captured:
        raise Unsupported(f"{op.name} closes over a traced value")
    want = infer(op, avals, params)
    for atom, aval in zip(program.outs, want if op.multi else (want,), strict=True):
        got = aval_of(atom.value) if type(atom) is Literal else atom.aval
        if (got.shape, got.dtype) != (aval.shape, aval.dtype):
            raise TypeError(f"{op.name} is {aval}, and what its form says it is made of is {got}")
    return program
