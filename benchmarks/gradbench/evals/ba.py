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
    errors = wg.vmap(reprojection_error)(cameras[of_camera], points[of_point], weights, features)
    return errors, weight_error(weights)


def jacobian(cameras, points, weights, features, of_camera, of_point):
    """Row pointers, columns and values: two rows of each observation, then one of each weight."""
    (n, of_one), (m, _), p = cameras.shape, points.shape, len(weights)
    blocks = wg.vmap(wg.jacrev(reprojection_error, argnums=(0, 1, 2)))(
        cameras[of_camera], points[of_point], weights, features
    )
    by_camera, by_point, by_weight = blocks
    values = np.concatenate([by_camera, by_point, by_weight[:, :, None]], axis=2)
    observation = np.arange(p, dtype=np.int32)
    columns = np.concatenate(
        [
            of_one * of_camera[:, None] + np.arange(of_one, dtype=np.int32),
            of_one * n + 3 * of_point[:, None] + np.arange(3, dtype=np.int32),
            (of_one * n + 3 * m + observation)[:, None],
        ],
        axis=1,
    )
    entries = columns.shape[1]
    rows = np.concatenate(
        [entries * np.arange(2 * p, dtype=np.int32), entries * 2 * p + np.arange(p + 1, dtype=np.int32)]
    )
    return (
        rows,
        np.concatenate([np.repeat(columns[:, None], 2, axis=1).ravel(), of_one * n + 3 * m + observation]),
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
