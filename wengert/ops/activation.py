"""Activations of neural networks, one op each: fewer temporaries, fewer residuals than their compositions.

Kinks   Where the two sides of a kink disagree, the derivative is that of the flat side (0 for relu at 0),
        as in PyTorch; `note` says so.
Source  Hendrycks & Gimpel (2016) for gelu; Clevert et al. (2015) for elu; Elfwing et al. (2018) for silu.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wengert.core.aval import FLOAT, INEXACT
from wengert.core.form import Map, Via
from wengert.core.op import Op, Sample
from wengert.core.tensor import Array
from wengert.graph.program import Vars
from wengert.ops import scalars
from wengert.ops.basis import add, arithmetic_shape, batch_elementwise, fit, fit_tangent, neg, scale, strong_zero
from wengert.ops.elementwise import abs_, exp, mul, reciprocal, square, sub, tanh
from wengert.ops.family import SHAPES_1, elementwise, piecewise_constant, unary
from wengert.ops.select import where

SQRT2, SQRT_2_PI, RSQRT_2PI = math.sqrt(2.0), math.sqrt(2 / math.pi), 1 / math.sqrt(2 * math.pi)


def _scalar(y: np.ndarray) -> Any:
    """NumPy's own result type: a scalar for rank 0."""
    return y if y.ndim else y[()]


# ── relu ──────────────────────────────────────────────────────────────────────


def _gate_eval(v: Array, s: Array) -> Array:
    mask = s > 0
    return strong_zero(v * mask, mask)  # a tenth of the time of np.where, whose branches are mispredicted


def _gate_scalar(b: Any, v: Any, s: Any) -> Any:
    return b.select(b.compare("gt", s, b.like(0, s)), v, b.like(0, v))


gate = Op(
    name="gate",
    accepts=INEXACT,
    shape=lambda v, s: arithmetic_shape("gate")(v, s).with_dtype(v.dtype),
    eval=_gate_eval,
    jvp=lambda xs, dxs, out: (
        np.zeros(out.shape, out.dtype) if dxs[0] is None else fit_tangent(gate(dxs[0], xs[1]), out)
    ),
    vjp=lambda ct, ins, xs, out: (None if ins[0] is None else fit(gate(ct, xs[1]), ins[0]), None),
    saves={0: (1,), 1: ()},
    batch=batch_elementwise(lambda: gate),
    samples=tuple(
        Sample(*s, diff=(0,), real_only=True) for s in (((3, 4), (3, 4)), ((3, 1), (4,)), ((), (2,)), ((0, 2), (2,)))
    ),
    note="the first operand where the second is positive, and a strong zero elsewhere; constant in the second",
    lower=scalars.tested(_gate_scalar),
)

relu = Op(
    name="relu",
    accepts=FLOAT,
    shape=lambda x: x,
    eval=lambda x: np.maximum(x, 0),
    jvp=lambda xs, dxs, out: gate(dxs[0], out),
    vjp=lambda ct, ins, xs, out: (gate(ct, out),),
    saves=("out",),
    batch=lambda xs, batched, size: relu(xs[0]),
    samples=tuple(Sample(s) for s in SHAPES_1),
    note="at 0 the subgradient 0 is taken",
    lower=Map(lambda b, x: b.maximum(x, b.like(0, x))),
)

is_positive = piecewise_constant(
    "is_positive",
    lambda x: x > 0,
    "a boolean",
    accepts=FLOAT,
    shape=lambda x: x.with_dtype(bool),
    lower=scalars.against("gt", 0),
)

# ── linear by parts ───────────────────────────────────────────────────────────


def linear_by_parts(
    name: str,
    fn: Callable[..., Array],
    slope: Callable[..., Array],
    params: Sequence[dict[str, Any]],
    note: str,
    lower: Map,
    lower_slope: Map,
) -> Op:
    """An activation of straight pieces: values `fn(x, **params)`, slopes `slope(x, **params)`, and the forms of both."""
    samples = [Sample(s, domain=(-4.0, 4.0), **p) for p in params for s in SHAPES_1]
    steps = piecewise_constant(
        f"{name}_slope",
        slope,
        "constant on each piece",
        accepts=FLOAT,
        samples=samples,
        lower=scalars.for_floats(lower_slope),
    )
    return elementwise(
        name,
        fn,
        [lambda r, **p: steps(r.x, **p)],
        [("x",)],
        accepts=FLOAT,
        samples=samples,
        note=note,
        lower=scalars.for_floats(lower),
    )


