"""Leaks of each kind are found, with the line that made them and who keeps them; clean programs pass."""

import collections
import contextlib
import gc
import re
from typing import Any

import numpy as np
import pytest

import wengert as wg
from wengert.core.errors import LeakError
from wengert.profile.footprint.meter import unavailable

pytestmark = pytest.mark.skipif(bool(unavailable()), reason=unavailable())
N = 64
SIZE = 8 * N * N
X = np.ones((N, N)) / N
history = []


@pytest.fixture(autouse=True)
def nothing_kept():
    history.clear()
    yield
    history.clear()
    gc.collect()


def line_of(text):
    with open(__file__) as file:
        return next(i for i, line in enumerate(file, 1) if text in line and "line_of" not in line)


def loss(w):
    return (np.tanh(X @ w) ** 2).sum()


class Model:
    def __init__(self):
        self.tapes = []
        self.last: Any = None


def one(report):
    assert len(report.leaks) == 1, str(report)
    return report.leaks[0]


# ── clean programs ────────────────────────────────────────────────────────────


def plain():
    wg.grad(loss)(X)


def compiled(f=wg.jit(wg.grad(loss))):
    f(X)


def taped():
    with wg.GradientTape() as tape:
        w = tape.watch(X.copy())
        value = loss(w)
    tape.gradient(value, w)


def second_order():
    wg.hvp(loss, (X,), (X,))


def checkpointed():
    wg.grad(lambda w: wg.checkpoint(loss)(w * 2.0))(X)


def caught():
    with contextlib.suppress(ValueError):
        wg.grad(lambda w: w @ np.ones(3))(X)


def in_circles():
    ring = {}
    ring["self"], ring["array"] = ring, np.exp(X)


@pytest.mark.parametrize("step", [plain, compiled, taped, second_order, checkpointed, caught, in_circles])
def test_clean_steps_do_not_leak(step):
    report = wg.profile.leaks(step)
    assert not report and report.leaks == [], str(report)
    report.check()
    with wg.profile.assert_no_leaks():
        step()


def test_the_first_call_of_a_compiled_function_leaves_caches_alone():
    constant = np.ones((N, N)) * 3

    def f(x):
        return (x @ constant).sum()

    with wg.profile.assert_no_leaks():
        wg.jit(wg.grad(f))(X)
    gradient = wg.jit(wg.grad(f))
    with wg.profile.assert_no_leaks():
        gradient(X)
    assert not wg.profile.leaks(gradient, X, warmup=0)


def test_cycles_are_told():
    assert wg.profile.leaks(in_circles).cyclic == SIZE


def test_what_is_replaced_is_no_leak():
    model = Model()

    def step():
        model.last = np.exp(X)  # replaced

    report = wg.profile.leaks(step)
    assert not report
    (kept,) = [k for k in report.kept if k.line.number == line_of("# replaced")]
    assert kept.nbytes == SIZE and "attribute `last`" in kept.keeper.words


def test_a_bounded_history_is_no_leak():
    last = collections.deque(maxlen=2)
    assert not wg.profile.leaks(lambda: last.append(np.exp(X)))


# ── leaks ─────────────────────────────────────────────────────────────────────


def test_a_global_list_of_tensors():
    def step():
        with wg.GradientTape() as tape:
            w = tape.watch(X.copy())
            value = loss(w)
        history.append(value)
        tape.gradient(value, w)

    leak = one(wg.profile.leaks(step))
    assert leak.kind == "tensor" and leak.count == 3 and leak.per_step == [1, 1, 1]
    assert re.search(
        r"global `history` of module \S*test_leaks \(list of 5\), element 4 → Tensor of the tape", str(leak)
    )
    assert "Tensor" in leak.keeper.fix


def test_a_tape_kept_alive_by_a_tensor_is_named():
    kept = []

    def step():
        tape = wg.GradientTape(persistent=True)
        with tape:
            w = tape.watch(X.copy())
            value = loss(w)
        kept.append((tape, value))

    report = wg.profile.leaks(step)
    assert any("tape of the gradient begun at test_leaks.py" in leak.keeper.words for leak in report.leaks)
    assert report.nbytes >= 3 * 2 * SIZE


def test_a_persistent_tape_on_an_object():
    model = Model()
    history.append(model)

    def step():
        with wg.GradientTape(persistent=True) as tape:
            w = tape.watch(X.copy())
            loss(w)
        model.tapes.append(tape)

    report = wg.profile.leaks(step)
    leak = report.leaks[0]
    assert leak.kind == "array" and leak.nbytes >= 3 * SIZE
    words = leak.keeper.words
    assert (
        "attribute `tapes`" in words
        and "GradientTape" in words
        and "tape of the gradient begun at test_leaks.py" in words
    )
    assert "reset" in leak.keeper.fix


def test_a_list_of_arrays():
    def step():
        history.append(np.exp(X))  # grows

    leak = one(wg.profile.leaks(step))
    assert (leak.kind, leak.count, leak.nbytes) == ("array", 3, 3 * SIZE)
    assert leak.line.number == line_of("# grows")


def test_a_closure():
    def step():
        big = np.exp(X)

        def later():
            return big.sum()

        history.append(later)

    leak = one(wg.profile.leaks(step))
    assert "closed-over `big`" in leak.keeper.words and "later" in leak.keeper.words
    assert "argument" in leak.keeper.fix


