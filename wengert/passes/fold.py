"""Constant folding: what depends on literals alone is computed now, if its result is no larger than they are.

A literal all of whose elements are equal is a scalar that is broadcast, which costs nothing; so broadcasts of scalars stay.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from wengert.core.aval import aval_of
from wengert.core.quiet import quietly
from wengert.graph.program import Literal, Program, Var
from wengert.ops.basis import broadcast_to
from wengert.passes.control.sites import kind_of
from wengert.passes.rewriter import Notes, elementwise

SMALL = 1 << 12  # bytes that a folded result may have in any case


def fold(program: Program, notes: Notes | None = None) -> Program:
    """`program` with equations of literals evaluated. An op that raises there is left to raise when it is run."""
    env: dict[Any, Any] = {}
    rows: list[Any] = []
    spread: dict[Literal, Any] = {}  # literals met, and the scalar in each that is uniform
    count = 0
    for row in program.eqns:
        op, ins, outs, params, _, _, code, lasti = row
        if env:
            new = [env.get(a, a) for a in ins]
            if new != list(ins):
                row = (op, new, outs, params, (), None, code, lasti)
                ins = new
        if all([type(a) is Literal for a in ins]):  # noqa: C419 - a list is half the cost
            values = _evaluated(row)
            if values is not None:
                env.update(zip(outs if op.multi else (outs,), values, strict=True))
                count += 1
                continue
        elif any([type(a) is Literal and getattr(a.value, "ndim", 0) for a in ins]) and elementwise(op):  # noqa: C419
            row = _spread(row, rows, spread)
        rows.append(row)
    thin = [s for s in spread.values() if s is not None]
    if not env and not thin:
        return program
    if notes is not None:
        notes["equations of constants computed"] += count
        notes["constant arrays of one value"] += len(thin)
    return Program(program.ins, rows, [env.get(o, o) for o in program.outs])


def _evaluated(row: Any) -> list[Literal] | None:
    op, ins, outs, params = row[:4]
    variables = outs if op.multi else (outs,)
    if op is broadcast_to or any(v is None for v in variables) or kind_of(op) is not None:
        return None
    operands = sum(getattr(a.value, "nbytes", 8) for a in ins)
    if sum(v.aval.size * v.dtype.itemsize for v in variables) > max(SMALL, operands):
        return None
    try:
        results = quietly(op.eval, *[a.value for a in ins], **params)
    except Exception:
        return None
    results = [_own(r) for r in (results if op.multi else (results,))]
    if any(aval_of(r) != v.aval for r, v in zip(results, variables, strict=True)):
        return None
    return [Literal(r) for r in results]


def _own(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return np.ascontiguousarray(value) if value.ndim else value[()]
    return value


def _spread(row: Any, rows: list[Any], spread: dict[Literal, Any]) -> Any:
    """`row` with uniform arrays among its operands replaced by broadcast scalars, whose equations go to `rows`."""
    op, ins, outs, params, _, _, code, lasti = row
    new = []
    for a in ins:
        if type(a) is Literal and getattr(a.value, "ndim", 0):
            if a not in spread:
                spread[a] = None
                if (scalar := _uniform(a.value)) is not None:
                    spread[a] = Var(a.value.shape, a.value.dtype)
                    params_of = {"shape": a.value.shape}
                    rows.append((broadcast_to, (Literal(scalar),), spread[a], params_of, (), None, code, lasti))
            a = spread[a] or a
        new.append(a)
    return (op, new, outs, params, (), None, code, lasti)


def _uniform(value: np.ndarray) -> Any:
    """The one element that all elements are, to the bit."""
    if not value.size or value.dtype.kind not in "biuf":
        return None
    first = value[(0,) * value.ndim]
    if value.flat[-1] != first or not (value == first).all():
        return None
    if first == 0 and value.dtype.kind == "f" and (np.signbit(value) != np.signbit(first)).any():
        return None
    return first
