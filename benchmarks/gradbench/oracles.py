"""What each eval's derivatives must be, found without wengert: by formulas, or by steps along complex directions.

The suite's own comparison lets NaN pass, and zeros where derivatives are tiny. Here nothing that is not finite passes,
and errors are judged against the size of the terms that they come from.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from scipy.linalg import expm
from scipy.spatial import cKDTree
from scipy.special import multigammaln

Array = Any  # of real or of complex numbers
Input = Mapping[str, Any]
STEP = 1e-30  # along the imaginary axis: no cancellation, so the slope is exact to rounding


class Wrong(Exception):
    """An output that is not the right one. The message says where and by how much."""


def near(mine: Any, right: Any, what: str, tolerance: float = 1e-9, size: Any = None) -> None:
    """Every entry within `tolerance` of `size`, by default of the entry itself or, if that is more, 1e-6 of the largest."""
    mine, right = np.asarray(mine, float), np.asarray(right, float)
    if mine.shape != right.shape:
        raise Wrong(f"{what} has shape {mine.shape}, where {right.shape} is right")
    if not np.all(np.isfinite(mine)):
        raise Wrong(f"{what} has entries that are not finite")
    if not mine.size:
        return
    if size is None:
        size = np.maximum(np.abs(right), 1e-6 * np.max(np.abs(right)))
    excess = np.abs(mine - right) - tolerance * size
    if np.any(excess > 0):
        worst = np.unravel_index(np.argmax(excess), mine.shape)
        raise Wrong(f"{what}{[int(i) for i in worst]} is {mine[worst]!r}, where {right[worst]!r} is right")


def directions(parameters: Sequence[Array], each: int = 2) -> list[list[Array]]:
    """Random directions: some along every parameter alone, and one along all of them."""
    rng = np.random.default_rng(5)
    zero = [np.zeros_like(p) for p in parameters]
    alone = [
        [*zero[:i], rng.normal(size=p.shape), *zero[i + 1 :]] for i, p in enumerate(parameters) for _ in range(each)
    ]
    return [*alone, [rng.normal(size=p.shape) for p in parameters]]


def along(f: Callable[..., Any], parameters: Sequence[Array], gradient: Sequence[Any], what: str) -> None:
    """`gradient` against slopes of the scalar `f(*parameters)` along random directions."""
    gradient = [np.asarray(g, float).reshape(p.shape) for g, p in zip(gradient, parameters, strict=True)]
    if not all(np.all(np.isfinite(g)) for g in gradient):
        raise Wrong(f"{what} has entries that are not finite")
    for direction in directions(parameters):
        slope = f(*(p + 1j * STEP * d for p, d in zip(parameters, direction, strict=True))).imag / STEP
        terms = [g * d for g, d in zip(gradient, direction, strict=True)]
        size = sum(float(np.sum(np.abs(t))) for t in terms)
        near(sum(float(np.sum(t)) for t in terms), slope, f"{what} along a direction", size=size or abs(slope))


def logsumexp(x: Array) -> Array:
    largest = np.max(x.real, axis=-1, keepdims=True)
    return np.log(np.sum(np.exp(x - largest), axis=-1)) + largest[..., 0]


# ── hello, det, kmeans, llsq, lse ─────────────────────────────────────────────


def hello(function: str, input: Any, output: Any) -> None:
    near(output, 2 * input if function == "double" else input**2, "the result", 1e-15)


def det(function: str, input: Input, output: Any) -> None:
    n = input["ell"]
    A = np.asarray(input["A"]).reshape(n, n)
    value = np.linalg.det(A)
    right = value if function == "primal" else (value * np.linalg.inv(A).T).ravel()
    near(output, right, "the result", 1e-9, size=np.max(np.abs(right)))


def kmeans(function: str, input: Input, output: Any) -> None:
    points, centroids = np.asarray(input["points"]), np.asarray(input["centroids"])
    distance, nearest = cKDTree(centroids).query(points)
    if function == "cost":
        return near(output, np.sum(distance**2), "the cost", 1e-11)
    means = [points[nearest == j].mean(axis=0) for j in range(len(centroids))]
    near(output, centroids - np.array(means), "the direction", 1e-9, size=1.0)


def llsq(function: str, input: Input, output: Any) -> None:
    x, n = np.asarray(input["x"], np.longdouble), input["n"]
    t = -1 + np.arange(n, dtype=np.longdouble) * 2 / (n - 1)
    powers = np.vander(t, len(x), increasing=True)
    residuals = powers @ x - np.sign(t)
    if function == "primal":
        return near(output, np.sum(residuals**2) / 2, "the loss", 1e-11)
    near(output, residuals @ powers, "the gradient", 1e-11, size=np.abs(residuals) @ np.abs(powers))


def lse(function: str, input: Input, output: Any) -> None:
    x = np.asarray(input["x"], np.longdouble)
    shares = np.exp(x - np.max(x))
    total = np.sum(shares)
    if function == "primal":
        return near(output, np.log(total) + np.max(x), "the value", 1e-14)
    # Through the maximum, one entry is a difference of two numbers near 1.
    near(output, shares / total, "the gradient", 1.0, size=1e-12 * shares / total + 1e-15)


# ── ba ────────────────────────────────────────────────────────────────────────


def reprojection(parameters: Array, feature: Array) -> Array:
    """Parameters: camera, point, weight. The rotation is the exponential of a matrix, not Rodrigues' formula."""
    rotation, centre, focal, principal, radial, x, weight = np.split(parameters, [3, 6, 7, 9, 11, 14])
    a, b, c = rotation
    seen = expm(np.array([[0, -c, b], [c, 0, -a], [-b, a, 0]])) @ (x - centre)
    flat = seen[:2] / seen[2]
    square = np.sum(flat**2)
    return weight * (flat * (1 + radial[0] * square + radial[1] * square**2) * focal + principal - feature)


