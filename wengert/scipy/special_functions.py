"""The functions of scipy.special that are no ufuncs, over ops; with SciPy's arguments.

Each runs when an argument is, or holds, a Tensor; otherwise SciPy's own does.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import scipy.special as sp

from wengert.core.errors import DTypeError, NotDifferentiable
from wengert.core.source import describe, here
from wengert.core.tensor import Array, Tensor
from wengert.numpy.arrays import astype, axes_of, has_tensor, kept, lift, operand, result_type
from wengert.numpy.traced import value_of
from wengert.ops import special_bessel
from wengert.ops.basis import add, reduce_sum, reshape, scale
from wengert.ops.elementwise import abs_, cos, div, exp, log, mul, sign, sub
from wengert.ops.logic import isneginf
from wengert.ops.reduce import reduce_logsumexp
from wengert.ops.select import where
from wengert.ops.special import COMPOSED, PI, is_zero
from wengert.ops.special_elementary import finite_max
from wengert.ops.special_elementary import softplus as softplus_op
from wengert.ops.special_gamma import binom, countable, gamma, gammaln, is_negative, nothing_chosen, poch
from wengert.ops.special_gamma import polygamma as polygamma_op
from wengert.ops.special_hypergeometric import eval_chebyu, lpmv_angle

F = TypeVar("F", bound=Callable[..., Any])

FUNCTIONS: dict[str, Callable[..., Any]] = {}  #: name → drop-in


def when_traced(function: F) -> F:
    """Serve SciPy's function of this name when a Tensor is among the arguments."""
    original = getattr(sp, function.__name__, None)
    if original is None:
        return function  # a newer SciPy has it

    @functools.wraps(function)
    def choose(*args: Any, **kwargs: Any) -> Any:
        if has_tensor(args) or has_tensor(tuple(kwargs.values())):
            return function(*args, **kwargs)
        return original(*args, **kwargs)

    FUNCTIONS[function.__name__] = choose
    return choose  # type: ignore[return-value]


def floating(x: Any) -> Array:
    """`x` as an array of an inexact dtype."""
    x = lift(x)
    return x if x.dtype.kind in "fc" else astype(x, float)


def static(name: str, argument: str, value: Any) -> int:
    """An integer argument that must be known while the function runs."""
    if type(value) is Tensor or np.ndim(value) or int(value) != value:
        raise DTypeError(f"scipy.special.{name}", got=f"{argument}={value!r}", want="an integer", at=describe(here(3)))
    return int(value)


def no_exact(name: str, exact: Any) -> None:
    if exact:
        raise NotDifferentiable(
            f"scipy.special.{name}: exact=True computes with Python integers, which have no derivative",
            fix="use exact=False",
            at=describe(here(3)),
        )


# ── log Σ exp, softmax ────────────────────────────────────────────────────────


@when_traced
def logsumexp(a: Any, axis: Any = None, b: Any = None, keepdims: bool = False, return_sign: bool = False) -> Any:
    """`scipy.special.logsumexp`."""
    x = floating(a)
    if b is None and x.dtype.kind != "c":
        axes = axes_of(axis, x.ndim)
        out = reduce_logsumexp(x, axes=axes)
        out = kept(out, x.shape, axes) if keepdims else out
        return (out, astype(where(isneginf(out), 0.0, 1.0), out.dtype)) if return_sign else out
    if b is not None:
        b = lift(b)
        dtype = result_type(x, b)
        x, b = astype(x, dtype), astype(b, dtype)
        shape = np.broadcast_shapes(x.shape, b.shape)
        x = x if x.shape == shape else add(x, np.zeros(shape, dtype))
    axes = axes_of(axis, x.ndim)
    shift = finite_max(x if b is None else where(is_zero(b), -np.inf, x), axes=axes)
    terms = exp(sub(x, shift))
    total = reduce_sum(terms if b is None else scale(b, terms), axes=axes)
    shift = reshape(shift, shape=total.shape)
    signs = None
    if return_sign:
        size = abs_(total)
        signs = div(total, size) if total.dtype.kind == "c" else sign(total)
        total = size
    out = add(log(total), shift)
    if keepdims:
        out, signs = kept(out, x.shape, axes), None if signs is None else kept(signs, x.shape, axes)
    return (out, signs) if return_sign else out


@when_traced
def softmax(x: Any, axis: Any = None) -> Array:
    """`scipy.special.softmax`."""
    x = floating(x)
    if x.dtype.kind == "c":
        terms = exp(sub(x, finite_max(x, axes=axes_of(axis, x.ndim))))
        axes = axes_of(axis, x.ndim)
        return div(terms, kept(reduce_sum(terms, axes=axes), x.shape, axes))
    return exp(log_softmax(x, axis))


@when_traced
def log_softmax(x: Any, axis: Any = None) -> Array:
    """`scipy.special.log_softmax`."""
    x = floating(x)
    axes = axes_of(axis, x.ndim)
    x = sub(x, finite_max(x, axes=axes))  # then the logarithm of a sum near 1 keeps its digits
    return sub(x, kept(logsumexp(x, axes) if x.dtype.kind == "c" else reduce_logsumexp(x, axes=axes), x.shape, axes))


