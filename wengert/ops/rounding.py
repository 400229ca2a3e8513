"""Rounding, remainders, and the parts that a floating-point number is made of.

What rounds is constant between the points where it jumps; what is left over moves with
its operand. The integer quotient in the slope of a remainder is exact.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wengert.core.aval import BOOL, FLOAT, INT
from wengert.core.op import Constant, Op, Sample
from wengert.core.tensor import Array
from wengert.graph.program import Vars
from wengert.ops.basis import batch_elementwise, fit, neg
from wengert.ops.elementwise import mul, sign
from wengert.ops.family import SHAPES_1, SHAPES_2, binary, elementwise_shape, piecewise_constant, unary
from wengert.ops.logic import equal

_REAL = BOOL | INT | FLOAT
_JUMPS = "it is constant between integers, where it jumps"
_BINADE = "it is constant between powers of two, where it jumps"
_APART = ((0.1, 0.9), (1.1, 1.9))  # quotients far from integers

# ── to integers ───────────────────────────────────────────────────────────────

floor = piecewise_constant("floor", np.floor, _JUMPS, accepts=_REAL)
ceil = piecewise_constant("ceil", np.ceil, _JUMPS, accepts=_REAL)
trunc = piecewise_constant("trunc", np.trunc, _JUMPS, accepts=_REAL)
rint = piecewise_constant("rint", np.rint, _JUMPS)
round_ = piecewise_constant(
    "round",
    lambda x, *, decimals: np.round(x, decimals),
    "it is constant between the halves at which it jumps",
    shape=lambda x, *, decimals: x,
    samples=[Sample(s, decimals=d) for s in SHAPES_1 for d in (0, 2, -1)],
)

# ── quotients and remainders ──────────────────────────────────────────────────

floor_divide = piecewise_constant("floor_divide", np.floor_divide, _JUMPS, arity=2, accepts=INT | FLOAT)
trunc_divide = piecewise_constant(
    "trunc_divide",
    lambda x, y: np.rint(np.true_divide(x - np.fmod(x, y), y)),
    _JUMPS,
    arity=2,
    accepts=INT | FLOAT,
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
)
integral = piecewise_constant("integral", lambda x: np.modf(x)[1], _JUMPS, accepts=_REAL)

# ── mantissa and exponent ─────────────────────────────────────────────────────

exponent = piecewise_constant("exponent", lambda x: np.frexp(x)[1], _BINADE, accepts=FLOAT)
spacing = piecewise_constant("spacing", np.spacing, _BINADE, accepts=FLOAT)

_POWERS = np.array([[3, -2, 0, 1]] * 3)

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
)
sign_of = piecewise_constant(
    "sign_of", lambda y: np.copysign(np.ones_like(y), y), "constant on each side of zero", accepts=FLOAT
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
)
