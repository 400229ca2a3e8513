"""Common subexpressions: equations that compute what another one has computed go."""

from __future__ import annotations

from typing import Any

import numpy as np

from wengert.graph.program import Literal, Program
from wengert.ops.basis import add, strong_mul
from wengert.ops.elementwise import hypot, mul
from wengert.ops.logic import (
    bitwise_and,
    bitwise_or,
    bitwise_xor,
    equal,
    gcd,
    lcm,
    logical_and,
    logical_or,
    logical_xor,
    not_equal,
)
from wengert.passes.rewriter import Notes

COMMUTATIVE = frozenset({
    add, mul, strong_mul, hypot, equal, not_equal, logical_and, logical_or, logical_xor,
    bitwise_and, bitwise_or, bitwise_xor, gcd, lcm,
})  # fmt: skip
LARGE = 1 << 16  # bytes from which literals are compared by identity


def cse(program: Program, notes: Notes | None = None) -> Program:
    """`program` in which every value is computed once. Two literals are equal if all their bytes are."""
    env: dict[Any, Any] = {}
    seen: dict[Any, Any] = {}
    literals: dict[Literal, Any] = {}  # key of each literal met
    rows = []
    for row in program.eqns:
        op, ins, outs, params, _, _, code, lasti = row
        if env:
            new = [env.get(a, a) for a in ins]
            if new != list(ins):
                row = (op, new, outs, params, (), None, code, lasti)
                ins = new
        keys = []
        for a in ins:
            if type(a) is Literal:
                if (key := literals.get(a)) is None:
                    key = literals[a] = literal_key(a.value)
                keys.append(key)
            else:
                keys.append(id(a))
        if len(keys) == 2 and op in COMMUTATIVE and hash(keys[0]) > hash(keys[1]):
            keys.reverse()
        key = (op, frozen(params) if params else None, *keys)
        known = seen.setdefault(key, outs)
        if known is outs:
            rows.append(row)
        elif op.multi:
            env.update(zip(outs, known, strict=True))
        else:
            env[outs] = known
    if not env:
        return program
    if notes is not None:
        notes["equations shared"] += len(program.eqns) - len(rows)
    return Program(program.ins, rows, [env.get(o, o) for o in program.outs])


def literal_key(value: Any) -> Any:
    """A hashable key which two values share only if they are the same, to the bit, in type and shape."""
    if isinstance(value, (np.ndarray, np.generic)):
        if value.nbytes >= LARGE or value.dtype.hasobject:
            return ("at", id(value))
        return (value.dtype.str, value.shape, value.tobytes())
    return frozen(value)


def frozen(value: Any) -> Any:
    """As `literal_key`, for what parameters are made of. (1, 1.0 and True are equal to Python, and 0.0 and -0.0.)"""
    kind = type(value)
    if kind is int or kind is str or value is None:
        return value
    if kind is float:
        return (float, value.hex())
    if kind is tuple or kind is list:
        return (kind, *map(frozen, value))
    if kind is dict:
        return tuple((k, frozen(v)) for k, v in value.items())
    if kind is slice:
        return (slice, value.start, value.stop, value.step)
    if kind is complex:
        return (complex, value.real.hex(), value.imag.hex())
    if isinstance(value, (np.ndarray, np.generic)):
        return literal_key(value)
    try:
        hash(value)
    except TypeError:
        return ("at", id(value))
    return (kind, value)
