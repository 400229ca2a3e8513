"""What is never computed a second time: arithmetic that is done again may round otherwise, as compiled code fuses products
and sums where it can. A comparison, a floor or a place of a maximum may then come out as another one altogether.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from wengert.graph.atoms import Literal, Var


def results_of(row: Any) -> Sequence[Var]:
    """The variables that an equation makes."""
    return [v for v in row[2] if v is not None] if row[0].multi else (row[2],)


def programs_of(row: Any) -> list[Any]:
    """The Programs among an equation's parameters."""
    given = [v for value in row[3].values() for v in (value if type(value) is tuple else (value,))]
    return [v for v in given if hasattr(v, "eqns")]


def decides(row: Any) -> bool:
    """Whether a rounding of its operands may make another result of it altogether: a comparison, a floor, a place; or a loop
    or branch in which something does."""
    if inner := programs_of(row):
        return any(decides(each) for program in inner for each in program.eqns)
    op, ins = row[:2]
    if not op.constant or (op.name == "truncate" and row[2].dtype.kind in "fc"):
        return False
    return any(a.aval.dtype.kind in "fc" for a in ins)


def compared(row: Any) -> list[Var]:
    """Its operands that are compared for equality, so that their last bits matter."""
    found = [row[1][i] for i in row[0].exact]
    return [a for a in found if type(a) is not Literal and a.dtype.kind in "fc"]
