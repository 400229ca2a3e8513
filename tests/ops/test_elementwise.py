"""What the generated matrix cannot show of elementwise ops: kinks, ties, infinities, and digits."""

import itertools
import math
import subprocess
import sys
from fractions import Fraction

import numpy as np
import pytest

from wengert.ops import elementwise as e
from wengert.ops import logic, rounding, select
from wengert.ops.basis import scale, strong_mul
from wengert.transforms.forward import jvp_flat
from wengert.transforms.reverse import vjp_flat

inf, nan = np.inf, np.nan


def reverse(f):
    """All first derivatives of a scalar function of scalars, in reverse mode."""

    def derivatives(*xs):
        return vjp_flat(lambda *a: [f(*a)], xs)[1]([np.ones(())[()]])

    return derivatives


def forward(f, i):
    """The derivative in argument i, in forward mode."""

    def derivative(*xs):
        seeds = [np.ones(())[()] if k == i else None for k in range(len(xs))]
        dot = jvp_flat(lambda *a: [f(*a)], xs, seeds)[1][0]
        return np.zeros(()) if dot is None else dot

    return derivative


def first(f, xs):
    """The gradient, which both modes agree on."""
    xs = [np.float64(x) for x in xs]
    back = np.array([float(g) for g in reverse(f)(*xs)])
    np.testing.assert_array_equal([float(forward(f, i)(*xs)) for i in range(len(xs))], back)
    return back


def second(f, xs):
    """The Hessian by all four compositions of modes, which agree."""
    xs = [np.float64(x) for x in xs]
    n = range(len(xs))
    by = {
        "reverse over reverse": [list(reverse(lambda *a, i=i: reverse(f)(*a)[i])(*xs)) for i in n],
        "forward over reverse": [[forward(lambda *a, i=i: reverse(f)(*a)[i], j)(*xs) for j in n] for i in n],
        "reverse over forward": [list(reverse(lambda *a, i=i: forward(f, i)(*a))(*xs)) for i in n],
        "forward over forward": [[forward(lambda *a, i=i: forward(f, i)(*a), j)(*xs) for j in n] for i in n],
    }
    hessians = {how: np.array([[float(v) for v in row] for row in rows]) for how, rows in by.items()}
    want = hessians["forward over reverse"]
    for how, got in hessians.items():
        np.testing.assert_allclose(got, want, rtol=1e-12, err_msg=how)
    return want


# ── strong zeros: what was not selected leaves no trace, in any order ─────────

