"""Calculus on samples and polynomials: ends, knots, ties, multiple roots, conventions."""

import numpy as np
import pytest

import wengert.numpy as wnp
from wengert.core.errors import ConcretizationError, NotDifferentiable
from wengert.transforms.batch import batch_flat
from wengert.transforms.forward import jvp_flat
from wengert.transforms.reverse import vjp_flat


def gradients(fun, *primals):
    """Gradients of a sum of all outputs."""
    primals = [np.asarray(p, float) for p in primals]
    outs, pullback, _ = vjp_flat(lambda *xs: [fun(*xs)], primals)
    return pullback([np.ones(outs[0].shape)])


def jacobian(fun, x):
    """Rows of ∂out/∂x, by pullbacks of unit vectors."""
    outs, pullback, _ = vjp_flat(lambda x: [fun(x)], [x])
    return np.stack([pullback([row.reshape(outs[0].shape)])[0].ravel() for row in np.eye(outs[0].size)])


# ── interp ────────────────────────────────────────────────────────────────────

XP, FP = np.array([0.0, 1.0, 3.0]), np.array([1.0, 2.0, -2.0])


def test_slopes_at_the_samples():
    """Right of each sample; the last segment's at the last sample; zero outside."""
    (g,) = gradients(lambda x: np.interp(x, XP, FP), [-1.0, 0.0, 0.5, 1.0, 2.0, 3.0, 4.0])
    np.testing.assert_array_equal(g, [0, 1, 1, -2, -2, -2, 0])


def test_the_ends_belong_to_the_end_samples():
    gx, gf = gradients(lambda x, fp: np.interp(x, XP, fp), [-1.0, 4.0, 5.0], FP)
    np.testing.assert_array_equal(gf, [1, 0, 2])
    np.testing.assert_array_equal(gx, 0)


def test_interp_takes_the_samples_value_exactly():
    xp = np.array([0.1, 0.3, 0.7])
    fp = np.array([1e16, 1.0, 3.0])
    outs, _, _ = vjp_flat(lambda fp: [np.interp(xp, xp, fp)], [fp])
    np.testing.assert_array_equal(outs[0], fp)


def test_a_jump_between_samples_leaves_derivatives_finite_elsewhere():
    xp, fp = np.array([0.0, 1.0, 1.0, 2.0]), np.array([0.0, 1.0, 5.0, 6.0])
    x = np.array([0.5, 1.0, 1.5])
    outs, pullback, _ = vjp_flat(lambda x, fp: [np.interp(x, xp, fp)], [x, fp])
    np.testing.assert_array_equal(outs[0], np.interp(x, xp, fp))
    gx, gf = pullback([np.ones(3)])
    np.testing.assert_array_equal(gx, [1, 1, 1])
    np.testing.assert_array_equal(gf, [0.5, 0.5, 1.5, 0.5])


def test_interp_of_nan_is_nan_and_of_one_sample_is_flat():
    outs, _, _ = vjp_flat(lambda x: [np.interp(x, XP, FP)], [np.array([np.nan, 0.5])])
    np.testing.assert_array_equal(outs[0], np.interp([np.nan, 0.5], XP, FP))
    gx, gf = gradients(lambda x, fp: np.interp(x, [1.0], fp), [0.0, 1.0, 2.0], [3.0])
    np.testing.assert_array_equal(gx, 0)
    np.testing.assert_array_equal(gf, [3])


def test_interp_gives_float64_as_numpy_does():
    outs, pullback, _ = vjp_flat(lambda x: [np.interp(x, XP, FP)], [np.ones(2, np.float32)])
    assert outs[0].dtype == np.float64
    assert pullback([np.ones(2)])[0].dtype == np.float32


