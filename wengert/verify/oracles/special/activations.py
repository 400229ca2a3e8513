"""Activations of neural networks with a closed form."""

from __future__ import annotations

import math

from mpmath import mp

import wengert.nn as nn
from wengert.verify.oracles.special import oracle
from wengert.verify.oracles.special.grids import WHOLE, line, within

INF = math.inf
POINTS = line(within(WHOLE, -1e4, 1e4))
SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805


def sigmoid(x):
    return 1 / (1 + mp.exp(-x))


def sigmoid_slope(x):
    return mp.exp(-abs(x)) / (1 + mp.exp(-abs(x))) ** 2


def density(x):
    return mp.exp(-x * x / 2) / mp.sqrt(2 * mp.pi)


def soft_plus(x):
    return max(x, mp.mpf(0)) + mp.log1p(mp.exp(-abs(x)))


def gelu_tanh(x):
    return x / 2 * (1 + mp.tanh(mp.sqrt(2 / mp.pi) * x * (1 + mp.mpf(0.044715) * x * x)))


READ_OFF = "ulp of 1: read off the output"
oracle(
    "nn.sigmoid",
    "x",
    sigmoid,
    POINTS,
    slope={0: sigmoid_slope},
    size=lambda x: mp.mpf(1) if x > 0 else mp.mpf(0),
    measure=READ_OFF,
)
oracle("nn.log_sigmoid", "x", lambda x: -soft_plus(-x), POINTS, slope={0: lambda x: sigmoid(-x)})
oracle("nn.softplus", "x", soft_plus, POINTS, slope={0: sigmoid})
oracle(
    "nn.silu",
    "x",
    lambda x: x * sigmoid(x),
    POINTS,
    slope={0: lambda x: sigmoid(x) + x * sigmoid_slope(x)},
    scaled=True,
)
oracle(
    "nn.gelu",
    "x",
    lambda x: x * mp.erfc(-x / mp.sqrt(2)) / 2,
    POINTS,
    slope={0: lambda x: mp.erfc(-x / mp.sqrt(2)) / 2 + x * density(x)},
    scaled=True,
)
oracle(
    "nn.gelu",
    "x",
    gelu_tanh,
    line(within(WHOLE, -9, 9)),
    call=lambda x: nn.gelu(x, approximate="tanh"),
    case="(tanh)",
    scaled=True,
)
oracle("nn.mish", "x", lambda x: x * mp.tanh(soft_plus(x)), POINTS, scaled=True)
oracle("nn.softsign", "x", lambda x: x / (1 + abs(x)), line(WHOLE), slope={0: lambda x: 1 / (1 + abs(x)) ** 2})
oracle(
    "nn.tanh", "x", mp.tanh, POINTS, slope={0: lambda x: mp.sech(x) ** 2}, size=lambda x: mp.mpf(1), measure=READ_OFF
)
oracle("nn.tanhshrink", "x", lambda x: x - mp.tanh(x), POINTS, slope={0: lambda x: mp.tanh(x) ** 2})
oracle("nn.elu", "x", lambda x: x if x > 0 else mp.expm1(x), POINTS, slope={0: lambda x: mp.exp(min(x, mp.mpf(0)))})
oracle(
    "nn.selu",
    "x",
    lambda x: mp.mpf(SELU_SCALE) * (x if x > 0 else mp.mpf(SELU_ALPHA) * mp.expm1(x)),
    [p for p in POINTS if p[0]],
    slope={0: lambda x: mp.mpf(SELU_SCALE) * (1 if x > 0 else mp.mpf(SELU_ALPHA) * mp.exp(x))},
)
oracle(
    "nn.celu",
    "x",
    lambda x: x if x > 0 else mp.mpf(0.5) * mp.expm1(x / mp.mpf(0.5)),
    POINTS,
    slope={0: lambda x: mp.exp(min(2 * x, mp.mpf(0)))},
    call=lambda x: nn.celu(x, alpha=0.5),
)
oracle(
    "nn.hardswish", "x", lambda x: x * min(max(x / 6 + mp.mpf(0.5), 0), 1), line(within(WHOLE, -50, 50)), scaled=True
)