MASKED = {
    "sqrt": (lambda x: np.where(x > 0, np.sqrt(x), 0), [0.0]),
    "sqrt of a negative": (lambda x: np.where(x > 0, np.sqrt(x), 0), [-1.0]),
    "log": (lambda x: np.where(x > 0, np.log(x), 0), [0.0]),
    "log of a root": (lambda x: np.where(x > 0, np.log(np.sqrt(x)), 0), [0.0]),
    "x log x": (lambda x: np.where(x > 0, x * np.log(x), 0), [0.0]),
    "log1p": (lambda x: np.where(x > -1, np.log1p(x), 0), [-1.0]),
    "reciprocal": (lambda x: np.where(x != 0, 1 / x, 0), [0.0]),
    "0/0": (lambda x, y: np.where(y != 0, x / y, 0), [0.0, 0.0]),
    "1/0": (lambda x, y: np.where(y != 0, x / y, 0), [1.0, 0.0]),
    "x/x": (lambda x: np.where(x != 0, x / x, 0), [0.0]),
    "sin(x)/x": (lambda x: np.where(x != 0, np.sin(x) / x, 1), [0.0]),
    "power": (lambda x, y: np.where(x > 0, x**y, 0), [0.0, 0.5]),
    "power of a negative": (lambda x, y: np.where(x > 0, x**y, 0), [-1.0, 0.5]),
    "arcsin": (lambda x: np.where(x < 1, np.arcsin(x), 0), [1.0]),
    "arccosh": (lambda x: np.where(x > 1, np.arccosh(x), 0), [1.0]),
    "cbrt": (lambda x: np.where(x > 0, np.cbrt(x), 0), [0.0]),
    "remainder": (lambda x, y: np.where(y != 0, np.remainder(x, y), 0), [1.0, 0.0]),
    "fmod": (lambda x, y: np.where(y != 0, np.fmod(x, y), 0), [1.0, 0.0]),
    "norm": (lambda x, y: np.where(x > 0, np.sqrt(x * x + y * y), 0), [0.0, 0.0]),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", MASKED)
def test_a_masked_singularity_leaves_zeros(name):
    f, xs = MASKED[name]
    assert not first(f, xs).any()
    assert not second(f, xs).any()


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_strong_products():
    zeros = np.array([0.0, 0.0, 1.0])
    wild = np.array([nan, inf, inf])
    np.testing.assert_array_equal(scale(zeros, wild), [0, 0, inf])
    assert np.isnan(scale(wild, zeros)[:2]).all()  # strong in its first operand alone
    np.testing.assert_array_equal(strong_mul(zeros, wild), [0, 0, inf])
    np.testing.assert_array_equal(strong_mul(wild, zeros), [0, 0, inf])
    np.testing.assert_array_equal(strong_mul(0.0, np.float64(nan)), 0.0)


# ── kinks, ties and degenerate points ─────────────────────────────────────────

POINTS = {  # name: function, point, gradient, Hessian
    "abs": (e.abs_, [0.0], [0], [[0]]),
    "fabs": (e.fabs, [0.0], [0], [[0]]),
    "sqrt": (e.sqrt, [0.0], [inf], [[-inf]]),
    "hypot at the origin": (e.hypot, [0.0, 0.0], [0, 0], [[0, 0], [0, 0]]),
    "hypot on an axis": (e.hypot, [0.0, 2.0], [0, 1], [[0.5, 0], [0, 0]]),
    "hypot, large": (e.hypot, [3e200, 4e200], [0.6, 0.8], None),
    "hypot, tiny": (e.hypot, [3e-200, 4e-200], [0.6, 0.8], None),
    "arctan2 at the origin": (e.arctan2, [0.0, 0.0], [0, 0], [[0, 0], [0, 0]]),
    "arctan2 on an axis": (e.arctan2, [0.0, 2.0], [0.5, 0], [[0, -0.25], [-0.25, 0]]),
    "arctan2, large": (e.arctan2, [1e200, 1e200], [5e-201, -5e-201], None),
    "maximum, tie": (select.maximum, [1.0, 1.0], [0.5, 0.5], [[0, 0], [0, 0]]),
    "minimum, tie": (select.minimum, [1.0, 1.0], [0.5, 0.5], None),
    "maximum": (select.maximum, [1.0, 2.0], [0, 1], None),
    "minimum": (select.minimum, [1.0, 2.0], [1, 0], None),
    "fmax": (select.fmax, [1.0, 2.0], [0, 1], None),
    "fmin": (select.fmin, [1.0, 2.0], [1, 0], None),
    "fmax of a NaN": (select.fmax, [nan, 2.0], [0, 1], [[0, 0], [0, 0]]),
    "fmin of a NaN": (select.fmin, [2.0, nan], [1, 0], None),
    "fmax of two NaN": (select.fmax, [nan, nan], [0.5, 0.5], None),
    "maximum at infinity": (select.maximum, [-inf, -inf], [0.5, 0.5], None),
    "clip at its bound": (lambda x: select.clip(x, 0.0, 1.0), [0.0], [0.5], [[0]]),
    "clip, bounds": (select.clip, [2.0, 0.0, 1.0], [0, 0, 1], None),
    "clip, crossed bounds": (select.clip, [0.0, 2.0, 1.0], [0, 0, 1], None),
    "clip, all equal": (select.clip, [1.0, 1.0, 1.0], [0.25, 0.25, 0.5], None),
    "x**0": (lambda x: e.pow_(x, 0), [0.0], [0], [[0]]),
    "x**1": (lambda x: e.pow_(x, 1), [0.0], [1], [[0]]),
    "x**2.0": (lambda x: e.pow_(x, 2.0), [0.0], [0], [[2]]),
    "x**3": (lambda x: e.pow_(x, 3), [0.0], [0], [[0]]),
    "(-2)**3": (lambda x: e.pow_(x, 3), [-2.0], [12], [[-12]]),
    "0**y": (lambda y: e.pow_(0.0, y), [2.0], [0], [[0]]),
    "0**0 in y": (lambda y: e.pow_(0.0, y), [0.0], [0], [[0]]),
    "0**y, both": (e.pow_, [0.0, 2.0], [0, 0], [[2, 0], [0, 0]]),
    "2**y": (lambda y: e.pow_(2.0, y), [3.0], [8 * math.log(2)], [[8 * math.log(2) ** 2]]),
    "logaddexp of -inf": (e.logaddexp, [-inf, 1.0], [0, 1], [[0, 0], [0, 0]]),
    "logaddexp of two -inf": (e.logaddexp, [-inf, -inf], [0.5, 0.5], [[0.25, -0.25], [-0.25, 0.25]]),
    "logaddexp of inf": (e.logaddexp, [inf, 1.0], [1, 0], [[0, 0], [0, 0]]),
    "logaddexp, far apart": (e.logaddexp, [1000.0, -1000.0], [1, 0], [[0, 0], [0, 0]]),
    "logaddexp2 of -inf": (e.logaddexp2, [1.0, -inf], [1, 0], [[0, 0], [0, 0]]),
    "logaddexp2 of two -inf": (e.logaddexp2, [-inf, -inf], [0.5, 0.5], None),
    "tanh, saturated": (e.tanh, [1e3], [0], [[0]]),
    "sinc": (e.sinc, [0.0], [0], [[-(math.pi**2) / 3]]),
    "i0": (lambda x: e.bessel_i(x, n=0), [0.0], [0], [[0.5]]),
    "copysign": (rounding.copysign, [0.0, -1.0], [0, 0], None),
    "copysign, negative zero": (rounding.copysign, [2.0, -0.0], [-1, 0], None),
    "heaviside at 0": (rounding.heaviside, [0.0, 0.3], [0, 1], None),
    "heaviside": (rounding.heaviside, [1.0, 0.3], [0, 0], None),
    "remainder at a jump": (rounding.remainder, [6.0, 2.0], [1, -3], [[0, 0], [0, 0]]),
    "remainder, signs": (rounding.remainder, [-5.0, 3.0], [1, 2], None),
    "fmod, signs": (rounding.fmod, [-5.0, 3.0], [1, 1], None),
    "fmod of infinity": (rounding.fmod, [5.0, inf], [1, 0], None),
    "ldexp, huge": (lambda x: rounding.ldexp(x, 1023), [0.5], [2.0**1023], None),
    "mantissa": (rounding.mantissa, [12.0], [1 / 16], [[0]]),
    "mantissa of 0": (rounding.mantissa, [0.0], [1], [[0]]),
    "fraction": (rounding.fraction, [-2.0], [1], None),
    "nextafter": (rounding.nextafter, [1.0, 2.0], [1, 0], None),
}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("name", POINTS)
def test_degenerate_points(name):
    f, xs, gradient, hessian = POINTS[name]
    np.testing.assert_allclose(first(f, xs), gradient, rtol=1e-14)
    if hessian is not None:
        np.testing.assert_allclose(second(f, xs), hessian, rtol=1e-13, atol=0)


def test_complex_modulus_and_phase_at_zero():
    for op, ct in itertools.product((e.abs_, e.phase), (1.0, -2.0)):
        z = np.array([0j, 3 + 4j])

        def gradient(z, op=op, ct=ct):
            out, pullback, _ = vjp_flat(lambda z: [op(z)], [z])
            return pullback([np.full(2, ct, out[0].dtype)])

        assert gradient(z)[0][0] == 0
        dots = jvp_flat(gradient, [z], [np.ones_like(z)])[1][0]
        assert dots[0] == 0
        back = vjp_flat(gradient, [z])[1]([np.ones_like(z)])[0]
        assert back[0] == 0
        assert np.isfinite([*gradient(z)[0], *dots, *back]).all()


def test_quotients_in_slopes_are_exact():
    rng = np.random.default_rng(0)
    y = rng.uniform(0.1, 2.0, 200) * rng.choice([-1, 1], 200)
    x = y * rng.integers(-1000, 1000, 200) + rng.choice([0.0, 1e-16, -1e-16, 0.3], 200)
    for op, exact in (
        (rounding.remainder, lambda a, b, out: (Fraction(a) - Fraction(out)) / Fraction(b)),
        (rounding.fmod, lambda a, b, out: Fraction(math.trunc(Fraction(a) / Fraction(b)))),
    ):
        out, pullback, _ = vjp_flat(lambda y, op=op: [op(x, y)], [y])
        slope = pullback([np.ones(200)])[0]
        want = [-round(exact(a, b, o)) for a, b, o in zip(x.tolist(), y.tolist(), out[0].tolist(), strict=True)]
        np.testing.assert_array_equal(slope, np.array(want, float))


# ── digits ────────────────────────────────────────────────────────────────────


def test_sinc_derivatives_against_mpmath():
    mpmath = pytest.importorskip("mpmath", reason="the oracle for derivatives of sinc")
    points = [0.0, 1e-300, 1e-12, 1e-4, 0.1, 0.3183, 0.3184, 0.7, 0.95, 1.3, 1.6, 5.5, 30.25, -0.4]
    with mpmath.workdps(60):
        for n in range(6):
            got = e.sinc(np.array(points), n=n)
            want = [float(mpmath.diff(mpmath.sincpi, mpmath.mpf(x), n)) for x in points]
            np.testing.assert_allclose(got, want, rtol=1e-10, atol=2e-13 * math.pi**n, err_msg=f"n={n}")


def test_bessel_derivatives_against_mpmath():
    mpmath = pytest.importorskip("mpmath", reason="the oracle for derivatives of i0")
    for x in (0.0, 0.3, 2.5, 9.0, -4.0):
        gradient = first(lambda x: e.bessel_i(x, n=0), [x])[0]
        curvature = second(lambda x: e.bessel_i(x, n=0), [x])[0, 0]
        assert gradient == pytest.approx(float(mpmath.besseli(1, x)), rel=1e-14)
        want = float(mpmath.besseli(0, x) + mpmath.besseli(2, x)) / 2
        assert curvature == pytest.approx(want, rel=1e-14)


def test_logaddexp_keeps_its_digits():
    mpmath = pytest.importorskip("mpmath", reason="the oracle for small shares")
    for x, y in [(0.0, 40.0), (1e6, 1e6 + 0.5), (3.0, -400.0), (0.1, 0.1000001), (-700.0, 0.0)]:
        with mpmath.workdps(60):
            gap = mpmath.mpf(y) - mpmath.mpf(x)
            share, other = 1 / (1 + mpmath.exp(gap)), 1 / (1 + mpmath.exp(-gap))
            want, curvature = float(share), float(share * other)
        assert first(e.logaddexp, [x, y])[0] == pytest.approx(want, rel=1e-13, abs=0)
        assert second(e.logaddexp, [x, y])[0, 0] == pytest.approx(curvature, rel=1e-13, abs=0)


def test_logistic_share_does_not_warn():
    with np.errstate(all="raise"):
        assert e.logistic_share(np.array([1e4, -1e4, inf]), np.array([-1e4, 1e4, inf])).tolist() == [1, 0, 0.5]


UNARY = [
    e.sign, e.phase, e.abs_, e.fabs, e.positive, e.reciprocal, e.square, e.sqrt, e.cbrt, e.exp, e.exp2, e.expm1, e.log,
    e.log2, e.log10, e.log1p, e.sin, e.cos, e.tan, e.arcsin, e.arccos, e.arctan, e.sinh, e.cosh, e.tanh, e.arcsinh,
    e.arctanh, e.rad2deg, e.deg2rad, e.sinc, rounding.fraction, rounding.mantissa,
]  # fmt: skip
BINARY = [
    e.sub, e.mul, e.div, e.unscale, e.pow_, e.logaddexp, e.logaddexp2, e.logistic_share, e.hypot, e.direction, e.inversion,
    e.arctan2, select.maximum, select.minimum, select.fmax, select.fmin, rounding.remainder, rounding.fmod,
    rounding.copysign, rounding.nextafter, rounding.heaviside,
]  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("op", [*UNARY, *BINARY], ids=lambda op: op.name)
def test_narrow_dtypes_stay_narrow(op, dtype):
    xs = [np.array([0.3, 0.6], dtype), np.array([0.5, 0.25], dtype)][: 1 if op in UNARY else 2]
    outs, pullback, _ = vjp_flat(lambda *a: [op(*a)], xs)
    assert outs[0].dtype == dtype
    if not op.constant:
        assert [g.dtype for g in pullback([np.ones(2, dtype)])] == [dtype] * len(xs)
        _, dots = jvp_flat(lambda *a: [op(*a)], xs, xs)
        assert dots[0].dtype == dtype


def test_shares_with_python_numbers_are_weak():
    x = np.array([1, 2], "float32")
    assert select.larger_share(x, 1).dtype == x.dtype
    assert select.clip(x, 0, 1.5).dtype == x.dtype


def test_constants_state_their_reason():
    for op in (
        rounding.floor,
        rounding.round_,
        logic.less,
        logic.isnan,
        logic.bitwise_and,
        e.sign,
        select.larger_share,
    ):
        assert op.constant
        assert op.vjp.reason


def test_elementwise_ops_load_without_scipy():
    code = "import sys, wengert.ops.elementwise, wengert.ops.rounding; sys.exit('scipy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
