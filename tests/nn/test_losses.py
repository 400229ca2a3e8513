"""Losses against PyTorch; strong zeros, labels, masks."""

import numpy as np
import pytest

from wengert import nn
from wengert.transforms.batch import batch_flat
from wengert.transforms.reverse import record, vjp_flat

torch = pytest.importorskip("torch", reason="PyTorch is the oracle")
F = torch.nn.functional
REDUCTIONS = ("mean", "sum", "none")


def reals(*shapes):
    return [np.random.default_rng(i).normal(size=s) for i, s in enumerate(shapes)]


def chances(*shapes):
    return [np.random.default_rng(i).uniform(0.05, 0.95, s) for i, s in enumerate(shapes)]


PAIR = ((4, 3), (4, 3))
SIGNS = np.sign(np.random.default_rng(5).normal(size=4))
PAIRS = {
    "mse": (nn.mse_loss, F.mse_loss, reals(*PAIR)),
    "l1": (nn.l1_loss, F.l1_loss, reals(*PAIR)),
    "huber": (lambda x, y, **k: nn.huber_loss(x, y, 0.7, **k), lambda x, y, **k: F.huber_loss(x, y, delta=0.7, **k), reals(*PAIR)),
    "smooth_l1": (lambda x, y, **k: nn.smooth_l1_loss(x, y, 0.7, **k), lambda x, y, **k: F.smooth_l1_loss(x, y, beta=0.7, **k), reals(*PAIR)),
    "smooth_l1 0": (lambda x, y, **k: nn.smooth_l1_loss(x, y, 0, **k), lambda x, y, **k: F.l1_loss(x, y, **k), reals(*PAIR)),
    "bce": (nn.binary_cross_entropy, F.binary_cross_entropy, chances(*PAIR)),
    "kl": (nn.kl_div, F.kl_div, [reals(*PAIR)[0], chances(*PAIR)[1]]),
    "kl log": (lambda x, y, **k: nn.kl_div(x, y, log_target=True, **k), lambda x, y, **k: F.kl_div(x, y, log_target=True, **k), reals(*PAIR)),
    "poisson": (nn.poisson_nll_loss, F.poisson_nll_loss, [reals(*PAIR)[0], 5 * chances(*PAIR)[1]]),
    "poisson full": (lambda x, y, **k: nn.poisson_nll_loss(x, y, False, True, **k), lambda x, y, **k: F.poisson_nll_loss(x, y, False, True, **k), [chances(*PAIR)[0], 5 * chances(*PAIR)[1]]),
    "gaussian": (nn.gaussian_nll_loss, F.gaussian_nll_loss, [*reals(*PAIR), chances((4, 3))[0]]),
    "gaussian full": (lambda x, y, v, **k: nn.gaussian_nll_loss(x, y, v, True, **k), lambda x, y, v, **k: F.gaussian_nll_loss(x, y, v, True, **k), [*reals(*PAIR), chances((4, 1))[0]]),
    "soft margin": (lambda x, **k: nn.soft_margin_loss(x, SIGNS, **k), lambda x, **k: F.soft_margin_loss(x, torch.tensor(SIGNS), **k), reals((4,))),
    "hinge embedding": (lambda x, **k: nn.hinge_embedding_loss(x, SIGNS, **k), lambda x, **k: F.hinge_embedding_loss(x, torch.tensor(SIGNS), **k), reals((4,))),
    "margin ranking": (lambda x, y, **k: nn.margin_ranking_loss(x, y, SIGNS, 0.3, **k), lambda x, y, **k: F.margin_ranking_loss(x, y, torch.tensor(SIGNS), 0.3, **k), reals((4,), (4,))),
    "cosine embedding": (lambda x, y, **k: nn.cosine_embedding_loss(x, y, SIGNS, 0.1, **k), lambda x, y, **k: F.cosine_embedding_loss(x, y, torch.tensor(SIGNS), 0.1, **k), reals(*PAIR)),
    "triplet": (nn.triplet_margin_loss, F.triplet_margin_loss, reals((4, 3), (4, 3), (4, 3))),
    "triplet swap": (lambda a, p, n, **k: nn.triplet_margin_loss(a, p, n, p=3.0, swap=True, **k), lambda a, p, n, **k: F.triplet_margin_loss(a, p, n, p=3.0, swap=True, **k), reals((4, 3), (4, 3), (4, 3))),
}  # fmt: skip


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.filterwarnings("ignore")  # PyTorch advises on kl_div's reduction
def test_values_and_gradients(name, reduction, against_torch):
    ours, theirs, arrays = PAIRS[name]
    against_torch(
        lambda *a: ours(*a, reduction=reduction), lambda *a: theirs(*a, reduction=reduction), *arrays, rtol=1e-7
    )


