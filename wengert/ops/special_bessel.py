"""Bessel functions and their kin: Airy, Kelvin, Struve, spherical, parabolic cylinder, and their integrals.

Derivatives in the argument come from the recurrences that stay exact at the origin, as in
J' = (J₋ - J₊)/2. There is no closed form in the order. Exponentially scaled functions lose about x
units in the last place of their derivative, up to x = 30, from where on an asymptotic series gives it.

Source  DLMF ch. 9-12; SciPy's documentation for the scalings.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from wengert.core.aval import ANY, INEXACT
from wengert.core.errors import NotDifferentiable
from wengert.core.form import Map
from wengert.core.op import Op
from wengert.core.tensor import Array
from wengert.graph.program import Vars
from wengert.ops import scalars
from wengert.ops.basis import add, batch_elementwise, fit, fit_tangent, imag, neg, real, scale
from wengert.ops.elementwise import abs_, div, exp, mul, sign, sqrt, square, sub, unscale
from wengert.ops.family import elementwise_shape
from wengert.ops.select import where
from wengert.ops.special import (
    ARGUMENTS,
    COMPOSED,
    INTEGER,
    ORDER,
    PARAMETER,
    PI,
    SPECIAL,
    make_samples,
    original,
    predicate,
    special,
)
from wengert.ops.special_asymptotic import airy_is_far, airye_far, far_or, is_far

RIGHT = (0.4, 4.0)
ORDERS = [0.0, 1.0, 2.5]
AT_POLE = "the slope at 0, where two infinities meet, is NaN"

# ── Bessel functions of integer and real order ────────────────────────────────


def _neighbours(f: Callable[..., Array], v: Array, z: Array, plus: float, sign_: float = 1.0) -> Array:
    """sign (f(v - 1) + plus f(v + 1)) / 2."""
    below, above = f(sub(v, 1), z), f(add(v, 1), z)
    return scale(add(below, above) if plus > 0 else sub(below, above), 0.5 * sign_)


def _cylinder(name: str, plus: float, sign_: float = 1.0, orders: list[Any] = ORDERS) -> Any:
    """A function with f' = sign (f(v - 1) ± f(v + 1)) / 2."""
    op: Any
    op = special(name, "v z", ORDER, lambda v, z: _neighbours(op, v, z, plus, sign_), domain=(orders, RIGHT))
    return op


jv = _cylinder("jv", -1)
yv = _cylinder("yv", -1)
iv = _cylinder("iv", 1)
kv = _cylinder("kv", 1, -1)
hankel1 = _cylinder("hankel1", -1)
hankel2 = _cylinder("hankel2", -1)
SPECIAL["jn"], ARGUMENTS["jn"] = jv, ARGUMENTS["jv"]

yn = special("yn", "n x", INTEGER, lambda n, x: _neighbours(yv, n, x, -1), domain=([0, 1, 3], RIGHT))
kn = special("kn", "n x", INTEGER, lambda n, x: _neighbours(kv, n, x, 1, -1), domain=([0, 1, 3], RIGHT))
j0 = special("j0", "x", lambda x: neg(j1(x)))
j1 = special("j1", "x", lambda x: scale(sub(j0(x), jv(2, x)), 0.5))
y0 = special("y0", "x", lambda x: neg(y1(x)), domain=(RIGHT,))
y1 = special("y1", "x", lambda x: scale(sub(y0(x), yv(2, x)), 0.5), domain=(RIGHT,), note=AT_POLE)
i0 = special("i0", "x", lambda x: i1(x))
i1 = special("i1", "x", lambda x: scale(add(i0(x), iv(2, x)), 0.5))
k0 = special("k0", "x", lambda x: neg(k1(x)), domain=(RIGHT,))
k1 = special("k1", "x", lambda x, out: neg(add(k0(x), div(out, x))), domain=(RIGHT,))
i0e = special("i0e", "x", lambda x, out: _even_far(sub(i1e(x), scale(out, sign(x))), x))
i1e = special("i1e", "x", lambda x, out: far_or(_i1e_slope(x, out), 1.0, abs_(x), False))
k0e = special("k0e", "x", lambda x, out: far_or(sub(out, k1e(x)), 0.0, x, True), domain=(RIGHT,), note=AT_POLE)
k1e = special(
    "k1e",
    "x",
    lambda x, out: far_or(sub(out, scale(add(k0e(x), kve(2, x)), 0.5)), 1.0, x, True),
    domain=(RIGHT,),
    note=AT_POLE,
)


