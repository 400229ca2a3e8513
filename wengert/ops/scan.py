"""Scans: running sums, products and extrema along one axis, and the linear recurrence behind their derivatives.

A running product is the recurrence yᵢ = xᵢ yᵢ₋₁. Linearised, it is yᵢ = aᵢ yᵢ₋₁ + bᵢ, whose own
derivatives in a and b are recurrences again: `recurrence` is closed under differentiation. No
rule divides, so derivatives of products are exact through zeros, at every order.

Convention  `axis` is non-negative; `reverse` runs from the last element to the first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wengert.core.aval import ANY, INEXACT, Aval, promote
from wengert.core.errors import ShapeError
from wengert.core.form import Library, Scan, Via
from wengert.core.op import Constant, Op, Rule, Sample
from wengert.core.source import describe, here
from wengert.core.tensor import Array
from wengert.graph.program import Vars
from wengert.ops.basis import add, all_batched, cast, fit, fit_tangent, linear, scale, strong_zero
from wengert.ops.dtype import truncate
from wengert.ops.elementwise import div, sub
from wengert.ops.index import index
from wengert.ops.logic import equal, logical_and, logical_or, not_equal
from wengert.ops.select import maximum, where
from wengert.ops.shape import concatenate, flip, pad_constant

# ── helpers ───────────────────────────────────────────────────────────────────


def _scan_shape(name: str, ufunc: np.ufunc) -> Rule:
    def shape(x: Aval, *, axis: int, reverse: bool = False) -> Aval:
        if not 0 <= axis < x.ndim:
            raise ShapeError(
                name,
                got=f"axis={axis} on {x}",
                want=f"an axis in [0, {x.ndim})",
                fix="ravel a 0-d array first",
                at=describe(here(2)),
            )
        return x.with_dtype(_accumulated(ufunc, x.dtype))

    return shape


def _accumulated(ufunc: np.ufunc, dtype: np.dtype) -> np.dtype:
    return ufunc.accumulate(np.empty(0, dtype)).dtype  # small integers and booleans widen


def _scan_eval(ufunc: np.ufunc) -> Rule:
    def eval(x: Array, *, axis: int, reverse: bool = False) -> np.ndarray:
        return np.flip(ufunc.accumulate(np.flip(x, axis), axis), axis) if reverse else ufunc.accumulate(x, axis)

    return eval


def _scan_batch(op: Callable[[], Op]) -> Rule:
    return lambda xs, batched, size, *, axis, reverse=False: op()(xs[0], axis=axis + 1, reverse=reverse)


def shifted(x: Array, axis: int, reverse: bool, fill: float) -> Array:
    """`x` one step later in the order of the scan; `fill` comes in at its start."""
    n = x.shape[axis]
    if n == 0:
        return x
    lead = (slice(None),) * axis
    entering = np.full((*x.shape[:axis], 1, *x.shape[axis + 1 :]), fill, x.dtype)
    if reverse:
        return concatenate(index(x, spec=(*lead, slice(1, None))), entering, axis=axis, sizes=(n - 1, 1))
    return concatenate(entering, index(x, spec=(*lead, slice(None, -1))), axis=axis, sizes=(1, n - 1))


def exclusive_product(x: Array, axis: int, reverse: bool = False) -> Array:
    """The running product of what came before each element."""
    return shifted(cumprod(x, axis=axis, reverse=reverse), axis, reverse, 1.0)


_SCAN_SAMPLES = (
    Sample((5,), axis=0),
    Sample((3, 4), axis=1),
    Sample((3, 2, 4), axis=0, reverse=True),
    Sample((2, 0), axis=1),
    Sample((1,), axis=0, reverse=True),
)
_SCAN_REJECTS = (Sample((), axis=0, raises=ShapeError), Sample((3,), axis=1, raises=ShapeError))

# ── cumsum ────────────────────────────────────────────────────────────────────

cumsum = linear(
    "cumsum",
    accepts=ANY,
    shape=_scan_shape("cumsum", np.add),
    eval=_scan_eval(np.add),
    transpose=lambda ct, var, *, axis, reverse=False: cumsum(ct, axis=axis, reverse=not reverse),
    batch=_scan_batch(lambda: cumsum),
    samples=_SCAN_SAMPLES,
    rejects=_SCAN_REJECTS,
    lower=Scan("add"),
)

# ── recurrence ────────────────────────────────────────────────────────────────

_ROW_COST, _STEP_COST = 10.0, 3.0  # µs: one BLAS call with its packing, one vectorised step of the loop


def _recurrence_eval(a: Array, b: Array, *, axis: int, reverse: bool = False) -> np.ndarray:
    dtype = np.result_type(a, b)
    a, b = np.broadcast_arrays(np.asarray(a, dtype), np.asarray(b, dtype))
    out = np.array(b)  # C order
    a, y = np.moveaxis(a, axis, 0), np.moveaxis(out, axis, 0)
    if reverse:
        a, y = a[::-1], y[::-1]
    n, rows = y.shape[0], y[:1].size
    if not np.isfinite(a).all():
        for i in range(1, n):
            y[i] += strong_zero(np.multiply(a[i], y[i - 1]), y[i - 1])
    elif dtype.char in "fdFD" and n > 8 and _ROW_COST * rows < _STEP_COST * n:
        _solve_rows(a.reshape(n, rows), y)
    else:
        for i in range(1, n):
            y[i] += a[i] * y[i - 1]
    return out


def _solve_rows(a: np.ndarray, y: np.ndarray) -> None:
    """Overwrite each column of `y` by forward substitution with the bidiagonal matrix of ones and -a."""
    from scipy.linalg.blas import get_blas_funcs

    n = len(a)
    (solve,) = get_blas_funcs(("tbsv",), (y,))
    band = np.zeros((2, n), y.dtype, order="F")
    for r, at in enumerate(np.ndindex(y.shape[1:])):
        band[1, :-1] = -a[1:, r]
        y[(slice(None), *at)] = solve(1, band, y[(slice(None), *at)].copy(), lower=1, diag=1)


def _recurrence_shape(a: Aval, b: Aval, *, axis: int, reverse: bool = False) -> Aval:
    if a.shape != b.shape or not 0 <= axis < a.ndim:
        raise ShapeError(
            "recurrence",
            got=f"{a}, {b} along axis {axis}",
            want="coefficients and inputs of one shape, that has this axis",
            fix="broadcast them first",
            at=describe(here(2)),
        )
    return Aval(a.shape, promote(a, b))


def _recurrence_jvp(
    xs: Sequence[Array], dxs: Sequence[Array], out: Array, *, axis: int, reverse: bool = False
) -> Array:
    da, db = dxs
    if da is not None:
        term = scale(da, shifted(out, axis, reverse, 0.0))
        db = term if db is None else add(db, term)
    return recurrence(xs[0], fit_tangent(db, out), axis=axis, reverse=reverse)


def _recurrence_vjp(
    ct: Array, ins: Vars, xs: Sequence[Array], out: Array, *, axis: int, reverse: bool = False
) -> tuple[Array | None, ...]:
    following = shifted(xs[0], axis, not reverse, 0.0)
    back = recurrence(following, ct, axis=axis, reverse=not reverse)
    a, b = ins
    return (
        None if a is None else fit(scale(back, shifted(out, axis, reverse, 0.0)), a),
        None if b is None else fit(back, b),
    )


recurrence = Op(
    name="recurrence",
    accepts=INEXACT,
    shape=_recurrence_shape,
    eval=_recurrence_eval,
    jvp=_recurrence_jvp,
    vjp=_recurrence_vjp,
    saves={0: (0, "out"), 1: (0,)},
    batch=lambda xs, batched, size, *, axis, reverse=False: recurrence(
        *all_batched(xs, batched, size), axis=axis + 1, reverse=reverse
    ),
    samples=(
        Sample((5,), (5,), axis=0),
        Sample((20,), (20,), axis=0, reverse=True, domain=(-1.0, 1.0)),
        Sample((3, 4), (3, 4), axis=1),
        Sample((3, 4), (3, 4), axis=0, reverse=True),
        Sample((2, 0), (2, 0), axis=1),
    ),
    rejects=(Sample((3,), (4,), axis=0, raises=ShapeError),),
    lower=Library("recurrence"),
    note="yᵢ = aᵢ yᵢ₋₁ + bᵢ, from zero: the first coefficient is not read. A zero yᵢ₋₁ is strong",
    source="Blelloch (1990), Prefix sums and their applications, §1.4",
)

# ── cumprod ───────────────────────────────────────────────────────────────────


def _cumprod_jvp(xs: Sequence[Array], dxs: Sequence[Array], out: Array, *, axis: int, reverse: bool = False) -> Array:
    entering = scale(dxs[0], shifted(out, axis, reverse, 1.0))
    return recurrence(xs[0], entering, axis=axis, reverse=reverse)


def _cumprod_vjp(
    ct: Array, ins: Any, xs: Sequence[Array], out: Array, *, axis: int, reverse: bool = False
) -> tuple[Array | None, ...]:
    back = recurrence(shifted(xs[0], axis, not reverse, 0.0), ct, axis=axis, reverse=not reverse)
    return (fit(scale(back, shifted(out, axis, reverse, 1.0)), ins[0]),)


cumprod = Op(
    name="cumprod",
    accepts=ANY,
    shape=_scan_shape("cumprod", np.multiply),
    eval=_scan_eval(np.multiply),
    jvp=_cumprod_jvp,
    vjp=_cumprod_vjp,
    saves=(0, "out"),
    batch=_scan_batch(lambda: cumprod),
    samples=(*_SCAN_SAMPLES, Sample(np.array([1.5, 0.0, -2.0, 0.0, 0.5]), axis=0, diff=(0,), real_only=True)),
    rejects=_SCAN_REJECTS,
    lower=Scan("mul"),
)

# ── cummax, cummin ────────────────────────────────────────────────────────────


def _runs_eval(x: Array, out: Array, *, axis: int, reverse: bool = False) -> tuple[np.ndarray, ...]:
    if reverse:
        return tuple(np.flip(r, axis) for r in _runs_eval(np.flip(x, axis), np.flip(out, axis), axis=axis))
    attained = (x == out) | ((x != x) & (out != out))
    continues = np.zeros(x.shape, bool)
    lead = (slice(None),) * axis
    now, before = out[(*lead, slice(1, None))], out[(*lead, slice(None, -1))]
    continues[(*lead, slice(1, None))] = (now == before) | ((now != now) & (before != before))
    # Ties so far within each run: a running count, less what it was when the run began.
    total = np.cumsum(attained, axis)
    at_start = np.maximum.accumulate(np.where(continues, 0, total - attained), axis)
    return attained, continues, np.maximum(total - at_start, 1)


def _runs(x: Array, out: Array, *, axis: int, reverse: bool = False) -> tuple[Array, ...]:
    if reverse:
        return tuple([flip(r, axes=(axis,)) for r in _runs(flip(x, axes=(axis,)), flip(out, axes=(axis,)), axis=axis)])
    integer = np.dtype(np.intp)
    attained = logical_or(equal(x, out), logical_and(not_equal(x, x), not_equal(out, out)))
    lead = (slice(None),) * axis
    now, before = index(out, spec=(*lead, slice(1, None))), index(out, spec=(*lead, slice(None, -1)))
    same = logical_or(equal(now, before), logical_and(not_equal(now, now), not_equal(before, before)))
    continues = same
    if x.shape[axis]:
        continues = pad_constant(same, widths=tuple((int(i == axis), 0) for i in range(len(x.shape))), value=False)
    hits = truncate(attained, dtype=integer)
    total = cumsum(hits, axis=axis)
    at_start = cummax(where(continues, np.zeros((), integer), sub(total, hits)), axis=axis)
    since = sub(total, at_start)
    return attained, continues, maximum(since, np.ones((), integer))


runs = Op(
    name="runs",
    accepts=ANY,
    exact=(0, 1),
    multi=True,
    shape=lambda x, out, *, axis, reverse=False: (
        x.with_dtype(bool),
        x.with_dtype(bool),
        x.with_dtype(np.intp),
    ),
    eval=_runs_eval,
    jvp=Constant("places and counts"),
    vjp=Constant("places and counts"),
    saves=(),
    batch=lambda xs, batched, size, *, axis, reverse=False: runs(
        *all_batched(xs, batched, size), axis=axis + 1, reverse=reverse
    ),
    samples=(
        Sample(np.array([1.0, 1.0, 0.0, 2.0, 2.0]), np.array([1.0, 1.0, 1.0, 2.0, 2.0]), axis=0),
        Sample(np.zeros((2, 3)), np.zeros((2, 3)), axis=1, reverse=True),
    ),
    note="for a running extremum: where x attains it, where it goes on unchanged, how often it was attained so far",
    lower=Via(_runs),
)


def _running_extremum(name: str, ufunc: np.ufunc, kind: str) -> Op:
    op: Op

    def jvp(xs: Sequence[Array], dxs: Sequence[Array], out: Array, *, axis: int, reverse: bool = False) -> Array:
        attained, continues, count = runs(xs[0], out, axis=axis, reverse=reverse)
        total = recurrence(cast(continues, dtype=out.dtype), where(attained, dxs[0], 0.0), axis=axis, reverse=reverse)
        return fit_tangent(div(total, cast(count, dtype=out.dtype)), out)

    def vjp(
        ct: Array, ins: Any, xs: Sequence[Array], out: Array, *, axis: int, reverse: bool = False
    ) -> tuple[Array | None, ...]:
        attained, continues, count = runs(xs[0], out, axis=axis, reverse=reverse)
        onward = shifted(cast(continues, dtype=ct.dtype), axis, not reverse, 0.0)
        shares = div(ct, cast(count, dtype=ct.dtype))
        return (fit(where(attained, recurrence(onward, shares, axis=axis, reverse=not reverse), 0.0), ins[0]),)

    op = Op(
        name=name,
        accepts=ANY,
        shape=_scan_shape(name, ufunc),
        eval=_scan_eval(ufunc),
        jvp=jvp,
        vjp=vjp,
        saves=(0, "out"),
        batch=_scan_batch(lambda: op),
        samples=_SCAN_SAMPLES,
        rejects=_SCAN_REJECTS,
        note="elements that tie so far share equally",
        lower=Scan(kind),
    )
    return op


cummax = _running_extremum("cummax", np.maximum, "max")
cummin = _running_extremum("cummin", np.minimum, "min")

__all__: list[Any] = ["cummax", "cummin", "cumprod", "cumsum", "exclusive_product", "recurrence", "runs", "shifted"]
