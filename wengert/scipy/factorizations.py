"""`scipy.linalg`: systems, factorizations, spectra."""

from __future__ import annotations

from typing import Any

import numpy as np

from wengert.core.abstract import no_value
from wengert.core.tensor import Array
from wengert.numpy import linalg as _np
from wengert.numpy.arrays import astype, lift
from wengert.numpy.linalg import inexact, matrices, symmetric
from wengert.numpy.values import seen
from wengert.ops import matfunc as _functions
from wengert.ops import solve as _systems
from wengert.ops.basis import add, real, reduce_sum, reshape
from wengert.ops.contract import matmul
from wengert.ops.elementwise import mul
from wengert.ops.factor import cholesky as _cholesky
from wengert.ops.factor import lu as _lu
from wengert.ops.factor import permutation_matrix, row_order, rq_signs
from wengert.ops.factor import qr as _qr
from wengert.ops.index import index
from wengert.ops.matrix import h, real_of, t, tril, triu
from wengert.ops.shape import concatenate, flip
from wengert.ops.spectrum import eig as _eig
from wengert.ops.spectrum import eigh as _eigh
from wengert.ops.spectrum import svd as _svd
from wengert.scipy.serving import as_given, as_matrix, refused, serves

HERMITIAN = ("pos", "positive definite", "her", "hermitian")

# ── systems ───────────────────────────────────────────────────────────────────


@serves
def solve(
    a: Any,
    b: Any,
    lower: bool = False,
    overwrite_a: bool = False,
    overwrite_b: bool = False,
    check_finite: bool = True,
    assume_a: str | None = None,
    transposed: bool = False,
) -> Array:
    """`scipy.linalg.solve`."""
    kind = assume_a or "general"
    if kind in ("lower triangular", "upper triangular"):
        return solve_triangular(a, b, trans=int(transposed), lower=kind[0] == "l")
    x = matrices(a, square=True)
    if kind in ("pos", "positive definite", "her", "hermitian") or (
        kind in ("sym", "symmetric") and x.dtype.kind != "c"
    ):
        x = symmetric(x, lower)
    elif kind not in ("gen", "general"):
        raise refused("solve", f"assume_a={kind!r} is not served", "drop assume_a")
    y, vector = as_matrix(inexact(b))
    return as_given(_systems.solve(t(x) if transposed else x, y), vector)


@serves
def solve_triangular(
    a: Any,
    b: Any,
    trans: Any = 0,
    lower: bool = False,
    unit_diagonal: bool = False,
    overwrite_b: bool = False,
    check_finite: bool = True,
) -> Array:
    """`scipy.linalg.solve_triangular`."""
    x = matrices(a, square=True)
    y, vector = as_matrix(inexact(b))
    if trans in (1, "T"):
        x, lower = t(x), not lower
    elif trans in (2, "C"):
        x, lower = h(x), not lower
    elif trans not in (0, "N"):
        raise ValueError("trans must be 0, 1, 2, 'N', 'T' or 'C'")
    return as_given(_systems.solve_triangular(x, y, lower=bool(lower), unit=bool(unit_diagonal)), vector)


@serves
def inv(
    a: Any, overwrite_a: bool = False, check_finite: bool = True, *, assume_a: Any = None, lower: bool = False
) -> Array:
    """`scipy.linalg.inv`."""
    x = matrices(a, square=True)
    if assume_a in HERMITIAN:
        x = symmetric(x, lower)
    elif assume_a in ("upper triangular", "lower triangular"):
        x = triu(x) if assume_a[0] == "u" else tril(x)
    elif assume_a not in (None, "gen", "general"):
        raise refused("inv", f"assume_a={assume_a!r} is not served", "drop assume_a")
    return _systems.inv(x)


