"""Distribution functions and their inverses, in every real parameter that has a density.

Distribution functions are incomplete gamma and beta functions in other letters. An inverse is
differentiated implicitly: F(θ, x) = p gives ∂x/∂p = 1/F_x and ∂x/∂θ = -F_θ/F_x.
Counts that SciPy rounds down are piecewise constant.

Source  Johnson, Kotz & Balakrishnan (1995) for the non-central χ² density; Marsaglia, Tsang & Wang
        (2003) and Smirnov (1948) for the two series.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.special as sp

from wengert.core.errors import NotDifferentiable
from wengert.core.form import Map
from wengert.core.op import Constant
from wengert.core.tensor import Array
from wengert.ops import scalars
from wengert.ops.basis import add, neg, scale
from wengert.ops.elementwise import div, exp, log, log1p, mul, pow_, reciprocal, sign, sqrt, square, sub
from wengert.ops.select import where
from wengert.ops.special import (
    INTEGER,
    PARAMETER,
    SQRT_2PI,
    in_double,
    original,
    predicate,
    special,
)
from wengert.ops.special_elementary import exponential_moment
from wengert.ops.special_gamma import betaln
from wengert.ops.special_incomplete import beta_density, betainc_in, gamma_density, gammainc_in_a

DF, POINT, UNIT = (1.5, 5.0), (0.3, 4.0), (0.2, 0.8)
ROUNDED = Constant("SciPy rounds this count down")

whole = predicate(
    "whole",
    np.floor,
    lower=Map(lambda b, x: b.floor(x) if scalars.is_float(x) else x),
)

Partial = Callable[..., Array]


def _inverse(names: str, solved: Partial, partials: dict[str, Partial]) -> list[Partial]:
    """Slopes of the inverse of F, by the inverse's arguments.

    `names` are its arguments, "p" standing for F's value; `solved` is the derivative of F in the unknown,
    `partials` those in the others. All take the arguments, with the unknown last.
    """
    arguments = names.split()
    kept = [a for a in arguments if a != "p"]

    def slope(name: str) -> Partial:
        def at(*values: Array) -> Array:
            bottom = solved(*values)
            return reciprocal(bottom) if name == "p" else neg(div(partials[name](*values), bottom))

        return _with_names(at, [*kept, "out"])

    return [slope(a) for a in arguments]


def _with_names(fn: Partial, names: list[str]) -> Partial:
    """`fn` under a signature with these argument names, which `special` reads."""
    fn.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [inspect.Parameter(n, inspect.Parameter.POSITIONAL_OR_KEYWORD) for n in names]
    )
    return fn


# ── χ², gamma, Poisson ────────────────────────────────────────────────────────


def _chi_v(v: Array, x: Array) -> Array:
    return scale(gammainc_in_a(scale(v, 0.5), scale(x, 0.5), n=1), 0.5)


def _chi_x(v: Array, x: Array) -> Array:
    return scale(gamma_density(scale(v, 0.5), scale(x, 0.5)), 0.5)


chdtr = special("chdtr", "v x", _chi_v, _chi_x, domain=(DF, POINT))
chdtrc = special("chdtrc", "v x", lambda v, x: neg(_chi_v(v, x)), lambda v, x: neg(_chi_x(v, x)), domain=(DF, POINT))
chdtri = special(
    "chdtri",
    "v p",
    *_inverse("v p", lambda v, x: neg(_chi_x(v, x)), {"v": lambda v, x: neg(_chi_v(v, x))}),
    domain=(DF, UNIT),
)
chdtriv = special(
    "chdtriv",
    "p x",
    *_inverse("p x", lambda x, v: _chi_v(v, x), {"x": lambda x, v: _chi_x(v, x)}),
    domain=(UNIT, POINT),
)


def _gamma_a(a: Array, b: Array, x: Array) -> Array:
    return mul(x, gamma_density(b, mul(a, x)))


def _gamma_b(a: Array, b: Array, x: Array) -> Array:
    return gammainc_in_a(b, mul(a, x), n=1)


def _gamma_x(a: Array, b: Array, x: Array) -> Array:
    return mul(a, gamma_density(b, mul(a, x)))


gdtr = special("gdtr", "a b x", _gamma_a, _gamma_b, _gamma_x, domain=(DF, DF, (0.3, 1.5)))
gdtrc = special(
    "gdtrc",
    "a b x",
    lambda a, b, x: neg(_gamma_a(a, b, x)),
    lambda a, b, x: neg(_gamma_b(a, b, x)),
    lambda a, b, x: neg(_gamma_x(a, b, x)),
    domain=(DF, DF, (0.3, 1.5)),
)
gdtria = special(
    "gdtria",
    "p b x",
    *_inverse(
        "p b x",
        lambda b, x, a: _gamma_a(a, b, x),
        {"b": lambda b, x, a: _gamma_b(a, b, x), "x": lambda b, x, a: _gamma_x(a, b, x)},
    ),
    domain=(UNIT, DF, (0.3, 1.5)),
)
gdtrib = special(
    "gdtrib",
    "a p x",
    *_inverse(
        "a p x",
        lambda a, x, b: _gamma_b(a, b, x),
        {"a": lambda a, x, b: _gamma_a(a, b, x), "x": lambda a, x, b: _gamma_x(a, b, x)},
    ),
    domain=(DF, UNIT, (0.5, 1.5)),
)
gdtrix = special("gdtrix", "a b p", *_inverse("a b p", _gamma_x, {"a": _gamma_a, "b": _gamma_b}), domain=(DF, DF, UNIT))


def _poisson(k: Array, m: Array) -> Array:
    return gamma_density(add(k, 1), m)


_COUNTS = [0.0, 2.0, 3.5]

pdtr = special("pdtr", "k m", ROUNDED, lambda k, m: neg(_poisson(whole(k), m)), domain=(_COUNTS, POINT))
pdtrc = special("pdtrc", "k m", ROUNDED, lambda k, m: _poisson(whole(k), m), domain=(_COUNTS, POINT))
pdtri = special(
    "pdtri", "k y", ROUNDED, lambda k, out: neg(reciprocal(_poisson(whole(k), out))), domain=([0, 2, 3], UNIT)
)
pdtrik = special(
    "pdtrik",
    "p m",
    *_inverse(
        "p m",
        lambda m, k: neg(gammainc_in_a(add(k, 1), m, n=1)),
        {"m": lambda m, k: neg(_poisson(k, m))},
    ),
    domain=((0.3, 0.8), (2.0, 5.0)),
)

# ── binomial and negative binomial ────────────────────────────────────────────


def _binomial_p(k: Array, n: Array, p: Array) -> Array:
    return neg(beta_density(sub(n, k), add(k, 1), sub(1, p)))


def _binomial_n(k: Array, n: Array, p: Array) -> Array:
    return betainc_in(sub(n, k), add(k, 1), sub(1, p), i=1, j=0)


def _binomial_k(k: Array, n: Array, p: Array) -> Array:
    return sub(betainc_in(sub(n, k), add(k, 1), sub(1, p), i=0, j=1), _binomial_n(k, n, p))


_TRIALS = [4, 6, 9]

bdtr = special(
    "bdtr", "k n p", ROUNDED, INTEGER, lambda k, n, p: _binomial_p(whole(k), n, p), domain=(_COUNTS, _TRIALS, UNIT)
)
bdtrc = special(
    "bdtrc",
    "k n p",
    ROUNDED,
    INTEGER,
    lambda k, n, p: neg(_binomial_p(whole(k), n, p)),
    domain=(_COUNTS, _TRIALS, UNIT),
)
bdtri = special(
    "bdtri",
    "k n y",
    ROUNDED,
    INTEGER,
    lambda k, n, out: reciprocal(_binomial_p(whole(k), n, out)),
    domain=(_COUNTS, _TRIALS, UNIT),
)
bdtrik = special(
    "bdtrik",
    "p n q",
    *_inverse(
        "p n q",
        lambda n, q, k: _binomial_k(k, n, q),
        {"n": lambda n, q, k: _binomial_n(k, n, q), "q": lambda n, q, k: _binomial_p(k, n, q)},
    ),
    domain=((0.5, 0.8), (6.0, 9.0), (0.3, 0.6)),
)
bdtrin = special(
    "bdtrin",
    "k p q",
    *_inverse(
        "k p q",
        lambda k, q, n: _binomial_n(k, n, q),
        {"k": lambda k, q, n: _binomial_k(k, n, q), "q": lambda k, q, n: _binomial_p(k, n, q)},
    ),
    domain=((1.0, 4.0), (0.3, 0.8), (0.3, 0.6)),
)


def _negative_p(k: Array, n: Array, p: Array) -> Array:
    return beta_density(n, add(k, 1), p)


def _negative_n(k: Array, n: Array, p: Array) -> Array:
    return betainc_in(n, add(k, 1), p, i=1, j=0)


def _negative_k(k: Array, n: Array, p: Array) -> Array:
    return betainc_in(n, add(k, 1), p, i=0, j=1)


nbdtr = special("nbdtr", "k n p", INTEGER, INTEGER, _negative_p, domain=([0, 2, 3], _TRIALS, UNIT))
nbdtrc = special(
    "nbdtrc", "k n p", INTEGER, INTEGER, lambda k, n, p: neg(_negative_p(k, n, p)), domain=([0, 2, 3], _TRIALS, UNIT)
)
nbdtri = special(
    "nbdtri",
    "k n y",
    INTEGER,
    INTEGER,
    lambda k, n, out: reciprocal(_negative_p(k, n, out)),
    domain=([0, 2, 3], _TRIALS, UNIT),
)
nbdtrik = special(
    "nbdtrik",
    "p n q",
    *_inverse(
        "p n q",
        lambda n, q, k: _negative_k(k, n, q),
        {"n": lambda n, q, k: _negative_n(k, n, q), "q": lambda n, q, k: _negative_p(k, n, q)},
    ),
    domain=((0.5, 0.8), (3.0, 6.0), (0.3, 0.6)),
)
nbdtrin = special(
    "nbdtrin",
    "k p q",
    *_inverse(
        "k p q",
        lambda k, q, n: _negative_n(k, n, q),
        {"k": lambda k, q, n: _negative_k(k, n, q), "q": lambda k, q, n: _negative_p(k, n, q)},
    ),
    domain=((1.0, 4.0), (0.3, 0.8), (0.3, 0.6)),
)

# ── F and Student's t: incomplete beta functions of v and w = 1 - v, both exact ─

_upper_half = predicate(
    "upper_half",
    lambda v: np.greater(v, 0.5),
    lower=scalars.for_floats(scalars.against("gt", 0.5)),
)


def _beta_of(a: Array, b: Array, v: Array, w: Array) -> Array:
    high = _upper_half(v)
    return where(high, beta_density(b, a, where(high, w, 0.5)), beta_density(a, b, where(high, 0.5, v)))


def _in_first(a: Array, b: Array, v: Array, w: Array) -> Array:
    """∂/∂a of betainc(a, b, v)."""
    high = _upper_half(v)
    mirrored = neg(betainc_in(b, a, where(high, w, 0.5), i=0, j=1))
    return where(high, mirrored, betainc_in(a, b, where(high, 0.5, v), i=1, j=0))


def _in_second(a: Array, b: Array, v: Array, w: Array) -> Array:
    return neg(_in_first(b, a, w, v))


def _f_parts(m: Array, n: Array, x: Array) -> tuple[Array, Array, Array, Array, Array]:
    mx = mul(m, x)
    total = add(n, mx)
    return scale(m, 0.5), scale(n, 0.5), div(mx, total), div(n, total), square(total)


def _f_x(m: Array, n: Array, x: Array) -> Array:
    a, b, v, w, total2 = _f_parts(m, n, x)
    return mul(_beta_of(a, b, v, w), div(mul(m, n), total2))


def _f_m(m: Array, n: Array, x: Array) -> Array:
    a, b, v, w, total2 = _f_parts(m, n, x)
    return add(scale(_in_first(a, b, v, w), 0.5), mul(_beta_of(a, b, v, w), div(mul(x, n), total2)))


def _f_n(m: Array, n: Array, x: Array) -> Array:
    a, b, v, w, total2 = _f_parts(m, n, x)
    return sub(scale(_in_second(a, b, v, w), 0.5), mul(_beta_of(a, b, v, w), div(mul(m, x), total2)))


fdtr = special("fdtr", "m n x", _f_m, _f_n, _f_x, domain=(DF, DF, POINT))
fdtrc = special(
    "fdtrc",
    "m n x",
    lambda m, n, x: neg(_f_m(m, n, x)),
    lambda m, n, x: neg(_f_n(m, n, x)),
    lambda m, n, x: neg(_f_x(m, n, x)),
    domain=(DF, DF, POINT),
)
fdtri = special("fdtri", "m n p", *_inverse("m n p", _f_x, {"m": _f_m, "n": _f_n}), domain=(DF, DF, UNIT))
fdtridfd = special(
    "fdtridfd",
    "m p x",
    *_inverse(
        "m p x", lambda m, x, n: _f_n(m, n, x), {"m": lambda m, x, n: _f_m(m, n, x), "x": lambda m, x, n: _f_x(m, n, x)}
    ),
    domain=((2.0, 3.0), (0.35, 0.45), (0.9, 1.0)),
)


def _t_density(df: Array, t: Array) -> Array:
    tail = mul(scale(add(df, 1), -0.5), log1p(div(square(t), df)))
    return div(exp(sub(tail, betaln(scale(df, 0.5), 0.5))), sqrt(df))


def _t_df(df: Array, t: Array) -> Array:
    t2 = square(t)
    total = add(df, t2)
    v, w, b = div(t2, total), div(df, total), scale(df, 0.5)
    moved = scale(neg(div(t2, square(total))), _beta_of(0.5, b, v, w))
    return scale(scale(sign(t), 0.5), add(scale(_in_second(0.5, b, v, w), 0.5), moved))


stdtr = special("stdtr", "df t", _t_df, _t_density, domain=(DF, (0.2, 3.0)))
stdtrit = special("stdtrit", "df p", *_inverse("df p", _t_density, {"df": _t_df}), domain=(DF, (0.55, 0.9)))
stdtridf = special(
    "stdtridf",
    "p t",
    *_inverse("p t", lambda t, df: _t_df(df, t), {"t": lambda t, df: _t_density(df, t)}),
    domain=((0.81, 0.84), (1.15, 1.25)),
)

# ── non-central χ² ────────────────────────────────────────────────────────────


def _noncentral(x: np.ndarray, k: np.ndarray, nc: np.ndarray) -> np.ndarray:
    root, centre = np.sqrt(x), np.sqrt(nc)
    ratio = (x / nc) ** (k / 4 - 0.5)
    shifted = 0.5 * np.exp(-0.5 * (root - centre) ** 2) * ratio * sp.ive(k / 2 - 1, root * centre)
    central = 0.5 * np.asarray(gamma_density.eval(k / 2, x / 2))
    return np.where(nc == 0, central, shifted)


noncentral_density = special(
    "noncentral_density",
    "x df nc",
    lambda x, df, nc: scale(sub(noncentral_density(x, sub(df, 2), nc), noncentral_density(x, df, nc)), 0.5),
    PARAMETER,
    lambda x, df, nc: scale(sub(noncentral_density(x, add(df, 2), nc), noncentral_density(x, df, nc)), 0.5),
    fn=in_double(_noncentral),
    domain=(POINT, [2.5, 3.0, 5.0], (0.3, 3.0)),
)


def _noncentral_nc(x: Array, df: Array, nc: Array) -> Array:
    return neg(noncentral_density(x, add(df, 2), nc))


chndtr = special(
    "chndtr",
    "x df nc",
    lambda x, df, nc: noncentral_density(x, df, nc),
    PARAMETER,
    _noncentral_nc,
    domain=(POINT, [2.5, 3.0, 5.0], (0.3, 3.0)),
)
chndtrix = special(
    "chndtrix",
    "p df nc",
    lambda df, nc, out: reciprocal(noncentral_density(out, df, nc)),
    PARAMETER,
    lambda df, nc, out: neg(div(_noncentral_nc(out, df, nc), noncentral_density(out, df, nc))),
    domain=(UNIT, [2.5, 3.0, 5.0], (0.3, 3.0)),
)
chndtrinc = special(
    "chndtrinc",
    "x df p",
    lambda x, df, out: neg(div(noncentral_density(x, df, out), _noncentral_nc(x, df, out))),
    PARAMETER,
    lambda x, df, out: reciprocal(_noncentral_nc(x, df, out)),
    domain=((4.0, 5.0), [2.5, 3.0, 2.0], (0.3, 0.4)),
)

# ── Kolmogorov and Smirnov ────────────────────────────────────────────────────


def _kolmogorov(x: np.ndarray, *, n: int) -> np.ndarray:
    """The n-th derivative, n ≥ 1: the alternating series, or left of 0.75 Jacobi's transform of it."""
    right, left = np.zeros(x.shape), np.zeros(x.shape)
    for k in range(1, 9):
        c = np.sqrt(2.0) * k
        right += 2 * (-1.0) ** (k - 1) * (-c) ** n * sp.eval_hermite(n, c * x) * np.exp(-((c * x) ** 2))
        alpha = ((2 * k - 1) * np.pi) ** 2 / 8
        p = np.polynomial.Polynomial([0.0, 1.0])  # of u = 1/x; d/dx = -u² d/du
        for _ in range(n):
            p = -np.polynomial.Polynomial([0, 0, 1]) * (p.deriv() - np.polynomial.Polynomial([0, 2 * alpha]) * p)
        u = 1 / x
        left -= np.where(u * u * alpha < 700, SQRT_2PI * p(u) * np.exp(-alpha * u * u), 0.0)
    return np.where(x <= 0, 0.0, np.where(x > 0.75, right, left))