def _flag(mask: Array, x: Array, value: float = 1.0) -> Array:
    return mask * x.dtype.type(value)


def _leaky_eval(x: Array, *, slope: float) -> Array:
    if slope == 0:
        return np.maximum(x, 0)  # 0·inf would be NaN
    return (np.maximum if slope <= 1 else np.minimum)(x, x * slope)  # several times faster than np.where


def _flag_scalar(b: Any, mask: Any, x: Any, value: float = 1.0) -> Any:
    return b.select(mask, b.like(value, x), b.like(0, x))


def _clip_scalar(b: Any, x: Any, *, low: float, high: float) -> Any:
    return b.minimum(b.maximum(x, b.like(low, x)), b.like(high, x))


def _between_scalar(b: Any, x: Any, low: float, high: float, value: float = 1.0) -> Any:
    inside = b.and_(b.compare("gt", x, b.like(low, x)), b.compare("lt", x, b.like(high, x)))
    return _flag_scalar(b, inside, x, value)


def _beyond_scalar(b: Any, x: Any, width: float) -> Any:
    return b.compare("gt", b.abs(x), b.like(width, x))


def _leaky_scalar(b: Any, x: Any, *, slope: float) -> Any:
    if slope == 0:
        return b.maximum(x, b.like(0, x))
    return (b.maximum if slope <= 1 else b.minimum)(x, scalars.times(b, slope, x))


def _leaky_slope_scalar(b: Any, x: Any, *, slope: float) -> Any:
    kind = x.dtype.type
    return b.select(b.compare("gt", x, b.like(0, x)), b.like(kind(1 - slope) + kind(slope), x), b.like(slope, x))


def _hard_sigmoid_scalar(b: Any, x: Any) -> Any:
    return _clip_scalar(b, scalars.plus(b, 0.5, b.div(x, b.like(6, x))), low=0, high=1)


leaky_relu = linear_by_parts(
    "leaky_relu",
    _leaky_eval,
    lambda x, *, slope: _flag(x > 0, x, 1 - slope) + x.dtype.type(slope),
    ({"slope": 0.01}, {"slope": -0.5}, {"slope": 2.0}, {"slope": 0.0}),
    "at 0 the slope of the negative side is taken",
    lower_slope=Map(_leaky_slope_scalar, cost=2),
    lower=Map(_leaky_scalar, cost=2),
)
hard_tanh = linear_by_parts(
    "hard_tanh",
    lambda x, *, low, high: np.clip(x, low, high),
    lambda x, *, low, high: _flag((x > low) & (x < high), x),
    ({"low": -1.0, "high": 1.0}, {"low": 0.0, "high": 3.0}),
    "at both bounds the subgradient 0 is taken",
    lower_slope=Map(lambda b, x, *, low, high: _between_scalar(b, x, low, high), cost=3),
    lower=Map(_clip_scalar, cost=2),
)
hard_sigmoid = linear_by_parts(
    "hard_sigmoid",
    lambda x: np.clip(x / 6 + 0.5, 0, 1),
    lambda x: _flag((x > -3) & (x < 3), x, 1 / 6),
    ({},),
    "at ±3 the subgradient 0 is taken",
    lower_slope=Map(lambda b, x: _between_scalar(b, x, -3, 3, 1 / 6), cost=3),
    lower=Map(_hard_sigmoid_scalar, cost=14),
)
hard_shrink = linear_by_parts(
    "hard_shrink",
    lambda x, *, width: _flag(np.abs(x) > width, x) * x,
    lambda x, *, width: _flag(np.abs(x) > width, x),
    ({"width": 0.5},),
    "discontinuous at ±width, where the slope 0 is taken",
    lower_slope=Map(lambda b, x, *, width: _flag_scalar(b, _beyond_scalar(b, x, width), x), cost=3),
    lower=Map(lambda b, x, *, width: b.mul(_flag_scalar(b, _beyond_scalar(b, x, width), x), x), cost=4),
)
soft_shrink = linear_by_parts(
    "soft_shrink",
    lambda x, *, width: x - np.clip(x, -width, width),
    lambda x, *, width: _flag(np.abs(x) > width, x),
    ({"width": 0.5},),
    "at ±width the subgradient 0 is taken",
    lower_slope=Map(lambda b, x, *, width: _flag_scalar(b, _beyond_scalar(b, x, width), x), cost=3),
    lower=Map(lambda b, x, *, width: b.sub(x, _clip_scalar(b, x, low=-width, high=width)), cost=3),
)
threshold = linear_by_parts(
    "threshold",
    lambda x, *, at, value: np.where(x > at, x, x.dtype.type(value))[()],
    lambda x, *, at, value: _flag(x > at, x),
    ({"at": 0.5, "value": 2.0},),
    "discontinuous at `at`, where the slope 0 is taken",
    lower_slope=Map(lambda b, x, *, at, value: _flag_scalar(b, b.compare("gt", x, b.like(at, x)), x), cost=2),
    lower=Map(lambda b, x, *, at, value: b.select(b.compare("gt", x, b.like(at, x)), x, b.like(value, x)), cost=2),
)

