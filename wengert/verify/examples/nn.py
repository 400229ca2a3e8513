"""Neural functions: each name of `wengert.nn`, on plain arrays and under every transform."""

import math

import numpy

from wengert import nn
from wengert.verify.examples import example


def call(name, fun, *args, **options):
    """An example whose namespace does not matter: `wengert.nn` serves arrays and Tensors alike."""
    example(f"nn.{name}", lambda np, *xs: fun(*xs), *args, **options)


# ── activations ───────────────────────────────────────────────────────────────

SMOOTH = "gelu silu swish mish softplus softsign sigmoid log_sigmoid tanh tanhshrink selu elu celu"
KINKED = "relu relu6 leaky_relu hardtanh hardsigmoid hardswish hardshrink softshrink"
for _name in (SMOOTH + " " + KINKED).split():
    call(_name, getattr(nn, _name), (3, 4), domain=(-4.0, 4.0))
    call(_name, getattr(nn, _name), ())

call("gelu", lambda x: nn.gelu(x, "tanh"), (3, 4))
call("softplus", lambda x: nn.softplus(x, 3.0), (3, 4))
call("leaky_relu", lambda x: nn.leaky_relu(x, 1.5), (3, 4))
call("elu", lambda x: nn.elu(x, 0.5), (3, 4))
call("celu", lambda x: nn.celu(x, 0.5), (3, 4))
call("prelu", nn.prelu, (2, 3, 2), (3,))
call("prelu", nn.prelu, (3, 4), ())
call("threshold", lambda x: nn.threshold(x, 0.5, -1.0), (3, 4))
call("glu", nn.glu, (3, 4))
call("glu", lambda x: nn.glu(x, 0), (2, 3))
call("maxout", lambda x: nn.maxout(x, 2), (3, 4))
for _name in ("softmax", "softmin", "log_softmax", "logsumexp"):
    call(_name, getattr(nn, _name), (3, 4))
    call(_name, lambda x, f=getattr(nn, _name): f(x, axis=(0, -1)), (2, 3, 4))
call("logsumexp", lambda x: nn.logsumexp(x, 1, keepdims=True), (3, 4))

# ── convolution and pooling ───────────────────────────────────────────────────

call("conv1d", nn.conv1d, (2, 3, 5), (2, 3, 2), (2,))
call("conv1d", lambda x, w: nn.conv1d(x, w, stride=2, padding=1, groups=2), (4, 5), (2, 2, 3), complex=True)
call("conv2d", lambda x, w: nn.conv2d(x, w, padding="same"), (1, 2, 4, 3), (2, 2, 2, 3))
call("conv2d", lambda x, w, b: nn.conv2d(x, w, b, (2, 1), ((1, 0), (0, 2)), 2), (2, 1, 5, 4), (2, 1, 2, 2), (2,))
call("conv3d", nn.conv3d, (1, 2, 3, 2, 3), (1, 2, 2, 1, 2))
call("conv_transpose1d", nn.conv_transpose1d, (2, 3, 4), (3, 2, 2), (2,))
call(
    "conv_transpose1d",
    lambda x, w: nn.conv_transpose1d(x, w, stride=3, output_padding=2, groups=2),
    (1, 2, 3),
    (2, 1, 2),
)
call("conv_transpose2d", lambda x, w: nn.conv_transpose2d(x, w, stride=2, padding=1), (1, 2, 3, 2), (2, 1, 3, 3))
call("conv_transpose3d", nn.conv_transpose3d, (1, 1, 2, 2, 2), (1, 2, 2, 1, 2))


def apart(rng, shape):
    """Values that differ by 0.1 at least, so that finite differences cross no tie."""
    return 0.1 * rng.permutation(math.prod(shape)).reshape(shape)


for _n, _shape in ((1, (2, 2, 6)), (2, (1, 2, 4, 5)), (3, (1, 1, 4, 3, 4))):
    for _kind in ("max", "avg"):
        _pool = getattr(nn, f"{_kind}_pool{_n}d")
        call(f"{_kind}_pool{_n}d", lambda x, f=_pool: f(x, 2), _shape, domain=apart)
        call(f"{_kind}_pool{_n}d", lambda x, f=_pool: f(x, 3, 2, 1, ceil_mode=True), _shape, domain=apart)
        _pool = getattr(nn, f"adaptive_{_kind}_pool{_n}d")
        call(f"adaptive_{_kind}_pool{_n}d", lambda x, f=_pool: f(x, 2), _shape, domain=apart)
        call(f"adaptive_{_kind}_pool{_n}d", lambda x, f=_pool: f(x, 3), _shape, domain=apart)
call("avg_pool1d", lambda x: nn.avg_pool1d(x, 3, 2, 1, count_include_pad=False), (2, 6))
call("lp_pool1d", lambda x: nn.lp_pool1d(x, 2.0, 2), (2, 6))
call("lp_pool2d", lambda x: nn.lp_pool2d(x, 3.0, 2, 1), (1, 3, 3), domain=(0.3, 2.0))

# ── normalization ─────────────────────────────────────────────────────────────

