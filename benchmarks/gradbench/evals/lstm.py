"""Next characters predicted by a stack of LSTM layers with diagonal weights: the loss, and its gradient."""

import numpy as np

import wengert as wg

from ..function import Function, Input


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def layer(weight, bias, hidden, cell, x):
    """One step; `weight` and `bias` (4, bits) are those of the gates forget, in and out, and of the change."""
    forget = sigmoid(x * weight[0] + bias[0])
    ingate = sigmoid(hidden * weight[1] + bias[1])
    outgate = sigmoid(x * weight[2] + bias[2])
    change = np.tanh(hidden * weight[3] + bias[3])
    cell = cell * forget + ingate * change
    return outgate * np.tanh(cell), cell


def loss(main, extra, state, sequence):
    layers, bits = len(main) // 2, extra.shape[1]
    weights, biases = main.reshape(layers, 2, 4, bits).transpose(1, 0, 2, 3)
    in_weight, out_weight, out_bias = extra

    def step(state, characters):
        now, following = characters
        x, after = now * in_weight, []
        for i in range(layers):
            x, cell = layer(weights[i], biases[i], *state[i], x)
            after.append((x, cell))
        predicted = x * out_weight + out_bias
        normalised = predicted - np.log(np.sum(np.exp(predicted)) + 2)
        return after, np.sum(following * normalised)

    before = [(state[2 * i], state[2 * i + 1]) for i in range(layers)]
    _, gains = wg.scan(step, before, (sequence[:-1], sequence[1:]))
    return -np.sum(gains) / (bits * (len(sequence) - 1))


def gradient(main, extra, state, sequence):
    by_main, by_extra = wg.grad(loss, argnums=(0, 1))(main, extra, state, sequence)
    return np.concatenate([by_main.ravel(), by_extra.ravel()])


def prepare(input: Input):
    return tuple(np.asarray(input[name], float) for name in ("main_params", "extra_params", "state", "sequence"))


FUNCTIONS = {
    "objective": Function(prepare, wg.jit(loss)),
    "jacobian": Function(prepare, wg.jit(gradient)),
}