def test_batchmean(against_torch):
    p, q = reals((4, 3))[0], chances((4, 3))[0]
    against_torch(
        lambda p, q: nn.kl_div(p, q, reduction="batchmean"), lambda p, q: F.kl_div(p, q, reduction="batchmean"), p, q
    )


def test_with_logits(against_torch, rng):
    x, t = rng.normal(size=(4, 3)), rng.uniform(size=(4, 3))
    w, pos = rng.uniform(size=3), rng.uniform(1, 3, 3)
    ours, theirs = nn.binary_cross_entropy_with_logits, F.binary_cross_entropy_with_logits
    against_torch(ours, theirs, x, t)
    against_torch(
        lambda x, t: ours(x, t, w, pos),
        lambda x, t: theirs(x, t, torch.tensor(w), pos_weight=torch.tensor(pos)),
        x, t,
    )  # fmt: skip
    extreme = ours(np.array([-1e4, 1e4]), np.array([0.0, 1.0]), reduction="none")
    np.testing.assert_array_equal(extreme, 0)


def test_cosine_similarity_and_distance(against_torch, rng):
    x, y = rng.normal(size=(3, 4)), rng.normal(size=(3, 4))
    against_torch(nn.cosine_similarity, F.cosine_similarity, x, y)
    against_torch(lambda x, y: nn.cosine_similarity(x, y, 0), lambda x, y: F.cosine_similarity(x, y, 0), x, y)
    against_torch(nn.pairwise_distance, F.pairwise_distance, x, y)
    against_torch(
        lambda x, y: nn.pairwise_distance(x, y, 1.0, keepdims=True),
        lambda x, y: F.pairwise_distance(x, y, 1.0, keepdim=True),
        x, y,
    )  # fmt: skip


LABELS = np.array([2, 0, 4, 2, 1])
WEIGHT = np.array([0.5, 1.0, 2.0, 0.1, 3.0])


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("ignore", [-100, 2])
@pytest.mark.parametrize("spatial", [False, True])
def test_cross_entropy_labels(reduction, smoothing, weighted, ignore, spatial, against_torch, rng):
    x = rng.normal(size=(5, 5, 3) if spatial else (5, 5))
    labels = np.stack([LABELS, LABELS[::-1], LABELS], axis=1) if spatial else LABELS
    options = {"reduction": reduction, "label_smoothing": smoothing, "ignore_index": ignore}
    against_torch(
        lambda x: nn.cross_entropy(x, labels, WEIGHT if weighted else None, **options),
        lambda x: F.cross_entropy(x, torch.tensor(labels), torch.tensor(WEIGHT) if weighted else None, **options),
        x,
    )


@pytest.mark.parametrize("reduction", ["mean", "none"])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cross_entropy_probabilities(reduction, smoothing, against_torch, rng):
    x = rng.normal(size=(5, 3))
    q = nn.softmax(rng.normal(size=(5, 3)))
    options = {"reduction": reduction, "label_smoothing": smoothing}
    against_torch(lambda x, q: nn.cross_entropy(x, q, **options), lambda x, q: F.cross_entropy(x, q, **options), x, q)
    against_torch(
        lambda x, q: nn.cross_entropy(x, q, WEIGHT[:3], **options),
        lambda x, q: F.cross_entropy(x, q, torch.tensor(WEIGHT[:3]), **options),
        x, q,
    )  # fmt: skip


