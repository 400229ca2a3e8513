"""scipy.special: derivatives against mpmath at 30 digits, boundaries, the table of names."""

import math

import numpy as np
import pytest
import scipy.special as sp

import wengert.scipy.special as ours
from wengert.core.errors import NotDifferentiable
from wengert.transforms.forward import jvp_flat
from wengert.transforms.reverse import vjp_flat

mpmath = pytest.importorskip("mpmath", reason="mpmath is the oracle for special functions")
mp = mpmath.mp


def slope(function, args, i, output=None):
    """∂function/∂args[i] through SciPy's name, in forward mode, elementwise."""

    def fun(x):
        out = function(*(x if j == i else a for j, a in enumerate(args)))
        return [out if output is None else out[output]]

    x = np.asarray(args[i], float)
    return np.asarray(jvp_flat(fun, [x], [np.ones_like(x)])[1][0])


def reverse_slope(function, args, i, output=None):
    """The same in reverse mode."""

    def fun(x):
        out = function(*(x if j == i else a for j, a in enumerate(args)))
        return [out if output is None else out[output]]

    values, pullback, _ = vjp_flat(fun, [np.asarray(args[i], float)])
    return np.asarray(pullback([np.ones_like(values[0])])[0])


def reference(function, args, i):
    """mpmath's derivative at each point."""
    points = np.broadcast(*args)
    found = []
    with mp.workdps(30):
        for point in points:
            exact = [mpmath.mpf(float(p)) for p in point]

            def along(t, exact=exact):
                return function(*(t if j == i else e for j, e in enumerate(exact)))

            step = mpmath.mpf(10) ** -12 * (abs(exact[i]) or mpmath.mpf(10) ** -3)
            with mp.workdps(50):
                found.append(complex(mpmath.diff(along, exact[i], h=step)))
    return np.array(found).reshape(points.shape)


def phi(x):
    return mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)


def dawson(x):
    return mp.sqrt(mp.pi) / 2 * mp.exp(-x * x) * mp.erfi(x)


def owens(h, a):
    return mp.quad(lambda x: mp.exp(-h * h * (1 + x * x) / 2) / (1 + x * x), [0, a]) / (2 * mp.pi)


def kelvin(k):
    return lambda x: (mp.ber, mp.bei, mp.ker, mp.kei)[k](0, x)


def log_ndtr(x):
    return mp.log(mp.erfc(-x / mp.sqrt(2)) / 2)


def voigt(x, s, g):
    z = (x + 1j * g) / (s * mp.sqrt(2))
    return (mp.exp(-z * z) * mp.erfc(-1j * z)).real / (s * mp.sqrt(2 * mp.pi))


WIDE = np.array([-30.0, -6.0, -1.3, -1e-3, 0.0, 1e-8, 0.4, 2.0, 9.0, 40.0])
RIGHT = np.array([1e-6, 1e-2, 0.3, 1.0, 2.7, 8.0, 33.0, 250.0])
UNIT = np.array([1e-9, 1e-3, 0.2, 0.5, 0.8, 0.999])
SIDES = np.array([-0.999, -0.5, -1e-6, 0.0, 0.3, 0.95])
GAMMAS = np.array([-3.7, -0.5, 1e-5, 0.3, 1.0, 1.4616, 2.5, 30.0])
SHAPES = np.array([0.05, 0.5, 1.0, 3.0, 20.0])[:, None]
ORDERS = np.array([0.0, 1.0, 2.5])[:, None]

