"""`numpy.linalg`, complete. Matrices are the last two axes, and stacks of them work as in NumPy.

Symmetric arguments  `cholesky`, `eigh` and the like read one triangle. Where the argument is Hermitian up to
        rounding, it is taken as a function of its Hermitian part, so that gradients are Hermitian
        (the convention of JAX and PyTorch). Where it is not, the triangle is what counts, in
        value and derivative.
Gauge   Singular vectors, eigenvectors and bases of complements are unique up to signs or phases; see the
        notes of the ops for what their tangents leave open.
"""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np
from numpy.linalg import LinAlgError

from wengert.core.aval import is_inexact
from wengert.core.errors import ConcretizationError, NotDifferentiable
from wengert.core.source import describe, here
from wengert.core.tensor import Array, staged
from wengert.numpy.arrays import astype, axis_of, kept, lift
from wengert.numpy.contracting import linalg_matmul as matmul
from wengert.numpy.contracting import linalg_outer as outer
from wengert.numpy.contracting import linalg_vecdot as vecdot
from wengert.numpy.contracting import multi_dot, tensordot
from wengert.numpy.registry import NAMES, constant
from wengert.numpy.traced import served, when_traced
from wengert.numpy.values import seen
from wengert.ops import solve as systems
from wengert.ops.basis import add, real, real_dtype, reduce_sum, reshape, transpose
from wengert.ops.contract import matmul as matmul_op
from wengert.ops.elementwise import abs_, div, mul, sign, square, sub
from wengert.ops.factor import cholesky as cholesky_op
from wengert.ops.factor import qr as qr_op
from wengert.ops.index import index
from wengert.ops.matrix import columns, h, t, tril, triu
from wengert.ops.norm import norm2, norm_p
from wengert.ops.reduce import count_nonzero, reduce_any, reduce_max, reduce_min
from wengert.ops.select import where
from wengert.ops.shape import concatenate
from wengert.ops.spectrum import eig as eig_op
from wengert.ops.spectrum import eigh as eigh_op
from wengert.ops.spectrum import svd as svd_op

# NumPy's result types, which have no public name in all versions
EigResult = type(np.linalg.eig(np.eye(1)))
EighResult = type(np.linalg.eigh(np.eye(1)))
QRResult = type(np.linalg.qr(np.eye(1)))
SVDResult = type(np.linalg.svd(np.eye(1)))
SlogdetResult = type(np.linalg.slogdet(np.eye(1)))

# ── arguments ─────────────────────────────────────────────────────────────────


def inexact(x: Any) -> Array:
    """As an array of floats or complex numbers."""
    x = lift(x)
    return x if is_inexact(x.dtype) else astype(x, float)


def matrices(x: Any, *, square: bool = False) -> Array:
    """As a stack of matrices, or NumPy's LinAlgError."""
    x = inexact(x)
    if x.ndim < 2:
        raise LinAlgError(f"{x.ndim}-dimensional array given. Array must be at least two-dimensional")
    if square and x.shape[-1] != x.shape[-2]:
        raise LinAlgError("Last 2 dimensions of the array must be square")
    return x


def symmetric(x: Any, lower: bool) -> Array:
    """A Hermitian argument as it is; of any other one, what the triangle says."""
    x = matrices(x, square=True)
    value = seen(x)
    if value is None and not staged(x):  # a prediction of memory, which takes it for one
        return x
    if value is None:  # decided when it runs
        triangle = add(tril(x), h(tril(x, -1))) if lower else add(triu(x), h(triu(x, 1)))
        size = 4 * x.shape[-1] * np.finfo(x.dtype).eps * largest(abs_(x), (x.ndim - 2, x.ndim - 1)) if x.size else 0.0
        skew = largest(abs_(sub(x, h(x))), (x.ndim - 2, x.ndim - 1)) if x.size else 0.0
        return where(served("all")(skew <= size), x, triangle)
    value = np.asarray(value)
    skew = np.abs(value - value.conj().swapaxes(-1, -2)).max(initial=0)
    if skew <= 4 * x.shape[-1] * np.finfo(value.dtype).eps * np.abs(value).max(initial=0):
        return x
    return add(tril(x), h(tril(x, -1))) if lower else add(triu(x), h(triu(x, 1)))