def _even_far(near: Array, x: Array) -> Array:
    return where(is_far(0.0, x), scale(far_or(near, 0.0, abs_(x), False), sign(x)), near)


def _i1e_slope(x: Array, out: Array) -> Array:
    return sub(scale(add(i0e(x), ive(2, x)), 0.5), scale(out, sign(x)))


# ── scaled by a holomorphic factor ────────────────────────────────────────────

kve = special(
    "kve",
    "v z",
    ORDER,
    lambda v, z, out: far_or(add(out, _neighbours(kve, v, z, 1, -1)), v, z, True),
    domain=(ORDERS, RIGHT),
)


def _hankel(name: str, turn: complex) -> Any:
    """Hankel's functions over exp(±iz), which are (2/π) turn exp(-turn̄ ivπ/2) kve(v, turn z), with turn = ∓i."""
    op: Any

    def slope(v: Array, z: Array, out: Array) -> Array:
        factor = scale(exp(mul(v, 0.5 * PI * turn)), 2 / PI * turn * turn)
        return far_or(add(_neighbours(op, v, z, -1), scale(out, turn)), v, mul(z, turn), True, factor)

    op = special(name, "v z", ORDER, slope, domain=(ORDERS, RIGHT))
    return op


hankel1e = _hankel("hankel1e", -1j)
hankel2e = _hankel("hankel2e", 1j)

# ── scaled by the modulus of an exponential ───────────────────────────────────


def _scaled(name: str, plus: float, part: Callable[[Array], Array]) -> Op:
    """f(v, z) exp(-|part z|), part being real or imag: no holomorphic function of z.

    To the slope of f it adds -sign(part z) · part(dz) · out, which is linear over the reals alone.
    """
    op: Any
    fn, unit = original(name), 1.0 if part is real else -1j

    def damping(z: Array) -> Array | None:
        return sign(part(z)) if z.dtype.kind == "c" or part is real else None

    def _real_slope(v: Array, z: Array, out: Array) -> Array:
        near = sub(_neighbours(op, v, z, plus), scale(out, sign(z)))
        return where(_negative(z), near, far_or(near, v, abs_(z), False))

    def jvp(xs: Sequence[Array], dxs: Sequence[Array], out: Array) -> Array:
        if dxs[0] is not None:
            raise NotDifferentiable(f"{name} has no derivative in argument 0: {ORDER.reason}", fix=ORDER.remedy)
        v, z = xs
        s = damping(z)
        if s is not None and z.dtype.kind != "c":
            return fit_tangent(scale(dxs[1], _real_slope(v, z, out)), out)
        term = scale(dxs[1], _neighbours(op, v, z, plus))
        if s is not None:
            term = sub(term, scale(scale(part(dxs[1]), s), out))
        return fit_tangent(term, out)

    def vjp(ct: Array, ins: Vars, xs: Sequence[Array], out: Array) -> tuple[Array | None, ...]:
        if ins[0] is not None:
            raise NotDifferentiable(f"{name} has no derivative in argument 0: {ORDER.reason}", fix=ORDER.remedy)
        v, z = xs
        s = damping(z)
        if s is not None and z.dtype.kind != "c":
            return None, fit(scale(ct, _real_slope(v, z, out)), ins[1])  # type: ignore[arg-type]
        back = scale(ct, _neighbours(op, v, z, plus))
        if s is not None:  # for Im: Re(ct · -s Im(dz) out) = Re(c dz) with c = i s Re(ct · out)
            back = sub(back, scale(scale(real(scale(ct, out)), s), unit))
        return None, fit(back, ins[1])  # type: ignore[arg-type]

    op = Op(
        name=name,
        accepts=INEXACT,
        shape=elementwise_shape(name, fn),
        eval=fn,
        jvp=jvp,
        vjp=vjp,
        saves=(0, 1, "out"),
        batch=batch_elementwise(lambda: op),
        samples=tuple(make_samples((ORDERS, RIGHT), {})),
        note="not holomorphic: the factor exp(-|Re z|) or exp(-|Im z|) is differentiated as a real function",
    )
    SPECIAL[name], ARGUMENTS[name] = op, {"v": ORDER, "z": None}
    return op


_negative = predicate(
    "bessel_negative",
    lambda x: np.less(x, 0),
    lower=scalars.against("lt", 0),
)

ive = _scaled("ive", 1, real)
jve = _scaled("jve", -1, imag)
yve = _scaled("yve", -1, imag)

# ── spherical Bessel functions ────────────────────────────────────────────────


