"""Polynomials by coefficients, highest power first: NumPy's `poly…` functions.

The functions of `numpy.polynomial` (`polynomial.polyval(x, c)`, `chebyshev.chebval`, …) are ordinary
Python over operators, and work in x as they are; in the coefficients they call `numpy.array`, which
raises on a Tensor. `poly1d` holds an ndarray and raises too.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from wengert.core.errors import NotDifferentiable
from wengert.core.source import describe, here
from wengert.core.tensor import Array, Tensor
from wengert.numpy.arrays import astype, lift, promoted
from wengert.numpy.calculus import convolve, floating, joined
from wengert.numpy.registry import NAMES
from wengert.numpy.traced import served, value_of, when_traced
from wengert.ops.basis import add, broadcast_to, real, reduce_sum, reshape, transpose
from wengert.ops.elementwise import div, mul, sqrt, square, sub
from wengert.ops.index import index
from wengert.ops.polynomial import roots as roots_op
from wengert.ops.shape import stack


def coefficients(p: Any) -> Array:
    """Coefficients as a vector; a `poly1d` gives its own."""
    c = lift(np.asarray(p.coeffs) if isinstance(p, np.poly1d) else p)
    c = reshape(c, shape=(1,)) if c.ndim == 0 else c
    if c.ndim != 1:
        raise ValueError("Polynomial must be 1d only.")
    return c


def leading_zeros(c: Array) -> int:
    """How many leading coefficients are zero (one is always kept). Under vmap, where examples differ, none."""
    known = value_of(c)
    if known is None:
        return 0
    nonzero = np.flatnonzero(known)
    return int(nonzero[0]) if nonzero.size else max(c.shape[0] - 1, 0)


# ── values and arithmetic ─────────────────────────────────────────────────────


@when_traced("polyval")
def polyval(p: Any, x: Any) -> Array:
    """`numpy.polyval`: Horner's scheme; differentiable in the coefficients and in x."""
    if isinstance(x, np.poly1d):
        raise NotDifferentiable(
            "numpy.polyval",
            got="a poly1d to substitute",
            want="numbers",
            fix="compose with polymul and polyadd",
            at=describe(here(2)),
        )
    c = coefficients(p) if isinstance(p, np.poly1d) else lift(p)
    x = lift(x)
    if c.shape[0] == 0:
        return np.zeros(x.shape, x.dtype)[()]
    out = index(c, spec=0)
    if x.dtype.kind == "b" or c.dtype.kind == "b":
        x, out = floating(x), floating(out)
    for i in range(1, c.shape[0]):
        out = add(mul(out, x), index(c, spec=i))
    dtype = np.result_type(c.dtype, x.dtype)
    out = out if out.dtype == dtype else astype(out, dtype)
    if out.shape != (shape := (*c.shape[1:],) if not x.shape else np.broadcast_shapes(c.shape[1:], x.shape)):
        out = broadcast_to(out, shape=shape)
    return out


def _aligned(a1: Any, a2: Any) -> tuple[Array, Array]:
    """Two coefficient vectors, padded in front to one length."""
    a, b = coefficients(a1), coefficients(a2)
    n = max(a.shape[0], b.shape[0])
    a, b = (joined([np.zeros(n - c.shape[0], c.dtype), c]) if c.shape[0] < n else c for c in (a, b))
    return a, b


@when_traced("polyadd")
def polyadd(a1: Any, a2: Any) -> Array:
    """`numpy.polyadd`."""
    return add(*_aligned(a1, a2))


@when_traced("polysub")
def polysub(a1: Any, a2: Any) -> Array:
    """`numpy.polysub`."""
    return sub(*_aligned(a1, a2))


@when_traced("polymul")
def polymul(a1: Any, a2: Any) -> Array:
    """`numpy.polymul`. Leading zeros shorten the result as in NumPy, and keep their influence on the rest of it."""
    a, b = coefficients(a1), coefficients(a2)
    drop = leading_zeros(a) + leading_zeros(b)
    product = convolve(a, b)
    return index(product, spec=slice(drop, None)) if drop else product