# name, mpmath's function, arguments, which is differentiated
CASES = [
    ("erf", mp.erf, (WIDE,), 0),
    ("erfc", mp.erfc, (np.array([-3.0, 0.0, 2.0, 20.0]),), 0),
    ("erfcx", lambda x: mp.exp(x * x) * mp.erfc(x), (np.array([-4.0, -0.1, 0.0, 1.0, 6.9, 7.1, 50.0, 1e5]),), 0),
    ("erfi", mp.erfi, (np.array([-3.0, 0.0, 2.0, 20.0]),), 0),
    ("erfinv", mp.erfinv, (SIDES,), 0),
    ("erfcinv", lambda y: mp.erfinv(1 - y), (np.array([1e-3, 0.2, 1.0, 1.7]),), 0),
    ("dawsn", dawson, (np.array([-3.0, 0.0, 0.5, 2.0, 6.9, 7.1, 9.0]),), 0),
    ("ndtr", mp.ncdf, (np.array([-30.0, -6.0, 0.0, 1.0, 9.0]),), 0),
    ("log_ndtr", log_ndtr, (np.array([-300.0, -30.0, -1.0, 0.0, 3.0, 9.0]),), 0),
    ("ndtri", lambda p: mp.sqrt(2) * mp.erfinv(2 * p - 1), (UNIT,), 0),
    ("owens_t", owens, (np.array([0.1, 1.0, 3.0]), np.array([0.5, 2.0, 0.9])), 0),
    ("owens_t", owens, (np.array([0.1, 1.0, 3.0]), np.array([0.5, 2.0, 0.9])), 1),
    *[
        ("voigt_profile", voigt, (np.array([0.0, 0.5, 3.0, 80.0]), np.array([0.5, 1.0, 2.0, 1.0]), 0.3), i)
        for i in (0, 1)
    ],
    ("voigt_profile", voigt, (np.array([0.0, 0.5, 80.0]), 0.7, np.array([0.5, 1.0, 0.2])), 2),
    ("gamma", mp.gamma, (GAMMAS,), 0),
    ("gammaln", lambda x: mp.log(abs(mp.gamma(x))), (GAMMAS,), 0),
    ("rgamma", mp.rgamma, (np.array([-4.0, -3.0, -0.5, 0.0, 1.0, 1e-5, 20.0]),), 0),
    ("psi", lambda x: mp.psi(0, x), (GAMMAS,), 0),
    ("beta", mp.beta, (np.array([0.1, 1.0, 30.0, 1e3]), np.array([3.0, 0.2, 2.0, 1e-6])), 0),
    ("betaln", lambda a, b: mp.log(mp.beta(a, b)), (np.array([0.1, 1.0, 30.0, 1e8]), np.array([3.0, 1e-6, 2, 3])), 0),
    ("betaln", lambda a, b: mp.log(mp.beta(a, b)), (np.array([0.1, 1.0, 30.0, 1e8]), np.array([3.0, 1e-6, 2, 3])), 1),
    ("binom", mp.binomial, (np.array([5.0, 4.0, 3.0, 1e9, 2.5]), np.array([2.0, 4.0, 5.0, 2.0, -1.0])), 0),
    ("binom", mp.binomial, (np.array([5.0, 4.0, 3.0, 1e9, 2.5]), np.array([2.0, 4.0, 5.0, 2.0, -1.0])), 1),
    ("poch", mp.rf, (np.array([0.0, 0.5, 3.0, 1e7, -2.0]), np.array([2.0, 1.5, 0.1, 3.0, 4.0])), 0),
    ("poch", mp.rf, (np.array([0.5, 3.0, 1e7]), np.array([1.5, 0.1, 3.0])), 1),
    ("zeta", mp.zeta, (np.array([-7.3, -2.0, -0.4, 0.3, 0.9, 1.1, 2.0, 30.0]),), 0),
    ("zeta", mp.zeta, (np.array([1.1, 2.0, 7.5]), np.array([0.01, 3.0, 200.0])), 0),
    ("zeta", mp.zeta, (np.array([1.1, 2.0, 7.5]), np.array([0.01, 3.0, 200.0])), 1),
    ("zetac", lambda s: mp.zeta(s) - 1, (np.array([-3.5, 0.5, 2.0, 40.0]),), 0),
    ("gammainc", lambda a, x: mp.gammainc(a, 0, x, regularized=True), (SHAPES, RIGHT[:6]), 0),
    ("gammainc", lambda a, x: mp.gammainc(a, 0, x, regularized=True), (SHAPES, RIGHT[:6]), 1),
    ("gammaincc", lambda a, x: mp.gammainc(a, x, mp.inf, regularized=True), (SHAPES, RIGHT[2:]), 0),
    ("gammaincc", lambda a, x: mp.gammainc(a, x, mp.inf, regularized=True), (SHAPES, RIGHT[2:]), 1),
    *[
        ("betainc", lambda a, b, x: mp.betainc(a, b, 0, x, regularized=True), (SHAPES, np.array([0.3, 4.0, 9.0, 1.0]), x), i)
        for x in (1e-4, 0.3, 0.9)
        for i in (0, 1, 2)
    ],
    ("expit", lambda x: 1 / (1 + mp.exp(-x)), (WIDE,), 0),
    ("log_expit", lambda x: -mp.log1p(mp.exp(-x)), (WIDE,), 0),
    ("logit", lambda x: mp.log(x / (1 - x)), (UNIT,), 0),
    ("entr", lambda x: -x * mp.log(x), (RIGHT,), 0),
    ("xlogy", lambda x, y: x * mp.log(y), (WIDE, RIGHT[:1]), 1),
    ("xlog1py", lambda x, y: x * mp.log1p(y), (WIDE, 1e-9), 1),
    ("xlog1py", lambda x, y: x * mp.log1p(y), (WIDE, 1e-9), 0),
    ("kl_div", lambda x, y: x * mp.log(x / y) - x + y, (np.array([1.0, 2.0, 1e200]), np.array([1 + 1e-9, 1e-3, 1e-200])), 0),
    ("kl_div", lambda x, y: x * mp.log(x / y) - x + y, (np.array([1.0, 2.0, 1.0]), np.array([1 + 1e-9, 1e-3, 1e-200])), 1),
    ("rel_entr", lambda x, y: x * mp.log(x / y), (np.array([1.0, 2.0, 1e200]), np.array([1.5, 1e-3, 1e-200])), 0),
    ("pseudo_huber", lambda d, r: d * d * (mp.sqrt(1 + (r / d) ** 2) - 1), (2.0, np.array([1e-6, 1.0, 1e6])), 1),
    ("pseudo_huber", lambda d, r: d * d * (mp.sqrt(1 + (r / d) ** 2) - 1), (np.array([2.0, 3.0, 1.0]), np.array([1e-3, 1, 50])), 0),
    ("boxcox", lambda x, k: (x**k - 1) / k if k else mp.log(x), (RIGHT, np.array([1e-9, 1e-3, 1, 2, -1, 0.5, -2, 1e-7])), 1),
    ("boxcox", lambda x, k: (x**k - 1) / k, (RIGHT, 0.3), 0),
    ("boxcox1p", lambda x, k: mp.expm1(k * mp.log1p(x)) / k, (RIGHT, np.array([1e-9, 1e-3, 1, 2, -1, 0.5, -2, 1e-7])), 1),
    ("inv_boxcox", lambda y, k: mp.exp(mp.log1p(k * y) / k), (np.array([0.1, 2.0, -0.4, 3.0]), np.array([1e-9, 0.4, 2, 1e-3])), 1),
    ("inv_boxcox1p", lambda y, k: mp.expm1(mp.log1p(k * y) / k), (np.array([0.1, 2.0, -0.4]), np.array([1e-9, 0.4, 2])), 1),
    ("exprel", lambda x: mp.expm1(x) / x if x else mp.mpf(1), (np.array([-50.0, -1.0, 1e-9, 0.1, 2.9, 3.1, 30.0]),), 0),
    ("powm1", lambda x, y: x**y - 1, (np.array([0.5, 3.0]), np.array([1e-9, -2.0])), 1),
    ("exp1", mp.e1, (RIGHT[:7],), 0),
    ("expi", mp.ei, (RIGHT[:7],), 0),
    ("expn", mp.expint, (np.array([0, 1, 2, 9])[:, None], RIGHT[:7]), 1),
    ("spence", lambda z: mp.polylog(2, 1 - z).real, (np.array([1e-12, 0.3, 0.999, 1.0, 1 + 1e-9, 1.9, 30.0]),), 0),
    ("lambertw", lambda z: mp.lambertw(z).real, (np.array([-0.36, -1e-9, 0.0, 0.3, 1e8]),), 0),
    ("wrightomega", lambda z: mp.lambertw(mp.exp(z)), (np.array([-20.0, 0.0, 3.0, 600.0]),), 0),
    *[(f"j{n}", lambda x, n=n: mp.besselj(n, x), (WIDE,), 0) for n in (0, 1)],
    *[(f"y{n}", lambda x, n=n: mp.bessely(n, x), (RIGHT,), 0) for n in (0, 1)],
    *[(f"i{n}", lambda x, n=n: mp.besseli(n, x), (WIDE,), 0) for n in (0, 1)],
    *[(f"k{n}", lambda x, n=n: mp.besselk(n, x), (RIGHT,), 0) for n in (0, 1)],
    *[(f"i{n}e", lambda x, n=n: mp.exp(-abs(x)) * mp.besseli(n, x), (np.array([-30.0, -1, 0.5, 9, 4e3]),), 0) for n in (0, 1)],
    *[(f"k{n}e", lambda x, n=n: mp.exp(x) * mp.besselk(n, x), (RIGHT,), 0) for n in (0, 1)],
    ("jv", mp.besselj, (ORDERS, RIGHT), 1),
    ("yv", mp.bessely, (ORDERS, RIGHT), 1),
    ("iv", mp.besseli, (ORDERS, RIGHT), 1),
    ("kv", mp.besselk, (ORDERS, RIGHT), 1),
    ("ive", lambda v, x: mp.exp(-x) * mp.besseli(v, x), (ORDERS, RIGHT), 1),
    ("kve", lambda v, x: mp.exp(x) * mp.besselk(v, x), (ORDERS, RIGHT), 1),
    ("struve", mp.struveh, (ORDERS, RIGHT[:7]), 1),
    ("modstruve", mp.struvel, (ORDERS, RIGHT[:7]), 1),
    *[(name, kelvin(k), (np.array([0.01, 0.5, 2.0, 7.0]),), 0) for k, name in enumerate(("ber", "bei", "ker", "kei"))],
    ("ellipk", mp.ellipk, (np.array([-50.0, -1e-9, 0.0, 0.5, 0.99999]),), 0),
    ("ellipkm1", lambda p: mp.ellipk(1 - p), (np.array([1e-30, 1e-5, 0.5, 1.0, 1.9]),), 0),
    ("ellipe", mp.ellipe, (np.array([-50.0, -1e-9, 0.0, 0.5, 0.99999]),), 0),
    *[("ellipkinc", mp.ellipf, (np.array([-7.0, -1.0, 1e-3, 1.5, 20.0])[:, None], np.array([-3.0, 1e-9, 0.9])), i) for i in (0, 1)],
    *[("ellipeinc", mp.ellipe, (np.array([-7.0, -1.0, 1e-3, 1.5, 20.0])[:, None], np.array([-3.0, 1e-9, 0.9])), i) for i in (0, 1)],
    *[("elliprf", mp.elliprf, (np.array([0.1, 1.0, 1e-6]), np.array([2.0, 1.0, 3.0]), 1.5), i) for i in (0, 1, 2)],
    *[("elliprd", mp.elliprd, (np.array([0.1, 1.0, 1e-6]), np.array([2.0, 1.0, 3.0]), 1.5), i) for i in (0, 1, 2)],
    *[("elliprg", mp.elliprg, (np.array([0.1, 1.0, 1e-6]), np.array([2.0, 1.0, 3.0]), 1.5), i) for i in (0, 1, 2)],
    *[("elliprc", mp.elliprc, (np.array([0.1, 1.0, 1e3]), np.array([2.0, 1.0, 1e-3])), i) for i in (0, 1)],
    *[("elliprj", mp.elliprj, (np.array([0.1, 1.0]), np.array([2.0, 1.0]), 1.5, np.array([0.7, 1.0])), i) for i in (0, 3)],
    *[("agm", mp.agm, (np.array([1.0, 1.0, 1e-6]), np.array([1.0, 7.0, 2.0])), i) for i in (0, 1)],
    ("hyp0f1", mp.hyp0f1, (1.5, np.array([-20.0, 0.0, 3.0])), 1),
    ("hyp1f1", mp.hyp1f1, (0.7, 1.5, np.array([-20.0, 0.0, 3.0])), 2),
    ("hyp2f1", mp.hyp2f1, (0.7, 1.5, 2.2, np.array([-20.0, 0.0, 0.7, 0.95])), 3),
    ("hyperu", mp.hyperu, (0.7, 1.5, np.array([0.1, 1.0, 30.0])), 2),
    ("eval_legendre", mp.legendre, (np.array([0.0, 1.0, 7.0, 2.5])[:, None], SIDES), 1),
    ("eval_chebyt", mp.chebyt, (np.array([0.0, 1.0, 7.0])[:, None], SIDES), 1),
    ("eval_chebyu", mp.chebyu, (np.array([0.0, 1.0, 7.0])[:, None], SIDES), 1),
    ("eval_hermite", mp.hermite, (np.array([0, 1, 7])[:, None], SIDES), 1),
    ("eval_genlaguerre", mp.laguerre, (np.array([0.0, 1.0, 7.0])[:, None], 1.5, RIGHT[:6]), 2),
    ("eval_gegenbauer", mp.gegenbauer, (np.array([0.0, 1.0, 7.0])[:, None], 1.5, SIDES), 2),
    ("eval_jacobi", mp.jacobi, (np.array([0.0, 1.0, 7.0])[:, None], 1.5, 0.3, SIDES), 3),
]  # fmt: skip