def is_lower(uplo: str) -> bool:
    """`UPLO=`."""
    if uplo.upper() not in ("L", "U"):
        raise ValueError("UPLO argument must be 'L' or 'U'")
    return uplo.upper() == "L"


# ── systems, inverses, determinants ───────────────────────────────────────────


@when_traced("linalg.solve")
def solve(a: Any, b: Any) -> Array:
    """`numpy.linalg.solve`."""
    x, y = matrices(a, square=True), inexact(b)
    if y.ndim == 1:
        return reshape_last(systems.solve(x, reshape(y, shape=(*y.shape, 1))))
    return systems.solve(x, y)


def reshape_last(x: Array) -> Array:
    """Without the last axis, which has length one."""
    return reshape(x, shape=x.shape[:-1])


@when_traced("linalg.inv")
def inv(a: Any) -> Array:
    """`numpy.linalg.inv`."""
    return systems.inv(matrices(a, square=True))


@when_traced("linalg.det")
def det(a: Any) -> Array:
    """`numpy.linalg.det`."""
    return systems.det(matrices(a, square=True))


@when_traced("linalg.slogdet")
def slogdet(a: Any) -> Any:
    """`numpy.linalg.slogdet`."""
    return SlogdetResult(*systems.slogdet(matrices(a, square=True)))


@when_traced("linalg.pinv")
def pinv(a: Any, rcond: Any = None, hermitian: bool = False, *, rtol: Any = np._NoValue) -> Array:
    """`numpy.linalg.pinv`; the derivative is that along matrices of the same rank."""
    x = matrices(a, square=hermitian)
    if rcond is not None and rtol is not np._NoValue:
        raise ValueError("`rtol` and `rcond` can't be both set.")
    if rcond is None:
        rcond = 1e-15 if rtol is np._NoValue else rtol
    if rcond is None:
        rcond = max(x.shape[-2:]) * np.finfo(x.dtype).eps
    if not x.size:
        return t(x)
    if hermitian:
        return systems.pinv(symmetric(x, True), lift(rcond), symmetric=True)
    return systems.pinv(x, lift(rcond))


@when_traced("linalg.lstsq")
def lstsq(a: Any, b: Any, rcond: float | None = None) -> tuple[Array, Array, Any, Array]:
    """`numpy.linalg.lstsq`: all four results; rank and the shape of the residuals are read from values."""
    x, y = inexact(a), inexact(b)
    vector = y.ndim == 1
    if vector:
        y = reshape(y, shape=(*y.shape, 1))
    for v in (x, y):
        if v.ndim != 2:
            raise LinAlgError(f"{v.ndim}-dimensional array given. Array must be two-dimensional")
    m, n = x.shape
    if m != y.shape[0]:
        raise LinAlgError("Incompatible dimensions")
    dtype = np.result_type(x.dtype, y.dtype)
    cut = float(np.finfo(dtype).eps) * max(n, m) if rcond is None else float(rcond)
    out = systems.lstsq(x, y, rcond=cut)
    s = svdvals(x)
    known = seen(s) is not None
    rank = rank_of(s, cut) if known else staged_rank(s, cut)
    residuals: Array = np.array([], np.finfo(dtype).dtype)
    if (not known or rank == n) and m > n:
        residuals = reduce_sum(square(abs_(sub(y, matmul_op(x, out)))), axes=(0,))
        if not known:  # NumPy has none where the rank is not full; the shape is fixed here, and NaN says so
            residuals = where(rank == n, residuals, np.nan)
    return (reshape_last(out) if vector else out), residuals, rank, s


def staged_rank(s: Array, rcond: float) -> Array:
    """As `rank_of`, when it runs."""
    counts = astype(s > mul(rcond, largest(s, (s.ndim - 1,))), np.int32)
    return astype(served("sum")(counts, axis=-1), np.int32)


def rank_of(s: Array, rcond: float) -> Any:
    """How many singular values count, where all examples of a vmap agree."""
    values = np.asarray(seen(s))
    ranks = np.unique(np.sum(values > rcond * values.max(-1, initial=0, keepdims=True), -1))
    if ranks.size > 1:
        raise ConcretizationError(
            "numpy.linalg.lstsq",
            got=f"examples of ranks {ranks.tolist()} under vmap",
            want="one rank, on which the shape of the residuals depends",
            fix="use numpy.linalg.pinv(a) @ b",
            at=describe(here(3)),
        )
    return np.int32(ranks[0] if ranks.size else 0)


