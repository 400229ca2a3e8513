"""Python's `math`, differentiable: what adopted code means by `math.sin(x)`.

On numbers every function is `math`'s own. A Tensor of one element is taken as a double-precision number, and
the result is a Tensor without axes. Where `math` raises (`math.log(0)`, `math.exp(1000)`), so does this. What is
an integer or a truth value is a Python one, except under `vmap`.
"""

from __future__ import annotations

import functools
import importlib
import math
import operator
from collections.abc import Callable, Iterable
from math import e, inf, nan, pi, tau
from typing import Any

from wengert.core.errors import ConcretizationError
from wengert.core.tensor import Array, Tensor, carries
from wengert.numpy.arrays import astype, has_tensor
from wengert.numpy.traced import value_of
from wengert.ops import elementwise, logic, rounding
from wengert.ops.basis import add, reshape
from wengert.ops.elementwise import div, mul, sub

Function = Callable[..., Any]


def number(x: Any, dtype: Any = float) -> Any:
    """A Tensor of one element without axes, in double precision; anything else as it is."""
    if type(x) is not Tensor:
        return x
    if x.size != 1:
        raise TypeError("only length-1 arrays can be converted to Python scalars")
    if x.dtype.kind == "c" and dtype is float:
        raise TypeError("must be real number, not complex")
    return astype(x if x.ndim == 0 else reshape(x, shape=()), dtype)


def known(xs: Iterable[Any]) -> list[Any] | None:
    """Python numbers, where the values are known; None under vmap."""
    values = [value_of(x) for x in xs]
    return None if any(v is None for v in values) else [v.item() if hasattr(v, "item") else v for v in values]


def serve(original: Function, function: Function, *, dtype: Any = float, constant: bool = False) -> Function:
    """`original` on numbers, `function` on Tensors; a `constant` result is computed from values that are known."""

    def traced(*args: Any, **kwargs: Any) -> Any:
        xs = [number(a, dtype) for a in args]
        values = known(xs)
        if values is not None:
            plain = original(*values, **kwargs)  # raises where the function is not defined
            if constant or not any(map(carries, xs)):
                return plain
        return function(*xs, **kwargs)

    @functools.wraps(original)
    def served(*args: Any, **kwargs: Any) -> Any:
        for a in args:
            if type(a) is Tensor:
                return traced(*args, **kwargs)
        return original(*args, **kwargs)

    served.__module__ = original.__module__
    return served


# ── one op each ───────────────────────────────────────────────────────────────


def _elementwise(name: str, op: str = "") -> Function:
    return serve(getattr(math, name), getattr(elementwise, op or name))


acos = _elementwise("acos", "arccos")
acosh = _elementwise("acosh", "arccosh")
asin = _elementwise("asin", "arcsin")
asinh = _elementwise("asinh", "arcsinh")
atan = _elementwise("atan", "arctan")
atan2 = _elementwise("atan2", "arctan2")
atanh = _elementwise("atanh", "arctanh")
cbrt = _elementwise("cbrt")
cos = _elementwise("cos")
cosh = _elementwise("cosh")
degrees = _elementwise("degrees", "rad2deg")
exp = _elementwise("exp")
exp2 = _elementwise("exp2")
expm1 = _elementwise("expm1")
fabs = _elementwise("fabs")
log10 = _elementwise("log10")
log1p = _elementwise("log1p")
log2 = _elementwise("log2")
pow = _elementwise("pow", "pow_")
radians = _elementwise("radians", "deg2rad")
sin = _elementwise("sin")
sinh = _elementwise("sinh")
sqrt = _elementwise("sqrt")
tan = _elementwise("tan")
tanh = _elementwise("tanh")
fmod = serve(math.fmod, rounding.fmod)
copysign = serve(math.copysign, rounding.copysign)
nextafter = serve(math.nextafter, rounding.nextafter)


def _log(x: Array, *base: Array) -> Array:
    top = elementwise.log(x)
    return div(top, elementwise.log(base[0])) if base else top


log = serve(math.log, _log)


def _special(name: str) -> Function:
    """An op of the special functions, which load SciPy when first used."""

    def function(x: Array) -> Array:
        table = importlib.import_module("wengert.ops.special")
        importlib.import_module("wengert.ops.special_error")
        importlib.import_module("wengert.ops.special_gamma")
        return table.SPECIAL[name](x)

    return function


erf = serve(math.erf, _special("erf"))
erfc = serve(math.erfc, _special("erfc"))
gamma = serve(math.gamma, _special("gamma"))
lgamma = serve(math.lgamma, _special("gammaln"))


# ── integers and truth values ─────────────────────────────────────────────────

floor = serve(math.floor, rounding.floor, constant=True)
ceil = serve(math.ceil, rounding.ceil, constant=True)
trunc = serve(math.trunc, rounding.trunc, constant=True)
isfinite = serve(math.isfinite, logic.isfinite, constant=True)
isinf = serve(math.isinf, logic.isinf, constant=True)
isnan = serve(math.isnan, logic.isnan, constant=True)