@pytest.mark.parametrize("name, exact, args, i", [pytest.param(*c, id=f"{c[0]}-{k}") for k, c in enumerate(CASES)])
def test_against_mpmath(name, exact, args, i):
    want = reference(exact, args, i)
    full = [np.asarray(a) if np.asarray(a).dtype.kind == "i" else np.broadcast_to(a, want.shape).copy() for a in args]
    got = slope(getattr(sp, name), full, i)
    assert np.abs(want.imag).max() < 1e-25
    np.testing.assert_allclose(got, want.real, rtol=1e-9, atol=1e-300)
    back = reverse_slope(getattr(sp, name), full, i)
    np.testing.assert_allclose(back, got.real, rtol=1e-12, atol=1e-300)


MULTI = [
    ("fresnel", (mp.fresnels, mp.fresnelc), (np.array([-3.0, 0.0, 0.7, 5.0]),), 0),
    ("sici", (mp.si, mp.ci), (np.array([1e-6, 0.5, 3.0, 40.0]),), 0),
    ("shichi", (mp.shi, mp.chi), (np.array([1e-6, 0.5, 3.0, 20.0]),), 0),
    ("airy", (mp.airyai, lambda x: mp.airyai(x, derivative=1), mp.airybi, lambda x: mp.airybi(x, derivative=1)), (np.array([-6.0, 0.0, 0.4, 5.0]),), 0),
    ("ellipj", tuple(lambda u, m, k=k: mp.ellipfun(k, u=u, m=m) for k in ("sn", "cn", "dn")), (np.array([0.3, 5.0, -2.0]), np.array([0.2, 0.9, 1e-9])), 0),
    ("ellipj", tuple(lambda u, m, k=k: mp.ellipfun(k, u=u, m=m) for k in ("sn", "cn", "dn")), (np.array([0.3, 5.0, -2.0]), np.array([0.2, 0.9, 1e-3])), 1),
]  # fmt: skip


