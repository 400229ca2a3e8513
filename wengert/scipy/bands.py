"""`scipy.linalg`: banded and tridiagonal matrices, and matrices made of few numbers. They are solved as dense ones: n³ operations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from wengert.core.tensor import Array
from wengert.numpy.linalg import inexact
from wengert.numpy.values import seen
from wengert.ops import solve as _systems
from wengert.ops.basis import add, broadcast_to, neg, real, reshape
from wengert.ops.contract import matmul
from wengert.ops.elementwise import abs_, div, mul, sub
from wengert.ops.factor import cholesky as _cholesky
from wengert.ops.index import ARRAY, index
from wengert.ops.matrix import diag_matrix, h, real_of, tril, triu
from wengert.ops.shape import concatenate
from wengert.ops.spectrum import eigh as _eigh
from wengert.scipy.matrix_functions import circulant, toeplitz
from wengert.scipy.serving import as_given, as_matrix, refused, serves

# ── to a band and back ────────────────────────────────────────────────────────


def _ranked(name: str, x: Any, ndim: int) -> Array:
    """`x` as an inexact array of this rank."""
    x = inexact(x)
    if x.ndim != ndim:
        raise refused(name, f"an operand of shape {x.shape} is not served", "wengert.vmap it over the other axes")
    return x


def _chosen(x: Array, inside: np.ndarray, *at: np.ndarray) -> Array:
    """x[at] where `inside`, zero elsewhere."""
    places = [np.where(inside, np.broadcast_to(i, inside.shape), 0) for i in at]
    return mul(index(x, *places, spec=(ARRAY,) * len(places)), inside.astype(real_of(x.dtype)))


def _dense(band: Array, low: int, up: int) -> Array:
    """The matrix whose diagonals are the rows of `band`, from the one `up` above the main diagonal downwards."""
    n = band.shape[1]
    i, j = np.arange(n)[:, None], np.arange(n)
    row = up + i - j
    return _chosen(band, (row >= 0) & (row <= low + up), row, j)


def _band(x: Array, low: int, up: int) -> Array:
    """The diagonals of `x`; what lies outside the matrix is zero."""
    n = x.shape[-1]
    row, j = np.arange(low + up + 1)[:, None], np.arange(n)
    i = row - up + j
    return _chosen(x, (i >= 0) & (i < n), i, j)


def _triangle(band: Array, lower: bool) -> Array:
    width = band.shape[0] - 1
    return _dense(band, width, 0) if lower else _dense(band, 0, width)


def _hermitian(band: Array, lower: bool) -> Array:
    """The Hermitian matrix of which `band` holds one triangle."""
    triangle = _triangle(band, lower)
    strict = tril(triangle, -1) if lower else triu(triangle, 1)
    main = mul(triangle, np.eye(band.shape[1], dtype=real_of(band.dtype)))
    return add(add(strict, h(strict)), real(main) if main.dtype.kind == "c" else main)


# ── systems ───────────────────────────────────────────────────────────────────


@serves
def solve_banded(
    l_and_u: Any,
    ab: Any,
    b: Any,
    overwrite_ab: bool = False,
    overwrite_b: bool = False,
    check_finite: bool = True,
) -> Array:
    """`scipy.linalg.solve_banded`."""
    low, up = l_and_u
    band, (y, vector) = _ranked("solve_banded", ab, 2), as_matrix(inexact(b))
    if band.shape[0] != low + up + 1:
        raise ValueError(f"invalid values for the number of lower and upper diagonals: l+u+1 ({low + up + 1})")
    return as_given(_systems.solve(_dense(band, low, up), y), vector)


@serves
def solveh_banded(
    ab: Any,
    b: Any,
    overwrite_ab: bool = False,
    overwrite_b: bool = False,
    lower: bool = False,
    check_finite: bool = True,
) -> Array:
    """`scipy.linalg.solveh_banded`."""
    band, (y, vector) = _ranked("solveh_banded", ab, 2), as_matrix(inexact(b))
    return as_given(_systems.solve(_hermitian(band, lower), y), vector)


@serves
def cholesky_banded(ab: Any, overwrite_ab: bool = False, lower: bool = False, check_finite: bool = True) -> Array:
    """`scipy.linalg.cholesky_banded`; the corners outside the matrix, which SciPy leaves as they were, are zero."""
    band = _ranked("cholesky_banded", ab, 2)
    width = band.shape[0] - 1
    factor = _cholesky(_hermitian(band, lower))
    return _band(factor, width, 0) if lower else _band(h(factor), 0, width)


@serves
def cho_solve_banded(cb_and_lower: Any, b: Any, overwrite_b: bool = False, check_finite: bool = True) -> Array:
    """`scipy.linalg.cho_solve_banded`."""
    factor, lower = cb_and_lower
    x, (y, vector) = _triangle(_ranked("cho_solve_banded", factor, 2), lower), as_matrix(inexact(b))
    low, up = (x, h(x)) if lower else (h(x), x)
    half = _systems.solve_triangular(low, y, lower=True)
    return as_given(_systems.solve_triangular(up, half, lower=False), vector)


@serves
def solve_circulant(
    c: Any, b: Any, singular: str = "raise", tol: Any = None, caxis: int = -1, baxis: int = 0, outaxis: int = 0
) -> Array:
    """`scipy.linalg.solve_circulant` with the default axes."""
    if (caxis, baxis, outaxis) != (-1, 0, 0):
        raise refused("solve_circulant", "no rule for other axes than the default", "move the axes before and after")
    x, (y, vector) = _ranked("solve_circulant", c, 1), as_matrix(inexact(b))
    known = seen(x)
    size = np.ones(1) if known is None else np.abs(np.fft.fft(np.asarray(known), axis=-1))
    if known is not None and np.any(
        size <= (size.max(axis=-1, keepdims=True) * x.size * np.finfo(float).eps if tol is None else tol)
    ):
        if singular == "raise":
            raise np.linalg.LinAlgError("near singular circulant matrix.")
        raise refused("solve_circulant", "no rule for singular matrices", "use pinv(circulant(c)) @ b")
    return as_given(_systems.solve(circulant(x), y), vector)


@serves
def matmul_toeplitz(c_or_cr: Any, x: Any, check_finite: bool = False, workers: Any = None) -> Array:
    """`scipy.linalg.matmul_toeplitz`."""
    parts = c_or_cr if isinstance(c_or_cr, tuple) else (c_or_cr,)
    y, vector = as_matrix(inexact(x))
    return as_given(matmul(inexact(toeplitz(*parts)), y), vector)


# ── spectra ───────────────────────────────────────────────────────────────────


def _selected(name: str, x: Array, select: Any, select_range: Any) -> Array:
    """The eigenvalues of a Hermitian matrix that `select` names."""
    if select in (1, "v", "value"):
        raise refused(name, "how many values lie in an interval depends on the values", "select from all of them")
    w = _eigh(x, lower=True, driver="evr")[0]
    if select in (0, "a", "all"):
        return w
    if select not in (2, "i", "index"):
        raise ValueError("invalid argument for select")
    first, last = (int(i) for i in select_range)
    return index(w, spec=slice(first, last + 1))


@serves
def eigvals_banded(
    a_band: Any,
    lower: bool = False,
    overwrite_a_band: bool = False,
    select: Any = "a",
    select_range: Any = None,
    check_finite: bool = True,
) -> Array:
    """`scipy.linalg.eigvals_banded`."""
    x = _hermitian(_ranked("eigvals_banded", a_band, 2), lower)
    return _selected("eigvals_banded", x, select, select_range)


@serves
def eigvalsh_tridiagonal(
    d: Any,
    e: Any,
    select: Any = "a",
    select_range: Any = None,
    check_finite: bool = True,
    tol: float = 0.0,
    lapack_driver: str = "auto",
) -> Array:
    """`scipy.linalg.eigvalsh_tridiagonal`."""
    d, e = _ranked("eigvalsh_tridiagonal", d, 1), _ranked("eigvalsh_tridiagonal", e, 1)
    if d.dtype.kind == "c" or e.dtype.kind == "c":
        raise TypeError("Only real arrays currently supported")
    if d.size != e.size + 1:
        raise ValueError(f"d ({d.size}) must have one more element than e ({e.size})")
    i = np.arange(d.size)
    beside = _chosen(e, i[:, None] == i + 1, i) if e.size else np.zeros((1, 1), d.dtype)
    return _selected("eigvalsh_tridiagonal", add(diag_matrix(d), add(beside, h(beside))), select, select_range)


# ── matrices of few numbers ───────────────────────────────────────────────────


def _below(rows: int, columns: int, k: int = 1) -> np.ndarray:
    """Whether an element lies on the diagonal k below the main one."""
    return np.arange(rows)[:, None] == np.arange(columns) + k


@serves
def companion(a: Any) -> Array:
    """`scipy.linalg.companion`."""
    x = inexact(a)
    n = x.shape[-1]
    if n < 2:
        raise ValueError("The length of `a` along the last axis must be at least 2.")
    if (known := seen(x)) is not None and np.any(np.asarray(known)[..., 0] == 0):
        raise ValueError("The first coefficient(s) of `a` (i.e. elements of `a[..., 0]`) must not be zero.")
    rest, lead = (index(x, spec=(Ellipsis, s)) for s in (slice(1, None), slice(0, 1)))
    first = neg(div(rest, lead))
    first = reshape(first, shape=(*first.shape[:-1], 1, n - 1))
    below = broadcast_to(_below(n - 1, n - 1)[1:].astype(first.dtype), shape=(*x.shape[:-1], n - 2, n - 1))
    return concatenate(first, below, axis=x.ndim - 1, sizes=(1, n - 2))


@serves
def leslie(f: Any, s: Any) -> Array:
    """`scipy.linalg.leslie`."""
    f, s = _ranked("leslie", f, 1), _ranked("leslie", s, 1)
    n = f.size
    if n != s.size + 1 or not s.size:
        raise ValueError(
            "Incorrect lengths for f and s. The length of s must be at least 1, and one less than that of f."
        )
    first = np.arange(n)[:, None] == np.zeros(n, int)
    return add(_chosen(f, first, np.arange(n)), _chosen(s, _below(n, n), np.arange(n)))


@serves
def fiedler(a: Any) -> Array:
    """`scipy.linalg.fiedler`: |aᵢ - aⱼ|, with derivative zero where two are equal."""
    x = _ranked("fiedler", a, 1)
    return abs_(sub(reshape(x, shape=(x.size, 1)), x))


@serves
def convolution_matrix(a: Any, n: int, mode: str = "full") -> Array:
    """`scipy.linalg.convolution_matrix`."""
    x = _ranked("convolution_matrix", a, 1)
    if n <= 0:
        raise ValueError("n must be a positive integer.")
    if not x.size:
        raise ValueError("len(a) must be at least 1.")
    if mode not in ("full", "valid", "same"):
        raise ValueError("'mode' argument must be one of ('full', 'valid', 'same')")
    rows, cut = x.size + n - 1, min(n, x.size) - 1
    start, end = {"full": (0, 0), "valid": (cut, cut), "same": (cut // 2, cut - cut // 2)}[mode]
    at = np.arange(rows)[start : rows - end, None] - np.arange(n)
    return _chosen(x, (at >= 0) & (at < x.size), at)


@serves
def diagsvd(s: Any, M: int, N: int) -> Array:
    """`scipy.linalg.diagsvd`."""
    x = _ranked("diagsvd", s, 1)
    if x.size not in (M, N) or x.size > min(M, N):
        raise ValueError("Length of s must be M or N.")
    return _chosen(x, _below(M, N, 0), np.arange(N)) if math.prod((M, N)) else np.zeros((M, N), x.dtype)


__all__ = [
    "cho_solve_banded",
    "cholesky_banded",
    "companion",
    "convolution_matrix",
    "diagsvd",
    "eigvals_banded",
    "eigvalsh_tridiagonal",
    "fiedler",
    "leslie",
    "matmul_toeplitz",
    "solve_banded",
    "solve_circulant",
    "solveh_banded",
]