def _spherical(name: str, plus: float, sign_: float = 1.0) -> Any:
    """A function with (2n + 1) f' = sign (n f(n - 1) ± (n + 1) f(n + 1))."""
    op: Any

    def slope(n: Array, z: Array) -> Array:
        below = scale(op(_at_least_zero(sub(n, 1)), z), mul(n, 1.0))
        above = scale(op(add(n, 1), z), add(n, 1.0))
        total = add(below, above) if plus > 0 else sub(below, above)
        return div(total, scale(add(mul(2.0, n), 1.0), sign_))

    op = special(f"_{name}", "n z", INTEGER, slope, domain=([0, 1, 4], RIGHT))
    COMPOSED[f"_{name}_d"] = slope
    return op


_at_least_zero = predicate(
    "at_least_zero",
    lambda n: np.maximum(n, 0),
    [-1.0, 0.0, 2.0],
    lower=Map(lambda b, n: b.maximum(n, b.like(0, n))),
)

spherical_jn = _spherical("spherical_jn", -1)
spherical_yn = _spherical("spherical_yn", -1)
spherical_in = _spherical("spherical_in", 1)
spherical_kn = _spherical("spherical_kn", 1, -1)

# ── Airy functions ────────────────────────────────────────────────────────────

airy = special("airy", "z", lambda z, out: (out[1], mul(z, out[0]), out[3], mul(z, out[2])))


def _airye_slope(z: Array, out: Sequence[Array]) -> tuple[Array, ...]:
    if z.dtype.kind == "c":
        raise NotDifferentiable(
            "airye: the factor exp(-|Re ζ|) of Bi is not holomorphic, and the complex rule is not written",
            fix="use airy, or real arguments",
        )
    root = sqrt(where(_positive(z), z, 0.0))  # SciPy scales Bi by 1 left of 0, where Ai's factor is complex
    grow = scale(root, 1.0)
    near = (
        add(out[1], mul(grow, out[0])),
        add(mul(z, out[0]), mul(grow, out[1])),
        sub(out[3], mul(root, out[2])),
        sub(mul(z, out[2]), mul(root, out[3])),
    )
    mask = airy_is_far(z)
    safe = where(mask, z, 20.0)
    return tuple(where(mask, airye_far(safe, which=i, n=1), slope) for i, slope in enumerate(near))


_positive = predicate(
    "has_positive_real_part",
    lambda x: np.greater(np.real(x), 0),
    accepts=ANY,
    lower=scalars.against("gt", 0),
)

airye = special("airye", "z", _airye_slope, domain=(RIGHT,), complex=False)
itairy = special(
    "itairy", "x", lambda x: (airy(x)[0], airy(x)[2], airy(neg(x))[0], airy(neg(x))[2]), domain=((0.2, 1.2),)
)

# ── integrals of Bessel functions ─────────────────────────────────────────────

_small = predicate(
    "bessel_small",
    lambda x: np.less(np.abs(x), 1),
    lower=scalars.tested(lambda b, x: b.compare("lt", b.abs(x), b.like(1, x))),
)


def _one_minus_j0(x: Array) -> Array:
    """1 - J₀ = 2(J₂ + J₄ + …), without cancellation."""
    near = where(_small(x), x, 1.0)
    series = functools.reduce(add, [jv(k, near) for k in range(14, 0, -2)])
    return where(_small(x), scale(series, 2.0), sub(1, j0(x)))


def _i0_minus_one(x: Array) -> Array:
    """I₀ - 1 = 2(I₂ - I₄ + …), without cancellation."""
    near = where(_small(x), x, 1.0)
    series = functools.reduce(lambda total, k: sub(iv(k, near), total), range(12, 0, -2), iv(14, near))
    return where(_small(x), scale(series, 2.0), sub(i0(x), 1))


itj0y0 = special("itj0y0", "x", lambda x: (j0(x), y0(x)), domain=(RIGHT,))
iti0k0 = special("iti0k0", "x", lambda x: (i0(x), k0(x)), domain=(RIGHT,))
it2j0y0 = special("it2j0y0", "x", lambda x: (div(_one_minus_j0(x), x), neg(div(y0(x), x))), domain=(RIGHT,))
it2i0k0 = special("it2i0k0", "x", lambda x: (div(_i0_minus_one(x), x), neg(div(k0(x), x))), domain=(RIGHT,))
besselpoly = special(
    "besselpoly",
    "a lmb nu",
    lambda a, lmb, nu: sub(besselpoly(a, add(lmb, 1), sub(nu, 1)), besselpoly(a, add(lmb, 1), add(nu, 1))),
    PARAMETER,
    ORDER,
    domain=((0.3, 2.0), [0.0, 1.0, 0.5], [2.0, 3.0, 2.5]),
)