@when_traced("polydiv")
def polydiv(u: Any, v: Any) -> tuple[Array, Array]:
    """`numpy.polydiv`: quotient and remainder, by synthetic division.

    Leading zeros of the remainder are dropped as in NumPy. Under vmap, where examples may differ
    in them, the remainder has the divisor's length less one.
    """
    a, b = promoted([floating(coefficients(u)), floating(coefficients(v))])
    m, n = a.shape[0] - 1, b.shape[0] - 1
    steps = m - n + 1
    if steps <= 0:
        return np.zeros(1, a.dtype), index(a, spec=slice(_negligible(a), None))
    batched = value_of(a) is None or value_of(b) is None
    inverse = div(1.0, index(b, spec=0))
    quotient, done = [], []
    rest = a
    for _ in range(steps):
        q = mul(inverse, index(rest, spec=0))
        quotient.append(q)
        head = sub(index(rest, spec=slice(0, n + 1)), mul(q, b))
        done.append(index(head, spec=slice(0, 1)))  # zero but for rounding, which decides NumPy's length
        rest = joined([index(head, spec=slice(1, None)), index(rest, spec=slice(n + 1, None))])
    if batched:
        return stack(*quotient, axis=0), rest if n else np.zeros(1, a.dtype)
    whole = joined([*done, rest])
    return stack(*quotient, axis=0), index(whole, spec=slice(_negligible(whole), None))


def _negligible(r: Array) -> int:
    known = value_of(r)
    k = 0
    while known is not None and k < r.shape[0] - 1 and np.allclose(known[k], 0, rtol=1e-14):
        k += 1
    return k


# ── calculus ──────────────────────────────────────────────────────────────────


@when_traced("polyder")
def polyder(p: Any, m: int = 1) -> Array:
    """`numpy.polyder`: coefficients of the m-th derivative."""
    m = int(m)
    if m < 0:
        raise ValueError("Order of derivative must be positive (see polyint)")
    c = lift(p)
    for _ in range(m):
        c = mul(index(c, spec=slice(None, -1)), np.arange(c.shape[0] - 1, 0, -1).astype(_factor(c)))
    return c


def _factor(c: Array) -> np.dtype:
    """The dtype in which integer factors keep the dtype that NumPy's result has."""
    return np.result_type(c.dtype, np.intp)


@when_traced("polyint")
def polyint(p: Any, m: int = 1, k: Any = None) -> Array:
    """`numpy.polyint`: coefficients of the m-th antiderivative; differentiable in the integration constants."""
    m = int(m)
    if m < 0:
        raise ValueError("Order of integral must be positive (see polyder)")
    c = coefficients(p)
    constants = np.zeros(m) if k is None else lift(k)
    constants = reshape(constants, shape=(1,)) if constants.ndim == 0 else constants
    if constants.shape[0] == 1 and m > 1:
        constants = mul(index(constants, spec=0), np.ones(m))
    if constants.shape[0] < m:
        raise ValueError("k must be a scalar or a rank-1 array of length 1 or >m.")
    for i in range(m):
        c = div(c, np.arange(c.shape[0], 0, -1))
        c = joined([c, index(constants, spec=slice(i, i + 1))])
    return c


# ── roots ─────────────────────────────────────────────────────────────────────


@when_traced("poly")
def poly(seq_of_zeros: Any) -> Array:
    """`numpy.poly`: coefficients from roots, or of a matrix's characteristic polynomial."""
    z = lift(seq_of_zeros)
    z = reshape(z, shape=(1,)) if z.ndim == 0 else z
    if z.ndim == 2 and z.shape[0] == z.shape[1] != 0:
        if "linalg.eigvals" not in NAMES:
            raise NotDifferentiable("numpy.poly of a matrix: it needs linalg.eigvals", fix="pass the eigenvalues")
        z = lift(served("linalg.eigvals")(z))
    elif z.ndim != 1:
        raise ValueError("input must be 1d or non-empty square 2d array.")
    z = floating(z)
    one = np.ones(1, z.dtype)
    out: Array = one
    for i in range(z.shape[0]):
        zero = np.zeros(1, z.dtype)
        # a·(x - z): the coefficients, and themselves times -z one place lower
        out = sub(joined([out, zero]), joined([zero, mul(out, index(z, spec=i))]))
    if out.dtype.kind == "c":
        known = value_of(z)
        if known is not None and np.all(np.sort(known) == np.sort(np.conj(known))):
            return real(out)
    return out


