"""k-means: the sum of squared distances to the nearest centroid, and the direction of a Newton step.

The Hessian is diagonal, so its diagonal is its product with a vector of ones: forward over reverse.
"""

import numpy as np

import wengert as wg

from ..function import Function, Input


def cost(centroids, points):
    apart = np.sum(centroids**2, axis=1) - 2 * points @ centroids.T  # but for |points|², which is the same for all
    nearest = np.argmin(apart, axis=1)
    return np.sum((points - centroids[nearest]) ** 2)


def direction(centroids, points):
    gradient, diagonal = wg.jvp(lambda c: wg.grad(cost)(c, points), (centroids,), (np.ones_like(centroids),))
    return gradient / diagonal


def prepare(input: Input):
    return np.asarray(input["centroids"], float), np.asarray(input["points"], float)


FUNCTIONS = {
    "cost": Function(prepare, wg.jit(cost)),
    "dir": Function(prepare, wg.jit(direction)),
}
