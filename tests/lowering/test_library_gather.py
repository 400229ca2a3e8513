"""Indexing with arrays as library kernels, against NumPy."""

import numpy as np
import pytest

from wengert.ops.index import ARRAY, index, index_put, native, scatter_add

DTYPES = [np.float32, np.float64]
A, S = ARRAY, slice(None)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("op", [index, scatter_add, index_put], ids=lambda op: op.name)
def test_samples(emitted, op, dtype):
    rng = np.random.default_rng(0)
    seen = 0
    for sample in op.samples:
        arrays = sample.build(rng, dtype)
        got = emitted(op, *arrays, **sample.params)
        if len(arrays) == (2 if op is index_put else 1) or not np.size(arrays[0]):
            assert got is None
            continue
        seen += 1
        np.testing.assert_array_equal(got, op.eval(*arrays, **sample.params))
    assert seen >= 3


SPECS = [
    ((A,), (7,)), ((A,), (7, 3)), ((A,), (7, 40)), ((A, A), (7, 5)), ((S, A), (3, 7)), ((S, A), (3, 7, 33)),
    ((A, S, A), (7, 3, 5)), ((slice(None, None, -2), A, slice(1, 3)), (4, 7, 5)), ((None, A, S), (7, 4)),
    ((A, None, A), (7, 5)), ((S, A, A, slice(3, None, -1)), (2, 7, 5, 6)), ((S, A, S, A), (2, 7, 3, 5)),
    ((A, slice(2, 4)), (7, 70)),
]  # fmt: skip
SHAPES = [((9,), (9,)), ((2, 3), (3,)), ((), ()), ((3, 1), (1, 600)), ((1100,), (1100,)), ((4, 20), (4, 1))]


@pytest.mark.parametrize("dtype", [np.float64, np.int8])
@pytest.mark.parametrize(("spec", "shape"), SPECS)
def test_specs(emitted, spec, shape, dtype):
    rng = np.random.default_rng(1)
    entries = spec if isinstance(spec, tuple) else (spec,)
    count = sum(s is A for s in entries)
    axes = [i for i, s in enumerate(s for s in entries if s is not None) if s is A]
    for trial, shapes in enumerate(SHAPES):
        kind = [np.int64, np.int32, np.uint8][trial % 3]
        arrays = [
            rng.integers(0 if kind is np.uint8 else -shape[a], shape[a], s).astype(kind) for a, s in zip(axes, shapes)
        ]
        if trial % 2:
            arrays = [np.asarray(a.copy("F")) for a in arrays]
        x = rng.integers(-50, 50, shape).astype(dtype)
        for v in (x, np.asfortranarray(x), np.flip(x))[trial % 3 :][:1]:
            got = emitted(index, v, *arrays[:count], spec=spec)
            np.testing.assert_array_equal(got, v[native(spec, arrays[:count])])
        part = x[native(spec, arrays[:count])]
        random, constant = rng.integers(-50, 50, part.shape).astype(dtype), np.broadcast_to(dtype(3), part.shape)
        for y in (constant if trial == 1 else random,):
            got = emitted(scatter_add, y, *arrays[:count], spec=spec, shape=shape)
            np.testing.assert_array_equal(got, scatter_add.eval(y, *arrays[:count], spec=spec, shape=shape))
            if trial % 2 == 0:
                for value in (y, y[(0,) * y.ndim]) if trial else (y[..., :1] if y.ndim else y,):
                    got = emitted(index_put, np.flip(x), value, *arrays[:count], spec=spec)
                    np.testing.assert_array_equal(got, index_put.eval(np.flip(x), value, *arrays[:count], spec=spec))


def test_sums_are_made_in_order(emitted):
    rng = np.random.default_rng(2)
    i = rng.integers(0, 5, 3000)
    for shape in ((3000,), (3000, 3), (3000, 37)):
        y = rng.normal(size=shape) * 10.0 ** rng.integers(-8, 8, shape)
        want = np.zeros((5, *shape[1:]))
        np.add.at(want, i, y)
        np.testing.assert_array_equal(emitted(scatter_add, y, i, spec=(A,), shape=want.shape), want)


def test_unique_places_are_written(emitted):
    y = np.array([-0.0, 2.0])
    got = emitted(scatter_add, y, np.array([2, 0]), spec=(A,), shape=(3,), unique=True)
    np.testing.assert_array_equal(np.signbit(got), [False, False, True])


@pytest.mark.parametrize("bad", [3, -4, 2**40, -(2**62)])
@pytest.mark.parametrize("row", [(), (5,)])
@pytest.mark.parametrize("count", [4, 700])
def test_indices_out_of_bounds(emitted, bad, row, count):
    i = np.zeros(count, np.int64)
    i[count - 2] = bad
    x, y = np.ones((2, 3, *row)), np.ones((2, count, *row))
    match = r"^index is out of bounds for axis 1 with size 3$"
    with pytest.raises(IndexError, match=match):
        emitted(index, x, i, spec=(S, A))
    with pytest.raises(IndexError, match=match):
        emitted(scatter_add, y, i, spec=(S, A), shape=x.shape)
    with pytest.raises(IndexError, match=match):
        emitted(index_put, x, y, i, spec=(S, A))
    i[count - 2] = -3
    np.testing.assert_array_equal(emitted(index, x, i, spec=(S, A)), x[:, i])


def test_what_is_declined(emitted):
    assert emitted(index, np.ones(3), np.array([True, False, True]), spec=(A,)) is None
    assert emitted(index, np.ones((3, 0)), np.array([1]), spec=(A,)) is None
    assert emitted(index, np.ones(3), spec=1) is None
