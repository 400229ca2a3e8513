"""Tell two intertwined spirals apart with a small network from `wengert.nn`, trained by Adam in plain NumPy.

Parameters are a dict of arrays: any pytree will do. `wengert.nn` has functions and no layers, so the
network is a function and its state is yours.
"""

import numpy as np

import wengert as wg
from wengert import nn


def spirals(rng, n):
    """`n` points on each of two spirals, and their labels."""
    radius = np.sqrt(rng.uniform(0.02, 1.0, size=n))
    angle = 3.0 * np.pi * radius
    arm = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    points = np.concatenate([arm, -arm]) + 0.02 * rng.normal(size=(2 * n, 2))
    return points, np.repeat([0, 1], n)


def initial(rng, width):
    return {
        "w1": rng.normal(size=(2, width)), "b1": np.zeros(width),
        "w2": rng.normal(size=(width, width)) * np.sqrt(2 / width), "b2": np.zeros(width),
        "w3": rng.normal(size=(width, 2)) * np.sqrt(1 / width), "b3": np.zeros(2),
    }  # fmt: skip


def logits(p, x):
    h = nn.gelu(4.0 * x @ p["w1"] + p["b1"])
    h = nn.layer_norm(h @ p["w2"] + p["b2"], h.shape[-1:])
    return nn.silu(h) @ p["w3"] + p["b3"]


def loss(p, x, labels):
    return nn.cross_entropy(logits(p, x), labels) + 1e-4 * sum(np.sum(w**2) for w in p.values())


def accuracy(p, x, labels):
    return np.mean(np.argmax(logits(p, x), axis=1) == labels)


def main():
    rng = np.random.default_rng(0)
    x, labels = spirals(rng, 200)
    x_test, labels_test = spirals(rng, 500)
    p = initial(rng, 32)
    value_and_grad = wg.value_and_grad(loss)

    gradient = value_and_grad(p, x, labels)[1]
    direction = {k: rng.normal(size=w.shape) for k, w in p.items()}
    ahead, behind = ({k: w + s * direction[k] for k, w in p.items()} for s in (1e-6, -1e-6))
    differences = (loss(ahead, x, labels) - loss(behind, x, labels)) / 2e-6
    exact = sum(np.sum(gradient[k] * direction[k]) for k in p)
    print(f"directional derivative {exact:.8f}, central differences {differences:.8f}")
    assert abs(exact - differences) < 1e-6 * abs(exact)

    mean, square = ({k: np.zeros_like(w) for k, w in p.items()} for _ in range(2))
    for step in range(1, 201):
        value, gradient = value_and_grad(p, x, labels)
        for k, g in gradient.items():  # Kingma & Ba (2015)
            mean[k] = 0.9 * mean[k] + 0.1 * g
            square[k] = 0.99 * square[k] + 0.01 * g**2
            p[k] -= 0.01 * mean[k] / (1 - 0.9**step) / (np.sqrt(square[k] / (1 - 0.99**step)) + 1e-8)
        if step % 50 == 0:
            print(f"step {step}: loss {value:.4f}, test accuracy {accuracy(p, x_test, labels_test):.1%}")
    assert accuracy(p, x_test, labels_test) > 0.95


if __name__ == "__main__":
    main()
