"""Calculus on samples, and polynomials."""

import numpy
import numpy.polynomial

from wengert.verify.examples import example
from wengert.verify.examples.selecting import ours

KNOTS = numpy.array([-1.5, -0.7, 0.1, 0.6, 1.6])


def increasing(rng, shape):
    """Numbers of either sign in increasing order, apart from each other."""
    steps = rng.uniform(0.3, 1.0, size=shape)
    return numpy.cumsum(steps, axis=-1) - 1.5


ANY = (-2.0, 2.0)
AWAY = (0.4, 2.0)

example("diff", lambda np, x: np.diff(x), (3, 4), complex=True)
example("diff", lambda np, x: np.diff(x, 2, axis=0), (4, 2))
example("diff", lambda np, x, y: np.diff(x, prepend=0.0, append=y), (3, 4), (3, 2), complex=True)
example("diff", lambda np, x, y: np.diff(x, axis=0, prepend=y), (3, 4), ())
example("diff", lambda np, x: np.diff(x, 0), (3,))
example("ediff1d", lambda np, x: np.ediff1d(x), (3, 4), complex=True)
example("ediff1d", lambda np, x, y: np.ediff1d(x, to_end=y, to_begin=[1, 2]), (4,), (2,))
example("gradient", lambda np, x: np.gradient(x), (5,), complex=True)
example("gradient", lambda np, x: np.gradient(x), (3, 4))
example("gradient", lambda np, x, h: np.gradient(x, h, axis=1, edge_order=2), (3, 4), (), domain=(ANY, AWAY))
example("gradient", lambda np, x, s: np.gradient(x, s), (5,), (5,), domain=(ANY, increasing))
example("gradient", lambda np, x, s: np.gradient(x, s, edge_order=2), (5,), (5,), domain=(ANY, increasing))
example(
    "gradient", lambda np, x, h, s: np.gradient(x, h, s, axis=(1, 0)), (4, 3), (), (4,), domain=(ANY, AWAY, increasing)
)
example("gradient", lambda np, x: np.gradient(x, 2.0, edge_order=2), (3,), complex=True)
example("gradient", lambda np, x: np.gradient(x), (2,))
example("unwrap", lambda np, x: np.unwrap(x), (6,), domain=(-9.0, 9.0))
example("unwrap", lambda np, x: np.unwrap(x, axis=0, period=3.0, discont=2.0), (5, 2), domain=(-9.0, 9.0))
example("unwrap", lambda np, x, p: np.unwrap(x, period=p), (6,), (), domain=((-9.0, 9.0), (3.0, 3.1)), batch=False)
example("trapezoid", lambda np, y: np.trapezoid(y), (3, 4), complex=True)
example("trapezoid", lambda np, y, x: np.trapezoid(y, x, axis=0), (4, 2), (4,))
example("trapezoid", lambda np, y, x: np.trapezoid(y, x), (3, 4), (3, 4), complex=True)
example("trapezoid", lambda np, y, h: np.trapezoid(y, dx=h), (3, 4), ())
example("interp", lambda np, x, fp: np.interp(x, KNOTS, fp), (7,), (5,))
example("interp", lambda np, x, xp, fp: np.interp(x, xp, fp), (2, 3), (5,), (5,), domain=((-2.0, 3.0), increasing, ANY))
example("interp", lambda np, x, fp, a, b: np.interp(x, KNOTS, fp, left=a, right=b), (9,), (5,), (), ())
example("interp", lambda np, x: np.interp(x, [0.1], [2.0], left=1.0), (4,))
example("interp", lambda np, fp: np.interp([0.3, -3.0, 0.6], KNOTS, fp * (1 + 2j)), (5,))
example("interp", lambda np, x, fp: np.interp(x, KNOTS[::-1], fp, period=4.0), (6,), (5,), domain=((-9.0, 9.0), ANY))
example(
    "interp",
    lambda np, x, xp, fp, p: np.interp(x, xp, fp, period=p),
    (4,), (4,), (4,), (),
    domain=((-9.0, 9.0), increasing, ANY, (4.0, 5.0)),
)  # fmt: skip

