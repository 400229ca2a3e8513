"""`jit(..., memory_budget=)`: what a call holds, as measured, never exceeds the budget; and values and derivatives are the same."""

import logging
import pickle

import numpy as np
import pytest

import wengert as wg
from wengert.core.config import config
from wengert.core.errors import BudgetError
from wengert.core.tree import flatten
from wengert.profile.footprint.meter import meter
from wengert.verify.generate.choices import RandomChoices
from wengert.verify.generate.programs import program as random_program

RNG = np.random.default_rng(2)


def perceptron(ws, x):
    for w in ws:
        x = np.tanh(x @ w)
    return (x * x).sum()


def rectifier(ws, x):
    for w in ws:
        x = np.maximum(x @ w, 0.1 * (x @ w))
    return (x * x).sum()


def attention(ws, x):
    for w in ws:
        s = (x @ w) @ x.T / 16
        e = np.exp(s - s.max(axis=-1, keepdims=True))
        x = 0.6 * x + 0.3 * (e / e.sum(axis=-1, keepdims=True)) @ x
    return (x * x).mean()


def branching(ws, x):
    for w in ws:
        x = wg.cond(x.sum() > 0, lambda x, w=w: np.sin(x @ w), lambda x, w=w: np.cos(x @ w), x)
    return (x * x).sum()


def looping(ws, x):
    def step(x, w):
        return x + 0.1 * np.tanh(x @ w), None

    return (wg.scan(step, x, np.stack([*ws] * 40))[0] ** 2).sum()


def filtering(ws, x):
    images = x[:64].reshape(2, 2, 16, 16)
    for w in ws:
        images = np.tanh(wg.nn.conv2d(images, w[:, :9].reshape(16, 3, 3)[:4].reshape(2, 2, 3, 3), padding="same"))
    return (images * images).sum()


FUNCTIONS = {f.__name__: f for f in (perceptron, rectifier, attention, branching, looping, filtering)}
ARGS = [RNG.normal(size=(16, 16)) / 4 for _ in range(8)], RNG.normal(size=(96, 16))


def held(call):
    """Bytes at the peak of a call beyond what there was, as the meter counts them."""
    watch = meter()
    watch.start()
    try:
        result = call()
        return watch.peak(), result
    finally:
        watch.stop()


def smallest(make):
    """The least budget, as the error names it."""
    with pytest.raises(BudgetError) as caught:
        make(1)
    return caught.value.smallest


def gap(got, want):
    pairs = zip(flatten(got)[0], flatten(want)[0], strict=True)
    return max(np.max(np.abs(g - w)) / max(np.max(np.abs(w)), 1e-12) for g, w in pairs)


@pytest.fixture(scope="module", params=FUNCTIONS)
def case(request):
    f = FUNCTIONS[request.param]
    plain = wg.jit(wg.value_and_grad(f))
    return f, plain(*ARGS), plain.lower(*ARGS).memory_analysis()["peak"]


def budgeted(f, budget):
    gradient = wg.jit(wg.value_and_grad(f), memory_budget=budget)
    gradient(*ARGS)
    return gradient


