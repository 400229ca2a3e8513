"""Our neural functions' names, arguments and defaults in `torch.nn.functional`."""

from __future__ import annotations

from typing import Any

from wengert.verify.oracles.peers.peer import Missing


def functional(torch: Any) -> dict[str, Any]:
    """Name → a function of tensors with our arguments."""
    F = torch.nn.functional
    return _activations(torch, F) | _convolutions(F) | _normalizations(F) | _losses(torch, F) | _others(torch, F)


def _one_axis(name: str, axis: Any) -> int:
    if not isinstance(axis, int):
        raise Missing(f"torch.nn.functional.{name} takes one axis")
    return axis


def _activations(torch: Any, F: Any) -> dict[str, Any]:
    same = "relu relu6 silu mish softsign selu tanhshrink hardsigmoid hardswish sigmoid tanh".split()

    def prelu(x: Any, weight: Any) -> Any:
        return F.prelu(x, weight.reshape(-1))

    def logsumexp(x: Any, axis: Any = None, keepdims: bool = False) -> Any:
        return torch.logsumexp(x, tuple(range(x.ndim)) if axis is None else axis, keepdims)

    return {name: getattr(F, name) for name in same} | {
        "swish": F.silu, "log_sigmoid": F.logsigmoid, "softplus": F.softplus, "elu": F.elu, "celu": F.celu,
        "gelu": lambda x, approximate="none": F.gelu(x, approximate=approximate),
        "leaky_relu": F.leaky_relu, "hardtanh": F.hardtanh, "hardshrink": F.hardshrink, "softshrink": F.softshrink,
        "prelu": prelu, "threshold": F.threshold, "glu": F.glu, "logsumexp": logsumexp,
        "softmax": lambda x, axis=-1: F.softmax(x, _one_axis("softmax", axis)),
        "softmin": lambda x, axis=-1: F.softmin(x, _one_axis("softmin", axis)),
        "log_softmax": lambda x, axis=-1: F.log_softmax(x, _one_axis("log_softmax", axis)),
    }  # fmt: skip


def _convolutions(F: Any) -> dict[str, Any]:
    def symmetric(padding: Any) -> Any:
        if isinstance(padding, tuple) and any(isinstance(p, tuple) for p in padding):
            raise Missing("torch.nn.functional pads both sides alike")
        return padding

    def conv(fun: Any) -> Any:
        return lambda x, w, bias=None, stride=1, padding=0, dilation=1, groups=1: fun(
            x, w, bias, stride, symmetric(padding), dilation, groups
        )

    def without_indices(fun: Any) -> Any:
        return lambda *args, **kwargs: fun(*args, **kwargs)

    names = [f"{kind}{n}d" for n in (1, 2, 3) for kind in ("max_pool", "adaptive_max_pool", "adaptive_avg_pool")]
    table = {name: without_indices(getattr(F, name)) for name in names}
    for n in (1, 2, 3):
        table[f"conv{n}d"] = conv(getattr(F, f"conv{n}d"))
        table[f"conv_transpose{n}d"] = getattr(F, f"conv_transpose{n}d")
        table[f"avg_pool{n}d"] = getattr(F, f"avg_pool{n}d")
    return table | {"lp_pool1d": F.lp_pool1d, "lp_pool2d": F.lp_pool2d}


def _normalizations(F: Any) -> dict[str, Any]:
    def shape_of(x: Any, shape: Any) -> tuple[int, ...]:
        return tuple(x.shape[-1:]) if shape is None else (shape,) if isinstance(shape, int) else tuple(shape)

    def layer_norm(x: Any, shape: Any = None, weight: Any = None, bias: Any = None, eps: float = 1e-5) -> Any:
        return F.layer_norm(x, shape_of(x, shape), weight, bias, eps)

    def rms_norm(x: Any, shape: Any = None, weight: Any = None, eps: Any = None) -> Any:
        return F.rms_norm(x, shape_of(x, shape), weight, eps)

    def batch_norm(
        x: Any,
        mean: Any = None,
        var: Any = None,
        weight: Any = None,
        bias: Any = None,
        *,
        training: bool,
        eps: float = 1e-5,
    ) -> Any:
        out = F.batch_norm(x, mean, var, weight, bias, training, 0.0, eps)
        return (out,) if training else out

    return {
        "layer_norm": layer_norm, "rms_norm": rms_norm, "batch_norm": batch_norm, "group_norm": F.group_norm,
        "instance_norm": lambda x, weight=None, bias=None, eps=1e-5: F.instance_norm(x, weight=weight, bias=bias, eps=eps),
        "local_response_norm": F.local_response_norm, "normalize": F.normalize,
    }  # fmt: skip