kolmogorov_derivative = special(
    "kolmogorov_derivative",
    "x",
    lambda x, *, n: kolmogorov_derivative(x, n=n + 1),
    fn=in_double(_kolmogorov),
    domain=((0.3, 2.0),),
    params={"n": 1},
)
kolmogorov = special("kolmogorov", "x", lambda x: kolmogorov_derivative(x, n=1), domain=((0.3, 2.0),))
kolmogi = special("kolmogi", "p", lambda out: reciprocal(kolmogorov_derivative(out, n=1)), domain=((0.1, 0.9),))


def _smirnov(n: np.ndarray, d: np.ndarray, *, r: int) -> np.ndarray:
    """First or second derivative in d of Σⱼ C(n, j) d (d + j/n)^(j-1) (1 - d - j/n)^(n-j), j ≤ n(1 - d)."""
    if r == 1 and original("_smirnovp") is not None:
        return original("_smirnovp")(n, d)
    rest = np.maximum(1 - d, 0.0)
    total = np.where(r == 1, -n * rest ** (n - 1), n * (n - 1) * rest ** (n - 2))
    for j in range(1, int(np.max(n * np.minimum(rest, 1.0), initial=0.0)) + 1):
        a, b = d + j / n, 1 - d - j / n
        inside = (b > 0) & (j <= n)
        term = np.exp(sp.gammaln(n + 1) - sp.gammaln(j + 1) - sp.gammaln(n - j + 1)) * d * a ** (j - 1) * b ** (n - j)
        rate = 1 / d + (j - 1) / a - (n - j) / b
        bend = -1 / d**2 - (j - 1) / a**2 - (n - j) / b**2
        total += np.where(inside, term * (rate if r == 1 else rate**2 + bend), 0.0)
    return total


