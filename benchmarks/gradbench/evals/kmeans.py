"""k-means: the sum of squared distances to the nearest centroid, and the direction of a Newton step.

The Hessian is diagonal, so its diagonal is its product with a vector of ones: forward over reverse.
"""

import numpy as np

import wengert as wg

from ..function import Function, Input


def nearest(centroids, points):
    """For each point, which centroid; |point|² is the same for all. In batches, so that no n × k array is in memory."""
    squares = np.sum(centroids**2, axis=1)
    return wg.map(lambda point: np.argmin(squares - 2 * centroids @ point), points, batch_size=100)


def cost(centroids, points):
    return np.sum((points - centroids[nearest(centroids, points)]) ** 2)


def direction(centroids, points):
    gradient, diagonal = wg.jvp(lambda c: wg.grad(cost)(c, points), (centroids,), (np.ones_like(centroids),))
    return gradient / diagonal


def prepare(input: Input):
    return np.asarray(input["centroids"], float), np.asarray(input["points"], float)


FUNCTIONS = {
    "cost": Function(prepare, wg.jit(cost)),
    "dir": Function(prepare, wg.jit(direction)),
}
