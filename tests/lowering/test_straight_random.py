"""Random bodies of small values: loops and branches within each other, as straight-line code, against the ops' evaluation."""

import numpy as np
import pytest

import wengert as wg
from wengert.core.aval import Aval
from wengert.ops.index import ARRAY, index, index_put, scatter_add
from wengert.passes.pipeline import optimise
from wengert.runtime import engine
from wengert.trace.stage import stage
from wengert.transforms.control.scan import scan
from wengert.transforms.control.switch import switch
from wengert.transforms.control.while_loop import while_loop, while_pullback

SHAPES = [(), (3,), (2, 3), (1,), (12,), (3, 3)]
DTYPES = ["f8", "f8", "f4", "i8", "i4", "?"]


def staged(fun, avals):
    return stage(lambda *v: tuple(fun(*v)), avals)[0]


def aval(x):
    return Aval(x.shape, x.dtype)


class Bodies:
    """Random functions of lists of values. Values stay within bounds, so that errors do not grow."""

    def __init__(self, seed):
        self.rng = np.random.default_rng(seed)

    def pick(self, values, test=lambda v: True):
        found = [v for v in values if test(v)]
        return found[self.rng.integers(len(found))] if found else None

    def floats(self, values):
        return self.pick(values, lambda v: v.dtype.kind == "f")

    def extended(self, values, steps, depth):
        """`values`, and what random steps make of them."""
        values = list(values)
        for _ in range(steps):
            kinds = "arithmetic function compare where reduce move reshape gather scatter put product matrix cumsum cast".split()
            kinds += ["scan", "switch", "repeat", "pullback"] * bool(depth)
            new = getattr(self, str(self.rng.choice(kinds)))(values, depth)
            if new is not None:
                values += new if isinstance(new, list) else [new]
        return values

    def kept(self, x, like):
        """`x` brought to the shape and dtype of `like`."""
        x = np.sum(x) if x.shape != like.shape else x
        return np.broadcast_to(x, like.shape).astype(like.dtype) if x.shape != like.shape else x.astype(like.dtype)

    def arithmetic(self, values, depth):
        x, y = self.pick(values), self.pick(values)
        if x.shape != y.shape and x.shape and y.shape:
            y = y.ravel()[0]
        which = self.rng.integers(4)
        if x.dtype.kind == "b" or y.dtype.kind == "b":
            x, y = x * 1, y * 1
        return [lambda: x + y, lambda: x - y, lambda: np.maximum(x, y), lambda: np.tanh(x * 1.0) * np.tanh(y * 1.0)][
            which
        ]()

    def function(self, values, depth):
        x = self.floats(values)
        return None if x is None else self.pick([np.sin, np.tanh, np.arctan, lambda v: np.exp(-v * v), abs])(x)

    def compare(self, values, depth):
        x = self.pick(values)
        return x > 0 if self.rng.integers(2) else x * 1 <= np.sum(x * 1)

    def where(self, values, depth):
        x, y = self.floats(values), self.floats(values)
        if x is None:
            return None
        return np.where(x > 0.1, x, 0.5 if x.shape != y.shape else y)

    def reduce(self, values, depth):
        x = self.pick(values, lambda v: v.ndim > 0)
        if x is None:
            return None
        how = self.pick([np.sum, np.max, np.min, np.any, np.all, np.mean])
        return how(
            x * 1.0 if how is np.mean else x, axis=int(self.rng.integers(x.ndim)) if self.rng.integers(2) else None
        )

    def move(self, values, depth):
        x = self.pick(values, lambda v: v.ndim > 0)
        if x is None:
            return None
        return self.pick(
            [lambda: x[::-1], lambda: x.T, lambda: x[..., :1], lambda: x[0], lambda: np.stack([x, x])[1:]]
        )()

    def reshape(self, values, depth):
        x = self.pick(values, lambda v: v.shape in [(12,), (2, 3), (3, 3)])
        return None if x is None else x.reshape((3, -1)).T.ravel()[: x.size].reshape(x.shape)

    def number(self, values, n):
        """An index into `n`, which may be negative."""
        i = self.pick(values, lambda v: v.dtype.kind == "i" and v.shape == ())
        return np.int64(self.rng.integers(-n, n)) if i is None else i % (2 * n) - n

    def gather(self, values, depth):
        x = self.pick(values, lambda v: v.ndim > 0)
        if x is None:
            return None
        i = self.number(values, x.shape[0])
        return index(x, i, spec=(ARRAY,)) if self.rng.integers(2) else index(x, np.stack([i, i * 0]), spec=(ARRAY,))

    def scatter(self, values, depth):
        x = self.floats(values)
        if x is None:
            return None
        n = int(self.pick([5, 12]))
        return scatter_add(np.sum(x), self.number(values, n), spec=(ARRAY,), shape=(n,)) * 1.0

    def put(self, values, depth):
        x = self.pick(values, lambda v: v.ndim == 1)
        if x is None:
            return None
        return index_put(
            x, self.kept(self.pick(values), np.zeros((), x.dtype)), self.number(values, len(x)), spec=(ARRAY,)
        )

    def product(self, values, depth):
        x = self.pick(values, lambda v: v.dtype == float and v.ndim == 2)
        if x is None:
            return None
        return np.tanh(x @ x.T) if self.rng.integers(2) else np.tanh(np.einsum("ij,ij->i", x, x))

    def matrix(self, values, depth):
        x = self.pick(values, lambda v: v.dtype == float and v.shape == (3, 3))
        if x is None:
            return None
        regular = np.tanh(x) + 4.0 * np.eye(3)
        return self.pick([np.linalg.inv, np.linalg.det, lambda v: np.linalg.solve(v, v[0])])(regular)

    def cumsum(self, values, depth):
        x = self.pick(values, lambda v: v.ndim == 1 and v.dtype.kind in "fi")
        return None if x is None else np.cumsum(x)

    def cast(self, values, depth):
        x = self.pick(values)
        return np.clip(x * 1, -100, 100).astype(self.pick(["f8", "f4", "i8", "i4", "i1"]))

    # ── loops and branches ────────────────────────────────────────────────────

    def function_of(self, given, results, depth, extra=0):
        """A program of values like `given`, whose results are like `results`, and `extra` others."""

        def body(*values):
            made = self.extended(values, int(self.rng.integers(1, 5)), depth - 1)
            outs = [self.bounded(self.kept(self.pick(made), like)) for like in results]
            return [*outs, *(self.bounded(self.pick(made)) for _ in range(extra))]

        return staged(body, [aval(v) for v in given])

    def bounded(self, x):
        if x.dtype.kind == "f":
            return np.tanh(x)
        return x if x.dtype.kind == "b" else x % np.asarray(7, x.dtype)

    def split(self, values):
        """Some values to carry, and others."""
        order = self.rng.permutation(len(values))[:6]
        n = int(self.rng.integers(0, 3))
        return [values[i] for i in order[:n]], [values[i] for i in order[n:]]

    def scan(self, values, depth):
        carry, consts = self.split(values)
        length = int(self.rng.integers(0, 8))
        xs = [x for x in [self.floats(values)] if x is not None]
        rows = [np.stack([x * (1.0 - 0.1 * i) for i in range(length)]).astype(x.dtype) for x in xs] if length else []
        body = self.function_of([*consts, *carry, *xs[: len(rows)]], carry, depth, extra=1)
        return list(scan(
            *consts, *carry, *rows, body=body, consts=len(consts), carries=len(carry), length=length,
            reverse=bool(self.rng.integers(2)), unroll=1,
        ))  # fmt: skip

    def switch(self, values, depth):
        results, others = self.split(values)
        given = [*others, *results]
        branches = tuple(self.function_of(given, results, depth) for _ in range(self.rng.integers(1, 4)))
        return list(switch(self.number(values, 3), *given, branches=branches)) if results else None

    def counting(self, given):
        """A predicate that holds a few times; the counter is the last value."""
        trips = int(self.rng.integers(0, 6))
        return staged(lambda *v: [v[-1] < trips], [aval(v) for v in given])

    def program_counting(self, program):
        """The same program, which counts besides."""

        def body(*values):
            return [*program.run(*values[:-1]), values[-1] + 1]

        return body

    def repeat(self, values, depth):
        carry, consts = self.split(values)
        zero = np.int64(0) + self.number(values, 3) * 0
        inner = self.function_of([*consts, *carry], carry, depth)
        given = [*consts, *carry, zero]
        body = staged(self.program_counting(inner), [aval(v) for v in given])
        return list(while_loop(*given, cond=self.counting(given), body=body, consts=len(consts)))

    def pullback(self, values, depth):
        carry, consts = self.split([v for v in values if v.dtype == float])
        if not carry:
            return None
        zero = np.int64(0) + self.number(values, 3) * 0
        inner = self.function_of([*consts, *carry], carry, depth, extra=1)
        given = [*consts, *carry, zero]

        def onwards(*v):
            *outs, residual = inner.run(*v[:-1])
            return [*outs, v[-1] + 1, residual, v[0]]

        forward = staged(onwards, [aval(v) for v in given])
        residuals = [a.aval for a in forward.outs[len(carry) + 1 :]]
        found = [*carry, carry[0]]

        def back(*v):
            made = self.extended(v, 3, depth - 1)
            return [self.bounded(self.kept(self.pick(made), like)) for like in found]

        backward = staged(back, [*(aval(v) for v in [*consts, *found]), *residuals])
        how = {"cond": self.counting(given), "forward": forward, "backward": backward, "consts": len(consts)}
        return list(while_pullback(*given, *carry, carries=len(carry) + 1, **how))


