"""A checkpointed function in a program that is being staged: a call of a Program, which its pullback runs again.

What the policy keeps is marked in that Program, by a name that users cannot give; `split` looks for the marks.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wengert.core.errors import WengertError
from wengert.core.source import describe, here
from wengert.core.tensor import CONSTANTS, Tensor
from wengert.core.tree import flatten
from wengert.graph.decisions import results_of
from wengert.graph.program import Literal, Program
from wengert.ops.name import name as name_op
from wengert.transforms.call import call
from wengert.transforms.checkpoint.policies import Policy, Value, asked
from wengert.transforms.checkpoint.recording import Flat, Rule
from wengert.transforms.control.functions import Body, leaf
from wengert.transforms.residuals import KEPT, moves


def staged_call(fun: Flat, args: Sequence[Any], rule: Rule) -> list[Any]:
    """`fun(*args)` as one call. What is no Tensor, among arguments and results, is known while staging, and stays as it is."""
    places = [i for i, a in enumerate(args) if type(a) is Tensor and a._trace is not CONSTANTS]
    pairs = [leaf(args[i], f"leaf {i} of the arguments of a checkpoint") for i in places]
    outs: list[Any] = []
    traced: list[int] = []

    def run(cells: Sequence[Tensor]) -> list[Any]:
        filled = list(args)
        for i, cell in zip(places, cells, strict=True):
            filled[i] = cell
        outs[:] = fun(*filled)
        traced[:] = [i for i, o in enumerate(outs) if type(o) is Tensor and o._trace is not CONSTANTS]
        return [outs[i] for i in traced]

    tree = flatten(list(range(len(places))))[1]
    body = Body(run, (tree,), ([aval for _, aval in pairs],))
    if body.program.written_out or any(atom.aval.weak for atom in body.program.outs):
        return fun(*args)  # rules over values from outside, and Python's numbers, do not pass through a call
    program = body.program if rule.policy is None or rule.budget is not None else marked(body.program, rule.policy)
    how: dict[str, Any] = {} if rule.budget is None else {"budget": rule.budget}
    found = call(*body.captured, *(x for x, _ in pairs), program=program, recompute=True, **how)
    for i, out in zip(traced, found, strict=True):
        outs[i] = out
    return outs


def marked(program: Program, policy: Any) -> Program:
    """`program` with a mark on each value that `policy` keeps."""
    keeps = _kept(program, policy)
    if not keeps:
        return program
    env: dict[Any, Any] = {}
    rows: list[Any] = []
    for op, ins, outs, params, _, _, code, lasti in program.eqns:
        rows.append((op, [env.get(a, a) for a in ins], outs, params, (), None, code, lasti))
        for var in results_of(rows[-1]):
            if var in keeps:
                env[var] = mark = type(var)(var.shape, var.dtype)
                rows.append((name_op, [var], mark, {"label": KEPT}, (), None, code, lasti))
    return Program(program.ins, rows, [env.get(o, o) for o in program.outs], program.written_out)


def _kept(program: Program, policy: Any) -> set[Any]:
    """The variables that `policy` keeps; a name has it asked again about what the name was given to."""
    values: dict[Any, tuple[Value, Any]] = {}  # by variable, those of views too
    kept: dict[int, tuple[Value, Any]] = {}
    for row in program.eqns:
        op, ins, outs, params, _, _, code, lasti = row
        results = [v for v in results_of(row) if v is not None]
        if op.name == "name" or (not op.multi and moves(row)):
            whole = values.get(ins[0])
            if whole is None:
                continue
            values[outs] = whole
            if op.name != "name" or params["label"] in whole[0].names:
                continue
            whole[0].names = (*whole[0].names, params["label"])
        else:
            if all(type(a) is Literal for a in ins):
                continue
            source = None if code is None else (code, lasti)
            whole = Value(op, [a.aval for a in ins], [v.aval for v in results], params, source), results
            values.update(dict.fromkeys(results, whole))
        if asked(policy, whole[0]):
            if isinstance(policy, Policy) and policy.disk(whole[0]) is not None:
                raise _in_memory(whole[0])
            kept[id(whole[0])] = whole
        else:
            kept.pop(id(whole[0]), None)
    return {var for _, results in kept.values() for var in results}


def _in_memory(value: Value) -> WengertError:
    return WengertError(
        "policies.offload",
        got=f"a value of a program that is being compiled ({value!r}), which stays in memory",
        want="an eager gradient: grad(f), GradientTape",
        fix="another policy within jit; or `with wengert.save_on_disk():` around an eager gradient of the jitted function",
        at=value.line or describe(here(3)),
    )