def ba(function: str, input: Input, output: Any) -> None:
    n, m, p = input["n"], input["m"], input["p"]
    parameters, feature = np.array([*input["cam"], *input["x"], input["w"]], complex), np.array(input["feat"])
    if function == "objective":
        near(output["reproj_error"]["elements"], reprojection(parameters, feature).real, "reproj_error", 1e-11)
        near(output["w_err"]["element"], 1 - input["w"] ** 2, "w_err", 1e-14, size=1.0)
        if output["reproj_error"]["repeated"] != p or output["w_err"]["repeated"] != p:
            raise Wrong("the numbers of repetitions are not those of the observations")
        return
    columns = [reprojection(parameters + 1j * STEP * e, feature).imag / STEP for e in np.eye(15)]
    near(output["vals"], [*np.array(columns).T.ravel(), -2 * input["w"]], "vals", 1e-9)
    first = [*range(11), *range(11 * n, 11 * n + 3), 11 * n + 3 * m]
    near(output["cols"], [*first, *first, 11 * n + 3 * m + p - 1], "cols", 0)
    near(
        output["rows"],
        [*([15 * i for i in range(2 * p + 1)] + [30 * p + i for i in range(1, p)])[:30], 31 * p],
        "rows",
        0,
    )


# ── gmm, ht, lstm ─────────────────────────────────────────────────────────────


def gmm(function: str, input: Input, output: Any) -> None:
    d, k, m, gamma = input["d"], input["k"], input["m"], input["gamma"]
    x = np.asarray(input["x"])
    names = ("alpha", "mu", "q", "l")
    parameters = [np.asarray(input[name], float) for name in names]
    lower = [(i, j) for j in range(d) for i in range(j + 1, d)]

    def posterior(alpha: Array, mu: Array, q: Array, below: Array) -> Any:
        beta, frobenius = [], 0.0
        for c in range(k):
            Q = np.diag(np.exp(q[c]))
            for value, place in zip(below[c], lower, strict=True):
                Q[place] = value
            beta.append(alpha[c] + np.sum(q[c]) - np.sum(((x - mu[c]) @ Q.T) ** 2, axis=1) / 2)
            frobenius = frobenius + np.sum(Q**2)
        likelihood = np.sum(logsumexp(np.stack(beta, axis=1))) - len(x) * (logsumexp(alpha) + d / 2 * np.log(2 * np.pi))
        freedom = d + m + 1
        constant = freedom * d * np.log(gamma / np.sqrt(2)) - multigammaln(freedom / 2, d)
        return likelihood + k * constant - gamma**2 / 2 * frobenius + m * np.sum(q)

    if function == "objective":
        return near(output, posterior(*parameters), "the value", 1e-12)
    along(posterior, parameters, [output[name] for name in names], "the gradient")