@serves
def det(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Array:
    """`scipy.linalg.det`."""
    return _systems.det(matrices(a, square=True))


@serves
def lstsq(
    a: Any,
    b: Any,
    cond: float | None = None,
    overwrite_a: bool = False,
    overwrite_b: bool = False,
    check_finite: bool = True,
    lapack_driver: str | None = None,
) -> tuple[Array, Array, Any, Any]:
    """`scipy.linalg.lstsq`."""
    x, y = inexact(a), inexact(b)
    rcond = float(np.finfo(np.result_type(x.dtype, y.dtype)).eps) if cond is None else cond
    out, residuals, rank, s = _np.lstsq(x, y, rcond)
    if residuals.size and y.ndim == 1:
        residuals = reshape(residuals, shape=())
    return out, residuals, rank if seen(rank) is None else int(rank), None if lapack_driver == "gelsy" else s


@serves
def pinv(a: Any, *, atol: Any = None, rtol: Any = None, return_rank: bool = False, check_finite: bool = True) -> Any:
    """`scipy.linalg.pinv`."""
    x = matrices(a)
    relative = seen(x) is None and not (atol or return_rank)
    cutoff, rank = _cutoff(np.zeros(1) if relative else np.linalg.svd(_known(x), compute_uv=False), x, atol, rtol)
    out = _systems.pinv(x, cutoff)
    return (out, rank) if return_rank else out


@serves
def pinvh(
    a: Any, atol: Any = None, rtol: Any = None, lower: bool = True, return_rank: bool = False, check_finite: bool = True
) -> Any:
    """`scipy.linalg.pinvh`."""
    x = symmetric(a, lower)
    relative = seen(x) is None and not (atol or return_rank)
    cutoff, rank = _cutoff(
        np.zeros(1) if relative else np.abs(np.linalg.eigvalsh(np.asarray(_known(x)))), x, atol, rtol
    )
    out = _systems.pinv(x, cutoff, symmetric=True)
    return (out, rank) if return_rank else out


def _known(x: Array) -> Any:
    """The values of `x`, for an absolute tolerance or a rank; raises where they are not known yet."""
    value = seen(x)
    if value is None:
        raise no_value("an absolute tolerance, or the rank, of a pseudo-inverse", f"{x.dtype}{list(x.shape)}", 3)
    return value


def _cutoff(s: np.ndarray, x: Array, atol: Any, rtol: Any) -> tuple[float, Any]:
    """SciPy's absolute and relative tolerances as one relative to the largest singular value, and the rank."""
    largest = float(s.max(initial=0.0))
    if rtol is None:
        rtol = max(x.shape[-2:]) * np.finfo(x.dtype).eps if not atol else 0.0
    relative = rtol + (atol / largest if atol and largest else 0.0)
    return float(relative), int(np.sum(s > relative * largest))


@serves
def norm(a: Any, ord: Any = None, axis: Any = None, keepdims: bool = False, check_finite: bool = True) -> Array:
    """`scipy.linalg.norm`."""
    return _np.norm(a, ord, axis, keepdims)


# ── Cholesky and LU ───────────────────────────────────────────────────────────


@serves
def cholesky(a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True) -> Array:
    """`scipy.linalg.cholesky`."""
    factor = _cholesky(symmetric(a, lower))
    return factor if lower else h(factor)


@serves
def cho_factor(a: Any, lower: bool = False, overwrite_a: bool = False, check_finite: bool = True) -> tuple[Array, bool]:
    """`scipy.linalg.cho_factor`; the other triangle, which SciPy leaves as it was, is zero."""
    return cholesky(a, lower), lower


@serves
def cho_solve(c_and_lower: Any, b: Any, overwrite_b: bool = False, check_finite: bool = True) -> Array:
    """`scipy.linalg.cho_solve`."""
    factor, lower = c_and_lower
    x = matrices(factor, square=True)
    y, vector = as_matrix(inexact(b))
    low, up = (x, h(x)) if lower else (h(x), x)
    half = _systems.solve_triangular(low, y, lower=True)
    return as_given(_systems.solve_triangular(up, half, lower=False), vector)


def _square(a: Any, name: str) -> Array:
    x = matrices(a)
    if x.shape[-1] != x.shape[-2]:
        raise refused(name, "no rule for matrices that are not square", "factor a square part, or use qr")
    return x


@serves
def lu_factor(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> tuple[Array, Array]:
    """`scipy.linalg.lu_factor` of square matrices."""
    packed, pivots, _ = _lu(_square(a, "lu_factor"))
    return packed, pivots


@serves
def lu_solve(lu_and_piv: Any, b: Any, trans: int = 0, overwrite_b: bool = False, check_finite: bool = True) -> Array:
    """`scipy.linalg.lu_solve`."""
    packed, pivots = lift(lu_and_piv[0]), lift(lu_and_piv[1])
    y, vector = as_matrix(inexact(b))
    p = permutation_matrix(row_order(pivots), dtype=real_of(packed.dtype))
    if not trans:
        half = _systems.solve_triangular(packed, matmul(p, y), lower=True, unit=True)
        return as_given(_systems.solve_triangular(packed, half, lower=False), vector)
    back = t(packed) if trans == 1 else h(packed)
    half = _systems.solve_triangular(back, y, lower=True)
    return as_given(matmul(t(p), _systems.solve_triangular(back, half, lower=False, unit=True)), vector)


@serves
def lu(
    a: Any, permute_l: bool = False, overwrite_a: bool = False, check_finite: bool = True, p_indices: bool = False
) -> tuple[Array, ...]:
    """`scipy.linalg.lu` of square matrices."""
    x = _square(a, "lu")
    packed, _, order = _lu(x)
    lower, upper = add(tril(packed, -1), np.eye(x.shape[-1], dtype=real_of(packed.dtype))), triu(packed)
    p = t(permutation_matrix(order, dtype=real_of(packed.dtype)))
    if permute_l:
        return matmul(p, lower), upper
    if p_indices:
        return astype(np.argsort(order, axis=-1), np.int32), lower, upper
    return p, lower, upper


# ── QR, spectra ───────────────────────────────────────────────────────────────


@serves
def qr(
    a: Any,
    overwrite_a: bool = False,
    lwork: int | None = None,
    mode: str = "full",
    pivoting: bool = False,
    check_finite: bool = True,
) -> Any:
    """`scipy.linalg.qr` without pivoting, of full rank."""
    if pivoting or mode == "raw":
        raise refused("qr", f"no rule for {'pivoting=True' if pivoting else 'mode=raw'}", "use mode='economic'")
    if mode not in ("full", "r", "economic"):
        raise ValueError("Mode argument should be one of ['full', 'r', 'economic', 'raw']")
    x = matrices(a)
    if mode == "r":
        m, n = x.shape[-2:]
        r = _np.qr(x, "r")
        below = np.zeros((*x.shape[:-2], max(m - n, 0), n), r.dtype)
        return (concatenate(r, below, axis=x.ndim - 2, sizes=(r.shape[-2], max(m - n, 0))),)
    q, r = _np.qr(x, "reduced" if mode == "economic" else "complete")
    return q, r


@serves
def rq(
    a: Any, overwrite_a: bool = False, lwork: int | None = None, mode: str = "full", check_finite: bool = True
) -> Any:
    """`scipy.linalg.rq` of square matrices and, with mode 'economic', of wide ones."""
    x = matrices(a)
    m, n = x.shape[-2:]
    if m > n or (mode != "economic" and m != n):
        raise refused("rq", f"no rule for {x.shape} with mode={mode!r}", "use qr of the conjugate transpose")
    both = (x.ndim - 2, x.ndim - 1)
    q, r = _qr(h(flip(x, axes=both[:1])))  # the rows from the last to the first
    r, q = flip(h(r), axes=both), flip(h(q), axes=both[:1])
    # Householder reflections from the other side give other signs.
    signs = rq_signs(x, r)
    r, q = (
        mul(r, reshape(signs, shape=(*signs.shape[:-1], 1, signs.shape[-1]))),
        mul(reshape(signs, shape=(*signs.shape, 1)), q),
    )
    return r if mode == "r" else (r, q)


@serves
def svd(
    a: Any,
    full_matrices: bool = True,
    compute_uv: bool = True,
    overwrite_a: bool = False,
    check_finite: bool = True,
    lapack_driver: str = "gesdd",
) -> Any:
    """`scipy.linalg.svd`."""
    out = _np.svd(a, full_matrices, compute_uv)
    return tuple(out) if compute_uv else out


@serves
def svdvals(a: Any, overwrite_a: bool = False, check_finite: bool = True) -> Array:
    """`scipy.linalg.svdvals`."""
    return _svd(matrices(a))[1]


@serves
def eigh(
    a: Any,
    b: Any = None,
    *,
    lower: bool = True,
    eigvals_only: bool = False,
    overwrite_a: bool = False,
    overwrite_b: bool = False,
    type: int = 1,
    check_finite: bool = True,
    subset_by_index: Any = None,
    subset_by_value: Any = None,
    driver: str | None = None,
) -> Any:
    """`scipy.linalg.eigh`, also of a pencil A v = w B v. Signs of vectors are those of the driver 'evr'."""
    if type != 1 or subset_by_value is not None:
        what = "subset_by_value" if type == 1 else f"type={type}"
        raise refused("eigh", f"no rule for {what}", "use type=1 and select from all pairs")
    x = symmetric(a, lower)
    if b is None:
        w, v = _eigh(x, lower=bool(lower), driver=driver or "evr")
    else:
        factor = _cholesky(symmetric(b, lower))
        half = _systems.solve_triangular(factor, x, lower=True)
        w, v = _eigh(h(_systems.solve_triangular(factor, h(half), lower=True)), lower=bool(lower), driver="evd")
        v = _systems.solve_triangular(h(factor), v, lower=False)
    if subset_by_index is not None:
        first, last = subset_by_index
        chosen = slice(int(first), int(last) + 1)
        w, v = index(w, spec=(Ellipsis, chosen)), index(v, spec=(Ellipsis, chosen))
    return w if eigvals_only else (w, v)


@serves
def eigvalsh(a: Any, b: Any = None, **options: Any) -> Array:
    """`scipy.linalg.eigvalsh`."""
    return eigh(a, b, eigvals_only=True, **options)


@serves
def eig(
    a: Any,
    b: Any = None,
    left: bool = False,
    right: bool = True,
    overwrite_a: bool = False,
    overwrite_b: bool = False,
    check_finite: bool = True,
    homogeneous_eigvals: bool = False,
) -> Any:
    """`scipy.linalg.eig` with right eigenvectors."""
    if b is not None or left or homogeneous_eigvals:
        raise refused("eig", "rules are known for eigenvalues and right eigenvectors of one matrix", "use solve(b, a)")
    x = matrices(a, square=True)
    w, v = _eig(x)
    if not right:
        return w
    return w, (real(v) if x.dtype.kind != "c" and (known := seen(w)) is not None and not np.any(np.imag(known)) else v)


@serves
def eigvals(
    a: Any, b: Any = None, overwrite_a: bool = False, check_finite: bool = True, homogeneous_eigvals: bool = False
) -> Array:
    """`scipy.linalg.eigvals`."""
    return eig(a, b, right=False, homogeneous_eigvals=homogeneous_eigvals)


@serves
def polar(a: Any, side: str = "right") -> tuple[Array, Array]:
    """`scipy.linalg.polar` of a matrix of full rank."""
    if side not in ("right", "left"):
        raise ValueError("`side` must be either 'right' or 'left'")
    x = matrices(a)
    wide = x.shape[-2] < x.shape[-1]
    u = h(_functions.polar_factor(h(x))) if wide else _functions.polar_factor(x)
    return u, matmul(h(u), x) if side == "right" else matmul(x, h(u))


@serves
def orthogonal_procrustes(A: Any, B: Any, check_finite: bool = True) -> tuple[Array, Array]:
    """`scipy.linalg.orthogonal_procrustes`."""
    product = h(matmul(h(inexact(B)), inexact(A)))
    return _functions.polar_factor(product), reduce_sum(_svd(product)[1], axes=(0,))


__all__ = [
    "cho_factor",
    "cho_solve",
    "cholesky",
    "det",
    "eig",
    "eigh",
    "eigvals",
    "eigvalsh",
    "inv",
    "lstsq",
    "lu",
    "lu_factor",
    "lu_solve",
    "norm",
    "orthogonal_procrustes",
    "pinv",
    "pinvh",
    "polar",
    "qr",
    "rq",
    "solve",
    "solve_triangular",
    "svd",
    "svdvals",
]
