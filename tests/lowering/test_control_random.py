"""Random bodies that read and change the arrays they carry, in loops and branches: compiled against the ops' evaluation."""

import numpy as np
import pytest

import wengert as wg
from wengert.core.aval import Aval
from wengert.lowering.straight import STRAIGHT
from wengert.ops.index import ARRAY, index, index_put, scatter_add
from wengert.runtime import engine
from wengert.trace.stage import stage
from wengert.transforms.control.scan import scan
from wengert.transforms.control.switch import switch

N, ROWS = 37, 5


@pytest.fixture(autouse=True, params=["structural", "any"])
def ways(request, monkeypatch):
    if request.param == "structural":
        for emitter in STRAIGHT.values():
            monkeypatch.setattr(emitter, "supports", lambda *_: False)
    engine.forget()
    yield
    engine.forget()


def staged(fun, avals):
    return stage(lambda *v: tuple(fun(*v)), avals)[0]


ARRAYS = [Aval((N,), np.dtype(float)), Aval((N,), np.dtype(float)), Aval((ROWS, N), np.dtype(float))]
NUMBERS = [Aval((), np.dtype(int)), Aval((), np.dtype(float))]


class Body:
    """`steps` random changes of three arrays, with an integer and a float at hand."""

    def __init__(self, rng, depth):
        self.rng, self.depth = rng, depth
        self.steps = [self.step() for _ in range(rng.integers(1, 6))]
        self.last = [rng.permutation(2)[0] if rng.random() < 0.1 else None for _ in range(2)]

    def step(self):
        rng = self.rng
        kinds = ["put", "add", "slice", "range", "row", "rows", "whole", "swap", "backwards", "old"]
        if self.depth:
            kinds += ["scan", "switch", "switch"]
        kind = str(rng.choice(kinds))
        inner = [Body(rng, self.depth - 1) for _ in range({"scan": 1, "switch": 2}.get(kind, 0))]
        return kind, int(rng.integers(2)), int(rng.integers(2)), int(rng.integers(1, N - 6)), inner

    def __call__(self, a, b, m, i, x):
        state, first = [a, b], [a, b]
        found = x
        for kind, k, j, at, inner in self.steps:
            u, v = state[k], state[j]
            if kind == "put":
                found = index(v, (i + at) % N, spec=(ARRAY,)) * 0.5 + found * 0.1
                state[k] = index_put(u, found, (i * 2 + at) % N, spec=(ARRAY,))
            elif kind == "add":
                where = (i + np.arange(4) * at) % N
                state[k] = u + scatter_add(
                    index(v, where, spec=(ARRAY,)) * 0.3, (where + 1) % N, spec=(ARRAY,), shape=(N,)
                )
            elif kind == "slice":
                state[k] = index_put(u, v[at : at + 5] * 0.9, spec=(slice(at - 1, at + 4),))
            elif kind == "range":
                state[k] = u + scatter_add(v[at : at + 5][::-1] * 0.2, spec=(slice(at, at + 5),), shape=(N,))
            elif kind == "row":
                m = index_put(m, u[::-1] * 0.5, (i + at) % ROWS, spec=(ARRAY, slice(None)))
            elif kind == "rows":
                state[k] = index(m, i % ROWS, spec=(ARRAY, slice(None))) * 0.7 + u * 0.1
            elif kind == "whole":
                state[k] = np.cos(u) + 0.3 * v
            elif kind == "swap":
                state = state[::-1]
            elif kind == "backwards":
                state[k] = index_put(u, u[at : at + 5][::-1], spec=(slice(at, at + 5),))
            elif kind == "old":
                found = found * 0.1 + np.sum(first[j]) * 0.01 + first[k][at]
            elif kind == "scan":
                body = staged(lambda x, a, b, m, i, f=inner[0]: f(a, b, m, i, x)[:3], [NUMBERS[1], *ARRAYS, NUMBERS[0]])
                *state, m = scan(
                    found, *state, m, i + np.arange(3), body=body, consts=1, carries=3, length=3,
                    reverse=bool(at % 2), unroll=1,
                )  # fmt: skip
            else:
                branches = [staged(f, [*ARRAYS, *NUMBERS]) for f in inner]
                *state, m, found = switch((i + at) % 2, *state, m, i, found, branches=tuple(branches))
        state = [s if k is None else state[k] for s, k in zip(state, self.last, strict=True)]
        return (*state, m, np.tanh(found))


def program(seed):
    """A loop, or two in a row, over a random body."""
    rng = np.random.default_rng(seed)
    body = Body(rng, depth=int(rng.integers(0, 3)))
    trips, reverse = int(rng.integers(0, 5)), bool(rng.integers(2))
    inner = staged(lambda x, a, b, m, i: body(a, b, m, i, x), [NUMBERS[1], *ARRAYS, NUMBERS[0]])

    def whole(x, a, b, m):
        at = np.arange(trips)
        *state, _ = scan(x, a, b, m, at, body=inner, consts=1, carries=3, length=trips, reverse=reverse, unroll=1)
        if seed % 3:
            return state
        return [*scan(x, *state, at, body=inner, consts=1, carries=3, length=trips, reverse=False, unroll=1), state[0]]

    xs = [np.asarray(rng.normal(size=aval.shape)) for aval in (NUMBERS[1], *ARRAYS)]
    return staged(whole, [NUMBERS[1], *ARRAYS]), xs


def check(seed, donated):
    made, xs = program(seed)
    want = made.run(*xs)
    with wg.config.override(disk_cache=False):
        executable = engine.compile(made, tier="first", donated=donated)
    got = executable(*[x.copy() for x in xs])
    for g, w in zip(got, want, strict=True):
        np.testing.assert_allclose(g, w, rtol=1e-9, atol=1e-9, err_msg=f"seed {seed}")
    assert not executable.lowered.host_calls


@pytest.mark.parametrize("first", range(0, 40, 10))
def test_random_bodies(first):
    for seed in range(first, first + 10):
        check(seed, frozenset({1, 3}) if seed % 2 else frozenset())
