"""A Program run op by op with NumPy: where there is no compiler, or it cannot compile this one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.core.config import config
from wengert.graph.program import Literal, Program, Var
from wengert.trace.anomaly import check_result


class Interpreted:
    """A callable of flat ndarrays: the Program's ops by their `eval`, each value let go after its last use.

    Results are arrays of their own: they share memory with no argument, no constant and no other result.
    """

    def __init__(self, program: Program, name: str = "program") -> None:
        self.program, self.name = program, name
        atoms = [atom for eqn in program.eqns for atom in eqn[1]] + program.outs
        self.literals = [atom.value for atom in atoms if type(atom) is Literal]
        last: dict[Any, int] = {}
        rows = [(op, ins, outs, params) for op, ins, outs, params, *_ in program.eqns]
        for i, (_, ins, _, _) in enumerate(rows):
            for atom in ins:
                if type(atom) is not Literal:
                    last[atom] = i
        kept = {atom for atom in program.outs if type(atom) is not Literal}
        self.rows = []
        for i, (op, ins, outs, params) in enumerate(rows):
            dead = tuple({a for a in ins if type(a) is not Literal and last[a] == i and a not in kept})
            self.rows.append((op, ins, outs, params, dead, program.eqns[i][6:8]))

    def __call__(self, *args: Any) -> list[Any]:
        env: dict[Any, Any] = {}
        for var, arg in zip(self.program.ins, args, strict=True):
            env[var] = _seen(arg, var)
        with np.errstate(all="ignore"):
            for op, ins, outs, params, dead, source in self.rows:
                operands = [a.value if type(a) is Literal else env[a] for a in ins]
                out = op.eval(*operands, **params)
                if config.watches_values:
                    check_result(op, operands, out, source, params)
                del operands
                if op.multi:
                    env.update(zip(outs, out, strict=True))
                else:
                    env[outs] = out
                for var in dead:
                    del env[var]
        results = [a.value if type(a) is Literal else env[a] for a in self.program.outs]
        return _owned(results, [*args, *self.literals])


def _seen(arg: Any, var: Var) -> Any:
    return var.dtype.type(arg) if not var.shape else arg


def _owned(results: Sequence[Any], borrowed: Sequence[Any]) -> list[np.ndarray]:
    """Results as arrays that share memory with nothing else, and can be written."""
    seen = {id(_root(a)) for a in borrowed if isinstance(a, np.ndarray)}
    owned = []
    for value in results:
        array = np.asarray(value)
        if not _free(array, seen):
            array = np.array(array, order="C")
        seen.add(id(array))
        owned.append(array)
    return owned


def _free(array: np.ndarray, seen: set[int]) -> bool:
    return array.flags.c_contiguous and array.flags.writeable and array.base is None and id(array) not in seen


def _root(array: np.ndarray) -> np.ndarray:
    while isinstance(array.base, np.ndarray):
        array = array.base
    return array
