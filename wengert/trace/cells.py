"""Elements of a cell, read and written in its own buffer.

The count of references tells whether anybody else holds the buffer (docs/adr/006).
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from wengert.core.events import recorded, tell
from wengert.core.op import Op
from wengert.core.source import here
from wengert.core.tensor import CONSTANTS, Array, Tensor, Trace, View
from wengert.graph.program import Var
from wengert.trace.tape import NOWHERE, Tape


def _references(cell: Tensor) -> int:
    return sys.getrefcount(cell._value)


_ALONE = _references(Tensor(np.zeros(1), None, CONSTANTS))


def write_in_place(cell: Tensor, spec: Any, value: Array, put: Op) -> bool:
    """`cell[spec] = value` in the cell's own buffer, if nothing else holds it; False if something does.

    The count of references tells: a residual, a view, or another name of the value would hold the array.
    This makes a loop that fills an array linear in its length. `put` is the assignment to record.
    """
    trace: Trace = cell._trace
    node, traced = None, False
    if type(value) is Tensor:
        if value._view is not None:
            value._sync()
        if value._trace is not CONSTANTS:
            if trace is not CONSTANTS and trace is not value._trace:
                return False
            trace, node, traced = value._trace, value._node, True
        value = value._value
    if cell._view is not None or trace.mode is not None or type(value) is Tensor:
        return False
    if not alone(_references(cell), cell._value):
        return False
    if type(trace) is Tape:
        cell._value[spec] = value
        var = Var(cell._value.shape, cell._value.dtype)
        code, lasti = here(3) or NOWHERE
        trace.append((put, (cell._node, node), var, {"spec": spec}, (None, None), None, code, lasti))
        if recorded:
            tell(recorded, trace, trace.program.eqns[-1], cell._value)
        cell._node, cell._trace = var, trace
        return True
    if trace is CONSTANTS:
        cell._value[spec] = value
        return True
    return cell._trace is trace and trace.write(cell, spec, value, node, traced)


def alone(references: int, array: Any) -> bool:
    """Whether `array`, which so many references hold, is an ndarray with memory of its own, held by one cell alone."""
    return type(array) is np.ndarray and references == _ALONE and array.base is None and array.flags.writeable


def element(cell: Tensor, spec: Any, index: Op) -> Tensor | None:
    """`cell[spec]`, for a `spec` without arrays, of an array on a lone tape, in one frame; None if it is anything else.

    It takes 1.3 µs, and 1.6 where it makes a view; `index` as an op, and `view`, 2.2 and 3.5.
    """
    tape, value = cell._trace, cell._value
    if type(tape) is not Tape or tape.mode is not None or cell._view is not None or type(value) is not np.ndarray:
        return None
    out = value[spec]
    params = {"spec": spec}
    var = Var(out.shape, out.dtype)
    tape.append((index, (cell._node,), var, params, (None,), None, *(here(3) or NOWHERE)))
    if recorded:
        tell(recorded, tape, tape.program.eqns[-1], out)
    tensor = Tensor(out, var, tape)
    if type(out) is np.ndarray:
        tensor._view = View(cell, index, params)
    return tensor
