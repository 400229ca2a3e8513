"""Programs whose memory is predicted and measured: by name, a function and its arguments."""

from __future__ import annotations

import numpy as np
import pytest

import wengert as wg

PROGRAMS = {}


def program(*shapes, complex_=False):
    """Register a function to be differentiated in its first argument, with random arguments of these shapes."""

    def register(f):
        rng = np.random.default_rng(len(PROGRAMS))

        def drawn(shape):
            if isinstance(shape, list):
                return [drawn(s) for s in shape]
            return 0.1 * rng.standard_normal(shape) + (0.1j * rng.standard_normal(shape) if complex_ else 0)

        PROGRAMS[f.__name__] = f, [drawn(s) for s in shapes]
        return f

    return register


@program([(100, 100)] * 5, (900, 100), (900, 100))
def mlp(ws, x, y):
    h = x
    for w in ws[:-1]:
        h = np.tanh(h @ w)
    return ((h @ ws[-1] - y) ** 2).mean()


@program([(100, 100)] * 5, (900, 100))
def mlp_relu(ws, x):
    for w in ws:
        x = np.maximum(x @ w, 0)
    return x.mean()


@program([(64, 64)] * 4, (8, 48, 64))
def attention(ws, x):
    b, n, d = x.shape
    q, k, v = ((x @ w).reshape(b, n, 4, d // 4).transpose(0, 2, 1, 3) for w in ws[:3])
    scores = q @ k.transpose(0, 1, 3, 2) / np.sqrt(d // 4)
    e = np.exp(scores - scores.max(-1, keepdims=True))
    out = ((e / e.sum(-1, keepdims=True)) @ v).transpose(0, 2, 1, 3).reshape(b, n, d) @ ws[3]
    return (out**2).mean()


@program([(64, 64)] * 4, (8, 48, 64))
def attention_of_nn(ws, x):
    b, n, d = x.shape
    q, k, v = ((x @ w).reshape(b, n, 4, d // 4) for w in ws[:3])
    a = wg.nn.softmax(np.einsum("bqhd,bkhd->bhqk", q, k) / np.sqrt(d // 4), axis=-1)
    return wg.nn.gelu(np.einsum("bhqk,bkhd->bqhd", a, v).reshape(b, n, d) @ ws[3]).sum()


@program([(8, 3, 3, 3), (8, 8, 3, 3)], (4, 3, 40, 40))
def convnet(kernels, x):
    for k in kernels:
        x = wg.nn.relu(wg.nn.conv2d(x, k, padding=1))
    return wg.nn.max_pool2d(x, 2).mean()


@program((400, 100), (100,), (100,))
def layer_norm(x, g, b):
    m, v = x.mean(-1, keepdims=True), x.var(-1, keepdims=True)
    return (((x - m) / np.sqrt(v + 1e-5)) * g + b).sum()


@program((96, 256), (12, 32, 32))
def lstm(w, xs):
    h = c = np.zeros((32, 64))
    for x in xs:
        i, f, g, o = np.split(np.concatenate([x, h], axis=1) @ w, 4, axis=1)
        c = wg.nn.sigmoid(f) * c + wg.nn.sigmoid(i) * np.tanh(g)
        h = wg.nn.sigmoid(o) * np.tanh(c)
    return (h**2).sum()


@program((50_000,))
def rk4(y):
    def rate(y):
        return np.sin(y) * y

    for _ in range(6):
        a = rate(y)
        b = rate(y + 0.05 * a)
        c = rate(y + 0.05 * b)
        d = rate(y + 0.1 * c)
        y = y + 0.1 / 6 * (a + 2 * b + 2 * c + d)
    return y.sum()


@program((20_000,), (15,))
def scan(carry, xs):
    carry, ys = wg.scan(lambda c, x: (np.tanh(c * x), (c**2).sum()), carry, xs)
    return carry.sum() + ys.sum()


@program((20_000,))
def scan_in_segments(carry):
    return wg.scan(lambda c, _: (np.sin(c) * c, None), carry, None, length=20, checkpoint="sqrt")[0].sum()


@program((50_000,))
def branch(x):
    return wg.cond(x.shape[0] > 3, lambda x: np.sin(x) * x, lambda x: x, x).sum()


@program((500, 100))
def views_and_writes(x):
    z = np.zeros((500, 200))
    z[:, :100] = x * 2
    z[:, 100:] = np.exp(x)
    z[3] = 1.0
    z[1:] += z[:-1] * 0.5
    return (z * z).sum()


@program((30_000,))
def rows_written(x):
    out = np.zeros((8, 30_000))
    for i in range(8):
        out[i] = x * i
    return (out**2).sum()


@program((40_000,))
def gather(x):
    places = np.arange(30_000)[::-1] % 5000
    return (x[places] ** 2).sum()


@program((1000, 32))
def embedding(table):
    ids = np.arange(1600).reshape(32, 50) % 1000
    return np.tanh(table[ids]).sum()


@program((40_000,), complex_=True)
def complex_numbers(z):
    return np.abs(np.exp(z * z) * z).sum()


@program((40_000,))
def spectrum(x):
    return np.abs(np.fft.rfft(x))[1:].sum()


@program((120, 120))
def linear_algebra(a):
    s = a @ a.T + 10 * np.eye(120)
    return np.linalg.slogdet(s)[1] + np.trace(np.linalg.inv(s)) + np.linalg.solve(s, a).sum()


@program((120, 120))
def cholesky(a):
    return np.log(np.diag(np.linalg.cholesky(a @ a.T + 10 * np.eye(120)))).sum()


@program((300, 200))
def sorted_sums(x):
    return np.cumsum(np.sort(x, axis=0), axis=1).mean() + np.prod(x[:, :3], axis=1).sum()


@program((500, 100))
def joined(x):
    y = np.concatenate([x, x * 2], axis=0)
    z = np.stack([y, y + 1])
    return np.where(z > 0, z, z**2).sum()


@program((50_000,))
def temporaries(x):
    return (x * x * 2.0 + x * 3.0 - 1.0).sum() + ((x * 2 + 1) / 3).sum() * np.linalg.norm(x)


@program((50_000,))
def spread(x):
    return np.var(x) + np.std(x) + (x.max() - x.min()) * np.clip(x, -1, 1).sum()


@program((400, 100), (100, 100), (100, 100))
def checkpointed(x, a, b):
    block = wg.checkpoint(lambda x: np.sin(np.tanh(np.exp(x) @ a) @ b))
    return block(block(x)).sum()


@program((400, 100), (100, 100), (100, 100))
def checkpointed_by_policy(x, a, b):
    block = wg.checkpoint(lambda x: np.sin(np.tanh(np.exp(x) @ a) @ b), policy=wg.policies.contractions)
    return block(block(x)).sum()


@wg.custom_vjp
def _doubled(x):
    return np.tanh(x) * 2


_doubled.defvjp(lambda x: (np.tanh(x) * 2, x), lambda x, ct: (ct * (1 - np.tanh(x) ** 2) * 2,))


@program((50_000,))
def custom_rule(x):
    return _doubled(_doubled(x)).sum()


@program((50_000,))
def second_order(x):
    return (wg.grad(lambda x: (np.sin(x) * np.exp(x)).sum())(x) ** 2).sum()


@pytest.fixture(params=PROGRAMS)
def subject(request):
    """One of the programs, and its arguments."""
    return PROGRAMS[request.param]
