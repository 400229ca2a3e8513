"""Events: who listens hears what happens, and nobody else pays."""

import collections

import numpy as np
import pytest

import wengert as wg
from wengert.core import events
from wengert.core.sizes import bytes_of, shown
from wengert.core.source import is_backward, lineno


def loss(x, w):
    h = np.tanh(x @ w) + 1.0
    z = np.zeros(3)
    z[0] = h[0, 0]
    return (h * h).sum() + z.sum()


X, W = np.ones((4, 3)), np.linspace(0.0, 1.0, 9).reshape(3, 3)


def test_every_row_is_told_with_its_value():
    told = []
    with events.listening(recorded=lambda tape, row, out: told.append((tape, row, np.shape(out)))):
        _, pull = wg.vjp(lambda w: loss(X, w), W)
    tape = told[0][0]
    assert [row for t, row, _ in told if t is tape] == tape.program.eqns
    assert all(row[2].shape == shape for _, row, shape in told)
    pull(1.0)


def test_pullbacks_and_sums_are_told():
    counts = collections.Counter()
    with events.listening(
        cotangent=lambda row, ct, cts, began, ended: counts.update([row[0].name, "long" if ended < began else "good"]),
        accumulated=lambda var, contribution, total: counts.update(["sums"]),
        swept=lambda program, began, ended: counts.update(["sweeps"]),
    ):
        observed = wg.grad(loss, argnums=1)(X, W)
    assert counts["matmul"] == counts["tanh"] == counts["sweeps"] == 1
    assert counts["sums"] >= 1  # h is used three times
    assert not counts["long"]
    np.testing.assert_array_equal(observed, wg.grad(loss, argnums=1)(X, W))


def test_executed_tells_op_and_time():
    told = []
    with events.listening(executed=lambda op, args, out, began, ended, source: told.append((op.name, lineno(source)))):
        wg.grad(loss, argnums=1)(X, W)
    assert [name for name, _ in told[:3]] == ["matmul", "tanh", "add"]
    assert len({line for _, line in told}) >= 3


def test_subscriptions_end():
    calls = []
    end = events.subscribe("swept", lambda *what: calls.append(what))
    wg.grad(np.sum)(W)
    end()
    end()
    wg.grad(np.sum)(W)
    assert len(calls) == 1
    assert not any(events.KINDS.values())
    with pytest.raises(ValueError, match="recorded"):
        events.subscribe("cooked", print)


def test_whoever_depends_on_listeners_is_told():
    seen = []
    events.when_changed(lambda: seen.append(len(events.swept)))
    with events.listening(swept=lambda *_: None):
        pass
    assert seen == [1, 0]
    events._when_changed.pop()


def test_staged_pullbacks_stand_at_the_line_of_their_op():
    program = wg.trace(wg.grad(loss, argnums=1), X, W)
    rows = [row for row in program.equations() if row.source]
    forward = {lineno(r.source) for r in rows if not is_backward(r.source)}
    backward = {lineno(r.source) for r in rows if is_backward(r.source)}
    assert backward and backward <= forward | backward
    assert [is_backward(r.source) for r in rows] == sorted(is_backward(r.source) for r in rows)
    code = loss.__code__
    assert {r.source[0] for r in rows} == {code}
    assert all(code.co_firstlineno < line <= code.co_firstlineno + 4 for line in backward)


@pytest.mark.parametrize(
    ("text", "size"), [("64 MiB", 64 << 20), ("1.5GB", 1_500_000_000), (12, 12), ("300 kb", 300_000), ("7", 7)]
)
def test_sizes(text, size):
    assert bytes_of(text) == size


@pytest.mark.parametrize("bad", ["", "MiB", "-3", "3 parsecs", -1, float("nan"), True])
def test_what_is_no_size(bad):
    with pytest.raises(ValueError, match="number of bytes"):
        bytes_of(bad)


def test_shown():
    assert [shown(n) for n in (0, 512, 1536, 64 << 20, 3 << 40, -2048)] == [
        "0 B",
        "512 B",
        "1.5 KiB",
        "64.0 MiB",
        "3072 GiB",
        "-2.0 KiB",
    ]
