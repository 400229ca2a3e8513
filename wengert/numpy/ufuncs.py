"""NumPy's ufuncs over ops: all of them, under all of their names.

The four that contract axes (matmul, vecdot, matvec, vecmat) are served with linear algebra.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from wengert.core.tensor import Array
from wengert.numpy.arrays import astype, lift, result_type
from wengert.numpy.registry import NAMES, UFUNCS, enter, refuse
from wengert.numpy.ufunc import Ufunc, ufunc
from wengert.ops import basis, elementwise, logic, rounding, select

# ── arithmetic ────────────────────────────────────────────────────────────────

add = ufunc("add", basis.add)
subtract = ufunc("subtract", elementwise.sub)
multiply = ufunc("multiply", elementwise.mul)
divide = ufunc("divide", elementwise.div)
power = ufunc("power", elementwise.pow_)
negative = ufunc("negative", basis.neg)
positive = ufunc("positive", elementwise.positive)
absolute = ufunc("absolute", elementwise.abs_)
conjugate = ufunc("conjugate", basis.conj)


def _sign(x: Array) -> Array:
    return elementwise.phase(x) if x.dtype.kind == "c" else elementwise.sign(x)


def _float_power(x: Array, y: Array) -> Array:
    dtype = result_type(x, y, np.float64)
    return elementwise.pow_(astype(lift(x), dtype), astype(lift(y), dtype))


sign = ufunc("sign", _sign)  # constant for real numbers; a complex one turns
float_power = ufunc("float_power", _float_power)

# ── one op each, of the ufunc's own name ──────────────────────────────────────

SMOOTH = (
    "reciprocal square sqrt cbrt fabs exp exp2 expm1 log log2 log10 log1p logaddexp logaddexp2 sin cos tan arcsin"
    " arccos arctan arctan2 sinh cosh tanh arcsinh arccosh arctanh hypot rad2deg deg2rad"
)
EXTREMA = "maximum minimum fmax fmin"
ROUNDING = "floor ceil trunc rint floor_divide remainder fmod spacing ldexp copysign nextafter heaviside"
LOGIC = (
    "equal not_equal less less_equal greater greater_equal logical_and logical_or logical_xor logical_not isnan isinf"
    " isfinite signbit bitwise_and bitwise_or bitwise_xor invert left_shift right_shift bitwise_count gcd lcm"
)

for _names, _ops in ((SMOOTH, elementwise), (EXTREMA, select), (ROUNDING, rounding), (LOGIC, logic)):
    for _name in _names.split():
        ufunc(_name, getattr(_ops, _name))
ufunc("degrees", elementwise.rad2deg)
ufunc("radians", elementwise.deg2rad)

refuse("isnat", "it asks about dates, and a Tensor holds numbers", "for missing numbers use numpy.isnan")

# ── two results ───────────────────────────────────────────────────────────────


def _divmod(x: Array, y: Array) -> tuple[Array, Array]:
    return rounding.floor_divide(x, y), rounding.remainder(x, y)


def _modf(x: Array) -> tuple[Array, Array]:
    return rounding.fraction(x), rounding.integral(x)


def _frexp(x: Array) -> tuple[Array, Array]:
    return rounding.mantissa(x), rounding.exponent(x)


divmod = ufunc("divmod", _divmod)
modf = ufunc("modf", _modf)
frexp = ufunc("frexp", _frexp)

# ── aliases ───────────────────────────────────────────────────────────────────


def _alias(name: str, original: Any) -> None:
    """Enter another of NumPy's names for a ufunc that is served."""
    ours = UFUNCS.get(original)
    if ours is not None and name not in NAMES:
        known = NAMES[original.__name__]
        enter(name, known.status, ours, known.reason, known.remedy)


for _name, _value in vars(np).items():
    if isinstance(_value, np.ufunc):
        _alias(_name, _value)

__all__ = ["Ufunc", "absolute", "add", "divide", "multiply", "negative", "subtract"]