@when_traced("roots")
def roots(p: Any) -> Array:
    """`numpy.roots`, by implicit differentiation of p(r) = 0.

    A multiple root has no derivative (it is infinite). Under vmap the result is always complex,
    and leading coefficients must not be zero.
    """
    c = lift(p)
    c = reshape(c, shape=(1,)) if c.ndim == 0 else c
    if c.ndim != 1:
        raise ValueError("Input must be a rank-1 array.")
    known = value_of(c)
    if known is None:
        return roots_op(c, lead=0)
    if not np.any(known):
        return np.array([])
    lead = leading_zeros(c)
    found = roots_op(c, lead=lead)
    if np.iscomplexobj(np.roots(known)):
        return found
    return real(found)


# ── fitting ───────────────────────────────────────────────────────────────────


def vander(x: Any, N: int | None = None, increasing: bool = False) -> Array:
    """`numpy.vander`: powers of x in columns."""
    x = lift(x)
    if x.ndim != 1:
        raise ValueError("x must be a one-dimensional array or sequence.")
    n = x.shape[0] if N is None else N
    dtype = np.result_type(x.dtype, int)
    columns: list[Array] = [np.ones(x.shape, dtype)]
    for _ in range(n - 1):
        columns.append(mul(columns[-1], x))
    columns = columns[:n]
    if not columns:
        return np.zeros((x.shape[0], 0), dtype)
    return stack(*promoted(columns if increasing else columns[::-1]), axis=1)


@when_traced("polyfit")
def polyfit(x: Any, y: Any, deg: int, rcond: Any = None, full: bool = False, w: Any = None, cov: Any = False) -> Any:
    """`numpy.polyfit`: least squares; differentiable in y, x and the weights.

    Its derivative is that of `numpy.linalg.lstsq` on the scaled Vandermonde matrix.
    """
    order = int(deg) + 1
    x, y = floating(lift(x)), floating(lift(y))
    _check_fit(deg, x, y)
    if rcond is None:
        rcond = x.shape[0] * np.finfo(x.dtype).eps
    a, b = vander(x, order), y
    if w is not None:
        w = floating(lift(w))
        if w.ndim != 1:
            raise TypeError("expected a 1-d array for weights")
        if w.shape[0] != y.shape[0]:
            raise TypeError("expected w and y to have the same length")
        column = reshape(w, shape=(w.shape[0], 1))
        a, b = mul(a, column), mul(b, column if b.ndim == 2 else w)
    norms = sqrt(reduce_sum(square(a), axes=(0,)))
    a = div(a, norms)
    c, residuals, rank, s = served("linalg.lstsq")(a, b, rcond)
    c = div(c, reshape(norms, shape=(order, 1)) if c.ndim == 2 else norms)
    if full:
        return c, residuals, rank, s, rcond
    if type(rank) is not Tensor and rank != order:
        warnings.warn("Polyfit may be poorly conditioned", np.exceptions.RankWarning, stacklevel=3)
    return (c, _covariance(a, norms, residuals, cov, x.shape[0], order, y.ndim)) if cov else c


def _check_fit(deg: int, x: Array, y: Array) -> None:
    if deg < 0:
        raise ValueError("expected deg >= 0")
    if x.ndim != 1:
        raise TypeError("expected 1D vector for x")
    if x.size == 0:
        raise TypeError("expected non-empty vector for x")
    if y.ndim < 1 or y.ndim > 2:
        raise TypeError("expected 1D or 2D array for y")
    if x.shape[0] != y.shape[0]:
        raise TypeError("expected x and y to have same length")


def _covariance(a: Array, norms: Array, residuals: Array, cov: Any, n: int, order: int, rank_y: int) -> Array:
    gram = served("matmul")(transpose(a, axes=(1, 0)), a)
    base = served("linalg.inv")(gram)
    base = div(base, mul(reshape(norms, shape=(order, 1)), norms))
    if cov == "unscaled":
        factor: Any = 1
    elif n <= order:
        raise ValueError("the number of data points must exceed order to scale the covariance matrix")
    else:
        factor = div(residuals, n - order)
    return mul(base if rank_y == 1 else reshape(base, shape=(order, order, 1)), factor)
