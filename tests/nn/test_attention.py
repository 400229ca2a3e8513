"""Attention, embeddings, linear maps and dropout."""

import numpy as np
import pytest

from wengert import nn
from wengert.transforms.batch import batch_flat
from wengert.transforms.reverse import record, vjp_flat

torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
F = torch.nn.functional
QKV = ((2, 3, 4, 5), (2, 3, 6, 5), (2, 3, 6, 7))


@pytest.fixture
def qkv(rng):
    return [rng.normal(size=s) for s in QKV]


def test_attention(qkv, against_torch):
    ours, theirs = nn.scaled_dot_product_attention, F.scaled_dot_product_attention
    against_torch(ours, theirs, *qkv)
    against_torch(lambda q, k, v: ours(q, k, v, scale=0.3), lambda q, k, v: theirs(q, k, v, scale=0.3), *qkv)
    against_torch(lambda q, k, v: ours(q, k, v, causal=True), lambda q, k, v: theirs(q, k, v, is_causal=True), *qkv)


def test_attention_masks(qkv, against_torch, rng):
    ours, theirs = nn.scaled_dot_product_attention, F.scaled_dot_product_attention
    mask = rng.random((4, 6)) < 0.6
    mask[:, 0] = True
    against_torch(lambda q, k, v: ours(q, k, v, mask), lambda q, k, v: theirs(q, k, v, torch.tensor(mask)), *qkv)
    bias = rng.normal(size=(2, 1, 4, 6))
    against_torch(ours, theirs, *qkv, bias)


def test_query_without_keys_gets_zeros(qkv):
    mask = np.ones((4, 6), bool)
    mask[1] = False
    (out,), pullback, _ = vjp_flat(lambda q, k, v: [nn.scaled_dot_product_attention(q, k, v, mask)], qkv)
    assert (out[..., 1, :] == 0).all()
    back = pullback([np.ones_like(out)])
    assert all(np.isfinite(b).all() for b in back) and (back[0][..., 1, :] == 0).all()


def test_linear_and_bilinear(against_torch, rng):
    x, w, b = rng.normal(size=(2, 3, 4)), rng.normal(size=(5, 4)), rng.normal(size=5)
    against_torch(nn.linear, F.linear, x, w, b)
    against_torch(nn.linear, F.linear, x, w)
    against_torch(nn.linear, F.linear, x[0, 0], w, b)
    y, w2 = rng.normal(size=(2, 3, 6)), rng.normal(size=(5, 4, 6))
    against_torch(nn.bilinear, F.bilinear, x, y, w2, b)


def test_embedding(against_torch, rng):
    ids, w = np.array([[0, 2, 2], [1, 0, 3]]), rng.normal(size=(4, 5))
    against_torch(lambda w: nn.embedding(ids, w), lambda w: F.embedding(torch.tensor(ids), w), w)


@pytest.mark.parametrize("pad", [2, -4])
def test_padding_row_gets_no_derivative(pad, against_torch, rng):
    ids, w = np.array([[0, 2, 2], [1, 0, 3]]), rng.normal(size=(4, 5))
    against_torch(lambda w: nn.embedding(ids, w, pad), lambda w: F.embedding(torch.tensor(ids), w, pad), w)


def test_embedding_ids_under_vmap(rng):
    ids, w = np.array([[0, 2], [1, 1], [3, 0]]), rng.normal(size=(4, 5))
    (out,), _ = batch_flat(lambda i, w: [nn.embedding(i, w, 1)], [ids, w], [True, False], 3)
    np.testing.assert_array_equal(out, w[ids])


def test_one_hot():
    np.testing.assert_array_equal(nn.one_hot([2, 0]), [[0, 0, 1], [1, 0, 0]])
    np.testing.assert_array_equal(nn.one_hot(np.array([[2], [5]]), 4)[:, 0], [[0, 0, 1, 0], [0, 0, 0, 0]])
    assert nn.one_hot(1, 2, np.float32).dtype == np.float32
    (out,), _ = batch_flat(lambda i: [nn.one_hot(i, 3)], [np.array([[2], [0]])], [True], 2)
    np.testing.assert_array_equal(out[:, 0], [[0, 0, 1], [1, 0, 0]])


# ── dropout ───────────────────────────────────────────────────────────────────


def test_dropout_keeps_the_mean_and_replays():
    x = np.ones((200, 200))
    y = nn.dropout(x, 0.3, 1)
    assert set(np.unique(y)) == {0.0, 1 / 0.7}
    assert abs(y.mean() - 1) < 0.02
    np.testing.assert_array_equal(y, nn.dropout(x, 0.3, 1))
    assert (y != nn.dropout(x, 0.3, 2)).any()


def test_dropout_pulls_back_through_its_own_mask_and_stores_nothing(rng):
    x = rng.normal(size=(30, 40))
    (y,), pullback, _ = vjp_flat(lambda x: [nn.dropout(x, 0.5, np.random.default_rng(3))], [x])
    (back,) = pullback([np.ones_like(x)])
    np.testing.assert_array_equal(back, np.where(y == 0, 0.0, 2.0))
    np.testing.assert_array_equal(back, pullback([np.ones_like(x)])[0])
    _, tape = record(lambda x: [nn.dropout(x, 0.5, np.random.default_rng(3))], [x])
    assert tape.program.residual_bytes() == 0


def test_dropout_generator_moves_on():
    generator = np.random.default_rng(0)
    assert (nn.dropout(np.ones(50), 0.5, generator) != nn.dropout(np.ones(50), 0.5, generator)).any()


def test_dropout_of_channels_and_limits():
    y = nn.dropout(np.ones((4, 8, 3, 3)), 0.5, 0, shared=(-2, -1))
    assert (y == y[:, :, :1, :1]).all() and len(np.unique(y)) == 2
    x = np.array([1.0, np.inf])
    np.testing.assert_array_equal(nn.dropout(x, 1.0, 0), [0, 0])
    assert nn.dropout(x, 0.5, training=False) is x
    assert nn.dropout(np.ones(3, np.float32), 0.5, 0).dtype == np.float32


def test_attention_dropout(qkv):
    a = nn.scaled_dot_product_attention(*qkv, dropout_rate=0.5, rng=1)
    np.testing.assert_array_equal(a, nn.scaled_dot_product_attention(*qkv, dropout_rate=0.5, rng=1))
    assert (a != nn.scaled_dot_product_attention(*qkv)).any()


def test_errors(qkv):
    with pytest.raises(ValueError, match="needs rng"):
        nn.dropout(np.ones(3))
    with pytest.raises(ValueError, match="between 0 and 1"):
        nn.dropout(np.ones(3), 1.5, 0)
    with pytest.raises(ValueError, match=r"\(…, L, E\)"):
        nn.scaled_dot_product_attention(qkv[0], qkv[1][..., :4], qkv[2])
    with pytest.raises(TypeError, match="want: integers"):
        nn.embedding([0.5], np.ones((2, 2)))
    with pytest.raises(ValueError, match="padding_idx=7"):
        nn.embedding([0], np.ones((2, 2)), 7)
