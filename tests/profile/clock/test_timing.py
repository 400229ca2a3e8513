"""Programs with clocks in them: they compute the same, and nothing stays switched on."""

from __future__ import annotations

import threading
from time import perf_counter, sleep

import numpy as np
import pytest

import wengert as wg
from wengert.runtime import engine, native, timing

RNG = np.random.default_rng(1)


def loss(w, b, x, y):
    h = np.tanh(x @ w + b)
    return ((h - y) ** 2).mean()


def recurrent(x):
    def step(c, _):
        c = np.tanh(c @ x) + np.sin(c)
        return c, c.sum()

    return wg.scan(step, x, None, length=20)[1].sum()


def branching(x):
    return wg.cond(x.sum() > 0, lambda v: np.exp(v) @ v, lambda v: np.cos(v), x)


def counting(x):
    return wg.while_loop(lambda c: (c * c).sum() < 1e6, lambda c: c * 1.5 + np.sqrt(np.abs(c)), x)


PROGRAMS = {
    "elementwise": (lambda x: np.exp(np.sin(x)) * x - x**3, (RNG.normal(size=(70, 90)),)),
    "gradient": (wg.grad(loss, argnums=(0, 1)), tuple(RNG.normal(size=s) for s in ((64, 64), 64, (32, 64), (32, 64)))),
    "chunks": (lambda x: (np.tanh(x) * x).sum(), (RNG.normal(size=300_000),)),
    "float32": (lambda x: (x @ x.T).max(axis=0), (RNG.normal(size=(60, 80)).astype(np.float32),)),
    "scan": (wg.grad(recurrent), (RNG.normal(size=(30, 30)) / 9,)),
    "cond": (branching, (RNG.normal(size=(20, 20)),)),
    "while": (counting, (RNG.normal(size=50),)),
    "host call": (lambda x: np.linalg.svd(np.sort(x, axis=0) @ x)[1], (RNG.normal(size=(40, 40)),)),
    "scalars": (lambda x: x * 2.0 + np.sin(x), (0.7,)),
}


def leaves(x):
    return [np.asarray(v) for v in (x if isinstance(x, tuple) else (x,))]


@pytest.mark.parametrize("name", PROGRAMS)
def test_results_are_the_same_bit_for_bit(name):
    fun, args = PROGRAMS[name]
    compiled = wg.jit(fun)
    before = leaves(compiled(*args))
    timing.start()
    try:
        first, second = leaves(compiled(*args)), leaves(compiled(*args))
        variants = timing.variants()
    finally:
        timing.stop()
    assert variants and all(v.reading().runs.any() for _, v in variants)
    for a, b, c, d in zip(before, first, second, leaves(compiled(*args)), strict=True):
        assert a.tobytes() == b.tobytes() == c.tobytes() == d.tobytes()


def test_rows_are_the_kernels_and_calls_are_counted(operands):
    compiled = wg.jit(wg.grad(loss, argnums=(0, 1)))
    compiled(*operands)
    timing.start()
    try:
        began = perf_counter()
        for _ in range(7):
            compiled(*operands)
        took = perf_counter() - began
        ((executable, variant),) = timing.variants()
    finally:
        reading, calls = variant.reading(), variant.calls()
        timing.stop()
    kernels = executable.lowered.kernels
    assert [k for k, is_step, _ in variant.rows if is_step] == list(kernels)
    assert list(reading.runs) == [7] * len(kernels)
    assert calls.shape == (7, len(kernels) + 2)
    assert set(calls[:, 0]) == {threading.get_ident()}
    steps = np.diff(calls[:, 1:], axis=1)
    assert (steps >= 0).all() and list(steps.sum(axis=0)) == list(reading.wall)
    assert reading.wall.sum() * 1e-9 <= took + variant.seconds


def test_kernels_within_loops_are_timed():
    x = RNG.normal(size=(60, 60)) / 9
    compiled = wg.jit(recurrent)
    compiled(x)
    timing.start()
    try:
        compiled(x)
        ((_, variant),) = timing.variants()
        reading = variant.reading()
    finally:
        timing.stop()
    inner = [i for i, (_, is_step, _) in enumerate(variant.rows) if not is_step]
    assert inner and all(reading.runs[i] == 20 for i in inner)
    loop = next(i for i, (k, _, _) in enumerate(variant.rows) if k.kind == "control flow")
    assert 0.3 * reading.wall[loop] < sum(reading.wall[i] for i in inner) <= reading.wall[loop]