def ht_residuals(input: Input, theta: Array, us: Array) -> Array:
    model = input["data"]["model"]
    base = np.asarray(model["base_positions"])[:, :4]

    def axis_angle(v: Array) -> Array:
        return expm(np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]]))

    absolutes: list[Array] = []
    positions: Any = 0.0
    for bone, parent in enumerate(model["parents"]):
        turn = np.eye(4, dtype=complex)
        finger, segment = divmod(bone - 1, 4)
        if 0 <= finger < 5 and segment:
            own = theta[6 + 4 * finger : 10 + 4 * finger]
            spread, bend = (own[1], own[0]) if segment == 1 else (0.0, own[segment])
            turn[:3, :3] = axis_angle(np.array([0, 0, spread])) @ axis_angle(np.array([bend, 0, 0]))
        relative = np.asarray(model["base_relatives"][bone]) @ turn
        absolutes.append(relative if parent < 0 else absolutes[parent] @ relative)
        transform = absolutes[bone] @ np.asarray(model["inverse_base_absolutes"][bone])
        positions = positions + np.asarray(model["weights"])[:, bone, None] * (base @ transform.T)[:, :3]
    if model["is_mirrored"]:
        positions = positions * [-1, 1, 1]
    positions = positions @ axis_angle(theta[:3]).T + theta[3:6]
    points, which = np.asarray(input["data"]["points"]), np.asarray(input["data"]["correspondences"])
    if not len(us):
        return points - positions[which]
    corners = positions[np.asarray(model["triangles"])[which]]
    shares = np.stack([us[:, 0], us[:, 1], 1 - us[:, 0] - us[:, 1]], axis=1)
    return points - np.sum(shares[:, :, None] * corners, axis=1)


def ht(function: str, input: Input, output: Any) -> None:
    theta, us = np.asarray(input["theta"], float), np.asarray(input["us"], float)
    if function == "objective":
        return near(output, ht_residuals(input, theta, us).real.ravel(), "the residuals", 1e-9, size=1.0)
    output, pairs = np.asarray(output, float), 2 if len(us) else 0
    if output.shape != (3 * len(input["data"]["correspondences"]), pairs + len(theta)):
        raise Wrong(f"the Jacobian has shape {output.shape}")
    for direction in directions([theta], each=3)[:3]:
        slope = ht_residuals(input, theta + 1j * STEP * direction[0], us).imag.ravel() / STEP
        size = np.abs(output[:, pairs:]) @ np.abs(direction[0]) + np.max(np.abs(slope))
        near(output[:, pairs:] @ direction[0], slope, "the Jacobian along a direction", 1e-9, size=size)
    for i in range(pairs):
        column = ht_residuals(input, theta, us + 1j * STEP * np.eye(2)[i]).imag.ravel() / STEP
        near(output[:, i], column, f"column {i} of the Jacobian", 1e-9, size=1.0)


def lstm(function: str, input: Input, output: Any) -> None:
    main, extra = np.asarray(input["main_params"]), np.asarray(input["extra_params"])
    sequence, state = np.asarray(input["sequence"]), np.asarray(input["state"])
    bits = extra.shape[1]

    def loss(main: Array, extra: Array) -> Any:
        total: Any = 0.0
        hidden, cell = list(state[0::2]), list(state[1::2])
        weights, biases = main[0::2].reshape(-1, 4, bits), main[1::2].reshape(-1, 4, bits)
        for now, following in pairwise(sequence):
            x = now * extra[0]
            for i, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
                before = np.stack([x, hidden[i], x, hidden[i]]) * weight + bias
                forget, ingate, outgate = 1 / (1 + np.exp(-before[:3]))
                cell[i] = cell[i] * forget + ingate * np.tanh(before[3])
                x = hidden[i] = outgate * np.tanh(cell[i])
            predicted = x * extra[1] + extra[2]
            total = total + np.sum(following * (predicted - np.log(np.sum(np.exp(predicted)) + 2)))
        return -total / (bits * (len(sequence) - 1))

    if function == "objective":
        return near(output, loss(main, extra), "the loss", 1e-11)
    output = np.asarray(output, float)
    along(loss, [main, extra], [output[: main.size], output[main.size :]], "the gradient")


