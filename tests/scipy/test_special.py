"""scipy.special: derivatives over wide ranges, boundaries, dtypes, the table of names; accuracy is tests/verify/test_accuracy.py."""

import math

import numpy as np
import pytest
import scipy.special as sp

import wengert as wg
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


PLANE = np.array([0.3 + 0.4j, -1.2 + 2.0j, 4.0 - 1.0j, 9.0 + 3.0j])


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


# ── rules that once lost their digits, where the table of accuracy has no points ──


def test_elements_of_an_array_do_not_disturb_each_other():
    """Carlson's integrals share their nodes, but each has its own scale."""
    x, y, z = np.array([0.1, 1e100, 1e-100]), np.array([0.3, 2e100, 2e-100]), np.array([1.5, 3e100, 3e-100])
    for name, args in (("elliprd", (x, y, z)), ("elliprg", (x, y, z)), ("elliprc", (x, y)), ("elliprj", (x, y, z, y))):
        for i in range(len(args)):
            together = slope(getattr(sp, name), args, i)
            alone = [slope(getattr(sp, name), tuple(a[k : k + 1] for a in args), i)[0] for k in range(3)]
            np.testing.assert_allclose(together, alone, rtol=1e-14)


def test_carlsons_slopes_at_zero_are_infinite_where_they_should_be():
    assert slope(sp.elliprg, (np.array([0.0]), 0.0, 1.0), 0).tolist() == [np.inf]
    assert slope(sp.elliprd, (np.array([0.0]), 1.0, 2.0), 0).tolist() == [-np.inf]
    assert np.isfinite(slope(sp.elliprd, (0.0, np.array([1.0]), 2.0), 1)).all()


@pytest.mark.parametrize("name", ["i0e", "i1e", "k0e", "k1e", "airye"])
def test_second_derivatives_of_scaled_functions_far_out(name):
    function = (lambda x: sp.airye(x)[0]) if name == "airye" else getattr(sp, name)
    exact = {
        "i0e": lambda x: mp.exp(-x) * mp.besseli(0, x),
        "i1e": lambda x: mp.exp(-x) * mp.besseli(1, x),
        "k0e": lambda x: mp.exp(x) * mp.besselk(0, x),
        "k1e": lambda x: mp.exp(x) * mp.besselk(1, x),
        "airye": lambda x: mp.exp(2 * x ** mp.mpf(1.5) / 3) * mp.airyai(x),
    }[name]
    x = np.array([31.0, 200.0, 5e3])
    second = jvp_flat(lambda x: jvp_flat(lambda y: [function(y)], [x], [np.ones(3)])[1], [x], [np.ones(3)])[1][0]
    with mp.workdps(60):
        want = [float(mpmath.diff(exact, mpmath.mpf(p), 2, h=mpmath.mpf(10) ** -12)) for p in x]
    np.testing.assert_allclose(second, want, rtol=1e-13)


def test_second_derivatives_of_saturated_functions():
    """expm1'' and the like keep their digits too."""
    import wengert.nn as nn

    x = np.array([-30.0, -12.0, 0.3, 12.0, 30.0])
    for function, exact in (
        (np.expm1, mp.expm1),
        (sp.log_expit, lambda t: -mp.log1p(mp.exp(-t))),
        (nn.softsign, lambda t: t / (1 + abs(t))),
    ):
        second = jvp_flat(lambda x, f=function: jvp_flat(lambda y: [f(y)], [x], [np.ones(5)])[1], [x], [np.ones(5)])[1][
            0
        ]
        with mp.workdps(60):
            want = [float(mpmath.diff(exact, mpmath.mpf(p), 2, h=mpmath.mpf(10) ** -12)) for p in x]
        np.testing.assert_allclose(second, want, rtol=1e-13)


def test_shared_nodes_of_an_empty_array():
    assert slope(sp.elliprd, (np.zeros(0), np.zeros(0), np.zeros(0)), 0).shape == (0,)


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


@pytest.mark.parametrize("x", [-1 + 1e-3, -1 + 1e-9, -1 + 1e-15, -1.0, 0.0, 1e-12, -3 - 1e-10, -20 + 1e-13, 0.3, 2.5])
def test_second_derivative_of_the_reciprocal_gamma_near_poles(x):
    # ψ² - ψ' loses all digits there: before reflection it was 5e13 in place of 0.85.
    mpmath = pytest.importorskip("mpmath")

    with mpmath.workdps(40):
        want = float(mpmath.diff(mpmath.rgamma, mpmath.mpf(x), 2))
    got = wg.grad(wg.grad(sp.rgamma))(x)
    np.testing.assert_allclose(got, want, rtol=1e-11)
