"""A drop-in for Python's `math`: on Tensors its functions are differentiable, on all else they are math's own.

Adoption binds a user's `math` to this module, so that `math.exp(-x)` keeps the derivative that `float(x)` would lose.

    results   0-d Tensors of float64, as math computes in double precision; Python numbers and booleans
              where there is no derivative (floor, isnan, ulp, …)
    errors    math's: ValueError outside the domain, OverflowError, TypeError for what is no number. Under vmap
              values are unknown, and a domain error is a NaN
"""

from __future__ import annotations

import functools
import importlib
import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from wengert.core.op import Op
from wengert.core.tensor import Array, Tensor
from wengert.numpy.arrays import astype
from wengert.numpy.registry import NAMES, values
from wengert.numpy.traced import value_of
from wengert.ops import elementwise
from wengert.ops.basis import add, reshape, scale
from wengert.ops.elementwise import div, mul, sub

FUNCTIONS: dict[str, Callable[..., Any]] = {}  #: name → ours

# ── arguments ─────────────────────────────────────────────────────────────────


def number(x: Any) -> Array:
    """A Tensor as a 0-d double, anything else as math takes it."""
    if type(x) is not Tensor:
        return float(x)
    if x.size != 1:
        raise TypeError("only length-1 arrays can be converted to Python scalars")
    if x.dtype.kind == "c":
        raise TypeError(f"must be real number, not {x.dtype}")
    return astype(reshape(x, shape=()) if x.shape else x, float)


def is_traced(args: Iterable[Any]) -> bool:
    for a in args:  # noqa: SIM110 - any() would make a generator, at three times the cost
        if type(a) is Tensor:
            return True
    return False


def checked(original: Callable[..., Any], *xs: Array) -> Any:
    """math's own result, or its exception; None where a value is unknown."""
    known = [value_of(x) for x in xs]
    return None if any(v is None for v in known) else original(*map(float, known))


def exactly(result: Array, want: float | None) -> Array:
    """`result` with math's own rounding, which a constant can carry."""
    have = value_of(result)
    if want is None or have is None or not math.isfinite(want) or not math.isfinite(have) or want == have:
        return result
    return add(result, want - float(have))


def served(name: str) -> Callable[..., Any]:
    """NumPy's function of that name on Tensors."""
    return NAMES[name].function


def entered(name: str, rule: Callable[..., Any]) -> None:
    """Serve math's function `name` with `rule` when an argument is a Tensor; nothing where this Python lacks it."""
    original = getattr(math, name, None)
    if original is None:
        return

    @functools.wraps(original)
    def function(*args: Any, **kwargs: Any) -> Any:
        if is_traced(args) or (kwargs and is_traced(kwargs.values())):
            return rule(*args, **kwargs)
        return original(*args, **kwargs) if kwargs else original(*args)

    FUNCTIONS[name] = function


def implements(rule: Callable[..., Any]) -> Callable[..., Any]:
    entered(rule.__name__.rstrip("_"), rule)
    return rule


# ── functions of one and of two numbers ───────────────────────────────────────


def one(name: str, op: Callable[[], Callable[..., Array]]) -> None:
    def rule(x: Any, /) -> Array:
        x = number(x)
        checked(getattr(math, name), x)
        return op()(x)

    entered(name, rule)


def two(name: str, op: Callable[..., Array]) -> None:
    def rule(x: Any, y: Any, /) -> Array:
        x, y = number(x), number(y)
        checked(getattr(math, name), x, y)
        return op(x, y)

    entered(name, rule)


def special(family: str, name: str) -> Callable[[], Op]:
    """An op of a module that imports SciPy, loaded when it is called."""
    return lambda: getattr(importlib.import_module(f"wengert.ops.special_{family}"), name)


def op_of(name: str) -> Callable[[], Callable[..., Array]]:
    return lambda: getattr(elementwise, name)


_UNARY = {
    "acos": "arccos",
    "acosh": "arccosh",
    "asin": "arcsin",
    "asinh": "arcsinh",
    "atan": "arctan",
    "atanh": "arctanh",
    "fabs": "abs_",
}
_SAME = "cbrt cos cosh exp exp2 expm1 log10 log1p log2 sin sinh sqrt tan tanh"
_UNARY.update((_name, _name) for _name in _SAME.split())
for _name, _op in _UNARY.items():
    one(_name, op_of(_op))

one("erf", special("error", "erf"))
one("erfc", special("error", "erfc"))
one("gamma", special("gamma", "gamma"))
one("lgamma", special("gamma", "gammaln"))
one("degrees", lambda: lambda x: scale(x, 180 / math.pi))
one("radians", lambda: lambda x: scale(x, math.pi / 180))

two("pow", elementwise.pow_)
for _name, _numpy in (("atan2", "arctan2"), ("copysign", "copysign"), ("fmod", "fmod")):
    two(_name, lambda x, y, name=_numpy: served(name)(x, y))


@implements
def log(x: Any, base: Any = None, /) -> Array:
    """The natural logarithm, or that to a base."""
    x = number(x)
    if base is None:
        checked(math.log, x)
        return elementwise.log(x)
    base = number(base)
    checked(math.log, x, base)
    return div(elementwise.log(x), math.log(base) if type(base) is float else elementwise.log(base))


@implements
def remainder(x: Any, y: Any, /) -> Array:
    """IEEE's remainder, x - n y with n the integer nearest x / y."""
    x, y = number(x), number(y)
    exact = checked(math.remainder, x, y)
    n = served("rint")(div(x, y))
    return exactly(sub(x, mul(n, y)), exact) if exact is None or math.isfinite(exact) else served("fmod")(x, y)


