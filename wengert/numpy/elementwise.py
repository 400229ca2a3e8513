"""NumPy's elementwise functions that are not ufuncs: clip, rounding, parts of complex numbers, special values."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from wengert.core.op import Op
from wengert.core.tensor import Array, Tensor, staged, view
from wengert.numpy.arrays import astype, has_tensor, lift, operand, writes_out
from wengert.numpy.registry import NAMES, UFUNCS, constant, enter, implements, on_values, theirs
from wengert.numpy.traced import when_traced
from wengert.numpy.ufunc import Ufunc
from wengert.numpy.values import concrete
from wengert.ops import elementwise, logic, rounding
from wengert.ops import select as selection
from wengert.ops.basis import add, imag, real
from wengert.ops.elementwise import mul
from wengert.ops.select import where

_MISSING: Any = np._NoValue  # pyright: ignore[reportAttributeAccessIssue]


def elementwise_constant(name: str, op: Op, function: Callable[..., Any]) -> None:
    """Serve `name` with `function`, written over the constant op; without Tensors, with NumPy's own."""
    original = theirs(name)
    if original is None:
        return

    def choose(*args: Any, **kwargs: Any) -> Any:
        if has_tensor(args) or has_tensor(tuple(kwargs.values())):
            return function(*args, **kwargs)
        return original(*args, **kwargs)

    choose.__name__, choose.__doc__ = name, original.__doc__
    enter(name, "constant", choose, op.vjp.reason)  # type: ignore[union-attr]


# ── clip ──────────────────────────────────────────────────────────────────────


@implements("clip")
def clip(
    a: Any,
    min: Any = None,
    max: Any = None,
    out: Any = None,
    *,
    a_min: Any = _MISSING,
    a_max: Any = _MISSING,
    **options: Any,
) -> Array:
    """`numpy.clip`, differentiable in the bounds too; at a bound, array and bound share the derivative equally.

    The second and third argument have the array API standard's names; NumPy's older names are keywords.
    """
    lower, upper = _one_of(min, a_min), _one_of(max, a_max)
    if not has_tensor([a, lower, upper, out]) and not has_tensor(list(options.values())):
        return np.clip(a, lower, upper, out, **options)
    a = lift(a)
    if lower is None:
        bounded, xs = (POSITIVE, (a,)) if upper is None else (MINIMUM, (a, upper))
    else:
        bounded, xs = (MAXIMUM, (a, lower)) if upper is None else (CLIP, (a, lower, upper))
    if out is None and not options:
        return bounded.op(*map(operand, xs))
    return bounded.with_options(*xs, out=out, **options)


def _one_of(bound: Any, older: Any) -> Any:
    """A bound by either of its names."""
    if older is _MISSING:
        return None if bound is _MISSING else bound
    if bound is not None and bound is not _MISSING:
        raise ValueError("Passing `min` or `max` keyword argument when `a_min` and `a_max` are provided is forbidden.")
    return older


_clip_ufunc = np._core.umath.clip  # pyright: ignore[reportAttributeAccessIssue]  # what ndarray.clip calls
CLIP = UFUNCS[_clip_ufunc] = Ufunc(_clip_ufunc, selection.clip)
POSITIVE, MAXIMUM, MINIMUM = (NAMES[name].function for name in ("positive", "maximum", "minimum"))

# ── rounding ──────────────────────────────────────────────────────────────────


def _round(a: Any, decimals: int = 0, out: Any = None) -> Array:
    return writes_out(rounding.round_(lift(a), decimals=decimals), out)


for _name in ("round", "around", "round_"):
    elementwise_constant(_name, rounding.round_, _round)
elementwise_constant("fix", rounding.trunc, lambda x, out=None: writes_out(rounding.trunc(lift(x)), out))

# ── tests of elements ─────────────────────────────────────────────────────────

for _op in (logic.isposinf, logic.isneginf):
    elementwise_constant(_op.name, _op, lambda x, out=None, _op=_op: writes_out(_op(lift(x)), out))
for _op in (logic.isreal, logic.iscomplex):
    elementwise_constant(_op.name, _op, lambda x, _op=_op: _op(lift(x)))


def _isclose(a: Any, b: Any, rtol: Any = 1e-5, atol: Any = 1e-8, equal_nan: bool = False) -> Array:
    return logic.isclose(operand(a), operand(b), operand(rtol), operand(atol), equal_nan=equal_nan)


elementwise_constant("isclose", logic.isclose, _isclose)


