"""Functions in 50 digits: a scalar that NumPy's object arrays can hold, over mpmath.

`np.exp` of an object array calls `.exp()` of each element, and arithmetic calls its operators. So a function made of those
runs as it is. Whatever would round to a float on the way (`math.exp`, a float array that is filled, `scipy.special`) raises.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wengert.core.errors import MissingExtra

DIGITS = 50

ELEMENTARY = {
    "exp": "exp", "expm1": "expm1", "log": "log", "log1p": "log1p", "log10": "log10", "sqrt": "sqrt", "cbrt": "cbrt",
    "sin": "sin", "cos": "cos", "tan": "tan", "sinh": "sinh", "cosh": "cosh", "tanh": "tanh",
    "arcsin": "asin", "arccos": "acos", "arctan": "atan", "arcsinh": "asinh", "arccosh": "acosh", "arctanh": "atanh",
}  # fmt: skip


@functools.cache
def context() -> Any:
    """A context of mpmath's of our own, so that nobody's precision changes."""
    try:
        import mpmath
    except ImportError:
        raise MissingExtra("mpmath", "verify", "method='mpmath'") from None
    own = mpmath.MPContext()
    own.dps = DIGITS
    return own


class Precise:
    """A number of 50 digits."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __float__(self) -> float:
        raise TypeError(
            "a number of 50 digits would become a float here (math.*, a float array, float()), and lose them"
        )

    __complex__ = __int__ = __float__

    def __bool__(self) -> bool:
        return bool(self.value)

    def __abs__(self) -> Precise:
        return Precise(abs(self.value))

    def __neg__(self) -> Precise:
        return Precise(-self.value)

    def __pos__(self) -> Precise:
        return self

    def __hash__(self) -> int:
        return hash(self.value)

    def conjugate(self) -> Precise:
        return Precise(context().conj(self.value))

    @property
    def real(self) -> Precise:
        return Precise(context().re(self.value))

    @property
    def imag(self) -> Precise:
        return Precise(context().im(self.value))

    def exp2(self) -> Precise:
        return Precise(context().mpf(2) ** self.value)

    def log2(self) -> Precise:
        return Precise(context().log(self.value, 2))

    def square(self) -> Precise:
        return Precise(self.value * self.value)

    def arctan2(self, other: Any) -> Precise:
        return Precise(context().atan2(self.value, number(other)))

    def hypot(self, other: Any) -> Precise:
        return Precise(context().hypot(self.value, number(other)))

    def __repr__(self) -> str:
        return f"Precise({self.value})"


def number(x: Any) -> Any:
    """A number of mpmath's: exactly the float that is given."""
    if isinstance(x, Precise):
        return x.value
    if isinstance(x, np.generic) and x.dtype.char in "gG":
        raise TypeError("np.longdouble has no exact counterpart here")
    if isinstance(x, np.generic):
        x = x.item()
    return context().convert(x)


def _binary(name: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    apply = getattr(operator, name)

    def straight(self: Precise, other: Any) -> Any:
        if isinstance(other, np.ndarray):
            return NotImplemented
        return Precise(apply(self.value, number(other)))

    def reflected(self: Precise, other: Any) -> Any:
        return Precise(apply(number(other), self.value))

    return straight, reflected


def _comparison(name: str) -> Callable[..., Any]:
    apply = getattr(operator, name)
    return lambda self, other: apply(self.value, number(other))


def _elementary(name: str) -> Callable[[Precise], Precise]:
    return lambda self: Precise(getattr(context(), name)(self.value))


for _name in ("add", "sub", "mul", "truediv", "pow", "mod"):
    _straight, _reflected = _binary(_name)
    setattr(Precise, f"__{_name}__", _straight)
    setattr(Precise, f"__r{_name}__", _reflected)
for _name in ("lt", "le", "gt", "ge", "eq", "ne"):
    setattr(Precise, f"__{_name}__", _comparison(_name))
for _name, _theirs in ELEMENTARY.items():
    setattr(Precise, _name, _elementary(_theirs))

_wrap: Any = np.frompyfunc(lambda x: Precise(number(x)), 1, 1)


def precise(x: Any) -> Any:
    """An array of floats as an object array of the same numbers; a scalar as a 0-d one's element."""
    return _wrap(np.asarray(x)) if np.ndim(x) else Precise(number(np.asarray(x)[()]))


def _rounded(x: np.ndarray) -> np.ndarray:
    """Back to float64 or complex128."""
    numbers = [number(e) for e in x.ravel()]
    is_complex = any(getattr(n, "_mpc_", None) is not None for n in numbers)
    return np.array([complex(n) if is_complex else float(n) for n in numbers]).reshape(x.shape)


def slopes(
    fun: Callable[..., Sequence[Any]], primals: Sequence[Any], tangents: Sequence[Any]
) -> tuple[list[Any], list[Any]]:
    """∂fun(primals)·tangents and its error: central differences at 10⁻¹² and half of it, extrapolated. 4 evaluations."""
    points, dots = [precise(p) for p in primals], [None if v is None else precise(v) for v in tangents]

    def central(h: Precise) -> list[np.ndarray]:
        sides = []
        for t in (h, -h):
            outs = fun(*(p if v is None else p + t * v for p, v in zip(points, dots, strict=True)))
            sides.append([np.asarray(o, dtype=object) for o in outs])
            if not any(isinstance(e, Precise) for o in sides[-1] for e in o.ravel()):
                raise TypeError("it returns no multiprecision numbers")
        half: Any = Precise(1 / (2 * h.value))
        return [_wrap(a - b) * half for a, b in zip(*sides, strict=True)]

    h = context().mpf(10) ** -12
    coarse, fine = central(Precise(h)), central(Precise(h / 2))
    value = [
        _rounded(np.asarray(b + (b - a) * Precise(context().mpf(1) / 3), dtype=object))
        for a, b in zip(coarse, fine, strict=True)
    ]
    spread = [np.abs(_rounded(np.asarray(b - a, dtype=object))) for a, b in zip(coarse, fine, strict=True)]
    eps = np.finfo(np.float64).eps
    return value, [s + eps * np.abs(v) for s, v in zip(spread, value, strict=True)]
