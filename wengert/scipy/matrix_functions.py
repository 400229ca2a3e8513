"""`scipy.linalg`: functions of matrices, matrix equations, structured matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from wengert.core.tensor import Array, Tensor
from wengert.numpy.arrays import lift, promoted
from wengert.numpy.linalg import inexact, matrices, matrix_power
from wengert.numpy.values import seen
from wengert.ops import matfunc as _functions
from wengert.ops import solve as _systems
from wengert.ops.basis import add, conj, imag, neg, real, reshape
from wengert.ops.contract import matmul
from wengert.ops.elementwise import mul, sub
from wengert.ops.index import ARRAY, index
from wengert.ops.matrix import h, real_of
from wengert.ops.shape import concatenate, flip
from wengert.scipy.serving import as_given, as_matrix, serves

# ── functions of matrices ─────────────────────────────────────────────────────


@serves
def expm(A: Any) -> Array:
    """`scipy.linalg.expm`."""
    return _functions.expm(matrices(A, square=True))


@serves
def expm_frechet(A: Any, E: Any, method: Any = None, compute_expm: bool = True, check_finite: bool = True) -> Any:
    """`scipy.linalg.expm_frechet`."""
    x, e = promoted([matrices(A, square=True), matrices(E, square=True)])
    change = _functions.expm_frechet(x, e)
    return (_functions.expm(x), change) if compute_expm else change


def _if_real(x: Array, out: Array) -> Array:
    """Real for a real matrix whose function is real, as in SciPy."""
    return real(out) if x.dtype.kind != "c" and (known := seen(out)) is not None and not np.any(np.imag(known)) else out


@serves
def logm(A: Any, disp: Any = True) -> Array:
    """`scipy.linalg.logm`."""
    x = matrices(A, square=True)
    return _if_real(x, _functions.logm(x))


@serves
def sqrtm(A: Any, disp: Any = True, blocksize: Any = 64) -> Array:
    """`scipy.linalg.sqrtm`."""
    x = matrices(A, square=True)
    return _if_real(x, _functions.sqrtm(x))


@serves
def fractional_matrix_power(A: Any, t: Any) -> Array:
    """`scipy.linalg.fractional_matrix_power`: exp(t log A), where no eigenvalue is negative or zero; in the exponent too."""
    x = matrices(A, square=True)
    if type(t) is not Tensor and t == int(t):
        return matrix_power(x, int(t))
    return _if_real(x, _functions.expm(mul(_functions.logm(x), lift(t))))


@serves
def signm(A: Any, disp: Any = True) -> Array:
    """`scipy.linalg.signm`: A (A²)^(-1/2), for a matrix without eigenvalues on the imaginary axis."""
    x = matrices(A, square=True)
    return _if_real(x, _systems.solve(_functions.sqrtm(matmul(x, x)), x))


def _turned(x: Array) -> Array:
    """exp(iA)."""
    return _functions.expm(mul(x, 1j))


@serves
def cosm(A: Any) -> Array:
    """`scipy.linalg.cosm`."""
    x = matrices(A, square=True)
    return mul(add(_turned(x), _turned(neg(x))), 0.5) if x.dtype.kind == "c" else real(_turned(x))


@serves
def sinm(A: Any) -> Array:
    """`scipy.linalg.sinm`."""
    x = matrices(A, square=True)
    return mul(sub(_turned(x), _turned(neg(x))), -0.5j) if x.dtype.kind == "c" else imag(_turned(x))


@serves
def tanm(A: Any) -> Array:
    """`scipy.linalg.tanm`."""
    return _systems.solve(cosm(A), sinm(A))


@serves
def coshm(A: Any) -> Array:
    """`scipy.linalg.coshm`."""
    x = matrices(A, square=True)
    return mul(add(_functions.expm(x), _functions.expm(neg(x))), 0.5)


@serves
def sinhm(A: Any) -> Array:
    """`scipy.linalg.sinhm`."""
    x = matrices(A, square=True)
    return mul(sub(_functions.expm(x), _functions.expm(neg(x))), 0.5)


@serves
def tanhm(A: Any) -> Array:
    """`scipy.linalg.tanhm`."""
    return _systems.solve(coshm(A), sinhm(A))


@serves
def solve_sylvester(a: Any, b: Any, q: Any) -> Array:
    """`scipy.linalg.solve_sylvester`."""
    return _functions.sylvester(matrices(a, square=True), matrices(b, square=True), matrices(q))


@serves
def solve_continuous_lyapunov(a: Any, q: Any) -> Array:
    """`scipy.linalg.solve_continuous_lyapunov`."""
    x = matrices(a, square=True)
    return _functions.sylvester(x, h(x), matrices(q))


@serves
def solve_discrete_lyapunov(a: Any, q: Any, method: str | None = None) -> Array:
    """`scipy.linalg.solve_discrete_lyapunov`, by the direct method: an n² × n² system."""
    x, y = matrices(a, square=True), matrices(q)
    n = x.shape[-1]
    conjugate = conj(x) if x.dtype.kind == "c" else x
    product = mul(reshape(x, shape=(n, 1, n, 1)), reshape(conjugate, shape=(1, n, 1, n)))
    system = sub(np.eye(n * n, dtype=real_of(x.dtype)), reshape(product, shape=(n * n, n * n)))
    return reshape(_systems.solve(system, reshape(y, shape=(n * n, 1))), shape=(n, n))


# ── structured matrices ───────────────────────────────────────────────────────


def _vector(x: Any) -> Array:
    x = lift(x)
    return reshape(x, shape=(x.size,))


def _gathered(values: Array, where: np.ndarray) -> Array:
    return index(values, where, spec=(ARRAY,))


@serves
def toeplitz(c: Any, r: Any = None) -> Array:
    """`scipy.linalg.toeplitz`."""
    column = _vector(c)
    row = (conj(column) if column.dtype.kind == "c" else column) if r is None else _vector(r)
    m, n = column.size, row.size
    column, row = promoted([column, row])
    values = concatenate(flip(column, axes=(0,)), index(row, spec=slice(1, None)), axis=0, sizes=(m, max(n - 1, 0)))
    return _gathered(values, m - 1 - np.arange(m)[:, None] + np.arange(n))


@serves
def hankel(c: Any, r: Any = None) -> Array:
    """`scipy.linalg.hankel`."""
    column = _vector(c)
    row = np.zeros(column.shape, column.dtype) if r is None else _vector(r)
    m, n = column.size, row.size
    column, row = promoted([column, row])
    values = concatenate(column, index(row, spec=slice(1, None)), axis=0, sizes=(m, max(n - 1, 0)))
    return _gathered(values, np.arange(m)[:, None] + np.arange(n))


@serves
def circulant(c: Any) -> Array:
    """`scipy.linalg.circulant`."""
    x = lift(c)
    n = x.shape[-1]
    where = (np.arange(n)[:, None] - np.arange(n)) % n
    return index(x, where, spec=(*(slice(None),) * (x.ndim - 1), ARRAY))


@serves
def block_diag(*arrs: Any) -> Array:
    """`scipy.linalg.block_diag`."""
    blocks = []
    for a in arrs:
        x = lift(a)
        if x.ndim > 2:
            raise ValueError("arguments in the following positions have dimension greater than 2")
        blocks.append(reshape(x, shape=(1, x.size)) if x.ndim < 2 else x)
    blocks = promoted(blocks)
    width, at, rows = sum(x.shape[1] for x in blocks), 0, []
    for x in blocks:
        m, n = x.shape
        left, right = np.zeros((m, at), x.dtype), np.zeros((m, width - at - n), x.dtype)
        rows.append(concatenate(left, x, right, axis=1, sizes=(at, n, width - at - n)))
        at += n
    return concatenate(*rows, axis=0, sizes=tuple(x.shape[0] for x in blocks))


@serves
def khatri_rao(a: Any, b: Any) -> Array:
    """`scipy.linalg.khatri_rao`."""
    x, y = matrices(a), matrices(b)
    if x.shape[-1] != y.shape[-1]:
        raise ValueError("The number of columns for both arrays should be equal.")
    product = mul(reshape(x, shape=(x.shape[0], 1, x.shape[1])), reshape(y, shape=(1, *y.shape)))
    return reshape(product, shape=(x.shape[0] * y.shape[0], x.shape[1]))


@serves
def solve_toeplitz(c_or_cr: Any, b: Any, check_finite: bool = True) -> Array:
    """`scipy.linalg.solve_toeplitz`, as a dense system."""
    parts = c_or_cr if isinstance(c_or_cr, tuple) else (c_or_cr,)
    y, vector = as_matrix(inexact(b))
    return as_given(_systems.solve(inexact(toeplitz(*parts)), y), vector)


__all__ = [
    "block_diag",
    "circulant",
    "coshm",
    "cosm",
    "expm",
    "expm_frechet",
    "fractional_matrix_power",
    "hankel",
    "khatri_rao",
    "logm",
    "signm",
    "sinhm",
    "sinm",
    "solve_continuous_lyapunov",
    "solve_discrete_lyapunov",
    "solve_sylvester",
    "solve_toeplitz",
    "sqrtm",
    "tanhm",
    "tanm",
    "toeplitz",
]
