"""The named programs as rows of the matrix: each is to the checks what an op is, run as staged Programs of control flow."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

import wengert.api as wg
from wengert.core.aval import COMPLEX, FLOAT, Aval, aval_of
from wengert.core.errors import ShapeError, WengertError
from wengert.core.op import Sample
from wengert.core.tensor import Array, Tensor
from wengert.graph.program import Program
from wengert.trace.stage import stage
from wengert.verify.control.constructs import CONSTRUCTS, Construct

PREFIX = "loops: "


class Row:
    """A program, with the attributes of an op that the checks read. Its derivatives and batches are those of what it is made of.

    It is staged for the shapes and dtypes that it is called with, so that its loops are ops in every mode, eager ones too.
    """

    multi = True
    constant = False
    source = ""
    rejects = ()
    lower = None

    def __init__(self, construct: Construct) -> None:
        self.name = PREFIX + construct.name
        self.construct = construct
        self.accepts = FLOAT | COMPLEX if construct.complex else FLOAT
        self.samples = (Sample(*construct.shapes, domain=(-1.0, 1.5)),)
        self.note = "a program of loops and branches"
        self.eval = self.jvp = self.vjp = self.batch = self.__call__
        self._staged: dict[Any, Program] = {}

    def program(self, avals: tuple[Aval, ...]) -> Program:
        """The program for arguments of these shapes and dtypes."""
        found = self._staged.get(avals)
        if found is None:
            f = wg.adopt(self.construct.f)
            found, _ = stage(lambda *args: list(f(wg, np, *args)), avals)
            self._staged[avals] = found
        return found

    def shape(self, *avals: Aval) -> tuple[Aval, ...]:
        try:
            return tuple(Aval(o.aval.shape, o.aval.dtype) for o in self.program(avals).outs)
        except WengertError:
            raise
        except Exception as error:  # NumPy's words for arrays that do not fit
            raise ShapeError(
                self.name, got=str([a.shape for a in avals]), want=str(self.construct.shapes), fix=str(error)
            ) from None

    def __call__(self, *args: Array) -> list[Array]:
        avals = tuple(Aval(tuple(a.shape), a.dtype) if type(a) is Tensor else aval_of(a) for a in args)
        return self.program(tuple(Aval(a.shape, a.dtype) for a in avals)).run(*args)

    def __repr__(self) -> str:
        return f"<{self.name}>"


@cache
def rows() -> dict[str, Row]:
    """All of them, by name."""
    made = [Row(c) for c in CONSTRUCTS.values()]
    return {row.name: row for row in made}