for mode in ("full", "same", "valid"):
    example("convolve", lambda np, x, y, mode=mode: np.convolve(x, y, mode), (5,), (3,), complex=True)
    example("convolve", lambda np, x, y, mode=mode: np.convolve(x, y, mode=mode), (2,), (6,))
    example("correlate", lambda np, x, y, mode=mode: np.correlate(x, y, mode), (5,), (3,), complex=True)
    example("correlate", lambda np, x, y, mode=mode: np.correlate(x, y, mode), (2,), (5,), complex=True)
    example("correlate", lambda np, x, y, mode=mode: np.correlate(x, y, mode), (3,), (6,), complex=True)
example("convolve", lambda np, x: np.convolve(x, [1, 2, 3], "same"), (4,))
example("cross", lambda np, x, y: np.cross(x, y), (4, 3), (3,), complex=True)
example("cross", lambda np, x, y: np.cross(x, y, axisa=0, axisb=1, axisc=0), (3, 4), (4, 3))
example("cross", lambda np, x, y: np.cross(x, y, axis=0), (3, 2), (3, 2))
example("linalg.cross", lambda np, x, y: np.linalg.cross(x, y), (4, 3), (3,), complex=True)
example("linalg.cross", lambda np, x, y: np.linalg.cross(x, y, axis=0), (3, 2), (3, 2))
example("kaiser", lambda np, b: ours(np, b).kaiser(7, b), (), domain=(1.0, 3.0))
example("kaiser", lambda np, b: ours(np, b).kaiser(4, b), (), domain=(1.0, 3.0))

# ── polynomials ───────────────────────────────────────────────────────────────


def near(*roots):
    """Coefficients of polynomials whose roots lie apart."""
    return lambda rng, shape: numpy.poly(roots).real + rng.uniform(-0.05, 0.05, size=shape)


example("polyval", lambda np, p, x: np.polyval(p, x), (4,), (2, 3), complex=True)
example("polyval", lambda np, p: ours(np, p).polyval([p, 2.0, p], 3), ())
example("polyval", lambda np, x: np.polyval(np.poly1d([1.0, 2.0, 3.0]).coeffs, x), (3,))
example("polyadd", lambda np, p, q: np.polyadd(p, q), (4,), (2,), complex=True)
example("polysub", lambda np, p, q: np.polysub(p, q), (2,), (4,), complex=True)
example("polymul", lambda np, p, q: np.polymul(p, q), (3,), (4,), complex=True)
example("polydiv", lambda np, p, q: np.polydiv(p, q), (5,), (3,), domain=(ANY, AWAY), complex=True)
example("polydiv", lambda np, p, q: np.polydiv(p, q), (2,), (3,), domain=(ANY, AWAY))
example("polydiv", lambda np, p, q: np.polydiv(p, q), (4,), (1,), domain=(ANY, AWAY))
example("polyder", lambda np, p: np.polyder(p), (4,), complex=True)
example("polyder", lambda np, p: np.polyder(p, 2), (5,))
example("polyint", lambda np, p: np.polyint(p), (4,), complex=True)
example("polyint", lambda np, p, k: np.polyint(p, 2, k=k), (3,), (2,))
example("polyint", lambda np, p, k: np.polyint(p, 3, k=k), (3,), ())
example("poly", lambda np, z: np.poly(z), (4,), complex=True)
example("poly", lambda np, z: np.poly(np.where([1, 0], z + 1j, z - 1j)), (1,), batch=False)
example("roots", lambda np, p: np.roots(p), (4,), domain=near(-2.0, 0.5, 1.5), batch=False)
example("roots", lambda np, p: np.roots(p), (4,), domain=near(1j, -1j, 1.5), complex=True)

FIT_X = numpy.linspace(-1.0, 2.0, 7)
example(
    "poly",
    lambda np, a: np.poly(a).real,
    (3, 3),
    domain=lambda rng, shape: numpy.diag([1.0, 2.5, -1.0]) + rng.uniform(-0.3, 0.3, size=shape),
)
example("polyfit", lambda np, y: np.polyfit(FIT_X, y, 2), (7,))
example("polyfit", lambda np, y: np.polyfit(FIT_X, y, 1), (7, 2))
example("polyfit", lambda np, x, y, w: np.polyfit(x, y, 2, w=w), (7,), (7,), (7,), domain=(increasing, ANY, AWAY))
example("polyfit", lambda np, x, y: np.polyfit(x, y, 1, cov=True), (7,), (7,), domain=(increasing, ANY))
example("polyfit", lambda np, x, y: np.polyfit(x, y, 2, cov="unscaled")[1], (7,), (7,), domain=(increasing, ANY))
