"""NumPy's ufuncs: every name, and their options and methods."""

from __future__ import annotations

from typing import Any

import numpy

from wengert.verify.examples import example

AWAY = (0.3, 2.0)
INSIDE = (-0.8, 0.8)
INTS = numpy.array([[1, 6, 0], [7, 3, 12]])
OTHER = numpy.array([2, 5, 1])
MASK = numpy.array([[True, False, True, True], [False] * 4, [True] * 4])


def calls(names: str, *shapes: Any, **options: Any) -> None:
    """One example per name: the ufunc on arrays of these shapes."""
    for name in names.split():
        example(name, lambda np, *xs, name=name: getattr(np, name)(*xs), *shapes, **options)


# ── one operand ───────────────────────────────────────────────────────────────

calls("exp exp2 expm1 sin cos sinh cosh tanh arctan atan arcsinh asinh square negative positive", (3, 4), complex=True)
calls("conj conjugate", (3,), complex=True)
calls("log log2 log10 log1p sqrt reciprocal abs absolute tan", (3, 2), domain=AWAY, complex=True)
calls("arcsin asin arccos acos arctanh atanh", (3,), domain=INSIDE, complex=True)
calls("arccosh acosh", (3,), domain=(1.3, 3.0), complex=True)
calls("sign", (3,), domain=AWAY, complex=True)
calls("cbrt fabs deg2rad rad2deg degrees radians spacing signbit", (2, 3), domain=AWAY)
calls("floor ceil trunc", (3, 4))
calls("rint isnan isinf isfinite logical_not", (3, 4), complex=True)
calls("modf", (3,), domain=(1.1, 1.9))
calls("frexp", (3,), domain=(1.1, 1.9))

# ── two operands ──────────────────────────────────────────────────────────────

calls("add subtract multiply", (3, 1), (4,), complex=True)
calls("divide true_divide power pow", (3, 1), (4,), domain=AWAY, complex=True)
calls("float_power", (3, 1), (4,), domain=AWAY, complex=True)
calls("maximum minimum fmax fmin", (3, 1), (4,), complex=True)
calls("logaddexp logaddexp2 copysign nextafter", (3, 1), (4,), domain=AWAY)
calls("arctan2 atan2 hypot", (3, 1), (4,), domain=AWAY)
calls("heaviside floor_divide", (3, 1), (4,), domain=AWAY)
calls("remainder mod fmod divmod", (3, 1), (4,), domain=((1.1, 1.9), (0.58, 0.92)))
calls("equal not_equal less less_equal greater greater_equal", (3, 1), (4,), complex=True)
calls("logical_and logical_or logical_xor", (3, 1), (4,), complex=True)
calls(
    "bitwise_and bitwise_or bitwise_xor left_shift right_shift bitwise_left_shift bitwise_right_shift gcd lcm",
    INTS,
    OTHER,
)
calls("invert bitwise_not bitwise_invert bitwise_count", INTS)