@when_traced("linalg.tensorsolve")
def tensorsolve(a: Any, b: Any, axes: Any = None) -> Array:
    """`numpy.linalg.tensorsolve`."""
    x, y = inexact(a), inexact(b)
    if axes is not None:
        last = [axis_of(i, x.ndim) for i in axes]
        x = transpose(x, axes=(*(i for i in range(x.ndim) if i not in last), *last))
    shape = x.shape[-(x.ndim - y.ndim) :]
    n = math.prod(shape)
    if x.size != n**2:
        raise LinAlgError("Input arrays must satisfy the requirement prod(a.shape[b.ndim:]) == prod(a.shape[:b.ndim])")
    return reshape(solve(reshape(x, shape=(n, n)), reshape(y, shape=(y.size,))), shape=shape)


@when_traced("linalg.tensorinv")
def tensorinv(a: Any, ind: int = 2) -> Array:
    """`numpy.linalg.tensorinv`."""
    x = inexact(a)
    if ind <= 0:
        raise ValueError("Invalid ind argument.")
    n = math.prod(x.shape[ind:])
    return reshape(inv(reshape(x, shape=(n, x.size // n if n else 0))), shape=x.shape[ind:] + x.shape[:ind])


@when_traced("linalg.matrix_power")
def matrix_power(a: Any, n: Any) -> Array:
    """`numpy.linalg.matrix_power`, by repeated squaring."""
    x, n = matrices(a, square=True), operator.index(n)
    if n == 0:
        return np.broadcast_to(np.eye(x.shape[-1], dtype=x.dtype), x.shape).copy()
    if n < 0:
        x, n = systems.inv(x), -n
    out = None
    while True:
        if n & 1:
            out = x if out is None else matmul_op(out, x)
        n >>= 1
        if not n:
            return out
        x = matmul_op(x, x)


# ── factorizations ────────────────────────────────────────────────────────────


@when_traced("linalg.cholesky")
def cholesky(a: Any, /, *, upper: bool = False) -> Array:
    """`numpy.linalg.cholesky`."""
    factor = cholesky_op(symmetric(a, not upper))
    return h(factor) if upper else factor


@when_traced("linalg.qr")
def qr(a: Any, mode: str = "reduced") -> Any:
    """`numpy.linalg.qr` of a matrix of full rank; mode 'raw' is refused."""
    mode = {"f": "reduced", "full": "reduced", "e": "raw", "economic": "raw"}.get(mode, mode)
    if mode == "raw":
        raise NotDifferentiable(
            "numpy.linalg.qr: mode='raw' gives Householder reflectors, which no derivative rule is known for",
            fix="use mode='reduced', 'complete' or 'r'",
            at=describe(here(2)),
        )
    if mode not in ("reduced", "complete", "r"):
        raise ValueError(f"Unrecognized mode '{mode}'")
    x = matrices(a)
    m, n = x.shape[-2:]
    if m < n:  # the first m columns determine Q
        every = slice(None)
        q, r = qr_op(index(x, spec=(Ellipsis, slice(m))))
        rest = matmul_op(h(q), index(x, spec=(Ellipsis, every, slice(m, None))))
        r = concatenate(r, rest, axis=x.ndim - 1, sizes=(m, n - m))
    else:
        q, r = qr_op(x, complete=True) if mode == "complete" and m > n else qr_op(x)
        if mode == "complete" and m > n:
            below = np.zeros((*x.shape[:-2], m - n, n), r.dtype)
            r = concatenate(r, below, axis=x.ndim - 2, sizes=(n, m - n))
    return r if mode == "r" else QRResult(q, r)


@when_traced("linalg.svd")
def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    """`numpy.linalg.svd`."""
    if hermitian:
        return hermitian_svd(a, compute_uv)
    x = matrices(a)
    if not compute_uv:
        return svd_op(x)[1]
    return SVDResult(*(svd_op(x, full=True) if full_matrices and x.shape[-1] != x.shape[-2] else svd_op(x)))


def hermitian_svd(a: Any, compute_uv: bool) -> Any:
    """From the eigenvalues, in descending order of their moduli."""
    w, v = eigh_op(symmetric(a, True))
    s = abs_(w)
    order = served("flip")(served("argsort")(s), -1)
    take = served("take_along_axis")
    s = take(s, order, axis=-1)
    if not compute_uv:
        return s
    positive = sign(add(mul(2, sign(w)), 1))  # 1 for an eigenvalue of zero
    u = take(v, reshape(order, shape=(*order.shape[:-1], 1, order.shape[-1])), axis=-1)
    return SVDResult(u, s, h(columns(u, take(positive, order, axis=-1))))


@when_traced("linalg.svdvals")
def svdvals(x: Any, /) -> Array:
    """`numpy.linalg.svdvals`."""
    return svd_op(matrices(x))[1]


@when_traced("linalg.eigh")
def eigh(a: Any, UPLO: str = "L") -> Any:
    """`numpy.linalg.eigh`."""
    lower = is_lower(UPLO)
    return EighResult(*eigh_op(symmetric(a, lower), lower=lower))


@when_traced("linalg.eigvalsh")
def eigvalsh(a: Any, UPLO: str = "L") -> Array:
    """`numpy.linalg.eigvalsh`."""
    return eigh(a, UPLO)[0]


# Until 2.4 NumPy gives real eigenvalues of a real matrix as real numbers.
REAL_EIGENVALUES = np.linalg.eigvals(np.eye(1)).dtype.kind == "f"


@when_traced("linalg.eig")
def eig(a: Any) -> Any:
    """`numpy.linalg.eig`; real where NumPy's is."""
    x = matrices(a, square=True)
    w, v = eig_op(x)
    if REAL_EIGENVALUES and x.dtype.kind != "c" and (known := seen(w)) is not None and not np.any(np.imag(known)):
        w, v = real(w), real(v)
    return EigResult(w, v)


@when_traced("linalg.eigvals")
def eigvals(a: Any) -> Array:
    """`numpy.linalg.eigvals`."""
    return eig(a)[0]


# ── norms ─────────────────────────────────────────────────────────────────────


@when_traced("linalg.norm")
def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> Array:
    """`numpy.linalg.norm`, of any order; the subgradient at 0 is 0."""
    v = inexact(x)
    if axis is None:
        axes = tuple(range(v.ndim))
        if ord is None or (ord in ("f", "fro") and v.ndim == 2) or (ord == 2 and v.ndim == 1):
            out = norm2(v, axes=axes)
            return kept(out, v.shape, axes) if keepdims else out
    elif isinstance(axis, tuple):
        axes = tuple(axis_of(i, v.ndim) for i in axis)
    else:
        try:
            axes = (axis_of(axis, v.ndim),)
        except TypeError:
            raise TypeError("'axis' must be None, an integer or a tuple of integers") from None
    if len(axes) == 1:
        out = vector(v, ord, axes)
    elif len(axes) == 2:
        if axes[0] == axes[1]:
            raise ValueError("Duplicate axes given.")
        out = matrix(v, ord, axes)
    else:
        raise ValueError("Improper number of dimensions to norm.")
    return kept(out, v.shape, axes) if keepdims else out


def vector(x: Array, ord: Any, axes: tuple[int, ...]) -> Array:
    """Norms of vectors along one axis."""
    if ord is None or ord == 2:
        return norm2(x, axes=axes)
    if isinstance(ord, str):
        raise ValueError(f"Invalid norm order '{ord}' for vectors")
    if ord == 0:
        return astype(count_nonzero(x, axes=axes), real_dtype(x.dtype))
    if ord == 1:
        return reduce_sum(abs_(x), axes=axes)
    if ord == math.inf:
        return largest(abs_(x), axes)
    if ord == -math.inf:
        return reduce_min(abs_(x), axes=axes)
    return norm_p(x, axes=axes, p=float(ord))


def largest(x: Array, axes: tuple[int, ...]) -> Array:
    """The maximum of non-negative elements; 0 of none."""
    if all(x.shape[i] for i in axes):
        return reduce_max(x, axes=axes)
    return reduce_sum(x, axes=axes)


def matrix(x: Array, ord: Any, axes: tuple[int, int]) -> Array:
    """Norms of matrices over two axes, in either order."""
    if ord is None or ord in ("fro", "f"):
        return norm2(x, axes=tuple(sorted(axes)))
    row, column = axes
    if ord in (2, -2, "nuc"):
        moved = transpose(x, axes=(*(i for i in range(x.ndim) if i not in axes), row, column))
        s = safe_svdvals(moved)
        last = (s.ndim - 1,)
        return reduce_sum(s, axes=last) if ord == "nuc" else largest(s, last) if ord == 2 else reduce_min(s, axes=last)
    if ord not in (1, -1, math.inf, -math.inf):
        raise ValueError("Invalid norm order for matrices.")
    summed, left = (row, column) if abs(ord) == 1 else (column, row)
    sums = reduce_sum(abs_(x), axes=(summed,))
    rest = (left - (left > summed),)
    return largest(sums, rest) if ord > 0 else reduce_min(sums, axes=rest)


def safe_svdvals(x: Array) -> Array:
    """Singular values, with the subgradient 0 for those of value zero, and no derivative at all of a zero matrix."""
    m, n = x.shape[-2:]
    nonzero = reduce_any(x, axes=(x.ndim - 2, x.ndim - 1))
    stand_in = np.diag(np.arange(1.0, 1 + max(m, n)))[:m, :n].astype(x.dtype)  # with vectors that have a derivative
    s = svd_op(where(reshape(nonzero, shape=(*nonzero.shape, 1, 1)), x, stand_in))[1]
    return where(reshape(nonzero, shape=(*nonzero.shape, 1)), abs_(s), 0.0)


@when_traced("linalg.matrix_norm")
def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> Array:
    """`numpy.linalg.matrix_norm`."""
    return norm(x, axis=(-2, -1), keepdims=keepdims, ord=ord)


@when_traced("linalg.vector_norm")
def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> Array:
    """`numpy.linalg.vector_norm`."""
    v = inexact(x)
    if axis is None:
        axes = tuple(range(v.ndim))
    else:
        axes = tuple(axis_of(i, v.ndim) for i in (axis if isinstance(axis, tuple) else (axis,)))
    out = vector(v, ord, axes)
    return kept(out, v.shape, axes) if keepdims else out


@when_traced("linalg.cond")
def cond(x: Any, p: Any = None) -> Array:
    """`numpy.linalg.cond`, in any norm."""
    v = matrices(x)
    if not v.size:
        raise LinAlgError("cond is not defined on empty arrays")
    if p is None or p in (2, -2):
        s = svd_op(v)[1]
        first, last = index(s, spec=(Ellipsis, 0)), index(s, spec=(Ellipsis, -1))
        out = div(last, first) if p == -2 else div(first, last)
    else:
        v = matrices(v, square=True)
        axes = (v.ndim - 2, v.ndim - 1)
        out = mul(matrix(v, p, axes), matrix(systems.inv(v, singular="infinite"), p, axes))
    known = seen(out)
    if known is None or np.isnan(known).any():  # 0/0 is infinite, unless x had a NaN itself
        isnan = served("isnan")
        out = where(isnan(out) & ~isnan(v).any(axis=(-2, -1)), math.inf, out)
    return out


constant("linalg.matrix_rank", "an integer, which jumps at singular matrices")

# ── parts ─────────────────────────────────────────────────────────────────────


@when_traced("linalg.matrix_transpose")
def matrix_transpose(x: Any, /) -> Array:
    """`numpy.linalg.matrix_transpose`."""
    return served("matrix_transpose")(x)


@when_traced("linalg.diagonal")
def diagonal(x: Any, /, *, offset: int = 0) -> Array:
    """`numpy.linalg.diagonal`."""
    return served("diagonal")(x, offset, -2, -1)


@when_traced("linalg.trace")
def trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> Array:
    """`numpy.linalg.trace`."""
    return served("trace")(x, offset, -2, -1, dtype)


def __getattr__(name: str) -> Any:
    entry = NAMES.get(f"linalg.{name}")
    return getattr(np.linalg, name) if entry is None else entry.function


__all__ = [
    "LinAlgError",
    "cholesky",
    "cond",
    "det",
    "diagonal",
    "eig",
    "eigh",
    "eigvals",
    "eigvalsh",
    "inv",
    "lstsq",
    "matmul",
    "matrix_norm",
    "matrix_power",
    "matrix_transpose",
    "multi_dot",
    "norm",
    "outer",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "svd",
    "svdvals",
    "tensordot",
    "tensorinv",
    "tensorsolve",
    "trace",
    "vecdot",
    "vector_norm",
]
