"""Helpers that make whole families of ops from one formula each.

An elementwise op is given by its partial derivatives. Since such a Jacobian is diagonal,
forward and reverse mode multiply by the same slope, and one text serves both.

    slope(r)   the partial, written over `r.x`, `r.y`, `r.out` (ops, not NumPy)

Slopes multiply through `scale`, the strong product: zero times anything, NaN and infinity
included, is zero. What was not selected upstream therefore never reaches a gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wengert.core.aval import ANY, INEXACT, Aval, Kind
from wengert.core.errors import DTypeError, NotDifferentiable
from wengert.core.form import HostCall
from wengert.core.op import Constant, Op, Refuse, Rule, Sample
from wengert.core.source import describe, here
from wengert.core.tensor import Array
from wengert.graph.program import Vars
from wengert.ops.basis import add, batch_elementwise, broadcast_shapes, fit_tangent, scale, times_over

Slope = Callable[..., Array]

# ── shapes and dtypes ─────────────────────────────────────────────────────────


def elementwise_shape(name: str, ufunc: Callable[..., Any]) -> Rule:
    """Shape rule of a NumPy or SciPy ufunc: broadcast shapes, the ufunc's own result dtype."""

    def shape(*avals: Aval, **params: Any) -> Aval:
        out = broadcast_shapes(name, *(a.shape for a in avals))
        return Aval(out, _ufunc_dtype(ufunc, avals, params))

    return shape


def _ufunc_dtype(ufunc: Callable[..., Any], avals: Sequence[Aval], params: dict[str, Any]) -> np.dtype:
    if not isinstance(ufunc, np.ufunc):  # shows its dtype on a point where everything is defined
        points = [_weak_one(a) if a.weak else np.ones((), a.dtype) for a in avals]
        with np.errstate(all="ignore"):
            return np.asarray(ufunc(*points, **params)).dtype
    operands = [type(_weak_one(a)) if a.weak and a.dtype.kind != "b" else a.dtype for a in avals]
    try:
        return ufunc.resolve_dtypes((*operands, *[None] * ufunc.nout))[-ufunc.nout]
    except TypeError:
        raise DTypeError(
            ufunc.__name__,
            got=", ".join(map(str, avals)),
            want="dtypes that this function accepts",
            at=describe(here(3)),
        ) from None


def _weak_one(aval: Aval) -> bool | int | float | complex:
    return {"b": True, "i": 1, "f": 1.0, "c": 1 + 0j}[aval.dtype.kind]


# ── elementwise families ──────────────────────────────────────────────────────


class Point:
    """What a slope may read: the operands `x`, `y`, `z` by name, `xs` by number, and `out`."""

    __slots__ = ("out", "xs")

    def __init__(self, xs: Sequence[Array], out: Array) -> None:
        self.xs = xs
        self.out = out

    @property
    def x(self) -> Array:
        return self.xs[0]

    @property
    def y(self) -> Array:
        return self.xs[1]

    @property
    def z(self) -> Array:
        return self.xs[2]


_POSITIONS = {"x": 0, "y": 1, "z": 2}


def _save(names: Sequence[int | str]) -> tuple[int | str, ...]:
    return tuple(_POSITIONS.get(n, n) if isinstance(n, str) else n for n in names)