# ── Kelvin functions ──────────────────────────────────────────────────────────

_B, _K = complex(np.exp(0.75j * PI)), complex(np.exp(0.25j * PI))


def _near_scalar(b: Any, x: Any) -> Any:
    return b.and_(b.compare("lt", b.abs(x), b.like(0.5, x)), b.compare("ne", x, b.like(0, x)))


_near = predicate(
    "kelvin_near",
    lambda x: (np.abs(x) < 0.5) & (x != 0),
    (0.1, 0.9),
    lower=scalars.for_floats(scalars.tested(_near_scalar, 3)),
)


def _be_bend(x: Array) -> tuple[Array, Array]:
    """Be'' for Be(x) = J₀(x exp(3πi/4)); near 0 by the equation, each part of which has its own digits."""
    near = _near(x)
    here = where(near, x, 1.0)
    z = mul(x, _B)
    far = scale(sub(jv(0, z), jv(2, z)), 0.5j)  # at 0 too, where the equation is 0/0
    return (
        where(near, neg(add(bei(here), div(berp(here), here))), real(far)),
        where(near, sub(ber(here), div(beip(here), here)), imag(far)),
    )


def _ke_bend(x: Array) -> tuple[Array, Array]:
    """Ke'' for Ke(x) = K₀(x exp(πi/4)), likewise."""
    near = _near(x)
    here = where(near, x, 1.0)
    z = mul(where(near, 1.0, x), _K)
    far = scale(add(kv(0, z), kv(2, z)), 0.5j)
    return (
        where(near, neg(add(kei(here), div(kerp(here), here))), real(far)),
        where(near, sub(ker(here), div(keip(here), here)), imag(far)),
    )


def _joined(parts: tuple[Array, Array]) -> Array:
    return add(parts[0], mul(parts[1], 1j))


ber = special("ber", "x", lambda x: berp(x))
bei = special("bei", "x", lambda x: beip(x))
berp = special("berp", "x", lambda x: _be_bend(x)[0])
beip = special("beip", "x", lambda x: _be_bend(x)[1])
ker = special("ker", "x", lambda x: kerp(x), domain=(RIGHT,))
kei = special("kei", "x", lambda x: keip(x), domain=(RIGHT,))
kerp = special("kerp", "x", lambda x: _ke_bend(x)[0], domain=(RIGHT,))
keip = special("keip", "x", lambda x: _ke_bend(x)[1], domain=(RIGHT,))
kelvin = special(
    "kelvin", "x", lambda x, out: (out[2], out[3], _joined(_be_bend(x)), _joined(_ke_bend(x))), domain=(RIGHT,)
)

# ── Struve functions ──────────────────────────────────────────────────────────


def _struve(name: str) -> Any:
    op: Any

    def slope(v: Array, x: Array, out: Array) -> Array:
        """f_(v-1) - (v/x) f: the form that is symmetric in v - 1 and v + 1 cancels for large x."""
        return sub(op(sub(v, 1), x), unscale(scale(out, mul(v, 1.0)), x))

    op = special(name, "v x", ORDER, slope, domain=(ORDERS, RIGHT))
    return op


struve = _struve("struve")
modstruve = _struve("modstruve")
itstruve0 = special("itstruve0", "x", lambda x: struve(0, x), domain=(RIGHT,))
it2struve0 = special("it2struve0", "x", lambda x: neg(div(struve(0, x), x)), domain=(RIGHT,))
itmodstruve0 = special("itmodstruve0", "x", lambda x: modstruve(0, x), domain=(RIGHT,))

# ── parabolic cylinder functions: two outputs, value and derivative ───────────


def _weber(v: Array, x: Array, out: Sequence[Array]) -> tuple[Array, Array]:
    return out[1], mul(sub(scale(square(x), 0.25), add(v, 0.5)), out[0])


pbdv = special("pbdv", "v x", ORDER, _weber, domain=(ORDERS, RIGHT))
pbvv = special("pbvv", "v x", ORDER, _weber, domain=(ORDERS, RIGHT))
pbwa = special(
    "pbwa",
    "a x",
    PARAMETER,
    lambda a, x, out: (out[1], mul(sub(a, scale(square(x), 0.25)), out[0])),
    domain=([0.5, 1.0, 2.0], RIGHT),
)
