"""Train a deep network within a budget of memory: predict what a step holds, bound it, and see what that costs.

The network is plain NumPy. `wg.jit(..., memory_budget=)` chooses what is kept for the backward pass and what is computed again;
the measured peak obeys. `wg.profile` predicts, measures and compares.
"""

import numpy as np

import wengert as wg

DEPTH, WIDTH, BATCH = 16, 96, 1024


def loss(weights, x, y):
    h = x
    for w in weights:
        h = np.tanh(h @ w)
    return np.mean((h - y) ** 2)


def train(step, weights, x, y, steps):
    for _ in range(steps):
        value, gradient = step(weights, x, y)
        weights = [w - 0.5 * g for w, g in zip(weights, gradient, strict=True)]
    print(f"loss {value:.4f} after {steps} steps")


def main():
    rng = np.random.default_rng(0)
    weights = [rng.normal(size=(WIDTH, WIDTH)) / np.sqrt(WIDTH) for _ in range(DEPTH)]
    x = rng.normal(size=(BATCH, WIDTH))
    y = np.sin(x)
    step = wg.value_and_grad(loss)

    # The gradient against differences, before anything else.
    _, gradient = step(weights, x, y)
    direction = [rng.normal(size=w.shape) for w in weights]
    ahead, behind = ([w + s * d for w, d in zip(weights, direction, strict=True)] for s in (1e-6, -1e-6))
    differences = (loss(ahead, x, y) - loss(behind, x, y)) / 2e-6
    exact = sum(np.sum(g * d) for g, d in zip(gradient, direction, strict=True))
    print(f"directional derivative {exact:.8f}, central differences {differences:.8f}")
    assert abs(exact - differences) < 1e-5 * abs(exact)

    # What a step will hold, before it runs; and what it did hold.
    free = wg.jit(step)
    predicted = wg.profile.predict_memory(free, weights, x, y)
    measured = wg.profile.memory(free)(weights, x, y)
    print(f"without a budget: predicted {predicted.peak / 2**20:.1f} MiB, measured {measured.peak / 2**20:.1f} MiB")

    # Half of it.
    budget = measured.peak // 2
    bounded = wg.jit(step, memory_budget=budget)
    after = wg.profile.memory(bounded)(weights, x, y)
    print(f"with a budget of {budget / 2**20:.1f} MiB: measured {after.peak / 2**20:.1f} MiB")
    assert after.peak <= budget
    for ours, theirs in zip(bounded(weights, x, y)[1], gradient, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-12)

    # What that costs.
    times = wg.benchmark(bounded, weights, x, y, name="bounded", against={"free": free}, seconds=0.5)
    print(times)

    # As little as can be: the error names it.
    try:
        wg.jit(step, memory_budget="1 MiB")(weights, x, y)
    except wg.errors.BudgetError as error:
        print(error)

    # Nothing of a step stays behind.
    with wg.profile.assert_no_leaks():
        train(bounded, weights, x, y, steps=3)


if __name__ == "__main__":
    main()
