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
    parents: np.ndarray  # (bones,), -1 for none


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
    """Euler's angles (bones, 3) as matrices (bones, 3, 3): about x, then y, then z."""
    (cx, cz, cy), (sx, sz, sy) = np.cos(angles).T, np.sin(angles).T
    R = np.array([
        [cz * cy, cz * sy * sx - sz * cx, sz * sx + cz * sy * cx],
        [sz * cy, cz * cx + sz * sy * sx, sz * sy * cx - cz * sx],
        [-sy, cy * sx, cy * cx],
    ])  # fmt: skip
    return R.transpose(2, 0, 1)


def bone_angles(theta, bones):
    """Four of `theta` for each finger: bend and spread of its first joint, bends of two more. The tips are rigid."""
    segment, axis = np.array([1, 1, 2, 3]), np.array([0, 1, 0, 0])
    angles = np.zeros((bones, 3))
    angles[1 + SEGMENTS * np.arange(FINGERS)[:, None] + segment, axis] = theta[6:].reshape(FINGERS, -1)
    return angles


def absolute(relatives, parents):
    """Each bone after its parent, which comes before it; the first has none."""

    def place(i, placed):
        placed = placed.copy()
        placed[i] = np.where(parents[i] < 0, relatives[i], placed[parents[i]] @ relatives[i])
        return placed

    return wg.fori_loop(0, len(parents), place, relatives)


def transforms(theta, model, mirrored):
    """What takes a vertex of the base pose to where each bone would have it: (bones, 3, 4), but for translation."""
    rotated = model.base_relatives[:, :, :3] @ turns(bone_angles(theta, len(model.parents)))
    relatives = np.concatenate([rotated, model.base_relatives[:, :, 3:]], axis=2)
    bones = absolute(relatives, model.parents) @ model.inverse_base_absolutes
    mirror = np.array([-1.0 if mirrored else 1.0, 1.0, 1.0])
    return (rotation_about(theta[:3]) * mirror) @ bones[:, :3]


def positions(theta, wanted, model, mirrored):
    """Of the vertices `wanted`, (3, …): all are computed first where many are wanted."""
    weights, base, many = model.weights, model.base_positions, wanted.size >= len(model.weights)
    if not many:
        weights, base = weights[wanted.ravel()], base[wanted.ravel()]
    weighted = (weights[:, :, None] * base[:, None]).reshape(len(base), -1)
    placed = transforms(theta, model, mirrored).transpose(1, 0, 2).reshape(3, -1)
    skinned = placed @ weighted.T + theta[3:6, None]
    return skinned[:, wanted] if many else skinned.reshape(3, *wanted.shape)


def on_triangle(u, corners):
    """`corners` (3 coordinates, 3 corners)"""
    return u[0] * corners[:, 0] + u[1] * corners[:, 1] + (1 - u[0] - u[1]) * corners[:, 2]


def objective(theta, us, points, correspondences, model, mirrored):
    if us is None:
        return points - positions(theta, correspondences, model, mirrored).T
    corners = positions(theta, model.triangles[correspondences], model, mirrored)
    return points - wg.vmap(on_triangle, in_axes=(0, 1))(us, corners)


def jacobian(theta, us, points, correspondences, model, mirrored):
    by_theta = wg.jacfwd(objective)(theta, us, points, correspondences, model, mirrored)
    if us is None:
        return by_theta.reshape(-1, len(theta))
    corners = positions(theta, model.triangles[correspondences], model, mirrored)
    by_u = -wg.vmap(wg.jacfwd(on_triangle), in_axes=(0, 1))(us, corners)
    return np.concatenate([by_u, by_theta], axis=2).reshape(-1, 2 + len(theta))


def prepare(input: Input):
    data, us = input["data"], input["us"]
    given = data["model"]
    floats = ("base_relatives", "inverse_base_absolutes", "base_positions", "weights")
    integers = ("triangles", "parents")
    model = Model(
        *(np.asarray(given[name], float) for name in floats), *(np.asarray(given[name], np.int32) for name in integers)
    )
    return (
        np.asarray(input["theta"], float),
        np.asarray(us, float) if len(us) else None,
        np.asarray(data["points"], float),
        np.asarray(data["correspondences"], np.int32),
        model,
        bool(given["is_mirrored"]),
    )


def flat(residuals):
    return residuals.ravel().tolist()


FUNCTIONS = {
    "objective": Function(prepare, wg.jit(objective, static_argnums=5), flat),
    "jacobian": Function(prepare, wg.jit(jacobian, static_argnums=5)),
}
