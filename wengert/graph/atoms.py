"""What equations are made of: variables, literals, and the equation itself."""

from __future__ import annotations

from collections.abc import Sequence
from types import CodeType
from typing import Any, NamedTuple

import numpy as np

from wengert.core.aval import Aval, aval_of
from wengert.core.op import Op
from wengert.core.source import Source
from wengert.core.tensor import Array


class Var:
    """One SSA value: what a Tensor's cell held at one time."""

    __slots__ = ("dtype", "shape")

    weak = False  # whether it stands for a Python scalar, which adapts to its partners' dtype

    def __init__(self, shape: tuple[int, ...], dtype: np.dtype) -> None:
        self.shape = shape
        self.dtype = dtype

    @property
    def aval(self) -> Aval:
        return Aval(self.shape, self.dtype, self.weak)


class WeakVar(Var):
    """The value of a Python scalar in a staged program."""

    __slots__ = ()

    weak = True


Vars = Sequence[Any]  # per operand a Var, or None for a constant, whose cotangent nobody wants


class Away:
    """What a row holds in the place of a residual that is put away: packed by a hook, or to be computed again."""

    __slots__ = ()

    @property
    def present(self) -> Any:
        """The value, where it is in memory for this row's sake; else None."""
        return None


class Literal:
    """A constant operand, kept so that the program can be run again."""

    __slots__ = ("value",)

    def __init__(self, value: Array) -> None:
        self.value = value

    @property
    def aval(self) -> Aval:
        return aval_of(self.value)


class Eqn(NamedTuple):
    """`outs = op(*ins, **params)`, with the residuals its pullback needs.

    The tape's hot path appends plain tuples in this order, at a third of the cost:
    unpack equations, or read a program through `Program.equations`.
    """

    op: Op
    ins: Sequence[Var | Literal | None]  #: None: a constant operand that was not kept
    outs: Any  #: Var; with `op.multi` a tuple of Var, or None for an integer or boolean output
    params: dict[str, Any]
    xs: Sequence[Array]  #: saved operands, None where not declared in `op.saves`
    out: Array  #: the saved output, a tuple with `op.multi`, or None
    code: CodeType | None  #: the user's line: code object and
    lasti: int  #: instruction offset

    @property
    def source(self) -> Source | None:
        return None if self.code is None else (self.code, self.lasti)

    @property
    def results(self) -> tuple[Var, ...]:
        """The output variables, one or many, without those that were not kept."""
        return tuple(v for v in (self.outs if self.op.multi else (self.outs,)) if v is not None)
