"""Roots of polynomials."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.core.aval import ANY, Aval
from wengert.core.op import Op, Sample
from wengert.core.tensor import Array
from wengert.ops.basis import fit, fit_tangent, neg, reduce_sum, reshape, scale
from wengert.ops.elementwise import div, mul
from wengert.ops.index import index
from wengert.ops.shape import stack

# ── roots ─────────────────────────────────────────────────────────────────────


def _complex_of(dtype: np.dtype) -> np.dtype:
    return np.result_type(dtype, np.complex64)


def _roots_eval(p: np.ndarray, *, lead: int) -> np.ndarray:
    dtype = _complex_of(p.dtype)
    if p.ndim == 1:
        return np.roots(p).astype(dtype)
    p = p[..., lead:]
    n = p.shape[-1] - 1
    if n < 1:
        return np.zeros((*p.shape[:-1], 0), dtype)
    companion = np.zeros((*p.shape[:-1], n, n), p.dtype)
    companion[..., np.arange(1, n), np.arange(n - 1)] = 1
    companion[..., 0, :] = -p[..., 1:] / p[..., :1]
    out = np.linalg.eigvals(companion).astype(dtype)
    for i in np.argwhere((p[..., -1] == 0) & (p[..., 0] != 0)):  # np.roots splits roots at zero off, and puts them last
        out[tuple(i)] = np.roots(p[tuple(i)])
    return out


def _sensitivity(p: Array, r: Array) -> Array:
    """∂rᵢ/∂pₖ = -rᵢ^(n-k) / p'(rᵢ), a matrix (of each polynomial of a batch): the roots' change keeps p(r) zero."""
    n, each = p.shape[-1] - 1, (slice(None),) * r.ndim
    powers: list[Array] = [np.ones(r.shape, r.dtype)]
    for _ in range(n):
        powers.append(mul(powers[-1], r))
    table = stack(*powers[::-1], axis=r.ndim)  # r^n … r^0
    falling = mul(index(p, spec=(*each[1:], slice(None, -1))), np.arange(n, 0, -1).astype(p.dtype))
    falling = reshape(falling, shape=(*r.shape[:-1], 1, n))
    slope = reduce_sum(mul(index(table, spec=(*each, slice(1, None))), falling), axes=(r.ndim,))
    return neg(div(table, reshape(slope, shape=(*r.shape, 1))))


def _roots_jvp(xs: Sequence[Array], dxs: Sequence[Array], out: Array, *, lead: int) -> Array:
    dp = reshape(dxs[0], shape=(*xs[0].shape[:-1], 1, xs[0].shape[-1]))
    return fit_tangent(reduce_sum(scale(dp, _sensitivity(xs[0], out)), axes=(out.ndim,)), out)


def _roots_vjp(ct: Array, ins: Any, xs: Sequence[Array], out: Array, *, lead: int) -> tuple[Array]:
    ct = reshape(ct, shape=(*ct.shape, 1))
    return (fit(reduce_sum(scale(ct, _sensitivity(xs[0], out)), axes=(ct.ndim - 2,)), ins[0]),)


def _near(*roots: complex, lead: int = 0) -> Any:
    """Coefficients of a polynomial whose roots lie apart, near the given ones."""

    def draw(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        p = np.concatenate([np.zeros(lead), np.poly(roots).real])
        p[lead:] += rng.uniform(-0.05, 0.05, size=p.size - lead)
        return p

    return draw


roots = Op(
    name="roots",
    accepts=ANY,
    shape=lambda p, *, lead: Aval((*p.shape[:-1], max(p.shape[-1] - 1 - lead, 0)), _complex_of(p.dtype)),
    eval=_roots_eval,
    jvp=_roots_jvp,
    vjp=_roots_vjp,
    saves=(0, "out"),
    batch=lambda xs, batched, size, *, lead: roots(xs[0], lead=lead),
    samples=(
        Sample((4,), domain=_near(-2.0, 0.5, 1.5), lead=0),
        Sample((4,), domain=_near(1.5, 1j, -1j), lead=0),
        Sample((2,), domain=_near(0.7), lead=0),
    ),
    note="at a multiple root the derivative is infinite (NaN where 0/0)",
    source="Wilkinson, The evaluation of the zeros of ill-conditioned polynomials, Numer. Math. 1 (1959)",
)