def test_interp_against_jax():
    jax = pytest.importorskip("jax", reason="a second implementation to compare with")
    jax.config.update("jax_enable_x64", True)
    rng = np.random.default_rng(0)
    x, xp, fp = rng.uniform(-1, 4, 20), np.sort(rng.uniform(0, 3, 8)), rng.normal(size=8)
    want = jax.grad(lambda *a: jax.numpy.sum(jax.numpy.interp(*a) ** 2), argnums=(0, 1, 2))(x, xp, fp)
    got = gradients(lambda *a: np.interp(*a) ** 2, x, xp, fp)
    for g, w in zip(got, want, strict=True):
        np.testing.assert_allclose(g, np.asarray(w), rtol=1e-9, atol=1e-11)


def test_interp_rejects_what_numpy_rejects():
    for args in ((XP, FP[:2]), ([], []), (np.ones((2, 2)), np.ones((2, 2)))):
        with pytest.raises(ValueError):
            np.interp(0.5, *args)
        with pytest.raises(ValueError):
            gradients(lambda x, args=args: np.interp(x, *args), 0.5)
    with pytest.raises(ValueError, match="non-zero"):
        gradients(lambda x: np.interp(x, XP, FP, period=0), 0.5)


# ── gradient, diff, unwrap ────────────────────────────────────────────────────


def test_even_coordinates_have_the_derivative_of_uneven_ones():
    """With coordinates x, f = x² and edge_order 2, the result is 2x whatever x is: its derivative in x is 2 on the diagonal."""
    x = np.arange(5.0)
    np.testing.assert_allclose(jacobian(lambda x: np.gradient(x * x, x, edge_order=2), x), 2 * np.eye(5), atol=1e-12)


def test_gradient_of_float32_stays_float32():
    outs, _, _ = vjp_flat(lambda x: [np.gradient(x), np.gradient(x, 0.5)], [np.arange(4, dtype=np.float32)])
    assert [o.dtype for o in outs] == [np.float32] * 2


@pytest.mark.parametrize(
    "bad", [lambda x: np.gradient(x, 1.0, 2.0), lambda x: np.gradient(x, [1.0, 2.0]), lambda x: np.gradient(x[:1])]
)
def test_gradient_rejects_what_numpy_rejects(bad):
    for run in (bad, lambda x: gradients(bad, x)):
        with pytest.raises((ValueError, TypeError)):
            run(np.arange(4.0))


def test_diff_of_a_short_axis_is_empty():
    (g,) = gradients(lambda x: np.diff(x, 3), np.ones((2, 2)))
    np.testing.assert_array_equal(g, 0)
    with pytest.raises(ValueError):
        gradients(lambda x: np.diff(x, -1), np.ones(2))


def test_unwrap_is_the_identity_between_jumps():
    phase = np.array([0.0, 3.0, -3.0, 0.5, 6.8, -2.0])
    np.testing.assert_array_equal(jacobian(np.unwrap, phase), np.eye(6))
    outs, _, _ = vjp_flat(lambda p: [np.unwrap(p)], [phase])
    np.testing.assert_allclose(outs[0], np.unwrap(phase), atol=1e-14)


def test_unwrap_with_a_period_per_example_says_what_to_do():
    with pytest.raises(ConcretizationError, match="close over"):
        batch_flat(lambda p, period: [np.unwrap(p, period=period)], [np.ones((2, 3)), np.ones(2)], [True, True], 2)


# ── convolution ───────────────────────────────────────────────────────────────


@pytest.mark.parametrize("mode", ["full", "same", "valid"])
@pytest.mark.parametrize("n, m", [(1, 1), (4, 4), (4, 1), (1, 4), (5, 2), (2, 5), (6, 3), (3, 6)])
def test_lengths_and_offsets(n, m, mode):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=n) + 1j * rng.normal(size=n), rng.normal(size=m) + 1j * rng.normal(size=m)
    for name in ("convolve", "correlate"):
        want = getattr(np, name)(x, y, mode)
        for args in ((x, y), (y, x)):
            want = getattr(np, name)(*args, mode)
            outs, _, _ = vjp_flat(lambda a, b, name=name: [getattr(np, name)(a, b, mode)], args)
            np.testing.assert_allclose(outs[0], want, rtol=1e-13, atol=1e-14)