@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_nll(reduction, against_torch, rng):
    x = rng.normal(size=(5, 5))
    against_torch(
        lambda x: nn.nll_loss(x, LABELS, WEIGHT, ignore_index=0, reduction=reduction),
        lambda x: F.nll_loss(x, torch.tensor(LABELS), torch.tensor(WEIGHT), ignore_index=0, reduction=reduction),
        x,
    )


def test_cross_entropy_of_one_example_and_other_axes(against_torch, rng):
    against_torch(lambda x: nn.cross_entropy(x, 1), lambda x: F.cross_entropy(x, torch.tensor(1)), rng.normal(size=3))
    x = rng.normal(size=(2, 4, 3))
    labels = rng.integers(0, 3, (2, 4))
    against_torch(
        lambda x: nn.cross_entropy(x, labels, axis=-1),
        lambda x: F.cross_entropy(x.moveaxis(-1, 1), torch.tensor(labels)),
        x,
    )


def test_labels_under_vmap(rng):
    x, labels = rng.normal(size=(4, 5, 3)), rng.integers(0, 3, (4, 5))
    labels[1, 2] = -100
    (out,), _ = batch_flat(lambda x, y: [nn.cross_entropy(x, y)], [x, labels], [True, True], 4)
    np.testing.assert_allclose(out, [nn.cross_entropy(a, b) for a, b in zip(x, labels, strict=True)])


def test_masked_class_and_ignored_nan_row(rng):
    x = rng.normal(size=(3, 4))
    x[0, 1], x[2] = -np.inf, np.nan
    (loss,), pullback, _ = vjp_flat(lambda x: [nn.cross_entropy(x, np.array([0, 1, -100]))], [x])
    (back,) = pullback([np.ones(())])
    assert np.isfinite(loss) and np.isfinite(back).all()
    assert back[0, 1] == 0 and (back[2] == 0).all()


def test_zero_targets_are_strong():
    p = np.array([0.0, 1.0])
    (loss,), pullback, _ = vjp_flat(lambda p: [nn.binary_cross_entropy(p, np.array([0.0, 1.0]))], [p])
    assert loss == 0 and np.isfinite(pullback([np.ones(())])[0]).all()
    (loss,), pullback, _ = vjp_flat(
        lambda x, q: [nn.cross_entropy(x, q, reduction="sum")], [np.array([0.0, -np.inf]), np.array([1.0, 0.0])]
    )
    assert loss == 0 and np.isfinite(pullback([np.ones(())])[0]).all()
    (loss,), pullback, _ = vjp_flat(lambda q: [nn.kl_div(np.zeros(2), q)], [np.array([1.0, 0.0])])
    assert loss == 0 and np.isfinite(pullback([np.ones(())])[0]).all()


def test_residual_of_cross_entropy_is_one_array(rng):
    x = rng.normal(size=(64, 10))
    _, tape = record(lambda x: [nn.cross_entropy(x, np.zeros(64, int))], [x])
    assert tape.program.residual_bytes() < 2 * x.nbytes


def test_errors():
    with pytest.raises(IndexError, match="label 3 is not one of 3 classes"):
        nn.cross_entropy(np.ones((2, 3)), [0, 3])
    with pytest.raises(ValueError, match="one label for each row"):
        nn.cross_entropy(np.ones((2, 3)), [0, 1, 2])
    with pytest.raises(ValueError, match="'mean', 'sum' or 'none'"):
        nn.mse_loss(np.ones(2), np.ones(2), reduction="avg")
    with pytest.raises(TypeError, match="want: integers"):
        nn.nll_loss(np.ones((2, 3)), [0.0, 1.0])