# ── sigmoid and its relatives ─────────────────────────────────────────────────


def _sigmoid_eval(x: Array) -> Array:
    y = np.asarray(np.negative(x))
    with np.errstate(over="ignore"):  # exp(-x) = inf gives the right limit, 0
        np.exp(y, out=y)
    y += 1
    return _scalar(np.reciprocal(y, out=y))


def _softplus_eval(x: Array) -> Array:
    y = np.asarray(np.abs(x))
    np.negative(y, out=y)
    np.exp(y, out=y)
    np.log1p(y, out=y)
    y += np.maximum(x, 0)
    return _scalar(y)


def _sigmoid_slope_eval(x: Array) -> Array:
    y = np.asarray(np.abs(x))
    np.negative(y, out=y)
    np.exp(y, out=y)
    down = y + 1
    down *= down
    y /= down
    return _scalar(y)


def _sigmoid_slope_scalar(b: Any, x: Any) -> Any:
    y = scalars.exp(b, b.neg(b.abs(x)))
    return b.div(y, scalars.square(b, scalars.plus(b, 1, y)))


sigmoid_slope = unary(
    "sigmoid_slope",
    _sigmoid_slope_eval,
    lambda r: neg(mul(r.out, tanh(mul(r.x, 0.5)))),
    ("x", "out"),
    accepts=FLOAT,
    note="s(x) s(-x) of the sigmoid s; s (1 - s) rounds to 0 where s does to 1",
    lower=Map(_sigmoid_slope_scalar, cost=40),
)


sigmoid = unary(
    "sigmoid",
    _sigmoid_eval,
    lambda r: mul(r.out, sub(1, r.out)),
    ("out",),
    note="1 / (1 + exp(-x)): full relative accuracy for negative x; the derivative is read off the output",
    lower=Map(scalars.sigmoid, cost=36),
)
soft_plus = unary(
    "soft_plus",
    _softplus_eval,
    lambda r: sigmoid(r.x),
    ("x",),
    accepts=FLOAT,
    note="log(1 + exp(x)) without overflow or cancellation",
    lower=scalars.mathematical("softplus", 50),
)
log_sigmoid = unary(
    "log_sigmoid",
    lambda x: np.negative(_softplus_eval(np.negative(x))),
    lambda r: sigmoid(neg(r.x)),
    ("x",),
    accepts=FLOAT,
    lower=Map(lambda b, x: b.neg(b.math("softplus", b.neg(x))), cost=50),
)


def _silu_slope(x: Array) -> Array:
    return add(sigmoid(x), mul(x, sigmoid_slope(x)))