def test_what_is_held_never_exceeds_the_budget_and_the_gradient_is_the_same(case):
    f, want, whole = case
    least = smallest(lambda budget: budgeted(f, budget))
    assert least < whole
    for budget in (least, (2 * least + whole) // 3, whole):
        gradient = budgeted(f, budget)
        compiled = gradient.lower(*ARGS).compile()
        compiled(*ARGS)
        for call in (gradient, compiled):
            bytes_held, got = held(lambda call=call: call(*ARGS))
            assert bytes_held <= budget
            assert gap(got, want) <= 1e-10
        assert gradient.lower(*ARGS).memory_analysis()["peak"] <= budget


def test_the_gradient_is_that_of_differences(case):
    f, _, _ = case
    least = smallest(lambda budget: budgeted(f, budget))
    gradient = budgeted(f, least)(*ARGS)[1]
    ws, x = ARGS
    rng = np.random.default_rng(0)
    v = [rng.normal(size=w.shape) for w in ws]
    step = 1e-6
    above, below = ([w + s * d for w, d in zip(ws, v, strict=True)] for s in (step, -step))
    difference = (f(above, x) - f(below, x)) / (2 * step)
    slope = sum((g * d).sum() for g, d in zip(gradient, v, strict=True))
    assert abs(slope - difference) <= 1e-6 * max(abs(difference), 1)


@pytest.mark.parametrize("f", [perceptron, attention, looping], ids=lambda f: f.__name__)
def test_grad_of_a_jitted_function_obeys_too(f):
    want = wg.grad(f)(*ARGS)
    plain, _ = held(lambda: wg.grad(wg.jit(f))(*ARGS))
    least = smallest(lambda budget: wg.grad(wg.jit(f, memory_budget=budget))(*ARGS))
    assert least < 0.8 * plain
    for budget in (least, (least + plain) // 2):
        gradient = wg.grad(wg.jit(f, memory_budget=budget))
        gradient(*ARGS)
        bytes_held, got = held(lambda gradient=gradient: gradient(*ARGS))
        assert bytes_held <= budget + 4096  # what the eager sweep itself makes, around the two compiled halves
        assert gap(got, want) <= 1e-10


def test_second_order():
    def f(w, x):
        for _ in range(6):
            x = np.tanh(x @ w)
        return (x * x).sum()

    w, x = RNG.normal(size=(4, 4)) / 2, RNG.normal(size=(40, 4))
    want = wg.hessian(f)(w, x)
    least = smallest(lambda budget: wg.jit(wg.hessian(f), memory_budget=budget)(w, x))
    hessian = wg.jit(wg.hessian(f), memory_budget=least)
    hessian(w, x)
    bytes_held, got = held(lambda: hessian(w, x))
    assert bytes_held <= least < wg.jit(wg.hessian(f)).lower(w, x).memory_analysis()["peak"]
    assert gap(got, want) <= 1e-10
    assert (
        gap(wg.jvp(lambda w: wg.grad(wg.jit(f, memory_budget=10**6))(w, x), (w,), (w,))[1], np.tensordot(want, w, 2))
        <= 1e-9
    )


@pytest.mark.parametrize("seed", range(1, 9))
def test_random_programs(seed):
    p = random_program(RandomChoices(np.random.default_rng(seed)))
    numbers = tuple(range(len(p.args)))

    def gradient(budget=None):
        return wg.jit(wg.value_and_grad(p.f, argnums=numbers), memory_budget=budget)

    def args():
        return [a.copy() for a in p.args]

    with config.override(debug_passes=True, disk_cache=False, tiered="always"), np.errstate(all="ignore"):
        try:
            want = gradient()(*args())
        except wg.errors.ConcretizationError:
            pytest.skip("the program asks for values")
        try:
            gradient(1)(*args())
            least = 1
        except BudgetError as error:
            least = error.smallest
        whole = gradient().lower(*args()).memory_analysis()["peak"]
        for budget in {least, max(least, (least + whole) // 2)}:  # what host calls take is no part of `whole`
            small = gradient(budget)
            got = small(*args())
            assert small.lower(*args()).memory_analysis()["peak"] <= budget
            for g, w in zip(flatten(got)[0], flatten(want)[0], strict=True):
                single = np.asarray(w).dtype in (np.float32, np.complex64)
                np.testing.assert_allclose(
                    g, w, rtol=1e-3 if single else 1e-7, atol=1e-9 * (np.max(np.abs(w), initial=1))
                )


@pytest.mark.parametrize("within", ["at once", "in a loop"])
def test_what_numpy_takes_for_host_calls_counts(within):
    def layer(h):
        return np.tanh(0.01 * np.abs(np.fft.fft(h))) * np.sort(h)

    def f(h):
        if within == "in a loop":
            return wg.scan(lambda h, _: (layer(h), None), h, None, length=5)[0].sum()
        for _ in range(5):
            h = layer(h)
        return h.sum()

    gradient, x = wg.value_and_grad(f), RNG.normal(size=4000)
    with pytest.raises(BudgetError) as caught:
        wg.jit(gradient, memory_budget=1)(x)
    least = caught.value.smallest
    small = wg.jit(gradient, memory_budget=least)
    small(x)
    counts = meter()
    counts.start()
    try:
        slope = small(x)[1]
        assert counts.peak() <= least
    finally:
        counts.stop()
    np.testing.assert_allclose(slope, gradient(x)[1], rtol=1e-9, atol=1e-9)


# ── the argument ──────────────────────────────────────────────────────────────


def test_ways_to_write_a_budget():
    want = perceptron(*ARGS)
    for budget in (10**7, 1e7, "10 MB", "9.6 MiB"):
        assert abs(wg.jit(perceptron, memory_budget=budget)(*ARGS) - want) <= 1e-10 * abs(want)
    assert wg.jit(memory_budget="1 GB")(perceptron).memory_budget == 10**9
    for wrong in ("many", -1, "1 furlong"):
        with pytest.raises(ValueError, match="number of bytes"):
            wg.jit(perceptron, memory_budget=wrong)


def test_it_survives_pickling():
    assert pickle.loads(pickle.dumps(wg.jit(perceptron, memory_budget="1 MiB"))).memory_budget == 2**20


def test_without_a_budget_nothing_changes():
    plain = wg.jit(wg.grad(perceptron)).lower(*ARGS)
    large = wg.jit(wg.grad(perceptron), memory_budget=10**9).lower(*ARGS)
    assert plain.as_text() == large.as_text() and "barrier" not in plain.as_text()


def test_explain_tells_what_a_budget_did():
    whole = wg.jit(wg.grad(perceptron)).lower(*ARGS).memory_analysis()["peak"]
    text = wg.jit(wg.grad(perceptron), memory_budget=int(0.6 * whole)).explain(*ARGS)
    assert "memory budget" in text and "planned peak" in text and "recomputed" in text and "test_budget.py" in text
    assert "memory budget" not in wg.jit(wg.grad(perceptron)).explain(*ARGS)


def test_the_error_names_the_line_of_the_peak():
    with pytest.raises(BudgetError) as caught:
        wg.jit(wg.grad(perceptron), memory_budget="1 kB")(*ARGS)
    assert "test_budget.py" in str(caught.value) and str(caught.value.smallest) in str(caught.value)


def test_what_is_not_compiled_says_that_its_budget_is_not_obeyed(caplog):
    with config.override(compile=False), caplog.at_level(logging.WARNING, "wengert"):
        got = wg.jit(perceptron, memory_budget=10)(*ARGS)
    assert "memory budget is not obeyed" in caplog.text
    assert abs(got - perceptron(*ARGS)) <= 1e-12 * abs(got)


def test_a_loop_of_many_trips_is_cut_in_segments():
    w, x = RNG.normal(size=(4, 4)) / 4, RNG.normal(size=(8, 4))

    def f(w, x):
        return (wg.scan(lambda x, _: (x + 0.01 * np.tanh(x @ w), None), x, None, length=2000)[0] ** 2).sum()

    plain = wg.jit(wg.grad(f))
    want, whole = plain(w, x), plain.lower(w, x).memory_analysis()["peak"]
    budget = whole // 15
    gradient = wg.jit(wg.grad(f), memory_budget=budget)
    gradient(w, x)
    bytes_held, got = held(lambda: gradient(w, x))
    assert bytes_held <= budget and gap(got, want) <= 1e-12
    assert "segments of" in gradient.explain(w, x)
