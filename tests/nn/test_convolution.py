"""Convolutions and their transposes against PyTorch."""

import numpy as np
import pytest

from wengert import nn
from wengert.ops import conv as conv_ops
from wengert.transforms.reverse import vjp_flat

torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
F = torch.nn.functional

FORWARD = [
    (1, (2, 4, 9), (6, 4, 3), {}),
    (1, (2, 4, 9), (6, 2, 3), {"stride": 2, "padding": 1, "groups": 2}),
    (1, (4, 9), (6, 4, 3), {"dilation": 3}),
    (2, (2, 3, 7, 6), (4, 3, 3, 2), {}),
    (2, (2, 3, 7, 6), (4, 3, 3, 2), {"stride": (2, 3), "padding": (2, 1), "dilation": (1, 2)}),
    (2, (2, 4, 7, 6), (8, 1, 3, 3), {"groups": 4, "padding": "same"}),
    (2, (2, 4, 7, 6), (4, 4, 2, 4), {"padding": "same", "dilation": 2}),
    (2, (3, 7, 6), (4, 3, 3, 3), {"padding": "valid", "stride": 2}),
    (2, (2, 3, 5, 5), (4, 3, 1, 1), {}),
    (3, (1, 2, 5, 4, 6), (4, 1, 2, 3, 2), {"groups": 2, "stride": (1, 2, 1), "padding": 1}),
]
BACKWARD = [
    (1, (2, 4, 5), (4, 3, 3), {}),
    (1, (2, 4, 5), (4, 3, 3), {"stride": 2, "padding": 1, "output_padding": 1, "groups": 2}),
    (1, (4, 5), (4, 3, 3), {"stride": 3, "dilation": 2}),
    (2, (2, 4, 3, 4), (4, 2, 3, 2), {}),
    (2, (2, 4, 3, 4), (4, 2, 3, 2), {"stride": (2, 3), "padding": (1, 0), "output_padding": (1, 2)}),
    (2, (2, 4, 3, 4), (4, 1, 3, 3), {"groups": 4, "stride": 2, "dilation": (2, 1)}),
    (2, (2, 4, 3, 4), (4, 1, 3, 3), {"stride": 1, "dilation": 2, "output_padding": 1}),
    (3, (1, 2, 3, 2, 3), (2, 2, 2, 3, 2), {"stride": (1, 2, 1), "padding": (0, 1, 1)}),
]


@pytest.mark.parametrize("n, x, w, options", FORWARD)
def test_conv(n, x, w, options, against_torch, rng):
    arrays = rng.normal(size=x), rng.normal(size=w), rng.normal(size=w[0])
    ours, theirs = getattr(nn, f"conv{n}d"), getattr(F, f"conv{n}d")
    against_torch(lambda *a: ours(*a, **options), lambda *a: theirs(*a, **options), *arrays)
    against_torch(lambda *a: ours(*a, **options), lambda *a: theirs(*a, **options), *arrays[:2])


@pytest.mark.parametrize("n, x, w, options", BACKWARD)
def test_conv_transpose(n, x, w, options, against_torch, rng):
    arrays = rng.normal(size=x), rng.normal(size=w), rng.normal(size=w[1] * options.get("groups", 1))
    ours, theirs = getattr(nn, f"conv_transpose{n}d"), getattr(F, f"conv_transpose{n}d")
    against_torch(lambda *a: ours(*a, **options), lambda *a: theirs(*a, **options), *arrays)


def test_uneven_padding_is_padding_first(rng):
    x, w = rng.normal(size=(2, 3, 5, 4)), rng.normal(size=(4, 3, 2, 2))
    want = nn.conv2d(np.pad(x, ((0, 0), (0, 0), (1, 2), (0, 3))), w, stride=2)
    np.testing.assert_allclose(nn.conv2d(x, w, padding=((1, 2), (0, 3)), stride=2), want)


@pytest.mark.parametrize("length, kernel, stride, dilation", [(7, 3, 2, 1), (8, 2, 3, 2), (5, 4, 2, 1)])
def test_same_gives_ceil(length, kernel, stride, dilation):
    y = nn.conv1d(np.ones((1, 1, length)), np.ones((1, 1, kernel)), padding="same", stride=stride, dilation=dilation)
    assert y.shape[-1] == -(-length // stride)


def test_complex(against_torch, rng):
    x = rng.normal(size=(1, 2, 5)) + 1j * rng.normal(size=(1, 2, 5))
    w = rng.normal(size=(3, 2, 2)) + 1j * rng.normal(size=(3, 2, 2))
    want = F.conv1d(torch.tensor(x), torch.tensor(w)).numpy()
    np.testing.assert_allclose(nn.conv1d(x, w), want)


def test_float32_stays(rng):
    x, w = rng.normal(size=(1, 2, 5)).astype("f"), rng.normal(size=(3, 2, 2)).astype("f")
    (y,), pullback, _ = vjp_flat(lambda x, w: [nn.conv1d(x, w)], [x, w])
    assert y.dtype == np.float32 and all(g.dtype == np.float32 for g in pullback([y]))


def test_blocks_of_examples_agree(rng, monkeypatch):
    x, w = rng.normal(size=(7, 3, 8, 8)), rng.normal(size=(4, 3, 3, 3))
    runs = []
    for size in (1, 5000, 1 << 30):
        monkeypatch.setattr(conv_ops, "BUFFER", size)
        (y,), pullback, _ = vjp_flat(lambda x, w: [nn.conv2d(x, w, stride=2)], [x, w])
        runs.append([y, *pullback([np.cos(y)])])
    for run in runs[1:]:
        for a, b in zip(runs[0], run, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-13)


def test_unselected_infinity_has_zero_derivative(rng):
    from wengert.ops.select import where

    x, w = rng.normal(size=(1, 1, 6)), rng.normal(size=(1, 1, 2))
    x[0, 0, 5] = np.inf
    seen = np.arange(5) < 3
    (_,), pullback, _ = vjp_flat(lambda x, w: [where(seen, nn.conv1d(x, w), 0.0)], [x, w])
    dx, dw = pullback([np.ones((1, 1, 5))])
    assert np.isfinite(dx).all() and np.isfinite(dw).all()


def test_errors():
    with pytest.raises(ValueError, match="channels come first"):
        nn.conv2d(np.ones((1, 3, 4, 4)), np.ones((2, 2, 2, 2)))
    with pytest.raises(ValueError, match="no longer than the padded operand"):
        nn.conv1d(np.ones((1, 1, 2)), np.ones((1, 1, 3)))
    with pytest.raises(ValueError, match="'full'"):
        nn.conv1d(np.ones((1, 1, 2)), np.ones((1, 1, 3)), padding="full")
    with pytest.raises(ValueError, match="one for each spatial axis"):
        nn.conv1d(np.ones((1, 1, 2)), np.ones((1, 1, 1)), stride=(1, 2))
