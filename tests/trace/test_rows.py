"""Rows whose residuals are put away: packed once, fetched as they were, protected meanwhile."""

import gc
import weakref

import numpy as np
import pytest

import wengert as wg
from wengert.graph.program import Away
from wengert.trace.rows import HookedTape, PackedRows
from wengert.trace.tape import Tape

RNG = np.random.default_rng(0)
X, W = RNG.normal(size=(7, 5)), RNG.normal(size=(5, 5))


def loss(w, x):
    h = np.tanh(x @ w)
    h = np.tanh(h @ w.T) * np.sin(h)
    return (h * h).sum()


def identity(a):
    return a


def test_rows_are_a_plain_list_outside_of_a_block():
    with wg.GradientTape() as tape:
        tape.watch(X)
        assert type(tape.program.eqns) is list
        assert type(tape._tape) is Tape


def test_each_array_is_packed_once():
    seen = []

    def pack(a):
        seen.append(a)
        return a

    with wg.saved_tensors_hooks(pack, identity), wg.GradientTape() as tape:
        w = tape.watch(W)
        h = X @ w  # X
        h2 = h @ w.T  # h, and w as its transpose
        h3 = h2 * h2  # h2 twice
        out = (h3 @ w).sum() + (h3.reshape(5, 7) * 2.0).sum()  # h3, w once more
    addresses = [a.__array_interface__["data"][0] for a in seen]
    assert len(addresses) == len(set(addresses)) == 5  # X, w, h, h2, h3
    gradient = tape.gradient(out, w)

    def plain(w):
        h2 = X @ w @ w.T
        h3 = h2 * h2
        return (h3 @ w).sum() + (h3.reshape(5, 7) * 2.0).sum()

    np.testing.assert_array_equal(gradient, wg.grad(plain)(W))


def test_a_transpose_and_a_reshape_come_back_as_such():
    def f(x):
        y = np.exp(x)
        return (y * y).sum() + (y.T @ y).sum() + (y.reshape(-1) * y.reshape(-1)[::-1]).sum() + (y[::2] * y[::2]).sum()

    count = [0]

    def pack(a):
        count[0] += 1
        return a.copy()

    with wg.saved_tensors_hooks(pack, identity):
        found = wg.grad(f)(X)
    np.testing.assert_array_equal(found, wg.grad(f)(X))
    assert count[0] <= 4  # y; its reverse; its slice


def test_rows_show_what_is_away_and_count_no_bytes():
    with wg.saved_tensors_hooks(lambda a: a.tobytes(), lambda b: np.frombuffer(b)), wg.GradientTape() as tape:
        w = tape.watch(W)
        np.tanh(X @ w).sum()
        rows = tape.program.eqns
        assert type(rows) is PackedRows
        assert type(tape._tape) is HookedTape
        kept = [x for row in rows for x in row[4] if x is not None]
        assert kept
        assert all(isinstance(x, Away) and x.present is None for x in kept)
        assert tape.program.residual_bytes() == 0


def test_packed_memory_is_freed_at_once():
    held = []

    def pack(a):
        held.append(a.nbytes)
        return a.astype(np.float32)

    with wg.GradientTape() as tape, wg.saved_tensors_hooks(pack, lambda a: a.astype(float)):
        x = tape.watch(np.ones(1000))
        h = np.exp(x)
        ref = weakref.ref(h._value)
        h = h * h
        del h
        gc.collect()
        assert ref() is None


def test_constants_stay_protected_while_they_are_packed():
    c = np.ones(3)
    with wg.saved_tensors_hooks(lambda a: a.copy(), identity), wg.GradientTape() as tape:
        x = tape.watch(np.arange(3.0))
        y = (x * c).sum()
        with pytest.raises(ValueError, match="read-only"):
            c[0] = 2.0
    np.testing.assert_array_equal(tape.gradient(y, x), np.ones(3))
    del tape, x, y
    c[0] = 2.0