def test_what_is_cut_away_from_a_convolution_leaves_no_nan():
    x, k = np.array([np.inf, 1.0, 2.0, 3.0]), np.array([1.0, 4.0])
    for mode, keep in (("full", slice(2, None)), ("valid", slice(1, None))):
        gx, gk = gradients(lambda x, k, mode=mode, keep=keep: np.convolve(x, k, mode)[keep], x, k)
        assert np.isfinite(gx).all()
        assert np.isfinite(gk).all()
        np.testing.assert_array_equal(gk, [2 + 3, 1 + 2 + (3 if mode == "full" else 0)])


def test_empty_sequences_are_rejected():
    for f in (np.convolve, np.correlate):
        with pytest.raises(ValueError):
            gradients(lambda x, f=f: f(x, np.ones(0)), np.ones(3))


def test_convolve_under_vmap_uses_one_op():
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(3, 5)), rng.normal(size=(3, 2))
    outs, _ = batch_flat(lambda a, b: [np.convolve(a, b, "same")], [x, y], [True, True], 3)
    np.testing.assert_allclose(outs[0], [np.convolve(a, b, "same") for a, b in zip(x, y, strict=True)])


@pytest.mark.filterwarnings("ignore:Arrays of 2-dimensional vectors:DeprecationWarning")
@pytest.mark.parametrize("n, m", [(2, 2), (2, 3), (3, 2)])
def test_cross_of_short_vectors(n, m):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(4, n)), rng.normal(size=(4, m))
    try:
        want = np.cross(x, y)
    except ValueError:
        pytest.skip("this NumPy has ended vectors of two components")
    outs, _, _ = vjp_flat(lambda x, y: [np.cross(x, y)], [x, y])
    np.testing.assert_allclose(outs[0], want)


# ── polynomials ───────────────────────────────────────────────────────────────


def test_derivatives_of_simple_roots_include_those_at_zero_and_infinity():
    """p = 0·x³ + x² - x: roots 1 and 0; the leading zero sends a root to infinity, and still moves the others."""
    p = np.array([0.0, 1.0, -1.0, 0.0])
    outs, pullback, _ = vjp_flat(lambda p: [np.roots(p)], [p])
    np.testing.assert_array_equal(outs[0], np.roots(p))
    for i, r in enumerate(outs[0]):
        want = -(r ** np.array([3, 2, 1, 0])) / (2 * r - 1)
        np.testing.assert_allclose(pullback([np.eye(2)[i]])[0], want, atol=1e-14)


def test_a_double_root_has_no_finite_derivative():
    with np.errstate(all="ignore"):
        (g,) = gradients(np.roots, [1.0, 0.0, 0.0])
    assert not np.isfinite(g).any()


def test_roots_are_real_where_numpys_are():
    for p in ([1.0, -3.0, 2.0], [1.0, 0.0, 1.0], [0.0, 0.0], [2.0], [1.0, 2.0, 0.0]):
        outs, _, _ = vjp_flat(lambda p: [np.roots(p)], [np.array(p)])
        want = np.roots(p)
        assert np.asarray(outs[0]).dtype == want.dtype
        np.testing.assert_array_equal(outs[0], want)


def test_roots_undo_poly():
    z = np.array([-2.0, 0.3, 1.7])
    np.testing.assert_allclose(_undone(z), np.eye(3), atol=1e-10)


def _undone(z):
    outs, pullback, _ = vjp_flat(lambda z: [np.roots(np.poly(z))], [z])
    order = np.argsort(outs[0])
    return np.stack([pullback([row])[0] for row in np.eye(3)[order]])


def test_polymul_drops_leading_zeros_and_keeps_their_derivative():
    a, b = np.array([0.0, 2.0, 1.0]), np.array([3.0, 4.0])
    outs, pullback, _ = vjp_flat(lambda a: [np.polymul(a, b)], [a])
    np.testing.assert_array_equal(outs[0], np.polymul(a, b))
    np.testing.assert_array_equal(pullback([np.array([1.0, 0, 0])])[0], [4, 3, 0])


