"""Budgets of eager tapes: obeyed as measured, gradients the same bit for bit, and the smallest one named."""

import gc
import random
import time

import numpy as np
import pytest
import scipy.special

import wengert as wg
from wengert.profile.footprint.meter import meter

RNG = np.random.default_rng(0)


def peak(f):
    """Bytes that NumPy gave at one time during `f()`, and the result."""
    gc.collect()
    counts = meter()
    counts.start()
    try:
        out = f()
    finally:
        found = counts.peak()
        counts.stop()
    return found, out


@pytest.fixture(autouse=True)
def op_by_op():
    with wg.config.override(compiled_backward=False):
        yield


def smallest(f, *args) -> int:
    with pytest.raises(wg.errors.BudgetError) as caught:
        wg.grad(f, memory_budget=1)(*args)
    assert str(caught.value.smallest) in str(caught.value)
    assert caught.value.smallest is not None
    return caught.value.smallest


def mlp(layers=16, batch=400, width=48):
    weights = [RNG.normal(size=(width, width)) / width**0.5 for _ in range(layers)]
    biases = [RNG.normal(size=width) for _ in range(layers)]
    x = RNG.normal(size=(batch, width))

    def loss(weights, biases):
        h = x
        for w, b in zip(weights, biases, strict=True):
            h = np.tanh(h @ w + b)
        return (h * h).mean()

    return loss, (weights, biases)


def residual(blocks=8, batch=200, width=40):
    weights = [RNG.normal(size=(width, width)) / width for _ in range(blocks)]
    x = RNG.normal(size=(batch, width))

    def loss(weights):
        h = x
        for w in weights:
            scale = np.sqrt((h * h).mean(axis=1, keepdims=True) + 1e-6)
            scores = scipy.special.softmax((h / scale) @ w, axis=-1)
            h = h + np.where(scores > 0.01, scores * h, 0.0)
        return (h[:, ::2].T @ h[:, 1::2]).sum() + np.abs(h).reshape(-1)[3:].max()

    return loss, (weights,)


def noisy(steps=12, n=6000):
    def loss(x):
        rng, h = np.random.default_rng(7), x
        for _ in range(steps):
            kept = rng.integers(0, 2, n, dtype=bool)  # made by the function, and kept by the tape alone
            h = np.exp(-np.sin(h * kept))
        return (h * h).sum()

    return loss, (RNG.normal(size=n),)


def flat(gradient):
    return [
        g
        for leaf in (gradient if isinstance(gradient, (list, tuple)) else [gradient])
        for g in (flat(leaf) if isinstance(leaf, (list, tuple)) else [leaf])
    ]


def same(found, expected):
    return all(np.array_equal(a, b) for a, b in zip(flat(found), flat(expected), strict=True))


@pytest.mark.parametrize("made", [mlp, residual, noisy])
@pytest.mark.parametrize("fraction", [1.0, 0.7, 0.4, 0.15, 0.0])
def test_the_measured_peak_obeys_the_budget(made, fraction):
    loss, args = made()
    free, expected = peak(lambda: wg.grad(loss)(*args))
    least = smallest(loss, *args)
    assert least < free
    budget = int(least + fraction * max(free - least, 0))
    found_peak, found = peak(lambda: wg.grad(loss, memory_budget=budget)(*args))
    assert found_peak <= budget
    assert same(found, expected)


