"""Networks: training steps, attention, normalisation, softmax."""

from __future__ import annotations

import numpy as np

import wengert as wg
from workloads.case import BOTH, F32, Problem, jax, jnp, torch, workload

# ── multilayer perceptron ─────────────────────────────────────────────────────


def mlp(params, x, y):
    w1, b1, w2, b2 = params
    logits = np.maximum(x @ w1 + b1, 0) @ w2 + b2
    shifted = logits - np.max(logits, axis=1, keepdims=True)
    return np.mean(np.log(np.sum(np.exp(shifted), axis=1)) - shifted[np.arange(len(y)), y])


def jax_cross_entropy(logits, y):
    return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), y[:, None], 1))


def jax_mlp(params, x, y):
    w1, b1, w2, b2 = params
    return jax_cross_entropy(jax.nn.relu(x @ w1 + b1) @ w2 + b2, y)


def torch_mlp(params, x, y):
    w1, b1, w2, b2 = params
    return torch.nn.functional.cross_entropy(torch.relu(x @ w1 + b1) @ w2 + b2, y)


def mlp_by_hand(params, x, y, rate=0.1):
    w1, b1, w2, b2 = params
    hidden = np.maximum(x @ w1 + b1, 0)
    p = hidden @ w2 + b2
    p -= p.max(1, keepdims=True)
    rows = np.arange(len(y))
    picked = p[rows, y]
    np.exp(p, out=p)
    z = p.sum(1)
    loss = np.mean(np.log(z) - picked)
    p /= z[:, None]
    p[rows, y] -= 1
    p /= len(y)
    g = p @ w2.T * (hidden > 0)
    return loss, [w - rate * d for w, d in zip(params, (x.T @ g, g.sum(0), hidden.T @ p, p.sum(0)), strict=True)]


@workload(
    "MLP step",
    sizes=[(128, 784, 256, 10)],
    small=(6, 5, 4, 3),
    dtypes=("float32", "float64"),
    label=lambda n, *widths: f"({n}, {'-'.join(map(str, widths))})",
)
def mlp_step(dtype: str, n: int, wide: int, hidden: int, classes: int) -> Problem:
    rng = np.random.default_rng(0)
    params = [
        rng.normal(size=s).astype(dtype) * 0.05 for s in [(wide, hidden), (hidden,), (hidden, classes), (classes,)]
    ]
    args = (params, rng.normal(size=(n, wide)).astype(dtype), rng.integers(0, classes, n))
    return Problem(args, mlp, jax_mlp, torch_mlp, rate=0.1, by_hand=mlp_by_hand)


# ── convolutional network ─────────────────────────────────────────────────────


def cnn(params, x, y):
    w1, b1, w2, b2, w3, b3 = params
    h = wg.nn.max_pool2d(wg.nn.relu(wg.nn.conv2d(x, w1, b1)), 2)
    h = wg.nn.max_pool2d(wg.nn.relu(wg.nn.conv2d(h, w2, b2)), 2)
    return wg.nn.cross_entropy(h.reshape(len(x), -1) @ w3 + b3, y)


def jax_cnn(params, x, y):
    def layer(x, w, b):
        h = jax.nn.relu(jax.lax.conv_general_dilated(x, w, (1, 1), "VALID") + b[:, None, None])
        return jax.lax.reduce_window(h, -jnp.inf, jax.lax.max, (1, 1, 2, 2), (1, 1, 2, 2), "VALID")

    w1, b1, w2, b2, w3, b3 = params
    h = layer(layer(x, w1, b1), w2, b2)
    return jax_cross_entropy(h.reshape(len(x), -1) @ w3 + b3, y)


def torch_cnn(params, x, y):
    f = torch.nn.functional
    w1, b1, w2, b2, w3, b3 = params
    h = f.max_pool2d(f.relu(f.conv2d(x, w1, b1)), 2)
    h = f.max_pool2d(f.relu(f.conv2d(h, w2, b2)), 2)
    return f.cross_entropy(h.reshape(len(x), -1) @ w3 + b3, y)


