"""What a legal staged Program is. `check` is run between passes when `config.debug_passes` is on.

- every variable is made once: as an input, or by one equation; and before it is used
- every operand is a Var or a Literal, every output a Var or a Literal; with `op.multi` an equation gives a tuple of Vars
- literals are ndarrays or numbers, never Tensors; parameters hold no Tensors
- the avals of an equation's outputs are those that its op gives for its operands
- a weak variable meets weak operands only, or is cast
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from wengert.core.abstract import Abstract
from wengert.core.aval import Aval, kind
from wengert.core.errors import WengertError
from wengert.core.source import describe
from wengert.core.tensor import Tensor
from wengert.graph.atoms import Eqn, Literal, Var
from wengert.graph.program import Program

Infer = Callable[..., Any]  # (op, avals, params) → aval(s)


class IllegalProgram(WengertError):
    """A Program that breaks the rules of staged programs: a bug of whoever made it."""


def check(program: Program, after: str = "", infer: Infer | None = None) -> None:
    """Raise IllegalProgram, with the equation and the whole text, unless `program` is a legal staged Program.

    after : what made it, for the message
    infer : what an op gives for avals; by default its shape rule, where its operands are of dtypes that it declares
    """
    made: set[Any] = set()
    for var in program.ins:
        _variable(program, after, None, var, made, "an input")
    for eqn in program.equations():
        _equation(program, after, eqn, made, infer or _declared)
    for atom in program.outs:
        _operand(program, after, None, atom, made, "an output of the program")


def _fail(program: Program, after: str, eqn: Eqn | None, got: str, want: str) -> IllegalProgram:
    where = f" after {after}" if after else ""
    which = "" if eqn is None else f", in {eqn.op.name}"
    shown = str(program) if len(program.eqns) < 200 else f"{len(program.eqns)} equations"
    return IllegalProgram(
        f"illegal program{where}{which}", got=got, want=want, fix=f"see the program:\n{shown}",
        at=describe(eqn.source) if eqn is not None else None,
    )  # fmt: skip


def _variable(program: Program, after: str, eqn: Eqn | None, var: Any, made: set[Any], what: str) -> None:
    if not isinstance(var, Var):
        raise _fail(program, after, eqn, f"{what} that is {var!r}", "a Var")
    if var in made:
        raise _fail(program, after, eqn, f"{what} that exists already ({var.aval})", "each variable made once")
    if type(var.shape) is not tuple or not all(type(d) is int and d >= 0 for d in var.shape):
        raise _fail(program, after, eqn, f"{what} of shape {var.shape!r}", "a tuple of int")
    if not isinstance(var.dtype, np.dtype):
        raise _fail(program, after, eqn, f"{what} of dtype {var.dtype!r}", "a numpy.dtype")
    made.add(var)


def _operand(program: Program, after: str, eqn: Eqn | None, atom: Any, made: set[Any], what: str) -> None:
    if type(atom) is Literal:
        value = atom.value
        if isinstance(value, (Tensor, Abstract)) or not isinstance(
            value, (np.ndarray, np.generic, bool, int, float, complex)
        ):
            raise _fail(program, after, eqn, f"a literal of type {type(value).__name__}", "an ndarray or a number")
    elif not isinstance(atom, Var):
        raise _fail(program, after, eqn, f"{what} that is {atom!r}", "a Var or a Literal")
    elif atom not in made:
        raise _fail(program, after, eqn, f"{what} ({atom.aval}) that nothing has made before", "definition before use")


def _equation(program: Program, after: str, eqn: Eqn, made: set[Any], infer: Infer) -> None:
    for i, atom in enumerate(eqn.ins):
        _operand(program, after, eqn, atom, made, f"operand {i}")
    for name, value in eqn.params.items():
        if _holds_tensor(value):
            raise _fail(program, after, eqn, f"a Tensor in the parameter {name!r}", "static parameters")
    outs = eqn.outs if eqn.op.multi else (eqn.outs,)
    if not isinstance(outs, tuple):
        raise _fail(program, after, eqn, f"outputs {outs!r}", "a tuple of Vars")
    avals = [atom.aval for atom in eqn.ins if atom is not None]
    found = None if eqn.op.transparent else infer(eqn.op, avals, eqn.params)  # these have no shape rule
    if found is not None:
        found = tuple(found) if eqn.op.multi else (found,)
        if len(found) != len(outs):
            raise _fail(program, after, eqn, f"{len(outs)} outputs", f"{len(found)}")
        for i, (var, aval) in enumerate(zip(outs, found, strict=True)):
            if isinstance(var, Var) and (var.shape != tuple(aval.shape) or var.dtype != aval.dtype):
                raise _fail(program, after, eqn, f"output {i} of {var.aval}", f"{aval}, as the op's shape rule has it")
    for var in outs:
        _variable(program, after, eqn, var, made, "an output")


def _declared(op: Any, avals: list[Aval], params: dict[str, Any]) -> Any:
    """The shape rule's answer; None where it does not speak for these operands."""
    if any(kind(a.dtype) not in op.accepts for a in avals if not a.weak):
        return None
    return op.shape(*avals, **params)


def _holds_tensor(value: Any) -> bool:
    if isinstance(value, (Tensor, Abstract)):
        return True
    if isinstance(value, (tuple, list)):
        return any(map(_holds_tensor, value))
    if isinstance(value, dict):
        return any(map(_holds_tensor, value.values()))
    return False
