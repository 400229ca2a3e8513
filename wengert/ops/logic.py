"""Comparisons, logic, bits and tests of elements: results without derivative, as ops so that they batch.

A comparison does not move while its operands move a little, except where they are equal; there it has no derivative.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.core.aval import BOOL, FLOAT, INT, Aval
from wengert.core.form import HostCall, Map
from wengert.core.op import Op, Sample
from wengert.core.tensor import Array
from wengert.ops import scalars
from wengert.ops.family import SHAPES_2, piecewise_constant

_BOOLEAN = "a boolean, which does not move until an operand crosses the other"
_PROPERTY = "a boolean, which holds in a neighbourhood of almost every point"
_INTEGER = "integers are isolated points"


def _comparison(which: str) -> Any:
    """The form of a comparison. NumPy compares integers exactly: uint64 with signed ones, and with Python integers that
    the dtype of the array does not have."""

    def widely(b: Any, x: Any, y: Any) -> Any:
        wide = np.dtype(np.int64)
        return b.compare(which, b.cast(x, wide), b.cast(y, wide))

    def form(ins: Sequence[Aval], params: dict[str, Any]) -> Any:
        dtypes = {a.dtype for a in ins if not a.weak}
        if np.dtype(np.uint64) in dtypes and any(d.kind == "i" for d in dtypes):
            return HostCall("uint64 is compared with signed integers")
        if any(a.weak and a.dtype.kind == "i" for a in ins) and any(d.kind in "iu" for d in dtypes):
            if np.dtype(np.uint64) in dtypes:
                return HostCall("uint64 is compared with a Python integer")
            return Map(widely, "none")
        return scalars.compared(which)

    return form


# ── comparisons ───────────────────────────────────────────────────────────────

equal = piecewise_constant(
    "equal",
    np.equal,
    _BOOLEAN,
    arity=2,
    exact=(0, 1),
    lower=_comparison("eq"),
)
not_equal = piecewise_constant(
    "not_equal",
    np.not_equal,
    _BOOLEAN,
    arity=2,
    exact=(0, 1),
    lower=_comparison("ne"),
)
less = piecewise_constant(
    "less",
    np.less,
    _BOOLEAN,
    arity=2,
    lower=_comparison("lt"),
)
less_equal = piecewise_constant(
    "less_equal",
    np.less_equal,
    _BOOLEAN,
    arity=2,
    lower=_comparison("le"),
)
greater = piecewise_constant(
    "greater",
    np.greater,
    _BOOLEAN,
    arity=2,
    lower=_comparison("gt"),
)
greater_equal = piecewise_constant(
    "greater_equal",
    np.greater_equal,
    _BOOLEAN,
    arity=2,
    lower=_comparison("ge"),
)

# ── isclose ───────────────────────────────────────────────────────────────────


def _isclose_eval(a: Array, b: Array, rtol: Array, atol: Array, *, equal_nan: bool) -> Array:
    return np.isclose(a, b, rtol=rtol, atol=atol, equal_nan=equal_nan)  # pyright: ignore[reportArgumentType]


def _isclose_scalar(b: Any, x: Any, y: Any, rtol: Any, atol: Any, *, equal_nan: bool) -> Any:
    product = b.fma(rtol, b.abs(y), b.like(-0.0, y))  # rounded, and not fused into the sum: bounds are met exactly
    bound = b.add(atol, product)
    near = b.and_(b.compare("le", b.abs(b.sub(x, y)), bound), scalars.isfinite(b, y))
    near = b.or_(near, b.compare("eq", x, y))
    return b.or_(near, b.and_(b.isnan(x), b.isnan(y))) if equal_nan else near


def _isclose_form(ins: Sequence[Aval], params: dict[str, Any]) -> Any:
    dtypes = {a.dtype for a in ins if not a.weak}
    if len(dtypes) != 1 or not all(d.kind == "f" for d in dtypes):
        return HostCall("operands of different dtypes")
    return Map(_isclose_scalar, "joint", 6)


isclose = piecewise_constant(
    "isclose",
    _isclose_eval,
    _BOOLEAN,
    samples=[Sample(*s, 0.1, 0.2, diff=(0, 1), equal_nan=e) for s in SHAPES_2 for e in (False, True)]
    + [Sample((3,), (3,), np.array([0.1, 0.2, 0.3]), np.array(0.4), equal_nan=False)],
    lower=_isclose_form,
)

# ── logic ─────────────────────────────────────────────────────────────────────

logical_and = piecewise_constant(
    "logical_and",
    np.logical_and,
    _PROPERTY,
    arity=2,
    lower=scalars.lifted("and_"),
)
logical_or = piecewise_constant(
    "logical_or",
    np.logical_or,
    _PROPERTY,
    arity=2,
    lower=scalars.lifted("or_"),
)
logical_xor = piecewise_constant(
    "logical_xor",
    np.logical_xor,
    _PROPERTY,
    arity=2,
    lower=scalars.lifted("xor"),
)
logical_not = piecewise_constant(
    "logical_not",
    np.logical_not,
    _PROPERTY,
    lower=scalars.lifted("not_"),
)


def _signbit_scalar(b: Any, x: Any) -> Any:
    scalars.floating(x)
    bits = b.bits(x)
    return b.compare("lt", bits, b.like(0, bits))


# ── tests of elements ─────────────────────────────────────────────────────────

isnan = piecewise_constant(
    "isnan",
    np.isnan,
    _PROPERTY,
    lower=scalars.tested(scalars.isnan),
)
isinf = piecewise_constant(
    "isinf",
    np.isinf,
    _PROPERTY,
    lower=scalars.tested(scalars.isinf),
)
isfinite = piecewise_constant(
    "isfinite",
    np.isfinite,
    _PROPERTY,
    lower=scalars.tested(scalars.isfinite),
)
isposinf = piecewise_constant(
    "isposinf",
    lambda x: np.isposinf(x)[()],
    _PROPERTY,
    accepts=BOOL | INT | FLOAT,
    lower=scalars.tested(scalars.is_infinity(1)),
)
isneginf = piecewise_constant(
    "isneginf",
    lambda x: np.isneginf(x)[()],
    _PROPERTY,
    accepts=BOOL | INT | FLOAT,
    lower=scalars.tested(scalars.is_infinity(-1)),
)
signbit = piecewise_constant(
    "signbit",
    np.signbit,
    _PROPERTY,
    accepts=FLOAT,
    lower=scalars.tested(_signbit_scalar),
)
isreal = piecewise_constant(
    "isreal",
    lambda x: np.isreal(x)[()],
    _PROPERTY,
    lower=scalars.tested(lambda b, x: b.const(True, bool)),
)
iscomplex = piecewise_constant(
    "iscomplex",
    lambda x: np.asarray(np.iscomplex(x))[()],
    _PROPERTY,
    lower=scalars.tested(lambda b, x: b.const(False, bool)),
)

# ── bits and divisors ─────────────────────────────────────────────────────────

_BITS = np.array([[1, 6, 0], [7, 3, 12]])
_SHIFTS = np.array([2, 0, 1])
_FLAGS = np.array([True, False, True])


def _in_range(b: Any, y: Any) -> tuple[Any, Any]:
    """Whether a shift is less than the number of bits, and a shift that is."""
    fits = b.and_(b.compare("ge", y, b.like(0, y)), b.compare("lt", y, b.like(8 * y.dtype.itemsize, y)))
    return fits, b.select(fits, y, b.like(0, y))


def _left_scalar(b: Any, x: Any, y: Any) -> Any:
    fits, safe = _in_range(b, y)
    return b.select(fits, b.shl(x, safe), b.like(0, x))


def _right_scalar(b: Any, x: Any, y: Any) -> Any:
    fits, safe = _in_range(b, y)
    gone = (
        b.like(0, x) if x.dtype.kind == "u" else b.select(b.compare("lt", x, b.like(0, x)), b.like(-1, x), b.like(0, x))
    )
    return b.select(fits, b.shr(x, safe), gone)


def _count_scalar(b: Any, x: Any) -> Any:
    return b.intrinsic("ctpop", b.abs(x))


def _integral(name: str, fn: Any, *rows: Any, accepts: Any = BOOL | INT, **rest: Any) -> Op:
    """An op on integers (and booleans); each of `rows` is the operands of a sample."""
    return piecewise_constant(
        name, fn, _INTEGER, accepts=accepts, samples=[Sample(*r, real_only=True) for r in rows], **rest
    )


_PAIRS = ((_BITS, _BITS[::-1].copy()), (_BITS, _SHIFTS), (_BITS, 3))

bitwise_and = _integral(
    "bitwise_and",
    np.bitwise_and,
    *_PAIRS,
    (_FLAGS, _FLAGS[::-1].copy()),
    lower=scalars.lifted("and_"),
)
bitwise_or = _integral(
    "bitwise_or",
    np.bitwise_or,
    *_PAIRS,
    (_FLAGS, True),
    lower=scalars.lifted("or_"),
)
bitwise_xor = _integral(
    "bitwise_xor",
    np.bitwise_xor,
    *_PAIRS,
    (_FLAGS, _FLAGS[::-1].copy()),
    lower=scalars.lifted("xor"),
)
invert = _integral(
    "invert",
    np.invert,
    (_BITS,),
    (_FLAGS,),
    lower=scalars.lifted("not_"),
)
left_shift = _integral(
    "left_shift",
    np.left_shift,
    *_PAIRS,
    accepts=INT,
    lower=Map(_left_scalar, cost=4),
)
right_shift = _integral(
    "right_shift",
    np.right_shift,
    *_PAIRS,
    accepts=INT,
    lower=Map(_right_scalar, cost=4),
)
bitwise_count = _integral(
    "bitwise_count",
    np.bitwise_count,
    (_BITS,),
    accepts=INT,
    lower=scalars.tested(_count_scalar, 8),
)
gcd = _integral("gcd", np.gcd, *_PAIRS, accepts=INT)
lcm = _integral("lcm", np.lcm, *_PAIRS, accepts=INT)
