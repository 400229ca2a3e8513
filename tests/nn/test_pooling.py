"""Pooling against PyTorch; ties, NaN, padding."""

import numpy as np
import pytest

from wengert import nn
from wengert.transforms.reverse import vjp_flat

torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
F = torch.nn.functional

MAX = [
    (1, (2, 3, 9), 2, {}),
    (1, (2, 3, 9), 3, {"stride": 2, "padding": 1}),
    (1, (3, 10), 3, {"dilation": 2, "stride": 1}),
    (2, (2, 3, 6, 7), 2, {}),
    (2, (2, 3, 6, 7), (3, 2), {"stride": (2, 1), "padding": (1, 1), "dilation": (1, 2)}),
    (2, (2, 3, 6, 7), 3, {"ceil_mode": True, "stride": 2}),
    (2, (2, 3, 7, 7), 2, {"ceil_mode": True, "stride": 3, "padding": 1}),
    (3, (1, 2, 4, 5, 4), (2, 3, 2), {"stride": (1, 2, 2)}),
]
AVG = [
    (1, (2, 3, 9), 2, {}),
    (1, (2, 3, 9), 3, {"stride": 2, "padding": 1}),
    (1, (2, 3, 9), 3, {"stride": 2, "padding": 1, "count_include_pad": False}),
    (2, (2, 3, 6, 7), (3, 2), {"stride": (2, 1), "padding": (1, 1)}),
    (2, (2, 3, 6, 7), 3, {"ceil_mode": True, "stride": 2, "padding": 1}),
    (2, (2, 3, 6, 7), 3, {"ceil_mode": True, "stride": 2, "padding": 1, "count_include_pad": False}),
    (2, (2, 3, 6, 7), 3, {"divisor_override": 5}),
    (3, (1, 2, 4, 5, 4), (2, 3, 2), {"stride": (1, 2, 2)}),
]


@pytest.mark.parametrize("n, shape, window, options", MAX)
def test_max_pool(n, shape, window, options, against_torch, rng):
    ours, theirs = getattr(nn, f"max_pool{n}d"), getattr(F, f"max_pool{n}d")
    against_torch(lambda x: ours(x, window, **options), lambda x: theirs(x, window, **options), rng.normal(size=shape))


@pytest.mark.parametrize("n, shape, window, options", AVG)
def test_avg_pool(n, shape, window, options, against_torch, rng):
    ours, theirs = getattr(nn, f"avg_pool{n}d"), getattr(F, f"avg_pool{n}d")
    against_torch(lambda x: ours(x, window, **options), lambda x: theirs(x, window, **options), rng.normal(size=shape))


@pytest.mark.parametrize("kind", ["avg", "max"])
@pytest.mark.parametrize(
    "n, shape, size",
    [
        (1, (2, 3, 10), 5),
        (1, (3, 10), 4),
        (2, (2, 3, 7, 6), (3, 2)),
        (2, (2, 3, 7, 6), (None, 5)),
        (3, (1, 2, 5, 4, 7), (2, 4, 3)),
    ],
)
def test_adaptive(kind, n, shape, size, against_torch, rng):
    ours, theirs = getattr(nn, f"adaptive_{kind}_pool{n}d"), getattr(F, f"adaptive_{kind}_pool{n}d")
    against_torch(lambda x: ours(x, size), lambda x: theirs(x, size), rng.normal(size=shape))


def test_lp_pool(against_torch, rng):
    x = rng.uniform(0.2, 2, (2, 3, 6, 7))
    against_torch(lambda x: nn.lp_pool2d(x, 3.0, 2), lambda x: F.lp_pool2d(x, 3.0, 2), x)
    against_torch(lambda x: nn.lp_pool1d(x, 2.0, 3, 2), lambda x: F.lp_pool1d(x, 2.0, 3, 2), x[0])


def test_first_of_equal_elements_is_taken(against_torch):
    x = np.array([[[0.0, 0, 0, 0, 1, 1, 0]]])
    against_torch(lambda x: nn.max_pool1d(x, 3, 1), lambda x: F.max_pool1d(x, 3, 1), x)
    _, pullback, _ = vjp_flat(lambda x: [nn.max_pool1d(x, 2)], [np.zeros((1, 1, 4))])
    np.testing.assert_array_equal(pullback([np.ones((1, 1, 2))])[0][0, 0], [1, 0, 1, 0])


def test_nan_is_a_maximum():
    x = np.array([[[0.0, np.nan, 2.0, 1.0]]])
    np.testing.assert_array_equal(nn.max_pool1d(x, 2)[0, 0], [np.nan, 2.0])


def test_infinite_cotangent_goes_to_one_element():
    _, pullback, _ = vjp_flat(lambda x: [nn.max_pool1d(x, 2)], [np.array([[[0.0, 1.0, 3.0, 2.0]]])])
    np.testing.assert_array_equal(pullback([np.array([[[np.inf, 1.0]]])])[0][0, 0], [0, np.inf, 1, 0])


def test_float32_stays(rng):
    x = rng.normal(size=(1, 2, 6)).astype("f")
    for fun in (nn.max_pool1d, nn.avg_pool1d):
        (y,), pullback, _ = vjp_flat(lambda x, fun=fun: [fun(x, 2, padding=1, stride=3)], [x])
        assert y.dtype == np.float32 and pullback([y])[0].dtype == np.float32
    assert nn.avg_pool1d(x, 3, 2, 1, count_include_pad=False).dtype == np.float32
    assert nn.adaptive_avg_pool1d(x, 4).dtype == np.float32


def test_errors():
    with pytest.raises(ValueError, match="no longer than the padded operand"):
        nn.max_pool1d(np.ones((1, 1, 2)), 3)
    with pytest.raises(ValueError, match="at least 2 axes"):
        nn.avg_pool2d(np.ones(3), 2)