@pytest.mark.parametrize("name, exact, args, i", [pytest.param(*c, id=f"{c[0]}-{c[3]}") for c in MULTI])
def test_several_outputs_against_mpmath(name, exact, args, i):
    for k, function in enumerate(exact):
        want = reference(function, args, i).real
        for way in (slope, reverse_slope):
            np.testing.assert_allclose(way(getattr(sp, name), args, i, k), want, rtol=1e-9, atol=1e-15)


# ── in the complex plane ──────────────────────────────────────────────────────

PLANE = np.array([0.3 + 0.4j, -1.2 + 2.0j, 4.0 - 1.0j, 9.0 + 3.0j])
COMPLEX = [
    ("erf", mp.erf),
    ("erfcx", lambda z: mp.exp(z * z) * mp.erfc(z)),
    ("dawsn", dawson),
    ("wofz", lambda z: mp.exp(-z * z) * mp.erfc(-1j * z)),
    ("gamma", mp.gamma),
    ("loggamma", mp.loggamma),
    ("rgamma", mp.rgamma),
    ("psi", lambda z: mp.psi(0, z)),
    ("lambertw", mp.lambertw),
    ("exp1", mp.e1),
    ("spence", lambda z: mp.polylog(2, 1 - z)),
]


@pytest.mark.parametrize("name, exact", COMPLEX)
def test_complex_against_mpmath(name, exact):
    with mp.workdps(40):
        want = np.array([complex(mpmath.diff(exact, mpmath.mpc(z), h=mpmath.mpf(10) ** -15)) for z in PLANE])
    got = np.asarray(jvp_flat(lambda z: [getattr(sp, name)(z)], [PLANE], [np.ones_like(PLANE)])[1][0])
    np.testing.assert_allclose(got, want, rtol=1e-9)