call("layer_norm", nn.layer_norm, (3, 4))
call("layer_norm", lambda x, w, b: nn.layer_norm(x, (3, 4), w, b), (2, 3, 4), (3, 4), (3, 4))
call("rms_norm", lambda x, w: nn.rms_norm(x, 4, w, 0.1), (3, 4), (4,))
call("rms_norm", nn.rms_norm, (4,))
call("batch_norm", lambda x, w, b: nn.batch_norm(x, None, None, w, b, training=True)[0], (4, 3), (3,), (3,))
call(
    "batch_norm",
    lambda x, m, v: nn.batch_norm(x, m, v, training=False),
    (2, 3, 2), (3,), (3,),
    domain=((-2.0, 2.0), (-1.0, 1.0), (0.5, 2.0)),
)  # fmt: skip
call("group_norm", lambda x, w, b: nn.group_norm(x, 2, w, b), (2, 4, 3), (4,), (4,))
call("instance_norm", lambda x: nn.instance_norm(x, eps=0.1), (2, 2, 3, 2))
call("local_response_norm", lambda x: nn.local_response_norm(x, 3, 0.5), (2, 4, 3))
call("normalize", nn.normalize, (3, 4))
call("normalize", lambda x: nn.normalize(x, 3.0, -1), (3, 4))

# ── attention, embedding, dropout ─────────────────────────────────────────────

MASK = numpy.array([[True, False, True], [False, False, False]])
call("scaled_dot_product_attention", nn.scaled_dot_product_attention, (2, 2, 3), (2, 4, 3), (2, 4, 2))
call(
    "scaled_dot_product_attention",
    lambda q, k, v: nn.scaled_dot_product_attention(q, k, v, MASK),
    (2, 3),
    (3, 3),
    (3, 2),
)
call(
    "scaled_dot_product_attention",
    lambda q, k, v, m: nn.scaled_dot_product_attention(q, k, v, m, causal=True, dropout_rate=0.4, rng=1),
    (3, 2), (3, 2), (3, 2), (3, 3),
)  # fmt: skip
call("linear", nn.linear, (2, 3), (4, 3), (4,))
call("bilinear", nn.bilinear, (2, 3), (2, 2), (4, 3, 2), (4,))
call("embedding", lambda w: nn.embedding([[0, 2], [2, 1]], w), (3, 2))
call("one_hot", lambda labels: nn.one_hot(labels, 3), numpy.array([2, 0]))
call("dropout", lambda x: nn.dropout(x, 0.4, 1), (3, 4))
call("dropout", lambda x: nn.dropout(x, 0.4, 1, shared=0), (3, 4))

# ── losses ────────────────────────────────────────────────────────────────────

LABELS, WEIGHT = numpy.array([2, 0, 1]), numpy.array([0.5, 1.0, 2.0, 0.1])
PAIR = ((3, 4), (3, 4))
for _name in ["mse_loss", "l1_loss", "huber_loss", "smooth_l1_loss", "cosine_similarity", "pairwise_distance"]:
    call(_name, getattr(nn, _name), *PAIR)
for _name in ["soft_margin_loss", "hinge_loss", "margin_ranking_loss", "cosine_embedding_loss"]:
    _signs = numpy.array([1.0, -1.0, 1.0])
    _arrays = PAIR if "cosine" in _name else ((3,),) * (2 if "ranking" in _name else 1)
    call(_name, lambda *xs, f=getattr(nn, _name), s=_signs: f(*xs, s), *_arrays)
call("hinge_embedding_loss", lambda x: nn.hinge_embedding_loss(x, numpy.array([1.0, -1.0, 1.0])), (3,))
call("smooth_l1_loss", lambda x, y: nn.smooth_l1_loss(x, y, 0.5, "none"), *PAIR)
call("triplet_margin_loss", nn.triplet_margin_loss, (3, 4), (3, 4), (3, 4))
call("triplet_margin_loss", lambda a, p, n: nn.triplet_margin_loss(a, p, n, swap=True), (3, 4), (3, 4), (3, 4))
call("poisson_nll_loss", nn.poisson_nll_loss, *PAIR)
call("poisson_nll_loss", lambda x, y: nn.poisson_nll_loss(x, y, False, True), *PAIR, domain=(0.3, 2.0))
call("gaussian_nll_loss", nn.gaussian_nll_loss, *PAIR, (3, 4), domain=((-2.0, 2.0), (-2.0, 2.0), (0.3, 2.0)))
call("binary_cross_entropy", nn.binary_cross_entropy, *PAIR, domain=(0.1, 0.9))
call("binary_cross_entropy_with_logits", nn.binary_cross_entropy_with_logits, *PAIR)
call(
    "binary_cross_entropy_with_logits",
    lambda x, t, w: nn.binary_cross_entropy_with_logits(x, t, pos_weight=w, reduction="none"),
    *PAIR, (4,),
)  # fmt: skip
call("kl_div", lambda x, t: nn.kl_div(x, t, reduction="batchmean"), *PAIR, domain=(0.1, 0.9))
call("kl_div", lambda x, t: nn.kl_div(x, t, log_target=True), *PAIR)
call("nll_loss", lambda x: nn.nll_loss(x, LABELS), (3, 4))
call("nll_loss", lambda x: nn.nll_loss(x, LABELS, WEIGHT, ignore_index=0), (3, 4))
call("cross_entropy", lambda x: nn.cross_entropy(x, LABELS), (3, 4))
call("cross_entropy", lambda x: nn.cross_entropy(x, LABELS, WEIGHT, 0, 0.1), (3, 4))
call("cross_entropy", lambda x: nn.cross_entropy(x, numpy.array([[0, 2], [1, 3]]), reduction="none"), (2, 4, 2))
call("cross_entropy", lambda x, q: nn.cross_entropy(x, q, WEIGHT, label_smoothing=0.2), (3, 4), (3, 4))
