"""Robust logistic regression: clip the gradient of each example before averaging.

A few wildly wrong examples can dominate a mean of gradients. Clipping each example's own gradient bounds what
any one of them can do (with noise added, this is differentially private training, Abadi et al. 2016).
`per_example_grad` gives all of them in one vectorised run; a loop over the examples is the check, and the clock.
"""

import time

import numpy as np

import wengert as wg


def loss(p, x, label):
    """Logistic loss of one example; label is +1 or -1."""
    margin = label * (x @ p["w"] + p["b"])
    return np.logaddexp(0.0, -margin)


def descend(x, labels, bound, steps=300, rate=2.0):
    gradients_of = wg.per_example_grad(loss)
    p = {"w": np.zeros(x.shape[1]), "b": 0.0}
    for _ in range(steps):
        g = gradients_of(p, x, labels)
        norms = np.sqrt(np.sum(g["w"] ** 2, axis=1) + g["b"] ** 2)
        factor = np.minimum(1.0, bound / np.maximum(norms, 1e-300))
        p = {
            "w": p["w"] - rate * np.mean(factor[:, None] * g["w"], axis=0),
            "b": p["b"] - rate * np.mean(factor * g["b"]),
        }
    return p


def main():
    rng = np.random.default_rng(0)
    n, d = 400, 20
    true = rng.normal(size=d) / np.sqrt(d)
    x = rng.normal(size=(n, d))
    labels = np.where(x @ true + 0.1 * rng.normal(size=n) > 0, 1.0, -1.0)
    x[:20] *= 30.0  # outliers: huge, and labelled at random
    labels[:20] = rng.choice([-1.0, 1.0], size=20)

    p = {"w": rng.normal(size=d), "b": 0.1}
    gradients_of, gradient = wg.per_example_grad(loss), wg.grad(loss)
    start = time.perf_counter()
    together = gradients_of(p, x, labels)
    batched = time.perf_counter() - start
    start = time.perf_counter()
    one_by_one = np.stack([gradient(p, x[i], labels[i])["w"] for i in range(n)])
    looped = time.perf_counter() - start
    error = np.abs(together["w"] - one_by_one).max()
    print(
        f"{n} gradients: {batched * 1e3:.1f} ms at once, {looped * 1e3:.1f} ms in a loop, largest deviation {error:.1e}"
    )
    assert error < 1e-12

    i, h = 7, 1e-6
    ahead, behind = ({"w": p["w"] + s * true, "b": p["b"]} for s in (h, -h))
    differences = (loss(ahead, x[i], labels[i]) - loss(behind, x[i], labels[i])) / (2 * h)
    print(
        f"example {i}: derivative along the true weights {together['w'][i] @ true:.8f}, differences {differences:.8f}"
    )
    assert abs(together["w"][i] @ true - differences) < 1e-7

    cosines = {}
    for name, bound in (("plain mean", np.inf), ("clipped to 0.5", 0.5)):
        w = descend(x, labels, bound)["w"]
        cosines[name] = w @ true / np.linalg.norm(w) / np.linalg.norm(true)
        print(f"{name:15s} cosine with the true weights {cosines[name]:.3f}")
    assert cosines["clipped to 0.5"] > cosines["plain mean"]


if __name__ == "__main__":
    main()
