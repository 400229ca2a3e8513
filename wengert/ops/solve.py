"""Linear systems, inverses and determinants, on stacks of matrices.

Source  Giles (2008), "Collected matrix derivative results for forward and reverse mode AD";
        Golub & Pereyra (1973) for the pseudoinverse.
Cost    A pullback solves with the transposed matrix, and factors it again: what a factorization would
        save in time it would cost in residuals.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.core.aval import INEXACT, Aval
from wengert.core.errors import ShapeError
from wengert.core.form import Library
from wengert.core.op import Op, Sample
from wengert.core.source import describe, here
from wengert.core.tensor import Array
from wengert.graph.program import Vars
from wengert.ops.basis import add, broadcast_shapes, broadcast_to, fit, fit_tangent, imag, real, reshape, scale
from wengert.ops.elementwise import mul, sub
from wengert.ops.matrix import (
    anything,
    c,
    common,
    diag,
    h,
    hermitian,
    matrix_of,
    minus,
    mm,
    native,
    real_of,
    regular,
    t,
    trace,
    tril,
    triu,
)

GILES = 'Giles (2008), "Collected matrix derivative results"'

# ── solve ─────────────────────────────────────────────────────────────────────


def _solve_shape(name: str, a: Aval, b: Aval) -> Aval:
    lead, n, _ = matrix_of(name, a)
    stack, m, k = matrix_of(name, b, square=False)
    if m != n:
        raise ShapeError(
            name,
            got=f"{a} and a right-hand side {b}",
            want=f"a right-hand side of {n} rows",
            fix="transpose the right-hand side",
            at=describe(here(2)),
        )
    return Aval((*broadcast_shapes(name, lead, stack), n, k), common(a.dtype, b.dtype))


def _solve_jvp(xs: Sequence[Array], dxs: Sequence[Array], out: Array) -> Array:
    a, _ = xs
    da, db = dxs
    if da is None:
        return fit_tangent(solve(a, db), out)
    right = minus(mm(da, out)) if db is None else sub(db, mm(da, out))
    return fit_tangent(solve(a, right), out)


def _solve_vjp(ct: Array, ins: Vars, xs: Sequence[Array], out: Array) -> tuple[Array | None, ...]:
    a, b = ins
    db = solve(t(xs[0]), ct)
    return (
        None if a is None else fit(minus(mm(db, t(out))), a),
        None if b is None else fit(db, b),
    )


solve = Op(
    name="solve",
    accepts=INEXACT,
    shape=lambda a, b: _solve_shape("solve", a, b),
    eval=np.linalg.solve,
    jvp=_solve_jvp,
    vjp=_solve_vjp,
    saves={0: (0, "out"), 1: (0,)},
    batch=native(lambda: solve),
    samples=(
        Sample((3, 3), (3, 2), domain=(regular, anything)),
        Sample((2, 3, 3), (3, 1), domain=(regular, anything)),
        Sample((3, 3), (2, 3, 2), domain=(regular, anything)),
        Sample((0, 0), (0, 2), domain=(regular, anything)),
    ),
    rejects=(
        Sample((3, 2), (3, 1), raises=ShapeError),
        Sample((3, 3), (2, 1), raises=ShapeError),
        Sample((3,), (3, 1), raises=ShapeError),
    ),
    source=GILES,
    lower=Library("solve"),
)

# ── solve_triangular ──────────────────────────────────────────────────────────


def _triangle(x: Array, lower: bool, unit: bool) -> Array:
    return (tril if lower else triu)(x, (-1 if lower else 1) if unit else 0)


def _triangular_eval(a: Array, b: Array, *, lower: bool, unit: bool = False) -> np.ndarray:
    if a.ndim == 2 and b.ndim == 2 and a.size and b.size:
        from scipy.linalg.lapack import get_lapack_funcs

        dtype = common(a.dtype, b.dtype)
        a, b = a.astype(dtype, copy=False), b.astype(dtype, copy=False)
        (trtrs,) = get_lapack_funcs(("trtrs",), (a, b))
        if a.flags.c_contiguous:  # LAPACK reads columns: no copy of the transposed
            out, info = trtrs(a.T, b, lower=not lower, trans=1, unitdiag=unit)
        else:
            out, info = trtrs(a, b, lower=lower, unitdiag=unit)
        if info > 0:
            raise np.linalg.LinAlgError(f"singular matrix: the diagonal is zero at {info - 1}")
        return out
    a = np.tril(a) if lower else np.triu(a)
    if unit:
        i = np.arange(a.shape[-1])
        a[..., i, i] = 1
    return np.linalg.solve(a, b)


def _triangular_jvp(xs: Sequence[Array], dxs: Sequence[Array], out: Array, *, lower: bool, unit: bool = False) -> Array:
    a, _ = xs
    da, db = dxs
    right = None if da is None else minus(mm(_triangle(da, lower, unit), out))
    right = right if db is None else db if right is None else add(db, right)
    return fit_tangent(solve_triangular(a, right, lower=lower, unit=unit), out)


def _triangular_vjp(
    ct: Array, ins: Vars, xs: Sequence[Array], out: Array, *, lower: bool, unit: bool = False
) -> tuple[Array | None, ...]:
    a, b = ins
    db = solve_triangular(t(xs[0]), ct, lower=not lower, unit=unit)
    return (
        None if a is None else fit(_triangle(minus(mm(db, t(out))), lower, unit), a),
        None if b is None else fit(db, b),
    )


solve_triangular = Op(
    name="solve_triangular",
    accepts=INEXACT,
    shape=lambda a, b, *, lower, unit=False: _solve_shape("solve_triangular", a, b),
    eval=_triangular_eval,
    jvp=_triangular_jvp,
    vjp=_triangular_vjp,
    saves={0: (0, "out"), 1: (0,)},
    batch=native(lambda: solve_triangular),
    samples=(
        Sample((3, 3), (3, 2), lower=True, domain=((1.0, 2.0), anything)),
        Sample((3, 3), (3, 2), lower=False, domain=((1.0, 2.0), anything)),
        Sample((3, 3), (3, 2), lower=True, unit=True, domain=((1.0, 2.0), anything)),
        Sample((2, 3, 3), (3, 1), lower=False, domain=((1.0, 2.0), anything)),
        Sample((0, 0), (0, 2), lower=False),
    ),
    rejects=(Sample((3, 2), (3, 1), lower=True, raises=ShapeError),),
    note="only the triangle is read; the other one has derivative zero",
    lower=Library("solve_triangular"),
)

# ── inv ───────────────────────────────────────────────────────────────────────


def _inv_eval(a: Array, *, singular: str = "raise") -> np.ndarray:
    try:
        out = np.linalg.inv(a)
    except np.linalg.LinAlgError:
        if singular != "infinite":
            raise
        out = np.full(a.shape, np.inf, common(a.dtype))
        for i in np.ndindex(*a.shape[:-2]):
            with contextlib.suppress(np.linalg.LinAlgError):
                out[i] = np.linalg.inv(a[i])
    if singular == "refuse" and not np.all(_condition(a, out) * np.finfo(out.dtype).eps < 1e-3):
        raise np.linalg.LinAlgError("Singular matrix, to working precision, where this derivative needs a regular one")
    return out


def _condition(a: Array, inverse: Array) -> np.ndarray:
    """The condition number in the 1-norm."""
    return np.abs(a).sum(-2).max(-1, initial=0) * np.abs(inverse).sum(-2).max(-1, initial=0)


inv = Op(
    name="inv",
    accepts=INEXACT,
    shape=lambda a, *, singular="raise": Aval((*matrix_of("inv", a)[0], *a.shape[-2:]), common(a.dtype)),
    eval=_inv_eval,
    jvp=lambda xs, dxs, out, *, singular="raise": minus(mm(out, dxs[0], out)),
    vjp=lambda ct, ins, xs, out, *, singular="raise": (fit(minus(mm(t(out), ct, t(out))), ins[0]),),
    saves=("out",),
    batch=lambda xs, batched, size, *, singular="raise": inv(xs[0], singular=singular),
    samples=(
        Sample((3, 3), domain=regular),
        Sample((2, 3, 3), domain=regular),
        Sample((3, 3), domain=regular, singular="infinite"),
        Sample((3, 3), domain=regular, singular="refuse"),
        Sample((0, 0), domain=regular),
    ),
    rejects=(Sample((3, 2), raises=ShapeError), Sample((3,), raises=ShapeError)),
    note="`singular`, for rules: 'infinite' where it may not be needed, 'refuse' where rounding would pass for it",
    source=GILES,
    lower=Library("inv"),
)

# ── det and its derivatives, which exist for singular matrices too ────────────


def _others(s: np.ndarray) -> np.ndarray:
    """∏ of all entries but the i-th."""
    n = s.shape[-1]
    return np.where(np.eye(n, dtype=bool), 1, s[..., None, :]).prod(-1).astype(s.dtype)


def _cofactor_eval(a: Array) -> np.ndarray:
    a = np.asarray(a, common(a.dtype))
    try:
        inverse = np.linalg.inv(a)
        if np.all(_condition(a, inverse) < np.finfo(a.dtype).eps ** -0.5):
            return np.linalg.det(a)[..., None, None] * inverse.swapaxes(-1, -2)
    except np.linalg.LinAlgError:
        pass
    u, s, vh, sign = _signed_svd(a)
    return sign * ((u.conj() * _others(s)[..., None, :]) @ vh.conj())


def _signed_svd(a: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    u, s, vh = np.linalg.svd(a)
    return u, s, vh, (np.linalg.det(u) * np.linalg.det(vh))[..., None, None]


def _square_shape(name: str) -> Any:
    def shape(a: Aval, *rest: Aval) -> Aval:
        lead = [matrix_of(name, x)[0] for x in (a, *rest)]
        return Aval((*broadcast_shapes(name, *lead), *a.shape[-2:]), common(*(x.dtype for x in (a, *rest))))

    return shape


def _per_matrix(v: Array) -> Array:
    return reshape(v, shape=(*v.shape, 1, 1))


def _second_eval(a: Array, e: Array) -> np.ndarray:
    """D²det(A)[E, ·]: in the basis of the singular vectors A is diagonal, and the minors are products."""
    u, s, vh, sign = _signed_svd(np.asarray(a, common(a.dtype)))
    e = u.conj().swapaxes(-1, -2) @ e @ vh.conj().swapaxes(-1, -2)
    n = s.shape[-1]
    one = np.eye(n, dtype=bool)
    left_out = one[:, None, :] | one[None, :, :]
    pairs = np.where(left_out, 1, s[..., None, None, :]).prod(-1)
    pairs = np.where(one, 0, pairs).astype(s.dtype)
    diagonal = (pairs @ np.diagonal(e, axis1=-2, axis2=-1)[..., None])[..., 0]
    inner = -pairs * e.swapaxes(-1, -2)
    inner[..., range(n), range(n)] += diagonal
    return sign * (u.conj() @ inner @ vh.conj())


def _third(a: Array, e: Array, f: Array) -> Array:
    """D³det(A)[E, F, ·], for regular A; zero, whatever A is, where det is a polynomial of lower degree."""
    if a.shape[-1] < 3:
        shape = np.broadcast_shapes(a.shape, e.shape, f.shape)
        return np.zeros(shape, np.result_type(a.dtype, e.dtype, f.dtype))
    x = inv(a, singular="refuse")
    xt, d = t(x), _per_matrix(det(a))
    xe, xf = mm(x, e), mm(x, f)
    te, tf = _per_matrix(trace(xe)), _per_matrix(trace(xf))
    tef = _per_matrix(trace(mm(xe, xf)))
    exf = add(mm(xe, xf, x), mm(xf, xe, x))
    plain = scale(sub(mul(te, tf), tef), xt)
    mixed = add(scale(tf, t(mm(xe, x))), scale(te, t(mm(xf, x))))
    return mul(d, add(sub(plain, mixed), t(exf)))


def singular(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Square, of half the full rank."""
    n = shape[-1]
    return rng.normal(size=(*shape[:-1], n // 2)) @ rng.normal(size=(*shape[:-2], n // 2, n))


_DET_SAMPLES = tuple(Sample(s, domain=regular) for s in ((3, 3), (2, 3, 3), (1, 1), (0, 0)))

det = Op(
    name="det",
    accepts=INEXACT,
    shape=lambda a: Aval(matrix_of("det", a)[0], common(a.dtype)),
    eval=np.linalg.det,
    jvp=lambda xs, dxs, out: trace(mm(t(det_cofactor(xs[0])), dxs[0])),
    vjp=lambda ct, ins, xs, out: (fit(scale(_per_matrix(ct), det_cofactor(xs[0])), ins[0]),),
    saves=(0,),
    batch=lambda xs, batched, size: det(xs[0]),
    samples=(*_DET_SAMPLES, Sample((4, 4), domain=singular), Sample((2, 2), domain=singular)),
    rejects=(Sample((3, 2), raises=ShapeError),),
    note="first and second derivatives are exact for singular matrices too; the third needs a regular one",
    source=f"Jacobi's formula with the adjugate; {GILES}",
    lower=Library("det"),
)

det_cofactor = Op(
    name="det_cofactor",
    accepts=INEXACT,
    shape=_square_shape("det_cofactor"),
    eval=_cofactor_eval,
    jvp=lambda xs, dxs, out: det_second(xs[0], dxs[0]),
    vjp=lambda ct, ins, xs, out: (fit(det_second(xs[0], ct), ins[0]),),
    saves=(0,),
    batch=lambda xs, batched, size: det_cofactor(xs[0]),
    samples=(
        *_DET_SAMPLES,
        Sample((4, 4), domain=singular, order=1),
    ),
    lower=Library("det_cofactor"),
    note="the gradient of det: det(A) A⁻ᵀ, and its limit for singular A",
)


def _second_jvp(xs: Sequence[Array], dxs: Sequence[Array], out: Array) -> Array:
    (a, e), (da, de) = xs, dxs
    total = None if de is None else det_second(a, de)
    if da is not None:
        term = _third(a, e, da)
        total = term if total is None else add(total, term)
    return fit_tangent(total, out)


det_second = Op(
    name="det_second",
    accepts=INEXACT,
    shape=_square_shape("det_second"),
    eval=_second_eval,
    jvp=_second_jvp,
    vjp=lambda ct, ins, xs, out: (  # the form is symmetric in its directions
        None if ins[0] is None else fit(_third(xs[0], xs[1], ct), ins[0]),
        None if ins[1] is None else fit(det_second(xs[0], ct), ins[1]),
    ),
    saves={0: (0, 1), 1: (0,)},
    batch=native(lambda: det_second),
    samples=tuple(Sample(s, s, domain=(regular, anything)) for s in ((3, 3), (2, 3, 3), (1, 1), (0, 0))),
    note="the second derivative of det in a direction",
)

# ── slogdet ───────────────────────────────────────────────────────────────────


def _slogdet_shape(a: Aval) -> tuple[Aval, Aval]:
    lead, dtype = matrix_of("slogdet", a)[0], common(a.dtype)
    return Aval(lead, dtype), Aval(lead, real_of(dtype))


def _slogdet_jvp(xs: Sequence[Array], dxs: Sequence[Array], out: Sequence[Array]) -> tuple[Array, Array]:
    change = trace(mm(inv(xs[0], singular="infinite"), dxs[0]))
    if change.dtype.kind != "c":
        return scale(out[0], 0), change
    return mul(out[0], mul(imag(change), 1j)), real(change)


def _slogdet_vjp(ct: Sequence[Array], ins: Vars, xs: Sequence[Array], out: Sequence[Array]) -> tuple[Array]:
    (a,) = ins
    ct_sign, weight = ct
    if a.dtype.kind == "c" and ct_sign is not None:  # Re(ct i s Im τ) = Re(w (-i) τ), w = Re(i ct s)
        turn = mul(real(mul(mul(ct_sign, out[0]), 1j)), -1j)
        weight = turn if weight is None else add(weight, turn)
    if weight is None:
        return (np.zeros(a.shape, a.dtype),)
    return (fit(scale(_per_matrix(weight), t(inv(xs[0], singular="infinite"))), a),)


slogdet = Op(
    name="slogdet",
    accepts=INEXACT,
    shape=_slogdet_shape,
    eval=lambda a: tuple(np.linalg.slogdet(a)),
    jvp=_slogdet_jvp,
    vjp=_slogdet_vjp,
    saves=(0, "out"),
    batch=lambda xs, batched, size: slogdet(xs[0]),
    multi=True,
    samples=_DET_SAMPLES,
    rejects=(Sample((3, 2), raises=ShapeError),),
    note="the sign of a real determinant is constant; a singular matrix has an infinite derivative",
    source=GILES,
    lower=Library("slogdet"),
)

# ── pinv ──────────────────────────────────────────────────────────────────────


def _pinv_jvp(xs: Sequence[Array], dxs: Sequence[Array], out: Array, *, symmetric: bool = False) -> Array:
    a, y = xs[0], out
    da = hermitian(dxs[0]) if symmetric else dxs[0]
    dah = h(da)
    left, right = mm(mm(y, h(y)), dah), mm(dah, mm(h(y), y))
    return fit_tangent(
        add(
            minus(mm(y, da, y)),
            add(sub(left, mm(mm(left, a), y)), sub(right, mm(y, mm(a, right)))),
        ),
        out,
    )


def _pinv_vjp(
    ct: Array, ins: Vars, xs: Sequence[Array], out: Array, *, symmetric: bool = False
) -> tuple[Array | None, ...]:
    a, y = xs[0], out
    yt, cth = t(y), h(ct)
    left = mm(cth, mm(c(y), yt))
    left = sub(left, mm(c(a), mm(c(y), left)))
    right = mm(mm(yt, mm(c(y), cth)))
    right = sub(right, mm(mm(right, c(y)), c(a)))
    total = add(minus(mm(yt, ct, yt)), add(left, right))
    return (fit(hermitian(total) if symmetric else total, ins[0]), None)


pinv = Op(
    name="pinv",
    accepts=INEXACT,
    shape=lambda a, cutoff, *, symmetric=False: Aval(
        (*matrix_of("pinv", a, square=False)[0], a.shape[-1], a.shape[-2]), common(a.dtype)
    ),
    eval=lambda a, cutoff, *, symmetric=False: np.linalg.pinv(a, cutoff, hermitian=symmetric),
    jvp=_pinv_jvp,
    vjp=_pinv_vjp,
    saves=(0, "out"),
    batch=lambda xs, batched, size, **params: _pinv_batch(xs, batched, **params),
    samples=(
        Sample((4, 3), 1e-15, domain=regular),
        Sample((2, 4), 1e-15, domain=regular),
        Sample((2, 3, 3), 1e-15, domain=regular),
    ),
    note="singular values up to cutoff · max count as zero; the derivative is that along matrices of constant rank",
    source="Golub & Pereyra (1973), SIAM J. Numer. Anal. 10(2), eq. 4.12",
)


def _pinv_batch(xs: Sequence[Array], batched: Sequence[bool], *, symmetric: bool = False) -> Array:
    a, cutoff = xs
    if batched[1] and not batched[0]:
        a = broadcast_to(a, shape=(cutoff.shape[0], *a.shape))
    elif batched[1] and cutoff.ndim < a.ndim - 2:
        cutoff = reshape(cutoff, shape=(cutoff.shape[0], *(1,) * (a.ndim - 2 - cutoff.ndim), *cutoff.shape[1:]))
    return pinv(a, cutoff, symmetric=symmetric)


# ── lstsq ─────────────────────────────────────────────────────────────────────


def _lstsq_jvp(xs: Sequence[Array], dxs: Sequence[Array], out: Array, *, rcond: float) -> Array:
    a, b = xs
    da, db = dxs
    y = pinv(a, rcond)
    total = None if db is None else mm(y, db)
    if da is not None:
        dah = h(da)
        inner = mm(dah, mm(h(y), out))
        term = add(minus(mm(y, mm(da, out))), mm(y, mm(h(y), mm(dah, sub(b, mm(a, out))))))
        term = add(term, sub(inner, mm(y, mm(a, inner))))
        total = term if total is None else add(total, term)
    return fit_tangent(total, out)


def _lstsq_vjp(ct: Array, ins: Vars, xs: Sequence[Array], out: Array, *, rcond: float) -> tuple[Array | None, ...]:
    a, b = ins
    y = pinv(xs[0], rcond)
    yct = mm(t(y), ct)  # m × k
    da = None
    if a is not None:
        residual = sub(xs[1], mm(xs[0], out))
        null = sub(ct, mm(t(xs[0]), yct))  # (I - YA)ᵀ ct
        da = add(
            minus(mm(yct, t(out))),
            add(mm(c(residual), mm(h(yct), t(y))), mm(c(mm(h(y), out)), h(null))),
        )
        da = fit(da, a)
    return da, None if b is None else fit(yct, b)


def _lstsq_eval(a: Array, b: Array, *, rcond: float) -> np.ndarray:
    if a.ndim == 2 and b.ndim == 2:
        return np.linalg.lstsq(a, b, rcond)[0]
    return np.linalg.pinv(a, rcond) @ b


def _lstsq_shape(a: Aval, b: Aval, *, rcond: float) -> Aval:
    lead, m, n = matrix_of("lstsq", a, square=False)
    if b.ndim < 2 or b.shape[-2] != m:
        raise ShapeError("lstsq", got=f"{a} and {b}", want=f"a right-hand side of {m} rows", at=describe(here(2)))
    return Aval((*broadcast_shapes("lstsq", lead, b.shape[:-2]), n, b.shape[-1]), common(a.dtype, b.dtype))


lstsq = Op(
    name="lstsq",
    accepts=INEXACT,
    shape=_lstsq_shape,
    eval=_lstsq_eval,
    jvp=_lstsq_jvp,
    vjp=_lstsq_vjp,
    saves={0: (0, 1, "out"), 1: (0,)},
    batch=native(lambda: lstsq),
    samples=(
        Sample((4, 3), (4, 2), rcond=1e-14, domain=(regular, anything)),
        Sample((2, 4), (2, 1), rcond=1e-14, domain=(regular, anything)),
        Sample((3, 3), (3, 1), rcond=1e-14, domain=(regular, anything)),
    ),
    rejects=(Sample((4, 3), (3, 1), rcond=1e-14, raises=ShapeError),),
    note="of constant rank, as `pinv`",
    source="Golub & Pereyra (1973)",
)

__all__ = ["det", "diag", "inv", "lstsq", "pinv", "slogdet", "solve", "solve_triangular"]