def test_in_place_writes_do_not_reach_what_was_packed():
    def f(x):
        z = np.zeros(3)
        for i in range(3):
            z[i] = x[i] * x[i]
        y = z * z
        z[0] = x[1]
        return (y * z).sum()

    with wg.saved_tensors_hooks(lambda a: a.copy(), identity):
        found = wg.grad(f)(np.array([1.0, 2.0, 3.0]))
    np.testing.assert_allclose(found, wg.grad(f)(np.array([1.0, 2.0, 3.0])))


def test_a_block_within_the_function_packs_that_part():
    seen = []

    def f(x):
        a = np.exp(x)
        with wg.saved_tensors_hooks(lambda a: (seen.append(a.shape), a)[1], identity):
            b = np.tanh(a[:2])
        return (b * b).sum() + (a * a).sum()

    found = wg.grad(f)(np.arange(3.0))
    assert seen == [(2,)]
    np.testing.assert_array_equal(found, wg.grad(f)(np.arange(3.0)))


def test_after_the_block_a_tape_is_as_before():
    with wg.GradientTape() as tape:
        x = tape.watch(X)
        with wg.saved_tensors_hooks(identity, identity):
            y = np.tanh(x)
        assert type(tape._tape) is Tape
        z = (np.tanh(y) * y).sum()

    def plain(x):
        y = np.tanh(x)
        return (np.tanh(y) * y).sum()

    np.testing.assert_array_equal(tape.gradient(z, x), wg.grad(plain)(X))


def test_the_innermost_block_holds():
    outer, inner = [], []
    with wg.saved_tensors_hooks(lambda a: (outer.append(1), a)[1], identity), wg.GradientTape() as tape:
        x = tape.watch(X)
        y = np.tanh(x)
        assert (len(outer), len(inner)) == (1, 0)
        with wg.saved_tensors_hooks(lambda a: (inner.append(1), a)[1], identity):
            z = np.tanh(y)
            assert (len(outer), len(inner)) == (1, 1)
        w = np.tanh(z)
        assert (len(outer), len(inner)) == (2, 1)
        total = w.sum()
    np.testing.assert_allclose(tape.gradient(total, x), wg.grad(lambda x: np.tanh(np.tanh(np.tanh(x))).sum())(X))


def test_residuals_that_nobody_needs_are_not_unpacked():
    fetched = []
    with wg.saved_tensors_hooks(identity, lambda a: (fetched.append(a.shape), a)[1]), wg.GradientTape() as tape:
        x = tape.watch(X)
        np.exp(x[:3])  # leads nowhere
        y = np.exp(x).sum()
    tape.gradient(y, x)
    assert fetched == [(7, 5)]


@pytest.mark.parametrize(
    "given", [lambda a: a[:1], lambda a: a.astype(np.float32), lambda a: a.tolist(), lambda a: None]
)
def test_what_unpack_gives_is_checked(given):
    with wg.saved_tensors_hooks(identity, given), pytest.raises(wg.errors.TapeError, match="from unpack") as caught:
        wg.grad(loss)(W, X)
    assert "test_rows.py" in str(caught.value)


def test_hooks_do_not_see_what_hooks_do():
    count = [0]

    def pack(a):
        count[0] += 1
        wg.grad(lambda x: (x * x).sum())(np.ones(3))
        return a

    with wg.saved_tensors_hooks(pack, identity):
        wg.grad(np.sum)(X)
        before = count[0]
        wg.grad(lambda x: np.exp(x).sum())(X)
    assert count[0] == before + 1


def test_staged_functions_refuse_a_block():
    def f(x):
        with wg.saved_tensors_hooks(identity, identity):
            return np.exp(x).sum()

    with pytest.raises(wg.errors.TapeError, match="staged"):
        wg.jit(f)(X)


def test_an_error_in_pack_leaves_at_the_users_line():
    def pack(a):
        raise RuntimeError("no room")

    w, x = W.copy(), X.copy()
    with wg.saved_tensors_hooks(pack, identity), pytest.raises(RuntimeError, match="no room"):
        wg.grad(loss)(w, x)
    w[0, 0] = x[0, 0] = 1.0  # and nothing stays protected
