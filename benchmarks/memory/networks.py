"""Functions to train under a budget, each written once: `np` is NumPy, which wengert adopts, or jax.numpy.

    perceptron    24 layers of tanh: memory is one array per layer
    transformer   12 blocks: layer norms, attention with a softmax of its own, a gated network: residuals of many kinds
    recurrence    10,000 steps of a loop that carries one array

`block(parts)` of a network with blocks says how many blocks at a time a peer's checkpoint takes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Wrap = Callable[[Callable[..., Any]], Callable[..., Any]]


@dataclass(frozen=True)
class Network:
    """`make(np, scan, wrap, parts)` gives the loss: a function of `args`, whose first is differentiated.

    wrap : what is done to `parts` blocks at a time (or trips), None: nothing
    block : `block(np)` gives the function of (parameters, x) that the loss is a chain of, for peers that loop over blocks
    """

    name: str
    make: Callable[..., Callable[..., Any]]
    args: tuple[Any, ...]
    parts: Sequence[int]
    block: Callable[[Any], Callable[..., Any]] | None = None


def _random(*shape: int) -> np.ndarray:
    rng = np.random.default_rng(sum(shape))
    return (rng.normal(size=shape) / np.sqrt(shape[0])).astype(np.float32)


def _in_blocks(block: Callable[..., Any], wrap: Wrap | None, parts: int) -> Callable[..., Any]:
    """`block` over a list of parameters, `parts` of them at a time under `wrap`."""

    def several(params: Any, x: Any) -> Any:
        for p in params:
            x = block(p, x)
        return x

    some = several if wrap is None else wrap(several)

    def run(params: Any, x: Any) -> Any:
        for i in range(0, len(params), parts):
            x = some(params[i : i + parts], x)
        return x

    return run


def perceptron(layers: int = 24, width: int = 192, batch: int = 2048) -> Network:
    def block(np: Any) -> Callable[..., Any]:
        return lambda p, h: np.tanh(h @ p[0] + p[1])

    def make(np: Any, scan: Any, wrap: Wrap | None, parts: int) -> Callable[..., Any]:
        run = _in_blocks(block(np), wrap, parts)
        return lambda params, x: (run(params, x) ** 2).mean()

    params = [(_random(width, width), np.zeros(width, np.float32)) for _ in range(layers)]
    return Network("perceptron, 24 layers", make, (params, _random(batch, width)), (1, 2, 3, 4, 6, 8), block)


def transformer(blocks: int = 12, width: int = 64, heads: int = 4, length: int = 128, batch: int = 8) -> Network:
    def block(np: Any) -> Callable[..., Any]:
        def normed(x: Any, g: Any, b: Any) -> Any:
            c = x - x.mean(-1, keepdims=True)
            return c / np.sqrt((c * c).mean(-1, keepdims=True) + 1e-5) * g + b

        def run(p: Any, x: Any) -> Any:
            n = normed(x, p["g"], p["h"])

            def head(w: Any) -> Any:
                return (n @ w).reshape(batch, length, heads, width // heads).transpose(0, 2, 1, 3)

            s = head(p["q"]) @ head(p["k"]).transpose(0, 1, 3, 2) * (heads / width) ** 0.5
            e = np.exp(s - s.max(-1, keepdims=True))
            a = e / e.sum(-1, keepdims=True)
            x = x + (a @ head(p["v"])).transpose(0, 2, 1, 3).reshape(batch, length, width) @ p["o"]
            u = normed(x, p["i"], p["j"]) @ p["u"]
            return x + (u / (1 + np.exp(-1.702 * u))) @ p["d"]

        return run

    def make(np: Any, scan: Any, wrap: Wrap | None, parts: int) -> Callable[..., Any]:
        run = _in_blocks(block(np), wrap, parts)
        return lambda params, x: (run(params, x) ** 2).mean()

    def one() -> dict[str, np.ndarray]:
        square = {name: _random(width, width) for name in "qkvo"}
        gains = {name: np.ones(width, np.float32) for name in "gi"} | {
            name: np.zeros(width, np.float32) for name in "hj"
        }
        return {**square, **gains, "u": _random(width, 4 * width), "d": _random(4 * width, width)}

    params = [one() for _ in range(blocks)]
    return Network("transformer, 12 blocks", make, (params, _random(batch, length, width)), (1, 2, 3, 4), block)


def recurrence(steps: int = 10_000, width: int = 16, batch: int = 64) -> Network:
    def make(np: Any, scan: Any, wrap: Wrap | None, parts: int) -> Callable[..., Any]:
        def loss(w: Any, h: Any) -> Any:
            def step(h: Any, _: Any) -> Any:
                return h + 0.01 * np.tanh(h @ (w - w.T)), None  # cotangents neither grow nor vanish

            if wrap is None:
                return (scan(step, h, None, length=steps)[0] ** 2).sum()
            if parts == 1:
                return (scan(wrap(step), h, None, length=steps)[0] ** 2).sum()
            inner = wrap(lambda h, _: scan(step, h, None, length=parts))
            return (scan(inner, h, None, length=steps // parts)[0] ** 2).sum()

        return loss

    args = _random(width, width), _random(batch, width)
    return Network("recurrence, 10,000 steps", make, args, (1, 10, 50, 100, 200, 500))


NETWORKS: dict[str, Callable[[], Network]] = {
    "perceptron": perceptron,
    "transformer": transformer,
    "recurrence": recurrence,
}
