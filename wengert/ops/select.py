"""Selection: one of several values per element. The cotangent of what was not selected is a strong zero."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.core.aval import ANY, INEXACT, Aval, promote
from wengert.core.form import Map
from wengert.core.op import Op, Sample
from wengert.core.tensor import Array, Tensor
from wengert.graph.program import Vars
from wengert.ops import scalars
from wengert.ops.basis import (
    add,
    batch_elementwise,
    broadcast_shapes,
    fit,
    fit_tangent,
    has_nan,
    inexact_dtype,
    real_dtype,
    strong_mul,
)
from wengert.ops.family import SHAPES_2, elementwise, elementwise_shape, piecewise_constant

# ── where ─────────────────────────────────────────────────────────────────────


def _where_jvp(xs: Sequence[Array], dxs: Sequence[Array], out: Array) -> Array:
    _, dx, dy = dxs
    return fit_tangent(where(xs[0], 0.0 if dx is None else dx, 0.0 if dy is None else dy), out)


def _where_vjp(ct: Array, ins: Vars, xs: Sequence[Array], out: Array) -> tuple[Array | None, ...]:
    _, x, y = ins
    return (
        None,
        None if x is None else fit(where(xs[0], ct, 0.0), x),
        None if y is None else fit(where(xs[0], 0.0, ct), y),
    )


_MASK = np.array([[True, False, True, True], [False] * 4, [True] * 4])


def _where_form(ins: Sequence[Aval], params: dict[str, Any]) -> Map:
    dtype = promote(*ins[1:])

    def scalar(b: Any, c: Any, x: Any, y: Any) -> Any:
        return b.select(b.cast(c, bool), b.cast(x, dtype), b.cast(y, dtype))

    return Map(scalar, "none")


where = Op(
    name="where",
    accepts=ANY,
    shape=lambda c, x, y: Aval(broadcast_shapes("where", c.shape, x.shape, y.shape), promote(x, y)),
    eval=lambda c, x, y: np.where(c, x, y)[()],
    jvp=_where_jvp,
    vjp=_where_vjp,
    saves=(0,),
    batch=batch_elementwise(lambda: where),
    samples=(
        Sample(_MASK, (3, 4), (3, 4)),
        Sample(_MASK, (4,), ()),
        Sample(np.array(True), (2,), (2,)),
        Sample(_MASK[0], (3, 1), (4,)),
    ),
    lower=_where_form,
)

# ── maximum, minimum, fmax, fmin ──────────────────────────────────────────────


def _share(x: Array, y: Array) -> Array:
    """x's share in the larger of x and y: 1, 0, and 1/2 at a tie or where either is NaN."""
    dtype = x.dtype if type(x) is np.ndarray else np.dtype(bool)
    if dtype.kind != "f" or not (type(y) is float or (type(y) is np.ndarray and y.dtype == dtype)):
        dtype = real_dtype(inexact_dtype(np.result_type(x, y)))
    ahead, behind = np.greater(x, y), np.less(x, y)
    if np.count_nonzero(ahead) + np.count_nonzero(behind) == np.size(ahead):  # no ties, and half the work
        return ahead.astype(dtype)
    return (np.subtract(ahead, behind, dtype=dtype) + 1) * dtype.type(0.5)


def _number_share(share: Array, x: Array, y: Array) -> Array:
    """`share` of x, with the whole of it to a number where the other is NaN."""
    missing_x, missing_y = np.isnan(x), np.isnan(y)
    one_sided = missing_x != missing_y
    if np.any(one_sided):
        share = np.where(one_sided, missing_y.astype(share.dtype), share)[()]
    return share


larger_share = piecewise_constant(
    "larger_share",
    _share,
    "it jumps at ties only",
    arity=2,
    lower=Map(scalars.share, "joint", 4),
)
larger_number_share = piecewise_constant(
    "larger_number_share",
    lambda x, y: _number_share(_share(x, y), x, y),
    "it jumps at ties only",
    arity=2,
    lower=Map(lambda b, x, y: scalars.number_share(b, scalars.share(b, x, y), x, y), "joint", 8),
)
smaller_number_share = piecewise_constant(
    "smaller_number_share",
    lambda x, y: _number_share(_share(y, x), x, y),
    "it jumps at ties only",
    arity=2,
    lower=Map(lambda b, x, y: scalars.number_share(b, scalars.share(b, y, x), x, y), "joint", 8),
)
smaller_share = piecewise_constant(
    "smaller_share",
    lambda x, y: _share(y, x),
    "it jumps at ties only",
    arity=2,
    lower=Map(lambda b, x, y: scalars.share(b, y, x), "joint", 4),
)

_TIES = "ties share the derivative equally"