def elementwise(
    name: str,
    fn: Callable[..., Any],
    slopes: Sequence[Slope | Refuse | Constant],
    saves: Sequence[Sequence[int | str]],
    *,
    samples: Sequence[Sample],
    eval: Rule | None = None,
    accepts: Kind = INEXACT,
    note: str = "",
    source: str = "",
    rejects: Sequence[Sample] = (),
    lower: Any = HostCall(),
) -> Op:
    """An elementwise op of n operands from its n partial derivatives.

    Parameters
    ----------
    fn : the NumPy or SciPy function, for dtypes (and values, unless `eval` is given)
    slopes : `slope(point, **params) → ∂out/∂xᵢ`; the Refuse of an argument without derivative; the
        Constant of one in which the result is piecewise constant
    saves : per slope, what it reads: "x", "y", "z", a number, "out"
    lower : what it is to the compiler: a form of `core/form.py`
    """
    op: Op
    partials = [_refusing(name, i, s) if isinstance(s, Refuse) else s for i, s in enumerate(slopes)]
    partials = [None if isinstance(s, Constant) else s for s in partials]

    def jvp(xs: Sequence[Array], dxs: Sequence[Array], out: Array, **params: Any) -> Array:
        point = Point(xs, out)
        total = None
        for dx, slope in zip(dxs, partials, strict=True):
            if dx is not None and slope is not None:
                term = scale(dx, slope(point, **params))
                total = term if total is None else add(total, term)
        return np.zeros(out.shape, out.dtype)[()] if total is None else fit_tangent(total, out)

    def vjp(ct: Array, ins: Vars, xs: Sequence[Array], out: Array, **params: Any) -> tuple[Array | None, ...]:
        point = Point(xs, out)
        return tuple(
            [
                None if var is None or slope is None else times_over(ct, slope(point, **params), var)
                for var, slope in zip(ins, partials, strict=True)
            ]
        )

    op = Op(
        name=name,
        accepts=accepts,
        shape=elementwise_shape(name, fn),
        eval=eval or fn,
        jvp=jvp,
        vjp=vjp,
        saves={i: _save(s) for i, s in enumerate(saves)},
        batch=batch_elementwise(lambda: op),
        samples=tuple(samples),
        rejects=tuple(rejects),
        note=note,
        source=source,
        lower=lower,
    )
    return op


def _refusing(name: str, i: int, refusal: Refuse) -> Slope:
    def slope(point: Point, **params: Any) -> Array:
        raise NotDifferentiable(f"{name} has no derivative in argument {i}: {refusal.reason}", fix=refusal.remedy)

    return slope


SHAPES_1 = ((3, 4), (), (0,))
SHAPES_2 = (((3, 4), (3, 4)), ((3, 1), (4,)), ((), (2,)), ((0, 2), (2,)))


def unary(
    name: str,
    fn: Callable[..., Any],
    slope: Slope | Refuse | Constant,
    saves: Sequence[int | str],
    *,
    domain: Any = (-2.0, 2.0),
    **rest: Any,
) -> Op:
    """An elementwise op of one operand; `tanh` is three lines."""
    rest.setdefault("samples", [Sample(s, domain=domain) for s in SHAPES_1])
    return elementwise(name, fn, [slope], [saves], **rest)


def binary(
    name: str,
    fn: Callable[..., Any],
    slope_x: Slope | Refuse | Constant,
    slope_y: Slope | Refuse | Constant,
    saves_x: Sequence[int | str],
    saves_y: Sequence[int | str],
    *,
    domain: Any = (-2.0, 2.0),
    **rest: Any,
) -> Op:
    """A broadcasting elementwise op of two operands."""
    rest.setdefault("samples", [Sample(*s, domain=domain) for s in SHAPES_2])
    return elementwise(name, fn, [slope_x, slope_y], [saves_x, saves_y], **rest)


# ── constants ─────────────────────────────────────────────────────────────────


def piecewise_constant(
    name: str,
    fn: Callable[..., Any],
    reason: str,
    *,
    arity: int = 1,
    shape: Rule | None = None,
    batch: Rule | None = None,
    accepts: Kind = ANY,
    samples: Sequence[Sample] | None = None,
    cut: bool = False,
    lower: Any = HostCall(),
    exact: Sequence[int] = (),
) -> Op:
    """An op whose derivative is zero wherever it exists; elementwise unless `shape` and `batch` are given; `cut` as in `Constant`."""
    op: Op
    if samples is None:
        samples = [Sample(*s) for s in (SHAPES_2 if arity == 2 else [(s,) for s in SHAPES_1])]
    op = Op(
        name=name,
        accepts=accepts,
        shape=shape or elementwise_shape(name, fn),
        eval=fn,
        jvp=Constant(reason, cut),
        vjp=Constant(reason, cut),
        saves=(),
        batch=batch or batch_elementwise(lambda: op),
        samples=tuple(samples),
        lower=lower,
        exact=exact,
    )
    return op