@pytest.mark.parametrize(
    "u, v",
    [
        ([1.0, -3.0, 2.0], [1.0, -1.0]),
        ([2.0, 1.0, 4.0], [2.0]),
        ([1.0, 2.0], [1.0, 0.0, 3.0]),
        ([0.0, 0.0, 5.0], [1.0, 2.0]),
    ],
)
def test_polydiv_trims_the_remainder_as_numpy_does(u, v):
    outs, _, _ = vjp_flat(lambda u: list(np.polydiv(u, v)), [np.array(u)])
    for got, want in zip(outs, np.polydiv(u, v), strict=True):
        np.testing.assert_allclose(got, want, atol=1e-14)


def test_poly_of_conjugate_roots_is_real():
    outs, _, _ = vjp_flat(lambda z: [np.poly(z)], [np.array([1 + 1j, 1 - 1j])])
    assert outs[0].dtype == np.float64
    np.testing.assert_allclose(outs[0], [1, -2, 2])


def test_polynomials_of_one_constant():
    assert np.polyint([2.0], 0) == [2.0]
    (g,) = gradients(lambda p: np.polyder(p), [2.0])
    np.testing.assert_array_equal(g, [0])
    with pytest.raises(ValueError):
        gradients(lambda p: np.polyder(p, -1), [2.0])


def test_polyfit_is_linear_in_y():
    x, y, w = np.linspace(-1, 2, 8), np.sin(np.arange(8.0)), np.linspace(1, 2, 8)
    outs, _, _ = vjp_flat(lambda y: [np.polyfit(x, y, 2, w=w)], [y])
    np.testing.assert_allclose(outs[0], np.polyfit(x, y, 2, w=w), rtol=1e-10)
    want = np.stack([np.polyfit(x, e, 2, w=w) for e in np.eye(8)], axis=1)
    np.testing.assert_allclose(jacobian(lambda y: np.polyfit(x, y, 2, w=w), y), want, rtol=1e-9, atol=1e-12)
    for full in ({"full": True}, {"cov": True}, {"cov": "unscaled"}):
        got = []
        vjp_flat(lambda y, full=full, got=got: [got.append(np.polyfit(x, y, 2, **full)) or got[0][0]], [y])
        for g, want in zip(got[0], np.polyfit(x, y, 2, **full), strict=True):
            np.testing.assert_allclose(np.asarray(g._value if hasattr(g, "_value") else g), want, rtol=1e-9, atol=1e-13)


def test_numpy_polynomial_works_in_x_and_raises_in_the_coefficients():
    x, c = np.array([0.5, 2.0]), np.array([1.0, 2.0, 3.0])
    for f, slope in ((np.polynomial.polynomial.polyval, 2 + 6 * x), (np.polynomial.chebyshev.chebval, 2 + 12 * x)):
        (g,) = gradients(lambda x, f=f: f(x, c), x)
        np.testing.assert_allclose(g, slope)
        with pytest.raises((ConcretizationError, NotDifferentiable)):
            gradients(lambda c, f=f: f(x, c), c)


def test_poly1d_is_refused_and_plain_ones_still_work():
    with pytest.raises(NotDifferentiable, match="polyval"):
        gradients(lambda c: wnp.poly1d(c), [1.0, 2.0])
    p = wnp.poly1d([1.0, 2.0])
    assert isinstance(p, wnp.poly1d)
    assert isinstance(wnp.polymul(p, p), np.poly1d)
    (g,) = gradients(lambda x: np.polyval(p.coeffs, x), [3.0])
    np.testing.assert_array_equal(g, [1])


def test_tangents_of_trapezoid_in_spacing():
    y = np.array([1.0, 4.0, 2.0])
    _, (d,) = jvp_flat(lambda h: [np.trapezoid(y, dx=h)], [np.float64(0.5)], [np.float64(1.0)])
    assert d == (1 + 4) / 2 + (4 + 2) / 2