@workload(
    "CNN step",
    sizes=[(32, 28, 16, 32, 10)],
    small=(2, 10, 2, 3, 3),
    dtypes=F32,
    label=lambda n, side, *rest: f"({n}, {side}×{side})",
)
def cnn_step(dtype: str, n: int, side: int, first: int, second: int, classes: int) -> Problem:
    rng = np.random.default_rng(0)
    left = ((side - 2) // 2 - 2) // 2
    shapes = [(first, 1, 3, 3), (first,), (second, first, 3, 3), (second,), (second * left * left, classes), (classes,)]
    params = [rng.normal(size=s).astype(dtype) * 0.1 for s in shapes]
    args = (params, rng.normal(size=(n, 1, side, side)).astype(dtype), rng.integers(0, classes, n))
    return Problem(args, cnn, jax_cnn, torch_cnn, rate=0.1)


# ── attention ─────────────────────────────────────────────────────────────────


def attention(params, x, heads, target):
    """Self-attention with its residual and layer norm, in plain NumPy. `heads`: an array with one item per head."""
    w_qkv, w_out, gain, shift = params
    n, length, width = x.shape
    q, k, v = np.moveaxis((x @ w_qkv).reshape(n, length, 3, len(heads), -1), (2, 3), (0, 2))
    scores = q @ np.swapaxes(k, -1, -2) / q.shape[-1] ** 0.5
    weights = np.exp(scores - np.max(scores, axis=-1, keepdims=True))
    weights = weights / np.sum(weights, axis=-1, keepdims=True)
    h = x + np.swapaxes(weights @ v, 1, 2).reshape(n, length, width) @ w_out
    centred = h - np.mean(h, axis=-1, keepdims=True)
    z = gain * centred / np.sqrt(np.mean(centred**2, axis=-1, keepdims=True) + 1e-5) + shift
    return np.mean((z - target) ** 2)


def jax_attention(params, x, heads, target):
    w_qkv, w_out, gain, shift = params
    n, length, width = x.shape
    q, k, v = jnp.moveaxis((x @ w_qkv).reshape(n, length, 3, len(heads), -1), (2, 3), (0, 2))
    weights = jax.nn.softmax(q @ jnp.swapaxes(k, -1, -2) / q.shape[-1] ** 0.5)
    h = x + jnp.swapaxes(weights @ v, 1, 2).reshape(n, length, width) @ w_out
    centred = h - jnp.mean(h, axis=-1, keepdims=True)
    z = gain * centred / jnp.sqrt(jnp.mean(centred**2, axis=-1, keepdims=True) + 1e-5) + shift
    return jnp.mean((z - target) ** 2)


def torch_attention(params, x, heads, target):
    w_qkv, w_out, gain, shift = params
    n, length, width = x.shape
    q, k, v = (x @ w_qkv).reshape(n, length, 3, len(heads), -1).permute(2, 0, 3, 1, 4)
    mixed = torch.nn.functional.scaled_dot_product_attention(q, k, v)
    h = x + mixed.transpose(1, 2).reshape(n, length, width) @ w_out
    return torch.mean((torch.nn.functional.layer_norm(h, (width,), gain, shift) - target) ** 2)


@workload(
    "attention block",
    sizes=[(4, 64, 128, 4)],
    small=(2, 3, 4, 2),
    dtypes=("float32", "float64"),
    label=lambda n, length, width, heads: f"({n}, {length}, {width}), {heads} heads",
)
def attention_block(dtype: str, n: int, length: int, width: int, heads: int) -> Problem:
    rng = np.random.default_rng(0)
    params = [rng.normal(size=(width, m * width)) / np.sqrt(width) for m in (3, 1)] + [np.ones(width), np.zeros(width)]
    x, target = rng.normal(size=(2, n, length, width)).astype(dtype)
    args = ([p.astype(dtype) for p in params], x, np.arange(heads), target)
    return Problem(args, attention, jax_attention, torch_attention)


# ── layer norm and GELU ───────────────────────────────────────────────────────


def normed(x, gain, shift, weight):
    centred = x - np.mean(x, axis=1, keepdims=True)
    z = gain * centred / np.sqrt(np.mean(centred**2, axis=1, keepdims=True) + 1e-5) + shift
    return np.sum(weight * (0.5 * z * (1 + np.tanh(0.7978845608028654 * (z + 0.044715 * z**3)))))


def jax_normed(x, gain, shift, weight):
    centred = x - jnp.mean(x, axis=1, keepdims=True)
    z = gain * centred / jnp.sqrt(jnp.mean(centred**2, axis=1, keepdims=True) + 1e-5) + shift
    return jnp.sum(weight * jax.nn.gelu(z))


def torch_normed(x, gain, shift, weight):
    f = torch.nn.functional
    return torch.sum(weight * f.gelu(f.layer_norm(x, x.shape[1:], gain, shift), approximate="tanh"))


@workload("layer norm + GELU", sizes=[(256, 512)], small=(5, 7), dtypes=BOTH, label=lambda n, m: f"({n}, {m})")
def layer_norm_gelu(dtype: str, n: int, m: int) -> Problem:
    rng = np.random.default_rng(0)
    args = [rng.normal(size=s).astype(dtype) for s in ((n, m), (m,), (m,), (n, m))]
    return Problem(tuple(args), normed, jax_normed, torch_normed, wrt=(0, 1, 2))


# ── softmax regression ────────────────────────────────────────────────────────


def cross_entropy(logits, y):
    shifted = logits - np.max(logits, axis=1, keepdims=True)
    return np.mean(np.log(np.sum(np.exp(shifted), axis=1)) - shifted[np.arange(len(y)), y])


def softmax_by_hand(logits, y):
    rows = np.arange(len(y))
    p = logits - logits.max(1, keepdims=True)
    picked = p[rows, y]
    np.exp(p, out=p)
    z = p.sum(1)
    loss = np.mean(np.log(z) - picked)
    p /= z[:, None]
    p[rows, y] -= 1
    p /= len(y)
    return loss, (p,)


@workload("softmax cross-entropy", sizes=[(512, 1000)], small=(5, 7), dtypes=BOTH, label=lambda n, m: f"({n}, {m})")
def softmax_cross_entropy(dtype: str, n: int, classes: int) -> Problem:
    rng = np.random.default_rng(0)
    args = (rng.normal(size=(n, classes)).astype(dtype), rng.integers(0, classes, n))
    theirs = lambda logits, y: torch.nn.functional.cross_entropy(logits, y)
    return Problem(args, cross_entropy, jax_cross_entropy, theirs, by_hand=softmax_by_hand)


def regression(weights, bias, x, y):
    return cross_entropy(x @ weights + bias, y)


def jax_regression(weights, bias, x, y):
    return jax_cross_entropy(x @ weights + bias, y)


def torch_regression(weights, bias, x, y):
    return torch.nn.functional.cross_entropy(x @ weights + bias, y)


@workload(
    "softmax regression", sizes=[(512, 32, 1000)], small=(5, 4, 7), label=lambda n, d, m: f"({n}, {d}) to {m} classes"
)
def softmax_regression(dtype: str, n: int, features: int, classes: int) -> Problem:
    rng = np.random.default_rng(0)
    weights = (0.1 * rng.normal(size=(features, classes))).astype(dtype)
    args = (
        weights,
        np.zeros(classes, dtype),
        rng.normal(size=(n, features)).astype(dtype),
        rng.integers(0, classes, n),
    )
    return Problem(args, regression, jax_regression, torch_regression, wrt=(0, 1))
