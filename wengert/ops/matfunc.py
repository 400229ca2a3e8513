"""Functions of square matrices: exponential, logarithm, square root, and their Fréchet derivatives.

For analytic f the block triangular matrix B = [[A, E], [0, A]] has f(B) = [[f(A), L(A, E)], [0, f(A)]], and L is
linear in E. The derivative of L in A is again L of a block matrix, so the rules are closed to every order.

Cost    f of a matrix of twice the size per derivative: about eight times f.
Source  Mathias (1996), A chain rule for matrix functions and applications, SIAM J. Matrix Anal. Appl. 17;
        Higham (2008), Functions of Matrices, theorem 3.6.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wengert.core.aval import INEXACT, Aval
from wengert.core.errors import ShapeError
from wengert.core.op import Op, Sample
from wengert.core.source import describe, here
from wengert.core.tensor import Array
from wengert.graph.program import Vars
from wengert.ops.basis import add, broadcast_shapes, broadcast_to, fit, fit_tangent
from wengert.ops.elementwise import mul, sub
from wengert.ops.matrix import (
    anything,
    block,
    c,
    co_complement,
    common,
    complement,
    h,
    matrix_of,
    minus,
    mm,
    native,
    positive_definite,
    regular,
    spread,
    t,
)
from wengert.ops.regular import full_rank, singular
from wengert.ops.shape import concatenate
from wengert.ops.solve import solve

MATHIAS = "Mathias (1996), SIAM J. Matrix Anal. Appl. 17(3); Higham (2008), theorem 3.6"


def _blocks(a: Array, b: Array, low: Array, d: Array) -> Array:
    """[[A, B], [C, D]] of equal squares."""
    n = a.shape[-1]
    lead = np.broadcast_shapes(*(x.shape[:-2] for x in (a, b, low, d)))
    a, b, low, d = (broadcast_to(x, shape=(*lead, n, n)) if x.shape[:-2] != lead else x for x in (a, b, low, d))
    last = len(lead) + 1
    top = concatenate(a, b, axis=last, sizes=(n, n))
    bottom = concatenate(low, d, axis=last, sizes=(n, n))
    return concatenate(top, bottom, axis=last - 1, sizes=(n, n))


def _zero(x: Array) -> np.ndarray:
    return np.zeros(x.shape, x.dtype)


def _quarter(x: Array, row: int, column: int) -> Array:
    n = x.shape[-1] // 2
    return block(x, slice(row * n, (row + 1) * n), slice(column * n, (column + 1) * n))


def stacked(fn: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """`fn` of one matrix, on stacks of them."""

    def each(a: Array) -> np.ndarray:
        if not a.size:  # which SciPy's logm does not take
            return np.zeros_like(a)
        if a.ndim == 2:
            return np.asarray(fn(a))
        out = [fn(a[i]) for i in np.ndindex(*a.shape[:-2])]
        return np.stack(out).reshape(a.shape)

    return each


def matrix_function(
    name: str, fn: Callable[[Any], Any], domain: Any, *, complex_valued: bool = False, branch_at_zero: bool = False
) -> tuple[Op, Op]:
    """The op of an analytic function of a matrix, and that of its Fréchet derivative L(A, E).

    `complex_valued` functions give complex results for real matrices too. Those with a `branch_at_zero` have no derivative
    at singular matrices: NaN, where rounding would make up a number.
    """
    op: Op
    frechet: Op

    def dtype_of(*avals: Aval) -> np.dtype:
        dtype = common(*(a.dtype for a in avals))
        return np.result_type(dtype, np.complex64) if complex_valued else dtype

    def evaluate(a: Array) -> np.ndarray:
        return fn(a).astype(dtype_of(Aval(a.shape, a.dtype)), copy=False)

    def frechet_eval(a: Array, e: Array) -> np.ndarray:
        # E is scaled to the size of A, so that it does not decide the accuracy of f(A).
        size = np.abs(e).sum(-1).max(-1, initial=0)[..., None, None]
        wanted = np.abs(a).sum(-1).max(-1, initial=0)[..., None, None]
        with np.errstate(all="ignore"):
            ratio = np.exp2(np.round(np.log2(np.where(wanted > 0, size / wanted, size))))
        ratio = np.where(np.isfinite(ratio) & (ratio > 0), ratio, 1).astype(size.dtype)
        a, e = np.broadcast_arrays(a, e / ratio)
        out = _quarter(fn(_blocks(a, e, np.zeros_like(a), a)), 0, 1) * ratio
        if branch_at_zero:
            out = np.where(singular(a)[..., None, None], np.nan, out)
        return out.astype(dtype_of(Aval(a.shape, a.dtype), Aval(e.shape, e.dtype)), copy=False)

    def frechet_shape(a: Aval, e: Aval) -> Aval:
        lead, size, _ = matrix_of(name, a)
        if matrix_of(name, e)[1] != size:
            raise ShapeError(
                name,
                got=f"the derivative at {a} along {e}",
                want="a direction of the matrix's own size",
                fix="check the order of the operands",
                at=describe(here(2)),
            )
        return Aval((*broadcast_shapes(name, lead, e.shape[:-2]), size, size), dtype_of(a, e))

    def second(a: Array, e: Array, f: Array) -> Array:
        return _quarter(frechet(_blocks(a, e, _zero(a), a), _blocks(f, _zero(f), _zero(f), f)), 0, 1)

    def frechet_jvp(xs: Sequence[Array], dxs: Sequence[Array], out: Array) -> Array:
        (a, e), (da, de) = xs, dxs
        total = None if de is None else frechet(a, de)
        if da is not None:
            term = second(a, e, da)
            total = term if total is None else add(total, term)
        return fit_tangent(total, out)

    def frechet_vjp(ct: Array, ins: Vars, xs: Sequence[Array], out: Array) -> tuple[Array | None, ...]:
        a, e = ins
        da = None
        if a is not None:
            corner = _blocks(_zero(ct), ct, _zero(ct), _zero(ct))
            both = frechet(t(_blocks(xs[0], xs[1], _zero(xs[0]), xs[0])), corner)
            da = fit(add(_quarter(both, 0, 0), _quarter(both, 1, 1)), a)
        return da, None if e is None else fit(frechet(t(xs[0]), ct), e)

    frechet = Op(
        name=f"{name}_frechet",
        accepts=INEXACT,
        shape=frechet_shape,
        eval=frechet_eval,
        jvp=frechet_jvp,
        vjp=frechet_vjp,
        saves={0: (0, 1), 1: (0,)},
        batch=native(lambda: frechet),
        samples=(
            Sample((3, 3), (3, 3), domain=(domain, anything)),
            Sample((2, 2, 2), (2, 2, 2), domain=(domain, anything)),
        ),
        source=MATHIAS,
    )
    op = Op(
        name=name,
        accepts=INEXACT,
        shape=lambda a: Aval((*matrix_of(name, a)[0], *a.shape[-2:]), dtype_of(a)),
        eval=evaluate,
        jvp=lambda xs, dxs, out: fit_tangent(frechet(xs[0], dxs[0]), out),
        vjp=lambda ct, ins, xs, out: (fit(frechet(t(xs[0]), ct), ins[0]),),
        saves=(0,),
        batch=lambda xs, batched, size: op(xs[0]),
        samples=tuple(Sample(s, domain=domain) for s in ((3, 3), (2, 2, 2), (1, 1))),
        rejects=(Sample((3, 2), raises=ShapeError),),
        source=MATHIAS,
    )
    return op, frechet


def _scipy(name: str) -> Callable[[Any], Any]:
    def call(a: Array) -> Any:
        import scipy.linalg

        with np.errstate(over="ignore"):
            overflows = not np.isfinite(np.abs(a).sum(0)).all() and np.isfinite(a).all()
        # SciPy's logm takes square roots until the norm is small: with an infinite one, without end.
        return np.full(a.shape, np.nan) if overflows else getattr(scipy.linalg, name)(a)

    return stacked(call)


def _positive(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return positive_definite(rng, shape) + 0.2 * rng.normal(size=shape)


expm, expm_frechet = matrix_function("expm", _scipy("expm"), (-1.0, 1.0))
logm, logm_frechet = matrix_function("logm", _scipy("logm"), _positive, complex_valued=True, branch_at_zero=True)
sqrtm, sqrtm_frechet = matrix_function("sqrtm", _scipy("sqrtm"), _positive, complex_valued=True, branch_at_zero=True)

# ── Sylvester's equation ──────────────────────────────────────────────────────


def _spectrum(t: np.ndarray) -> np.ndarray:
    """Eigenvalues of a real or complex Schur form: its 2×2 blocks have equal diagonal elements."""
    values = np.diagonal(t).astype(np.result_type(t, np.complex64))
    low = np.diagonal(t, -1)
    (at,) = np.nonzero(low)
    turn = np.sqrt(low[at] * np.diagonal(t, 1)[at] + 0j)
    values[at] += turn
    values[at + 1] -= turn
    return values


def _solve_sylvester(a: np.ndarray, b: np.ndarray, q: np.ndarray) -> np.ndarray:
    """By Bartels and Stewart, as SciPy's; where LAPACK would perturb a singular equation, LinAlgError."""
    from scipy.linalg import get_lapack_funcs, schur

    dtype = np.result_type(a, b, q)
    if not q.size:
        return np.zeros(q.shape, dtype)
    a, b = a.astype(dtype, copy=False), b.astype(dtype, copy=False)  # a real Schur form is none for complex solvers
    r, u = schur(a, output="real")[:2]
    s, v = schur(b.conj().T, output="real")[:2]
    size = np.linalg.norm(r) + np.linalg.norm(s)
    gap = np.abs(_spectrum(r)[:, None] + _spectrum(s).conj()).min()
    if gap <= max(q.shape) * np.finfo(r.dtype).eps * size:
        raise np.linalg.LinAlgError(
            "Sylvester's equation is singular, to working precision: A and -B have a common eigenvalue"
        )
    right = u.conj().T @ q @ v
    (trsyl,) = get_lapack_funcs(("trsyl",), (r, s, right))
    y, scaled, _ = trsyl(r, s, right, tranb="C")
    return u @ (scaled * y) @ v.conj().T


