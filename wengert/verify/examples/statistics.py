"""Averages, medians, quantiles, covariance, histograms."""

import numpy

from wengert.ops.sort import CONTINUOUS
from wengert.verify.examples import example

MASK = numpy.array([[True, False, True, True], [True, True, False, True], [False, True, True, True]])
HOLES = numpy.where(MASK, 0.0, numpy.nan)
WEIGHTS = numpy.array([[1.0, 0.0, 2.0, 0.5], [0.3, 1.5, 2.0, 1.0], [1.0, 1.0, 0.2, 3.0]])
QS = numpy.array([0.0, 0.15, 0.5, 0.83, 1.0])
UNIT = (0.0, 1.0)
POSITIVE = (0.3, 2.0)
PLANE = (-2.0, 2.0)


def between(method):
    """Quantiles of five elements, away from where the slope in q jumps."""
    alpha, beta = CONTINUOUS[method]
    return lambda rng, shape: (
        (rng.integers(0, 4, shape) + rng.uniform(0.2, 0.8, shape) + 1 - alpha) / (6 - alpha - beta)
    )


# ── average ───────────────────────────────────────────────────────────────────

example("average", lambda np, x: np.average(x), (3, 4), complex=True)
example("average", lambda np, x: np.average(x, axis=1, returned=True), (3, 4), complex=True)
example("average", lambda np, x, w: np.average(x, weights=w), (3, 4), (3, 4), domain=(PLANE, POSITIVE), complex=True)
example(
    "average",
    lambda np, x, w: np.average(x, axis=-1, weights=w, returned=True),
    (3, 4),
    (4,),
    domain=(PLANE, POSITIVE),
)
example(
    "average",
    lambda np, x, w: np.average(x, axis=(2, 0), weights=w, returned=True, keepdims=True),
    (2, 3, 4),
    (4, 2),
    domain=(PLANE, POSITIVE),
)

# ── medians, quantiles ────────────────────────────────────────────────────────

example("median", lambda np, x: np.median(x), (5,))
example("median", lambda np, x: np.median(x), (3, 4))
example("median", lambda np, x: np.median(x, axis=1, keepdims=True), (3, 4))
example("median", lambda np, x: np.median(x, axis=(0, -1), overwrite_input=False), (3, 2, 3))
example("nanmedian", lambda np, x: np.nanmedian(x + HOLES), (3, 4))
example("nanmedian", lambda np, x: np.nanmedian(x + HOLES, axis=0), (3, 4))
example("nanmedian", lambda np, x: np.nanmedian(x + HOLES, axis=(0, 1), keepdims=True), (3, 4))

JUMPING = ["inverted_cdf", "averaged_inverted_cdf", "closest_observation", "lower", "higher", "midpoint", "nearest"]
for _method in CONTINUOUS:
    example(
        "quantile",
        lambda np, x, q, m=_method: np.quantile(x, q, axis=1, method=m),
        (3, 5),
        (4,),
        domain=(PLANE, between(_method)),
    )
    example("quantile", lambda np, x, m=_method: np.quantile(x, QS, axis=0, method=m, keepdims=True), (6, 2))
    example(
        "nanquantile",
        lambda np, x, q, m=_method: np.nanquantile(x + HOLES, q, axis=1, method=m),
        (3, 4),
        (),
        domain=(PLANE, UNIT),
    )
for _method in JUMPING:
    example("quantile", lambda np, x, m=_method: np.quantile(x, QS, axis=-1, method=m), (3, 5))
    example(
        "quantile",
        lambda np, x, q, m=_method: np.quantile(x, q, method=m),
        (3, 5),
        (2,),
        domain=(PLANE, UNIT),
        diff=(0,),
    )
    example("nanquantile", lambda np, x, m=_method: np.nanquantile(x + HOLES, QS, axis=0, method=m), (3, 4))
example("quantile", lambda np, x: np.quantile(x, 0.3), (4, 5))
example("quantile", lambda np, x: np.quantile(x, [0.3, 0.9], axis=(0, 2), keepdims=True), (2, 3, 4))
example("quantile", lambda np, x: np.quantile(x, QS.reshape(1, 5), axis=1), (3, 4))
example("percentile", lambda np, x, q: np.percentile(x, q), (7,), (), domain=(PLANE, (0.0, 100.0)))
example("percentile", lambda np, x: np.percentile(x, [10, 50, 99], axis=0), (4, 3))
example("nanpercentile", lambda np, x: np.nanpercentile(x + HOLES, 40), (3, 4))
example("nanpercentile", lambda np, x: np.nanpercentile(x + HOLES, [10, 95], axis=1, keepdims=True), (3, 4))
for _name, _top in (("quantile", 1.0), ("percentile", 100.0)):
    example(
        _name,
        lambda np, x, f=_name, t=_top: getattr(np, f)(x, QS * t, axis=1, weights=WEIGHTS, method="inverted_cdf"),
        (3, 4),
    )
    example(
        f"nan{_name}",
        lambda np, x, f=_name, t=_top: getattr(np, f"nan{f}")(
            x + HOLES, QS * t, axis=0, weights=WEIGHTS + 0.1, method="inverted_cdf"
        ),
        (3, 4),
    )

# ── covariance ────────────────────────────────────────────────────────────────

example("cov", lambda np, x: np.cov(x), (3, 5), complex=True)
example("cov", lambda np, x: np.cov(x), (5,), complex=True)
example("cov", lambda np, x, y: np.cov(x, y, ddof=0), (5,), (5,), complex=True)
example("cov", lambda np, x, y: np.cov(x, y, rowvar=False, bias=True), (5, 2), (5, 1))
example("cov", lambda np, x, w: np.cov(x, aweights=w), (2, 5), (5,), domain=(PLANE, POSITIVE))
example(
    "cov",
    lambda np, x, w: np.cov(x, aweights=w, fweights=[1, 2, 1, 3, 1], ddof=0),
    (2, 5),
    (5,),
    domain=(PLANE, POSITIVE),
)
example("cov", lambda np, x: np.cov(x, fweights=[1, 2, 1, 3, 1]), (2, 5))
example("corrcoef", lambda np, x: np.corrcoef(x), (3, 5), complex=True)
example("corrcoef", lambda np, x, y: np.corrcoef(x, y), (5,), (5,))
example("corrcoef", lambda np, x: np.corrcoef(x, rowvar=False), (5, 2))
