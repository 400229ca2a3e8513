"""Hand tracking: a skinned mesh posed by 26 parameters against measured points, and the Jacobian of the residuals.

A point belongs to a vertex, or, in the complicated variant, to a triangle: to the place in it that a pair u gives. A
residual depends on its own pair alone, so the Jacobian is given with the pairs' blocks one under another.
"""

from typing import NamedTuple

import numpy as np

import wengert as wg

from ..function import Function, Input

FINGERS, SEGMENTS = 5, 4


class Model(NamedTuple):
    base_relatives: np.ndarray  # (bones, 4, 4)
    inverse_base_absolutes: np.ndarray  # (bones, 4, 4)
    base_positions: np.ndarray  # (vertices, 4)
    weights: np.ndarray  # (vertices, bones)
    triangles: np.ndarray  # (triangles, 3)


def rotation_about(axis):
    """The matrix of a turn about `axis` by its length; the identity where that is tiny."""
    length = np.sqrt(np.maximum(axis @ axis, 1e-8))
    x, y, z = axis / length
    s, c = np.sin(length), np.cos(length)
    R = np.array([
        [x * x + (1 - x * x) * c, x * y * (1 - c) - z * s, x * z * (1 - c) + y * s],
        [x * y * (1 - c) + z * s, y * y + (1 - y * y) * c, y * z * (1 - c) - x * s],
        [x * z * (1 - c) - y * s, z * y * (1 - c) + x * s, z * z + (1 - z * z) * c],
    ])  # fmt: skip
    return np.where(axis @ axis < 1e-8, np.eye(3), R)


def turns(angles):
    """Euler's angles (bones, 3) as matrices (bones, 4, 4): about x, then y, then z."""
    (cx, cz, cy), (sx, sz, sy) = np.cos(angles).T, np.sin(angles).T
    R = np.zeros((len(angles), 4, 4))
    R[:, 0, 0], R[:, 0, 1], R[:, 0, 2] = cz * cy, cz * sy * sx - sz * cx, sz * sx + cz * sy * cx
    R[:, 1, 0], R[:, 1, 1], R[:, 1, 2] = sz * cy, cz * cx + sz * sy * sx, sz * sy * cx - cz * sx
    R[:, 2, 0], R[:, 2, 1], R[:, 2, 2] = -sy, cy * sx, cy * cx
    R[:, 3, 3] = 1
    return R


def finger_angles(theta, bones):
    """Four of `theta` for each finger: bend and spread of its first joint, bends of two more. The tips are rigid."""
    per_finger = theta[6:].reshape(FINGERS, SEGMENTS)
    fingers = np.zeros((FINGERS, SEGMENTS, 3))
    fingers[:, 1, 0], fingers[:, 1, 1] = per_finger[:, 0], per_finger[:, 1]
    fingers[:, 2, 0], fingers[:, 3, 0] = per_finger[:, 2], per_finger[:, 3]
    angles = np.zeros((bones, 3))
    angles[1 : 1 + FINGERS * SEGMENTS] = fingers.reshape(-1, 3)
    return angles


def generations(parents):
    """The bones without parents, their children, theirs, …"""
    found = np.flatnonzero(parents < 0)
    while len(found):
        yield found
        found = np.flatnonzero(np.isin(parents, found))


def absolute(relatives, parents):
    placed = relatives
    for bones in list(generations(parents))[1:]:
        placed = placed.copy()
        placed[bones] = placed[parents[bones]] @ relatives[bones]
    return placed


def vertices(theta, model, parents, mirrored):
    relatives = model.base_relatives @ turns(finger_angles(theta, len(parents)))
    bones = absolute(relatives, np.array(parents)) @ model.inverse_base_absolutes
    mirror = np.array([-1.0 if mirrored else 1.0, 1.0, 1.0])
    placed = (rotation_about(theta[:3]) * mirror) @ bones[:, :3]  # (bones, 3, 4)
    weighted = model.weights[:, :, None] * model.base_positions[:, None]  # (vertices, bones, 4)
    return weighted.reshape(len(weighted), -1) @ placed.transpose(0, 2, 1).reshape(-1, 3) + theta[3:6]


def on_triangle(u, corners):
    return u[0] * corners[0] + u[1] * corners[1] + (1 - u[0] - u[1]) * corners[2]


def objective(theta, us, points, correspondences, model, parents, mirrored):
    positions = vertices(theta, model, parents, mirrored)
    if us is None:
        return points - positions[correspondences]
    corners = positions[model.triangles[correspondences]]
    return points - wg.vmap(on_triangle)(us, corners)


def jacobian(theta, us, points, correspondences, model, parents, mirrored):
    by_theta = wg.jacfwd(objective)(theta, us, points, correspondences, model, parents, mirrored)
    if us is None:
        return by_theta.reshape(-1, len(theta))
    corners = vertices(theta, model, parents, mirrored)[model.triangles[correspondences]]
    by_u = wg.vmap(wg.jacfwd(lambda u, at, point: point - on_triangle(u, at)))(us, corners, points)
    return np.concatenate([by_u, by_theta], axis=2).reshape(-1, 2 + len(theta))


def prepare(input: Input):
    data, us = input["data"], input["us"]
    given = data["model"]
    floats = ("base_relatives", "inverse_base_absolutes", "base_positions", "weights")
    model = Model(*(np.asarray(given[name], float) for name in floats), np.asarray(given["triangles"], np.int32))
    return (
        np.asarray(input["theta"], float),
        np.asarray(us, float) if len(us) else None,
        np.asarray(data["points"], float),
        np.asarray(data["correspondences"], np.int32),
        model,
        tuple(given["parents"]),
        bool(given["is_mirrored"]),
    )


def flat(residuals):
    return residuals.ravel().tolist()


FUNCTIONS = {
    "objective": Function(prepare, wg.jit(objective, static_argnums=(5, 6)), flat),
    "jacobian": Function(prepare, wg.jit(jacobian, static_argnums=(5, 6))),
}