def _sylvester_eval(a: Array, b: Array, q: Array) -> np.ndarray:
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2], q.shape[:-2])
    if not lead:
        return _solve_sylvester(a, b, q)
    a, b, q = (np.broadcast_to(x, (*lead, *x.shape[-2:])) for x in (a, b, q))
    out = [_solve_sylvester(a[i], b[i], q[i]) for i in np.ndindex(*lead)]
    return np.stack(out).reshape(q.shape) if out else np.zeros(q.shape, np.result_type(a, b, q))


def _sylvester_jvp(xs: Sequence[Array], dxs: Sequence[Array], out: Array) -> Array:
    a, b, _ = xs
    da, db, right = dxs
    for term in (None if da is None else mm(da, out), None if db is None else mm(out, db)):
        if term is not None:
            right = minus(term) if right is None else add(right, minus(term))
    return fit_tangent(sylvester(a, b, right), out)


def _sylvester_vjp(ct: Array, ins: Vars, xs: Sequence[Array], out: Array) -> tuple[Array | None, ...]:
    a, b, q = ins
    back = sylvester(t(xs[0]), t(xs[1]), ct)
    return (
        None if a is None else fit(minus(mm(back, t(out))), a),
        None if b is None else fit(minus(mm(t(out), back)), b),
        None if q is None else fit(back, q),
    )


