"""Linear recurrences as library kernels, against the op and against a loop."""

import numpy as np
import pytest

from wengert.ops.scan import recurrence


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_samples(emitted, dtype):
    rng = np.random.default_rng(0)
    for sample in recurrence.samples:
        arrays = sample.build(rng, dtype)
        want = recurrence.eval(*arrays, **sample.params)
        np.testing.assert_allclose(emitted(recurrence, *arrays, **sample.params), want, rtol=30 * np.finfo(dtype).eps)


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize(
    ("shape", "axis"),
    [((30,), 0), ((1,), 0), ((8, 9), 1), ((21, 40), 1), ((3, 7, 11), 1), ((5, 33), 0), ((4, 1, 3), 1)],
)
def test_shapes(emitted, shape, axis, reverse):
    rng = np.random.default_rng(1)
    a, b = rng.uniform(-1, 1, (2, *shape))
    a[rng.random(shape) < 0.05] = np.inf
    b[rng.random(shape) < 0.2] = 0
    rows, x = np.moveaxis(a, axis, 0), np.moveaxis(b, axis, 0)
    order = range(shape[axis])[:: -1 if reverse else 1]
    y = np.zeros_like(x)
    last = np.zeros(x.shape[1:])
    for i in order:
        with np.errstate(invalid="ignore"):
            last = np.where(last == 0, 0, rows[i] * last) + x[i]
        y[i] = last
    got = emitted(recurrence, a, b, axis=axis, reverse=reverse)
    np.testing.assert_allclose(got, np.moveaxis(y, 0, axis), rtol=1e-13)
