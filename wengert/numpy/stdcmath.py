"""A drop-in for Python's `cmath`: as `stdmath` is for `math`, with complex results."""

from __future__ import annotations

import cmath
import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from wengert.core.tensor import Array, Tensor
from wengert.numpy import stdmath
from wengert.numpy.arrays import astype
from wengert.numpy.registry import values
from wengert.numpy.traced import value_of
from wengert.ops import elementwise
from wengert.ops.basis import add, imag, real, reshape
from wengert.ops.elementwise import cos, div, mul, sin

FUNCTIONS: dict[str, Callable[..., Any]] = {}  #: name → ours


def number(x: Any) -> Array:
    """A Tensor as a 0-d complex double, anything else as cmath takes it."""
    if type(x) is not Tensor:
        return np.complex128(x)
    if x.size != 1:
        raise TypeError("only length-1 arrays can be converted to Python scalars")
    return astype(reshape(x, shape=()) if x.shape else x, complex)


def implements(rule: Callable[..., Any]) -> Callable[..., Any]:
    """Serve cmath's function of this name when an argument is a Tensor."""
    original = getattr(cmath, rule.__name__)

    @functools.wraps(original)
    def function(*args: Any) -> Any:
        return rule(*args) if stdmath.is_traced(args) else original(*args)

    FUNCTIONS[rule.__name__] = function
    return function


def checked(original: Callable[..., Any], *xs: Array) -> None:
    """Raise cmath's exception, where the values are known."""
    known = [value_of(x) for x in xs]
    if not any(v is None for v in known):
        original(*map(complex, known))


def one(name: str, op: Callable[..., Array]) -> None:
    def rule(z: Any, /) -> Array:
        z = number(z)
        checked(getattr(cmath, name), z)
        return op(z)

    rule.__name__ = name
    implements(rule)


_INVERSES = {f"a{n}": f"arc{n}" for n in ("cos", "cosh", "sin", "sinh", "tan", "tanh")}
_SAME = ("cos", "cosh", "exp", "log10", "sin", "sinh", "sqrt", "tan", "tanh")
for _name, _op in {**_INVERSES, **dict(zip(_SAME, _SAME, strict=True))}.items():
    one(_name, getattr(elementwise, _op))


@implements
def log(z: Any, base: Any = None, /) -> Array:
    """The natural logarithm, or that to a base."""
    z = number(z)
    if base is None:
        checked(cmath.log, z)
        return elementwise.log(z)
    base = number(base)
    checked(cmath.log, z, base)
    return div(elementwise.log(z), elementwise.log(base))


@implements
def phase(z: Any, /) -> Array:
    """The argument of z, in (-π, π]."""
    z = number(z)
    return stdmath.FUNCTIONS["atan2"](imag(z), real(z))


@implements
def polar(z: Any, /) -> tuple[Array, Array]:
    """Modulus and argument."""
    return elementwise.abs_(number(z)), FUNCTIONS["phase"](z)


@implements
def rect(r: Any, phi: Any, /) -> Array:
    """r (cos φ + i sin φ)."""
    r, phi = stdmath.number(r), stdmath.number(phi)
    if type(phi) is float:
        return mul(r, cmath.rect(1.0, phi))
    return mul(r, add(cos(phi), mul(sin(phi), 1j)))


def on_values(name: str) -> None:
    """A test, whose result has no derivative."""
    original = getattr(cmath, name)

    @functools.wraps(original)
    def function(*args: Any, **kwargs: Any) -> Any:
        return original(*values(args), **values(kwargs))

    FUNCTIONS[name] = function


for _name in ("isclose", "isfinite", "isinf", "isnan"):
    on_values(_name)

globals().update(FUNCTIONS)


def __getattr__(name: str) -> Any:
    """cmath's constants."""
    return getattr(cmath, name)


def __dir__() -> list[str]:
    return sorted({*dir(cmath), *FUNCTIONS})