def _extremum(name: str, fn: np.ufunc, share: Op, note: str, lower: Map) -> Op:
    op: Op

    def jvp(xs: Sequence[Array], dxs: Sequence[Array], out: Array) -> Array:
        dx, dy = dxs
        dx = None if dx is None else strong_mul(dx, share(xs[0], xs[1]))
        dy = None if dy is None else strong_mul(dy, share(xs[1], xs[0]))
        return fit_tangent(dx if dy is None else dy if dx is None else add(dx, dy), out)

    def vjp(ct: Array, ins: Vars, xs: Sequence[Array], out: Array) -> tuple[Array | None, ...]:
        x, y = ins
        return (
            None if x is None else fit(strong_mul(ct, share(xs[0], xs[1])), x),
            None if y is None else fit(strong_mul(ct, share(xs[1], xs[0])), y),
        )

    def overwrite(ct: np.ndarray, ins: Vars, xs: Sequence[Array], out: Array) -> tuple[Array | None, ...]:
        wanted = [i for i in (0, 1) if ins[i] is not None]
        x = ins[wanted[0]]
        if (
            len(wanted) > 1
            or x.shape != ct.shape
            or x.dtype != ct.dtype
            or type(xs[0]) is Tensor
            or type(xs[1]) is Tensor
        ):  # pyright: ignore[reportOptionalMemberAccess]
            return vjp(ct, ins, xs, out)
        mine = share.eval(*(xs if wanted == [0] else xs[::-1]))
        np.multiply(ct, mine, out=ct)
        if has_nan(ct):
            np.copyto(ct, 0, where=mine == 0)
        return (ct, None) if wanted == [0] else (None, ct)

    op = Op(
        name=name,
        accepts=INEXACT,
        shape=elementwise_shape(name, fn),
        eval=fn,
        jvp=jvp,
        vjp=vjp,
        overwrite=overwrite,
        saves=(0, 1),
        batch=batch_elementwise(lambda: op),
        samples=tuple(Sample(*s) for s in SHAPES_2),
        note=note,
        lower=lower,
    )
    return op


maximum = _extremum(
    "maximum",
    np.maximum,
    larger_share,
    f"{_TIES}, and so do operands of which one is NaN",
    lower=scalars.lifted("maximum"),
)
minimum = _extremum(
    "minimum",
    np.minimum,
    smaller_share,
    f"{_TIES}, and so do operands of which one is NaN",
    lower=scalars.lifted("minimum"),
)
fmax = _extremum(
    "fmax",
    np.fmax,
    larger_number_share,
    _TIES,
    lower=Map(scalars.number_extremum("maximum"), cost=3),
)

fmin = _extremum(
    "fmin",
    np.fmin,
    smaller_number_share,
    _TIES,
    lower=Map(scalars.number_extremum("minimum"), cost=3),
)

# ── clip ──────────────────────────────────────────────────────────────────────


def _clip_eval(x: Array, low: Array, high: Array) -> Array:
    return np.minimum(np.maximum(x, low), high)


def _clip_share(name: str, fn: Any, lower: Map) -> Op:
    return piecewise_constant(
        name,
        fn,
        "it jumps at the bounds only",
        samples=[Sample((3, 4), (3, 1), (4,)), Sample((), (2,), ())],
        lower=lower,
    )


def _inside_scalar(b: Any, x: Any, low: Any, high: Any) -> Any:
    return b.mul(scalars.share(b, x, low), scalars.share(b, high, b.maximum(x, low)))


def _low_scalar(b: Any, x: Any, low: Any, high: Any) -> Any:
    return b.mul(scalars.share(b, low, x), scalars.share(b, high, b.maximum(x, low)))


def _high_scalar(b: Any, x: Any, low: Any, high: Any) -> Any:
    return scalars.share(b, b.maximum(x, low), high)


inside_share = _clip_share(
    "inside_share",
    lambda x, low, high: _share(x, low) * _share(high, np.maximum(x, low)),
    lower=Map(_inside_scalar, "joint", 9),
)
low_share = _clip_share(
    "low_share",
    lambda x, low, high: _share(low, x) * _share(high, np.maximum(x, low)),
    lower=Map(_low_scalar, "joint", 9),
)
high_share = _clip_share(
    "high_share",
    lambda x, low, high: _share(np.maximum(x, low), high),
    lower=Map(_high_scalar, "joint", 5),
)

clip = elementwise(
    "clip",
    _clip_eval,
    [
        lambda r: inside_share(r.x, r.y, r.z),
        lambda r: low_share(r.x, r.y, r.z),
        lambda r: high_share(r.x, r.y, r.z),
    ],
    [("x", "y", "z")] * 3,
    samples=[
        Sample((3, 4), (3, 1), (4,), domain=((-2.0, 2.0), (-1.0, -0.2), (0.2, 1.0))),
        Sample((3, 4), -0.5, 0.5),
        Sample((), (2,), 1.0, domain=((-2.0, 2.0), (-1.0, -0.2), (0.2, 1.0))),
        Sample((0,), 0, 1),
        Sample((3, 4), (), (), domain=((-2.0, 2.0), (0.5, 1.0), (-1.0, -0.5))),
    ],
    note="minimum(maximum(x, low), high): a value at a bound and that bound share the derivative equally",
    lower=Map(lambda b, x, low, high: b.minimum(b.maximum(x, low), high), cost=2),
)