def test_trigamma_in_the_plane():
    second = jvp_flat(lambda z: [sp.psi(z)], [PLANE], [np.ones_like(PLANE)])[1][0]
    with mp.workdps(30):
        want = [complex(mp.psi(1, mpmath.mpc(z))) for z in PLANE]
    np.testing.assert_allclose(second, want, rtol=1e-12)


# ── the incomplete functions over a wide range ────────────────────────────────


@pytest.mark.parametrize("a", [1e-3, 0.1, 1.0, 10.0, 60.0, 1e3, 1e4])
def test_gammainc_in_its_parameter(a):
    x = a * np.array([1e-3, 0.3, 0.9, 1.0, 1.1, 2.0, 6.0])
    below = reference(lambda a, x: mp.gammainc(a, 0, x, regularized=True), (a, x[:4]), 0)
    above = reference(lambda a, x: -mp.gammainc(a, x, mp.inf, regularized=True), (a, x[4:]), 0)
    got = slope(sp.gammainc, (np.full(7, a), x), 0)
    np.testing.assert_allclose(got, np.concatenate([below, above]).real, rtol=1e-9, atol=1e-290)


@pytest.mark.parametrize("a, b", [(0.01, 0.01), (0.5, 0.5), (0.01, 30.0), (2.5, 300.0), (500.0, 20.0), (400.0, 300.0)])
def test_betainc_in_its_parameters(a, b):
    mean, width = a / (a + b), math.sqrt(a * b / (a + b + 1)) / (a + b)
    x = np.array([p for p in (1e-6, mean - 3 * width, mean - width, mean) if 0 < p < 1])
    for i in (0, 1):
        want = reference(lambda a, b, x: mp.betainc(a, b, 0, x, regularized=True), (a, b, x), i).real
        args = (np.full(len(x), a), np.full(len(x), b), x)
        np.testing.assert_allclose(slope(sp.betainc, args, i), want, rtol=1e-9, atol=1e-290)
        mirrored = slope(sp.betaincc, (args[1], args[0], 1 - x), 1 - i)
        np.testing.assert_allclose(mirrored[1:], want[1:], rtol=1e-8, atol=1e-290)  # 1 - x is rounded


