"""Histograms: counts, weights, edges."""

import numpy

from wengert.verify.examples import example

PLACES = numpy.array([0, 2, 1, 2, 5])
EDGES = numpy.array([-1.5, -0.2, 0.1, 1.0])

example("bincount", lambda np, w: np.bincount(PLACES, weights=w), (5,))
example("bincount", lambda np, w: np.bincount(PLACES, w, minlength=9), (5,))
example("histogram_bin_edges", lambda np, x: np.histogram_bin_edges(x, 4), (12,))
example("histogram_bin_edges", lambda np, x: np.histogram_bin_edges(x, "sturges"), (12,), batch=False)
example("histogram_bin_edges", lambda np, x: np.histogram_bin_edges(x * 0 + 1, 2), (3,))
example("histogram", lambda np, x: np.histogram(x, 4, density=True), (12,))
example("histogram", lambda np, x, w: np.histogram(x, 4, weights=w), (12,), (12,))
example("histogram", lambda np, x, w: np.histogram(x, EDGES, weights=w), (12,), (12,), complex=False)
example(
    "histogram", lambda np, w: np.histogram(numpy.linspace(-1, 1, 8), 3, range=(-1, 0.5), weights=w), (8,), complex=True
)
example(
    "histogram",
    lambda np, x, w: np.histogram(x, EDGES, weights=w, density=True),
    (12,),
    (12,),
    domain=((-1, 1), (0.3, 2)),
)
example("histogram", lambda np, x: np.histogram(x, "auto"), (12,), batch=False)
example("histogram2d", lambda np, x, y, w: np.histogram2d(x, y, (3, EDGES), weights=w), (12,), (12,), (12,))
example("histogram2d", lambda np, x, y: np.histogram2d(x, y, 3, density=True), (12,), (12,))
example("histogram2d", lambda np, x, y: np.histogram2d(x, y, EDGES, density=True), (12,), (12,), domain=(-1.0, 1.0))
example("histogramdd", lambda np, s: np.histogramdd(s, (2, 3, 2), range=[(-2, 2), None, (-1, 1)]), (12, 3))
example(
    "histogramdd",
    lambda np, s, w: np.histogramdd(s, 2, weights=w, density=True),
    (12, 3),
    (12,),
    domain=((-2.0, 2.0), (0.3, 2.0)),
)
