"""Spectra of (stacks of) matrices: eigenvalues and singular values with their vectors.

Gauge   Vectors are unique up to signs and phases. A function that does not depend on them has the derivative
        given here. Where LAPACK leaves a phase open, the tangent that does not move along it is taken.
Degenerate values  Eigenvalues have a derivative where eigenvectors are not used. Vectors that belong to equal
        values have none, and using one gives NaN: a zero would be silently wrong for V f(Λ) Vᴴ, whose
        derivative is finite but cannot be found through V (as in JAX and PyTorch). Values closer than
        rounding count as equal.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.core.aval import INEXACT, Aval
from wengert.core.errors import ShapeError
from wengert.core.form import Library, Map, Unsupported, Via
from wengert.core.op import Op, Sample
from wengert.core.source import describe, here
from wengert.core.tensor import Array
from wengert.graph.program import Vars
from wengert.ops import scalars
from wengert.ops.basis import (
    add,
    all_batched,
    batch_elementwise,
    broadcast_shapes,
    fit,
    imag,
    neg,
    real,
    reduce_sum,
    reshape,
    scale,
)
from wengert.ops.elementwise import abs_, mul, reciprocal, square, sub, unscale
from wengert.ops.family import elementwise, piecewise_constant
from wengert.ops.logic import greater
from wengert.ops.matrix import (
    add_diag,
    block,
    c,
    co_complement,
    columns,
    common,
    complement,
    diag,
    diag_matrix,
    h,
    hermitian,
    hermitian_part,
    matrix_of,
    minus,
    mm,
    positive_definite,
    real_of,
    regular,
    spread,
    t,
    widths,
)
from wengert.ops.reduce import reduce_max
from wengert.ops.select import maximum, where
from wengert.ops.shape import concatenate
from wengert.ops.solve import inv

# ── reciprocals that stay finite ──────────────────────────────────────────────


def _inverse_scalar(b: Any, x: Any) -> Any:
    return b.select(scalars.is_zero(b, x), b.like(0, x), scalars.reciprocal(b, x))


inverse_or_zero = elementwise(
    "inverse_or_zero",
    np.reciprocal,
    [lambda r: neg(square(r.out))],
    [("out",)],
    eval=lambda x: np.divide(1, x, out=np.zeros_like(x), where=x != 0)[()],
    samples=[Sample(s, domain=(0.3, 2.0)) for s in ((3, 4), (), (0,))],
    note="1/x, and 0 with all derivatives at 0",
    lower=Map(_inverse_scalar, cost=12),
)


def _gaps_eval(x: Array, y: Array, *, same: bool = False) -> np.ndarray:
    gap = x[..., None, :] - y[..., :, None]
    size = np.maximum(np.abs(x).max(-1, initial=0), np.abs(y).max(-1, initial=0))[..., None, None]
    apart = np.abs(gap) > size * (x.shape[-1] * np.finfo(gap.dtype).eps)
    out = np.divide(1, gap, out=np.full_like(gap, np.inf), where=apart)
    if same:
        i = np.arange(x.shape[-1])
        out[..., i, i] = 0
    return out


def _gaps_vjp(ct: Array, ins: Vars, xs: Sequence[Array], out: Array, *, same: bool = False) -> tuple[Array | None, ...]:
    n = len(out.shape)
    slope = scale(ct, square(out))
    return (
        None if ins[0] is None else fit(neg(reduce_sum(slope, axes=(n - 2,))), ins[0]),
        None if ins[1] is None else fit(reduce_sum(slope, axes=(n - 1,)), ins[1]),
    )


def _gaps_jvp(xs: Sequence[Array], dxs: Sequence[Array], out: Array, *, same: bool = False) -> Array:
    dx, dy = dxs
    across = None if dx is None else neg(reshape(dx, shape=(*dx.shape[:-1], 1, dx.shape[-1])))
    down = None if dy is None else reshape(dy, shape=(*dy.shape, 1))
    return scale(down if across is None else across if down is None else add(across, down), square(out))


def _apart(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return np.arange(1.0, 1 + shape[-1]) + 0.1 * rng.normal(size=shape)


def _gaps(x: Array, y: Array, *, same: bool = False) -> Array:
    n, last = x.shape[-1], (len(x.shape) - 1, len(y.shape) - 1)
    if not n or not y.shape[-1]:
        raise Unsupported("no values")
    dtype = common(x.dtype, y.dtype)
    gap = sub(reshape(x, shape=(*x.shape[:-1], 1, n)), reshape(y, shape=(*y.shape, 1)))
    size = maximum(reduce_max(abs_(x), axes=(last[0],)), reduce_max(abs_(y), axes=(last[1],)))
    bound = mul(reshape(size, shape=(*size.shape, 1, 1)), float(n * np.finfo(dtype).eps))
    out = where(greater(abs_(gap), bound), reciprocal(gap), np.full((), np.inf, dtype))
    return where(np.eye(n, dtype=bool), np.zeros((), dtype), out) if same else out


inverse_gaps = Op(
    name="inverse_gaps",
    accepts=INEXACT,
    shape=lambda x, y, *, same=False: Aval(
        (*broadcast_shapes("inverse_gaps", x.shape[:-1], y.shape[:-1]), y.shape[-1], x.shape[-1]),
        common(x.dtype, y.dtype),
    ),
    eval=_gaps_eval,
    jvp=_gaps_jvp,
    vjp=_gaps_vjp,
    saves=("out",),
    batch=batch_elementwise(lambda: inverse_gaps),
    samples=(
        Sample((3,), (3,), domain=((0.0, 1.0), (2.0, 3.0))),
        Sample((2, 3), (2, 3), domain=((0.0, 1.0), (2.0, 3.0))),
        Sample((3,), (3,), same=True, domain=(_apart, _apart)),
    ),
    note="1/(xⱼ - yᵢ), infinite where the gap is no more than rounding; `same`: x is y, and the diagonal zero",
    lower=scalars.for_floats(Via(_gaps)),
)


def gaps(w: Array) -> Array:
    """F of a spectrum with itself."""
    return inverse_gaps(w, w, same=True)


# ── eigh ──────────────────────────────────────────────────────────────────────


def _eigh_shape(a: Aval, *, lower: bool = True, driver: str = "evd") -> tuple[Aval, Aval]:
    lead, dtype = matrix_of("eigh", a)[0], common(a.dtype)
    return Aval((*lead, a.shape[-1]), real_of(dtype)), Aval((*lead, *a.shape[-2:]), dtype)


def _eigh_eval(a: Array, *, lower: bool = True, driver: str = "evd") -> tuple[np.ndarray, np.ndarray]:
    a = hermitian_part(a)
    if driver == "evd" or not a.size:
        w, v = np.linalg.eigh(a, "L" if lower else "U")
        return w, v
    from scipy.linalg import eigh as scipy_eigh

    pairs = [scipy_eigh(a[i], lower=lower, driver=driver) for i in np.ndindex(*a.shape[:-2])]
    w, v = (np.stack(x) for x in zip(*pairs, strict=True))
    return w.reshape(a.shape[:-1]), v.reshape(a.shape)


def _eigh_jvp(
    xs: Sequence[Array], dxs: Sequence[Array], out: Sequence[Array], *, lower: bool = True, driver: str = "evd"
) -> tuple[Array, Array]:
    w, v = out
    e = mm(h(v), hermitian(dxs[0]), v)
    return real(diag(e)), mm(v, scale(e, gaps(w)))


def _eigh_vjp(
    ct: Sequence[Array | None],
    ins: Vars,
    xs: Sequence[Array],
    out: Sequence[Array],
    *,
    lower: bool = True,
    driver: str = "evd",
) -> tuple[Array]:
    w, v = out
    ct_w, ct_v = ct
    inner = None if ct_v is None else scale(mm(t(v), ct_v), gaps(w))
    if inner is None:
        total = mm(columns(c(v), ct_w), t(v))
    else:
        total = mm(c(v), inner if ct_w is None else add_diag(inner, ct_w), t(v))
    return (fit(hermitian(total), ins[0]),)


eigh = Op(
    name="eigh",
    accepts=INEXACT,
    shape=_eigh_shape,
    eval=_eigh_eval,
    jvp=_eigh_jvp,
    vjp=_eigh_vjp,
    saves=("out",),
    batch=lambda xs, batched, size, **params: eigh(xs[0], **params),
    multi=True,
    samples=(
        *(Sample(s, domain=positive_definite, real_only=True) for s in ((3, 3), (2, 3, 3), (1, 1), (0, 0))),
        Sample((3, 3), lower=False, domain=positive_definite, real_only=True),
    ),
    rejects=(Sample((3, 2), raises=ShapeError),),
    note="a function of the Hermitian part; `lower` and `driver` are LAPACK's, and decide the signs of vectors."
    " A complex eigenvector's tangent is orthogonal to it (its phase stands still); those of equal"
    " eigenvalues have no derivative (NaN)",
    source="Giles (2008), section 3.1",
    lower=Library("eigh"),
)

# ── eig ───────────────────────────────────────────────────────────────────────


def _eig_eval(a: Array) -> tuple[np.ndarray, np.ndarray]:
    w, v = np.linalg.eig(a)
    dtype = np.result_type(common(a.dtype), np.complex64)
    return w.astype(dtype, copy=False), v.astype(dtype, copy=False)


def _eig_shape(a: Aval) -> tuple[Aval, Aval]:
    lead, dtype = matrix_of("eig", a)[0], np.result_type(common(a.dtype), np.complex64)
    return Aval((*lead, a.shape[-1]), dtype), Aval((*lead, *a.shape[-2:]), dtype)


def _largest_eval(v: Array) -> np.ndarray:
    size = v.real**2 + v.imag**2
    return np.arange(v.shape[-2])[:, None] == size.argmax(-2)[..., None, :] if v.size else np.zeros(v.shape, bool)


largest_entries = piecewise_constant(
    "largest_entries",
    _largest_eval,
    "which entry of each column is largest",
    shape=lambda v: v.with_dtype(bool),
    batch=lambda xs, batched, size: largest_entries(xs[0]),
    samples=[Sample((3, 3)), Sample((2, 3, 3))],
)


def _merged_eval(w: Array, v: Array) -> np.ndarray:
    gap = np.abs(w[..., None, :] - w[..., :, None])
    size = np.abs(w).max(-1, initial=0) * np.linalg.cond(v) if v.size else np.zeros(w.shape[:-1])
    return (gap <= 10 * w.shape[-1] * np.finfo(gap.dtype).eps * size[..., None, None]) & ~np.eye(
        w.shape[-1], dtype=bool
    )


def _merged_shape(w: Aval, v: Aval) -> Aval:
    matrix_of("merged", v)
    if w.shape != v.shape[:-1]:
        raise ShapeError(
            "merged",
            got=f"eigenvalues {w} of {v}",
            want="one for each column",
            fix="check the order",
            at=describe(here(2)),
        )
    return v.with_dtype(bool)


merged = piecewise_constant(
    "merged",
    _merged_eval,
    "whether two eigenvalues are closer than their own rounding",
    arity=2,
    shape=_merged_shape,
    batch=lambda xs, batched, size: merged(*all_batched(xs, batched, size)),
    samples=[Sample((3,), (3, 3), domain=(_apart, regular)), Sample((2, 3), (2, 3, 3), domain=(_apart, regular))],
)


def _gaps_of(w: Array, v: Array) -> Array:
    """F of a spectrum that is known to eps·κ(V): of eigenvalues that rounding may have parted, infinite."""
    return where(merged(w, v), np.inf, gaps(w))


def _columns_sum(x: Array) -> Array:
    return reduce_sum(x, axes=(len(x.shape) - 2,))


def _eig_jvp(xs: Sequence[Array], dxs: Sequence[Array], out: Sequence[Array]) -> tuple[Array, Array]:
    w, v = out
    e = mm(inv(v, singular="refuse"), dxs[0], v)
    u = mm(v, scale(e, _gaps_of(w, v)))
    mask = largest_entries(v)
    length = real(_columns_sum(mul(c(v), u)))
    turn = mul(imag(_columns_sum(where(mask, u, 0.0))), _pivots(mask, v))
    return diag(e), sub(u, columns(v, add(length, mul(turn, 1j))))


def _pivots(mask: Array, v: Array) -> Array:
    """One over the largest entry of each eigenvector, which LAPACK makes real."""
    return inverse_or_zero(real(_columns_sum(where(mask, v, 0.0))))


def _eig_vjp(ct: Sequence[Array | None], ins: Vars, xs: Sequence[Array], out: Sequence[Array]) -> tuple[Array]:
    w, v = out
    ct_w, ct_v = ct
    inner = None
    if ct_v is not None:
        along = _columns_sum(mul(ct_v, v))
        mask = largest_entries(v)
        turn = mul(mul(imag(along), _pivots(mask, v)), -1j)
        ct_u = add(ct_v, neg(columns(c(v), real(along))))
        ct_u = add(ct_u, where(mask, reshape(turn, shape=(*turn.shape[:-1], 1, turn.shape[-1])), 0.0))
        inner = scale(mm(t(v), ct_u), _gaps_of(w, v))
    if ct_w is not None:
        inner = diag_matrix(ct_w) if inner is None else add_diag(inner, ct_w)
    return (fit(mm(t(inv(v, singular="refuse")), inner, t(v)), ins[0]),)


eig = Op(
    name="eig",
    accepts=INEXACT,
    shape=_eig_shape,
    eval=_eig_eval,
    jvp=_eig_jvp,
    vjp=_eig_vjp,
    saves=("out",),
    batch=lambda xs, batched, size: eig(xs[0]),
    multi=True,
    samples=tuple(Sample(s, domain=spread) for s in ((3, 3), (2, 3, 3), (1, 1))),
    rejects=(Sample((3, 2), raises=ShapeError),),
    note="eigenvectors keep LAPACK's gauge, in value and derivative: unit length, largest entry real."
    " Defective matrices have no derivative (LinAlgError); vectors of eigenvalues that are closer than eps·κ(V) have none (NaN)",
    source="van der Aa, ter Morsche & Mattheij (2007), Computation of eigenvalue and eigenvector derivatives, ELA 16",
)

# ── svd ───────────────────────────────────────────────────────────────────────


def _svd_shape(a: Aval, *, full: bool = False) -> tuple[Aval, Aval, Aval]:
    lead, m, n = matrix_of("svd", a, square=False)
    k, dtype = min(m, n), common(a.dtype)
    return (
        Aval((*lead, m, m if full else k), dtype),
        Aval((*lead, k), real_of(dtype)),
        Aval((*lead, n if full else k, n), dtype),
    )


def _thin(out: Sequence[Array]) -> tuple[Array, Array, Array, Array | None, Array | None]:
    """U, s, Vᴴ of the reduced form, and the bases of the complements if the form is full."""
    u, s, vh = out
    k = s.shape[-1]
    head, rest, every = slice(k), slice(k, None), slice(None)
    u_rest = vh_rest = None
    if u.shape[-1] > k:
        u, u_rest = block(u, every, head), block(u, every, rest)
    if vh.shape[-2] > k:
        vh, vh_rest = block(vh, head, every), block(vh, rest, every)
    return u, s, vh, u_rest, vh_rest


def _columns_over(x: Array, s: Array) -> Array:
    """X diag(s)⁻¹, strong in X."""
    return unscale(x, reshape(s, shape=(*s.shape[:-1], 1, s.shape[-1])))


def _skew(x: Array) -> Array:
    return mul(0.5, sub(x, h(x)))


def _svd_jvp(
    xs: Sequence[Array], dxs: Sequence[Array], out: Sequence[Array], *, full: bool = False
) -> tuple[Array, Array, Array]:
    (da,) = dxs
    u, s, vh, u_rest, vh_rest = _thin(out)
    p = mm(h(u), da, h(vh))
    # Both bases turn together where Pᴴ = P, and against each other where Pᴴ = -P (phases included).
    both = scale(hermitian(p), gaps(s))
    apart = scale(_skew(p), inverse_gaps(s, neg(s)))
    du, dvh = mm(u, add(both, apart)), mm(h(sub(both, apart)), vh)
    if u.shape[-2] > u.shape[-1]:
        du = add(du, _columns_over(complement(u, mm(da, h(vh))), s))
    if vh.shape[-1] > vh.shape[-2]:
        dvh = add(dvh, h(_columns_over(complement(h(vh), mm(h(da), u)), s)))
    core = mm(_columns_over(u, s), vh) if u_rest is not None or vh_rest is not None else None
    if u_rest is not None:
        du = concatenate(du, minus(mm(core, mm(h(da), u_rest))), axis=len(du.shape) - 1, sizes=widths(u, u_rest, -1))
    if vh_rest is not None:
        rest = minus(mm(mm(vh_rest, h(da)), core))
        dvh = concatenate(dvh, rest, axis=len(dvh.shape) - 2, sizes=widths(vh, vh_rest, -2))
    return du, real(diag(p)), dvh


def _svd_vjp(
    ct: Sequence[Array | None], ins: Vars, xs: Sequence[Array], out: Sequence[Array], *, full: bool = False
) -> tuple[Array]:
    u, s, vh, u_rest, vh_rest = _thin(out)
    ct_u, ct_s, ct_vh = ct
    k = s.shape[-1]
    head, rest, every = slice(k), slice(k, None), slice(None)
    uc, vc = c(u), c(vh)
    inner = None if ct_s is None else diag_matrix(ct_s)
    turn_u = turn_v = None
    terms = []
    if ct_u is not None:
        if u_rest is not None:
            cross = mm(c(u_rest), h(block(ct_u, every, rest)), uc)
            terms.append(minus(mm(_columns_over(cross, s), vc)))
            ct_u = block(ct_u, every, head)
        turn_u = mm(t(u), ct_u)
        if u.shape[-2] > k:
            terms.append(mm(_columns_over(co_complement(u, ct_u), s), vc))
    if ct_vh is not None:
        if vh_rest is not None:
            cross = mm(vc, h(block(ct_vh, rest, every)), c(vh_rest))
            terms.append(minus(mm(_columns_over(uc, s), cross)))
            ct_vh = block(ct_vh, head, every)
        turn_v = mm(vc, h(ct_vh))
        if vh.shape[-1] > k:
            terms.append(mm(uc, t(_columns_over(t(sub(ct_vh, mm(mm(ct_vh, t(vh)), vc))), s))))
    if turn_u is not None or turn_v is not None:
        both = turn_u if turn_v is None else turn_v if turn_u is None else add(turn_u, turn_v)
        apart = turn_u if turn_v is None else neg(turn_v) if turn_u is None else sub(turn_u, turn_v)
        inner = _plus(inner, add(hermitian(scale(both, gaps(s))), scale(_skew(apart), inverse_gaps(s, neg(s)))))
    total = mm(uc, inner, vc)
    for term in terms:
        total = add(total, term)
    return (fit(total, ins[0]),)


def _plus(x: Array | None, y: Array) -> Array:
    return y if x is None else add(x, y)


_SVD_SHAPES = ((3, 3), (4, 3), (3, 5), (2, 3, 2), (1, 1), (0, 2))

svd = Op(
    name="svd",
    accepts=INEXACT,
    shape=_svd_shape,
    eval=lambda a, *, full=False: tuple(np.linalg.svd(a, full_matrices=full)),
    jvp=_svd_jvp,
    vjp=_svd_vjp,
    saves=("out",),
    batch=lambda xs, batched, size, *, full=False: svd(xs[0], full=full),
    multi=True,
    samples=(
        *(Sample(s, domain=regular, real_only=True) for s in _SVD_SHAPES),
        Sample((4, 3), full=True, domain=regular, real_only=True),
        Sample((2, 2, 3), full=True, domain=regular, real_only=True),
    ),
    rejects=(Sample((3,), raises=ShapeError),),
    note="pairs of complex singular vectors move without turning their common phase; `full` bases of the complements"
    " move orthogonally to themselves; vectors of equal values, or of the value zero, have no derivative (NaN)",
    source="Townsend (2016), Differentiating the singular value decomposition; Wan & Zhang (2019), arXiv:1909.02659",
    lower=Library("svd"),
)

__all__ = ["eig", "eigh", "inverse_gaps", "inverse_or_zero", "svd"]