def test_below_the_smallest_budget_it_raises():
    loss, args = mlp()
    least = smallest(loss, *args)
    with pytest.raises(wg.errors.BudgetError) as caught:
        wg.grad(loss, memory_budget=int(0.95 * least))(*args)
    assert caught.value.smallest == pytest.approx(least, rel=0.01)
    with pytest.raises(wg.errors.BudgetError):
        wg.grad(loss, memory_budget=least // 2)(*args)


FUNCTIONS = {
    "pow": lambda x: x**x,
    "softmax": lambda x: scipy.special.softmax(x, axis=-1) * x,
    "logsumexp": lambda x: scipy.special.logsumexp(x, axis=-1),
    "indices": lambda x: x[np.arange(300) % 100],
    "std": lambda x: x.std(axis=1),
    "einsum": lambda x: np.einsum("ij,kj->ik", x, x),
    "concatenate": lambda x: np.concatenate([x, np.exp(x)]),
    "sort": lambda x: np.sort(x, axis=1),
    "cumprod": lambda x: np.cumprod(x, axis=1),
    "prod": lambda x: np.prod(x, axis=1),
    "gelu": lambda x: wg.nn.gelu(x),
    "erf": lambda x: scipy.special.erf(x),
    "fft": lambda x: np.abs(np.fft.rfft(x, axis=1)),
    "solve": lambda x: np.linalg.solve(x[:, :100] + 9 * np.eye(100), x),
    "svd": lambda x: np.linalg.svd(x, compute_uv=False),
    "broadcast": lambda x: x[:, None, :20] * x[None, :, :20],
    "float32": lambda x: np.tanh(x.astype(np.float32)),
    "views": lambda x: np.tanh(x.T)[::2].reshape(-1)[5:] ** 2,
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_temporaries_are_foreseen(name):
    f = FUNCTIONS[name]

    def loss(x):
        h = f(x)
        h = f(np.tanh(h)) if h.shape == x.shape else h
        return (h * h).sum()

    x = RNG.uniform(0.1, 0.9, size=(100, 150))
    wg.grad(loss)(x)  # what is loaded on first use
    expected = wg.grad(loss)(x)
    least = smallest(loss, x)
    for budget in (least, int(1.3 * least)):
        found_peak, found = peak(lambda budget=budget: wg.grad(loss, memory_budget=budget)(x))
        assert found_peak <= budget
        np.testing.assert_array_equal(found, expected)


def test_orders_of_eviction_change_no_bit(monkeypatch):
    import importlib

    budget = importlib.import_module("wengert.trace.budget")
    plain, chance = budget.Producer.__init__, random.Random(0)
    monkeypatch.setattr(
        budget.Producer, "__init__", lambda self, *a: plain(self, *a[:3], 10 ** chance.uniform(-6, -2), a[4])
    )
    for made in (mlp, residual, noisy):
        loss, args = made()
        expected, least = wg.grad(loss)(*args), smallest(loss, *args)
        for _ in range(15):
            assert same(wg.grad(loss, memory_budget=int(least * chance.uniform(1.0, 2.0)))(*args), expected)


def test_gradient_tape():
    loss, (weights, biases) = mlp()
    expected = wg.grad(loss, (0, 1))(weights, biases)
    free, _ = peak(lambda: wg.grad(loss, (0, 1))(weights, biases))

    def run(budget, persistent=False):
        with wg.GradientTape(memory_budget=budget, persistent=persistent) as tape:
            w, b = tape.watch(weights), tape.watch(biases)
            out = loss(w, b)
        return [tape.gradient(out, (w, b)) for _ in range(1 + persistent)]

    budget = int(0.6 * free)
    found_peak, found = peak(lambda: run(budget))
    assert found_peak <= budget
    assert same(found[0], list(expected))
    twice = run(budget, persistent=True)
    assert same(twice[0], list(expected))
    assert same(twice[1], list(expected))


def test_values_that_variables_hold_are_counted():
    n = 10_000

    def hoarding(x):
        held = [x]
        for _ in range(10):
            held.append(np.sin(held[-1]))
        return held[-1].sum()

    assert smallest(hoarding, np.ones(n)) >= 10 * 8 * n

    def thrifty(x):
        for _ in range(10):
            x = np.sin(x)
        return x.sum()

    assert smallest(thrifty, np.ones(n)) <= 7 * 8 * n


def test_vjp_and_jacobian():
    def f(x):
        for _ in range(6):
            x = np.tanh(x) * 1.1
        return x

    x = RNG.normal(size=2000)
    budget = smallest(lambda x: f(x).sum(), x) + 16000 * 3
    out, pull = wg.vjp(f, x, memory_budget=budget)
    plain_out, plain = wg.vjp(f, x)
    np.testing.assert_array_equal(out, plain_out)
    for ct in (np.ones(2000), RNG.normal(size=2000)):
        np.testing.assert_array_equal(pull(ct)[0], plain(ct)[0])
    with wg.GradientTape(memory_budget="1 MB") as tape:
        x = tape.watch(RNG.normal(size=30))
        y = f(x)
    np.testing.assert_allclose(tape.jacobian(y, x), wg.jacobian(f)(np.asarray(wg.stop_gradient(x))))


def test_functions_of_the_users_run_once():
    runs = []

    @wg.custom_vjp
    def f(x):
        return np.sin(x)

    def forward(x):
        runs.append(1)
        return np.sin(x), np.cos(x)

    f.defvjp(forward, lambda c, ct: (ct * c,))

    def loss(x):
        for _ in range(5):
            x = f(np.exp(-x) + 1.0)
        return x.sum()

    x = RNG.normal(size=3000)
    expected = wg.grad(loss)(x)
    least = smallest(loss, x)
    runs.clear()
    np.testing.assert_array_equal(wg.grad(loss, memory_budget=least)(x), expected)
    assert len(runs) == 5


def test_inputs_of_checkpoints_are_let_go_too():
    def block(x):
        return np.sin(np.exp(-x))

    def loss(x):
        for _ in range(12):
            x = np.tanh(wg.checkpoint(block)(np.cos(x)))
        return x.sum()

    x = RNG.normal(size=5000)
    free, expected = peak(lambda: wg.grad(loss)(x))
    budget = int(0.8 * free)
    found_peak, found = peak(lambda: wg.grad(loss, memory_budget=budget)(x))
    assert found_peak <= budget + 4 * x.nbytes  # its second run is not seen
    np.testing.assert_array_equal(found, expected)


def test_long_tapes_take_linear_time():
    def seconds(n):
        def f(x):
            for _ in range(n):
                x = np.sin(x) * 0.9
            return x.sum()

        began = time.process_time()
        wg.grad(f, memory_budget=n * 1600 // 5 + 20_000)(np.ones(100))
        return time.process_time() - began

    seconds(100)
    short, long = min(seconds(500) for _ in range(3)), seconds(4000)
    assert long < 8 * 3 * short  # of 8 times the steps


def test_other_tapes_and_jit_are_refused():
    inner = wg.grad(lambda x: np.sin(x).sum(), memory_budget="1 MB")
    for outer in (wg.grad(lambda x: inner(x).sum()), wg.jit(inner), lambda x: wg.jvp(inner, (x,), (x,))):
        with pytest.raises(wg.errors.TapeError, match="memory budget"):
            outer(np.ones(3))
    with wg.saved_tensors_hooks(lambda a: a, lambda a: a), pytest.raises(wg.errors.TapeError, match="hooks"):
        inner(np.ones(3))
    np.testing.assert_array_equal(wg.vmap(inner)(np.ones((2, 3))), np.cos(np.ones((2, 3))))


def test_an_inner_gradient_is_part_of_what_is_budgeted():
    def f(x):
        return (wg.grad(lambda x: (np.tanh(x) ** 2).sum())(x) ** 2).sum()

    x = RNG.normal(size=2000)
    least = smallest(f, x)
    np.testing.assert_array_equal(wg.grad(f, memory_budget=least)(x), wg.grad(f)(x))


def test_steps_that_add_to_what_was_there():
    """Each value is the one before and something: making one again makes all before it, one after the other."""

    def f(c):
        u = np.linspace(0.0, 1.0, 4000)
        for _ in range(60):
            u = u + c * np.tanh(np.sin(u) - 2 * u)
        return np.sum(u**2)

    plain = wg.grad(f)(0.1)
    assert wg.grad(f, memory_budget=60 * 4000 * 8)(0.1) == plain  # half of what is kept without a budget