silu = unary(
    "silu",
    lambda x: x * _sigmoid_eval(x),
    lambda r: _silu_slope(r.x),
    ("x",),
    accepts=FLOAT,
    lower=Map(lambda b, x: b.mul(x, scalars.sigmoid(b, x)), cost=36),
)

# ── softsign, tanhshrink ──────────────────────────────────────────────────────

softsign = unary(
    "softsign",
    lambda x: x / (1 + np.abs(x)),
    lambda r: reciprocal(square(add(abs_(r.x), 1))),  # the quotient's rule is a difference that cancels for large x
    ("x",),
    accepts=FLOAT,
    lower=scalars.for_floats(Map(lambda b, x: b.div(x, scalars.plus(b, 1, b.abs(x))), cost=12)),
)


def _tanhshrink_eval(x: Array) -> Array:
    x = np.asarray(x)
    near = np.abs(x) < 0.25
    z = np.where(near, x, np.zeros((), x.dtype))
    z2 = z * z
    series = np.zeros_like(z)
    for c in reversed(_SHRINK):
        series = series * z2 + x.dtype.type(c)
    return _scalar(np.where(near, z2 * z * series, x - np.tanh(x)))


# Coefficients of x³, x⁵, … in x - tanh(x) (DLMF 4.33.3).
_SHRINK = (
    *(1 / 3, -2 / 15, 17 / 315, -62 / 2835, 1382 / 155925, -21844 / 6081075, 929569 / 638512875),
    *(-6404582 / 10854718875, 443861162 / 1856156927625, -18888466084 / 194896477400625),
)


def _tanhshrink_scalar(b: Any, x: Any) -> Any:
    z2 = b.mul(x, x)
    series = b.mul(b.mul(z2, x), scalars.horner(b, _SHRINK, z2))
    return b.select(b.compare("lt", b.abs(x), b.like(0.25, x)), series, b.sub(x, b.math("tanh", x)))


tanhshrink = unary(
    "tanhshrink",
    _tanhshrink_eval,
    lambda r: square(tanh(r.x)),
    ("x",),
    accepts=FLOAT,
    note="x - tanh(x), without cancellation near 0",
    lower=Map(_tanhshrink_scalar, cost=60),
)

# ── elu ───────────────────────────────────────────────────────────────────────


def _elu_slope(x: Array, alpha: float) -> Array:
    slope = exp(neg(relu(neg(x))))  # 1 on the positive side
    return slope if alpha == 1 else where(is_positive(x), 1.0, mul(alpha, slope))


def _elu_scalar(b: Any, x: Any, *, alpha: float) -> Any:
    zero = b.like(0, x)
    return b.add(b.maximum(x, zero), scalars.times(b, alpha, b.math("expm1", b.minimum(x, zero))))


elu = elementwise(
    "elu",
    lambda x, *, alpha: np.maximum(x, 0) + alpha * np.expm1(np.minimum(x, 0)),
    [lambda r, *, alpha: _elu_slope(r.x, alpha)],
    [("x",)],
    accepts=FLOAT,
    samples=[Sample(s, alpha=a) for a in (1.0, 0.5) for s in SHAPES_1],
    note="at 0 the slope alpha of the negative side is taken",
    lower=Map(_elu_scalar, cost=35),
)

# ── gelu ──────────────────────────────────────────────────────────────────────


def _normal_cdf(x: Array) -> Array:
    from scipy.special import ndtr  # SciPy loads when the first gelu runs

    return ndtr(x)


def _density_scalar(b: Any, x: Any) -> Any:
    return scalars.times(b, RSQRT_2PI, scalars.exp(b, b.mul(scalars.times(b, -0.5, x), x)))


normal_density = unary(
    "normal_density",
    lambda x: np.exp(-0.5 * x * x) * x.dtype.type(RSQRT_2PI),
    lambda r: neg(mul(r.x, r.out)),
    ("x", "out"),
    accepts=FLOAT,
    lower=scalars.for_floats(Map(_density_scalar, cost=30)),
)


def _gelu_eval(x: Array) -> tuple[Array, Array]:
    cdf = _normal_cdf(x)
    return x * cdf, cdf


