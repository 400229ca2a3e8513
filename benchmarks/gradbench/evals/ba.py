"""Bundle adjustment: reprojection errors of observed points, and their Jacobian as a sparse matrix by rows.

An observation depends on one camera (rotation, centre, focal length, principal point, two coefficients of radial
distortion), one point and one weight, so a row has 15 entries.
"""

import numpy as np

import wengert as wg

from ..function import Function, Input


def rotated(rotation, x):
    """Rodrigues' formula: x turned about the axis `rotation` by its length; to first order where that is zero."""
    square = rotation @ rotation
    turns = square != 0
    angle = np.sqrt(np.where(turns, square, 1.0))
    axis = rotation / angle
    turned = x * np.cos(angle) + np.cross(axis, x) * np.sin(angle) + axis * (axis @ x) * (1 - np.cos(angle))
    return np.where(turns, turned, x + np.cross(rotation, x))


def projection(camera, x):
    rotation, centre, focal, principal, radial = camera[:3], camera[3:6], camera[6], camera[7:9], camera[9:11]
    seen = rotated(rotation, x - centre)
    flat = seen[:2] / seen[2]
    square = flat @ flat
    return flat * (1 + radial[0] * square + radial[1] * square**2) * focal + principal


def reprojection_error(camera, x, weight, feature):
    return weight * (projection(camera, x) - feature)


def weight_error(weight):
    return 1 - weight**2


def objective(cameras, points, weights, features, of_camera, of_point):
    def errors(camera, point, weight, feature):
        return reprojection_error(cameras[camera], points[point], weight, feature)

    return wg.vmap(errors)(of_camera, of_point, weights, features), weight_error(weights)


def jacobian(cameras, points, weights, features, of_camera, of_point):
    """Row pointers, columns and values: two rows of each observation, then one of each weight."""
    (n, of_one), m, p = cameras.shape, len(points), len(weights)
    of_weight = of_one * n + 3 * m + np.arange(p, dtype=np.int32)

    def entries(camera, point, weight, feature, column):
        given = cameras[camera], points[point], weight, feature
        by_camera, by_point, by_weight = wg.jacrev(reprojection_error, argnums=(0, 1, 2))(*given)
        columns = np.concatenate([
            of_one * camera + np.arange(of_one, dtype=np.int32),
            of_one * n + 3 * point + np.arange(3, dtype=np.int32),
            column[None],
        ])  # fmt: skip
        return np.array([columns, columns]), np.concatenate([by_camera, by_point, by_weight[:, None]], axis=1)

    columns, values = wg.vmap(entries)(of_camera, of_point, weights, features, of_weight)
    each = columns.shape[2]
    starts = each * np.arange(2 * p, dtype=np.int32), 2 * each * p + np.arange(p + 1, dtype=np.int32)
    return (
        np.concatenate(starts),
        np.concatenate([columns.ravel(), of_weight]),
        np.concatenate([values.ravel(), wg.vmap(wg.grad(weight_error))(weights)]),
    )


def prepare(input: Input):
    n, m, p = input["n"], input["m"], input["p"]
    return (
        np.tile(np.asarray(input["cam"], float), (n, 1)),
        np.tile(np.asarray(input["x"], float), (m, 1)),
        np.full(p, float(input["w"])),
        np.tile(np.asarray(input["feat"], float), (p, 1)),
        np.arange(p, dtype=np.int32) % np.int32(n),
        np.arange(p, dtype=np.int32) % np.int32(m),
    )


def errors_answer(result):
    """The observations are copies of one, so the suite wants one of them, and their number."""
    errors, weight_errors = result
    return {
        "reproj_error": {"elements": errors[0].tolist(), "repeated": len(errors)},
        "w_err": {"element": float(weight_errors[0]), "repeated": len(weight_errors)},
    }


def jacobian_answer(result):
    """The first observation's 30 entries, and the last entry of all."""
    return {
        name: [*part[:30].tolist(), part[-1].item()]
        for name, part in zip(("rows", "cols", "vals"), result, strict=True)
    }


FUNCTIONS = {
    "objective": Function(prepare, wg.jit(objective), errors_answer),
    "jacobian": Function(prepare, wg.jit(jacobian), jacobian_answer),
}
