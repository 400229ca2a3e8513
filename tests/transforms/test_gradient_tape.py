"""GradientTape as people know it from TensorFlow."""

import threading

import numpy as np
import pytest

import wengert as wg

X = np.array([2.0, 3.0])


def test_gradient_of_a_block():
    w = np.array([1.0, 2.0])
    with wg.GradientTape() as tape:
        x, v = tape.watch((X, w))
        z = (x * v).sum()
    gx, gv = tape.gradient(z, [x, v])
    np.testing.assert_array_equal(gx, w)
    np.testing.assert_array_equal(gv, X)
    assert float(z) == 8.0  # the block is over: the value is a number


def test_spent_and_persistent():
    with wg.GradientTape() as tape:
        x = tape.watch(X)
        y = np.sum(x * x)
    tape.gradient(y, x)
    with pytest.raises(wg.errors.TapeError, match=r"persistent=True"):
        tape.gradient(y, x)
    with wg.GradientTape(persistent=True) as tape:
        x = tape.watch(X)
        y = x * x
    np.testing.assert_array_equal(tape.gradient(y, x), tape.gradient(y, x))


def test_unconnected():
    with wg.GradientTape(persistent=True) as tape:
        x, y = tape.watch((X, X))
        z = np.sum(x)
    assert tape.gradient(z, [x, y])[1] is None
    np.testing.assert_array_equal(tape.gradient(z, [x, y], unconnected="zero")[1], 0.0)
    with pytest.raises(wg.errors.Unconnected, match="source 1"):
        tape.gradient(z, [x, y], unconnected="raise")
    with pytest.raises(wg.errors.TapeError, match="does not know"):
        tape.gradient(z, [X])


def test_output_gradients_and_many_targets():
    with wg.GradientTape(persistent=True) as tape:
        x = tape.watch(X)
        a, b = x * x, x * 3
    np.testing.assert_array_equal(tape.gradient(a, x, output_gradients=np.array([1.0, 10.0])), [4.0, 60.0])
    np.testing.assert_array_equal(tape.gradient([a, b], x), 2 * X + 3)
    np.testing.assert_array_equal(tape.gradient({"a": a}, {"x": x}, {"a": X})["x"], 2 * X * X)


def test_intermediate_sources():
    with wg.GradientTape(persistent=True) as tape:
        x = tape.watch(X)
        y = x * x
        z = np.sum(y * x)
    np.testing.assert_array_equal(tape.gradient(z, y), X)
    gx, gy = tape.gradient(z, [x, y])
    np.testing.assert_array_equal(gx, 3 * X * X)
    np.testing.assert_array_equal(gy, X)


def test_nested_tapes_record_gradients():
    with wg.GradientTape() as outer:
        x = outer.watch(2.0)
        with wg.GradientTape() as inner:
            y = inner.watch(x)
            z = y**3
        g = inner.gradient(z, y)
    assert outer.gradient(g, x) == 12.0


def test_watching_inner_tensors_on_an_outer_tape_raises():
    with wg.GradientTape() as outer, wg.GradientTape() as inner:
        x = inner.watch(X)
        with pytest.raises(wg.errors.TracerLeak, match="outer tape first"):
            outer.watch(x)


def test_jacobian_and_batch_jacobian():
    m = np.arange(6.0).reshape(3, 2) + 1
    with wg.GradientTape(persistent=True) as tape:
        x = tape.watch(m)
        y = x * x[:, :1]
        c = tape.watch(1.0)
    full = tape.jacobian(y, x)
    assert full.shape == (3, 2, 3, 2)
    per = tape.batch_jacobian(y, x)
    np.testing.assert_allclose(per, np.stack([full[i, :, i] for i in range(3)]))
    assert tape.jacobian(y, c) is None
    np.testing.assert_array_equal(tape.jacobian(y, c, unconnected="zero"), np.zeros((3, 2)))


def test_stop_recording_and_reset():
    with wg.GradientTape() as tape:
        x = tape.watch(X)
        with tape.stop_recording():
            c = x * 100
        y = np.sum(x * c)
        np.testing.assert_array_equal(tape.gradient(y, x), 100 * X)
        tape.reset()
        x = tape.watch(X)
        y = np.sum(x * x)
    np.testing.assert_array_equal(tape.gradient(y, x), 2 * X)


def test_body_cannot_be_adopted_and_says_so():
    import math

    with wg.GradientTape() as tape:
        x = tape.watch(X)
        for lossy in (
            lambda: math.sin(x[0]),
            lambda: float(x[0]),
            lambda: np.array([x[0], x[1]]),
            lambda: np.asarray(x),
        ):
            with pytest.raises(wg.errors.ConcretizationError, match="derivative"):
                lossy()
        buffer = np.zeros(2)
        with pytest.raises((wg.errors.ConcretizationError, ValueError)):
            buffer[0] = x[0]


def test_integers_raise():
    with wg.GradientTape() as tape, pytest.raises(wg.errors.DTypeError, match="int64"):
        tape.watch(np.arange(3, dtype=np.int64))


def test_tapes_of_threads_are_independent():
    results = {}

    def work(k):
        with wg.GradientTape() as tape:
            x = tape.watch(np.full(50, float(k)))
            y = x
            for _ in range(50):
                y = y * 1.0 + x * 0.0
            z = np.sum(y * x)
        results[k] = tape.gradient(z, x)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(8)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    for k, g in results.items():
        np.testing.assert_allclose(g, 2.0 * k)


def test_memory_is_freed_without_the_collector():
    import gc
    import weakref

    gc.collect()
    gc.disable()
    try:
        with wg.GradientTape(persistent=True) as tape:
            x = tape.watch(np.ones(10))
            y = np.exp(x)
            z = np.sum(y * y)
        tape.gradient(z, x)
        alive = weakref.ref(y._value)
        del tape, x, y, z
        assert alive() is None
    finally:
        gc.enable()