def _gelu_jvp(xs: Sequence[Array], dxs: Sequence[Array], out: Any) -> tuple[Array, Array]:
    density = normal_density(xs[0])
    return scale(dxs[0], add(out[1], scale(xs[0], density))), scale(dxs[0], density)


def _gelu_vjp(ct: Any, ins: Vars, xs: Sequence[Array], out: Any) -> tuple[Array]:
    density = normal_density(xs[0])
    parts = []
    if ct[0] is not None:
        parts.append(scale(ct[0], add(out[1], scale(xs[0], density))))
    if ct[1] is not None:
        parts.append(scale(ct[1], density))
    return (parts[0] if len(parts) == 1 else add(*parts),)


def _gelu(x: Array) -> tuple[Array, Array]:
    from wengert.ops.special_error import ndtr

    cdf = ndtr(x)
    return mul(x, cdf), cdf


gelu = Op(
    name="gelu",
    accepts=FLOAT,
    multi=True,
    shape=lambda x: (x, x),
    eval=_gelu_eval,
    jvp=_gelu_jvp,
    vjp=_gelu_vjp,
    saves=(0, "out"),
    batch=lambda xs, batched, size: gelu(xs[0]),
    samples=tuple(Sample(s) for s in SHAPES_1),
    note="(x·Φ(x), Φ(x)): the normal distribution function, by far the most expensive part, is kept for the pullback",
    lower=Via(_gelu),
)

CUBIC = 0.044715


def _gelu_share(x: Array) -> Array:
    """(1 + tanh u)/2 of the approximation, which is sigmoid(2u)."""
    inner = np.asarray(x * x)  # whose dtype the constants do not change
    inner *= CUBIC
    inner += 1
    inner *= x
    inner *= 2 * SQRT_2_PI
    return _sigmoid_eval(inner)


def _gelu_tanh_slope(x: Array) -> Array:
    share = _gelu_share(x)
    return share + (2 * SQRT_2_PI) * x * share * _gelu_share(-x) * (1 + (3 * CUBIC) * x * x)


def _gelu_tanh_curve(x: Array) -> Array:
    # With u the tanh's argument and t its value: d²/dx² [x(1 + t)/2] = s(u' + (u'' - 2t·u'²)x/2), s = 1 - t².
    t = tanh(mul(SQRT_2_PI, mul(x, add(1, mul(CUBIC, square(x))))))
    first = mul(SQRT_2_PI, add(1, mul(3 * CUBIC, square(x))))
    second = mul(6 * CUBIC * SQRT_2_PI, x)
    bend = mul(mul(0.5, x), sub(second, mul(2, mul(t, square(first)))))
    return mul(sub(1, square(t)), add(first, bend))


def _gelu_share_scalar(b: Any, x: Any) -> Any:
    inner = b.mul(scalars.plus(b, 1, scalars.times(b, CUBIC, b.mul(x, x))), x)
    return scalars.sigmoid(b, scalars.times(b, 2 * SQRT_2_PI, inner))


def _gelu_tanh_slope_scalar(b: Any, x: Any) -> Any:
    share = _gelu_share_scalar(b, x)
    bend = scalars.plus(b, 1, b.mul(scalars.times(b, 3 * CUBIC, x), x))
    both = b.mul(b.mul(scalars.times(b, 2 * SQRT_2_PI, x), share), _gelu_share_scalar(b, b.neg(x)))
    return b.add(share, b.mul(both, bend))


gelu_tanh_slope = unary(
    "gelu_tanh_slope",
    _gelu_tanh_slope,
    lambda r: _gelu_tanh_curve(r.x),
    ("x",),
    accepts=FLOAT,
    lower=Map(_gelu_tanh_slope_scalar, cost=90),
)
gelu_tanh = unary(
    "gelu_tanh",
    lambda x: x * _gelu_share(x),
    lambda r: gelu_tanh_slope(r.x),
    ("x",),
    accepts=FLOAT,
    note="gelu's approximation by tanh, within 5e-4 of it",
    lower=Map(lambda b, x: b.mul(x, _gelu_share_scalar(b, x)), cost=42),
)