def undecided(name: str) -> Function:
    """The refusal of a truth value that differs from example to example."""

    def function(*xs: Array, **kwargs: Any) -> Any:
        raise ConcretizationError(
            f"math.{name}",
            got="a batched Tensor, whose value differs from example to example",
            want="a number whose value is known",
            fix="use NumPy's function of that name, or loop over the examples in Python",
        )

    return function


isclose = serve(math.isclose, undecided("isclose"), constant=True)
ulp = serve(math.ulp, undecided("ulp"), constant=True)


def _of_integers(original: Function) -> Function:
    """A function of integers: Tensors of integers are constants, those of floats are refused as floats are."""

    @functools.wraps(original)
    def function(*args: Any) -> Any:
        return original(*(operator.index(known([number(a, int)])[0]) if _is_integer(a) else a for a in args))  # type: ignore[index]

    return function


def _is_integer(x: Any) -> bool:
    if type(x) is Tensor and x.dtype.kind not in "biu":
        raise TypeError("'float' object cannot be interpreted as an integer")
    return type(x) is Tensor


comb, factorial, gcd, isqrt, lcm, perm = (
    _of_integers(getattr(math, name)) for name in ("comb", "factorial", "gcd", "isqrt", "lcm", "perm")
)


# ── parts of numbers ──────────────────────────────────────────────────────────


@functools.partial(serve, math.modf)
def modf(x: Array) -> tuple[Array, Array]:
    return rounding.fraction(x), rounding.integral(x)


@functools.partial(serve, math.frexp)
def frexp(x: Array) -> tuple[Array, Any]:
    values = known([x])
    return rounding.mantissa(x), rounding.exponent(x) if values is None else math.frexp(values[0])[1]


@functools.partial(serve, math.remainder)
def remainder(x: Array, y: Array) -> Array:
    return sub(x, mul(rounding.rint(div(x, y)), y))


@functools.wraps(math.ldexp)
def ldexp(x: Any, i: Any, /) -> Any:
    if type(i) is Tensor:
        i = _of_integers(operator.index)(i)
    return math.ldexp(x, i) if type(x) is not Tensor else _ldexp(x, i)


def _ldexp(x: Any, i: int) -> Any:
    def scaled(x: Array) -> Array:  # in two steps, since 2^i may overflow where the result does not
        return mul(mul(x, math.ldexp(1.0, i // 2)), math.ldexp(1.0, i - i // 2))

    return serve(lambda x: math.ldexp(x, i), scaled)(x)


# ── several numbers ───────────────────────────────────────────────────────────


@functools.partial(serve, math.hypot)
def hypot(*coordinates: Array) -> Array:
    return functools.reduce(elementwise.hypot, coordinates, 0.0)


@functools.wraps(math.dist)
def dist(p: Any, q: Any, /) -> Any:
    if not has_tensor([p, q]):
        return math.dist(p, q)
    p, q = list(p), list(q)
    if len(p) != len(q):
        raise ValueError("both points must have the same number of dimensions")
    return hypot(*(sub(number(a), number(b)) for a, b in zip(p, q, strict=True)))


@functools.wraps(math.fsum)
def fsum(seq: Any, /) -> Any:
    terms = list(seq)
    if not any(type(t) is Tensor for t in terms):
        return math.fsum(terms)
    return functools.reduce(add, map(number, terms), 0.0)


@functools.wraps(math.prod)
def prod(iterable: Any, /, *, start: Any = 1) -> Any:
    return functools.reduce(operator.mul, iterable, start)


@functools.wraps(getattr(math, "sumprod", math.prod))
def sumprod(p: Any, q: Any, /) -> Any:
    p, q = list(p), list(q)
    if len(p) != len(q):
        raise ValueError("Inputs are not the same length")
    if not has_tensor([p, q]) and hasattr(math, "sumprod"):
        return math.sumprod(p, q)
    return functools.reduce(operator.add, map(operator.mul, p, q), 0)


@functools.wraps(getattr(math, "fma", math.pow))
def fma(x: Any, y: Any, z: Any, /) -> Any:
    if not has_tensor([x, y, z]) and hasattr(math, "fma"):
        return math.fma(x, y, z)
    return add(mul(number(x), number(y)), number(z))


def __getattr__(name: str) -> Any:
    return getattr(math, name)


__all__ = [
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "cbrt",
    "ceil",
    "comb",
    "copysign",
    "cos",
    "cosh",
    "degrees",
    "dist",
    "e",
    "erf",
    "erfc",
    "exp",
    "exp2",
    "expm1",
    "fabs",
    "factorial",
    "floor",
    "fma",
    "fmod",
    "frexp",
    "fsum",
    "gamma",
    "gcd",
    "hypot",
    "inf",
    "isclose",
    "isfinite",
    "isinf",
    "isnan",
    "isqrt",
    "lcm",
    "ldexp",
    "lgamma",
    "log",
    "log1p",
    "log2",
    "log10",
    "modf",
    "nan",
    "nextafter",
    "perm",
    "pi",
    "pow",
    "prod",
    "radians",
    "remainder",
    "sin",
    "sinh",
    "sqrt",
    "sumprod",
    "tan",
    "tanh",
    "tau",
    "trunc",
    "ulp",
]  # fmt: skip