@when_traced
def softplus(x: Any, **kwargs: Any) -> Array:
    """`scipy.special.softplus`, without the options of the ufunc behind it."""
    if kwargs:
        raise NotDifferentiable(
            f"scipy.special.softplus: {', '.join(kwargs)} on Tensors",
            fix="use numpy.logaddexp(0, x, ...), which takes them",
            at=describe(here(2)),
        )
    return softplus_op(floating(x))


# ── gamma and its relatives ───────────────────────────────────────────────────


@when_traced
def polygamma(n: Any, x: Any) -> Array:
    """`scipy.special.polygamma`; the order is constant."""
    x = floating(x)
    return polygamma_op(operand(n), x if x.dtype.kind == "c" else astype(x, float))


@when_traced
def multigammaln(a: Any, d: Any) -> Array:
    """`scipy.special.multigammaln`."""
    a, d = astype(lift(a), float), static("multigammaln", "d", d)
    known = value_of(a)
    if known is not None and np.any(np.asarray(known) <= 0.5 * (d - 1)):
        raise ValueError(f"condition a ({known}) > 0.5 * (d-1) ({0.5 * (d - 1)}) not met")
    total = gammaln(a)
    for j in range(2, d + 1):
        total = add(total, gammaln(sub(a, (j - 1) / 2)))
    return add(total, d * (d - 1) * 0.25 * math.log(PI))


@when_traced
def comb(N: Any, k: Any, *, exact: bool = False, repetition: bool = False) -> Array:
    """`scipy.special.comb` with exact=False, as the binomial of real arguments; zero outside 0 ≤ k ≤ N."""
    no_exact("comb", exact)
    n, k = operand(N), operand(k)
    if repetition:
        return where(nothing_chosen(n, k), 1.0, comb(sub(add(n, k), 1), k))
    return where(countable(n, k), binom(n, k), 0.0)


@when_traced
def perm(N: Any, k: Any, exact: bool = False) -> Array:
    """`scipy.special.perm` with exact=False, as a ratio of gamma functions; zero outside 0 ≤ k ≤ N."""
    no_exact("perm", exact)
    n, k = operand(N), operand(k)
    return where(countable(n, k), poch(add(sub(n, k), 1), k), 0.0)


@when_traced
def factorial(n: Any, exact: bool = False, extend: str = "zero") -> Array:
    """`scipy.special.factorial` with exact=False: Γ(n + 1); zero for n < 0 unless extend="complex"."""
    no_exact("factorial", exact)
    if extend not in ("zero", "complex"):
        raise ValueError(f"argument `extend` must be either 'zero' or 'complex', received: {extend}")
    n = floating(n)
    if extend == "complex":
        return gamma(add(n, 1))
    if n.dtype.kind == "c":
        raise ValueError("complex arguments need extend='complex'")
    n = astype(n, float)
    return where(is_negative(n), 0.0, gamma(add(n, 1)))


# ── periodic and spherical functions ──────────────────────────────────────────


@when_traced
def diric(x: Any, n: Any) -> Array:
    """`scipy.special.diric`, as a Chebyshev polynomial: sin(nx/2) / (n sin(x/2)) = U_(n-1)(cos(x/2)) / n."""
    n = static("diric", "n", n)
    x = astype(lift(x), result_type(lift(x), float))
    if n <= 0:
        return add(scale(x, 0.0), np.nan)
    return scale(eval_chebyu(n - 1, cos(scale(x, 0.5))), 1.0 / n)


def undifferentiated(name: str, diff_n: Any) -> None:
    if diff_n != 0:
        raise NotDifferentiable(
            f"scipy.special.{name}: diff_n={diff_n} on Tensors",
            fix="differentiate with wengert.grad, once per order",
            at=describe(here(3)),
        )


@when_traced
def sph_harm_y(n: Any, m: Any, theta: Any, phi: Any, *, diff_n: int = 0) -> Array:
    """`scipy.special.sph_harm_y` with diff_n=0: differentiable in both angles, at the poles too."""
    undifferentiated("sph_harm_y", diff_n)
    n, m = (np.asarray(values_of_degree(v)) for v in (n, m))
    size = np.abs(m)
    theta, phi = astype(lift(theta), float), astype(lift(phi), float)
    with np.errstate(all="ignore"):
        norm = np.sqrt((2 * n + 1) / (4 * PI) * sp.poch(n + size + 1, -2.0 * size))
    norm = np.where(size > n, 0.0, norm) * np.where((m < 0) & (size % 2 == 1), -1.0, 1.0)
    turn = exp(scale(mul(m.astype(float)[()], phi), 1j))
    return mul(mul(norm[()], lpmv_angle(size[()], n[()], theta)), turn)


def values_of_degree(n: Any) -> Any:
    if type(n) is Tensor and (known := value_of(n)) is None:
        raise NotDifferentiable("scipy.special.sph_harm_y: the degree and order must be constant", at=describe(here(3)))
    return known if type(n) is Tensor else n


def _spherical(name: str, op: Any) -> None:
    """Serve `spherical_jn(n, z, derivative=False)` and its like."""

    def function(n: Any, z: Any, derivative: bool = False) -> Array:
        n = n if type(n) is Tensor else np.asarray(n, np.dtype("long"))[()]
        return (COMPOSED[f"_{name}_d"] if derivative else op)(n, floating(z))

    function.__name__, function.__doc__ = name, f"`scipy.special.{name}`."
    when_traced(function)


for _name in ("spherical_jn", "spherical_yn", "spherical_in", "spherical_kn"):
    _spherical(_name, getattr(special_bessel, _name))