def _alike(name: str, compare: Callable[..., Array]) -> None:
    """One boolean for two arrays: a `bool`, but a Tensor of one while a function is staged."""
    known = on_values(name)

    def function(a: Any, b: Any, *args: Any, **kwargs: Any) -> Any:
        if not (staged(a) or staged(b)):
            return known(a, b, *args, **kwargs)
        return NAMES["all"].function(compare(lift(a), lift(b), *args, **kwargs))

    constant(name, "one boolean for two arrays", functools.wraps(known)(function))


def _equal_arrays(a: Array, b: Array, equal_nan: bool = False, *, broadcast: bool = False) -> Array:
    try:
        fit = np.broadcast_shapes(a.shape, b.shape) is not None if broadcast else a.shape == b.shape
    except ValueError:
        fit = False
    if not fit:
        return np.False_
    same = logic.equal(a, b)
    return logic.logical_or(same, logic.logical_and(logic.isnan(a), logic.isnan(b))) if equal_nan else same


_alike("allclose", _isclose)
_alike("array_equal", _equal_arrays)
_alike("array_equiv", lambda a, b: _equal_arrays(a, b, broadcast=True))


def _is_complex(x: Any) -> bool:
    return lift(x).dtype.kind == "c"


for _name, _function in (("iscomplexobj", _is_complex), ("isrealobj", lambda x: not _is_complex(x))):
    constant(_name, "a property of the dtype", _function)

# ── parts of complex numbers ──────────────────────────────────────────────────


@when_traced("real")
def real_part(val: Any) -> Array:
    """`numpy.real`: a view, as NumPy's."""
    x = lift(val)
    if x.dtype.kind != "c":
        return x
    return view(real, x) if type(x) is Tensor else real(x)


@when_traced("imag")
def imag_part(val: Any) -> Array:
    """`numpy.imag`: a view, as NumPy's."""
    x = lift(val)
    return view(imag, x) if type(x) is Tensor else imag(x)


@when_traced("angle")
def angle(z: Any, deg: bool = False) -> Array:
    """`numpy.angle`; at 0, where no derivative exists, 0 is taken."""
    z = lift(z)
    z = z if z.dtype.kind in "fc" else astype(z, np.float64)
    out = elementwise.arctan2(imag(z), real(z)) if z.dtype.kind == "c" else elementwise.arctan2(0.0, z)
    return mul(out, 180 / np.pi) if deg else out


@when_traced("real_if_close")
def real_if_close(a: Any, tol: float = 100) -> Array:
    """`numpy.real_if_close`. Whether it is decides the dtype, so the values must be known (not under vmap)."""
    x = lift(a)
    if x.dtype.kind != "c":
        return x
    if tol > 1:
        tol = np.finfo(x.dtype).eps * tol
    return real(x) if np.all(np.absolute(concrete(imag(x))) < tol) else x


# ── special values and functions ──────────────────────────────────────────────


@when_traced("nan_to_num")
def nan_to_num(x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> Array:
    """`numpy.nan_to_num`: slope 1 where the number stays, 0 where it is replaced; 1 in what replaces it."""
    given, x = x, lift(x)
    if x.dtype.kind not in "fc":
        return x
    if x.dtype.kind == "c":
        parts = (_replaced(part, nan, posinf, neginf) for part in (real(x), imag(x)))
        whole = add(next(parts), mul(next(parts), 1j))
        result = astype(whole, x.dtype)
    else:
        result = _replaced(x, nan, posinf, neginf)
    if not copy and type(given) is Tensor:
        given._write(result)
        return given
    return result


def _replaced(x: Array, nan: Any, posinf: Any, neginf: Any) -> Array:
    limits = np.finfo(x.dtype)
    posinf = limits.max if posinf is None else posinf
    neginf = limits.min if neginf is None else neginf
    for test, value in ((logic.isnan, nan), (logic.isposinf, posinf), (logic.isneginf, neginf)):
        x = where(test(x), astype(lift(value), x.dtype), x)
    return x


@when_traced("sinc")
def sinc(x: Any) -> Array:
    """`numpy.sinc`, with exact derivatives of every order at 0."""
    x = lift(x)
    return elementwise.sinc(x if x.dtype.kind in "fc" else astype(x, np.float64))


@when_traced("i0")
def i0(x: Any) -> Array:
    """`numpy.i0`."""
    x = lift(x)
    if x.dtype.kind == "c":
        raise TypeError("i0 not supported for complex values")
    return elementwise.bessel_i(x if x.dtype.kind == "f" else astype(x, np.float64), n=0)


__all__ = ["angle", "clip", "i0", "imag_part", "nan_to_num", "real_if_close", "real_part", "sinc"]
