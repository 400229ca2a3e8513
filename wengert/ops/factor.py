"""Triangular factorizations of (stacks of) matrices: Cholesky, QR, LU."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wengert.core.aval import INEXACT, Aval
from wengert.core.errors import ShapeError
from wengert.core.form import Library, Via
from wengert.core.op import Op, Sample
from wengert.core.tensor import Array
from wengert.graph.program import Vars
from wengert.ops.basis import add, all_batched, fit, fit_tangent, imag, reduce_sum, reshape
from wengert.ops.dtype import truncate
from wengert.ops.elementwise import abs_, mul, sub
from wengert.ops.family import piecewise_constant
from wengert.ops.logic import equal
from wengert.ops.matrix import (
    add_diag,
    block,
    c,
    co_complement,
    common,
    complement,
    diag,
    h,
    half_diagonal,
    hermitian,
    hermitian_part,
    matrix_of,
    minus,
    mm,
    positive_definite,
    real_of,
    regular,
    t,
    tril,
    triu,
    widths,
)
from wengert.ops.regular import resolved
from wengert.ops.shape import concatenate
from wengert.ops.solve import solve_triangular

# ── cholesky ──────────────────────────────────────────────────────────────────


def _cholesky_jvp(xs: Sequence[Array], dxs: Sequence[Array], out: Array) -> Array:
    inner = solve_triangular(out, hermitian(dxs[0]), lower=True)
    inner = h(solve_triangular(out, h(inner), lower=True))
    return mm(out, half_diagonal(inner))


def _cholesky_vjp(ct: Array, ins: Vars, xs: Sequence[Array], out: Array) -> tuple[Array]:
    # L⁻ᵀ Φ(Lᵀ ct) conj(L)⁻¹
    lt = t(out)
    inner = solve_triangular(lt, half_diagonal(mm(lt, ct)), lower=False)
    inner = t(solve_triangular(h(out), t(inner), lower=False))
    return (fit(hermitian(inner), ins[0]),)


cholesky = Op(
    name="cholesky",
    accepts=INEXACT,
    shape=lambda a: Aval((*matrix_of("cholesky", a)[0], *a.shape[-2:]), common(a.dtype)),
    eval=lambda a: np.linalg.cholesky(hermitian_part(a)),
    jvp=_cholesky_jvp,
    vjp=_cholesky_vjp,
    saves=("out",),
    batch=lambda xs, batched, size: cholesky(xs[0]),
    samples=tuple(Sample(s, domain=positive_definite) for s in ((3, 3), (2, 3, 3), (1, 1), (0, 0))),
    rejects=(Sample((3, 2), raises=ShapeError),),
    note="a function of the Hermitian part, so that gradients are Hermitian",
    source="Murray (2016), Differentiation of the Cholesky decomposition, arXiv:1602.07527",
    lower=Library("cholesky"),
)

# ── qr ────────────────────────────────────────────────────────────────────────


def _qr_shape(a: Aval, *, complete: bool = False) -> tuple[Aval, Aval]:
    lead, m, n = matrix_of("qr", a, square=False)
    if m < n:
        raise ShapeError("qr", got=str(a), want="at least as many rows as columns", fix="factor the first columns")
    dtype = common(a.dtype)
    return Aval((*lead, m, m if complete else n), dtype), Aval((*lead, n, n), dtype)


def _qr_eval(a: Array, *, complete: bool = False) -> tuple[np.ndarray, np.ndarray]:
    q, r = np.linalg.qr(a, "complete" if complete else "reduced")
    return q, r[..., : a.shape[-1], :]


def _solved(name: str, r: Array, b: Array, *, lower: bool, sizes: Array) -> Array:
    """R⁻¹ B, for the triangular factor R of the op `name`; `sizes` are of the numbers that its diagonal was computed from."""
    try:
        resolved(abs_(diag(r)), sizes)
        return solve_triangular(r, b, lower=lower)
    except np.linalg.LinAlgError:
        raise np.linalg.LinAlgError(
            f"{name}: no derivative of the factors of a matrix without full rank;"
            " numpy.linalg.pinv and lstsq, which need no factors of full rank, have one"
        ) from None


def _over_r(name: str, x: Array, r: Array, sizes: Array) -> Array:
    """X R⁻¹."""
    return t(_solved(name, t(r), t(x), lower=True, sizes=sizes))


def _columns_of(r: Array) -> Array:
    """Sizes of the columns of A = Q R: a column is known no better than to their rounding."""
    return reduce_sum(abs_(r), axes=(len(r.shape) - 2,))


def _growth(lower: Array, upper: Array) -> Array:
    """The diagonal of |L||U|, of which the pivots are what is left after subtractions."""
    return reduce_sum(mul(abs_(lower), t(abs_(upper))), axes=(len(upper.shape) - 1,))


def _skew(x: Array) -> Array:
    """What of Qᴴ dA R⁻¹ turns Q, while R stays triangular with a real diagonal."""
    low = tril(x, -1)
    low = sub(low, h(low))
    return add_diag(low, mul(imag(diag(x)), 1j)) if x.dtype.kind == "c" else low


def _skew_transposed(x: Array) -> Array:
    low = tril(sub(x, h(x)), -1)
    return add_diag(low, mul(imag(diag(x)), 1j)) if x.dtype.kind == "c" else low


def _qr_jvp(
    xs: Sequence[Array], dxs: Sequence[Array], out: Sequence[Array], *, complete: bool = False
) -> tuple[Array, Array]:
    q, r = out
    n, m = r.shape[-1], q.shape[-2]
    rest = None
    if q.shape[-1] > n:
        q, rest = block(q, slice(None), slice(n)), block(q, slice(None), slice(n, None))
    scaled = _over_r("qr", dxs[0], r, _columns_of(r))  # dA R⁻¹
    inner = mm(h(q), scaled)
    turn = _skew(inner)
    dr = mm(triu(sub(inner, turn)), r)
    dq = mm(q, turn)
    if m > n:
        dq = add(dq, complement(q, scaled))
    if rest is not None:
        drest = minus(mm(q, mm(h(scaled), rest)))
        dq = concatenate(dq, drest, axis=len(dq.shape) - 1, sizes=widths(q, rest, -1))
    return dq, dr


def _qr_vjp(
    ct: Sequence[Array | None], ins: Vars, xs: Sequence[Array], out: Sequence[Array], *, complete: bool = False
) -> tuple[Array]:
    q, r = out
    ct_q, ct_r = ct
    n = r.shape[-1]
    rest = ct_rest = None
    if q.shape[-1] > n:
        if ct_q is not None:
            rest, ct_rest = block(q, slice(None), slice(n, None)), block(ct_q, slice(None), slice(n, None))
            ct_q = block(ct_q, slice(None), slice(n))
        q = block(q, slice(None), slice(n))
    qc = c(q)
    x = None if ct_q is None else mm(t(q), ct_q)
    if ct_r is not None:
        ct_r = triu(ct_r)
        x = minus(mm(ct_r, t(r))) if x is None else sub(x, mm(ct_r, t(r)))
    scaled = mm(qc, _skew_transposed(x))  # the cotangent of dA R⁻¹
    if ct_q is not None and q.shape[-2] > n:
        scaled = add(scaled, co_complement(q, ct_q))
    if ct_rest is not None:
        scaled = sub(scaled, mm(c(rest), mm(h(ct_rest), qc)))
    total = t(_solved("qr", r, t(scaled), lower=False, sizes=_columns_of(r)))  # times R⁻ᵀ
    return (fit(total if ct_r is None else add(total, mm(qc, ct_r)), ins[0]),)


qr = Op(
    name="qr",
    accepts=INEXACT,
    shape=_qr_shape,
    eval=_qr_eval,
    jvp=_qr_jvp,
    vjp=_qr_vjp,
    saves=("out",),
    batch=lambda xs, batched, size, *, complete=False: qr(xs[0], complete=complete),
    multi=True,
    samples=(
        *(Sample(s, domain=regular) for s in ((3, 3), (4, 2), (2, 4, 3), (1, 1), (2, 0))),
        Sample((4, 3), complete=True, domain=regular, real_only=True),
    ),
    rejects=(Sample((2, 3), raises=ShapeError),),
    note="of full column rank (otherwise LinAlgError); R keeps the real diagonal that LAPACK gives it."
    " The `complete` basis moves orthogonally to itself",
    source="Walter & Lehmann (2018), Algorithmic differentiation of linear algebra functions; Seeger et al. (2017),"
    " Auto-differentiating linear algebra, arXiv:1710.08717",
    lower=Library("qr"),
)

# ── lu ────────────────────────────────────────────────────────────────────────


def _order_eval(pivots: Array) -> np.ndarray:
    order = np.empty(pivots.shape, np.intp)
    for i in np.ndindex(*pivots.shape[:-1]):
        row = np.arange(pivots.shape[-1])
        for k, p in enumerate(pivots[i]):
            row[[k, p]] = row[[p, k]]
        order[i] = row
    return order


row_order = piecewise_constant(
    "row_order",
    _order_eval,
    "a permutation",
    shape=lambda pivots: pivots.with_dtype(np.intp),
    batch=lambda xs, batched, size: row_order(xs[0]),
    samples=[Sample(np.array([2, 1, 2]))],
)


def _lu_eval(a: Array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    from scipy.linalg.lapack import get_lapack_funcs

    a = np.asarray(a, common(a.dtype))
    packed, pivots = np.empty_like(a), np.empty(a.shape[:-1], np.int32)
    (getrf,) = get_lapack_funcs(("getrf",), (a,))
    for i in np.ndindex(*a.shape[:-2]):
        if a.shape[-1]:
            packed[i], pivots[i], _ = getrf(a[i])
    return packed, pivots, _order_eval(pivots)


def _lu_shape(a: Aval) -> tuple[Aval, Aval, Aval]:
    lead, n, _ = matrix_of("lu", a)
    return (
        Aval((*lead, n, n), common(a.dtype)),
        Aval((*lead, n), np.dtype(np.int32)),
        Aval((*lead, n), np.dtype(np.intp)),
    )


def _permutation_eval(order: Array, *, dtype: np.dtype) -> np.ndarray:
    return (order[..., :, None] == np.arange(order.shape[-1])).astype(dtype)


def _permutation(order: Array, *, dtype: np.dtype) -> Array:
    rows = reshape(order, shape=(*order.shape, 1))
    return truncate(equal(rows, np.arange(order.shape[-1])), dtype=np.dtype(dtype))


permutation_matrix = piecewise_constant(
    "permutation_matrix",
    _permutation_eval,
    "a permutation",
    shape=lambda order, *, dtype: Aval((*order.shape, order.shape[-1]), np.dtype(dtype)),
    batch=lambda xs, batched, size, *, dtype: permutation_matrix(xs[0], dtype=dtype),
    samples=[Sample(np.array([2, 0, 1]), dtype=np.dtype(float))],
    lower=Via(_permutation),
)


def _unpacked(packed: Array) -> tuple[Array, Array]:
    eye = np.eye(packed.shape[-1], dtype=real_of(packed.dtype))
    return add(tril(packed, -1), eye), triu(packed)


def _lu_jvp(xs: Sequence[Array], dxs: Sequence[Array], out: Sequence[Array]) -> tuple[Array, None, None]:
    lower, upper = _unpacked(out[0])
    p = permutation_matrix(out[2], dtype=real_of(out[0].dtype))
    x = _over_r("lu", solve_triangular(lower, mm(p, dxs[0]), lower=True, unit=True), upper, _growth(lower, upper))
    return fit_tangent(add(mm(lower, tril(x, -1)), mm(triu(x), upper)), out[0]), None, None


def _lu_vjp(ct: Sequence[Array | None], ins: Vars, xs: Sequence[Array], out: Sequence[Array]) -> tuple[Array]:
    lower, upper = _unpacked(out[0])
    p = permutation_matrix(out[2], dtype=real_of(out[0].dtype))
    x = add(tril(mm(t(lower), tril(ct[0], -1)), -1), triu(mm(triu(ct[0]), t(upper))))
    x = t(_solved("lu", upper, t(x), lower=False, sizes=_growth(lower, upper)))  # times U⁻ᵀ
    x = solve_triangular(t(lower), x, lower=False, unit=True)
    return (fit(mm(t(p), x), ins[0]),)


lu = Op(
    name="lu",
    accepts=INEXACT,
    shape=_lu_shape,
    eval=_lu_eval,
    jvp=_lu_jvp,
    vjp=_lu_vjp,
    saves=("out",),
    batch=lambda xs, batched, size: lu(xs[0]),
    multi=True,
    samples=tuple(Sample(s, domain=regular) for s in ((3, 3), (2, 3, 3), (1, 1), (0, 0))),
    rejects=(Sample((3, 2), raises=ShapeError),),
    note="(packed L and U, LAPACK's pivots, the order of the rows); the pivots are constant."
    " A regular matrix (otherwise LinAlgError)",
    source="de Hoog, Anderssen & Lukas (2011), Differentiation of matrix functionals using triangular factorization",
    lower=Library("lu"),
)

__all__ = ["cholesky", "lu", "permutation_matrix", "qr", "row_order"]


# ── rq_signs ──────────────────────────────────────────────────────────────────


def _rq_signs_eval(x: Array, r: Array) -> np.ndarray:
    from scipy.linalg import rq

    theirs = [np.diag(rq(x[i], mode="economic")[0]) for i in np.ndindex(*x.shape[:-2])]
    ours = np.diagonal(r, axis1=-2, axis2=-1)
    return np.sign(np.real(np.reshape(theirs, ours.shape) * ours)).astype(np.real(r).dtype)


def _rq_signs_batch(xs: Sequence[Array], batched: Sequence[bool], size: int) -> Array:
    return rq_signs(*all_batched(xs, batched, size))


rq_signs = piecewise_constant(
    "rq_signs",
    _rq_signs_eval,
    "signs of LAPACK's choice, which jump where a diagonal element is zero",
    arity=2,
    shape=lambda x, r: Aval((*r.shape[:-2], min(r.shape[-2:])), np.real(np.empty(0, r.dtype)).dtype),
    batch=_rq_signs_batch,
    samples=(Sample((3, 3), (3, 3)), Sample((2, 3, 4), (2, 3, 3), real_only=True)),
)