sylvester = Op(
    name="sylvester",
    accepts=INEXACT,
    shape=lambda a, b, q: Aval(
        (*np.broadcast_shapes(a.shape[:-2], b.shape[:-2], q.shape[:-2]), a.shape[-1], b.shape[-1]),
        common(a.dtype, b.dtype, q.dtype),
    ),
    eval=_sylvester_eval,
    jvp=_sylvester_jvp,
    vjp=_sylvester_vjp,
    saves={0: (0, 1, "out"), 1: (0, 1, "out"), 2: (0, 1)},
    batch=native(lambda: sylvester),
    samples=(
        Sample((3, 3), (2, 2), (3, 2), domain=(spread, spread, anything)),
        Sample((2, 2, 2), (2, 2), (2, 2, 2), domain=(spread, spread, anything)),
    ),
    note="X with A X + X B = Q; LinAlgError where A and -B have a common eigenvalue",
)

# ── polar decomposition ───────────────────────────────────────────────────────


def _polar_eval(a: Array) -> np.ndarray:
    u, _, vh = np.linalg.svd(a, full_matrices=False)
    return u @ vh


def _right_divided(x: Array, p: Array) -> Array:
    """X P⁻¹."""
    return t(solve(t(p), t(x)))


def _skew(x: Array) -> Array:
    return sub(x, h(x))


def _turning(p: Array, right: Array) -> Array:
    """The skew X with P X + X P = right, for a skew right-hand side. Rounding is kept from growing its Hermitian part, which
    a small singular value would magnify where a skew matrix has zeros."""
    full_rank(p)
    p = mul(0.5, add(p, h(p)))
    return mul(0.5, _skew(sylvester(p, p, right)))


def _polar_jvp(xs: Sequence[Array], dxs: Sequence[Array], out: Array) -> Array:
    (a,), (da,) = xs, dxs
    p = mm(h(out), a)
    total = mm(out, _turning(p, _skew(mm(h(out), da))))
    return add(total, _right_divided(complement(out, da), p)) if a.shape[-2] > a.shape[-1] else total


def _polar_vjp(ct: Array, ins: Vars, xs: Sequence[Array], out: Array) -> tuple[Array]:
    (a,) = xs
    p = mm(h(out), a)
    total = mm(c(out), _turning(t(p), _skew(mm(t(out), ct))))
    if a.shape[-2] > a.shape[-1]:
        total = add(total, _right_divided(co_complement(out, ct), t(p)))
    return (fit(total, ins[0]),)


def _polar_shape(a: Aval) -> Aval:
    _, m, n = matrix_of("polar_factor", a, square=False)
    if m < n:
        raise ShapeError("polar_factor", got=str(a), want="at least as many rows as columns", fix="transpose it")
    return a.with_dtype(common(a.dtype))


polar_factor = Op(
    name="polar_factor",
    accepts=INEXACT,
    shape=_polar_shape,
    eval=_polar_eval,
    jvp=_polar_jvp,
    vjp=_polar_vjp,
    saves=(0, "out"),
    batch=lambda xs, batched, size: polar_factor(xs[0]),
    samples=tuple(Sample(s, domain=regular) for s in ((3, 3), (4, 2), (2, 3, 2))),
    rejects=(Sample((2, 3), raises=ShapeError),),
    note="U of A = U P, for full column rank (otherwise its derivative raises LinAlgError); equal singular values are no obstacle",
    source="Higham (2008), Functions of Matrices, section 8.1",
)

__all__ = ["expm", "expm_frechet", "logm", "logm_frechet", "polar_factor", "sqrtm", "sqrtm_frechet", "sylvester"]