@implements
def ldexp(x: Any, i: Any, /) -> Array:
    """x 2^i."""
    i = values(i)
    checked(lambda v: math.ldexp(v, i), number(x))
    return served("ldexp")(number(x), i)


@implements
def frexp(x: Any, /) -> tuple[Array, Any]:
    """Mantissa and exponent; the exponent is constant."""
    mantissa, exponent = served("frexp")(number(x))
    known = value_of(exponent)
    return mantissa, exponent if known is None else int(known)


@implements
def modf(x: Any, /) -> tuple[Array, Any]:
    """Fractional and integral part, both with x's sign; the integral part is constant."""
    x = number(x)
    fraction, whole = served("modf")(x)
    known = value_of(whole)
    return fraction, whole if known is None else float(known)


@implements
def fma(x: Any, y: Any, z: Any, /) -> Array:
    """x y + z, rounded once."""
    x, y, z = number(x), number(y), number(z)
    return exactly(add(mul(x, y), z), checked(math.fma, x, y, z))  # type: ignore[attr-defined]


@implements
def nextafter(x: Any, y: Any, /, **steps: Any) -> Array:
    """A step of rounding away from x, whose derivative is x's."""
    x, y = number(x), number(y)
    return exactly(add(x, 0.0), checked(lambda a, b: math.nextafter(a, b, **steps), x, y))


# ── functions of many numbers ─────────────────────────────────────────────────


@implements
def hypot(*coordinates: Any) -> Array:
    """Euclidean norm, without overflow; the subgradient 0 is taken at the origin."""
    xs = [number(c) for c in coordinates]
    exact = checked(math.hypot, *xs)
    if len(xs) == 1:
        return elementwise.abs_(xs[0])
    total = xs[0]
    for x in xs[1:]:
        total = served("hypot")(total, x)
    return exactly(total, exact)


def gathered(name: str, rule: Callable[..., Array]) -> None:
    """Serve a function of iterables of numbers, which may hold Tensors or be one."""
    original = getattr(math, name, None)
    if original is None:
        return

    @functools.wraps(original)
    def function(*iterables: Any, **kwargs: Any) -> Any:
        lists = [list(i) for i in iterables]
        if any(map(is_traced, lists)) or is_traced(kwargs.values()):
            return rule(*lists, **kwargs)
        return original(*lists, **kwargs)

    FUNCTIONS[name] = function


def _dist(p: list[Any], q: list[Any]) -> Array:
    if len(p) != len(q):
        raise ValueError("both points must have the same number of dimensions")
    return FUNCTIONS["hypot"](*(sub(number(a), number(b)) for a, b in zip(p, q, strict=True)))


def _fsum(terms: list[Any]) -> Array:
    xs = [number(t) for t in terms]
    total: Any = 0.0
    for x in xs:
        total = add(total, x)
    return exactly(total, checked(lambda *v: math.fsum(v), *xs))


def _prod(factors: list[Any], *, start: Any = 1) -> Array:
    total = number(start)
    for f in factors:
        total = mul(total, number(f))
    return total


def _sumprod(p: list[Any], q: list[Any]) -> Array:
    if len(p) != len(q):
        raise ValueError("Inputs are not the same length")
    return _fsum([mul(number(a), number(b)) for a, b in zip(p, q, strict=True)])


gathered("dist", _dist)
gathered("fsum", _fsum)
gathered("prod", _prod)
gathered("sumprod", _sumprod)

# ── constant results ──────────────────────────────────────────────────────────


def on_values(name: str) -> None:
    """A function whose result has no derivative: math's, on the values of Tensors."""
    original = getattr(math, name, None)
    if original is None:
        return

    @functools.wraps(original)
    def function(*args: Any, **kwargs: Any) -> Any:
        return original(*map(_plain, args), **{k: _plain(v) for k, v in kwargs.items()})

    FUNCTIONS[name] = function


def _plain(x: Any) -> Any:
    value = values(x)
    return value.item() if type(x) is Tensor and isinstance(value, (np.ndarray, np.generic)) else value


for _name in (
    "isclose",
    "ulp",
    "gcd",
    "lcm",
    "isqrt",
    "comb",
    "perm",
    "factorial",
    "isnormal",
    "issubnormal",
    "signbit",
):
    on_values(_name)


def rounded(name: str) -> None:
    """floor, ceil and trunc: Python integers, or integer Tensors under vmap."""
    original = getattr(math, name)

    def rule(x: Any, /) -> Any:
        known = value_of(x)
        if known is not None:
            return original(np.asarray(known).item())
        return astype(served(name)(number(x)), int)

    entered(name, rule)


def tested(name: str) -> None:
    """isnan, isinf and isfinite: booleans, or Tensors of booleans under vmap."""
    original = getattr(math, name)

    def rule(x: Any, /) -> Any:
        known = value_of(x)
        return served(name)(number(x)) if known is None else original(np.asarray(known).item())

    entered(name, rule)


for _name in ("floor", "ceil", "trunc"):
    rounded(_name)
for _name in ("isnan", "isinf", "isfinite"):
    tested(_name)


globals().update(FUNCTIONS)


def __getattr__(name: str) -> Any:
    """Constants, and functions newer than this module, in which a Tensor meets `float`, and raises."""
    return getattr(math, name)


def __dir__() -> list[str]:
    return sorted({*dir(math), *FUNCTIONS})
