"""Rounding, remainders, and the parts that a floating-point number is made of.

What rounds is constant between the points where it jumps; what is left over moves with
its operand. The integer quotient in the slope of a remainder is exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from wengert.core.aval import BOOL, FLOAT, INT
from wengert.core.form import Map, Unsupported
from wengert.core.op import Constant, Op, Sample
from wengert.core.tensor import Array
from wengert.graph.program import Vars
from wengert.ops import scalars
from wengert.ops.basis import batch_elementwise, fit, neg
from wengert.ops.elementwise import mul, sign
from wengert.ops.family import SHAPES_1, SHAPES_2, binary, elementwise_shape, piecewise_constant, unary
from wengert.ops.logic import equal

_REAL = BOOL | INT | FLOAT
_JUMPS = "it is constant between integers, where it jumps"
_BINADE = "it is constant between powers of two, where it jumps"
_APART = ((0.1, 0.9), (1.1, 1.9))  # quotients far from integers


def _rounded(method: str) -> Any:
    def scalar(b: Any, x: Any) -> Any:
        return getattr(b, method)(x) if scalars.is_float(x) else x

    return scalar


def _round_scalar(b: Any, x: Any, *, decimals: int) -> Any:
    if not scalars.is_float(x):
        if decimals < 0 or x.dtype.kind == "b":
            raise Unsupported("rounding of integers to tens")
        return x
    if decimals == 0:
        return b.rint(x)
    unit = b.like(10.0 ** abs(decimals), x)
    grow, shrink = (b.mul, b.div) if decimals > 0 else (b.div, b.mul)
    return shrink(b.rint(grow(x, unit)), unit)


def _fraction_scalar(b: Any, x: Any) -> Any:
    scalars.floating(x)
    return b.copysign(b.select(scalars.isinf(b, x), b.like(0, x), b.sub(x, b.trunc(x))), x)


def _heaviside_scalar(b: Any, x: Any, y: Any) -> Any:
    side = b.select(b.compare("lt", x, b.like(0, x)), b.like(0, x), b.like(1, x))
    return b.select(b.isnan(x), x, b.select(scalars.is_zero(b, x), y, side))


def _frexp(b: Any, x: Any) -> tuple[Any, Any]:
    """Mantissa in [1/2, 1) and exponent, from the bits; zeros, infinities and NaN have exponent 0."""
    scalars.floating(x)
    info = np.finfo(x.dtype)
    digits, bias = info.nmant, 1 - int(info.minexp) - 1  # of 1/2, whose exponent is 0
    tiny = b.compare("lt", b.abs(x), b.like(info.tiny, x))
    scaled = b.select(tiny, scalars.times(b, 2.0 ** (digits + 2), x), x)
    bits = b.bits(scaled)
    field = b.like((1 << (8 * x.dtype.itemsize - 1 - digits)) - 1, bits)
    biased = b.and_(b.shr(bits, b.like(digits, bits)), field)
    offset = b.select(tiny, b.like(bias + digits + 2, bits), b.like(bias, bits))
    rest = b.and_(bits, b.not_(b.shl(field, b.like(digits, bits))))
    part = b.from_bits(b.or_(rest, b.like(bias << digits, bits)), x.dtype)
    special = b.or_(scalars.is_zero(b, x), b.not_(scalars.isfinite(b, x)))
    return b.select(special, x, part), b.select(special, b.like(0, bits), b.sub(biased, offset))


def _next_scalar(b: Any, x: Any, y: Any) -> Any:
    """One step of the bits, which order the floats of a sign by magnitude."""
    scalars.floating(x)
    zero, bits = b.like(0, x), b.bits(x)
    one = b.like(1, bits)
    away = b.xor(b.compare("lt", x, y), b.compare("lt", x, zero))
    step = b.from_bits(b.select(away, b.add(bits, one), b.sub(bits, one)), x.dtype)
    step = b.select(scalars.is_zero(b, x), b.copysign(b.from_bits(one, x.dtype), y), step)
    step = b.select(b.compare("eq", x, y), y, step)
    return b.select(b.isnan(x), x, b.select(b.isnan(y), y, step))


def _spacing_scalar(b: Any, x: Any) -> Any:
    scalars.floating(x)
    bits = b.bits(x)
    gap = b.sub(b.from_bits(b.add(bits, b.like(1, bits)), x.dtype), x)
    return b.select(scalars.isinf(b, x), b.like(np.nan, x), gap)


def _trunc_divide_scalar(b: Any, x: Any, y: Any) -> Any:
    return b.rint(b.div(b.sub(x, b.fmod(x, y)), y))


# ── to integers ───────────────────────────────────────────────────────────────

floor = piecewise_constant(
    "floor",
    np.floor,
    _JUMPS,
    accepts=_REAL,
    lower=Map(_rounded("floor")),
)
ceil = piecewise_constant(
    "ceil",
    np.ceil,
    _JUMPS,
    accepts=_REAL,
    lower=Map(_rounded("ceil")),
)
trunc = piecewise_constant(
    "trunc",
    np.trunc,
    _JUMPS,
    accepts=_REAL,
    lower=Map(_rounded("trunc")),
)
rint = piecewise_constant(
    "rint",
    np.rint,
    _JUMPS,
    lower=Map(_rounded("rint")),
)
round_ = piecewise_constant(
    "round",
    lambda x, *, decimals: np.round(x, decimals),
    "it is constant between the halves at which it jumps",
    shape=lambda x, *, decimals: x,
    samples=[Sample(s, decimals=d) for s in SHAPES_1 for d in (0, 2, -1)],
    lower=Map(_round_scalar, cost=20),
)

# ── quotients and remainders ──────────────────────────────────────────────────

floor_divide = piecewise_constant(
    "floor_divide",
    np.floor_divide,
    _JUMPS,
    arity=2,
    accepts=INT | FLOAT,
    lower=Map(scalars.floor_divide, cost=40),
)
trunc_divide = piecewise_constant(
    "trunc_divide",
    lambda x, y: np.rint(np.true_divide(x - np.fmod(x, y), y)),
    _JUMPS,
    arity=2,
    accepts=INT | FLOAT,
    lower=scalars.for_floats(Map(_trunc_divide_scalar, cost=70)),
)

_REMAINDER_SAMPLES = [
    Sample(*s, domain=d) for s in SHAPES_2 for d in (_APART, ((1.1, 1.9), (0.58, 0.92)), ((-1.9, -1.1), (0.95, 1.05)))
]

remainder = binary(
    "remainder",
    np.remainder,
    lambda r: 1,
    lambda r: neg(floor_divide(r.x, r.y)),
    (),
    ("x", "y"),
    accepts=FLOAT,
    samples=_REMAINDER_SAMPLES,
    note="x - y·floor(x / y): slopes 1 and -floor(x / y), also where it jumps",
    lower=Map(scalars.remainder, cost=40),
)
fmod = binary(
    "fmod",
    np.fmod,
    lambda r: 1,
    lambda r: neg(trunc_divide(r.x, r.y)),
    (),
    ("x", "y"),
    accepts=FLOAT,
    samples=_REMAINDER_SAMPLES,
    note="x - y·trunc(x / y): slopes 1 and -trunc(x / y), also where it jumps",
    lower=Map(scalars.fmod, cost=60),
)

# ── fraction and integral part ────────────────────────────────────────────────

fraction = unary(
    "fraction",
    lambda x: np.modf(x)[0],
    lambda r: 1,
    (),
    accepts=FLOAT,
    domain=(0.1, 0.9),
    note="modf's first result: slope 1, also where it jumps",
    lower=Map(_fraction_scalar, cost=5),
)
integral = piecewise_constant(
    "integral",
    lambda x: np.modf(x)[1],
    _JUMPS,
    accepts=_REAL,
    lower=Map(_rounded("trunc")),
)

# ── mantissa and exponent ─────────────────────────────────────────────────────

exponent = piecewise_constant(
    "exponent",
    lambda x: np.frexp(x)[1],
    _BINADE,
    accepts=FLOAT,
    lower=scalars.tested(lambda b, x: _frexp(b, x)[1], 12),
)
spacing = piecewise_constant(
    "spacing",
    np.spacing,
    _BINADE,
    accepts=FLOAT,
    lower=scalars.for_floats(Map(_spacing_scalar, cost=4)),
)

_POWERS = np.array([[3, -2, 0, 1]] * 3)


def _ldexp_scalar(b: Any, x: Any, n: Any) -> Any:
    """x·2ⁿ, rounded once: in three steps, of which the last alone may leave the normal numbers."""
    scalars.floating(x)
    info = np.finfo(x.dtype)
    top, bottom, digits = int(info.maxexp) - 1, int(info.minexp), int(info.nmant) + 1
    bits = np.dtype(f"i{x.dtype.itemsize}")
    if n.dtype.kind not in "iu":
        raise Unsupported("an exponent that is no integer")
    limit, reach = 3 * top + digits, np.iinfo(n.dtype)
    n = b.maximum(b.minimum(n, b.like(min(limit, reach.max), n)), b.like(max(-limit, reach.min), n))
    n = b.cast(n, bits)
    for _ in range(2):
        high, low = b.compare("gt", n, b.like(top, n)), b.compare("lt", n, b.like(bottom, n))
        factor = b.select(high, b.like(2.0**top, x), b.select(low, b.like(2.0 ** (bottom + digits), x), b.like(1, x)))
        step = b.select(high, b.like(top, n), b.select(low, b.like(bottom + digits, n), b.like(0, n)))
        x, n = b.mul(x, factor), b.sub(n, step)
    n = b.minimum(b.maximum(n, b.like(bottom, n)), b.like(top, n))
    return b.mul(x, b.from_bits(b.shl(b.add(n, b.like(top, n)), b.like(digits - 1, n)), x.dtype))


ldexp = Op(
    name="ldexp",
    accepts=FLOAT,
    shape=elementwise_shape("ldexp", np.ldexp),
    eval=np.ldexp,
    jvp=lambda xs, dxs, out: ldexp(dxs[0], xs[1]),
    vjp=lambda ct, ins, xs, out: (fit(ldexp(ct, xs[1]), ins[0]), None),
    saves=(1,),
    batch=batch_elementwise(lambda: ldexp),
    samples=(
        Sample((3, 4), _POWERS),
        Sample((), _POWERS),
        Sample((3, 1), _POWERS[0]),
        Sample((0,), 2),
        Sample((2,), 2),
    ),
    lower=scalars.tested(_ldexp_scalar, 12),
)


def _mantissa_jvp(xs: Sequence[Array], dxs: Sequence[Array], out: Array) -> Array:
    return ldexp(dxs[0], neg(exponent(xs[0])))


def _mantissa_vjp(ct: Array, ins: Vars, xs: Sequence[Array], out: Array) -> tuple[Array]:
    return (ldexp(ct, neg(exponent(xs[0]))),)


mantissa = Op(
    name="mantissa",
    accepts=FLOAT,
    shape=elementwise_shape("mantissa", lambda x: np.frexp(x)[0]),
    eval=lambda x: np.frexp(x)[0],
    jvp=_mantissa_jvp,
    vjp=_mantissa_vjp,
    saves=(0,),
    batch=batch_elementwise(lambda: mantissa),
    samples=tuple(Sample(s, domain=(1.1, 1.9)) for s in SHAPES_1),
    note="frexp's first result: slope 2**-exponent, also where it jumps",
    lower=Map(lambda b, x: _frexp(b, x)[0], cost=12),
)

# ── signs and neighbours ──────────────────────────────────────────────────────

copysign = binary(
    "copysign",
    np.copysign,
    lambda r: mul(sign(r.x), sign_of(r.y)),
    Constant("the sign is constant on each side of zero"),
    ("x", "y"),
    (),
    accepts=FLOAT,
    domain=(0.3, 2.0),
    note="at x = 0 the subgradient 0 is taken",
    lower=scalars.lifted("copysign"),
)
sign_of = piecewise_constant(
    "sign_of",
    lambda y: np.copysign(np.ones_like(y), y),
    "constant on each side of zero",
    accepts=FLOAT,
    lower=Map(lambda b, y: b.copysign(b.like(1, y), y)),
)
nextafter = binary(
    "nextafter",
    np.nextafter,
    lambda r: 1,
    Constant("only the direction of the step depends on it"),
    (),
    (),
    accepts=FLOAT,
    note="the step to the neighbour is constant between powers of two, so the slope is 1",
    lower=Map(_next_scalar, cost=8),
)
heaviside = binary(
    "heaviside",
    np.heaviside,
    Constant("a step function"),
    lambda r: equal(r.x, 0),
    (),
    ("x",),
    accepts=FLOAT,
    note="its value at 0 is the second operand",
    lower=Map(_heaviside_scalar, cost=5),
)