def _smirnov_more(n: Array, d: Array, *, r: int) -> Array:
    if r == 2:
        raise NotDifferentiable("smirnov: the third derivative is not known", fix="use kolmogorov, its limit")
    return smirnov_derivative(n, d, r=2)


_SIZES = [2, 5, 11]

smirnov_derivative = special(
    "smirnov_derivative",
    "n d",
    INTEGER,
    _smirnov_more,
    fn=in_double(_smirnov),
    domain=(_SIZES, (0.11, 0.17)),
    params={"r": 1},
    order=1,
)
smirnov = special("smirnov", "n d", INTEGER, lambda n, d: smirnov_derivative(n, d, r=1), domain=(_SIZES, (0.11, 0.17)))
smirnovi = special(
    "smirnovi", "n p", INTEGER, lambda n, out: reciprocal(smirnov_derivative(n, out, r=1)), domain=(_SIZES, (0.6, 0.7))
)

# ── Tukey's lambda distribution ───────────────────────────────────────────────


def _beyond_scalar(b: Any, x: Any, lmbda: Any) -> Any:
    far = b.compare("ge", b.abs(b.mul(x, lmbda)), b.like(1, x))
    return b.and_(b.compare("gt", lmbda, b.like(0, lmbda)), far)


_beyond = predicate(
    "tukey_beyond",
    lambda x, lmbda: np.greater(lmbda, 0) & np.greater_equal(np.abs(np.multiply(x, lmbda)), 1),
    (-2.0, 2.0),
    (-2.0, 2.0),
    lower=Map(_beyond_scalar, "joint", 4),
)


def _tukey_x(x: Array, lmbda: Array, out: Array) -> Array:
    """1 / Q'(p) of the quantile function Q(p) = (p^λ - (1 - p)^λ) / λ."""
    power = sub(lmbda, 1)
    return where(_beyond(x, lmbda), 0.0, reciprocal(add(pow_(out, power), pow_(sub(1, out), power))))


def _power_moment(p: Array, lmbda: Array) -> Array:
    """∂/∂λ of (p^λ - 1) / λ."""
    return mul(square(log(p)), exponential_moment(mul(lmbda, log(p)), n=1))


def _tukey_lmbda(x: Array, lmbda: Array, out: Array) -> Array:
    moved = sub(_power_moment(out, lmbda), _power_moment(sub(1, out), lmbda))
    return neg(scale(_tukey_x(x, lmbda, out), moved))


tklmbda = special("tklmbda", "x lmbda", _tukey_x, _tukey_lmbda, domain=((-1.5, 1.5), (-0.8, 0.5)))