INVERSES = [
    ("gammaincinv", sp.gammainc, (2.5, 0.3), 1),
    ("gammainccinv", sp.gammaincc, (2.5, 0.3), 1),
    ("betaincinv", sp.betainc, (2.5, 1.3, 0.3), 2),
    ("betainccinv", sp.betaincc, (2.5, 1.3, 0.3), 2),
    ("chdtri", sp.chdtrc, (2.5, 0.3), 1),
    ("fdtri", sp.fdtr, (2.5, 3.3, 0.3), 2),
    ("stdtrit", sp.stdtr, (2.5, 0.3), 1),
    ("gdtrix", sp.gdtr, (2.5, 1.3, 0.3), 2),
    ("kolmogi", sp.kolmogorov, (0.3,), 0),
]


@pytest.mark.parametrize("name, forward, args, i", INVERSES)
def test_inverses_undo_their_functions(name, forward, args, i):
    """d/dp F(F⁻¹(p)) = 1, and 0 in every other parameter."""
    inverse = getattr(sp, name)

    def round_trip(*args):
        return forward(*args[:i], inverse(*args), *args[i + 1 :])

    for j in range(len(args)):
        got = slope(round_trip, args, j)
        np.testing.assert_allclose(got, float(j == i), rtol=1e-9, atol=1e-9)


# ── boundaries, poles, strong zeros ───────────────────────────────────────────


def test_infinite_slopes_are_infinite():
    assert slope(sp.logit, (np.array([0.0, 1.0]),), 0).tolist() == [np.inf, np.inf]
    assert slope(sp.entr, (np.array([0.0]),), 0).tolist() == [np.inf]
    assert slope(sp.rel_entr, (np.array([0.0]), 0.5), 0).tolist() == [-np.inf]


@pytest.mark.parametrize("name", ["logit", "entr", "y0", "k0", "gammaln", "exp1", "zeta"])
def test_a_masked_pole_leaves_no_trace(name):
    """where(mask, f(x), 0) at a pole of f: the cotangent of what was not selected is a strong zero."""
    x = np.array([0.5, 1.0 if name == "zeta" else 0.0])
    fun = getattr(sp, name)

    def masked(x):
        return [np.where(np.array([True, False]), fun(x), 0.0)]

    _, pullback, _ = vjp_flat(masked, [x])
    (back,) = pullback([np.ones(2)])
    assert np.isfinite(back[0])
    assert back[1] == 0


@pytest.mark.parametrize("name, want", [("xlogy", 0.0), ("xlog1py", 0.0), ("rel_entr", 0.0), ("kl_div", 1.0)])
def test_nothing_times_the_logarithm_of_nothing(name, want):
    y = -1.0 if name == "xlog1py" else 0.0
    assert slope(getattr(sp, name), (np.array([0.0]), np.array([y])), 1).tolist() == [want]


def test_cross_entropy_of_one_hot_targets_is_finite():
    p, q = np.array([0.0, 1.0, 0.0]), np.array([0.0, 0.7, 0.3])
    for f in (sp.rel_entr, sp.kl_div):
        _, pullback, _ = vjp_flat(lambda q, f=f: [f(p, q)], [q])
        assert np.isfinite(pullback([np.ones(3)])[0]).all()