def made(seed):
    """A program with a loop, and values for it."""
    bodies = Bodies(seed)
    rng = bodies.rng
    values = [
        np.asarray(rng.normal(size=s).astype(d) if d[0] == "f" else rng.integers(0, 2 if d == "?" else 9, s).astype(d))
        for s, d in zip(SHAPES, rng.permutation(DTYPES), strict=True)
    ]
    kind = str(rng.choice(["scan", "switch", "repeat", "pullback"]))

    def whole(*v):
        return getattr(bodies, kind)(list(v), 1 + int(rng.integers(2))) or [v[0]]

    return staged(whole, [aval(v) for v in values]), values


def check(seed, tier="first"):
    program, values = made(seed)
    program, _ = optimise(program)
    want = program.run(*values)
    with wg.config.override(disk_cache=False):
        executable = engine.compile(program, tier=tier)
    for w, g in zip(want, executable(*values), strict=True):
        assert g.dtype == np.asarray(w).dtype and g.shape == np.shape(w), seed
        single = any(v.dtype == np.float32 for v in values)
        np.testing.assert_allclose(
            g, w, rtol=1e-3 if single else 1e-8, atol=1e-3 if single else 1e-8, err_msg=str(seed)
        )
    return any(k.note == "straight-line code" for k in executable.lowered.kernels)


@pytest.mark.parametrize("first", range(0, 80, 20))
def test_random_bodies(first):
    straight = [check(seed) for seed in range(first, first + 20)]
    assert sum(straight) > 4