def test_the_traceback_of_an_exception():
    def step():
        big = np.exp(X)
        try:
            raise ValueError(big.shape)
        except ValueError as error:
            history.append(error)

    leak = one(wg.profile.leaks(step))
    assert "ValueError exception → traceback → frame of" in leak.keeper.words and "local `big`" in leak.keeper.words
    assert "with_traceback(None)" in leak.keeper.fix


def test_a_cycle_through_a_checkpointed_function():
    def step():
        def inner(w):
            return loss(w)

        checkpointed = wg.checkpoint(inner)
        tape = wg.GradientTape(persistent=True)
        with tape:
            w = tape.watch(X.copy())
            inner.value = checkpointed(w)
        inner.tape = tape
        history.append(inner)

    report = wg.profile.leaks(step)
    assert report and report.nbytes >= 3 * SIZE
    assert any(
        "attribute `tape`" in leak.keeper.words or "attribute `value`" in leak.keeper.words for leak in report.leaks
    )


def test_tuples_that_the_collector_has_stopped_to_look_at():
    def step():
        history.append(((np.exp(X),), 1))

    leak = one(wg.profile.leaks(step))
    assert leak.kind == "array" and "global `history`" in leak.keeper.words


def test_a_suspended_generator():
    def walk():
        big = np.exp(X)
        yield big.sum()

    def step():
        g = walk()
        next(g)
        history.append(g)

    leak = one(wg.profile.leaks(step))
    assert "suspended generator" in leak.keeper.words


def test_growth_alone_is_a_leak():
    def step(n=[0]):  # noqa: B006
        n[0] += 1
        if n[0] == 4:  # one that comes late
            history.append(np.exp(X))

    report = wg.profile.leaks(step)
    assert not report and sum(k.nbytes for k in report.kept) == SIZE


# ── assert_no_leaks ───────────────────────────────────────────────────────────


def test_the_error_says_what_where_who_and_what_to_do():
    with pytest.raises(LeakError) as caught, wg.profile.assert_no_leaks():
        history.append(np.exp(X))  # planted
    text = str(caught.value)
    assert f"test_leaks.py:{line_of('# planted')}" in text and "32.0 KiB" in text
    assert "kept by: global `history`" in text and "want:" in text and "fix:" in text
    assert isinstance(caught.value, AssertionError)


def test_local_variables_may_hold_arrays():
    with wg.profile.assert_no_leaks():
        out = np.exp(X)
        pair = (np.exp(X), np.exp(X))
    assert out.size + pair[0].size


def test_local_lists_may_not():
    with pytest.raises(LeakError, match=r"local variable `kept`.*element 0"), wg.profile.assert_no_leaks():
        kept = [np.exp(X)]
    assert kept


def test_as_a_decorator():
    @wg.profile.assert_no_leaks
    def fine():
        return np.exp(X)

    @wg.profile.assert_no_leaks(tolerance=SIZE - 1)
    def wrong():
        history.append(np.exp(X))

    @wg.profile.assert_no_leaks(tolerance=SIZE)
    def tolerated():
        history.append(np.exp(X))

    assert fine()[0, 0] == np.exp(1 / N)
    tolerated()
    with pytest.raises(LeakError):
        wrong()


def test_an_error_in_the_block_leaves_it():
    with pytest.raises(KeyError), wg.profile.assert_no_leaks():
        history.append(np.exp(X))
        raise KeyError


def test_two_repetitions_at_least():
    with pytest.raises(ValueError, match="repeat"):
        wg.profile.leaks(plain, repeat=1)


def test_without_a_memory_handler_arrays_are_found_by_tracemalloc(monkeypatch):
    from wengert.profile.footprint import meter

    monkeypatch.setattr(meter, "unavailable", lambda: "another NumPy")
    leak = one(wg.profile.leaks(lambda: history.append(np.exp(X))))
    assert (leak.kind, leak.count, leak.nbytes) == ("array", 3, 3 * SIZE) and "global `history`" in leak.keeper.words
    assert not wg.profile.leaks(plain)


class Keeps:
    def step(self):
        self.last = np.ones(1000)
        return self.last

    def part(self):
        self.base = np.ones(1000)
        return self.base[:500]


KEPT = []


def test_a_local_name_spares_what_it_alone_holds():
    with wg.profile.assert_no_leaks():
        for _ in range(3):
            value, gradient = np.ones(1000), np.zeros(500)
            again = gradient
            pair = (np.ones(300), np.ones(200))
    assert value.size + again.size + len(pair)


@pytest.mark.parametrize("leak", ["attribute", "base", "list", "tuple", "part"])
def test_a_local_name_does_not_hide_who_else_keeps_it(leak):
    keeps = Keeps()
    try:
        with pytest.raises(LeakError), wg.profile.assert_no_leaks():
            if leak == "attribute":
                found = keeps.step()
            elif leak == "base":
                found = keeps.part()
            elif leak == "list":
                found = np.ones(1000)
                KEPT.append(found)
            elif leak == "tuple":
                found = np.ones(1000), np.ones(3)
                KEPT.append(found)
            else:
                found = np.ones(1000), np.ones(3)
                KEPT.append(found[0])
            assert found is not None
    finally:
        KEPT.clear()