def _losses(torch: Any, F: Any) -> dict[str, Any]:
    def reduced(fun: Any, *names: str) -> Any:
        """Our positional arguments after the tensors, under PyTorch's names."""

        def call(x: Any, target: Any, *rest: Any, **options: Any) -> Any:
            return fun(x, target, **dict(zip(names, rest, strict=False)), **options)

        return call

    def pairwise(x: Any, y: Any, p: float = 2.0, eps: float = 1e-6, keepdims: bool = False) -> Any:
        return F.pairwise_distance(x, y, p, eps, keepdims)

    def cross_entropy(
        x: Any,
        target: Any,
        weight: Any = None,
        ignore_index: int = -100,
        label_smoothing: float = 0.0,
        reduction: str = "mean",
    ) -> Any:
        weight = None if weight is None else weight.to(x.dtype)
        return F.cross_entropy(
            x, target, weight, ignore_index=ignore_index, reduction=reduction, label_smoothing=label_smoothing
        )

    def nll_loss(x: Any, target: Any, weight: Any = None, ignore_index: int = -100, reduction: str = "mean") -> Any:
        weight = None if weight is None else weight.to(x.dtype)
        return F.nll_loss(x, target, weight, ignore_index=ignore_index, reduction=reduction)

    return {
        "mse_loss": reduced(F.mse_loss, "reduction"), "l1_loss": reduced(F.l1_loss, "reduction"),
        "huber_loss": reduced(F.huber_loss, "delta", "reduction"),
        "smooth_l1_loss": reduced(F.smooth_l1_loss, "beta", "reduction"),
        "soft_margin_loss": F.soft_margin_loss, "hinge_embedding_loss": F.hinge_embedding_loss,
        "margin_ranking_loss": F.margin_ranking_loss, "cosine_embedding_loss": F.cosine_embedding_loss,
        "cosine_similarity": F.cosine_similarity, "pairwise_distance": pairwise,
        "triplet_margin_loss": F.triplet_margin_loss,
        "poisson_nll_loss": reduced(F.poisson_nll_loss, "log_input", "full"),
        "gaussian_nll_loss": F.gaussian_nll_loss, "binary_cross_entropy": F.binary_cross_entropy,
        "binary_cross_entropy_with_logits": F.binary_cross_entropy_with_logits,
        "kl_div": lambda x, t, log_target=False, reduction="mean": F.kl_div(x, t, reduction=reduction, log_target=log_target),
        "nll_loss": nll_loss, "cross_entropy": cross_entropy,
    }  # fmt: skip


def _others(torch: Any, F: Any) -> dict[str, Any]:
    def attention(
        query: Any,
        key: Any,
        value: Any,
        mask: Any = None,
        causal: bool = False,
        dropout_rate: float = 0.0,
        rng: Any = None,
    ) -> Any:
        if dropout_rate:
            raise Missing("PyTorch draws other random numbers")
        return F.scaled_dot_product_attention(query, key, value, mask, is_causal=causal)

    return {
        "linear": F.linear, "bilinear": F.bilinear, "scaled_dot_product_attention": attention,
        "embedding": lambda ids, weight: F.embedding(torch.as_tensor(ids), weight),
        "one_hot": lambda labels, classes: F.one_hot(labels, classes).to(torch.float64),
    }  # fmt: skip
