"""What must have been made before what: the values in memory that a value reads, and those that a barrier names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from wengert.graph.program import Var
from wengert.lowering.values import (
    Accumulation,
    Alias,
    Assembly,
    Gather,
    Opaque,
    Point,
    Reduction,
    Scatter,
    Values,
    View,
)


def needs(values: Values, var: Var) -> set[Var]:
    """The values in memory that making `var` reads, or waits for."""
    return _made(values, operands(values, var))


def awaited(values: Values, passed: Iterable[Var]) -> frozenset[Var]:
    """The values in memory that must exist before a statement runs that has passed these barriers."""
    return frozenset(_made(values, [a for var in passed for a in values.after[var]]))


def _made(values: Values, atoms: Iterable[Var]) -> set[Var]:
    found: set[Var] = set()
    seen: set[Var] = set()
    stack = list(atoms)
    while stack:
        at = stack.pop()
        if at in seen:
            continue
        seen.add(at)
        base = values.base(at)
        if base in values.stored:
            found.add(base)
            stack += [a for barrier in values.barriers(at) for a in values.after[barrier]]
        else:
            stack += operands(values, at)
    return found


def operands(values: Values, var: Var) -> list[Var]:
    """What the definition of `var` names."""
    d = values.definitions[var]
    atoms: list[Any] = list(values.after.get(var, ()))
    match d:
        case Point() | Assembly():
            atoms += d.operands
        case View() | Alias() | Reduction():
            atoms.append(d.operand)
        case Accumulation():
            atoms.append(d.start)
            for region, operand in d.regions:
                atoms += [operand, *(region.places.arrays if isinstance(region, Scatter) else ())]
        case Gather() | Scatter():
            atoms += [d.operand, *d.places.arrays]
        case Opaque():
            atoms += [d.strided[i][0] if i in d.strided else a for i, a in enumerate(d.operands)]
    return [a for a in atoms if isinstance(a, Var)]
