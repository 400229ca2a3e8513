"""Comparisons, logic, bits and tests of elements: results without derivative, as ops so that they batch.

A comparison does not move while its operands move a little, except where they are equal; there it has no derivative.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from wengert.core.aval import BOOL, FLOAT, INT
from wengert.core.op import Op, Sample
from wengert.core.tensor import Array
from wengert.ops.family import SHAPES_2, piecewise_constant

_BOOLEAN = "a boolean, which does not move until an operand crosses the other"
_PROPERTY = "a boolean, which holds in a neighbourhood of almost every point"
_INTEGER = "integers are isolated points"

# ── comparisons ───────────────────────────────────────────────────────────────

equal = piecewise_constant("equal", np.equal, _BOOLEAN, arity=2)
not_equal = piecewise_constant("not_equal", np.not_equal, _BOOLEAN, arity=2)
less = piecewise_constant("less", np.less, _BOOLEAN, arity=2)
less_equal = piecewise_constant("less_equal", np.less_equal, _BOOLEAN, arity=2)
greater = piecewise_constant("greater", np.greater, _BOOLEAN, arity=2)
greater_equal = piecewise_constant("greater_equal", np.greater_equal, _BOOLEAN, arity=2)

# ── isclose ───────────────────────────────────────────────────────────────────


def _isclose_eval(a: Array, b: Array, rtol: Array, atol: Array, *, equal_nan: bool) -> Array:
    return np.isclose(a, b, rtol=rtol, atol=atol, equal_nan=equal_nan)  # pyright: ignore[reportArgumentType]


isclose = piecewise_constant(
    "isclose",
    _isclose_eval,
    _BOOLEAN,
    samples=[Sample(*s, 0.1, 0.2, diff=(0, 1), equal_nan=e) for s in SHAPES_2 for e in (False, True)]
    + [Sample((3,), (3,), np.array([0.1, 0.2, 0.3]), np.array(0.4), equal_nan=False)],
)

# ── logic ─────────────────────────────────────────────────────────────────────

logical_and = piecewise_constant("logical_and", np.logical_and, _PROPERTY, arity=2)
logical_or = piecewise_constant("logical_or", np.logical_or, _PROPERTY, arity=2)
logical_xor = piecewise_constant("logical_xor", np.logical_xor, _PROPERTY, arity=2)
logical_not = piecewise_constant("logical_not", np.logical_not, _PROPERTY)

# ── tests of elements ─────────────────────────────────────────────────────────

isnan = piecewise_constant("isnan", np.isnan, _PROPERTY)
isinf = piecewise_constant("isinf", np.isinf, _PROPERTY)
isfinite = piecewise_constant("isfinite", np.isfinite, _PROPERTY)
isposinf = piecewise_constant("isposinf", lambda x: np.isposinf(x)[()], _PROPERTY, accepts=BOOL | INT | FLOAT)
isneginf = piecewise_constant("isneginf", lambda x: np.isneginf(x)[()], _PROPERTY, accepts=BOOL | INT | FLOAT)
signbit = piecewise_constant("signbit", np.signbit, _PROPERTY, accepts=FLOAT)
isreal = piecewise_constant("isreal", lambda x: np.isreal(x)[()], _PROPERTY)
iscomplex = piecewise_constant("iscomplex", lambda x: np.asarray(np.iscomplex(x))[()], _PROPERTY)

# ── bits and divisors ─────────────────────────────────────────────────────────

_BITS = np.array([[1, 6, 0], [7, 3, 12]])
_SHIFTS = np.array([2, 0, 1])
_FLAGS = np.array([True, False, True])


def _integral(name: str, fn: Any, *rows: Any, accepts: Any = BOOL | INT) -> Op:
    """An op on integers (and booleans); each of `rows` is the operands of a sample."""
    return piecewise_constant(name, fn, _INTEGER, accepts=accepts, samples=[Sample(*r, real_only=True) for r in rows])


_PAIRS = ((_BITS, _BITS[::-1].copy()), (_BITS, _SHIFTS), (_BITS, 3))

bitwise_and = _integral("bitwise_and", np.bitwise_and, *_PAIRS, (_FLAGS, _FLAGS[::-1].copy()))
bitwise_or = _integral("bitwise_or", np.bitwise_or, *_PAIRS, (_FLAGS, True))
bitwise_xor = _integral("bitwise_xor", np.bitwise_xor, *_PAIRS, (_FLAGS, _FLAGS[::-1].copy()))
invert = _integral("invert", np.invert, (_BITS,), (_FLAGS,))
left_shift = _integral("left_shift", np.left_shift, *_PAIRS, accepts=INT)
right_shift = _integral("right_shift", np.right_shift, *_PAIRS, accepts=INT)
bitwise_count = _integral("bitwise_count", np.bitwise_count, (_BITS,), accepts=INT)
gcd = _integral("gcd", np.gcd, *_PAIRS, accepts=INT)
lcm = _integral("lcm", np.lcm, *_PAIRS, accepts=INT)
