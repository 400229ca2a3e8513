"""Python's `cmath`, differentiable: what adopted code means by `cmath.exp(z)`. See `stdmath`."""

from __future__ import annotations

import cmath
from cmath import e, inf, infj, nan, nanj, pi, tau
from typing import Any

from wengert.core.tensor import Array
from wengert.numpy.registry import NAMES
from wengert.numpy.stdmath import serve, undecided
from wengert.ops import elementwise, logic
from wengert.ops.basis import add
from wengert.ops.elementwise import div, mul


def _elementwise(name: str, op: str = "") -> Any:
    return serve(getattr(cmath, name), getattr(elementwise, op or name), dtype=complex)


acos = _elementwise("acos", "arccos")
acosh = _elementwise("acosh", "arccosh")
asin = _elementwise("asin", "arcsin")
asinh = _elementwise("asinh", "arcsinh")
atan = _elementwise("atan", "arctan")
atanh = _elementwise("atanh", "arctanh")
cos = _elementwise("cos")
cosh = _elementwise("cosh")
exp = _elementwise("exp")
log10 = _elementwise("log10")
sin = _elementwise("sin")
sinh = _elementwise("sinh")
sqrt = _elementwise("sqrt")
tan = _elementwise("tan")
tanh = _elementwise("tanh")


def _log(x: Array, *base: Array) -> Array:
    top = elementwise.log(x)
    return div(top, elementwise.log(base[0])) if base else top


def _phase(z: Array) -> Array:
    return NAMES["angle"].function(z)


def _polar(z: Array) -> tuple[Array, Array]:
    return elementwise.abs_(z), _phase(z)


def _rect(r: Array, phi: Array) -> Array:
    return add(mul(r, elementwise.cos(phi)), mul(1j, mul(r, elementwise.sin(phi))))


log = serve(cmath.log, _log, dtype=complex)
phase = serve(cmath.phase, _phase, dtype=complex)
polar = serve(cmath.polar, _polar, dtype=complex)
rect = serve(cmath.rect, _rect)
isfinite = serve(cmath.isfinite, logic.isfinite, dtype=complex, constant=True)
isinf = serve(cmath.isinf, logic.isinf, dtype=complex, constant=True)
isnan = serve(cmath.isnan, logic.isnan, dtype=complex, constant=True)
isclose = serve(cmath.isclose, undecided("isclose"), dtype=complex, constant=True)


def __getattr__(name: str) -> Any:
    return getattr(cmath, name)


__all__ = [
    "acos", "acosh", "asin", "asinh", "atan", "atanh", "cos", "cosh", "e", "exp", "inf", "infj", "isclose", "isfinite",
    "isinf", "isnan", "log", "log10", "nan", "nanj", "phase", "pi", "polar", "rect", "sin", "sinh", "sqrt", "tan",
    "tanh", "tau",
]  # fmt: skip