def test_huber_takes_the_parabola_at_its_edge():
    assert slope(sp.huber, (1.0, np.array([-3.0, -1.0, 0.5, 1.0, 3.0])), 1).tolist() == [-1, -1, 0.5, 1, 1]
    assert slope(sp.huber, (np.array([1.0, 2.0]), np.array([3.0, 1.0])), 0).tolist() == [2.0, 0.0]


def test_rgamma_bends_through_the_poles_of_gamma():
    x = np.array([0.0, -1.0, -4.0])
    second = jvp_flat(lambda x: jvp_flat(lambda y: [sp.rgamma(y)], [x], [np.ones(3)])[1], [x], [np.ones(3)])[1][0]
    with mp.workdps(40):
        want = [float(mpmath.diff(mp.rgamma, mpmath.mpf(p), 2, h=mpmath.mpf(10) ** -12)) for p in x]
    np.testing.assert_allclose(second, want, rtol=1e-9)


def test_log_ndtr_bends_in_the_far_tail():
    """The inverse Mills ratio: its slope tends to -1, where the textbook's difference is all rounding."""
    x = np.array([-1e2, -1e4, -1e7])
    second = jvp_flat(lambda x: jvp_flat(lambda y: [sp.log_ndtr(y)], [x], [np.ones(3)])[1], [x], [np.ones(3)])[1][0]
    np.testing.assert_allclose(second, -1 + 1 / x**2, rtol=1e-7)


def test_arcsine_density_is_smooth_inside():
    """betainc(1/2, 1/2, x), whose density's slope is 0·∞ if written by recurrence."""
    x = np.array([0.2, 0.5, 0.8])
    second = jvp_flat(lambda x: jvp_flat(lambda y: [sp.betainc(0.5, 0.5, y)], [x], [np.ones(3)])[1], [x], [np.ones(3)])
    np.testing.assert_allclose(second[1][0], (2 * x - 1) / (2 * np.pi * (x - x * x) ** 1.5), rtol=1e-12, atol=1e-14)


# ── logsumexp and its kin ─────────────────────────────────────────────────────


def test_logsumexp_with_weights_that_vanish():
    """The derivative in a weight of zero is exp(a - out), and an infinite a there does no harm."""
    a, b = np.array([1.0, 2.0, 800.0]), np.array([1.0, 0.5, 0.0])
    _, pullback, _ = vjp_flat(lambda a, b: [ours.logsumexp(a, b=b)], [a, b])
    da, db = pullback([np.float64(1.0)])
    want = b * np.exp(a - sp.logsumexp(a, b=b))
    np.testing.assert_allclose(da, np.where(b == 0, 0.0, want))
    np.testing.assert_allclose(db[:2], np.exp(a - sp.logsumexp(a, b=b))[:2])


def test_logsumexp_of_nothing_is_flat():
    _, pullback, _ = vjp_flat(lambda a: [ours.logsumexp(a)], [np.full(3, -np.inf)])
    assert pullback([np.float64(1.0)])[0].tolist() == [0.0, 0.0, 0.0]


def test_signs_of_logsumexp():
    a, b = np.array([1.0, 2.0, -900.0]), np.array([1.0, -2.0, 1.0])
    for weights in (b, None, np.abs(b)):
        values, _, _ = vjp_flat(lambda a, w=weights: list(ours.logsumexp(a, b=w, return_sign=True)), [a])
        np.testing.assert_allclose(np.array(values, float), np.array(sp.logsumexp(a, b=weights, return_sign=True)))
    only = np.array([-900.0])
    values, _, _ = vjp_flat(lambda a: list(ours.logsumexp(a, return_sign=True)), [only])
    assert [float(v) for v in values] == [-900.0, 1.0]


# ── dtypes ────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "call",
    [
        lambda x: sp.gammaln(x),
        lambda x: sp.jv(1, x),
        lambda x: sp.gammainc(np.float32(2.0), x),
        lambda x: sp.gammainc(x, np.float32(2.0)),
        lambda x: sp.betainc(x, 2.0, np.float32(0.3)),
        lambda x: sp.ellipk(x / 4),
        lambda x: sp.log_ndtr(x),
        lambda x: sp.zeta(x + 1),
        lambda x: ours.softmax(x),
        lambda x: ours.logsumexp(x),
        lambda x: sp.sici(x)[0],
    ],
)
def test_single_precision_stays(call):
    x = np.array([0.5, 1.5], np.float32)
    values, pullback, _ = vjp_flat(lambda x: [call(x)], [x])
    assert values[0].dtype == np.float32
    (back,) = pullback([np.ones_like(values[0])])
    assert back.dtype == np.float32
    wide = vjp_flat(lambda x: [call(x)], [x.astype(float)])[1]([np.ones(np.shape(values[0]))])[0]
    np.testing.assert_allclose(back, wide, rtol=2e-5)