# ── ode, particle, saddle ─────────────────────────────────────────────────────


def ode(function: str, input: Input, output: Any) -> None:
    """Of many components the last is zero after few steps, and so is its gradient: `near` then wants zeros."""
    x, s = np.asarray(input["x"], float), input["s"]
    h = 2.0 / s

    def solution(x: Array) -> Array:
        def slope(y: Array) -> Array:
            return x * np.concatenate([[1.0], y[:-1]])

        y = np.zeros_like(x)
        for _ in range(s):
            k1 = slope(y)
            k2 = slope(y + h / 2 * k1)
            k3 = slope(y + h / 2 * k2)
            y = y + h / 6 * (k1 + 2 * k2 + 2 * k3 + slope(y + h * k3))
        return y

    if function == "primal":
        return near(output, solution(x), "the solution", 1e-11)
    output = np.asarray(output, float)
    along(lambda x: solution(x)[-1], [x], [output], "the gradient")
    if 4 * s < len(x):
        near(output, np.zeros_like(x), "the gradient", 0)


def descended(f: Callable[[Array], float], gradient: Callable[[Array], Array], x: Array) -> Array:
    """The suite's descent, in plain Python."""
    fx, gx, eta, good = f(x), gradient(x), 1e-5, 0
    while np.linalg.norm(gx) > 1e-5:
        if good == 10:
            eta, good = eta * 2, 0
            continue
        ahead = x - eta * gx
        if np.linalg.norm(x - ahead) <= 1e-5:
            break
        value = f(ahead)
        if value < fx:
            x, fx, gx, good = ahead, value, gradient(ahead), good + 1
        else:
            eta, good = eta / 2, 0
    return x


def fall(w: complex) -> complex:
    """Where a particle lands, squared. The force is written out."""
    charges = ((10.0, 10.0 - w), (10.0, 0.0))
    x, y, vx, vy = 0j, 8 + 0j, 0.75 + 0j, 0j
    while True:
        terms = [((x - a), (y - b), ((x - a) ** 2 + (y - b) ** 2) ** -1.5) for a, b in charges]
        x, y = x + 0.1 * vx, y + 0.1 * vy
        if y.real <= 0:
            return (x - y / vy * vx) ** 2
        vx, vy = vx + 0.1 * sum(p * r for p, _, r in terms), vy + 0.1 * sum(q * r for _, q, r in terms)


def particle(function: str, input: Input, output: Any) -> None:
    def slope(w: Array) -> Array:
        return np.array([fall(w[0] + 1j * STEP).imag / STEP])

    right = descended(lambda w: fall(w[0]).real, slope, np.array([float(input["w"])]))
    near(output, right[0], "w", 1e-9)


def saddle(function: str, input: Input, output: Any) -> None:
    """The inner search starts at the same place wherever x is, and what it finds adds nothing to the outer gradient, 2 x."""
    start = np.asarray(input["start"], float)
    y = descended(lambda y: y @ y, lambda y: 2 * y, start)
    x = descended(lambda x: x @ x - y @ y, lambda x: 2 * x, start)
    near(output, np.concatenate([x, y]), "the point", 1e-6)


ORACLES: dict[str, Callable[[str, Any, Any], None]] = {
    f.__name__: f for f in (hello, ba, det, gmm, ht, kmeans, llsq, lse, lstm, ode, particle, saddle)
}


def check(eval: str, function: str, input: Any, output: Any) -> None:
    """Raises Wrong where `output` is not what `function` of `eval` gives for `input`."""
    ORACLES[eval](function, input, output)