def test_when_there_is_no_room_calls_are_in_sums_alone(monkeypatch):
    monkeypatch.setattr(timing, "ROOM", 40)
    x = RNG.normal(size=100)
    compiled = wg.jit(lambda x: np.sin(x) + 2.0)
    timing.start()
    try:
        for _ in range(100):
            y = compiled(x)
        ((_, variant),) = timing.variants()
        reading, calls = variant.reading(), variant.calls()
    finally:
        timing.stop()
    assert reading.runs[0] == 100
    assert 0 < len(calls) <= 40 // variant.record
    assert np.array_equal(y, compiled(x))


def test_errors_of_a_timed_program_are_the_same():
    compiled = wg.jit(lambda x, i: x[i] * 2.0)
    x, inside, outside = np.arange(5.0), np.array([1, 2]), np.array([1, 7])
    compiled(x, inside)
    timing.start()
    try:
        assert np.array_equal(compiled(x, inside), [2.0, 4.0])
        with pytest.raises(IndexError, match="out of bounds"):
            compiled(x, outside)
    finally:
        timing.stop()
    with pytest.raises(IndexError, match="out of bounds"):
        compiled(x, outside)


def test_a_program_made_while_timing_is_timed_and_freed():
    timing.start()
    try:
        compiled = wg.jit(lambda x: np.cosh(x) * 3.25)
        compiled(np.ones(11))
        compiled(np.ones(11))
        assert [v.reading().runs[0] for _, v in timing.variants()] == [2]
    finally:
        timing.stop()
    assert compiled(np.ones(11))[0] == np.cosh(1.0) * 3.25


def test_starting_twice_stops_with_the_second():
    x, compiled = np.ones(9), wg.jit(lambda x: x - 0.125)
    compiled(x)
    timing.start()
    timing.start()
    timing.stop()
    try:
        compiled(x)
        assert timing.active() and len(timing.variants()) == 1
    finally:
        timing.stop()
    assert not timing.active()


def test_clocks_begin_at_zero_again():
    x, compiled = np.ones(9), wg.jit(lambda x: x - 0.375)
    for times in (3, 2):
        timing.start()
        try:
            for _ in range(times):
                compiled(x)
            ((_, variant),) = timing.variants()
            assert list(variant.reading().runs) == [times]
        finally:
            timing.stop()


def test_many_threads_at_once():
    compiled = wg.jit(lambda x: np.sin(x) * np.cos(x) + x)
    xs = [RNG.normal(size=20_000) for _ in range(6)]
    wanted = [compiled(x) for x in xs]
    wrong, enough = [], threading.Event()

    def work(x, want):
        while not enough.is_set():
            if compiled(x).tobytes() != want.tobytes():
                wrong.append(x)

    threads = [threading.Thread(target=work, args=pair) for pair in zip(xs, wanted, strict=True)]
    for thread in threads[:3]:
        thread.start()
    timing.start()
    try:
        for thread in threads[3:]:
            thread.start()
        sleep(0.3)
        enough.set()
        for thread in threads:
            thread.join()
        ((_, variant),) = timing.variants()
        calls = variant.calls()
    finally:
        enough.set()
        timing.stop()
    assert not wrong
    assert len({int(c) for c in calls[:, 0]}) == 6
    assert (np.diff(calls[:, 1:], axis=1) >= 0).all()


def test_code_of_another_tier_is_timed_anew():
    with wg.config.override(tiered="always", disk_cache=False):
        compiled = wg.jit(lambda x: np.exp(x) - 4.5)
        x = np.ones(33)
        compiled(x)
    (executable,) = [e for e in list(engine.made) if e.lowered.flops and e._codes and e.tier is native.FIRST and
                     [a.shape for a in e.lowered.ins] == [(33,)]]  # fmt: skip
    timing.start()
    try:
        compiled(x)
        executable.recompile(native.FULL)
        compiled(x)
        assert [v.tier.name for _, v in timing.variants()] == ["first", "full"]
    finally:
        timing.stop()
    executable.recompile(native.FULL)
    assert np.allclose(compiled(x), np.exp(x) - 4.5)


def test_the_text_without_clocks_has_none():
    compiled = wg.jit(lambda x: np.exp(x) - 6.5)
    compiled(np.ones(12))
    executable = next(e for e in list(engine.made) if [a.shape for a in e.lowered.ins] == [(12,)])
    text = executable.lowered.text
    timing.start()
    try:
        compiled(np.ones(12))
    finally:
        timing.stop()
    assert executable.lowered.text is text and "clock" not in text
    assert all(spec.words[0] == executable._run for spec in list(executable._specs))