# ── the table ─────────────────────────────────────────────────────────────────

PUBLIC = [n for n in dir(sp) if not n.startswith("_") and callable(getattr(sp, n))]


def test_every_public_name_is_in_the_table():
    assert sorted(ours.NAMES) == sorted(PUBLIC)


def test_what_is_refused_says_why_and_what_to_do():
    for entry in ours.NAMES.values():
        if entry.status == "refused":
            assert entry.reason and entry.remedy, entry.name
        if entry.status == "constant":
            assert entry.reason, entry.name


def test_most_ufuncs_are_differentiable():
    ufuncs = [n for n in PUBLIC if isinstance(getattr(sp, n), np.ufunc)]
    good = [n for n in ufuncs if ours.NAMES[n].status == "differentiable"]
    assert len(good) >= 0.9 * len(ufuncs)


@pytest.mark.parametrize("name", [n for n in PUBLIC if ours.NAMES[n].status == "refused"])
def test_refusals_are_raised(name):
    """Given a Tensor in every place, a refused name raises, and names itself."""
    function = getattr(sp, name) if isinstance(getattr(sp, name), np.ufunc) else getattr(ours, name)
    nin = getattr(function, "nin", 2)

    def fun(x):
        out = function(*[x] * nin)
        return list(out) if isinstance(out, tuple) else [out]

    with pytest.raises(NotDifferentiable, match=name):
        jvp_flat(fun, [np.array([1.0, 2.0])], [np.ones(2)])


def test_an_order_is_refused_where_the_argument_is_not():
    x = np.array([0.5, 1.5])
    with pytest.raises(NotDifferentiable, match=r"jv .* argument 0: .*\n  fix:  keep the order constant"):
        jvp_flat(lambda v: [sp.jv(v, x)], [x], [np.ones(2)])
    values, _, _ = vjp_flat(lambda v: [sp.jv(v, 1.0) * 0], [x])  # recording alone is no error
    assert values[0].shape == (2,)


def test_nodes_with_a_real_parameter_are_refused():
    with pytest.raises(NotDifferentiable, match="roots_gegenbauer"):
        jvp_flat(lambda a: [ours.roots_gegenbauer(3, a)[0]], [np.float64(0.5)], [np.float64(1.0)])


def test_plain_arrays_get_scipys_own():
    x = np.array([0.5, 1.5])
    assert (ours.gammaln(x) == sp.gammaln(x)).all()
    assert (ours.logsumexp(x) == sp.logsumexp(x)).all()
    assert ours.comb(5, 2, exact=True) == 10


def test_exact_counts_are_refused():
    for name in ("comb", "perm"):
        with pytest.raises(NotDifferentiable, match="exact=False"):
            jvp_flat(lambda n, name=name: [getattr(ours, name)(n, 2, exact=True)], [np.float64(5.0)], [np.float64(1.0)])


def test_import_wengert_leaves_scipy_special_alone():
    import subprocess
    import sys

    code = "import sys, wengert; assert 'scipy.special' not in sys.modules, 'scipy.special was imported'"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_second_derivative_of_log_ndtr_far_on_the_right():
    """-φ(x)(x + φ(x)) to rounding, and no ∞/∞."""
    x = np.array([4.9, 5.1, 20.0, 40.0, 800.0])
    ratio = np.exp(-x * x / 2) / np.sqrt(2 * np.pi) / sp.ndtr(x)
    gradient = lambda x: vjp_flat(lambda x: [sp.log_ndtr(x)], [x])[1]([np.ones(5)])
    (second,) = jvp_flat(gradient, [x], [np.ones(5)])[1]
    np.testing.assert_allclose(second, -ratio * (x + ratio), rtol=1e-9, atol=1e-300)


def test_smirnov_outside_of_its_domain_takes_no_time():
    for d in (-1e300, -np.inf, 1e300):
        with np.errstate(all="ignore"):
            vjp_flat(lambda d: jvp_flat(lambda d: [sp.smirnov(5, d)], [d], [1.0])[1], [np.float64(d)])
