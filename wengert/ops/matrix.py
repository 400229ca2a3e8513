"""Words for rules on (stacks of) matrices: transposes, triangles, diagonals, products. All are compositions of ops.

Conventions  Matrices are the last two axes. Cotangents pair by Re Σ ct·t without a conjugate, so the pullback
             of Y = A X is Aᵀ ct, and that of Y = Xᴴ is ctᴴ.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from wengert.core.aval import Aval, is_inexact
from wengert.core.errors import ShapeError
from wengert.core.op import Op, Rule
from wengert.core.source import describe, here
from wengert.core.tensor import Array
from wengert.ops.basis import add, batch_elementwise, conj, neg, reduce_sum, reshape, transpose
from wengert.ops.contract import matmul
from wengert.ops.elementwise import mul, sub
from wengert.ops.index import index
from wengert.ops.select import where
from wengert.ops.shape import diagonal, diagonal_embed

STRONG = (True, False)

# ── transposes ────────────────────────────────────────────────────────────────


def t(x: Array) -> Array:
    """Xᵀ."""
    n = len(x.shape)
    return transpose(x, axes=(*range(n - 2), n - 1, n - 2))


def c(x: Array) -> Array:
    """The complex conjugate."""
    return conj(x) if x.dtype.kind == "c" else x


def h(x: Array) -> Array:
    """Xᴴ."""
    return t(c(x))


def hermitian(x: Array) -> Array:
    """(X + Xᴴ) / 2, which is its own transpose as a map."""
    return mul(0.5, add(x, h(x)))


def hermitian_part(a: np.ndarray) -> np.ndarray:
    """`hermitian`, for `eval` functions."""
    return (a + a.conj().swapaxes(-1, -2)) * 0.5 if is_inexact(a.dtype) else a


def widths(x: Array, y: Array, axis: int) -> tuple[int, int]:
    """The lengths of two pieces, as `concatenate` takes them."""
    return x.shape[axis], y.shape[axis]


# ── products ──────────────────────────────────────────────────────────────────


def mm(*xs: Array) -> Array:
    """A product of matrices, from the left."""
    out = xs[0]
    for x in xs[1:]:
        out = matmul(out, x)
    return out


def rows(x: Array, v: Array) -> Array:
    """diag(v) X."""
    return mul(reshape(v, shape=(*v.shape, 1)), x)


def columns(x: Array, v: Array) -> Array:
    """X diag(v)."""
    return mul(x, reshape(v, shape=(*v.shape[:-1], 1, v.shape[-1])))


# ── parts ─────────────────────────────────────────────────────────────────────


def diag(x: Array) -> Array:
    """The main diagonal."""
    n = len(x.shape)
    return diagonal(x, offset=0, axis1=n - 2, axis2=n - 1)


def diag_matrix(v: Array) -> Array:
    """A matrix with the diagonal v, and zeros."""
    n = len(v.shape)
    return diagonal_embed(v, offset=0, axis1=n - 1, axis2=n, shape=(*v.shape, v.shape[-1]))


def add_diag(x: Array, v: Array) -> Array:
    """X + diag(v)."""
    return add(x, diag_matrix(v))


def trace(x: Array) -> Array:
    """The sum of the diagonal, per matrix."""
    d = diag(x)
    return reduce_sum(d, axes=(len(d.shape) - 1,))


def tril(x: Array, k: int = 0) -> Array:
    """X with zeros above diagonal k."""
    return where(np.tri(x.shape[-2], x.shape[-1], k, dtype=bool), x, 0.0)


def triu(x: Array, k: int = 0) -> Array:
    """X with zeros below diagonal k."""
    return where(np.tri(x.shape[-2], x.shape[-1], k - 1, dtype=bool), 0.0, x)


def half_diagonal(x: Array) -> Array:
    """The lower triangle with half the diagonal: Φ of Murray (2016)."""
    n = x.shape[-1]
    return mul(tril(x), np.asarray(1.0 - 0.5 * np.eye(n), real_of(x.dtype)))


def block(x: Array, rows: slice, columns: slice) -> Array:
    """A submatrix."""
    return index(x, spec=(Ellipsis, rows, columns))


def complement(q: Array, x: Array) -> Array:
    """(I - Q Qᴴ) X for Q with orthonormal columns, without forming a large square."""
    return sub(x, mm(q, mm(h(q), x)))


def co_complement(q: Array, x: Array) -> Array:
    """(I - Q Qᴴ)ᵀ X, as pullbacks need it."""
    return sub(x, mm(c(q), mm(t(q), x)))


def minus(x: Array) -> Array:
    """-X."""
    return neg(x)


# ── shapes ────────────────────────────────────────────────────────────────────


def real_of(dtype: np.dtype) -> np.dtype:
    """The dtype of the real part."""
    return np.real(np.empty(0, dtype)).dtype


def common(*dtypes: np.dtype) -> np.dtype:
    """The dtype that LAPACK computes in: integers become float64."""
    return np.result_type(*(d if is_inexact(d) else np.dtype(float) for d in dtypes))


def matrix_of(name: str, x: Aval, *, square: bool = True) -> tuple[tuple[int, ...], int, int]:
    """Stack shape, rows and columns; ShapeError unless `x` is a (stack of) square matrices."""
    if x.ndim < 2 or (square and x.shape[-1] != x.shape[-2]):
        raise ShapeError(
            name,
            got=str(x),
            want=f"{'square ' if square else ''}matrices in the last two axes",
            fix="check the order of the axes",
            at=describe(here(2)),
        )
    return x.shape[:-2], x.shape[-2], x.shape[-1]


def native(op: Callable[[], Op]) -> Rule:
    """Batch rule of an op that NumPy stacks: leading axes align, and the batch axis is one more of them."""
    return batch_elementwise(op)


# ── domains of samples ────────────────────────────────────────────────────────


def positive_definite(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Hermitian, with eigenvalues apart; its real part is symmetric and positive definite too."""
    n = shape[-1]
    x = rng.normal(size=shape) + 0.5j * rng.normal(size=shape)
    return x @ x.conj().swapaxes(-1, -2) / max(n, 1) + np.diag(1.0 + np.arange(n))


def regular(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Well conditioned, of full rank, with singular values apart."""
    m, n = shape[-2:]
    k = min(m, n)
    x = rng.normal(size=shape)
    if not x.size:
        return x
    u, _, v = np.linalg.svd(x, full_matrices=False)
    return u * (1.0 + 0.7 * np.arange(k)[::-1] + 0.1 * rng.uniform(size=(*shape[:-2], 1, k))) @ v


def spread(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Square with real, distinct eigenvalues."""
    n = shape[-1]
    return np.diag(1.0 + 2.0 * np.arange(n)) + 0.3 * rng.normal(size=shape)


def anything(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """Standard normal: for right-hand sides among other domains."""
    return rng.normal(size=shape)
