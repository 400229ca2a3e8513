"""Dtypes of control flow: compiled loops give what Python's own loops give, where Python's numbers are among the operands."""

import numpy as np
import pytest

import wengert as wg

H = np.array([1, 2, 3], np.float32)

COUNTED = {
    "add": lambda i, c: c + i,
    "divide": lambda i, c: c / (i + 1),
    "power": lambda i, c: c**i,
    "modulo": lambda i, c: c * (i % 2),
    "floor": lambda i, c: c * (i // 2),
    "negative": lambda i, c: c * -i,
    "absolute": lambda i, c: c * abs(i),
    "and": lambda i, c: c * (i & 1),
    "or": lambda i, c: c * (i | 1),
    "exclusive or": lambda i, c: c * (i ^ 1),
    "left": lambda i, c: c * (1 << i),
    "right": lambda i, c: c * (i >> 1),
    "invert": lambda i, c: c * (~i),
    "compare": lambda i, c: c * (i < 2),
    "maximum": lambda i, c: np.maximum(c, i),
    "where": lambda i, c: np.where(c > i, c, i),
    "as an operand": lambda i, c: wg.cond(i > 1, lambda c, j: c * j, lambda c, j: c + j, c, i),
    "within a branch": lambda i, c: wg.switch(i, [lambda c: c * i, lambda c: c + i, lambda c: -c], c),
    "within a loop": lambda i, c: wg.fori_loop(0, 2, lambda j, d: d * (i + 1) + j, c),
    "as a bound": lambda i, c: wg.fori_loop(0, i + 1, lambda j, d: d * (i + 1) + j, c),
    "as a start": lambda i, c: wg.while_loop(lambda s: s[0] > 0, lambda s: (s[0] - 1, s[1] * s[0]), (i, c))[1],
    "in a scan": lambda i, c: c + wg.scan(lambda d, r: (d, r * (i + 1)), 0, H)[1],
}

PYTHONS = {
    "captured by a scan": lambda h, s: wg.scan(lambda c, r: (c * s + r, c * s), h[0] * s, h),
    "captured by a branch": lambda h, s: wg.cond(h[0] > 0, lambda h: h * s, lambda h: h, h),
    "captured by a call": lambda h, s: wg.call(lambda h: h * s, h),
    "captured by a predicate": lambda h, s: wg.while_loop(lambda c: c[1] < s, lambda c: (c[0] * 2, c[1] + 1), (h, 0)),
    "operand of a branch": lambda h, s: wg.cond(h[0] > 0, lambda h, s: h * s, lambda h, s: h, h, s),
    "argument of a call": lambda h, s: wg.call(lambda h, s: h * s, h, s),
    "carry": lambda h, s: wg.scan(lambda c, r: (c * r, c * r), s, h),
    "carry that stays": lambda h, s: wg.scan(lambda c, r: (c, c * r), s, h),
    "bound": lambda h, s: wg.fori_loop(0, s, lambda i, c: c * i + s, h),
    "other bound": lambda h, s: wg.fori_loop(s, 5, lambda i, c: c / (i + 1), h),
}

CARRIES = {
    "a number that becomes an array": lambda h: wg.scan(lambda c, r: (c + r, c * r), 0.0, h),
    "a number that stays one": lambda h: wg.scan(lambda c, r: (c * 0.5, c * r), 1.0, h),
    "a count": lambda h: wg.scan(lambda c, r: (c + 1, c), 0, h),
    "a count that becomes a float": lambda h: wg.scan(lambda c, r: (c + r, c), 0, h),
    "the same in reverse": lambda h: wg.scan(lambda c, r: (c + r, c), 0, h, reverse=True),
    "a float that becomes complex": lambda h: wg.scan(lambda c, r: (c * 1j + r, np.abs(c)), 0j, h),
    "an array that becomes a number": lambda h: wg.scan(lambda c, r: (0.0, c), h[0], h),
    "a float that becomes a count": lambda h: wg.scan(lambda c, r: (0, c), h[0], h),
    "numbers that change places": lambda h: wg.while_loop(
        lambda s: s[0] < 3, lambda s: (s[0] + 1, s[2], s[1]), (0, 1.0, h[0])
    ),
    "int32": lambda h: wg.scan(lambda c, r: (c + 1, c * r), np.int32(0), h),
    "int8": lambda h: wg.scan(lambda c, r: (c * 2, c), np.int8(3), h),
    "bool": lambda h: wg.scan(lambda c, r: (c & (r < 2), np.where(c, r, 0)), True, h),
    "int32 xs": lambda h: wg.scan(lambda c, i: (c + c[i], i * 2), h, np.arange(3, dtype=np.int32)),
    "literal ys": lambda h: wg.map(lambda r: (r, 2), h),
    "literal branch": lambda h: wg.cond(h[0] > 0, lambda h: h.sum(), lambda h: 0.0, h),
    "literals in all branches": lambda h: wg.cond(h[0] > 0, lambda: 1.0, lambda: 0),
    "branches without operands": lambda h: wg.switch((h[0] > 0).astype(int), [lambda: 1.0, lambda: h[0]]),
    "no trips of a scan": lambda h: wg.scan(lambda c, r: (c + r, c * r), 0.0, h[:0]),
    "no trips of a count": lambda h: wg.fori_loop(0, 0, lambda i, c: c + h[0], 0.0),
    "no trips of a while": lambda h: wg.while_loop(lambda s: s[1] < 0, lambda s: (s[0] * h[0], s[1] + 1), (1.0, 0)),
}


def same(f, *args):
    """Eagerly, and staged (the passes run too, machine code does not)."""
    want = f(*args)
    with wg.config.override(compile=False, disk_cache=False):
        got = wg.jit(f)(*args)
    for g, w in zip(*([*o] if isinstance(o, tuple) else [o] for o in (got, want)), strict=True):
        g, w = np.asarray(g), np.asarray(w)
        assert (g.dtype, g.shape) == (w.dtype, w.shape)
        np.testing.assert_allclose(g, w, rtol=1e-6)
    return want


@pytest.mark.parametrize("name", COUNTED)
def test_a_counter_is_a_python_number(name):
    def f(h):
        return wg.fori_loop(0, 3, COUNTED[name], h)

    assert same(f, H).dtype == np.float32
    same(wg.vmap(f), np.stack([H, H * 2]))
    same(wg.grad(lambda h: f(h).sum()), H)


@pytest.mark.parametrize("name", PYTHONS)
def test_python_numbers_among_arguments(name):
    same(PYTHONS[name], H, 3 if "bound" in name else 2.0)


@pytest.mark.parametrize("name", CARRIES)
def test_carries(name):
    same(CARRIES[name], H)


def test_an_eager_loop_of_no_trips_may_have_a_body_that_asks_for_values():
    def step(s):
        return (s[0] + 1.0 if s[1] > 0 else s[0], s[1] + 1)

    assert wg.while_loop(lambda s: s[1] < 0, step, (1.0, 0)) == (1.0, 0)