example("ldexp", lambda np, x: np.ldexp(x, OTHER), (2, 3))
example("power", lambda np, x: np.power(x, 3), (3,), complex=True)
example("power", lambda np, x: np.power(x, OTHER), (3,), complex=True)
example("power", lambda np, x: 2.0**x, (3,), complex=True)
example("maximum", lambda np, x: np.maximum(x, 0), (3, 4))
example("minimum", lambda np, x: np.minimum(0.25, x), (3, 4))
example("heaviside", lambda np, h: np.heaviside([-1.0, 0.0, 2.0], h), (3,))
example("bitwise_and", lambda np, x: (x > 0) & (x < 1), (3, 4))
example("bitwise_or", lambda np, x: (x > 1) | ~(x > 0), (3, 4))
example("bitwise_xor", lambda np, x: (x > 1) ^ (x > 0), (3, 4))
example("remainder", lambda np, x: x % 1.0 + 7.5 % (x + 3), (3,), domain=(0.2, 0.4))
example("floor_divide", lambda np, x: x * (x // 0.5), (3,), domain=(0.6, 0.9))
example("multiply", lambda np, x: np.multiply(1j, x), (), complex=True)
example("subtract", lambda np, x: 1j - x, (3,), complex=True)
example("add", lambda np, x: np.add([1, 2, 3], x), (3,), complex=True)
example("hypot", lambda np, x: np.hypot(3, x), (3,))

# ── options ───────────────────────────────────────────────────────────────────

example("add", lambda np, x: np.add(x, 1, dtype=numpy.complex128), (3,))
example("multiply", lambda np, x: np.multiply(x, 2, signature="dd->d"), (3,))
example("log", lambda np, x: np.where(MASK, np.log(x, out=None, where=MASK), 0.0), (3, 4), domain=AWAY)
example(
    "divide", lambda np, x, y: np.where(MASK, np.divide(x, y, out=None, where=MASK), 0.0), (3, 4), (4,), domain=AWAY
)
example("add", lambda np, x, y: np.where(MASK, np.add(x, y, out=None, where=MASK), x), (3, 4), (4,))


def into(np: Any, x: Any) -> Any:
    """`out=` with a Tensor, and with `where=`."""
    y = x * 2
    np.exp(x, out=y, where=MASK)
    np.multiply(y, x, y)
    return y


example("exp", into, (3, 4))

# ── methods ───────────────────────────────────────────────────────────────────

for _name in ("add", "multiply", "maximum", "minimum", "fmax", "fmin", "logaddexp", "logaddexp2", "hypot"):
    _u: Any = lambda np, name=_name: getattr(np, name)
    _plain = {"add", "multiply"}
    example(_name, lambda np, x, u=_u: u(np).reduce(x), (5, 2), complex=_name in _plain)
    example(_name, lambda np, x, u=_u: u(np).reduce(x, axis=(0, 2), keepdims=True), (2, 3, 2), domain=AWAY)
    example(_name, lambda np, x, u=_u: u(np).reduce(x, axis=1, initial=0.5), (3, 4), domain=AWAY)
    example(_name, lambda np, x, u=_u: u(np).reduce(x, axis=None, where=MASK, initial=0.5), (3, 4), domain=AWAY)
    example(_name, lambda np, x, u=_u: u(np).accumulate(x, axis=1), (2, 5, 2), complex=_name in _plain)
    example(_name, lambda np, x, u=_u: u(np).reduceat(x, [0, 3, 1, 4], axis=1), (2, 5), complex=_name in _plain)
    example(_name, lambda np, x, y, u=_u: u(np).outer(x, y), (3,), (2, 2), domain=AWAY)

example("subtract", lambda np, x: np.subtract.reduce(x, axis=1), (2, 4), complex=True)
example("subtract", lambda np, x: np.subtract.accumulate(x), (4, 2), complex=True)
example("divide", lambda np, x: np.divide.reduce(x), (3,), domain=AWAY, complex=True)
example("power", lambda np, x: np.power.accumulate(x), (3,), domain=AWAY)
example("arctan2", lambda np, x: np.arctan2.reduceat(x, [0, 2]), (4,), domain=AWAY)
example("logical_and", lambda np, x: np.logical_and.reduce(x > -1, axis=0), (3, 4))
example("bitwise_xor", lambda np, x: np.bitwise_xor.accumulate(x > 0, axis=1), (3, 4))
example("add", lambda np, x: np.add.reduce(x > 0, axis=1), (3, 4))
example("add", lambda np, x: np.add.reduce(x, axis=(), initial=2.0), (3, 4))

AGAIN = numpy.array([0, 2, 0, 0])


def at(np: Any, name: str, x: Any, *rest: Any) -> Any:
    """`ufunc.at` on a copy, which is a Tensor even where only the other operand is."""
    y = x + 0 * np.sum(rest[-1]) if len(rest) > 1 else x * 1
    getattr(np, name).at(y, *rest)
    return y


for _name in ("add", "subtract", "multiply", "divide", "power", "maximum", "hypot"):
    example(_name, lambda np, x, b, name=_name: at(np, name, x, AGAIN, b), (3,), (4,), domain=AWAY)
    example(_name, lambda np, x, b, name=_name: at(np, name, x, (slice(None), AGAIN), b), (2, 3), (2, 1), domain=AWAY)
    example(_name, lambda np, x, b, name=_name: at(np, name, x, slice(1, None), b), (3,), (), domain=AWAY)
example("add", lambda np, x: at(np, "add", x, AGAIN, 1), (3,), complex=True)
example("negative", lambda np, x: at(np, "negative", x, AGAIN), (3,), complex=True)
example("sqrt", lambda np, x: at(np, "sqrt", x, AGAIN), (3,), domain=AWAY)
example("multiply", lambda np, x: at(np, "multiply", x, x > 1, 3.0), (4,), domain=AWAY, batch=False)
